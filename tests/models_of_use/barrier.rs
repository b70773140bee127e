//! The barrier, by one thread: it passes alone, or runs out of time, which breaks the barrier.

use crate::drive::{Answer, Modelled, NOTHING, User, answer, thread};
use interproc::sync::Barrier;
use interproc::{Deadline, ErrorKind, Segment};
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
pub enum Op {
    Wait,
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
    /// More than parties have come: some have been replaced.
    crowded: bool,
}

impl Model {
    fn is_broken(&mut self, answers: bool) -> bool {
        *self.broken.get_or_insert(answers)
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
            5 => Just(Op::Wait),
            1 => Just(Op::Abort),
            3 => Just(Op::Reset),
            1 => Just(Op::Leave),
            1 => Just(Op::IsBroken),
            1 => Just(Op::Waiting),
        ]
        .boxed()
    }

    fn open(seg: &Segment, &parties: &usize) -> Self {
        seg.barrier("barrier", parties).expect("room in the segment")
    }

    fn apply(&mut self, op: &Op) -> Answer {
        let nothing = |()| vec![];
        match op {
            Op::Wait => answer(self.wait_until(Deadline::now()), |round| vec![round.is_leader().into()]),
            Op::Abort => answer(self.abort(), nothing),
            Op::Reset => answer(self.reset(), nothing),
            Op::Leave => answer(self.leave(), nothing),
            Op::IsBroken => answer(self.is_broken(), |broken| vec![broken.into()]),
            Op::Waiting => answer(self.n_waiting(), |waiting| vec![waiting.into()]),
        }
    }

    fn model(&parties: &usize) -> Model {
        Model { parties, broken: Some(false), seated: BTreeSet::new(), crowded: false }
    }

    fn expect(m: &mut Model, user: User, op: &Op, got: &Answer) -> Answer {
        match op {
            Op::Wait => {
                if m.is_broken(got == &Err(ErrorKind::Broken)) {
                    return Err(ErrorKind::Broken);
                }
                m.seated.insert(thread(user));
                m.crowded |= m.seated.len() > m.parties;
                if m.parties == 1 {
                    return Ok(vec![1]);
                }
                m.broken = Some(true);
                Err(ErrorKind::TimedOut)
            }
            Op::Abort => {
                m.broken = Some(true);
                NOTHING
            }
            Op::Reset => {
                m.broken = Some(false);
                NOTHING
            }
            Op::Leave => {
                m.seated.remove(&thread(user));
                NOTHING
            }
            Op::IsBroken => Ok(vec![m.is_broken(got == &Ok(vec![1])).into()]),
            Op::Waiting => Ok(vec![0]),
        }
    }

    /// A handle is nothing: it is the thread that has a seat. A child's ends with it.
    fn leaves(m: &mut Model, user: User) {
        if user >= 2 {
            Self::dies(m, user);
        }
    }

    fn dies(m: &mut Model, user: User) {
        if m.seated.remove(&user) && m.broken != Some(true) {
            m.broken = if m.crowded { None } else { Some(true) };
        }
    }
}
