//! Finding and making lanes in a segment, of one kind or the other, and taking a seat there.
#![allow(unsafe_code)]

use super::directory::Shape;
use super::{Segment, fail};
use crate::error::format;
use crate::error::{ErrorKind, Result};
use crate::format::Kind;
use crate::member::{self, Member, OwnerId};
use crate::queue::{Lane, lane_size};
use crate::shared::TypeId;

/// What a lane is like.
pub(super) struct Build {
    pub(super) kind: Kind,
    /// Bytes of a unit.
    pub(super) unit: usize,
    /// Units.
    pub(super) capacity: usize,
    /// See [`Lane::limit`].
    pub(super) limit: u64,
    /// What the directory tells newcomers by.
    pub(super) type_id: TypeId,
    pub(super) params: [u64; 2],
}

impl Segment {
    /// Finds or makes the lane of this name, and takes a seat there: the one whose holder is `holder`. Whoever died in it has
    /// left it.
    ///
    /// # Errors
    /// `InvalidInput` for a shape that is none; `WouldBlock`, with who it is, while somebody alive sits there; else as `take`, and as
    /// finding any object.
    pub(super) fn seat<S>(
        &self,
        name: &str,
        build: &Build,
        take: impl FnOnce(Lane, &Member) -> Result<S>,
        holder: impl FnOnce(&Lane) -> Option<OwnerId>,
    ) -> Result<S> {
        let lane = self.lane(name, build)?;
        let me: &Member = member::current(lane.address())?;
        if self.has_strong_fences() {
            lane.use_strong_fences();
        }
        take(lane, me).map_err(|error| match holder(&lane) {
            Some(id) if error.kind() == ErrorKind::WouldBlock => {
                let who = me.domain().who(id);
                let held = format!("held by thread {} of process {}", who.tid, who.pid);
                error.with_detail(format!("this seat of {name:?} is {held}"))
            }
            _ => error,
        })
    }

    fn lane(&self, name: &str, build: &Build) -> Result<Lane> {
        let &Build { kind, unit, capacity, limit, type_id, params } = build;
        let size = lane_size(unit, capacity).ok_or_else(|| {
            let asked = format!("a queue of {unit}-byte elements x {capacity}");
            fail(ErrorKind::InvalidInput, asked + ": from 1 byte and from 1 to 2^40 elements")
        })?;
        let align = Lane::ALIGN as u64;
        let shape = Shape { kind: kind as u32, type_id: type_id.bits(), size: size as u64, align, params };
        let place = self.place(name, &shape, |place| {
            // SAFETY: the place is aligned, zeroed and as long as asked; nobody else refers to it yet.
            let made = unsafe { Lane::make(place, size, unit, capacity, limit) };
            debug_assert!(made.is_ok(), "the shape was checked");
        })?;
        // SAFETY: checked by the directory; every user of the lane keeps the mapping.
        let lane = unsafe { Lane::attach(place, size) }?;
        if (lane.unit(), lane.capacity(), lane.limit()) != (unit, capacity as u64, limit) {
            // The lane's own header disagrees with the directory.
            return Err(fail(ErrorKind::Corrupt, format!("{kind:?} {name:?}")));
        }
        Ok(lane)
    }
}
