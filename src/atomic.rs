//! Seam 1: atomics. In the product they are `core`'s. In a model run they are loom's, and every operation is a step at
//! which an injected death may strike.

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

    /// For between a SeqCst read-modify-write and a SeqCst load. The language already orders the two, so in the product it
    /// does nothing; loom orders only fences.
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
