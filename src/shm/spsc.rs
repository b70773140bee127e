//! Taking a seat of an Spsc queue.

use super::Segment;
use super::lane::Build;
use crate::error::Result;
use crate::format::Kind;
use crate::member::{Member, OwnerId};
use crate::queue::Lane;
use crate::queue::spsc::{Consumer, Producer};
use crate::shared::Plain;

impl Segment {
    /// Takes the producer's seat of the Spsc queue of this name for messages of type `T`, with room for `capacity` of them. The
    /// queue is found or made. Whoever died in the seat has left it.
    ///
    /// # Errors
    /// [`WouldBlock`](crate::ErrorKind::WouldBlock) while somebody alive sits there, the caller included;
    /// [`TypeMismatch`](crate::ErrorKind::TypeMismatch) when the name belongs to something else, or to a queue of another
    /// element size or capacity; [`InvalidInput`](crate::ErrorKind::InvalidInput) for a capacity out of range;
    /// [`TooManyMembers`](crate::ErrorKind::TooManyMembers); else as [`object`](Self::object).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let mut p = seg.spsc_producer::<u64>("jobs", 256)?;
    /// let e = seg.spsc_producer::<u64>("jobs", 256).unwrap_err();
    /// assert_eq!(e.kind(), ErrorKind::WouldBlock);
    /// drop(p);
    /// p = seg.spsc_producer::<u64>("jobs", 256)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn spsc_producer<T: Plain>(&self, name: &str, capacity: usize) -> Result<Producer<T>> {
        let take = |lane, me: &_| Producer::take(lane, me, self.keep());
        self.spsc_seat(name, size_of::<T>(), capacity, take, Lane::producer)
    }

    /// Takes the consumer's seat of the Spsc queue of this name, as [`spsc_producer`](Self::spsc_producer) does the producer's.
    /// What a consumer that died had not freed is popped again.
    ///
    /// # Errors
    /// As [`spsc_producer`](Self::spsc_producer).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let mut c = seg.spsc_consumer::<[u8; 48]>("jobs", 256)?;
    /// assert_eq!(c.try_pop().unwrap_err().kind(), ErrorKind::Empty);
    /// let e = seg.spsc_producer::<[u8; 56]>("jobs", 256).unwrap_err();
    /// assert!(e.to_string().contains("\"jobs\" is an Spsc of 48-byte elements x 256"));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn spsc_consumer<T: Plain>(&self, name: &str, capacity: usize) -> Result<Consumer<T>> {
        let take = |lane, me: &_| Consumer::take(lane, me, self.keep());
        self.spsc_seat(name, size_of::<T>(), capacity, take, Lane::consumer)
    }

    /// Takes the seat of the Spsc queue of this name whose holder is `holder`: for Rust and C.
    pub(crate) fn spsc_seat<S>(
        &self,
        name: &str,
        unit: usize,
        capacity: usize,
        take: impl FnOnce(Lane, &Member) -> Result<S>,
        holder: impl FnOnce(&Lane) -> Option<OwnerId>,
    ) -> Result<S> {
        let params = [unit as u64, capacity as u64];
        self.seat(name, &Build { kind: Kind::Spsc, unit, capacity, limit: 0, params }, take, holder)
    }
}
