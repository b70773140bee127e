//! What may not be copied into shared memory, and what may not be an object there.
#![forbid(unsafe_code)]

use interproc::sync::{Mutex, OnceLock, RecursiveMutex, RwLock};
use interproc::{Checked, Room, Segment, TypeId, bytemuck, shared};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32};

/// Its padding would carry whatever lay there before.
#[derive(Clone, Copy, bytemuck::AnyBitPattern)]
#[bytemuck(crate = "interproc::bytemuck")]
#[repr(C)]
struct Padded {
    tag: u8,
    id: u64,
}

#[derive(Clone, Copy)]
enum Light {
    Red,
}

fn plain(seg: &Segment) {
    let _ = seg.queue::<Padded>("q", 8); //~ E0277 cannot be copied into shared memory
    let _ = seg.queue::<bool>("q", 8); //~ E0277 cannot be copied into shared memory
    let _ = seg.queue::<char>("q", 8); //~ E0277
    let _ = seg.queue::<Light>("q", 8); //~ E0277
    let _ = seg.queue::<&'static str>("q", 8); //~ E0277
    let _ = seg.queue::<&'static u8>("q", 8); //~ E0277
    let _ = seg.queue::<*const u8>("q", 8); //~ E0277
    let _ = seg.queue::<fn()>("q", 8); //~ E0277
    let _ = seg.queue::<Box<u8>>("q", 8); //~ E0277
    let _ = seg.queue::<String>("q", 8); //~ E0277
    let _ = seg.queue::<Option<u8>>("q", 8); //~ E0277
    let _ = seg.queue::<std::num::NonZeroU8>("q", 8); //~ E0277
    let _ = seg.queue::<(u8, u64)>("q", 8); //~ E0277
    let _ = seg.queue::<std::mem::MaybeUninit<u64>>("q", 8); //~ E0277
    let _ = seg.queue::<AtomicU32>("q", 8); //~ E0277
    let _ = seg.spsc_producer::<Padded>("q", 8); //~ E0277
    let _ = seg.spsc_consumer::<Padded>("q", 8); //~ E0277
    let _ = seg.latest("l", Padded { tag: 1, id: 2 }); //~ E0277
    let _ = seg.latest_for("l", true, 4); //~ E0277
    let _ = Room::new().queue::<bool>(8); //~ E0277
    let _ = TypeId::plain::<bool>(); //~ E0277
    let _ = Checked::new(String::new()); //~ E0277
    let _ = Checked::new(Light::Red); //~ E0277
}

fn objects(seg: &Segment) {
    let _ = seg.object("o", || 7u32); //~ E0277 cannot be an object in shared memory by itself
    let _ = seg.object("o", || [0u8; 64]); //~ E0277
    let _ = seg.object("o", || Cell::new(7)); //~ E0277
    let _ = seg.object("o", || AtomicBool::new(true)); //~ E0277
    let _ = seg.object("o", || AtomicPtr::<u8>::default()); //~ E0277
    let _ = seg.object("o", || std::sync::Mutex::new(7)); //~ E0277
    let _ = seg.object("o", || Mutex::new(true)); //~ E0277
    let _ = seg.object("o", || Mutex::new(Padded { tag: 1, id: 2 })); //~ E0277
    let _ = seg.object("o", || RecursiveMutex::new("text")); //~ E0277
    let _ = seg.object("o", || RwLock::new(Some(1u8))); //~ E0277
    let _ = seg.object_zeroed::<Mutex<bool>>("o"); //~ E0277
    let _ = seg.object_zeroed::<OnceLock<char>>("o"); //~ E0277
    let _ = seg.find::<Mutex<&'static u8>>("o"); //~ E0277
    let _ = seg.slice::<u64>("o", 8); //~ E0277
    let _ = seg.find_slice::<bool>("o"); //~ E0277
}

shared! { struct Bare { count: u32 } } //~ E0277 cannot be an object in shared memory by itself
shared! { struct Tuple(AtomicU32, u64); } //~ E0277
shared! { struct Pointer { at: AtomicPtr<u8> } } //~ E0277
shared! { struct Flag { up: AtomicBool } } //~ E0277
shared! { struct Padding { of: Mutex<Padded> } } //~ E0277
shared! { struct Anything<T> { it: Mutex<T> } } //~ E0277
