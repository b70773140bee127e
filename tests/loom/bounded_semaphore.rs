//! [`RawBoundedSemaphore`] under all interleavings, with its holders and waiters killed at every step.

use crate::runner::Model;
use crate::support::{Data, Place, leak};
use interproc::raw::member::Member;
use interproc::raw::sync::{Acquired, Cells, RawBoundedSemaphore, RawMutex, RawPermit};
use interproc::sys::model::{
    Bounds, Death, Outcome, Report, allow_timeouts, check, for_every_death, pause, spread_net, until_asleep,
};
use interproc::{Deadline, ErrorKind};
use std::time::Duration;

pub const MODELS: &[Model] = &[
    Model {
        name: "permits: one permit, two threads exclude each other",
        run: || check(Bounds::default(), || exclusion(2)),
        catches: &["permit-no-wake", "row-no-fence"],
    },
    Model {
        name: "permits: one permit, three threads exclude each other",
        run: || check(two_preemptions(), || exclusion(3)),
        catches: &["permit-no-wake"],
    },
    Model {
        name: "permits: a dead holder's permit goes to the next, who is told",
        run: || for_every_death(Bounds::default(), false, |death| heirs(death, 1)),
        catches: &["many-no-owner-watch", "permit-untold"],
    },
    Model {
        name: "permits: a dead holder's permit goes to both others in turn",
        run: || for_every_death(two_preemptions(), false, |death| heirs(death, 2)),
        catches: &["many-no-owner-watch"],
    },
    Model {
        name: "permits: one that hears of two deaths tells others of both",
        run: || check(two_preemptions(), two_deaths),
        catches: &["many-death-not-passed-on", "many-one-death-passed-on"],
    },
    Model {
        name: "permits: the waiter at the front, or behind it, may die anywhere",
        run: || for_every_death(two_preemptions(), false, waiter),
        catches: &["permit-no-wake"],
    },
    Model {
        name: "permits: who waits for two gets both from two holders, one of whom dies anywhere",
        run: || for_every_death(two_preemptions(), false, both),
        catches: &["permit-no-wake", "many-no-owner-watch"],
    },
    Model {
        name: "permits: who gives another's permit back may die anywhere",
        run: || for_every_death(Bounds::default(), false, errand),
        catches: &[],
    },
    Model {
        name: "permits: who gives up leaves no permit behind",
        run: || check(two_preemptions(), gives_up),
        catches: &["permit-no-wake"],
    },
    Model { name: "permits: two that try for both leave none taken", run: try_both, catches: &[] },
    Model {
        name: "permits: a death that nobody reports is found by the net",
        run: || for_every_death(Bounds::default(), true, unreported),
        catches: &[],
    },
];

fn two_preemptions() -> Bounds {
    Bounds { preemptions: Bounds::default().preemptions.min(2), ..Bounds::default() }
}

struct Guarded {
    permits: RawBoundedSemaphore,
    data: Data,
}

impl Guarded {
    fn leak(permits: usize) -> &'static Guarded {
        leak(Guarded { permits: RawBoundedSemaphore::new(Cells::leak(permits)), data: Data::new() })
    }

    /// With the one permit: loom panics if somebody else has it, too.
    fn work(&self) {
        let n = self.data.get();
        pause();
        self.data.set(n + 1);
    }

    fn once(&self, me: &Member) -> bool {
        let permit = self.permits.acquire(me, None).expect("sooner or later");
        self.work();
        self.permits.release(me, &permit).expect("ours");
        permit.owner_died()
    }

    fn all_there(&self, me: &Member) {
        let all = self.permits.permits();
        assert_eq!(self.permits.available(me), all);
        let permit = self.permits.try_acquire_many(me, all).expect("nobody else is left");
        assert_eq!(self.permits.try_acquire(me).map_err(|e| e.kind()), Err(ErrorKind::WouldBlock));
        self.permits.release(me, &permit).expect("ours");
        assert_eq!(self.permits.release(me, &permit).map_err(|e| e.kind()), Err(ErrorKind::NotOwner));
    }
}

fn exclusion(threads: u64) {
    let place = Place::new(3);
    let guarded = Guarded::leak(1);
    let others: Vec<_> = (1..threads).map(|_| place.thread(Death::NEVER, |me| guarded.once(me))).collect();
    let me = place.member();
    assert!(!guarded.once(&me));
    for other in others {
        assert_eq!(other.join(), Outcome::Finished(false));
    }
    assert_eq!(guarded.data.get(), threads);
    guarded.all_there(&me);
}

/// Starts a thread that has a permit already, and gives it back.
fn holder(place: &Place, guarded: &'static Guarded, death: Death) -> interproc::sys::model::Thread<()> {
    let id = place.join();
    let permit = guarded.permits.try_acquire(&Member::modelled(place.table, id)).expect("free");
    place.thread_of(id, death, move |me| {
        pause();
        guarded.permits.release(me, &permit).expect("ours");
    })
}

fn heirs(death: Death, heirs: u64) {
    let place = Place::new(3);
    let guarded = Guarded::leak(1);
    let victim = holder(&place, guarded, death);
    let others: Vec<_> = (1..heirs).map(|_| place.thread(Death::NEVER, |me| guarded.once(me))).collect();
    let me = place.member();
    let mut told = u64::from(guarded.once(&me));
    for other in others {
        told += u64::from(other.join().finished() == Some(true));
    }
    match victim.join() {
        Outcome::Finished(()) => assert_eq!(told, 0),
        Outcome::Died => assert!(told <= 1),
    }
    assert_eq!(guarded.data.get(), heirs);
    if death == Death::AT_ONCE || death.at == Some(0) {
        assert_eq!(told, 1, "nobody was told");
    }
    guarded.all_there(&me);
}

/// Two holders die, and the front waiter may get the kernel's only wake-up of each. One of them had a lock, too, that
/// somebody waits for.
fn two_deaths() {
    let place = Place::new(4);
    let permits = RawBoundedSemaphore::new(Cells::leak(2));
    let lock: &RawMutex = leak(RawMutex::new());
    let holders = [place.join(), place.join()];
    for (n, &id) in holders.iter().enumerate() {
        let me = Member::modelled(place.table, id);
        let _forgotten = permits.try_acquire(&me).expect("free");
        if n == 0 {
            let _ = lock.try_lock(&me).expect("free");
        }
    }
    let front =
        place.thread(Death::NEVER, move |me| permits.acquire(me, None).expect("both die").owner_died());
    until_asleep(1);
    let other = place.thread(Death::NEVER, |me| lock.lock(me, None).expect("its owner dies"));
    until_asleep(2);
    let dying = holders.map(|id| place.thread_of(id, Death::AT_ONCE, |_| ()));
    assert_eq!(other.join(), Outcome::Finished(Acquired::OwnerDied));
    assert_eq!(front.join(), Outcome::Finished(true));
    dying.into_iter().for_each(|thread| assert_eq!(thread.join(), Outcome::Died));
}

fn waiter(death: Death) {
    let place = Place::new(3);
    let guarded = Guarded::leak(1);
    let me = place.member();
    let permit = guarded.permits.acquire(&me, None).expect("free");
    let victim = place.thread(death, |me| {
        let permit = guarded.permits.acquire(me, None).expect("sooner or later");
        pause();
        guarded.permits.release(me, &permit).expect("ours");
    });
    let other = place.thread(Death::NEVER, |me| guarded.once(me));
    guarded.work();
    guarded.permits.release(&me, &permit).expect("ours");
    victim.join();
    other.join();
    guarded.all_there(&me);
}

fn both(death: Death) {
    let place = Place::new(3);
    let guarded = Guarded::leak(2);
    let victim = holder(&place, guarded, death);
    let other = holder(&place, guarded, Death::NEVER);
    let me = place.member();
    let both = guarded.permits.acquire_many(&me, 2, None).expect("sooner or later");
    assert_eq!(guarded.permits.available(&me), 0);
    guarded.permits.release(&me, &both).expect("ours");
    victim.join();
    other.join();
    guarded.all_there(&me);
}

/// Another thread than the holder gives the permit back. In window BS-c the net is promised and no more.
fn errand(death: Death) {
    spread_net();
    let place = Place::new(3);
    let guarded = Guarded::leak(1);
    let me = place.member();
    let permit: RawPermit = guarded.permits.acquire(&me, None).expect("free");
    let other = place.thread(Death::NEVER, |me| guarded.once(me));
    let victim = place.thread(death, move |me| {
        let permit = guarded.permits.adopt(me, &permit).expect("its holder lives");
        guarded.permits.release(me, &permit).expect("ours");
    });
    if victim.join() == Outcome::Died && guarded.permits.holder(0) == Some(me.id()) {
        guarded.permits.release(&me, &permit).expect("still ours");
    }
    other.join();
    guarded.all_there(&me);
}

fn gives_up() {
    allow_timeouts(1);
    let place = Place::new(3);
    let guarded = Guarded::leak(2);
    let me = place.member();
    let first = guarded.permits.try_acquire_many(&me, 2).expect("free");
    let hasty = place.thread(Death::NEVER, |me| {
        match guarded.permits.acquire_many(me, 2, Some(Deadline::after(Duration::from_millis(1)))) {
            Ok(permit) => guarded.permits.release(me, &permit).expect("ours"),
            Err(e) => assert_eq!(e.kind(), ErrorKind::TimedOut),
        }
    });
    let patient = place.thread(Death::NEVER, |me| {
        let permit = guarded.permits.acquire(me, None).expect("sooner or later");
        guarded.permits.release(me, &permit).expect("ours");
    });
    guarded.permits.release(&me, &first).expect("ours");
    hasty.join();
    patient.join();
    guarded.all_there(&me);
}

fn try_both() -> Report {
    for_every_death(Bounds::default(), false, |death| {
        let place = Place::new(2);
        let guarded = Guarded::leak(2);
        let attempt = |me: &Member| {
            if let Ok(permit) = guarded.permits.try_acquire_many(me, 2) {
                guarded.work();
                guarded.permits.release(me, &permit).expect("ours");
            }
        };
        let victim = place.thread(death, attempt);
        let me = place.member();
        attempt(&me);
        victim.join();
        guarded.all_there(&me);
    })
}

fn unreported(death: Death) {
    spread_net();
    let place = Place::new(2);
    let guarded = Guarded::leak(1);
    let victim = holder(&place, guarded, death);
    let me = place.member();
    let told = guarded.once(&me);
    if victim.join() != Outcome::Died {
        assert!(!told);
    }
}
