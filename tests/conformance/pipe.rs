//! What only pipes have: two ends, each of which is a sender and a receiver; their owners' deaths, which are the end.

use crate::channel::{kind, lasts};
use crate::kit::{self, LONG, NET, Random, await_word, board, raise};
use crate::news::Touches;
use crate::place::{Actor, Place, await_asleep, say_where};
use interproc::pipe::{self, End, Listener};
use interproc::process::{Builder, Program};
use interproc::{Deadline, ErrorKind, Segment, Wait};
use std::io::{IoSlice, Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub const LONGEST: usize = 600;

pub fn listen(seg: &Segment, pipes: usize, capacity: usize) -> Listener {
    Listener::bind(seg, "door", pipes, capacity, LONGEST).expect("bind")
}

/// An end here, the other one with a user over there.
fn meet(at: Place, seg: &Segment, capacity: usize, body: impl FnOnce(End) + Send + 'static) -> (End, Actor) {
    let mut listener = listen(seg, 1, capacity);
    let actor = at.start(seg, move |seg| body(pipe::connect(seg, "door").expect("connect")));
    (listener.accept_timeout(LONG).expect("accept"), actor)
}

/// A message that says what it should be.
fn message(random: &mut Random, n: u64) -> Vec<u8> {
    let len = match random.below(8) {
        0 => 0,
        1 => LONGEST as u64,
        2 => random.below(LONGEST as u64),
        _ => random.below(64),
    };
    (0..len).map(|i| (n * 31 + i) as u8).collect()
}

pub fn messages_of_all_lengths_arrive_whole_and_in_order(at: Place) {
    for capacity in [0, 2000, 1 << 14] {
        let seg = kit::segment();
        let (mut end, actor) = meet(at, &seg, capacity, |mut end| {
            let mut random = Random(7);
            for n in 0..20_000 {
                let message = message(&mut random, n);
                match n % 4 {
                    0 => end.send(&message).expect("send"),
                    1 => {
                        let (head, tail) = message.split_at(message.len() / 3);
                        end.send_vectored(&[IoSlice::new(head), IoSlice::new(tail)]).expect("send");
                    }
                    2 => {
                        let mut place = end.reserve(LONGEST).expect("room");
                        place[..message.len()].copy_from_slice(&message);
                        place.commit_len(message.len()).expect("commit");
                    }
                    _ => {
                        let more = [&b"xx"[..], &message, b"yyy"].concat();
                        end.send_bytes(&more, 2, message.len()).expect("send");
                    }
                }
            }
        });
        let mut random = Random(7);
        for n in 0..20_000 {
            let expected = message(&mut random, n);
            match n % 3 {
                0 => assert_eq!(end.recv().expect("recv"), expected, "{n}"),
                1 => {
                    let mut buffer = [0; LONGEST];
                    let len = end.recv_into(&mut buffer).expect("recv");
                    assert_eq!(buffer[..len], expected, "{n}");
                }
                _ => assert_eq!(*end.borrow().expect("borrow"), expected, "{n}"),
            }
        }
        assert_eq!(kind(end.recv()), Err(ErrorKind::Closed), "the other end was dropped");
        actor.join();
    }
}

/// Any length goes through a ring of any size, between shorter ones, in every form of call.
pub fn messages_longer_than_the_ring_come_in_pieces(at: Place) {
    let of = |n: usize, len: usize| (0..len).map(|i| (i * 7 + n) as u8).collect::<Vec<u8>>();
    let lens = [601, 1_300, 5, 10_000, 0, 1_000_001, 600, 70_000];
    for capacity in [0, 2000, 1 << 14] {
        let (seg, words) = (kit::segment(), board());
        let (mut end, actor) = meet(at, &seg, capacity, move |mut end| {
            for (n, len) in lens.into_iter().enumerate() {
                let text = of(n, len);
                match n % 2 {
                    0 => end.send(&text).expect("send"),
                    _ => {
                        let (head, tail) = text.split_at(len / 3);
                        end.send_vectored(&[IoSlice::new(head), IoSlice::new(tail)]).expect("send");
                    }
                }
            }
            let long = vec![0; 601];
            assert_eq!(kind(end.try_send(&long)), Err(ErrorKind::TooLarge));
            assert_eq!(kind(end.reserve(601)).map(drop), Err(ErrorKind::TooLarge));
            // Nobody takes the pieces: it is given up in the middle, and nothing is left of it but room that is taken.
            let given_up =
                end.send_timeout(&vec![0; 1 << 20], Duration::from_millis(1)).expect_err("no room");
            assert_eq!(given_up.kind(), ErrorKind::TimedOut);
            assert!(given_up.to_string().contains("given up"), "{given_up}");
            raise(&words[0]);
            end.send(b"after").expect("send");
        });
        for (n, len) in lens.into_iter().enumerate() {
            assert!(end.poll(LONG).expect("poll"));
            match n % 3 {
                0 => assert_eq!(end.recv().expect("recv"), of(n, len), "{n}"),
                1 => {
                    let mut buffer = vec![0; len + 3];
                    if len > 0 {
                        let small = end.recv_into(&mut buffer[..len - 1]).expect_err("too small");
                        assert_eq!(small.needed(), Some(len));
                    }
                    if len > LONGEST {
                        assert_eq!(kind(end.borrow()).map(drop), Err(ErrorKind::TooLarge));
                    }
                    assert_eq!(end.recv_into(&mut buffer).expect("recv"), len);
                    assert_eq!(buffer[..len], of(n, len), "{n}");
                }
                // A call whose time is over goes on where it was.
                _ => loop {
                    match end.recv_timeout(Duration::ZERO) {
                        Ok(text) => break assert_eq!(text, of(n, len), "{n}"),
                        Err(e) => assert_eq!(e.kind(), ErrorKind::TimedOut),
                    }
                },
            }
        }
        await_word(&words[0], 1);
        assert_eq!(end.recv().expect("recv"), b"after", "the one that was given up is not told of");
        assert_eq!(kind(end.recv()), Err(ErrorKind::Closed));
        actor.join();
    }
}

/// A descriptor arrives with its message and no other, or is closed; nothing is lost where there is no room for it.
pub fn descriptors_go_with_their_messages(at: Place) {
    if at != Place::Processes {
        return;
    }
    let open = || std::fs::read_dir("/proc/self/fd").expect("proc").count();
    let file = |text: &str| {
        // SAFETY: a name; the descriptor is new.
        let fd = unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"text".as_ptr(), libc::MFD_CLOEXEC)) };
        let mut file = std::fs::File::from(fd);
        file.write_all(text.as_bytes()).expect("write");
        file
    };
    let text_of = |fd: Option<OwnedFd>| {
        let mut file = std::fs::File::from(fd.expect("a descriptor"));
        file.rewind().expect("rewind");
        std::io::read_to_string(file).expect("read")
    };
    assert_eq!(
        kind(pipe::pair(0, 100).expect("pair").0.send_with_descriptor(b"x", &std::io::stderr())),
        Err(ErrorKind::Unsupported)
    );
    let (mut ours, theirs) = pipe::pair_with_descriptors(1000, 100).expect("pair");
    let child = Builder::new().fork_giving(theirs, move |mut end| {
        for n in 0..1000 {
            let text = format!("{n}");
            match n % 3 {
                0 => end.send(text.as_bytes()).expect("send"),
                1 => end.send_with_descriptor(text.as_bytes(), &file(&text)).expect("send"),
                _ => end.send(&vec![7; 1000]).expect("in pieces"),
            }
        }
        assert_eq!(kind(end.send_with_descriptor(&[0; 93], &std::io::stderr())), Err(ErrorKind::TooLarge));
        assert_eq!(end.recv().expect("go on"), b"");
        // It receives them, too, by calls that do not want them.
        assert_eq!(end.recv().expect("recv"), b"one");
        assert_eq!(kind(end.borrow()).map(drop), Err(ErrorKind::TooLarge));
        assert_eq!(end.recv_into(&mut [0; 8]).expect("recv"), 3);
        let mut text = [0; 5];
        end.reader().read_exact(&mut text).expect("read");
        assert_eq!(&text, b"three");
        // There is no room for one, and then there is.
        let mut most = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a limit.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut most) }, 0);
        let none = libc::rlimit { rlim_cur: 3, ..most };
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) }, 0);
        assert_eq!(kind(end.recv_with_descriptor()).map(drop), Err(ErrorKind::Resource));
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const most) }, 0);
        let (message, fd) = end.recv_with_descriptor().expect("it stayed");
        assert_eq!((message.as_slice(), text_of(fd).as_str()), (&b"four"[..], "four"));
        let before = open();
        assert_eq!(end.recv().expect("recv"), b"five");
        assert_eq!(open(), before, "the descriptor was not closed");
        // A halved call waits for what is not there.
        let late = end.halves().1.recv_with_descriptor_until(Deadline::after(Duration::from_millis(1)));
        assert_eq!(kind(late).map(drop), Err(ErrorKind::TimedOut));
    });
    let before = open();
    for n in 0..1000 {
        let (message, fd) = ours.recv_with_descriptor().expect("recv");
        match n % 3 {
            0 => assert!(message == n.to_string().as_bytes() && fd.is_none()),
            1 => assert!(message == n.to_string().as_bytes() && text_of(fd) == n.to_string()),
            _ => assert!(message == vec![7; 1000] && fd.is_none()),
        }
    }
    assert_eq!(open(), before, "descriptors are left");
    ours.send(b"").expect("send");
    for text in ["one", "two", "three", "four", "five"] {
        ours.send_with_descriptor(text.as_bytes(), &file(text)).expect("send");
    }
    assert_eq!(child.expect("fork").join().expect("join").code(), Some(0));
    // The other end is gone.
    assert_eq!(kind(ours.recv_with_descriptor()).map(drop), Err(ErrorKind::Closed));
    assert_eq!(kind(ours.send_with_descriptor(b"x", &std::io::stderr())), Err(ErrorKind::Closed));
}

/// Streams and calls that receive share what comes: nothing is lost, twice, or out of order, whichever asks, and wherever it stops.
pub fn readers_and_receives_go_on_where_the_other_stopped(at: Place) {
    for (round, capacity) in [0, 500, 1 << 12].into_iter().enumerate() {
        let (seg, seed) = (kit::segment(), 5 + round as u64);
        let text = |random: &mut Random| {
            let len = match random.below(6) {
                0 => random.below(20_000),
                1 => random.below(3 * LONGEST as u64),
                _ => random.below(60),
            };
            (0..len).map(|_| random.below(256) as u8).collect::<Vec<u8>>()
        };
        let (mut end, actor) = meet(at, &seg, capacity, move |mut end| {
            let mut random = Random(seed);
            for _ in 0..1500 {
                end.send(&text(&mut random)).expect("send");
            }
        });
        let mut expected = Vec::new();
        let mut random = Random(seed);
        for _ in 0..1500 {
            expected.extend(text(&mut random));
        }
        let (mut got, mut random) = (Vec::new(), Random(99));
        let over = loop {
            let received = match random.below(6) {
                0 => end.recv(),
                1 => end.try_recv(),
                2 => end.recv_timeout(Duration::ZERO),
                3 => {
                    let mut buffer = [0; 100];
                    end.recv_into_timeout(&mut buffer, Duration::ZERO)
                        .map(|len| buffer[..len].to_vec())
                        .map_err(Into::into)
                }
                4 => end.try_borrow().map(|message| message.to_vec()),
                _ => {
                    let mut reader = end.reader();
                    for _ in 0..random.below(4) {
                        let mut buffer = vec![0; random.below(300) as usize];
                        match random.below(3) {
                            0 => _ = std::io::BufRead::fill_buf(&mut reader).expect("bytes"),
                            _ => {
                                let len = reader.read(&mut buffer).expect("bytes");
                                got.extend_from_slice(&buffer[..len]);
                            }
                        }
                    }
                    continue;
                }
            };
            match received {
                Ok(message) => got.extend(message),
                Err(e) if e.kind() == ErrorKind::Closed => break e,
                Err(e) => assert!(
                    matches!(e.kind(), ErrorKind::Empty | ErrorKind::TimedOut | ErrorKind::TooLarge),
                    "{e}"
                ),
            }
        };
        assert_eq!(over.kind(), ErrorKind::Closed);
        assert!(got == expected, "{} bytes came, {} were sent", got.len(), expected.len());
        actor.join();
    }
}

/// One that its sender gave up, or that is skipped, does not get into the next one.
pub fn what_was_given_up_or_skipped_is_not_mixed_in(_: Place) {
    let (mut to, mut from) = pipe::one_way(0, 100).expect("a pipe");
    // What has come of one that was given up.
    assert!(to.send_timeout(&[b'a'; 200], Duration::from_millis(1)).is_err());
    assert_eq!(kind(from.recv_timeout(Duration::ZERO)), Err(ErrorKind::TimedOut));
    std::thread::scope(|s| {
        s.spawn(|| to.send(&[b'b'; 200]).expect("send"));
        let mut bytes = [0; 40];
        // Its beginning comes before the next one.
        from.reader().read_exact(&mut bytes).expect("bytes");
        let rest = from.recv().expect("recv");
        assert!(rest.iter().all(|&byte| byte == b'b'), "{rest:?}");
    });
    // Skipped: its pieces too.
    let (mut to, mut from) = pipe::one_way(0, 100).expect("a pipe");
    std::thread::scope(|s| {
        s.spawn(move || {
            to.send(&[b'a'; 1000]).expect("send");
            to.send(b"next").expect("send");
        });
        while !from.skip().expect("skip") {
            std::hint::spin_loop();
        }
        assert_eq!(from.recv().expect("recv"), b"next");
        assert_eq!(kind(from.recv()), Err(ErrorKind::Closed));
        assert_eq!(kind(from.skip()), Err(ErrorKind::Closed));
    });
    // The end is told to whoever goes on.
    let (mut to, mut from) = pipe::one_way(0, 100).expect("a pipe");
    assert!(to.send_timeout(&[b'a'; 1000], Duration::from_millis(1)).is_err());
    assert_eq!(kind(from.recv_timeout(Duration::ZERO)), Err(ErrorKind::TimedOut));
    drop(to);
    let mut bytes = Vec::new();
    let cut = from.reader().read_to_end(&mut bytes).expect_err("cut short");
    assert!(cut.kind() == std::io::ErrorKind::UnexpectedEof && !bytes.is_empty() && bytes.len() < 1000);
}

/// A program takes an end, with its descriptors; its death is the end.
pub fn an_end_goes_to_a_program(at: Place) {
    if at != Place::Processes {
        return;
    }
    let (ours, theirs) = pipe::pair_with_descriptors(1000, 100).expect("pair");
    let script = Program::new("sh").args(["-c", "exit 3"]);
    let error = Builder::new().spawn_giving(script, "work", theirs).expect_err("it takes nothing");
    assert_eq!(error.kind(), ErrorKind::NoChild);
    assert!(error.to_string().contains('3'), "{error}");
    let mut ours = ours;
    assert_eq!(kind(ours.recv()), Err(ErrorKind::Closed));
    assert_eq!(kind(End::inherited("work")).map(drop), Err(ErrorKind::NotFound));

    // A key that cannot be one.
    let (_ours, theirs) = pipe::pair(1000, 100).expect("pair");
    let refused = Builder::new().spawn_giving(Program::new("true"), "a=b", theirs);
    assert_eq!(kind(refused).map(drop), Err(ErrorKind::InvalidInput));

    // Whoever has an old variable does not take the end of a pipe that was made anew at the same place.
    let seg = kit::segment();
    let show = |variable: &'static str| {
        let (mut near, far) = seg.pipe_pair("p", 1000, 100).expect("pair");
        let script = Program::new("sh").args(["-c", "echo \"$INTERPROC_PIPE_work\""]);
        let (read, write) = std::io::pipe().expect("a pipe");
        let given = Builder::new().stdout(write).spawn_giving(script, variable, far);
        assert_eq!(kind(given).map(drop), Err(ErrorKind::NoChild));
        assert_eq!(kind(near.recv()), Err(ErrorKind::Closed));
        std::io::read_to_string(read).expect("read")
    };
    let (one, other) = (show("work"), show("work"));
    let place = |told: &str| told.split(',').take(2).map(str::to_owned).collect::<Vec<_>>();
    assert!(place(&one) == place(&other) && one != other, "{one} {other}");
    let (_near, _far) = seg.pipe_pair("p", 1000, 100).expect("pair");
    let told = other.trim().split_once(':').expect("a number of a descriptor").1.to_owned();
    let file = seg.as_fd().try_clone_to_owned().expect("a copy");
    kit::fork(move || {
        let variable = format!("{}:{told}", file.as_raw_fd());
        // SAFETY: this process is alone.
        unsafe { std::env::set_var("INTERPROC_PIPE_work", variable) };
        assert_eq!(kind(End::inherited("work")).map(drop), Err(ErrorKind::Stale));
    })
    .finish();

    // In the middle of a message it is not given away to where its pieces are not.
    let (mut to, mut from) = pipe::one_way(0, 100).expect("pair");
    assert!(to.send_timeout(&[1; 1000], Duration::from_millis(1)).is_err());
    assert!(from.try_recv().is_err());
    let cat = Program::new("cat");
    assert_eq!(kind(Builder::new().spawn_giving(cat, "work", from)).map(drop), Err(ErrorKind::InvalidInput));
}

/// Who dies or closes in the middle of a message cuts it short: that is told once, then comes the end.
pub fn a_message_that_is_cut_short_is_told(at: Place) {
    let forms: [fn(&mut End) -> ErrorKind; 4] = [
        |end| end.recv().expect_err("cut").kind(),
        |end| end.recv_into(&mut [0; 1 << 12]).expect_err("cut").kind(),
        |end| end.try_borrow().map(drop).expect_err("cut").kind(),
        |end| {
            std::io::Read::read_to_end(&mut end.reader(), &mut Vec::new()).map_or_else(
                |e| {
                    if e.kind() == std::io::ErrorKind::UnexpectedEof {
                        ErrorKind::CutShort
                    } else {
                        ErrorKind::Broken
                    }
                },
                |_| ErrorKind::Closed,
            )
        },
    ];
    for (n, form) in forms.into_iter().enumerate() {
        let seg = kit::segment();
        let (mut end, actor) = meet(at, &seg, 0, |mut end| {
            let _ = end.send_timeout(&[7; 4000], Duration::from_millis(1)).expect_err("no room");
        });
        actor.join(); // it closes by ending
        if n == 2 {
            // In place a message in pieces cannot be read.
            assert_eq!(form(&mut end), ErrorKind::TooLarge);
            assert_eq!(kind(end.try_recv()), Err(ErrorKind::CutShort));
        } else {
            assert_eq!(form(&mut end), ErrorKind::CutShort, "{n}");
        }
        assert_eq!(form(&mut end), ErrorKind::Closed, "{n}");
    }
}

/// Its forms are those of its halves.
pub fn an_end_is_a_sender_and_a_receiver(at: Place) {
    let seg = kit::segment();
    let words = board();
    let (mut end, actor) = meet(at, &seg, 0, |mut end| {
        assert_eq!(kind(end.try_recv()), Err(ErrorKind::Empty));
        assert_eq!(kind(end.try_recv_into(&mut [0; 8])), Err(ErrorKind::Empty));
        assert_eq!(kind(end.recv_into_timeout(&mut [0; 8], Duration::ZERO)), Err(ErrorKind::TimedOut));
        assert_eq!(kind(end.try_borrow()).map(drop), Err(ErrorKind::Empty));
        assert_eq!(kind(end.borrow_timeout(Duration::ZERO)).map(drop), Err(ErrorKind::TimedOut));
        for timeout in [0, 1, 30].map(Duration::from_millis) {
            lasts(2 * timeout, || {
                assert_eq!(kind(end.recv_timeout(timeout)), Err(ErrorKind::TimedOut));
                assert!(!end.poll(timeout).expect("poll"));
            });
        }
        say_where(&words[0]);
        assert!(end.poll(LONG).expect("poll"));
        assert_eq!(end.recv_until(Deadline::now()).expect("there"), b"one");
        assert_eq!(kind(end.send_bytes(&[0; 4], 2, 3)), Err(ErrorKind::InvalidInput));
        assert_eq!(kind(end.send_bytes(&[0; 4], usize::MAX, 3)), Err(ErrorKind::InvalidInput));
        assert_eq!(kind(end.reserve(LONGEST + 1)).map(drop), Err(ErrorKind::TooLarge));
        let mut sent = 0;
        while end.try_send(&[7; 300]).is_ok() {
            sent += 1;
        }
        assert!(sent >= 2, "{sent}");
        assert_eq!(kind(end.try_reserve(300)).map(drop), Err(ErrorKind::Full));
        lasts(Duration::from_millis(30), || {
            let timeout = Duration::from_millis(30);
            assert_eq!(kind(end.send_timeout(&[8; 300], timeout)), Err(ErrorKind::TimedOut));
        });
        assert_eq!(kind(end.send_until(&[8; 300], Deadline::from_monotonic_ns(0))), Err(ErrorKind::TimedOut));
        words[1].store(sent, SeqCst);
        end.send(&[9; 300]).expect("send");
        end.send_timeout(&[10; 300], LONG).expect("send");
    });
    await_asleep(&words[0]);
    end.send(b"one").expect("send");
    await_word(&words[1], 1);
    for _ in 0..words[1].load(SeqCst) {
        assert_eq!(end.recv_timeout(LONG).expect("recv"), [7; 300]);
    }
    end.borrow_timeout(LONG).expect("borrow").put_back().expect("ours");
    assert_eq!((end.recv().expect("recv"), end.recv().expect("recv")), (vec![9; 300], vec![10; 300]));
    actor.join();
}

pub fn both_ends_send_at_the_same_time(at: Place) {
    let seg = kit::segment();
    let talk = |end: End, from: u64| {
        let (mut to, mut here) = end.split();
        std::thread::scope(|s| {
            s.spawn(move || (0..30_000u64).for_each(|n| to.send(&(from + n).to_le_bytes()).expect("send")));
            for n in 0..30_000u64 {
                let got = here.recv().expect("recv");
                assert_eq!(u64::from_le_bytes(got.try_into().expect("eight")), (1 << 32) - from + n);
            }
        });
    };
    let (end, actor) = meet(at, &seg, 0, move |end| talk(end, 1 << 32));
    talk(end, 0);
    actor.join();
}

/// How an end goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Going {
    Dropped,
    Closed,
    Dead,
}

const ALL: [Going; 3] = [Going::Dropped, Going::Closed, Going::Dead];

fn go(at: Place, end: End, how: Going) {
    match how {
        Going::Dropped => drop(end),
        Going::Closed => end.close().expect("close"),
        Going::Dead => at.die(),
    }
}

fn gone(actor: Actor, how: Going) {
    if how == Going::Dead { actor.gone() } else { actor.join() }
}

pub fn who_receives_gets_what_was_sent_and_then_the_end_at_once(at: Place) {
    for how in ALL {
        let seg = kit::segment();
        let words = board();
        // There before the look.
        let (mut end, actor) = meet(at, &seg, 0, move |mut end| {
            end.send(b"one").expect("send");
            end.send(b"two").expect("send");
            go(at, end, how);
        });
        gone(actor, how);
        assert_eq!((end.recv().expect("recv"), end.recv().expect("recv")), (b"one".into(), b"two".into()));
        for _ in 0..2 {
            assert!(end.poll(Duration::ZERO).expect("poll"));
            assert_eq!(kind(end.recv()), Err(ErrorKind::Closed), "{how:?}");
            assert_eq!(kind(end.try_recv()), Err(ErrorKind::Closed));
            assert_eq!(kind(end.recv_timeout(Duration::ZERO)), Err(ErrorKind::Closed));
            assert_eq!(kind(end.send(b"?")), Err(ErrorKind::Closed));
            assert_eq!(kind(end.try_send(b"?")), Err(ErrorKind::Closed));
        }
        drop(end);
        // Asleep when it comes.
        let (end, actor) = meet(at, &seg, 0, move |end| {
            await_word(&words[1], 1);
            words[2].store(Deadline::now().as_monotonic_ns(), SeqCst);
            go(at, end, how);
        });
        let here = std::thread::spawn(move || {
            let mut end = end;
            say_where(&words[0]);
            assert_eq!(kind(end.recv()), Err(ErrorKind::Closed));
            Deadline::now().as_monotonic_ns()
        });
        await_asleep(&words[0]);
        raise(&words[1]);
        let told = here.join().expect("told");
        assert!(Duration::from_nanos(told - words[2].load(SeqCst)) < NET);
        gone(actor, how);
    }
}

/// As in every channel; the receiver outlives it here, as its end would be the pipe's.
pub fn a_message_that_a_panic_drops_comes_again(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let (mut to, mut from) = seg.pipe_one_way("way", 1000, 100).expect("one way");
        (1..=2).for_each(|n| to.send(&[n]).expect("room"));
        let panics = || {
            let _message = from.try_borrow().expect("a message");
            panic!("over it");
        };
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        let got = from.recv_into_delivery(&mut [0; 8], Wait::Never).expect("a message");
        assert_eq!((got.value, got.redelivered), (1, true));
        assert!(!from.try_borrow().expect("a message").is_redelivered());
        to.send(&[3]).expect("room");
        let panics = || {
            let _reads = Touches(|| drop(from.try_borrow().expect("a message")));
            panic!("elsewhere");
        };
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!(kind(from.try_borrow()).map(drop), Err(ErrorKind::Empty));
    })
    .join();
}

pub fn who_waits_for_room_is_told_of_the_end(at: Place) {
    for how in ALL {
        let seg = kit::segment();
        let words = board();
        let (end, actor) = meet(at, &seg, 0, move |end| {
            await_word(&words[1], 1);
            go(at, end, how);
        });
        let here = std::thread::spawn(move || {
            let mut end = end;
            while end.try_send(&[1; 500]).is_ok() {}
            say_where(&words[0]);
            assert_eq!(kind(end.send(&[2; 500])), Err(ErrorKind::Closed));
            assert_eq!(kind(end.send(b"")), Err(ErrorKind::Closed));
        });
        await_asleep(&words[0]);
        raise(&words[1]);
        here.join().expect("told");
        gone(actor, how);
    }
}

pub fn who_sends_is_told_of_the_end_of_one_that_has_moved(at: Place) {
    let seg = kit::segment();
    let words = board();
    let (mut end, actor) = meet(at, &seg, 0, move |mut end| {
        assert_eq!(end.recv().expect("recv"), b"before");
        let dies_with_it = move || {
            end.send(b"moved").expect("send");
            std::mem::forget(end);
        };
        std::thread::spawn(dies_with_it).join().expect("no panic");
        raise(&words[0]);
        await_word(&words[1], 1);
    });
    end.send(b"before").expect("send");
    assert_eq!(end.recv().expect("recv"), b"moved");
    await_word(&words[0], 1);
    assert_eq!(kind(end.try_send(b"after")), Err(ErrorKind::Closed));
    raise(&words[1]);
    actor.join();
}

pub fn an_end_moves_between_threads(at: Place) {
    let seg = kit::segment();
    let words = board();
    let (mut end, actor) = meet(at, &seg, 0, move |end| {
        let mut end = end;
        for n in 0..4u64 {
            let (give, take) = std::sync::mpsc::channel();
            let mover = std::thread::spawn(move || {
                let got = end.recv().expect("recv");
                end.send(&got).expect("send");
                give.send(end).expect("taker");
                // Until the next one has it.
                await_word(&words[0], n + 1);
            });
            end = take.recv().expect("an end");
            end.send(b"here").expect("send");
            raise(&words[0]);
            mover.join().expect("mover");
        }
    });
    for n in 0..4u8 {
        end.send(&[n]).expect("send");
        assert_eq!(end.recv().expect("recv"), [n]);
        assert_eq!(end.recv_timeout(LONG).expect("recv"), b"here");
    }
    actor.join();
    assert_eq!(kind(end.recv()), Err(ErrorKind::Closed));
    drop(end);
    // Its thread ends before another one has it: that is a death.
    let (mut end, actor) = meet(at, &seg, 0, |end| {
        let ended = std::thread::spawn(move || {
            let mut end = end;
            end.send(b"last").expect("send");
            end
        });
        let mut end = ended.join().expect("ended");
        // Before the other one has looked, and after.
        assert_eq!(kind(end.send(b"late")), Err(ErrorKind::Stale));
        raise(&words[1]);
        await_word(&words[2], 1);
        assert_eq!(kind(end.send(b"later")), Err(ErrorKind::Stale));
        assert_eq!(kind(end.try_recv()), Err(ErrorKind::Stale), "the end is lost as a whole");
        drop(end);
    });
    await_word(&words[1], 1);
    assert_eq!(end.recv().expect("recv"), b"last");
    assert_eq!(kind(end.recv()), Err(ErrorKind::Closed));
    raise(&words[2]);
    actor.join();
}

pub fn a_pipe_is_somebodys_until_both_ends_are_gone(at: Place) {
    for how in ALL {
        let seg = kit::segment();
        let words = board();
        // Both ends of a pair are its maker's, who sends to itself.
        let actor = at.start(&seg, move |seg| {
            let (mut a, mut b) = seg.pipe_pair("pair", 1000, 100).expect("pair");
            let (mut to, mut from) = seg.pipe_one_way("way", 1000, 100).expect("one way");
            a.send(b"there").expect("send");
            assert_eq!(b.recv().expect("recv"), b"there");
            b.send(b"unread").expect("send");
            to.send(b"news").expect("send");
            assert_eq!(from.recv().expect("recv"), b"news");
            raise(&words[0]);
            await_word(&words[1], 1);
            drop((a, to));
            raise(&words[0]);
            await_word(&words[1], 2);
            if how == Going::Dead {
                at.die();
            }
        });
        for gone in 1..=2 {
            await_word(&words[0], gone);
            assert_eq!(kind(seg.pipe_pair("pair", 1000, 100)).map(drop), Err(ErrorKind::WouldBlock));
            assert_eq!(kind(seg.pipe_one_way("way", 1000, 100)).map(drop), Err(ErrorKind::WouldBlock));
            raise(&words[1]);
        }
        self::gone(actor, how);
        assert_eq!(kind(seg.pipe_pair("pair", 2000, 100)).map(drop), Err(ErrorKind::TypeMismatch));
        assert_eq!(kind(seg.pipe_one_way("pair", 1000, 100)).map(drop), Err(ErrorKind::TypeMismatch));
        let (mut a, mut b) = seg.pipe_pair("pair", 1000, 100).expect("free");
        assert_eq!(kind(a.try_recv()), Err(ErrorKind::Empty), "the last user's messages are gone");
        b.send(b"anew").expect("open");
        assert_eq!(a.recv().expect("recv"), b"anew");
        let (mut to, _from) = seg.pipe_one_way("way", 1000, 100).expect("free");
        to.send(b"anew").expect("open");
    }
}

pub fn a_forked_child_does_not_have_its_parents_end(at: Place) {
    if at == Place::Mappings {
        return;
    }
    let seg = kit::segment();
    let (mut end, actor) = meet(at, &seg, 0, |mut end| {
        for raw in [false, true] {
            kit::child(raw, || {
                assert_eq!(kind(end.send(b"child")), Err(ErrorKind::NotOwner));
                assert_eq!(kind(end.try_recv()), Err(ErrorKind::NotOwner));
                assert_eq!(kind(end.peer()), Err(ErrorKind::NotOwner));
                // SAFETY: the child's copy, dropped as it would be at the end of its function.
                drop(unsafe { std::ptr::read(&raw const end) });
            })
            .join();
        }
        end.send(b"parent").expect("send");
        assert_eq!(end.recv().expect("recv"), b"still open");
    });
    assert_eq!(end.recv().expect("recv"), b"parent");
    end.send(b"still open").expect("send");
    actor.join();
}

pub fn a_child_gets_an_end_before_its_code_runs(at: Place) {
    if at != Place::Processes {
        return;
    }
    // It is told of its parent, and the parent of it.
    let (mut ours, theirs) = pipe::pair(1000, 100).expect("pair");
    let child = Builder::new().fork_giving(theirs, |mut end| {
        assert_eq!(end.recv().expect("recv"), b"question");
        end.send(b"answer").expect("send");
        i32::from(end.recv().is_err_and(|e| e.kind() == ErrorKind::Closed))
    });
    ours.send(b"question").expect("send");
    assert_eq!(ours.recv().expect("recv"), b"answer");
    drop(ours);
    assert_eq!(child.expect("fork").join().expect("join").code(), Some(1));

    // One that dies before it has touched it is the end; so is one that returns.
    for code in 0..2 {
        let (mut ours, theirs) = pipe::pair(1000, 100).expect("pair");
        let child = Builder::new().fork_giving(theirs, move |end| {
            if code == 1 {
                std::mem::forget(end);
                kit::die();
            }
        });
        assert_eq!(kind(ours.recv_timeout(LONG)), Err(ErrorKind::Closed));
        child.expect("fork").join().expect("join");
    }

    // Several ends, to several children; a pipeline.
    let (mut first, a) = pipe::one_way(1000, 100).expect("pipe");
    let (b, c) = pipe::one_way(1000, 100).expect("pipe");
    let (d, mut last) = pipe::one_way(1000, 100).expect("pipe");
    let work = |(mut from, mut to): (pipe::Receiver, pipe::Sender)| {
        while let Ok(mut message) = from.recv() {
            message.push(b'!');
            to.send(&message).expect("send");
        }
    };
    let children = [(a, b), (c, d)].map(|ends| Builder::new().fork_giving(ends, work).expect("fork"));
    for n in 0..100 {
        first.send(&[n]).expect("send");
        assert_eq!(last.recv().expect("recv"), [n, b'!', b'!']);
    }
    drop(first);
    assert_eq!(kind(last.recv()), Err(ErrorKind::Closed));
    for child in children {
        assert!(child.join().expect("join").success());
    }

    // No child: the end is closed.
    let (mut ours, theirs) = pipe::pair(1000, 100).expect("pair");
    let error = Builder::new().directory("/no/such/place").fork_giving(theirs, |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoFile);
    assert_eq!(kind(ours.recv()), Err(ErrorKind::Closed));

    // No room for the child's thread.
    let seg = Segment::options().size(1 << 14).max_members(1).anonymous().expect("segment");
    let (mut ours, theirs) = seg.pipe_pair("pair", 1000, 100).expect("pair");
    let error = Builder::new().fork_giving(theirs, |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyMembers, "{error}");
    assert_eq!(kind(ours.recv()), Err(ErrorKind::Closed));
}

pub fn an_end_is_handed_over_a_bare_fork(at: Place) {
    if at != Place::Processes {
        return;
    }
    for raw in [false, true] {
        let (mut ours, mut theirs) = pipe::pair(1000, 100).expect("pair");
        let child = kit::child(raw, || {
            std::thread::sleep(Duration::from_millis(15));
            theirs.adopt().expect("adopt");
            theirs.send(b"here").expect("send");
            assert_eq!(theirs.recv().expect("recv"), b"good");
        });
        theirs.hand_over(child.pid).expect("hand over");
        assert_eq!(ours.recv().expect("recv"), b"here");
        ours.send(b"good").expect("send");
        child.join();
        assert_eq!(kind(ours.recv()), Err(ErrorKind::Closed));

        // A child that never comes to it.
        let (mut ours, theirs) = pipe::pair(1000, 100).expect("pair");
        let child = kit::child(raw, || kit::die());
        assert_eq!(kind(theirs.hand_over(child.pid)), Err(ErrorKind::NoChild));
        assert_eq!(kind(ours.recv()), Err(ErrorKind::Closed));
        child.finish();

        // A process that will never come to it, though it lives; and a child that gives its parent's end away.
        let (mut ours, theirs) = pipe::pair(1000, 100).expect("pair");
        // SAFETY: no arguments.
        assert_eq!(kind(theirs.hand_over(unsafe { libc::getppid() })), Err(ErrorKind::NoChild));
        assert_eq!(kind(ours.recv()), Err(ErrorKind::Closed));
        let (mut ours, theirs) = pipe::pair(1000, 100).expect("pair");
        let mut theirs = Some(theirs);
        let child = kit::child(raw, || {
            // SAFETY: no arguments.
            let given = theirs.take().expect("an end").hand_over(unsafe { libc::getppid() });
            assert_eq!(kind(given), Err(ErrorKind::NotOwner));
        });
        child.join();
        theirs.as_mut().expect("an end").send(b"untouched").expect("send");
        assert_eq!(ours.recv().expect("recv"), b"untouched");

        // One that dies with it at once.
        let (mut ours, mut theirs) = pipe::pair(1000, 100).expect("pair");
        let child = kit::child(raw, || {
            theirs.adopt().expect("adopt");
            kit::die();
        });
        assert_eq!(kind(theirs.hand_over(child.pid)), Ok(()));
        assert_eq!(kind(ours.recv_timeout(LONG)), Err(ErrorKind::Closed));
        child.finish();
    }
}

pub fn nonsense_in_a_pipe_harms_nobody_else(at: Place) {
    if at != Place::Threads {
        return;
    }
    let mut random = Random(0xbad);
    for round in 0..300 {
        let seg = kit::segment();
        let mut listener = listen(&seg, 2, 0);
        let mut client = pipe::connect(&seg, "door").expect("connect");
        let mut server = listener.accept().expect("accept");
        (0..round % 5).for_each(|_| client.send(&[1; 70]).expect("send"));
        let bare = kit::Bare::new(&seg);
        let (place, size) = bare.object("door");
        for _ in 0..1 + random.below(6) {
            // In the heads, mostly.
            let at =
                if random.below(3) > 0 { 8 * random.below(140) } else { 8 * random.below(size as u64 / 8) };
            let value = match random.below(4) {
                0 => 0,
                1 => u64::MAX,
                2 => 1 << random.below(64),
                _ => random.next(),
            };
            // SAFETY: aligned and in the object, which others reach by atomics or as bytes.
            unsafe { bare.base.add(place + at as usize).cast::<std::sync::atomic::AtomicU64>().as_ref() }
                .store(value, SeqCst);
        }
        let short = Duration::from_millis(2);
        for _ in 0..8 {
            let _ = client.send_timeout(&[2; 90], short);
            let _ = server.recv_timeout(short);
            let _ = server.try_send(&[3; LONGEST]);
            let _ = client.try_borrow().map(|message| message.len());
            let _ = client.poll(Duration::ZERO);
        }
        let more = pipe::connect_timeout(&seg, "door", short);
        let _ = listener.accept_timeout(short);
        drop((client, listener, more, server));
        let _ = Listener::bind(&seg, "door", 2, 0, LONGEST);
    }
}
