//! The queues, the work queue and the mutex by their C functions: the operations and the model are those of the Rust forms.

use crate::bytes::{self, Text};
use crate::drive::{Answer, Form, Modelled, NOTHING, pick};
use crate::locks::{self, OfMutex};
use crate::queue;
use crate::work;
use interproc::{ErrorKind, Segment};
use proptest::prelude::*;
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::AsRawFd;
use std::ptr::{NonNull, null_mut};

/// Room for any handle of the header.
type Handle = [u64; 8];

/// A deadline that has passed.
const PAST: &libc::timespec = &libc::timespec { tv_sec: 0, tv_nsec: 0 };

type On = unsafe extern "C" fn(*const Handle) -> c_int;
type Of<T> = unsafe extern "C" fn(*const Handle, *mut T) -> c_int;
/// To end what is reserved or received.
type End = unsafe extern "C" fn(*const Handle, *const c_void) -> c_int;

macro_rules! functions {
    ($($name:ident($($argument:ty),*);)*) => {
        unsafe extern "C" { $(fn $name($(_: $argument),*) -> c_int;)* }
    };
}

functions! {
    interproc_segment_attach_fd(*mut Handle, c_int);
    interproc_segment_close(*mut Handle);
    interproc_segment_queue(*const Handle, *const c_char, usize, usize, *mut Handle);
    interproc_segment_byte_queue(*const Handle, *const c_char, usize, usize, *mut Handle);
    interproc_segment_object(*const Handle, *const c_char, usize, usize, *mut *mut c_void);

    interproc_queue_trypush(*const Handle, *const u64);
    interproc_queue_timedpush(*const Handle, *const u64, *const libc::timespec);
    interproc_queue_push_batch_until(*const Handle, *const u64, usize, *const libc::timespec, *mut usize);
    interproc_queue_force_push(*const Handle, *const u64, *mut u64, *mut bool);
    interproc_queue_reserve_until(*const Handle, *const libc::timespec, *mut *mut c_void);
    interproc_queue_commit(*const Handle, *const c_void);
    interproc_queue_abort(*const Handle, *const c_void);
    interproc_queue_trypop(*const Handle, *mut u64, *mut bool);
    interproc_queue_timedpop(*const Handle, *const libc::timespec, *mut u64, *mut bool);
    interproc_queue_pop_batch_until(*const Handle, *const libc::timespec, *mut u64, usize, *mut usize, *mut usize);
    interproc_queue_borrow_until(*const Handle, *const libc::timespec, *mut *mut c_void, *mut bool);
    interproc_queue_release(*const Handle, *const c_void);
    interproc_queue_put_back(*const Handle, *const c_void);
    interproc_queue_info(*const Handle, *mut Info);
    interproc_queue_close(*const Handle);

    interproc_byte_queue_trypush(*const Handle, *const u8, usize);
    interproc_byte_queue_timedpush(*const Handle, *const u8, usize, *const libc::timespec);
    interproc_byte_queue_push_vectored_until(*const Handle, *const libc::iovec, usize, *const libc::timespec);
    interproc_byte_queue_reserve_until(*const Handle, usize, *const libc::timespec, *mut *mut c_void);
    interproc_byte_queue_commit(*const Handle, *const c_void, usize);
    interproc_byte_queue_abort(*const Handle, *const c_void);
    interproc_byte_queue_trypop(*const Handle, *mut u8, usize, *mut usize, *mut bool);
    interproc_byte_queue_timedpop(*const Handle, *const libc::timespec, *mut u8, usize, *mut usize, *mut bool);
    interproc_byte_queue_borrow_until(*const Handle, *const libc::timespec, *mut *mut c_void, *mut usize, *mut bool);
    interproc_byte_queue_release(*const Handle, *const c_void);
    interproc_byte_queue_put_back(*const Handle, *const c_void);
    interproc_byte_queue_len(*const Handle, *mut usize);
    interproc_byte_queue_info(*const Handle, *mut Info);
    interproc_byte_queue_close(*const Handle);

    interproc_segment_work_queue(*const Handle, *const c_char, *const WorkOptions, *mut Handle);
    interproc_work_queue_put_until(*const Handle, *const i64, usize, i64, *const libc::timespec, *const libc::timespec, *mut u64);
    interproc_work_queue_trytake(*const Handle, *mut i64, usize, *mut Job);
    interproc_work_queue_timedtake(*const Handle, *const libc::timespec, *mut i64, usize, *mut Job);
    interproc_work_queue_done(*const Handle, *const Job);
    interproc_work_queue_fail(*const Handle, *const Job, *const c_char);
    interproc_work_queue_join_until(*const Handle, *const libc::timespec);
    interproc_work_queue_info(*const Handle, *mut WorkInfo);
    interproc_work_queue_dead_letters(*const Handle, *mut DeadLetter, usize, *mut usize);
    interproc_work_queue_retry(*const Handle, *const DeadLetter);
    interproc_work_queue_discard(*const Handle, *const DeadLetter);
    interproc_work_queue_close(*const Handle);

    interproc_mutex_trylock(*mut u64);
    interproc_mutex_timedlock(*mut u64, *const libc::timespec);
    interproc_mutex_unlock(*mut u64);
    interproc_mutex_consistent(*mut u64);
    interproc_cond_timedwait(*mut u64, *mut u64, *const libc::timespec);
    interproc_cond_signal(*mut u64);
    interproc_cond_broadcast(*mut u64);
}

/// `interproc_channel_info_t`.
#[repr(C)]
#[derive(Default)]
#[allow(dead_code, reason = "as C has it")]
struct Info {
    capacity: usize,
    used: usize,
    peak: usize,
    longest: usize,
    is_empty: bool,
    is_full: bool,
    is_closed: bool,
    reserved: [u64; 3],
}

/// `interproc_work_queue_options_t`.
#[repr(C)]
#[derive(Default)]
struct WorkOptions {
    capacity: usize,
    longest: usize,
    type_id: u64,
    lease_ns: u64,
    order: u32,
    max_deliveries: u32,
    reserved: [u64; 3],
}

/// `interproc_job_t`.
#[repr(C)]
#[derive(Default)]
struct Job {
    id: u64,
    len: usize,
    deliveries: u32,
    private_index: u32,
    private_owner: u64,
}

/// `interproc_work_queue_info_t`.
#[repr(C)]
#[derive(Default)]
#[allow(dead_code, reason = "as C has it")]
struct WorkInfo {
    capacity: usize,
    longest: usize,
    ready: usize,
    delayed: usize,
    leased: usize,
    dead: usize,
    unfinished: usize,
    is_closed: bool,
}

/// `interproc_dead_letter_t`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "as C has it")]
struct DeadLetter {
    id: u64,
    len: usize,
    deliveries: u32,
    private_index: u32,
    reason: [c_char; 72],
}

/// A segment of C's, and an object in it; what its user has in its hands is given back in the end.
struct Object {
    segment: Handle,
    object: Handle,
    reserved: Vec<(NonNull<c_void>, usize)>,
    held: Vec<(NonNull<c_void>, usize)>,
    abort: End,
    release: End,
}

impl Object {
    fn open(
        seg: &Segment,
        abort: End,
        release: End,
        find: impl FnOnce(*const Handle, *mut Handle) -> c_int,
    ) -> Self {
        let (mut segment, mut object) = ([0; 8], [0; 8]);
        // SAFETY: a handle's room, and a descriptor.
        done(unsafe { interproc_segment_attach_fd(&mut segment, seg.as_fd().as_raw_fd()) });
        done(find(&segment, &mut object));
        Object { segment, object, reserved: Vec::new(), held: Vec::new(), abort, release }
    }

    fn ask<T: Default>(&self, of: Of<T>) -> T {
        let mut value = T::default();
        // SAFETY: the object's handle, and room for the answer.
        done(unsafe { of(&self.object, &mut value) });
        value
    }

    fn on(&self, on: On) -> Answer {
        // SAFETY: the object's handle.
        told(unsafe { on(&self.object) }, Vec::new)
    }

    /// Ends one of what is reserved or held.
    fn end(&self, at: NonNull<c_void>, how: End) -> Answer {
        // SAFETY: what this object gave, once.
        told(unsafe { how(&self.object, at.as_ptr()) }, Vec::new)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        std::mem::take(&mut self.reserved).iter().for_each(|&(at, _)| _ = self.end(at, self.abort));
        std::mem::take(&mut self.held).iter().for_each(|&(at, _)| _ = self.end(at, self.release));
        // SAFETY: a handle of a segment.
        done(unsafe { interproc_segment_close(&mut self.segment) });
    }
}

#[track_caller]
fn done(errno: c_int) {
    assert_eq!(errno, 0, "errno");
}

/// What a try would have said: where C has no `try` form, it is a time limit in the past. (A call that may wait says that only its
/// caller can end the wait, a try need not.)
fn tried(errno: c_int) -> c_int {
    if matches!(errno, libc::ETIMEDOUT | libc::EDEADLK) { libc::EAGAIN } else { errno }
}

/// The answer, or the first kind with this errno value.
fn told(errno: c_int, answer: impl FnOnce() -> Vec<u64>) -> Answer {
    match ErrorKind::ALL.iter().find(|kind| kind.errno() == errno) {
        _ if errno == 0 => Ok(answer()),
        Some(&kind) => Err(kind),
        None => panic!("errno {errno} is none of ours"),
    }
}

pub struct Queue(Object);

impl Form for Queue {
    type Of = queue::InUse;

    fn ops() -> BoxedStrategy<queue::Op> {
        // It is a loop over what is there, in C as in Rust, but no function.
        queue::InUse::ops().prop_filter("a function", |op| !matches!(op, queue::Op::Drain)).boxed()
    }

    fn open(seg: &Segment, &capacity: &usize) -> Self {
        // SAFETY: a segment, a name and room for a handle.
        Queue(Object::open(seg, interproc_queue_abort, interproc_queue_release, |segment, queue| unsafe {
            interproc_segment_queue(segment, c"queue".as_ptr(), 8, capacity, queue)
        }))
    }

    fn apply(&mut self, op: &queue::Op) -> Answer {
        use queue::Op;
        let q: *const Handle = &self.0.object;
        let (mut at, mut value, mut count, mut again) = (null_mut(), 0, 0, false);
        // SAFETY: of each function: the object's handle, and room for what it gives. A cell that is reserved is written by
        // its owner, one that was received is read by its owner.
        unsafe {
            match *op {
                Op::TryPush(new) => told(interproc_queue_trypush(q, &new.into()), Vec::new),
                Op::PushNow(new) => told(interproc_queue_timedpush(q, &new.into(), PAST), Vec::new),
                Op::PushBatch(ref new) => {
                    let new: Vec<u64> = new.iter().map(|&new| new.into()).collect();
                    let errno =
                        interproc_queue_push_batch_until(q, new.as_ptr(), new.len(), PAST, &mut count);
                    told(tried(errno), || vec![count as u64])
                }
                Op::Force(new) => {
                    let errno = interproc_queue_force_push(q, &new.into(), &mut value, &mut again);
                    told(errno, || if again { vec![value] } else { vec![] })
                }
                Op::TryReserve | Op::ReserveNow => {
                    let errno = interproc_queue_reserve_until(q, PAST, &mut at);
                    let errno = if matches!(op, Op::TryReserve) { tried(errno) } else { errno };
                    self.0.reserved.extend(NonNull::new(at).map(|at| (at, 8)));
                    told(errno, Vec::new)
                }
                Op::Commit(n, _) | Op::Abort(n) => {
                    let Some(n) = pick(&self.0.reserved, n) else { return NOTHING };
                    let (at, _) = self.0.reserved.remove(n);
                    if let Op::Commit(_, value) = *op {
                        at.cast::<u64>().write(value.into());
                        return self.0.end(at, interproc_queue_commit);
                    }
                    self.0.end(at, interproc_queue_abort)
                }
                Op::TryPop => {
                    told(interproc_queue_trypop(q, &mut value, &mut again), || vec![value, again.into()])
                }
                Op::PopNow => told(interproc_queue_timedpop(q, PAST, &mut value, &mut again), || vec![value]),
                Op::PopBatch(most) => {
                    let mut into = vec![0; most.into()];
                    let (room, mut agains) = (into.as_mut_ptr(), 0);
                    let errno =
                        interproc_queue_pop_batch_until(q, PAST, room, most.into(), &mut count, &mut agains);
                    told(tried(errno), || [&into[..count], &[agains as u64]].concat())
                }
                Op::Drain => unreachable!("not asked for"),
                Op::TryReceive | Op::ReceiveNow => {
                    let errno = interproc_queue_borrow_until(q, PAST, &mut at, &mut again);
                    let errno = if matches!(op, Op::TryReceive) { tried(errno) } else { errno };
                    told(errno, || {
                        let at = NonNull::new(at).expect("a cell");
                        self.0.held.push((at, 8));
                        vec![at.cast::<u64>().read(), again.into()]
                    })
                }
                Op::Release(n) | Op::Take(n) | Op::PutBack(n) => {
                    let Some(n) = pick(&self.0.held, n) else { return NOTHING };
                    let (at, _) = self.0.held.remove(n);
                    let value = at.cast::<u64>().read();
                    match op {
                        Op::PutBack(_) => self.0.end(at, interproc_queue_put_back),
                        Op::Take(_) => self.0.end(at, interproc_queue_release).map(|_| vec![value]),
                        _ => self.0.end(at, interproc_queue_release),
                    }
                }
                Op::Look(which) => {
                    let info = self.0.ask(interproc_queue_info);
                    let [empty, full, closed] = [info.is_empty, info.is_full, info.is_closed].map(u64::from);
                    Ok(vec![[info.used as u64, empty, full, closed][which]])
                }
                Op::Peak => Ok(vec![self.0.ask(interproc_queue_info).peak as u64]),
                Op::Close => self.0.on(interproc_queue_close),
            }
        }
    }
}

pub struct ByteQueue(Object);

impl Form for ByteQueue {
    type Of = bytes::InUse;

    fn ops() -> BoxedStrategy<bytes::Op> {
        bytes::InUse::ops().prop_filter("a function", |op| !matches!(op, bytes::Op::Drain)).boxed()
    }

    fn open(seg: &Segment, &(granules, longest): &(usize, usize)) -> Self {
        let (capacity, longest) = (granules * bytes::GRANULE, longest * bytes::GRANULE);
        let (abort, release) = (interproc_byte_queue_abort as End, interproc_byte_queue_release as End);
        // SAFETY: a segment, a name and room for a handle.
        ByteQueue(Object::open(seg, abort, release, |segment, queue| unsafe {
            interproc_segment_byte_queue(segment, c"bytes".as_ptr(), capacity, longest, queue)
        }))
    }

    fn apply(&mut self, op: &bytes::Op) -> Answer {
        use bytes::{Op, read};
        let q: *const Handle = &self.0.object;
        let (mut at, mut len, mut again) = (null_mut(), 0, false);
        let text = |Text { len, byte }| vec![byte; len.into()];
        // SAFETY: as of the queue; the lengths are those of what they are given with.
        unsafe {
            match *op {
                Op::TryPush(new) => {
                    told(interproc_byte_queue_trypush(q, text(new).as_ptr(), new.len.into()), Vec::new)
                }
                Op::PushNow(new) => told(
                    interproc_byte_queue_timedpush(q, text(new).as_ptr(), new.len.into(), PAST),
                    Vec::new,
                ),
                Op::Vectored(new) => {
                    let whole = text(new);
                    let (a, b) = whole.split_at(whole.len() / 3);
                    let parts = [a, b].map(|part| libc::iovec {
                        iov_base: part.as_ptr().cast_mut().cast(),
                        iov_len: part.len(),
                    });
                    told(
                        tried(interproc_byte_queue_push_vectored_until(q, parts.as_ptr(), 2, PAST)),
                        Vec::new,
                    )
                }
                Op::TryReserve(len) | Op::ReserveNow(len) => {
                    let errno = interproc_byte_queue_reserve_until(q, len.into(), PAST, &mut at);
                    let errno = if matches!(op, Op::TryReserve(_)) { tried(errno) } else { errno };
                    self.0.reserved.extend(NonNull::new(at).map(|at| (at, len.into())));
                    told(errno, Vec::new)
                }
                Op::Commit(n, new) => {
                    let Some(n) = pick(&self.0.reserved, n) else { return NOTHING };
                    let (at, most) = self.0.reserved.remove(n);
                    let len = most.min(new.len.into());
                    at.cast::<u8>().write_bytes(new.byte, len);
                    told(interproc_byte_queue_commit(q, at.as_ptr(), len), Vec::new)
                }
                Op::Abort(n) => {
                    let Some(n) = pick(&self.0.reserved, n) else { return NOTHING };
                    let (at, _) = self.0.reserved.remove(n);
                    self.0.end(at, interproc_byte_queue_abort)
                }
                Op::TryPop | Op::PopNow | Op::TryPopInto(_) => {
                    let room = if let Op::TryPopInto(room) = *op { room.into() } else { 1024 };
                    let mut into = vec![0; room];
                    let errno = match op {
                        Op::PopNow => interproc_byte_queue_timedpop(
                            q,
                            PAST,
                            into.as_mut_ptr(),
                            room,
                            &mut len,
                            &mut again,
                        ),
                        _ => interproc_byte_queue_trypop(q, into.as_mut_ptr(), room, &mut len, &mut again),
                    };
                    told(errno, || read(&into[..len], again))
                }
                Op::Drain => unreachable!("not asked for"),
                Op::TryReceive | Op::ReceiveNow => {
                    let errno = interproc_byte_queue_borrow_until(q, PAST, &mut at, &mut len, &mut again);
                    let errno = if matches!(op, Op::TryReceive) { tried(errno) } else { errno };
                    told(errno, || {
                        let at = NonNull::new(at).expect("a message");
                        self.0.held.push((at, len));
                        read(std::slice::from_raw_parts(at.as_ptr().cast(), len), again)
                    })
                }
                Op::Release(n) | Op::PutBack(n) => {
                    let Some(n) = pick(&self.0.held, n) else { return NOTHING };
                    let (at, _) = self.0.held.remove(n);
                    let put_back = matches!(op, Op::PutBack(_));
                    self.0.end(
                        at,
                        if put_back { interproc_byte_queue_put_back } else { interproc_byte_queue_release },
                    )
                }
                Op::Look(which) => {
                    let info = self.0.ask(interproc_byte_queue_info);
                    let len = self.0.ask(interproc_byte_queue_len) as u64;
                    Ok(vec![[len, info.is_empty.into(), info.is_closed.into()][which]])
                }
                Op::Close => self.0.on(interproc_byte_queue_close),
            }
        }
    }
}

/// A mutex, the value that it guards and the condition variable, in one object of bytes.
pub struct Mutex {
    /// Keeps the segment open.
    _of: Object,
    mutex: *mut u64,
    locked: bool,
}

impl Mutex {
    fn value(&self) -> *mut u64 {
        // SAFETY: in the object.
        unsafe { self.mutex.add(2) }
    }
}

impl Drop for Mutex {
    fn drop(&mut self) {
        self.apply(&OfMutex::Unlock).expect("held");
    }
}

impl Form for Mutex {
    type Of = locks::MutexInUse;

    fn ops() -> BoxedStrategy<OfMutex> {
        // Who unlocks without having repaired ends the lock's use, as in POSIX.
        let repairing = |op| if let OfMutex::Lock(ask) = op { OfMutex::Lock(ask.repairing()) } else { op };
        let ops = locks::MutexInUse::ops().prop_filter("a function", |op| !matches!(op, OfMutex::IsLocked));
        ops.prop_map(repairing).boxed()
    }

    fn open(seg: &Segment, (): &()) -> Self {
        let mut mutex = null_mut();
        // SAFETY: a segment, a name and room for an address. Nothing is reserved or held.
        let of = Object::open(seg, interproc_queue_abort, interproc_queue_release, |segment, _| unsafe {
            interproc_segment_object(segment, c"mutex".as_ptr(), 40, 8, &mut mutex)
        });
        Mutex { _of: of, mutex: mutex.cast(), locked: false }
    }

    fn apply(&mut self, op: &OfMutex) -> Answer {
        let (mutex, value, changed) = (self.mutex, self.value(), self.mutex.wrapping_add(3));
        // SAFETY: the object's parts; the value is touched by the holder only.
        unsafe {
            match *op {
                OfMutex::Lock(ask) => {
                    let errno = match ask.waits {
                        true => interproc_mutex_timedlock(mutex, PAST),
                        false => interproc_mutex_trylock(mutex),
                    };
                    let died = errno == libc::EOWNERDEAD;
                    if died {
                        done(interproc_mutex_consistent(mutex));
                    }
                    self.locked |= errno == 0 || died;
                    told(if died { 0 } else { errno }, || vec![died.into(), value.read()])
                }
                OfMutex::Unlock if std::mem::take(&mut self.locked) => {
                    told(interproc_mutex_unlock(mutex), Vec::new)
                }
                OfMutex::Set(new) if self.locked => {
                    value.write(new);
                    NOTHING
                }
                OfMutex::Wait if self.locked => {
                    let errno = interproc_cond_timedwait(changed, mutex, PAST);
                    told(if errno == libc::ETIMEDOUT { 0 } else { errno }, || vec![value.read()])
                }
                OfMutex::Unlock | OfMutex::Set(_) | OfMutex::Wait => NOTHING,
                OfMutex::IsLocked => unreachable!("not asked for"),
                OfMutex::NotifyOne => told(interproc_cond_signal(changed), Vec::new),
                OfMutex::NotifyAll => told(interproc_cond_broadcast(changed), Vec::new),
            }
        }
    }
}

/// A work queue of bytes, in which each job is a number.
pub struct WorkQueue {
    object: Object,
    held: Vec<(Job, i64)>,
}

impl WorkQueue {
    fn letters(&self) -> Result<Vec<DeadLetter>, ErrorKind> {
        let none = DeadLetter { id: 0, len: 0, deliveries: 0, private_index: 0, reason: [0; 72] };
        let (mut letters, mut found) = ([none; 8], 0);
        // SAFETY: the handle, and room for so many.
        let errno = unsafe {
            interproc_work_queue_dead_letters(&self.object.object, letters.as_mut_ptr(), 8, &mut found)
        };
        told(errno, Vec::new)?;
        letters[..found].sort_by_key(|letter| letter.id);
        Ok(letters[..found].to_vec())
    }
}

impl Form for WorkQueue {
    type Of = work::InUse;

    fn ops() -> BoxedStrategy<work::Op> {
        work::InUse::ops()
    }

    fn open(seg: &Segment, &(capacity, order, most): &(usize, interproc::queue::WorkOrder, u16)) -> Self {
        let options = WorkOptions {
            capacity,
            longest: 8,
            order: order as u32,
            max_deliveries: most.into(),
            ..WorkOptions::default()
        };
        // Nothing is kept in the object's own lists.
        let (abort, release) = (interproc_queue_abort as End, interproc_queue_release as End);
        // SAFETY: a segment, a name, options and room for a handle.
        let object = Object::open(seg, abort, release, |segment, queue| unsafe {
            interproc_segment_work_queue(segment, c"jobs".as_ptr(), &options, queue)
        });
        WorkQueue { object, held: Vec::new() }
    }

    fn apply(&mut self, op: &work::Op) -> Answer {
        use work::Op;
        let q: *const Handle = &self.object.object;
        let (mut value, mut job, mut id) = (0, Job::default(), 0);
        // SAFETY: of each function: the object's handle, and room for what it gives.
        unsafe {
            match *op {
                Op::Put(new) | Op::PutNow(new) => {
                    let errno = interproc_work_queue_put_until(
                        q,
                        &new.into(),
                        8,
                        new.into(),
                        std::ptr::null(),
                        PAST,
                        &mut id,
                    );
                    told(if matches!(op, Op::Put(_)) { tried(errno) } else { errno }, || vec![id])
                }
                Op::Take | Op::TakeNow => {
                    let errno = match op {
                        Op::Take => interproc_work_queue_trytake(q, &mut value, 8, &mut job),
                        _ => interproc_work_queue_timedtake(q, PAST, &mut value, 8, &mut job),
                    };
                    told(errno, || {
                        let told = vec![value as u64, job.id, job.deliveries.into()];
                        self.held.push((job, value));
                        told
                    })
                }
                Op::Done(n) => {
                    let Some(n) = pick(&self.held, n) else { return NOTHING };
                    let (job, value) = self.held.remove(n);
                    told(interproc_work_queue_done(q, &job), || vec![value as u64])
                }
                Op::Fail(n) | Op::Drop(n) => {
                    let Some(n) = pick(&self.held, n) else { return NOTHING };
                    let (job, _) = self.held.remove(n);
                    let reason = if matches!(op, Op::Fail(_)) { c"no".as_ptr() } else { std::ptr::null() };
                    told(interproc_work_queue_fail(q, &job, reason), Vec::new)
                }
                Op::Join => told(interproc_work_queue_join_until(q, PAST), Vec::new),
                Op::Unfinished => Ok(vec![self.object.ask(interproc_work_queue_info).unfinished as u64]),
                Op::Dead => Ok(self.letters()?.iter().map(|letter| letter.id).collect()),
                Op::Retry | Op::Discard => {
                    let letters = self.letters()?;
                    let Some(letter) = letters.first() else { return NOTHING };
                    let errno = match op {
                        Op::Retry => interproc_work_queue_retry(q, letter),
                        _ => interproc_work_queue_discard(q, letter),
                    };
                    told(errno, || vec![letter.id, 1])
                }
                Op::Close => self.object.on(interproc_work_queue_close),
            }
        }
    }
}

impl Drop for WorkQueue {
    fn drop(&mut self) {
        for (job, _) in std::mem::take(&mut self.held) {
            // SAFETY: the handle, and a job that this user took.
            done(unsafe { interproc_work_queue_fail(&self.object.object, &job, std::ptr::null()) });
        }
    }
}
