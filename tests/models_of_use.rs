//! Models of use: random sequences of every operation of every object, each against a few lines of ordinary collection.
//!
//! An object is what its model says, whoever uses it and from where. [`sequences`](drive::sequences) has one thread use it
//! through two mappings of a segment, [`deaths`](drive::deaths) with forked children in between that use it, too, and end or are killed with whatever
//! they have in their hands; [`histories`](drive::histories) has two or three threads use it at once, and looks for an order in
//! which the model gives the same answers. What fails is shrunk to the few steps that matter.
//!
//! **A new object gets its model** by one [`Modelled`](drive::Modelled) in a file of its own, in about 50 lines:
//!
//! 1. `Shape`: what it is made with (a capacity), small, so that its ends are met often. `Op`: an enum of all that can be done
//!    with it. What refers to something that the user has in its hands (a guard) has a number, taken modulo how many it has;
//!    with none the answer is [`NOTHING`](drive::NOTHING). Nothing may wait for ever: use the `try_` and `_until` forms.
//! 2. `open` and `apply`: a user's handles, and the operation done with them. Answers are numbers, or an error's kind.
//! 3. `model` and `expect`: the plain one. It sees the answer that it has to explain, for where more than one is right: then
//!    it returns that. No tricks of the implementation: what it says should be what the documentation says.
//! 4. `leaves` and `dies`: what becomes of what a user had in its hands, when it is dropped and when it is killed.
//! 5. Its name in the list below.
//!
//! More can be said of it, but need not be: what waits and arrives before it ends ([`Modelled::arrives`](drive::Modelled)), what
//! goes from one thread to another or to a child, what a process is killed in the midst of. Its C form is a
//! [`Form`](drive::Form): the same operations by C's functions.
//!
//! ```text
//! cargo test --release --test models_of_use                                  some seconds, others at each run
//! INTERPROC_CASES=100000 cargo test --release --test models_of_use [NAME]    in full
//! INTERPROC_SEED=12345 INTERPROC_CASES=1 … -- --exact 'NAME'                 one again: a failure prints the whole line
//! ```

#[path = "support/kit.rs"]
mod kit;
#[allow(unused_macros)] // `tests!`: ours are listed by `models!`.
mod support;

#[path = "models_of_use/barrier.rs"]
mod barrier;
#[path = "models_of_use/broadcast.rs"]
mod broadcast;
#[path = "models_of_use/by_c.rs"]
mod by_c;
#[path = "models_of_use/byte_lanes.rs"]
mod byte_lanes;
#[path = "models_of_use/bytes.rs"]
mod bytes;
#[path = "models_of_use/drive.rs"]
mod drive;
#[path = "models_of_use/locks.rs"]
mod locks;
#[path = "models_of_use/permits.rs"]
mod permits;
#[path = "models_of_use/plain.rs"]
mod plain;
#[path = "models_of_use/queue.rs"]
mod queue;
#[path = "models_of_use/rows.rs"]
mod rows;
#[path = "models_of_use/sleepers.rs"]
mod sleepers;
#[path = "models_of_use/spsc.rs"]
mod spsc;
#[path = "models_of_use/wait_sets.rs"]
mod wait_sets;
#[path = "models_of_use/work.rs"]
mod work;

use drive::As;
use interproc::Object;
use interproc::queue::Latest;
use interproc::sync::{Barrier, Event, Once, OnceLock, Semaphore};
use sleepers::Sleepers;
use std::time::Duration;

/// What is done with an object, in so many cases: by one thread, with children that end or are killed in between, by threads
/// at once.
macro_rules! models {
    ($($name:ident: $object:ty: $($how:ident $cases:literal),+;)*) => {
        &[$($({
            const NAME: &str = concat!(stringify!($name), " (", stringify!($how), ")");
            (NAME, || drive::$how::<$object>(NAME, $cases))
        }),+),*]
    };
}

fn main() {
    let hours = Duration::from_secs(10 * 3600);
    let time = if drive::asked_for().is_some() { hours } else { support::TIME };
    support::run_within(
        time,
        models! {
            a_queue_is_a_row_of_messages: queue::InUse: sequences 800, deaths 80, histories 60;
            nobody_sleeps_beside_what_a_queue_has: Sleepers<queue::InUse>: stories 200;
            nobody_sleeps_beside_what_a_byte_queue_has: Sleepers<bytes::InUse>: stories 200;
            a_byte_queue_is_a_row_of_texts: bytes::InUse: sequences 500, deaths 80, histories 60;
            an_spsc_queue_is_a_row_of_messages: spsc::InUse: sequences 600, deaths 80, histories 60;
            a_byte_lane_is_a_row_of_texts: byte_lanes::LaneInUse: sequences 500, deaths 50, histories 60;
            a_pipe_is_two_rows_of_texts: byte_lanes::PipeInUse: sequences 2000, deaths 50, histories 60;
            a_work_queue_is_a_row_of_jobs: work::InUse: sequences 800, deaths 80, histories 60;
            a_broadcast_is_a_row_with_readers: broadcast::InUse: sequences 800, deaths 80, histories 60;
            a_wait_set_knows_what_is_ready: wait_sets::InUse: sequences 500;
            a_latest_value_is_a_variable: Latest<[u64; 3]>: sequences 200, deaths 20, histories 60;
            a_mutex_is_one_at_a_time: locks::MutexInUse: sequences 500, deaths 80, histories 60;
            a_notification_does_not_die_with_a_waiter: locks::Waiters: stories 40;
            a_recursive_mutex_is_one_at_a_time: locks::RecursiveInUse: sequences 500, deaths 80, histories 60;
            an_rwlock_is_one_writer_or_readers: locks::RwLockInUse: sequences 500, deaths 80, histories 60;
            a_semaphore_is_a_number: Object<Semaphore>: sequences 200, histories 60;
            permits_are_so_many: permits::InUse: sequences 500, deaths 80, histories 60;
            an_event_is_a_flag: Object<Event>: sequences 200, histories 60;
            a_barrier_passes_for_all_or_is_broken: Barrier: sequences 300, deaths 80, histories 60;
            once_is_once: Object<Once>: sequences 200, deaths 20, histories 60;
            a_once_lock_is_set_once: Object<OnceLock<u64>>: sequences 200, deaths 20, histories 60;
            a_queue_of_c_is_a_row_of_messages: As<by_c::Queue>: sequences 400, deaths 40, histories 30;
            a_byte_queue_of_c_is_a_row_of_texts: As<by_c::ByteQueue>: sequences 300, deaths 40, histories 30;
            a_work_queue_of_c_is_a_row_of_jobs: As<by_c::WorkQueue>: sequences 400, deaths 40, histories 30;
            a_mutex_of_c_is_one_at_a_time: As<by_c::Mutex>: sequences 300, deaths 40, histories 30;
        },
    )
}
