/* The C interface of the queue from one producer to one consumer: every function, every documented error, what happens when
 * a process dies, and other threads and children. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CAPACITY = 4 };

typedef struct {
    uint64_t number;
    uint32_t twice, pad;
} message_t;

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

static message_t message(uint64_t n)
{
    message_t m = {n, (uint32_t)(2 * n), 0};
    return m;
}

static bool is(const message_t *m, uint64_t n)
{
    return m->number == n && m->twice == 2 * n;
}

static void producer_of(const char *name, interproc_spsc_producer_t *p)
{
    OK(interproc_segment_spsc_producer(&segment, name, sizeof(message_t), CAPACITY, p));
}

static void consumer_of(const char *name, interproc_spsc_consumer_t *c)
{
    OK(interproc_segment_spsc_consumer(&segment, name, sizeof(message_t), CAPACITY, c));
}

static void bad_arguments(void)
{
    interproc_spsc_producer_t p = INTERPROC_SPSC_PRODUCER_INIT;
    interproc_spsc_consumer_t c = INTERPROC_SPSC_CONSUMER_INIT;
    interproc_spsc_slots_t slots;
    interproc_who_t who;
    struct timespec soon = in_ms(1), wrong = {0, 1000000000};
    message_t m = message(1);
    size_t n;
    RETURNS(EINVAL, interproc_segment_spsc_producer(NULL, "bad", 8, 4, &p));
    RETURNS(EINVAL, interproc_segment_spsc_producer(&segment, NULL, 8, 4, &p));
    RETURNS(EINVAL, interproc_segment_spsc_producer(&segment, "bad", 0, 4, &p));
    RETURNS(EINVAL, interproc_segment_spsc_producer(&segment, "bad", 8, 0, &p));
    RETURNS(EINVAL, interproc_segment_spsc_producer(&segment, "bad", 8, 4, NULL));
    RETURNS(EINVAL, interproc_segment_spsc_producer_as(&segment, NULL, 1, 8, 4, &p));
    RETURNS(EINVAL, interproc_segment_spsc_producer_as(&segment, "bad", 1, 8, 4, NULL));
    RETURNS(EINVAL, interproc_segment_spsc_consumer_as(&segment, NULL, 1, 8, 4, &c));
    RETURNS(EINVAL, interproc_segment_spsc_consumer_as(&segment, "bad", 1, 8, 4, NULL));
    RETURNS(EINVAL, interproc_segment_spsc_consumer(&segment, "bad", 8, (size_t)1 << 50, &c));
    RETURNS(EINVAL, interproc_segment_spsc_consumer(&segment, "bad", 8, 4, NULL));
    for (int null = 0; null < 2; null++) {
        interproc_spsc_producer_t *no_p = null ? NULL : &p;
        interproc_spsc_consumer_t *no_c = null ? NULL : &c;
        RETURNS(EINVAL, interproc_spsc_producer_push(no_p, &m));
        RETURNS(EINVAL, interproc_spsc_producer_trypush(no_p, &m));
        RETURNS(EINVAL, interproc_spsc_producer_timedpush(no_p, &m, &soon));
        RETURNS(EINVAL, interproc_spsc_producer_push_batch_until(no_p, &m, 1, NULL, &n));
        RETURNS(EINVAL, interproc_spsc_producer_push_batch_until(no_p, &m, 1, AT_ONCE, &n));
        RETURNS(EINVAL, interproc_spsc_producer_push_batch_until(no_p, &m, 1, &soon, &n));
        RETURNS(EINVAL, interproc_spsc_producer_reserve_until(no_p, 1, NULL, &slots));
        RETURNS(EINVAL, interproc_spsc_producer_reserve_until(no_p, 1, AT_ONCE, &slots));
        RETURNS(EINVAL, interproc_spsc_producer_reserve_until(no_p, 1, &soon, &slots));
        RETURNS(EINVAL, interproc_spsc_producer_commit(no_p, 0));
        RETURNS(EINVAL, interproc_spsc_producer_publish_every(no_p, 2));
        RETURNS(EINVAL, interproc_spsc_producer_flush(no_p));
        RETURNS(EINVAL, interproc_spsc_producer_close(no_p));
        RETURNS(EINVAL, interproc_spsc_producer_leave(no_p));
        RETURNS(EINVAL, interproc_spsc_producer_info(no_p, &channel_));
        RETURNS(EINVAL, interproc_spsc_producer_peer(no_p, &who));
        RETURNS(EINVAL, interproc_spsc_consumer_pop(no_c, &m, NULL));
        RETURNS(EINVAL, interproc_spsc_consumer_trypop(no_c, &m, NULL));
        RETURNS(EINVAL, interproc_spsc_consumer_timedpop(no_c, &soon, &m, NULL));
        RETURNS(EINVAL, interproc_spsc_consumer_pop_batch_until(no_c, NULL, &m, 1, &n, NULL));
        RETURNS(EINVAL, interproc_spsc_consumer_pop_batch_until(no_c, AT_ONCE, &m, 1, &n, NULL));
        RETURNS(EINVAL, interproc_spsc_consumer_pop_batch_until(no_c, &soon, &m, 1, &n, NULL));
        RETURNS(EINVAL, interproc_spsc_consumer_borrow_until(no_c, 1, NULL, &slots, NULL));
        RETURNS(EINVAL, interproc_spsc_consumer_borrow_until(no_c, 1, AT_ONCE, &slots, NULL));
        RETURNS(EINVAL, interproc_spsc_consumer_borrow_until(no_c, 1, &soon, &slots, NULL));
        RETURNS(EINVAL, interproc_spsc_consumer_release(no_c, 0));
        RETURNS(EINVAL, interproc_spsc_consumer_free_every(no_c, 2));
        RETURNS(EINVAL, interproc_spsc_consumer_flush(no_c));
        RETURNS(EINVAL, interproc_spsc_consumer_close(no_c));
        RETURNS(EINVAL, interproc_spsc_consumer_leave(no_c));
        RETURNS(EINVAL, interproc_spsc_consumer_info(no_c, &channel_));
        RETURNS(EINVAL, interproc_spsc_consumer_peer(no_c, &who));
    }
    producer_of("bad", &p);
    consumer_of("bad", &c);
    RETURNS(EBUSY, interproc_segment_spsc_producer(&segment, "bad", sizeof m, CAPACITY, &p));
    RETURNS(EEXIST, interproc_segment_spsc_consumer(&segment, "bad", sizeof m, CAPACITY + 1, &c));
    RETURNS(EEXIST, interproc_segment_spsc_consumer(&segment, "bad", 8, CAPACITY, &c));
    RETURNS(EINVAL, interproc_spsc_producer_push(&p, NULL));
    RETURNS(EINVAL, interproc_spsc_producer_timedpush(&p, &m, &wrong));
    RETURNS(EINVAL, interproc_spsc_producer_push_batch_until(&p, NULL, 1, NULL, &n));
    RETURNS(EINVAL, interproc_spsc_producer_push_batch_until(&p, &m, 1, NULL, NULL));
    RETURNS(EINVAL, interproc_spsc_producer_reserve_until(&p, CAPACITY + 1, NULL, &slots));
    RETURNS(EINVAL, interproc_spsc_producer_reserve_until(&p, 1, NULL, NULL));
    RETURNS(EINVAL, interproc_spsc_producer_commit(&p, 1));
    RETURNS(EINVAL, interproc_spsc_producer_info(&p, NULL));
    RETURNS(EINVAL, interproc_spsc_producer_peer(&p, NULL));
    RETURNS(EINVAL, interproc_spsc_consumer_pop(&c, NULL, NULL));
    RETURNS(EINVAL, interproc_spsc_consumer_timedpop(&c, &wrong, &m, NULL));
    RETURNS(EINVAL, interproc_spsc_consumer_pop_batch_until(&c, NULL, NULL, 1, &n, NULL));
    RETURNS(EINVAL, interproc_spsc_consumer_pop_batch_until(&c, NULL, &m, 1, NULL, NULL));
    RETURNS(EINVAL, interproc_spsc_consumer_borrow_until(&c, CAPACITY + 1, NULL, &slots, NULL));
    RETURNS(EINVAL, interproc_spsc_consumer_borrow_until(&c, 1, NULL, NULL, NULL));
    RETURNS(EINVAL, interproc_spsc_consumer_release(&c, 1));
    OK(interproc_spsc_producer_leave(&p));
    RETURNS(EINVAL, interproc_spsc_producer_leave(&p));
    OK(interproc_spsc_consumer_leave(&c));
    RETURNS(EINVAL, interproc_spsc_consumer_pop(&c, &m, NULL));
}

static void in_order(void)
{
    interproc_spsc_producer_t p;
    interproc_spsc_consumer_t c;
    struct timespec soon = in_ms(2), past = {0, 0};
    message_t m, many[9];
    size_t n;
    bool again = true;
    producer_of("order", &p);
    consumer_of("order", &c);
    for (uint64_t i = 0; i < CAPACITY; i++) {
        m = message(i);
        OK(i % 2 ? interproc_spsc_producer_push(&p, &m) : interproc_spsc_producer_trypush(&p, &m));
    }
    OK(FIELD(interproc_spsc_producer_info(&p, &channel_), channel_.used, &n));
    CHECK(n == CAPACITY);
    OK(FIELD(interproc_spsc_consumer_info(&c, &channel_), channel_.capacity, &n));
    CHECK(n == CAPACITY);
    RETURNS(EAGAIN, interproc_spsc_producer_trypush(&p, &m));
    RETURNS(ETIMEDOUT, interproc_spsc_producer_timedpush(&p, &m, &soon));
    OK(FIELD(interproc_spsc_producer_info(&p, &channel_), channel_.peak, &n));
    CHECK(n == CAPACITY);
    OK(interproc_spsc_consumer_pop(&c, &m, &again));
    CHECK(is(&m, 0) && !again);
    OK(interproc_spsc_consumer_trypop(&c, &m, NULL));
    CHECK(is(&m, 1));
    m = message(4);
    OK(interproc_spsc_producer_timedpush(&p, &m, &past));
    OK(interproc_spsc_consumer_timedpop(&c, &past, &m, NULL));
    CHECK(is(&m, 2));
    for (uint64_t i = 0; i < 9; i++) {
        many[i] = message(5 + i);
    }
    OK(interproc_spsc_producer_push_batch_until(&p, many, 9, AT_ONCE, &n));
    CHECK(n == 2);
    RETURNS(ETIMEDOUT, interproc_spsc_producer_push_batch_until(&p, many, 9, AT_ONCE, &n));
    RETURNS(ETIMEDOUT, interproc_spsc_producer_push_batch_until(&p, many, 9, &past, &n));
    OK(interproc_spsc_producer_push_batch_until(&p, many, 0, NULL, &n));
    CHECK(n == 0);
    n = 99;
    size_t told = 99;
    OK(interproc_spsc_consumer_pop_batch_until(&c, NULL, many, 9, &n, &told));
    CHECK(n == 4 && told == 0 && is(&many[0], 3) && is(&many[3], 6));
    RETURNS(ETIMEDOUT, interproc_spsc_consumer_pop_batch_until(&c, AT_ONCE, many, 9, &n, NULL));
    RETURNS(ETIMEDOUT, interproc_spsc_consumer_pop_batch_until(&c, &past, many, 9, &n, NULL));
    RETURNS(EAGAIN, interproc_spsc_consumer_trypop(&c, &m, NULL));
    RETURNS(ETIMEDOUT, interproc_spsc_consumer_timedpop(&c, &soon, &m, NULL));
    OK(interproc_spsc_producer_leave(&p));
    OK(interproc_spsc_consumer_leave(&c));
}

static void in_place(void)
{
    interproc_spsc_producer_t p;
    interproc_spsc_consumer_t c;
    interproc_spsc_slots_t slots;
    struct timespec past = {0, 0};
    message_t m;
    size_t n, told = 99;
    uint64_t next = 0;
    producer_of("place", &p);
    consumer_of("place", &c);
    /* Three at a time in a ring of four: round the end in every way. */
    for (int round = 0; round < 9; round++) {
        OK(interproc_spsc_producer_reserve_until(&p, 3, NULL, &slots));
        CHECK(slots.first_count + slots.second_count == 3);
        for (size_t i = 0; i < 3; i++) {
            message_t *slot = i < slots.first_count ? (message_t *)slots.first + i
                                                    : (message_t *)slots.second + (i - slots.first_count);
            *slot = message(next + i);
        }
        RETURNS(EMSGSIZE, interproc_spsc_producer_commit(&p, 4));
        OK(interproc_spsc_producer_reserve_until(&p, 3, AT_ONCE, &slots));
        OK(interproc_spsc_producer_commit(&p, 3));
        RETURNS(ETIMEDOUT, interproc_spsc_producer_reserve_until(&p, 2, AT_ONCE, &slots));
        RETURNS(ETIMEDOUT, interproc_spsc_producer_reserve_until(&p, 2, &past, &slots));
        OK(interproc_spsc_consumer_borrow_until(&c, 3, NULL, &slots, &told));
        CHECK(slots.first_count + slots.second_count == 3 && told == 0);
        CHECK(is((message_t *)slots.first, next));
        OK(interproc_spsc_consumer_release(&c, 2));
        OK(interproc_spsc_consumer_borrow_until(&c, 1, AT_ONCE, &slots, NULL));
        CHECK(is((message_t *)slots.first, next + 2) && slots.second_count == 0);
        OK(interproc_spsc_consumer_release(&c, 1));
        RETURNS(ETIMEDOUT, interproc_spsc_consumer_borrow_until(&c, 1, AT_ONCE, &slots, NULL));
        RETURNS(ETIMEDOUT, interproc_spsc_consumer_borrow_until(&c, 1, &past, &slots, NULL));
        next += 3;
    }
    /* Told seldom. */
    OK(interproc_spsc_producer_publish_every(&p, 3));
    OK(interproc_spsc_consumer_free_every(&c, 4));
    m = message(7);
    OK(interproc_spsc_producer_push(&p, &m));
    OK(FIELD(interproc_spsc_producer_info(&p, &channel_), channel_.used, &n));
    CHECK(n == 0);
    OK(interproc_spsc_producer_flush(&p));
    OK(interproc_spsc_consumer_pop(&c, &m, NULL));
    OK(FIELD(interproc_spsc_consumer_info(&c, &channel_), channel_.used, &n));
    CHECK(n == 1);
    OK(interproc_spsc_consumer_flush(&c));
    OK(FIELD(interproc_spsc_consumer_info(&c, &channel_), channel_.used, &n));
    CHECK(n == 0);
    OK(interproc_spsc_producer_push(&p, &m));
    OK(interproc_spsc_producer_leave(&p));
    OK(FIELD(interproc_spsc_consumer_info(&c, &channel_), channel_.peak, &n));
    CHECK(n >= 1);
    OK(interproc_spsc_consumer_pop(&c, &m, NULL));
    OK(interproc_spsc_consumer_leave(&c));
}

static void ends(void)
{
    interproc_spsc_producer_t p;
    interproc_spsc_consumer_t c;
    message_t m = message(1);
    bool closed = true;
    producer_of("end", &p);
    consumer_of("end", &c);
    OK(FIELD(interproc_spsc_consumer_info(&c, &channel_), channel_.is_closed, &closed));
    CHECK(!closed);
    OK(interproc_spsc_producer_push(&p, &m));
    OK(interproc_spsc_consumer_close(&c));
    OK(FIELD(interproc_spsc_producer_info(&p, &channel_), channel_.is_closed, &closed));
    CHECK(closed);
    RETURNS(EPIPE, interproc_spsc_producer_push(&p, &m));
    OK(interproc_spsc_producer_close(&p));
    OK(interproc_spsc_consumer_pop(&c, &m, NULL));
    RETURNS(EPIPE, interproc_spsc_consumer_pop(&c, &m, NULL));
    RETURNS(EPIPE, interproc_spsc_consumer_trypop(&c, &m, NULL));
    OK(interproc_spsc_producer_leave(&p));
    OK(interproc_spsc_consumer_leave(&c));
}

static void *push_one(void *p)
{
    message_t m = message(2);
    OK(interproc_spsc_producer_push(p, &m));
    return NULL;
}

static void *sit_down(void *p)
{
    producer_of("threads", p);
    return NULL;
}

static void threads_and_children(void)
{
    interproc_spsc_producer_t p, other;
    interproc_spsc_consumer_t c;
    interproc_who_t who;
    pthread_t thread;
    message_t m = message(1);
    int status;
    producer_of("threads", &p);
    consumer_of("threads", &c);
    OK(interproc_spsc_producer_push(&p, &m));
    CHECK(pthread_create(&thread, NULL, push_one, &p) == 0 && pthread_join(thread, NULL) == 0);
    m = message(3);
    OK(interproc_spsc_producer_push(&p, &m)); /* that thread has ended; nobody has taken over */
    OK(interproc_spsc_consumer_peer(&c, &who));
    CHECK(who.found && who.alive && who.pid == getpid());
    IN_A_CHILD(
        {
            RETURNS(EPERM, interproc_spsc_producer_push(&p, &m));
            RETURNS(EPERM, interproc_spsc_consumer_pop(&c, &m, NULL));
            OK(interproc_spsc_producer_leave(&p));
            RETURNS(EBUSY, interproc_segment_spsc_producer(&segment, "threads", sizeof m, CAPACITY, &p));
        },
        &status);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (uint64_t i = 1; i <= 3; i++) {
        OK(interproc_spsc_consumer_pop(&c, &m, NULL));
        CHECK(is(&m, i));
    }
    OK(interproc_spsc_producer_leave(&p));
    /* One that ends in its seat, and another one that takes over. */
    CHECK(pthread_create(&thread, NULL, sit_down, &p) == 0 && pthread_join(thread, NULL) == 0);
    producer_of("threads", &other);
    RETURNS(ESTALE, interproc_spsc_producer_push(&p, &m));
    OK(interproc_spsc_producer_leave(&p));
    OK(interproc_spsc_producer_push(&other, &m));
    OK(interproc_spsc_producer_leave(&other));
    OK(interproc_spsc_consumer_pop(&c, &m, NULL));
    OK(interproc_spsc_consumer_leave(&c));
}

static void deaths(void)
{
    interproc_spsc_producer_t p;
    interproc_spsc_consumer_t c;
    interproc_who_t who;
    message_t m, many[CAPACITY];
    size_t n, told = 0;
    bool again = false;
    int status;
    IN_A_CHILD(
        {
            producer_of("deaths", &p);
            for (uint64_t i = 1; i <= 3; i++) {
                m = message(i);
                OK(interproc_spsc_producer_push(&p, &m));
            }
            OK(interproc_spsc_producer_publish_every(&p, 9));
            OK(interproc_spsc_producer_push(&p, &m));
            kill(getpid(), SIGKILL);
        },
        &status);
    CHECK(WIFSIGNALED(status));
    IN_A_CHILD(
        {
            consumer_of("deaths", &c);
            OK(interproc_spsc_consumer_free_every(&c, 2));
            OK(interproc_spsc_consumer_pop(&c, &m, NULL));
            kill(getpid(), SIGKILL);
        },
        &status);
    CHECK(WIFSIGNALED(status));
    consumer_of("deaths", &c);
    OK(interproc_spsc_consumer_peer(&c, &who));
    CHECK(who.found && !who.alive);
    OK(interproc_spsc_consumer_pop(&c, &m, &again));
    CHECK(is(&m, 1) && again);
    OK(interproc_spsc_consumer_pop_batch_until(&c, NULL, many, CAPACITY, &n, &told));
    CHECK(n == 2 && told == 1 && is(&many[0], 2) && is(&many[1], 3));
    producer_of("deaths", &p);
    OK(interproc_spsc_producer_push(&p, &m));
    OK(interproc_spsc_consumer_pop(&c, &m, &again));
    CHECK(!again);
    OK(interproc_spsc_producer_leave(&p));
    OK(interproc_spsc_consumer_leave(&c));
}

/* A child that sleeps for each message, and its parent that sends some. */
static void asleep(void)
{
    interproc_spsc_producer_t p;
    pid_t child = fork();
    if (child == 0) {
        interproc_spsc_consumer_t c;
        message_t m;
        uint64_t next = 0;
        int rc;
        failures = 0;
        consumer_of("asleep", &c);
        while ((rc = interproc_spsc_consumer_pop(&c, &m, NULL)) == 0) {
            CHECK(is(&m, next++));
        }
        CHECK(rc == EPIPE && next == 1000);
        OK(interproc_spsc_consumer_leave(&c));
        _exit(failures != 0);
    }
    producer_of("asleep", &p);
    for (uint64_t i = 0; i < 1000; i++) {
        message_t m = message(i);
        OK(interproc_spsc_producer_push(&p, &m));
    }
    OK(interproc_spsc_producer_close(&p));
    OK(interproc_spsc_producer_leave(&p));
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_closed_segment(void)
{
    interproc_segment_t other;
    interproc_spsc_producer_t p;
    message_t m = message(1);
    OK(interproc_segment_anonymous(&other, 1 << 14));
    OK(interproc_segment_spsc_producer(&other, "q", sizeof m, CAPACITY, &p));
    OK(interproc_spsc_producer_push(&p, &m));
    OK(interproc_segment_close(&other));
    RETURNS(EINVAL, interproc_spsc_producer_push(&p, &m));
    RETURNS(EINVAL, interproc_spsc_producer_leave(&p));
}

int main(void)
{
    OK(interproc_segment_anonymous(&segment, 1 << 16));
    bad_arguments();
    in_order();
    in_place();
    ends();
    threads_and_children();
    deaths();
    asleep();
    a_closed_segment();
    OK(interproc_segment_close(&segment));
    return failures;
}
