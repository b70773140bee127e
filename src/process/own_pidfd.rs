//! [`OwnPidfd`]: a process, held by a descriptor that the program may close.
#![allow(unsafe_code)]

use crate::sys::own::{Identity, Own};
use crate::sys::pidfd;
use crate::{Error, Result};
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd};

/// A pidfd of ours, and the number of its process when it was opened.
#[derive(Debug)]
pub struct OwnPidfd {
    fd: Own,
    pid: u32,
}

impl OwnPidfd {
    /// Takes over a new pidfd.
    pub fn new(pid: u32, fd: OwnedFd) -> Result<OwnPidfd> {
        Ok(OwnPidfd { fd: Own::new(fd.into_raw_fd()).map_err(Error::from_errno)?, pid })
    }

    /// Takes over a pidfd that is at 3 or above and has this identity.
    pub fn known(pid: u32, fd: OwnedFd, identity: Identity) -> OwnPidfd {
        OwnPidfd { fd: Own::known(fd.into_raw_fd(), identity), pid }
    }

    /// The descriptor, opened again if the program has closed it and the process still has its number.
    ///
    /// # Errors
    /// [`ErrorKind::DescriptorClosed`](crate::ErrorKind::DescriptorClosed).
    pub fn get(&self) -> Result<BorrowedFd<'_>> {
        let fd = self.fd.get_or(|| pidfd::open_again(self.pid as i32));
        let fd = fd.map_err(Error::no_descriptor)?;
        // SAFETY: open as long as `self`, unless the program closes it.
        Ok(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// As [`OwnPidfd::get`]; if the descriptor is lost, its old number, whatever that names by now: for the program, not
    /// for us.
    pub fn for_program(&self) -> BorrowedFd<'_> {
        // SAFETY: as in `get`.
        self.get().unwrap_or(unsafe { BorrowedFd::borrow_raw(self.fd.number()) })
    }
}
