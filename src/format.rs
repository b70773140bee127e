//! The bytes of a segment: header, member slots, directory, payload. Format version 5.
//!
//! ```text
//! page 0            Header: fixed part under a checksum, then the few words that change
//! pages 1..=M       a SlotPage for each member slot; the slot word starts 16 bytes before the page's end
//! dir_off           max_objects directory entries of 128 bytes
//! payload_off       the user's bytes
//! ```
//!
//! All integers are little-endian and of fixed width; offsets are bytes from the start of the file; nothing holds a
//! pointer. **Version rule**: a change that an older reader would misread increments [`VERSION`]; an addition that a reader
//! must understand sets a bit of `features_incompat`; one that it may ignore sets a bit of `features_compat`. A reader
//! refuses another version and any incompatible bit that it does not know. Reserved bytes are written as zero and not read.
//!
//! **Owner id**: the generation in bits 0..32 of a word and the slot in bits 32..48. Bits 48..64 belong to the object that
//! holds the id. Generations start at 1 and never wrap (an exhausted slot is retired), so an id is never given out twice,
//! and a word that holds a dead owner's id can be replaced by compare-and-swap without ABA.

use crate::atomic::{AtomicU32, AtomicU64};

/// "INTRPROC", read as a little-endian integer.
pub const MAGIC: u64 = u64::from_le_bytes(*b"INTRPROC");
/// The format version.
pub const VERSION: u32 = 5;
/// The incompatible features that this build knows: none so far.
pub const KNOWN_INCOMPAT: u64 = 0;
/// Compatible feature: the payload's pages were not reserved at creation (the `sparse` option).
pub const COMPAT_SPARSE: u64 = 1;
/// The least alignment of an object: a cache line, so that two objects never share one.
pub const OBJECT_ALIGN: u64 = 64;
/// The most member slots a segment can have.
pub const MAX_MEMBERS: u32 = 16_384;
/// The most objects a directory can have.
pub const MAX_OBJECTS: u32 = 65_536;
/// Doors of wait sets: as many as a mask of 32 bits can name.
pub const DOORS: usize = 32;
/// The size of a directory entry in bytes.
pub const ENTRY_SIZE: usize = 128;
/// The size of an object's name in bytes, including the terminating NUL.
pub const NAME_SIZE: usize = 48;

/// The fixed part of the header. Written before the segment is published, never after.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Fixed {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// The size of a page, and so of a slot. Mappings need it to be the reader's page size.
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
    /// The size of the payload: what the user asked for, rounded up to pages.
    pub payload_len: u64,
    /// The size of the file.
    pub total_len: u64,
    /// When it was created, in nanoseconds since the Unix epoch. Diagnostic only.
    pub created_ns: u64,
    /// The creator's process id in its own PID namespace. Diagnostic only.
    pub creator_pid: u32,
    /// The creator's effective user id.
    pub creator_uid: u32,
    /// Zero.
    pub reserved: [u64; 19],
    /// [`checksum`] of all bytes before it.
    pub checksum: u64,
}

/// The part of the header that changes.
#[repr(C)]
#[derive(Debug)]
pub struct Changing {
    /// The bell. It is always 0, and every thread that sleeps on anything in the segment also sleeps on it. When a thread
    /// dies with its pending pointer at the bell, the kernel wakes one sleeper on it, and that one raises the alarm.
    pub bell: AtomicU32,
    /// The alarm: incremented when all sleepers must look again. They sleep on it as well.
    pub alarm: AtomicU32,
    /// 1 once a participant cannot use membarrier, or if the segment's option asks for it: publishers then use full fences.
    /// It never returns to 0.
    pub strong_fences: AtomicU32,
    /// 1 once the name is unlinked: an open call that sees it looks the name up again.
    pub retired: AtomicU32,
    /// Where the search for a free slot starts; slots are given out in rotation.
    pub rotation: AtomicU32,
    /// Zero.
    pub reserved: AtomicU32,
    /// The lock of the directory (a `raw::sync::RawMutex`).
    pub directory_lock: [AtomicU64; 2],
    /// The file offset up to which makers of objects may have written; behind it the payload is still zero. It is raised
    /// before the writing, so that whatever a killed maker left is found and zeroed.
    pub touched_end: AtomicU64,
    /// The doors at which the owners of wait sets sleep. One that changes makes them look again.
    pub doors: [AtomicU32; DOORS],
}

/// Page 0.
#[repr(C)]
#[derive(Debug)]
pub struct Header {
    /// The part covered by the checksum.
    pub fixed: Fixed,
    /// The part that changes.
    pub changing: Changing,
}

/// The first bytes of a member slot's page. The slot word itself lies at the page's end, see [`SLOT_WORD_BACK`].
#[repr(C)]
#[derive(Debug)]
pub struct SlotPage {
    /// The process seat of this index: how often it was taken. Its byte in the file is locked while its process lives.
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
    /// The file offset of the word that the member sleeps on; 0: none. Diagnostic only.
    pub waits_for: AtomicU64,
    /// The id of the owner that blocks it; 0: nobody in particular. Diagnostic only.
    pub waits_on: AtomicU64,
    /// Requests of others to the member: see `member::handoff`.
    pub wanted: AtomicU64,
    /// How often the member has answered them.
    pub answers: AtomicU64,
    /// Odd while `waits_for` and `waits_on` change; counts their changes, from 0 for each member.
    pub waits_changed: AtomicU64,
    /// The last generation whose member left or ended in good order, so that it owes nothing that it did not hold.
    pub ended_well: AtomicU64,
    /// The member's read holds. Cleared when the slot gets a new description; void while the slot is not live.
    pub holds: Holds,
    /// Zero: room for additions.
    pub reserved: [AtomicU64; 97],
}

/// The read locks that a member holds without a cell in the lock itself (`raw::sync::RawRwLock`). Only the member writes it.
#[repr(C)]
#[derive(Debug)]
pub struct Holds {
    /// Threads that wait for a word below to become 0 sleep on the upper half: its bit 31 says that one may sleep, the rest
    /// is a sequence number.
    pub sleepers: AtomicU64,
    /// Each 0, or the file offset of a lock in bits 0..48 and how often it is held in bits 48..63.
    pub words: [AtomicU64; HOLDS],
}

/// How many locks a member can hold for reading, in addition to those in which it has a cell.
#[cfg(not(interproc_loom))]
pub const HOLDS: usize = 16;
/// Few, so that a model can exhaust them.
#[cfg(interproc_loom)]
pub const HOLDS: usize = 1;

/// The slot word starts this many bytes before the page's end. Its robust-list node begins 24 bytes (glibc) or
/// 20 bytes (musl) behind the word, so it lies in the private page that is mapped next.
pub const SLOT_WORD_BACK: usize = 16;

/// A bit in the futex half of a slot word: claimed but not confirmed. No thread id has this bit.
pub const SLOT_CLAIMED: u32 = 0x2000_0000;

/// What a directory entry describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// A free entry.
    Free = 0,
    /// A user's structure, or another typed object.
    Object = 1,
    /// A `Queue`.
    Queue = 2,
    /// A `BoundedSemaphore`.
    BoundedSemaphore = 3,
    /// A `Barrier`.
    Barrier = 4,
    /// A single-producer single-consumer queue.
    Spsc = 5,
    /// A `ByteQueue`: messages of any length, many producers and consumers.
    ByteQueue = 6,
    /// A byte lane: messages of any length, one producer and one consumer.
    ByteSpsc = 7,
    /// A `Latest`.
    Latest = 8,
    /// A pipe, or a listener with its pipes.
    Pipe = 9,
    /// A `WorkQueue`.
    WorkQueue = 10,
    /// A `Broadcast`.
    Broadcast = 11,
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
    /// The exact type of an `Object`, or of the elements of a `Queue`, `Spsc` or `Latest`, or which kind of pipe it is; 0
    /// for untyped ones and where the kind is enough. (Version 1 had 32 bits elsewhere, where 0 was found as any type;
    /// version 2 had 0 for all elements.)
    pub type_id: AtomicU64,
    /// Zero.
    pub reserved: [AtomicU64; 3],
    /// The name, NUL-terminated, as bytes packed into words.
    pub name: [AtomicU64; NAME_SIZE / 8],
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo). It finds damage, not forgery.
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
