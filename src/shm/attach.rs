//! Where this layer meets the member layer.
#![allow(unsafe_code)]

use super::{file, kernel};
use crate::error::{Error, Result};
use crate::format::{Changing, Fixed};
use core::ptr::NonNull;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Mutex, PoisonError};

/// The process's attachment to one mapping of a segment.
#[derive(Debug)]
pub(super) struct Attached {
    file: File,
    threads: Mutex<()>,
}

impl Attached {
    /// # Safety
    /// `base` is the start of a mapping of `fixed.total_len` bytes of `file` that outlives the attachment; `fixed`
    /// has passed the checks of [`super::header`].
    pub unsafe fn new(file: &File, _base: NonNull<u8>, _fixed: &Fixed) -> Result<Attached> {
        // Of its own: the description that holds the process's seat must not be sent away or be inherited.
        let own = file::again(file)?;
        kernel::lock_shared(own.as_fd()).map_err(Error::from_errno)?;
        Ok(Attached { file: own, threads: Mutex::new(()) })
    }

    /// Runs `f` under the directory's lock.
    pub fn locked<R>(&self, _changing: &Changing, f: impl FnOnce() -> R) -> Result<R> {
        let _threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let set = |kind: i32| {
            let mut lock =
                libc::flock { l_type: kind as _, l_whence: 0, l_start: 1 << 40, l_len: 1, l_pid: 0 };
            // SAFETY: `lock` outlives the call.
            crate::sys::call::retried(|| unsafe {
                libc::fcntl(self.file.as_raw_fd(), libc::F_OFD_SETLKW, &raw mut lock)
            })
        };
        set(libc::F_WRLCK).map_err(Error::from_errno)?;
        let result = f();
        let _ = set(libc::F_UNLCK);
        Ok(result)
    }
}
