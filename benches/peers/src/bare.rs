//! A cache line that is written by one side and read by the other: what the machine allows, for a message of 8 bytes.

use crate::sides::{Line, SharedPage};
use crate::way::Way;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};

/// A line from each side.
pub struct Bare(SharedPage<[Line<AtomicU64>; 2]>);

/// The line that is written, the one that is read, and what was read last.
pub struct Ends<'a>(&'a AtomicU64, &'a AtomicU64, u64);

impl Way<1> for Bare {
    type Ends<'a> = Ends<'a>;

    fn new() -> Self {
        // SAFETY: atomics; zero is valid.
        Bare(unsafe { SharedPage::zeroed() })
    }

    fn ends(&self, side: usize) -> Ends<'_> {
        Ends(&self.0[side].0, &self.0[1 - side].0, 0)
    }

    #[inline(always)]
    fn publish(ends: &mut Ends<'_>, &[number]: &[u64; 1]) {
        ends.0.store(number + 1, Ordering::Release);
    }

    #[inline(always)]
    fn receive(ends: &mut Ends<'_>, mut each: impl FnMut(&[u64; 1])) {
        while ends.1.load(Ordering::Acquire) == ends.2 {
            spin_loop();
        }
        ends.2 += 1;
        each(&[ends.1.load(Ordering::Acquire) - 1]);
    }
}
