//! Nobody drops what lies in shared memory.
#![forbid(unsafe_code)]

use std::sync::atomic::AtomicU32;

interproc::shared! { struct Dropped { at: AtomicU32 } } //~ E0509

impl Drop for Dropped {
    fn drop(&mut self) {}
}
