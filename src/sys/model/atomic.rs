//! loom's atomics, with a step before each operation that other threads can see.
//!
//! A load or a fence is not a step: a thread that dies before it leaves the same behind as one that dies after it and
//! before its next visible operation.

use super::death::{patience_is_over, step};
use super::trace::note;
use loom::sync::atomic as imp;
use loom::sync::atomic::Ordering;

/// A full fence. It does nothing in a dead thread.
#[track_caller]
pub fn fence(order: Ordering) {
    if !std::thread::panicking() {
        note(0, || format!("fence {order:?}"));
        imp::fence(order);
    }
}

/// In a model a full fence; see the [module's page](super).
#[track_caller]
pub fn light_fence() {
    fence(Ordering::SeqCst);
}

/// The fence that stands for the order of SeqCst accesses.
#[track_caller]
pub fn seq_cst_fence_for_models() {
    fence(Ordering::SeqCst);
}

/// Lets the other threads run now and then: a bounded back-off needs no switch, but a loop that waits for another thread
/// would not end without one.
pub fn spin_loop() {
    if step() && patience_is_over() {
        loom::hint::spin_loop();
    }
}

macro_rules! atomic {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        ///
        /// The operations are those of `core`'s type of the same name. In a dead thread they do nothing: only drop code
        /// still runs there, which a killed process does not run.
        #[derive(Debug)]
        pub struct $name(pub(super) imp::$name);

        impl $name {
            /// A new one. Only inside a model.
            #[track_caller]
            pub fn new(value: $int) -> Self {
                Self(imp::$name::new(value))
            }

            #[track_caller]
            fn note(&self, what: impl FnOnce() -> String) {
                note(core::ptr::from_ref(self).addr(), what);
            }

            /// As `core`'s.
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $int {
                if std::thread::panicking() {
                    return 0;
                }
                let value = self.0.load(order);
                self.note(|| format!("load {order:?}: {value:#x}"));
                value
            }

            /// As `core`'s.
            #[track_caller]
            pub fn store(&self, value: $int, order: Ordering) {
                if step() {
                    self.0.store(value, order);
                    self.note(|| format!("store {order:?} {value:#x}"));
                }
            }

            /// As `core`'s.
            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$int, $int> {
                // Reporting success ends the retry loops of drop code.
                if !step() {
                    return Ok(current);
                }
                let result = self.0.compare_exchange(current, new, success, failure);
                self.note(|| format!("cas {success:?}/{failure:?} {current:#x} -> {new:#x}: {result:x?}"));
                result
            }

            /// As `core`'s, without spurious failures: they would only repeat a loop.
            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                current: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$int, $int> {
                self.compare_exchange(current, new, success, failure)
            }

            atomic!(@rmw $int; swap fetch_add fetch_sub fetch_or fetch_and fetch_xor fetch_max fetch_min);
        }
    };
    (@rmw $int:ty; $($op:ident)*) => {
        $(
            /// As `core`'s.
            #[track_caller]
            pub fn $op(&self, value: $int, order: Ordering) -> $int {
                if !step() {
                    return 0;
                }
                let old = self.0.$op(value, order);
                self.note(|| format!("{} {order:?} {value:#x}: {old:#x}", stringify!($op)));
                old
            }
        )*
    };
}

atomic! {
    /// A modelled 32-bit atomic.
    AtomicU32, u32
}
atomic! {
    /// A modelled 64-bit atomic.
    AtomicU64, u64
}
