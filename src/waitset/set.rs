//! [`WaitSet`] and [`Source`].
#![allow(unsafe_code)]

use super::helper::{Door, Place};
use super::pollable::Pollable;
use super::poller::Poller;
use super::raw::{Entry, Watching, due, waits_on_a_life};
use super::source::Wanted;
#[cfg(feature = "tokio")]
use crate::counted::Counted;
use crate::counted::Keep;
use crate::error::{Error, ErrorKind, Result};
use crate::fallible;
use crate::member::{self, Here, Member, Naps, Post};
use crate::sys::own::Own;
use crate::sys::task;
use crate::time::{Deadline, Wait};
use core::ffi::c_int;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::boxed::Box;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::vec::Vec;

/// The most segments that the sources of a set lie in.
const SEGMENTS: usize = 32;

/// A condition to wait for: see [`WaitSet::add`].
///
/// Queues, pipes, locks and processes make them: `when_readable`, `when_writable`, `when_set` and so on. A descriptor or a time is one,
/// too. It keeps the segment mapped, but not the handle that made it.
///
/// # Examples
/// ```
/// use interproc::{Segment, waitset::{Source, WaitSet}};
/// # let seg = Segment::anonymous(1 << 16)?;
/// let jobs = seg.queue::<u64>("jobs", 16)?;
/// let mut set = WaitSet::new();
/// let job = set.add(jobs.when_readable())?;
/// let tick = set.add(Source::after(std::time::Duration::from_secs(60)))?;
/// jobs.push(7)?;
/// assert_eq!(set.wait()?, [job]);
/// assert_eq!(jobs.pop()?, 7);
/// # let _ = tick;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Source<'a>(What<'a>);

enum What<'a> {
    /// An object at this address.
    Object { wanted: Wanted<'a>, address: *const u8, keep: Option<Keep> },
    /// A descriptor, and what epoll is to report of it.
    Descriptor(BorrowedFd<'a>, u32),
    /// A time, and how often it comes again.
    Time(Deadline, Option<Duration>),
    /// It could not be made.
    Wrong(Error),
}

// SAFETY: the address names mapped memory that any thread may use; it is dereferenced by nobody.
unsafe impl Send for Source<'_> {}

impl<'a> Source<'a> {
    pub(crate) fn object(wanted: Wanted<'a>, address: *const u8, keep: impl Into<Option<Keep>>) -> Self {
        Source(What::Object { wanted, address, keep: keep.into() })
    }

    /// The descriptor can be read, or has ended, or has an error. A set with descriptors sleeps in epoll: see [`WaitSet`].
    ///
    /// # Examples
    /// ```
    /// use interproc::waitset::{Source, WaitSet};
    /// use std::io::Write;
    /// let (read, mut write) = std::io::pipe()?;
    /// let mut set = WaitSet::new();
    /// let key = set.add(Source::readable(&read))?;
    /// write.write_all(b"x")?;
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn readable(fd: &'a impl AsFd) -> Self {
        Source(What::Descriptor(fd.as_fd(), (libc::EPOLLIN | libc::EPOLLRDHUP) as u32))
    }

    /// The descriptor can be written, or has an error.
    ///
    /// # Examples
    /// ```
    /// # use interproc::waitset::{Source, WaitSet};
    /// let (_read, write) = std::io::pipe()?;
    /// let mut set = WaitSet::new();
    /// set.add(Source::writable(&write))?;
    /// assert_eq!(set.wait()?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writable(fd: &'a impl AsFd) -> Self {
        Source(What::Descriptor(fd.as_fd(), libc::EPOLLOUT as u32))
    }

    /// As a source that borrows nothing: it keeps the segment mapped by itself. For what borrows its object, an event or a semaphore.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput): a descriptor or a process, which stay borrowed; an object in no segment of a
    /// [`Segment`](crate::Segment).
    ///
    /// # Examples
    /// ```
    /// use interproc::{Segment, sync::Event, waitset::WaitSet};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let stop = seg.object("stop", Event::new)?;
    /// let mut set: WaitSet<'static> = WaitSet::new();
    /// let key = set.add(stop.when_set().kept()?)?;
    /// stop.set();
    /// drop((stop, seg));
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn kept(self) -> Result<Source<'static>> {
        let refused = |what| Err(Error::from(ErrorKind::InvalidInput).with_detail(what));
        Ok(Source(match self.0 {
            What::Object { wanted, address, keep } => {
                let Some(keep) = keep.or_else(|| member::keep_of(address)) else {
                    return refused("nothing keeps the object's segment mapped");
                };
                // SAFETY: what it borrows lies in that segment, which stays mapped as long as it is kept, beside it, and where nothing
                // but shared references to an object are given out.
                let wanted = unsafe { core::mem::transmute::<Wanted<'a>, Wanted<'static>>(wanted) };
                What::Object { wanted, address, keep: Some(keep) }
            }
            What::Descriptor(..) => return refused("a descriptor is borrowed"),
            What::Time(at, every) => What::Time(at, every),
            What::Wrong(error) => What::Wrong(error),
        }))
    }

    /// Readable, or writable.
    #[cfg(any(feature = "c-abi", test))]
    pub(crate) fn descriptor(fd: BorrowedFd<'a>, is_writable: bool) -> Self {
        let events = if is_writable { libc::EPOLLOUT } else { libc::EPOLLIN | libc::EPOLLRDHUP };
        Source(What::Descriptor(fd, events as u32))
    }

    /// As [`every`](Self::every), from `first` on; once if there is no period.
    #[cfg(any(feature = "c-abi", test))]
    pub(crate) fn times(first: Deadline, period: Option<Duration>) -> Self {
        Source(What::Time(first, period))
    }

    pub(crate) fn ended(process: Result<BorrowedFd<'a>>) -> Self {
        Source(match process {
            Ok(fd) => What::Descriptor(fd, libc::EPOLLIN as u32),
            Err(error) => What::Wrong(error),
        })
    }

    /// This time has come. It is reported once, and then never again.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, waitset::{Source, WaitSet}};
    /// let mut set = WaitSet::new();
    /// let key = set.add(Source::at(Deadline::after(std::time::Duration::from_millis(1))))?;
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn at(deadline: Deadline) -> Self {
        Source(What::Time(deadline, None))
    }

    /// So much time has gone by, from now. As [`at`](Self::at).
    ///
    /// # Examples
    /// ```
    /// # use interproc::waitset::{Source, WaitSet};
    /// let mut set = WaitSet::new();
    /// set.add(Source::after(std::time::Duration::from_millis(1)))?;
    /// assert_eq!(set.wait()?.len(), 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn after(duration: Duration) -> Self {
        Source::at(Deadline::after(duration))
    }

    /// So much time has gone by, again and again. Times that were missed are reported as one.
    ///
    /// # Examples
    /// ```
    /// # use interproc::waitset::{Source, WaitSet};
    /// let mut set = WaitSet::new();
    /// let tick = set.add(Source::every(std::time::Duration::from_millis(1)))?;
    /// for _ in 0..3 {
    ///     assert_eq!(set.wait()?, [tick]);
    /// }
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn every(period: Duration) -> Self {
        let period = period.max(Duration::from_nanos(1));
        Source(What::Time(Deadline::after(period), Some(period)))
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            What::Object { wanted, .. } => write!(f, "Source({wanted:?})"),
            What::Descriptor(fd, _) => write!(f, "Source(descriptor {})", fd.as_raw_fd()),
            What::Time(at, every) => write!(f, "Source({at:?}, {every:?})"),
            What::Wrong(error) => write!(f, "Source({error})"),
        }
    }
}

/// Names a source in its [`WaitSet`]. It is never given out twice by one set.
///
/// # Examples
/// ```
/// # use interproc::waitset::{Key, Source, WaitSet};
/// let mut set = WaitSet::new();
/// let soon = set.add(Source::after(std::time::Duration::from_millis(1)))?;
/// let late = set.add(Source::after(std::time::Duration::from_secs(60)))?;
/// for key in set.wait()? {
///     assert!(*key == soon && *key != late);
/// }
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u64);

impl Key {
    /// As a number, for C.
    #[cfg(any(feature = "c-abi", test))]
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// As above.
    #[cfg(any(feature = "c-abi", test))]
    pub(crate) fn of(number: u64) -> Self {
        Key(number)
    }
}

/// By what a set sleeps: see [`WaitSet::mechanism`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// On memory words, by the kernel's futex. No descriptor, no thread.
    Futex,
    /// In epoll: some sources are descriptors, or [`WaitSet::descriptor`] was called. Memory words are watched by a thread, one for
    /// the process.
    Epoll,
}

/// A segment of the sources.
struct Segment {
    /// Where its header is mapped: that tells it from others.
    header: *const u8,
    door: u32,
}

/// What is known of an entry apart from it.
struct Object {
    key: Key,
    /// Where it is: by that a thread finds its member. (A process may have mapped one segment twice, and one mapping may go.)
    address: *const u8,
    keep: Option<Keep>,
}

/// A time to wait for.
struct Timer {
    key: Key,
    at: Deadline,
    every: Option<Duration>,
    /// It was reported, and does not come again.
    over: bool,
}

/// A descriptor to wait for.
struct Descriptor {
    key: Key,
    fd: c_int,
    /// A copy of ours, where the program's own was there already.
    copy: Option<Own>,
}

/// Waits for any of several things: that a queue can be read or written, that an event is set, that a process has ended, that a
/// descriptor is readable, that a time has come.
///
/// | to wait for | source |
/// |---|---|
/// | queues, byte queues, lanes, pipes | `when_readable`, `when_writable` of [`Queue`](crate::queue::Queue), [`ByteQueue`](crate::queue::ByteQueue), [`spsc`](crate::queue::spsc), [`byte_lane`](crate::queue::byte_lane), [`pipe`](crate::pipe) |
/// | a client | `when_readable` of [`Listener`](crate::pipe::Listener) |
/// | a job, or room for one | `when_readable`, `when_writable` of [`WorkQueue`](crate::queue::WorkQueue) |
/// | news | `when_readable` of [`Subscriber`](crate::queue::Subscriber) |
/// | a newer value | `when_newer` of [`Latest`](crate::queue::Latest) |
/// | events, permits | `when_set` of [`Event`](crate::sync::Event), `when_available` of the [semaphores](crate::sync) |
/// | the end of a process | `when_ended` of [`Child`](crate::process::Child) and [`Process`](crate::process::Process) |
/// | descriptors, times | [`Source::readable`], [`Source::writable`], [`Source::at`], [`Source::every`] |
///
/// **It says, and takes nothing.** A source is reported as long as it is ready (level-triggered): a `try_` call on it would not be
/// refused with "not now". With others at the same queue it may be by then. A set takes no wake-up from those who sleep in a queue
/// itself, and its owner need not pop. Only times and [`Latest::when_newer`](crate::queue::Latest::when_newer) are reported once for
/// each event.
///
/// A source outlives the handle that made it, and is then as good as the place: take it out before. An [`Event`](crate::sync::Event) that
/// is set and cleared again at once may be missed. Batches that are not published yet (`publish_every`) are not published by a wait.
/// At most 64 descriptors are reported at a time.
///
/// **Ends are reported, too**: a closed queue, a pipe whose other end is closed or dead. The try then tells.
///
/// *If a thread or a process dies*: what it has published is heard, and what it had in its hands comes back, as for a sleeper of the object
/// itself. Where more than eight other threads use the segment, a death that rings no bell (between two instructions of a publication; with a
/// job, a permit or a borrowed message in hand) is found by a look that comes 50 ms after the last one, then after 0.1 s, at most every
/// 0.8 s. So are deaths in the second and further segments of a set, where it hears no bell, and those that the kernel does not report,
/// of whoever has in hand what is waited for or is at the other end of a pipe.
/// Otherwise a dead peer at the other end of a pipe is heard at once. If the owner of a set dies, nothing is left but a spare wake-up.
///
/// *Cost*: a wait that finds something looks at each source, a few nanoseconds each, and makes no system call. One that sleeps
/// announces itself to those sources that have woken it, spins as all waits here, and sleeps on three words for each segment and one for each
/// of the other members there, up to eight; however many sources there are. Events and semaphores are slept on directly: one word or two each,
/// and together no more than about a hundred are watched; beyond that looks come as above. The sources may lie in 32 segments.
///
/// **Descriptors.** A set sleeps on memory words alone until a descriptor or a process is added, or [`descriptor`](Self::descriptor)
/// is called. From then on it sleeps in epoll, and a thread of the library's own watches the words: see [`Mechanism`]. As long as
/// that thread runs, until the last such set is dropped, the process is not alone, so a safe
/// [`fork`](crate::process::Builder::fork) is refused: fork before, or [`spawn`](crate::process::Builder::spawn).
///
/// *Threads*: one at a time waits; a set may move to another thread. *Fork*: a child's copy is refused
/// ([`NotOwner`](ErrorKind::NotOwner)). *Signals*: not to be used in a handler; a wait goes on after one.
///
/// # Examples
/// ```
/// use interproc::{Segment, waitset::WaitSet};
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let (high, low) = (seg.queue::<u32>("high", 16)?, seg.queue::<u32>("low", 16)?);
/// let mut set = WaitSet::new();
/// let (first, second) = (set.add(high.when_readable())?, set.add(low.when_readable())?);
/// std::thread::scope(|s| {
///     s.spawn(|| low.push(2).unwrap());
///     let ready = set.wait()?;
///     assert_eq!(ready, [second]);
///     assert!(!ready.contains(&first));
///     assert_eq!(low.pop()?, 2);
///     Ok::<(), interproc::Error>(())
/// })?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Default)]
pub struct WaitSet<'a> {
    /// In this order: what is posted in a segment goes before what keeps it mapped.
    posts: Vec<Post<'static>>,
    entries: Vec<Entry<'a>>,
    /// One for each entry, in the order of their keys.
    objects: Vec<Object>,
    segments: Vec<Segment>,
    descriptors: Vec<Descriptor>,
    timers: Vec<Timer>,
    poller: Option<Box<Poller>>,
    ready: Vec<Key>,
    /// Those of the entries that are to be looked at. There is room for all.
    loud: Vec<u32>,
    /// How many sources are not [plain](Entry::is_plain).
    others: usize,
    naps: Naps,
    /// The next look is at everything.
    thorough: bool,
    /// What was reported is not looked at until it is wanted [again](Self::again).
    once: bool,
    /// For which thread the posts are made.
    here: Option<Here>,
    /// The process that uses it.
    process: Option<u32>,
    next: u64,
}

// SAFETY: what it points to is mapped as long as it is kept, and the members in the posts are used by their own thread alone: another
// thread makes new ones (`come`).
unsafe impl Send for WaitSet<'_> {}

impl<'a> WaitSet<'a> {
    /// An empty one.
    ///
    /// # Examples
    /// ```
    /// let set = interproc::waitset::WaitSet::new();
    /// assert!(set.is_empty());
    /// ```
    pub fn new() -> Self {
        WaitSet::default()
    }

    /// Adds a source. The key names it in what [`wait`](Self::wait) returns.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput): a regular file, which is always ready; an object in no segment.
    /// [`NoSpace`](ErrorKind::NoSpace): more than 32 segments. [`NotOwner`](ErrorKind::NotOwner) in a forked child.
    /// [`TooManyMembers`](ErrorKind::TooManyMembers). The system's, where a descriptor or a process is the first one of the set.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, waitset::WaitSet};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let queue = seg.queue::<u32>("q", 1)?;
    /// let mut set = WaitSet::new();
    /// let room = set.add(queue.when_writable())?;
    /// assert_eq!(set.wait()?, [room]);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn add(&mut self, source: Source<'a>) -> Result<Key> {
        self.check_process()?;
        let key = Key(self.next);
        let most = self.len() + 1;
        fallible::reserve(&mut self.ready, most)?;
        match source.0 {
            What::Object { wanted, address, keep } => {
                let segment = self.segment_of(address)?;
                let entry = Entry::new(wanted, segment);
                let room = self.entries.len() + 1 - self.loud.len();
                let reserved = fallible::reserve(&mut self.loud, room)
                    .and_then(|()| fallible::reserve(&mut self.entries, 1))
                    .and_then(|()| fallible::reserve(&mut self.objects, 1));
                if let Err(error) = reserved {
                    self.forget_segment_if_unused(segment);
                    return Err(error);
                }
                self.others += usize::from(!entry.is_plain());
                self.thorough = true;
                self.entries.push(entry);
                let keep = keep.or_else(|| member::keep_of(address));
                self.objects.push(Object { key, address, keep });
            }
            What::Descriptor(fd, events) => {
                let fd = fd.as_raw_fd();
                fallible::reserve(&mut self.descriptors, 1)?;
                let copy = self.poller()?.add(fd, events, key.0)?;
                self.descriptors.push(Descriptor { key, fd, copy });
            }
            What::Time(at, every) => {
                fallible::push(&mut self.timers, Timer { key, at, every, over: false })?;
            }
            What::Wrong(error) => return Err(error),
        }
        self.next += 1;
        if let Some(poller) = &self.poller {
            poller.signal(); // nobody has looked at it yet
        }
        Ok(key)
    }

    /// Takes a source out. False if it is not there, or in a forked child.
    ///
    /// # Examples
    /// ```
    /// # use interproc::waitset::{Source, WaitSet};
    /// let mut set = WaitSet::new();
    /// let key = set.add(Source::after(std::time::Duration::from_secs(60)))?;
    /// assert!(set.remove(key) && !set.remove(key));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn remove(&mut self, key: Key) -> bool {
        if self.check_process().is_err() {
            return false;
        }
        if let Some(index) = self.index_of(key) {
            let entry = self.entries.remove(index);
            let object = self.objects.remove(index);
            self.others -= usize::from(!entry.is_plain());
            self.loud.clear();
            self.thorough = true;
            self.forget_segment_if_unused(entry.post);
            drop(object);
            return true;
        }
        if let Some(index) = self.descriptors.iter().position(|descriptor| descriptor.key == key) {
            let Descriptor { fd, copy, .. } = self.descriptors.swap_remove(index);
            if let Some(poller) = &self.poller {
                poller.remove(copy.as_ref().map_or(fd, Own::number));
            }
            return true;
        }
        let index = self.timers.iter().position(|timer| timer.key == key);
        index.map(|index| self.timers.swap_remove(index)).is_some()
    }

    /// How many sources it has.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(interproc::waitset::WaitSet::new().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.entries.len() + self.descriptors.len() + self.timers.len()
    }

    /// Whether it has none.
    ///
    /// # Examples
    /// ```
    /// assert!(interproc::waitset::WaitSet::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// By what it sleeps.
    ///
    /// # Examples
    /// ```
    /// # use interproc::waitset::{Mechanism, WaitSet};
    /// let mut set = WaitSet::new();
    /// assert_eq!(set.mechanism(), Mechanism::Futex);
    /// set.descriptor()?;
    /// assert_eq!(set.mechanism(), Mechanism::Epoll);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn mechanism(&self) -> Mechanism {
        if self.poller.is_some() { Mechanism::Epoll } else { Mechanism::Futex }
    }

    /// Waits until a source is ready, as long as it takes. Returns the keys of all that are ready, in no certain order.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput): the set is empty, or only has times that were reported.
    /// [`NotOwner`](ErrorKind::NotOwner) in a forked child; [`TooManyMembers`](ErrorKind::TooManyMembers);
    /// [`DescriptorClosed`](ErrorKind::DescriptorClosed): the program has closed the set's own descriptor.
    /// In epoll the system's: the library's thread could not be started, or a call is denied. The next wait tries again.
    ///
    /// # Examples
    /// See [`WaitSet`].
    pub fn wait(&mut self) -> Result<&[Key]> {
        self.wait_by(Wait::ForEver)
    }

    /// As [`wait`](Self::wait), without waiting: what is ready now, which may be nothing.
    ///
    /// Where [`descriptor`](Self::descriptor) is used: if it returns nothing, the descriptor becomes readable as soon as something is
    /// ready. (Now and then it does for nothing, as when somebody joins a segment.) So call it until it returns nothing, and then
    /// sleep on the descriptor.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), but an empty set is none.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, waitset::WaitSet};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let queue = seg.queue::<u32>("q", 1)?;
    /// let mut set = WaitSet::new();
    /// set.add(queue.when_readable())?;
    /// assert!(set.try_wait()?.is_empty());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_wait(&mut self) -> Result<&[Key]> {
        self.wait_by(Wait::Never)
    }

    /// As [`wait`](Self::wait), at most `timeout`.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), and [`TimedOut`](ErrorKind::TimedOut). An empty set is no error: it sleeps.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, waitset::WaitSet};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let queue = seg.queue::<u32>("q", 1)?;
    /// let mut set = WaitSet::new();
    /// set.add(queue.when_readable())?;
    /// let error = set.wait_timeout(std::time::Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<&[Key]> {
        self.wait_by(Wait::after(timeout))
    }

    /// As [`wait_timeout`](Self::wait_timeout), until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, waitset::WaitSet};
    /// assert!(WaitSet::new().wait_until(Deadline::now()).is_err());
    /// ```
    pub fn wait_until(&mut self, deadline: Deadline) -> Result<&[Key]> {
        self.wait_by(Wait::Until(deadline))
    }

    /// A descriptor that is readable when something is ready, for `poll`, `epoll` or another program's event loop. Only wait for it; it
    /// stays the set's. It misses nothing once [`try_wait`](Self::try_wait) has returned nothing.
    ///
    /// The first wait then that finds nothing starts the library's thread, unless another set has.
    ///
    /// # Errors
    /// The system's; as [`wait`](Self::wait).
    ///
    /// # Examples
    /// ```
    /// use interproc::{Segment, waitset::{Source, WaitSet}};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let queue = seg.queue::<u32>("q", 1)?;
    /// let mut set = WaitSet::new();
    /// let key = set.add(queue.when_readable())?;
    /// set.descriptor()?;
    /// assert!(set.try_wait()?.is_empty()); // from now on it misses nothing
    ///
    /// queue.push(1)?; // by any process
    /// let mut loop_ = WaitSet::new(); // or epoll
    /// let fd = set.descriptor()?;
    /// loop_.add(Source::readable(&fd))?;
    /// loop_.wait()?;
    /// drop(loop_);
    /// assert_eq!(set.try_wait()?, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn descriptor(&mut self) -> Result<BorrowedFd<'_>> {
        self.come()?;
        if self.poller.is_none() {
            self.poller()?.signal(); // nobody has looked yet
        }
        self.poller()?.fd()
    }

    /// As a set whose descriptor is there from now on, by reference: see [`Pollable`].
    ///
    /// # Errors
    /// As [`descriptor`](Self::descriptor).
    ///
    /// # Examples
    /// See [`Pollable`].
    pub fn into_pollable(mut self) -> Result<Pollable<'a>> {
        self.descriptor()?;
        let epoll = self.poller()?.epoll();
        Ok(Pollable { set: self, epoll })
    }

    // ---- for those who wait as tasks -------------------------------------------------------------------------

    /// The epoll, which its owner may keep longer than the set.
    #[cfg(feature = "tokio")]
    pub(crate) fn epoll(&mut self) -> Result<Counted<Own>> {
        self.descriptor()?;
        Ok(self.poller()?.epoll())
    }

    /// Whether the set has room for the segment of a source.
    #[cfg(feature = "tokio")]
    pub(crate) fn has_room_for(&self, source: &Source<'_>) -> Result<bool> {
        let What::Object { address, .. } = source.0 else { return Ok(true) };
        let header = member::current(address)?.table().address();
        Ok(self.segments.len() < SEGMENTS || self.segments.iter().any(|segment| segment.header == header))
    }

    /// From now on an object that was reported rests until it is wanted [again](Self::again): not reported, not looked at.
    #[cfg(feature = "tokio")]
    pub(crate) fn report_once(&mut self) {
        self.once = true;
    }

    /// An object that rests is reported again, at the next wait if it is ready then. Whether it rested; nothing happens to others.
    #[cfg(feature = "tokio")]
    pub(crate) fn again(&mut self, key: Key) -> bool {
        let Some(index) = self.index_of(key) else { return false };
        let rested = self.entries[index].again();
        if rested {
            self.loud.push(index as u32); // reserved; none that rests is there
        }
        rested
    }

    // ---- inside ----------------------------------------------------------------------------------------------

    fn index_of(&self, key: Key) -> Option<usize> {
        self.objects.binary_search_by_key(&key, |object| object.key).ok()
    }

    fn poller(&mut self) -> Result<&mut Poller> {
        if self.poller.is_none() {
            self.poller = Some(fallible::boxed(Poller::new()?)?);
        }
        self.poller.as_deref_mut().ok_or_else(|| ErrorKind::InvalidInput.into())
    }

    /// The number of the segment that an address lies in.
    fn segment_of(&mut self, address: *const u8) -> Result<usize> {
        let me: &Member = member::current(address)?;
        let header = me.table().address();
        if let Some(known) = self.segments.iter().position(|segment| segment.header == header) {
            return Ok(known);
        }
        if self.segments.len() == SEGMENTS {
            return Err(Error::from(ErrorKind::NoSpace)
                .with_detail(format_args!("the sources of a set lie in {SEGMENTS} segments at most")));
        }
        fallible::reserve(&mut self.posts, self.segments.len() + 1)?;
        // Sets at different doors do not wake each other: one after the other, and not in all processes in the same order.
        static SETS: AtomicU32 = AtomicU32::new(0);
        let door = me.id().slot().wrapping_add(SETS.fetch_add(1, Ordering::Relaxed));
        fallible::push(&mut self.segments, Segment { header, door })?;
        self.here = None;
        Ok(self.segments.len() - 1)
    }

    fn forget_segment_if_unused(&mut self, index: usize) {
        if self.entries.iter().any(|entry| entry.post == index) {
            return;
        }
        self.segments.swap_remove(index);
        let moved = self.segments.len();
        self.entries.iter_mut().filter(|entry| entry.post == moved).for_each(|entry| entry.post = index);
        self.posts.clear();
        self.here = None;
        if self.segments.is_empty()
            && let Some(poller) = &mut self.poller
        {
            poller.registration.end();
        }
    }

    /// The set is of the calling process.
    fn check_process(&mut self) -> Result<()> {
        match *self.process.get_or_insert_with(task::pid) {
            process if process == task::pid() => Ok(()),
            _ => Err(ErrorKind::NotOwner.into()),
        }
    }

    /// The posts are those of the calling thread.
    #[inline]
    fn come(&mut self) -> Result<()> {
        if self.here.is_some_and(Here::is_now) { Ok(()) } else { self.come_anew() }
    }

    #[cold]
    fn come_anew(&mut self) -> Result<()> {
        self.here = None;
        self.check_process()?;
        self.posts.clear();
        for n in 0..self.segments.len() {
            let Some(address) = address_in(n, &self.entries, &self.objects) else {
                return Err(ErrorKind::InvalidInput.into());
            };
            let me: &Member = member::current(address)?;
            // SAFETY: the member is the calling thread's, and lives as long as the process has its segment attached, which the sources
            // see to. Another thread, or one that has detached something, comes here before it uses the posts.
            let me = unsafe { &*core::ptr::from_ref(me) };
            self.posts.push(Post::new(me, self.segments[n].door)); // reserved
        }
        self.here = (!self.segments.is_empty()).then(Here::now);
        Ok(())
    }

    fn watching(&mut self) -> Watching<'_, 'static, 'a> {
        Watching {
            posts: &mut self.posts,
            entries: &mut self.entries,
            plain: self.others == 0,
            loud: &mut self.loud,
            naps: &mut self.naps,
            thorough: &mut self.thorough,
        }
    }

    /// The next time to wait for.
    fn next_time(&self) -> Option<Deadline> {
        self.timers.iter().filter(|timer| !timer.over).map(|timer| timer.at).min()
    }

    /// Notes the keys of the objects that the last look found ready, so many, and of times that have come. Whether there are any.
    fn note(&mut self, found: usize) -> bool {
        let found = self.entries.iter_mut().zip(&self.objects).filter(|(entry, _)| entry.ready).take(found);
        let once = self.once;
        self.ready.extend(found.map(|(entry, object)| {
            entry.reported(once);
            object.key
        }));
        if once && !self.ready.is_empty() {
            self.loud.retain(|&index| !self.entries[index as usize].rests());
        }
        if !self.timers.is_empty() {
            self.note_times();
        }
        !self.ready.is_empty()
    }

    fn note_times(&mut self) {
        let now = Deadline::now();
        for timer in self.timers.iter_mut().filter(|timer| !timer.over && timer.at <= now) {
            self.ready.push(timer.key);
            match timer.every {
                None => timer.over = true,
                Some(period) => {
                    let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
                    let late = (now.as_monotonic_ns() - timer.at.as_monotonic_ns()) / period + 1;
                    let next = timer.at.as_monotonic_ns().saturating_add(late.saturating_mul(period));
                    timer.at = Deadline::from_monotonic_ns(next);
                }
            }
        }
    }

    pub(crate) fn wait_by(&mut self, wait: Wait) -> Result<&[Key]> {
        self.come()?;
        self.ready.clear();
        if self.poller.is_some() {
            self.wait_by_poller(wait)?;
        } else {
            self.wait_by_futex(wait)?;
        }
        Ok(&self.ready)
    }

    fn wait_by_futex(&mut self, wait: Wait) -> Result<()> {
        loop {
            let (time, mut found) = (self.next_time(), 0);
            if self.posts.is_empty() {
                self.sleep_for(wait, time)?;
            } else {
                let until = match (wait, time) {
                    (Wait::Never, _) => Wait::Never,
                    (wait, time) => Wait::from(Deadline::earlier(wait.deadline(), time)),
                };
                match self.watching().wait(until) {
                    Ok(ready) => found = ready,
                    Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => {}
                    Err(error) => return Err(error),
                }
            }
            if self.note(found) || wait == Wait::Never {
                return Ok(());
            }
            if wait.deadline().is_some_and(Deadline::has_passed) {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }

    /// There are times alone, or nothing.
    fn sleep_for(&self, wait: Wait, time: Option<Deadline>) -> Result<()> {
        let until = match wait {
            Wait::Never => return Ok(()),
            wait => Deadline::earlier(wait.deadline(), time),
        };
        let Some(until) = until else {
            return Err(Error::from(ErrorKind::InvalidInput).with_detail("there is nothing to wait for"));
        };
        std::thread::sleep(until.remaining());
        Ok(())
    }

    /// Announces, by the descriptors, that the caller is about to sleep, and looks. Whether something was found.
    fn announce_by_poller(&mut self) -> Result<bool> {
        if let Some(poller) = &mut self.poller {
            self.thorough |= poller.calm()?;
        }
        let (found, sure) = self.watching().announce_surely();
        if found > 0 {
            return Ok(self.note(found));
        }
        let due = Deadline::earlier(self.next_time(), due(&self.entries));
        let Some(poller) = &mut self.poller else { return Ok(false) };
        poller.set_timer(due)?;
        let signal = poller.by().clone();
        let (entries, objects) = (&self.entries, &self.objects);
        let doors = self.posts.iter().enumerate().filter_map(|(n, post)| {
            Some(Door {
                header: post.me.table().address().addr(),
                door: post.door(),
                address: address_in(n, entries, objects)?.expose_provenance(),
            })
        });
        let others = if self.others == 0 { &self.entries[..0] } else { &*self.entries };
        let watches = others.iter().flat_map(Entry::watches);
        let words = watches.map(|(watch, news)| (Place::of(watch.word), news.then_some(watch.expected)));
        let keep = self.objects.iter().filter_map(|object| object.keep.clone());
        let naps = waits_on_a_life(&self.entries) || !sure;
        poller.registration.update(&signal, doors, words, naps, keep)?;
        Ok(self.note(0))
    }

    /// Notes the keys of descriptors that are ready.
    fn collect(&mut self) -> Result<()> {
        let (Some(poller), ready) = (&self.poller, &mut self.ready) else { return Ok(()) };
        self.thorough |= poller.says_everything();
        match self.descriptors.is_empty() {
            true => Ok(()),
            false => poller.collect(|number| ready.push(Key(number))),
        }
    }

    fn wait_by_poller(&mut self, wait: Wait) -> Result<()> {
        if wait == Wait::ForEver
            && (self.is_empty() || self.timers.iter().filter(|t| t.over).count() == self.len())
        {
            return self.sleep_for(wait, None);
        }
        self.collect()?;
        let found = self.watching().look(false);
        if self.note(found) {
            return Ok(());
        }
        loop {
            if self.announce_by_poller()? || wait == Wait::Never {
                return Ok(());
            }
            crate::crash_window!("WS-e: about to sleep");
            if let Some(poller) = &self.poller {
                poller.sleep(wait.deadline())?;
            }
            self.collect()?;
            let found = self.watching().look(false);
            if self.note(found) {
                return Ok(());
            }
            if wait.deadline().is_some_and(Deadline::has_passed) {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }
}

/// An address in the segment with this number.
fn address_in(segment: usize, entries: &[Entry<'_>], objects: &[Object]) -> Option<*const u8> {
    let found = entries.iter().zip(objects).find(|(entry, _)| entry.post == segment);
    found.map(|(_, object)| object.address)
}

impl fmt::Debug for WaitSet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = (self.entries.len(), self.descriptors.len(), self.timers.len());
        let (objects, descriptors, times) = sources;
        write!(f, "WaitSet({objects} objects, {descriptors} descriptors, {times} times)")
    }
}
