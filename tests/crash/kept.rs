//! Scenarios of a message that somebody alive keeps in hand while those behind it are popped: whoever walks past it notes how far
//! that is, and dies anywhere; no message is passed over by that note, or comes again unflagged.

use crate::engine::{Case, Check, Cut, End, Enter, Part, Scenario, Until, os};
use crate::ensure;
use interproc::queue::{ByteQueue, Queue};
use interproc::{ErrorKind, Segment};
use std::sync::atomic::Ordering::SeqCst;

/// On the board: how many pops came back to the victims, and their tags.
const POPPED: usize = 0;
/// The verifier asks for the kept message to be released; it is.
const RELEASE: usize = 20;
const RELEASED: usize = 21;
const FLAGGED: u64 = 1 << 63;
const CAPACITY: u64 = 32;
const FILLED: u64 = 24;
/// So many pops behind the kept message make no note: the next one does.
const QUIET: u64 = 16;

#[derive(Clone)]
enum Line {
    Queue(Queue<u64>),
    Bytes(ByteQueue),
}

impl Line {
    fn queue() -> Line {
        Line::Queue(segment().queue("line", CAPACITY as usize).expect("room"))
    }

    fn bytes() -> Line {
        // A granule each.
        Line::Bytes(segment().byte_queue("line", 64 * CAPACITY as usize, 64).expect("room"))
    }

    fn push(&self, tag: u64) -> Result<(), ErrorKind> {
        match self {
            Line::Queue(q) => q.try_push(tag).map_err(|e| e.kind()),
            Line::Bytes(q) => q.try_push(&tag.to_ne_bytes()).map_err(|e| e.kind()),
        }
    }

    /// The tag, flagged if it comes again.
    fn pop(&self) -> Result<u64, ErrorKind> {
        let flag = |again: bool| if again { FLAGGED } else { 0 };
        match self {
            Line::Queue(q) => {
                let got = q.try_pop_delivery().map_err(|e| e.kind())?;
                Ok(got.value | flag(got.redelivered))
            }
            Line::Bytes(q) => {
                let got = q.try_borrow().map_err(|e| e.kind())?;
                let tag = u64::from_ne_bytes(got[..].try_into().map_err(|_| ErrorKind::Corrupt)?);
                Ok(tag | flag(got.is_redelivered()))
            }
        }
    }

    /// Keeps the oldest message while `then` runs.
    fn keep(&self, then: impl FnOnce() -> Check) -> Check {
        match self {
            Line::Queue(q) => {
                let kept = q.try_borrow().map_err(|e| format!("{e:?}"))?;
                let done = then();
                drop(kept);
                done
            }
            Line::Bytes(q) => {
                let kept = q.try_borrow().map_err(|e| format!("{e:?}"))?;
                let done = then();
                drop(kept);
                done
            }
        }
    }
}

fn segment() -> Segment {
    Segment::options().size(1 << 14).max_members(16).max_objects(4).anonymous().expect("a segment")
}

struct World {
    line: Line,
    other: Line,
}

impl World {
    fn new(line: fn() -> Line) -> World {
        let world = World { line: line(), other: line() };
        (1..=FILLED).for_each(|tag| world.line.push(tag).expect("room"));
        world
    }

    /// Registers the caller and runs the code of the usual paths once, on another line.
    fn warm_up(&self) {
        let _ = self.other.push(7);
        let _ = self.other.pop();
    }

    fn verify(&self, part: &Part) -> Check {
        part.ready();
        let popped: Vec<u64> = (0..part.fact(POPPED).load(SeqCst) as usize)
            .map(|n| part.fact(POPPED + 1 + n).load(SeqCst))
            .collect();
        let mut drained = Vec::new();
        while let Ok(tag) = self.line.pop() {
            drained.push(tag);
        }
        part.recovered();
        // What the holder has popped before is not told here.
        let first = popped.iter().chain(&drained).map(|tag| tag & !FLAGGED).min().unwrap_or(FILLED);
        ensure!((QUIET + 2..=QUIET + 8).contains(&first), "begins with {first}: {popped:?} {drained:?}");
        let tags = |list: &[u64]| list.iter().map(|tag| tag & !FLAGGED).collect::<Vec<_>>();
        ensure!(tags(&drained).is_sorted(), "out of order: {drained:?}");
        for tag in first..=FILLED {
            let times = [&popped, &drained].map(|list| tags(list).iter().filter(|&&t| t == tag).count());
            let again = drained.contains(&(tag | FLAGGED));
            // Acknowledged: not again. Else once, or gone with the one who took it, who is one of the two that may die.
            ensure!(times[0] + times[1] <= 1, "message {tag} came {times:?} times, again: {again}");
        }
        let missing =
            (first..=FILLED).filter(|tag| !tags(&popped).contains(tag) && !tags(&drained).contains(tag));
        let missing = missing.collect::<Vec<_>>();
        ensure!(missing.len() <= 2, "passed over: {missing:?}; {popped:?} {drained:?}");
        let behind = missing.iter().all(|tag| tags(&drained).first().is_none_or(|next| tag < next));
        ensure!(behind, "passed over: {missing:?} of {drained:?}");
        // And it goes on behind the note.
        for tag in 101..=105 {
            ensure!(self.line.push(tag).is_ok(), "no room for {tag}");
            let popped = self.line.pop();
            ensure!(popped == Ok(tag), "{popped:?} instead of {tag}");
        }
        ensure!(self.line.pop() == Err(ErrorKind::Empty), "one too many");
        // What was passed over would be in the way now.
        part.fact(RELEASE).store(1, SeqCst);
        let until = os::now() + 1_500_000_000;
        while part.fact(RELEASED).load(SeqCst) == 0 {
            ensure!(os::now() < until, "the first message is not released");
            os::yield_now();
        }
        for _ in 0..2 {
            for tag in 201..201 + CAPACITY {
                ensure!(self.line.push(tag).is_ok(), "room for {} of {CAPACITY}", tag - 201);
            }
            ensure!(self.line.push(300) == Err(ErrorKind::Full), "more room than there is");
            for tag in 201..201 + CAPACITY {
                let popped = self.line.pop();
                ensure!(popped == Ok(tag), "{popped:?} instead of {tag}");
            }
        }
        ensure!(self.line.pop() == Err(ErrorKind::Empty), "one too many");
        Ok(())
    }
}

fn pop(w: &World, cut: &Cut) {
    w.warm_up();
    cut.start();
    if let Ok(tag) = w.line.pop() {
        let n = cut.part.fact(POPPED).load(SeqCst);
        cut.part.fact(POPPED + 1 + n as usize).store(tag, SeqCst);
        cut.part.fact(POPPED).store(n + 1, SeqCst);
    }
    cut.end();
}

/// Keeps the first message until it is asked for, and pops so many behind it.
fn keeper(pops: u64) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.line.keep(|| {
            for tag in 2..2 + pops {
                ensure!(w.line.pop() == Ok(tag), "not {tag}");
            }
            part.ready();
            while part.fact(RELEASE).load(SeqCst) == 0 {
                os::yield_now();
            }
            Ok(())
        })?;
        part.fact(RELEASED).store(1, SeqCst);
        Ok(())
    }
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let mut all = Vec::new();
    for (object, line) in [("Queue", Line::queue as fn() -> Line), ("ByteQueue", Line::bytes)] {
        let case = |operation, scenario: &str, pops| {
            Case::new(object, operation, scenario, move || World::new(line))
                .limits(|l| l.thin_above = 300)
                .helper(Enter::Before, Until::Ready, End::AfterVerifier, keeper(pops))
        };
        let verify = |case: Case<World>| case.verify(World::verify);
        all.push(verify(case("pop", "far behind a message in hand", QUIET).role("consumer").victim(pop)));
        all.push(verify(case("pop", "by the note", QUIET + 3).role("consumer").victim(pop)));
        all.push(verify(
            case("pop", "two deaths: far behind a message in hand, twice", QUIET)
                .role("two consumers")
                .limits(|l| (l.thin_above, l.first_deaths) = (300, 4))
                .first(pop)
                .victim(pop),
        ));
    }
    all
}
