//! Queues in shared memory that survive the death of any participant.
//!
//! | wanted | type |
//! |---|---|
//! | messages of one size, many producers and consumers | [`Queue`]; in place with [`Reservation`] and [`Message`]; [`Queue::force_push`] displaces the oldest |
//! | messages of any length, many producers and consumers | [`ByteQueue`]; in place with [`ByteReservation`] and [`ByteMessage`] |
//! | messages of one size, one producer and one consumer: the fastest | [`spsc`]; in place with [`WriteChunk`](spsc::WriteChunk) and [`ReadChunk`](spsc::ReadChunk) |
//! | messages of any length, one producer and one consumer | [`byte_lane`]; in place with [`ByteReservation`](byte_lane::ByteReservation) and [`ByteMessage`](byte_lane::ByteMessage) |
//! | messages of any length, both ways, with end of file | [`pipe`](crate::pipe) |
//! | jobs: kept until a worker says that they are done, and given to another one if it dies | [`WorkQueue`] |
//! | every message to every subscriber, of those who wait and those who lag | [`Broadcast`] |
//! | only the newest value | [`Latest`] |
//!
//! Their algorithms are in [`raw::queue`](crate::raw::queue): what happens, window by window, when somebody dies.

#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod body;
pub(crate) mod broadcast;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub mod byte_lane;
#[cfg(not(any(feature = "std", interproc_loom)))]
pub(crate) mod byte_lane;
pub(crate) mod byte_queue;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod delivery;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod endpoint;
pub(crate) mod event_count;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod guard;
mod head;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod iter;
pub(crate) mod lane;
pub(crate) mod latest;
mod locking;
pub(crate) mod mpmc;
#[cfg(any(feature = "std", interproc_loom))]
pub(crate) mod not_yet;
mod position;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod push_error;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod recv_error;
mod skips;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub mod spsc;
pub(crate) mod steps;
mod wait;
pub(crate) mod work;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use byte_queue::{
    ByteQueue, Drain as ByteDrain, Iter as ByteIter, Message as ByteMessage, Reservation as ByteReservation,
    TryIter as ByteTryIter,
};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use delivery::{BatchDelivery, Delivery};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use guard::{Borrowed, Reserved};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use latest::view as latest_view;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use latest::{Latest, Versioned};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use mpmc::{Drain, Iter, Message, Queue, Reservation, TryIter};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use push_error::{BatchError, PushError};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use recv_error::RecvError;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use work::{Job, Lease, Letter, WorkOptions, WorkOrder, WorkQueue};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use {
    body::Body,
    broadcast::{
        AlonePublication, Broadcast, BroadcastOptions, News, Publication, Publisher, Received, Since, Slow,
        Subscriber,
    },
};

// Public in `raw::queue`.
pub(crate) use lane::{Lane, RawConsumer, RawProducer};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use {
    byte_queue::{ByteRing, Popped, RawByteQueue, byte_ring_size},
    lane::lane_size,
    latest::{LatestPlace, RawLatest, latest_size},
    mpmc::{RawQueue, Ring, ring_size},
};
