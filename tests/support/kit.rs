//! What tests of several processes on one segment need: children, a board to talk on, a look under the table.
#![allow(dead_code)] // Each test binary uses its own part.

use interproc::raw::format::{Changing, ENTRY_SIZE, Entry, Fixed, Header, SLOT_WORD_BACK, SlotPage};
use interproc::raw::member::{self, Attachment, Member, OwnerId};
use interproc::raw::queue::{RawQueue, Ring};
use interproc::raw::sync::{Cells, RawBoundedSemaphore, RawMutex};
use interproc::sync::Mutex;
use interproc::{Plain, Segment};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Long enough for anything that must happen.
pub const LONG: Duration = Duration::from_secs(20);

/// The net, and what a busy machine may add to it: soon, as against never.
pub const NET: Duration = Duration::from_secs(5);

/// A child made by libc's fork; killed and reaped at the latest when dropped.
#[derive(Debug)]
pub struct Kid {
    pub pid: i32,
    reaped: bool,
}

/// Runs `body` in a child. Its panic is exit code 101.
pub fn fork(body: impl FnOnce()) -> Kid {
    // SAFETY: the child ends in `run`.
    match unsafe { libc::fork() } {
        0 => run(body),
        pid => {
            assert!(pid > 0, "fork");
            Kid { pid, reaped: false }
        }
    }
}

fn run(body: impl FnOnce()) -> ! {
    let good = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_ok();
    // SAFETY: ends the process.
    unsafe { libc::_exit(if good { 0 } else { 101 }) }
}

/// As [`fork`], by a raw clone: libc does not know of the child, and no robust list is registered there.
pub fn raw_clone(body: impl FnOnce()) -> Kid {
    // SAFETY: without flags but the signal this is fork without libc's part; the child ends in `run`.
    match unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } {
        0 => run(body),
        pid => {
            assert!(pid > 0, "clone");
            Kid { pid: pid as i32, reaped: false }
        }
    }
}

/// A child of either make.
pub fn child(raw: bool, body: impl FnOnce()) -> Kid {
    if raw { raw_clone(body) } else { fork(body) }
}

/// Runs `body` as process 1 of a new PID namespace; `more` are further namespaces.
pub fn fork_in_new_pid_namespace(more: i32, body: impl FnOnce()) -> Kid {
    fork(|| {
        // SAFETY: takes flags.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID | more) }, 0, "unshare: are we root?");
        let mut first = fork(|| {
            // SAFETY: takes integers. The first process of a namespace dies with the one that made it.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            body();
        });
        assert_eq!(first.end(), 0, "the first process of the namespace failed");
    })
}

impl Kid {
    pub fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: our child, not reaped, so the number is its own.
        unsafe { libc::kill(self.pid, signal) };
    }

    /// Waits; the wait status.
    pub fn end(&mut self) -> i32 {
        let mut status = 0;
        // SAFETY: the status is writable; our child.
        let got = unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
        assert_eq!(got, self.pid, "waitpid");
        self.reaped = true;
        status
    }

    /// Waits for a good end.
    #[track_caller]
    pub fn join(mut self) {
        let status = self.end();
        assert_eq!(status, 0, "the child failed with wait status {status:#x}");
    }

    /// Kills and reaps.
    pub fn finish(self) {
        drop(self);
    }

    /// Waits for an end that is good or a SIGKILL.
    #[track_caller]
    pub fn finish_any(mut self) {
        let status = self.end();
        assert!(status == 0 || status == libc::SIGKILL, "the child failed with wait status {status:#x}");
    }

    /// It was seen to end, and reaped, by other means.
    pub fn ended(mut self) -> Kid {
        self.reaped = true;
        self
    }

    /// Waits until it is stopped by a signal.
    pub fn wait_stopped(&self) {
        let mut status = 0;
        // SAFETY: as in `end`.
        let got = unsafe { libc::waitpid(self.pid, &raw mut status, libc::WUNTRACED) };
        assert!(got == self.pid && libc::WIFSTOPPED(status), "not stopped: {status:#x}");
    }
}

impl Drop for Kid {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            self.end();
        }
    }
}

/// Runs the bodies in threads of their own and waits until these are gone (the end of a scope waits for the bodies only).
pub fn in_threads<'a, F: FnOnce() + Send + 'a>(bodies: impl IntoIterator<Item = F>) {
    std::thread::scope(|s| {
        let threads: Vec<_> = bodies.into_iter().map(|body| s.spawn(body)).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("a thread failed"));
    });
}

pub fn in_thread(body: impl FnOnce() + Send) {
    in_threads([body]);
}

/// Words that this process and its later children share.
pub fn board() -> &'static [AtomicU64; 512] {
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new zero-filled mapping that is never unmapped.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), 4096, access, flags, -1, 0);
        assert_ne!(page, libc::MAP_FAILED);
        &*page.cast()
    }
}

/// Waits until a word of the board is at least `value`.
#[track_caller]
pub fn await_word(word: &AtomicU64, value: u64) {
    let until = Instant::now() + LONG;
    while word.load(Ordering::SeqCst) < value {
        assert!(Instant::now() < until, "waited {LONG:?} for a word to become {value}");
        std::thread::yield_now();
    }
}

pub fn raise(word: &AtomicU64) -> u64 {
    word.fetch_add(1, Ordering::SeqCst) + 1
}

pub fn pause_for_ever() -> ! {
    loop {
        // SAFETY: takes nothing.
        unsafe { libc::pause() };
    }
}

/// Whether a thread is asleep in a segment. On its way there it may sleep on a lock of its process (the C library's, or
/// the one under which threads become members), but then on a single word; in a segment it watches several at once, or
/// sleeps in epoll while another thread watches them.
pub fn is_asleep(pid: i32, tid: i32) -> bool {
    let read = |what| std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/{what}"));
    let asleep =
        read("stat").is_ok_and(|s| s.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S')));
    // Where tracing is restricted the second file cannot be read.
    asleep && read("syscall").map_or(true, |call| watched(&call) > 1)
}

/// How many words a thread sleeps on, of its line in `/proc`: the call's number and its arguments. In epoll it is any number.
fn watched(call: &str) -> u64 {
    let call: Vec<&str> = call.split(' ').collect();
    match call[..] {
        [number, _, words, ..] if number.parse() == Ok(libc::SYS_futex_waitv) => {
            u64::from_str_radix(words.trim_start_matches("0x"), 16).unwrap_or(0)
        }
        [number, ..] if number.parse() == Ok(libc::SYS_ppoll) => u64::MAX,
        _ => 0,
    }
}

/// Waits until a process's main thread sleeps.
#[track_caller]
pub fn await_sleep(kid: &Kid) {
    await_thread_sleep(kid.pid, kid.pid);
}

#[track_caller]
pub fn await_thread_sleep(pid: i32, tid: i32) {
    assert!(super::support::eventually(LONG, || is_asleep(pid, tid)), "{pid}/{tid} does not sleep");
}

pub fn gettid() -> i32 {
    // SAFETY: takes nothing.
    unsafe { libc::gettid() }
}

/// Kills the calling process in the middle of whatever it does.
pub fn die() -> ! {
    // SAFETY: takes integers.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    pause_for_ever()
}

/// A segment with room for a few objects and many members.
pub fn segment() -> Segment {
    Segment::options().size(1 << 16).max_members(64).anonymous().expect("segment")
}

/// The same segment, mapped once more.
pub fn again(seg: &Segment) -> Segment {
    Segment::from_fd(seg.as_fd().try_clone_to_owned().expect("dup")).expect("from_fd")
}

/// A segment without its manners: the bytes, the slots, the calling thread's member.
pub struct Bare {
    attachment: Attachment,
    pub base: NonNull<u8>,
    pub fixed: Fixed,
}

// SAFETY: the mapping stays; all access is through atomics.
unsafe impl Send for Bare {}
// SAFETY: as above.
unsafe impl Sync for Bare {}

impl Bare {
    pub fn new(seg: &Segment) -> Bare {
        let path = format!("/proc/self/fd/{}", seg.as_fd().as_raw_fd());
        let file = File::options().read(true).write(true).open(path).expect("open");
        // SAFETY: a whole mapping of a sound segment's file, never unmapped; the header was checked by `Segment`.
        unsafe {
            let len = file.metadata().expect("metadata").len() as usize;
            let fd = libc::dup(file.as_raw_fd());
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let base = libc::mmap(std::ptr::null_mut(), len, access, libc::MAP_SHARED, fd, 0);
            assert_ne!(base, libc::MAP_FAILED);
            libc::close(fd);
            let base = NonNull::new(base.cast::<u8>()).expect("mapped");
            let fixed = base.cast::<Fixed>().read();
            let attachment =
                member::attach(OwnedFd::from_raw_fd(reopened(&file)), base, &fixed).expect("attach");
            Bare { attachment, base, fixed }
        }
    }

    pub fn member(&self) -> &Member {
        self.attachment.member().expect("member")
    }

    pub fn changing(&self) -> &Changing {
        // SAFETY: mapped and aligned; atomics.
        unsafe { &(*self.base.as_ptr().cast::<Header>()).changing }
    }

    pub fn slots(&self) -> u32 {
        self.fixed.max_members
    }

    pub fn slot_page(&self, index: u32) -> NonNull<u8> {
        assert!(index < self.slots());
        // SAFETY: inside the mapping.
        unsafe {
            self.base.add(self.fixed.slots_off as usize + index as usize * self.fixed.page_size as usize)
        }
    }

    pub fn description(&self, index: u32) -> &SlotPage {
        // SAFETY: mapped and aligned; atomics.
        unsafe { self.slot_page(index).cast().as_ref() }
    }

    /// A slot's word.
    pub fn slot(&self, index: u32) -> &AtomicU64 {
        let at = self.fixed.page_size as usize - SLOT_WORD_BACK;
        // SAFETY: inside the slot's page; aligned.
        unsafe { self.slot_page(index).add(at).cast().as_ref() }
    }

    /// How many slots are held by living members, as far as the table says.
    pub fn live(&self) -> usize {
        (0..self.slots()).filter(|&i| is_live(self.slot(i).load(Ordering::SeqCst))).count()
    }

    pub fn lives(&self, id: OwnerId) -> bool {
        let word = self.slot(id.slot()).load(Ordering::SeqCst);
        (word >> 32) as u32 == id.generation() && is_live(word)
    }

    /// A queue of the segment by its name, without its type.
    pub fn queue(&self, name: &str) -> RawQueue {
        let (at, size) = self.object(name);
        // SAFETY: the directory's word for it; the mapping stays.
        RawQueue::new(unsafe { Ring::attach(self.base.add(at), size) }.expect("a queue"))
    }

    /// A semaphore of the segment by its name.
    pub fn bounded_semaphore(&self, name: &str) -> RawBoundedSemaphore {
        let (at, size) = self.object(name);
        // SAFETY: the directory's word for it; the mapping stays.
        RawBoundedSemaphore::new(unsafe { Cells::attach(self.base.add(at), size) }.expect("a semaphore"))
    }

    /// Where an object is, and its bytes.
    pub fn object(&self, name: &str) -> (usize, usize) {
        for index in 0..self.fixed.max_objects as usize {
            let at = self.fixed.dir_off as usize + index * ENTRY_SIZE;
            // SAFETY: inside the directory; aligned; atomics.
            let entry: &Entry = unsafe { self.base.add(at).cast().as_ref() };
            let bytes: Vec<u8> =
                entry.name.iter().flat_map(|w| w.load(Ordering::Relaxed).to_le_bytes()).collect();
            let end = bytes.iter().position(|&b| b == 0).unwrap_or(0);
            if &bytes[..end] == name.as_bytes() {
                let (at, size) = (entry.offset.load(Ordering::Relaxed), entry.size.load(Ordering::Relaxed));
                return (at as usize, size as usize);
            }
        }
        panic!("no object {name}");
    }
}

fn is_live(word: u64) -> bool {
    const OWNER_DIED: u64 = 0x4000_0000;
    const CLAIMED: u64 = 0x2000_0000;
    word & (OWNER_DIED | CLAIMED) == 0 && word & 0x1fff_ffff != 0
}

fn reopened(file: &File) -> i32 {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::os::fd::IntoRawFd::into_raw_fd(File::options().read(true).write(true).open(path).expect("open"))
}

/// The robust lock inside a mutex.
pub fn raw<T: Plain>(mutex: &Mutex<T>) -> &RawMutex {
    // SAFETY: repr(C), and the lock comes first.
    unsafe { &*std::ptr::from_ref(mutex).cast() }
}

/// A small generator (xorshift64*), so that a failure can be repeated.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Walks the calling thread's robust list as the kernel would; how many entries. Panics where the kernel would stop.
pub fn walk_robust_list() -> usize {
    #[repr(C)]
    struct Head {
        next: *const Head,
        offset: isize,
        pending: *const u8,
    }
    let mut head: *const Head = std::ptr::null();
    let mut size = 0usize;
    // SAFETY: both outputs are writable; the head is this thread's own.
    unsafe {
        assert_eq!(libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut size), 0);
        assert!((*head).pending.is_null(), "pending was left set");
        let mut entries = 0;
        let mut at = (&raw const (*head).next).read_volatile();
        while at.map_addr(|a| a & !1) != head {
            assert!(entries < 2048, "the list does not end");
            assert!(is_readable(at.map_addr(|a| a & !1).cast()), "entry {entries} is not mapped");
            at = at.map_addr(|a| a & !1).cast::<*const Head>().read_unaligned();
            entries += 1;
        }
        entries
    }
}

/// Whether eight bytes can be read, asked of the kernel.
fn is_readable(at: *const u8) -> bool {
    let mut word = 0u64;
    let local = libc::iovec { iov_base: (&raw mut word).cast(), iov_len: 8 };
    let remote = libc::iovec { iov_base: at.cast_mut().cast(), iov_len: 8 };
    // SAFETY: the kernel checks the remote address; the local one is writable.
    unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) == 8 }
}
