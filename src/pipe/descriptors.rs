//! Descriptors beside messages: [`pair_with_descriptors`], [`Sender::send_with_descriptor`], [`Receiver::recv_with_descriptor`].
//!
//! Only the kernel can give a process a descriptor of another one's, through a Unix socket. So such a pipe has a pair of sockets beside its
//! ring, which its ends have from the beginning, as a child inherits them. The message goes through the ring, in a record of a kind of its
//! own: it begins with a number, the position of the record. The descriptor goes through the socket, with the same number, and *before*
//! the record is published: who finds the record finds the descriptor. Other messages have nothing to do with it, and cost what they cost without.
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | P-g | a sender, the descriptor sent, its record not published | a descriptor that belongs to nothing, a dead peer | the receiver, at the end; the kernel closes the descriptor with the socket, or the next one takes it out | the message |
//! | P-h | a receiver that has the descriptor, the record not released | a dead peer | the kernel closes it; the sender, at its next send | the message |
//!
//! Nothing is lost where there is no room for the descriptor in the receiver's table: it is looked at before it is taken, and the message stays.
//!
//! Rejected: `pidfd_getfd`, by which the receiver could take it without a socket, is forbidden between processes that are not each
//! other's ancestors on systems with Yama, and in many containers; a socket with a name, which whoever knows it could send to.
#![allow(unsafe_code)]

use super::end::End;
use super::make::{one_way, pair};
use super::pieces::number_of;
use super::receiver::{Receiver, bytes_of};
use super::sender::{Sender, refusal};
use crate::counted::Counted;
use crate::error::{Error, ErrorKind, Result};
use crate::queue::byte_lane::{LENGTH, Piece};
use crate::sys::own::Own;
use crate::sys::socket::{self, Received};
use crate::time::{Deadline, Wait};
use core::ffi::c_int;
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::vec::Vec;

/// How often a sender that waits for the socket looks whether the receiver lives, in milliseconds: another process may have a copy of the
/// socket, so its end does not tell.
const LOOKS_MS: u32 = 20;
/// Descriptors that belong to nothing which one call takes out: more than that are sent on purpose.
const STRAY: usize = 1 << 12;

fn channel() -> Result<[Counted<Own>; 2]> {
    let [one, other] = socket::pair().map_err(Error::from_errno)?;
    Ok([Counted::new(one)?, Counted::new(other)?])
}

/// As [`pair`](super::pair), for a pipe through which descriptors can go, too: [`Sender::send_with_descriptor`]. It has a
/// pair of sockets beside it: two descriptors more. What else goes through it costs the same.
///
/// # Errors
/// As [`pair`](super::pair).
///
/// # Examples
/// ```
/// use interproc::pipe;
/// use std::io::{Read, Seek, Write};
/// let (mut a, mut b) = pipe::pair_with_descriptors(1 << 12, 100)?;
/// let mut file = tempfile::tempfile()?;
/// # mod tempfile { pub fn tempfile() -> std::io::Result<std::fs::File> {
/// #     use std::os::fd::FromRawFd;
/// #     Ok(unsafe { std::fs::File::from_raw_fd(libc::memfd_create(c"t".as_ptr(), libc::MFD_CLOEXEC)) }) } }
/// file.write_all(b"in the file")?;
/// file.rewind()?;
/// a.send_with_descriptor(b"read this", &file)?;
///
/// let (message, file) = b.recv_with_descriptor()?;
/// assert_eq!(message, b"read this");
/// let mut text = String::new();
/// std::fs::File::from(file.expect("one came")).read_to_string(&mut text)?;
/// assert_eq!(text, "in the file");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pair_with_descriptors(capacity: usize, longest: usize) -> Result<(End, End)> {
    let (mut a, mut b) = pair(capacity, longest.max(LENGTH))?;
    let [one, other] = channel()?;
    a.set_channel(&one);
    b.set_channel(&other);
    Ok((a, b))
}

/// As [`one_way`](super::one_way), for a pipe through which descriptors can go, too: see [`pair_with_descriptors`].
///
/// # Errors
/// As [`one_way`](super::one_way).
///
/// # Examples
/// ```
/// let (mut to, mut from) = interproc::pipe::one_way_with_descriptors(1 << 12, 100)?;
/// to.send_with_descriptor(b"errors go here", &std::io::stderr())?;
/// assert!(from.recv_with_descriptor()?.1.is_some());
/// # Ok::<(), interproc::Error>(())
/// ```
pub fn one_way_with_descriptors(capacity: usize, longest: usize) -> Result<(Sender, Receiver)> {
    let (mut to, mut from) = one_way(capacity, longest.max(LENGTH))?;
    let [one, other] = channel()?;
    (to.channel, from.channel) = (Some(one), Some(other));
    Ok((to, from))
}

fn not_for_descriptors() -> Error {
    Error::from(ErrorKind::Unsupported)
        .with_detail("this pipe was not made for descriptors: see pipe::pair_with_descriptors")
}

impl Sender {
    /// Sends a message, with a copy of a descriptor, waiting for room as long as it takes.
    ///
    /// The descriptor may be closed as soon as this returns. If the receiver receives the message by another call than
    /// [`recv_with_descriptor`](Receiver::recv_with_descriptor), the copy is closed.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`ErrorKind::TooLarge`] for more than [`longest`](Self::longest) bytes less eight: it does not go in pieces.
    /// [`ErrorKind::Unsupported`]: the pipe was not made by [`pair_with_descriptors`] or [`one_way_with_descriptors`].
    /// [`ErrorKind::Resource`]: too many descriptors are on their way between processes.
    ///
    /// # Examples
    /// See [`pair_with_descriptors`].
    pub fn send_with_descriptor(&mut self, message: &[u8], descriptor: &impl AsFd) -> Result<()> {
        self.send_accompanied(message, descriptor.as_fd().as_raw_fd(), Wait::ForEver)
    }

    /// As [`send_with_descriptor`](Self::send_with_descriptor), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`send_with_descriptor`](Self::send_with_descriptor), and [`ErrorKind::TimedOut`].
    ///
    /// # Examples
    /// ```
    /// let (mut to, _from) = interproc::pipe::one_way_with_descriptors(1 << 12, 100)?;
    /// to.send_with_descriptor_until(b"", &std::io::stderr(), interproc::Deadline::now())?; // there is room
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn send_with_descriptor_until(
        &mut self,
        message: &[u8],
        descriptor: &impl AsFd,
        deadline: Deadline,
    ) -> Result<()> {
        self.send_accompanied(message, descriptor.as_fd().as_raw_fd(), Wait::Until(deadline))
    }

    /// As [`send_with_descriptor_until`](Self::send_with_descriptor_until), within `timeout` from now.
    ///
    /// # Errors
    /// As [`send_with_descriptor_until`](Self::send_with_descriptor_until).
    ///
    /// # Examples
    /// ```
    /// let (mut to, _from) = interproc::pipe::one_way_with_descriptors(1 << 12, 100)?;
    /// to.send_with_descriptor_timeout(b"", &std::io::stderr(), std::time::Duration::from_millis(1))?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn send_with_descriptor_timeout(
        &mut self,
        message: &[u8],
        descriptor: &impl AsFd,
        timeout: Duration,
    ) -> Result<()> {
        self.send_accompanied(message, descriptor.as_fd().as_raw_fd(), Wait::after(timeout))
    }

    pub(crate) fn send_accompanied(&mut self, message: &[u8], fd: c_int, wait: Wait) -> Result<()> {
        let me = self.endpoint.me_and_peer(refusal)?;
        let channel = self.channel.clone().ok_or_else(not_for_descriptors)?;
        let len = LENGTH + message.len();
        let place = self.endpoint.seat.reserve_as(me, len, wait)?;
        let number = self.endpoint.seat.raw.seat().position();
        // SAFETY: as many bytes are reserved, and only we write there.
        unsafe {
            place.cast::<[u8; LENGTH]>().write(number.to_le_bytes());
            place.add(LENGTH).as_ptr().copy_from_nonoverlapping(message.as_ptr(), message.len());
        }
        if let Err(error) = self.send_descriptor(&channel, number, fd, wait) {
            self.endpoint.seat.raw.abort();
            return Err(error);
        }
        crate::crash_window!("P-g: the descriptor is sent, its message is not");
        self.endpoint.seat.raw.commit_piece(len, Piece::Accompanied)
    }

    fn send_descriptor(&mut self, channel: &Own, number: u64, fd: c_int, wait: Wait) -> Result<()> {
        loop {
            let socket = channel.get_or(|| Err(libc::EBADF)).map_err(Error::no_descriptor)?;
            match socket::send(socket, number, fd) {
                Ok(()) => return Ok(()),
                Err(libc::EAGAIN) if wait == Wait::Never => return Err(ErrorKind::Full.into()),
                Err(libc::EAGAIN) if wait.deadline().is_some_and(Deadline::has_passed) => {
                    return Err(ErrorKind::TimedOut.into());
                }
                Err(libc::EAGAIN) => {
                    socket::await_writable(socket, LOOKS_MS).map_err(Error::from_errno)?;
                    self.endpoint.me_and_peer(refusal)?;
                }
                Err(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN) => return Err(ErrorKind::Closed.into()),
                Err(libc::EBADF) => {
                    return Err(
                        Error::from(ErrorKind::InvalidInput).with_detail("the descriptor is not open")
                    );
                }
                Err(libc::ETOOMANYREFS) => {
                    return Err(Error::from(ErrorKind::Resource)
                        .with_detail("too many descriptors are on their way between processes"));
                }
                Err(errno) => return Err(Error::from_errno(errno)),
            }
        }
    }
}

impl Receiver {
    /// Receives a message and the descriptor that came with it, if one did, waiting as long as it takes. It is close-on-exec.
    ///
    /// Another call that receives the message closes its descriptor; reading in place refuses it.
    ///
    /// # Errors
    /// As [`recv`](Self::recv). [`ErrorKind::Resource`]: this process has no room for the descriptor; the message and the descriptor stay.
    ///
    /// # Examples
    /// See [`pair_with_descriptors`].
    pub fn recv_with_descriptor(&mut self) -> Result<(Vec<u8>, Option<OwnedFd>)> {
        self.recv_accompanied(Wait::ForEver)
    }

    /// As [`recv_with_descriptor`](Self::recv_with_descriptor), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`recv_with_descriptor`](Self::recv_with_descriptor), and [`ErrorKind::TimedOut`].
    ///
    /// # Examples
    /// ```
    /// let (mut to, mut from) = interproc::pipe::one_way_with_descriptors(1 << 12, 100)?;
    /// to.send(b"alone")?;
    /// let (message, descriptor) = from.recv_with_descriptor_until(interproc::Deadline::now())?;
    /// assert!(message == b"alone" && descriptor.is_none());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn recv_with_descriptor_until(&mut self, deadline: Deadline) -> Result<(Vec<u8>, Option<OwnedFd>)> {
        self.recv_accompanied(Wait::Until(deadline))
    }

    /// As [`recv_with_descriptor_until`](Self::recv_with_descriptor_until), within `timeout` from now.
    ///
    /// # Errors
    /// As [`recv_with_descriptor_until`](Self::recv_with_descriptor_until).
    ///
    /// # Examples
    /// ```
    /// let (_to, mut from) = interproc::pipe::one_way_with_descriptors(1 << 12, 100)?;
    /// assert!(from.recv_with_descriptor_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn recv_with_descriptor_timeout(&mut self, timeout: Duration) -> Result<(Vec<u8>, Option<OwnedFd>)> {
        self.recv_accompanied(Wait::after(timeout))
    }

    fn recv_accompanied(&mut self, wait: Wait) -> Result<(Vec<u8>, Option<OwnedFd>)> {
        match self.find_slowly(wait) {
            Ok((found, _)) => Ok((self.copied(found)?, None)),
            Err(why) => {
                let (message, fd) = self.accompanied_in_pieces(why, wait)?;
                Ok((message, fd.map(Received::into_owned)))
            }
        }
    }

    /// As [`recv_with_descriptor`](Self::recv_with_descriptor), into memory. A message that does not fit stays.
    ///
    /// # Safety
    /// `into` is writable for `size` bytes.
    #[cfg(any(feature = "c-abi", test))]
    pub(crate) unsafe fn recv_accompanied_raw(
        &mut self,
        into: *mut u8,
        size: usize,
        wait: Wait,
    ) -> Result<(usize, Option<Received>)> {
        match self.find_slowly(wait) {
            Ok((found, _)) => {
                // SAFETY: by the contract.
                unsafe { self.copy_out(found, into, size) };
                Ok((found.len, None))
            }
            Err(why) => {
                // SAFETY: by the contract.
                let come = unsafe { self.accompanied_raw_in_pieces(why, into, size, wait) };
                come.map(|(len, _, fd)| (len, fd))
            }
        }
    }

    /// Takes the next record, a message with a descriptor.
    pub(super) fn take_accompanied(&mut self) -> Result<(Vec<u8>, Option<Received>)> {
        let (found, piece) = self.endpoint.seat.raw.next_piece()?;
        if piece != Piece::Accompanied {
            return Err(ErrorKind::Corrupt.into()); // it has changed under our eyes
        }
        let message = bytes_of(found, LENGTH)?;
        let fd = self.find_descriptor(number_of(found))?;
        crate::crash_window!("P-h: the descriptor is here, its message not released");
        if fd.is_some() {
            self.drop_next();
        }
        self.endpoint.seat.raw.release();
        Ok((message, fd))
    }

    /// A copy of the descriptor with this number, which is the next one then. None if there is none.
    fn find_descriptor(&mut self, number: u64) -> Result<Option<Received>> {
        let Some(channel) = &self.channel else { return Ok(None) };
        let socket = channel.get_or(|| Err(libc::EBADF)).map_err(Error::no_descriptor)?;
        for _ in 0..STRAY {
            match socket::peek(socket).map_err(Error::from_errno)? {
                Some((theirs, fd)) if theirs == number => return Ok(fd),
                Some((theirs, _)) if theirs < number => self.drop_next(),
                _ => return Ok(None),
            }
        }
        Err(ErrorKind::Corrupt.into())
    }

    fn drop_next(&self) {
        if let Some(socket) = self.channel.as_ref().and_then(|channel| channel.get()) {
            socket::drop_next(socket);
        }
    }

    /// The descriptor with this number is not wanted.
    pub(super) fn drop_descriptor(&mut self, number: u64) {
        if let Ok(Some(_)) = self.find_descriptor(number) {
            self.drop_next();
        }
    }
}

impl End {
    fn set_channel(&mut self, channel: &Counted<Own>) {
        let (to, from) = self.halves();
        (to.channel, from.channel) = (Some(channel.clone()), Some(channel.clone()));
    }

    /// As [`Sender::send_with_descriptor`].
    ///
    /// # Errors
    /// As [`Sender::send_with_descriptor`].
    ///
    /// # Examples
    /// See [`pair_with_descriptors`].
    pub fn send_with_descriptor(&mut self, message: &[u8], descriptor: &impl AsFd) -> Result<()> {
        self.halves().0.send_with_descriptor(message, descriptor)
    }

    /// As [`Receiver::recv_with_descriptor`].
    ///
    /// # Errors
    /// As [`Receiver::recv_with_descriptor`].
    ///
    /// # Examples
    /// See [`pair_with_descriptors`].
    pub fn recv_with_descriptor(&mut self) -> Result<(Vec<u8>, Option<OwnedFd>)> {
        self.halves().1.recv_with_descriptor()
    }
}
