//! A modelled segment: its table, and threads that are members of it.

use interproc::atomic::{Ordering, fence};
use interproc::raw::member::{Joiner, Member, OwnerId, Table};
use interproc::sys::model::{self, Death, Thread};
use loom::cell::UnsafeCell;
use std::cell::Cell;
use std::rc::Rc;

/// Lives as long as the process: models are small, and loom's objects are not dropped.
pub fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// A segment.
#[derive(Clone)]
pub struct Place {
    pub table: Table,
    next: Rc<Cell<u32>>,
}

impl Place {
    /// With room for `members`.
    pub fn new(members: usize) -> Self {
        Place::described(members, 0)
    }

    /// With room for `members`; the first `pages` slots have a description and a process seat.
    pub fn described(members: usize, pages: usize) -> Self {
        Place { table: Table::leak(members, pages), next: Rc::new(Cell::new(0)) }
    }

    /// A member that joins in the product's way. It has no thread.
    pub fn join_as(&self, tid: u32, joiner: &impl Joiner) -> OwnerId {
        let index = self.next.get();
        self.next.set(index + 1);
        let generation = self.table.join(index, index as u16, tid, joiner).expect("mapped");
        OwnerId::new(index as u16, generation.expect("a free slot"))
    }

    /// A confirmed member. Its thread, if it gets one, has the tid `slot + 1`.
    pub fn join(&self) -> OwnerId {
        let index = self.next.get();
        self.next.set(index + 1);
        let generation = self.table.claim(index, index as u16, |_| false).expect("a free slot");
        assert!(self.table.confirm(index, generation, index as u16, index + 1));
        OwnerId::new(index as u16, generation)
    }

    /// A new member in the slot of a dead one.
    pub fn rejoin(&self, dead: OwnerId) -> OwnerId {
        let index = dead.slot();
        let generation = self.table.claim(index, index as u16, |_| false).expect("a dead member's slot");
        self.table.clear_holds(index);
        assert!(self.table.confirm(index, generation, index as u16, index + 1));
        OwnerId::new(index as u16, generation)
    }

    /// Starts a thread as the member `id`.
    pub fn thread_of<T: 'static>(
        &self,
        id: OwnerId,
        death: Death,
        f: impl FnOnce(&Member) -> T + 'static,
    ) -> Thread<T> {
        let table = self.table;
        let slot = table.slot(id.slot()).expect("in the table");
        model::member(slot, id.slot() + 1, death, move || {
            // The end of `Table::confirm`, which ran in another thread here.
            fence(Ordering::Release);
            f(&Member::modelled(table, id))
        })
    }

    /// Starts a thread that is a member.
    pub fn thread<T: 'static>(&self, death: Death, f: impl FnOnce(&Member) -> T + 'static) -> Thread<T> {
        self.thread_of(self.join(), death, f)
    }

    /// A member for the model's main thread, which never dies and is not modelled.
    pub fn member(&self) -> Member {
        Member::modelled(self.table, self.join())
    }
}

/// Plain data: loom panics when two accesses are not ordered.
pub struct Data(UnsafeCell<u64>);

impl Data {
    pub fn new() -> Self {
        Data(UnsafeCell::new(0))
    }

    #[allow(unsafe_code)]
    pub fn set(&self, value: u64) {
        // SAFETY: loom checks that nobody else accesses it.
        self.0.with_mut(|data| unsafe { *data = value });
    }

    #[allow(unsafe_code)]
    pub fn get(&self) -> u64 {
        // SAFETY: loom checks that nobody writes to it.
        self.0.with(|data| unsafe { *data })
    }
}

/// Somebody of whom the main thread plays the part, until it is killed.
pub struct Puppet {
    place: Place,
    id: OwnerId,
    pub member: Member,
}

impl Puppet {
    pub fn new(place: &Place) -> Self {
        let id = place.join();
        Puppet { place: place.clone(), id, member: Member::modelled(place.table, id) }
    }

    pub fn kill(self) {
        self.place.thread_of(self.id, Death::AT_ONCE, |_| ()).join();
    }
}
