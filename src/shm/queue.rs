//! Queues in a segment: of elements and of messages of any length.
#![allow(unsafe_code)]

use super::directory::Element;
use super::fail;
use super::placed::Placed;
use super::segment::Segment;
use crate::error::format;
use crate::error::{ErrorKind, Result};
use crate::format::Kind;
use crate::queue::{ByteQueue, ByteRing, Queue, RawByteQueue, RawQueue, Ring, byte_ring_size, ring_size};
use crate::shared::Plain;
use core::ptr::NonNull;

/// A [`Queue`] that is asked for.
pub(super) struct AskedQueue {
    pub(super) element: Element,
    pub(super) capacity: usize,
}

impl Placed for AskedQueue {
    type Handle = RawQueue;
    const ALIGN: usize = Ring::ALIGN;

    fn limits(&self) -> &'static str {
        "from 1 to 2^24 elements of at least 1 byte"
    }

    fn kind(&self) -> Kind {
        Kind::Queue
    }

    fn type_id(&self) -> u64 {
        self.element.id.bits()
    }

    fn params(&self) -> [u64; 2] {
        [self.element.size as u64, self.capacity as u64]
    }

    fn size(&self) -> Option<usize> {
        ring_size(self.element.size, self.capacity)
    }

    unsafe fn make(&self, place: NonNull<u8>, size: usize) -> Result<()> {
        // SAFETY: by the contract.
        unsafe { Ring::make(place, size, self.element.size, self.capacity) }
    }

    unsafe fn attach(place: NonNull<u8>, size: usize) -> Result<RawQueue> {
        // SAFETY: by the contract.
        unsafe { Ring::attach(place, size) }.map(RawQueue::new)
    }

    fn agrees_with(&self, queue: &RawQueue) -> bool {
        let ring = queue.ring();
        (ring.element(), ring.capacity() as usize) == (self.element.size, self.capacity)
    }

    fn use_strong_fences(queue: &RawQueue) {
        queue.use_strong_fences();
    }
}

/// A [`ByteQueue`] that is asked for.
pub(super) struct AskedByteQueue {
    pub(super) capacity: usize,
    pub(super) longest: usize,
}

impl Placed for AskedByteQueue {
    type Handle = RawByteQueue;
    const ALIGN: usize = ByteRing::ALIGN;

    fn limits(&self) -> &'static str {
        "both from 1 to 2^60"
    }

    fn kind(&self) -> Kind {
        Kind::ByteQueue
    }

    fn params(&self) -> [u64; 2] {
        [self.capacity as u64, self.longest as u64]
    }

    fn size(&self) -> Option<usize> {
        byte_ring_size(self.capacity, self.longest)
    }

    unsafe fn make(&self, place: NonNull<u8>, size: usize) -> Result<()> {
        // SAFETY: by the contract.
        unsafe { ByteRing::make(place, size, self.capacity, self.longest) }
    }

    unsafe fn attach(place: NonNull<u8>, size: usize) -> Result<RawByteQueue> {
        // SAFETY: by the contract.
        unsafe { ByteRing::attach(place, size) }.map(RawByteQueue::new)
    }

    fn agrees_with(&self, queue: &RawByteQueue) -> bool {
        queue.ring().shape() == (self.capacity, self.longest)
    }

    fn use_strong_fences(queue: &RawByteQueue) {
        queue.use_strong_fences();
    }
}

impl Segment {
    /// Finds the queue of this name for elements of type `T` with room for `capacity` of them, or makes it.
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] when the name belongs to something else, or to a queue of another element
    /// [type](crate::TypeId::plain) or capacity; [`ErrorKind::InvalidInput`] for a capacity of 0 or beyond 2^24, or for
    /// elements of no bytes; else as [`object`](Self::object).
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let jobs = seg.queue::<[u8; 16]>("jobs", 1024)?;
    /// let same = seg.queue::<[u8; 16]>("jobs", 1024)?;
    /// let e = seg.queue::<[u8; 24]>("jobs", 1024).unwrap_err();
    /// assert_eq!(e.kind(), ErrorKind::TypeMismatch);
    /// assert!(e.to_string().contains("\"jobs\" is a Queue of 16-byte elements x 1024"));
    /// assert!(e.to_string().contains("you asked for a Queue of 24-byte elements x 1024"));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn queue<T: Plain>(&self, name: &str, capacity: usize) -> Result<Queue<T>> {
        self.queue_as(name, Element::of::<T>(), capacity)
    }

    /// Finds the queue of untyped elements of this name, or makes it, and reads each element as a `T`. C's
    /// `interproc_segment_queue`, which names no type, makes and finds such queues. Any bytes are a `T`, so this is safe.
    /// It never finds what [`queue`](Self::queue) made, nor the reverse; a C program that gives the id of `T` to
    /// `interproc_segment_queue_as` shares what `queue` finds.
    ///
    /// # Errors
    /// As [`queue`](Self::queue).
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// // As C's interproc_segment_queue(&segment, "jobs", 8, 64, &jobs).
    /// let jobs = seg.queue_of_bytes::<u64>("jobs", 64)?;
    /// jobs.push(1)?;
    /// assert_eq!(seg.queue_of_bytes::<[u32; 2]>("jobs", 64)?.pop()?, [1, 0]);
    /// assert_eq!(seg.queue::<u64>("jobs", 64).unwrap_err().kind(), ErrorKind::TypeMismatch);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn queue_of_bytes<T: Plain>(&self, name: &str, capacity: usize) -> Result<Queue<T>> {
        self.queue_as(name, Element::bytes(size_of::<T>()), capacity)
    }

    fn queue_as<T: Plain>(&self, name: &str, element: Element, capacity: usize) -> Result<Queue<T>> {
        let raw = self.raw_queue(name, element, capacity)?;
        Queue::from_raw(raw, self.keep()).ok_or_else(|| fail(ErrorKind::Corrupt, format!("queue {name:?}")))
    }

    /// [`queue`](Self::queue) for C.
    pub(crate) fn raw_queue(&self, name: &str, element: Element, capacity: usize) -> Result<RawQueue> {
        self.find_or_make(name, &AskedQueue { element, capacity })
    }

    /// Finds the queue of this name for messages of any length up to `longest` bytes, or makes it with `capacity` bytes for
    /// them. Each message takes its length rounded up to 64; there is always room for two of the longest.
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] when the name belongs to something else, or to a queue of another capacity or longest
    /// message; [`ErrorKind::InvalidInput`] for a number that is 0 or beyond 2^60; else as [`object`](Self::object).
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let log = seg.byte_queue("log", 16 << 10, 1000)?;
    /// let same = seg.byte_queue("log", 16 << 10, 1000)?;
    /// log.push(b"of any length")?;
    /// assert_eq!(same.pop()?, b"of any length");
    /// assert_eq!(seg.byte_queue("log", 16 << 10, 2000).unwrap_err().kind(), ErrorKind::TypeMismatch);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn byte_queue(&self, name: &str, capacity: usize, longest: usize) -> Result<ByteQueue> {
        let raw = self.raw_byte_queue(name, capacity, longest)?;
        Ok(ByteQueue::from_raw(raw, self.keep()))
    }

    /// [`byte_queue`](Self::byte_queue) for C.
    pub(crate) fn raw_byte_queue(&self, name: &str, capacity: usize, longest: usize) -> Result<RawByteQueue> {
        self.find_or_make(name, &AskedByteQueue { capacity, longest })
    }
}
