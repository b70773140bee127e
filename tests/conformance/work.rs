//! The specification of the work queue.

use crate::kit::{self, LONG, NET, await_word, board, raise};
use crate::place::{MANY, Place, await_asleep, say_where, under_signals};
use interproc::queue::{Job, Lease, WorkOptions, WorkOrder, WorkQueue};
use interproc::{Deadline, ErrorKind, Segment, Wait};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

fn jobs(seg: &Segment, options: WorkOptions) -> WorkQueue<u64> {
    seg.work_queue("jobs", options).expect("queue")
}

fn new(options: WorkOptions) -> (Segment, WorkQueue<u64>, &'static [AtomicU64; 512]) {
    let seg = kit::segment();
    let queue = jobs(&seg, options);
    (seg, queue, board())
}

fn kind<T>(result: interproc::Result<T>) -> Result<T, ErrorKind> {
    result.map_err(|e| e.kind())
}

fn has(job: interproc::Result<Lease<'_, u64>>) -> Result<(u64, u32), ErrorKind> {
    kind(job).map(|job| {
        let told = (*job, job.deliveries());
        job.done().expect("its own");
        told
    })
}

/// Nothing is left, and all room is there.
fn is_whole(q: &WorkQueue<u64>) {
    assert_eq!((q.survey(), q.unfinished(), q.len(), q.leased()), ([0; 5], 0, 0, 0));
    for n in 0..q.capacity() as u64 {
        q.try_put(n).expect("room");
    }
    assert_eq!(kind(q.try_put(0)), Err(ErrorKind::Full));
    while has(q.try_take()).is_ok() {}
    assert_eq!(q.survey(), [0; 5]);
}

pub fn every_job_is_done_once(at: Place) {
    const EACH: u64 = 1_000;
    for order in [WorkOrder::Fifo, WorkOrder::Lifo, WorkOrder::Priority] {
        let options = WorkOptions::new(8).order(order);
        let (seg, q, words) = new(options);
        let put = |from: u64| {
            at.start(&seg, move |seg| {
                let q = jobs(seg, options);
                for n in from..from + EACH {
                    let job = Job { priority: (n % 7) as i64, ..Job::default() };
                    q.put_with(n, job, Wait::ForEver).expect("open");
                }
            })
        };
        let producers = [put(0), put(EACH)];
        let work = |n: u64| {
            at.start(&seg, move |seg| {
                let q = jobs(seg, options);
                let mut given_back = 0;
                loop {
                    match q.take() {
                        Ok(job) if *job % 50 == n && job.deliveries() == 1 => {
                            given_back += 1;
                            drop(job);
                        }
                        Ok(job) => {
                            words[0].fetch_add(1, SeqCst);
                            words[1].fetch_add(*job, SeqCst);
                            job.done().expect("its own");
                        }
                        Err(e) => break assert_eq!(e.kind(), ErrorKind::Closed),
                    }
                }
                words[2].fetch_add(given_back, SeqCst);
            })
        };
        let workers: Vec<_> = (0..3).map(work).collect();
        producers.into_iter().for_each(|p| p.join());
        q.join_timeout(LONG).expect("all are done");
        assert_eq!(words[0].load(SeqCst), 2 * EACH);
        assert_eq!(words[1].load(SeqCst), (0..2 * EACH).sum());
        q.close().expect("a member");
        workers.into_iter().for_each(|w| w.join());
        words[..3].iter().for_each(|word| word.store(0, SeqCst));
        assert_eq!(kind(q.put(1)), Err(ErrorKind::Closed));
    }
}

pub fn a_dead_workers_job_is_with_another_at_once(at: Place) {
    for delivery in 1..=3 {
        let options = WorkOptions::new(4);
        let (seg, q, words) = new(options);
        q.put(7).expect("room");
        for n in 1..=delivery {
            let doomed = at.start(&seg, move |seg| {
                let q = jobs(seg, options);
                let job = q.take().expect("a job");
                assert_eq!((*job, job.deliveries()), (7, n));
                raise(&words[0]);
                await_word(&words[1], u64::from(n));
                words[3].store(Deadline::now().as_monotonic_ns(), SeqCst);
                at.die();
            });
            await_word(&words[0], u64::from(n));
            if n == delivery {
                // One that sleeps while the job is in the dead one's hands.
                words[2].store(0, SeqCst);
                let heir = at.start(&seg, move |seg| {
                    let q = jobs(seg, options);
                    say_where(&words[2]);
                    assert_eq!(has(q.take()), Ok((7, n + 1)));
                    let late = Deadline::now().as_monotonic_ns() - words[3].load(SeqCst);
                    assert!(Duration::from_nanos(late) < NET, "{late} ns");
                });
                await_asleep(&words[2]);
                raise(&words[1]);
                doomed.gone();
                heir.join();
            } else {
                raise(&words[1]);
                doomed.gone();
            }
        }
        is_whole(&q);
    }
}

/// Whoever joins watches the workers, also one that came later, and one whose last sleep was in another segment.
pub fn who_joins_gives_a_dead_workers_job_back(at: Place) {
    let options = WorkOptions::new(4);
    let (seg, q, words) = new(options);
    q.put(7).expect("room");
    let joins = at.start(&seg, move |seg| {
        let q = jobs(seg, options);
        say_where(&words[0]);
        q.join().expect("a member");
    });
    await_asleep(&words[0]);
    let doomed = at.start(&seg, move |seg| {
        let q = jobs(seg, options);
        let _job = q.take().expect("a job");
        // Its pending pointer is at another segment's bell now.
        let other = Segment::anonymous(1 << 14).expect("segment");
        let elsewhere = jobs(&other, options);
        raise(&words[1]);
        let _ = elsewhere.take_timeout(Duration::from_millis(2));
        let _one = elsewhere.put(1).and_then(|_| elsewhere.take()).expect("a job");
        at.die();
    });
    doomed.gone();
    let begin = Instant::now();
    while q.survey() != [1, 0, 0, 0, 0] {
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", q.survey());
        std::thread::yield_now();
    }
    assert_eq!(has(q.try_take()), Ok((7, 2)));
    joins.join();
    is_whole(&q);
}

pub fn a_dead_producers_room_is_free_and_the_books_are_whole(at: Place) {
    let options = WorkOptions::new(2).order(WorkOrder::Priority);
    let (seg, q, _) = new(options);
    for round in 0..20u64 {
        at.start(&seg, move |seg| {
            let q = jobs(seg, options);
            q.put(round).expect("room");
            at.die();
        })
        .gone();
        assert_eq!(has(q.try_take()), Ok((round, 1)));
    }
    is_whole(&q);
}

pub fn jobs_come_in_their_order(_: Place) {
    let (_, q, _) = new(WorkOptions::new(5));
    (1..=4).for_each(|n| drop(q.put(n)));
    let (one, two) = (q.take().expect("1"), q.take().expect("2"));
    drop(two);
    drop(one);
    let came: Vec<_> = (0..4).map(|_| has(q.try_take()).expect("a job").0).collect();
    assert_eq!(came, [1, 2, 3, 4], "what comes back is before the younger ones");
    let (_, q, _) = new(WorkOptions::new(5).order(WorkOrder::Lifo));
    (1..=4).for_each(|n| drop(q.put(n)));
    let came: Vec<_> = (0..4).map(|_| has(q.try_take()).expect("a job").0).collect();
    assert_eq!(came, [4, 3, 2, 1]);
    let (_, q, _) = new(WorkOptions::new(7).order(WorkOrder::Priority));
    for (n, priority) in [(1, 5), (2, i64::MIN), (3, 5), (4, i64::MAX), (5, -1), (6, 5)] {
        q.put_with(n, Job { priority, ..Job::default() }, Wait::Never).expect("room");
    }
    let came: Vec<_> = (0..6).map(|_| has(q.try_take()).expect("a job").0).collect();
    assert_eq!(came, [2, 5, 1, 3, 6, 4], "the lowest first, the oldest of equals");
    is_whole(&q);
}

pub fn a_delayed_job_comes_when_its_time_has_come(at: Place) {
    let options = WorkOptions::new(8);
    let (seg, q, words) = new(options);
    // Two that sleep; the first to come leaves before the job's time.
    let impatient = at.start(&seg, move |seg| {
        say_where(&words[0]);
        let q = jobs(seg, options);
        assert_eq!(has(q.take_timeout(Duration::from_millis(30))), Err(ErrorKind::TimedOut));
    });
    await_asleep(&words[0]);
    let patient = at.start(&seg, move |seg| {
        say_where(&words[1]);
        let q = jobs(seg, options);
        assert_eq!(has(q.take()), Ok((9, 1)));
        words[2].store(Deadline::now().as_monotonic_ns(), SeqCst);
        assert_eq!(has(q.take()), Ok((8, 1)));
    });
    await_asleep(&words[1]);
    let now = Deadline::now().as_monotonic_ns();
    q.put_after(Duration::from_millis(200), 8).expect("room");
    q.put_after(Duration::from_millis(100), 9).expect("room");
    assert_eq!((q.len(), q.unfinished(), q.survey()), (0, 2, [0, 2, 0, 0, 0]));
    assert_eq!(has(q.try_take()), Err(ErrorKind::Empty));
    assert_eq!(kind(q.join_until(Deadline::now())), Err(ErrorKind::TimedOut));
    impatient.join();
    patient.join();
    let came = Duration::from_nanos(words[2].load(SeqCst) - now);
    assert!(came >= Duration::from_millis(100), "{came:?}");
    assert!(came < Duration::from_secs(5), "{came:?}");
    is_whole(&q);
}

pub fn a_lease_that_is_over_goes_to_another(at: Place) {
    let options = WorkOptions::new(2).lease(Duration::from_millis(50));
    let (seg, q, words) = new(options);
    q.put(7).expect("room");
    let slow = at.start(&seg, move |seg| {
        let q = jobs(seg, options);
        let job = q.take().expect("a job");
        raise(&words[0]);
        await_word(&words[1], 1);
        assert_eq!(kind(job.done()), Err(ErrorKind::Stale));
    });
    await_word(&words[0], 1);
    let begin = Instant::now();
    let job = q.take_timeout(LONG).expect("comes back");
    assert_eq!((*job, job.deliveries()), (7, 2));
    assert!(begin.elapsed() >= Duration::from_millis(20), "{:?}", begin.elapsed());
    raise(&words[1]);
    slow.join();
    job.done().expect("in time");
    is_whole(&q);
}

pub fn what_fails_too_often_is_a_dead_letter(at: Place) {
    let options = WorkOptions::new(2).max_deliveries(3);
    let (seg, q, words) = new(options);
    let id = q.put(7).expect("room");
    q.take().expect("a job").fail("first reason").expect("its own");
    at.start(&seg, move |seg| {
        let q = jobs(seg, options);
        let _job = q.take().expect("a job");
        at.die();
    })
    .gone();
    let joins = at.start(&seg, move |seg| {
        let q = jobs(seg, options);
        say_where(&words[0]);
        q.join().expect("a member");
    });
    await_asleep(&words[0]);
    let job = q.take().expect("a job");
    assert_eq!((job.id(), job.deliveries()), (id, 3));
    job.fail(&"é".repeat(100)).expect("its own");
    joins.join();
    let letters = q.dead_letters().expect("memory");
    assert_eq!((letters.len(), letters[0].body, letters[0].id(), letters[0].deliveries()), (1, 7, id, 3));
    assert_eq!(letters[0].reason, "é".repeat(32), "64 bytes, cut between characters");
    assert_eq!((has(q.try_take()), q.unfinished()), (Err(ErrorKind::Empty), 0));
    q.put(8).expect("room");
    assert_eq!(kind(q.try_put(9)), Err(ErrorKind::Full), "dead letters take room");
    assert!(q.retry(&letters[0]).expect("a member"));
    assert!(!q.retry(&letters[0]).expect("a member"), "it is none any more");
    assert_eq!(has(q.try_take()), Ok((7, 1)), "as if it had never been delivered");
    for _ in 0..3 {
        drop(q.take().expect("a job"));
    }
    let letters = q.dead_letters().expect("memory");
    assert!(q.discard(&letters[0]).expect("a member") && !q.discard(&letters[0]).expect("a member"));
    is_whole(&q);
}

pub fn a_closed_one_is_worked_off_and_then_at_its_end(at: Place) {
    let options = WorkOptions::new(2);
    let (seg, q, words) = new(options);
    q.put(1).expect("room");
    let job = q.take().expect("a job");
    let waits = at.start(&seg, move |seg| {
        let q = jobs(seg, options);
        say_where(&words[0]);
        assert_eq!(has(q.take()), Ok((1, 2)), "what comes back is work, too");
        assert_eq!(has(q.take()), Err(ErrorKind::Closed));
    });
    await_asleep(&words[0]);
    q.close().expect("a member");
    assert!(q.is_closed());
    assert_eq!(has(q.try_take()), Err(ErrorKind::Empty), "one is not done");
    assert_eq!(kind(q.put(2)), Err(ErrorKind::Closed));
    drop(job);
    waits.join();
    assert_eq!(has(q.take()), Err(ErrorKind::Closed));
    q.close().expect("again");
}

pub fn a_wait_for_room_ends_with_room_or_the_end(at: Place) {
    let options = WorkOptions::new(1);
    let (seg, q, words) = new(options);
    q.put(1).expect("room");
    assert_eq!(kind(q.put_timeout(2, Duration::from_millis(5))), Err(ErrorKind::TimedOut));
    let waits = at.start(&seg, move |seg| {
        let q = jobs(seg, options);
        say_where(&words[0]);
        q.put(2).expect("room");
        raise(&words[1]);
        assert_eq!(kind(q.put(3)), Err(ErrorKind::Closed));
    });
    await_asleep(&words[0]);
    assert_eq!(has(q.take()), Ok((1, 1)));
    await_word(&words[1], 1);
    await_asleep(&words[0]);
    q.close().expect("a member");
    waits.join();
    assert_eq!(has(q.take()), Ok((2, 1)));
}

pub fn a_try_does_what_can_be_done_now(at: Place) {
    let options = WorkOptions::new(3);
    let (seg, q, words) = new(options);
    assert_eq!(has(q.take_until(Deadline::now())), Err(ErrorKind::TimedOut));
    q.put_until(5, Deadline::from_monotonic_ns(0)).expect("there is room");
    assert_eq!(has(q.take_until(Deadline::from_monotonic_ns(0))), Ok((5, 1)));
    // Beside others that come and go.
    let others = at.start(&seg, move |seg| {
        let q = jobs(seg, options);
        while words[0].load(SeqCst) == 0 {
            q.put(1).expect("room");
            has(q.take()).expect("a job");
        }
    });
    for _ in 0..2_000 {
        match has(q.take_until(Deadline::now())) {
            Ok((1, _)) => q.put(1).map(drop).expect("room"),
            Ok(other) => panic!("{other:?}"),
            Err(kind) => assert_eq!(kind, ErrorKind::TimedOut),
        }
    }
    raise(&words[0]);
    others.join();
    while has(q.try_take()).is_ok() {}
    is_whole(&q);
}

pub fn a_lease_belongs_to_its_thread(at: Place) {
    if at != Place::Processes {
        return;
    }
    let (_, q, _) = new(WorkOptions::new(2));
    q.put(1).expect("room");
    let job = std::cell::Cell::new(q.take().ok());
    kit::fork(|| {
        let copy = job.take().expect("a copy");
        assert_eq!(kind(copy.done()), Err(ErrorKind::NotOwner));
    })
    .join();
    assert_eq!(q.leased(), 1, "the copy in the child ended nothing");
    job.take().expect("the job").done().expect("its own");
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let options = WorkOptions::new(2);
    let (seg, q, words) = new(options);
    let works = at.start(&seg, move |seg| {
        let q = jobs(seg, options);
        under_signals(&words[0], || {
            assert_eq!(has(q.take()), Ok((1, 1)));
            assert_eq!(has(q.take_timeout(Duration::from_millis(20))), Err(ErrorKind::TimedOut));
            raise(&words[1]);
            await_word(&words[2], 1);
            q.join().expect("a member");
        });
    });
    await_word(&words[0], MANY);
    q.put(1).expect("room");
    await_word(&words[1], 1);
    q.put(2).expect("room");
    let job = q.take().expect("a job");
    raise(&words[2]);
    let pestered = words[0].load(SeqCst);
    await_word(&words[0], pestered + MANY);
    job.done().expect("its own");
    works.join();
    is_whole(&q);
}

pub fn other_options_and_types_are_refused(_: Place) {
    let seg = kit::segment();
    let options = WorkOptions::new(4).max_deliveries(2);
    let _q = jobs(&seg, options);
    for other in [WorkOptions::new(5).max_deliveries(2), options.order(WorkOrder::Lifo), WorkOptions::new(4)]
    {
        assert_eq!(kind(seg.work_queue::<u64>("jobs", other)).map(drop), Err(ErrorKind::TypeMismatch));
    }
    assert_eq!(kind(seg.work_queue::<i64>("jobs", options)).map(drop), Err(ErrorKind::TypeMismatch));
    assert_eq!(kind(seg.byte_work_queue("jobs", 8, options)).map(drop), Err(ErrorKind::TypeMismatch));
    for impossible in [WorkOptions::new(0), WorkOptions::new(1 << 25), options.max_deliveries(5000)] {
        assert_eq!(kind(seg.work_queue::<u64>("none", impossible)).map(drop), Err(ErrorKind::InvalidInput));
    }
    let texts = seg.byte_work_queue("texts", 10, options).expect("queue");
    assert_eq!(kind(texts.put(b"eleven byte".as_slice())), Err(ErrorKind::TooLarge));
    texts.put(b"".as_slice()).expect("room");
    assert_eq!(texts.take().expect("a job").done().expect("its own"), b"");
}
