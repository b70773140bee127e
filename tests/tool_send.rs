//! The tool's `send` and `recv`: bytes and lines through a named ring, whoever comes first and whoever is killed.

#[macro_use]
mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use support::eventually;

const LONG: Duration = Duration::from_secs(30);

/// A name that nobody else has; what it names is removed at the end.
struct Name(String);

impl Name {
    fn new(what: &str) -> Name {
        Name(format!("interproc-test-send-{}-{what}", std::process::id()))
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/dev/shm").join(&self.0)
    }

    fn tool(&self, what: &str, options: &[&str]) -> Command {
        let mut tool = Command::new(env!("CARGO_BIN_EXE_interproc"));
        tool.arg(what).args(options).arg(&self.0);
        tool.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        tool
    }

    fn send(&self, options: &[&str], input: &[u8]) -> Child {
        let mut child = self.sender(options);
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_owned();
        // Goes on behind the caller: the ring may be full. A sender that ends early is what is tested.
        std::thread::spawn(move || drop(stdin.write_all(&input)));
        child
    }

    /// One whose input the caller writes.
    fn sender(&self, options: &[&str]) -> Child {
        self.tool("send", options).stdin(Stdio::piped()).spawn().expect("a sender")
    }

    fn receiver(&self) -> Receiver {
        self.receiver_with(&[])
    }

    fn receiver_with(&self, options: &[&str]) -> Receiver {
        let mut child = self.tool("recv", options).spawn().expect("a receiver");
        let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let output = std::thread::spawn(move || {
            let mut all = Vec::new();
            out.read_to_end(&mut all).map(|_| all).expect("its output")
        });
        let said = std::thread::spawn(move || {
            let mut all = String::new();
            err.read_to_string(&mut all).map(|_| all).expect("its complaints")
        });
        Receiver { child, output, said }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path());
    }
}

struct Receiver {
    child: Child,
    output: std::thread::JoinHandle<Vec<u8>>,
    said: std::thread::JoinHandle<String>,
}

impl Receiver {
    fn end(mut self) -> (ExitStatus, Vec<u8>, String) {
        let status = self.child.wait().expect("its end");
        (status, self.output.join().expect("no panic"), self.said.join().expect("no panic"))
    }

    /// What it got, all as it should be.
    #[track_caller]
    fn got(self) -> Vec<u8> {
        let (status, got, said) = self.end();
        assert_eq!((status.code(), &*said), (Some(0), ""));
        got
    }
}

#[track_caller]
fn good(child: Child) {
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}

/// Bytes that do not repeat.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}

fn lines(of: &str, n: usize) -> String {
    (0..n).map(|i| format!("{of} {i} {}\n", "x".repeat(i % 300))).collect()
}

fn a_file_arrives_whole_and_in_order() {
    let all = noise((20 << 20) + 12_345);
    for first in ["sender", "receiver"] {
        let name = Name::new(first);
        let file = std::env::temp_dir().join(&name.0);
        std::fs::write(&file, &all).expect("a file");
        let sender = || name.tool("send", &["--raw"]).stdin(File::open(&file).expect("it")).spawn();
        let (sender, receiver) = if first == "sender" {
            let sender = sender().expect("a sender");
            assert!(eventually(LONG, || name.path().exists()));
            (sender, name.receiver())
        } else {
            let receiver = name.receiver();
            assert!(eventually(LONG, || name.path().exists()));
            (sender().expect("a sender"), receiver)
        };
        good(sender);
        assert!(receiver.got() == all, "not what was sent");
        std::fs::remove_file(file).expect("ours");
        assert!(!name.path().exists(), "it leaves something behind");
    }
}

fn bytes_from_a_pipe_arrive_whole_and_in_order() {
    let name = Name::new("pipe");
    let all = noise(3_000_001);
    let receiver = name.receiver();
    good(name.send(&["--raw"], &all));
    assert!(receiver.got() == all, "not what was sent");
}

fn each_line_of_each_sender_comes_to_one_receiver_whole() {
    let name = Name::new("lines");
    let receivers = [name.receiver(), name.receiver()];
    // The end begins with the first sender's: so one is there from the first line to the last.
    let mut anchor = name.sender(&[]);
    let inputs: Vec<String> = ["a", "b", "c"].iter().map(|of| lines(of, 4_000)).collect();
    let senders: Vec<_> = inputs.iter().map(|input| name.send(&[], input.as_bytes())).collect();
    senders.into_iter().for_each(good);
    write!(anchor.stdin.take().expect("piped"), "the last line, without an end").expect("it reads");
    good(anchor);
    let got = receivers.map(|receiver| String::from_utf8(receiver.got()).expect("text"));
    let mut all: Vec<&str> = got.iter().flat_map(|got| got.lines()).collect();
    for got in &got {
        for of in ["a", "b", "c"] {
            let numbers = got.lines().filter(|line| line.starts_with(of)).map(|line| {
                line.split(' ').nth(1).and_then(|n| n.parse::<u32>().ok()).expect("a whole line")
            });
            assert!(numbers.is_sorted(), "one sender's lines, out of order");
        }
    }
    let mut expected: Vec<&str> = inputs.iter().flat_map(|input| input.lines()).collect();
    expected.push("the last line, without an end");
    all.sort_unstable();
    expected.sort_unstable();
    assert!(all == expected, "lost, doubled or torn: {} of {}", all.len(), expected.len());
    assert!(!name.path().exists(), "it leaves something behind");
}

fn what_senders_left_waits_for_a_receiver() {
    let name = Name::new("mailbox");
    good(name.send(&[], b"one\n"));
    good(name.send(&[], b"two\n"));
    assert!(name.path().exists());
    assert_eq!(name.receiver().got(), b"one\ntwo\n");
    assert!(!name.path().exists(), "it leaves something behind");
    // And the next one begins anew.
    let receiver = name.receiver();
    assert!(eventually(LONG, || name.path().exists()));
    good(name.send(&[], b""));
    assert_eq!(receiver.got(), b"");
}

fn a_sender_waits_when_the_ring_is_full() {
    let name = Name::new("full");
    let all = noise(4 << 20);
    let mut sender = name.send(&["--raw", "--capacity", "1048576"], &all);
    let asleep = || support::state(sender.id()) == Some('S');
    assert!(eventually(LONG, asleep));
    assert!(matches!(sender.try_wait(), Ok(None)));
    let receiver = name.receiver();
    good(sender);
    assert!(receiver.got() == all, "not what was sent");
}

fn a_killed_sender_ends_nothing_but_its_own_and_is_told() {
    let name = Name::new("killed-sender");
    let receiver = name.receiver();
    let mut victim = name.sender(&[]);
    let mut other = name.sender(&[]);
    let mut input = victim.stdin.take().expect("piped");
    input.write_all(b"from the victim\n").expect("it reads");
    let mut stdin = other.stdin.take().expect("piped");
    stdin.write_all(b"from the other\n").expect("it reads");
    assert!(eventually(LONG, || [victim.id(), other.id()].iter().all(|&id| is_member(&name, id))));
    std::thread::sleep(Duration::from_millis(20));
    victim.kill().expect("ours");
    assert_eq!(victim.wait().expect("its end").signal(), Some(9));
    stdin.write_all(b"and on\n").expect("it reads");
    drop(stdin);
    good(other);
    let (status, got, said) = receiver.end();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("1 of 2 senders ended before the end of their input"), "{said}");
    let got = String::from_utf8(got).expect("text");
    let of_the_other: Vec<_> = got.lines().filter(|line| *line != "from the victim").collect();
    assert_eq!(of_the_other, ["from the other", "and on"]);
    assert!(!name.path().exists(), "it leaves something behind");
    drop(input);
}

fn the_death_of_the_only_sender_is_the_end() {
    let name = Name::new("only-sender");
    let receiver = name.receiver();
    let mut victim = name.sender(&["--raw"]);
    victim.stdin.as_mut().expect("piped").write_all(b"a part").expect("it reads");
    assert!(eventually(LONG, || is_member(&name, victim.id())));
    victim.kill().expect("ours");
    victim.wait().expect("its end");
    let (status, got, said) = receiver.end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(got.is_empty() || got == b"a part");
}

/// Whether the segment has a member of this process's.
fn is_member(name: &Name, pid: u32) -> bool {
    let look = interproc::Segment::open_read_only(&format!("/{}", name.0));
    let holders = look.ok().and_then(|look| look.view().ok());
    holders.is_some_and(|view| view.members.iter().any(|member| member.who.pid == pid))
}

fn a_killed_receiver_loses_nothing() {
    let name = Name::new("killed-receiver");
    // Its output is full soon: nobody reads it.
    let mut victim = name.tool("recv", &[]).spawn().expect("a receiver");
    let input = lines("line", 20_000);
    let sender = name.send(&[], input.as_bytes());
    assert!(eventually(LONG, || support::state(victim.id()) == Some('S') && is_member(&name, sender.id())));
    std::thread::sleep(Duration::from_millis(50));
    victim.kill().expect("ours");
    let mut first = String::new();
    victim.stdout.take().expect("piped").read_to_string(&mut first).expect("text");
    victim.wait().expect("its end");
    let receiver = name.receiver();
    good(sender);
    let (status, second, said) = receiver.end();
    let second = String::from_utf8(second).expect("text");
    // It was in the middle of some: these come again.
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("may have been written twice"), "{said}");
    let whole = &first[..first.rfind('\n').map_or(0, |at| at + 1)];
    let mut all: Vec<&str> = whole.lines().chain(second.lines()).collect();
    let doubled = all.len();
    all.sort_unstable();
    all.dedup();
    let mut expected: Vec<&str> = input.lines().collect();
    expected.sort_unstable();
    assert!(all == expected, "lost or torn: {} of {}", all.len(), expected.len());
    assert!(doubled - all.len() <= 16, "{} came twice", doubled - all.len());
}

fn a_receiver_whose_output_is_gone_ends_and_the_rest_is_for_others() {
    let name = Name::new("broken-pipe");
    let mut victim = name.tool("recv", &[]).spawn().expect("a receiver");
    drop(victim.stdout.take());
    let sender = name.send(&[], lines("line", 10_000).as_bytes());
    assert_eq!(victim.wait().expect("its end").code(), Some(128 + 13));
    let receiver = name.receiver();
    good(sender);
    let (_, got, _) = receiver.end();
    let got = String::from_utf8(got).expect("text");
    assert!(got.lines().count() >= 10_000 - 16, "{} of 10000", got.lines().count());
}

fn lines_that_are_work_outlive_their_receivers_and_are_counted() {
    let name = Name::new("work");
    let text = lines("work", 10_000);
    let sender = name.send(&["--work"], text.as_bytes());
    // Its output is full after a while: it has a line in its hands then.
    let mut victim = name.tool("recv", &["--work"]).spawn().expect("a receiver");
    let leased = || {
        let segment = interproc::Segment::open(&format!("/{}", name.0)).ok()?;
        let jobs = segment.byte_work_queue("bytes", 4096, interproc::queue::WorkOptions::new(1024)).ok()?;
        Some((jobs.leased(), jobs.len()))
    };
    assert!(eventually(LONG, || leased().is_some_and(|(leased, there)| leased == 1 && there > 500)));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(leased().map(|at| at.0), Some(1), "it is still at it");
    victim.kill().expect("kill");
    let mut first = Vec::new();
    victim.stdout.take().expect("piped").read_to_end(&mut first).expect("what it had written");
    victim.wait().expect("its end");
    let receiver = name.receiver_with(&["--work"]);
    good(sender);
    let (status, second, said) = receiver.end();
    assert!(status.code() == Some(1) && said.contains("1 pieces may have been written twice"), "{said}");
    // The victim's last line may be a part of one; that comes whole from the other.
    let whole = first.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let mut all: Vec<&str> = [&first[..whole], &second]
        .iter()
        .flat_map(|part| std::str::from_utf8(part).expect("text").lines())
        .collect();
    all.sort_unstable();
    all.dedup();
    let mut sent: Vec<&str> = text.lines().collect();
    sent.sort_unstable();
    assert_eq!(all, sent);
    assert!(!name.path().exists(), "the name is free");
}

fn lines_for_all_reach_everybody_and_wait_for_no_dead_one() {
    let name = Name::new("all");
    let text = lines("all", 5_000);
    // One whose output is full after a while, so that all wait for it.
    let mut victim = name.tool("recv", &["--all"]).spawn().expect("a receiver");
    let receivers = [name.receiver_with(&["--all"]), name.receiver_with(&["--all"])];
    let news = || {
        let segment = interproc::Segment::open(&format!("/{}", name.0)).ok()?;
        let options = interproc::queue::BroadcastOptions::new((4 << 20) / (4096 + 64)).subscribers(192);
        let news = segment.byte_broadcast("bytes", 4096, options).ok()?;
        Some((news.subscribers().ok()?, news.published()))
    };
    assert!(eventually(LONG, || news().is_some_and(|(receivers, _)| receivers == 3)));
    let sender = name.send(&["--all"], text.as_bytes());
    let before = std::cell::Cell::new(0);
    let stands = || news().is_some_and(|(_, sent)| sent > 1_000 && before.replace(sent) == sent);
    assert!(eventually(LONG, || {
        std::thread::sleep(Duration::from_millis(20));
        stands()
    }));
    assert!(before.get() < 5_000, "it is waited for");
    victim.kill().expect("kill");
    victim.wait().expect("its end");
    good(sender);
    for receiver in receivers {
        let (status, output, said) = receiver.end();
        assert!(status.success(), "{said}");
        assert!(output == text.as_bytes(), "every line, in order");
    }
    assert!(!name.path().exists(), "the name is free");
    good(name.send(&["--all"], b"nobody listens\n"));
    assert!(!name.path().exists(), "nothing is left where nobody listens");
}

fn what_cannot_be_is_said() {
    let name = Name::new("wrong");
    let code = |mut command: Command| {
        let output = command.output().expect("the tool");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    let (status, said) = code(Name("no/name".into()).tool("send", &[]));
    assert!(status == Some(2) && said.contains("a segment name is"), "{said}");
    let (status, _) = code(name.tool("send", &["--capacity", "5"]));
    assert_eq!(status, Some(2));
    // A line that is too long.
    let receiver = name.receiver();
    let output = name.send(&[], &[b'x'; 300_000]).wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("--raw takes any input"), "{said}");
    let (status, got, _) = receiver.end();
    assert_eq!((status.code(), got.len()), (Some(1), 0));
    // Another segment's name.
    let other = Name::new("other");
    let segment = interproc::Segment::create(&format!("/{}", other.0), 1 << 16).expect("a segment");
    let _queue = segment.queue::<u64>("bytes", 8).expect("a queue");
    let (status, said) = code(other.tool("recv", &[]));
    assert!(status == Some(2) && said.contains("\"capacity\""), "{said}");
}

fn main() {
    support::run_within(
        Duration::from_secs(120),
        tests![
            a_file_arrives_whole_and_in_order,
            bytes_from_a_pipe_arrive_whole_and_in_order,
            each_line_of_each_sender_comes_to_one_receiver_whole,
            what_senders_left_waits_for_a_receiver,
            a_sender_waits_when_the_ring_is_full,
            a_killed_sender_ends_nothing_but_its_own_and_is_told,
            the_death_of_the_only_sender_is_the_end,
            a_killed_receiver_loses_nothing,
            a_receiver_whose_output_is_gone_ends_and_the_rest_is_for_others,
            lines_that_are_work_outlive_their_receivers_and_are_counted,
            lines_for_all_reach_everybody_and_wait_for_no_dead_one,
            what_cannot_be_is_said,
        ],
    )
}
