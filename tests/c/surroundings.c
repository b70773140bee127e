/*
 * Every operation in every surrounding that a program may be in: descriptors closed, or closed and used for other files;
 * started with 0, 1 and 2 closed; an allocation that fails; a system call that a sandbox denies; limits; a pending
 * cancellation; a fast timer; SIGCHLD ignored. Allowed are the usual result and an error that names the cause; never a lock
 * that a living process holds, never an end by a signal, never a hang, and nothing is done to a file of the program's.
 *
 * A new object adds rows to `operations`. Each cell of the table is a forked child. `surroundings full` tries every
 * system call with both errors; without it each call is tried with one of them.
 */
#define _GNU_SOURCE
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- an allocator that fails when told ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static long fails_at = -1; /* counted down; at 0 an allocation fails */
static int fails_on;       /* and all later ones, too */
static int has_failed;

static int fails(void)
{
    if (fails_at < 0)
        return 0;
    if (fails_at > 0) {
        fails_at--;
        return 0;
    }
    if (!fails_on)
        fails_at = -1;
    has_failed = 1;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return fails() ? NULL : __libc_realloc(old, size); }
int posix_memalign(void **out, size_t alignment, size_t size)
{
    if (fails() || (*out = __libc_memalign(alignment, size)) == NULL)
        return ENOMEM;
    return 0;
}

/* ---- the world that the operations are in ---- */

typedef struct {
    interproc_mutex_t mutex;
    interproc_recursive_mutex_t recursive;
    interproc_rwlock_t rwlock;
    interproc_semaphore_t semaphore;
    interproc_event_t event;
    interproc_cond_t cond;
    interproc_once_t once;
} objects_t;

typedef struct {
    interproc_segment_t segment;
    objects_t *objects;
    interproc_queue_t queue;
    interproc_byte_queue_t bytes;
    interproc_work_queue_t jobs;
    interproc_broadcast_t news;
    interproc_bounded_semaphore_t permits;
    interproc_barrier_t barrier;
    interproc_latest_t latest;
} world_t;

static void *mmap_shared(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        exit(1);
    return p;
}

static char world_name[64];
static world_t held;              /* everything in it is held by a living process */
static world_t own;               /* the child's, made before the surroundings change */
static interproc_process_t child; /* of operations that need one */
static interproc_pipe_t one, other;
static interproc_process_ref_t parent;
static const uint64_t ZERO = 0;

static const interproc_broadcast_options_t news_options = {2, 8, 0, 24, {0, 0, 0, 0}};

static int open_objects(world_t *w)
{
    interproc_work_queue_options_t work = {0};
    int rc;
    work.capacity = 4;
    work.longest = 8;
    if ((rc = interproc_segment_object(&w->segment, "objects", sizeof *w->objects, 8, (void **)&w->objects)) != 0
        || (rc = interproc_segment_queue(&w->segment, "queue", 8, 4, &w->queue)) != 0
        || (rc = interproc_segment_byte_queue(&w->segment, "bytes", 4096, 100, &w->bytes)) != 0
        || (rc = interproc_segment_work_queue(&w->segment, "jobs", &work, &w->jobs)) != 0
        || (rc = interproc_segment_broadcast(&w->segment, "news", &news_options, &w->news)) != 0
        || (rc = interproc_segment_bounded_semaphore(&w->segment, "permits", 1, &w->permits)) != 0
        || (rc = interproc_segment_barrier(&w->segment, "barrier", 1, &w->barrier)) != 0)
        return rc;
    return interproc_segment_latest(&w->segment, "latest", 8, &ZERO, &w->latest);
}

/* Longer than a waiter sleeps before it asks whether the owner lives. */
#define SOON struct timespec t = in_ms(120), *soon = &t

/* ---- the operations ---- */

static int mutex_free(void)
{
    int rc = interproc_mutex_lock(&own.objects->mutex);
    return rc ? rc : interproc_mutex_unlock(&own.objects->mutex);
}
static int mutex_held(void) { SOON; return interproc_mutex_timedlock(&held.objects->mutex, soon); }
static int mutex_try_held(void) { return interproc_mutex_trylock(&held.objects->mutex); }
static int recursive_free(void)
{
    int rc = interproc_recursive_mutex_lock(&own.objects->recursive);
    return rc ? rc : interproc_recursive_mutex_unlock(&own.objects->recursive);
}
static int recursive_held(void) { SOON; return interproc_recursive_mutex_timedlock(&held.objects->recursive, soon); }
static int read_free(void)
{
    int rc = interproc_rwlock_rdlock(&own.objects->rwlock);
    return rc ? rc : interproc_rwlock_unlock(&own.objects->rwlock);
}
static int write_free(void)
{
    int rc = interproc_rwlock_wrlock(&own.objects->rwlock);
    return rc ? rc : interproc_rwlock_unlock(&own.objects->rwlock);
}
static int read_held(void) { SOON; return interproc_rwlock_timedrdlock(&held.objects->rwlock, soon); }
static int write_held(void) { SOON; return interproc_rwlock_timedwrlock(&held.objects->rwlock, soon); }
static int semaphore_posted(void)
{
    int rc = interproc_semaphore_post(&own.objects->semaphore);
    return rc ? rc : interproc_semaphore_acquire(&own.objects->semaphore);
}
static int semaphore_empty(void) { SOON; return interproc_semaphore_timedacquire(&own.objects->semaphore, soon); }
static int permit_free(void)
{
    interproc_permit_t permit;
    int rc = interproc_bounded_semaphore_acquire(&own.permits, &permit);
    return rc ? rc : interproc_bounded_semaphore_release(&own.permits, &permit);
}
static int permit_held(void)
{
    interproc_permit_t permit;
    SOON;
    return interproc_bounded_semaphore_timedacquire(&held.permits, soon, &permit);
}
static int event_set(void)
{
    int rc = interproc_event_set(&own.objects->event);
    return rc ? rc : interproc_event_wait(&own.objects->event);
}
static int event_unset(void) { SOON; return interproc_event_timedwait(&held.objects->event, soon); }
static int condition(void)
{
    SOON;
    int rc = interproc_mutex_lock(&own.objects->mutex), waited;
    if (rc)
        return rc;
    do
        waited = interproc_cond_timedwait(&own.objects->cond, &own.objects->mutex, soon);
    while (waited == 0);
    rc = interproc_mutex_unlock(&own.objects->mutex);
    return rc ? rc : waited;
}
static int job(void *argument, bool is_retry)
{
    (void)argument, (void)is_retry;
    return 0;
}
static int once(void) { return interproc_once_call(&own.objects->once, job, NULL); }
static int barrier(void) { return interproc_barrier_wait(&own.barrier, NULL); }
static int queue_through(void)
{
    uint64_t x = 7;
    int rc = interproc_queue_push(&own.queue, &x);
    return rc ? rc : interproc_queue_pop(&own.queue, &x, NULL);
}
static int queue_in_place(void)
{
    void *cell;
    int rc = interproc_queue_reserve_until(&own.queue, NULL, &cell);
    return rc ? rc : interproc_queue_abort(&own.queue, cell);
}
static int queue_held(void)
{
    uint64_t x;
    SOON;
    return interproc_queue_timedpop(&held.queue, soon, &x, NULL);
}
static int bytes_through(void)
{
    char text[100];
    size_t size;
    int rc = interproc_byte_queue_push(&own.bytes, "hello", 5);
    return rc ? rc : interproc_byte_queue_pop(&own.bytes, text, sizeof text, &size, NULL);
}
static int latest(void)
{
    uint64_t x = 3;
    int rc = interproc_latest_set(&own.latest, &x, NULL);
    return rc ? rc : interproc_latest_get(&own.latest, &x, NULL);
}
static int spsc(void)
{
    interproc_spsc_producer_t p;
    interproc_spsc_consumer_t c;
    uint64_t x = 5;
    int rc = interproc_segment_spsc_producer(&own.segment, "lane", 8, 8, &p);
    if (rc)
        return rc;
    if ((rc = interproc_segment_spsc_consumer(&own.segment, "lane", 8, 8, &c)) == 0) {
        if ((rc = interproc_spsc_producer_push(&p, &x)) == 0)
            rc = interproc_spsc_consumer_pop(&c, &x, NULL);
        interproc_spsc_consumer_leave(&c);
    }
    interproc_spsc_producer_leave(&p);
    return rc;
}
static int job_through(void)
{
    uint64_t x = 1;
    interproc_job_t job;
    int rc = interproc_work_queue_put(&own.jobs, &x, sizeof x);
    if (rc == 0)
        rc = interproc_work_queue_take(&own.jobs, &x, sizeof x, &job);
    return rc ? rc : interproc_work_queue_done(&own.jobs, &job);
}
static int job_held(void)
{
    SOON;
    uint64_t x;
    interproc_job_t job;
    return interproc_work_queue_timedtake(&held.jobs, soon, &x, sizeof x, &job);
}
static int join_held(void) { SOON; return interproc_work_queue_join_until(&held.jobs, soon); }
static int news_through(void)
{
    interproc_subscriber_t mine;
    interproc_publisher_t only;
    uint64_t x = 1;
    size_t len;
    int rc = interproc_segment_subscriber(&own.segment, "news", &news_options, INTERPROC_SLOW_LAGS, 0, &mine);
    if (rc != 0)
        return rc;
    if ((rc = interproc_broadcast_publish(&own.news, &x, sizeof x)) == 0
        && (rc = interproc_segment_publisher_until(&own.segment, "news", &news_options, NULL, &only)) == 0) {
        rc = interproc_publisher_publish(&only, &x, sizeof x);
        interproc_publisher_leave(&only);
        if (rc == 0)
            rc = interproc_subscriber_recv(&mine, &x, sizeof x, &len, NULL);
    }
    interproc_subscriber_leave(&mine);
    return rc;
}
static int news_held(void)
{
    SOON;
    uint64_t x = 1;
    return interproc_broadcast_timedpublish(&held.news, &x, sizeof x, soon, NULL);
}
static int bytes_one_to_one(void)
{
    interproc_byte_producer_t p;
    interproc_byte_consumer_t c;
    char text[100];
    size_t len;
    int rc = interproc_segment_byte_producer(&own.segment, "byte lane", 1024, 100, &p);
    if (rc)
        return rc;
    if ((rc = interproc_segment_byte_consumer(&own.segment, "byte lane", 1024, 100, &c)) == 0) {
        if ((rc = interproc_byte_producer_push(&p, "hello", 5)) == 0)
            rc = interproc_byte_consumer_pop(&c, text, sizeof text, &len, NULL);
        interproc_byte_consumer_leave(&c);
    }
    interproc_byte_producer_leave(&p);
    return rc;
}
/* A set with a queue, an event and a time, and perhaps a descriptor. */
static int several(interproc_waitset_t *set, world_t *w, int fd)
{
    int rc = interproc_waitset_create(set);
    if (rc != 0)
        return rc;
    if ((rc = interproc_waitset_add_queue(set, &w->queue, INTERPROC_READABLE, NULL, NULL)) != 0
        || (rc = interproc_waitset_add_event(set, &w->objects->event, NULL, NULL)) != 0
        || (rc = interproc_waitset_add_timer(set, NULL, 60000000000, NULL, NULL)) != 0
        || (fd >= 0 && (rc = interproc_waitset_add_fd(set, fd, INTERPROC_READABLE, NULL, NULL)) != 0))
        interproc_waitset_destroy(set);
    return rc;
}
static int one_of_several(void)
{
    interproc_waitset_t set;
    interproc_waitset_ready_t ready[4];
    uint64_t x = 1;
    size_t count = 0;
    int rc = several(&set, &own, -1), destroyed;
    if (rc != 0)
        return rc;
    if ((rc = interproc_queue_push(&own.queue, &x)) == 0 && (rc = interproc_waitset_wait(&set, ready, 4, &count)) == 0)
        rc = count == 1 ? interproc_queue_pop(&own.queue, &x, NULL) : -1;
    destroyed = interproc_waitset_destroy(&set);
    return rc ? rc : destroyed;
}
static int none_of_several(void)
{
    SOON;
    interproc_waitset_t set;
    interproc_waitset_ready_t ready[4];
    size_t count;
    int rc = several(&set, &held, -1), destroyed;
    if (rc != 0)
        return rc;
    rc = interproc_waitset_timedwait(&set, soon, ready, 4, &count);
    destroyed = interproc_waitset_destroy(&set);
    return destroyed ? destroyed : rc;
}
static int none_in_epoll(void)
{
    SOON;
    interproc_waitset_t set;
    interproc_waitset_ready_t ready[4];
    size_t count;
    int ends[2], destroyed;
    if (pipe(ends) != 0)
        return errno;
    int rc = several(&set, &held, ends[0]);
    if (rc == 0) {
        rc = interproc_waitset_timedwait(&set, soon, ready, 4, &count);
        destroyed = interproc_waitset_destroy(&set);
        rc = destroyed ? destroyed : rc;
    }
    syscall(SYS_close, ends[0]), syscall(SYS_close, ends[1]); /* close() may be cancelled */
    return rc == EAGAIN ? ENOMEM : rc; /* a thread that cannot be started */
}
static int who_holds(void)
{
    interproc_who_t who[4];
    bool has_come[4];
    size_t found;
    int rc = interproc_mutex_holder(&held.objects->mutex, who);
    if (rc == 0)
        rc = interproc_rwlock_holders(&held.objects->rwlock, who, 4, &found);
    if (rc == 0)
        rc = interproc_bounded_semaphore_holders(&held.permits, who, 4, &found);
    return rc ? rc : interproc_barrier_seats(&held.barrier, who, has_come, 4, &found);
}
static int listen_and_close(void)
{
    interproc_listener_t listener;
    int rc = interproc_listener_bind(&own.segment, "door", 2, 256, 64, &listener);
    return rc ? rc : interproc_listener_close(&listener);
}
static int pipe_through(void)
{
    char text[16];
    size_t size;
    int rc = interproc_pipe_send(&one, "hello", 5);
    return rc ? rc : interproc_pipe_recv(&other, text, sizeof text, &size, NULL);
}
static int pipe_new(void)
{
    interproc_pipe_t a, b;
    int rc = interproc_pipe_pair(4096, 64, &a, &b);
    if (rc)
        return rc;
    interproc_pipe_close(&a);
    return interproc_pipe_close(&b);
}
static int pipe_new_with_fds(void)
{
    interproc_pipe_t a, b;
    int rc = interproc_pipe_pair_with_fds(4096, 64, &a, &b);
    if (rc)
        return rc;
    interproc_pipe_close(&a);
    return interproc_pipe_close(&b);
}
static int pipe_pieces(void)
{
    static char text[1000], into[1000];
    const struct timespec past = {0, 1};
    interproc_pipe_t a, b;
    size_t size;
    int rc = interproc_pipe_pair(4096, 64, &a, &b);
    if (rc)
        return rc;
    if ((rc = interproc_pipe_timedsend(&a, text, sizeof text, &past)) == 0)
        rc = interproc_pipe_recv(&b, into, sizeof into, &size, NULL);
    interproc_pipe_close(&a);
    interproc_pipe_close(&b);
    return rc;
}
static int the_file;
static interproc_pipe_t passing, taking;
static int pipe_fd(void)
{
    char text[16];
    size_t size;
    int fd = -1, rc = interproc_pipe_send_fd_until(&passing, "hello", 5, the_file, NULL);
    if (rc == 0)
        rc = interproc_pipe_recv_fd_until(&taking, NULL, text, sizeof text, &size, &fd);
    if (rc == 0 && fd < 0)
        return 250; /* no descriptor */
    if (rc == 0)
        syscall(SYS_close, fd); /* close() is a cancellation point */
    return rc;
}
static int make_passing(void)
{
    the_file = dup(2);
    return the_file < 0 ? errno : interproc_pipe_pair_with_fds(4096, 64, &passing, &taking);
}
static int make_pipe(void) { return interproc_pipe_pair(4096, 64, &one, &other); }

static int in_new(interproc_segment_t *s)
{
    interproc_mutex_t *m;
    int rc = interproc_segment_object(s, "m", sizeof *m, 8, (void **)&m), closed;
    if (rc == 0 && (rc = interproc_mutex_lock(m)) == 0)
        rc = interproc_mutex_unlock(m);
    closed = interproc_segment_close(s);
    return rc ? rc : closed;
}
static int segment_anonymous(void)
{
    interproc_segment_t s;
    int rc = interproc_segment_anonymous(&s, 4096);
    return rc ? rc : in_new(&s);
}
static int segment_create(void)
{
    interproc_segment_t s;
    char name[64];
    int rc, removed;
    snprintf(name, sizeof name, "/interproc-test-new-%d", (int)getpid());
    if ((rc = interproc_segment_create(&s, name, 4096, 0)) != 0)
        return rc;
    rc = in_new(&s);
    removed = interproc_segment_unlink(name);
    return rc ? rc : removed;
}
static int segment_open(void)
{
    interproc_segment_t s;
    int rc = interproc_segment_open(&s, world_name);
    return rc ? rc : interproc_segment_close(&s);
}
static int segment_none(void)
{
    interproc_segment_t s;
    return interproc_segment_open(&s, "/interproc-test-there-is-none");
}
static int segment_fd(void)
{
    int fd, rc = interproc_segment_fd(&own.segment, &fd);
    struct stat st;
    if (rc == 0 && (fd < 3 || fstat(fd, &st) != 0))
        return -1;
    return rc;
}
static int segment_stale(void)
{
    bool removed;
    int rc = interproc_segment_unlink_if_stale(world_name, &removed);
    return rc == 0 && removed ? -1 : rc;
}

static int pass_on(void)
{
    char number[16];
    int fd, rc = interproc_segment_fd(&own.segment, &fd);
    snprintf(number, sizeof number, "%d", fd);
    return rc ? rc : setenv("INTERPROC_SEGMENT_shop", number, 1);
}
static int logs_lie_there(void);
static int segment_inherited(void)
{
    interproc_segment_t s;
    if (logs_lie_there())
        return 0; /* the number is the program's by then */
    int rc = interproc_segment_inherited(&s, "shop");
    return rc ? rc : interproc_segment_close(&s);
}

static int nothing(void *argument)
{
    (void)argument;
    return 0;
}
static int sleeps(void *argument)
{
    while (argument == NULL)
        pause();
    return 0;
}
static int join(void)
{
    interproc_exit_t end;
    int rc = interproc_process_join(&child, &end), closed = interproc_process_close(&child);
    return rc ? rc : closed ? closed : end.code == 101 ? ENOTSUP : end.code; /* 101: it could not begin */
}
static int process_fork(void)
{
    int rc = interproc_process_fork(&child, "nothing", nothing, NULL);
    return rc ? rc : join();
}
static int process_spawn(void)
{
    const char *arguments[] = {"true", NULL};
    int rc = interproc_process_spawn(&child, NULL, "/bin/true", (const char *const *)arguments, NULL);
    if (rc)
        return rc;
    rc = join(); /* what the program can do in a sandbox is its own affair */
    return rc == 127 ? 0 : rc;
}
static int process_daemon(void)
{
    interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
    int rc;
    options.flags = INTERPROC_PROCESS_DIES_WITH_PARENT;
    if ((rc = interproc_process_fork_with(&child, &options, nothing, NULL)) != 0)
        return rc;
    return join();
}
static int start_nothing(void) { return interproc_process_fork(&child, "nothing", nothing, NULL); }
static int start_sleeper(void) { return interproc_process_fork(&child, "sleeps", sleeps, NULL); }
static int process_timedjoin(void)
{
    SOON;
    return interproc_process_join_until(&child, soon, NULL);
}
static int process_kill(void)
{
    int rc = interproc_process_kill(&child);
    return rc;
}
static int is_ready(interproc_ready_t *ready, void *argument)
{
    (void)argument;
    return interproc_ready_now(ready);
}
static int daemon_of_the_system(void)
{
    interproc_daemon_options_t options = INTERPROC_DAEMON_OPTIONS_INIT;
    int32_t pid;
    options.directory = "/tmp";
    int rc = interproc_daemon_start(&options, is_ready, NULL, &pid);
    return rc == ECHILD ? ENOTSUP : rc; /* it ended before it was ready: it could not begin */
}
static int first_of_several(void)
{
    const interproc_process_t *all[] = {&child};
    size_t which;
    int rc = interproc_process_wait_any(all, 1, NULL, &which, NULL);
    return rc ? rc : interproc_process_wait_all(all, 1, NULL, NULL);
}
static int details(void)
{
    interproc_process_details_t about;
    return interproc_process_ref_details(&parent, &about);
}
static int hold_parent(void) { return interproc_process_ref_parent(&parent); }
static int parent_lives(void)
{
    bool lives = false;
    int rc = interproc_process_ref_is_alive(&parent, &lives);
    return rc ? rc : lives ? 0 : -1;
}
static int children(void)
{
    int32_t pids[8];
    size_t count = 0;
    int rc = interproc_process_ref_open(&parent, getpid()), closed;
    if (rc)
        return rc;
    rc = interproc_process_ref_children(&parent, pids, 8, &count);
    closed = interproc_process_ref_close(&parent);
    return rc ? rc : closed ? closed : count == 1 ? 0 : -1;
}
/* A child that the library does not know. */
static int start_foreign(void)
{
    siginfo_t ended;
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    return pid < 0 || waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT) != 0;
}
static int reap(void)
{
    size_t count;
    int rc = interproc_reap_orphans(NULL, 0, &count);
    return rc ? rc : count == 1 ? 0 : -1;
}
static int process_ref(void)
{
    interproc_process_ref_t ref;
    int rc = interproc_process_ref_open(&ref, getpid());
    return rc ? rc : interproc_process_ref_close(&ref);
}
static int error_text(void)
{
    interproc_segment_t s;
    int rc = interproc_segment_open(&s, "no slash");
    const char *text = interproc_last_error_message();
    return rc != EINVAL ? rc : strlen(text) > 20 ? 0 : -1;
}

typedef struct {
    const char *name;
    int (*does)(void);
    int expected;
    int (*prepare)(void); /* before the surroundings change */
    int is_of_process;
} operation_t;

static const operation_t operations[] = {
    {"lock and unlock", mutex_free, 0, NULL, 0},
    {"lock what a living process holds", mutex_held, ETIMEDOUT, NULL, 0},
    {"try what a living process holds", mutex_try_held, EBUSY, NULL, 0},
    {"recursive lock and unlock", recursive_free, 0, NULL, 0},
    {"recursive lock that is held", recursive_held, ETIMEDOUT, NULL, 0},
    {"read lock and unlock", read_free, 0, NULL, 0},
    {"write lock and unlock", write_free, 0, NULL, 0},
    {"read lock beside a writer", read_held, ETIMEDOUT, NULL, 0},
    {"write lock beside a writer", write_held, ETIMEDOUT, NULL, 0},
    {"post and acquire", semaphore_posted, 0, NULL, 0},
    {"acquire of none", semaphore_empty, ETIMEDOUT, NULL, 0},
    {"permit", permit_free, 0, NULL, 0},
    {"permit that is held", permit_held, ETIMEDOUT, NULL, 0},
    {"event", event_set, 0, NULL, 0},
    {"event that nobody sets", event_unset, ETIMEDOUT, NULL, 0},
    {"condition", condition, ETIMEDOUT, NULL, 0},
    {"once", once, 0, NULL, 0},
    {"barrier", barrier, 0, NULL, 0},
    {"push and pop", queue_through, 0, NULL, 0},
    {"reserve and abort", queue_in_place, 0, NULL, 0},
    {"pop behind a reservation", queue_held, ETIMEDOUT, NULL, 0},
    {"push and pop of bytes", bytes_through, 0, NULL, 0},
    {"put, take and done", job_through, 0, NULL, 0},
    {"take beside a job that is worked on", job_held, ETIMEDOUT, NULL, 0},
    {"join beside a job that is worked on", join_held, ETIMEDOUT, NULL, 0},
    {"news to a subscriber", news_through, 0, NULL, 0},
    {"publish behind a slow subscriber", news_held, ETIMEDOUT, NULL, 0},
    {"set and get", latest, 0, NULL, 0},
    {"one to one", spsc, 0, NULL, 0},
    {"bytes one to one", bytes_one_to_one, 0, NULL, 0},
    {"one of several", one_of_several, 0, NULL, 0},
    {"none of several", none_of_several, ETIMEDOUT, NULL, 0},
    {"none of several and of a descriptor", none_in_epoll, ETIMEDOUT, NULL, 0},
    {"who holds", who_holds, 0, NULL, 0},
    {"listen", listen_and_close, 0, NULL, 0},
    {"send and receive", pipe_through, 0, make_pipe, 0},
    {"a new pipe", pipe_new, 0, NULL, 0},
    {"a new pipe with descriptors", pipe_new_with_fds, 0, NULL, 0},
    {"a message in pieces", pipe_pieces, 0, NULL, 0},
    {"a message with a descriptor", pipe_fd, 0, make_passing, 0},
    {"a new anonymous segment", segment_anonymous, 0, NULL, 0},
    {"a new named segment", segment_create, 0, NULL, 0},
    {"open", segment_open, 0, NULL, 0},
    {"open what is not there", segment_none, ENOENT, NULL, 0},
    {"descriptor", segment_fd, 0, NULL, 0},
    {"unlink if stale", segment_stale, 0, NULL, 0},
    {"open what was inherited", segment_inherited, 0, pass_on, 0},
    {"fork and join", process_fork, 0, NULL, 1},
    {"spawn and join", process_spawn, 0, NULL, 1},
    {"a bound child", process_daemon, 0, NULL, 1},
    {"join", join, 0, start_nothing, 1},
    {"join that runs out of time", process_timedjoin, ETIMEDOUT, start_sleeper, 1},
    {"a daemon", daemon_of_the_system, 0, NULL, 1},
    {"the first of several", first_of_several, 0, start_nothing, 1},
    {"a process's details", details, 0, hold_parent, 1},
    {"kill", process_kill, 0, start_sleeper, 1},
    {"a process", process_ref, 0, NULL, 1},
    {"its children", children, 0, start_sleeper, 1},
    {"reap", reap, 0, start_foreign, 1},
    {"the parent lives", parent_lives, 0, hold_parent, 1},
    {"an error's text", error_text, 0, NULL, 0},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

/* ---- the surroundings ---- */

enum { LOGS = 24 };
static struct { int fd, flags; struct stat st; } logs[LOGS];
static int log_count;

static int logs_lie_there(void) { return log_count != 0; }

static void close_all(int from) { syscall(SYS_close_range, from, ~0u, 0); }

static void reuse(void)
{
    for (log_count = 0; log_count < LOGS; log_count++) {
        int fd = open("/tmp", O_TMPFILE | O_RDWR | O_APPEND, 0600);
        if (fd < 0)
            _exit(99);
        logs[log_count].fd = fd;
        logs[log_count].flags = fcntl(fd, F_GETFL);
        fstat(fd, &logs[log_count].st);
    }
}

/* Whether all of the program's own descriptors are what they were, and what they name is untouched and unlocked. */
static int logs_are_untouched(void)
{
    for (int i = 0; i < log_count; i++) {
        struct stat st;
        struct flock lock = {0};
        lock.l_type = F_WRLCK;
        if (fstat(logs[i].fd, &st) != 0 || st.st_dev != logs[i].st.st_dev || st.st_ino != logs[i].st.st_ino
            || st.st_size != 0 || fcntl(logs[i].fd, F_GETFL) != logs[i].flags)
            return 0;
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", logs[i].fd);
        int again = open(path, O_RDWR);
        if (again < 0 || fcntl(again, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK
            || flock(again, LOCK_EX | LOCK_NB) != 0)
            return 0;
        close(again);
    }
    return 1;
}

static void closed(long x) { (void)x; close_all(3); }
static void reused(long x) { (void)x; close_all(3); reuse(); }
static void without_stdio(long x) { (void)x; close(0), close(1), close(2); }
static void one_allocation(long x) { fails_on = 0, fails_at = x; }
static void no_allocation(long x) { fails_on = 1, fails_at = x; }
static void limit(int resource, rlim_t value)
{
    struct rlimit r = {value, value};
    setrlimit(resource, &r);
}
static void few_descriptors(long x) { limit(RLIMIT_NOFILE, (rlim_t)x); }
static void no_address_space(long x)
{
    char text[128] = "";
    int fd = open("/proc/self/statm", O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        _exit(99);
    close(fd);
    limit(RLIMIT_AS, strtoul(text, NULL, 10) * 4096 + (rlim_t)x);
}
static void no_locked_memory(long x) { (void)x; limit(RLIMIT_MEMLOCK, 0); }
static void small_files(long x) { limit(RLIMIT_FSIZE, (rlim_t)x); }
/* Root has as many processes as it likes. */
static void be_nobody(void)
{
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0
                           || setresuid(65534, 65534, 65534) != 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0))
        _exit(98);
}
static void no_processes(long x)
{
    (void)x;
    limit(RLIMIT_NPROC, 0);
}
static void no_children(long x) { (void)x; signal(SIGCHLD, SIG_IGN); }
static void tick(int signal) { (void)signal; }
static void timer(long x)
{
    struct sigaction action;
    struct itimerval every = {{0, 200}, {0, 200}};
    (void)x;
    memset(&action, 0, sizeof action);
    action.sa_handler = tick;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

static void deny(long what) /* number * 256 + errno */
{
    const unsigned number = (unsigned)(what / 256), error = (unsigned)(what % 256);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(98);
}

static void write_to(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        _exit(98);
    close(fd);
}

/* A file system of its own at /dev/shm: full, without inodes, or read-only. For who is not root, as root of a namespace. */
static void small_shm(long x)
{
    const char *options = x == 0 ? "size=16k" : x == 1 ? "nr_inodes=1" : "size=1m";
    char users[32], groups[32];
    snprintf(users, sizeof users, "0 %u 1", (unsigned)geteuid());
    snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getegid());
    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            _exit(98);
        write_to("/proc/self/setgroups", "deny");
        write_to("/proc/self/uid_map", users);
        write_to("/proc/self/gid_map", groups);
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0
        || mount("none", "/dev/shm", "tmpfs", x == 2 ? MS_RDONLY : 0, options) != 0)
        _exit(98);
}

static void *cancelled(void *result)
{
    const operation_t *op = *(const operation_t **)result;
    pthread_cancel(pthread_self());
    *(int *)result = op->does();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return NULL;
}

static int does_pending_cancel;
static void pending_cancel(long x) { (void)x; does_pending_cancel = 1; }

/* What may come beside the expected result: up to six errors. */
typedef struct {
    const char *name;
    void (*enter)(long);
    int may[6];
    int is_of_inherited; /* also with objects that the child has from its parent and uses for the first time */
} surrounding_t;

static const surrounding_t surroundings[] = {
    {"nothing special", NULL, {0}, 1},
    {"descriptors closed", closed, {EBADF}, 1},
    {"descriptors closed and used for files", reused, {EBADF}, 1},
    {"0, 1 and 2 closed", without_stdio, {0}, 1},
    {"every descriptor in use", few_descriptors, {EMFILE}, 1},
    {"no address space", no_address_space, {ENOMEM, EAGAIN}, 1},
    {"no locked memory", no_locked_memory, {0}, 0},
    {"no file may be larger than a page", small_files, {EFBIG, ENOSPC}, 0},
    {"no more processes", no_processes, {EAGAIN}, 0},
    {"SIGCHLD ignored", no_children, {ECHILD}, 0},
    {"a timer every 200 us", timer, {0}, 1},
    {"a cancellation pending", pending_cancel, {0}, 1},
};
enum { SURROUNDINGS = sizeof surroundings / sizeof *surroundings };
static const surrounding_t one_fails = {"one allocation fails", one_allocation, {ENOMEM}, 1};
static const surrounding_t all_fail = {"no allocation succeeds", no_allocation, {ENOMEM}, 1};
/* EACCES: that is what an unlink says that may not be. */
static const surrounding_t denied = {"denied", deny, {EPERM, ENOSYS, ENOTSUP, ENOMEM, EACCES}, 1};
static const surrounding_t full_shm = {"/dev/shm is full, has no inodes or is read-only", small_shm,
                                       {ENOSPC, EROFS, ENOENT}, 0};

/* The calls that the library makes, or the C library and std for it. */
static const struct { int number; const char *name; } calls[] = {
#define CALL(name) {SYS_##name, #name}
    CALL(futex), CALL(openat), CALL(close), CALL(newfstatat), CALL(fcntl), CALL(flock), CALL(mmap), CALL(munmap),
    CALL(mremap), CALL(madvise), CALL(mprotect), CALL(membarrier), CALL(get_robust_list), CALL(set_robust_list),
    CALL(gettid), CALL(tgkill), CALL(statx), CALL(fallocate), CALL(ftruncate), CALL(linkat), CALL(pread64),
    CALL(pwrite64), CALL(fchmod), CALL(memfd_create), CALL(clone), CALL(pidfd_open), CALL(pidfd_send_signal),
    CALL(waitid), CALL(ppoll), CALL(pipe2), CALL(dup3), CALL(prctl), CALL(fstatfs), CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_pwait), CALL(eventfd2), CALL(timerfd_create), CALL(read),
    CALL(socketpair), CALL(sendmsg), CALL(recvmsg),
    CALL(sched_yield), CALL(close_range), CALL(rt_sigprocmask), CALL(geteuid), CALL(getppid), CALL(execve), CALL(kill),
#ifdef SYS_fstat
    CALL(fstat),
#endif
#ifdef SYS_unlink
    CALL(unlink), CALL(readlink), CALL(lstat), CALL(stat), CALL(poll), CALL(pipe),
#endif
#ifdef SYS_futex_waitv
    CALL(futex_waitv),
#endif
    CALL(unlinkat), CALL(readlinkat), CALL(clone3),
};
enum { CALLS = sizeof calls / sizeof *calls };

/* ---- cells ---- */

enum { FINE = 0, NOT_ALLOWED = 1, TOUCHED = 2, NEVER_FAILED = 3, CANCELLED = 4, LOW = 5, NO_WORLD = 97, NOT_HERE = 98 };

static int *said; /* what the operations returned, in memory that the children share */

typedef struct {
    pid_t pid;
    const operation_t *op;
    const surrounding_t *in;
    long argument;
    int inherited, slot;
    char what[64];
    struct timespec until;
} cell_t;

enum { CELLS = 12 };
static cell_t cells[CELLS];
static int count_of_cells, count_not_here, result_of_last = FINE;

static void body(const cell_t *cell)
{
    const operation_t *op = cell->op;
    int rc, low = 0;
    setpgid(0, 0);
    if (!cell->inherited) {
        if (interproc_segment_anonymous(&own.segment, 24576) != 0 || open_objects(&own) != 0)
            _exit(NO_WORLD);
    } else {
        own = held; /* what nobody holds in it is free; what is held is not asked for by these */
    }
    if (cell->in->enter == no_processes)
        be_nobody();
    if (op->prepare != NULL && op->prepare() != 0)
        _exit(NO_WORLD);
    if (cell->in->enter != NULL)
        cell->in->enter(cell->argument);
    if (does_pending_cancel) {
        union { const operation_t *op; int rc; } u;
        pthread_t thread;
        void *end;
        u.op = op;
        if (pthread_create(&thread, NULL, cancelled, &u) != 0 || pthread_join(thread, &end) != 0)
            _exit(NO_WORLD);
        if (end == PTHREAD_CANCELED)
            _exit(CANCELLED);
        rc = u.rc;
    } else {
        rc = op->does();
    }
    fails_at = -1;
    said[cell->slot] = rc;
    if (cell->in->enter == without_stdio)
        low = fcntl(0, F_GETFD) >= 0 || fcntl(1, F_GETFD) >= 0 || fcntl(2, F_GETFD) >= 0;
    if (low)
        _exit(LOW);
    if (log_count != 0 && !logs_are_untouched())
        _exit(TOUCHED);
    if (rc != op->expected) {
        int allowed = 0;
        for (int i = 0; i < 6 && cell->in->may[i] != 0; i++)
            allowed |= rc == cell->in->may[i];
        if (!allowed)
            _exit(NOT_ALLOWED);
    }
    if ((cell->in == &one_fails || cell->in == &all_fail) && !has_failed)
        _exit(NEVER_FAILED);
    _exit(FINE);
}

static void judge(cell_t *cell, int status, int hung)
{
    static const char *const means[] = {"", "returned what is not allowed here", "touched a file of the program's", "",
                                        "was cancelled inside the library", "took descriptor 0, 1 or 2"};
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    kill(-cell->pid, SIGKILL);
    cell->pid = 0;
    count_of_cells++;
    result_of_last = code;
    said[CELLS] += cell->in->enter == no_processes && said[cell->slot] == EAGAIN;
    if (code == NOT_HERE && count_not_here++ == 0)
        printf("not tried, as it is forbidden here: %s, and perhaps more\n", cell->in->name);
    if (code == FINE || code == NEVER_FAILED || code == NOT_HERE)
        return;
    fprintf(stderr, "%s%s, in %s %s(%ld): ", cell->op->name, cell->inherited ? " (inherited)" : "", cell->in->name,
            cell->what, cell->argument);
    if (hung)
        fprintf(stderr, "hangs\n");
    else if (code < 0)
        fprintf(stderr, "ended by signal %d\n", WTERMSIG(status));
    else if (code < 6)
        fprintf(stderr, "%s: %d (%s)\n", means[code], said[cell->slot], strerror(said[cell->slot]));
    else
        fprintf(stderr, "the world could not be made (%d)\n", code);
    failures++;
}

/* Reaps what has ended, and kills what hangs. Says whether a place is free. */
static int tidy(int all)
{
    struct timespec now;
    int busy = 0, is_free = 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (int i = 0; i < CELLS; i++) {
        int status, hung = 0;
        if (cells[i].pid == 0) {
            is_free = 1;
            continue;
        }
        pid_t got = waitpid(cells[i].pid, &status, WNOHANG);
        if (got == 0 && now.tv_sec > cells[i].until.tv_sec) {
            kill(-cells[i].pid, SIGKILL), kill(cells[i].pid, SIGKILL);
            got = waitpid(cells[i].pid, &status, 0);
            hung = 1;
        }
        if (got > 0) {
            judge(&cells[i], status, hung);
            is_free = 1;
        } else {
            busy = 1;
        }
    }
    return all ? !busy : is_free;
}

static void wait_for(int all)
{
    while (!tidy(all))
        usleep(200);
}

static void start(const operation_t *op, const surrounding_t *in, long argument, int inherited, const char *what)
{
    int i = 0;
    wait_for(0);
    while (cells[i].pid != 0)
        i++;
    cells[i].op = op, cells[i].in = in, cells[i].argument = argument, cells[i].inherited = inherited;
    cells[i].slot = i, said[i] = 0;
    snprintf(cells[i].what, sizeof cells[i].what, "%s", what);
    cells[i].until = in_ms(20000);
    fflush(stderr);
    pid_t pid = fork();
    if (pid == 0)
        body(&cells[i]);
    setpgid(pid, pid);
    cells[i].pid = pid;
}

/* Those that do not ask for what the holder holds, and change nothing for the others. */
static int goes_inherited(const operation_t *op)
{
    return op->does == mutex_held || op->does == write_held || op->does == permit_held || op->does == queue_held
        || op->does == job_held || op->does == join_held || op->does == news_held
        || op->does == bytes_through || op->does == event_unset || op->does == none_of_several || op->does == none_in_epoll || op->does == semaphore_posted || op->does == once
        || op->does == latest || op->does == mutex_try_held;
}

static void row(const surrounding_t *in, long argument, const char *what)
{
    for (int i = 0; i < OPERATIONS; i++) {
        if (in->enter == no_processes && !operations[i].is_of_process)
            continue; /* the world is not nobody's to open, and these need no process */
        for (int inherited = 0; inherited <= (in->is_of_inherited && goes_inherited(&operations[i])); inherited++)
            start(&operations[i], in, argument, inherited, what);
    }
}

/* Lets each allocation of each operation fail, until there is none left. */
static void allocations(const surrounding_t *in)
{
    for (int i = 0; i < OPERATIONS; i++)
        for (int inherited = 0; inherited <= goes_inherited(&operations[i]); inherited++)
            for (long k = 0; k < 200; k++) {
                start(&operations[i], in, k, inherited, "");
                wait_for(1);
                if (result_of_last == NEVER_FAILED)
                    break;
            }
}

static void holder(int ready)
{
    interproc_permit_t permit;
    interproc_job_t job;
    interproc_subscriber_t mine;
    uint64_t x = 1;
    void *cell;
    world_t w;
    if (interproc_segment_open(&w.segment, world_name) != 0 || open_objects(&w) != 0
        || interproc_mutex_lock(&w.objects->mutex) != 0 || interproc_recursive_mutex_lock(&w.objects->recursive) != 0
        || interproc_rwlock_wrlock(&w.objects->rwlock) != 0
        || interproc_bounded_semaphore_acquire(&w.permits, &permit) != 0
        || interproc_queue_reserve_until(&w.queue, NULL, &cell) != 0
        || interproc_work_queue_put(&w.jobs, &x, sizeof x) != 0
        || interproc_work_queue_take(&w.jobs, &x, sizeof x, &job) != 0
        || interproc_segment_subscriber(&w.segment, "news", &news_options, INTERPROC_SLOW_WAITS, 0, &mine) != 0
        || interproc_broadcast_publish(&w.news, &x, sizeof x) != 0
        || interproc_broadcast_publish(&w.news, &x, sizeof x) != 0)
        _exit(1);
    close_all(ready + 1); /* it holds on, whatever the program closes */
    if (write(ready, "x", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

/* The names of segments whose removal a sandbox has denied. */
static void remove_leftovers(void)
{
    DIR *shm = opendir("/dev/shm");
    struct dirent *entry;
    while (shm != NULL && (entry = readdir(shm)) != NULL)
        if (strncmp(entry->d_name, "interproc-test-new-", 19) == 0)
            unlinkat(dirfd(shm), entry->d_name, 0);
    if (shm != NULL)
        closedir(shm);
}

int main(int argc, char **argv)
{
    const int full = argc > 1 && strcmp(argv[1], "full") == 0;
    int ready[2];
    char x;
    said = mmap_shared(4096);
    snprintf(world_name, sizeof world_name, "/interproc-test-surroundings-%d", (int)getpid());
    if (pipe(ready) != 0)
        return 1;
    ready[1] = fcntl(ready[1], F_DUPFD, 100);
    interproc_segment_options_t options = INTERPROC_SEGMENT_OPTIONS_INIT;
    options.size = 24576, options.max_members = 1024;
    RETURNS(0, interproc_segment_create_with(&held.segment, world_name, &options));
    RETURNS(0, open_objects(&held));
    pid_t pid = fork();
    if (pid == 0)
        holder(ready[1]);
    if (read(ready[0], &x, 1) != 1)
        return 1;
    close(ready[0]), close(ready[1]);

    for (int i = 0; i < SURROUNDINGS; i++) {
        const surrounding_t *in = &surroundings[i];
        long argument = in->enter == few_descriptors ? 3 : in->enter == small_files ? 4096 : 0;
        row(in, argument, "");
    }
    for (long kind = 0; kind < 3; kind++)
        row(&full_shm, kind, "");
    for (int i = 0; i < CALLS; i++)
        for (int e = 0; e < 2; e++)
            if (full || i % 2 == e)
                row(&denied, calls[i].number * 256 + (e ? ENOSYS : EPERM), calls[i].name);
    allocations(&all_fail);
    if (full)
        allocations(&one_fails);
    wait_for(1);

    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    /* The holder's death is still told. */
    RETURNS(EOWNERDEAD, interproc_mutex_lock(&held.objects->mutex));
    RETURNS(0, interproc_segment_unlink(world_name));
    remove_leftovers();
    if (count_not_here == 0 && said[CELLS] < 3) {
        fprintf(stderr, "RLIMIT_NPROC keeps nobody from a process\n");
        failures++;
    }
    printf("%d cells, %d of them not to be had here, %d failures\n", count_of_cells, count_not_here, failures);
    return failures != 0;
}
