//! The directory over plain memory: no file, no mapping, any bytes.
#![allow(unsafe_code)]

use super::*;
use crate::shm::header::{Plan, plan};
use core::sync::atomic::AtomicU64;
use std::alloc::{Layout, alloc_zeroed, dealloc};

const PAGE: u64 = 4096;

/// A segment's bytes without a file.
struct Bytes {
    base: NonNull<u8>,
    fixed: Fixed,
    changing: Changing,
}

impl Bytes {
    fn new(size: usize, max_objects: u32) -> Bytes {
        let fixed = plan(&Plan::sample(size, 1, max_objects)).unwrap();
        // SAFETY: all-zero is valid for atomics; the allocation is page-aligned and not empty.
        unsafe {
            let base = NonNull::new(alloc_zeroed(Self::layout(&fixed))).unwrap();
            let changing: Changing = core::mem::zeroed();
            changing.touched_end.store(fixed.payload_off, Relaxed);
            Bytes { base, fixed, changing }
        }
    }

    fn layout(fixed: &Fixed) -> Layout {
        Layout::from_size_align(fixed.total_len as usize, PAGE as usize).unwrap()
    }

    fn directory(&self) -> Directory<'_> {
        // SAFETY: allocated for `total_len` bytes, as long as self.
        unsafe { Directory::new(self.base, &self.changing, &self.fixed) }
    }

    fn word(&self, at: u64) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at < self.fixed.total_len);
        // SAFETY: inside the allocation, aligned; tests access these bytes by this alone or in turns.
        unsafe { self.base.add(at as usize).cast().as_ref() }
    }

    fn payload(&self) -> core::ops::Range<u64> {
        self.fixed.payload_off..self.fixed.payload_off + self.fixed.payload_len
    }

    fn fill_payload(&self, with: u64) {
        self.payload().step_by(8).for_each(|at| self.word(at).store(with, Relaxed));
    }

    /// Offset and words of what was found or made.
    fn make(&self, name: &str, words: u64) -> Result<(u64, std::vec::Vec<u64>)> {
        let shape = Shape::object(TypeId::BYTES, 8 * words as usize, 8);
        let (place, _) = self.directory().find_or_make(name, &shape, |_| ())?;
        let at = place.as_ptr() as u64 - self.base.as_ptr() as u64;
        Ok((at, (0..words).map(|i| self.word(at + 8 * i).load(Relaxed)).collect()))
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.base.as_ptr(), Self::layout(&self.fixed)) }
    }
}

#[test]
fn objects_lie_one_after_the_other_each_on_cache_lines_of_its_own() {
    let bytes = Bytes::new(4096, 8);
    let first = bytes.make("a", 1).unwrap().0;
    assert_eq!(first, bytes.fixed.payload_off);
    assert_eq!(bytes.make("b", 9).unwrap().0, first + 64);
    assert_eq!(bytes.make("c", 1).unwrap().0, first + 192);
    assert_eq!(bytes.make("a", 1).unwrap().0, first);
    assert_eq!(bytes.changing.touched_end.load(Relaxed), first + 200);
}

#[test]
fn what_a_killed_maker_left_is_neither_seen_nor_in_the_way() {
    // Killed after D1, D2 and most of D3: the place is announced and written, the entry filled but for its kind.
    let bytes = Bytes::new(4096, 8);
    bytes.make("before", 4).unwrap();
    let leavings = bytes.fixed.payload_off + 64..bytes.fixed.payload_off + 1024;
    leavings.clone().step_by(8).for_each(|at| bytes.word(at).store(u64::MAX, Relaxed));
    bytes.changing.touched_end.store(leavings.end, Relaxed);
    let entry = bytes.fixed.dir_off + ENTRY_SIZE as u64;
    (8..ENTRY_SIZE as u64).step_by(8).for_each(|at| bytes.word(entry + at).store(u64::MAX, Relaxed));

    let (at, words) = bytes.make("after", 40).unwrap();
    assert_eq!((at, words), (leavings.start, std::vec![0; 40]));
    // A third one, partly behind the leavings.
    let (at, words) = bytes.make("third", 100).unwrap();
    assert!(at < leavings.end && at + 800 > leavings.end);
    assert_eq!(words, [0; 100]);
    assert_eq!(list_names(&bytes), ["before", "after", "third"]);
}

fn list_names(bytes: &Bytes) -> std::vec::Vec<String> {
    let range = bytes.fixed.dir_off..bytes.fixed.dir_off + 8 * ENTRY_SIZE as u64;
    let raw: std::vec::Vec<u8> =
        range.step_by(8).flat_map(|at| bytes.word(at).load(Relaxed).to_le_bytes()).collect();
    list(&raw, &bytes.fixed).map(|found| found.unwrap().name().unwrap()).collect()
}

#[test]
fn untouched_payload_is_not_written_so_that_sparse_pages_stay_away() {
    let bytes = Bytes::new(8192, 8);
    bytes.fill_payload(7);
    let (_, words) = bytes.make("a", 512).unwrap();
    assert_eq!(words, [7; 512], "it was said to be zero, and nobody looked");
}

#[test]
fn a_failed_make_changes_nothing() {
    let bytes = Bytes::new(4096, 2);
    bytes.make("a", 1).unwrap();
    let touched = bytes.changing.touched_end.load(Relaxed);
    assert_eq!(bytes.make("b", 4096 / 8).unwrap_err().kind(), ErrorKind::SegmentFull);
    let huge = Shape { size: u64::MAX - 5, ..Shape::object(TypeId::BYTES, 1, 1) };
    let e = bytes.directory().find_or_make("b", &huge, |_| unreachable!()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::SegmentFull);
    assert_eq!(bytes.changing.touched_end.load(Relaxed), touched);
    bytes.make("b", 1).unwrap();
    assert_eq!(bytes.make("c", 1).unwrap_err().kind(), ErrorKind::SegmentFull);
}

#[test]
fn shapes_that_no_object_has_are_refused() {
    let bytes = Bytes::new(4096, 2);
    let good = Shape::object(TypeId::BYTES, 8, 8);
    for bad in [
        Shape { size: 0, ..good },
        Shape { align: 0, ..good },
        Shape { align: 3, ..good },
        Shape { align: 8192, ..good },
        Shape { kind: 0, ..good },
    ] {
        let e = bytes.directory().find_or_make("a", &bad, |_| unreachable!()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput, "{bad}");
        assert_eq!(bytes.directory().find("a", &bad).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn each_fault_of_an_entry_is_corrupt_and_says_which_entry() {
    let fresh = || {
        let bytes = Bytes::new(4096, 4);
        bytes.make("a", 1).unwrap();
        bytes.make("b", 1).unwrap();
        bytes
    };
    let second = |word: u64| fresh().fixed.dir_off + ENTRY_SIZE as u64 + 8 * word;
    let payload = fresh().fixed.payload_off;
    let faults = [
        (1, payload),            // over the first one
        (1, 0),                  // in the header
        (1, payload + 4096),     // behind the end
        (1, u64::MAX),           // far behind it
        (1, payload + 65),       // misaligned
        (2, 0),                  // empty
        (2, 4096),               // too long
        (2, u64::MAX - payload), // overflows
        (3, 0),                  // no alignment
        (3, 24),                 // not a power of two
        (3, 8192),               // beyond a page
        (10, 0),                 // no name
        (15, 1 << 56),           // bytes behind the name's end
    ];
    for (word, value) in faults {
        let bytes = fresh();
        bytes.word(second(word)).store(value, Relaxed);
        // The first is still found; what needs the second is refused.
        bytes.make("a", 1).unwrap();
        for e in [bytes.make("b", 1).unwrap_err(), bytes.make("c", 1).unwrap_err()] {
            assert_eq!(e.kind(), ErrorKind::Corrupt, "word {word} = {value:#x}: {e}");
            assert!(std::string::ToString::to_string(&e).contains("entry 1"), "{e}");
        }
    }
    let bytes = fresh();
    (10..16).for_each(|word| bytes.word(second(word)).store(u64::MAX, Relaxed));
    assert_eq!(bytes.make("c", 1).unwrap_err().kind(), ErrorKind::Corrupt, "a name without an end");
}

#[test]
fn whatever_the_directory_says_an_object_lies_inside_the_payload() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let bytes = Bytes::new(8192, 8);
    for name in ["a", "b", "c"] {
        bytes.make(name, 3).unwrap();
    }
    let words = bytes.fixed.dir_off..bytes.fixed.dir_off + 4 * ENTRY_SIZE as u64;
    let good: std::vec::Vec<u64> = words.clone().step_by(8).map(|at| bytes.word(at).load(Relaxed)).collect();
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..100_000 {
        words.clone().step_by(8).zip(&good).for_each(|(at, &word)| bytes.word(at).store(word, Relaxed));
        for _ in 0..1 + random() % 3 {
            let at = words.start + random() % (words.end - words.start) / 8 * 8;
            let near = bytes.fixed.payload_off + random() % 8192;
            let value = [random(), 0, 1, near, near & !7, 24, 1 << (random() % 64)][(random() % 7) as usize];
            bytes.word(at).store(value, Relaxed);
        }
        bytes.changing.touched_end.store(random() >> (random() % 64), Relaxed);
        for name in ["a", "b", "c", "d"] {
            match bytes.make(name, 3) {
                Ok((at, _)) => {
                    accepted += 1;
                    assert!(bytes.payload().contains(&at) && at + 24 <= bytes.payload().end && at % 8 == 0);
                }
                Err(e) => {
                    refused += 1;
                    let kinds = [ErrorKind::Corrupt, ErrorKind::TypeMismatch, ErrorKind::SegmentFull];
                    assert!(kinds.contains(&e.kind()), "{e}");
                }
            }
        }
    }
    assert!(accepted > 10_000 && refused > 10_000, "{accepted} accepted, {refused} refused: a lame test");
}
