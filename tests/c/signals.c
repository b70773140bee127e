/* Semaphore, event, recursive mutex and once, from C. Each test is a sentence. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

typedef struct {
    interproc_semaphore_t semaphore;
    interproc_event_t event;
    interproc_recursive_mutex_t mutex;
    interproc_once_t once;
    unsigned runs;
} objects_t;

static interproc_segment_t segment;
static objects_t *o;
static const struct timespec past = {0, 1};
static const struct timespec impossible[] = {{0, -1}, {0, 1000000000}, {5, 2000000000}};

static void set_up(void)
{
    OK(interproc_segment_anonymous(&segment, 1 << 16));
    OK(interproc_segment_object(&segment, "objects", sizeof *o, INTERPROC_ALIGNOF(objects_t), (void **)&o));
}

/* Runs in a child, which ends by SIGKILL if it has returned 0 and by its result otherwise. */
static int then_die(void *call)
{
    int rc = (*(int (**)(void))call)();
    if (rc == 0)
        kill(getpid(), SIGKILL);
    return rc;
}
static void in_dying_child(int (*call)(void))
{
    interproc_process_t child;
    interproc_exit_t end = {0, 0, 0, 0};
    OK(interproc_process_fork(&child, "dying", then_die, &call));
    OK(interproc_process_join(&child, &end));
    CHECK(end.signal == SIGKILL && end.code == -1);
    OK(interproc_process_close(&child));
}

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

static void zero_bytes_and_the_initialisers_are_the_same(void)
{
    interproc_semaphore_t semaphore = INTERPROC_SEMAPHORE_INIT;
    interproc_event_t event = INTERPROC_EVENT_INIT;
    interproc_recursive_mutex_t mutex = INTERPROC_RECURSIVE_MUTEX_INIT;
    interproc_once_t once = INTERPROC_ONCE_INIT;
    CHECK(memcmp(&semaphore, &o->semaphore, sizeof semaphore) == 0);
    CHECK(memcmp(&event, &o->event, sizeof event) == 0);
    CHECK(memcmp(&mutex, &o->mutex, sizeof mutex) == 0);
    CHECK(memcmp(&once, &o->once, sizeof once) == 0);
}

static void a_semaphore_counts_refuses_and_times_out(void)
{
    uint32_t value = 77;
    struct timespec soon = in_ms(10);
    RETURNS(EBUSY, interproc_semaphore_tryacquire(&o->semaphore));
    RETURNS(ETIMEDOUT, interproc_semaphore_timedacquire(&o->semaphore, &past));
    RETURNS(ETIMEDOUT, interproc_semaphore_timedacquire(&o->semaphore, &soon));
    OK(interproc_semaphore_post(&o->semaphore));
    OK(interproc_semaphore_post_many(&o->semaphore, 3));
    OK(interproc_semaphore_value(&o->semaphore, &value));
    CHECK(value == 4);
    OK(interproc_semaphore_acquire(&o->semaphore));
    OK(interproc_semaphore_tryacquire(&o->semaphore));
    OK(interproc_semaphore_timedacquire(&o->semaphore, &past));
    for (int i = 0; i < 3; i++)
        RETURNS(EINVAL, interproc_semaphore_timedacquire(&o->semaphore, &impossible[i]));
    RETURNS(EOVERFLOW, interproc_semaphore_post_many(&o->semaphore, 2147483647));
    OK(interproc_semaphore_init(&o->semaphore, 2147483647));
    RETURNS(EOVERFLOW, interproc_semaphore_post(&o->semaphore));
    RETURNS(EINVAL, interproc_semaphore_init(&o->semaphore, 2147483648u));
    OK(interproc_semaphore_destroy(&o->semaphore));
    OK(interproc_semaphore_value(&o->semaphore, &value));
    CHECK(value == 0);
}

static void an_event_is_set_cleared_and_waited_for(void)
{
    bool set = true;
    struct timespec soon = in_ms(10);
    uint32_t sets = 9;
    OK(interproc_event_sets(&o->event, &sets));
    CHECK(sets == 0);
    RETURNS(EINVAL, interproc_event_sets(&o->event, NULL));
    RETURNS(EINVAL, interproc_event_sets(NULL, &sets));
    OK(interproc_event_is_set(&o->event, &set));
    CHECK(!set);
    RETURNS(ETIMEDOUT, interproc_event_timedwait(&o->event, &past));
    RETURNS(ETIMEDOUT, interproc_event_timedwait(&o->event, &soon));
    OK(interproc_event_set(&o->event));
    OK(interproc_event_wait(&o->event));
    OK(interproc_event_timedwait(&o->event, &past));
    OK(interproc_event_is_set(&o->event, &set));
    CHECK(set);
    OK(interproc_event_clear(&o->event));
    OK(interproc_event_is_set(&o->event, &set));
    CHECK(!set);
    for (int i = 0; i < 3; i++)
        RETURNS(EINVAL, interproc_event_timedwait(&o->event, &impossible[i]));
    OK(interproc_event_destroy(&o->event));
    OK(interproc_event_init(&o->event));
}

static int post_and_set(void)
{
    int rc = interproc_semaphore_post(&o->semaphore);
    return rc ? rc : interproc_event_set(&o->event);
}

static void a_process_that_dies_after_it_posted_and_set_has_done_so(void)
{
    in_dying_child(post_and_set);
    OK(interproc_semaphore_acquire(&o->semaphore));
    OK(interproc_event_wait(&o->event));
    OK(interproc_event_clear(&o->event));
}

static void on_signal(int number)
{
    (void)number;
    post_and_set();
}

static void *signal_soon(void *target)
{
    struct timespec ms = {0, 20000000};
    nanosleep(&ms, NULL);
    pthread_kill(*(pthread_t *)target, SIGUSR1);
    return NULL;
}

static void a_handler_lets_the_waiting_thread_that_it_interrupts_go(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, NULL);
    pthread_t self = pthread_self(), thread;
    pthread_create(&thread, NULL, signal_soon, &self);
    OK(interproc_semaphore_acquire(&o->semaphore));
    pthread_join(thread, NULL);
    OK(interproc_event_clear(&o->event));
    pthread_create(&thread, NULL, signal_soon, &self);
    OK(interproc_event_wait(&o->event));
    pthread_join(thread, NULL);
    OK(interproc_event_clear(&o->event));
    OK(interproc_semaphore_tryacquire(&o->semaphore));
}

static int lock(void) { return interproc_recursive_mutex_lock(&o->mutex); }
static int trylock(void) { return interproc_recursive_mutex_trylock(&o->mutex); }
static int unlock(void) { return interproc_recursive_mutex_unlock(&o->mutex); }
static int timedlock(void) { return interproc_recursive_mutex_timedlock(&o->mutex, &past); }
static int destroy(void) { return interproc_recursive_mutex_destroy(&o->mutex); }
static int lock_twice(void)
{
    int rc = lock();
    return rc ? rc : lock();
}

static void a_recursive_mutex_is_free_after_as_many_unlocks(void)
{
    OK(lock());
    OK(trylock());
    OK(timedlock());
    RETURNS(EBUSY, in_thread(trylock));
    RETURNS(ETIMEDOUT, in_thread(timedlock));
    RETURNS(EPERM, in_thread(unlock));
    RETURNS(EBUSY, in_thread(destroy));
    OK(unlock());
    OK(unlock());
    RETURNS(EBUSY, in_thread(trylock));
    OK(unlock());
    RETURNS(EPERM, unlock());
    for (int i = 0; i < 65535; i++)
        OK(lock());
    RETURNS(EOVERFLOW, lock());
    for (int i = 0; i < 65535; i++)
        OK(unlock());
    RETURNS(EPERM, unlock());
    OK(destroy());
}

static void the_depth_of_the_dead_dies_with_them(void)
{
    in_dying_child(lock_twice);
    RETURNS(EOWNERDEAD, lock());
    OK(interproc_recursive_mutex_consistent(&o->mutex));
    RETURNS(EINVAL, interproc_recursive_mutex_consistent(&o->mutex));
    OK(unlock());
    RETURNS(EPERM, unlock());
    in_dying_child(lock_twice);
    RETURNS(EOWNERDEAD, trylock());
    OK(unlock());
    RETURNS(ENOTRECOVERABLE, lock());
    OK(interproc_recursive_mutex_init(&o->mutex));
    OK(lock());
    OK(unlock());
}

static int job(void *argument, bool is_retry)
{
    o->runs++;
    return is_retry == *(bool *)argument ? 0 : 55;
}

static int begin_and_die(void)
{
    int begun;
    return interproc_once_begin(&o->once, &begun);
}

static int recursing(void *argument, bool is_retry)
{
    (void)is_retry;
    return interproc_once_call(&o->once, job, argument);
}

static void a_job_is_done_once_whoever_dies_in_it(void)
{
    bool retry = true, done = true;
    int begun = 77;
    OK(interproc_once_is_done(&o->once, &done));
    CHECK(!done);
    RETURNS(EDEADLK, interproc_once_call(&o->once, recursing, &retry));
    OK(interproc_once_init(&o->once));
    in_dying_child(begin_and_die);
    retry = false;
    RETURNS(55, interproc_once_call(&o->once, job, &retry));
    retry = true;
    OK(interproc_once_call_until(&o->once, job, &retry, &past));
    CHECK(o->runs == 2);
    OK(interproc_once_call(&o->once, job, &retry));
    OK(interproc_once_begin(&o->once, &begun));
    CHECK(begun == INTERPROC_ONCE_DONE && o->runs == 2);
    OK(interproc_once_is_done(&o->once, &done));
    CHECK(done);
    RETURNS(EPERM, interproc_once_finish(&o->once));
    OK(interproc_once_init(&o->once));
    OK(interproc_once_begin(&o->once, &begun));
    CHECK(begun == INTERPROC_ONCE_FIRST);
    OK(interproc_once_abandon(&o->once));
    RETURNS(EPERM, interproc_once_abandon(&o->once));
    OK(interproc_once_begin(&o->once, &begun));
    CHECK(begun == INTERPROC_ONCE_RETRY);
    OK(interproc_once_finish(&o->once));
    RETURNS(EINVAL, interproc_once_begin(&o->once, NULL));
    OK(interproc_once_init(&o->once));
    RETURNS(EINVAL, interproc_once_call(&o->once, NULL, NULL));
}

static void impossible_places_are_refused(void)
{
    bool answer;
    uint32_t value;
    interproc_semaphore_t semaphore = INTERPROC_SEMAPHORE_INIT;
    interproc_event_t event = INTERPROC_EVENT_INIT;
    interproc_recursive_mutex_t mutex = INTERPROC_RECURSIVE_MUTEX_INIT;
    interproc_once_t once = INTERPROC_ONCE_INIT;
    RETURNS(EINVAL, interproc_semaphore_acquire(&semaphore));
    RETURNS(EINVAL, interproc_event_wait(&event));
    RETURNS(EINVAL, interproc_recursive_mutex_lock(&mutex));
    RETURNS(EINVAL, interproc_once_call(&once, job, NULL));
    void *bad[] = {NULL, (char *)o + 4};
    for (int i = 0; i < 2; i++) {
        RETURNS(EINVAL, interproc_semaphore_init(bad[i], 0));
        RETURNS(EINVAL, interproc_semaphore_destroy(bad[i]));
        RETURNS(EINVAL, interproc_semaphore_post(bad[i]));
        RETURNS(EINVAL, interproc_semaphore_post_many(bad[i], 2));
        RETURNS(EINVAL, interproc_semaphore_acquire(bad[i]));
        RETURNS(EINVAL, interproc_semaphore_tryacquire(bad[i]));
        RETURNS(EINVAL, interproc_semaphore_timedacquire(bad[i], &past));
        RETURNS(EINVAL, interproc_semaphore_value(bad[i], &value));
        RETURNS(EINVAL, interproc_event_init(bad[i]));
        RETURNS(EINVAL, interproc_event_destroy(bad[i]));
        RETURNS(EINVAL, interproc_event_set(bad[i]));
        RETURNS(EINVAL, interproc_event_clear(bad[i]));
        RETURNS(EINVAL, interproc_event_is_set(bad[i], &answer));
        RETURNS(EINVAL, interproc_event_wait(bad[i]));
        RETURNS(EINVAL, interproc_event_timedwait(bad[i], &past));
        RETURNS(EINVAL, interproc_recursive_mutex_init(bad[i]));
        RETURNS(EINVAL, interproc_recursive_mutex_destroy(bad[i]));
        RETURNS(EINVAL, interproc_recursive_mutex_lock(bad[i]));
        RETURNS(EINVAL, interproc_recursive_mutex_trylock(bad[i]));
        RETURNS(EINVAL, interproc_recursive_mutex_timedlock(bad[i], &past));
        RETURNS(EINVAL, interproc_recursive_mutex_unlock(bad[i]));
        RETURNS(EINVAL, interproc_recursive_mutex_consistent(bad[i]));
        RETURNS(EINVAL, interproc_once_init(bad[i]));
        RETURNS(EINVAL, interproc_once_call(bad[i], job, NULL));
        RETURNS(EINVAL, interproc_once_finish(bad[i]));
        RETURNS(EINVAL, interproc_once_abandon(bad[i]));
        RETURNS(EINVAL, interproc_once_is_done(bad[i], &answer));
    }
    RETURNS(EINVAL, interproc_semaphore_value(&o->semaphore, NULL));
    RETURNS(EINVAL, interproc_event_is_set(&o->event, NULL));
    RETURNS(EINVAL, interproc_once_is_done(&o->once, NULL));
}

int main(void)
{
    void (*tests[])(void) = {
        zero_bytes_and_the_initialisers_are_the_same,
        a_semaphore_counts_refuses_and_times_out,
        an_event_is_set_cleared_and_waited_for,
        a_process_that_dies_after_it_posted_and_set_has_done_so,
        a_handler_lets_the_waiting_thread_that_it_interrupts_go,
        a_recursive_mutex_is_free_after_as_many_unlocks,
        the_depth_of_the_dead_dies_with_them,
        a_job_is_done_once_whoever_dies_in_it,
        impossible_places_are_refused,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        set_up();
        tests[i]();
        OK(interproc_segment_close(&segment));
    }
    printf("%d failures\n", failures);
    return failures != 0;
}
