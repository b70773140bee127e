//! Taking a seat of an Spsc queue.

use super::Segment;
use super::directory::Element;
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
    /// element [type](crate::TypeId::plain) or capacity; [`InvalidInput`](crate::ErrorKind::InvalidInput) for a capacity out of range;
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
        self.spsc_producer_as(name, Element::of::<T>(), capacity)
    }

    /// Takes the producer's seat of the Spsc queue of bytes of this name, whose messages are taken for `T`s: of what C's
    /// `interproc_segment_spsc_producer` makes and finds, which names no type. It is found by its bytes only; see
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
        self.spsc_consumer_as(name, Element::of::<T>(), capacity)
    }

    /// Takes the consumer's seat of the Spsc queue of bytes of this name, as
    /// [`spsc_producer_of_bytes`](Self::spsc_producer_of_bytes) does the producer's.
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

    /// Takes the seat of the Spsc queue of this name whose holder is `holder`: for Rust and C.
    pub(crate) fn spsc_seat<S>(
        &self,
        name: &str,
        Element { id, size: unit }: Element,
        capacity: usize,
        take: impl FnOnce(Lane, &Member) -> Result<S>,
        holder: impl FnOnce(&Lane) -> Option<OwnerId>,
    ) -> Result<S> {
        let params = [unit as u64, capacity as u64];
        self.seat(
            name,
            &Build { kind: Kind::Spsc, unit, capacity, limit: 0, type_id: id, params },
            take,
            holder,
        )
    }
}
