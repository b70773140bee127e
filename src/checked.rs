//! [`Checked`]: `bool`, `char` and enums in shared memory.
#![allow(unsafe_code)]

use crate::error::{Error, ErrorKind};
use bytemuck::{CheckedBitPattern, NoUninit, Pod, Zeroable};
use core::fmt;
use core::mem::MaybeUninit;

/// Wraps a value that has invalid bit patterns (a `bool`, a `char`, a structure or enum that derives
/// [`bytemuck::CheckedBitPattern`] and [`bytemuck::NoUninit`]) as [`Plain`](crate::Plain) bytes, so that it may lie
/// wherever plain data may. The bytes are checked when the value is taken out: if a peer wrote invalid ones, or died while
/// writing, that is an error and never undefined behaviour.
///
/// # Examples
/// ```
/// use interproc::{Checked, ErrorKind, Segment, bytemuck};
///
/// #[derive(Clone, Copy, Debug, PartialEq, bytemuck::CheckedBitPattern, bytemuck::NoUninit)]
/// #[bytemuck(crate = "interproc::bytemuck")]
/// #[repr(u8)]
/// enum Light { Red = 1, Green = 2 }
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let lights = seg.queue_of_bytes::<Checked<Light>>("lights", 8)?; // as C makes them
/// lights.push(Checked::new(Light::Green))?;
/// assert_eq!(lights.pop()?.get()?, Light::Green);
///
/// let peer = seg.queue_of_bytes::<u8>("lights", 8)?; // a peer that makes a mistake
/// peer.push(7)?;
/// assert_eq!(lights.pop()?.get().unwrap_err().kind(), ErrorKind::Corrupt);
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Checked<T: CheckedBitPattern + NoUninit>(MaybeUninit<T>);

// SAFETY: `MaybeUninit` may have any bytes, zeros too.
unsafe impl<T: CheckedBitPattern + NoUninit> Zeroable for Checked<T> {}
// SAFETY: as above; T is Copy and 'static, and its bytes are checked before they are a T. T has no padding, so each byte is
// one that came from a T, from zeros or from other initialised bytes: safe code has no other way to make one.
unsafe impl<T: CheckedBitPattern + NoUninit> Pod for Checked<T> {}

impl<T: CheckedBitPattern + NoUninit> Checked<T> {
    /// Wraps a value.
    ///
    /// # Examples
    /// ```
    /// # use interproc::Checked;
    /// const YES: Checked<bool> = Checked::new(true);
    /// assert!(YES.get()?);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub const fn new(value: T) -> Self {
        Checked(MaybeUninit::new(value))
    }

    /// The value, if the bytes are valid.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`]: they are not.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Checked, Segment, sync::Mutex};
    /// let seg = Segment::anonymous(4096)?;
    /// let open = seg.object("open", || Mutex::new(Checked::new(false)))?;
    /// open.lock()?.set(true);
    /// assert!(open.lock()?.get()?);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn get(&self) -> Result<T, Error> {
        // One copy is checked and used, because a peer may change the shared bytes meanwhile.
        let copy = self.0;
        // SAFETY: T and its `Bits` have the same layout, and any bytes are a `Bits`; all are initialised, see above.
        let bits = unsafe { (&raw const copy).cast::<T::Bits>().read() };
        if T::is_valid_bit_pattern(&bits) {
            // SAFETY: just checked.
            Ok(unsafe { copy.assume_init() })
        } else {
            Err(ErrorKind::Corrupt.into())
        }
    }

    /// Replaces the value.
    ///
    /// # Examples
    /// ```
    /// # use interproc::Checked;
    /// let mut letter = Checked::new('a');
    /// letter.set('b');
    /// assert_eq!(letter.get()?, 'b');
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn set(&mut self, value: T) {
        self.0 = MaybeUninit::new(value);
    }
}

impl<T: CheckedBitPattern + NoUninit> From<T> for Checked<T> {
    fn from(value: T) -> Self {
        Checked::new(value)
    }
}

impl<T: CheckedBitPattern + NoUninit + fmt::Debug> fmt::Debug for Checked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Ok(value) => value.fmt(f),
            Err(_) => f.write_str("(invalid bytes)"),
        }
    }
}

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;
    use bytemuck::{bytes_of, pod_read_unaligned};

    #[derive(Clone, Copy, Debug, PartialEq, CheckedBitPattern, NoUninit)]
    #[repr(u8)]
    enum Kind {
        Small = 1,
        Large = 4,
    }

    #[derive(Clone, Copy, Debug, PartialEq, CheckedBitPattern, NoUninit)]
    #[repr(C)]
    struct Job {
        id: u16,
        urgent: bool,
        kind: Kind,
        letter: char,
    }

    #[test]
    fn invalid_bytes_are_an_error_each() {
        let job = Job { id: 7, urgent: true, kind: Kind::Large, letter: 'x' };
        assert_eq!(Checked::new(Kind::Small).get().unwrap(), Kind::Small);
        let checked = Checked::new(job);
        assert_eq!(checked.get().unwrap(), job);
        let good: [u8; 8] = pod_read_unaligned(bytes_of(&[checked]));
        for (at, bad) in [(2, 2), (2, 255), (3, 0), (3, 3), (6, 0x11), (7, 1)] {
            let mut bytes = good;
            bytes[at] = bad;
            let checked: Checked<Job> = pod_read_unaligned(&bytes);
            assert_eq!(checked.get().unwrap_err().kind(), ErrorKind::Corrupt, "{at} {bad}");
        }
        for byte in 0..=255u8 {
            let checked: Checked<bool> = pod_read_unaligned(&[byte]);
            assert_eq!(checked.get().ok(), [false, true].get(byte as usize).copied());
        }
        assert_eq!(
            <Checked<Kind> as Zeroable>::zeroed().get().map_err(|e| e.kind()),
            Err(ErrorKind::Corrupt)
        );
    }
}
