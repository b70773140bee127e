//! The bytes of a segment: header, member slots, directory, payload. Format version 3.
//!
//! ```text
//! page 0            Header: fixed part under a checksum, then the few words that change
//! pages 1..=M       one SlotPage a member slot; the slot word is the page's last 16 bytes but 8
//! dir_off           max_objects directory entries of 128 bytes
//! payload_off       the user's bytes
//! ```
//!
//! All integers are little-endian and of fixed width; offsets are bytes from the start of the file; nothing
//! holds a pointer. **Version rule**: a change that an older reader would misread bumps [`VERSION`]; an addition
//! that it must understand sets a bit of `features_incompat`; one that it may ignore sets a bit of
//! `features_compat`. A reader refuses another version and any incompatible bit that it does not know.
//! Bytes called reserved are written as zero and not read.
//!
//! **Owner id**: `generation:32 | slot:16`, in bits 0..32 and 32..48 of a word. Bits 48..64 belong to the
//! object that holds the id. Generations start at 1 and never wrap (an exhausted slot is retired), so an id is
//! never given out twice and a word that holds a dead owner's id can be replaced by compare-and-swap without ABA.

use crate::atomic::{AtomicU32, AtomicU64};

/// "INTRPROC", read as a little-endian integer.
pub const MAGIC: u64 = u64::from_le_bytes(*b"INTRPROC");
/// The format version.
pub const VERSION: u32 = 3;
/// The incompatible features that this build knows: none yet.
pub const KNOWN_INCOMPAT: u64 = 0;
/// Compatible feature: the payload's pages were not reserved at creation (the `sparse` option).
pub const COMPAT_SPARSE: u64 = 1;
/// The least alignment of an object's place: a cache line, so that two objects never share one.
pub const OBJECT_ALIGN: u64 = 64;
/// The most member slots a segment can have.
pub const MAX_MEMBERS: u32 = 16_384;
/// The most objects a directory can have.
pub const MAX_OBJECTS: u32 = 65_536;
/// The bytes of a directory entry.
pub const ENTRY_SIZE: usize = 128;
/// The bytes of an object's name, its terminating NUL included.
pub const NAME_SIZE: usize = 48;

/// The fixed part of the header. Written before the segment is published, never after.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Fixed {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// The bytes of one page, hence of one slot: mappings need it to be the reader's page size.
    pub page_size: u32,
    /// Features that a reader must know.
    pub features_incompat: u64,
    /// Features that a reader may ignore.
    pub features_compat: u64,
    /// Member slots.
    pub max_members: u32,
    /// Directory entries.
    pub max_objects: u32,
    /// Where slot page 0 is.
    pub slots_off: u64,
    /// Where the directory is.
    pub dir_off: u64,
    /// Where the payload is.
    pub payload_off: u64,
    /// The payload's bytes, as the user asked, rounded up to pages.
    pub payload_len: u64,
    /// The file's bytes.
    pub total_len: u64,
    /// When it was created, nanoseconds since the Unix epoch: for people, never for decisions.
    pub created_ns: u64,
    /// The creator's process id in its own namespace: for people.
    pub creator_pid: u32,
    /// The creator's effective user id.
    pub creator_uid: u32,
    /// Zero.
    pub reserved: [u64; 19],
    /// [`checksum`] of all bytes before it.
    pub checksum: u64,
}

/// What changes in the header.
#[repr(C)]
#[derive(Debug)]
pub struct Changing {
    /// Always 0: whoever sleeps on anything in the segment also sleeps here. The kernel wakes one sleeper when a
    /// thread dies with its pending pointer on it; whoever is woken here raises the alarm.
    pub bell: AtomicU32,
    /// Raised by one whenever all sleepers are to look again; they sleep on it, too.
    pub alarm: AtomicU32,
    /// 1 once a participant cannot use membarrier, or by the segment's option: publishers then use full fences.
    /// Never goes back.
    pub strong_fences: AtomicU32,
    /// 1 once the name is unlinked: an open that sees it looks the name up again.
    pub retired: AtomicU32,
    /// Where the search for a free slot starts: slots are handed out in rotation.
    pub rotation: AtomicU32,
    /// Zero.
    pub reserved: AtomicU32,
    /// The lock of the directory (a `sync::RawMutex`).
    pub directory_lock: [AtomicU64; 2],
    /// The end of the bytes that a maker of objects may have written, as a file offset; behind it the payload is
    /// still zero. Raised before the writing, so that the leavings of a killed maker are found and zeroed.
    pub touched_end: AtomicU64,
}

/// Page 0.
#[repr(C)]
#[derive(Debug)]
pub struct Header {
    /// The part under the checksum.
    pub fixed: Fixed,
    /// The part that changes.
    pub changing: Changing,
}

/// The first bytes of a member slot's page. The slot word itself lies at the page's end, see [`SLOT_WORD_BACK`].
#[repr(C)]
#[derive(Debug)]
pub struct SlotPage {
    /// Process seat of this index: how often it was taken. Its byte in the file is locked while its process lives.
    pub seat_incarnation: AtomicU64,
    /// The member's process seat (low half: index, high half: low bits of the incarnation).
    pub member_seat: AtomicU64,
    /// The member's PID namespace (inode number), 0 if unknown.
    pub pid_namespace: AtomicU64,
    /// The member's process and thread ids in that namespace (low half: thread).
    pub pid_tid: AtomicU64,
    /// The member thread's start time in clock ticks since boot, 0 if unknown.
    pub start_time: AtomicU64,
    /// The time namespace (inode number) in which the start time was read, 0 if there are none.
    pub time_namespace: AtomicU64,
    /// The generation that the words above describe, written after them.
    pub described: AtomicU64,
    /// What the member sleeps on: the file offset of the word, 0 for nothing. For people, never for decisions.
    pub waits_for: AtomicU64,
    /// The id of the owner in its way, 0 for nobody in particular. As above.
    pub waits_on: AtomicU64,
    /// What others want of the member: see `member::handoff`.
    pub wanted: AtomicU64,
    /// How often the member has answered. As above.
    pub answers: AtomicU64,
    /// Odd while the two words above change; counts their changes, from 0 for each member.
    pub waits_changed: AtomicU64,
    /// The last generation whose member left or ended in good order: it owes nothing that it did not hold.
    pub ended_well: AtomicU64,
    /// The member's read holds. Cleared when the slot is described anew; void while the slot is not live.
    pub holds: Holds,
    /// Zero: room for other things that a member leaves behind.
    pub reserved: [AtomicU64; 97],
}

/// The read locks that a member holds without a cell in the lock itself (`sync::RawRwLock`). Written by the member.
#[repr(C)]
#[derive(Debug)]
pub struct Holds {
    /// Those who wait for a word below to become 0 sleep on the upper half: bit 31 says that somebody may sleep, the
    /// rest is a sequence.
    pub sleepers: AtomicU64,
    /// Each 0, or the file offset of a lock in bits 0..48 and how often it is held in bits 48..63.
    pub words: [AtomicU64; HOLDS],
}

/// How many locks a member can hold for reading beside those that have a cell for it.
#[cfg(not(interproc_loom))]
pub const HOLDS: usize = 16;
/// Few, so that a model can use them up.
#[cfg(interproc_loom)]
pub const HOLDS: usize = 1;

/// The slot word starts this many bytes before the page's end. Its robust-list node begins 24 bytes (glibc) or
/// 20 bytes (musl) behind the word, so it lies in the private page that is mapped next.
pub const SLOT_WORD_BACK: usize = 16;

/// A bit in the futex half of a slot word: claimed, not confirmed. No thread id has it.
pub const SLOT_CLAIMED: u32 = 0x2000_0000;

/// What a directory entry describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Nothing: a free entry.
    Free = 0,
    /// A user's structure, or any object by itself.
    Object = 1,
    /// A `Queue`.
    Queue = 2,
    /// A `BoundedSemaphore`.
    BoundedSemaphore = 3,
    /// A `Barrier`.
    Barrier = 4,
    /// A single-producer single-consumer queue.
    Spsc = 5,
    /// A queue of messages of any length, with many producers and consumers.
    ByteQueue = 6,
    /// The same with one producer and one consumer.
    ByteSpsc = 7,
    /// A `Latest`.
    Latest = 8,
    /// A `Pipe`, or the place where its ends meet.
    Pipe = 9,
}

/// A directory entry. Written whole, then published by `kind`.
#[repr(C)]
#[derive(Debug)]
pub struct Entry {
    /// A [`Kind`]; 0 until the rest is written.
    pub kind: AtomicU32,
    /// Zero.
    pub reserved_half: AtomicU32,
    /// Where the object is.
    pub offset: AtomicU64,
    /// Its bytes.
    pub size: AtomicU64,
    /// Its alignment.
    pub align: AtomicU64,
    /// The kind's parameters (for a queue: element size and capacity; for a bounded semaphore:
    /// permits; for a barrier: parties).
    pub params: [AtomicU64; 2],
    /// The exact type of an `Object`, or of the elements of a `Queue`, `Spsc` or `Latest`, or which of the pipes it is; 0 for
    /// bytes, and where the kind says it all. (Version 1 had 32 bits elsewhere, of which 0 was found as anything; version 2
    /// had 0 for all elements.)
    pub type_id: AtomicU64,
    /// Zero.
    pub reserved: [AtomicU64; 3],
    /// The name, NUL-terminated, as bytes packed into words.
    pub name: [AtomicU64; NAME_SIZE / 8],
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): finds scribbles, not forgers.
pub fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(not(interproc_loom))]
const _: () = {
    assert!(size_of::<Fixed>() == 256);
    assert!(size_of::<Header>() <= 4096);
    assert!(size_of::<SlotPage>() <= 4096 - SLOT_WORD_BACK);
    assert!(size_of::<Entry>() == ENTRY_SIZE);
};
