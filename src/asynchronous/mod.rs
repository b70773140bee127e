//! Queues, pipes and the rest as futures, under tokio: [`Async`]. By the cargo feature `tokio`.
//!
//! | file | idea |
//! |---|---|
//! | `object` | [`Async`]: try, wait, try again |
//! | `queues`, `pipes`, `permits`, `children` | the operations of each kind of object |
//! | `reactor` | [`Reactor`]: one for each runtime |
//! | `ready` | [`Ready`]: the wait for any [`Source`](crate::waitset::Source) |
//! | `spot` | a place in the set, and a task's wait there |
//! | `shard` | the set, its lock, and the task that looks after it |
//!
//! # One descriptor for all tasks
//! A runtime has one [`WaitSet`](crate::waitset::WaitSet) and one descriptor of it, whatever the number of objects and tasks. (Another
//! one for each further 32 segments.) A task of the library's, the *driver*, waits for that descriptor, looks, and wakes the tasks for
//! which there is news. The descriptor is made readable by the one thread that the library has in each process with such sets.
//!
//! An operation tries first: one that finds something makes no system call and registers nothing. One that must wait notes its
//! waker and says that its source is wanted; the driver, told by its own waker and by no descriptor, looks at that source, and at no
//! other that rests. So nothing is missed between the try and the wait.
//!
//! Why tasks do not sleep on the memory words themselves: a runtime sleeps in epoll, and tells of descriptors alone. Why sources stay in
//! the set, at rest, between two waits: a set that lost its last source would end the library's thread, and each new one makes a set
//! look at all.
//!
//! # Threads
//! Some things belong to a *thread*: the ends of pipes, the handles of `spsc` and byte lanes, listeners, subscribers, and what
//! a thread has taken (permits, leases, messages read in place). A task of a multi-threaded runtime moves from worker to worker.
//!
//! - **Ends and handles go along**: the first operation on another thread moves the seat there, while the former thread lives. Workers
//!   live as long as their runtime, and so does the thread of `block_on`. *A thread of `spawn_blocking` ends after a while*: an end
//!   that was last used there closes then ([the rule](crate::pipe#who-has-an-end)). Use it once on a worker before, or not there at all.
//!   When a runtime ends, its workers do: what they used last closes.
//! - **A [`Permit`](crate::sync::Permit) may go along**, and may be given back by any thread while the thread that got it lives. If that is a
//!   worker, it does, as long as the runtime. What dies is then the process, not the task: a task that panics drops it.
//! - **A [`Lease`](crate::queue::work::Lease), a message or room in place do not go along**: they are not `Send`, so the compiler refuses
//!   a task that holds one over an await and may move. Finish it before the next await; or run the task on one thread
//!   (`LocalSet`, a current-thread runtime), where others may run meanwhile.
//! - Each worker that touches a segment takes a member slot there, and the library's thread one: mind
//!   [`max_members`](crate::Options::max_members).
//!
//! Locks (`Mutex`, `RwLock`, `Condvar`, `Barrier`) have no futures: they belong to threads, and holding one over an await would block
//! the worker's other tasks with it. Lock for a moment, or in `spawn_blocking`.
//!
//! # Runtimes
//! Current-thread and multi-threaded ones both, with `enable_io`. Each has a reactor of its own; an [`Async`] belongs to that of the
//! runtime it was made in, and its futures may be polled anywhere while that one runs. The driver is a task of that runtime: a
//! current-thread runtime whose `block_on` has returned tells nobody. When a runtime ends, those who still wait by its reactor elsewhere
//! get [`Stale`](crate::ErrorKind::Stale).
//!
//! # What is left out
//! Publishing to a broadcast whose subscribers lag, and connecting to a listener whose pipes are all taken, have no sources: use the
//! `try_` forms, or `spawn_blocking`. What has no method here goes by [`Async::read_with`] and [`Reactor::ready`].
//!
//! # When somebody dies
//! As with the [`WaitSet`](crate::waitset::WaitSet): what the dead had published is heard, what they held comes back, and a pipe whose
//! other end is dead is readable, and says [`Closed`](crate::ErrorKind::Closed). If this process dies, nobody waits for its tasks.
//!
//! # Examples
//! A server, with a task for each client:
//! ```
//! use interproc::{Error, Segment, asynchronous::Async, pipe};
//!
//! let seg = Segment::anonymous(1 << 20)?;
//! let listener = pipe::Listener::bind(&seg, "echo", 8, 1 << 10, 100)?;
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
//! runtime.block_on(async {
//!     let mut listener = Async::new(listener)?;
//!     tokio::spawn(async move {
//!         while let Ok(mut client) = listener.accept().await {
//!             tokio::spawn(async move {
//!                 while let Ok(message) = client.recv().await {
//!                     client.send(&message).await?;
//!                 }
//!                 Ok::<(), Error>(()) // the client has closed its end, or died
//!             });
//!         }
//!     });
//!     let mut end = Async::new(pipe::connect(&seg, "echo")?)?; // in another process, or here
//!     end.send(b"hello").await?;
//!     assert_eq!(end.recv().await?, b"hello");
//!     Ok::<(), Error>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod children;
mod object;
mod permits;
mod pipes;
mod queues;
mod reactor;
mod ready;
mod shard;
mod spot;

pub use object::{Async, Readable, Writable};
pub use reactor::Reactor;
pub use ready::Ready;
