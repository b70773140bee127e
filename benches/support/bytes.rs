//! Messages of 1 KiB through a byte ring, a pipe, and the bare copies in and out below both.
//!
//! A message goes through `black_box` on its way: only its two numbers are looked at, and a compiler that sees the whole of a bare
//! copy copies no more than those.

use super::sides::{Between, Lap, Line, SharedPage, elapsed};
use super::{Measurement, Sample};
use interproc::Segment;
use interproc::queue::ByteQueue;
use std::cell::UnsafeCell;
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU64, Ordering};

const BYTES: usize = 1024;
/// What each side holds at most, about.
const ROOM: usize = 256 << 10;

/// A message: its number at both ends.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub struct Message([u64; BYTES / 8]);

impl Message {
    fn new() -> Self {
        Message([0x5a; BYTES / 8])
    }

    #[inline(always)]
    fn number(&mut self, n: u64) -> &mut [u8] {
        self.0[0] = n;
        self.0[BYTES / 8 - 1] = n;
        self.bytes()
    }

    fn bytes(&mut self) -> &mut [u8] {
        bytemuck::bytes_of_mut(self)
    }

    #[inline(always)]
    fn check(&self, n: u64) {
        assert!(self.0[0] == n && self.0[BYTES / 8 - 1] == n, "message {n} is not it");
    }
}

/// A way for messages, from one process to another.
pub trait Way: Sync {
    /// An empty one.
    fn new() -> Self;
    /// Copies message `n` in.
    fn put(&self, n: u64, message: &[u8]);
    /// Copies message `n` out.
    fn get(&self, n: u64, message: &mut [u8]);
}

/// This crate's, copied in and out.
pub struct Ours(ByteQueue);

impl Way for Ours {
    fn new() -> Self {
        let segment = Segment::anonymous(2 * ROOM).expect("segment");
        Ours(segment.byte_queue("bytes", ROOM, BYTES).expect("queue"))
    }
    #[inline(always)]
    fn put(&self, _: u64, message: &[u8]) {
        while self.0.try_push(message).is_err() {
            spin_loop();
        }
    }
    #[inline(always)]
    fn get(&self, _: u64, message: &mut [u8]) {
        while self.0.try_pop_into(message).is_err() {
            spin_loop();
        }
    }
}

/// This crate's, waiting in its own way.
pub struct OursWaiting(ByteQueue);

impl Way for OursWaiting {
    fn new() -> Self {
        OursWaiting(Ours::new().0)
    }
    #[inline(always)]
    fn put(&self, _: u64, message: &[u8]) {
        self.0.push(message).expect("open");
    }
    #[inline(always)]
    fn get(&self, _: u64, message: &mut [u8]) {
        self.0.pop_into(message).expect("open");
    }
}

const SLOTS: usize = ROOM / BYTES;

struct Slot {
    /// 2n: free for message n; 2n+1: message n.
    turn: Line<AtomicU64>,
    bytes: UnsafeCell<Message>,
}

/// A slot for each message, and one word that says whose turn it is: what the machine allows.
pub struct Slots(SharedPage<[Slot; SLOTS]>);

// SAFETY: a slot's bytes are used by the side whose turn it is.
unsafe impl Sync for Slots {}

impl Way for Slots {
    fn new() -> Self {
        // SAFETY: zero bytes are a valid slot.
        Slots(unsafe { SharedPage::zeroed() })
    }
    #[inline(always)]
    fn put(&self, n: u64, message: &[u8]) {
        let (slot, lap) = (&self.0[n as usize % SLOTS], n / SLOTS as u64);
        while slot.turn.0.load(Ordering::Acquire) != 2 * lap {
            spin_loop();
        }
        // SAFETY: it is our turn.
        unsafe { (*slot.bytes.get()).bytes().copy_from_slice(message) };
        slot.turn.0.store(2 * lap + 1, Ordering::Release);
    }
    #[inline(always)]
    fn get(&self, n: u64, message: &mut [u8]) {
        let (slot, lap) = (&self.0[n as usize % SLOTS], n / SLOTS as u64);
        while slot.turn.0.load(Ordering::Acquire) != 2 * lap + 1 {
            spin_loop();
        }
        // SAFETY: it is our turn.
        message.copy_from_slice(unsafe { (*slot.bytes.get()).bytes() });
        slot.turn.0.store(2 * lap + 2, Ordering::Release);
    }
}

/// The kernel's.
pub struct Pipe([i32; 2]);

impl Way for Pipe {
    fn new() -> Self {
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors.
        assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
        // SAFETY: a plain system call; a refusal leaves the usual size.
        unsafe { libc::fcntl(ends[1], libc::F_SETPIPE_SZ, ROOM as i32) };
        Pipe(ends)
    }
    fn put(&self, _: u64, message: &[u8]) {
        // SAFETY: so many bytes are there; written in one piece, being no more than PIPE_BUF.
        let done = unsafe { libc::write(self.0[1], message.as_ptr().cast(), message.len()) };
        assert_eq!(done, message.len() as isize);
    }
    fn get(&self, _: u64, message: &mut [u8]) {
        // SAFETY: room for so many bytes.
        let done = unsafe { libc::read(self.0[0], message.as_mut_ptr().cast(), message.len()) };
        assert_eq!(done, message.len() as isize);
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        for end in self.0 {
            // SAFETY: ours.
            unsafe { libc::close(end) };
        }
    }
}

/// Messages from one process to another, on two processors.
pub fn stream<W: Way>() -> Measurement {
    Box::new(|n| {
        let way = W::new();
        let laps = Between::Processes.run(&[0, 1], |side, _| {
            let mut message = Message::new();
            Lap::of(|| {
                for i in 0..n {
                    if side == 0 {
                        way.put(i, black_box(message.number(i)));
                    } else {
                        way.get(i, black_box(message.bytes()));
                        message.check(i);
                    }
                }
                (n, 0)
            })
        });
        Sample::plain(elapsed(&laps) as f64 / n as f64)
    })
}

/// A message in and out, one thread.
pub fn in_and_out<W: Way + 'static>() -> Measurement {
    let way = W::new();
    let mut sent = 0;
    Box::new(move |n| {
        let mut message = Message::new();
        let lap = Lap::of(|| {
            for _ in 0..n {
                way.put(sent, black_box(message.number(sent)));
                way.get(sent, black_box(message.bytes()));
                message.check(sent);
                sent += 1;
            }
            (n, 0)
        });
        Sample::plain(lap.ns_each(n))
    })
}
