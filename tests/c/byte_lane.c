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
    OK(interproc_byte_consumer_tryreceive(c, &message, &len, &again));
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
        RETURNS(EINVAL, interproc_byte_producer_send(np, "x", 1));
        RETURNS(EINVAL, interproc_byte_producer_trysend(np, "x", 1));
        RETURNS(EINVAL, interproc_byte_producer_timedsend(np, "x", 1, &soon));
        RETURNS(EINVAL, interproc_byte_producer_send_vectored(np, &part, 0));
        RETURNS(EINVAL, interproc_byte_producer_trysend_vectored(np, &part, 0));
        RETURNS(EINVAL, interproc_byte_producer_timedsend_vectored(np, &part, 0, &soon));
        RETURNS(EINVAL, interproc_byte_producer_reserve(np, 1, &place));
        RETURNS(EINVAL, interproc_byte_producer_tryreserve(np, 1, &place));
        RETURNS(EINVAL, interproc_byte_producer_timedreserve(np, 1, &soon, &place));
        RETURNS(EINVAL, interproc_byte_producer_commit(np, 0));
        RETURNS(EINVAL, interproc_byte_producer_abort(np));
        RETURNS(EINVAL, interproc_byte_producer_publish_every(np, 1));
        RETURNS(EINVAL, interproc_byte_producer_flush(np));
        RETURNS(EINVAL, interproc_byte_producer_close(np));
        RETURNS(EINVAL, interproc_byte_producer_leave(np));
        RETURNS(EINVAL, interproc_byte_producer_is_closed(np, &yes));
        RETURNS(EINVAL, interproc_byte_producer_capacity(np, &n));
        RETURNS(EINVAL, interproc_byte_producer_longest(np, &n));
        RETURNS(EINVAL, interproc_byte_producer_len_bytes(np, &n));
        RETURNS(EINVAL, interproc_byte_producer_peak(np, &n));
        RETURNS(EINVAL, interproc_byte_producer_partner(np, &who));
        RETURNS(EINVAL, interproc_byte_consumer_receive(nc, &message, &n, NULL));
        RETURNS(EINVAL, interproc_byte_consumer_tryreceive(nc, &message, &n, NULL));
        RETURNS(EINVAL, interproc_byte_consumer_timedreceive(nc, &soon, &message, &n, NULL));
        RETURNS(EINVAL, interproc_byte_consumer_release(nc));
        RETURNS(EINVAL, interproc_byte_consumer_recv_into(nc, &yes, 1, &n, NULL));
        RETURNS(EINVAL, interproc_byte_consumer_tryrecv_into(nc, &yes, 1, &n, NULL));
        RETURNS(EINVAL, interproc_byte_consumer_timedrecv_into(nc, &yes, 1, &soon, &n, NULL));
        RETURNS(EINVAL, interproc_byte_consumer_free_every(nc, 1));
        RETURNS(EINVAL, interproc_byte_consumer_flush(nc));
        RETURNS(EINVAL, interproc_byte_consumer_close(nc));
        RETURNS(EINVAL, interproc_byte_consumer_leave(nc));
        RETURNS(EINVAL, interproc_byte_consumer_is_closed(nc, &yes));
        RETURNS(EINVAL, interproc_byte_consumer_capacity(nc, &n));
        RETURNS(EINVAL, interproc_byte_consumer_longest(nc, &n));
        RETURNS(EINVAL, interproc_byte_consumer_len_bytes(nc, &n));
        RETURNS(EINVAL, interproc_byte_consumer_peak(nc, &n));
        RETURNS(EINVAL, interproc_byte_consumer_partner(nc, &who));
    }
    p = producer("bad");
    c = consumer("bad");
    RETURNS(EINVAL, interproc_byte_producer_send(&p, NULL, 1));
    RETURNS(EINVAL, interproc_byte_producer_send_vectored(&p, NULL, 1));
    RETURNS(EINVAL, interproc_byte_producer_send_vectored(&p, &part, 1));
    RETURNS(EINVAL, interproc_byte_producer_timedsend(&p, "x", 1, NULL));
    RETURNS(EINVAL, interproc_byte_producer_timedsend(&p, "x", 1, &wrong));
    RETURNS(EINVAL, interproc_byte_producer_timedreserve(&p, 1, &wrong, &place));
    RETURNS(EINVAL, interproc_byte_producer_reserve(&p, 1, NULL));
    RETURNS(EINVAL, interproc_byte_producer_commit(&p, 0));
    RETURNS(EINVAL, interproc_byte_producer_capacity(&p, NULL));
    RETURNS(EINVAL, interproc_byte_producer_partner(&p, NULL));
    RETURNS(EINVAL, interproc_byte_consumer_tryreceive(&c, NULL, &n, NULL));
    RETURNS(EINVAL, interproc_byte_consumer_tryreceive(&c, &message, NULL, NULL));
    RETURNS(EINVAL, interproc_byte_consumer_timedreceive(&c, &wrong, &message, &n, NULL));
    RETURNS(EINVAL, interproc_byte_consumer_tryrecv_into(&c, NULL, 1, &n, NULL));
    RETURNS(EINVAL, interproc_byte_consumer_tryrecv_into(&c, &yes, 1, NULL, NULL));
    RETURNS(EINVAL, interproc_byte_consumer_partner(&c, NULL));
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
    OK(interproc_byte_producer_capacity(&p, &n));
    CHECK(n == CAPACITY);
    OK(interproc_byte_consumer_longest(&c, &n));
    CHECK(n == LONGEST);
    OK(interproc_byte_producer_send(&p, "one", 3));
    OK(interproc_byte_producer_trysend(&p, NULL, 0));
    OK(interproc_byte_producer_timedsend(&p, "three", 5, &past));
    OK(interproc_byte_producer_send_vectored(&p, parts, 3));
    OK(interproc_byte_producer_trysend_vectored(&p, NULL, 0));
    OK(interproc_byte_producer_timedsend_vectored(&p, parts, 1, &past));
    RETURNS(EMSGSIZE, interproc_byte_producer_send(&p, buffer, LONGEST + 1));
    RETURNS(EMSGSIZE, interproc_byte_producer_reserve(&p, LONGEST + 1, &place));
    OK(interproc_byte_producer_reserve(&p, LONGEST, &place));
    memcpy(place, "in place", 8);
    RETURNS(EMSGSIZE, interproc_byte_producer_commit(&p, LONGEST + 1));
    OK(interproc_byte_producer_commit(&p, 8)); /* the reservation was still there */
    OK(interproc_byte_producer_tryreserve(&p, LONGEST, &place));
    OK(interproc_byte_producer_abort(&p));
    RETURNS(EINVAL, interproc_byte_producer_commit(&p, 0));
    OK(interproc_byte_producer_timedreserve(&p, LONGEST, &past, &place));
    memcpy(place, "in place", 8);
    OK(interproc_byte_producer_commit(&p, 8));
    OK(interproc_byte_consumer_len_bytes(&c, &n));
    CHECK(n == 16 + 8 + 16 + 24 + 8 + 16 + 16 + 16);
    comes(&c, "one", false);
    RETURNS(EINVAL, interproc_byte_consumer_release(&c)); /* it is released already */
    comes(&c, "", false);
    /* Without a release it comes again. */
    OK(interproc_byte_consumer_receive(&c, &message, &n, NULL));
    OK(interproc_byte_consumer_timedreceive(&c, &past, &message, &n, &again));
    CHECK(n == 5 && memcmp(message, "three", 5) == 0 && !again);
    /* Too small: it says so, and it stays. */
    n = 0;
    RETURNS(EMSGSIZE, interproc_byte_consumer_recv_into(&c, buffer, 4, &n, NULL));
    CHECK(n == 5 && strstr(interproc_last_error_message(), "5 bytes") != NULL);
    OK(interproc_byte_consumer_recv_into(&c, buffer, 5, &n, &again));
    CHECK(n == 5 && memcmp(buffer, "three", 5) == 0 && !again);
    OK(interproc_byte_consumer_tryrecv_into(&c, buffer, sizeof buffer, &n, NULL));
    CHECK(n == 10 && memcmp(buffer, "head, body", 10) == 0);
    OK(interproc_byte_consumer_timedrecv_into(&c, NULL, 0, &past, &n, NULL));
    comes(&c, "head, ", false);
    comes(&c, "in place", false);
    comes(&c, "in place", false);
    RETURNS(EAGAIN, interproc_byte_consumer_tryreceive(&c, &message, &n, NULL));
    RETURNS(EAGAIN, interproc_byte_consumer_tryrecv_into(&c, buffer, 1, &n, NULL));
    RETURNS(ETIMEDOUT, interproc_byte_consumer_timedreceive(&c, &past, &message, &n, NULL));
    soon = in_ms(5);
    RETURNS(ETIMEDOUT, interproc_byte_consumer_timedrecv_into(&c, buffer, 1, &soon, &n, NULL));
    /* Full. */
    while (interproc_byte_producer_trysend(&p, buffer, LONGEST) == 0)
        continue;
    RETURNS(EAGAIN, interproc_byte_producer_trysend(&p, buffer, LONGEST));
    RETURNS(EAGAIN, interproc_byte_producer_tryreserve(&p, LONGEST, &place));
    soon = in_ms(5);
    RETURNS(ETIMEDOUT, interproc_byte_producer_timedsend(&p, buffer, LONGEST, &soon));
    RETURNS(ETIMEDOUT, interproc_byte_producer_timedreserve(&p, LONGEST, &past, &place));
    OK(interproc_byte_producer_peak(&p, &n));
    CHECK(n > CAPACITY / 2 && n <= CAPACITY);
    while (interproc_byte_consumer_tryrecv_into(&c, buffer, sizeof buffer, &n, NULL) == 0)
        CHECK(n == LONGEST);
    /* In batches. */
    OK(interproc_byte_producer_publish_every(&p, 512));
    OK(interproc_byte_consumer_free_every(&c, 512));
    OK(interproc_byte_producer_send(&p, "later", 5));
    RETURNS(EAGAIN, interproc_byte_consumer_tryreceive(&c, &message, &n, NULL));
    OK(interproc_byte_producer_flush(&p));
    comes(&c, "later", false);
    OK(interproc_byte_producer_len_bytes(&p, &n));
    CHECK(n == 16);
    OK(interproc_byte_consumer_flush(&c));
    OK(interproc_byte_producer_len_bytes(&p, &n));
    CHECK(n == 0);
    OK(interproc_byte_producer_publish_every(&p, 0));
    OK(interproc_byte_consumer_free_every(&c, 0));
    /* The end. */
    OK(interproc_byte_producer_send(&p, "last", 4));
    OK(interproc_byte_producer_is_closed(&p, &yes));
    CHECK(!yes);
    OK(interproc_byte_producer_close(&p));
    OK(interproc_byte_consumer_is_closed(&c, &yes));
    CHECK(yes);
    RETURNS(EPIPE, interproc_byte_producer_send(&p, "x", 1));
    comes(&c, "last", false);
    RETURNS(EPIPE, interproc_byte_consumer_receive(&c, &message, &n, NULL));
    OK(interproc_byte_consumer_close(&c));
    OK(interproc_byte_producer_leave(&p));
    OK(interproc_byte_consumer_leave(&c));
}

static interproc_byte_producer_t shared_producer;

static void *send_from_a_thread(void *unused)
{
    OK(interproc_byte_producer_send(&shared_producer, "from a thread", 13));
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
        RETURNS(EPERM, interproc_byte_producer_send(&shared_producer, "x", 1));
        RETURNS(EPERM, interproc_byte_producer_close(&shared_producer));
        RETURNS(EPERM, interproc_byte_producer_leave(&shared_producer));
        RETURNS(EPERM, interproc_byte_consumer_tryreceive(&c, &message, &n, NULL));
        RETURNS(EPERM, interproc_byte_consumer_leave(&c));
    }, &status);
    CHECK(status == 0);
    OK(interproc_byte_consumer_partner(&c, &who));
    CHECK(who.found && who.alive && who.pid == getpid());
    /* Another thread goes on; when that is gone, so is its claim: somebody else may take the seat. */
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, send_from_a_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
    comes(&c, "from a thread", false);
    interproc_byte_producer_t next = producer("others");
    RETURNS(ESTALE, interproc_byte_producer_send(&shared_producer, "x", 1));
    OK(interproc_byte_producer_leave(&next));
    /* A producer dies with a reservation; a consumer with a message. */
    IN_A_CHILD({
        interproc_byte_producer_t p = producer("others");
        void *place;
        OK(interproc_byte_producer_send(&p, "sent", 4));
        OK(interproc_byte_producer_reserve(&p, 50, &place));
        memset(place, 1, 50);
        kill(getpid(), SIGKILL);
    }, &status);
    CHECK(WIFSIGNALED(status));
    OK(interproc_byte_consumer_leave(&c));
    IN_A_CHILD({
        interproc_byte_consumer_t mine = consumer("others");
        const void *message;
        size_t n;
        OK(interproc_byte_consumer_receive(&mine, &message, &n, NULL));
        kill(getpid(), SIGKILL);
    }, &status);
    CHECK(WIFSIGNALED(status));
    c = consumer("others");
    OK(interproc_byte_consumer_partner(&c, &who));
    CHECK(who.found && !who.alive);
    comes(&c, "sent", true);
    next = producer("others");
    OK(interproc_byte_producer_send(&next, "and on", 6));
    comes(&c, "and on", false);
    OK(interproc_byte_consumer_partner(&c, &who));
    CHECK(who.found && who.alive);
    OK(interproc_byte_producer_partner(&next, &who));
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
