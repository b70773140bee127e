//! Messages of one length from one process to another, waiting: our queues, and Boost's `message_queue`, which
//! `benches/boost.cpp` uses as a C++ program does. That is built when its row is measured.

use super::sides::{Between, Lap, elapsed};
use super::{Measurement, Sample};
use interproc::pipe::{self, End, Listener};
use interproc::queue::{ByteQueue, Queue};
use interproc::{Plain, Segment};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Messages that a queue holds, about.
const CAPACITY: usize = 1024;

/// Each message carries its number at both ends.
fn message<const W: usize>(number: u64) -> [u64; W] {
    let mut message = [0x5a; W];
    (message[0], message[W - 1]) = (number, number);
    message
}

fn check<const W: usize>(message: &[u64; W], number: u64) {
    assert!(message[0] == number && message[W - 1] == number, "message {number} is not it");
}

/// A way for messages of `W` words, from the first side to the second.
pub trait Way<const W: usize>: Sync {
    /// A side's end.
    type End;
    /// Made before the sides are born.
    fn new() -> Self;
    /// In a side's process.
    fn end(&self, side: usize) -> Self::End;
    /// Sends, waiting for room.
    fn send(end: &mut Self::End, message: &[u64; W]);
    /// Receives, waiting for a message.
    fn receive(end: &mut Self::End, message: &mut [u64; W]);
}

fn segment<const W: usize>() -> Segment {
    Segment::anonymous((1 << 18) + 16 * W * CAPACITY).expect("segment")
}

/// The queue of messages of one size.
pub struct Typed<const W: usize>(Queue<[u64; W]>);

impl<const W: usize> Way<W> for Typed<W>
where
    [u64; W]: Plain,
{
    type End = Queue<[u64; W]>;
    fn new() -> Self {
        Typed(segment::<W>().queue("queue", CAPACITY).expect("queue"))
    }
    fn end(&self, _: usize) -> Self::End {
        self.0.clone()
    }
    #[inline(always)]
    fn send(end: &mut Self::End, message: &[u64; W]) {
        end.push(*message).expect("open");
    }
    #[inline(always)]
    fn receive(end: &mut Self::End, message: &mut [u64; W]) {
        *message = end.pop().expect("open");
    }
}

/// The queue of messages of any length.
pub struct Bytes(ByteQueue);

impl<const W: usize> Way<W> for Bytes {
    type End = ByteQueue;
    fn new() -> Self {
        Bytes(segment::<W>().byte_queue("bytes", 8 * W * CAPACITY, 8 * W).expect("queue"))
    }
    fn end(&self, _: usize) -> ByteQueue {
        self.0.clone()
    }
    #[inline(always)]
    fn send(end: &mut ByteQueue, message: &[u64; W]) {
        end.push(bytemuck::cast_slice(message)).expect("open");
    }
    #[inline(always)]
    fn receive(end: &mut ByteQueue, message: &mut [u64; W]) {
        end.pop_into(bytemuck::cast_slice_mut(message)).expect("open");
    }
}

/// The pipe.
pub struct Pipe(Segment);

impl<const W: usize> Way<W> for Pipe {
    type End = End;
    fn new() -> Self {
        Pipe(Segment::anonymous((1 << 18) + 32 * W * CAPACITY).expect("segment"))
    }
    fn end(&self, side: usize) -> End {
        if side == 0 {
            let listener = Listener::bind(&self.0, "line", 1, 8 * W * CAPACITY, 8 * W);
            return listener.expect("bind").accept().expect("accept");
        }
        loop {
            match pipe::connect(&self.0, "line") {
                Ok(end) => return end,
                Err(_) => std::thread::yield_now(),
            }
        }
    }
    #[inline(always)]
    fn send(end: &mut End, message: &[u64; W]) {
        end.send(bytemuck::cast_slice(message)).expect("send");
    }
    #[inline(always)]
    fn receive(end: &mut End, message: &mut [u64; W]) {
        end.recv_into(bytemuck::cast_slice_mut(message)).expect("recv");
    }
}

/// Messages one after the other, as fast as they go, the sides waiting in our way.
pub fn ours<const W: usize, Q: Way<W> + 'static>() -> Measurement {
    Box::new(|n| {
        let way = Q::new();
        let laps = Between::Processes.run(&[0, 1], |side, _| {
            let mut end = way.end(side);
            let lap = Lap::of(|| {
                let mut came = [0; W];
                for i in 0..n {
                    if side == 0 {
                        Q::send(&mut end, &message(i));
                    } else {
                        Q::receive(&mut end, &mut came);
                        check(&came, i);
                    }
                }
                (n, 0)
            });
            drop(end); // what was sent can still be received
            lap
        });
        Sample::plain(elapsed(&laps) as f64 / n as f64)
    })
}

fn compiler() -> Command {
    Command::new(std::env::var_os("CXX").unwrap_or_else(|| "c++".into()))
}

/// Why there is nothing to compare with, if so.
pub fn is_missing() -> Option<&'static str> {
    let header = "boost/interprocess/ipc/message_queue.hpp";
    let mut look = compiler();
    look.args(["-E", "-include", header, "-x", "c++", "/dev/null", "-o", "/dev/null"]);
    match look.stdin(Stdio::null()).stderr(Stdio::null()).status() {
        Err(_) => Some("There is no C++ compiler, so nothing is compared with Boost's message_queue."),
        Ok(status) if !status.success() => Some(
            "Boost's headers (libboost-dev) are not installed, so nothing is compared with its message_queue.",
        ),
        Ok(_) => None,
    }
}

/// The program, built once.
fn program() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let built = std::env::current_exe().expect("our path").with_file_name("boost-message-queue");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/boost.cpp");
        let mut build = compiler();
        build.args(["-std=c++17", "-O3", "-DNDEBUG", "-Wall", "-pthread", "-o"]).arg(&built);
        let status = build.args([source, "-lrt"]).status().expect("a compiler, found before");
        assert!(status.success(), "{build:?}: {status}");
        built
    })
}

/// Boost's, with messages of so many bytes.
pub fn message_queue(bytes: usize) -> Measurement {
    let program = program();
    Box::new(move |n| {
        let mut run = Command::new(program);
        let output = run.args([bytes.to_string(), n.to_string()]).stderr(Stdio::inherit()).output();
        let output = output.expect("built above");
        assert!(output.status.success(), "{run:?}: {}", output.status);
        Sample::plain(String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number"))
    })
}
