//! The cores of the locks, queues and pipes, on memory that you have mapped, with an explicit member. **Most programs never
//! need this module**: the objects of [`sync`](crate::sync), [`queue`](crate::queue) and [`pipe`](crate::pipe) are made of
//! these, find the calling thread's member by themselves, and give out guards.
//!
//! It is for programs without `std` or an allocator, for bindings that bring their own mapping, for tools that read a segment's
//! bytes, and for readers of the algorithms: the page of each object has its states, and says, window by window, what happens
//! when somebody dies in it.
//!
//! | module | what is in it |
//! |---|---|
//! | [`member`] | [`Table`](member::Table), [`Domain`](member::Domain), [`Member`](member::Member): who takes part, and who is dead |
//! | [`sync`] | [`RawMutex`](sync::RawMutex), [`RawRwLock`](sync::RawRwLock), [`RawCondvar`](sync::RawCondvar) and the others; [`Cells`](sync::Cells), the memory of permits and barriers |
//! | [`queue`] | [`RawQueue`](queue::RawQueue) in a [`Ring`](queue::Ring), [`RawByteQueue`](queue::RawByteQueue) in a [`ByteRing`](queue::ByteRing), [`RawLatest`](queue::RawLatest) in a [`LatestPlace`](queue::LatestPlace), [`RawWorkQueue`](queue::RawWorkQueue) in a [`WorkPlace`](queue::WorkPlace), [`RawBroadcast`](queue::RawBroadcast) in a [`BroadcastPlace`](queue::BroadcastPlace); [`RawProducer`](queue::RawProducer) and [`RawConsumer`](queue::RawConsumer) of a [`Lane`](queue::Lane) |
//! | [`pipe`] | [`RawRendezvous`](pipe::RawRendezvous): how two ends of a pipe meet |
//! | [`format`](mod@format) | the bytes of a segment |
//!
//! The modules mirror those of the crate, so that the core of `sync::Mutex` is found as `raw::sync::RawMutex`.
//!
//! There are no guards here: a caller that locks must unlock. The end of a thread is its death.
//!
//! # Examples
//! A lock in memory that nobody but this program knows. Its file has a header page and a page for each member's slot, as in
//! every segment; the objects lie behind them.
//! ```
//! use interproc::raw::member::{Domain, Table};
//! use interproc::raw::sync::{Acquired, RawMutex};
//! use core::ptr::{NonNull, null_mut};
//! const PAGE: usize = 4096;
//!
//! // A file of 4 zeroed pages: a header, two members, and one page for the objects.
//! let fd = unsafe { libc::memfd_create(c"raw".as_ptr(), libc::MFD_CLOEXEC) };
//! assert_eq!(unsafe { libc::ftruncate(fd, 4 * PAGE as i64) }, 0);
//! let access = libc::PROT_READ | libc::PROT_WRITE;
//! let base = unsafe { libc::mmap(null_mut(), 4 * PAGE, access, libc::MAP_SHARED, fd, 0) };
//! assert_ne!(base, libc::MAP_FAILED);
//! let base = NonNull::new(base.cast::<u8>()).expect("mapped");
//!
//! // SAFETY: the file and its mapping stay to the end, and zero bytes are an unlocked mutex.
//! let (domain, lock) = unsafe {
//!     (Domain::new(Table::new(base, PAGE, PAGE, 2), fd)?, base.add(3 * PAGE).cast::<RawMutex>().as_ref())
//! };
//! // SAFETY: the thread registers once, and gives its membership back before the domain ends.
//! let me = unsafe { domain.register(None) }?;
//! assert_eq!(lock.lock(&me, None)?, Acquired::Clean);
//! lock.unlock(&me)?;
//! // SAFETY: it is not used afterwards.
//! unsafe { domain.unregister(&me) };
//! # Ok::<(), interproc::Error>(())
//! ```

// Everything in the crate stands on these two, and knows them as `crate::member` and `crate::format`; so their files do not
// lie below this one. They are declared here because this is the only path by which others reach them.
#[path = "format.rs"]
pub mod format;
#[path = "member/mod.rs"]
pub mod member;

pub mod sync {
    //! The cores of [`sync`](crate::sync).
    //!
    //! | core | of |
    //! |---|---|
    //! | [`RawMutex`], [`RawRecursiveMutex`], [`RawRwLock`] | [`Mutex`](crate::sync::Mutex), [`RecursiveMutex`](crate::sync::RecursiveMutex), [`RwLock`](crate::sync::RwLock) |
    //! | [`RawSemaphore`], [`RawBoundedSemaphore`] | [`Semaphore`](crate::sync::Semaphore), [`BoundedSemaphore`](crate::sync::BoundedSemaphore) |
    //! | [`RawEvent`], [`RawCondvar`], [`RawBarrier`] | [`Event`](crate::sync::Event), [`Condvar`](crate::sync::Condvar), [`Barrier`](crate::sync::Barrier) |
    //! | [`RawOnce`] | [`Once`](crate::sync::Once), [`OnceLock`](crate::sync::OnceLock) |
    //!
    //! Most lie anywhere in a segment, and zero bytes are an idle one. [`RawBoundedSemaphore`] and [`RawBarrier`] have as many
    //! [`Cells`] as there are permits or parties.

    pub use crate::sync::cells::Cells;
    #[cfg(not(interproc_loom))]
    pub use crate::sync::cells::cells_size;
    pub use crate::sync::raw_barrier::RawBarrier;
    pub use crate::sync::raw_bounded_semaphore::{RawBoundedSemaphore, RawPermit};
    pub use crate::sync::raw_condvar::{RawCondvar, Waited};
    pub use crate::sync::raw_event::RawEvent;
    pub use crate::sync::raw_mutex::{Acquired, RawMutex};
    pub use crate::sync::raw_once::{Begun, RawOnce};
    pub use crate::sync::raw_recursive_mutex::RawRecursiveMutex;
    pub use crate::sync::raw_rwlock::RawRwLock;
    pub use crate::sync::raw_semaphore::RawSemaphore;
}

pub mod queue {
    //! The cores of [`queue`](crate::queue). Each is in two parts: its memory, which one process makes and all attach to, and the
    //! operations on it.
    //!
    //! | core | memory | of |
    //! |---|---|---|
    //! | [`RawQueue`] | [`Ring`], [`ring_size`] | [`Queue`](crate::queue::Queue) |
    //! | [`RawByteQueue`] | [`ByteRing`], [`byte_ring_size`] | [`ByteQueue`](crate::queue::ByteQueue) |
    //! | [`RawProducer`], [`RawConsumer`] | [`Lane`], [`lane_size`] | [`spsc`](crate::queue::spsc) |
    //! | [`byte_lane`] | [`Lane`], [`lane_size`] | [`byte_lane`](crate::queue::byte_lane), [`pipe`](crate::pipe) |
    //! | [`RawLatest`] | [`LatestPlace`], [`latest_size`] | [`Latest`](crate::queue::Latest) |
    //! | [`RawWorkQueue`] | [`WorkPlace`], [`Geometry::size`] | [`WorkQueue`](crate::queue::WorkQueue) |
    //! | [`RawBroadcast`], [`RawSubscriber`] | [`BroadcastPlace`], [`BroadcastGeometry::size`] | [`Broadcast`](crate::queue::Broadcast) |

    pub use crate::queue::broadcast::{
        BroadcastGeometry, BroadcastPlace, RawBroadcast, RawPublisher, RawSubscriber, Since, Slot, Slow,
    };
    pub use crate::queue::byte_queue::{ByteRing, Claim as ByteClaim, Popped, RawByteQueue};
    pub use crate::queue::lane::{Lane, RawConsumer, RawProducer};
    pub use crate::queue::latest::{LatestPlace, RawLatest};
    pub use crate::queue::mpmc::{RawQueue, Ring};
    pub use crate::queue::work::{
        DeadLetter, Geometry, Job, Leased, RawWorkQueue, Reserved, WorkOrder, WorkPlace,
    };
    #[cfg(not(interproc_loom))]
    pub use crate::queue::{
        byte_queue::byte_ring_size, lane::lane_size, latest::latest_size, mpmc::ring_size,
    };

    #[cfg(not(interproc_loom))]
    pub mod byte_lane {
        //! The core of the [byte lane](crate::queue::byte_lane): messages of any length in the units of a
        //! [`Lane`](super::Lane).

        pub use crate::queue::byte_lane::raw::{Found, RawByteConsumer, RawByteProducer, UNIT, units_for};
    }
}

#[cfg(any(feature = "std", interproc_loom))]
pub mod pipe {
    //! The core of [`pipe`](crate::pipe): a [`Place`] with the lanes of one pipe or many, and how two ends meet there. What they
    //! send each other goes through [`queue::byte_lane`](super::queue::byte_lane).

    pub use crate::pipe::layout::Place;
    #[cfg(interproc_loom)]
    pub use crate::pipe::rendezvous::RawEnd;
    pub use crate::pipe::rendezvous::RawRendezvous;
}
