/* Every function with a deadline gives one answer to times that are odd: the table at the top of src/ffi/time.rs. A function that
 * is missing here is found by the test that runs this program. */
#define _GNU_SOURCE
#include <interproc.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

typedef struct {
    interproc_mutex_t mutex, free_mutex;
    interproc_recursive_mutex_t nest, free_nest;
    interproc_cond_t cond, other_cond;
    interproc_semaphore_t semaphore;
    interproc_event_t event, told, over;
    interproc_once_t once;
    interproc_rwlock_t rwlock;
} shared_t;

static interproc_segment_t segment;
static shared_t *shared;
static interproc_bounded_semaphore_t permits;
static interproc_permit_t permit, another;
static interproc_barrier_t barrier;
static interproc_queue_t full, empty;
static interproc_byte_queue_t byte_full, byte_empty;
static interproc_work_queue_t work_full, work_empty;
static const interproc_work_queue_options_t work_options = {2, 8, 0, 0, INTERPROC_WORK_FIFO, 0, {0, 0, 0}};
static interproc_job_t one_job;
static interproc_broadcast_t news_full;
static interproc_subscriber_t reader, behind, behind_only;
static interproc_publisher_t only, other_only, its_only;
static const interproc_broadcast_options_t news_options = {2, 8, 0, 4, {0, 0, 0, 0}};
static interproc_spsc_producer_t producer;
static interproc_spsc_consumer_t consumer;
static interproc_byte_producer_t byte_producer;
static interproc_byte_consumer_t byte_consumer;
static interproc_latest_t latest;
static interproc_pipe_t near, far, client, unused;
static interproc_listener_t listener, lonely;
static interproc_process_t child;
static interproc_process_ref_t self;
static interproc_waitset_t set, polled;
static interproc_waitset_ready_t ready[2];

static uint64_t value, version;
static size_t count;
static int descriptor;
static char buffer[64];
static const void *message;
static void *place;
static bool yes;
static struct iovec part = {buffer, 8};
static interproc_spsc_slots_t slots;
static interproc_exit_t end;

static int cond(const struct timespec *t)
{
    OK(interproc_mutex_lock(&shared->free_mutex));
    int rc = interproc_cond_timedwait(&shared->cond, &shared->free_mutex, t);
    OK(interproc_mutex_unlock(&shared->free_mutex));
    return rc;
}

static int cond_recursive(const struct timespec *t)
{
    OK(interproc_recursive_mutex_lock(&shared->free_nest));
    int rc = interproc_cond_wait_recursive(&shared->other_cond, &shared->free_nest, t);
    OK(interproc_recursive_mutex_unlock(&shared->free_nest));
    return rc;
}

static int sleeper(void *argument)
{
    (void)argument;
    while (pause() != 0)
        ;
    return 0;
}

/* A child that ends when it is asked to, so nothing waits for the time. */
static int terminate(const struct timespec *t)
{
    interproc_process_t asked;
    OK(interproc_process_fork(&asked, "asked", sleeper, NULL));
    int rc = interproc_process_terminate_until(&asked, t, &end);
    if (rc != 0) {
        OK(interproc_process_kill(&asked));
        OK(interproc_process_join(&asked, &end));
    }
    OK(interproc_process_close(&asked));
    return rc;
}

static int barrier_wait(const struct timespec *t)
{
    int rc = interproc_barrier_timedwait(&barrier, t, &yes);
    OK(FIELD(interproc_barrier_info(&barrier, &barrier_), barrier_.is_broken, &yes));
    CHECK(yes == (rc == ETIMEDOUT));
    OK(interproc_barrier_reset(&barrier));
    return rc;
}

static int barrier_slice(const struct timespec *t)
{
    interproc_barrier_turn_t turn = {{0}};
    uint32_t waiting = 9;
    int rc = interproc_barrier_wait_slice(&barrier, &turn, t, &yes);
    OK(FIELD(interproc_barrier_info(&barrier, &barrier_), barrier_.n_waiting, &waiting));
    CHECK(waiting == (rc == ETIMEDOUT));
    OK(FIELD(interproc_barrier_info(&barrier, &barrier_), barrier_.is_broken, &yes));
    CHECK(!yes);
    OK(interproc_barrier_reset(&barrier));
    return rc;
}

/* A program that takes nothing. */
static int pipe_spawn(const struct timespec *t)
{
    interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
    const char *arguments[] = {"sleep", "1000", NULL};
    interproc_pipe_t ours, theirs;
    interproc_process_t program;
    int rc = interproc_pipe_pair(64, 8, &ours, &theirs);
    options.flags = INTERPROC_PROCESS_DIES_WITH_PARENT;
    if (rc == 0)
        rc = interproc_pipe_spawn(&program, &options, "sleep", arguments, NULL, "work", &theirs, t);
    interproc_pipe_close(&ours);
    interproc_pipe_close(&theirs);
    return rc;
}

static int poll_pipe(const struct timespec *t)
{
    int rc = interproc_pipe_poll(&near, t, &yes);
    return rc == 0 && !yes ? ETIMEDOUT : rc;
}

static int add_timer(const struct timespec *t)
{
    uint64_t key;
    int rc = interproc_waitset_add_timer(&polled, t, 1000000000000, NULL, &key);
    return rc ? rc : interproc_waitset_remove(&polled, key);
}

static int job(void *argument, bool again)
{
    (void)argument;
    (void)again;
    OK(interproc_event_set(&shared->told));
    OK(interproc_event_wait(&shared->over));
    return 0;
}

static const interproc_process_t *const children[] = {&child};

/* What is special. */
enum { ORDINARY = 0, DOES_NOT_WAIT = 1, IN_A_CHILD = 2 };

#define TIMED(X)                                                                                              \
    X(interproc_mutex_timedlock(&shared->mutex, t), IN_A_CHILD)                                               \
    X(interproc_recursive_mutex_timedlock(&shared->nest, t), IN_A_CHILD)                                      \
    X(cond(t), IN_A_CHILD) /* interproc_cond_timedwait() */                                                   \
    X(cond_recursive(t), ORDINARY) /* interproc_cond_wait_recursive() */                                 \
    X(interproc_semaphore_timedacquire(&shared->semaphore, t), IN_A_CHILD)                                    \
    X(interproc_event_timedwait(&shared->event, t), IN_A_CHILD)                                               \
    X(interproc_once_call_until(&shared->once, job, NULL, t), IN_A_CHILD)                                      \
    X(interproc_rwlock_timedrdlock(&shared->rwlock, t), IN_A_CHILD)                                           \
    X(interproc_rwlock_timedwrlock(&shared->rwlock, t), IN_A_CHILD)                                           \
    X(interproc_bounded_semaphore_timedacquire(&permits, t, &another), IN_A_CHILD)                            \
    X(interproc_bounded_semaphore_acquire_many_until(&permits, 1, t, &another), IN_A_CHILD)                    \
    X(barrier_wait(t), ORDINARY)  /* interproc_barrier_timedwait() */                                         \
    X(barrier_slice(t), ORDINARY) /* interproc_barrier_wait_slice() */                                        \
    X(interproc_queue_timedpush(&full, &value, t), IN_A_CHILD)                                                \
    X(interproc_queue_timedpop(&empty, t, &value, &yes), IN_A_CHILD)                                          \
    X(interproc_queue_push_batch_until(&full, &value, 1, t, &count), IN_A_CHILD)                               \
    X(interproc_queue_pop_batch_until(&empty, t, &value, 1, &count, NULL), IN_A_CHILD)                        \
    X(interproc_queue_reserve_until(&full, t, &place), IN_A_CHILD)                                             \
    X(interproc_queue_borrow_until(&empty, t, &message, &yes), IN_A_CHILD)                                    \
    X(interproc_spsc_producer_timedpush(&producer, &value, t), ORDINARY)                                      \
    X(interproc_spsc_producer_push_batch_until(&producer, &value, 1, t, &count), ORDINARY)                     \
    X(interproc_spsc_producer_reserve_until(&producer, 1, t, &slots), ORDINARY)                            \
    X(interproc_spsc_consumer_timedpop(&consumer, t, &value, &yes), ORDINARY)                                 \
    X(interproc_spsc_consumer_pop_batch_until(&consumer, t, &value, 1, &count, NULL), ORDINARY)                \
    X(interproc_spsc_consumer_borrow_until(&consumer, 1, t, &slots, NULL), ORDINARY)                       \
    X(interproc_byte_producer_timedpush(&byte_producer, buffer, 60, t), ORDINARY)                             \
    X(interproc_byte_producer_push_vectored_until(&byte_producer, &part, 1, t), ORDINARY)                      \
    X(interproc_byte_producer_reserve_until(&byte_producer, 8, t, &place), ORDINARY)                           \
    X(interproc_byte_consumer_borrow_until(&byte_consumer, t, &message, &count, &yes), ORDINARY)              \
    X(interproc_byte_consumer_timedpop(&byte_consumer, t, buffer, 64, &count, &yes), ORDINARY)          \
    X(interproc_byte_queue_timedpush(&byte_full, buffer, 8, t), IN_A_CHILD)                                   \
    X(interproc_byte_queue_push_vectored_until(&byte_full, &part, 1, t), IN_A_CHILD)                           \
    X(interproc_byte_queue_timedpop(&byte_empty, t, buffer, 64, &count, &yes), IN_A_CHILD)                    \
    X(interproc_byte_queue_reserve_until(&byte_full, 8, t, &place), IN_A_CHILD)                                \
    X(interproc_byte_queue_borrow_until(&byte_empty, t, &message, &count, &yes), IN_A_CHILD)                  \
    X(interproc_work_queue_put_until(&work_full, buffer, 8, 0, NULL, t, NULL), IN_A_CHILD)                     \
    X(interproc_work_queue_timedtake(&work_empty, t, buffer, 64, &one_job), IN_A_CHILD)                       \
    X(interproc_work_queue_join_until(&work_full, t), IN_A_CHILD)                                              \
    X(interproc_broadcast_timedpublish(&news_full, buffer, 8, t, NULL), IN_A_CHILD)                            \
    X(interproc_broadcast_reserve_until(&news_full, t, &place), IN_A_CHILD)                                     \
    X(interproc_subscriber_timedrecv(&reader, t, buffer, 64, &count, NULL), ORDINARY)                           \
    X(interproc_subscriber_borrow_until(&reader, t, &message, &count), ORDINARY)                                \
    X(interproc_publisher_timedpublish(&only, buffer, 8, t, NULL), ORDINARY)                                    \
    X(interproc_publisher_reserve_until(&only, t, &place), ORDINARY)                                            \
    X(interproc_segment_publisher_until(&segment, "news taken", &news_options, t, &other_only), IN_A_CHILD)      \
    X(interproc_latest_set_until(&latest, &value, t, &version), DOES_NOT_WAIT)                                 \
    X(interproc_latest_wait_newer_until(&latest, version, t, &value, &version), IN_A_CHILD)                    \
    X(interproc_process_join_until(&child, t, &end), ORDINARY)                                                 \
    X(interproc_process_wait_any(children, 1, t, &count, &end), ORDINARY)                             \
    X(interproc_process_wait_all(children, 1, t, &end), ORDINARY)                                     \
    X(terminate(t), DOES_NOT_WAIT) /* interproc_process_terminate_until() */                                  \
    X(interproc_process_ref_wait_until(&self, t), IN_A_CHILD)                                                  \
    X(interproc_pipe_timedsend(&near, buffer, 8, t), ORDINARY)                                                \
    X(interproc_pipe_timedrecv(&near, t, buffer, 64, &count, NULL), ORDINARY)                                       \
    X(pipe_spawn(t), ORDINARY) /* interproc_pipe_spawn() */                                                  \
    X(interproc_pipe_send_fd_until(&near, buffer, 8, 0, t), ORDINARY)                                           \
    X(interproc_pipe_recv_fd_until(&near, t, buffer, 64, &count, &descriptor), ORDINARY)                           \
    X(interproc_pipe_send_vectored_until(&near, &part, 1, t), ORDINARY)                                       \
    X(interproc_pipe_reserve_until(&near, 8, t, &place), ORDINARY)                                             \
    X(interproc_pipe_borrow_until(&near, t, &message, &count, NULL), ORDINARY)                                      \
    X(poll_pipe(t), ORDINARY) /* interproc_pipe_poll() */                                                     \
    X(interproc_waitset_timedwait(&set, t, ready, 2, &count), ORDINARY)                                        \
    X(interproc_waitset_timedwait(&polled, t, ready, 2, &count), ORDINARY)                                     \
    X(add_timer(t), DOES_NOT_WAIT) /* interproc_waitset_add_timer() */                                         \
    X(interproc_pipe_connect_until(&segment, "door", t, &unused), ORDINARY)                                    \
    X(interproc_listener_accept_until(&lonely, t, &unused), ORDINARY)

/* Each row calls through a number of its own. */
static int call(size_t row, const struct timespec *t)
{
    size_t at = 0;
#define X(expression, special) \
    if (at++ == row)           \
        return expression;
    TIMED(X)
#undef X
    return -1;
}

static const struct {
    const char *text;
    int special;
} rows[] = {
#define X(expression, special) {#expression, special},
    TIMED(X)
#undef X
};

static void is(int expected, size_t row, time_t seconds, long nanoseconds)
{
    struct timespec t;
    memset(&t, 0, sizeof t);
    t.tv_sec = seconds;
    t.tv_nsec = nanoseconds;
    int rc = call(row, &t);
    if (rc != expected) {
        fprintf(stderr, "%s with {%lld, %ld}: %d (%s), not %d\n", rows[row].text, (long long)seconds, nanoseconds,
                rc, rc ? interproc_last_error_message() : "success", expected);
        failures++;
    }
}

static long long since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start->tv_sec) * 1000000000ll + now.tv_nsec - start->tv_nsec;
}

/* It still waits after a while, in a child that is killed then. */
static void waits_for_ever(size_t row, const struct timespec *t)
{
    pid_t pid = fork();
    if (pid == 0) {
        call(row, t);
        _exit(7);
    }
    nanosleep(&(struct timespec){0, 30000000}, NULL);
    int status = -1;
    if (waitpid(pid, &status, WNOHANG) != 0) {
        fprintf(stderr, "%s does not wait till {%lld, %ld}\n", rows[row].text, t ? (long long)t->tv_sec : -1, t ? t->tv_nsec : -1);
        failures++;
        return;
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

static void one_answer_to_each_time(size_t row)
{
    const time_t most = sizeof(time_t) == 8 ? (time_t)LLONG_MAX : (time_t)LONG_MAX;
    const int past = rows[row].special & DOES_NOT_WAIT ? 0 : ETIMEDOUT;
    struct timespec now, soon;

    is(EINVAL, row, 5, -1);
    is(EINVAL, row, 5, 1000000000);
    is(EINVAL, row, most, LONG_MAX);
    is(EINVAL, row, -5, LONG_MIN);
    is(past, row, 0, 0);
    is(past, row, 0, 999999999);
    is(past, row, -1, 0);
    is(past, row, -most - 1, 999999999);
    clock_gettime(CLOCK_MONOTONIC, &now);
    soon = in_ms(2);
    is(past, row, soon.tv_sec, soon.tv_nsec);
    CHECK(past == 0 || since(&now) >= 2000000);
    /* A time on another clock. */
    clock_gettime(CLOCK_REALTIME, &soon);
    is(EINVAL, row, soon.tv_sec + 1, soon.tv_nsec);
    CHECK(strstr(interproc_last_error_message(), "CLOCK_REALTIME"));
    is(EINVAL, row, 1000000000, 0);
    is(EINVAL, row, INT_MAX, 0);
    is(EINVAL, row, 18446744072, 0);
    if (rows[row].special & DOES_NOT_WAIT) {
        is(0, row, most, 999999999);
        CHECK(call(row, NULL) == 0);
    }
}

static void for_ever_is_the_end_of_time(size_t row)
{
    struct timespec end_of_time;
    memset(&end_of_time, 0, sizeof end_of_time);
    end_of_time.tv_sec = (time_t)LLONG_MAX;
    waits_for_ever(row, &end_of_time);
    OK(interproc_deadline_after(UINT64_MAX, &end_of_time));
    waits_for_ever(row, &end_of_time);
    /* What Python calls TIMEOUT_MAX: 292 years. */
    OK(interproc_deadline_after(INT64_MAX, &end_of_time));
    waits_for_ever(row, &end_of_time);
}

static void a_deadline_is_made_of_another_clocks_time(void)
{
    struct timespec time, until, now;
    const struct timespec wrong = {5, 1000000000}, never = {(time_t)LLONG_MAX, 0}, long_ago = {5, 7};

    clock_gettime(CLOCK_REALTIME, &time);
    clock_gettime(CLOCK_MONOTONIC, &now);
    time.tv_sec += 100;
    OK(interproc_deadline_from(CLOCK_REALTIME, &time, &until));
    long long ahead = (until.tv_sec - now.tv_sec) * 1000000000ll + until.tv_nsec - now.tv_nsec;
    CHECK(ahead > 95 * 1000000000ll && ahead < 105 * 1000000000ll);
    clock_gettime(CLOCK_REALTIME, &time);
    OK(interproc_deadline_from(CLOCK_REALTIME, &time, &until));
    RETURNS(ETIMEDOUT, interproc_event_timedwait(&shared->event, &until));
    /* In place, and of the same clock. */
    until = long_ago;
    OK(interproc_deadline_from(CLOCK_MONOTONIC, &until, &until));
    CHECK(until.tv_sec == 5 && until.tv_nsec == 7);
    OK(interproc_deadline_from(CLOCK_REALTIME, &long_ago, &until));
    CHECK(until.tv_sec == 0 && until.tv_nsec == 0);
    OK(interproc_deadline_from(CLOCK_BOOTTIME, &never, &until));
    CHECK(until.tv_sec >= 18446744073);
    RETURNS(EINVAL, interproc_deadline_from(4711, &time, &until));
    RETURNS(EINVAL, interproc_deadline_from(CLOCK_REALTIME, NULL, &until));
    RETURNS(EINVAL, interproc_deadline_from(CLOCK_REALTIME, &time, NULL));
    RETURNS(EINVAL, interproc_deadline_from(CLOCK_REALTIME, &wrong, &until));
    RETURNS(EINVAL, interproc_deadline_from(CLOCK_MONOTONIC, &wrong, &until));
}

/* Holds what others are to wait for. */
static void *holder(void *argument)
{
    (void)argument;
    OK(interproc_mutex_lock(&shared->mutex));
    OK(interproc_recursive_mutex_lock(&shared->nest));
    OK(interproc_rwlock_wrlock(&shared->rwlock));
    OK(interproc_segment_subscriber(&segment, "news full", &news_options, INTERPROC_SLOW_WAITS, 0, &behind));
    OK(interproc_segment_subscriber(&segment, "news only", &news_options, INTERPROC_SLOW_WAITS, 0, &behind_only));
    OK(interproc_segment_publisher_until(&segment, "news taken", &news_options, NULL, &its_only));
    OK(interproc_once_call(&shared->once, job, NULL));
    OK(interproc_rwlock_unlock(&shared->rwlock));
    OK(interproc_recursive_mutex_unlock(&shared->nest));
    OK(interproc_mutex_unlock(&shared->mutex));
    return NULL;
}

int main(void)
{
    pthread_t thread;

    OK(interproc_segment_anonymous(&segment, 1 << 20));
    OK(interproc_segment_object(&segment, "shared", sizeof *shared, 8, (void **)&shared));
    OK(interproc_segment_bounded_semaphore(&segment, "permits", 1, &permits));
    OK(interproc_segment_barrier(&segment, "barrier", 2, &barrier));
    OK(interproc_segment_queue(&segment, "full", sizeof value, 2, &full));
    OK(interproc_segment_queue(&segment, "empty", sizeof value, 2, &empty));
    OK(interproc_segment_byte_queue(&segment, "byte full", 128, 64, &byte_full));
    OK(interproc_segment_byte_queue(&segment, "byte empty", 128, 64, &byte_empty));
    OK(interproc_segment_work_queue(&segment, "work full", &work_options, &work_full));
    OK(interproc_segment_work_queue(&segment, "work empty", &work_options, &work_empty));
    OK(interproc_segment_spsc_producer(&segment, "one full", sizeof value, 2, &producer));
    OK(interproc_segment_spsc_consumer(&segment, "one empty", sizeof value, 2, &consumer));
    OK(interproc_segment_byte_producer(&segment, "one byte full", 128, 64, &byte_producer));
    OK(interproc_segment_byte_consumer(&segment, "one byte empty", 128, 64, &byte_consumer));
    OK(interproc_segment_latest(&segment, "latest", sizeof value, &value, &latest));
    OK(interproc_latest_set(&latest, &value, &version));
    OK(interproc_pipe_pair_with_fds(1 << 8, 64, &near, &far));
    OK(interproc_listener_bind(&segment, "door", 1, 1 << 8, 64, &listener));
    OK(interproc_listener_bind(&segment, "lonely", 1, 1 << 8, 64, &lonely));
    OK(interproc_pipe_connect(&segment, "door", &client));
    OK(interproc_process_fork(&child, "sleeper", sleeper, NULL));
    OK(interproc_process_ref_open(&self, 0));
    OK(interproc_waitset_create(&set));
    OK(interproc_waitset_add_queue(&set, &empty, INTERPROC_READABLE, NULL, NULL));
    OK(interproc_waitset_add_event(&set, &shared->event, NULL, NULL));
    OK(interproc_waitset_create(&polled));
    OK(interproc_waitset_add_process(&polled, &child, NULL, NULL));
    OK(interproc_waitset_add_queue(&polled, &empty, INTERPROC_READABLE, NULL, NULL));
    OK(interproc_bounded_semaphore_acquire(&permits, &permit));
    while (interproc_queue_trypush(&full, &value) == 0)
        ;
    while (interproc_byte_queue_trypush(&byte_full, buffer, 8) == 0)
        ;
    while (interproc_work_queue_tryput(&work_full, buffer, 8) == 0)
        ;
    while (interproc_spsc_producer_trypush(&producer, &value) == 0)
        ;
    while (interproc_byte_producer_trypush(&byte_producer, buffer, 8) == 0)
        ;
    while (interproc_pipe_trysend(&near, buffer, 8) == 0)
        ;
    OK(pthread_create(&thread, NULL, holder, NULL));
    OK(interproc_event_wait(&shared->told));
    OK(interproc_segment_broadcast(&segment, "news full", &news_options, &news_full));
    OK(interproc_segment_publisher_until(&segment, "news only", &news_options, NULL, &only));
    OK(interproc_segment_subscriber(&segment, "news empty", &news_options, INTERPROC_SLOW_WAITS, 0, &reader));
    while (interproc_broadcast_trypublish(&news_full, buffer, 8) == 0)
        ;
    while (interproc_publisher_trypublish(&only, buffer, 8) == 0)
        ;

    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        one_answer_to_each_time(row);
    OK(interproc_latest_set(&latest, &value, &version));
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        if (rows[row].special & IN_A_CHILD)
            waits_for_ever(row, NULL);
        if (rows[row].special & IN_A_CHILD && row % 4 == 0)
            for_ever_is_the_end_of_time(row);
    }
    a_deadline_is_made_of_another_clocks_time();

    OK(interproc_waitset_destroy(&set));
    OK(interproc_waitset_destroy(&polled));
    OK(interproc_event_set(&shared->over));
    OK(pthread_join(thread, NULL));
    OK(interproc_process_kill(&child));
    OK(interproc_process_join(&child, &end));
    OK(interproc_process_close(&child));
    OK(interproc_process_ref_close(&self));
    OK(interproc_spsc_producer_leave(&producer));
    OK(interproc_spsc_consumer_leave(&consumer));
    OK(interproc_byte_producer_leave(&byte_producer));
    OK(interproc_byte_consumer_leave(&byte_consumer));
    OK(interproc_pipe_close(&near));
    OK(interproc_pipe_close(&far));
    OK(interproc_pipe_close(&client));
    OK(interproc_listener_close(&listener));
    OK(interproc_listener_close(&lonely));
    OK(interproc_bounded_semaphore_release(&permits, &permit));
    OK(interproc_barrier_leave(&barrier));
    OK(interproc_segment_close(&segment));
    printf("deadlines: %d failures\n", failures);
    return failures != 0;
}
