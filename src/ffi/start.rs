//! Starting children and daemons, from C.

use super::arguments::{input, list, output, text};
use super::handle::{Boxed, Handle, boxed, close, open};
use super::lease::Pool;
use super::process::{
    INTERPROC_PROCESS_CLOSE_OTHERS, INTERPROC_PROCESS_DIES_WITH_PARENT, INTERPROC_PROCESS_GROUP,
    INTERPROC_PROCESS_GROUP_DIES_WITH_PARENT, INTERPROC_PROCESS_NICE, INTERPROC_PROCESS_SESSION,
    INTERPROC_PROCESS_UMASK, interproc_process_descriptor_t, interproc_process_entry_t,
    interproc_process_options_t, interproc_process_t,
};
use super::{call, call_out, invalid};
use crate::error::Result;
use crate::process::{Builder, Daemon, Limit, Program, Ready, Stdio};
use core::ffi::{CStr, c_char, c_int, c_void};
use core::time::Duration;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// A null-terminated list of strings, as exec takes it.
///
/// # Safety
/// NULL, or as said.
unsafe fn strings<'a>(at: *const *const c_char) -> impl Iterator<Item = &'a OsStr> {
    let mut index = 0;
    core::iter::from_fn(move || {
        if at.is_null() {
            return None;
        }
        // SAFETY: by the contract: before or at the null.
        let string = unsafe { *at.add(index) };
        index += 1;
        // SAFETY: a C string of the list.
        (!string.is_null()).then(|| OsStr::from_bytes(unsafe { CStr::from_ptr(string) }.to_bytes()))
    })
}

unsafe extern "C" {
    /// This process's environment.
    static mut environ: *mut *mut c_char;
}

fn copy_of(descriptor: &interproc_process_descriptor_t) -> Result<OwnedFd> {
    if descriptor.from == -1 {
        return Ok(File::options().read(true).write(true).open("/dev/null")?.into());
    }
    if descriptor.from < 0 {
        return Err(invalid("a descriptor is negative"));
    }
    // SAFETY: the caller's, open for the call; if it is not, the copy says so.
    Ok(unsafe { BorrowedFd::borrow_raw(descriptor.from) }.try_clone_to_owned()?)
}

/// The builder that the options describe, and the descriptors that are no standard streams.
///
/// # Safety
/// NULL, or options with valid pointers.
unsafe fn builder<'a>(
    options: *const interproc_process_options_t,
) -> Result<(Builder, &'a [interproc_process_descriptor_t], u32)> {
    let mut builder = Builder::new();
    // SAFETY: by the contract.
    let Some(options) = (unsafe { options.as_ref() }) else { return Ok((builder, &[], 0)) };
    let has = |flag| options.flags & flag != 0;
    if options.flags >= INTERPROC_PROCESS_CLOSE_OTHERS * 2 {
        return Err(invalid("an unknown flag"));
    }
    if options.reserved0 != 0 || options.reserved != [0; 2] {
        return Err(invalid(
            "reserved fields of the options are not zero; start from INTERPROC_PROCESS_OPTIONS_INIT",
        ));
    }
    if !options.name.is_null() {
        // SAFETY: by the contract.
        builder = builder.name(unsafe { text(options.name, "name") }?);
    }
    if !options.directory.is_null() {
        // SAFETY: by the contract.
        builder =
            builder.directory(OsStr::from_bytes(unsafe { CStr::from_ptr(options.directory) }.to_bytes()));
    }
    if has(INTERPROC_PROCESS_NICE) {
        builder = builder.nice(options.nice);
    }
    if has(INTERPROC_PROCESS_UMASK) {
        builder = builder.umask(options.umask);
    }
    if options.processors != 0 {
        builder = builder.processors((0..64).filter(|n| options.processors >> n & 1 != 0));
    }
    if has(INTERPROC_PROCESS_GROUP) {
        builder = builder.process_group(0);
    }
    if has(INTERPROC_PROCESS_SESSION) {
        builder = builder.new_session();
    }
    if has(INTERPROC_PROCESS_DIES_WITH_PARENT) {
        builder = builder.dies_with_parent();
    }
    if has(INTERPROC_PROCESS_GROUP_DIES_WITH_PARENT) {
        builder = builder.group_dies_with_parent();
    }
    // SAFETY: by the contract.
    for limit in unsafe { list(options.limits, options.limit_count, "limits") }? {
        builder = builder.limit(Limit::Number(limit.resource), limit.soft, limit.hard);
    }
    // SAFETY: by the contract.
    let descriptors = unsafe { list(options.descriptors, options.descriptor_count, "descriptors") }?;
    for descriptor in descriptors {
        let stdio = || copy_of(descriptor).map(Stdio::from);
        builder = match descriptor.to {
            0 => builder.stdin(stdio()?),
            1 => builder.stdout(stdio()?),
            2 => builder.stderr(stdio()?),
            _ => builder,
        };
    }
    Ok((builder, descriptors, options.flags))
}

/// As interproc_process_fork(), with options, which may be NULL.
///
///     interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
///     options.flags = INTERPROC_PROCESS_DIES_WITH_PARENT;
///     int rc = interproc_process_fork_with(&child, &options, buyer, shop);
///
/// @return As interproc_process_fork(); or ENOENT, EACCES, EPERM, EINVAL: an option could not be applied.
/// interproc_last_error_message() names the step. After an error there is no child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_fork_with(
    process: *mut interproc_process_t,
    options: *const interproc_process_options_t,
    entry: interproc_process_entry_t,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    call_out(|deferred| unsafe {
        let handle = output(process, "process")?;
        let entry = entry.ok_or_else(|| invalid("entry is NULL"))?;
        let (builder, descriptors, _) = builder(options)?;
        if options.as_ref().is_some_and(|o| o.segment_count != 0) {
            return Err(invalid("a forked child has its parent's segments: none can be given"));
        }
        if descriptors.iter().any(|d| !(0..3).contains(&d.to)) {
            return Err(invalid("a forked child takes descriptors 0, 1 and 2 only"));
        }
        let started = || {
            builder.fork_unchecked(|| {
                deferred.lift();
                entry(argument)
            })
        };
        handle.set(boxed(started)?);
        Ok(())
    })
}

/// Starts a child process that runs the program `file`: a path if there is a slash in it, otherwise looked for in this
/// process's PATH. `arguments` and `environment` are as for execve(2): lists that end with NULL, the first argument
/// being the program's name. NULL for `environment`: this process's. NULL for `options`: a child like its parent.
///
/// The child shares this process's memory until it has become the program: a large process starts it as fast as a small
/// one. The calling thread sleeps meanwhile. Handled signals get their default action, ignored ones stay ignored, but
/// for SIGPIPE, which gets its default action too. The program gets the descriptors that are not close-on-exec.
///
///     const char *arguments[] = {"wc", "-l", NULL};
///     interproc_process_descriptor_t streams[] = {{input, 0}, {output, 1}};
///     interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
///     options.descriptors = streams;
///     options.descriptor_count = 2;
///     int rc = interproc_process_spawn(&child, &options, "wc", arguments, NULL);
///
/// @return 0; ENOENT: no such program, interpreter or directory; EACCES: it may not be executed; EAGAIN, ENOMEM,
/// EMFILE, ENFILE: a limit of the system; E2BIG, ENOEXEC and what else execve(2) says; ENOTSUP: no pidfd; EINVAL:
/// process, file or arguments is NULL. After an error there is no child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_spawn(
    process: *mut interproc_process_t,
    options: *const interproc_process_options_t,
    file: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let handle = output(process, "process")?;
        let (builder, program) = program(options, file, arguments, environment)?;
        handle.set(boxed(|| builder.spawn(program))?);
        Ok(())
    })
}

/// The program that is to be started, and how.
///
/// # Safety
/// By C's contract of [`interproc_process_spawn`].
pub(super) unsafe fn program(
    options: *const interproc_process_options_t,
    file: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> Result<(Builder, Program)> {
    // SAFETY: by the contract.
    unsafe {
        let file = OsStr::from_bytes(input(file, "file").map(|_| CStr::from_ptr(file))?.to_bytes());
        input(arguments, "arguments")?;
        let (mut builder, descriptors, flags) = builder(options)?;
        let mut program = Program::new(file);
        let mut given = strings(arguments);
        match given.next() {
            None => return Err(invalid("arguments is empty")),
            Some(first) if options.as_ref().is_none_or(|o| o.name.is_null()) => {
                builder = builder.name(first.to_string_lossy());
            }
            Some(_) => {}
        }
        program = program.args(given);
        if strings(environment).any(|pair| !pair.as_bytes().contains(&b'=')) {
            return Err(invalid("no = in a variable"));
        }
        let environment = if environment.is_null() { environ.cast_const().cast() } else { environment };
        let path = libc::getenv(c"PATH".as_ptr());
        let path = (!path.is_null()).then(|| OsStr::from_bytes(CStr::from_ptr(path).to_bytes()));
        program = program.verbatim(strings(environment), path)?;
        for descriptor in descriptors.iter().filter(|d| !(0..3).contains(&d.to)) {
            program = program.descriptor(descriptor.to, copy_of(descriptor)?);
        }
        if let Some(options) = options.as_ref() {
            for given in list(options.segments, options.segment_count, "segments")? {
                program = program.segment(text(given.key, "key")?, open(given.segment)?)?;
            }
        }
        if flags & INTERPROC_PROCESS_CLOSE_OTHERS != 0 {
            program = program.close_others();
        }
        Ok((builder, program))
    }
}

/// Used by a daemon to report that it is ready; see interproc_daemon_start().
#[repr(C)]
pub struct interproc_ready_t {
    /// Private. NULL once the daemon has reported.
    pub private_: *mut c_void,
    /// Private.
    pub reserved: u64,
}

// SAFETY: a pointer and a word.
unsafe impl Boxed for interproc_ready_t {
    type Object = Ready;
    const NAME: &'static str = "ready";
    const CLOSED: &'static str = "the starter was told already";
    fn pool() -> &'static Pool {
        static POOL: Pool = Pool::new();
        &POOL
    }
}

/// What a daemon runs. Its result is the exit code.
pub type interproc_daemon_entry_t =
    Option<unsafe extern "C-unwind" fn(ready: *mut interproc_ready_t, argument: *mut c_void) -> c_int>;

/// Options for a daemon. All zero: in /, with umask 022, its standard streams from and to /dev/null.
#[repr(C)]
pub struct interproc_daemon_options_t {
    /// The working directory; NULL: /.
    pub directory: *const c_char,
    /// A file that holds its process id and that it keeps locked as long as it lives; NULL: none.
    pub pidfile: *const c_char,
    /// The umask: permission bits that new files do not get. Applied if `has_umask`; otherwise it is 022.
    pub umask: u32,
    /// Whether `umask` is applied.
    pub has_umask: bool,
    /// Whether it keeps the starter's standard streams.
    pub keep_stdio: bool,
    /// How many nanoseconds the starter waits for it to be ready; 0: as long as it takes.
    pub ready_timeout_ns: u64,
    /// Zero.
    pub reserved: [u64; 4],
}

/// Starts a daemon of the system: a process without a terminal, in a session that it does not lead, which is init's
/// child and outlives this process. It runs `entry`, which says by interproc_ready_now() that it is ready: this call
/// returns then, with its process id. `options` may be NULL.
///
///     static int serve(interproc_ready_t *ready, void *port) {
///         int rc = open_socket(port);
///         if (rc) { interproc_ready_failed(ready, rc); return 1; }
///         interproc_ready_now(ready);
///         return accept_for_ever();
///     }
///
/// @return 0; EEXIST: another process has the pidfile locked; ETIMEDOUT: not ready in time, and killed; ECHILD: it
/// ended before it was ready; what it said by interproc_ready_failed(); ENOENT, EACCES: its directory or pidfile;
/// EAGAIN, ENOMEM, EMFILE: a limit of the system; EINVAL: entry or pid is NULL. After an error there is no daemon.
///
/// Thread-safe; not for signal handlers. In a threaded program `entry` is bound by the rules of forked children.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_daemon_start(
    options: *const interproc_daemon_options_t,
    entry: interproc_daemon_entry_t,
    argument: *mut c_void,
    pid: *mut i32,
) -> c_int {
    // SAFETY: by C's contract.
    call_out(|deferred| unsafe {
        let pid = output(pid, "pid")?;
        let entry = entry.ok_or_else(|| invalid("entry is NULL"))?;
        let mut daemon = Daemon::new();
        if let Some(options) = options.as_ref() {
            let path = |path: *const c_char| {
                (!path.is_null()).then(|| OsStr::from_bytes(CStr::from_ptr(path).to_bytes()))
            };
            if let Some(path) = path(options.directory) {
                daemon = daemon.directory(path);
            }
            if let Some(path) = path(options.pidfile) {
                daemon = daemon.pidfile(path);
            }
            if options.has_umask {
                daemon = daemon.umask(options.umask);
            }
            if options.keep_stdio {
                daemon = daemon.keep_stdio();
            }
            if options.ready_timeout_ns != 0 {
                daemon = daemon.ready_timeout(Duration::from_nanos(options.ready_timeout_ns));
            }
        }
        let room = Handle::room()?; // the daemon's
        let started = daemon.start_unchecked(|ready| {
            let mut handle: interproc_ready_t = room.fill(ready);
            deferred.lift();
            let code = entry(&raw mut handle, argument);
            let _ = close(&raw mut handle); // not told: that is an answer, too
            code
        })?;
        pid.set(started as i32);
        Ok(())
    })
}

/// In a daemon: tells its starter that it is ready.
///
/// @return 0; EINVAL: NULL, or told already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_ready_now(ready: *mut interproc_ready_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        close(ready)?.now();
        Ok(())
    })
}

/// In a daemon: tells its starter that it will not be ready, and why: `error` is an errno value. The daemon should end
/// then.
///
/// @return 0; EINVAL: NULL, or told already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_ready_failed(ready: *mut interproc_ready_t, error: c_int) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        close(ready)?.failed(error);
        Ok(())
    })
}
