//! [`Object`]: a handle to a typed object in a segment.
#![allow(unsafe_code)]

use super::segment::Segment;
use crate::shared::Shared;
use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;

/// An object in a segment. It derefs to the object and keeps the segment mapped.
///
/// Dropping it leaves the object where it is; clones refer to the same object.
///
/// # Examples
/// ```
/// use core::sync::atomic::{AtomicU64, Ordering};
/// use interproc::Segment;
///
/// let seg = Segment::anonymous(4096)?;
/// let hits = seg.object("hits", || AtomicU64::new(0))?;
/// let same = seg.find::<AtomicU64>("hits")?;
/// hits.fetch_add(1, Ordering::Relaxed);
/// drop(seg); // the handles keep the memory
/// assert_eq!(same.load(Ordering::Relaxed), 1);
/// # Ok::<(), interproc::Error>(())
/// ```
pub struct Object<T: Shared + ?Sized> {
    place: NonNull<T>,
    segment: Segment,
    is_new: bool,
}

// SAFETY: it hands out `&T` only, and a `Shared` T is Send and Sync; a segment is too.
unsafe impl<T: Shared + ?Sized> Send for Object<T> {}
// SAFETY: as above.
unsafe impl<T: Shared + ?Sized> Sync for Object<T> {}

impl<T: Shared + ?Sized> Object<T> {
    /// # Safety
    /// `place` is aligned for `T` and lies, with all of the object, inside the segment's mapping; the object was
    /// given its first value.
    pub(super) unsafe fn new(place: NonNull<T>, segment: Segment, is_new: bool) -> Self {
        Object { place, segment, is_new }
    }

    /// The segment that the object lies in.
    /// # Examples
    /// ```
    /// # use core::sync::atomic::AtomicU64;
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(4096)?;
    /// let hits = seg.object("hits", || AtomicU64::new(0))?;
    /// assert_eq!(hits.segment().len(), seg.len());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Whether the call that this handle (or what it is a clone of) comes from made the object. Of all processes that come
    /// at once, exactly one is told so; the object had its first value before anybody saw it.
    /// # Examples
    /// ```
    /// # use core::sync::atomic::AtomicU64;
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(4096)?;
    /// assert!(seg.object("hits", || AtomicU64::new(0))?.is_new());
    /// assert!(!seg.object("hits", || AtomicU64::new(0))?.is_new());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_new(&self) -> bool {
        self.is_new
    }
}

impl<T: Shared + ?Sized> Deref for Object<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: by the contract of `new`; the segment stays mapped as long as `self.segment`. `Shared` promises
        // that any bytes are a valid T and that all access to them is atomic or locked, so a peer's writes are
        // no conflict with this reference.
        unsafe { self.place.as_ref() }
    }
}

impl<T: Shared + ?Sized> Clone for Object<T> {
    fn clone(&self) -> Self {
        Object { place: self.place, segment: self.segment.clone(), is_new: self.is_new }
    }
}

impl<T: Shared + ?Sized> fmt::Debug for Object<T> {
    // Without T's bytes: others are changing them, and few T have a Debug.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object<{}>({:p} in {:?})", core::any::type_name::<T>(), self.place, self.segment)
    }
}
