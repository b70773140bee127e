//! Membership under all interleavings: [`Table::join`] and [`Table::part`], which are the product's own order of steps,
//! with processes killed at every one of them.
//!
//! Each process has one thread and a PID namespace of its own, and *all threads have the same tid*: a node that is
//! linked while somebody else owns the slot has the kernel mark that one's word.

use crate::runner::Model;
use crate::support::{Data, Place, leak};
use interproc::Result;
use interproc::atomic::{AtomicU64, Ordering};
use interproc::raw::format::SLOT_CLAIMED;
use interproc::raw::member::{Identity, Joiner, Member, OwnerId, Table};
use interproc::raw::sync::{Acquired, RawMutex};
use interproc::sys::model::{
    Bounds, Death, Outcome, RobustList, check, for_every_death, process, seat_is_taken, settle, try_seat,
    until_asleep,
};

pub const MODELS: &[Model] = &[
    Model {
        name: "members: two with one tid race for a slot, one may die anywhere",
        run: || for_every_death(Bounds::default(), false, race),
        catches: &[
            "claim-takes-live-claim",
            "confirm-before-link",
            "kernel-closes-first",
            "link-before-claim",
        ],
    },
    Model {
        name: "members: one leaves and another with its tid comes, the first may die anywhere",
        run: || for_every_death(Bounds::default(), false, handover),
        catches: &["bury-forgets-members", "claim-relaxed", "leave-before-unlink", "leave-relaxed"],
    },
    Model {
        name: "members: an id that can be read names a live slot",
        run: || check(Bounds::default(), published),
        catches: &["confirm-no-fence"],
    },
    Model {
        name: "members: an id that can be read is described",
        run: || check(Bounds::default(), described),
        catches: &["confirm-before-describe"],
    },
    Model {
        name: "members: a description is read whole or not at all",
        run: || check(Bounds::default(), redescribed),
        catches: &["describe-no-fence", "identity-looks-once"],
    },
    Model {
        name: "members: who takes a seat buries what its former process left, and no more",
        run: || for_every_death(Bounds::default(), true, burial),
        catches: &["bury-any-claim", "bury-forgets-members", "bury-live"],
    },
    Model {
        name: "members: who waits for a buried one is woken, or when its slot is claimed",
        run: || for_every_death(Bounds::default(), false, buried_owner),
        catches: &["bury-no-wake", "reclaim-no-wake"],
    },
    Model {
        name: "members: who waits for one that leaves, or is found dead, is woken",
        run: || {
            let mut report = check(Bounds::default(), || given_up(false));
            let other = check(Bounds::default(), || given_up(true));
            report.executions += other.executions;
            report.time += other.time;
            report
        },
        catches: &["leave-no-wake", "mark-dead-no-wake"],
    },
    Model {
        name: "members: a late verdict on one who is dead spares the next in its slot",
        run: || check(Bounds::default(), late_verdict),
        catches: &["claim-no-generation", "mark-dead-no-generation"],
    },
    Model {
        name: "members: a dead one's lock is inherited though its slot lives again",
        run: || check(Bounds::default(), slot_lives_again),
        catches: &["claim-no-generation", "life-no-generation"],
    },
    Model {
        name: "members: whose process is gone is found dead by its seat, and nobody else",
        run: || for_every_death(Bounds::default(), true, lost_seat),
        catches: &["seat-no-incarnation"],
    },
];

/// Everybody's.
const TID: u32 = 7;

/// A process that has a seat, and one thread that would be the member of a slot.
#[derive(Clone, Copy)]
struct Process {
    table: Table,
    slot: u32,
    /// The seat, and its incarnation in the high half.
    name: u64,
    /// Everything in its description.
    number: u32,
}

impl Joiner for Process {
    fn abandoned(&self, seat: u16) -> bool {
        seat != self.name as u16 && !seat_is_taken(seat)
    }

    fn map(&self) -> Result<()> {
        Ok(())
    }

    fn describe(&self, generation: u32) {
        self.table.describe(self.slot, generation, &Identity::modelled(self.number, self.name));
    }

    fn link(&self) {
        RobustList::current().link(self.table.slot(self.slot).expect("in the table"));
    }

    fn unlink(&self) {
        RobustList::current().unlink(self.table.slot(self.slot).expect("in the table"));
    }
}

impl Process {
    /// The calling process, sitting at `seat` if that is free; it has not looked at the slots.
    fn seated(table: Table, slot: u32, seat: u16) -> Option<Process> {
        if !try_seat(seat) {
            return None;
        }
        let name = table.sit_down(seat)?;
        Some(Process { table, slot, name, number: u32::from(seat) + 1 })
    }

    /// The calling process, which has entered the segment as the product does.
    fn enter(table: Table, slot: u32, seat: u16) -> Option<Process> {
        let process = Self::seated(table, slot, seat)?;
        table.bury_former(process.name);
        Some(process)
    }

    fn join(&self) -> Option<OwnerId> {
        let generation = self.table.join(self.slot, self.name as u16, TID, self).expect("mapped");
        generation.map(|generation| OwnerId::new(self.slot as u16, generation))
    }

    fn part(&self, id: OwnerId) {
        self.table.part(self.slot, id.generation(), TID, self);
    }
}

/// One takes the slot or both are refused; a dead one's slot can be had, a living one's cannot.
fn race(death: Death) {
    let table = Table::leak(1, 3);
    let own = leak(Data::new());
    let come = move |seat| {
        let id = Process::seated(table, 0, seat).expect("a free seat").join()?;
        own.set(id.generation().into());
        Some(id)
    };
    let victim = process(TID, death, move || come(0));
    let other = process(TID, Death::NEVER, move || come(1)).join().finished().expect("it lives");
    let end = victim.join();
    settle();
    let third = come(2);
    match (end, other) {
        (Outcome::Finished(Some(_)), Some(_)) => panic!("two in one slot"),
        (_, Some(id)) | (Outcome::Finished(Some(id)), _) => {
            assert!(table.lives(id), "a living member was marked dead");
            assert_eq!(third, None, "a living member's slot was taken");
            assert_eq!(own.get(), id.generation().into());
        }
        (Outcome::Finished(None), None) => panic!("both were refused"),
        (Outcome::Died, None) => assert!(third.is_some(), "a dead member's slot is lost"),
    }
}

/// A slot that was left can be had; who left it does not come back to it in dying.
fn handover(death: Death) {
    let table = Table::leak(1, 3);
    let own = leak(Data::new());
    let victim = process(TID, death, move || {
        let me = Process::seated(table, 0, 0).expect("a free seat");
        let Some(id) = me.join() else { return };
        own.set(own.get() + 1);
        me.part(id);
    });
    let come = move |seat| {
        let id = Process::enter(table, 0, seat)?.join()?;
        own.set(own.get() + 1);
        Some(id)
    };
    let other = process(TID, Death::NEVER, move || come(1)).join().finished().expect("it lives");
    let end = victim.join();
    settle();
    let next = come(2).or_else(|| if end == Outcome::Died { come(0) } else { None });
    match other {
        Some(id) => {
            assert!(table.lives(id), "a living member was marked dead");
            assert_eq!(next, None, "a living member's slot was taken");
        }
        None => assert!(next.is_some(), "a slot is lost"),
    }
}

/// A member joins and holds a lock; who finds its id there finds it alive.
fn published() {
    let table = Table::leak(2, 1);
    let lock = leak(RawMutex::new());
    let data = leak(Data::new());
    let work = move |me: &Member| {
        let how = lock.lock(me, None).expect("nobody dies");
        assert_eq!(how, Acquired::Clean, "a living owner was taken for dead");
        data.set(data.get() + 1);
        lock.unlock(me).expect("we hold it");
    };
    let member = process(TID, Death::NEVER, move || {
        let id = Process::seated(table, 0, 0).expect("a free seat").join().expect("a free slot");
        work(&Member::modelled(table, id));
    });
    work(&bystander(table, 1));
    member.join();
    assert_eq!(data.get(), 2);
}

/// A member of the model's main thread, which has no process.
fn bystander(table: Table, slot: u32) -> Member {
    let generation = table.claim(slot, slot as u16, |_| false).expect("a free slot");
    assert!(table.confirm(slot, generation, slot as u16, TID + 1));
    Member::modelled(table, OwnerId::new(slot as u16, generation))
}

/// Who finds an id in some object's word, written there without a fence, finds its description.
fn described() {
    let table = Table::leak(1, 1);
    let object = leak(AtomicU64::new(0));
    let member = process(TID, Death::NEVER, move || {
        let id = Process::seated(table, 0, 0).expect("a free seat").join().expect("a free slot");
        object.store(id.bits(), Ordering::Relaxed);
    });
    if let Some(id) = OwnerId::of(object.load(Ordering::Acquire)) {
        assert!(table.lives(id), "a living owner was taken for dead");
        let who = table.identity(id).expect("a member is described");
        assert_eq!(who, Identity::modelled(1, who.seat()));
    }
    member.join();
}

/// The slot gets its next member while somebody reads the former one's description.
fn redescribed() {
    let table = Table::leak(1, 2);
    let first = Process::seated(table, 0, 0).expect("a free seat");
    let id = first.join().expect("a free slot");
    table.found_dead(id);
    let next = process(TID, Death::NEVER, move || {
        Process { table, slot: 0, name: 1, number: 2 }.join().expect("a dead one's slot");
    });
    if let Some(who) = table.identity(id) {
        assert_eq!(who, Identity::modelled(1, first.name), "two descriptions in one");
    }
    next.join();
}

/// The victim's death is not reported. The next at its seat can have its slot, and leaves everybody else's alone.
fn burial(death: Death) {
    let table = Table::leak(3, 3);
    let alive = bystander(table, 1).id();
    // Somebody else's claim.
    table.claim(2, 2, |_| false).expect("a free slot");
    let word = move |slot| table.slot(slot).expect("in the table").load(Ordering::Relaxed);
    let claim = word(2);
    let come = move || Process::enter(table, 0, 0).map(|me| me.join());
    let victim = process(TID, death, come);
    let next = process(TID, Death::NEVER, come).join().finished().expect("it lives");
    let end = victim.join();
    settle();
    match (end, next) {
        (_, Some(Some(id))) | (Outcome::Finished(Some(Some(id))), None) => {
            assert!(table.lives(id), "a living member was buried");
        }
        (Outcome::Died, None) => assert!(come().flatten().is_some(), "what was left was not buried"),
        other => panic!("a seat, and not its slot: {other:?}"),
    }
    assert!(table.lives(alive) && word(2) == claim, "somebody else was buried");
}

/// One that nobody reported dead holds a lock, for which another waits. It is found when its seat is taken, by one who
/// may die, or by the next.
fn buried_owner(death: Death) {
    let place = Place::described(3, 2);
    let table = place.table;
    let lock = leak(RawMutex::new());
    let gone = Process { table, slot: 0, name: table.sit_down(0).expect("a seat"), number: 1 };
    let id = place.join_as(TID, &gone);
    let _ = lock.lock(&Member::modelled(table, id), None).expect("free");
    let heir = place.thread(Death::NEVER, move |me| lock.lock(me, None).expect("to be inherited"));
    until_asleep(1);
    let burier = process(TID, death, move || Process::enter(table, 0, 0).map(|_| ()));
    if burier.join() == Outcome::Died {
        // Claims it if it is buried; else the seat's next buries it.
        if Process::enter(table, 0, 1).expect("a free seat").join().is_none() {
            Process::enter(table, 0, 0).expect("a free seat");
        }
    }
    assert_eq!(heir.join(), Outcome::Finished(Acquired::OwnerDied));
}

/// The owner of a lock leaves with it in its hand, or is found dead.
fn given_up(found_dead: bool) {
    let place = Place::described(2, 2);
    let table = place.table;
    let lock = leak(RawMutex::new());
    let owner = Process { table, slot: 0, name: 0, number: 1 };
    let id = place.join_as(TID, &owner);
    let _ = lock.lock(&Member::modelled(table, id), None).expect("free");
    let heir = place.thread(Death::NEVER, move |me| lock.lock(me, None).expect("to be inherited"));
    if found_dead {
        table.found_dead(id);
    } else {
        owner.part(id);
    }
    assert_eq!(heir.join(), Outcome::Finished(Acquired::OwnerDied));
}

/// Two have found one death; when the second says so, the slot may have its next member.
fn late_verdict() {
    let table = Table::leak(1, 2);
    let id = Process::seated(table, 0, 0).expect("a free seat").join().expect("a free slot");
    let second = process(TID + 1, Death::NEVER, move || table.found_dead(id));
    table.found_dead(id);
    let next = Process::seated(table, 0, 1).expect("a free seat").join().expect("a dead one's slot");
    second.join();
    assert!(table.lives(next), "a living member was marked dead");
}

/// The next member of the slot has the dead one's tid, too.
fn slot_lives_again() {
    let place = Place::described(2, 3);
    let table = place.table;
    let lock = leak(RawMutex::new());
    let id = place.join_as(TID, &Process { table, slot: 0, name: 0, number: 1 });
    let _ = lock.lock(&Member::modelled(table, id), None).expect("free");
    table.found_dead(id);
    let next = process(TID, Death::NEVER, move || {
        Process::seated(table, 0, 1).expect("a free seat").join().expect("a dead one's slot")
    });
    let heir = place.thread(Death::NEVER, move |me| lock.lock(me, None).expect("to be inherited"));
    assert!(table.lives(next.join().finished().expect("it lives")));
    assert_eq!(heir.join(), Outcome::Finished(Acquired::OwnerDied));
}

/// The victim's death is not reported, and somebody else may sit at its seat by now, who has not buried it yet.
fn lost_seat(death: Death) {
    let table = Table::leak(1, 2);
    let ask = move || {
        let word = table.slot(0).expect("in the table").load(Ordering::Acquire);
        let id = OwnerId::new(0, (word >> 32) as u32);
        let who = table.identity(id).filter(|_| table.lives(id));
        if who.is_some_and(|who| table.has_lost_its_seat(who.seat(), |seat| !seat_is_taken(seat))) {
            table.found_dead(id);
        }
    };
    let victim = process(TID, death, move || Process::enter(table, 0, 0).and_then(|me| me.join()));
    ask();
    match victim.join() {
        Outcome::Finished(id) => {
            assert!(table.lives(id.expect("a free slot")), "a living member was marked dead")
        }
        Outcome::Died => {
            let heir = process(TID, Death::NEVER, move || Process::seated(table, 0, 0).map(|_| ()));
            ask();
            heir.join();
            settle();
            ask();
            let word = table.slot(0).expect("in the table").load(Ordering::Relaxed);
            let next = Process::enter(table, 0, 1).expect("a free seat").join();
            // Of a claim the burial takes care, which is still to come.
            assert!(next.is_some() || word as u32 & SLOT_CLAIMED != 0, "a dead member's slot is lost");
        }
    }
}
