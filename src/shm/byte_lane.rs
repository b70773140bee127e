//! Taking a seat of a byte lane.

use super::fail;
use super::lane::Build;
use super::segment::Segment;
use crate::error::format;
use crate::error::{ErrorKind, Result};
use crate::format::Kind;
use crate::queue::byte_lane::{
    ByteConsumer, ByteProducer, RawByteConsumer, RawByteProducer, UNIT, units_for,
};
use crate::queue::{Lane, RawConsumer, RawProducer};
use crate::shared::TypeId;

impl Segment {
    /// Finds or makes the queue of this name for messages of any length up to `longest` bytes, from one producer to one
    /// consumer, and takes the *producer's* seat. The ring has at least `capacity_bytes`: a message takes its length, rounded
    /// up to 8, and 8 more, and the longest one fits in twice.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] while somebody who lives holds the seat (the caller included);
    /// [`ErrorKind::TypeMismatch`] when the name belongs to something else, or to such a queue of another capacity or
    /// longest message; [`ErrorKind::InvalidInput`] for impossible sizes (messages of 4 GiB and more); else as
    /// [`object`](Self::object).
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let mut lines = seg.byte_producer("lines", 4096, 1024)?;
    /// lines.push(b"a line")?;
    /// assert_eq!(seg.byte_producer("lines", 4096, 1024).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// drop(lines); // the message stays
    /// let again = seg.byte_producer("lines", 4096, 1024)?;
    /// assert_eq!(again.len_bytes(), 16);
    /// let e = seg.byte_producer("lines", 4096, 2000).unwrap_err();
    /// assert!(e.to_string().contains("\"lines\" is a byte lane of 4096 bytes, messages up to 1024, "));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn byte_producer(&self, name: &str, capacity_bytes: usize, longest: usize) -> Result<ByteProducer> {
        let raw = self.raw_byte_producer(name, capacity_bytes, longest)?;
        Ok(ByteProducer::from_raw(raw, self.keep()))
    }

    /// Finds or makes the queue of this name, as [`byte_producer`](Self::byte_producer) does, and takes the *consumer's*
    /// seat.
    ///
    /// # Errors
    /// As [`byte_producer`](Self::byte_producer).
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let lines = seg.byte_consumer("lines", 4096, 1024)?;
    /// assert!(lines.is_empty());
    /// assert_eq!(seg.byte_consumer("lines", 4096, 1024).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn byte_consumer(&self, name: &str, capacity_bytes: usize, longest: usize) -> Result<ByteConsumer> {
        let raw = self.raw_byte_consumer(name, capacity_bytes, longest)?;
        Ok(ByteConsumer::from_raw(raw, self.keep()))
    }

    /// [`byte_producer`](Self::byte_producer) for C.
    pub(crate) fn raw_byte_producer(
        &self,
        name: &str,
        capacity_bytes: usize,
        longest: usize,
    ) -> Result<RawByteProducer> {
        let build = byte_lane(capacity_bytes, longest)?;
        RawByteProducer::new(self.seat(name, &build, RawProducer::take, Lane::producer)?)
    }

    /// [`byte_consumer`](Self::byte_consumer) for C.
    pub(crate) fn raw_byte_consumer(
        &self,
        name: &str,
        capacity_bytes: usize,
        longest: usize,
    ) -> Result<RawByteConsumer> {
        let build = byte_lane(capacity_bytes, longest)?;
        RawByteConsumer::new(self.seat(name, &build, RawConsumer::take, Lane::consumer)?)
    }
}

fn byte_lane(capacity_bytes: usize, longest: usize) -> Result<Build> {
    let capacity = units_for(capacity_bytes, longest).ok_or_else(|| {
        let sizes = format!(
            "a byte lane of {capacity_bytes} bytes, messages up to {longest}: messages up to 2^32 - 1"
        );
        fail(ErrorKind::InvalidInput, sizes)
    })?;
    let params = [(capacity * UNIT) as u64, longest as u64];
    let type_id = TypeId::BYTES;
    Ok(Build { kind: Kind::ByteSpsc, unit: UNIT, capacity, limit: longest as u64, type_id, params })
}
