//! The process that scribbles.

use crate::kit::{Kid, Random, fork};
use interproc::Segment;
use interproc::raw::format::{Changing, Header, SLOT_WORD_BACK};
use std::mem::offset_of;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Where the segment's file is mapped once more, to be written to by nobody's rules.
#[derive(Clone, Copy)]
pub struct Scribbler {
    base: *mut u8,
    len: usize,
    slots: usize,
    members: u64,
}

// SAFETY: single words, by atomics.
unsafe impl Send for Scribbler {}
// SAFETY: as above.
unsafe impl Sync for Scribbler {}

impl Scribbler {
    pub fn new(seg: &Segment) -> Scribbler {
        let fd = seg.as_fd().as_raw_fd();
        // SAFETY: a new mapping that is never unmapped; all-zero is a valid `stat`, which the call fills.
        let (base, len) = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            assert_eq!(libc::fstat(fd, &raw mut stat), 0);
            let len = stat.st_size as usize;
            let access = libc::PROT_READ | libc::PROT_WRITE;
            (libc::mmap(std::ptr::null_mut(), len, access, libc::MAP_SHARED, fd, 0), len)
        };
        assert_ne!(base, libc::MAP_FAILED);
        let mut scribbler = Scribbler { base: base.cast(), len, slots: 0, members: seg.max_members().into() };
        // The fixed part of the header says where the slots are.
        scribbler.slots = scribbler
            .read(offset_of!(Header, fixed) + offset_of!(interproc::raw::format::Fixed, slots_off))
            as usize;
        scribbler
    }

    pub fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at + 8 <= self.len);
        // SAFETY: in bounds and aligned; everybody uses atomics there.
        unsafe { &*self.base.add(at).cast() }
    }

    pub fn read(&self, at: usize) -> u64 {
        self.word(at).load(Ordering::SeqCst)
    }

    pub fn write(&self, at: usize, value: u64) {
        self.word(at).store(value, Ordering::SeqCst);
    }

    /// Where an object is, and how long it is.
    pub fn find(&self, seg: &Segment, object: &str) -> (usize, usize) {
        let name = seg.name().expect("a name");
        let look = Segment::open_read_only(name).expect("readable");
        let objects = look.objects().expect("whole");
        let info = objects.iter().find(|info| info.name == object).expect("there");
        (info.offset as usize, info.size as usize)
    }

    fn slot_page(&self, slot: u64) -> usize {
        self.slots + slot as usize * 4096
    }

    /// The ids of the living members.
    pub fn living(&self) -> Vec<u64> {
        let word = |slot| self.read(self.slot_page(slot) + 4096 - SLOT_WORD_BACK);
        let live = |word: u64| word & 0x3fff_ffff != 0 && word & 0x4000_0000 == 0;
        (0..self.members).filter(|&slot| live(word(slot))).map(|slot| word(slot) >> 32 | slot << 32).collect()
    }

    /// Where the read holds of a member are, 16 words.
    pub fn holds(&self, id: u64) -> usize {
        use interproc::raw::format::{Holds, SlotPage};
        self.slot_page(id >> 32 & 0xffff) + offset_of!(SlotPage, holds) + offset_of!(Holds, words)
    }
}

/// What is scribbled on.
#[derive(Clone, Debug)]
pub struct Target {
    /// The bytes of an object.
    pub at: usize,
    pub len: usize,
}

/// Starts the peer on these objects. It writes until it is dropped.
pub fn scribble(scribbler: Scribbler, targets: Vec<Target>, seed: u64) -> Kid {
    fork(move || {
        // SAFETY: takes integers: it does not outlive its parent.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        let mut random = Random(seed | 1);
        loop {
            burst(&scribbler, &targets, &mut random);
        }
    })
}

/// A word of a target: mostly of its head, or near it.
fn place(target: &Target, random: &mut Random) -> usize {
    let most = match random.below(8) {
        0..4 => 512,
        4..7 => 1 << 14,
        _ => target.len,
    };
    let at = 8 * random.below((target.len.min(most) / 8) as u64) as usize;
    // What a ring says of its shape is read once; after that it only keeps others out.
    let shape = target.len > 512 && at < 32 && random.below(16) != 0;
    target.at + if shape { at + 32 } else { at }
}

/// What could be taken for the truth, or breaks it: of this word, and of this object.
fn value(scribbler: &Scribbler, target: &Target, at: usize, random: &mut Random, living: &[u64]) -> u64 {
    let now = scribbler.read(at);
    let someone = living.get(random.below(living.len().max(1) as u64) as usize).copied().unwrap_or(1 << 32);
    let mark = 1 << random.below(64);
    match random.below(16) {
        0 => 0,
        1 => u64::MAX,
        2 => random.next(),
        3 => now ^ mark,
        4 => now.wrapping_add(1),
        5 => now.wrapping_sub(1),
        // A lap more, a lap less; a generation.
        6 => now.wrapping_add(1 << 24),
        7 => now.wrapping_sub(1 << 24),
        8 => now.wrapping_add(1 << 32),
        // A neighbour's word.
        9 => scribbler.read(if at + 16 <= target.at + target.len { at + 8 } else { at - 8 }),
        10 => scribbler.read(place(target, random)),
        // Somebody alive, with a mark or without; as a ring names its owners.
        11 => someone,
        12 => someone | mark,
        13 => someone << 16 | 1 << 15 | random.below(1 << 14),
        // Somebody dead.
        14 => someone ^ 1 << 40,
        // The place itself: a link to itself.
        _ => at as u64 | random.below(8),
    }
}

fn burst(scribbler: &Scribbler, targets: &[Target], random: &mut Random) {
    let target = &targets[random.below(targets.len() as u64) as usize];
    let living = scribbler.living();
    let until = Instant::now() + Duration::from_micros(50 + random.below(2000));
    match random.below(8) {
        // Everywhere, as fast as can be.
        0..2 => {
            while Instant::now() < until {
                for _ in 0..16 {
                    let at = place(target, random);
                    let value = value(scribbler, target, at, random, &living);
                    scribbler.write(at, value);
                }
            }
        }
        // One word, as fast as can be, so that no exchange there succeeds.
        2..4 => {
            let at = target.at + 8 * random.below((target.len.min(512) / 8) as u64) as usize;
            let values = [0; 4].map(|_| value(scribbler, target, at, random, &living));
            while Instant::now() < until {
                for _ in 0..64 {
                    scribbler.write(at, values[random.below(4) as usize]);
                }
            }
        }
        // One word, counted up as fast as can be.
        4 => {
            let at = target.at + 8 * random.below((target.len.min(512) / 8) as u64) as usize;
            while Instant::now() < until {
                for _ in 0..64 {
                    scribbler.word(at).fetch_add(1 << random.below(40), Ordering::Relaxed);
                }
            }
        }
        // A word or two, and then time for them to do harm.
        5..7 => {
            for _ in 0..1 + random.below(3) {
                let at = place(target, random);
                let value = value(scribbler, target, at, random, &living);
                scribbler.write(at, value);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // The words that belong to nobody's object: the bell, the alarm, what others want of a member, its notes.
        _ => {
            let changing = offset_of!(Header, changing);
            for _ in 0..4 {
                let at = if random.below(2) == 0 {
                    changing + 8 * random.below(size_of::<Changing>() as u64 / 8) as usize
                } else {
                    scribbler.slot_page(random.below(scribbler.members)) + 8 * random.below(64) as usize
                };
                let everywhere = Target { at: changing, len: 64 };
                let value = value(scribbler, &everywhere, at, random, &living);
                scribbler.write(at, value);
            }
        }
    }
}
