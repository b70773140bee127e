/* The C interface of the semaphore with robust permits and of the barrier: every function, every documented error, what
 * happens when a process dies, and other threads and children. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static interproc_segment_t segment;

/* Runs the body in a child and returns how it ended. A failed check is exit code 1. */
#define IN_A_CHILD(body, status)                                                          \
    do {                                                                                  \
        pid_t pid_ = fork();                                                              \
        if (pid_ == 0) {                                                                  \
            failures = 0;                                                                 \
            body;                                                                         \
            _exit(failures != 0);                                                         \
        }                                                                                 \
        CHECK(waitpid(pid_, (status), 0) == pid_);                                        \
    } while (0)

static void die(void)
{
    kill(getpid(), SIGKILL);
}

static uint32_t available(const interproc_bounded_semaphore_t *s)
{
    uint32_t n = 99;
    OK(FIELD(interproc_bounded_semaphore_info(s, &permits_), permits_.available, &n));
    return n;
}

static void bad_arguments(void)
{
    interproc_bounded_semaphore_t s = INTERPROC_BOUNDED_SEMAPHORE_INIT;
    interproc_barrier_t b = INTERPROC_BARRIER_INIT;
    interproc_permit_t p = INTERPROC_PERMIT_INIT;
    struct timespec soon = in_ms(1), wrong = {0, 1000000000};
    bool yes;
    RETURNS(EINVAL, interproc_segment_bounded_semaphore(NULL, "s", 1, &s));
    RETURNS(EINVAL, interproc_segment_bounded_semaphore(&segment, NULL, 1, &s));
    RETURNS(EINVAL, interproc_segment_bounded_semaphore(&segment, "s", 0, &s));
    RETURNS(EINVAL, interproc_segment_bounded_semaphore(&segment, "s", 1048577, &s));
    RETURNS(EINVAL, interproc_segment_bounded_semaphore(&segment, "s", 1, NULL));
    RETURNS(EINVAL, interproc_segment_barrier(NULL, "b", 1, &b));
    RETURNS(EINVAL, interproc_segment_barrier(&segment, NULL, 1, &b));
    RETURNS(EINVAL, interproc_segment_barrier(&segment, "b", 0, &b));
    RETURNS(EINVAL, interproc_segment_barrier(&segment, "b", 1, NULL));
    for (int null = 0; null < 2; null++) {
        const interproc_bounded_semaphore_t *none = null ? NULL : &s;
        const interproc_barrier_t *nobody = null ? NULL : &b;
        RETURNS(EINVAL, interproc_bounded_semaphore_acquire(none, &p));
        RETURNS(EINVAL, interproc_bounded_semaphore_tryacquire(none, &p));
        RETURNS(EINVAL, interproc_bounded_semaphore_timedacquire(none, &soon, &p));
        RETURNS(EINVAL, interproc_bounded_semaphore_acquire_many_until(none, 1, NULL, &p));
        RETURNS(EINVAL, interproc_bounded_semaphore_acquire_many_until(none, 1, AT_ONCE, &p));
        RETURNS(EINVAL, interproc_bounded_semaphore_acquire_many_until(none, 1, &soon, &p));
        RETURNS(EINVAL, interproc_bounded_semaphore_release(none, &p));
        RETURNS(EINVAL, interproc_bounded_semaphore_adopt(none, &p));
        RETURNS(EINVAL, interproc_bounded_semaphore_info(none, &permits_));
        RETURNS(EINVAL, interproc_barrier_wait(nobody, &yes));
        RETURNS(EINVAL, interproc_barrier_timedwait(nobody, &soon, &yes));
        RETURNS(EINVAL, interproc_barrier_abort(nobody));
        RETURNS(EINVAL, interproc_barrier_reset(nobody));
        RETURNS(EINVAL, interproc_barrier_leave(nobody));
        RETURNS(EINVAL, interproc_barrier_info(nobody, &barrier_));
    }
    OK(interproc_segment_bounded_semaphore(&segment, "bad", 2, &s));
    OK(interproc_segment_barrier(&segment, "worse", 2, &b));
    RETURNS(EEXIST, interproc_segment_bounded_semaphore(&segment, "bad", 3, &s));
    RETURNS(EEXIST, interproc_segment_barrier(&segment, "worse", 3, &b));
    RETURNS(EEXIST, interproc_segment_barrier(&segment, "bad", 2, &b));
    RETURNS(EINVAL, interproc_bounded_semaphore_acquire(&s, NULL));
    RETURNS(EINVAL, interproc_bounded_semaphore_timedacquire(&s, &wrong, &p));
    RETURNS(EINVAL, interproc_bounded_semaphore_acquire_many_until(&s, 0, NULL, &p));
    RETURNS(EINVAL, interproc_bounded_semaphore_acquire_many_until(&s, 3, NULL, &p));
    RETURNS(EINVAL, interproc_bounded_semaphore_release(&s, NULL));
    RETURNS(EPERM, interproc_bounded_semaphore_release(&s, &p));
    RETURNS(EPERM, interproc_bounded_semaphore_adopt(&s, &p));
    RETURNS(EINVAL, interproc_bounded_semaphore_info(&s, NULL));
    RETURNS(EINVAL, interproc_barrier_timedwait(&b, &wrong, &yes));
    RETURNS(EINVAL, interproc_barrier_info(&b, NULL));
    CHECK(available(&s) == 2);
}

static interproc_bounded_semaphore_t lines;
static interproc_permit_t moving;

static void *give_back(void *expected)
{
    RETURNS((int)(intptr_t)expected, interproc_bounded_semaphore_release(&lines, &moving));
    return NULL;
}

static void *take(void *unused)
{
    OK(interproc_bounded_semaphore_acquire(&lines, &moving));
    return unused;
}

static void *adopt(void *unused)
{
    OK(interproc_bounded_semaphore_adopt(&lines, &moving));
    return unused;
}

static void in_a_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, argument) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void permits(void)
{
    interproc_permit_t one, two, copy;
    struct timespec past = {0, 0}, soon;
    uint32_t n = 0;
    int status;
    OK(interproc_segment_bounded_semaphore(&segment, "lines", 3, &lines));
    OK(FIELD(interproc_bounded_semaphore_info(&lines, &permits_), permits_.permits, &n));
    CHECK(n == 3);
    OK(interproc_bounded_semaphore_acquire(&lines, &one));
    OK(interproc_bounded_semaphore_acquire_many_until(&lines, 2, AT_ONCE, &two));
    CHECK(available(&lines) == 0);
    RETURNS(EBUSY, interproc_bounded_semaphore_tryacquire(&lines, &copy));
    RETURNS(ETIMEDOUT, interproc_bounded_semaphore_timedacquire(&lines, &past, &copy));
    soon = in_ms(20);
    RETURNS(ETIMEDOUT, interproc_bounded_semaphore_acquire_many_until(&lines, 2, &soon, &copy));
    /* Given back once, by the handle or a copy of it. */
    copy = two;
    OK(interproc_bounded_semaphore_release(&lines, &two));
    RETURNS(EPERM, interproc_bounded_semaphore_release(&lines, &two));
    RETURNS(EPERM, interproc_bounded_semaphore_release(&lines, &copy));
    CHECK(available(&lines) == 2);
    OK(interproc_bounded_semaphore_timedacquire(&lines, &past, &two));
    RETURNS(EPERM, interproc_bounded_semaphore_release(&lines, &copy));
    OK(interproc_bounded_semaphore_release(&lines, &two));
    /* A child does not own it. */
    IN_A_CHILD(RETURNS(EPERM, interproc_bounded_semaphore_release(&lines, &one)), &status);
    CHECK(status == 0 && available(&lines) == 2);
    OK(interproc_bounded_semaphore_release(&lines, &one));
    /* The dead one's permits are told of, once. */
    IN_A_CHILD(OK(interproc_bounded_semaphore_acquire_many_until(&lines, 2, NULL, &two)); die(), &status);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && available(&lines) == 3);
    RETURNS(EOWNERDEAD, interproc_bounded_semaphore_acquire_many_until(&lines, 3, NULL, &two));
    OK(interproc_bounded_semaphore_release(&lines, &two));
    OK(interproc_bounded_semaphore_acquire_many_until(&lines, 3, NULL, &two));
    OK(interproc_bounded_semaphore_release(&lines, &two));
    /* Between threads. */
    OK(interproc_bounded_semaphore_acquire(&lines, &moving));
    in_a_thread(give_back, 0);
    in_a_thread(take, NULL);
    RETURNS(ESTALE, interproc_bounded_semaphore_release(&lines, &moving));
    RETURNS(ESTALE, interproc_bounded_semaphore_adopt(&lines, &moving));
    OK(interproc_bounded_semaphore_acquire_many_until(&lines, 2, NULL, &moving));
    in_a_thread(adopt, NULL);
    RETURNS(ESTALE, interproc_bounded_semaphore_release(&lines, &moving));
    RETURNS(EOWNERDEAD, interproc_bounded_semaphore_acquire_many_until(&lines, 3, NULL, &two));
    OK(interproc_bounded_semaphore_release(&lines, &two));
    CHECK(available(&lines) == 3);
    /* A waiter gets what a dying holder had. */
    OK(interproc_bounded_semaphore_acquire_many_until(&lines, 2, NULL, &two));
    pid_t holder = fork();
    if (holder == 0) {
        OK(interproc_bounded_semaphore_acquire(&lines, &one));
        for (;;)
            pause();
    }
    while (available(&lines) > 0)
        sched_yield();
    kill(holder, SIGKILL);
    soon = in_ms(20000);
    RETURNS(EOWNERDEAD, interproc_bounded_semaphore_timedacquire(&lines, &soon, &one));
    CHECK(waitpid(holder, &status, 0) == holder);
    OK(interproc_bounded_semaphore_release(&lines, &one));
    OK(interproc_bounded_semaphore_release(&lines, &two));
}

static interproc_barrier_t steps;

static bool is_broken(void)
{
    bool broken = false;
    OK(FIELD(interproc_barrier_info(&steps, &barrier_), barrier_.is_broken, &broken));
    return broken;
}

static void barriers(void)
{
    struct timespec past = {0, 0}, soon;
    uint32_t n = 0;
    bool leader, others = false;
    int status;
    OK(interproc_segment_barrier(&segment, "steps", 2, &steps));
    OK(FIELD(interproc_barrier_info(&steps, &barrier_), barrier_.parties, &n));
    CHECK(n == 2);
    OK(FIELD(interproc_barrier_info(&steps, &barrier_), barrier_.n_waiting, &n));
    CHECK(n == 0 && !is_broken());
    /* Rounds with a child: one leader each time. */
    enum { ROUNDS = 100 };
    bool *led;
    OK(interproc_segment_object(&segment, "led", ROUNDS, 1, (void **)&led));
    pid_t child = fork();
    if (child == 0) {
        failures = 0;
        for (int i = 0; i < ROUNDS; i++)
            OK(interproc_barrier_wait(&steps, &led[i]));
        OK(interproc_barrier_wait(&steps, NULL));
        OK(interproc_barrier_leave(&steps));
        _exit(failures != 0);
    }
    bool mine[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        OK(interproc_barrier_wait(&steps, &mine[i]));
    OK(interproc_barrier_wait(&steps, NULL));
    for (int i = 0; i < ROUNDS; i++)
        CHECK(mine[i] != led[i]);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(!is_broken());
    /* Out of time. */
    soon = in_ms(20);
    RETURNS(ETIMEDOUT, interproc_barrier_timedwait(&steps, &soon, &leader));
    CHECK(is_broken());
    RETURNS(ECANCELED, interproc_barrier_wait(&steps, &leader));
    OK(interproc_barrier_reset(&steps));
    RETURNS(ETIMEDOUT, interproc_barrier_timedwait(&steps, &past, &leader));
    OK(interproc_barrier_reset(&steps));
    CHECK(!is_broken());
    OK(interproc_barrier_abort(&steps));
    RETURNS(ECANCELED, interproc_barrier_timedwait(&steps, &past, &leader));
    OK(interproc_barrier_reset(&steps));
    /* A slice that runs out breaks nothing. */
    interproc_barrier_turn_t turn = {{0}};
    soon = in_ms(2);
    RETURNS(ETIMEDOUT, interproc_barrier_wait_slice(&steps, &turn, &soon, &leader));
    RETURNS(ETIMEDOUT, interproc_barrier_wait_slice(&steps, &turn, &past, &leader));
    OK(FIELD(interproc_barrier_info(&steps, &barrier_), barrier_.n_waiting, &n));
    CHECK(n == 1 && !is_broken());
    RETURNS(EINVAL, interproc_barrier_wait_slice(&steps, NULL, &soon, &leader));
    OK(interproc_barrier_reset(&steps));
    RETURNS(ECANCELED, interproc_barrier_wait_slice(&steps, &turn, &soon, &leader));
    CHECK(turn.private_[0] == 0 && turn.private_[1] == 0);
    /* A party dies, computing. */
    child = fork();
    if (child == 0) {
        OK(interproc_barrier_wait(&steps, &others));
        for (;;)
            pause();
    }
    OK(interproc_barrier_wait(&steps, &leader));
    kill(child, SIGKILL);
    RETURNS(ECANCELED, interproc_barrier_wait(&steps, &leader));
    CHECK(waitpid(child, &status, 0) == child && is_broken());
    OK(interproc_barrier_reset(&steps));
    CHECK(!is_broken());
    OK(interproc_barrier_leave(&steps));
    OK(interproc_barrier_leave(&steps));
}

int main(void)
{
    OK(interproc_segment_anonymous(&segment, 1 << 16));
    bad_arguments();
    permits();
    barriers();
    OK(interproc_segment_close(&segment));
    printf("%d failures\n", failures);
    return failures != 0;
}
