//! The core by itself: no std, no allocator, the member passed explicitly. Two processes share a lock and a queue in a
//! memory file; one dies holding both, and the other inherits. The exit code is 0, or the number of the step that
//! went wrong.
#![no_std]
#![no_main]

use core::ffi::c_int;
use core::ptr::{NonNull, null_mut};
use interproc::raw::member::{Domain, Member, Table};
use interproc::raw::queue::{RawQueue, Ring, ring_size};
use interproc::raw::sync::{Acquired, RawMutex};
use interproc::{Deadline, ErrorKind};

const PAGE: usize = 4096;
const MEMBERS: u32 = 4;
/// The header page, the slots, and one page for the objects: the lock at its start, the ring behind it.
const OBJECTS: usize = PAGE * (1 + MEMBERS as usize);
const RING: usize = OBJECTS + 64;
const LEN: usize = OBJECTS + PAGE;
const CAPACITY: usize = 8;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::abort() }
}

/// The precompiled `core` names it in tables that nothing reads: with `panic = "abort"` there is no unwinding.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// A step that must go well; otherwise the program ends with the step's number.
fn step<T, E>(number: c_int, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        // SAFETY: ends the process.
        Err(_) => unsafe { libc::_exit(number) },
    }
}

fn check(number: c_int, condition: bool) {
    step(number, if condition { Ok(()) } else { Err(()) });
}

struct Shared {
    base: NonNull<u8>,
    queue: RawQueue,
}

impl Shared {
    fn lock(&self) -> &RawMutex {
        // SAFETY: mapped to the end of the process, aligned, zeroed when made: an unlocked mutex.
        unsafe { self.base.add(OBJECTS).cast().as_ref() }
    }

    fn push(&self, me: &Member, number: u64) -> interproc::Result<()> {
        // SAFETY: an element has 8 bytes.
        self.queue.push_with(me, None, |cell| unsafe { cell.cast::<u64>().write_unaligned(number) })
    }

    fn pop(&self, me: &Member) -> interproc::Result<u64> {
        let soon = Deadline::after(core::time::Duration::from_secs(10));
        // SAFETY: as above.
        let (number, _) =
            self.queue.pop_with(me, Some(soon), |cell| unsafe { cell.cast::<u64>().read_unaligned() })?;
        Ok(number)
    }
}

#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    // SAFETY: the mapping covers the file and stays to the end; the table and the ring lie in it as their contracts
    // ask; the domain's descriptor stays open and, in the child, is a description of the child's own; each thread
    // registers once, and the domain outlives it.
    unsafe {
        let fd = libc::memfd_create(c"no_std".as_ptr(), libc::MFD_CLOEXEC);
        check(1, fd >= 0 && libc::ftruncate(fd, LEN as _) == 0);
        let (access, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        let base = libc::mmap(null_mut(), LEN, access, shared, fd, 0);
        check(2, base != libc::MAP_FAILED);
        let base = step(3, NonNull::new(base.cast::<u8>()).ok_or(()));
        let table = Table::new(base, PAGE, PAGE, MEMBERS);
        let size = step(4, ring_size(8, CAPACITY).ok_or(()));
        check(5, RING + size <= LEN);
        step(6, Ring::make(base.add(RING), size, 8, CAPACITY));
        let shared = Shared { base, queue: RawQueue::new(step(7, Ring::attach(base.add(RING), size))) };

        let domain = step(8, Domain::new(table, fd));
        let child = libc::fork();
        check(9, child >= 0);
        if child == 0 {
            // Its own description of the file, under the same number.
            let fresh = libc::open(c"/proc/self/fd/3".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
            check(10, fd == 3 && fresh >= 0 && libc::dup3(fresh, fd, libc::O_CLOEXEC) == fd);
            domain.after_fork(true);
            dies(&shared, &step(12, domain.register(None)));
        }
        inherits(&shared, &step(13, domain.register(None)));
        let mut status = 0;
        check(14, libc::waitpid(child, &raw mut status, 0) == child);
        check(15, libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL);
    }
    0
}

/// The child: takes the lock, says so, and dies holding it.
fn dies(shared: &Shared, me: &Member) -> ! {
    check(20, matches!(shared.lock().lock(me, None), Ok(Acquired::Clean)));
    for number in 1..=CAPACITY as u64 {
        step(21, shared.push(me, number));
    }
    // SAFETY: ends the process.
    unsafe {
        libc::raise(libc::SIGKILL);
        libc::_exit(22)
    }
}

/// The parent: takes the messages, then the lock of the dead.
fn inherits(shared: &Shared, me: &Member) {
    for number in 1..=CAPACITY as u64 {
        check(30, matches!(shared.pop(me), Ok(n) if n == number));
    }
    check(31, matches!(shared.lock().lock(me, None), Ok(Acquired::OwnerDied)));
    step(32, shared.lock().mark_consistent(me));
    check(33, matches!(shared.lock().try_lock(me), Err(e) if e.kind() == ErrorKind::Deadlock));
    step(34, shared.lock().unlock(me));
    shared.queue.close(me);
    check(35, matches!(shared.pop(me), Err(e) if e.kind() == ErrorKind::Closed));
}
