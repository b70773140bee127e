//! What the benches share: a quiet machine, sides on their processors, and the pairs that are compared.
//!
//! A *measurement* is a function from a number of operations to a [`Sample`]; the criterion benches and the
//! reporter call the same ones. Each side is checked while it is timed: a lock must have counted every pass, a queue
//! must have delivered every message once, so a figure of something that does not work cannot come out.
//!
//! | file | idea |
//! |---|---|
//! | `machine` | the lock of the benches, who else uses the processors, time, a piece of work of known length |
//! | `bytes` | messages of 1 KiB: rings, pipe, bare copies |
//! | `sides` | the same function in several pinned processes or threads, over a shared page |
//! | `locks` | mutual exclusion, alone and contended |
//! | `library` | the same lock through the C shared library |
//! | `boost` | messages of one length, waiting: our queues, and Boost's `message_queue` through a C++ program |
//! | `bytelanes` | messages of 1 KiB: a byte lane, bare copies, a pipe |
//! | `permits` | robust permits, and rounds of a barrier |
//! | `signals` | semaphores, events, recursive locks |
//! | `conditions` | hand-overs under a lock |
//! | `latest` | large messages in place, the push that displaces, the latest value |
//! | `queues` | messages: one thread, streams, ping-pong |
//! | `spsc` | messages between one and one |
//! | `pipes` | messages both ways, and the kernel's pipes |
//! | `rwlocks` | reading and writing, alone and together |
//! | `wakes` | hand-overs that sleep |
//! | `works` | jobs that are leased and done |
//! | `children` | processes, from start to end |
//! | `deaths` | from SIGKILL to the next owner |
#![allow(dead_code)] // Each bench uses its own part.

pub mod boost;
pub mod broadcasts;
pub mod bytelanes;
pub mod bytes;
pub mod children;
pub mod conditions;
pub mod deaths;
pub mod latest;
pub mod library;
pub mod locks;
pub mod machine;
pub mod permits;
pub mod pipes;
pub mod queues;
pub mod rwlocks;
pub mod sides;
pub mod signals;
pub mod spsc;
pub mod waitsets;
pub mod wakes;
pub mod works;

use std::time::Duration;

/// What one round of one side gave.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Nanoseconds for each operation, all sides together.
    pub ns: f64,
    /// The part of an even split that the worst-off side got: 1 is fair.
    pub fairness: Option<f64>,
}

impl Sample {
    /// A sample without a notion of fairness.
    pub fn plain(ns: f64) -> Self {
        Sample { ns, fairness: None }
    }

    /// The time that so many operations take, for criterion's `iter_custom`.
    pub fn times(self, n: u64) -> Duration {
        Duration::from_nanos((self.ns * n as f64) as u64)
    }
}

/// One side of a pair: does so many operations and says how long one took.
pub type Measurement = Box<dyn FnMut(u64) -> Sample>;

/// The middle of some values.
pub fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty());
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (values[(n - 1) / 2] + values[n / 2]) / 2.0
}

/// Times ours and its peers under criterion, as one group.
pub fn compare(c: &mut criterion::Criterion, group: &str, sides: Vec<(&str, Measurement)>) {
    let mut group = c.benchmark_group(group);
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    for (name, mut measure) in sides {
        group.bench_function(name, |b| b.iter_custom(|n| measure(n).times(n)));
    }
    group.finish();
}
