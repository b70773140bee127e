//! [`RawCondvar`] under all interleavings, with its waiters and notifiers killed at every step.

use crate::runner::Model;
use crate::support::{Data, Place, leak};
use interproc::Deadline;
use interproc::raw::member::Member;
use interproc::raw::sync::{Acquired, RawCondvar, RawMutex};
use interproc::sys::model::{
    Bounds, Death, Outcome, RobustList, allow_timeouts, check, for_every_death, pause, settle, spread_net,
    thread, until_asleep, until_asleep_or_gone,
};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

pub const MODELS: &[Model] = &[
    Model {
        name: "condvar: a waiter is told",
        run: || check(Bounds::default(), || told(RawCondvar::notify_one)),
        catches: &["notify-no-wake"],
    },
    Model {
        name: "condvar: a waiter is told with all",
        run: || check(Bounds::default(), || told(RawCondvar::notify_all)),
        catches: &[],
    },
    Model {
        name: "condvar: all who wait are told",
        run: || check(Bounds::default(), || all_told(Death::NEVER, RawCondvar::notify_all)),
        catches: &["moved-forgets-waiters"],
    },
    Model {
        name: "condvar: both who wait are told one by one",
        run: || check(Bounds::default(), || all_told(Death::NEVER, one_by_one)),
        catches: &["notify-no-wake"],
    },
    Model {
        name: "condvar: one of all who are told may die anywhere",
        run: || for_every_death(two(), false, |death| all_told(death, RawCondvar::notify_all)),
        catches: &["waiter-no-bell"],
    },
    Model {
        name: "condvar: one of those who are told one by one may die anywhere",
        run: || for_every_death(two(), false, |death| all_told(death, one_by_one)),
        catches: &["waiter-no-bell"],
    },
    Model {
        name: "condvar: a notifier may die anywhere, with a waiter asleep or about to",
        run: || for_every_death(Bounds::default(), false, |death| notifier(death, false)),
        catches: &["last-unwatched", "holder-unwatched", "holder-unsigned", "holder-does-not-rest"],
    },
    Model {
        name: "condvar: a notifier may die anywhere after its unlock, with a waiter asleep",
        run: || for_every_death(Bounds::default(), false, |death| notifier(death, true)),
        catches: &["holder-does-not-rest"],
    },
    Model {
        name: "condvar: the waiter that is woken may die anywhere",
        run: || for_every_death(two(), false, woken),
        catches: &["waiter-no-bell"],
    },
    Model {
        name: "condvar: a notification that finds nobody overlooks nobody who comes",
        run: || check(Bounds::default(), comes_again),
        catches: &["waiter-uncounted"],
    },
    Model {
        name: "condvar: a lock is not taken for unawaited while somebody waits",
        run: || for_every_death(two(), false, awaited),
        catches: &["awaited-uncounted"],
    },
    Model {
        name: "condvar: an orderly end wakes nobody who waits",
        run: || check(Bounds::default(), || ends_well(true)),
        catches: &["ends-well-with-a-bell"],
    },
    Model {
        name: "condvar: an orderly end keeps nobody from falling asleep",
        run: || check(Bounds::default(), || ends_well(false)),
        catches: &["every-end-is-a-death"],
    },
    Model {
        name: "condvar: one that ends well with the lock is a death like any other",
        run: || for_every_death(Bounds::default(), false, ends_with_the_lock),
        catches: &["ends-well-with-a-lock"],
    },
    Model {
        name: "condvar: no notification is lost between two slices of a wait",
        run: || check(Bounds::default(), slices),
        catches: &["timed-out-looks-early"],
    },
    Model {
        name: "condvar: a death that nobody reports is passed on by the next locker",
        run: || for_every_death(two(), true, unreported),
        catches: &["heir-raises-no-alarm"],
    },
];

/// For three threads.
fn two() -> Bounds {
    let bounds = Bounds::default();
    Bounds { preemptions: bounds.preemptions.min(2), ..bounds }
}

/// Tickets under a lock.
struct Shop {
    lock: RawMutex,
    arrived: RawCondvar,
    tickets: Data,
    /// Seen by the model only: who has changed the tickets surely; how many were taken.
    added: AtomicU64,
    taken: AtomicU64,
}

impl Shop {
    fn leak() -> &'static Shop {
        leak(Shop {
            lock: RawMutex::new(),
            arrived: RawCondvar::new(),
            tickets: Data::new(),
            added: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        })
    }

    fn repaired(&self, me: &Member, how: Acquired) {
        if how == Acquired::OwnerDied {
            self.lock.mark_consistent(me).expect("we inherited it");
        }
    }

    fn locked(&self, me: &Member) {
        let how = self.lock.lock(me, None).expect("it is always repaired");
        self.repaired(me, how);
    }

    /// Waits for a ticket and takes it.
    fn buy(&self, me: &Member) {
        self.locked(me);
        self.await_ticket(me);
        self.tickets.set(self.tickets.get() - 1);
        self.taken.fetch_add(1, SeqCst);
        self.lock.unlock(me).expect("we hold it");
    }

    fn await_ticket(&self, me: &Member) {
        while self.tickets.get() == 0 {
            let waited = self.arrived.wait(me, &self.lock, None).expect("it is always repaired");
            self.repaired(me, waited.how);
        }
    }

    /// Adds tickets under the lock.
    fn add(&self, me: &Member, n: u64) {
        self.locked(me);
        self.tickets.set(self.tickets.get() + n);
        self.added.fetch_add(n, SeqCst);
    }

    fn unlock(&self, me: &Member) {
        self.lock.unlock(me).expect("we hold it");
    }
}

fn told(notify: fn(&RawCondvar, &Member)) {
    let place = Place::new(2);
    let shop = Shop::leak();
    let waiter = place.thread(Death::NEVER, |me| shop.buy(me));
    let me = place.member();
    shop.add(&me, 1);
    notify(&shop.arrived, &me);
    shop.unlock(&me);
    assert_eq!(waiter.join(), Outcome::Finished(()));
}

fn one_by_one(arrived: &RawCondvar, me: &Member) {
    arrived.notify_one(me);
    arrived.notify_one(me);
}

/// Two are asleep, and there is a ticket for each. One may die: then the other has its own.
fn all_told(death: Death, notify: fn(&RawCondvar, &Member)) {
    let place = Place::new(3);
    let shop = Shop::leak();
    let victim = place.thread(death, |me| shop.buy(me));
    until_asleep_or_gone(1);
    let other = place.thread(Death::NEVER, |me| shop.buy(me));
    until_asleep_or_gone(2);
    let me = place.member();
    shop.add(&me, 2);
    notify(&shop.arrived, &me);
    shop.unlock(&me);
    assert_eq!(other.join(), Outcome::Finished(()));
    victim.join();
}

/// A notifier dies. Once it has added its ticket, nobody helps the waiter.
fn notifier(death: Death, after_unlock: bool) {
    let place = Place::new(3);
    let shop = Shop::leak();
    let waiter = place.thread(Death::NEVER, |me| shop.buy(me));
    if after_unlock {
        until_asleep(1);
    }
    let victim = place.thread(death, move |me| {
        shop.add(me, 1);
        if after_unlock {
            shop.unlock(me);
            shop.arrived.notify_one(me);
        } else {
            shop.arrived.notify_one(me);
            shop.unlock(me);
        }
    });
    let end = victim.join();
    if shop.added.load(SeqCst) == 0 {
        assert_eq!(end, Outcome::Died);
        let me = place.member();
        shop.add(&me, 1);
        shop.arrived.notify_one(&me);
        shop.unlock(&me);
    }
    assert_eq!(waiter.join(), Outcome::Finished(()));
}

/// Two wait for a door to open; whoever has come through wakes the next. One dies.
fn woken(death: Death) {
    let place = Place::new(3);
    let shop = Shop::leak();
    let through = |me: &Member| {
        shop.locked(me);
        shop.await_ticket(me);
        shop.arrived.notify_one(me);
        shop.unlock(me);
    };
    let victim = place.thread(death, through);
    until_asleep_or_gone(1);
    let other = place.thread(Death::NEVER, through);
    until_asleep_or_gone(2);
    let me = place.member();
    shop.add(&me, 1);
    shop.arrived.notify_one(&me);
    shop.unlock(&me);
    assert_eq!(other.join(), Outcome::Finished(()));
    victim.join();
}

/// One has given up, so that the next notification finds nobody; meanwhile another comes to wait.
fn comes_again() {
    allow_timeouts(1);
    let place = Place::new(2);
    let shop = Shop::leak();
    let me = place.member();
    shop.locked(&me);
    let soon = Deadline::after(Duration::from_millis(1));
    let waited = shop.arrived.wait(&me, &shop.lock, Some(soon)).expect("nobody dies");
    assert!(waited.timed_out);
    shop.unlock(&me);
    let waiter = place.thread(Death::NEVER, |me| shop.buy(me));
    shop.arrived.notify_one(&me);
    shop.add(&me, 1);
    shop.arrived.notify_one(&me);
    shop.unlock(&me);
    assert_eq!(waiter.join(), Outcome::Finished(()));
}

/// Somebody locks and unlocks, and asks whether anybody waits; then a notifier dies.
fn awaited(death: Death) {
    let place = Place::new(3);
    let shop = Shop::leak();
    let waiter = place.thread(Death::NEVER, |me| shop.buy(me));
    let me = place.member();
    shop.locked(&me);
    shop.unlock(&me);
    let victim = place.thread(death, |me| {
        shop.add(me, 1);
        shop.arrived.notify_one(me);
        shop.unlock(me);
    });
    victim.join();
    settle();
    if shop.added.load(SeqCst) == 0 {
        shop.add(&me, 1);
        shop.arrived.notify_one(&me);
        shop.unlock(&me);
    }
    assert_eq!(waiter.join(), Outcome::Finished(()));
}

/// The kernel says nothing of the notifier's death; another locker finds out.
fn unreported(death: Death) {
    spread_net();
    let place = Place::new(3);
    let shop = Shop::leak();
    let waiter = place.thread(Death::NEVER, |me| shop.buy(me));
    until_asleep(1);
    let victim = place.thread(death, |me| {
        shop.add(me, 1);
        shop.arrived.notify_one(me);
        shop.unlock(me);
    });
    let end = victim.join();
    let me = place.member();
    // After its unlock that debt nobody can see (window CV-g).
    let seen = shop.lock.owner().is_some();
    shop.locked(&me);
    if shop.added.load(SeqCst) == 0 {
        assert_eq!(end, Outcome::Died);
        shop.tickets.set(1);
        shop.arrived.notify_one(&me);
    }
    shop.unlock(&me);
    if !seen {
        shop.arrived.notify_one(&me);
    }
    assert_eq!(waiter.join(), Outcome::Finished(()));
}

/// Somebody locks, unlocks, and ends in good order; nobody is told of anything until there is a ticket.
fn ends_well(asleep_before: bool) {
    let place = Place::new(4);
    let shop = Shop::leak();
    if !asleep_before {
        // A turn more, so that it is not the ending one's to ask who waits: a waiter that is about to sleep looks again then.
        let me = place.member();
        allow_timeouts(1);
        shop.locked(&me);
        let soon = Deadline::after(Duration::from_millis(1));
        assert!(shop.arrived.wait(&me, &shop.lock, Some(soon)).expect("nobody dies").timed_out);
        shop.unlock(&me);
    }
    let waiter = place.thread(Death::NEVER, |me| {
        shop.locked(me);
        if shop.tickets.get() == 0 {
            let before = shop.arrived.notifications();
            let waited = shop.arrived.wait(me, &shop.lock, None).expect("it is never unrecoverable");
            assert_eq!((waited.how, waited.timed_out), (Acquired::Clean, false));
            assert!(shop.tickets.get() == 1 && shop.arrived.notifications() == before + 1);
        }
        shop.unlock(me);
    });
    if asleep_before {
        until_asleep(1);
    }
    let id = place.join();
    let table = place.table;
    let slot = table.slot(id.slot()).expect("in the table");
    // Its end is the kernel's business, as a thread's is.
    let ending = thread(id.slot() + 1, Death::NEVER, move || {
        RobustList::current().link(slot);
        interproc::atomic::fence(interproc::atomic::Ordering::Release);
        let me = Member::modelled(table, id);
        shop.locked(&me);
        shop.unlock(&me);
        me.end_well();
    });
    assert_eq!(ending.join(), Outcome::Finished(()));
    let me = place.member();
    shop.add(&me, 1);
    shop.arrived.notify_one(&me);
    shop.unlock(&me);
    assert_eq!(waiter.join(), Outcome::Finished(()));
}

/// It says that it ends well, but holds the lock.
fn ends_with_the_lock(death: Death) {
    let place = Place::new(3);
    let shop = Shop::leak();
    let waiter = place.thread(Death::NEVER, |me| shop.buy(me));
    until_asleep(1);
    let me = place.member();
    let victim = place.thread(death, |me| {
        shop.add(me, 1);
        me.end_well();
        pause();
        shop.arrived.notify_one(me);
        shop.unlock(me);
    });
    victim.join();
    if shop.added.load(SeqCst) == 0 {
        shop.add(&me, 1);
        shop.arrived.notify_one(&me);
        shop.unlock(&me);
    }
    assert_eq!(waiter.join(), Outcome::Finished(()));
}

/// One that looks at nothing but how its wait ended, and would go on in another slice.
fn slices() {
    allow_timeouts(1);
    // That one may go to a sleep for the lock: then it ends when nobody else can run.
    spread_net();
    let place = Place::new(2);
    let shop = Shop::leak();
    let notifier = place.thread(Death::NEVER, |me| {
        shop.locked(me);
        if shop.tickets.get() == 1 {
            shop.arrived.notify_one(me);
            shop.tickets.set(2);
        }
        shop.unlock(me);
    });
    let me = place.member();
    shop.locked(&me);
    shop.tickets.set(1); // it waits
    let soon = Deadline::after(Duration::from_millis(1));
    let waited = shop.arrived.wait(&me, &shop.lock, Some(soon)).expect("nobody dies");
    // While the lock is held nobody notifies, and the next slice would begin.
    assert!(!waited.timed_out || shop.tickets.get() == 1, "it was notified, and is told that it was not");
    shop.unlock(&me);
    assert_eq!(notifier.join(), Outcome::Finished(()));
}
