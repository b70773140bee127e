//! Locks, queues, pipes and processes in named shared memory that survive `kill -9` of any participant at any instruction.
//!
//! ```
//! use interproc::{Segment, process, sync::Mutex};
//!
//! let shop = Segment::anonymous(1 << 16)?; // between unrelated processes: Segment::create("/shop", 1 << 16)
//! let tickets = shop.object("tickets", || Mutex::new(3u32))?;
//! let jobs = shop.queue::<u64>("jobs", 64)?;
//! let buyer = process::fork(|| {
//!     let mut left = tickets.lock().unwrap();
//!     *left -= 1;
//!     jobs.push(7).unwrap();
//!     std::process::abort() // dies holding the lock
//! })?;
//! buyer.join()?;
//! let left = tickets.lock_or_repair(|left| *left = 3)?; // told of the death, repairs the data
//! assert_eq!((*left, jobs.pop()?), (3, 7));
//! # Ok::<(), interproc::Error>(())
//! ```
//!
//! | you want | use |
//! |---|---|
//! | memory that processes share, by name or inherited | [`Segment`] |
//! | mutual exclusion, and news of the last holder's death | [`sync::Mutex`], [`sync::RecursiveMutex`] |
//! | many readers or one writer | [`sync::RwLock`] |
//! | a limited number of permits; those of the dead are given back | [`sync::BoundedSemaphore`] |
//! | counting, signalling, waiting for a condition | [`sync::Semaphore`], [`sync::Event`], [`sync::Condvar`] |
//! | a barrier; one-time initialization | [`sync::Barrier`], [`sync::Once`], [`sync::OnceLock`] |
//! | messages, many to many | [`queue::Queue`]; of any length [`queue::ByteQueue`] |
//! | every message to every subscriber: publish and subscribe | [`queue::Broadcast`] |
//! | jobs that are leased, done, given back, retried; by age or priority | [`queue::WorkQueue`] |
//! | messages from one to one, faster | [`queue::spsc`]; of any length [`queue::byte_lane`] |
//! | only the latest value; writers never wait for readers, readers for nobody | [`queue::Latest`] |
//! | a two-way channel that closes when an end dies; clients and a server | [`pipe`] |
//! | to wait for any of several things: all these, processes, descriptors, times | [`waitset`] |
//! | the same as futures, under tokio (feature `tokio`) | `asynchronous` |
//! | child processes without zombies or orphans; programs; daemons | [`process`] |
//! | who holds what, who waits, which waiters form a cycle | [`shm::Snapshot`], [`inspect`], the tool's `ls`, `inspect`, `deadlocks` |
//! | your own structure in shared memory | [`shared!`](crate::shared), [`Shared`], [`Plain`]; for `bool` and enums [`Checked`] |
//! | the same from C | `include/interproc.h`, [`guide::c`] |
//!
//! [`guide`] has the longer pages: [who dies and what the others see](guide::deaths), [limits](guide::limits),
//! [figures](guide::performance). The page of each object says, window by window, what happens when somebody dies in it.
//!
//! # Rules for all objects
//!
//! **Ownership.** Everything that is owned names its owner by slot and generation, and the kernel marks the slot of a thread
//! that dies ([`raw::member`] has the mechanism, [`raw::format`] the bytes).
//!
//! **Guards.** As long as a guard lives, nobody else has what it gives access to. A leaked guard keeps the lock held as long as
//! its *process* lives, even when its thread ends (the thread's member slot becomes the process's); the end of the process is then
//! noticed within 50 ms. In C, and for the raw objects, the end of a thread is its death. When a death is reported, no thread of the
//! dead process can still write: a process with other threads is waited for. All of this holds among peers that keep to the
//! protocol.
//!
//! **Fork.** A child may use what it inherits; it does not own what its parent holds. The safe forms of
//! [`process::fork`] refuse in a process with other threads or with a live guard. A child that shares its parent's memory without
//! being its thread (vfork, `CLONE_VM`) must not use the library before exec.
//!
//! **Signals.** No operation may be used in a signal handler unless it says so.
//!
//! **Cancellation.** No function is a cancellation point of C: `pthread_cancel` takes effect at the next cancellation point outside
//! the library. A thread of asynchronous cancellation type must not be inside the library. In Rust the same holds for locks, queues and pipes.
//!
//! **Descriptors.** The library's descriptors are numbered 3 or above. A program may close them (`closefrom(3)`): locks and
//! queues go on working, the process's own stay its own, and a file that gets one of the numbers is never touched.
//!
//! **Without `std`** (`default-features = false`) there is [`raw`]: the locks and queues on memory that you have mapped, with an
//! explicit member, no allocator and no thread-local storage.

// # The map of the house
//
// Each line imports only from lines below it.
//
//   bin/interproc   the tool: a program like any other, on the public Rust interface
//   ffi             the C interface: checks pointers, calls the Rust functions, returns errno values
//   raw             no code: the one public path to the cores below (RawMutex, RawQueue, ...), to `member` and to `format`
//   inspect         looks at a segment from outside: states, waiters, deadlocks
//   asynchronous    futures of what lies below, by one wait set for each runtime (feature `tokio`)
//   waitset         waits for any of several: the set and its sources over `raw`; its sleep is in `member`
//   pipe            two ends on byte lanes, over the core `rendezvous`: how ends meet
//   process         children, programs, daemons; segments only to hand them to programs
//   shm             segments: the file, the directory, and finding or making an object in it (`placed`)
//   queue           handles (<kind>/handle.rs, or producer.rs and consumer.rs) over cores (<kind>/raw.rs, lane); only the core of
//                   `latest` needs a lock
//   sync            typed locks and guards (mutex.rs, guard.rs, ...) over cores (raw_*)
//   decode          what a decoder of an object's bytes gets and returns
//   member          who takes part and who is dead; the one sleep; from an address to the calling thread's member
//   sys             the kernel: futex, robust list, membarrier, pidfd, /proc; in a model run `sys::model` stands in for it
//
// Beside them, for all: error, memory, fallible, counted, shared, checked, format, crash_window; time over clock; atomic and
// clock are others in a model run. No arrow goes up, and in the product there is no circle (the models' atomics know the model).
//
// # One path through it: `Queue::push`, down to the kernel and back
//
// Fast path: about 80 instructions, one of them locked, no call and no system call (x86-64, the caller's frame included).
//
//  1. `Queue::push` (queue/mpmc/handle.rs) asks `member::current` (member/local.rs) for the thread's member: a comparison with
//     the last mapping that the thread used. Its first use of a segment takes a slot (`Domain::register`, member/domain.rs).
//  2. `RawQueue::push_with` (queue/mpmc/raw.rs) calls `Member::pend`: until `unpend`, the pending pointer of the thread's robust
//     list is at the segment's bell (sys/linux/robust.rs). If the thread dies in between, the kernel wakes one sleeper there.
//  3. `claim_push_at_hint`: a compare-and-swap puts the member's id into the control word of the cell that `tail` names.
//  4. `publish` writes the value. `finish` stores the sequence word, which commits, then the control word, which releases the
//     cell. `EventCount::published` (queue/event_count.rs), a compiler fence and a load, finds nobody asleep. `tail` moves on.
//
// Slow path, `claim_push_by`: the queue is full, contended or closed, somebody died, or a process has no membarrier.
//
//  5. `scan` (queue/mpmc/scan.rs) goes on from the hint, cell by cell. At each, `look_to_push` decides; it reuses what the dead
//     have left. The scan claims a cell (then as in 4), or says which cell refuses and which living owner is in the way there.
//  6. Refused: `wait` (queue/wait.rs) looks a few times more (member/spin.rs). Then `EventCount::announce` sets the bit that
//     says that somebody may sleep, and passes the heavy fence (`sys::membarrier`), and `wait` looks once more. Whatever happens
//     after that look changes a word that the sleep watches.
//  7. `Member::sleep` (member/sleep.rs) lists these words: the event count, the closed word if a closer has marked the count, the
//     cell, the alarm, the slot of the owner in the way, the bell. `List::wait` (sys/linux/futex.rs) is one `futex_waitv`.
//
// What ends the sleep; all but the deadline lead back to 5:
//
//  - A pop gives its cell back: `done_with`, `finish`, `EventCount::wake`, for as many as can go on (`set_free`).
//  - A close: `Head::close` (queue/head.rs) wakes all.
//  - The owner in the way dies. The kernel marks its slot and wakes one sleeper on it; `pass_deaths_on` wakes the others. The
//    next scan sees the mark (`Table::life`, member/table.rs) and takes the cell or passes it.
//  - Somebody dies after its claim, before the wake-up that it owes. Its pending pointer is at the bell, so the kernel wakes one
//    sleeper on the bell, and that one wakes everyone in the segment (`Table::raise_alarm`).
//  - The owner in the way dies and the kernel does not report it. A sleep on an owner ends after 50 ms (`NET_NS`); then
//    `Member::verify` asks the second channel (`Domain::mark_if_dead`).
//  - The deadline: `TimedOut`.

#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]
// Some of it is there for C alone.
#![cfg_attr(not(any(feature = "c-abi", test)), allow(dead_code, unused_imports))]

#[cfg(not(all(target_os = "linux", target_endian = "little", target_pointer_width = "64")))]
compile_error!("interproc is for 64-bit little-endian Linux");

/// Whether a seeded fault is switched on: never in the product. In a build with `--cfg interproc_mutants` (and `std`)
/// the environment variable `INTERPROC_MUTANT` names the one that is.
#[cfg(not(all(interproc_mutants, feature = "std")))]
macro_rules! mutant {
    ($name:literal) => {
        false
    };
}
#[cfg(all(interproc_mutants, feature = "std"))]
macro_rules! mutant {
    ($name:literal) => {
        $crate::mutants::chosen($name)
    };
}
pub(crate) use {crash_window::crash_window, mutant};

#[cfg(all(feature = "tokio", not(interproc_loom)))]
pub mod asynchronous;
#[cfg(not(interproc_loom))]
mod atomic;
#[cfg(interproc_loom)]
#[doc(hidden)]
pub mod atomic; // for the models in tests/loom
mod checked;
mod clock;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod counted;
mod crash_window;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod decode;
mod error;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod fallible;
// Its comments are for C: their examples are no doc tests. Its symbols are exported, so it is there only for who asks: two
// versions of the crate in one program would have them twice. Its own tests need it.
#[cfg(all(feature = "std", any(feature = "c-abi", test), not(interproc_loom), not(doctest)))]
mod ffi;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub mod guide;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub mod inspect;
#[cfg(feature = "std")]
mod memory;
#[cfg(any(feature = "std", interproc_loom))]
pub mod pipe;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub mod process;
pub mod queue;
pub mod raw;
mod shared;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub mod shm;
pub mod sync;
#[cfg(not(interproc_loom))]
mod sys;
#[cfg(interproc_loom)]
#[doc(hidden)]
pub mod sys; // for the models in tests/loom
mod time;
#[cfg(any(feature = "std", interproc_loom))]
pub mod waitset;

// Declared in `raw`, where alone they are public; here under the names by which everything in the crate calls them.
use raw::{format, member};

#[cfg(all(interproc_mutants, feature = "std"))]
mod mutants {
    use std::sync::OnceLock;

    /// Whether this process runs the mutant with this name.
    pub(crate) fn chosen(name: &str) -> bool {
        static NAME: OnceLock<Option<std::ffi::OsString>> = OnceLock::new();
        NAME.get_or_init(|| std::env::var_os("INTERPROC_MUTANT"))
            .as_ref()
            .is_some_and(|chosen| chosen == name)
    }
}

/// The crate whose traits say what [`Plain`] data is, so that you need no dependency of your own on it: derive with
/// `#[bytemuck(crate = "interproc::bytemuck")]`.
pub use bytemuck;
pub use checked::Checked;
pub use error::{Error, ErrorKind, Result};
#[cfg(not(interproc_loom))]
pub use member::view::Who;
pub use shared::{Plain, Shared, TypeId};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use shm::{Object, Options, Room, Segment};
pub use time::{Deadline, Wait};

/// The examples of the README, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
