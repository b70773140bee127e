//! Ours. Nothing is lost: publishers wait for their subscribers.

use crate::way::{CAPACITY, Way};
use interproc::queue::spsc::{Consumer, Producer};
use interproc::queue::{Broadcast, BroadcastOptions, Publisher, Slow, Subscriber};
use interproc::{Plain, Segment, Wait};
use std::hint::spin_loop;

fn segment<const W: usize>() -> Segment {
    Segment::anonymous((1 << 18) + 2 * (8 * W + 16) * CAPACITY).expect("segment")
}

/// The broadcast, with one publisher that stays: one call for a message, copied in and out. The calls wait as a program's do: they spin,
/// and sleep when nothing comes for long. `POLLED`: before it receives, the subscriber spins on whether something has come.
pub struct News<const W: usize, const POLLED: bool>([Broadcast<[u64; W]>; 2])
where
    [u64; W]: Plain;

impl<const W: usize, const POLLED: bool> Way<W> for News<W, POLLED>
where
    [u64; W]: Plain,
{
    type Ends<'a> = (Publisher<'a, [u64; W]>, Subscriber<[u64; W]>);

    fn new() -> Self {
        let segment = segment::<W>();
        News(
            ["there", "back"]
                .map(|name| segment.broadcast(name, BroadcastOptions::new(CAPACITY)).expect("broadcast")),
        )
    }

    fn ends(&self, side: usize) -> Self::Ends<'_> {
        let (mine, other) = (&self.0[side], &self.0[1 - side]);
        let subscriber = other.subscribe(Slow::Waits).expect("a seat");
        (mine.publisher(Wait::ForEver).expect("nobody else publishes"), subscriber)
    }

    #[inline(always)]
    fn publish((publisher, _): &mut Self::Ends<'_>, message: &[u64; W]) {
        publisher.publish(message).expect("open");
    }

    #[inline(always)]
    fn receive((_, subscriber): &mut Self::Ends<'_>, mut each: impl FnMut(&[u64; W])) {
        while POLLED && subscriber.lag() == 0 {
            spin_loop();
        }
        each(&subscriber.recv().expect("open"));
    }
}

/// The queue of one producer and one consumer, spinning.
pub struct Spsc(Segment);

impl<const W: usize> Way<W> for Spsc
where
    [u64; W]: Plain,
{
    type Ends<'a> = (Producer<[u64; W]>, Consumer<[u64; W]>);

    fn new() -> Self {
        Spsc(segment::<W>())
    }

    fn ends(&self, side: usize) -> Self::Ends<'_> {
        let names = ["there", "back"];
        let producer = self.0.spsc_producer(names[side], CAPACITY).expect("the producer's seat");
        (producer, self.0.spsc_consumer(names[1 - side], CAPACITY).expect("the consumer's seat"))
    }

    #[inline(always)]
    fn publish((producer, _): &mut Self::Ends<'_>, message: &[u64; W]) {
        while producer.try_push(*message).is_err() {
            spin_loop();
        }
    }

    #[inline(always)]
    fn receive((_, consumer): &mut Self::Ends<'_>, mut each: impl FnMut(&[u64; W])) {
        loop {
            match consumer.try_pop() {
                Ok(message) => return each(&message),
                Err(_) => spin_loop(),
            }
        }
    }
}
