//! The byte queue: as the queue, with room in bytes. Where a message comes to lie is its own business, so the model says only
//! when there must be room (an empty queue, or one with room for the longest message twice) and when there cannot be.

use crate::drive::{Answer, Home, Modelled, NOTHING, User, answer, pick, thread};
use interproc::queue::{ByteMessage, ByteQueue, ByteReservation};
use interproc::{Deadline, ErrorKind, Segment};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;

const GRANULE: usize = 64;

/// So many bytes of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    len: u16,
    byte: u8,
}

#[derive(Clone, Debug)]
pub enum Op {
    TryPush(Text),
    PushNow(Text),
    /// In two parts.
    Vectored(Text),
    TryReserve(u16),
    ReserveNow(u16),
    /// So much of it, in 256ths.
    Commit(u8, Text),
    Abort(u8),
    TryPop,
    PopNow,
    /// Into so much room.
    TryPopInto(u16),
    Drain,
    TryReceive,
    ReceiveNow,
    Release(u8),
    PutBack(u8),
    Look,
    Close,
}

pub struct InUse {
    reserved: Vec<ByteReservation<'static>>,
    held: Vec<ByteMessage<'static>>,
    queue: Home<ByteQueue>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Reserved(User),
    Message {
        len: usize,
        byte: u8,
        again: bool,
    },
    Held {
        user: User,
        len: usize,
        byte: u8,
    },
    Done,
    /// Its producer was killed.
    Gap,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    state: State,
    granules: usize,
}

#[derive(Clone)]
pub struct Model {
    granules: usize,
    longest: usize,
    first: u64,
    places: VecDeque<Place>,
    closed: bool,
    reserved: BTreeMap<User, Vec<(u64, usize)>>,
    held: BTreeMap<User, Vec<u64>>,
}

fn granules(len: usize) -> usize {
    len.div_ceil(GRANULE).max(1)
}

/// A message's answer.
fn read(bytes: &[u8], again: bool) -> Vec<u64> {
    let byte = bytes.first().copied().unwrap_or(0);
    assert!(bytes.iter().all(|&b| b == byte), "two messages in one");
    vec![bytes.len() as u64, byte.into(), again.into()]
}

impl Model {
    fn set(&mut self, number: u64, state: State) {
        self.places[(number - self.first) as usize].state = state;
        self.trim();
    }

    fn trim(&mut self) {
        while self.places.front().is_some_and(|place| place.state == State::Done) {
            self.places.pop_front();
            self.first += 1;
        }
    }

    /// Whether there is room; where both answers are right, `got` decides.
    fn room(&mut self, user: User, len: usize, waits: bool, got: &Answer) -> Result<(), ErrorKind> {
        if len > self.longest {
            return Err(ErrorKind::TooLarge);
        }
        if self.closed {
            return Err(ErrorKind::Closed);
        }
        let (used, need) = (|m: &Model| m.places.iter().map(|p| p.granules).sum::<usize>(), granules(len));
        let surely = |m: &Model| used(m) == 0 || used(m) + need + 2 * (granules(m.longest) - 1) <= m.granules;
        let never = |m: &Model| used(m) + need > m.granules;
        // A producer passes dead ones' places only if it looks for room: then there is more.
        let full = got.is_err();
        if !surely(self) && (full || never(self)) {
            while self.places.front().is_some_and(|place| matches!(place.state, State::Gap | State::Done)) {
                self.places[0].state = State::Done;
                self.trim();
            }
        }
        if surely(self) || !full && !never(self) {
            return Ok(());
        }
        match self.places[0].state {
            State::Reserved(owner) | State::Held { user: owner, .. }
                if waits && thread(owner) == thread(user) =>
            {
                Err(ErrorKind::Deadlock)
            }
            _ => Err(if waits { ErrorKind::TimedOut } else { ErrorKind::Full }),
        }
    }

    fn add(&mut self, state: State, len: usize) -> u64 {
        self.places.push_back(Place { state, granules: granules(len) });
        self.first + self.places.len() as u64 - 1
    }

    fn push(&mut self, user: User, text: Text, waits: bool, got: &Answer) -> Answer {
        self.room(user, text.len.into(), waits, got)?;
        let byte = if text.len == 0 { 0 } else { text.byte };
        self.add(State::Message { len: text.len.into(), byte, again: false }, text.len.into());
        NOTHING
    }

    fn next(&mut self, user: User, waits: bool, got: &Answer) -> Result<(u64, usize, u8, bool), ErrorKind> {
        let refused = |owner: Option<User>| match (waits, owner.map(thread) == Some(thread(user))) {
            (true, true) => ErrorKind::Deadlock,
            (true, false) => ErrorKind::TimedOut,
            (false, _) => ErrorKind::Empty,
        };
        let mut found = None;
        for (n, place) in self.places.iter_mut().enumerate() {
            match place.state {
                State::Gap => place.state = State::Done,
                State::Reserved(owner) => {
                    found = Some(Err(refused(Some(owner))));
                    break;
                }
                State::Message { len, byte, again } => {
                    found = Some(Ok((self.first + n as u64, len, byte, again)));
                    break;
                }
                State::Held { .. } | State::Done => {}
            }
        }
        self.trim();
        match (found, self.places.front()) {
            (Some(found), _) => found,
            // Is all of the ring in somebody's hands? Then the end would be at a place that is not free.
            (None, Some(Place { state: State::Held { user: owner, .. }, .. }))
                if got == &Err(refused(Some(*owner))) && self.closed | waits =>
            {
                let used: usize = self.places.iter().map(|place| place.granules).sum();
                if used + granules(self.longest) > self.granules {
                    Err(refused(Some(*owner)))
                } else if self.closed {
                    Err(ErrorKind::Closed)
                } else {
                    Err(refused(None))
                }
            }
            (None, _) if self.closed => Err(ErrorKind::Closed),
            (None, _) => Err(refused(None)),
        }
    }

    fn pop(&mut self, user: User, waits: bool, got: &Answer) -> Answer {
        let (number, len, byte, again) = self.next(user, waits, got)?;
        self.set(number, State::Done);
        Ok(vec![len as u64, byte.into(), again.into()])
    }

    fn let_go(&mut self, user: User, reserved: State, held: impl Fn(usize, u8) -> State) {
        for (number, _) in self.reserved.remove(&user).unwrap_or_default() {
            self.set(number, reserved);
        }
        for number in self.held.remove(&user).unwrap_or_default() {
            let State::Held { len, byte, .. } = self.places[(number - self.first) as usize].state else {
                unreachable!()
            };
            self.set(number, held(len, byte));
        }
    }
}

impl Modelled for InUse {
    /// Granules, and those of the longest message.
    type Shape = (usize, usize);
    type Op = Op;
    type Model = Model;

    fn shapes() -> BoxedStrategy<(usize, usize)> {
        (1..5usize).prop_flat_map(|longest| (2 * longest..12, Just(longest))).boxed()
    }

    fn ops() -> BoxedStrategy<Op> {
        let any = any::<u8>;
        let lens = || prop_oneof![6 => 0..260u16, 1 => 260..400u16];
        let texts = move || (lens(), any()).prop_map(|(len, byte)| Text { len, byte });
        prop_oneof![
            5 => texts().prop_map(Op::TryPush),
            1 => texts().prop_map(Op::PushNow),
            1 => texts().prop_map(Op::Vectored),
            4 => lens().prop_map(Op::TryReserve),
            1 => lens().prop_map(Op::ReserveNow),
            4 => (any(), texts()).prop_map(|(n, text)| Op::Commit(n, text)),
            4 => any().prop_map(Op::Abort),
            5 => Just(Op::TryPop),
            1 => Just(Op::PopNow),
            2 => lens().prop_map(Op::TryPopInto),
            1 => Just(Op::Drain),
            3 => Just(Op::TryReceive),
            1 => Just(Op::ReceiveNow),
            3 => any().prop_map(Op::Release),
            2 => any().prop_map(Op::PutBack),
            2 => Just(Op::Look),
            1 => prop_oneof![5 => Just(Op::Look), 1 => Just(Op::Close)],
        ]
        .boxed()
    }

    fn open(seg: &Segment, &(granules, longest): &(usize, usize)) -> Self {
        let queue =
            seg.byte_queue("bytes", granules * GRANULE, longest * GRANULE).expect("room in the segment");
        InUse { reserved: Vec::new(), held: Vec::new(), queue: Home::new(queue) }
    }

    fn apply(&mut self, op: &Op) -> Answer {
        let q = self.queue.get();
        let now = Deadline::now;
        let nothing = |()| vec![];
        let bytes = |text: Text| vec![text.byte; text.len.into()];
        match *op {
            Op::TryPush(text) => answer(q.try_push(&bytes(text)), nothing),
            Op::PushNow(text) => answer(q.push_until(&bytes(text), now()), nothing),
            Op::Vectored(text) => {
                let whole = bytes(text);
                let (a, b) = whole.split_at(whole.len() / 3);
                answer(q.try_push_vectored(&[IoSlice::new(a), IoSlice::new(b)]), nothing)
            }
            Op::TryReserve(len) => answer(q.try_reserve(len.into()), |room| {
                self.reserved.push(room);
                vec![]
            }),
            Op::ReserveNow(len) => answer(q.reserve_until(len.into(), now()), |room| {
                self.reserved.push(room);
                vec![]
            }),
            Op::Commit(n, text) => pick(&self.reserved, n).map_or(NOTHING, |n| {
                let mut room = self.reserved.remove(n);
                let len = room.len().min(text.len.into());
                room[..len].fill(text.byte);
                answer(room.commit_len(len), nothing)
            }),
            Op::Abort(n) => {
                pick(&self.reserved, n).map(|n| self.reserved.remove(n));
                NOTHING
            }
            Op::TryPop => answer(q.try_pop_delivery(), |got| read(&got.value, got.redelivered)),
            Op::PopNow => answer(q.pop_delivery_until(now()), |got| read(&got.value, got.redelivered)),
            Op::TryPopInto(room) => {
                let mut into = vec![0; room.into()];
                match q.try_pop_into(&mut into) {
                    Ok(len) => Ok(read(&into[..len], false)),
                    Err(error) => Err(error.kind()),
                }
            }
            Op::Drain => Ok(q.drain().flat_map(|message| read(&message, false)).collect()),
            Op::TryReceive | Op::ReceiveNow => {
                let message =
                    if matches!(op, Op::TryReceive) { q.try_receive() } else { q.receive_until(now()) };
                answer(message, |message| {
                    let seen = read(&message, message.is_redelivered());
                    self.held.push(message);
                    seen
                })
            }
            Op::Release(n) => {
                pick(&self.held, n).map(|n| self.held.remove(n));
                NOTHING
            }
            Op::PutBack(n) => {
                pick(&self.held, n).map_or(NOTHING, |n| answer(self.held.remove(n).put_back(), nothing))
            }
            Op::Look => Ok(vec![q.len() as u64, q.is_empty().into(), q.is_closed().into()]),
            Op::Close => answer(q.close(), nothing),
        }
    }

    fn model(&(granules, longest): &(usize, usize)) -> Model {
        Model {
            granules,
            longest: longest * GRANULE,
            first: 0,
            places: VecDeque::new(),
            closed: false,
            reserved: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    fn expect(m: &mut Model, user: User, op: &Op, got: &Answer) -> Answer {
        match *op {
            Op::TryPush(text) | Op::Vectored(text) => m.push(user, text, false, got),
            Op::PushNow(text) => m.push(user, text, true, got),
            Op::TryReserve(len) | Op::ReserveNow(len) => {
                m.room(user, len.into(), matches!(op, Op::ReserveNow(_)), got)?;
                let number = m.add(State::Reserved(user), len.into());
                m.reserved.entry(user).or_default().push((number, len.into()));
                NOTHING
            }
            Op::Commit(n, text) => {
                let hands = m.reserved.entry(user).or_default();
                if let Some((number, most)) = pick(hands, n).map(|n| hands.remove(n)) {
                    let len = most.min(text.len.into());
                    let byte = if len == 0 { 0 } else { text.byte };
                    m.set(number, State::Message { len, byte, again: false });
                }
                NOTHING
            }
            Op::Abort(n) => {
                let hands = m.reserved.entry(user).or_default();
                if let Some((number, _)) = pick(hands, n).map(|n| hands.remove(n)) {
                    m.set(number, State::Done);
                }
                NOTHING
            }
            Op::TryPop => m.pop(user, false, got),
            Op::PopNow => m.pop(user, true, got),
            Op::TryPopInto(room) => {
                let (number, len, byte, again) = m.next(user, false, got)?;
                if len > room.into() {
                    // It stays the first; whether it was in somebody's hands now is a matter of words.
                    m.set(number, State::Message { len, byte, again });
                    return Err(ErrorKind::TooLarge);
                }
                m.set(number, State::Done);
                Ok(vec![len as u64, byte.into(), 0])
            }
            Op::Drain => {
                let mut all = Vec::new();
                let messages =
                    |place: &Place| matches!(place.state, State::Message { .. } | State::Held { .. });
                for _ in 0..m.places.iter().filter(|place| messages(place)).count() {
                    let Ok(one) = m.pop(user, false, &Err(ErrorKind::Empty)) else { break };
                    all.extend([one[0], one[1], 0]);
                }
                Ok(all)
            }
            Op::TryReceive | Op::ReceiveNow => {
                let (number, len, byte, again) = m.next(user, matches!(op, Op::ReceiveNow), got)?;
                m.set(number, State::Held { user, len, byte });
                m.held.entry(user).or_default().push(number);
                Ok(vec![len as u64, byte.into(), again.into()])
            }
            Op::Release(n) | Op::PutBack(n) => {
                let hands = m.held.entry(user).or_default();
                if let Some(number) = pick(hands, n).map(|n| hands.remove(n)) {
                    let State::Held { len, byte, .. } = m.places[(number - m.first) as usize].state else {
                        unreachable!()
                    };
                    let back = State::Message { len, byte, again: true };
                    m.set(number, if matches!(op, Op::PutBack(_)) { back } else { State::Done });
                }
                NOTHING
            }
            Op::Look => {
                let messages =
                    |place: &&Place| matches!(place.state, State::Message { .. } | State::Held { .. });
                let count = m.places.iter().filter(messages).count() as u64;
                Ok(vec![count, (count == 0).into(), m.closed.into()])
            }
            Op::Close => {
                m.closed = true;
                NOTHING
            }
        }
    }

    fn leaves(m: &mut Model, user: User) {
        m.let_go(user, State::Done, |_, _| State::Done);
    }

    fn dies(m: &mut Model, user: User) {
        m.let_go(user, State::Gap, |len, byte| State::Message { len, byte, again: true });
    }
}
