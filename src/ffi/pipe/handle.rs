//! The handle of an end of a pipe, and what is behind it.

use crate::error::Result;
use crate::ffi::handle::{Boxed, open_mut};
use crate::ffi::invalid;
use crate::ffi::lease::Pool;
use crate::pipe::{Described, End, GiveToProgram, Receiver, Sender, both, both_taken};
use crate::process::HandOver;
use crate::time::Deadline;
use core::ffi::{c_int, c_void};

/// One end of a pipe: of a two-way pipe, or the sending or the receiving end of a one-way pipe. Messages have any
/// length and arrive as they were sent, whole or not at all.
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
///         rc = interproc_pipe_recv(&ours, answer, sizeof answer, &len, NULL);
///     if (rc == EPIPE)
///         complain("the worker is gone");
///
/// When the other end is closed, or its holder dies, at any instruction, what it had sent can be received, and after
/// that every call returns EPIPE; waiters are told at once. What was sent to a dead end is lost with it.
///
/// One thread at a time uses an end. It may be passed to another thread of the process, which owns it from its first
/// call on. Until then the first thread must still be alive: if it ends before, the end is closed, and every call on it
/// returns ESTALE, whether or not the other end has noticed. (The sending and the receiving half of an end each belong
/// to the thread that used it last.)
///
/// A forked child does not have its parent's ends: its calls return EPERM, and its interproc_pipe_close() frees the
/// copy only. See interproc_pipe_fork() and interproc_pipe_adopt(). EBADMSG from any function: somebody wrote over the
/// pipe.
#[repr(C)]
pub struct interproc_pipe_t {
    /// Private. NULL when closed.
    pub private_: *mut c_void,
    /// Private.
    pub reserved: u64,
}

/// A listener at a name in a segment: it gets an end of each pipe that a client connects. One thread at a time uses it.
///
/// This is a local handle. interproc_listener_close() frees it and ends the listening. A forked child's copy returns
/// EPERM.
/// ESTALE: the thread that listened has died, and another one listens.
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
/// When the listener dies, clients that were not accepted see the end of their pipes, accepted pipes go on, connecting
/// returns ECONNREFUSED, and anybody may bind again.
#[repr(C)]
pub struct interproc_listener_t {
    /// Private. NULL when closed.
    pub private_: *mut c_void,
    /// Private.
    pub reserved: u64,
}

/// What a child runs with its end of a pipe. Its result is the exit code: 0 to 255, any other value becomes 255.
pub type interproc_pipe_entry_t =
    Option<unsafe extern "C-unwind" fn(end: *mut interproc_pipe_t, argument: *mut c_void) -> c_int>;

// SAFETY: a pointer and a word.
unsafe impl Boxed for interproc_pipe_t {
    type Object = Ends;
    const NAME: &'static str = "pipe";
    const CLOSED: &'static str = "the pipe is closed";
    fn pool() -> &'static Pool {
        static POOL: Pool = Pool::new();
        &POOL
    }
}

/// What is behind a handle.
pub(in crate::ffi) struct Ends {
    pub(in crate::ffi) sender: Option<Sender>,
    pub(in crate::ffi) receiver: Option<Receiver>,
    /// Bytes of the reservation that is not committed.
    pub(super) reserved: Option<usize>,
    /// A message is borrowed.
    pub(super) held: bool,
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

impl GiveToProgram for Ends {
    fn describe(&mut self) -> Result<Described> {
        match (&mut self.sender, &mut self.receiver) {
            (Some(to), Some(from)) => both(to, from),
            (Some(to), None) => to.describe(),
            (None, Some(from)) => from.describe(),
            (None, None) => Err(invalid("the pipe is closed")),
        }
    }
    fn await_taken(self, child: c_int, deadline: Option<Deadline>) -> Result<()> {
        match (self.sender, self.receiver) {
            (Some(to), Some(from)) => both_taken(to, from, child, deadline),
            (Some(to), None) => to.await_taken(child, deadline),
            (None, Some(from)) => from.await_taken(child, deadline),
            (None, None) => Ok(()),
        }
    }
}

/// # Safety
/// As [`open_mut`].
#[inline(always)]
pub(super) unsafe fn sender<'a>(pipe: *const interproc_pipe_t) -> Result<&'a mut Sender> {
    // SAFETY: by the contract.
    let ends = unsafe { open_mut(pipe) }?;
    ends.reserved = None;
    ends.sender.as_mut().ok_or_else(|| invalid("this end only receives"))
}

/// # Safety
/// As [`open_mut`].
#[inline(always)]
pub(super) unsafe fn receiver<'a>(pipe: *const interproc_pipe_t) -> Result<&'a mut Receiver> {
    // SAFETY: by the contract.
    let ends = unsafe { open_mut(pipe) }?;
    if ends.held {
        return Err(invalid("a message is borrowed and not released yet"));
    }
    ends.receiver.as_mut().ok_or_else(|| invalid("this end only sends"))
}
