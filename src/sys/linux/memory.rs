//! Mappings that memmap2 cannot make: pairs of slot pages, and pages that a fork wipes.

use super::call::{KeepErrno, checked};
use core::ptr::NonNull;

/// The system's page size in bytes.
pub fn page_size() -> usize {
    // SAFETY: sysconf takes a constant and touches no memory of ours.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// `mmap` with its error as a value.
///
/// # Safety
/// As `mmap`: with `MAP_FIXED` the range must be the caller's to replace.
unsafe fn map(
    at: *mut u8,
    len: usize,
    prot: libc::c_int,
    flags: libc::c_int,
    fd: libc::c_int,
    offset: u64,
) -> Result<NonNull<u8>, i32> {
    let _keep = KeepErrno::new();
    // SAFETY: by the contract.
    let p = unsafe { libc::mmap(at.cast(), len, prot, flags, fd, offset as libc::off_t) };
    if p == libc::MAP_FAILED { Err(KeepErrno::current()) } else { NonNull::new(p.cast()).ok_or(libc::ENOMEM) }
}

const RW: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;
const PRIVATE: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

/// A private page that reads as zero in every child of fork and raw clone.
pub fn wiped_on_fork(len: usize) -> Result<NonNull<u8>, i32> {
    // SAFETY: no fixed address is asked for; the advice concerns only the new pages.
    unsafe {
        let page = map(core::ptr::null_mut(), len, RW, PRIVATE, -1, 0)?;
        checked(|| libc::madvise(page.as_ptr().cast(), len, libc::MADV_WIPEONFORK))?;
        Ok(page)
    }
}

/// Pages of zeros that later children share.
pub fn shared_page(len: usize) -> Result<NonNull<u8>, i32> {
    // SAFETY: no fixed address is asked for.
    unsafe { map(core::ptr::null_mut(), len, RW, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0) }
}

/// A stack of `len` bytes for a child that shares this memory; its lowest page faults.
pub fn stack(len: usize) -> Result<NonNull<u8>, i32> {
    // SAFETY: no fixed address is asked for; the lowest page of the new range is the one protected.
    unsafe {
        let base = map(core::ptr::null_mut(), len, RW, PRIVATE | libc::MAP_STACK, -1, 0)?;
        match checked(|| libc::mprotect(base.as_ptr().cast(), page_size(), libc::PROT_NONE)) {
            Ok(_) => Ok(base),
            Err(errno) => {
                unmap(base, len);
                Err(errno)
            }
        }
    }
}

/// Makes existing private memory read as zero in every child of fork and raw clone.
pub fn wipe_on_fork(start: NonNull<u8>, len: usize) -> Result<(), i32> {
    // SAFETY: the advice changes nothing in this process.
    checked(|| unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_WIPEONFORK) }).map(|_| ())
}

/// Two adjacent pages: the first is another mapping of the page at `slot`, which is mapped shared; the second is
/// private and wiped on fork. A word at the end of the first has its robust-list node in the second.
///
/// # Safety
/// `slot` is a page of a shared mapping.
pub unsafe fn map_slot_pair(slot: *const u8, page: usize) -> Result<NonNull<u8>, i32> {
    // SAFETY: both fixed mappings replace parts of the range that the first call has just reserved for us. A length of
    // 0 leaves the old mapping and adds one, as the contract makes it a shared one.
    unsafe {
        let base = map(core::ptr::null_mut(), 2 * page, libc::PROT_NONE, PRIVATE, -1, 0)?;
        let private = base.as_ptr().add(page);
        let both = copy_mapping(slot, base.as_ptr(), page)
            .and_then(|_| map(private, page, RW, PRIVATE | libc::MAP_FIXED, -1, 0))
            .and_then(|_| checked(|| libc::madvise(private.cast(), page, libc::MADV_WIPEONFORK)));
        match both {
            Ok(_) => Ok(base),
            Err(errno) => {
                unmap(base, 2 * page);
                Err(errno)
            }
        }
    }
}

/// # Safety
/// As `mremap` with `MREMAP_FIXED`: `to` is the caller's to replace.
unsafe fn copy_mapping(from: *const u8, to: *mut u8, len: usize) -> Result<(), i32> {
    let _keep = KeepErrno::new();
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: by the contract.
    let p = unsafe { libc::mremap(from.cast_mut().cast(), 0, len, flags, to.cast::<libc::c_void>()) };
    if p == libc::MAP_FAILED { Err(KeepErrno::current()) } else { Ok(()) }
}

/// Maps the start of a file, shared, in place of `len` bytes at `start`.
///
/// # Safety
/// The range is the caller's to replace.
#[cfg(feature = "std")]
pub unsafe fn map_file_over(start: usize, len: usize, fd: libc::c_int) -> Result<(), i32> {
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    // SAFETY: by the contract.
    unsafe { map(core::ptr::with_exposed_provenance_mut(start), len, RW, flags, fd, 0) }.map(drop)
}

/// Unmaps.
///
/// # Safety
/// The range was mapped by this module and nothing refers to it any more.
pub unsafe fn unmap(base: NonNull<u8>, len: usize) {
    let _keep = KeepErrno::new();
    // SAFETY: by the contract.
    unsafe { libc::munmap(base.as_ptr().cast(), len) };
}
