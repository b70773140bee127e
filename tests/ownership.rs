//! Ownership as safe Rust sees it: what a guard gives out is nobody else's, though the guard is leaked and its thread ends,
//! the process forks, or dies while another of its threads writes.
//!
//! In full: `INTERPROC_ROUNDS=50 cargo test --release --features cli --test ownership`.

#[path = "support/kit.rs"]
mod kit;
#[macro_use]
mod support;

use interproc::process::{self, Builder, Daemon};
use interproc::queue::spsc;
use interproc::sync::{LockError, Mutex, MutexGuard, RecursiveMutex, RwLock};
use interproc::{ErrorKind, Object, Result, Segment};
use kit::{LONG, await_word, board, raise};
use std::cell::RefCell;
use std::hint::black_box;
use std::io::{Read, Seek, Write};
use std::os::fd::FromRawFd;
use std::time::{Duration, Instant};

/// Longer than the second channel leaves a silent death unnoticed.
const NETS: Duration = Duration::from_millis(130);

/// How often what is a matter of luck is tried.
fn rounds(fast: usize) -> usize {
    std::env::var("INTERPROC_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(fast)
}

fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

fn forever<T>(result: Result<T>) -> &'static mut T {
    leak(result.expect("made or found"))
}

/// Something that gives out references into the segment.
struct Way {
    name: &'static str,
    /// What the rest finds before anybody holds it.
    prepare: fn(&Segment),
    /// Holds it and leaks the guard.
    leak: fn(&Segment),
    /// Another one wants the same bytes, within this time: whether it got them, and whether it was told of a death, if it
    /// is told.
    take: fn(&Segment, Duration) -> Option<bool>,
}

fn mutex(seg: &Segment) -> &'static Object<Mutex<u64>> {
    forever(seg.object("mutex", || Mutex::new(0)))
}

fn recursive(seg: &Segment) -> &'static Object<RecursiveMutex<u64>> {
    forever(seg.object("recursive", || RecursiveMutex::new(0)))
}

fn rwlock(seg: &Segment) -> &'static Object<RwLock<u64>> {
    forever(seg.object("rwlock", || RwLock::new(0)))
}

fn take_seat<T>(open: impl Fn() -> Result<T>, within: Duration) -> Option<bool> {
    let until = Instant::now() + within;
    while Instant::now() < until {
        if open().is_ok() {
            return Some(true);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

fn nothing(_: &Segment) {}

fn ways() -> Vec<Way> {
    vec![
        Way {
            name: "a mutex",
            prepare: nothing,
            leak: |seg| _ = leak(mutex(seg).lock().expect("free")),
            take: |seg, within| match mutex(seg).lock_timeout(within) {
                Ok(_) => Some(false),
                Err(LockError::OwnerDied(_)) => Some(true),
                Err(LockError::Failed(_)) => None,
            },
        },
        Way {
            name: "a recursive mutex",
            prepare: nothing,
            leak: |seg| {
                leak(recursive(seg).lock().expect("free"));
                drop(recursive(seg).lock().expect("ours"));
            },
            take: |seg, within| match recursive(seg).lock_timeout(within) {
                Ok(_) => Some(false),
                Err(e) => (e.error().kind() == ErrorKind::OwnerDied).then_some(true),
            },
        },
        Way {
            name: "a lock that is written",
            prepare: nothing,
            leak: |seg| _ = leak(rwlock(seg).write().expect("free")),
            take: |seg, within| match rwlock(seg).read_timeout(within) {
                Ok(_) => Some(false),
                Err(e) => (e.error().kind() == ErrorKind::OwnerDied).then_some(true),
            },
        },
        Way {
            name: "a lock that is read",
            prepare: nothing,
            leak: |seg| _ = leak(rwlock(seg).read().expect("free")),
            take: |seg, within| rwlock(seg).write_timeout(within).is_ok().then_some(true),
        },
        Way {
            name: "a lock that was written and is read",
            prepare: nothing,
            leak: |seg| _ = leak(rwlock(seg).write().expect("free").downgrade()),
            take: |seg, within| rwlock(seg).write_timeout(within).is_ok().then_some(true),
        },
        Way {
            name: "a place in a queue",
            prepare: nothing,
            leak: |seg| _ = leak(forever(seg.queue::<u64>("queue", 1)).reserve().expect("room")),
            take: |seg, within| {
                let queue = seg.queue::<u64>("queue", 1).expect("queue");
                queue.push_timeout(1, within).is_ok().then_some(true)
            },
        },
        Way {
            name: "a message in a queue",
            prepare: |seg| seg.queue::<u64>("queue", 1).expect("queue").push(7).expect("room"),
            leak: |seg| _ = leak(forever(seg.queue::<u64>("queue", 1)).borrow().expect("a message")),
            take: |seg, within| {
                let queue = seg.queue::<u64>("queue", 1).expect("queue");
                queue.borrow_timeout(within).ok().map(|m| m.is_redelivered())
            },
        },
        Way {
            name: "a message in a queue of bytes",
            prepare: |seg| seg.byte_queue("bytes", 1 << 12, 100).expect("queue").push(b"one").expect("room"),
            leak: |seg| _ = leak(forever(seg.byte_queue("bytes", 1 << 12, 100)).borrow().expect("a message")),
            take: |seg, within| {
                let queue = seg.byte_queue("bytes", 1 << 12, 100).expect("queue");
                queue.borrow_timeout(within).ok().map(|m| m.is_redelivered())
            },
        },
        Way {
            name: "a chunk to write",
            prepare: nothing,
            leak: |seg| {
                let producer: &mut spsc::Producer<u64> = forever(seg.spsc_producer("ring", 4));
                leak(producer.reserve(2).expect("room"));
            },
            take: |seg, within| take_seat(|| seg.spsc_producer::<u64>("ring", 4), within),
        },
        Way {
            name: "a chunk to read",
            prepare: |seg| seg.spsc_producer("ring", 4).expect("free").push(1u64).expect("room"),
            leak: |seg| {
                let consumer: &mut spsc::Consumer<u64> = forever(seg.spsc_consumer("ring", 4));
                leak(consumer.borrow(1).expect("a message"));
            },
            take: |seg, within| take_seat(|| seg.spsc_consumer::<u64>("ring", 4), within),
        },
        Way {
            name: "a place in a lane of bytes",
            prepare: nothing,
            leak: |seg| _ = leak(forever(seg.byte_producer("lane", 1 << 12, 100)).reserve(9).expect("room")),
            take: |seg, within| take_seat(|| seg.byte_producer("lane", 1 << 12, 100), within),
        },
        Way {
            name: "a message in a lane of bytes",
            prepare: |seg| {
                seg.byte_producer("lane", 1 << 12, 100).expect("free").push(b"one").expect("room");
            },
            leak: |seg| {
                leak(forever(seg.byte_consumer("lane", 1 << 12, 100)).borrow().expect("a message"));
            },
            take: |seg, within| take_seat(|| seg.byte_consumer("lane", 1 << 12, 100), within),
        },
    ]
}

fn what_a_thread_leaks_stays_held_as_long_as_its_process_lives() {
    for way in ways() {
        let (seg, words) = (kit::segment(), board());
        (way.prepare)(&seg);
        let keeper = kit::fork(|| {
            kit::in_thread(|| (way.leak)(&seg));
            kit::in_thread(|| assert_eq!((way.take)(&seg, NETS), None, "{}: two in one process", way.name));
            raise(&words[0]);
            kit::pause_for_ever()
        });
        await_word(&words[0], 1);
        assert_eq!((way.take)(&seg, NETS), None, "{}: two in two processes", way.name);
        keeper.finish();
        assert_eq!((way.take)(&seg, LONG), Some(true), "{}: the process is dead", way.name);
    }
}

fn what_a_process_kept_is_given_up_when_it_has_let_the_segment_go() {
    let (mut seg, words) = (Some(kit::segment()), board());
    let keeper = kit::fork(|| {
        let own = kit::again(seg.as_ref().expect("made"));
        seg = None;
        let m = own.object("mutex", || Mutex::new(0u64)).expect("mutex");
        kit::in_thread(|| std::mem::forget(m.lock().expect("free")));
        kit::in_thread(|| assert!(m.try_lock().is_err()));
        // No borrow is left, so no reference that was leaked.
        drop((m, own));
        raise(&words[0]);
        kit::pause_for_ever()
    });
    await_word(&words[0], 1);
    let seg = seg.expect("the parent's");
    assert!(matches!(mutex(&seg).lock_timeout(LONG), Err(LockError::OwnerDied(_))));
    drop(keeper);
}

thread_local! {
    static KEPT: RefCell<Vec<MutexGuard<'static, u64>>> = const { RefCell::new(Vec::new()) };
}

fn a_guard_in_a_thread_local_is_dropped_with_its_thread() {
    let seg = Segment::options().size(1 << 16).max_members(4).anonymous().expect("segment");
    let m = mutex(&seg);
    // More threads than there are slots: none is kept.
    for _ in 0..20 {
        kit::in_thread(|| KEPT.with_borrow_mut(|kept| kept.push(m.lock().expect("clean"))));
    }
    kit::in_thread(|| drop(m.lock().expect("clean")));
}

fn a_guard_in_a_thread_specific_value_is_dropped_with_its_thread() {
    extern "C" fn dropped(guard: *mut libc::c_void) {
        // SAFETY: made by `Box::into_raw` below, and given to nobody else.
        drop(unsafe { Box::from_raw(guard.cast::<MutexGuard<'static, u64>>()) });
    }
    let seg = Segment::options().size(1 << 16).max_members(4).anonymous().expect("segment");
    let m = mutex(&seg);
    let mut key = 0;
    // Made after the library's own, so that its destructor comes later.
    // SAFETY: the key is writable.
    assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(dropped)) }, 0);
    for _ in 0..20 {
        kit::in_thread(|| {
            let guard = Box::into_raw(Box::new(m.lock().expect("clean")));
            // SAFETY: the key is there, and its values are such guards.
            assert_eq!(unsafe { libc::pthread_setspecific(key, guard.cast()) }, 0);
        });
    }
    kit::in_thread(|| drop(m.lock().expect("clean")));
}

fn fifty_threads_that_use_and_drop_guards_leave_no_slot_behind() {
    let seg = Segment::options().size(1 << 16).max_members(4).anonymous().expect("segment");
    let (m, l) = (mutex(&seg), rwlock(&seg));
    let q = seg.queue::<u64>("q", 4).expect("queue");
    for n in 0..50 {
        kit::in_thread(|| {
            *m.lock().expect("clean") += 1;
            drop((l.read().expect("clean"), l.read().expect("clean")));
            drop(l.write().expect("clean").downgrade());
            let mut place = q.reserve().expect("room");
            *place = n;
            place.commit().expect("ours");
            q.borrow().expect("a message").put_back().expect("ours");
            assert_eq!(q.borrow().expect("a message").take(), n);
            drop(q.reserve().expect("room"));
        });
    }
}

/// A file with so many bytes of this value, in memory.
fn file_of(len: usize, byte: u8) -> std::fs::File {
    // SAFETY: a new descriptor, ours alone.
    let mut file = unsafe {
        let fd = libc::memfd_create(c"bytes".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0, "memfd_create");
        std::fs::File::from_raw_fd(fd)
    };
    file.write_all(&vec![byte; len]).expect("room");
    file
}

const LARGE: usize = 16 << 20;
type Large = [u64; LARGE / 8];

/// How the heir comes to the lock.
#[derive(Clone, Copy, Debug)]
enum Form {
    Waits,
    Tries,
    WaitsABit,
    /// With no descriptor left to ask by.
    WaitsBlindly,
}

/// Whether the process may open more descriptors than it has.
fn may_open(may: bool) {
    // SAFETY: the limit is readable and writable.
    unsafe {
        let mut limit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = if may { 1024.min(limit.rlim_max) } else { 3 };
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
    }
}

fn the_dead_write_no_more_when_the_heir_is_told() {
    let file = file_of(LARGE, 0xaa);
    let seg = Segment::anonymous(LARGE + (1 << 20)).expect("segment");
    // It is made on a stack that holds it.
    let m: Object<Mutex<Large>> = std::thread::scope(|s| {
        let stack = std::thread::Builder::new().stack_size(8 * LARGE);
        let make = stack.spawn_scoped(s, || seg.object("large", zeroed).expect("mutex")).expect("a thread");
        make.join().expect("mutex")
    });
    for round in 0..rounds(4) {
        for form in [Form::Waits, Form::Tries, Form::WaitsABit, Form::WaitsBlindly] {
            let words = board();
            let victim = kit::fork(|| {
                let mut guard = m.lock_or_repair(|_| ()).expect("free");
                let mut file = &file;
                file.rewind().expect("a file");
                let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut guard[..]);
                std::thread::scope(|s| {
                    s.spawn(|| {
                        raise(&words[0]);
                        file.read_exact(bytes).expect("so many bytes");
                    });
                });
                kit::pause_for_ever()
            });
            await_word(&words[0], 1);
            may_open(!matches!(form, Form::WaitsBlindly));
            victim.kill();
            let mut guard = loop {
                let answer = match form {
                    Form::Waits | Form::WaitsBlindly => m.lock(),
                    Form::Tries => m.try_lock(),
                    Form::WaitsABit => m.lock_timeout(Duration::from_millis(1)),
                };
                match answer {
                    Err(LockError::OwnerDied(died)) => break died.mark_consistent(),
                    Ok(_) => panic!("not told"),
                    Err(LockError::Failed(e)) => assert!(
                        matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                        "round {round}, {form:?}: {e}"
                    ),
                }
            };
            may_open(true);
            guard.fill(1);
            std::thread::sleep(Duration::from_millis(20));
            let spoilt = black_box(&guard).iter().filter(|&&word| word != 1).count();
            assert_eq!(spoilt, 0, "round {round}, {form:?}: words that the dead has written");
            drop(guard);
            victim.finish();
        }
    }
}

fn zeroed() -> Mutex<Large> {
    Mutex::new([0; LARGE / 8])
}

fn refused<T>(result: Result<T>) -> ErrorKind {
    result.map(drop).expect_err("refused").kind()
}

fn a_fork_beside_other_threads_is_refused() {
    assert!(process::fork(|| ()).expect("alone").join().expect("join").success());
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || wait.recv());
    assert_eq!(refused(process::fork(|| ())), ErrorKind::NotAlone);
    assert_eq!(refused(Builder::new().dies_with_parent().fork(|| ())), ErrorKind::NotAlone);
    assert_eq!(refused(Daemon::new().start(|ready| ready.now())), ErrorKind::NotAlone);
    let (_to, from) = interproc::pipe::one_way(1 << 12, 100).expect("pipe");
    assert_eq!(refused(Builder::new().fork_giving(from, |_| ())), ErrorKind::NotAlone);
    // SAFETY: the child uses nothing of the other thread's.
    let child = unsafe { process::fork_unchecked(|| 7) }.expect("fork");
    assert_eq!(child.join().expect("join").code(), Some(7));
    drop(go);
    let _ = thread.join();
    // It may still be on its way out.
    assert!(process::fork(|| ()).expect("alone again").join().expect("join").success());
    for _ in 0..200 {
        std::thread::spawn(|| ()).join().expect("nothing");
        drop(process::fork(|| ()).expect("alone again").join());
    }
}

fn a_fork_under_a_guard_is_refused() {
    let seg = kit::segment();
    let (m, l) = (mutex(&seg), rwlock(&seg));
    let queue = seg.queue::<u64>("queue", 4).expect("queue");
    let bytes = seg.byte_queue("bytes", 1 << 12, 100).expect("queue");
    let mut producer = seg.spsc_producer::<u64>("ring", 4).expect("free");
    let no = || assert_eq!(refused(process::fork(|| ())), ErrorKind::NotAlone);
    let yes = || assert!(process::fork(|| ()).expect("no guard").join().expect("join").success());
    yes();
    let guard = m.lock().expect("free");
    no();
    drop(guard);
    let guard = l.read().expect("free");
    no();
    drop(guard);
    let guard = l.write().expect("free");
    no();
    let guard = guard.downgrade();
    no();
    drop(guard);
    let guards = (recursive(&seg).lock().expect("free"), recursive(&seg).lock().expect("ours"));
    drop(guards.0);
    no();
    drop(guards.1);
    let place = queue.reserve().expect("room");
    no();
    place.commit().expect("ours");
    let message = queue.borrow().expect("a message");
    no();
    drop(message);
    let place = bytes.reserve(9).expect("room");
    no();
    drop(place);
    let chunk = producer.reserve(2).expect("room");
    no();
    chunk.commit_all().expect("ours");
    yes();
    // A permit gives out no reference, and an inherited one does nothing.
    let permits = seg.bounded_semaphore("permits", 2).expect("semaphore");
    let permit = permits.acquire().expect("free");
    yes();
    drop(permit);
    kit::in_thread(|| std::mem::forget(m.lock().expect("free")));
    no();
}

fn after_a_wait_for_a_condition_its_guard_counts_once() {
    let seg = kit::segment();
    let m = mutex(&seg);
    let changed = seg.object("changed", interproc::sync::Condvar::new).expect("condvar");
    let guard = m.lock().expect("free");
    let (guard, result) = changed.wait_timeout(guard, Duration::from_millis(1)).expect("time");
    assert!(result.timed_out());
    assert_eq!(refused(process::fork(|| ())), ErrorKind::NotAlone);
    drop(guard);
    assert!(process::fork(|| ()).expect("no guard").join().expect("join").success());
    // In the child of an unchecked fork a guard does nothing, and does not count.
    let mut guard = Some(m.lock().expect("free"));
    // SAFETY: the child drops it.
    let child = unsafe {
        process::fork_unchecked(|| {
            guard = None;
            assert_eq!(m.try_lock().expect_err("the parent's").error().kind(), ErrorKind::WouldBlock);
            assert!(process::fork(|| ()).expect("no guard").join().expect("join").success());
        })
    };
    assert!(child.expect("fork").join().expect("join").success());
    assert!(guard.is_some());
}

fn main() {
    support::run(tests![
        what_a_thread_leaks_stays_held_as_long_as_its_process_lives,
        what_a_process_kept_is_given_up_when_it_has_let_the_segment_go,
        a_guard_in_a_thread_local_is_dropped_with_its_thread,
        a_guard_in_a_thread_specific_value_is_dropped_with_its_thread,
        fifty_threads_that_use_and_drop_guards_leave_no_slot_behind,
        the_dead_write_no_more_when_the_heir_is_told,
        a_fork_beside_other_threads_is_refused,
        a_fork_under_a_guard_is_refused,
        after_a_wait_for_a_condition_its_guard_counts_once,
    ])
}
