//! A step of the wall clock (`CLOCK_REALTIME`: an administrator's, NTP's) changes no wait.
//!
//! Nobody's clock is stepped here. What a step could change is taken away instead:
//!
//! - *in the kernel*: a seccomp filter kills the process at any system call that sleeps on the wall clock;
//! - *in user space*: this program has its own `clock_gettime`, `gettimeofday` and `time`, by which the wall clock leaps
//!   a year with each look, forwards and back.
//!
//! Under both, each timed wait of each object must end for its own reason: not before its time, and not a year late. That
//! the filter and the clock do what is said here is tested first.

#[macro_use]
mod support;

use interproc::process::{Builder, Child};
use interproc::sync::{Condvar, Event, Mutex, Once, RecursiveMutex, RwLock, Semaphore};
use interproc::{ErrorKind, Object, Segment};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

const YEAR: i64 = 365 * 24 * 3600;

/// How far the wall clock is off now.
fn leap() -> i64 {
    static LEAP: AtomicI64 = AtomicI64::new(YEAR);
    -LEAP.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |leap| Some(-leap)).expect("always some")
}

/// The C library's, for this whole program.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    // SAFETY: by the caller's contract `time` is writable.
    unsafe {
        let rc = libc::syscall(libc::SYS_clock_gettime, clock, time);
        if rc == 0 && (clock == libc::CLOCK_REALTIME || clock == libc::CLOCK_REALTIME_COARSE) {
            (*time).tv_sec += leap();
        }
        rc as libc::c_int
    }
}

/// As [`clock_gettime`].
#[unsafe(no_mangle)]
unsafe extern "C" fn gettimeofday(time: *mut libc::timeval, _zone: *mut libc::c_void) -> libc::c_int {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: by the caller's contract `time` is writable.
    unsafe {
        let rc = clock_gettime(libc::CLOCK_REALTIME, &raw mut now);
        time.write(libc::timeval { tv_sec: now.tv_sec, tv_usec: now.tv_nsec / 1000 });
        rc
    }
}

/// As [`clock_gettime`].
#[unsafe(no_mangle)]
unsafe extern "C" fn time(out: *mut libc::time_t) -> libc::time_t {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: by the caller's contract `out` is NULL or writable.
    unsafe {
        clock_gettime(libc::CLOCK_REALTIME, &raw mut now);
        if !out.is_null() {
            out.write(now.tv_sec);
        }
    }
    now.tv_sec
}

/// What the kernel is said to have: with `futex_waitv` missing (before Linux 5.16) all sleeps go another way.
#[derive(Clone, Copy)]
enum Kernel {
    Whole,
    WithoutWaitv,
}

/// Nothing that sleeps on the wall clock may be called from here on, by anybody in this process or its children. A wait
/// that is counted from now on (relative) may: it is no matter of the clock's.
fn forbid_the_wall_clock(kernel: Kernel) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    /// From `struct seccomp_data`: the number; the low half of an argument.
    const NUMBER: u32 = 0;
    const fn argument(n: u32) -> u32 {
        16 + 8 * n
    }
    // (jump if so, jump if not): instructions to skip.
    let line = |code, k, so, not| libc::sock_filter { code, jt: so, jf: not, k };
    let kill = line(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0);
    let allow = line(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0);
    // "This call with this argument equal to 0, which is CLOCK_REALTIME."
    let on_clock = |call: libc::c_long, argument_at: u32| {
        [
            line(LOAD, NUMBER, 0, 0),
            line(EQUAL, call as u32, 0, 3),
            line(LOAD, argument_at, 0, 0),
            line(EQUAL, libc::CLOCK_REALTIME as u32, 0, 1),
            kill,
        ]
    };
    let missing = line(RETURN, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32, 0, 0);
    let mut filter = match kernel {
        Kernel::Whole => vec![],
        Kernel::WithoutWaitv => {
            vec![line(LOAD, NUMBER, 0, 0), line(EQUAL, libc::SYS_futex_waitv as u32, 0, 1), missing]
        }
    };
    filter.extend([
        line(LOAD, NUMBER, 0, 0),
        line(EQUAL, libc::SYS_futex as u32, 0, 3),
        line(LOAD, argument(1), 0, 0),
        line(ANY_BIT, libc::FUTEX_CLOCK_REALTIME as u32, 0, 1),
        kill,
    ]);
    filter.extend(on_clock(libc::SYS_futex_waitv, argument(4)));
    filter.extend(on_clock(libc::SYS_timerfd_create, argument(0)));
    filter.extend(on_clock(libc::SYS_timer_create, argument(0)));
    // Counted from now it would be right; but nobody here has a reason to.
    filter.extend(on_clock(libc::SYS_clock_nanosleep, argument(0)));
    filter.push(allow);
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program is whole, and lives as long as the call.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
}

/// How a child ends that does this under the filter.
fn under_the_filter(body: impl FnOnce()) -> Option<i32> {
    let child = Builder::new().fork(|| {
        forbid_the_wall_clock(Kernel::Whole);
        body();
    });
    child.expect("a child").join().expect("its end").signal()
}

fn what_sleeps_on_the_wall_clock_is_stopped_and_who_looks_at_it_sees_it_leap() {
    let word = 0u32;
    let futex = |operation: libc::c_int| {
        let soon = libc::timespec { tv_sec: 0, tv_nsec: 1 };
        // SAFETY: the word and the time live as long as the call.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                &raw const word,
                operation,
                0,
                &raw const soon,
                0,
                libc::FUTEX_BITSET_MATCH_ANY,
            );
        }
    };
    let waitv = |clock: libc::clockid_t| {
        let soon = libc::timespec { tv_sec: 0, tv_nsec: 1 };
        // One entry: value, address, size in bytes as log2, reserved.
        let list = [0u64, (&raw const word).addr() as u64, 2];
        // SAFETY: as above.
        unsafe { libc::syscall(libc::SYS_futex_waitv, list.as_ptr(), 1, 0, &raw const soon, clock) };
    };
    assert_eq!(under_the_filter(|| futex(libc::FUTEX_WAIT_BITSET)), None);
    assert_eq!(
        under_the_filter(|| futex(libc::FUTEX_WAIT_BITSET | libc::FUTEX_CLOCK_REALTIME)),
        Some(libc::SIGSYS)
    );
    assert_eq!(under_the_filter(|| waitv(libc::CLOCK_MONOTONIC)), None);
    assert_eq!(under_the_filter(|| waitv(libc::CLOCK_REALTIME)), Some(libc::SIGSYS));
    // The C library's own timed lock, which is of the wall clock by its specification.
    let posix = || {
        // SAFETY: initialised before use; locked twice by one thread, which waits for itself until that time.
        unsafe {
            let mut mutex: libc::pthread_mutex_t = std::mem::zeroed();
            libc::pthread_mutex_init(&raw mut mutex, std::ptr::null());
            libc::pthread_mutex_lock(&raw mut mutex);
            let mut soon = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_REALTIME, &raw mut soon);
            soon.tv_sec += 1;
            libc::pthread_mutex_timedlock(&raw mut mutex, &raw const soon);
        }
    };
    assert_eq!(under_the_filter(posix), Some(libc::SIGSYS));
    let looks = [(); 3].map(|()| SystemTime::now());
    let apart = |a: SystemTime, b: SystemTime| a.duration_since(b).unwrap_or_else(|e| e.duration());
    assert!(
        apart(looks[0], looks[1]).as_secs() > YEAR as u64
            && apart(looks[1], looks[2]).as_secs() > YEAR as u64
    );
    assert!(Instant::now().elapsed() < Duration::from_secs(60));
}

/// Longer than the net.
const TIME: Duration = Duration::from_millis(70);
/// Not for ever.
const LATE: Duration = Duration::from_secs(20);

fn in_time<R>(what: &str, wait: impl FnOnce() -> R) -> R {
    let started = Instant::now();
    let result = wait();
    let took = started.elapsed();
    assert!(took >= TIME, "{what}: gave up after {took:?} of {TIME:?}");
    assert!(took < LATE, "{what}: {took:?} instead of {TIME:?}");
    result
}

struct Locks {
    mutex: Object<Mutex<u64>>,
    recursive: Object<RecursiveMutex<u64>>,
    written: Object<RwLock<u64>>,
    read: Object<RwLock<u64>>,
    cond: Object<Condvar>,
    others: Object<Mutex<u64>>,
    semaphore: Object<Semaphore>,
    event: Object<Event>,
    once: Object<Once>,
}

impl Locks {
    fn new(seg: &Segment) -> interproc::Result<Locks> {
        Ok(Locks {
            mutex: seg.object("mutex", || Mutex::new(0))?,
            recursive: seg.object("recursive", || RecursiveMutex::new(0))?,
            written: seg.object("written", || RwLock::new(0))?,
            read: seg.object("read", || RwLock::new(0))?,
            cond: seg.object("cond", Condvar::new)?,
            others: seg.object("others", || Mutex::new(0))?,
            semaphore: seg.object("semaphore", || Semaphore::new(0))?,
            event: seg.object("event", Event::new)?,
            once: seg.object("once", Once::new)?,
        })
    }
}

/// Somebody holds everything; then is killed.
fn holder(locks: &Locks, permits: &interproc::sync::BoundedSemaphore, ready: &Event) -> Child {
    let holds = || {
        let _all = (
            locks.mutex.lock().expect("free"),
            locks.recursive.lock().expect("free"),
            locks.written.write().expect("free"),
            locks.read.read().expect("free"),
            permits.acquire().expect("free"),
        );
        let _ = locks.once.call(|_| {
            ready.set();
            std::thread::sleep(Duration::from_secs(3600));
        });
    };
    let child = Builder::new().fork(holds).expect("a child");
    ready.wait().expect("a member");
    child
}

fn every_timed_wait_ends_in_its_time_while_the_wall_clock_leaps() {
    every_timed_wait_ends_in_its_time(Kernel::Whole);
}

fn so_does_it_where_one_word_alone_can_be_watched() {
    every_timed_wait_ends_in_its_time(Kernel::WithoutWaitv);
}

fn every_timed_wait_ends_in_its_time(kernel: Kernel) {
    let seg = Segment::anonymous(1 << 16).expect("a segment");
    let locks = Locks::new(&seg).expect("objects");
    let permits = seg.bounded_semaphore("permits", 1).expect("permits");
    let barrier = seg.barrier("barrier", 2).expect("a barrier");
    let ready = seg.object("ready", Event::new).expect("an event");
    let (full, empty) =
        (seg.queue::<u64>("full", 1).expect("a queue"), seg.queue::<u64>("empty", 1).expect("a queue"));
    full.push(1).expect("room");
    let child = holder(&locks, &permits, &ready);
    forbid_the_wall_clock(kernel);

    let kind = |e: interproc::Error| e.kind();
    let late = Err(ErrorKind::TimedOut);
    let m = &locks;
    assert_eq!(in_time("mutex", || m.mutex.lock_timeout(TIME).map(drop)).map_err(|e| e.error().kind()), late);
    assert_eq!(
        in_time("recursive", || m.recursive.lock_timeout(TIME).map(drop)).map_err(|e| e.error().kind()),
        late
    );
    assert_eq!(
        in_time("a reader", || m.written.read_timeout(TIME).map(drop)).map_err(|e| e.error().kind()),
        late
    );
    assert_eq!(
        in_time("a writer", || m.written.write_timeout(TIME).map(drop)).map_err(|e| e.error().kind()),
        late
    );
    assert_eq!(
        in_time("before a reader", || m.read.write_timeout(TIME).map(drop)).map_err(|e| e.error().kind()),
        late
    );
    assert_eq!(in_time("semaphore", || m.semaphore.acquire_timeout(TIME)).map_err(kind), late);
    assert_eq!(in_time("event", || m.event.wait_timeout(TIME)).map_err(kind), late);
    assert_eq!(in_time("once", || m.once.call_timeout(TIME, |_| ())).map_err(kind), late);
    assert_eq!(in_time("permits", || permits.acquire_timeout(TIME).map(drop)).map_err(kind), late);
    assert_eq!(in_time("barrier", || barrier.wait_timeout(TIME).map(drop)).map_err(kind), late);
    assert_eq!(in_time("for a message", || empty.pop_timeout(TIME).map(drop)).map_err(kind), late);
    assert_eq!(
        in_time("for room", || full.push_timeout(2, TIME)).map_err(|e| interproc::Error::from(e).kind()),
        late
    );
    assert_eq!(in_time("a child", || child.join_timeout(TIME).map(drop)).map_err(kind), late);
    let guard = m.others.lock().expect("free");
    // A single wait may end earlier, without a reason.
    let (guard, waited) =
        in_time("cond", || m.cond.wait_while_timeout(guard, TIME, |_| true)).expect("nobody dies");
    assert!(waited.timed_out());
    drop(guard);

    // And what is not timed ends when it should.
    child.kill().expect("our child");
    assert!(
        m.mutex.lock().is_err() && m.written.read().is_err() && permits.acquire().expect("free").owner_died()
    );
    drop(m.read.write().expect("a dead reader is no news"));
    assert_eq!(child.join().expect("its end").signal(), Some(libc::SIGKILL));
}

fn main() {
    support::run(tests![
        what_sleeps_on_the_wall_clock_is_stopped_and_who_looks_at_it_sees_it_leap,
        every_timed_wait_ends_in_its_time_while_the_wall_clock_leaps,
        so_does_it_where_one_word_alone_can_be_watched,
    ])
}
