//! What may lie in shared memory: [`Plain`] values, which are copied in and out or used under a lock, and [`Shared`]
//! objects, to which many processes hold references at the same time.
//!
//! Why two traits: a `u32` is fine *inside* a mutex or a queue, but a bare `&u32` to memory that another process writes is
//! undefined behaviour in Rust, so safe code must not be able to make one. A `u32` is `Plain`; an `AtomicU32`, or a mutex
//! around a `u32`, is `Shared`.
//!
//! **No padding is written**, because a byte of padding holds whatever lay on the writer's stack. So a `Plain` value has
//! none, and a `Shared` object is written field by field into zeroed memory.
//!
//! **Trust.** Processes that use the library from safe Rust cannot break each other's types. A process that writes to the
//! memory around the library, from C or through its own mapping, can write under a guard: then a `&T` of another process
//! changes, which Rust does not allow. No bytes make a `Plain` value invalid, and the library never reads shared bytes
//! twice to decide; but a program that does not trust its peers should copy values out (`Queue::pop`, `Latest::get`,
//! `ByteQueue::pop`) instead of reading them in place, or use atomics.
//!
//! **An object is found by its exact type**: see [`TypeId`].
#![allow(unsafe_code)]

use core::any::type_name;
use core::fmt;
use core::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    AtomicUsize,
};

/// A value for which every bit pattern is valid, and which has no padding: numbers, arrays of them, and structures that
/// derive [`bytemuck::Pod`]. It holds no pointer, needs no drop, and all-zero bytes are one of its values.
///
/// It is implemented for every `T: bytemuck::AnyBitPattern + bytemuck::NoUninit` (`Pod` is both); there is nothing else to
/// implement. The crate re-exports [`bytemuck`](crate::bytemuck), so you need no dependency of your own. For `bool`, `char`
/// and enums, for which some bit patterns are invalid, use [`Checked`](crate::Checked).
///
/// # Examples
/// ```
/// use interproc::bytemuck;
///
/// #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
/// #[bytemuck(crate = "interproc::bytemuck")]
/// #[repr(C)]
/// struct Job { id: u64, weight: f64 }
///
/// fn may_be_queued<T: interproc::Plain>() {}
/// may_be_queued::<u32>();
/// may_be_queued::<[u8; 48]>();
/// may_be_queued::<Job>();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not plain data: it cannot be copied into shared memory",
    label = "not `Plain`",
    note = "plain data has a valid value for every bit pattern, no padding, no pointer and no reference: derive \
            `interproc::bytemuck::Pod` and `Zeroable` with `#[bytemuck(crate = \"interproc::bytemuck\")]`, and fill gaps \
            between fields with fields",
    note = "for `bool`, `char` and enums there is `interproc::Checked`"
)]
pub trait Plain: bytemuck::AnyBitPattern + bytemuck::NoUninit {}

#[diagnostic::do_not_recommend]
impl<T: bytemuck::AnyBitPattern + bytemuck::NoUninit> Plain for T {}

/// Identifies the type of an object in a segment: 64 bits computed from the type's name (without the path), size and
/// alignment, and from the ids of its parts. So a `Mutex<u64>` is not found as a `Mutex<f64>`, nor a structure as another
/// one of the same name and size with other fields. An untyped object, as C makes them, has the id [`BYTES`](Self::BYTES)
/// and is found only as such. Queues and latest values are told apart by the id of their elements: [`TypeId::plain`].
///
/// The id does not depend on the compiler, nor on the crate or module that declares the type: two programs may each declare
/// it. Field names do not count, nor do the fields of a [`Plain`] structure, because any bytes are a value of it.
///
/// # Examples
/// ```
/// use interproc::{Segment, TypeId, sync::Mutex};
///
/// let mutex = TypeId::of::<Mutex<u64>>();
/// assert_ne!(mutex, TypeId::of::<Mutex<f64>>());
/// assert_eq!(mutex, TypeId::new("Mutex", 24, 8, &[TypeId::new("u64", 8, 8, &[])])); // C does the same
///
/// let seg = Segment::anonymous(4096)?;
/// seg.object("balance", || Mutex::new(0u64))?;
/// let e = seg.find::<Mutex<f64>>("balance").unwrap_err();
/// assert_eq!(e.kind(), interproc::ErrorKind::TypeMismatch);
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct TypeId(u64);

impl TypeId {
    /// The id of untyped objects.
    pub const BYTES: TypeId = TypeId(0);

    /// The id of a type with this name, size, alignment and parts: its type parameters or fields, in order.
    ///
    /// # Examples
    /// ```
    /// # use interproc::TypeId;
    /// let word = TypeId::new("AtomicU32", 4, 4, &[]);
    /// assert_ne!(TypeId::new("Doors", 8, 4, &[word, word]), TypeId::new("Doors", 8, 4, &[word]));
    /// ```
    pub const fn new(name: &str, size: usize, align: usize, parts: &[TypeId]) -> TypeId {
        let mut hash = Fnv::NEW.and(name.as_bytes());
        let family = hash;
        hash = hash.and(&[0]).and(&(size as u64).to_le_bytes()).and(&(align as u64).to_le_bytes());
        let mut at = 0;
        while at < parts.len() {
            hash = hash.and(&parts[at].0.to_le_bytes());
            at += 1;
        }
        Self::joined(family, hash)
    }

    /// The id of an object's type, for a program in C or to compare with [`ObjectInfo`](crate::shm::ObjectInfo).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, TypeId, sync::Mutex};
    /// println!("#define COUNTER_TYPE UINT64_C({:#x})", TypeId::of::<Mutex<u64>>().bits());
    /// ```
    pub fn of<T: Shared>() -> TypeId {
        T::shared_id()
    }

    /// The id of plain data: `u64`, `[u8; 48]`, a structure of your own.
    ///
    /// # Examples
    /// ```
    /// # use interproc::TypeId;
    /// assert_eq!(TypeId::plain::<u64>(), TypeId::new("u64", 8, 8, &[]));
    /// assert_ne!(TypeId::plain::<u64>(), TypeId::plain::<f64>());
    /// ```
    pub fn plain<T: Plain>() -> TypeId {
        Self::named::<T>()
    }

    /// The id as a number, as C has it.
    ///
    /// # Examples
    /// ```
    /// # use interproc::TypeId;
    /// let id = TypeId::plain::<u64>();
    /// assert_eq!(TypeId::from_bits(id.bits()), id);
    /// ```
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The id that is this number.
    ///
    /// # Examples
    /// ```
    /// # use interproc::TypeId;
    /// assert_eq!(TypeId::from_bits(0), TypeId::BYTES);
    /// ```
    pub const fn from_bits(bits: u64) -> TypeId {
        TypeId(bits)
    }

    /// The id of `len` elements of type `T`: the same for an array and a slice.
    pub(crate) fn array<T: Shared>(len: usize) -> TypeId {
        Self::new("[]", len * size_of::<T>(), align_of::<T>(), &[T::shared_id()])
    }

    /// The id from the type's name alone, without the paths in it, which differ between two programs.
    fn named<T>() -> TypeId {
        let (size, align) = ((size_of::<T>() as u64).to_le_bytes(), (align_of::<T>() as u64).to_le_bytes());
        let name = Fnv::NEW.and_name(type_name::<T>().as_bytes());
        Self::joined(name, name.and(&[0]).and(&size).and(&align))
    }

    /// The upper half depends on the name alone, so that the tool recognises a `Mutex<T>` whatever T is.
    const fn joined(name: Fnv, all: Fnv) -> TypeId {
        TypeId((name.folded() as u64) << 32 | all.folded() as u64)
    }

    /// The upper half of the ids of all types of this name.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) const fn family(name: &str) -> u32 {
        Fnv::NEW.and(name.as_bytes()).folded()
    }
}

impl fmt::Debug for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypeId({:#018x})", self.0)
    }
}

/// FNV-1a, 64 bits. It finds mistakes, not forgeries: a process that can forge an id can write to the object itself.
#[derive(Clone, Copy)]
struct Fnv(u64);

impl Fnv {
    const NEW: Fnv = Fnv(0xcbf2_9ce4_8422_2325);

    const fn and(self, bytes: &[u8]) -> Fnv {
        let (mut hash, mut at) = (self.0, 0);
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            at += 1;
        }
        Fnv(hash)
    }

    /// Adds a type's name without the paths in it: `Pair<u64, Job>` for `one::Pair<u64, one::jobs::Job>`.
    fn and_name(self, name: &[u8]) -> Fnv {
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || !b.is_ascii();
        let (mut hash, mut rest) = (self, name);
        while let Some(&first) = rest.first() {
            let len = if is_word(first) { rest.iter().take_while(|b| is_word(**b)).count() } else { 1 };
            let (part, behind) = rest.split_at(len);
            rest = match behind.strip_prefix(b"::") {
                Some(behind) if is_word(first) => behind,
                _ => {
                    hash = hash.and(part);
                    behind
                }
            };
        }
        hash
    }

    /// In 32 bits, and never 0.
    const fn folded(self) -> u32 {
        let half = (self.0 ^ self.0 >> 32) as u32;
        if half == 0 { 1 } else { half }
    }
}

/// An object to which many processes may hold references at once: atomics, this crate's locks, arrays of them, and your own
/// `#[repr(C)]` structures of them. Use [`shared!`](crate::shared), which declares such a structure without `unsafe`.
///
/// # Safety
/// - The layout is fixed: `#[repr(C)]` or `#[repr(transparent)]`.
/// - Every bit pattern is a valid value, because a peer may write anything, and all-zero is a sensible idle value.
/// - It holds no pointer, reference or handle, because other processes have other addresses.
/// - Dropping it does nothing: nobody drops an object in shared memory.
/// - It is accessed only through atomics or under this crate's locks: each field is itself `Shared`. A bare
///   integer field does not qualify.
/// - [`shared_id`](Self::shared_id) differs from that of every type that must not be found in its place. The provided one is made
///   of name, size and alignment; then no other type with the same three may be used in the same segment.
///
/// # Examples
/// ```
/// use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
/// use interproc::{Segment, Shared, TypeId};
///
/// #[repr(C)]
/// struct Shop {
///     left: AtomicU64,
///     visitors: AtomicU64,
/// }
/// // SAFETY: repr(C), both fields are Shared and enter the id; there is no padding.
/// unsafe impl Shared for Shop {
///     fn shared_id() -> TypeId {
///         let word = TypeId::of::<AtomicU64>();
///         TypeId::new("Shop", size_of::<Shop>(), align_of::<Shop>(), &[word, word])
///     }
/// }
///
/// let seg = Segment::anonymous(4096)?;
/// let shop = seg.object("shop", || Shop { left: AtomicU64::new(3), visitors: AtomicU64::new(0) })?;
/// shop.visitors.fetch_add(1, Ordering::Relaxed);
/// assert_eq!(shop.left.load(Ordering::Relaxed), 3);
/// # Ok::<(), interproc::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an object in shared memory by itself",
    note = "wrap plain data in a `Mutex`, use an atomic, or declare the structure with `interproc::shared!`"
)]
pub unsafe trait Shared: Send + Sync + 'static {
    /// Identifies the type: see [`TypeId`].
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Shared, TypeId};
    /// let word = <core::sync::atomic::AtomicU32 as Shared>::shared_id();
    /// assert_eq!(word, TypeId::new("AtomicU32", 4, 4, &[]));
    /// ```
    fn shared_id() -> TypeId
    where
        Self: Sized,
    {
        TypeId::named::<Self>()
    }

    /// Moves the value to `place`, which is zeroed. The provided method copies all bytes, padding included, so a type with
    /// padding must write its fields one by one: otherwise private bytes get into shared memory.
    ///
    /// # Safety
    /// `place` is aligned and valid for writing a `Self`, and nobody else refers to it.
    ///
    /// # Examples
    /// ```
    /// # use core::sync::atomic::{AtomicU32, Ordering};
    /// # use interproc::Shared;
    /// let mut place = AtomicU32::new(0);
    /// // SAFETY: a local variable.
    /// unsafe { AtomicU32::new(7).write_to(&raw mut place) };
    /// assert_eq!(place.load(Ordering::Relaxed), 7);
    /// ```
    unsafe fn write_to(self, place: *mut Self)
    where
        Self: Sized,
    {
        // SAFETY: by the contract.
        unsafe { place.write(self) }
    }
}

macro_rules! shared_atomics {
    ($($name:ident)*) => {
        $(
            // SAFETY: an integer accessed only atomically: fixed layout, any bit pattern, no pointer, no drop, no padding;
            // it has its own name.
            unsafe impl Shared for $name {}
        )*
    };
}

shared_atomics!(AtomicI8 AtomicI16 AtomicI32 AtomicI64 AtomicIsize AtomicU8 AtomicU16 AtomicU32 AtomicU64 AtomicUsize);

// SAFETY: an array lays out its elements one after the other and adds nothing; length and elements enter the id.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {
    fn shared_id() -> TypeId {
        TypeId::array::<T>(N)
    }

    unsafe fn write_to(self, place: *mut Self) {
        for (at, value) in self.into_iter().enumerate() {
            // SAFETY: inside the place, by the contract.
            unsafe { value.write_to(place.cast::<T>().add(at)) };
        }
    }
}

// SAFETY: as an array. Only references to a slice exist; finding one compares id and length.
unsafe impl<T: Shared> Shared for [T] {}

/// Declares a `#[repr(C)]` structure whose fields are all [`Shared`](crate::Shared), and implements `Shared` for it. It
/// takes named fields or a tuple, with or without type parameters. A crate that forbids unsafe code can use it.
///
/// A field that cannot lie in shared memory by itself is a compile error that names it. The structure's [id](crate::TypeId)
/// is made of its name and its fields' ids, in order.
///
/// # Examples
/// ```
/// #![forbid(unsafe_code)]
/// use core::sync::atomic::{AtomicU32, Ordering};
/// use interproc::{Plain, sync::Mutex};
///
/// interproc::shared! {
///     /// A counter for each of four doors.
///     pub struct Doors {
///         /// How many are open.
///         pub open: AtomicU32,
///         pub passed: [AtomicU32; 4],
///     }
/// }
/// interproc::shared! { struct Tally(AtomicU32, pub AtomicU32); }
/// interproc::shared! { struct Pair<T: Plain + Send> { left: Mutex<T>, right: Mutex<T> } }
///
/// let seg = interproc::Segment::anonymous(4096)?;
/// let doors = seg.object("doors", || Doors {
///     open: AtomicU32::new(4),
///     passed: [const { AtomicU32::new(0) }; 4],
/// })?;
/// doors.passed[2].fetch_add(1, Ordering::Relaxed);
/// let pair = seg.object("pair", || Pair { left: Mutex::new(1.5), right: Mutex::new(2.5) })?;
/// assert_eq!(seg.object("tally", || Tally(AtomicU32::new(1), AtomicU32::new(2)))?.1.load(Ordering::Relaxed), 2);
/// # Ok::<(), interproc::Error>(())
/// ```
///
/// ```compile_fail
/// interproc::shared! { struct Bare { count: u32 } } // a bare integer: refused
/// ```
#[macro_export]
macro_rules! shared {
    ($(#[$attr:meta])* $vis:vis struct $struct:ident $(<$($param:ident $(: $bound:ident $(+ $more:ident)*)?),+ $(,)?>)? {
        $($(#[$field_attr:meta])* $field_vis:vis $field:ident : $type:ty),+ $(,)?
    }) => {
        $(#[$attr])*
        #[repr(C)]
        $vis struct $struct $(<$($param $(: $bound $(+ $more)*)?),+>)? {
            $($(#[$field_attr])* $field_vis $field: $type,)+
        }
        $crate::shared!(@impl [$(<$($param $(: $bound $(+ $more)*)?),+>)?] $struct [$(<$($param),+>)?] $([$field $type])+);
    };
    ($(#[$attr:meta])* $vis:vis struct $struct:ident $(<$($param:ident $(: $bound:ident $(+ $more:ident)*)?),+ $(,)?>)? (
        $($(#[$field_attr:meta])* $field_vis:vis $type:ty),+ $(,)?
    ) $(;)?) => {
        $(#[$attr])*
        #[repr(C)]
        $vis struct $struct $(<$($param $(: $bound $(+ $more)*)?),+>)? ($($(#[$field_attr])* $field_vis $type,)+);
        $crate::shared!(@tuple [$(<$($param $(: $bound $(+ $more)*)?),+>)?] $struct [$(<$($param),+>)?] []
            [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] $([$type])+);
    };
    // Gives each field of a tuple its index.
    (@tuple $decl:tt $struct:ident $use:tt [$($done:tt)*] [$index:tt $($indices:tt)*] [$type:ty] $($rest:tt)*) => {
        $crate::shared!(@tuple $decl $struct $use [$($done)* [$index $type]] [$($indices)*] $($rest)*);
    };
    (@tuple $decl:tt $struct:ident $use:tt [$($done:tt)+] $indices:tt) => {
        $crate::shared!(@impl $decl $struct $use $($done)+);
    };
    (@impl [$($decl:tt)*] $struct:ident [$($use:tt)*] $([$field:tt $type:ty])+) => {
        // SAFETY: repr(C); the bodies below compile only if each field is Shared, and if the structure has no Drop; all
        // fields enter the id, and are written one by one, without what lies between them.
        unsafe impl $($decl)* $crate::Shared for $struct $($use)* {
            fn shared_id() -> $crate::TypeId {
                let parts = [$(<$type as $crate::Shared>::shared_id()),+];
                let (size, align) = (::core::mem::size_of::<Self>(), ::core::mem::align_of::<Self>());
                $crate::TypeId::new(::core::stringify!($struct), size, align, &parts)
            }

            unsafe fn write_to(self, place: *mut Self) {
                // SAFETY: each field lies in the place, by the contract.
                $(unsafe { <$type as $crate::Shared>::write_to(self.$field, &raw mut (*place).$field) };)+
            }
        }
    };
}
