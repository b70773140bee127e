//! Robust permits and the barrier, beside their peers.

use super::sides::{Lap, Line, SharedPage, processes};
use super::{Measurement, Sample};
use interproc::Segment;
use interproc::sync::{Barrier, BoundedSemaphore};
use std::cell::UnsafeCell;
use std::hint::black_box;

/// How many permits each semaphore has.
const PERMITS: usize = 4;

/// A permit taken and given back, nobody else about.
pub trait Permits {
    fn new() -> Self;
    fn once(&self);
    /// How many are left when all is over.
    fn left(&self) -> usize;
}

/// This crate's.
pub struct Ours(BoundedSemaphore);

impl Permits for Ours {
    fn new() -> Self {
        Ours(
            Segment::anonymous(4096)
                .expect("segment")
                .bounded_semaphore("permits", PERMITS)
                .expect("semaphore"),
        )
    }
    #[inline(always)]
    fn once(&self) {
        drop(black_box(&self.0).acquire().expect("acquire"));
    }
    fn left(&self) -> usize {
        self.0.available().expect("available") as usize
    }
}

/// System V, whose kernel gives back what the dead held.
pub struct SysV(i32);

impl SysV {
    fn add(&self, n: i16) {
        let mut operation = libc::sembuf { sem_num: 0, sem_op: n, sem_flg: libc::SEM_UNDO as i16 };
        // SAFETY: one operation on a semaphore of ours.
        assert_eq!(unsafe { libc::semop(black_box(self.0), &raw mut operation, 1) }, 0);
    }
}

impl Permits for SysV {
    fn new() -> Self {
        // SAFETY: takes integers.
        let id = unsafe { libc::semget(libc::IPC_PRIVATE, 1, 0o600) };
        assert!(id >= 0, "semget");
        // SAFETY: a semaphore of ours.
        assert_eq!(unsafe { libc::semctl(id, 0, libc::SETVAL, PERMITS as libc::c_int) }, 0);
        SysV(id)
    }
    fn once(&self) {
        self.add(-1);
        self.add(1);
    }
    fn left(&self) -> usize {
        // SAFETY: a semaphore of ours.
        unsafe { libc::semctl(self.0, 0, libc::GETVAL) as usize }
    }
}

impl Drop for SysV {
    fn drop(&mut self) {
        // SAFETY: ours; nobody waits.
        unsafe { libc::semctl(self.0, 0, libc::IPC_RMID) };
    }
}

/// POSIX, process-shared. Not robust.
pub struct Posix(SharedPage<Line<UnsafeCell<libc::sem_t>>>);

impl Permits for Posix {
    fn new() -> Self {
        // SAFETY: initialised before its use; all-zero is a valid place for it.
        unsafe {
            let page: SharedPage<Line<UnsafeCell<libc::sem_t>>> = SharedPage::zeroed();
            assert_eq!(libc::sem_init(page.0.get(), 1, PERMITS as u32), 0);
            Posix(page)
        }
    }
    #[inline(always)]
    fn once(&self) {
        // SAFETY: initialised by `new`.
        unsafe {
            libc::sem_wait(black_box(&self.0).0.get());
            libc::sem_post(black_box(&self.0).0.get());
        }
    }
    fn left(&self) -> usize {
        let mut value = 0;
        // SAFETY: initialised by `new`; the output is writable.
        unsafe { libc::sem_getvalue(self.0.0.get(), &raw mut value) };
        value as usize
    }
}

/// Acquire and release, alone.
pub fn uncontended<P: Permits + 'static>() -> Measurement {
    let permits = P::new();
    Box::new(move |n| {
        let lap = Lap::of(|| {
            (0..n).for_each(|_| permits.once());
            (n, 0)
        });
        assert_eq!(permits.left(), PERMITS);
        Sample::plain(lap.ns_each(n))
    })
}

/// A barrier between processes.
pub trait Meeting {
    fn new(parties: usize) -> Self;
    /// Whether the caller is the leader.
    fn wait(&self) -> bool;
}

/// This crate's.
pub struct OurBarrier(Barrier);

impl Meeting for OurBarrier {
    fn new(parties: usize) -> Self {
        OurBarrier(Segment::anonymous(4096).expect("segment").barrier("barrier", parties).expect("barrier"))
    }
    fn wait(&self) -> bool {
        self.0.wait().expect("nobody dies").is_leader()
    }
}

/// pthread's, process-shared.
pub struct PthreadBarrier(SharedPage<Line<UnsafeCell<libc::pthread_barrier_t>>>);

impl Meeting for PthreadBarrier {
    fn new(parties: usize) -> Self {
        // SAFETY: the attributes are initialised before their use, the barrier before anybody's.
        unsafe {
            let page: SharedPage<Line<UnsafeCell<libc::pthread_barrier_t>>> = SharedPage::zeroed();
            let mut attr: libc::pthread_barrierattr_t = std::mem::zeroed();
            libc::pthread_barrierattr_init(&mut attr);
            libc::pthread_barrierattr_setpshared(&mut attr, libc::PTHREAD_PROCESS_SHARED);
            assert_eq!(libc::pthread_barrier_init(page.0.get(), &attr, parties as u32), 0);
            PthreadBarrier(page)
        }
    }
    fn wait(&self) -> bool {
        // SAFETY: initialised by `new`.
        unsafe { libc::pthread_barrier_wait(self.0.0.get()) == libc::PTHREAD_BARRIER_SERIAL_THREAD }
    }
}

/// One round of a process on each of `processors`. Each round must have one leader.
pub fn rounds<M: Meeting + 'static>(processors: &'static [usize]) -> Measurement {
    const WARM: u64 = 200;
    Box::new(move |n| {
        let meeting = M::new(processors.len());
        let laps = processes(processors, |_, _| {
            (0..WARM).for_each(|_| _ = meeting.wait());
            Lap::of(|| (n, (0..n).map(|_| u64::from(meeting.wait())).sum()))
        });
        assert_eq!(laps.iter().map(|lap| lap.check).sum::<u64>(), n, "one leader a round");
        Sample::plain(laps[0].ns_each(n))
    })
}
