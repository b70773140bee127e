//! Latest values in a segment.
#![allow(unsafe_code)]

use super::directory::Element;
use super::fail;
use super::placed::Placed;
use super::segment::Segment;
use crate::error::format;
use crate::error::{ErrorKind, Result};
use crate::format::Kind;
use crate::queue::{Latest, LatestPlace, RawLatest, latest_size};
use crate::shared::Plain;
use core::ptr::{self, NonNull};

/// A [`Latest`] that is asked for.
pub(super) struct AskedLatest {
    element: Element,
    readers: usize,
    /// NULL, for zeros, or as many bytes as an element has.
    initial: *const u8,
}

impl AskedLatest {
    /// One of zeros.
    pub(super) fn new(element: Element, readers: usize) -> Self {
        AskedLatest { element, readers, initial: ptr::null() }
    }
}

impl Placed for AskedLatest {
    type Handle = RawLatest;
    const ALIGN: usize = LatestPlace::ALIGN;

    fn limits(&self) -> &'static str {
        "from 1 to 2^32 bytes, and up to 250 readers"
    }

    fn kind(&self) -> Kind {
        Kind::Latest
    }

    fn type_id(&self) -> u64 {
        self.element.id.bits()
    }

    fn params(&self) -> [u64; 2] {
        [self.element.size as u64, self.readers as u64]
    }

    fn size(&self) -> Option<usize> {
        latest_size(self.element.size, self.readers)
    }

    unsafe fn make(&self, place: NonNull<u8>, size: usize) -> Result<()> {
        // SAFETY: by the contract; `initial` by the contract of `raw_latest`, or NULL.
        unsafe { LatestPlace::make(place, size, self.element.size, self.readers, self.initial) }
    }

    unsafe fn attach(place: NonNull<u8>, size: usize) -> Result<RawLatest> {
        // SAFETY: by the contract.
        unsafe { LatestPlace::attach(place, size) }.map(RawLatest::new)
    }

    fn agrees_with(&self, latest: &RawLatest) -> bool {
        let place = latest.place();
        (place.element(), place.readers() as usize) == (self.element.size, self.readers)
    }

    fn use_strong_fences(latest: &RawLatest) {
        latest.use_strong_fences();
    }
}

impl Segment {
    /// Finds the latest value of this name, or makes it with this first value (version 0) and with announcements for four
    /// readers at a time: see [`Latest`].
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] when the name belongs to something else, or to a value of another
    /// [type](crate::TypeId::plain) or with another number of announcements; [`ErrorKind::SegmentFull`];
    /// [`ErrorKind::InvalidInput`] for a bad name or a value of no bytes.
    ///
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let limit = seg.latest("limit", 100u32)?;
    /// limit.set(70)?;
    /// assert_eq!(seg.latest("limit", 100u32)?.get()?, 70); // it was there
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn latest<T: Plain>(&self, name: &str, initial: T) -> Result<Latest<T>> {
        self.latest_for(name, initial, 4)
    }

    /// As [`latest`](Self::latest), with announcements for `readers` at a time, at most 250. A reader that was overtaken
    /// twice needs an announcement to read wait-free; each costs a slot for a value.
    ///
    /// # Errors
    /// As [`latest`](Self::latest); [`ErrorKind::InvalidInput`] also for more than 250 readers.
    ///
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let limit = seg.latest_for("limit", 100u32, 16)?;
    /// assert_eq!(limit.get()?, 100);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn latest_for<T: Plain>(&self, name: &str, initial: T, readers: usize) -> Result<Latest<T>> {
        self.latest_as(name, Element::of::<T>(), initial, readers)
    }

    /// As [`latest_for`](Self::latest_for), untyped, and read as a `T`: C's `interproc_segment_latest_as` (for 4 readers:
    /// `interproc_segment_latest`), which names no type, makes and finds such values. See
    /// [`queue_of_bytes`](Self::queue_of_bytes).
    ///
    /// # Errors
    /// As [`latest_for`](Self::latest_for).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// // As C's interproc_segment_latest(&segment, "limit", 4, &initial, &limit).
    /// let limit = seg.latest_of_bytes("limit", 100u32, 4)?;
    /// assert_eq!(limit.get()?, 100);
    /// assert_eq!(seg.latest("limit", 100u32).unwrap_err().kind(), ErrorKind::TypeMismatch);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn latest_of_bytes<T: Plain>(&self, name: &str, initial: T, readers: usize) -> Result<Latest<T>> {
        self.latest_as(name, Element::bytes(size_of::<T>()), initial, readers)
    }

    fn latest_as<T: Plain>(
        &self,
        name: &str,
        element: Element,
        initial: T,
        readers: usize,
    ) -> Result<Latest<T>> {
        // SAFETY: a value of so many initialised bytes.
        let raw = unsafe { self.raw_latest(name, element, readers, (&raw const initial).cast()) }?;
        let wrong = || fail(ErrorKind::Corrupt, format!("latest value {name:?}"));
        Latest::from_raw(raw, self.keep()).ok_or_else(wrong)
    }

    /// [`latest_for`](Self::latest_for) for C.
    ///
    /// # Safety
    /// `initial` is NULL, for zeros, or has as many bytes as the element.
    pub(crate) unsafe fn raw_latest(
        &self,
        name: &str,
        element: Element,
        readers: usize,
        initial: *const u8,
    ) -> Result<RawLatest> {
        self.find_or_make(name, &AskedLatest { element, readers, initial })
    }
}
