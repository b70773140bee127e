//! The tool where its surroundings are not as usual: streams that are closed, full or that nobody reads, ignored signals, lines
//! and names that are no plain text. Nothing is lost without a word, and the exit code says it.

use interproc::Segment;
use std::io::Write;
use std::process::{Command, Output, Stdio};

const TOOL: &str = env!("CARGO_BIN_EXE_interproc");

/// Runs a line of the shell in which `$t` is the tool.
fn shell(line: &str) -> Output {
    shell_with(line, b"")
}

fn shell_with(line: &str, input: &[u8]) -> Output {
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(line).env("t", TOOL);
    let mut shell =
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bash");
    let mut stdin = shell.stdin.take().expect("piped");
    std::thread::scope(|scope| {
        scope.spawn(move || drop(stdin.write_all(input)));
        let output = shell.wait_with_output().expect("its end");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{line}: {output:?}");
        output
    })
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// A segment with an object, and its name.
struct Shop(String, Segment);

impl Shop {
    fn new(what: &str) -> Shop {
        let name = format!("/interproc-test-around-{}-{what}", std::process::id());
        let segment = Segment::create(&name, 1 << 16).expect("a segment");
        Shop(name, segment)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = Segment::unlink(&self.0);
    }
}

#[track_caller]
fn ends(line: &str, code: i32, says: &str) {
    let output = shell(line);
    let said = text(&output.stderr);
    assert!(
        output.status.code() == Some(code) && said.contains(says),
        "{line}: {:?}, {said:?}",
        output.status
    );
}

/// All that writes to the output.
fn writers(shop: &Shop) -> Vec<String> {
    let name = &shop.0;
    let mut all: Vec<String> =
        ["ls", "--help", "help run", "--version", "demo --help"].map(|c| format!("\"$t\" {c}")).into();
    for json in ["", " --json"] {
        all.extend(["inspect", "ps", "deadlocks"].map(|c| format!("\"$t\" {c} {name}{json}")));
    }
    all.extend(["\"$t\" ls --json".to_owned(), "echo x | \"$t\" run echo".to_owned()]);
    all
}

#[test]
fn a_closed_input_is_no_empty_one() {
    let name = format!("interproc-test-around-{}-closed", std::process::id());
    ends(&format!("\"$t\" send {name} <&-"), 2, "the standard input is closed");
    ends(&format!("\"$t\" send --raw {name} <&-"), 2, "the standard input is closed");
    ends("\"$t\" run echo <&-", 2, "the standard input is closed");
    // Who does not read is not concerned.
    ends("\"$t\" ls <&- >/dev/null", 0, "");
    assert!(Segment::open(&format!("/{name}")).is_err(), "nothing was made");
}

#[test]
fn a_closed_or_full_output_is_told() {
    let shop = Shop::new("full");
    for line in writers(&shop) {
        ends(&format!("{line} >&-"), 2, "the standard output is closed");
        ends(&format!("{line} >/dev/full"), 2, "the output: No space left");
    }
    ends("\"$t\" recv interproc-test-around-nobody >&-", 2, "the standard output is closed");
}

#[test]
fn an_output_that_nobody_reads_ends_it_as_sigpipe_would() {
    let shop = Shop::new("pipe");
    for line in writers(&shop) {
        // Its reader has gone before it begins.
        let line = format!("exec 3> >(exec true); sleep 0.1; wait $!; {line} >&3");
        let output = shell(&line);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(141), ""), "{line}");
    }
}

#[test]
fn complaints_that_cannot_be_told_change_nothing_else() {
    for to in ["2>&-", "2>/dev/full"] {
        ends(&format!("echo x | \"$t\" run sh -c 'exit 7' {to}"), 7, "");
        ends(&format!("\"$t\" inspect interproc-test-around-none {to}"), 2, "");
    }
    // But what a command says is output, too.
    ends("echo x | \"$t\" run sh -c 'echo oh >&2' 2>/dev/full", 2, "");
}

#[test]
fn how_children_end_is_known_where_sigchld_is_ignored() {
    let ignoring = "trap '' CHLD; exec \"$t\" run sh -c";
    let output = shell_with(&format!("{ignoring} 'echo $0; exit $0'"), b"0\n3\n0\n");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(3), "0\n3\n0\n"), "{output:?}");
    assert!(text(&output.stderr).contains("exit code 3"));
}

#[test]
fn commands_get_sigpipe_as_it_usually_is() {
    let output = shell_with("\"$t\" run sh -c 'kill -PIPE $$'", b"x\n");
    assert_eq!(output.status.code(), Some(128 + 13), "{output:?}");
}

#[test]
fn lines_in_complaints_are_shown_without_what_steers_or_hides_and_are_cut() {
    let line = "a\u{202e}b\u{1b}[2Jc\u{200b}d\u{9b}e";
    let output = shell_with("\"$t\" run false", format!("{line}\n").as_bytes());
    let said = text(&output.stderr);
    assert!(!said.contains(['\u{202e}', '\u{1b}', '\u{200b}', '\u{9b}']), "{said:?}");
    assert!(said.contains("a\\u{202e}b\\u{1b}[2Jc\\u{200b}d\\u{9b}e: exit code 1"), "{said:?}");
    // Too long for a command's argument.
    let long = [&vec![b'x'; 3 << 20][..], b"\nshort\n"].concat();
    let output = shell_with("\"$t\" run echo", &long);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(126), "short\n"));
    assert!(
        said.len() < 2000 && said.contains("(3145728 bytes)") && said.contains("1 of 2 failed"),
        "{said:?}"
    );
}

#[test]
fn a_line_that_is_too_long_to_be_sent_is_told() {
    let name = format!("interproc-test-around-{}-long", std::process::id());
    let output =
        shell_with(&format!("\"$t\" send {name}"), &[&b"first\n"[..], &vec![b'x'; 1 << 20]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("longer than 262144 bytes"), "{output:?}");
    let output = shell(&format!("\"$t\" recv {name}"));
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "first\n"), "{output:?}");
}

#[test]
fn names_of_objects_cannot_hide_or_turn_the_text_around() {
    let shop = Shop::new("names");
    let name = "pa\u{202e}y\u{200b}\u{3164}";
    shop.1.queue::<u64>(name, 4).expect("a queue");
    let output = shell(&format!("\"$t\" inspect {}", shop.0));
    assert!(text(&output.stdout).contains("pa\\u{202e}y\\u{200b}\\u{3164}"), "{output:?}");
    let output = shell(&format!("\"$t\" inspect --json {}", shop.0));
    assert!(output.stdout.is_ascii(), "{output:?}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(told.to_string().contains(name), "{told}");
}
