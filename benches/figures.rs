//! The figures that the README quotes: `cargo bench --bench figures [-- PATTERN]`.
//!
//! Each row measures ours and its peer in turns, in one run, seven rounds of each; a ratio is taken in each round and
//! the middle one is shown with the smallest and the largest. Absolute figures move from machine to machine, the
//! ratios less so. Options: `--rounds N`, `--ms N` (the length of a round), `--list`, `--now`.
//!
//! The program waits for a quiet machine. A row during which others used more than 5 % of a processor is repeated,
//! twice at most, and then marked. `--now` does not wait, repeat or mark: for a busy machine, under `nice -n -19`.

mod support;

use interproc::queue::{Latest, WorkOrder};
use std::time::Duration;
use support::deaths::{killer_inherits, waiter_inherits};
use support::latest;
use support::locks::{self, ParkingLot, Pthread, Section, Std, contended, uncontended};
use support::machine::{Alone, Meter, pin, wait_for_quiet};
use support::queues::{self, Array, cache_line, ping_pong, push_pop, stream};
use support::signals;
use support::spsc;
use support::waitsets::{EventFd, Set};
use support::wakes::{self, Futex, asleep, tight};
use support::{Measurement, Sample, median};
use support::{boost, broadcasts, bytelanes, bytes, children, conditions, permits, pipes, rwlocks, works};

/// What a row is asked for.
#[derive(Clone, Copy)]
enum Target {
    /// Ours takes at most this times the peer's time.
    TimeRatio(f64),
    /// Ours does at least this times what the peer does.
    RateRatio(f64),
    /// Ours takes at most so many nanoseconds.
    Time(f64),
    /// Published only; shown as a ratio of times.
    NoneTime,
    /// Published only; shown as a ratio of rates.
    NoneRate,
}

impl Target {
    fn is_rate(self) -> bool {
        matches!(self, Target::RateRatio(_) | Target::NoneRate)
    }

    fn text(self) -> String {
        match self {
            Target::TimeRatio(r) => format!("≤ {r:.2}"),
            Target::RateRatio(r) => format!("≥ {r:.2}"),
            Target::Time(ns) => format!("≤ {} µs", ns / 1000.0),
            Target::NoneTime | Target::NoneRate => "–".into(),
        }
    }

    fn verdict(self, ours: f64, ratio: f64) -> &'static str {
        let reached = match self {
            Target::TimeRatio(r) => ratio <= r,
            Target::RateRatio(r) => ratio >= r,
            Target::Time(ns) => ours <= ns,
            Target::NoneTime | Target::NoneRate => return "–",
        };
        if reached { "yes" } else { "**no**" }
    }
}

/// How many operations make a round.
#[derive(Clone, Copy)]
enum Length {
    /// As many as take the time of a round.
    Timed,
    /// So many.
    Count(u64),
}

type Make = Box<dyn Fn() -> Measurement>;

struct Row {
    name: &'static str,
    peer_name: &'static str,
    target: Target,
    length: Length,
    ours: Make,
    peer: Make,
}

fn row(
    name: &'static str,
    target: Target,
    length: Length,
    ours: impl Fn() -> Measurement + 'static,
    peer_name: &'static str,
    peer: impl Fn() -> Measurement + 'static,
) -> Row {
    Row { name, peer_name, target, length, ours: Box::new(ours), peer: Box::new(peer) }
}

const ALL: &[usize] = &[0, 1];
const CROWD: &[usize] = &[0, 1, 0, 1];
const EIGHT: &[usize] = &[0, 1, 0, 1, 0, 1, 0, 1];
const ONE: &[usize] = &[0, 0];

fn rows() -> Vec<Row> {
    use Length::{Count, Timed};
    use Target::*;
    let robust = "pthread shared+robust";
    let ours = uncontended::<locks::Ours>;
    let mut rows = vec![
        row("lock+unlock", TimeRatio(0.95), Timed, ours, "parking_lot", uncontended::<ParkingLot>),
        row("lock+unlock", TimeRatio(0.75), Timed, ours, robust, uncontended::<Pthread>),
        row("lock+unlock", NoneTime, Timed, ours, "std::sync::Mutex", uncontended::<Std>),
    ];
    if support::library::uncontended().is_some() {
        let c = || support::library::uncontended().expect("found above");
        rows.push(row("lock+unlock from C", NoneTime, Timed, c, robust, uncontended::<Pthread>));
    }
    for (name, target, processors, section) in [
        ("2 contenders, 100 ns in, 100 ns out", RateRatio(1.1), ALL, Section::Work),
        ("2 contenders, empty section", NoneRate, ALL, Section::Empty),
        ("8 contenders on 2 cores, 100 ns in, 100 ns out", NoneRate, EIGHT, Section::Work),
    ] {
        let ours = move || contended::<locks::Ours>(processors, section);
        rows.push(row(name, target, Timed, ours, robust, move || contended::<Pthread>(processors, section)));
    }
    let recursive = "pthread robust recursive";
    rows.extend([
        row("semaphore post+acquire", TimeRatio(1.0), Timed, signals::semaphore, "sem_t", signals::sem_t),
        row(
            "semaphore as a lock, 2 contenders, 100 ns in, 100 ns out",
            RateRatio(2.0),
            Timed,
            || contended::<signals::Ours>(ALL, Section::Work),
            "sem_t",
            || contended::<signals::Sem>(ALL, Section::Work),
        ),
        row("event is_set+wait, set", NoneTime, Timed, signals::event_that_is_set, "sem_t", signals::sem_t),
        row("event set+clear", NoneTime, Timed, signals::event_set_clear, "sem_t", signals::sem_t),
        row(
            "recursive lock+unlock, first level",
            TimeRatio(0.8),
            Timed,
            || signals::recursive(false),
            recursive,
            || signals::recursive_pthread(false),
        ),
        row(
            "recursive lock+unlock, second level",
            TimeRatio(0.5),
            Timed,
            || signals::recursive(true),
            recursive,
            || signals::recursive_pthread(true),
        ),
        row(
            "recursive lock+unlock, ours nested, theirs first",
            TimeRatio(0.5),
            Timed,
            || signals::recursive(true),
            recursive,
            || signals::recursive_pthread(false),
        ),
    ]);
    let array = "crossbeam ArrayQueue";
    let threads = "ArrayQueue, threads";
    let line = "bare cache line";
    rows.extend([
        row(
            "push+pop 8 B",
            TimeRatio(1.3),
            Timed,
            push_pop::<1, queues::Ours<1>>,
            array,
            push_pop::<1, Array<1>>,
        ),
        row("push+pop 64 B", NoneTime, Timed, push_pop::<8, queues::Ours<8>>, array, push_pop::<8, Array<8>>),
        row(
            "1P1C 8 B",
            NoneRate,
            Timed,
            || stream::<1, queues::Ours<1>>(ALL),
            threads,
            || stream::<1, Array<1>>(ALL),
        ),
        row(
            "1P1C 64 B",
            RateRatio(1.0),
            Timed,
            || stream::<8, queues::Ours<8>>(ALL),
            threads,
            || stream::<8, Array<8>>(ALL),
        ),
        row(
            "2P2C 8 B",
            NoneRate,
            Timed,
            || stream::<1, queues::Ours<1>>(CROWD),
            threads,
            || stream::<1, Array<1>>(CROWD),
        ),
        row(
            "2P2C 64 B",
            RateRatio(1.0),
            Timed,
            || stream::<8, queues::Ours<8>>(CROWD),
            threads,
            || stream::<8, Array<8>>(CROWD),
        ),
        row(
            "byte lane, 1 KiB in and out, two processes",
            RateRatio(0.8),
            Timed,
            bytelanes::spinning,
            "bare copies in and out",
            bytelanes::copy_in_copy_out,
        ),
        row(
            "byte lane, 1 KiB, blocking, two processes",
            RateRatio(5.0),
            Timed,
            || bytelanes::blocking(0),
            "pipe(2)",
            bytelanes::pipe,
        ),
        row(
            "byte lane, 1 KiB, blocking, told every 8 KiB, two processes",
            RateRatio(5.0),
            Timed,
            || bytelanes::blocking(8192),
            "pipe(2)",
            bytelanes::pipe,
        ),
        row(
            "ping-pong 8 B, RTT/2",
            TimeRatio(1.25),
            Timed,
            ping_pong::<1, queues::Ours<1>>,
            line,
            cache_line,
        ),
        row(
            "ping-pong 64 B, RTT/2",
            TimeRatio(1.25),
            Timed,
            ping_pong::<8, queues::Ours<8>>,
            line,
            cache_line,
        ),
        row(
            "4P4C 8 B on 2 cores",
            RateRatio(0.5),
            Timed,
            || stream::<1, queues::Ours<1>>(EIGHT),
            "ours, 1P1C",
            || stream::<1, queues::Ours<1>>(ALL),
        ),
        row(
            "1 MiB in place, RTT/2",
            TimeRatio(1.2),
            Timed,
            || latest::hand_over(false),
            "ours, 8 B in place",
            latest::hand_over_small,
        ),
        row(
            "1 MiB in place, written and read, RTT/2",
            NoneTime,
            Timed,
            || latest::hand_over(true),
            "ours, copied in and out",
            latest::copied,
        ),
        row("force_push, full", NoneTime, Timed, latest::forced, "ArrayQueue", latest::forced_array),
        row(
            "latest get 64 B",
            NoneTime,
            Timed,
            latest::reading::<Latest<[u64; 8]>>,
            "bare seqlock",
            latest::reading::<latest::Seqlock>,
        ),
        row(
            "latest get 64 B beside a writer",
            NoneTime,
            Timed,
            || latest::reading_beside_a_writer::<Latest<[u64; 8]>>(ALL),
            "bare seqlock",
            || latest::reading_beside_a_writer::<latest::Seqlock>(ALL),
        ),
        row(
            "latest set 64 B",
            NoneTime,
            Timed,
            latest::setting::<Latest<[u64; 8]>>,
            "bare seqlock",
            latest::setting::<latest::Seqlock>,
        ),
        row(
            "wake a sleeper, 2 cores",
            TimeRatio(1.1),
            Count(300),
            || asleep::<wakes::Ours>(ALL),
            "futex",
            || asleep::<Futex>(ALL),
        ),
        row(
            "sleeping ping-pong, 1 core, RTT/2",
            TimeRatio(1.5),
            Timed,
            || tight::<wakes::Ours>(ONE),
            "futex",
            || tight::<Futex>(ONE),
        ),
        row(
            "push to a partner in pop, 2 cores, RTT/2",
            Time(1e3),
            Timed,
            || tight::<wakes::Ours>(ALL),
            "futex",
            || tight::<Futex>(ALL),
        ),
        row(
            "wait set of one queue: wake a sleeper, 2 cores",
            TimeRatio(1.3),
            Count(300),
            || asleep::<Set<0, false>>(ALL),
            "the queue's own pop",
            || asleep::<wakes::Ours>(ALL),
        ),
        row(
            "wait set of one queue: sleeping ping-pong, 1 core, RTT/2",
            TimeRatio(1.3),
            Timed,
            || tight::<Set<0, false>>(ONE),
            "the queue's own pop",
            || tight::<wakes::Ours>(ONE),
        ),
        row(
            "wait set of 120 queues, 119 of them idle: wake a sleeper, 2 cores",
            TimeRatio(1.2),
            Count(300),
            || asleep::<Set<119, false>>(ALL),
            "a set of one",
            || asleep::<Set<0, false>>(ALL),
        ),
        row(
            "wait set of 120 queues, 119 of them idle: sleeping ping-pong, 1 core, RTT/2",
            TimeRatio(1.2),
            Timed,
            || tight::<Set<119, false>>(ONE),
            "a set of one",
            || tight::<Set<0, false>>(ONE),
        ),
        row(
            "wait set of one queue: a partner that is awake, 2 cores, RTT/2",
            Time(1e3),
            Timed,
            || tight::<Set<0, false>>(ALL),
            "the queue's own pop",
            || tight::<wakes::Ours>(ALL),
        ),
        row(
            "wait set's descriptor in epoll: wake a sleeper, 2 cores",
            TimeRatio(2.0),
            Count(300),
            || asleep::<Set<0, true>>(ALL),
            "eventfd in epoll",
            || asleep::<EventFd>(ALL),
        ),
        row(
            "wait set's descriptor in epoll: ping-pong, 1 core, RTT/2",
            TimeRatio(3.0),
            Timed,
            || tight::<Set<0, true>>(ONE),
            "eventfd in epoll",
            || tight::<EventFd>(ONE),
        ),
        row(
            "SIGKILL of a holder → its waiter owns the lock",
            Time(100e3),
            Count(5),
            waiter_inherits::<locks::Ours, 1>,
            robust,
            waiter_inherits::<Pthread, 1>,
        ),
        row(
            "SIGKILL of a holder of 8 threads → its waiter owns the lock",
            NoneTime,
            Count(5),
            waiter_inherits::<locks::Ours, 8>,
            robust,
            waiter_inherits::<Pthread, 8>,
        ),
        row(
            "SIGKILL of a holder of 100 threads → its waiter owns the lock",
            NoneTime,
            Count(5),
            waiter_inherits::<locks::Ours, 100>,
            robust,
            waiter_inherits::<Pthread, 100>,
        ),
        row(
            "SIGKILL of a holder → the killer owns the lock",
            NoneTime,
            Count(5),
            killer_inherits::<locks::Ours>,
            robust,
            killer_inherits::<Pthread>,
        ),
    ]);
    rows.extend(work_rows());
    rows.extend(broadcast_rows());
    rows.extend(spsc_rows());
    rows.extend(boost_rows());
    let (copies, pipe) = ("copies through slots", "pipe");
    rows.extend([
        row(
            "byte ring 1 KiB, 1P1C",
            RateRatio(0.8),
            Timed,
            bytes::stream::<bytes::Ours>,
            copies,
            bytes::stream::<bytes::Slots>,
        ),
        row(
            "byte ring 1 KiB, 1P1C, waiting",
            NoneRate,
            Timed,
            bytes::stream::<bytes::OursWaiting>,
            pipe,
            bytes::stream::<bytes::Pipe>,
        ),
        row(
            "byte ring 1 KiB, push+pop",
            NoneTime,
            Timed,
            bytes::in_and_out::<bytes::Ours>,
            copies,
            bytes::in_and_out::<bytes::Slots>,
        ),
    ]);
    // iceoryx2's published round trip is 4.6 times the bare line's: 0.35 of it is 1.61.
    rows.extend([
        row(
            "pipe ping-pong 8 B, spinning, RTT/2",
            TimeRatio(1.61),
            Timed,
            || pipes::round_trip::<8, pipes::OursSpinning>(ALL),
            line,
            cache_line,
        ),
        row(
            "pipe ping-pong 64 B, spinning, RTT/2",
            NoneTime,
            Timed,
            || pipes::round_trip::<64, pipes::OursSpinning>(ALL),
            line,
            cache_line,
        ),
        row(
            "pipe ping-pong 64 B, 1 core, RTT/2",
            TimeRatio(1.05),
            Timed,
            || pipes::round_trip::<64, pipes::Ours>(ONE),
            "pipe(2)",
            || pipes::round_trip::<64, pipes::Kernel>(ONE),
        ),
        row(
            "pipe ping-pong 64 B, 2 cores, RTT/2",
            TimeRatio(1.05),
            Timed,
            || pipes::round_trip::<64, pipes::Ours>(ALL),
            "pipe(2)",
            || pipes::round_trip::<64, pipes::Kernel>(ALL),
        ),
        row(
            "pipe stream 64 B, 2 cores",
            RateRatio(5.0),
            Timed,
            || pipes::stream::<64, pipes::Ours>(ALL),
            "pipe(2)",
            || pipes::stream::<64, pipes::Kernel>(ALL),
        ),
        row(
            "pipe stream 1 KiB, 2 cores",
            NoneRate,
            Timed,
            || pipes::stream::<1024, pipes::Ours>(ALL),
            "pipe(2)",
            || pipes::stream::<1024, pipes::Kernel>(ALL),
        ),
    ]);
    let (rwlock, lot) = ("pthread_rwlock", "parking_lot, threads");
    rows.extend([
        row(
            "read+unlock",
            TimeRatio(0.4),
            Timed,
            rwlocks::reading::<rwlocks::Ours>,
            rwlock,
            rwlocks::reading::<rwlocks::Pthread>,
        ),
        row(
            "read+unlock, never biased",
            NoneTime,
            Timed,
            rwlocks::reading::<rwlocks::OursUnbiased>,
            rwlock,
            rwlocks::reading::<rwlocks::Pthread>,
        ),
        row(
            "write+unlock",
            NoneTime,
            Timed,
            rwlocks::writing::<rwlocks::Ours>,
            rwlock,
            rwlocks::writing::<rwlocks::Pthread>,
        ),
        row(
            "two readers, 2 cores",
            NoneTime,
            Timed,
            rwlocks::reading_together::<rwlocks::Ours>,
            rwlock,
            rwlocks::reading_together::<rwlocks::Pthread>,
        ),
        row(
            "two readers, 2 cores",
            NoneTime,
            Timed,
            rwlocks::reading_together::<rwlocks::Ours>,
            lot,
            rwlocks::reading_together::<rwlocks::ParkingLot>,
        ),
        row(
            "permit: acquire+release",
            TimeRatio(0.1),
            Timed,
            permits::uncontended::<permits::Ours>,
            "System V, SEM_UNDO",
            permits::uncontended::<permits::SysV>,
        ),
    ]);
    for (place, processors) in [("2 cores", ALL), ("1 core", ONE)] {
        let (barrier, cond) = ("pthread_barrier", "pthread_cond, robust");
        let name: &'static str =
            if place == "1 core" { "barrier of 2, 1 core" } else { "barrier of 2, 2 cores" };
        rows.push(row(
            name,
            TimeRatio(1.0),
            Timed,
            move || permits::rounds::<permits::OurBarrier>(processors),
            barrier,
            move || permits::rounds::<permits::PthreadBarrier>(processors),
        ));
        let name: &'static str = if place == "1 core" {
            "condvar ping-pong, 1 core, RTT/2"
        } else {
            "condvar ping-pong, 2 cores, RTT/2"
        };
        rows.push(row(
            name,
            TimeRatio(1.0),
            Timed,
            move || tight::<conditions::Ours>(processors),
            cond,
            move || tight::<conditions::Pthread>(processors),
        ));
    }
    // Of eight, what robustness costs may be seen.
    for (name, processors, least) in [
        ("2 contenders, 100 ns in, 100 ns out", ALL, 1.0),
        ("8 contenders on 2 cores, 100 ns in, 100 ns out", EIGHT, 0.9),
    ] {
        let ours = move || contended::<locks::Ours>(processors, Section::Work);
        let lot = move || contended::<ParkingLot>(processors, Section::Work);
        rows.push(row(name, RateRatio(least), Timed, ours, "parking_lot, threads", lot));
        let std = move || contended::<Std>(processors, Section::Work);
        rows.push(row(name, RateRatio(least), Timed, ours, "std, threads", std));
    }
    const LARGE: usize = 256 << 20;
    rows.extend([
        row(
            "fork+join",
            TimeRatio(1.15),
            Count(300),
            children::fork_join,
            "fork+waitid",
            children::bare_fork_wait,
        ),
        row(
            "spawn+join /bin/true",
            TimeRatio(1.1),
            Count(100),
            || children::spawn_join(0),
            "posix_spawn",
            || children::posix_spawn(0),
        ),
        row(
            "spawn+join /bin/true, parent of 256 MiB",
            TimeRatio(1.1),
            Count(100),
            || children::spawn_join(LARGE),
            "posix_spawn",
            || children::posix_spawn(LARGE),
        ),
        row(
            "SIGKILL → join returns",
            TimeRatio(1.1),
            Count(100),
            children::kill_join,
            "bare pidfd poll",
            children::bare_kill_poll,
        ),
    ]);
    if children::has_python() {
        let (python, target) = ("Python Process(fork)", TimeRatio(1.0 / 15.0));
        let ours = children::fork_join;
        rows.push(row("start+join of a process", target, Count(100), ours, python, children::python_process));
    }
    rows
}

/// The work queue.
fn work_rows() -> Vec<Row> {
    let cycle = |order, waiting| move || works::cycle(order, waiting);
    let queue = "our Queue, push+pop";
    let mut rows = vec![
        row(
            "work: put+take+done",
            Target::Time(60.0),
            Length::Timed,
            cycle(WorkOrder::Fifo, 0),
            queue,
            push_pop::<1, queues::Ours<1>>,
        ),
        row(
            "work: put+take+done / our Queue's push+pop",
            Target::RateRatio(0.6),
            Length::Timed,
            cycle(WorkOrder::Fifo, 0),
            queue,
            push_pop::<1, queues::Ours<1>>,
        ),
        row(
            "work: put+take+done by priority, 10,000 wait",
            Target::Time(250.0),
            Length::Timed,
            cycle(WorkOrder::Priority, 10_000),
            queue,
            push_pop::<1, queues::Ours<1>>,
        ),
        row(
            "work: SIGKILL of a worker → its job is another's",
            Target::Time(150e3),
            Length::Count(5),
            works::handed_on,
            "pthread robust: its waiter owns the lock",
            waiter_inherits::<Pthread, 1>,
        ),
    ];
    if children::has_python() {
        let (python, target) = ("Python JoinableQueue", Target::RateRatio(100.0));
        rows.push(row("work: 1P1C, all done", target, Length::Timed, works::stream, python, works::python));
    }
    rows
}

/// The broadcast, whose subscribers are waited for.
fn broadcast_rows() -> Vec<Row> {
    use Length::Timed;
    let spsc = "our Spsc";
    let stream = |readers| move || broadcasts::stream::<1>(readers);
    let latency = |readers| move || broadcasts::latency(readers);
    vec![
        row(
            "broadcast: publish+recv 8 B, one thread",
            Target::NoneTime,
            Timed,
            broadcasts::alone::<1>,
            spsc,
            spsc::push_pop::<1, spsc::Ours>,
        ),
        row(
            "broadcast: 1 to 1, 8 B",
            Target::RateRatio(0.8),
            Timed,
            stream(1),
            spsc,
            spsc::stream::<1, spsc::Ours>,
        ),
        row(
            "broadcast: 1 to 1, 64 B",
            Target::RateRatio(0.8),
            Timed,
            || broadcasts::stream::<8>(1),
            spsc,
            spsc::stream::<8, spsc::Ours>,
        ),
        row("broadcast: 1 to 3, 8 B", Target::NoneRate, Timed, stream(3), "1 to 1", stream(1)),
        row("broadcast: 1 to 3, one way", Target::TimeRatio(1.5), Timed, latency(3), "1 to 1", latency(1)),
    ]
}

fn spsc_rows() -> Vec<Row> {
    use Length::Timed;
    use Target::*;
    use spsc::{Least, Ours, OursSeldom, Rtrb};
    let (rtrb, threads, least, line) = ("rtrb", "rtrb, threads", "the least, every 16", "bare cache line");
    vec![
        row(
            "spsc push+pop 8 B",
            NoneTime,
            Timed,
            spsc::push_pop::<1, Ours>,
            rtrb,
            spsc::push_pop::<1, Rtrb<1>>,
        ),
        row("spsc 8 B", RateRatio(1.0), Timed, spsc::stream::<1, Ours>, threads, spsc::stream::<1, Rtrb<1>>),
        row("spsc 64 B", RateRatio(1.0), Timed, spsc::stream::<8, Ours>, threads, spsc::stream::<8, Rtrb<8>>),
        row(
            "spsc 1 KiB",
            RateRatio(1.0),
            Timed,
            spsc::stream::<128, Ours>,
            threads,
            spsc::stream::<128, Rtrb<128>>,
        ),
        row("spsc 1 KiB", NoneRate, Timed, spsc::stream::<128, Ours>, least, spsc::stream::<128, Least<128>>),
        row(
            "spsc chunks of 16, 8 B",
            RateRatio(0.9),
            Timed,
            spsc::chunks::<1>,
            least,
            spsc::stream::<1, Least<1>>,
        ),
        row(
            "spsc chunks of 16, 64 B",
            RateRatio(0.9),
            Timed,
            spsc::chunks::<8>,
            least,
            spsc::stream::<8, Least<8>>,
        ),
        row(
            "spsc push_batch of 16, 8 B",
            NoneRate,
            Timed,
            spsc::batches::<1>,
            least,
            spsc::stream::<1, Least<1>>,
        ),
        row(
            "spsc published every 16, 8 B",
            NoneRate,
            Timed,
            spsc::stream::<1, OursSeldom>,
            least,
            spsc::stream::<1, Least<1>>,
        ),
        row(
            "spsc published every 16, 64 B",
            NoneRate,
            Timed,
            spsc::stream::<8, OursSeldom>,
            least,
            spsc::stream::<8, Least<8>>,
        ),
        row("spsc ping-pong 8 B, RTT/2", TimeRatio(1.4), Timed, spsc::ping_pong::<1, Ours>, line, cache_line),
        row("spsc ping-pong 64 B, RTT/2", NoneTime, Timed, spsc::ping_pong::<8, Ours>, line, cache_line),
    ]
}

fn boost_rows() -> Vec<Row> {
    use boost::{Bytes, Pipe, Typed, message_queue, ours};
    if let Some(why) = boost::is_missing() {
        eprintln!("{why}");
        return Vec::new();
    }
    let rate = |name, ours: fn() -> Measurement, bytes| {
        let peer = move || message_queue(bytes);
        row(name, Target::RateRatio(2.0), Length::Timed, ours, "Boost message_queue", peer)
    };
    vec![
        rate("blocking queue 64 B, 1P1C", ours::<8, Typed<8>>, 64),
        rate("blocking byte queue 64 B, 1P1C", ours::<8, Bytes>, 64),
        rate("blocking pipe 64 B, 1P1C", ours::<8, Pipe>, 64),
        rate("blocking queue 1 KiB, 1P1C", ours::<128, Typed<128>>, 1024),
        rate("blocking byte queue 1 KiB, 1P1C", ours::<128, Bytes>, 1024),
        rate("blocking pipe 1 KiB, 1P1C", ours::<128, Pipe>, 1024),
    ]
}

struct Settings {
    rounds: usize,
    round: Duration,
    list: bool,
    now: bool,
    pattern: Option<String>,
}

fn settings() -> Result<Settings, lexopt::Error> {
    use lexopt::prelude::*;
    let mut s =
        Settings { rounds: 7, round: Duration::from_millis(100), list: false, now: false, pattern: None };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("rounds") => s.rounds = arguments.value()?.parse()?,
            Long("ms") => s.round = Duration::from_millis(arguments.value()?.parse()?),
            Long("list") => s.list = true,
            Long("now") => s.now = true,
            Long("bench") => {} // cargo's
            Value(v) => s.pattern = Some(v.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(s)
}

/// One row's rounds: ours and the peer's samples, in turns.
fn measure(row: &Row, s: &Settings) -> Vec<(Sample, Sample)> {
    let (mut ours, mut peer) = ((row.ours)(), (row.peer)());
    let count = |side: &mut Measurement| match row.length {
        Length::Count(n) => n,
        Length::Timed => {
            let pilot = side(2000).ns;
            ((s.round.as_nanos() as f64 / pilot) as u64).max(100)
        }
    };
    let (n, m) = (count(&mut ours), count(&mut peer));
    (0..s.rounds).map(|_| (ours(n), peer(m))).collect()
}

fn show(ns: f64, rate: bool) -> String {
    match () {
        () if rate => format!("{:.2} M/s", 1e3 / ns),
        () if ns >= 10e3 => format!("{:.1} µs", ns / 1e3),
        () if ns >= 100.0 => format!("{ns:.0} ns"),
        () => format!("{ns:.1} ns"),
    }
}

fn print(row: &Row, rounds: &[(Sample, Sample)], others: f64) {
    let rate = row.target.is_rate();
    let of = |f: &dyn Fn(&(Sample, Sample)) -> f64| -> Vec<f64> { rounds.iter().map(f).collect() };
    let ratios = of(&|(a, b)| if rate { b.ns / a.ns } else { a.ns / b.ns });
    let range = (ratios.iter().copied().fold(f64::MAX, f64::min), ratios.iter().copied().fold(0.0, f64::max));
    let ratio = median(ratios);
    let (ours, peer) = (median(of(&|r| r.0.ns)), median(of(&|r| r.1.ns)));
    let fair = |side: &dyn Fn(&(Sample, Sample)) -> Option<f64>| {
        let shares: Vec<f64> = rounds.iter().filter_map(side).collect();
        if shares.is_empty() { String::new() } else { format!(", fair {:.2}", median(shares)) }
    };
    let noise = if others > NOISE { format!(" (noisy: others {others:.0} %)") } else { String::new() };
    println!(
        "| {}{noise} | {}{} | {} {}{} | {ratio:.2} [{:.2}..{:.2}] | {} | {} |",
        row.name,
        show(ours, rate),
        fair(&|r| r.0.fairness),
        row.peer_name,
        show(peer, rate),
        fair(&|r| r.1.fairness),
        range.0,
        range.1,
        row.target.text(),
        row.target.verdict(ours, ratio),
    );
}

/// Percent of a processor that others may use during a row.
const NOISE: f64 = 5.0;

fn main() {
    let settings = settings().unwrap_or_else(|e| {
        eprintln!("{e}");
        std::process::exit(2)
    });
    let rows = rows().into_iter().filter(|r| settings.pattern.as_ref().is_none_or(|p| r.name.contains(p)));
    if settings.list {
        rows.for_each(|r| println!("{} / {}", r.name, r.peer_name));
        return;
    }
    let _alone = Alone::take();
    pin(0);
    println!("`cargo bench --bench figures`; {} rounds, ours and the peer's in turns", settings.rounds);
    println!("\n| what | interproc | peer | ratio: middle [least..most] | target | reached |");
    println!("|---|---|---|---|---|---|");
    for row in rows {
        for last in [false, false, true] {
            if !settings.now {
                wait_for_quiet(Duration::from_secs(5));
            }
            let meter = Meter::start();
            let rounds = measure(&row, &settings);
            let others = if settings.now { 0.0 } else { meter.others() };
            if last || others <= NOISE {
                print(&row, &rounds, others);
                break;
            }
        }
    }
}
