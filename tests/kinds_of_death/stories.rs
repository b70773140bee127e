//! The objects: what a victim takes of each, how a survivor asks for it, and what it is to be told.

use crate::kit;
use interproc::pipe::{self, End, Listener};
use interproc::queue::{BroadcastOptions, Slow, WorkOptions};
use interproc::sync::{
    Condvar, Event, LockError, Mutex, Once, RecursiveLockError, RecursiveMutex, RwLock, RwLockError,
    Semaphore,
};
use interproc::waitset::Source;
use interproc::{Error, ErrorKind, Segment};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

/// How a survivor waits in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    ForEver,
    Never,
    For(Duration),
}

/// What a survivor is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not yet.
    Refused,
    /// It is the asker's, as if nobody had been there.
    Clean,
    /// It is the asker's, from the dead.
    FromTheDead,
    /// The other one is gone.
    Gone,
    /// The state is another one.
    Changed,
}

use Answer::{Changed, Clean, FromTheDead, Gone, Refused};

/// Gives back what was taken.
pub type GiveBack = Box<dyn FnOnce()>;
/// Takes it, in the victim.
pub type Take = Box<dyn Fn() -> GiveBack>;

/// One object.
pub struct Story {
    pub take: Take,
    /// What the survivor does meanwhile.
    pub meet: Box<dyn FnMut()>,
    /// What it does when the victim has it.
    pub sleep: Box<dyn FnMut()>,
    pub ask: Box<dyn FnMut(Wait) -> Answer>,
    /// By what a wait set waits for it.
    pub source: Option<Box<dyn FnMut() -> Source<'static>>>,
    /// Whether it can be asked for by tries and with time limits.
    pub tries: bool,
    /// Whether the state still shows the other one.
    pub state: Option<Box<dyn FnMut() -> Answer>>,
    /// Whether a thread that vanishes, or that is cancelled, can be in the way.
    pub by_its_thread: bool,
    /// Whether the end of the victim's thread is its end: it has it by the rule of C, or no guard of it, but a seat or a permit.
    pub dies_with_its_thread: bool,
    /// What the survivor is told when the victim has died, and when it has given back.
    pub died: Answer,
    pub left: Answer,
}

impl Story {
    pub fn new(
        take: impl Fn() -> GiveBack + 'static,
        ask: impl FnMut(Wait) -> Answer + 'static,
        died: Answer,
        left: Answer,
    ) -> Story {
        let (take, ask) = (Box::new(take), Box::new(ask));
        Story {
            take,
            meet: Box::new(|| ()),
            sleep: Box::new(|| ()),
            ask,
            source: None,
            tries: true,
            state: None,
            by_its_thread: true,
            dies_with_its_thread: false,
            died,
            left,
        }
    }

    fn with_state(self, same: impl Fn() -> bool + 'static) -> Story {
        Story { state: Some(Box::new(move || if same() { Refused } else { Changed })), ..self }
    }

    fn watched(self, source: impl FnMut() -> Source<'static> + 'static) -> Story {
        Story { source: Some(Box::new(source)), ..self }
    }

    fn of_its_thread(self) -> Story {
        Story { dies_with_its_thread: true, ..self }
    }

    fn meeting(self, meet: impl FnMut() + 'static) -> Story {
        Story { meet: Box::new(meet), ..self }
    }
}

/// A story's name, and how to begin it anew.
pub type Named = (&'static str, fn() -> Story);

/// Every object, in the ways in which one can be in another's way.
pub const STORIES: &[Named] = &[
    ("a mutex", mutex),
    ("a recursive mutex", recursive_mutex),
    ("a writer's lock, to write", || written(false)),
    ("a writer's lock, to read", || written(true)),
    ("a reader's lock", || read(0)),
    ("a biased reader's lock", || read(5_000)),
    ("a once of C", once),
    ("a permit", permit),
    ("a barrier's seat", barrier),
    ("a queue, behind a reservation", || queue_pop(false)),
    ("a queue's only message", || queue_pop(true)),
    ("a queue's only cell", queue_push),
    ("a work queue's only job", work_take),
    ("a broadcast, behind its only publisher", || broadcast_publish(true)),
    ("a broadcast, behind a reservation", || broadcast_publish(false)),
    ("a broadcast's slow subscriber", broadcast_behind),
    ("a byte queue, behind a reservation", || byte_queue_pop(false)),
    ("a byte queue's only message", || byte_queue_pop(true)),
    ("a byte queue's only room", byte_queue_push),
    ("a ring's seat", || seat(with(|seg| seg.spsc_producer::<u64>("r", 4)))),
    ("a byte ring's seat", || seat(with(|seg| seg.byte_consumer("r", 1 << 10, 64)))),
    ("a pipe's end, to receive", || pipe_end(false)),
    ("a pipe's end, to send", || pipe_end(true)),
    ("a pipe's only slot", pipe_slot),
    ("a listener's name", || seat(with(|seg| Listener::bind(seg, "door", 1, 1 << 10, 64)))),
    ("a semaphore that another one waits for", || {
        slept_on(|seg| {
            let s = leak(seg.object("s", || Semaphore::new(0)).expect("semaphore"));
            (
                Box::new(|| s.acquire().expect("acquire")),
                Box::new(|| s.post().expect("post")),
                Box::new(|| s.waiters()),
            )
        })
    }),
    ("an event that another one waits for", || {
        slept_on(|seg| {
            let e = leak(seg.object("e", Event::new).expect("event"));
            (Box::new(|| e.wait().expect("wait")), Box::new(|| e.set()), Box::new(|| e.waiters()))
        })
    }),
    ("a latest value that another one waits for", || {
        slept_on(|seg| {
            let l = leak(seg.latest("l", 0u64).expect("latest"));
            let sleep = || assert_eq!(l.wait_newer(0).expect("a value").value, 1);
            (Box::new(sleep), Box::new(|| _ = l.set(1).expect("set")), Box::new(|| l.waiters()))
        })
    }),
    ("a condition that another one waits for", || {
        slept_on(|seg| {
            let (m, c) = condition(seg);
            let sleep = || {
                drop(c.wait_while(m.lock().expect("lock"), |done| *done == 0).expect("nobody dies with it"))
            };
            let wake = || {
                *m.lock().expect("lock") = 1;
                c.notify_all().expect("notify");
            };
            (Box::new(sleep), Box::new(wake), Box::new(|| c.waiters()))
        })
    }),
    ("a condition's lock, for one who waits for the condition", notified),
    ("a mutex of C", mutex_of_c),
];

/// The form of an operation that waits as it is told: by the names of the three.
macro_rules! by {
    ($wait:expr, $on:ident: $plain:ident, $never:ident, $within:ident $(, $what:expr)?) => {
        match $wait {
            Wait::ForEver => $on.$plain($($what)?),
            Wait::Never => $on.$never($($what)?),
            Wait::For(time) => $on.$within($($what,)? time),
        }
    };
}

pub fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

pub fn segment() -> &'static Segment {
    leak(Segment::options().size(1 << 17).max_members(16).anonymous().expect("segment"))
}

fn give_back<T: 'static>(what: T) -> GiveBack {
    Box::new(move || drop(what))
}

/// A refusal, or the end.
fn refusal(error: impl std::borrow::Borrow<Error>) -> Answer {
    let error = error.borrow();
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Empty | ErrorKind::Full => Refused,
        ErrorKind::Closed | ErrorKind::Broken | ErrorKind::Refused => Gone,
        _ => panic!("{error:?}"),
    }
}

fn answer<T>(result: Result<T, Error>) -> Answer {
    result.map_or_else(refusal, |_| Clean)
}

fn mutex() -> Story {
    let m = leak(segment().object("m", || Mutex::new(0u64)).expect("mutex"));
    Story::new(|| give_back(m.lock().expect("lock")), |wait| ask_mutex(m, wait), FromTheDead, Clean)
}

fn ask_mutex(m: &Mutex<u64>, wait: Wait) -> Answer {
    match by!(wait, m: lock, try_lock, lock_timeout) {
        Ok(_) => Clean,
        Err(LockError::OwnerDied(_)) => FromTheDead,
        Err(LockError::Failed(error)) => refusal(error),
    }
}

/// Locked as from C: the end of its thread is a death.
fn mutex_of_c() -> Story {
    let m = leak(segment().object("m", || Mutex::new(0u64)).expect("mutex"));
    let at = std::ptr::from_ref::<Mutex<u64>>(m).cast_mut().cast();
    let take = move || -> GiveBack {
        // SAFETY: a mutex of the segment.
        assert_eq!(unsafe { interproc_mutex_lock(at) }, 0);
        // SAFETY: as above.
        Box::new(move || assert_eq!(unsafe { interproc_mutex_unlock(at) }, 0))
    };
    Story::new(take, |wait| ask_mutex(m, wait), FromTheDead, Clean).of_its_thread()
}

fn recursive_mutex() -> Story {
    let m = leak(segment().object("m", || RecursiveMutex::new(0u64)).expect("mutex"));
    let ask = |wait| {
        let got = by!(wait, m: lock, try_lock, lock_timeout);
        match got {
            Ok(_) => Clean,
            Err(RecursiveLockError::OwnerDied(_)) => FromTheDead,
            Err(RecursiveLockError::Failed(error)) => refusal(error),
        }
    };
    Story::new(|| give_back(m.lock().expect("lock")), ask, FromTheDead, Clean)
}

fn ask_rwlock(l: &RwLock<u64>, reads: bool, wait: Wait) -> Answer {
    let told = |error| match error {
        RwLockError::OwnerDied(_) => FromTheDead,
        RwLockError::Failed(error) => refusal(error),
    };
    if reads {
        let got = by!(wait, l: read, try_read, read_timeout);
        return got.map_or_else(told, |_| Clean);
    }
    let got = by!(wait, l: write, try_write, write_timeout);
    got.map_or_else(told, |_| Clean)
}

fn written(reads: bool) -> Story {
    let l = leak(segment().object("l", || RwLock::new(0u64)).expect("lock"));
    let take = || give_back(l.write().expect("write"));
    Story::new(take, move |wait| ask_rwlock(l, reads, wait), FromTheDead, Clean).with_state(|| l.is_written())
}

/// The death of a reader is no news.
fn read(before: usize) -> Story {
    let l = leak(segment().object("l", || RwLock::new(0u64)).expect("lock"));
    let take = move || {
        for _ in 0..before {
            drop(l.read().expect("read"));
        }
        give_back(l.read().expect("read"))
    };
    Story::new(take, |wait| ask_rwlock(l, false, wait), Clean, Clean)
        .with_state(|| l.readers().expect("readers") == 1)
}

unsafe extern "C" {
    fn interproc_mutex_lock(mutex: *mut libc::c_void) -> i32;
    fn interproc_mutex_unlock(mutex: *mut libc::c_void) -> i32;
    fn interproc_once_begin(once: *mut libc::c_void, begun: *mut i32) -> i32;
    fn interproc_once_abandon(once: *mut libc::c_void) -> i32;
}

/// Begun as from C: a job of ours does not end with it.
fn once() -> Story {
    let o = leak(segment().object("o", Once::new).expect("once"));
    let at = std::ptr::from_ref::<Once>(o).cast_mut().cast();
    let take = move || -> GiveBack {
        let mut begun = 0;
        // SAFETY: a once of the segment.
        assert_eq!(unsafe { interproc_once_begin(at, &raw mut begun) }, 0);
        // SAFETY: as above.
        Box::new(move || assert_eq!(unsafe { interproc_once_abandon(at) }, 0))
    };
    let ask = |wait| {
        let mut retry = false;
        let job = |state: interproc::sync::OnceState| retry = state.is_retry();
        let got = match wait {
            Wait::ForEver => o.call(job),
            Wait::Never => o.call_timeout(Duration::ZERO, job),
            Wait::For(time) => o.call_timeout(time, job),
        };
        match got {
            Ok(()) if retry => FromTheDead,
            other => answer(other),
        }
    };
    Story::new(take, ask, FromTheDead, FromTheDead).of_its_thread()
}

pub fn permit() -> Story {
    let s = leak(segment().bounded_semaphore("s", 1).expect("semaphore"));
    let ask = |wait| {
        let got = by!(wait, s: acquire, try_acquire, acquire_timeout);
        match got {
            Ok(permit) if permit.owner_died() => FromTheDead,
            other => answer(other),
        }
    };
    Story::new(|| give_back(s.acquire().expect("acquire")), ask, FromTheDead, Clean)
        .with_state(|| s.available().expect("available") == 0)
        .watched(|| s.when_available())
        .of_its_thread()
}

/// Two have met. A wait that runs out breaks a barrier, so it is asked in one call.
fn barrier() -> Story {
    let b = leak(segment().barrier("b", 2).expect("barrier"));
    let take = || -> GiveBack {
        b.wait().expect("both came");
        Box::new(|| {
            b.leave().expect("leave");
            b.abort().expect("abort");
        })
    };
    let ask = |_| answer(b.wait_timeout(kit::NET));
    let story = Story::new(take, ask, Gone, Gone)
        .meeting(|| _ = b.wait().expect("both came"))
        .with_state(|| !b.is_broken().expect("is_broken"));
    Story { tries: false, ..story.of_its_thread() }
}

/// A message behind a reservation comes within reach; one that was being read comes back.
pub fn queue_pop(reads: bool) -> Story {
    let q = leak(segment().queue::<u64>("q", 4).expect("queue"));
    if reads {
        q.push(1).expect("push");
    }
    let take = move || -> GiveBack {
        if reads {
            let message = q.borrow().expect("borrow");
            return Box::new(|| message.put_back().expect("put back"));
        }
        let place = q.reserve().expect("reserve");
        q.push(2).expect("push");
        give_back(place)
    };
    let ask = |wait| {
        let got = by!(wait, q: borrow, try_borrow, borrow_timeout);
        match got {
            Ok(message) if message.is_redelivered() => FromTheDead,
            other => answer(other),
        }
    };
    // Also told of one that was put back.
    let (died, left) = if reads { (FromTheDead, FromTheDead) } else { (Clean, Clean) };
    Story::new(take, ask, died, left)
        .with_state(|| q.blocker().expect("blocker").is_some_and(|who| who.alive))
        .watched(|| q.when_readable())
}

pub fn queue_push() -> Story {
    let q = leak(segment().queue::<u64>("q", 1).expect("queue"));
    let ask = |wait| {
        let got = by!(wait, q: push, try_push, push_timeout, 1);
        got.map_or_else(|error| refusal(error.error()), |()| Clean)
    };
    Story::new(|| give_back(q.reserve().expect("reserve")), ask, Clean, Clean).watched(|| q.when_writable())
}

/// A job that was taken comes back, counted: also one that was given back.
pub fn work_take() -> Story {
    let q = leak(segment().work_queue::<u64>("w", WorkOptions::new(2)).expect("queue"));
    q.put(1).expect("room");
    let take = move || give_back(q.take().expect("a job"));
    let ask = |wait| match by!(wait, q: take, try_take, take_timeout) {
        Ok(job) if job.deliveries() > 1 => FromTheDead,
        other => answer(other),
    };
    Story::new(take, ask, FromTheDead, FromTheDead).watched(|| q.when_readable()).of_its_thread()
}

/// Behind one that publishes alone, or has reserved a message.
fn broadcast_publish(alone: bool) -> Story {
    let b = leak(segment().broadcast::<u64>("b", BroadcastOptions::new(4)).expect("broadcast"));
    let take = move || -> GiveBack {
        if alone {
            return give_back(b.publisher(interproc::Wait::ForEver).expect("nobody publishes"));
        }
        give_back(b.reserve_one(interproc::Wait::ForEver).expect("room"))
    };
    Story::new(take, |wait| answer(by!(wait, b: publish, try_publish, publish_timeout, 1)), Clean, Clean)
}

fn broadcast_behind() -> Story {
    let b = leak(segment().broadcast::<u64>("b", BroadcastOptions::new(2)).expect("broadcast"));
    let take = move || {
        let mine = b.subscribe(Slow::Waits).expect("a seat");
        while b.try_publish(1).is_ok() {}
        give_back(mine)
    };
    Story::new(take, |wait| answer(by!(wait, b: publish, try_publish, publish_timeout, 1)), Clean, Clean)
        .of_its_thread()
}

pub fn byte_queue_pop(reads: bool) -> Story {
    let q = leak(segment().byte_queue("q", 1 << 10, 64).expect("queue"));
    if reads {
        q.push(b"one").expect("push");
    }
    let take = move || -> GiveBack {
        if reads {
            let message = q.borrow().expect("borrow");
            return Box::new(|| message.put_back().expect("put back"));
        }
        let place = q.reserve(8).expect("reserve");
        q.push(b"two").expect("push");
        give_back(place)
    };
    let ask = |wait| {
        let got = by!(wait, q: borrow, try_borrow, borrow_timeout);
        match got {
            Ok(message) if message.is_redelivered() => FromTheDead,
            other => answer(other),
        }
    };
    let (died, left) = if reads { (FromTheDead, FromTheDead) } else { (Clean, Clean) };
    Story::new(take, ask, died, left)
        .with_state(|| q.blocker().expect("blocker").is_some_and(|who| who.alive))
        .watched(|| q.when_readable())
}

pub fn byte_queue_push() -> Story {
    let q = leak(segment().byte_queue("q", 128, 64).expect("queue"));
    let long = leak([7u8; 64]);
    while q.try_push(long).is_ok() {}
    while q.try_pop().is_ok() {}
    let take = || -> GiveBack {
        let mut places = Vec::new();
        while let Ok(place) = q.try_reserve(long.len()) {
            places.push(place);
        }
        assert!(!places.is_empty());
        give_back(places)
    };
    let ask = |wait| answer(by!(wait, q: push, try_push, push_timeout, long));
    Story::new(take, ask, Clean, Clean).watched(|| q.when_writable(long.len()))
}

/// A seat is asked for by tries only.
fn seat<T: 'static>(sit: impl Fn() -> Result<T, Error> + Copy + 'static) -> Story {
    let by_tries = move |wait| until_granted(wait, || answer(sit()));
    Story::new(move || give_back(sit().expect("vacant")), by_tries, Clean, Clean).of_its_thread()
}

fn with<T>(of: fn(&'static Segment) -> T) -> impl Fn() -> T + Copy {
    let seg = segment();
    move || of(seg)
}

/// How one goes to sleep, how one who sleeps is woken, and how many do.
type Sleep = (Box<dyn Fn() + Sync>, Box<dyn Fn() + Sync>, Box<dyn Fn() -> Result<u32, Error> + Sync>);

/// What nobody owns: the victim, a thread beside the one that dies, sleeps there. It is not counted any more then, and takes no
/// wake-up along.
fn slept_on(make: fn(&'static Segment) -> Sleep) -> Story {
    let (sleep, wake, waiters) = leak(make(segment()));
    let take = move || -> GiveBack {
        let sleeper = std::thread::spawn(sleep);
        while waiters().expect("waiters") == 0 {
            std::thread::yield_now();
        }
        Box::new(move || {
            wake();
            sleeper.join().expect("woken");
        })
    };
    let alone = move || waiters().expect("waiters") == 0;
    let attempt = move || {
        if !alone() {
            return Refused;
        }
        wake();
        sleep();
        Clean
    };
    let story = Story::new(take, move |wait| until_granted(wait, attempt), Clean, Clean);
    Story { by_its_thread: false, ..story.with_state(move || !alone()) }
}

fn condition(seg: &'static Segment) -> (&'static Mutex<u64>, &'static Condvar) {
    let m = leak(seg.object("m", || Mutex::new(0u64)).expect("mutex"));
    let c = leak(seg.object("c", Condvar::new).expect("condition"));
    (m, c)
}

/// A survivor sleeps already when the victim takes the lock, and the victim does not say that anything has changed. Of a death
/// that the kernel does not report the sleeper hears by the next one that wants the lock, and that leaves it the news.
fn notified() -> Story {
    let (m, c) = condition(segment());
    let (tell, told) = mpsc::channel();
    let take = move || {
        while c.waiters().expect("waiters") == 0 {
            std::thread::yield_now();
        }
        let guard = m.lock().expect("lock");
        let give_back: GiveBack = Box::new(move || {
            let mut guard = guard;
            *guard = 1;
            c.notify_one().expect("notify");
        });
        give_back
    };
    let meet = move || {
        let tell = tell.clone();
        std::thread::spawn(move || {
            let woken = c.wait_while(m.lock().expect("lock"), |done| *done == 0);
            let _ = tell.send(match woken {
                Ok(_) => Clean,
                Err(LockError::OwnerDied(_)) => FromTheDead,
                Err(LockError::Failed(error)) => refusal(error),
            });
        });
    };
    let ask = move |wait| {
        drop(by!(wait, m: lock, try_lock, lock_timeout));
        match wait {
            Wait::ForEver => told.recv().expect("the sleeper"),
            Wait::Never => told.try_recv().unwrap_or(Refused),
            Wait::For(time) => told.recv_timeout(time).unwrap_or(Refused),
        }
    };
    Story::new(take, ask, FromTheDead, Clean).meeting(meet)
}

/// What has no form that waits is tried in its place.
fn until_granted(wait: Wait, mut attempt: impl FnMut() -> Answer) -> Answer {
    loop {
        let answer = attempt();
        if answer != Refused || wait != Wait::ForEver {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The victim is the client.
pub fn pipe_end(sends: bool) -> Story {
    let seg = segment();
    let door = Rc::new(RefCell::new(Listener::bind(seg, "door", 1, 1 << 10, 64).expect("bind")));
    let mine: Rc<RefCell<Option<End>>> = Rc::default();
    let (accepted, polled, watched) = (mine.clone(), mine.clone(), mine.clone());
    let meet = move || {
        let mut end = door.borrow_mut().accept_timeout(kit::LONG).expect("accept");
        while sends && end.try_send(&[7; 64]).is_ok() {}
        *accepted.borrow_mut() = Some(end);
    };
    let ask = move |wait| {
        let mut end = mine.borrow_mut();
        let end = end.as_mut().expect("accepted");
        match sends {
            true => answer(by!(wait, end: send, try_send, send_timeout, &[7; 64])),
            false => answer(by!(wait, end: recv, try_recv, recv_timeout)),
        }
    };
    let take = || give_back(pipe::connect(seg, "door").expect("connect"));
    let source = move || {
        let end = watched.borrow();
        let end = end.as_ref().expect("accepted");
        if sends { end.when_writable() } else { end.when_readable() }
    };
    let story = Story::new(take, ask, Gone, Gone).meeting(meet).watched(source).of_its_thread();
    if sends {
        return story;
    }
    // Ready, for the end.
    story.with_state(move || {
        !polled.borrow_mut().as_mut().expect("accepted").poll(Duration::ZERO).expect("poll")
    })
}

/// The victim has the only pipe; its other end was closed.
fn pipe_slot() -> Story {
    let seg = segment();
    let door = leak(RefCell::new(Listener::bind(seg, "door", 1, 1 << 10, 64).expect("bind")));
    let ask = |wait| {
        answer(match wait {
            Wait::ForEver => pipe::connect(seg, "door"),
            Wait::Never => pipe::try_connect(seg, "door"),
            Wait::For(time) => pipe::connect_timeout(seg, "door", time),
        })
    };
    let meet = || drop(door.borrow_mut().accept_timeout(kit::LONG).expect("accept"));
    let take = || give_back(pipe::connect(seg, "door").expect("connect"));
    Story::new(take, ask, Clean, Clean).meeting(meet).of_its_thread()
}
