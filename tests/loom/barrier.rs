//! [`RawBarrier`] under all interleavings, with its parties killed at every step.

use crate::runner::Model;
use crate::support::{Data, Place, leak};
use interproc::atomic::Ordering;
use interproc::raw::member::{Member, OwnerId};
use interproc::raw::sync::{Cells, RawBarrier};
use interproc::sync::BarrierTurn;
use interproc::sys::FUTEX_OWNER_DIED;
use interproc::sys::model::{
    Bounds, Death, Outcome, Thread, allow_timeouts, check, for_every_death, settle, spread_net, until_asleep,
};
use interproc::{Deadline, ErrorKind};
use std::time::Duration;

pub const MODELS: &[Model] = &[
    Model {
        name: "barrier: two parties pass with one leader and see what the other did",
        run: || check(Bounds::default(), || rounds(2, 1)),
        catches: &["barrier-no-wake", "row-no-fence"],
    },
    Model {
        name: "barrier: two parties pass twice",
        run: || check(two_preemptions(), || rounds(2, 2)),
        catches: &["barrier-no-wake"],
    },
    Model {
        name: "barrier: three parties pass with one leader",
        run: || check(two_preemptions(), || rounds(3, 1)),
        catches: &["barrier-no-wake", "barrier-wakes-one"],
    },
    Model {
        name: "barrier: a seated party may die anywhere before its wait and in it",
        run: || for_every_death(Bounds::default(), false, |death| seated(death, false)),
        catches: &["barrier-dead-unseen", "many-no-owner-watch", "barrier-no-wake"],
    },
    Model {
        name: "barrier: two that wait are both told of the death of a third",
        run: || for_every_death(two_preemptions(), false, three),
        catches: &["barrier-dead-unseen", "barrier-wakes-one"],
    },
    Model {
        name: "barrier: a newcomer may die anywhere",
        run: || for_every_death(Bounds::default(), false, newcomer),
        catches: &["barrier-no-seat-watch"],
    },
    Model {
        name: "barrier: all agree on a round that one of them gives up",
        run: || check(Bounds::default(), gives_up),
        catches: &["barrier-no-wake"],
    },
    Model {
        name: "barrier: an abort and a reset, by one who may die anywhere, tell all that wait",
        run: || for_every_death(Bounds::default(), false, resetter),
        catches: &["barrier-no-wake"],
    },
    Model {
        name: "barrier: more threads than parties take turns",
        run: || check(Bounds::default(), one_too_many),
        catches: &["barrier-no-wake"],
    },
    Model {
        name: "barrier: whom a reset frees may come again at once",
        run: || check(Bounds::default(), || comes_again(Death::NEVER)),
        catches: &["reset-breaks-first", "barrier-no-wake"],
    },
    Model {
        name: "barrier: a resetter may die anywhere, and breaks nothing",
        run: || for_every_death(two_preemptions(), false, comes_again),
        catches: &["barrier-no-wake"],
    },
    Model {
        name: "barrier: two resets at a time are one, or one after the other",
        run: || check(two_preemptions(), two_resets),
        catches: &["barrier-no-wake"],
    },
    Model {
        name: "barrier: who looks rounds late is told how its own ended",
        run: || check(two_preemptions(), || late(2, 0)),
        catches: &["barrier-short-memory"],
    },
    Model {
        name: "barrier: who looks many resets late is told how its own round ended",
        run: || check(Bounds::default(), || late(0, 5)),
        catches: &["barrier-trusts-notes-alone", "barrier-short-memory"],
    },
    Model {
        name: "barrier: who looks a reset late, with its seat taken over, is told how its own round ended",
        run: || check(two_preemptions(), || late(1, 1)),
        catches: &["reset-unnoted"],
    },
    Model {
        name: "barrier: nobody passes in a round that is over",
        run: || check(Bounds::default(), one_after_another),
        catches: &["comes-with-its-seat"],
    },
    Model {
        name: "barrier: a wait in slices breaks nothing and loses nothing",
        run: || check(Bounds::default(), slices),
        catches: &["barrier-no-wake"],
    },
    Model {
        name: "barrier: a death that nobody reports is found by the net",
        run: || for_every_death(Bounds::default(), true, |death| seated(death, true)),
        catches: &[],
    },
];

fn two_preemptions() -> Bounds {
    Bounds { preemptions: Bounds::default().preemptions.min(2), ..Bounds::default() }
}

struct Meeting {
    barrier: RawBarrier,
    said: Vec<Data>,
}

impl Meeting {
    fn leak(parties: usize) -> &'static Meeting {
        let said = (0..parties).map(|_| Data::new()).collect();
        leak(Meeting { barrier: RawBarrier::new(Cells::leak(parties)), said })
    }

    fn wait(&self, me: &Member) -> Result<bool, ErrorKind> {
        self.barrier.wait(me, None).map_err(|e| e.kind())
    }

    /// Says something, waits, hears all others.
    fn meet(&self, me: &Member, mine: usize, rounds: u64) -> u32 {
        let mut led = 0;
        for round in 1..=rounds {
            self.said[mine].set(round);
            led += u32::from(self.wait(me).expect("nobody dies"));
            self.said.iter().for_each(|said| assert_eq!(said.get(), round));
            if round < rounds {
                // So that nobody says the next thing while others still listen.
                led += u32::from(self.wait(me).expect("nobody dies"));
            }
        }
        led
    }

    /// A member that has a seat, and has not come.
    fn seat(&self, place: &Place) -> OwnerId {
        let id = place.join();
        let me = Member::modelled(place.table, id);
        allow_timeouts(1);
        let late = self.barrier.wait(&me, Some(Deadline::after(Duration::from_millis(1))));
        assert_eq!(late.map_err(|e| e.kind()), Err(ErrorKind::TimedOut));
        assert_eq!(self.wait(&me), Err(ErrorKind::Broken));
        self.barrier.reset(&me);
        assert!(!self.barrier.is_broken(&me) && self.barrier.n_waiting(&me) == 0);
        id
    }
}

fn rounds(parties: usize, rounds: u64) {
    let place = Place::new(3);
    let meeting = Meeting::leak(parties);
    // Three have their seats: to sit down is two parties' matter in the other models.
    let join = || if parties > 2 { meeting.seat(&place) } else { place.join() };
    let ids: Vec<_> = (0..parties).map(|_| join()).collect();
    let others: Vec<_> = (1..parties)
        .map(|n| place.thread_of(ids[n], Death::NEVER, move |me| meeting.meet(me, n, rounds)))
        .collect();
    let mut led = meeting.meet(&Member::modelled(place.table, ids[0]), 0, rounds);
    for other in others {
        led += other.join().finished().expect("it lives");
    }
    assert_eq!(u64::from(led), 2 * rounds - 1, "one leader a round");
}

/// What a survivor heard, against how the victim ended.
fn agree(victim: Outcome<Result<bool, ErrorKind>>, others: &[Result<bool, ErrorKind>]) {
    let passed = others.iter().filter(|r| r.is_ok()).count();
    assert!(passed == 0 || passed == others.len(), "some passed, some did not: {others:?}");
    assert!(others.iter().all(|r| matches!(r, Ok(_) | Err(ErrorKind::Broken))));
    let led = others.iter().filter(|r| **r == Ok(true)).count();
    match victim {
        Outcome::Finished(his) => {
            assert_eq!(his.is_ok(), passed > 0);
            assert_eq!(led + usize::from(his == Ok(true)), usize::from(passed > 0), "one leader");
        }
        Outcome::Died => assert!(led <= 1),
    }
}

fn seated(death: Death, net: bool) {
    if net {
        spread_net();
    }
    let place = Place::new(3);
    let meeting = Meeting::leak(2);
    let id = meeting.seat(&place);
    let victim = place.thread_of(id, death, |me| meeting.wait(me));
    let me = place.member();
    let mine = meeting.wait(&me);
    let end = victim.join();
    agree(end, &[mine]);
    // One that dies after its last step does so unmarked: in the model it lives on, idle.
    let slot = place.table.slot(id.slot()).expect("its slot").load(Ordering::Acquire);
    if end == Outcome::Died && slot as u32 & FUTEX_OWNER_DIED != 0 {
        assert_eq!(meeting.wait(&me), Err(ErrorKind::Broken), "broken until a reset");
        meeting.barrier.reset(&me);
        assert!(!meeting.barrier.is_broken(&me));
    }
}

fn three(death: Death) {
    let place = Place::new(3);
    let meeting = Meeting::leak(3);
    let [id, his, ours] = [0; 3].map(|_| meeting.seat(&place));
    let victim = place.thread_of(id, death, |me| meeting.wait(me));
    let other: Thread<_> = place.thread_of(his, Death::NEVER, |me| meeting.wait(me));
    let mine = meeting.wait(&Member::modelled(place.table, ours));
    let other = other.join().finished().expect("it lives");
    agree(victim.join(), &[mine, other]);
}

fn newcomer(death: Death) {
    let place = Place::new(3);
    let meeting = Meeting::leak(2);
    let id = place.join();
    let victim = place.thread_of(id, death, |me| meeting.wait(me));
    let waiter = place.thread(Death::NEVER, |me| meeting.wait(me));
    let end = victim.join();
    let seat = (0..2).find(|&n| meeting.barrier.seat(n).is_some_and(|(who, _)| who == id));
    if end == Outcome::Died && seat.is_none() {
        // It never was a party.
        meeting.barrier.abort(&place.member());
    }
    agree(end, &[waiter.join().finished().expect("it lives")]);
}

fn gives_up() {
    let place = Place::new(3);
    let meeting = Meeting::leak(2);
    allow_timeouts(1);
    let hasty = place.thread(Death::NEVER, |me| {
        let soon = Deadline::after(Duration::from_millis(1));
        meeting.barrier.wait(me, Some(soon)).map_err(|e| e.kind())
    });
    let me = place.member();
    let mine = meeting.wait(&me);
    match hasty.join().finished().expect("it lives") {
        Ok(led) => assert_eq!(mine, Ok(!led)),
        Err(ErrorKind::TimedOut) => assert_eq!(mine, Err(ErrorKind::Broken)),
        Err(other) => panic!("{other:?}"),
    }
}

fn resetter(death: Death) {
    let place = Place::new(3);
    let meeting = Meeting::leak(2);
    let waiter = place.thread(Death::NEVER, |me| meeting.wait(me));
    let victim = place.thread(death, |me| meeting.barrier.reset(me));
    let me = place.member();
    let end = victim.join();
    // Whether it came before or after: it is to be told.
    if meeting.barrier.n_waiting(&me) > 0 || end == Outcome::Died {
        meeting.barrier.abort(&me);
    }
    // It has not come yet: it will find a sound round, or a broken one.
    let abort = !meeting.barrier.is_broken(&me);
    if abort {
        meeting.barrier.abort(&me);
    }
    assert_eq!(waiter.join(), Outcome::Finished(Err(ErrorKind::Broken)));
    meeting.barrier.reset(&me);
    assert!(!meeting.barrier.is_broken(&me) || end == Outcome::Died);
}

fn one_too_many() {
    let place = Place::new(3);
    let meeting = Meeting::leak(1);
    let others: Vec<_> = (0..2).map(|_| place.thread(Death::NEVER, |me| meeting.wait(me))).collect();
    for other in others {
        assert_eq!(other.join(), Outcome::Finished(Ok(true)));
    }
}

/// One waits, is freed by a reset, and comes again at once; somebody else comes, too.
fn comes_again(death: Death) {
    let place = Place::new(3);
    let meeting = Meeting::leak(2);
    let waiter = place.thread(Death::NEVER, |me| {
        let first = meeting.wait(me);
        // If the reset came before it did, that was the new round.
        if first == Err(ErrorKind::Broken) { meeting.wait(me) } else { first }
    });
    let victim = place.thread(death, |me| meeting.barrier.reset(me));
    let end = victim.join();
    let me = place.member();
    if end == Outcome::Died {
        // It was no party: what it had begun breaks nothing.
        assert!(!meeting.barrier.is_broken(&me));
    }
    let mine = meeting.wait(&me);
    let his = waiter.join().finished().expect("it lives");
    assert!(mine.is_ok() && his == mine.map(|led| !led), "{mine:?}, {his:?}");
}

fn two_resets() {
    let place = Place::new(3);
    let meeting = Meeting::leak(2);
    let waiter = place.thread(Death::NEVER, |me| {
        loop {
            let end = meeting.wait(me);
            if end != Err(ErrorKind::Broken) {
                return end;
            }
        }
    });
    let other = place.thread(Death::NEVER, |me| meeting.barrier.reset(me));
    let me = place.member();
    meeting.barrier.reset(&me);
    assert_eq!(other.join(), Outcome::Finished(()));
    assert!(!meeting.barrier.is_broken(&me));
    let mine = meeting.wait(&me);
    assert_eq!(waiter.join(), Outcome::Finished(mine.map(|led| !led)));
}

/// Its round has passed; it looks when others have passed further ones in its place, or have reset.
fn late(rounds: usize, resets: usize) {
    let place = Place::new(3);
    let meeting = Meeting::leak(2);
    let late = place.thread(Death::NEVER, |me| meeting.wait(me));
    until_asleep(1);
    let me = place.member();
    assert_eq!(meeting.wait(&me), Ok(true));
    if rounds > 0 {
        let third = place.thread(Death::NEVER, move |me| {
            (0..rounds).for_each(|_| assert!(meeting.wait(me).is_ok()));
        });
        (0..rounds).for_each(|_| assert!(meeting.wait(&me).is_ok()));
        assert_eq!(third.join(), Outcome::Finished(()));
    }
    (0..resets).for_each(|_| meeting.barrier.reset(&me));
    assert_eq!(late.join(), Outcome::Finished(Ok(false)), "its round has passed");
}

/// One party: each is the leader of a round of its own.
fn one_after_another() {
    let place = Place::new(3);
    let meeting = Meeting::leak(1);
    let once = |me: &Member| {
        let passed = meeting.wait(me);
        meeting.barrier.leave(me);
        passed
    };
    let other = place.thread(Death::NEVER, once);
    assert_eq!(once(&place.member()), Ok(true));
    assert_eq!(other.join(), Outcome::Finished(Ok(true)));
}

fn slices() {
    let place = Place::new(3);
    let meeting = Meeting::leak(2);
    allow_timeouts(2);
    let sliced = place.thread(Death::NEVER, |me| {
        let mut turn = BarrierTurn::new();
        loop {
            let soon = Deadline::after(Duration::from_millis(1));
            match meeting.barrier.wait_slice(me, &mut turn, soon).map_err(|e| e.kind()) {
                Err(ErrorKind::TimedOut) => assert!(turn.has_come()),
                end => return end,
            }
        }
    });
    let mine = meeting.wait(&place.member());
    settle();
    assert_eq!(sliced.join(), Outcome::Finished(mine.map(|led| !led)));
    assert!(mine.is_ok());
}
