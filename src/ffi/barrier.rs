//! The barrier.

use super::arguments::{output, tell};
use super::error::report;
use super::handle::{Marked, find};
use super::invalid;
use super::time::{timed, until};
use super::who::{self, interproc_who_t};
use crate::error::Result;
use crate::fallible;
use crate::member::{self, Member, view};
use crate::sync::{BarrierTurn, RawBarrier};
use crate::time::{Deadline, Wait};
use core::ffi::c_int;
use libc::timespec;

/// A place where a number of threads of any processes wait for each other, round after round. Nobody waits for the
/// dead.
///
/// This is a local handle from interproc_segment_barrier(); the barrier itself lies in the segment. The handle need not
/// be freed, may be copied, and may be used by any thread and by forked children while the segment is open.
///
///     interproc_barrier_t steps;
///     bool leader;
///     int rc = interproc_segment_barrier(&segment, "steps", 4, &steps);
///     while (rc == 0 && compute())
///         rc = interproc_barrier_wait(&steps, &leader);
///     if (rc == ECANCELED)
///         give_up();                          // somebody died, ran out of time, or aborted
///     interproc_barrier_leave(&steps);        // a good end is no death
///
/// A thread takes a seat when it first waits, and keeps it. When a party dies (a thread or its process, by any cause,
/// while it waits, or computes between two rounds), the barrier is broken at once: all that wait, and all that come,
/// get ECANCELED, until somebody calls interproc_barrier_reset(). The end of a thread counts as a death: a thread that
/// is done calls interproc_barrier_leave() first. If more threads than parties come, each takes a seat that is idle in
/// this round, or waits for the next. Up to 120 parties are watched without any polling; with more, a death is found
/// within 50 ms.
///
/// A party that looks late, because its process was stopped, still gets the result of its own round, however many
/// rounds later. (After more than four resets the result is no longer known, and it gets ECANCELED.)
///
/// What any party did before its wait happens before what any of them does after it.
#[repr(C)]
pub struct interproc_barrier_t {
    /// Private. Zero when it is no barrier.
    pub private_: [u64; 8],
}

/// The state of one thread's wait in slices: see interproc_barrier_wait_slice(). All zero before the first slice.
#[repr(C)]
pub struct interproc_barrier_turn_t {
    /// Private.
    pub private_: [u64; 2],
}

/// The state of a barrier: a snapshot.
#[repr(C)]
pub struct interproc_barrier_info_t {
    /// How many must come.
    pub parties: u32,
    /// How many have come and wait; 0 while it is broken.
    pub n_waiting: u32,
    /// How many living threads are asleep for it; threads that still spin are not counted.
    pub waiters: u32,
    /// Whether the next one to come would get ECANCELED.
    pub is_broken: bool,
    /// Zero.
    pub reserved: [u8; 3],
    /// Zero.
    pub reserved1: [u32; 4],
}

const _: () = assert!(size_of::<interproc_barrier_info_t>() == 32);

const _: () = {
    assert!(size_of::<interproc_barrier_turn_t>() == size_of::<BarrierTurn>());
    assert!(align_of::<interproc_barrier_turn_t>() == align_of::<BarrierTurn>());
};

// SAFETY: an array of words.
unsafe impl Marked for interproc_barrier_t {
    type Object = RawBarrier;
    const MARK: [u8; 8] = *b"ipbarrie";
    const NAME: &'static str = "barrier";
}

/// The barrier behind a handle, and the calling thread's member.
///
/// # Safety
/// As [`find`].
unsafe fn enter<'a>(barrier: *const interproc_barrier_t) -> Result<(&'a RawBarrier, &'a Member)> {
    // SAFETY: by the contract.
    let raw = unsafe { find(barrier) }?;
    Ok((raw, member::current(raw.cells().address())?))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn wait(barrier: *const interproc_barrier_t, wait: Wait, leader: *mut bool) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { enter(barrier) }.and_then(|(raw, me)| {
        let led = raw.wait(me, wait.deadline())?;
        // SAFETY: by the contract.
        unsafe { tell(leader, led) };
        Ok(())
    }))
}

/// Waits until all parties have come.
///
/// `leader` may be NULL. It becomes true in one of the parties of each round, otherwise false.
///
/// @return 0: all have come.
/// ECANCELED: the barrier is broken: a party died, ran out of time, or somebody aborted or reset it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_barrier_wait(
    barrier: *const interproc_barrier_t,
    leader: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { wait(barrier, Wait::ForEver, leader) }
}

/// As interproc_barrier_wait(), until `abstime`. Then ETIMEDOUT, and the barrier is broken for all; ETIMEDOUT goes to
/// the thread that ran out of time, ECANCELED to the others. With a time in the past it still passes if it is the last
/// to come.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_barrier_timedwait(
    barrier: *const interproc_barrier_t,
    abstime: *const timespec,
    leader: *mut bool,
) -> c_int {
    // SAFETY: by C's contract abstime is NULL or a timespec.
    unsafe { timed(abstime, |until| wait(barrier, until, leader)) }
}

/// As interproc_barrier_timedwait(), in slices, for callers that look at something else now and then, as a language
/// binding at its signals: when `abstime` passes, nothing is broken. The caller has come, and goes on by another call
/// with the same `turn`, which begins all-zero.
///
///     interproc_barrier_turn_t turn = {{0}};
///     struct timespec slice;
///     do {
///         if (interrupted()) {
///             interproc_barrier_abort(&steps);           // the others count on us
///             break;
///         }
///         interproc_deadline_after(50000000, &slice);
///         rc = interproc_barrier_wait_slice(&steps, &turn, &slice, &leader);
///     } while (rc == ETIMEDOUT);
///
/// @return As interproc_barrier_wait(), which ends the turn, all-zero again. ETIMEDOUT: not yet all have come: call it
/// again with the same turn, or abort.
///
/// A turn is one thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_barrier_wait_slice(
    barrier: *const interproc_barrier_t,
    turn: *mut interproc_barrier_turn_t,
    abstime: *const timespec,
    leader: *mut bool,
) -> c_int {
    // SAFETY: by C's contract: a barrier's handle; turn is NULL or a turn, which is two words; abstime is NULL or a timespec.
    report(unsafe { enter(barrier) }.and_then(|(raw, me)| {
        // SAFETY: as above.
        let until = match unsafe { until(abstime) }? {
            Wait::Until(deadline) => deadline,
            _ => Deadline::from_monotonic_ns(u64::MAX), // the end of time
        };
        // SAFETY: as above.
        let turn = unsafe { turn.cast::<BarrierTurn>().as_mut() }.ok_or_else(|| invalid("turn is NULL"))?;
        let led = raw.wait_slice(me, turn, until)?;
        // SAFETY: by C's contract.
        unsafe { tell(leader, led) };
        Ok(())
    }))
}

/// Breaks the barrier: all that wait, and all that come, get ECANCELED until a reset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_barrier_abort(barrier: *const interproc_barrier_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { enter(barrier) }.map(|(raw, me)| raw.abort(me)))
}

/// Starts a new round in any state: waiters get ECANCELED, and the seats of the dead are free again. Living parties
/// keep theirs. Releasing the waiters and opening the new round is one step: a party that gets ECANCELED from the reset
/// may come again at once. (One that gets it from an abort, a time-out or a death has to wait for the reset first.)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_barrier_reset(barrier: *const interproc_barrier_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { enter(barrier) }.map(|(raw, me)| raw.reset(me)))
}

/// Gives up the calling thread's seat, if it has one: its end no longer breaks the barrier, and another thread may take
/// its place. The barrier still waits for as many parties as before: if nobody takes the place, call
/// interproc_barrier_abort().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_barrier_leave(barrier: *const interproc_barrier_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { enter(barrier) }.map(|(raw, me)| raw.leave(me)))
}

/// How many must come, and how many have: a snapshot.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_barrier_info(
    barrier: *const interproc_barrier_t,
    info: *mut interproc_barrier_info_t,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { enter(barrier) }.and_then(|(raw, me)| {
        // SAFETY: by C's contract.
        let info = unsafe { output(info, "info") }?;
        info.set(interproc_barrier_info_t {
            parties: raw.parties(),
            n_waiting: raw.n_waiting(me),
            waiters: view::waiters(raw.cells().address(), raw.cells().size())?,
            is_broken: raw.is_broken(me),
            reserved: [0; 3],
            reserved1: [0; 4],
        });
        Ok(())
    }))
}

/// The parties that have a seat, dead or alive, and whether each has come to this round: a snapshot. Fills in at most
/// `room` of them; `*found` becomes the number that there are. `has_come` may be NULL, and with no room `seats`, too.
/// The caller need not be a member of the segment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_barrier_seats(
    barrier: *const interproc_barrier_t,
    seats: *mut interproc_who_t,
    has_come: *mut bool,
    room: usize,
    found: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holders(seats, room, found, || {
            let raw = find(barrier)?;
            view::look(raw.cells().address(), |domain| {
                let seats = (0..raw.parties()).filter_map(|index| raw.seat(index)).enumerate();
                let seat = |(index, (id, come))| {
                    if index < room && !has_come.is_null() {
                        has_come.add(index).write(come);
                    }
                    domain.who(id)
                };
                fallible::collected(seats.map(seat))
            })?
        })
    }
}
