/* Every function of the C interface, from C. Each test is a sentence; the argument names the only one to run. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    interproc_mutex_t lock;
    unsigned value;
} counter_t;

static interproc_segment_t segment;
static counter_t *counter;
static interproc_queue_t queue;
static char name[64];

/* A new segment with a counter and a queue of 4 ints in it. */
static void set_up(void)
{
    OK(interproc_segment_anonymous(&segment, 1 << 16));
    OK(interproc_segment_object(&segment, "counter", sizeof *counter, INTERPROC_ALIGNOF(counter_t), (void **)&counter));
    OK(interproc_segment_queue(&segment, "queue", sizeof(int), 4, &queue));
}

/* Runs in another thread, and waits for its end. */
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

static int lock(void) { return interproc_mutex_lock(&counter->lock); }
static int trylock(void) { return interproc_mutex_trylock(&counter->lock); }
static int unlock(void) { return interproc_mutex_unlock(&counter->lock); }
static int consistent(void) { return interproc_mutex_consistent(&counter->lock); }
static int destroy(void) { return interproc_mutex_destroy(&counter->lock); }
static int timedlock_10_ms(void)
{
    struct timespec until = in_ms(10);
    return interproc_mutex_timedlock(&counter->lock, &until);
}

static const struct timespec past = {0, 1}, long_past = {-1, 0};
static const struct timespec impossible[] = {{0, -1}, {0, 1000000000}, {5, 2000000000}};

static void zero_bytes_and_the_initialiser_are_an_unlocked_mutex(void)
{
    interproc_mutex_t initial = INTERPROC_MUTEX_INIT, zero;
    memset(&zero, 0, sizeof zero);
    CHECK(memcmp(&initial, &zero, sizeof zero) == 0);
    CHECK(memcmp(&counter->lock, &zero, sizeof zero) == 0);
    OK(lock());
    OK(unlock());
    CHECK(memcmp(&counter->lock, &zero, sizeof zero) == 0);
}

static void a_lock_excludes_and_says_who_may_not(void)
{
    OK(lock());
    RETURNS(EDEADLK, lock());
    RETURNS(EDEADLK, trylock());
    RETURNS(EDEADLK, interproc_mutex_timedlock(&counter->lock, &past));
    RETURNS(EBUSY, in_thread(trylock));
    RETURNS(ETIMEDOUT, in_thread(timedlock_10_ms));
    RETURNS(EPERM, in_thread(unlock));
    RETURNS(EPERM, in_thread(consistent));
    RETURNS(EINVAL, consistent());
    OK(unlock());
    RETURNS(EPERM, unlock());
    RETURNS(EPERM, consistent());
    OK(trylock());
    OK(unlock());
}

static void a_past_deadline_still_takes_what_is_free_and_an_impossible_one_is_refused(void)
{
    OK(interproc_mutex_timedlock(&counter->lock, &past));
    OK(unlock());
    OK(interproc_mutex_timedlock(&counter->lock, &long_past));
    OK(unlock());
    for (int i = 0; i < 3; i++)
        RETURNS(EINVAL, interproc_mutex_timedlock(&counter->lock, &impossible[i]));
    OK(trylock());
    OK(unlock());
}

static void a_mutex_outside_a_segment_is_refused(void)
{
    interproc_mutex_t here = INTERPROC_MUTEX_INIT;
    interproc_mutex_t *bad[] = {&here, NULL, (interproc_mutex_t *)((char *)&counter->lock + 4)};
    struct timespec until = in_ms(10);
    for (int i = 0; i < 3; i++) {
        RETURNS(EINVAL, interproc_mutex_init(bad[i]));
        RETURNS(EINVAL, interproc_mutex_destroy(bad[i]));
        RETURNS(EINVAL, interproc_mutex_lock(bad[i]));
        RETURNS(EINVAL, interproc_mutex_trylock(bad[i]));
        RETURNS(EINVAL, interproc_mutex_timedlock(bad[i], &until));
        RETURNS(EINVAL, interproc_mutex_unlock(bad[i]));
        RETURNS(EINVAL, interproc_mutex_consistent(bad[i]));
    }
}

static void the_next_locker_after_a_death_is_told_and_repairs(void)
{
    int (*ways[])(void) = {lock, trylock, timedlock_10_ms};
    for (int i = 0; i < 3; i++) {
        in_dying_child(lock);
        RETURNS(EOWNERDEAD, ways[i]());
        OK(consistent());
        RETURNS(EINVAL, consistent());
        OK(unlock());
    }
    OK(in_thread(lock)); /* a thread's end is a death too */
    RETURNS(EOWNERDEAD, lock());
    OK(consistent());
    OK(unlock());
    OK(lock());
    OK(unlock());
}

static void a_lock_left_inconsistent_is_unusable_until_it_is_made_anew(void)
{
    in_dying_child(lock);
    RETURNS(EOWNERDEAD, lock());
    OK(unlock());
    RETURNS(ENOTRECOVERABLE, lock());
    RETURNS(ENOTRECOVERABLE, trylock());
    RETURNS(ENOTRECOVERABLE, timedlock_10_ms());
    RETURNS(EPERM, unlock());
    OK(interproc_mutex_init(&counter->lock));
    OK(lock());
    OK(unlock());
}

static void a_mutex_may_be_destroyed_by_its_holder_and_when_free_and_not_under_a_holder(void)
{
    OK(destroy());
    OK(lock());
    RETURNS(EBUSY, in_thread(destroy));
    OK(destroy());
    OK(in_thread(trylock));
    OK(destroy()); /* the holder is dead */
    OK(trylock());
    OK(unlock());
}

static void *hold_until_told(void *go_on)
{
    lock();
    interproc_queue_push(&queue, go_on);
    struct timespec nap = {0, 60000000};
    nanosleep(&nap, NULL);
    unlock();
    return NULL;
}

static volatile sig_atomic_t signals;
static void count_signal(int number)
{
    (void)number;
    signals++;
}

static void a_signal_does_not_end_a_waiting_call(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = count_signal;
    sigaction(SIGALRM, &action, NULL);
    struct itimerspec each = {{0, 5000000}, {0, 5000000}};
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGALRM;
    timer_t timer;
    timer_create(CLOCK_MONOTONIC, &event, &timer);

    int got = 0;
    pthread_t holder;
    sigset_t alarm, old;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, &old);
    pthread_create(&holder, NULL, hold_until_told, &got);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    OK(interproc_queue_pop(&queue, &got, NULL));
    signals = 0;
    timer_settime(timer, 0, &each, NULL);

    OK(lock());
    OK(unlock());
    CHECK(signals > 0);
    signals = 0;
    struct timespec until = in_ms(30);
    RETURNS(ETIMEDOUT, interproc_queue_timedpop(&queue, &until, &got, NULL));
    CHECK(signals > 0);
    timer_delete(timer);
    pthread_join(holder, NULL);
}

static void a_queue_keeps_order_and_says_when_it_is_full_empty_or_closed(void)
{
    bool is = true, again = true;
    size_t n = 99;
    int got = -1, one = 1, two = 2, three = 3, four = 4, five = 5;
    struct timespec soon = in_ms(10);

    OK(FIELD(interproc_queue_info(&queue, &channel_), channel_.capacity, &n));
    CHECK(n == 4);
    OK(FIELD(interproc_queue_info(&queue, &channel_), channel_.is_closed, &is));
    CHECK(!is);
    RETURNS(EAGAIN, interproc_queue_trypop(&queue, &got, &again));
    RETURNS(ETIMEDOUT, interproc_queue_timedpop(&queue, &soon, &got, &again));
    RETURNS(ETIMEDOUT, interproc_queue_timedpop(&queue, &past, &got, &again));
    CHECK(got == -1 && again);

    OK(interproc_queue_push(&queue, &one));
    OK(interproc_queue_trypush(&queue, &two));
    OK(interproc_queue_timedpush(&queue, &three, &past));
    OK(FIELD(interproc_queue_info(&queue, &channel_), channel_.is_full, &is));
    CHECK(!is);
    OK(interproc_queue_push(&queue, &four));
    OK(FIELD(interproc_queue_info(&queue, &channel_), channel_.is_full, &is));
    CHECK(is);
    RETURNS(EAGAIN, interproc_queue_trypush(&queue, &five));
    soon = in_ms(10);
    RETURNS(ETIMEDOUT, interproc_queue_timedpush(&queue, &five, &soon));
    RETURNS(ETIMEDOUT, interproc_queue_timedpush(&queue, &five, &past));
    OK(FIELD(interproc_queue_info(&queue, &channel_), channel_.used, &n));
    CHECK(n == 4);

    OK(interproc_queue_pop(&queue, &got, &again));
    CHECK(got == 1 && !again);
    OK(interproc_queue_timedpop(&queue, &past, &got, NULL));
    CHECK(got == 2);
    OK(interproc_queue_close(&queue));
    OK(interproc_queue_close(&queue));
    OK(FIELD(interproc_queue_info(&queue, &channel_), channel_.is_closed, &is));
    CHECK(is);
    RETURNS(EPIPE, interproc_queue_push(&queue, &five));
    RETURNS(EPIPE, interproc_queue_trypush(&queue, &five));
    RETURNS(EPIPE, interproc_queue_timedpush(&queue, &five, &past));
    OK(interproc_queue_trypop(&queue, &got, NULL));
    CHECK(got == 3);
    OK(interproc_queue_pop(&queue, &got, NULL));
    CHECK(got == 4);
    RETURNS(EPIPE, interproc_queue_pop(&queue, &got, NULL));
    RETURNS(EPIPE, interproc_queue_trypop(&queue, &got, NULL));
    RETURNS(EPIPE, interproc_queue_timedpop(&queue, &past, &got, NULL));
    OK(FIELD(interproc_queue_info(&queue, &channel_), channel_.is_empty, &is));
    CHECK(is);
}

static void batches_go_in_and_come_out_in_order_and_say_how_many(void)
{
    int in[] = {1, 2, 3, 4, 5, 6}, out[6] = {0, 0, 0, 0, 0, 0};
    size_t n = 99, again = 99;
    struct timespec soon = in_ms(10);

    RETURNS(ETIMEDOUT, interproc_queue_pop_batch_until(&queue, AT_ONCE, out, 6, &n, &again));
    RETURNS(ETIMEDOUT, interproc_queue_pop_batch_until(&queue, &soon, out, 6, &n, NULL));
    CHECK(n == 99 && again == 99);
    OK(interproc_queue_push_batch_until(&queue, in, 3, NULL, &n));
    CHECK(n == 3);
    soon = in_ms(10);
    OK(interproc_queue_push_batch_until(&queue, in + 3, 3, &soon, &n));
    CHECK(n == 1);
    RETURNS(ETIMEDOUT, interproc_queue_push_batch_until(&queue, in + 4, 2, AT_ONCE, &n));
    OK(interproc_queue_pop_batch_until(&queue, NULL, out, 2, &n, &again));
    CHECK(n == 2 && again == 0);
    OK(interproc_queue_push_batch_until(&queue, in + 4, 2, AT_ONCE, &n));
    CHECK(n == 2);
    OK(interproc_queue_pop_batch_until(&queue, &past, out + 2, 1, &n, NULL));
    CHECK(n == 1);
    OK(interproc_queue_pop_batch_until(&queue, AT_ONCE, out + 3, 6, &n, NULL));
    CHECK(n == 3);
    CHECK(memcmp(in, out, sizeof in) == 0);
    OK(interproc_queue_push_batch_until(&queue, in, 0, NULL, &n));
    CHECK(n == 0);
    OK(interproc_queue_pop_batch_until(&queue, NULL, out, 0, &n, NULL));
    CHECK(n == 0);
    for (int i = 0; i < 3; i++) {
        RETURNS(EINVAL, interproc_queue_push_batch_until(&queue, in, 1, &impossible[i], &n));
        RETURNS(EINVAL, interproc_queue_pop_batch_until(&queue, &impossible[i], out, 1, &n, NULL));
        RETURNS(EINVAL, interproc_queue_timedpush(&queue, in, &impossible[i]));
        RETURNS(EINVAL, interproc_queue_timedpop(&queue, &impossible[i], out, NULL));
    }
    OK(interproc_queue_close(&queue));
    RETURNS(EPIPE, interproc_queue_push_batch_until(&queue, in, 3, NULL, &n));
    RETURNS(EPIPE, interproc_queue_pop_batch_until(&queue, NULL, out, 3, &n, NULL));
}

static int echo(void *copy)
{
    interproc_queue_t *back = copy;
    int message;
    while (interproc_queue_pop(&queue, &message, NULL) == 0)
        if (interproc_queue_push(back, &message) != 0)
            return 2;
    return 0;
}

static void handles_of_queues_work_in_forked_children_and_as_copies(void)
{
    interproc_queue_t back, copy;
    interproc_process_t child;
    interproc_exit_t end;
    OK(interproc_segment_queue(&segment, "back", sizeof(int), 4, &back));
    copy = back;
    OK(interproc_process_fork(&child, NULL, echo, &copy));
    for (int i = 0, got; i < 100; i++) {
        OK(interproc_queue_push(&queue, &i));
        OK(interproc_queue_pop(&back, &got, NULL));
        CHECK(got == i);
    }
    OK(interproc_queue_close(&queue));
    OK(interproc_process_join(&child, &end));
    CHECK(end.code == 0);
    OK(interproc_process_close(&child));

    interproc_who_t who;
    memset(&who, -1, sizeof who);
    OK(interproc_queue_blocker(&back, &who));
    CHECK(!who.found && who.pid == 0 && who.tid == 0); /* nobody is in the middle of anything */
}

static void nap(void)
{
    static const struct timespec ms = {0, 1000000};
    nanosleep(&ms, NULL);
}

static int name_self_lock_and_unlock(void)
{
    prctl(PR_SET_NAME, "sleeper", 0, 0, 0);
    int rc = interproc_mutex_lock(&counter->lock);
    return rc ? rc : interproc_mutex_unlock(&counter->lock);
}

/* Waits until so many sleep there, but not for ever. */
static uint32_t asleep(const void *address, size_t size, uint32_t expected)
{
    uint32_t n = 0;
    for (int ms = 0; ms < 30000; ms++) {
        OK(interproc_waiters(address, size, &n));
        if (n == expected)
            break;
        nap();
    }
    return n;
}

static void a_mutex_says_who_holds_it_and_how_many_sleep_for_it(void)
{
    interproc_who_t who, nobody;
    uint32_t n = 7;
    pthread_t thread;
    int (*call)(void) = name_self_lock_and_unlock;
    memset(&who, -1, sizeof who);
    memset(&nobody, 0, sizeof nobody);
    OK(interproc_mutex_holder(&counter->lock, &who));
    CHECK(memcmp(&who, &nobody, sizeof who) == 0);
    OK(interproc_waiters(&counter->lock, sizeof(interproc_mutex_t), &n));
    CHECK(n == 0);

    OK(lock());
    OK(interproc_mutex_holder(&counter->lock, &who));
    CHECK(who.found && who.alive && who.pid == (int32_t)getpid() && who.tid == (int32_t)getpid());
    CHECK(who.pid_namespace != 0 && who.start_time != 0 && who.state == 'R' && who.name[0] != 0);
    pthread_create(&thread, NULL, call_in_thread, &call);
    CHECK(asleep(&counter->lock, sizeof counter->lock, 1) == 1);
    CHECK(asleep(counter, sizeof *counter, 1) == 1);
    CHECK(asleep(&counter->value, sizeof counter->value, 0) == 0); /* not for what lies beside it */
    OK(interproc_waiters(&counter->lock, sizeof(interproc_mutex_t), &n));
    CHECK(n == 1);
    OK(unlock());
    pthread_join(thread, NULL);
    OK(in_thread_result);
    OK(interproc_waiters(&counter->lock, sizeof(interproc_mutex_t), &n));
    CHECK(n == 0);

    in_dying_child(lock);
    OK(interproc_mutex_holder(&counter->lock, &who));
    CHECK(who.found && !who.alive && who.pid != 0 && who.pid != (int32_t)getpid() && who.name[0] == 0);
    RETURNS(EOWNERDEAD, lock());
    OK(interproc_mutex_holder(&counter->lock, &who));
    CHECK(who.found && who.alive && who.pid == (int32_t)getpid());
    OK(consistent());
    OK(unlock());
}

static int pop_one(void)
{
    int got;
    return interproc_queue_pop(&queue, &got, NULL);
}

static void a_queue_says_how_many_sleep_for_a_message(void)
{
    int (*call)(void) = pop_one;
    uint32_t consumers = 7, producers = 7;
    pthread_t thread;
    OK(interproc_queue_waiters(&queue, &consumers, &producers));
    CHECK(consumers == 0 && producers == 0);
    pthread_create(&thread, NULL, call_in_thread, &call);
    for (int ms = 0; ms < 30000 && consumers == 0; ms++) {
        nap();
        OK(interproc_queue_waiters(&queue, &consumers, &producers));
    }
    CHECK(consumers == 1 && producers == 0);
    OK(interproc_queue_push(&queue, &consumers));
    pthread_join(thread, NULL);
    OK(in_thread_result);
}

static void null_arguments_are_refused_and_outputs_left_alone(void)
{
    interproc_segment_t s = INTERPROC_SEGMENT_INIT;
    interproc_queue_t none = INTERPROC_QUEUE_INIT;
    interproc_process_t p = INTERPROC_PROCESS_INIT;
    interproc_segment_options_t options = INTERPROC_SEGMENT_OPTIONS_INIT;
    interproc_exit_t end;
    void *object = &s;
    size_t n = 7;
    int i = 7;
    int32_t id = 7;
    uint32_t count = 7;
    interproc_who_t who;
    bool b = true;

    RETURNS(EINVAL, interproc_segment_create(NULL, name, 4096, 0));
    RETURNS(EINVAL, interproc_segment_create(&s, NULL, 4096, 0));
    RETURNS(EINVAL, interproc_segment_open(NULL, name));
    RETURNS(EINVAL, interproc_segment_open(&s, NULL));
    RETURNS(EINVAL, interproc_segment_open_or_create(NULL, name, 4096, 0));
    RETURNS(EINVAL, interproc_segment_open_or_create(&s, NULL, 4096, 0));
    RETURNS(EINVAL, interproc_segment_anonymous(NULL, 4096));
    RETURNS(EINVAL, interproc_segment_attach_fd(NULL, 0));
    RETURNS(EINVAL, interproc_segment_create_with(&s, name, NULL));
    RETURNS(EINVAL, interproc_segment_create_with(&s, NULL, &options));
    RETURNS(EINVAL, interproc_segment_create_with(NULL, name, &options));
    RETURNS(EINVAL, interproc_segment_open_with(&s, name, NULL));
    RETURNS(EINVAL, interproc_segment_open_or_create_with(&s, name, NULL));
    RETURNS(EINVAL, interproc_segment_anonymous_with(&s, NULL));
    CHECK(s.private_ == NULL);
    RETURNS(EINVAL, interproc_segment_close(NULL));
    RETURNS(EINVAL, interproc_segment_close(&s));
    RETURNS(EINVAL, interproc_segment_unlink(NULL));
    RETURNS(EINVAL, interproc_segment_unlink_if_stale(NULL, &b));
    RETURNS(EINVAL, interproc_segment_unlink_if_stale(name, NULL));
    RETURNS(EINVAL, interproc_segment_object(NULL, "o", 8, 8, &object));
    RETURNS(EINVAL, interproc_segment_object(&s, "o", 8, 8, &object));
    RETURNS(EINVAL, interproc_segment_object(&segment, NULL, 8, 8, &object));
    RETURNS(EINVAL, interproc_segment_object(&segment, "o", 8, 8, NULL));
    RETURNS(EINVAL, interproc_segment_object_as(NULL, "o", 0, 8, 8, NULL, &object, &b));
    RETURNS(EINVAL, interproc_segment_object_as(&segment, NULL, 0, 8, 8, NULL, &object, &b));
    RETURNS(EINVAL, interproc_segment_object_as(&segment, "o", 0, 8, 8, NULL, NULL, &b));
    RETURNS(EINVAL, interproc_segment_find_as(&segment, NULL, 0, 8, 8, &object));
    RETURNS(EINVAL, interproc_segment_find_as(&segment, "o", 0, 8, 8, NULL));
    RETURNS(ENOENT, interproc_segment_find_as(&segment, "o", 0, 8, 8, &object));
    CHECK(interproc_type_id(NULL, 8, 8, NULL, 0) == 0 && interproc_type_id("a", 8, 8, NULL, 1) == 0);
    RETURNS(EINVAL, interproc_segment_find(&segment, NULL, 8, 8, &object));
    RETURNS(EINVAL, interproc_segment_find(&segment, "o", 8, 8, NULL));
    RETURNS(ENOENT, interproc_segment_find(&segment, "o", 8, 8, &object));
    CHECK(object == (void *)&s);
    RETURNS(EINVAL, interproc_segment_queue(&segment, "q", 8, 8, NULL));
    RETURNS(EINVAL, interproc_segment_queue(&segment, NULL, 8, 8, &none));
    RETURNS(EINVAL, interproc_segment_queue(&s, "q", 8, 8, &none));
    RETURNS(EINVAL, interproc_segment_queue_as(&segment, NULL, 1, 8, 8, &none));
    RETURNS(EINVAL, interproc_segment_queue_as(&segment, "q", 1, 8, 8, NULL));
    RETURNS(EINVAL, interproc_segment_queue_as(NULL, "q", 1, 8, 8, &none));
    RETURNS(EINVAL, interproc_segment_info(&s, &segment_));
    RETURNS(EINVAL, interproc_segment_info(&segment, NULL));
    RETURNS(EINVAL, interproc_segment_fd(&s, &i));
    RETURNS(EINVAL, interproc_segment_fd(&segment, NULL));

    const interproc_queue_t *bad[] = {NULL, &none};
    for (int k = 0; k < 2; k++) {
        RETURNS(EINVAL, interproc_queue_push(bad[k], &i));
        RETURNS(EINVAL, interproc_queue_trypush(bad[k], &i));
        RETURNS(EINVAL, interproc_queue_timedpush(bad[k], &i, &past));
        RETURNS(EINVAL, interproc_queue_pop(bad[k], &i, NULL));
        RETURNS(EINVAL, interproc_queue_trypop(bad[k], &i, NULL));
        RETURNS(EINVAL, interproc_queue_timedpop(bad[k], &past, &i, NULL));
        RETURNS(EINVAL, interproc_queue_push_batch_until(bad[k], &i, 1, NULL, &n));
        RETURNS(EINVAL, interproc_queue_push_batch_until(bad[k], &i, 1, AT_ONCE, &n));
        RETURNS(EINVAL, interproc_queue_push_batch_until(bad[k], &i, 1, &past, &n));
        RETURNS(EINVAL, interproc_queue_pop_batch_until(bad[k], NULL, &i, 1, &n, NULL));
        RETURNS(EINVAL, interproc_queue_pop_batch_until(bad[k], AT_ONCE, &i, 1, &n, NULL));
        RETURNS(EINVAL, interproc_queue_pop_batch_until(bad[k], &past, &i, 1, &n, NULL));
        RETURNS(EINVAL, interproc_queue_close(bad[k]));
        RETURNS(EINVAL, interproc_queue_info(bad[k], &channel_));
        RETURNS(EINVAL, interproc_queue_blocker(bad[k], &who));
        RETURNS(EINVAL, interproc_queue_waiters(bad[k], &count, &count));
    }
    RETURNS(EINVAL, interproc_queue_push(&queue, NULL));
    RETURNS(EINVAL, interproc_queue_trypush(&queue, NULL));
    RETURNS(EINVAL, interproc_queue_timedpush(&queue, NULL, &past));
    RETURNS(EINVAL, interproc_queue_pop(&queue, NULL, NULL));
    RETURNS(EINVAL, interproc_queue_trypop(&queue, NULL, NULL));
    RETURNS(EINVAL, interproc_queue_push_batch_until(&queue, NULL, 1, NULL, &n));
    RETURNS(EINVAL, interproc_queue_push_batch_until(&queue, &i, 1, NULL, NULL));
    RETURNS(EINVAL, interproc_queue_pop_batch_until(&queue, NULL, NULL, 1, &n, NULL));
    RETURNS(EINVAL, interproc_queue_pop_batch_until(&queue, NULL, &i, 1, NULL, NULL));
    RETURNS(EINVAL, interproc_queue_info(&queue, NULL));
    RETURNS(EINVAL, interproc_queue_blocker(&queue, NULL));
    RETURNS(EINVAL, interproc_queue_waiters(&queue, NULL, &count));
    RETURNS(EINVAL, interproc_queue_waiters(&queue, &count, NULL));
    RETURNS(EINVAL, interproc_mutex_holder(NULL, &who));
    RETURNS(EINVAL, interproc_mutex_holder(&counter->lock, NULL));
    RETURNS(EINVAL, interproc_mutex_holder((interproc_mutex_t *)&s, &who));
    RETURNS(EINVAL, interproc_mutex_holder((interproc_mutex_t *)((char *)counter + 4), &who));
    RETURNS(EINVAL, interproc_waiters(NULL, 1, &count));
    RETURNS(EINVAL, interproc_waiters(&counter->lock, sizeof(interproc_mutex_t), NULL));
    RETURNS(EINVAL, interproc_waiters(NULL, 1, &count));
    RETURNS(EINVAL, interproc_waiters(&s, 1, &count));
    RETURNS(EINVAL, interproc_waiters(counter, 1, NULL));
    CHECK(count == 7);

    RETURNS(EINVAL, interproc_process_fork(NULL, NULL, then_die, NULL));
    RETURNS(EINVAL, interproc_process_fork(&p, NULL, NULL, NULL));
    const interproc_process_t *gone[] = {NULL, &p};
    for (int k = 0; k < 2; k++) {
        RETURNS(EINVAL, interproc_process_pid(gone[k], &id));
        RETURNS(EINVAL, interproc_process_join(gone[k], &end));
        RETURNS(EINVAL, interproc_process_join_until(gone[k], AT_ONCE, &end));
        RETURNS(EINVAL, interproc_process_join_until(gone[k], &past, &end));
        RETURNS(EINVAL, interproc_process_is_alive(gone[k], &b));
        RETURNS(EINVAL, interproc_process_terminate(gone[k]));
        RETURNS(EINVAL, interproc_process_kill(gone[k]));
        RETURNS(EINVAL, interproc_process_fd(gone[k], &i));
    }
    RETURNS(EINVAL, interproc_process_close(NULL));
    RETURNS(EINVAL, interproc_process_close(&p));
    RETURNS(EINVAL, interproc_deadline_after(1, NULL));
    CHECK(n == 7 && i == 7 && id == 7 && b);
}

static void segments_are_found_by_name_and_say_what_is_wrong(void)
{
    interproc_segment_t made = INTERPROC_SEGMENT_INIT, opened = INTERPROC_SEGMENT_INIT;
    void *a, *b;
    size_t len = 0;
    bool is = true;

    RETURNS(ENOENT, interproc_segment_open(&opened, name));
    OK(interproc_segment_create(&made, name, 5000, 0640));
    RETURNS(EEXIST, interproc_segment_create(&opened, name, 5000, 0));
    RETURNS(EINVAL, interproc_segment_create(&opened, "no-slash", 5000, 0));
    RETURNS(EINVAL, interproc_segment_create(&opened, "/bad\xff", 5000, 0));
    RETURNS(EINVAL, interproc_segment_create(&opened, "/interproc-c-bad-mode", 5000, 010000));
    OK(FIELD(interproc_segment_info(&made, &segment_), segment_.size, &len));
    CHECK(len == 8192);
    OK(interproc_segment_open(&opened, name));
    OK(interproc_segment_object(&made, "thing", 24, 8, &a));
    CHECK(memcmp(a, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24) == 0);
    strcpy(a, "seen by all");
    OK(interproc_segment_find(&opened, "thing", 24, 8, &b));
    CHECK(a != b && strcmp(b, "seen by all") == 0);
    OK(interproc_segment_object(&opened, "thing", 24, 8, &b));
    CHECK(strcmp(b, "seen by all") == 0);

    RETURNS(EEXIST, interproc_segment_object(&opened, "thing", 32, 8, &b));
    CHECK(strstr(interproc_last_error_message(), "24 bytes") && strstr(interproc_last_error_message(), "32 bytes"));
    RETURNS(EINVAL, interproc_segment_object(&opened, "other", 0, 8, &b));
    RETURNS(EINVAL, interproc_segment_object(&opened, "other", 8, 3, &b));
    RETURNS(ENOMEM, interproc_segment_object(&opened, "other", 1 << 20, 8, &b));
    RETURNS(ENOENT, interproc_segment_find(&opened, "other", 8, 8, &b));

    /* Made with its first value, by one; of an exact type. */
    struct { interproc_mutex_t lock; uint64_t left; } first = { INTERPROC_MUTEX_INIT, 3 }, *shop = NULL;
    uint64_t word = interproc_type_id("u64", 8, 8, NULL, 0);
    uint64_t type = interproc_type_id("Mutex", sizeof first, 8, &word, 1);
    CHECK(word != 0 && type != 0 && word != type && type != interproc_type_id("Mutex", sizeof first, 8, NULL, 0));
    OK(interproc_segment_object_as(&made, "shop", type, sizeof first, 8, &first, (void **)&shop, &is));
    CHECK(is && shop->left == 3);
    first.left = 4;
    OK(interproc_segment_object_as(&made, "shop", type, sizeof first, 8, &first, (void **)&shop, &is));
    CHECK(!is && shop->left == 3);
    OK(interproc_segment_object_as(&opened, "shop", type, sizeof first, 8, NULL, &b, NULL));
    OK(interproc_segment_find_as(&opened, "shop", type, sizeof first, 8, &b));
    RETURNS(EEXIST, interproc_segment_object_as(&opened, "shop", word, sizeof first, 8, NULL, &b, &is));
    RETURNS(EEXIST, interproc_segment_object(&opened, "shop", sizeof first, 8, &b));
    CHECK(strstr(interproc_last_error_message(), "type 0x") != NULL);
    RETURNS(EEXIST, interproc_segment_find(&opened, "shop", sizeof first, 8, &b));
    RETURNS(EEXIST, interproc_segment_find_as(&opened, "thing", type, 24, 8, &b));
    RETURNS(EINVAL, interproc_segment_queue(&opened, "q", 0, 8, &queue));
    RETURNS(EINVAL, interproc_segment_queue(&opened, "q", 8, 0, &queue));
    OK(interproc_segment_queue(&opened, "q", 8, 8, &queue));
    RETURNS(EEXIST, interproc_segment_queue(&opened, "q", 8, 16, &queue));

    /* Messages of a type, and of none. */
    interproc_latest_t latest;
    interproc_spsc_producer_t producer;
    interproc_spsc_consumer_t consumer;
    uint64_t real = interproc_type_id("f64", 8, 8, NULL, 0);
    OK(interproc_segment_queue_as(&opened, "q", 0, 8, 8, &queue));
    RETURNS(EEXIST, interproc_segment_queue_as(&opened, "q", word, 8, 8, &queue));
    OK(interproc_segment_queue_as(&opened, "words", word, 8, 8, &queue));
    RETURNS(EEXIST, interproc_segment_queue_as(&made, "words", real, 8, 8, &queue));
    CHECK(strstr(interproc_last_error_message(), "\"words\" is a Queue of 8-byte elements x 8")
          && strstr(interproc_last_error_message(), "type 0x"));
    RETURNS(EEXIST, interproc_segment_queue(&made, "words", 8, 8, &queue));
    OK(interproc_segment_spsc_producer_as(&opened, "samples", real, 8, 8, &producer));
    RETURNS(EEXIST, interproc_segment_spsc_consumer_as(&opened, "samples", word, 8, 8, &consumer));
    RETURNS(EEXIST, interproc_segment_spsc_consumer(&opened, "samples", 8, 8, &consumer));
    OK(interproc_segment_spsc_consumer_as(&opened, "samples", real, 8, 8, &consumer));
    OK(interproc_spsc_producer_leave(&producer));
    OK(interproc_spsc_consumer_leave(&consumer));
    OK(interproc_segment_latest_as(&opened, "pose", real, 8, NULL, 4, &latest));
    RETURNS(EEXIST, interproc_segment_latest_as(&made, "pose", word, 8, NULL, 4, &latest));
    RETURNS(EEXIST, interproc_segment_latest(&made, "pose", 8, NULL, &latest));

    int fd = -1;
    interproc_segment_t third = INTERPROC_SEGMENT_INIT;
    OK(interproc_segment_fd(&opened, &fd));
    struct stat status;
    CHECK(fstat(fd, &status) == 0 && (status.st_mode & 0777) == 0640);
    OK(interproc_segment_attach_fd(&third, fd));
    OK(interproc_segment_find(&third, "thing", 24, 8, &b));
    CHECK(strcmp(b, "seen by all") == 0);
    OK(interproc_segment_close(&third));
    CHECK(fstat(fd, &status) == 0); /* still the caller's */
    RETURNS(EBADF, interproc_segment_attach_fd(&third, 9999));
    int foreign = open("/dev/null", O_RDWR);
    CHECK(interproc_segment_attach_fd(&third, foreign) != 0);
    close(foreign);

    OK(interproc_segment_unlink_if_stale(name, &is));
    CHECK(!is);
    OK(FIELD(interproc_segment_info(&made, &segment_), segment_.is_retired, &is));
    CHECK(!is);
    OK(interproc_segment_unlink(name));
    OK(FIELD(interproc_segment_info(&made, &segment_), segment_.is_retired, &is));
    CHECK(is);
    RETURNS(ENOENT, interproc_segment_unlink(name));
    OK(interproc_segment_close(&made));
    RETURNS(EINVAL, interproc_segment_close(&made));
    OK(interproc_segment_close(&opened));

    OK(interproc_segment_open_or_create(&made, name, 4096, 0));
    OK(interproc_segment_open_or_create(&opened, name, 4096, 0));
    RETURNS(EEXIST, interproc_segment_open_or_create(&third, name, 1 << 20, 0)); /* smaller than asked for */
    OK(interproc_segment_close(&made));
    OK(interproc_segment_close(&opened));
    OK(interproc_segment_unlink_if_stale(name, &is));
    CHECK(is);
}

static void options_shape_a_segment_and_unknown_ones_are_refused(void)
{
    interproc_segment_options_t options = INTERPROC_SEGMENT_OPTIONS_INIT;
    interproc_segment_t s = INTERPROC_SEGMENT_INIT, other = INTERPROC_SEGMENT_INIT;
    void *object;
    options.size = 4096;
    options.max_objects = 1;
    options.max_members = 2;
    options.flags = INTERPROC_SEGMENT_SPARSE | INTERPROC_SEGMENT_STRONG_FENCES | INTERPROC_SEGMENT_TRUST_OWNER;
    options.trusted_owner = (uint32_t)getuid();
    OK(interproc_segment_create_with(&s, name, &options));
    OK(interproc_segment_object(&s, "one", 8, 8, &object));
    RETURNS(ENOMEM, interproc_segment_object(&s, "two", 8, 8, &object));
    OK(interproc_segment_open_with(&other, name, &options));
    OK(interproc_segment_close(&other));
    OK(interproc_segment_open_or_create_with(&other, name, &options));
    OK(interproc_segment_close(&other));
    OK(interproc_segment_close(&s));
    OK(interproc_segment_unlink(name));
    OK(interproc_segment_anonymous_with(&s, &options));
    OK(interproc_segment_close(&s));

    interproc_segment_options_t none = INTERPROC_SEGMENT_OPTIONS_INIT;
    RETURNS(EINVAL, interproc_segment_anonymous_with(&s, &none)); /* no size */
    options.max_members = 1 << 20;
    RETURNS(EINVAL, interproc_segment_anonymous_with(&s, &options));
    CHECK(strstr(interproc_last_error_message(), "max_members"));
    options.max_members = 0;
    options.flags = 64;
    RETURNS(EINVAL, interproc_segment_anonymous_with(&s, &options));
    options.flags = 0;
    options.reserved[3] = 1;
    RETURNS(EINVAL, interproc_segment_anonymous_with(&s, &options));
}

static void a_queue_whose_segment_was_closed_is_refused(void)
{
    interproc_segment_t s;
    interproc_queue_t q;
    interproc_mutex_t *m;
    int message = 1;
    OK(interproc_segment_anonymous(&s, 4096));
    OK(interproc_segment_queue(&s, "q", sizeof message, 2, &q));
    OK(interproc_segment_object(&s, "m", sizeof *m, 8, (void **)&m));
    OK(interproc_queue_push(&q, &message));
    OK(interproc_mutex_lock(m));
    OK(interproc_mutex_unlock(m));
    OK(interproc_segment_close(&s));
    RETURNS(EINVAL, interproc_queue_push(&q, &message));
    RETURNS(EINVAL, interproc_queue_trypop(&q, &message, NULL));
    RETURNS(EINVAL, interproc_queue_close(&q));
    RETURNS(EINVAL, interproc_mutex_lock(m));
}

static int seven(void *unused)
{
    (void)unused;
    return 7;
}
static int too_much(void *unused)
{
    (void)unused;
    return 256;
}
static int for_ever(void *unused)
{
    while (pause() == -1)
        (void)unused;
    return 0;
}
static int use_parents_handle(void *process)
{
    return interproc_process_join(process, NULL);
}

static void processes_end_with_a_code_or_a_signal_and_tell_it_again(void)
{
    interproc_process_t child;
    interproc_exit_t end = {0, 0, 0, 0};
    int32_t pid = 0;
    bool alive = true;
    int fd = -1;

    OK(interproc_process_fork(&child, "seven", seven, NULL));
    OK(interproc_process_join(&child, NULL));
    OK(interproc_process_join(&child, &end));
    CHECK(end.code == 7 && end.signal == 0);
    OK(interproc_process_join_until(&child, AT_ONCE, &end));
    OK(interproc_process_join_until(&child, &past, &end));
    OK(interproc_process_is_alive(&child, &alive));
    CHECK(!alive);
    OK(interproc_process_kill(&child));
    OK(interproc_process_close(&child));
    RETURNS(EINVAL, interproc_process_close(&child));

    OK(interproc_process_fork(&child, NULL, too_much, NULL));
    OK(interproc_process_join(&child, &end));
    CHECK(end.code == 255);
    OK(interproc_process_close(&child));

    OK(interproc_process_fork(&child, "a name that is longer than the kernel keeps", for_ever, NULL));
    RETURNS(ETIMEDOUT, interproc_process_join_until(&child, AT_ONCE, &end));
    struct timespec soon = in_ms(10);
    RETURNS(ETIMEDOUT, interproc_process_join_until(&child, &soon, &end));
    RETURNS(ETIMEDOUT, interproc_process_join_until(&child, &past, &end));
    for (int i = 0; i < 3; i++)
        RETURNS(EINVAL, interproc_process_join_until(&child, &impossible[i], &end));
    CHECK(end.code == 255);
    OK(interproc_process_is_alive(&child, &alive));
    CHECK(alive);
    OK(interproc_process_pid(&child, &pid));
    CHECK(pid > 0 && kill(pid, 0) == 0);
    OK(interproc_process_fd(&child, &fd));
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    OK(interproc_process_terminate(&child));
    OK(interproc_process_join(&child, &end));
    CHECK(end.signal == SIGTERM && end.code == -1);
    OK(interproc_process_close(&child));

    OK(interproc_process_fork(&child, NULL, for_ever, NULL));
    interproc_process_t second;
    OK(interproc_process_fork(&second, NULL, use_parents_handle, &child));
    OK(interproc_process_join(&second, &end));
    CHECK(end.code == EPERM);
    OK(interproc_process_close(&second));
    OK(interproc_process_kill(&child));
    OK(interproc_process_join(&child, &end));
    CHECK(end.signal == SIGKILL);
    OK(interproc_process_close(&child));
}

static void deadlines_errors_and_the_version_are_what_they_say(void)
{
    struct timespec now, then, never;
    clock_gettime(CLOCK_MONOTONIC, &now);
    OK(interproc_deadline_after(1500000000, &then));
    double ahead = (double)(then.tv_sec - now.tv_sec) + (double)(then.tv_nsec - now.tv_nsec) / 1e9;
    CHECK(ahead >= 1.5 && ahead < 11.5);
    OK(interproc_deadline_after(UINT64_MAX, &never));
    CHECK(never.tv_sec > 500000000 && never.tv_nsec < 1000000000);

    int ours[] = {EOWNERDEAD, ENOTRECOVERABLE, EDEADLK, EPERM, EBUSY, EAGAIN, ETIMEDOUT, EPIPE, EINVAL, EPROTO, ESTALE};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        errno = UNTOUCHED;
        const char *text = interproc_strerror(ours[i]);
        CHECK(errno == UNTOUCHED && strlen(text) > 20 && strcmp(text, strerror(ours[i])) != 0);
        CHECK(text == interproc_strerror(ours[i]));
    }
    errno = UNTOUCHED;
    CHECK(strcmp(interproc_strerror(ENOTTY), strerror(ENOTTY)) == 0 && interproc_strerror(-1)[0] != 0);
    CHECK(errno == UNTOUCHED);
    CHECK(interproc_version()[0] >= '0' && strchr(interproc_version(), '.') != NULL);

    RETURNS(EPERM, unlock());
    CHECK(strstr(interproc_last_error_message(), "does not own"));
    RETURNS(EINVAL, interproc_queue_push(&queue, NULL));
    CHECK(strstr(interproc_last_error_message(), "element is NULL"));
    OK(trylock());
    CHECK(strstr(interproc_last_error_message(), "element is NULL")); /* a success does not change it */
    OK(unlock());
}

static int no_message_yet(void) { return interproc_last_error_message()[0]; }
static void a_threads_last_error_is_its_own(void)
{
    RETURNS(EPERM, unlock());
    OK(in_thread(no_message_yet));
}

#define TEST(function) {#function, function}
static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    TEST(zero_bytes_and_the_initialiser_are_an_unlocked_mutex),
    TEST(a_lock_excludes_and_says_who_may_not),
    TEST(a_past_deadline_still_takes_what_is_free_and_an_impossible_one_is_refused),
    TEST(a_mutex_outside_a_segment_is_refused),
    TEST(the_next_locker_after_a_death_is_told_and_repairs),
    TEST(a_lock_left_inconsistent_is_unusable_until_it_is_made_anew),
    TEST(a_mutex_may_be_destroyed_by_its_holder_and_when_free_and_not_under_a_holder),
    TEST(a_signal_does_not_end_a_waiting_call),
    TEST(a_queue_keeps_order_and_says_when_it_is_full_empty_or_closed),
    TEST(batches_go_in_and_come_out_in_order_and_say_how_many),
    TEST(handles_of_queues_work_in_forked_children_and_as_copies),
    TEST(a_mutex_says_who_holds_it_and_how_many_sleep_for_it),
    TEST(a_queue_says_how_many_sleep_for_a_message),
    TEST(null_arguments_are_refused_and_outputs_left_alone),
    TEST(segments_are_found_by_name_and_say_what_is_wrong),
    TEST(options_shape_a_segment_and_unknown_ones_are_refused),
    TEST(a_queue_whose_segment_was_closed_is_refused),
    TEST(processes_end_with_a_code_or_a_signal_and_tell_it_again),
    TEST(deadlines_errors_and_the_version_are_what_they_say),
    TEST(a_threads_last_error_is_its_own),
};

int main(int argc, char **argv)
{
    int run = 0;
    snprintf(name, sizeof name, "/interproc-c-test-%ld", (long)getpid());
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        if (argc > 1 && strcmp(argv[1], tests[i].name) != 0)
            continue;
        int before = failures;
        set_up();
        tests[i].run();
        OK(interproc_segment_close(&segment));
        printf("%s ... %s\n", tests[i].name, failures == before ? "ok" : "FAILED");
        run++;
    }
    printf("%d tests, %d failures\n", run, failures);
    return failures != 0 || run == 0;
}
