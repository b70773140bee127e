//! [`Placed`]: an object whose size follows from parameters chosen at run time (a queue, a lane, a barrier), and the one
//! function that finds such an object in a segment or makes it.
//!
//! **A new kind of object** implements the trait once, on what a caller asks for. The directory then compares kind, type,
//! size, alignment and parameters; the object's own header is checked against what was asked after that, because a peer
//! may have written over it. [`Room`](super::Room) takes the size from the same implementation.
#![allow(unsafe_code)]

use super::directory::{Described, Shape};
use super::fail;
use super::segment::Segment;
use crate::error::format;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Kind;
use core::ptr::NonNull;

/// What a caller asks for: an object with these parameters.
pub(crate) trait Placed {
    /// The object, attached.
    type Handle;
    /// The alignment of its first byte.
    const ALIGN: usize;

    /// Which parameters are possible: the end of the error that refuses others.
    fn limits(&self) -> &'static str;

    /// What the directory calls it.
    fn kind(&self) -> Kind;

    /// What else must be equal to find it: the type of its elements, or which object of its kind it is.
    fn type_id(&self) -> u64 {
        0
    }

    /// The parameters, as the directory keeps and compares them.
    fn params(&self) -> [u64; 2];

    /// The bytes that it needs; `None` if the parameters are impossible.
    fn size(&self) -> Option<usize>;

    /// Completes its first value.
    ///
    /// # Errors
    /// None for possible parameters.
    ///
    /// # Safety
    /// `place` is aligned to [`ALIGN`](Self::ALIGN), has `size` zeroed bytes in a segment, and nobody else refers to it
    /// yet.
    unsafe fn make(&self, place: NonNull<u8>, size: usize) -> Result<()>;

    /// Copies and checks the object's header.
    ///
    /// # Errors
    /// `Corrupt`.
    ///
    /// # Safety
    /// `place` is aligned to [`ALIGN`](Self::ALIGN), has `size` bytes, and stays mapped as long as the handle or a copy of
    /// it is used.
    unsafe fn attach(place: NonNull<u8>, size: usize) -> Result<Self::Handle>;

    /// Whether the object's own header says the same as the directory, which has been compared with `self`.
    fn agrees_with(&self, handle: &Self::Handle) -> bool;

    /// The segment's publishers use full fences.
    fn use_strong_fences(_: &Self::Handle) {}

    /// What the directory compares.
    ///
    /// # Errors
    /// `InvalidInput` for impossible parameters.
    fn shape(&self) -> Result<Shape> {
        let (kind, params) = (self.kind() as u32, self.params());
        let size = self.size().ok_or_else(|| {
            let asked = Described { kind, params };
            fail(ErrorKind::InvalidInput, format!("{asked} is not possible: {}", self.limits()))
        })?;
        let align = Self::ALIGN as u64;
        Ok(Shape { kind, type_id: self.type_id(), size: size as u64, align, params })
    }
}

impl Segment {
    /// Finds the object of this name, or makes it as it is asked for.
    ///
    /// # Errors
    /// `InvalidInput` for impossible parameters; `TypeMismatch` when the name belongs to something else; `SegmentFull`;
    /// `Corrupt` when the object's header is not what the directory says.
    pub(crate) fn find_or_make<P: Placed>(&self, name: &str, asked: &P) -> Result<P::Handle> {
        let shape = asked.shape()?;
        let size = shape.size as usize;
        let place = self.place(name, &shape, |place| {
            // SAFETY: the directory's place is aligned, zeroed and as long as asked; nobody else refers to it yet.
            let made = unsafe { asked.make(place, size) };
            debug_assert!(made.is_ok(), "the shape was checked");
        })?;
        let handle = self.attached::<P>(name, place, size)?;
        if asked.agrees_with(&handle) { Ok(handle) } else { Err(damaged(name)) }
    }

    /// Finds the object of this name, kind and type, whatever its parameters.
    ///
    /// # Errors
    /// `TypeMismatch` when the name belongs to something else; `Corrupt` when the object's header is impossible.
    pub(crate) fn find_placed<P: Placed>(
        &self,
        name: &str,
        kind: Kind,
        type_id: u64,
    ) -> Result<Option<P::Handle>> {
        let found = self.directory().find_like(name, kind, type_id)?;
        found.map(|(place, size)| self.attached::<P>(name, place, size)).transpose()
    }

    /// Finds the object of this kind that lies at this address, so many bytes behind the segment's start.
    ///
    /// # Errors
    /// `NoObject` when there is none; as [`find_placed`](Self::find_placed).
    pub(crate) fn placed_at<P: Placed>(&self, offset: u64, kind: Kind) -> Result<P::Handle> {
        let Some((place, size)) = self.directory().find_at(offset, kind)? else {
            return Err(fail(ErrorKind::NoObject, format!("nothing of this kind lies at {offset}")));
        };
        self.attached::<P>("it", place, size)
    }

    fn attached<P: Placed>(&self, name: &str, place: NonNull<u8>, size: usize) -> Result<P::Handle> {
        if !place.addr().get().is_multiple_of(P::ALIGN) {
            return Err(damaged(name)); // as the directory's own entry says it
        }
        // SAFETY: checked by the directory, and here; whoever uses the handle keeps the mapping.
        let handle = unsafe { P::attach(place, size) }.map_err(|_| damaged(name))?;
        if self.has_strong_fences() {
            P::use_strong_fences(&handle);
        }
        Ok(handle)
    }
}

/// A peer has written over an object's header.
#[cold]
fn damaged(name: &str) -> Error {
    fail(ErrorKind::Corrupt, format!("the header of {name:?} contradicts the directory"))
}
