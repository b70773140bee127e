//! What safe Rust must not be able to say: each line of `refused/*.rs` that ends in `//~ CODE` must be refused by the compiler
//! with that error, and no other line. `//~ CODE text` wants the text in the message, too: one of the library's own.
//! The programs in `allowed` must compile, without a warning: so what is refused is refused for its own reason.
//!
//! The programs are compiled against the very library that this test was built with, and not linked. Only codes and lines are
//! compared, as the compiler's wording changes. (`compile_fail` examples compare neither on a stable compiler, and trybuild
//! compares the whole wording, and builds the library once more.)

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/safe_rust")
}

/// The library that this test was built with, as cargo names it: all is fresh, so this builds nothing.
fn library() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--no-run", "--offline", "--test", "safe_rust", "--message-format", "json"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    if cfg!(feature = "cli") {
        cargo.args(["--features", "cli"]);
    }
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let of_ours = |line: &&str| line.contains("\"name\":\"interproc\"") && line.contains(".rlib\"");
    let artifact = said.lines().find(of_ours).expect("the library among what cargo has built");
    artifact.split('"').find(|word| word.ends_with(".rlib")).expect("its path").into()
}

/// Compiles a program; what the compiler says, a line for each error: `path:line:column: error[code]: message`.
fn compile(library: &Path, program: &Path) -> (bool, String) {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args([
        "--edition",
        "2024",
        "--crate-type",
        "lib",
        "--crate-name",
        "program",
        "--emit",
        "metadata",
    ]);
    command.args(["--error-format", "short", "-D", "warnings", "-A", "dead_code", "-A", "unused"]);
    command.arg("--out-dir").arg(env!("CARGO_TARGET_TMPDIR"));
    command.arg("-L").arg(format!("dependency={}", library.parent().expect("a directory").display()));
    command.arg("--extern").arg(format!("interproc={}", library.display())).arg(program);
    let output = command.output().expect("rustc");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn programs(of: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(here().join(of)).expect("a directory");
    let mut files: Vec<_> = files.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// What is wrong with one program that must be refused.
fn wrong(library: &Path, program: &Path) -> Option<String> {
    let (_, said) = compile(library, program);
    let file = program.file_name().expect("a name").to_string_lossy().into_owned();
    let text = std::fs::read_to_string(program).expect("the program");
    let marks: Vec<(usize, &str, &str)> = (1..)
        .zip(text.lines())
        .filter_map(|(number, line)| Some((number, line.split_once("//~ ")?.1)))
        .map(|(number, mark)| {
            let (code, wanted) = mark.split_once(' ').unwrap_or((mark, ""));
            (number, code.trim(), wanted.trim())
        })
        .collect();
    assert!(!marks.is_empty(), "{file} marks nothing");
    let found: Vec<(usize, &str, &str)> = said
        .lines()
        .filter_map(|line| {
            let (place, error) = line.split_once(": error")?;
            let (code, message) = match error.strip_prefix('[') {
                Some(rest) => rest.split_once("]: ")?,
                None => ("plain", error),
            };
            let number = place.split_once(&*file)?.1.split(':').nth(1)?.parse().ok()?;
            Some((number, code, message))
        })
        .collect();
    let expected: BTreeSet<_> = marks.iter().map(|&(number, code, _)| (number, code)).collect();
    let actual: BTreeSet<_> = found.iter().map(|&(number, code, _)| (number, code)).collect();
    let mut complaints = String::new();
    for (number, code) in expected.difference(&actual) {
        complaints += &format!("{file}:{number}: compiles, or not for {code}\n");
    }
    for (number, code) in actual.difference(&expected) {
        complaints += &format!("{file}:{number}: {code} was not expected\n");
    }
    for &(number, code, wanted) in &marks {
        let told =
            |&(at, is, message): &(usize, &str, &str)| at == number && is == code && message.contains(wanted);
        if actual.contains(&(number, code)) && !found.iter().any(told) {
            complaints += &format!("{file}:{number}: the message does not say \"{wanted}\"\n");
        }
    }
    (!complaints.is_empty()).then(|| format!("{complaints}{said}"))
}

#[test]
fn what_would_be_unsound_does_not_compile() {
    let library = library();
    let programs = programs("refused");
    let complaints: Vec<String> = std::thread::scope(|s| {
        let library = &library;
        let runs: Vec<_> = programs.iter().map(|program| s.spawn(move || wrong(library, program))).collect();
        runs.into_iter().filter_map(|run| run.join().expect("no panic")).collect()
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Two versions of the crate may come into one program by two of its dependencies: functions of C's names would be there twice.
/// (Looked up in the sources, as this test itself is built with them.)
#[test]
fn only_the_feature_for_c_brings_the_symbols_of_the_c_interface() {
    fn exporting(dir: &Path, found: &mut Vec<PathBuf>) {
        for path in std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("a file").path()) {
            if path.is_dir() {
                exporting(&path, found);
            } else if std::fs::read_to_string(&path).is_ok_and(|text| text.contains("no_mangle")) {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    exporting(&root.join("src"), &mut found);
    assert!(found.len() > 10 && found.iter().all(|path| path.starts_with(root.join("src/ffi"))), "{found:?}");
    let library = std::fs::read_to_string(root.join("src/lib.rs")).expect("the library");
    let gate = library.lines().take_while(|line| *line != "mod ffi;").last().expect("its gate");
    assert!(gate.contains("any(feature = \"c-abi\", test)"), "{gate}");
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).expect("the manifest");
    let features =
        manifest.split("[features]").nth(1).and_then(|rest| rest.split("\n[").next()).expect("features");
    let bringing = features.lines().filter(|line| line.contains("\"c-abi\"")).count();
    assert_eq!(bringing, 0, "no other feature brings it: {features}");
}

#[test]
fn a_crate_that_forbids_unsafe_code_can_use_all_of_it() {
    let library = library();
    for program in programs("allowed") {
        let (compiled, said) = compile(&library, &program);
        assert!(compiled && said.is_empty(), "{}: {said}", program.display());
    }
}
