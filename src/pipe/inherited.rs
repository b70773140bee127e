//! An end for a program that is started: [`Builder::spawn_giving`] there, [`End::inherited`] here.
//!
//! The parent passes the segment of the pipe, and says in a variable of the environment where in it the pipe lies and which seats are its own. The
//! program opens the segment and moves those seats to itself, by the compare-and-swap of every move (`src/queue/endpoint.rs`). Until then
//! the parent holds the end; windows P-a and P-b of the [module](super) are the windows here. What the variable says is
//! checked: it may be anybody's. It may also be old, as whoever descends from the program has it: a thread may sit at a place again where
//! it sat before. So each gift has a number, which lies in the lane until it is taken or the lane is used anew, and is taken once.
#![allow(unsafe_code)]

use super::end::End;
use super::endpoint::PipeEndpoint;
use super::layout::Place;
use super::make::AskedPipe;
use super::receiver::Receiver;
use super::rendezvous::RawRendezvous;
use super::sender::Sender;
use crate::atomic::{AtomicU64, Ordering};
use crate::counted::Counted;
use crate::error::{Error, ErrorKind, Result, format};
use crate::format::Kind;
use crate::member::{self, Member, OwnerId};
use crate::process::{
    Builder, Child, HandOver, Program, inherited, inherited_descriptor, variable, variable_of_c,
};
use crate::queue::endpoint::Side;
use crate::queue::{Lane, RawConsumer, RawProducer};
use crate::shm::Segment;
use crate::sys::own::{self, Own};
use crate::time::Deadline;
use core::ffi::c_int;
use core::time::Duration;
use std::ffi::{OsStr, OsString};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::string::String;

/// With a key behind it: the variable that says where an end is, and the one that holds the number of its socket.
const PREFIX: &str = "INTERPROC_PIPE_";
const SOCKET: &str = "INTERPROC_PIPE_SOCKET_";

/// What is told of an end, or of a half.
#[doc(hidden)]
#[derive(Debug)]
pub struct Described {
    segment: Segment,
    /// Where it is there: `:` OFFSET, and for each half `:` which, LANE `,` HOLDER `,` NUMBER of the gift.
    told: String,
    channel: Option<Counted<Own>>,
}

/// What a parent can give to a program by [`Builder::spawn_giving`]: an [`End`], a [`Sender`], a [`Receiver`].
pub trait GiveToProgram: HandOver {
    /// What the program is told.
    ///
    /// # Errors
    /// It is not the caller's.
    #[doc(hidden)]
    fn describe(&mut self) -> Result<Described>;
    /// In the parent: waits until the child has it.
    ///
    /// # Errors
    /// `NoChild`, `TimedOut`.
    #[doc(hidden)]
    fn await_taken(self, child: c_int, deadline: Option<Deadline>) -> Result<()>;
}

impl<S: Side> PipeEndpoint<S> {
    fn describe(&mut self, half: char, channel: &Option<Counted<Own>>) -> Result<Described> {
        let holder = self.me()?.id().bits();
        let (rendezvous, segment) = self.place();
        let offset = segment.offset_of(rendezvous.place().address());
        let lane = rendezvous.place().index_of(self.seat.lane()).ok_or(ErrorKind::Corrupt)?;
        // Another one for each gift of the same place.
        static GIFTS: AtomicU64 = AtomicU64::new(0);
        let nth = GIFTS.fetch_add(1, Ordering::Relaxed) & 0xff;
        let number = Deadline::now().as_monotonic_ns() << 8 | nth;
        self.seat.lane().offer(half == 'r', number);
        let told = format!(":{offset}:{half}{lane},{holder},{number}");
        Ok(Described { segment: segment.clone(), told, channel: channel.clone() })
    }
}

impl GiveToProgram for Sender {
    fn describe(&mut self) -> Result<Described> {
        self.endpoint.describe('s', &self.channel)
    }
    fn await_taken(mut self, child: c_int, deadline: Option<Deadline>) -> Result<()> {
        self.endpoint.seat.await_adoption_until(child, deadline)
    }
}

impl GiveToProgram for Receiver {
    fn describe(&mut self) -> Result<Described> {
        self.endpoint.me()?;
        if self.is_in_the_middle() {
            return Err(Error::from(ErrorKind::InvalidInput).with_detail(
                "pieces of a message were received: receive the rest before the end is given away",
            ));
        }
        self.endpoint.describe('r', &self.channel)
    }
    fn await_taken(mut self, child: c_int, deadline: Option<Deadline>) -> Result<()> {
        self.endpoint.seat.await_adoption_until(child, deadline)
    }
}

impl GiveToProgram for End {
    fn describe(&mut self) -> Result<Described> {
        let (to, from) = self.halves();
        both(to, from)
    }
    fn await_taken(self, child: c_int, deadline: Option<Deadline>) -> Result<()> {
        let (to, from) = self.split();
        both_taken(to, from, child, deadline)
    }
}

/// What is told of both halves of an end.
pub(crate) fn both(to: &mut Sender, from: &mut Receiver) -> Result<Described> {
    let (mut described, from) = (to.describe()?, from.describe()?.told);
    described.told.push_str(from.rfind(':').map_or("", |at| &from[at..]));
    Ok(described)
}

/// Waits until both halves of an end were taken.
pub(crate) fn both_taken(to: Sender, from: Receiver, child: c_int, deadline: Option<Deadline>) -> Result<()> {
    to.await_taken(child, deadline).and_then(|()| {
        from.await_taken(child, deadline).map_err(|error| match error.kind() {
            ErrorKind::NoChild => {
                Error::from(ErrorKind::NoChild).with_detail("the program took only the half that sends")
            }
            _ => error,
        })
    })
}

impl Builder {
    /// Starts a program as [`spawn`](Self::spawn) does, and gives it an end of a pipe, which it takes by [`End::inherited`] with
    /// the same `key` (in C by `interproc_pipe_inherited`). What a [`Sender`] or [`Receiver`] is given by, it is taken by: [`Sender::inherited`],
    /// [`Receiver::inherited`].
    ///
    /// **This call returns when the program has taken the end**, or has ended: until then the calling thread holds it. So the holder of
    /// the other end learns of the program's death, at whatever instruction, and never sees an end before that. The program may also be a
    /// script that starts, by exec or as a child, the one that takes it. If the program does not take it and goes on, or waits for
    /// something from this thread first, the call waits as long:
    /// [`spawn_giving_until`](Self::spawn_giving_until) has a time limit.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn); then there is no child. [`ErrorKind::NoChild`]: the program ended without taking the end, or took one
    /// half of two. [`ErrorKind::NotOwner`]: it was not the caller's. [`ErrorKind::InvalidInput`]: a key with `=`; a receiver that has
    /// some of the pieces of a message. After an error the end is closed.
    ///
    /// # Examples
    /// ```
    /// use interproc::pipe::{self, End};
    /// use interproc::process::{Builder, Program};
    ///
    /// if std::env::args().any(|a| a == "worker") {
    ///     let mut end = End::inherited("work")?;
    ///     let question = end.recv()?;
    ///     end.send(&[question.len() as u8])?;
    ///     return Ok(());
    /// }
    /// let (mut ours, theirs) = pipe::pair(1 << 12, 100)?;
    /// let itself = Program::new(std::env::current_exe()?).arg("worker");
    /// let child = Builder::new().spawn_giving(itself, "work", theirs)?;
    /// ours.send(b"how long is this?")?;
    /// assert_eq!(ours.recv()?, [17]);
    /// assert_eq!(ours.recv().unwrap_err().kind(), interproc::ErrorKind::Closed); // the program has ended
    /// assert!(child.join()?.success());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_giving(&self, program: Program, key: &str, gift: impl GiveToProgram) -> Result<Child> {
        self.spawn_giving_by(program, key, gift, None)
    }

    /// As [`spawn_giving`](Self::spawn_giving), but the program must have taken the end by `deadline`: otherwise it is killed.
    ///
    /// # Errors
    /// As [`spawn_giving`](Self::spawn_giving), and [`ErrorKind::TimedOut`]: the program was killed and reaped. (What it had started
    /// itself was not.)
    ///
    /// # Examples
    /// ```
    /// use interproc::{Deadline, ErrorKind, pipe, process::{Builder, Program}};
    /// let (mut ours, theirs) = pipe::pair(1 << 12, 100)?;
    /// let program = Program::new("sleep").arg("1000"); // it takes nothing
    /// let soon = Deadline::after(std::time::Duration::from_millis(50));
    /// let error = Builder::new().spawn_giving_until(program, "work", theirs, soon).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// assert_eq!(ours.recv().unwrap_err().kind(), ErrorKind::Closed);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn spawn_giving_until(
        &self,
        program: Program,
        key: &str,
        gift: impl GiveToProgram,
        deadline: Deadline,
    ) -> Result<Child> {
        self.spawn_giving_by(program, key, gift, Some(deadline))
    }

    /// As [`spawn_giving_until`](Self::spawn_giving_until), within `timeout` from now.
    ///
    /// # Errors
    /// As [`spawn_giving_until`](Self::spawn_giving_until).
    ///
    /// # Examples
    /// ```
    /// use interproc::{ErrorKind, pipe, process::{Builder, Program}};
    /// let (_ours, theirs) = pipe::pair(1 << 12, 100)?;
    /// let program = Program::new("sleep").arg("1000"); // it takes nothing
    /// let soon = std::time::Duration::from_millis(50);
    /// let error = Builder::new().spawn_giving_timeout(program, "work", theirs, soon).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn spawn_giving_timeout(
        &self,
        program: Program,
        key: &str,
        gift: impl GiveToProgram,
        timeout: Duration,
    ) -> Result<Child> {
        self.spawn_giving_by(program, key, gift, Some(Deadline::after(timeout)))
    }

    pub(crate) fn spawn_giving_by(
        &self,
        program: Program,
        key: &str,
        mut gift: impl GiveToProgram,
        deadline: Option<Deadline>,
    ) -> Result<Child> {
        let Described { segment, told, channel } = gift.describe()?;
        let mut program = program.object(&[PREFIX, key], &segment, &told)?;
        if let Some(channel) = &channel {
            let fd = channel.get_or(|| Err(libc::EBADF)).map_err(Error::no_descriptor)?;
            let copy = own::copy_above(fd, 3).map_err(Error::from_errno)?;
            // SAFETY: just made.
            program = program.descriptor_at(&[SOCKET, key], unsafe { OwnedFd::from_raw_fd(copy) })?;
        }
        let child = self.spawn(program)?;
        let Err(error) = gift.await_taken(child.pid() as c_int, deadline) else { return Ok(child) };
        if error.kind() == ErrorKind::TimedOut {
            let _ = child.kill();
            let _ = child.join();
            return Err(error.with_detail("the program did not take the end of the pipe, and was killed"));
        }
        let ended = child.try_join();
        child.detach();
        Err(match ended {
            Ok(Some(status)) => error
                .with_detail(format_args!("the program ended without taking the end of the pipe: {status}")),
            _ => error,
        })
    }
}

/// What a variable says, as far as it can be checked here.
struct Told {
    segment: Segment,
    rendezvous: RawRendezvous,
    halves: String,
    channel: Option<Counted<Own>>,
}

impl Told {
    fn read(key: &str, variable: fn([&str; 2]) -> Result<Option<OsString>>) -> Result<Told> {
        let (segment, told) = inherited(variable([PREFIX, key])?)?;
        let socket = variable([SOCKET, key])?;
        let socket = inherited_descriptor(socket.as_deref().and_then(OsStr::to_str).unwrap_or_default())?;
        let own = |fd: OwnedFd| Counted::new(Own::new(fd.into_raw_fd()).map_err(Error::from_errno)?);
        let channel = socket.map(own).transpose()?;
        let mut fields = told.trim_start_matches(':').splitn(2, ':');
        let offset = fields.next().and_then(|offset| offset.parse().ok());
        let (Some(offset), Some(halves)) = (offset, fields.next()) else { return Err(none()) };
        let rendezvous = segment.placed_at::<AskedPipe>(offset, Kind::Pipe)?;
        let halves = crate::fallible::text(halves)?.into_string();
        Ok(Told { segment, rendezvous, halves, channel })
    }

    fn me(&self) -> Result<&Member> {
        member::current(self.rendezvous.place().address()).map(|me| {
            let me: &Member = me;
            me
        })
    }

    /// The lane of one half, and who has its seat.
    fn half(&self, half: char) -> Result<(Lane, OwnerId)> {
        let mut found =
            self.halves.split(':').find_map(|field| field.strip_prefix(half)).ok_or_else(none)?.split(',');
        let place: &Place = self.rendezvous.place();
        let mut next = || found.next().and_then(|number| number.parse::<u64>().ok());
        let lane = next().filter(|&lane| lane < (place.slots() * place.lanes()) as u64);
        let holder = next().and_then(OwnerId::of);
        let (Some(lane), Some(holder), Some(number)) = (lane, holder, next()) else { return Err(none()) };
        let lane = place.lane(lane as usize / place.lanes(), lane as usize % place.lanes())?;
        if holder == self.me()?.id() || !lane.take_offer(half == 'r', number) {
            return Err(Error::from(ErrorKind::Stale)
                .with_detail("this end of a pipe was taken already, or the parent has taken it back"));
        }
        Ok((lane, holder))
    }

    fn sender(&self) -> Result<Sender> {
        let (lane, holder) = self.half('s')?;
        let raw = RawProducer::held(lane, self.me()?, holder)?;
        let mut sender = Sender::new(raw, self.rendezvous, self.segment.clone())?;
        sender.claim()?;
        sender.channel = self.channel.clone();
        Ok(sender)
    }

    fn receiver(&self) -> Result<Receiver> {
        let (lane, holder) = self.half('r')?;
        let raw = RawConsumer::held(lane, self.me()?, holder)?;
        let mut receiver = Receiver::new(raw, self.rendezvous, self.segment.clone())?;
        receiver.claim()?;
        receiver.channel = self.channel.clone();
        Ok(receiver)
    }

    fn end(&self) -> Result<End> {
        // This half first: see `HandOver for End`.
        let receiver = self.receiver()?;
        Ok(End::of(self.sender()?, receiver))
    }
}

#[cold]
fn none() -> Error {
    Error::from(ErrorKind::NotFound).with_detail("the parent has given no such end of a pipe with this key")
}

fn told(key: &str) -> Result<Told> {
    Told::read(key, variable)
}

/// For C: the halves that there are.
pub(crate) fn inherited_halves_of_c(key: &str) -> Result<(Option<Sender>, Option<Receiver>)> {
    let told = Told::read(key, variable_of_c)?;
    let there = |half| told.halves.split(':').any(|field| field.starts_with(half));
    let receiver = if there('r') { Some(told.receiver()?) } else { None };
    let sender = if there('s') { Some(told.sender()?) } else { None };
    if receiver.is_none() && sender.is_none() { Err(none()) } else { Ok((sender, receiver)) }
}

impl End {
    /// Takes the end that the parent has given to this program by [`Builder::spawn_giving`]. Once: the second call fails.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: the parent has given none with this key. [`ErrorKind::Stale`]: it was taken already, or the parent has ended
    /// or has made the pipe anew. [`ErrorKind::TooManyMembers`]. [`ErrorKind::NoObject`], [`ErrorKind::Corrupt`], those of
    /// [`Segment::from_fd`](crate::Segment::from_fd): the variable, or the descriptor that it names, was changed.
    ///
    /// # Examples
    /// See [`Builder::spawn_giving`].
    pub fn inherited(key: &str) -> Result<End> {
        told(key)?.end()
    }
}

impl Sender {
    /// Takes the half that the parent has given to this program: see [`End::inherited`].
    ///
    /// # Errors
    /// As [`End::inherited`].
    ///
    /// # Examples
    /// ```
    /// use interproc::pipe::{self, Sender};
    /// use interproc::process::{Builder, Program};
    /// if std::env::args().any(|a| a == "worker") {
    ///     Sender::inherited("out")?.send(b"done")?;
    ///     return Ok(());
    /// }
    /// let (to, mut from) = pipe::one_way(1 << 12, 100)?;
    /// let itself = Program::new(std::env::current_exe()?).arg("worker");
    /// let child = Builder::new().spawn_giving(itself, "out", to)?;
    /// assert_eq!(from.recv()?, b"done");
    /// # child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inherited(key: &str) -> Result<Sender> {
        told(key)?.sender()
    }
}

impl Receiver {
    /// Takes the half that the parent has given to this program: see [`End::inherited`].
    ///
    /// # Errors
    /// As [`End::inherited`].
    ///
    /// # Examples
    /// ```
    /// use interproc::pipe::{self, Receiver};
    /// use interproc::process::{Builder, Program};
    /// if std::env::args().any(|a| a == "worker") {
    ///     std::process::exit(Receiver::inherited("in")?.recv()?.len() as i32);
    /// }
    /// let (mut to, from) = pipe::one_way(1 << 12, 100)?;
    /// let itself = Program::new(std::env::current_exe()?).arg("worker");
    /// let child = Builder::new().spawn_giving(itself, "in", from)?;
    /// to.send(b"four")?;
    /// assert_eq!(child.join()?.code(), Some(4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inherited(key: &str) -> Result<Receiver> {
        told(key)?.receiver()
    }
}
