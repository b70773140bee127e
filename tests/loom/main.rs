//! Loom models: the algorithms of the crate under all interleavings within bounds, with deaths at every step.
//!
//! Run with
//! `RUSTFLAGS="--cfg interproc_loom --cfg interproc_mutants" CARGO_TARGET_DIR=target/loom cargo test --release --test loom`.

#[cfg(interproc_loom)]
mod event;
#[cfg(interproc_loom)]
mod mutex;
#[cfg(interproc_loom)]
mod once;
#[cfg(interproc_loom)]
mod queue;
#[cfg(interproc_loom)]
mod recursive_mutex;
#[cfg(interproc_loom)]
mod runner;
#[cfg(interproc_loom)]
mod semaphore;
#[cfg(interproc_loom)]
mod support;
#[cfg(interproc_loom)]
mod toys;

#[cfg(interproc_loom)]
fn main() -> std::process::ExitCode {
    runner::main(&[
        toys::MODELS,
        mutex::MODELS,
        queue::MODELS,
        semaphore::MODELS,
        event::MODELS,
        recursive_mutex::MODELS,
        once::MODELS,
    ])
}

#[cfg(not(interproc_loom))]
fn main() {
    println!(
        "loom models are not in this build; run them with\n  RUSTFLAGS=\"--cfg interproc_loom --cfg interproc_mutants\" \
         CARGO_TARGET_DIR=target/loom cargo test --release --test loom"
    );
}
