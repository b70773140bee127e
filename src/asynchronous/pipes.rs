//! Pipes: their ends, and who accepts clients.

use super::object::{Async, Readable, Writable, not_now};
use super::queues::{not_now_of, sides};
use crate::error::Result;
use crate::pipe::{End, Listener, Receiver, RecvError, Sender};
use crate::waitset::Source;
use std::vec::Vec;

sides! {
    read [] End;
    write [] End;
    read [] Receiver;
    write [] Sender;
    read [] Listener;
}

/// What an end has in common with its halves.
macro_rules! receives {
    ($object:ty, $make:literal) => {
        impl Async<$object> {
            /// Receives a message, waiting for it. *Cancel-safe.* *If the other end dies*: what it had sent, then `Closed`.
            ///
            /// # Errors
            /// As [`Receiver::recv`]; as [`Reactor::ready`](super::Reactor::ready).
            ///
            /// # Examples
            /// ```
            /// # use interproc::{asynchronous::Async, pipe};
            /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            /// # runtime.block_on(async {
            #[doc = concat!("let (mut to, from) = pipe::", $make, "(1 << 12, 100)?;")]
            /// let mut from = Async::new(from)?;
            /// to.send(b"hello")?;
            /// assert_eq!(from.recv().await?, b"hello");
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// # })?;
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub async fn recv(&mut self) -> Result<Vec<u8>> {
                self.reading_alone(|end| not_now(end.try_recv()), Err).await
            }

            /// Copies a message out, waiting for it. Its length. *Cancel-safe.*
            ///
            /// # Errors
            /// As [`Receiver::recv_into`]; as [`Reactor::ready`](super::Reactor::ready).
            ///
            /// # Examples
            /// ```
            /// # use interproc::{asynchronous::Async, pipe};
            /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            /// # runtime.block_on(async {
            #[doc = concat!("let (mut to, from) = pipe::", $make, "(1 << 12, 100)?;")]
            /// let mut from = Async::new(from)?;
            /// to.send(b"hello")?;
            /// assert_eq!(from.recv_into(&mut [0; 100]).await?, 5);
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// # })?;
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub async fn recv_into(&mut self, into: &mut [u8]) -> core::result::Result<usize, RecvError> {
                let receive = |end: &mut $object| not_now_of(end.try_recv_into(into), RecvError::kind);
                self.reading_alone(receive, |error| Err(error.into())).await
            }
        }
    };
}
receives!(End, "pair");
receives!(Receiver, "one_way");

macro_rules! sends {
    ($object:ty, $make:literal) => {
        impl Async<$object> {
            /// Sends a message of any length, waiting for room. *Cancel-safe*: dropped before it is done, nothing was sent (of one in pieces, what has
            /// gone is dropped by the receiver when the next message comes). It may wait until there is
            /// room for the longest message. *If the other end dies*: `Closed`, also while it waits.
            ///
            /// # Errors
            /// As [`Sender::send`]; as [`Reactor::ready`](super::Reactor::ready).
            ///
            /// # Examples
            /// ```
            /// # use interproc::{asynchronous::Async, pipe};
            /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            /// # runtime.block_on(async {
            #[doc = concat!("let (to, mut from) = pipe::", $make, "(1 << 12, 100)?;")]
            /// let mut to = Async::new(to)?;
            /// to.send(b"hello").await?;
            /// assert_eq!(from.recv()?, b"hello");
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// # })?;
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub async fn send(&mut self, message: &[u8]) -> Result<()> {
                let mut sent = 0;
                self.writing_alone(move |end| not_now(end.try_send_on(message, &mut sent)), Err).await
            }
        }
    };
}
sends!(End, "pair");
sends!(Sender, "one_way");

impl Async<End> {
    /// Two halves for two tasks. Each closes its own direction.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{asynchronous::Async, pipe};
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let (near, far) = pipe::pair(1 << 12, 100)?;
    /// let (mut to, mut from) = Async::new(near)?.split();
    /// let mut far = Async::new(far)?;
    /// to.send(b"hello").await?;
    /// let echo = far.recv().await?;
    /// far.send(&echo).await?;
    /// assert_eq!(from.recv().await?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn split(self) -> (Async<Sender>, Async<Receiver>) {
        let reactor = self.reactor().clone();
        let (to, from) = self.into_inner().split();
        (Async::by(&reactor, to), Async::by(&reactor, from))
    }
}

impl Async<Listener> {
    /// Accepts the next client, waiting for one: this side's end of its pipe. *Cancel-safe.*
    ///
    /// # Errors
    /// As [`Listener::accept`]; as [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async, pipe};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let mut listener = Async::new(pipe::Listener::bind(&seg, "door", 2, 1 << 10, 100)?)?;
    /// let mut client = pipe::connect(&seg, "door")?;
    /// client.send(b"knock")?;
    /// assert_eq!(listener.accept().await?.recv().await?, b"knock");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn accept(&mut self) -> Result<Async<End>> {
        let end = self.reading_alone(|listener| not_now(listener.try_accept()), Err).await?;
        Ok(Async::by(self.reactor(), end))
    }
}
