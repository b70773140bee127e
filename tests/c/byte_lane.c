/* The C interface of the byte lane: every function, every documented error, what happens when a process dies, and other
 * threads and children. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CAPACITY = 1024, LONGEST = 100 };

static interproc_segment_t segment;

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

static interproc_byte_producer_t producer(const char *name)
{
    interproc_byte_producer_t p = INTERPROC_BYTE_PRODUCER_INIT;
    OK(interproc_segment_byte_producer(&segment, name, CAPACITY, LONGEST, &p));
    return p;
}

static interproc_byte_consumer_t consumer(const char *name)
{
    interproc_byte_consumer_t c = INTERPROC_BYTE_CONSUMER_INIT;
    OK(interproc_segment_byte_consumer(&segment, name, CAPACITY, LONGEST, &c));
    return c;
}

/* The next message is this one, read in place. */
static void comes(interproc_byte_consumer_t *c, const char *text, bool redelivered)
{
    const void *message = NULL;
    size_t len = 999;
    bool again = !redelivered;
    OK(interproc_byte_consumer_borrow_until(c, AT_ONCE, &message, &len, &again));
    CHECK(len == strlen(text) && memcmp(message, text, len) == 0 && again == redelivered);
    OK(interproc_byte_consumer_release(c));
}

static void bad_arguments(void)
{
    interproc_byte_producer_t p = INTERPROC_BYTE_PRODUCER_INIT;
    interproc_byte_consumer_t c = INTERPROC_BYTE_CONSUMER_INIT;
    struct timespec soon = in_ms(1), wrong = {0, 1000000000};
    struct iovec part = {NULL, 1};
    interproc_who_t who;
    void *place;
    const void *message;
    size_t n;
    bool yes;
    RETURNS(EINVAL, interproc_segment_byte_producer(NULL, "x", CAPACITY, LONGEST, &p));
    RETURNS(EINVAL, interproc_segment_byte_producer(&segment, NULL, CAPACITY, LONGEST, &p));
    RETURNS(EINVAL, interproc_segment_byte_producer(&segment, "x", CAPACITY, LONGEST, NULL));
    RETURNS(EINVAL, interproc_segment_byte_producer(&segment, "x", CAPACITY, (size_t)1 << 32, &p));
    RETURNS(EINVAL, interproc_segment_byte_consumer(NULL, "x", CAPACITY, LONGEST, &c));
    RETURNS(EINVAL, interproc_segment_byte_consumer(&segment, NULL, CAPACITY, LONGEST, &c));
    RETURNS(EINVAL, interproc_segment_byte_consumer(&segment, "x", CAPACITY, LONGEST, NULL));
    for (int null = 0; null < 2; null++) {
        interproc_byte_producer_t *np = null ? NULL : &p;
        interproc_byte_consumer_t *nc = null ? NULL : &c;
        RETURNS(EINVAL, interproc_byte_producer_push(np, "x", 1));
        RETURNS(EINVAL, interproc_byte_producer_trypush(np, "x", 1));
        RETURNS(EINVAL, interproc_byte_producer_timedpush(np, "x", 1, &soon));
        RETURNS(EINVAL, interproc_byte_producer_push_vectored_until(np, &part, 0, NULL));
        RETURNS(EINVAL, interproc_byte_producer_push_vectored_until(np, &part, 0, AT_ONCE));
        RETURNS(EINVAL, interproc_byte_producer_push_vectored_until(np, &part, 0, &soon));
        RETURNS(EINVAL, interproc_byte_producer_reserve_until(np, 1, NULL, &place));
        RETURNS(EINVAL, interproc_byte_producer_reserve_until(np, 1, AT_ONCE, &place));
        RETURNS(EINVAL, interproc_byte_producer_reserve_until(np, 1, &soon, &place));
        RETURNS(EINVAL, interproc_byte_producer_commit(np, 0));
        RETURNS(EINVAL, interproc_byte_producer_abort(np));
        RETURNS(EINVAL, interproc_byte_producer_publish_every(np, 1));
        RETURNS(EINVAL, interproc_byte_producer_flush(np));
        RETURNS(EINVAL, interproc_byte_producer_close(np));
        RETURNS(EINVAL, interproc_byte_producer_leave(np));
        RETURNS(EINVAL, interproc_byte_producer_info(np, &channel_));
        RETURNS(EINVAL, interproc_byte_producer_peer(np, &who));
        RETURNS(EINVAL, interproc_byte_consumer_borrow_until(nc, NULL, &message, &n, NULL));
        RETURNS(EINVAL, interproc_byte_consumer_borrow_until(nc, AT_ONCE, &message, &n, NULL));
        RETURNS(EINVAL, interproc_byte_consumer_borrow_until(nc, &soon, &message, &n, NULL));
        RETURNS(EINVAL, interproc_byte_consumer_release(nc));
        RETURNS(EINVAL, interproc_byte_consumer_pop(nc, &yes, 1, &n, NULL));
        RETURNS(EINVAL, interproc_byte_consumer_trypop(nc, &yes, 1, &n, NULL));
        RETURNS(EINVAL, interproc_byte_consumer_timedpop(nc, &soon, &yes, 1, &n, NULL));
        RETURNS(EINVAL, interproc_byte_consumer_free_every(nc, 1));
        RETURNS(EINVAL, interproc_byte_consumer_flush(nc));
        RETURNS(EINVAL, interproc_byte_consumer_close(nc));
        RETURNS(EINVAL, interproc_byte_consumer_leave(nc));
        RETURNS(EINVAL, interproc_byte_consumer_info(nc, &channel_));
        RETURNS(EINVAL, interproc_byte_consumer_peer(nc, &who));
    }
    p = producer("bad");
    c = consumer("bad");
    RETURNS(EINVAL, interproc_byte_producer_push(&p, NULL, 1));
    RETURNS(EINVAL, interproc_byte_producer_push_vectored_until(&p, NULL, 1, NULL));
    RETURNS(EINVAL, interproc_byte_producer_push_vectored_until(&p, &part, 1, NULL));
    RETURNS(EINVAL, interproc_byte_producer_timedpush(&p, "x", 1, &wrong));
    RETURNS(EINVAL, interproc_byte_producer_reserve_until(&p, 1, &wrong, &place));
    RETURNS(EINVAL, interproc_byte_producer_reserve_until(&p, 1, NULL, NULL));
    RETURNS(EINVAL, interproc_byte_producer_commit(&p, 0));
    RETURNS(EINVAL, interproc_byte_producer_abort(&p));
    RETURNS(EINVAL, interproc_byte_producer_info(&p, NULL));
    RETURNS(EINVAL, interproc_byte_producer_peer(&p, NULL));
    RETURNS(EINVAL, interproc_byte_consumer_borrow_until(&c, AT_ONCE, NULL, &n, NULL));
    RETURNS(EINVAL, interproc_byte_consumer_borrow_until(&c, AT_ONCE, &message, NULL, NULL));
    RETURNS(EINVAL, interproc_byte_consumer_borrow_until(&c, &wrong, &message, &n, NULL));
    RETURNS(EINVAL, interproc_byte_consumer_trypop(&c, NULL, 1, &n, NULL));
    RETURNS(EINVAL, interproc_byte_consumer_trypop(&c, &yes, 1, NULL, NULL));
    RETURNS(EINVAL, interproc_byte_consumer_peer(&c, NULL));
    RETURNS(EBUSY, interproc_segment_byte_producer(&segment, "bad", CAPACITY, LONGEST, &p));
    RETURNS(EBUSY, interproc_segment_byte_consumer(&segment, "bad", CAPACITY, LONGEST, &c));
    RETURNS(EEXIST, interproc_segment_byte_consumer(&segment, "bad", CAPACITY, LONGEST + 1, &c));
    OK(interproc_byte_producer_leave(&p));
    OK(interproc_byte_consumer_leave(&c));
    RETURNS(EINVAL, interproc_byte_producer_leave(&p));
    RETURNS(EINVAL, interproc_byte_consumer_leave(&c));
}

static void messages(void)
{
    interproc_byte_producer_t p = producer("lane");
    interproc_byte_consumer_t c = consumer("lane");
    struct timespec past = {0, 0}, soon;
    struct iovec parts[] = {{"head, ", 6}, {NULL, 0}, {"body", 4}};
    char buffer[LONGEST];
    void *place = NULL;
    const void *message;
    size_t n = 7;
    bool again, yes;
    OK(FIELD(interproc_byte_producer_info(&p, &channel_), channel_.capacity, &n));
    CHECK(n == CAPACITY);
    OK(FIELD(interproc_byte_consumer_info(&c, &channel_), channel_.longest, &n));
    CHECK(n == LONGEST);
    OK(interproc_byte_producer_push(&p, "one", 3));
    OK(interproc_byte_producer_trypush(&p, NULL, 0));
    OK(interproc_byte_producer_timedpush(&p, "three", 5, &past));
    OK(interproc_byte_producer_push_vectored_until(&p, parts, 3, NULL));
    OK(interproc_byte_producer_push_vectored_until(&p, NULL, 0, AT_ONCE));
    OK(interproc_byte_producer_push_vectored_until(&p, parts, 1, &past));
    RETURNS(EMSGSIZE, interproc_byte_producer_push(&p, buffer, LONGEST + 1));
    RETURNS(EMSGSIZE, interproc_byte_producer_reserve_until(&p, LONGEST + 1, NULL, &place));
    OK(interproc_byte_producer_reserve_until(&p, LONGEST, NULL, &place));
    memcpy(place, "in place", 8);
    RETURNS(EMSGSIZE, interproc_byte_producer_commit(&p, LONGEST + 1));
    OK(interproc_byte_producer_commit(&p, 8)); /* the reservation was still there */
    OK(interproc_byte_producer_reserve_until(&p, LONGEST, AT_ONCE, &place));
    OK(interproc_byte_producer_abort(&p));
    RETURNS(EINVAL, interproc_byte_producer_commit(&p, 0));
    CHECK(strstr(interproc_last_error_message(), "nothing is reserved)") != NULL);
    RETURNS(EINVAL, interproc_byte_producer_abort(&p)); /* it is aborted already */
    CHECK(strstr(interproc_last_error_message(), "nothing is reserved)") != NULL);
    OK(interproc_byte_producer_reserve_until(&p, LONGEST, &past, &place));
    memcpy(place, "in place", 8);
    OK(interproc_byte_producer_commit(&p, 8));
    OK(FIELD(interproc_byte_consumer_info(&c, &channel_), channel_.used, &n));
    CHECK(n == 16 + 8 + 16 + 24 + 8 + 16 + 16 + 16);
    comes(&c, "one", false);
    RETURNS(EINVAL, interproc_byte_consumer_release(&c)); /* it is released already */
    CHECK(strstr(interproc_last_error_message(), "nothing is borrowed)") != NULL);
    comes(&c, "", false);
    /* Without a release it comes again. */
    OK(interproc_byte_consumer_borrow_until(&c, NULL, &message, &n, NULL));
    OK(interproc_byte_consumer_borrow_until(&c, &past, &message, &n, &again));
    CHECK(n == 5 && memcmp(message, "three", 5) == 0 && !again);
    /* Too small: it says so, and it stays. */
    n = 0;
    RETURNS(EMSGSIZE, interproc_byte_consumer_pop(&c, buffer, 4, &n, NULL));
    CHECK(n == 5 && strstr(interproc_last_error_message(), "5 bytes") != NULL);
    OK(interproc_byte_consumer_pop(&c, buffer, 5, &n, &again));
    CHECK(n == 5 && memcmp(buffer, "three", 5) == 0 && !again);
    RETURNS(EINVAL, interproc_byte_consumer_release(&c)); /* the pop has ended the borrow */
    OK(interproc_byte_consumer_trypop(&c, buffer, sizeof buffer, &n, NULL));
    CHECK(n == 10 && memcmp(buffer, "head, body", 10) == 0);
    OK(interproc_byte_consumer_timedpop(&c, &past, NULL, 0, &n, NULL));
    comes(&c, "head, ", false);
    comes(&c, "in place", false);
    comes(&c, "in place", false);
    RETURNS(ETIMEDOUT, interproc_byte_consumer_borrow_until(&c, AT_ONCE, &message, &n, NULL));
    RETURNS(EAGAIN, interproc_byte_consumer_trypop(&c, buffer, 1, &n, NULL));
    RETURNS(ETIMEDOUT, interproc_byte_consumer_borrow_until(&c, &past, &message, &n, NULL));
    soon = in_ms(5);
    RETURNS(ETIMEDOUT, interproc_byte_consumer_timedpop(&c, &soon, buffer, 1, &n, NULL));
    /* Full. */
    while (interproc_byte_producer_trypush(&p, buffer, LONGEST) == 0)
        continue;
    RETURNS(EAGAIN, interproc_byte_producer_trypush(&p, buffer, LONGEST));
    RETURNS(ETIMEDOUT, interproc_byte_producer_reserve_until(&p, LONGEST, AT_ONCE, &place));
    soon = in_ms(5);
    RETURNS(ETIMEDOUT, interproc_byte_producer_timedpush(&p, buffer, LONGEST, &soon));
    RETURNS(ETIMEDOUT, interproc_byte_producer_reserve_until(&p, LONGEST, &past, &place));
    OK(FIELD(interproc_byte_producer_info(&p, &channel_), channel_.peak, &n));
    CHECK(n > CAPACITY / 2 && n <= CAPACITY);
    while (interproc_byte_consumer_trypop(&c, buffer, sizeof buffer, &n, NULL) == 0)
        CHECK(n == LONGEST);
    /* In batches. */
    OK(interproc_byte_producer_publish_every(&p, 512));
    OK(interproc_byte_consumer_free_every(&c, 512));
    OK(interproc_byte_producer_push(&p, "later", 5));
    RETURNS(ETIMEDOUT, interproc_byte_consumer_borrow_until(&c, AT_ONCE, &message, &n, NULL));
    OK(interproc_byte_producer_flush(&p));
    comes(&c, "later", false);
    OK(FIELD(interproc_byte_producer_info(&p, &channel_), channel_.used, &n));
    CHECK(n == 16);
    OK(interproc_byte_consumer_flush(&c));
    OK(FIELD(interproc_byte_producer_info(&p, &channel_), channel_.used, &n));
    CHECK(n == 0);
    OK(interproc_byte_producer_publish_every(&p, 0));
    OK(interproc_byte_consumer_free_every(&c, 0));
    /* The end. */
    OK(interproc_byte_producer_push(&p, "last", 4));
    OK(FIELD(interproc_byte_producer_info(&p, &channel_), channel_.is_closed, &yes));
    CHECK(!yes);
    OK(interproc_byte_producer_close(&p));
    OK(FIELD(interproc_byte_consumer_info(&c, &channel_), channel_.is_closed, &yes));
    CHECK(yes);
    RETURNS(EPIPE, interproc_byte_producer_push(&p, "x", 1));
    comes(&c, "last", false);
    RETURNS(EPIPE, interproc_byte_consumer_borrow_until(&c, NULL, &message, &n, NULL));
    OK(interproc_byte_consumer_close(&c));
    OK(interproc_byte_producer_leave(&p));
    OK(interproc_byte_consumer_leave(&c));
}

static interproc_byte_producer_t shared_producer;

static void *send_from_a_thread(void *unused)
{
    OK(interproc_byte_producer_push(&shared_producer, "from a thread", 13));
    return unused;
}

static void others(void)
{
    int status;
    interproc_byte_consumer_t c = consumer("others");
    interproc_who_t who;
    /* A child's copy of a handle is refused, and leaves nothing. */
    shared_producer = producer("others");
    IN_A_CHILD({
        const void *message;
        size_t n;
        RETURNS(EPERM, interproc_byte_producer_push(&shared_producer, "x", 1));
        RETURNS(EPERM, interproc_byte_producer_close(&shared_producer));
        RETURNS(EPERM, interproc_byte_producer_leave(&shared_producer));
        RETURNS(EPERM, interproc_byte_consumer_borrow_until(&c, AT_ONCE, &message, &n, NULL));
        RETURNS(EPERM, interproc_byte_consumer_leave(&c));
    }, &status);
    CHECK(status == 0);
    OK(interproc_byte_consumer_peer(&c, &who));
    CHECK(who.found && who.alive && who.pid == getpid());
    /* Another thread goes on; when that is gone, so is its claim: somebody else may take the seat. */
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, send_from_a_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
    comes(&c, "from a thread", false);
    interproc_byte_producer_t next = producer("others");
    RETURNS(ESTALE, interproc_byte_producer_push(&shared_producer, "x", 1));
    OK(interproc_byte_producer_leave(&next));
    /* A producer dies with a reservation; a consumer with a message. */
    IN_A_CHILD({
        interproc_byte_producer_t p = producer("others");
        void *place;
        OK(interproc_byte_producer_push(&p, "sent", 4));
        OK(interproc_byte_producer_reserve_until(&p, 50, NULL, &place));
        memset(place, 1, 50);
        kill(getpid(), SIGKILL);
    }, &status);
    CHECK(WIFSIGNALED(status));
    OK(interproc_byte_consumer_leave(&c));
    IN_A_CHILD({
        interproc_byte_consumer_t mine = consumer("others");
        const void *message;
        size_t n;
        OK(interproc_byte_consumer_borrow_until(&mine, NULL, &message, &n, NULL));
        kill(getpid(), SIGKILL);
    }, &status);
    CHECK(WIFSIGNALED(status));
    c = consumer("others");
    OK(interproc_byte_consumer_peer(&c, &who));
    CHECK(who.found && !who.alive);
    comes(&c, "sent", true);
    next = producer("others");
    OK(interproc_byte_producer_push(&next, "and on", 6));
    comes(&c, "and on", false);
    OK(interproc_byte_consumer_peer(&c, &who));
    CHECK(who.found && who.alive);
    OK(interproc_byte_producer_peer(&next, &who));
    CHECK(who.found && who.pid == getpid());
    OK(interproc_byte_producer_leave(&next));
    OK(interproc_byte_consumer_leave(&c));
}

int main(void)
{
    OK(interproc_segment_anonymous(&segment, 1 << 16));
    bad_arguments();
    messages();
    others();
    OK(interproc_segment_close(&segment));
    printf("%d failures\n", failures);
    return failures != 0;
}
