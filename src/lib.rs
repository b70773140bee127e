//! Locks, queues and processes in named shared memory that survive `kill -9` of any participant at any instruction.
//!
//! | you want | it is |
//! |---|---|
//! | memory that processes share, by name or by inheritance | [`Segment`] |
//! | one at a time, and to be told when the last one died | [`sync::Mutex`], [`sync::RecursiveMutex`] |
//! | many readers or one writer | [`sync::RwLock`] |
//! | so many at a time, the permits of the dead given back | [`sync::BoundedSemaphore`] |
//! | to count, to signal, to wait for a condition | [`sync::Semaphore`], [`sync::Event`], [`sync::Condvar`] |
//! | all or nobody goes on; once and no more | [`sync::Barrier`], [`sync::Once`], [`sync::OnceLock`] |
//! | messages from many to many | [`queue::Queue`]; of any length [`queue::ByteQueue`] |
//! | messages from one to one, faster | [`queue::spsc`]; of any length [`queue::byte_lane`] |
//! | only the newest value; writers never wait for readers, nor readers for anybody | [`queue::Latest`] |
//! | messages between two, both ways, with an end when one closes or dies; clients and a server | [`pipe`] |
//! | children that leave no zombies, and none behind; programs; daemons | [`process`] |
//! | who holds what, who waits, who waits in a circle | [`shm::Snapshot`], [`inspect`], the tool's `ls`, `inspect`, `deadlocks` |
//! | a structure of your own in shared memory | [`shared!`](crate::shared), [`Shared`], [`Plain`]; `bool` and enums [`Checked`] |
//! | the same from C | `include/interproc.h` |
//!
//! Everything that is owned names its owner by slot and generation; the kernel marks the slot of a thread that dies
//! ([`member`] has the mechanism, [`format`](mod@format) the bytes). Each object's page says what happens when somebody
//! dies in it, window by window.
//!
//! **Without `std`** (`default-features = false`) there is the core: [`member::Domain`], [`sync::RawMutex`] and
//! [`queue::RawQueue`] on memory that you have mapped, with an explicit member, no allocator and no thread-local
//! storage.
//!
//! **Guards.** What a guard gives out is nobody else's as long as the guard lives. A guard that is leaked stays held as long as
//! its *process* lives, though its thread ends (the thread's member slot becomes the process's); the end of the process is then
//! noticed within 50 ms. In C, and by the raw objects, the end of a thread is its death. When a death is told, no thread of the
//! dead process can still write: a process with other threads is waited for ([`mod@member`] has how). One page of honesty: all
//! this holds among peers that keep to the protocol.
//!
//! **Fork.** A child may use what it inherits; it does not own what its parent holds. The safe forms of
//! [`process::fork`] refuse beside other threads and under a guard. A child that shares its parent's memory without
//! being its thread (vfork, `CLONE_VM`) must not use the library before exec.
//!
//! **Signals.** No operation may be used in a handler unless it says so.
//!
//! **Cancellation.**
//! In C no function is a cancellation point: `pthread_cancel` acts at the thread's next one outside. A thread of
//! asynchronous cancellation type must not be inside the library. In Rust the same holds for locks, queues and pipes.
//! **Descriptors.** Ours have numbers of 3 and above. A program may close them (`closefrom(3)`): locks and queues go on
//! working, the process's own stay its own, and nothing is ever done to a file that got one of the numbers.
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

#[cfg(not(interproc_loom))]
mod atomic;
#[cfg(interproc_loom)]
#[doc(hidden)]
pub mod atomic; // for the models in tests/loom
mod checked;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod counted;
mod crash_window;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod decode;
mod error;
// Its comments are for C: their examples are no doc tests. Its symbols are exported, so it is there only for who asks: two
// versions of the crate in one program would have them twice. Its own tests need it.
#[cfg(all(feature = "std", not(interproc_loom)))]
mod fallible;
#[cfg(all(feature = "std", any(feature = "c-abi", test), not(interproc_loom), not(doctest)))]
mod ffi;
pub mod format;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub mod inspect;
pub mod member;
#[cfg(any(feature = "std", interproc_loom))]
pub mod pipe;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub mod process;
pub mod queue;
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
pub use shared::{Plain, Shared, TypeId};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use shm::{Object, Options, Room, Segment};
pub use time::{Deadline, Wait};

/// The examples of the README, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
