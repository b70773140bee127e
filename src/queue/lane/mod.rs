//! The lane: one producer, one consumer, two counts. It is under [`Spsc`](crate::queue), the byte lane and the pipe.
//!
//! **Promise.** Published units come out in order, once. No death loses anything that was published, and nobody waits for the
//! dead. A publication is one release store, without a read-modify-write; wait-free.
//!
//! Each side is a [seat](seat) that one thread holds at a time. Only its holder writes the side's count: `tail`, the units ever
//! published, or `head`, the units ever freed. A handle keeps its own count and the last value that it saw of the other one, and
//! loads the other one's cache line only when that value is not enough (the cached indices of Lee, Bell and Srinivasan's
//! MCRingBuffer and of rtrb). It may publish, or free, every *n* messages: then the line moves between the processors less often.
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | L1 | `tail`, Release | `tail`, Acquire | the units before it |
//! | L2 | `head`, Release | `head`, Acquire | the end of the reads before it |
//! | L3 | a seat's compare-and-swap | the next one's, Acquire | the counts of the last holder |
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | L-a | a producer, written, not published | nothing | the next producer takes the seat | what was not published |
//! | L-b | a producer, published, not woken | messages, the consumer asleep | the consumer, by the producer's slot, which it watches | nothing |
//! | L-c | a consumer, read, not freed | messages, unread | the next consumer takes the seat; the messages are flagged redelivered | nothing |
//! | L-d | a consumer, freed, not woken | room, the producer asleep | the producer, by the consumer's slot | nothing |
//! | L-e | a thread that took or moved a seat, its peer not told | a dead holder that had done nothing yet | no action needed, the next holder tells the peer; hanging up: the bell, or the net if the last holder lives | nothing |
//! | L-f | a closer, marked, not closed | an open lane with slower publishers | no action needed | the close, which never returned |
//! | L-g | a closer, closed, not woken | a closed lane, the peer asleep | the closer's slot; a thread about to sleep watches the mark or the closed word | nothing |
//! | L-h | a consumer, the end proposed, not final | a proposal | a producer withdraws it, the next consumer makes its own | nothing |
//! | L-i | a leaver, everything published or freed, still seated | a dead holder | the next one takes the seat | nothing |
//! | L-j | a consumer, seated, before its step is its own | messages, unread, and which of them are suspect | the next consumer, as in L-c | nothing |
//! | L-s | a sleeper | nothing | no action needed | nothing |
//!
//! A sleeper watches its peer's slot, so the peer need not keep its pending pointer at the bell: that keeps the fast path free of
//! it. Nor does the sleeper need the bell while a live peer has the other seat: it sleeps on two or three words, where other
//! sleepers have four or five. The peer changes only by a take or a move, which bump the count that the sleeper watches. There is no net
//! under this idle wait: a death that the kernel does not report, in L-b or L-d, is noticed by the next operation, at the latest
//! when somebody takes the seat (which asks the second channel).
//!
//! **The end.** A producer that closes is its own witness: nothing comes after. A consumer that closes may race with a
//! publication. So it *proposes* the end where it stands, passes the heavy fence, loads `tail` once more and makes the proposal
//! final by a compare-and-swap. A producer that has published and sees the mark checks the seal: it withdraws a proposal (then
//! the message got in), and a final seal tells it that the message was refused. Each of the two stores (`tail`, the proposal)
//! comes before the other's load, so one of them is seen.
//!
//! **Hanging up.** In a lane that [hangs up](Lane::hanging_up) a peer's death is the end, as its close is: for a consumer, after
//! everything published is drained. Whoever notices the death closes the lane, so that nobody who takes the dead one's seat is
//! heard. One that has just taken it may be heard, so the end is sealed here, too. A sleep there is a sleep on an owner, so the
//! net is under it.
//!
//! **Redelivery.** A consumer declares beforehand how many units it may have read and not freed (`step`). Whoever takes a dead
//! consumer's seat notes up to where units may have been read. The note outlasts its own death and its leaving.
//!
//! **Speed.** A unit is written into a cache line that the other processor has read, so each line must first come back. The
//! stores wait for it in the store buffer, in order; when that is full, the producer stalls. So the producer prefetches the free
//! room ahead for writing, half a KiB at a time, but never what is not known to be free: that is still being read. Measured
//! between processors (8 bytes, published one by one): 1.5 to 2 times the messages; where the two share a cache a message takes 0.2 ns
//! more. Units of a line or more are not prefetched: that gained nothing between processors.
//! A push is small enough to become part of its caller: what it does once in half a KiB, or where the known room ends, is a call.
//! As a call itself, it would get a large message by its address and wait for the stores that made it (64 bytes: 10 ns for a push
//! and pop instead of 6).
//! Batches, too, rely on what is known of the other side: loading its count at each batch cost two thirds of the speed.
//!
//! Rejected: prefetching for reading ahead of the consumer (it takes the lines away while they are being written: half the
//! messages); a pending pointer at the bell around every operation (two more stores on a path of ten instructions); the owner in
//! every cell, as in the MPMC queue (a read-modify-write a message); a bit in `tail` for the end (the producer's plain store
//! would erase it).

mod consumer;
mod layout;
mod producer;
pub(in crate::queue) mod seat;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod view;

pub use consumer::RawConsumer;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(in crate::queue) use layout::Header;
pub use layout::Lane;
#[cfg(not(interproc_loom))]
pub(in crate::queue) use layout::fetch_to_write;
#[cfg(not(interproc_loom))]
pub use layout::lane_size;
pub use producer::RawProducer;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use view::lane;

use super::event_count::EventCount;
use super::wait::{Waiter, Watches, wait};
#[cfg(any(feature = "std", interproc_loom))]
use crate::atomic::AtomicU64;
use crate::atomic::Ordering;
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId};
use crate::sys::Woken;
use crate::time::Deadline;
use seat::Seat;

/// In `seal`: the consumer proposes that the end is at the position in the low bits.
const PROPOSED: u64 = 1 << 62;
/// In `seal`: the end is there, for good.
const FINAL: u64 = 1 << 63;
const POSITION: u64 = PROPOSED - 1;

impl Lane {
    /// How many units are in it, published and not freed: a snapshot.
    pub fn len(&self) -> u64 {
        let head = self.header().head.load(Ordering::Acquire);
        if self.header().seal.load(Ordering::Acquire) == head & POSITION | FINAL {
            return 0; // what is behind the end was refused; its producer may have died before it took it back
        }
        // Loaded after the head: the tail is never behind a head that was loaded before it.
        self.header().tail.load(Ordering::Acquire).wrapping_sub(head).min(self.capacity())
    }

    /// How many units were ever published and freed: for tests.
    #[doc(hidden)]
    pub fn counts(&self) -> (u64, u64) {
        (self.header().tail.load(Ordering::Acquire), self.header().head.load(Ordering::Acquire))
    }

    /// Whether these counts are impossible: more units than the lane holds, or so many that they could wrap in somebody's
    /// lifetime. (So comparisons of positions need not consider that.)
    fn are_impossible(&self, head: u64, tail: u64) -> bool {
        tail.wrapping_sub(head) > self.capacity() || tail > POSITION / 2
    }

    /// Whether it is empty: a snapshot.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most units ever seen in it: by the producer when it looked for room, or by this call.
    pub fn peak(&self) -> u64 {
        self.header().peak.get().min(self.capacity()).max(self.len())
    }

    /// The holder of the producer's seat, dead or alive.
    #[inline]
    pub fn producer(&self) -> Option<OwnerId> {
        self.header().producer.holder()
    }

    /// The holder of the consumer's seat, dead or alive.
    #[inline]
    pub fn consumer(&self) -> Option<OwnerId> {
        self.header().consumer.holder()
    }

    /// Whether it was closed.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.header().common.is_closed()
    }

    /// From now on publishers use full fences: for a participant, or a whole segment, without membarrier.
    pub fn use_strong_fences(&self) {
        self.header().common.use_strong_fences();
    }

    /// The words of the producer's and the consumer's seat: a pipe takes its seats together.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn seats(&self) -> [&AtomicU64; 2] {
        [self.header().producer.word(), self.header().consumer.word()]
    }

    /// Makes it empty and open again. The caller holds both seats.
    #[cfg(any(feature = "std", interproc_loom))]
    #[cold]
    pub(crate) fn renew(&self) {
        let header = self.header();
        for word in [&header.tail, &header.head, &header.step, &header.suspect, &header.seal] {
            // Relaxed: nobody else reads them before taking a seat after us.
            word.store(0, Ordering::Relaxed);
        }
        #[cfg(not(interproc_loom))]
        header.gifts.iter().for_each(|gift| gift.store(0, Ordering::Relaxed));
        header.peak.renew();
        header.common.renew();
    }

    /// From now on the program that knows this number, which is not 0, may take the producer's seat, or the consumer's, from its holder.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn offer(&self, consumer: bool, number: u64) {
        self.header().gifts[usize::from(consumer)].store(number, Ordering::Release);
    }

    /// Whether it may, which is true once. The lane is the one of the offer: it was not [renewed](Self::renew) since.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn take_offer(&self, consumer: bool, number: u64) -> bool {
        let gift = &self.header().gifts[usize::from(consumer)];
        number != 0 && gift.compare_exchange(number, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Makes sleepers look again: the holder of the other seat was changed behind their back.
    #[cfg(any(feature = "std", interproc_loom))]
    #[cold]
    pub(crate) fn rouse(&self, me: &Member) {
        self.header().common.wake_all(me.table());
    }

    /// Consumers asleep.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn readers(&self) -> &EventCount {
        &self.header().common.not_empty
    }

    /// Producers asleep.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn writers(&self) -> &EventCount {
        &self.header().common.not_full
    }

    /// Whether a pop would not be refused with "empty": there is something, or it would tell of the end. Changes nothing.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn can_pop(&self, me: &Member) -> bool {
        self.is_over(me, &self.header().producer) || !self.is_empty()
    }

    /// Whether a push of so many units would not be refused with "full". `whole`: they must lie in one piece. Changes nothing.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn can_push(&self, me: &Member, units: u64, whole: bool) -> bool {
        let header = self.header();
        let head = header.head.load(Ordering::Acquire);
        let tail = header.tail.load(Ordering::Acquire);
        let free = self.capacity().saturating_sub(tail.wrapping_sub(head));
        let rest = self.capacity() - tail % self.capacity();
        let need = if whole && units > rest { rest + units } else { units };
        free >= need || self.is_over(me, &header.consumer)
    }

    /// Whether it is closed, or will be by whoever looks at that peer.
    #[cfg(any(feature = "std", interproc_loom))]
    fn is_over(&self, me: &Member, peer: &Seat) -> bool {
        self.is_closed() || self.hangs_up() && peer.holder().is_some_and(|id| !me.lives(id))
    }

    /// Closes it.
    fn close(&self, me: &Member) {
        self.header().common.close(
            me,
            || crate::crash_window!("L-f: marked, not closed"),
            || crate::crash_window!("L-g: closed, not woken"),
        );
    }

    /// Whether this lane hangs up and the peer in that seat has died. Then it is closed here and now.
    #[cold]
    fn is_hung_up(&self, me: &Member, peer: &Seat) -> bool {
        let gone = self.hangs_up()
            && !crate::mutant!("lane-hang-up-unseen")
            && peer.holder().is_some_and(|id| !me.lives(id));
        if gone && !self.is_closed() {
            self.close(me);
        }
        gone
    }

    /// Whether the seat of `holder` may move to another thread. On a lane that hangs up, the death of the holder is the end for
    /// the peer, whether the peer has looked yet or not, so it is the end for the handle, too.
    ///
    /// # Errors
    /// `Stale`.
    fn may_move(&self, me: &Member, holder: OwnerId) -> Result<()> {
        let lost = self.hangs_up() && !me.lives(holder);
        if lost { Err(ErrorKind::Stale.into()) } else { Ok(()) }
    }

    /// Takes a seat by `sit` and wakes a sleeping peer, so that it watches the new holder.
    fn sit<R>(&self, me: &Member, peer: &EventCount, sit: impl FnOnce() -> Result<R>) -> Result<R> {
        let pending = me.pend();
        let seated = sit();
        crate::crash_window!("L-e: seated, the peer not told");
        if seated.is_ok() && !crate::mutant!("lane-peer-not-told") {
            peer.wake(me.table(), || u32::MAX);
        }
        me.unpend(pending);
        seated
    }

    /// Leaves a seat whose holder has published, or freed, everything.
    fn leave(&self, seat: &Seat, id: OwnerId) {
        crate::crash_window!("L-i: about to leave");
        seat.leave(id);
    }

    /// Waits until `look` says yes.
    #[cold]
    fn wait(
        &self,
        me: &Member,
        deadline: Option<Deadline>,
        count: &EventCount,
        peer: &Seat,
        look: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let pending = me.pend();
        let mut waiting = Waiting { me, peer, hangs_up: self.hangs_up(), look, living: None };
        let result = wait(me, deadline, count, Some(&self.header().common), &mut waiting);
        me.unpend(pending);
        result
    }
}

/// The holder of one seat, waiting for the holder of the other.
struct Waiting<'a, F> {
    me: &'a Member,
    peer: &'a Seat,
    hangs_up: bool,
    look: F,
    /// The live holder of the other seat before the last look.
    living: Option<OwnerId>,
}

impl<F: FnMut() -> Result<bool>> Waiter for Waiting<'_, F> {
    type Done = ();

    fn look(&mut self, announced: bool) -> Result<Option<()>> {
        if announced {
            // Before the look: any change after it changes a word that we watch.
            self.living = self.peer.living(self.me).filter(|_| !crate::mutant!("lane-peer-not-watched"));
        }
        Ok((self.look)()?.then_some(()))
    }

    fn sleep(&mut self, watches: Watches<'_>, deadline: Option<Deadline>) -> Woken {
        let (words, sure) = (watches.as_slice(), watches.sure);
        crate::crash_window!("L-s: about to sleep");
        match self.living {
            Some(peer) => self.me.sleep_beside(words, peer, self.hangs_up, sure, deadline),
            None => self.me.sleep(words, None, sure, deadline),
        }
    }
}
