//! What an operation costs that has nobody to wait for: no allocation and no system call, counted.
//!
//! The loop runs in a child under seccomp's strict mode, where any call but read, write, `_exit` and sigreturn
//! kills; the counting allocator is this program's. Both are first seen to count what they should.

#[path = "support/kit.rs"]
mod kit;
#[allow(unused_macros)] // `tests!`: ours are made by `cases!`.
mod support;

use interproc::queue::{
    Broadcast, BroadcastOptions, Queue, Slow, Subscriber, WorkOptions, WorkOrder, WorkQueue,
};
use interproc::sync::{
    Barrier, BoundedSemaphore, Condvar, Event, Mutex, Once, OnceLock, RecursiveMutex, RwLock, Semaphore,
};
use interproc::{Deadline, Object, Segment, Wait};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Objects {
    lock: Object<Mutex<u64>>,
    arrived: Object<Condvar>,
    queue: Queue<u64>,
    works: [WorkQueue<u64>; 3],
    news: (Broadcast<u64>, RefCell<Option<Subscriber<u64>>>),
    permits: BoundedSemaphore,
    alone: Barrier,
    semaphore: Object<Semaphore>,
    event: Object<Event>,
    recursive: Object<RecursiveMutex<u64>>,
    once: Object<Once>,
    value: Object<OnceLock<u64>>,
    rwlock: Object<RwLock<u64>>,
    biased: Object<RwLock<u64>>,
    /// In a segment of its own.
    elsewhere: Object<Mutex<u64>>,
}

impl Objects {
    fn new(seg: &Segment) -> Objects {
        let lock = seg.object("lock", || Mutex::new(0u64)).expect("mutex");
        let elsewhere = kit::segment().object("lock", || Mutex::new(0u64)).expect("mutex");
        Objects {
            lock,
            arrived: seg.object("arrived", Condvar::new).expect("condvar"),
            queue: seg.queue("queue", 8).expect("queue"),
            works: [WorkOrder::Fifo, WorkOrder::Lifo, WorkOrder::Priority].map(|order| {
                seg.work_queue(&format!("{order:?}"), WorkOptions::new(4).order(order)).expect("queue")
            }),
            news: (seg.broadcast("news", BroadcastOptions::new(16)).expect("broadcast"), RefCell::new(None)),
            permits: seg.bounded_semaphore("permits", 4).expect("semaphore"),
            alone: seg.barrier("alone", 1).expect("barrier"),
            semaphore: seg.object("semaphore", || Semaphore::new(0)).expect("semaphore"),
            event: seg.object("event", Event::new).expect("event"),
            recursive: seg.object("recursive", || RecursiveMutex::new(0u64)).expect("mutex"),
            once: seg.object("once", Once::new).expect("once"),
            rwlock: seg.object("rwlock", || RwLock::new(0u64)).expect("rwlock"),
            biased: seg.object("biased", || RwLock::new(0u64)).expect("rwlock"),
            value: seg.object("value", OnceLock::new).expect("value"),
            elsewhere,
        }
    }

    /// What a first use does once: becoming a member.
    fn warm_up(&self) {
        drop(self.lock.lock().expect("lock"));
        self.queue.push(0).expect("push");
        self.queue.pop().expect("pop");
        drop(self.elsewhere.lock().expect("lock"));
        *self.news.1.borrow_mut() = self.news.0.subscribe(Slow::Waits).ok();
        self.once.call(|_| ()).expect("call");
        assert!(self.value.set(7).expect("set"));
        for _ in 0..5_000 {
            drop(self.biased.read().expect("read"));
        }
    }
}

const ROUNDS: u64 = 10_000;
const NO_ALLOCATION: u64 = 0;
const ALLOCATED: u64 = 1;

/// How a loop under the strict mode ended: the wait status.
fn under_strict_mode(operation: impl Fn(&Objects, u64)) -> i32 {
    let seg = kit::segment();
    let objects = Objects::new(&seg);
    let mut kid = kit::fork(|| {
        objects.warm_up();
        // SAFETY: takes integers; after it only the operation and the exit.
        unsafe { assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, 1, 0, 0, 0), 0) };
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for round in 0..ROUNDS {
            operation(&objects, black_box(round));
        }
        let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
        let code = if allocated == 0 { NO_ALLOCATION } else { ALLOCATED };
        // SAFETY: the strict mode allows this exit, not that of a whole group.
        unsafe { libc::syscall(libc::SYS_exit, code) };
    });
    kid.end()
}

fn costs_nothing(operation: impl Fn(&Objects, u64)) {
    let status = under_strict_mode(operation);
    assert_ne!(status, libc::SIGKILL, "a system call");
    assert_ne!(status, (ALLOCATED as i32) << 8, "an allocation");
    assert_eq!(status, 0);
}

macro_rules! cases {
    ($($name:ident: $operation:expr;)*) => {
        &[$((stringify!($name), || costs_nothing($operation)),)*
            ("an_allocation_is_noticed", an_allocation_is_noticed),
            ("a_system_call_is_noticed", a_system_call_is_noticed),
            ("being_refused_is_no_system_call", being_refused_is_no_system_call),
            ("a_wait_is_a_system_call", a_wait_is_a_system_call)]
    };
}

fn an_allocation_is_noticed() {
    let status = under_strict_mode(|_, round| {
        // From what malloc has at hand: it needs no system call for it.
        if round == 5 {
            drop(black_box(Box::new(round)));
        }
    });
    assert_eq!(status, (ALLOCATED as i32) << 8);
}

fn a_system_call_is_noticed() {
    let status = under_strict_mode(|_, _| {
        // SAFETY: takes nothing.
        unsafe { libc::getppid() };
    });
    assert_eq!(status, libc::SIGKILL);
}

/// Of a lock that another process holds. A second refusal that comes much later does ask whether that lives.
fn being_refused_is_no_system_call() {
    let seg = kit::segment();
    let objects = Objects::new(&seg);
    let _held = (objects.lock.lock().expect("lock"), objects.rwlock.write().expect("write"));
    let _read = objects.biased.read().expect("read");
    let _permits = objects.permits.acquire_many(4).expect("permits");
    let refused = |rounds: u64| {
        kit::fork(|| {
            objects.queue.push(0).expect("a member");
            // SAFETY: takes integers; after it only the operation and the exit.
            unsafe { assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, 1, 0, 0, 0), 0) };
            for _ in 0..rounds {
                assert!(objects.lock.try_lock().is_err() && objects.rwlock.try_write().is_err());
                assert!(objects.rwlock.try_read().is_err() && objects.biased.try_write().is_err());
                assert!(objects.permits.try_acquire().is_err());
            }
            // SAFETY: the strict mode allows this exit, not that of a whole group.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        })
        .end()
    };
    assert_eq!(refused(1), 0);
    // Where the child was not off its processor for long.
    assert!((0..50).any(|_| refused(1_000) == 0));
}

fn a_wait_is_a_system_call() {
    // The strict mode sees into the library.
    let status =
        under_strict_mode(|o, _| assert!(o.queue.pop_until(Deadline::from_monotonic_ns(1)).is_err()));
    assert_eq!(status, libc::SIGKILL);
}

fn main() {
    support::run(cases![
        locking_and_unlocking: |o, _| *o.lock.lock().expect("lock") += 1;
        trying_a_free_lock: |o, _| *o.lock.try_lock().expect("lock") += 1;
        a_timed_lock_of_a_free_lock: |o, _| {
            *o.lock.lock_until(Deadline::from_monotonic_ns(1)).expect("lock") += 1;
        };
        trying_a_held_lock: |o, _| {
            let guard = o.lock.lock().expect("lock");
            assert!(o.lock.try_lock().is_err());
            drop(guard);
        };
        posting_and_acquiring: |o, _| {
            o.semaphore.post().expect("post");
            o.semaphore.acquire().expect("acquire");
            o.semaphore.post_many(3).expect("post");
            o.semaphore.try_acquire().expect("acquire");
            o.semaphore.acquire_until(Deadline::from_monotonic_ns(1)).expect("acquire");
            o.semaphore.acquire().expect("acquire");
            assert!(o.semaphore.try_acquire().is_err());
        };
        setting_waiting_and_clearing: |o, _| {
            o.event.set();
            o.event.set();
            o.event.wait().expect("wait");
            o.event.wait_until(Deadline::from_monotonic_ns(1)).expect("wait");
            o.event.clear();
            o.event.clear();
            assert!(!o.event.is_set());
        };
        locking_again_and_again: |o, _| {
            let outer = o.recursive.lock().expect("lock");
            let inner = o.recursive.try_lock().expect("lock");
            outer.set(inner.get() + 1);
        };
        asking_for_what_is_done: |o, _| {
            o.once.call(|_| unreachable!()).expect("call");
            assert_eq!(*o.value.get_or_init(|| 8).expect("value"), 7);
        };
        reading: |o, _| assert_eq!(*o.rwlock.read().expect("read"), 0);
        reading_what_is_biased: |o, _| assert_eq!(*o.biased.try_read().expect("read"), 0);
        reading_twice: |o, _| {
            let guards = (o.rwlock.read().expect("read"), o.biased.read().expect("read"));
            assert_eq!(*o.rwlock.read().expect("read") + *o.biased.read().expect("read"), 0);
            drop(guards);
        };
        writing: |o, _| *o.rwlock.write().expect("write") += 1;
        writing_and_reading_in_turns: |o, round| {
            *o.rwlock.try_write().expect("write") += 1;
            for _ in 0..100 {
                assert_eq!(*o.rwlock.read().expect("read"), round + 1);
            }
        };
        writing_becomes_reading: |o, _| {
            let mut guard = o.rwlock.write().expect("write");
            *guard += 1;
            drop(guard.downgrade());
        };
        a_timed_write_and_read: |o, _| {
            *o.rwlock.write_until(Deadline::from_monotonic_ns(1)).expect("write") += 1;
            drop(o.rwlock.read_until(Deadline::from_monotonic_ns(1)).expect("read"));
        };
        trying_what_is_held: |o, _| {
            let guard = o.rwlock.read().expect("read");
            assert!(o.rwlock.try_write().is_err());
            drop(guard);
            let guard = o.rwlock.write().expect("write");
            assert!(o.rwlock.try_read().is_err() && o.rwlock.try_write().is_err());
            drop(guard);
        };
        notifying_nobody: |o, _| {
            o.arrived.notify_one().expect("notify");
            o.arrived.notify_all().expect("notify");
        };
        pushing_and_popping: |o, round| {
            o.queue.push(round).expect("push");
            assert_eq!(o.queue.pop().expect("pop"), round);
        };
        trying_to_push_and_to_pop: |o, round| {
            o.queue.try_push(round).expect("push");
            assert_eq!(o.queue.try_pop().expect("pop"), round);
        };
        timed_pushes_and_pops_that_need_not_wait: |o, round| {
            o.queue.push_until(round, Deadline::from_monotonic_ns(1)).expect("push");
            assert_eq!(o.queue.pop_until(Deadline::from_monotonic_ns(1)).expect("pop"), round);
        };
        pushing_until_full_and_popping_until_empty: |o, round| {
            while o.queue.try_push(round).is_ok() {}
            while o.queue.try_pop().is_ok() {}
        };
        batches: |o, round| {
            o.queue.push_batch(&[round; 5]).expect("push");
            assert_eq!(o.queue.try_push_batch(&[round; 5]).expect("push"), 3);
            let mut into = [0; 8];
            assert_eq!(o.queue.pop_batch(&mut into).expect("pop"), 8);
        };
        working: |o, round| {
            for jobs in &o.works {
                jobs.put(round).expect("put");
                jobs.try_put(round + 1).expect("put");
                jobs.take().expect("take").fail("not yet").expect("its own");
                assert!(jobs.take().expect("take").done().expect("its own") >= round);
                drop(jobs.try_take().expect("take"));
                jobs.take_until(Deadline::from_monotonic_ns(1)).expect("take").done().expect("its own");
                jobs.join().expect("nothing is left");
            }
        };
        publishing_and_receiving: |o, round| {
            let (news, mine) = &o.news;
            let mut mine = mine.borrow_mut();
            let mine = mine.as_mut().expect("a seat");
            news.publish(round).expect("publish");
            news.try_publish(round).expect("publish");
            assert_eq!(mine.recv(), Ok(round));
            assert_eq!(mine.recv_by(Wait::Until(Deadline::from_monotonic_ns(1))), Ok(round));
            assert!(mine.try_recv().is_err());
        };
        acquiring_and_releasing_a_permit: |o, _| {
            let one = o.permits.acquire().expect("permit");
            let two = o.permits.acquire_until(Deadline::from_monotonic_ns(1)).expect("permit");
            let three = o.permits.try_acquire().expect("permit");
            one.release().expect("release");
            drop((two, three));
        };
        acquiring_and_releasing_several_permits: |o, _| {
            let one = o.permits.acquire().expect("permit");
            let three = o.permits.acquire_many(3).expect("permits");
            assert!(o.permits.try_acquire().is_err() && o.permits.try_acquire_many(2).is_err());
            drop(one);
            assert!(o.permits.try_acquire_many(2).is_err());
            drop(three);
            o.permits.try_acquire_many(4).expect("permits").release().expect("release");
            assert_eq!(o.permits.available().expect("available"), 4);
        };
        a_round_in_which_nobody_sleeps: |o, _| {
            assert!(o.alone.wait().expect("alone").is_leader());
            assert!(!o.alone.is_broken().expect("look") && o.alone.n_waiting().expect("look") == 0);
        };
        looking_at_a_queue: |o, _| {
            assert_eq!(o.queue.len(), 0);
            assert!(o.queue.is_empty() && !o.queue.is_full() && !o.queue.is_closed());
        };
        two_segments_in_turn: |o, _| {
            *o.lock.lock().expect("lock") += 1;
            *o.elsewhere.lock().expect("lock") += 1;
        };
        both_objects_in_turn: |o, round| {
            let guard = o.lock.lock().expect("lock");
            o.queue.push(round).expect("push");
            drop(guard);
            o.queue.pop().expect("pop");
        };
    ])
}
