//! What has a contract that the compiler cannot check says `unsafe`.
#![deny(unsafe_code)]

use interproc::process::{self, Builder, Daemon};
use interproc::raw::queue::Ring;
use interproc::queue::spsc::Producer;
use interproc::raw::sync::Cells;
use interproc::sync::Mutex;
use interproc::raw::member;
use interproc::{Segment, pipe};
use std::ptr::NonNull;

fn contracts(seg: &Segment, memory: NonNull<u8>) {
    let _ = seg.object_of_bytes::<Mutex<u64>>("bytes"); //~ E0133
    let _ = Ring::make(memory, 64, 8, 8); //~ E0133
    let _ = Ring::attach(memory, 64); //~ E0133
    let _ = Cells::attach(memory, 64); //~ E0133
    let _ = member::Table::new(memory, 4096, 1, 1); //~ E0133
}

extern "C-unwind" fn entry(_: *mut std::ffi::c_void) -> std::ffi::c_int {
    0
}

/// A fork that does not ask who else is in the process.
fn forks(gift: pipe::End) {
    let _ = process::fork_unchecked(|| 0); //~ E0133
    let _ = Builder::new().fork_unchecked(|| 0); //~ E0133
    let _ = Builder::new().fork_giving_unchecked(gift, |_| 0); //~ E0133
    let _ = Daemon::new().start_unchecked(|_| 0); //~ E0133
    let _ = Builder::new().fork_fn(entry, std::ptr::null_mut()); //~ E0133
}

/// Slots that nobody may have written.
fn slots(samples: &mut Producer<u64>) {
    let _ = samples.reserve_uninit(8).map(|chunk| chunk.commit(8)); //~ E0133
    let _ = samples.reserve_uninit(8).map(|chunk| chunk.commit_all()); //~ E0133
}
