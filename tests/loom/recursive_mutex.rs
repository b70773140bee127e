//! [`RawRecursiveMutex`] under all interleavings, with a holder killed at every step. What the lock below does by itself
//! is in `mutex`.

use crate::runner::Model;
use crate::support::{Data, Place, leak};
use interproc::ErrorKind;
use interproc::raw::member::Member;
use interproc::raw::sync::{Acquired, RawRecursiveMutex};
use interproc::sys::model::{Bounds, Death, Outcome, check, for_every_death, pause};

pub const MODELS: &[Model] = &[
    Model {
        name: "recursive mutex: two threads exclude each other at every depth",
        run: || check(Bounds::default(), exclusion),
        catches: &["unlock-no-wake"],
    },
    Model {
        name: "recursive mutex: a holder may die at every depth",
        run: || for_every_death(Bounds::default(), false, holder),
        catches: &["no-owner-watch", "depth-inherited"],
    },
];

struct Guarded {
    lock: RawRecursiveMutex,
    left: Data,
    right: Data,
}

impl Guarded {
    fn leak() -> &'static Guarded {
        leak(Guarded { lock: RawRecursiveMutex::new(), left: Data::new(), right: Data::new() })
    }

    /// Locks twice, works at the second level, unlocks twice.
    fn add(&self, me: &Member) -> Acquired {
        let how = self.lock.lock(me, None).expect("a lock that is always repaired");
        assert_eq!(self.lock.depth(me), 1);
        if how == Acquired::OwnerDied {
            self.right.set(self.left.get());
            self.lock.mark_consistent(me).expect("we inherited it");
        }
        assert_eq!(self.lock.lock(me, None).expect("ours"), Acquired::Clean);
        assert_eq!(self.left.get(), self.right.get(), "half-changed, and nobody was told");
        self.left.set(self.left.get() + 1);
        pause();
        self.right.set(self.right.get() + 1);
        self.lock.unlock(me).expect("ours");
        self.lock.unlock(me).expect("ours");
        assert_eq!(self.lock.unlock(me).expect_err("one too many").kind(), ErrorKind::NotOwner);
        how
    }
}

fn exclusion() {
    let place = Place::new(2);
    let guarded = Guarded::leak();
    let other = place.thread(Death::NEVER, |me| guarded.add(me));
    assert_eq!(guarded.add(&place.member()), Acquired::Clean);
    assert_eq!(other.join(), Outcome::Finished(Acquired::Clean));
    assert_eq!(guarded.left.get(), 2);
}

fn holder(death: Death) {
    let place = Place::new(2);
    let guarded = Guarded::leak();
    let victim = place.thread(death, |me| guarded.add(me));
    let told = guarded.add(&place.member()) == Acquired::OwnerDied;
    match victim.join() {
        Outcome::Finished(_) => assert!(!told),
        Outcome::Died => assert!(guarded.left.get() >= 1),
    }
}
