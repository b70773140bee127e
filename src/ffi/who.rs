//! Who holds something, and how many wait.

use super::arguments::{answer, output};
use super::{call, invalid};
use crate::error::Result;
use crate::member::{Who, view};
use core::ffi::{c_char, c_int, c_void};
use std::vec::Vec;

/// A thread that holds something: a snapshot, diagnostic only. All zero when there is nobody. Its ids are what it, or
/// anybody else who may write to the segment, has written there: no proof of who it is.
///
///     interproc_who_t who;
///     if (interproc_mutex_holder(&shop->lock, &who) == 0 && who.found)
///         printf("held by %d.%d %s%s\n", who.pid, who.tid, who.name, who.alive ? "" : ", dead");
#[repr(C)]
#[derive(Clone, Copy)]
pub struct interproc_who_t {
    /// Whether there is anybody.
    pub found: bool,
    /// Whether it lives. A stopped thread does.
    pub alive: bool,
    /// Its state by the letter that ps shows (`T` is stopped), 0 if unknown.
    pub state: c_char,
    /// Zero.
    pub reserved: u8,
    /// Its process id, in its own PID namespace. 0 if it is not known any more: it is long dead.
    pub pid: i32,
    /// Its thread id, as above.
    pub tid: i32,
    /// Zero.
    pub reserved1: u32,
    /// Its PID namespace's inode number, 0 if unknown.
    pub pid_namespace: u64,
    /// Its start time in clock ticks since boot, 0 if unknown.
    pub start_time: u64,
    /// Its name, NUL-terminated; empty for the dead, and for those of another PID namespace.
    pub name: [c_char; 16],
}

const _: () = assert!(size_of::<interproc_who_t>() == 48);

impl From<Option<Who>> for interproc_who_t {
    fn from(who: Option<Who>) -> Self {
        let mut name = [0; 16];
        let text = who.as_ref().and_then(Who::name).unwrap_or_default();
        name.iter_mut().zip(text.bytes().take(15)).for_each(|(to, from)| *to = from as c_char);
        interproc_who_t {
            found: who.is_some(),
            alive: who.is_some_and(|who| who.alive),
            state: who.and_then(|who| who.state).map_or(0, |letter| letter as c_char),
            reserved: 0,
            pid: who.map_or(0, |who| who.pid as i32),
            tid: who.map_or(0, |who| who.tid as i32),
            reserved1: 0,
            pid_namespace: who.map_or(0, |who| who.pid_namespace),
            start_time: who.map_or(0, |who| who.start_time),
            name,
        }
    }
}

/// The body of every `interproc_<type>_holder`.
///
/// # Safety
/// `holder` is NULL or writable.
pub(super) unsafe fn holder(
    holder: *mut interproc_who_t,
    look: impl FnOnce() -> Result<Option<Who>>,
) -> c_int {
    // SAFETY: by the contract.
    unsafe { answer(holder, "holder", || look().map(interproc_who_t::from)) }
}

/// The body of every `interproc_<type>_holders`.
///
/// # Safety
/// `holders` is writable for `room`, or NULL with no room; `found` is NULL or writable.
pub(super) unsafe fn holders(
    holders: *mut interproc_who_t,
    room: usize,
    found: *mut usize,
    look: impl FnOnce() -> Result<Vec<Who>>,
) -> c_int {
    call(|| {
        // SAFETY: by the contract.
        let found = unsafe { output(found, "found") }?;
        if holders.is_null() && room != 0 {
            return Err(invalid("holders is NULL"));
        }
        let all = look()?;
        for (index, &who) in all.iter().take(room).enumerate() {
            // SAFETY: within the room.
            unsafe { holders.add(index).write(Some(who).into()) };
        }
        found.set(all.len());
        Ok(())
    })
}

/// An object that need only be looked at: the caller need not be a member of its segment.
///
/// # Safety
/// An address in an attached segment is that of a `T`, which has only atomics inside.
pub(super) unsafe fn looked_up<'a, T>(address: *const T) -> Result<&'a T> {
    // NULL lies in no segment.
    view::who(address.cast(), None)?;
    if !address.is_aligned() {
        return Err(invalid("the object is misaligned"));
    }
    // SAFETY: by the contract, mapped by the look-up, aligned by the check.
    Ok(unsafe { &*address })
}

/// The body of every function that gives a number of waiters.
///
/// # Safety
/// `waiters` is NULL or writable.
pub(super) unsafe fn waiters(waiters: *mut u32, look: impl FnOnce() -> Result<u32>) -> c_int {
    // SAFETY: by the contract.
    unsafe { answer(waiters, "waiters", look) }
}

/// The body of the queues' `_waiters`: for a message, and for room.
///
/// # Safety
/// NULL or writable.
pub(super) unsafe fn both_waiters(
    consumers: *mut u32,
    producers: *mut u32,
    look: impl FnOnce() -> Result<(u32, u32)>,
) -> c_int {
    // SAFETY: by the contract.
    call(|| unsafe {
        let (consumers, producers) = (output(consumers, "consumers")?, output(producers, "producers")?);
        let (for_a_message, for_room) = look()?;
        consumers.set(for_a_message);
        producers.set(for_room);
        Ok(())
    })
}

/// How many living threads are asleep for anything that lies in these `size` bytes: for one lock, or for all in a
/// structure of yours. A snapshot; threads that still spin are not counted. A waiter on a condition that is signalled
/// counts until it can have the mutex. The caller need not be a member of the segment.
///
///     uint32_t asleep;
///     rc = interproc_waiters(shop, sizeof *shop, &asleep);
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waiters(address: *const c_void, size: usize, waiters: *mut u32) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        self::waiters(waiters, || match address.is_null() {
            true => Err(invalid("address is NULL")),
            false => view::waiters(address.cast(), size),
        })
    }
}
