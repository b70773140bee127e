//! [`RawLatest`] under all interleavings, with writers and readers killed at every step. A value is two words, the version and
//! its complement: what was read must be whole, and that version's. Writers are started first, readers after them (see
//! `sys::model`: loom sees a change and a load that comes after it race, but not the other way round).

use crate::runner::Model;
use crate::support::Place;
use interproc::raw::member::Member;
use interproc::raw::queue::{LatestPlace, RawLatest};
use interproc::sys::model::{Bounds, Death, Outcome, check, for_every_death, settle};

pub const MODELS: &[Model] = &[
    Model {
        name: "latest: a read beside two sets is whole or is known not to be",
        run: || check(Bounds::default(), glance),
        catches: &["latest-unmarked", "latest-relaxed-publish"],
    },
    Model {
        name: "latest: an announced read is whole, whatever the writers do",
        run: || check(Bounds::default(), announced),
        catches: &["latest-announced-ignored", "latest-want-ignored", "latest-reader-no-fence"],
    },
    Model {
        name: "latest: two announced reads, and the third finds no announcement",
        run: || check(Bounds { preemptions: 2, ..Bounds::default() }, two_announced),
        catches: &[],
    },
    Model {
        name: "latest: two writers set one after the other",
        run: || check(Bounds::default(), two_writers),
        catches: &[],
    },
    Model {
        name: "latest: who waits for a newer value is told",
        run: || check(Bounds::default(), waiting),
        catches: &["latest-no-wake"],
    },
    Model {
        name: "latest: a writer may die anywhere, with one who waits for the value",
        run: || for_every_death(Bounds::default(), false, dying_writer),
        catches: &["latest-overwrites-current", "latest-current-unwatched"],
    },
    Model {
        name: "latest: an announced reader may die anywhere",
        run: || for_every_death(Bounds::default(), false, dying_reader),
        catches: &[],
    },
];

fn latest(readers: usize) -> RawLatest {
    RawLatest::new(LatestPlace::leak(readers))
}

/// The value of a version.
fn value(version: u64) -> [u64; 2] {
    if version == 0 { [0; 2] } else { [version, !version] }
}

/// Sets the next version's value; no other writer is there.
#[allow(unsafe_code)]
fn set(l: &RawLatest, me: &Member) -> u64 {
    let next = value(l.version() + 1);
    // SAFETY: a modelled value has 16 bytes.
    let version = unsafe { l.store(me, next.as_ptr().cast(), 16, None) }.expect("set");
    assert_eq!(value(version), next);
    version
}

fn whole(version: u64, read: [u64; 2]) -> u64 {
    assert_eq!(read, value(version), "version {version} is {read:x?}");
    version
}

#[allow(unsafe_code)]
fn glanced(l: &RawLatest) -> Option<u64> {
    let mut read = [0u64; 2];
    // SAFETY: a modelled value has 16 bytes.
    let version = unsafe { l.glance(read.as_mut_ptr().cast(), 16) };
    version.map(|version| whole(version, read))
}

#[allow(unsafe_code)]
fn read_announced(l: &RawLatest, me: &Member) -> Option<u64> {
    let mut read = [0u64; 2];
    // SAFETY: a modelled value has 16 bytes.
    let version = unsafe { l.load_announced(me, read.as_mut_ptr().cast(), 16) };
    version.map(|version| whole(version, read))
}

fn glance() {
    let place = Place::new(3);
    let l = latest(0);
    let writer = place.thread(Death::NEVER, move |me| (set(&l, me), set(&l, me)));
    let reader = place.thread(Death::NEVER, move |_| glanced(&l));
    writer.join();
    reader.join();
    assert_eq!(glanced(&l), Some(2));
}

fn announced() {
    let place = Place::new(3);
    let l = latest(1);
    let writer = place.thread(Death::NEVER, move |me| (0..3).for_each(|_| _ = set(&l, me)));
    let reader = place.thread(Death::NEVER, move |me| {
        let before = l.version();
        let version = read_announced(&l, me).expect("nobody else reads");
        assert!(version >= before);
    });
    writer.join();
    reader.join();
    assert_eq!(read_announced(&l, &place.member()), Some(3));
}

fn two_announced() {
    let place = Place::new(4);
    let l = latest(1);
    let writer = place.thread(Death::NEVER, move |me| (0..2).for_each(|_| _ = set(&l, me)));
    let other = place.thread(Death::NEVER, move |me| read_announced(&l, me));
    let third = place.thread(Death::NEVER, move |me| read_announced(&l, me));
    let [one, two] = [other, third].map(|t| t.join().finished().expect("it lives"));
    assert!(one.is_some() || two.is_some(), "one of them had the announcement");
    writer.join();
}

#[allow(unsafe_code)]
fn two_writers() {
    let place = Place::new(2);
    let l = latest(0);
    let store = move |me: &Member, n: u64| {
        let value = [n, !n];
        // SAFETY: a modelled value has 16 bytes.
        unsafe { l.store(me, value.as_ptr().cast(), 16, None) }.expect("set")
    };
    let other = place.thread(Death::NEVER, move |me| store(me, 7));
    let me = place.member();
    let mine = store(&me, 8);
    let others = other.join().finished().expect("it lives");
    assert_eq!(mine + others, 3);
    let mut read = [0u64; 2];
    // SAFETY: as above.
    let version = unsafe { l.glance(read.as_mut_ptr().cast(), 16) };
    let last = if mine == 2 { 8 } else { 7 };
    assert_eq!((version, read), (Some(2), [last, !last]));
}

fn waiting() {
    let place = Place::new(2);
    let l = latest(0);
    let writer = place.thread(Death::NEVER, move |me| set(&l, me));
    let waiter = place.thread(Death::NEVER, move |me| l.wait_newer(me, 0, None).map_err(|e| e.kind()));
    writer.join();
    assert_eq!(waiter.join(), Outcome::Finished(Ok(1)));
}

fn dying_writer(death: Death) {
    let place = Place::new(3);
    let l = latest(0);
    let me = place.member();
    assert_eq!(set(&l, &me), 1);
    let victim = place.thread(death, move |me| set(&l, me));
    let waiter = place.thread(Death::NEVER, move |me| l.wait_newer(me, 1, None).map_err(|e| e.kind()));
    let end = victim.join();
    let version = l.version();
    assert!(version == 2 || end == Outcome::Died && version == 1);
    assert_eq!(glanced(&l), Some(version));
    if version == 1 {
        settle();
        // The next writer goes on.
        assert_eq!(set(&l, &me), 2);
    }
    assert_eq!(waiter.join(), Outcome::Finished(Ok(2)));
    settle();
    assert_eq!((set(&l, &me), set(&l, &me)), (3, 4));
    assert_eq!(glanced(&l), Some(4));
}

fn dying_reader(death: Death) {
    let place = Place::new(4);
    let l = latest(1);
    let writer = place.thread(Death::NEVER, move |me| (0..3).for_each(|_| _ = set(&l, me)));
    let victim = place.thread(death, move |me| read_announced(&l, me));
    writer.join();
    if let Outcome::Finished(read) = victim.join() {
        assert!(read.is_some());
    }
    settle();
    let me = place.member();
    // Its slot is free again, and so is the announcement.
    (0..3).for_each(|_| _ = set(&l, &me));
    assert_eq!(read_announced(&l, &me), Some(6));
}
