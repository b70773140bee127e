//! What has a contract that the compiler cannot check says `unsafe`.
#![deny(unsafe_code)]

use interproc::queue::Ring;
use interproc::sync::{Mutex, Row};
use interproc::{Segment, member};
use std::ptr::NonNull;

fn contracts(seg: &Segment, memory: NonNull<u8>) {
    let _ = seg.object_of_bytes::<Mutex<u64>>("bytes"); //~ E0133
    let _ = Ring::make(memory, 64, 8, 8); //~ E0133
    let _ = Ring::attach(memory, 64); //~ E0133
    let _ = Row::attach(memory, 64); //~ E0133
    let _ = member::Table::new(memory, 4096, 1, 1); //~ E0133
}
