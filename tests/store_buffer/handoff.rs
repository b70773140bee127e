//! How a mutex is released by a plain store (`src/member/handoff.rs`, `RawMutex::contend`): who wants to sleep says so in
//! the holder's own page and passes the heavy fence; the holder looks at its page *behind its store and without a fence*.
//!
//! | thread | steps |
//! |---|---|
//! | unlocker | lock := 0 (buffered) · load its page's word; if something is wanted: where fences are full, fence and look again; clear it (locked) · count the answer (buffered) · futex wake |
//! | unlocker that has slept | lock := 0 (locked) · futex wake · then as above |
//! | sleeper | load the lock · load the count of answers · announce (locked) · membarrier, or its own fence · does it stand? · load the lock again · futex wait on the lock, the answers and the holder's life |
//!
//! Everybody begins with a lock that the first thread holds; threads lock so many times. Property: nobody is in
//! the section beside another, and where nothing moves nobody sleeps for a free lock or, if it alone waits, for a
//! dead holder's. (Where two wait there is the stale watch, MX-f of `RawMutex`: the net's.)
//!
//! Where fences are full the sleeper's own has no mutant here: the announcement is a locked operation, on these processors a
//! fence already. The models' `no-want-fence` takes it away.

use crate::machine::{Memory, Protocol, check};

/// In the lock: who released it cannot know who sleeps. Beside the holder's number, from 1.
const WAITERS: u8 = 0x80;
/// In a page's word.
const WANTED: u8 = 1;
const MANY: u8 = 2;
const STRONG: u8 = 4;

const LOCK: usize = 0;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Mutant {
    None,
    /// The sleeper's fence does not reach the holder.
    NoHeavyFence,
    /// The compiler moves the holder's look before its releasing store.
    NoLightFence,
    /// Where fences are full, the holder has none between its store and its look.
    NoFullFence,
    /// The sleeper does not watch the count of answers.
    NoAnswersWatch,
    /// The sleeper notes the count of answers only when it has looked for the last time.
    AnswersNotedTooLate,
    /// The sleeper does not watch the holder's life.
    NoOwnerWatch,
    /// The holder finds that it is wanted and wakes nobody.
    NoWake,
    /// Who has slept does not say so in the lock.
    NoWaiters,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum At {
    Look,
    Take,
    NoteAnswers,
    Announce,
    HeavyFence,
    Stands,
    LookAgain,
    Sleep,
    Inside,
    /// What the compiler has moved before the release.
    EarlyLook,
    Release,
    Woke,
    IsWanted,
    FullFence,
    Tell,
    Answer,
    Wake,
    Ended,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Thread {
    at: At,
    turns: u8,
    /// `WAITERS`, once it has slept.
    mine: u8,
    /// The lock as it saw it.
    seen: u8,
    answers: u8,
    /// What it found in its own page.
    wanted: u8,
    /// On the slow way, or releasing with `WAITERS`: its death rings the bell.
    pending: bool,
    asleep: bool,
    killed: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    memory: Memory,
    threads: Vec<Thread>,
    kills: u8,
    full_fences: bool,
    mutant: Mutant,
}

/// Threads, how often each locks, deaths; what the holder's page says at first; whether fences are full.
type Shape = (usize, u8, u8, u8, bool);

impl State {
    fn new((threads, turns, kills, wanted, full_fences): Shape, mutant: Mutant) -> State {
        let strong = if full_fences { STRONG } else { 0 };
        let mut words = vec![1];
        words.extend((0..threads).map(|n| strong | if n == 0 { wanted } else { 0 }));
        words.extend((0..threads).map(|_| 0));
        let thread = |n: usize| Thread {
            at: if n == 0 { At::Inside } else { At::Look },
            turns: if n == 0 { turns } else { 1 },
            mine: 0,
            seen: 0,
            answers: 0,
            wanted: 0,
            pending: false,
            asleep: false,
            killed: false,
        };
        State {
            memory: Memory::new(words, threads),
            threads: (0..threads).map(thread).collect(),
            kills,
            full_fences,
            mutant,
        }
    }

    fn page(&self, thread: usize) -> usize {
        1 + thread
    }

    fn answers(&self, thread: usize) -> usize {
        1 + self.threads.len() + thread
    }

    /// Who holds it, by the word.
    fn holder(word: u8) -> Option<usize> {
        (word & !WAITERS).checked_sub(1).map(usize::from)
    }

    fn is_dead(&self, word: u8) -> bool {
        Self::holder(word).is_some_and(|n| self.threads[n].killed)
    }

    fn go(mut self, thread: usize, at: At) -> Vec<State> {
        self.threads[thread].at = at;
        vec![self]
    }

    /// One of those who sleep, whichever, goes on to look.
    fn wake_one(self, thread: usize, then: At) -> Vec<State> {
        let asleep: Vec<usize> = (0..self.threads.len()).filter(|&n| self.threads[n].asleep).collect();
        let woken = |n: usize| {
            let mut s = self.clone();
            s.rouse(n);
            s.go(thread, then)
        };
        if asleep.is_empty() {
            self.clone().go(thread, then)
        } else {
            asleep.into_iter().flat_map(woken).collect()
        }
    }

    fn rouse(&mut self, n: usize) {
        (self.threads[n].asleep, self.threads[n].at) = (false, At::Look);
    }

    fn wake_all(&mut self) {
        (0..self.threads.len())
            .filter(|&n| self.threads[n].asleep)
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|n| self.rouse(n));
    }
}

impl Protocol for State {
    fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn threads(&self) -> usize {
        self.threads.len()
    }

    fn steps(&self, i: usize) -> Vec<State> {
        let me = &self.threads[i];
        if me.killed || me.asleep || me.at == At::Ended {
            return Vec::new();
        }
        let locked = matches!(
            me.at,
            At::Take
                | At::Announce
                | At::Sleep
                | At::Woke
                | At::Tell
                | At::Wake
                | At::HeavyFence
                | At::FullFence
        ) || me.at == At::Release && self.memory.load(i, LOCK) & WAITERS != 0;
        // A fence that a mutant has not got does not wait for the buffer.
        let left_out = me.at == At::FullFence && self.mutant == Mutant::NoFullFence
            || me.at == At::HeavyFence && self.mutant == Mutant::NoHeavyFence;
        if locked && !left_out && !self.memory.is_drained(i) {
            return Vec::new();
        }
        let owner = Self::holder(me.seen);
        let mut s = self.clone();
        match me.at {
            At::Look => {
                let word = self.memory.load(i, LOCK);
                s.threads[i].seen = word;
                s.threads[i].pending |= word != 0;
                if word == 0 || self.is_dead(word) {
                    s.go(i, At::Take)
                } else if word & WAITERS != 0 {
                    s.go(i, At::Sleep)
                } else {
                    s.go(i, At::NoteAnswers)
                }
            }
            At::Take => {
                if s.memory.there(LOCK) != me.seen {
                    return s.go(i, At::Look);
                }
                // From the dead: who else sleeps is not known.
                let waiters = if me.seen == 0 { me.mine } else { WAITERS };
                s.memory.store_locked(i, LOCK, (i as u8 + 1) | waiters);
                s.threads[i].pending = false;
                s.go(i, At::Inside)
            }
            At::NoteAnswers => {
                let owner = owner.expect("held");
                s.threads[i].answers = self.memory.load(i, self.answers(owner));
                s.go(i, At::Announce)
            }
            At::Announce => {
                let page = self.page(owner.expect("held"));
                let word = s.memory.there(page);
                let mark = if word & !STRONG & !WANTED == 0 { WANTED } else { MANY };
                s.memory.store_locked(i, page, word | mark);
                s.go(i, At::HeavyFence)
            }
            At::HeavyFence => {
                if !self.full_fences && self.mutant != Mutant::NoHeavyFence {
                    s.memory.membarrier();
                }
                s.go(i, At::Stands)
            }
            At::Stands => {
                let stands = self.memory.load(i, self.page(owner.expect("held"))) & (WANTED | MANY) != 0;
                s.go(i, if stands { At::LookAgain } else { At::Look })
            }
            At::LookAgain => {
                if self.memory.load(i, LOCK) != me.seen {
                    return s.go(i, At::Look);
                }
                if self.mutant == Mutant::AnswersNotedTooLate {
                    s.threads[i].answers = self.memory.load(i, self.answers(owner.expect("held")));
                }
                s.go(i, At::Sleep)
            }
            At::Sleep => {
                let owner = owner.expect("held");
                if self.mutant != Mutant::NoWaiters {
                    s.threads[i].mine = WAITERS;
                }
                let same = s.memory.there(LOCK) == me.seen;
                let answered = me.seen & WAITERS == 0
                    && s.memory.there(self.answers(owner)) != me.answers
                    && self.mutant != Mutant::NoAnswersWatch;
                let died = self.threads[owner].killed && self.mutant != Mutant::NoOwnerWatch;
                if same && !answered && !died {
                    s.threads[i].asleep = true;
                    return vec![s];
                }
                s.go(i, At::Look)
            }
            At::Inside if self.mutant == Mutant::NoLightFence => s.go(i, At::EarlyLook),
            At::Inside => s.go(i, At::Release),
            At::EarlyLook => {
                s.threads[i].wanted = self.memory.load(i, self.page(i));
                s.go(i, At::Release)
            }
            At::Release => {
                let word = self.memory.load(i, LOCK);
                s.threads[i].seen = word;
                if word & WAITERS != 0 {
                    s.memory.store_locked(i, LOCK, 0);
                    s.threads[i].pending = true;
                    return s.go(i, At::Woke);
                }
                s.memory.store(i, LOCK, 0);
                s.go(i, At::IsWanted)
            }
            At::Woke => s.wake_one(i, At::IsWanted),
            At::IsWanted => {
                let early = self.mutant == Mutant::NoLightFence && me.seen & WAITERS == 0;
                let wanted = if early { me.wanted } else { self.memory.load(i, self.page(i)) };
                let end = if self.full_fences { At::FullFence } else { At::Tell };
                s.go(i, if wanted == 0 { At::Ended } else { end })
            }
            At::FullFence => {
                if self.memory.load(i, self.page(i)) & !STRONG == 0 {
                    return s.go(i, At::Ended);
                }
                s.go(i, At::Tell)
            }
            At::Tell => {
                let word = s.memory.there(self.page(i));
                if word & !STRONG == 0 {
                    return s.go(i, At::Ended);
                }
                s.threads[i].wanted = word;
                s.memory.store_locked(i, self.page(i), word & STRONG);
                s.go(i, At::Answer)
            }
            At::Answer => {
                let count = self.memory.load(i, self.answers(i)).wrapping_add(1);
                s.memory.store(i, self.answers(i), count);
                s.go(i, if self.mutant == Mutant::NoWake { At::Ended } else { At::Wake })
            }
            At::Wake if me.wanted & MANY != 0 => {
                s.wake_all();
                s.go(i, At::Ended)
            }
            At::Wake => s.wake_one(i, At::Ended),
            At::Ended => Vec::new(),
        }
        .into_iter()
        .map(|mut s| {
            s.threads[i].pending &= s.threads[i].at != At::Ended;
            // Once more, if it has a turn left.
            if s.threads[i].at == At::Ended && s.threads[i].turns > 1 {
                s.threads[i].turns -= 1;
                (s.threads[i].at, s.threads[i].mine, s.threads[i].seen) = (At::Look, 0, 0);
            }
            s
        })
        .collect()
    }

    fn death(&self, i: usize) -> Option<State> {
        if self.kills == 0 || self.threads[i].killed || self.threads[i].at == At::Ended {
            return None;
        }
        let mut s = self.clone();
        let rings = self.threads[i].pending;
        s.kills -= 1;
        s.memory.drain(i);
        (s.threads[i].killed, s.threads[i].asleep) = (true, false);
        for n in 0..s.threads.len() {
            let watches = Self::holder(s.threads[n].seen) == Some(i) && self.mutant != Mutant::NoOwnerWatch;
            if s.threads[n].asleep && (watches || rings) {
                s.rouse(n);
            }
        }
        Some(s)
    }

    fn is_wrong(&self) -> bool {
        let inside = |t: &&Thread| matches!(t.at, At::Inside | At::EarlyLook | At::Release) && !t.killed;
        self.threads.iter().filter(inside).count() > 1
    }

    fn is_stuck(&self) -> bool {
        let word = self.memory.there(LOCK);
        let forgotten = word == 0 || self.is_dead(word) && self.threads.len() == 2;
        forgotten && self.threads.iter().any(|t| t.asleep)
    }
}

#[test]
fn nobody_sleeps_for_a_lock_that_was_released_by_a_plain_store() {
    use Mutant::*;
    let mut shapes: Vec<Shape> = Vec::new();
    for full_fences in [false, true] {
        for wanted in [0, WANTED, MANY] {
            let shape = |(threads, turns, kills)| (threads, turns, kills, wanted, full_fences);
            shapes.extend([(2, 1, 0), (2, 2, 0), (2, 2, 1), (3, 1, 0)].map(shape));
        }
    }
    shapes.extend([(3, 2, 0, 0, false), (3, 2, 0, 0, true), (3, 1, 1, 0, false), (3, 1, 1, 0, true)]);
    let mutants = [
        NoHeavyFence,
        NoLightFence,
        NoFullFence,
        NoAnswersWatch,
        AnswersNotedTooLate,
        NoOwnerWatch,
        NoWake,
        NoWaiters,
    ];
    check(&shapes, None, &mutants, State::new);
}
