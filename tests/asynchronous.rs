//! Futures: tasks of tokio runtimes, beside other processes, cancelled, killed and shut down. Each test in a process of its own.

#[macro_use]
mod support;
#[path = "support/echo_server.rs"]
mod echo_server;

use interproc::asynchronous::{Async, Reactor};
use interproc::process::{Builder, Process, Program};
use interproc::queue::{BroadcastOptions, Slow, WorkOptions};
use interproc::sync::{Event, Semaphore};
use interproc::waitset::{Source, WaitSet};
use interproc::{Error, ErrorKind, Segment, pipe};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;

/// Long enough for anything that must happen.
const LONG: Duration = Duration::from_secs(20);
/// Long enough for anything that must not happen to show.
const A_WHILE: Duration = Duration::from_millis(60);

fn segment() -> Segment {
    Segment::anonymous(1 << 20).expect("memory")
}

fn current_thread() -> Runtime {
    runtime::Builder::new_current_thread().enable_all().build().expect("descriptors")
}

fn multi_thread() -> Runtime {
    runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads")
}

/// In time.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG, future).await.expect("it happens")
}

/// Not now.
async fn waits(future: impl Future) {
    assert!(timeout(A_WHILE, future).await.is_err(), "it waits");
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("there is /proc").count()
}

fn epolls() -> usize {
    let entries = std::fs::read_dir("/proc/self/fd").expect("there is /proc");
    let is_one = |entry: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_link(entry.expect("readable").path())
            .is_ok_and(|to| to.to_string_lossy().contains("eventpoll"))
    };
    entries.filter_map(|entry| is_one(entry).then_some(())).count()
}

/// Every kind of object. Another process does its part shortly after a task has begun to wait.
fn each_kind(runtime: fn() -> Runtime) {
    const ROUNDS: u32 = 3;
    let seg = segment();
    let queue = seg.queue::<u32>("queue", 1).expect("room");
    let full = seg.queue::<u32>("full", 1).expect("room");
    let bytes = seg.byte_queue("bytes", 256, 100).expect("room");
    let full_bytes = seg.byte_queue("full bytes", 256, 100).expect("room");
    let consumer = seg.spsc_consumer::<u32>("spsc", 1).expect("room");
    let producer = seg.spsc_producer::<u32>("full spsc", 1).expect("room");
    let reader = seg.byte_consumer("lane", 256, 100).expect("room");
    let writer = seg.byte_producer("full lane", 256, 100).expect("room");
    let (near, far) = seg.pipe_pair("pipe", 256, 100).expect("room");
    let listener = pipe::Listener::bind(&seg, "door", 4, 256, 100).expect("room");
    let jobs = seg.work_queue::<u32>("jobs", WorkOptions::new(1)).expect("room");
    let full_jobs = seg.work_queue::<u32>("full jobs", WorkOptions::new(1)).expect("room");
    let news = seg.broadcast::<u32>("news", BroadcastOptions::new(4)).expect("room");
    let subscriber = news.subscribe(Slow::Waits).expect("a seat");
    let latest = seg.latest("latest", 0u32).expect("room");
    let event = seg.object("event", Event::new).expect("room");
    let semaphore = seg.object("semaphore", || Semaphore::new(0)).expect("room");
    let permits = seg.bounded_semaphore("permits", 1).expect("room");
    let go = seg.object("go", || Semaphore::new(0)).expect("room");

    let child = Builder::new()
        .fork_giving(far, |mut far| {
            let mut to = seg.spsc_producer::<u32>("spsc", 1).expect("room");
            let mut from = seg.spsc_consumer::<u32>("full spsc", 1).expect("room");
            let mut write = seg.byte_producer("lane", 256, 100).expect("room");
            let mut read = seg.byte_consumer("full lane", 256, 100).expect("room");
            let (send, receive) = far.halves();
            for round in 0..ROUNDS {
                let mut permit = Some(permits.acquire().expect("free"));
                event.clear();
                let steps: [&mut dyn FnMut(); 18] = [
                    &mut || queue.push(round).expect("open"),
                    &mut || assert_eq!(full.pop().expect("open"), round),
                    &mut || bytes.push(&[round as u8]).expect("open"),
                    &mut || while full_bytes.try_pop().is_ok() {},
                    &mut || to.push(round).expect("open"),
                    &mut || {
                        assert_eq!((from.pop().expect("open"), from.pop().expect("open")), (round, round + 1))
                    },
                    &mut || write.push(&[round as u8]).expect("open"),
                    &mut || while read.try_pop().is_ok() {},
                    &mut || send.send(&[round as u8]).expect("open"),
                    &mut || while receive.try_recv().is_ok() {},
                    &mut || drop(pipe::connect(&seg, "door").expect("a pipe")),
                    &mut || _ = jobs.put(round).expect("open"),
                    &mut || _ = full_jobs.take().expect("open").done().expect("ours"),
                    &mut || _ = news.publish(round).expect("open"),
                    &mut || _ = latest.set(round).expect("sound"),
                    &mut || event.set(),
                    &mut || semaphore.post().expect("far from the limit"),
                    &mut || drop(permit.take()),
                ];
                for step in steps {
                    go.acquire().expect("sound");
                    std::thread::sleep(Duration::from_millis(2));
                    step();
                }
                go.acquire().expect("sound"); // the permit is back
            }
        })
        .expect("forks");

    runtime()
        .block_on(async move {
            let queue = Async::new(queue)?;
            let full = Async::new(full)?;
            let bytes = Async::new(bytes)?;
            let full_bytes = Async::new(full_bytes)?;
            let mut consumer = Async::new(consumer)?;
            let mut producer = Async::new(producer)?;
            let mut reader = Async::new(reader)?;
            let mut writer = Async::new(writer)?;
            let (mut to, mut from) = Async::new(near)?.split();
            let mut listener = Async::new(listener)?;
            let jobs = Async::new(jobs)?;
            let full_jobs = Async::new(full_jobs)?;
            let mut subscriber = Async::new(subscriber)?;
            let latest = Async::new(latest)?;
            let event = Async::new(event)?;
            let semaphore = Async::new(semaphore)?;
            let permits = Async::new(permits)?;
            let go = || go.post().expect("far from the limit");
            for round in 0..ROUNDS {
                go();
                assert_eq!(soon(queue.pop()).await?, round);
                full.push(round).await?;
                go();
                soon(full.push(round + 1)).await?;
                assert_eq!(full.pop().await?, round + 1);
                go();
                assert_eq!(soon(bytes.pop()).await?, [round as u8]);
                while full_bytes.get_ref().try_push(&[0; 50]).is_ok() {}
                go();
                soon(full_bytes.push(&[0; 50])).await?;
                while full_bytes.get_ref().try_pop().is_ok() {}
                go();
                assert_eq!(soon(consumer.pop()).await?, round);
                producer.push(round).await?;
                go();
                soon(producer.push(round + 1)).await?;
                go();
                assert_eq!(soon(reader.pop()).await?, [round as u8]);
                while writer.get_mut().try_push(&[0; 50]).is_ok() {}
                go();
                soon(writer.push(&[0; 50])).await?;
                go();
                assert_eq!(soon(from.recv()).await?, [round as u8]);
                while to.get_mut().try_send(&[0; 50]).is_ok() {}
                go();
                soon(to.send(&[0; 50])).await?;
                go();
                drop(soon(listener.accept()).await?);
                go();
                assert_eq!(soon(jobs.take()).await?.done()?, round);
                full_jobs.put(round).await?;
                go();
                soon(full_jobs.put(round + 1)).await?;
                full_jobs.take().await?.done()?;
                go();
                assert_eq!(soon(subscriber.recv()).await?, round);
                let seen = latest.get_ref().version();
                go();
                assert_eq!(soon(latest.wait_newer(seen)).await?.value, round);
                event.get_ref().clear();
                go();
                soon(event.wait()).await?;
                go();
                soon(semaphore.acquire()).await?;
                go();
                drop(soon(permits.acquire()).await?);
                go();
            }
            let pid = child.pid();
            let process = Async::new(Process::open(pid).expect("not joined yet"))?;
            let child = Async::new(child)?;
            soon(process.wait()).await?;
            assert!(soon(child.join()).await?.success());
            Ok::<(), Error>(())
        })
        .expect("sound");
}

fn each_kind_on_one_thread() {
    each_kind(current_thread);
}

fn each_kind_on_several_threads() {
    each_kind(multi_thread);
}

/// A cheap generator of numbers.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *state >> 33
}

/// Polls a future at most so often, and then drops it, as `select` does with those that were not first.
async fn at_most<T>(polls: u64, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            if left == 0 {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        }
    })
    .await
}

/// A thousand tasks that pop, and as many that push, and give up at any moment. Nothing is lost, and nothing comes twice.
fn what_is_cancelled_loses_nothing() {
    const TASKS: usize = 1000;
    const MESSAGES: u32 = 60_000;
    let seg = segment();
    let (there, back) =
        (seg.queue::<u32>("there", 64).expect("room"), seg.queue::<u32>("back", 64).expect("room"));
    let child = Builder::new()
        .fork(|| {
            let mut got = vec![0u8; MESSAGES as usize];
            let mut count = |value: u32| got[value as usize] += 1;
            for value in 0..MESSAGES {
                there.push(value).expect("open");
                while let Ok(value) = back.try_pop() {
                    count(value);
                }
            }
            there.close().expect("sound");
            while let Ok(value) = back.pop() {
                count(value);
            }
            assert!(got.iter().all(|times| *times == 1), "each exactly once");
        })
        .expect("forks");
    let cancelled = Arc::new(AtomicU64::new(0));
    multi_thread().block_on(async {
        let there = Arc::new(Async::new(there.clone()).expect("in a runtime"));
        let back = Arc::new(Async::new(back.clone()).expect("in a runtime"));
        let tasks: Vec<_> = (0..TASKS)
            .map(|n| {
                let (there, back, cancelled) = (there.clone(), back.clone(), cancelled.clone());
                tokio::spawn(async move {
                    let mut state = n as u64 + 1;
                    loop {
                        let polls = random(&mut state) % 4;
                        let value = match at_most(polls, there.pop()).await {
                            Some(Ok(value)) => value,
                            Some(Err(error)) => break assert_eq!(error.kind(), ErrorKind::Closed),
                            None => {
                                cancelled.fetch_add(1, Ordering::Relaxed);
                                if random(&mut state).is_multiple_of(2) {
                                    tokio::task::yield_now().await;
                                } else {
                                    tokio::time::sleep(Duration::from_millis(random(&mut state) % 5)).await;
                                }
                                continue;
                            }
                        };
                        while at_most(random(&mut state) % 4, back.push(value)).await.is_none() {
                            cancelled.fetch_add(1, Ordering::Relaxed);
                            tokio::task::yield_now().await;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            timeout(LONG * 2, task).await.expect("in time").expect("no panic");
        }
        back.get_ref().close().expect("sound");
    });
    assert!(child.join().expect("ours").success());
    let cancelled = cancelled.load(Ordering::Relaxed);
    // How many depends on the machine: from 6,000 to 40,000.
    assert!(cancelled > 500, "{cancelled} were cancelled");
}

/// Those who gave up are in nobody's way: a message goes to who still waits.
fn a_message_goes_to_who_still_waits() {
    let seg = segment();
    let queue = seg.queue::<u32>("queue", 4).expect("room");
    current_thread().block_on(async {
        let queue = Arc::new(Async::new(queue).expect("in a runtime"));
        for round in 0..100 {
            let copy = queue.clone();
            let mut impatient = Box::pin(queue.pop());
            assert!(poll_once(impatient.as_mut()).is_pending());
            let waiter = tokio::spawn(async move { copy.pop().await });
            let mut late = Box::pin(queue.pop());
            tokio::task::yield_now().await;
            assert!(poll_once(late.as_mut()).is_pending());
            drop(late);
            queue.get_ref().push(round).expect("open");
            if round % 2 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await; // it is woken, and not polled
            }
            drop(impatient);
            assert_eq!(soon(waiter).await.expect("no panic").expect("open"), round);
        }
    });
}

fn a_killed_peer_of_a_pipe_ends_the_wait() {
    for runtime in [current_thread, multi_thread] {
        for sends in [false, true] {
            let (mut near, far) = pipe::pair(256, 100).expect("room");
            let child = Builder::new().fork_giving(far, |_end| std::thread::sleep(LONG)).expect("forks");
            runtime().block_on(async {
                if sends {
                    while near.try_send(&[0; 100]).is_ok() {}
                }
                let mut near = Async::new(near).expect("in a runtime");
                let waiter = tokio::spawn(async move {
                    match sends {
                        true => near.send(&[0; 100]).await,
                        false => near.recv().await.map(drop),
                    }
                });
                tokio::time::sleep(A_WHILE).await;
                assert!(!waiter.is_finished());
                let started = Instant::now();
                child.kill().expect("ours");
                let error = soon(waiter).await.expect("no panic").expect_err("the other end is dead");
                assert_eq!(error.kind(), ErrorKind::Closed);
                assert!(started.elapsed() < Duration::from_secs(5), "by chance alone");
            });
            child.join().expect("ours");
        }
    }
}

/// Producers that are killed at some moment. What they had pushed arrives, and the job that one had goes to a task.
fn what_the_dead_leave_reaches_tasks() {
    let seg = segment();
    let queue = seg.queue::<u64>("queue", 8).expect("room");
    let pushed = seg.object("pushed", || AtomicU64::new(0)).expect("room");
    let jobs = seg.work_queue::<u32>("jobs", WorkOptions::new(4)).expect("room");
    let mut expected = 0;
    for round in 0..20u64 {
        let first = expected;
        let child = Builder::new()
            .fork(|| {
                let job = jobs.take();
                for value in first.. {
                    queue.push(value).expect("open");
                    pushed.store(value + 1, Ordering::SeqCst);
                }
                drop(job);
            })
            .expect("forks");
        jobs.put(round as u32).expect("room");
        let runtime = current_thread();
        runtime.block_on(async {
            let queue = Async::new(queue.clone()).expect("in a runtime");
            let jobs = Async::new(jobs.clone()).expect("in a runtime");
            let until = Instant::now() + Duration::from_millis(2 + round);
            while Instant::now() < until {
                if let Ok(value) = timeout(A_WHILE, queue.pop()).await {
                    assert_eq!(value.expect("open"), expected);
                    expected += 1;
                }
            }
            let job = async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                child.kill().expect("ours");
                std::future::pending::<()>().await;
            };
            let mut killer = pin!(job);
            let mut take = pin!(soon(jobs.take()));
            let lease = std::future::poll_fn(|cx| {
                let _ = killer.as_mut().poll(cx);
                take.as_mut().poll(cx)
            })
            .await
            .expect("the dead worker's job");
            assert_eq!(lease.done().expect("ours"), round as u32);
            while let Ok(value) = timeout(A_WHILE, queue.pop()).await {
                assert_eq!(value.expect("open"), expected);
                expected += 1;
            }
            assert!(expected >= pushed.load(Ordering::SeqCst), "a message is lost");
        });
        child.join().expect("ours");
    }
}

/// What finds something at once has nothing to do with the set; the library's thread is there from the first wait to the last object.
fn who_does_not_wait_is_not_registered() {
    let seg = segment();
    let queue = seg.queue::<u32>("queue", 4).expect("room");
    let runtime = current_thread();
    runtime.block_on(async {
        let queue = Async::new(queue.clone()).expect("in a runtime");
        for n in 0..1000 {
            queue.push(n).await.expect("open");
            assert_eq!(queue.pop().await.expect("open"), n);
        }
        assert_eq!(threads(), 1);
        waits(queue.pop()).await;
        assert_eq!(threads(), 2, "the library's thread");
        let again = Async::new(queue.get_ref().clone()).expect("in a runtime");
        drop(queue);
        assert_eq!(threads(), 1, "no source is left");
        waits(again.pop()).await;
        assert_eq!(threads(), 2);
    });
    assert_eq!(threads(), 1);
    let before = epolls();
    runtime.block_on(async { tokio::task::yield_now().await });
    assert_eq!(epolls(), before - 1, "the driver has ended");
    drop(runtime);
    assert_eq!(epolls(), 0, "nothing is left");
}

/// The waits of one task, again and again, keep the library's thread.
fn the_thread_stays_between_two_waits() {
    let seg = segment();
    let (there, back) =
        (seg.queue::<u32>("there", 4).expect("room"), seg.queue::<u32>("back", 4).expect("room"));
    let child = Builder::new()
        .fork(|| {
            while let Ok(value) = there.pop() {
                back.push(value).expect("open");
            }
        })
        .expect("forks");
    let helper = || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("there is /proc");
        let names = tasks.map(|task| task.expect("readable").file_name().into_string().expect("a number"));
        names.filter(|name| *name != std::process::id().to_string()).collect::<Vec<_>>()
    };
    current_thread().block_on(async {
        let back = Async::new(back.clone()).expect("in a runtime");
        waits(back.pop()).await;
        let first = helper();
        assert_eq!(first.len(), 1);
        for n in 0..200 {
            there.push(n).expect("open");
            assert_eq!(soon(back.pop()).await.expect("open"), n);
            assert_eq!(helper(), first);
        }
        there.close().expect("sound");
    });
    child.join().expect("ours");
}

/// A task that always finds something lets others run.
fn a_busy_task_yields() {
    let seg = segment();
    let queue = seg.queue::<u32>("queue", 4).expect("room");
    current_thread().block_on(async {
        let queue = Async::new(queue).expect("in a runtime");
        let other = tokio::spawn(async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        });
        for n in 0..1_000_000 {
            queue.push(n).await.expect("open");
            assert_eq!(queue.pop().await.expect("open"), n);
            if other.is_finished() {
                return;
            }
        }
        panic!("the other task never ran");
    });
}

/// Each with a reactor of its own; and a future of one that is polled in the other.
fn two_runtimes_in_one_process() {
    let seg = segment();
    let (there, back) =
        (seg.queue::<u32>("there", 4).expect("room"), seg.queue::<u32>("back", 4).expect("room"));
    let over = seg.object("over", Event::new).expect("room");
    std::thread::scope(|s| {
        let (lend, borrow) = std::sync::mpsc::channel();
        let (there_too, back_too, over_too) = (there.clone(), back.clone(), over.clone());
        s.spawn(move || {
            current_thread().block_on(async {
                let there = Async::new(there_too).expect("in a runtime");
                lend.send(there.reactor().clone()).expect("they live");
                for n in 0..500 {
                    assert_eq!(soon(there.pop()).await.expect("open"), n);
                    back_too.push(n).expect("open");
                }
                soon(Async::new(over_too).expect("in a runtime").wait()).await.expect("sound");
            });
        });
        multi_thread().block_on(async {
            let theirs = borrow.recv().expect("they live");
            let there = Async::new(there.clone()).expect("in a runtime");
            assert_ne!(format!("{theirs:?}"), format!("{:?}", there.reactor()));
            let back = Async::by(&theirs, back.clone());
            for n in 0..500 {
                there.push(n).await.expect("open");
                assert_eq!(soon(back.pop()).await.expect("open"), n); // woken by the other runtime
            }
        });
        over.set();
    });
}

fn a_runtime_that_ends_ends_its_waits() {
    let seg = segment();
    let queue = seg.queue::<u32>("queue", 4).expect("room");
    for runtime in [current_thread, multi_thread] {
        let first = runtime();
        let lent = first.block_on(async { Async::new(queue.clone()).expect("in a runtime") });
        // Those of its own are dropped with it.
        let own = Async::by(lent.reactor(), queue.clone());
        let own = first.spawn(async move { own.pop().await });
        multi_thread().block_on(async {
            let waiter = tokio::spawn(async move {
                let ended = lent.pop().await.expect_err("the runtime ends");
                assert_eq!(ended.kind(), ErrorKind::Stale);
                let again = lent.pop().await.expect_err("it has ended");
                assert_eq!(again.kind(), ErrorKind::Stale);
                lent.push(1).await.expect("what need not wait works");
                assert_eq!(lent.pop().await.expect("open"), 1);
            });
            tokio::time::sleep(A_WHILE).await;
            assert!(!waiter.is_finished());
            first.shutdown_background();
            soon(waiter).await.expect("no panic");
            assert!(soon(own).await.is_err_and(|error| error.is_cancelled()));
        });
        let until = Instant::now() + LONG;
        while threads() > 1 {
            assert!(Instant::now() < until, "the library's thread goes on");
            std::thread::yield_now();
        }
        // Another runtime has another reactor.
        runtime().block_on(async {
            let queue = Async::new(queue.clone()).expect("in a runtime");
            waits(queue.pop()).await;
            queue.push(2).await.expect("open");
            assert_eq!(queue.pop().await.expect("open"), 2);
        });
    }
}

/// More segments than a set has room for: another set.
fn a_reactor_has_room_for_many_segments() {
    const PAIRS: usize = 80;
    multi_thread().block_on(async {
        let before = epolls();
        let reactor = Reactor::current().expect("in a runtime");
        let (mut far, mut tasks) = (Vec::new(), Vec::new());
        for n in 0..PAIRS {
            let (near, end) = pipe::pair(256, 100).expect("room");
            far.push(end);
            let mut near = Async::by(&reactor, near);
            tasks.push(tokio::spawn(async move { (n, near.recv().await) }));
        }
        tokio::time::sleep(A_WHILE).await;
        assert_eq!(epolls() - before, PAIRS.div_ceil(32));
        for (n, end) in far.iter_mut().enumerate() {
            end.send(&[n as u8]).expect("open");
        }
        for task in tasks {
            let (n, message) = soon(task).await.expect("no panic");
            assert_eq!(message.expect("open"), [n as u8]);
        }
    });
}

fn a_childs_copy_is_refused_and_harmless() {
    let seg = segment();
    let queue = seg.queue::<u32>("queue", 4).expect("room");
    current_thread().block_on(async {
        let queue = Async::new(queue.clone()).expect("in a runtime");
        waits(queue.pop()).await;
        let mut waiting = Box::pin(queue.pop());
        assert!(poll_once(waiting.as_mut()).is_pending());
        // SAFETY: the child uses its copies alone, and ends. (This process has the library's thread.)
        match unsafe { libc::fork() } {
            0 => {
                let is_refused = |polled| match polled {
                    Poll::Ready(Err(error)) => Error::kind(&error) == ErrorKind::NotOwner,
                    _ => false,
                };
                let refused = is_refused(poll_once(waiting.as_mut()));
                let refused = refused && is_refused(poll_once(pin!(queue.pop())));
                drop(waiting);
                drop(queue);
                // SAFETY: ends the process.
                unsafe { libc::_exit(i32::from(!refused)) }
            }
            pid => {
                let mut status = 0;
                // SAFETY: the status is writable.
                assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
                assert_eq!(status, 0);
            }
        }
        queue.push(1).await.expect("open");
        assert_eq!(soon(waiting).await.expect("open"), 1);
    });
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Neither the library's thread nor anybody else hangs.
fn who_finds_no_slot_is_told() {
    let seg = Segment::options().size(1 << 16).max_members(1).anonymous().expect("memory");
    let queue = seg.queue::<u32>("queue", 4).expect("room");
    current_thread().block_on(async {
        let queue = Async::new(queue).expect("in a runtime");
        for _ in 0..3 {
            // There is none for the library's thread.
            let error = soon(queue.pop()).await.expect_err("it cannot be woken");
            assert_eq!(error.kind(), ErrorKind::TooManyMembers);
            queue.push(1).await.expect("open");
            assert_eq!(soon(queue.pop()).await.expect("open"), 1);
        }
    });
}

/// Sources that are none of an object's own side: an event inside of a structure, a time, a descriptor.
fn any_source_can_be_waited_for() {
    interproc::shared! {
        struct Door { opens: Event, count: AtomicU32 }
    }
    let seg = segment();
    let door = seg.object("door", || Door { opens: Event::new(), count: AtomicU32::new(0) }).expect("room");
    let child = Builder::new()
        .fork(|| {
            std::thread::sleep(Duration::from_millis(20));
            door.count.fetch_add(1, Ordering::SeqCst);
            door.opens.set();
        })
        .expect("forks");
    for runtime in [current_thread, multi_thread] {
        runtime().block_on(async {
            let reactor = Reactor::current().expect("in a runtime");
            soon(reactor.ready(door.opens.when_set().kept().expect("in a segment"))).await.expect("sound");
            assert_eq!(door.count.load(Ordering::SeqCst), 1);
            let started = Instant::now();
            soon(reactor.ready(Source::after(A_WHILE))).await.expect("sound");
            assert!(started.elapsed() >= A_WHILE);
            // Ready before anybody waits: not forgotten.
            soon(reactor.ready(Source::after(Duration::ZERO))).await.expect("sound");
            let alone = Event::new();
            assert_eq!(alone.when_set().kept().unwrap_err().kind(), ErrorKind::InvalidInput);
            // Dropped before it is ready.
            for _ in 0..100 {
                let ready = reactor.ready(Source::after(LONG));
                assert!(at_most(1, ready).await.is_none());
            }
        });
    }
    child.join().expect("ours");
}

/// For a program that has a reactor of its own.
fn a_set_is_a_descriptor_for_others() {
    let seg = segment();
    let queue = seg.queue::<u32>("queue", 4).expect("room");
    let child = Builder::new()
        .fork(|| {
            for n in 0..100 {
                std::thread::sleep(Duration::from_millis(1));
                queue.push(n).expect("open");
            }
        })
        .expect("forks");
    current_thread().block_on(async {
        let mut set = WaitSet::new().into_pollable().expect("descriptors");
        let key = set.add(queue.when_readable()).expect("room");
        // SAFETY: the set has its descriptor as long as it lives.
        let mut set = unsafe { tokio::io::unix::AsyncFd::register(set) }.expect("descriptors");
        for n in 0..100 {
            while set.get_mut().try_wait().expect("sound").is_empty() {
                soon(set.readable_mut()).await.expect("sound").clear_ready();
            }
            assert_eq!(set.get_mut().try_wait().expect("sound"), [key]);
            assert_eq!(queue.try_pop().expect("a message"), n);
        }
    });
    child.join().expect("ours");
}

fn messages_longer_than_the_ring_go_in_pieces() {
    for runtime in [current_thread, multi_thread] {
        runtime().block_on(async {
            let (near, far) = pipe::pair(256, 100).expect("room");
            let (mut near, mut far) =
                (Async::new(near).expect("in a runtime"), Async::new(far).expect("in a runtime"));
            let echo = tokio::spawn(async move {
                while let Ok(message) = far.recv().await {
                    far.send(&message).await.expect("the other end receives");
                }
            });
            for len in [101, 5_000, 3, 200_000] {
                let message: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
                near.send(&message).await.expect("room in the end");
                let back = timeout(LONG, near.recv()).await.expect("in time").expect("an echo");
                assert!(back == message, "{len}: {} bytes came back", back.len());
            }
            drop(near);
            soon(echo).await.expect("no panic");
        });
    }
}

fn a_thousand_clients_have_one_descriptor() {
    let outcome = echo_server::run(1000).expect("served");
    assert_eq!((outcome.clients, outcome.echoed), (1000, 20_000));
    assert_eq!((outcome.epolls, outcome.threads), (1, 1));
}

fn a_program_that_ends_is_joined() {
    multi_thread().block_on(async {
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let program = Program::new("sh").args(["-c", &format!("sleep 0.0{}; exit {n}", n % 5)]);
                let child = Async::new(Builder::new().spawn(program).expect("starts")).expect("in a runtime");
                tokio::spawn(async move { (n, child.join().await) })
            })
            .collect();
        for task in tasks {
            let (n, status) = soon(task).await.expect("no panic");
            assert_eq!(status.expect("ours").code(), Some(n));
        }
    });
}

fn main() {
    support::run(tests![
        each_kind_on_one_thread,
        each_kind_on_several_threads,
        what_is_cancelled_loses_nothing,
        a_message_goes_to_who_still_waits,
        a_killed_peer_of_a_pipe_ends_the_wait,
        messages_longer_than_the_ring_go_in_pieces,
        what_the_dead_leave_reaches_tasks,
        who_does_not_wait_is_not_registered,
        the_thread_stays_between_two_waits,
        a_busy_task_yields,
        two_runtimes_in_one_process,
        a_runtime_that_ends_ends_its_waits,
        a_reactor_has_room_for_many_segments,
        a_childs_copy_is_refused_and_harmless,
        who_finds_no_slot_is_told,
        any_source_can_be_waited_for,
        a_set_is_a_descriptor_for_others,
        a_thousand_clients_have_one_descriptor,
        a_program_that_ends_is_joined,
    ])
}
