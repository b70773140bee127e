//! What `send` and `recv` share: a named ring of bytes, or with `--work` a queue of lines, with `--all` a broadcast of them, and a tally of
//! the senders.
//!
//! | object of the segment | what it is |
//! |---|---|
//! | `bytes` | the ring: each piece of the input is a message; an empty message says "check whether that was all". Or the work queue, or the broadcast |
//! | `senders` | a robust permit for each sender: those of dead senders come back |
//! | `books` | the tally, under a robust lock: how many senders came, how many reached the end of their input, whether it is over |
//! | `capacity` | the capacity that the first process chose |
//!
//! A sender takes its permit and is counted under the lock; it is counted again when all of its input is in the ring. *It
//! is over* when at least one sender has come, no living sender has a permit, and the ring is empty. A receiver decides
//! that, also under the lock: it marks the tally, removes the name and closes the ring. So a sender either came before, or
//! finds the mark and starts again under the same name. A process may be killed after any of these steps: the next one sees
//! the mark, and removes and closes. Senders that were counted once and not twice were killed.

use interproc::queue::{Broadcast, BroadcastOptions, ByteQueue, WorkOptions, WorkQueue};
use interproc::sync::{BoundedSemaphore, LockError, Mutex, MutexGuard, Permit};
use interproc::{Error, ErrorKind, Object, Result, Segment};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The longest piece, and so the longest line.
pub const PIECE: usize = 256 << 10;
/// The longest line with `--work` or `--all`.
pub const LINE: usize = 4 << 10;
/// The ring's size in bytes, unless the process that makes it says otherwise.
pub const CAPACITY: u64 = 4 << 20;
/// The smallest ring: a few of the longest pieces.
pub const LEAST: u64 = 1 << 20;
/// How many senders, and how many senders and receivers, at a time.
const PERMITS: usize = 128;
const MEMBERS: u32 = 192;
/// After so long without a message a receiver checks for dead senders.
pub const NAP: Duration = Duration::from_millis(50);

/// The exit code when something is missing or may have come twice.
pub const INCOMPLETE: u8 = 1;
/// The exit code of a failure.
pub const FAILED: u8 = 2;

/// Index in the tally: how many senders came.
const CAME: usize = 0;
/// How many of them have all of their input in the ring.
const ENDED: usize = 1;
/// Not 0 when it is over.
const OVER: usize = 2;
type Tally = [u64; 3];

/// What goes through a stream.
pub trait Channel: Sized {
    /// Finds it in a segment, or makes it, with this capacity in bytes.
    fn open(segment: &Segment, capacity: u64) -> Result<Self>;
    /// Sends one piece, waiting for room.
    fn put(&self, piece: &[u8]) -> Result<()>;
    /// The longest piece.
    fn longest(&self) -> usize;
    /// Whether all that was sent has arrived.
    fn is_done(&self) -> bool;
    /// Lets a receiver that sleeps look whether it is over.
    fn nudge(&self);
    /// Whether nobody will ever receive what is in it.
    fn is_deserted(&self) -> bool {
        false
    }
    fn end(&self) -> Result<()>;
}

impl Channel for ByteQueue {
    fn open(segment: &Segment, capacity: u64) -> Result<Self> {
        segment.byte_queue("bytes", usize::try_from(capacity).unwrap_or(usize::MAX), PIECE)
    }

    fn put(&self, piece: &[u8]) -> Result<()> {
        self.push(piece)
    }

    fn longest(&self) -> usize {
        PIECE
    }

    fn is_done(&self) -> bool {
        self.len_bytes() == 0
    }

    fn nudge(&self) {
        let _ = self.try_push(&[]); // if there is no room, nobody sleeps
    }

    fn end(&self) -> Result<()> {
        self.close()
    }
}

/// Lines that stay until a receiver has written them.
pub type Lines = WorkQueue<[u8]>;

impl Channel for Lines {
    fn open(segment: &Segment, capacity: u64) -> Result<Self> {
        let lines = usize::try_from(capacity).unwrap_or(usize::MAX) / LINE;
        segment.byte_work_queue("bytes", LINE, WorkOptions::new(lines))
    }

    fn put(&self, piece: &[u8]) -> Result<()> {
        WorkQueue::put(self, piece).map(drop)
    }

    fn longest(&self) -> usize {
        LINE
    }

    fn is_done(&self) -> bool {
        self.unfinished() == 0
    }

    fn nudge(&self) {
        let _ = self.try_put([].as_slice());
    }

    fn end(&self) -> Result<()> {
        self.close()
    }
}

/// Lines that every receiver gets.
pub type News = Broadcast<[u8]>;

impl Channel for News {
    fn open(segment: &Segment, capacity: u64) -> Result<Self> {
        let lines = usize::try_from(capacity).unwrap_or(usize::MAX) / (LINE + 64);
        segment.byte_broadcast("bytes", LINE, BroadcastOptions::new(lines).subscribers(MEMBERS as usize))
    }

    fn put(&self, piece: &[u8]) -> Result<()> {
        self.publish(piece).map(drop)
    }

    fn longest(&self) -> usize {
        LINE
    }

    /// Who has not received all of it gets the rest after the end.
    fn is_done(&self) -> bool {
        true
    }

    fn nudge(&self) {
        let _ = self.try_publish([].as_slice()); // whoever is behind does not sleep
    }

    fn is_deserted(&self) -> bool {
        self.subscribers().is_ok_and(|count| count == 0)
    }

    fn end(&self) -> Result<()> {
        self.close()
    }
}

/// A named ring or queue with the tally of its senders.
pub struct Stream<C = ByteQueue> {
    name: String,
    segment: Segment,
    /// The ring, or the queue.
    pub ring: C,
    senders: BoundedSemaphore,
    tally: Object<Mutex<Tally>>,
}

impl<C: Channel> Stream<C> {
    /// Opens the ring of this name, or makes it with this capacity.
    ///
    /// # Errors
    /// Those of segments; `TypeMismatch` when the name belongs to something else.
    pub fn open(name: &str, capacity: u64) -> Result<Stream<C>> {
        let name = crate::display::full_name(name);
        let segment = Self::segment(&name, capacity)?;
        // This is our first object: do not put it into a segment that another program made.
        let is_new = || {
            let objects = crate::display::open(&name).and_then(|look| look.objects());
            objects.is_ok_and(|objects| objects.is_empty())
        };
        let chosen = match segment.find::<AtomicU64>("capacity") {
            Err(e) if e.kind() == ErrorKind::NoObject && is_new() => {
                segment.object("capacity", || AtomicU64::new(capacity))?
            }
            // Another process may have made it meanwhile.
            Err(e) if e.kind() == ErrorKind::NoObject => segment.find("capacity")?,
            found => found?,
        };
        let chosen = chosen.load(Ordering::Relaxed);
        let ring = C::open(&segment, chosen)?;
        let senders = segment.bounded_semaphore("senders", PERMITS)?;
        let tally = segment.object("books", || Mutex::new([0; 3]))?;
        Ok(Stream { name, segment, ring, senders, tally })
    }

    /// The existing segment, whatever its size; otherwise a new one.
    fn segment(name: &str, capacity: u64) -> Result<Segment> {
        // Each 64 bytes need 16 more for control words.
        let size = capacity as usize / 4 * 5 + (1 << 17);
        let options = Segment::options().size(size).max_members(MEMBERS).max_objects(8);
        loop {
            match Segment::open(name) {
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) if e.kind() == ErrorKind::UntrustedOwner => {
                    return Err(e.with_detail("send and recv use only rings of their own user"));
                }
                opened => return opened,
            }
            match options.create(name) {
                Err(e) if e.kind() == ErrorKind::Exists => {}
                created => return created,
            }
        }
    }

    fn tally(&self) -> Result<MutexGuard<'_, Tally>> {
        match self.tally.lock() {
            Ok(tally) => Ok(tally),
            // Each number stands for itself, so a holder that died left them right.
            Err(LockError::OwnerDied(died)) => Ok(died.mark_consistent()),
            Err(LockError::Failed(error)) => Err(error),
        }
    }

    /// Joins as a sender. `None`: it is over, and the name is free.
    ///
    /// # Errors
    /// `Resource` when there are as many senders as can be.
    pub fn come(&self) -> Result<Option<Permit<'_>>> {
        let mut tally = self.tally()?;
        if tally[OVER] != 0 {
            self.remove()?;
            return Ok(None);
        }
        let permit = self.senders.try_acquire().map_err(|e| match e.kind() {
            ErrorKind::WouldBlock => Error::from(ErrorKind::Resource)
                .with_detail(format!("there are already {PERMITS} senders, the most that can be")),
            _ => e,
        })?;
        tally[CAME] += 1;
        Ok(Some(permit))
    }

    /// Leaves as a sender that has all of its input in the ring.
    ///
    /// # Errors
    /// Those of the lock.
    pub fn end(&self, permit: Permit<'_>) -> Result<()> {
        let mut tally = self.tally()?;
        tally[ENDED] += 1;
        drop(permit);
        drop(tally);
        self.ring.nudge();
        if self.ring.is_deserted() {
            self.is_over()?; // no receiver removes the name
        }
        Ok(())
    }

    /// Whether it is over; if so, frees the name and closes the ring for the other receivers.
    ///
    /// # Errors
    /// Those of the system.
    pub fn is_over(&self) -> Result<bool> {
        let mut tally = self.tally()?;
        if tally[OVER] == 0 {
            if tally[CAME] == 0 || self.somebody_sends()? || !self.ring.is_done() {
                return Ok(false);
            }
            tally[OVER] = 1;
        }
        self.remove()?;
        self.ring.end()?;
        Ok(true)
    }

    /// For a new receiver: whether it was already over. If so, frees the name.
    ///
    /// # Errors
    /// Those of the system.
    pub fn was_over(&self) -> Result<bool> {
        let tally = self.tally()?;
        if tally[OVER] != 0 {
            self.remove()?;
        }
        Ok(tally[OVER] != 0)
    }

    fn somebody_sends(&self) -> Result<bool> {
        // `holders` asks the second channel of death reports as well: the kernel does not report every death.
        Ok(self.senders.holders()?.iter().any(|who| who.alive))
    }

    /// Frees the name if it is still this segment's. The caller holds the lock.
    fn remove(&self) -> Result<()> {
        let file = File::from(self.segment.as_fd().as_fd().try_clone_to_owned()?);
        if file.metadata()?.nlink() > 0 {
            Segment::unlink(&self.name)?;
        }
        Ok(())
    }

    /// How many senders came, and how many of them did not reach the end of their input.
    ///
    /// # Errors
    /// Those of the lock.
    pub fn missing(&self) -> Result<(u64, u64)> {
        let tally = self.tally()?;
        Ok((tally[CAME], tally[CAME].saturating_sub(tally[ENDED])))
    }
}

/// Reports a failure.
pub fn failed(what: impl std::fmt::Display) -> ExitCode {
    crate::display::report_error(&what.to_string());
    ExitCode::from(FAILED)
}

/// A progress bar of the bytes, on the standard error if that is a terminal.
pub fn progress(wanted: bool) -> indicatif::ProgressBar {
    use std::io::IsTerminal;
    if !wanted || !std::io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let bar = indicatif::ProgressBar::new_spinner();
    if let Ok(style) = indicatif::ProgressStyle::with_template("{spinner} {elapsed} {bytes} {bytes_per_sec}")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
