//! The shared memory of a scenario: an anonymous segment, made afresh for each point.

use interproc::format::{Fixed, Header, MAGIC, VERSION};
use interproc::member::{self, Attachment, Member};
use memmap2::{MmapOptions, MmapRaw};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

const PAGE: usize = 4096;
const PAYLOAD: usize = 4 * PAGE;

/// A segment of a few pages. Attached, but nobody is a member of it before the first call of [`Arena::me`].
pub struct Arena {
    attachment: Option<Attachment>,
    map: MmapRaw,
    payload: usize,
}

// SAFETY: an attachment answers each thread with that thread's own member; the rest is immutable.
unsafe impl Sync for Arena {}

impl Arena {
    /// A segment for this many member threads.
    pub fn new(members: u32) -> Arena {
        // SAFETY: the name is a C string; the descriptor is new and ours.
        let fd = unsafe {
            let fd = libc::memfd_create(c"crash".as_ptr(), libc::MFD_CLOEXEC);
            assert!(fd >= 0, "memfd_create");
            OwnedFd::from_raw_fd(fd)
        };
        let file = std::fs::File::from(fd);
        let payload = PAGE * (1 + members as usize);
        let len = payload + PAYLOAD;
        file.set_len(len as u64).expect("room for a few pages");
        let map = MmapOptions::new().len(len).map_raw(&file).expect("mapped");
        let base = NonNull::new(map.as_mut_ptr()).expect("not null");
        let fixed = Fixed {
            magic: MAGIC,
            version: VERSION,
            page_size: PAGE as u32,
            max_members: members,
            slots_off: PAGE as u64,
            payload_off: payload as u64,
            payload_len: PAYLOAD as u64,
            total_len: len as u64,
            ..bytemuck::Zeroable::zeroed()
        };
        // SAFETY: the mapping is new, large enough, page-aligned, and stays as long as the arena; the descriptor
        // that is passed on has the description that `file` gives up below.
        let attachment = unsafe {
            (&raw mut (*base.as_ptr().cast::<Header>()).fixed).write(fixed);
            member::attach(file.as_fd().try_clone_to_owned().expect("a descriptor"), base, &fixed)
        };
        Arena { attachment: Some(attachment.expect("attached")), map, payload }
    }

    /// The calling thread as a member; registers it at its first call.
    pub fn me(&self) -> &Member {
        self.try_me().expect("a free slot")
    }

    /// As [`Arena::me`], with its error.
    pub fn try_me(&self) -> interproc::Result<&Member> {
        self.attachment.as_ref().expect("not detached").member()
    }

    /// Where byte `offset` of the payload is.
    pub fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < PAYLOAD);
        NonNull::new(self.map.as_mut_ptr().wrapping_add(self.payload + offset)).expect("not null")
    }

    /// The object at `offset` of the payload, which must be of a type for which zero bytes are valid and that is
    /// made of atomics.
    pub fn object<T>(&self, offset: usize) -> &T {
        assert!(offset + size_of::<T>() <= PAYLOAD && offset.is_multiple_of(align_of::<T>()));
        // SAFETY: in bounds and aligned by the check, mapped as long as the arena; by the contract of this function
        // every bit pattern that the protocol makes is valid and shared writes are atomic.
        unsafe { self.at(offset).cast().as_ref() }
    }

    /// The payload's bytes from `offset` on.
    pub fn room(&self, offset: usize) -> usize {
        PAYLOAD - offset
    }
}
