//! Children that never outlive this process; the clock and the two processors of the measurements.

use interproc::process::{Builder, Child, Outcome};
use interproc::{Deadline, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Starts a child that the kernel kills when this process ends, however that happens (Ctrl-C, SIGKILL, a panic).
pub fn start<R: Outcome>(name: &str, body: impl FnOnce() -> R) -> Result<Child> {
    Builder::new().name(name).dies_with_parent().fork(body)
}

/// Children that are killed and reaped when the part ends early.
#[derive(Default)]
pub struct Children {
    children: Vec<Child>,
}

impl Children {
    /// Adds a child; its number is its place.
    pub fn add(&mut self, child: Child) {
        self.children.push(child);
    }

    /// Replaces the child at this place, and returns the old one.
    pub fn replace(&mut self, place: usize, child: Child) -> Child {
        std::mem::replace(&mut self.children[place], child)
    }

    /// The child at this place.
    pub fn get(&self, place: usize) -> &Child {
        &self.children[place]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.children.len()
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        // A child that has ended is no error, and nothing can be done about another error here.
        for child in &self.children {
            let _ = child.kill();
        }
        for child in &self.children {
            let _ = child.join();
        }
    }
}

/// CLOCK_MONOTONIC: the same in all processes.
pub fn now() -> u64 {
    Deadline::now().as_monotonic_ns()
}

/// Spins for so many nanoseconds.
pub fn spin_for(ns: u64) {
    let end = now() + ns;
    while now() < end {
        std::hint::spin_loop();
    }
}

/// The first two processors that we may run on, or the same one twice if there is only one.
pub fn two_processors() -> [usize; 2] {
    let allowed = sched_getaffinity(None).ok();
    let mut usable = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.as_ref().is_some_and(|set| set.is_set(cpu)));
    let first = usable.next().unwrap_or(0);
    [first, usable.next().unwrap_or(first)]
}

/// Pins the calling thread to one processor. Where that is forbidden, the measurement goes on unpinned.
pub fn pin_to(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    let _ = sched_setaffinity(None, &set);
}
