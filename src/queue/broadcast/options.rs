//! [`BroadcastOptions`]: what a broadcast is made with.

use super::layout::BroadcastGeometry;

/// What a broadcast is made with. Whoever finds it must ask for the same.
///
/// # Examples
/// ```
/// use interproc::Segment;
/// use interproc::queue::BroadcastOptions;
///
/// let seg = Segment::anonymous(1 << 20)?;
/// let prices = seg.broadcast::<[u32; 4]>("prices", BroadcastOptions::new(1024).subscribers(100))?;
/// assert_eq!(prices.capacity(), 1024);
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BroadcastOptions {
    capacity: usize,
    subscribers: usize,
}

impl BroadcastOptions {
    /// The last so many messages are kept, 2 to 2^30, for at most 64 subscribers. (Less those that publishers are about to overwrite: they
    /// go ahead by an eighth, at most 64. Who is waited for has all.)
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::BroadcastOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let prices = seg.broadcast::<u64>("prices", BroadcastOptions::new(16))?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn new(capacity: usize) -> Self {
        BroadcastOptions { capacity, subscribers: 64 }
    }

    /// For at most so many subscribers at a time, 1 to 4096: each takes 64 bytes.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::BroadcastOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let prices = seg.broadcast::<u64>("prices", BroadcastOptions::new(16).subscribers(3))?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn subscribers(mut self, most: usize) -> Self {
        self.subscribers = most;
        self
    }

    /// For messages of up to so many bytes. What is too large is impossible, and refused as that.
    pub(crate) fn geometry(self, longest: usize, fixed: bool) -> BroadcastGeometry {
        BroadcastGeometry {
            capacity: u32::try_from(self.capacity).unwrap_or(0),
            longest: u32::try_from(longest).unwrap_or(0),
            subscribers: u32::try_from(self.subscribers).unwrap_or(0),
            fixed,
        }
    }
}
