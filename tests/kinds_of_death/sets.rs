//! Wait sets: of each object that a set can wait for, what a survivor is told who asks by a set, or sleeps in one already; and owners of
//! sets that die in them.

use super::stories::{self, Answer, GiveBack, Named, Story, Wait, leak, segment};
use crate::kit;
use interproc::ErrorKind;
use interproc::sync::{Event, Semaphore};
use interproc::waitset::{Mechanism, Source, WaitSet};
use std::sync::mpsc;
use std::time::Duration;

use Mechanism::{Epoll, Futex};

/// As in `stories`.
pub const STORIES: &[Named] = &[
    ("behind a reservation, by a set", || asking(stories::queue_pop(false), Futex)),
    ("behind a reservation, by a set in epoll", || asking(stories::queue_pop(false), Epoll)),
    ("behind a reservation, asleep in a set", || asleep(stories::queue_pop(false), Futex)),
    ("behind a reservation, asleep in epoll", || asleep(stories::queue_pop(false), Epoll)),
    ("a queue's only message, by a set", || asking(stories::queue_pop(true), Futex)),
    ("a queue's only message, asleep in a set", || asleep(stories::queue_pop(true), Futex)),
    ("a queue's only message, asleep in epoll", || asleep(stories::queue_pop(true), Epoll)),
    ("a queue's only cell, by a set", || asking(stories::queue_push(), Futex)),
    ("a queue's only cell, asleep in a set", || asleep(stories::queue_push(), Futex)),
    ("a queue's only cell, asleep in epoll", || asleep(stories::queue_push(), Epoll)),
    ("a byte queue's reservation, by a set", || asking(stories::byte_queue_pop(false), Futex)),
    ("a byte queue's reservation, asleep in a set", || asleep(stories::byte_queue_pop(false), Futex)),
    ("a byte queue's reservation, asleep in epoll", || asleep(stories::byte_queue_pop(false), Epoll)),
    ("a byte queue's only room, asleep in a set", || asleep(stories::byte_queue_push(), Futex)),
    ("a byte queue's only room, asleep in epoll", || asleep(stories::byte_queue_push(), Epoll)),
    ("a work queue's only job, by a set", || asking(stories::work_take(), Futex)),
    ("a work queue's only job, by a set in epoll", || asking(stories::work_take(), Epoll)),
    ("a work queue's only job, asleep in a set", || asleep(stories::work_take(), Futex)),
    ("a work queue's only job, asleep in epoll", || asleep(stories::work_take(), Epoll)),
    ("a permit, by a set", || asking(stories::permit(), Futex)),
    ("a permit, asleep in a set", || asleep(stories::permit(), Futex)),
    ("a permit, asleep in epoll", || asleep(stories::permit(), Epoll)),
    ("a pipe's end, by a set", || asking(stories::pipe_end(false), Futex)),
    ("a pipe's end, by a set in epoll", || asking(stories::pipe_end(false), Epoll)),
    ("a pipe's end, asleep in a set", || asleep(stories::pipe_end(false), Futex)),
    ("a pipe's end, asleep in epoll", || asleep(stories::pipe_end(false), Epoll)),
    ("a pipe's end, to send, asleep in a set", || asleep(stories::pipe_end(true), Futex)),
    ("a pipe's end, to send, asleep in epoll", || asleep(stories::pipe_end(true), Epoll)),
    ("an owner who waits", || owner(Futex, Wait::ForEver)),
    ("an owner who waits in epoll", || owner(Epoll, Wait::ForEver)),
    ("an owner who waits for a time", || owner(Futex, Wait::For(kit::LONG))),
    ("an owner who waits for a time in epoll", || owner(Epoll, Wait::For(kit::LONG))),
    ("an owner who has announced itself", || owner(Futex, Wait::Never)),
    ("an owner who has announced itself in epoll", || owner(Epoll, Wait::Never)),
];

fn set<'a>(mechanism: Mechanism, sources: impl IntoIterator<Item = Source<'a>>) -> WaitSet<'a> {
    let mut set = WaitSet::new();
    if mechanism == Epoll {
        set.descriptor().expect("descriptors");
    }
    sources.into_iter().for_each(|source| _ = set.add(source).expect("room"));
    set
}

/// Waits in that form. Whether something is ready.
fn waits(set: &mut WaitSet<'_>, wait: Wait) -> bool {
    let ready = match wait {
        Wait::ForEver => set.wait(),
        Wait::Never => set.try_wait(),
        Wait::For(time) => set.wait_timeout(time),
    };
    match ready {
        Ok(keys) => !keys.is_empty(),
        Err(error) if error.kind() == ErrorKind::TimedOut => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// The survivor asks by a set, and tries when that says so.
fn asking(story: Story, mechanism: Mechanism) -> Story {
    let (mut attempt, mut source) = (story.ask, story.source.expect("it can be waited for"));
    let mut mine = None;
    let ask = move |wait| {
        let set = mine.get_or_insert_with(|| set(mechanism, [source()]));
        while waits(set, wait) {
            let answer = attempt(Wait::Never);
            if answer != Answer::Refused || wait != Wait::ForEver {
                return answer;
            }
        }
        Answer::Refused
    };
    Story { ask: Box::new(ask), source: None, state: None, ..story }
}

/// Another thread of the survivor sleeps in a set when the victim dies.
fn asleep(story: Story, mechanism: Mechanism) -> Story {
    let (mut attempt, mut source) = (story.ask, story.source.expect("it can be waited for"));
    let (tell, told) = mpsc::channel();
    let (again, go_on) = mpsc::channel();
    let mut go_on = Some(go_on);
    let sleep = move || {
        let (source, tell, go_on) = (source(), tell.clone(), go_on.take().expect("once"));
        falls_asleep(move || {
            let mut set = set(mechanism, [source]);
            while waits(&mut set, Wait::ForEver) && tell.send(()).is_ok() && go_on.recv().is_ok() {}
        });
    };
    let ask = move |_| {
        loop {
            told.recv().expect("it sleeps");
            match attempt(Wait::Never) {
                // Woken for nothing, which may be.
                Answer::Refused => again.send(()).expect("it waits"),
                answer => return answer,
            }
        }
    };
    let (sleep, ask) = (Box::new(sleep), Box::new(ask));
    Story { sleep, ask, source: None, state: None, tries: false, ..story }
}

/// Runs it in a thread, and returns when that sleeps.
fn falls_asleep(body: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        tell.send(kit::gettid()).expect("awaited");
        body();
    });
    kit::await_thread_sleep(std::process::id() as i32, told.recv().expect("its number"));
    thread
}

/// The victim sleeps in a set, in a thread beside the one that dies, or has announced itself and goes on. It takes nothing along: those
/// who sleep beside it, in the objects and in a set, are woken.
fn owner(mechanism: Mechanism, form: Wait) -> Story {
    let seg = segment();
    let queue = leak(seg.queue::<u64>("q", 4).expect("queue"));
    let other = leak(seg.queue::<u64>("other", 4).expect("queue"));
    let posts = leak(seg.object("s", || Semaphore::new(0)).expect("semaphore"));
    let over = leak(seg.object("e", Event::new).expect("event"));
    let watch = move || {
        set(
            mechanism,
            [queue.when_readable(), other.when_readable(), posts.when_available(), over.when_set()],
        )
    };
    let take = move || -> GiveBack {
        if form == Wait::Never {
            let mut mine = watch();
            assert!(!waits(&mut mine, Wait::For(Duration::from_millis(20))), "nothing is there");
            return Box::new(move || drop(mine));
        }
        let sleeper = falls_asleep(move || assert!(waits(&mut watch(), form)));
        Box::new(move || {
            over.set();
            sleeper.join().expect("woken");
        })
    };
    let (tell, told) = mpsc::channel();
    let sleep = move || {
        let tells = [(); 3].map(|()| tell.clone());
        let [first, second, third] = tells;
        falls_asleep(move || first.send(queue.pop().is_ok()).expect("awaited"));
        falls_asleep(move || second.send(posts.acquire().is_ok()).expect("awaited"));
        falls_asleep(move || {
            let mut mine = set(mechanism, [other.when_readable()]);
            third.send(waits(&mut mine, Wait::ForEver)).expect("awaited");
        });
    };
    let ask = move |_| {
        queue.push(1).expect("room");
        posts.post().expect("far from the limit");
        other.push(1).expect("room");
        assert!((0..3).all(|_| told.recv().expect("they sleep")));
        Answer::Clean
    };
    let by_its_thread = form == Wait::Never;
    let story = Story::new(take, ask, Answer::Clean, Answer::Clean);
    let sleep = Box::new(sleep);
    Story { sleep, tries: false, by_its_thread, dies_with_its_thread: true, ..story }
}
