//! Creating pipes.
#![allow(unsafe_code)]

use super::end::End;
use super::layout::{Geometry, Place};
use super::receiver::Receiver;
use super::rendezvous::RawRendezvous;
use super::sender::Sender;
use crate::error::format;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Kind;
use crate::member;
use crate::shm::{Placed, Room, Segment};
use core::ptr::NonNull;

/// The types of kind [`Kind::Pipe`].
pub(crate) const TWO_WAYS: u64 = (u32::from_le_bytes(*b"Pip2") as u64) << 32;
pub(crate) const ONE_WAY: u64 = (u32::from_le_bytes(*b"Pip1") as u64) << 32;
pub(crate) const LISTENER: u64 = (u32::from_le_bytes(*b"PipL") as u64) << 32;

/// How many threads can use the ends of an anonymous pipe at the same time.
const MEMBERS: u32 = 32;

/// Creates a pipe and returns its two ends, each of which sends to the other: Python's `Pipe()`.
///
/// Each direction has room for at least `capacity` bytes, eight for each message's header included, and for two messages of
/// `longest` bytes, the longest that goes as a whole; longer ones go in pieces: see [`Sender`]. It lies in an anonymous segment of its own, for threads and for children that
/// are given an end. Up to 32 threads can use it at the same time. Both ends are the calling thread's.
///
/// # Errors
/// [`ErrorKind::InvalidInput`]: a size out of range; [`ErrorKind::NoSpace`]; [`ErrorKind::Resource`]: two descriptors are
/// needed; [`ErrorKind::Unsupported`].
///
/// # Examples
/// ```
/// let (mut a, mut b) = interproc::pipe::pair(1 << 16, 1 << 12)?;
/// a.send(b"question")?;
/// assert_eq!(b.recv()?, b"question");
/// b.send(b"answer")?;
/// assert_eq!(a.recv()?, b"answer");
/// drop(a);
/// assert_eq!(b.recv().unwrap_err().kind(), interproc::ErrorKind::Closed);
/// # Ok::<(), interproc::Error>(())
/// ```
pub fn pair(capacity: usize, longest: usize) -> Result<(End, End)> {
    let geometry = shape(1, 2, capacity, longest)?;
    anonymous(geometry)?.pipe_pair("pipe", capacity, longest)
}

/// Creates a one-way pipe and returns its two ends: Python's `Pipe(duplex=False)`. Otherwise as [`pair`].
///
/// # Errors
/// As [`pair`].
///
/// # Examples
/// ```
/// let (mut to, mut from) = interproc::pipe::one_way(1 << 16, 1 << 12)?;
/// to.send(b"news")?;
/// assert_eq!(from.recv()?, b"news");
/// # Ok::<(), interproc::Error>(())
/// ```
pub fn one_way(capacity: usize, longest: usize) -> Result<(Sender, Receiver)> {
    let geometry = shape(1, 1, capacity, longest)?;
    anonymous(geometry)?.pipe_one_way("pipe", capacity, longest)
}

fn anonymous(geometry: Geometry) -> Result<Segment> {
    let size = geometry.size().ok_or(ErrorKind::InvalidInput)?;
    Segment::options().size(size + Place::ALIGN).max_members(MEMBERS).max_objects(1).anonymous()
}

pub(super) fn shape(slots: usize, lanes: usize, capacity: usize, longest: usize) -> Result<Geometry> {
    Geometry::new(slots, lanes, capacity, longest).ok_or_else(|| {
        let detail = format!("{slots} pipes of {capacity} bytes for messages to {longest}");
        Error::from(ErrorKind::InvalidInput).with_detail(detail)
    })
}

/// A pipe, or a listener with its pipes, that is asked for.
pub(super) struct AskedPipe {
    type_id: u64,
    geometry: Geometry,
}

impl Placed for AskedPipe {
    type Handle = RawRendezvous;
    const ALIGN: usize = Place::ALIGN;

    fn limits(&self) -> &'static str {
        "up to 1024 pipes, messages up to 2^32 - 1 bytes"
    }

    fn kind(&self) -> Kind {
        Kind::Pipe
    }

    fn type_id(&self) -> u64 {
        self.type_id
    }

    fn params(&self) -> [u64; 2] {
        self.geometry.params()
    }

    fn size(&self) -> Option<usize> {
        self.geometry.size()
    }

    unsafe fn make(&self, place: NonNull<u8>, size: usize) -> Result<()> {
        // SAFETY: by the contract.
        unsafe { Place::make(place, size, self.geometry) }
    }

    unsafe fn attach(place: NonNull<u8>, size: usize) -> Result<RawRendezvous> {
        // SAFETY: by the contract.
        unsafe { Place::attach(place, size) }.map(RawRendezvous::new)
    }

    fn agrees_with(&self, rendezvous: &RawRendezvous) -> bool {
        rendezvous.place().geometry() == self.geometry
    }
}

/// Finds or creates the object.
pub(super) fn found_or_made(
    segment: &Segment,
    name: &str,
    type_id: u64,
    geometry: Geometry,
) -> Result<RawRendezvous> {
    segment.find_or_make(name, &AskedPipe { type_id, geometry })
}

fn in_use(name: &str) -> impl Fn(Error) -> Error {
    move |error| match error.kind() {
        ErrorKind::WouldBlock => error.with_detail(format!("somebody has an end of the pipe {name:?}")),
        _ => error,
    }
}

impl Room {
    /// Adds a two-way pipe: see [`Segment::pipe_pair`]. A one-way pipe takes less.
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment};
    /// let size = Room::new().pipe(4096, 256).size()?;
    /// Segment::anonymous(size)?.pipe_pair("talk", 4096, 256)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pipe(self, capacity: usize, longest: usize) -> Room {
        self.listener(1, capacity, longest)
    }

    /// Adds a listener and its pipes: see [`pipe::Listener::bind`](crate::pipe::Listener::bind).
    /// # Examples
    /// ```
    /// # use interproc::{Room, pipe::Listener};
    /// let seg = Room::new().listener(8, 4096, 256).options()?.anonymous()?;
    /// let door = Listener::bind(&seg, "door", 8, 4096, 256)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn listener(self, pipes: usize, capacity: usize, longest: usize) -> Room {
        let geometry = Geometry::new(pipes, 2, capacity, longest);
        let what = || format!("{pipes} pipes of {capacity} bytes for messages to {longest}");
        self.add(geometry.and_then(|geometry| geometry.size()), Place::ALIGN, what)
    }
}

impl Segment {
    /// Both ends of the pipe of this name, found or created: see [`pipe::pair`](crate::pipe::pair). A pipe whose ends were all
    /// closed, or whose holders are dead, is empty and open again.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] while a live thread has an end of it; [`ErrorKind::TypeMismatch`] when the name belongs
    /// to something else or to a pipe of other sizes; [`ErrorKind::InvalidInput`] for a size out of range; else as
    /// [`object`](Self::object).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let (mut a, mut b) = seg.pipe_pair("talk", 1 << 12, 256)?;
    /// a.send(b"hello")?;
    /// assert_eq!(b.recv()?, b"hello");
    /// assert_eq!(seg.pipe_pair("talk", 1 << 12, 256).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// drop((a, b));
    /// let again = seg.pipe_pair("talk", 1 << 12, 256)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pipe_pair(&self, name: &str, capacity: usize, longest: usize) -> Result<(End, End)> {
        let rendezvous = found_or_made(self, name, TWO_WAYS, shape(1, 2, capacity, longest)?)?;
        let me = member::current(rendezvous.place().address())?;
        let (a, b) = rendezvous.take_pair(me).map_err(in_use(name))?;
        Ok((End::new(a, rendezvous, self)?, End::new(b, rendezvous, self)?))
    }

    /// Both ends of the one-way pipe of this name, found or created. Otherwise as [`pipe_pair`](Self::pipe_pair).
    ///
    /// # Errors
    /// As [`pipe_pair`](Self::pipe_pair).
    ///
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let (mut to, mut from) = seg.pipe_one_way("news", 1 << 12, 256)?;
    /// to.send(b"rain")?;
    /// assert_eq!(from.recv()?, b"rain");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pipe_one_way(&self, name: &str, capacity: usize, longest: usize) -> Result<(Sender, Receiver)> {
        let rendezvous = found_or_made(self, name, ONE_WAY, shape(1, 1, capacity, longest)?)?;
        let me = member::current(rendezvous.place().address())?;
        let (to, from) = rendezvous.take_one_way(me).map_err(in_use(name))?;
        Ok((Sender::new(to, rendezvous, self.clone())?, Receiver::new(from, rendezvous, self.clone())?))
    }
}
