//! Finding and making lanes in a segment, and taking a seat there.
#![allow(unsafe_code)]

use super::directory::Shape;
use super::{Segment, fail};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Kind;
use crate::member::{self, Member, OwnerId};
use crate::queue::spsc::{Consumer, Producer};
use crate::queue::{Lane, lane_size};
use crate::shared::Plain;
use std::format;
use std::sync::Arc;

impl Segment {
    /// Takes the producer's seat of the Spsc queue of this name for messages of type `T`, with room for `capacity` of them. The
    /// queue is found or made. Whoever died in the seat has left it.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] while somebody alive sits there, the caller included; [`ErrorKind::TypeMismatch`] when the name
    /// belongs to something else, or to a queue of another element size or capacity; [`ErrorKind::InvalidInput`] for a
    /// capacity out of range; [`ErrorKind::TooManyMembers`]; else as [`object`](Self::object).
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
        let lane = self.raw_lane(name, Kind::Spsc, size_of::<T>(), capacity, 0)?;
        let me = lane_member(&lane)?;
        Producer::take(lane, me, Arc::new(self.clone())).map_err(|e| taken(e, me, name, lane.producer()))
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
        let lane = self.raw_lane(name, Kind::Spsc, size_of::<T>(), capacity, 0)?;
        let me = lane_member(&lane)?;
        Consumer::take(lane, me, Arc::new(self.clone())).map_err(|e| taken(e, me, name, lane.consumer()))
    }

    /// Finds or makes a lane of this kind: `capacity` units, each of `unit` bytes.
    pub(crate) fn raw_lane(
        &self,
        name: &str,
        kind: Kind,
        unit: usize,
        capacity: usize,
        limit: u64,
    ) -> Result<Lane> {
        let size = lane_size(unit, capacity).ok_or_else(|| {
            fail(ErrorKind::InvalidInput, format!("a queue of {unit}-byte elements x {capacity}"))
        })?;
        let shape = Shape {
            kind: kind as u32,
            type_id: 0,
            size: size as u64,
            align: Lane::ALIGN as u64,
            params: [unit as u64, capacity as u64],
        };
        let place = self.place(name, &shape, |place| {
            // SAFETY: the place is aligned, zeroed and as long as asked; nobody else refers to it yet.
            let made = unsafe { Lane::make(place, size, unit, capacity, limit) };
            debug_assert!(made.is_ok(), "the shape was checked");
        })?;
        // SAFETY: checked by the directory; every user of the lane keeps the mapping.
        let lane = unsafe { Lane::attach(place, size) }?;
        if (lane.unit(), lane.capacity() as usize) != (unit, capacity) {
            // The lane's own header disagrees with the directory.
            return Err(fail(ErrorKind::Corrupt, format!("{kind:?} {name:?}")));
        }
        Ok(lane)
    }
}

/// The calling thread's member of the segment that a lane lies in. If somebody there cannot use membarrier, the lane is told.
pub(crate) fn lane_member<'m>(lane: &Lane) -> Result<&'m Member> {
    let me: &Member = member::current(lane.address())?;
    if me.table().strong_fences() {
        lane.use_strong_fences();
    }
    Ok(me)
}

/// Says who sits in the seat.
pub(crate) fn taken(error: Error, me: &Member, name: &str, holder: Option<OwnerId>) -> Error {
    let Some(id) = holder.filter(|_| error.kind() == ErrorKind::WouldBlock) else { return error };
    let who = me.domain().who(id);
    error.with_detail(format!("this seat of {name:?} is held by thread {} of process {}", who.tid, who.pid))
}
