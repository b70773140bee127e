/* The C interface of the wait set: every source once, ready when it should be and not before; every documented error; keys, times,
 * descriptors, deaths, and children. */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROOM = 8 };

typedef struct {
    interproc_event_t event;
    interproc_semaphore_t semaphore;
} shared_t;

static interproc_segment_t segment;
static shared_t *shared;
static interproc_waitset_t set;
static interproc_waitset_ready_t ready[ROOM];
static size_t count;
static uint64_t key;

/* An address that is passed, to come back. */
static char mark;

static void nothing(void)
{
    count = 99;
    RETURNS(EAGAIN, interproc_waitset_trywait(&set, ready, ROOM, &count));
    CHECK(count == 99);
}

/* The only source of the set that is ready. */
static void is_only(uint64_t expected, const void *data, int line)
{
    int before = failures;
    memset(ready, 0x5a, sizeof ready);
    OK(interproc_waitset_trywait(&set, ready, ROOM, &count));
    CHECK(count == 1 && ready[0].key == expected && ready[0].data == data);
    memset(ready, 0x5a, sizeof ready);
    OK(interproc_waitset_wait(&set, ready, ROOM, &count));
    CHECK(count == 1 && ready[0].key == expected && ready[0].data == data);
    if (failures != before)
        fprintf(stderr, "in line %d\n", line);
}
#define only(expected, data) is_only(expected, data, __LINE__)

static void gone(uint64_t removed)
{
    OK(interproc_waitset_remove(&set, removed));
    RETURNS(EINVAL, interproc_waitset_remove(&set, removed));
    nothing();
}

/* A source that is not ready, then is, by `now`, and then is not, by `then`. */
#define SOURCE(add, now, then)                                                            \
    do {                                                                                  \
        OK(add);                                                                          \
        nothing();                                                                        \
        now;                                                                              \
        only(key, &mark);                                                                 \
        then;                                                                             \
        nothing();                                                                        \
        now;                                                                              \
        only(key, &mark);                                                                 \
        gone(key);                                                                        \
        then;                                                                             \
    } while (0)

static void every_object(void)
{
    static const interproc_broadcast_options_t news_options = {4, 8, 0, 4, {0, 0, 0, 0}};
    interproc_work_queue_options_t work_options = {0};
    interproc_queue_t queue;
    interproc_byte_queue_t bytes;
    interproc_spsc_producer_t producer;
    interproc_spsc_consumer_t consumer;
    interproc_byte_producer_t byte_producer;
    interproc_byte_consumer_t byte_consumer;
    interproc_pipe_t one, other, to, from, client, served;
    interproc_listener_t listener;
    interproc_work_queue_t jobs;
    interproc_broadcast_t news;
    interproc_subscriber_t subscriber;
    interproc_latest_t latest;
    interproc_bounded_semaphore_t permits;
    interproc_permit_t permit;
    interproc_job_t job;
    uint64_t x = 1, version = 0;
    char buffer[64];
    size_t len;

    OK(interproc_segment_queue(&segment, "queue", sizeof x, 1, &queue));
    SOURCE(interproc_waitset_add_queue(&set, &queue, INTERPROC_READABLE, &mark, &key),
           OK(interproc_queue_push(&queue, &x)), OK(interproc_queue_pop(&queue, &x, NULL)));
    OK(interproc_queue_push(&queue, &x));
    SOURCE(interproc_waitset_add_queue(&set, &queue, INTERPROC_WRITABLE, &mark, &key),
           OK(interproc_queue_pop(&queue, &x, NULL)), OK(interproc_queue_push(&queue, &x)));

    OK(interproc_segment_byte_queue(&segment, "bytes", 64, 64, &bytes));
    SOURCE(interproc_waitset_add_byte_queue(&set, &bytes, INTERPROC_READABLE, &mark, &key),
           OK(interproc_byte_queue_push(&bytes, "hello", 5)),
           OK(interproc_byte_queue_pop(&bytes, buffer, sizeof buffer, &len, NULL)));
    while (interproc_byte_queue_trypush(&bytes, "hello", 5) == 0)
        ;
    SOURCE(interproc_waitset_add_byte_queue(&set, &bytes, INTERPROC_WRITABLE, &mark, &key),
           while (interproc_byte_queue_trypop(&bytes, buffer, sizeof buffer, &len, NULL) == 0),
           while (interproc_byte_queue_trypush(&bytes, "hello", 5) == 0));

    OK(interproc_segment_spsc_producer(&segment, "lane", sizeof x, 1, &producer));
    OK(interproc_segment_spsc_consumer(&segment, "lane", sizeof x, 1, &consumer));
    SOURCE(interproc_waitset_add_spsc_consumer(&set, &consumer, &mark, &key),
           OK(interproc_spsc_producer_push(&producer, &x)),
           OK(interproc_spsc_consumer_pop(&consumer, &x, NULL));
           RETURNS(EAGAIN, interproc_spsc_consumer_trypop(&consumer, &x, NULL)));
    OK(interproc_spsc_producer_push(&producer, &x));
    SOURCE(interproc_waitset_add_spsc_producer(&set, &producer, &mark, &key),
           OK(interproc_spsc_consumer_pop(&consumer, &x, NULL));
           RETURNS(EAGAIN, interproc_spsc_consumer_trypop(&consumer, &x, NULL)),
           OK(interproc_spsc_producer_push(&producer, &x)));
    OK(interproc_spsc_producer_leave(&producer));
    OK(interproc_spsc_consumer_leave(&consumer));

    OK(interproc_segment_byte_producer(&segment, "byte lane", 128, 56, &byte_producer));
    OK(interproc_segment_byte_consumer(&segment, "byte lane", 128, 56, &byte_consumer));
    SOURCE(interproc_waitset_add_byte_consumer(&set, &byte_consumer, &mark, &key),
           OK(interproc_byte_producer_push(&byte_producer, "hello", 5)),
           OK(interproc_byte_consumer_pop(&byte_consumer, buffer, sizeof buffer, &len, NULL));
           RETURNS(EAGAIN, interproc_byte_consumer_trypop(&byte_consumer, buffer, sizeof buffer, &len, NULL)));
    while (interproc_byte_producer_trypush(&byte_producer, buffer, 56) == 0)
        ;
    SOURCE(interproc_waitset_add_byte_producer(&set, &byte_producer, &mark, &key),
           while (interproc_byte_consumer_trypop(&byte_consumer, buffer, sizeof buffer, &len, NULL) == 0),
           while (interproc_byte_producer_trypush(&byte_producer, buffer, 56) == 0));
    OK(interproc_byte_producer_leave(&byte_producer));
    OK(interproc_byte_consumer_leave(&byte_consumer));

    OK(interproc_pipe_pair(128, 56, &one, &other));
    SOURCE(interproc_waitset_add_pipe(&set, &one, INTERPROC_READABLE, &mark, &key),
           OK(interproc_pipe_send(&other, "hello", 5)),
           OK(interproc_pipe_recv(&one, buffer, sizeof buffer, &len, NULL));
           RETURNS(EAGAIN, interproc_pipe_tryrecv(&one, buffer, sizeof buffer, &len, NULL)));
    while (interproc_pipe_trysend(&one, buffer, 56) == 0)
        ;
    SOURCE(interproc_waitset_add_pipe(&set, &one, INTERPROC_WRITABLE, &mark, &key),
           while (interproc_pipe_tryrecv(&other, buffer, sizeof buffer, &len, NULL) == 0),
           while (interproc_pipe_trysend(&one, buffer, 56) == 0));
    OK(interproc_waitset_add_pipe(&set, &one, INTERPROC_READABLE, &mark, &key));
    nothing();
    OK(interproc_pipe_close(&other));
    only(key, &mark); /* the end */
    RETURNS(EPIPE, interproc_pipe_tryrecv(&one, buffer, sizeof buffer, &len, NULL));
    only(key, &mark);
    gone(key);
    OK(interproc_pipe_close(&one));
    OK(interproc_pipe_one_way(128, 56, &to, &from));
    RETURNS(EINVAL, interproc_waitset_add_pipe(&set, &to, INTERPROC_READABLE, NULL, NULL));
    RETURNS(EINVAL, interproc_waitset_add_pipe(&set, &from, INTERPROC_WRITABLE, NULL, NULL));
    OK(interproc_waitset_add_pipe(&set, &to, INTERPROC_WRITABLE, &mark, &key));
    only(key, &mark);
    gone(key);
    SOURCE(interproc_waitset_add_pipe(&set, &from, INTERPROC_READABLE, &mark, &key),
           OK(interproc_pipe_send(&to, "hello", 5)),
           OK(interproc_pipe_recv(&from, buffer, sizeof buffer, &len, NULL));
           RETURNS(EAGAIN, interproc_pipe_tryrecv(&from, buffer, sizeof buffer, &len, NULL)));
    OK(interproc_pipe_close(&to));
    OK(interproc_pipe_close(&from));

    OK(interproc_listener_bind(&segment, "door", 2, 128, 56, &listener));
    SOURCE(interproc_waitset_add_listener(&set, &listener, &mark, &key),
           OK(interproc_pipe_connect(&segment, "door", &client)),
           OK(interproc_listener_accept(&listener, &served));
           OK(interproc_pipe_close(&served));
           OK(interproc_pipe_close(&client)));
    OK(interproc_listener_close(&listener));

    work_options.capacity = 1;
    work_options.longest = sizeof x;
    OK(interproc_segment_work_queue(&segment, "jobs", &work_options, &jobs));
    SOURCE(interproc_waitset_add_work_queue(&set, &jobs, INTERPROC_READABLE, &mark, &key),
           OK(interproc_work_queue_put(&jobs, &x, sizeof x)),
           OK(interproc_work_queue_take(&jobs, &x, sizeof x, &job));
           OK(interproc_work_queue_done(&jobs, &job)));
    OK(interproc_work_queue_put(&jobs, &x, sizeof x));
    SOURCE(interproc_waitset_add_work_queue(&set, &jobs, INTERPROC_WRITABLE, &mark, &key),
           OK(interproc_work_queue_take(&jobs, &x, sizeof x, &job));
           OK(interproc_work_queue_done(&jobs, &job)), OK(interproc_work_queue_put(&jobs, &x, sizeof x)));

    OK(interproc_segment_broadcast(&segment, "news", &news_options, &news));
    OK(interproc_segment_subscriber(&segment, "news", &news_options, INTERPROC_SLOW_WAITS, 0, &subscriber));
    SOURCE(interproc_waitset_add_subscriber(&set, &subscriber, &mark, &key),
           OK(interproc_broadcast_publish(&news, "rain", 4)),
           OK(interproc_subscriber_recv(&subscriber, buffer, sizeof buffer, &len, NULL)));
    OK(interproc_subscriber_leave(&subscriber));

    OK(interproc_segment_latest(&segment, "latest", sizeof x, NULL, &latest));
    OK(interproc_waitset_add_latest(&set, &latest, version, &mark, &key));
    nothing();
    for (int i = 0; i < 2; i++) { /* told once for each */
        OK(interproc_latest_set(&latest, &x, &version));
        OK(interproc_waitset_wait(&set, ready, ROOM, &count));
        CHECK(count == 1 && ready[0].key == key && ready[0].data == &mark);
        nothing();
    }
    gone(key);

    SOURCE(interproc_waitset_add_event(&set, &shared->event, &mark, &key), OK(interproc_event_set(&shared->event)),
           OK(interproc_event_clear(&shared->event)));
    SOURCE(interproc_waitset_add_semaphore(&set, &shared->semaphore, &mark, &key),
           OK(interproc_semaphore_post(&shared->semaphore)), OK(interproc_semaphore_acquire(&shared->semaphore)));
    OK(interproc_segment_bounded_semaphore(&segment, "permits", 1, &permits));
    OK(interproc_bounded_semaphore_acquire(&permits, &permit));
    SOURCE(interproc_waitset_add_bounded_semaphore(&set, &permits, &mark, &key),
           OK(interproc_bounded_semaphore_release(&permits, &permit)),
           OK(interproc_bounded_semaphore_acquire(&permits, &permit)));
    OK(interproc_bounded_semaphore_release(&permits, &permit));
}

static void times(void)
{
    struct timespec until = in_ms(5), wrong = {0, 1000000000}, now;
    size_t ticks;
    RETURNS(EINVAL, interproc_waitset_add_timer(&set, NULL, 0, NULL, NULL));
    RETURNS(EINVAL, interproc_waitset_add_timer(&set, &wrong, 1, NULL, NULL));
    clock_gettime(CLOCK_REALTIME, &now);
    RETURNS(EINVAL, interproc_waitset_add_timer(&set, &now, 1, NULL, NULL));
    OK(interproc_waitset_add_timer(&set, &until, 0, &mark, &key));
    nothing();
    OK(interproc_waitset_wait(&set, ready, ROOM, &count));
    CHECK(count == 1 && ready[0].key == key && ready[0].data == &mark);
    clock_gettime(CLOCK_MONOTONIC, &now);
    CHECK(now.tv_sec > until.tv_sec || (now.tv_sec == until.tv_sec && now.tv_nsec >= until.tv_nsec));
    nothing(); /* once */
    RETURNS(EINVAL, interproc_waitset_wait(&set, ready, ROOM, &count)); /* nothing can come */
    gone(key);
    OK(interproc_waitset_add_timer(&set, NULL, 2000000, &mark, &key));
    nothing();
    for (ticks = 0; ticks < 3; ticks++) {
        OK(interproc_waitset_wait(&set, ready, ROOM, &count));
        CHECK(count == 1 && ready[0].key == key);
    }
    OK(interproc_waitset_remove(&set, key));
    OK(interproc_waitset_add_timer(&set, AT_ONCE, 60000000000, &mark, &key)); /* past: at once, and in a minute */
    OK(interproc_waitset_trywait(&set, ready, ROOM, &count));
    CHECK(count == 1 && ready[0].key == key);
    nothing();
    gone(key);
}

static void *sets_it_later(void *argument)
{
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    OK(interproc_event_set(argument));
    return NULL;
}

static void waits(void)
{
    struct timespec before, after, until;
    pthread_t thread;
    OK(interproc_waitset_add_event(&set, &shared->event, &mark, &key));
    clock_gettime(CLOCK_MONOTONIC, &before);
    until = in_ms(10);
    RETURNS(ETIMEDOUT, interproc_waitset_timedwait(&set, &until, ready, ROOM, &count));
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK((after.tv_sec - before.tv_sec) * 1000000000ll + after.tv_nsec - before.tv_nsec >= 10000000);
    RETURNS(ETIMEDOUT, interproc_waitset_timedwait(&set, AT_ONCE, ready, ROOM, &count));
    CHECK(pthread_create(&thread, NULL, sets_it_later, &shared->event) == 0);
    OK(interproc_waitset_wait(&set, ready, ROOM, &count)); /* it sleeps */
    CHECK(count == 1 && ready[0].key == key);
    CHECK(pthread_join(thread, NULL) == 0);
    OK(interproc_event_clear(&shared->event));
    CHECK(pthread_create(&thread, NULL, sets_it_later, &shared->event) == 0);
    until = in_ms(10000);
    OK(interproc_waitset_timedwait(&set, &until, ready, ROOM, &count));
    CHECK(pthread_join(thread, NULL) == 0);
    OK(interproc_event_clear(&shared->event));
    gone(key);
}

static int ends(void *argument)
{
    char c;
    return read(*(int *)argument, &c, 1) == 1 ? 3 : 1;
}

static void descriptors_and_processes(void)
{
    interproc_process_t child;
    interproc_process_ref_t same;
    uint64_t read_key, write_key, child_key, same_key;
    uint32_t mechanism = 99;
    int ends_of[2], go[2], file, status;
    char c = 0;
    int32_t pid;
    CHECK(pipe(ends_of) == 0 && pipe(go) == 0);
    OK(interproc_waitset_mechanism(&set, &mechanism));
    CHECK(mechanism == INTERPROC_WAITSET_FUTEX);
    RETURNS(EBADF, interproc_waitset_add_fd(&set, -1, INTERPROC_READABLE, NULL, NULL));
    RETURNS(EBADF, interproc_waitset_add_fd(&set, 987, INTERPROC_READABLE, NULL, NULL));
    file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    CHECK(file >= 0);
    RETURNS(EINVAL, interproc_waitset_add_fd(&set, file, INTERPROC_READABLE, NULL, NULL));
    OK(interproc_waitset_add_fd(&set, ends_of[0], INTERPROC_READABLE, &ends_of[0], &read_key));
    OK(interproc_waitset_mechanism(&set, &mechanism));
    CHECK(mechanism == INTERPROC_WAITSET_EPOLL);
    nothing();
    CHECK(write(ends_of[1], "x", 1) == 1);
    only(read_key, &ends_of[0]);
    CHECK(read(ends_of[0], &c, 1) == 1);
    nothing();
    OK(interproc_waitset_add_fd(&set, ends_of[1], INTERPROC_WRITABLE, &ends_of[1], &write_key));
    only(write_key, &ends_of[1]);
    /* Once more, beside itself. */
    OK(interproc_waitset_add_fd(&set, ends_of[1], INTERPROC_WRITABLE, NULL, &key));
    OK(interproc_waitset_trywait(&set, ready, ROOM, &count));
    CHECK(count == 2);
    OK(interproc_waitset_remove(&set, key));
    only(write_key, &ends_of[1]);
    gone(write_key);

    OK(interproc_process_fork(&child, "ends", ends, &go[0]));
    OK(interproc_process_pid(&child, &pid));
    OK(interproc_process_ref_open(&same, pid));
    OK(interproc_waitset_add_process(&set, &child, &child, &child_key));
    OK(interproc_waitset_add_process_ref(&set, &same, &same, &same_key));
    nothing();
    CHECK(write(go[1], "x", 1) == 1);
    OK(interproc_waitset_wait(&set, ready, ROOM, &count));
    CHECK(count >= 1 && (ready[0].data == &child || ready[0].data == &same));
    OK(interproc_waitset_wait(&set, ready, ROOM, &count));
    CHECK(count == 2);
    interproc_exit_t end;
    OK(interproc_process_join(&child, &end));
    CHECK(end.code == 3);
    OK(interproc_waitset_trywait(&set, ready, ROOM, &count));
    CHECK(count == 2); /* until it is taken out */
    OK(interproc_waitset_remove(&set, child_key));
    only(same_key, &same);
    gone(same_key);
    OK(interproc_process_close(&child));
    OK(interproc_process_ref_close(&same));

    /* A forked child takes nothing out of its parent's epoll. */
    if (fork() == 0) {
        failures = 0;
        RETURNS(EPERM, interproc_waitset_remove(&set, read_key));
        RETURNS(EPERM, interproc_waitset_trywait(&set, ready, ROOM, &count));
        OK(interproc_waitset_destroy(&set));
        _exit(failures);
    }
    CHECK(wait(&status) > 0 && status == 0);
    nothing();
    CHECK(write(ends_of[1], "x", 1) == 1);
    only(read_key, &ends_of[0]);
    CHECK(read(ends_of[0], &c, 1) == 1);

    /* In epoll, an object and a descriptor. */
    OK(interproc_waitset_add_event(&set, &shared->event, &shared->event, &key));
    nothing();
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, sets_it_later, &shared->event) == 0);
    OK(interproc_waitset_wait(&set, ready, ROOM, &count));
    CHECK(count == 1 && ready[0].key == key && ready[0].data == &shared->event);
    CHECK(pthread_join(thread, NULL) == 0);
    OK(interproc_event_clear(&shared->event));
    nothing();
    OK(interproc_waitset_remove(&set, key));
    gone(read_key);
    close(ends_of[0]), close(ends_of[1]), close(go[0]), close(go[1]), close(file);
}

/* Whether the set's descriptor becomes readable within so many milliseconds. */
static int readable(int fd, int ms)
{
    struct pollfd asked = {fd, POLLIN, 0};
    return poll(&asked, 1, ms) == 1 && asked.revents == POLLIN;
}

/* Nothing is ready, and the descriptor says so: it may be readable once in a while, but not again and again. */
static void quiet(int fd)
{
    int tries = 0;
    do
        nothing();
    while (readable(fd, 20) && ++tries < 4);
    CHECK(tries < 4);
}

static void another_event_loop(void)
{
    interproc_queue_t queue;
    struct timespec until;
    uint64_t x = 1, timer;
    int fd = -1, again = -1, status;
    OK(interproc_segment_queue(&segment, "loop", sizeof x, 4, &queue));
    OK(interproc_waitset_add_queue(&set, &queue, INTERPROC_READABLE, &mark, &key));
    OK(interproc_waitset_fd(&set, &fd));
    OK(interproc_waitset_fd(&set, &again));
    CHECK(fd > 2 && fd == again && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    for (int i = 0; i < 3; i++) {
        quiet(fd);
        if (fork() == 0) /* by another process */
            _exit(interproc_queue_push(&queue, &x));
        CHECK(readable(fd, 10000));
        CHECK(wait(&status) > 0 && status == 0);
        CHECK(readable(fd, 0));
        only(key, &mark);
        OK(interproc_queue_pop(&queue, &x, NULL));
    }
    quiet(fd);
    until = in_ms(20);
    OK(interproc_waitset_add_timer(&set, &until, 0, NULL, &timer));
    nothing();
    CHECK(!readable(fd, 0) && readable(fd, 10000));
    OK(interproc_waitset_trywait(&set, ready, ROOM, &count));
    CHECK(count == 1 && ready[0].key == timer);
    OK(interproc_waitset_remove(&set, timer));
    gone(key);
}

/* Sends a message, and is killed. */
static int sends_and_dies(interproc_pipe_t *end, void *go)
{
    char c;
    OK(interproc_pipe_send(end, "last", 4));
    CHECK(read(*(int *)go, &c, 1) == 1);
    return raise(SIGKILL);
}

static void a_killed_writer_is_heard(bool in_epoll)
{
    interproc_pipe_t ours, theirs;
    interproc_process_t child;
    interproc_exit_t end;
    char buffer[64];
    size_t len;
    int go[2], fd;
    CHECK(pipe(go) == 0);
    OK(interproc_waitset_create(&set));
    if (in_epoll)
        OK(interproc_waitset_fd(&set, &fd));
    OK(interproc_pipe_pair(256, 56, &ours, &theirs));
    OK(interproc_pipe_fork(&child, "writer", sends_and_dies, &theirs, &go[0]));
    OK(interproc_waitset_add_pipe(&set, &ours, INTERPROC_READABLE, &ours, &key));
    OK(interproc_waitset_wait(&set, ready, ROOM, &count));
    CHECK(count == 1 && ready[0].data == &ours);
    OK(interproc_pipe_tryrecv(&ours, buffer, sizeof buffer, &len, NULL));
    RETURNS(EAGAIN, interproc_pipe_tryrecv(&ours, buffer, sizeof buffer, &len, NULL));
    nothing();
    CHECK(write(go[1], "x", 1) == 1);
    OK(interproc_waitset_wait(&set, ready, ROOM, &count));
    CHECK(count == 1 && ready[0].data == &ours);
    RETURNS(EPIPE, interproc_pipe_tryrecv(&ours, buffer, sizeof buffer, &len, NULL));
    OK(interproc_process_join(&child, &end));
    CHECK(end.signal == SIGKILL);
    OK(interproc_process_close(&child));
    gone(key);
    OK(interproc_pipe_close(&ours));
    OK(interproc_waitset_destroy(&set));
    close(go[0]), close(go[1]);
}

/* A child's own sets work, its parent's do not, and it may destroy its copy. */
static void children(void)
{
    interproc_waitset_t copy;
    int status, fd, others;
    uint32_t mechanism;
    for (others = 0; others < 3; others++) {
        OK(interproc_waitset_create(&set));
        if (others == 1)
            OK(interproc_waitset_add_event(&set, &shared->event, NULL, &key));
        if (others == 2)
            OK(interproc_waitset_add_timer(&set, NULL, 1, NULL, &key));
        if (others == 1)
            nothing();
        if (fork() == 0) {
            failures = 0;
            copy = set;
            RETURNS(EPERM, interproc_waitset_trywait(&set, ready, ROOM, &count));
            RETURNS(EPERM, interproc_waitset_wait(&set, ready, ROOM, &count));
            RETURNS(EPERM, interproc_waitset_timedwait(&set, AT_ONCE, ready, ROOM, &count));
            RETURNS(EPERM, interproc_waitset_add_event(&set, &shared->event, NULL, NULL));
            RETURNS(EPERM, interproc_waitset_add_timer(&set, NULL, 1, NULL, NULL));
            RETURNS(EPERM, interproc_waitset_add_fd(&set, 0, INTERPROC_READABLE, NULL, NULL));
            RETURNS(EPERM, interproc_waitset_remove(&set, key));
            RETURNS(EPERM, interproc_waitset_fd(&set, &fd));
            RETURNS(EPERM, interproc_waitset_mechanism(&set, &mechanism));
            OK(interproc_waitset_destroy(&set));
            RETURNS(EINVAL, interproc_waitset_destroy(&copy));
            OK(interproc_waitset_create(&set));
            OK(interproc_waitset_add_event(&set, &shared->event, &mark, &key));
            OK(interproc_waitset_fd(&set, &fd));
            nothing();
            OK(interproc_event_set(&shared->event));
            CHECK(readable(fd, 10000));
            only(key, &mark);
            OK(interproc_waitset_destroy(&set));
            OK(interproc_event_clear(&shared->event));
            _exit(failures);
        }
        CHECK(wait(&status) > 0 && status == 0);
        OK(interproc_waitset_destroy(&set));
    }
}

static void seats_of_a_parent(void)
{
    interproc_spsc_producer_t producer;
    interproc_byte_consumer_t consumer;
    interproc_pipe_t one, other;
    interproc_listener_t listener;
    int status;
    OK(interproc_segment_spsc_producer(&segment, "its", 8, 2, &producer));
    OK(interproc_segment_byte_consumer(&segment, "its bytes", 128, 56, &consumer));
    OK(interproc_pipe_pair(128, 56, &one, &other));
    OK(interproc_listener_bind(&segment, "its door", 1, 128, 56, &listener));
    if (fork() == 0) {
        failures = 0;
        OK(interproc_waitset_create(&set));
        RETURNS(EPERM, interproc_waitset_add_spsc_producer(&set, &producer, NULL, NULL));
        RETURNS(EPERM, interproc_waitset_add_byte_consumer(&set, &consumer, NULL, NULL));
        RETURNS(EPERM, interproc_waitset_add_pipe(&set, &one, INTERPROC_READABLE, NULL, NULL));
        RETURNS(EPERM, interproc_waitset_add_pipe(&set, &one, INTERPROC_WRITABLE, NULL, NULL));
        RETURNS(EPERM, interproc_waitset_add_listener(&set, &listener, NULL, NULL));
        _exit(failures);
    }
    CHECK(wait(&status) > 0 && status == 0);
    OK(interproc_spsc_producer_leave(&producer));
    OK(interproc_byte_consumer_leave(&consumer));
    OK(interproc_pipe_close(&one));
    OK(interproc_pipe_close(&other));
    OK(interproc_listener_close(&listener));
}

/* More is ready than there is room for: each has its turn, and what is told once is told. */
static void little_room(void)
{
    enum { SOURCES = 5, PAST = 2, NEWER = 3 };
    interproc_latest_t latest;
    uint64_t keys[SOURCES], x = 1;
    int told[SOURCES] = {0}, i, round;
    OK(interproc_segment_latest(&segment, "little", sizeof x, NULL, &latest));
    OK(interproc_latest_set(&latest, &x, NULL));
    OK(interproc_event_set(&shared->event));
    for (i = 0; i < SOURCES; i++) {
        if (i == PAST)
            OK(interproc_waitset_add_timer(&set, AT_ONCE, 0, NULL, &keys[i]));
        else if (i == NEWER)
            OK(interproc_waitset_add_latest(&set, &latest, 0, NULL, &keys[i]));
        else
            OK(interproc_waitset_add_event(&set, &shared->event, NULL, &keys[i]));
    }
    RETURNS(EINVAL, interproc_waitset_trywait(&set, ready, 0, &count));
    for (round = 0; round < 9; round++) {
        OK(interproc_waitset_wait(&set, ready, 1, &count));
        CHECK(count == 1);
        for (i = 0; i < SOURCES; i++)
            told[i] += ready[0].key == keys[i];
    }
    CHECK(told[PAST] == 1 && told[NEWER] == 1);
    CHECK(told[0] >= 2 && told[1] >= 2 && told[4] >= 2);
    OK(interproc_waitset_trywait(&set, ready, 2, &count));
    CHECK(count == 2);
    OK(interproc_waitset_trywait(&set, ready, ROOM, &count));
    CHECK(count == 3);
    /* One that is owed, and nothing else any more. */
    OK(interproc_latest_set(&latest, &x, NULL));
    OK(interproc_waitset_remove(&set, keys[0]));
    OK(interproc_waitset_remove(&set, keys[1]));
    do
        OK(interproc_waitset_trywait(&set, ready, 1, &count));
    while (ready[0].key != keys[4]);
    OK(interproc_event_clear(&shared->event));
    OK(interproc_latest_set(&latest, &x, NULL));
    OK(interproc_waitset_wait(&set, ready, 1, &count));
    CHECK(count == 1 && ready[0].key == keys[NEWER]);
    nothing();
    /* One that is owed is taken out. */
    OK(interproc_event_set(&shared->event));
    OK(interproc_waitset_trywait(&set, ready, 1, &count));
    OK(interproc_latest_set(&latest, &x, NULL));
    OK(interproc_waitset_trywait(&set, ready, 1, &count));
    OK(interproc_waitset_remove(&set, keys[NEWER]));
    OK(interproc_event_clear(&shared->event));
    nothing();
    RETURNS(ETIMEDOUT, interproc_waitset_timedwait(&set, AT_ONCE, ready, 1, &count));
    OK(interproc_waitset_remove(&set, keys[4]));
    OK(interproc_waitset_remove(&set, keys[PAST]));
}

/* A source keeps the memory, whichever way the set sleeps. */
static void a_segment_is_closed_while_it_is_watched(bool in_epoll)
{
    interproc_segment_t other;
    interproc_queue_t queue;
    interproc_event_t *event;
    uint64_t x = 1, event_key;
    int fd;
    OK(interproc_waitset_create(&set));
    OK(interproc_segment_anonymous(&other, 1 << 16));
    OK(interproc_segment_queue(&other, "queue", sizeof x, 2, &queue));
    OK(interproc_segment_object(&other, "event", sizeof *event, 8, (void **)&event));
    OK(interproc_waitset_add_queue(&set, &queue, INTERPROC_READABLE, &mark, &key));
    OK(interproc_waitset_add_event(&set, event, event, &event_key));
    if (in_epoll)
        OK(interproc_waitset_fd(&set, &fd));
    nothing();
    OK(interproc_segment_close(&other));
    nothing();
    RETURNS(EINVAL, interproc_waitset_add_queue(&set, &queue, INTERPROC_READABLE, NULL, NULL));
    OK(interproc_event_set(event)); /* it is still there */
    only(event_key, event);
    OK(interproc_waitset_remove(&set, key));
    only(event_key, event);
    gone(event_key);
    if (!in_epoll) /* with the last source */
        RETURNS(EINVAL, interproc_event_set(event));
    RETURNS(EINVAL, interproc_waitset_wait(&set, ready, ROOM, &count));
    OK(interproc_waitset_destroy(&set));
}

static void bad_arguments(void)
{
    interproc_waitset_t none = INTERPROC_WAITSET_INIT;
    interproc_queue_t queue, no_queue = INTERPROC_QUEUE_INIT;
    interproc_pipe_t no_pipe = INTERPROC_PIPE_INIT;
    struct timespec wrong = {0, 1000000000};
    uint64_t local[2] = {0, 0};
    uint32_t mechanism;
    int fd;
    OK(interproc_segment_queue(&segment, "bad", 8, 2, &queue));
    RETURNS(EINVAL, interproc_waitset_create(NULL));
    RETURNS(EINVAL, interproc_waitset_destroy(NULL));
    RETURNS(EINVAL, interproc_waitset_destroy(&none));
    RETURNS(EINVAL, interproc_waitset_add_queue(NULL, &queue, INTERPROC_READABLE, NULL, NULL));
    RETURNS(EINVAL, interproc_waitset_add_queue(&none, &queue, INTERPROC_READABLE, NULL, NULL));
    RETURNS(EINVAL, interproc_waitset_add_queue(&set, NULL, INTERPROC_READABLE, NULL, NULL));
    RETURNS(EINVAL, interproc_waitset_add_queue(&set, &no_queue, INTERPROC_READABLE, NULL, NULL));
    RETURNS(EINVAL, interproc_waitset_add_queue(&set, &queue, 0, NULL, NULL));
    RETURNS(EINVAL, interproc_waitset_add_queue(&set, &queue, INTERPROC_READABLE | INTERPROC_WRITABLE, NULL, NULL));
    RETURNS(EINVAL, interproc_waitset_add_queue(&set, &queue, 4, NULL, NULL));
    RETURNS(EINVAL, interproc_waitset_add_pipe(&set, &no_pipe, INTERPROC_READABLE, NULL, NULL));
    RETURNS(EINVAL, interproc_waitset_add_event(&set, NULL, NULL, NULL));
    RETURNS(EINVAL, interproc_waitset_add_event(&set, (interproc_event_t *)local, NULL, NULL)); /* in no segment */
    RETURNS(EINVAL, interproc_waitset_add_semaphore(&set, (interproc_semaphore_t *)local, NULL, NULL));
    RETURNS(EINVAL, interproc_waitset_add_event(&set, (interproc_event_t *)((char *)shared + 1), NULL, NULL));
    RETURNS(EINVAL, interproc_waitset_add_fd(&set, 0, 0, NULL, NULL));
    RETURNS(EINVAL, interproc_waitset_remove(&set, 12345));
    RETURNS(EINVAL, interproc_waitset_remove(&none, 0));
    RETURNS(EINVAL, interproc_waitset_wait(&set, ready, ROOM, &count)); /* empty */
    RETURNS(ETIMEDOUT, interproc_waitset_timedwait(&set, AT_ONCE, ready, ROOM, &count));
    RETURNS(EINVAL, interproc_waitset_timedwait(&set, &wrong, ready, ROOM, &count));
    RETURNS(EINVAL, interproc_waitset_trywait(&set, NULL, ROOM, &count));
    RETURNS(EINVAL, interproc_waitset_trywait(&set, ready, ROOM, NULL));
    RETURNS(EINVAL, interproc_waitset_trywait(&set, ready, 0, &count));
    RETURNS(EINVAL, interproc_waitset_trywait(&none, ready, ROOM, &count));
    RETURNS(EINVAL, interproc_waitset_fd(&set, NULL));
    RETURNS(EINVAL, interproc_waitset_fd(&none, &fd));
    RETURNS(EINVAL, interproc_waitset_mechanism(&set, NULL));
    RETURNS(EINVAL, interproc_waitset_mechanism(&none, &mechanism));
    nothing();
}

/* A set with sources of more segments than it has room for. */
static void many_segments(void)
{
    enum { MOST = 32 };
    static interproc_segment_t segments[MOST + 1];
    interproc_event_t *event[MOST + 1];
    uint64_t keys[MOST];
    int i;
    for (i = 0; i <= MOST; i++) {
        OK(interproc_segment_anonymous(&segments[i], 4096));
        OK(interproc_segment_object(&segments[i], "event", sizeof *event[i], 8, (void **)&event[i]));
        if (i < MOST)
            OK(interproc_waitset_add_event(&set, event[i], event[i], &keys[i]));
    }
    RETURNS(ENOSPC, interproc_waitset_add_event(&set, event[MOST], NULL, NULL));
    nothing();
    OK(interproc_event_set(event[17]));
    only(keys[17], event[17]);
    OK(interproc_waitset_remove(&set, keys[17]));
    OK(interproc_waitset_add_event(&set, event[MOST], event[MOST], &keys[17]));
    nothing();
    OK(interproc_event_set(event[MOST]));
    only(keys[17], event[MOST]);
    for (i = 0; i < MOST; i++)
        OK(interproc_waitset_remove(&set, keys[i]));
    for (i = 0; i <= MOST; i++)
        OK(interproc_segment_close(&segments[i]));
}

int main(void)
{
    int in_epoll, fd;
    alarm(120);
    OK(interproc_segment_anonymous(&segment, 1 << 18));
    OK(interproc_segment_object(&segment, "shared", sizeof *shared, 8, (void **)&shared));
    OK(interproc_waitset_create(&set));
    bad_arguments();
    waits();
    times();
    every_object();
    little_room();
    many_segments();
    descriptors_and_processes();
    OK(interproc_waitset_destroy(&set));
    /* The same in epoll. */
    OK(interproc_waitset_create(&set));
    OK(interproc_waitset_fd(&set, &fd));
    waits();
    times();
    little_room();
    many_segments();
    another_event_loop();
    OK(interproc_waitset_destroy(&set));
    for (in_epoll = 0; in_epoll < 2; in_epoll++) {
        a_killed_writer_is_heard(in_epoll);
        a_segment_is_closed_while_it_is_watched(in_epoll);
    }
    children();
    seats_of_a_parent();
    OK(interproc_segment_close(&segment));
    printf("wait set: %d failures\n", failures);
    return failures != 0;
}
