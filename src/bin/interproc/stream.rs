//! What `send` and `recv` share: a named ring of bytes, and the books of who sends.
//!
//! | object of the segment | what it is |
//! |---|---|
//! | `bytes` | the ring: a piece of the input is a message; an empty one says "look whether that was all" |
//! | `senders` | a robust permit for each sender: the kernel gives back those of the dead |
//! | `books` | under a robust lock: how many senders came, how many came to their end, whether it is over |
//! | `capacity` | what the first comer chose |
//!
//! A sender takes its permit and is counted under the lock, and is counted again when all it has is in the ring. *It is over*
//! when a sender came, none that lives has a permit, and the ring is empty. That is decided under the lock, too, by a
//! receiver: it marks the books, removes the name and closes the ring, so that a sender either came before, or finds the
//! mark and begins anew under the same name. Each of these steps may be the last one of whoever takes it: the mark is
//! seen by the next one, who removes and closes. Those counted once and not twice were killed.

use interproc::queue::ByteQueue;
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
/// Bytes of the ring, unless the first comer says otherwise.
pub const CAPACITY: u64 = 4 << 20;
/// The smallest ring, for some of the longest pieces.
pub const LEAST: u64 = 1 << 20;
/// How many senders, and how many of both kinds, at a time.
const PERMITS: usize = 128;
const MEMBERS: u32 = 192;
/// How soon a receiver that gets nothing looks for dead senders.
pub const NAP: Duration = Duration::from_millis(50);

/// Something came out, but not as it should.
pub const INCOMPLETE: u8 = 1;
/// It did not work.
pub const FAILED: u8 = 2;

/// In the books: how many senders came.
const CAME: usize = 0;
/// How many of them had all they have in the ring.
const ENDED: usize = 1;
/// Not 0: it is over.
const OVER: usize = 2;
type Books = [u64; 3];

/// A named ring with its books.
pub struct Stream {
    name: String,
    segment: Segment,
    /// The ring.
    pub ring: ByteQueue,
    senders: BoundedSemaphore,
    books: Object<Mutex<Books>>,
}

impl Stream {
    /// Opens the ring of this name, or makes it with so many bytes.
    ///
    /// # Errors
    /// Those of segments; `TypeMismatch` when the name belongs to something else.
    pub fn open(name: &str, capacity: u64) -> Result<Stream> {
        let name = crate::sight::full_name(name);
        let segment = Self::segment(&name, capacity)?;
        // Nothing is put into a segment that is somebody else's: this is the first object of ours.
        let is_new = || {
            let objects = crate::sight::open(&name).and_then(|look| look.objects());
            objects.is_ok_and(|objects| objects.is_empty())
        };
        let chosen = match segment.find::<AtomicU64>("capacity") {
            Err(e) if e.kind() == ErrorKind::NoObject && is_new() => {
                segment.object("capacity", || AtomicU64::new(capacity))?
            }
            // Another newcomer may have made it meanwhile.
            Err(e) if e.kind() == ErrorKind::NoObject => segment.find("capacity")?,
            found => found?,
        };
        let chosen = chosen.load(Ordering::Relaxed);
        let ring = segment.byte_queue("bytes", usize::try_from(chosen).unwrap_or(usize::MAX), PIECE)?;
        let senders = segment.bounded_semaphore("senders", PERMITS)?;
        let books = segment.object("books", || Mutex::new([0; 3]))?;
        Ok(Stream { name, segment, ring, senders, books })
    }

    /// As it is, whatever its size; otherwise a new one.
    fn segment(name: &str, capacity: u64) -> Result<Segment> {
        // A control word of 16 bytes goes with each 64.
        let size = capacity as usize / 4 * 5 + (1 << 17);
        let options = Segment::options().size(size).max_members(MEMBERS).max_objects(8);
        loop {
            match Segment::open(name) {
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) if e.kind() == ErrorKind::UntrustedOwner => {
                    return Err(e.with_detail("send and recv are for rings of their own user"));
                }
                opened => return opened,
            }
            match options.create(name) {
                Err(e) if e.kind() == ErrorKind::Exists => {}
                created => return created,
            }
        }
    }

    fn books(&self) -> Result<MutexGuard<'_, Books>> {
        match self.books.lock() {
            Ok(books) => Ok(books),
            // Each number stands for itself: whoever died with the lock left them right.
            Err(LockError::OwnerDied(died)) => Ok(died.mark_consistent()),
            Err(LockError::Failed(error)) => Err(error),
        }
    }

    /// Comes as a sender. `None`: it is over, and the name is free.
    ///
    /// # Errors
    /// `Resource` when as many send as can.
    pub fn come(&self) -> Result<Option<Permit<'_>>> {
        let mut books = self.books()?;
        if books[OVER] != 0 {
            self.remove()?;
            return Ok(None);
        }
        let permit = self.senders.try_acquire().map_err(|e| match e.kind() {
            ErrorKind::WouldBlock => Error::from(ErrorKind::Resource)
                .with_detail(format!("{PERMITS} send already, and no more can")),
            _ => e,
        })?;
        books[CAME] += 1;
        Ok(Some(permit))
    }

    /// Goes as a sender, with all it has in the ring.
    ///
    /// # Errors
    /// Those of the lock.
    pub fn end(&self, permit: Permit<'_>) -> Result<()> {
        let mut books = self.books()?;
        books[ENDED] += 1;
        drop(permit);
        drop(books);
        // For a receiver that sleeps. If there is no room, none does.
        let _ = self.ring.try_push(&[]);
        Ok(())
    }

    /// Whether it is over; then the name is free and the other receivers are told.
    ///
    /// # Errors
    /// Those of the system.
    pub fn is_over(&self) -> Result<bool> {
        let mut books = self.books()?;
        if books[OVER] == 0 {
            if books[CAME] == 0 || self.somebody_sends()? || self.ring.len_bytes() > 0 {
                return Ok(false);
            }
            books[OVER] = 1;
        }
        self.remove()?;
        self.ring.close()?;
        Ok(true)
    }

    /// For a newcomer: whether it was over before. Then the name is free.
    ///
    /// # Errors
    /// Those of the system.
    pub fn was_over(&self) -> Result<bool> {
        let books = self.books()?;
        if books[OVER] != 0 {
            self.remove()?;
        }
        Ok(books[OVER] != 0)
    }

    fn somebody_sends(&self) -> Result<bool> {
        // Asked of the second channel, too: the kernel does not report every death.
        Ok(self.senders.holders()?.iter().any(|who| who.alive))
    }

    /// Frees the name, if it is still this segment's; under the lock.
    fn remove(&self) -> Result<()> {
        let file = File::from(self.segment.as_fd().as_fd().try_clone_to_owned()?);
        if file.metadata()?.nlink() > 0 {
            Segment::unlink(&self.name)?;
        }
        Ok(())
    }

    /// How many senders came, and how many of them did not come to their end.
    ///
    /// # Errors
    /// Those of the lock.
    pub fn missing(&self) -> Result<(u64, u64)> {
        let books = self.books()?;
        Ok((books[CAME], books[CAME].saturating_sub(books[ENDED])))
    }
}

/// Says what went wrong.
pub fn failed(what: impl std::fmt::Display) -> ExitCode {
    crate::sight::complain(&what.to_string());
    ExitCode::from(FAILED)
}

/// What shows how much has passed, on the standard error if that is a terminal.
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
