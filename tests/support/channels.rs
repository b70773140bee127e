//! The five channels behind one trait, so that what they all promise is tested by one text.
//!
//! Messages are numbers. Where a channel takes bytes, a number stands for a message whose length and bytes follow from it
//! ([`encode`]), and whoever reads one checks every byte ([`decode`]).
#![allow(dead_code)] // Each test binary uses its own part.

use crate::kit::Bare;
use interproc::queue::byte_lane::{self, ByteConsumer, ByteProducer};
use interproc::queue::spsc::{Consumer, Producer, ReadChunk, WriteChunk};
use interproc::queue::{self, BatchError, PushError, RecvError};
use interproc::raw::queue::{ByteRing, Popped, RawByteQueue};
use interproc::{Deadline, Error, ErrorKind, Segment, Wait, Who, pipe};
use std::io::IoSlice;
use std::time::Duration;

/// How a call that gives nothing back was answered.
pub type Done = Result<(), ErrorKind>;

/// An error's kind is what the tests compare.
pub fn kind<T, E: Into<Error>>(answer: Result<T, E>) -> Result<T, ErrorKind> {
    answer.map_err(|e| e.into().kind())
}

/// How long a call may wait: each has its own form of the call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Within {
    /// The plain form.
    Ever,
    /// The `try_` form.
    Now,
    /// The `_timeout` form.
    Time(Duration),
    /// The `_until` form.
    Until(Deadline),
}

pub use Within::{Ever, Now, Time, Until};

/// Calls the form that waits so long.
macro_rules! within {
    ($within:expr, $on:ident, [$ever:ident $now:ident $time:ident $until:ident] $($arg:expr),*) => {
        match $within {
            Ever => $on.$ever($($arg),*),
            Now => $on.$now($($arg),*),
            Time(time) => $on.$time($($arg,)* time),
            Until(deadline) => $on.$until($($arg,)* deadline),
        }
    };
}

/// What a channel is made with.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Messages, or bytes.
    pub capacity: usize,
    /// The longest message, of a channel of bytes; at least 12.
    pub longest: usize,
    /// How often the producer publishes and the consumer frees, where they can choose: messages, or bytes.
    pub every: usize,
}

pub const fn shape(capacity: usize, longest: usize, every: usize) -> Shape {
    Shape { capacity, longest, every }
}

/// The messages of numbers up to this one are of one length; the others are of any that fits.
pub const SHORT: u64 = 0xffff;

/// The bytes of a number's message.
pub fn encode(number: u64, longest: usize) -> Vec<u8> {
    let any = || 8 + number.wrapping_mul(37) as usize % (longest - 7);
    let len = if number <= SHORT { 12 } else { any() };
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((8..len).map(|at| filler(number, at)));
    bytes
}

fn filler(number: u64, at: usize) -> u8 {
    (number as u8).wrapping_mul(31) ^ at as u8
}

/// The number of a message whose length nobody knows; its bytes are as they should be.
#[track_caller]
fn number_of(bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
    assert!((8..bytes.len()).all(|at| bytes[at] == filler(number, at)), "message {number:#x}: {bytes:?}");
    number
}

/// The number of a message, each byte of which is as it should be.
#[track_caller]
pub fn decode(bytes: &[u8], longest: usize) -> u64 {
    let number = number_of(bytes);
    assert_eq!(bytes.len(), encode(number, longest).len(), "the length of message {number:#x}");
    number
}

impl Within {
    /// As the argument of the calls that have one form.
    pub fn wait(self) -> interproc::Wait {
        match self {
            Within::Ever => interproc::Wait::ForEver,
            Within::Now => interproc::Wait::Never,
            Within::Time(time) => interproc::Wait::Until(Deadline::after(time)),
            Within::Until(deadline) => interproc::Wait::Until(deadline),
        }
    }
}

/// Room for a message.
pub trait Reservation {
    fn fill(&mut self, number: u64);
    /// Where the message begins.
    fn address(&mut self) -> usize;
    fn commit(self) -> Done;
}

/// A message where it lies.
pub trait Message {
    fn number(&self) -> u64;
    fn address(&self) -> usize;
    fn is_redelivered(&self) -> bool;
    fn release(self)
    where
        Self: Sized,
    {
        drop(self);
    }
    fn put_back(self) -> Done;
}

/// What a side knows of its channel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    /// Messages, if they are counted.
    pub len: Option<usize>,
    /// Bytes in use, if they are counted.
    pub len_bytes: Option<usize>,
    pub is_empty: bool,
    pub is_full: Option<bool>,
    pub is_closed: bool,
    /// Messages, or bytes.
    pub capacity: usize,
    /// Messages, or bytes; `None` where it is not kept.
    pub peak: Option<usize>,
}

pub trait Channel: 'static {
    type Producer: Send + 'static;
    type Consumer: Send + 'static;
    type Reservation<'a>: Reservation;
    type Message<'a>: Message;

    /// A small one: a few messages, the larger ones two.
    const SMALL: Shape;
    /// Others.
    const SHAPES: &'static [Shape];
    /// How many ways there are to push one message, and to pop one.
    const PUSHES: usize;
    const POPS: usize;
    /// Whether a message that is put back is flagged for the next one to take it.
    const PUT_BACK_IS_TOLD: bool;

    /// Both sides, for the calling thread.
    fn both(seg: &Segment, shape: Shape) -> (Self::Producer, Self::Consumer);

    /// Pushes in the nth way.
    fn push_by(way: usize, p: &mut Self::Producer, within: Within, number: u64) -> Done;
    fn reserve(p: &mut Self::Producer, within: Within) -> Result<Self::Reservation<'_>, ErrorKind>;
    /// Pops in the nth way.
    fn pop_by(way: usize, c: &mut Self::Consumer, within: Within) -> Result<u64, ErrorKind>;
    fn borrow(c: &mut Self::Consumer, within: Within) -> Result<Self::Message<'_>, ErrorKind>;

    /// Closes, and gives the handle back if there is one left.
    fn close(p: Self::Producer) -> Option<Self::Producer>;
    fn close_by_consumer(c: Self::Consumer) -> Option<Self::Consumer>;
    fn producer_sees(p: &Self::Producer) -> State;
    fn consumer_sees(c: &Self::Consumer) -> State;

    fn push(p: &mut Self::Producer, within: Within, number: u64) -> Done {
        Self::push_by(0, p, within, number)
    }

    fn pop(c: &mut Self::Consumer, within: Within) -> Result<u64, ErrorKind> {
        Self::pop_by(0, c, within)
    }

    /// The message, and whether it comes again.
    fn pop_told(c: &mut Self::Consumer, within: Within) -> Result<(u64, bool), ErrorKind> {
        let message = Self::borrow(c, within)?;
        let told = (message.number(), message.is_redelivered());
        message.release();
        Ok(told)
    }

    /// Pushes the numbers from `first` on until there is no room; how many.
    fn fill(p: &mut Self::Producer, first: u64) -> u64 {
        let mut number = first;
        loop {
            match Self::push(p, Now, number) {
                Ok(()) => number += 1,
                Err(kind) => {
                    assert_eq!(kind, ErrorKind::Full);
                    return number - first;
                }
            }
        }
    }

    /// Pops until nothing is left.
    fn drain(c: &mut Self::Consumer) -> Vec<u64> {
        std::iter::from_fn(|| Self::pop(c, Now).ok()).collect()
    }
}

/// A channel with a name, whose sides are taken one by one.
pub trait Named: Channel {
    /// # Errors
    /// `WouldBlock` while somebody has it, if there is one only.
    fn open_producer(seg: &Segment, shape: Shape) -> Result<Self::Producer, ErrorKind>;
    fn open_consumer(seg: &Segment, shape: Shape) -> Result<Self::Consumer, ErrorKind>;

    fn producer(seg: &Segment, shape: Shape) -> Self::Producer {
        Self::open_producer(seg, shape).expect("the producer's side")
    }

    fn consumer(seg: &Segment, shape: Shape) -> Self::Consumer {
        Self::open_consumer(seg, shape).expect("the consumer's side")
    }

    /// What is there, then what comes, until the end; what is there now; as much as is there now.
    fn iter(c: &mut Self::Consumer) -> Box<dyn Iterator<Item = u64> + '_>;
    fn try_iter(c: &mut Self::Consumer) -> Box<dyn Iterator<Item = u64> + '_>;
    fn drain_iter(c: &mut Self::Consumer) -> Box<dyn Iterator<Item = u64> + '_>;
}

/// A channel of any number of producers and consumers, each of which is a handle.
pub trait Shared: Named {
    /// So many of the smallest messages fill [`Channel::SMALL`].
    const ROOM: u64;
    /// Whether producers use the room of a dead producer before a consumer has passed it.
    const GAPS_ARE_ROOM: bool;

    fn clone_producer(p: &Self::Producer) -> Self::Producer;
    fn blocker(p: &Self::Producer) -> Option<Who>;
    /// Pushes one in the library's core; `inside` runs in the middle of the copy.
    fn push_with(seg: &Segment, number: u64, inside: impl FnOnce());
    /// Pops one in the same way.
    fn pop_with(seg: &Segment, inside: impl FnOnce());
}

/// A channel of one producer and one consumer, each of which has a seat.
pub trait Seated: Named {
    /// How much `every` must be for so many of the smallest messages.
    const EACH: usize;

    fn publish_every(p: &mut Self::Producer, every: usize);
    fn flush(p: &mut Self::Producer) -> Done;
    fn free_every(c: &mut Self::Consumer, every: usize);
    fn flush_consumer(c: &mut Self::Consumer) -> Done;
    /// As [`Channel::close`], without a handle in return: a seat can be lost.
    fn try_close(p: &mut Self::Producer) -> Done;
    fn try_close_consumer(c: &mut Self::Consumer) -> Done;
    /// Who has the other seat.
    fn consumer_of(p: &Self::Producer) -> Option<Who>;
    fn producer_of(c: &Self::Consumer) -> Option<Who>;
}

/// A channel of bytes.
pub trait Bytes: Channel {
    fn longest(c: &Self::Consumer) -> usize;
    /// Pushes in the nth way, of those of [`Channel::push_by`].
    fn push_bytes_by(way: usize, p: &mut Self::Producer, within: Within, bytes: &[u8]) -> Done;
    fn pop_bytes_by(way: usize, c: &mut Self::Consumer, within: Within) -> Result<Vec<u8>, ErrorKind>;
    /// Reserves so many bytes, and commits so many.
    fn reserve_and_commit(p: &mut Self::Producer, len: usize, commit: usize) -> Done;
    fn pop_into(c: &mut Self::Consumer, within: Within, into: &mut [u8]) -> Result<usize, RecvError>;
}

// ---- what several have in common -------------------------------------------------------------------------------

/// Handles that outlive the close.
macro_rules! closes {
    () => {
        #[allow(unused_mut)] // Some close by a shared reference.
        fn close(mut p: Self::Producer) -> Option<Self::Producer> {
            p.close().expect("close");
            Some(p)
        }

        #[allow(unused_mut)]
        fn close_by_consumer(mut c: Self::Consumer) -> Option<Self::Consumer> {
            c.close().expect("close");
            Some(c)
        }

        fn both(seg: &Segment, shape: Shape) -> (Self::Producer, Self::Consumer) {
            (Self::producer(seg, shape), Self::consumer(seg, shape))
        }
    };
}

/// What the handles know: whether it is empty, and what else.
macro_rules! sees {
    (|$p:ident| $p_is_empty:expr, |$c:ident| $c_is_empty:expr; $($field:ident)*) => {
        #[allow(clippy::needless_update)] // One knows all.
        fn producer_sees($p: &Self::Producer) -> State {
            let (is_empty, is_closed, capacity) = ($p_is_empty, $p.is_closed(), $p.capacity());
            State { $($field: Some($p.$field()),)* is_empty, is_closed, capacity, ..State::default() }
        }

        #[allow(clippy::needless_update)]
        fn consumer_sees($c: &Self::Consumer) -> State {
            let (is_empty, is_closed, capacity) = ($c_is_empty, $c.is_closed(), $c.capacity());
            State { $($field: Some($c.$field()),)* is_empty, is_closed, capacity, ..State::default() }
        }
    };
}

/// The loops; `$number` makes numbers of what a consumer's messages are.
macro_rules! loops {
    (|$c:ident| $number:expr) => {
        fn iter($c: &mut Self::Consumer) -> Box<dyn Iterator<Item = u64> + '_> {
            let number = $number;
            Box::new($c.iter().map(number))
        }

        fn try_iter($c: &mut Self::Consumer) -> Box<dyn Iterator<Item = u64> + '_> {
            let number = $number;
            Box::new($c.try_iter().map(number))
        }

        fn drain_iter($c: &mut Self::Consumer) -> Box<dyn Iterator<Item = u64> + '_> {
            let number = $number;
            Box::new($c.drain().map(number))
        }
    };
}

/// A value pushed: on an error it has come back.
fn pushed(number: u64, answer: Result<(), PushError<u64>>) -> Done {
    answer.map_err(|e| {
        let kind = e.kind();
        assert_eq!(e.into_value(), number, "another value came back");
        kind
    })
}

/// A batch of one.
fn batched(answer: Result<(), BatchError>) -> Done {
    answer.map_err(|e| {
        assert_eq!(e.pushed, 0);
        e.error.kind()
    })
}

/// Numbers over bytes.
macro_rules! numbers {
    (borrow $borrow:tt) => {
        fn push_by(way: usize, p: &mut Self::Producer, within: Within, number: u64) -> Done {
            Self::push_bytes_by(way, p, within, &encode(number, p.longest()))
        }

        fn pop_by(way: usize, c: &mut Self::Consumer, within: Within) -> Result<u64, ErrorKind> {
            let longest = c.longest();
            Self::pop_bytes_by(way, c, within).map(|bytes| decode(&bytes, longest))
        }

        fn reserve(p: &mut Self::Producer, within: Within) -> Result<Self::Reservation<'_>, ErrorKind> {
            let longest = p.longest();
            kind(within!(within, p, [reserve try_reserve reserve_timeout reserve_until] longest))
        }

        fn borrow(c: &mut Self::Consumer, within: Within) -> Result<Self::Message<'_>, ErrorKind> {
            kind(within!(within, c, $borrow))
        }
    };
}

/// Bytes, copied, in parts, written and read where they lie. A reservation is of the longest message's length.
macro_rules! bytes {
    (
        $channel:ident: push $push:tt, pop $pop:tt, pop_into $into:tt,
        in parts |$p:ident, $within:ident, $bytes:ident| $in_parts:expr
    ) => {
        impl Bytes for $channel {
            fn longest(c: &Self::Consumer) -> usize {
                c.longest()
            }

            fn push_bytes_by(way: usize, $p: &mut Self::Producer, $within: Within, $bytes: &[u8]) -> Done {
                let len = match way {
                    0 => return kind(within!($within, $p, $push $bytes)),
                    1 => return kind($in_parts),
                    2 => $bytes.len(),
                    _ => $p.longest().max($bytes.len()),
                };
                let mut room =
                    kind(within!($within, $p, [reserve try_reserve reserve_timeout reserve_until] len))?;
                room[..$bytes.len()].copy_from_slice($bytes);
                kind(if way == 2 { room.commit() } else { room.commit_len($bytes.len()) })
            }

            fn pop_bytes_by(way: usize, c: &mut Self::Consumer, within: Within) -> Result<Vec<u8>, ErrorKind> {
                match way {
                    0 => kind(within!(within, c, $pop)),
                    1 => {
                        let mut into = vec![0; c.longest()];
                        let len = kind(Self::pop_into(c, within, &mut into))?;
                        into.truncate(len);
                        Ok(into)
                    }
                    _ => Self::borrow(c, within).map(|message| message.to_vec()),
                }
            }

            fn reserve_and_commit(p: &mut Self::Producer, len: usize, commit: usize) -> Done {
                kind(p.reserve(len).and_then(|room| room.commit_len(commit)))
            }

            fn pop_into(c: &mut Self::Consumer, within: Within, into: &mut [u8]) -> Result<usize, RecvError> {
                within!(within, c, $into into)
            }
        }
    };
}

/// A record of bytes that is written or read where it lies.
macro_rules! byte_guards {
    ($reservation:ty, $message:ty) => {
        impl Reservation for $reservation {
            fn fill(&mut self, number: u64) {
                let bytes = encode(number, self.len());
                self[..bytes.len()].copy_from_slice(&bytes);
            }

            fn address(&mut self) -> usize {
                self.as_ptr().addr()
            }

            fn commit(self) -> Done {
                let number = u64::from_le_bytes(self[..8].try_into().expect("eight bytes"));
                let len = encode(number, self.len()).len();
                kind(self.commit_len(len))
            }
        }

        impl Message for $message {
            fn number(&self) -> u64 {
                number_of(self)
            }

            fn address(&self) -> usize {
                self.as_ptr().addr()
            }

            fn is_redelivered(&self) -> bool {
                self.is_redelivered()
            }

            fn put_back(self) -> Done {
                kind(self.put_back())
            }
        }
    };
}

/// The same bytes in three parts.
fn parts(bytes: &[u8]) -> [IoSlice<'_>; 3] {
    let (a, b) = bytes.split_at(bytes.len() / 3);
    [IoSlice::new(a), IoSlice::new(&[]), IoSlice::new(b)]
}

/// The seats' own.
macro_rules! seats {
    () => {
        fn flush(p: &mut Self::Producer) -> Done {
            kind(p.flush())
        }

        fn free_every(c: &mut Self::Consumer, every: usize) {
            c.free_every(every).expect("seated");
        }

        fn flush_consumer(c: &mut Self::Consumer) -> Done {
            kind(c.flush())
        }

        fn try_close(p: &mut Self::Producer) -> Done {
            kind(p.close())
        }

        fn try_close_consumer(c: &mut Self::Consumer) -> Done {
            kind(c.close())
        }

        fn consumer_of(p: &Self::Producer) -> Option<Who> {
            p.peer().expect("a look")
        }

        fn producer_of(c: &Self::Consumer) -> Option<Who> {
            c.peer().expect("a look")
        }
    };
}

// ---- the queue -------------------------------------------------------------------------------------------------

pub struct Queue;

impl Channel for Queue {
    type Producer = queue::Queue<u64>;
    type Consumer = queue::Queue<u64>;
    type Reservation<'a> = queue::Reservation<'a, u64>;
    type Message<'a> = queue::Message<'a, u64>;

    const SMALL: Shape = shape(3, 0, 1);
    const SHAPES: &'static [Shape] =
        &[shape(1, 0, 1), shape(2, 0, 1), shape(3, 0, 1), shape(7, 0, 1), shape(64, 0, 1)];
    const PUSHES: usize = 2;
    const POPS: usize = 3;
    const PUT_BACK_IS_TOLD: bool = true;

    closes!();
    sees!(|p| p.is_empty(), |c| c.is_empty(); len is_full peak);

    fn push_by(way: usize, p: &mut Self::Producer, within: Within, number: u64) -> Done {
        if way == 0 {
            return pushed(number, within!(within, p, [push try_push push_timeout push_until] number));
        }
        let mut room = Self::reserve(p, within)?;
        room.fill(number);
        Reservation::commit(room)
    }

    fn reserve(p: &mut Self::Producer, within: Within) -> Result<Self::Reservation<'_>, ErrorKind> {
        kind(within!(within, p, [reserve try_reserve reserve_timeout reserve_until]))
    }

    fn pop_by(way: usize, c: &mut Self::Consumer, within: Within) -> Result<u64, ErrorKind> {
        match (way, within) {
            (1, _) => Self::pop_told(c, within).map(|told| told.0),
            (2, _) => Self::borrow(c, within).map(|message| message.take()),
            _ => kind(within!(within, c, [pop try_pop pop_timeout pop_until])),
        }
    }

    fn borrow(c: &mut Self::Consumer, within: Within) -> Result<Self::Message<'_>, ErrorKind> {
        kind(within!(within, c, [borrow try_borrow borrow_timeout borrow_until]))
    }

    fn pop_told(c: &mut Self::Consumer, within: Within) -> Result<(u64, bool), ErrorKind> {
        let popped =
            within!(within, c, [pop_delivery try_pop_delivery pop_delivery_timeout pop_delivery_until]);
        kind(popped).map(|d| (d.value, d.redelivered))
    }
}

impl Named for Queue {
    fn open_producer(seg: &Segment, shape: Shape) -> Result<Self::Producer, ErrorKind> {
        kind(seg.queue("queue", shape.capacity))
    }

    fn open_consumer(seg: &Segment, shape: Shape) -> Result<Self::Consumer, ErrorKind> {
        Self::open_producer(seg, shape)
    }

    loops!(|_c| |number: u64| number);
}

impl Shared for Queue {
    const ROOM: u64 = 3;
    const GAPS_ARE_ROOM: bool = false;

    fn clone_producer(p: &Self::Producer) -> Self::Producer {
        p.clone()
    }

    fn blocker(p: &Self::Producer) -> Option<Who> {
        p.blocker().expect("blocker")
    }

    fn push_with(seg: &Segment, number: u64, inside: impl FnOnce()) {
        let bare = Bare::new(seg);
        let fill = |cell: *mut u8| {
            inside();
            // SAFETY: the cell holds a u64.
            unsafe { cell.cast::<u64>().write_unaligned(number) };
        };
        bare.queue("queue").push_with(bare.member(), None, fill).expect("push");
    }

    fn pop_with(seg: &Segment, inside: impl FnOnce()) {
        let bare = Bare::new(seg);
        bare.queue("queue").pop_with(bare.member(), None, |_| inside()).expect("pop");
    }
}

impl Reservation for queue::Reservation<'_, u64> {
    fn fill(&mut self, number: u64) {
        **self = number;
    }

    fn address(&mut self) -> usize {
        std::ptr::from_ref::<u64>(self).addr()
    }

    fn commit(self) -> Done {
        kind(self.commit())
    }
}

impl Message for queue::Message<'_, u64> {
    fn number(&self) -> u64 {
        **self
    }

    fn address(&self) -> usize {
        std::ptr::from_ref::<u64>(self).addr()
    }

    fn is_redelivered(&self) -> bool {
        self.is_redelivered()
    }

    fn put_back(self) -> Done {
        kind(self.put_back())
    }
}

// ---- the byte queue --------------------------------------------------------------------------------------------

pub struct ByteQueue;

impl Channel for ByteQueue {
    type Producer = queue::ByteQueue;
    type Consumer = queue::ByteQueue;
    type Reservation<'a> = queue::ByteReservation<'a>;
    type Message<'a> = queue::ByteMessage<'a>;

    /// A ring of eight granules, for messages of up to two.
    const SMALL: Shape = shape(512, 120, 1);
    const SHAPES: &'static [Shape] = &[shape(512, 120, 1), shape(256, 12, 1), shape(4096, 1000, 1)];
    const PUSHES: usize = 4;
    const POPS: usize = 3;
    const PUT_BACK_IS_TOLD: bool = true;

    closes!();
    sees!(|p| p.is_empty(), |c| c.is_empty(); len len_bytes is_full peak);
    numbers!(borrow [borrow try_borrow borrow_timeout borrow_until]);

    fn pop_told(c: &mut Self::Consumer, within: Within) -> Result<(u64, bool), ErrorKind> {
        let popped =
            within!(within, c, [pop_delivery try_pop_delivery pop_delivery_timeout pop_delivery_until]);
        kind(popped).map(|d| (decode(&d.value, c.longest()), d.redelivered))
    }
}

byte_guards!(queue::ByteReservation<'_>, queue::ByteMessage<'_>);

bytes! {
    ByteQueue:
    push [push try_push push_timeout push_until],
    pop [pop try_pop pop_timeout pop_until],
    pop_into [pop_into try_pop_into pop_into_timeout pop_into_until],
    in parts |p, within, bytes| {
        let parts = parts(bytes);
        within!(within, p, [push_vectored try_push_vectored push_vectored_timeout push_vectored_until] &parts)
    }
}

impl Named for ByteQueue {
    fn open_producer(seg: &Segment, shape: Shape) -> Result<Self::Producer, ErrorKind> {
        kind(seg.byte_queue("queue", shape.capacity, shape.longest))
    }

    fn open_consumer(seg: &Segment, shape: Shape) -> Result<Self::Consumer, ErrorKind> {
        Self::open_producer(seg, shape)
    }

    loops!(|c| {
        let longest = c.longest();
        move |bytes: Vec<u8>| decode(&bytes, longest)
    });
}

impl ByteQueue {
    /// The same queue, without its manners.
    pub fn bare(seg: &Segment) -> (Bare, RawByteQueue) {
        let bare = Bare::new(seg);
        let (at, size) = bare.object("queue");
        // SAFETY: the directory's word for it; the mapping stays.
        let ring = unsafe { ByteRing::attach(bare.base.add(at), size) }.expect("a queue");
        (bare, RawByteQueue::new(ring))
    }
}

impl Shared for ByteQueue {
    const ROOM: u64 = 8;
    const GAPS_ARE_ROOM: bool = true;

    fn clone_producer(p: &Self::Producer) -> Self::Producer {
        p.clone()
    }

    fn blocker(p: &Self::Producer) -> Option<Who> {
        p.blocker().expect("blocker")
    }

    fn push_with(seg: &Segment, number: u64, inside: impl FnOnce()) {
        let (bare, q) = Self::bare(seg);
        let bytes = encode(number, Self::SMALL.longest);
        let fill = |room: *mut u8| {
            inside();
            // SAFETY: there is room for so many bytes.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), room, bytes.len()) };
        };
        q.push_with(bare.member(), bytes.len(), Wait::ForEver, fill).expect("push");
    }

    fn pop_with(seg: &Segment, inside: impl FnOnce()) {
        let (bare, q) = Self::bare(seg);
        let longest = Self::SMALL.longest;
        let popped = q.pop_with(bare.member(), longest, Wait::ForEver, |_, _| inside()).expect("pop");
        assert!(matches!(popped, Popped::Taken(..)));
    }
}

// ---- the queue of one producer and one consumer ----------------------------------------------------------------

pub struct Spsc;

impl Channel for Spsc {
    type Producer = Producer<u64>;
    type Consumer = Consumer<u64>;
    type Reservation<'a> = WriteChunk<'a, u64>;
    type Message<'a> = ReadChunk<'a, u64>;

    const SMALL: Shape = shape(3, 0, 1);
    const SHAPES: &'static [Shape] = &[
        shape(1, 0, 1),
        shape(1, 0, 1000),
        shape(2, 0, 1),
        shape(3, 0, 3),
        shape(7, 0, 1),
        shape(7, 0, 3),
        shape(64, 0, 1),
        shape(64, 0, 3),
        shape(64, 0, 1000),
    ];
    const PUSHES: usize = 4;
    const POPS: usize = 4;
    const PUT_BACK_IS_TOLD: bool = false;

    closes!();
    sees!(|p| p.is_empty(), |c| c.is_empty(); len is_full peak);

    fn push_by(way: usize, p: &mut Self::Producer, within: Within, number: u64) -> Done {
        match (way, within) {
            (0, _) => pushed(number, within!(within, p, [push try_push push_timeout push_until] number)),
            (1, Now) => kind(p.try_push_batch(&[number])).map(|n| assert_eq!(n, 1)),
            (1, Ever) => batched(p.push_batch(&[number])),
            (1, Time(time)) => batched(p.push_batch_timeout(&[number], time)),
            (1, Until(deadline)) => batched(p.push_batch_until(&[number], deadline)),
            (2, Ever) => kind(p.reserve_uninit(1).and_then(|room| room.fill_from_iter([number]))).map(drop),
            (2, Now) => {
                kind(p.try_reserve_uninit(1).and_then(|room| room.fill_from_iter([number]))).map(drop)
            }
            _ => {
                let mut room = Self::reserve(p, within)?;
                room.fill(number);
                Reservation::commit(room)
            }
        }
    }

    fn reserve(p: &mut Self::Producer, within: Within) -> Result<Self::Reservation<'_>, ErrorKind> {
        kind(within!(within, p, [reserve try_reserve reserve_timeout reserve_until] 1))
    }

    fn pop_by(way: usize, c: &mut Self::Consumer, within: Within) -> Result<u64, ErrorKind> {
        let mut into = [0];
        match way {
            0 => kind(within!(within, c, [pop try_pop pop_timeout pop_until])),
            1 => Self::pop_told(c, within).map(|told| told.0),
            2 => {
                let popped =
                    within!(within, c, [pop_batch try_pop_batch pop_batch_timeout pop_batch_until] &mut into);
                kind(popped).map(|n| assert_eq!(n, 1)).map(|()| into[0])
            }
            _ => {
                let chunk = Self::borrow(c, within)?;
                let number = chunk.number();
                Message::release(chunk);
                Ok(number)
            }
        }
    }

    fn borrow(c: &mut Self::Consumer, within: Within) -> Result<Self::Message<'_>, ErrorKind> {
        kind(within!(within, c, [borrow try_borrow borrow_timeout borrow_until] 1))
    }

    fn pop_told(c: &mut Self::Consumer, within: Within) -> Result<(u64, bool), ErrorKind> {
        let popped =
            within!(within, c, [pop_delivery try_pop_delivery pop_delivery_timeout pop_delivery_until]);
        kind(popped).map(|d| (d.value, d.redelivered))
    }
}

impl Named for Spsc {
    fn open_producer(seg: &Segment, shape: Shape) -> Result<Self::Producer, ErrorKind> {
        let mut p = kind(seg.spsc_producer("spsc", shape.capacity))?;
        p.publish_every(shape.every);
        Ok(p)
    }

    fn open_consumer(seg: &Segment, shape: Shape) -> Result<Self::Consumer, ErrorKind> {
        let mut c = kind(seg.spsc_consumer("spsc", shape.capacity))?;
        c.free_every(shape.every).expect("seated");
        Ok(c)
    }

    loops!(|_c| |number: u64| number);
}

impl Seated for Spsc {
    const EACH: usize = 1;

    seats!();

    fn publish_every(p: &mut Self::Producer, every: usize) {
        p.publish_every(every);
    }
}

impl Reservation for WriteChunk<'_, u64> {
    fn fill(&mut self, number: u64) {
        self.as_mut_slices().0[0] = number;
    }

    fn address(&mut self) -> usize {
        self.as_mut_slices().0.as_ptr().addr()
    }

    fn commit(self) -> Done {
        kind(self.commit_all())
    }
}

impl Message for ReadChunk<'_, u64> {
    fn number(&self) -> u64 {
        self.as_slices().0[0]
    }

    fn address(&self) -> usize {
        self.as_slices().0.as_ptr().addr()
    }

    fn is_redelivered(&self) -> bool {
        self.redelivered() > 0
    }

    fn release(self) {
        self.release_all();
    }

    fn put_back(self) -> Done {
        drop(self);
        Ok(())
    }
}

// ---- the byte lane ---------------------------------------------------------------------------------------------

pub struct ByteLane;

impl Channel for ByteLane {
    type Producer = ByteProducer;
    type Consumer = ByteConsumer;
    type Reservation<'a> = byte_lane::ByteReservation<'a>;
    type Message<'a> = byte_lane::ByteMessage<'a>;

    /// Room for two.
    const SMALL: Shape = shape(0, 24, 1);
    const SHAPES: &'static [Shape] =
        &[shape(0, 12, 1), shape(64, 24, 1), shape(64, 24, 48), shape(2000, 1000, 1), shape(4096, 100, 900)];
    const PUSHES: usize = 4;
    const POPS: usize = 3;
    const PUT_BACK_IS_TOLD: bool = false;

    closes!();
    sees!(|p| p.len_bytes() == 0, |c| c.is_empty(); len_bytes peak);
    numbers!(borrow [borrow try_borrow borrow_timeout borrow_until]);

    fn pop_told(c: &mut Self::Consumer, within: Within) -> Result<(u64, bool), ErrorKind> {
        let mut room = vec![0; c.longest()];
        let got = kind(c.pop_into_delivery(&mut room, within.wait()))?;
        Ok((decode(&room[..got.value], c.longest()), got.redelivered))
    }
}

// A pipe's, too.
byte_guards!(byte_lane::ByteReservation<'_>, byte_lane::ByteMessage<'_>);

bytes! {
    ByteLane:
    push [push try_push push_timeout push_until],
    pop [pop try_pop pop_timeout pop_until],
    pop_into [pop_into try_pop_into pop_into_timeout pop_into_until],
    in parts |p, within, bytes| {
        let parts = parts(bytes);
        within!(within, p, [push_vectored try_push_vectored push_vectored_timeout push_vectored_until] &parts)
    }
}

impl Named for ByteLane {
    fn open_producer(seg: &Segment, shape: Shape) -> Result<Self::Producer, ErrorKind> {
        let mut p = kind(seg.byte_producer("lane", shape.capacity, shape.longest))?;
        p.publish_every(shape.every).expect("seated");
        Ok(p)
    }

    fn open_consumer(seg: &Segment, shape: Shape) -> Result<Self::Consumer, ErrorKind> {
        let mut c = kind(seg.byte_consumer("lane", shape.capacity, shape.longest))?;
        c.free_every(shape.every).expect("seated");
        Ok(c)
    }

    loops!(|c| {
        let longest = c.longest();
        move |bytes: Vec<u8>| decode(&bytes, longest)
    });
}

impl Seated for ByteLane {
    /// The header, and 12 bytes made 16.
    const EACH: usize = 24;

    seats!();

    fn publish_every(p: &mut Self::Producer, every: usize) {
        p.publish_every(every).expect("seated");
    }
}

// ---- the pipe --------------------------------------------------------------------------------------------------

pub struct Pipe;

impl Channel for Pipe {
    type Producer = pipe::Sender;
    type Consumer = pipe::Receiver;
    type Reservation<'a> = pipe::Reservation<'a>;
    type Message<'a> = pipe::Message<'a>;

    /// Room for two.
    const SMALL: Shape = shape(0, 24, 1);
    const SHAPES: &'static [Shape] = &[shape(0, 12, 1), shape(2000, 600, 1), shape(1 << 14, 600, 1)];
    const PUSHES: usize = 4;
    const POPS: usize = 3;
    const PUT_BACK_IS_TOLD: bool = false;

    numbers!(borrow [borrow try_borrow borrow_timeout borrow_until]);

    fn pop_told(c: &mut Self::Consumer, within: Within) -> Result<(u64, bool), ErrorKind> {
        let mut room = vec![0; c.longest()];
        let got = kind(c.recv_into_delivery(&mut room, within.wait()))?;
        Ok((decode(&room[..got.value], c.longest()), got.redelivered))
    }
    sees!(|p| p.len_bytes() == 0, |c| c.len_bytes() == 0; len_bytes);

    fn both(seg: &Segment, shape: Shape) -> (Self::Producer, Self::Consumer) {
        seg.pipe_one_way("way", shape.capacity, shape.longest).expect("one way")
    }

    fn close(p: Self::Producer) -> Option<Self::Producer> {
        p.close().expect("close");
        None
    }

    fn close_by_consumer(c: Self::Consumer) -> Option<Self::Consumer> {
        c.close().expect("close");
        None
    }
}

bytes! {
    Pipe:
    push [send try_send send_timeout send_until],
    pop [recv try_recv recv_timeout recv_until],
    pop_into [recv_into try_recv_into recv_into_timeout recv_into_until],
    in parts |p, within, bytes| match within {
        Ever if bytes.len().is_multiple_of(2) => p.send_vectored(&parts(bytes)),
        Ever => p.send_bytes(&[&b"xx"[..], bytes, b"yyy"].concat(), 2, bytes.len()),
        _ => within!(within, p, [send try_send send_timeout send_until] bytes),
    }
}
