//! The byte queue: a [`Row`] of places for messages of several granules.

use crate::drive::{Answer, Home, Modelled, NOTHING, User, answer, pick};
use crate::rows::{Place, Row, State};
use interproc::queue::{ByteMessage, ByteQueue, ByteReservation};
use interproc::{Deadline, ErrorKind, Segment, Wait};
use proptest::prelude::*;
use std::io::IoSlice;

pub const GRANULE: usize = 64;

/// So many bytes of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    pub len: u16,
    pub byte: u8,
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
    /// One of what can be asked.
    Look(usize),
    Close,
}

pub struct InUse {
    reserved: Vec<ByteReservation<'static>>,
    held: Vec<ByteMessage<'static>>,
    queue: Home<ByteQueue>,
}

/// Its length, and what its bytes are.
type Message = (usize, u8);

fn granules(len: usize) -> usize {
    len.div_ceil(GRANULE).max(1)
}

/// A message's answer.
pub fn read(bytes: &[u8], again: bool) -> Vec<u64> {
    let byte = bytes.first().copied().unwrap_or(0);
    assert!(bytes.iter().all(|&b| b == byte), "two messages in one");
    vec![bytes.len() as u64, byte.into(), again.into()]
}

impl Text {
    /// A message of this; of none its bytes say nothing.
    fn message(self, most: usize) -> Message {
        let len = most.min(self.len.into());
        (len, if len == 0 { 0 } else { self.byte })
    }
}

impl Modelled for InUse {
    /// Granules, and those of the longest message.
    type Shape = (usize, usize);
    type Op = Op;
    type Model = Row<Message>;

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
            2 => (0..3usize).prop_map(Op::Look),
            1 => prop_oneof![5 => (0..3usize).prop_map(Op::Look), 1 => Just(Op::Close)],
        ]
        .boxed()
    }

    fn concurrent(op: &Op) -> bool {
        // At most as many as there were at the call, one after the other.
        !matches!(op, Op::Drain)
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
                match q.pop_into_delivery(&mut into, Wait::Never) {
                    Ok(got) => Ok(read(&into[..got.value], got.redelivered)),
                    Err(error) => Err(error.kind()),
                }
            }
            Op::Drain => Ok(q.drain().flat_map(|message| read(&message, false)).collect()),
            Op::TryReceive | Op::ReceiveNow => {
                let message =
                    if matches!(op, Op::TryReceive) { q.try_borrow() } else { q.borrow_until(now()) };
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
            Op::Look(0) => Ok(vec![q.len() as u64]),
            Op::Look(1) => Ok(vec![q.is_empty().into()]),
            Op::Look(_) => Ok(vec![q.is_closed().into()]),
            Op::Close => answer(q.close(), nothing),
        }
    }

    fn model(&(granules, longest): &(usize, usize)) -> Row<Message> {
        Row::new(granules, longest)
    }

    fn expect(m: &mut Row<Message>, user: User, op: &Op, got: &Answer) -> Answer {
        let told = |((len, byte), again): (Message, bool)| vec![len as u64, byte.into(), again.into()];
        let is_message =
            |place: &&Place<Message>| matches!(place.state, State::Message(..) | State::Held(..));
        let count = |m: &Row<Message>| m.places.iter().filter(is_message).count();
        let fits = |m: &Row<Message>, len: u16| {
            if granules(len.into()) > m.longest { Err(ErrorKind::TooLarge) } else { Ok(len.into()) }
        };
        match *op {
            Op::TryPush(text) | Op::Vectored(text) | Op::PushNow(text) => {
                let (len, waits) = (fits(m, text.len)?, matches!(op, Op::PushNow(_)));
                m.push(user, text.message(len), granules(len), waits, got)?;
            }
            Op::TryReserve(len) | Op::ReserveNow(len) => {
                let (len, waits) = (fits(m, len)?, matches!(op, Op::ReserveNow(_)));
                m.reserve(user, len, granules(len), waits, got)?;
            }
            Op::Commit(n, text) => {
                m.end_reservation(user, n, |most| State::Message(text.message(most), false));
            }
            Op::Abort(n) => m.end_reservation(user, n, |_| State::Done),
            Op::TryPop => return m.pop(user, false, got).map(told),
            Op::PopNow => return m.pop(user, true, got).map(told),
            Op::TryPopInto(room) => {
                let (number, (len, byte), again) = m.next(user, false, got)?;
                if len > room.into() {
                    // It stays the first.
                    m.set(number, State::Message((len, byte), again));
                    return Err(ErrorKind::TooLarge);
                }
                m.set(number, State::Done);
                return Ok(vec![len as u64, byte.into(), again.into()]);
            }
            Op::Drain => {
                let mut all = Vec::new();
                for _ in 0..count(m) {
                    let Ok(((len, byte), _)) = m.pop(user, false, &Err(ErrorKind::Empty)) else { break };
                    all.extend([len as u64, byte.into(), 0]);
                }
                return Ok(all);
            }
            Op::TryReceive => return m.receive(user, false, got).map(told),
            Op::ReceiveNow => return m.receive(user, true, got).map(told),
            Op::Release(n) => _ = m.end_held(user, n, false),
            Op::PutBack(n) => _ = m.end_held(user, n, true),
            Op::Look(which) => {
                let count = count(m);
                return Ok(vec![[count as u64, (count == 0).into(), m.closed.into()][which]]);
            }
            Op::Close => m.closed = true,
        }
        NOTHING
    }

    fn leaves(m: &mut Row<Message>, user: User) {
        m.leaves(user);
    }

    fn dies(m: &mut Row<Message>, user: User) {
        m.dies(user);
    }
}
