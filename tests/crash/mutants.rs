//! Seeded faults: the same sweep over a library with one line broken must fail.

use crate::engine::Scenario;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

/// A fault and the row of the kill table that must notice it.
pub struct Mutant {
    /// The name in `mutant!`.
    pub name: &'static str,
    /// The title of the row, in small letters; it may do without who is killed.
    pub row: &'static str,
}

const fn mutant(name: &'static str, row: &'static str) -> Mutant {
    Mutant { name, row }
}

/// All that the sweep can see. The others are the models' business: about reordering and generations, or hidden here by a
/// second line of defence (who waits for a condition is told by the bell and by the last holder's slot; the death of whoever has a seat
/// rings the bell as well).
pub const ALL: &[Mutant] = &[
    mutant("unlock-no-wake", "mutex unlock, a sleeper, holder"),
    mutant("unlock-no-bell", "mutex lock+unlock, behind a holder, before a sleeper"),
    mutant("sleeper-forgets-waiters", "mutex unlock, two sleepers"),
    mutant("inherit-not-dirty", "mutex unlock, inherited, given up, recoverer"),
    mutant("no-owner-watch", "mutex unlock, a sleeper, holder"),
    mutant("bell-not-passed-on", "queue close, empty, two consumers asleep"),
    mutant("notify-no-wake", "condvar notify_one+unlock, a waiter asleep"),
    mutant("moved-forgets-waiters", "condvar wait, woken with all, before two waiters"),
    mutant("last-unwatched", "condvar lock+notify_one+unlock, a waiter about to sleep"),
    mutant("publish-no-wake", "queue push, a consumer asleep, producer"),
    mutant("close-no-wake", "queue close, empty, two consumers asleep"),
    mutant("no-cell-watch", "queue push, a consumer about to sleep, producer"),
    mutant("gap-not-passed", "queue push, two consumers asleep"),
    mutant("gap-left-behind", "queue pop, two deaths: push, then pop over what it left"),
    mutant("redelivery-untold", "queue pop, part full"),
    mutant("in-place-no-rest", "queue borrow+release, empty, two consumers behind it, then fed"),
    mutant("force-not-consumed", "queue force_push, full, producer"),
    mutant("latest-no-wake", "latest set, one waits for it"),
    mutant("latest-overwrites-current", "latest set, nobody waits"),
    mutant("latest-current-unwatched", "latest set, one about to wait for it"),
    mutant("door-no-wake", "waitset push, a set asleep, producer"),
    mutant("door-not-moved", "waitset push, a set about to sleep, producer"),
    mutant("set-others-unwatched", "waitset push, a set about to sleep, producer"),
    mutant("work-sets-untold", "waitset put, a set asleep, producer"),
    mutant("skip-too-far", "queue pop, far behind a message in hand"),
    mutant("lane-redelivery-untold", "spsc pop, full, consumer"),
    mutant(
        "lane-suspects-forgotten",
        "spsc take+pop, two deaths: two popped and not freed, then in its seat",
    ),
    mutant("byte-gap-not-passed", "bytequeue reserve+push+abort, two consumers asleep"),
    mutant("byte-no-cell-watch", "bytequeue push, a consumer about to sleep, producer"),
    mutant("byte-borrow-untold", "bytequeue borrow+release, empty, two consumers behind it, then fed"),
    mutant("byte-redelivery-untold", "bytequeue pop, full, consumer"),
    mutant("byte-lane-pad-alone", "bytelane push twice, with a pad, a consumer asleep"),
    mutant("byte-lane-freed-early", "bytelane borrow, one message"),
    mutant("byte-lane-redelivery-untold", "bytelane borrow, one message"),
    mutant("permit-no-wake", "permits release, a waiter, holder"),
    mutant("permit-untold", "permits release, nobody waits"),
    mutant("many-no-owner-watch", "permits release, a waiter for both, holder"),
    mutant("work-books-kept", "workqueue take+done, by priority, full, worker"),
    mutant("broadcast-desk-kept", "broadcast publisher+publish twice, nobody listens, only publisher"),
    mutant("barrier-no-wake", "barrier wait, seated, another waits"),
    mutant("barrier-dead-unseen", "barrier computing, two others wait"),
    mutant("post-no-wake", "semaphore post, a sleeper"),
    mutant("post-in-two-steps", "semaphore post, a sleeper"),
    mutant("acquire-no-bell", "semaphore acquire, asleep, before a sleeper, then a post"),
    mutant("set-no-wake", "event set, a sleeper"),
    mutant("set-wakes-one", "event set, three sleepers"),
    mutant("set-in-two-steps", "event set, a sleeper"),
    mutant("depth-inherited", "recursivemutex three levels, nobody waits"),
    mutant("wait-forgets-depth", "condvar notify_one+unlock at depth two, a waiter at depth two asleep"),
    mutant("retry-untold", "once call, nobody waits"),
    mutant("line-after-start", "builder fork, a bound child"),
    mutant("refused-unasked", "member detach, a member among others"),
    mutant("cell-no-wake", "rwlock unlock, a cell, a writer asleep, reader"),
    mutant("dead-reader-stays", "rwlock read+unlock, free"),
    mutant("hold-no-wake", "rwlock unlock, a hold, a writer asleep, reader"),
    mutant("no-second-read", "rwlock read once more, a cell, a writer asleep"),
    mutant("passing-is-news", "rwlock read+unlock, behind a writer, before a reader"),
    mutant("pipe-dead-peer", "pipe send, the other end waits, sender"),
    mutant("pipe-cut-untold", "pipe send, in pieces, the other end waits, sender"),
    mutant("lane-hang-up-unseen", "pipe adopt, a bare fork's child"),
];

/// Builds this program with the mutants in it, once, and gives its path.
fn build() -> Result<PathBuf, String> {
    let exe = std::env::current_exe().map_err(|e| e.to_string())?;
    // .../target/<profile>/deps/crash-<hash>
    let profile = exe.ancestors().nth(2).ok_or("no target directory")?;
    let target = profile.parent().ok_or("no target directory")?.join("mutants");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--no-run", "--test", "crash", "--message-format=json"]);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default() + " --cfg interproc_mutants";
    command.env("RUSTFLAGS", flags.trim()).env("CARGO_TARGET_DIR", &target).stderr(Stdio::inherit());
    let output = command.output().map_err(|e| format!("cargo: {e}"))?;
    if !output.status.success() {
        return Err("the build with mutants failed".into());
    }
    // The messages are one JSON object a line; only one of them names a program.
    let text = String::from_utf8_lossy(&output.stdout);
    let mut found = text.lines().filter_map(|l| l.split_once("\"executable\":\"")?.1.split('"').next());
    found.next_back().map(PathBuf::from).ok_or("cargo named no program".into())
}

/// Sweeps the library with each of these faults, over the row that is its own; succeeds only if every one is noticed.
pub fn run(mutants: &[&Mutant], rows: &[Box<dyn Scenario>]) -> ExitCode {
    let nowhere = |mutant: &&&Mutant| !rows.iter().any(|row| row.title().is(mutant.row));
    if let Some(mutant) = mutants.iter().find(nowhere) {
        eprintln!("{}: no row is titled {:?}", mutant.name, mutant.row);
        return ExitCode::FAILURE;
    }
    let program = match build() {
        Ok(program) => program,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::FAILURE;
        }
    };
    let mut missed = 0;
    for mutant in mutants {
        let found = (0..TRIES).find_map(|_| sweep(&program, mutant));
        let caught = found.is_some();
        let first = found.unwrap_or_else(|| "NOT NOTICED".into());
        println!("{:<24} {first}", mutant.name);
        missed += usize::from(!caught);
    }
    println!("mutants: {}, not noticed: {missed}", mutants.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Some faults show only where others came in time, too: a sweep that met none of these orders is no proof.
const TRIES: usize = 10;

/// The first failure that a sweep of the mutant's row finds.
fn sweep(program: &PathBuf, mutant: &Mutant) -> Option<String> {
    let mut command = Command::new(program);
    command.args(["--full", "--row", mutant.row, "--no-toys", "--max-failures", "1"]);
    let output = command.env("INTERPROC_MUTANT", mutant.name).output().expect("the program was just built");
    let text = String::from_utf8_lossy(&output.stdout);
    let caught = output.status.code() == Some(1) && text.contains("FAILED ");
    let first = text.lines().skip_while(|l| !l.starts_with("FAILED ")).take(2).map(str::trim);
    caught.then(|| first.collect::<Vec<_>>().join(": "))
}
