//! Doors: where the owner of a wait set sleeps, and how it is told.
//!
//! A segment has a few *door* words. A set sleeps at one of them, whatever it watches; an object notes in a mask ([`Watchers`]) which
//! doors to move when something has happened to it. Nobody owns a door: sets that share one wake together, and look. So there is
//! nothing to claim, and nothing to repair after a death.
//!
//! Telling is *one-shot*: whoever tells takes the mask away, moves the doors and wakes everybody there. It wakes no sleeper of the
//! object, and no set takes a wake-up that was meant for one.
//!
//! | window | who dies | a set already asleep | a set between its look and its sleep | lost |
//! |---|---|---|---|---|
//! | WS-a | a set, its door noted | one spare call of a publisher | | nothing |
//! | WS-b | a publisher, published, the mask not taken | the bell, or its slot | its slot, or the net | nothing |
//! | WS-c | a publisher, the mask taken, the door not moved | as WS-b | as WS-b | nothing |
//! | WS-d | a publisher, the door moved, nobody woken | as WS-b | the door has moved | nothing |
//! | WS-e | the owner of a set, woken by the bell | the others by the bell: its pending pointer is there | | nothing |
//!
//! **The slots.** Only those who already sleep hear a bell. An object's own sleeper watches the cell that refused it, which a dead
//! publisher has changed. A set would have to watch a cell of every object. It watches *the slots of the segment's other members*
//! instead, as long as they are few ([`Others`]): the death of any of them changes a word that it watches. Where there are more it
//! watches none of them, and looks again after the net: soon at first, then less and less often ([`Naps`]). It also looks
//! again if it waits on a life, as of one who has in hand what is waited for, or at the other end of a pipe: the kernel does not
//! report every death.
//!
//! A set that is busy does not sleep. So each look begins with the question whether anybody has died ([`Post::is_calm`]).
//!
//! A set of several segments hears the bell of the first one only, as a thread has one pending pointer. In the others it watches the
//! slots and the alarm, and it looks after the net, as somebody may have come there and died. The kernel wakes one sleeper on a slot: if
//! that is a set, and its process is killed too before it has told the others, those in that segment who sleep beside a peer without a
//! net are not told.
//!
//! Rejected: the objects' words in the set's own sleep (0.3 µs for each word: 16 cost 2.3 times, 126 cost 19 times of a plain sleep on
//! one processor); seats that a set owns (something to claim and to give back, and a limit); io_uring (the kernel wakes one sleeper on a
//! bell or on a slot: a ring takes that wake-up while its owner is busy, stopped or about to be killed).

use super::table::is_live;
use super::{Life, Member, NET_NS, OwnerId, Table};
use crate::atomic::{AtomicU32, Ordering};
use crate::sys::{Watch, Woken, Word, futex};
use crate::time::Deadline;

/// The doors to move when something happens to one side of an object.
#[repr(transparent)]
#[derive(Debug)]
pub(crate) struct Watchers(AtomicU32);

impl Watchers {
    #[cfg(interproc_loom)]
    pub(crate) fn new() -> Self {
        Watchers(AtomicU32::new(0))
    }

    /// From now on that door is told, once.
    pub(crate) fn add(&self, door: u32) {
        if !crate::mutant!("set-door-not-noted") {
            self.0.fetch_or(1 << door, Ordering::AcqRel);
        }
    }

    /// Whether that door is to be told.
    pub(crate) fn has(&self, door: u32) -> bool {
        self.0.load(Ordering::Acquire) & 1 << door != 0
    }

    /// Tells all doors.
    #[inline]
    pub(crate) fn ring(&self, table: &Table) {
        // Relaxed: the caller has ordered it behind what there is to tell.
        if self.0.load(Ordering::Relaxed) != 0 {
            self.ring_now(table);
        }
    }

    #[cold]
    fn ring_now(&self, table: &Table) {
        crate::crash_window!("WS-b: published, the doors not taken");
        let mut doors = self.0.swap(0, Ordering::AcqRel);
        crate::crash_window!("WS-c: the doors taken, not moved");
        while doors != 0 {
            table.knock(doors.trailing_zeros());
            doors &= doors - 1;
        }
    }
}

impl Table {
    /// A newcomer has joined: whoever is about to sleep beside all members of the segment must know of it.
    pub(super) fn tell_of_newcomer(&self) {
        // Release: whoever reads it finds the newcomer's slot.
        self.alarm().fetch_add(1, Ordering::Release);
    }

    /// Moves a door, and wakes everybody who sleeps there.
    fn knock(&self, door: u32) {
        let Some(door) = self.door(door) else { return };
        if !crate::mutant!("door-not-moved") {
            door.fetch_add(1, Ordering::AcqRel);
        }
        crate::crash_window!("WS-d: a door moved, nobody woken");
        if !crate::mutant!("door-no-wake") {
            let n = if crate::mutant!("door-wakes-one") { 1 } else { u32::MAX };
            futex::wake(Word::Whole(door), n);
        }
    }
}

/// The other members of a segment, if they are few.
#[derive(Debug)]
pub(crate) struct Others {
    ids: [Option<OwnerId>; Others::MOST],
    /// There are more.
    beyond: bool,
    /// They were found when the alarm had this value: it moves whenever somebody joins.
    found: Option<u32>,
}

impl Others {
    /// How many are watched. Each costs a sleeper about 0.3 µs.
    const MOST: usize = 8;

    /// Nobody is known yet.
    pub(crate) const fn new() -> Self {
        Others { ids: [None; Others::MOST], beyond: false, found: None }
    }

    /// Finds them, if anybody has joined since the last time.
    fn find(&mut self, me: &Member, alarm: u32) {
        if self.found == Some(alarm) {
            return;
        }
        *self = Others { found: Some(alarm), ..Others::new() };
        let table = me.table();
        let mut places = self.ids.iter_mut();
        for index in (0..table.count()).filter(|&index| index != me.id().slot()) {
            let Some(word) = table.slot(index).map(|slot| slot.load(Ordering::Acquire)) else { break };
            let id = OwnerId::new(index as u16, (word >> 32) as u32);
            // Also one that is dead, but whose process may still write.
            if word as u32 == 0 || table.life(id) == Life::Dead {
                continue;
            }
            let Some(place) = places.next() else {
                self.beyond = true;
                break;
            };
            *place = Some(id);
        }
    }

    /// Those whose slots are to be watched.
    fn watched(&self) -> impl Iterator<Item = OwnerId> + use<> {
        let all = !self.beyond && !crate::mutant!("set-others-unwatched");
        let ids = if all { self.ids } else { [None; Others::MOST] };
        ids.into_iter().flatten()
    }

    /// After a sleep: passes on to others the news of those who died. (The kernel wakes one sleeper on a slot.)
    /// `heard`: the bell of that segment is.
    fn pass_deaths_on(&mut self, table: &Table, heard: bool) {
        for id in self.watched() {
            if !table.is_up(id) {
                table.wake_watchers(id);
                if !heard && self.found.is_some() {
                    // Whoever died may have been another set, with a wake-up that it had taken and not passed on.
                    table.raise_alarm();
                }
                self.found = None;
            }
        }
    }
}

/// Where the owner of a set stands in one segment.
#[derive(Debug)]
pub(crate) struct Post<'a> {
    pub(crate) me: &'a Member,
    door: u32,
    /// The door and the alarm before the last look.
    door_seen: u32,
    alarm_seen: u32,
    /// The door before all sources were asked.
    door_asked: u32,
    others: Others,
}

/// What has happened at a post.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    /// The door has moved: some source has told.
    #[cfg_attr(interproc_loom, allow(dead_code, reason = "for the helper"))]
    pub(crate) moved: bool,
    /// Somebody may have died, or has come.
    pub(crate) died: bool,
}

impl<'a> Post<'a> {
    /// At a door, whichever: its number is taken modulo how many there are.
    pub(crate) fn new(me: &'a Member, door: u32) -> Self {
        Post {
            me,
            door: door % Table::DOORS,
            door_seen: 0,
            alarm_seen: 0,
            door_asked: 0,
            others: Others::new(),
        }
    }

    /// Where it sleeps.
    pub(crate) fn door(&self) -> u32 {
        self.door
    }

    fn words(&self) -> [(&'a AtomicU32, u32); 2] {
        let table = self.me.table();
        let alarm = table.alarm();
        [(table.door(self.door).unwrap_or(alarm), self.door_seen), (alarm, self.alarm_seen)]
    }

    /// The caller is about to announce itself, and to look. What has happened since the last time.
    pub(crate) fn look_around(&mut self) -> News {
        let [door, alarm] = self.words().map(|(word, _)| word.load(Ordering::SeqCst));
        let news = News { moved: self.door_seen != door, died: self.others.found != Some(alarm) };
        (self.door_seen, self.alarm_seen) = (door, alarm);
        self.others.find(self.me, alarm);
        news
    }

    /// Whether the door has moved since this was asked last.
    pub(crate) fn has_moved(&mut self) -> bool {
        let [(door, _), _] = self.words();
        let now = door.load(Ordering::Acquire);
        core::mem::replace(&mut self.door_asked, now) != now
    }

    /// Whether nobody has died or come since the caller [looked around](Self::look_around), as far as is known.
    pub(crate) fn is_calm(&self) -> bool {
        let table = self.me.table();
        self.others.found == Some(table.alarm().load(Ordering::Acquire))
            && self.others.watched().all(|id| table.is_up(id))
    }

    /// After [`is_calm`](Self::is_calm) has said no, before everything is looked at: who has died is not asked for again.
    pub(crate) fn forget_the_dead(&mut self) {
        let alarm = self.me.table().alarm().load(Ordering::SeqCst);
        self.others.found = None;
        self.others.find(self.me, alarm);
    }

    /// Whether there are too many others to be watched.
    pub(crate) fn is_beyond(&self) -> bool {
        self.others.beyond
    }

    fn watches(&self) -> [Watch<'a>; 2] {
        self.words().map(|(word, expected)| Watch { word: Word::Whole(word), expected })
    }
}

/// When everything was looked at last, and how often in a row that was in vain, where not everything can be watched.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Naps {
    /// On the monotonic clock.
    looked: u64,
    vain: u32,
}

impl Naps {
    /// The longest nap is this many times the net, as a power of two: 0.8 s.
    const MOST: u32 = 4;

    /// Everything is looked at now.
    pub(crate) fn looks(&mut self) {
        self.looked = Deadline::now().as_monotonic_ns();
    }

    /// Whether the last such look is so long ago that somebody awake looks again.
    pub(crate) fn are_over(&self) -> bool {
        Deadline::now().as_monotonic_ns() >= self.looked.saturating_add(NET_NS)
    }

    fn end(&self) -> Deadline {
        Deadline::from_monotonic_ns(self.looked.saturating_add(NET_NS << self.vain))
    }
}

/// How long the process of a dead member is left to end, before the next look.
const ENDING_NS: u64 = 1_000_000;

/// Sleeps at all doors, and on `words`. The caller has looked since it [looked around](Post::look_around) at each post, and its
/// pending pointer is at the bell of the first one. `control`: a word to be watched in any case. `sure`: every publisher knows of it.
pub(crate) fn sleep_at_doors<'w, 'a: 'w>(
    posts: &mut [Post<'a>],
    control: Option<Watch<'w>>,
    words: impl Iterator<Item = Watch<'w>>,
    sure: bool,
    naps: &mut Naps,
    deadline: Option<Deadline>,
) -> Woken {
    let Some(first) = posts.first() else { return Woken::TimedOut };
    let (me, [door, _]) = (first.me, first.watches());
    let mut list = futex::List::new(door);
    // The bell comes last, for the reason that `sleep` has: its place is kept free.
    let push = |list: &mut futex::List<'w>, watch| list.len() + 1 < futex::MAX_LIST && list.push(watch);
    let mut all = sure;
    control.into_iter().for_each(|watch| all &= push(&mut list, watch));
    posts[1..].iter().for_each(|post| all &= push(&mut list, post.watches()[0]));
    // The helper has several doors in a segment. The rest is watched once.
    let is_first = |posts: &[Post<'_>], n: usize| {
        let alarm = core::ptr::from_ref(posts[n].me.table().alarm());
        posts[..n].iter().all(|post| !core::ptr::eq(post.me.table().alarm(), alarm))
    };
    for n in (0..posts.len()).filter(|&n| is_first(posts, n)) {
        all &= push(&mut list, posts[n].watches()[1]);
        // Whoever comes to another segment than the first, and dies at once, is heard by nothing here.
        all &= n == 0;
    }
    words.for_each(|watch| all &= push(&mut list, watch));
    let mut until = deadline;
    for n in 0..posts.len() {
        if !is_first(posts, n) {
            continue;
        }
        let post = &mut posts[n];
        all &= !post.others.beyond;
        for id in post.others.watched() {
            let table = post.me.table();
            match (table.life(id), table.slot(id.slot())) {
                (Life::Live(low), Some(slot)) if is_live(low) => {
                    all &= push(&mut list, Watch { word: Word::Low(slot), expected: low });
                }
                // Its process may still write.
                (Life::Live(_), _) => {
                    let soon = Deadline::now().as_monotonic_ns().saturating_add(ENDING_NS);
                    until = Deadline::earlier(until, Some(Deadline::from_monotonic_ns(soon)));
                }
                // It has died or left since the look.
                _ => post.others.found = None,
            }
        }
    }
    if posts.iter().any(|post| post.others.found.is_none()) {
        for (n, post) in posts.iter_mut().enumerate() {
            post.others.pass_deaths_on(post.me.table(), n == 0);
        }
        return in_time(Woken::Changed, deadline);
    }
    let bell = Watch { word: Word::Whole(me.table().bell()), expected: 0 };
    // A scribbled bell would end every sleep at once: then it is not watched.
    let by_bell = bell.word.load() == 0 && list.push(bell);
    let nap = (!all || !by_bell).then(|| naps.end());
    until = Deadline::earlier(until, nap);
    #[cfg(not(interproc_loom))]
    let _note = super::sleep::Note::leave(me, door.word, None);
    let bell_at = list.len() - 1;
    me.pend_again(); // a look at a work queue of another segment rests at that one's bell
    let woken = list.wait(until);
    match woken {
        Woken::By(at) if by_bell && at == bell_at && !crate::mutant!("set-bell-not-passed-on") => {
            me.table().raise_alarm();
        }
        Woken::Interrupted => me.pend_again(),
        Woken::By(_) => naps.vain = 0,
        _ => {}
    }
    let napped = woken == Woken::TimedOut && nap.is_some_and(Deadline::has_passed);
    if napped {
        naps.vain = (naps.vain + 1).min(Naps::MOST);
        naps.looks(); // the caller does so now
    }
    for (n, post) in posts.iter_mut().enumerate() {
        if napped {
            // The second channel: not every death is reported.
            post.others.watched().for_each(|id| post.me.verify(id));
        }
        post.others.pass_deaths_on(post.me.table(), n == 0);
        if post.others.beyond && napped {
            post.others.found = None; // there may be fewer by now
        }
    }
    in_time(woken, deadline)
}

/// A sleep that did not begin, or ended before the caller's time: it looks again.
fn in_time(woken: Woken, deadline: Option<Deadline>) -> Woken {
    match (woken, deadline.is_some_and(Deadline::has_passed)) {
        (Woken::Changed, true) => Woken::TimedOut,
        (Woken::TimedOut, false) => Woken::Interrupted,
        (woken, _) => woken,
    }
}
