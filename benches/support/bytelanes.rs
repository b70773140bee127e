//! Messages of 1 KiB from one process to another: through a byte lane, through the least that could do it, through a pipe.

use super::sides::{Between, Lap, Line, SharedPage, elapsed};
use super::{Measurement, Sample};
use interproc::Segment;
use interproc::queue::byte_lane::{ByteConsumer, ByteProducer};
use std::hint::{black_box, spin_loop};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a message.
const SIZE: usize = 1024;
/// Slots of the bare ring, and about as many messages in the lane, as in a pipe of the usual 64 KiB.
const SLOTS: usize = 64;

type Message = [u8; SIZE];

/// A message with its number at both ends.
#[inline(always)]
fn stamp(message: &mut Message, number: u64) {
    message[..8].copy_from_slice(&number.to_le_bytes());
    message[SIZE - 8..].copy_from_slice(&number.to_le_bytes());
}

#[inline(always)]
fn check(message: &[u8], number: u64) {
    let number = number.to_le_bytes();
    assert!(message.len() == SIZE && message[..8] == number && message[SIZE - 8..] == number, "not whole");
}

/// `n` messages from side 0 to side 1, each copied in and copied out.
fn one_way(
    n: u64,
    send: impl Fn(u64, &Message) + Sync,
    receive: impl Fn(u64, &mut Message) + Sync,
) -> Sample {
    let laps = Between::Processes.run(&[0, 1], |side, _| {
        let mut message = [7; SIZE];
        Lap::of(|| {
            for number in 0..n {
                if side == 0 {
                    stamp(&mut message, number);
                    send(number, black_box(&message));
                } else {
                    receive(number, black_box(&mut message));
                    check(&message, number);
                }
            }
            (n, 0)
        })
    });
    Sample::plain(elapsed(&laps) as f64 / n as f64)
}

/// Runs the two sides, each with its handle, which tells the other one every so many bytes. A forked side cannot inherit
/// one.
fn lane(
    n: u64,
    every: usize,
    send: impl Fn(&mut ByteProducer, &Message) + Sync,
    receive: impl Fn(&mut ByteConsumer, &mut Message) + Sync,
) -> Sample {
    let segment = Segment::anonymous(1 << 18).expect("segment");
    let capacity = SLOTS * (SIZE + 8);
    let laps = Between::Processes.run(&[0, 1], |side, _| {
        let mut message = [7; SIZE];
        if side == 0 {
            let mut p = segment.byte_producer("lane", capacity, SIZE).expect("the producer's seat");
            p.publish_every(every).expect("open");
            Lap::of(|| {
                for number in 0..n {
                    stamp(&mut message, number);
                    send(&mut p, black_box(&message));
                }
                p.flush().expect("open");
                (n, 0)
            })
        } else {
            let mut c = segment.byte_consumer("lane", capacity, SIZE).expect("the consumer's seat");
            c.free_every(every).expect("open");
            Lap::of(|| {
                for number in 0..n {
                    receive(&mut c, black_box(&mut message));
                    check(&message, number);
                }
                (n, 0)
            })
        }
    });
    Sample::plain(elapsed(&laps) as f64 / n as f64)
}

/// Ours, spinning.
pub fn spinning() -> Measurement {
    Box::new(|n| {
        lane(
            n,
            0,
            |p, message| {
                while p.try_push(message).is_err() {
                    spin_loop();
                }
            },
            |c, message| {
                while c.try_pop_into(message).is_err() {
                    spin_loop();
                }
            },
        )
    })
}

/// Ours, waiting as long as it takes, telling the other side every so many bytes.
pub fn blocking(every: usize) -> Measurement {
    Box::new(move |n| {
        lane(
            n,
            every,
            |p, message| p.push(message).expect("open"),
            |c, message| {
                c.pop_into(message).expect("a message");
            },
        )
    })
}

/// A ring of whole slots under two counts.
struct Bare {
    tail: Line<AtomicU64>,
    head: Line<AtomicU64>,
    slots: Line<std::cell::UnsafeCell<[Message; SLOTS]>>,
}

// SAFETY: a slot is one side's at a time, by the counts.
unsafe impl Sync for Bare {}

impl Bare {
    fn slot(&self, number: u64) -> *mut Message {
        // SAFETY: in bounds.
        unsafe { self.slots.0.get().cast::<Message>().add(number as usize % SLOTS) }
    }
}

/// What the machine allows: copied into shared memory and out of it, with the least bookkeeping that does it.
pub fn copy_in_copy_out() -> Measurement {
    Box::new(|n| {
        // SAFETY: zero is valid.
        let bare: SharedPage<Bare> = unsafe { SharedPage::zeroed() };
        // Each side's own, what it knows of the other: its copy of this process's memory.
        let (freed, published) = (AtomicU64::new(0), AtomicU64::new(0));
        let send = |number: u64, message: &Message| {
            while number - freed.load(Ordering::Relaxed) == SLOTS as u64 {
                spin_loop();
                freed.store(bare.head.0.load(Ordering::Acquire), Ordering::Relaxed);
            }
            // SAFETY: free.
            unsafe { bare.slot(number).copy_from_nonoverlapping(message, 1) };
            bare.tail.0.store(number + 1, Ordering::Release);
        };
        let receive = |number: u64, message: &mut Message| {
            while published.load(Ordering::Relaxed) <= number {
                spin_loop();
                published.store(bare.tail.0.load(Ordering::Acquire), Ordering::Relaxed);
            }
            // SAFETY: published.
            unsafe { bare.slot(number).copy_to_nonoverlapping(message, 1) };
            bare.head.0.store(number + 1, Ordering::Release);
        };
        one_way(n, send, receive)
    })
}

/// The kernel's pipe, a system call each.
pub fn pipe() -> Measurement {
    Box::new(|n| {
        let mut ends = [0; 2];
        // SAFETY: two descriptors fit; they are ours.
        let [from, to] = unsafe {
            assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
            ends.map(|end| OwnedFd::from_raw_fd(end))
        };
        let send = |_: u64, message: &Message| {
            // SAFETY: reads the message. Below PIPE_BUF it is written whole.
            let written = unsafe { libc::write(to.as_raw_fd(), message.as_ptr().cast(), SIZE) };
            assert_eq!(written, SIZE as isize);
        };
        let receive = |_: u64, message: &mut Message| {
            let mut got = 0;
            while got < SIZE {
                let rest = &mut message[got..];
                // SAFETY: writes to the rest of the message.
                let read = unsafe { libc::read(from.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len()) };
                assert!(read > 0);
                got += read as usize;
            }
        };
        one_way(n, send, receive)
    })
}
