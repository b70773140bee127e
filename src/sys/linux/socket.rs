//! A pair of sockets through which descriptors go, each with a number. Close-on-exec, number 3 or above, and no call blocks on one.

use super::call::{checked, retried};
use super::own::{Own, above_stdio, close};
use core::ffi::c_int;
use core::mem::size_of;
use std::os::fd::{FromRawFd, OwnedFd};

/// Room for the header of one control message and two descriptors: as many fit by its alignment.
type Control = [u64; 4];
const LEN: usize = size_of::<u64>();

/// Two ends.
pub fn pair() -> Result<[Own; 2], i32> {
    let mut fds = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: room for two descriptors.
    checked(|| unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) })?;
    let one = above_stdio(fds[0]).and_then(Own::new);
    let other = above_stdio(fds[1]).and_then(Own::new);
    Ok([one?, other?])
}

/// A message of one number, and room for descriptors beside it.
fn with_message<R>(number: &mut u64, control: &mut Control, f: impl FnOnce(&mut libc::msghdr) -> R) -> R {
    let mut part = libc::iovec { iov_base: core::ptr::from_mut(number).cast(), iov_len: LEN };
    // SAFETY: all zero is an empty one.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>() as _;
    f(&mut message)
}

/// Sends a copy of `fd` with a number. `EAGAIN`: the other end has to take others first.
pub fn send(socket: c_int, mut number: u64, fd: c_int) -> Result<(), i32> {
    let mut control = Control::default();
    with_message(&mut number, &mut control, |message| {
        // SAFETY: there is room for one header and its descriptor.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(size_of::<c_int>() as u32) as _;
            let header = libc::CMSG_FIRSTHDR(message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<c_int>() as u32) as _;
            libc::CMSG_DATA(header).cast::<c_int>().write_unaligned(fd);
        }
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: all that it points to outlives the call. A direct call, as the C library's is a cancellation point.
        retried(|| unsafe { libc::syscall(libc::SYS_sendmsg, socket, core::ptr::from_ref(message), flags) })
            .map(drop)
    })
}

/// A descriptor that has come. Dropped, it is closed, by a direct call: the C library's is a cancellation point.
#[derive(Debug)]
pub struct Received(c_int);

impl Received {
    /// For the program.
    pub fn into_owned(self) -> OwnedFd {
        let fd = core::mem::ManuallyDrop::new(self).0;
        // SAFETY: it is ours, and closed by nobody else.
        unsafe { OwnedFd::from_raw_fd(fd) }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        close(self.0);
    }
}

/// What lies before us, which stays there: its number, and a copy of the descriptor, if there was one for us. `None`: nothing.
///
/// `EMFILE`: there is no room for the descriptor.
pub fn peek(socket: c_int) -> Result<Option<(u64, Option<Received>)>, i32> {
    let (mut number, mut control) = (0, Control::default());
    let (got, flags, fds) = with_message(&mut number, &mut control, |message| {
        let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT | libc::MSG_PEEK;
        // SAFETY: as above.
        let got = retried(|| unsafe {
            libc::syscall(libc::SYS_recvmsg, socket, core::ptr::from_mut(message), flags)
        });
        if got.is_err() {
            return (got, 0, [-1; 2]);
        }
        // SAFETY: the kernel has written as much as it says.
        (got, message.msg_flags, unsafe { descriptors(message) })
    });
    let got = match got {
        Ok(0) | Err(libc::EAGAIN | libc::ECONNRESET) => return Ok(None),
        got => got?,
    };
    // The kernel has no second one for us, unless a peer breaks the rules.
    if fds[1] >= 0 {
        close(fds[1]);
    }
    let fd = match fds[0] {
        fd if fd >= 0 => Some(above_stdio(fd)?),
        _ if flags & libc::MSG_CTRUNC != 0 => return Err(libc::EMFILE),
        _ => None,
    };
    let fd = fd.map(Received);
    Ok(Some(if got as usize == LEN { (number, fd) } else { (0, fd) }))
}

/// Takes away what lies before us.
pub fn drop_next(socket: c_int) {
    let (mut number, mut control) = (0, Control::default());
    with_message(&mut number, &mut control, |message| {
        // Without room for descriptors the kernel closes them.
        (message.msg_control, message.msg_controllen) = (core::ptr::null_mut(), 0);
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: as above.
        let _ = retried(|| unsafe {
            libc::syscall(libc::SYS_recvmsg, socket, core::ptr::from_mut(message), flags)
        });
    });
}

/// Those that came, at most two.
///
/// # Safety
/// As the kernel has filled it.
unsafe fn descriptors(message: &libc::msghdr) -> [c_int; 2] {
    let mut fds = [-1; 2];
    // SAFETY: by the contract; one header at most fits.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        if !header.is_null()
            && (*header).cmsg_level == libc::SOL_SOCKET
            && (*header).cmsg_type == libc::SCM_RIGHTS
        {
            let bytes = ((*header).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
            for (n, fd) in fds.iter_mut().enumerate().take(bytes / size_of::<c_int>()) {
                *fd = libc::CMSG_DATA(header).cast::<c_int>().add(n).read_unaligned();
            }
        }
    }
    fds
}

/// Sleeps until the other end has taken something, or is closed; at most so long.
pub fn await_writable(socket: c_int, milliseconds: u32) -> Result<(), i32> {
    let mut poll = libc::pollfd { fd: socket, events: libc::POLLOUT, revents: 0 };
    let time =
        libc::timespec { tv_sec: 0, tv_nsec: libc::c_long::from(milliseconds.min(999) as i32) * 1_000_000 };
    let no_mask = core::ptr::null::<libc::sigset_t>();
    // SAFETY: one descriptor, and a time that outlives the call. A direct call, as above.
    let slept = checked(|| unsafe {
        libc::syscall(libc::SYS_ppoll, &raw mut poll, 1, core::ptr::from_ref(&time), no_mask, 8)
    });
    match slept {
        Ok(_) | Err(libc::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}
