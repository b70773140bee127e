//! What must have become of every message.
//!
//! What was acknowledged comes out exactly once (a message that the victim had taken and not returned may be gone
//! with it, one a death), what was not acknowledged at most once, in order, never torn, and marked when a reader
//! died over it or put it back. Afterwards the ring takes exactly its capacity again.

use super::*;
use crate::engine::board::FIRST;
use crate::engine::{Case, Scenario};

/// What can have happened, apart from what the board says.
#[derive(Clone, Copy, Default)]
pub(super) struct Story {
    /// Messages that the dead may have taken along, at most.
    pub(super) lost: u32,
    /// Readers that may have died over a message.
    pub(super) readers: usize,
    /// Helpers `0..consumers` sleep in a pop.
    pub(super) consumers: usize,
    /// Helpers `0..producers` sleep in a push.
    pub(super) producers: usize,
    /// All helpers.
    pub(super) helpers: usize,
    /// The first victim is no victim but a bystander: it pops, or pushes.
    pub(super) bystander: Option<Side>,
    /// The queue is closed, or about to be.
    pub(super) closes: bool,
    /// The producers that sleep have large messages.
    pub(super) large: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Consumer,
    Producer,
}

impl Story {
    /// The sleepers of one side.
    fn sleepers(self, side: Side) -> impl Iterator<Item = usize> {
        let n = if side == Side::Consumer { self.consumers } else { self.producers };
        (0..n).chain((self.bystander == Some(side)).then_some(FIRST))
    }

    /// How many of them have not come to their end.
    fn asleep(self, part: &Part, side: Side) -> usize {
        self.sleepers(side).filter(|&i| !part.is_over(i)).count()
    }

    fn verify<L: Line>(self, w: &World<L>, part: &Part) -> Check {
        let mut ledger = Ledger::default();
        let closed = w.queue.is_closed();
        ensure!(closed || part.fact(CLOSED).load(SeqCst) == 0, "a close that came back is not there");
        self.settle(part, 0, "asleep beside a message", || closed || !w.queue.is_empty())?;
        self.check_room(w, part)?;
        part.ready(); // the clock of the recovery starts here
        for i in self.sleepers(Side::Consumer).chain(self.sleepers(Side::Producer)) {
            if part.fact(GOT_AT + i).load(SeqCst) != 0 {
                part.served(i, part.fact(GOT_AT + i).load(SeqCst));
            }
        }
        if closed || self.closes {
            ensure!(w.queue.close().is_ok(), "close failed");
        } else {
            self.feed(w, part, &mut ledger)?;
        }
        self.drain(w, part, &mut ledger)?;
        self.balance(w, part, &ledger)?;
        if !w.queue.is_closed() {
            takes_exactly_its_capacity(w)?;
            takes_exactly_its_capacity(w)?;
        }
        Ok(())
    }

    /// Producers must not sleep while there is room. That a dead producer's place is room, they find out themselves: so what
    /// counts is what a push finds.
    fn check_room<L: Line>(self, w: &World<L>, part: &Part) -> Check {
        let closed = w.queue.is_closed();
        let soon = os::now() + if closed { 1_500_000_000 } else { 400_000_000 };
        while self.asleep(part, Side::Producer) > 0 && (closed || w.queue.looks_free(part, self.large)) {
            if os::now() > soon {
                ensure!(!closed && !w.queue.takes(950, self.large), "asleep beside free room");
                break;
            }
            os::yield_now();
        }
        Ok(())
    }

    /// While there is something for them, the sleeping consumers must come, until `left` of them are left.
    fn settle(self, part: &Part, left: usize, what: &str, due: impl Fn() -> bool) -> Check {
        let deadline = os::now() + 1_500_000_000;
        while self.asleep(part, Side::Consumer) > left && due() {
            ensure!(os::now() < deadline, "{what}");
            os::yield_now();
        }
        Ok(())
    }

    /// Gives consumers that rightly sleep something to eat, one after the other.
    fn feed<L: Line>(self, w: &World<L>, part: &Part, ledger: &mut Ledger) -> Check {
        for tag in 901.. {
            let hungry = self.asleep(part, Side::Consumer);
            if hungry == 0 {
                break;
            }
            let pushed = w.queue.push_timeout(tag, Duration::from_millis(1500));
            ensure!(pushed.is_ok(), "the verifier's push timed out");
            ledger.sure.push(tag);
            self.settle(part, hungry - 1, "asleep beside the verifier's message", || true)?;
        }
        Ok(())
    }

    /// Pops until nothing is left and all sleepers are over.
    fn drain<L: Line>(self, w: &World<L>, part: &Part, ledger: &mut Ledger) -> Check {
        let deadline = os::now() + 1_500_000_000;
        loop {
            let everybody = (0..self.helpers).chain(self.bystander.map(|_| FIRST));
            let all_over = everybody.into_iter().all(|i| part.is_over(i));
            let popped = w.queue.try_pop();
            part.recovered();
            match popped {
                Ok(popped) => ledger.drained.push(popped),
                Err(e) if e.kind() == ErrorKind::Closed => {
                    ensure!(w.queue.is_closed(), "called closed for no reason");
                    if all_over {
                        return Ok(());
                    }
                }
                Err(e) => {
                    ensure!(e.kind() == ErrorKind::Empty, "try_pop: {e:?}");
                    if all_over {
                        return Ok(());
                    }
                }
            }
            ensure!(os::now() < deadline, "cannot be emptied, or somebody sleeps on");
        }
    }

    fn balance<L: Line>(self, w: &World<L>, part: &Part, ledger: &Ledger) -> Check {
        let mut out = ledger.drained.clone();
        let mut sure: Vec<u64> = (1..=w.filled).chain(ledger.sure.iter().copied()).collect();
        sure.extend(said(part, PUSHED));
        let returned: Vec<(u64, bool)> = said(part, POPPED).into_iter().map(unpacked).collect();
        out.extend(&returned);
        for i in (0..self.helpers).chain(self.bystander.map(|_| FIRST)) {
            let (got, put) = (part.fact(GOT + i).load(SeqCst), part.fact(PUT + i).load(SeqCst));
            out.extend((got != 0 && got != TOLD_CLOSED).then(|| unpacked(got)));
            sure.extend([put & 0xffff, put >> 16].iter().filter(|&&tag| tag != 0));
        }
        let count = |tag: u64| out.iter().filter(|o| o.0 == tag).count();
        let lost = sure.iter().filter(|&&tag| count(tag) == 0).count() as u32;
        ensure!(lost <= self.lost, "{lost} acknowledged messages are gone: {sure:?} -> {out:?}");
        for &(tag, flagged) in &out {
            ensure!(tag != TORN, "a torn message came out");
            ensure!(count(tag) == 1, "message {tag} came out {} times: {out:?}", count(tag));
            let tried = (101..=119).contains(&tag);
            ensure!(tried || sure.contains(&tag), "message {tag} came from nowhere");
            let after = tried && tag % 10 > 1;
            ensure!(!after || count(tag - 1) == 1 || self.lost > 0, "message {tag} without the one before");
            ensure!(!flagged || self.readers > 0, "message {tag} is called redelivered, but no reader died");
        }
        let flagged = out.iter().filter(|o| o.1).count();
        ensure!(flagged <= self.readers, "{flagged} redelivered, {} readers dead", self.readers);
        let read_by_the_dead = self.readers > 0 && L::READING.iter().any(|window| part.killed_in(window));
        ensure!(
            !read_by_the_dead || flagged > 0,
            "the dead was reading, and nothing is called redelivered: {out:?}, returned {returned:?}, acknowledged {sure:?}"
        );
        for from in [0, 100, 110, 900] {
            let tags = ledger.drained.iter().map(|d| d.0).filter(|t| (from..from + 10).contains(t));
            ensure!(tags.is_sorted(), "out of order: {:?}", ledger.drained);
        }
        part.count_lost(lost);
        part.count_redelivered(flagged as u32);
        Ok(())
    }

    pub(super) fn ends<L: Line>(self, case: Case<World<L>>) -> Box<dyn Scenario> {
        case.verify(move |w, part| self.verify(w, part))
    }

    /// A reader may die: it may take one message along, or leave one to be redelivered.
    pub(super) fn popping() -> Story {
        Story { lost: 1, readers: 1, ..Story::default() }
    }

    pub(super) fn pushing() -> Story {
        Story::default()
    }

    /// A message is put back: it is not lost, and may be called redelivered.
    pub(super) fn putting_back() -> Story {
        Story { readers: 1, ..Story::default() }
    }
}

/// What the verifier popped, and pushed.
#[derive(Default)]
struct Ledger {
    drained: Vec<(u64, bool)>,
    sure: Vec<u64>,
}

fn takes_exactly_its_capacity<L: Line>(w: &World<L>) -> Check {
    w.queue.is_whole()?;
    for tag in 401..=400 + L::CAPACITY {
        ensure!(w.queue.try_push(tag).is_ok(), "room for {} of {} only", tag - 401, L::CAPACITY);
    }
    let refused = w.queue.try_push(499).map_err(|e| e.kind());
    ensure!(refused == Err(ErrorKind::Full) && w.queue.is_full(), "one more than its capacity: {refused:?}");
    for tag in 401..=400 + L::CAPACITY {
        let popped = w.queue.try_pop();
        ensure!(popped == Ok((tag, false)), "{popped:?} instead of {tag}");
    }
    ensure!(w.queue.try_pop().is_err_and(|e| e.kind() == ErrorKind::Empty), "a message too many");
    w.queue.is_whole()
}
