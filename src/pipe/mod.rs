//! Pipes: messages of any length between two ends, one way or both, with end of file.
//!
//! | you want | use |
//! |---|---|
//! | two ends, as Python's `Pipe()` | [`pair`], [`Segment::pipe_pair`](crate::Segment::pipe_pair) |
//! | a sender and a receiver, as `Pipe(duplex=False)` | [`one_way`], [`Segment::pipe_one_way`](crate::Segment::pipe_one_way) |
//! | to give an end to a child | [`Builder::fork_giving`](crate::process::Builder::fork_giving) |
//! | to give an end to a program | [`Builder::spawn_giving`](crate::process::Builder::spawn_giving), [`End::inherited`] |
//! | many clients that find a server by name | [`Listener`], [`connect`] |
//! | to pass descriptors | [`pair_with_descriptors`], [`End::send_with_descriptor`] |
//! | a stream of bytes, as of a file or socket | [`End::reader`], [`End::writer`] |
//!
//! A pipe is one byte lane for each direction ([`Lane`](crate::raw::queue::Lane) has its algorithm and windows). A message is copied in,
//! published by one store and copied out, or written and read in place; one that is longer than the pipe was made for goes in pieces (`src/pipe/pieces.rs`). The seats of a pipe's lanes belong to the threads that
//! have its ends, and the kernel reports their deaths: **an end whose holder dies is closed at once**. The other end gets what was
//! sent, and then [`Closed`](crate::ErrorKind::Closed).
//!
//! # Who has an end
//! A *thread* has it: the last one that used it. An end can move to another thread of the process, which takes it over with its
//! first operation. Until then the former thread must live: **if it ends before that, the end is closed**. The other end sees the
//! end of the pipe, and here every call except closing returns [`Stale`](crate::ErrorKind::Stale), whether the other end has
//! looked or not. An [`End`] moves as a whole; halves that are used apart move one by one. A forked child does not have its
//! parent's ends: its copies are refused ([`NotOwner`](crate::ErrorKind::NotOwner)), and dropping them does nothing.
//!
//! # Handing an end to a child
//! With [`Builder::fork_giving`](crate::process::Builder::fork_giving) the child takes the end before its own code runs, and the parent
//! holds it until then. A program that is started takes it by [`End::inherited`]
//! ([`Builder::spawn_giving`](crate::process::Builder::spawn_giving)). With a bare `fork` the child calls [`End::adopt`] and the parent [`End::hand_over`].
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | P-a | a child before it has taken the end | the parent has the seat | the parent's `fork_giving` or `hand_over`, which closes it: at once, or within 10 ms | nothing |
//! | P-b | a child that has taken one seat or both, its parent not told | a dead peer, a parent that waits | the other end by the slot's mark; the parent as above | nothing |
//! | P-c | an end that has closed, still seated | a closed lane, a dead holder | no action needed; the next taker of the slot takes it | nothing |
//! | P-d | a receiver that has copied a message, not released it | a dead peer | the sender, at its next send | the message, with its receiver |
//!
//! [`RawRendezvous`](crate::raw::pipe::RawRendezvous) has the windows of meeting by name, `src/pipe/pieces.rs` those of
//! messages in pieces (P-e, P-f), `src/pipe/descriptors.rs` those of descriptors (P-g, P-h).

#[cfg(all(feature = "std", not(interproc_loom)))]
mod descriptors;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod end;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod endpoint;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod inherited;
pub(crate) mod layout;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod listener;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod pieces;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod receiver;
pub(crate) mod rendezvous;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod sender;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod stream;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod view;

#[cfg(all(feature = "std", not(interproc_loom)))]
mod make;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use crate::queue::byte_lane::RecvError;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use descriptors::{one_way_with_descriptors, pair_with_descriptors};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use end::End;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use inherited::GiveToProgram;
#[cfg(all(feature = "std", not(interproc_loom)))]
#[cfg(any(feature = "c-abi", test))]
pub(crate) use inherited::{Described, both, both_taken, inherited_halves_of_c};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use listener::connect_by;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use listener::{Listener, connect, connect_timeout, connect_until, listener, try_connect};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use make::{LISTENER, ONE_WAY, TWO_WAYS};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use make::{one_way, pair};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use receiver::{Message, Receiver};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use sender::{Reservation, Sender};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use stream::{Reader, Writer};
