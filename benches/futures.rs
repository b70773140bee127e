//! Round trips between tasks of two processes, each with a current-thread tokio runtime: over our pipe, and over tokio's `UnixStream`. And
//! what a future costs that need not wait. `cargo bench --features tokio --bench futures`: each of ours and its peer in turns, in one run,
//! medians of the rounds, with the least and the most ratio.

use interproc::asynchronous::Async;
use interproc::process::Builder;
use interproc::{Segment, pipe};
use std::io::{Error, ErrorKind};
use std::os::unix::net::UnixStream as Std;
use std::time::Instant;
use tokio::net::UnixStream;
use tokio::runtime;

const ROUNDS: usize = 15;
const TRIPS: u32 = 5_000;
const LEN: usize = 64;

fn runtime() -> runtime::Runtime {
    runtime::Builder::new_current_thread().enable_all().build().expect("descriptors")
}

fn stream(std: Std) -> UnixStream {
    std.set_nonblocking(true).expect("a socket");
    UnixStream::from_std(std).expect("in a runtime")
}

async fn read(from: &UnixStream, into: &mut [u8; LEN]) -> Result<(), Error> {
    loop {
        match from.try_read(into) {
            Ok(LEN) => return Ok(()),
            Ok(_) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => from.readable().await?,
            Err(error) => return Err(error),
        }
    }
}

async fn write(to: &UnixStream, message: &[u8; LEN]) -> Result<(), Error> {
    loop {
        match to.try_write(message) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => to.writable().await?,
            Err(error) => return Err(error),
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn show(what: &str, mut ours: Vec<f64>, mut theirs: Vec<f64>) {
    let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let (ours, theirs, ratio) = (median(&mut ours), median(&mut theirs), median(&mut ratios));
    let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
    println!("{what}: ours {ours:.3} µs, peer {theirs:.3} µs, ratio {ratio:.2} [{least:.2}..{most:.2}]");
}

fn pin(cpu: usize) {
    // SAFETY: all zero is an empty set, which the calls fill and read.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
    }
}

fn round_trips(cpus: [usize; 2], what: &str) {
    let (near, far) = pipe::pair(1 << 12, LEN).expect("memory");
    let (near_stream, far_stream) = Std::pair().expect("descriptors");
    let their_copy = near_stream.try_clone().expect("descriptors");
    let child = Builder::new()
        .fork_giving(far, move |far| {
            drop(their_copy);
            pin(cpus[1]);
            runtime().block_on(async {
                let (mut far, far_stream) = (Async::new(far).expect("in a runtime"), stream(far_stream));
                tokio::spawn(async move {
                    let mut message = [0; LEN];
                    while read(&far_stream, &mut message).await.is_ok() {
                        write(&far_stream, &message).await.expect("open");
                    }
                });
                let mut message = [0; LEN];
                while far.recv_into(&mut message).await.is_ok() {
                    far.send(&message).await.expect("open");
                }
            });
        })
        .expect("forks");
    pin(cpus[0]);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    runtime().block_on(async {
        let (mut near, near_stream) = (Async::new(near).expect("in a runtime"), stream(near_stream));
        let mut message = [7; LEN];
        for _ in 0..ROUNDS {
            let started = Instant::now();
            for _ in 0..TRIPS {
                near.send(&message).await.expect("open");
                assert_eq!(near.recv_into(&mut message).await.expect("open"), LEN);
            }
            ours.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(TRIPS));
            let started = Instant::now();
            for _ in 0..TRIPS {
                write(&near_stream, &message).await.expect("open");
                read(&near_stream, &mut message).await.expect("open");
            }
            theirs.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(TRIPS));
        }
    });
    child.join().expect("ours");
    show(what, ours, theirs);
}

/// Push and pop in a task, beside the plain calls.
fn without_a_wait() {
    const N: u32 = 1_000_000;
    let segment = Segment::anonymous(1 << 16).expect("memory");
    let queue = segment.queue::<u64>("queue", 16).expect("room");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    runtime().block_on(async {
        let futures = Async::new(queue.clone()).expect("in a runtime");
        for _ in 0..ROUNDS {
            let started = Instant::now();
            for n in 0..N {
                futures.push(u64::from(n)).await.expect("open");
                assert_eq!(futures.pop().await.expect("open"), u64::from(n));
            }
            ours.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(N));
            let started = Instant::now();
            for n in 0..N {
                queue.push(u64::from(n)).expect("open");
                assert_eq!(queue.pop().expect("open"), u64::from(n));
            }
            theirs.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(N));
        }
    });
    show("push + pop that need not wait, beside the plain calls", ours, theirs);
}

fn main() {
    without_a_wait();
    round_trips([0, 0], "pipe beside UnixStream, a round trip of 64 B, one processor");
    round_trips([0, 1], "pipe beside UnixStream, a round trip of 64 B, two processors");
}
