//! Who a thread is and whether it still lives, by the ids of its own PID namespace.

use super::call::{checked, retried};
use super::own::close;
use core::ffi::{CStr, c_int};
use core::mem::MaybeUninit;

/// Yields the processor.
pub fn give_way() {
    // SAFETY: takes nothing, and cannot fail.
    unsafe { libc::syscall(libc::SYS_sched_yield) };
}

/// The calling thread's id in its PID namespace. Where a sandbox denies the call, a number that is negative as a signed one.
pub fn tid() -> u32 {
    // SAFETY: gettid touches no memory.
    checked(|| unsafe { libc::syscall(libc::SYS_gettid) }).map_or(u32::MAX, |tid| tid as u32)
}

/// The calling process's id in its PID namespace.
pub fn pid() -> u32 {
    // SAFETY: getpid cannot fail.
    unsafe { libc::getpid() as u32 }
}

/// The inode of the calling thread's PID namespace; 0 when /proc is not there.
pub fn pid_namespace() -> u64 {
    inode(c"/proc/self/ns/pid")
}

/// Whether the calling thread's children may be the first in a new PID namespace; true when /proc does not say.
#[cfg(feature = "std")]
pub fn children_may_be_first() -> bool {
    let (own, theirs) = (inode(c"/proc/thread-self/ns/pid"), inode(c"/proc/thread-self/ns/pid_for_children"));
    own != theirs || own == 0
}

/// The inode of the calling process's time namespace; 0 when there are none (before Linux 5.6) or no /proc.
pub fn time_namespace() -> u64 {
    inode(c"/proc/self/ns/time")
}

fn inode(path: &CStr) -> u64 {
    // SAFETY: all-zero is a valid `struct stat`, and the path is a C string.
    unsafe {
        let mut st: libc::stat = core::mem::zeroed();
        match checked(|| libc::stat(path.as_ptr(), &raw mut st)) {
            Ok(_) => st.st_ino as u64,
            Err(_) => 0,
        }
    }
}

/// Whether this process of the caller's PID namespace has a thread with this id; `None` when the kernel does not say. Needs
/// no /proc.
pub fn exists(pid: u32, tid: u32) -> Option<bool> {
    let (Ok(pid), Ok(tid)) = (libc::pid_t::try_from(pid), libc::pid_t::try_from(tid)) else { return None };
    // SAFETY: takes integers; signal 0 is none.
    match checked(|| unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, 0) }) {
        Ok(_) | Err(libc::EPERM) => Some(true),
        Err(libc::ESRCH) => Some(false),
        Err(_) => None,
    }
}

/// The calling thread's start time in clock ticks since boot, as [`start_time`]; right with any /proc that shows the
/// thread.
pub fn own_start_time() -> Result<u64, i32> {
    start_time_in(c"/proc/thread-self/stat")
}

/// A thread's start time in clock ticks since boot, from /proc, in the caller's time namespace. Together with its ids it
/// names a thread for good: ids are reused, start times are not. It needs a /proc of the caller's own PID namespace:
/// otherwise these numbers name another thread there, and the result is `Err(EXDEV)`.
pub fn start_time(pid: u32, tid: u32) -> Result<u64, i32> {
    if !proc_shows_own_namespace()? {
        return Err(libc::EXDEV);
    }
    let mut path = [0u8; 64];
    let end = write_path(&mut path, pid, tid, b"/stat");
    debug_assert!(end < path.len());
    start_time_in(CStr::from_bytes_until_nul(&path).map_err(|_| libc::EINVAL)?)
}

/// Whether the stack of process `pid` lies where the caller's does: so it does in a parent that has not called exec since
/// the fork. True when /proc does not say.
#[cfg(feature = "std")]
pub fn has_our_stack(pid: u32) -> bool {
    const START_STACK: usize = 25;
    let start = |path: &CStr| {
        let mut text = text::<1024>();
        number(stat_field(read_start(path, &mut text)?, START_STACK)?)
    };
    let mut path = [0u8; 64];
    write_path(&mut path, pid, pid, b"/stat");
    let theirs = CStr::from_bytes_until_nul(&path).ok().and_then(|path| start(path).ok());
    match (theirs, start(c"/proc/self/stat")) {
        (Some(theirs), Ok(ours)) if theirs != 0 && ours != 0 => theirs == ours,
        _ => true,
    }
}

/// What /proc shows of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its name: up to 15 bytes, then zeros.
    pub name: [u8; 16],
    /// Its state: the letter that ps shows.
    pub state: u8,
    /// As [`start_time`].
    pub start_time: u64,
}

/// Reads a thread's entry in /proc, under the same condition as [`start_time`].
pub fn look_at(pid: u32, tid: u32) -> Result<Seen, i32> {
    if !proc_shows_own_namespace()? {
        return Err(libc::EXDEV);
    }
    let mut path = [0u8; 64];
    let mut text = text::<1024>();
    write_path(&mut path, pid, tid, b"/comm");
    let comm = read_start(CStr::from_bytes_until_nul(&path).map_err(|_| libc::EINVAL)?, &mut text)?;
    let comm = comm.strip_suffix(b"\n").unwrap_or(comm);
    let mut name = [0u8; 16];
    let len = comm.len().min(15);
    name[..len].copy_from_slice(&comm[..len]);
    // Read after the name: a thread with this start time already had the id then.
    path = [0u8; 64];
    write_path(&mut path, pid, tid, b"/stat");
    let path = CStr::from_bytes_until_nul(&path).map_err(|_| libc::EINVAL)?;
    let stat = read_start(path, &mut text)?;
    let state = *stat_field(stat, 0)?.first().ok_or(libc::EIO)?;
    Ok(Seen { name, state, start_time: number(stat_field(stat, START_TIME)?)? })
}

/// The stat file of a process, or of one of its threads.
#[cfg(feature = "std")]
pub fn read_stat(pid: u32, thread: Option<u32>, into: &mut [MaybeUninit<u8>]) -> Result<&[u8], i32> {
    let mut path = [0u8; 64];
    match thread {
        Some(tid) => write_path(&mut path, pid, tid, b"/stat"),
        None => write_process_path(&mut path, pid, b"/stat"),
    };
    read_start(CStr::from_bytes_until_nul(&path).map_err(|_| libc::EINVAL)?, into)
}

/// Whether /proc names the calling process by this number; false when there is no /proc.
#[cfg(feature = "std")]
pub fn proc_names(pid: u32) -> Result<bool, i32> {
    let mut shown = [0u8; 16];
    let mut digits = [0u8; 10];
    // SAFETY: writable for its length.
    let len = checked(|| unsafe {
        libc::readlink(c"/proc/self".as_ptr(), shown.as_mut_ptr().cast(), shown.len()) as i64
    });
    match len {
        Ok(len) => Ok(&shown[..len as usize] == decimal(pid, &mut digits)),
        Err(libc::ENOENT | libc::ENOTDIR | libc::EINVAL) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Whether /proc shows the caller's own PID namespace. A process is listed with its id in the namespace of the mounted
/// /proc and in each one below, down to its own: a single id says that the two are the same.
pub(super) fn proc_shows_own_namespace() -> Result<bool, i32> {
    let mut text = text::<4096>();
    let text = read_start(c"/proc/self/status", &mut text)?;
    let ids =
        text.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"NSpid:")).ok_or(libc::ENODATA)?;
    Ok(ids.split(|b| b.is_ascii_whitespace()).filter(|id| !id.is_empty()).count() == 1)
}

/// Room for the start of a file.
pub fn text<const N: usize>() -> [MaybeUninit<u8>; N] {
    [const { MaybeUninit::uninit() }; N]
}

/// Opens a file by a direct system call, because the C library's are cancellation points.
fn open(path: &CStr, flags: c_int) -> Result<c_int, i32> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | flags;
    // SAFETY: a C string.
    retried(|| unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) })
        .map(|fd| fd as c_int)
}

/// The next bytes of a file, or entries of a directory.
fn next(call: libc::c_long, fd: c_int, into: &mut [MaybeUninit<u8>]) -> Result<&[u8], i32> {
    // SAFETY: the buffer is writable for its length.
    let read = retried(|| unsafe { libc::syscall(call, fd, into.as_mut_ptr(), into.len()) })?;
    let read = &into[..read as usize];
    // SAFETY: the kernel has written these.
    Ok(unsafe { core::slice::from_raw_parts(read.as_ptr().cast(), read.len()) })
}

/// The first bytes of a file.
pub(super) fn read_start<'a>(path: &CStr, into: &'a mut [MaybeUninit<u8>]) -> Result<&'a [u8], i32> {
    let fd = open(path, 0)?;
    let read = next(libc::SYS_read, fd, into);
    close(fd);
    read
}

/// Calls `each` for the numbers in a file.
#[cfg(feature = "std")]
fn each_number_of(path: &CStr, each: &mut dyn FnMut(u32)) -> Result<(), i32> {
    let fd = open(path, 0)?;
    let mut bytes = text::<1024>();
    let mut number = None;
    let read = loop {
        match next(libc::SYS_read, fd, &mut bytes) {
            Ok([]) => break Ok(()),
            Ok(read) => {
                for &byte in read {
                    match (byte.is_ascii_digit(), number) {
                        (true, _) => {
                            number = Some(
                                number.unwrap_or(0u32).wrapping_mul(10).wrapping_add((byte - b'0').into()),
                            );
                        }
                        (false, Some(_)) => number.take().into_iter().for_each(&mut *each),
                        (false, None) => {}
                    }
                }
            }
            Err(errno) => break Err(errno),
        }
    };
    close(fd);
    number.into_iter().for_each(each);
    read
}

/// Whether `is` holds for any entry of the directory whose name is a number.
pub fn any_number_in(path: &CStr, is: impl FnMut(u32) -> bool) -> Result<bool, i32> {
    let fd = open(path, libc::O_DIRECTORY)?;
    let found = any_entry(fd, is);
    close(fd);
    found
}

fn any_entry(fd: c_int, mut is: impl FnMut(u32) -> bool) -> Result<bool, i32> {
    /// Before the name: inode, offset, record length, type.
    const NAME: usize = 19;
    #[repr(align(8))]
    struct Entries([MaybeUninit<u8>; 4096]);
    let mut entries = Entries(text());
    loop {
        let mut left = next(libc::SYS_getdents64, fd, &mut entries.0)?;
        if left.is_empty() {
            return Ok(false);
        }
        while let Some(len) = left.get(16..18).map(|l| u16::from_ne_bytes([l[0], l[1]]) as usize) {
            let entry = left.get(NAME..len).ok_or(libc::EIO)?;
            let name = entry.split(|&b| b == 0).next().unwrap_or_default();
            if let Some(number) = parse(name)
                && is(number)
            {
                return Ok(true);
            }
            left = &left[len..];
        }
    }
}

fn parse(name: &[u8]) -> Option<u32> {
    let digit = |n: u32, &b: &u8| {
        b.is_ascii_digit().then(|| n.checked_mul(10)?.checked_add(u32::from(b - b'0'))).flatten()
    };
    if name.is_empty() { None } else { name.iter().try_fold(0, digit) }
}

/// Calls `each` for the children of a process, as the `children` files of its threads list them. False: this kernel has no
/// such files.
#[cfg(feature = "std")]
pub fn each_child(pid: u32, mut each: impl FnMut(u32)) -> Result<bool, i32> {
    let mut threads = [0u8; 64];
    write_process_path(&mut threads, pid, b"/task");
    let threads = CStr::from_bytes_until_nul(&threads).map_err(|_| libc::EINVAL)?;
    let mut refused = Ok(());
    let has_none = any_number_in(threads, |tid| {
        let mut path = [0u8; 64];
        write_path(&mut path, pid, tid, b"/children");
        let path = CStr::from_bytes_until_nul(&path).unwrap_or_default();
        match each_number_of(path, &mut each) {
            Ok(()) => false,
            // Otherwise the thread has just ended.
            Err(libc::ENOENT | libc::ESRCH) => exists(pid, tid) == Some(true),
            Err(errno) => {
                refused = Err(errno);
                true
            }
        }
    })?;
    refused.map(|()| !has_none)
}

/// The process of which this descriptor of the calling process is a pidfd.
#[cfg(feature = "std")]
pub fn pid_behind(fd: u32) -> Option<u32> {
    let mut path = [0u8; 64];
    write_parts(&mut path, &[b"/proc/self/fdinfo/", decimal(fd, &mut [0u8; 10])]);
    let mut text = text::<1024>();
    let text = read_start(CStr::from_bytes_until_nul(&path).ok()?, &mut text).ok()?;
    let pid = text.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"Pid:"))?;
    parse(pid.trim_ascii())
}

/// The start time is field 22 of a stat file, the 20th after the name.
const START_TIME: usize = 19;

fn start_time_in(path: &CStr) -> Result<u64, i32> {
    let mut text = text::<1024>();
    number(stat_field(read_start(path, &mut text)?, START_TIME)?)
}

/// A field of a stat file, counted from the one after the name. The name, in parentheses, may hold anything, so the fields
/// are counted from the last parenthesis.
pub(super) fn stat_field(text: &[u8], nth: usize) -> Result<&[u8], i32> {
    let after = text.iter().rposition(|&b| b == b')').ok_or(libc::EIO)?;
    text[after + 1..].split(|&b| b == b' ').filter(|f| !f.is_empty()).nth(nth).ok_or(libc::EIO)
}

pub(super) fn number(digits: &[u8]) -> Result<u64, i32> {
    digits.iter().try_fold(0u64, |n, &d| match d {
        b'0'..=b'9' => Ok(n.wrapping_mul(10).wrapping_add(u64::from(d - b'0'))),
        _ => Err(libc::EIO),
    })
}

fn write_path(out: &mut [u8; 64], pid: u32, tid: u32, file: &[u8]) -> usize {
    let mut digits = [[0u8; 10]; 2];
    let [one, two] = &mut digits;
    write_parts(out, &[b"/proc/", decimal(pid, one), b"/task/", decimal(tid, two), file])
}

#[cfg(feature = "std")]
fn write_process_path(out: &mut [u8; 64], pid: u32, file: &[u8]) -> usize {
    write_parts(out, &[b"/proc/", decimal(pid, &mut [0u8; 10]), file])
}

fn write_parts(out: &mut [u8; 64], parts: &[&[u8]]) -> usize {
    let mut at = 0;
    for part in parts {
        out[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    at
}

/// The digits of a number.
pub fn decimal(mut n: u32, out: &mut [u8; 10]) -> &[u8] {
    let mut at = out.len();
    loop {
        at -= 1;
        out[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            return &out[at..];
        }
    }
}

/// The clock ticks a second in /proc.
pub fn ticks_per_second() -> u64 {
    // SAFETY: takes a constant.
    unsafe { libc::sysconf(libc::_SC_CLK_TCK).max(1) as u64 }
}

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}
const CANCEL_DISABLE: c_int = 1;

/// As long as it exists, the thread is not cancelled: a cancellation that comes meanwhile acts afterwards, at a
/// cancellation point of the program. (Asynchronous cancellation acts as soon as this is dropped.)
pub struct CancelDeferred(c_int);

#[allow(clippy::new_without_default)] // it does something
impl CancelDeferred {
    /// Defers the calling thread's cancellation.
    pub fn new() -> Self {
        let mut before = 0;
        // SAFETY: writable; a valid state.
        unsafe { pthread_setcancelstate(CANCEL_DISABLE, &raw mut before) };
        CancelDeferred(before)
    }

    /// Restores the former state for good, for code of the program that runs inside.
    pub fn lift(&self) {
        let mut deferred = 0;
        // SAFETY: writable; the state that the thread was in.
        unsafe { pthread_setcancelstate(self.0, &raw mut deferred) };
    }
}

impl Drop for CancelDeferred {
    fn drop(&mut self) {
        self.lift();
    }
}

/// As long as it exists, no code of the program can come in between: all signals are blocked, and cancellation is deferred.
pub struct SignalsBlocked {
    before: libc::sigset_t,
    // Dropped last, so that an asynchronous cancellation finds the former mask.
    _deferred: CancelDeferred,
}

#[allow(clippy::new_without_default)] // it does something
impl SignalsBlocked {
    /// Blocks every signal of the calling thread that can be blocked.
    pub fn new() -> Self {
        let _deferred = CancelDeferred::new();
        // SAFETY: both sets are initialised by the calls that write them.
        let before = unsafe {
            let mut all: libc::sigset_t = core::mem::zeroed();
            let mut old: libc::sigset_t = core::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old);
            old
        };
        SignalsBlocked { before, _deferred }
    }

    /// The thread's mask before.
    pub fn before(&self) -> &libc::sigset_t {
        &self.before
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: the set was filled by the call that saved it.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, core::ptr::null_mut()) };
    }
}
