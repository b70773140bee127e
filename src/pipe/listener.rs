//! [`Listener`] and [`connect`]: many clients that find a server by name.
#![allow(unsafe_code)]

use super::end::End;
use super::make::{AskedPipe, LISTENER, found_or_made, shape};
use super::rendezvous::RawRendezvous;
use crate::atomic::AtomicU64;
use crate::counted::Keep;
use crate::error::format;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Kind;
use crate::member::{self, Member, OwnerId, Who};
use crate::queue::endpoint::{Endpoint, Holder};
use crate::shm::Segment;
use crate::time::Deadline;
use crate::time::Wait;
use core::fmt;
use core::time::Duration;

/// A listener at a name in a segment: it gets one end of each pipe that a client [`connect`]s.
///
/// There is a fixed number of pipes. A client takes a free one and has its end at once; it may send before it is accepted. A
/// pipe is free again when both its ends were closed or their holders died.
///
/// One thread at a time listens. The listener may move to another thread, whose first operation takes it over; a forked child's
/// copy is refused. *If the listener dies*, clients that were not accepted see the end of their pipes, accepted pipes go on,
/// connecting is refused, and anybody may [`bind`](Self::bind) again. *If a client dies*, its end is closed: an accept after
/// that returns a pipe with what the client had sent, and then the end. Dropping the listener refuses the clients that were not
/// accepted.
///
/// # Examples
/// ```
/// use interproc::{Segment, pipe, process::Builder};
///
/// let seg = Segment::anonymous(1 << 20)?;
/// let mut listener = pipe::Listener::bind(&seg, "lengths", 8, 1 << 12, 256)?;
/// let client = Builder::new().fork(|| {
///     let mut end = pipe::connect(&seg, "lengths").unwrap();
///     end.send(b"hello").unwrap();
///     i32::from(end.recv().unwrap()[0])
/// })?;
/// let mut end = listener.accept()?;
/// let question = end.recv()?;
/// end.send(&[question.len() as u8])?;
/// assert_eq!(client.join()?.code(), Some(5));
/// # Ok::<(), interproc::Error>(())
/// ```
pub struct Listener {
    endpoint: Endpoint<Listening>,
    segment: Segment,
}

/// The listener's seat.
struct Listening {
    rendezvous: RawRendezvous,
    id: OwnerId,
}

impl Holder for Listening {
    fn address(&self) -> *const u8 {
        self.rendezvous.place().address()
    }
    fn word(&self) -> &AtomicU64 {
        self.rendezvous.listener_word()
    }
    fn holder(&self) -> OwnerId {
        self.id
    }
    fn move_to(&mut self, me: &Member) -> Result<()> {
        self.rendezvous.move_to(me, self.id)?;
        self.id = me.id();
        Ok(())
    }
    fn leave(&mut self, me: &Member) {
        self.rendezvous.resign(me);
    }
}

impl Listener {
    /// Listens at `name` in the segment. Finds or creates it with `pipes` pipes (1 to 1024), each with room for `capacity` bytes
    /// each way and for messages of at most `longest` bytes: see [`pair`](super::pair).
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] while a live thread listens there; [`ErrorKind::TypeMismatch`] when the name belongs to
    /// something else, or was bound with other numbers; [`ErrorKind::InvalidInput`] for a number out of range; else as
    /// [`Segment::object`].
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, pipe::Listener};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let listener = Listener::bind(&seg, "door", 2, 1 << 10, 100)?;
    /// assert_eq!(Listener::bind(&seg, "door", 2, 1 << 10, 100).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// drop(listener);
    /// let listener = Listener::bind(&seg, "door", 2, 1 << 10, 100)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn bind(
        segment: &Segment,
        name: &str,
        pipes: usize,
        capacity: usize,
        longest: usize,
    ) -> Result<Self> {
        let raw = found_or_made(segment, name, LISTENER, shape(pipes, 2, capacity, longest)?)?;
        let me = member::current(raw.place().address())?;
        raw.listen(me).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => error.with_detail(format!("somebody listens at {name:?}")),
            _ => error,
        })?;
        let endpoint = Endpoint::new(Listening { rendezvous: raw, id: me.id() });
        Ok(Listener { endpoint, segment: segment.clone() })
    }

    /// Whether it is of the calling process.
    #[cfg(any(feature = "c-abi", test))]
    pub(crate) fn is_of_this_process(&self) -> Result<()> {
        self.endpoint.is_of_this_process()
    }

    /// For those who wait for it beside others.
    pub(crate) fn watched(&self) -> (RawRendezvous, Keep) {
        (self.endpoint.raw.rendezvous, self.segment.keep())
    }

    pub(crate) fn accept_by(&mut self, wait: Wait) -> Result<End> {
        let raw = self.endpoint.raw.rendezvous;
        let me = self.endpoint.me()?;
        let (end, _) = match wait {
            Wait::Never => raw.try_accept(me)?,
            Wait::ForEver => raw.accept(me, None)?,
            Wait::Until(deadline) => raw.accept(me, Some(deadline))?,
        };
        End::new(end, raw, &self.segment)
    }

    /// Accepts the next client: returns this side's end of its pipe. Waits for one as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::NotOwner`] in a forked child; [`ErrorKind::Stale`] when the thread that listened died and somebody else
    /// listens now; [`ErrorKind::Corrupt`]; [`ErrorKind::TooManyMembers`].
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, pipe};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let mut listener = pipe::Listener::bind(&seg, "door", 2, 1 << 10, 100)?;
    /// let mut client = pipe::connect(&seg, "door")?;
    /// client.send(b"knock")?; // even before it is accepted
    /// assert_eq!(listener.accept()?.recv()?, b"knock");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn accept(&mut self) -> Result<End> {
        self.accept_by(Wait::ForEver)
    }

    /// As [`accept`](Self::accept), if a client has connected.
    ///
    /// # Errors
    /// As [`accept`](Self::accept), and [`ErrorKind::Empty`].
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, pipe};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let mut listener = pipe::Listener::bind(&seg, "door", 2, 1 << 10, 100)?;
    /// assert_eq!(listener.try_accept().unwrap_err().kind(), ErrorKind::Empty);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_accept(&mut self) -> Result<End> {
        self.accept_by(Wait::Never)
    }

    /// As [`accept`](Self::accept), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`accept`](Self::accept), and [`ErrorKind::TimedOut`].
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, pipe};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let mut listener = pipe::Listener::bind(&seg, "door", 2, 1 << 10, 100)?;
    /// assert!(listener.accept_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn accept_timeout(&mut self, timeout: Duration) -> Result<End> {
        self.accept_by(Wait::after(timeout))
    }

    /// As [`accept`](Self::accept), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`accept`](Self::accept), and [`ErrorKind::TimedOut`].
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, pipe};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let mut listener = pipe::Listener::bind(&seg, "door", 2, 1 << 10, 100)?;
    /// assert!(listener.accept_until(Deadline::now()).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn accept_until(&mut self, deadline: Deadline) -> Result<End> {
        self.accept_by(Wait::Until(deadline))
    }

    /// The number of pipes.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let listener = interproc::pipe::Listener::bind(&seg, "door", 2, 1 << 10, 100)?;
    /// assert_eq!(listener.pipes(), 2); // so many clients at a time
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pipes(&self) -> usize {
        self.endpoint.raw.rendezvous.place().slots()
    }

    /// How many clients have connected and are not accepted yet: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, pipe};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let mut listener = pipe::Listener::bind(&seg, "door", 2, 1 << 10, 100)?;
    /// let client = pipe::connect(&seg, "door")?;
    /// assert_eq!(listener.pending(), 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pending(&self) -> usize {
        self.endpoint.raw.rendezvous.calls()
    }

    /// Stops listening: clients that were not accepted see the end of their pipes. Dropping does the same.
    ///
    /// # Errors
    /// [`ErrorKind::NotOwner`] in a forked child; [`ErrorKind::Stale`] when somebody else listens now.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, pipe};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let listener = pipe::Listener::bind(&seg, "door", 2, 1 << 10, 100)?;
    /// let mut client = pipe::connect(&seg, "door")?;
    /// listener.close()?;
    /// assert_eq!(client.recv().unwrap_err().kind(), ErrorKind::Closed);
    /// assert_eq!(pipe::connect(&seg, "door").unwrap_err().kind(), ErrorKind::Refused);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn close(mut self) -> Result<()> {
        let me = self.endpoint.me()?;
        self.endpoint.give();
        self.endpoint.raw.leave(me);
        Ok(())
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("pipes", &self.pipes())
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

/// The rendezvous of this name.
fn find(segment: &Segment, name: &str) -> Result<RawRendezvous> {
    segment.find_placed::<AskedPipe>(name, Kind::Pipe, LISTENER)?.ok_or_else(|| {
        let detail = format!("nobody has ever listened at {name:?}");
        Error::from(ErrorKind::Refused).with_detail(detail)
    })
}

pub(crate) fn connect_by(segment: &Segment, name: &str, wait: Wait) -> Result<End> {
    let raw = find(segment, name)?;
    let me = member::current(raw.place().address())?;
    let (end, _) = match wait {
        Wait::Never => raw.try_connect(me)?,
        Wait::ForEver => raw.connect(me, None)?,
        Wait::Until(deadline) => raw.connect(me, Some(deadline))?,
    };
    End::new(end, raw, segment)
}

/// Connects a pipe to the [`Listener`] at `name` in the segment. Waits for a free pipe as long as it takes.
///
/// It does not wait for a listener, or to be accepted: what is sent before stays in the pipe. If the listener dies or closes
/// before it accepts, this end sees the end of the pipe.
///
/// # Errors
/// [`ErrorKind::Refused`]: nobody listens there, at first or while it waits. [`ErrorKind::TypeMismatch`] when the name belongs to
/// something else; [`ErrorKind::Corrupt`]; [`ErrorKind::TooManyMembers`].
///
/// # Examples
/// ```
/// # use interproc::{Segment, pipe};
/// # let seg = Segment::anonymous(1 << 16)?;
/// # let mut listener = pipe::Listener::bind(&seg, "door", 2, 1 << 10, 100)?;
/// let mut client = pipe::connect(&seg, "door")?;
/// let mut server = listener.accept()?;
/// server.send(b"welcome")?;
/// assert_eq!(client.recv()?, b"welcome");
/// # Ok::<(), interproc::Error>(())
/// ```
pub fn connect(segment: &Segment, name: &str) -> Result<End> {
    connect_by(segment, name, Wait::ForEver)
}

/// As [`connect`], if there is a free pipe.
///
/// # Errors
/// As [`connect`], and [`ErrorKind::Full`].
///
/// # Examples
/// ```
/// # use interproc::{ErrorKind, Segment, pipe};
/// # let seg = Segment::anonymous(1 << 16)?;
/// # let mut listener = pipe::Listener::bind(&seg, "door", 1, 1 << 10, 100)?;
/// let first = pipe::try_connect(&seg, "door")?;
/// assert_eq!(pipe::try_connect(&seg, "door").unwrap_err().kind(), ErrorKind::Full);
/// drop((first, listener.accept()?));
/// let second = pipe::try_connect(&seg, "door")?;
/// # Ok::<(), interproc::Error>(())
/// ```
pub fn try_connect(segment: &Segment, name: &str) -> Result<End> {
    connect_by(segment, name, Wait::Never)
}

/// As [`connect`], waiting at most `timeout`.
///
/// # Errors
/// As [`connect`], and [`ErrorKind::TimedOut`].
///
/// # Examples
/// ```
/// # use interproc::{Segment, pipe};
/// # let seg = Segment::anonymous(1 << 16)?;
/// # let mut listener = pipe::Listener::bind(&seg, "door", 1, 1 << 10, 100)?;
/// let client = pipe::connect_timeout(&seg, "door", std::time::Duration::from_millis(5))?;
/// # Ok::<(), interproc::Error>(())
/// ```
pub fn connect_timeout(segment: &Segment, name: &str, timeout: Duration) -> Result<End> {
    connect_by(segment, name, Wait::after(timeout))
}

/// As [`connect`], waiting until `deadline` at the latest.
///
/// # Errors
/// As [`connect`], and [`ErrorKind::TimedOut`].
///
/// # Examples
/// ```
/// # use interproc::{Deadline, Segment, pipe};
/// # let seg = Segment::anonymous(1 << 16)?;
/// # let mut listener = pipe::Listener::bind(&seg, "door", 1, 1 << 10, 100)?;
/// let client = pipe::connect_until(&seg, "door", Deadline::now())?;
/// # Ok::<(), interproc::Error>(())
/// ```
pub fn connect_until(segment: &Segment, name: &str, deadline: Deadline) -> Result<End> {
    connect_by(segment, name, Wait::Until(deadline))
}

/// The live listener at `name`; `None` if nobody listens: a snapshot. As it describes itself: see [`Who`](crate::Who).
///
/// # Errors
/// As [`connect`], but for `Refused`.
///
/// # Examples
/// ```
/// # use interproc::{Segment, pipe};
/// # let seg = Segment::anonymous(1 << 16)?;
/// # let listener = pipe::Listener::bind(&seg, "door", 1, 1 << 10, 100)?;
/// assert_eq!(pipe::listener(&seg, "door")?.expect("this thread").pid, std::process::id());
/// # Ok::<(), interproc::Error>(())
/// ```
pub fn listener(segment: &Segment, name: &str) -> Result<Option<Who>> {
    let raw = match find(segment, name) {
        Err(error) if error.kind() == ErrorKind::Refused => return Ok(None),
        found => found?,
    };
    let me = member::current(raw.place().address())?;
    Ok(raw.listener().map(|id| me.domain().who(id)).filter(|who| who.alive))
}
