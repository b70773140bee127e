//! Pipes.

use super::error::{fail, report};
use super::process::{handle_of, interproc_process_t};
use super::segment::{interproc_segment_t, open};
use super::time::deadline;
use super::who::{self, interproc_who_t};
use super::{call, input, invalid, output, text};
use crate::error::{Error, ErrorKind, Result};
use crate::pipe::{self, End, Listener, Patience, Receiver, Sender};
use crate::process::{Builder, HandOver};
use crate::queue::byte_lane::Found;
use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;
use libc::{iovec, timespec};
use std::boxed::Box;

/// One end of a pipe: of a two-way pipe, or the sending or the receiving end of a one-way pipe. Messages have any length
/// up to the pipe's longest and arrive as they were sent, whole or not at all.
///
/// This is a local handle. interproc_pipe_close() frees it and closes the end. A plain copy of the structure is the
/// same handle: close only one of them.
///
///     static int worker(interproc_pipe_t *end, void *argument) { return serve(end, argument); }
///
///     interproc_pipe_t ours, theirs;
///     interproc_process_t child;
///     int rc = interproc_pipe_pair(1 << 16, 4096, &ours, &theirs);
///     if (rc == 0)
///         rc = interproc_pipe_fork(&child, "worker", worker, &theirs, NULL);
///     if (rc == 0)
///         rc = interproc_pipe_send(&ours, "question", 8);
///     if (rc == 0)
///         rc = interproc_pipe_recv(&ours, answer, sizeof answer, &size);
///     if (rc == EPIPE)
///         complain("the worker is gone");
///
/// When the other end is closed, or whoever has it dies, at whatever instruction, what it had sent can be received, and
/// after that every call returns EPIPE; who waits is told at once. What was sent to a dead end is gone with it.
///
/// One thread at a time uses an end. It may pass it to another thread of the process, which has it from its first call on;
/// until then the first one must live. A forked child does not have its parent's ends: its calls return EPERM, and its
/// interproc_pipe_close() frees the copy only. See interproc_pipe_fork() and interproc_pipe_adopt().
#[repr(C)]
pub struct interproc_pipe_t {
    /// Not for use. NULL when closed.
    pub private_: *mut c_void,
    /// Not for use. Zero.
    pub reserved: u64,
}

/// Who listens at a name in a segment: it gets an end of each pipe that a client connects.
///
/// This is a local handle. interproc_listener_close() frees it and ends the listening.
///
///     interproc_listener_t listener;
///     interproc_pipe_t client;
///     int rc = interproc_listener_bind(&segment, "door", 64, 1 << 12, 512, &listener);
///     while (rc == 0 && (rc = interproc_listener_accept(&listener, &client)) == 0)
///         serve(&client);
///
/// There is a fixed number of pipes. A client takes a free one by interproc_pipe_connect() and may send before it is
/// accepted. A pipe is free again when both its ends were closed or their holders died.
///
/// When the listener dies, who was not accepted sees the end of its pipe, pipes that were accepted go on with those who
/// have them, connecting returns ECONNREFUSED, and anybody may bind again.
#[repr(C)]
pub struct interproc_listener_t {
    /// Not for use. NULL when closed.
    pub private_: *mut c_void,
    /// Not for use. Zero.
    pub reserved: u64,
}

/// What a child runs with its end of a pipe. Its result is the exit code: 0 to 255, any other value becomes 255.
pub type interproc_pipe_entry_t =
    Option<unsafe extern "C-unwind" fn(end: *mut interproc_pipe_t, argument: *mut c_void) -> c_int>;

/// What is behind a handle.
struct Ends {
    sender: Option<Sender>,
    receiver: Option<Receiver>,
    /// Bytes of the reservation that is not committed.
    reserved: Option<usize>,
    /// A message was received in place and is not released.
    held: bool,
}

impl From<End> for Ends {
    fn from(end: End) -> Self {
        let (sender, receiver) = end.split();
        Ends { sender: Some(sender), receiver: Some(receiver), reserved: None, held: false }
    }
}

impl From<Sender> for Ends {
    fn from(sender: Sender) -> Self {
        Ends { sender: Some(sender), receiver: None, reserved: None, held: false }
    }
}

impl From<Receiver> for Ends {
    fn from(receiver: Receiver) -> Self {
        Ends { sender: None, receiver: Some(receiver), reserved: None, held: false }
    }
}

impl HandOver for Ends {
    fn claim(&mut self) -> Result<()> {
        self.sender.claim()?;
        self.receiver.claim()
    }
    fn given(self) {
        self.sender.given();
        self.receiver.given();
    }
}

fn handle(ends: impl Into<Ends>) -> interproc_pipe_t {
    interproc_pipe_t { private_: Box::into_raw(Box::new(ends.into())).cast(), reserved: 0 }
}

/// The ends behind a handle.
///
/// # Safety
/// NULL, or a handle that was filled by this library or is zero, and that nobody else uses meanwhile.
#[inline(always)]
unsafe fn ends<'a>(pipe: *const interproc_pipe_t) -> Result<&'a mut Ends> {
    // SAFETY: by the contract.
    match unsafe { pipe.as_ref() } {
        Some(pipe) => {
            // SAFETY: made by `handle` and not yet closed.
            unsafe { pipe.private_.cast::<Ends>().as_mut() }.ok_or_else(|| invalid("the pipe is closed"))
        }
        None => Err(invalid("pipe is NULL")),
    }
}

/// # Safety
/// As [`ends`].
#[inline(always)]
unsafe fn sender<'a>(pipe: *const interproc_pipe_t) -> Result<&'a mut Sender> {
    // SAFETY: by the contract.
    let ends = unsafe { ends(pipe) }?;
    ends.reserved = None;
    ends.sender.as_mut().ok_or_else(|| invalid("this end only receives"))
}

/// # Safety
/// As [`ends`].
#[inline(always)]
unsafe fn receiver<'a>(pipe: *const interproc_pipe_t) -> Result<&'a mut Receiver> {
    // SAFETY: by the contract.
    let ends = unsafe { ends(pipe) }?;
    if ends.held {
        return Err(invalid("a message received in place is not released yet"));
    }
    ends.receiver.as_mut().ok_or_else(|| invalid("this end only sends"))
}

/// # Safety
/// As [`deadline`].
unsafe fn until(abstime: *const timespec) -> Result<Patience> {
    // SAFETY: by the contract.
    unsafe { deadline(abstime) }.map(Patience::Until)
}

/// # Safety
/// NULL with a size of 0, or readable for so many bytes.
unsafe fn bytes<'a>(message: *const c_void, size: usize) -> Result<&'a [u8]> {
    match (message.is_null(), size) {
        (true, 0) => Ok(&[]),
        (true, _) => Err(invalid("message is NULL")),
        // SAFETY: by the contract.
        (false, _) => Ok(unsafe { core::slice::from_raw_parts(message.cast(), size) }),
    }
}

/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn send(
    pipe: *const interproc_pipe_t,
    message: *const c_void,
    size: usize,
    patience: impl FnOnce() -> Result<Patience>,
) -> c_int {
    // SAFETY: by the contract.
    report(
        unsafe { sender(pipe) }
            .and_then(|sender| unsafe { sender.send_by(bytes(message, size)?, patience()?) }),
    )
}

/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn recv(
    pipe: *const interproc_pipe_t,
    buffer: *mut c_void,
    size: usize,
    received: *mut usize,
    patience: impl FnOnce() -> Result<Patience>,
) -> c_int {
    // SAFETY: by the contract.
    let got = unsafe { receiver(pipe) }.and_then(|receiver| unsafe {
        if received.is_null() || buffer.is_null() && size > 0 {
            return Err(invalid("buffer or received is NULL"));
        }
        let len = receiver.recv_raw(buffer.cast(), size, patience()?)?;
        received.write(len);
        Ok(len)
    });
    match got {
        Ok(len) if len <= size => 0,
        Ok(len) => fail(
            Error::from(ErrorKind::TooLarge)
                .with_detail(std::format!("the message has {len} bytes, the buffer {size}")),
        ),
        Err(error) => fail(error),
    }
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn reserve(
    pipe: *const interproc_pipe_t,
    size: usize,
    place: *mut *mut c_void,
    patience: impl FnOnce() -> Result<Patience>,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { sender(pipe) }.and_then(|sender| unsafe {
        let place = output(place, "place")?;
        place.set(sender.place(size, patience()?)?.as_ptr().cast());
        ends(pipe)?.reserved = Some(size);
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn receive(
    pipe: *const interproc_pipe_t,
    message: *mut *const c_void,
    size: *mut usize,
    patience: impl FnOnce() -> Result<Patience>,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { receiver(pipe) }.and_then(|receiver| unsafe {
        let (message, size) = (output(message, "message")?, output(size, "size")?);
        let Found { bytes, len } = receiver.find(patience()?)?;
        message.set(bytes.as_ptr().cast_const().cast());
        size.set(len);
        ends(pipe)?.held = true;
        Ok(())
    }))
}

/// Makes a two-way pipe and gives both its ends. Each direction has room for at least `capacity` bytes, eight for each
/// message's header included, and for two messages of `longest` bytes, the longest that can be sent.
///
/// It lies in an anonymous segment of its own, for threads of this process and for children that are given an end; up to 32
/// threads can use it at the same time. Both ends are the calling thread's.
///
/// @return 0; EINVAL: a NULL, or a size out of range; ENOSPC, EMFILE and other limits; ENOTSUP.
///
/// Thread-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_pair(
    capacity: usize,
    longest: usize,
    one: *mut interproc_pipe_t,
    other: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let (one, other) = (output(one, "one")?, output(other, "other")?);
        let (a, b) = pipe::pair(capacity, longest)?;
        one.set(handle(a));
        other.set(handle(b));
        Ok(())
    })
}

/// Makes a one-way pipe: what is sent into `sender` comes out of `receiver`. Otherwise as interproc_pipe_pair().
///
/// @return As interproc_pipe_pair().
///
/// Thread-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_one_way(
    capacity: usize,
    longest: usize,
    sender: *mut interproc_pipe_t,
    receiver: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let (sender, receiver) = (output(sender, "sender")?, output(receiver, "receiver")?);
        let (to, from) = pipe::one_way(capacity, longest)?;
        sender.set(handle(to));
        receiver.set(handle(from));
        Ok(())
    })
}

/// Both ends of the two-way pipe `name` in a segment, found or made: see interproc_pipe_pair(). A pipe whose ends were all
/// closed, or whose holders are dead, is empty and open again. A Rust program reaches it by `Segment::pipe_pair`.
///
/// @return As interproc_segment_object(); EBUSY: somebody alive has an end of it; EEXIST also for other sizes; EINVAL also
/// for a size out of range.
///
/// Thread-safe and safe against death; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_pipe_pair(
    segment: *const interproc_segment_t,
    name: *const c_char,
    capacity: usize,
    longest: usize,
    one: *mut interproc_pipe_t,
    other: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let (one, other) = (output(one, "one")?, output(other, "other")?);
        let (a, b) = open(segment)?.pipe_pair(text(name, "name")?, capacity, longest)?;
        one.set(handle(a));
        other.set(handle(b));
        Ok(())
    })
}

/// Both ends of the one-way pipe `name` in a segment, found or made. Otherwise as interproc_segment_pipe_pair().
///
/// @return As interproc_segment_pipe_pair().
///
/// Thread-safe and safe against death; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_pipe_one_way(
    segment: *const interproc_segment_t,
    name: *const c_char,
    capacity: usize,
    longest: usize,
    sender: *mut interproc_pipe_t,
    receiver: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let (sender, receiver) = (output(sender, "sender")?, output(receiver, "receiver")?);
        let (to, from) = open(segment)?.pipe_one_way(text(name, "name")?, capacity, longest)?;
        sender.set(handle(to));
        receiver.set(handle(from));
        Ok(())
    })
}

/// Sends the `size` bytes at `message` as one message, waiting for room as long as it takes. NULL with 0 is an empty one.
///
/// @return 0; EPIPE: the other end is closed or dead; EMSGSIZE: longer than the pipe's longest; EINVAL: a NULL, a closed
/// handle, or an end that only receives; EPERM: a forked child's copy; ESTALE: the thread that had the end died, and its
/// seat is gone; EBADMSG: somebody wrote over the pipe; EUSERS. The message was not sent then.
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_send(
    pipe: *const interproc_pipe_t,
    message: *const c_void,
    size: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send(pipe, message, size, || Ok(Patience::ForEver)) }
}

/// As interproc_pipe_send() if there is room; never waits.
///
/// @return As interproc_pipe_send(), and EAGAIN: the pipe is full.
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_trysend(
    pipe: *const interproc_pipe_t,
    message: *const c_void,
    size: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send(pipe, message, size, || Ok(Patience::Never)) }
}

/// As interproc_pipe_send(), waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC.
///
/// @return As interproc_pipe_send(), and ETIMEDOUT.
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_timedsend(
    pipe: *const interproc_pipe_t,
    message: *const c_void,
    size: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send(pipe, message, size, || until(abstime)) }
}

/// Sends the `count` pieces at `pieces` as one message (struct iovec of <sys/uio.h>), waiting as long as it takes.
///
/// @return As interproc_pipe_send().
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_send_vectored(
    pipe: *const interproc_pipe_t,
    pieces: *const iovec,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { sender(pipe) }.and_then(|sender| unsafe {
        if pieces.is_null() && count > 0 {
            return Err(invalid("pieces is NULL"));
        }
        let pieces = if count == 0 { &[] } else { core::slice::from_raw_parts(pieces, count) };
        for piece in pieces {
            bytes(piece.iov_base, piece.iov_len)?;
        }
        let parts = pieces.iter().map(|piece| bytes(piece.iov_base, piece.iov_len).unwrap_or(&[]));
        sender.send_parts(parts, Patience::ForEver)
    }))
}

/// Receives a message into `buffer` of `size` bytes and says its length, waiting for it as long as it takes.
///
/// When the message is longer than the buffer, the call returns EMSGSIZE and `received` is set to its length, the one
/// output of this library that an error writes; the message stays the next one.
///
/// @return 0; EPIPE: the end: the other end is closed or dead, and all was received; EMSGSIZE; EINVAL: a NULL, a closed
/// handle, an end that only sends, or a message received in place that was not released; EPERM, ESTALE, EBADMSG, EUSERS:
/// as interproc_pipe_send().
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_recv(
    pipe: *const interproc_pipe_t,
    buffer: *mut c_void,
    size: usize,
    received: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { recv(pipe, buffer, size, received, || Ok(Patience::ForEver)) }
}

/// As interproc_pipe_recv() if there is a message; never waits.
///
/// @return As interproc_pipe_recv(), and EAGAIN: there is none.
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_tryrecv(
    pipe: *const interproc_pipe_t,
    buffer: *mut c_void,
    size: usize,
    received: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { recv(pipe, buffer, size, received, || Ok(Patience::Never)) }
}

/// As interproc_pipe_recv(), waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC.
///
/// @return As interproc_pipe_recv(), and ETIMEDOUT.
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_timedrecv(
    pipe: *const interproc_pipe_t,
    buffer: *mut c_void,
    size: usize,
    abstime: *const timespec,
    received: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { recv(pipe, buffer, size, received, || until(abstime)) }
}

/// Gives room for a message of `size` bytes, to be written in place and sent by interproc_pipe_commit(); waits for it as
/// long as it takes. Until then nobody sees it; any other call that sends by this end, or closes it, forgets it.
///
/// @return As interproc_pipe_send().
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_reserve(
    pipe: *const interproc_pipe_t,
    size: usize,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(pipe, size, place, || Ok(Patience::ForEver)) }
}

/// As interproc_pipe_reserve() if there is room; never waits.
///
/// @return As interproc_pipe_trysend().
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_tryreserve(
    pipe: *const interproc_pipe_t,
    size: usize,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(pipe, size, place, || Ok(Patience::Never)) }
}

/// As interproc_pipe_reserve(), waiting until `abstime` at the latest.
///
/// @return As interproc_pipe_timedsend().
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_timedreserve(
    pipe: *const interproc_pipe_t,
    size: usize,
    abstime: *const timespec,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(pipe, size, place, || until(abstime)) }
}

/// Sends the first `size` bytes of the room that interproc_pipe_reserve() gave.
///
/// @return 0; EPIPE: it was not sent; EINVAL: none was reserved, or less; else as interproc_pipe_send().
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_commit(pipe: *const interproc_pipe_t, size: usize) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { ends(pipe) }.and_then(|ends| {
        let reserved = ends.reserved.take().filter(|&most| size <= most);
        let (Some(_), Some(sender)) = (reserved, ends.sender.as_mut()) else {
            return Err(invalid("no room was reserved, or less"));
        };
        sender.commit(size)
    }))
}

/// Gives the next message in its place, not copied; waits for it as long as it takes. It is to be released by
/// interproc_pipe_release(); until then this end receives nothing else.
///
/// A sender that breaks the rules could change the bytes meanwhile: who does not trust it copies them first.
///
/// @return As interproc_pipe_recv(), without EMSGSIZE.
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_receive(
    pipe: *const interproc_pipe_t,
    message: *mut *const c_void,
    size: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(pipe, message, size, || Ok(Patience::ForEver)) }
}

/// As interproc_pipe_receive() if there is a message; never waits.
///
/// @return As interproc_pipe_tryrecv(), without EMSGSIZE.
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_tryreceive(
    pipe: *const interproc_pipe_t,
    message: *mut *const c_void,
    size: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(pipe, message, size, || Ok(Patience::Never)) }
}

/// As interproc_pipe_receive(), waiting until `abstime` at the latest.
///
/// @return As interproc_pipe_timedrecv(), without EMSGSIZE.
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_timedreceive(
    pipe: *const interproc_pipe_t,
    abstime: *const timespec,
    message: *mut *const c_void,
    size: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(pipe, message, size, || until(abstime)) }
}

/// Ends the message that interproc_pipe_receive() gave: its place may be written to.
///
/// @return 0; EINVAL: there is none; else as interproc_pipe_recv().
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_release(pipe: *const interproc_pipe_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { ends(pipe) }.and_then(|ends| {
        let held = core::mem::replace(&mut ends.held, false);
        match ends.receiver.as_mut().filter(|_| held) {
            Some(receiver) => receiver.release(),
            None => Err(invalid("no message was received in place")),
        }
    }))
}

/// Whether a receive would not wait, that is whether there is a message or the end; waits until `abstime` for that (a
/// time in the past: just looks).
///
/// @return 0; EINVAL, EPERM, ESTALE, EBADMSG, EUSERS: as interproc_pipe_recv().
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_poll(
    pipe: *const interproc_pipe_t,
    abstime: *const timespec,
    is_ready: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { receiver(pipe) }.and_then(|receiver| unsafe {
        let is_ready = output(is_ready, "is_ready")?;
        is_ready.set(receiver.poll_until(deadline(abstime)?)?);
        Ok(())
    }))
}

/// Who has the other end, dead or alive; `pid` 0 when it was closed. A snapshot.
///
/// @return 0; EINVAL, EPERM, ESTALE, EUSERS: as interproc_pipe_send().
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_peer(
    pipe: *const interproc_pipe_t,
    peer: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(peer, || {
            let ends = ends(pipe)?;
            match (&mut ends.sender, &mut ends.receiver) {
                (Some(sender), _) => sender.peer(),
                (_, Some(receiver)) => receiver.peer(),
                _ => Ok(None),
            }
        })
    }
}

/// The longest message, in bytes.
///
/// @return 0; EINVAL: a NULL, or closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_longest(pipe: *const interproc_pipe_t, longest: *mut usize) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { ends(pipe) }.and_then(|ends| {
        // SAFETY: by C's contract.
        let longest = unsafe { output(longest, "longest") }?;
        let receiver = ends.receiver.as_ref().map(Receiver::longest);
        longest.set(ends.sender.as_ref().map(Sender::longest).or(receiver).unwrap_or(0));
        Ok(())
    }))
}

/// Closes the end and frees the handle. The other end gets what was sent, and then EPIPE.
///
/// @return 0; EINVAL: NULL, or closed already; EPERM: a forked child's copy, which is freed.
///
/// Not to be called while another thread uses the end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_close(pipe: *mut interproc_pipe_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        ends(pipe)?;
        let ends = Box::from_raw(core::mem::replace(&mut (*pipe).private_, null_mut()).cast::<Ends>());
        let Ends { sender, receiver, .. } = *ends;
        let received = receiver.map_or(Ok(()), Receiver::close);
        sender.map_or(Ok(()), Sender::close).and(received)
    })
}

/// Closes one direction: nothing more is sent by this end (the other one sees the end after what was sent), or it receives
/// nothing more (sends to it return EPIPE). The other direction goes on.
///
/// @return 0; EINVAL: a NULL, a closed handle, or that direction is closed or not this end's; EPERM: a forked child's copy.
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_shutdown(
    pipe: *const interproc_pipe_t,
    sending: bool,
    receiving: bool,
) -> c_int {
    call(|| {
        // SAFETY: by C's contract.
        let ends = unsafe { ends(pipe) }?;
        if sending {
            ends.reserved = None;
            ends.sender.take().ok_or_else(|| invalid("this end does not send"))?.close()?;
        }
        if receiving {
            ends.held = false;
            ends.receiver.take().ok_or_else(|| invalid("this end does not receive"))?.close()?;
        }
        Ok(())
    })
}

/// Starts a child process that runs `entry(end, argument)` with this end of a pipe, as interproc_process_fork() does
/// without one. The child has the end before `entry` runs, and until it has, this process holds it: so whoever has
/// the other end is told when the child dies, at whatever instruction.
///
/// On success the handle `end` is closed here: the end is the child's. There the handle is good until `entry` returns, which
/// closes it.
///
/// @return As interproc_process_fork(); EUSERS: no room in the segment for the child. After any error but EINVAL the end is
/// closed, and there is no child.
///
/// Thread-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_fork(
    process: *mut interproc_process_t,
    name: *const c_char,
    entry: interproc_pipe_entry_t,
    end: *mut interproc_pipe_t,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let process = output(process, "process")?;
        let entry = entry.ok_or_else(|| invalid("entry is NULL"))?;
        let builder = if name.is_null() { Builder::new() } else { Builder::new().name(text(name, "name")?) };
        ends(end)?;
        let given = *Box::from_raw(core::mem::replace(&mut (*end).private_, null_mut()).cast::<Ends>());
        let child = builder.fork_with(given, |ends| {
            let mut mine = handle(ends);
            // By C's contract the entry may be called with them.
            let code = entry(&raw mut mine, argument);
            interproc_pipe_close(&raw mut mine);
            code
        })?;
        process.set(handle_of(child));
        Ok(())
    })
}

/// In a child of fork(): takes the end that its parent hands over by interproc_pipe_hand_over(). Before that the child's
/// copy is refused with EPERM.
///
/// @return 0; ESTALE: the parent is dead, or has closed it, or somebody else took it; EUSERS; EINVAL: a NULL, or closed.
///
/// Not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_adopt(pipe: *const interproc_pipe_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { ends(pipe) }?.claim())
}

/// In the parent, after its own fork(): waits until the child `pid` has taken the end by interproc_pipe_adopt(), or has
/// ended, and frees the handle. **It must be called** before anything is waited for at the other end: as long as nobody has
/// taken the end, this process's own life keeps it open. The child must not be reaped before.
///
///     pid_t pid = fork();
///     if (pid == 0)
///         _exit(interproc_pipe_adopt(&theirs) != 0 || serve(&theirs) != 0);
///     rc = interproc_pipe_hand_over(&theirs, pid);
///     if (rc == ECHILD)
///         complain("it died first");          // the end is closed: `ours` sees EPIPE
///
/// It looks every 10 ms whether the child still lives. interproc_pipe_fork() does all this by itself.
///
/// @return 0: it is the child's; ECHILD: the child ended without, and the end is closed; EINVAL: a NULL, or closed.
///
/// Not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_hand_over(pipe: *mut interproc_pipe_t, pid: i32) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        ends(pipe)?;
        let ends = *Box::from_raw(core::mem::replace(&mut (*pipe).private_, null_mut()).cast::<Ends>());
        if let Some(sender) = ends.sender {
            sender.hand_over(pid)?;
        }
        ends.receiver.map_or(Ok(()), |receiver| receiver.hand_over(pid))
    })
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn connect(
    segment: *const interproc_segment_t,
    name: *const c_char,
    end: *mut interproc_pipe_t,
    patience: impl FnOnce() -> Result<Patience>,
) -> c_int {
    // SAFETY: by the contract.
    call(|| unsafe {
        let end = output(end, "end")?;
        end.set(handle(pipe::connect_by(open(segment)?, text(name, "name")?, patience()?)?));
        Ok(())
    })
}

/// Connects a pipe to whoever listens at `name` in the segment, and gives this end of it; waits for a free pipe as long
/// as it takes. It does not wait for a listener, nor for being accepted: what is sent before stays in the pipe.
///
/// @return 0; ECONNREFUSED: nobody listens there, also while it waits; EEXIST: the name belongs to something else; EINVAL:
/// a NULL, or the segment is closed; EBADMSG, EUSERS.
///
/// Thread-safe, fork-safe and safe against death; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_connect(
    segment: *const interproc_segment_t,
    name: *const c_char,
    end: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { connect(segment, name, end, || Ok(Patience::ForEver)) }
}

/// As interproc_pipe_connect() if there is a free pipe; never waits.
///
/// @return As interproc_pipe_connect(), and EAGAIN: all pipes are in use.
///
/// Thread-safe, fork-safe and safe against death; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_tryconnect(
    segment: *const interproc_segment_t,
    name: *const c_char,
    end: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { connect(segment, name, end, || Ok(Patience::Never)) }
}

/// As interproc_pipe_connect(), waiting until `abstime` at the latest.
///
/// @return As interproc_pipe_connect(), and ETIMEDOUT.
///
/// Thread-safe, fork-safe and safe against death; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_timedconnect(
    segment: *const interproc_segment_t,
    name: *const c_char,
    abstime: *const timespec,
    end: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { connect(segment, name, end, || until(abstime)) }
}

/// The listener behind a handle.
///
/// # Safety
/// NULL, or a handle that was filled by this library or is zero, and that nobody else uses meanwhile.
unsafe fn listener<'a>(listener: *const interproc_listener_t) -> Result<&'a mut Listener> {
    // SAFETY: by the contract.
    let handle = unsafe { input(listener, "listener") }?;
    // SAFETY: made by `interproc_listener_bind` and not yet closed.
    unsafe { handle.private_.cast::<Listener>().as_mut() }.ok_or_else(|| invalid("the listener is closed"))
}

/// Listens at `name` in the segment, found or made with `pipes` pipes (1 to 1024), each of which has room for `capacity`
/// bytes each way and for messages of at most `longest` bytes: see interproc_pipe_pair(). A Rust program connects by
/// `pipe::connect`.
///
/// @return As interproc_segment_object(); EBUSY: somebody alive listens there; EEXIST also for other numbers; EINVAL also for
/// a number out of range.
///
/// Thread-safe and safe against death; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_listener_bind(
    segment: *const interproc_segment_t,
    name: *const c_char,
    pipes: usize,
    capacity: usize,
    longest: usize,
    listener: *mut interproc_listener_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let listener = output(listener, "listener")?;
        let made = Listener::bind(open(segment)?, text(name, "name")?, pipes, capacity, longest)?;
        listener.set(interproc_listener_t { private_: Box::into_raw(Box::new(made)).cast(), reserved: 0 });
        Ok(())
    })
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn accept(
    handle: *const interproc_listener_t,
    end: *mut interproc_pipe_t,
    patience: impl FnOnce() -> Result<Patience>,
) -> c_int {
    // SAFETY: by the contract.
    call(|| unsafe {
        let end = output(end, "end")?;
        end.set(self::handle(listener(handle)?.accept_by(patience()?)?));
        Ok(())
    })
}

/// Gives this end of the next pipe that a client has connected; waits for one as long as it takes. A client that closed or
/// died before is accepted, too: what it had sent is there, and then EPIPE.
///
/// @return 0; EINVAL: a NULL, or closed; EPERM: a forked child's copy; ESTALE: the thread that listened died, and somebody
/// else listens; EBADMSG, EUSERS.
///
/// One thread at a time for each listener; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_listener_accept(
    listener: *const interproc_listener_t,
    end: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { accept(listener, end, || Ok(Patience::ForEver)) }
}

/// As interproc_listener_accept() if somebody has connected; never waits.
///
/// @return As interproc_listener_accept(), and EAGAIN.
///
/// One thread at a time for each listener; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_listener_tryaccept(
    listener: *const interproc_listener_t,
    end: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { accept(listener, end, || Ok(Patience::Never)) }
}

/// As interproc_listener_accept(), waiting until `abstime` at the latest.
///
/// @return As interproc_listener_accept(), and ETIMEDOUT.
///
/// One thread at a time for each listener; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_listener_timedaccept(
    listener: *const interproc_listener_t,
    abstime: *const timespec,
    end: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { accept(listener, end, || until(abstime)) }
}

/// How many clients have connected and were not accepted yet: a snapshot.
///
/// @return 0; EINVAL: a NULL, or closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_listener_pending(
    listener: *const interproc_listener_t,
    pending: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let pending = output(pending, "pending")?;
        pending.set(self::listener(listener)?.pending());
        Ok(())
    })
}

/// Ends listening and frees the handle: clients that were not accepted see the end of their pipes.
///
/// @return 0; EINVAL: NULL, or closed already; EPERM: a forked child's copy, which is freed; ESTALE.
///
/// Not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_listener_close(listener: *mut interproc_listener_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        self::listener(listener)?;
        Box::from_raw(core::mem::replace(&mut (*listener).private_, null_mut()).cast::<Listener>()).close()
    })
}
