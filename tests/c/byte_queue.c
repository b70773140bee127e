/* The C interface of the queue of messages of any length: every function, every documented error, what happens when a
 * process dies, and other threads and children. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CAPACITY = 512, LONGEST = 120 };

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

static interproc_byte_queue_t queue(const char *name)
{
    interproc_byte_queue_t q = INTERPROC_BYTE_QUEUE_INIT;
    OK(interproc_segment_byte_queue(&segment, name, CAPACITY, LONGEST, &q));
    return q;
}

static size_t len(const interproc_byte_queue_t *q)
{
    size_t n = 99;
    OK(interproc_byte_queue_len(q, &n));
    return n;
}

static size_t used(const interproc_byte_queue_t *q)
{
    size_t n = 99;
    OK(FIELD(interproc_byte_queue_info(q, &channel_), channel_.used, &n));
    return n;
}

/* The next message is this text, and flagged or not. */
static void expect(const interproc_byte_queue_t *q, const char *text, bool flagged)
{
    char buffer[LONGEST];
    size_t n = 0;
    bool again = !flagged;
    OK(interproc_byte_queue_trypop(q, buffer, sizeof buffer, &n, &again));
    CHECK(n == strlen(text) && memcmp(buffer, text, n) == 0 && again == flagged);
}

static void bad_arguments(void)
{
    interproc_byte_queue_t q = INTERPROC_BYTE_QUEUE_INIT, nothing = INTERPROC_BYTE_QUEUE_INIT;
    struct timespec soon = in_ms(1), wrong = {0, 1000000000};
    struct iovec part = {NULL, 0}, bad = {NULL, 3};
    char buffer[8];
    void *room = buffer;
    const void *message = buffer;
    interproc_who_t who;
    uint32_t a, b;
    size_t n;
    RETURNS(EINVAL, interproc_segment_byte_queue(NULL, "q", 1, 1, &q));
    RETURNS(EINVAL, interproc_segment_byte_queue(&segment, NULL, 1, 1, &q));
    RETURNS(EINVAL, interproc_segment_byte_queue(&segment, "q", 0, 1, &q));
    RETURNS(EINVAL, interproc_segment_byte_queue(&segment, "q", 1, 0, &q));
    RETURNS(EINVAL, interproc_segment_byte_queue(&segment, "q", 1, (size_t)-1, &q));
    RETURNS(EINVAL, interproc_segment_byte_queue(&segment, "q", 1, 1, NULL));
    RETURNS(ENOMEM, interproc_segment_byte_queue(&segment, "q", 1 << 24, 1, &q));
    for (int null = 0; null < 2; null++) {
        const interproc_byte_queue_t *none = null ? NULL : &nothing;
        RETURNS(EINVAL, interproc_byte_queue_push(none, "m", 1));
        RETURNS(EINVAL, interproc_byte_queue_trypush(none, "m", 1));
        RETURNS(EINVAL, interproc_byte_queue_timedpush(none, "m", 1, &soon));
        RETURNS(EINVAL, interproc_byte_queue_push_vectored_until(none, &part, 1, NULL));
        RETURNS(EINVAL, interproc_byte_queue_push_vectored_until(none, &part, 1, AT_ONCE));
        RETURNS(EINVAL, interproc_byte_queue_push_vectored_until(none, &part, 1, &soon));
        RETURNS(EINVAL, interproc_byte_queue_pop(none, buffer, 8, &n, NULL));
        RETURNS(EINVAL, interproc_byte_queue_trypop(none, buffer, 8, &n, NULL));
        RETURNS(EINVAL, interproc_byte_queue_timedpop(none, &soon, buffer, 8, &n, NULL));
        RETURNS(EINVAL, interproc_byte_queue_reserve_until(none, 1, NULL, &room));
        RETURNS(EINVAL, interproc_byte_queue_reserve_until(none, 1, AT_ONCE, &room));
        RETURNS(EINVAL, interproc_byte_queue_reserve_until(none, 1, &soon, &room));
        RETURNS(EINVAL, interproc_byte_queue_commit(none, room, 1));
        RETURNS(EINVAL, interproc_byte_queue_abort(none, room));
        RETURNS(EINVAL, interproc_byte_queue_borrow_until(none, NULL, &message, &n, NULL));
        RETURNS(EINVAL, interproc_byte_queue_borrow_until(none, AT_ONCE, &message, &n, NULL));
        RETURNS(EINVAL, interproc_byte_queue_borrow_until(none, &soon, &message, &n, NULL));
        RETURNS(EINVAL, interproc_byte_queue_release(none, message));
        RETURNS(EINVAL, interproc_byte_queue_put_back(none, message));
        RETURNS(EINVAL, interproc_byte_queue_close(none));
        RETURNS(EINVAL, interproc_byte_queue_info(none, &channel_));
        RETURNS(EINVAL, interproc_byte_queue_len(none, &n));
        RETURNS(EINVAL, interproc_byte_queue_blocker(none, &who));
        RETURNS(EINVAL, interproc_byte_queue_waiters(none, &a, &b));
    }
    q = queue("bad");
    RETURNS(EEXIST, interproc_segment_byte_queue(&segment, "bad", CAPACITY, LONGEST + 1, &nothing));
    RETURNS(EEXIST, interproc_segment_byte_queue(&segment, "bad", CAPACITY + 1, LONGEST, &nothing));
    RETURNS(EINVAL, interproc_byte_queue_push(&nothing, "m", 1));
    RETURNS(EINVAL, interproc_byte_queue_push(&q, NULL, 1));
    RETURNS(EINVAL, interproc_byte_queue_timedpush(&q, "m", 1, &wrong));
    RETURNS(EINVAL, interproc_byte_queue_push_vectored_until(&q, NULL, 1, NULL));
    RETURNS(EINVAL, interproc_byte_queue_push_vectored_until(&q, &bad, 1, NULL));
    RETURNS(EINVAL, interproc_byte_queue_pop(&q, NULL, 1, &n, NULL));
    RETURNS(EINVAL, interproc_byte_queue_pop(&q, buffer, 8, NULL, NULL));
    RETURNS(EINVAL, interproc_byte_queue_timedpop(&q, &wrong, buffer, 8, &n, NULL));
    RETURNS(EINVAL, interproc_byte_queue_reserve_until(&q, 1, NULL, NULL));
    RETURNS(EINVAL, interproc_byte_queue_reserve_until(&q, 1, &wrong, &room));
    RETURNS(EINVAL, interproc_byte_queue_borrow_until(&q, NULL, NULL, &n, NULL));
    RETURNS(EINVAL, interproc_byte_queue_borrow_until(&q, NULL, &message, NULL, NULL));
    RETURNS(EINVAL, interproc_byte_queue_commit(&q, NULL, 0));
    RETURNS(EINVAL, interproc_byte_queue_commit(&q, buffer, 0));
    RETURNS(EINVAL, interproc_byte_queue_abort(&q, buffer));
    RETURNS(EINVAL, interproc_byte_queue_release(&q, buffer));
    RETURNS(EINVAL, interproc_byte_queue_put_back(&q, NULL));
    RETURNS(EINVAL, interproc_byte_queue_len(&q, NULL));
    RETURNS(EINVAL, interproc_byte_queue_info(&q, NULL));
    RETURNS(EINVAL, interproc_byte_queue_blocker(&q, NULL));
    RETURNS(EINVAL, interproc_byte_queue_waiters(&q, &a, NULL));
    CHECK(len(&q) == 0 && used(&q) == 0);
}

static void copies(void)
{
    interproc_byte_queue_t q = queue("copies"), same = queue("copies");
    char text[LONGEST + 1], buffer[LONGEST];
    struct iovec parts[3] = {{"one ", 4}, {NULL, 0}, {"message", 7}};
    struct timespec past = {0, 0}, soon;
    size_t n = 77;
    bool yes, again = true;
    memset(text, 'x', sizeof text);
    OK(interproc_byte_queue_push(&q, "hello", 5));
    OK(interproc_byte_queue_trypush(&same, NULL, 0));
    OK(interproc_byte_queue_timedpush(&q, text, LONGEST, &past));
    OK(interproc_byte_queue_push_vectored_until(&q, parts, 3, NULL));
    OK(interproc_byte_queue_push_vectored_until(&q, NULL, 0, AT_ONCE));
    OK(interproc_byte_queue_push_vectored_until(&q, parts, 1, &past));
    CHECK(len(&same) == 6 && used(&q) == 7 * 64);
    RETURNS(EMSGSIZE, interproc_byte_queue_push(&q, text, LONGEST + 1));
    RETURNS(EAGAIN, interproc_byte_queue_trypush(&q, text, LONGEST));
    soon = in_ms(5);
    RETURNS(ETIMEDOUT, interproc_byte_queue_timedpush(&q, text, LONGEST, &soon));
    OK(FIELD(interproc_byte_queue_info(&q, &channel_), channel_.is_full, &yes));
    CHECK(!yes);
    RETURNS(EMSGSIZE, interproc_byte_queue_pop(&same, buffer, 4, &n, &again));
    CHECK(n == 5 && again);
    OK(interproc_byte_queue_pop(&same, buffer, 5, &n, &again));
    CHECK(n == 5 && memcmp(buffer, "hello", 5) == 0 && !again);
    OK(interproc_byte_queue_trypop(&same, NULL, 0, &n, NULL));
    CHECK(n == 0);
    OK(interproc_byte_queue_timedpop(&same, &past, buffer, sizeof buffer, &n, NULL));
    CHECK(n == LONGEST && memcmp(buffer, text, LONGEST) == 0);
    expect(&q, "one message", false);
    expect(&q, "", false);
    expect(&q, "one ", false);
    RETURNS(EAGAIN, interproc_byte_queue_trypop(&q, buffer, sizeof buffer, &n, NULL));
    soon = in_ms(5);
    RETURNS(ETIMEDOUT, interproc_byte_queue_timedpop(&q, &soon, buffer, sizeof buffer, &n, NULL));
    OK(FIELD(interproc_byte_queue_info(&q, &channel_), channel_.is_empty, &yes));
    CHECK(yes && used(&q) == 0);
    OK(FIELD(interproc_byte_queue_info(&q, &channel_), channel_.capacity, &n));
    CHECK(n == CAPACITY);
    OK(FIELD(interproc_byte_queue_info(&q, &channel_), channel_.longest, &n));
    CHECK(n == LONGEST);
    OK(FIELD(interproc_byte_queue_info(&q, &channel_), channel_.peak, &n));
    CHECK(n >= 64 && n <= CAPACITY);
}

static void in_place(void)
{
    interproc_byte_queue_t q = queue("in place");
    struct timespec past = {0, 0}, soon;
    const void *message = NULL, *second = NULL;
    void *room = NULL, *other = NULL;
    interproc_who_t who;
    size_t n = 0;
    bool again = true;
    /* Many times round the ring, each time at another place of it. */
    for (int i = 0; i < 50; i++) {
        OK(interproc_byte_queue_reserve_until(&q, LONGEST, NULL, &room));
        OK(interproc_byte_queue_reserve_until(&q, 1, AT_ONCE, &other));
        memcpy(room, "written in place", 16);
        CHECK((uintptr_t)room % 64 == 0 && other != room);
        CHECK(len(&q) == 0);
        OK(interproc_byte_queue_blocker(&q, &who));
        CHECK(who.pid == getpid());
        RETURNS(EDEADLK, interproc_byte_queue_borrow_until(&q, NULL, &message, &n, NULL));
        RETURNS(EMSGSIZE, interproc_byte_queue_commit(&q, room, LONGEST + 1));
        RETURNS(EPERM, interproc_byte_queue_release(&q, room));
        OK(interproc_byte_queue_commit(&q, room, 16));
        RETURNS(EPERM, interproc_byte_queue_commit(&q, room, 16));
        RETURNS(EMSGSIZE, interproc_byte_queue_commit(&q, other, 2));
        OK(interproc_byte_queue_abort(&q, other));
        RETURNS(EPERM, interproc_byte_queue_abort(&q, other));
        OK(interproc_byte_queue_reserve_until(&q, 3, &past, &other));
        memcpy(other, "two", 3);
        OK(interproc_byte_queue_commit(&q, other, 3));
        OK(interproc_byte_queue_borrow_until(&q, NULL, &message, &n, &again));
        CHECK(message == room && n == 16 && memcmp(message, "written in place", 16) == 0 && !again);
        OK(interproc_byte_queue_borrow_until(&q, &past, &second, &n, NULL));
        CHECK(n == 3 && memcmp(second, "two", 3) == 0);
        OK(interproc_byte_queue_put_back(&q, message));
        RETURNS(EPERM, interproc_byte_queue_release(&q, message));
        OK(interproc_byte_queue_release(&q, second));
        expect(&q, "written in place", true);
        soon = in_ms(1);
        RETURNS(ETIMEDOUT, interproc_byte_queue_borrow_until(&q, &soon, &message, &n, NULL));
        CHECK(used(&q) == 0);
        OK(interproc_byte_queue_push(&q, "", 0));
        expect(&q, "", false);
    }
}

static void *releases(void *argument)
{
    const interproc_byte_queue_t *q = ((void **)argument)[0];
    RETURNS(EPERM, interproc_byte_queue_release(q, ((void **)argument)[1]));
    RETURNS(EPERM, interproc_byte_queue_commit(q, ((void **)argument)[2], 1));
    return NULL;
}

static void what_is_held_belongs_to_its_thread(void)
{
    interproc_byte_queue_t q = queue("held");
    const void *message = NULL;
    void *room = NULL, *both[3];
    pthread_t thread;
    size_t n;
    int status = -1;
    OK(interproc_byte_queue_push(&q, "m", 1));
    OK(interproc_byte_queue_reserve_until(&q, 1, NULL, &room));
    OK(interproc_byte_queue_borrow_until(&q, NULL, &message, &n, NULL));
    both[0] = &q;
    both[1] = (void *)message;
    both[2] = room;
    CHECK(pthread_create(&thread, NULL, releases, both) == 0 && pthread_join(thread, NULL) == 0);
    IN_A_CHILD(releases(both), &status);
    CHECK(status == 0);
    OK(interproc_byte_queue_release(&q, message));
    OK(interproc_byte_queue_abort(&q, room));
    CHECK(used(&q) == 0);
}

static void receives_and_dies(const interproc_byte_queue_t *q)
{
    const void *message;
    size_t n;
    OK(interproc_byte_queue_borrow_until(q, NULL, &message, &n, NULL));
    die();
}

static void reserves_and_dies(const interproc_byte_queue_t *q)
{
    void *room;
    OK(interproc_byte_queue_reserve_until(q, LONGEST, NULL, &room));
    die();
}

static void deaths(void)
{
    interproc_byte_queue_t q = queue("deaths");
    const void *message;
    size_t n;
    bool again;
    int status = -1;
    for (int i = 0; i < 20; i++) {
        OK(interproc_byte_queue_push(&q, "m", 1));
        IN_A_CHILD(receives_and_dies(&q), &status);
        CHECK(WIFSIGNALED(status));
        OK(interproc_byte_queue_borrow_until(&q, NULL, &message, &n, &again));
        CHECK(n == 1 && again);
        OK(interproc_byte_queue_release(&q, message));
        IN_A_CHILD(reserves_and_dies(&q), &status);
        CHECK(WIFSIGNALED(status));
        OK(interproc_byte_queue_push(&q, "behind", 6));
        expect(&q, "behind", false);
        CHECK(used(&q) == 0);
    }
}

static void *pops(void *argument)
{
    const interproc_byte_queue_t *q = argument;
    char buffer[LONGEST];
    size_t n;
    RETURNS(EPIPE, interproc_byte_queue_pop(q, buffer, sizeof buffer, &n, NULL));
    return NULL;
}

static void closing(void)
{
    interproc_byte_queue_t q = queue("closing");
    uint32_t consumers = 0, producers = 9;
    pthread_t thread;
    void *room;
    bool yes = true;
    OK(FIELD(interproc_byte_queue_info(&q, &channel_), channel_.is_closed, &yes));
    CHECK(!yes);
    CHECK(pthread_create(&thread, NULL, pops, &q) == 0);
    while (consumers == 0) {
        OK(interproc_byte_queue_waiters(&q, &consumers, &producers));
        sched_yield();
    }
    CHECK(producers == 0);
    OK(interproc_byte_queue_close(&q));
    CHECK(pthread_join(thread, NULL) == 0);
    OK(interproc_byte_queue_close(&q));
    RETURNS(EPIPE, interproc_byte_queue_push(&q, "m", 1));
    RETURNS(EPIPE, interproc_byte_queue_reserve_until(&q, 1, AT_ONCE, &room));
    OK(FIELD(interproc_byte_queue_info(&q, &channel_), channel_.is_closed, &yes));
    CHECK(yes);
}

int main(void)
{
    OK(interproc_segment_anonymous(&segment, 1 << 16));
    bad_arguments();
    copies();
    in_place();
    what_is_held_belongs_to_its_thread();
    deaths();
    closing();
    OK(interproc_segment_close(&segment));
    if (failures == 0)
        puts("the byte queue keeps its promises in C");
    return failures != 0;
}
