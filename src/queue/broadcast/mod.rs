//! The broadcast: every subscriber gets every message.

#[cfg(all(feature = "std", not(interproc_loom)))]
mod alone;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod handle;
mod layout;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod options;
mod publisher;
mod raw;
mod subscriber;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod subscription;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod view;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use alone::{AlonePublication, Publisher};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use handle::{Broadcast, Publication};
pub use layout::{BroadcastGeometry, BroadcastPlace};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use options::BroadcastOptions;
pub use publisher::RawPublisher;
pub use raw::{RawBroadcast, Since, Slot, Slow};
pub use subscriber::RawSubscriber;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use subscription::{News, Received, Subscriber};
#[cfg(all(feature = "std", any(feature = "c-abi", test), not(interproc_loom), not(doctest)))]
pub(crate) use {alone::Alone, subscription::Subscription};
