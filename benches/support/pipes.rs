//! Pipes between two processes: ours, and the kernel's.

use super::sides::{Between, Lap, elapsed};
use super::{Measurement, Sample};
use interproc::Segment;
use interproc::pipe::{self, End, Listener};
use std::hint::spin_loop;

/// Rounds before the clock starts.
const WARM: u64 = 32;

/// Two ways between two sides, messages of eight bytes or more.
pub trait Line: Sync {
    /// One side's end.
    type End;
    /// Made before the sides are born.
    fn new() -> Self;
    /// In a side's process.
    fn end(&self, side: usize) -> Self::End;
    /// Sends, waiting for room.
    fn send(end: &mut Self::End, message: &[u8]);
    /// Receives a message of this length.
    fn recv(end: &mut Self::End, message: &mut [u8]);
}

/// This crate's.
pub struct Ours(Segment);

/// As ours, spinning.
pub struct OursSpinning(Ours);

/// Two of `pipe(2)`.
pub struct Kernel([[i32; 2]; 2]);

impl Line for Ours {
    type End = End;
    fn new() -> Self {
        Ours(Segment::anonymous(1 << 18).expect("segment"))
    }
    fn end(&self, side: usize) -> End {
        if side == 0 {
            let mut listener = Listener::bind(&self.0, "line", 1, 1 << 16, 4096).expect("bind");
            return listener.accept().expect("accept");
        }
        loop {
            match pipe::connect(&self.0, "line") {
                Ok(end) => return end,
                Err(_) => std::thread::yield_now(),
            }
        }
    }
    #[inline(always)]
    fn send(end: &mut End, message: &[u8]) {
        end.send(message).expect("send");
    }
    #[inline(always)]
    fn recv(end: &mut End, message: &mut [u8]) {
        assert_eq!(end.recv_into(message).expect("recv"), message.len());
    }
}

impl Line for OursSpinning {
    type End = End;
    fn new() -> Self {
        OursSpinning(Ours::new())
    }
    fn end(&self, side: usize) -> End {
        self.0.end(side)
    }
    #[inline(always)]
    fn send(end: &mut End, message: &[u8]) {
        end.try_send(message).expect("room");
    }
    #[inline(always)]
    fn recv(end: &mut End, message: &mut [u8]) {
        while end.try_recv_into(message).is_err() {
            spin_loop();
        }
    }
}

impl Line for Kernel {
    type End = [i32; 2];
    fn new() -> Self {
        Kernel([(); 2].map(|()| {
            let mut ends = [0; 2];
            // SAFETY: two descriptors fit.
            assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
            ends
        }))
    }
    fn end(&self, side: usize) -> [i32; 2] {
        [self.0[side][0], self.0[1 - side][1]]
    }
    #[inline(always)]
    fn send(end: &mut [i32; 2], message: &[u8]) {
        // SAFETY: so many readable bytes. A write of at most PIPE_BUF bytes is whole.
        let wrote = unsafe { libc::write(end[1], message.as_ptr().cast(), message.len()) };
        assert_eq!(wrote, message.len() as isize);
    }
    #[inline(always)]
    fn recv(end: &mut [i32; 2], message: &mut [u8]) {
        let mut got = 0;
        while got < message.len() {
            let rest = &mut message[got..];
            // SAFETY: so many writable bytes.
            let read = unsafe { libc::read(end[0], rest.as_mut_ptr().cast(), rest.len()) };
            assert!(read > 0);
            got += read as usize;
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        for &fd in self.0.iter().flatten() {
            // SAFETY: our descriptor.
            unsafe { libc::close(fd) };
        }
    }
}

fn message<const N: usize>(i: u64) -> [u8; N] {
    let mut message = [i as u8; N];
    message[..8].copy_from_slice(&i.to_le_bytes());
    message
}

fn number(message: &[u8]) -> u64 {
    u64::from_le_bytes(message[..8].try_into().expect("eight bytes"))
}

/// There and back, half of it counted.
pub fn round_trip<const N: usize, L: Line>(processors: &'static [usize]) -> Measurement {
    Box::new(move |n| {
        let line = L::new();
        let laps = Between::Processes.run(processors, |side, _| {
            let mut end = line.end(side);
            let mut round = |i: u64| {
                let mut came = [0; N];
                if side == 0 {
                    L::send(&mut end, &message::<N>(i));
                    L::recv(&mut end, &mut came);
                } else {
                    L::recv(&mut end, &mut came);
                    L::send(&mut end, &message::<N>(i));
                }
                assert_eq!(number(&came), i);
            };
            (1..=WARM).for_each(&mut round);
            let lap = Lap::of(|| {
                (WARM + 1..=WARM + n).for_each(&mut round);
                (n, 0)
            });
            // Nobody ends before the other has all.
            round(0);
            std::mem::forget(end);
            lap
        });
        Sample::plain(laps[0].ns_each(n) / 2.0)
    })
}

/// Messages one after the other, as fast as they go.
pub fn stream<const N: usize, L: Line>(processors: &'static [usize]) -> Measurement {
    Box::new(move |n| {
        let line = L::new();
        let laps = Between::Processes.run(processors, |side, _| {
            let mut end = line.end(side);
            let mut came = [0; N];
            let lap = Lap::of(|| {
                for i in 1..=n {
                    if side == 0 {
                        L::send(&mut end, &message::<N>(i));
                    } else {
                        L::recv(&mut end, &mut came);
                        assert_eq!(number(&came), i);
                    }
                }
                (n, 0)
            });
            // Nobody ends before the other has all.
            if side == 1 {
                L::send(&mut end, &message::<N>(0));
            } else {
                L::recv(&mut end, &mut came);
            }
            std::mem::forget(end);
            lap
        });
        Sample::plain(elapsed(&laps) as f64 / n as f64)
    })
}
