/* The C interface of the latest value: every function, every documented error, what happens when a process dies, and
 * other threads and children. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    uint64_t words[9];
    unsigned char odd[5];
} value_t;

static interproc_segment_t segment;

static value_t of(uint64_t n)
{
    value_t value;
    memset(&value, 0, sizeof value);
    for (int i = 0; i < 9; i++)
        value.words[i] = n;
    memset(value.odd, (int)n, sizeof value.odd);
    return value;
}

static bool is(const value_t *value, uint64_t n)
{
    value_t expected = of(n);
    return memcmp(value->words, expected.words, sizeof expected.words) == 0 &&
           memcmp(value->odd, expected.odd, sizeof expected.odd) == 0;
}

static interproc_latest_t latest_of(const char *name)
{
    interproc_latest_t l = INTERPROC_LATEST_INIT;
    value_t zero = of(0);
    OK(interproc_segment_latest(&segment, name, sizeof(value_t), &zero, &l));
    return l;
}

static void bad_arguments(void)
{
    interproc_latest_t l = INTERPROC_LATEST_INIT;
    struct timespec soon = in_ms(1), wrong = {0, 1000000000};
    value_t value = of(3);
    interproc_who_t who;
    uint64_t version = 77;
    uint32_t n;
    RETURNS(EINVAL, interproc_segment_latest(NULL, "l", 8, NULL, &l));
    RETURNS(EINVAL, interproc_segment_latest(&segment, NULL, 8, NULL, &l));
    RETURNS(EINVAL, interproc_segment_latest(&segment, "l", 0, NULL, &l));
    RETURNS(EINVAL, interproc_segment_latest(&segment, "l", 8, NULL, NULL));
    RETURNS(EINVAL, interproc_segment_latest_as(&segment, "l", 0, 8, NULL, 251, &l));
    RETURNS(EINVAL, interproc_segment_latest_as(&segment, NULL, 1, 8, NULL, 4, &l));
    RETURNS(EINVAL, interproc_segment_latest_as(&segment, "l", 1, 8, NULL, 4, NULL));
    RETURNS(ENOMEM, interproc_segment_latest(&segment, "l", 1 << 24, NULL, &l));
    for (int null = 0; null < 2; null++) {
        const interproc_latest_t *none = null ? NULL : &l;
        RETURNS(EINVAL, interproc_latest_set(none, &value, NULL));
        RETURNS(EINVAL, interproc_latest_set_until(none, &value, AT_ONCE, NULL));
        RETURNS(EINVAL, interproc_latest_set_until(none, &value, &soon, NULL));
        RETURNS(EINVAL, interproc_latest_get(none, &value, NULL));
        RETURNS(EINVAL, interproc_latest_version(none, &version));
        RETURNS(EINVAL, interproc_latest_wait_newer(none, 0, &value, NULL));
        RETURNS(EINVAL, interproc_latest_wait_newer_until(none, 0, &soon, &value, NULL));
        RETURNS(EINVAL, interproc_latest_writer(none, &who));
        RETURNS(EINVAL, interproc_latest_waiters(none, &n));
    }
    l = latest_of("bad");
    RETURNS(EINVAL, interproc_latest_set(&l, NULL, NULL));
    RETURNS(EINVAL, interproc_latest_set_until(&l, NULL, AT_ONCE, NULL));
    RETURNS(EINVAL, interproc_latest_set_until(&l, NULL, &soon, NULL));
    RETURNS(EINVAL, interproc_latest_set_until(&l, &value, &wrong, NULL));
    RETURNS(EINVAL, interproc_latest_get(&l, NULL, NULL));
    RETURNS(EINVAL, interproc_latest_version(&l, NULL));
    RETURNS(EINVAL, interproc_latest_wait_newer(&l, 0, NULL, NULL));
    RETURNS(EINVAL, interproc_latest_wait_newer_until(&l, 0, &wrong, &value, NULL));
    RETURNS(EINVAL, interproc_latest_waiters(&l, NULL));
    RETURNS(EINVAL, interproc_latest_writer(&l, NULL));
    RETURNS(EEXIST, interproc_segment_latest(&segment, "bad", 8, NULL, &l));
    RETURNS(EEXIST, interproc_segment_latest_as(&segment, "bad", 0, sizeof value, NULL, 5, &l));
    /* Nothing is written on failure. */
    RETURNS(ETIMEDOUT, interproc_latest_wait_newer_until(&l, 0, &soon, &value, &version));
    CHECK(is(&value, 3) && version == 77);
}

static void values(void)
{
    interproc_latest_t l, again;
    value_t value = of(5);
    struct timespec soon = in_ms(50);
    uint64_t version = 77;
    uint32_t n = 99;
    interproc_who_t who;
    OK(interproc_segment_latest(&segment, "values", sizeof value, &value, &l));
    value = of(6);
    OK(interproc_segment_latest(&segment, "values", sizeof value, &value, &again));
    OK(interproc_latest_get(&again, &value, &version));
    CHECK(is(&value, 5) && version == 0);
    for (uint64_t i = 1; i <= 20; i++) {
        value = of(i);
        if (i % 3 == 0)
            OK(interproc_latest_set(&l, &value, &version));
        else if (i % 3 == 1)
            OK(interproc_latest_set_until(&l, &value, AT_ONCE, &version));
        else
            OK(interproc_latest_set_until(&l, &value, &soon, &version));
        CHECK(version == i);
        OK(interproc_latest_get(&again, &value, NULL));
        CHECK(is(&value, i));
    }
    OK(interproc_latest_version(&l, &version));
    CHECK(version == 20);
    OK(interproc_latest_wait_newer(&l, 19, &value, &version));
    CHECK(version == 20 && is(&value, 20));
    OK(interproc_latest_waiters(&l, &n));
    OK(interproc_latest_writer(&l, &who));
    CHECK(n == 0 && !who.found);
    /* Without a first value: zeros; and without announcements. */
    OK(interproc_segment_latest_as(&segment, "zeros", 0, sizeof value, NULL, 0, &l));
    value = of(6);
    OK(interproc_latest_get(&l, &value, NULL));
    CHECK(is(&value, 0));
}

static void *waits(void *unused)
{
    interproc_latest_t l = latest_of("waiting");
    value_t value = of(0);
    uint64_t version = 0;
    OK(interproc_latest_wait_newer(&l, 0, &value, &version));
    CHECK(version == 1 && is(&value, 9));
    return unused;
}

static void waiting(void)
{
    interproc_latest_t l = latest_of("waiting");
    pthread_t thread;
    uint32_t n = 0;
    int status;
    CHECK(pthread_create(&thread, NULL, waits, NULL) == 0);
    while (n == 0 && failures == 0) {
        OK(interproc_latest_waiters(&l, &n));
        sched_yield();
    }
    pid_t child = fork();
    if (child == 0) {
        value_t value = of(9);
        failures = 0;
        OK(interproc_latest_set(&l, &value, NULL));
        kill(getpid(), SIGKILL);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    CHECK(pthread_join(thread, NULL) == 0);
}

/* Children set it and are killed, others read it: what is read is whole. */
static void deaths(void)
{
    interproc_latest_t l = latest_of("deaths");
    uint64_t last = 0;
    for (int round = 0; round < 20; round++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            for (uint64_t i = 1;; i++) {
                value_t value = of(i);
                interproc_latest_set(&l, &value, NULL);
            }
        }
        for (int i = 0; i < 2000; i++) {
            value_t value = of(1);
            uint64_t version = 0;
            OK(interproc_latest_get(&l, &value, &version));
            CHECK(is(&value, value.words[0]) && version >= last);
            last = version;
        }
        kill(child, SIGKILL);
        CHECK(waitpid(child, &status, 0) == child);
    }
    value_t value = of(4);
    OK(interproc_latest_set(&l, &value, NULL));
}

int main(void)
{
    OK(interproc_segment_anonymous(&segment, 1 << 20));
    bad_arguments();
    values();
    waiting();
    deaths();
    OK(interproc_segment_close(&segment));
    return failures;
}
