//! Seam 1: atomics. In the product these are `core`'s; in a model run they are loom's, and every operation is
//! one step at which an injected death may strike.

#[cfg(not(interproc_loom))]
mod imp {
    pub use core::hint::spin_loop;
    pub use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence, fence};

    /// The publisher's half of the asymmetric fence: orders nothing in the processor, only in the compiler.
    /// The sleeper's half is `sys::membarrier`.
    #[inline(always)]
    pub fn light_fence() {
        compiler_fence(Ordering::SeqCst);
    }

    /// Between a SeqCst read-modify-write and a SeqCst load, which the language orders by themselves: nothing. loom
    /// knows of fences only.
    #[inline(always)]
    pub fn seq_cst_fence_for_models() {}
}

#[cfg(interproc_loom)]
mod imp {
    pub use crate::sys::model::{
        AtomicU32, AtomicU64, fence, light_fence, seq_cst_fence_for_models, spin_loop,
    };
    pub use loom::sync::atomic::Ordering;
}

pub use imp::*;
