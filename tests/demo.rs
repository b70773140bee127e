//! The tool's demo, run as a user runs it.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn demo(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_interproc"));
    // A process group of its own, so that whoever is left of it can be found.
    command.arg("demo").args(args).process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end, and checks that nobody of it is left.
fn run(args: &[&str]) -> (Output, String) {
    let child = demo(args).spawn().unwrap();
    let group = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(alive(group), [0; 0], "processes are left");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output, text)
}

/// The processes of this group that have not ended.
fn alive(group: u32) -> Vec<u32> {
    let of_group = |pid: &u32| {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
        // After the name, which is in parentheses: state, parent, group.
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 1..].split_whitespace().collect();
        fields[2] == group.to_string() && !["Z", "X"].contains(&fields[0])
    };
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter(of_group).collect()
}

#[test]
fn the_demo_ends_well_and_says_so_for_each_part() {
    let (output, text) = run(&["--quick"]);
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for part in ["a, the ticket shop", "b, the word count", "c, the latencies"] {
        assert!(text.contains(&format!("Verdict ({part}): RIGHT")), "{part}: {text}");
    }
    assert!(text.contains("without a lock the shop oversold"), "{text}");
    assert!(text.contains("3 buyers killed while holding the lock, 3 repairs by the next holder"), "{text}");
    assert!(text.contains("4 of 4 planned kills done"), "{text}");
    assert!(text.contains("Everything is right"), "{text}");
    assert!(!text.contains("WRONG"), "{text}");
}

#[test]
fn only_the_parts_that_were_asked_for_are_run() {
    let (output, text) = run(&["--quick", "--part", "a", "--buyers", "2", "--tickets", "10"]);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("Verdict (a") && !text.contains("Verdict (b") && !text.contains("Verdict (c"),
        "{text}"
    );
    assert!(text.contains("10 of 10 tickets sold, each once"), "{text}");
}

#[test]
fn the_words_of_a_file_are_counted() {
    let file = std::env::temp_dir().join(format!("interproc-demo-{}.txt", std::process::id()));
    std::fs::write(&file, "Der Herr der Ringe, der HERR!\n").unwrap();
    let (output, text) = run(&["--quick", "--part", "b", "--input", file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("0 of 3 different words have another count"), "{text}");
}

#[test]
fn what_cannot_be_done_is_wrong_and_not_silent() {
    for file in ["/nonexistent/text", "/dev/null"] {
        let (output, text) = run(&["--part", "b", "--input", file]);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("WRONG") && text.contains(file), "{text}");
    }
    let (output, _) = run(&["--buyers", "1"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn however_the_demo_is_ended_its_processes_end_with_it() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        for (part, sign) in [("a", "With a Mutex"), ("b", "killed with SIGKILL"), ("c", "pinned to")] {
            let mut child = demo(&["--part", part]).spawn().unwrap();
            let group = child.id();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            // Where there is one processor, part c says something else: then its last line ends the search.
            lines.by_ref().map(Result::unwrap).find(|line| line.contains(sign));
            std::thread::sleep(Duration::from_millis(30));
            let _ = kill_process(Pid::from_raw(group as i32).unwrap(), signal);
            let end = child.wait().unwrap();
            assert!(end.success() || end.signal() == Some(signal.as_raw()), "{part}: {end}");
            // The kernel kills them at once; that they are gone can take a moment.
            let patience = Instant::now() + Duration::from_secs(10);
            while !alive(group).is_empty() && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(alive(group), [0; 0], "left after {signal:?} in part {part}");
            drop(lines);
            let mut complaints = String::new();
            child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
            assert!(!complaints.contains("panic"), "{complaints}");
        }
    }
}
