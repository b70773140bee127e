/* The C interface of the queue's messages where they lie, of the push that displaces and of the peak: every function,
 * every documented error, what happens when a process dies, and other threads and children. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    uint64_t number;
    unsigned char bytes[4088];
} frame_t;

static interproc_segment_t segment;

static interproc_queue_t queue_of(const char *name, size_t capacity)
{
    interproc_queue_t q = INTERPROC_QUEUE_INIT;
    OK(interproc_segment_queue(&segment, name, sizeof(frame_t), capacity, &q));
    return q;
}

static void push(const interproc_queue_t *q, uint64_t number)
{
    static frame_t frame;
    frame.number = number;
    OK(interproc_queue_trypush(q, &frame));
}

static uint64_t pop(const interproc_queue_t *q, bool expected)
{
    static frame_t frame;
    bool redelivered = !expected;
    OK(interproc_queue_trypop(q, &frame, &redelivered));
    CHECK(redelivered == expected);
    return frame.number;
}

static size_t len(const interproc_queue_t *q)
{
    size_t n = 99;
    OK(FIELD(interproc_queue_info(q, &channel_), channel_.used, &n));
    return n;
}

static void bad_arguments(void)
{
    interproc_queue_t q = INTERPROC_QUEUE_INIT;
    struct timespec soon = in_ms(1), wrong = {0, 1000000000};
    frame_t frame = {0, {0}};
    void *cell = NULL;
    const void *message = NULL;
    bool yes;
    for (int null = 0; null < 2; null++) {
        const interproc_queue_t *none = null ? NULL : &q;
        RETURNS(EINVAL, interproc_queue_reserve_until(none, NULL, &cell));
        RETURNS(EINVAL, interproc_queue_reserve_until(none, AT_ONCE, &cell));
        RETURNS(EINVAL, interproc_queue_reserve_until(none, &soon, &cell));
        RETURNS(EINVAL, interproc_queue_commit(none, &frame));
        RETURNS(EINVAL, interproc_queue_abort(none, &frame));
        RETURNS(EINVAL, interproc_queue_borrow_until(none, NULL, &message, &yes));
        RETURNS(EINVAL, interproc_queue_borrow_until(none, AT_ONCE, &message, &yes));
        RETURNS(EINVAL, interproc_queue_borrow_until(none, &soon, &message, &yes));
        RETURNS(EINVAL, interproc_queue_release(none, &frame));
        RETURNS(EINVAL, interproc_queue_put_back(none, &frame));
        RETURNS(EINVAL, interproc_queue_force_push(none, &frame, NULL, NULL));
        RETURNS(EINVAL, interproc_queue_info(none, &channel_));
    }
    q = queue_of("bad", 2);
    RETURNS(EINVAL, interproc_queue_reserve_until(&q, NULL, NULL));
    RETURNS(EINVAL, interproc_queue_reserve_until(&q, AT_ONCE, NULL));
    RETURNS(EINVAL, interproc_queue_reserve_until(&q, &soon, NULL));
    RETURNS(EINVAL, interproc_queue_reserve_until(&q, &wrong, &cell));
    RETURNS(EINVAL, interproc_queue_borrow_until(&q, NULL, NULL, NULL));
    RETURNS(EINVAL, interproc_queue_borrow_until(&q, AT_ONCE, NULL, NULL));
    RETURNS(EINVAL, interproc_queue_borrow_until(&q, &soon, NULL, NULL));
    RETURNS(EINVAL, interproc_queue_borrow_until(&q, &wrong, &message, NULL));
    RETURNS(EINVAL, interproc_queue_force_push(&q, NULL, NULL, NULL));
    RETURNS(EINVAL, interproc_queue_info(&q, NULL));
    /* No cells of this queue. */
    RETURNS(EINVAL, interproc_queue_commit(&q, NULL));
    RETURNS(EINVAL, interproc_queue_commit(&q, &frame));
    RETURNS(EINVAL, interproc_queue_release(&q, &frame));
    OK(interproc_queue_reserve_until(&q, NULL, &cell));
    CHECK((uintptr_t)cell % 16 == 0);
    RETURNS(EINVAL, interproc_queue_commit(&q, (char *)cell + 8));
    RETURNS(EINVAL, interproc_queue_commit(&q, (char *)cell - 16));
    RETURNS(EINVAL, interproc_queue_abort(&q, (char *)cell + 64 * sizeof frame));
    /* Not received, and later not reserved. */
    RETURNS(EPERM, interproc_queue_release(&q, cell));
    RETURNS(EPERM, interproc_queue_put_back(&q, cell));
    OK(interproc_queue_commit(&q, cell));
    RETURNS(EPERM, interproc_queue_commit(&q, cell));
    RETURNS(EPERM, interproc_queue_abort(&q, cell));
    OK(interproc_queue_borrow_until(&q, NULL, &message, NULL));
    CHECK(message == cell);
    RETURNS(EPERM, interproc_queue_commit(&q, message));
    OK(interproc_queue_release(&q, message));
    RETURNS(EPERM, interproc_queue_release(&q, message));
    /* Nothing is written on failure. */
    message = &frame;
    yes = true;
    RETURNS(ETIMEDOUT, interproc_queue_borrow_until(&q, AT_ONCE, &message, &yes));
    soon = in_ms(1);
    RETURNS(ETIMEDOUT, interproc_queue_borrow_until(&q, &soon, &message, &yes));
    CHECK(message == &frame && yes);
}

static void in_place(void)
{
    interproc_queue_t q = queue_of("in place", 2);
    frame_t *frame, *other;
    const frame_t *got;
    bool again = true;
    struct timespec soon = in_ms(5);
    OK(interproc_queue_reserve_until(&q, NULL, (void **)&frame));
    frame->number = 1;
    memset(frame->bytes, 7, sizeof frame->bytes);
    push(&q, 2);
    CHECK(len(&q) <= 2);
    RETURNS(EDEADLK, interproc_queue_reserve_until(&q, &soon, (void **)&other));
    RETURNS(EDEADLK, interproc_queue_borrow_until(&q, NULL, (const void **)&got, NULL));
    OK(interproc_queue_commit(&q, frame));
    RETURNS(ETIMEDOUT, interproc_queue_reserve_until(&q, &soon, (void **)&other));
    OK(interproc_queue_borrow_until(&q, NULL, (const void **)&got, &again));
    CHECK(got == frame && got->number == 1 && got->bytes[4087] == 7 && !again);
    RETURNS(EDEADLK, interproc_queue_reserve_until(&q, NULL, (void **)&other));
    OK(interproc_queue_put_back(&q, got));
    OK(interproc_queue_borrow_until(&q, &soon, (const void **)&got, &again));
    CHECK(got == frame && again);
    CHECK(pop(&q, false) == 2);
    OK(interproc_queue_release(&q, got));
    OK(interproc_queue_reserve_until(&q, &soon, (void **)&frame));
    OK(interproc_queue_abort(&q, frame));
    CHECK(len(&q) == 0);
    push(&q, 3);
    push(&q, 4);
    CHECK(pop(&q, false) == 3 && pop(&q, false) == 4);
    /* Closed: what was reserved before comes, and then the end. */
    OK(interproc_queue_reserve_until(&q, AT_ONCE, (void **)&frame));
    frame->number = 5;
    OK(interproc_queue_close(&q));
    RETURNS(EPIPE, interproc_queue_reserve_until(&q, NULL, (void **)&other));
    RETURNS(EPIPE, interproc_queue_force_push(&q, &frame, NULL, NULL));
    OK(interproc_queue_commit(&q, frame));
    CHECK(pop(&q, false) == 5);
    RETURNS(EPIPE, interproc_queue_borrow_until(&q, NULL, (const void **)&got, NULL));
}

static void *commits(void *cell)
{
    interproc_queue_t q = queue_of("threads", 2);
    RETURNS(EPERM, interproc_queue_commit(&q, cell));
    return NULL;
}

static void others(void)
{
    interproc_queue_t q = queue_of("threads", 2);
    pthread_t thread;
    frame_t *frame;
    int status;
    OK(interproc_queue_reserve_until(&q, NULL, (void **)&frame));
    CHECK(pthread_create(&thread, NULL, commits, frame) == 0 && pthread_join(thread, NULL) == 0);
    pid_t child = fork();
    if (child == 0) {
        failures = 0;
        commits(frame);
        RETURNS(EPERM, interproc_queue_abort(&q, frame));
        _exit(failures != 0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    OK(interproc_queue_abort(&q, frame));
}

static void deaths(void)
{
    interproc_queue_t q = queue_of("deaths", 2);
    const frame_t *got;
    frame_t *frame;
    bool again = false;
    int status;
    push(&q, 1);
    for (int reserves = 0; reserves < 2; reserves++) {
        pid_t child = fork();
        if (child == 0) {
            if (reserves)
                interproc_queue_reserve_until(&q, NULL, (void **)&frame);
            else
                interproc_queue_borrow_until(&q, NULL, (const void **)&got, NULL);
            kill(getpid(), SIGKILL);
        }
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    }
    OK(interproc_queue_borrow_until(&q, NULL, (const void **)&got, &again));
    CHECK(got->number == 1 && again);
    OK(interproc_queue_release(&q, got));
    /* The dead one's reservation is room when the consumers come by. */
    RETURNS(ETIMEDOUT, interproc_queue_borrow_until(&q, AT_ONCE, (const void **)&got, NULL));
    push(&q, 2);
    push(&q, 3);
    CHECK(pop(&q, false) == 2 && pop(&q, false) == 3);
}

static void forced(void)
{
    interproc_queue_t q = queue_of("forced", 2);
    frame_t in = {0, {0}}, out = {0, {0}};
    const frame_t *got;
    bool was = true;
    size_t peak = 0;
    for (uint64_t i = 1; i <= 5; i++) {
        in.number = i;
        OK(interproc_queue_force_push(&q, &in, &out, &was));
        CHECK(was == (i > 2) && (!was || out.number == i - 2));
    }
    OK(interproc_queue_force_push(&q, &in, NULL, NULL));
    OK(FIELD(interproc_queue_info(&q, &channel_), channel_.peak, &peak));
    CHECK(peak == 2);
    OK(interproc_queue_borrow_until(&q, NULL, (const void **)&got, NULL));
    CHECK(got->number == 5);
    RETURNS(EAGAIN, interproc_queue_force_push(&q, &in, &out, &was));
    OK(interproc_queue_release(&q, got));
    CHECK(pop(&q, false) == 5 && len(&q) == 0);
}

int main(void)
{
    OK(interproc_segment_anonymous(&segment, 1 << 20));
    bad_arguments();
    in_place();
    others();
    deaths();
    forced();
    OK(interproc_segment_close(&segment));
    return failures;
}
