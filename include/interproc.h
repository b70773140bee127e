/* interproc: locks, queues and processes in shared memory that survive `kill -9` of any participant.
 *
 * Generated from src/ffi by cbindgen; do not edit.
 *
 * What is said here holds for every function; the comment of a function says only what is its own.
 *
 * CALLS AND RESULTS
 *
 * A function that can fail returns 0 or a positive errno value, and leaves errno alone; `@return` lists the values that
 * are its own. The handle or object comes first, then what goes in, then `abstime`, then what comes out; a buffer and
 * its size stand together. A call that opens a segment or a process, or starts one, fills the handle that comes first.
 * Outputs are written only on success, except for the length of a message that is too large for a buffer.
 * interproc_strerror() explains a value, and interproc_last_error_message() tells what exactly went wrong in the
 * thread's last failed call.
 *
 * These values any function may return:
 *   EINVAL   an argument is NULL that may not be, or out of its range; a handle is closed or not valid; an address is
 *            misaligned, or not in a segment that this process has open. Nothing was done.
 *   EUSERS   every member slot of the segment is held by a living thread (see max_members).
 *   ENOTSUP  the kernel or sandbox lacks something that cannot be done without, such as robust lists.
 *   ENOMEM   an allocation failed. (Texts of errors need no memory. The C library itself ends a process that has no
 *            memory for a thread's storage in a library that came by dlopen().)
 *
 * Objects lie in segments and are found by name: a C and a Rust program use the same ones. interproc_mutex_t,
 * interproc_recursive_mutex_t, interproc_rwlock_t, interproc_semaphore_t, interproc_cond_t, interproc_event_t and
 * interproc_once_t may also be placed anywhere in a segment, and zero bytes are a valid idle one. All other types are
 * handles of one process, or its data, and do not belong in shared memory.
 *
 * WAITING
 *
 * The usual calls of locks, permits, queues, lanes, pipes and wait sets have three forms: `push` waits as long as it
 * takes, `trypush` never waits, and `timedpush` waits until `abstime`. Conditions, events and barriers have no try. Calls in
 * place, in batches, and those that are seldom used have a form with a time limit, `_until`, some beside one without.
 * Exceptions: interproc_cond_wait_recursive(), interproc_barrier_wait_slice(), interproc_pipe_poll(),
 * interproc_process_wait_any() and _wait_all() have an `abstime`, too; interproc_once_begin() and
 * interproc_pipe_hand_over() wait without a limit.
 *
 * Where it would have to wait, `try` returns EBUSY (locks and permits) or EAGAIN (queues, lanes, pipes, wait sets), as
 * pthreads and POSIX queues do; a call whose time is over returns ETIMEDOUT.
 *
 * `abstime` is an absolute time on CLOCK_MONOTONIC; interproc_deadline_after() makes one. NULL is no time limit. With a
 * time in the past, such as {0, 0}, a call does what needs no waiting, and nothing else. EINVAL: nanoseconds that are
 * not in 0..999999999; and seconds from 1000000000 on (31 years after boot), which are those of CLOCK_REALTIME and
 * would mean for ever: interproc_deadline_from() converts them. From 18446744073 seconds on, where the clock ends, it
 * is for ever.
 *
 * Signal handlers run while a call waits, and the wait goes on: there is no EINTR. To look at your signals, wait in
 * slices, as a language binding does: a time limit that runs out loses no wake-up, and the next wait goes on (see
 * c_examples/slices.c). Only a barrier is broken by a time limit; interproc_barrier_wait_slice() does not break it.
 *
 * To wait for several things at once, also in another program's event loop: see interproc_waitset_t.
 *
 * MESSAGES
 *
 * Queues and lanes copy by `push` and `pop`, pipes by `send` and `recv`. In place: `reserve`, then `commit` or `abort`,
 * to write (spsc has no abort: it commits 0); `borrow`, then `release` or (queues) `put_back`, to read. A commit of
 * more than was reserved is EMSGSIZE, and the reservation stays. A commit or abort with nothing reserved, and a release
 * with nothing borrowed, is EINVAL in lanes and pipes; in queues, where the place is named, EPERM.
 * `redelivered` says that a message may have been read before, by a consumer that died; in batches it is a count.
 *
 * WHEN SOMEBODY DIES
 *
 * Any participant may be killed at any instruction. A death never blocks others, leaks capacity or corrupts data, and
 * the heir is told: EOWNERDEAD from a lock or with a permit, `redelivered` from a queue, ECANCELED from a barrier.
 *
 * THREADS, FORKS, SIGNALS, CANCELLATION
 *
 * Every function may be called by any thread, unless its type's comment says that one thread at a time uses a handle. A
 * close must not run while another thread uses the handle. A thread becomes a member of a segment when it first uses
 * an object there; at its end, by any cause, the kernel gives its slot back. A forked child may use what it inherits,
 * but does not own what its parent holds: EPERM. A child of vfork(), or of clone() with CLONE_VM and without
 * CLONE_THREAD, must not use the library.
 *
 * Signal handlers may use only the functions marked async-signal-safe. These use no thread-local storage, so they are
 * safe, too, where the library came by dlopen() and the thread has never called it, and they keep no error for
 * interproc_last_error_message().
 *
 * No function is a cancellation point, and none leaves anything behind in a thread that is cancelled: a cancellation
 * takes effect at the next cancellation point outside the library. A thread of asynchronous cancellation type must not
 * call the library. A job of yours that a function runs (interproc_once_call()) may be cancelled, and may throw a C++
 * exception through it.
 *
 * DESCRIPTORS
 *
 * The library's descriptors are numbered 3 or above and are close-on-exec. A program may close them, as daemons do with
 * closefrom(3): what this process holds stays held, locks and queues go on working, and a file that gets one of the
 * numbers is never touched. What is lost is the check for deaths that the kernel does not report (rare: see the
 * README), unless the segment has a name to open it by; and a call that needs the descriptor itself returns EBADF.
 *
 * All sizes are part of the binary interface and are checked at the end of this file.
 */
#ifndef INTERPROC_H
#define INTERPROC_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of this header, and as a number: 1,000,000 times the first part, 1,000 times the second, and the third.
 * That of the library is interproc_version() and interproc_version_number(). */
#define INTERPROC_VERSION "0.1.0"
#define INTERPROC_VERSION_NUMBER 1000

/* Defined by <time.h>, which a strict C99 program gets it from with _POSIX_C_SOURCE at 199309L or more. */
struct timespec;
/* Defined by <sys/uio.h>. */
struct iovec;


/**
 * A flag of interproc_segment_options_t: pages of the payload are not reserved at creation. A large segment then
 * costs only what is used, but when memory runs out later, the access is a SIGBUS instead of an ENOSPC at creation.
 */
#define INTERPROC_SEGMENT_SPARSE 1

/**
 * A flag of interproc_segment_options_t: everybody uses full memory fences, instead of sleepers interrupting running
 * processors by membarrier(2). For isolated cores. Makes uncontended operations slower; cannot be undone.
 */
#define INTERPROC_SEGMENT_STRONG_FENCES 2

/**
 * A flag of interproc_segment_options_t: segments that belong to the user `trusted_owner` are opened too. Otherwise
 * only those of this user and of root are: their owner can read and change all that goes through them.
 */
#define INTERPROC_SEGMENT_TRUST_OWNER 4

/**
 * The job is done: nothing to do.
 */
#define INTERPROC_ONCE_DONE 0

/**
 * The job is the caller's, and nobody has begun it before.
 */
#define INTERPROC_ONCE_FIRST 1

/**
 * The job is the caller's; an earlier caller began it and died or gave up.
 */
#define INTERPROC_ONCE_RETRY 2

/**
 * The oldest job comes next: `order` of interproc_work_queue_options_t.
 */
#define INTERPROC_WORK_FIFO 0

/**
 * The youngest job comes next.
 */
#define INTERPROC_WORK_LIFO 1

/**
 * The job with the lowest priority number comes next; among equals the oldest.
 */
#define INTERPROC_WORK_PRIORITY 2

/**
 * Publishers wait for a slow subscriber: it misses nothing.
 */
#define INTERPROC_SLOW_WAITS 0

/**
 * They do not: it is told how many messages it has missed.
 */
#define INTERPROC_SLOW_LAGS 1

/**
 * A bound child: it ends, at once and by SIGKILL, when this process ends, however that happens, and also when this
 * process becomes another program. Not when the thread ends that started it. Costs this process two descriptors.
 */
#define INTERPROC_PROCESS_DIES_WITH_PARENT 1

/**
 * As INTERPROC_PROCESS_DIES_WITH_PARENT, for the child and everything that it starts: the child leads a process group,
 * which is killed as a whole. So is what is left of the group once the child has ended and its handle is closed.
 */
#define INTERPROC_PROCESS_GROUP_DIES_WITH_PARENT 2

/**
 * The child leads a process group of its own.
 */
#define INTERPROC_PROCESS_GROUP 4

/**
 * The child leads a session of its own, and in it a process group.
 */
#define INTERPROC_PROCESS_SESSION 8

/**
 * `nice` is applied.
 */
#define INTERPROC_PROCESS_NICE 16

/**
 * `umask` is applied.
 */
#define INTERPROC_PROCESS_UMASK 32

/**
 * A program gets none of this process's descriptors but 0, 1, 2 and those in `descriptors`.
 */
#define INTERPROC_PROCESS_CLOSE_OTHERS 64

/**
 * A direction of a pipe, for interproc_pipe_shutdown(): what this end sends.
 */
#define INTERPROC_PIPE_SEND 1

/**
 * What this end receives.
 */
#define INTERPROC_PIPE_RECV 2

/**
 * A source is ready when something can be read or taken.
 */
#define INTERPROC_READABLE 1

/**
 * A source is ready when there is room to write or put something.
 */
#define INTERPROC_WRITABLE 2

/**
 * A set sleeps on memory words: it has no descriptor, and needs no thread.
 */
#define INTERPROC_WAITSET_FUTEX 0

/**
 * A set sleeps in epoll, and a thread of the library's watches the memory words.
 */
#define INTERPROC_WAITSET_EPOLL 1

/**
 * Shared memory with a directory of named objects, as one process has it open.
 *
 * This is a local handle: it does not lie in shared memory. interproc_segment_close() frees it. A plain copy of the
 * structure is the same handle: close only one of them.
 *
 *     typedef struct { interproc_mutex_t lock; unsigned tickets; } shop_t;
 *
 *     interproc_segment_t segment;
 *     shop_t *shop;
 *     int rc = interproc_segment_open_or_create(&segment, "/shop", 1 << 16, 0600);
 *     if (rc == 0)
 *         rc = interproc_segment_object(&segment, "shop", sizeof *shop, 8, (void **)&shop);
 *     if (rc != 0)
 *         fprintf(stderr, "%s\n", interproc_last_error_message());
 *
 * A forked child may go on using its parent's open segments and the objects in them.
 *
 * Threat model: a process that may write to a segment can break what is in it, but cannot make this library read or
 * write outside of it. If it may write to a *named* segment, it can also truncate its file; a later access is then a
 * SIGBUS. An anonymous segment is sealed against that.
 */
typedef struct interproc_segment_t {
  /**
   * Private. NULL when closed.
   */
  void *private_;
  /**
   * Private.
   */
  uint64_t reserved;
} interproc_segment_t;

/**
 * Options for a segment. Start from INTERPROC_SEGMENT_OPTIONS_INIT and set what differs; zero means the default
 * everywhere.
 *
 *     interproc_segment_options_t options = INTERPROC_SEGMENT_OPTIONS_INIT;
 *     options.size = 1 << 20;
 *     options.max_members = 256;
 *     rc = interproc_segment_create_with(&segment, "/shop", &options);
 *
 * An existing segment keeps the shape it was created with; opening one that is smaller than `size` is refused.
 */
typedef struct interproc_segment_options_t {
  /**
   * Bytes for your objects, rounded up to whole pages. Needed for creating.
   */
  size_t size;
  /**
   * How many threads, of all processes together, may use the objects at a time: 0 for 64, at most 16384. Each
   * costs one page.
   */
  uint32_t max_members;
  /**
   * How many named objects there is room for: 0 for 64, at most 65536.
   */
  uint32_t max_objects;
  /**
   * The permission bits of a new named segment, which the umask does not change: 0 for 0600. Using a segment
   * needs permission to read and to write.
   */
  uint32_t mode;
  /**
   * INTERPROC_SEGMENT_SPARSE and the like, or-ed together.
   */
  uint32_t flags;
  /**
   * A user id, with INTERPROC_SEGMENT_TRUST_OWNER.
   */
  uint32_t trusted_owner;
  /**
   * Zero.
   */
  uint32_t reserved0;
  /**
   * Zero.
   */
  uint64_t reserved[4];
} interproc_segment_options_t;

/**
 * A bounded first-in-first-out queue between any processes: many producers, many consumers, messages of a fixed size.
 *
 * This is a local handle from interproc_segment_queue(); the queue itself lies in the segment. The handle need not be
 * freed, may be copied, and may be used by any thread and by forked children while the segment is open.
 *
 *     interproc_queue_t jobs;
 *     job_t job = {42};
 *     int rc = interproc_segment_queue(&segment, "jobs", sizeof job, 1024, &jobs);
 *     if (rc == 0)
 *         rc = interproc_queue_push(&jobs, &job);
 *
 * A death never blocks the others: what a producer had not finished is dropped, what it had pushed is delivered, and
 * what a consumer was reading is delivered again, flagged `redelivered`. Pop is at-most-once: a message that a
 * consumer had taken is lost with it. Sleepers are told of a death at once, not by polling.
 *
 * A pop sees everything that happened before the push of its message. The messages of one producer come out in its
 * order. A push or pop that need not wait makes no system call.
 *
 * Large messages are written and read in place: interproc_queue_reserve_until(), interproc_queue_borrow_until(). A
 * call that only the caller itself could end, because it holds the cell, returns EDEADLK instead of waiting.
 */
typedef struct interproc_queue_t {
  /**
   * Private. Zero when it is no queue.
   */
  uint64_t private_[8];
} interproc_queue_t;

/**
 * A bounded first-in-first-out queue of messages of any length between any processes: many producers, many consumers.
 *
 * This is a local handle from interproc_segment_byte_queue(); the queue itself lies in the segment. The handle need
 * not be freed, may be copied, and may be used by any thread and by forked children while the segment is open.
 *
 *     interproc_byte_queue_t log;
 *     int rc = interproc_segment_byte_queue(&segment, "log", 1 << 20, 4096, &log);
 *     if (rc == 0)
 *         rc = interproc_byte_queue_push(&log, "hello", 5);
 *
 * Messages are copied in and out, or written and read in place:
 *
 *     void *room;
 *     rc = interproc_byte_queue_reserve_until(&log, 4096, NULL, &room);
 *     if (rc == 0) {
 *         size_t len = render(room, 4096);
 *         rc = interproc_byte_queue_commit(&log, room, len);
 *     }
 *
 *     const void *message;
 *     size_t len;
 *     rc = interproc_byte_queue_borrow_until(&log, NULL, &message, &len, NULL);
 *     if (rc == 0) {
 *         fwrite(message, 1, len, stdout);
 *         rc = interproc_byte_queue_release(&log, message);
 *     }
 *
 * A message takes its length, rounded up to 64 bytes (more where messages may be longer than about 500 KB or the queue
 * than 1 GiB). In place it is aligned to 64.
 *
 * A death never blocks the others: what a producer had not finished is discarded and its room reclaimed, what it had
 * pushed is delivered, what a consumer was reading is delivered again, flagged `redelivered`. A message that was
 * popped is lost with its consumer. Sleepers are told at once, not by polling.
 *
 * A pop sees everything that happened before the push of its message. Messages come out in the order in which their
 * room was claimed, each producer's in the order of its pushes. A push or pop that need not wait makes no system call.
 *
 * What is reserved or borrowed belongs to the calling *thread*: another thread, or a child, is refused with EPERM.
 * EBADMSG from any function: somebody wrote over the queue.
 */
typedef struct interproc_byte_queue_t {
  /**
   * Private. Zero when it is no queue.
   */
  uint64_t private_[8];
} interproc_byte_queue_t;

/**
 * A number of permits between threads of any processes. A holder may be killed, and nothing is lost.
 *
 * This is a local handle from interproc_segment_bounded_semaphore(); the semaphore itself lies in the segment. The
 * handle need not be freed, may be copied, and may be used by any thread and by forked children while the segment is
 * open.
 *
 *     interproc_bounded_semaphore_t lines;
 *     interproc_permit_t line;
 *     int rc = interproc_segment_bounded_semaphore(&segment, "telephone lines", 3, &lines);
 *     if (rc == 0)
 *         rc = interproc_bounded_semaphore_acquire(&lines, &line);
 *     if (rc == EOWNERDEAD) {                 // we have it; its holder was killed
 *         hang_up(&line);
 *         rc = 0;
 *     }
 *     if (rc == 0) {
 *         talk();
 *         interproc_bounded_semaphore_release(&lines, &line);
 *     }
 *
 * When a holder dies (the thread or its process, by any cause, at any instruction) its permits go to the next callers
 * that ask, within microseconds if somebody waits, and they are told by EOWNERDEAD. Up to 120 holders are watched
 * without any polling; with more, a death is found within 50 ms.
 *
 * The new holder of a permit sees what its last holder did. Waiters are served one after the other, but a newcomer may
 * be faster. Acquiring and releasing while permits are free makes no system call.
 */
typedef struct interproc_bounded_semaphore_t {
  /**
   * Private. Zero when it is no semaphore.
   */
  uint64_t private_[8];
} interproc_bounded_semaphore_t;

/**
 * A place where a number of threads of any processes wait for each other, round after round. Nobody waits for the
 * dead.
 *
 * This is a local handle from interproc_segment_barrier(); the barrier itself lies in the segment. The handle need not
 * be freed, may be copied, and may be used by any thread and by forked children while the segment is open.
 *
 *     interproc_barrier_t steps;
 *     bool leader;
 *     int rc = interproc_segment_barrier(&segment, "steps", 4, &steps);
 *     while (rc == 0 && compute())
 *         rc = interproc_barrier_wait(&steps, &leader);
 *     if (rc == ECANCELED)
 *         give_up();                          // somebody died, ran out of time, or aborted
 *     interproc_barrier_leave(&steps);        // a good end is no death
 *
 * A thread takes a seat when it first waits, and keeps it. When a party dies (a thread or its process, by any cause,
 * while it waits, or computes between two rounds), the barrier is broken at once: all that wait, and all that come,
 * get ECANCELED, until somebody calls interproc_barrier_reset(). The end of a thread counts as a death: a thread that
 * is done calls interproc_barrier_leave() first. If more threads than parties come, each takes a seat that is idle in
 * this round, or waits for the next. Up to 120 parties are watched without any polling; with more, a death is found
 * within 50 ms.
 *
 * A party that looks late, because its process was stopped, still gets the result of its own round, however many
 * rounds later. (After more than four resets the result is no longer known, and it gets ECANCELED.)
 *
 * What any party did before its wait happens before what any of them does after it.
 */
typedef struct interproc_barrier_t {
  /**
   * Private. Zero when it is no barrier.
   */
  uint64_t private_[8];
} interproc_barrier_t;

/**
 * The state of a segment: a snapshot.
 */
typedef struct interproc_segment_info_t {
  /**
   * The bytes that it has for objects.
   */
  size_t size;
  /**
   * Whether its name was removed: a newcomer does not find it any more.
   */
  bool is_retired;
  /**
   * Zero.
   */
  uint8_t reserved[7];
  /**
   * Zero.
   */
  uint64_t reserved1[2];
} interproc_segment_info_t;

/**
 * What a work queue is made with. Zero is a good value for all but the first two.
 */
typedef struct interproc_work_queue_options_t {
  /**
   * Jobs that it has room for, 1 to 2^24. Dead letters take room, too.
   */
  size_t capacity;
  /**
   * Bytes of the longest job, at least 1.
   */
  size_t longest;
  /**
   * 0 for bytes; for jobs of one type its id: see interproc_segment_queue().
   */
  uint64_t type_id;
  /**
   * How long a job may be worked on, in ns (rounded up to ms, at most 49 days); 0: as long as its worker lives.
   */
  uint64_t lease_ns;
  /**
   * `INTERPROC_WORK_FIFO`, `INTERPROC_WORK_LIFO` or `INTERPROC_WORK_PRIORITY`.
   */
  uint32_t order;
  /**
   * A job that was delivered so often and not done is a dead letter: at most 4095; 0: never.
   */
  uint32_t max_deliveries;
  /**
   * Zero.
   */
  uint64_t reserved[3];
} interproc_work_queue_options_t;

/**
 * What a broadcast is made with. Whoever finds it must ask for the same.
 */
typedef struct interproc_broadcast_options_t {
  /**
   * Messages that it keeps, 2 to 2^30.
   */
  size_t capacity;
  /**
   * Bytes of the longest message, at least 1.
   */
  size_t longest;
  /**
   * 0 for messages of any length; for messages of one type, all `longest` bytes long, its id: see
   * interproc_segment_queue_as().
   */
  uint64_t type_id;
  /**
   * The most subscribers at a time, 1 to 4096; 0: 64. Each takes 64 bytes.
   */
  size_t subscribers;
  /**
   * Zero.
   */
  uint64_t reserved[4];
} interproc_broadcast_options_t;

/**
 * A robust mutex: mutual exclusion between threads of any processes, which survives the death of its holder.
 *
 * It lies in a segment, alone or as a member of a structure of yours (see interproc_segment_object()). All-zero bytes
 * are an unlocked mutex, so one in a new object needs no initialisation. A Rust program sees it as a `sync::Mutex`
 * whose value is the bytes behind it, or as a `raw::sync::RawMutex`.
 *
 * When a holder dies (the thread or its process, by any cause, at any instruction) the next locker gets the lock
 * within microseconds and is told by EOWNERDEAD: it holds the lock, repairs the data, says so by
 * interproc_mutex_consistent(), and goes on.
 *
 *     int rc = interproc_mutex_lock(&shop->lock);
 *     if (rc == EOWNERDEAD) {
 *         repair(shop);
 *         rc = interproc_mutex_consistent(&shop->lock);
 *     }
 *     if (rc == 0) {
 *         shop->tickets--;
 *         interproc_mutex_unlock(&shop->lock);
 *     }
 *
 * The thread that locks is the one that unlocks. A forked child owns nothing that its parent holds. Locking and
 * unlocking while nobody else wants the lock makes no system call.
 */
typedef struct interproc_mutex_t {
  /**
   * Private.
   */
  uint64_t private_[2];
} interproc_mutex_t;

/**
 * A thread that holds something: a snapshot, diagnostic only. All zero when there is nobody. Its ids are what it, or
 * anybody else who may write to the segment, has written there: no proof of who it is.
 *
 *     interproc_who_t who;
 *     if (interproc_mutex_holder(&shop->lock, &who) == 0 && who.found)
 *         printf("held by %d.%d %s%s\n", who.pid, who.tid, who.name, who.alive ? "" : ", dead");
 */
typedef struct interproc_who_t {
  /**
   * Whether there is anybody.
   */
  bool found;
  /**
   * Whether it lives. A stopped thread does.
   */
  bool alive;
  /**
   * Its state by the letter that ps shows (`T` is stopped), 0 if unknown.
   */
  char state;
  /**
   * Zero.
   */
  uint8_t reserved;
  /**
   * Its process id, in its own PID namespace. 0 if it is not known any more: it is long dead.
   */
  int32_t pid;
  /**
   * Its thread id, as above.
   */
  int32_t tid;
  /**
   * Zero.
   */
  uint32_t reserved1;
  /**
   * Its PID namespace's inode number, 0 if unknown.
   */
  uint64_t pid_namespace;
  /**
   * Its start time in clock ticks since boot, 0 if unknown.
   */
  uint64_t start_time;
  /**
   * Its name, NUL-terminated; empty for the dead, and for those of another PID namespace.
   */
  char name[16];
} interproc_who_t;

/**
 * A robust mutex that its holder may lock again: as interproc_mutex_t, and it is free after as many unlocks as locks.
 *
 * It lies in a segment, alone or as a member of a structure of yours. All-zero bytes are an unlocked one. A Rust
 * program sees it as a `sync::RecursiveMutex` whose value is the bytes behind it.
 *
 *     static int withdraw(account_t *account, long cents)       // also called by transfer(), which locks, too
 *     {
 *         int rc = interproc_recursive_mutex_lock(&account->lock);
 *         if (rc == EOWNERDEAD)
 *             rc = repair(account) ? interproc_recursive_mutex_consistent(&account->lock) : EIO;
 *         if (rc != 0)
 *             return rc;
 *         account->cents -= cents;
 *         return interproc_recursive_mutex_unlock(&account->lock);
 *     }
 *
 * When a holder dies, at whatever depth, the next locker gets the lock at depth one and is told by EOWNERDEAD.
 */
typedef struct interproc_recursive_mutex_t {
  /**
   * Private.
   */
  uint64_t private_[3];
} interproc_recursive_mutex_t;

/**
 * A condition variable: waiting, under a mutex, until another thread of any process makes a condition true and says
 * so.
 *
 * It lies in the same segment as the mutex (see interproc_segment_object()), and all who wait at one time name the
 * same mutex. All-zero bytes are one that nobody waits for, so one in a new object needs no initialisation.
 *
 *     int rc = interproc_mutex_lock(&shop->lock);
 *     while ((rc == 0 || rc == EOWNERDEAD)) {
 *         if (rc == EOWNERDEAD) {
 *             repair(shop);
 *             interproc_mutex_consistent(&shop->lock);
 *         }
 *         if (shop->tickets > 0)
 *             break;
 *         rc = interproc_cond_wait(&shop->arrived, &shop->lock);
 *     }
 *
 * With a recursive mutex: interproc_cond_wait_recursive(). A wait may end without a signal, with 0 as POSIX has it:
 * when a signal handler has run, when somebody in the segment is killed, or by a race. So look at the condition in a
 * loop. Without a condition to look at, interproc_cond_signals() tells the one from the other. A thread or process
 * that ends in good order wakes nobody.
 *
 * To look at something else now and then, as a language binding at its signals, wait in slices. No signal that is sent
 * with the mutex held is lost between two of them, as the waiter holds it, too:
 *
 *     uint32_t before, now;
 *     interproc_cond_signals(&shop->arrived, &before);
 *     do {
 *         if (interrupted())
 *             break;
 *         interproc_deadline_after(50000000, &slice);
 *         rc = interproc_cond_timedwait(&shop->arrived, &shop->lock, &slice);
 *         interproc_cond_signals(&shop->arrived, &now);
 *     } while ((rc == 0 || rc == ETIMEDOUT) && now == before);     // or: while the condition is false
 *     signalled = now != before;                                   // what the binding's own wait returns
 *
 * When somebody dies: a killed waiter takes no signal along. A thread that is killed between its change and its
 * signal, lock held, leaves nobody asleep: all waiters wake, and the first gets the lock by EOWNERDEAD from its wait.
 * One that is killed after it has unlocked and before it has signalled wakes those that are asleep: for a guarantee,
 * signal before you unlock.
 */
typedef struct interproc_cond_t {
  /**
   * Private.
   */
  uint64_t private_[2];
} interproc_cond_t;

/**
 * A counting semaphore: a number that anybody may raise and that nobody can lower below zero without waiting.
 *
 * It lies in a segment, alone or as a member of a structure of yours. All-zero bytes are a semaphore with the value 0.
 * A Rust program sees it as a `sync::Semaphore`.
 *
 *     rc = interproc_segment_object(&seg, "ready", sizeof *ready, 8, (void **)&ready);
 *     ...
 *     interproc_semaphore_post(ready);               // in one process, or in a signal handler
 *     rc = interproc_semaphore_acquire(ready);       // in another
 *
 * It has no owner: what a thread has acquired and not posted when it dies is lost. Nothing else is: a post by a killed
 * thread has happened together with its wake-up, or not at all; the wake-up of a killed sleeper goes to another one at
 * once. With nobody asleep every operation is one compare-and-swap and no system call.
 */
typedef struct interproc_semaphore_t {
  /**
   * Private.
   */
  uint64_t private_[2];
} interproc_semaphore_t;

/**
 * An event: a flag to wait for.
 *
 * It lies in a segment, alone or as a member of a structure of yours. All-zero bytes are an event that is not set. A
 * Rust program sees it as a `sync::Event`.
 *
 *     rc = interproc_segment_object(&seg, "stop", sizeof *stop, 8, (void **)&stop);
 *     ...
 *     interproc_event_set(stop);                     // in one process, or in a signal handler
 *     rc = interproc_event_wait(stop);               // in others: it releases all
 *
 * A set releases all waiting threads, even if it is cleared right after it. Nobody owns an event: a setter that is
 * killed has set it and woken all, or has done nothing. With nobody asleep no operation makes a system call.
 */
typedef struct interproc_event_t {
  /**
   * Private.
   */
  uint64_t private_[2];
} interproc_event_t;

/**
 * One-time initialisation among threads of any processes.
 *
 * It lies in a segment, alone or as a member of a structure of yours. All-zero bytes are not done. A Rust program sees
 * it as a `sync::Once`.
 *
 *     static int set_up(void *argument, bool is_retry)
 *     {
 *         config_t *config = argument;
 *         if (is_retry)                              // somebody was killed in here, or failed
 *             memset(config, 0, sizeof *config);
 *         return read_config(config);                // not 0: the next caller runs it
 *     }
 *     ...
 *     int rc = interproc_once_call(&shared->once, set_up, &shared->config);
 *
 * When the thread that does the job dies, a waiter takes it over within microseconds, and is told. Once it is done, a
 * call is one load.
 */
typedef struct interproc_once_t {
  /**
   * Private.
   */
  uint64_t private_[3];
} interproc_once_t;

/**
 * The job that runs once. A result other than 0 means that it failed. `is_retry`: an earlier run began, and died or
 * failed.
 */
typedef int (*interproc_once_job_t)(void *argument, bool is_retry);

/**
 * A robust reader-writer lock: many readers or one writer, threads of any processes, which survives the death of any.
 *
 * It lies in a segment, alone or as a member of a structure of yours (see interproc_segment_object()). All-zero bytes
 * are an unlocked lock, so one in a new object needs no initialisation. A Rust program sees it as a `sync::RwLock`
 * whose value is the bytes behind it, or as a `raw::sync::RawRwLock`. Place it at a multiple of 64 if you can.
 *
 * When a reader dies, its hold is gone and nobody is told. When a writer dies (the thread or its process, by any
 * cause, at any instruction) the next one, reader or writer, gets the lock *for writing* within microseconds and is
 * told by EOWNERDEAD: it repairs the data, says so by interproc_rwlock_consistent(), and goes on; a reader by
 * interproc_rwlock_downgrade() or as the writer that it is.
 *
 *     int rc = interproc_rwlock_rdlock(&prices->lock);
 *     if (rc == EOWNERDEAD) {
 *         repair(prices);
 *         rc = interproc_rwlock_consistent(&prices->lock);
 *         if (rc == 0)
 *             rc = interproc_rwlock_downgrade(&prices->lock);
 *     }
 *     if (rc == 0) {
 *         use(prices);
 *         interproc_rwlock_unlock(&prices->lock);
 *     }
 *
 * Once a writer waits, new readers wait behind it. A thread that reads may lock for reading again at any time without
 * waiting, and unlocks as often. The thread that locks is the one that unlocks, in any order. A forked child owns
 * nothing that its parent holds. Reading or writing while nobody is in the way makes no system call, but for the first
 * write after a long time of reading.
 */
typedef struct interproc_rwlock_t {
  /**
   * Private.
   */
  uint64_t private_[8];
} interproc_rwlock_t;

/**
 * A permit, or several that were acquired together and are released as one.
 *
 * It belongs to the thread that acquired it: with that thread's death it goes to somebody else. Another thread of the
 * process may release it as long as the first one lives, or become its owner by interproc_bounded_semaphore_adopt(). A
 * forked child does not own what its parent holds. Releasing it clears it; zero is no permit.
 */
typedef struct interproc_permit_t {
  /**
   * Private. Zero when it is no permit.
   */
  uint64_t private_[4];
} interproc_permit_t;

/**
 * The state of a semaphore: a snapshot.
 */
typedef struct interproc_bounded_semaphore_info_t {
  /**
   * How many permits there are.
   */
  uint32_t permits;
  /**
   * How many are available now, those of dead holders included. Those that a thread keeps while it waits for more
   * are not counted. Permits are looked at one after the other: while others acquire and release, the number may
   * match no single moment.
   */
  uint32_t available;
  /**
   * How many living threads are asleep for it; threads that still spin are not counted.
   */
  uint32_t waiters;
  /**
   * Zero.
   */
  uint32_t reserved[5];
} interproc_bounded_semaphore_info_t;

/**
 * The state of one thread's wait in slices: see interproc_barrier_wait_slice(). All zero before the first slice.
 */
typedef struct interproc_barrier_turn_t {
  /**
   * Private.
   */
  uint64_t private_[2];
} interproc_barrier_turn_t;

/**
 * The state of a barrier: a snapshot.
 */
typedef struct interproc_barrier_info_t {
  /**
   * How many must come.
   */
  uint32_t parties;
  /**
   * How many have come and wait; 0 while it is broken.
   */
  uint32_t n_waiting;
  /**
   * How many living threads are asleep for it; threads that still spin are not counted.
   */
  uint32_t waiters;
  /**
   * Whether the next one to come would get ECANCELED.
   */
  bool is_broken;
  /**
   * Zero.
   */
  uint8_t reserved[3];
  /**
   * Zero.
   */
  uint32_t reserved1[4];
} interproc_barrier_info_t;

/**
 * How full a queue is, and whether it is closed: a snapshot of a few loads. Counted in messages for interproc_queue_t
 * and spsc; in bytes, headers included, for byte queues and byte lanes.
 *
 *     interproc_channel_info_t info;
 *     if (interproc_queue_info(&jobs, &info) == 0)
 *         printf("%zu of %zu, at most %zu\n", info.used, info.capacity, info.peak);
 */
typedef struct interproc_channel_info_t {
  /**
   * The most that it holds.
   */
  size_t capacity;
  /**
   * How much of that is not free.
   */
  size_t used;
  /**
   * The most that was seen used since it was made: a statistic, and a lower bound.
   */
  size_t peak;
  /**
   * The bytes of its longest message: of each, where all have one size.
   */
  size_t longest;
  /**
   * Whether there is no message in it.
   */
  bool is_empty;
  /**
   * Whether not even the shortest message has room.
   */
  bool is_full;
  /**
   * Whether it was closed, by any side.
   */
  bool is_closed;
  /**
   * Zero.
   */
  uint8_t reserved[5];
  /**
   * Zero.
   */
  uint64_t reserved1[3];
} interproc_channel_info_t;

/**
 * The producer of a queue with one producer and one consumer, in any processes: the fastest way from here to there.
 * Messages have a fixed size.
 *
 * It is a *seat*, taken by interproc_segment_spsc_producer(): there is one at a time. It belongs to the calling
 * thread, and moves to another thread of the process with its first use there. Do not copy the handle. Leave it by
 * interproc_spsc_producer_leave() before the segment is closed.
 *
 *     interproc_spsc_producer_t samples;
 *     sample_t sample = {42};
 *     int rc = interproc_segment_spsc_producer(&segment, "samples", sizeof sample, 1024, &samples);
 *     if (rc == 0)
 *         rc = interproc_spsc_producer_push(&samples, &sample);
 *     interproc_spsc_producer_leave(&samples);
 *
 * When the producer dies (a thread or its process, at any instruction), what it had published is delivered; the next
 * one takes its seat. When the consumer dies, what it had not freed goes to the next one. A sleeping peer gets at
 * once, without polling, what the dead one had published or freed, and then waits for its successor.
 *
 * A pop sees everything that happened before the push of its message; messages come out in order. A push or pop that
 * need not wait makes no system call and no atomic read-modify-write.
 *
 * **All functions of either seat**: one thread at a time with a handle. EPERM: the seat is the parent process's;
 * ESTALE: the thread that used the handle last has died, and somebody else has taken over.
 */
typedef struct interproc_spsc_producer_t {
  /**
   * Private. Zero when it is no producer.
   */
  uint64_t private_[32];
} interproc_spsc_producer_t;

/**
 * The consumer of a queue with one producer and one consumer: see interproc_spsc_producer_t, whose rules are its, too.
 *
 *     interproc_spsc_consumer_t samples;
 *     sample_t sample;
 *     int rc = interproc_segment_spsc_consumer(&segment, "samples", sizeof sample, 1024, &samples);
 *     while (rc == 0 && (rc = interproc_spsc_consumer_pop(&samples, &sample, NULL)) == 0)
 *         use(&sample);                                   // until EPIPE: closed and drained
 *     interproc_spsc_consumer_leave(&samples);
 */
typedef struct interproc_spsc_consumer_t {
  /**
   * Private. Zero when it is no consumer.
   */
  uint64_t private_[32];
} interproc_spsc_consumer_t;

/**
 * Slots in place, in two pieces: the second is empty unless the ring ends in between.
 */
typedef struct interproc_spsc_slots_t {
  /**
   * The first ones.
   */
  void *first;
  /**
   * How many.
   */
  size_t first_count;
  /**
   * Those behind them.
   */
  void *second;
  /**
   * How many.
   */
  size_t second_count;
} interproc_spsc_slots_t;

/**
 * The one producer of a queue of messages of any length, from this process to its consumer in any other.
 *
 * This is a local handle from interproc_segment_byte_producer(); the queue itself lies in the segment. It is the
 * producer's *seat*: nobody else gets one until interproc_byte_producer_leave() or the death of the thread that used
 * it last. Do not copy it. Another thread of the process may go on with it. The segment must stay open as long as it
 * is used.
 *
 *     interproc_byte_producer_t lines;
 *     int rc = interproc_segment_byte_producer(&segment, "lines", 1 << 20, 4096, &lines);
 *     if (rc == 0)
 *         rc = interproc_byte_producer_push(&lines, "hello", 5);
 *     void *place;                                            // or written where it is read:
 *     if (rc == 0 && (rc = interproc_byte_producer_reserve_until(&lines, 4096, NULL, &place)) == 0) {
 *         ssize_t n = read(0, place, 4096);
 *         rc = n > 0 ? interproc_byte_producer_commit(&lines, n) : interproc_byte_producer_abort(&lines);
 *     }
 *
 * A message takes its length, rounded up to 8 bytes, and 8 more. It lies in one piece; at the end of the ring some
 * room may be left out for that.
 *
 * When the producer dies, what it had not committed, or not published, is discarded; all the rest can be read, and the
 * next producer takes the seat over. When the consumer dies, its messages stay.
 *
 * The reader of a message sees everything that happened before it was published. A message costs one store to shared
 * memory beside the copy, and no system call unless somebody sleeps.
 *
 * **All functions of either seat**: one thread at a time with a handle. EPERM: the handle is a parent process's;
 * ESTALE: the thread that used the handle last has died, and somebody else has taken over; EBADMSG: somebody wrote
 * over the queue.
 */
typedef struct interproc_byte_producer_t {
  /**
   * Private. Zero when it is no producer.
   */
  uint64_t private_[32];
} interproc_byte_producer_t;

/**
 * The one consumer of a queue of messages of any length: see interproc_byte_producer_t, whose rules are its, too.
 *
 *     interproc_byte_consumer_t lines;
 *     const void *line;
 *     size_t len;
 *     int rc = interproc_segment_byte_consumer(&segment, "lines", 1 << 20, 4096, &lines);
 *     while (rc == 0 && (rc = interproc_byte_consumer_borrow_until(&lines, NULL, &line, &len, NULL)) == 0) {
 *         fwrite(line, 1, len, stdout);                       // read where it lies
 *         rc = interproc_byte_consumer_release(&lines);
 *     }                                                       // EPIPE: closed and drained
 *
 * Messages come in the order in which they were pushed, each once. When the consumer dies, the next one takes the seat
 * over and begins with what was not freed: what the dead one may have read is flagged (`redelivered`), with the
 * default settings at most one message. When the producer dies, what it had published can be read, and a consumer that
 * waits goes on waiting for the next producer.
 *
 * Headers are checked: whatever a peer writes, no byte outside of the ring is touched. But a peer that breaks the
 * protocol can change a message while it is read in place: copy out what you do not trust, then look at it.
 */
typedef struct interproc_byte_consumer_t {
  /**
   * Private. Zero when it is no consumer.
   */
  uint64_t private_[32];
} interproc_byte_consumer_t;

/**
 * A value of which only the newest counts, between any processes: a state, a position, a frame. Writers never wait for
 * readers, and readers wait for nobody.
 *
 * This is a local handle from interproc_segment_latest(); the value itself lies in the segment. The handle need not be
 * freed, may be copied, and may be used by any thread and by forked children while the segment is open.
 *
 *     interproc_latest_t position;
 *     pose_t pose = {0};
 *     int rc = interproc_segment_latest(&segment, "position", sizeof pose, &pose, &position);
 *     if (rc == 0)
 *         rc = interproc_latest_set(&position, &pose, NULL);      // one process
 *     if (rc == 0)
 *         rc = interproc_latest_get(&position, &pose, NULL);      // any others
 *
 * A read never gives a value that was half set, and is wait-free: a reader that writers have overtaken twice announces
 * itself, and writers then avoid the slot it reads. There are four announcements, or as many as
 * interproc_segment_latest_as() was asked for; further readers retry. Writers wait for each other.
 *
 * When a writer dies in the middle, the value that it was setting is discarded, and the next writer goes on; a dead
 * reader costs nothing. A process that is stopped in the middle of a set delays other writers, never readers.
 *
 * The reader of a value, or of its version, sees everything that happened before it was set. A read makes no system
 * call and needs no member slot of the segment.
 */
typedef struct interproc_latest_t {
  /**
   * Private. Zero if the handle is empty.
   */
  uint64_t private_[8];
} interproc_latest_t;

/**
 * Jobs that are delivered at least once, between any processes: a worker *takes* a job, and the queue keeps it until the
 * worker says that it is *done*. A worker that dies gives its job back at once, counted.
 *
 * This is a local handle from interproc_segment_work_queue(); the queue itself lies in the segment. The handle need not
 * be freed, may be copied, and may be used by any thread and by forked children while the segment is open.
 *
 *     interproc_work_queue_options_t options = {0};
 *     options.capacity = 100;
 *     options.longest = 256;
 *     options.max_deliveries = 3;
 *     interproc_work_queue_t jobs;
 *     int rc = interproc_segment_work_queue(&segment, "jobs", &options, &jobs);
 *     if (rc == 0)
 *         rc = interproc_work_queue_put(&jobs, "resize cat.png", 14);
 *
 * and in a worker:
 *
 *     char what[256];
 *     interproc_job_t job;
 *     while ((rc = interproc_work_queue_take(&jobs, what, sizeof what, &job)) == 0) {
 *         if (work_on(what, job.len))
 *             interproc_work_queue_done(&jobs, &job);
 *         else
 *             interproc_work_queue_fail(&jobs, &job, "it would not open");
 *     }
 *
 * **At least once**: a worker may die between its work and its `done`, so the same job may be worked on twice. Name the
 * effect by the job's `id`, which no other job ever has, and a second time does nothing. A job that was delivered
 * `max_deliveries` times and not done is a *dead letter*: it stays until it is retried or discarded.
 *
 * A job that is taken belongs to the *thread* that took it: from another thread, or a child, EPERM. A thread that ends
 * gives its jobs back. In a queue whose leases end, a job that is not done in time goes back, too: `done` is ESTALE then.
 *
 * A death never blocks the others; sleepers are told at once, not by polling. Each call takes the queue's lock: a process
 * that is *stopped* in one delays the others, a try for at most 50 ms (then EAGAIN). EBADMSG from any function: somebody
 * wrote over the queue.
 */
typedef struct interproc_work_queue_t {
  /**
   * Private. Zero when it is no queue.
   */
  uint64_t private_[8];
} interproc_work_queue_t;

/**
 * A job in the calling thread's hands.
 */
typedef struct interproc_job_t {
  /**
   * Its number: the same at each delivery, and no other job of this queue ever has it.
   */
  uint64_t id;
  /**
   * Its bytes.
   */
  size_t len;
  /**
   * How often it was delivered, this time included.
   */
  uint32_t deliveries;
  /**
   * Private.
   */
  uint32_t private_index;
  /**
   * Private.
   */
  uint64_t private_owner;
} interproc_job_t;

/**
 * What a work queue has in it.
 */
typedef struct interproc_work_queue_info_t {
  /**
   * Jobs that it has room for.
   */
  size_t capacity;
  /**
   * Bytes of the longest job.
   */
  size_t longest;
  /**
   * Jobs that wait to be taken.
   */
  size_t ready;
  /**
   * Jobs whose time has not come.
   */
  size_t delayed;
  /**
   * Jobs in workers' hands.
   */
  size_t leased;
  /**
   * Dead letters.
   */
  size_t dead;
  /**
   * Jobs that are not done: ready, delayed or leased.
   */
  size_t unfinished;
  /**
   * Whether it is closed.
   */
  bool is_closed;
} interproc_work_queue_info_t;

/**
 * A job that was delivered as often as its queue allows, and never done.
 */
typedef struct interproc_dead_letter_t {
  /**
   * Its number.
   */
  uint64_t id;
  /**
   * Its bytes.
   */
  size_t len;
  /**
   * How often it was delivered.
   */
  uint32_t deliveries;
  /**
   * Private.
   */
  uint32_t private_index;
  /**
   * Why it failed last, as far as that was told.
   */
  char reason[72];
} interproc_dead_letter_t;

/**
 * Messages that every subscriber gets, from any number of publishers, between any processes.
 *
 * This is a local handle from interproc_segment_broadcast(); the broadcast itself lies in the segment. The handle need not
 * be freed, may be copied, and may be used by any thread and by forked children while the segment is open.
 *
 *     interproc_broadcast_options_t options = {0};
 *     options.capacity = 1024;
 *     options.longest = 100;
 *     interproc_broadcast_t news;
 *     int rc = interproc_segment_broadcast(&segment, "news", &options, &news);
 *     if (rc == 0)
 *         rc = interproc_broadcast_publish(&news, "rain", 4);
 *
 * and in a subscriber:
 *
 *     interproc_subscriber_t mine;
 *     char text[100];
 *     size_t len;
 *     rc = interproc_segment_subscriber(&segment, "news", &options, INTERPROC_SLOW_WAITS, 0, &mine);
 *     while (rc == 0 && (rc = interproc_subscriber_recv(&mine, text, sizeof text, &len, NULL)) == 0)
 *         printf("%.*s\n", (int)len, text);                   // EPIPE: closed, and all is received
 *
 * A subscriber gets every message from where it joined, all in the same order. Publishers wait for it, until it dies or
 * leaves (`INTERPROC_SLOW_WAITS`), or they do not, and it is told how many messages it has missed
 * (`INTERPROC_SLOW_LAGS`). No message is torn.
 *
 * When a publisher dies in a call, its message is published or it is not, and others go on. When a subscriber dies,
 * nobody waits for it any more, at once. A publisher that is *stopped* in a call can stop others (a try for at most
 * 50 ms, then EBUSY), a stopped subscriber those who wait for it.
 *
 * Who receives a message sees everything that happened before it was published. A message costs one lock, which the
 * only publisher of interproc_segment_publisher_until() is spared, and no system call unless somebody sleeps.
 */
typedef struct interproc_broadcast_t {
  /**
   * Private. Zero when it is no broadcast.
   */
  uint64_t private_[8];
} interproc_broadcast_t;

/**
 * A seat at a broadcast: see interproc_broadcast_t. From interproc_segment_subscriber().
 *
 * **All functions**: one thread at a time with a handle; its death is the subscriber's. Do not copy it. Another thread of
 * the process may go on with it. EPERM: the handle is a parent process's; ESTALE: the thread that used it last has died,
 * and it was given up; EBADMSG: somebody wrote over the broadcast.
 */
typedef struct interproc_subscriber_t {
  /**
   * Private. Zero when it is no subscriber.
   */
  uint64_t private_[32];
} interproc_subscriber_t;

/**
 * The only publisher of a broadcast, from interproc_segment_publisher_until(): until interproc_publisher_leave() or the
 * death of its thread all others wait. It publishes in three quarters of the time, between processors in a fourth.
 *
 * **All functions**: only the thread that became it, else EPERM. Do not copy it.
 */
typedef struct interproc_publisher_t {
  /**
   * Private. Zero when it is no publisher.
   */
  uint64_t private_[32];
} interproc_publisher_t;

/**
 * What a broadcast has in it, and what it was made with.
 */
typedef struct interproc_broadcast_info_t {
  /**
   * Messages that it keeps.
   */
  size_t capacity;
  /**
   * Bytes of the longest message.
   */
  size_t longest;
  /**
   * How many messages were ever published.
   */
  uint64_t published;
  /**
   * Living subscribers that are waited for.
   */
  size_t waiting;
  /**
   * Living subscribers that are not.
   */
  size_t lagging;
  /**
   * Whether it is closed.
   */
  bool is_closed;
} interproc_broadcast_info_t;

/**
 * Where a subscriber is.
 */
typedef struct interproc_subscriber_info_t {
  /**
   * The number of the next message that it receives; messages are counted from 0.
   */
  uint64_t position;
  /**
   * How many messages are published that it has not received.
   */
  uint64_t lag;
  /**
   * How many it has missed since it joined.
   */
  uint64_t missed;
} interproc_subscriber_info_t;

/**
 * A child process, as its parent sees it. It is known by a pidfd: a signal never reaches another process that got the
 * same number, and no SIGCHLD handler, helper thread or polling is involved.
 *
 * This is a local handle. interproc_process_close() frees it. A plain copy of the structure is the same handle:
 * close only one of them.
 *
 *     static int buyer(void *shop) { return buy((shop_t *)shop) ? 0 : 1; }
 *
 *     interproc_process_t child;
 *     interproc_exit_t end;
 *     int rc = interproc_process_fork(&child, "buyer", buyer, shop);
 *     if (rc == 0) {
 *         rc = interproc_process_join(&child, &end);
 *         interproc_process_close(&child);
 *     }
 *
 * Several threads may join one child: each of them gets the result, and later joins get it again. A child of this
 * process cannot use its parent's handles: EPERM.
 */
typedef struct interproc_process_t {
  /**
   * Private. NULL when closed.
   */
  void *private_;
  /**
   * Private.
   */
  uint64_t reserved;
} interproc_process_t;

/**
 * What a child runs. Its result is the exit code: 0 to 255, any other value becomes 255.
 */
typedef int (*interproc_process_entry_t)(void *argument);

/**
 * How a child ended.
 */
typedef struct interproc_exit_t {
  /**
   * The exit code, 0 to 255; -1 when a signal ended the child.
   */
  int32_t code;
  /**
   * The signal that ended the child; 0 when it exited.
   */
  int32_t signal;
  /**
   * The status word of waitpid(2), for WCOREDUMP() and the like.
   */
  int32_t wait_status;
  /**
   * Zero.
   */
  int32_t reserved;
} interproc_exit_t;

/**
 * The resources that a child used from its start to its end, including those of its own children that it waited for.
 */
typedef struct interproc_usage_t {
  /**
   * Nanoseconds of processor time in its own code.
   */
  uint64_t user_ns;
  /**
   * Nanoseconds of processor time in the kernel.
   */
  uint64_t system_ns;
  /**
   * The most memory that it had in RAM at a time, in bytes.
   */
  uint64_t peak_memory;
  /**
   * Page faults without and with reading from a disk.
   */
  uint64_t page_faults;
  /**
   * Page faults that read from a disk.
   */
  uint64_t major_page_faults;
  /**
   * Zero.
   */
  uint64_t reserved[3];
} interproc_usage_t;

/**
 * A handle to any process (by pidfd, not by its pid): the kernel gives the pid to another process some time after this
 * one has ended. It need not be a child.
 *
 * This is a local handle. interproc_process_ref_close() frees it. A plain copy of the structure is the same handle:
 * close only one of them.
 *
 *     interproc_process_ref_t server;
 *     int rc = interproc_process_ref_find(&server, note->pid, note->start_time);
 *     if (rc == ESRCH)
 *         puts("it has ended; another process may have its number");
 */
typedef struct interproc_process_ref_t {
  /**
   * Private. NULL when closed.
   */
  void *private_;
  /**
   * Private.
   */
  uint64_t reserved;
} interproc_process_ref_t;

/**
 * What ps shows of a process.
 */
typedef struct interproc_process_details_t {
  /**
   * Its pid in this process's PID namespace.
   */
  int32_t pid;
  /**
   * Its parent's; 0 when that is outside of the PID namespace.
   */
  int32_t parent;
  /**
   * Its process group.
   */
  int32_t group;
  /**
   * Its session.
   */
  int32_t session;
  /**
   * How many threads it has.
   */
  uint32_t threads;
  /**
   * Its nice value.
   */
  int32_t nice;
  /**
   * Its start time in clock ticks since boot: together with the pid it identifies the process for good.
   */
  uint64_t start_time;
  /**
   * How many nanoseconds ago it began.
   */
  uint64_t age_ns;
  /**
   * Nanoseconds of processor time so far, its own and the kernel's.
   */
  uint64_t cpu_ns;
  /**
   * Memory that it has in RAM, in bytes.
   */
  uint64_t memory;
  /**
   * What it is doing, as ps shows it: R runs, S sleeps, D waits for a device, T stopped, t traced, Z ended and not
   * joined.
   */
  char state;
  /**
   * Its name, NUL-terminated.
   */
  char name[16];
  /**
   * Zero.
   */
  char reserved[7];
} interproc_process_details_t;

/**
 * One end of a pipe: of a two-way pipe, or the sending or the receiving end of a one-way pipe. Messages have any
 * length and arrive as they were sent, whole or not at all.
 *
 * This is a local handle. interproc_pipe_close() frees it and closes the end. A plain copy of the structure is the
 * same handle: close only one of them.
 *
 *     static int worker(interproc_pipe_t *end, void *argument) { return serve(end, argument); }
 *
 *     interproc_pipe_t ours, theirs;
 *     interproc_process_t child;
 *     int rc = interproc_pipe_pair(1 << 16, 4096, &ours, &theirs);
 *     if (rc == 0)
 *         rc = interproc_pipe_fork(&child, "worker", worker, &theirs, NULL);
 *     if (rc == 0)
 *         rc = interproc_pipe_send(&ours, "question", 8);
 *     if (rc == 0)
 *         rc = interproc_pipe_recv(&ours, answer, sizeof answer, &len, NULL);
 *     if (rc == EPIPE)
 *         complain("the worker is gone");
 *
 * When the other end is closed, or its holder dies, at any instruction, what it had sent can be received, and after
 * that every call returns EPIPE; waiters are told at once. What was sent to a dead end is lost with it.
 *
 * One thread at a time uses an end. It may be passed to another thread of the process, which owns it from its first
 * call on. Until then the first thread must still be alive: if it ends before, the end is closed, and every call on it
 * returns ESTALE, whether or not the other end has noticed. (The sending and the receiving half of an end each belong
 * to the thread that used it last.)
 *
 * A forked child does not have its parent's ends: its calls return EPERM, and its interproc_pipe_close() frees the
 * copy only. See interproc_pipe_fork() and interproc_pipe_adopt(). EBADMSG from any function: somebody wrote over the
 * pipe.
 */
typedef struct interproc_pipe_t {
  /**
   * Private. NULL when closed.
   */
  void *private_;
  /**
   * Private.
   */
  uint64_t reserved;
} interproc_pipe_t;

/**
 * What a child runs with its end of a pipe. Its result is the exit code: 0 to 255, any other value becomes 255.
 */
typedef int (*interproc_pipe_entry_t)(struct interproc_pipe_t *end, void *argument);

/**
 * A resource limit of a child: see setrlimit(2).
 */
typedef struct interproc_process_limit_t {
  /**
   * RLIMIT_NOFILE and the like.
   */
  int32_t resource;
  /**
   * Zero.
   */
  int32_t reserved;
  /**
   * The limit in force; UINT64_MAX for no limit.
   */
  uint64_t soft;
  /**
   * The ceiling up to which the child may raise it.
   */
  uint64_t hard;
} interproc_process_limit_t;

/**
 * A descriptor that a child gets.
 */
typedef struct interproc_process_descriptor_t {
  /**
   * This process's descriptor; -1: /dev/null.
   */
  int32_t from;
  /**
   * The child's number of it. For forked children only 0, 1 and 2.
   */
  int32_t to;
} interproc_process_descriptor_t;

/**
 * A segment that a program gets; see interproc_segment_inherited().
 */
typedef struct interproc_process_segment_t {
  /**
   * The key by which the program asks for it.
   */
  const char *key;
  /**
   * An open segment, which need have no name.
   */
  const struct interproc_segment_t *segment;
} interproc_process_segment_t;

/**
 * Options for a child. Start from INTERPROC_PROCESS_OPTIONS_INIT and set what differs: all zero is a child like its
 * parent.
 *
 *     interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
 *     options.flags = INTERPROC_PROCESS_DIES_WITH_PARENT | INTERPROC_PROCESS_NICE;
 *     options.nice = 10;
 */
typedef struct interproc_process_options_t {
  /**
   * INTERPROC_PROCESS_DIES_WITH_PARENT and the like, or-ed together.
   */
  uint32_t flags;
  /**
   * The nice value, with INTERPROC_PROCESS_NICE.
   */
  int32_t nice;
  /**
   * The umask: permission bits that new files do not get. Applied with INTERPROC_PROCESS_UMASK.
   */
  uint32_t umask;
  /**
   * Zero.
   */
  uint32_t reserved0;
  /**
   * What ps shows: of a forked child the first 15 bytes; of a program its argv[0]. NULL inherits the parent's, or
   * argv[0] as given.
   */
  const char *name;
  /**
   * The working directory; NULL inherits the parent's.
   */
  const char *directory;
  /**
   * The processors that it may run on, by bit: 1 is the first one. 0 inherits the parent's.
   */
  uint64_t processors;
  /**
   * `limit_count` limits.
   */
  const struct interproc_process_limit_t *limits;
  /**
   * How many.
   */
  size_t limit_count;
  /**
   * `descriptor_count` descriptors.
   */
  const struct interproc_process_descriptor_t *descriptors;
  /**
   * How many.
   */
  size_t descriptor_count;
  /**
   * `segment_count` segments, for programs; a forked child has all that its parent has open.
   */
  const struct interproc_process_segment_t *segments;
  /**
   * How many.
   */
  size_t segment_count;
  /**
   * Zero.
   */
  uint64_t reserved[2];
} interproc_process_options_t;

/**
 * A listener at a name in a segment: it gets an end of each pipe that a client connects. One thread at a time uses it.
 *
 * This is a local handle. interproc_listener_close() frees it and ends the listening. A forked child's copy returns
 * EPERM.
 * ESTALE: the thread that listened has died, and another one listens.
 *
 *     interproc_listener_t listener;
 *     interproc_pipe_t client;
 *     int rc = interproc_listener_bind(&segment, "door", 64, 1 << 12, 512, &listener);
 *     while (rc == 0 && (rc = interproc_listener_accept(&listener, &client)) == 0)
 *         serve(&client);
 *
 * There is a fixed number of pipes. A client takes a free one by interproc_pipe_connect() and may send before it is
 * accepted. A pipe is free again when both its ends were closed or their holders died.
 *
 * When the listener dies, clients that were not accepted see the end of their pipes, accepted pipes go on, connecting
 * returns ECONNREFUSED, and anybody may bind again.
 */
typedef struct interproc_listener_t {
  /**
   * Private. NULL when closed.
   */
  void *private_;
  /**
   * Private.
   */
  uint64_t reserved;
} interproc_listener_t;

/**
 * Waits for any of several things: that a queue can be read or written, that an event is set, that a process has ended,
 * that a descriptor is readable, that a time has come. Each is a *source* of the set, added by an
 * `interproc_waitset_add_` function.
 *
 * This is a local handle. interproc_waitset_destroy() frees it. A plain copy of the structure is the same handle:
 * destroy only one of them.
 *
 *     interproc_waitset_t set;
 *     interproc_waitset_ready_t ready[16];
 *     size_t count, i;
 *     int rc = interproc_waitset_create(&set);
 *     if (rc == 0)
 *         rc = interproc_waitset_add_listener(&set, &listener, &listener, NULL);
 *     if (rc == 0)
 *         rc = interproc_waitset_add_pipe(&set, &client, INTERPROC_READABLE, &client, NULL);
 *     while (rc == 0 && (rc = interproc_waitset_wait(&set, ready, 16, &count)) == 0)
 *         for (i = 0; i < count; i++)
 *             if (ready[i].data == &listener)
 *                 rc = let_in(&listener);                         // it may add the next client
 *             else
 *                 rc = serve(ready[i].data);                      // interproc_pipe_tryrecv()
 *
 * **It says, and takes nothing.** A source is reported as long as it is ready: its `try` would not be refused with "not
 * now". With others at the same queue it may be by then. Ends are reported, too: a closed queue, a pipe whose other end
 * is closed or dead; the `try` then tells. Only times and newer values are reported once for each event.
 *
 * A source keeps what it needs of its segment, which may be closed meanwhile, but not the handle that it was made of. A
 * descriptor or a process must stay open until it is taken out.
 *
 * *If a thread dies*: a publisher that has published is heard, as by a sleeper of the object itself; a dead peer at the
 * other end of a pipe is heard at once. If the owner of a set dies, nothing is left but a spare wake-up.
 *
 * A wait that finds something looks at each source, and makes no system call. One that sleeps is woken by whoever makes a
 * source ready, without polling. The sources may lie in 32 segments. A set sleeps on memory words alone until a
 * descriptor or a process is added, or interproc_waitset_fd() is called. From then on it sleeps in epoll, and a thread of
 * the library's own, one for the process, watches the words.
 *
 * **All functions**: one thread at a time uses a set, which may move to another thread. EPERM: it is a parent process's:
 * a forked child may only destroy its copy. EMFILE, ENFILE: no descriptor for epoll. Not in a signal handler.
 */
typedef struct interproc_waitset_t {
  /**
   * Private. NULL when destroyed.
   */
  void *private_;
  /**
   * Private.
   */
  uint64_t reserved;
} interproc_waitset_t;

/**
 * A source that is ready.
 */
typedef struct interproc_waitset_ready_t {
  /**
   * Names the source in its set. It is never given out twice by one set.
   */
  uint64_t key;
  /**
   * What was passed when it was added.
   */
  void *data;
} interproc_waitset_ready_t;

/**
 * Options for a daemon. All zero: in /, with umask 022, its standard streams from and to /dev/null.
 */
typedef struct interproc_daemon_options_t {
  /**
   * The working directory; NULL: /.
   */
  const char *directory;
  /**
   * A file that holds its process id and that it keeps locked as long as it lives; NULL: none.
   */
  const char *pidfile;
  /**
   * The umask: permission bits that new files do not get. Applied if `has_umask`; otherwise it is 022.
   */
  uint32_t umask;
  /**
   * Whether `umask` is applied.
   */
  bool has_umask;
  /**
   * Whether it keeps the starter's standard streams.
   */
  bool keep_stdio;
  /**
   * How many nanoseconds the starter waits for it to be ready; 0: as long as it takes.
   */
  uint64_t ready_timeout_ns;
  /**
   * Zero.
   */
  uint64_t reserved[4];
} interproc_daemon_options_t;

/**
 * Used by a daemon to report that it is ready; see interproc_daemon_start().
 */
typedef struct interproc_ready_t {
  /**
   * Private. NULL once the daemon has reported.
   */
  void *private_;
  /**
   * Private.
   */
  uint64_t reserved;
} interproc_ready_t;

/**
 * What a daemon runs. Its result is the exit code.
 */
typedef int (*interproc_daemon_entry_t)(struct interproc_ready_t *ready, void *argument);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Explains an errno value that a function of this library returned: what happened and what to do.
 *
 * When several causes share a value, the text names them all; interproc_last_error_message() knows which it was. For
 * values that this library has no text of its own for, it is the C library's text.
 *
 * The string is never NULL and need not be freed. It is constant, except for values that the library does not know:
 * then it is valid until the thread's next call with such a value.
 */
const char *interproc_strerror(int error);

/**
 * What exactly went wrong in the thread's last failed call of this library, in one line: the text of the error and,
 * where there is more to tell, the details: the file, the two sizes, the argument that is NULL. Functions marked
 * async-signal-safe keep no error.
 *
 * Calls that succeed do not change it, so ask right after a call that returned an error. An empty string if no call of
 * the thread has failed. The string need not be freed; it is valid until the thread calls this function again, or
 * ends. Allocates nothing.
 */
const char *interproc_last_error_message(void);

/**
 * The version of the library that is linked, such as "0.1.0"; that of the header is INTERPROC_VERSION. Constant.
 *
 * Async-signal-safe.
 */
const char *interproc_version(void);

/**
 * The version of the library that is linked as a number, to be compared with INTERPROC_VERSION_NUMBER, that of the
 * header.
 *
 * Async-signal-safe.
 */
uint32_t interproc_version_number(void);

/**
 * Computes the time `nanoseconds` from now on CLOCK_MONOTONIC, for the functions that take a deadline.
 *
 *     struct timespec until;
 *     interproc_deadline_after(5000000, &until);             // 5 ms from now
 *     int rc = interproc_mutex_timedlock(&shop->lock, &until);
 *
 * A deadline is a point in time: it stays the same through any number of waits, and no step of the wall clock moves
 * it. 0 gives the current time; more than 31 years give the end of time, for ever.
 *
 * Async-signal-safe.
 */
int interproc_deadline_after(uint64_t nanoseconds, struct timespec *deadline);

/**
 * Makes a deadline of a time on another clock: a `clockid_t`, such as CLOCK_REALTIME or CLOCK_BOOTTIME.
 *
 *     struct timespec noon, until;                           // what pthread_cond_timedwait() took
 *     interproc_deadline_from(CLOCK_REALTIME, &noon, &until);
 *     int rc = interproc_cond_timedwait(&shop->arrived, &shop->lock, &until);
 *
 * It keeps the remaining time measured on that clock: it is as far from now as `abstime` is by that clock. If that
 * clock is set later, the deadline stays. A time in the past gives one in the past; a time on CLOCK_MONOTONIC gives
 * itself; more than 31 years after boot give the end of time.
 *
 * @return 0; EINVAL also when there is no such clock, abstime is NULL or its nanoseconds are not in 0..999999999.
 */
int interproc_deadline_from(int clock, const struct timespec *abstime, struct timespec *deadline);

/**
 * How many living threads are asleep for anything that lies in these `size` bytes: for one lock, or for all in a
 * structure of yours. A snapshot; threads that still spin are not counted. A waiter on a condition that is signalled
 * counts until it can have the mutex. The caller need not be a member of the segment.
 *
 *     uint32_t asleep;
 *     rc = interproc_waiters(shop, sizeof *shop, &asleep);
 */
int interproc_waiters(const void *address, size_t size, uint32_t *waiters);

/**
 * Creates a segment by the name `name` (one slash, then 1 to 249 bytes without a slash) with room for `size` bytes of
 * objects, and opens it. `mode` are its permission bits, which the umask does not change; 0 means 0600.
 *
 * The memory is reserved at once: a full file system is an ENOSPC here and never a SIGBUS later. Nobody ever sees a
 * half-made segment.
 *
 * @return 0; EEXIST: the name is taken; ENOSPC: no room (containers often give /dev/shm only 64 MiB); EINVAL also for
 * a bad name, or a size or mode out of range; EACCES; EMFILE and other limits of the system; ENOTSUP: no /dev/shm.
 */
int interproc_segment_create(struct interproc_segment_t *segment, const char *name, size_t size, uint32_t mode);

/**
 * Opens the segment `name`. A process may open it several times: what a thread holds there is the thread's, through
 * whichever mapping it got it. A thread that has locked a mutex and locks it once more by another mapping gets
 * EDEADLK.
 *
 * @return 0; ENOENT: there is none; EACCES: not permitted, or it belongs to a user who is neither this one nor root
 * (see INTERPROC_SEGMENT_TRUST_OWNER); ELOOP: a symbolic link or not a regular file; EPROTO: not a segment;
 * EPROTONOSUPPORT: of another format version; ENODATA: truncated; EBADMSG: written over; EUSERS: as many processes
 * have it open as it has member slots.
 */
int interproc_segment_open(struct interproc_segment_t *segment, const char *name);

/**
 * Opens the segment `name`, or creates it if there is none. When several processes come at once, one creates it and
 * all open the same. `mode` as in interproc_segment_create().
 *
 * @return As interproc_segment_create() and interproc_segment_open(), without EEXIST and ENOENT; but EEXIST: there is
 * one that is smaller than `size`. EBUSY: others remove and remake the name all the time.
 */
int interproc_segment_open_or_create(struct interproc_segment_t *segment, const char *name, size_t size, uint32_t mode);

/**
 * Creates a segment without a name, for forked children and for processes that are sent its descriptor. Its size is
 * sealed: nobody can truncate it.
 *
 * @return As interproc_segment_create(), without EEXIST.
 */
int interproc_segment_anonymous(struct interproc_segment_t *segment, size_t size);

/**
 * Opens the segment behind a descriptor that was inherited, or received through a socket. `fd` stays the caller's, who
 * may close it afterwards.
 *
 * @return As interproc_segment_open(), and EROFS: the descriptor is not open for reading and writing; EBADF: it is not
 * open at all; ENOTSUP: no /proc.
 */
int interproc_segment_attach_fd(struct interproc_segment_t *segment, int fd);

/**
 * Opens the segment that the parent has given to this program by `key`; see interproc_process_options_t.
 *
 *     interproc_process_segment_t given = {"shop", &segment};
 *     interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
 *     options.segments = &given;
 *     options.segment_count = 1;
 *     rc = interproc_process_spawn(&child, &options, "./buyer", arguments, NULL);
 *
 *     rc = interproc_segment_inherited(&segment, "shop"); // in the program
 *
 * @return As interproc_segment_attach_fd(); ENOENT: the parent gave none with this key.
 */
int interproc_segment_inherited(struct interproc_segment_t *segment, const char *key);

/**
 * As interproc_segment_create(), with options.
 *
 * @return As interproc_segment_create(); EINVAL also for an option out of range.
 */
int interproc_segment_create_with(struct interproc_segment_t *segment,
                                  const char *name,
                                  const struct interproc_segment_options_t *options);

/**
 * As interproc_segment_open(), with options.
 *
 * @return As interproc_segment_open(); EINVAL also for an option out of range; EEXIST: smaller than options->size.
 */
int interproc_segment_open_with(struct interproc_segment_t *segment,
                                const char *name,
                                const struct interproc_segment_options_t *options);

/**
 * As interproc_segment_open_or_create(), with options.
 *
 * @return As interproc_segment_open_or_create(); EINVAL also for an option out of range.
 */
int interproc_segment_open_or_create_with(struct interproc_segment_t *segment,
                                          const char *name,
                                          const struct interproc_segment_options_t *options);

/**
 * As interproc_segment_anonymous(), with options.
 *
 * @return As interproc_segment_anonymous(); EINVAL also for an option out of range.
 */
int interproc_segment_anonymous_with(struct interproc_segment_t *segment,
                                     const struct interproc_segment_options_t *options);

/**
 * Closes a segment: unmaps it and frees the handle. Never removes the name, and changes nothing for other processes.
 * Do not close a segment while this process holds one of its mutexes, nor while another thread uses it.
 *
 * **After a close there is one rule for all handles**: every function refuses a closed one, and what was found by it
 * (queues, latest values, barriers, bounded semaphores, the producers and consumers of lanes), with EINVAL, touches
 * nothing, and keeps to that when another segment lies at the same address by then. So it is for copies of a closed
 * handle, for a second close, and for a handle of zeros. Pipes and listeners have a close of their own: they are good
 * until that, and keep what they need of the segment.
 *
 * *Objects at an address* (locks, conditions, semaphores, events, onces) are no handles, and a pointer to one is
 * invalid afterwards like every pointer to memory that was freed. Their functions return EINVAL, too, when no open
 * segment is there; when another one is, they act on what lies there now. The inits of semaphores, events and onces
 * write to whatever memory they are given.
 *
 * @return 0; EINVAL: closed already; then nothing was done.
 */
int interproc_segment_close(struct interproc_segment_t *segment);

/**
 * Removes the name. Processes that have the segment open keep it, and the memory is freed when the last one is gone.
 * The name is free for a new segment at once.
 *
 * @return 0; ENOENT: there is none; EINVAL also for a bad name; EACCES: not permitted.
 */
int interproc_segment_unlink(const char *name);

/**
 * Removes the name if no process has the segment open; nobody can open it in between. `*removed` becomes whether it
 * did. Nothing is ever removed for being unused unless you ask for it by this: it may hold data that somebody will
 * come back for.
 *
 * @return 0; otherwise as interproc_segment_open() and interproc_segment_unlink().
 */
int interproc_segment_unlink_if_stale(const char *name, bool *removed);

/**
 * Finds the object of bytes `name` in the segment, or makes it. A new object is all zero bytes. When several processes
 * come at once, all get the same object. It stays where it is until the segment is gone: there is no removing. To give
 * it its first value in the same call, or to share an object of a Rust type, use interproc_segment_object_as().
 *
 * `alignment` is a power of two up to the page size: C11's _Alignof(type), or 8 for a structure with a mutex. The
 * pointer is good until the segment is closed; another process may have the object at another address, so do not store
 * pointers in it. A name has 1 to 47 bytes.
 *
 * @return 0; EEXIST: the name belongs to an object of another kind, size or alignment, see
 * interproc_last_error_message(), or is of a type with an id; ENOMEM: the segment or its directory is full; EINVAL
 * also for a bad name, size or alignment; EBADMSG: somebody wrote over the directory.
 *
 * Safe against death: a process that dies in it leaves either no object or a whole one.
 */
int interproc_segment_object(const struct interproc_segment_t *segment,
                             const char *name,
                             size_t size,
                             size_t alignment,
                             void **object);

/**
 * Finds the object `name` of this type, or makes it with the bytes at `initial`; `*created` becomes whether it made
 * it. Of all processes that come at once exactly one makes it, and nobody sees it before it has its first value: so it
 * is initialised once.
 *
 *     shop_t first = { INTERPROC_MUTEX_INIT, 3 };
 *     rc = interproc_segment_object_as(&segment, "shop", 0, sizeof first, 8, &first, (void **)&shop, NULL);
 *
 * `type_id` is 0 for bytes, as in interproc_segment_object(), or an id by interproc_type_id(): a Rust program finds
 * the object as a type of this id only, and this function finds what a Rust program has made of it. `initial` has
 * `size` bytes; NULL stands for zeros. `created` may be NULL.
 *
 * @return As interproc_segment_object(); EEXIST also for another type.
 *
 * Safe against death, as interproc_segment_object().
 */
int interproc_segment_object_as(const struct interproc_segment_t *segment,
                                const char *name,
                                uint64_t type_id,
                                size_t size,
                                size_t alignment,
                                const void *initial,
                                void **object,
                                bool *created);

/**
 * Finds the object `name` of this type; makes none. `type_id` as in interproc_segment_object_as().
 *
 * @return ENOENT: there is none; otherwise as interproc_segment_object_as(), without ENOMEM.
 */
int interproc_segment_find_as(const struct interproc_segment_t *segment,
                              const char *name,
                              uint64_t type_id,
                              size_t size,
                              size_t alignment,
                              void **object);

/**
 * The id of a Rust type: of its name without path, its size and alignment, and of the ids of its `count` parts, in
 * order. These are: for Mutex, RecursiveMutex, RwLock and OnceLock the type inside; for a structure declared by
 * `interproc::shared!` its fields; for an array of shared objects, which is called "[]", the element; for atomics and
 * plain data (numbers, arrays of them, structures that derive Pod) none.
 *
 *     uint64_t word = interproc_type_id("u64", 8, 8, NULL, 0);
 *     uint64_t counter = interproc_type_id("Mutex", 24, 8, &word, 1); // Mutex<u64>
 *     rc = interproc_segment_find_as(&segment, "counter", counter, 24, 8, (void **)&object);
 *
 * @return The id; 0 if `name` is NULL or not UTF-8, or if `parts` is NULL and `count` is not 0.
 *
 * Async-signal-safe.
 */
uint64_t interproc_type_id(const char *name, size_t size, size_t alignment, const uint64_t *parts, size_t count);

/**
 * Finds the object of bytes `name`; makes none.
 *
 * @return ENOENT: there is none; otherwise as interproc_segment_object(), without ENOMEM.
 */
int interproc_segment_find(const struct interproc_segment_t *segment,
                           const char *name,
                           size_t size,
                           size_t alignment,
                           void **object);

/**
 * Finds the queue `name`, or makes it: for messages of `element_size` bytes of no type, with room for `capacity` of
 * them. A Rust program reaches the same queue by `Segment::queue_of_bytes`; what it makes by `Segment::queue` has
 * messages of a type, and is found by interproc_segment_queue_as().
 *
 * @return As interproc_segment_object(); EEXIST also for another element size or capacity, or for messages of a type;
 * EINVAL: one of them is 0, or the capacity is beyond 2^24.
 *
 * Safe against death.
 */
int interproc_segment_queue(const struct interproc_segment_t *segment,
                            const char *name,
                            size_t element_size,
                            size_t capacity,
                            struct interproc_queue_t *queue);

/**
 * As interproc_segment_queue(), for messages of this type: a Rust program reaches the same queue by `Segment::queue`.
 * It is found by exactly this type, by both.
 *
 *     typedef struct { uint64_t id; double weight; } job_t; // in Rust: struct Job, which derives Pod
 *     uint64_t job = interproc_type_id("Job", sizeof(job_t), 8, NULL, 0);
 *     rc = interproc_segment_queue_as(&segment, "jobs", job, sizeof(job_t), 1024, &jobs);
 *
 * `type_id` is 0 for bytes, or an id by interproc_type_id().
 *
 * @return As interproc_segment_queue(); EEXIST also for another type.
 */
int interproc_segment_queue_as(const struct interproc_segment_t *segment,
                               const char *name,
                               uint64_t type_id,
                               size_t element_size,
                               size_t capacity,
                               struct interproc_queue_t *queue);

/**
 * Finds the queue `name` of messages of up to `longest` bytes each, with `capacity` bytes for them (rounded up, and to
 * at least two of the longest messages), or makes it. A Rust program reaches the same queue by `Segment::byte_queue`.
 *
 * @return As interproc_segment_object(); EEXIST also for another capacity or longest message; EINVAL: one of them is 0
 * or beyond 2^60.
 *
 * Safe against death.
 */
int interproc_segment_byte_queue(const struct interproc_segment_t *segment,
                                 const char *name,
                                 size_t capacity,
                                 size_t longest,
                                 struct interproc_byte_queue_t *queue);

/**
 * Finds the semaphore `name` of so many robust permits, or makes it. A Rust program reaches the same one by
 * `Segment::bounded_semaphore`.
 *
 * @return As interproc_segment_object(); EEXIST also for another number of permits; EINVAL also for no permit, or more
 * than 1048576.
 *
 * Safe against death.
 */
int interproc_segment_bounded_semaphore(const struct interproc_segment_t *segment,
                                        const char *name,
                                        size_t permits,
                                        struct interproc_bounded_semaphore_t *semaphore);

/**
 * Finds the barrier `name` for so many parties, or makes it. A Rust program reaches the same one by
 * `Segment::barrier`.
 *
 * @return As interproc_segment_object(); EEXIST also for another number of parties; EINVAL also for no party, or more
 * than 1048576.
 *
 * Safe against death.
 */
int interproc_segment_barrier(const struct interproc_segment_t *segment,
                              const char *name,
                              size_t parties,
                              struct interproc_barrier_t *barrier);

/**
 * How large it is, and whether its name was removed.
 */
int interproc_segment_info(const struct interproc_segment_t *segment, struct interproc_segment_info_t *info);

/**
 * The descriptor of the segment's file, to be sent through a socket or inherited, for interproc_segment_attach_fd()
 * there. It stays the segment's: do not close it. It is close-on-exec.
 *
 * @return 0; EBADF: the program has closed it behind the library's back, and the segment has no name to open it by.
 */
int interproc_segment_fd(const struct interproc_segment_t *segment, int *fd);

/**
 * Adds to `*total` the bytes that a segment needs for an object of this size and alignment:
 * interproc_segment_object(). Begin with 0: the sum is what a segment of all these objects, in any order, must have as
 * its size.
 *
 *     size_t total = 0;
 *     rc = interproc_room_object(sizeof(shop_t), 8, &total);
 *     if (rc == 0)
 *         rc = interproc_room_queue(48, 1024, &total);
 *     if (rc == 0)
 *         rc = interproc_segment_create(&segment, "/shop", total, 0600);
 *
 * @return 0; EINVAL: the object is impossible, or no segment can be so large. So it is for all interproc_room_
 * functions.
 */
int interproc_room_object(size_t size, size_t alignment, size_t *total);

/**
 * Adds to `*total` the bytes that a segment needs for a queue: interproc_segment_queue().
 */
int interproc_room_queue(size_t element_size, size_t capacity, size_t *total);

/**
 * Adds to `*total` the bytes that a segment needs for a queue of messages of any length:
 * interproc_segment_byte_queue().
 */
int interproc_room_byte_queue(size_t capacity, size_t longest, size_t *total);

/**
 * Adds to `*total` the bytes that a segment needs for a work queue: interproc_segment_work_queue().
 */
int interproc_room_work_queue(const struct interproc_work_queue_options_t *options, size_t *total);

/**
 * Adds to `*total` the bytes that a segment needs for a broadcast: interproc_segment_broadcast().
 */
int interproc_room_broadcast(const struct interproc_broadcast_options_t *options, size_t *total);

/**
 * Adds to `*total` the bytes that a segment needs for a queue from one to one: interproc_segment_spsc_producer().
 */
int interproc_room_spsc(size_t element_size, size_t capacity, size_t *total);

/**
 * Adds to `*total` the bytes that a segment needs for a byte lane: interproc_segment_byte_producer().
 */
int interproc_room_byte_lane(size_t capacity, size_t longest, size_t *total);

/**
 * Adds to `*total` the bytes that a segment needs for a semaphore of permits: interproc_segment_bounded_semaphore().
 */
int interproc_room_bounded_semaphore(size_t permits, size_t *total);

/**
 * Adds to `*total` the bytes that a segment needs for a barrier: interproc_segment_barrier().
 */
int interproc_room_barrier(size_t parties, size_t *total);

/**
 * Adds to `*total` the bytes that a segment needs for a latest value: interproc_segment_latest().
 */
int interproc_room_latest(size_t element_size, size_t readers, size_t *total);

/**
 * Adds to `*total` the bytes that a segment needs for a pipe, with one way or two: interproc_segment_pipe_pair().
 */
int interproc_room_pipe(size_t capacity, size_t longest, size_t *total);

/**
 * Adds to `*total` the bytes that a segment needs for a listener and its pipes: interproc_listener_bind().
 */
int interproc_room_listener(size_t pipes, size_t capacity, size_t longest, size_t *total);

/**
 * The size and alignment of a structure of this header, by its name, such as "interproc_mutex_t": for bindings that do
 * not read the header. They are part of the binary interface: a program may also know them.
 *
 * @return 0; EINVAL also when there is no such structure.
 */
int interproc_size_of(const char *name, size_t *size, size_t *alignment);

/**
 * Makes an unlocked mutex. Needed only for memory in a segment that held something else before: zeroed memory is an
 * unlocked mutex already. Nobody else may use the memory meanwhile.
 */
int interproc_mutex_init(struct interproc_mutex_t *mutex);

/**
 * Ends the use of a mutex before its memory is used for something else. The caller holds it, or nobody does; nobody
 * waits for it or will lock it again. What others did with it before is over: a thread whose unlock let you lock it
 * does not touch it any more. The memory is left as an unlocked mutex. A mutex needs no destroying before its segment
 * is closed or unlinked.
 *
 * @return 0; EBUSY: another living thread holds it, and nothing was changed.
 */
int interproc_mutex_destroy(struct interproc_mutex_t *mutex);

/**
 * Locks, waiting as long as it takes.
 *
 * @return 0: the calling thread holds it.
 * EOWNERDEAD: the calling thread holds it, and its last owner died holding it. Repair the data, call
 * interproc_mutex_consistent(), go on.
 * ENOTRECOVERABLE: a lock got with EOWNERDEAD was unlocked without interproc_mutex_consistent(); it is unusable until
 * interproc_mutex_init().
 * EDEADLK: the calling thread holds it already.
 */
int interproc_mutex_lock(struct interproc_mutex_t *mutex);

/**
 * As interproc_mutex_lock(), but never waits: EBUSY when another living thread holds it.
 */
int interproc_mutex_trylock(struct interproc_mutex_t *mutex);

/**
 * As interproc_mutex_lock(), until `abstime`: then ETIMEDOUT.
 */
int interproc_mutex_timedlock(struct interproc_mutex_t *mutex, const struct timespec *abstime);

/**
 * Unlocks. If it was got with EOWNERDEAD and not marked consistent, it becomes unusable: everybody, waiters included,
 * gets ENOTRECOVERABLE from then on.
 *
 * Once it is released, the memory is neither read nor written: the next locker may destroy it.
 *
 * @return 0; EPERM: the calling thread does not hold it.
 */
int interproc_mutex_unlock(struct interproc_mutex_t *mutex);

/**
 * Says that the data is whole again. For a holder that got the lock with EOWNERDEAD.
 *
 * @return 0; EPERM: the calling thread does not hold it; EINVAL also when it was not got with EOWNERDEAD, or marked
 * already.
 */
int interproc_mutex_consistent(struct interproc_mutex_t *mutex);

/**
 * Who holds it, dead or alive: a snapshot. A dead holder is named until the next locker has inherited it. The caller
 * need not be a member of the segment.
 */
int interproc_mutex_holder(const struct interproc_mutex_t *mutex, struct interproc_who_t *holder);

/**
 * Makes an unlocked mutex; see interproc_mutex_init().
 */
int interproc_recursive_mutex_init(struct interproc_recursive_mutex_t *mutex);

/**
 * Ends the use of a mutex before its memory is used for something else; see interproc_mutex_destroy().
 *
 * @return 0; EBUSY: another living thread holds it, and nothing was changed.
 */
int interproc_recursive_mutex_destroy(struct interproc_recursive_mutex_t *mutex);

/**
 * Locks, or once more if the calling thread holds it; waits as long as it takes.
 *
 * @return 0: the calling thread holds it, once more.
 * EOWNERDEAD: the calling thread holds it, once, and its last owner died holding it. Repair the data, call
 * interproc_recursive_mutex_consistent(), go on.
 * ENOTRECOVERABLE: a lock got with EOWNERDEAD was unlocked without interproc_recursive_mutex_consistent().
 * EOVERFLOW: the calling thread holds it 65535 times already.
 */
int interproc_recursive_mutex_lock(struct interproc_recursive_mutex_t *mutex);

/**
 * As interproc_recursive_mutex_lock(), but never waits: EBUSY when another living thread holds it.
 */
int interproc_recursive_mutex_trylock(struct interproc_recursive_mutex_t *mutex);

/**
 * As interproc_recursive_mutex_lock(), until `abstime`: then ETIMEDOUT.
 */
int interproc_recursive_mutex_timedlock(struct interproc_recursive_mutex_t *mutex, const struct timespec *abstime);

/**
 * Unlocks once; the last one frees it. If it was got with EOWNERDEAD and not marked consistent, it then becomes
 * unusable: everybody gets ENOTRECOVERABLE from then on.
 *
 * @return 0; EPERM: the calling thread does not hold it: also one unlock too many.
 */
int interproc_recursive_mutex_unlock(struct interproc_recursive_mutex_t *mutex);

/**
 * Says that the data is whole again. For a holder that got the lock with EOWNERDEAD, at any depth.
 *
 * @return 0; EPERM: the calling thread does not hold it; EINVAL also when it was not got with EOWNERDEAD, or marked
 * already.
 */
int interproc_recursive_mutex_consistent(struct interproc_recursive_mutex_t *mutex);

/**
 * Who holds it, dead or alive: a snapshot. A dead holder is named until the next locker has inherited it. The caller
 * need not be a member of the segment.
 */
int interproc_recursive_mutex_holder(const struct interproc_recursive_mutex_t *mutex, struct interproc_who_t *holder);

/**
 * Makes a condition variable that nobody waits for. Needed only for memory in a segment that held something else
 * before. Nobody else may use the memory meanwhile.
 */
int interproc_cond_init(struct interproc_cond_t *cond);

/**
 * Ends the use of a condition variable before its memory is used for something else: nobody waits and nobody will wait
 * or signal again. The memory is left as one that nobody waits for. It needs no destroying before its segment is
 * closed.
 *
 * @return 0; EBUSY: somebody is asleep here, and nothing was changed.
 */
int interproc_cond_destroy(struct interproc_cond_t *cond);

/**
 * Unlocks the mutex, which the calling thread holds, waits for a signal, and locks it again. Unlocking and falling
 * asleep are one step: no signal that is sent under the lock afterwards is missed.
 *
 * @return 0: the mutex is held again. Look at the condition, which may be false.
 * EOWNERDEAD: it is held again, and its last owner died holding it: repair the data, call
 * interproc_mutex_consistent(), look at the condition. Also at once, without a wait, when the lock was got with
 * EOWNERDEAD and is not marked consistent.
 * ENOTRECOVERABLE: the mutex became unusable; it is not held.
 * EPERM: the calling thread did not hold the mutex. EINVAL also when they lie in two segments, or somebody waits with
 * another mutex; the mutex is held as before.
 */
int interproc_cond_wait(struct interproc_cond_t *cond, struct interproc_mutex_t *mutex);

/**
 * As interproc_cond_wait(), until `abstime`: then ETIMEDOUT, and the mutex is held. Locking the mutex again is not
 * limited. A time in the past unlocks and locks.
 */
int interproc_cond_timedwait(struct interproc_cond_t *cond,
                             struct interproc_mutex_t *mutex,
                             const struct timespec *abstime);

/**
 * As interproc_cond_timedwait(), with a recursive mutex: unlocks it completely, however often the calling thread holds
 * it, and locks it again as often. So functions further up the stack that hold it, too, may find the data changed.
 *
 *     interproc_recursive_mutex_lock(&account->lock);       // its caller may hold it, too
 *     while (account->cents < cents && rc == 0)
 *         rc = interproc_cond_wait_recursive(&account->paid_in, &account->lock, NULL);
 *
 * @return As interproc_cond_timedwait(). EOWNERDEAD: it is held as often as before, and the last owner, whatever its
 * depth was, died holding it; call interproc_recursive_mutex_consistent(). ENOTRECOVERABLE only to one that held it
 * once; to one that held it twice or more EOWNERDEAD, and the mutex is held: the caller's callers count on it.
 */
int interproc_cond_wait_recursive(struct interproc_cond_t *cond,
                                  struct interproc_recursive_mutex_t *mutex,
                                  const struct timespec *abstime);

/**
 * Wakes one of the waiters, if there are any. Best called with the mutex held.
 */
int interproc_cond_signal(struct interproc_cond_t *cond);

/**
 * Wakes all waiters: one now, each of the others when it can have the mutex. Best called with the mutex held.
 */
int interproc_cond_broadcast(struct interproc_cond_t *cond);

/**
 * How many times it was signalled, to one or to all, while somebody waited: a number that wraps after 2147483647.
 * Taken with the mutex held before a wait and after it, or after several in slices, equal numbers say that nobody has
 * signalled meanwhile: the wait ended without. The number does not say for whom a signal was: another waiter that
 * wakes at the same time sees it change, too.
 */
int interproc_cond_signals(const struct interproc_cond_t *cond, uint32_t *signals);

/**
 * Makes a semaphore with this value. Needed only for a value other than 0, or for memory that held something else
 * before. Nobody else may use the memory meanwhile. It need not be in a segment yet: what is made in a structure of
 * the program's own may be the first value of an object, see interproc_segment_object_as().
 *
 * @return 0; EINVAL also for a value above 2147483647.
 */
int interproc_semaphore_init(struct interproc_semaphore_t *semaphore, uint32_t value);

/**
 * Ends the use of a semaphore before its memory is used for something else. Nobody waits on it or will use it again.
 * The memory is left as a semaphore with the value 0. A semaphore needs no destroying before its segment is closed.
 */
int interproc_semaphore_destroy(struct interproc_semaphore_t *semaphore);

/**
 * Adds one, and wakes a thread that waits.
 *
 * @return 0; EOVERFLOW: the value is 2147483647, and nothing was changed.
 *
 * Async-signal-safe, in any thread: one that never used the segment does not become a member of it. A handler may run
 * in the middle of any function of this library.
 */
int interproc_semaphore_post(struct interproc_semaphore_t *semaphore);

/**
 * Adds n, and wakes as many threads that wait. While somebody sleeps it is done in steps of at most 2047: a thread
 * that is killed in it has posted some of them.
 *
 * @return 0; EOVERFLOW: the value would exceed 2147483647, and nothing was changed.
 *
 * Async-signal-safe, as interproc_semaphore_post().
 */
int interproc_semaphore_post_many(struct interproc_semaphore_t *semaphore, uint32_t n);

/**
 * Takes one, waiting as long as it takes. EUSERS and ENOTSUP only if it has to wait.
 */
int interproc_semaphore_acquire(struct interproc_semaphore_t *semaphore);

/**
 * As interproc_semaphore_acquire(), but never waits: EBUSY when the value is 0.
 *
 * Async-signal-safe.
 */
int interproc_semaphore_tryacquire(struct interproc_semaphore_t *semaphore);

/**
 * As interproc_semaphore_acquire(), until `abstime`: then ETIMEDOUT.
 */
int interproc_semaphore_timedacquire(struct interproc_semaphore_t *semaphore, const struct timespec *abstime);

/**
 * Tells the value: a snapshot.
 *
 * Async-signal-safe.
 */
int interproc_semaphore_value(const struct interproc_semaphore_t *semaphore, uint32_t *value);

/**
 * Makes an event that is not set. Needed only for memory in a segment that held something else before. Nobody else may
 * use the memory meanwhile, which need not be in a segment yet (see interproc_semaphore_init()).
 */
int interproc_event_init(struct interproc_event_t *event);

/**
 * Ends the use of an event before its memory is used for something else. Nobody waits for it or will use it again. The
 * memory is left as an event that is not set. An event needs no destroying before its segment is closed.
 */
int interproc_event_destroy(struct interproc_event_t *event);

/**
 * Sets it, and releases all waiting threads.
 *
 * Async-signal-safe, as interproc_semaphore_post().
 */
int interproc_event_set(struct interproc_event_t *event);

/**
 * Clears it: later callers wait.
 *
 * Async-signal-safe.
 */
int interproc_event_clear(struct interproc_event_t *event);

/**
 * Tells whether it is set: a snapshot.
 *
 * Async-signal-safe.
 */
int interproc_event_is_set(const struct interproc_event_t *event, bool *is_set);

/**
 * How many times it has been set, not counting those that found it set: a number that wraps after 2147483647.
 *
 * For a wait in slices on an event that is set and cleared at once: a wait ends by that, but a thread between two
 * waits sees it by the number only.
 *
 *     uint32_t before, now;
 *     interproc_event_sets(tick, &before);
 *     do {
 *         interproc_deadline_after(50000000, &slice);
 *         rc = interproc_event_timedwait(tick, &slice);
 *         interproc_event_sets(tick, &now);
 *     } while (rc == ETIMEDOUT && now == before && !interrupted());
 *
 * Async-signal-safe.
 */
int interproc_event_sets(const struct interproc_event_t *event, uint32_t *sets);

/**
 * Waits until it is set, as long as it takes. EUSERS and ENOTSUP only if it has to wait.
 */
int interproc_event_wait(struct interproc_event_t *event);

/**
 * As interproc_event_wait(), until `abstime`: then ETIMEDOUT.
 */
int interproc_event_timedwait(struct interproc_event_t *event, const struct timespec *abstime);

/**
 * Makes it not done. Needed only for memory in a segment that held something else before. Nobody else may use the
 * memory meanwhile, which need not be in a segment yet (see interproc_semaphore_init()).
 */
int interproc_once_init(struct interproc_once_t *once);

/**
 * Runs the job if it has not been done, or waits for the thread that does it.
 *
 * The job may end by a C++ exception or by cancellation, where it is compiled to unwind: then the next caller runs it.
 * It must not end by longjmp(), and not in a forked child.
 *
 * @return 0: it is done, now or earlier.
 * What the job returned, if that is not 0: then the next caller runs it.
 * EDEADLK: called from inside the job.
 *
 * The job may be a cancellation point.
 */
int interproc_once_call(struct interproc_once_t *once, interproc_once_job_t job, void *argument);

/**
 * As interproc_once_call(), but waits for another thread until `abstime`: then ETIMEDOUT, and the job was not run.
 */
int interproc_once_call_until(struct interproc_once_t *once,
                              interproc_once_job_t job,
                              void *argument,
                              const struct timespec *abstime);

/**
 * The same without a callback: waits until it is done or the caller's to do. After INTERPROC_ONCE_FIRST and
 * INTERPROC_ONCE_RETRY the caller does the job, and calls interproc_once_finish() or interproc_once_abandon().
 *
 * @return 0; EDEADLK: the caller is already running the job.
 */
int interproc_once_begin(struct interproc_once_t *once, int *begun);

/**
 * Says that the caller has done the job.
 *
 * @return 0; EPERM: it was not the calling thread's.
 */
int interproc_once_finish(struct interproc_once_t *once);

/**
 * Gives the job up: the next caller runs it.
 *
 * @return 0; EPERM: it was not the calling thread's.
 */
int interproc_once_abandon(struct interproc_once_t *once);

/**
 * Tells whether it is done.
 *
 * Async-signal-safe.
 */
int interproc_once_is_done(const struct interproc_once_t *once, bool *is_done);

/**
 * Which thread runs the job, dead or alive: a snapshot. One that died in it is named until the next has begun. The
 * caller need not be a member of the segment.
 */
int interproc_once_holder(const struct interproc_once_t *once, struct interproc_who_t *holder);

/**
 * Makes an unlocked lock. Needed only for memory in a segment that held something else before: zeroed memory is an
 * unlocked lock already. Nobody else may use the memory meanwhile.
 */
int interproc_rwlock_init(struct interproc_rwlock_t *rwlock);

/**
 * Ends the use of a lock before its memory is used for something else. The caller holds it for writing, or nobody
 * holds it; nobody waits for it or will lock it again. What others did with it before is over: a thread whose unlock
 * let you write does not touch it any more. The memory is left as an unlocked lock. A lock needs no destroying before
 * its segment is closed or unlinked.
 *
 * @return 0; EBUSY: a living thread reads it, or another one writes, and nothing was changed.
 */
int interproc_rwlock_destroy(struct interproc_rwlock_t *rwlock);

/**
 * Locks for reading, waiting as long as it takes.
 *
 * @return 0: the calling thread reads.
 * EOWNERDEAD: the calling thread *writes*: the last writer died. Repair the data, call interproc_rwlock_consistent(),
 * then interproc_rwlock_downgrade() or interproc_rwlock_unlock().
 * ENOTRECOVERABLE: a lock got with EOWNERDEAD was unlocked without interproc_rwlock_consistent(); it is unusable until
 * interproc_rwlock_init().
 * EDEADLK: the calling thread writes it.
 * ENOLCK: six other readers are there, and the calling thread reads 16 other such locks; or it reads this one 32,767
 * times.
 */
int interproc_rwlock_rdlock(struct interproc_rwlock_t *rwlock);

/**
 * As interproc_rwlock_rdlock(), but never waits: EBUSY when another living thread writes, or waits or tries to. A
 * thread in the middle of interproc_rwlock_trywrlock() counts as a writer, even if it is about to be refused.
 */
int interproc_rwlock_tryrdlock(struct interproc_rwlock_t *rwlock);

/**
 * As interproc_rwlock_rdlock(), until `abstime`: then ETIMEDOUT.
 */
int interproc_rwlock_timedrdlock(struct interproc_rwlock_t *rwlock, const struct timespec *abstime);

/**
 * Locks for writing, waiting as long as it takes.
 *
 * @return 0: the calling thread writes.
 * EOWNERDEAD: the calling thread writes, and the last writer died. Repair the data, call
 * interproc_rwlock_consistent(), go on.
 * ENOTRECOVERABLE: a lock got with EOWNERDEAD was unlocked without interproc_rwlock_consistent(); it is unusable until
 * interproc_rwlock_init().
 * EDEADLK: the calling thread reads or writes it.
 */
int interproc_rwlock_wrlock(struct interproc_rwlock_t *rwlock);

/**
 * As interproc_rwlock_wrlock(), but never waits: EBUSY when another living thread reads or writes, or waits to write.
 */
int interproc_rwlock_trywrlock(struct interproc_rwlock_t *rwlock);

/**
 * As interproc_rwlock_wrlock(), until `abstime`: then ETIMEDOUT.
 */
int interproc_rwlock_timedwrlock(struct interproc_rwlock_t *rwlock, const struct timespec *abstime);

/**
 * Unlocks once, whichever way the calling thread holds it. If it was got with EOWNERDEAD and not marked consistent, it
 * becomes unusable: everybody, waiters included, gets ENOTRECOVERABLE from then on.
 *
 * Once it is released, the memory is neither read nor written: the next writer may destroy it.
 *
 * @return 0; EPERM: the calling thread does not hold it.
 */
int interproc_rwlock_unlock(struct interproc_rwlock_t *rwlock);

/**
 * Turns the calling thread's write lock into a read lock. No writer comes in between; other readers may.
 *
 * @return 0; EPERM: the calling thread does not write; EINVAL also when it was got with EOWNERDEAD and not marked
 * consistent: nothing was changed.
 */
int interproc_rwlock_downgrade(struct interproc_rwlock_t *rwlock);

/**
 * Says that the data is whole again. For a thread that got the lock with EOWNERDEAD.
 *
 * @return 0; EPERM: the calling thread does not write; EINVAL also when it was not got with EOWNERDEAD, or marked
 * already.
 */
int interproc_rwlock_consistent(struct interproc_rwlock_t *rwlock);

/**
 * Who holds it: the writer, dead or alive, or the living readers, each once: a snapshot, in which a reader that is on
 * its way in may be seen. A dead writer is named until the next one has inherited the lock. A writer that waits for
 * readers holds nothing: see interproc_rwlock_writer(). The caller need not be a member of the segment.
 *
 *     interproc_who_t by[8];
 *     size_t found;
 *     if (interproc_rwlock_holders(&prices->lock, by, 8, &found) == 0)
 *         for (size_t i = 0; i < found && i < 8; i++)
 *             printf("held by %d.%d %s\n", by[i].pid, by[i].tid, by[i].name);
 *
 * Fills in at most `room` of them; `*found` becomes the number that there are. With no room `holders` may be NULL.
 */
int interproc_rwlock_holders(const struct interproc_rwlock_t *lock,
                             struct interproc_who_t *holders,
                             size_t room,
                             size_t *found);

/**
 * The thread that writes, or is waiting for readers to finish so that it can write, dead or alive: a snapshot. A dead
 * one is named until the next has the lock. The caller need not be a member of the segment.
 */
int interproc_rwlock_writer(const struct interproc_rwlock_t *lock, struct interproc_who_t *writer);

/**
 * Acquires a permit, waiting as long as it takes.
 *
 * @return 0: the calling thread has it, in `permit`.
 * EOWNERDEAD: the calling thread has it, and its last holder died with it. Put in order what it stands for, and go on;
 * there is nothing to mark.
 */
int interproc_bounded_semaphore_acquire(const struct interproc_bounded_semaphore_t *semaphore,
                                        struct interproc_permit_t *permit);

/**
 * As interproc_bounded_semaphore_acquire(), but never waits: EBUSY when all were seen held by living threads. It looks
 * at each permit once, one after the other, so it can fail spuriously while others acquire and release.
 */
int interproc_bounded_semaphore_tryacquire(const struct interproc_bounded_semaphore_t *semaphore,
                                           struct interproc_permit_t *permit);

/**
 * As interproc_bounded_semaphore_acquire(), until `abstime`: then ETIMEDOUT.
 */
int interproc_bounded_semaphore_timedacquire(const struct interproc_bounded_semaphore_t *semaphore,
                                             const struct timespec *abstime,
                                             struct interproc_permit_t *permit);

/**
 * Acquires `count` permits as one, waiting until `abstime`: all or nothing. While it waits it keeps those that it
 * already has; only one caller at a time does so, so two callers that want several never wait for each other. (A
 * thread that holds a permit already and waits for more can still cause a deadlock.) If the time runs out, it gives
 * back what it has. So two callers that do not wait (a time in the past) can both fail, even if one wants a single
 * permit.
 *
 * @return As interproc_bounded_semaphore_timedacquire(). EOWNERDEAD: the last holder of one of them died with it.
 * EINVAL also when count is 0 or more than there are.
 */
int interproc_bounded_semaphore_acquire_many_until(const struct interproc_bounded_semaphore_t *semaphore,
                                                   uint32_t count,
                                                   const struct timespec *abstime,
                                                   struct interproc_permit_t *permit);

/**
 * Gives a permit back, all of it, and clears it. If it fails, nothing is changed.
 *
 * @return 0; EPERM: it was given back before (a copy of it was, or it is zero), belongs to another semaphore, or to
 * the parent process; ESTALE: the thread that acquired it is dead, and somebody else gets it.
 */
int interproc_bounded_semaphore_release(const struct interproc_bounded_semaphore_t *semaphore,
                                        struct interproc_permit_t *permit);

/**
 * Makes the calling thread the owner of a permit that another thread of the process has acquired: from now on it is
 * the caller's death that gives the permit to somebody else. Older copies of the permit are void.
 *
 * @return As interproc_bounded_semaphore_release().
 */
int interproc_bounded_semaphore_adopt(const struct interproc_bounded_semaphore_t *semaphore,
                                      struct interproc_permit_t *permit);

/**
 * How many permits there are, and how many are free: a snapshot.
 */
int interproc_bounded_semaphore_info(const struct interproc_bounded_semaphore_t *semaphore,
                                     struct interproc_bounded_semaphore_info_t *info);

/**
 * Who holds permits, dead or alive, each thread once: a snapshot. The dead are named until somebody has taken over
 * what they held. Fills in at most `room` of them; `*found` becomes the number that there are. With no room `holders`
 * may be NULL. The caller need not be a member of the segment.
 */
int interproc_bounded_semaphore_holders(const struct interproc_bounded_semaphore_t *semaphore,
                                        struct interproc_who_t *holders,
                                        size_t room,
                                        size_t *found);

/**
 * Waits until all parties have come.
 *
 * `leader` may be NULL. It becomes true in one of the parties of each round, otherwise false.
 *
 * @return 0: all have come.
 * ECANCELED: the barrier is broken: a party died, ran out of time, or somebody aborted or reset it.
 */
int interproc_barrier_wait(const struct interproc_barrier_t *barrier, bool *leader);

/**
 * As interproc_barrier_wait(), until `abstime`. Then ETIMEDOUT, and the barrier is broken for all; ETIMEDOUT goes to
 * the thread that ran out of time, ECANCELED to the others. With a time in the past it still passes if it is the last
 * to come.
 */
int interproc_barrier_timedwait(const struct interproc_barrier_t *barrier,
                                const struct timespec *abstime,
                                bool *leader);

/**
 * As interproc_barrier_timedwait(), in slices, for callers that look at something else now and then, as a language
 * binding at its signals: when `abstime` passes, nothing is broken. The caller has come, and goes on by another call
 * with the same `turn`, which begins all-zero.
 *
 *     interproc_barrier_turn_t turn = {{0}};
 *     struct timespec slice;
 *     do {
 *         if (interrupted()) {
 *             interproc_barrier_abort(&steps);           // the others count on us
 *             break;
 *         }
 *         interproc_deadline_after(50000000, &slice);
 *         rc = interproc_barrier_wait_slice(&steps, &turn, &slice, &leader);
 *     } while (rc == ETIMEDOUT);
 *
 * @return As interproc_barrier_wait(), which ends the turn, all-zero again. ETIMEDOUT: not yet all have come: call it
 * again with the same turn, or abort.
 *
 * A turn is one thread's.
 */
int interproc_barrier_wait_slice(const struct interproc_barrier_t *barrier,
                                 struct interproc_barrier_turn_t *turn,
                                 const struct timespec *abstime,
                                 bool *leader);

/**
 * Breaks the barrier: all that wait, and all that come, get ECANCELED until a reset.
 */
int interproc_barrier_abort(const struct interproc_barrier_t *barrier);

/**
 * Starts a new round in any state: waiters get ECANCELED, and the seats of the dead are free again. Living parties
 * keep theirs. Releasing the waiters and opening the new round is one step: a party that gets ECANCELED from the reset
 * may come again at once. (One that gets it from an abort, a time-out or a death has to wait for the reset first.)
 */
int interproc_barrier_reset(const struct interproc_barrier_t *barrier);

/**
 * Gives up the calling thread's seat, if it has one: its end no longer breaks the barrier, and another thread may take
 * its place. The barrier still waits for as many parties as before: if nobody takes the place, call
 * interproc_barrier_abort().
 */
int interproc_barrier_leave(const struct interproc_barrier_t *barrier);

/**
 * How many must come, and how many have: a snapshot.
 */
int interproc_barrier_info(const struct interproc_barrier_t *barrier, struct interproc_barrier_info_t *info);

/**
 * The parties that have a seat, dead or alive, and whether each has come to this round: a snapshot. Fills in at most
 * `room` of them; `*found` becomes the number that there are. `has_come` may be NULL, and with no room `seats`, too.
 * The caller need not be a member of the segment.
 */
int interproc_barrier_seats(const struct interproc_barrier_t *barrier,
                            struct interproc_who_t *seats,
                            bool *has_come,
                            size_t room,
                            size_t *found);

/**
 * Copies the message at `element` into the queue, waiting for room.
 *
 * @return 0; EPIPE: the queue is closed.
 */
int interproc_queue_push(const struct interproc_queue_t *queue, const void *element);

/**
 * As interproc_queue_push(), but never waits: EAGAIN when the queue is full.
 */
int interproc_queue_trypush(const struct interproc_queue_t *queue, const void *element);

/**
 * As interproc_queue_push(), until `abstime`: then ETIMEDOUT.
 */
int interproc_queue_timedpush(const struct interproc_queue_t *queue,
                              const void *element,
                              const struct timespec *abstime);

/**
 * Takes the oldest message out and copies it to `element`, waiting for one.
 *
 * `redelivered` may be NULL. It becomes true when an earlier consumer died while it popped this message: its call
 * never returned, so the message was not processed; otherwise false.
 *
 * @return 0; EPIPE: the queue is closed and drained.
 */
int interproc_queue_pop(const struct interproc_queue_t *queue, void *element, bool *redelivered);

/**
 * As interproc_queue_pop(), but never waits: EAGAIN when the queue is empty.
 */
int interproc_queue_trypop(const struct interproc_queue_t *queue, void *element, bool *redelivered);

/**
 * As interproc_queue_pop(), until `abstime`: then ETIMEDOUT.
 */
int interproc_queue_timedpop(const struct interproc_queue_t *queue,
                             const struct timespec *abstime,
                             void *element,
                             bool *redelivered);

/**
 * Pushes the `count` messages of the array `elements` in order, waiting for room until `abstime`. Other producers'
 * messages may come between. `*pushed` becomes the number that went in: fewer than `count` when the time is over or
 * the queue was closed meanwhile.
 *
 * @return 0: at least one went in (or count is 0). Otherwise as interproc_queue_timedpush(), and none went in.
 */
int interproc_queue_push_batch_until(const struct interproc_queue_t *queue,
                                     const void *elements,
                                     size_t count,
                                     const struct timespec *abstime,
                                     size_t *pushed);

/**
 * Waits for a message until `abstime`, then takes as many as there are, at most `room`, into the array `elements`.
 * `*popped` becomes the number.
 *
 * `redelivered` may be NULL. It becomes the number of them that are redelivered: see interproc_queue_pop().
 *
 * @return 0: at least one came out (or room is 0). Otherwise as interproc_queue_timedpop().
 */
int interproc_queue_pop_batch_until(const struct interproc_queue_t *queue,
                                    const struct timespec *abstime,
                                    void *elements,
                                    size_t room,
                                    size_t *popped,
                                    size_t *redelivered);

/**
 * Closes the queue itself, for everybody and for good (not just this handle, which needs no closing): pushes are
 * refused from now on, pops take what is there and then return EPIPE. All waiters are told. A push at the same time
 * either gets in, and is then delivered, or is refused. Closing again is no error.
 *
 * EPIPE also while messages are borrowed: nobody waits for one to be put back; if one is, the next caller to ask for
 * it gets it. Only while *every* place is borrowed or reserved, a try returns EAGAIN, and a wait goes on until one is
 * given back, or returns EDEADLK if the caller has the first of them.
 */
int interproc_queue_close(const struct interproc_queue_t *queue);

/**
 * How full it is and whether it is closed: a snapshot, counted in messages. `peak` is a lower bound: that the queue
 * was full is never missed; below that, only slow-path pushes sample the depth (others at work, a thread asleep), and
 * this call does.
 */
int interproc_queue_info(const struct interproc_queue_t *queue, struct interproc_channel_info_t *info);

/**
 * The living thread in the middle of an operation that the others wait for: a snapshot. A process that is *stopped*
 * (SIGSTOP, a debugger) there holds up those behind it, and shows up here.
 */
int interproc_queue_blocker(const struct interproc_queue_t *queue, struct interproc_who_t *blocker);

/**
 * How many living threads are asleep for a message and how many for room: a snapshot; threads that still spin are not
 * counted.
 */
int interproc_queue_waiters(const struct interproc_queue_t *queue, uint32_t *consumers, uint32_t *producers);

/**
 * Takes the producer's seat of the queue `name` for messages of `element_size` bytes of no type, with room for
 * `capacity` of them. The queue is found or made; a Rust program reaches the same one by
 * `Segment::spsc_producer_of_bytes`. The seat of a dead producer is free. Slots lie one behind the other, the first
 * one aligned to 64 bytes.
 *
 * @return As interproc_segment_object(); EBUSY: a living thread has the seat; EEXIST also for another element size or
 * capacity, or for messages of a type; EINVAL: one of them is 0, or the capacity beyond 2^40.
 *
 * Safe against death.
 */
int interproc_segment_spsc_producer(const struct interproc_segment_t *segment,
                                    const char *name,
                                    size_t element_size,
                                    size_t capacity,
                                    struct interproc_spsc_producer_t *producer);

/**
 * As interproc_segment_spsc_producer(), for messages of this type: a Rust program reaches the same queue by
 * `Segment::spsc_producer` and `Segment::spsc_consumer`. It is found by exactly this type, by both. `type_id` is 0 for
 * bytes, or an id by interproc_type_id().
 *
 * @return As interproc_segment_spsc_producer(); EEXIST also for another type.
 */
int interproc_segment_spsc_producer_as(const struct interproc_segment_t *segment,
                                       const char *name,
                                       uint64_t type_id,
                                       size_t element_size,
                                       size_t capacity,
                                       struct interproc_spsc_producer_t *producer);

/**
 * Takes the consumer's seat of the queue `name`, as interproc_segment_spsc_producer() does the producer's. What a
 * consumer that died had not freed is popped again.
 *
 * @return As interproc_segment_spsc_producer().
 */
int interproc_segment_spsc_consumer(const struct interproc_segment_t *segment,
                                    const char *name,
                                    size_t element_size,
                                    size_t capacity,
                                    struct interproc_spsc_consumer_t *consumer);

/**
 * Takes the consumer's seat, as interproc_segment_spsc_producer_as() does the producer's.
 *
 * @return As interproc_segment_spsc_producer_as().
 */
int interproc_segment_spsc_consumer_as(const struct interproc_segment_t *segment,
                                       const char *name,
                                       uint64_t type_id,
                                       size_t element_size,
                                       size_t capacity,
                                       struct interproc_spsc_consumer_t *consumer);

/**
 * Copies the message at `element` into the queue, waiting for room.
 *
 * @return 0; EPIPE: the queue is closed.
 */
int interproc_spsc_producer_push(struct interproc_spsc_producer_t *producer, const void *element);

/**
 * As interproc_spsc_producer_push(), but never waits: EAGAIN when the queue is full.
 */
int interproc_spsc_producer_trypush(struct interproc_spsc_producer_t *producer, const void *element);

/**
 * As interproc_spsc_producer_push(), until `abstime`: then ETIMEDOUT.
 */
int interproc_spsc_producer_timedpush(struct interproc_spsc_producer_t *producer,
                                      const void *element,
                                      const struct timespec *abstime);

/**
 * Pushes the `count` messages of the array `elements` in order, waiting for room until `abstime`; each run that finds
 * room is published as one. `*pushed` becomes the number that went in: fewer than `count` when the time is over or the
 * queue was closed meanwhile.
 *
 * @return 0: at least one went in (or count is 0). Otherwise as interproc_spsc_producer_timedpush(), and none went in.
 */
int interproc_spsc_producer_push_batch_until(struct interproc_spsc_producer_t *producer,
                                             const void *elements,
                                             size_t count,
                                             const struct timespec *abstime,
                                             size_t *pushed);

/**
 * Waits until `abstime` for `count` free slots and says where they are, to be written in place. Nothing is pushed
 * before interproc_spsc_producer_commit(); without it nothing has happened.
 *
 *     interproc_spsc_slots_t slots;
 *     if (interproc_spsc_producer_reserve_until(&samples, 64, NULL, &slots) == 0) {
 *         fill(slots.first, slots.first_count);
 *         fill(slots.second, slots.second_count);
 *         interproc_spsc_producer_commit(&samples, 64);
 *     }
 *
 * @return As interproc_spsc_producer_timedpush(); EINVAL also for more than the capacity.
 */
int interproc_spsc_producer_reserve_until(struct interproc_spsc_producer_t *producer,
                                          size_t count,
                                          const struct timespec *abstime,
                                          struct interproc_spsc_slots_t *slots);

/**
 * Pushes the first `count` of the slots that were reserved last, as one, and ends the reservation.
 *
 * @return 0; EPIPE: the queue is closed, none is pushed; EMSGSIZE: more than were reserved, which they still are;
 * EINVAL: none are.
 */
int interproc_spsc_producer_commit(struct interproc_spsc_producer_t *producer, size_t count);

/**
 * Publishes once every `messages` messages; 1, the least, is the default. What is not published is not seen by the
 * consumer, and lost if this producer dies. It is published at the latest before a push waits or finds the queue full,
 * by interproc_spsc_producer_flush(), and by interproc_spsc_producer_leave().
 */
int interproc_spsc_producer_publish_every(struct interproc_spsc_producer_t *producer, size_t messages);

/**
 * Publishes what was pushed and not published.
 *
 * @return 0; EPIPE: the queue is closed, and it is lost.
 */
int interproc_spsc_producer_flush(struct interproc_spsc_producer_t *producer);

/**
 * Closes the queue itself for good: the consumer takes what is there and is then told EPIPE. Closing again is no
 * error.
 *
 * @return 0; EPIPE: the consumer had closed it before what was not published yet, which is lost.
 */
int interproc_spsc_producer_close(struct interproc_spsc_producer_t *producer);

/**
 * Publishes the rest and leaves the seat to the next producer; the queue stays open. The handle is cleared in any
 * case.
 *
 * @return As interproc_spsc_producer_flush().
 */
int interproc_spsc_producer_leave(struct interproc_spsc_producer_t *producer);

/**
 * Takes the next message out and copies it to `element`, waiting for one.
 *
 * `redelivered` may be NULL. It becomes true when a consumer that died may have read this message before, otherwise
 * false.
 *
 * @return 0; EPIPE: the queue is closed and drained.
 */
int interproc_spsc_consumer_pop(struct interproc_spsc_consumer_t *consumer, void *element, bool *redelivered);

/**
 * As interproc_spsc_consumer_pop(), but never waits: EAGAIN when the queue is empty.
 */
int interproc_spsc_consumer_trypop(struct interproc_spsc_consumer_t *consumer, void *element, bool *redelivered);

/**
 * As interproc_spsc_consumer_pop(), until `abstime`: then ETIMEDOUT.
 */
int interproc_spsc_consumer_timedpop(struct interproc_spsc_consumer_t *consumer,
                                     const struct timespec *abstime,
                                     void *element,
                                     bool *redelivered);

/**
 * Waits for a message until `abstime`, then takes as many as there are, at most `room`, into the array `elements`.
 * `*popped` becomes the number. They are freed as one. `redelivered` may be NULL; it becomes the number of them, the
 * first ones, that a consumer that died may have read before.
 *
 * @return 0: at least one came (or room is 0). Otherwise as interproc_spsc_consumer_timedpop().
 */
int interproc_spsc_consumer_pop_batch_until(struct interproc_spsc_consumer_t *consumer,
                                            const struct timespec *abstime,
                                            void *elements,
                                            size_t room,
                                            size_t *popped,
                                            size_t *redelivered);

/**
 * Waits until `abstime` for `count` messages and says where they are, to be read in place; fewer when the queue is
 * closed. None is taken before interproc_spsc_consumer_release(). `redelivered` is as of
 * interproc_spsc_consumer_pop_batch_until().
 *
 * @return As interproc_spsc_consumer_timedpop(); EINVAL also for more than the capacity.
 */
int interproc_spsc_consumer_borrow_until(struct interproc_spsc_consumer_t *consumer,
                                         size_t count,
                                         const struct timespec *abstime,
                                         struct interproc_spsc_slots_t *slots,
                                         size_t *redelivered);

/**
 * Takes the first `count` of the messages that were borrowed last, as one, and ends the borrow; the rest stays.
 *
 * @return 0; EMSGSIZE: more than were borrowed, which they still are; EINVAL: none are.
 */
int interproc_spsc_consumer_release(struct interproc_spsc_consumer_t *consumer, size_t count);

/**
 * Frees once every `messages` messages; 1, the least, is the default. What is popped and not freed takes up room, and
 * if this consumer dies, the next one reads it again, flagged. It is freed at the latest before a pop waits or finds
 * nothing, by interproc_spsc_consumer_flush(), and by interproc_spsc_consumer_leave().
 */
int interproc_spsc_consumer_free_every(struct interproc_spsc_consumer_t *consumer, size_t messages);

/**
 * Frees what was popped and not freed.
 */
int interproc_spsc_consumer_flush(struct interproc_spsc_consumer_t *consumer);

/**
 * Closes the queue itself for good: the producer is refused from now on, what it has published can be popped. A push
 * at the same time either gets in, and is then delivered, or is refused. Closing again is no error.
 */
int interproc_spsc_consumer_close(struct interproc_spsc_consumer_t *consumer);

/**
 * Frees the rest and leaves the seat to the next consumer; the queue stays open. The handle is cleared in any case.
 *
 * @return As interproc_spsc_consumer_flush().
 */
int interproc_spsc_consumer_leave(struct interproc_spsc_consumer_t *consumer);

/**
 * How many messages are published and not freed, and the like: a snapshot. `peak` is sampled when the producer rereads
 * the consumer's position, and by this call.
 */
int interproc_spsc_producer_info(const struct interproc_spsc_producer_t *producer,
                                 struct interproc_channel_info_t *info);

/**
 * Who has the consumer's seat, dead or alive: a snapshot. Nobody while it is vacant.
 */
int interproc_spsc_producer_peer(const struct interproc_spsc_producer_t *producer, struct interproc_who_t *peer);

/**
 * As interproc_spsc_producer_info().
 */
int interproc_spsc_consumer_info(const struct interproc_spsc_consumer_t *consumer,
                                 struct interproc_channel_info_t *info);

/**
 * Who has the producer's seat, dead or alive: a snapshot. Nobody while it is vacant.
 */
int interproc_spsc_consumer_peer(const struct interproc_spsc_consumer_t *consumer, struct interproc_who_t *peer);

/**
 * Finds the queue `name` for messages of any length up to `longest` bytes from one producer to one consumer, or makes
 * it, and takes the producer's seat. The ring has at least `capacity` bytes, and room for two of the longest messages.
 * A Rust program reaches the same one by `Segment::byte_producer`.
 *
 * @return As interproc_segment_object(); EBUSY: a living thread has the seat, perhaps the caller; EEXIST also for
 * another capacity or longest message; EINVAL also for a longest message of 4 GiB or more.
 *
 * Safe against death.
 */
int interproc_segment_byte_producer(const struct interproc_segment_t *segment,
                                    const char *name,
                                    size_t capacity,
                                    size_t longest,
                                    struct interproc_byte_producer_t *producer);

/**
 * Finds the queue `name`, as interproc_segment_byte_producer() does, or makes it, and takes the consumer's seat.
 *
 * @return As interproc_segment_byte_producer().
 */
int interproc_segment_byte_consumer(const struct interproc_segment_t *segment,
                                    const char *name,
                                    size_t capacity,
                                    size_t longest,
                                    struct interproc_byte_consumer_t *consumer);

/**
 * Copies the message of `len` bytes at `message` into the queue, waiting for room. A message may be empty.
 *
 * @return 0; EMSGSIZE: longer than the longest message of the queue; EPIPE: the queue is closed; it was not pushed,
 * nor what was not published yet.
 */
int interproc_byte_producer_push(struct interproc_byte_producer_t *producer, const void *message, size_t len);

/**
 * As interproc_byte_producer_push(), but never waits: EAGAIN when there is no room.
 */
int interproc_byte_producer_trypush(struct interproc_byte_producer_t *producer, const void *message, size_t len);

/**
 * As interproc_byte_producer_push(), until `abstime`: then ETIMEDOUT.
 */
int interproc_byte_producer_timedpush(struct interproc_byte_producer_t *producer,
                                      const void *message,
                                      size_t len,
                                      const struct timespec *abstime);

/**
 * Pushes one message whose parts lie in `count` places, as writev(2) would, waiting for room until `abstime`.
 *
 * @return As interproc_byte_producer_timedpush().
 */
int interproc_byte_producer_push_vectored_until(struct interproc_byte_producer_t *producer,
                                                const struct iovec *parts,
                                                size_t count,
                                                const struct timespec *abstime);

/**
 * Reserves room for a message of at most `len` bytes, to be written at `*place`, waiting for it until `abstime`. It is
 * pushed by interproc_byte_producer_commit(), given back by interproc_byte_producer_abort(), or by the next reserve or
 * push. At first it contains what is left over from older messages. A forked child must not write there.
 *
 * @return As interproc_byte_producer_timedpush().
 */
int interproc_byte_producer_reserve_until(struct interproc_byte_producer_t *producer,
                                          size_t len,
                                          const struct timespec *abstime,
                                          void **place);

/**
 * Pushes the first `len` bytes of what was reserved.
 *
 * @return 0; EMSGSIZE: more than was reserved, which it still is; EINVAL: nothing is reserved; EPIPE: the queue is
 * closed, and it was not pushed.
 */
int interproc_byte_producer_commit(struct interproc_byte_producer_t *producer, size_t len);

/**
 * Gives back what was reserved: nothing has happened.
 *
 * @return 0; EINVAL: nothing is reserved.
 */
int interproc_byte_producer_abort(struct interproc_byte_producer_t *producer);

/**
 * Publishes only once this many bytes (headers included) are pending, instead of with every message: for many short
 * ones. Until then the consumer sees nothing, and as much can be lost by a death. A wait for room, EAGAIN for want of
 * it, interproc_byte_producer_flush(), _close() and _leave() publish, too. What is pending is published now.
 *
 * @return As interproc_byte_producer_flush().
 */
int interproc_byte_producer_publish_every(struct interproc_byte_producer_t *producer, size_t bytes);

/**
 * Publishes what was pushed and not published.
 *
 * @return 0; EPIPE: the queue is closed, and it is lost.
 */
int interproc_byte_producer_flush(struct interproc_byte_producer_t *producer);

/**
 * Closes the queue itself, for good: what was pushed can still be read, then the consumer gets EPIPE.
 *
 * @return As interproc_byte_producer_flush(). EPIPE if it was closed before what was not published yet.
 */
int interproc_byte_producer_close(struct interproc_byte_producer_t *producer);

/**
 * Publishes what was pushed, gives back what was reserved, and leaves the seat. The queue and its messages stay. The
 * handle is cleared in any case.
 *
 * @return 0; EPERM: the handle is a parent process's, whose seat is untouched; EUSERS, ENOTSUP: the seat is free when
 * the thread that used the handle last ends.
 */
int interproc_byte_producer_leave(struct interproc_byte_producer_t *producer);

/**
 * Borrows the next message, waiting for one until `abstime`, and says where it lies and how long it is. It stays there
 * until interproc_byte_consumer_release(). Until then another borrow finds the same message again, and a pop takes it,
 * which ends the borrow.
 *
 * `redelivered` may be NULL. It becomes true when a consumer that died may have read this message, otherwise false.
 *
 * @return 0; ETIMEDOUT; EPIPE: closed and drained.
 */
int interproc_byte_consumer_borrow_until(struct interproc_byte_consumer_t *consumer,
                                         const struct timespec *abstime,
                                         const void **message,
                                         size_t *len,
                                         bool *redelivered);

/**
 * Ends the message that was borrowed last: its room is free.
 *
 * @return 0; EINVAL: none is borrowed.
 */
int interproc_byte_consumer_release(struct interproc_byte_consumer_t *consumer);

/**
 * Copies the next message to `buffer`, which has room for `size` bytes, waiting for one. `*len` becomes its length.
 *
 * `redelivered` may be NULL; see interproc_byte_consumer_borrow_until().
 *
 * @return 0; EPIPE: closed and drained; EMSGSIZE: the message is longer than `size`: `len` is set, too, and the
 * message stays the next one.
 */
int interproc_byte_consumer_pop(struct interproc_byte_consumer_t *consumer,
                                void *buffer,
                                size_t size,
                                size_t *len,
                                bool *redelivered);

/**
 * As interproc_byte_consumer_pop(), but never waits: EAGAIN when there is no message.
 */
int interproc_byte_consumer_trypop(struct interproc_byte_consumer_t *consumer,
                                   void *buffer,
                                   size_t size,
                                   size_t *len,
                                   bool *redelivered);

/**
 * As interproc_byte_consumer_pop(), until `abstime`: then ETIMEDOUT.
 */
int interproc_byte_consumer_timedpop(struct interproc_byte_consumer_t *consumer,
                                     const struct timespec *abstime,
                                     void *buffer,
                                     size_t size,
                                     size_t *len,
                                     bool *redelivered);

/**
 * Frees only once this many bytes (headers included) have been read, instead of with every message: for many short
 * ones. Until then the producer has less room, and as much may be read again, flagged, after a death. A wait, EAGAIN
 * for want of a message, interproc_byte_consumer_flush() and _leave() free, too. At most the capacity.
 */
int interproc_byte_consumer_free_every(struct interproc_byte_consumer_t *consumer, size_t bytes);

/**
 * Frees what was read and not freed.
 */
int interproc_byte_consumer_flush(struct interproc_byte_consumer_t *consumer);

/**
 * Closes the queue itself, for good: the producer is refused from now on, what is there can be read. A message that is
 * being published meanwhile is either read or refused.
 */
int interproc_byte_consumer_close(struct interproc_byte_consumer_t *consumer);

/**
 * Frees what was read and leaves the seat. What was not read stays in the queue. The handle is cleared in any case.
 *
 * @return As interproc_byte_producer_leave().
 */
int interproc_byte_consumer_leave(struct interproc_byte_consumer_t *consumer);

/**
 * How many bytes of the ring are in use, headers and pads included, and the like: a snapshot. The capacity is at least
 * what was asked for, and twice what the longest message takes. `peak` is what the producer has seen when it looked
 * how much the consumer has freed, which it does only when it seems to run out of room.
 */
int interproc_byte_producer_info(const struct interproc_byte_producer_t *producer,
                                 struct interproc_channel_info_t *info);

/**
 * Who has the consumer's seat, dead or alive: a snapshot. Nobody while it is vacant.
 */
int interproc_byte_producer_peer(const struct interproc_byte_producer_t *producer, struct interproc_who_t *peer);

/**
 * As interproc_byte_producer_info().
 */
int interproc_byte_consumer_info(const struct interproc_byte_consumer_t *consumer,
                                 struct interproc_channel_info_t *info);

/**
 * Who has the producer's seat, dead or alive: a snapshot. Nobody while it is vacant.
 */
int interproc_byte_consumer_peer(const struct interproc_byte_consumer_t *consumer, struct interproc_who_t *peer);

/**
 * Reserves the place of the next message, waiting for room until `abstime`: to write the message where it will be
 * read, without a copy. `*cell` becomes the place: as many bytes as an element has, aligned to 16, with an earlier
 * message or zeros in it. End the reservation by interproc_queue_commit() or interproc_queue_abort().
 *
 *     frame_t *frame;
 *     int rc = interproc_queue_reserve_until(&frames, NULL, (void **)&frame);
 *     if (rc == 0) {
 *         draw(frame);                                   // in the segment itself
 *         rc = interproc_queue_commit(&frames, frame);
 *     }
 *
 * The place belongs to the calling thread. Its position in the queue is fixed now, and *messages behind it wait for
 * it*: do the long work before the reservation. If the thread dies, its place is discarded and the messages behind it
 * go on.
 *
 * @return 0; ETIMEDOUT; EPIPE: the queue is closed; EDEADLK: the caller itself holds the place that is needed.
 */
int interproc_queue_reserve_until(const struct interproc_queue_t *queue, const struct timespec *abstime, void **cell);

/**
 * Makes a reserved cell a message. A consumer that sees it sees everything that happened before. A queue that was
 * closed after the reservation still takes and delivers it.
 *
 * @return 0; EPERM: the calling thread has not reserved this cell; EINVAL: not a cell of this queue.
 */
int interproc_queue_commit(const struct interproc_queue_t *queue, const void *cell);

/**
 * Gives a reserved cell back without a message: its room is free again.
 *
 * @return As interproc_queue_commit().
 */
int interproc_queue_abort(const struct interproc_queue_t *queue, const void *cell);

/**
 * Borrows the oldest message, waiting for one until `abstime`: to read it where it lies, without a copy. `*cell`
 * becomes its place. End it by interproc_queue_release() or interproc_queue_put_back().
 *
 *     const frame_t *frame;
 *     int rc = interproc_queue_borrow_until(&frames, NULL, (const void **)&frame, NULL);
 *     if (rc == 0) {
 *         show(frame);
 *         rc = interproc_queue_release(&frames, frame);
 *     }
 *
 * The message belongs to the calling thread. Others take the messages behind it meanwhile; producers need its place
 * one lap later and wait for it then. If the thread dies, the message goes to another consumer, at its old place in
 * the order.
 *
 * `redelivered` may be NULL. It becomes true when another consumer had borrowed the message and died, or put it back:
 * it may have done part of the work; otherwise false.
 *
 * @return 0; ETIMEDOUT; EPIPE: the queue is closed and drained; EDEADLK: the head of the queue is the caller's own
 * reservation.
 */
int interproc_queue_borrow_until(const struct interproc_queue_t *queue,
                                 const struct timespec *abstime,
                                 const void **cell,
                                 bool *redelivered);

/**
 * Ends a borrow: the message is done, its room is free.
 *
 * @return 0; EPERM: the calling thread has not borrowed this cell's message; EINVAL: not a cell of this queue.
 */
int interproc_queue_release(const struct interproc_queue_t *queue, const void *cell);

/**
 * Puts a borrowed message back at its old place: the next consumer gets it, before all that came later, with
 * `redelivered` true.
 *
 * @return As interproc_queue_release().
 */
int interproc_queue_put_back(const struct interproc_queue_t *queue, const void *cell);

/**
 * Copies the message at `element` into the queue without waiting for room. If there is none, the oldest message is
 * removed and copied to `displaced`, and `*was_displaced` becomes true; otherwise false. Exactly one message is
 * replaced; order is kept. Each of `displaced` and `was_displaced` may be NULL; `displaced` and `element` do not
 * overlap.
 *
 * A message that a living consumer has borrowed, or a cell that a living producer has reserved, is never displaced: if
 * that is the oldest, the call returns EAGAIN after a few looks, about a microsecond (interproc_queue_blocker() says
 * who it is). If the caller dies in it, the oldest message is still there, or gone as it would have been.
 *
 * @return 0; EPIPE: the queue is closed; EAGAIN: see above.
 */
int interproc_queue_force_push(const struct interproc_queue_t *queue,
                               const void *element,
                               void *displaced,
                               bool *was_displaced);

/**
 * Finds the latest value `name` of `size` bytes, or makes it with the bytes at `initial` as its version 0 (NULL:
 * zeros), and with announcements for four readers at a time: see interproc_latest_t. A Rust program reaches the same
 * one by `Segment::latest`.
 *
 * @return As interproc_segment_object(); EEXIST also for another size or number of announcements.
 *
 * Safe against death.
 */
int interproc_segment_latest(const struct interproc_segment_t *segment,
                             const char *name,
                             size_t size,
                             const void *initial,
                             struct interproc_latest_t *latest);

/**
 * As interproc_segment_latest(), for a value of this type, and with announcements for `readers` at a time, at most
 * 250: that many readers that were overtaken twice can read wait-free at a time. Each costs a slot, which takes the
 * value and 8 bytes, rounded up to 64. A Rust program reaches the same one by `Segment::latest_for`. It is found by
 * exactly this type, by both. `type_id` is 0 for bytes, or an id by interproc_type_id().
 *
 * @return As interproc_segment_latest(); EEXIST also for another type; EINVAL also for more than 250 readers.
 */
int interproc_segment_latest_as(const struct interproc_segment_t *segment,
                                const char *name,
                                uint64_t type_id,
                                size_t size,
                                const void *initial,
                                size_t readers,
                                struct interproc_latest_t *latest);

/**
 * Sets the value to the bytes at `value`, waiting for another writer. `version` may be NULL; it becomes the number of
 * sets up to this one.
 */
int interproc_latest_set(const struct interproc_latest_t *latest, const void *value, uint64_t *version);

/**
 * As interproc_latest_set(), until `abstime`: ETIMEDOUT if other writers keep it busy until then.
 */
int interproc_latest_set_until(const struct interproc_latest_t *latest,
                               const void *value,
                               const struct timespec *abstime,
                               uint64_t *version);

/**
 * Copies the newest value to `value`. `version` may be NULL; it becomes the number of sets up to it. Never waits.
 *
 * @return 0; EBADMSG: its bytes make no sense.
 */
int interproc_latest_get(const struct interproc_latest_t *latest, void *value, uint64_t *version);

/**
 * How often the value was set. Cheaper than a read.
 */
int interproc_latest_version(const struct interproc_latest_t *latest, uint64_t *version);

/**
 * Waits for a value that is newer than version `seen`, and copies the newest to `value`. Older values are skipped.
 * `version` may be NULL.
 *
 * @return 0; EBADMSG: its bytes make no sense.
 */
int interproc_latest_wait_newer(const struct interproc_latest_t *latest, uint64_t seen, void *value, uint64_t *version);

/**
 * As interproc_latest_wait_newer(), until `abstime`: then ETIMEDOUT.
 */
int interproc_latest_wait_newer_until(const struct interproc_latest_t *latest,
                                      uint64_t seen,
                                      const struct timespec *abstime,
                                      void *value,
                                      uint64_t *version);

/**
 * Who sets the value at this moment, dead or alive: a snapshot, to find a process that was stopped in the middle of a
 * set.
 */
int interproc_latest_writer(const struct interproc_latest_t *latest, struct interproc_who_t *writer);

/**
 * How many living threads are asleep for a newer value, or to set it: a snapshot.
 */
int interproc_latest_waiters(const struct interproc_latest_t *latest, uint32_t *waiters);

/**
 * Copies a message of `len` bytes in, waiting for room. `message` may be NULL if `len` is 0.
 *
 * @return 0; EMSGSIZE: longer than the queue's messages may be; EPIPE: the queue is closed; EDEADLK: the calling
 * thread itself holds the message or reservation whose room is needed.
 */
int interproc_byte_queue_push(const struct interproc_byte_queue_t *queue, const void *message, size_t len);

/**
 * As interproc_byte_queue_push(), but never waits: EAGAIN when there is no room for it.
 */
int interproc_byte_queue_trypush(const struct interproc_byte_queue_t *queue, const void *message, size_t len);

/**
 * As interproc_byte_queue_push(), until `abstime`: then ETIMEDOUT.
 */
int interproc_byte_queue_timedpush(const struct interproc_byte_queue_t *queue,
                                   const void *message,
                                   size_t len,
                                   const struct timespec *abstime);

/**
 * Copies one message in that lies in `count` parts, as writev(2) would, waiting for room until `abstime`.
 *
 *     struct iovec parts[2] = {{&head, sizeof head}, {body, len}};
 *     rc = interproc_byte_queue_push_vectored_until(&log, parts, 2, NULL);
 *
 * @return As interproc_byte_queue_timedpush().
 */
int interproc_byte_queue_push_vectored_until(const struct interproc_byte_queue_t *queue,
                                             const struct iovec *parts,
                                             size_t count,
                                             const struct timespec *abstime);

/**
 * Takes the first message out and copies it into `buffer`, which has `size` bytes, waiting for one. `*len` becomes the
 * message's length.
 *
 * `redelivered` may be NULL. It becomes true when an earlier consumer died with this message, or put it back;
 * otherwise false.
 *
 * @return 0; EMSGSIZE: the buffer is too small: the message stays first, and `len` says how long it is; EPIPE: the
 * queue is closed and drained; EDEADLK: the head of the queue is the caller's own reservation.
 */
int interproc_byte_queue_pop(const struct interproc_byte_queue_t *queue,
                             void *buffer,
                             size_t size,
                             size_t *len,
                             bool *redelivered);

/**
 * As interproc_byte_queue_pop(), but never waits: EAGAIN when there is no message.
 */
int interproc_byte_queue_trypop(const struct interproc_byte_queue_t *queue,
                                void *buffer,
                                size_t size,
                                size_t *len,
                                bool *redelivered);

/**
 * As interproc_byte_queue_pop(), until `abstime`: then ETIMEDOUT.
 */
int interproc_byte_queue_timedpop(const struct interproc_byte_queue_t *queue,
                                  const struct timespec *abstime,
                                  void *buffer,
                                  size_t size,
                                  size_t *len,
                                  bool *redelivered);

/**
 * Reserves room for a message of up to `len` bytes, waiting for it until `abstime`: to be written at `*room`, and then
 * given to interproc_byte_queue_commit() or interproc_byte_queue_abort() by the same thread. Until then the consumers
 * wait behind it. If the thread dies before, it is discarded and its room reclaimed.
 *
 * @return As interproc_byte_queue_timedpush().
 */
int interproc_byte_queue_reserve_until(const struct interproc_byte_queue_t *queue,
                                       size_t len,
                                       const struct timespec *abstime,
                                       void **room);

/**
 * Publishes the first `len` bytes of what the calling thread has reserved at `room`, as one message.
 *
 * @return 0; EMSGSIZE: more than was reserved (it stays reserved); EPERM: the calling thread has nothing reserved
 * there; EINVAL: not the place of a message in this queue.
 */
int interproc_byte_queue_commit(const struct interproc_byte_queue_t *queue, void *room, size_t len);

/**
 * Gives back what the calling thread has reserved at `room`: no message is published, and its room is free.
 *
 * @return As interproc_byte_queue_commit().
 */
int interproc_byte_queue_abort(const struct interproc_byte_queue_t *queue, void *room);

/**
 * Borrows the first message, waiting for one until `abstime`, to be read in place: `*len` bytes at `*message`, until
 * the same thread gives it to interproc_byte_queue_release() or interproc_byte_queue_put_back(). The other consumers
 * go on behind it. If the thread dies before, the next consumer gets it, flagged.
 *
 * `redelivered` may be NULL: see interproc_byte_queue_pop().
 *
 * @return As interproc_byte_queue_timedpop(), without EMSGSIZE.
 */
int interproc_byte_queue_borrow_until(const struct interproc_byte_queue_t *queue,
                                      const struct timespec *abstime,
                                      const void **message,
                                      size_t *len,
                                      bool *redelivered);

/**
 * Ends the borrow of the message at `message`: it is done, and its room is free.
 *
 * @return 0; EPERM: the calling thread has borrowed nothing there; EINVAL: not the place of a message in this queue.
 */
int interproc_byte_queue_release(const struct interproc_byte_queue_t *queue, const void *message);

/**
 * Puts the message that the calling thread has borrowed at `message` back where it was: the next consumer gets it,
 * flagged.
 *
 * @return As interproc_byte_queue_release().
 */
int interproc_byte_queue_put_back(const struct interproc_byte_queue_t *queue, const void *message);

/**
 * Closes the queue itself, for everybody and for good (not just this handle, which needs no closing): pushes and
 * reservations are refused from now on, pops take what is there and then return EPIPE. All waiters are told. What is
 * reserved already may be committed, and the consumers wait for it. Closing again is no error.
 *
 * EPIPE also while messages are borrowed: nobody waits for one to be put back; if one is, the next caller to ask for
 * it gets it. Only while they leave no room for another one, a try returns EAGAIN, and a wait goes on until one is
 * given back, or returns EDEADLK if the caller has the first of them.
 */
int interproc_byte_queue_close(const struct interproc_byte_queue_t *queue);

/**
 * How many messages are in it, borrowed ones included: a snapshot. Counts them one by one.
 */
int interproc_byte_queue_len(const struct interproc_byte_queue_t *queue, size_t *len);

/**
 * How full it is and whether it is closed: a snapshot, in bytes. The capacity is what was asked for, rounded up, and
 * at least twice the longest message. Room is reclaimed in order, up to the oldest message that is unread or borrowed,
 * so a long message may find no room before the queue is full. `peak` is the most unread bytes seen: sampled by
 * producers when they have come round the ring and look for room, and by this call.
 */
int interproc_byte_queue_info(const struct interproc_byte_queue_t *queue, struct interproc_channel_info_t *info);

/**
 * The living thread that the others wait for: the producer of the record that is in the consumers' way, else the
 * holder of the record whose room comes next. A snapshot. A process that is *stopped* (SIGSTOP, a debugger), or that
 * keeps a reservation, shows up here.
 */
int interproc_byte_queue_blocker(const struct interproc_byte_queue_t *queue, struct interproc_who_t *blocker);

/**
 * How many living threads are asleep for a message and how many for room: a snapshot; threads that still spin are not
 * counted.
 */
int interproc_byte_queue_waiters(const struct interproc_byte_queue_t *queue, uint32_t *consumers, uint32_t *producers);

/**
 * Finds the work queue `name` of these options, or makes it. A Rust program reaches the same one by
 * `Segment::byte_work_queue`, and by `Segment::work_queue` with the id of its type.
 *
 * @return As interproc_segment_object(); EEXIST also for other options; EINVAL also for impossible ones.
 *
 * Safe against death.
 */
int interproc_segment_work_queue(const struct interproc_segment_t *segment,
                                 const char *name,
                                 const struct interproc_work_queue_options_t *options,
                                 struct interproc_work_queue_t *queue);

/**
 * Puts a job of `len` bytes, waiting for room. `job` may be NULL if `len` is 0.
 *
 * @return 0; EMSGSIZE: longer than the queue's jobs may be; EPIPE: the queue is closed.
 */
int interproc_work_queue_put(const struct interproc_work_queue_t *queue, const void *job, size_t len);

/**
 * As interproc_work_queue_put(), but never waits for room: EAGAIN when there is none.
 */
int interproc_work_queue_tryput(const struct interproc_work_queue_t *queue, const void *job, size_t len);

/**
 * As interproc_work_queue_put(), with all that can be said of a job: its `priority` (the lowest comes first, in a queue by
 * priority; else it says nothing); the time before which it is not delivered, or NULL; until when to wait for room: then
 * ETIMEDOUT. `id` may be NULL; it becomes the job's number.
 */
int interproc_work_queue_put_until(const struct interproc_work_queue_t *queue,
                                   const void *job,
                                   size_t len,
                                   int64_t priority,
                                   const struct timespec *not_before,
                                   const struct timespec *abstime,
                                   uint64_t *id);

/**
 * Takes the next job, waiting for one, and copies it into `buffer`, which has `size` bytes. It stays in the queue, in the
 * calling thread's hands, until interproc_work_queue_done() or interproc_work_queue_fail().
 *
 * @return 0; EMSGSIZE: the buffer is smaller than the queue's longest job; EPIPE: closed, and all jobs are done.
 */
int interproc_work_queue_take(const struct interproc_work_queue_t *queue,
                              void *buffer,
                              size_t size,
                              struct interproc_job_t *job);

/**
 * As interproc_work_queue_take(), but never waits for a job: EAGAIN when there is none.
 */
int interproc_work_queue_trytake(const struct interproc_work_queue_t *queue,
                                 void *buffer,
                                 size_t size,
                                 struct interproc_job_t *job);

/**
 * As interproc_work_queue_take(), until `abstime`: then ETIMEDOUT.
 */
int interproc_work_queue_timedtake(const struct interproc_work_queue_t *queue,
                                   const struct timespec *abstime,
                                   void *buffer,
                                   size_t size,
                                   struct interproc_job_t *job);

/**
 * The job is done: its room is free, and nobody gets it again.
 *
 * @return 0; ESTALE: the caller does not have it any more, as its lease is over or it was done; EPERM: another thread took
 * it.
 */
int interproc_work_queue_done(const struct interproc_work_queue_t *queue,
                              const struct interproc_job_t *job);

/**
 * The job goes back, and counts as delivered: another worker gets it, or it is a dead letter. `reason` is kept for that,
 * the first 64 bytes, and no more than is UTF-8; it may be NULL.
 *
 * @return As interproc_work_queue_done().
 */
int interproc_work_queue_fail(const struct interproc_work_queue_t *queue,
                              const struct interproc_job_t *job,
                              const char *reason);

/**
 * Waits until all jobs are done, or dead letters, at most until `abstime`: then ETIMEDOUT.
 */
int interproc_work_queue_join_until(const struct interproc_work_queue_t *queue, const struct timespec *abstime);

/**
 * Closes the queue itself, for everybody and for good (not just this handle, which needs no closing): no more jobs are
 * put. What is there can be taken, also what comes back; when all is done, takes return EPIPE. Closing again is no error.
 */
int interproc_work_queue_close(const struct interproc_work_queue_t *queue);

/**
 * What is in it: a snapshot.
 */
int interproc_work_queue_info(const struct interproc_work_queue_t *queue, struct interproc_work_queue_info_t *info);

/**
 * The dead letters: at most `room` of them into `letters`, which may be NULL when `room` is 0; `*found` becomes the number
 * that there are. In no certain order.
 */
int interproc_work_queue_dead_letters(const struct interproc_work_queue_t *queue,
                                      struct interproc_dead_letter_t *letters,
                                      size_t room,
                                      size_t *found);

/**
 * Copies a dead letter into `buffer`, which has `size` bytes.
 *
 * @return 0; EMSGSIZE: it is longer; ESTALE: there is no such dead letter any more.
 */
int interproc_work_queue_read_dead_letter(const struct interproc_work_queue_t *queue,
                                          const struct interproc_dead_letter_t *letter,
                                          void *buffer,
                                          size_t size);

/**
 * Makes a dead letter a job again, as if it had never been delivered.
 *
 * @return 0; ESTALE: there is no such dead letter any more.
 */
int interproc_work_queue_retry(const struct interproc_work_queue_t *queue,
                               const struct interproc_dead_letter_t *letter);

/**
 * Drops a dead letter: its room is free.
 *
 * @return As interproc_work_queue_retry().
 */
int interproc_work_queue_discard(const struct interproc_work_queue_t *queue,
                                 const struct interproc_dead_letter_t *letter);

/**
 * Finds the broadcast `name` of these options, or makes it. A Rust program reaches the same one by
 * `Segment::byte_broadcast`, and by `Segment::broadcast` with the id of its type.
 *
 * @return As interproc_segment_object(); EEXIST also for other options; EINVAL also for impossible ones.
 *
 * Safe against death.
 */
int interproc_segment_broadcast(const struct interproc_segment_t *segment,
                                const char *name,
                                const struct interproc_broadcast_options_t *options,
                                struct interproc_broadcast_t *broadcast);

/**
 * Finds the broadcast `name`, as interproc_segment_broadcast() does, or makes it, and subscribes. `slow` is
 * `INTERPROC_SLOW_WAITS` or `INTERPROC_SLOW_LAGS`. The subscriber gets the `last` messages that were published, as far as
 * they are kept, and all that follow. (Up to 64 of the oldest, and an eighth of all, may be about to be overwritten, and
 * are not kept any more.) It waits for nobody.
 *
 * @return As interproc_segment_broadcast(); EBUSY: there are as many subscribers as there may be.
 *
 * Safe against death.
 */
int interproc_segment_subscriber(const struct interproc_segment_t *segment,
                                 const char *name,
                                 const struct interproc_broadcast_options_t *options,
                                 uint32_t slow,
                                 uint64_t last,
                                 struct interproc_subscriber_t *subscriber);

/**
 * Finds the broadcast `name`, as interproc_segment_broadcast() does, or makes it, and makes the calling thread its only
 * publisher, waiting for others until `abstime`.
 *
 * @return As interproc_segment_broadcast(); ETIMEDOUT; EDEADLK: the calling thread is it already, or has reserved a message.
 *
 * Safe against death.
 */
int interproc_segment_publisher_until(const struct interproc_segment_t *segment,
                                      const char *name,
                                      const struct interproc_broadcast_options_t *options,
                                      const struct timespec *abstime,
                                      struct interproc_publisher_t *publisher);

/**
 * Publishes a message of `len` bytes, waiting for slow subscribers. `message` may be NULL if `len` is 0.
 *
 * @return 0; EMSGSIZE: longer than messages may be; EPIPE: it is closed; EDEADLK: the slowest subscriber is the calling
 * thread's own (after 50 ms), or it has reserved a message, or is the only publisher.
 */
int interproc_broadcast_publish(const struct interproc_broadcast_t *broadcast, const void *message, size_t len);

/**
 * As interproc_broadcast_publish(), but never waits for a subscriber: EAGAIN.
 *
 * @return EBUSY: another thread is the only publisher, has reserved a message, or is stopped in a call.
 */
int interproc_broadcast_trypublish(const struct interproc_broadcast_t *broadcast, const void *message, size_t len);

/**
 * As interproc_broadcast_publish(), until `abstime`: then ETIMEDOUT. `position` may be NULL; it becomes the message's
 * number, counted from 0.
 */
int interproc_broadcast_timedpublish(const struct interproc_broadcast_t *broadcast,
                                     const void *message,
                                     size_t len,
                                     const struct timespec *abstime,
                                     uint64_t *position);

/**
 * Reserves the place of a message, of up to the longest, to be written where subscribers will read it; waits until
 * `abstime`. Until interproc_broadcast_commit() or _abort(), by the same thread, nobody else publishes.
 *
 * @return As interproc_broadcast_timedpublish().
 */
int interproc_broadcast_reserve_until(const struct interproc_broadcast_t *broadcast,
                                      const struct timespec *abstime,
                                      void **place);

/**
 * Publishes the first `len` bytes of what was reserved.
 *
 * @return 0; EMSGSIZE: longer than messages may be: it stays reserved; EPERM: the calling thread has reserved nothing.
 */
int interproc_broadcast_commit(const struct interproc_broadcast_t *broadcast, size_t len);

/**
 * Gives back what was reserved: there is no message.
 *
 * @return 0; EPERM: the calling thread has reserved nothing.
 */
int interproc_broadcast_abort(const struct interproc_broadcast_t *broadcast);

/**
 * Closes the broadcast itself, for everybody and for good (not just this handle, which needs no closing): nothing is
 * published any more, and subscribers get EPIPE once they have received everything. Closing again is no error. Waits for
 * another thread that is the only publisher.
 *
 * @return 0; EDEADLK: the calling thread has reserved a message, or is the only publisher.
 */
int interproc_broadcast_close(const struct interproc_broadcast_t *broadcast);

/**
 * What is in it: a snapshot.
 */
int interproc_broadcast_info(const struct interproc_broadcast_t *broadcast, struct interproc_broadcast_info_t *info);

/**
 * Receives the next message: copies it to `buffer`, which has room for `size` bytes, waiting for one. `*len` becomes its
 * length. `missed` may be NULL; it becomes the number of messages that were overwritten, or about to be, before
 * this subscriber came to them, since the one that it received before.
 *
 * @return 0; EPIPE: closed, and all is received; EMSGSIZE: the message is longer than `size`: `len` is set, too, and the
 * message stays the next one.
 */
int interproc_subscriber_recv(struct interproc_subscriber_t *subscriber,
                              void *buffer,
                              size_t size,
                              size_t *len,
                              uint64_t *missed);

/**
 * As interproc_subscriber_recv(), but never waits: EAGAIN when there is no message.
 */
int interproc_subscriber_tryrecv(struct interproc_subscriber_t *subscriber,
                                 void *buffer,
                                 size_t size,
                                 size_t *len,
                                 uint64_t *missed);

/**
 * As interproc_subscriber_recv(), until `abstime`: then ETIMEDOUT.
 */
int interproc_subscriber_timedrecv(struct interproc_subscriber_t *subscriber,
                                   const struct timespec *abstime,
                                   void *buffer,
                                   size_t size,
                                   size_t *len,
                                   uint64_t *missed);

/**
 * Borrows the next message, to be read in place, waiting for one until `abstime`: where it is, and its length. It stays
 * until interproc_subscriber_release(); until then another borrow finds the same message.
 *
 * @return 0; ETIMEDOUT; EPIPE: closed, and all is received; EINVAL: the subscriber lags, so it must copy.
 */
int interproc_subscriber_borrow_until(struct interproc_subscriber_t *subscriber,
                                      const struct timespec *abstime,
                                      const void **message,
                                      size_t *len);

/**
 * The message that was borrowed is received.
 *
 * @return 0; EINVAL: none is borrowed.
 */
int interproc_subscriber_release(struct interproc_subscriber_t *subscriber);

/**
 * Where it is: a snapshot.
 */
int interproc_subscriber_info(const struct interproc_subscriber_t *subscriber,
                              struct interproc_subscriber_info_t *info);

/**
 * Leaves: nobody waits for it any more. The handle is cleared in any case.
 *
 * @return 0; EPERM: it is a parent process's; ESTALE: it was given up.
 */
int interproc_subscriber_leave(struct interproc_subscriber_t *subscriber);

/**
 * Publishes a message of `len` bytes, waiting for slow subscribers. `message` may be NULL if `len` is 0.
 *
 * @return As interproc_broadcast_publish().
 */
int interproc_publisher_publish(struct interproc_publisher_t *publisher, const void *message, size_t len);

/**
 * As interproc_publisher_publish(), but never waits: EAGAIN when a subscriber would have to be waited for.
 */
int interproc_publisher_trypublish(struct interproc_publisher_t *publisher, const void *message, size_t len);

/**
 * As interproc_publisher_publish(), until `abstime`: then ETIMEDOUT. `position` may be NULL.
 */
int interproc_publisher_timedpublish(struct interproc_publisher_t *publisher,
                                     const void *message,
                                     size_t len,
                                     const struct timespec *abstime,
                                     uint64_t *position);

/**
 * The place of the next message, of up to the longest, to be written where subscribers will read it; waits until
 * `abstime`. interproc_publisher_commit() publishes it. Asking again gives the same place.
 *
 * @return As interproc_publisher_timedpublish().
 */
int interproc_publisher_reserve_until(struct interproc_publisher_t *publisher,
                                      const struct timespec *abstime,
                                      void **place);

/**
 * Publishes the first `len` bytes of that place.
 *
 * @return 0; EMSGSIZE: longer than messages may be; EINVAL: nothing is reserved; EPIPE: it is closed.
 */
int interproc_publisher_commit(struct interproc_publisher_t *publisher, size_t len);

/**
 * Closes the broadcast: see interproc_broadcast_close().
 */
int interproc_publisher_close(struct interproc_publisher_t *publisher);

/**
 * Others may publish again. The handle is cleared in any case.
 *
 * @return 0; EPERM: another thread became it.
 */
int interproc_publisher_leave(struct interproc_publisher_t *publisher);

/**
 * Starts a child process that runs `entry(argument)` and ends by _exit() with its result. `name` is what ps shows (the
 * first 15 bytes); NULL inherits the parent's.
 *
 * The child has a copy of the memory, of the calling thread only, and all open descriptors. Segments stay open and
 * shared, and their objects may be used at once; mutexes that the parent holds are not the child's. No exit handler
 * runs and stdio is not flushed: call fflush(stdout) before the fork, and in `entry` before it returns. An exception
 * or a cancellation that leaves `entry` ends the child by SIGABRT.
 *
 * In a child of a threaded parent, POSIX allows only async-signal-safe functions, for a lock that another thread held
 * at that moment stays locked there. The functions of this library for mutexes and queues may be used. Best fork
 * before starting threads. This is a fork(): never use the library in a vfork() child or one with CLONE_VM.
 *
 * @return 0; EAGAIN, ENOMEM, EMFILE, ENFILE: a limit of the system; ENOTSUP: no pidfd (before Linux 5.4, or a
 * sandbox); EINVAL: process or entry is NULL; ECHILD: killed and reaped by other code before it began. After an error
 * there is no child, and entry has not run.
 */
int interproc_process_fork(struct interproc_process_t *process,
                           const char *name,
                           interproc_process_entry_t entry,
                           void *argument);

/**
 * The child's process id. After its join the number may name another process.
 */
int interproc_process_pid(const struct interproc_process_t *process, int32_t *pid);

/**
 * Waits until the child has ended, reaps it, and says how it ended. `end` may be NULL. The handle still has to be
 * closed.
 *
 * @return 0; ECHILD: ended, and its status was taken by other code or lost because SIGCHLD is ignored; EPERM: the
 * child is not this process's but its parent's.
 */
int interproc_process_join(const struct interproc_process_t *process, struct interproc_exit_t *end);

/**
 * As interproc_process_join(), until `abstime`: then ETIMEDOUT, and the child still runs.
 */
int interproc_process_join_until(const struct interproc_process_t *process,
                                 const struct timespec *abstime,
                                 struct interproc_exit_t *end);

/**
 * Whether the child has not ended yet. A zombie is not alive; a stopped process is.
 */
int interproc_process_is_alive(const struct interproc_process_t *process, bool *is_alive);

/**
 * Asks the child to end: SIGTERM, which it may handle or ignore. If it has ended, nothing happens.
 *
 * @return 0; EPERM: not this process's child, or it has changed its user.
 */
int interproc_process_terminate(const struct interproc_process_t *process);

/**
 * Kills the child: SIGKILL. If it has ended, nothing happens.
 *
 * @return As interproc_process_terminate().
 */
int interproc_process_kill(const struct interproc_process_t *process);

/**
 * Sends any signal to the child; 0 sends none. If it has ended, nothing happens.
 *
 * @return As interproc_process_terminate(); EINVAL also when there is no such signal.
 */
int interproc_process_signal(const struct interproc_process_t *process, int signal);

/**
 * Sends a signal to all processes of the group that the child leads.
 *
 * @return 0; ESRCH: it leads no group; ECHILD: it was joined or reaped, so its number may name another group; EPERM;
 * EINVAL.
 */
int interproc_process_signal_group(const struct interproc_process_t *process, int signal);

/**
 * Asks the child to end (SIGTERM), kills it (SIGKILL) if it still runs at `abstime`, and joins it. `end` may be NULL.
 *
 * @return As interproc_process_join_until(), but never ETIMEDOUT.
 */
int interproc_process_terminate_until(const struct interproc_process_t *process,
                                      const struct timespec *abstime,
                                      struct interproc_exit_t *end);

/**
 * What the child is doing, as ps shows it: R runs, S sleeps, D waits for a device, T stopped, t traced, Z ended and
 * not joined; - when it was joined.
 *
 * @return 0; ENOTSUP: /proc is missing or shows another PID namespace.
 */
int interproc_process_state(const struct interproc_process_t *process, char *state);

/**
 * What the child has used, once it was joined.
 *
 * @return 0; EBUSY: it was not joined.
 */
int interproc_process_usage(const struct interproc_process_t *process, struct interproc_usage_t *usage);

/**
 * Waits until `abstime` for the end of one of `count` children: `*index` becomes its place in the list, from 0, `*end`
 * how it ended. Joined ones count as ended: leave them out. `end` may be NULL.
 *
 * @return 0; ETIMEDOUT: all still run; ECHILD: one was reaped by other code; EPERM: one is this process's parent's;
 * EINVAL also when count is 0.
 */
int interproc_process_wait_any(const struct interproc_process_t *const *processes,
                               size_t count,
                               const struct timespec *abstime,
                               size_t *index,
                               struct interproc_exit_t *end);

/**
 * Waits until `abstime` for the end of all of `count` children; `ends` has room for `count` results in the same order,
 * or is NULL.
 *
 * @return 0; ETIMEDOUT: one still runs, and none was told; otherwise as interproc_process_wait_any().
 */
int interproc_process_wait_all(const struct interproc_process_t *const *processes,
                               size_t count,
                               const struct timespec *abstime,
                               struct interproc_exit_t *ends);

/**
 * Reaps the ended children among those whose handles were closed while they ran, and says how many; `count` may be
 * NULL. Never waits, and never takes a child that somebody still has a handle of or that other code started.
 */
int interproc_process_reap(size_t *count);

/**
 * Sets whether orphaned descendants of this process become its children, instead of init's, from now on.
 *
 * @return 0; EINVAL and the like in sandboxes that forbid it.
 */
int interproc_adopt_orphans(bool adopt);

/**
 * Reaps the ended children of this process that nobody in it has a pidfd of: its adopted orphans. Skips the
 * `except_count` process ids in `except`: children that other code of this process waits for by pid. `*count` becomes
 * the number reaped; `count` may be NULL. Never waits.
 *
 * @return 0; ENOTSUP: /proc is missing or shows another PID namespace; EINVAL: except is NULL with a count.
 */
int interproc_reap_orphans(const int32_t *except, size_t except_count, size_t *count);

/**
 * The child's pidfd, which polls readable when the child has ended. It stays the handle's: do not close it. It is
 * close-on-exec.
 *
 * @return 0; EBADF: the program has closed it behind the library's back.
 */
int interproc_process_fd(const struct interproc_process_t *process, int *fd);

/**
 * As interproc_process_close(), and a bound child then no longer ends with this process.
 *
 * @return As interproc_process_close().
 *
 * Not while another thread uses the handle.
 */
int interproc_process_detach(struct interproc_process_t *process);

/**
 * Frees the handle. A child that runs goes on running; this library still reaps it: every later fork, join or close of
 * a child by this process does, once it has ended.
 *
 * @return 0; EINVAL: closed already.
 *
 * Not while another thread uses the handle.
 */
int interproc_process_close(struct interproc_process_t *process);

/**
 * Opens the process that has this pid now; 0: the calling one.
 *
 * @return 0; ESRCH: nobody has it; ENOTSUP: no pidfds (before Linux 5.4, or a sandbox), no /proc or one of another PID
 * namespace; EMFILE, ENFILE: no descriptor left; EINVAL: process is NULL.
 */
int interproc_process_ref_open(struct interproc_process_ref_t *process, int32_t pid);

/**
 * Opens the process that has this pid if it began at `start_time`: one that was noted earlier by both (see
 * interproc_process_ref_details()).
 *
 * @return As interproc_process_ref_open(); ESRCH also when another process has the pid now.
 */
int interproc_process_ref_find(struct interproc_process_ref_t *process, int32_t pid, uint64_t start_time);

/**
 * Opens the parent of the calling process, or the process that has adopted it.
 *
 * @return As interproc_process_ref_open(); ESRCH: it is outside of this process's PID namespace.
 */
int interproc_process_ref_parent(struct interproc_process_ref_t *process);

/**
 * Whether it has not ended yet. A zombie is not alive; a stopped process is.
 */
int interproc_process_ref_is_alive(const struct interproc_process_ref_t *process, bool *is_alive);

/**
 * Waits until `abstime` for its end. Only its parent learns how it ended.
 *
 * @return 0; ETIMEDOUT: it still runs.
 */
int interproc_process_ref_wait_until(const struct interproc_process_ref_t *process, const struct timespec *abstime);

/**
 * Sends a signal to this very process; 0 sends none. If it has ended, nothing happens.
 *
 * @return 0; EPERM: not permitted, it is another user's; EINVAL also when there is no such signal.
 */
int interproc_process_ref_signal(const struct interproc_process_ref_t *process, int signal);

/**
 * What ps shows of it.
 *
 * @return 0; ESRCH: it was reaped; ENOTSUP: as interproc_process_ref_open().
 */
int interproc_process_ref_details(const struct interproc_process_ref_t *process,
                                  struct interproc_process_details_t *details);

/**
 * The pids of the processes whose parent it is now: at most `room` of them into `pids`, which may be NULL when `room`
 * is 0; `*found` becomes the number that there are. They are only numbers: open them, and ask for their parent, before
 * you rely on them.
 *
 * @return 0; ESRCH: it was reaped; ENOTSUP: as interproc_process_ref_open().
 */
int interproc_process_ref_children(const struct interproc_process_ref_t *process,
                                   int32_t *pids,
                                   size_t room,
                                   size_t *found);

/**
 * Its pidfd, which polls readable when it has ended. It stays the handle's: do not close it. It is close-on-exec.
 *
 * @return 0; EBADF: the program has closed it behind the library's back.
 */
int interproc_process_ref_fd(const struct interproc_process_ref_t *process, int *fd);

/**
 * Frees the handle.
 *
 * @return 0; EINVAL: closed already.
 *
 * Not while another thread uses the handle.
 */
int interproc_process_ref_close(struct interproc_process_ref_t *process);

/**
 * Makes a two-way pipe and gives both its ends. Each direction has room for at least `capacity` bytes, eight for each
 * message's header included, and for two messages of `longest` bytes, the longest that goes as a whole.
 *
 * It lies in an anonymous segment of its own, for threads of this process and for children that are given an end; up
 * to 32 threads can use it at a time. Both ends are the calling thread's.
 *
 * @return 0; EINVAL also for a size out of range; ENOSPC, EMFILE and other limits.
 */
int interproc_pipe_pair(size_t capacity, size_t longest, struct interproc_pipe_t *one, struct interproc_pipe_t *other);

/**
 * Makes a one-way pipe: what is sent into `sender` comes out of `receiver`. Otherwise as interproc_pipe_pair().
 *
 * @return As interproc_pipe_pair().
 */
int interproc_pipe_one_way(size_t capacity,
                           size_t longest,
                           struct interproc_pipe_t *sender,
                           struct interproc_pipe_t *receiver);

/**
 * Both ends of the two-way pipe `name` in a segment, found or made: see interproc_pipe_pair(). A pipe whose ends were
 * all closed, or whose holders are dead, is empty and open again. A Rust program reaches it by `Segment::pipe_pair`.
 *
 * @return As interproc_segment_object(); EBUSY: a living thread has an end of it; EEXIST also for other sizes; EINVAL
 * also for a size out of range.
 *
 * Safe against death.
 */
int interproc_segment_pipe_pair(const struct interproc_segment_t *segment,
                                const char *name,
                                size_t capacity,
                                size_t longest,
                                struct interproc_pipe_t *one,
                                struct interproc_pipe_t *other);

/**
 * Both ends of the one-way pipe `name` in a segment, found or made. Otherwise as interproc_segment_pipe_pair().
 *
 * @return As interproc_segment_pipe_pair().
 */
int interproc_segment_pipe_one_way(const struct interproc_segment_t *segment,
                                   const char *name,
                                   size_t capacity,
                                   size_t longest,
                                   struct interproc_pipe_t *sender,
                                   struct interproc_pipe_t *receiver);

/**
 * Sends the `len` bytes at `message` as one message, waiting for room. NULL with 0 is an empty one. One that is longer than
 * interproc_pipe_longest() goes in pieces as the other end takes them.
 *
 * @return 0; EPIPE: the other end is closed or dead; EINVAL also for an end that only receives. After an error the message was not
 * sent. (EMSGSIZE only in a pipe for messages of less than sixteen bytes, which sends no pieces.)
 */
int interproc_pipe_send(const struct interproc_pipe_t *pipe,
                        const void *message,
                        size_t len);

/**
 * As interproc_pipe_send(), but never waits: EAGAIN when the pipe is full; EMSGSIZE for a message that is longer than
 * interproc_pipe_longest().
 */
int interproc_pipe_trysend(const struct interproc_pipe_t *pipe, const void *message, size_t len);

/**
 * As interproc_pipe_send(), until `abstime`: then ETIMEDOUT. What has gone of a message in pieces is dropped by the receiver when the
 * next one comes.
 */
int interproc_pipe_timedsend(const struct interproc_pipe_t *pipe,
                             const void *message,
                             size_t len,
                             const struct timespec *abstime);

/**
 * Sends the `count` parts at `parts` as one message (struct iovec of <sys/uio.h>), waiting for room until `abstime`.
 *
 * @return As interproc_pipe_timedsend().
 */
int interproc_pipe_send_vectored_until(const struct interproc_pipe_t *pipe,
                                       const struct iovec *parts,
                                       size_t count,
                                       const struct timespec *abstime);

/**
 * Receives a message into `buffer` of `size` bytes, waiting for it. `*len` becomes its length.
 *
 * `redelivered` may be NULL. It becomes true when the thread that had this end before may have read the message and
 * died before it had taken it; otherwise false.
 *
 * @return 0; EPIPE: the other end is closed or dead, and everything was received; ECONNRESET, once: it died or closed in the middle
 * of a message that came in pieces; EMSGSIZE: the message is longer than
 * the buffer: `len` is set, too, and the message stays the next one; EINVAL also for an end that only sends, or
 * while a message is borrowed.
 */
int interproc_pipe_recv(const struct interproc_pipe_t *pipe,
                        void *buffer,
                        size_t size,
                        size_t *len,
                        bool *redelivered);

/**
 * Skips the next message, of any length, if there is one now: `*skipped`. For one that is longer than the buffer, as a sender may
 * send any length.
 *
 * @return 0; EPIPE, ECONNRESET as interproc_pipe_recv(); EINVAL: skipped is NULL, an end that only sends, a message is borrowed.
 */
int interproc_pipe_skip(const struct interproc_pipe_t *pipe,
                        bool *skipped);

/**
 * As interproc_pipe_recv(), but never waits: EAGAIN when there is no message.
 */
int interproc_pipe_tryrecv(const struct interproc_pipe_t *pipe,
                           void *buffer,
                           size_t size,
                           size_t *len,
                           bool *redelivered);

/**
 * As interproc_pipe_recv(), until `abstime`: then ETIMEDOUT.
 */
int interproc_pipe_timedrecv(const struct interproc_pipe_t *pipe,
                             const struct timespec *abstime,
                             void *buffer,
                             size_t size,
                             size_t *len,
                             bool *redelivered);

/**
 * As interproc_pipe_pair(), for a pipe through which descriptors can go, too: interproc_pipe_send_fd_until(). It has a pair of
 * sockets beside it: two descriptors more. What else goes through it costs the same.
 *
 * @return As interproc_pipe_pair().
 */
int interproc_pipe_pair_with_fds(size_t capacity,
                                 size_t longest,
                                 struct interproc_pipe_t *a,
                                 struct interproc_pipe_t *b);

/**
 * As interproc_pipe_one_way(), for a pipe through which descriptors can go, too.
 *
 * @return As interproc_pipe_one_way().
 */
int interproc_pipe_one_way_with_fds(size_t capacity,
                                    size_t longest,
                                    struct interproc_pipe_t *to,
                                    struct interproc_pipe_t *from);

/**
 * Sends a message with a copy of the descriptor `fd`, waiting for room until `abstime`. `fd` may be closed as soon as this
 * returns. If the message is received by another call than interproc_pipe_recv_fd_until(), the copy is closed.
 *
 * @return As interproc_pipe_timedsend(); EMSGSIZE: longer than interproc_pipe_longest() less eight: it does not go in pieces; ENOTSUP:
 * the pipe was not made for descriptors; EAGAIN: too many descriptors are on their way between processes; EINVAL also: `fd` is not open.
 */
int interproc_pipe_send_fd_until(const struct interproc_pipe_t *pipe,
                                 const void *message,
                                 size_t len,
                                 int fd,
                                 const struct timespec *abstime);

/**
 * Receives a message into `buffer` of `size` bytes, waiting for it until `abstime`, and the descriptor that came with it: `*fd`, which is
 * the caller's then and close-on-exec; -1 if none did.
 *
 * @return As interproc_pipe_timedrecv(); EAGAIN: this process has no room for the descriptor; the message and the descriptor stay.
 */
int interproc_pipe_recv_fd_until(const struct interproc_pipe_t *pipe,
                                 const struct timespec *abstime,
                                 void *buffer,
                                 size_t size,
                                 size_t *len,
                                 int *fd);

/**
 * Reserves room for a message of `len` bytes, to be written at `*place` and sent by interproc_pipe_commit(), waiting
 * for it until `abstime`. Nobody sees it before. Any other call that sends by this end, or closes it, aborts the
 * reservation.
 *
 * @return As interproc_pipe_timedsend().
 */
int interproc_pipe_reserve_until(const struct interproc_pipe_t *pipe,
                                 size_t len,
                                 const struct timespec *abstime,
                                 void **place);

/**
 * Sends the first `len` bytes of what was reserved.
 *
 * @return 0; EPIPE: it was not sent; EMSGSIZE: more than was reserved, which it still is; EINVAL: nothing is reserved.
 */
int interproc_pipe_commit(const struct interproc_pipe_t *pipe, size_t len);

/**
 * Gives back what was reserved: nothing has happened.
 *
 * @return 0; EINVAL: nothing is reserved.
 */
int interproc_pipe_abort(const struct interproc_pipe_t *pipe);

/**
 * Borrows the next message in place, waiting for it until `abstime`. End it by interproc_pipe_release(); until then
 * every receive, borrow or poll by this end returns EINVAL. `redelivered` is as of interproc_pipe_recv().
 *
 * A sender that breaks the protocol could change the bytes meanwhile: copy out what you do not trust, then look at it.
 *
 * @return As interproc_pipe_timedrecv(); EMSGSIZE: the message comes in pieces, so it lies nowhere as a whole: it stays, for
 * interproc_pipe_recv().
 */
int interproc_pipe_borrow_until(const struct interproc_pipe_t *pipe,
                                const struct timespec *abstime,
                                const void **message,
                                size_t *len,
                                bool *redelivered);

/**
 * Ends the message that was borrowed: its place may be written to.
 *
 * @return 0; EINVAL: none is borrowed.
 */
int interproc_pipe_release(const struct interproc_pipe_t *pipe);

/**
 * Waits until `abstime` for a message or the end: `*is_ready` becomes whether a receive would not wait. EINVAL also
 * while a message is borrowed.
 */
int interproc_pipe_poll(const struct interproc_pipe_t *pipe, const struct timespec *abstime, bool *is_ready);

/**
 * Who has the other end, dead or alive; nobody when it was closed. A snapshot.
 */
int interproc_pipe_peer(const struct interproc_pipe_t *pipe, struct interproc_who_t *peer);

/**
 * The longest message that goes as a whole, in bytes: one that can be sent without waiting, and written and read in place.
 */
int interproc_pipe_longest(const struct interproc_pipe_t *pipe,
                           size_t *longest);

/**
 * Closes the end and frees the handle. The other end gets what was sent, and then EPIPE.
 *
 * @return 0; EINVAL: closed already; EPERM: a forked child's copy, which is freed.
 *
 * Not while another thread uses the end.
 */
int interproc_pipe_close(struct interproc_pipe_t *pipe);

/**
 * Closes one direction, or both: INTERPROC_PIPE_SEND: nothing more is sent by this end (the other one sees the end
 * after what was sent); INTERPROC_PIPE_RECV: it receives nothing more (sends to it return EPIPE). `how` has one or
 * both of them.
 *
 * @return 0; EINVAL also when that direction is closed or not this end's.
 */
int interproc_pipe_shutdown(const struct interproc_pipe_t *pipe, uint32_t how);

/**
 * Starts a child process that runs `entry(end, argument)` with this end of a pipe, as interproc_process_fork() does
 * without one. The child has the end before `entry` runs, and until then this process holds it: the holder of the
 * other end is told when the child dies, at any instruction.
 *
 * On success the handle `end` is closed in this process. The child owns the end until `entry` returns, which closes
 * it.
 *
 * @return As interproc_process_fork(); EUSERS: no room in the segment for the child. After any error but EINVAL the
 * end is closed, and there is no child.
 */
int interproc_pipe_fork(struct interproc_process_t *process,
                        const char *name,
                        interproc_pipe_entry_t entry,
                        struct interproc_pipe_t *end,
                        void *argument);

/**
 * Starts the program `file` as interproc_process_spawn() does, and gives it this end of a pipe: it takes it by
 * interproc_pipe_inherited() with the same `key`.
 *
 * **It returns when the program has taken the end**, or has ended: until then this process holds it. So the holder of the other end
 * is told when the program dies, at any instruction. On success the handle `end` is closed in this process. If the program has not taken
 * it by `abstime`, it is killed; NULL: it is waited for as long as it takes, which is for ever if it waits for something from
 * this thread first.
 *
 *     int rc = interproc_pipe_pair(1 << 16, 4096, &ours, &theirs);
 *     if (rc == 0)
 *         rc = interproc_pipe_spawn(&child, NULL, "./worker", arguments, NULL, "work", &theirs, NULL);
 *
 *     rc = interproc_pipe_inherited("work", &end); // in the program
 *
 * @return As interproc_process_spawn(); ECHILD: the program ended without taking the end, or took one half of two; ETIMEDOUT: it was
 * killed and reaped. After an error that is not because of NULL, or of a handle that is not open, the end is closed and there is no
 * child.
 */
int interproc_pipe_spawn(struct interproc_process_t *process,
                         const struct interproc_process_options_t *options,
                         const char *file,
                         const char *const *arguments,
                         const char *const *environment,
                         const char *key,
                         struct interproc_pipe_t *end,
                         const struct timespec *abstime);

/**
 * Takes the end that the parent has given to this program by interproc_pipe_spawn(), or a Rust parent by `spawn_giving`. Once: a
 * second call returns ESTALE.
 *
 * The variable is read by getenv(): nobody changes the environment meanwhile.
 *
 * @return 0; ENOENT: the parent has given no end with this key; ESTALE: it was taken already, or the parent has ended; EUSERS: no room in
 * the segment; those of interproc_segment_inherited().
 */
int interproc_pipe_inherited(const char *key,
                             struct interproc_pipe_t *pipe);

/**
 * In a child of fork(): takes the end that its parent hands over by interproc_pipe_hand_over(). Before that the
 * child's copy is refused with EPERM.
 *
 * @return 0; ESTALE: the parent is dead, or has closed it, or somebody else took it.
 */
int interproc_pipe_adopt(const struct interproc_pipe_t *pipe);

/**
 * In the parent, after its own fork(): waits until the child `pid` has taken the end by interproc_pipe_adopt(), or has
 * ended, and frees the handle. **Call it** before you wait for anything at the other end: as long as nobody has taken
 * the end, this process's own life keeps it open. Do not reap the child before.
 *
 *     pid_t pid = fork();
 *     if (pid == 0)
 *         _exit(interproc_pipe_adopt(&theirs) != 0 || serve(&theirs) != 0);
 *     rc = interproc_pipe_hand_over(&theirs, pid);
 *     if (rc == ECHILD)
 *         complain("it died first");          // the end is closed: `ours` sees EPIPE
 *
 * It looks every 10 ms whether the child still lives. interproc_pipe_fork() does all this by itself.
 *
 * @return 0: it is the child's; ECHILD: the child ended without taking it, or `pid` is not a child of this process;
 * the end is closed.
 */
int interproc_pipe_hand_over(struct interproc_pipe_t *pipe, int32_t pid);

/**
 * Connects a pipe to the listener at `name` in the segment, and gives this end of it; waits for a free pipe. It does
 * not wait for a listener, nor for being accepted: what is sent before stays in the pipe.
 *
 * @return 0; ECONNREFUSED: nobody listens there, also while it waits; EEXIST: the name belongs to something else.
 *
 * Safe against death.
 */
int interproc_pipe_connect(const struct interproc_segment_t *segment, const char *name, struct interproc_pipe_t *end);

/**
 * As interproc_pipe_connect(), until `abstime`: then ETIMEDOUT.
 */
int interproc_pipe_connect_until(const struct interproc_segment_t *segment,
                                 const char *name,
                                 const struct timespec *abstime,
                                 struct interproc_pipe_t *end);

/**
 * Listens at `name` in the segment, found or made with `pipes` pipes (1 to 1024), each of which has room for
 * `capacity` bytes each way and for messages of at most `longest` bytes: see interproc_pipe_pair(). A Rust program
 * connects by `pipe::connect`.
 *
 * @return As interproc_segment_object(); EBUSY: a living thread listens there; EEXIST also for other numbers; EINVAL
 * also for a number out of range.
 *
 * Safe against death.
 */
int interproc_listener_bind(const struct interproc_segment_t *segment,
                            const char *name,
                            size_t pipes,
                            size_t capacity,
                            size_t longest,
                            struct interproc_listener_t *listener);

/**
 * Gives this end of the next pipe that a client has connected; waits for one. A client that closed or died before is
 * accepted, too: what it had sent is there, and then EPIPE.
 */
int interproc_listener_accept(const struct interproc_listener_t *listener, struct interproc_pipe_t *end);

/**
 * As interproc_listener_accept(), until `abstime`: then ETIMEDOUT.
 */
int interproc_listener_accept_until(const struct interproc_listener_t *listener,
                                    const struct timespec *abstime,
                                    struct interproc_pipe_t *end);

/**
 * How many clients have connected and were not accepted yet: a snapshot.
 */
int interproc_listener_pending(const struct interproc_listener_t *listener, size_t *pending);

/**
 * Ends listening and frees the handle: clients that were not accepted see the end of their pipes.
 *
 * @return 0; EINVAL: closed already; EPERM: a forked child's copy, which is freed; ESTALE.
 */
int interproc_listener_close(struct interproc_listener_t *listener);

/**
 * Makes an empty set.
 *
 * @return 0.
 */
int interproc_waitset_create(struct interproc_waitset_t *set);

/**
 * Frees the set. What its sources wait for stays as it is. A forked child may destroy its copy.
 *
 * @return 0; EINVAL: destroyed already.
 *
 * Not while another thread uses the set.
 */
int interproc_waitset_destroy(struct interproc_waitset_t *set);

/**
 * Takes a source out. It may be taken out in any state: when its queue is closed, when its process has ended.
 *
 * @return 0; EINVAL also when there is no such source.
 */
int interproc_waitset_remove(const struct interproc_waitset_t *set, uint64_t key);

/**
 * A descriptor that is readable when something is ready, for poll(2), epoll(7) or another event loop. Only wait for it:
 * it stays the set's. It is close-on-exec.
 *
 * Once interproc_waitset_trywait() has returned EAGAIN, it becomes readable as soon as something is ready, and not again and
 * again before. (Once in a while it is, with nothing ready: when somebody joins a segment.) So call that until EAGAIN, and
 * then sleep on the descriptor.
 *
 *     int fd;
 *     rc = interproc_waitset_fd(&set, &fd);
 *     while (rc == 0) {
 *         while ((rc = interproc_waitset_trywait(&set, ready, 16, &count)) == 0)
 *             handle(ready, count);
 *         if (rc == EAGAIN)
 *             rc = sleep_on(fd);                                  // poll(), and other descriptors beside it
 *     }
 *
 * The first call starts the library's thread, unless another set has.
 *
 * @return 0; EAGAIN: no thread can be started; EBADF: the program has closed it behind the library's back.
 */
int interproc_waitset_fd(const struct interproc_waitset_t *set,
                         int *fd);

/**
 * By what the set sleeps: `INTERPROC_WAITSET_FUTEX` or `INTERPROC_WAITSET_EPOLL`.
 */
int interproc_waitset_mechanism(const struct interproc_waitset_t *set, uint32_t *mechanism);

/**
 * Adds a queue: INTERPROC_READABLE: there is a message, or it is closed; INTERPROC_WRITABLE: there is room for one, or it
 * is closed. `data` comes back in interproc_waitset_ready_t. `key` may be NULL; it becomes the source's name in the set.
 * A queue may be there twice, for both.
 *
 * @return 0; EINVAL also for other `events`; ENOSPC: the sources lie in more than 32 segments.
 */
int interproc_waitset_add_queue(const struct interproc_waitset_t *set,
                                const struct interproc_queue_t *queue,
                                uint32_t events,
                                void *data,
                                uint64_t *key);

/**
 * Adds a queue of messages of any length. INTERPROC_WRITABLE: there is room for the longest one.
 *
 * @return As interproc_waitset_add_queue().
 */
int interproc_waitset_add_byte_queue(const struct interproc_waitset_t *set,
                                     const struct interproc_byte_queue_t *queue,
                                     uint32_t events,
                                     void *data,
                                     uint64_t *key);

/**
 * Adds a producer: there is room for a message, or the queue is closed.
 *
 * @return As interproc_waitset_add_queue(); EPERM also for a parent process's seat.
 */
int interproc_waitset_add_spsc_producer(const struct interproc_waitset_t *set,
                                        const struct interproc_spsc_producer_t *producer,
                                        void *data,
                                        uint64_t *key);

/**
 * Adds a consumer: there is a message, or the queue is closed. Messages that were popped and are not given back to the
 * producer yet count, until a try has failed.
 *
 * @return As interproc_waitset_add_spsc_producer().
 */
int interproc_waitset_add_spsc_consumer(const struct interproc_waitset_t *set,
                                        const struct interproc_spsc_consumer_t *consumer,
                                        void *data,
                                        uint64_t *key);

/**
 * Adds a producer: there is room for the longest message, or the queue is closed.
 *
 * @return As interproc_waitset_add_spsc_producer().
 */
int interproc_waitset_add_byte_producer(const struct interproc_waitset_t *set,
                                        const struct interproc_byte_producer_t *producer,
                                        void *data,
                                        uint64_t *key);

/**
 * Adds a consumer: there is a message, or the queue is closed.
 *
 * @return As interproc_waitset_add_spsc_producer().
 */
int interproc_waitset_add_byte_consumer(const struct interproc_waitset_t *set,
                                        const struct interproc_byte_consumer_t *consumer,
                                        void *data,
                                        uint64_t *key);

/**
 * Adds an end of a pipe, two-way or one-way: INTERPROC_READABLE: there is a message; INTERPROC_WRITABLE: there is room for
 * the longest one; or, in both cases, the other end is closed or dead. Take it out before the end is closed.
 *
 * @return As interproc_waitset_add_queue(); EINVAL also for an end that only sends or only receives, if that is the other
 * way; EPERM also for a parent process's end.
 */
int interproc_waitset_add_pipe(const struct interproc_waitset_t *set,
                               const struct interproc_pipe_t *pipe,
                               uint32_t events,
                               void *data,
                               uint64_t *key);

/**
 * Adds a listener: a client has connected and can be accepted. Take it out before the listener is closed.
 *
 * @return As interproc_waitset_add_queue(); EPERM also for a parent process's listener.
 */
int interproc_waitset_add_listener(const struct interproc_waitset_t *set,
                                   const struct interproc_listener_t *listener,
                                   void *data,
                                   uint64_t *key);

/**
 * Adds a work queue: INTERPROC_READABLE: a job can be taken, or none will come; delayed jobs whose time comes, and jobs of
 * the dead, count. INTERPROC_WRITABLE: there is room for a job, or it is closed.
 *
 * @return As interproc_waitset_add_queue().
 */
int interproc_waitset_add_work_queue(const struct interproc_waitset_t *set,
                                     const struct interproc_work_queue_t *queue,
                                     uint32_t events,
                                     void *data,
                                     uint64_t *key);

/**
 * Adds a subscriber of a broadcast: there is a message that it has not received, or the broadcast is closed.
 *
 * @return As interproc_waitset_add_spsc_producer().
 */
int interproc_waitset_add_subscriber(const struct interproc_waitset_t *set,
                                     const struct interproc_subscriber_t *subscriber,
                                     void *data,
                                     uint64_t *key);

/**
 * Adds a latest value: there is one newer than version `seen`. After it was told, the next report is of a value that is
 * newer still.
 *
 * @return As interproc_waitset_add_queue().
 */
int interproc_waitset_add_latest(const struct interproc_waitset_t *set,
                                 const struct interproc_latest_t *latest,
                                 uint64_t seen,
                                 void *data,
                                 uint64_t *key);

/**
 * Adds an event: it is set.
 *
 * @return As interproc_waitset_add_queue().
 */
int interproc_waitset_add_event(const struct interproc_waitset_t *set,
                                const struct interproc_event_t *event,
                                void *data,
                                uint64_t *key);

/**
 * Adds a semaphore: its value is above 0.
 *
 * @return As interproc_waitset_add_queue().
 */
int interproc_waitset_add_semaphore(const struct interproc_waitset_t *set,
                                    const struct interproc_semaphore_t *semaphore,
                                    void *data,
                                    uint64_t *key);

/**
 * Adds a semaphore with robust permits: there is one to be had, also one of a dead holder.
 *
 * @return As interproc_waitset_add_queue().
 */
int interproc_waitset_add_bounded_semaphore(const struct interproc_waitset_t *set,
                                            const struct interproc_bounded_semaphore_t *semaphore,
                                            void *data,
                                            uint64_t *key);

/**
 * Adds a child: it has ended, and can be joined. It is told again and again until it is taken out, which must come before
 * its handle is closed. Such a set sleeps in epoll.
 *
 * @return 0; EBADF: the program has closed its descriptor behind the library's back; EMFILE and other limits.
 */
int interproc_waitset_add_process(const struct interproc_waitset_t *set,
                                  const struct interproc_process_t *process,
                                  void *data,
                                  uint64_t *key);

/**
 * Adds any process: it has ended. Otherwise as interproc_waitset_add_process().
 *
 * @return As interproc_waitset_add_process().
 */
int interproc_waitset_add_process_ref(const struct interproc_waitset_t *set,
                                      const struct interproc_process_ref_t *process,
                                      void *data,
                                      uint64_t *key);

/**
 * Adds a descriptor of the program's: INTERPROC_READABLE: it can be read, or has ended, or has an error;
 * INTERPROC_WRITABLE: it can be written, or has an error. Take it out before it is closed. Such a set sleeps in epoll.
 *
 * @return 0; EINVAL also for other `events`, and for a regular file, which is always ready; EBADF: it is not open; EMFILE
 * and other limits.
 */
int interproc_waitset_add_fd(const struct interproc_waitset_t *set,
                             int fd,
                             uint32_t events,
                             void *data,
                             uint64_t *key);

/**
 * Adds a time, on CLOCK_MONOTONIC as an `abstime`: `first` has come. It is told once, and then every `period_ns`, if that
 * is not 0. NULL for `first` is a period from now. Times that were missed are told as one.
 *
 *     rc = interproc_waitset_add_timer(&set, NULL, 100000000, "tick", NULL);      // ten times a second
 *
 *     interproc_deadline_after(5000000000, &until);
 *     rc = interproc_waitset_add_timer(&set, &until, 0, "give up", &give_up);     // once, in five seconds
 *
 * @return 0; EINVAL also for a time that no `abstime` may be, and for neither a time nor a period.
 */
int interproc_waitset_add_timer(const struct interproc_waitset_t *set,
                                const struct timespec *first,
                                uint64_t period_ns,
                                void *data,
                                uint64_t *key);

/**
 * Waits until a source is ready, as long as it takes. `*count` becomes how many are, at most `capacity`, which is at least
 * 1, and `results` become these, in no certain order. If more are ready, the others come next time, before these come
 * again.
 *
 * @return 0; EINVAL also when the set is empty, or only has times that were told.
 */
int interproc_waitset_wait(const struct interproc_waitset_t *set,
                           struct interproc_waitset_ready_t *results,
                           size_t capacity,
                           size_t *count);

/**
 * As interproc_waitset_wait(), but never waits: EAGAIN when nothing is ready, also in an empty set.
 */
int interproc_waitset_trywait(const struct interproc_waitset_t *set,
                              struct interproc_waitset_ready_t *results,
                              size_t capacity,
                              size_t *count);

/**
 * As interproc_waitset_wait(), until `abstime`: then ETIMEDOUT. With a time limit an empty set is no error: it sleeps.
 */
int interproc_waitset_timedwait(const struct interproc_waitset_t *set,
                                const struct timespec *abstime,
                                struct interproc_waitset_ready_t *results,
                                size_t capacity,
                                size_t *count);

/**
 * As interproc_process_fork(), with options, which may be NULL.
 *
 *     interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
 *     options.flags = INTERPROC_PROCESS_DIES_WITH_PARENT;
 *     int rc = interproc_process_fork_with(&child, &options, buyer, shop);
 *
 * @return As interproc_process_fork(); or ENOENT, EACCES, EPERM, EINVAL: an option could not be applied.
 * interproc_last_error_message() names the step. After an error there is no child.
 */
int interproc_process_fork_with(struct interproc_process_t *process,
                                const struct interproc_process_options_t *options,
                                interproc_process_entry_t entry,
                                void *argument);

/**
 * Starts a child process that runs the program `file`: a path if there is a slash in it, otherwise looked for in this
 * process's PATH. `arguments` and `environment` are as for execve(2): lists that end with NULL, the first argument
 * being the program's name. NULL for `environment`: this process's. NULL for `options`: a child like its parent.
 *
 * The child shares this process's memory until it has become the program: a large process starts it as fast as a small
 * one. The calling thread sleeps meanwhile. Handled signals get their default action, ignored ones stay ignored, but
 * for SIGPIPE, which gets its default action too. The program gets the descriptors that are not close-on-exec.
 *
 *     const char *arguments[] = {"wc", "-l", NULL};
 *     interproc_process_descriptor_t streams[] = {{input, 0}, {output, 1}};
 *     interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
 *     options.descriptors = streams;
 *     options.descriptor_count = 2;
 *     int rc = interproc_process_spawn(&child, &options, "wc", arguments, NULL);
 *
 * @return 0; ENOENT: no such program, interpreter or directory; EACCES: it may not be executed; EAGAIN, ENOMEM,
 * EMFILE, ENFILE: a limit of the system; E2BIG, ENOEXEC and what else execve(2) says; ENOTSUP: no pidfd; EINVAL:
 * process, file or arguments is NULL. After an error there is no child.
 */
int interproc_process_spawn(struct interproc_process_t *process,
                            const struct interproc_process_options_t *options,
                            const char *file,
                            const char *const *arguments,
                            const char *const *environment);

/**
 * Starts a daemon of the system: a process without a terminal, in a session that it does not lead, which is init's
 * child and outlives this process. It runs `entry`, which says by interproc_ready_now() that it is ready: this call
 * returns then, with its process id. `options` may be NULL.
 *
 *     static int serve(interproc_ready_t *ready, void *port) {
 *         int rc = open_socket(port);
 *         if (rc) { interproc_ready_failed(ready, rc); return 1; }
 *         interproc_ready_now(ready);
 *         return accept_for_ever();
 *     }
 *
 * @return 0; EEXIST: another process has the pidfile locked; ETIMEDOUT: not ready in time, and killed; ECHILD: it
 * ended before it was ready; what it said by interproc_ready_failed(); ENOENT, EACCES: its directory or pidfile;
 * EAGAIN, ENOMEM, EMFILE: a limit of the system; EINVAL: entry or pid is NULL. After an error there is no daemon.
 *
 * Thread-safe; not for signal handlers. In a threaded program `entry` is bound by the rules of forked children.
 */
int interproc_daemon_start(const struct interproc_daemon_options_t *options,
                           interproc_daemon_entry_t entry,
                           void *argument,
                           int32_t *pid);

/**
 * In a daemon: tells its starter that it is ready.
 *
 * @return 0; EINVAL: NULL, or told already.
 */
int interproc_ready_now(struct interproc_ready_t *ready);

/**
 * In a daemon: tells its starter that it will not be ready, and why: `error` is an errno value. The daemon should end
 * then.
 *
 * @return 0; EINVAL: NULL, or told already.
 */
int interproc_ready_failed(struct interproc_ready_t *ready, int error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* Idle objects: `interproc_mutex_t lock = INTERPROC_MUTEX_INIT;`. Zeroed memory is the same. */
#define INTERPROC_MUTEX_INIT { { 0, 0 } }
#define INTERPROC_RECURSIVE_MUTEX_INIT { { 0, 0, 0 } }
#define INTERPROC_RWLOCK_INIT { { 0, 0, 0, 0, 0, 0, 0, 0 } }
#define INTERPROC_COND_INIT { { 0, 0 } }
#define INTERPROC_SEMAPHORE_INIT { { 0, 0 } }
#define INTERPROC_EVENT_INIT { { 0, 0 } }
#define INTERPROC_ONCE_INIT { { 0, 0, 0 } }
/* Handles of nothing: every function refuses them with EINVAL. */
#define INTERPROC_SEGMENT_INIT { NULL, 0 }
#define INTERPROC_QUEUE_INIT { { 0, 0, 0, 0, 0, 0, 0, 0 } }
#define INTERPROC_LATEST_INIT { { 0, 0, 0, 0, 0, 0, 0, 0 } }
#define INTERPROC_BYTE_QUEUE_INIT { { 0, 0, 0, 0, 0, 0, 0, 0 } }
#define INTERPROC_WORK_QUEUE_INIT { { 0, 0, 0, 0, 0, 0, 0, 0 } }
#define INTERPROC_BROADCAST_INIT { { 0, 0, 0, 0, 0, 0, 0, 0 } }
#define INTERPROC_SUBSCRIBER_INIT { { 0 } }
#define INTERPROC_PUBLISHER_INIT { { 0 } }
#define INTERPROC_SPSC_PRODUCER_INIT { { 0 } }
#define INTERPROC_SPSC_CONSUMER_INIT { { 0 } }
#define INTERPROC_BOUNDED_SEMAPHORE_INIT { { 0, 0, 0, 0 } }
#define INTERPROC_PERMIT_INIT { { 0, 0, 0, 0 } }
#define INTERPROC_BARRIER_INIT { { 0, 0, 0, 0 } }
#define INTERPROC_BYTE_PRODUCER_INIT { { 0 } }
#define INTERPROC_BYTE_CONSUMER_INIT { { 0 } }
#define INTERPROC_PROCESS_INIT { NULL, 0 }
#define INTERPROC_PROCESS_REF_INIT { NULL, 0 }
#define INTERPROC_PIPE_INIT { NULL, 0 }
#define INTERPROC_LISTENER_INIT { NULL, 0 }
#define INTERPROC_WAITSET_INIT { NULL, 0 }
/* All defaults. */
#define INTERPROC_SEGMENT_OPTIONS_INIT { 0, 0, 0, 0, 0, 0, 0, { 0, 0, 0, 0 } }
#define INTERPROC_PROCESS_OPTIONS_INIT { 0, 0, 0, 0, NULL, NULL, 0, NULL, 0, NULL, 0, NULL, 0, { 0, 0 } }
#define INTERPROC_DAEMON_OPTIONS_INIT { NULL, NULL, 0, 0, 0, 0, { 0, 0, 0, 0 } }

/* Checked when this file is compiled, in any dialect. */
#if defined(__cplusplus) && __cplusplus >= 201103L
#define INTERPROC_STATIC_ASSERT(condition, name) static_assert(condition, #name)
#define INTERPROC_ALIGNOF(type) alignof(type)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define INTERPROC_STATIC_ASSERT(condition, name) _Static_assert(condition, #name)
#define INTERPROC_ALIGNOF(type) _Alignof(type)
#else
#define INTERPROC_STATIC_ASSERT(condition, name) extern char name[(condition) ? 1 : -1]
#define INTERPROC_ALIGNOF(type) __alignof__(type)
#endif

INTERPROC_STATIC_ASSERT(sizeof(void *) == 8, interproc_is_for_64_bits);
INTERPROC_STATIC_ASSERT(sizeof(interproc_mutex_t) == 16, interproc_mutex_has_16_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_event_t) == 16, interproc_event_has_16_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_once_t) == 24, interproc_once_has_24_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_recursive_mutex_t) == 24, interproc_recursive_mutex_has_24_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_semaphore_t) == 16, interproc_semaphore_has_16_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_rwlock_t) == 64, interproc_rwlock_has_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_cond_t) == 16, interproc_cond_has_16_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_segment_t) == 16, interproc_segment_has_16_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_segment_options_t) == 64, interproc_options_have_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_queue_t) == 64, interproc_queue_has_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_latest_t) == 64, interproc_latest_has_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_byte_queue_t) == 64, interproc_byte_queue_has_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_work_queue_t) == 64, interproc_work_queue_has_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_work_queue_options_t) == 64, interproc_work_options_have_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_work_queue_info_t) == 64, interproc_work_info_has_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_job_t) == 32, interproc_job_has_32_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_dead_letter_t) == 96, interproc_dead_letter_has_96_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_broadcast_t) == 64, interproc_broadcast_has_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_subscriber_t) == 256, interproc_subscriber_has_256_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_publisher_t) == 256, interproc_publisher_has_256_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_broadcast_options_t) == 64, interproc_broadcast_options_have_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_broadcast_info_t) == 48, interproc_broadcast_info_has_48_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_subscriber_info_t) == 24, interproc_subscriber_info_has_24_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_spsc_producer_t) == 256, interproc_spsc_producer_has_256_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_spsc_consumer_t) == 256, interproc_spsc_consumer_has_256_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_bounded_semaphore_t) == 64, interproc_bounded_semaphore_has_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_permit_t) == 32, interproc_permit_has_32_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_barrier_t) == 64, interproc_barrier_has_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_barrier_turn_t) == 16, interproc_barrier_turn_has_16_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_byte_producer_t) == 256, interproc_byte_producer_has_256_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_byte_consumer_t) == 256, interproc_byte_consumer_has_256_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_process_t) == 16, interproc_process_has_16_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_process_ref_t) == 16, interproc_process_ref_has_16_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_process_details_t) == 80, interproc_process_details_have_80_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_process_segment_t) == 16, interproc_process_segment_has_16_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_pipe_t) == 16, interproc_pipe_has_16_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_listener_t) == 16, interproc_listener_has_16_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_waitset_t) == 16, interproc_waitset_has_16_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_waitset_ready_t) == 16, interproc_waitset_ready_has_16_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_exit_t) == 16, interproc_exit_has_16_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_usage_t) == 64, interproc_usage_has_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_process_options_t) == 104, interproc_process_options_have_104_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_process_limit_t) == 24, interproc_process_limit_has_24_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_process_descriptor_t) == 8, interproc_process_descriptor_has_8_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_daemon_options_t) == 64, interproc_daemon_options_have_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_who_t) == 48, interproc_who_has_48_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_channel_info_t) == 64, interproc_channel_info_has_64_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_bounded_semaphore_info_t) == 32, interproc_semaphore_info_has_32_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_barrier_info_t) == 32, interproc_barrier_info_has_32_bytes);
INTERPROC_STATIC_ASSERT(sizeof(interproc_segment_info_t) == 32, interproc_segment_info_has_32_bytes);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_mutex_t) == 8, interproc_mutex_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_event_t) == 8, interproc_event_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_once_t) == 8, interproc_once_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_recursive_mutex_t) == 8, interproc_recursive_mutex_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_semaphore_t) == 8, interproc_semaphore_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_rwlock_t) == 8, interproc_rwlock_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_cond_t) == 8, interproc_cond_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_segment_t) == 8, interproc_segment_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_segment_options_t) == 8, interproc_options_are_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_queue_t) == 8, interproc_queue_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_latest_t) == 8, interproc_latest_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_byte_queue_t) == 8, interproc_byte_queue_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_work_queue_t) == 8, interproc_work_queue_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_spsc_producer_t) == 8, interproc_spsc_producer_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_spsc_consumer_t) == 8, interproc_spsc_consumer_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_bounded_semaphore_t) == 8, interproc_permits_are_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_permit_t) == 8, interproc_permit_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_barrier_t) == 8, interproc_barrier_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_process_t) == 8, interproc_process_is_aligned_to_8);
INTERPROC_STATIC_ASSERT(INTERPROC_ALIGNOF(interproc_exit_t) == 4, interproc_exit_is_aligned_to_4);

#endif /* INTERPROC_H */
