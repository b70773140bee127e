//! [`RawRwLock`] under all interleavings, with readers and writers killed at every step. A lock has two cells here, and a
//! member room for one hold.

use crate::runner::Model;
use crate::support::{Data, Place, leak};
use interproc::raw::member::Member;
use interproc::raw::sync::{Acquired, RawRwLock};
use interproc::sys::model::{
    Bounds, Death, Outcome, allow_timeouts, check, for_every_death, pause, settle, spread_net,
};
use interproc::{Deadline, ErrorKind};
use std::time::Duration;

/// Three threads with many steps each: two preemptions take a minute.
fn tight() -> Bounds {
    at_most(2)
}

/// The same with a death at each step.
fn tightest() -> Bounds {
    at_most(1)
}

fn at_most(preemptions: usize) -> Bounds {
    let bounds = Bounds::default();
    Bounds { preemptions: bounds.preemptions.min(preemptions), ..bounds }
}

pub const MODELS: &[Model] = &[
    Model {
        name: "rwlock: a reader and a writer exclude each other",
        run: || check(Bounds::default(), || exclusion(false, 1)),
        catches: &["reader-no-fence", "writer-no-fence", "cell-no-wake"],
    },
    Model {
        name: "rwlock: a reader and a writer exclude each other by holds",
        run: || check(Bounds::default(), || exclusion(true, 1)),
        catches: &["hold-no-fence", "hold-no-wake", "holds-sleep-no-fence"],
    },
    Model {
        name: "rwlock: two readers and a writer exclude each other",
        run: || check(tight(), || exclusion(false, 2)),
        catches: &["unlock-no-wake"],
    },
    Model {
        name: "rwlock: two readers and a writer exclude each other by holds",
        run: || check(tightest(), || exclusion(true, 2)),
        catches: &[],
    },
    Model {
        name: "rwlock: a reader without a cell excludes a writer",
        run: || check(Bounds::default(), overflow),
        catches: &["hold-without-kept"],
    },
    Model {
        name: "rwlock: a reader without a cell that has queued excludes a writer",
        run: || check(tightest(), queued_overflow),
        catches: &["overflow-not-kept"],
    },
    Model {
        name: "rwlock: a reader may die anywhere and is folded",
        run: || for_every_death(Bounds::default(), false, |death| reader_dies(death, false, 0)),
        catches: &["dead-reader-stays", "no-owner-watch"],
    },
    Model {
        name: "rwlock: a reader with a hold may die anywhere and is folded",
        run: || for_every_death(Bounds::default(), false, |death| reader_dies(death, true, 0)),
        catches: &["no-owner-watch"],
    },
    Model {
        name: "rwlock: a reader beside another may die anywhere and is folded",
        run: || for_every_death(tightest(), false, |death| reader_dies(death, false, 1)),
        catches: &["dead-reader-stays"],
    },
    Model {
        name: "rwlock: a reader with a hold beside another may die anywhere and is folded",
        run: || for_every_death(tightest(), false, |death| reader_dies(death, true, 1)),
        catches: &[],
    },
    Model {
        name: "rwlock: a reader that queues may die anywhere and is no news",
        run: || for_every_death(tightest(), false, queuing_reader_dies),
        catches: &["passing-is-news"],
    },
    Model {
        name: "rwlock: a writer may die anywhere before a reader",
        run: || for_every_death(Bounds::default(), false, |death| writer_dies(death, false)),
        catches: &["inherit-not-dirty", "no-owner-watch"],
    },
    Model {
        name: "rwlock: a writer may die anywhere before a writer",
        run: || for_every_death(Bounds::default(), false, |death| writer_dies(death, true)),
        catches: &["inherit-not-dirty"],
    },
    Model {
        name: "rwlock: a writer that waits for a reader may die anywhere and is no news",
        run: || for_every_death(tightest(), false, draining_writer_dies),
        catches: &["passing-is-news"],
    },
    Model {
        name: "rwlock: a reader that inherits may die anywhere",
        run: || for_every_death(tightest(), false, heir_dies),
        catches: &["inherit-not-dirty"],
    },
    Model {
        name: "rwlock: a writer that becomes a reader may die anywhere",
        run: || for_every_death(tightest(), false, downgrade),
        catches: &["downgrade-lets-go"],
    },
    Model {
        name: "rwlock: who reads may read once more before a waiting writer",
        run: || check(Bounds::default(), recursion),
        catches: &["no-second-read"],
    },
    Model {
        name: "rwlock: a writer that gives up lets the readers in",
        run: || check(tightest(), gives_up),
        catches: &["unlock-no-wake"],
    },
    Model {
        name: "rwlock: a dead reader's slot may be claimed anew under a writer's eyes",
        run: || check(tightest(), slot_changes_hands),
        catches: &["generation-not-watched", "holds-not-cleared"],
    },
];

/// A lock and what it guards: a pair that is equal while nobody writes.
struct Guarded {
    lock: RawRwLock,
    left: Data,
    right: Data,
}

impl Guarded {
    fn leak(biased: bool) -> &'static Guarded {
        let guarded = leak(Guarded { lock: RawRwLock::new(), left: Data::new(), right: Data::new() });
        if biased {
            guarded.lock.bias();
        }
        guarded
    }

    /// Reads; repairs if it must; unlocks. Whether it was told of a death.
    fn look(&self, me: &Member) -> Acquired {
        let how = self.lock.read(me, None).expect("a lock that is always repaired");
        self.looked(me, how);
        how
    }

    fn looked(&self, me: &Member, how: Acquired) {
        if how == Acquired::OwnerDied {
            self.repair(me);
            self.lock.downgrade(me).expect("we write it");
        }
        assert_eq!(self.left.get(), self.right.get(), "half-changed, and nobody was told");
        pause();
        assert_eq!(self.left.get(), self.right.get(), "a writer beside a reader");
        self.lock.unlock(me).expect("we read it");
    }

    fn repair(&self, me: &Member) {
        self.right.set(self.left.get());
        self.lock.mark_consistent(me).expect("we inherited it");
    }

    /// Adds one to both.
    fn add(&self, me: &Member) -> Acquired {
        let how = self.lock.write(me, None).expect("a lock that is always repaired");
        self.added(me, how);
        how
    }

    fn added(&self, me: &Member, how: Acquired) {
        if how == Acquired::OwnerDied {
            self.repair(me);
        }
        self.change();
        self.lock.unlock(me).expect("we write it");
    }

    fn change(&self) {
        assert_eq!(self.left.get(), self.right.get(), "half-changed, and nobody was told");
        self.left.set(self.left.get() + 1);
        pause();
        self.right.set(self.right.get() + 1);
    }
}

fn exclusion(biased: bool, readers: u64) {
    let place = Place::new(3);
    let guarded = Guarded::leak(biased);
    let others: Vec<_> = (0..readers).map(|_| place.thread(Death::NEVER, |me| guarded.look(me))).collect();
    assert_eq!(guarded.add(&place.member()), Acquired::Clean);
    for other in others {
        assert_eq!(other.join(), Outcome::Finished(Acquired::Clean));
    }
    assert_eq!(guarded.left.get(), 1);
}

/// Two members that do nothing but read: the cells are taken.
fn fill(place: &Place, guarded: &Guarded) -> [Member; 2] {
    [(); 2].map(|()| {
        let me = place.member();
        assert_eq!(guarded.lock.read(&me, None).expect("free"), Acquired::Clean);
        me
    })
}

/// The writer comes twice, so that the second time there may be nothing to see of the first.
fn overflow() {
    let place = Place::new(4);
    let guarded = Guarded::leak(false);
    let full = fill(&place, guarded);
    let writer = place.thread(Death::NEVER, move |me| {
        full.iter().for_each(|me| guarded.lock.unlock(me).expect("it reads"));
        let _ = (guarded.add(me), guarded.add(me));
    });
    assert_eq!(guarded.look(&place.member()), Acquired::Clean);
    writer.join();
    assert_eq!(guarded.left.get(), 2);
}

/// The cells are filled by one who writes and becomes a reader, and one that reads then; a third waits at the gate.
fn queued_overflow() {
    let place = Place::new(4);
    let guarded = Guarded::leak(false);
    let (first, second) = (place.member(), place.member());
    assert_eq!(guarded.lock.write(&first, None).expect("free"), Acquired::Clean);
    let reader = place.thread(Death::NEVER, |me| guarded.look(me));
    guarded.lock.downgrade(&first).expect("it writes");
    assert_eq!(guarded.lock.read(&second, None).expect("read"), Acquired::Clean);
    let writer = place.thread(Death::NEVER, |me| guarded.add(me));
    guarded.lock.unlock(&first).expect("it reads");
    guarded.lock.unlock(&second).expect("it reads");
    assert_eq!(reader.join(), Outcome::Finished(Acquired::Clean));
    writer.join();
    assert_eq!(guarded.left.get(), 1);
}

fn reader_dies(death: Death, biased: bool, others: usize) {
    let place = Place::new(3);
    let guarded = Guarded::leak(biased);
    let victim = place.thread(death, |me| guarded.look(me));
    let others: Vec<_> = (0..others).map(|_| place.thread(Death::NEVER, |me| guarded.look(me))).collect();
    assert_eq!(guarded.add(&place.member()), Acquired::Clean, "a reader's death was told");
    for other in others {
        assert_eq!(other.join(), Outcome::Finished(Acquired::Clean), "a reader's death was told");
    }
    victim.join();
    assert_eq!(guarded.left.get(), 1);
}

/// The victim comes while somebody writes; another reader waits, too.
fn queuing_reader_dies(death: Death) {
    let place = Place::new(3);
    let guarded = Guarded::leak(false);
    let me = place.member();
    let how = guarded.lock.write(&me, None).expect("free");
    let victim = place.thread(death, |me| guarded.look(me));
    let other = place.thread(Death::NEVER, |me| guarded.look(me));
    guarded.added(&me, how);
    assert_eq!(other.join(), Outcome::Finished(Acquired::Clean), "a reader's death was told");
    victim.join();
    settle();
    assert_eq!(guarded.add(&me), Acquired::Clean, "a reader's death was told");
}

/// The victim writes; a reader or a writer comes.
fn writer_dies(death: Death, before_a_writer: bool) {
    let place = Place::new(3);
    let guarded = Guarded::leak(false);
    let victim = place.thread(death, |me| guarded.add(me));
    let me = place.member();
    let told = if before_a_writer { guarded.add(&me) } else { guarded.look(&me) };
    let end = victim.join();
    settle();
    let later = guarded.look(&me);
    if end == Outcome::Finished(Acquired::Clean) {
        assert_eq!((told, later), (Acquired::Clean, Acquired::Clean));
    }
    assert!(told != Acquired::OwnerDied || later != Acquired::OwnerDied, "one death, told twice");
    assert_eq!(guarded.left.get(), guarded.right.get());
}

/// The victim wants to write while somebody reads, gives up or dies. The lock is biased: so it never has the gate without
/// saying that it waits.
fn draining_writer_dies(death: Death) {
    spread_net();
    let place = Place::new(3);
    let guarded = Guarded::leak(true);
    let reading = place.member();
    assert_eq!(guarded.lock.read(&reading, None).expect("free"), Acquired::Clean);
    let victim = place.thread(death, |me| {
        let deadline = Deadline::after(Duration::from_millis(1));
        guarded.lock.write(me, Some(deadline)).expect_err("somebody reads").kind()
    });
    let other = place.thread(Death::NEVER, |me| guarded.look(me));
    assert_eq!(other.join(), Outcome::Finished(Acquired::Clean), "told of a death that left nothing");
    let end = victim.join();
    assert!(end == Outcome::Died || end == Outcome::Finished(ErrorKind::TimedOut));
    guarded.lock.unlock(&reading).expect("it reads");
}

/// A writer is dead; a reader, who may die, and a writer come.
fn heir_dies(death: Death) {
    let place = Place::new(3);
    let guarded = Guarded::leak(false);
    let id = place.join();
    assert_eq!(guarded.lock.write(&Member::modelled(place.table, id), None).expect("free"), Acquired::Clean);
    let holder = place.thread_of(id, Death::AT_ONCE, |_| ());
    let victim = place.thread(death, |me| guarded.look(me));
    let mine = guarded.add(&place.member());
    holder.join();
    match victim.join() {
        Outcome::Finished(his) => {
            assert!((his == Acquired::OwnerDied) != (mine == Acquired::OwnerDied), "one death, one heir");
        }
        // It may have been told, or have finished.
        Outcome::Died => {}
    }
    assert_eq!((guarded.left.get(), guarded.right.get()), (1, 1));
}

fn downgrade(death: Death) {
    let place = Place::new(3);
    let guarded = Guarded::leak(false);
    let id = place.join();
    let how = guarded.lock.write(&Member::modelled(place.table, id), None).expect("free");
    let victim = place.thread_of(id, death, move |me| {
        guarded.change();
        guarded.lock.downgrade(me).expect("we write it");
        guarded.looked(me, how);
    });
    let other = place.thread(Death::NEVER, |me| guarded.look(me));
    let mine = guarded.add(&place.member());
    let his = other.join().finished().expect("nobody kills it");
    let died = victim.join() == Outcome::Died;
    let told = u32::from(mine == Acquired::OwnerDied) + u32::from(his == Acquired::OwnerDied);
    assert!(told <= u32::from(died));
    assert_eq!(guarded.left.get(), guarded.right.get());
}

fn recursion() {
    let place = Place::new(2);
    let guarded = Guarded::leak(false);
    let reader = place.thread(Death::NEVER, |me| {
        assert_eq!(guarded.lock.read(me, None), Ok(Acquired::Clean));
        assert_eq!(guarded.lock.read(me, None), Ok(Acquired::Clean));
        guarded.lock.unlock(me).expect("we read it");
        assert_eq!(guarded.left.get(), guarded.right.get());
        guarded.lock.unlock(me).expect("we read it");
        assert_eq!(guarded.lock.unlock(me).expect_err("we do not").kind(), ErrorKind::NotOwner);
    });
    assert_eq!(guarded.add(&place.member()), Acquired::Clean);
    reader.join();
}

/// A writer may time out, while one reads and another one comes.
fn gives_up() {
    allow_timeouts(1);
    let place = Place::new(3);
    let guarded = Guarded::leak(false);
    let me = place.member();
    assert_eq!(guarded.lock.read(&me, None).expect("free"), Acquired::Clean);
    let hasty = place.thread(Death::NEVER, |me| {
        match guarded.lock.write(me, Some(Deadline::after(Duration::from_millis(1)))) {
            Ok(how) => guarded.added(me, how),
            Err(e) => assert_eq!(e.kind(), ErrorKind::TimedOut),
        }
    });
    let other = place.thread(Death::NEVER, |me| guarded.look(me));
    guarded.looked(&me, Acquired::Clean);
    hasty.join();
    other.join();
}

/// A reader dies with its hold; its slot goes to another member, who reads, too; a writer looks at the slot meanwhile.
fn slot_changes_hands() {
    let place = Place::new(3);
    let guarded = Guarded::leak(true);
    let id = place.join();
    let old = Member::modelled(place.table, id);
    assert_eq!(guarded.lock.read(&old, None).expect("free"), Acquired::Clean);
    let ghost = place.thread_of(id, Death::AT_ONCE, |_| ());
    let writer = place.thread(Death::NEVER, |me| guarded.add(me));
    ghost.join();
    let next = place.rejoin(id);
    let newcomer = place.thread_of(next, Death::NEVER, |me| guarded.look(me));
    assert_eq!(newcomer.join(), Outcome::Finished(Acquired::Clean));
    assert_eq!(writer.join(), Outcome::Finished(Acquired::Clean));
    assert_eq!(guarded.left.get(), 1);
}
