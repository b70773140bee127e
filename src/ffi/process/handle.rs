//! A child's handle, and what describes one.

use crate::ffi::handle::Boxed;
use crate::ffi::lease::Pool;
use crate::ffi::segment::interproc_segment_t;
use crate::process::{Child, ExitStatus};
use core::ffi::{c_char, c_int, c_void};

/// A child process, as its parent sees it. It is known by a pidfd: a signal never reaches another process that got the
/// same number, and no SIGCHLD handler, helper thread or polling is involved.
///
/// This is a local handle. interproc_process_close() frees it. A plain copy of the structure is the same handle:
/// close only one of them.
///
///     static int buyer(void *shop) { return buy((shop_t *)shop) ? 0 : 1; }
///
///     interproc_process_t child;
///     interproc_exit_t end;
///     int rc = interproc_process_fork(&child, "buyer", buyer, shop);
///     if (rc == 0) {
///         rc = interproc_process_join(&child, &end);
///         interproc_process_close(&child);
///     }
///
/// Several threads may join one child: each of them gets the result, and later joins get it again. A child of this
/// process cannot use its parent's handles: EPERM.
#[repr(C)]
pub struct interproc_process_t {
    /// Private. NULL when closed.
    pub private_: *mut c_void,
    /// Private.
    pub reserved: u64,
}

// SAFETY: a pointer and a word.
unsafe impl Boxed for interproc_process_t {
    type Object = Child;
    const NAME: &'static str = "process";
    const CLOSED: &'static str = "the handle is closed";
    fn pool() -> &'static Pool {
        static POOL: Pool = Pool::new();
        &POOL
    }
}

/// How a child ended.
#[repr(C)]
pub struct interproc_exit_t {
    /// The exit code, 0 to 255; -1 when a signal ended the child.
    pub code: i32,
    /// The signal that ended the child; 0 when it exited.
    pub signal: i32,
    /// The status word of waitpid(2), for WCOREDUMP() and the like.
    pub wait_status: i32,
    /// Zero.
    pub reserved: i32,
}

impl From<ExitStatus> for interproc_exit_t {
    fn from(status: ExitStatus) -> Self {
        interproc_exit_t {
            code: status.code().unwrap_or(-1),
            signal: status.signal().unwrap_or(0),
            wait_status: status.wait_status(),
            reserved: 0,
        }
    }
}

/// What a child runs. Its result is the exit code: 0 to 255, any other value becomes 255.
pub type interproc_process_entry_t = Option<unsafe extern "C-unwind" fn(argument: *mut c_void) -> c_int>;

/// A bound child: it ends, at once and by SIGKILL, when this process ends, however that happens, and also when this
/// process becomes another program. Not when the thread ends that started it. Costs this process two descriptors.
pub const INTERPROC_PROCESS_DIES_WITH_PARENT: u32 = 1;
/// As INTERPROC_PROCESS_DIES_WITH_PARENT, for the child and everything that it starts: the child leads a process group,
/// which is killed as a whole. So is what is left of the group once the child has ended and its handle is closed.
pub const INTERPROC_PROCESS_GROUP_DIES_WITH_PARENT: u32 = 2;
/// The child leads a process group of its own.
pub const INTERPROC_PROCESS_GROUP: u32 = 4;
/// The child leads a session of its own, and in it a process group.
pub const INTERPROC_PROCESS_SESSION: u32 = 8;
/// `nice` is applied.
pub const INTERPROC_PROCESS_NICE: u32 = 16;
/// `umask` is applied.
pub const INTERPROC_PROCESS_UMASK: u32 = 32;
/// A program gets none of this process's descriptors but 0, 1, 2 and those in `descriptors`.
pub const INTERPROC_PROCESS_CLOSE_OTHERS: u32 = 64;

/// A resource limit of a child: see setrlimit(2).
#[repr(C)]
pub struct interproc_process_limit_t {
    /// RLIMIT_NOFILE and the like.
    pub resource: i32,
    /// Zero.
    pub reserved: i32,
    /// The limit in force; UINT64_MAX for no limit.
    pub soft: u64,
    /// The ceiling up to which the child may raise it.
    pub hard: u64,
}

/// A descriptor that a child gets.
#[repr(C)]
pub struct interproc_process_descriptor_t {
    /// This process's descriptor; -1: /dev/null.
    pub from: i32,
    /// The child's number of it. For forked children only 0, 1 and 2.
    pub to: i32,
}

/// A segment that a program gets; see interproc_segment_inherited().
#[repr(C)]
pub struct interproc_process_segment_t {
    /// The key by which the program asks for it.
    pub key: *const c_char,
    /// An open segment, which need have no name.
    pub segment: *const interproc_segment_t,
}

/// Options for a child. Start from INTERPROC_PROCESS_OPTIONS_INIT and set what differs: all zero is a child like its
/// parent.
///
///     interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
///     options.flags = INTERPROC_PROCESS_DIES_WITH_PARENT | INTERPROC_PROCESS_NICE;
///     options.nice = 10;
#[repr(C)]
pub struct interproc_process_options_t {
    /// INTERPROC_PROCESS_DIES_WITH_PARENT and the like, or-ed together.
    pub flags: u32,
    /// The nice value, with INTERPROC_PROCESS_NICE.
    pub nice: i32,
    /// The umask: permission bits that new files do not get. Applied with INTERPROC_PROCESS_UMASK.
    pub umask: u32,
    /// Zero.
    pub reserved0: u32,
    /// What ps shows: of a forked child the first 15 bytes; of a program its argv[0]. NULL inherits the parent's, or
    /// argv[0] as given.
    pub name: *const c_char,
    /// The working directory; NULL inherits the parent's.
    pub directory: *const c_char,
    /// The processors that it may run on, by bit: 1 is the first one. 0 inherits the parent's.
    pub processors: u64,
    /// `limit_count` limits.
    pub limits: *const interproc_process_limit_t,
    /// How many.
    pub limit_count: usize,
    /// `descriptor_count` descriptors.
    pub descriptors: *const interproc_process_descriptor_t,
    /// How many.
    pub descriptor_count: usize,
    /// `segment_count` segments, for programs; a forked child has all that its parent has open.
    pub segments: *const interproc_process_segment_t,
    /// How many.
    pub segment_count: usize,
    /// Zero.
    pub reserved: [u64; 2],
}

/// The resources that a child used from its start to its end, including those of its own children that it waited for.
#[repr(C)]
pub struct interproc_usage_t {
    /// Nanoseconds of processor time in its own code.
    pub user_ns: u64,
    /// Nanoseconds of processor time in the kernel.
    pub system_ns: u64,
    /// The most memory that it had in RAM at a time, in bytes.
    pub peak_memory: u64,
    /// Page faults without and with reading from a disk.
    pub page_faults: u64,
    /// Page faults that read from a disk.
    pub major_page_faults: u64,
    /// Zero.
    pub reserved: [u64; 3],
}
