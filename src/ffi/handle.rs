//! Handles: how C holds an object of the library. All-zero is the handle of nothing.
//!
//! **One rule for all of them**: a handle is good until its own close (or leave), and one that needs no close, until that of
//! the segment that it was found by. After that every function refuses it, and each copy of it, with EINVAL, and touches
//! no memory but the handle's: not where the object was, nor what lies there now. See `lease`.

use super::arguments::{input, output};
use super::error::report;
use super::invalid;
use super::lease::{Lease, Pool, Term};
use crate::error::format;
use crate::error::{Error, Result};
use crate::fallible;
use core::cell::UnsafeCell;
use core::ffi::c_int;
use core::mem::{MaybeUninit, forget};
use std::boxed::Box;

/// A handle with the object inside, beside a mark that tells whether it is one, and the term for which it is good. It
/// need not be freed.
///
/// # Safety
/// A `repr(C)` array of words.
pub(super) unsafe trait Marked: Sized {
    /// What is inside.
    type Object: 'static;
    const MARK: [u8; 8];
    /// What the C functions call it.
    const NAME: &'static str;
}

/// What is in a [`Marked`] handle.
#[repr(C)]
struct Inside<T> {
    mark: u64,
    /// Only beside a mark.
    term: MaybeUninit<Term>,
    object: MaybeUninit<T>,
}

impl<T> Inside<T> {
    #[inline(always)]
    fn is_marked<H: Marked>(&self) -> bool {
        self.mark == u64::from_le_bytes(H::MARK)
    }

    #[inline(always)]
    fn is_good<H: Marked>(&self) -> bool {
        // SAFETY: the mark stands beside a term.
        self.is_marked::<H>() && unsafe { self.term.assume_init_ref() }.is_good()
    }
}

/// A handle of an object, good for a term.
fn marked<H: Marked>(object: H::Object, term: Term) -> H {
    const {
        assert!(size_of::<Inside<H::Object>>() <= size_of::<H>());
        assert!(align_of::<Inside<H::Object>>() <= align_of::<H>());
    }
    let mut handle = MaybeUninit::<H>::zeroed();
    let mark = u64::from_le_bytes(H::MARK);
    let inside = Inside { mark, term: MaybeUninit::new(term), object: MaybeUninit::new(object) };
    // SAFETY: it fits, as asserted; any words are a handle.
    unsafe {
        handle.as_mut_ptr().cast::<Inside<H::Object>>().write(inside);
        handle.assume_init()
    }
}

/// A handle of what `find` finds in what `holder` points to: good until that is closed.
///
/// # Safety
/// As [`open`].
pub(super) unsafe fn found_in<B: Boxed, H: Marked>(
    holder: *const B,
    find: impl FnOnce(&B::Object) -> Result<H::Object>,
) -> Result<H> {
    // SAFETY: by the contract.
    let slot = unsafe { slot(holder) }?;
    // SAFETY: its term has not ended.
    Ok(marked(find(unsafe { slot.object() })?, slot.lease.current()))
}

/// A handle of what `take` takes in what `holder` points to: good until it is taken out of the handle again, or until
/// that is closed.
///
/// # Safety
/// As [`open`].
pub(super) unsafe fn taken_in<B: Boxed, H: Marked>(
    holder: *const B,
    take: impl FnOnce(&B::Object) -> Result<H::Object>,
) -> Result<H> {
    // SAFETY: by the contract.
    let slot = unsafe { slot(holder) }?;
    let term = slot.lease.begin_below()?;
    // SAFETY: its term has not ended.
    match take(unsafe { slot.object() }) {
        Ok(taken) => Ok(marked(taken, term)),
        Err(error) => {
            term.end();
            Err(error)
        }
    }
}

/// What is behind a handle.
///
/// # Safety
/// NULL, or a handle that was filled by this library or is zero.
#[inline(always)]
pub(super) unsafe fn find<'a, H: Marked>(handle: *const H) -> Result<&'a H::Object> {
    // SAFETY: by the contract; a handle is large enough and aligned.
    match unsafe { handle.cast::<Inside<H::Object>>().as_ref() } {
        // SAFETY: the mark stands beside an object.
        Some(inside) if inside.is_good::<H>() => unsafe { Ok(inside.object.assume_init_ref()) },
        inside => Err(refuse(H::NAME, inside.is_some_and(Inside::is_marked::<H>))),
    }
}

/// What is behind a handle, for one thread at a time.
///
/// # Safety
/// As [`find`], and nobody else uses it.
#[inline(always)]
pub(super) unsafe fn find_mut<'a, H: Marked>(handle: *mut H) -> Result<&'a mut H::Object> {
    // SAFETY: by the contract; a handle is large enough and aligned.
    match unsafe { handle.cast::<Inside<H::Object>>().as_mut() } {
        // SAFETY: the mark stands beside an object.
        Some(inside) if inside.is_good::<H>() => unsafe { Ok(inside.object.assume_init_mut()) },
        inside => Err(refuse(H::NAME, inside.is_some_and(|inside| inside.is_marked::<H>()))),
    }
}

/// Takes the object out of a handle that was [`taken_in`]: neither it nor a copy is one any more.
///
/// # Safety
/// As [`find_mut`].
pub(super) unsafe fn take<H: Marked>(handle: *mut H) -> Result<H::Object> {
    // SAFETY: by the contract.
    let object: *const H::Object = unsafe { find_mut(handle) }?;
    let inside = handle.cast::<Inside<H::Object>>();
    // SAFETY: it was one, so there is a term.
    if !unsafe { (*inside).term.assume_init() }.end() {
        return Err(refuse(H::NAME, true));
    }
    // SAFETY: only the caller that has ended the term reads the object.
    unsafe {
        (*inside).mark = 0;
        Ok(object.read())
    }
}

#[cold]
#[inline(never)]
fn refuse(name: &str, was_one: bool) -> Error {
    match was_one {
        true => invalid(&format!("the {name} is closed, or the segment that it was found by")),
        false => invalid(&format!("{name} is NULL or not a valid {name}")),
    }
}

/// Asks something of an object that needs no member of the segment.
///
/// # Safety
/// As [`find`]; `out` is NULL or writable.
pub(super) unsafe fn ask<H: Marked, T>(
    handle: *const H,
    out: *mut T,
    answer: impl FnOnce(&H::Object) -> T,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(handle) }.and_then(|object| {
        // SAFETY: by the contract.
        unsafe { output(out, "the place for the answer") }.map(|out| out.set(answer(object)))
    }))
}

/// A handle that points to its object, until it is closed.
///
/// # Safety
/// `repr(C)`; a pointer and a word.
pub(super) unsafe trait Boxed: Sized {
    /// What it points to.
    type Object: 'static;
    /// What the C functions call it.
    const NAME: &'static str;
    /// What a closed one is refused with.
    const CLOSED: &'static str;
    /// Where closed ones leave their memory for new ones. A static of its own.
    fn pool() -> &'static Pool;
}

/// What is in a [`Boxed`] handle.
#[repr(C)]
struct Pointing<T: 'static> {
    slot: Option<&'static Slot<T>>,
    serial: u64,
}

/// An object and the lease of its handle. Reused, never freed.
#[repr(C)]
struct Slot<T> {
    lease: Lease,
    object: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Slot<T> {
    /// # Safety
    /// The term has not ended, and nobody ends it or has it mutably meanwhile.
    #[inline(always)]
    unsafe fn object(&self) -> &T {
        // SAFETY: while a term lasts there is an object.
        unsafe { (*self.object.get()).assume_init_ref() }
    }
}

/// The memory of a handle's object.
pub(super) struct Handle<H: Boxed>(&'static Slot<H::Object>);

impl<H: Boxed> Handle<H> {
    pub(super) fn room() -> Result<Self> {
        if let Some(lease) = H::pool().take() {
            // SAFETY: the pool is of slots of this type, in which the lease comes first; `repr(C)`.
            return Ok(Handle(unsafe { &*core::ptr::from_ref(lease).cast() }));
        }
        let slot = Slot { lease: Lease::new(), object: UnsafeCell::new(MaybeUninit::uninit()) };
        Ok(Handle(Box::leak(fallible::boxed(slot)?)))
    }

    /// The handle of an object.
    pub(super) fn fill(self, object: impl Into<H::Object>) -> H {
        const {
            assert!(size_of::<Pointing<H::Object>>() == size_of::<H>());
            assert!(align_of::<Pointing<H::Object>>() <= align_of::<H>());
        }
        let slot = self.0;
        forget(self);
        // SAFETY: a free slot in our hands.
        unsafe { (*slot.object.get()).write(object.into()) };
        let pointing = Pointing { slot: Some(slot), serial: slot.lease.begin().serial() };
        // SAFETY: of one size, by the assertion; any words are a handle.
        unsafe { core::mem::transmute_copy(&pointing) }
    }
}

impl<H: Boxed> Drop for Handle<H> {
    fn drop(&mut self) {
        H::pool().give(&self.0.lease);
    }
}

/// A handle of an object that `make` makes: its memory is there before, so that nothing is made in vain.
pub(super) fn boxed<H: Boxed, T: Into<H::Object>>(make: impl FnOnce() -> Result<T>) -> Result<H> {
    let room = Handle::room()?;
    Ok(room.fill(make()?))
}

/// Where a handle points to, while its term lasts.
///
/// # Safety
/// As [`open`].
#[inline(always)]
unsafe fn slot<H: Boxed>(handle: *const H) -> Result<&'static Slot<H::Object>> {
    // SAFETY: by the contract; as large, by the assertion in `fill`.
    let pointing = unsafe { input(handle.cast::<Pointing<H::Object>>(), H::NAME) }?;
    pointing.slot.filter(|slot| slot.lease.is(pointing.serial)).ok_or_else(|| invalid(H::CLOSED))
}

/// What a handle points to.
///
/// # Safety
/// NULL, or a handle that was filled by this library or is zero, and that nobody closes meanwhile.
#[inline(always)]
pub(super) unsafe fn open<'a, H: Boxed>(handle: *const H) -> Result<&'a H::Object> {
    // SAFETY: by the contract.
    unsafe { Ok(slot(handle)?.object()) }
}

/// What a handle points to, for one thread at a time.
///
/// # Safety
/// As [`open`], and nobody else uses it.
#[inline(always)]
pub(super) unsafe fn open_mut<'a, H: Boxed>(handle: *const H) -> Result<&'a mut H::Object> {
    // SAFETY: by the contract; while a term lasts there is an object.
    unsafe { Ok((*slot(handle)?.object.get()).assume_init_mut()) }
}

/// Takes the object back: the handle and its copies are closed, and so is what is good only as long as they.
///
/// # Safety
/// As [`open_mut`].
pub(super) unsafe fn close<H: Boxed>(handle: *mut H) -> Result<H::Object> {
    // SAFETY: by the contract.
    let slot = unsafe { slot(handle) }?;
    let pointing = handle.cast::<Pointing<H::Object>>();
    // SAFETY: a handle, by the contract.
    if !slot.lease.end(unsafe { (*pointing).serial }) {
        return Err(invalid(H::CLOSED));
    }
    slot.lease.end_below();
    // SAFETY: only the caller that has ended the term takes the object; then it gives the slot back.
    unsafe {
        pointing.write(Pointing { slot: None, serial: 0 });
        let object = (*slot.object.get()).assume_init_read();
        H::pool().give(&slot.lease);
        Ok(object)
    }
}
