//! The specification of the place where clients find a server by name.

use crate::kit::{self, LONG, NET, await_word, board, raise};
use crate::pipe::{LONGEST, listen};
use crate::place::{MANY, Place, await_asleep, say_where, under_signals};
use interproc::pipe::{self, Listener};
use interproc::{Error, ErrorKind, Segment};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

fn kind<T>(result: Result<T, Error>) -> Result<T, ErrorKind> {
    result.map_err(|e| e.kind())
}

pub fn many_clients_are_served_through_few_pipes(at: Place) {
    const CLIENTS: u64 = 6;
    const TIMES: u64 = 40;
    for pipes in [1, 3, 8] {
        let seg = kit::segment();
        let mut listener = listen(&seg, pipes, 0);
        let client = |n: u64| {
            at.start(&seg, move |seg| {
                for i in 0..TIMES {
                    let mut end = pipe::connect_timeout(seg, "door", LONG).expect("connect");
                    end.send(&[n as u8, i as u8]).expect("send");
                    assert_eq!(end.recv().expect("recv"), [i as u8, n as u8]);
                }
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        for _ in 0..CLIENTS * TIMES {
            let mut end = listener.accept_timeout(LONG).expect("accept");
            let question = end.recv().expect("recv");
            end.send(&[question[1], question[0]]).expect("send");
        }
        clients.into_iter().for_each(|c| c.join());
        assert_eq!((listener.pending(), kind(listener.try_accept()).map(drop)), (0, Err(ErrorKind::Empty)));
        // No pipe was lost.
        let all: Vec<_> = (0..pipes).map(|_| pipe::try_connect(&seg, "door").expect("free")).collect();
        assert_eq!(kind(pipe::try_connect(&seg, "door")).map(drop), Err(ErrorKind::Full));
        drop(all);
    }
}

pub fn a_client_waits_for_a_pipe_until_both_its_ends_are_gone(at: Place) {
    for dies in [false, true] {
        let seg = kit::segment();
        let words = board();
        let mut listener = listen(&seg, 1, 0);
        let first = at.start(&seg, move |seg| {
            let end = pipe::connect(seg, "door").expect("connect");
            raise(&words[0]);
            await_word(&words[1], 1);
            if dies {
                at.die();
            }
            drop(end);
        });
        await_word(&words[0], 1);
        let end = listener.accept().expect("accept");
        let second = at.start(&seg, move |seg| {
            assert_eq!(kind(pipe::try_connect(seg, "door")).map(drop), Err(ErrorKind::Full));
            let timeout = Duration::from_millis(30);
            let started = Instant::now();
            assert_eq!(kind(pipe::connect_timeout(seg, "door", timeout)).map(drop), Err(ErrorKind::TimedOut));
            assert!(started.elapsed() >= timeout && started.elapsed() < timeout + NET);
            say_where(&words[2]);
            let mut end = under_signals(&words[3], || pipe::connect(seg, "door")).expect("connect");
            assert_eq!(end.recv().expect("recv"), b"welcome");
        });
        await_asleep(&words[2]);
        await_word(&words[3], MANY);
        // The order must not matter.
        if dies {
            drop(end);
            raise(&words[1]);
        } else {
            raise(&words[1]);
            std::thread::sleep(Duration::from_millis(5));
            drop(end);
        }
        let started = Instant::now();
        let mut end = listener.accept_timeout(LONG).expect("accept");
        assert!(started.elapsed() < NET);
        end.send(b"welcome").expect("send");
        second.join();
        if dies { first.gone() } else { first.join() }
    }
}

pub fn who_calls_where_nobody_listens_is_refused(at: Place) {
    let seg = kit::segment();
    assert_eq!(kind(pipe::connect(&seg, "door")).map(drop), Err(ErrorKind::Refused), "never bound");
    let words = board();
    for dies in [false, true] {
        let server = at.start(&seg, move |seg| {
            let listener = listen(seg, 1, 0);
            raise(&words[0]);
            await_word(&words[1], 1 + u64::from(dies));
            if dies {
                at.die();
            }
            listener.close().expect("close");
        });
        await_word(&words[0], 1 + u64::from(dies));
        assert_eq!(
            kind(Listener::bind(&seg, "door", 1, 0, LONGEST)).map(drop),
            Err(ErrorKind::WouldBlock),
            "somebody listens"
        );
        let named = pipe::listener(&seg, "door").expect("who").expect("somebody");
        assert!(named.alive);
        // One that was not accepted, and one that waits for a pipe.
        let mut first = pipe::connect(&seg, "door").expect("connect");
        first.send(b"anybody?").expect("send");
        let second = at.start(&seg, move |seg| {
            say_where(&words[4 + usize::from(dies)]);
            assert_eq!(kind(pipe::connect(seg, "door")).map(drop), Err(ErrorKind::Refused));
        });
        await_asleep(&words[4 + usize::from(dies)]);
        let started = Instant::now();
        raise(&words[1]);
        assert_eq!(kind(first.recv_timeout(LONG)), Err(ErrorKind::Closed));
        second.join();
        assert!(started.elapsed() < NET);
        if dies {
            server.gone()
        } else {
            server.join()
        }
        assert_eq!(kind(pipe::try_connect(&seg, "door")).map(drop), Err(ErrorKind::Refused));
        assert_eq!(pipe::listener(&seg, "door").expect("who"), None);
    }
    // Another one takes over, and the pipes of the former are free.
    let mut listener = listen(&seg, 1, 0);
    let mut end = pipe::try_connect(&seg, "door").expect("connect");
    end.send(b"hello").expect("send");
    assert_eq!(listener.accept().expect("accept").recv().expect("recv"), b"hello");
}

pub fn pipes_outlive_the_listener_that_accepted_them_elsewhere(at: Place) {
    let seg = kit::segment();
    let words = board();
    // One thread listens and dies, another one of its process serves: the pipe is whose who uses it.
    if at == Place::Processes {
        return;
    }
    let (give, take) = std::sync::mpsc::channel();
    let server = at.start(&seg, move |seg| {
        let mut listener = listen(seg, 2, 0);
        raise(&words[0]);
        give.send(listener.accept().expect("accept")).expect("taker");
        await_word(&words[1], 1);
        std::mem::forget(listener);
        at.die();
    });
    await_word(&words[0], 1);
    let mut client = pipe::connect(&seg, "door").expect("connect");
    let mut end = take.recv().expect("an end");
    end.send(b"mine now").expect("send");
    raise(&words[1]);
    server.gone();
    assert_eq!(client.recv().expect("recv"), b"mine now");
    client.send(b"and still open").expect("send");
    assert_eq!(end.recv().expect("recv"), b"and still open");
    drop(end);
    assert_eq!(kind(client.recv()), Err(ErrorKind::Closed));
}

pub fn a_client_that_is_gone_before_it_is_accepted_is_heard(at: Place) {
    for dies in [false, true] {
        let seg = kit::segment();
        let mut listener = listen(&seg, 2, 0);
        let client = at.start(&seg, move |seg| {
            let mut end = pipe::connect(seg, "door").expect("connect");
            end.send(b"last words").expect("send");
            if dies {
                at.die();
            }
        });
        if dies {
            client.gone()
        } else {
            client.join()
        }
        // Others come and go meanwhile.
        for _ in 0..4 {
            let mut other = pipe::try_connect(&seg, "door").expect("a free one");
            other.send(b"other").expect("send");
            let mut ends = [listener.accept().expect("accept")];
            if ends[0].recv().expect("recv") == b"last words" {
                assert_eq!(kind(ends[0].recv()), Err(ErrorKind::Closed));
                return;
            }
            drop(other);
        }
        let mut end = listener.accept_timeout(LONG).expect("accept");
        assert_eq!(end.recv().expect("recv"), b"last words");
        assert_eq!(kind(end.recv()), Err(ErrorKind::Closed));
    }
}

pub fn a_listener_moves_between_threads_with_its_calls(at: Place) {
    let seg = kit::segment();
    let words = board();
    let server = at.start(&seg, move |seg| {
        let mut listener = listen(seg, 4, 0);
        raise(&words[0]);
        await_word(&words[1], 1);
        let (give, take) = std::sync::mpsc::channel();
        let mover = std::thread::spawn(move || {
            let mut end = listener.accept().expect("accept");
            end.send(b"second thread").expect("send");
            give.send(listener).expect("taker");
            await_word(&words[2], 1);
            drop(end);
        });
        let mut listener = take.recv().expect("listener");
        let mut second = listener.accept().expect("accept");
        second.send(b"first again").expect("send");
        if at == Place::Processes {
            kit::fork(|| assert_eq!(kind(listener.try_accept()).map(drop), Err(ErrorKind::NotOwner))).join();
        }
        await_word(&words[1], 2);
        raise(&words[2]);
        mover.join().expect("mover");
    });
    await_word(&words[0], 1);
    let mut ends = [(); 2].map(|()| pipe::connect(&seg, "door").expect("connect"));
    raise(&words[1]);
    // Which of the two is accepted first is not said.
    let mut told: Vec<_> = ends.iter_mut().map(|end| end.recv_timeout(LONG).expect("accepted")).collect();
    told.sort();
    assert_eq!(told, [b"first again".to_vec(), b"second thread".to_vec()]);
    raise(&words[1]);
    server.join();
}

pub fn a_listener_waits_for_a_call(at: Place) {
    let seg = Segment::options().size(1 << 20).anonymous().expect("segment");
    let words = board();
    let server = at.start(&seg, |seg| {
        let mut listener = listen(seg, 100, 0);
        let timeout = Duration::from_millis(30);
        let started = Instant::now();
        assert_eq!(kind(listener.accept_timeout(timeout)).map(drop), Err(ErrorKind::TimedOut));
        assert!(started.elapsed() >= timeout && started.elapsed() < timeout + NET);
        say_where(&words[0]);
        let mut ends = Vec::new();
        for n in 0..100 {
            ends.push(under_signals(&words[1], || listener.accept()).expect("accept"));
            words[2].store(n + 1, SeqCst);
        }
        await_word(&words[3], 1);
    });
    await_asleep(&words[0]);
    await_word(&words[1], MANY);
    let mut ends = Vec::new();
    for n in 0..100 {
        ends.push(pipe::connect(&seg, "door").expect("connect"));
        await_word(&words[2], n + 1);
    }
    assert_eq!(kind(pipe::try_connect(&seg, "door")).map(drop), Err(ErrorKind::Full));
    raise(&words[3]);
    server.join();
}

/// Servers and clients are killed at random: what a client was answered is right, nobody hangs, no pipe is lost.
pub fn clients_and_servers_are_killed_at_random(at: Place) {
    const PIPES: usize = 3;
    if at != Place::Processes {
        return;
    }
    let seg = kit::segment();
    let words = board();
    let stop = &words[0];
    let server = |seg: &Segment| {
        let mut listener = match Listener::bind(seg, "door", PIPES, 0, LONGEST) {
            Ok(listener) => listener,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return,
            Err(e) => panic!("bind: {e}"),
        };
        let mut ends: Vec<pipe::End> = Vec::new();
        while stop.load(SeqCst) == 0 {
            match listener.accept_timeout(Duration::from_micros(200)) {
                Ok(end) => ends.push(end),
                Err(e) => assert_eq!(e.kind(), ErrorKind::TimedOut, "{e}"),
            }
            ends.retain_mut(|end| {
                loop {
                    match end.try_recv().and_then(|question| end.try_send(&question)) {
                        Ok(()) => {}
                        Err(e) if e.kind() == ErrorKind::Empty => return true,
                        Err(e) if e.kind() == ErrorKind::Closed => return false,
                        Err(e) => panic!("serve: {e}"),
                    }
                }
            });
        }
    };
    let client = |seg: &Segment| {
        let mut random = kit::Random(u64::from(std::process::id()) | 1 << 40);
        while stop.load(SeqCst) == 0 {
            let mut end = match pipe::connect_timeout(seg, "door", LONG) {
                Ok(end) => end,
                Err(e) if e.kind() == ErrorKind::Refused => {
                    std::thread::yield_now();
                    continue;
                }
                Err(e) => panic!("connect: {e}"),
            };
            for n in 0..1 + random.below(40) {
                let question: Vec<u8> = (0..random.below(100)).map(|i| (n + i) as u8).collect();
                let answer = end.send(&question).and_then(|()| end.recv_timeout(LONG));
                match answer {
                    Ok(answer) => {
                        assert_eq!(answer, question);
                        raise(&words[1]);
                    }
                    Err(e) if e.kind() == ErrorKind::Closed => break,
                    Err(e) => panic!("ask: {e}"),
                }
            }
        }
    };
    let start = |n: usize| {
        let seg = seg.clone();
        if n < 2 { kit::fork(move || server(&seg)) } else { kit::fork(move || client(&seg)) }
    };
    let mut random = kit::Random(0xc4a05);
    let mut kids: Vec<_> = (0..7).map(start).collect();
    let (mut kills, started) = (0, Instant::now());
    while started.elapsed() < Duration::from_secs(4) || kills <= 100 {
        std::thread::sleep(Duration::from_micros(random.below(4_000)));
        let n = random.below(7) as usize;
        // One that failed says so; one that was killed, or had nothing to listen to, is replaced.
        kids[n].kill();
        std::mem::replace(&mut kids[n], start(n)).finish_any();
        kills += 1;
    }
    raise(stop);
    kids.into_iter().for_each(|kid| kid.finish_any());
    assert!(kills > 100 && words[1].load(SeqCst) > 1_000, "{kills} kills, {} answers", words[1].load(SeqCst));
    let mut listener = listen(&seg, PIPES, 0);
    while listener.try_accept().is_ok() {}
    let all: Vec<_> =
        (0..PIPES).map(|_| pipe::try_connect(&seg, "door").expect("no pipe was lost")).collect();
    drop(all);
}
