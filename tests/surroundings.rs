//! Rust's own forms in surroundings that a program may be in: an allocation that fails, descriptors that the program has
//! closed or uses for its own files. `tests/c/surroundings.c` has the whole table of operations and of surroundings; here
//! are those whose Rust form allocates, gives a guard or hands out a descriptor. And a wait set, step by step, where what its
//! way through epoll needs is denied: descriptors, address space, a system call.
//!
//! A new form is a row of [`FORMS`]. Allowed are the usual result and an error that names the cause; never an abort, never
//! a lock that a living process holds.

#[macro_use]
mod support;

use interproc::pipe;
use interproc::process::{self, Builder, Daemon, Process, Program};
use interproc::queue::{
    Broadcast, BroadcastOptions, ByteQueue, Queue, Since, Slow, Subscriber, WorkOptions, WorkQueue,
};
use interproc::sync::{Event, Mutex, RwLock, Semaphore};
use interproc::waitset::{Mechanism, Source, WaitSet};
use interproc::{Error, ErrorKind, Object, Result, Segment};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Counted down; at 0 the allocation fails, and so do all that follow.
static FAILS_AT: AtomicI64 = AtomicI64::new(i64::MAX);

struct Failing;

// SAFETY: as `System`, or no memory.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if FAILS_AT.load(Ordering::Relaxed) == i64::MAX || FAILS_AT.fetch_sub(1, Ordering::Relaxed) > 0 {
            // SAFETY: by the contract.
            return unsafe { System.alloc(layout) };
        }
        std::ptr::null_mut()
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: by the contract.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;

/// What a form works on: made before the surroundings change, and inherited by the forked child that tries it.
struct World {
    segment: Segment,
    named: Segment,
    free: Object<Mutex<u64>>,
    held: Object<Mutex<u64>>,
    rwlock: Object<RwLock<u64>>,
    event: Object<Event>,
    semaphore: Object<Semaphore>,
    queue: Queue<u64>,
    bytes: ByteQueue,
    jobs: WorkQueue<[u8]>,
    letters: WorkQueue<[u8]>,
    news: Broadcast<[u8]>,
}

const SOON: Duration = Duration::from_millis(120);

impl World {
    fn new() -> World {
        std::env::set_current_dir(std::env::temp_dir()).expect("a directory to write to");
        let segment = Segment::options().size(1 << 17).max_members(256).anonymous().expect("segment");
        let named = Segment::create(&name(), 1 << 16).expect("named");
        fill(&named).expect("objects to be seen");
        let mutex = |name| segment.object(name, || Mutex::new(0u64)).expect("mutex");
        World {
            free: mutex("free"),
            held: mutex("held"),
            rwlock: segment.object("rwlock", || RwLock::new(0u64)).expect("rwlock"),
            event: segment.object("event", Event::new).expect("event"),
            semaphore: segment.object("semaphore", || Semaphore::new(0)).expect("semaphore"),
            queue: segment.queue("queue", 4).expect("queue"),
            bytes: segment.byte_queue("bytes", 4096, 100).expect("bytes"),
            jobs: segment.byte_work_queue("jobs", 100, WorkOptions::new(2)).expect("jobs"),
            letters: segment
                .byte_work_queue("letters", 100, WorkOptions::new(2).max_deliveries(1))
                .expect("letters"),
            news: segment
                .byte_broadcast("news", 100, BroadcastOptions::new(4).subscribers(300))
                .expect("news"),
            segment,
            named,
        }
    }
}

/// One of each kind that a look at a segment has something to say of, held where it can be.
fn fill(named: &Segment) -> Result<()> {
    named.object("event", Event::new)?;
    named.object("rwlock", || RwLock::new(0u64))?;
    named.queue::<u64>("queue", 4)?;
    named.byte_queue("bytes", 4096, 100)?;
    let jobs = named.work_queue::<u64>("jobs", WorkOptions::new(2))?;
    jobs.put(1)?;
    std::mem::forget(jobs.take()?);
    let news = named.broadcast::<u64>("news", BroadcastOptions::new(4))?;
    std::mem::forget(news.subscribe(Slow::Waits)?);
    std::mem::forget(named.bounded_semaphore("permits", 2)?.acquire()?);
    named.barrier("barrier", 1)?.wait()?;
    std::mem::forget(named.pipe_pair("pipe", 1024, 100)?);
    Ok(())
}

/// Two threads that wait for each other, and sleep.
fn lie_in_a_deadlock(named: &Segment) {
    static BOTH: std::sync::Barrier = std::sync::Barrier::new(2);
    for [first, second] in [["one", "two"], ["two", "one"]] {
        let [first, second] =
            [first, second].map(|name| named.object(name, || Mutex::new(0u64)).expect("mutex"));
        std::thread::spawn(move || {
            let _first = first.lock();
            BOTH.wait();
            let _second = second.lock();
        });
    }
}

fn name() -> String {
    static PID: AtomicI64 = AtomicI64::new(0);
    let _ = PID.compare_exchange(0, std::process::id().into(), Ordering::Relaxed, Ordering::Relaxed);
    format!("/interproc-test-surroundings-rs-{}", PID.load(Ordering::Relaxed))
}

/// Children that failed have left what they put.
fn put_if_there_is_room(queue: &WorkQueue<[u8]>) -> Result<()> {
    match queue.try_put(b"hello".as_slice()) {
        Err(full) if full.kind() == ErrorKind::Full => Ok(()),
        put => put.map(drop),
    }
}

/// A set of several things sleeps in vain, and then hears of one of them.
fn one_of_several(w: &World, is_polled: bool) -> Result<()> {
    let (read, _write) = std::io::pipe()?;
    let mut set = WaitSet::new();
    let message = set.add(w.queue.when_readable())?;
    set.add(w.jobs.when_readable())?;
    set.add(w.event.when_set())?;
    set.add(w.semaphore.when_available())?;
    set.add(Source::after(Duration::from_secs(60)))?;
    if is_polled {
        set.add(Source::readable(&read))?;
        set.descriptor()?;
    }
    match set.wait_timeout(Duration::from_millis(1)) {
        Err(e) if e.kind() == ErrorKind::TimedOut => {}
        other => return other.map(drop),
    }
    w.queue.push(1).map_err(|e| e.error().clone())?;
    let heard = set.wait().map(|ready| ready == [message]);
    w.queue.pop()?;
    assert!(heard?, "of another one");
    Ok(())
}

type Form = fn(&World, &str) -> Result<()>;

/// The forms, by name, with the kinds of error that are usual.
const FORMS: &[(&str, Form, &[ErrorKind])] = &[
    ("lock", |w, _| w.free.lock().map(drop).map_err(Error::from), &[]),
    (
        "lock of the living",
        |w, _| w.held.lock_timeout(SOON).map(drop).map_err(Error::from),
        &[ErrorKind::TimedOut],
    ),
    ("write", |w, _| w.rwlock.write().map(drop).map_err(Error::from), &[]),
    (
        "push and pop",
        |w, _| w.queue.push(1).map_err(|e| e.error().clone()).and_then(|()| w.queue.pop().map(drop)),
        &[],
    ),
    (
        "a job to a list",
        |w, _| {
            put_if_there_is_room(&w.jobs)?;
            w.jobs.take()?.done().map(drop)
        },
        &[],
    ),
    (
        "dead letters to a list",
        |w, _| {
            put_if_there_is_room(&w.letters)?;
            if !w.letters.is_empty() {
                w.letters.take()?.fail("no")?;
            }
            w.letters.dead_letters()?.iter().try_for_each(|letter| w.letters.discard(letter).map(drop))
        },
        &[],
    ),
    (
        "news to a list",
        |w, _| {
            let mut mine: Subscriber<[u8]> = w.news.subscribe_since(Slow::Lags, Since::Now)?;
            w.news.publish(b"hello".as_slice())?;
            w.news.publisher(interproc::Wait::ForEver)?.publish(b"hello".as_slice())?;
            mine.recv().map(drop)
        },
        &[],
    ),
    ("one of several", |w, _| one_of_several(w, false), &[]),
    ("one of several, in epoll", |w, _| one_of_several(w, true), &[]),
    ("bytes to a list", |w, _| w.bytes.push(b"hello").and_then(|()| w.bytes.pop().map(drop)), &[]),
    ("object", |w, _| w.segment.object("new", Event::new).map(drop), &[]),
    ("queue", |w, _| w.segment.queue::<u64>("another", 4).map(drop), &[]),
    ("find none", |w, _| w.segment.find::<Event>("there is none").map(drop), &[ErrorKind::NoObject]),
    ("wrong type", |w, _| w.segment.queue::<u64>("free", 4).map(drop), &[ErrorKind::TypeMismatch]),
    ("anonymous", |_, _| Segment::anonymous(4096).map(drop), &[]),
    ("open", |_, name| Segment::open(name).map(drop), &[]),
    ("open none", |_, _| Segment::open("/interproc-test-there-is-none").map(drop), &[ErrorKind::NotFound]),
    ("descriptor sent", |w, _| Segment::from_fd(w.segment.as_fd().try_clone_to_owned()?).map(drop), &[]),
    ("objects seen", |_, name| Segment::open_read_only(name)?.objects().map(drop), &[]),
    ("objects read", |_, name| Segment::open_read_only(name)?.read("queue").map(drop), &[]),
    (
        "members seen",
        |_, name| {
            let members = Segment::open_read_only(name)?.members()?;
            let on = |n: &str| {
                members.iter().any(|m| m.waits.as_ref().is_some_and(|w| w.object.as_deref() == Some(n)))
            };
            assert!(on("one") && on("two"), "{members:?}");
            Ok(())
        },
        &[],
    ),
    (
        "all seen",
        |_, name| {
            let view = Segment::open_read_only(name)?.view()?;
            assert!(view.damage.is_none() && view.objects.len() == 11 && view.members.len() > 1, "{view:?}");
            assert!(view.objects.iter().all(|object| object.state.is_some()), "{view:?}");
            Ok(())
        },
        &[],
    ),
    (
        "deadlocks seen",
        |_, name| {
            let found = Segment::open_read_only(name)?.deadlocks()?;
            assert!(found.len() == 1 && found[0].members.len() == 2, "{found:?}");
            Ok(())
        },
        &[],
    ),
    (
        "pipe",
        |_, _| {
            let (mut to, mut from) = pipe::one_way(4096, 100)?;
            to.send(b"hello")?;
            from.recv().map(drop)
        },
        &[],
    ),
    (
        "fork",
        |_, _| Builder::new().name("child").limit(process::Limit::Core, 0, 0).fork(|| 0)?.join().map(drop),
        &[],
    ),
    (
        "program",
        |_, _| {
            let program = Program::new("/bin/true").arg("x").env_clear().env("A", "b").env_remove("C");
            Builder::new().directory("/").stdin(process::Stdio::null()).spawn(&program)?.join().map(drop)
        },
        &[],
    ),
    (
        "all of them",
        |_, _| {
            let crew = [process::fork(|| 0)?, process::fork(|| 0)?];
            process::wait_any(&crew)?;
            process::wait_all(&crew).map(drop)
        },
        &[],
    ),
    (
        "a daemon with a pidfile",
        |_, name| {
            let file = &name[1..]; // in the working directory
            let started = Daemon::new().pidfile(file).start(|ready| ready.now());
            let removed = std::fs::remove_file(file);
            started.and_then(|_| Ok(removed?))
        },
        &[],
    ),
    ("process", |_, _| Process::current()?.details().map(drop), &[]),
    (
        "children",
        |_, _| {
            let child = process::fork(|| 0)?;
            let children = Process::current()?.children()?;
            assert!(children.iter().any(|c| c.pid() == child.pid()));
            child.join().map(drop)
        },
        &[],
    ),
    (
        "children reaped",
        |_, _| {
            // SAFETY: this program has one thread; the child ends at once.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                // SAFETY: ends the process.
                unsafe { libc::_exit(7) };
            }
            loop {
                match process::reap_orphans(&[])?.first() {
                    None => std::thread::yield_now(),
                    Some(&(reaped, end)) => {
                        assert_eq!((reaped as i32, end.code()), (pid, Some(7)));
                        return Ok(());
                    }
                }
            }
        },
        &[],
    ),
    (
        "error",
        |_, _| {
            let error = Segment::anonymous(0).map(drop).unwrap_err();
            let copy = error.clone().with_detail(format_args!("more of it: {}", 1));
            if copy.kind() == error.kind() { Err(error) } else { Ok(()) }
        },
        &[ErrorKind::InvalidInput],
    ),
];

/// Tries a form in a forked child; its wait status.
fn tried(
    form: Form,
    usual: &[ErrorKind],
    cause: fn(&Error) -> bool,
    world: &World,
    enter: impl FnOnce() -> Option<Logs>,
) -> i32 {
    let name = name();
    forked(|| {
        let logs = enter();
        let result = form(world, &name);
        let reached = FAILS_AT.swap(i64::MAX, Ordering::Relaxed) < 0;
        let fine = match &result {
            Ok(()) => usual.is_empty(),
            Err(error) => usual.contains(&error.kind()) || cause(error),
        };
        let untouched = logs.is_none_or(|logs| logs.are_untouched());
        if !fine || !untouched {
            eprintln!("gave {result:?}; files untouched: {untouched}");
        }
        match (fine && untouched, reached) {
            (false, _) => 1,
            (true, true) => 0,
            (true, false) => 42,
        }
    })
}

/// Runs `body` in a forked child; its wait status.
fn forked(body: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child ends in _exit; this program has one thread.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: takes an integer. Nothing here takes so long.
        unsafe { libc::alarm(20) };
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(101);
        // SAFETY: ends the process.
        unsafe { libc::_exit(code) }
    }
    let mut status = 0;
    // SAFETY: our child; the status is writable.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

/// Files that a program has opened under the numbers that were the library's.
struct Logs(Vec<(File, u64)>);

impl Logs {
    fn after_closing_all() -> Option<Logs> {
        // SAFETY: the world's handles find out.
        unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
        let files = (0..16).map(|_| {
            let file = File::options().append(true).custom_tmp().expect("a file");
            let inode = file.metadata().expect("metadata").ino();
            (file, inode)
        });
        Some(Logs(files.collect()))
    }

    fn are_untouched(&self) -> bool {
        self.0.iter().all(|(file, inode)| {
            // SAFETY: takes an integer.
            let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
            let same = file.metadata().is_ok_and(|meta| (meta.ino(), meta.len()) == (*inode, 0));
            same && flags & libc::O_APPEND != 0 && file.read_at(&mut [0], 0).is_ok()
        })
    }
}

trait CustomTmp {
    fn custom_tmp(&mut self) -> std::io::Result<File>;
}

impl CustomTmp for std::fs::OpenOptions {
    fn custom_tmp(&mut self) -> std::io::Result<File> {
        use std::os::unix::fs::OpenOptionsExt;
        self.read(true).custom_flags(libc::O_TMPFILE).open(std::env::temp_dir())
    }
}

/// Runs `body` while another process holds the world's lock.
fn beside_a_holder(body: impl FnOnce(&World)) {
    let world = World::new();
    let (read, write) = std::io::pipe().expect("pipe");
    // SAFETY: as in `tried`.
    let holder = unsafe { libc::fork() };
    if holder == 0 {
        let guard = world.held.lock().expect("lock");
        lie_in_a_deadlock(&world.named);
        std::io::Write::write_all(&mut &write, b"x").expect("write");
        std::mem::forget(guard);
        loop {
            std::thread::park();
        }
    }
    std::io::Read::read_exact(&mut &read, &mut [0]).expect("read");
    let look = Segment::open_read_only(&name()).expect("a look");
    while look.deadlocks().expect("deadlocks").is_empty() {}
    drop(look);
    body(&world);
    // SAFETY: our child.
    unsafe {
        libc::kill(holder, libc::SIGKILL);
        libc::waitpid(holder, std::ptr::null_mut(), 0);
    }
    assert!(
        world.held.lock().is_err_and(|e| Error::from(e).kind() == ErrorKind::OwnerDied),
        "the death is told"
    );
}

impl Drop for World {
    fn drop(&mut self) {
        Segment::unlink(&name()).expect("unlink");
    }
}

fn an_allocation_that_fails_is_an_error() {
    let no_memory = |error: &Error| error.errno() == libc::ENOMEM;
    beside_a_holder(|world| {
        let mut problems = Vec::new();
        for (name, form, usual) in FORMS {
            for at in 0.. {
                let status = tried(*form, usual, no_memory, world, || {
                    FAILS_AT.store(at, Ordering::Relaxed);
                    None
                });
                match status {
                    0 => assert!(at < 500, "{name}: it never ends"),
                    s if libc::WEXITSTATUS(s) == 42 => break,
                    s => problems.push(format!("{name}, with {at} allocations: wait status {s:#x}")),
                }
            }
        }
        assert!(problems.is_empty(), "{problems:#?}");
    });
}

fn descriptors_that_the_program_closed_and_uses_again_stay_its_own() {
    let closed = |error: &Error| error.kind() == ErrorKind::DescriptorClosed;
    beside_a_holder(|world| {
        for (name, form, usual) in FORMS {
            // Of a segment without a name this is the program's own descriptor by then: see `Segment::as_fd`.
            if *name == "descriptor sent" {
                continue;
            }
            let status = tried(*form, usual, closed, world, Logs::after_closing_all);
            assert_eq!(libc::WEXITSTATUS(status), 42, "{name}: wait status {status:#x}");
        }
    });
}

/// What is denied.
#[derive(Clone, Copy, Debug)]
enum Denied {
    Nothing,
    /// System calls, with this error.
    Calls(&'static [libc::c_long], i32),
    /// All descriptors but so many.
    Descriptors(usize),
    /// More memory than is mapped.
    Memory,
}

/// What is denied, and the errors that may come of it. None: a set goes on without.
const DENIALS: &[(Denied, &[i32])] = &[
    (Denied::Nothing, &[]),
    (Denied::Calls(&[libc::SYS_futex_waitv], libc::EPERM), &[]),
    (Denied::Calls(&[libc::SYS_futex_waitv], libc::ENOSYS), &[]),
    (Denied::Calls(&[libc::SYS_membarrier], libc::ENOSYS), &[]),
    (Denied::Calls(&[libc::SYS_clone3], libc::ENOSYS), &[]),
    (Denied::Calls(&[libc::SYS_clone, libc::SYS_clone3], libc::EPERM), &[libc::EPERM]),
    (Denied::Calls(&[libc::SYS_clone, libc::SYS_clone3], libc::EAGAIN), &[libc::EAGAIN]),
    (Denied::Calls(&[libc::SYS_epoll_create1], libc::EPERM), &[libc::EPERM]),
    (Denied::Calls(&[libc::SYS_epoll_create1], libc::ENOSYS), &[libc::ENOSYS]),
    (Denied::Calls(&[libc::SYS_eventfd2], libc::EPERM), &[libc::EPERM]),
    (Denied::Calls(&[libc::SYS_timerfd_create], libc::EPERM), &[libc::EPERM]),
    (Denied::Calls(&[libc::SYS_epoll_ctl], libc::EPERM), &[libc::EPERM]),
    (Denied::Calls(&[libc::SYS_epoll_pwait], libc::EPERM), &[libc::EPERM]),
    (Denied::Calls(&[libc::SYS_ppoll], libc::EPERM), &[libc::EPERM]),
    (Denied::Descriptors(0), &[libc::EMFILE]),
    (Denied::Descriptors(1), &[libc::EMFILE]),
    (Denied::Descriptors(2), &[libc::EMFILE]),
    (Denied::Descriptors(3), &[]),
    (Denied::Memory, &[libc::EAGAIN, libc::ENOMEM]),
];

impl Denied {
    fn enter(self) {
        match self {
            Denied::Nothing => {}
            Denied::Calls(calls, errno) => calls.iter().for_each(|&call| deny(call, errno)),
            Denied::Descriptors(left) => {
                // The lowest numbers are given out.
                let free = (0..).filter(|&fd| !is_open(fd)).nth(left).expect("a number");
                limit(libc::RLIMIT_NOFILE, free as u64);
            }
            Denied::Memory => {
                let pages = std::fs::read_to_string("/proc/self/statm").expect("there is /proc");
                let pages = pages.split(' ').next().and_then(|n| n.parse::<u64>().ok()).expect("a number");
                limit(libc::RLIMIT_AS, pages * 4096);
            }
        }
    }

    /// What can be lifted again is: whether there was such a thing.
    fn leave(self) -> bool {
        match self {
            Denied::Descriptors(_) => limit(libc::RLIMIT_NOFILE, u64::MAX),
            Denied::Memory => limit(libc::RLIMIT_AS, u64::MAX),
            _ => return false,
        }
        true
    }
}

/// The soft limit, at most the hard one.
fn limit(resource: libc::__rlimit_resource_t, value: u64) {
    let mut both = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limits are readable and writable.
    unsafe {
        assert_eq!(libc::getrlimit(resource, &raw mut both), 0);
        both.rlim_cur = value.min(both.rlim_max);
        assert_eq!(libc::setrlimit(resource, &raw const both), 0);
    }
}

/// For good, in this process.
fn deny(call: libc::c_long, errno: i32) {
    const NUMBER: u32 = 0; // where a filter finds it
    let line = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut lines = [
        line(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, NUMBER),
        line(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call as u32),
        line(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        line(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: lines.len() as u16, filter: lines.as_mut_ptr() };
    // SAFETY: the program outlives the call.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
}

fn is_open(fd: i32) -> bool {
    // SAFETY: takes integers.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

/// Descriptors and threads of this process; found without a descriptor.
fn belongings() -> (usize, u64) {
    let threads = std::fs::metadata("/proc/self/task").expect("there is /proc").nlink() - 2;
    ((0..1024).filter(|&fd| is_open(fd)).count(), threads)
}

/// A partner in another process: what is put into `asks` comes back in `queue` a little later.
fn echo(asks: &Queue<u64>, queue: &Queue<u64>) {
    while let Ok(value) = asks.pop() {
        std::thread::sleep(Duration::from_millis(3));
        queue.push(value).expect("open");
    }
}

/// A set goes on, or says why not; nothing is left behind, and it is as good as before.
fn use_sets(w: &World, asks: &Queue<u64>, read: &std::io::PipeReader, may: &[i32], must: bool) {
    let good = |error: Error| assert!(may.contains(&error.errno()), "{error:?}");
    let heard = |set: &mut WaitSet<'_>, key| {
        asks.push(1).expect("open");
        assert_eq!(set.wait().expect("it hears"), [key]);
        w.queue.pop().expect("a message");
    };
    let before = belongings();
    let mut failed = 0;
    // By futex it needs none of all that.
    let mut set = WaitSet::new();
    let key = set.add(w.queue.when_readable()).expect("room");
    set.add(w.event.when_set()).expect("room");
    heard(&mut set, key);
    // Where it cannot sleep in epoll it stays as it was.
    for by_source in [false, true] {
        let entered = match by_source {
            false => set.descriptor().map(drop),
            true => set.add(Source::readable(read)).map(drop),
        };
        if let Err(error) = entered {
            failed += 1;
            good(error);
            assert_eq!((set.len(), set.mechanism()), (2, Mechanism::Futex));
            assert_eq!(belongings(), before, "after it was refused");
            heard(&mut set, key);
        }
    }
    if set.mechanism() == Mechanism::Epoll {
        for _ in 0..2 {
            match set.wait_timeout(Duration::from_millis(5)) {
                Err(error) if error.kind() == ErrorKind::TimedOut => heard(&mut set, key),
                Err(error) => {
                    failed += 1;
                    good(error);
                    // What is there it finds, unless it cannot look at descriptors.
                    w.queue.push(1).expect("open");
                    match set.try_wait() {
                        Ok(ready) => assert_eq!(ready, [key]),
                        Err(error) => good(error),
                    }
                    w.queue.pop().expect("a message");
                }
                Ok(ready) => panic!("{ready:?}, and nothing has happened"),
            }
        }
    }
    assert!(failed > 0 || !must, "it was not denied");
    drop(set);
    assert!(support::eventually(Duration::from_secs(10), || belongings() == before), "{:?}", belongings());
}

fn a_set_goes_on_or_says_why_not_where_something_is_denied() {
    let world = World::new();
    let asks = world.segment.queue("asks", 4).expect("room");
    // SAFETY: as in `forked`.
    let partner = unsafe { libc::fork() };
    if partner == 0 {
        echo(&asks, &world.queue);
        // SAFETY: ends the process.
        unsafe { libc::_exit(0) };
    }
    let mut problems = Vec::new();
    for &(denied, may) in DENIALS {
        let status = forked(|| {
            let (read, _write) = std::io::pipe().expect("descriptors");
            // What only the first time needs is another row's. (A thread's stack is kept.)
            if matches!(denied, Denied::Memory) {
                one_of_several(&world, false).expect("nothing is denied yet");
            } else {
                use_sets(&world, &asks, &read, &[], false);
            }
            denied.enter();
            use_sets(&world, &asks, &read, may, !may.is_empty());
            if denied.leave() {
                use_sets(&world, &asks, &read, &[], false);
            }
            0
        });
        if status != 0 {
            problems.push(format!("{denied:?}: wait status {status:#x}"));
        }
    }
    asks.close().expect("sound");
    // SAFETY: our child; no status is asked for.
    assert_eq!(unsafe { libc::waitpid(partner, std::ptr::null_mut(), 0) }, partner);
    assert!(problems.is_empty(), "{problems:#?}");
}

fn main() {
    support::run(tests![
        a_set_goes_on_or_says_why_not_where_something_is_denied,
        an_allocation_that_fails_is_an_error,
        descriptors_that_the_program_closed_and_uses_again_stay_its_own,
    ])
}
