//! Whatever a peer writes into a segment, and whenever: each operation gives a result or an error, in time.
//!
//! One thread, so that a run can be repeated: the peer's writes come between the operations. What is written is noise, or
//! a word of the segment itself, moved or changed in one bit, which looks more like the truth.
#![no_main]

use arbitrary::Arbitrary;
use interproc::pipe::{self, End, Listener};
use interproc::queue::byte_lane::{ByteConsumer, ByteProducer};
use interproc::queue::spsc::{Consumer, Producer};
use interproc::queue::{
    Broadcast, BroadcastOptions, ByteQueue, Latest, Queue, Slow, Subscriber, WorkOptions, WorkQueue,
};
use interproc::sync::{
    Barrier, BoundedSemaphore, Condvar, Event, LockError, Mutex, Once, OnceLock, RecursiveMutex, RwLock,
    Semaphore,
};
use interproc::waitset::{Key, WaitSet};
use interproc::{Deadline, Object, Segment, shm::Snapshot};
use libfuzzer_sys::fuzz_target;
use std::cell::{Cell, RefCell};
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
    Force(u8),
    InPlace(u8),
    Latest(u8),
    /// Looks for what is ready in the set that lasts, or in a new one; some sources come and go.
    Wait(u8, u16),
    Spsc(u8, u8),
    SpscChunks(u8, u8),
    Bytes(u8, u8),
    ByteQueue(u8, u8),
    ByteQueueInPlace(u8, u8),
    Pipe(u8, u8),
    Meet(u8),
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
    latest: Latest<[u64; 3]>,
    bytes: ByteQueue,
    jobs: WorkQueue<u64>,
    news: Broadcast<u64>,
    ends: RefCell<Ends>,
    /// A set that lasts, and what it waits for.
    set: RefCell<(WaitSet<'static>, Vec<Key>)>,
}

/// What only one can have. `None` when its seat was found taken, or after a close.
struct Ends {
    producer: Option<Producer<u64>>,
    consumer: Option<Consumer<u64>>,
    sender: Option<ByteProducer>,
    receiver: Option<ByteConsumer>,
    pipe: Option<(End, End)>,
    listener: Option<Listener>,
    subscriber: Option<Subscriber<u64>>,
}

impl Ends {
    /// Takes what is not there; what was lost is dropped before.
    fn new(seg: &Segment) -> Ends {
        Ends {
            producer: seg.spsc_producer("spsc", 5).ok(),
            consumer: seg.spsc_consumer("spsc", 5).ok(),
            sender: seg.byte_producer("lane", 200, 40).ok(),
            receiver: seg.byte_consumer("lane", 200, 40).ok(),
            pipe: seg.pipe_pair("pipe", 200, 40).ok(),
            listener: Listener::bind(seg, "server", 2, 100, 20).ok(),
            subscriber: seg
                .broadcast("news", BroadcastOptions::new(3))
                .and_then(|news| news.subscribe(Slow::Waits))
                .ok(),
        }
    }
}

/// A deadline that has passed, or will soon.
fn soon() -> Deadline {
    Deadline::after(Duration::from_micros(20))
}

impl World {
    fn new() -> interproc::Result<World> {
        // By name: a snapshot is opened by name only.
        let name = format!("/interproc-fuzz-objects-{}", std::process::id());
        let seg = Segment::options().size(1 << 15).max_members(3).max_objects(32).create(&name)?;
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
            latest: seg.latest("latest", [0; 3])?,
            bytes: seg.byte_queue("bytes", 640, 150)?,
            jobs: seg.work_queue("jobs", WorkOptions::new(3))?,
            news: seg.broadcast("news", BroadcastOptions::new(3))?,
            ends: RefCell::new(Ends::new(&seg)),
            set: RefCell::default(),
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
            Operation::Mutex => match self.mutex.lock_until(soon()) {
                Ok(mut guard) => *guard += u64::from(*guard < 100),
                Err(LockError::OwnerDied(died)) => drop(died.mark_consistent()),
                Err(LockError::Failed(_)) => {}
            },
            Operation::Recursive(depth) => {
                let mut held = Vec::new();
                for _ in 0..depth % 4 {
                    held.extend(self.recursive.lock_until(soon()).ok());
                }
                held.iter().for_each(|guard| Cell::set(guard, 3));
            }
            Operation::Read => {
                let first = self.rwlock.read_until(soon());
                let second = self.rwlock.try_read();
                let _ = first.map(|guard| *guard);
                drop(second);
            }
            Operation::Write(downgrade) => match self.rwlock.write_until(soon()) {
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
            Operation::Force(n) => {
                for i in 0..n % 8 {
                    let _ = (self.small.force_push(i.into()), self.large.force_push([i; 120]));
                }
            }
            Operation::InPlace(n) => {
                if let Ok(mut place) = self.large.reserve_until(soon()) {
                    *place = [n; 120];
                    let _ = if n % 3 == 0 { Ok(drop(place)) } else { place.commit() };
                }
                if let Ok(message) = self.large.borrow_until(soon()) {
                    let _ = (message[0], message[119]);
                    let _ = if n % 2 == 0 { message.put_back() } else { Ok(drop(message)) };
                }
            }
            Operation::Latest(n) => {
                let _ = self.latest.set_until([n.into(); 3], soon());
                let _ = (self.latest.get(), self.latest.get_announced());
                let _ = self.latest.wait_newer_until(self.latest.version(), soon());
            }
            Operation::Wait(n, which) => self.wait(n, which),
            Operation::ByteQueue(n, len) => {
                let message = vec![n; usize::from(len) % 160];
                for _ in 0..n % 8 {
                    let _ = self.bytes.push_until(&message, soon());
                }
                for _ in 0..n / 32 {
                    let _ = (self.bytes.try_pop(), self.bytes.pop_into_until(&mut [0; 50], soon()).is_ok());
                }
                let _ = (self.bytes.len(), self.bytes.blocker(), self.bytes.is_empty());
            }
            Operation::ByteQueueInPlace(n, len) => {
                if let Ok(mut place) = self.bytes.reserve_until(usize::from(len) % 160, soon()) {
                    place.fill(n);
                    let _ =
                        if n % 3 == 0 { Ok(place.abort()) } else { place.commit_len(usize::from(len) / 2) };
                }
                if let Ok(message) = self.bytes.borrow_until(soon()) {
                    let _ = message.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
                    let _ = if n % 2 == 0 { message.put_back() } else { Ok(drop(message)) };
                }
            }
            Operation::Spsc(..)
            | Operation::SpscChunks(..)
            | Operation::Bytes(..)
            | Operation::Pipe(..)
            | Operation::Meet(_) => self.run_ends(operation, &mut self.ends.borrow_mut()),
            Operation::Close(n) => match n % 16 {
                0 => drop(self.small.close()),
                1 => drop(self.bytes.close()),
                2 => drop(self.ends.borrow_mut().producer.as_mut().map(Producer::close)),
                3 => drop(self.ends.borrow_mut().consumer.as_mut().map(Consumer::close)),
                4 => drop(self.ends.borrow_mut().receiver.as_mut().map(ByteConsumer::close)),
                5 => drop(self.ends.borrow_mut().pipe.take()),
                // All of them let go, and taken anew.
                6..9 => {
                    drop(self.ends.replace(Ends {
                        producer: None,
                        consumer: None,
                        sender: None,
                        receiver: None,
                        pipe: None,
                        listener: None,
                        subscriber: None,
                    }));
                    self.ends.replace(Ends::new(&self.seg));
                }
                _ => {}
            },
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

impl World {
    /// By futex alone: there is one thread.
    fn wait(&self, n: u8, which: u16) {
        let ends = self.ends.borrow();
        let some = |bit: u32| which & 1 << (bit % 16) != 0;
        let sources = [
            some(0).then(|| self.small.when_readable()),
            some(1).then(|| self.small.when_writable()),
            some(2).then(|| self.bytes.when_readable()),
            some(3).then(|| self.bytes.when_writable(usize::from(n))),
            some(4).then(|| self.latest.when_newer(u64::from(n))),
            some(5).then(|| self.bounded.when_available()),
            some(6).then(|| self.jobs.when_readable()),
            some(7).then(|| self.jobs.when_writable()),
            ends.producer.as_ref().filter(|_| some(8)).map(Producer::when_writable),
            ends.consumer.as_ref().filter(|_| some(9)).map(Consumer::when_readable),
            ends.sender.as_ref().filter(|_| some(10)).map(ByteProducer::when_writable),
            ends.receiver.as_ref().filter(|_| some(11)).map(ByteConsumer::when_readable),
            ends.pipe.as_ref().filter(|_| some(12)).map(|(ours, _)| ours.when_readable()),
            ends.pipe.as_ref().filter(|_| some(13)).map(|(_, theirs)| theirs.when_writable()),
            ends.listener.as_ref().filter(|_| some(14)).map(Listener::when_readable),
            ends.subscriber.as_ref().filter(|_| some(15)).map(Subscriber::when_readable),
        ];
        let (set, keys) = &mut *self.set.borrow_mut();
        if n % 4 == 0 {
            keys.drain(..keys.len() / 2).for_each(|key| assert!(set.remove(key)));
        }
        for source in sources.into_iter().flatten() {
            if keys.len() < 40 {
                keys.extend(set.add(source));
            }
        }
        let _ = set.try_wait().map(<[Key]>::len);
        let _ = self.small.try_push(n.into());
        let _ = set.wait_until(soon()).map(<[Key]>::len);
        let _ =
            if n % 2 == 0 { self.jobs.try_put(u64::from(n)).is_ok() } else { self.jobs.try_take().is_ok() };
        let mut own = WaitSet::new();
        let _ = (own.add(self.event.when_set()), own.add(self.semaphore.when_available()));
        let _ = own.wait_until(soon()).map(<[Key]>::len);
        if let Some(subscriber) = &ends.subscriber {
            let _ = own.add(subscriber.when_readable());
            let _ = self.news.try_publish(u64::from(n));
        }
        let _ = own.wait_until(soon()).map(<[Key]>::len);
    }

    fn run_ends(&self, operation: Operation, ends: &mut Ends) {
        match operation {
            Operation::Spsc(pushes, pops) => {
                if let Some(producer) = &mut ends.producer {
                    producer.publish_every(usize::from(pushes) / 64);
                    (0..pushes % 8).for_each(|n| drop(producer.push_until(n.into(), soon())));
                    let _ = (producer.try_push_batch(&[1, 2, 3]), producer.flush(), producer.peer());
                }
                if let Some(consumer) = &mut ends.consumer {
                    let _ = consumer.free_every(usize::from(pops) / 64);
                    (0..pops % 8).for_each(|_| drop(consumer.pop_delivery_until(soon())));
                    let _ = (consumer.peek().is_ok(), consumer.try_pop_batch(&mut [0; 3]), consumer.len());
                }
            }
            Operation::SpscChunks(write, read) => {
                if let Some(Ok(mut chunk)) =
                    ends.producer.as_mut().map(|p| p.reserve_until(usize::from(write % 6), soon()))
                {
                    let (first, second) = chunk.as_mut_slices();
                    first.fill(1);
                    second.fill(2);
                    let _ = chunk.commit(usize::from(write / 64));
                }
                if let Some(Ok(chunk)) =
                    ends.consumer.as_mut().map(|c| c.borrow_until(usize::from(read % 6), soon()))
                {
                    let (first, second) = chunk.as_slices();
                    let _ = (first.iter().max(), second.iter().max());
                    let _ = chunk.release(usize::from(read / 64));
                }
            }
            Operation::Bytes(n, len) => {
                let message = vec![n; usize::from(len) % 48];
                if let Some(sender) = &mut ends.sender {
                    let _ = sender.publish_every(usize::from(n / 16));
                    (0..n % 8).for_each(|_| drop(sender.push_until(&message, soon())));
                    let _ =
                        sender.try_reserve(message.len()).map(|place| place.commit_len(usize::from(n % 9)));
                }
                if let Some(receiver) = &mut ends.receiver {
                    (0..n / 32).for_each(|_| drop(receiver.pop_into_until(&mut [0; 20], soon())));
                    let _ = receiver.borrow_until(soon()).map(|message| message.iter().max().copied());
                    let _ = receiver.try_pop();
                }
            }
            Operation::Pipe(n, len) => {
                let message = vec![n; usize::from(len) % 48];
                if let Some((ours, theirs)) = &mut ends.pipe {
                    (0..n % 4).for_each(|_| drop(ours.send_until(&message, soon())));
                    (0..n / 64).for_each(|_| drop(theirs.recv_until(soon())));
                    let _ = (theirs.send_until(&message, soon()), ours.poll(Duration::ZERO));
                    let _ = (ours.try_recv_into(&mut [0; 20]).is_ok(), theirs.peer());
                }
            }
            Operation::Meet(n) => {
                let client = pipe::connect_until(&self.seg, "server", soon());
                if let Some(listener) = &mut ends.listener {
                    let server = listener.accept_until(soon());
                    if let (Ok(mut client), Ok(mut server)) = (client, server) {
                        let _ = (client.try_send(&[n; 9]), server.recv_until(soon()));
                    }
                    let _ = (listener.pending(), pipe::listener(&self.seg, "server"));
                }
            }
            _ => unreachable!("not an end's"),
        }
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let world = World::new().expect("a segment");
    steps.into_iter().take(200).for_each(|step| world.step(step));
});
