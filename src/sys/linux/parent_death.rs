//! [`ParentDeath`]: has the kernel kill a process when another one, the *holder*, ends for whatever reason.
//!
//! The holder keeps both ends of a pipe, close-on-exec. Both are set to announce changes by a signal (`O_ASYNC`), SIGKILL
//! (`F_SETSIG`), to the process that shall die (`F_SETOWN`). When the holder ends, the kernel closes its descriptors one
//! after the other, in some order. Whichever end is closed first, the other one is still open and announces it. Nothing
//! else ever happens to the pipe.
//!
//! | trap of `PR_SET_PDEATHSIG` | here |
//! |---|---|
//! | it follows the parent *thread* | descriptors belong to the process: they are closed when it ends or calls exec |
//! | the parent may die before the child has asked for it | the tie is complete before the child runs; or the child completes it itself and then closes its copies, and if those were the last, that close kills it |
//! | grandchildren do not inherit it | a process group may be tied |
//! | exec of a set-user-ID program clears it | the holder's descriptors are out of the program's reach, and its real user id stays ours |
//!
//! There is no thread, no handler and no process that watches. The kernel holds the process, not its number, so a tie that
//! outlives its process kills nobody else.
//!
//! **Copies.** A forked child of the holder has copies of the ends, and as long as they are open the holder's end closes
//! nothing. So all ends are listed, and a fork handler of libc (`pthread_atfork`) closes the copies in every child of
//! libc's fork; `vfork` and `posix_spawn` end in exec, which closes them. Not covered: a child that other code made by a
//! raw `clone` without exec keeps the ends open until it ends as well.
//!
//! **The first process of a PID namespace** is immune to this signal, as to all signals that do not come from a process of
//! the namespace above. It also gets `PR_SET_PDEATHSIG`, which does reach it, with the first of its traps.
//!
//! Rejected: `PR_SET_PDEATHSIG` (above). A process or thread that watches (it can be killed itself; we promise no helpers).
//! A pidfd or a pipe that the child polls (needs the child's cooperation, and ends at its exec).

use super::call::checked;
use super::fork::exit_now;
use super::fork_gate::{page_of, pipe};
use super::own::{Identity, close};
use super::task::{self, SignalsBlocked};
use super::{futex, memory};
use crate::sys::{Watch, Word};
use core::cell::UnsafeCell;
use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::os::fd::{AsRawFd, RawFd};
use std::vec::Vec;

/// Who dies with the holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A process.
    Process(c_int),
    /// All processes of a group.
    Group(c_int),
}

/// The holder's side. Dropping it kills the one it is bound to, unless it was [`cut`](ParentDeath::cut).
pub struct ParentDeath(Ends);

/// Both ends of one pipe. The program may close them; then other files may have the numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ends {
    numbers: [RawFd; 2],
    pipe: Identity,
}

impl Ends {
    /// Those of the numbers that are still ours.
    fn ours(self) -> impl Iterator<Item = RawFd> {
        self.numbers.into_iter().filter(move |&fd| self.pipe.is_at(fd))
    }
}

impl ParentDeath {
    /// A tie that is bound to nobody yet.
    pub fn new() -> Result<Self, i32> {
        let mut list = List::lock()?;
        let (read, write) = pipe()?;
        let numbers = [read.as_raw_fd(), write.as_raw_fd()];
        let ends = Ends { numbers, pipe: Identity::of(numbers[0])? };
        list.change(|all| {
            all.try_reserve(1).map_err(|_| libc::ENOMEM)?;
            all.push(ends);
            Ok::<(), i32>(())
        })?;
        core::mem::forget((read, write));
        Ok(ParentDeath(ends))
    }

    /// Binds the tie. Makes only system calls. The holder calls it, or the process itself with its copies of the ends.
    pub fn bind(&self, to: Bound) -> Result<(), i32> {
        let owner = match to {
            Bound::Process(pid) => pid,
            Bound::Group(pgid) => -pgid,
        };
        if self.0.ours().count() != 2 {
            return Err(libc::EBADF);
        }
        for fd in self.0.numbers {
            control(fd, F_SETSIG, libc::SIGKILL)?;
            control(fd, libc::F_SETOWN, owner)?;
            control(fd, libc::F_SETFL, libc::O_ASYNC)?;
        }
        Ok(())
    }

    /// In a process that shares its parent's memory but not its descriptors: closes the copies. If the holder has ended,
    /// this kills the caller.
    pub fn close_copies(&self) {
        close(self.0.numbers[1]);
        // For the first process of a PID namespace, which its own close does not kill.
        let mut read = libc::pollfd { fd: self.0.numbers[0], events: 0, revents: 0 };
        // SAFETY: one entry; never sleeps.
        let gone = checked(|| unsafe { libc::poll(&raw mut read, 1, 0) }) == Ok(1);
        close(self.0.numbers[0]);
        if gone {
            exit_now(127);
        }
    }

    /// Cuts the tie: from now on it kills nobody.
    pub fn cut(&self) {
        for fd in self.0.ours() {
            let _ = control(fd, libc::F_SETFL, 0);
        }
    }
}

impl Drop for ParentDeath {
    fn drop(&mut self) {
        if let Ok(mut list) = List::lock() {
            list.change(|all| all.retain(|ends| *ends != self.0));
            // Under the lock: the child of a fork by another thread has both ends in its list, or neither.
            self.0.ours().for_each(close);
        }
    }
}

/// The same number on every architecture.
const F_SETSIG: c_int = 10;

fn control(fd: RawFd, command: c_int, argument: c_int) -> Result<(), i32> {
    // SAFETY: these commands take an integer.
    checked(|| unsafe { libc::fcntl(fd, command, argument) }).map(drop)
}

/// The ends of all ties of this process. The fork handlers hold the lock during every fork, so a child never inherits an
/// end that is not listed.
struct Shared(UnsafeCell<Vec<Ends>>);

// SAFETY: touched only under the lock.
unsafe impl Sync for Shared {}

static ENDS: Shared = Shared(UnsafeCell::new(Vec::new()));
static REGISTERED: AtomicBool = AtomicBool::new(false);
static LOCK: AtomicPtr<Lock> = AtomicPtr::new(core::ptr::null_mut());

/// Lies in a page that a fork wipes, so no child can inherit it held, even from a fork before the handlers were registered.
///
/// The thread that holds it may take it again: the handlers are registered twice in a process whose parent was about to
/// register them when it forked.
struct Lock {
    /// The thread id of the holder, and [`SLEEPERS`].
    word: AtomicU32,
    depth: AtomicU32,
}

const SLEEPERS: u32 = 1 << 31;

impl Lock {
    fn the() -> Result<&'static Lock, i32> {
        page_of(&LOCK, memory::wiped_on_fork).ok_or(libc::ENOMEM)
    }

    fn take(&self) {
        let me = task::tid();
        if self.word.load(Ordering::Relaxed) & !SLEEPERS == me {
            self.depth.fetch_add(1, Ordering::Relaxed); // Relaxed: this thread's own.
            return;
        }
        // A thread that has slept cannot know whether it was the last sleeper.
        let mut mine = me;
        loop {
            match self.word.compare_exchange(0, mine, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return,
                Err(held) => {
                    let marked = held | SLEEPERS;
                    if held == marked
                        || self
                            .word
                            .compare_exchange(held, marked, Ordering::Relaxed, Ordering::Relaxed)
                            .is_ok()
                    {
                        let watch = Watch { word: Word::Whole(&self.word), expected: marked };
                        futex::wait(&[watch], None);
                    }
                    mine = me | SLEEPERS;
                }
            }
        }
    }

    fn release(&self) {
        if self.depth.load(Ordering::Relaxed) > 0 {
            self.depth.fetch_sub(1, Ordering::Relaxed);
        } else if self.word.swap(0, Ordering::Release) & SLEEPERS != 0 {
            futex::wake(Word::Whole(&self.word), 1);
        }
    }
}

extern "C" fn before_fork() {
    if let Ok(lock) = Lock::the() {
        lock.take();
    }
}

extern "C" fn after_fork_in_parent() {
    if let Ok(lock) = Lock::the() {
        lock.release();
    }
}

extern "C" fn after_fork_in_child() {
    // SAFETY: the thread that forked held the lock, and is the only one here.
    let ends = unsafe { &mut *ENDS.0.get() };
    ends.drain(..).flat_map(Ends::ours).for_each(close);
}

/// The list, locked. Signals are blocked, so no handler of this thread can fork meanwhile.
struct List {
    lock: &'static Lock,
    _signals: SignalsBlocked,
}

impl List {
    fn lock() -> Result<List, i32> {
        let lock = Lock::the()?;
        let _signals = SignalsBlocked::new();
        lock.take();
        let list = List { lock, _signals };
        if !REGISTERED.load(Ordering::Relaxed) {
            // SAFETY: functions that stay loaded: the shared library is linked `nodelete`.
            let errno = unsafe {
                libc::pthread_atfork(Some(before_fork), Some(after_fork_in_parent), Some(after_fork_in_child))
            };
            if errno != 0 {
                return Err(errno);
            }
            REGISTERED.store(true, Ordering::Relaxed);
        }
        Ok(list)
    }

    fn change<R>(&mut self, change: impl FnOnce(&mut Vec<Ends>) -> R) -> R {
        // SAFETY: under the lock.
        change(unsafe { &mut *ENDS.0.get() })
    }
}

impl Drop for List {
    fn drop(&mut self) {
        self.lock.release();
    }
}
