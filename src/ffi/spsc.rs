//! The queue from one producer to one consumer.

use super::error::report;
use super::segment::{interproc_segment_t, open};
use super::time::deadline;
use super::who::{self, interproc_who_t};
use super::{call, invalid, output, text};
use crate::error::Result;
use crate::format::Kind;
use crate::member::view;
use crate::queue::Lane;
use crate::queue::spsc::{Reader, Wait, Writer};
use crate::shm::{lane_member, taken};
use core::ffi::{c_char, c_int, c_void};
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::{copy_nonoverlapping, null_mut};
use libc::timespec;

/// The producer of a queue with one producer and one consumer, in any processes: the fastest way from here to there.
/// Messages have a fixed size.
///
/// It is a *seat*, taken by interproc_segment_spsc_producer(): there is one at a time. It belongs to the calling thread, and
/// moves to another thread of the process with its first use there. The handle must not be copied, nor be used by two threads at
/// once. It is left by interproc_spsc_producer_leave(), before the segment is closed; a forked child cannot use it.
///
///     interproc_spsc_producer_t samples;
///     sample_t sample = {42};
///     int rc = interproc_segment_spsc_producer(&segment, "samples", sizeof sample, 1024, &samples);
///     if (rc == 0)
///         rc = interproc_spsc_producer_push(&samples, &sample);
///     interproc_spsc_producer_leave(&samples);
///
/// When the producer dies (a thread or its process, at any instruction), what it had published is delivered; the next one takes
/// its seat. When the consumer dies, what it had not freed waits for the next one. Sleepers are told at once, not by polling.
///
/// A pop sees everything that happened before the push of its message; messages come out in order. A push or pop that need
/// not wait makes no system call and no atomic read-modify-write.
#[repr(C)]
pub struct interproc_spsc_producer_t {
    /// Not for use. Zero when it is no producer.
    pub private_: [u64; 24],
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
    /// Not for use. Zero when it is no consumer.
    pub private_: [u64; 24],
}

/// Slots where they lie, in two pieces: the second is empty unless the ring ends in between.
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
#[repr(C)]
struct Handle<S> {
    mark: u64,
    /// Slots that are lent.
    lent: usize,
    seat: MaybeUninit<ManuallyDrop<S>>,
}

const PRODUCER: u64 = u64::from_le_bytes(*b"ipspscp\0");
const CONSUMER: u64 = u64::from_le_bytes(*b"ipspscc\0");

const _: () = {
    assert!(size_of::<Handle<Writer>>() <= size_of::<interproc_spsc_producer_t>());
    assert!(size_of::<Handle<Reader>>() <= size_of::<interproc_spsc_consumer_t>());
    assert!(align_of::<Handle<Writer>>() <= align_of::<interproc_spsc_producer_t>());
    assert!(align_of::<Handle<Reader>>() <= align_of::<interproc_spsc_consumer_t>());
};

/// What both handles have.
trait Seat: Sized {
    const MARK: u64;
    const NAME: &'static str;
    type C;
    fn lane(&self) -> &Lane;
    /// Copies out, or in.
    fn pieces(&self, count: usize) -> [(u64, usize); 2];
}

impl Seat for Writer {
    const MARK: u64 = PRODUCER;
    const NAME: &'static str = "producer is NULL, or no producer";
    type C = interproc_spsc_producer_t;
    #[inline(always)]
    fn lane(&self) -> &Lane {
        self.raw.lane()
    }
    fn pieces(&self, count: usize) -> [(u64, usize); 2] {
        self.slots(count)
    }
}

impl Seat for Reader {
    const MARK: u64 = CONSUMER;
    const NAME: &'static str = "consumer is NULL, or no consumer";
    type C = interproc_spsc_consumer_t;
    #[inline(always)]
    fn lane(&self) -> &Lane {
        self.raw.lane()
    }
    fn pieces(&self, count: usize) -> [(u64, usize); 2] {
        self.slots(count)
    }
}

/// The seat behind a handle, and the slots that are lent.
///
/// # Safety
/// NULL, or a handle that was filled by this library or is zero, and that nobody else uses.
#[inline(always)]
unsafe fn seat<'a, S: Seat>(handle: *mut S::C) -> Result<(&'a mut S, &'a mut usize)> {
    // SAFETY: by the contract; a handle is large enough and aligned.
    match unsafe { handle.cast::<Handle<S>>().as_mut() } {
        Some(handle) if handle.mark == S::MARK => {
            // SAFETY: the mark stands beside a seat.
            Ok((unsafe { &mut *handle.seat.assume_init_mut() }, &mut handle.lent))
        }
        _ => Err(no_seat(S::NAME)),
    }
}

#[cold]
fn no_seat(name: &str) -> crate::Error {
    invalid(name)
}

/// Fills a handle with a seat.
///
/// # Safety
/// By C's contract of the functions below.
unsafe fn take<S: Seat>(
    segment: *const interproc_segment_t,
    name: *const c_char,
    shape: (usize, usize),
    handle: *mut S::C,
    take: impl FnOnce(Lane, &crate::member::Member) -> Result<S>,
    holder: impl FnOnce(&Lane) -> Option<crate::member::OwnerId>,
) -> c_int {
    // SAFETY: by the contract.
    call(|| unsafe {
        let out = output(handle.cast::<Handle<S>>(), S::NAME)?;
        let name = text(name, "name")?;
        let lane = open(segment)?.raw_lane(name, Kind::Spsc, shape.0, shape.1, 0)?;
        let me = lane_member(&lane)?;
        let seat = take(lane, me).map_err(|e| taken(e, me, name, holder(&lane)))?;
        out.set(Handle { mark: S::MARK, lent: 0, seat: MaybeUninit::new(ManuallyDrop::new(seat)) });
        Ok(())
    })
}

/// How long an operation may wait. A type for each, so that the compiler makes each function of one piece.
trait Patience: Copy {
    /// # Safety
    /// A timespec or NULL in it.
    unsafe fn wait(self) -> Result<Wait>;
}

#[derive(Clone, Copy)]
struct Never;
#[derive(Clone, Copy)]
struct ForEver;
#[derive(Clone, Copy)]
struct Until(*const timespec);

impl Patience for Never {
    #[inline(always)]
    unsafe fn wait(self) -> Result<Wait> {
        Ok(Wait::Never)
    }
}

impl Patience for ForEver {
    #[inline(always)]
    unsafe fn wait(self) -> Result<Wait> {
        Ok(Wait::ForEver)
    }
}

impl Patience for Until {
    #[inline(always)]
    unsafe fn wait(self) -> Result<Wait> {
        // SAFETY: by the contract.
        unsafe { deadline(self.0) }.map(Wait::Until)
    }
}

/// Copies a message. Small ones of the usual sizes without a call.
///
/// # Safety
/// As for `copy_nonoverlapping`.
#[inline(always)]
unsafe fn copy(from: *const u8, to: *mut u8, size: usize) {
    // SAFETY: by the contract.
    unsafe {
        match size {
            8 => copy_nonoverlapping(from, to, 8),
            16 => copy_nonoverlapping(from, to, 16),
            size => copy_nonoverlapping(from, to, size),
        }
    }
}

/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn push(
    producer: *mut interproc_spsc_producer_t,
    element: *const c_void,
    wait: impl Patience,
) -> c_int {
    // SAFETY: by the contract; the slot is ours by the seat, known to be free, and as large as the message.
    report(unsafe { seat::<Writer>(producer) }.and_then(|(seat, _)| unsafe {
        if element.is_null() {
            return Err(invalid("element is NULL"));
        }
        seat.ready(wait.wait()?)?;
        let lane = seat.raw.lane();
        copy(element.cast(), lane.bytes(seat.raw.next()).as_ptr(), lane.unit());
        seat.raw.advance_one()
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn pop(
    consumer: *mut interproc_spsc_consumer_t,
    wait: impl Patience,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract; the slot is ours by the seat and published, and as large as the message.
    report(unsafe { seat::<Reader>(consumer) }.and_then(|(seat, _)| unsafe {
        if element.is_null() {
            return Err(invalid("element is NULL"));
        }
        seat.ready(wait.wait()?)?;
        let lane = seat.raw.lane();
        copy(lane.bytes(seat.raw.next()).as_ptr(), element.cast(), lane.unit());
        if !redelivered.is_null() {
            redelivered.write(seat.raw.is_redelivered());
        }
        seat.raw.advance_one();
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn push_batch(
    producer: *mut interproc_spsc_producer_t,
    elements: *const c_void,
    count: usize,
    wait: impl Patience,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { seat::<Writer>(producer) }.and_then(|(seat, _)| unsafe {
        let pushed = output(pushed, "pushed")?;
        if elements.is_null() {
            return Err(invalid("elements is NULL"));
        }
        let (wait, unit) = (wait.wait()?, seat.lane().unit());
        let mut done = 0;
        while done < count {
            let run = seat.ready(wait).and_then(|()| seat.room_up_to(count - done)).and_then(|run| {
                let mut from = elements.cast::<u8>().add(done * unit);
                for (index, n) in seat.slots(run).into_iter().filter(|piece| piece.1 > 0) {
                    copy_nonoverlapping(from, seat.lane().bytes(index).as_ptr(), n * unit);
                    from = from.add(n * unit);
                }
                seat.raw.advance(run as u64).map(|()| run)
            });
            match run {
                Ok(run) => done += run,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        pushed.set(done);
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn pop_batch(
    consumer: *mut interproc_spsc_consumer_t,
    max: usize,
    wait: impl Patience,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { seat::<Reader>(consumer) }.and_then(|(seat, _)| unsafe {
        let popped = output(popped, "popped")?;
        if elements.is_null() {
            return Err(invalid("elements is NULL"));
        }
        let (mut run, mut again) = (0, 0);
        if max > 0 {
            let unit = seat.lane().unit();
            seat.ready(wait.wait()?)?;
            run = seat.there_up_to(max)?;
            again = seat.raw.suspects().min(run as u64) as usize;
            let told = seat.raw.reads(run as u64);
            let mut to = elements.cast::<u8>();
            for (index, n) in seat.slots(run).into_iter().filter(|piece| piece.1 > 0) {
                copy_nonoverlapping(seat.lane().bytes(index).as_ptr(), to, n * unit);
                to = to.add(n * unit);
            }
            seat.raw.advance(run as u64);
            if told {
                seat.raw.has_read();
            }
        }
        if !redelivered.is_null() {
            redelivered.write(again);
        }
        popped.set(run);
        Ok(())
    }))
}

/// Says where `count` slots are.
fn lend<S: Seat>(seat: &S, count: usize) -> interproc_spsc_slots_t {
    let [(a, n), (b, m)] = seat.pieces(count);
    let at = |index, n| match n {
        0 => null_mut(),
        _ => seat.lane().bytes(index).as_ptr().cast(),
    };
    interproc_spsc_slots_t { first: at(a, n), first_count: n, second: at(b, m), second_count: m }
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn write_chunk(
    producer: *mut interproc_spsc_producer_t,
    count: usize,
    wait: impl Patience,
    slots: *mut interproc_spsc_slots_t,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { seat::<Writer>(producer) }.and_then(|(seat, lent)| unsafe {
        let slots = output(slots, "slots")?;
        seat.ready_for(count, wait.wait()?)?;
        *lent = count;
        slots.set(lend(seat, count));
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn read_chunk(
    consumer: *mut interproc_spsc_consumer_t,
    count: usize,
    wait: impl Patience,
    slots: *mut interproc_spsc_slots_t,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { seat::<Reader>(consumer) }.and_then(|(seat, lent)| unsafe {
        let slots = output(slots, "slots")?;
        seat.ready_for(count, wait.wait()?)?;
        let count = count.min(seat.raw.known() as usize);
        seat.raw.reads(count as u64);
        *lent = count;
        if !redelivered.is_null() {
            redelivered.write(seat.raw.suspects().min(count as u64) as usize);
        }
        slots.set(lend(seat, count));
        Ok(())
    }))
}

/// Asks something of a lane.
///
/// # Safety
/// By C's contract of the functions below.
unsafe fn ask<S: Seat + 'static, T>(
    handle: *const S::C,
    out: *mut T,
    answer: impl FnOnce(&Lane) -> T,
) -> c_int {
    // SAFETY: by the contract; nothing is changed.
    report(unsafe { seat::<S>(handle.cast_mut()) }.and_then(|(seat, _)| {
        // SAFETY: by the contract.
        unsafe { output(out, "the place for the answer") }.map(|out| out.set(answer(seat.lane())))
    }))
}

/// Leaves a seat.
///
/// # Safety
/// By C's contract of the functions below.
unsafe fn leave<S: Seat>(handle: *mut S::C, flush: impl FnOnce(&mut S) -> Result<()>) -> c_int {
    // SAFETY: by the contract; the mark goes with the seat.
    report(unsafe {
        seat::<S>(handle).and_then(|(seat, _)| {
            let flushed = flush(seat);
            let handle = &mut *handle.cast::<Handle<S>>();
            handle.mark = 0;
            ManuallyDrop::drop(handle.seat.assume_init_mut());
            flushed
        })
    })
}

/// Takes the producer's seat of the queue `name` for messages of `element_size` bytes, with room for `capacity` of them. The
/// queue is found or made; a Rust program reaches the same one by `Segment::spsc_producer`. Whoever died in the seat has
/// left it. Slots lie one behind the other, the first one aligned to 64 bytes.
///
/// @return As interproc_segment_object(); EBUSY: somebody alive sits there; EEXIST also for another element size or capacity;
/// EINVAL: one of them is 0 or out of range; EUSERS: every member slot of the segment is held by a living thread.
///
/// Thread-safe, fork-safe and safe against death; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_spsc_producer(
    segment: *const interproc_segment_t,
    name: *const c_char,
    element_size: usize,
    capacity: usize,
    producer: *mut interproc_spsc_producer_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { take(segment, name, (element_size, capacity), producer, Writer::take, Lane::producer) }
}

/// Takes the consumer's seat of the queue `name`, as interproc_segment_spsc_producer() does the producer's. What a consumer that
/// died had not freed is popped again.
///
/// @return As interproc_segment_spsc_producer().
///
/// Thread-safe, fork-safe and safe against death; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_spsc_consumer(
    segment: *const interproc_segment_t,
    name: *const c_char,
    element_size: usize,
    capacity: usize,
    consumer: *mut interproc_spsc_consumer_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { take(segment, name, (element_size, capacity), consumer, Reader::take, Lane::consumer) }
}

/// Copies the message at `element` into the queue, waiting for room as long as it takes. An interrupting signal handler runs, and
/// the waiting goes on.
///
/// @return 0; EPIPE: the queue is closed; EPERM: the seat is the parent process's; ESTALE: the thread that used the handle last has
/// died, and another producer has taken over; EINVAL: a NULL, no producer, or its segment is closed; EUSERS: every member slot
/// of the segment is held by a living thread; EBADMSG: somebody has written over the queue.
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_push(
    producer: *mut interproc_spsc_producer_t,
    element: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(producer, element, ForEver) }
}

/// Copies the message at `element` into the queue if there is room; never waits.
///
/// @return As interproc_spsc_producer_push(), and EAGAIN: the queue is full.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_trypush(
    producer: *mut interproc_spsc_producer_t,
    element: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(producer, element, Never) }
}

/// Copies the message at `element` into the queue, waiting for room until `abstime` at the latest: an absolute time on
/// CLOCK_MONOTONIC, see interproc_deadline_after(). With a time in the past it still pushes if there is room.
///
/// @return As interproc_spsc_producer_push(), and ETIMEDOUT: no room in time. EINVAL also when abstime is NULL or its nanoseconds
/// are not in 0..999999999.
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_timedpush(
    producer: *mut interproc_spsc_producer_t,
    element: *const c_void,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(producer, element, Until(abstime)) }
}

/// Pushes the `count` messages of the array `elements` in order, waiting for room as long as it takes; each run that finds room is
/// published as one. Says how many went in: fewer than `count` only when the queue was closed meanwhile.
///
/// @return 0: at least one went in (or count is 0). Otherwise as interproc_spsc_producer_push(), and none went in.
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_push_batch(
    producer: *mut interproc_spsc_producer_t,
    elements: *const c_void,
    count: usize,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_batch(producer, elements, count, ForEver, pushed) }
}

/// As interproc_spsc_producer_push_batch(), for as many messages as there is room; never waits.
///
/// @return 0: at least one went in (or count is 0). Otherwise as interproc_spsc_producer_trypush(), and none went in.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_trypush_batch(
    producer: *mut interproc_spsc_producer_t,
    elements: *const c_void,
    count: usize,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_batch(producer, elements, count, Never, pushed) }
}

/// As interproc_spsc_producer_push_batch(), waiting until `abstime` at the latest. Says how many went in until then.
///
/// @return 0: at least one went in (or count is 0). Otherwise as interproc_spsc_producer_timedpush(), and none went in.
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_timedpush_batch(
    producer: *mut interproc_spsc_producer_t,
    elements: *const c_void,
    count: usize,
    abstime: *const timespec,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_batch(producer, elements, count, Until(abstime), pushed) }
}

/// Waits until `count` slots are free and says where they are, to be written in place. Nothing is pushed before
/// interproc_spsc_producer_commit(), and without it nothing has happened.
///
///     interproc_spsc_slots_t slots;
///     if (interproc_spsc_producer_write_chunk(&samples, 64, &slots) == 0) {
///         fill(slots.first, slots.first_count);
///         fill(slots.second, slots.second_count);
///         interproc_spsc_producer_commit(&samples, 64);
///     }
///
/// @return As interproc_spsc_producer_push(); EINVAL also for more than the capacity.
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_write_chunk(
    producer: *mut interproc_spsc_producer_t,
    count: usize,
    slots: *mut interproc_spsc_slots_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { write_chunk(producer, count, ForEver, slots) }
}

/// As interproc_spsc_producer_write_chunk(), if so many slots are free now.
///
/// @return As interproc_spsc_producer_write_chunk(), and EAGAIN: fewer are free.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_trywrite_chunk(
    producer: *mut interproc_spsc_producer_t,
    count: usize,
    slots: *mut interproc_spsc_slots_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { write_chunk(producer, count, Never, slots) }
}

/// As interproc_spsc_producer_write_chunk(), waiting until `abstime` at the latest.
///
/// @return As interproc_spsc_producer_write_chunk(), and ETIMEDOUT: fewer are free in time. EINVAL also for abstime as
/// interproc_spsc_producer_timedpush().
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_timedwrite_chunk(
    producer: *mut interproc_spsc_producer_t,
    count: usize,
    abstime: *const timespec,
    slots: *mut interproc_spsc_slots_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { write_chunk(producer, count, Until(abstime), slots) }
}

/// Pushes the first `count` of the slots that were lent last, as one.
///
/// @return As interproc_spsc_producer_push(); EINVAL also for more than were lent. EPIPE: none is pushed.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_commit(
    producer: *mut interproc_spsc_producer_t,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { seat::<Writer>(producer) }.and_then(|(seat, lent)| {
        if count > core::mem::take(lent) {
            return Err(invalid("more than were lent"));
        }
        seat.seated()?;
        if count == 0 { Ok(()) } else { seat.raw.advance(count as u64) }
    }))
}

/// Publishes by itself every `messages` only, at least 1, which is what a producer begins with. What is not published is not seen by
/// the consumer, and lost if this producer dies; it is published at the latest before a push waits or finds the queue full, by
/// interproc_spsc_producer_flush(), and by interproc_spsc_producer_leave().
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_publish_every(
    producer: *mut interproc_spsc_producer_t,
    messages: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { seat::<Writer>(producer) }.map(|(seat, _)| seat.raw.publish_every(messages as u64)))
}

/// Publishes what was pushed and not published.
///
/// @return As interproc_spsc_producer_push(). EPIPE: it is lost.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_flush(producer: *mut interproc_spsc_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { seat::<Writer>(producer) }.and_then(|(seat, _)| seat.flush()))
}

/// Closes the queue itself for good: the consumer takes what is there and is then told EPIPE. Closing again is no error.
///
/// @return 0; EPIPE: the consumer had closed it before what was not published yet, which is lost; EPERM, ESTALE, EINVAL, EUSERS: as
/// interproc_spsc_producer_push().
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_close(producer: *mut interproc_spsc_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { seat::<Writer>(producer) }.and_then(|(seat, _)| {
        let me = seat.seated()?;
        seat.raw.close(me)
    }))
}

/// Publishes the rest and leaves the seat to the next producer; the queue stays open. The handle is zero afterwards, whatever is
/// returned.
///
/// @return As interproc_spsc_producer_flush().
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_leave(producer: *mut interproc_spsc_producer_t) -> c_int {
    // SAFETY: by C's contract.
    unsafe { leave::<Writer>(producer, Writer::flush) }
}

/// Takes the next message out and copies it to `element`, waiting for one as long as it takes.
///
/// `redelivered` may be NULL. It is set to true when a consumer that died may have read this message before, otherwise to false.
///
/// @return 0; EPIPE: the queue is closed and drained; EPERM, ESTALE, EINVAL, EUSERS, EBADMSG: as interproc_spsc_producer_push().
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_pop(
    consumer: *mut interproc_spsc_consumer_t,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(consumer, ForEver, element, redelivered) }
}

/// As interproc_spsc_consumer_pop() if there is a message; never waits.
///
/// @return As interproc_spsc_consumer_pop(), and EAGAIN: the queue is empty.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_trypop(
    consumer: *mut interproc_spsc_consumer_t,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(consumer, Never, element, redelivered) }
}

/// As interproc_spsc_consumer_pop(), waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC, see
/// interproc_deadline_after(). With a time in the past it still pops what is there.
///
/// @return As interproc_spsc_consumer_pop(), and ETIMEDOUT: no message in time. EINVAL also when abstime is NULL or its nanoseconds
/// are not in 0..999999999.
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_timedpop(
    consumer: *mut interproc_spsc_consumer_t,
    abstime: *const timespec,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(consumer, Until(abstime), element, redelivered) }
}

/// Waits for a message, then takes as many as there are, at most `max`, into the array `elements`; `popped` says how many. They are
/// freed as one. `redelivered` may be NULL; it says how many of them, the first ones, a consumer that died may have read before.
///
/// @return 0: at least one came (or max is 0). Otherwise as interproc_spsc_consumer_pop().
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_pop_batch(
    consumer: *mut interproc_spsc_consumer_t,
    max: usize,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop_batch(consumer, max, ForEver, elements, popped, redelivered) }
}

/// As interproc_spsc_consumer_pop_batch(), for what is there now; never waits.
///
/// @return 0: at least one came (or max is 0). Otherwise as interproc_spsc_consumer_trypop().
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_trypop_batch(
    consumer: *mut interproc_spsc_consumer_t,
    max: usize,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop_batch(consumer, max, Never, elements, popped, redelivered) }
}

/// As interproc_spsc_consumer_pop_batch(), waiting until `abstime` at the latest.
///
/// @return 0: at least one came (or max is 0). Otherwise as interproc_spsc_consumer_timedpop().
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_timedpop_batch(
    consumer: *mut interproc_spsc_consumer_t,
    max: usize,
    abstime: *const timespec,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop_batch(consumer, max, Until(abstime), elements, popped, redelivered) }
}

/// Waits until there are `count` messages and says where they are, to be read in place; fewer when the queue is closed. None is taken
/// before interproc_spsc_consumer_commit(). `redelivered` is as of interproc_spsc_consumer_pop_batch().
///
/// @return As interproc_spsc_consumer_pop(); EINVAL also for more than the capacity.
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_read_chunk(
    consumer: *mut interproc_spsc_consumer_t,
    count: usize,
    slots: *mut interproc_spsc_slots_t,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { read_chunk(consumer, count, ForEver, slots, redelivered) }
}

/// As interproc_spsc_consumer_read_chunk(), if so many messages are there now.
///
/// @return As interproc_spsc_consumer_read_chunk(), and EAGAIN: fewer are there.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_tryread_chunk(
    consumer: *mut interproc_spsc_consumer_t,
    count: usize,
    slots: *mut interproc_spsc_slots_t,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { read_chunk(consumer, count, Never, slots, redelivered) }
}

/// As interproc_spsc_consumer_read_chunk(), waiting until `abstime` at the latest.
///
/// @return As interproc_spsc_consumer_read_chunk(), and ETIMEDOUT: fewer are there in time. EINVAL also for abstime as
/// interproc_spsc_consumer_timedpop().
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_timedread_chunk(
    consumer: *mut interproc_spsc_consumer_t,
    count: usize,
    abstime: *const timespec,
    slots: *mut interproc_spsc_slots_t,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { read_chunk(consumer, count, Until(abstime), slots, redelivered) }
}

/// Takes the first `count` of the messages that were lent last, as one; the rest stays.
///
/// @return 0; EPERM, ESTALE, EINVAL, EUSERS: as interproc_spsc_producer_push(); EINVAL also for more than were lent.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_commit(
    consumer: *mut interproc_spsc_consumer_t,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { seat::<Reader>(consumer) }.and_then(|(seat, lent)| {
        if count > core::mem::take(lent) {
            return Err(invalid("more than were lent"));
        }
        seat.seated()?;
        if count != 0 {
            seat.raw.advance(count as u64);
        }
        seat.raw.has_read();
        Ok(())
    }))
}

/// Frees by itself every `messages` only, at least 1, which is what a consumer begins with. What is popped and not freed takes up room,
/// and if this consumer dies it is read again by the next one, flagged. It is freed at the latest before a pop waits or finds
/// nothing, by interproc_spsc_consumer_flush(), and by interproc_spsc_consumer_leave().
///
/// @return 0; EPERM, ESTALE, EINVAL, EUSERS: as interproc_spsc_producer_push().
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_free_every(
    consumer: *mut interproc_spsc_consumer_t,
    messages: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { seat::<Reader>(consumer) }.and_then(|(seat, _)| {
        seat.seated()?;
        seat.raw.free_every(messages as u64);
        Ok(())
    }))
}

/// Frees what was popped and not freed.
///
/// @return 0; EPERM, ESTALE, EINVAL, EUSERS: as interproc_spsc_producer_push().
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_flush(consumer: *mut interproc_spsc_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { seat::<Reader>(consumer) }.and_then(|(seat, _)| seat.flush()))
}

/// Closes the queue itself for good: the producer is refused from now on, what it has published can be popped. A push at the same
/// time either gets in, and is then delivered, or is refused. Closing again is no error.
///
/// @return 0; EPERM, ESTALE, EINVAL, EUSERS: as interproc_spsc_producer_push().
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_close(consumer: *mut interproc_spsc_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { seat::<Reader>(consumer) }.and_then(|(seat, _)| {
        let me = seat.seated()?;
        seat.raw.close(me);
        Ok(())
    }))
}

/// Frees the rest and leaves the seat to the next consumer; the queue stays open. The handle is zero afterwards, whatever is
/// returned.
///
/// @return As interproc_spsc_consumer_flush().
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_leave(consumer: *mut interproc_spsc_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    unsafe { leave::<Reader>(consumer, Reader::flush) }
}

/// How many messages are published and not freed: a snapshot.
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_len(
    producer: *const interproc_spsc_producer_t,
    len: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask::<Writer, _>(producer, len, |lane| lane.len() as usize) }
}

/// The most messages that it holds.
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_capacity(
    producer: *const interproc_spsc_producer_t,
    capacity: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask::<Writer, _>(producer, capacity, |lane| lane.capacity() as usize) }
}

/// The most messages that were seen in it: by a producer, whenever it ran out of room that it knew of, and now.
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_peak(
    producer: *const interproc_spsc_producer_t,
    peak: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask::<Writer, _>(producer, peak, |lane| lane.peak() as usize) }
}

/// Whether it was closed, by either side.
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_is_closed(
    producer: *const interproc_spsc_producer_t,
    is_closed: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask::<Writer, _>(producer, is_closed, |lane| lane.is_closed()) }
}

/// Who sits in the consumer's seat, dead or alive.
///
/// @return 0; EINVAL: a NULL, no producer, or its segment is closed.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_partner(
    producer: *const interproc_spsc_producer_t,
    partner: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(partner, || {
            let (seat, _) = seat::<Writer>(producer.cast_mut())?;
            view::who(seat.lane().address(), seat.lane().consumer())
        })
    }
}

/// How many messages are published and not freed: a snapshot.
///
/// @return 0; EINVAL: a NULL, or no consumer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_len(
    consumer: *const interproc_spsc_consumer_t,
    len: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask::<Reader, _>(consumer, len, |lane| lane.len() as usize) }
}

/// The most messages that it holds.
///
/// @return 0; EINVAL: a NULL, or no consumer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_capacity(
    consumer: *const interproc_spsc_consumer_t,
    capacity: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask::<Reader, _>(consumer, capacity, |lane| lane.capacity() as usize) }
}

/// The most messages that were seen in it: by a producer, whenever it ran out of room that it knew of, and now.
///
/// @return 0; EINVAL: a NULL, or no consumer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_peak(
    consumer: *const interproc_spsc_consumer_t,
    peak: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask::<Reader, _>(consumer, peak, |lane| lane.peak() as usize) }
}

/// Whether it was closed, by either side.
///
/// @return 0; EINVAL: a NULL, or no consumer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_is_closed(
    consumer: *const interproc_spsc_consumer_t,
    is_closed: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask::<Reader, _>(consumer, is_closed, |lane| lane.is_closed()) }
}

/// Who sits in the producer's seat, dead or alive.
///
/// @return 0; EINVAL: a NULL, no consumer, or its segment is closed.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_partner(
    consumer: *const interproc_spsc_consumer_t,
    partner: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(partner, || {
            let (seat, _) = seat::<Reader>(consumer.cast_mut())?;
            view::who(seat.lane().address(), seat.lane().producer())
        })
    }
}
