//! The handles of the two seats, and how C takes them.

use crate::error::{ErrorKind, Result};
use crate::ffi::arguments::{answer, text};
use crate::ffi::handle::{Marked, taken_in};
use crate::ffi::invalid;
use crate::ffi::segment::interproc_segment_t;
use crate::queue::Lane;
use crate::queue::spsc::{Reader, Writer};
use crate::shared::TypeId;
use crate::shm::Element;
use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;

/// The producer of a queue with one producer and one consumer, in any processes: the fastest way from here to there.
/// Messages have a fixed size.
///
/// It is a *seat*, taken by interproc_segment_spsc_producer(): there is one at a time. It belongs to the calling
/// thread, and moves to another thread of the process with its first use there. Do not copy the handle. Leave it by
/// interproc_spsc_producer_leave() before the segment is closed.
///
///     interproc_spsc_producer_t samples;
///     sample_t sample = {42};
///     int rc = interproc_segment_spsc_producer(&segment, "samples", sizeof sample, 1024, &samples);
///     if (rc == 0)
///         rc = interproc_spsc_producer_push(&samples, &sample);
///     interproc_spsc_producer_leave(&samples);
///
/// When the producer dies (a thread or its process, at any instruction), what it had published is delivered; the next
/// one takes its seat. When the consumer dies, what it had not freed goes to the next one. A sleeping peer gets at
/// once, without polling, what the dead one had published or freed, and then waits for its successor.
///
/// A pop sees everything that happened before the push of its message; messages come out in order. A push or pop that
/// need not wait makes no system call and no atomic read-modify-write.
///
/// **All functions of either seat**: one thread at a time with a handle. EPERM: the seat is the parent process's;
/// ESTALE: the thread that used the handle last has died, and somebody else has taken over.
#[repr(C)]
pub struct interproc_spsc_producer_t {
    /// Private. Zero when it is no producer.
    pub private_: [u64; 32],
}

/// The consumer of a queue with one producer and one consumer: see interproc_spsc_producer_t, whose rules are its, too.
///
///     interproc_spsc_consumer_t samples;
///     sample_t sample;
///     int rc = interproc_segment_spsc_consumer(&segment, "samples", sizeof sample, 1024, &samples);
///     while (rc == 0 && (rc = interproc_spsc_consumer_pop(&samples, &sample, NULL)) == 0)
///         use(&sample);                                   // until EPIPE: closed and drained
///     interproc_spsc_consumer_leave(&samples);
#[repr(C)]
pub struct interproc_spsc_consumer_t {
    /// Private. Zero when it is no consumer.
    pub private_: [u64; 32],
}

/// Slots in place, in two pieces: the second is empty unless the ring ends in between.
#[repr(C)]
pub struct interproc_spsc_slots_t {
    /// The first ones.
    pub first: *mut c_void,
    /// How many.
    pub first_count: usize,
    /// Those behind them.
    pub second: *mut c_void,
    /// How many.
    pub second_count: usize,
}

/// What is in a handle.
pub(in crate::ffi) struct Held<S> {
    /// How many slots are reserved or borrowed.
    pub(super) lent: Option<usize>,
    pub(in crate::ffi) seat: S,
}

impl<S> Held<S> {
    /// Ends what is reserved or borrowed, of which the caller wants so many.
    pub(super) fn end(&mut self, count: usize) -> Result<()> {
        match self.lent {
            None => Err(invalid("nothing is reserved or borrowed")),
            Some(most) if count > most => Err(ErrorKind::TooLarge.into()),
            Some(_) => {
                self.lent = None;
                Ok(())
            }
        }
    }
}

// SAFETY: an array of words.
unsafe impl Marked for interproc_spsc_producer_t {
    type Object = Held<Writer>;
    const MARK: [u8; 8] = *b"ipspscp\0";
    const NAME: &'static str = "producer";
}

// SAFETY: as above.
unsafe impl Marked for interproc_spsc_consumer_t {
    type Object = Held<Reader>;
    const MARK: [u8; 8] = *b"ipspscc\0";
    const NAME: &'static str = "consumer";
}

/// Says where slots are.
pub(super) fn lend(lane: &Lane, [(a, n), (b, m)]: [(u64, usize); 2]) -> interproc_spsc_slots_t {
    let at = |index, n| match n {
        0 => null_mut(),
        _ => lane.bytes(index).as_ptr().cast(),
    };
    interproc_spsc_slots_t { first: at(a, n), first_count: n, second: at(b, m), second_count: m }
}

/// Takes the producer's seat of the queue `name` for messages of `element_size` bytes of no type, with room for
/// `capacity` of them. The queue is found or made; a Rust program reaches the same one by
/// `Segment::spsc_producer_of_bytes`. The seat of a dead producer is free. Slots lie one behind the other, the first
/// one aligned to 64 bytes.
///
/// @return As interproc_segment_object(); EBUSY: a living thread has the seat; EEXIST also for another element size or
/// capacity, or for messages of a type; EINVAL: one of them is 0, or the capacity beyond 2^40.
///
/// Safe against death.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_spsc_producer(
    segment: *const interproc_segment_t,
    name: *const c_char,
    element_size: usize,
    capacity: usize,
    producer: *mut interproc_spsc_producer_t,
) -> c_int {
    let bytes = TypeId::BYTES.bits();
    // SAFETY: by C's contract.
    unsafe { interproc_segment_spsc_producer_as(segment, name, bytes, element_size, capacity, producer) }
}

/// As interproc_segment_spsc_producer(), for messages of this type: a Rust program reaches the same queue by
/// `Segment::spsc_producer` and `Segment::spsc_consumer`. It is found by exactly this type, by both. `type_id` is 0 for
/// bytes, or an id by interproc_type_id().
///
/// @return As interproc_segment_spsc_producer(); EEXIST also for another type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_spsc_producer_as(
    segment: *const interproc_segment_t,
    name: *const c_char,
    type_id: u64,
    element_size: usize,
    capacity: usize,
    producer: *mut interproc_spsc_producer_t,
) -> c_int {
    let element = Element { id: TypeId::from_bits(type_id), size: element_size };
    // SAFETY: by C's contract.
    unsafe {
        answer(producer, "producer", || {
            let name = text(name, "name")?;
            taken_in(segment, |s| {
                let seat = s.spsc_seat(name, element, capacity, Writer::take, Lane::producer)?;
                Ok(Held { lent: None, seat })
            })
        })
    }
}

/// Takes the consumer's seat of the queue `name`, as interproc_segment_spsc_producer() does the producer's. What a
/// consumer that died had not freed is popped again.
///
/// @return As interproc_segment_spsc_producer().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_spsc_consumer(
    segment: *const interproc_segment_t,
    name: *const c_char,
    element_size: usize,
    capacity: usize,
    consumer: *mut interproc_spsc_consumer_t,
) -> c_int {
    let bytes = TypeId::BYTES.bits();
    // SAFETY: by C's contract.
    unsafe { interproc_segment_spsc_consumer_as(segment, name, bytes, element_size, capacity, consumer) }
}

/// Takes the consumer's seat, as interproc_segment_spsc_producer_as() does the producer's.
///
/// @return As interproc_segment_spsc_producer_as().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_spsc_consumer_as(
    segment: *const interproc_segment_t,
    name: *const c_char,
    type_id: u64,
    element_size: usize,
    capacity: usize,
    consumer: *mut interproc_spsc_consumer_t,
) -> c_int {
    let element = Element { id: TypeId::from_bits(type_id), size: element_size };
    // SAFETY: by C's contract.
    unsafe {
        answer(consumer, "consumer", || {
            let name = text(name, "name")?;
            taken_in(segment, |s| {
                let seat = s.spsc_seat(name, element, capacity, Reader::take, Lane::consumer)?;
                Ok(Held { lent: None, seat })
            })
        })
    }
}
