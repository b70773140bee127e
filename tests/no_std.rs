//! The core needs neither std nor an allocator: a program that has none of them uses it, links and runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Runs a command to its end; what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    text
}

/// Builds `tests/no_std_host` as a dependent of this crate, below the target directory, with our locked versions.
fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (from, to) =
        (root.join("tests/no_std_host"), Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_std_host"));
    let manifest = fs::read_to_string(from.join("Cargo.toml")).expect("the manifest");
    assert!(manifest.contains("path = \"../..\""));
    fs::create_dir_all(to.join("src")).expect("a directory");
    let manifest = manifest.replace("path = \"../..\"", &format!("path = {root:?}"));
    fs::write(to.join("Cargo.toml"), manifest).expect("a file");
    fs::copy(from.join("src/main.rs"), to.join("src/main.rs")).expect("a file");
    fs::copy(root.join("Cargo.lock"), to.join("Cargo.lock")).expect("a file");
    run(Command::new(env!("CARGO"))
        .args(["build", "--release"])
        .current_dir(&to)
        .env_remove("CARGO_TARGET_DIR"));
    to.join("target/release/no_std_host")
}

#[test]
fn a_program_without_std_and_without_an_allocator_locks_queues_and_inherits() {
    let program = build();
    run(&mut Command::new(&program));

    let symbols = run(Command::new("nm").arg(&program));
    let forbidden =
        ["__rust_alloc", "__rust_realloc", "__rg_", "malloc", "calloc", "realloc", "3std", "5alloc"];
    let found: Vec<&str> = symbols.lines().filter(|l| forbidden.iter().any(|f| l.contains(f))).collect();
    assert!(found.is_empty(), "{found:#?}");
    // The look itself works: what the program does call is there.
    assert!(symbols.contains("madvise"), "{symbols}");
}
