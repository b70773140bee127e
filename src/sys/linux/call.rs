//! System calls that leave `errno` as they found it.

/// The calling thread's `errno`, saved now and restored on drop. Signal handlers and C callers rely on it.
///
/// It is restored only if it has changed, because in a process that has just forked each first write to a page copies the
/// page.
pub struct KeepErrno {
    at: *mut i32,
    value: i32,
}

#[allow(clippy::new_without_default)] // it does something
impl KeepErrno {
    /// Saves `errno`.
    #[inline]
    pub fn new() -> Self {
        // SAFETY: the C library's pointer to this thread's errno is always valid.
        unsafe {
            let at = libc::__errno_location();
            KeepErrno { at, value: *at }
        }
    }

    /// The `errno` that a call in between has set.
    #[inline]
    pub fn current() -> i32 {
        // SAFETY: as above.
        unsafe { *libc::__errno_location() }
    }
}

impl Drop for KeepErrno {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: as above, and the value never leaves its thread.
        unsafe {
            if *self.at != self.value {
                *self.at = self.value;
            }
        }
    }
}

/// Runs `f`, a C library call that returns -1 and sets `errno` on failure; turns it into a `Result` and leaves
/// `errno` alone.
#[inline]
pub fn checked<T: Into<i64> + Copy>(f: impl FnOnce() -> T) -> Result<T, i32> {
    let _keep = KeepErrno::new();
    let result = f();
    if result.into() == -1 { Err(KeepErrno::current()) } else { Ok(result) }
}

/// As [`checked`], repeated while a signal interrupts it.
#[inline]
pub fn retried<T: Into<i64> + Copy>(mut f: impl FnMut() -> T) -> Result<T, i32> {
    loop {
        match checked(&mut f) {
            Err(libc::EINTR) => continue,
            result => return result,
        }
    }
}
