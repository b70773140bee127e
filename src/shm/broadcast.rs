//! Broadcasts in a segment.
#![allow(unsafe_code)]

use super::directory::Element;
use super::placed::Placed;
use super::segment::Segment;
use crate::error::Result;
use crate::format::Kind;
use crate::queue::broadcast::{BroadcastGeometry, BroadcastPlace, RawBroadcast};
use crate::queue::{Broadcast, BroadcastOptions};
use crate::shared::Plain;
use core::ptr::NonNull;

/// A [`Broadcast`] that is asked for.
pub(super) struct AskedBroadcast {
    pub(super) type_id: u64,
    pub(super) geometry: BroadcastGeometry,
}

impl Placed for AskedBroadcast {
    type Handle = RawBroadcast;
    const ALIGN: usize = BroadcastPlace::ALIGN;

    fn limits(&self) -> &'static str {
        "from 2 to 2^30 messages of 1 to 2^32 - 1 bytes, and up to 4096 subscribers"
    }

    fn kind(&self) -> Kind {
        Kind::Broadcast
    }

    fn type_id(&self) -> u64 {
        self.type_id
    }

    fn params(&self) -> [u64; 2] {
        self.geometry.words()
    }

    fn size(&self) -> Option<usize> {
        self.geometry.size()
    }

    unsafe fn make(&self, place: NonNull<u8>, size: usize) -> Result<()> {
        // SAFETY: by the contract.
        unsafe { BroadcastPlace::make(place, size, self.geometry) }
    }

    unsafe fn attach(place: NonNull<u8>, size: usize) -> Result<RawBroadcast> {
        // SAFETY: by the contract.
        unsafe { BroadcastPlace::attach(place, size) }.map(RawBroadcast::new)
    }

    fn agrees_with(&self, broadcast: &RawBroadcast) -> bool {
        *broadcast.place().geometry() == self.geometry
    }
}

impl Segment {
    /// Finds the broadcast of this name for messages of type `T`, or makes it: see [`Broadcast`].
    ///
    /// # Errors
    /// [`TypeMismatch`](crate::ErrorKind::TypeMismatch) when the name belongs to something else, or to a broadcast of other messages or
    /// options; [`InvalidInput`](crate::ErrorKind::InvalidInput) for impossible options; else as [`object`](Self::object).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{BroadcastOptions, Slow}};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let mut one = numbers.subscribe(Slow::Waits)?;
    /// numbers.publish(7)?;
    /// assert_eq!(one.recv()?, 7);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn broadcast<T: Plain>(&self, name: &str, options: BroadcastOptions) -> Result<Broadcast<T>> {
        let type_id = Element::of::<T>().id.bits();
        let raw = self.raw_broadcast(name, type_id, options.geometry(size_of::<T>(), true))?;
        Ok(Broadcast::from_raw(raw, self.keep()))
    }

    /// Finds the broadcast of this name for messages of up to `longest` bytes, or makes it.
    ///
    /// # Errors
    /// As [`broadcast`](Self::broadcast).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{BroadcastOptions, Slow}};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let news = seg.byte_broadcast("news", 100, BroadcastOptions::new(16))?;
    /// let mut one = news.subscribe(Slow::Waits)?;
    /// news.publish(b"rain".as_slice())?;
    /// assert_eq!(one.recv()?, b"rain");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn byte_broadcast(
        &self,
        name: &str,
        longest: usize,
        options: BroadcastOptions,
    ) -> Result<Broadcast<[u8]>> {
        Ok(Broadcast::from_raw(self.raw_broadcast(name, 0, options.geometry(longest, false))?, self.keep()))
    }

    /// Both of them for C.
    pub(crate) fn raw_broadcast(
        &self,
        name: &str,
        type_id: u64,
        geometry: BroadcastGeometry,
    ) -> Result<RawBroadcast> {
        self.find_or_make(name, &AskedBroadcast { type_id, geometry })
    }
}
