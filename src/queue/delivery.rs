//! What a copied message comes with: whether somebody may have read it before.

/// A message, or the length of one that was copied into a buffer, and whether it is delivered again.
///
/// What gives one waits as its name says (`try_pop_delivery`, `pop_delivery_until`), or, where there is one form for all, as its
/// last argument does, a [`Wait`](crate::Wait).
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let q = seg.queue::<u64>("q", 2)?;
/// q.push(5)?;
/// let delivery = q.pop_delivery()?;
/// assert_eq!((delivery.value, delivery.redelivered), (5, false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<T> {
    /// The message, or its length.
    pub value: T,
    /// True if an earlier consumer died while it popped this message, or died with it borrowed, panicked over it or put it back.
    pub redelivered: bool,
}

/// How many messages came out of a queue at a time, and how many of them are delivered again.
///
/// # Examples
/// ```
/// use interproc::Wait;
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let q = seg.queue::<u64>("q", 2)?;
/// q.push(5)?;
/// let mut got = [0; 8];
/// let batch = q.pop_batch_delivery(&mut got, Wait::ForEver)?;
/// assert_eq!((batch.count, batch.redelivered), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchDelivery {
    /// How many messages.
    pub count: usize,
    /// How many of them an earlier consumer may have read: see [`Delivery::redelivered`]. In `spsc` these are the first ones, in a
    /// `Queue` any.
    pub redelivered: usize,
}
