//! Guards do not outlive what they guard, and are used up.
#![forbid(unsafe_code)]

use interproc::queue::{Queue, spsc};
use interproc::sync::{Condvar, Mutex, MutexGuard, OnceLock, RecursiveMutex, RwLock};
use interproc::{Object, Result, Segment};
use std::sync::atomic::{AtomicU32, AtomicU8};

fn a_guard_behind_its_object(seg: &Segment) -> MutexGuard<'static, u64> {
    let lock = seg.object("lock", || Mutex::new(0u64)).unwrap();
    lock.lock().unwrap() //~ E0515
}

fn a_reference_behind_its_object(seg: &Segment) -> &'static AtomicU32 {
    let object = seg.object("object", || AtomicU32::new(0)).unwrap();
    &object //~ E0515
}

fn a_value_behind_its_guard(lock: &Mutex<u64>) -> &u64 {
    let guard = lock.lock().unwrap();
    &guard //~ E0515
}

fn an_object_under_its_guard(lock: Object<Mutex<u64>>) {
    let guard = lock.lock().unwrap();
    drop(lock); //~ E0505
    let _ = *guard;
}

fn a_queue_under_its_message(queue: Queue<u64>) {
    let message = queue.borrow().unwrap();
    drop(queue); //~ E0505
    let _ = *message;
}

fn a_slice_under_its_element(bytes: Object<[AtomicU8]>) {
    let first = &bytes[0];
    drop(bytes); //~ E0505
    first.store(1, std::sync::atomic::Ordering::Relaxed);
}

fn a_producer_under_its_chunk(mut producer: spsc::Producer<u64>) {
    let chunk = producer.reserve(4).unwrap();
    let another = producer.reserve(4); //~ E0499
    drop(chunk);
}

fn a_consumer_under_its_chunk(mut consumer: spsc::Consumer<u64>) {
    let chunk = consumer.borrow(4).unwrap();
    let _ = consumer.pop(); //~ E0499
    drop(chunk);
}

fn a_guard_that_waits(lock: &Mutex<u64>, changed: &Condvar) -> Result<()> {
    let guard = lock.lock()?;
    let again = changed.wait(guard).unwrap();
    let _ = *guard; //~ E0382
    Ok(())
}

fn a_read_guard_writes(lock: &RwLock<u64>) {
    *lock.read().unwrap() = 7; //~ E0594
}

fn a_recursive_guard_writes(lock: &RecursiveMutex<u64>) {
    lock.lock().unwrap().get_mut(); //~ E0596
}

fn what_was_done_once_is_done_again(once: &OnceLock<u64>) {
    *once.get().unwrap() = 7; //~ E0594
}

fn a_value_without_its_lock(lock: &Mutex<u64>) {
    let slot: &u64 = lock; //~ E0308
}
