//! The specification of the one-time initialisation.

use crate::kit::{self, LONG, await_word, board, raise};
use crate::place::{MANY, Place, await_asleep, say_where, under_signals};
use interproc::sync::{Once, OnceLock};
use interproc::{Deadline, ErrorKind, Object, Segment};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn once(seg: &Segment) -> Object<Once> {
    seg.object("once", Once::new).expect("once")
}

fn value(seg: &Segment) -> Object<OnceLock<[u64; 4]>> {
    seg.object("value", OnceLock::new).expect("value")
}

fn new() -> (Segment, Object<Once>, &'static [AtomicU64; 512]) {
    let seg = kit::segment();
    let o = once(&seg);
    (seg, o, board())
}

fn kind<T>(answer: interproc::Result<T>) -> Option<ErrorKind> {
    answer.err().map(|e| e.kind())
}

pub fn it_is_done_once_and_all_see_it(at: Place) {
    for _ in 0..20 {
        let (seg, o, words) = new();
        let user = |n: u64| {
            at.start(&seg, move |seg| {
                let (o, v) = (once(seg), value(seg));
                let job = |_| {
                    assert_eq!(raise(&words[0]), 1, "done twice");
                    std::thread::yield_now();
                    words[1].store(7, Ordering::Relaxed);
                };
                match n % 3 {
                    0 => o.call(job),
                    1 => o.call_timeout(LONG, job),
                    _ => o.try_call(|state| Ok(job(state))),
                }
                .expect("call");
                assert_eq!(words[1].load(Ordering::Relaxed), 7, "not seen");
                let mine = v.get_or_init(|| [n; 4]).expect("value");
                assert_eq!(*mine, [mine[0]; 4]);
                words[10 + n as usize].store(mine[0] + 1, Ordering::SeqCst);
            })
        };
        let users: Vec<_> = (0..4).map(user).collect();
        users.into_iter().for_each(|u| u.join());
        assert!(o.is_done());
        let made = value(&seg).get().expect("made")[0];
        (0..4).for_each(|n| assert_eq!(words[10 + n].load(Ordering::SeqCst), made + 1));
    }
}

pub fn the_death_of_whoever_is_at_it_hands_the_job_to_one_who_waits(at: Place) {
    let (seg, o, words) = new();
    let doomed = at.start(&seg, move |seg| {
        let _ = once(seg).call(|state| {
            assert!(!state.is_retry());
            raise(&words[0]);
            await_word(&words[1], 1);
            at.die();
        });
    });
    await_word(&words[0], 1);
    assert_eq!(
        kind(o.call_timeout(Duration::from_millis(5), |_| panic!("two at it"))),
        Some(ErrorKind::TimedOut)
    );
    let past = Deadline::from_monotonic_ns(1);
    assert_eq!(kind(o.call_until(past, |_| panic!("two at it"))), Some(ErrorKind::TimedOut));
    let waiter = |n: usize| {
        at.start(&seg, move |seg| {
            say_where(&words[10 + n]);
            let job = |state: interproc::sync::OnceState| {
                assert!(state.is_retry(), "not told");
                raise(&words[2]);
            };
            once(seg).call(job).expect("call");
        })
    };
    let waiters: Vec<_> = (0..3).map(waiter).collect();
    (0..3).for_each(|n| await_asleep(&words[10 + n]));
    raise(&words[1]);
    doomed.gone();
    waiters.into_iter().for_each(|w| w.join());
    assert_eq!(words[2].load(Ordering::SeqCst), 1, "not done once");
    assert!(o.is_done());
}

pub fn a_panic_or_an_error_hands_the_job_on(at: Place) {
    let (seg, o, _) = new();
    at.start(&seg, |seg| {
        std::panic::set_hook(Box::new(|_| ()));
        let o = once(seg);
        let panicked = catch_unwind(AssertUnwindSafe(|| o.call(|_| panic!("on purpose"))));
        let _ = std::panic::take_hook();
        assert!(panicked.is_err());
        let failed = o.try_call(|state| {
            assert!(state.is_retry());
            Err(ErrorKind::NoSpace.into())
        });
        assert_eq!(kind(failed), Some(ErrorKind::NoSpace));
        let v = value(seg);
        assert_eq!(kind(v.get_or_try_init(|| Err(ErrorKind::NotFound.into()))), Some(ErrorKind::NotFound));
        assert_eq!(v.get(), None);
        assert!(v.set([3; 4]).expect("set"));
    })
    .join();
    o.call(|state| assert!(state.is_retry())).expect("call");
    assert!(!value(&seg).set([4; 4]).expect("set"));
    assert_eq!(value(&seg).get(), Some(&[3; 4]));
}

pub fn a_call_from_inside_the_job_is_an_error(at: Place) {
    let (seg, o, _) = new();
    at.start(&seg, |seg| {
        let o = once(seg);
        o.call(|_| assert_eq!(kind(o.call(|_| ())), Some(ErrorKind::Deadlock))).expect("call");
    })
    .join();
    assert!(o.is_done());
}

pub fn a_child_is_not_at_its_parents_job(at: Place) {
    let (seg, o, _) = new();
    at.start(&seg, |seg| {
        let o = once(seg);
        let parent = |_| {
            kit::fork(|| {
                assert_eq!(kind(o.call_timeout(Duration::from_millis(2), |_| ())), Some(ErrorKind::TimedOut))
            })
            .join();
            assert!(!o.is_done());
        };
        o.call(parent).expect("call");
    })
    .join();
    assert!(o.is_done());
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let (seg, o, words) = new();
    let slow = at.start(&seg, |seg| {
        let job = |_| {
            raise(&words[1]);
            await_word(&words[0], MANY);
        };
        once(seg).call(job).expect("call");
    });
    await_word(&words[1], 1);
    at.start(&seg, |seg| {
        let o = once(seg);
        under_signals(&words[0], || o.call(|_| panic!("two at it"))).expect("call");
    })
    .join();
    slow.join();
    assert!(o.is_done());
}
