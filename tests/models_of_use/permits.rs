//! The bounded semaphore: so many things, some of which a dead holder has left in disorder.

use crate::drive::{Answer, Home, Modelled, NOTHING, Table, User, answer, not_now, pick};
use interproc::sync::{BoundedSemaphore, Permit};
use interproc::{Deadline, ErrorKind, Segment};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub enum Op {
    Try,
    Now,
    TryMany(u8),
    ManyNow(u8),
    Drop(u8),
    Release(u8),
    Adopt(u8),
    Available,
}

pub struct InUse {
    held: Vec<Permit<'static>>,
    permits: Home<BoundedSemaphore>,
}

static PERMITS: Table<Permit<'static>> = Table::new();

#[derive(Clone)]
pub struct Model {
    permits: u32,
    free: u32,
    /// How many of the free ones were a dead holder's, at least and at most: which ones go first is nobody's business.
    left: (u32, u32),
    held: BTreeMap<User, Vec<u32>>,
}

impl Model {
    fn acquire(&mut self, user: User, count: u32, waits: bool, got: &Answer) -> Answer {
        if count == 0 || count > self.permits {
            return Err(ErrorKind::InvalidInput);
        }
        if count > self.free {
            return Err(not_now(waits));
        }
        let (least, most) = self.left;
        let told = got.as_ref().map_or(most > 0, |got| got.last() == Some(&1));
        self.free -= count;
        // Told: one of them at least was a dead one's. Not told: none was.
        self.left = match told {
            true if most > 0 => (least.saturating_sub(count), (most - 1).min(self.free)),
            false if least <= self.free => (least, most.min(self.free)),
            _ => return Ok(vec![count.into(), (!told).into()]),
        };
        self.held.entry(user).or_default().push(count);
        Ok(vec![count.into(), told.into()])
    }
}

impl Modelled for InUse {
    type Shape = u32;
    type Op = Op;
    type Model = Model;

    fn shapes() -> BoxedStrategy<u32> {
        (1..6u32).boxed()
    }

    fn ops() -> BoxedStrategy<Op> {
        prop_oneof![
            3 => Just(Op::Try),
            1 => Just(Op::Now),
            2 => (0..5u8).prop_map(Op::TryMany),
            2 => (0..5u8).prop_map(Op::ManyNow),
            2 => any::<u8>().prop_map(Op::Drop),
            1 => any::<u8>().prop_map(Op::Release),
            1 => any::<u8>().prop_map(Op::Adopt),
            2 => Just(Op::Available),
        ]
        .boxed()
    }

    fn concurrent(op: &Op) -> bool {
        // Several are gathered one by one, and given back if they are too few; and so they are counted.
        !matches!(op, Op::TryMany(_) | Op::ManyNow(_) | Op::Available)
    }

    fn open(seg: &Segment, &permits: &u32) -> Self {
        let permits = seg.bounded_semaphore("permits", permits as usize).expect("room in the segment");
        InUse { held: Vec::new(), permits: Home::new(permits) }
    }

    fn apply(&mut self, op: &Op) -> Answer {
        let permits = self.permits.get();
        let now = Deadline::now;
        let got = match *op {
            Op::Try => permits.try_acquire(),
            Op::Now => permits.acquire_until(now()),
            Op::TryMany(n) => permits.try_acquire_many(n.into()),
            Op::ManyNow(n) => permits.acquire_many_until(n.into(), now()),
            Op::Available => return answer(permits.available(), |n| vec![n.into()]),
            Op::Drop(n) => {
                pick(&self.held, n).map(|n| self.held.remove(n));
                return NOTHING;
            }
            Op::Release(n) => {
                let Some(n) = pick(&self.held, n) else { return NOTHING };
                return answer(self.held.remove(n).release(), |()| vec![]);
            }
            Op::Adopt(n) => {
                let Some(n) = pick(&self.held, n) else { return NOTHING };
                return answer(self.held.remove(n).adopt(), |permit| {
                    self.held.insert(n, permit);
                    vec![]
                });
            }
        };
        answer(got, |permit| {
            let told = vec![permit.count().into(), permit.owner_died().into()];
            self.held.push(permit);
            told
        })
    }

    fn gives(&mut self, nth: usize) {
        PERMITS.put(nth, self.held.pop());
    }

    fn takes(&mut self, nth: usize) {
        self.held.extend(PERMITS.take(nth).map(|permit| permit.adopt().expect("its thread lives")));
    }

    fn model(&permits: &u32) -> Model {
        Model { permits, free: permits, left: (0, 0), held: BTreeMap::new() }
    }

    fn expect(m: &mut Model, user: User, op: &Op, got: &Answer) -> Answer {
        match *op {
            Op::Try | Op::Now => m.acquire(user, 1, matches!(op, Op::Now), got),
            Op::TryMany(n) => m.acquire(user, n.into(), false, got),
            Op::ManyNow(n) => m.acquire(user, n.into(), true, got),
            Op::Available => Ok(vec![m.free.into()]),
            Op::Drop(n) | Op::Release(n) => {
                let held = m.held.entry(user).or_default();
                m.free += pick(held, n).map_or(0, |n| held.remove(n));
                NOTHING
            }
            Op::Adopt(_) => NOTHING,
        }
    }

    fn given(m: &mut Model, from: User, to: User, _: usize) {
        let permit = m.held.get_mut(&from).and_then(Vec::pop);
        m.held.entry(to).or_default().extend(permit);
    }

    fn leaves(m: &mut Model, user: User) {
        m.free += m.held.remove(&user).into_iter().flatten().sum::<u32>();
    }

    fn dies(m: &mut Model, user: User) {
        let left: u32 = m.held.remove(&user).into_iter().flatten().sum();
        m.free += left;
        m.left = (m.left.0 + left, m.left.1 + left);
    }
}
