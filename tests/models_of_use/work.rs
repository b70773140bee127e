//! The work queue: jobs in an order, each with a worker or in the row, until it is done or a dead letter.

use crate::drive::{Answer, Home, Modelled, NOTHING, User, answer, pick};
use interproc::queue::{Job, Lease, WorkOptions, WorkOrder, WorkQueue};
use interproc::{Deadline, ErrorKind, Segment, Wait};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub enum Op {
    Put(i8),
    PutNow(i8),
    Take,
    TakeNow,
    Done(u8),
    Fail(u8),
    Drop(u8),
    Join,
    Unfinished,
    Dead,
    Retry,
    Discard,
    Close,
}

pub struct InUse {
    held: Vec<Lease<'static, i64>>,
    jobs: Home<WorkQueue<i64>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Known {
    id: u64,
    value: i64,
    back: u64,
}

#[derive(Clone)]
pub struct Model {
    shape: (usize, WorkOrder, u16),
    next: u64,
    closed: bool,
    ready: Vec<Known>,
    held: BTreeMap<User, Vec<Known>>,
    /// What the dead had: given back as soon as somebody looks after it.
    unseen: Vec<Known>,
    dead: Vec<Known>,
}

impl Model {
    fn all(&self) -> usize {
        self.unfinished() + self.dead.len()
    }

    fn unfinished(&self) -> usize {
        self.ready.len() + self.unseen.len() + self.held.values().map(Vec::len).sum::<usize>()
    }

    /// Whether `a` comes before `b`, which is ready.
    fn is_before(&self, a: &Known, b: &Known) -> bool {
        match self.shape.1 {
            WorkOrder::Priority => (a.value, a.id) < (b.value, b.id),
            WorkOrder::Lifo => a.id > b.id,
            _ => a.id < b.id,
        }
    }

    fn is_ready(&mut self, job: Known) {
        let at = self.ready.iter().position(|other| self.is_before(&job, other));
        self.ready.insert(at.unwrap_or(self.ready.len()), job);
    }

    /// Back again, or a dead letter. False for that.
    fn comes_back(&mut self, job: Known) -> bool {
        let job = Known { back: job.back + 1, ..job };
        let dead = self.shape.2 != 0 && job.back >= self.shape.2.into();
        if dead {
            self.dead.push(job)
        } else {
            self.is_ready(job)
        }
        !dead
    }

    fn first(&self) -> Option<Known> {
        self.ready.first().copied()
    }

    fn take(&mut self, user: User, waits: bool, got: &Answer) -> Answer {
        // Somebody looks after some of what the dead had: those that explain the answer, and with nothing ready all.
        if let Ok(told) = got
            && let Some(at) = self.unseen.iter().position(|job| job.id == told[1])
            && self.first().is_none_or(|first| self.is_before(&self.unseen[at], &first))
        {
            let job = self.unseen.remove(at);
            self.comes_back(job);
        } else if self.ready.is_empty() {
            std::mem::take(&mut self.unseen).into_iter().for_each(|job| _ = self.comes_back(job));
        }
        let Some(job) = self.first() else {
            return Err(match self.closed && self.unfinished() == 0 {
                true => ErrorKind::Closed,
                false => not_now_empty(waits),
            });
        };
        self.ready.retain(|other| other.id != job.id);
        self.held.entry(user).or_default().push(job);
        Ok(vec![job.value as u64, job.id, job.back + 1])
    }
}

fn not_now_empty(waits: bool) -> ErrorKind {
    if waits { ErrorKind::TimedOut } else { ErrorKind::Empty }
}

impl Modelled for InUse {
    type Shape = (usize, WorkOrder, u16);
    type Op = Op;
    type Model = Model;

    fn shapes() -> BoxedStrategy<Self::Shape> {
        let orders = prop_oneof![Just(WorkOrder::Fifo), Just(WorkOrder::Lifo), Just(WorkOrder::Priority)];
        (1..6usize, orders, 0..4u16).boxed()
    }

    fn ops() -> BoxedStrategy<Op> {
        prop_oneof![
            6 => (-3..4i8).prop_map(Op::Put),
            1 => (-3..4i8).prop_map(Op::PutNow),
            5 => Just(Op::Take),
            1 => Just(Op::TakeNow),
            3 => any::<u8>().prop_map(Op::Done),
            2 => any::<u8>().prop_map(Op::Fail),
            2 => any::<u8>().prop_map(Op::Drop),
            1 => Just(Op::Join),
            1 => Just(Op::Unfinished),
            1 => Just(Op::Dead),
            1 => Just(Op::Retry),
            1 => prop_oneof![6 => Just(Op::Discard), 1 => Just(Op::Close)],
        ]
        .boxed()
    }

    fn concurrent(op: &Op) -> bool {
        // Several words, one after the other.
        !matches!(op, Op::Unfinished | Op::Retry | Op::Discard)
    }

    fn open(seg: &Segment, &(capacity, order, most): &Self::Shape) -> Self {
        let options = WorkOptions::new(capacity).order(order).max_deliveries(most);
        let jobs = seg.work_queue("jobs", options).expect("room in the segment");
        InUse { held: Vec::new(), jobs: Home::new(jobs) }
    }

    fn apply(&mut self, op: &Op) -> Answer {
        let jobs = self.jobs.get();
        let nothing = |()| vec![];
        let put = |value: i8, wait| {
            let job = Job { priority: value.into(), ..Job::default() };
            answer(jobs.put_with(i64::from(value), job, wait), |id| vec![id])
        };
        let got = match *op {
            Op::Put(value) => return put(value, Wait::Never),
            Op::PutNow(value) => return put(value, Wait::Until(Deadline::now())),
            Op::Take => jobs.try_take(),
            Op::TakeNow => jobs.take_until(Deadline::now()),
            Op::Done(n) => {
                let Some(n) = pick(&self.held, n) else { return NOTHING };
                return answer(self.held.remove(n).done(), |value| vec![value as u64]);
            }
            Op::Fail(n) => {
                let Some(n) = pick(&self.held, n) else { return NOTHING };
                return answer(self.held.remove(n).fail("no"), nothing);
            }
            Op::Drop(n) => {
                pick(&self.held, n).map(|n| self.held.remove(n));
                return NOTHING;
            }
            Op::Join => return answer(jobs.join_until(Deadline::now()), nothing),
            Op::Unfinished => return Ok(vec![jobs.unfinished() as u64]),
            Op::Dead => {
                return answer(jobs.dead_letters(), |letters| {
                    letters.iter().map(|letter| letter.id()).collect()
                });
            }
            Op::Retry | Op::Discard => {
                let end = |letter: &_| {
                    if matches!(op, Op::Retry) { jobs.retry(letter) } else { jobs.discard(letter) }
                };
                let done = jobs.dead_letters().map(|letters| {
                    letters.first().map(|letter| vec![letter.id(), end(letter).expect("a member").into()])
                });
                return answer(done, Option::unwrap_or_default);
            }
            Op::Close => return answer(jobs.close(), nothing),
        };
        answer(got, |lease| {
            let told = vec![*lease as u64, lease.id(), lease.deliveries().into()];
            self.held.push(lease);
            told
        })
    }

    fn model(&shape: &Self::Shape) -> Model {
        let (ready, unseen, dead) = (Vec::new(), Vec::new(), Vec::new());
        Model { shape, next: 0, closed: false, ready, held: BTreeMap::new(), unseen, dead }
    }

    fn expect(m: &mut Model, user: User, op: &Op, got: &Answer) -> Answer {
        let hand = |m: &mut Model, n| {
            let held = m.held.entry(user).or_default();
            pick(held, n).map(|n| held.remove(n))
        };
        // What the dead had may have become a dead letter, or not yet.
        let unsure = !m.unseen.is_empty();
        match *op {
            Op::Put(_) | Op::PutNow(_) if m.closed => Err(ErrorKind::Closed),
            Op::Put(_) if m.all() == m.shape.0 => Err(ErrorKind::Full),
            Op::PutNow(_) if m.all() == m.shape.0 => Err(ErrorKind::TimedOut),
            Op::Put(value) | Op::PutNow(value) => {
                let job = Known { id: m.next, value: value.into(), back: 0 };
                m.next += 1;
                m.is_ready(job);
                Ok(vec![job.id])
            }
            Op::Take => m.take(user, false, got),
            Op::TakeNow => m.take(user, true, got),
            Op::Done(n) => Ok(hand(m, n).map(|job| vec![job.value as u64]).unwrap_or_default()),
            Op::Fail(n) | Op::Drop(n) => {
                hand(m, n).map(|job| m.comes_back(job));
                NOTHING
            }
            Op::Unfinished | Op::Dead | Op::Join if unsure => got.clone(),
            Op::Join if m.unfinished() == 0 => NOTHING,
            Op::Join => Err(ErrorKind::TimedOut),
            Op::Unfinished => Ok(vec![m.unfinished() as u64]),
            Op::Dead => {
                let mut ids: Vec<_> = m.dead.iter().map(|job| job.id).collect();
                ids.sort_unstable();
                Ok(ids)
            }
            Op::Retry | Op::Discard => {
                // Which of the dead's were seen to be dead letters, the answer tells.
                if let Ok(told) = got
                    && let Some(at) = m.unseen.iter().position(|job| told.first() == Some(&job.id))
                {
                    let job = m.unseen.remove(at);
                    m.comes_back(job);
                }
                m.dead.sort_by_key(|job| job.id);
                if m.dead.is_empty() {
                    return NOTHING;
                }
                let job = m.dead.remove(0);
                if matches!(op, Op::Retry) {
                    m.is_ready(Known { back: 0, ..job });
                }
                Ok(vec![job.id, 1])
            }
            Op::Close => {
                m.closed = true;
                NOTHING
            }
        }
    }

    fn leaves(m: &mut Model, user: User) {
        let held = m.held.remove(&user).unwrap_or_default();
        // Dropped in the order in which they lie there.
        held.into_iter().for_each(|job| _ = m.comes_back(job));
    }

    fn dies(m: &mut Model, user: User) {
        m.unseen.extend(m.held.remove(&user).unwrap_or_default());
    }
}
