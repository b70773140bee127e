/* Waiting in slices: how a language binding, or any program that must look at its signals now and then, waits for a lock, a
 * message, a condition or a barrier. No function here returns EINTR; so the wait is cut into slices, and in between one looks.
 *
 *     cc slices.c -o slices $(pkg-config --cflags --libs interproc) && ./slices
 *
 * What a slice that runs out costs: nothing with locks, semaphores, events, queues and pipes. A wake-up is either consumed by
 * a wait, which then returns 0, or is there for the next slice, and locks here promise no order in which there would be a place
 * to lose. (Between two slices of a wait for writing, a reader-writer lock lets readers in.) A condition is to be looked at
 * again with the mutex held, as after any wait. A barrier would be broken by interproc_barrier_timedwait(); there is a wait of
 * its own that goes on.
 */
#define _POSIX_C_SOURCE 200809L
#include <interproc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TICKETS = 1000, ROUNDS = 100 };

typedef struct {
    interproc_mutex_t lock;
    interproc_cond_t arrived;
    unsigned tickets;
    unsigned taken;
} shop_t;

static shop_t *shop;
static interproc_barrier_t steps;
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* Anything with a time limit. */
typedef int wait_t(void *what, const struct timespec *until);

/* Waits as long as it takes, or until somebody presses ^C: then EINTR, which no wait itself returns. Short slices, so that
 * the example has many; a person does not notice 50 ms. */
static int in_slices(wait_t *wait, void *what)
{
    struct timespec slice;
    int rc;
    do {
        if (interrupted)
            return EINTR;
        interproc_deadline_after(1000000, &slice);
        rc = wait(what, &slice);
    } while (rc == ETIMEDOUT);
    return rc;
}

static int lock(void *mutex, const struct timespec *until)
{
    return interproc_mutex_timedlock(mutex, until);
}

/* With the mutex held before, after, and between the slices, so no signal that is sent under it is missed. */
static int condition(void *tickets, const struct timespec *until)
{
    int rc = 0;
    while (rc == 0 && *(unsigned *)tickets == 0)
        rc = interproc_cond_timedwait(&shop->arrived, &shop->lock, until);
    return rc;
}

static int round_of(void *turn, const struct timespec *until)
{
    return interproc_barrier_wait_slice(&steps, turn, until, NULL);
}

static int buyer(void *unused)
{
    (void)unused;
    for (int i = 0; i < TICKETS; i++) {
        if (in_slices(lock, &shop->lock) != 0)
            return 1;
        if (in_slices(condition, &shop->tickets) == 0) {
            shop->tickets--;
            shop->taken++;
        }
        interproc_mutex_unlock(&shop->lock);
    }
    return 0;
}

/* Takes part until it is interrupted: then it says so to the others, who count on it. */
static int party(void *unused)
{
    interproc_barrier_turn_t turn = {{0}};
    struct sigaction action;
    int rc;
    (void)unused;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, NULL);
    do
        rc = in_slices(round_of, &turn);
    while (rc == 0);
    if (rc == EINTR)
        interproc_barrier_abort(&steps);
    interproc_barrier_leave(&steps);
    return rc == EINTR ? 0 : 1;
}

static void fail(const char *what, int rc)
{
    fprintf(stderr, "%s: %s\n", what, interproc_strerror(rc));
    exit(1);
}

static void must(const char *what, int rc)
{
    if (rc != 0)
        fail(what, rc);
}

int main(void)
{
    interproc_segment_t segment;
    interproc_process_t child;
    interproc_exit_t end;
    struct timespec moment = {0, 20000000};
    interproc_barrier_info_t there;
    int rounds = 0, rc;

    must("segment", interproc_segment_anonymous(&segment, 1 << 16));
    must("shop", interproc_segment_object(&segment, "shop", sizeof *shop, 8, (void **)&shop));
    must("barrier", interproc_segment_barrier(&segment, "steps", 2, &steps));

    must("fork", interproc_process_fork(&child, "buyer", buyer, NULL));
    for (int i = 0; i < TICKETS; i++) {
        must("lock", interproc_mutex_lock(&shop->lock));
        shop->tickets++;
        must("signal", interproc_cond_signal(&shop->arrived));
        must("unlock", interproc_mutex_unlock(&shop->lock));
    }
    must("join", interproc_process_join(&child, &end));
    must("close", interproc_process_close(&child));
    printf("signalled: %u of %d\n", shop->taken, TICKETS);

    must("fork", interproc_process_fork(&child, "party", party, NULL));
    while (rounds < ROUNDS) {
        interproc_barrier_turn_t turn = {{0}};
        if (rounds % 20 == 0)
            nanosleep(&moment, NULL);                       /* the other one's slices run out */
        must("round", in_slices(round_of, &turn));
        rounds++;
    }
    printf("rounds: %d of %d\n", rounds, ROUNDS);

    do
        must("info", interproc_barrier_info(&steps, &there));
    while (there.n_waiting < 1);
    must("interrupt", interproc_process_signal(&child, SIGINT));
    must("join", interproc_process_join(&child, &end));
    rc = interproc_barrier_wait(&steps, NULL);
    printf("interrupted: barrier %s, lock %s\n", rc == ECANCELED ? "ECANCELED" : "not broken",
           interproc_mutex_trylock(&shop->lock) == 0 ? "free" : "held");
    must("close", interproc_process_close(&child));
    return end.code;
}
