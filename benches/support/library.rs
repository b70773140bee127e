//! The lock through the C shared library, as a C program calls it: found in the target directory, where
//! `include/install.sh` builds it, or named by `INTERPROC_LIBRARY`.

use super::Measurement;
use super::locks::{Lock, alone};
use super::sides::Between;
use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::PathBuf;

type Call = unsafe extern "C" fn(*mut c_void) -> c_int;

/// As `struct { interproc_mutex_t lock; uint64_t count; }` in C.
#[repr(C)]
struct Guarded {
    lock: UnsafeCell<[u64; 2]>,
    count: UnsafeCell<u64>,
}

struct FromC {
    lock: Call,
    unlock: Call,
    shared: &'static Guarded,
}

// SAFETY: the lock is made for this, and the counter is reached under it.
unsafe impl Sync for FromC {}

impl Lock for FromC {
    const BETWEEN: Between = Between::Processes;
    fn new() -> Self {
        open().expect("libinterproc.so")
    }
    #[inline(always)]
    fn count(&self, inside: impl FnOnce()) {
        // SAFETY: as a C program does: a mutex in an open segment, and its data while it is locked.
        unsafe {
            assert_eq!((self.lock)(self.shared.lock.get().cast()), 0);
            *self.shared.count.get() += 1;
            inside();
            (self.unlock)(self.shared.lock.get().cast());
        }
    }
    fn counted(&self) -> u64 {
        // SAFETY: nobody holds it.
        unsafe { self.shared.count.get().read() }
    }
}

/// Lock and unlock through the library; `None` when there is none.
pub fn uncontended() -> Option<Measurement> {
    open().map(alone)
}

fn path() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("INTERPROC_LIBRARY") {
        return Some(named.into());
    }
    // target/release/deps/bench-1234 → target/dist/libinterproc.so
    let bench = std::env::current_exe().ok()?;
    let library = bench.ancestors().nth(3)?.join("dist/libinterproc.so");
    library.exists().then_some(library)
}

/// Opens the library and a segment with a lock in it, both for ever.
fn open() -> Option<FromC> {
    let path = CString::new(path()?.into_os_string().into_encoded_bytes()).ok()?;
    // SAFETY: a C string; the library's initialisers are ours.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    let symbol = |name: &CStr| {
        // SAFETY: a library (or NULL, which finds nothing of this name) and a C string.
        let found = unsafe { libc::dlsym(library, name.as_ptr()) };
        (!found.is_null()).then_some(found)
    };
    if library.is_null() {
        return None;
    }
    let anonymous = symbol(c"interproc_segment_anonymous")?;
    let object = symbol(c"interproc_segment_object")?;
    let (lock, unlock) = (symbol(c"interproc_mutex_lock")?, symbol(c"interproc_mutex_unlock")?);
    // SAFETY: the signatures are those of include/interproc.h; the segment is never closed.
    unsafe {
        type Anonymous = unsafe extern "C" fn(*mut [u64; 2], usize) -> c_int;
        type Object =
            unsafe extern "C" fn(*const [u64; 2], *const c_char, usize, usize, *mut *mut c_void) -> c_int;
        let anonymous = std::mem::transmute::<*mut c_void, Anonymous>(anonymous);
        let object = std::mem::transmute::<*mut c_void, Object>(object);
        let segment = Box::leak(Box::new([0u64; 2]));
        assert_eq!(anonymous(segment, 4096), 0, "interproc_segment_anonymous");
        let mut place = std::ptr::null_mut();
        let (size, alignment) = (size_of::<Guarded>(), align_of::<Guarded>());
        let found = object(segment, c"lock".as_ptr(), size, alignment, &mut place);
        assert_eq!(found, 0, "interproc_segment_object");
        Some(FromC {
            lock: std::mem::transmute::<*mut c_void, Call>(lock),
            unlock: std::mem::transmute::<*mut c_void, Call>(unlock),
            shared: &*place.cast(),
        })
    }
}
