//! Running a model: all interleavings within bounds, and a death at every step.

use super::Kernel;
use super::death::{Death, forget_steps, killed};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How far a model is explored.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most times that a running thread is preempted in one execution.
    pub preemptions: usize,
    /// The most branches of one execution.
    pub branches: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        let preemptions =
            std::env::var("INTERPROC_PREEMPTIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
        Bounds { preemptions, branches: 10_000 }
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Executions, over all deaths.
    pub executions: u64,
    /// At how many steps the victim was killed; 0 where no thread dies.
    pub deaths: usize,
    /// The time it took.
    pub time: Duration,
}

/// Runs `f` in all interleavings within `bounds`.
pub fn check(bounds: Bounds, f: impl Fn() + Send + Sync + 'static) -> Report {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bounds.preemptions);
    builder.max_branches = bounds.branches;
    let count = Arc::new(AtomicU64::new(0));
    let counter = count.clone();
    let start = Instant::now();
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        Kernel::boot();
        f();
    });
    Report { executions: count.load(Ordering::Relaxed), deaths: 0, time: start.elapsed() }
}

/// Runs `f` without a death, then with one at step 0, 1, 2, … of the thread that gets it, until a whole run does not reach
/// the step. The other threads get [`Death::NEVER`].
pub fn for_every_death(
    bounds: Bounds,
    unreported: bool,
    f: impl Fn(Death) + Send + Sync + 'static,
) -> Report {
    let f = Arc::new(f);
    let run = |death| {
        let f = f.clone();
        check(bounds, move || f(death))
    };
    let mut total = run(Death::NEVER);
    for step in 0.. {
        forget_steps();
        let one = run(Death { at: Some(step), unreported, counted: true });
        total.executions += one.executions;
        if std::env::var_os("INTERPROC_PROGRESS").is_some() {
            std::eprint!("{step}:{} ", one.executions);
        }
        total.time += one.time;
        if !killed() {
            total.deaths = step;
            break;
        }
    }
    total
}
