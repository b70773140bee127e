//! [`Object`]: a handle to a typed object in a segment, and the calls that find or make one.
#![allow(unsafe_code)]

use super::directory::Shape;
use super::fail;
use super::segment::Segment;
use crate::error::format;
use crate::error::{Error, ErrorKind, Result};
use crate::shared::{Shared, TypeId};
use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU8;

/// A handle to an object in a segment. It derefs to the object and keeps the segment mapped.
///
/// Dropping the handle leaves the object where it is; clones refer to the same object.
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

    /// Whether the call that returned this handle, or the handle it was cloned from, made the object. Of all processes that
    /// call at the same time exactly one made it; nobody sees the object before it has its first value.
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

impl Segment {
    /// Finds the object of this name and type, or makes it with the value that `init` returns. When several processes do so
    /// at the same time, all get the same object and all but one call `init` in vain; [`Object::is_new`] tells whose value
    /// it has.
    ///
    /// The value is moved into place: for megabytes use [`object_zeroed`](Self::object_zeroed) or [`slice`](Self::slice).
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] when the name belongs to an object of another kind, [type](crate::TypeId), size or
    /// alignment; [`ErrorKind::SegmentFull`]; [`ErrorKind::InvalidInput`] for a bad name or an object without bytes;
    /// [`ErrorKind::Corrupt`] when the directory fails its checks; [`ErrorKind::TooManyMembers`].
    /// # Examples
    /// ```
    /// use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
    /// use interproc::{ErrorKind, Segment};
    ///
    /// let seg = Segment::anonymous(4096)?;
    /// let tickets = seg.object("tickets", || AtomicU32::new(3))?;
    /// assert!(tickets.is_new());
    /// let found = seg.object("tickets", || AtomicU32::new(99))?;
    /// assert_eq!((found.load(Ordering::Relaxed), found.is_new()), (3, false));
    ///
    /// let e = seg.object("tickets", || AtomicU64::new(0)).unwrap_err();
    /// assert_eq!(e.kind(), ErrorKind::TypeMismatch);
    /// assert!(e.to_string().contains("\"tickets\" is an Object of 4 bytes aligned to 4, type 0x"));
    /// assert!(e.to_string().contains("; you asked for an Object of 8"));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn object<T: Shared>(&self, name: &str, init: impl FnOnce() -> T) -> Result<Object<T>> {
        let shape = Self::shape_of::<T>();
        let (place, is_new) = match self.lookup(name, &shape)? {
            Some(place) => (place, false),
            None => {
                // Before the lock: it is the user's code.
                let value = init();
                // SAFETY: the place is aligned and large enough for T by its shape; nobody else refers to it yet.
                self.find_or_place(name, &shape, |place| unsafe { value.write_to(place.cast().as_ptr()) })?
            }
        };
        // SAFETY: the shape was compared with T's; the directory checked the place.
        Ok(unsafe { Object::new(place.cast(), self.clone(), is_new) })
    }

    /// Finds the object of this name and type, or makes it of zeros: an unlocked mutex around 0, a counter at 0. It may be
    /// of any size: it is zeroed in place and never lies on the stack.
    ///
    /// # Errors
    /// As [`object`](Self::object).
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Mutex};
    /// const WORDS: usize = 1 << 20;
    /// let seg = Segment::anonymous(8 * WORDS + 64)?;
    /// let table = seg.object_zeroed::<Mutex<[u64; WORDS]>>("table")?;
    /// assert!(table.is_new());
    /// table.lock()?[WORDS - 1] = 7;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn object_zeroed<T: Shared>(&self, name: &str) -> Result<Object<T>> {
        let (place, is_new) = self.find_or_place(name, &Self::shape_of::<T>(), |_| {})?;
        // SAFETY: as in `object`; zeros are a `Shared`.
        Ok(unsafe { Object::new(place.cast(), self.clone(), is_new) })
    }

    /// Finds the slice of this name with `len` elements, or makes it of zeros, in place. A slice and an array of the same
    /// length are the same object.
    ///
    /// # Errors
    /// As [`object`](Self::object); [`ErrorKind::InvalidInput`] also for a length of 0.
    /// # Examples
    /// ```
    /// # use core::sync::atomic::{AtomicU64, Ordering};
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(1 << 20)?;
    /// let pixels = 100 * 100; // known at run time only
    /// let image = seg.slice::<AtomicU64>("image", pixels)?;
    /// image[pixels - 1].store(7, Ordering::Relaxed);
    /// assert_eq!(seg.find_slice::<AtomicU64>("image")?.len(), pixels);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn slice<T: Shared>(&self, name: &str, len: usize) -> Result<Object<[T]>> {
        let (place, is_new) = self.find_or_place(name, &Self::shape_of_many::<T>(len)?, |_| {})?;
        let place = NonNull::slice_from_raw_parts(place.cast(), len);
        // SAFETY: as in `object_zeroed`, for `len` of them.
        Ok(unsafe { Object::new(place, self.clone(), is_new) })
    }

    /// Finds the slice or array of this name, whatever its length.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    /// # Examples
    /// ```
    /// # use core::sync::atomic::AtomicU32;
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(4096)?;
    /// seg.object("four", || [const { AtomicU32::new(0) }; 4])?;
    /// assert_eq!(seg.find_slice::<AtomicU32>("four")?.len(), 4);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn find_slice<T: Shared>(&self, name: &str) -> Result<Object<[T]>> {
        let found = self.directory().look(name)?.ok_or_else(|| self.missing(name))?;
        // Any length, but one that the bytes are a whole number of.
        let len = found.size as usize / size_of::<T>().max(1);
        let shape = Self::shape_of_many::<T>(len)?;
        let place = self.lookup(name, &shape)?.ok_or_else(|| self.missing(name))?;
        let place = NonNull::slice_from_raw_parts(place.cast(), len);
        // SAFETY: as in `slice`.
        Ok(unsafe { Object::new(place, self.clone(), false) })
    }

    /// Finds the untyped object of this name, size and alignment, or makes it of zeros: what C's `interproc_segment_object`
    /// makes and finds. Only untyped calls find it; see [`object_of_bytes`](Self::object_of_bytes).
    ///
    /// # Errors
    /// As [`object`](Self::object).
    /// # Examples
    /// ```
    /// # use core::sync::atomic::{AtomicU8, Ordering};
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(4096)?;
    /// let flags = seg.bytes("flags", 100, 1)?;
    /// flags[99].store(1, Ordering::Relaxed);
    /// assert_eq!(seg.find_bytes("flags")?.len(), 100);
    /// let e = seg.find::<[AtomicU8; 100]>("flags").unwrap_err();
    /// assert_eq!(e.kind(), ErrorKind::TypeMismatch);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn bytes(&self, name: &str, len: usize, align: usize) -> Result<Object<[AtomicU8]>> {
        let (place, is_new) = self.find_or_place(name, &Shape::object(TypeId::BYTES, len, align), |_| {})?;
        let place = NonNull::slice_from_raw_parts(place.cast(), len);
        // SAFETY: of so many bytes, by its shape; any are valid.
        Ok(unsafe { Object::new(place, self.clone(), is_new) })
    }

    /// Finds the untyped object of this name, whatever its size and alignment.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(4096)?;
    /// seg.bytes("flags", 100, 1)?;
    /// assert!(!seg.find_bytes("flags")?.is_new());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn find_bytes(&self, name: &str) -> Result<Object<[AtomicU8]>> {
        let found = self.directory().look(name)?.ok_or_else(|| self.missing(name))?;
        let shape = Shape { size: found.size, align: found.align, ..Shape::object(TypeId::BYTES, 0, 0) };
        let place = self.lookup(name, &shape)?.ok_or_else(|| self.missing(name))?;
        let place = NonNull::slice_from_raw_parts(place.cast(), found.size as usize);
        // SAFETY: as in `bytes`.
        Ok(unsafe { Object::new(place, self.clone(), false) })
    }

    /// Finds the untyped object of this name, or makes it of zeros, and uses it as a `T`: so a Rust program shares a
    /// structure with a C program that gave no id. (With one that gives the id of `T` it shares it by
    /// [`object`](Self::object).)
    ///
    /// # Errors
    /// As [`object`](Self::object).
    ///
    /// # Safety
    /// Everyone else who uses the object uses it as a `T`, or as a type of the same layout and in the same way.
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Mutex};
    /// let seg = Segment::anonymous(4096)?;
    /// // As C's interproc_segment_object(&segment, "counter", 24, 8, &counter).
    /// seg.bytes("counter", 24, 8)?;
    /// // SAFETY: in C it is `struct { interproc_mutex_t lock; uint64_t value; }`.
    /// let counter = unsafe { seg.object_of_bytes::<Mutex<u64>>("counter") }?;
    /// *counter.lock()? += 1;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub unsafe fn object_of_bytes<T: Shared>(&self, name: &str) -> Result<Object<T>> {
        let (place, is_new) = self.find_or_place(name, &Self::shape_as::<T>(TypeId::BYTES), |_| {})?;
        // SAFETY: of T's size and alignment; it is used as a T, by the contract.
        Ok(unsafe { Object::new(place.cast(), self.clone(), is_new) })
    }

    /// Finds the object of this name and type.
    ///
    /// # Errors
    /// [`ErrorKind::NoObject`], and those of [`object`](Self::object) but for `SegmentFull`.
    /// # Examples
    /// ```
    /// # use core::sync::atomic::AtomicU32;
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(4096)?;
    /// assert_eq!(seg.find::<AtomicU32>("nothing").unwrap_err().kind(), ErrorKind::NoObject);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn find<T: Shared>(&self, name: &str) -> Result<Object<T>> {
        let place = self.lookup(name, &Self::shape_of::<T>())?.ok_or_else(|| self.missing(name))?;
        // SAFETY: as in `object`.
        Ok(unsafe { Object::new(place.cast(), self.clone(), false) })
    }

    /// Finds or makes an object by its id, size and alignment, as C does, and says whether it made it. A new one has the
    /// bytes at `initial`, or zeros.
    ///
    /// # Safety
    /// `initial` is NULL or has `size` bytes.
    pub(crate) unsafe fn raw_object(
        &self,
        name: &str,
        (id, size, align): (TypeId, usize, usize),
        initial: *const u8,
    ) -> Result<(NonNull<u8>, bool)> {
        self.find_or_place(name, &Shape::object(id, size, align), |place| {
            if !initial.is_null() {
                // SAFETY: the place has as many bytes, and nobody else refers to it yet.
                unsafe { place.as_ptr().copy_from_nonoverlapping(initial, size) };
            }
        })
    }

    /// Finds an object by its id, size and alignment, as C does.
    pub(crate) fn raw_find(
        &self,
        name: &str,
        (id, size, align): (TypeId, usize, usize),
    ) -> Result<NonNull<u8>> {
        let place = self.lookup(name, &Shape::object(id, size, align))?;
        place.ok_or_else(|| self.missing(name))
    }

    #[cold]
    fn missing(&self, name: &str) -> Error {
        fail(ErrorKind::NoObject, format!("{name:?} in {self:?}"))
    }

    fn shape_of<T: Shared>() -> Shape {
        Self::shape_as::<T>(T::shared_id())
    }

    fn shape_as<T: Shared>(id: TypeId) -> Shape {
        const { assert!(!core::mem::needs_drop::<T>(), "an object in shared memory is never dropped") };
        Shape::object(id, size_of::<T>(), align_of::<T>())
    }

    /// The shape of so many `T`, one after the other.
    fn shape_of_many<T: Shared>(len: usize) -> Result<Shape> {
        let size = len.checked_mul(size_of::<T>()).filter(|&size| isize::try_from(size).is_ok());
        let size = size.ok_or_else(|| {
            fail(ErrorKind::InvalidInput, format!("{len} elements of {} bytes", size_of::<T>()))
        })?;
        Ok(Shape { size: size as u64, ..Self::shape_as::<T>(TypeId::array::<T>(len)) })
    }
}
