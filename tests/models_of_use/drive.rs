//! [`Modelled`], and what is done with it: sequences by one thread, with deaths, and histories of several.

use crate::kit;
use interproc::{ErrorKind, Segment};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

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
    /// What the nth thread of a history does first, and what it does then, so that there is something to do.
    fn begins(_nth: usize) -> Option<Self::Op> {
        None
    }
    fn ops_of(_nth: usize) -> BoxedStrategy<Self::Op> {
        Self::ops()
    }

    fn open(seg: &Segment, shape: &Self::Shape) -> Self;
    fn apply(&mut self, op: &Self::Op) -> Answer;
    /// Does it, and is killed in its midst if it can be.
    fn dies_amid(&mut self, _: &Self::Op) {}
    /// Lays on a [`Table`] what the nth thread of a history is to have, which takes it there.
    fn gives(&mut self, _nth: usize) {}
    fn takes(&mut self, _nth: usize) {}
    /// In a forked child: takes what is to be its own from the copy of its parent's; there it is handed over.
    fn adopts(&mut self, _parent: &mut Self) {}
    fn hands_over(&mut self, _child: i32) {}

    fn model(shape: &Self::Shape) -> Self::Model;
    /// What the model answers. `got` is what the object has answered, to be returned if it is one of several that are right.
    fn expect(model: &mut Self::Model, user: User, op: &Self::Op, got: &Answer) -> Answer;
    /// Something that waits begins; whether there is more to it than its end, which [`Modelled::expect`] tells.
    fn arrives(_: &mut Self::Model, _: User, _: &Self::Op) -> bool {
        false
    }
    /// What the nth thread was given, and a child.
    fn given(_: &mut Self::Model, _from: User, _to: User, _nth: usize) {}
    fn handed_over(_: &mut Self::Model, _from: User, _to: User) {}
    /// A user is killed in the midst of an operation.
    fn died_amid(_: &mut Self::Model, _: User, _: &Self::Op) {}
    /// A user is dropped, with what it has in its hands.
    fn leaves(_: &mut Self::Model, _: User) {}
    /// A user is killed.
    fn dies(_: &mut Self::Model, _: User) {}
}

/// Another form of an object, with the operations and the model of that: C's. Its errors may be any of their errno value.
pub trait Form: Sized {
    type Of: Modelled;

    /// Those that there are.
    fn ops() -> BoxedStrategy<<Self::Of as Modelled>::Op>;
    fn open(seg: &Segment, shape: &<Self::Of as Modelled>::Shape) -> Self;
    fn apply(&mut self, op: &<Self::Of as Modelled>::Op) -> Answer;
}

pub struct As<F>(F);

impl<F: Form> Modelled for As<F> {
    type Shape = <F::Of as Modelled>::Shape;
    type Op = <F::Of as Modelled>::Op;
    type Model = <F::Of as Modelled>::Model;

    fn shapes() -> BoxedStrategy<Self::Shape> {
        F::Of::shapes()
    }

    fn ops() -> BoxedStrategy<Self::Op> {
        F::ops()
    }

    fn concurrent(op: &Self::Op) -> bool {
        F::Of::concurrent(op)
    }

    fn open(seg: &Segment, shape: &Self::Shape) -> Self {
        As(F::open(seg, shape))
    }

    fn apply(&mut self, op: &Self::Op) -> Answer {
        self.0.apply(op)
    }

    fn model(shape: &Self::Shape) -> Self::Model {
        F::Of::model(shape)
    }

    fn expect(model: &mut Self::Model, user: User, op: &Self::Op, got: &Answer) -> Answer {
        if let Err(kind) = got {
            for &same in ErrorKind::ALL.iter().filter(|same| same.errno() == kind.errno()) {
                let mut next = model.clone();
                if F::Of::expect(&mut next, user, op, &Err(same)) == Err(same) {
                    *model = next;
                    return got.clone();
                }
            }
        }
        F::Of::expect(model, user, op, got)
    }

    fn leaves(model: &mut Self::Model, user: User) {
        F::Of::leaves(model, user);
    }

    fn dies(model: &mut Self::Model, user: User) {
        F::Of::dies(model, user);
    }
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

/// Where things lie that go from one thread to another.
pub struct Table<T>(Mutex<BTreeMap<usize, T>>);

impl<T> Table<T> {
    pub const fn new() -> Self {
        Table(Mutex::new(BTreeMap::new()))
    }

    /// Lays it there for the nth thread.
    pub fn put(&self, nth: usize, thing: Option<T>) {
        self.0.lock().expect("the table").extend(thing.map(|thing| (nth, thing)));
    }

    pub fn take(&self, nth: usize) -> Option<T> {
        self.0.lock().expect("the table").remove(&nth)
    }
}

/// What a user does with something in its hands takes its time, so that others come meanwhile.
pub fn dawdle() {
    std::thread::yield_now();
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
    told("INTERPROC_CASES")
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

/// What a run is told by the environment.
fn told<T: std::str::FromStr>(what: &str) -> Option<T> {
    let value = std::env::var(what).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{what}: a number, not {value:?}")))
}

/// Runs `test` on so many cases, or as many as were asked for; panics with the smallest one that fails. Each case has a seed of
/// its own, counted from the time of day, so that each run tries others, and any of them can be repeated alone.
pub fn run<S: Strategy>(name: &str, cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), String>) {
    let day = || std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_micros() as u64;
    let first = told("INTERPROC_SEED").unwrap_or_else(day);
    // So many milliseconds of shrinking leave time to say what was found.
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: 4000,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    for seed in (0..asked_for().unwrap_or(cases)).map(|n| first.wrapping_add(n.into())) {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let result = TestRunner::new_with_rng(config.clone(), rng)
            .run(&strategy, |case| test(case).map_err(TestCaseError::fail));
        match result {
            Ok(()) => {}
            Err(TestError::Fail(why, case)) => panic!(
                "{why}\nthe shortest such case: {case:#?}\nagain, alone: INTERPROC_SEED={seed} INTERPROC_CASES=1 \
                 cargo test --release --test models_of_use -- --exact '{name}'"
            ),
            Err(TestError::Abort(why)) => panic!("{why}"),
        }
    }
}

/// What is no sequence of operations, but is to be tried in many forms.
pub trait Story {
    type Case: Clone + Debug;

    fn cases() -> BoxedStrategy<Self::Case>;
    fn tell(case: &Self::Case) -> Result<(), String>;
}

pub fn stories<S: Story>(name: &str, cases: u32) {
    run(name, cases, S::cases(), |case| S::tell(&case));
}

/// One thread, two mappings.
pub fn sequences<O: Modelled>(name: &str, cases: u32) {
    run(name, cases, (O::shapes(), steps::<O>(false)), |(shape, steps)| sequence::<O>(&shape, &steps));
}

/// The same, and children that end or are killed.
pub fn deaths<O: Modelled>(name: &str, cases: u32) {
    run(name, cases, (O::shapes(), steps::<O>(true)), |(shape, steps)| sequence::<O>(&shape, &steps));
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
                let parent = users[0].as_mut().expect("opened");
                let answers = in_child::<O>(&seg, shape, ops, killed, parent).map_err(wrong)?;
                O::handed_over(&mut model, 0, user);
                for (op, got) in ops.iter().zip(&answers) {
                    judge::<O>(&mut model, user, op, got).map_err(wrong)?;
                }
                match ops.get(answers.len()) {
                    Some(last) => O::died_amid(&mut model, user, last),
                    None if killed => {}
                    None => {
                        O::leaves(&mut model, user);
                        continue;
                    }
                }
                O::dies(&mut model, user);
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

/// What a child of `parent` is answered; one too few if it was killed amid the last.
fn in_child<O: Modelled>(
    seg: &Segment,
    shape: &O::Shape,
    ops: &[O::Op],
    killed: bool,
    parent: &mut O,
) -> Result<Vec<Answer>, String> {
    let letter = Letter::new();
    let mut kid = kit::fork(|| {
        let mut user = O::open(seg, shape);
        user.adopts(parent);
        let mut answers = Vec::new();
        for (n, op) in ops.iter().enumerate() {
            if killed && n + 1 == ops.len() {
                letter.write(&answers);
                user.dies_amid(op);
            }
            answers.push(user.apply(op));
        }
        letter.write(&answers);
        if killed {
            kit::die()
        }
    });
    parent.hands_over(kid.pid);
    let end = kid.end();
    let answers = letter.read();
    let right = if killed { libc::SIGKILL } else { 0 };
    if end != right || answers.len() + usize::from(killed) < ops.len() {
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

/// How often each case is run: it is another one each time. A case that is to be shortened, or was asked for alone, has
/// failed once, and so has more of them.
const ROUNDS: usize = 12;
const MORE: usize = 40;

/// Two or three threads, after a few steps of one: each answer must be right in *some* order of the operations that keeps
/// the order of those that did not overlap. A refusal (nothing there, no room) beside somebody at work says nothing.
pub fn histories<O: Modelled>(name: &str, cases: u32)
where
    O::Shape: Sync,
    O::Op: Sync + Send,
{
    let before = proptest::collection::vec(O::ops(), 0..5);
    let some = |nth, n| proptest::collection::vec(O::ops_of(nth).prop_filter("one step", O::concurrent), n);
    let threads = prop_oneof![
        (some(0, 1..7), some(1, 1..7)).prop_map(|(a, b)| vec![a, b]),
        (some(0, 1..4), some(1, 1..4), some(2, 1..4)).prop_map(|(a, b, c)| vec![a, b, c]),
    ];
    let strategy = (O::shapes(), before, threads);
    let again = AtomicBool::new(asked_for() == Some(1));
    run(name, cases, strategy, |(shape, before, threads)| {
        let rounds = if again.load(Ordering::Relaxed) { ROUNDS * MORE } else { ROUNDS };
        let result = (0..rounds).try_for_each(|_| history::<O>(&shape, &before, &threads));
        again.fetch_or(result.is_err(), Ordering::Relaxed);
        result
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
    for nth in 0..threads.len() {
        user.gives(nth);
        O::given(&mut model, first, nth + 2, nth);
    }
    let clock = AtomicU64::new(0);
    let (start, awake) = (Barrier::new(threads.len()), AtomicU64::new(0));
    let tick = || clock.fetch_add(1, Ordering::SeqCst);
    let mut events = std::thread::scope(|s| {
        let start_one = |(nth, ops): (usize, &'_ Vec<O::Op>)| {
            let (seg, start, awake, tick, all) = (&seg, &start, &awake, &tick, threads.len() as u64);
            let ops: Vec<_> = O::begins(nth).into_iter().chain(ops.iter().cloned()).collect();
            s.spawn(move || {
                let mut mine = O::open(seg, shape);
                mine.takes(nth);
                start.wait();
                // Whoever wakes first awaits the others for a moment, to be at it together.
                awake.fetch_add(1, Ordering::SeqCst);
                let moment = Instant::now() + Duration::from_micros(100);
                while awake.load(Ordering::SeqCst) < all && Instant::now() < moment {
                    std::hint::spin_loop();
                }
                let event = |op: O::Op| {
                    let from = tick();
                    let got = mine.apply(&op);
                    Event { user: nth + 2, op, got, from, to: tick() }
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
    if explained::<O>(&events, 0, 0, &model) {
        return Ok(());
    }
    let lines: Vec<String> = events
        .iter()
        .map(|e| format!("  {:2}–{:2} user {}: {:?} -> {:?}", e.from, e.to, e.user, e.op, e.got))
        .collect();
    Err(format!("no order explains\n{}", lines.join("\n")))
}

/// Wing and Gong's search: takes as the next one each operation before which no other has ended. One that waits is two: its
/// arrival and its end.
fn explained<O: Modelled>(events: &[Event<O::Op>], arrived: u32, done: u32, model: &O::Model) -> bool {
    let left = || events.iter().enumerate().filter(|(n, _)| done & 1 << n == 0);
    let Some(first_end) = left().map(|(_, e)| e.to).min() else { return true };
    left().filter(|(_, e)| e.from < first_end).any(|(n, e)| {
        let mut next = model.clone();
        if arrived & 1 << n == 0 && O::arrives(&mut next, e.user, &e.op) {
            return explained::<O>(events, arrived | 1 << n, done, &next);
        }
        if O::expect(&mut next, e.user, &e.op, &e.got) == e.got {
            return explained::<O>(events, arrived, done | 1 << n, &next);
        }
        if arrived & 1 << n != 0 {
            return false; // Who came and was refused has changed something.
        }
        let beside = events.iter().any(|o| o.user != e.user && o.from < e.to && o.to > e.from);
        let refused = matches!(
            e.got,
            Err(ErrorKind::Full | ErrorKind::Empty | ErrorKind::WouldBlock | ErrorKind::TimedOut)
        );
        refused && beside && explained::<O>(events, arrived, done | 1 << n, model)
    })
}
