//! The helper thread: it sleeps at the doors of the sets whose owners sleep in epoll, and makes their eventfds readable.
//!
//! It knows nothing of the objects. The owner of a set announces itself, with its own door, and looks; the helper passes on that the
//! door has moved, and is back at its door before the owner has looked. Only for words that are slept on (events, semaphores) it must
//! be told anew each time.
//!
//! There is one for each process, from the first set that needs it to the end of the last one. It blocks all signals, is a member of
//! the segments of those sets, and holds nothing: if it is killed, so is its process. A forked child has none, and starts its own.
#![allow(unsafe_code)]

use super::poller::Signal;
use crate::counted::{Counted, Keep};
use crate::error::{Error, ErrorKind, Result};
use crate::fallible;
use crate::member::{self, Naps, Post, sleep_at_doors};
use crate::sys::{Watch, Woken, Word, fork, futex, task};
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::boxed::Box;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

/// Room for what it does: no more than a few calls deep, with a list of words.
const STACK: usize = 128 << 10;

/// A set, as the helper knows it.
struct Client {
    /// The set's own number.
    id: u64,
    signal: Counted<Signal>,
    doors: Vec<Door>,
    /// Counts its registrations.
    serial: u64,
    /// Words to sleep on, and what they were when the owner looked, if another value is news.
    words: Vec<(Place, Option<u32>)>,
    /// What came of it: see [`TAKEN`].
    answer: Counted<AtomicU32>,
    /// It must look from time to time.
    naps: bool,
    /// Keeps all that mapped.
    keep: Vec<Keep>,
}

/// A door of a segment.
#[derive(Clone, Copy)]
pub(super) struct Door {
    /// Where the segment's header is mapped: that tells it from others.
    pub(super) header: usize,
    pub(super) door: u32,
    /// An address in the segment, by which a thread finds its member.
    pub(super) address: usize,
}

impl PartialEq for Door {
    fn eq(&self, other: &Door) -> bool {
        (self.header, self.door) == (other.header, other.door)
    }
}

/// The answer to a client: its doors are known. Another one but 0, which says that there is none yet, is the number of an error's kind
/// and one more.
const TAKEN: u32 = u32::MAX;

/// Where a word is: half of a 64-bit one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    at: usize,
    upper: bool,
}

impl Place {
    /// That of a word in a segment.
    pub(super) fn of(word: Word<'_>) -> Place {
        Place { at: word.start().addr(), upper: matches!(word, Word::High(_)) }
    }

    /// # Safety
    /// The segment is mapped as long as the word is used.
    unsafe fn word<'a>(self) -> Word<'a> {
        // SAFETY: it was made of a reference.
        let word = unsafe { &*core::ptr::with_exposed_provenance::<AtomicU64>(self.at) };
        if self.upper { Word::High(word) } else { Word::Low(word) }
    }
}

impl Client {
    /// Once.
    fn answer(&self, answer: u32) {
        if self.answer.load(Ordering::Relaxed) == 0 {
            self.answer.store(answer, Ordering::Release);
            futex::wake(Word::Whole(&self.answer), 1);
        }
    }
}

/// What the clients want cannot be done: they are told, and those who are known already look for themselves, and ask again.
fn refuse(clients: &[Client], error: &Error) {
    for client in clients {
        client.answer(error.kind() as u32 + 1);
        client.signal.send(true);
    }
}

#[derive(Default)]
struct State {
    clients: Vec<Client>,
    /// The thread at work, if there is one, and its number: others that still run are about to end.
    thread: Option<Thread>,
    started: usize,
}

/// The process's helper.
struct Helper {
    pid: u32,
    state: Mutex<State>,
    /// Moves when the clients change.
    changed: AtomicU32,
}

static HELPER: AtomicPtr<Helper> = AtomicPtr::new(core::ptr::null_mut());

impl Helper {
    /// That of this process. One that a parent had is left alone: its lock may have been held when this process was forked.
    fn get() -> Result<&'static Helper> {
        let pid = task::pid();
        loop {
            let known = HELPER.load(Ordering::Acquire);
            // SAFETY: they are never freed.
            if let Some(helper) = unsafe { known.as_ref() }
                && helper.pid == pid
            {
                return Ok(helper);
            }
            let made = Helper { pid, state: Mutex::default(), changed: AtomicU32::new(0) };
            let made = Box::leak(fallible::boxed(made)?);
            if HELPER.compare_exchange(known, made, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                // SAFETY: made above, and shown to nobody.
                drop(unsafe { Box::from_raw(made) });
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.fetch_add(1, Ordering::AcqRel);
        futex::wake(Word::Whole(&self.changed), u32::MAX);
    }

    /// The thread with this number. It ends when there is nobody left, or another one has taken its place.
    fn run(&'static self, number: usize) {
        let mut work = Work {
            clients: Vec::new(),
            posts: Vec::new(),
            doors: Vec::new(),
            naps: Naps::default(),
            napped: false,
        };
        let mut seen = None;
        loop {
            let changed = self.changed.load(Ordering::Acquire);
            if seen != Some(changed) {
                let mut state = self.lock();
                if state.clients.is_empty() || state.started != number {
                    return;
                }
                if let Err(error) = work.take(&mut state.clients) {
                    refuse(&state.clients, &error);
                }
                seen = Some(changed);
            }
            work.pass_on();
            work.sleep(Watch { word: Word::Whole(&self.changed), expected: changed });
        }
    }
}

/// What the helper's thread works with.
struct Work {
    clients: Vec<Seen>,
    /// Its posts, one at each door, and which doors these are.
    posts: Vec<Post<'static>>,
    doors: Vec<Door>,
    naps: Naps,
    /// The last sleep has ended because not everything could be watched.
    napped: bool,
}

/// A client, as the thread knows it.
struct Seen {
    id: u64,
    serial: u64,
    signal: Counted<Signal>,
    doors: Vec<Door>,
    words: Vec<(Place, Option<u32>)>,
    /// It was told, and has not announced itself anew: the words are of no use.
    told: bool,
    naps: bool,
    _keep: Vec<Keep>,
}

impl Work {
    /// Takes over what has changed. Posts that stay remember what they have seen.
    ///
    /// # Errors
    /// No memory; then nothing has changed.
    fn take(&mut self, clients: &mut Vec<Client>) -> Result<()> {
        let most = clients.iter().map(|client| client.doors.len()).sum();
        let (mut seen, mut posts, mut doors) = (Vec::new(), Vec::new(), Vec::<Door>::new());
        fallible::reserve(&mut seen, clients.len())?;
        fallible::reserve(&mut posts, most)?;
        fallible::reserve(&mut doors, most)?;
        for client in &*clients {
            let before = self.clients.iter().find(|before| before.id == client.id);
            seen.push(Seen {
                id: client.id,
                serial: client.serial,
                signal: client.signal.clone(),
                doors: fallible::collected(client.doors.iter().copied())?,
                words: fallible::collected(client.words.iter().copied())?,
                told: before.is_some_and(|before| before.serial == client.serial && before.told),
                naps: client.naps,
                _keep: fallible::collected(client.keep.iter().cloned())?,
            });
        }
        // From here on there is room for everything.
        clients.retain(|client| {
            let mut answer = TAKEN;
            for door in &client.doors {
                if doors.contains(door) {
                    continue;
                }
                let known = self.doors.iter().position(|known| known == door);
                let post = match known {
                    Some(index) => {
                        self.doors.swap_remove(index);
                        Ok(self.posts.swap_remove(index))
                    }
                    None => member::current(core::ptr::without_provenance(door.address))
                        .map(|me| Post::new(me, door.door)),
                };
                match post {
                    Ok(post) => {
                        posts.push(post);
                        doors.push(*door);
                    }
                    Err(error) => answer = error.kind() as u32 + 1,
                }
            }
            // One that is new at a door that is known may have missed that it moved.
            let before = self.clients.iter().find(|before| before.id == client.id);
            if before.is_none_or(|before| before.doors != client.doors) {
                client.signal.send(true);
            }
            client.answer(answer);
            if answer != TAKEN {
                seen.retain(|seen| seen.id != client.id);
            }
            answer == TAKEN
        });
        // The posts before what keeps their segments mapped.
        (self.posts, self.doors) = (posts, doors);
        self.clients = seen;
        Ok(())
    }

    /// Makes readable what has news.
    fn pass_on(&mut self) {
        let mut everything = core::mem::take(&mut self.napped);
        if self.posts.iter().any(Post::is_beyond) || self.clients.iter().any(|client| client.naps) {
            everything |= self.naps.are_over();
        }
        if everything {
            self.naps.looks();
        }
        for (post, door) in self.posts.iter_mut().zip(&self.doors) {
            let news = post.look_around();
            let theirs = self.clients.iter_mut().filter(|client| client.doors.contains(door));
            if news.moved || news.died {
                theirs.for_each(|client| client.tell(news.died));
            }
        }
        for client in &mut self.clients {
            let differs = |&(place, expected): &(Place, Option<u32>)| {
                // SAFETY: the client keeps its segments mapped.
                expected.is_some_and(|expected| unsafe { place.word() }.load() != expected)
            };
            if everything || !client.told && client.words.iter().any(differs) {
                client.tell(everything);
            }
        }
    }

    fn sleep(&mut self, control: Watch<'_>) {
        let Some(me) = self.posts.first().map(|post| post.me) else {
            futex::wait(&[control], None);
            return;
        };
        let words = self.clients.iter().filter(|client| !client.told).flat_map(|client| &client.words);
        let words = words.map(|&(place, expected)| {
            // SAFETY: as above.
            let word = unsafe { place.word() };
            Watch { word, expected: expected.unwrap_or_else(|| word.load()) }
        });
        let sure = self.clients.iter().all(|client| !client.naps);
        let pending = me.pend();
        let woken = sleep_at_doors(&mut self.posts, Some(control), words, sure, &mut self.naps, None);
        me.unpend(pending);
        self.napped = woken == Woken::Interrupted;
        for client in self.clients.iter().filter(|client| !client.told) {
            for &(place, expected) in &client.words {
                // SAFETY: as above.
                let word = unsafe { place.word() };
                if expected.is_some_and(|expected| word.load() != expected) {
                    // A post wakes as many as it adds: if it woke this thread, another one goes in its place.
                    futex::wake(word, 1);
                }
            }
        }
    }
}

impl Seen {
    fn tell(&mut self, everything: bool) {
        self.told = true;
        self.signal.send(everything);
    }
}

/// A set's registration with the helper of its process.
pub(super) struct Registration {
    id: u64,
    pid: u32,
    doors: Vec<Door>,
    words: Vec<(Place, Option<u32>)>,
    serial: u64,
    naps: bool,
    /// The helper may know of it.
    lasts: bool,
}

impl Registration {
    /// None yet.
    pub(super) fn new() -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        Registration {
            id,
            pid: task::pid(),
            doors: Vec::new(),
            words: Vec::new(),
            serial: 0,
            naps: false,
            lasts: false,
        }
    }

    /// From now on `signal` is sent when one of these doors moves, or a word differs: with a thread that is started if there
    /// is none. Costs nothing if that is known and there are no words.
    ///
    /// # Errors
    /// The system's, if no thread can be started; those of registering it in a segment.
    pub(super) fn update(
        &mut self,
        signal: &Counted<Signal>,
        doors: impl Iterator<Item = Door> + Clone,
        words: impl Iterator<Item = (Place, Option<u32>)>,
        naps: bool,
        keep: impl Iterator<Item = Keep>,
    ) -> Result<()> {
        if doors.clone().next().is_none() {
            return Ok(());
        }
        let known = self.lasts && doors.clone().eq(self.doors.iter().copied());
        let words = fallible::collected(words)?;
        // Those with news are of this moment.
        let same = words == self.words && words.iter().all(|(_, expected)| expected.is_none());
        if known && same && self.naps == naps {
            return Ok(());
        }
        let doors = fallible::collected(doors)?;
        let answer = Counted::new(AtomicU32::new(0))?;
        self.serial += 1;
        let client = Client {
            id: self.id,
            serial: self.serial,
            signal: signal.clone(),
            doors: fallible::collected(doors.iter().copied())?,
            words: fallible::collected(words.iter().copied())?,
            answer: answer.clone(),
            naps,
            keep: fallible::collected(keep)?,
        };
        let helper = Helper::get()?;
        let mut state = helper.lock();
        fallible::reserve(&mut state.clients, 1)?;
        state.clients.retain(|client| client.id != self.id);
        if state.thread.is_none() {
            state.started = state.started.wrapping_add(1);
            state.thread = Some(start(state.started)?);
        }
        state.clients.push(client);
        drop(state);
        self.lasts = true;
        helper.tell();
        if !known {
            // The first time with these segments.
            loop {
                match answer.load(Ordering::Acquire) {
                    0 => {}
                    TAKEN => break,
                    kind => {
                        self.end();
                        return Err(ErrorKind::ALL[kind as usize - 1].into());
                    }
                }
                futex::wait(&[Watch { word: Word::Whole(&answer), expected: 0 }], None);
            }
        }
        (self.doors, self.words, self.naps) = (doors, words, naps);
        Ok(())
    }
}

impl Registration {
    /// The helper forgets it. With the last one its thread ends: when this returns the process may be alone again, and fork.
    pub(super) fn end(&mut self) {
        if !core::mem::take(&mut self.lasts) || self.pid != task::pid() {
            return;
        }
        let Ok(helper) = Helper::get() else { return };
        let mut state = helper.lock();
        state.clients.retain(|client| client.id != self.id);
        let thread = if state.clients.is_empty() { state.thread.take() } else { None };
        drop(state);
        helper.tell();
        if let Some(thread) = thread {
            thread.join();
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.end();
    }
}

/// A thread whose end can be waited for: 0 until it is about to end, and then its id.
struct Thread(Counted<AtomicU32>);

/// How long a thread that has said that it ends is waited for, in so many looks with so many nanoseconds between them.
const LOOKS: (u32, u64) = (2000, 50_000);

impl Thread {
    /// Waits until it has ended. (Not as the C library does, which ends the process where a sandbox denies the call.)
    fn join(self) {
        let tid = loop {
            match self.0.load(Ordering::Acquire) {
                0 => _ = futex::wait(&[Watch { word: Word::Whole(&self.0), expected: 0 }], None),
                tid => break tid,
            }
        };
        // What is left is the C library's part, a few microseconds.
        let mut looks = 0;
        while looks < LOOKS.0 && task::exists(task::pid(), tid).unwrap_or(false) {
            std::thread::sleep(core::time::Duration::from_nanos(LOOKS.1));
            looks += 1;
        }
    }
}

/// Starts the thread with this number. Not by std, which ends the process where there is no memory for it.
fn start(number: usize) -> Result<Thread> {
    extern "C" fn run(begins: *mut c_void) -> *mut c_void {
        fork::set_name(c"interproc-wait");
        // SAFETY: from the box below, which nobody else has.
        let (number, ends) = *unsafe { Box::from_raw(begins.cast::<(usize, Counted<AtomicU32>)>()) };
        if let Ok(helper) = Helper::get() {
            helper.run(number);
        }
        ends.store(task::tid(), Ordering::Release);
        futex::wake(Word::Whole(&ends), u32::MAX);
        core::ptr::null_mut()
    }
    let ends = Counted::new(AtomicU32::new(0))?;
    let begins = Box::into_raw(fallible::boxed((number, ends.clone()))?);
    // It inherits the mask.
    let _quiet = task::SignalsBlocked::new();
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut thread = MaybeUninit::uninit();
    // SAFETY: the attributes are made before they are used, and ended after; the thread takes the box over.
    let errno = unsafe {
        match libc::pthread_attr_init(attributes.as_mut_ptr()) {
            0 => {
                let attributes = attributes.as_mut_ptr();
                libc::pthread_attr_setdetachstate(attributes, libc::PTHREAD_CREATE_DETACHED);
                let mut usual = 0;
                libc::pthread_attr_getstacksize(attributes, &raw mut usual);
                libc::pthread_attr_setstacksize(attributes, STACK);
                let mut errno = libc::pthread_create(thread.as_mut_ptr(), attributes, run, begins.cast());
                if errno == libc::EINVAL {
                    // The program has more thread-local data than that.
                    libc::pthread_attr_setstacksize(attributes, usual);
                    errno = libc::pthread_create(thread.as_mut_ptr(), attributes, run, begins.cast());
                }
                libc::pthread_attr_destroy(attributes);
                errno
            }
            errno => errno,
        }
    };
    if errno != 0 {
        // SAFETY: no thread has it.
        drop(unsafe { Box::from_raw(begins) });
        return Err(Error::from_errno(errno));
    }
    Ok(Thread(ends))
}
