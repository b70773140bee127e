//! The objects, each with all its operations. **A new object is one function here**, and its line in the list of tests.

use crate::kit::{self, Random};
use crate::meter::Meter;
use crate::peer::{Scribbler, Target, scribble};
use crate::{cells, seconds, seed};
use interproc::pipe::{self, End, Listener};
use interproc::queue::byte_lane::{ByteConsumer, ByteProducer};
use interproc::queue::spsc::{Consumer, Producer};
use interproc::queue::{
    BroadcastOptions, ByteQueue, Job, Latest, Queue, Since, Slow, Subscriber, WorkOptions, WorkOrder,
    WorkQueue,
};
use interproc::raw::format::{Changing, Header};
use interproc::sync::{
    BoundedSemaphore, Condvar, Event, LockError, Mutex, Once, OnceLock, RecursiveLockError, RecursiveMutex,
    RwLock, RwLockError, Semaphore,
};
use interproc::waitset::{Key, WaitSet};
use interproc::{Deadline, Object, Segment, Wait};
use std::mem::offset_of;
use std::time::{Duration, Instant};

/// A segment with a name for as long as the test runs.
pub struct Named {
    pub seg: Segment,
    name: String,
}

impl Named {
    pub fn new(size: usize) -> Named {
        let name = format!("/interproc-hostile-{}", std::process::id());
        // Sparse: the largest rings, of which little is used.
        let seg = Segment::options().size(size).sparse(true).max_members(8).create(&name).expect("room");
        Named { seg, name }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = Segment::unlink(&self.name);
    }
}

/// Runs rounds of a subject while the peer scribbles on its objects. `make` makes the objects, and makes them anew when a
/// round says that it has lost its own.
fn run<S>(
    size: usize,
    objects: &[&str],
    make: impl Fn(&Segment) -> interproc::Result<S>,
    mut round: impl FnMut(&mut S, &mut Meter, u64) -> bool,
) {
    let named = Named::new(size);
    let seg = &named.seg;
    // Its seats, if it has any, are left again: nobody could have them after what was is written back.
    drop(make(seg).expect("nobody scribbles yet"));
    let scribbler = Scribbler::new(seg);
    let targets: Vec<_> = objects
        .iter()
        .map(|object| {
            let (at, len) = scribbler.find(seg, object);
            Target { at, len }
        })
        .collect();
    // The words of the segment that everybody uses, and how the objects begin (a pipe's second lane, too).
    let ours = Target { at: offset_of!(Header, changing), len: size_of::<Changing>() };
    let begins = targets.iter().chain([&ours]);
    let words = begins.flat_map(|target| (target.at..target.at + target.len.min(1 << 18)).step_by(8));
    let before: Vec<(usize, u64)> = words.map(|at| (at, scribbler.read(at))).collect();
    let mut subject = make(seg).expect("nobody scribbles yet");
    let mut peer = Some(scribble(scribbler, targets.clone(), seed()));
    let mut meter = Meter::new();
    let mut random = Random(seed() | 1);
    let until = Instant::now() + Duration::from_secs_f64(seconds());
    let mut rounds = 0u64;
    while Instant::now() < until {
        let mut whole = round(&mut subject, &mut meter, random.next());
        rounds += 1;
        if !whole && let Ok(new) = make(seg) {
            // Its seats were taken from it, or it gave them up.
            (subject, whole) = (new, true);
        }
        if !whole || rounds.is_multiple_of(512) {
            // Some scribbles are for good: all as it was, and a peer with other ideas.
            drop(peer.take());
            before.iter().for_each(|&(at, word)| scribbler.write(at, word));
            if let Ok(new) = make(seg) {
                subject = new;
            }
            peer = Some(scribble(scribbler, targets.clone(), random.next()));
        }
    }
    println!("{rounds} rounds");
}

pub fn mutexes() {
    let make = |seg: &Segment| seg.object("m", || Mutex::new(0u64));
    run(4096, &["m"], make, |m: &mut Object<Mutex<u64>>, meter, _| {
        meter.now("try_lock and unlock", || settle(m.try_lock()));
        meter.timed("lock_until and unlock", |deadline| settle(m.lock_until(deadline)));
        let _ = meter.now("holder", || (m.holder().is_ok(), m.waiters().is_ok(), m.is_locked()));
        true
    });
}

fn settle<T: interproc::Plain>(got: Result<interproc::sync::MutexGuard<'_, T>, LockError<'_, T>>) {
    match got {
        Ok(guard) => drop(guard),
        Err(LockError::OwnerDied(died)) => drop(died.mark_consistent()),
        Err(LockError::Failed(_)) => {}
    }
}

pub fn recursive_mutexes_and_conditions() {
    type S = (Object<RecursiveMutex<u64>>, Object<Mutex<u64>>, Object<Condvar>, Object<Condvar>);
    let make = |seg: &Segment| {
        Ok((
            seg.object("r", || RecursiveMutex::new(0u64))?,
            seg.object("m", || Mutex::new(0u64))?,
            seg.object("c", Condvar::new)?,
            seg.object("d", Condvar::new)?,
        ))
    };
    run(4096, &["r", "m", "c", "d"], make, |(r, m, c, d): &mut S, meter, dice| {
        let first = meter.timed("recursive lock_until", |deadline| r.lock_until(deadline));
        let first = match first {
            Err(RecursiveLockError::OwnerDied(died)) => Ok(died.mark_consistent()),
            other => other,
        };
        if let Ok(first) = first {
            if let Ok(second) = meter.now("one level more", || r.try_lock()) {
                // Taking the lock again has no limit, but takes no processor.
                drop(
                    meter
                        .timed("wait_until with a recursive lock", |deadline| c.wait_until(second, deadline)),
                );
            }
            meter.now("recursive unlock", || drop(first));
        }
        if let Ok(guard) = meter.timed("lock", |deadline| m.lock_until(deadline)) {
            drop(meter.timed("wait_until", |deadline| d.wait_until(guard, deadline)));
        }
        meter.now("notify_one", || drop((c.notify_one(), d.notify_one())));
        if dice % 4 == 0 {
            meter.now("notify_all", || drop((c.notify_all(), d.notify_all())));
        }
        meter.now("waiters", || drop((c.waiters(), r.depth(), r.holder())));
        true
    });
}

pub fn reader_writer_locks() {
    let make = |seg: &Segment| seg.object("l", || RwLock::new(0u64));
    run(4096, &["l"], make, |l: &mut Object<RwLock<u64>>, meter, dice| {
        let first = meter.now("try_read", || l.try_read());
        let second = meter.timed("read_until", |deadline| l.read_until(deadline));
        meter.now("unlock a read", || {
            for read in [first, second] {
                if let Err(RwLockError::OwnerDied(died)) = read {
                    drop(died.mark_consistent());
                }
            }
        });
        let write = meter.now("try_write", || l.try_write());
        meter.now("unlock a write", || match write {
            Ok(guard) => drop(guard),
            Err(RwLockError::OwnerDied(died)) => drop(died.mark_consistent()),
            Err(RwLockError::Failed(_)) => {}
        });
        match meter.timed("write_until", |deadline| l.write_until(deadline)) {
            // It waits for a place for 20 ms at most.
            Ok(guard) if dice % 2 == 0 => meter.timed("downgrade and unlock", |_| drop(guard.downgrade())),
            other => meter.now("unlock a write", || drop(other)),
        }
        meter.now("holders", || drop(l.holders()));
        true
    });
}

pub fn semaphores() {
    let make = |seg: &Segment| seg.object("s", || Semaphore::new(2));
    run(4096, &["s"], make, |s: &mut Object<Semaphore>, meter, dice| {
        let _ = meter.now("try_acquire", || s.try_acquire());
        let _ = meter.timed("acquire_until", |deadline| s.acquire_until(deadline));
        let _ = meter.now("post", || s.post());
        let _ = meter.now("post_many", || s.post_many(dice as u32));
        true
    });
}

pub fn bounded_semaphores() {
    // The largest: 8 MiB of cells, of which a look at all is what it must look at.
    let make = |seg: &Segment| Ok((seg.bounded_semaphore("one", 3)?, seg.bounded_semaphore("all", 1 << 20)?));
    run(10 << 20, &["one", "all"], make, |(one, all), meter, dice| {
        for (s, share) in [(one, 0), (all, 40)] {
            let permit = meter.linear("try_acquire", share, || s.try_acquire());
            let more = meter.timed("acquire_until", |deadline| s.acquire_until(deadline));
            let many = meter.linear("try_acquire_many", share, || s.try_acquire_many(1 + dice as u32 % 3));
            meter.linear("release", share, || drop((permit, more, many)));
            if dice % 16 == 0 {
                let _ = meter.linear("available", share, || s.available());
            }
        }
        true
    });
}

pub fn barriers() {
    let make = |seg: &Segment| Ok((seg.barrier("two", 2)?, seg.barrier("all", 1 << 20)?));
    run(10 << 20, &["two", "all"], make, |(two, all), meter, dice| {
        for (b, share) in [(two, 0), (all, 40)] {
            drop(meter.timed("wait_until", |deadline| b.wait_until(deadline)));
            meter.linear("abort", share, || drop(b.abort()));
            meter.linear("reset", share, || drop(b.reset()));
            meter.linear("leave", share, || drop(b.leave()));
            if dice % 8 == 0 {
                let _ = meter.linear("state", share, || (b.n_waiting().is_ok(), b.is_broken().is_ok()));
            }
        }
        true
    });
}

pub fn events() {
    let make = |seg: &Segment| seg.object("e", Event::new);
    run(4096, &["e"], make, |e: &mut Object<Event>, meter, _| {
        meter.now("set", || e.set());
        meter.now("clear", || e.clear());
        let _ = meter.timed("wait_until", |deadline| e.wait_until(deadline));
        true
    });
}

pub fn once() {
    type S = (Object<Once>, Object<OnceLock<u64>>);
    let make = |seg: &Segment| Ok((seg.object("o", Once::new)?, seg.object("l", OnceLock::new)?));
    run(4096, &["o", "l"], make, |(o, l): &mut S, meter, _| {
        let _ = meter.timed("call_until", |deadline| o.call_until(deadline, |_| ()));
        let _ = meter.timed("get_or_init_until", |deadline| l.get_or_init_until(deadline, || 5).copied());
        let _ = meter.now("get", || (l.get().copied(), o.is_done(), o.holder().is_ok()));
        true
    });
}

pub fn queues() {
    let make = |seg: &Segment| seg.queue::<u64>("q", cells());
    run(40 * cells() + (1 << 20), &["q"], make, |q, meter, dice| {
        let _ = meter.now("try_push", || q.try_push(dice));
        let _ = meter.now("try_pop", || q.try_pop());
        let _ = meter.timed("push_until", |deadline| q.push_until(dice, deadline));
        let _ = meter.timed("pop_until", |deadline| q.pop_until(deadline));
        let _ = meter.now("try_push_batch", || q.try_push_batch(&[1, 2, 3, 4]));
        let _ = meter.now("try_pop_batch", || q.try_pop_batch(&mut [0; 4]));
        let _ = meter.now("force_push", || q.force_push(dice));
        if let Ok(place) = meter.now("try_reserve", || q.try_reserve()) {
            meter.now("commit or abort", || if dice % 2 == 0 { drop(place.commit()) } else { drop(place) });
        }
        if let Ok(message) = meter.now("try_borrow", || q.try_borrow()) {
            meter.now("release or put back", || {
                if dice % 2 == 0 { drop(message.put_back()) } else { drop(message) }
            });
        }
        let _ = meter.now("state", || (q.len(), q.is_full(), q.peak(), q.blocker().is_ok()));
        if dice % 512 == 0 {
            let _ = meter.now("close", || q.close());
        }
        true
    });
}

pub fn work_queues() {
    // Whoever finds the books contradicting themselves makes them anew, from all nodes: a look at all is what it may cost.
    let options = WorkOptions::new(1 << 12)
        .order(WorkOrder::Priority)
        .max_deliveries(3)
        .lease(Duration::from_millis(3));
    let make = |seg: &Segment| seg.work_queue::<u64>("w", options);
    run(1 << 20, &["w"], make, |q, meter, dice| {
        let job = Job { priority: dice as i64, not_before: (dice % 4 == 0).then(Deadline::now) };
        let _ = meter.linear("put_with", 20, || q.put_with(dice, job, Wait::Never));
        let _ = meter.timed("put_until", |deadline| q.put_until(dice, deadline).is_ok());
        if let Ok(lease) = meter.linear("try_take", 20, || q.try_take()) {
            meter.linear("done, fail or drop", 20, || match dice % 3 {
                0 => drop(lease.done()),
                1 => drop(lease.fail("no")),
                _ => drop(lease),
            });
        }
        let _ = meter.timed("take_until", |deadline| q.take_until(deadline).is_ok());
        let _ = meter.timed("join_until", |deadline| q.join_until(deadline).is_ok());
        if let Ok(letters) = meter.linear("dead_letters", 20, || q.dead_letters()) {
            let ends =
                |letter| if dice % 2 == 0 { q.retry(letter).is_ok() } else { q.discard(letter).is_ok() };
            let _ = meter.linear("retry or discard", 20, || letters.first().map(ends));
        }
        let _ = meter.now("state", || (q.len(), q.unfinished(), q.leased(), q.is_closed()));
        if dice % 512 == 0 {
            let _ = meter.linear("close", 20, || q.close());
        }
        true
    });
}

pub fn work_queues_of_any_order() {
    for order in [WorkOrder::Fifo, WorkOrder::Lifo] {
        let options = WorkOptions::new(1 << 10).order(order).max_deliveries(2);
        let make = |seg: &Segment| seg.byte_work_queue("w", 40, options);
        run(1 << 19, &["w"], make, |q, meter, dice| {
            let text = &[7; 40][..dice as usize % 41];
            let _ = meter.linear("try_put", 5, || q.try_put(text));
            if let Ok(lease) = meter.linear("try_take", 5, || q.try_take()) {
                meter.linear(
                    "done or drop",
                    5,
                    || if dice % 3 == 0 { drop(lease.done()) } else { drop(lease) },
                );
            }
            let _ = meter.timed("take_until", |deadline| q.take_until(deadline).is_ok());
            true
        });
    }
}

pub fn broadcasts() {
    let options = BroadcastOptions::new(64).subscribers(40);
    let make = |seg: &Segment| {
        let news = seg.broadcast::<[u64; 3]>("b", options)?;
        let (waits, lags) = (news.subscribe(Slow::Waits)?, news.subscribe(Slow::Lags)?);
        Ok((news, waits, lags))
    };
    run(1 << 16, &["b"], make, |(news, waits, lags), meter, dice| {
        let _ = meter.now("try_publish", || news.try_publish([dice; 3]));
        let _ = meter.timed("publish_by", |deadline| news.publish_by([dice; 3], Wait::Until(deadline)));
        let _ = meter.now("try_recv, waits", || waits.try_recv());
        let _ = meter.timed("recv_by, waits", |deadline| waits.recv_by(Wait::Until(deadline)));
        let _ = meter.now("borrow", || waits.borrow_one(Wait::Never).map(|message| message[2]));
        let _ = meter.now("try_recv, lags", || lags.recv_news(Wait::Never));
        let _ = meter.timed("recv_by, lags", |deadline| lags.recv_by(Wait::Until(deadline)));
        if let Ok(mut place) = meter.now("reserve", || news.reserve_one(Wait::Never)) {
            place[1] = dice;
            meter.now("commit or abort", || if dice % 2 == 0 { drop(place.commit()) } else { drop(place) });
        }
        if let Ok(mut publisher) = meter.now("publisher", || news.publisher(Wait::Never)) {
            let _ = meter.now("its try_publish", || publisher.try_publish([dice; 3]));
        }
        let late = meter.now("subscribe", || news.subscribe_since(Slow::Waits, Since::Last(dice % 99)));
        let _ =
            meter.now("state", || (news.published(), news.subscribers().is_ok(), waits.lag(), lags.missed()));
        drop(late);
        if dice % 512 == 0 {
            let _ = meter.now("close", || news.close());
        }
        true
    });
}

pub fn queues_of_large_elements() {
    let cells = cells() / 256;
    let make = |seg: &Segment| seg.queue::<[u8; 4096]>("q", cells);
    run(4400 * cells + (1 << 20), &["q"], make, |q, meter, dice| {
        let _ = meter.now("try_push", || q.try_push([dice as u8; 4096]).is_ok());
        let _ = meter.now("try_pop", || q.try_pop());
        let _ = meter.timed("pop_until", |deadline| q.pop_until(deadline));
        let _ = meter.now("force_push", || q.force_push([dice as u8; 4096]).is_ok());
        true
    });
}

pub fn byte_queues() {
    let granules = cells();
    let longest = 8000 * 64;
    let make = |seg: &Segment| seg.byte_queue("q", granules * 64, longest);
    run(88 * granules + (1 << 20), &["q"], make, |q, meter, dice| {
        let message = vec![dice as u8; if dice % 8 == 0 { longest } else { dice as usize % 300 }];
        let _ = meter.now("try_push", || q.try_push(&message));
        let _ = meter.now("try_pop", || q.try_pop());
        let _ = meter.timed("push_until", |deadline| q.push_until(&message, deadline));
        let _ = meter.timed("pop_into_until", |deadline| q.pop_into_until(&mut [0; 50], deadline).is_ok());
        if let Ok(mut place) = meter.now("try_reserve", || q.try_reserve(message.len())) {
            place.fill(3);
            let len = message.len() / 2;
            meter.now("commit or abort", || {
                if dice % 3 == 0 { place.abort() } else { drop(place.commit_len(len)) }
            });
        }
        if let Ok(message) = meter.now("try_borrow", || q.try_borrow()) {
            meter.now("release or put back", || {
                if dice % 2 == 0 { drop(message.put_back()) } else { drop(message) }
            });
        }
        // These go over all messages that there are.
        if dice % 64 == 0 {
            let _ = meter.linear("state", 200, || (q.len(), q.is_empty(), q.peak(), q.blocker().is_ok()));
        }
        if dice % 512 == 0 {
            let _ = meter.now("close", || q.close());
        }
        true
    });
}

pub fn latest_values() {
    let make = |seg: &Segment| Ok((seg.latest("small", 0u64)?, seg.latest_for("large", [0u64; 8192], 250)?));
    run(20 << 20, &["small", "large"], make, |(small, large), meter, dice| {
        let _ = meter.now("try_set", || (small.try_set(dice), large.try_set([dice; 8192])));
        let _ = meter.now("get", || (small.get().is_ok(), large.get().is_ok()));
        let _ = meter.now("get_announced", || (small.get_announced().is_ok(), large.get_announced().is_ok()));
        let _ = meter.timed("set_until", |deadline| large.set_until([dice; 8192], deadline));
        let seen = small.version();
        let _ = meter.timed("wait_newer_until", |deadline| small.wait_newer_until(seen, deadline));
        true
    });
}

pub fn lanes() {
    let units = cells();
    type S = (Option<Producer<u64>>, Option<Consumer<u64>>);
    let make = |seg: &Segment| -> interproc::Result<S> {
        Ok((Some(seg.spsc_producer("l", units)?), Some(seg.spsc_consumer("l", units)?)))
    };
    run(8 * units + (1 << 20), &["l"], make, |(producer, consumer): &mut S, meter, dice| {
        let mut seated = producer.is_some() && consumer.is_some();
        if let Some(p) = producer {
            let _ = meter.now("try_push", || p.try_push(dice));
            let _ = meter.timed("push_until", |deadline| p.push_until(dice, deadline));
            let _ = meter.now("try_push_batch", || p.try_push_batch(&[1, 2, 3]));
            let _ = meter.now("flush", || p.flush());
        }
        if let Some(c) = consumer {
            let _ = meter.now("try_pop", || c.try_pop());
            let _ = meter.timed("pop_until", |deadline| c.pop_until(deadline));
            let _ = meter.now("peek", || c.peek().is_ok());
            let _ = meter.now("try_pop_batch", || c.try_pop_batch(&mut [0; 3]));
        }
        if dice % 64 == 0 {
            meter.now("close", || {
                drop((producer.as_mut().map(Producer::close), consumer.as_mut().map(Consumer::close)))
            });
            meter.now("leave", || (*producer, *consumer) = (None, None));
            seated = false;
        }
        seated
    });
}

pub fn byte_lanes() {
    type S = (Option<ByteProducer>, Option<ByteConsumer>);
    let bytes = 8 * cells();
    let make = |seg: &Segment| -> interproc::Result<S> {
        Ok((Some(seg.byte_producer("l", bytes, 4000)?), Some(seg.byte_consumer("l", bytes, 4000)?)))
    };
    run(bytes + (1 << 20), &["l"], make, |(producer, consumer): &mut S, meter, dice| {
        let mut seated = producer.is_some() && consumer.is_some();
        let message = vec![dice as u8; dice as usize % 4000];
        if let Some(p) = producer {
            let _ = meter.now("try_push", || p.try_push(&message));
            let _ = meter.timed("push_until", |deadline| p.push_until(&message, deadline));
            let _ = meter.now("reserve and commit", || {
                p.try_reserve(message.len()).and_then(|place| place.commit_len(message.len() / 2))
            });
        }
        if let Some(c) = consumer {
            let _ = meter.now("try_pop", || c.try_pop());
            let _ =
                meter.timed("pop_into_until", |deadline| c.pop_into_until(&mut [0; 20], deadline).is_ok());
        }
        if dice % 64 == 0 {
            meter.now("close", || drop(consumer.as_mut().map(ByteConsumer::close)));
            meter.now("leave", || (*producer, *consumer) = (None, None));
            seated = false;
        }
        seated
    });
}

pub fn pipes() {
    type S = Option<(End, End)>;
    let make = |seg: &Segment| -> interproc::Result<S> { Ok(Some(seg.pipe_pair("p", 1 << 16, 4000)?)) };
    run(1 << 20, &["p"], make, |ends: &mut S, meter, dice| {
        let Some((a, b)) = ends else { return false };
        let message = vec![dice as u8; dice as usize % 4000];
        let _ = meter.now("try_send", || a.try_send(&message));
        let _ = meter.timed("send_until", |deadline| b.send_until(&message, deadline));
        let _ = meter.now("try_recv", || b.try_recv());
        let _ = meter.timed("recv_until", |deadline| a.recv_until(deadline));
        let _ = meter.now("poll", || (a.poll(Duration::ZERO), b.peer().is_ok()));
        if dice % 64 == 0 {
            meter.now("close", || drop(ends.take()));
        }
        ends.is_some()
    });
}

pub fn listeners() {
    type S = (Segment, Option<Listener>);
    // As many pipes as there can be.
    let make = |seg: &Segment| -> interproc::Result<S> {
        Ok((seg.clone(), Some(Listener::bind(seg, "server", 1024, 100, 20)?)))
    };
    run(2 << 20, &["server"], make, |(seg, listener): &mut S, meter, dice| {
        let Some(listening) = listener else { return false };
        let client = meter.now("try_connect", || pipe::try_connect(seg, "server"));
        let late = meter.timed("connect_until", |deadline| pipe::connect_until(seg, "server", deadline));
        let server = meter.now("try_accept", || listening.try_accept());
        let other = meter.timed("accept_until", |deadline| listening.accept_until(deadline));
        if let (Ok(mut client), Ok(mut server)) = (client, server) {
            let _ = meter.now("try_send", || client.try_send(&[1; 9]));
            let _ = meter.timed("recv_until", |deadline| server.recv_until(deadline));
        }
        meter.now("close", || drop((late, other)));
        meter.now("pending", || drop((listening.pending(), pipe::listener(seg, "server"))));
        if dice % 32 == 0 {
            meter.now("stop listening", || *listener = None);
        }
        listener.is_some()
    });
}

pub fn pipes_that_are_handed_over() {
    type S = Option<(End, End)>;
    let make = |seg: &Segment| -> interproc::Result<S> { Ok(Some(seg.pipe_pair("p", 1 << 12, 100)?)) };
    run(1 << 16, &["p"], make, |ends: &mut S, meter, _| {
        let Some((mut ours, theirs)) = ends.take() else { return false };
        let child = kit::fork(|| {
            // The child's own end: taken over, used, left by its death.
            let mut theirs = theirs;
            let _ = theirs.adopt();
            let _ = (theirs.try_send(&[1; 50]), theirs.recv_timeout(Duration::from_millis(1)));
            std::mem::forget(theirs);
        });
        // A fork takes as long as hundreds of calls.
        let mut exchange = || {
            for _ in 0..100 {
                let _ = meter.now("try_recv", || ours.try_recv());
                let _ = meter.now("try_send", || ours.try_send(&[2; 50]));
            }
            let _ = meter.timed("recv_until", |deadline| ours.recv_until(deadline));
        };
        exchange();
        drop(child);
        exchange();
        meter.now("close", || drop(ours));
        false
    });
}

/// What a set waits for. (Its sources are of these, so that a set may be made anew in each round.)
struct Sources {
    queue: Queue<u64>,
    bytes: ByteQueue,
    jobs: WorkQueue<u64>,
    latest: Latest<u64>,
    permits: BoundedSemaphore,
    event: Object<Event>,
    semaphore: Object<Semaphore>,
    /// Seats may be lost.
    seats: Option<Seats>,
}

struct Seats {
    news: Subscriber<u64>,
    consumer: Consumer<u64>,
    ends: (End, End),
    listener: Listener,
}

const WATCHED: [&str; 11] = ["q", "b", "w", "n", "p", "e", "s", "news", "lane", "pipe", "door"];

impl Sources {
    fn new(seg: &Segment) -> interproc::Result<Sources> {
        Ok(Sources {
            queue: seg.queue("q", 4)?,
            bytes: seg.byte_queue("b", 640, 64)?,
            jobs: seg.work_queue("w", WorkOptions::new(4))?,
            latest: seg.latest("n", 0)?,
            permits: seg.bounded_semaphore("p", 2)?,
            event: seg.object("e", Event::new)?,
            semaphore: seg.object("s", || Semaphore::new(0))?,
            seats: Some(Seats {
                news: seg.broadcast::<u64>("news", BroadcastOptions::new(4))?.subscribe(Slow::Lags)?,
                consumer: seg.spsc_consumer("lane", 4)?,
                ends: seg.pipe_pair("pipe", 1 << 10, 64)?,
                listener: Listener::bind(seg, "door", 2, 100, 20)?,
            }),
        })
    }

    /// All of them, in a set; or without those that are ready mostly, so that it sleeps.
    fn watched<'a>(&'a self, set: &mut WaitSet<'a>, all: bool) -> interproc::Result<()> {
        if all {
            set.add(self.queue.when_writable())?;
            set.add(self.bytes.when_writable(64))?;
            set.add(self.jobs.when_writable())?;
            set.add(self.permits.when_available())?;
        }
        set.add(self.queue.when_readable())?;
        set.add(self.bytes.when_readable())?;
        set.add(self.jobs.when_readable())?;
        set.add(self.latest.when_newer(self.latest.version()))?;
        set.add(self.event.when_set())?;
        set.add(self.semaphore.when_available())?;
        if let Some(seats) = &self.seats {
            set.add(seats.news.when_readable())?;
            set.add(seats.consumer.when_readable())?;
            set.add(seats.ends.0.when_readable())?;
            if all {
                set.add(seats.ends.1.when_writable())?;
            }
            set.add(seats.listener.when_readable())?;
        }
        Ok(())
    }

    /// Something happens to some of them.
    fn stir(&self, meter: &mut Meter, dice: u64) {
        meter.now("try_push or try_pop", || match dice % 4 {
            0 => drop(self.queue.try_push(dice)),
            1 => drop(self.queue.try_pop()),
            2 => drop(self.bytes.try_push(&[7; 64])),
            _ => drop(self.bytes.try_pop()),
        });
        meter.linear("try_put or try_take", 20, || match dice % 3 {
            0 => drop(self.jobs.try_put(dice)),
            1 => drop(self.jobs.try_take()),
            _ => drop(self.permits.try_acquire()),
        });
        meter.now("set or post", || match dice % 16 {
            0 => self.event.set(),
            1 => drop(self.semaphore.post()),
            2 => drop(self.latest.try_set(dice)),
            // Mostly there is nothing, so that a set sleeps.
            _ => {
                self.event.clear();
                drop(self.semaphore.try_acquire());
            }
        });
    }
}

/// Looks, announces itself and sleeps, in sets that are kept for a while. They may be woken for nothing.
fn watch_all(is_polled: bool) {
    run(1 << 17, &WATCHED, Sources::new, |sources: &mut Sources, meter, dice| {
        let mut set = WaitSet::new();
        if is_polled {
            let _ = meter.now("descriptor", || set.descriptor().is_ok());
        }
        let whole = meter.linear("add", 20, || sources.watched(&mut set, dice % 8 == 0).is_ok());
        for n in 0..4 {
            let _ = meter.linear("try_wait", 20, || set.try_wait().map(<[Key]>::len));
            sources.stir(meter, dice >> n);
            let _ = meter.timed("wait_until", |deadline| set.wait_until(deadline).map(<[Key]>::len));
        }
        // With a single one there is more to sleep for.
        let mut one = WaitSet::new();
        if is_polled {
            let _ = meter.now("descriptor", || one.descriptor().is_ok());
        }
        let _ = meter.now("add one", || match dice % 3 {
            0 => one.add(sources.queue.when_readable()),
            1 => one.add(sources.bytes.when_readable()),
            _ => one.add(sources.latest.when_newer(sources.latest.version())),
        });
        let _ = meter.timed("wait_until for one", |deadline| one.wait_until(deadline).is_ok());
        meter.now("drop", || drop((set, one)));
        let whole = whole && dice % 64 != 0;
        if !whole {
            sources.seats = None;
        }
        whole
    });
}

pub fn wait_sets() {
    watch_all(false);
}

pub fn wait_sets_in_epoll() {
    watch_all(true);
}

/// Names looked up and objects made in a directory that is written over.
pub fn directories() {
    let named = Named::new(1 << 20);
    let seg = &named.seg;
    for n in 0..40 {
        seg.object(&format!("o{n}"), Event::new).expect("room");
    }
    let scribbler = Scribbler::new(seg);
    let look = Segment::open_read_only(seg.name().expect("a name")).expect("readable");
    let directory =
        Target { at: look.header().dir_off as usize, len: 50 * interproc::raw::format::ENTRY_SIZE };
    let _peer = scribble(scribbler, vec![directory], seed());
    let mut meter = Meter::new();
    let mut random = Random(seed() | 1);
    let until = Instant::now() + Duration::from_secs_f64(seconds());
    while Instant::now() < until {
        let name = format!("o{}", random.below(40));
        let _ = meter.now("find", || seg.find::<Event>(&name).map(drop));
        // Waits for the directory's lock, which a peer may say that somebody has: without the processor.
        let _ = meter.now("objects", || look.objects().map(drop));
        let _ = meter.linear("view", 200, || look.view().map(drop));
        let _ = meter.now("members", || look.members().map(drop));
    }
}
