//! Segments and the objects in them.

use super::arguments::{answer, input, list, output, tell, text};
use super::barrier::interproc_barrier_t;
use super::bounded_semaphore::interproc_bounded_semaphore_t;
use super::byte_queue::interproc_byte_queue_t;
use super::handle::{Boxed, boxed, close, found_in, open};
use super::lease::Pool;
use super::queue::interproc_queue_t;
use super::{call, invalid};
use crate::error::{Error, Result};
use crate::shared::TypeId;
use crate::shm::{Element, Options, Segment};
use crate::sys::own;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::NonNull;
use std::os::fd::{FromRawFd, OwnedFd};

/// Shared memory with a directory of named objects, as one process has it open.
///
/// This is a local handle: it does not lie in shared memory. interproc_segment_close() frees it. A plain copy of the
/// structure is the same handle: close only one of them.
///
///     typedef struct { interproc_mutex_t lock; unsigned tickets; } shop_t;
///
///     interproc_segment_t segment;
///     shop_t *shop;
///     int rc = interproc_segment_open_or_create(&segment, "/shop", 1 << 16, 0600);
///     if (rc == 0)
///         rc = interproc_segment_object(&segment, "shop", sizeof *shop, 8, (void **)&shop);
///     if (rc != 0)
///         fprintf(stderr, "%s\n", interproc_last_error_message());
///
/// A forked child may go on using its parent's open segments and the objects in them.
///
/// Threat model: a process that may write to a segment can break what is in it, but cannot make this library read or
/// write outside of it. If it may write to a *named* segment, it can also truncate its file; a later access is then a
/// SIGBUS. An anonymous segment is sealed against that.
#[repr(C)]
pub struct interproc_segment_t {
    /// Private. NULL when closed.
    pub private_: *mut c_void,
    /// Private.
    pub reserved: u64,
}

/// A flag of interproc_segment_options_t: pages of the payload are not reserved at creation. A large segment then
/// costs only what is used, but when memory runs out later, the access is a SIGBUS instead of an ENOSPC at creation.
pub const INTERPROC_SEGMENT_SPARSE: u32 = 1;
/// A flag of interproc_segment_options_t: everybody uses full memory fences, instead of sleepers interrupting running
/// processors by membarrier(2). For isolated cores. Makes uncontended operations slower; cannot be undone.
pub const INTERPROC_SEGMENT_STRONG_FENCES: u32 = 2;
/// A flag of interproc_segment_options_t: segments that belong to the user `trusted_owner` are opened too. Otherwise
/// only those of this user and of root are: their owner can read and change all that goes through them.
pub const INTERPROC_SEGMENT_TRUST_OWNER: u32 = 4;

/// Options for a segment. Start from INTERPROC_SEGMENT_OPTIONS_INIT and set what differs; zero means the default
/// everywhere.
///
///     interproc_segment_options_t options = INTERPROC_SEGMENT_OPTIONS_INIT;
///     options.size = 1 << 20;
///     options.max_members = 256;
///     rc = interproc_segment_create_with(&segment, "/shop", &options);
///
/// An existing segment keeps the shape it was created with; opening one that is smaller than `size` is refused.
#[repr(C)]
pub struct interproc_segment_options_t {
    /// Bytes for your objects, rounded up to whole pages. Needed for creating.
    pub size: usize,
    /// How many threads, of all processes together, may use the objects at a time: 0 for 64, at most 16384. Each
    /// costs one page.
    pub max_members: u32,
    /// How many named objects there is room for: 0 for 64, at most 65536.
    pub max_objects: u32,
    /// The permission bits of a new named segment, which the umask does not change: 0 for 0600. Using a segment
    /// needs permission to read and to write.
    pub mode: u32,
    /// INTERPROC_SEGMENT_SPARSE and the like, or-ed together.
    pub flags: u32,
    /// A user id, with INTERPROC_SEGMENT_TRUST_OWNER.
    pub trusted_owner: u32,
    /// Zero.
    pub reserved0: u32,
    /// Zero.
    pub reserved: [u64; 4],
}

impl interproc_segment_options_t {
    fn read(&self) -> Result<Options> {
        const KNOWN: u32 =
            INTERPROC_SEGMENT_SPARSE | INTERPROC_SEGMENT_STRONG_FENCES | INTERPROC_SEGMENT_TRUST_OWNER;
        if self.flags & !KNOWN != 0 {
            return Err(invalid("unknown flags in the options"));
        }
        if self.reserved0 != 0 || self.reserved != [0; 4] {
            return Err(invalid(
                "reserved fields of the options are not zero; start from INTERPROC_SEGMENT_OPTIONS_INIT",
            ));
        }
        let mut options = sized(self.size, self.mode)
            .sparse(self.flags & INTERPROC_SEGMENT_SPARSE != 0)
            .strong_fences(self.flags & INTERPROC_SEGMENT_STRONG_FENCES != 0);
        if self.max_members != 0 {
            options = options.max_members(self.max_members);
        }
        if self.max_objects != 0 {
            options = options.max_objects(self.max_objects);
        }
        if self.flags & INTERPROC_SEGMENT_TRUST_OWNER != 0 {
            options = options.trust_owner(self.trusted_owner);
        }
        Ok(options)
    }
}

fn sized(size: usize, mode: u32) -> Options {
    let options = Segment::options().size(size);
    if mode == 0 { options } else { options.mode(mode) }
}

// SAFETY: a pointer and a word.
unsafe impl Boxed for interproc_segment_t {
    type Object = Segment;
    const NAME: &'static str = "segment";
    const CLOSED: &'static str = "the segment is closed";
    fn pool() -> &'static Pool {
        static POOL: Pool = Pool::new();
        &POOL
    }
}

/// Fills a handle with the segment that `make` gives.
///
/// # Safety
/// `segment` is NULL or writable.
unsafe fn start(segment: *mut interproc_segment_t, make: impl FnOnce() -> Result<Segment>) -> c_int {
    // SAFETY: by the contract.
    unsafe { answer(segment, "segment", || boxed(make)) }
}

/// Creates a segment by the name `name` (one slash, then 1 to 249 bytes without a slash) with room for `size` bytes of
/// objects, and opens it. `mode` are its permission bits, which the umask does not change; 0 means 0600.
///
/// The memory is reserved at once: a full file system is an ENOSPC here and never a SIGBUS later. Nobody ever sees a
/// half-made segment.
///
/// @return 0; EEXIST: the name is taken; ENOSPC: no room (containers often give /dev/shm only 64 MiB); EINVAL also for
/// a bad name, or a size or mode out of range; EACCES; EMFILE and other limits of the system; ENOTSUP: no /dev/shm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_create(
    segment: *mut interproc_segment_t,
    name: *const c_char,
    size: usize,
    mode: u32,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { start(segment, || sized(size, mode).create(text(name, "name")?)) }
}

/// Opens the segment `name`. A process may open it several times: what a thread holds there is the thread's, through
/// whichever mapping it got it. A thread that has locked a mutex and locks it once more by another mapping gets
/// EDEADLK.
///
/// @return 0; ENOENT: there is none; EACCES: not permitted, or it belongs to a user who is neither this one nor root
/// (see INTERPROC_SEGMENT_TRUST_OWNER); ELOOP: a symbolic link or not a regular file; EPROTO: not a segment;
/// EPROTONOSUPPORT: of another format version; ENODATA: truncated; EBADMSG: written over; EUSERS: as many processes
/// have it open as it has member slots.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_open(
    segment: *mut interproc_segment_t,
    name: *const c_char,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { start(segment, || Segment::open(text(name, "name")?)) }
}

/// Opens the segment `name`, or creates it if there is none. When several processes come at once, one creates it and
/// all open the same. `mode` as in interproc_segment_create().
///
/// @return As interproc_segment_create() and interproc_segment_open(), without EEXIST and ENOENT; but EEXIST: there is
/// one that is smaller than `size`. EBUSY: others remove and remake the name all the time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_open_or_create(
    segment: *mut interproc_segment_t,
    name: *const c_char,
    size: usize,
    mode: u32,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { start(segment, || sized(size, mode).open_or_create(text(name, "name")?)) }
}

/// Creates a segment without a name, for forked children and for processes that are sent its descriptor. Its size is
/// sealed: nobody can truncate it.
///
/// @return As interproc_segment_create(), without EEXIST.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_anonymous(
    segment: *mut interproc_segment_t,
    size: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { start(segment, || sized(size, 0).anonymous()) }
}

/// Opens the segment behind a descriptor that was inherited, or received through a socket. `fd` stays the caller's, who
/// may close it afterwards.
///
/// @return As interproc_segment_open(), and EROFS: the descriptor is not open for reading and writing; EBADF: it is not
/// open at all; ENOTSUP: no /proc.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_attach_fd(segment: *mut interproc_segment_t, fd: c_int) -> c_int {
    // SAFETY: by C's contract.
    unsafe { start(segment, || Segment::from_fd(copy_of(fd)?)) }
}

/// Opens the segment that the parent has given to this program by `key`; see interproc_process_options_t.
///
///     interproc_process_segment_t given = {"shop", &segment};
///     interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
///     options.segments = &given;
///     options.segment_count = 1;
///     rc = interproc_process_spawn(&child, &options, "./buyer", arguments, NULL);
///
///     rc = interproc_segment_inherited(&segment, "shop"); // in the program
///
/// @return As interproc_segment_attach_fd(); ENOENT: the parent gave none with this key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_inherited(
    segment: *mut interproc_segment_t,
    key: *const c_char,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { start(segment, || crate::process::inherited_segment_of_c(text(key, "key")?)) }
}

fn copy_of(fd: c_int) -> Result<OwnedFd> {
    // SAFETY: the new descriptor is ours.
    own::copy_above(fd, 3).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).map_err(Error::from_errno)
}

/// As interproc_segment_create(), with options.
///
/// @return As interproc_segment_create(); EINVAL also for an option out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_create_with(
    segment: *mut interproc_segment_t,
    name: *const c_char,
    options: *const interproc_segment_options_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { start(segment, || input(options, "options")?.read()?.create(text(name, "name")?)) }
}

/// As interproc_segment_open(), with options.
///
/// @return As interproc_segment_open(); EINVAL also for an option out of range; EEXIST: smaller than options->size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_open_with(
    segment: *mut interproc_segment_t,
    name: *const c_char,
    options: *const interproc_segment_options_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { start(segment, || input(options, "options")?.read()?.open(text(name, "name")?)) }
}

/// As interproc_segment_open_or_create(), with options.
///
/// @return As interproc_segment_open_or_create(); EINVAL also for an option out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_open_or_create_with(
    segment: *mut interproc_segment_t,
    name: *const c_char,
    options: *const interproc_segment_options_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { start(segment, || input(options, "options")?.read()?.open_or_create(text(name, "name")?)) }
}

/// As interproc_segment_anonymous(), with options.
///
/// @return As interproc_segment_anonymous(); EINVAL also for an option out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_anonymous_with(
    segment: *mut interproc_segment_t,
    options: *const interproc_segment_options_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { start(segment, || input(options, "options")?.read()?.anonymous()) }
}

/// Closes a segment: unmaps it and frees the handle. Never removes the name, and changes nothing for other processes.
/// Do not close a segment while this process holds one of its mutexes, nor while another thread uses it.
///
/// **After a close there is one rule for all handles**: every function refuses a closed one, and what was found by it
/// (queues, latest values, barriers, bounded semaphores, the producers and consumers of lanes), with EINVAL, touches
/// nothing, and keeps to that when another segment lies at the same address by then. So it is for copies of a closed
/// handle, for a second close, and for a handle of zeros. Pipes and listeners have a close of their own: they are good
/// until that, and keep what they need of the segment.
///
/// *Objects at an address* (locks, conditions, semaphores, events, onces) are no handles, and a pointer to one is
/// invalid afterwards like every pointer to memory that was freed. Their functions return EINVAL, too, when no open
/// segment is there; when another one is, they act on what lies there now. The inits of semaphores, events and onces
/// write to whatever memory they are given.
///
/// @return 0; EINVAL: closed already; then nothing was done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_close(segment: *mut interproc_segment_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { close(segment) }.map(drop))
}

/// Removes the name. Processes that have the segment open keep it, and the memory is freed when the last one is gone.
/// The name is free for a new segment at once.
///
/// @return 0; ENOENT: there is none; EINVAL also for a bad name; EACCES: not permitted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_unlink(name: *const c_char) -> c_int {
    // SAFETY: by C's contract.
    call(|| Segment::unlink(unsafe { text(name, "name") }?))
}

/// Removes the name if no process has the segment open; nobody can open it in between. `*removed` becomes whether it
/// did. Nothing is ever removed for being unused unless you ask for it by this: it may hold data that somebody will
/// come back for.
///
/// @return 0; otherwise as interproc_segment_open() and interproc_segment_unlink().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_unlink_if_stale(name: *const c_char, removed: *mut bool) -> c_int {
    // SAFETY: by C's contract.
    unsafe { answer(removed, "removed", || Segment::unlink_if_stale(text(name, "name")?)) }
}

/// Finds the object of bytes `name` in the segment, or makes it. A new object is all zero bytes. When several processes
/// come at once, all get the same object. It stays where it is until the segment is gone: there is no removing. To give
/// it its first value in the same call, or to share an object of a Rust type, use interproc_segment_object_as().
///
/// `alignment` is a power of two up to the page size: C11's _Alignof(type), or 8 for a structure with a mutex. The
/// pointer is good until the segment is closed; another process may have the object at another address, so do not store
/// pointers in it. A name has 1 to 47 bytes.
///
/// @return 0; EEXIST: the name belongs to an object of another kind, size or alignment, see
/// interproc_last_error_message(), or is of a type with an id; ENOMEM: the segment or its directory is full; EINVAL
/// also for a bad name, size or alignment; EBADMSG: somebody wrote over the directory.
///
/// Safe against death: a process that dies in it leaves either no object or a whole one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_object(
    segment: *const interproc_segment_t,
    name: *const c_char,
    size: usize,
    alignment: usize,
    object: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        answer(object, "object", || {
            let asked = (TypeId::BYTES, size, alignment);
            let (place, _) = open(segment)?.raw_object(text(name, "name")?, asked, core::ptr::null())?;
            Ok(place.cast().as_ptr())
        })
    }
}

/// Finds the object `name` of this type, or makes it with the bytes at `initial`; `*created` becomes whether it made
/// it. Of all processes that come at once exactly one makes it, and nobody sees it before it has its first value: so it
/// is initialised once.
///
///     shop_t first = { INTERPROC_MUTEX_INIT, 3 };
///     rc = interproc_segment_object_as(&segment, "shop", 0, sizeof first, 8, &first, (void **)&shop, NULL);
///
/// `type_id` is 0 for bytes, as in interproc_segment_object(), or an id by interproc_type_id(): a Rust program finds
/// the object as a type of this id only, and this function finds what a Rust program has made of it. `initial` has
/// `size` bytes; NULL stands for zeros. `created` may be NULL.
///
/// @return As interproc_segment_object(); EEXIST also for another type.
///
/// Safe against death, as interproc_segment_object().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_object_as(
    segment: *const interproc_segment_t,
    name: *const c_char,
    type_id: u64,
    size: usize,
    alignment: usize,
    initial: *const c_void,
    object: *mut *mut c_void,
    created: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let object = output(object, "object")?;
        let asked = (TypeId::from_bits(type_id), size, alignment);
        let (place, is_new) = open(segment)?.raw_object(text(name, "name")?, asked, initial.cast())?;
        object.set(place.cast().as_ptr());
        tell(created, is_new);
        Ok(())
    })
}

/// Finds the object `name` of this type; makes none. `type_id` as in interproc_segment_object_as().
///
/// @return ENOENT: there is none; otherwise as interproc_segment_object_as(), without ENOMEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_find_as(
    segment: *const interproc_segment_t,
    name: *const c_char,
    type_id: u64,
    size: usize,
    alignment: usize,
    object: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let object = output(object, "object")?;
        let asked = (TypeId::from_bits(type_id), size, alignment);
        let found: NonNull<u8> = open(segment)?.raw_find(text(name, "name")?, asked)?;
        object.set(found.cast().as_ptr());
        Ok(())
    })
}

/// The id of a Rust type: of its name without path, its size and alignment, and of the ids of its `count` parts, in
/// order. These are: for Mutex, RecursiveMutex, RwLock and OnceLock the type inside; for a structure declared by
/// `interproc::shared!` its fields; for an array of shared objects, which is called "[]", the element; for atomics and
/// plain data (numbers, arrays of them, structures that derive Pod) none.
///
///     uint64_t word = interproc_type_id("u64", 8, 8, NULL, 0);
///     uint64_t counter = interproc_type_id("Mutex", 24, 8, &word, 1); // Mutex<u64>
///     rc = interproc_segment_find_as(&segment, "counter", counter, 24, 8, (void **)&object);
///
/// @return The id; 0 if `name` is NULL or not UTF-8, or if `parts` is NULL and `count` is not 0.
///
/// Async-signal-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_type_id(
    name: *const c_char,
    size: usize,
    alignment: usize,
    parts: *const u64,
    count: usize,
) -> u64 {
    if name.is_null() || (parts.is_null() && count != 0) {
        return 0;
    }
    // SAFETY: by C's contract; an id is its number, and nothing else.
    let parts = unsafe { list(parts.cast::<TypeId>(), count, "parts") };
    // SAFETY: by C's contract.
    match (unsafe { CStr::from_ptr(name) }.to_str(), parts) {
        (Ok(name), Ok(parts)) => TypeId::new(name, size, alignment, parts).bits(),
        _ => 0,
    }
}

/// Finds the object of bytes `name`; makes none.
///
/// @return ENOENT: there is none; otherwise as interproc_segment_object(), without ENOMEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_find(
    segment: *const interproc_segment_t,
    name: *const c_char,
    size: usize,
    alignment: usize,
    object: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { interproc_segment_find_as(segment, name, TypeId::BYTES.bits(), size, alignment, object) }
}

/// Finds the queue `name`, or makes it: for messages of `element_size` bytes of no type, with room for `capacity` of
/// them. A Rust program reaches the same queue by `Segment::queue_of_bytes`; what it makes by `Segment::queue` has
/// messages of a type, and is found by interproc_segment_queue_as().
///
/// @return As interproc_segment_object(); EEXIST also for another element size or capacity, or for messages of a type;
/// EINVAL: one of them is 0, or the capacity is beyond 2^24.
///
/// Safe against death.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_queue(
    segment: *const interproc_segment_t,
    name: *const c_char,
    element_size: usize,
    capacity: usize,
    queue: *mut interproc_queue_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { interproc_segment_queue_as(segment, name, TypeId::BYTES.bits(), element_size, capacity, queue) }
}

/// As interproc_segment_queue(), for messages of this type: a Rust program reaches the same queue by `Segment::queue`.
/// It is found by exactly this type, by both.
///
///     typedef struct { uint64_t id; double weight; } job_t; // in Rust: struct Job, which derives Pod
///     uint64_t job = interproc_type_id("Job", sizeof(job_t), 8, NULL, 0);
///     rc = interproc_segment_queue_as(&segment, "jobs", job, sizeof(job_t), 1024, &jobs);
///
/// `type_id` is 0 for bytes, or an id by interproc_type_id().
///
/// @return As interproc_segment_queue(); EEXIST also for another type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_queue_as(
    segment: *const interproc_segment_t,
    name: *const c_char,
    type_id: u64,
    element_size: usize,
    capacity: usize,
    queue: *mut interproc_queue_t,
) -> c_int {
    let element = Element { id: TypeId::from_bits(type_id), size: element_size };
    // SAFETY: by C's contract.
    unsafe {
        answer(queue, "queue", || found_in(segment, |s| s.raw_queue(text(name, "name")?, element, capacity)))
    }
}

/// Finds the queue `name` of messages of up to `longest` bytes each, with `capacity` bytes for them (rounded up, and to
/// at least two of the longest messages), or makes it. A Rust program reaches the same queue by `Segment::byte_queue`.
///
/// @return As interproc_segment_object(); EEXIST also for another capacity or longest message; EINVAL: one of them is 0
/// or beyond 2^60.
///
/// Safe against death.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_byte_queue(
    segment: *const interproc_segment_t,
    name: *const c_char,
    capacity: usize,
    longest: usize,
    queue: *mut interproc_byte_queue_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        answer(queue, "queue", || {
            found_in(segment, |s| s.raw_byte_queue(text(name, "name")?, capacity, longest))
        })
    }
}

/// Finds the semaphore `name` of so many robust permits, or makes it. A Rust program reaches the same one by
/// `Segment::bounded_semaphore`.
///
/// @return As interproc_segment_object(); EEXIST also for another number of permits; EINVAL also for no permit, or more
/// than 1048576.
///
/// Safe against death.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_bounded_semaphore(
    segment: *const interproc_segment_t,
    name: *const c_char,
    permits: usize,
    semaphore: *mut interproc_bounded_semaphore_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        answer(semaphore, "semaphore", || {
            found_in(segment, |s| s.raw_bounded_semaphore(text(name, "name")?, permits))
        })
    }
}

/// Finds the barrier `name` for so many parties, or makes it. A Rust program reaches the same one by
/// `Segment::barrier`.
///
/// @return As interproc_segment_object(); EEXIST also for another number of parties; EINVAL also for no party, or more
/// than 1048576.
///
/// Safe against death.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_barrier(
    segment: *const interproc_segment_t,
    name: *const c_char,
    parties: usize,
    barrier: *mut interproc_barrier_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        answer(barrier, "barrier", || found_in(segment, |s| s.raw_barrier(text(name, "name")?, parties)))
    }
}

/// The state of a segment: a snapshot.
#[repr(C)]
pub struct interproc_segment_info_t {
    /// The bytes that it has for objects.
    pub size: usize,
    /// Whether its name was removed: a newcomer does not find it any more.
    pub is_retired: bool,
    /// Zero.
    pub reserved: [u8; 7],
    /// Zero.
    pub reserved1: [u64; 2],
}

const _: () = assert!(size_of::<interproc_segment_info_t>() == 32);

/// How large it is, and whether its name was removed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_info(
    segment: *const interproc_segment_t,
    info: *mut interproc_segment_info_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        answer(info, "info", || {
            let segment = open(segment)?;
            let (size, is_retired) = (segment.len(), segment.is_retired());
            Ok(interproc_segment_info_t { size, is_retired, reserved: [0; 7], reserved1: [0; 2] })
        })
    }
}

/// The descriptor of the segment's file, to be sent through a socket or inherited, for interproc_segment_attach_fd()
/// there. It stays the segment's: do not close it. It is close-on-exec.
///
/// @return 0; EBADF: the program has closed it behind the library's back, and the segment has no name to open it by.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_fd(segment: *const interproc_segment_t, fd: *mut c_int) -> c_int {
    // SAFETY: by C's contract.
    unsafe { answer(fd, "fd", || open(segment)?.file()) }
}
