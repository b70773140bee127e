//! Every kind of death × every way to ask × every object: whoever asks is told, also of the deaths that the kernel does
//! not report.
//!
//! | kind | what the kernel says |
//! |---|---|
//! | `SIGKILL` | marks the slot |
//! | a thread that vanishes, a thread that is cancelled (its process ends well, without giving anything back) | marks the slot |
//! | `process_mrelease` before the victim runs, which is what the OOM reaper does | nothing, mostly |
//! | exec from a thread that is not the main one | nothing |
//! | a thread that returns with leaked guards, and later its process; by the rule of C the thread's end is told | nothing; marks the slot |
//! | an orderly end: everything was given back | there is nothing to say |
//!
//! A wait set is both: its owner dies in it (`sets`), and whoever sleeps in one is told of everybody else's death, as those are who
//! sleep in the objects.
//!
//! Each cell of the table is a segment and a process of its own, many at a time. An object is one [`Story`] of
//! `stories.rs`: what its victim takes, how a survivor asks for it, and what it is to be told. With
//! `INTERPROC_DEATHS=N` in the environment every cell is run N times, and what it took is printed (`--nocapture`).
//!
//! The bound here is seconds, as the machine may be busy. What is promised (and printed) is 100 ms from the first question
//! after the death.

#[macro_use]
mod support;
#[path = "support/kit.rs"]
mod kit;
#[path = "kinds_of_death/sets.rs"]
mod sets;
#[path = "kinds_of_death/stories.rs"]
mod stories;

use kit::{Kid, NET, await_word, fork, pause_for_ever, raise};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use stories::{Answer, STORIES, Story, Wait};

/// How a victim ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Killed,
    Reaped,
    Exec,
    Vanished,
    Cancelled,
    Returned,
    Orderly,
}

/// How a survivor asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// In one call, as long as it takes.
    Plain,
    /// By tries in a tight loop.
    Tight,
    /// By tries, each this long after the last.
    Tries(Duration),
    /// By calls with a time limit.
    Timed(Duration),
    /// After the object's state, in a loop.
    State,
}

const FORMS: [Form; 6] = [
    Form::Plain,
    Form::Tight,
    Form::Tries(Duration::from_millis(20)),
    Form::Timed(Duration::from_millis(10)),
    Form::Timed(Duration::from_secs(1)),
    Form::State,
];

/// So many cells at a time.
const AT_ONCE: usize = 12;
/// The processor of the killed whose memory is taken before they run.
const PROCESSOR: usize = 0;

/// One question; `None` if the story has no such form.
fn ask(story: &mut Story, form: Form) -> Option<Answer> {
    match form {
        Form::State => return story.state.as_mut().map(|state| state()),
        Form::Plain => {}
        _ if !story.tries => return None,
        _ => {}
    }
    Some((story.ask)(match form {
        Form::Plain => Wait::ForEver,
        Form::Timed(time) => Wait::For(time),
        _ => Wait::Never,
    }))
}

/// Asks until the answer is more than a refusal; what it is.
fn insist(story: &mut Story, form: Form) -> Option<Answer> {
    let until = Instant::now() + NET;
    loop {
        let answer = ask(story, form)?;
        if answer != Answer::Refused || Instant::now() > until {
            return Some(answer);
        }
        match form {
            Form::Tries(pause) => std::thread::sleep(pause),
            Form::State => std::thread::sleep(Duration::from_millis(1)),
            _ => {}
        }
    }
}

/// What of a victim the survivor knows.
struct Words {
    ready: AtomicU64,
    go: AtomicU64,
    done: AtomicU64,
}

/// A thread that takes and ends without a destructor: by a bare system call, or cancelled.
struct Doomed {
    take: *const stories::Take,
    words: *const Words,
    kind: Kind,
}

unsafe extern "C-unwind" {
    fn pause() -> i32;
}

/// No value in here has a destructor: cancelling unwinds it.
extern "C-unwind" fn doomed(of: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: the caller of pthread_create keeps all of it; the closure that gives back is never called.
    unsafe {
        let of = &*of.cast::<Doomed>();
        hold_for_ever(of);
        match of.kind {
            Kind::Vanished => {
                await_word(&(*of.words).go, 1);
                libc::syscall(libc::SYS_exit, 0);
            }
            Kind::Returned => await_word(&(*of.words).go, 1),
            Kind::Exec => {
                await_word(&(*of.words).go, 1);
                libc::execl(
                    c"/bin/sleep".as_ptr(),
                    c"sleep".as_ptr(),
                    c"60".as_ptr(),
                    std::ptr::null::<u8>(),
                );
            }
            _ => loop {
                pause();
            },
        }
    }
    std::ptr::null_mut()
}

/// # Safety
/// The pointers are to live values.
unsafe fn hold_for_ever(of: &Doomed) {
    // SAFETY: by the contract.
    let (take, words) = unsafe { (&*of.take, &*of.words) };
    std::mem::forget(take());
    raise(&words.ready);
}

/// The victim's process.
fn victim(kind: Kind, take: &stories::Take, words: &Words) {
    match kind {
        Kind::Killed | Kind::Reaped => {
            std::mem::forget(take());
            raise(&words.ready);
            pause_for_ever();
        }
        Kind::Orderly => {
            let give_back = take();
            raise(&words.ready);
            await_word(&words.go, 1);
            give_back();
            raise(&words.done);
        }
        Kind::Vanished | Kind::Exec | Kind::Cancelled | Kind::Returned => {
            let of = Doomed { take, words, kind };
            // SAFETY: the thread is joined, or its process replaced, before what it uses goes. It may be unwound.
            unsafe {
                let body: extern "C-unwind" fn(*mut libc::c_void) -> *mut libc::c_void = doomed;
                let body: extern "C" fn(*mut libc::c_void) -> *mut libc::c_void = std::mem::transmute(body);
                let mut thread = std::mem::zeroed();
                let of = (&raw const of).cast_mut().cast();
                assert_eq!(libc::pthread_create(&raw mut thread, std::ptr::null(), body, of), 0);
                if kind == Kind::Cancelled {
                    await_word(&words.go, 1);
                    assert_eq!(pthread_cancel(thread), 0);
                }
                assert_eq!(libc::pthread_join(thread, std::ptr::null_mut()), 0);
            }
            raise(&words.done);
            match kind {
                // It lives on without that thread.
                Kind::Vanished => pause_for_ever(),
                Kind::Returned => await_word(&words.go, 2),
                _ => {}
            }
        }
    }
}

unsafe extern "C" {
    fn pthread_cancel(thread: libc::pthread_t) -> i32;
}

/// Has the victim end.
fn end(kind: Kind, kid: &mut Kid, words: &Words) {
    match kind {
        Kind::Killed => {
            kid.kill();
            kid.end();
        }
        Kind::Reaped => {
            // SAFETY: takes integers; the descriptor is ours.
            unsafe {
                let pidfd = libc::syscall(libc::SYS_pidfd_open, kid.pid, 0);
                assert!(pidfd >= 0, "pidfd_open");
                let pidfd = OwnedFd::from_raw_fd(pidfd as i32);
                kid.kill();
                libc::syscall(libc::SYS_process_mrelease, pidfd.as_raw_fd(), 0);
            }
            kid.end();
        }
        Kind::Exec => {
            raise(&words.go);
            let name = format!("/proc/{}/comm", kid.pid);
            let done = || std::fs::read_to_string(&name).is_ok_and(|comm| comm == "sleep\n");
            assert!(support::eventually(NET, done), "no exec");
        }
        Kind::Vanished | Kind::Cancelled | Kind::Returned | Kind::Orderly => {
            raise(&words.go);
            await_word(&words.done, 1);
            if kind != Kind::Vanished && kind != Kind::Returned {
                assert_eq!(kid.end(), 0, "the victim failed");
            }
        }
    }
}

/// While a process lives on without the thread that held something, by the rule of Rust nobody else gets it.
fn live_on(story: &mut Story, form: Form, kid: &mut Kid, words: &Words) {
    // Longer than the net.
    let until = Instant::now() + Duration::from_millis(150);
    // To ask is not harmless where a wait that runs out breaks it.
    while story.tries && Instant::now() < until {
        let form = if form == Form::State { form } else { Form::Tries(Duration::ZERO) };
        assert_eq!(ask(story, form), Some(Answer::Refused), "while its process lives");
        std::thread::sleep(Duration::from_millis(10));
    }
    raise(&words.go);
    assert_eq!(kid.end(), 0, "the victim failed");
}

/// One cell; how long after the first question behind the death the answer came. `None` if there is no such form.
fn cell(kind: Kind, make: fn() -> Story, form: Form) -> Option<Duration> {
    let mut story = make();
    let by_a_thread = matches!(kind, Kind::Vanished | Kind::Cancelled | Kind::Returned);
    let has_form = match form {
        Form::Plain => true,
        Form::State => story.state.is_some(),
        _ => story.tries,
    };
    if by_a_thread && !story.by_its_thread || !has_form {
        return None;
    }
    // A plain form that is not told would sleep for ever.
    // SAFETY: takes a number; the signal kills.
    unsafe { libc::alarm(2 * NET.as_secs() as u32) };
    if kind == Kind::Reaped {
        run_on_one_processor();
    }
    // SAFETY: the board's words are atomics, as these are; zeroed and never unmapped.
    let words = unsafe { &*std::ptr::from_ref(kit::board()).cast::<Words>() };
    let mut kid = fork(|| {
        // SAFETY: takes integers.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        if kind == Kind::Reaped {
            // SAFETY: the parameters are readable.
            unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &std::mem::zeroed()) };
        }
        victim(kind, &story.take, words);
    });
    (story.meet)();
    await_word(&words.ready, 1);
    (story.sleep)();
    if form != Form::Plain && !matches!(form, Form::Timed(_)) {
        assert_eq!(ask(&mut story, form)?, Answer::Refused, "while the other one has it");
    }
    end(kind, &mut kid, words);
    if kind == Kind::Returned && !story.dies_with_its_thread {
        live_on(&mut story, form, &mut kid, words);
    }
    let asked = Instant::now();
    let answer = insist(&mut story, form)?;
    let told = if kind == Kind::Orderly { story.left } else { story.died };
    let told = if form == Form::State && told != Answer::Refused { Answer::Changed } else { told };
    assert_eq!(answer, told, "after {:?}", asked.elapsed());
    Some(asked.elapsed())
}

/// On one processor the killed process does not run before its memory is gone.
fn run_on_one_processor() {
    // SAFETY: the set is initialised; affects this process and its children.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(PROCESSOR, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}

/// All cells of one kind.
fn table(kind: Kind) {
    let times: usize = std::env::var("INTERPROC_DEATHS").map_or(1, |n| n.parse().expect("a number"));
    let stories = STORIES.iter().chain(sets::STORIES);
    let cells: Vec<_> = stories.flat_map(|row| FORMS.iter().map(move |form| (row, *form))).collect();
    let took = kit::board();
    assert!(cells.len() <= took.len());
    let mut failed = Vec::new();
    let mut running: Vec<(usize, Kid)> = Vec::new();
    let mut finish = |(n, mut kid): (usize, Kid)| {
        if kid.end() != 0 {
            failed.push(format!("{}, {:?}", cells[n].0.0, cells[n].1));
        }
    };
    for _ in 0..times {
        for (n, ((_, make), form)) in cells.iter().enumerate() {
            if running.len() == AT_ONCE {
                finish(running.remove(0));
            }
            let run = || {
                if let Some(time) = cell(kind, *make, *form) {
                    took[n].fetch_max(1 + time.as_micros() as u64, Ordering::SeqCst);
                }
            };
            running.push((n, fork(run)));
        }
    }
    running.drain(..).for_each(&mut finish);
    let mut late = 0;
    for (n, ((name, _), form)) in cells.iter().enumerate() {
        let us = took[n].load(Ordering::SeqCst);
        if us > 0 {
            late = late.max(us - 1);
            println!("{kind:?}, {name}, {form:?}: {:.1} ms", (us - 1) as f64 / 1000.0);
        }
    }
    println!("{kind:?}: the latest after {:.1} ms", late as f64 / 1000.0);
    assert!(failed.is_empty(), "not told: {failed:#?}");
    assert!(Duration::from_micros(late) < NET, "told after {late} µs");
}

fn whoever_asks_is_told_of_one_that_was_killed() {
    table(Kind::Killed);
}

fn whoever_asks_is_told_of_one_whose_memory_was_reaped_before_it_ran() {
    table(Kind::Reaped);
}

fn whoever_asks_is_told_of_one_whose_second_thread_called_exec() {
    table(Kind::Exec);
}

fn whoever_asks_is_told_of_a_thread_that_vanished() {
    table(Kind::Vanished);
}

fn whoever_asks_is_told_of_a_thread_that_was_cancelled() {
    table(Kind::Cancelled);
}

fn a_thread_that_returns_leaves_what_it_held_to_its_process_in_rust_and_to_the_heir_in_c() {
    table(Kind::Returned);
}

fn an_orderly_end_leaves_everything_free() {
    table(Kind::Orderly);
}

fn main() {
    support::run_within(
        Duration::from_secs(600),
        tests![
            whoever_asks_is_told_of_one_that_was_killed,
            whoever_asks_is_told_of_one_whose_memory_was_reaped_before_it_ran,
            whoever_asks_is_told_of_one_whose_second_thread_called_exec,
            whoever_asks_is_told_of_a_thread_that_vanished,
            whoever_asks_is_told_of_a_thread_that_was_cancelled,
            a_thread_that_returns_leaves_what_it_held_to_its_process_in_rust_and_to_the_heir_in_c,
            an_orderly_end_leaves_everything_free,
        ],
    )
}
