//! What belongs to the thread that has it.
#![forbid(unsafe_code)]

use interproc::queue::{ByteMessage, ByteReservation, Message, Reservation, byte_lane, spsc};
use interproc::sync::{
    LockError, MutexGuard, OwnerDied, RecursiveMutexGuard, RecursiveOwnerDied, RwLockOwnerDied, RwLockReadGuard,
    RwLockWriteGuard,
};
use interproc::{pipe, raw::member};
use std::cell::{Cell, RefCell};

fn goes_to_another_thread<T: Send>() {}
fn is_used_by_many_threads<T: Sync>() {}

fn guards() {
    goes_to_another_thread::<MutexGuard<'static, u64>>(); //~ E0277
    goes_to_another_thread::<OwnerDied<'static, u64>>(); //~ E0277
    goes_to_another_thread::<LockError<'static, u64>>(); //~ E0277
    goes_to_another_thread::<RecursiveMutexGuard<'static, u64>>(); //~ E0277
    goes_to_another_thread::<RecursiveOwnerDied<'static, u64>>(); //~ E0277
    is_used_by_many_threads::<RecursiveMutexGuard<'static, u64>>(); //~ E0277
    goes_to_another_thread::<RwLockReadGuard<'static, u64>>(); //~ E0277
    goes_to_another_thread::<RwLockWriteGuard<'static, u64>>(); //~ E0277
    goes_to_another_thread::<RwLockOwnerDied<'static, u64>>(); //~ E0277
}

fn messages() {
    goes_to_another_thread::<Reservation<'static, u64>>(); //~ E0277
    goes_to_another_thread::<Message<'static, u64>>(); //~ E0277
    goes_to_another_thread::<ByteReservation<'static>>(); //~ E0277
    goes_to_another_thread::<ByteMessage<'static>>(); //~ E0277
    goes_to_another_thread::<spsc::WriteChunk<'static, u64>>(); //~ E0277
    goes_to_another_thread::<spsc::WriteChunkUninit<'static, u64>>(); //~ E0277
    goes_to_another_thread::<spsc::ReadChunk<'static, u64>>(); //~ E0277
    goes_to_another_thread::<byte_lane::ByteReservation<'static>>(); //~ E0277
    goes_to_another_thread::<byte_lane::ByteMessage<'static>>(); //~ E0277
    goes_to_another_thread::<pipe::Reservation<'static>>(); //~ E0277
    goes_to_another_thread::<pipe::Message<'static>>(); //~ E0277
}
