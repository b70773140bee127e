//! News for many.

use super::machine::pin;
use super::sides::{Lap, processes};
use super::{Measurement, Sample};
use interproc::queue::{Broadcast, BroadcastOptions, Slow, Subscriber};
use interproc::{Segment, Wait};

type Message<const W: usize> = [u64; W];

fn broadcast<const W: usize>() -> Broadcast<Message<W>> {
    let capacity = 1024;
    let size = capacity * (8 * W + 16) + (1 << 16);
    let segment = Segment::anonymous(size.next_multiple_of(4096)).expect("segment");
    segment.broadcast("news", BroadcastOptions::new(capacity)).expect("broadcast")
}

/// One thread publishes and receives.
pub fn alone<const W: usize>() -> Measurement {
    let news = broadcast::<W>();
    let mut mine = news.subscribe(Slow::Waits).expect("a seat");
    Box::new(move |n| {
        let lap = Lap::of(|| {
            for i in 0..n {
                news.try_publish([i; W]).expect("room");
                std::hint::black_box(mine.try_recv().expect("a message"));
            }
            (n, 0)
        });
        Sample::plain(lap.ns_each(n))
    })
}

/// From the only publisher to `readers` in processes of their own, which are waited for.
pub fn stream<const W: usize>(readers: usize) -> Measurement {
    Box::new(move |n| {
        let news = broadcast::<W>();
        let places: Vec<usize> = (0..=readers).map(|side| side % 2).collect();
        let laps = processes(&places, |side, ready| {
            if side == 0 {
                while news.subscribers().expect("a member") < readers {
                    std::thread::yield_now();
                }
                let mut publisher = news.publisher(Wait::ForEver).expect("nobody publishes");
                let _ = ready;
                return Lap::of(|| {
                    (0..n).for_each(|i| _ = publisher.publish([i; W]).expect("open"));
                    publisher.close().expect("its own");
                    (n, 0)
                });
            }
            let mut mine = news.subscribe(Slow::Waits).expect("a seat");
            Lap::of(|| {
                let mut count = 0;
                while let Ok(message) = mine.recv() {
                    assert_eq!(message[0], count);
                    count += 1;
                }
                assert_eq!(count, n);
                (n, 0)
            })
        });
        Sample::plain(laps[1].ns_each(n))
    })
}

/// Half of the way from a publication to `readers`, of which one answers by a second broadcast, and back. All sleep when nothing comes
/// for long; the readers share a processor.
pub fn latency(readers: usize) -> Measurement {
    Box::new(move |n| {
        let (there, back) = (broadcast::<1>(), broadcast::<1>());
        let n = n.min(5_000);
        let laps = processes(&vec![0, 1, 1, 1][..=readers], |side, _| {
            let (news, answers) = (&there, &back);
            if side > 0 {
                let mut mine: Subscriber<Message<1>> = news.subscribe(Slow::Waits).expect("a seat");
                return Lap::of(|| {
                    while let Ok(message) = mine.recv() {
                        if message[0] % readers as u64 == side as u64 - 1 {
                            answers.publish(message).expect("open");
                        }
                    }
                    (n, 0)
                });
            }
            pin(0);
            let mut mine = answers.subscribe(Slow::Waits).expect("a seat");
            while news.subscribers().expect("a member") < readers {
                std::thread::yield_now();
            }
            let mut publisher = news.publisher(Wait::ForEver).expect("nobody publishes");
            Lap::of(|| {
                for i in 0..n {
                    publisher.publish([i]).expect("open");
                    mine.recv().expect("open");
                }
                publisher.close().expect("its own");
                (n, 0)
            })
        });
        Sample::plain(laps[0].ns_each(n) / 2.0)
    })
}
