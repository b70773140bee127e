//! Whatever a peer writes into a segment, and whenever: each operation gives a result or an error, in time.
//!
//! One thread, so that a run can be repeated: the peer's writes come between the operations. What is written is noise, or
//! a word of the segment itself, moved or changed in one bit, which looks more like the truth.
#![no_main]

use arbitrary::Arbitrary;
use interproc::queue::Queue;
use interproc::sync::{
    Barrier, BoundedSemaphore, Condvar, Event, LockError, Mutex, Once, OnceLock, RecursiveMutex, RwLock,
    Semaphore,
};
use interproc::{Deadline, Object, Segment, shm::Snapshot};
use libfuzzer_sys::fuzz_target;
use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

#[derive(Arbitrary, Debug)]
enum Step {
    /// The peer writes noise.
    Noise(Place, u64),
    /// The peer writes here what is there.
    Move(Place, Place),
    /// The peer changes one bit.
    Flip(Place, u8),
    /// The peer counts a word up or down.
    Add(Place, i8),
    Do(Operation),
}

/// A word of an object, or of what lies before the objects: the headers, the directory and the members' table.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Place {
    object: u8,
    word: u16,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Mutex,
    Recursive(u8),
    Read,
    Write(bool),
    Semaphore(u32),
    Bounded(u8),
    Barrier(u8),
    Event(u8),
    Condvar(u8),
    Once,
    Push(u8, u16),
    Pop(u8),
    QueueState,
    Close(u8),
    Views,
    Find,
}

struct World {
    seg: Segment,
    file: File,
    /// Where the objects are, and how long.
    objects: Vec<(u64, u64)>,
    snapshot: Snapshot,
    mutex: Object<Mutex<u64>>,
    recursive: Object<RecursiveMutex<u64>>,
    rwlock: Object<RwLock<u64>>,
    semaphore: Object<Semaphore>,
    event: Object<Event>,
    condvar: Object<Condvar>,
    once: Object<Once>,
    lock: Object<OnceLock<u64>>,
    bounded: BoundedSemaphore,
    barrier: Barrier,
    small: Queue<u64>,
    large: Queue<[u8; 120]>,
}

/// A deadline that has passed, or will soon.
fn soon() -> Deadline {
    Deadline::after(Duration::from_micros(20))
}

impl World {
    fn new() -> interproc::Result<World> {
        // By name: a snapshot is opened by name only.
        let name = format!("/interproc-fuzz-objects-{}", std::process::id());
        let seg = Segment::options().size(1 << 14).max_members(3).max_objects(16).create(&name)?;
        let snapshot = Segment::open_read_only(&name);
        Segment::unlink(&name)?;
        let file = File::from(seg.as_fd().try_clone_to_owned().expect("a descriptor"));
        let mut world = World {
            objects: Vec::new(),
            file,
            snapshot: snapshot?,
            mutex: seg.object("mutex", || Mutex::new(1))?,
            recursive: seg.object("recursive", || RecursiveMutex::new(1))?,
            rwlock: seg.object("rwlock", || RwLock::new(1))?,
            semaphore: seg.object("semaphore", || Semaphore::new(2))?,
            event: seg.object("event", Event::new)?,
            condvar: seg.object("condvar", Condvar::new)?,
            once: seg.object("once", Once::new)?,
            lock: seg.object("lock", OnceLock::new)?,
            bounded: seg.bounded_semaphore("bounded", 3)?,
            barrier: seg.barrier("barrier", 2)?,
            small: seg.queue("small", 3)?,
            large: seg.queue("large", 4)?,
            seg,
        };
        world.objects = world.snapshot.objects()?.iter().map(|object| (object.offset, object.size)).collect();
        world.objects.push((0, world.objects[0].0));
        Ok(world)
    }

    /// Where that is in the file.
    fn at(&self, place: Place) -> u64 {
        let (offset, len) = self.objects[usize::from(place.object) % self.objects.len()];
        offset + u64::from(place.word) * 8 % len.next_multiple_of(8)
    }

    fn word(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at).expect("inside the file");
        u64::from_le_bytes(bytes)
    }

    fn scribble(&self, at: u64, word: u64) {
        self.file.write_all_at(&word.to_le_bytes(), at).expect("inside the file");
    }

    fn step(&self, step: Step) {
        match step {
            Step::Noise(to, word) => self.scribble(self.at(to), word),
            Step::Move(from, to) => self.scribble(self.at(to), self.word(self.at(from))),
            Step::Flip(at, bit) => self.scribble(self.at(at), self.word(self.at(at)) ^ 1 << (bit % 64)),
            Step::Add(at, n) => {
                self.scribble(self.at(at), self.word(self.at(at)).wrapping_add_signed(n.into()));
            }
            Step::Do(operation) => self.run(operation),
        }
    }

    fn run(&self, operation: Operation) {
        match operation {
            Operation::Mutex => match self.mutex.try_lock_until(soon()) {
                Ok(mut guard) => *guard += u64::from(*guard < 100),
                Err(LockError::OwnerDied(died)) => drop(died.mark_consistent()),
                Err(LockError::Failed(_)) => {}
            },
            Operation::Recursive(depth) => {
                let mut held = Vec::new();
                for _ in 0..depth % 4 {
                    held.extend(self.recursive.try_lock_until(soon()).ok());
                }
                held.iter().for_each(|guard| Cell::set(guard, 3));
            }
            Operation::Read => {
                let first = self.rwlock.try_read_until(soon());
                let second = self.rwlock.try_read();
                let _ = first.map(|guard| *guard);
                drop(second);
            }
            Operation::Write(downgrade) => match self.rwlock.try_write_until(soon()) {
                Ok(guard) if downgrade => drop(guard.downgrade()),
                Ok(guard) => drop(guard),
                Err(error) => drop(error),
            },
            Operation::Semaphore(n) => {
                let _ = (self.semaphore.acquire_until(soon()), self.semaphore.post_many(n));
                let _ = (self.semaphore.try_acquire(), self.semaphore.value());
            }
            Operation::Bounded(n) => {
                let one = self.bounded.acquire_until(soon());
                let more = self.bounded.try_acquire_many(u32::from(n % 4));
                let many = self.bounded.acquire_many_until(u32::from(n % 3), soon());
                let _ = one.map(|permit| permit.release());
                drop((more, many));
            }
            Operation::Barrier(n) => match n % 5 {
                0 => drop(self.barrier.wait_until(soon())),
                1 => drop(self.barrier.abort()),
                2 => drop(self.barrier.reset()),
                3 => drop(self.barrier.leave()),
                _ => drop((self.barrier.n_waiting(), self.barrier.is_broken(), self.barrier.seats())),
            },
            Operation::Event(n) => match n % 3 {
                0 => self.event.set(),
                1 => self.event.clear(),
                _ => drop(self.event.wait_until(soon())),
            },
            Operation::Condvar(n) => match n % 3 {
                0 => drop(self.condvar.notify_one()),
                1 => drop(self.condvar.notify_all()),
                _ => {
                    if let Ok(guard) = self.mutex.try_lock() {
                        drop(self.condvar.wait_until(guard, soon()));
                    }
                }
            },
            Operation::Once => {
                drop(self.once.call_until(soon(), |_| ()));
                drop(self.lock.get_or_init_until(soon(), || 5));
                let _ = (self.lock.get(), self.lock.set(6));
            }
            Operation::Push(n, value) => {
                for i in 0..n % 8 {
                    let _ = self.small.push_until(u64::from(value) + u64::from(i), soon());
                    let _ = self.large.try_push([i; 120]);
                }
                let _ = self.small.try_push_batch(&[1, 2, 3, 4]);
            }
            Operation::Pop(n) => {
                for _ in 0..n % 8 {
                    let _ = (self.small.pop_until(soon()), self.large.try_pop_delivery());
                }
                let _ = self.small.try_pop_batch(&mut [0; 4]);
            }
            Operation::QueueState => {
                let _ = (self.small.len(), self.small.is_full(), self.small.blocker());
                let _ = (self.large.len(), self.large.is_empty(), self.large.blocker());
            }
            Operation::Close(n) => {
                if n % 8 == 0 {
                    let _ = self.small.close();
                }
            }
            Operation::Views => {
                let _ = (self.mutex.holder(), self.rwlock.holders(), self.bounded.holders());
                let _ = (self.recursive.depth(), self.once.holder(), self.condvar.waiters());
                let _ = (self.snapshot.objects(), self.snapshot.members());
                let _ = (self.snapshot.view(), self.snapshot.deadlocks());
            }
            Operation::Find => {
                let _ = self.seg.find::<Mutex<u64>>("mutex");
                let _ = (self.seg.queue::<u64>("small", 3).map(|q| q.len()), self.seg.barrier("barrier", 2));
                let _ = self.seg.object("another", || Event::new());
                // A second mapping, with a member of its own at a later use.
                if let Ok(again) = Segment::from_fd(self.seg.as_fd().try_clone_to_owned().expect("a copy")) {
                    let _ = again.find::<Event>("event").map(|event| event.is_set());
                }
            }
        }
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let world = World::new().expect("a segment");
    steps.into_iter().take(200).for_each(|step| world.step(step));
});
