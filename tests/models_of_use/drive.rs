//! [`Modelled`], and what is done with it: sequences by one thread, with deaths, and histories of several.

use crate::kit;
use interproc::{ErrorKind, Segment};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use std::fmt::Debug;
use std::ptr::NonNull;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who uses an object: 0 and 1 are one thread, with a mapping each; the others are children, or threads.
pub type User = usize;

/// The thread of a user: it is threads that hold things.
pub fn thread(user: User) -> User {
    user.max(1)
}

/// What an operation answers.
pub type Answer = Result<Vec<u64>, ErrorKind>;

/// The answer of an operation on something that the user does not have.
pub const NOTHING: Answer = Ok(Vec::new());

/// A user's view of an object, and the plain model of that object.
pub trait Modelled: Sized {
    type Shape: Clone + Debug + 'static;
    type Op: Clone + Debug + 'static;
    type Model: Clone;

    fn shapes() -> BoxedStrategy<Self::Shape>;
    fn ops() -> BoxedStrategy<Self::Op>;

    /// Whether it is one step for others, who do something at the same time.
    fn concurrent(_: &Self::Op) -> bool {
        true
    }

    fn open(seg: &Segment, shape: &Self::Shape) -> Self;
    fn apply(&mut self, op: &Self::Op) -> Answer;

    fn model(shape: &Self::Shape) -> Self::Model;
    /// What the model answers. `got` is what the object has answered, to be returned if it is one of several that are right.
    fn expect(model: &mut Self::Model, user: User, op: &Self::Op, got: &Answer) -> Answer;
    /// A user is dropped, with what it has in its hands.
    fn leaves(_: &mut Self::Model, _: User) {}
    /// A user is killed.
    fn dies(_: &mut Self::Model, _: User) {}
}

/// What a user's guards refer to: it does not move, and goes after them if it stands below them.
pub struct Home<T>(NonNull<T>);

impl<T: 'static> Home<T> {
    pub fn new(value: T) -> Self {
        Home(NonNull::from(Box::leak(Box::new(value))))
    }

    /// As long as this lives, which whoever asks sees to.
    pub fn get(&self) -> &'static T {
        // SAFETY: it is there until this is dropped, and nobody changes it.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Drop for Home<T> {
    fn drop(&mut self) {
        // SAFETY: it was leaked from a box, once; what refers to it is gone.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// An operation that is refused now: the try form and the one whose time is over say it in their own words.
pub fn not_now(waits: bool) -> ErrorKind {
    if waits { ErrorKind::TimedOut } else { ErrorKind::WouldBlock }
}

/// The error's kind, or what `f` makes of the value.
pub fn answer<T, E: Into<interproc::Error>>(result: Result<T, E>, f: impl FnOnce(T) -> Vec<u64>) -> Answer {
    result.map(f).map_err(|e| e.into().kind())
}

/// How many cases were asked for.
pub fn asked_for() -> Option<u32> {
    std::env::var("INTERPROC_CASES").ok().map(|n| n.parse().expect("INTERPROC_CASES: a number"))
}

/// Which of what a user has in its hands.
pub fn pick<T>(hands: &[T], number: u8) -> Option<usize> {
    (!hands.is_empty()).then(|| number as usize % hands.len())
}

#[derive(Clone, Debug)]
enum Step<Op> {
    Do(User, Op),
    /// Is dropped, and opened anew.
    Anew(User),
    /// A child does this, and ends.
    Child(Vec<Op>),
    /// A child does this, and is killed.
    Killed(Vec<Op>),
}

fn steps<O: Modelled>(deaths: bool) -> BoxedStrategy<Vec<Step<O::Op>>> {
    let some = || proptest::collection::vec(O::ops(), 1..4);
    let step = if deaths {
        prop_oneof![
            6 => (0..2usize, O::ops()).prop_map(|(user, op)| Step::Do(user, op)),
            1 => some().prop_map(Step::Killed),
            1 => some().prop_map(Step::Child),
        ]
        .boxed()
    } else {
        prop_oneof![
            30 => (0..2usize, O::ops()).prop_map(|(user, op)| Step::Do(user, op)),
            1 => (0..2usize).prop_map(Step::Anew),
        ]
        .boxed()
    };
    proptest::collection::vec(step, 1..if deaths { 12 } else { 40 }).boxed()
}

/// Runs `test` on so many cases, or as many as were asked for; panics with the smallest one that fails.
fn run<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), String>) {
    let seed = match (std::env::var("INTERPROC_SEED"), asked_for()) {
        (Ok(seed), _) => seed.parse().expect("INTERPROC_SEED: a number"),
        (_, None) => 1,
        (_, Some(_)) => std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos() as u64,
    };
    let config = Config {
        cases: asked_for().unwrap_or(cases),
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tried = AtomicU64::new(0);
    let result = runner.run(&strategy, |case| {
        tried.fetch_add(1, Ordering::Relaxed);
        test(case).map_err(TestCaseError::fail)
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, case)) => {
            let tried = tried.into_inner();
            panic!("{why}\nwith seed {seed}, after {tried} cases and shorter ones; the shortest: {case:#?}")
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// One thread, two mappings.
pub fn sequences<O: Modelled>(cases: u32) {
    run(cases, (O::shapes(), steps::<O>(false)), |(shape, steps)| sequence::<O>(&shape, &steps));
}

/// The same, and children that end or are killed.
pub fn deaths<O: Modelled>(cases: u32) {
    run(cases, (O::shapes(), steps::<O>(true)), |(shape, steps)| sequence::<O>(&shape, &steps));
}

fn sequence<O: Modelled>(shape: &O::Shape, steps: &[Step<O::Op>]) -> Result<(), String> {
    let seg = kit::segment();
    let other = kit::again(&seg);
    let segs = [&seg, &other];
    let mut users = segs.map(|seg| Some(O::open(seg, shape)));
    let mut model = O::model(shape);
    let mut children = 2;
    for (n, step) in steps.iter().enumerate() {
        let wrong = |why: String| format!("step {n}, {step:?}: {why}");
        match step {
            Step::Do(user, op) => {
                let got = users[*user].as_mut().expect("opened").apply(op);
                judge::<O>(&mut model, *user, op, &got).map_err(wrong)?;
            }
            Step::Anew(user) => {
                drop(users[*user].take());
                O::leaves(&mut model, *user);
                users[*user] = Some(O::open(segs[*user], shape));
            }
            Step::Child(ops) | Step::Killed(ops) => {
                let killed = matches!(step, Step::Killed(_));
                let user = children;
                children += 1;
                let answers = in_child::<O>(&seg, shape, ops, killed).map_err(wrong)?;
                for (op, got) in ops.iter().zip(answers) {
                    judge::<O>(&mut model, user, op, &got).map_err(wrong)?;
                }
                if killed { O::dies(&mut model, user) } else { O::leaves(&mut model, user) }
            }
        }
    }
    Ok(())
}

fn judge<O: Modelled>(model: &mut O::Model, user: User, op: &O::Op, got: &Answer) -> Result<(), String> {
    let expected = O::expect(model, user, op, got);
    if *got == expected {
        return Ok(());
    }
    Err(format!("user {user} is answered {got:?} to {op:?}, the model says {expected:?}"))
}

// ---- children ------------------------------------------------------------------------------------------------

/// Answers that a child leaves behind.
struct Letter(*mut u64);

const WORDS: usize = 8192;

impl Letter {
    fn new() -> Letter {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), WORDS * 8, access, flags, -1, 0) };
        assert_ne!(at, libc::MAP_FAILED);
        Letter(at.cast())
    }

    fn word(&self, n: usize) -> &AtomicU64 {
        assert!(n < WORDS);
        // SAFETY: in the mapping.
        unsafe { AtomicU64::from_ptr(self.0.add(n)) }
    }

    fn write(&self, answers: &[Answer]) {
        let mut at = 1;
        let mut put = |word: u64| {
            self.word(at).store(word, Ordering::Relaxed);
            at += 1;
        };
        for answer in answers {
            match answer {
                Ok(values) => {
                    put(values.len() as u64);
                    values.iter().for_each(|&value| put(value));
                }
                Err(kind) => {
                    put(u64::MAX - ErrorKind::ALL.iter().position(|k| k == kind).expect("listed") as u64)
                }
            }
        }
        self.word(0).store(answers.len() as u64, Ordering::Release);
    }

    fn read(&self) -> Vec<Answer> {
        let mut words = (1..).map(|n| self.word(n).load(Ordering::Relaxed));
        let mut answer = || match words.next().expect("endless") {
            kind if kind > u64::MAX - 256 => Err(ErrorKind::ALL[(u64::MAX - kind) as usize]),
            len => Ok(words.by_ref().take(len as usize).collect()),
        };
        (0..self.word(0).load(Ordering::Acquire)).map(|_| answer()).collect()
    }
}

impl Drop for Letter {
    fn drop(&mut self) {
        // SAFETY: ours, and nobody refers to it.
        unsafe { libc::munmap(self.0.cast(), WORDS * 8) };
    }
}

fn in_child<O: Modelled>(
    seg: &Segment,
    shape: &O::Shape,
    ops: &[O::Op],
    killed: bool,
) -> Result<Vec<Answer>, String> {
    let letter = Letter::new();
    let mut kid = kit::fork(|| {
        let mut user = O::open(seg, shape);
        letter.write(&ops.iter().map(|op| user.apply(op)).collect::<Vec<_>>());
        if killed {
            kit::die()
        }
    });
    let end = kid.end();
    let answers = letter.read();
    let right = if killed { libc::SIGKILL } else { 0 };
    if end != right || answers.len() != ops.len() {
        return Err(format!("the child ended with status {end:#x} after {answers:?}"));
    }
    Ok(answers)
}

// ---- histories -----------------------------------------------------------------------------------------------

/// An operation of a history.
struct Event<Op> {
    user: User,
    op: Op,
    got: Answer,
    from: u64,
    to: u64,
}

/// How often each case is run: it is another one each time.
const ROUNDS: usize = 12;

/// Two or three threads, after a few steps of one: each answer must be right in *some* order of the operations that keeps
/// the order of those that did not overlap. A refusal (nothing there, no room) beside somebody at work says nothing.
pub fn histories<O: Modelled>(cases: u32)
where
    O::Shape: Sync,
    O::Op: Sync + Send,
{
    let ops = || O::ops().prop_filter("one step", O::concurrent);
    let some = |n| proptest::collection::vec(ops(), n);
    let strategy = (O::shapes(), some(0..5), proptest::collection::vec(some(1..4), 2..4));
    run(cases, strategy, |(shape, before, threads)| {
        (0..ROUNDS).try_for_each(|_| history::<O>(&shape, &before, &threads))
    });
}

fn history<O: Modelled>(shape: &O::Shape, before: &[O::Op], threads: &[Vec<O::Op>]) -> Result<(), String>
where
    O::Shape: Sync,
    O::Op: Sync + Send,
{
    let seg = kit::segment();
    let mut model = O::model(shape);
    let first = threads.len() + 2;
    let mut user = O::open(&seg, shape);
    for op in before {
        judge::<O>(&mut model, first, op, &user.apply(op))?;
    }
    let clock = AtomicU64::new(0);
    let start = Barrier::new(threads.len());
    let tick = || clock.fetch_add(1, Ordering::SeqCst);
    let mut events = std::thread::scope(|s| {
        let start_one = |(user, ops): (User, &'_ Vec<O::Op>)| {
            let (seg, start, tick, ops) = (&seg, &start, &tick, ops.clone());
            s.spawn(move || {
                let mut mine = O::open(seg, shape);
                start.wait();
                let event = |op: O::Op| {
                    let from = tick();
                    let got = mine.apply(&op);
                    Event { user: user + 2, op, got, from, to: tick() }
                };
                let events: Vec<_> = ops.into_iter().map(event).collect();
                start.wait();
                events
            })
        };
        let running: Vec<_> = threads.iter().enumerate().map(start_one).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("the thread")).collect::<Vec<_>>()
    });
    events.sort_by_key(|event| event.from);
    if explained::<O>(&events, 0, &model) {
        return Ok(());
    }
    let lines: Vec<String> = events
        .iter()
        .map(|e| format!("  {:2}–{:2} user {}: {:?} -> {:?}", e.from, e.to, e.user, e.op, e.got))
        .collect();
    Err(format!("no order explains\n{}", lines.join("\n")))
}

/// Wing and Gong's search: takes as the next one each operation before which no other has ended.
fn explained<O: Modelled>(events: &[Event<O::Op>], done: u32, model: &O::Model) -> bool {
    let left = || events.iter().enumerate().filter(|(n, _)| done & 1 << n == 0);
    let Some(first_end) = left().map(|(_, e)| e.to).min() else { return true };
    left().filter(|(_, e)| e.from < first_end).any(|(n, e)| {
        let mut next = model.clone();
        if O::expect(&mut next, e.user, &e.op, &e.got) == e.got {
            return explained::<O>(events, done | 1 << n, &next);
        }
        let beside = events.iter().any(|o| o.user != e.user && o.from < e.to && o.to > e.from);
        let refused = matches!(
            e.got,
            Err(ErrorKind::Full | ErrorKind::Empty | ErrorKind::WouldBlock | ErrorKind::TimedOut)
        );
        refused && beside && explained::<O>(events, done | 1 << n, model)
    })
}
