/* The condition variable, from C. Each test is a sentence. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    interproc_mutex_t lock;
    interproc_cond_t arrived;
    interproc_mutex_t other;
    interproc_recursive_mutex_t nest;
    unsigned tickets;
    interproc_semaphore_t woken;
} shop_t;

static interproc_segment_t segment;
static shop_t *shop;

static const struct timespec past = {0, 1}, impossible = {0, 1000000000};

/* Waits for a ticket and takes it, as the header's example does. 0, or what stood in the way. */
static int buy(void)
{
    int rc = interproc_mutex_lock(&shop->lock);
    while (rc == 0 || rc == EOWNERDEAD) {
        if (rc == EOWNERDEAD)
            rc = interproc_mutex_consistent(&shop->lock);
        if (shop->tickets > 0) {
            shop->tickets--;
            return interproc_mutex_unlock(&shop->lock);
        }
        rc = interproc_cond_wait(&shop->arrived, &shop->lock);
    }
    return rc;
}

static pid_t child(int (*call)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        _exit(call());
    }
    return pid;
}

static int ending(pid_t pid)
{
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

/* Waits until somebody is asleep: destroying is refused then. */
static void await_waiters(void)
{
    struct timespec pause = {0, 2000000};
    while (interproc_cond_destroy(&shop->arrived) == 0)
        nanosleep(&pause, NULL);
}

static void zero_bytes_and_the_initialiser_are_one_that_nobody_waits_for(void)
{
    interproc_cond_t initial = INTERPROC_COND_INIT, zero;
    memset(&zero, 0, sizeof zero);
    CHECK(memcmp(&initial, &zero, sizeof zero) == 0);
    CHECK(memcmp(&shop->arrived, &zero, sizeof zero) == 0);
    OK(interproc_cond_signal(&shop->arrived));
    OK(interproc_cond_broadcast(&shop->arrived));
    OK(interproc_cond_init(&shop->arrived));
    OK(interproc_cond_destroy(&shop->arrived));
}

static void a_wait_needs_the_lock_and_gives_it_back(void)
{
    RETURNS(EPERM, interproc_cond_wait(&shop->arrived, &shop->lock));
    RETURNS(EPERM, interproc_cond_timedwait(&shop->arrived, &shop->lock, &past));
    OK(interproc_mutex_lock(&shop->lock));
    RETURNS(ETIMEDOUT, interproc_cond_timedwait(&shop->arrived, &shop->lock, &past));
    struct timespec until = in_ms(10);
    int rc;
    while ((rc = interproc_cond_timedwait(&shop->arrived, &shop->lock, &until)) == 0)
        ;
    RETURNS(ETIMEDOUT, rc);
    RETURNS(EINVAL, interproc_cond_timedwait(&shop->arrived, &shop->lock, &impossible));
    OK(interproc_mutex_unlock(&shop->lock));
}

static void one_outside_a_segment_is_refused(void)
{
    interproc_cond_t here = INTERPROC_COND_INIT;
    interproc_cond_t *bad[] = {&here, NULL, (interproc_cond_t *)((char *)&shop->arrived + 4)};
    OK(interproc_mutex_lock(&shop->lock));
    for (int i = 0; i < 3; i++) {
        RETURNS(EINVAL, interproc_cond_init(bad[i]));
        RETURNS(EINVAL, interproc_cond_destroy(bad[i]));
        RETURNS(EINVAL, interproc_cond_wait(bad[i], &shop->lock));
        RETURNS(EINVAL, interproc_cond_timedwait(bad[i], &shop->lock, &past));
        RETURNS(EINVAL, interproc_cond_signal(bad[i]));
        RETURNS(EINVAL, interproc_cond_broadcast(bad[i]));
    }
    RETURNS(EINVAL, interproc_cond_wait(&shop->arrived, NULL));
    OK(interproc_mutex_unlock(&shop->lock));
}

static void a_signal_wakes_one_and_a_broadcast_all(void)
{
    pid_t buyers[4];
    for (int i = 0; i < 4; i++)
        buyers[i] = child(buy);
    await_waiters();
    for (int i = 0; i < 2; i++) {
        OK(interproc_mutex_lock(&shop->lock));
        shop->tickets++;
        OK(interproc_cond_signal(&shop->arrived));
        OK(interproc_mutex_unlock(&shop->lock));
    }
    OK(interproc_mutex_lock(&shop->lock));
    shop->tickets += 2;
    OK(interproc_cond_broadcast(&shop->arrived));
    OK(interproc_mutex_unlock(&shop->lock));
    for (int i = 0; i < 4; i++)
        CHECK(ending(buyers[i]) == 0);
    CHECK(shop->tickets == 0);
}

static int wait_until_told(void)
{
    int rc = interproc_mutex_lock(&shop->lock);
    while (rc == 0)
        rc = interproc_cond_wait(&shop->arrived, &shop->lock);
    if (rc != EOWNERDEAD)
        return 1;
    /* Not yet repaired: told again at once, and still held. */
    if (interproc_cond_wait(&shop->arrived, &shop->lock) != EOWNERDEAD)
        return 2;
    return interproc_mutex_consistent(&shop->lock) || interproc_mutex_unlock(&shop->lock) ? 3 : 0;
}

static int lock_and_die(void)
{
    if (interproc_mutex_lock(&shop->lock) == 0)
        kill(getpid(), SIGKILL);
    return 1;
}

static void who_waits_is_told_of_a_dead_owner(void)
{
    pid_t waiter = child(wait_until_told);
    await_waiters();
    CHECK(WIFSIGNALED(ending(child(lock_and_die))));
    CHECK(ending(waiter) == 0);
    OK(interproc_mutex_lock(&shop->lock));
    OK(interproc_mutex_unlock(&shop->lock));
}

static void a_killed_waiter_leaves_nothing(void)
{
    pid_t victim = child(buy);
    await_waiters();
    kill(victim, SIGKILL);
    CHECK(WIFSIGNALED(ending(victim)));
    OK(interproc_cond_destroy(&shop->arrived));
    pid_t buyer = child(buy);
    await_waiters();
    RETURNS(EBUSY, interproc_cond_destroy(&shop->arrived));
    OK(interproc_mutex_lock(&shop->lock));
    /* One mutex at a time. */
    OK(interproc_mutex_lock(&shop->other));
    RETURNS(EINVAL, interproc_cond_wait(&shop->arrived, &shop->other));
    OK(interproc_mutex_unlock(&shop->other));
    shop->tickets++;
    OK(interproc_cond_signal(&shop->arrived));
    OK(interproc_mutex_unlock(&shop->lock));
    CHECK(ending(buyer) == 0);
}

/* Waits at depth three until there are tickets. EOWNERDEAD is kept in mind. */
static int wait_at_depth_three(void)
{
    int rc = 0, told = 0;
    for (int i = 0; i < 3; i++)
        rc |= interproc_recursive_mutex_lock(&shop->nest);
    while (rc == 0 && shop->tickets == 0) {
        rc = interproc_cond_wait_recursive(&shop->arrived, &shop->nest, NULL);
        if (rc == EOWNERDEAD) {
            told = 1;
            rc = interproc_recursive_mutex_consistent(&shop->nest);
        }
    }
    for (int i = 0; i < 3; i++)
        rc |= interproc_recursive_mutex_unlock(&shop->nest);
    if (rc != 0 || interproc_recursive_mutex_unlock(&shop->nest) != EPERM)
        return 1;
    return told ? 3 : 0;
}

static int lock_twice_sell_and_die(void)
{
    interproc_recursive_mutex_lock(&shop->nest);
    interproc_recursive_mutex_lock(&shop->nest);
    shop->tickets++;
    kill(getpid(), SIGKILL);
    return 1;
}

static void a_recursive_mutex_is_given_back_wholly_and_taken_as_often(void)
{
    RETURNS(EPERM, interproc_cond_wait_recursive(&shop->arrived, &shop->nest, NULL));
    RETURNS(EINVAL, interproc_cond_wait_recursive(&shop->arrived, NULL, NULL));
    RETURNS(EINVAL, interproc_cond_wait_recursive(NULL, &shop->nest, NULL));
    OK(interproc_recursive_mutex_lock(&shop->nest));
    OK(interproc_recursive_mutex_lock(&shop->nest));
    RETURNS(ETIMEDOUT, interproc_cond_wait_recursive(&shop->arrived, &shop->nest, &past));
    RETURNS(EINVAL, interproc_cond_wait_recursive(&shop->arrived, &shop->nest, &impossible));
    OK(interproc_recursive_mutex_unlock(&shop->nest));
    OK(interproc_recursive_mutex_unlock(&shop->nest));
    RETURNS(EPERM, interproc_recursive_mutex_unlock(&shop->nest));
    pid_t waiter = child(wait_at_depth_three);
    await_waiters();
    OK(interproc_recursive_mutex_lock(&shop->nest));
    shop->tickets = 1;
    OK(interproc_cond_signal(&shop->arrived));
    OK(interproc_recursive_mutex_unlock(&shop->nest));
    CHECK(ending(waiter) == 0);
    shop->tickets = 0;
    waiter = child(wait_at_depth_three);
    await_waiters();
    CHECK(WIFSIGNALED(ending(child(lock_twice_sell_and_die))));
    int status = ending(waiter);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

/* Waits once, and tells that it woke and whether there was a signal. */
static int wait_once(void)
{
    uint32_t before = 0, after = 0;
    OK(interproc_mutex_lock(&shop->lock));
    OK(interproc_cond_signals(&shop->arrived, &before));
    OK(interproc_cond_wait(&shop->arrived, &shop->lock));
    OK(interproc_semaphore_post(&shop->woken));
    OK(interproc_cond_signals(&shop->arrived, &after));
    CHECK(after != before);
    OK(interproc_mutex_unlock(&shop->lock));
    return failures;
}

static void *pass_through(void *kind)
{
    struct timespec soon;
    switch (*(const int *)kind) {
    case 0:
        break;
    case 1:
        OK(interproc_mutex_lock(&shop->other));
        OK(interproc_mutex_unlock(&shop->other));
        break;
    case 2:
        OK(interproc_mutex_lock(&shop->lock));
        OK(interproc_mutex_unlock(&shop->lock));
        break;
    default:
        OK(interproc_mutex_lock(&shop->lock));
        soon = in_ms(1);
        while (interproc_cond_timedwait(&shop->arrived, &shop->lock, &soon) == 0)
            ;
        OK(interproc_mutex_unlock(&shop->lock));
    }
    return NULL;
}

static int passes_through(void *kind)
{
    pass_through(kind);
    return failures;
}

static uint32_t asleep(void)
{
    uint32_t n = 0;
    OK(interproc_waiters(&shop->arrived, sizeof(interproc_cond_t), &n));
    return n;
}

static void an_orderly_end_of_a_thread_or_process_wakes_nobody(void)
{
    enum { WAITERS = 3 };
    const struct timespec moment = {0, 1000000}, long_enough = {0, 50000000};
    pid_t waiters[WAITERS];
    pthread_t other;
    for (int i = 0; i < WAITERS; i++)
        waiters[i] = child(wait_once);
    while (asleep() < WAITERS)
        nanosleep(&moment, NULL);
    for (int kind = 0; kind < 4; kind++) {
        uint32_t woken = 9;
        interproc_process_t process;
        interproc_exit_t end;
        CHECK(pthread_create(&other, NULL, pass_through, &kind) == 0);
        pthread_join(other, NULL);
        OK(interproc_process_fork(&process, "passer-by", passes_through, &kind));
        OK(interproc_process_join(&process, &end));
        CHECK(end.code == 0);
        OK(interproc_process_close(&process));
        nanosleep(&long_enough, NULL);
        OK(interproc_semaphore_value(&shop->woken, &woken));
        CHECK(woken == 0);
    }
    OK(interproc_mutex_lock(&shop->lock));
    OK(interproc_cond_broadcast(&shop->arrived));
    OK(interproc_mutex_unlock(&shop->lock));
    for (int i = 0; i < WAITERS; i++)
        CHECK(ending(waiters[i]) == 0);
}

static void *lock_and_end(void *unused)
{
    (void)unused;
    OK(interproc_mutex_lock(&shop->lock));
    shop->tickets++;
    return NULL;
}

static void the_end_of_a_thread_with_the_lock_is_a_death(void)
{
    pthread_t other;
    pid_t buyer = child(buy);
    await_waiters();
    CHECK(pthread_create(&other, NULL, lock_and_end, NULL) == 0);
    pthread_join(other, NULL);
    CHECK(ending(buyer) == 0);
    CHECK(shop->tickets == 0);
}

static void signals_are_counted_while_somebody_waits(void)
{
    uint32_t before = 0, after = 0;
    OK(interproc_cond_signal(&shop->arrived));
    OK(interproc_cond_signals(&shop->arrived, &before));
    pid_t buyer = child(buy);
    await_waiters();
    OK(interproc_mutex_lock(&shop->lock));
    shop->tickets = 1;
    OK(interproc_cond_signal(&shop->arrived));
    OK(interproc_mutex_unlock(&shop->lock));
    CHECK(ending(buyer) == 0);
    OK(interproc_cond_signals(&shop->arrived, &after));
    CHECK(after == before + 1);
    RETURNS(EINVAL, interproc_cond_signals(&shop->arrived, NULL));
    RETURNS(EINVAL, interproc_cond_signals(NULL, &after));
}

int main(void)
{
    void (*tests[])(void) = {
        zero_bytes_and_the_initialiser_are_one_that_nobody_waits_for,
        a_wait_needs_the_lock_and_gives_it_back,
        one_outside_a_segment_is_refused,
        a_signal_wakes_one_and_a_broadcast_all,
        who_waits_is_told_of_a_dead_owner,
        a_killed_waiter_leaves_nothing,
        a_recursive_mutex_is_given_back_wholly_and_taken_as_often,
        an_orderly_end_of_a_thread_or_process_wakes_nobody,
        the_end_of_a_thread_with_the_lock_is_a_death,
        signals_are_counted_while_somebody_waits,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        OK(interproc_segment_anonymous(&segment, 1 << 16));
        OK(interproc_segment_object(&segment, "shop", sizeof *shop, INTERPROC_ALIGNOF(shop_t), (void **)&shop));
        tests[i]();
        OK(interproc_segment_close(&segment));
    }
    printf("condition variable: %d failures\n", failures);
    return failures != 0;
}
