//! The directory: finding and making objects by name.
//!
//! The used entries come first, in the order of their objects in the payload: each entry's object begins at or behind the
//! end of the one before. So the place of the next object is *derived* from the published entries, and there is no counter
//! that a crash could leave wrong.
//!
//! | step of making, under the directory's lock | a crash after it leaves |
//! |---|---|
//! | D1 raise `touched_end` to the end of the new object | nothing: the next maker zeroes up to there |
//! | D2 zero whatever earlier makers may have left, write the object | the same |
//! | D3 fill the entry except `kind` | a free entry with bytes that nobody reads |
//! | D4 store `kind` | a whole object |
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | E1 | D4, `kind` Release | [`read`], `kind` Acquire | the entry and the object's first value |
//!
//! Lookups take no lock. Each entry is copied, the copy is checked, and only the copy is used: if a peer scribbles here, a
//! lookup fails with [`ErrorKind::Corrupt`] or [`ErrorKind::TypeMismatch`], and never returns an address outside of the
//! payload.
#![allow(unsafe_code)]

use super::fail;
use super::name::pack_object_name;
use crate::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::atomic::compiler_fence;
use crate::error::{Error, ErrorKind, Result, format};
use crate::format::{Changing, ENTRY_SIZE, Entry, Fixed, Kind, NAME_SIZE, OBJECT_ALIGN};
use crate::shared::{Plain, TypeId};
use core::fmt;
use core::ptr::NonNull;
use std::string::String;

/// What an object must be to be found, or will be when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub kind: u32,
    /// See [`TypeId`]; of an object with elements, their type. It is compared as everything else: no value means any type.
    pub type_id: u64,
    pub size: u64,
    pub align: u64,
    /// For example, of a queue the element size and the capacity, of a barrier the parties.
    pub params: [u64; 2],
}

impl Shape {
    /// An object without parameters.
    pub const fn object(id: TypeId, size: usize, align: usize) -> Shape {
        let type_id = id.bits();
        Shape { kind: Kind::Object as u32, type_id, size: size as u64, align: align as u64, params: [0; 2] }
    }

    fn check(&self, fixed: &Fixed) -> Result<()> {
        let wrong = |what: &str| Err(fail(ErrorKind::InvalidInput, format!("{self}: {what}")));
        if self.size == 0 {
            return wrong("an object needs at least one byte");
        }
        if !self.align.is_power_of_two() || self.align > u64::from(fixed.page_size) {
            return wrong("an alignment must be a power of two up to the page size");
        }
        if self.kind == Kind::Free as u32 { wrong("this kind stands for a free entry") } else { Ok(()) }
    }
}

/// An object's kind and parameters, in words.
pub(super) struct Described {
    pub kind: u32,
    pub params: [u64; 2],
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = self.params;
        match self.kind {
            k if k == Kind::Object as u32 => write!(f, "an Object"),
            k if k == Kind::Queue as u32 => write!(f, "a Queue of {a}-byte elements x {b}"),
            k if k == Kind::Spsc as u32 => write!(f, "an Spsc of {a}-byte elements x {b}"),
            k if k == Kind::BoundedSemaphore as u32 => write!(f, "a BoundedSemaphore of {a} permits"),
            k if k == Kind::ByteQueue as u32 => {
                write!(f, "a ByteQueue of {a} bytes for messages of up to {b}")
            }
            k if k == Kind::Barrier as u32 => write!(f, "a Barrier of {a} parties"),
            k if k == Kind::ByteSpsc as u32 => write!(f, "a byte lane of {a} bytes, messages up to {b},"),
            k if k == Kind::Latest as u32 => write!(f, "a Latest of {a} bytes with {b} announcements"),
            k if k == Kind::Broadcast as u32 => {
                write!(f, "a Broadcast of {} messages of up to {} bytes to {b}", a as u32, a >> 32)
            }
            k if k == Kind::WorkQueue as u32 => {
                write!(f, "a WorkQueue of {} jobs of up to {} bytes", b >> 32, a >> 32)
            }
            k if k == Kind::Pipe as u32 => {
                write!(f, "{} Pipes of {a} bytes for messages to {}", b >> 32, b as u32)
            }
            k => write!(f, "an object of unknown kind {k} ({a}, {b})"),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { kind, params, size, align, type_id } = *self;
        write!(f, "{} of {size} bytes aligned to {align}", Described { kind, params })?;
        match type_id {
            0 => Ok(()),
            id => write!(f, ", type {id:#018x}"),
        }
    }
}

/// The elements of a queue, or a latest value: their size and type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element {
    pub id: TypeId,
    pub size: usize,
}

impl Element {
    pub fn of<T: Plain>() -> Element {
        Element { id: TypeId::plain::<T>(), size: size_of::<T>() }
    }

    /// Untyped, as C makes them: any plain data of so many bytes.
    pub const fn bytes(size: usize) -> Element {
        Element { id: TypeId::BYTES, size }
    }
}

/// A checked private copy of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub shape: Shape,
    pub offset: u64,
    name: [u64; NAME_SIZE / 8],
}

impl Found {
    pub fn end(&self) -> u64 {
        self.offset + self.shape.size
    }

    /// The name; bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// No memory.
    pub fn name(&self) -> Result<String> {
        let bytes: [u8; NAME_SIZE] = bytemuck::cast(self.name);
        let bytes = bytes.split(|&b| b == 0).next().unwrap_or_default();
        let mut name = String::new();
        // The replacement character has three bytes.
        name.try_reserve_exact(3 * bytes.len()).map_err(|_| Error::no_memory())?;
        for chunk in bytes.utf8_chunks() {
            name.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                name.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Ok(name)
    }

    /// Checks a copy: its object lies inside the payload, at or behind `from`, aligned, and has a terminated name.
    fn check(self, index: u32, from: u64, fixed: &Fixed) -> Result<Found> {
        let limit = fixed.payload_off + fixed.payload_len;
        let Shape { size, align, .. } = self.shape;
        let bytes: [u8; NAME_SIZE] = bytemuck::cast(self.name);
        let name_len = bytes.iter().position(|&b| b == 0).unwrap_or(NAME_SIZE);
        let wrong = if size == 0 || self.offset < from {
            "its object overlaps another one or is empty"
        } else if self.offset.checked_add(size).is_none_or(|end| end > limit) {
            "its object ends outside the payload"
        } else if !align.is_power_of_two()
            || align > u64::from(fixed.page_size)
            || !self.offset.is_multiple_of(align)
        {
            "its object is misaligned"
        } else if name_len == 0 || name_len == NAME_SIZE || bytes[name_len..].iter().any(|&b| b != 0) {
            "its name is empty or not terminated"
        } else {
            return Ok(self);
        };
        Err(fail(ErrorKind::Corrupt, format!("directory entry {index}: {wrong}")))
    }
}

/// Copies an entry; `None` if it is free.
fn read(entry: &Entry) -> Option<Found> {
    // E1: sees the entry and the object as their maker left them. The later loads may be Relaxed: a published entry does
    // not change, unless a peer scribbles, and then the check judges the copy.
    let kind = entry.kind.load(Acquire);
    (kind != Kind::Free as u32).then(|| Found {
        shape: Shape {
            kind,
            type_id: entry.type_id.load(Relaxed),
            size: entry.size.load(Relaxed),
            align: entry.align.load(Relaxed),
            params: [entry.params[0].load(Relaxed), entry.params[1].load(Relaxed)],
        },
        offset: entry.offset.load(Relaxed),
        name: core::array::from_fn(|i| entry.name[i].load(Relaxed)),
    })
}

/// Reads an entry from its bytes in the file; `None` if it is free.
fn decode(bytes: &[u8]) -> Option<Found> {
    let words: [u64; ENTRY_SIZE / 8] = bytemuck::pod_read_unaligned(bytes);
    let [kind, offset, size, align, a, b, type_id, _, _, _, ref name @ ..] = words;
    let kind = kind as u32;
    let shape = Shape { kind, type_id, size, align, params: [a, b] };
    (kind != Kind::Free as u32).then_some(Found { shape, offset, name: *name })
}

/// Where a search ended.
struct Searched {
    found: Option<Found>,
    /// The first free entry.
    free: u32,
    /// The end of the last object.
    end: u64,
}

/// Walks the used entries up to the one that is asked for.
fn search(
    entries: impl Iterator<Item = Option<Found>>,
    fixed: &Fixed,
    is_it: impl Fn(&Found) -> bool,
) -> Result<Searched> {
    let (mut free, mut end) = (0, fixed.payload_off);
    for entry in entries.map_while(|e| e) {
        let entry = entry.check(free, end, fixed)?;
        (free, end) = (free + 1, entry.end());
        if is_it(&entry) {
            return Ok(Searched { found: Some(entry), free, end });
        }
    }
    Ok(Searched { found: None, free, end })
}

type Name = [u64; NAME_SIZE / 8];

/// Whether it has this name.
fn named(name: &Name) -> impl Fn(&Found) -> bool {
    move |found| found.name == *name
}

/// All objects of a directory that was read from the file.
pub(super) fn list(bytes: &[u8], fixed: &Fixed) -> impl Iterator<Item = Result<Found>> {
    let mut from = fixed.payload_off;
    bytes.chunks_exact(ENTRY_SIZE).map_while(decode).enumerate().map(move |(i, entry)| {
        let entry = entry.check(i as u32, from, fixed)?;
        from = entry.end();
        Ok(entry)
    })
}

/// The directory of a mapped segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory<'a> {
    base: NonNull<u8>,
    fixed: &'a Fixed,
    entries: &'a [Entry],
    changing: &'a Changing,
}

impl<'a> Directory<'a> {
    /// # Safety
    /// `base` is the page-aligned start of a writable shared mapping of `fixed.total_len` bytes that lasts for
    /// `'a`, and `fixed` has passed the checks of [`super::header`].
    pub unsafe fn new(base: NonNull<u8>, changing: &'a Changing, fixed: &'a Fixed) -> Self {
        // SAFETY: the header's checks keep all entries inside the mapping and aligned; they are atomics.
        let entries = unsafe {
            let first = base.as_ptr().add(fixed.dir_off as usize).cast::<Entry>();
            core::slice::from_raw_parts(first, fixed.max_objects as usize)
        };
        Directory { base, fixed, entries, changing }
    }

    /// Finds the object of this kind that begins here, so many bytes from the segment's start: its place and size.
    pub fn find_at(&self, offset: u64, kind: Kind) -> Result<Option<(NonNull<u8>, usize)>> {
        let is_it = |found: &Found| found.offset == offset && found.shape.kind == kind as u32;
        let found = search(self.entries.iter().map(read), self.fixed, is_it)?.found;
        Ok(found.map(|found| (self.at(found.offset), found.shape.size as usize)))
    }

    /// Finds an object of exactly this shape.
    pub fn find(&self, name: &str, shape: &Shape) -> Result<Option<NonNull<u8>>> {
        shape.check(self.fixed)?;
        match search(self.entries.iter().map(read), self.fixed, named(&pack_object_name(name)?))?.found {
            None => Ok(None),
            Some(found) => self.matched(name, shape, &found).map(Some),
        }
    }

    /// What the object of this name is.
    pub fn look(&self, name: &str) -> Result<Option<Shape>> {
        let packed = pack_object_name(name)?;
        let searched = search(self.entries.iter().map(read), self.fixed, named(&packed))?;
        Ok(searched.found.map(|found| found.shape))
    }

    /// Finds an object of this kind and type, whatever its parameters: its place and size.
    pub fn find_like(&self, name: &str, kind: Kind, type_id: u64) -> Result<Option<(NonNull<u8>, usize)>> {
        let packed = pack_object_name(name)?;
        let Some(found) = search(self.entries.iter().map(read), self.fixed, named(&packed))?.found else {
            return Ok(None);
        };
        if (found.shape.kind, found.shape.type_id) != (kind as u32, type_id) {
            return Err(fail(ErrorKind::TypeMismatch, format!("{name:?} is {}", found.shape)));
        }
        Ok(Some((self.at(found.offset), found.shape.size as usize)))
    }

    fn matched(&self, name: &str, shape: &Shape, found: &Found) -> Result<NonNull<u8>> {
        if found.shape != *shape {
            let sides = format!("{name:?} is {}; you asked for {shape}", found.shape);
            return Err(fail(ErrorKind::TypeMismatch, sides));
        }
        Ok(self.at(found.offset))
    }

    fn at(&self, offset: u64) -> NonNull<u8> {
        debug_assert!(offset < self.fixed.total_len);
        // SAFETY: a checked offset lies inside the mapping.
        unsafe { self.base.add(offset as usize) }
    }

    /// Finds the object or makes it, and returns whether it made it. The caller holds the directory's lock. `init` gets the
    /// object's place, all zero, and completes its first value there; it must not panic or use the directory.
    pub fn find_or_make(
        &self,
        name: &str,
        shape: &Shape,
        init: impl FnOnce(NonNull<u8>),
    ) -> Result<(NonNull<u8>, bool)> {
        shape.check(self.fixed)?;
        let packed = pack_object_name(name)?;
        let searched = search(self.entries.iter().map(read), self.fixed, named(&packed))?;
        if let Some(found) = searched.found {
            return self.matched(name, shape, &found).map(|place| (place, false));
        }
        let Some(entry) = self.entries.get(searched.free as usize) else {
            let full = format!(
                "all {} entries of the directory are in use: create the segment with a larger max_objects",
                self.fixed.max_objects
            );
            return Err(fail(ErrorKind::SegmentFull, full));
        };
        let limit = self.fixed.payload_off + self.fixed.payload_len;
        let place = searched.end.checked_next_multiple_of(shape.align.max(OBJECT_ALIGN));
        let end = place.and_then(|p| p.checked_add(shape.size)).filter(|&end| end <= limit);
        let (Some(place), Some(end)) = (place, end) else {
            let free = limit - searched.end;
            let room =
                format!("{name:?} would be {shape}; {free} of {} bytes are free", self.fixed.payload_len);
            return Err(fail(ErrorKind::SegmentFull, room));
        };
        self.write_object(place, end, init);
        // D3.
        entry.reserved_half.store(0, Relaxed);
        entry.offset.store(place, Relaxed);
        entry.size.store(shape.size, Relaxed);
        entry.align.store(shape.align, Relaxed);
        let words = shape.params.into_iter().chain([shape.type_id, 0, 0, 0]).chain(packed);
        let fields = entry.params.iter().chain([&entry.type_id]).chain(&entry.reserved).chain(&entry.name);
        fields.zip(words).for_each(|(field, word)| field.store(word, Relaxed));
        // D4 and E1: Release, so that everything above also comes first in the machine code.
        entry.kind.store(shape.kind, Release);
        Ok((self.at(place), true))
    }

    fn write_object(&self, place: u64, end: u64, init: impl FnOnce(NonNull<u8>)) {
        // D1. A peer may have scribbled over the value; whatever it is, only our own place is zeroed.
        let touched = self.changing.touched_end.load(Relaxed);
        if touched < end {
            self.changing.touched_end.store(end, Relaxed);
        }
        // Keeps D1 before D2 in the machine code, of which a killed maker leaves a prefix.
        compiler_fence(SeqCst);
        // D2.
        let dirty = touched.clamp(place, end) - place;
        // SAFETY: `place..end` was checked to lie in the payload and belongs to no published object; the lock
        // keeps other makers out. Raw writes: no reference to these bytes exists.
        unsafe { self.at(place).write_bytes(0, dirty as usize) };
        init(self.at(place));
    }
}

#[cfg(test)]
mod tests;
