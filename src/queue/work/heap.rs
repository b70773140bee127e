//! A binary heap of node numbers in shared memory, for whoever holds the lock: the smallest first.
//!
//! The slots may hold anything, as a peer can write there: each number is checked before it is used, and every walk is as long as
//! the heap is high.

use super::books::Broken;
use crate::atomic::{AtomicU32, Ordering};

/// A heap in the first `len` of these slots.
pub(super) struct Heap<'a, K> {
    pub(super) slots: &'a [AtomicU32],
    pub(super) len: u32,
    /// The key of a node; `Broken` for a number that is none.
    pub(super) key: K,
}

impl<O: Ord, K: Fn(u32) -> Result<O, Broken>> Heap<'_, K> {
    // Relaxed throughout: the lock orders them.
    #[inline(always)]
    fn get(&self, at: u32) -> Result<u32, Broken> {
        self.slots.get(at as usize).map(|slot| slot.load(Ordering::Relaxed)).ok_or(Broken)
    }

    fn set(&self, at: u32, node: u32) {
        if let Some(slot) = self.slots.get(at as usize) {
            slot.store(node, Ordering::Relaxed);
        }
    }

    /// The first node, if there is one.
    #[inline(always)]
    pub(super) fn first(&self) -> Result<Option<u32>, Broken> {
        if self.len == 0 {
            return Ok(None);
        }
        let node = self.get(0)?;
        (self.key)(node)?;
        Ok(Some(node))
    }

    /// Adds a node. The heap has one more then.
    pub(super) fn push(&self, node: u32) -> Result<(), Broken> {
        if self.len as usize >= self.slots.len() {
            return Err(Broken);
        }
        self.up(self.len, node)
    }

    /// Takes the first node. The heap has one less then.
    pub(super) fn pop(&self) -> Result<Option<u32>, Broken> {
        let Some(node) = self.first()? else { return Ok(None) };
        let last = self.get(self.len - 1)?;
        self.down(0, last, self.len - 1)?;
        Ok(Some(node))
    }

    /// Puts nodes in order that lie there in any.
    pub(super) fn build(&self) -> Result<(), Broken> {
        for at in (0..self.len / 2).rev() {
            self.down(at, self.get(at)?, self.len)?;
        }
        Ok(())
    }

    /// Sorts nodes, of which this is the heap of: the largest first.
    pub(super) fn sort(&self) -> Result<(), Broken> {
        self.build()?;
        for len in (1..self.len).rev() {
            let (first, last) = (self.get(0)?, self.get(len)?);
            self.down(0, last, len)?;
            self.set(len, first);
        }
        Ok(())
    }

    /// Finds the place of a node at or above `at`.
    fn up(&self, mut at: u32, node: u32) -> Result<(), Broken> {
        let key = (self.key)(node)?;
        while at > 0 {
            let above = (at - 1) / 2;
            let other = self.get(above)?;
            if (self.key)(other)? <= key {
                break;
            }
            self.set(at, other);
            at = above;
        }
        self.set(at, node);
        Ok(())
    }

    /// Finds the place of a node at or below `at`, in a heap of `len`.
    fn down(&self, mut at: u32, node: u32, len: u32) -> Result<(), Broken> {
        let key = (self.key)(node)?;
        loop {
            let left = 2 * u64::from(at) + 1;
            if left >= u64::from(len) {
                break;
            }
            let left = left as u32;
            let mut below = (left, self.get(left)?);
            let mut least = (self.key)(below.1)?;
            if left + 1 < len {
                let right = self.get(left + 1)?;
                let other = (self.key)(right)?;
                if other < least {
                    (below, least) = ((left + 1, right), other);
                }
            }
            if key <= least {
                break;
            }
            self.set(at, below.1);
            at = below.0;
        }
        self.set(at, node);
        Ok(())
    }
}

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn heap<'a>(
        slots: &'a [AtomicU32],
        len: u32,
        keys: &'a [i64],
    ) -> Heap<'a, impl Fn(u32) -> Result<i64, Broken> + 'a> {
        Heap { slots, len, key: |node| keys.get(node as usize).copied().ok_or(Broken) }
    }

    proptest! {
        #[test]
        fn nodes_come_by_their_keys(keys in proptest::collection::vec(-9i64..9, 0..40)) {
            let slots: Vec<_> = keys.iter().map(|_| AtomicU32::new(0)).collect();
            let n = keys.len() as u32;
            for node in 0..n {
                heap(&slots, node, &keys).push(node).unwrap();
            }
            let came: Vec<_> = (0..n).map(|k| keys[heap(&slots, n - k, &keys).pop().unwrap().unwrap() as usize]).collect();
            let mut sorted = keys.clone();
            sorted.sort_unstable();
            prop_assert_eq!(&came, &sorted);
            (0..n).for_each(|node| slots[node as usize].store(node, Ordering::Relaxed));
            heap(&slots, n, &keys).sort().unwrap();
            let back: Vec<_> = slots.iter().map(|slot| keys[slot.load(Ordering::Relaxed) as usize]).collect();
            sorted.reverse();
            prop_assert_eq!(back, sorted);
        }

        #[test]
        fn whatever_lies_there_ends(junk in proptest::collection::vec(any::<u32>(), 0..40), len in 0u32..80) {
            let slots: Vec<_> = junk.iter().map(|&n| AtomicU32::new(n)).collect();
            let keys = [5, 4, 3, 2, 1];
            let _ = heap(&slots, len, &keys).pop();
            let _ = heap(&slots, len, &keys).push(0);
            let _ = heap(&slots, len, &keys).sort();
        }
    }
}
