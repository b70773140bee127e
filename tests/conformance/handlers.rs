//! Semaphore post and event set in signal handlers, in the middle of anything.

use crate::kit::{self, LONG, Random, await_word, board, raise};
use crate::place::Place;
use interproc::Segment;
use interproc::queue::Queue;
use interproc::sync::{Event, Mutex, Semaphore};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

static SEMAPHORE: AtomicPtr<Semaphore> = AtomicPtr::new(std::ptr::null_mut());
static EVENT: AtomicPtr<Event> = AtomicPtr::new(std::ptr::null_mut());
static POSTED: AtomicPtr<AtomicU64> = AtomicPtr::new(std::ptr::null_mut());

extern "C" fn handler(_: i32) {
    // SAFETY: set before the first signal, and kept for as long as there are any.
    unsafe {
        let posted = (*SEMAPHORE.load(Ordering::Relaxed)).post().is_ok();
        (*POSTED.load(Ordering::Relaxed)).fetch_add(posted.into(), Ordering::SeqCst);
        let event = &*EVENT.load(Ordering::Relaxed);
        event.set();
        if !event.is_set() {
            // Cleared by another one: fine.
            event.clear();
        }
    }
}

/// Everything that the library does, again and again, interrupted at random.
pub fn a_handler_posts_and_sets_in_the_middle_of_anything(at: Place) {
    const TIME: Duration = Duration::from_millis(1_500);
    let seg = kit::segment();
    let words = board();
    let semaphore = seg.object("semaphore", || Semaphore::new(0)).expect("semaphore");
    // Contention, and somebody who sleeps on what the handler posts and sets.
    let rival = at.start(&seg, |seg| {
        let mutex = seg.object("mutex", || Mutex::new(0u64)).expect("mutex");
        let (there, back): (Queue<u64>, Queue<u64>) =
            (seg.queue("there", 4).expect("queue"), seg.queue("back", 4).expect("queue"));
        while words[0].load(Ordering::SeqCst) == 0 {
            *mutex.lock().expect("lock") += 1;
            if let Ok(message) = there.pop_timeout(Duration::from_micros(200)) {
                back.push(message).expect("push");
            }
        }
    });
    let sleepers = [0, 1].map(|n| {
        at.start(&seg, move |seg| {
            let semaphore = seg.object("semaphore", || Semaphore::new(0)).expect("semaphore");
            let event = seg.object("event", Event::new).expect("event");
            while words[0].load(Ordering::SeqCst) == 0 {
                if n == 0 {
                    if semaphore.acquire_timeout(Duration::from_millis(20)).is_ok() {
                        raise(&words[1]);
                    }
                } else if event.wait_timeout(Duration::from_millis(20)).is_ok() {
                    raise(&words[2]);
                    event.clear();
                }
            }
        })
    });
    let worker = at.start(&seg, move |seg| busy_under_signals(seg, words, TIME));
    worker.join();
    raise(&words[0]);
    rival.join();
    sleepers.into_iter().for_each(|s| s.join());
    let (posted, taken) = (words[3].load(Ordering::SeqCst), words[1].load(Ordering::SeqCst));
    assert!(posted > 200, "only {posted} signals: the test tests nothing");
    assert_eq!(posted, taken + u64::from(semaphore.value()));
    assert!(words[2].load(Ordering::SeqCst) > 0, "nobody saw the event");
}

fn busy_under_signals(seg: &Segment, words: &'static [AtomicU64; 512], time: Duration) {
    let semaphore = seg.object("semaphore", || Semaphore::new(0)).expect("semaphore");
    let event = seg.object("event", Event::new).expect("event");
    SEMAPHORE.store(std::ptr::from_ref(&*semaphore).cast_mut(), Ordering::SeqCst);
    EVENT.store(std::ptr::from_ref(&*event).cast_mut(), Ordering::SeqCst);
    POSTED.store(std::ptr::from_ref(&words[3]).cast_mut(), Ordering::SeqCst);
    let handler: extern "C" fn(i32) = handler;
    // SAFETY: all-zero flags and mask; the handler does what is async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR2, &raw const action, std::ptr::null_mut()), 0);
    }
    let (pid, tid) = (std::process::id() as i32, kit::gettid());
    let newcomer = AtomicU32::new(0);
    let stop = AtomicU32::new(0);
    std::thread::scope(|s| {
        // To the worker, and to whichever thread is just becoming a member; never itself a member.
        let pesterer = s.spawn(|| {
            let mut random = Random(0x5eed);
            while stop.load(Ordering::SeqCst) == 0 {
                for target in [tid, newcomer.load(Ordering::SeqCst) as i32] {
                    if target != 0 {
                        // SAFETY: takes integers; a thread that is gone is an error.
                        unsafe { libc::syscall(libc::SYS_tgkill, pid, target, libc::SIGUSR2) };
                    }
                }
                let until = Instant::now() + Duration::from_micros(random.below(300));
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
            }
        });
        everything(seg, time, &newcomer, &semaphore, &words[1]);
        stop.store(1, Ordering::SeqCst);
        pesterer.join().expect("pesterer");
    });
}

fn everything(seg: &Segment, time: Duration, newcomer: &AtomicU32, semaphore: &Semaphore, taken: &AtomicU64) {
    let mutex = seg.object("mutex", || Mutex::new(0u64)).expect("mutex");
    let (there, back): (Queue<u64>, Queue<u64>) =
        (seg.queue("there", 4).expect("queue"), seg.queue("back", 4).expect("queue"));
    let end = Instant::now() + time;
    let mut round = 0;
    while Instant::now() < end {
        round += 1;
        for _ in 0..50 {
            *mutex.lock().expect("lock") += 1;
            *mutex.lock_timeout(LONG).expect("lock") += 1;
        }
        there.push(round).expect("push");
        assert_eq!(back.pop_timeout(LONG).expect("pop"), round);
        if semaphore.acquire_timeout(Duration::from_micros(300)).is_ok() {
            raise(taken);
        }
        // Attaches and detaches.
        let again = kit::again(seg);
        drop(again.object("mutex", || Mutex::new(0u64)).expect("mutex").lock().expect("lock"));
        drop(again);
        // Becomes a member, and leaves by ending.
        std::thread::scope(|s| {
            s.spawn(|| {
                newcomer.store(kit::gettid() as u32, Ordering::SeqCst);
                *mutex.lock().expect("lock") += 1;
                newcomer.store(0, Ordering::SeqCst);
            });
        });
    }
    await_word(&AtomicU64::new(round), 1);
}
