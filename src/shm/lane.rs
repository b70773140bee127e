//! Lanes in a segment: finding or making one, and taking a seat in it. The two families are in `spsc` and `byte_lane`.
#![allow(unsafe_code)]

use super::directory::Element;
use super::placed::Placed;
use super::segment::Segment;
use crate::error::format;
use crate::error::{ErrorKind, Result};
use crate::format::Kind;
use crate::member::{self, Member, OwnerId};
use crate::queue::byte_lane::{UNIT, units_for};
use crate::queue::{Lane, lane_size};
use crate::shared::TypeId;
use core::ptr::NonNull;

/// A lane that is asked for.
pub(super) struct AskedLane {
    kind: Kind,
    type_id: TypeId,
    /// As the directory keeps them.
    params: [u64; 2],
    /// Bytes of a unit.
    unit: usize,
    /// Units; `None` if what was asked for is impossible.
    capacity: Option<usize>,
    /// See [`Lane::limit`].
    limit: u64,
}

impl AskedLane {
    /// Of elements: an Spsc queue.
    pub(super) fn of_elements(Element { id, size }: Element, capacity: usize) -> Self {
        let params = [size as u64, capacity as u64];
        AskedLane { kind: Kind::Spsc, type_id: id, params, unit: size, capacity: Some(capacity), limit: 0 }
    }

    /// Of messages of any length.
    pub(super) fn of_bytes(capacity_bytes: usize, longest: usize) -> Self {
        let capacity = units_for(capacity_bytes, longest);
        let bytes = capacity.and_then(|units| units.checked_mul(UNIT)).unwrap_or(capacity_bytes);
        let (params, limit) = ([bytes as u64, longest as u64], longest as u64);
        AskedLane { kind: Kind::ByteSpsc, type_id: TypeId::BYTES, params, unit: UNIT, capacity, limit }
    }
}

impl Placed for AskedLane {
    type Handle = Lane;
    const ALIGN: usize = Lane::ALIGN;

    fn limits(&self) -> &'static str {
        match self.kind {
            Kind::Spsc => "from 1 to 2^40 elements of at least 1 byte",
            _ => "messages up to 2^32 - 1 bytes, up to 2^40 units of 8 bytes",
        }
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn type_id(&self) -> u64 {
        self.type_id.bits()
    }

    fn params(&self) -> [u64; 2] {
        self.params
    }

    fn size(&self) -> Option<usize> {
        lane_size(self.unit, self.capacity?)
    }

    unsafe fn make(&self, place: NonNull<u8>, size: usize) -> Result<()> {
        let capacity = self.capacity.ok_or(ErrorKind::InvalidInput)?;
        // SAFETY: by the contract.
        unsafe { Lane::make(place, size, self.unit, capacity, self.limit) }
    }

    unsafe fn attach(place: NonNull<u8>, size: usize) -> Result<Lane> {
        // SAFETY: by the contract.
        unsafe { Lane::attach(place, size) }
    }

    fn agrees_with(&self, lane: &Lane) -> bool {
        let own = (lane.unit(), Some(lane.capacity() as usize), lane.limit());
        own == (self.unit, self.capacity, self.limit)
    }

    fn use_strong_fences(lane: &Lane) {
        lane.use_strong_fences();
    }
}

impl Segment {
    /// Finds or makes a lane and takes a seat in it: the one whose holder `holder` names. A dead holder's seat is free.
    ///
    /// # Errors
    /// `InvalidInput` for impossible parameters; `WouldBlock`, which says by whom, while a living thread holds the seat;
    /// else as `take`, and as finding any object.
    pub(super) fn seat<S>(
        &self,
        name: &str,
        asked: &AskedLane,
        take: impl FnOnce(Lane, &Member) -> Result<S>,
        holder: impl FnOnce(&Lane) -> Option<OwnerId>,
    ) -> Result<S> {
        let lane = self.find_or_make(name, asked)?;
        let me: &Member = member::current(lane.address())?;
        take(lane, me).map_err(|error| match holder(&lane) {
            Some(id) if error.kind() == ErrorKind::WouldBlock => {
                let who = me.domain().who(id);
                let held = format!("held by thread {} of process {}", who.tid, who.pid);
                error.with_detail(format!("this seat of {name:?} is {held}"))
            }
            _ => error,
        })
    }
}
