//! The queue: a [`Row`] of places for one message each.

use crate::drive::{Answer, Home, Modelled, NOTHING, User, answer, pick};
use crate::rows::{Row, State};
use interproc::queue::{Message, Queue, Reservation};
use interproc::{Deadline, ErrorKind, Segment, Wait};
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub enum Op {
    TryPush(u8),
    PushNow(u8),
    PushBatch(Vec<u8>),
    Force(u8),
    TryReserve,
    ReserveNow,
    Commit(u8, u8),
    Abort(u8),
    TryPop,
    PopNow,
    PopBatch(u8),
    Drain,
    TryReceive,
    ReceiveNow,
    Release(u8),
    Take(u8),
    PutBack(u8),
    /// One of what can be asked.
    Look(usize),
    Peak,
    Close,
}

/// A handle, and what its user has in its hands.
pub struct InUse {
    reserved: Vec<Reservation<'static, u64>>,
    held: Vec<Message<'static, u64>>,
    queue: Home<Queue<u64>>,
}

impl Modelled for InUse {
    type Shape = usize;
    type Op = Op;
    type Model = Row<u64>;

    fn shapes() -> BoxedStrategy<usize> {
        (1..7usize).boxed()
    }

    fn ops() -> BoxedStrategy<Op> {
        let any = any::<u8>;
        prop_oneof![
            4 => any().prop_map(Op::TryPush),
            1 => any().prop_map(Op::PushNow),
            1 => proptest::collection::vec(any(), 0..4).prop_map(Op::PushBatch),
            2 => any().prop_map(Op::Force),
            5 => Just(Op::TryReserve),
            1 => Just(Op::ReserveNow),
            3 => (any(), any()).prop_map(|(n, value)| Op::Commit(n, value)),
            4 => any().prop_map(Op::Abort),
            4 => Just(Op::TryPop),
            1 => Just(Op::PopNow),
            1 => (0..4u8).prop_map(Op::PopBatch),
            1 => Just(Op::Drain),
            3 => Just(Op::TryReceive),
            1 => Just(Op::ReceiveNow),
            1 => any().prop_map(Op::Release),
            1 => any().prop_map(Op::Take),
            2 => any().prop_map(Op::PutBack),
            3 => (0..4usize).prop_map(Op::Look),
            1 => Just(Op::Peak),
            1 => prop_oneof![4 => (0..4usize).prop_map(Op::Look), 1 => Just(Op::Close)],
        ]
        .boxed()
    }

    fn concurrent(op: &Op) -> bool {
        // One message after the other.
        !matches!(op, Op::PushBatch(_) | Op::PopBatch(_) | Op::Drain)
    }

    fn open(seg: &Segment, &capacity: &usize) -> Self {
        let queue = seg.queue("queue", capacity).expect("room in the segment");
        InUse { reserved: Vec::new(), held: Vec::new(), queue: Home::new(queue) }
    }

    fn apply(&mut self, op: &Op) -> Answer {
        let q = self.queue.get();
        let now = Deadline::now;
        let nothing = |()| Vec::new();
        match *op {
            Op::TryPush(value) => answer(q.try_push(value.into()), nothing),
            Op::PushNow(value) => answer(q.push_until(value.into(), now()), nothing),
            Op::PushBatch(ref values) => {
                answer(q.try_push_batch(&values.iter().map(|&v| v.into()).collect::<Vec<u64>>()), |n| {
                    vec![n as u64]
                })
            }
            Op::Force(value) => answer(q.force_push(value.into()), |oldest| oldest.into_iter().collect()),
            Op::TryReserve => answer(q.try_reserve(), |place| {
                self.reserved.push(place);
                Vec::new()
            }),
            Op::ReserveNow => answer(q.reserve_until(now()), |place| {
                self.reserved.push(place);
                Vec::new()
            }),
            Op::Commit(n, value) => pick(&self.reserved, n).map_or(NOTHING, |n| {
                let mut place = self.reserved.remove(n);
                *place = value.into();
                answer(place.commit(), nothing)
            }),
            Op::Abort(n) => {
                pick(&self.reserved, n).map(|n| self.reserved.remove(n));
                NOTHING
            }
            Op::TryPop => answer(q.try_pop_delivery(), |got| vec![got.value, got.redelivered.into()]),
            Op::PopNow => answer(q.pop_until(now()), |value| vec![value]),
            Op::PopBatch(most) => {
                let mut into = vec![0; most.into()];
                answer(q.pop_batch_delivery(&mut into, Wait::Never), |got| {
                    [&into[..got.count], &[got.redelivered as u64]].concat()
                })
            }
            Op::Drain => Ok(q.drain().collect()),
            Op::TryReceive | Op::ReceiveNow => {
                let message =
                    if matches!(op, Op::TryReceive) { q.try_borrow() } else { q.borrow_until(now()) };
                answer(message, |message| {
                    let seen = vec![*message, message.is_redelivered().into()];
                    self.held.push(message);
                    seen
                })
            }
            Op::Release(n) => {
                pick(&self.held, n).map(|n| self.held.remove(n));
                NOTHING
            }
            Op::Take(n) => pick(&self.held, n).map_or(NOTHING, |n| Ok(vec![self.held.remove(n).take()])),
            Op::PutBack(n) => {
                pick(&self.held, n).map_or(NOTHING, |n| answer(self.held.remove(n).put_back(), nothing))
            }
            Op::Look(0) => Ok(vec![q.len() as u64]),
            Op::Look(1) => Ok(vec![q.is_empty().into()]),
            Op::Look(2) => Ok(vec![q.is_full().into()]),
            Op::Look(_) => Ok(vec![q.is_closed().into()]),
            Op::Peak => Ok(vec![q.peak() as u64]),
            Op::Close => answer(q.close(), nothing),
        }
    }

    fn model(&capacity: &usize) -> Row<u64> {
        Row::new(capacity, 1)
    }

    fn expect(m: &mut Row<u64>, user: User, op: &Op, got: &Answer) -> Answer {
        let told = |(value, again): (u64, bool)| vec![value, again.into()];
        match *op {
            Op::TryPush(value) => m.push(user, value.into(), 1, false, got)?,
            Op::PushNow(value) => m.push(user, value.into(), 1, true, got)?,
            Op::PushBatch(ref values) => {
                let push = |&value: &u8| m.push(user, value.into(), 1, false, &NOTHING);
                let pushed = several(values.iter().map(push))?;
                return Ok(vec![pushed.len() as u64]);
            }
            Op::Force(value) => {
                return m.force(user, value.into(), 1, got).map(|oldest| oldest.into_iter().collect());
            }
            Op::TryReserve => m.reserve(user, 1, 1, false, got)?,
            Op::ReserveNow => m.reserve(user, 1, 1, true, got)?,
            Op::Commit(n, value) => m.end_reservation(user, n, |_| State::Message(value.into(), false)),
            Op::Abort(n) => m.end_reservation(user, n, |_| State::Done),
            Op::TryPop => return m.pop(user, false, got).map(told),
            Op::PopNow => return m.pop(user, true, got).map(|(value, _)| vec![value]),
            Op::PopBatch(most) => {
                let all = several((0..most).map(|_| m.pop(user, false, got)))?;
                let again = all.iter().filter(|m| m.1).count() as u64;
                return Ok(all.iter().map(|m| m.0).chain([again]).collect());
            }
            Op::Drain => {
                let all = m.places.len();
                let pop = |_| m.pop(user, false, &NOTHING).map(|(value, _)| value);
                return Ok(several((0..all).map(pop)).unwrap_or_default());
            }
            Op::TryReceive => return m.receive(user, false, got).map(told),
            Op::ReceiveNow => return m.receive(user, true, got).map(told),
            Op::Release(n) => _ = m.end_held(user, n, false),
            Op::Take(n) => return Ok(m.end_held(user, n, false).into_iter().collect()),
            Op::PutBack(n) => _ = m.end_held(user, n, true),
            Op::Look(which) => {
                let len = m.used();
                let all = [len as u64, (len == 0).into(), (len == m.granules).into(), m.closed.into()];
                return Ok(vec![all[which]]);
            }
            // A lower bound, and what is there now.
            Op::Peak => match got {
                Ok(peak) if (m.used() as u64..=m.most as u64).contains(&peak[0]) => return got.clone(),
                _ => return Ok(vec![m.most as u64]),
            },
            Op::Close => m.closed = true,
        }
        NOTHING
    }

    fn leaves(m: &mut Row<u64>, user: User) {
        m.leaves(user);
    }

    fn dies(m: &mut Row<u64>, user: User) {
        m.dies(user);
    }
}

/// As many as go well, one after the other; the error if not even the first does.
fn several<T>(each: impl Iterator<Item = Result<T, ErrorKind>>) -> Result<Vec<T>, ErrorKind> {
    let mut all = Vec::new();
    for one in each {
        match one {
            Ok(one) => all.push(one),
            Err(kind) if all.is_empty() => return Err(kind),
            Err(_) => break,
        }
    }
    Ok(all)
}
