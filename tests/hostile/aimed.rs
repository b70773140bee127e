//! A few words that once made a call endless or slow.

use crate::cells;
use crate::kit::LONG;
use crate::meter::Meter;
use crate::peer::Scribbler;
use crate::subjects::Named;
use interproc::ErrorKind;
use interproc::queue::WorkOptions;
use interproc::raw::format::{Changing, DOORS, Header};
use interproc::sync::{Condvar, Event, Mutex, RecursiveLockError, RecursiveMutex, RwLock, Semaphore};
use interproc::waitset::{Key, WaitSet};
use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Runs `f` beside the test until this is dropped.
fn beside<R>(f: impl Fn() + Send + Sync, body: impl FnOnce() -> R) -> R {
    let done = AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                f();
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        done.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

pub fn a_wait_with_a_recursive_lock_ends_when_its_lock_is_marked_unusable_and_more() {
    let named = Named::new(4096);
    let m = named.seg.object("m", || RecursiveMutex::new(0u64)).expect("room");
    let c = named.seg.object("c", Condvar::new).expect("room");
    let peer = Scribbler::new(&named.seg);
    let (at, _) = peer.find(&named.seg, "m");
    let mut meter = Meter::new();
    let (unusable, kept, awaited) = (1 << 61, 1 << 60, 1 << 57);
    for marks in [unusable, unusable | kept, unusable | kept | awaited | 1 << 62, !0xffff_ffff_ffff] {
        peer.write(at, 0);
        peer.write(at + 8, 0);
        let first = m.lock().expect("free");
        let second = m.lock().expect("ours");
        std::thread::scope(|s| {
            s.spawn(|| {
                // Once it waits: nobody has the lock, and somebody waits under it.
                while peer.read(at) != awaited {
                    std::thread::yield_now();
                }
                peer.write(at, marks);
            });
            let waited = meter.timed("wait_until", |_| c.wait_timeout(second, Duration::from_millis(30)));
            assert!(matches!(waited, Err(RecursiveLockError::OwnerDied(_))), "{marks:#x}");
        });
        drop(first);
    }
}

pub fn a_writer_becomes_a_reader_though_every_place_is_said_to_be_taken() {
    let named = Named::new(4096);
    let lock = named.seg.object("l", || RwLock::new(0u64)).expect("room");
    let peer = Scribbler::new(&named.seg);
    let (at, _) = peer.find(&named.seg, "l");
    let other = named.seg.object("m", || Mutex::new(0u64)).expect("room");
    let mut meter = Meter::new();
    std::thread::scope(|s| {
        let (here, ready) = std::sync::mpsc::channel();
        let (end, wait) = std::sync::mpsc::channel::<()>();
        let other = &other;
        s.spawn(move || {
            // Somebody alive, to be named.
            drop(other.lock().expect("nobody dies"));
            here.send(()).expect("awaited");
            let _ = wait.recv();
        });
        ready.recv().expect("it lives");
        let before = peer.living();
        drop(lock.write().expect("free"));
        let mine = *peer.living().iter().find(|id| !before.contains(id)).unwrap_or(&peer.living()[0]);
        for name in [mine, before[0]] {
            let guard = meter.timed("write", |deadline| lock.write_until(deadline)).expect("free");
            for cell in 0..6 {
                peer.write(at + 16 + 8 * cell, name | 1 << 48);
            }
            for id in peer.living() {
                (0..16).for_each(|n| peer.write(peer.holds(id) + 8 * n, 0x1000 | 1 << 48));
            }
            let read = meter.timed("downgrade", |_| guard.downgrade());
            assert_eq!(*read, 0);
            for id in peer.living() {
                (0..16).for_each(|n| peer.write(peer.holds(id) + 8 * n, 0));
            }
            drop(read);
            (0..6).for_each(|cell| peer.write(at + 16 + 8 * cell, 0));
            // Given up whole, wherever the place was.
            drop(meter.now("try_write", || lock.try_write()).expect("nobody reads"));
        }
        drop(end);
    });
}

pub fn a_reader_of_a_latest_value_gives_up_soon_when_nothing_fits() {
    fn with<const N: usize>(meter: &mut Meter, what: &'static str) {
        let named = Named::new(80 * N + (1 << 16));
        let latest = named.seg.latest("l", [0u64; N]).expect("room");
        latest.set([1; N]).expect("nobody dies");
        let peer = Scribbler::new(&named.seg);
        let (at, _) = peer.find(&named.seg, "l");
        let stride = (8 + 8 * N).next_multiple_of(64);
        // No slot has the version that is current, and no announcement is free.
        (0..6).for_each(|slot| peer.write(at + 512 + stride * slot, 77));
        let me = peer.living()[0];
        (0..4).for_each(|cell| peer.write(at + 384 + 8 * cell, me | 1 << 62));
        let got = meter.now(what, || latest.get().map(|value| value[0]));
        assert_eq!(got.expect_err("nothing fits").kind(), ErrorKind::Corrupt);
    }
    let mut meter = Meter::new();
    with::<1>(&mut meter, "get of 8 bytes");
    with::<128>(&mut meter, "get of 1 KiB");
    with::<1024>(&mut meter, "get of 8 KiB");
    with::<8192>(&mut meter, "get of 64 KiB");
}

pub fn hints_that_lag_a_lap_cost_one_walk_and_are_mended() {
    let cells = cells();
    let named = Named::new(40 * cells + (1 << 20));
    let queue = named.seg.queue::<u64>("q", cells).expect("room");
    let peer = Scribbler::new(&named.seg);
    let (at, len) = peer.find(&named.seg, "q");
    // As after many laps: every cell read in lap 7 and free for lap 8.
    let stride = (len - 384) / cells;
    let free = 8 << 24;
    for cell in 0..cells {
        peer.write(at + 384 + stride * cell, free);
        peer.write(at + 384 + stride * cell + 8, free);
    }
    let mut meter = Meter::new();
    let hints = [at + 128, at + 256]; // tail, head
    let mut healed = 0;
    for lies in [7 << 24, 7 << 24 | 1, 3 << 24, 0, u64::MAX, 9 << 24, 7 << 24 | 0xff_ffff] {
        for word in hints {
            peer.write(word, lies);
            let pushed = meter.now("try_push", || queue.try_push(1));
            let popped = meter.now("try_pop", || queue.try_pop());
            let _ = meter.now("try_push_batch", || queue.try_push_batch(&[1, 2, 3]));
            let _ = meter.now("force_push", || queue.force_push(1));
            let _ = meter.now("state", || (queue.len(), queue.peak(), queue.is_full()));
            healed += u32::from(pushed.is_ok() && popped.is_ok());
            (0..8).for_each(|_| drop(meter.now("try_pop", || queue.try_pop())));
            hints.iter().for_each(|&word| peer.write(word, 8 << 24));
        }
    }
    assert!(healed > 0, "no lie was survived");
}

pub fn a_head_that_lies_costs_a_byte_queue_one_walk() {
    let granules = cells();
    let longest = 8000 * 64;
    let named = Named::new(88 * granules + (1 << 20));
    let queue = named.seg.byte_queue("q", 64 * granules, longest).expect("room");
    let peer = Scribbler::new(&named.seg);
    let (at, _) = peer.find(&named.seg, "q");
    let mut meter = Meter::new();
    let message = vec![0; longest];
    let (tail, read, head) = (at + 128, at + 256, at + 384);
    for lie in [0xff_ffff, 0, u64::MAX, 1 << 24, 1 << 24 | 0xff_ffff, 2 << 24] {
        // As after a lap of one-byte messages: each granule a record that was read.
        for granule in 0..granules {
            peer.write(at + 512 + 16 * granule, 1 << 24 | 1 << 2 | 2);
        }
        for hint in [tail, read, head] {
            peer.write(tail, 2 << 24);
            peer.write(read, 2 << 24);
            peer.write(head, 1 << 24);
            peer.write(hint, lie);
            for _ in 0..4 {
                let _ = meter.now("try_push", || queue.try_push(&message));
                let _ = meter.now("try_push of a byte", || queue.try_push(b"x"));
                let _ = meter.now("try_pop", || queue.try_pop());
                let _ = meter.timed("push_until", |deadline| queue.push_until(&message, deadline));
            }
        }
    }
}

/// What an object says of a length or a place is checked against the object's own bounds, word by word.
pub fn lengths_and_places_that_lie_are_refused_and_nothing_beyond_is_touched() {
    let mut meter = Meter::new();
    a_lane_lies_of_a_message(&mut meter);
    a_byte_queue_lies_of_a_record(&mut meter);
    a_latest_value_lies_of_its_slot(&mut meter);
}

/// Lengths in the upper half of a word, beyond a message's own: the longest, one more, the whole ring, and far outside.
const LENGTHS: [u64; 5] = [100, 101, 1024, 1 << 26, u32::MAX as u64];

fn a_lane_lies_of_a_message(meter: &mut Meter) {
    for lie in LENGTHS.map(|len| 1 | len << 32).into_iter().chain([0, 2, 3, u64::MAX]) {
        let named = Named::new(1 << 16);
        let mut producer = named.seg.byte_producer("l", 1024, 100).expect("a seat");
        let mut consumer = named.seg.byte_consumer("l", 1024, 100).expect("a seat");
        producer.push(b"one").expect("room");
        let peer = Scribbler::new(&named.seg);
        let header = peer.find(&named.seg, "l").0 + 384;
        assert_eq!(peer.read(header), 1 | 3 << 32, "the word before a message");
        peer.write(header, lie);
        let got = meter.now("try_pop", || consumer.try_pop().map(|message| message.len()));
        assert_eq!(got.map_err(|e| e.kind()), Err(ErrorKind::Corrupt), "lane, {lie:#x}");
    }
}

fn a_byte_queue_lies_of_a_record(meter: &mut Meter) {
    let (granules, length) = (16, 8);
    for (word, lies) in [
        // So many granules that it ends behind the ring; none.
        (0, [granules + 1, 100, 8191, 0].map(|g| g << 2)),
        (length, [129, 1 << 20, u64::from(u32::MAX), u64::MAX]),
    ] {
        for lie in lies {
            let named = Named::new(1 << 16);
            let queue = named.seg.byte_queue("q", 64 * granules as usize, 100).expect("room");
            queue.push(&[7; 100]).expect("room");
            let peer = Scribbler::new(&named.seg);
            let at = peer.find(&named.seg, "q").0 + 512 + word;
            let (truth, of) = (peer.read(at), if word == 0 { 8191 << 2 } else { u64::MAX });
            peer.write(at, truth & !of | lie);
            let _ = meter.now("state", || (queue.len(), queue.blocker().is_ok(), queue.peak()));
            let got = meter.now("try_pop", || queue.try_pop().map(|message| message.len()));
            assert!(got.as_ref().is_ok_and(|&len| len <= 128) || got.is_err(), "{lie:#x}: {got:?}");
            // A record that cannot be is not passed.
            assert!(word == length || got.is_err(), "{lie:#x}: {got:?}");
            let _ = meter.now("try_push", || queue.try_push(&[7; 100]));
        }
    }
}

fn a_latest_value_lies_of_its_slot(meter: &mut Meter) {
    type Large = [u64; 8192];
    let named = Named::new(1 << 20);
    let latest = named.seg.latest("l", [0u64; 8192]).expect("room");
    let peer = Scribbler::new(&named.seg);
    let current = peer.find(&named.seg, "l").0 + 128;
    assert_eq!((peer.read(current), latest.set([1; 8192]).is_ok()), (0, true));
    assert_eq!(peer.read(current), 1 << 8 | 1, "the version and the slot");
    for slot in [6, 100, 255] {
        peer.write(current, 1 << 8 | slot);
        let got = meter.now("get", || latest.get().map(|value: Large| value[0]));
        assert_eq!(got.map_err(|e| e.kind()), Err(ErrorKind::Corrupt), "slot {slot}");
        let got = meter.now("get_announced", || latest.get_announced().is_ok());
        assert!(!got, "slot {slot}");
        peer.write(current, 1 << 8 | slot);
        let _ = meter.now("try_set", || latest.try_set([2; 8192]));
    }
}

/// The lock that a condition names is a distance in shared memory: `notify_all` moves sleepers there.
pub fn nobody_is_moved_out_of_the_segment_by_a_notification() {
    static PRIVATE: AtomicU64 = AtomicU64::new(0);
    let named = Named::new(1 << 16);
    let m = named.seg.object("m", || Mutex::new(0u64)).expect("room");
    let c = named.seg.object("c", Condvar::new).expect("room");
    let peer = Scribbler::new(&named.seg);
    let (at, _) = peer.find(&named.seg, "c");
    let here = std::ptr::from_ref::<Condvar>(&c).addr() as u64;
    let mut meter = Meter::new();
    let private = (&raw const PRIVATE).addr() as u64;
    for lie in [private.wrapping_sub(here), 1 << 16, u64::MAX - 7, 1 << 63] {
        std::thread::scope(|s| {
            let wait = || {
                let (guard, result) = c.wait_timeout(m.lock().expect("free"), LONG).expect("its lock");
                drop(guard);
                result.timed_out()
            };
            let sleepers = [s.spawn(wait), s.spawn(wait)];
            while c.waiters().expect("a member") < 2 {
                std::thread::yield_now();
            }
            peer.write(at + 8, lie);
            let _ = meter.now("notify_all", || c.notify_all());
            // Whoever was moved to this word would be woken here.
            let word = (&raw const PRIVATE).cast::<u32>().wrapping_add(1);
            // SAFETY: the call does not touch the word.
            let moved = unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, i32::MAX) };
            assert_eq!(moved, 0, "sleepers moved by {lie:#x}");
            for sleeper in sleepers {
                assert!(!sleeper.join().expect("it waits"), "moved by {lie:#x}");
            }
        });
        peer.write(at, 0);
        peer.write(at + 8, 0);
    }
}

pub fn a_word_that_changes_all_the_time_keeps_nobody_beyond_a_deadline() {
    let named = Named::new(1 << 16);
    let seg = &named.seg;
    let mutex = seg.object("m", || Mutex::new(0u64)).expect("room");
    let event = seg.object("e", Event::new).expect("room");
    let semaphore = seg.object("s", || Semaphore::new(0)).expect("room");
    let rwlock = seg.object("l", || RwLock::new(0u64)).expect("room");
    let queue = seg.queue::<u64>("q", 4).expect("room");
    let bytes = seg.byte_queue("b", 640, 64).expect("room");
    let latest = seg.latest("n", 0u64).expect("room");
    let mut consumer = seg.spsc_consumer::<u64>("c", 4).expect("a seat");
    let peer = Scribbler::new(seg);
    let at = |name| peer.find(seg, name).0;
    let (mutex_at, event_at, semaphore_at, rwlock_at) = (at("m"), at("e"), at("s"), at("l"));
    let (queue_at, bytes_at, latest_at, lane_at) = (at("q"), at("b"), at("n"), at("c"));
    // Held by this thread, which lives.
    let somebody = peer.living()[0];
    peer.write(mutex_at, somebody | 1 << 63);
    peer.write(rwlock_at, somebody | 1 << 63);
    // The words that sleepers watch: they move, and nothing else does.
    let change = || {
        for _ in 0..64 {
            for (at, step) in [
                (event_at, 1 << 62),
                (semaphore_at, 1 << 34),
                (queue_at + 32, 1 | 1 << 32),
                (bytes_at + 40, 1 | 1 << 32),
                (latest_at + 136, 1),
                (lane_at + 32, 1 | 1 << 32),
            ] {
                peer.word(at).fetch_add(step, Ordering::Relaxed);
            }
            for at in [mutex_at, rwlock_at] {
                peer.word(at).fetch_xor(1 << 58, Ordering::Relaxed);
            }
        }
    };
    let mut meter = Meter::new();
    beside(change, || {
        for _ in 0..20 {
            // In another thread: the words name this one.
            std::thread::scope(|s| {
                let meter = &mut meter;
                s.spawn(|| {
                    let limit = Duration::from_millis(2);
                    drop(meter.timed("mutex", |deadline| mutex.lock_until(deadline).map(drop)));
                    drop(meter.timed("read", |deadline| rwlock.read_until(deadline).map(drop)));
                    drop(meter.timed("write", |deadline| rwlock.write_until(deadline).map(drop)));
                    let _ = meter.timed("event", |_| event.wait_timeout(limit));
                    let _ = meter.timed("semaphore", |deadline| semaphore.acquire_until(deadline));
                    let _ = meter.timed("queue", |deadline| queue.pop_until(deadline));
                    let _ = meter.timed("byte queue", |deadline| bytes.pop_until(deadline));
                    let _ = meter.timed("latest", |deadline| latest.wait_newer_until(u64::MAX, deadline));
                });
            });
            let _ = meter.timed("lane", |deadline| consumer.pop_until(deadline));
        }
    });
}

/// Where the segment's doors are, its bell and its alarm, and where a queue says who waits for it. What stands there is believed by
/// nobody: a set may look for nothing, but it hears of a message, and does not stay beyond a deadline.
pub fn doors_and_masks_that_lie_wake_a_set_for_nothing_and_no_more() {
    let named = Named::new(1 << 16);
    let queue = named.seg.queue::<u64>("q", 4).expect("room");
    let jobs = named.seg.work_queue::<u64>("w", WorkOptions::new(4)).expect("room");
    let peer = Scribbler::new(&named.seg);
    let changing = offset_of!(Header, changing);
    let doors = changing + offset_of!(Changing, doors);
    let shared: Vec<usize> = (changing..changing + size_of::<Changing>()).step_by(8).collect();
    let sides: Vec<usize> = ["q", "w"]
        .iter()
        .flat_map(|name| (32..64).step_by(8).map(|n| peer.find(&named.seg, name).0 + n))
        .collect();
    let doors = || (doors..doors + size_of::<[u32; DOORS]>()).step_by(8);
    let set = |is_polled| {
        let mut set = WaitSet::new();
        if is_polled {
            set.descriptor().expect("descriptors");
        }
        let message = set.add(queue.when_readable()).expect("room");
        set.add(jobs.when_readable()).expect("room");
        (set, message)
    };
    let mut meter = Meter::new();
    for is_polled in [false, true] {
        for lie in [u64::MAX, 1, 1 << 31 | 1 << 63, 0x1234_5678_9abc_def0, 0] {
            let (mut set, message) = set(is_polled);
            doors().for_each(|at| peer.write(at, lie));
            let _ = meter.timed("wait_until", |deadline| set.wait_until(deadline).map(<[Key]>::len));
            std::thread::scope(|s| {
                s.spawn(|| {
                    std::thread::sleep(Duration::from_millis(2));
                    // While it sleeps, and then once more: who writes there may be taken for one who tells.
                    doors().for_each(|at| peer.write(at, !lie));
                    std::thread::sleep(Duration::from_millis(2));
                    queue.try_push(1).expect("room");
                });
                assert_eq!(
                    set.wait_timeout(LONG).expect("a message"),
                    [message],
                    "{lie:#x}, epoll: {is_polled}"
                );
            });
            assert_eq!(queue.try_pop().expect("a message"), 1);
        }
        let change = || {
            for &at in shared.iter().chain(&sides) {
                peer.word(at).fetch_add(1 | 1 << 32, Ordering::Relaxed);
            }
        };
        let words: Vec<_> = shared.iter().chain(&sides).map(|&at| (at, peer.read(at))).collect();
        beside(change, || {
            let (mut set, _) = set(is_polled);
            for _ in 0..20 {
                let _ = meter.now("try_wait", || set.try_wait().map(<[Key]>::len));
                let _ = meter.timed("wait_until", |deadline| set.wait_until(deadline).map(<[Key]>::len));
            }
            meter.now("drop", || drop(set));
        });
        words.into_iter().for_each(|(at, word)| peer.write(at, word));
    }
}
