//! An end for a program that is started: [`Builder::spawn_giving`] there, [`End::inherited`] here.
//!
//! The parent passes the segment of the pipe, and says in a variable of the environment where in it the pipe lies and which seats are its own. The
//! program opens the segment and moves those seats to itself, by the compare-and-swap of every move (`src/queue/endpoint.rs`). Until then
//! the parent holds the end; windows P-a and P-b of the [module](super) are the windows here. What the variable says is
//! checked: it may be anybody's.
#![allow(unsafe_code)]

use super::end::End;
use super::endpoint::PipeEndpoint;
use super::layout::Place;
use super::make::AskedPipe;
use super::receiver::Receiver;
use super::rendezvous::RawRendezvous;
use super::sender::Sender;
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
use core::ffi::c_int;
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
    /// Where it is there: `:` OFFSET, and for each half `:` which, LANE `,` HOLDER.
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
    /// `NoChild`.
    #[doc(hidden)]
    fn await_taken(self, child: c_int) -> Result<()>;
}

impl<S: Side> PipeEndpoint<S> {
    fn describe(&mut self, half: char, channel: &Option<Counted<Own>>) -> Result<Described> {
        let holder = self.me()?.id().bits();
        let (rendezvous, segment) = self.place();
        let offset = segment.offset_of(rendezvous.place().address());
        let lane = rendezvous.place().index_of(self.seat.lane()).ok_or(ErrorKind::Corrupt)?;
        let told = format!(":{offset}:{half}{lane},{holder}");
        Ok(Described { segment: segment.clone(), told, channel: channel.clone() })
    }
}

impl GiveToProgram for Sender {
    fn describe(&mut self) -> Result<Described> {
        self.endpoint.describe('s', &self.channel)
    }
    fn await_taken(self, child: c_int) -> Result<()> {
        self.hand_over(child)
    }
}

impl GiveToProgram for Receiver {
    fn describe(&mut self) -> Result<Described> {
        let described = self.endpoint.describe('r', &self.channel)?;
        if self.is_in_the_middle() {
            return Err(Error::from(ErrorKind::InvalidInput).with_detail(
                "pieces of a message were received: receive the rest before the end is given away",
            ));
        }
        Ok(described)
    }
    fn await_taken(self, child: c_int) -> Result<()> {
        self.hand_over(child)
    }
}

impl GiveToProgram for End {
    fn describe(&mut self) -> Result<Described> {
        let (to, from) = self.halves();
        both(to, from)
    }
    fn await_taken(self, child: c_int) -> Result<()> {
        self.hand_over(child)
    }
}

/// What is told of both halves of an end.
pub(crate) fn both(to: &mut Sender, from: &mut Receiver) -> Result<Described> {
    let (mut described, from) = (to.describe()?, from.describe()?.told);
    described.told.push_str(from.rfind(':').map_or("", |at| &from[at..]));
    Ok(described)
}

impl Builder {
    /// Starts a program as [`spawn`](Self::spawn) does, and gives it an end of a pipe, which it takes by [`End::inherited`] (or
    /// [`Sender::inherited`], [`Receiver::inherited`]; `interproc_pipe_inherited` in C) with the same `key`.
    ///
    /// **This call returns when the program has taken the end**, or has ended: until then the calling thread holds it. So the holder of
    /// the other end learns of the program's death, at whatever instruction, and never sees an end before that. The program may also be a
    /// script that starts, by exec or as a child, the one that takes it.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn); then there is no child. [`ErrorKind::NoChild`]: the program ended without taking the end. After an
    /// error the end is closed. [`ErrorKind::NotOwner`]: it was not the caller's.
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
    pub fn spawn_giving(&self, program: Program, key: &str, mut gift: impl GiveToProgram) -> Result<Child> {
        let Described { segment, told, channel } = gift.describe()?;
        let mut program = program.object(&[PREFIX, key], &segment, &told)?;
        if let Some(channel) = &channel {
            let fd = channel.get_or(|| Err(libc::EBADF)).map_err(Error::no_descriptor)?;
            let copy = own::copy_above(fd, 3).map_err(Error::from_errno)?;
            // SAFETY: just made.
            program = program.descriptor_at(&[SOCKET, key], unsafe { OwnedFd::from_raw_fd(copy) })?;
        }
        let child = self.spawn(program)?;
        match gift.await_taken(child.pid() as c_int) {
            Ok(()) => Ok(child),
            Err(error) => {
                let error = match child.try_join() {
                    Ok(Some(status)) => {
                        let detail = format!("the program took no end of the pipe, and ended: {status}");
                        Error::from(error.kind()).with_detail(detail)
                    }
                    _ => error,
                };
                child.detach();
                Err(error)
            }
        }
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
        let (rendezvous, _) = segment.placed_at::<AskedPipe>(offset, Kind::Pipe)?;
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
        let found = self.halves.split(':').find_map(|field| field.strip_prefix(half)?.split_once(','));
        let place: &Place = self.rendezvous.place();
        let (lane, holder) = found.ok_or_else(none)?;
        let lane = lane.parse().ok().filter(|&lane: &usize| lane < place.slots() * place.lanes());
        let holder = holder.parse().ok().and_then(OwnerId::of);
        let (Some(lane), Some(holder)) = (lane, holder) else { return Err(none()) };
        Ok((place.lane(lane / place.lanes(), lane % place.lanes())?, holder))
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
    /// [`ErrorKind::NotFound`]: the parent has given none with this key. [`ErrorKind::Stale`]: it was taken already, or the parent has ended.
    /// Those of opening the segment; [`ErrorKind::TooManyMembers`].
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
