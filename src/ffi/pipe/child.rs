//! An end that a child process gets.

use super::end::interproc_pipe_close;
use super::{Ends, interproc_pipe_entry_t, interproc_pipe_t};
use crate::ffi::arguments::{output, text};
use crate::ffi::handle::{Handle, boxed, close, open_mut};
use crate::ffi::process::{interproc_process_options_t, interproc_process_t};
use crate::ffi::start::program;
use crate::ffi::time::until;
use crate::ffi::{call, call_out, invalid};
use crate::pipe;
use crate::process::{Builder, HandOver};
use core::ffi::{c_char, c_int, c_void};
use libc::timespec;

/// Starts a child process that runs `entry(end, argument)` with this end of a pipe, as interproc_process_fork() does
/// without one. The child has the end before `entry` runs, and until then this process holds it: the holder of the
/// other end is told when the child dies, at any instruction.
///
/// On success the handle `end` is closed in this process. The child owns the end until `entry` returns, which closes
/// it.
///
/// @return As interproc_process_fork(); EUSERS: no room in the segment for the child. After any error but EINVAL the
/// end is closed, and there is no child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_fork(
    process: *mut interproc_process_t,
    name: *const c_char,
    entry: interproc_pipe_entry_t,
    end: *mut interproc_pipe_t,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    call_out(|deferred| unsafe {
        let process = output(process, "process")?;
        let entry = entry.ok_or_else(|| invalid("entry is NULL"))?;
        let builder = if name.is_null() { Builder::new() } else { Builder::new().name(text(name, "name")?) };
        let room = Handle::room()?; // the child's
        let child = boxed(|| {
            let given = close(end)?;
            builder.fork_giving_unchecked(given, |ends| {
                let mut mine = room.fill(ends);
                deferred.lift();
                // By C's contract the entry may be called with them.
                let code = entry(&raw mut mine, argument);
                interproc_pipe_close(&raw mut mine);
                code
            })
        })?;
        process.set(child);
        Ok(())
    })
}

/// Starts the program `file` as interproc_process_spawn() does, and gives it this end of a pipe: it takes it by
/// interproc_pipe_inherited() with the same `key`.
///
/// **It returns when the program has taken the end**, or has ended: until then this process holds it. So the holder of the other end
/// is told when the program dies, at any instruction. On success the handle `end` is closed in this process. If the program has not taken
/// it by `abstime`, it is killed; NULL: it is waited for as long as it takes, which is for ever if it waits for something from
/// this thread first.
///
///     int rc = interproc_pipe_pair(1 << 16, 4096, &ours, &theirs);
///     if (rc == 0)
///         rc = interproc_pipe_spawn(&child, NULL, "./worker", arguments, NULL, "work", &theirs, NULL);
///
///     rc = interproc_pipe_inherited("work", &end); // in the program
///
/// @return As interproc_process_spawn(); ECHILD: the program ended without taking the end, or took one half of two; ETIMEDOUT: it was
/// killed and reaped. After an error that is not because of NULL, or of a handle that is not open, the end is closed and there is no
/// child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_spawn(
    process: *mut interproc_process_t,
    options: *const interproc_process_options_t,
    file: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    key: *const c_char,
    end: *mut interproc_pipe_t,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let process = output(process, "process")?;
        open_mut(end.cast_const())?;
        let key = text(key, "key")?;
        let deadline = until(abstime)?.deadline();
        let (builder, program) = program(options, file, arguments, environment)?;
        process.set(boxed(|| builder.spawn_giving_by(program, key, close(end)?, deadline))?);
        Ok(())
    })
}

/// Takes the end that the parent has given to this program by interproc_pipe_spawn(), or a Rust parent by `spawn_giving`. Once: a
/// second call returns ESTALE.
///
/// The variable is read by getenv(): nobody changes the environment meanwhile.
///
/// @return 0; ENOENT: the parent has given no end with this key; ESTALE: it was taken already, or the parent has ended; EUSERS: no room in
/// the segment; those of interproc_segment_inherited().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_inherited(key: *const c_char, pipe: *mut interproc_pipe_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let (place, key) = (output(pipe, "pipe")?, text(key, "key")?);
        place.set(boxed(|| {
            let (sender, receiver) = pipe::inherited_halves_of_c(key)?;
            Ok(Ends { sender, receiver, reserved: None, held: false })
        })?);
        Ok(())
    })
}

/// In a child of fork(): takes the end that its parent hands over by interproc_pipe_hand_over(). Before that the
/// child's copy is refused with EPERM.
///
/// @return 0; ESTALE: the parent is dead, or has closed it, or somebody else took it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_adopt(pipe: *const interproc_pipe_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { open_mut(pipe) }?.claim())
}

/// In the parent, after its own fork(): waits until the child `pid` has taken the end by interproc_pipe_adopt(), or has
/// ended, and frees the handle. **Call it** before you wait for anything at the other end: as long as nobody has taken
/// the end, this process's own life keeps it open. Do not reap the child before.
///
///     pid_t pid = fork();
///     if (pid == 0)
///         _exit(interproc_pipe_adopt(&theirs) != 0 || serve(&theirs) != 0);
///     rc = interproc_pipe_hand_over(&theirs, pid);
///     if (rc == ECHILD)
///         complain("it died first");          // the end is closed: `ours` sees EPIPE
///
/// It looks every 10 ms whether the child still lives. interproc_pipe_fork() does all this by itself.
///
/// @return 0: it is the child's; ECHILD: the child ended without taking it, or `pid` is not a child of this process;
/// the end is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_hand_over(pipe: *mut interproc_pipe_t, pid: i32) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let ends = close(pipe)?;
        if let Some(sender) = ends.sender {
            sender.hand_over(pid)?;
        }
        ends.receiver.map_or(Ok(()), |receiver| receiver.hand_over(pid))
    })
}
