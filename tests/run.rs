//! The tool's `run`: commands for the lines of its input.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

fn tool(jobs: u32, command: &[&str]) -> Command {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_interproc"));
    tool.args(["run", "-j", &jobs.to_string(), "--"]).args(command);
    tool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    tool
}

fn with_input(mut tool: Command, input: &[u8]) -> Output {
    let mut tool = tool.spawn().expect("the tool");
    let mut stdin = tool.stdin.take().expect("piped");
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).expect("it reads all"));
        tool.wait_with_output().expect("its end")
    })
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn the_output_comes_whole_and_in_order_whoever_is_first() {
    let input: String = (0..60).map(|n| format!("{n}\n")).collect();
    // The earlier, the slower; each writes in two parts, to both streams.
    let script = "echo a$1; sleep 0.0$((9 - $1 % 10)); echo b$1; echo e$1 >&2";
    let output = with_input(tool(8, &["sh", "-c", script, "sh", "{}"]), input.as_bytes());
    let expected: String = (0..60).map(|n| format!("a{n}\nb{n}\n")).collect();
    assert_eq!(text(&output.stdout), expected);
    assert_eq!(text(&output.stderr), (0..60).map(|n| format!("e{n}\n")).collect::<String>());
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_line_goes_where_it_is_wanted_and_is_not_looked_at_by_a_shell() {
    let lines = "a b\n$(false)\n\n--\n{}\n";
    let output = with_input(tool(2, &["printf", "<%s>\\n"]), lines.as_bytes());
    assert_eq!(text(&output.stdout), "<a b>\n<$(false)>\n<-->\n<{}>\n");
    let output = with_input(tool(1, &["echo", "{}/{}", "x{}"]), b"1\n2");
    assert_eq!(text(&output.stdout), "1/1 x1\n2/2 x2\n");
    let mut nulls = Command::new(env!("CARGO_BIN_EXE_interproc"));
    nulls.args(["run", "-0", "echo"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    assert_eq!(text(&with_input(nulls, b"one\ntwo\0three\0").stdout), "one\ntwo\nthree\n");
    assert_eq!(with_input(tool(3, &["false"]), b"").status.code(), Some(0), "no lines, no failure");
}

#[test]
fn the_worst_end_is_its_own_and_the_killed_are_named() {
    let output = with_input(tool(2, &["sh", "-c", "{}"]), b"exit 3\nkill -9 $$\nexit 0\nexit 7\n");
    assert_eq!(output.status.code(), Some(128 + 9));
    let said = text(&output.stderr);
    for part in
        ["exit 3: exit code 3", "kill -9 $$: killed by signal 9 (SIGKILL)", "3 of 4 failed, 1 of them killed"]
    {
        assert!(said.contains(part), "{said}");
    }
    let output = with_input(tool(2, &["/no/such/program"]), b"x\n");
    assert_eq!(output.status.code(), Some(127));
    assert!(text(&output.stderr).contains("/no/such/program"), "{output:?}");
}

#[test]
fn a_long_output_before_its_turn_is_kept_and_no_pipe_fills_up() {
    let script = "test $0 = 0 && sleep 0.2; head -c 300000 /dev/zero | tr '\\0' x; echo $0";
    let input: String = (0..20).map(|n| format!("{n}\n")).collect();
    let output = with_input(tool(4, &["sh", "-c", script]), input.as_bytes());
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().enumerate().all(|(n, line)| line.trim_start_matches('x') == n.to_string()));
}

#[test]
fn killed_in_the_middle_it_leaves_nobody_behind() {
    let (mut read, write) = std::io::pipe().expect("a pipe");
    let mut tool = tool(3, &["sh", "-c", "echo $$ >&7; sleep 1000 & sleep 1000; wait"]);
    // The children inherit the end of the pipe: when nobody has it any more, all are gone.
    let number = std::os::fd::AsRawFd::as_raw_fd(&write);
    // SAFETY: between fork and exec: one system call, on a descriptor that is open.
    unsafe {
        use std::os::unix::process::CommandExt;
        tool.pre_exec(
            move || if libc::dup2(number, 7) == 7 { Ok(()) } else { Err(std::io::Error::last_os_error()) },
        );
    }
    let mut tool = tool.spawn().expect("the tool");
    drop(write);
    tool.stdin.take().expect("piped").write_all(b"1\n2\n3\n").expect("it reads");
    let mut lines = 0;
    let mut byte = [0];
    while lines < 3 {
        read.read_exact(&mut byte).expect("all three say so");
        lines += usize::from(byte == *b"\n");
    }
    tool.kill().expect("killed");
    assert_eq!(tool.wait().expect("its end").signal(), Some(libc::SIGKILL));
    let mut rest = Vec::new();
    read.read_to_end(&mut rest).expect("the end of the pipe");
}
