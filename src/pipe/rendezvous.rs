//! [`RawRendezvous`]: where the ends of pipes are taken: a pair in one process, or clients and a listener that meet by name.
//!
//! **Promise.** A slot is taken as long as one of its ends lives, and free after that, whoever is killed at whichever instruction.
//! A call is answered once, by the listener, or refused. A caller whose listener dies sees the end of its pipe.
//!
//! The *seats* of a slot's lanes are the truth; nothing else records who has a slot. A client that wants a slot takes its own two
//! seats and the two far ones, all vacant or dead. It renews the lanes, puts the listener's id with [`UNANSWERED`] into the far
//! seats and sets the slot's bit in the *calls*. So the pipe is complete from its first moment: the listener is the peer, and its
//! death is the end. The listener answers by removing the mark from the seats and then clearing the bit.
//!
//! | far seat | bit | meaning |
//! |---|---|---|
//! | id | any | the end that answered, or the other end of a pair |
//! | id, UNANSWERED | set | a call to the listener |
//! | id, UNANSWERED | not set | void: a caller died, or withdraws |
//!
//! The first seat, from which the client sends, is the slot's lock. Whoever gets it checks everything once more before it goes on,
//! and restores what was there if it must not.
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | M1 | the call's bit, SeqCst | the listener's look, Acquire | the renewed lanes, the seats |
//! | M2 | a seat's compare-and-swap | the next one's, Acquire | what its last holder left |
//! | M3 | the call's bit, then the listener's word, SeqCst | the listener's word, then the calls, SeqCst | of a caller and a listener that leaves or moves, one sees the other |
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | M-a | a client with some seats of a slot | dead holders | the next client takes the slot | nothing |
//! | M-b | a client, its lanes renewed, not called | the listener's id in far seats, no bit: void | the next client takes the slot | nothing |
//! | M-c | a client, called, nobody woken | a call, the listener asleep | the bell; a listener about to sleep watches the calls | nothing: it is answered, and ends at once |
//! | M-d | a listener, some far seats its own, the call still there | a dead peer | its client, by its slot's mark | the call |
//! | M-e | a listener that has answered | a dead peer | as M-d | nothing |
//! | M-f | an end that has left, nobody woken | a free slot, clients asleep | those clients: they watch its owner | nothing |
//! | M-g | a listener that has left its word, its calls not refused | nobody listens; calls to a dead peer | the clients, as M-d | the calls |
//! | M-h | a listener that has moved, its calls not redirected | calls to its former thread | the clients when that thread ends, too | the calls |
//!
//! Rejected: a queue of calls (its cells need owners of their own, and a full one would stand between a client and a free slot); a
//! state word for each slot beside the seats (two truths, and a window between any two writes); a call that has no peer until it
//! is answered (a client would have to watch the listener by other means).

use super::layout::Place;
use crate::atomic::{AtomicU64, Ordering, fence};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId, Owners};
use crate::queue::{Lane, RawConsumer, RawProducer};
use crate::sys::{Watch, Woken, Word, futex};
use crate::time::Deadline;

/// In a far seat: its holder has not answered the call yet.
const UNANSWERED: u64 = 1 << 62;
/// How often to retry a slot whose seats change meanwhile. Of several slots: this often in all, and once for each.
const TRIES: u32 = 64;

/// The place where ends are taken. All operations take the calling thread's member of the segment that it lies in.
#[derive(Clone, Copy)]
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawRendezvous {
    place: Place,
}

/// One end of a slot: its two seats.
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawEnd {
    /// To send from.
    pub producer: RawProducer,
    /// To receive from.
    pub consumer: RawConsumer,
}

/// The words of a slot's seats: sending and receiving on the near side, then on the far side. A slot of one lane has the
/// first and the last.
struct Seats<'a> {
    words: [&'a AtomicU64; 4],
    len: usize,
}

impl<'a> Seats<'a> {
    fn of(lanes: &'a [Lane]) -> Self {
        let [send, answer] = lanes[0].seats();
        match lanes.get(1) {
            Some(back) => {
                let [far, near] = back.seats();
                Seats { words: [send, near, far, answer], len: 4 }
            }
            None => Seats { words: [send, answer, send, send], len: 2 },
        }
    }

    fn all(&self) -> &[&'a AtomicU64] {
        &self.words[..self.len]
    }

    fn far(&self) -> [&'a AtomicU64; 2] {
        [self.words[2], self.words[3]]
    }
}

/// The lanes of a slot.
struct Lanes {
    lanes: [Lane; 2],
    len: usize,
}

impl Lanes {
    fn as_slice(&self) -> &[Lane] {
        &self.lanes[..self.len]
    }
}

impl RawRendezvous {
    /// The rendezvous at a place.
    pub fn new(place: Place) -> Self {
        RawRendezvous { place }
    }

    /// Its place.
    pub fn place(&self) -> &Place {
        &self.place
    }

    fn lanes(&self, slot: usize) -> Result<Lanes> {
        let first = self.place.lane(slot, 0)?;
        let len = self.place.lanes();
        Ok(Lanes { lanes: [first, if len == 2 { self.place.lane(slot, 1)? } else { first }], len })
    }

    fn call_of(&self, slot: usize) -> (&AtomicU64, u64) {
        (&self.place.head().calls[slot / 64], 1 << (slot % 64))
    }

    fn is_called(&self, slot: usize) -> bool {
        let (calls, bit) = self.call_of(slot);
        calls.load(Ordering::SeqCst) & bit != 0
    }

    /// Whether all these seats are vacant, dead or void. Adds the live holders to `owners`.
    fn is_free(
        &self,
        me: &Member,
        slot: usize,
        seats: &[&AtomicU64],
        seen: &mut [u64],
        owners: &mut Owners,
    ) -> bool {
        // Before the seats: a bit that is not set now is set only by the holder of the first seat.
        let called = self.is_called(slot);
        let mut free = true;
        for (word, seen) in seats.iter().zip(seen) {
            *seen = word.load(Ordering::Acquire); // M2
            let void = *seen & UNANSWERED != 0 && !called;
            let living = OwnerId::of(*seen).filter(|&id| me.lives(id));
            if let Some(id) = living.filter(|_| !void || crate::mutant!("pipe-void-stays")) {
                owners.push(id);
                free = false;
            }
        }
        free
    }

    /// Takes all seats of a free slot, and makes its lanes empty and open.
    fn claim(&self, me: &Member, slot: usize, owners: &mut Owners, tries: &mut u32) -> Result<Option<Lanes>> {
        let lanes = self.lanes(slot)?;
        let seats = Seats::of(lanes.as_slice());
        let seats = seats.all();
        while *tries > 0 {
            let mut seen = [0; 4];
            if !self.is_free(me, slot, seats, &mut seen, owners) {
                return Ok(None);
            }
            if self.take_seats(me, slot, seats, seen, owners) {
                self.renew(me, slot, &lanes);
                return Ok(Some(lanes));
            }
            *tries -= 1;
            // A seat changed meanwhile. Whoever changed it may be gone, so there may be nobody to wait for.
            lanes.as_slice().iter().for_each(|lane| lane.rouse(me));
            if crate::mutant!("pipe-lost-race-is-full") {
                return Ok(None);
            }
        }
        owners.go_beyond();
        Ok(None)
    }

    /// Takes all of a slot's seats, which were `seen` to be free, or none.
    fn take_seats(
        &self,
        me: &Member,
        slot: usize,
        seats: &[&AtomicU64],
        mut seen: [u64; 4],
        owners: &mut Owners,
    ) -> bool {
        let mine = me.id().bits();
        let take = |at: usize, seen: u64| {
            seats[at].compare_exchange(seen, mine, Ordering::AcqRel, Ordering::Relaxed).is_ok() // M2
        };
        if !take(0, seen[0]) {
            return false;
        }
        crate::crash_window!("M-a: some seats taken");
        // From here on nobody else takes seats here, or calls.
        let mut taken = 1;
        if self.is_free(me, slot, &seats[1..], &mut seen[1..], owners)
            || crate::mutant!("pipe-no-second-look")
        {
            while taken < seats.len() && take(taken, seen[taken]) {
                taken += 1;
            }
        }
        if taken < seats.len() {
            // A thread took over a dead one's end, or a call came in between: restore what was there, last taken first.
            for at in (0..taken).rev() {
                let _ = seats[at].compare_exchange(mine, seen[at], Ordering::AcqRel, Ordering::Relaxed);
            }
            return false;
        }
        true
    }

    /// Renews a slot whose seats are all the caller's.
    fn renew(&self, me: &Member, slot: usize, lanes: &Lanes) {
        // The bit of a call to a listener that died.
        let (calls, bit) = self.call_of(slot);
        calls.fetch_and(!bit, Ordering::SeqCst);
        for lane in lanes.as_slice() {
            lane.renew();
            if me.table().strong_fences() {
                lane.use_strong_fences();
            }
        }
    }

    /// Takes both ends of the only slot.
    ///
    /// # Errors
    /// `WouldBlock` while somebody has an end of it; `Corrupt`.
    pub fn take_pair(&self, me: &Member) -> Result<(RawEnd, RawEnd)> {
        let lanes = self.take_slot(me)?;
        let near = end(me, lanes.lanes[0], lanes.lanes[1])?;
        Ok((near, end(me, lanes.lanes[1], lanes.lanes[0])?))
    }

    /// Takes the two ends of the only lane.
    ///
    /// # Errors
    /// As [`RawRendezvous::take_pair`].
    pub fn take_one_way(&self, me: &Member) -> Result<(RawProducer, RawConsumer)> {
        let lanes = self.take_slot(me)?;
        Ok((RawProducer::seated(lanes.lanes[0], me)?, RawConsumer::seated(lanes.lanes[0], me)?))
    }

    fn take_slot(&self, me: &Member) -> Result<Lanes> {
        let pending = me.pend();
        let mut owners = Owners::new();
        let mut lanes = self.claim(me, 0, &mut owners, &mut { TRIES });
        if matches!(lanes, Ok(None)) && self.verify(me, &owners) {
            lanes = self.claim(me, 0, &mut owners, &mut { TRIES });
        }
        me.unpend(pending);
        lanes?.ok_or_else(|| ErrorKind::WouldBlock.into())
    }

    /// Asks the second channel about the holders of slots. Returns whether one of them is dead.
    #[cold]
    fn verify(&self, me: &Member, owners: &Owners) -> bool {
        let mut died = false;
        for &owner in owners.as_slice().iter().filter(|&&owner| owner != me.id()) {
            me.verify(owner);
            died |= !me.lives(owner);
        }
        died
    }

    // ---- who listens -----------------------------------------------------------------------------------------

    /// For a wait set: from now on that door is told of a call, once. The caller looks afterwards.
    pub(crate) fn watch(&self, door: u32) {
        self.place.head().watchers.add(door);
        fence(Ordering::SeqCst); // M3, also here: of a caller and a set one sees the other
    }

    /// Whether an accept would not be refused with "empty": there is a call to whoever listens, or nobody does. Changes nothing.
    pub(crate) fn can_accept(&self) -> bool {
        let Some(listener) = self.listener() else { return true };
        let calls = self.place.head().calls.iter().enumerate();
        let called = calls.filter(|(_, word)| word.load(Ordering::SeqCst) != 0);
        called.flat_map(|(n, _)| n * 64..(n + 1) * 64).take_while(|&slot| slot < self.place.slots()).any(
            |slot| {
                let mine = listener.bits() | UNANSWERED;
                self.is_called(slot)
                    && self.lanes(slot).is_ok_and(|lanes| {
                        Seats::of(lanes.as_slice())
                            .far()
                            .iter()
                            .all(|word| word.load(Ordering::Acquire) == mine)
                    })
            },
        )
    }

    /// How many calls are not answered yet.
    pub fn calls(&self) -> usize {
        let calls = self.place.head().calls.iter();
        calls.map(|word| word.load(Ordering::Acquire).count_ones() as usize).sum()
    }

    /// The listener, dead or alive.
    pub fn listener(&self) -> Option<OwnerId> {
        OwnerId::of(self.place.head().listener.load(Ordering::SeqCst))
    }

    /// The word that names it.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(super) fn listener_word(&self) -> &AtomicU64 {
        &self.place.head().listener
    }

    fn living_listener(&self, me: &Member) -> Option<OwnerId> {
        self.listener().filter(|&id| me.lives(id))
    }

    /// Begins to listen, if no live thread listens.
    ///
    /// # Errors
    /// `WouldBlock` while a live thread listens, the caller included.
    pub fn listen(&self, me: &Member) -> Result<()> {
        let word = &self.place.head().listener;
        let pending = me.pend();
        let mut seen = word.load(Ordering::SeqCst);
        let mut tries = TRIES;
        let result = loop {
            if let Some(id) = OwnerId::of(seen) {
                if id != me.id() {
                    me.verify(id);
                }
                if me.lives(id) {
                    break Err(ErrorKind::WouldBlock.into());
                }
            }
            match word.compare_exchange(seen, me.id().bits(), Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => break Ok(()),
                // Others come and go; this many only if somebody scribbles.
                Err(_) if tries == 0 => break Err(ErrorKind::WouldBlock.into()),
                Err(now) => (seen, tries) = (now, tries - 1),
            }
        };
        self.make_room();
        me.unpend(pending);
        result
    }

    /// Moves the listener to the calling thread, of the same process.
    ///
    /// # Errors
    /// `Stale` if the thread that listened died and another listener has taken over.
    pub fn move_to(&self, me: &Member, from: OwnerId) -> Result<()> {
        let word = &self.place.head().listener;
        let pending = me.pend();
        let moved = word.compare_exchange(from.bits(), me.id().bits(), Ordering::SeqCst, Ordering::SeqCst);
        if moved.is_ok() {
            fence(Ordering::SeqCst); // M3
            crate::crash_window!("M-h: moved, the callers not told");
            for slot in 0..self.place.slots() {
                if self.is_called(slot) {
                    let _ = self.redirect(me, slot, from, me.id());
                }
            }
            self.make_room();
        }
        me.unpend(pending);
        moved.map(drop).map_err(|_| ErrorKind::Stale.into())
    }

    /// Redirects a call from one listener to another.
    fn redirect(&self, me: &Member, slot: usize, from: OwnerId, to: OwnerId) -> Result<()> {
        let lanes = self.lanes(slot)?;
        let mut moved = false;
        for word in Seats::of(lanes.as_slice()).far() {
            let (from, to) = (from.bits() | UNANSWERED, to.bits() | UNANSWERED);
            moved |= word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        }
        if moved {
            lanes.as_slice().iter().for_each(|lane| lane.rouse(me));
            // Who listens may have looked between the call and this: the word of the calls is the same.
            if !crate::mutant!("pipe-redirection-untold") {
                self.make_room();
                self.place.head().watchers.ring(me.table());
            }
        }
        Ok(())
    }

    /// Stops listening: callers that were not answered see the end of their pipes.
    pub fn resign(&self, me: &Member) {
        let word = &self.place.head().listener;
        let pending = me.pend();
        let mine = me.id().bits();
        if word.compare_exchange(mine, 0, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
            fence(Ordering::SeqCst); // M3
            crate::crash_window!("M-g: nobody listens, the callers not refused");
            for slot in 0..self.place.slots() {
                if let Ok(Some(mut refused)) = self.answer(me, slot) {
                    self.hang_up(me, &mut refused);
                }
            }
            self.make_room();
            self.place.head().watchers.ring(me.table());
        }
        me.unpend(pending);
    }

    fn hang_up(&self, me: &Member, end: &mut RawEnd) {
        let _ = end.producer.close(me);
        end.consumer.close(me);
        end.producer.leave();
        end.consumer.leave();
    }

    /// Wakes those who wait for a slot: an end has left, or something else has changed for them.
    pub fn make_room(&self) {
        let room = &self.place.head().room;
        crate::crash_window!("M-f: left, nobody woken");
        room.fetch_add(1, Ordering::SeqCst);
        if !crate::mutant!("pipe-room-no-wake") {
            futex::wake(Word::Low(room), u32::MAX);
        }
    }

    // ---- calling ---------------------------------------------------------------------------------------------

    /// Calls the listener, if there is a free slot.
    ///
    /// # Errors
    /// `Refused` if nobody listens; `Full`; `Corrupt`.
    pub fn try_connect(&self, me: &Member) -> Result<(RawEnd, usize)> {
        let pending = me.pend();
        let mut owners = Owners::new();
        let mut result = self.attempt(me, &mut owners);
        if matches!(result, Ok(None)) && self.verify(me, &owners) {
            owners.clear();
            result = self.attempt(me, &mut owners);
        }
        me.unpend(pending);
        result?.ok_or_else(|| ErrorKind::Full.into())
    }

    /// As [`RawRendezvous::try_connect`], and waits for a slot.
    ///
    /// # Errors
    /// `Refused` if nobody listens; `TimedOut`; `Corrupt`.
    pub fn connect(&self, me: &Member, deadline: Option<Deadline>) -> Result<(RawEnd, usize)> {
        let pending = me.pend();
        let mut owners = Owners::new();
        let room = &self.place.head().room;
        let result = loop {
            owners.clear();
            // Before the look: an end that leaves after it changes the word.
            let expected = room.load(Ordering::SeqCst) as u32;
            match self.attempt(me, &mut owners) {
                Ok(None) => {}
                Ok(Some(end)) => break Ok(end),
                Err(error) => break Err(error),
            }
            if let Some(listener) = self.listener() {
                owners.push(listener);
            }
            let watches = [Watch { word: Word::Low(room), expected }];
            if me.sleep_on_many(&watches, &owners, None, (0, 1), deadline) == Woken::TimedOut {
                break Err(ErrorKind::TimedOut.into());
            }
        };
        me.unpend(pending);
        result
    }

    fn attempt(&self, me: &Member, owners: &mut Owners) -> Result<Option<(RawEnd, usize)>> {
        let Some(listener) = self.living_listener(me) else { return Err(ErrorKind::Refused.into()) };
        let slots = self.place.slots();
        // Relaxed: it only spreads where they start.
        let start = self.place.head().rotation.fetch_add(1, Ordering::Relaxed) as usize;
        let mut tries = TRIES + slots as u32;
        for slot in (0..slots).map(|n| start.wrapping_add(n) % slots) {
            if let Some(lanes) = self.claim(me, slot, owners, &mut tries)? {
                return self.call(me, slot, &lanes, listener).map(|end| Some((end, slot)));
            }
        }
        Ok(None)
    }

    /// Calls the listener in a slot whose seats are all the caller's.
    fn call(&self, me: &Member, slot: usize, lanes: &Lanes, mut listener: OwnerId) -> Result<RawEnd> {
        let seats = Seats::of(lanes.as_slice());
        for word in seats.far() {
            word.store(listener.bits() | UNANSWERED, Ordering::Release);
        }
        crate::crash_window!("M-b: renewed, not called");
        let (calls, bit) = self.call_of(slot);
        calls.fetch_or(bit, Ordering::SeqCst); // M1
        crate::crash_window!("M-c: called, nobody woken");
        if !crate::mutant!("pipe-call-no-wake") {
            let half = if bit > u64::from(u32::MAX) { Word::High(calls) } else { Word::Low(calls) };
            futex::wake(half, u32::MAX);
        }
        fence(Ordering::SeqCst); // M3
        if !crate::mutant!("pipe-call-sets-untold") {
            self.place.head().watchers.ring(me.table());
        }
        for _ in 0..TRIES {
            match self.living_listener(me) {
                Some(now) if now == listener => break,
                // It moved, or another one took over before it saw the call.
                Some(_) if crate::mutant!("pipe-no-redirection") => break,
                Some(now) => {
                    self.redirect(me, slot, listener, now)?;
                    listener = now;
                }
                None if crate::mutant!("pipe-no-third-look") => break,
                None => {
                    if calls.fetch_and(!bit, Ordering::SeqCst) & bit == 0 {
                        break; // it had been answered
                    }
                    for word in seats.all().iter().rev() {
                        word.store(0, Ordering::Release);
                    }
                    self.make_room();
                    return Err(ErrorKind::Refused.into());
                }
            }
        }
        end(me, lanes.lanes[0], lanes.lanes[1])
    }

    // ---- answering -------------------------------------------------------------------------------------------

    /// Answers a call, if there is one.
    ///
    /// # Errors
    /// `Empty`; `Stale` if the caller no longer listens; `Corrupt`.
    pub fn try_accept(&self, me: &Member) -> Result<(RawEnd, usize)> {
        let pending = me.pend();
        let result = self.pick_up(me);
        me.unpend(pending);
        result?.ok_or_else(|| ErrorKind::Empty.into())
    }

    /// Waits for a call and answers it.
    ///
    /// # Errors
    /// `Stale` if the caller no longer listens; `TimedOut`; `Corrupt`.
    pub fn accept(&self, me: &Member, deadline: Option<Deadline>) -> Result<(RawEnd, usize)> {
        let pending = me.pend();
        let words = self.place.slots().div_ceil(64);
        let calls = &self.place.head().calls[..words];
        let result = loop {
            // Before the look: a call that comes after it changes a word, and so does one that is redirected to us.
            let room = self.place.head().room.load(Ordering::SeqCst) as u32;
            let mut seen = [0; super::layout::CALL_WORDS];
            calls.iter().zip(&mut seen).for_each(|(word, seen)| *seen = word.load(Ordering::SeqCst));
            match self.pick_up(me) {
                Ok(None) => {}
                Ok(Some(end)) => break Ok(end),
                Err(error) => break Err(error),
            }
            let mut watches = [Watch { word: Word::Low(&self.place.head().room), expected: room };
                2 * super::layout::CALL_WORDS + 1];
            for (n, (word, seen)) in calls.iter().zip(seen).enumerate() {
                watches[2 * n] = Watch { word: Word::Low(word), expected: seen as u32 };
                watches[2 * n + 1] = Watch { word: Word::High(word), expected: (seen >> 32) as u32 };
            }
            // Behind the words of the calls comes that of the room.
            let woken = me.sleep_on_many(&watches[..=2 * words], &Owners::new(), None, (0, 1), deadline);
            if woken == Woken::TimedOut {
                break Err(ErrorKind::TimedOut.into());
            }
        };
        me.unpend(pending);
        result
    }

    fn pick_up(&self, me: &Member) -> Result<Option<(RawEnd, usize)>> {
        if self.listener() != Some(me.id()) {
            return Err(ErrorKind::Stale.into());
        }
        let slots = self.place.slots();
        let start = self.place.head().rotation.load(Ordering::Relaxed) as usize;
        for slot in (0..slots).map(|n| start.wrapping_add(n) % slots) {
            if let Some(end) = self.answer(me, slot)? {
                return Ok(Some((end, slot)));
            }
        }
        Ok(None)
    }

    /// Answers the call in a slot, if there is one for the caller.
    fn answer(&self, me: &Member, slot: usize) -> Result<Option<RawEnd>> {
        // M1
        if !self.is_called(slot) {
            return Ok(None);
        }
        let lanes = self.lanes(slot)?;
        let far = Seats::of(lanes.as_slice()).far();
        let mine = me.id().bits();
        for (n, word) in far.iter().enumerate() {
            // A call to a dead listener stays: its client sees the end.
            if word.compare_exchange(mine | UNANSWERED, mine, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                if n == 1 {
                    let _ = far[0].compare_exchange(mine, 0, Ordering::AcqRel, Ordering::Relaxed);
                }
                return Ok(None);
            }
            crate::crash_window!("M-d: answering");
        }
        let (calls, bit) = self.call_of(slot);
        if calls.fetch_and(!bit, Ordering::SeqCst) & bit == 0 {
            // The caller has withdrawn.
            far.iter().for_each(|word| {
                let _ = word.compare_exchange(mine, 0, Ordering::AcqRel, Ordering::Relaxed);
            });
            self.make_room();
            return Ok(None);
        }
        crate::crash_window!("M-e: answered");
        end(me, lanes.lanes[1], lanes.lanes[0]).map(Some)
    }
}

/// The end that sends by one lane and receives by the other; the caller has both seats.
fn end(me: &Member, to: Lane, from: Lane) -> Result<RawEnd> {
    Ok(RawEnd { producer: RawProducer::seated(to, me)?, consumer: RawConsumer::seated(from, me)? })
}
