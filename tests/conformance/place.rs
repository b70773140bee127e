//! Where the users of an object are.

use crate::kit::{self, Kid, die, raise};
use interproc::Segment;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// A placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Threads of one process with one mapping.
    Threads,
    /// A process each.
    Processes,
    /// Threads of one process, each with a mapping of its own.
    Mappings,
}

/// A user of the segment: a thread or a process.
pub enum Actor {
    Thread { thread: libc::pthread_t, end: Arc<AtomicU32> },
    Process(Kid),
}

const GOOD: u32 = 1;

type Body = Box<dyn FnOnce(&Segment) + Send>;

struct Start {
    body: Body,
    seg: Segment,
    end: Arc<AtomicU32>,
}

extern "C" fn thread(start: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: the box that `start` has let go, once.
    let Start { body, seg, end } = *unsafe { Box::from_raw(start.cast::<Start>()) };
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(&seg))).is_ok() {
        end.store(GOOD, Ordering::SeqCst);
    }
    if LEFT.get() {
        drop((seg, end));
        Place::Threads.die();
    }
    std::ptr::null_mut()
}

std::thread_local! {
    static LEFT: Cell<bool> = const { Cell::new(false) };
}

/// Leaves something held to the user's end, which is a death: a thread's, too. (An orderly end of a thread is no death to
/// what it has leaked: that stays held as long as the process lives.)
pub fn forget<T>(held: T) {
    std::mem::forget(held);
    LEFT.set(true);
}

impl Place {
    /// Starts a user.
    pub fn start(self, seg: &Segment, body: impl FnOnce(&Segment) + Send + 'static) -> Actor {
        let seg = if self == Place::Mappings { kit::again(seg) } else { seg.clone() };
        if self == Place::Processes {
            return Actor::Process(kit::fork(move || body(&seg)));
        }
        let end = Arc::new(AtomicU32::new(0));
        let start = Box::new(Start { body: Box::new(body), seg, end: end.clone() });
        // SAFETY: the thread takes the box. Not a thread of std: those may not end by a bare system call.
        unsafe {
            let mut id = std::mem::zeroed();
            let created =
                libc::pthread_create(&raw mut id, std::ptr::null(), thread, Box::into_raw(start).cast());
            assert_eq!(created, 0);
            Actor::Thread { thread: id, end }
        }
    }

    /// Ends the calling user on the spot, with all that it holds.
    pub fn die(self) -> ! {
        if self == Place::Processes {
            die()
        }
        // SAFETY: ends this thread only; what it had on its stack is forgotten.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
        unreachable!()
    }
}

impl Actor {
    /// Waits for its good end.
    #[track_caller]
    pub fn join(self) {
        match self {
            Actor::Process(kid) => kid.join(),
            Actor::Thread { thread, end } => {
                wait_for(thread);
                assert_eq!(end.load(Ordering::SeqCst), GOOD, "the thread failed");
            }
        }
    }

    /// Waits for its end, good or not.
    pub fn ended(self) {
        match self {
            Actor::Process(mut kid) => _ = kid.end(),
            Actor::Thread { thread, .. } => wait_for(thread),
        }
    }

    /// Waits for the end of one that dies.
    pub fn gone(self) {
        match self {
            Actor::Process(mut kid) => assert_eq!(kid.end(), libc::SIGKILL),
            Actor::Thread { thread, .. } => wait_for(thread),
        }
    }
}

fn wait_for(thread: libc::pthread_t) {
    // SAFETY: made by us, joined once.
    assert_eq!(unsafe { libc::pthread_join(thread, std::ptr::null_mut()) }, 0);
}

/// Where the calling user is, for those who want to see it asleep.
pub fn say_where(word: &AtomicU64) {
    // SAFETY: takes nothing.
    let pid = unsafe { libc::getpid() };
    word.store((pid as u64) << 32 | kit::gettid() as u64, Ordering::SeqCst);
}

/// Waits until the one that said where it is sleeps there.
#[track_caller]
pub fn await_asleep(word: &AtomicU64) {
    kit::await_word(word, 1);
    let at = word.load(Ordering::SeqCst);
    kit::await_thread_sleep((at >> 32) as i32, at as u32 as i32);
}

extern "C" fn nothing(_: i32) {}

/// Enough signals for a test that needs some.
pub const MANY: u64 = 60;

/// Runs `body` while its thread gets a signal every 200 µs, whose handler restarts no system call; `sent` counts them.
pub fn under_signals<R>(sent: &AtomicU64, body: impl FnOnce() -> R) -> R {
    let (pid, tid) = (std::process::id() as i32, kit::gettid());
    let handler: extern "C" fn(i32) = nothing;
    // SAFETY: an async-signal-safe handler; all-zero flags and mask.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()), 0);
    }
    let stop = AtomicU32::new(0);
    std::thread::scope(|s| {
        let pesterer = s.spawn(|| {
            while stop.load(Ordering::SeqCst) == 0 {
                // SAFETY: takes integers; the thread lives in this scope.
                unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, libc::SIGUSR1) };
                raise(sent);
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let result = body();
        stop.store(1, Ordering::SeqCst);
        pesterer.join().expect("pesterer");
        result
    })
}
