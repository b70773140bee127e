//! The Spsc queue: what is published, what its producer has not published yet, what its consumer has not freed yet.

use crate::drive::{Answer, Modelled, NOTHING, Table, User, answer, dawdle};
use interproc::queue::spsc::{Consumer, Producer};
use interproc::{Deadline, ErrorKind, Segment, Wait};
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Debug)]
pub enum Op {
    Produce,
    TryPush(u8),
    PushNow(u8),
    TryBatch(Vec<u8>),
    /// So many slots are lent, so many of them committed; the answer ends with what is not published then.
    WriteChunk(u8, u8),
    PublishEvery(u8),
    Publish,
    CloseProducer,
    LeaveProducer,
    Unpublished,
    Consume,
    TryPop,
    PopNow,
    TryPopBatch(u8),
    /// So many messages are lent, so many of them taken; the answer ends with the length then.
    ReadChunk(u8, u8),
    Peek,
    Drain,
    FreeEvery(u8),
    Free,
    CloseConsumer,
    LeaveConsumer,
    Length,
}

pub struct InUse {
    seg: Segment,
    capacity: usize,
    producer: Option<Producer<u64>>,
    consumer: Option<Consumer<u64>>,
}

static PRODUCERS: Table<Producer<u64>> = Table::new();
static CONSUMERS: Table<Consumer<u64>> = Table::new();

/// A message, and whether a dead consumer has read it: `None` where nobody knows.
type Message = (u64, Option<bool>);

#[derive(Clone)]
pub struct Model {
    capacity: usize,
    published: VecDeque<Message>,
    closed: bool,
    producer: Option<User>,
    written: Vec<u64>,
    publish_every: usize,
    consumer: Option<User>,
    taken: Vec<Message>,
    free_every: usize,
}

impl Model {
    fn room(&self) -> usize {
        self.capacity - self.published.len() - self.taken.len() - self.written.len()
    }

    fn publish(&mut self) -> Result<(), ErrorKind> {
        let written = std::mem::take(&mut self.written);
        if self.closed && !written.is_empty() {
            return Err(ErrorKind::Closed);
        }
        self.published.extend(written.into_iter().map(|value| (value, Some(false))));
        Ok(())
    }

    fn write(&mut self, values: impl IntoIterator<Item = u64>) -> Result<(), ErrorKind> {
        self.written.extend(values);
        if self.written.len() >= self.publish_every { self.publish() } else { Ok(()) }
    }

    /// Sees to it that one has room.
    fn ready(&mut self, waits: bool) -> Result<(), ErrorKind> {
        if self.room() > 0 {
            return Ok(());
        }
        self.publish()?;
        Err(match (self.closed, waits) {
            (true, _) => ErrorKind::Closed,
            (false, true) => ErrorKind::TimedOut,
            (false, false) => ErrorKind::Full,
        })
    }

    fn take(&mut self, count: usize) -> Vec<Message> {
        let got: Vec<_> = self.published.drain(..count).collect();
        self.taken.extend(&got);
        if self.taken.len() >= self.free_every {
            self.taken.clear();
        }
        got
    }

    /// Sees to it that one is there.
    fn there(&mut self, waits: bool) -> Result<(), ErrorKind> {
        if !self.published.is_empty() {
            return Ok(());
        }
        self.taken.clear();
        Err(match (self.closed, waits) {
            (true, _) => ErrorKind::Closed,
            (false, true) => ErrorKind::TimedOut,
            (false, false) => ErrorKind::Empty,
        })
    }

    fn length(&self) -> u64 {
        (self.published.len() + self.taken.len()) as u64
    }

    fn produce(&mut self, user: User, op: &Op, got: &Answer) -> Answer {
        if self.producer != Some(user) {
            return NOTHING;
        }
        let pushes = matches!(op, Op::TryPush(_) | Op::PushNow(_) | Op::TryBatch(_) | Op::WriteChunk(..));
        if pushes && self.closed && got == &Err(ErrorKind::Closed) {
            // It may have looked, as after a move to another thread: then it is told before it would publish.
            self.written.clear();
            return got.clone();
        }
        match *op {
            Op::TryPush(value) | Op::PushNow(value) => {
                self.ready(matches!(op, Op::PushNow(_)))?;
                self.write([value.into()])?;
            }
            Op::TryBatch(ref values) => {
                let mut left = &values[..];
                let mut pushed = 0;
                while !left.is_empty() {
                    let run = self.ready(false).and_then(|()| {
                        let (run, rest) = left.split_at(self.room().min(left.len()));
                        left = rest;
                        self.write(run.iter().map(|&value| value.into()))?;
                        Ok(run.len() as u64)
                    });
                    match run {
                        Ok(run) => pushed += run,
                        Err(kind) if pushed == 0 => return Err(kind),
                        Err(_) => break,
                    }
                }
                return Ok(vec![pushed]);
            }
            Op::WriteChunk(count, of_it) => {
                let (count, of_it) = (count.into(), usize::from(of_it.min(count)));
                if count > self.capacity {
                    return Err(ErrorKind::InvalidInput);
                }
                // It may have looked for room, for which it publishes: what is left says.
                let left = got.as_ref().ok().and_then(|got| got.last());
                let all = self.written.len() + of_it;
                let without = if all >= self.publish_every { 0 } else { all as u64 };
                if self.room() < count || left.is_some_and(|&left| left != without) {
                    self.publish()?;
                }
                if self.room() < count {
                    return Err(if self.closed { ErrorKind::Closed } else { ErrorKind::Full });
                }
                self.write((0..of_it as u64).map(|n| 1000 + n))?;
                return Ok(vec![self.written.len() as u64]);
            }
            Op::PublishEvery(count) => self.publish_every = usize::from(count).max(1),
            Op::Publish => self.publish()?,
            Op::CloseProducer => {
                let published = self.publish();
                self.closed = true;
                published?;
            }
            Op::LeaveProducer => {
                let published = self.publish();
                self.producer = None;
                published?;
            }
            _ => return Ok(vec![self.written.len() as u64]),
        }
        NOTHING
    }

    fn consume(&mut self, user: User, op: &Op, got: &Answer) -> Answer {
        if self.consumer != Some(user) {
            return NOTHING;
        }
        match *op {
            Op::TryPop | Op::PopNow => {
                self.there(matches!(op, Op::PopNow))?;
                let (value, again) = self.take(1)[0];
                let told = got.as_ref().ok().and_then(|got| got.get(1).copied());
                return Ok(vec![value, again.map_or(told.unwrap_or(0), u64::from)]);
            }
            Op::TryPopBatch(most) => {
                if most > 0 {
                    self.there(false)?;
                }
                let taken = self.take(self.published.len().min(most.into()));
                // Where nobody knows what the dead had read, the answer is believed.
                let told = got.as_ref().ok().and_then(|got| got.last().copied());
                let sure = taken.iter().all(|m| m.1.is_some());
                let again = taken.iter().filter(|m| m.1 == Some(true)).count() as u64;
                let again = if sure { again } else { told.unwrap_or(again) };
                return Ok(taken.iter().map(|m| m.0).chain([again]).collect());
            }
            Op::ReadChunk(count, of_it) => {
                let count = usize::from(count);
                if count > self.capacity {
                    return Err(ErrorKind::InvalidInput);
                }
                if self.published.len() < count {
                    self.taken.clear();
                    if !self.closed || self.published.is_empty() {
                        return Err(if self.closed { ErrorKind::Closed } else { ErrorKind::Empty });
                    }
                }
                let lent = self.published.len().min(count);
                let mut seen: Vec<_> = self.published.iter().take(lent).map(|m| m.0).collect();
                // It may have looked for messages, for which it frees: the length says.
                let length = got.as_ref().ok().and_then(|got| got.last());
                let takes = lent.min(of_it.into());
                let all = self.taken.len() + takes;
                let unfreed = if all >= self.free_every { 0 } else { all };
                let without = (self.published.len() - takes + unfreed) as u64;
                if length.is_some_and(|&length| length != without) {
                    self.taken.clear();
                }
                self.take(takes);
                seen.push(self.length());
                return Ok(seen);
            }
            Op::Peek => {
                self.there(false)?;
                return Ok(vec![self.published[0].0]);
            }
            Op::Drain => {
                let left = self.published.len();
                return Ok(self.take_one_by_one(left));
            }
            Op::FreeEvery(count) => {
                self.taken.clear();
                self.free_every = usize::from(count).clamp(1, self.capacity);
            }
            Op::Free => self.taken.clear(),
            Op::CloseConsumer => self.closed = true,
            _ => {
                self.taken.clear();
                self.consumer = None;
            }
        }
        NOTHING
    }

    fn take_one_by_one(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.take(1)[0].0).collect()
    }
}

fn producing() -> impl Strategy<Value = Op> {
    let any = any::<u8>;
    prop_oneof![
        4 => Just(Op::Produce),
        6 => any().prop_map(Op::TryPush),
        2 => any().prop_map(Op::PushNow),
        3 => proptest::collection::vec(any(), 0..6).prop_map(Op::TryBatch),
        4 => (1..8u8, 0..8u8).prop_map(|(count, of_it)| Op::WriteChunk(count, of_it)),
        1 => (0..5u8).prop_map(Op::PublishEvery),
        1 => Just(Op::Publish),
        2 => Just(Op::LeaveProducer),
        2 => Just(Op::Unpublished),
    ]
}

fn consuming() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Consume),
        6 => Just(Op::TryPop),
        2 => Just(Op::PopNow),
        3 => (0..6u8).prop_map(Op::TryPopBatch),
        4 => (1..8u8, 0..8u8).prop_map(|(count, of_it)| Op::ReadChunk(count, of_it)),
        1 => Just(Op::Peek),
        1 => Just(Op::Drain),
        1 => (0..5u8).prop_map(Op::FreeEvery),
        1 => Just(Op::Free),
        2 => Just(Op::LeaveConsumer),
    ]
}

impl Modelled for InUse {
    type Shape = usize;
    type Op = Op;
    type Model = Model;

    fn shapes() -> BoxedStrategy<usize> {
        (1..7usize).boxed()
    }

    fn ops() -> BoxedStrategy<Op> {
        let closing = prop_oneof![Just(Op::CloseProducer), Just(Op::CloseConsumer)];
        prop_oneof![12 => producing(), 12 => consuming(), 2 => Just(Op::Length), 1 => closing].boxed()
    }

    fn ops_of(nth: usize) -> BoxedStrategy<Op> {
        match nth {
            0 => prop_oneof![9 => producing(), 1 => Just(Op::CloseProducer)].boxed(),
            1 => prop_oneof![9 => consuming(), 1 => Just(Op::CloseConsumer)].boxed(),
            _ => Self::ops(),
        }
    }

    fn concurrent(op: &Op) -> bool {
        // Batches go over in several steps; the answer to a chunk has the length in it.
        !matches!(op, Op::TryBatch(_) | Op::TryPopBatch(_) | Op::Drain | Op::ReadChunk(..))
    }

    fn begins(nth: usize) -> Option<Op> {
        [Op::Produce, Op::Consume].into_iter().nth(nth)
    }

    fn open(seg: &Segment, &capacity: &usize) -> Self {
        InUse { seg: seg.clone(), capacity, producer: None, consumer: None }
    }

    fn apply(&mut self, op: &Op) -> Answer {
        let nothing = |()| vec![];
        match *op {
            Op::Produce if self.producer.is_none() => {
                return answer(self.seg.spsc_producer("lane", self.capacity), |producer| {
                    self.producer = Some(producer);
                    vec![]
                });
            }
            Op::Consume if self.consumer.is_none() => {
                return answer(self.seg.spsc_consumer("lane", self.capacity), |consumer| {
                    self.consumer = Some(consumer);
                    vec![]
                });
            }
            Op::LeaveProducer => return self.producer.take().map_or(NOTHING, |p| answer(p.leave(), nothing)),
            Op::LeaveConsumer => return self.consumer.take().map_or(NOTHING, |c| answer(c.leave(), nothing)),
            Op::Length => {
                return Ok(match (&self.producer, &self.consumer) {
                    (Some(p), _) => vec![p.len() as u64, p.is_closed().into()],
                    (_, Some(c)) => vec![c.len() as u64, c.is_closed().into()],
                    _ => vec![],
                });
            }
            _ => {}
        }
        if let Some(p) = &mut self.producer {
            match *op {
                Op::TryPush(value) => return answer(p.try_push(value.into()), nothing),
                Op::PushNow(value) => return answer(p.push_until(value.into(), Deadline::now()), nothing),
                Op::TryBatch(ref values) => {
                    let values: Vec<u64> = values.iter().map(|&value| value.into()).collect();
                    return answer(p.try_push_batch(&values), |n| vec![n as u64]);
                }
                Op::WriteChunk(count, of_it) => {
                    let committed = p.try_reserve(count.into()).and_then(|mut chunk| {
                        let (a, b) = chunk.as_mut_slices();
                        a.iter_mut().chain(b).zip(1000..).for_each(|(slot, value)| *slot = value);
                        dawdle();
                        chunk.commit(of_it.min(count).into())
                    });
                    return answer(committed, |()| vec![p.unpublished() as u64]);
                }
                Op::PublishEvery(count) => p.publish_every(count.into()),
                Op::Publish => return answer(p.flush(), nothing),
                Op::CloseProducer => return answer(p.close(), nothing),
                Op::Unpublished => return Ok(vec![p.unpublished() as u64]),
                _ => {}
            }
        }
        if let Some(c) = &mut self.consumer {
            let delivery = match *op {
                Op::TryPop => c.try_pop_delivery(),
                Op::PopNow => c.pop_delivery_until(Deadline::now()),
                Op::TryPopBatch(most) => {
                    let mut into = vec![0; most.into()];
                    return answer(c.pop_batch_delivery(&mut into, Wait::Never), |got| {
                        [&into[..got.count], &[got.redelivered as u64]].concat()
                    });
                }
                Op::ReadChunk(count, of_it) => {
                    let seen = c.try_borrow(count.into()).map(|chunk| {
                        dawdle();
                        let (a, b) = chunk.as_slices();
                        let seen = [a, b].concat();
                        chunk.release(seen.len().min(of_it.into())).expect("not more than there are");
                        seen
                    });
                    return answer(seen, |mut seen| {
                        seen.push(c.len() as u64);
                        seen
                    });
                }
                Op::Peek => return answer(c.peek(), |&value| vec![value]),
                Op::Drain => return Ok(c.drain().collect()),
                Op::FreeEvery(count) => return answer(c.free_every(count.into()), nothing),
                Op::Free => return answer(c.flush(), nothing),
                Op::CloseConsumer => return answer(c.close(), nothing),
                _ => return NOTHING,
            };
            return answer(delivery, |got| vec![got.value, got.redelivered.into()]);
        }
        NOTHING
    }

    fn gives(&mut self, nth: usize) {
        match nth {
            0 => PRODUCERS.put(0, self.producer.take()),
            1 => CONSUMERS.put(1, self.consumer.take()),
            _ => {}
        }
    }

    fn takes(&mut self, nth: usize) {
        (self.producer, self.consumer) = (PRODUCERS.take(nth), CONSUMERS.take(nth));
    }

    fn model(&capacity: &usize) -> Model {
        Model {
            capacity,
            published: VecDeque::new(),
            closed: false,
            producer: None,
            written: Vec::new(),
            publish_every: 1,
            consumer: None,
            taken: Vec::new(),
            free_every: 1,
        }
    }

    fn expect(m: &mut Model, user: User, op: &Op, got: &Answer) -> Answer {
        match op {
            Op::Produce if m.producer.is_none() => (m.producer, m.publish_every) = (Some(user), 1),
            Op::Produce if m.producer != Some(user) => return Err(ErrorKind::WouldBlock),
            Op::Consume if m.consumer.is_none() => (m.consumer, m.free_every) = (Some(user), 1),
            Op::Consume if m.consumer != Some(user) => return Err(ErrorKind::WouldBlock),
            Op::Produce | Op::Consume => {}
            Op::Length if [m.producer, m.consumer].contains(&Some(user)) => {
                return Ok(vec![m.length(), m.closed.into()]);
            }
            Op::Length => {}
            Op::TryPush(_)
            | Op::PushNow(_)
            | Op::TryBatch(_)
            | Op::WriteChunk(..)
            | Op::PublishEvery(_)
            | Op::Publish
            | Op::CloseProducer
            | Op::LeaveProducer
            | Op::Unpublished => return m.produce(user, op, got),
            _ => return m.consume(user, op, got),
        }
        NOTHING
    }

    fn given(m: &mut Model, from: User, to: User, nth: usize) {
        let seat = [&mut m.producer, &mut m.consumer].into_iter().nth(nth);
        if let Some(holder) = seat.and_then(Option::as_mut).filter(|holder| **holder == from) {
            *holder = to;
        }
    }

    fn leaves(m: &mut Model, user: User) {
        // What fails is nobody's business any more.
        let _ = m.produce(user, &Op::LeaveProducer, &NOTHING);
        let _ = m.consume(user, &Op::LeaveConsumer, &NOTHING);
    }

    fn dies(m: &mut Model, user: User) {
        if m.producer == Some(user) {
            m.producer = None;
            m.written.clear();
        }
        if m.consumer == Some(user) {
            m.consumer = None;
            // It may have read one more, or as many as it said.
            m.published.iter_mut().for_each(|message| message.1 = message.1.filter(|&again| again));
            let taken = std::mem::take(&mut m.taken);
            taken.into_iter().rev().for_each(|(value, _)| m.published.push_front((value, Some(true))));
        }
    }
}
