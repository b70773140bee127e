//! The barrier: a round passes for all that have come, with one leader, or is broken for all of them. By one thread it passes
//! alone, or runs out of time, which breaks it.

use crate::drive::{Answer, Modelled, NOTHING, User, answer, thread};
use interproc::sync::Barrier;
use interproc::{Deadline, ErrorKind, Segment};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const A_BIT: Duration = Duration::from_millis(2);

#[derive(Clone, Debug)]
pub enum Op {
    /// Until now.
    Wait,
    /// A moment, in which others may come.
    WaitABit,
    Abort,
    Reset,
    Leave,
    IsBroken,
    Waiting,
}

#[derive(Clone)]
pub struct Model {
    parties: usize,
    /// `None`: one of more users than parties has died, and whether it still had a seat is its own business.
    broken: Option<bool>,
    seated: BTreeSet<User>,
    /// Who found it broken: one that had to find a death first has a seat since then, one that read it in the word has none.
    perhaps: BTreeSet<User>,
    /// More than parties have come: some have been replaced.
    crowded: bool,
    /// Who has come and not gone, and how its round ended.
    come: BTreeMap<User, Option<End>>,
    rounds: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Passed { round: usize, led: bool },
    Broken,
}

impl Model {
    fn is_broken(&mut self, answers: bool) -> bool {
        *self.broken.get_or_insert(answers)
    }

    fn arrive(&mut self, user: User, is_broken: bool) {
        if self.is_broken(is_broken) {
            self.come.insert(user, Some(End::Broken));
            self.perhaps.insert(thread(user));
            return;
        }
        self.seated.insert(thread(user));
        self.perhaps.remove(&thread(user));
        self.crowded |= self.seated.len() + self.perhaps.len() > self.parties;
        self.come.insert(user, None);
        if self.waiting() == self.parties {
            self.rounds += 1;
            self.end(End::Passed { round: self.rounds, led: false });
        }
    }

    fn waiting(&self) -> usize {
        self.come.values().filter(|end| end.is_none()).count()
    }

    fn end(&mut self, how: End) {
        self.come.values_mut().for_each(|end| _ = end.get_or_insert(how));
    }

    fn abort(&mut self) {
        self.broken = Some(true);
        self.end(End::Broken);
    }

    /// A wait's answer.
    fn go(&mut self, user: User, got: &Answer) -> Answer {
        match self.come.remove(&user).expect("come") {
            Some(End::Passed { round, led }) => {
                let same =
                    |end: &&mut Option<End>| matches!(end, Some(End::Passed { round: r, .. }) if *r == round);
                // One of them is the leader, whoever it is: the last one, if nobody has been.
                let leads = !led && (got == &Ok(vec![1]) || self.come.values_mut().filter(same).count() == 0);
                if leads {
                    self.come
                        .values_mut()
                        .filter(same)
                        .for_each(|end| *end = Some(End::Passed { round, led: true }));
                }
                Ok(vec![leads.into()])
            }
            Some(End::Broken) => Err(ErrorKind::Broken),
            None => {
                self.abort();
                Err(ErrorKind::TimedOut)
            }
        }
    }
}

impl Modelled for Barrier {
    type Shape = usize;
    type Op = Op;
    type Model = Model;

    fn shapes() -> BoxedStrategy<usize> {
        (1..4usize).boxed()
    }

    fn ops() -> BoxedStrategy<Op> {
        prop_oneof![
            4 => Just(Op::Wait),
            4 => Just(Op::WaitABit),
            1 => Just(Op::Abort),
            3 => Just(Op::Reset),
            1 => Just(Op::Leave),
            1 => Just(Op::IsBroken),
            1 => Just(Op::Waiting),
        ]
        .boxed()
    }

    fn concurrent(op: &Op) -> bool {
        // A count of seats, one after the other.
        !matches!(op, Op::Waiting)
    }

    fn open(seg: &Segment, &parties: &usize) -> Self {
        seg.barrier("barrier", parties).expect("room in the segment")
    }

    fn apply(&mut self, op: &Op) -> Answer {
        let nothing = |()| vec![];
        match op {
            Op::Wait => answer(self.wait_until(Deadline::now()), |round| vec![round.is_leader().into()]),
            Op::WaitABit => answer(self.wait_timeout(A_BIT), |round| vec![round.is_leader().into()]),
            Op::Abort => answer(self.abort(), nothing),
            Op::Reset => answer(self.reset(), nothing),
            Op::Leave => answer(self.leave(), nothing),
            Op::IsBroken => answer(self.is_broken(), |broken| vec![broken.into()]),
            Op::Waiting => answer(self.n_waiting(), |waiting| vec![waiting.into()]),
        }
    }

    fn model(&parties: &usize) -> Model {
        let (seated, perhaps, come) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        Model { parties, broken: Some(false), seated, perhaps, crowded: false, come, rounds: 0 }
    }

    fn arrives(m: &mut Model, user: User, op: &Op) -> bool {
        let waits = matches!(op, Op::Wait | Op::WaitABit);
        if waits {
            m.arrive(user, false);
        }
        waits
    }

    fn expect(m: &mut Model, user: User, op: &Op, got: &Answer) -> Answer {
        match op {
            Op::Wait | Op::WaitABit => {
                if !m.come.contains_key(&user) {
                    m.arrive(user, got == &Err(ErrorKind::Broken));
                }
                m.go(user, got)
            }
            Op::Abort => {
                m.abort();
                NOTHING
            }
            Op::Reset => {
                m.end(End::Broken);
                m.broken = Some(false);
                NOTHING
            }
            Op::Leave => {
                m.seated.remove(&thread(user));
                m.perhaps.remove(&thread(user));
                NOTHING
            }
            Op::IsBroken => Ok(vec![m.is_broken(got == &Ok(vec![1])).into()]),
            Op::Waiting => Ok(vec![m.waiting() as u64]),
        }
    }

    /// A handle is nothing: it is the thread that has a seat. A child's ends with it.
    fn leaves(m: &mut Model, user: User) {
        if user >= 2 {
            Self::dies(m, user);
        }
    }

    fn dies(m: &mut Model, user: User) {
        let (seated, perhaps) = (m.seated.remove(&user), m.perhaps.remove(&user));
        if (seated || perhaps) && m.broken != Some(true) {
            m.broken = if perhaps || m.crowded { None } else { Some(true) };
        }
    }
}
