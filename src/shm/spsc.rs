//! Spsc queues in a segment: taking one of the two seats.

use super::directory::Element;
use super::lane::AskedLane;
use super::segment::Segment;
use crate::error::Result;
use crate::member::{Member, OwnerId};
use crate::queue::Lane;
use crate::queue::spsc::{Consumer, Producer};
use crate::shared::Plain;

impl Segment {
    /// Takes the producer's seat of the Spsc queue of this name, for elements of type `T` with room for `capacity` of them.
    /// The queue is found, or made. A producer that died has left the seat.
    ///
    /// # Errors
    /// [`WouldBlock`](crate::ErrorKind::WouldBlock) while a living thread has the seat, the caller included;
    /// [`TypeMismatch`](crate::ErrorKind::TypeMismatch) when the name belongs to something else, or to a queue of another
    /// element [type](crate::TypeId::plain) or capacity; [`InvalidInput`](crate::ErrorKind::InvalidInput) for a capacity
    /// out of range; [`TooManyMembers`](crate::ErrorKind::TooManyMembers); else as [`object`](Self::object).
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
        self.spsc_producer_as(name, Element::of::<T>(), capacity)
    }

    /// As [`spsc_producer`](Self::spsc_producer), of a queue of untyped elements, each written as a `T`: C's
    /// `interproc_segment_spsc_producer`, which names no type, makes and finds such queues. See
    /// [`queue_of_bytes`](Self::queue_of_bytes).
    ///
    /// # Errors
    /// As [`spsc_producer`](Self::spsc_producer).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let mut p = seg.spsc_producer_of_bytes::<u64>("jobs", 256)?;
    /// let mut c = seg.spsc_consumer_of_bytes::<u64>("jobs", 256)?; // or interproc_segment_spsc_consumer() in C
    /// p.push(7)?;
    /// assert_eq!(c.pop()?, 7);
    /// assert_eq!(seg.spsc_consumer::<u64>("jobs", 256).unwrap_err().kind(), ErrorKind::TypeMismatch);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn spsc_producer_of_bytes<T: Plain>(&self, name: &str, capacity: usize) -> Result<Producer<T>> {
        self.spsc_producer_as(name, Element::bytes(size_of::<T>()), capacity)
    }

    fn spsc_producer_as<T: Plain>(
        &self,
        name: &str,
        element: Element,
        capacity: usize,
    ) -> Result<Producer<T>> {
        let take = |lane, me: &_| Producer::take(lane, me, self.keep());
        self.spsc_seat(name, element, capacity, take, Lane::producer)
    }

    /// Takes the consumer's seat of the Spsc queue of this name, as [`spsc_producer`](Self::spsc_producer) does the
    /// producer's. Elements that a dead consumer had not freed are popped again.
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
        self.spsc_consumer_as(name, Element::of::<T>(), capacity)
    }

    /// As [`spsc_consumer`](Self::spsc_consumer), of a queue of untyped elements: see
    /// [`spsc_producer_of_bytes`](Self::spsc_producer_of_bytes).
    ///
    /// # Errors
    /// As [`spsc_producer`](Self::spsc_producer).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let mut c = seg.spsc_consumer_of_bytes::<f64>("samples", 256)?;
    /// assert_eq!(c.try_pop().unwrap_err().kind(), ErrorKind::Empty);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn spsc_consumer_of_bytes<T: Plain>(&self, name: &str, capacity: usize) -> Result<Consumer<T>> {
        self.spsc_consumer_as(name, Element::bytes(size_of::<T>()), capacity)
    }

    fn spsc_consumer_as<T: Plain>(
        &self,
        name: &str,
        element: Element,
        capacity: usize,
    ) -> Result<Consumer<T>> {
        let take = |lane, me: &_| Consumer::take(lane, me, self.keep());
        self.spsc_seat(name, element, capacity, take, Lane::consumer)
    }

    /// Takes the seat of the Spsc queue of this name whose holder `holder` names: for Rust and C.
    pub(crate) fn spsc_seat<S>(
        &self,
        name: &str,
        element: Element,
        capacity: usize,
        take: impl FnOnce(Lane, &Member) -> Result<S>,
        holder: impl FnOnce(&Lane) -> Option<OwnerId>,
    ) -> Result<S> {
        self.seat(name, &AskedLane::of_elements(element, capacity), take, holder)
    }
}
