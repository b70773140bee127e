//! The crash sweep: kills a process with SIGKILL after k instructions of an operation, for every k, and asks the
//! survivors whether every promise was kept.
//!
//! ```text
//! cargo test --release --test crash                    a few points of every scenario
//! cargo test --release --test crash -- --full          every point: the kill table
//! cargo test --release --test crash -- --mutant NAME   a fault put into the library must be noticed
//! ```

#[cfg(target_arch = "x86_64")]
mod barrier;
#[cfg(target_arch = "x86_64")]
mod broadcast;
#[cfg(target_arch = "x86_64")]
mod byte_lane;
#[cfg(target_arch = "x86_64")]
mod channel;
#[cfg(target_arch = "x86_64")]
mod condvar;
#[cfg(target_arch = "x86_64")]
mod engine;
#[cfg(target_arch = "x86_64")]
mod family;
#[cfg(target_arch = "x86_64")]
mod join;
#[cfg(target_arch = "x86_64")]
mod kept;
#[cfg(target_arch = "x86_64")]
mod lane;
#[cfg(target_arch = "x86_64")]
mod latest;
#[cfg(target_arch = "x86_64")]
mod lock;
#[cfg(target_arch = "x86_64")]
mod mutants;
#[cfg(target_arch = "x86_64")]
mod permits;
#[cfg(target_arch = "x86_64")]
mod pipe;
#[cfg(target_arch = "x86_64")]
mod recursive;
#[cfg(target_arch = "x86_64")]
mod report;
#[cfg(target_arch = "x86_64")]
mod run;
#[cfg(target_arch = "x86_64")]
mod rwlock;
#[cfg(target_arch = "x86_64")]
mod semaphore;
#[cfg(target_arch = "x86_64")]
mod toys;
#[cfg(target_arch = "x86_64")]
mod wait_set;
#[cfg(target_arch = "x86_64")]
mod work;

#[cfg(target_arch = "x86_64")]
fn main() -> std::process::ExitCode {
    run::main()
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("the crash sweep steps x86-64 code only");
}
