//! The broadcast: publishing, subscribing, and the only publisher.

use super::arguments::{answer, bytes, output, tell, text};
use super::error::report;
use super::handle::{Marked, ask, find, find_mut, found_in, take, taken_in};
use super::invalid;
use super::segment::interproc_segment_t;
use super::time::{timed, until};
use crate::error::{ErrorKind, Result};
use crate::member::{self, Member};
use crate::queue::broadcast::{Alone, BroadcastGeometry, RawBroadcast, Since, Slow, Subscription};
use crate::time::Wait;
use core::ffi::{c_char, c_int, c_void};
use libc::timespec;

/// Messages that every subscriber gets, from any number of publishers, between any processes.
///
/// This is a local handle from interproc_segment_broadcast(); the broadcast itself lies in the segment. The handle need not
/// be freed, may be copied, and may be used by any thread and by forked children while the segment is open.
///
///     interproc_broadcast_options_t options = {0};
///     options.capacity = 1024;
///     options.longest = 100;
///     interproc_broadcast_t news;
///     int rc = interproc_segment_broadcast(&segment, "news", &options, &news);
///     if (rc == 0)
///         rc = interproc_broadcast_publish(&news, "rain", 4);
///
/// and in a subscriber:
///
///     interproc_subscriber_t mine;
///     char text[100];
///     size_t len;
///     rc = interproc_segment_subscriber(&segment, "news", &options, INTERPROC_SLOW_WAITS, 0, &mine);
///     while (rc == 0 && (rc = interproc_subscriber_recv(&mine, text, sizeof text, &len, NULL)) == 0)
///         printf("%.*s\n", (int)len, text);                   // EPIPE: closed, and all is received
///
/// A subscriber gets every message from where it joined, all in the same order. Publishers wait for it, until it dies or
/// leaves (`INTERPROC_SLOW_WAITS`), or they do not, and it is told how many messages it has missed
/// (`INTERPROC_SLOW_LAGS`). No message is torn.
///
/// When a publisher dies in a call, its message is published or it is not, and others go on. When a subscriber dies,
/// nobody waits for it any more, at once. A publisher that is *stopped* in a call can stop others (a try for at most
/// 50 ms, then EBUSY), a stopped subscriber those who wait for it.
///
/// Who receives a message sees everything that happened before it was published. A message costs one lock, which the
/// only publisher of interproc_segment_publisher_until() is spared, and no system call unless somebody sleeps.
#[repr(C)]
pub struct interproc_broadcast_t {
    /// Private. Zero when it is no broadcast.
    pub private_: [u64; 8],
}

/// A seat at a broadcast: see interproc_broadcast_t. From interproc_segment_subscriber().
///
/// **All functions**: one thread at a time with a handle; its death is the subscriber's. Do not copy it. Another thread of
/// the process may go on with it. EPERM: the handle is a parent process's; ESTALE: the thread that used it last has died,
/// and it was given up; EBADMSG: somebody wrote over the broadcast.
#[repr(C)]
pub struct interproc_subscriber_t {
    /// Private. Zero when it is no subscriber.
    pub private_: [u64; 32],
}

/// The only publisher of a broadcast, from interproc_segment_publisher_until(): until interproc_publisher_leave() or the
/// death of its thread all others wait. It publishes in three quarters of the time, between processors in a fourth.
///
/// **All functions**: only the thread that became it, else EPERM. Do not copy it.
#[repr(C)]
pub struct interproc_publisher_t {
    /// Private. Zero when it is no publisher.
    pub private_: [u64; 32],
}

/// Publishers wait for a slow subscriber: it misses nothing.
pub const INTERPROC_SLOW_WAITS: u32 = 0;
/// They do not: it is told how many messages it has missed.
pub const INTERPROC_SLOW_LAGS: u32 = 1;

/// What a broadcast is made with. Whoever finds it must ask for the same.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct interproc_broadcast_options_t {
    /// Messages that it keeps, 2 to 2^30.
    pub capacity: usize,
    /// Bytes of the longest message, at least 1.
    pub longest: usize,
    /// 0 for messages of any length; for messages of one type, all `longest` bytes long, its id: see
    /// interproc_segment_queue_as().
    pub type_id: u64,
    /// The most subscribers at a time, 1 to 4096; 0: 64. Each takes 64 bytes.
    pub subscribers: usize,
    /// Zero.
    pub reserved: [u64; 4],
}

/// What a broadcast has in it, and what it was made with.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct interproc_broadcast_info_t {
    /// Messages that it keeps.
    pub capacity: usize,
    /// Bytes of the longest message.
    pub longest: usize,
    /// How many messages were ever published.
    pub published: u64,
    /// Living subscribers that are waited for.
    pub waiting: usize,
    /// Living subscribers that are not.
    pub lagging: usize,
    /// Whether it is closed.
    pub is_closed: bool,
}

/// Where a subscriber is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct interproc_subscriber_info_t {
    /// The number of the next message that it receives; messages are counted from 0.
    pub position: u64,
    /// How many messages are published that it has not received.
    pub lag: u64,
    /// How many it has missed since it joined.
    pub missed: u64,
}

// SAFETY: an array of words.
unsafe impl Marked for interproc_broadcast_t {
    type Object = RawBroadcast;
    const MARK: [u8; 8] = *b"ipnews\0\0";
    const NAME: &'static str = "broadcast";
}

// SAFETY: as above.
unsafe impl Marked for interproc_subscriber_t {
    type Object = Subscription;
    const MARK: [u8; 8] = *b"ipnewsS\0";
    const NAME: &'static str = "subscriber";
}

// SAFETY: as above.
unsafe impl Marked for interproc_publisher_t {
    type Object = Alone;
    const MARK: [u8; 8] = *b"ipnewsP\0";
    const NAME: &'static str = "publisher";
}

fn me<'a>(broadcast: &RawBroadcast) -> Result<&'a Member> {
    member::current(broadcast.place().address())
}

/// # Safety
/// NULL, or options.
pub(super) unsafe fn geometry(
    options: *const interproc_broadcast_options_t,
) -> Result<(u64, BroadcastGeometry)> {
    // SAFETY: by the contract.
    let options = unsafe { super::arguments::input(options, "options") }?;
    if options.reserved != [0; 4] {
        return Err(invalid("a reserved field is not zero"));
    }
    let subscribers = if options.subscribers == 0 { 64 } else { options.subscribers };
    // What is too large is impossible, and refused as that.
    let geometry = BroadcastGeometry {
        capacity: u32::try_from(options.capacity).unwrap_or(0),
        longest: u32::try_from(options.longest).unwrap_or(0),
        subscribers: u32::try_from(subscribers).unwrap_or(0),
        fixed: options.type_id != 0,
    };
    Ok((options.type_id, geometry))
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn broadcast_in(
    segment: &crate::shm::Segment,
    name: *const c_char,
    options: *const interproc_broadcast_options_t,
) -> Result<RawBroadcast> {
    // SAFETY: by the contract.
    let ((type_id, geometry), name) = unsafe { (geometry(options)?, text(name, "name")?) };
    segment.raw_broadcast(name, type_id, geometry)
}

/// Finds the broadcast `name` of these options, or makes it. A Rust program reaches the same one by
/// `Segment::byte_broadcast`, and by `Segment::broadcast` with the id of its type.
///
/// @return As interproc_segment_object(); EEXIST also for other options; EINVAL also for impossible ones.
///
/// Safe against death.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_broadcast(
    segment: *const interproc_segment_t,
    name: *const c_char,
    options: *const interproc_broadcast_options_t,
    broadcast: *mut interproc_broadcast_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { answer(broadcast, "broadcast", || found_in(segment, |s| broadcast_in(s, name, options))) }
}

/// Finds the broadcast `name`, as interproc_segment_broadcast() does, or makes it, and subscribes. `slow` is
/// `INTERPROC_SLOW_WAITS` or `INTERPROC_SLOW_LAGS`. The subscriber gets the `last` messages that were published, as far as
/// they are kept, and all that follow. (Up to 64 of the oldest, and an eighth of all, may be about to be overwritten, and
/// are not kept any more.) It waits for nobody.
///
/// @return As interproc_segment_broadcast(); EBUSY: there are as many subscribers as there may be.
///
/// Safe against death.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_subscriber(
    segment: *const interproc_segment_t,
    name: *const c_char,
    options: *const interproc_broadcast_options_t,
    slow: u32,
    last: u64,
    subscriber: *mut interproc_subscriber_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        answer(subscriber, "subscriber", || {
            let slow = match slow {
                INTERPROC_SLOW_WAITS => Slow::Waits,
                INTERPROC_SLOW_LAGS => Slow::Lags,
                _ => return Err(invalid("slow is neither INTERPROC_SLOW_WAITS nor INTERPROC_SLOW_LAGS")),
            };
            taken_in(segment, |s| {
                let broadcast = broadcast_in(s, name, options)?;
                let since = if last == 0 { Since::Now } else { Since::Last(last) };
                broadcast.subscribe(me(&broadcast)?, slow, since).map(Subscription::new)
            })
        })
    }
}

/// Finds the broadcast `name`, as interproc_segment_broadcast() does, or makes it, and makes the calling thread its only
/// publisher, waiting for others until `abstime`.
///
/// @return As interproc_segment_broadcast(); ETIMEDOUT; EDEADLK: the calling thread is it already, or has reserved a message.
///
/// Safe against death.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_publisher_until(
    segment: *const interproc_segment_t,
    name: *const c_char,
    options: *const interproc_broadcast_options_t,
    abstime: *const timespec,
    publisher: *mut interproc_publisher_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        answer(publisher, "publisher", || {
            let wait = until(abstime)?;
            taken_in(segment, |s| {
                let broadcast = broadcast_in(s, name, options)?;
                Alone::new(broadcast, me(&broadcast)?, wait)
            })
        })
    }
}

/// The bytes of a message that fits.
///
/// # Safety
/// By C's contract of the functions below.
unsafe fn message<'a>(broadcast: &RawBroadcast, message: *const c_void, len: usize) -> Result<&'a [u8]> {
    let geometry = broadcast.place().geometry();
    if geometry.fixed && len != geometry.longest as usize {
        return Err(invalid("all messages of this broadcast have the length of their type"));
    }
    // SAFETY: by the contract.
    unsafe { bytes(message, len, "message") }
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn publish(
    broadcast: *const interproc_broadcast_t,
    from: *const c_void,
    len: usize,
    wait: Wait,
    position: *mut u64,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(broadcast) }.and_then(|broadcast| unsafe {
        let message = message(broadcast, from, len)?;
        tell(position, broadcast.publish(me(broadcast)?, message.as_ptr(), len, wait)?);
        Ok(())
    }))
}

/// Publishes a message of `len` bytes, waiting for slow subscribers. `message` may be NULL if `len` is 0.
///
/// @return 0; EMSGSIZE: longer than messages may be; EPIPE: it is closed; EDEADLK: the slowest subscriber is the calling
/// thread's own (after 50 ms), or it has reserved a message, or is the only publisher.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_broadcast_publish(
    broadcast: *const interproc_broadcast_t,
    message: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { publish(broadcast, message, len, Wait::ForEver, core::ptr::null_mut()) }
}

/// As interproc_broadcast_publish(), but never waits for a subscriber: EAGAIN.
///
/// @return EBUSY: another thread is the only publisher, has reserved a message, or is stopped in a call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_broadcast_trypublish(
    broadcast: *const interproc_broadcast_t,
    message: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { publish(broadcast, message, len, Wait::Never, core::ptr::null_mut()) }
}

/// As interproc_broadcast_publish(), until `abstime`: then ETIMEDOUT. `position` may be NULL; it becomes the message's
/// number, counted from 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_broadcast_timedpublish(
    broadcast: *const interproc_broadcast_t,
    message: *const c_void,
    len: usize,
    abstime: *const timespec,
    position: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| publish(broadcast, message, len, wait, position)) }
}

/// Reserves the place of a message, of up to the longest, to be written where subscribers will read it; waits until
/// `abstime`. Until interproc_broadcast_commit() or _abort(), by the same thread, nobody else publishes.
///
/// @return As interproc_broadcast_timedpublish().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_broadcast_reserve_until(
    broadcast: *const interproc_broadcast_t,
    abstime: *const timespec,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(broadcast) }.and_then(|broadcast| unsafe {
        let place = output(place, "place")?;
        let slot = broadcast.reserve(me(broadcast)?, until(abstime)?)?;
        place.set(broadcast.place().body(slot.at()).as_ptr().cast());
        Ok(())
    }))
}

/// Publishes the first `len` bytes of what was reserved.
///
/// @return 0; EMSGSIZE: longer than messages may be: it stays reserved; EPERM: the calling thread has reserved nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_broadcast_commit(
    broadcast: *const interproc_broadcast_t,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(broadcast) }.and_then(|broadcast| {
        let geometry = broadcast.place().geometry();
        if geometry.fixed && len < geometry.longest as usize {
            return Err(invalid("all messages of this broadcast have the length of their type"));
        }
        broadcast.commit(me(broadcast)?, len).map(drop)
    }))
}

/// Gives back what was reserved: there is no message.
///
/// @return 0; EPERM: the calling thread has reserved nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_broadcast_abort(broadcast: *const interproc_broadcast_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(broadcast) }.and_then(|broadcast| broadcast.abort(me(broadcast)?)))
}

/// Closes the broadcast itself, for everybody and for good (not just this handle, which needs no closing): nothing is
/// published any more, and subscribers get EPIPE once they have received everything. Closing again is no error. Waits for
/// another thread that is the only publisher.
///
/// @return 0; EDEADLK: the calling thread has reserved a message, or is the only publisher.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_broadcast_close(broadcast: *const interproc_broadcast_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(broadcast) }.and_then(|broadcast| broadcast.close(me(broadcast)?, Wait::ForEver)))
}

/// What is in it: a snapshot.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_broadcast_info(
    broadcast: *const interproc_broadcast_t,
    info: *mut interproc_broadcast_info_t,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(broadcast) }.and_then(|broadcast| {
        // SAFETY: by C's contract.
        let info = unsafe { output(info, "info") }?;
        let ((waiting, lagging), geometry) =
            (broadcast.subscribers(me(broadcast)?), broadcast.place().geometry());
        info.set(interproc_broadcast_info_t {
            capacity: geometry.capacity as usize,
            longest: geometry.longest as usize,
            published: broadcast.published(),
            waiting,
            lagging,
            is_closed: broadcast.is_closed(),
        });
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn recv(
    subscriber: *mut interproc_subscriber_t,
    wait: Wait,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    missed: *mut u64,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find_mut(subscriber) }.and_then(|subscriber| unsafe {
        let len = output(len, "len")?;
        if buffer.is_null() && size > 0 {
            return Err(invalid("buffer is NULL"));
        }
        match subscriber.recv_into(buffer.cast(), size, wait) {
            Ok(length) => {
                len.set(length);
                tell(missed, subscriber.raw.take_missed());
                Ok(())
            }
            Err(error) => {
                if let Some(needed) = error.needed() {
                    len.set(needed);
                }
                Err(error.into())
            }
        }
    }))
}

/// Receives the next message: copies it to `buffer`, which has room for `size` bytes, waiting for one. `*len` becomes its
/// length. `missed` may be NULL; it becomes the number of messages that were overwritten, or about to be, before
/// this subscriber came to them, since the one that it received before.
///
/// @return 0; EPIPE: closed, and all is received; EMSGSIZE: the message is longer than `size`: `len` is set, too, and the
/// message stays the next one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_subscriber_recv(
    subscriber: *mut interproc_subscriber_t,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    missed: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { recv(subscriber, Wait::ForEver, buffer, size, len, missed) }
}

/// As interproc_subscriber_recv(), but never waits: EAGAIN when there is no message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_subscriber_tryrecv(
    subscriber: *mut interproc_subscriber_t,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    missed: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { recv(subscriber, Wait::Never, buffer, size, len, missed) }
}

/// As interproc_subscriber_recv(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_subscriber_timedrecv(
    subscriber: *mut interproc_subscriber_t,
    abstime: *const timespec,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    missed: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| recv(subscriber, wait, buffer, size, len, missed)) }
}

/// Borrows the next message, to be read in place, waiting for one until `abstime`: where it is, and its length. It stays
/// until interproc_subscriber_release(); until then another borrow finds the same message.
///
/// @return 0; ETIMEDOUT; EPIPE: closed, and all is received; EINVAL: the subscriber lags, so it must copy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_subscriber_borrow_until(
    subscriber: *mut interproc_subscriber_t,
    abstime: *const timespec,
    message: *mut *const c_void,
    len: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(subscriber) }.and_then(|subscriber| unsafe {
        let (message, len) = (output(message, "message")?, output(len, "len")?);
        let (place, length) = subscriber.borrow(until(abstime)?)?;
        message.set(place.as_ptr().cast());
        len.set(length);
        Ok(())
    }))
}

/// The message that was borrowed is received.
///
/// @return 0; EINVAL: none is borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_subscriber_release(subscriber: *mut interproc_subscriber_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(subscriber) }.and_then(|subscriber| subscriber.release()))
}

/// Where it is: a snapshot.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_subscriber_info(
    subscriber: *const interproc_subscriber_t,
    info: *mut interproc_subscriber_info_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        ask(subscriber, info, |subscriber| interproc_subscriber_info_t {
            position: subscriber.raw.position(),
            lag: subscriber.raw.lag(),
            missed: subscriber.raw.missed(),
        })
    }
}

/// Leaves: nobody waits for it any more. The handle is cleared in any case.
///
/// @return 0; EPERM: it is a parent process's; ESTALE: it was given up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_subscriber_leave(subscriber: *mut interproc_subscriber_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { take(subscriber) }.and_then(|mut side| {
        let mine = side.me().map(drop);
        side.leave();
        mine
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn publish_alone(
    publisher: *mut interproc_publisher_t,
    from: *const c_void,
    len: usize,
    wait: Wait,
    position: *mut u64,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find_mut(publisher) }.and_then(|publisher| unsafe {
        let message = message(publisher.broadcast(), from, len)?;
        tell(position, publisher.publish(message.as_ptr(), len, wait)?);
        Ok(())
    }))
}

/// Publishes a message of `len` bytes, waiting for slow subscribers. `message` may be NULL if `len` is 0.
///
/// @return As interproc_broadcast_publish().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_publisher_publish(
    publisher: *mut interproc_publisher_t,
    message: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { publish_alone(publisher, message, len, Wait::ForEver, core::ptr::null_mut()) }
}

/// As interproc_publisher_publish(), but never waits: EAGAIN when a subscriber would have to be waited for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_publisher_trypublish(
    publisher: *mut interproc_publisher_t,
    message: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { publish_alone(publisher, message, len, Wait::Never, core::ptr::null_mut()) }
}

/// As interproc_publisher_publish(), until `abstime`: then ETIMEDOUT. `position` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_publisher_timedpublish(
    publisher: *mut interproc_publisher_t,
    message: *const c_void,
    len: usize,
    abstime: *const timespec,
    position: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| publish_alone(publisher, message, len, wait, position)) }
}

/// The place of the next message, of up to the longest, to be written where subscribers will read it; waits until
/// `abstime`. interproc_publisher_commit() publishes it. Asking again gives the same place.
///
/// @return As interproc_publisher_timedpublish().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_publisher_reserve_until(
    publisher: *mut interproc_publisher_t,
    abstime: *const timespec,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(publisher) }.and_then(|publisher| unsafe {
        let place = output(place, "place")?;
        let at = publisher.reserve(until(abstime)?)?;
        place.set(publisher.broadcast().place().body(at).as_ptr().cast());
        Ok(())
    }))
}

/// Publishes the first `len` bytes of that place.
///
/// @return 0; EMSGSIZE: longer than messages may be; EINVAL: nothing is reserved; EPIPE: it is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_publisher_commit(
    publisher: *mut interproc_publisher_t,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(publisher) }.and_then(|publisher| {
        let geometry = publisher.broadcast().place().geometry();
        if geometry.fixed && len < geometry.longest as usize {
            return Err(invalid("all messages of this broadcast have the length of their type"));
        }
        if len > geometry.longest as usize {
            return Err(ErrorKind::TooLarge.into());
        }
        publisher.commit(len).map(drop)
    }))
}

/// Closes the broadcast: see interproc_broadcast_close().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_publisher_close(publisher: *mut interproc_publisher_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(publisher) }.and_then(|publisher| publisher.close()))
}

/// Others may publish again. The handle is cleared in any case.
///
/// @return 0; EPERM: another thread became it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_publisher_leave(publisher: *mut interproc_publisher_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { take(publisher) }.and_then(|mut publisher| publisher.leave()))
}
