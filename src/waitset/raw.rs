//! The wait of a set: look, spin, announce, look again, sleep at the doors. The windows are those of the doors: see
//! [`raw::member`](crate::raw::member).

use super::source::{RawSource, Wanted};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, Naps, Post, Spin, sleep_at_doors};
use crate::sys::Woken;
use crate::time::{Deadline, Wait};
use std::vec::Vec;

/// A source, at which post the set learns of it, and what the last look found.
#[cfg_attr(not(interproc_loom), derive(Debug))]
#[doc(hidden)]
pub struct Entry<'a> {
    pub(super) source: RawSource<'a>,
    pub(super) post: usize,
    /// Whether it was ready.
    pub ready: bool,
    /// It was reported, and is not looked at before it is [wanted again](Self::again).
    #[cfg(not(interproc_loom))]
    pub(super) rests: bool,
}

impl<'a> Entry<'a> {
    /// Not looked at yet.
    pub fn new(wanted: Wanted<'a>, post: usize) -> Self {
        Entry {
            source: RawSource::new(wanted),
            post,
            ready: false,
            #[cfg(not(interproc_loom))]
            rests: false,
        }
    }

    /// That it is ready was told. What is told once for each event waits for the next one; everything does so if it `rests`.
    #[cfg(not(interproc_loom))]
    pub(super) fn reported(&mut self, rests: bool) {
        if rests {
            (self.rests, self.ready) = (true, false);
        }
        if let Wanted::Newer(latest, than) = &mut self.source.wanted {
            *than = latest.version();
        }
    }

    /// It is to be looked at, whatever was heard of it: it may be ready since it was reported. Whether it rested.
    #[cfg(all(feature = "tokio", not(interproc_loom)))]
    pub(super) fn again(&mut self) -> bool {
        self.ready |= self.rests;
        core::mem::take(&mut self.rests)
    }

    #[cfg(interproc_loom)]
    #[allow(clippy::unused_self, reason = "for those that can rest")]
    fn rests(&self) -> bool {
        false
    }

    #[cfg(not(interproc_loom))]
    pub(super) fn rests(&self) -> bool {
        self.rests
    }

    /// Whether a sleep needs no more for it than the door.
    #[cfg(not(interproc_loom))]
    pub(super) fn is_plain(&self) -> bool {
        self.source.is_plain()
    }

    /// The words that are slept on beside the door.
    pub(super) fn watches(&self) -> impl Iterator<Item = (crate::sys::Watch<'_>, bool)> {
        (!self.rests()).then(|| self.source.watches()).into_iter().flatten()
    }
}

/// About how long a look at a source takes.
const LOOK_NS: u32 = 10;

/// The owner of a set, at work.
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub(crate) struct Watching<'s, 'm, 'a> {
    pub(crate) posts: &'s mut [Post<'m>],
    pub(crate) entries: &'s mut [Entry<'a>],
    pub(crate) naps: &'s mut Naps,
    /// All sources are [plain](RawSource::is_plain).
    pub(crate) plain: bool,
    /// The sources that are to be looked at. There is room for all.
    pub(crate) loud: &'s mut Vec<u32>,
    /// The next look is at everything, also at what nothing was heard of.
    pub(crate) thorough: &'s mut bool,
}

impl Watching<'_, '_, '_> {
    /// Looks. How many are ready. `fully`: also where that takes a lock.
    pub(crate) fn look(&mut self, fully: bool) -> usize {
        let mut calm = !core::mem::take(self.thorough);
        for post in &mut *self.posts {
            if !post.is_calm() {
                calm = false;
                // Before the look: whoever dies from here on is noticed next time.
                post.forget_the_dead();
            }
        }
        calm &= !self.is_time_to_look();
        self.find_loud(calm);
        let mut found = 0;
        for &index in &*self.loud {
            let entry = &mut self.entries[index as usize];
            entry.ready = entry.source.look(self.posts[entry.post].me, fully || !calm);
            found += usize::from(entry.ready);
        }
        found
    }

    /// Whether there are too many others to be watched, and everything was looked at long ago.
    fn is_time_to_look(&self) -> bool {
        self.posts.iter().any(Post::is_beyond) && self.naps.are_over()
    }

    /// Finds the sources that are to be looked at. The others were not ready after they had been told of the door, and nothing was
    /// heard of them since; as long as no door has moved there is no need to ask them. Not `calm`: somebody may have died, so everything
    /// is to be looked at.
    fn find_loud(&mut self, calm: bool) {
        let mut moved = false;
        for post in &mut *self.posts {
            moved |= post.has_moved(); // of each, as it notes what it has seen
        }
        if calm && (!moved || crate::mutant!("set-never-asks")) {
            return;
        }
        if !calm {
            self.naps.looks();
        }
        self.loud.clear();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let is_news = || !calm || entry.ready || !entry.source.is_quiet(self.posts[entry.post].door());
            if !entry.rests() && is_news() {
                entry.ready = false;
                self.loud.push(index as u32); // reserved
            }
        }
    }

    /// Announces that the caller is about to sleep, and looks. How many are ready, and whether every publisher is sure to tell.
    fn announce_and_look(&mut self) -> (usize, bool) {
        // Before the announcements: whatever is told from then on changes what is read here.
        let mut calm = !core::mem::take(self.thorough);
        for post in &mut *self.posts {
            calm &= !post.look_around().died;
        }
        calm &= !self.is_time_to_look();
        self.find_loud(calm);
        let mut unfenced = false;
        for &index in &*self.loud {
            let entry = &mut self.entries[index as usize];
            unfenced |= entry.source.announce(self.posts[entry.post].door());
        }
        if unfenced {
            // One for all. (Which segments need it is not worth the asking.)
            let mut reached = true;
            for post in &*self.posts {
                reached &= post.me.table().sleeper_fence(); // a segment may need it that others do not
            }
            for &index in &*self.loud {
                self.entries[index as usize].source.announced(reached);
            }
        }
        let (mut found, mut sure) = (0, true);
        let (entries, posts) = (&mut *self.entries, &*self.posts);
        self.loud.retain(|&index| {
            let entry = &mut entries[index as usize];
            let me = posts[entry.post].me;
            entry.ready = !crate::mutant!("set-no-second-look") && entry.source.look(me, true);
            found += usize::from(entry.ready);
            sure &= entry.source.is_sure();
            // From now on it tells.
            entry.ready || !entry.source.is_plain() || !entry.source.is_sure()
        });
        (found, sure)
    }

    /// As [`announce_and_look`](Self::announce_and_look), once more if not every publisher is sure to tell: then they pass full fences.
    pub(crate) fn announce_surely(&mut self) -> (usize, bool) {
        match self.announce_and_look() {
            (0, false) => self.announce_and_look(),
            found => found,
        }
    }

    /// Waits until something is ready. How many are.
    ///
    /// # Errors
    /// `WouldBlock`, `TimedOut`.
    pub(crate) fn wait(&mut self, wait: Wait) -> Result<usize> {
        let found = self.look(wait == Wait::Never);
        if found > 0 {
            return Ok(found);
        }
        let Some(me) = self.posts.first().map(|post| post.me).filter(|_| wait != Wait::Never) else {
            return Err(ErrorKind::WouldBlock.into());
        };
        let pending = me.pend();
        let found = self.wait_pended(me, wait.deadline());
        me.unpend(pending);
        found
    }

    #[cold]
    fn wait_pended(&mut self, me: &Member, deadline: Option<Deadline>) -> Result<usize> {
        let mut spin = Spin::new(me.spinning());
        loop {
            if spin.again() {
                let found = self.look(false);
                if found > 0 {
                    spin.done();
                    return Ok(found);
                }
                spin.charge(LOOK_NS * self.loud.len() as u32);
                continue;
            }
            spin.failed();
            let (found, sure) = self.announce_surely();
            if found > 0 {
                return Ok(found);
            }
            crate::crash_window!("WS-e: about to sleep");
            // What a sleep needs beside the doors: nothing, for most.
            let others = if self.plain { &self.entries[..0] } else { &*self.entries };
            let until = Deadline::earlier(deadline, due(others));
            let words = others.iter().flat_map(Entry::watches).map(|(watch, _)| watch);
            let sure = sure && !waits_on_a_life(self.entries);
            let woken = sleep_at_doors(self.posts, None, words, sure, self.naps, until);
            // Unless a door has told. (An alarm and the death of a member are seen at the posts.)
            *self.thorough = matches!(woken, Woken::TimedOut | Woken::Interrupted);
            others.iter().for_each(|entry| entry.source.slept());
            let found = self.look(false);
            if found > 0 {
                return Ok(found);
            }
            if deadline.is_some_and(Deadline::has_passed) {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }
}

/// Whether the death of somebody who does nothing is an event for one of them: who has something in hand, or is at the other end of a
/// pipe. The kernel does not report every death, so the second channel is asked from time to time.
pub(crate) fn waits_on_a_life(entries: &[Entry<'_>]) -> bool {
    entries.iter().any(|entry| !entry.rests() && entry.source.not_yet.held)
}

/// When to look again at the latest, after a look that found nothing.
pub(crate) fn due(entries: &[Entry<'_>]) -> Option<Deadline> {
    let dues = entries.iter().filter(|entry| !entry.rests()).filter_map(|entry| entry.source.not_yet.due);
    dues.min().map(Deadline::from_monotonic_ns)
}

/// Waits as a set does that stands at one post: for models.
///
/// # Errors
/// `WouldBlock`, `TimedOut`.
#[cfg(interproc_loom)]
#[doc(hidden)]
pub fn wait_for_any(me: &Member, door: u32, entries: &mut [Entry<'_>], wait: Wait) -> Result<usize> {
    let posts = &mut [Post::new(me, door)];
    let plain = entries.iter().all(|entry| entry.source.is_plain());
    let loud = &mut Vec::with_capacity(entries.len());
    Watching { posts, entries, plain, loud, naps: &mut Naps::default(), thorough: &mut true }.wait(wait)
}
