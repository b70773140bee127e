//! What may lie in shared memory: [`Plain`] values, which are copied in and out or reached under a lock, and
//! [`Shared`] objects, which many processes hold a reference to at the same time.
//!
//! Why two traits: a `u32` is fine *inside* a mutex or a queue, but a bare `&u32` to memory that another process
//! writes is undefined behaviour in Rust, and safe code must not be able to make one. So a `u32` is `Plain`, and
//! an `AtomicU32` or a mutex around a `u32` is `Shared`.
//!
//! **No padding is written.** A byte of padding is whatever lay on the writer's stack before. So a `Plain` value has
//! none, and a `Shared` object is written field by field into zeroed memory.
//!
//! **Whom this trusts.** Processes that use the library from safe Rust cannot break each other's types. One that writes past it,
//! in C or by a mapping of its own, can write under a guard: then a `&T` that another process holds changes under it, which
//! Rust does not allow. No bytes make a `Plain` value an invalid one, and nothing in the library reads shared bytes
//! twice to decide; but a program that does not trust its peers copies values out (`Queue::pop`, `Latest::get`,
//! `ByteQueue::pop`) instead of reading them in place, or works on atomics.
//!
//! **An object is found by its exact type**: [`TypeId`] tells how.
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
/// It is implemented for every `T: bytemuck::AnyBitPattern + bytemuck::NoUninit` (`Pod` is both); there is nothing else
/// to implement. The crate re-exports [`bytemuck`](crate::bytemuck), so that you need no dependency of your own. For
/// `bool`, `char` and enums, of which not every bit pattern is a value, there is [`Checked`](crate::Checked).
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
    message = "`{Self}` is no plain data: it may not be copied into shared memory",
    label = "not `Plain`",
    note = "plain data has a valid value for every bit pattern, no padding, no pointer and no reference: derive \
            `interproc::bytemuck::Pod` and `Zeroable` with `#[bytemuck(crate = \"interproc::bytemuck\")]`, and fill gaps \
            between fields by fields",
    note = "for `bool`, `char` and enums there is `interproc::Checked`"
)]
pub trait Plain: bytemuck::AnyBitPattern + bytemuck::NoUninit {}

#[diagnostic::do_not_recommend]
impl<T: bytemuck::AnyBitPattern + bytemuck::NoUninit> Plain for T {}

/// What an object in a segment is told apart by: 64 bits made of its type's name (without the path), size and alignment,
/// and of the ids of its parts. So `Mutex<u64>` is not found as a `Mutex<f64>`, nor a structure as another one of its
/// name and size with other fields. An object of bytes, as C makes them, has the id [`BYTES`](Self::BYTES), and is
/// found as bytes only. Queues and latest values are told apart by the id of what is in them: [`TypeId::plain`].
///
/// The id of a type does not depend on the compiler, nor on the crate or module that declares it: two programs may each
/// declare it. Field names do not count, nor do the fields of a [`Plain`] structure: any bytes are a value of it.
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
    /// That of an object of bytes.
    pub const BYTES: TypeId = TypeId(0);

    /// The id of a type with this name, size and alignment, and of these parts: its type parameters or fields, in order.
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

    /// The id of a type of objects, for a program in C or for a look at what [`ObjectInfo`](crate::shm::ObjectInfo) says.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, TypeId, sync::Mutex};
    /// println!("#define COUNTER_TYPE UINT64_C({:#x})", TypeId::of::<Mutex<u64>>().bits());
    /// ```
    pub fn of<T: Shared>() -> TypeId {
        T::shared_id()
    }

    /// The id of plain data: `u64`, `[u8; 48]`, a structure of yours.
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

    /// That of so many `T`, one after the other: the same for an array and for a slice.
    pub(crate) fn array<T: Shared>(len: usize) -> TypeId {
        Self::new("[]", len * size_of::<T>(), align_of::<T>(), &[T::shared_id()])
    }

    /// By the type's name alone, without the paths in it, which differ between two programs.
    fn named<T>() -> TypeId {
        let (size, align) = ((size_of::<T>() as u64).to_le_bytes(), (align_of::<T>() as u64).to_le_bytes());
        let name = Fnv::NEW.and_name(type_name::<T>().as_bytes());
        Self::joined(name, name.and(&[0]).and(&size).and(&align))
    }

    /// The upper half is of the name alone: by it the tool knows a `Mutex<T>` whatever T is.
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

/// FNV-1a, 64 bits: finds mistakes, not forgers. Who can forge an id can write to the object itself.
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

    /// A type's name without the paths in it: `Pair<u64, Job>` of `one::Pair<u64, one::jobs::Job>`.
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

/// An object that many processes may refer to at once: atomics, this crate's locks, arrays of them, and your own
/// `#[repr(C)]` structures of them. [`shared!`](crate::shared) declares such a structure without `unsafe`, and is what
/// you want.
///
/// # Safety
/// - The layout is fixed: `#[repr(C)]` or `#[repr(transparent)]`.
/// - Every bit pattern is a valid value, because a peer may write anything; all-zero is a sensible idle value.
/// - There is no pointer, reference or handle inside: other processes have other addresses.
/// - Dropping it does nothing: nobody drops an object in shared memory.
/// - It is accessed only through atomics or under this crate's locks: each field is itself `Shared`. A bare
///   integer field does not qualify.
/// - [`shared_id`](Self::shared_id) is another one for each type that may not be found in the place of this one. The
///   provided one is made of name, size and alignment: then no other type of these may be used in the same segment.
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
    /// What the type is told apart by, see [`TypeId`].
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

    /// Moves the value to `place`, which is zeroed. The provided one copies all bytes, padding included: a type with
    /// padding writes its fields one by one, so that no private bytes get into shared memory.
    ///
    /// # Safety
    /// `place` is aligned and valid for writing a `Self`, and nobody else refers to it.
    ///
    /// # Examples
    /// ```
    /// # use core::sync::atomic::{AtomicU32, Ordering};
    /// # use interproc::Shared;
    /// let mut place = AtomicU32::new(0);
    /// // SAFETY: a place of ours.
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
            // SAFETY: an integer accessed only atomically: fixed layout, any bit pattern, no pointer, no drop, no padding; it
            // has its own name.
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

// SAFETY: as an array. Of a slice only references exist; who finds one compares id and length.
unsafe impl<T: Shared> Shared for [T] {}

/// Declares a `#[repr(C)]` structure whose fields are all [`Shared`](crate::Shared), and makes it `Shared`: with named
/// fields or a tuple, with or without type parameters. It contains no `unsafe` of yours: a crate that forbids unsafe code can
/// use it.
///
/// A field that may not lie in shared memory by itself is a compile error that names it. The structure's
/// [id](crate::TypeId) is made of its name and its fields' ids, in order.
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
