/* The reader-writer lock from C. Each test is a sentence; the argument names the only one to run. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

typedef struct {
    interproc_rwlock_t lock;
    unsigned value;
} price_t;

static interproc_segment_t segment;
static price_t *price;

/* Runs in another thread, which may go on holding what it got, and waits for its end: a thread's end is a death. */
static int in_thread_result;
static void *call_in_thread(void *call)
{
    in_thread_result = (*(int (**)(void))call)();
    return NULL;
}
static int in_thread(int (*call)(void))
{
    pthread_t thread;
    pthread_create(&thread, NULL, call_in_thread, &call);
    pthread_join(thread, NULL);
    return in_thread_result;
}

static const struct timespec past = {0, 1};
static const struct timespec impossible[] = {{0, -1}, {0, 1000000000}};

static int rdlock(void) { return interproc_rwlock_rdlock(&price->lock); }
static int tryrdlock(void) { return interproc_rwlock_tryrdlock(&price->lock); }
static int wrlock(void) { return interproc_rwlock_wrlock(&price->lock); }
static int trywrlock(void) { return interproc_rwlock_trywrlock(&price->lock); }
static int unlock(void) { return interproc_rwlock_unlock(&price->lock); }
static int downgrade(void) { return interproc_rwlock_downgrade(&price->lock); }
static int consistent(void) { return interproc_rwlock_consistent(&price->lock); }
static int destroy(void) { return interproc_rwlock_destroy(&price->lock); }
static int timedrdlock_10_ms(void)
{
    struct timespec until = in_ms(10);
    return interproc_rwlock_timedrdlock(&price->lock, &until);
}
static int timedwrlock_10_ms(void)
{
    struct timespec until = in_ms(10);
    return interproc_rwlock_timedwrlock(&price->lock, &until);
}
static int read_and_unlock(void)
{
    int rc = rdlock();
    return rc ? rc : unlock();
}

static void zero_bytes_and_the_initialiser_are_an_unlocked_lock(void)
{
    interproc_rwlock_t initial = INTERPROC_RWLOCK_INIT, zero;
    memset(&zero, 0, sizeof zero);
    CHECK(memcmp(&initial, &zero, sizeof zero) == 0);
    CHECK(memcmp(&price->lock, &zero, sizeof zero) == 0);
    OK(wrlock());
    OK(unlock());
    CHECK(memcmp(&price->lock, &zero, sizeof zero) == 0);
}

static void readers_read_together_and_a_writer_is_alone(void)
{
    OK(rdlock());
    OK(rdlock());
    OK(in_thread(read_and_unlock));
    RETURNS(EBUSY, in_thread(trywrlock));
    RETURNS(ETIMEDOUT, in_thread(timedwrlock_10_ms));
    RETURNS(EDEADLK, wrlock());
    RETURNS(EDEADLK, trywrlock());
    RETURNS(EPERM, in_thread(unlock));
    RETURNS(EPERM, downgrade());
    OK(unlock());
    RETURNS(EBUSY, in_thread(trywrlock));
    OK(unlock());
    RETURNS(EPERM, unlock());
    OK(wrlock());
    RETURNS(EBUSY, in_thread(tryrdlock));
    RETURNS(EBUSY, in_thread(trywrlock));
    RETURNS(ETIMEDOUT, in_thread(timedrdlock_10_ms));
    RETURNS(EDEADLK, wrlock());
    RETURNS(EDEADLK, rdlock());
    RETURNS(EDEADLK, tryrdlock());
    RETURNS(EPERM, in_thread(downgrade));
    RETURNS(EINVAL, consistent());
    OK(downgrade());
    OK(in_thread(read_and_unlock));
    RETURNS(EBUSY, in_thread(trywrlock));
    OK(unlock());
    OK(trywrlock());
    OK(unlock());
    OK(tryrdlock());
    OK(unlock());
}

static void a_lock_that_is_read_for_long_excludes_as_before(void)
{
    for (int i = 0; i < 10000; i++) {
        OK(rdlock());
        OK(unlock());
    }
    readers_read_together_and_a_writer_is_alone();
}

static void a_past_deadline_still_takes_what_is_free_and_an_impossible_one_is_refused(void)
{
    OK(interproc_rwlock_timedrdlock(&price->lock, &past));
    OK(unlock());
    OK(interproc_rwlock_timedwrlock(&price->lock, &past));
    OK(unlock());
    for (int i = 0; i < 2; i++) {
        RETURNS(EINVAL, interproc_rwlock_timedrdlock(&price->lock, &impossible[i]));
        RETURNS(EINVAL, interproc_rwlock_timedwrlock(&price->lock, &impossible[i]));
    }
    OK(trywrlock());
    OK(unlock());
}

static void a_lock_outside_a_segment_is_refused(void)
{
    interproc_rwlock_t here = INTERPROC_RWLOCK_INIT;
    interproc_rwlock_t *bad[] = {&here, NULL, (interproc_rwlock_t *)((char *)&price->lock + 4)};
    struct timespec until = in_ms(10);
    for (int i = 0; i < 3; i++) {
        RETURNS(EINVAL, interproc_rwlock_init(bad[i]));
        RETURNS(EINVAL, interproc_rwlock_destroy(bad[i]));
        RETURNS(EINVAL, interproc_rwlock_rdlock(bad[i]));
        RETURNS(EINVAL, interproc_rwlock_tryrdlock(bad[i]));
        RETURNS(EINVAL, interproc_rwlock_timedrdlock(bad[i], &until));
        RETURNS(EINVAL, interproc_rwlock_wrlock(bad[i]));
        RETURNS(EINVAL, interproc_rwlock_trywrlock(bad[i]));
        RETURNS(EINVAL, interproc_rwlock_timedwrlock(bad[i], &until));
        RETURNS(EINVAL, interproc_rwlock_unlock(bad[i]));
        RETURNS(EINVAL, interproc_rwlock_downgrade(bad[i]));
        RETURNS(EINVAL, interproc_rwlock_consistent(bad[i]));
    }
}

static void a_dead_reader_is_forgotten_and_a_dead_writer_is_told_of(void)
{
    int (*ways[])(void) = {rdlock, tryrdlock, timedrdlock_10_ms, wrlock, trywrlock, timedwrlock_10_ms};
    for (int i = 0; i < 6; i++) {
        OK(in_thread(rdlock));
        OK(trywrlock());
        OK(unlock());
        OK(in_thread(wrlock));
        RETURNS(EOWNERDEAD, ways[i]());
        RETURNS(EINVAL, downgrade());
        RETURNS(EBUSY, in_thread(tryrdlock));
        OK(consistent());
        RETURNS(EINVAL, consistent());
        OK(downgrade());
        OK(in_thread(read_and_unlock));
        OK(unlock());
    }
    OK(in_thread(wrlock));
    RETURNS(EOWNERDEAD, rdlock());
    OK(unlock());
    RETURNS(ENOTRECOVERABLE, rdlock());
    RETURNS(ENOTRECOVERABLE, wrlock());
    OK(interproc_rwlock_init(&price->lock));
    OK(rdlock());
    OK(unlock());
}

static void a_lock_may_be_destroyed_by_its_writer_and_when_free_and_not_under_others(void)
{
    OK(destroy());
    OK(wrlock());
    RETURNS(EBUSY, in_thread(destroy));
    OK(destroy());
    OK(rdlock());
    RETURNS(EBUSY, destroy());
    RETURNS(EBUSY, in_thread(destroy));
    OK(unlock());
    OK(in_thread(rdlock));
    OK(destroy());
    OK(in_thread(wrlock));
    OK(destroy());
    OK(wrlock());
    OK(unlock());
}

static void locks_are_released_in_any_order_and_without_holds_by_cells(void)
{
    enum { LOCKS = 23 };
    interproc_rwlock_t *locks;
    OK(interproc_segment_object(&segment, "locks", LOCKS * sizeof *locks, INTERPROC_ALIGNOF(interproc_rwlock_t),
                                (void **)&locks));
    for (int i = 0; i < LOCKS; i++)
        OK(interproc_rwlock_rdlock(&locks[i]));
    for (int i = 1; i <= LOCKS; i++)
        OK(interproc_rwlock_unlock(&locks[i * 7 % LOCKS]));
    for (int i = 0; i < LOCKS; i++) {
        OK(interproc_rwlock_trywrlock(&locks[i]));
        OK(interproc_rwlock_unlock(&locks[i]));
        /* Biased by hand: holds instead of cells. */
        locks[i].private_[0] = (uint64_t)1 << 60;
    }
    int got = 0;
    while (got < LOCKS && interproc_rwlock_rdlock(&locks[got]) == 0)
        got++;
    CHECK(got == LOCKS); /* those that have no hold get a cell */
    for (int i = 1; i <= got; i++)
        OK(interproc_rwlock_unlock(&locks[i * 5 % LOCKS]));
    for (int i = 0; i < LOCKS; i++) {
        OK(interproc_rwlock_trywrlock(&locks[i]));
        OK(interproc_rwlock_unlock(&locks[i]));
    }
}

#define TEST(function) {#function, function}
static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    TEST(zero_bytes_and_the_initialiser_are_an_unlocked_lock),
    TEST(readers_read_together_and_a_writer_is_alone),
    TEST(a_lock_that_is_read_for_long_excludes_as_before),
    TEST(a_past_deadline_still_takes_what_is_free_and_an_impossible_one_is_refused),
    TEST(a_lock_outside_a_segment_is_refused),
    TEST(a_dead_reader_is_forgotten_and_a_dead_writer_is_told_of),
    TEST(a_lock_may_be_destroyed_by_its_writer_and_when_free_and_not_under_others),
    TEST(locks_are_released_in_any_order_and_without_holds_by_cells),
};

int main(int argc, char **argv)
{
    int run = 0;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        if (argc > 1 && strcmp(argv[1], tests[i].name) != 0)
            continue;
        int before = failures;
        OK(interproc_segment_anonymous(&segment, 1 << 16));
        OK(interproc_segment_object(&segment, "price", sizeof *price, INTERPROC_ALIGNOF(price_t), (void **)&price));
        tests[i].run();
        OK(interproc_segment_close(&segment));
        printf("%s ... %s\n", tests[i].name, failures == before ? "ok" : "FAILED");
        run++;
    }
    printf("%d tests, %d failures\n", run, failures);
    return failures != 0 || run == 0;
}
