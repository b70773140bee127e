//! [`RawBarrier`] under all interleavings, with its parties killed at every step.

use crate::runner::Model;
use crate::support::{Data, Place, leak};
use interproc::atomic::Ordering;
use interproc::member::{Member, OwnerId};
use interproc::sync::{RawBarrier, Row};
use interproc::sys::FUTEX_OWNER_DIED;
use interproc::sys::model::{
    Bounds, Death, Outcome, Thread, allow_timeouts, check, for_every_death, spread_net,
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
        leak(Meeting { barrier: RawBarrier::new(Row::leak(parties)), said })
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
    let others: Vec<_> =
        (1..parties).map(|n| place.thread(Death::NEVER, move |me| meeting.meet(me, n, rounds))).collect();
    let mut led = meeting.meet(&place.member(), 0, rounds);
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
    let id = meeting.seat(&place);
    let victim = place.thread_of(id, death, |me| meeting.wait(me));
    let other: Thread<_> = place.thread(Death::NEVER, |me| meeting.wait(me));
    let mine = meeting.wait(&place.member());
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
