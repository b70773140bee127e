//! [`RawOnce`] under all interleavings, with an initialiser killed at every step.

use crate::runner::Model;
use crate::support::{Data, Place, leak};
use interproc::raw::member::Member;
use interproc::raw::sync::{Begun, RawOnce};
use interproc::sys::model::{Bounds, Death, Outcome, check, for_every_death, pause};

pub const MODELS: &[Model] = &[
    Model {
        name: "once: it is done once, and all see it",
        run: || check(Bounds::default(), two),
        catches: &["done-relaxed", "unlock-no-wake"],
    },
    Model {
        name: "once: an initialiser may die anywhere",
        run: || for_every_death(Bounds::default(), false, initialiser),
        catches: &["no-owner-watch", "retry-untold"],
    },
];

struct Made {
    once: RawOnce,
    half: Data,
    whole: Data,
}

impl Made {
    fn leak() -> &'static Made {
        leak(Made { once: RawOnce::new(), half: Data::new(), whole: Data::new() })
    }

    /// Makes it, or finds it made.
    fn get(&self, me: &Member) -> Begun {
        let begun = self.once.begin(me, None).expect("no limit of time");
        if begun != Begun::Done {
            if begun == Begun::First {
                assert_eq!(self.half.get(), 0, "begun before, and nobody was told");
            }
            self.half.set(self.half.get() + 1);
            pause();
            self.whole.set(self.half.get());
            self.once.done(me).expect("our job");
        }
        assert!(self.once.is_done());
        assert_eq!(self.whole.get(), self.half.get());
        assert!(self.whole.get() > 0);
        begun
    }
}

fn two() {
    let place = Place::new(2);
    let made = Made::leak();
    let other = place.thread(Death::NEVER, |me| made.get(me));
    // Whoever finds it done by a look alone sees it, too.
    if made.once.is_done() {
        assert_eq!(made.whole.get(), 1);
    }
    let mine = made.get(&place.member());
    let his = other.join().finished().expect("it lives");
    assert!((mine == Begun::First) != (his == Begun::First), "{mine:?} {his:?}");
    assert_eq!(made.whole.get(), 1);
}

fn initialiser(death: Death) {
    let place = Place::new(2);
    let made = Made::leak();
    let victim = place.thread(death, |me| made.get(me));
    let mine = made.get(&place.member());
    match victim.join() {
        Outcome::Finished(his) => assert!((mine == Begun::First) != (his == Begun::First)),
        Outcome::Died => assert!(made.whole.get() <= 2),
    }
}
