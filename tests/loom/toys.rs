//! Toys that try the model itself: small algorithms that are known to be right, and ways to break them.

use crate::runner::{Model, mutant};
use interproc::Deadline;
use interproc::atomic::{AtomicU32, AtomicU64, Ordering};
use interproc::sys::model::{
    Bounds, Death, Outcome, RobustList, allow_timeouts, check, for_every_death, is_gone, spread_net, thread,
    until_asleep,
};
use interproc::sys::{FUTEX_OWNER_DIED, FUTEX_WAITERS, Watch, Woken, Word, futex};
use loom::cell::UnsafeCell;
use std::rc::Rc;
use std::time::Duration;

pub const MODELS: &[Model] = &[
    Model {
        name: "toy: two threads share a mutex of three states",
        run: || check(Bounds::default(), || mutex(2)),
        catches: &["toy-mutex-no-wake", "toy-mutex-no-announce", "toy-mutex-relaxed-unlock"],
    },
    Model {
        name: "toy: three threads share a mutex of three states",
        run: || check(Bounds::default(), || mutex(3)),
        catches: &["toy-mutex-no-wake", "toy-mutex-forgets-waiters", "toy-mutex-relaxed-unlock"],
    },
    Model {
        name: "toy: an event wakes two sleepers",
        run: || check(Bounds::default(), event),
        catches: &[
            "toy-event-no-wake",
            "toy-event-wake-one",
            "toy-event-no-recheck",
            "toy-event-relaxed-set",
        ],
    },
    Model {
        name: "toy: the heir of a dead owner is woken by its slot",
        run: || for_every_death(Bounds::default(), false, owner),
        catches: &["toy-owner-no-slot-watch", "toy-owner-slot-without-waiters", "toy-owner-not-linked"],
    },
    Model {
        name: "toy: a dead worker's bell wakes who sleeps",
        run: || for_every_death(Bounds::default(), false, bell),
        catches: &["toy-bell-not-pended", "toy-bell-early-unpend"],
    },
    Model {
        name: "toy: a bell may ring before its sleeper has queued",
        run: || for_every_death(Bounds::default(), false, early_bell),
        catches: &["toy-bell-only"],
    },
    Model {
        name: "toy: a late sleeper has missed the bell",
        run: || check(Bounds::default(), late),
        catches: &["toy-late-bell-only"],
    },
    Model {
        name: "toy: the net finds the death that nobody reports",
        run: || for_every_death(Bounds::default(), true, net),
        catches: &["toy-net-missing"],
    },
    Model {
        name: "toy: a sleep that times out took no wake-up along",
        run: || {
            let report = check(Bounds::default(), timeout);
            assert_eq!(SEEN.load(std::sync::atomic::Ordering::Relaxed), 7, "not every result was tried");
            report
        },
        catches: &[],
    },
    Model {
        name: "toy: a woken sleeper swallows a second wake-up until it runs",
        run: || {
            let report = check(Bounds::default(), swallow);
            assert_eq!(SEEN.load(std::sync::atomic::Ordering::Relaxed), 3, "not every result was tried");
            report
        },
        catches: &[],
    },
    Model {
        name: "toy: an unreported death is not reported",
        run: || for_every_death(Bounds::default(), true, unreported),
        catches: &[],
    },
    Model {
        name: "toy: two threads with one tid in two namespaces are not mixed up",
        run: || for_every_death(Bounds::default(), false, namespaces),
        catches: &["toy-namespaces-early-link"],
    },
];

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// A live slot.
fn slot(tid: u32) -> &'static AtomicU64 {
    let waiters = if mutant("toy-owner-slot-without-waiters") { 0 } else { FUTEX_WAITERS };
    leak(AtomicU64::new(1 << 32 | u64::from(waiters | tid)))
}

fn is_dead(slot: u64) -> bool {
    slot as u32 & FUTEX_OWNER_DIED != 0
}

fn sleep(word: &AtomicU32, expected: u32) -> Woken {
    futex::wait(&[Watch { word: Word::Whole(word), expected }], None)
}

/// A word, and data that it guards: loom's cell panics when a reader and a writer are not ordered.
struct Guarded {
    word: AtomicU32,
    data: UnsafeCell<u32>,
}

impl Guarded {
    fn new() -> Rc<Guarded> {
        Rc::new(Guarded { word: AtomicU32::new(0), data: UnsafeCell::new(0) })
    }

    #[allow(unsafe_code)]
    fn add(&self, n: u32) {
        // SAFETY: loom checks that nobody else accesses it.
        self.data.with_mut(|data| unsafe { *data += n });
    }

    #[allow(unsafe_code)]
    fn get(&self) -> u32 {
        // SAFETY: loom checks that nobody writes to it.
        self.data.with(|data| unsafe { *data })
    }
}

/// Drepper's second mutex: 0 free, 1 held, 2 held and waited for.
fn mutex(threads: u32) {
    let shared = Guarded::new();
    let others: Vec<_> = (1..threads)
        .map(|tid| {
            let shared = shared.clone();
            thread(tid, Death::NEVER, move || lock_add_unlock(&shared))
        })
        .collect();
    lock_add_unlock(&shared);
    for other in others {
        other.join();
    }
    assert_eq!(shared.get(), threads);
}

fn lock_add_unlock(shared: &Guarded) {
    let word = &shared.word;
    let mut mine = 1;
    while word.compare_exchange(0, mine, Ordering::Acquire, Ordering::Relaxed).is_err() {
        if mutant("toy-mutex-no-announce") {
            sleep(word, 1);
            continue;
        }
        // Only the compare-exchange above takes the lock, so that there is one place that says how.
        let announced = word.load(Ordering::Relaxed) == 2
            || word.compare_exchange(1, 2, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if announced {
            mine = if mutant("toy-mutex-forgets-waiters") { 1 } else { 2 };
            sleep(word, 2);
        }
    }
    shared.add(1);
    let release = if mutant("toy-mutex-relaxed-unlock") { Ordering::Relaxed } else { Ordering::Release };
    if word.swap(0, release) == 2 && !mutant("toy-mutex-no-wake") {
        futex::wake(Word::Whole(word), 1);
    }
}

/// 0 not set, 1 set; two sleepers, one setter.
fn event() {
    let shared = Guarded::new();
    let sleepers: Vec<_> = (1..=2)
        .map(|tid| {
            let shared = shared.clone();
            thread(tid, Death::NEVER, move || {
                while shared.word.load(Ordering::Acquire) == 0 {
                    let unchecked = mutant("toy-event-no-recheck");
                    sleep(&shared.word, if unchecked { shared.word.load(Ordering::Acquire) } else { 0 });
                }
                assert_eq!(shared.get(), 5);
            })
        })
        .collect();
    shared.add(5);
    let order = if mutant("toy-event-relaxed-set") { Ordering::Relaxed } else { Ordering::Release };
    shared.word.store(1, order);
    if !mutant("toy-event-no-wake") {
        futex::wake(Word::Whole(&shared.word), if mutant("toy-event-wake-one") { 1 } else { u32::MAX });
    }
    for sleeper in sleepers {
        sleeper.join();
    }
}

/// The owner holds a lock from the start until it sets 0 or dies; the heir waits for either.
fn owner(death: Death) {
    let word = leak(AtomicU32::new(1));
    let slot = slot(7);
    let data = leak(AtomicU32::new(0));
    let victim = thread(7, death, move || {
        let list = RobustList::current();
        if !mutant("toy-owner-not-linked") {
            list.link(slot);
        }
        data.store(1, Ordering::Relaxed);
        data.store(2, Ordering::Relaxed);
        word.store(0, Ordering::Release);
        futex::wake(Word::Whole(word), 1);
        list.unlink(slot);
        slot.store(0, Ordering::Release);
    });
    let heir = thread(8, Death::NEVER, move || {
        loop {
            if word.load(Ordering::Acquire) == 0 {
                return Some(data.load(Ordering::Relaxed));
            }
            let life = slot.load(Ordering::Acquire);
            if is_dead(life) {
                return None;
            }
            let watches = [
                Watch { word: Word::Whole(word), expected: 1 },
                Watch { word: Word::Low(slot), expected: life as u32 },
            ];
            futex::wait(if mutant("toy-owner-no-slot-watch") { &watches[..1] } else { &watches }, None);
        }
    });
    if death.at == Some(0) {
        // Dead before it was linked, which the kernel does not tell.
        tell(slot);
    }
    victim.join();
    if let Some(seen) = heir.join().finished().expect("the heir lives") {
        assert_eq!(seen, 2);
    }
}

/// A second channel: marks a slot and wakes one.
fn tell(slot: &AtomicU64) {
    slot.store(u64::from(FUTEX_OWNER_DIED), Ordering::Release);
    futex::wake(Word::Low(slot), 1);
}

/// A worker releases something and then wakes; the bell covers its death in between.
fn bell(death: Death) {
    let taken = leak(AtomicU32::new(1));
    let bell = leak(AtomicU32::new(0));
    let over = leak(AtomicU32::new(0));
    let worker = thread(7, death, move || {
        let list = RobustList::current();
        let pending = (!mutant("toy-bell-not-pended")).then(|| list.pend(list.node_of(bell)));
        taken.store(0, Ordering::Release);
        if mutant("toy-bell-early-unpend") {
            pending.into_iter().for_each(|p| list.unpend(p));
            futex::wake(Word::Whole(taken), 1);
        } else {
            futex::wake(Word::Whole(taken), 1);
            pending.into_iter().for_each(|p| list.unpend(p));
        }
    });
    let sleeper = thread(8, Death::NEVER, move || {
        while taken.load(Ordering::Acquire) == 1 && over.load(Ordering::Acquire) == 0 {
            let watches = [
                Watch { word: Word::Whole(taken), expected: 1 },
                Watch { word: Word::Whole(bell), expected: 0 },
                Watch { word: Word::Whole(over), expected: 0 },
            ];
            futex::wait(&watches, None);
        }
    });
    worker.join();
    if taken.load(Ordering::Relaxed) == 1 {
        // It died before it did anything: let the sleeper go.
        over.store(1, Ordering::Release);
        futex::wake(Word::Whole(over), 1);
    }
    sleeper.join();
}

/// The bell's word never changes: a sleeper that looked before the death and queues after the ring needs another
/// word that tells.
fn early_bell(death: Death) {
    let bell = leak(AtomicU32::new(0));
    let slot = slot(7);
    let worker = thread(7, death, move || {
        let list = RobustList::current();
        list.link(slot);
        let _ = list.pend(list.node_of(bell));
    });
    if death.at == Some(0) {
        worker.join();
        return;
    }
    let sleeper = thread(8, Death::NEVER, move || {
        loop {
            let life = slot.load(Ordering::Acquire);
            if is_dead(life) {
                return;
            }
            let watches = [
                Watch { word: Word::Whole(bell), expected: 0 },
                Watch { word: Word::Low(slot), expected: life as u32 },
            ];
            futex::wait(if mutant("toy-bell-only") { &watches[..1] } else { &watches }, None);
        }
    });
    worker.join();
    sleeper.join();
}

/// Between its look and its sleep a sleeper may be late; then only a word that has changed tells.
fn late() {
    let told = leak(AtomicU32::new(0));
    let other = leak(AtomicU32::new(0));
    let bell = leak(AtomicU32::new(0));
    let teller = thread(7, Death::NEVER, move || {
        told.fetch_or(1, Ordering::AcqRel);
        futex::wake(Word::Whole(bell), 1);
    });
    // An exchange reads no old value: only the order of the ring and the queueing is left to go wrong.
    while told.fetch_or(0, Ordering::AcqRel) == 0 {
        other.fetch_add(1, Ordering::Relaxed);
        let watches =
            [Watch { word: Word::Whole(bell), expected: 0 }, Watch { word: Word::Whole(told), expected: 0 }];
        futex::wait(if mutant("toy-late-bell-only") { &watches[..1] } else { &watches }, None);
    }
    teller.join();
}

/// A sleep on an owner whose death nobody reports ends in the net, and the second channel tells.
fn net(death: Death) {
    spread_net();
    let slot = slot(7);
    let victim = thread(7, death, move || {
        let list = RobustList::current();
        list.link(slot);
    });
    let mut life = slot.load(Ordering::Acquire);
    while !is_dead(life) {
        let net = (!mutant("toy-net-missing")).then(|| Deadline::after(Duration::from_millis(50)));
        let woken = futex::wait(&[Watch { word: Word::Low(slot), expected: life as u32 }], net);
        if woken == Woken::TimedOut && is_gone(7) {
            slot.store(u64::from(FUTEX_OWNER_DIED), Ordering::Release);
        }
        life = slot.load(Ordering::Acquire);
    }
    victim.join();
}

/// A sleep that may time out was either woken or took no wake-up along.
fn timeout() {
    allow_timeouts(1);
    let word = leak(AtomicU32::new(0));
    let waker = thread(7, Death::NEVER, move || {
        word.store(1, Ordering::Release);
        futex::wake(Word::Whole(word), 1)
    });
    let soon = Some(Deadline::after(Duration::from_millis(1)));
    let woken = futex::wait(&[Watch { word: Word::Whole(word), expected: 0 }], soon);
    let count = waker.join().finished().expect("it lives");
    assert_eq!(count == 1, woken == Woken::By(0), "{woken:?}");
    let seen = match woken {
        Woken::By(_) => 1,
        Woken::TimedOut => 2,
        _ => 4,
    };
    SEEN.fetch_or(seen, std::sync::atomic::Ordering::Relaxed);
}

/// A sleeper on two words is told of the last of those that woke it.
fn swallow() {
    let words = leak([AtomicU32::new(0), AtomicU32::new(0)]);
    let sleeper = thread(7, Death::NEVER, move || {
        let watches = [0, 1].map(|i| Watch { word: Word::Whole(&words[i]), expected: 0 });
        futex::wait(&watches, None)
    });
    until_asleep(1);
    assert_eq!(futex::wake(Word::Whole(&words[0]), 1), 1);
    let swallowed = futex::wake(Word::Whole(&words[1]), 1);
    assert_eq!(futex::wake(Word::Whole(&words[0]), 1), 0);
    assert_eq!(sleeper.join(), Outcome::Finished(Woken::By(swallowed as usize)));
    SEEN.fetch_or(1 << swallowed, std::sync::atomic::Ordering::Relaxed);
}

/// Which results [`timeout`] or [`swallow`] has seen.
static SEEN: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// The end of a thread that nobody killed is always marked; an unreported death never.
fn unreported(death: Death) {
    let slot = slot(7);
    let end = thread(7, death, move || RobustList::current().link(slot)).join();
    assert_eq!(is_dead(slot.load(Ordering::Relaxed)), end == Outcome::Finished(()));
}

/// Both race for one slot; each links only what it owns, so the death of one never marks the other's claim.
fn namespaces(death: Death) {
    const CLAIMED: u64 = FUTEX_WAITERS as u64;
    const LIVE: u64 = FUTEX_WAITERS as u64 | 7;
    let slot = leak(AtomicU64::new(0));
    let register = move || {
        let list = RobustList::current();
        let early = mutant("toy-namespaces-early-link");
        if early {
            list.link(slot);
        }
        if slot.compare_exchange(0, CLAIMED, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        if !early {
            list.link(slot);
        }
        slot.store(LIVE, Ordering::Release);
        true
    };
    let victim = thread(7, death, register);
    let other = thread(7, Death::NEVER, move || {
        if register() {
            assert_eq!(slot.load(Ordering::Relaxed), LIVE, "a live member was marked dead");
            RobustList::current().unlink(slot);
        }
    });
    victim.join();
    other.join();
}
