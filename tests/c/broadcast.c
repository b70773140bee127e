/* The C interface of the broadcast: every function, every documented error, what happens when somebody dies, and other threads and
 * children. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CAPACITY = 4, LONGEST = 16 };

static interproc_segment_t segment;
static const interproc_broadcast_options_t usual = {CAPACITY, LONGEST, 0, 3, {0, 0, 0, 0}};

static interproc_broadcast_t broadcast(const char *name)
{
    interproc_broadcast_t b = INTERPROC_BROADCAST_INIT;
    OK(interproc_segment_broadcast(&segment, name, &usual, &b));
    return b;
}

static interproc_subscriber_t subscriber(const char *name, uint32_t slow)
{
    interproc_subscriber_t s = INTERPROC_SUBSCRIBER_INIT;
    OK(interproc_segment_subscriber(&segment, name, &usual, slow, 0, &s));
    return s;
}

/* The next message is this text, and so many were missed. */
static void hears(interproc_subscriber_t *s, const char *text, uint64_t before)
{
    char buffer[LONGEST];
    size_t len = 99;
    uint64_t missed = 99;
    OK(interproc_subscriber_tryrecv(s, buffer, sizeof buffer, &len, &missed));
    CHECK(len == strlen(text) && memcmp(buffer, text, len) == 0 && missed == before);
}

static void publish(const interproc_broadcast_t *b, const char *text)
{
    OK(interproc_broadcast_trypublish(b, text, strlen(text)));
}

static void bad_arguments(void)
{
    interproc_broadcast_options_t other = usual;
    interproc_broadcast_t b = broadcast("bad"), nothing = INTERPROC_BROADCAST_INIT;
    interproc_subscriber_t s = subscriber("bad", INTERPROC_SLOW_LAGS), none = INTERPROC_SUBSCRIBER_INIT;
    interproc_publisher_t p = INTERPROC_PUBLISHER_INIT;
    struct timespec wrong = {0, 1000000000};
    interproc_broadcast_info_t info;
    interproc_subscriber_info_t where;
    char buffer[LONGEST + 1];
    const void *message;
    void *place;
    size_t len, total = 0;

    RETURNS(EINVAL, interproc_segment_broadcast(NULL, "bad", &usual, &b));
    RETURNS(EINVAL, interproc_segment_broadcast(&segment, NULL, &usual, &b));
    RETURNS(EINVAL, interproc_segment_broadcast(&segment, "bad", NULL, &b));
    RETURNS(EINVAL, interproc_segment_broadcast(&segment, "bad", &usual, NULL));
    RETURNS(EINVAL, interproc_segment_subscriber(&segment, "bad", &usual, 2, 0, &none));
    RETURNS(EINVAL, interproc_segment_subscriber(&segment, "bad", &usual, INTERPROC_SLOW_WAITS, 0, NULL));
    RETURNS(EINVAL, interproc_segment_publisher_until(&segment, "bad", &usual, &wrong, &p));
    RETURNS(EINVAL, interproc_segment_publisher_until(&segment, "bad", &usual, NULL, NULL));
    RETURNS(EINVAL, interproc_room_broadcast(&usual, NULL));
#define IMPOSSIBLE(field, value)                                                          \
    other = usual;                                                                        \
    other.field = (value);                                                                \
    RETURNS(EINVAL, interproc_segment_broadcast(&segment, "impossible", &other, &b));     \
    RETURNS(EINVAL, interproc_room_broadcast(&other, &total));
    IMPOSSIBLE(capacity, 0)
    IMPOSSIBLE(capacity, 1)
    IMPOSSIBLE(capacity, (size_t)1 << 31)
    IMPOSSIBLE(longest, 0)
    IMPOSSIBLE(longest, (size_t)-1)
    IMPOSSIBLE(subscribers, 4097)
    IMPOSSIBLE(reserved[3], 1)
    CHECK(total == 0);
    other = usual;
    other.capacity = 5;
    RETURNS(EEXIST, interproc_segment_broadcast(&segment, "bad", &other, &nothing));
    RETURNS(EEXIST, interproc_segment_subscriber(&segment, "bad", &other, INTERPROC_SLOW_WAITS, 0, &none));

    b = broadcast("bad");
    RETURNS(EINVAL, interproc_broadcast_publish(NULL, buffer, 1));
    RETURNS(EINVAL, interproc_broadcast_publish(&nothing, buffer, 1));
    RETURNS(EINVAL, interproc_broadcast_publish(&b, NULL, 1));
    RETURNS(EMSGSIZE, interproc_broadcast_publish(&b, buffer, LONGEST + 1));
    RETURNS(EINVAL, interproc_broadcast_timedpublish(&b, buffer, 1, &wrong, NULL));
    RETURNS(EINVAL, interproc_broadcast_reserve_until(&b, NULL, NULL));
    RETURNS(EPERM, interproc_broadcast_commit(&b, 1));
    RETURNS(EPERM, interproc_broadcast_abort(&b));
    RETURNS(EINVAL, interproc_broadcast_info(&b, NULL));
    RETURNS(EINVAL, interproc_subscriber_tryrecv(&none, buffer, 1, &len, NULL));
    RETURNS(EINVAL, interproc_subscriber_tryrecv(&s, NULL, 1, &len, NULL));
    RETURNS(EINVAL, interproc_subscriber_tryrecv(&s, buffer, 1, NULL, NULL));
    RETURNS(EINVAL, interproc_subscriber_timedrecv(&s, &wrong, buffer, 1, &len, NULL));
    RETURNS(EINVAL, interproc_subscriber_borrow_until(&s, AT_ONCE, &message, &len)); /* it lags */
    RETURNS(EINVAL, interproc_subscriber_release(&s));
    RETURNS(EINVAL, interproc_subscriber_info(&s, NULL));
    OK(interproc_subscriber_info(&s, &where));
    CHECK(where.position == 0 && where.lag == 0 && where.missed == 0);
    OK(interproc_broadcast_info(&b, &info));
    CHECK(info.published == 0 && info.lagging == 1 && info.waiting == 0 && !info.is_closed);
    CHECK(info.capacity == CAPACITY && info.longest == LONGEST);

    OK(interproc_segment_publisher_until(&segment, "bad", &usual, NULL, &p));
    RETURNS(EDEADLK, interproc_segment_publisher_until(&segment, "bad", &usual, NULL, &p));
    RETURNS(EINVAL, interproc_publisher_publish(&p, NULL, 1));
    RETURNS(EMSGSIZE, interproc_publisher_publish(&p, buffer, LONGEST + 1));
    RETURNS(EINVAL, interproc_publisher_timedpublish(&p, buffer, 1, &wrong, NULL));
    RETURNS(EINVAL, interproc_publisher_reserve_until(&p, NULL, NULL));
    OK(interproc_publisher_reserve_until(&p, NULL, &place));
    RETURNS(EMSGSIZE, interproc_publisher_commit(&p, LONGEST + 1));
    OK(interproc_publisher_leave(&p));
    RETURNS(EINVAL, interproc_publisher_leave(&p));
    OK(interproc_subscriber_leave(&s));
    RETURNS(EINVAL, interproc_subscriber_leave(&s));
}

static void everybody_gets_everything(void)
{
    interproc_broadcast_t b = broadcast("all");
    interproc_subscriber_t one = subscriber("all", INTERPROC_SLOW_WAITS), lazy = subscriber("all", INTERPROC_SLOW_LAGS), late;
    interproc_publisher_t only;
    interproc_subscriber_info_t where;
    uint64_t position = 99;
    char buffer[LONGEST];
    const void *message;
    void *place;
    size_t len;

    RETURNS(EAGAIN, interproc_subscriber_tryrecv(&one, buffer, sizeof buffer, &len, NULL));
    RETURNS(ETIMEDOUT, interproc_subscriber_timedrecv(&one, AT_ONCE, buffer, sizeof buffer, &len, NULL));
    OK(interproc_broadcast_publish(&b, NULL, 0));
    OK(interproc_broadcast_timedpublish(&b, "b", 1, AT_ONCE, &position));
    CHECK(position == 1);
    OK(interproc_broadcast_reserve_until(&b, NULL, &place));
    RETURNS(EDEADLK, interproc_broadcast_trypublish(&b, "x", 1));
    RETURNS(EMSGSIZE, interproc_broadcast_commit(&b, LONGEST + 1));
    memcpy(place, "see", 3);
    OK(interproc_broadcast_commit(&b, 3));
    OK(interproc_broadcast_reserve_until(&b, NULL, &place));
    OK(interproc_broadcast_abort(&b));
    OK(interproc_segment_publisher_until(&segment, "all", &usual, NULL, &only));
    OK(interproc_publisher_reserve_until(&only, NULL, &place));
    memcpy(place, "d", 1);
    OK(interproc_publisher_commit(&only, 1));
    RETURNS(EINVAL, interproc_publisher_commit(&only, 1));
    RETURNS(EDEADLK, interproc_publisher_publish(&only, "e", 1)); /* this thread's subscriber is behind */
    RETURNS(EAGAIN, interproc_publisher_trypublish(&only, "e", 1));
    hears(&one, "", 0);
    OK(interproc_publisher_timedpublish(&only, "e", 1, NULL, &position));
    CHECK(position == 4);
    RETURNS(EDEADLK, interproc_broadcast_close(&b));
    OK(interproc_publisher_leave(&only));
    RETURNS(EAGAIN, interproc_broadcast_trypublish(&b, "f", 1));

    RETURNS(EMSGSIZE, interproc_subscriber_tryrecv(&one, buffer, 0, &len, NULL));
    CHECK(len == 1);
    OK(interproc_subscriber_borrow_until(&one, AT_ONCE, &message, &len));
    CHECK(len == 1 && memcmp(message, "b", 1) == 0);
    OK(interproc_subscriber_release(&one));
    RETURNS(EINVAL, interproc_subscriber_release(&one));
    OK(interproc_subscriber_recv(&one, buffer, sizeof buffer, &len, NULL));
    CHECK(len == 3 && memcmp(buffer, "see", 3) == 0);
    OK(interproc_segment_subscriber(&segment, "all", &usual, INTERPROC_SLOW_WAITS, 2, &late));
    OK(interproc_subscriber_info(&late, &where));
    CHECK(where.position == 3 && where.lag == 2);
    hears(&late, "d", 0);
    RETURNS(EBUSY, interproc_segment_subscriber(&segment, "all", &usual, INTERPROC_SLOW_WAITS, 0, &late)); /* three */
    OK(interproc_subscriber_leave(&late));
    hears(&lazy, "see", 2); /* what is about to be overwritten is missed, too */
    OK(interproc_subscriber_info(&lazy, &where));
    CHECK(where.position == 3 && where.missed == 2);
    OK(interproc_broadcast_close(&b));
    OK(interproc_broadcast_close(&b));
    RETURNS(EPIPE, interproc_broadcast_trypublish(&b, "no", 2));
    hears(&one, "d", 0);
    hears(&one, "e", 0);
    RETURNS(EPIPE, interproc_subscriber_tryrecv(&one, buffer, sizeof buffer, &len, NULL));
    RETURNS(EPIPE, interproc_subscriber_recv(&one, buffer, sizeof buffer, &len, NULL));
    OK(interproc_subscriber_leave(&one));
    OK(interproc_subscriber_leave(&lazy));
}

static void one_type(void)
{
    interproc_broadcast_options_t typed = {4, 8, 77, 0, {0, 0, 0, 0}};
    interproc_broadcast_t b = INTERPROC_BROADCAST_INIT;
    interproc_publisher_t p;
    uint64_t value = 7;
    void *place;
    OK(interproc_segment_broadcast(&segment, "typed", &typed, &b));
    RETURNS(EINVAL, interproc_broadcast_publish(&b, &value, 4));
    OK(interproc_broadcast_publish(&b, &value, 8));
    OK(interproc_broadcast_reserve_until(&b, NULL, &place));
    RETURNS(EINVAL, interproc_broadcast_commit(&b, 4));
    OK(interproc_broadcast_commit(&b, 8));
    OK(interproc_segment_publisher_until(&segment, "typed", &typed, NULL, &p));
    RETURNS(EINVAL, interproc_publisher_trypublish(&p, &value, 4));
    RETURNS(EINVAL, interproc_publisher_commit(&p, 4));
    OK(interproc_publisher_reserve_until(&p, NULL, &place));
    OK(interproc_publisher_close(&p));
    RETURNS(EPIPE, interproc_publisher_commit(&p, 8));
    RETURNS(EPIPE, interproc_publisher_publish(&p, &value, 8));
    OK(interproc_publisher_leave(&p));
    typed.type_id = 78;
    RETURNS(EEXIST, interproc_segment_broadcast(&segment, "typed", &typed, &b));
}

static int in_a_child(void (*does)(const interproc_broadcast_t *), const interproc_broadcast_t *b, int dies)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        failures = 0;
        does(b);
        if (dies)
            kill(getpid(), SIGKILL);
        _exit(failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static void subscribes(const interproc_broadcast_t *b)
{
    interproc_subscriber_t s = subscriber("deaths", INTERPROC_SLOW_WAITS);
    (void)b;
    (void)s;
}

static void reserves(const interproc_broadcast_t *b)
{
    void *place;
    OK(interproc_broadcast_reserve_until(b, NULL, &place));
}

static void is_the_only_one(const interproc_broadcast_t *b)
{
    interproc_publisher_t p;
    (void)b;
    OK(interproc_segment_publisher_until(&segment, "deaths", &usual, NULL, &p));
    OK(interproc_publisher_publish(&p, "last", 4));
}

static void deaths(void)
{
    interproc_broadcast_t b = broadcast("deaths");
    interproc_subscriber_t one;
    interproc_broadcast_info_t info;
    int i;
    CHECK(WIFSIGNALED(in_a_child(subscribes, &b, 1)));
    for (i = 0; i < 3 * CAPACITY; i++)
        publish(&b, "x"); /* nobody is waited for */
    one = subscriber("deaths", INTERPROC_SLOW_WAITS);
    CHECK(WIFSIGNALED(in_a_child(reserves, &b, 1)));
    publish(&b, "next");
    hears(&one, "next", 0);
    CHECK(WIFSIGNALED(in_a_child(is_the_only_one, &b, 1)));
    hears(&one, "last", 0);
    publish(&b, "more");
    hears(&one, "more", 0);
    OK(interproc_broadcast_info(&b, &info));
    CHECK(info.waiting == 1 && info.lagging == 0);
    OK(interproc_subscriber_leave(&one));
}

static interproc_subscriber_t shared_one;
static interproc_publisher_t shared_only;

static void refused_in_a_child(const interproc_broadcast_t *b)
{
    char buffer[LONGEST];
    size_t len;
    RETURNS(EPERM, interproc_subscriber_tryrecv(&shared_one, buffer, sizeof buffer, &len, NULL));
    RETURNS(EPERM, interproc_subscriber_leave(&shared_one));
    RETURNS(EPERM, interproc_publisher_trypublish(&shared_only, "x", 1));
    RETURNS(EPERM, interproc_publisher_leave(&shared_only));
    RETURNS(EBUSY, interproc_broadcast_trypublish(b, "x", 1));
}

static void *goes_on(void *b)
{
    char buffer[LONGEST];
    size_t len;
    OK(interproc_subscriber_recv(&shared_one, buffer, sizeof buffer, &len, NULL));
    CHECK(len == 1 && buffer[0] == 'y');
    RETURNS(EPERM, interproc_publisher_trypublish(&shared_only, "x", 1)); /* another thread's */
    RETURNS(EBUSY, interproc_broadcast_trypublish(b, "x", 1));
    OK(interproc_subscriber_leave(&shared_one));
    return NULL;
}

static void threads_and_children(void)
{
    interproc_broadcast_t b = broadcast("threads");
    pthread_t thread;
    shared_one = subscriber("threads", INTERPROC_SLOW_WAITS);
    OK(interproc_segment_publisher_until(&segment, "threads", &usual, NULL, &shared_only));
    CHECK(in_a_child(refused_in_a_child, &b, 0) == 0);
    OK(interproc_publisher_publish(&shared_only, "y", 1));
    OK(pthread_create(&thread, NULL, goes_on, &b));
    OK(pthread_join(thread, NULL));
    OK(interproc_publisher_leave(&shared_only));
    publish(&b, "z");
}

int main(void)
{
    OK(interproc_segment_anonymous(&segment, 1 << 17));
    bad_arguments();
    everybody_gets_everything();
    one_type();
    deaths();
    threads_and_children();
    OK(interproc_segment_close(&segment));
    return failures != 0;
}
