//! Deaths: those that the kernel reports, and those that it does not.

use super::*;
use crate::kit::{Bare, Kid};
use crate::kit::{
    LONG, NET, await_sleep, await_thread_sleep, await_word, board, die, fork, gettid, pause_for_ever, raise,
    raw,
};
use interproc::raw::sync::Acquired;
use std::mem::forget;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Half of the net, in which no death that the kernel reports may have to wait on the median.
const AT_ONCE: Duration = Duration::from_millis(20);

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// How long a lock took that must find its owner dead.
#[track_caller]
fn inherits(m: &Mutex<u64>) -> Duration {
    let started = Instant::now();
    assert_eq!(got(m.lock_timeout(LONG)), Got::OwnerDied);
    started.elapsed()
}

pub fn the_death_of_a_thread_is_told_at_once() {
    let seg = kit::segment();
    let m = mutex(&seg);
    let bare = Bare::new(&seg);
    let one = || {
        let waiter_id = AtomicU64::new(0);
        std::thread::scope(|s| {
            let owner = s.spawn(|| {
                // As C does: the end of the thread is its death. (A guard would be the process's from then on.)
                assert_eq!(raw(&m).lock(bare.member(), None).expect("lock"), Acquired::Clean);
                // Until the waiter sleeps.
                await_word(&waiter_id, 1);
                await_thread_sleep(std::process::id() as i32, waiter_id.load(Ordering::SeqCst) as i32);
            });
            while !m.is_locked() {
                std::thread::yield_now();
            }
            let waiter = s.spawn(|| {
                waiter_id.store(gettid() as u64, Ordering::SeqCst);
                assert_eq!(got(m.lock_timeout(LONG)), Got::OwnerDied);
                Instant::now()
            });
            owner.join().expect("owner");
            let died_at = Instant::now();
            waiter.join().expect("waiter").saturating_duration_since(died_at)
        })
    };
    let times: Vec<_> = (0..15).map(|_| one()).collect();
    assert!(median(times.clone()) < AT_ONCE, "{times:?}");
}

pub fn the_death_of_a_thread_that_left_without_destructors_is_told_at_once() {
    let seg = kit::segment();
    let m = mutex(&seg);
    extern "C" fn body(m: *mut libc::c_void) -> *mut libc::c_void {
        // SAFETY: the mutex outlives the thread.
        let m: &Mutex<u64> = unsafe { &*m.cast() };
        forget(m.lock().expect("lock"));
        // SAFETY: ends this thread only, without the C library's knowledge.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
        std::ptr::null_mut()
    }
    for _ in 0..5 {
        // SAFETY: the thread is joined (by the kernel's clearing of its id) before the mutex goes.
        unsafe {
            let mut thread = std::mem::zeroed();
            let arg = std::ptr::from_ref(&*m).cast_mut().cast();
            assert_eq!(libc::pthread_create(&raw mut thread, std::ptr::null(), body, arg), 0);
            while !m.is_locked() {
                std::thread::yield_now();
            }
            assert!(inherits(&m) < NET);
            libc::pthread_join(thread, std::ptr::null_mut());
        }
    }
}

pub fn the_death_of_a_process_is_told_at_once() {
    let seg = kit::segment();
    let m = mutex(&seg);
    let one = || {
        let words = board();
        let owner = fork(|| {
            forget(m.lock().expect("lock"));
            raise(&words[0]);
            pause_for_ever();
        });
        await_word(&words[0], 1);
        let tid = AtomicU64::new(0);
        std::thread::scope(|s| {
            let waiter = s.spawn(|| {
                tid.store(gettid() as u64, Ordering::SeqCst);
                assert_eq!(got(m.lock_timeout(LONG)), Got::OwnerDied);
                Instant::now()
            });
            await_word(&tid, 1);
            await_thread_sleep(std::process::id() as i32, tid.load(Ordering::SeqCst) as i32);
            let killed_at = Instant::now();
            owner.finish();
            waiter.join().expect("waiter").saturating_duration_since(killed_at)
        })
    };
    let times: Vec<_> = (0..15).map(|_| one()).collect();
    assert!(median(times.clone()) < AT_ONCE, "{times:?}");
}

pub fn every_sleeper_goes_on_after_a_death() {
    let seg = kit::segment();
    let m = mutex(&seg);
    for _ in 0..5 {
        let words = board();
        let owner = fork(|| {
            forget(m.lock().expect("lock"));
            raise(&words[0]);
            pause_for_ever();
        });
        await_word(&words[0], 1);
        let waiter = || {
            fork(|| {
                let word = match got(m.lock_timeout(LONG)) {
                    Got::OwnerDied => &words[1],
                    Got::Clean => &words[2],
                    Got::Failed(kind) => panic!("{kind:?}"),
                };
                raise(word);
            })
        };
        let waiters: Vec<_> = (0..4).map(|_| waiter()).collect();
        waiters.iter().for_each(await_sleep);
        owner.finish();
        waiters.into_iter().for_each(kit::Kid::join);
        assert_eq!((words[1].load(Ordering::SeqCst), words[2].load(Ordering::SeqCst)), (1, 3));
    }
}

/// Becomes another program, which sleeps.
fn exec() -> ! {
    // SAFETY: C strings; on success it does not return.
    unsafe { libc::execl(c"/bin/sleep".as_ptr(), c"sleep".as_ptr(), c"60".as_ptr(), std::ptr::null::<u8>()) };
    panic!("no /bin/sleep");
}

pub fn an_exec_from_the_main_thread_is_a_death() {
    let seg = kit::segment();
    let m = mutex(&seg);
    let words = board();
    let owner = fork(|| {
        forget(m.lock().expect("lock"));
        raise(&words[0]);
        await_word(&words[1], 1);
        exec();
    });
    await_word(&words[0], 1);
    raise(&words[1]);
    assert!(inherits(&m) < NET);
    owner.finish();
}

pub fn an_exec_from_the_second_thread_is_found_by_the_net() {
    let seg = kit::segment();
    let m = mutex(&seg);
    for _ in 0..5 {
        let words = board();
        let owner = fork(|| {
            let second = || {
                forget(m.lock().expect("lock"));
                raise(&words[0]);
                await_word(&words[1], 1);
                exec();
            };
            let _ = std::thread::scope(|s| s.spawn(second).join());
        });
        await_word(&words[0], 1);
        // Two that sleep: the one who finds it tells the other.
        let other = fork(|| assert_ne!(got(m.lock_timeout(LONG)), Got::Failed(ErrorKind::TimedOut)));
        await_sleep(&other);
        raise(&words[1]);
        let started = Instant::now();
        assert_ne!(got(m.lock_timeout(LONG)), Got::Failed(ErrorKind::TimedOut));
        other.join();
        let took = started.elapsed();
        assert!(took < NET, "{took:?}");
        owner.finish();
    }
}

pub fn a_process_reaped_of_its_memory_before_it_ran_is_found_by_the_net() {
    // On one processor the killed process does not run before its memory is gone.
    // SAFETY: the set is initialised; affects this process and its children.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(0, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
    let seg = kit::segment();
    let m = mutex(&seg);
    let mut unreported = 0;
    for _ in 0..12 {
        let words = board();
        let owner = fork(|| {
            forget(m.lock().expect("lock"));
            raise(&words[0]);
            pause_for_ever();
        });
        await_word(&words[0], 1);
        let other = fork(|| assert_ne!(got(m.lock_timeout(LONG)), Got::Failed(ErrorKind::TimedOut)));
        await_sleep(&other);
        // SAFETY: takes integers; the descriptor is ours.
        unsafe {
            let pidfd = libc::syscall(libc::SYS_pidfd_open, owner.pid, 0);
            assert!(pidfd >= 0);
            let pidfd = OwnedFd::from_raw_fd(pidfd as i32);
            owner.kill();
            libc::syscall(libc::SYS_process_mrelease, pidfd.as_raw_fd(), 0);
        }
        let started = Instant::now();
        other.join();
        let took = started.elapsed();
        assert!(took < NET, "{took:?}");
        unreported += usize::from(took > Duration::from_millis(25));
        owner.finish();
    }
    println!("{unreported} of 12 deaths were not reported by the kernel");
    assert!(unreported > 0, "the kernel reported every death: the test tests nothing");
}

pub fn the_lock_of_a_zombie_is_inherited_by_who_opens_the_segment_later() {
    let seg = kit::segment();
    let m = mutex(&seg);
    let owner = fork(|| {
        forget(m.lock().expect("lock"));
        die();
    });
    assert!(support::eventually(LONG, support::has_zombie));
    let fd = seg.as_fd().try_clone_to_owned().expect("dup");
    drop((m, seg));
    let late = Segment::from_fd(fd).expect("from_fd");
    assert_eq!(got(mutex(&late).try_lock()), Got::OwnerDied);
    assert_eq!(got(mutex(&late).try_lock()), Got::Clean);
    owner.finish();
}

pub fn a_descriptor_sent_to_another_process_gives_it_a_seat_of_its_own() {
    let mut ends = [0; 2];
    // SAFETY: two descriptors fit.
    assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM, 0, ends.as_mut_ptr()) }, 0);
    let words = board();
    // Forked before there is a segment: the descriptor is all that it gets.
    let receiver = fork(|| {
        let seg = Segment::from_fd(receive(ends[1])).expect("from_fd");
        let m = mutex(&seg);
        forget(m.lock().expect("lock"));
        words[1].store(raw(&m).owner().expect("held").bits(), Ordering::SeqCst);
        raise(&words[0]);
        pause_for_ever();
    });
    let seg = kit::segment();
    let m = mutex(&seg);
    send(ends[0], seg.as_fd().as_raw_fd());
    await_word(&words[0], 1);
    assert_eq!(got(m.try_lock()), Got::Failed(ErrorKind::WouldBlock));
    receiver.finish();
    assert!(inherits(&m) < NET);
    // What was sent holds no seat: that of the receiver was its own, and is free.
    let fds: Vec<_> = (0..63).map(|_| seg.as_fd().try_clone_to_owned().expect("dup")).collect();
    assert!(fds.iter().all(|fd| fd.as_fd().as_raw_fd() >= 0));
}

#[repr(C, align(8))]
struct Control([u8; 24]); // CMSG_SPACE of one descriptor

fn message<R>(f: impl FnOnce(&mut libc::msghdr) -> R) -> R {
    let mut byte = [0u8];
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = Control([0; 24]);
    // SAFETY: all-zero is a valid header; the parts outlive the call.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = 24;
    f(&mut header)
}

fn send(socket: i32, fd: i32) {
    // SAFETY: the control buffer has room for one descriptor.
    message(|header| unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        (*control).cmsg_level = libc::SOL_SOCKET;
        (*control).cmsg_type = libc::SCM_RIGHTS;
        (*control).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(control).cast::<i32>().write_unaligned(fd);
        assert_eq!(libc::sendmsg(socket, header, 0), 1);
    });
}

fn receive(socket: i32) -> OwnedFd {
    // SAFETY: as above; the descriptor is new and ours.
    message(|header| unsafe {
        assert_eq!(libc::recvmsg(socket, header, libc::MSG_CMSG_CLOEXEC), 1);
        let control = libc::CMSG_FIRSTHDR(header);
        assert!(!control.is_null());
        OwnedFd::from_raw_fd(libc::CMSG_DATA(control).cast::<i32>().read_unaligned())
    })
}

/// How often a process has gone to sleep so far.
fn sleeps(kid: &Kid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", kid.pid)).expect("status");
    let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:")).expect("a count");
    line.trim().parse().expect("a number")
}

pub fn a_death_wakes_the_sleepers_once_and_not_each_other_for_ever() {
    let seg = kit::segment();
    let (idle, other) =
        (seg.queue::<u64>("idle", 4).expect("idle"), seg.queue::<u64>("other", 4).expect("other"));
    other.push(1).expect("push");
    let sleepers: Vec<Kid> = (0..40)
        .map(|_| {
            kit::fork(|| {
                let _ = idle.pop();
            })
        })
        .collect();
    sleepers.iter().for_each(kit::await_sleep);
    let before: u64 = sleepers.iter().map(sleeps).sum();
    // Dies in the middle of a pop: its pending pointer is at the bell.
    let mut victim = kit::fork(|| {
        let bare = Bare::new(&seg);
        let _ = bare.queue("other").pop_with(bare.member(), None, |_| kit::die());
    });
    victim.end();
    let rang = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(2));
        sleepers.iter().map(sleeps).sum::<u64>() > before
    });
    assert!(rang, "the bell woke nobody");
    std::thread::sleep(Duration::from_millis(100));
    let after: u64 = sleepers.iter().map(sleeps).sum();
    std::thread::sleep(Duration::from_millis(100));
    let later: u64 = sleepers.iter().map(sleeps).sum();
    assert!(later - after < 20, "{} wake-ups while nothing happened", later - after);
    assert!(other.pop_delivery().expect("pop").redelivered);
    idle.close().expect("close");
    sleepers.into_iter().for_each(Kid::join);
}
