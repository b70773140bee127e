//! The latest value.

use super::arguments::{answer, tell, text};
use super::error::report;
use super::handle::{Marked, ask, find, found_in};
use super::invalid;
use super::segment::interproc_segment_t;
use super::time::timed;
use super::who::{self, interproc_who_t};
use crate::error::Result;
use crate::member::{self, Member, view};
use crate::queue::RawLatest;
use crate::shared::TypeId;
use crate::shm::Element;
use crate::time::Wait;
use core::ffi::{c_char, c_int, c_void};
use libc::timespec;

/// A value of which only the newest counts, between any processes: a state, a position, a frame. Writers never wait for
/// readers, and readers wait for nobody.
///
/// This is a local handle from interproc_segment_latest(); the value itself lies in the segment. The handle need not be
/// freed, may be copied, and may be used by any thread and by forked children while the segment is open.
///
///     interproc_latest_t position;
///     pose_t pose = {0};
///     int rc = interproc_segment_latest(&segment, "position", sizeof pose, &pose, &position);
///     if (rc == 0)
///         rc = interproc_latest_set(&position, &pose, NULL);      // one process
///     if (rc == 0)
///         rc = interproc_latest_get(&position, &pose, NULL);      // any others
///
/// A read never gives a value that was half set, and is wait-free: a reader that writers have overtaken twice announces
/// itself, and writers then avoid the slot it reads. There are four announcements, or as many as
/// interproc_segment_latest_as() was asked for; further readers retry. Writers wait for each other.
///
/// When a writer dies in the middle, the value that it was setting is discarded, and the next writer goes on; a dead
/// reader costs nothing. A process that is stopped in the middle of a set delays other writers, never readers.
///
/// The reader of a value, or of its version, sees everything that happened before it was set. A read makes no system
/// call and needs no member slot of the segment.
#[repr(C)]
pub struct interproc_latest_t {
    /// Private. Zero if the handle is empty.
    pub private_: [u64; 8],
}

// SAFETY: an array of words.
unsafe impl Marked for interproc_latest_t {
    type Object = RawLatest;
    const MARK: [u8; 8] = *b"iplatst\0";
    const NAME: &'static str = "latest";
}

#[inline(always)]
fn me<'a>(latest: &RawLatest) -> Result<&'a Member> {
    member::current(latest.place().address())
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn get(latest: &RawLatest, value: *mut c_void, version: *mut u64) -> Result<()> {
    // SAFETY: by the contract.
    unsafe {
        if value.is_null() {
            return Err(invalid("value is NULL"));
        }
        let found = latest.load(value.cast(), latest.place().element(), || me(latest))?;
        tell(version, found);
        Ok(())
    }
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn set(
    handle: *const interproc_latest_t,
    value: *const c_void,
    wait: Wait,
    version: *mut u64,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(handle) }.and_then(|latest| unsafe {
        if value.is_null() {
            return Err(invalid("value is NULL"));
        }
        let (me, size) = (me(latest)?, latest.place().element());
        let made = match wait {
            Wait::Never => latest.try_store(me, value.cast(), size),
            _ => latest.store(me, value.cast(), size, wait.deadline()),
        }?;
        tell(version, made);
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn wait_newer(
    handle: *const interproc_latest_t,
    seen: u64,
    wait: Wait,
    value: *mut c_void,
    version: *mut u64,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(handle) }.and_then(|latest| unsafe {
        if value.is_null() {
            return Err(invalid("value is NULL"));
        }
        latest.wait_newer(me(latest)?, seen, wait.deadline())?;
        get(latest, value, version)
    }))
}

/// Finds the latest value `name` of `size` bytes, or makes it with the bytes at `initial` as its version 0 (NULL:
/// zeros), and with announcements for four readers at a time: see interproc_latest_t. A Rust program reaches the same
/// one by `Segment::latest`.
///
/// @return As interproc_segment_object(); EEXIST also for another size or number of announcements.
///
/// Safe against death.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_latest(
    segment: *const interproc_segment_t,
    name: *const c_char,
    size: usize,
    initial: *const c_void,
    latest: *mut interproc_latest_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { interproc_segment_latest_as(segment, name, TypeId::BYTES.bits(), size, initial, 4, latest) }
}

/// As interproc_segment_latest(), for a value of this type, and with announcements for `readers` at a time, at most
/// 250: that many readers that were overtaken twice can read wait-free at a time. Each costs a slot, which takes the
/// value and 8 bytes, rounded up to 64. A Rust program reaches the same one by `Segment::latest_for`. It is found by
/// exactly this type, by both. `type_id` is 0 for bytes, or an id by interproc_type_id().
///
/// @return As interproc_segment_latest(); EEXIST also for another type; EINVAL also for more than 250 readers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_latest_as(
    segment: *const interproc_segment_t,
    name: *const c_char,
    type_id: u64,
    size: usize,
    initial: *const c_void,
    readers: usize,
    latest: *mut interproc_latest_t,
) -> c_int {
    let value = Element { id: TypeId::from_bits(type_id), size };
    // SAFETY: by C's contract.
    unsafe {
        answer(latest, "latest", || {
            found_in(segment, |s| s.raw_latest(text(name, "name")?, value, readers, initial.cast()))
        })
    }
}

/// Sets the value to the bytes at `value`, waiting for another writer. `version` may be NULL; it becomes the number of
/// sets up to this one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_latest_set(
    latest: *const interproc_latest_t,
    value: *const c_void,
    version: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { set(latest, value, Wait::ForEver, version) }
}

/// As interproc_latest_set(), until `abstime`: ETIMEDOUT if other writers keep it busy until then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_latest_set_until(
    latest: *const interproc_latest_t,
    value: *const c_void,
    abstime: *const timespec,
    version: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| set(latest, value, wait, version)) }
}

/// Copies the newest value to `value`. `version` may be NULL; it becomes the number of sets up to it. Never waits.
///
/// @return 0; EBADMSG: its bytes make no sense.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_latest_get(
    latest: *const interproc_latest_t,
    value: *mut c_void,
    version: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(latest) }.and_then(|latest| unsafe { get(latest, value, version) }))
}

/// How often the value was set. Cheaper than a read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_latest_version(
    latest: *const interproc_latest_t,
    version: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(latest, version, RawLatest::version) }
}

/// Waits for a value that is newer than version `seen`, and copies the newest to `value`. Older values are skipped.
/// `version` may be NULL.
///
/// @return 0; EBADMSG: its bytes make no sense.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_latest_wait_newer(
    latest: *const interproc_latest_t,
    seen: u64,
    value: *mut c_void,
    version: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { wait_newer(latest, seen, Wait::ForEver, value, version) }
}

/// As interproc_latest_wait_newer(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_latest_wait_newer_until(
    latest: *const interproc_latest_t,
    seen: u64,
    abstime: *const timespec,
    value: *mut c_void,
    version: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| wait_newer(latest, seen, wait, value, version)) }
}

/// Who sets the value at this moment, dead or alive: a snapshot, to find a process that was stopped in the middle of a
/// set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_latest_writer(
    latest: *const interproc_latest_t,
    writer: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(writer, || {
            let latest = find(latest)?;
            let me = me(latest)?;
            Ok(latest.writer().map(|id| me.domain().who(id)))
        })
    }
}

/// How many living threads are asleep for a newer value, or to set it: a snapshot.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_latest_waiters(
    latest: *const interproc_latest_t,
    waiters: *mut u32,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::waiters(waiters, || {
            let place = find(latest)?.place();
            view::waiters(place.address(), place.size())
        })
    }
}
