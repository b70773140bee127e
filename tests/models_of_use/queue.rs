//! The queue: places in a row. A message is taken from the first place that has one, in front of which nobody writes; a
//! place is room again when it and all in front of it are done.

use crate::drive::{Answer, Home, Modelled, NOTHING, User, answer, pick, thread};
use interproc::queue::{Message, Queue, Reservation};
use interproc::{Deadline, ErrorKind, Segment};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

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
    Look,
    Peak,
    Close,
}

/// A handle, and what its user has in its hands.
pub struct InUse {
    reserved: Vec<Reservation<'static, u64>>,
    held: Vec<Message<'static, u64>>,
    queue: Home<Queue<u64>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Place {
    Reserved(User),
    Message(u64, bool),
    Held(User, u64, bool),
    /// Given up, or done in front of its turn.
    Hole,
    /// Its producer was killed: a hole when a consumer comes by, or a producer whose turn it is.
    Gap,
}

#[derive(Clone, Debug)]
pub struct Model {
    capacity: usize,
    /// The number of the first place.
    first: u64,
    places: VecDeque<Place>,
    closed: bool,
    most: usize,
    reserved: BTreeMap<User, Vec<u64>>,
    held: BTreeMap<User, Vec<u64>>,
}

impl Model {
    fn place(&mut self, number: u64) -> &mut Place {
        &mut self.places[(number - self.first) as usize]
    }

    fn set(&mut self, number: u64, place: Place) {
        *self.place(number) = place;
        self.trim();
    }

    fn trim(&mut self) {
        while self.places.front() == Some(&Place::Hole) {
            self.places.pop_front();
            self.first += 1;
        }
    }

    /// Whether there is room, and why not.
    fn room(&mut self, user: User, waits: bool) -> Result<(), ErrorKind> {
        if self.closed {
            return Err(ErrorKind::Closed);
        }
        if self.places.len() < self.capacity {
            return Ok(());
        }
        match self.places[0] {
            Place::Gap => {
                self.set(self.first, Place::Hole);
                Ok(())
            }
            Place::Reserved(owner) | Place::Held(owner, ..) if waits && thread(owner) == thread(user) => {
                Err(ErrorKind::Deadlock)
            }
            _ => {
                self.most = self.capacity;
                Err(if waits { ErrorKind::TimedOut } else { ErrorKind::Full })
            }
        }
    }

    fn add(&mut self, place: Place) {
        self.places.push_back(place);
        self.most = self.most.max(self.places.len());
    }

    fn push(&mut self, user: User, value: u64, waits: bool) -> Answer {
        self.room(user, waits)?;
        self.add(Place::Message(value, false));
        NOTHING
    }

    /// The number of the place whose message is next.
    fn next(&mut self, user: User, waits: bool) -> Result<(u64, u64, bool), ErrorKind> {
        let refused = |owner: Option<User>| match (waits, owner.map(thread) == Some(thread(user))) {
            (true, true) => ErrorKind::Deadlock,
            (true, false) => ErrorKind::TimedOut,
            (false, _) => ErrorKind::Empty,
        };
        let mut found = None;
        for (n, place) in self.places.iter_mut().enumerate() {
            match place {
                Place::Gap => *place = Place::Hole,
                Place::Reserved(owner) => {
                    found = Some(Err(refused(Some(*owner))));
                    break;
                }
                Place::Message(value, again) => {
                    found = Some(Ok((self.first + n as u64, *value, *again)));
                    break;
                }
                Place::Held(..) | Place::Hole => {}
            }
        }
        self.trim();
        match (found, self.places.front()) {
            (Some(found), _) => found,
            // All is in somebody's hands: the end would be at a place that is not free.
            (None, Some(Place::Held(owner, ..))) if self.places.len() == self.capacity => {
                Err(refused(Some(*owner)))
            }
            (None, _) if self.closed => Err(ErrorKind::Closed),
            (None, _) => Err(refused(None)),
        }
    }

    fn pop(&mut self, user: User, waits: bool) -> Answer {
        let (number, value, again) = self.next(user, waits)?;
        self.set(number, Place::Hole);
        Ok(vec![value, again.into()])
    }

    fn pop_many(&mut self, user: User, most: usize) -> Answer {
        let mut all = Vec::new();
        while all.len() < most {
            match self.pop(user, false) {
                Ok(got) => all.push(got[0]),
                Err(kind) if all.is_empty() => return Err(kind),
                Err(_) => break,
            }
        }
        Ok(all)
    }

    fn force(&mut self, user: User, value: u64) -> Answer {
        match self.room(user, false) {
            Ok(()) => {
                self.add(Place::Message(value, false));
                NOTHING
            }
            Err(ErrorKind::Full) => {
                let Place::Message(oldest, _) = self.places[0] else { return Err(ErrorKind::Full) };
                self.set(self.first, Place::Hole);
                self.add(Place::Message(value, false));
                Ok(vec![oldest])
            }
            Err(kind) => Err(kind),
        }
    }

    fn let_go(&mut self, user: User, reserved: Place, held: impl Fn(u64) -> Place) {
        for number in self.reserved.remove(&user).unwrap_or_default() {
            self.set(number, reserved.clone());
        }
        for number in self.held.remove(&user).unwrap_or_default() {
            let Place::Held(_, value, _) = *self.place(number) else { unreachable!() };
            self.set(number, held(value));
        }
    }
}

/// Takes one of what a user has in its hands.
fn take(hands: &mut BTreeMap<User, Vec<u64>>, user: User, number: u8) -> Option<u64> {
    let hands = hands.entry(user).or_default();
    pick(hands, number).map(|n| hands.remove(n))
}

impl Modelled for InUse {
    type Shape = usize;
    type Op = Op;
    type Model = Model;

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
            3 => Just(Op::Look),
            1 => Just(Op::Peak),
            1 => prop_oneof![4 => Just(Op::Look), 1 => Just(Op::Close)],
        ]
        .boxed()
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
                answer(q.try_pop_batch(&mut into), |n| into[..n].to_vec())
            }
            Op::Drain => Ok(q.drain().collect()),
            Op::TryReceive | Op::ReceiveNow => {
                let message =
                    if matches!(op, Op::TryReceive) { q.try_receive() } else { q.receive_until(now()) };
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
            Op::Look => {
                Ok(vec![q.len() as u64, q.is_empty().into(), q.is_full().into(), q.is_closed().into()])
            }
            Op::Peak => Ok(vec![q.peak() as u64]),
            Op::Close => answer(q.close(), nothing),
        }
    }

    fn model(&capacity: &usize) -> Model {
        Model {
            capacity,
            first: 0,
            places: VecDeque::new(),
            closed: false,
            most: 0,
            reserved: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    fn expect(m: &mut Model, user: User, op: &Op, got: &Answer) -> Answer {
        match *op {
            Op::TryPush(value) => m.push(user, value.into(), false),
            Op::PushNow(value) => m.push(user, value.into(), true),
            Op::PushBatch(ref values) => {
                let mut pushed = 0;
                for &value in values {
                    match m.push(user, value.into(), false) {
                        Ok(_) => pushed += 1,
                        Err(kind) if pushed == 0 => return Err(kind),
                        Err(_) => break,
                    }
                }
                Ok(vec![pushed])
            }
            Op::Force(value) => m.force(user, value.into()),
            Op::TryReserve | Op::ReserveNow => {
                m.room(user, matches!(op, Op::ReserveNow))?;
                let number = m.first + m.places.len() as u64;
                m.add(Place::Reserved(user));
                m.reserved.entry(user).or_default().push(number);
                NOTHING
            }
            Op::Commit(n, value) => {
                if let Some(number) = take(&mut m.reserved, user, n) {
                    m.set(number, Place::Message(value.into(), false));
                }
                NOTHING
            }
            Op::Abort(n) => {
                if let Some(number) = take(&mut m.reserved, user, n) {
                    m.set(number, Place::Hole);
                }
                NOTHING
            }
            Op::TryPop => m.pop(user, false),
            Op::PopNow => Ok(vec![m.pop(user, true)?[0]]),
            Op::PopBatch(most) => m.pop_many(user, most.into()),
            Op::Drain => Ok(m.pop_many(user, m.places.len()).unwrap_or_default()),
            Op::TryReceive | Op::ReceiveNow => {
                let (number, value, again) = m.next(user, matches!(op, Op::ReceiveNow))?;
                m.set(number, Place::Held(user, value, again));
                m.held.entry(user).or_default().push(number);
                Ok(vec![value, again.into()])
            }
            Op::Release(n) | Op::Take(n) => {
                let Some(number) = take(&mut m.held, user, n) else { return NOTHING };
                let Place::Held(_, value, _) = *m.place(number) else { unreachable!() };
                m.set(number, Place::Hole);
                if matches!(op, Op::Take(_)) { Ok(vec![value]) } else { NOTHING }
            }
            Op::PutBack(n) => {
                if let Some(number) = take(&mut m.held, user, n) {
                    let Place::Held(_, value, _) = *m.place(number) else { unreachable!() };
                    m.set(number, Place::Message(value, true));
                }
                NOTHING
            }
            Op::Look => {
                let len = m.places.len();
                Ok(vec![len as u64, (len == 0).into(), (len == m.capacity).into(), m.closed.into()])
            }
            // A lower bound, and what is there now.
            Op::Peak => match got {
                Ok(peak) if (m.places.len() as u64..=m.most as u64).contains(&peak[0]) => got.clone(),
                _ => Ok(vec![m.most as u64]),
            },
            Op::Close => {
                m.closed = true;
                NOTHING
            }
        }
    }

    fn leaves(m: &mut Model, user: User) {
        m.let_go(user, Place::Hole, |_| Place::Hole);
    }

    fn dies(m: &mut Model, user: User) {
        m.let_go(user, Place::Gap, |value| Place::Message(value, true));
    }
}
