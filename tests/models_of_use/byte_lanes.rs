//! The byte lane and the pipe, whose two directions are byte lanes: texts in a row. As of the byte queue, the model says only
//! when there must be room.

use crate::drive::{Answer, Modelled, NOTHING, Table, User, answer, dawdle};
use interproc::pipe::{self, End};
use interproc::queue::RecvError;
use interproc::queue::byte_lane::{ByteConsumer, ByteProducer};
use interproc::{Deadline, ErrorKind, Segment};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const LONGEST: usize = 60;

/// So many bytes of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    len: u8,
    byte: u8,
}

impl Text {
    fn bytes(self) -> Vec<u8> {
        vec![self.byte; self.len.into()]
    }
}

fn texts() -> impl Strategy<Value = Text> {
    (0..66u8, any::<u8>()).prop_map(|(len, byte)| Text { len, byte })
}

/// A message's answer.
fn read(bytes: &[u8]) -> Vec<u64> {
    let byte = bytes.first().copied().unwrap_or(0);
    assert!(bytes.iter().all(|&b| b == byte), "two messages in one");
    vec![bytes.len() as u64, byte.into()]
}

/// Where it lies.
fn read_late(bytes: &[u8]) -> Vec<u64> {
    dawdle();
    read(bytes)
}

fn read_into(into: &[u8], got: Result<usize, RecvError>) -> Answer {
    got.map(|len| read(&into[..len])).map_err(|error| error.kind())
}

/// What one sends.
#[derive(Clone, Copy, Debug)]
pub enum Sends {
    Try(Text),
    Now(Text),
    /// In place, reserved for so many bytes more.
    InPlace(Text, u8),
    /// Reserved and given up.
    GiveUp(u8),
}

/// How one receives.
#[derive(Clone, Copy, Debug)]
pub enum Receives {
    Try,
    Now,
    /// Into so much room.
    Into(u8),
    InPlace,
    /// Looked at, and left there.
    Left,
}

fn sends() -> impl Strategy<Value = Sends> {
    prop_oneof![
        6 => texts().prop_map(Sends::Try),
        1 => texts().prop_map(Sends::Now),
        // In a pipe it goes in pieces.
        6 => (LONGEST as u8 + 1..66, any::<u8>()).prop_map(|(len, byte)| Sends::Now(Text { len, byte })),
        3 => (texts(), 0..40u8).prop_map(|(text, more)| Sends::InPlace(text, more)),
        2 => (0..66u8).prop_map(Sends::GiveUp),
    ]
}

fn receives() -> impl Strategy<Value = Receives> {
    prop_oneof![
        6 => Just(Receives::Try),
        1 => Just(Receives::Now),
        1 => (0..66u8).prop_map(Receives::Into),
        2 => Just(Receives::InPlace),
        1 => Just(Receives::Left),
    ]
}

/// A text on its way.
#[derive(Clone)]
struct OnItsWay {
    len: u64,
    byte: u64,
    /// The lengths of its pieces that lie in the ring: of one that fits a message, its own.
    pieces: VecDeque<u64>,
    fits: bool,
    /// Its sender gave up: the last piece is missing.
    cut: bool,
}

/// The texts on their way in one direction.
#[derive(Clone, Default)]
struct Line {
    texts: VecDeque<OnItsWay>,
    /// Where longer texts come in pieces: how long these are.
    piece: Option<u64>,
    /// Pieces were taken last, of a text that is not whole.
    in_the_middle: bool,
}

/// The bytes of the length with which the first piece begins.
const HEAD: u64 = 8;
impl Line {
    fn send(&mut self, capacity: usize, closed: bool, sends: Sends, got: &Answer) -> Answer {
        let (text, room, waits) = match sends {
            Sends::Try(text) => (Some(text), text.len, false),
            Sends::Now(text) => (Some(text), text.len, true),
            Sends::InPlace(text, more) => (Some(text), text.len + more, false),
            Sends::GiveUp(len) => (None, len, false),
        };
        let fits = usize::from(room) <= LONGEST;
        let piece = self.piece.filter(|_| waits && !fits);
        // If it is closed, too, either is true.
        if !fits && piece.is_none() && !(closed && got == &Err(ErrorKind::Closed)) {
            return Err(ErrorKind::TooLarge);
        }
        // A reservation that is given up asks nobody, if there is room.
        if closed && (text.is_some() || got.is_err()) {
            return Err(ErrorKind::Closed);
        }
        let need = |len: u64| len.next_multiple_of(8) as usize + 8;
        let pieces = piece.map_or(1, |piece| (HEAD + u64::from(room)).div_ceil(piece));
        let used = self.texts.iter().flat_map(|text| &text.pieces).map(|&len| need(len)).sum::<usize>();
        let surely = used == 0 && fits || used + (1 + pieces as usize) * need(LONGEST as u64) <= capacity;
        let never = fits && used + need(room.into()) > capacity;
        if !closed && (never || !surely && got.is_err()) {
            return Err(if waits { ErrorKind::TimedOut } else { ErrorKind::Full });
        }
        if let Some(text) = text {
            let (len, byte) = (text.len.into(), if text.len == 0 { 0 } else { text.byte.into() });
            let sent = match got {
                Ok(gave_up) if !surely && !fits => gave_up.first().copied(),
                _ => None,
            };
            let all = HEAD + sent.unwrap_or(len);
            let pieces = match piece {
                None => VecDeque::from([len]),
                Some(piece) => (0..all.div_ceil(piece)).map(|n| piece.min(all - n * piece)).collect(),
            };
            let cut = sent.is_some();
            self.texts.push_back(OnItsWay { len, byte, pieces, fits, cut });
            if let Some(sent) = sent {
                assert!(sent > 0 && sent < len && all.is_multiple_of(piece.unwrap_or(1)), "{sent} of {len}");
                return Ok(vec![sent]);
            }
        }
        NOTHING
    }

    fn receive(&mut self, closed: bool, receives: Receives) -> Answer {
        loop {
            let Some(text) = self.texts.front_mut() else {
                return Err(match receives {
                    _ if closed && std::mem::take(&mut self.in_the_middle) => ErrorKind::CutShort,
                    _ if closed => ErrorKind::Closed,
                    Receives::Now => ErrorKind::TimedOut,
                    _ => ErrorKind::Empty,
                });
            };
            let whole = Ok(vec![text.len, text.byte]);
            match receives {
                Receives::Into(room) if text.len > room.into() => return Err(ErrorKind::TooLarge),
                Receives::InPlace | Receives::Left if !text.fits => return Err(ErrorKind::TooLarge),
                Receives::Left => return whole,
                _ => _ = text.pieces.pop_front(),
            }
            let (over, cut) = (text.pieces.is_empty(), text.cut);
            if over {
                self.texts.pop_front();
            }
            self.in_the_middle = !over || cut;
            if !self.in_the_middle {
                return whole;
            }
            // Its time is over after each piece.
            if matches!(receives, Receives::Now) {
                return Err(ErrorKind::TimedOut);
            }
        }
    }
}

// ---- the byte lane -----------------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
pub enum OfLane {
    Produce,
    Send(Sends),
    LeaveProducer,
    CloseProducer,
    Consume,
    Receive(Receives),
    LeaveConsumer,
    CloseConsumer,
    IsEmpty,
}

pub struct LaneInUse {
    seg: Segment,
    capacity: usize,
    producer: Option<ByteProducer>,
    consumer: Option<ByteConsumer>,
}

static PRODUCERS: Table<ByteProducer> = Table::new();
static CONSUMERS: Table<ByteConsumer> = Table::new();

#[derive(Clone)]
pub struct LaneModel {
    capacity: usize,
    line: Line,
    closed: bool,
    producer: Option<User>,
    consumer: Option<User>,
}

impl Modelled for LaneInUse {
    type Shape = usize;
    type Op = OfLane;
    type Model = LaneModel;

    fn shapes() -> BoxedStrategy<usize> {
        (2..7usize).prop_map(|n| n * 128).boxed()
    }

    fn ops() -> BoxedStrategy<OfLane> {
        prop_oneof![
            3 => Just(OfLane::Produce),
            10 => sends().prop_map(OfLane::Send),
            1 => Just(OfLane::LeaveProducer),
            3 => Just(OfLane::Consume),
            10 => receives().prop_map(OfLane::Receive),
            1 => Just(OfLane::LeaveConsumer),
            1 => Just(OfLane::IsEmpty),
            1 => prop_oneof![6 => Just(OfLane::IsEmpty), 1 => Just(OfLane::CloseProducer), 1 => Just(OfLane::CloseConsumer)],
        ]
        .boxed()
    }

    fn ops_of(nth: usize) -> BoxedStrategy<OfLane> {
        match nth {
            0 => prop_oneof![9 => sends().prop_map(OfLane::Send), 1 => Just(OfLane::CloseProducer)].boxed(),
            1 => prop_oneof![9 => receives().prop_map(OfLane::Receive), 1 => Just(OfLane::CloseConsumer)]
                .boxed(),
            _ => Self::ops(),
        }
    }

    fn begins(nth: usize) -> Option<OfLane> {
        [OfLane::Produce, OfLane::Consume].into_iter().nth(nth)
    }

    fn open(seg: &Segment, &capacity: &usize) -> Self {
        LaneInUse { seg: seg.clone(), capacity, producer: None, consumer: None }
    }

    fn apply(&mut self, op: &OfLane) -> Answer {
        let nothing = |()| vec![];
        match (op, &mut self.producer, &mut self.consumer) {
            (OfLane::Produce, producer @ None, _) => {
                answer(self.seg.byte_producer("lane", self.capacity, LONGEST), |p| {
                    *producer = Some(p);
                    vec![]
                })
            }
            (OfLane::Consume, _, consumer @ None) => {
                answer(self.seg.byte_consumer("lane", self.capacity, LONGEST), |c| {
                    *consumer = Some(c);
                    vec![]
                })
            }
            (OfLane::LeaveProducer, producer, _) => {
                *producer = None;
                NOTHING
            }
            (OfLane::LeaveConsumer, _, consumer) => {
                *consumer = None;
                NOTHING
            }
            (OfLane::CloseProducer, Some(p), _) => answer(p.close(), nothing),
            (OfLane::CloseConsumer, _, Some(c)) => answer(c.close(), nothing),
            (OfLane::IsEmpty, _, Some(c)) => Ok(vec![c.is_empty().into()]),
            (OfLane::Send(sends), Some(p), _) => match *sends {
                Sends::Try(text) => answer(p.try_push(&text.bytes()), nothing),
                Sends::Now(text) => answer(p.push_until(&text.bytes(), Deadline::now()), nothing),
                Sends::InPlace(text, more) => {
                    let sent = p.try_reserve((text.len + more).into()).and_then(|mut place| {
                        place[..text.len.into()].fill(text.byte);
                        dawdle();
                        place.commit_len(text.len.into())
                    });
                    answer(sent, nothing)
                }
                Sends::GiveUp(len) => answer(p.try_reserve(len.into()).map(drop), nothing),
            },
            (OfLane::Receive(receives), _, Some(c)) => match *receives {
                Receives::Try => answer(c.try_pop(), |text| read(&text)),
                Receives::Now => answer(c.pop_until(Deadline::now()), |text| read(&text)),
                Receives::Into(room) => {
                    let mut into = vec![0; room.into()];
                    let got = c.try_pop_into(&mut into);
                    read_into(&into, got)
                }
                Receives::InPlace => answer(c.try_borrow(), |text| read_late(&text)),
                Receives::Left => answer(c.try_borrow(), |text| {
                    let seen = read_late(&text);
                    text.put_back().expect("ours");
                    seen
                }),
            },
            _ => NOTHING,
        }
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

    fn model(&capacity: &usize) -> LaneModel {
        LaneModel { capacity, line: Line::default(), closed: false, producer: None, consumer: None }
    }

    fn expect(m: &mut LaneModel, user: User, op: &OfLane, got: &Answer) -> Answer {
        let (produces, consumes) = (m.producer == Some(user), m.consumer == Some(user));
        match *op {
            OfLane::Produce if m.producer.is_some() && !produces => return Err(ErrorKind::WouldBlock),
            OfLane::Consume if m.consumer.is_some() && !consumes => return Err(ErrorKind::WouldBlock),
            OfLane::Produce => m.producer = Some(user),
            OfLane::Consume => m.consumer = Some(user),
            OfLane::LeaveProducer if produces => m.producer = None,
            OfLane::LeaveConsumer if consumes => m.consumer = None,
            OfLane::CloseProducer if produces => m.closed = true,
            OfLane::CloseConsumer if consumes => m.closed = true,
            OfLane::Send(sends) if produces => return m.line.send(m.capacity, m.closed, sends, got),
            OfLane::Receive(receives) if consumes => return m.line.receive(m.closed, receives),
            OfLane::IsEmpty if consumes => return Ok(vec![m.line.texts.is_empty().into()]),
            _ => {}
        }
        NOTHING
    }

    fn given(m: &mut LaneModel, from: User, to: User, nth: usize) {
        let seat = [&mut m.producer, &mut m.consumer].into_iter().nth(nth);
        if let Some(holder) = seat.and_then(Option::as_mut).filter(|holder| **holder == from) {
            *holder = to;
        }
    }

    fn leaves(m: &mut LaneModel, user: User) {
        m.producer = m.producer.filter(|&producer| producer != user);
        m.consumer = m.consumer.filter(|&consumer| consumer != user);
    }

    fn dies(m: &mut LaneModel, user: User) {
        Self::leaves(m, user);
    }
}

// ---- the pipe ----------------------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
pub enum OfPipe {
    Send(bool, Sends),
    Receive(bool, Receives),
    Poll(bool),
    Close(bool),
}

/// Each user has a pipe of its own, both ends of it; or one end, of its parent's, or of a pipe that two threads have.
pub struct PipeInUse {
    ends: [Option<End>; 2],
}

static ENDS: Table<End> = Table::new();

#[derive(Clone)]
struct Pipe {
    /// What goes to the first end, and to the second.
    to: [Line; 2],
    closed: [bool; 2],
}

#[derive(Clone)]
pub struct PipeModel {
    capacity: usize,
    pipes: Vec<Pipe>,
    /// The pipes whose ends, the first and the second, somebody has.
    ends: BTreeMap<User, [Option<usize>; 2]>,
}

impl PipeModel {
    fn ends_of(&mut self, user: User) -> &mut [Option<usize>; 2] {
        let pipes = &mut self.pipes;
        // A quarter of the ring, with its header.
        let piece = Some((LONGEST as u64).min(self.capacity as u64 / 4 - 8).max(2 * HEAD));
        let line = || Line { piece, ..Line::default() };
        self.ends.entry(user).or_insert_with(|| {
            pipes.push(Pipe { to: [line(), line()], closed: [false; 2] });
            [Some(pipes.len() - 1); 2]
        })
    }

    /// One has an end, only, which was another's.
    fn gives(&mut self, from: User, to: User, nth: usize) {
        let mut ends = [None; 2];
        if let Some(end) = ends.get_mut(nth) {
            *end = self.ends_of(from)[nth].take();
            self.ends.insert(to, ends);
        }
    }
}

impl Modelled for PipeInUse {
    type Shape = usize;
    type Op = OfPipe;
    type Model = PipeModel;

    fn shapes() -> BoxedStrategy<usize> {
        // The smallest, and larger ones.
        prop_oneof![Just(144), (2..7usize).prop_map(|n| n * 128)].boxed()
    }

    fn ops() -> BoxedStrategy<OfPipe> {
        prop_oneof![
            10 => (any::<bool>(), sends()).prop_map(|(end, sends)| OfPipe::Send(end, sends)),
            10 => (any::<bool>(), receives()).prop_map(|(end, receives)| OfPipe::Receive(end, receives)),
            2 => any::<bool>().prop_map(OfPipe::Poll),
            1 => any::<bool>().prop_map(OfPipe::Close),
        ]
        .boxed()
    }

    fn concurrent(op: &OfPipe) -> bool {
        // Of its two lanes, one after the other; pieces come one by one.
        let pieces = matches!(op, OfPipe::Send(_, Sends::Now(text)) if usize::from(text.len) > LONGEST);
        !pieces && !matches!(op, OfPipe::Close(_))
    }

    fn open(_: &Segment, &capacity: &usize) -> Self {
        let (one, other) = pipe::pair(capacity, LONGEST).expect("a pipe");
        PipeInUse { ends: [Some(one), Some(other)] }
    }

    fn apply(&mut self, op: &OfPipe) -> Answer {
        let nothing = |()| vec![];
        let (OfPipe::Send(end, _) | OfPipe::Receive(end, _) | OfPipe::Poll(end) | OfPipe::Close(end)) = *op;
        let place = &mut self.ends[usize::from(end)];
        let Some(end) = place else { return NOTHING };
        match *op {
            OfPipe::Send(_, Sends::Try(text)) => answer(end.try_send(&text.bytes()), nothing),
            OfPipe::Send(_, Sends::Now(text)) => match end.send_until(&text.bytes(), Deadline::now()) {
                // How much it says that it had sent when it gave up between two pieces.
                Err(error) if error.to_string().contains("given up") => {
                    let text = error.to_string();
                    let sent = text.split_once('(').and_then(|(_, said)| said.split_once(' '));
                    Ok(vec![sent.expect("a number").0.parse().expect("a number")])
                }
                sent => answer(sent, nothing),
            },
            OfPipe::Send(_, Sends::InPlace(text, more)) => {
                let sent = end.try_reserve((text.len + more).into()).and_then(|mut place| {
                    place[..text.len.into()].fill(text.byte);
                    dawdle();
                    place.commit_len(text.len.into())
                });
                answer(sent, nothing)
            }
            OfPipe::Send(_, Sends::GiveUp(len)) => answer(end.try_reserve(len.into()).map(drop), nothing),
            OfPipe::Receive(_, Receives::Try) => answer(end.try_recv(), |text| read(&text)),
            OfPipe::Receive(_, Receives::Now) => answer(end.recv_until(Deadline::now()), |text| read(&text)),
            OfPipe::Receive(_, Receives::Into(room)) => {
                let mut into = vec![0; room.into()];
                let got = end.try_recv_into(&mut into);
                read_into(&into, got)
            }
            OfPipe::Receive(_, Receives::InPlace) => answer(end.try_borrow(), |text| read_late(&text)),
            OfPipe::Receive(_, Receives::Left) => answer(end.try_borrow(), |text| {
                let seen = read_late(&text);
                text.put_back().expect("ours");
                seen
            }),
            OfPipe::Poll(_) => answer(end.poll(Duration::ZERO), |ready| vec![ready.into()]),
            OfPipe::Close(_) => answer(place.take().expect("an end").close(), nothing),
        }
    }

    fn ops_of(nth: usize) -> BoxedStrategy<OfPipe> {
        let side = nth == 1;
        let its = move |op| match op {
            OfPipe::Send(_, sends) => OfPipe::Send(side, sends),
            OfPipe::Receive(_, receives) => OfPipe::Receive(side, receives),
            OfPipe::Poll(_) => OfPipe::Poll(side),
            OfPipe::Close(_) => OfPipe::Close(side),
        };
        Self::ops().prop_map(its).boxed()
    }

    fn gives(&mut self, nth: usize) {
        ENDS.put(nth, self.ends.get_mut(nth).and_then(Option::take));
    }

    fn takes(&mut self, nth: usize) {
        if nth < 2 {
            self.ends = [None, None];
            self.ends[nth] = ENDS.take(nth);
        }
    }

    fn adopts(&mut self, parent: &mut Self) {
        self.ends = [None, parent.ends[1].take()];
        if let Some(end) = &mut self.ends[1] {
            end.adopt().expect("the parent waits for it");
        }
    }

    fn hands_over(&mut self, child: i32) {
        if let Some(end) = self.ends[1].take() {
            end.hand_over(child).expect("the child takes it");
        }
    }

    fn model(&capacity: &usize) -> PipeModel {
        PipeModel { capacity, pipes: Vec::new(), ends: BTreeMap::new() }
    }

    fn expect(m: &mut PipeModel, user: User, op: &OfPipe, got: &Answer) -> Answer {
        let (OfPipe::Send(end, _) | OfPipe::Receive(end, _) | OfPipe::Poll(end) | OfPipe::Close(end)) = *op;
        let (here, there) = (usize::from(end), usize::from(!end));
        let Some(pipe) = m.ends_of(user)[here] else { return NOTHING };
        let pipe = &mut m.pipes[pipe];
        match *op {
            OfPipe::Send(_, sends) => pipe.to[there].send(m.capacity, pipe.closed[there], sends, got),
            OfPipe::Receive(_, receives) => pipe.to[here].receive(pipe.closed[there], receives),
            // The end can be received, too.
            OfPipe::Poll(_) => Ok(vec![(pipe.closed[there] || !pipe.to[here].texts.is_empty()).into()]),
            OfPipe::Close(_) => {
                pipe.closed[here] = true;
                m.ends_of(user)[here] = None;
                NOTHING
            }
        }
    }

    fn given(m: &mut PipeModel, from: User, to: User, nth: usize) {
        m.gives(from, to, nth);
    }

    fn handed_over(m: &mut PipeModel, from: User, to: User) {
        m.gives(from, to, 1);
    }

    fn leaves(m: &mut PipeModel, user: User) {
        for (side, pipe) in m.ends.remove(&user).into_iter().flatten().enumerate() {
            if let Some(pipe) = pipe {
                m.pipes[pipe].closed[side] = true;
            }
        }
    }

    /// An end whose holder dies is closed.
    fn dies(m: &mut PipeModel, user: User) {
        Self::leaves(m, user);
    }
}
