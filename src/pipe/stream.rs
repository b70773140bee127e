//! [`Reader`] and [`Writer`]: a pipe as a stream of bytes, for what reads and writes those.
#![allow(unsafe_code)]

use super::end::End;
use super::pieces::number_of;
use super::receiver::Receiver;
use super::sender::Sender;
use crate::error::{Error, ErrorKind};
use crate::queue::byte_lane::{Found, LENGTH, Piece};
use crate::time::Wait;
use core::borrow::BorrowMut;
use core::fmt;
use core::ptr::NonNull;
use std::io::{self, BufRead, IoSlice, Read, Write};

/// Reads what comes through a pipe as one stream of bytes: where a message ends is not told. By [`Receiver::reader`],
/// [`Receiver::into_reader`] and [`End::reader`].
///
/// A read waits for bytes. It reads them in place: there is no buffer beside the pipe's own, so it need not be wrapped in a
/// `BufReader`. At the end of the pipe it reads nothing more; where the sender died in the middle of a message that came in pieces, it
/// fails with [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) (and where only whole messages were sent, a death looks like an end: see
/// that what is read is complete).
///
/// Dropped in the middle of a message it leaves the rest, for the next reader or for a call of the [`Receiver`], which gets what
/// is left as a message. What a sender gave up in the middle ([`TimedOut`](ErrorKind::TimedOut) there) may have been read by then.
///
/// Threads, forks, signals and deaths: as [`Receiver`].
///
/// # Examples
/// ```
/// use std::io::{BufRead, Write};
/// let (to, from) = interproc::pipe::one_way(1 << 12, 100)?;
/// let writer = std::thread::spawn(move || {
///     let mut to = to.into_writer();
///     for line in ["one", "two"] {
///         writeln!(to, "{line}")?;
///     }
///     Ok::<(), std::io::Error>(())
/// });
/// let lines: Vec<String> = from.into_reader().lines().collect::<Result<_, _>>()?;
/// assert_eq!(lines, ["one", "two"]);
/// # writer.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reader<R: BorrowMut<Receiver> = Receiver> {
    receiver: R,
    /// The record that is being read: its length, and how much of it was read, or is not of the message.
    len: usize,
    at: usize,
    /// Some bytes of it were read.
    begun: bool,
    /// A message begins with it.
    starts: bool,
    /// Bytes that are still to come of the message.
    missing: usize,
}

impl<R: BorrowMut<Receiver>> Reader<R> {
    fn new(receiver: R) -> Self {
        let mut reader = Reader { receiver, len: 0, at: 0, begun: false, starts: false, missing: 0 };
        let receiver = reader.receiver.borrow();
        if receiver.is_in_the_middle()
            && let Some(pieces) = &receiver.pieces
        {
            (reader.at, reader.missing) = (pieces.begun, pieces.len);
            reader.begun = pieces.begun > 0;
        }
        reader
    }

    /// The next bytes in place; none at the end.
    fn find(&mut self) -> io::Result<Option<NonNull<[u8]>>> {
        loop {
            let receiver = self.receiver.borrow_mut();
            let found = match receiver.find_slowly(Wait::ForEver) {
                Ok((found, _)) => {
                    if !self.begun {
                        self.starts = true;
                        (self.at, self.missing) = (0, found.len); // if some were missing, their sender has given up
                    }
                    found
                }
                Err(error) if error.kind() == ErrorKind::Closed && self.missing == 0 => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Closed => {
                    receiver.pieces = None;
                    let cut = Error::from(ErrorKind::CutShort).with_detail(format_args!(
                        "{} bytes of a message are missing",
                        core::mem::take(&mut self.missing)
                    ));
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, cut));
                }
                Err(error) if error.kind() == ErrorKind::TooLarge => self.piece()?,
                Err(error) => return Err(error.into()),
            };
            self.len = found.len;
            if self.at < self.len {
                return Ok(Some(NonNull::slice_from_raw_parts(found.bytes, found.len)));
            }
            self.over()?;
        }
    }

    /// The next piece of a message. Where it was not begun, `at` is where its bytes begin.
    fn piece(&mut self) -> io::Result<Found> {
        let receiver = self.receiver.borrow_mut();
        let (found, piece) = receiver.endpoint.seat.raw.next_piece()?;
        if self.begun {
            return Ok(found);
        }
        (self.at, self.starts) = (LENGTH, matches!(piece, Piece::First | Piece::Accompanied));
        match piece {
            Piece::First => self.missing = usize::try_from(number_of(found)).unwrap_or(usize::MAX),
            Piece::Accompanied => {
                self.missing = found.len - LENGTH;
                receiver.drop_descriptor(number_of(found));
            }
            // Without a beginning: it was skipped.
            Piece::More | Piece::Begun => self.at = if self.missing == 0 { found.len } else { 0 },
        }
        Ok(found)
    }

    /// The record is read.
    fn over(&mut self) -> io::Result<()> {
        (self.at, self.len, self.begun) = (0, 0, false);
        Ok(self.receiver.borrow_mut().release()?)
    }

    /// What was taken out already, by a call that copies.
    fn taken(&self) -> Option<&[u8]> {
        let receiver = self.receiver.borrow();
        let pieces = receiver.pieces.as_ref().filter(|pieces| !pieces.bytes.is_empty())?;
        (!self.begun && receiver.is_in_the_middle()).then_some(&pieces.bytes)
    }
}

impl<R: BorrowMut<Receiver>> BufRead for Reader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken().is_some() {
            return Ok(self.taken().unwrap_or_default());
        }
        // SAFETY: the message lies in the ring until it is released, for which `self` is needed.
        Ok(self.find()?.map_or(&[], |found| unsafe { &found.as_ref()[self.at..] }))
    }

    fn consume(&mut self, bytes: usize) {
        if let Some(taken) = self.taken() {
            let bytes = bytes.min(taken.len());
            if let Some(pieces) = &mut self.receiver.borrow_mut().pieces {
                pieces.bytes.drain(..bytes);
                pieces.len -= bytes;
            }
            self.missing = self.missing.saturating_sub(bytes);
            return;
        }
        let bytes = bytes.min(self.len - self.at);
        self.at += bytes;
        self.begun |= bytes > 0;
        self.missing = self.missing.saturating_sub(bytes);
        if self.at == self.len && self.len > 0 {
            let _ = self.over(); // if it fails, so does the next read
        }
    }
}

impl<R: BorrowMut<Receiver>> Read for Reader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: BorrowMut<Receiver>> Drop for Reader<R> {
    fn drop(&mut self) {
        // Nothing has changed since it was made: what was taken or begun is noted already.
        if self.taken().is_some() || self.begun && self.len == 0 {
            return;
        }
        let (at, len, begun) = (self.at, self.len, self.begun);
        let untouched = !begun && len > 0 && self.starts;
        let missing = if untouched { 0 } else { self.missing };
        self.receiver.borrow_mut().leaves_reader(at, len, begun, missing);
    }
}

impl<R: BorrowMut<Receiver>> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("receiver", self.receiver.borrow()).finish_non_exhaustive()
    }
}

/// Writes a stream of bytes into a pipe. By [`Sender::writer`], [`Sender::into_writer`] and [`End::writer`].
///
/// Each write is a message, of as many of the bytes as fit one; it waits for room. For many small writes put a `BufWriter` around
/// it. There is nothing to flush: what is written is sent. When the other end is closed or dead it fails with
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe) (there is no signal).
///
/// Threads, forks, signals and deaths: as [`Sender`].
///
/// # Examples
/// ```
/// use std::io::Write;
/// let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
/// write!(to.writer(), "{}", 42)?;
/// assert_eq!(from.recv()?, b"42");
/// let parts = [&b"head "[..], &[7; 200]].map(std::io::IoSlice::new);
/// assert_eq!(to.writer().write_vectored(&parts)?, 100); // one message
/// assert!(from.recv()?.starts_with(b"head \x07"));
/// drop(from);
/// assert_eq!(to.writer().write(b"?").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Writer<S: BorrowMut<Sender> = Sender> {
    sender: S,
}

impl<S: BorrowMut<Sender>> Write for Writer<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sender = self.sender.borrow_mut();
        let bytes = &bytes[..bytes.len().min(sender.longest())];
        if !bytes.is_empty() {
            sender.send_by(bytes, Wait::ForEver)?;
        }
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let sender = self.sender.borrow_mut();
        // As much as goes as a whole.
        let parts = parts.iter().scan(sender.longest(), |room, part| {
            let now = &part[..part.len().min(*room)];
            *room -= now.len();
            Some(now)
        });
        let len = parts.clone().map(<[u8]>::len).sum();
        if len > 0 {
            sender.send_parts(parts, Wait::ForEver)?;
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Receiver {
    /// What comes, as a stream of bytes.
    ///
    /// # Examples
    /// ```
    /// use std::io::Read;
    /// let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.send(b"one")?;
    /// to.send(b"two")?;
    /// let mut bytes = [0; 6];
    /// from.reader().read_exact(&mut bytes)?;
    /// assert_eq!(&bytes, b"onetwo");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reader(&mut self) -> Reader<&mut Receiver> {
        Reader::new(self)
    }

    /// As [`reader`](Self::reader), for good.
    ///
    /// # Examples
    /// ```
    /// let (mut to, from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.send(b"all of it")?;
    /// drop(to);
    /// assert_eq!(std::io::read_to_string(from.into_reader())?, "all of it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_reader(self) -> Reader {
        Reader::new(self)
    }
}

impl Sender {
    /// A stream of bytes to send.
    ///
    /// # Examples
    /// ```
    /// let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// std::io::copy(&mut &b"a file"[..], &mut to.writer())?;
    /// assert_eq!(from.recv()?, b"a file");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writer(&mut self) -> Writer<&mut Sender> {
        Writer { sender: self }
    }

    /// As [`writer`](Self::writer), for good: dropped, it closes its end.
    ///
    /// # Examples
    /// ```
    /// use std::io::Write;
    /// let (to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.into_writer().write_all(b"all of it")?;
    /// assert_eq!(from.recv()?, b"all of it");
    /// assert!(from.recv().is_err()); // the end
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_writer(self) -> Writer {
        Writer { sender: self }
    }
}

impl End {
    /// What comes, as a stream of bytes: see [`Reader`].
    ///
    /// # Examples
    /// ```
    /// use std::io::{BufRead, Write};
    /// let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// writeln!(a.writer(), "question")?;
    /// let mut line = String::new();
    /// b.reader().read_line(&mut line)?;
    /// assert_eq!(line, "question\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reader(&mut self) -> Reader<&mut Receiver> {
        self.halves().1.reader()
    }

    /// A stream of bytes to send: see [`Writer`].
    ///
    /// # Examples
    /// See [`End::reader`].
    pub fn writer(&mut self) -> Writer<&mut Sender> {
        self.halves().0.writer()
    }
}
