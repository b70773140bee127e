//! The specification of the barrier.

use crate::kit::{self, NET, await_word, board, raise};
use crate::place::{Actor, MANY, Place, await_asleep, say_where, under_signals};
use interproc::sync::{Barrier, BarrierTurn};
use interproc::{Deadline, ErrorKind, Segment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PARTIES: usize = 3;

fn barrier(seg: &Segment) -> Barrier {
    seg.barrier("barrier", PARTIES).expect("barrier")
}

fn new() -> (Segment, Barrier, &'static [AtomicU64; 512]) {
    let seg = kit::segment();
    let b = barrier(&seg);
    (seg, b, board())
}

fn wait(b: &Barrier) -> Result<bool, ErrorKind> {
    b.wait().map(|r| r.is_leader()).map_err(|e| e.kind())
}

/// Parties that wait once, and then say what they heard: 1 passed, 2 broken, in the board's first words.
fn waiters(at: Place, seg: &Segment, words: &'static [AtomicU64; 512], n: usize) -> Vec<Actor> {
    let one = |n: usize| {
        at.start(seg, move |seg| {
            let b = barrier(seg);
            say_where(&words[16 + n]);
            match wait(&b) {
                Ok(_) => raise(&words[1]),
                Err(ErrorKind::Broken) => raise(&words[2]),
                Err(other) => panic!("{other:?}"),
            };
            await_word(&words[3], 1);
            b.leave().expect("leave");
        })
    };
    (0..n).for_each(|n| words[16 + n].store(0, Ordering::SeqCst));
    let all: Vec<_> = (0..n).map(one).collect();
    (0..n).for_each(|n| await_asleep(&words[16 + n]));
    all
}

fn finish(words: &[AtomicU64; 512], all: Vec<Actor>) {
    raise(&words[3]);
    all.into_iter().for_each(|a| a.join());
}

pub fn all_pass_together_with_one_leader_each_round(at: Place) {
    const ROUNDS: u64 = 500;
    let (seg, b, words) = new();
    let party = |n: usize| {
        at.start(&seg, move |seg| {
            let b = barrier(seg);
            for round in 1..=ROUNDS {
                // Relaxed: the barrier orders them.
                words[8 + n].store(round, Ordering::Relaxed);
                let led = wait(&b).expect("nobody dies");
                (0..PARTIES).for_each(|n| assert_eq!(words[8 + n].load(Ordering::Relaxed), round));
                words[0].fetch_add(led.into(), Ordering::SeqCst);
                wait(&b).expect("nobody dies");
                assert_eq!(words[0].load(Ordering::SeqCst), round, "one leader");
                wait(&b).expect("nobody dies");
            }
            b.leave().expect("leave");
        })
    };
    let parties: Vec<_> = (0..PARTIES).map(party).collect();
    parties.into_iter().for_each(|p| p.join());
    assert_eq!((b.n_waiting().expect("member"), b.is_broken().expect("member")), (0, false));
}

pub fn it_can_be_looked_at(at: Place) {
    let (seg, b, words) = new();
    assert_eq!((b.parties(), b.n_waiting().expect("member")), (3, 0));
    let two = waiters(at, &seg, words, 2);
    assert_eq!(b.n_waiting().expect("member"), 2);
    let seats = b.seats().expect("member");
    assert_eq!(seats.len(), 2);
    for (n, (who, has_come)) in seats.iter().enumerate() {
        let ids: Vec<u64> = (0..2).map(|n| words[16 + n].load(Ordering::SeqCst)).collect();
        assert!(ids.contains(&(u64::from(who.pid) << 32 | u64::from(who.tid))), "{n}");
        assert!(has_come);
    }
    assert!(wait(&b).expect("all are there"));
    finish(words, two);
    assert_eq!(b.n_waiting().expect("member"), 0);
    assert_eq!(b.seats().expect("member").len(), 1, "the others have left");
}

pub fn a_party_that_dies_waiting_or_computing_breaks_it_for_all_at_once(at: Place) {
    let mut times = Vec::new();
    for round in 0..6 {
        let (seg, b, words) = new();
        let dying = at.start(&seg, move |seg| {
            let b = barrier(seg);
            if round % 2 == 0 {
                // Takes part in a round, then computes.
                wait(&b).expect("all come");
            } else {
                // Takes a seat only.
                assert_eq!(b.wait_timeout(Duration::ZERO).map_err(|e| e.kind()), Err(ErrorKind::TimedOut));
                b.reset().expect("reset");
            }
            raise(&words[4]);
            await_word(&words[5], 1);
            words[6].store(Deadline::now().as_monotonic_ns(), Ordering::SeqCst);
            at.die();
        });
        if round % 2 == 0 {
            let other = at.start(&seg, |seg| {
                let b = barrier(seg);
                wait(&b).expect("all come");
                b.leave().expect("leave");
            });
            wait(&b).expect("all come");
            other.join();
        }
        await_word(&words[4], 1);
        let party = at.start(&seg, |seg| {
            let b = barrier(seg);
            say_where(&words[7]);
            assert_eq!(wait(&b), Err(ErrorKind::Broken));
            words[8].store(Deadline::now().as_monotonic_ns(), Ordering::SeqCst);
            assert_eq!(wait(&b), Err(ErrorKind::Broken), "until a reset");
            b.leave().expect("leave");
        });
        await_asleep(&words[7]);
        raise(&words[5]);
        dying.gone();
        party.join();
        times.push(words[8].load(Ordering::SeqCst) - words[6].load(Ordering::SeqCst));
        assert!(b.is_broken().expect("member") && b.n_waiting().expect("member") == 0);
        assert_eq!(wait(&b), Err(ErrorKind::Broken));
        // And mended: three new parties pass.
        b.reset().expect("reset");
        let two = waiters(at, &seg, words, 2);
        wait(&b).expect("mended");
        finish(words, two);
    }
    times.sort_unstable();
    // Not by the net.
    assert!(times[2] < 25_000_000, "{times:?}");
}

pub fn the_death_of_one_that_waits_breaks_it(at: Place) {
    if at != Place::Processes {
        return; // A thread cannot be killed alone.
    }
    let (seg, b, words) = new();
    let mut two = waiters(at, &seg, words, 2);
    let Some(Actor::Process(mut kid)) = two.pop() else { unreachable!() };
    kid.kill();
    kid.end();
    await_word(&words[2], 1);
    assert_eq!(wait(&b), Err(ErrorKind::Broken));
    finish(words, two);
}

pub fn a_party_that_runs_out_of_time_breaks_it(at: Place) {
    let (seg, b, words) = new();
    let one = waiters(at, &seg, words, 1);
    for timeout in [20, 120].map(Duration::from_millis) {
        let started = Instant::now();
        let late = b.wait_timeout(timeout).map_err(|e| e.kind());
        assert_eq!(late, Err(ErrorKind::TimedOut));
        assert!(started.elapsed() >= timeout && started.elapsed() < timeout + NET);
        await_word(&words[2], 1);
        assert_eq!(wait(&b), Err(ErrorKind::Broken));
        b.reset().expect("reset");
    }
    finish(words, one);
    for deadline in [Deadline::from_monotonic_ns(0), Deadline::now()] {
        assert_eq!(b.wait_until(deadline).map_err(|e| e.kind()), Err(ErrorKind::TimedOut));
        b.reset().expect("reset");
    }
    // The last to come passes, whatever the time.
    words[3].store(0, Ordering::SeqCst);
    let two = waiters(at, &seg, words, 2);
    assert!(b.wait_until(Deadline::from_monotonic_ns(1)).expect("all are there").is_leader());
    finish(words, two);
}

pub fn abort_and_reset_tell_all_that_wait(at: Place) {
    for abort in [true, false] {
        let (seg, b, words) = new();
        let two = waiters(at, &seg, words, 2);
        if abort { b.abort() } else { b.reset() }.expect("member");
        await_word(&words[2], 2);
        assert_eq!(b.is_broken().expect("member"), abort);
        b.abort().expect("member");
        b.abort().expect("again");
        assert_eq!(wait(&b), Err(ErrorKind::Broken));
        b.reset().expect("member");
        b.reset().expect("again");
        finish(words, two);
        words[3].store(0, Ordering::SeqCst);
        let two = waiters(at, &seg, words, 2);
        wait(&b).expect("mended");
        finish(words, two);
        assert_eq!(words[1].load(Ordering::SeqCst), 2);
    }
}

pub fn who_leaves_may_end_and_be_replaced(at: Place) {
    let (seg, b, words) = new();
    for round in 1..=5 {
        words[3].store(0, Ordering::SeqCst);
        // New parties each time.
        let two = waiters(at, &seg, words, 2);
        wait(&b).expect("nobody dies");
        finish(words, two);
        assert_eq!(words[1].load(Ordering::SeqCst), 2 * round);
        assert!(!b.is_broken().expect("member"));
    }
    b.leave().expect("leave");
    b.leave().expect("twice is no error");
}

pub fn more_threads_than_parties_take_turns(at: Place) {
    const ROUNDS: u64 = 200;
    let (seg, b, words) = new();
    let party = |_| {
        at.start(&seg, move |seg| {
            let b = barrier(seg);
            loop {
                match wait(&b) {
                    Ok(true) if raise(&words[0]) == ROUNDS => b.abort().expect("member"),
                    Ok(_) => {}
                    Err(ErrorKind::Broken) => break,
                    Err(other) => panic!("{other:?}"),
                }
            }
            b.leave().expect("leave");
        })
    };
    let all: Vec<_> = (0..2 * PARTIES + 1).map(party).collect();
    all.into_iter().for_each(|p| p.join());
    assert!(words[0].load(Ordering::SeqCst) >= ROUNDS);
    b.reset().expect("member");
    assert!(b.seats().expect("member").is_empty() && !b.is_broken().expect("member"));
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let (seg, b, words) = new();
    let patient = |n: usize| {
        at.start(&seg, move |seg| {
            let b = barrier(seg);
            under_signals(&words[n], || wait(&b)).expect("nobody dies");
            raise(&words[4]);
            await_word(&words[4], 2);
            b.leave().expect("leave");
        })
    };
    let patients = [patient(0), patient(1)];
    (0..2).for_each(|n| await_word(&words[n], MANY));
    assert_eq!(words[4].load(Ordering::SeqCst), 0, "it did not wait");
    wait(&b).expect("nobody dies");
    patients.into_iter().for_each(|p| p.join());
}

/// Parties that the reset frees, and that come again before anything else happens.
pub fn whom_a_reset_frees_may_come_again_at_once(at: Place) {
    let (seg, b, words) = new();
    for round in 1..=60 {
        let two: Vec<_> = (0..2)
            .map(|_| {
                at.start(&seg, move |seg| {
                    let b = barrier(seg);
                    assert_eq!(wait(&b), Err(ErrorKind::Broken), "freed by the reset");
                    let again = b.wait_timeout(Duration::from_secs(20)).map_err(|e| e.kind());
                    assert!(again.is_ok(), "the new round, of reset {round}: {again:?}");
                    b.leave().expect("leave");
                })
            })
            .collect();
        while b.n_waiting().expect("member") < 2 {
            std::thread::yield_now();
        }
        b.reset().expect("member");
        b.wait_timeout(Duration::from_secs(20)).expect("the new round, for who has reset");
        two.into_iter().for_each(|p| p.join());
    }
    let _ = words;
}

/// One that comes, is stopped by its scheduler, and looks when the others are many rounds and a reset further.
pub fn who_looks_late_is_told_how_its_own_round_ended(at: Place) {
    if at != Place::Processes {
        return; // A thread cannot be stopped alone.
    }
    for (its_own, rounds, resets, heard) in [
        (true, 1, 1, 1),
        (true, 40, 0, 1),
        (true, 300, 4, 1),
        (false, 0, 1, 2),
        (false, 70, 4, 2),
        (true, 0, 5, 1),
        (true, 0, 90, 1),
        (false, 0, 90, 2),
    ] {
        let (seg, b, words) = new();
        let Some(Actor::Process(late)) = waiters(at, &seg, words, 1).pop() else { unreachable!() };
        late.signal(libc::SIGSTOP);
        late.wait_stopped();
        let other = at.start(&seg, move |seg| {
            let b = barrier(seg);
            let _ = wait(&b);
            b.leave().expect("leave");
        });
        if its_own {
            wait(&b).expect("all have come");
        } else {
            while b.n_waiting().expect("member") < 2 {
                std::thread::yield_now();
            }
            b.reset().expect("member");
        }
        other.join();
        for _ in usize::from(!its_own)..resets {
            b.reset().expect("member");
        }
        // Others come in its place.
        let parties: Vec<_> = (0..2)
            .map(|_| {
                at.start(&seg, move |seg| {
                    let b = barrier(seg);
                    (0..rounds).for_each(|_| assert!(wait(&b).is_ok(), "nobody dies"));
                    b.leave().expect("leave");
                })
            })
            .collect();
        (0..rounds).for_each(|_| assert!(wait(&b).is_ok(), "nobody dies"));
        parties.into_iter().for_each(|p| p.join());
        late.signal(libc::SIGCONT);
        await_word(&words[heard], 1);
        assert_eq!(words[3 - heard].load(Ordering::SeqCst), 0, "{its_own} {rounds} {resets}");
        raise(&words[3]);
        late.join();
    }
}

/// More threads than parties, each of which leaves when it has passed: as many pass as there are parties, each time.
pub fn no_round_is_passed_by_more_than_its_parties(at: Place) {
    const THREADS: u64 = 7;
    const EACH: u64 = 300;
    let (seg, _, words) = new();
    words[0].store(0, Ordering::SeqCst);
    // Tickets, so that the last round is as full as the others.
    words[1].store(THREADS * EACH / PARTIES as u64 * PARTIES as u64, Ordering::SeqCst);
    let all: Vec<_> = (0..THREADS)
        .map(|_| {
            at.start(&seg, move |seg| {
                let b = barrier(seg);
                let less = |n: u64| n.checked_sub(1);
                while words[1].fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
                    if b.wait_timeout(Duration::from_secs(20)).expect("others come").is_leader() {
                        raise(&words[0]);
                    }
                    b.leave().expect("leave");
                }
            })
        })
        .collect();
    all.into_iter().for_each(|p| p.join());
    assert_eq!(words[0].load(Ordering::SeqCst), THREADS * EACH / PARTIES as u64, "leaders");
}

pub fn a_wait_in_slices_breaks_nothing_and_keeps_its_place(at: Place) {
    let (seg, b, words) = new();
    for round in 1..=3 {
        words[4].store(0, Ordering::SeqCst);
        let sliced: Vec<_> = (0..2)
            .map(|_| {
                at.start(&seg, move |seg| {
                    let b = barrier(seg);
                    let mut turn = BarrierTurn::new();
                    loop {
                        match b.wait_slice(&mut turn, Deadline::after(Duration::from_micros(300))) {
                            Err(e) if e.kind() == ErrorKind::TimedOut => {
                                assert!(turn.has_come());
                                words[4].fetch_add(1, Ordering::SeqCst);
                            }
                            Ok(_) => break,
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                    assert!(!turn.has_come());
                    b.leave().expect("leave");
                })
            })
            .collect();
        await_word(&words[4], 10);
        while b.n_waiting().expect("member") < 2 {
            std::thread::yield_now();
        }
        assert!(!b.is_broken().expect("member"), "round {round}");
        // Ours is the last: whatever the time.
        let mut turn = BarrierTurn::new();
        assert!(b.wait_slice(&mut turn, Deadline::from_monotonic_ns(0)).expect("all are there").is_leader());
        sliced.into_iter().for_each(|p| p.join());
    }
    // One that gives it up says so.
    let two = waiters(at, &seg, words, 2);
    b.abort().expect("member");
    await_word(&words[2], 2);
    let mut turn = BarrierTurn::new();
    let broken = b.wait_slice(&mut turn, Deadline::after(Duration::from_secs(9))).map_err(|e| e.kind());
    assert_eq!((broken.map(|r| r.is_leader()), turn.has_come()), (Err(ErrorKind::Broken), false));
    finish(words, two);
}
