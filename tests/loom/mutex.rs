//! [`RawMutex`] under all interleavings, with its holders and waiters killed at every step.

use crate::runner::Model;
use crate::support::{Data, Place, leak};
use interproc::Deadline;
use interproc::ErrorKind;
use interproc::raw::member::Member;
use interproc::raw::sync::{Acquired, RawMutex};
use interproc::sys::model::{
    Bounds, Death, Outcome, allow_timeouts, check, for_every_death, pause, spread_net,
};
use interproc::sys::{Word, futex};
use std::time::Duration;

pub const MODELS: &[Model] = &[
    Model {
        name: "mutex: two threads exclude each other",
        run: || check(Bounds::default(), || exclusion(2)),
        catches: &["unlock-no-wake", "want-no-look", "want-no-watch", "no-want-fence"],
    },
    Model {
        name: "mutex: three threads exclude each other",
        run: || check(Bounds::default(), || exclusion(3)),
        catches: &["unlock-no-wake", "sleeper-forgets-waiters"],
    },
    Model {
        name: "mutex: two guards exclude each other",
        run: || check(Bounds::default(), guards),
        catches: &["guard-relaxed", "unlock-no-wake"],
    },
    Model {
        name: "mutex: a dead holder's lock goes to the next, who is told",
        run: || for_every_death(Bounds::default(), false, |death| heirs(death, 1)),
        catches: &["no-owner-watch", "inherit-not-dirty"],
    },
    Model {
        name: "mutex: a dead holder's lock goes to both others",
        run: || for_every_death(Bounds::default(), false, |death| heirs(death, 2)),
        catches: &[],
    },
    Model {
        name: "mutex: the heir of a dead holder may die anywhere",
        run: || for_every_death(Bounds::default(), false, heir),
        catches: &["death-not-passed-on"],
    },
    Model {
        name: "mutex: a contender may die anywhere",
        run: || for_every_death(Bounds::default(), false, |death| contender(death, false)),
        catches: &["unlock-no-bell"],
    },
    Model {
        name: "mutex: a contender with a guard may die anywhere",
        run: || for_every_death(Bounds::default(), false, |death| contender(death, true)),
        catches: &["unlock-no-bell", "unlock-no-wake"],
    },
    Model {
        name: "mutex: who inherits and does not repair makes it unusable for all",
        run: || for_every_death(Bounds::default(), false, unrepaired),
        catches: &[],
    },
    Model {
        name: "mutex: who inherits and hands it back leaves the news to the next",
        run: || for_every_death(Bounds::default(), false, handed_back),
        catches: &["hand-back-no-wake"],
    },
    Model {
        name: "mutex: who gives up takes no wake-up along",
        run: || check(Bounds::default(), gives_up),
        catches: &["unlock-no-wake"],
    },
    Model {
        name: "mutex: a death that nobody reports is found by the net",
        run: || for_every_death(Bounds::default(), true, unreported),
        catches: &[],
    },
];

/// A lock and what it guards: a pair that is equal while nobody holds the lock.
struct Guarded {
    lock: RawMutex,
    left: Data,
    right: Data,
}

impl Guarded {
    fn leak() -> &'static Guarded {
        leak(Guarded { lock: RawMutex::new(), left: Data::new(), right: Data::new() })
    }

    /// Locks, repairs if told to, adds one to both, unlocks. Whether the pair had to be told of.
    fn add(&self, me: &Member) -> Acquired {
        let how = self.lock.lock(me, None).expect("a lock that is always repaired");
        self.work(me, how);
        how
    }

    fn work(&self, me: &Member, how: Acquired) {
        if how == Acquired::OwnerDied {
            self.right.set(self.left.get());
            self.lock.mark_consistent(me).expect("we inherited it");
        }
        assert_eq!(self.left.get(), self.right.get(), "half-changed, and nobody was told");
        self.left.set(self.left.get() + 1);
        pause();
        self.right.set(self.right.get() + 1);
        self.lock.unlock(me).expect("we hold it");
    }
}

fn exclusion(threads: u64) {
    let place = Place::new(3);
    let guarded = Guarded::leak();
    let others: Vec<_> = (1..threads).map(|_| place.thread(Death::NEVER, |me| guarded.add(me))).collect();
    let me = place.member();
    assert_eq!(guarded.add(&me), Acquired::Clean);
    for other in others {
        assert_eq!(other.join(), Outcome::Finished(Acquired::Clean));
    }
    assert_eq!(guarded.left.get(), threads);
}

/// [`exclusion`] of two whose unlocking is an exchange.
fn guards() {
    let place = Place::new(2);
    let guarded = Guarded::leak();
    let work = move |me: &Member| {
        assert_eq!(guarded.lock.lock(me, None).expect("nobody dies"), Acquired::Clean);
        guarded.left.set(guarded.left.get() + 1);
        guarded.lock.unlock(me).expect("held");
    };
    let other = place.thread(Death::NEVER, work);
    work(&place.member());
    other.join();
    assert_eq!(guarded.left.get(), 2);
}

/// The victim has the lock from the start, so nobody watches an earlier owner.
fn heirs(death: Death, heirs: u64) {
    let place = Place::new(3);
    let guarded = Guarded::leak();
    let id = place.join();
    let victim = {
        let me = Member::modelled(place.table, id);
        let how = guarded.lock.lock(&me, None).expect("free");
        place.thread_of(id, death, move |me| guarded.work(me, how))
    };
    let others: Vec<_> = (1..heirs).map(|_| place.thread(Death::NEVER, |me| guarded.add(me))).collect();
    let mut told = u64::from(guarded.add(&place.member()) == Acquired::OwnerDied);
    for other in others {
        told += u64::from(other.join().finished() == Some(Acquired::OwnerDied));
    }
    match victim.join() {
        Outcome::Finished(()) => assert_eq!((told, guarded.left.get()), (0, heirs + 1)),
        Outcome::Died => assert!(told <= 1 && guarded.left.get() >= heirs),
    }
}

/// The victim comes to a lock that is held, by one who lives, while a third waits.
fn contender(death: Death, guard: bool) {
    let place = Place::new(3);
    let guarded = Guarded::leak();
    let me = place.member();
    let how = guarded.lock.lock(&me, None).expect("free");
    let id = place.join();
    let victim = place.thread_of(id, death, move |me| {
        let _ = guarded.lock.lock(me, None).expect("nobody else dies");
        if guard {
            guarded.lock.unlock(me).expect("held");
        } else {
            guarded.lock.unlock(me).expect("we hold it");
        }
    });
    let other = place.thread(Death::NEVER, |me| guarded.add(me));
    guarded.work(&me, how);
    if victim.join() == Outcome::Died && guarded.lock.owner() == Some(id) {
        // MX-f, where the net is promised and no more: the other may still watch us.
        futex::wake(Word::Low(place.table.slot(me.id().slot()).expect("ours")), u32::MAX);
    }
    other.join();
    assert_eq!(guarded.left.get(), 2);
}

/// The holder dies, and so may the heir.
fn heir(death: Death) {
    let place = Place::new(3);
    let guarded = Guarded::leak();
    let id = place.join();
    let _ = guarded.lock.lock(&Member::modelled(place.table, id), None).expect("free");
    let holder = place.thread_of(id, Death::AT_ONCE, |_| ());
    let victim = place.thread(death, |me| guarded.add(me));
    let me = place.member();
    let mine = guarded.add(&me);
    assert_eq!(holder.join(), Outcome::Died);
    match victim.join() {
        Outcome::Finished(his) => {
            assert!((his == Acquired::OwnerDied) != (mine == Acquired::OwnerDied), "one death, one heir");
            assert_eq!(guarded.left.get(), 2);
        }
        // It may have been told, or have finished.
        Outcome::Died => assert!(guarded.left.get() >= 1),
    }
}

/// The first heir does not repair; whatever happens to it, everybody else is refused or inherits.
fn unrepaired(death: Death) {
    let place = Place::new(4);
    let guarded = Guarded::leak();
    let dead = Member::modelled(place.table, place.join());
    let _ = guarded.lock.lock(&dead, None).expect("free");
    let ghost = place.thread_of(dead.id(), Death::AT_ONCE, |_| ());
    ghost.join();
    let victim = place.thread(death, |me| {
        let how = guarded.lock.lock(me, None);
        if how.is_ok() {
            guarded.lock.unlock(me).expect("we hold it");
        }
        how.ok()
    });
    let me = place.member();
    let mine = guarded.lock.lock(&me, None);
    if let Ok(how) = mine {
        assert_eq!(how, Acquired::OwnerDied);
        guarded.lock.unlock(&me).expect("we hold it");
    }
    let end = victim.join();
    let both = [mine.is_ok(), end == Outcome::Finished(Some(Acquired::OwnerDied))];
    assert!(both != [true, true], "two have inherited one death");
    if let Outcome::Finished(_) = end {
        let again = guarded.lock.try_lock(&me).expect_err("nobody repaired it");
        assert_eq!(again.kind(), ErrorKind::NotRecoverable);
    }
}

/// Nobody repairs, all hand it back: each is told, whatever happens to the others.
fn handed_back(death: Death) {
    let place = Place::new(4);
    let guarded = Guarded::leak();
    let dead = Member::modelled(place.table, place.join());
    let _ = guarded.lock.lock(&dead, None).expect("free");
    let ghost = place.thread_of(dead.id(), Death::AT_ONCE, |_| ());
    ghost.join();
    let told = |me: &Member| {
        let how = guarded.lock.lock(me, None).expect("recoverable");
        assert_eq!(how, Acquired::OwnerDied, "the news was lost");
        guarded.lock.unlock_keeping_news(me).expect("we hold it");
    };
    let victim = place.thread(death, told);
    let me = place.member();
    told(&me);
    victim.join();
    told(&me);
}

/// One of two waiters may time out; the lock is always given on.
fn gives_up() {
    allow_timeouts(1);
    let place = Place::new(3);
    let guarded = Guarded::leak();
    let hasty = place.thread(Death::NEVER, |me| {
        match guarded.lock.lock(me, Some(Deadline::after(Duration::from_millis(1)))) {
            Ok(how) => guarded.work(me, how),
            Err(e) => assert_eq!(e.kind(), ErrorKind::TimedOut),
        }
    });
    let patient = place.thread(Death::NEVER, |me| guarded.add(me));
    let _ = guarded.add(&place.member());
    hasty.join();
    patient.join();
    assert!(guarded.left.get() >= 2);
}

/// As [`heirs`], but the kernel says nothing.
fn unreported(death: Death) {
    spread_net();
    let place = Place::new(2);
    let guarded = Guarded::leak();
    let id = place.join();
    let how = guarded.lock.lock(&Member::modelled(place.table, id), None).expect("free");
    let victim = place.thread_of(id, death, move |me| guarded.work(me, how));
    let told = guarded.add(&place.member());
    if victim.join() != Outcome::Died {
        assert_eq!(told, Acquired::Clean);
    }
}
