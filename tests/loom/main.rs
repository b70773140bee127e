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
//! | abort-no-wake | in place: an aborted reservation lets those behind it go on; in place: an aborted reservation is room for one who waits |
//! | awaited-uncounted | condvar: a lock is not taken for unawaited while somebody waits |
//! | barrier-dead-unseen | barrier: a seated party may die anywhere before its wait and in it; barrier: two that wait are both told of the death of a third |
//! | barrier-no-seat-watch | barrier: a newcomer may die anywhere |
//! | barrier-no-wake | barrier: two parties pass with one leader and see what the other did, and nine more |
//! | barrier-short-memory | barrier: who looks rounds late is told how its own ended; barrier: who looks many resets late is told how its own round ended |
//! | barrier-trusts-notes-alone | barrier: who looks many resets late is told how its own round ended |
//! | barrier-wakes-one | barrier: three parties pass with one leader; barrier: two that wait are both told of the death of a third |
//! | bell-hides-a-slot | lane: hanging up, who waits for a lock of the dead producer takes no wake-up of its consumer along |
//! | bell-not-last | queue: one sleeper hears of two deaths, another waits for a message |
//! | bell-not-passed-on | queue: a bell reaches the one whom it concerns |
//! | broadcast-desk-kept | broadcast: a publisher may die anywhere, a subscriber asleep gets what is there and the next one's message |
//! | broadcast-joiner-unsettled | broadcast: one that joins is not overrun by a ring and more |
//! | broadcast-joins-unseen | broadcast: one that joins beside a publisher is waited for |
//! | broadcast-publisher-unwatched | broadcast: the only publisher may die anywhere, a subscriber asleep or about to gets what is there |
//! | broadcast-relaxed | broadcast: one that waits gets every message as it was published |
//! | broadcast-subscriber-unwatched | broadcast: a subscriber may die anywhere, a publisher that waits for it goes on |
//! | broadcast-unchecked | broadcast: one that lags gets no message for another |
//! | broadcast-unclaimed | broadcast: one that lags gets no message for another |
//! | bury-any-claim | members: who takes a seat buries what its former process left, and no more |
//! | bury-forgets-members | members: one leaves and another with its tid comes, the first may die anywhere; members: who takes a seat buries what its former process left, and no more |
//! | bury-live | members: who takes a seat buries what its former process left, and no more |
//! | bury-no-wake | members: who waits for a buried one is woken, or when its slot is claimed |
//! | byte-abort-no-wake | byte queue: a reservation is given up, and the message behind reaches who waits |
//! | byte-gap-not-passed | byte queue: a producer is dead, and two meet at what it left; byte queue: a producer is dead in a full ring, and another gets its room; byte queue: who has reserved dies, and the message behind reaches who waits |
//! | byte-lap-looked-once | byte queue: a full ring moves on while two producers come, and no record lies over another |
//! | byte-lap-unchecked | byte queue: a walk that began a lap ago finds its way |
//! | byte-last-passed-only | byte queue: two read in place, and the first of them dies |
//! | byte-no-cell-watch | byte queue: a producer dies, its consumer gets the message or the next one; byte queue: a consumer dies, its producer gets room |
//! | byte-one-producer-woken | byte queue: room for a small one reaches it past a large one that waits |
//! | byte-passed-reader-forgotten | byte queue: a consumer dies, another gets its message and is told; byte queue: two read in place, and the first of them dies |
//! | byte-put-back-no-wake | byte queue: a message that is put back reaches who waits, and says so |
//! | byte-borrow-untold | byte queue: who reads in place dies, and one who slept before gets the message |
//! | byte-redelivery-untold | byte queue: a consumer dies, another gets its message and is told; byte queue: a consumer is dead, and two meet at what it left; byte queue: a message that is put back reaches who waits, and says so |
//! | byte-relaxed-release | byte queue: a consumer sleeps for a message; byte queue: a producer sleeps for room; byte queue: messages go round the ring, one of them over its end |
//! | byte-round-replaced | byte queue: a reader has the same granules again a lap later, and a slow producer leaves them to it |
//! | byte-wake-only-one | byte queue: what is published out of order reaches both who wait; byte queue: two have reserved, one commits and the other dies, and the message behind arrives |
//! | byte-watch-not-passed-on | byte queue: who watched a reserver runs out of time, another is told of its death |
//! | claim-no-generation | members: a late verdict on one who is dead spares the next in its slot; members: a dead one's lock is inherited though its slot lives again |
//! | claim-relaxed | members: one leaves and another with its tid comes, the first may die anywhere |
//! | claim-takes-live-claim | members: two with one tid race for a slot, one may die anywhere |
//! | close-no-wake | queue: the end wakes all who wait; byte queue: the end wakes all who wait; lane: the end wakes a consumer; lane: the end wakes a producer |
//! | comes-with-its-seat | barrier: nobody passes in a round that is over |
//! | confirm-before-describe | members: an id that can be read is described |
//! | confirm-before-link | members: two with one tid race for a slot, one may die anywhere |
//! | confirm-no-fence | members: an id that can be read names a live slot |
//! | death-not-passed-on | mutex: the heir of a dead holder may die anywhere |
//! | describe-no-fence | members: a description is read whole or not at all |
//! | door-no-wake | wait set: a message reaches a set of two queues |
//! | door-not-moved | wait set: a message reaches a set of two queues |
//! | door-wakes-one | wait set: two sets at one door hear both, and one who pops gets the message |
//! | set-announces-once | wait set: it hears again after it was woken |
//! | set-bell-not-passed-on | wait set: a bell that reaches a set reaches the one whom it concerns |
//! | set-door-not-noted | wait set: a message reaches a set of two queues |
//! | set-keeps-a-post | wait set: a post that woke a set reaches who acquires |
//! | set-never-asks | wait set: it hears again after it was woken |
//! | set-no-second-look | wait set: it hears again after it was woken |
//! | set-others-unwatched | wait set: a publisher may die anywhere, a set hears of what is there; wait set: the only producer of a lane may die anywhere, a set hears of what is there |
//! | set-sleeps-unannounced | wait set: a post that somebody else takes hides the next one from no set |
//! | set-stays-lonely | wait set: it hears again when nobody was there for a while |
//! | pipe-call-sets-untold | wait set: a call reaches a set of the listener |
//! | work-set-unawaited | wait set: a producer of jobs may die anywhere, a set hears of what is there |
//! | work-sets-untold | wait set: a producer of jobs may die anywhere, a set hears of what is there |
//! | end-behind-a-reader-untold | queue: the end reaches who waits behind a reader that began before the close; byte queue: the end reaches who waits behind a reader that began before the close; byte queue: a close beside a reader, and one who waits for the end |
//! | ends-well-with-a-bell | condvar: an orderly end wakes nobody who waits |
//! | ends-well-with-a-lock | condvar: one that ends well with the lock is a death like any other |
//! | every-end-is-a-death | condvar: an orderly end keeps nobody from falling asleep |
//! | force-not-consumed | forced: who displaces the oldest may die anywhere, with a producer asleep |
//! | force-untold | forced: who displaces the oldest tells a producer of the room behind it |
//! | gap-not-passed | queue: a producer is dead, and two meet at what it left |
//! | guard-relaxed | mutex: two guards exclude each other |
//! | heir-raises-no-alarm | condvar: a death that nobody reports is passed on by the next locker |
//! | holder-does-not-rest | condvar: a notifier may die anywhere, with a waiter asleep or about to; condvar: a notifier may die anywhere after its unlock, with a waiter asleep |
//! | holder-unsigned | condvar: a notifier may die anywhere, with a waiter asleep or about to |
//! | holder-unwatched | condvar: a notifier may die anywhere, with a waiter asleep or about to |
//! | identity-looks-once | members: a description is read whole or not at all |
//! | hole-ends-count | in place: a commit wakes for the message behind a place that was given up |
//! | in-place-no-rest | in place: whoever dies with a message in its hands, one who slept before is told |
//! | inherit-not-dirty | mutex: a dead holder's lock goes to the next, who is told |
//! | kernel-closes-first | members: two with one tid race for a slot, one may die anywhere |
//! | lane-hang-up-unsealed | lane: hanging up, who has sat down in a dead one's place is heard or refused |
//! | lane-hang-up-unseen | lane: hanging up, the producer's death is the end, after what it published; lane: hanging up, the consumer's death is the end |
//! | lane-peer-not-told | lane: a producer sits down beside a sleeping consumer and dies, and so another one; lane: a producer that moves to another thread may die anywhere |
//! | lane-peer-not-watched | lane: a producer dies, its consumer gets what it published, then the next one's; lane: a consumer dies, its producer gets room, or the next one its message; lane: hanging up, the producer's death is the end, after what it published; lane: hanging up, the consumer's death is the end |
//! | lane-proposal-not-withdrawn | lane: what was pushed before the end comes before the end |
//! | lane-redelivery-untold | lane: a consumer dies, its producer gets room, or the next one its message; lane: what a dead consumer read stays suspect, whoever dies over it |
//! | lane-refusal-untold | lane: what was pushed before the end comes before the end |
//! | lane-relaxed-free | lane: a producer sleeps for room; lane: three messages go through two slots |
//! | lane-relaxed-publish | lane: a consumer sleeps for a message; lane: three messages go through two slots |
//! | lane-seal-no-look | lane: what was pushed before the end comes before the end; lane: a consumer dies at the end, the next one finds the same end |
//! | lane-seat-taken-twice | lane: two race for a seat, whose holder is dead or gone |
//! | lane-suspects-forgotten | lane: what a dead consumer read stays suspect, whoever dies over it |
//! | lap-too-far | in place: places given up again and again, laps ahead, hide no message |
//! | last-unwatched | condvar: a notifier may die anywhere, with a waiter asleep or about to |
//! | latest-announced-ignored | latest: an announced read is whole, whatever the writers do |
//! | latest-current-unwatched | latest: a writer may die anywhere, with one who waits for the value |
//! | latest-no-wake | latest: who waits for a newer value is told |
//! | latest-overwrites-current | latest: a writer may die anywhere, with one who waits for the value |
//! | latest-reader-no-fence | latest: an announced read is whole, whatever the writers do |
//! | latest-relaxed-publish | latest: a read beside two sets is whole or is known not to be |
//! | latest-unmarked | latest: a read beside two sets is whole or is known not to be |
//! | latest-want-ignored | latest: an announced read is whole, whatever the writers do |
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
//! | no-closed-watch | queue: a closer dies, and it is closed or not; byte queue: a closer dies, and it is closed or not |
//! | no-owner-watch | mutex: a dead holder's lock goes to the next, who is told |
//! | no-want-fence | mutex: two threads exclude each other |
//! | notify-no-wake | condvar: a waiter is told; condvar: both who wait are told one by one |
//! | passed-reader-forgotten | queue: a consumer dies, another gets its message and is told |
//! | permit-no-wake | permits: one permit, two threads exclude each other, and four more |
//! | permit-untold | permits: a dead holder's permit goes to the next, who is told |
//! | pipe-call-no-wake | pipe: a caller is answered; pipe: a caller may die anywhere, another one is heard |
//! | pipe-call-no-wake | pipe: a caller is answered; pipe: a caller may die anywhere, another one is heard |
//! | pipe-lost-race-is-full | pipe: who leaves makes room, and may die anywhere |
//! | pipe-lost-race-is-full | pipe: who leaves makes room, and may die anywhere |
//! | pipe-no-redirection | pipe: who listens moves, and its caller is answered |
//! | pipe-no-redirection | pipe: who listens moves, and its caller is answered |
//! | pipe-no-second-look | pipe: a call that was made is not taken away |
//! | pipe-no-second-look | pipe: a call that was made is not taken away |
//! | pipe-no-third-look | pipe: who listens no more refuses or hangs up, and may die anywhere |
//! | pipe-no-third-look | pipe: who listens no more refuses or hangs up, and may die anywhere |
//! | pipe-room-no-wake | pipe: who leaves makes room, and may die anywhere |
//! | pipe-room-no-wake | pipe: who leaves makes room, and may die anywhere |
//! | pipe-void-stays | pipe: a dead caller leaves no slot behind |
//! | pipe-void-stays | pipe: a dead caller leaves no slot behind |
//! | publish-no-wake | queue: a consumer sleeps for a message; queue: a producer sleeps for room; queue: two messages go through two cells; queue: what is published out of order reaches both who wait; lane: a consumer sleeps for a message; lane: a producer sleeps for room |
//! | publish-no-wake | queue: a consumer sleeps for a message; queue: a producer sleeps for room; queue: two messages go through two cells; queue: what is published out of order reaches both who wait; byte queue: a consumer sleeps for a message; byte queue: a producer sleeps for room; byte queue: messages go round the ring, one of them over its end; byte queue: a large message waits for the room of two; byte queue: what is published out of order reaches both who wait |
//! | publish-no-wake | queue: a consumer sleeps for a message; queue: a producer sleeps for room; queue: two messages go through two cells; queue: what is published out of order reaches both who wait |
//! | put-back-untold | in place: a message that is put back goes to one who waits, who is told |
//! | reclaim-no-wake | members: who waits for a buried one is woken, or when its slot is claimed |
//! | redelivery-untold | queue: a consumer dies, another gets its message and is told; queue: a consumer is dead, and two meet at what it left |
//! | refusal-beside-a-close | lane: a quick refusal of a consumer is true, and no end; lane: a quick refusal of a producer is true, and no end |
//! | refusal-untold | lane: a consumer that is refused quickly leaves no room untold; lane: a producer that is refused quickly leaves no message untold |
//! | relaxed-release | queue: a consumer sleeps for a message; queue: a producer sleeps for room; queue: two messages go through two cells |
//! | reset-breaks-first | barrier: whom a reset frees may come again at once |
//! | reset-unnoted | barrier: who looks a reset late, with its seat taken over, is told how its own round ended |
//! | row-no-fence | permits: one permit, two threads exclude each other; barrier: two parties pass with one leader and see what the other did |
//! | seat-no-incarnation | members: whose process is gone is found dead by its seat, and nobody else |
//! | skip-too-far | queue: one keeps a message, another dies walking past it, and no other message is passed over; byte queue: one keeps a message, another dies walking past it, and no other message is passed over |
//! | sleeper-forgets-waiters | mutex: three threads exclude each other |
//! | timed-out-looks-early | condvar: no notification is lost between two slices of a wait |
//! | unlock-no-bell | mutex: a contender may die anywhere; mutex: a contender with a guard may die anywhere |
//! | unlock-no-wake | mutex: two threads exclude each other; mutex: three threads exclude each other; mutex: two guards exclude each other; mutex: a contender with a guard may die anywhere; mutex: who gives up takes no wake-up along |
//! | waiter-no-bell | condvar: one of all who are told may die anywhere; condvar: one of those who are told one by one may die anywhere; condvar: the waiter that is woken may die anywhere |
//! | waiter-uncounted | condvar: a notification that finds nobody overlooks nobody who comes |
//! | wake-only-one | queue: what is published out of order reaches both who wait; in place: room behind which a place was given up wakes two |
//! | want-no-look | mutex: two threads exclude each other |
//! | want-no-watch | mutex: two threads exclude each other |
//! | work-owner-unwatched | work: a worker may die anywhere, one that joins notices and gives the job back |
//! | work-watch-dropped | work: whoever watched goes, a worker may die anywhere with a job, another watches |
//! | write-over-untold | queue: a producer takes a dead one's cell of the lap before, and two wait for what is behind it |
//! | write-over-producers-untold | queue: a producer takes a dead one's cell of the lap before, and another one waits for the next cell |

#[cfg(interproc_loom)]
mod barrier;
#[cfg(interproc_loom)]
mod bounded_semaphore;
#[cfg(interproc_loom)]
mod broadcast;
#[cfg(interproc_loom)]
mod byte_queue;
#[cfg(interproc_loom)]
mod condvar;
#[cfg(interproc_loom)]
mod event;
#[cfg(interproc_loom)]
mod lane;
#[cfg(interproc_loom)]
mod latest;
#[cfg(interproc_loom)]
mod line;
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
mod queue_in_place;
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
mod wait_set;
#[cfg(interproc_loom)]
mod work;

#[cfg(interproc_loom)]
fn main() -> std::process::ExitCode {
    runner::main(&[
        toys::MODELS,
        barrier::MODELS,
        bounded_semaphore::MODELS,
        latest::MODELS,
        lane::MODELS,
        byte_queue::MODELS,
        members::MODELS,
        mutex::MODELS,
        queue::MODELS,
        queue_in_place::MODELS,
        semaphore::MODELS,
        event::MODELS,
        recursive_mutex::MODELS,
        once::MODELS,
        pipe::MODELS,
        work::MODELS,
        broadcast::MODELS,
        wait_set::MODELS,
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
