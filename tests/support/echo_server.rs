//! An echo server with a task for each client, a thousand of them, in two processes: `cargo run --release --features tokio --example
//! echo_server`. Each process has one reactor, so one epoll of the library and one thread of it, whatever the number of clients.

use interproc::asynchronous::{Async, Reactor};
use interproc::pipe::{self, Listener};
use interproc::process::Builder;
use interproc::sync::{Event, Semaphore};
use interproc::{Error, Result, Segment};
use std::time::Instant;
use tokio::runtime;

/// How often each client asks.
const ROUNDS: u32 = 20;

/// What has come of it.
pub struct Outcome {
    /// How many clients were connected at the same time.
    pub clients: usize,
    /// How many messages were echoed.
    pub echoed: usize,
    /// How many epolls the server's process had beside those of tokio, with all clients connected and waiting.
    pub epolls: usize,
    /// How many threads the library had there.
    pub threads: usize,
}

/// A server here and `clients` clients in another process.
pub fn run(clients: usize) -> Result<Outcome> {
    let segment = Segment::options().size(clients * 4096 + (1 << 20)).anonymous()?;
    let listener = Listener::bind(&segment, "echo", clients, 1 << 10, 200)?;
    let connected = segment.object("connected", || Semaphore::new(0))?;
    let go = segment.object("go", Event::new)?;
    // Before the runtimes: a process with threads cannot fork safely.
    let other = Builder::new().fork(|| {
        let ask = || -> Result<()> { runtime()?.block_on(ask_all(&segment, clients)) };
        i32::from(ask().inspect_err(|error| eprintln!("clients: {error}")).is_err())
    })?;
    let outcome = runtime()?.block_on(async {
        let (epolls, threads) = (count("fd", "eventpoll"), count("task", ""));
        let mut listener = Async::new(listener)?;
        let mut tasks = Vec::new();
        for _ in 0..clients {
            let client = listener.accept().await?;
            tasks.push(tokio::spawn(serve(client)));
        }
        let connected = Async::new(connected)?;
        for _ in 0..clients {
            connected.acquire().await?;
        }
        let (epolls, threads) = (count("fd", "eventpoll") - epolls, count("task", "") - threads);
        go.set();
        let mut echoed = 0;
        for task in tasks {
            echoed += task.await.expect("no panic")?;
        }
        Ok::<_, Error>(Outcome { clients, echoed, epolls, threads })
    })?;
    assert!(other.join()?.success(), "the clients have got what they sent");
    Ok(outcome)
}

fn runtime() -> Result<runtime::Runtime> {
    Ok(runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// One client, until it closes its end or dies.
async fn serve(mut client: Async<pipe::End>) -> Result<usize> {
    let (mut buffer, mut echoed) = ([0; 200], 0);
    while let Ok(len) = client.recv_into(&mut buffer).await {
        client.send(&buffer[..len]).await?;
        echoed += 1;
    }
    Ok(echoed)
}

/// All clients: a task each.
async fn ask_all(segment: &Segment, clients: usize) -> Result<()> {
    let go = segment.object("go", Event::new)?;
    let connected = segment.object("connected", || Semaphore::new(0))?;
    let reactor = Reactor::current()?;
    let mut tasks = Vec::new();
    for client in 0..clients {
        let mut end = Async::by(&reactor, pipe::connect(segment, "echo")?);
        let go = Async::by(&reactor, go.clone());
        tasks.push(tokio::spawn(async move {
            go.wait().await?;
            for round in 0..ROUNDS {
                let question = format!("client {client}, round {round}");
                end.send(question.as_bytes()).await?;
                assert_eq!(end.recv().await?, question.as_bytes());
            }
            Ok::<(), Error>(())
        }));
        connected.post()?;
    }
    for task in tasks {
        task.await.expect("no panic")?;
    }
    Ok(())
}

/// How many descriptors or threads this process has, of this kind.
fn count(what: &str, kind: &str) -> usize {
    let entries = std::fs::read_dir(format!("/proc/self/{what}")).expect("there is /proc");
    let is_one = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("readable").path();
        kind.is_empty() || std::fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains(kind))
    };
    entries.filter_map(|entry| is_one(entry).then_some(())).count()
}

#[allow(dead_code, reason = "a test calls `run`")]
fn main() -> Result<()> {
    let clients = std::env::args().nth(1).map_or(1000, |n| n.parse().expect("a number of clients"));
    let started = Instant::now();
    let outcome = run(clients)?;
    println!(
        "{} clients, {} messages echoed in {:.2?}, by {} epoll and {} thread of the library's",
        outcome.clients,
        outcome.echoed,
        started.elapsed(),
        outcome.epolls,
        outcome.threads
    );
    Ok(())
}
