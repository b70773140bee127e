//! What may lie in shared memory: [`Plain`] values, which are copied in and out or reached under a lock, and
//! [`Shared`] objects, which many processes hold a reference to at the same time.
//!
//! Why two traits: a `u32` is fine *inside* a mutex or a queue, but a bare `&u32` to memory that another process
//! writes is undefined behaviour in Rust, and safe code must not be able to make one. So a `u32` is `Plain`, and
//! an `AtomicU32` or a mutex around a `u32` is `Shared`.
#![allow(unsafe_code)]

use core::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    AtomicUsize,
};

/// A value for which every bit pattern is valid: numbers, arrays of them, and structures that derive
/// [`bytemuck::AnyBitPattern`]. It holds no pointer, needs no drop, and all-zero bytes are one of its values.
///
/// It is implemented for every `T: bytemuck::AnyBitPattern`; there is nothing else to implement.
///
/// # Examples
/// ```
/// #[derive(Clone, Copy, bytemuck::AnyBitPattern)]
/// #[repr(C)]
/// struct Job { id: u64, weight: f64 }
///
/// fn may_be_queued<T: interproc::Plain>() {}
/// may_be_queued::<u32>();
/// may_be_queued::<[u8; 48]>();
/// may_be_queued::<Job>();
/// ```
pub trait Plain: bytemuck::AnyBitPattern {}

impl<T: bytemuck::AnyBitPattern> Plain for T {}

/// An object that many processes may refer to at once: atomics, this crate's locks, arrays of them, and your own
/// `#[repr(C)]` structures of them. [`shared!`](crate::shared) declares such a structure without `unsafe`.
///
/// # Safety
/// - The layout is fixed: `#[repr(C)]` or `#[repr(transparent)]`.
/// - Every bit pattern is a valid value, because a peer may write anything; all-zero is a sensible idle value.
/// - There is no pointer, reference or handle inside: other processes have other addresses.
/// - Dropping it does nothing: nobody drops an object in shared memory.
/// - It is accessed only through atomics or under this crate's locks: each field is itself `Shared`. A bare
///   integer field does not qualify.
///
/// # Examples
/// ```
/// use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
/// use interproc::{Segment, Shared};
///
/// #[repr(C)]
/// struct Shop {
///     left: AtomicU32,
///     visitors: AtomicU64,
/// }
/// // SAFETY: repr(C), and both fields are Shared.
/// unsafe impl Shared for Shop {
///     const TYPE_ID: u32 = 0x51_0b_00_01; // optional: told apart from other types of the same size
/// }
///
/// let seg = Segment::anonymous(4096)?;
/// let shop = seg.object("shop", || Shop { left: AtomicU32::new(3), visitors: AtomicU64::new(0) })?;
/// shop.visitors.fetch_add(1, Ordering::Relaxed);
/// assert_eq!(shop.left.load(Ordering::Relaxed), 3);
/// # Ok::<(), interproc::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an object in shared memory by itself",
    note = "wrap plain data in a `Mutex`, use an atomic, or declare the structure with `interproc::shared!`"
)]
pub unsafe trait Shared: Send + Sync + 'static {
    /// Tells types of equal size and alignment apart. 0, the default and what C gives, is compared with nothing.
    const TYPE_ID: u32 = 0;
}

macro_rules! shared_atomics {
    ($($name:ident)*) => {
        $(
            // SAFETY: an integer accessed only atomically: fixed layout, any bit pattern, no pointer, no drop.
            unsafe impl Shared for $name {}
        )*
    };
}

shared_atomics!(AtomicI8 AtomicI16 AtomicI32 AtomicI64 AtomicIsize AtomicU8 AtomicU16 AtomicU32 AtomicU64 AtomicUsize);

// SAFETY: an array lays out its elements one after the other and adds nothing.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}

/// Declares a `#[repr(C)]` structure whose fields are all [`Shared`](crate::Shared), and makes it `Shared`.
///
/// A field that may not lie in shared memory by itself is a compile error that names it.
///
/// # Examples
/// ```
/// use core::sync::atomic::{AtomicU32, Ordering};
///
/// interproc::shared! {
///     /// A counter for each of four doors.
///     pub struct Doors {
///         /// How many are open.
///         pub open: AtomicU32,
///         pub passed: [AtomicU32; 4],
///     }
/// }
///
/// let seg = interproc::Segment::anonymous(4096)?;
/// let doors = seg.object("doors", || Doors {
///     open: AtomicU32::new(4),
///     passed: [const { AtomicU32::new(0) }; 4],
/// })?;
/// doors.passed[2].fetch_add(1, Ordering::Relaxed);
/// # Ok::<(), interproc::Error>(())
/// ```
///
/// ```compile_fail
/// interproc::shared! { struct Bare { count: u32 } } // a bare integer: refused
/// ```
#[macro_export]
macro_rules! shared {
    ($(#[$attr:meta])* $vis:vis struct $name:ident {
        $($(#[$field_attr:meta])* $field_vis:vis $field:ident : $type:ty),+ $(,)?
    }) => {
        $(#[$attr])*
        #[repr(C)]
        $vis struct $name { $($(#[$field_attr])* $field_vis $field: $type,)+ }

        const _: () = {
            const fn field_is_shared<T: $crate::Shared>() {}
            $(field_is_shared::<$type>();)+
            // A type with a Drop of its own is not made for shared memory.
            ::core::assert!(!::core::mem::needs_drop::<$name>(), "an object in shared memory is never dropped");
        };

        // SAFETY: repr(C), and the block above proves that each field is Shared.
        #[allow(unsafe_code)]
        unsafe impl $crate::Shared for $name {}
    };
}
