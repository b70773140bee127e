//! The specification of the latest value.

use crate::kit::{self, LONG, NET, await_word, board, raise};
use crate::place::{MANY, Place, await_asleep, say_where, under_signals};
use interproc::queue::{Latest, Versioned};
use interproc::{Deadline, ErrorKind, Segment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const WORDS: usize = 64;
type Value = [u64; WORDS];

fn latest(seg: &Segment) -> Latest<Value> {
    seg.latest("latest", [0; WORDS]).expect("latest")
}

/// The number that a whole value is made of.
fn whole(value: Value) -> u64 {
    assert!(value == [value[0]; WORDS], "torn: {value:x?}");
    value[0]
}

fn kind<T>(answer: interproc::Result<T>) -> Result<T, ErrorKind> {
    answer.map_err(|e| e.kind())
}

/// Kills the calling user in the middle of a set: by a fault of its own making, its value ends where memory does.
fn die_in_mid_set(at: Place, seg: &Segment) -> ! {
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: two new pages, the second of which is taken away; what is read beyond the first faults, and the handler ends
    // this user.
    unsafe {
        let pages = libc::mmap(std::ptr::null_mut(), 8192, access, flags, -1, 0);
        assert_ne!(pages, libc::MAP_FAILED);
        pages.cast::<u64>().cast::<[u64; 512]>().write([u64::MAX; 512]);
        libc::mprotect(pages.byte_add(4096), 4096, libc::PROT_NONE);
        let mut action: libc::sigaction = std::mem::zeroed();
        let handler: extern "C" fn(i32) = if at == Place::Processes { end_process } else { end_thread };
        action.sa_sigaction = handler as usize;
        libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut());
        let value = pages.byte_add(4096 - size_of::<Value>() / 2).cast::<Value>();
        let _ = latest(seg).set_ref(&*value);
    }
    unreachable!()
}

extern "C" fn end_process(_: i32) {
    // SAFETY: takes integers; async-signal-safe.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

extern "C" fn end_thread(_: i32) {
    // SAFETY: ends this thread only.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

pub fn readers_see_whole_values_that_only_get_newer(at: Place) {
    const SETS: u64 = 20_000;
    let seg = kit::segment();
    let l = latest(&seg);
    let words = board();
    let writer = |_| {
        at.start(&seg, |seg| {
            let l = latest(seg);
            for _ in 0..SETS / 2 {
                let n = raise(&words[0]);
                l.set([n; WORDS]).expect("set");
            }
            raise(&words[1]);
        })
    };
    let reader = |_| {
        at.start(&seg, |seg| {
            let l = latest(seg);
            let (mut last, mut reads) = (0, 0u64);
            while words[1].load(Ordering::SeqCst) < 2 || reads < 100 {
                let Versioned { value, version } = l.get_versioned().expect("get");
                whole(value);
                assert!(version >= last, "{version} after {last}");
                last = version;
                reads += 1;
            }
            assert_eq!(l.get_versioned().expect("get").version, SETS);
        })
    };
    let readers: Vec<_> = (0..6).map(reader).collect();
    let writers: Vec<_> = (0..2).map(writer).collect();
    writers.into_iter().for_each(|w| w.join());
    readers.into_iter().for_each(|r| r.join());
    assert_eq!(l.version(), SETS);
}

pub fn the_first_value_is_whose_makers_it_is_and_versions_count_sets(at: Place) {
    let seg = kit::segment();
    let l = seg.latest("first", 7u32).expect("latest");
    assert_eq!((kind(l.get()), l.version()), (Ok(7), 0));
    at.start(&seg, |seg| {
        let l = seg.latest("first", 99u32).expect("latest");
        assert_eq!(l.get_versioned().expect("get"), Versioned { value: 7, version: 0 });
        assert_eq!(
            (kind(l.set(8)), kind(l.try_set(9)), kind(l.set_timeout(10, LONG))),
            (Ok(1), Ok(2), Ok(3))
        );
    })
    .join();
    assert_eq!(l.get_versioned().expect("get"), Versioned { value: 10, version: 3 });
    // Another size, another number of announcements, another kind.
    assert_eq!(kind(seg.latest("first", 7u64).map(drop)), Err(ErrorKind::TypeMismatch));
    assert_eq!(kind(seg.latest_for("first", 7u32, 5).map(drop)), Err(ErrorKind::TypeMismatch));
    assert_eq!(kind(seg.queue::<u32>("first", 5).map(drop)), Err(ErrorKind::TypeMismatch));
    assert_eq!(kind(seg.latest_for("many", 7u32, 251).map(drop)), Err(ErrorKind::InvalidInput));
    // Odd sizes, and no announcement at all.
    let odd = seg.latest_for("odd", [1u8, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 0).expect("latest");
    assert_eq!(kind(odd.get()), Ok([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
    for n in 0..9 {
        odd.set([n; 11]).expect("set");
        assert_eq!(kind(odd.get()), Ok([n; 11]));
    }
}

pub fn who_waits_for_a_newer_value_is_told_at_once(at: Place) {
    let seg = kit::segment();
    let l = latest(&seg);
    let words = board();
    let waiters: Vec<_> = (0..3)
        .map(|n| {
            at.start(&seg, move |seg| {
                say_where(&words[n]);
                let newer = latest(seg).wait_newer(1).expect("newer");
                assert_eq!((whole(newer.value), newer.version), (2, 2));
                raise(&words[8]);
            })
        })
        .collect();
    (0..3).for_each(|n| await_asleep(&words[n]));
    assert_eq!(l.waiters().expect("waiters"), 3);
    l.set([1; WORDS]).expect("set");
    (0..3).for_each(|n| await_asleep(&words[n]));
    assert_eq!(words[8].load(Ordering::SeqCst), 0, "version 1 is not newer");
    let started = Instant::now();
    at.start(&seg, |seg| drop(latest(seg).set([2; WORDS]))).join();
    waiters.into_iter().for_each(|w| w.join());
    assert!(started.elapsed() < NET);
    // What is there already, and what does not come.
    let past = Deadline::from_monotonic_ns(1);
    assert_eq!(kind(l.wait_newer_until(1, past).map(|v| v.version)), Ok(2));
    assert_eq!(kind(l.wait_newer_until(2, past).map(drop)), Err(ErrorKind::TimedOut));
    let started = Instant::now();
    let long = Duration::from_millis(30);
    assert_eq!(kind(l.wait_newer_timeout(2, long).map(drop)), Err(ErrorKind::TimedOut));
    assert!(started.elapsed() >= long && started.elapsed() < long + NET);
}

pub fn a_writer_that_dies_costs_its_value_and_nothing_else(at: Place) {
    let seg = kit::segment();
    let l = latest(&seg);
    for round in 1..=6 {
        l.set([round; WORDS]).expect("set");
        at.start(&seg, move |seg| die_in_mid_set(at, seg)).gone();
        assert_eq!((whole(l.get().expect("get")), l.version()), (round, round));
        let named = l.writer().expect("writer").expect("the dead one");
        assert!(!named.alive);
        at.start(&seg, |seg| assert!(latest(seg).get().is_ok())).join();
    }
    assert_eq!(kind(l.try_set([9; WORDS])), Ok(7));
    assert_eq!(l.writer().expect("writer"), None);
}

pub fn who_waits_to_set_goes_on_when_the_writer_dies(at: Place) {
    // A thread alone cannot be stopped.
    if at != Place::Processes {
        return;
    }
    let seg = kit::segment();
    let l = latest(&seg);
    let words = board();
    let crate::place::Actor::Process(kid) = at.start(&seg, move |seg| {
        extern "C" fn stop(_: i32) {
            // SAFETY: stops this process; async-signal-safe.
            unsafe { libc::raise(libc::SIGSTOP) };
        }
        // The fault stops it in the middle; continued, it faults again.
        let handler: extern "C" fn(i32) = stop;
        // SAFETY: as in `die_in_mid_set`, whose handler this one replaces as the last to be set.
        unsafe {
            let pages = libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as usize;
            libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut());
            let _ = latest(seg).set_ref(&*pages.cast::<Value>());
        }
    }) else {
        unreachable!()
    };
    kid.wait_stopped();
    // Readers do not care; writers do, and know why.
    assert_eq!(whole(l.get().expect("get")), 0);
    assert_eq!(kind(l.try_set([1; WORDS])), Err(ErrorKind::WouldBlock));
    assert_eq!(kind(l.set_timeout([1; WORDS], Duration::from_millis(60))), Err(ErrorKind::TimedOut));
    let named = l.writer().expect("writer").expect("it is stopped in it");
    assert_eq!((named.pid, named.alive), (kid.pid as u32, true));
    let waiter = at.start(&seg, |seg| {
        say_where(&words[0]);
        assert_eq!(kind(latest(seg).set([2; WORDS])), Ok(1));
    });
    await_asleep(&words[0]);
    let started = Instant::now();
    kid.finish();
    waiter.join();
    assert!(started.elapsed() < NET);
    assert_eq!(whole(l.get().expect("get")), 2);
}

pub fn a_read_makes_nobody_a_member(at: Place) {
    let seg = kit::segment();
    latest(&seg).set([3; WORDS]).expect("set");
    let bare = kit::Bare::new(&seg);
    let before = bare.live();
    let words = board();
    let reader = at.start(&seg, |seg| {
        assert_eq!(whole(latest(seg).get().expect("get")), 3);
        raise(&words[0]);
        await_word(&words[1], 1);
    });
    await_word(&words[0], 1);
    // Looking the object up takes no lock either.
    assert!(bare.live() <= before, "a reader has a slot");
    raise(&words[1]);
    reader.join();
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let seg = kit::segment();
    let l = latest(&seg);
    let words = board();
    let waiter = at.start(&seg, |seg| {
        let l = latest(seg);
        let newer = under_signals(&words[0], || l.wait_newer(0)).expect("newer");
        assert_eq!(newer.version, 1);
    });
    await_word(&words[0], MANY);
    l.set([1; WORDS]).expect("set");
    waiter.join();
}

pub fn what_was_done_before_a_set_is_seen_after_the_read(at: Place) {
    let seg = kit::segment();
    let l: Latest<u64> = seg.latest("number", 0).expect("latest");
    let data = seg.object("data", || AtomicU64::new(0)).expect("object");
    let writer = at.start(&seg, |seg| {
        let l: Latest<u64> = seg.latest("number", 0).expect("latest");
        let data = seg.object("data", || AtomicU64::new(0)).expect("object");
        for n in 1..=20_000 {
            data.store(n, Ordering::Relaxed);
            l.set(n).expect("set");
        }
    });
    let mut seen = 0;
    while seen < 20_000 {
        seen = l.get().expect("get");
        assert!(data.load(Ordering::Relaxed) >= seen);
    }
    writer.join();
}
