//! Children that never outlive us, and the two processors that measurements are pinned to.

use interproc::process::{Builder, Child, Outcome};
use interproc::{Deadline, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Starts a child. However this process ends (Ctrl-C, SIGKILL, a panic), the kernel kills the child then.
pub fn start<R: Outcome>(name: &str, body: impl FnOnce() -> R) -> Result<Child> {
    Builder::new().name(name).dies_with_parent().fork(body)
}

/// Children that are killed and reaped when the part ends early.
#[derive(Default)]
pub struct Crew {
    children: Vec<Child>,
}

impl Crew {
    /// Takes a child in; its number is its place.
    pub fn add(&mut self, child: Child) {
        self.children.push(child);
    }

    /// Puts a child in the place of another one, which it gives back.
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

impl Drop for Crew {
    fn drop(&mut self) {
        // Those that have ended already are no error; nothing can be done about any other here.
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

/// Stays busy until so many nanoseconds have passed.
pub fn spin_for(ns: u64) {
    let end = now() + ns;
    while now() < end {
        std::hint::spin_loop();
    }
}

/// The first two processors that we may run on; twice the same one if there is no other.
pub fn two_processors() -> [usize; 2] {
    let allowed = sched_getaffinity(None).ok();
    let mut usable = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.as_ref().is_some_and(|set| set.is_set(cpu)));
    let first = usable.next().unwrap_or(0);
    [first, usable.next().unwrap_or(first)]
}

/// Keeps the calling thread on one processor. Where that is forbidden, the measurement goes on unpinned.
pub fn pin_to(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    let _ = sched_setaffinity(None, &set);
}
