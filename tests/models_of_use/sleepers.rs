//! Nobody sleeps beside what it waits for. Some wait to push or to pop, each in a thread of its own, while another thread does
//! anything that never waits. Whenever all is quiet, what the sleepers wait for must not be there: a try finds the same as they.
//!
//! A lost wake-up that the net would mend 50 ms later is found, too, as a try comes sooner.

use crate::drive::{Modelled, Story};
use crate::kit::{self, LONG, is_asleep};
use crate::support::eventually;
use crate::{bytes, queue};
use interproc::{ErrorKind, Segment};
use proptest::prelude::*;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicI32, Ordering};

/// What both sides of an object wait for.
pub trait Waits: Modelled {
    /// Pushes something small, and pops something, as long as it takes.
    fn push(seg: &Segment, shape: &Self::Shape) -> Result<(), ErrorKind>;
    fn pop(seg: &Segment, shape: &Self::Shape) -> Result<(), ErrorKind>;
    /// Whether that could be done now.
    fn try_push(seg: &Segment, shape: &Self::Shape) -> Result<(), ErrorKind>;
    fn try_pop(seg: &Segment, shape: &Self::Shape) -> Result<(), ErrorKind>;
    fn close(seg: &Segment, shape: &Self::Shape);
}

impl Waits for queue::InUse {
    fn push(seg: &Segment, &capacity: &usize) -> Result<(), ErrorKind> {
        seg.queue("queue", capacity).expect("it is there").push(7u64).map_err(|e| e.kind())
    }

    fn pop(seg: &Segment, &capacity: &usize) -> Result<(), ErrorKind> {
        seg.queue::<u64>("queue", capacity).expect("it is there").pop().map(drop).map_err(|e| e.kind())
    }

    fn try_push(seg: &Segment, &capacity: &usize) -> Result<(), ErrorKind> {
        seg.queue("queue", capacity).expect("it is there").try_push(8u64).map_err(|e| e.kind())
    }

    fn try_pop(seg: &Segment, &capacity: &usize) -> Result<(), ErrorKind> {
        seg.queue::<u64>("queue", capacity).expect("it is there").try_pop().map(drop).map_err(|e| e.kind())
    }

    fn close(seg: &Segment, &capacity: &usize) {
        seg.queue::<u64>("queue", capacity).and_then(|q| q.close()).expect("it is there");
    }
}

fn of_bytes(seg: &Segment, &(granules, longest): &(usize, usize)) -> interproc::queue::ByteQueue {
    seg.byte_queue("bytes", granules * bytes::GRANULE, longest * bytes::GRANULE).expect("it is there")
}

impl Waits for bytes::InUse {
    fn push(seg: &Segment, shape: &Self::Shape) -> Result<(), ErrorKind> {
        of_bytes(seg, shape).push(b"77777").map_err(|e| e.kind())
    }

    fn pop(seg: &Segment, shape: &Self::Shape) -> Result<(), ErrorKind> {
        of_bytes(seg, shape).pop().map(drop).map_err(|e| e.kind())
    }

    fn try_push(seg: &Segment, shape: &Self::Shape) -> Result<(), ErrorKind> {
        of_bytes(seg, shape).try_push(b"88888").map_err(|e| e.kind())
    }

    fn try_pop(seg: &Segment, shape: &Self::Shape) -> Result<(), ErrorKind> {
        of_bytes(seg, shape).try_pop().map(drop).map_err(|e| e.kind())
    }

    fn close(seg: &Segment, shape: &Self::Shape) {
        of_bytes(seg, shape).close().expect("it is there");
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Producer,
    Consumer,
}

#[derive(Clone, Debug)]
pub enum Step<Op> {
    Do(Op),
    /// One more comes, and waits.
    Comes(Side),
}

/// At most so many wait.
const MOST: usize = 6;

/// One that waits: its thread's number, or [`GONE`].
struct Waiter {
    side: Side,
    tid: AtomicI32,
}

const GONE: i32 = -1;

pub struct Sleepers<O>(PhantomData<O>);

impl<O: Waits> Story for Sleepers<O>
where
    O::Shape: Sync,
{
    type Case = (O::Shape, Vec<Step<O::Op>>);

    fn cases() -> BoxedStrategy<Self::Case> {
        let step = prop_oneof![
            4 => O::ops().prop_map(Step::Do),
            1 => prop_oneof![Just(Side::Producer), Just(Side::Consumer)].prop_map(Step::Comes),
        ];
        (O::shapes(), proptest::collection::vec(step, 1..30)).boxed()
    }

    fn tell((shape, steps): &Self::Case) -> Result<(), String> {
        let seg = kit::segment();
        let mut user = O::open(&seg, shape);
        let waiters: Vec<Waiter> = steps
            .iter()
            .filter_map(|step| if let Step::Comes(side) = step { Some(*side) } else { None })
            .take(MOST)
            .map(|side| Waiter { side, tid: AtomicI32::new(0) })
            .collect();
        std::thread::scope(|s| {
            let mut here = 0;
            let mut told = Ok(());
            for (n, step) in steps.iter().enumerate() {
                match step {
                    Step::Do(op) => drop(user.apply(op)),
                    Step::Comes(_) if here == MOST => continue,
                    Step::Comes(side) => {
                        let (waiter, seg) = (&waiters[here], &seg);
                        here += 1;
                        s.spawn(move || {
                            // SAFETY: takes nothing.
                            waiter.tid.store(unsafe { libc::gettid() }, Ordering::SeqCst);
                            let _ = match side {
                                Side::Producer => O::push(seg, shape),
                                Side::Consumer => O::pop(seg, shape),
                            };
                            waiter.tid.store(GONE, Ordering::SeqCst);
                        });
                    }
                }
                told = quiet::<O>(&seg, shape, &waiters[..here])
                    .map_err(|why| format!("step {n}, {step:?}: {why}"));
                if told.is_err() {
                    break;
                }
            }
            // Nobody is left behind.
            drop(user);
            O::close(&seg, shape);
            while O::try_pop(&seg, shape).is_ok() {}
            let gone = || waiters[..here].iter().all(|w| w.tid.load(Ordering::SeqCst) == GONE);
            if !eventually(LONG, gone) {
                eprintln!("{told:?}; and somebody sleeps in a closed queue: {steps:?}");
                std::process::abort();
            }
            told
        })
    }
}

/// Waits until each of them sleeps or is gone; then none may sleep beside what it waits for.
fn quiet<O: Waits>(seg: &Segment, shape: &O::Shape, waiters: &[Waiter]) -> Result<(), String> {
    let me = std::process::id() as i32;
    let sleeps = |waiter: &Waiter| match waiter.tid.load(Ordering::SeqCst) {
        GONE => Some(false),
        0 => None,
        tid => is_asleep(me, tid).then_some(true),
    };
    let all = || waiters.iter().all(|waiter| sleeps(waiter).is_some());
    if !eventually(LONG, || all() && all()) {
        return Err("somebody neither sleeps nor is done".into());
    }
    let some = |side| waiters.iter().any(|w| w.side == side && sleeps(w) == Some(true));
    for (side, refused, found) in [
        (Side::Producer, ErrorKind::Full, some(Side::Producer).then(|| O::try_push(seg, shape))),
        (Side::Consumer, ErrorKind::Empty, some(Side::Consumer).then(|| O::try_pop(seg, shape))),
    ] {
        // Whoever had not begun to sleep may have come to an end since.
        if found.is_some_and(|found| found != Err(refused)) && some(side) {
            return Err(format!("a {side:?} sleeps, a try says {found:?}"));
        }
    }
    Ok(())
}
