//! Byte lanes in a segment: taking one of the two seats.

use super::lane::AskedLane;
use super::segment::Segment;
use crate::error::Result;
use crate::queue::byte_lane::{ByteConsumer, ByteProducer, RawByteConsumer, RawByteProducer};
use crate::queue::{Lane, RawConsumer, RawProducer};

impl Segment {
    /// Finds the byte lane of this name, or makes it, and takes the *producer's* seat. A byte lane carries messages of any
    /// length up to `longest` bytes from one producer to one consumer. Its ring has at least `capacity_bytes`: a message
    /// takes its length rounded up to 8, and 8 more, and there is always room for two of the longest.
    ///
    /// # Errors
    /// [`WouldBlock`](crate::ErrorKind::WouldBlock) while a living thread has the seat (the caller included);
    /// [`TypeMismatch`](crate::ErrorKind::TypeMismatch) when the name belongs to something else, or to a byte lane of
    /// another capacity or longest message; [`InvalidInput`](crate::ErrorKind::InvalidInput) for impossible sizes (messages
    /// of 4 GiB or more); else as [`object`](Self::object).
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

    /// Finds the byte lane of this name, or makes it, as [`byte_producer`](Self::byte_producer) does, and takes the
    /// *consumer's* seat.
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
        let asked = AskedLane::of_bytes(capacity_bytes, longest);
        RawByteProducer::new(self.seat(name, &asked, RawProducer::take, Lane::producer)?)
    }

    /// [`byte_consumer`](Self::byte_consumer) for C.
    pub(crate) fn raw_byte_consumer(
        &self,
        name: &str,
        capacity_bytes: usize,
        longest: usize,
    ) -> Result<RawByteConsumer> {
        let asked = AskedLane::of_bytes(capacity_bytes, longest);
        RawByteConsumer::new(self.seat(name, &asked, RawConsumer::take, Lane::consumer)?)
    }
}
