//! Wait sets: with several threads and processes, whose owners and partners are killed, beside those who sleep in the objects themselves,
//! and in other event loops. Each test in a process of its own.

#[macro_use]
mod support;

use interproc::process::Builder;
use interproc::queue::{BroadcastOptions, Slow, WorkOptions};
use interproc::sync::{Event, Semaphore};
use interproc::waitset::{Key, Mechanism, Source, WaitSet};
use interproc::{ErrorKind, Segment, pipe};
use std::collections::HashMap;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Long enough for anything that must happen.
const LONG: Duration = Duration::from_secs(20);
/// Long enough for anything that must not happen to show.
const A_WHILE: Duration = Duration::from_millis(60);

fn segment() -> Segment {
    Segment::anonymous(1 << 20).expect("memory")
}

fn wait(set: &mut WaitSet<'_>) -> Vec<Key> {
    let mut keys = set.wait_timeout(LONG).expect("something is ready").to_vec();
    keys.sort();
    keys
}

fn is_quiet(set: &mut WaitSet<'_>) -> bool {
    set.wait_timeout(A_WHILE).is_err_and(|error| error.kind() == ErrorKind::TimedOut)
}

/// Every kind of object in one set, by futex and by epoll: each is reported when something has happened to it, and nothing else is.
fn each_kind(mechanism: Mechanism) {
    let seg = segment();
    let queue = seg.queue::<u32>("queue", 1).expect("room");
    let full = seg.queue::<u32>("full", 1).expect("room");
    let bytes = seg.byte_queue("bytes", 256, 100).expect("room");
    let mut producer = seg.spsc_producer::<u32>("spsc", 2).expect("room");
    let mut consumer = seg.spsc_consumer::<u32>("spsc", 2).expect("room");
    let mut writer = seg.byte_producer("lane", 256, 100).expect("room");
    let mut reader = seg.byte_consumer("lane", 256, 100).expect("room");
    let (mut near, mut far) = pipe::pair(256, 100).expect("room");
    let mut listener = pipe::Listener::bind(&seg, "door", 2, 256, 100).expect("room");
    let jobs = seg.work_queue::<u32>("jobs", WorkOptions::new(2)).expect("room");
    let news = seg.broadcast::<u32>("news", BroadcastOptions::new(4)).expect("room");
    let mut subscriber = news.subscribe(Slow::Waits).expect("a seat");
    let latest = seg.latest("latest", 0u32).expect("room");
    let event = seg.object("event", Event::new).expect("room");
    let semaphore = seg.object("semaphore", || Semaphore::new(0)).expect("room");
    let permits = seg.bounded_semaphore("permits", 1).expect("room");
    let (read, mut write) = std::io::pipe().expect("descriptors");
    full.push(0).expect("room");
    let permit = permits.acquire().expect("free");

    let mut set = WaitSet::new();
    if mechanism == Mechanism::Epoll {
        set.descriptor().expect("descriptors");
    }
    let mut names = HashMap::new();
    let sources = [
        ("queue", queue.when_readable()),
        ("full", full.when_writable()),
        ("bytes", bytes.when_readable()),
        ("spsc", consumer.when_readable()),
        ("lane", reader.when_readable()),
        ("pipe", near.when_readable()),
        ("listener", listener.when_readable()),
        ("jobs", jobs.when_readable()),
        ("news", subscriber.when_readable()),
        ("latest", latest.when_newer(0)),
        ("event", event.when_set()),
        ("semaphore", semaphore.when_available()),
        ("permits", permits.when_available()),
    ];
    for (name, source) in sources {
        names.insert(set.add(source).expect("room"), name);
    }
    if mechanism == Mechanism::Epoll {
        names.insert(set.add(Source::readable(&read)).expect("a pipe"), "descriptor");
    }
    assert_eq!(set.mechanism(), mechanism);
    assert!(set.try_wait().expect("sound").is_empty());
    assert!(is_quiet(&mut set));

    let mut permit = Some(permit);
    let mut client = None;
    for round in 0..3 {
        for name in names.values() {
            if mechanism == Mechanism::Futex && *name == "descriptor" || *name == "listener" && round > 0 {
                continue;
            }
            let soon = || std::thread::sleep(Duration::from_millis(2));
            // A seat may not move to a thread that ends.
            match *name {
                "spsc" => producer.push(1).expect("open"),
                "lane" => writer.push(b"x").expect("open"),
                "pipe" => far.send(b"x").expect("open"),
                "listener" => client = Some(pipe::connect(&seg, "door").expect("a pipe")),
                "permits" => drop(permit.take()),
                _ => {}
            }
            // The others by another thread, when this one sleeps.
            std::thread::scope(|s| {
                let (queue, full, bytes, jobs, news, latest) = (&queue, &full, &bytes, &jobs, &news, &latest);
                let (event, semaphore, write) = (&event, &semaphore, &mut write);
                s.spawn(move || {
                    soon();
                    match *name {
                        "queue" => queue.push(1).expect("open"),
                        "full" => assert_eq!(full.pop().expect("open"), 0),
                        "bytes" => bytes.push(b"x").expect("open"),
                        "jobs" => drop(jobs.put(1).expect("open")),
                        "news" => drop(news.publish(1).expect("open")),
                        "latest" => drop(latest.set(round).expect("sound")),
                        "event" => event.set(),
                        "semaphore" => semaphore.post().expect("far from the limit"),
                        "descriptor" => write.write_all(b"x").expect("open"),
                        _ => {}
                    }
                });
                let ready: Vec<_> = wait(&mut set).iter().map(|key| names[key]).collect();
                assert_eq!(ready, [*name], "round {round}");
            });
            if *name != "latest" {
                // As long as it is there.
                assert_eq!(names[&set.wait().expect("sound")[0]], *name);
            }
            match *name {
                "queue" => assert_eq!(queue.try_pop().expect("a message"), 1),
                "full" => full.try_push(0).expect("room"),
                "bytes" => assert_eq!(bytes.try_pop().expect("a message"), b"x"),
                "spsc" => assert_eq!(consumer.try_pop().expect("a message"), 1),
                "lane" => assert_eq!(reader.try_pop().expect("a message"), b"x"),
                "pipe" => assert_eq!(near.try_recv().expect("a message"), b"x"),
                "listener" => drop((listener.try_accept().expect("a client"), client.take())),
                "jobs" => assert_eq!(jobs.try_take().expect("a job").done().expect("ours"), 1),
                "news" => assert_eq!(subscriber.try_recv().expect("a message"), 1),
                "event" => event.clear(),
                "semaphore" => semaphore.try_acquire().expect("posted"),
                "permits" => permit = Some(permits.try_acquire().expect("free")),
                "descriptor" => {
                    let mut byte = [0];
                    // SAFETY: one byte.
                    assert_eq!(unsafe { libc::read(read.as_raw_fd(), byte.as_mut_ptr().cast(), 1) }, 1);
                }
                _ => {}
            }
            assert!(set.try_wait().expect("sound").is_empty(), "after {name}");
        }
    }
    // The ends.
    queue.close().expect("sound");
    far.close().expect("ours");
    let ends: Vec<_> = wait(&mut set).iter().map(|key| names[key]).collect();
    assert_eq!(ends, ["queue", "pipe"]);
}

fn each_kind_is_reported_by_futex() {
    each_kind(Mechanism::Futex);
}

fn each_kind_is_reported_by_epoll() {
    each_kind(Mechanism::Epoll);
}

/// One message at a time, to whoever pops: three sleepers, and sets that never pop.
fn sleepers_in_the_queue_get_every_message_beside_sets_that_never_pop() {
    let seg = segment();
    let queue = seg.queue::<u64>("queue", 64).expect("room");
    let over = seg.object("over", Event::new).expect("room");
    let got = AtomicU64::new(0);
    std::thread::scope(|s| {
        for epoll in [false, true] {
            let (queue, over) = (&queue, &over);
            s.spawn(move || {
                let mut set = WaitSet::new();
                if epoll {
                    set.descriptor().expect("descriptors");
                }
                let (message, end) =
                    (set.add(queue.when_readable()).expect("room"), set.add(over.when_set()).expect("room"));
                // It sleeps again and again, and takes nothing.
                while !wait(&mut set).contains(&end) {
                    assert!(set.remove(message) || !set.is_empty());
                    set.add(queue.when_readable()).expect("room");
                    std::thread::sleep(Duration::from_micros(50));
                }
            });
        }
        for _ in 0..3 {
            s.spawn(|| {
                while queue.pop().is_ok() {
                    got.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for n in 1..=500 {
            queue.push(n).expect("open");
            let until = Instant::now() + LONG;
            while got.load(Ordering::Relaxed) < n {
                assert!(Instant::now() < until, "message {n} reaches nobody");
                std::thread::yield_now();
            }
        }
        over.set();
        queue.close().expect("sound");
    });
}

fn a_post_that_wakes_a_set_reaches_who_acquires() {
    let seg = segment();
    let semaphore = seg.object("semaphore", || Semaphore::new(0)).expect("room");
    let over = seg.object("over", Event::new).expect("room");
    let got = AtomicU64::new(0);
    std::thread::scope(|s| {
        for epoll in [false, true] {
            let (semaphore, over) = (&semaphore, &over);
            s.spawn(move || {
                let mut set = WaitSet::new();
                if epoll {
                    set.descriptor().expect("descriptors");
                }
                set.add(semaphore.when_available()).expect("room");
                let end = set.add(over.when_set()).expect("room");
                while !wait(&mut set).contains(&end) {
                    std::thread::yield_now();
                }
            });
        }
        s.spawn(|| {
            while !over.is_set() {
                semaphore.acquire().expect("posted");
                got.fetch_add(1, Ordering::Relaxed);
            }
        });
        for n in 1..=500 {
            semaphore.post().expect("far from the limit");
            let until = Instant::now() + LONG;
            while got.load(Ordering::Relaxed) < n {
                assert!(Instant::now() < until, "post {n} reaches nobody");
                std::thread::yield_now();
            }
        }
        over.set();
        semaphore.post().expect("far from the limit");
    });
}

/// Producers in six processes, all of them killed at some moment, and others in their place. What they had pushed arrives.
fn what_killed_producers_had_pushed_arrives() {
    const QUEUES: usize = 6;
    for epoll in [false, true] {
        let seg = segment();
        let names: Vec<String> = (0..QUEUES).map(|n| format!("queue {n}")).collect();
        let queues: Vec<_> = names.iter().map(|name| seg.queue::<u64>(name, 8).expect("room")).collect();
        let mut next = [0u64; QUEUES];
        for round in 0..25u64 {
            // Each says by its exit or by how far it came what it has pushed: 1, 2, 3, …
            let pushed =
                seg.object(&format!("pushed {epoll} {round}"), || [const { AtomicU64::new(0) }; QUEUES]);
            let pushed = pushed.expect("room");
            let children: Vec<_> = queues
                .iter()
                .enumerate()
                .map(|(n, queue)| {
                    let (queue, pushed, first) = (queue.clone(), &pushed, next[n]);
                    Builder::new()
                        .fork(move || {
                            for value in first.. {
                                queue.push(value).expect("open");
                                pushed[n].store(value + 1, Ordering::SeqCst);
                                if value % 3 == 0 {
                                    std::thread::sleep(Duration::from_micros(200));
                                }
                            }
                        })
                        .expect("forks")
                })
                .collect();
            // After the forks: by epoll this process has a second thread.
            let mut set = WaitSet::new();
            if epoll {
                set.descriptor().expect("descriptors");
            }
            let keys: Vec<_> = queues.iter().map(|q| set.add(q.when_readable()).expect("room")).collect();
            let until = Instant::now() + Duration::from_millis(3 + round);
            let mut pop = |set: &mut WaitSet<'_>, timeout| {
                let Ok(ready) = set.wait_timeout(timeout) else { return false };
                for key in ready {
                    let n = keys.iter().position(|k| k == key).expect("one of them");
                    while let Ok(value) = queues[n].try_pop() {
                        assert_eq!(value, next[n]);
                        next[n] += 1;
                    }
                }
                true
            };
            while Instant::now() < until {
                pop(&mut set, Duration::from_millis(1));
            }
            children.iter().for_each(|child| child.kill().expect("ours"));
            while pop(&mut set, A_WHILE) {}
            for (n, queue) in queues.iter().enumerate() {
                assert!(queue.is_empty());
                assert!(next[n] >= pushed[n].load(Ordering::SeqCst), "queue {n} has lost a message");
            }
            children.into_iter().for_each(|child| _ = child.join().expect("ours"));
        }
    }
}

/// With few members by their slots, with many by the bell.
fn a_killed_peer_of_a_pipe_is_reported_soon() {
    for others in [0, 30] {
        for epoll in [false, true] {
            let seg = Segment::options().size(1 << 20).max_members(64).anonymous().expect("memory");
            let stop = seg.object("stop", Event::new).expect("room");
            assert_eq!(threads(), 1, "the set before has ended its thread");
            let crowd: Vec<_> = (0..others)
                .map(|_| Builder::new().fork(|| stop.wait().expect("sound")).expect("forks"))
                .collect();
            let (near, far) = seg.pipe_pair("pipe", 256, 100).expect("room");
            let child = Builder::new().fork_giving(far, |_end| std::thread::sleep(LONG)).expect("forks");
            let mut set = WaitSet::new();
            if epoll {
                set.descriptor().expect("descriptors");
            }
            let key = set.add(near.when_readable()).expect("room");
            assert!(is_quiet(&mut set));
            let started = Instant::now();
            child.kill().expect("ours");
            assert_eq!(wait(&mut set), [key]);
            assert!(started.elapsed() < Duration::from_secs(5), "by chance alone");
            child.join().expect("ours");
            stop.set();
            crowd.into_iter().for_each(|child| _ = child.join().expect("ours"));
        }
    }
}

fn a_killed_owner_of_a_set_holds_up_nobody() {
    let seg = segment();
    let queue = seg.queue::<u64>("queue", 4).expect("room");
    for round in 0..20 {
        let epoll = round % 2 == 1;
        let copy = queue.clone();
        let owner = Builder::new()
            .fork(move || {
                let mut set = WaitSet::new();
                if epoll {
                    set.descriptor().expect("descriptors");
                }
                set.add(copy.when_readable()).expect("room");
                loop {
                    let _ = set.wait();
                }
            })
            .expect("forks");
        std::thread::sleep(Duration::from_micros(300 * round));
        let copy = queue.clone();
        let popper = Builder::new().fork(move || assert_eq!(copy.pop().expect("open"), 7)).expect("forks");
        std::thread::sleep(Duration::from_millis(2));
        owner.kill().expect("ours");
        queue.push(7).expect("open");
        assert_eq!(popper.join_timeout(LONG).expect("it gets the message").code(), Some(0));
        owner.join().expect("ours");
    }
}

fn a_childs_copy_is_refused_and_harmless() {
    let seg = segment();
    let queue = seg.queue::<u64>("queue", 4).expect("room");
    for epoll in [false, true] {
        let mut set = WaitSet::new();
        let key = set.add(queue.when_readable()).expect("room");
        if epoll {
            set.descriptor().expect("descriptors");
            assert!(set.try_wait().expect("sound").is_empty());
        }
        // SAFETY: the child uses the set alone, and ends. (This process may have the library's thread.)
        match unsafe { libc::fork() } {
            0 => {
                let refused = set.try_wait().is_err_and(|e| e.kind() == ErrorKind::NotOwner);
                let refused =
                    refused && set.add(queue.when_readable()).is_err_and(|e| e.kind() == ErrorKind::NotOwner);
                drop(set);
                // One of its own works, also by epoll.
                let mut own = WaitSet::new();
                own.descriptor().expect("descriptors");
                own.add(queue.when_readable()).expect("room");
                let works = own.wait_timeout(A_WHILE).is_err_and(|e| e.kind() == ErrorKind::TimedOut);
                // SAFETY: ends the process.
                unsafe { libc::_exit(if refused && works { 0 } else { 1 }) }
            }
            pid => {
                let mut status = 0;
                // SAFETY: the status is writable.
                assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
                assert_eq!(status, 0);
            }
        }
        queue.push(1).expect("room");
        assert_eq!(wait(&mut set), [key]);
        queue.pop().expect("a message");
    }
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("there is /proc").count()
}

fn the_librarys_thread_lives_as_long_as_it_is_needed() {
    let seg = segment();
    let queue = seg.queue::<u64>("queue", 4).expect("room");
    let mut set = WaitSet::new();
    set.add(queue.when_readable()).expect("room");
    assert!(is_quiet(&mut set));
    assert_eq!(threads(), 1, "by futex");
    for _ in 0..5 {
        let mut one = WaitSet::new();
        one.descriptor().expect("descriptors");
        assert!(one.try_wait().expect("sound").is_empty());
        assert_eq!(threads(), 1, "there is nothing to watch");
        one.add(queue.when_readable()).expect("room");
        let mut other = WaitSet::new();
        other.descriptor().expect("descriptors");
        other.add(queue.when_readable()).expect("room");
        assert!(is_quiet(&mut one) && is_quiet(&mut other));
        assert_eq!(threads(), 2);
        drop(other);
        assert!(is_quiet(&mut one));
        drop(one);
        assert_eq!(threads(), 1, "the thread stays");
    }
}

/// As an event loop of somebody else's does.
fn the_descriptor_is_readable_exactly_when_something_is_ready() {
    let seg = segment();
    let (there, back) =
        (seg.queue::<u64>("there", 4).expect("room"), seg.queue::<u64>("back", 4).expect("room"));
    let (hers, his) = (there.clone(), back.clone());
    let child = Builder::new()
        .fork(move || {
            while let Ok(value) = hers.pop() {
                his.push(value).expect("open");
            }
        })
        .expect("forks");
    let mut set = WaitSet::new();
    let key = set.add(back.when_readable()).expect("room");
    let fd = set.descriptor().expect("descriptors").as_raw_fd();
    let readable = |ms| {
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor.
        unsafe { libc::poll(&raw mut poll, 1, ms) == 1 }
    };
    for value in 0..3000 {
        while !set.try_wait().expect("sound").is_empty() {}
        there.push(value).expect("open");
        assert!(readable(20_000), "round {value}");
        // It may be for nothing, but not for ever.
        while set.try_wait().expect("sound").is_empty() {
            assert!(readable(20_000), "round {value}");
        }
        assert_eq!(set.try_wait().expect("sound"), [key]);
        assert_eq!(back.try_pop().expect("a message"), value);
    }
    while !set.try_wait().expect("sound").is_empty() {}
    assert!(!readable(60), "nothing is ready");
    there.close().expect("sound");
    child.join().expect("ours");
}

fn times_and_the_end_of_a_child() {
    let mut set = WaitSet::new();
    let started = Instant::now();
    let once = set.add(Source::after(Duration::from_millis(20))).expect("room");
    let tick = set.add(Source::every(Duration::from_millis(7))).expect("room");
    let mut ticks = 0;
    loop {
        let ready = wait(&mut set);
        ticks += u32::from(ready.contains(&tick));
        if ready.contains(&once) {
            break;
        }
    }
    let passed = started.elapsed();
    assert!(passed >= Duration::from_millis(20) && ticks >= 1, "{ticks} ticks in {passed:?}");
    assert!(set.remove(tick));
    assert_eq!(set.wait().expect_err("nothing is left").kind(), ErrorKind::InvalidInput);

    // Beside a child, by epoll.
    let seg = segment();
    let stop = seg.object("stop", Event::new).expect("room");
    let child = Builder::new().fork(|| stop.wait().expect("sound")).expect("forks");
    let ended = set.add(child.when_ended()).expect("descriptors");
    let tick = set.add(Source::every(Duration::from_millis(5))).expect("room");
    assert_eq!(set.mechanism(), Mechanism::Epoll);
    for _ in 0..3 {
        assert_eq!(wait(&mut set), [tick]);
    }
    stop.set();
    while !wait(&mut set).contains(&ended) {}
    child.join().expect("ours");
    drop(set);
}

fn a_set_moves_to_another_thread_and_spans_segments() {
    let segments: Vec<_> = (0..33).map(|_| Segment::anonymous(1 << 16).expect("memory")).collect();
    let queues: Vec<_> = segments.iter().map(|seg| seg.queue::<u64>("q", 2).expect("room")).collect();
    for epoll in [false, true] {
        let mut set = WaitSet::new();
        if epoll {
            set.descriptor().expect("descriptors");
        }
        let keys: Vec<_> = queues[..32].iter().map(|q| set.add(q.when_readable()).expect("room")).collect();
        assert_eq!(set.add(queues[32].when_readable()).expect_err("too many").kind(), ErrorKind::NoSpace);
        for n in [0, 31, 7] {
            std::thread::scope(|s| {
                let (set, queue, keys) = (&mut set, &queues[n], &keys);
                s.spawn(move || {
                    assert_eq!(wait(set), [keys[n]]);
                    queue.pop().expect("a message");
                });
                std::thread::sleep(Duration::from_millis(5));
                queue.push(1).expect("room");
            });
        }
        assert!(set.remove(keys[0]));
        set.add(queues[32].when_readable()).expect("room again");
    }
}

fn who_sleeps_beside_few_is_not_woken_for_nothing() {
    let seg = segment();
    let queue = seg.queue::<u64>("queue", 4).expect("room");
    let mut set = WaitSet::new();
    set.add(queue.when_readable()).expect("room");
    let switches = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("there is /proc");
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|n| n.trim().parse::<u64>().ok()).expect("a number")
    };
    let before = switches();
    assert!(set.wait_timeout(Duration::from_millis(500)).is_err());
    assert!(switches() - before <= 2, "{} sleeps", switches() - before);
}

fn whoever_closes_the_sets_descriptor_is_told() {
    let seg = segment();
    let queue = seg.queue::<u64>("queue", 4).expect("room");
    let mut set = WaitSet::new();
    set.add(queue.when_readable()).expect("room");
    let fd = set.descriptor().expect("descriptors").as_raw_fd();
    // SAFETY: as a program does that closes everything.
    unsafe { libc::close(fd) };
    let error = set.wait_timeout(LONG).expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::DescriptorClosed);
}

/// Its owner never sleeps, as something else is always ready.
fn a_killed_peer_is_reported_beside_what_is_always_ready() {
    for epoll in [false, true] {
        for tries in [false, true] {
            let seg = segment();
            let busy = seg.queue::<u64>("busy", 4).expect("room");
            let (near, far) = seg.pipe_pair("pipe", 256, 100).expect("room");
            let child = Builder::new().fork_giving(far, |_end| std::thread::sleep(LONG)).expect("forks");
            let mut set = WaitSet::new();
            if epoll {
                set.descriptor().expect("descriptors");
            }
            let end = set.add(near.when_readable()).expect("room");
            assert!(is_quiet(&mut set));
            if !tries {
                busy.push(1).expect("room");
                set.add(busy.when_readable()).expect("room");
                assert!(!wait(&mut set).contains(&end));
            }
            child.kill().expect("ours");
            let until = Instant::now() + LONG;
            while !set.try_wait().expect("sound").contains(&end) {
                assert!(Instant::now() < until, "the death of the peer is not reported");
                std::thread::yield_now();
            }
            child.join().expect("ours");
        }
    }
}

fn the_end_of_a_thread_with_an_end_is_reported_in_a_crowd() {
    let seg = Segment::options().size(1 << 20).max_members(64).anonymous().expect("memory");
    let stop = seg.object("stop", Event::new).expect("room");
    let (near, far) = seg.pipe_pair("pipe", 256, 100).expect("room");
    std::thread::scope(|s| {
        for _ in 0..12 {
            s.spawn(|| stop.wait().expect("sound"));
        }
        let holder = s.spawn(|| {
            let mut far = far;
            far.send(b"hello").expect("open");
            std::thread::sleep(Duration::from_millis(50));
            std::mem::forget(far);
        });
        let mut set = WaitSet::new();
        let key = set.add(near.when_readable()).expect("room");
        assert_eq!(wait(&mut set), [key]);
        let mut near = near;
        near.try_recv().expect("a message");
        assert_eq!(wait(&mut set), [key]);
        assert_eq!(near.try_recv().expect_err("its thread has ended").kind(), ErrorKind::Closed);
        holder.join().expect("no panic");
        stop.set();
    });
}

fn jobs_that_come_due_and_room_for_jobs_are_reported() {
    let seg = segment();
    let jobs = seg.work_queue::<u32>("jobs", WorkOptions::new(2)).expect("room");
    let busy = seg.queue::<u64>("busy", 4).expect("room");
    for epoll in [false, true] {
        let mut set = WaitSet::new();
        if epoll {
            set.descriptor().expect("descriptors");
        }
        let job = set.add(jobs.when_readable()).expect("room");
        std::thread::scope(|s| {
            s.spawn(|| {
                std::thread::sleep(Duration::from_millis(10));
                jobs.put_after(Duration::from_millis(20), 1).expect("room");
            });
            assert_eq!(wait(&mut set), [job]);
        });
        // Beside what is always ready.
        let room = set.add(jobs.when_writable()).expect("room");
        busy.push(1).expect("room");
        let always = set.add(busy.when_readable()).expect("room");
        assert_eq!(wait(&mut set), [job, room, always]);
        jobs.put(2).expect("room");
        assert_eq!(wait(&mut set), [job, always]);
        jobs.take().expect("a job").done().expect("ours");
        assert_eq!(wait(&mut set), [job, room, always]);
        jobs.take().expect("a job").done().expect("ours");
        assert_eq!(wait(&mut set), [room, always]);
        busy.pop().expect("a message");
    }
}

fn a_dead_producers_gap_is_no_room() {
    let seg = segment();
    let queue = seg.queue::<u64>("queue", 2).expect("room");
    queue.push(1).expect("room");
    let copy = queue.clone();
    let child = Builder::new()
        .fork(move || {
            let place = copy.reserve().expect("room");
            std::thread::sleep(LONG);
            drop(place);
        })
        .expect("forks");
    while !queue.is_full() && queue.len() < 2 {
        std::thread::yield_now();
        if child.state().expect("alive").letter() == 'S' {
            break;
        }
    }
    child.kill().expect("ours");
    child.join().expect("ours");
    let mut set = WaitSet::new();
    let room = set.add(queue.when_writable()).expect("room");
    let says = set.try_wait().expect("sound").contains(&room);
    assert_eq!(says, queue.try_push(2).is_ok());
    assert_eq!(queue.pop().expect("a message"), 1);
    assert_eq!(wait(&mut set), [room]);

    let bytes = seg.byte_queue("bytes", 256, 100).expect("room");
    let mut set = WaitSet::new();
    set.add(bytes.when_writable(101)).expect("room");
    set.add(bytes.when_writable(usize::MAX)).expect("room");
    assert_eq!(set.try_wait().expect("sound").len(), 2, "the push would tell why not");
}

fn one_of_two_mappings_of_a_segment_may_go() {
    let first = Segment::create("/interproc-test-wait-set-twice", 1 << 16).expect("a new name");
    let second = Segment::open("/interproc-test-wait-set-twice").expect("there");
    Segment::unlink("/interproc-test-wait-set-twice").expect("ours");
    for epoll in [false, true] {
        let (a, b) = (first.queue::<u64>("a", 2).expect("room"), second.queue::<u64>("b", 2).expect("room"));
        let third = first.clone();
        let mut set = WaitSet::new();
        if epoll {
            set.descriptor().expect("descriptors");
        }
        let one = set.add(a.when_readable()).expect("room");
        let other = set.add(b.when_readable()).expect("room");
        assert!(is_quiet(&mut set));
        set.remove(one);
        drop((a, third));
        drop(Segment::anonymous(1 << 14)); // something is detached
        std::thread::scope(|s| {
            s.spawn(|| {
                std::thread::sleep(Duration::from_millis(5));
                b.push(1).expect("room");
            });
            assert_eq!(wait(&mut set), [other]);
        });
        b.pop().expect("a message");
    }
}

/// The library's thread may look at it as long as the process lives.
fn a_set_that_is_leaked_keeps_what_it_watches_mapped() {
    let seg = segment();
    let other = seg.queue::<u64>("other", 2).expect("room");
    let mut keeps = WaitSet::new();
    keeps.descriptor().expect("descriptors");
    keeps.add(other.when_readable()).expect("room");
    assert!(keeps.try_wait().expect("sound").is_empty());
    for _ in 0..10 {
        let mine = segment();
        let event = mine.object("event", Event::new).expect("room");
        let mut set = WaitSet::new();
        set.descriptor().expect("descriptors");
        set.add(event.when_set()).expect("room");
        assert!(set.try_wait().expect("sound").is_empty());
        std::mem::forget(set);
        drop((event, mine));
        other.push(1).expect("room");
        wait(&mut keeps);
        other.pop().expect("a message");
        assert!(keeps.try_wait().expect("sound").is_empty());
    }
}

fn where_the_librarys_thread_finds_no_slot_the_caller_is_told() {
    let seg = Segment::options().size(1 << 16).max_members(1).anonymous().expect("memory");
    let queue = seg.queue::<u64>("queue", 2).expect("room");
    let mut set = WaitSet::new();
    set.descriptor().expect("descriptors");
    let key = set.add(queue.when_readable()).expect("room");
    for _ in 0..3 {
        assert_eq!(set.try_wait().expect_err("no slot").kind(), ErrorKind::TooManyMembers);
        assert_eq!(threads(), 1, "nobody is left behind");
    }
    queue.push(1).expect("room");
    assert_eq!(set.try_wait().expect("it is there"), [key]);
}

/// How much processor time the process takes while `f` runs.
fn busy(f: impl FnOnce()) -> Duration {
    let now = || {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the output is writable.
        assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) }, 0);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let before = now();
    f();
    now() - before
}

/// Each look at a work queue takes its lock: it wakes nobody who looks for himself.
fn sets_at_a_work_queue_without_work_sleep() {
    let seg = segment();
    let jobs = seg.work_queue::<u32>("jobs", WorkOptions::new(1)).expect("room");
    jobs.put(1).expect("room");
    let lease = jobs.take().expect("a job");
    for epoll in [false, true] {
        let set = || {
            let mut set = WaitSet::new();
            if epoll {
                set.descriptor().expect("descriptors");
            }
            set.add(jobs.when_readable()).expect("room");
            set.add(jobs.when_writable()).expect("room");
            set
        };
        let took = busy(|| {
            std::thread::scope(|s| {
                for _ in 0..3 {
                    s.spawn(|| assert!(set().wait_timeout(Duration::from_millis(400)).is_err()));
                }
            });
        });
        assert!(took < Duration::from_millis(200), "{took:?} of processor time while nothing happened");
    }
    lease.done().expect("ours");
}

/// More words than a sleep can watch.
fn many_events_are_watched_without_spinning() {
    let seg = segment();
    let events = seg.object("events", || [const { Event::new() }; 150]).expect("room");
    for epoll in [false, true] {
        let mut set = WaitSet::new();
        if epoll {
            set.descriptor().expect("descriptors");
        }
        let keys: Vec<_> = events.iter().map(|event| set.add(event.when_set()).expect("room")).collect();
        let took = busy(|| assert!(set.wait_timeout(Duration::from_millis(400)).is_err()));
        assert!(took < Duration::from_millis(200), "{took:?} of processor time while nothing happened");
        for n in [0, 149] {
            events[n].set();
            assert_eq!(wait(&mut set), [keys[n]]);
            events[n].clear();
        }
    }
}

fn main() {
    support::run(tests![
        each_kind_is_reported_by_futex,
        each_kind_is_reported_by_epoll,
        sleepers_in_the_queue_get_every_message_beside_sets_that_never_pop,
        a_post_that_wakes_a_set_reaches_who_acquires,
        what_killed_producers_had_pushed_arrives,
        a_killed_peer_of_a_pipe_is_reported_soon,
        a_killed_owner_of_a_set_holds_up_nobody,
        a_childs_copy_is_refused_and_harmless,
        the_librarys_thread_lives_as_long_as_it_is_needed,
        the_descriptor_is_readable_exactly_when_something_is_ready,
        times_and_the_end_of_a_child,
        a_set_moves_to_another_thread_and_spans_segments,
        who_sleeps_beside_few_is_not_woken_for_nothing,
        whoever_closes_the_sets_descriptor_is_told,
        a_killed_peer_is_reported_beside_what_is_always_ready,
        the_end_of_a_thread_with_an_end_is_reported_in_a_crowd,
        jobs_that_come_due_and_room_for_jobs_are_reported,
        a_dead_producers_gap_is_no_room,
        one_of_two_mappings_of_a_segment_may_go,
        a_set_that_is_leaked_keeps_what_it_watches_mapped,
        where_the_librarys_thread_finds_no_slot_the_caller_is_told,
        sets_at_a_work_queue_without_work_sleep,
        many_events_are_watched_without_spinning,
    ])
}
