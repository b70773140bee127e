//! Loom models: the algorithms of the crate under all interleavings within bounds, with deaths at every step.
//!
//! Run with
//! `RUSTFLAGS="--cfg interproc_loom --cfg interproc_mutants" CARGO_TARGET_DIR=target/loom cargo test --release --test loom`.
//!
//! # Which model must catch which mutant
//!
//! Every run checks this table's rows (`catches` in the models; the toys have mutants of their own). `--table` tries
//! every model with every mutant, which takes much longer.
//!
//! | mutant | caught by |
//! |---|---|
//! | awaited-uncounted | condvar: a lock is not taken for unawaited while somebody waits |
//! | barrier-dead-unseen | barrier: a seated party may die anywhere before its wait and in it; barrier: two that wait are both told of the death of a third |
//! | barrier-no-seat-watch | barrier: a newcomer may die anywhere |
//! | barrier-no-wake | barrier: two parties pass with one leader and see what the other did, and five more |
//! | barrier-wakes-one | barrier: three parties pass with one leader; barrier: two that wait are both told of the death of a third |
//! | bell-not-last | queue: one sleeper hears of two deaths, another waits for a message |
//! | bell-not-passed-on | queue: a bell reaches the one whom it concerns |
//! | bury-any-claim | members: who takes a seat buries what its former process left, and no more |
//! | bury-forgets-members | members: one leaves and another with its tid comes, the first may die anywhere; members: who takes a seat buries what its former process left, and no more |
//! | bury-live | members: who takes a seat buries what its former process left, and no more |
//! | bury-no-wake | members: who waits for a buried one is woken, or when its slot is claimed |
//! | claim-no-generation | members: a late verdict on one who is dead spares the next in its slot; members: a dead one's lock is inherited though its slot lives again |
//! | claim-relaxed | members: one leaves and another with its tid comes, the first may die anywhere |
//! | claim-takes-live-claim | members: two with one tid race for a slot, one may die anywhere |
//! | close-no-wake | queue: the end wakes all who wait |
//! | confirm-before-describe | members: an id that can be read is described |
//! | confirm-before-link | members: two with one tid race for a slot, one may die anywhere |
//! | confirm-no-fence | members: an id that can be read names a live slot |
//! | death-not-passed-on | mutex: the heir of a dead holder may die anywhere |
//! | describe-no-fence | members: a description is read whole or not at all |
//! | gap-not-passed | queue: a producer is dead, and two meet at what it left |
//! | guard-relaxed | mutex: two guards exclude each other |
//! | heir-raises-no-alarm | condvar: a death that nobody reports is passed on by the next locker |
//! | holder-does-not-rest | condvar: a notifier may die anywhere, with a waiter asleep or about to; condvar: a notifier may die anywhere after its unlock, with a waiter asleep |
//! | holder-unsigned | condvar: a notifier may die anywhere, with a waiter asleep or about to |
//! | identity-looks-once | members: a description is read whole or not at all |
//! | inherit-not-dirty | mutex: a dead holder's lock goes to the next, who is told |
//! | kernel-closes-first | members: two with one tid race for a slot, one may die anywhere |
//! | last-unwatched | condvar: a notifier may die anywhere, with a waiter asleep or about to |
//! | leave-before-unlink | members: one leaves and another with its tid comes, the first may die anywhere |
//! | leave-no-wake | members: who waits for one that leaves, or is found dead, is woken |
//! | leave-relaxed | members: one leaves and another with its tid comes, the first may die anywhere |
//! | life-no-generation | members: a dead one's lock is inherited though its slot lives again |
//! | link-before-claim | members: two with one tid race for a slot, one may die anywhere |
//! | many-death-not-passed-on | permits: one that hears of two deaths tells others of both |
//! | many-no-owner-watch | permits: a dead holder's permit goes to the next, who is told, and two more; barrier: a seated party may die anywhere before its wait and in it |
//! | many-one-death-passed-on | permits: one that hears of two deaths tells others of both |
//! | mark-dead-no-generation | members: a late verdict on one who is dead spares the next in its slot |
//! | mark-dead-no-wake | members: who waits for one that leaves, or is found dead, is woken |
//! | moved-forgets-waiters | condvar: all who wait are told |
//! | no-cell-watch | queue: a producer dies, its consumer gets the message or the next one; queue: a consumer dies, its producer gets room |
//! | no-closed-watch | queue: a closer dies, and it is closed or not |
//! | no-owner-watch | mutex: a dead holder's lock goes to the next, who is told |
//! | no-want-fence | mutex: two threads exclude each other |
//! | notify-no-wake | condvar: a waiter is told |
//! | passed-reader-forgotten | queue: a consumer dies, another gets its message and is told |
//! | permit-no-wake | permits: one permit, two threads exclude each other, and four more |
//! | permit-untold | permits: a dead holder's permit goes to the next, who is told |
//! | pipe-call-no-wake | pipe: a caller is answered; pipe: a caller may die anywhere, with who listens asleep or about to |
//! | pipe-lost-race-is-full | pipe: who leaves makes room, and may die anywhere |
//! | pipe-no-redirection | pipe: who listens moves, and its caller is answered |
//! | pipe-no-second-look | pipe: a call that was made is not taken away |
//! | pipe-no-third-look | pipe: who listens no more refuses or hangs up, and may die anywhere |
//! | pipe-room-no-wake | pipe: who leaves makes room, and may die anywhere |
//! | pipe-void-stays | pipe: a dead caller leaves no slot behind |
//! | publish-no-wake | queue: a consumer sleeps for a message; queue: a producer sleeps for room; queue: two messages go through two cells; queue: what is published out of order reaches both who wait |
//! | reclaim-no-wake | members: who waits for a buried one is woken, or when its slot is claimed |
//! | redelivery-untold | queue: a consumer dies, another gets its message and is told; queue: a consumer is dead, and two meet at what it left |
//! | relaxed-release | queue: a consumer sleeps for a message; queue: a producer sleeps for room; queue: two messages go through two cells |
//! | row-no-fence | permits: one permit, two threads exclude each other; barrier: two parties pass with one leader and see what the other did |
//! | seat-no-incarnation | members: whose process is gone is found dead by its seat, and nobody else |
//! | sleeper-forgets-waiters | mutex: three threads exclude each other |
//! | unlock-no-bell | mutex: a contender may die anywhere; mutex: a contender with a guard may die anywhere |
//! | unlock-no-wake | mutex: two threads exclude each other; mutex: three threads exclude each other; mutex: two guards exclude each other; mutex: a contender with a guard may die anywhere; mutex: who gives up takes no wake-up along |
//! | waiter-no-bell | condvar: one of all who are told may die anywhere; condvar: the waiter that is woken may die anywhere |
//! | waiter-uncounted | condvar: a notification that finds nobody overlooks nobody who comes |
//! | wake-only-one | queue: what is published out of order reaches both who wait |
//! | want-no-look | mutex: two threads exclude each other |
//! | want-no-watch | mutex: two threads exclude each other |

#[cfg(interproc_loom)]
mod barrier;
#[cfg(interproc_loom)]
mod bounded_semaphore;
#[cfg(interproc_loom)]
mod condvar;
#[cfg(interproc_loom)]
mod event;
#[cfg(interproc_loom)]
mod members;
#[cfg(interproc_loom)]
mod mutex;
#[cfg(interproc_loom)]
mod once;
#[cfg(interproc_loom)]
mod pipe;
#[cfg(interproc_loom)]
mod queue;
#[cfg(interproc_loom)]
mod recursive_mutex;
#[cfg(interproc_loom)]
mod runner;
#[cfg(interproc_loom)]
mod rwlock;
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
        barrier::MODELS,
        bounded_semaphore::MODELS,
        members::MODELS,
        mutex::MODELS,
        queue::MODELS,
        semaphore::MODELS,
        event::MODELS,
        recursive_mutex::MODELS,
        once::MODELS,
        pipe::MODELS,
        rwlock::MODELS,
        condvar::MODELS,
    ])
}

#[cfg(not(interproc_loom))]
fn main() {
    println!(
        "loom models are not in this build; run them with\n  RUSTFLAGS=\"--cfg interproc_loom --cfg interproc_mutants\" \
         CARGO_TARGET_DIR=target/loom cargo test --release --test loom"
    );
}
