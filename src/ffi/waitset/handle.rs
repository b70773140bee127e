//! The handle of a set, and what is behind it.

use crate::error::{Error, ErrorKind, Result};
use crate::fallible;
use crate::ffi::arguments::answer;
use crate::ffi::handle::{Boxed, boxed, close, open_mut};
use crate::ffi::lease::Pool;
use crate::ffi::{call, invalid};
use crate::sys::task;
use crate::time::Wait;
use crate::waitset::{Key, Mechanism, Source, WaitSet};
use core::ffi::{c_int, c_void};
use std::os::fd::AsRawFd;
use std::vec::Vec;

/// Waits for any of several things: that a queue can be read or written, that an event is set, that a process has ended,
/// that a descriptor is readable, that a time has come. Each is a *source* of the set, added by an
/// `interproc_waitset_add_` function.
///
/// This is a local handle. interproc_waitset_destroy() frees it. A plain copy of the structure is the same handle:
/// destroy only one of them.
///
///     interproc_waitset_t set;
///     interproc_waitset_ready_t ready[16];
///     size_t count, i;
///     int rc = interproc_waitset_create(&set);
///     if (rc == 0)
///         rc = interproc_waitset_add_listener(&set, &listener, &listener, NULL);
///     if (rc == 0)
///         rc = interproc_waitset_add_pipe(&set, &client, INTERPROC_READABLE, &client, NULL);
///     while (rc == 0 && (rc = interproc_waitset_wait(&set, ready, 16, &count)) == 0)
///         for (i = 0; i < count; i++)
///             if (ready[i].data == &listener)
///                 rc = let_in(&listener);                         // it may add the next client
///             else
///                 rc = serve(ready[i].data);                      // interproc_pipe_tryrecv()
///
/// **It says, and takes nothing.** A source is reported as long as it is ready: its `try` would not be refused with "not
/// now". With others at the same queue it may be by then. Ends are reported, too: a closed queue, a pipe whose other end
/// is closed or dead; the `try` then tells. Only times and newer values are reported once for each event.
///
/// A source keeps what it needs of its segment, which may be closed meanwhile, but not the handle that it was made of. A
/// descriptor or a process must stay open until it is taken out.
///
/// *If a thread dies*: a publisher that has published is heard, as by a sleeper of the object itself; a dead peer at the
/// other end of a pipe is heard at once. If the owner of a set dies, nothing is left but a spare wake-up.
///
/// A wait that finds something looks at each source, and makes no system call. One that sleeps is woken by whoever makes a
/// source ready, without polling. The sources may lie in 32 segments. A set sleeps on memory words alone until a
/// descriptor or a process is added, or interproc_waitset_fd() is called. From then on it sleeps in epoll, and a thread of
/// the library's own, one for the process, watches the words.
///
/// **All functions**: one thread at a time uses a set, which may move to another thread. EPERM: it is a parent process's:
/// a forked child may only destroy its copy. EMFILE, ENFILE: no descriptor for epoll. Not in a signal handler.
#[repr(C)]
pub struct interproc_waitset_t {
    /// Private. NULL when destroyed.
    pub private_: *mut c_void,
    /// Private.
    pub reserved: u64,
}

/// A source that is ready.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct interproc_waitset_ready_t {
    /// Names the source in its set. It is never given out twice by one set.
    pub key: u64,
    /// What was passed when it was added.
    pub data: *mut c_void,
}

/// A source is ready when something can be read or taken.
pub const INTERPROC_READABLE: u32 = 1;
/// A source is ready when there is room to write or put something.
pub const INTERPROC_WRITABLE: u32 = 2;

/// A set sleeps on memory words: it has no descriptor, and needs no thread.
pub const INTERPROC_WAITSET_FUTEX: u32 = 0;
/// A set sleeps in epoll, and a thread of the library's watches the memory words.
pub const INTERPROC_WAITSET_EPOLL: u32 = 1;

// SAFETY: a pointer and a word.
unsafe impl Boxed for interproc_waitset_t {
    type Object = Set;
    const NAME: &'static str = "set";
    const CLOSED: &'static str = "the wait set is closed: it was destroyed, or never created";
    fn pool() -> &'static Pool {
        static POOL: Pool = Pool::new();
        &POOL
    }
}

/// What a source is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The set asks the member layer, which notices a fork.
    Object,
    /// As above, and told once for each event.
    Newer,
    Descriptor,
    /// Told once for each event.
    Time,
}

impl Kind {
    fn is_object(self) -> bool {
        matches!(self, Kind::Object | Kind::Newer)
    }

    fn is_told_once(self) -> bool {
        matches!(self, Kind::Newer | Kind::Time)
    }
}

/// A source.
struct Item {
    key: Key,
    data: *mut c_void,
    kind: Kind,
    /// The last look found it ready.
    found: bool,
    /// It was ready, there was no room to tell it, and the set does not find it again.
    owed: bool,
}

/// What is behind a handle.
pub(in crate::ffi) struct Set {
    set: WaitSet<'static>,
    /// In the order of their keys, which grow.
    items: Vec<Item>,
    /// How many are objects, and how many are owed.
    objects: usize,
    owed: usize,
    /// From which key on the next ones are told when there is no room for all: it goes round, so that each has its turn.
    next: u64,
    pid: u32,
}

fn find(items: &[Item], key: Key) -> Option<usize> {
    items.binary_search_by_key(&key, |item| item.key).ok()
}

impl Set {
    fn new() -> Self {
        let set = WaitSet::new();
        Set { set, items: Vec::new(), objects: 0, owed: 0, next: 0, pid: task::pid() }
    }

    fn mine(&self) -> Result<()> {
        if self.pid == task::pid() { Ok(()) } else { Err(ErrorKind::NotOwner.into()) }
    }

    /// # Errors
    /// Those of [`WaitSet::add`].
    pub(super) fn add(&mut self, source: Source<'static>, kind: Kind, data: *mut c_void) -> Result<u64> {
        self.mine()?;
        let key = self.set.add(source)?;
        let item = Item { key, data, kind, found: false, owed: false };
        if let Err(error) = fallible::push(&mut self.items, item) {
            self.set.remove(key);
            return Err(error);
        }
        self.objects += usize::from(kind.is_object());
        Ok(key.number())
    }

    fn remove(&mut self, key: u64) -> Result<()> {
        self.mine()?;
        let key = Key::of(key);
        let index = find(&self.items, key).ok_or_else(|| invalid("the set has no source with this key"))?;
        let item = self.items.remove(index);
        self.objects -= usize::from(item.kind.is_object());
        self.owed -= usize::from(item.owed);
        self.set.remove(key);
        Ok(())
    }

    /// Waits, and tells at most `room` sources that are ready: how many.
    ///
    /// # Errors
    /// `Empty` if nothing is ready and it must not wait; those of [`WaitSet::wait`].
    pub(super) fn wait(
        &mut self,
        wait: Wait,
        room: usize,
        mut tell: impl FnMut(usize, interproc_waitset_ready_t),
    ) -> Result<usize> {
        if self.objects == 0 {
            self.mine()?;
        }
        let wait = if self.owed > 0 { Wait::Never } else { wait };
        let ready = self.set.wait_by(wait)?;
        let mut count = 0;
        let mut tell = |item: &Item| {
            tell(count, interproc_waitset_ready_t { key: item.key.number(), data: item.data });
            count += 1;
        };
        if self.owed == 0 && ready.len() <= room {
            for index in ready.iter().filter_map(|&key| find(&self.items, key)) {
                tell(&self.items[index]);
            }
        } else {
            for &key in ready {
                if let Some(index) = find(&self.items, key) {
                    self.items[index].found = true;
                }
            }
            let start = self.items.partition_point(|item| item.key.number() < self.next);
            let (before, behind) = self.items.split_at_mut(start);
            let mut left = room;
            for item in behind.iter_mut().chain(before) {
                if !core::mem::take(&mut item.found) && !item.owed {
                    continue;
                }
                if left > 0 {
                    left -= 1;
                    self.owed -= usize::from(core::mem::take(&mut item.owed));
                    self.next = item.key.number() + 1;
                    tell(item);
                } else if item.kind.is_told_once() && !item.owed {
                    item.owed = true;
                    self.owed += 1;
                }
            }
        }
        if count == 0 {
            return Err(Error::from(ErrorKind::Empty).with_detail("no source of the set is ready"));
        }
        Ok(count)
    }
}

/// Makes an empty set.
///
/// @return 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_create(set: *mut interproc_waitset_t) -> c_int {
    // SAFETY: by C's contract.
    unsafe { answer(set, "set", || boxed(|| Ok(Set::new()))) }
}

/// Frees the set. What its sources wait for stays as it is. A forked child may destroy its copy.
///
/// @return 0; EINVAL: destroyed already.
///
/// Not while another thread uses the set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_destroy(set: *mut interproc_waitset_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { close(set) }.map(drop))
}

/// Takes a source out. It may be taken out in any state: when its queue is closed, when its process has ended.
///
/// @return 0; EINVAL also when there is no such source.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_remove(set: *const interproc_waitset_t, key: u64) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { open_mut(set) }?.remove(key))
}

/// A descriptor that is readable when something is ready, for poll(2), epoll(7) or another event loop. Only wait for it:
/// it stays the set's. It is close-on-exec.
///
/// Once interproc_waitset_trywait() has returned EAGAIN, it becomes readable as soon as something is ready, and not again and
/// again before. (Once in a while it is, with nothing ready: when somebody joins a segment.) So call that until EAGAIN, and
/// then sleep on the descriptor.
///
///     int fd;
///     rc = interproc_waitset_fd(&set, &fd);
///     while (rc == 0) {
///         while ((rc = interproc_waitset_trywait(&set, ready, 16, &count)) == 0)
///             handle(ready, count);
///         if (rc == EAGAIN)
///             rc = sleep_on(fd);                                  // poll(), and other descriptors beside it
///     }
///
/// The first call starts the library's thread, unless another set has.
///
/// @return 0; EAGAIN: no thread can be started; EBADF: the program has closed it behind the library's back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_fd(set: *const interproc_waitset_t, fd: *mut c_int) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        answer(fd, "fd", || {
            let set = open_mut(set)?;
            set.mine()?;
            Ok(set.set.descriptor()?.as_raw_fd())
        })
    }
}

/// By what the set sleeps: `INTERPROC_WAITSET_FUTEX` or `INTERPROC_WAITSET_EPOLL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_mechanism(
    set: *const interproc_waitset_t,
    mechanism: *mut u32,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        answer(mechanism, "mechanism", || {
            let set = open_mut(set)?;
            set.mine()?;
            Ok(match set.set.mechanism() {
                Mechanism::Futex => INTERPROC_WAITSET_FUTEX,
                Mechanism::Epoll => INTERPROC_WAITSET_EPOLL,
            })
        })
    }
}
