//! The kernel calls of the engine, each with its failure turned into a panic or an `Option`: a failed call here
//! is a fault of the engine or of the machine, never a finding.

use std::sync::atomic::{AtomicU32, Ordering};

/// Panics with errno's text when `rc` says failure.
fn must(rc: i64, what: &str) -> i64 {
    assert!(rc != -1, "{what}: {}", std::io::Error::last_os_error());
    rc
}

/// `CLOCK_MONOTONIC` in nanoseconds.
pub fn now() -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is writable.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut ts) };
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

/// A zeroed value in memory that forked children share. Never unmapped: there are a few in a run.
pub fn shared<T>() -> &'static T {
    let len = size_of::<T>().max(1);
    // SAFETY: a new mapping at no fixed address, zeroed and large enough; callers only ask for types of atomics
    // and plain data for which zeroes are valid.
    unsafe {
        let p = libc::mmap(
            std::ptr::null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert!(p != libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
        &*p.cast::<T>()
    }
}

/// A child process: its id and a descriptor that polls readable once it is dead.
pub struct Child {
    /// Process id.
    pub pid: i32,
    /// Process descriptor.
    pub fd: i32,
}

/// Forks; the child runs `body` and exits with its code. It dies with its parent, and never unwinds into it.
pub fn fork(body: impl FnOnce() -> i32) -> Child {
    let parent = std::process::id();
    // SAFETY: the engine's processes have one thread each, so the child may do anything.
    let pid = must(unsafe { libc::fork() }.into(), "fork") as i32;
    if pid == 0 {
        // SAFETY: plain system calls; `_exit` runs no handlers of the parent's.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if std::os::unix::process::parent_id() != parent {
                libc::_exit(0); // it died before this child asked to be told
            }
            unblock_sigchld();
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(101);
            libc::_exit(code);
        }
    }
    Child::of(pid)
}

impl Child {
    /// The process of this number, which is our child or stands still for us.
    pub fn of(pid: i32) -> Child {
        // SAFETY: plain system call.
        let fd = must(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }, "pidfd_open") as i32;
        Child { pid, fd }
    }

    /// Waits for the end, at most until `deadline` (monotonic ns). False when it still runs.
    pub fn ended_by(&self, deadline: u64) -> bool {
        poll(&[self.fd], deadline.saturating_sub(now()))
    }

    /// SIGKILL, if it still lives.
    pub fn kill(&self) {
        // SAFETY: plain system call on a descriptor of ours; a dead process is an error code.
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.fd, libc::SIGKILL, 0usize, 0) };
    }

    /// Kills if need be, reaps, gives the wait status.
    pub fn finish(self) -> i32 {
        self.kill();
        reap(self.pid)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours.
        unsafe { libc::close(self.fd) };
    }
}

/// True as soon as one of the descriptors is readable, false after `ns`.
pub fn poll(fds: &[i32], ns: u64) -> bool {
    let mut list: Vec<libc::pollfd> =
        fds.iter().map(|&fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    let ts = libc::timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 };
    // SAFETY: list and time outlive the call.
    let n = unsafe { libc::ppoll(list.as_mut_ptr(), list.len() as u64, &raw const ts, std::ptr::null()) };
    n > 0
}

/// Reaps a child (or a traced thread of one) that is dead or about to die. 0 if that was done before.
pub fn reap(pid: i32) -> i32 {
    while let Some(status) = wait(pid, 0) {
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            return status;
        }
    }
    0
}

/// Waits until a child is dead and leaves it a zombie.
pub fn await_zombie(pid: i32) {
    // SAFETY: all-zero is a valid `siginfo_t`, written by the kernel.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOWAIT;
        must(libc::waitid(libc::P_PID, pid as u32, &raw mut info, flags).into(), "waitid");
    }
}

/// `waitpid` for a process or a traced thread. `None` when `WNOHANG` found nothing, or it was reaped before.
pub fn wait(pid: i32, flags: i32) -> Option<i32> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is writable.
        match unsafe { libc::waitpid(pid, &raw mut status, flags | libc::__WALL) } {
            0 => return None,
            -1 if std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => continue,
            -1 => return None,
            _ => return Some(status),
        }
    }
}

/// As [`wait`], at most until `deadline`. Needs SIGCHLD blocked.
pub fn wait_until(pid: i32, deadline: u64) -> Option<i32> {
    loop {
        if let Some(status) = wait(pid, libc::WNOHANG) {
            return Some(status);
        }
        let left = deadline.checked_sub(now())?;
        let ts =
            libc::timespec { tv_sec: (left / 1_000_000_000) as i64, tv_nsec: (left % 1_000_000_000) as i64 };
        let set = sigchld();
        // SAFETY: the set is initialised; it and the time outlive the call.
        unsafe { libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const ts) };
    }
}

fn sigchld() -> libc::sigset_t {
    // SAFETY: sigemptyset initialises the set.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        set
    }
}

/// Blocks SIGCHLD, so that [`wait_until`] can wait for it.
pub fn block_sigchld() {
    let set = sigchld();
    // SAFETY: the set is initialised.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

fn unblock_sigchld() {
    let set = sigchld();
    // SAFETY: the set is initialised.
    unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) };
}

/// The processors that this process may use.
pub fn processors() -> Vec<usize> {
    // SAFETY: all-zero is a valid set, written by the kernel.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        must(
            libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set).into(),
            "sched_getaffinity",
        );
        (0..libc::CPU_SETSIZE as usize).filter(|&i| libc::CPU_ISSET(i, &set)).collect()
    }
}

/// Ties a thread (0: the caller) to these processors.
pub fn pin(tid: i32, processors: &[usize]) {
    // SAFETY: the set is initialised and outlives the call.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        processors.iter().for_each(|&i| libc::CPU_SET(i, &mut set));
        libc::sched_setaffinity(tid, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}

/// Whether a thread sleeps in the kernel, interruptibly: state `S` of /proc.
pub fn asleep(pid: i32, tid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, after)| after.starts_with(" S"))
}

/// Gives the processor away once.
pub fn yield_now() {
    // SAFETY: plain system call.
    unsafe { libc::sched_yield() };
}

/// The calling thread's id.
pub fn tid() -> u32 {
    // SAFETY: plain system call.
    unsafe { libc::gettid() as u32 }
}

/// Sleeps while `word` holds `value`, at most until `deadline`. False when the time is over.
pub fn futex_wait(word: &AtomicU32, value: u32, deadline: u64) -> bool {
    while word.load(Ordering::SeqCst) == value {
        let ts = libc::timespec {
            tv_sec: (deadline / 1_000_000_000) as i64,
            tv_nsec: (deadline % 1_000_000_000) as i64,
        };
        if now() >= deadline {
            return false;
        }
        // SAFETY: the word is a live atomic, the time outlives the call.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                word.as_ptr(),
                libc::FUTEX_WAIT_BITSET,
                value,
                &raw const ts,
                std::ptr::null::<u32>(),
                libc::FUTEX_BITSET_MATCH_ANY,
            )
        };
    }
    true
}

/// Stores and wakes all who wait for a change.
pub fn futex_set(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::SeqCst);
    // SAFETY: the word is a live atomic.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}

/// Kills the calling process.
pub fn die() -> ! {
    loop {
        // SAFETY: plain system call.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
}

/// Waits until a thread sleeps in the kernel.
pub fn await_sleep(pid: i32, tid: i32) {
    while !asleep(pid, tid) {
        yield_now();
    }
}
