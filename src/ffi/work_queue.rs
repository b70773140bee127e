//! The work queue.

use super::arguments::{answer, bytes, input, output, tell, text};
use super::error::report;
use super::handle::{Marked, ask, find, found_in};
use super::invalid;
use super::segment::interproc_segment_t;
use super::time::{timed, until};
use crate::error::{ErrorKind, Result};
use crate::member::{self, Member};
use crate::queue::work::{DeadLetter, Geometry, Job, Leased, RawWorkQueue, WorkOrder};
use crate::time::Wait;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::copy_nonoverlapping;
use libc::timespec;

/// Jobs that are delivered at least once, between any processes: a worker *takes* a job, and the queue keeps it until the
/// worker says that it is *done*. A worker that dies gives its job back at once, counted.
///
/// This is a local handle from interproc_segment_work_queue(); the queue itself lies in the segment. The handle need not
/// be freed, may be copied, and may be used by any thread and by forked children while the segment is open.
///
///     interproc_work_queue_options_t options = {0};
///     options.capacity = 100;
///     options.longest = 256;
///     options.max_deliveries = 3;
///     interproc_work_queue_t jobs;
///     int rc = interproc_segment_work_queue(&segment, "jobs", &options, &jobs);
///     if (rc == 0)
///         rc = interproc_work_queue_put(&jobs, "resize cat.png", 14);
///
/// and in a worker:
///
///     char what[256];
///     interproc_job_t job;
///     while ((rc = interproc_work_queue_take(&jobs, what, sizeof what, &job)) == 0) {
///         if (work_on(what, job.len))
///             interproc_work_queue_done(&jobs, &job);
///         else
///             interproc_work_queue_fail(&jobs, &job, "it would not open");
///     }
///
/// **At least once**: a worker may die between its work and its `done`, so the same job may be worked on twice. Name the
/// effect by the job's `id`, which no other job ever has, and a second time does nothing. A job that was delivered
/// `max_deliveries` times and not done is a *dead letter*: it stays until it is retried or discarded.
///
/// A job that is taken belongs to the *thread* that took it: from another thread, or a child, EPERM. A thread that ends
/// gives its jobs back. In a queue whose leases end, a job that is not done in time goes back, too: `done` is ESTALE then.
///
/// A death never blocks the others; sleepers are told at once, not by polling. Each call takes the queue's lock: a process
/// that is *stopped* in one delays the others, a try for at most 50 ms (then EAGAIN). EBADMSG from any function: somebody
/// wrote over the queue.
#[repr(C)]
pub struct interproc_work_queue_t {
    /// Private. Zero when it is no queue.
    pub private_: [u64; 8],
}

// SAFETY: an array of words.
unsafe impl Marked for interproc_work_queue_t {
    type Object = RawWorkQueue;
    const MARK: [u8; 8] = *b"ipwork\0\0";
    const NAME: &'static str = "queue";
}

/// The oldest job comes next: `order` of interproc_work_queue_options_t.
pub const INTERPROC_WORK_FIFO: u32 = 0;
/// The youngest job comes next.
pub const INTERPROC_WORK_LIFO: u32 = 1;
/// The job with the lowest priority number comes next; among equals the oldest.
pub const INTERPROC_WORK_PRIORITY: u32 = 2;

/// What a work queue is made with. Zero is a good value for all but the first two.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct interproc_work_queue_options_t {
    /// Jobs that it has room for, 1 to 2^24. Dead letters take room, too.
    pub capacity: usize,
    /// Bytes of the longest job, at least 1.
    pub longest: usize,
    /// 0 for bytes; for jobs of one type its id: see interproc_segment_queue().
    pub type_id: u64,
    /// How long a job may be worked on, in ns (rounded up to ms, at most 49 days); 0: as long as its worker lives.
    pub lease_ns: u64,
    /// `INTERPROC_WORK_FIFO`, `INTERPROC_WORK_LIFO` or `INTERPROC_WORK_PRIORITY`.
    pub order: u32,
    /// A job that was delivered so often and not done is a dead letter: at most 4095; 0: never.
    pub max_deliveries: u32,
    /// Zero.
    pub reserved: [u64; 3],
}

/// A job in the calling thread's hands.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct interproc_job_t {
    /// Its number: the same at each delivery, and no other job of this queue ever has it.
    pub id: u64,
    /// Its bytes.
    pub len: usize,
    /// How often it was delivered, this time included.
    pub deliveries: u32,
    /// Private.
    pub private_index: u32,
    /// Private.
    pub private_owner: u64,
}

/// What a work queue has in it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct interproc_work_queue_info_t {
    /// Jobs that it has room for.
    pub capacity: usize,
    /// Bytes of the longest job.
    pub longest: usize,
    /// Jobs that wait to be taken.
    pub ready: usize,
    /// Jobs whose time has not come.
    pub delayed: usize,
    /// Jobs in workers' hands.
    pub leased: usize,
    /// Dead letters.
    pub dead: usize,
    /// Jobs that are not done: ready, delayed or leased.
    pub unfinished: usize,
    /// Whether it is closed.
    pub is_closed: bool,
}

/// A job that was delivered as often as its queue allows, and never done.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct interproc_dead_letter_t {
    /// Its number.
    pub id: u64,
    /// Its bytes.
    pub len: usize,
    /// How often it was delivered.
    pub deliveries: u32,
    /// Private.
    pub private_index: u32,
    /// Why it failed last, as far as that was told.
    pub reason: [c_char; 72],
}

fn me<'a>(queue: &RawWorkQueue) -> Result<&'a Member> {
    member::current(queue.place().address())
}

impl interproc_job_t {
    fn of(leased: &Leased) -> Self {
        let (private_index, private_owner) = leased.parts();
        interproc_job_t {
            id: leased.id(),
            len: leased.len(),
            deliveries: leased.deliveries(),
            private_index,
            private_owner,
        }
    }

    fn leased(&self) -> Leased {
        Leased::of(self.id, self.len, self.deliveries, self.private_index, self.private_owner)
    }
}

/// Finds the work queue `name` of these options, or makes it. A Rust program reaches the same one by
/// `Segment::byte_work_queue`, and by `Segment::work_queue` with the id of its type.
///
/// @return As interproc_segment_object(); EEXIST also for other options; EINVAL also for impossible ones.
///
/// Safe against death.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_work_queue(
    segment: *const interproc_segment_t,
    name: *const c_char,
    options: *const interproc_work_queue_options_t,
    queue: *mut interproc_work_queue_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        answer(queue, "queue", || {
            let (type_id, geometry) = geometry(options)?;
            found_in(segment, |s| s.raw_work_queue(text(name, "name")?, type_id, geometry))
        })
    }
}

/// # Safety
/// NULL, or options.
pub(super) unsafe fn geometry(options: *const interproc_work_queue_options_t) -> Result<(u64, Geometry)> {
    // SAFETY: by the contract.
    let options = unsafe { input(options, "options") }?;
    let order = match options.order {
        INTERPROC_WORK_FIFO => WorkOrder::Fifo,
        INTERPROC_WORK_LIFO => WorkOrder::Lifo,
        INTERPROC_WORK_PRIORITY => WorkOrder::Priority,
        _ => return Err(invalid("there is no such order")),
    };
    if options.reserved != [0; 3] {
        return Err(invalid("a reserved field is not zero"));
    }
    // What is too large is impossible, and refused as that.
    let geometry = Geometry {
        capacity: u32::try_from(options.capacity).unwrap_or(0),
        longest: u32::try_from(options.longest).unwrap_or(0),
        order,
        max_deliveries: u16::try_from(options.max_deliveries).unwrap_or(u16::MAX),
        lease_ms: u32::try_from(options.lease_ns.div_ceil(1_000_000)).unwrap_or(u32::MAX),
    };
    Ok((options.type_id, geometry))
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn put(
    queue: *const interproc_work_queue_t,
    job: *const c_void,
    len: usize,
    how: Job,
    wait: Wait,
    id: *mut u64,
) -> c_int {
    // SAFETY: by the contract; the node has room for the job.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let job = bytes(job, len, "job")?;
        let number = queue
            .put_with(me(queue)?, len, how, wait, |room| copy_nonoverlapping(job.as_ptr(), room, len))?;
        tell(id, number);
        Ok(())
    }))
}

/// Puts a job of `len` bytes, waiting for room. `job` may be NULL if `len` is 0.
///
/// @return 0; EMSGSIZE: longer than the queue's jobs may be; EPIPE: the queue is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_put(
    queue: *const interproc_work_queue_t,
    job: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { put(queue, job, len, Job::default(), Wait::ForEver, core::ptr::null_mut()) }
}

/// As interproc_work_queue_put(), but never waits for room: EAGAIN when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_tryput(
    queue: *const interproc_work_queue_t,
    job: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { put(queue, job, len, Job::default(), Wait::Never, core::ptr::null_mut()) }
}

/// As interproc_work_queue_put(), with all that can be said of a job: its `priority` (the lowest comes first, in a queue by
/// priority; else it says nothing); the time before which it is not delivered, or NULL; until when to wait for room: then
/// ETIMEDOUT. `id` may be NULL; it becomes the job's number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_put_until(
    queue: *const interproc_work_queue_t,
    job: *const c_void,
    len: usize,
    priority: i64,
    not_before: *const timespec,
    abstime: *const timespec,
    id: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    let not_before = match unsafe { until(not_before) } {
        Ok(wait) => wait.deadline(),
        Err(error) => return super::error::fail(error),
    };
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| put(queue, job, len, Job { priority, not_before }, wait, id)) }
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn take(
    queue: *const interproc_work_queue_t,
    wait: Wait,
    buffer: *mut c_void,
    size: usize,
    job: *mut interproc_job_t,
) -> c_int {
    // SAFETY: by the contract; what is copied is not longer than the longest job.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let job = output(job, "job")?;
        if size < queue.place().geometry().longest as usize {
            return Err(ErrorKind::TooLarge.into());
        }
        if buffer.is_null() {
            return Err(invalid("buffer is NULL"));
        }
        let me = me(queue)?;
        loop {
            let leased = queue.take(me, wait)?;
            queue.read(&leased, |from, len| copy_nonoverlapping(from, buffer.cast(), len));
            if queue.holds(me, &leased) {
                job.set(interproc_job_t::of(&leased));
                return Ok(());
            }
            // A lease that is over already: what was copied may be another job's.
            match wait {
                Wait::Never => return Err(ErrorKind::Empty.into()),
                Wait::Until(deadline) if deadline.has_passed() => return Err(ErrorKind::TimedOut.into()),
                _ => {}
            }
        }
    }))
}

/// Takes the next job, waiting for one, and copies it into `buffer`, which has `size` bytes. It stays in the queue, in the
/// calling thread's hands, until interproc_work_queue_done() or interproc_work_queue_fail().
///
/// @return 0; EMSGSIZE: the buffer is smaller than the queue's longest job; EPIPE: closed, and all jobs are done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_take(
    queue: *const interproc_work_queue_t,
    buffer: *mut c_void,
    size: usize,
    job: *mut interproc_job_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { take(queue, Wait::ForEver, buffer, size, job) }
}

/// As interproc_work_queue_take(), but never waits for a job: EAGAIN when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_trytake(
    queue: *const interproc_work_queue_t,
    buffer: *mut c_void,
    size: usize,
    job: *mut interproc_job_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { take(queue, Wait::Never, buffer, size, job) }
}

/// As interproc_work_queue_take(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_timedtake(
    queue: *const interproc_work_queue_t,
    abstime: *const timespec,
    buffer: *mut c_void,
    size: usize,
    job: *mut interproc_job_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| take(queue, wait, buffer, size, job)) }
}

/// The job is done: its room is free, and nobody gets it again.
///
/// @return 0; ESTALE: the caller does not have it any more, as its lease is over or it was done; EPERM: another thread took
/// it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_done(
    queue: *const interproc_work_queue_t,
    job: *const interproc_job_t,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| {
        // SAFETY: by C's contract.
        let job = unsafe { input(job, "job") }?;
        queue.done(me(queue)?, job.leased())
    }))
}

/// The job goes back, and counts as delivered: another worker gets it, or it is a dead letter. `reason` is kept for that,
/// the first 64 bytes, and no more than is UTF-8; it may be NULL.
///
/// @return As interproc_work_queue_done().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_fail(
    queue: *const interproc_work_queue_t,
    job: *const interproc_job_t,
    reason: *const c_char,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| {
        // SAFETY: by C's contract.
        let job = unsafe { input(job, "job") }?;
        // SAFETY: by C's contract.
        let reason = if reason.is_null() { c"" } else { unsafe { CStr::from_ptr(reason) } };
        let reason = match reason.to_str() {
            Ok(text) => text,
            Err(wrong) => core::str::from_utf8(&reason.to_bytes()[..wrong.valid_up_to()]).unwrap_or_default(),
        };
        queue.give_back(me(queue)?, job.leased(), reason)
    }))
}

/// Waits until all jobs are done, or dead letters, at most until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_join_until(
    queue: *const interproc_work_queue_t,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| report(find(queue).and_then(|queue| queue.join(me(queue)?, wait)))) }
}

/// Closes the queue itself, for everybody and for good (not just this handle, which needs no closing): no more jobs are
/// put. What is there can be taken, also what comes back; when all is done, takes return EPIPE. Closing again is no error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_close(queue: *const interproc_work_queue_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| queue.close(me(queue)?)))
}

/// What is in it: a snapshot.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_info(
    queue: *const interproc_work_queue_t,
    info: *mut interproc_work_queue_info_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        ask(queue, info, |queue| {
            let ([ready, delayed, leased, dead], geometry) = (queue.counts(), queue.place().geometry());
            interproc_work_queue_info_t {
                capacity: geometry.capacity as usize,
                longest: geometry.longest as usize,
                ready,
                delayed,
                leased,
                dead,
                unfinished: ready + delayed + leased,
                is_closed: queue.is_closed(),
            }
        })
    }
}

/// The dead letters: at most `room` of them into `letters`, which may be NULL when `room` is 0; `*found` becomes the number
/// that there are. In no certain order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_dead_letters(
    queue: *const interproc_work_queue_t,
    letters: *mut interproc_dead_letter_t,
    room: usize,
    found: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let found = output(found, "found")?;
        if room > 0 {
            output(letters, "letters")?;
        }
        let mut count = 0;
        queue.dead_letters(me(queue)?, |letter, _, reason| {
            if count < room {
                let mut out = interproc_dead_letter_t {
                    id: letter.id,
                    len: letter.len,
                    deliveries: letter.deliveries,
                    private_index: letter.index(),
                    reason: [0; 72],
                };
                for (to, &from) in out.reason[..71].iter_mut().zip(reason.as_bytes()) {
                    *to = from as c_char;
                }
                letters.add(count).write(out);
            }
            count += 1;
        })?;
        found.set(count);
        Ok(())
    }))
}

/// Copies a dead letter into `buffer`, which has `size` bytes.
///
/// @return 0; EMSGSIZE: it is longer; ESTALE: there is no such dead letter any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_read_dead_letter(
    queue: *const interproc_work_queue_t,
    letter: *const interproc_dead_letter_t,
    buffer: *mut c_void,
    size: usize,
) -> c_int {
    // SAFETY: by C's contract; what is copied is not longer than the buffer.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let letter = letter_of(letter)?;
        if buffer.is_null() && size != 0 {
            return Err(invalid("buffer is NULL"));
        }
        let copy = |from: *const u8, len: usize| {
            if len > size {
                return Err(ErrorKind::TooLarge.into());
            }
            copy_nonoverlapping(from, buffer.cast(), len);
            Ok(())
        };
        match queue.read_dead_letter(me(queue)?, &letter, copy)? {
            Some(copied) => copied,
            None => Err(gone()),
        }
    }))
}

/// Makes a dead letter a job again, as if it had never been delivered.
///
/// @return 0; ESTALE: there is no such dead letter any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_retry(
    queue: *const interproc_work_queue_t,
    letter: *const interproc_dead_letter_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { end(queue, letter, true) }
}

/// Drops a dead letter: its room is free.
///
/// @return As interproc_work_queue_retry().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_work_queue_discard(
    queue: *const interproc_work_queue_t,
    letter: *const interproc_dead_letter_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { end(queue, letter, false) }
}

/// # Safety
/// By C's contract of the functions above.
unsafe fn end(
    queue: *const interproc_work_queue_t,
    letter: *const interproc_dead_letter_t,
    again: bool,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(queue) }.and_then(|queue| {
        // SAFETY: by the contract.
        let letter = unsafe { letter_of(letter) }?;
        if queue.end_dead_letter(me(queue)?, &letter, again)? { Ok(()) } else { Err(gone()) }
    }))
}

/// # Safety
/// NULL, or a letter.
unsafe fn letter_of(letter: *const interproc_dead_letter_t) -> Result<DeadLetter> {
    // SAFETY: by the contract.
    let letter = unsafe { input(letter, "letter") }?;
    Ok(DeadLetter::of(letter.id, letter.deliveries, letter.len, letter.private_index))
}

#[cold]
fn gone() -> crate::error::Error {
    ErrorKind::Stale.into()
}
