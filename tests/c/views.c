/* The views in C: of each object who holds it and how many wait, while processes hold, wait, are stopped and are killed. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* All that is looked at, and nothing else: interproc_waiters() counts whoever sleeps in here. */
typedef struct {
    interproc_mutex_t mutex;
    interproc_recursive_mutex_t recursive;
    interproc_cond_t cond;
    interproc_semaphore_t semaphore;
    interproc_event_t event;
    interproc_once_t once;
    interproc_rwlock_t rwlock;
} things_t;

static interproc_segment_t segment;
static things_t *things;
static interproc_bounded_semaphore_t permits;
static interproc_barrier_t barrier;
static interproc_queue_t queue;
/* Children say that they have come so far; nobody says that they may go on. */
static struct {
    interproc_semaphore_t here;
    interproc_event_t never;
} *doors;

static void pause_a_little(void)
{
    struct timespec ms = {0, 1000000};
    nanosleep(&ms, NULL);
}

/* Until it is so, or for ten seconds. */
#define EVENTUALLY(condition)                                                             \
    do {                                                                                  \
        for (int tries_ = 0; tries_ < 10000 && !(condition); tries_++)                    \
            pause_a_little();                                                             \
        CHECK(condition);                                                                 \
    } while (0)

/* A child that runs the body and is killed or ends. */
static pid_t child(int (*body)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, "a-child");
        _exit(body());
    }
    CHECK(pid > 0);
    return pid;
}

static void stay(void)
{
    interproc_semaphore_post(&doors->here);
    interproc_event_wait(&doors->never);
}

/* A child that holds something when this returns. */
static pid_t holder(int (*body)(void))
{
    pid_t pid = child(body);
    OK(interproc_semaphore_acquire(&doors->here));
    return pid;
}

static void bury(pid_t pid)
{
    int status;
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void ended(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static bool is_zero(const interproc_who_t *who)
{
    interproc_who_t zero;
    memset(&zero, 0, sizeof zero);
    return memcmp(who, &zero, sizeof zero) == 0;
}

static bool is_child(const interproc_who_t *who, pid_t pid)
{
    return who->found && who->alive && who->pid == pid && who->tid == pid && who->pid_namespace != 0 && who->start_time != 0
        && who->state != 0 && strcmp(who->name, "a-child") == 0;
}

/* Dead, and still known. */
static bool is_dead(const interproc_who_t *who, pid_t pid)
{
    return who->found && !who->alive && who->pid == pid && who->tid == pid && who->name[0] == 0;
}

static uint32_t asleep_anywhere(void)
{
    uint32_t n = 99;
    OK(interproc_waiters(things, sizeof *things, &n));
    return n;
}

/* The looks that all locks with one holder have in common. */
typedef struct {
    int (*holder)(interproc_who_t *);
    int (*waiters)(uint32_t *);
    int (*hold)(void); /* holds and stays */
    int (*pass)(void); /* locks, repairs, unlocks */
} one_holder_t;

static uint32_t asleep(const one_holder_t *lock)
{
    uint32_t n = 99;
    OK(lock->waiters(&n));
    return n;
}

static interproc_who_t held_by(const one_holder_t *lock)
{
    interproc_who_t who;
    memset(&who, 0xff, sizeof who);
    OK(lock->holder(&who));
    return who;
}

static void look_at(const one_holder_t *lock)
{
    interproc_who_t who = held_by(lock);
    CHECK(is_zero(&who) && asleep(lock) == 0 && asleep_anywhere() == 0);
    pid_t first = holder(lock->hold);
    who = held_by(lock);
    CHECK(is_child(&who, first) && asleep(lock) == 0);
    CHECK(kill(first, SIGSTOP) == 0);
    EVENTUALLY((who = held_by(lock), who.state == 'T'));
    CHECK(is_child(&who, first));
    CHECK(kill(first, SIGCONT) == 0);

    pid_t waits = child(lock->pass), killed = child(lock->pass);
    EVENTUALLY(asleep(lock) == 2);
    CHECK(asleep_anywhere() == 2);
    bury(killed);
    EVENTUALLY(asleep(lock) == 1);
    who = held_by(lock);
    CHECK(is_child(&who, first));
    /* The one that waits inherits it, repairs and is gone. */
    bury(first);
    ended(waits);
    who = held_by(lock);
    CHECK(is_zero(&who) && asleep(lock) == 0 && asleep_anywhere() == 0);

    /* With nobody waiting the dead one is named until the next has come. */
    first = holder(lock->hold);
    bury(first);
    who = held_by(lock);
    CHECK(is_dead(&who, first));
    CHECK(lock->pass() == 0);
    who = held_by(lock);
    CHECK(is_zero(&who));
}

static int mutex_holder(interproc_who_t *who) { return interproc_mutex_holder(&things->mutex, who); }
static int mutex_waiters(uint32_t *n) { return interproc_waiters(&things->mutex, sizeof(interproc_mutex_t), n); }
static int mutex_hold(void)
{
    int rc = interproc_mutex_lock(&things->mutex);
    stay();
    return rc;
}
static int mutex_pass(void)
{
    int rc = interproc_mutex_lock(&things->mutex);
    if (rc == EOWNERDEAD)
        rc = interproc_mutex_consistent(&things->mutex);
    return rc ? rc : interproc_mutex_unlock(&things->mutex);
}

static int recursive_holder(interproc_who_t *who) { return interproc_recursive_mutex_holder(&things->recursive, who); }
static int recursive_waiters(uint32_t *n) { return interproc_waiters(&things->recursive, sizeof(interproc_recursive_mutex_t), n); }
static int recursive_hold(void)
{
    int rc = interproc_recursive_mutex_lock(&things->recursive);
    rc = rc ? rc : interproc_recursive_mutex_lock(&things->recursive);
    stay();
    return rc;
}
static int recursive_pass(void)
{
    int rc = interproc_recursive_mutex_lock(&things->recursive);
    if (rc == EOWNERDEAD)
        rc = interproc_recursive_mutex_consistent(&things->recursive);
    return rc ? rc : interproc_recursive_mutex_unlock(&things->recursive);
}

static int job_that_stays(void *argument, bool is_retry)
{
    (void)argument, (void)is_retry;
    stay();
    return 1;
}
static int once_holder(interproc_who_t *who) { return interproc_once_holder(&things->once, who); }
static int once_waiters(uint32_t *n) { return interproc_waiters(&things->once, sizeof(interproc_once_t), n); }
static int once_hold(void) { return interproc_once_call(&things->once, job_that_stays, NULL); }
static int job(void *argument, bool is_retry)
{
    (void)argument;
    return is_retry ? 0 : 1;
}
/* Does the job that a dead one has left, and makes it new: then it is one that nobody is at. */
static int once_pass(void)
{
    int rc = interproc_once_call(&things->once, job, NULL);
    return rc ? rc : interproc_once_init(&things->once);
}

static void locks_with_one_holder_name_it_alive_stopped_and_dead(void)
{
    static const one_holder_t locks[] = {
        {mutex_holder, mutex_waiters, mutex_hold, mutex_pass},
        {recursive_holder, recursive_waiters, recursive_hold, recursive_pass},
        {once_holder, once_waiters, once_hold, once_pass},
    };
    for (int i = 0; i < 3; i++)
        look_at(&locks[i]);
}

static int wait_for_the_condition(void)
{
    int rc = interproc_mutex_lock(&things->mutex);
    rc = rc ? rc : interproc_cond_wait(&things->cond, &things->mutex);
    return rc ? rc : interproc_mutex_unlock(&things->mutex);
}
static int acquire(void) { return interproc_semaphore_acquire(&things->semaphore); }
static int wait_for_the_event(void) { return interproc_event_wait(&things->event); }
static uint32_t asleep_for_cond(void)
{
    uint32_t n = 99;
    OK(interproc_waiters(&things->cond, sizeof(interproc_cond_t), &n));
    return n;
}
static uint32_t asleep_for_semaphore(void)
{
    uint32_t n = 99;
    OK(interproc_waiters(&things->semaphore, sizeof(interproc_semaphore_t), &n));
    return n;
}
static uint32_t asleep_for_event(void)
{
    uint32_t n = 99;
    OK(interproc_waiters(&things->event, sizeof(interproc_event_t), &n));
    return n;
}

static void those_who_wait_for_a_signal_are_counted_and_the_dead_among_them_are_not(void)
{
    static const struct {
        int (*wait)(void);
        uint32_t (*asleep)(void);
    } signals[] = {
        {wait_for_the_condition, asleep_for_cond},
        {acquire, asleep_for_semaphore},
        {wait_for_the_event, asleep_for_event},
    };
    for (int i = 0; i < 3; i++) {
        CHECK(signals[i].asleep() == 0);
        pid_t one = child(signals[i].wait), two = child(signals[i].wait), killed = child(signals[i].wait);
        EVENTUALLY(signals[i].asleep() == 3);
        CHECK(asleep_anywhere() == 3);
        bury(killed);
        /* A death may wake those who wait for a condition: they end, and that is right. */
        if (i == 0)
            OK(interproc_cond_broadcast(&things->cond));
        else
            EVENTUALLY(signals[i].asleep() == 2);
        if (i == 1)
            OK(interproc_semaphore_post_many(&things->semaphore, 2));
        if (i == 2)
            OK(interproc_event_set(&things->event));
        ended(one);
        ended(two);
        CHECK(signals[i].asleep() == 0 && asleep_anywhere() == 0);
    }
}

static size_t rwlock_held_by(interproc_who_t *who, size_t room)
{
    size_t found = 99;
    OK(interproc_rwlock_holders(&things->rwlock, who, room, &found));
    return found;
}
static interproc_who_t writer(void)
{
    interproc_who_t who;
    memset(&who, 0xff, sizeof who);
    OK(interproc_rwlock_writer(&things->rwlock, &who));
    return who;
}
static int read_it(void)
{
    int rc = interproc_rwlock_rdlock(&things->rwlock);
    rc = rc ? rc : interproc_rwlock_rdlock(&things->rwlock);
    stay();
    return rc;
}
static int write_it(void)
{
    int rc = interproc_rwlock_wrlock(&things->rwlock);
    stay();
    return rc;
}

static void readers_and_writers_are_named_each_once(void)
{
    interproc_who_t who[3], one;
    uint32_t n = 99;
    one = writer();
    CHECK(is_zero(&one) && rwlock_held_by(NULL, 0) == 0);
    pid_t first = holder(read_it), second = holder(read_it);
    CHECK(rwlock_held_by(NULL, 0) == 2);
    memset(who, 0xff, sizeof who);
    interproc_who_t untouched = who[1];
    CHECK(rwlock_held_by(who, 1) == 2);
    CHECK(is_child(&who[0], first) || is_child(&who[0], second));
    CHECK(memcmp(&who[1], &untouched, sizeof untouched) == 0);
    CHECK(rwlock_held_by(who, 3) == 2);
    CHECK((is_child(&who[0], first) && is_child(&who[1], second)) || (is_child(&who[0], second) && is_child(&who[1], first)));
    CHECK(memcmp(&who[2], &untouched, sizeof untouched) == 0);
    one = writer();
    CHECK(is_zero(&one));

    /* A writer that waits is no holder, and is the writer. */
    pid_t writes = child(write_it);
    EVENTUALLY((interproc_waiters(&things->rwlock, sizeof(interproc_rwlock_t), &n), n == 1));
    CHECK(asleep_anywhere() == 1);
    one = writer();
    CHECK(is_child(&one, writes) && rwlock_held_by(who, 3) == 2);
    bury(first);
    CHECK(rwlock_held_by(who, 3) == 1 && is_child(&who[0], second));
    bury(second);
    OK(interproc_semaphore_acquire(&doors->here));
    CHECK(rwlock_held_by(who, 3) == 1 && is_child(&who[0], writes));
    OK(interproc_waiters(&things->rwlock, sizeof(interproc_rwlock_t), &n));
    CHECK(n == 0);
    bury(writes);
    one = writer();
    CHECK(is_dead(&one, writes));
    CHECK(rwlock_held_by(who, 3) == 1 && is_dead(&who[0], writes));
    RETURNS(EOWNERDEAD, interproc_rwlock_wrlock(&things->rwlock));
    CHECK(rwlock_held_by(who, 3) == 1 && who[0].alive && who[0].pid == getpid());
    OK(interproc_rwlock_consistent(&things->rwlock));
    OK(interproc_rwlock_unlock(&things->rwlock));
    CHECK(rwlock_held_by(who, 3) == 0);
}

static int hold_two_permits(void)
{
    interproc_permit_t one, two;
    int rc = interproc_bounded_semaphore_acquire(&permits, &one);
    rc = rc ? rc : interproc_bounded_semaphore_acquire(&permits, &two);
    stay();
    return rc;
}
static int acquire_a_permit(void)
{
    interproc_permit_t permit;
    int rc = interproc_bounded_semaphore_acquire(&permits, &permit);
    return rc == EOWNERDEAD ? interproc_bounded_semaphore_release(&permits, &permit) : 1;
}

static void who_holds_permits_is_named_once_and_the_dead_until_they_are_taken_over(void)
{
    interproc_who_t who[3];
    size_t found;
    uint32_t n;
    OK(interproc_bounded_semaphore_holders(&permits, who, 3, &found));
    CHECK(found == 0);
    pid_t first = holder(hold_two_permits);
    OK(interproc_bounded_semaphore_holders(&permits, who, 3, &found));
    CHECK(found == 1 && is_child(&who[0], first));
    pid_t waits = child(acquire_a_permit);
    EVENTUALLY((FIELD(interproc_bounded_semaphore_info(&permits, &permits_), permits_.waiters, &n), n == 1));
    bury(first);
    ended(waits);
    /* It has taken over one of two. */
    OK(interproc_bounded_semaphore_holders(&permits, who, 3, &found));
    CHECK(found == 1 && is_dead(&who[0], first));
    OK(FIELD(interproc_bounded_semaphore_info(&permits, &permits_), permits_.waiters, &n));
    CHECK(n == 0);
    interproc_permit_t both;
    RETURNS(EOWNERDEAD, interproc_bounded_semaphore_acquire_many_until(&permits, 2, NULL, &both));
    OK(interproc_bounded_semaphore_release(&permits, &both));
    OK(interproc_bounded_semaphore_holders(&permits, NULL, 0, &found));
    CHECK(found == 0);
}

static int come_to_the_barrier(void)
{
    bool leads;
    return interproc_barrier_wait(&barrier, &leads) == ECANCELED ? 0 : 1;
}

static void parties_have_seats_and_have_come_or_not(void)
{
    interproc_who_t who[3];
    bool has_come[3];
    size_t found;
    uint32_t n;
    OK(interproc_barrier_seats(&barrier, who, has_come, 3, &found));
    CHECK(found == 0);
    pid_t one = child(come_to_the_barrier), two = child(come_to_the_barrier);
    EVENTUALLY((FIELD(interproc_barrier_info(&barrier, &barrier_), barrier_.waiters, &n), n == 2));
    OK(interproc_barrier_seats(&barrier, who, has_come, 3, &found));
    CHECK(found == 2 && has_come[0] && has_come[1]);
    CHECK((is_child(&who[0], one) && is_child(&who[1], two)) || (is_child(&who[0], two) && is_child(&who[1], one)));
    OK(interproc_barrier_seats(&barrier, NULL, NULL, 0, &found));
    CHECK(found == 2);
    /* Its death breaks the barrier for the other. */
    bury(one);
    ended(two);
    OK(FIELD(interproc_barrier_info(&barrier, &barrier_), barrier_.waiters, &n));
    CHECK(n == 0);
    OK(FIELD(interproc_barrier_info(&barrier, &barrier_), barrier_.is_broken, &has_come[0]));
    CHECK(has_come[0]);
}

static int pop(void)
{
    int message;
    return interproc_queue_pop(&queue, &message, NULL);
}
static int push_three(void)
{
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = interproc_queue_push(&queue, &i);
    return rc;
}

static void consumers_and_producers_that_wait_are_told_apart(void)
{
    uint32_t consumers, producers;
    interproc_who_t who;
    pid_t one = child(pop), two = child(pop);
    EVENTUALLY((interproc_queue_waiters(&queue, &consumers, &producers), consumers == 2));
    CHECK(producers == 0);
    OK(interproc_queue_blocker(&queue, &who));
    CHECK(is_zero(&who));
    bury(one);
    EVENTUALLY((interproc_queue_waiters(&queue, &consumers, &producers), consumers == 1));
    pid_t pushes = child(push_three);
    ended(two);
    ended(pushes);
    pushes = child(push_three);
    EVENTUALLY((interproc_queue_waiters(&queue, &consumers, &producers), producers == 1));
    CHECK(consumers == 0);
    bury(pushes);
}

static void a_look_at_nothing_is_refused_and_writes_nothing(void)
{
    interproc_who_t who, untouched;
    memset(&who, 0xff, sizeof who);
    untouched = who;
    uint32_t n = 99;
    size_t found = 99;
    things_t here;
    memset(&here, 0, sizeof here);
    things_t *bad[] = {NULL, &here, (things_t *)((char *)things + 4)};
    for (int i = 0; i < 3; i++) {
        things_t *t = bad[i];
#define OF(member) (t ? &t->member : NULL)
        RETURNS(EINVAL, interproc_mutex_holder(OF(mutex), &who));
        RETURNS(EINVAL, interproc_recursive_mutex_holder(OF(recursive), &who));
        RETURNS(EINVAL, interproc_once_holder(OF(once), &who));
        RETURNS(EINVAL, interproc_rwlock_writer(OF(rwlock), &who));
        RETURNS(EINVAL, interproc_rwlock_holders(OF(rwlock), &who, 1, &found));
        if (i == 2)
            continue; /* How many sleep in these bytes is no question of alignment. */
        RETURNS(EINVAL, interproc_waiters(OF(mutex), sizeof(interproc_mutex_t), &n));
        RETURNS(EINVAL, interproc_waiters(OF(recursive), sizeof(interproc_recursive_mutex_t), &n));
        RETURNS(EINVAL, interproc_waiters(OF(cond), sizeof(interproc_cond_t), &n));
        RETURNS(EINVAL, interproc_waiters(OF(semaphore), sizeof(interproc_semaphore_t), &n));
        RETURNS(EINVAL, interproc_waiters(OF(event), sizeof(interproc_event_t), &n));
        RETURNS(EINVAL, interproc_waiters(OF(once), sizeof(interproc_once_t), &n));
        RETURNS(EINVAL, interproc_waiters(OF(rwlock), sizeof(interproc_rwlock_t), &n));
        RETURNS(EINVAL, interproc_waiters(t, sizeof *t, &n));
    }
    interproc_bounded_semaphore_t no_permits = INTERPROC_BOUNDED_SEMAPHORE_INIT;
    interproc_barrier_t no_barrier = INTERPROC_BARRIER_INIT;
    bool yes;
    for (int null = 0; null < 2; null++) {
        RETURNS(EINVAL, interproc_bounded_semaphore_holders(null ? NULL : &no_permits, &who, 1, &found));
        RETURNS(EINVAL, interproc_bounded_semaphore_info(null ? NULL : &no_permits, &permits_));
        RETURNS(EINVAL, interproc_barrier_seats(null ? NULL : &no_barrier, &who, &yes, 1, &found));
        RETURNS(EINVAL, interproc_barrier_info(null ? NULL : &no_barrier, &barrier_));
    }
    CHECK(memcmp(&who, &untouched, sizeof who) == 0 && n == 99 && found == 99);
    RETURNS(EINVAL, interproc_mutex_holder(&things->mutex, NULL));
    RETURNS(EINVAL, interproc_recursive_mutex_holder(&things->recursive, NULL));
    RETURNS(EINVAL, interproc_once_holder(&things->once, NULL));
    RETURNS(EINVAL, interproc_rwlock_writer(&things->rwlock, NULL));
    RETURNS(EINVAL, interproc_rwlock_holders(&things->rwlock, NULL, 1, &found));
    RETURNS(EINVAL, interproc_rwlock_holders(&things->rwlock, &who, 1, NULL));
    RETURNS(EINVAL, interproc_bounded_semaphore_holders(&permits, NULL, 1, &found));
    RETURNS(EINVAL, interproc_bounded_semaphore_holders(&permits, &who, 1, NULL));
    RETURNS(EINVAL, interproc_barrier_seats(&barrier, NULL, NULL, 1, &found));
    RETURNS(EINVAL, interproc_barrier_seats(&barrier, &who, NULL, 1, NULL));
    RETURNS(EINVAL, interproc_waiters(&things->mutex, sizeof(interproc_mutex_t), NULL));
    RETURNS(EINVAL, interproc_waiters(&things->recursive, sizeof(interproc_recursive_mutex_t), NULL));
    RETURNS(EINVAL, interproc_waiters(&things->cond, sizeof(interproc_cond_t), NULL));
    RETURNS(EINVAL, interproc_waiters(&things->semaphore, sizeof(interproc_semaphore_t), NULL));
    RETURNS(EINVAL, interproc_waiters(&things->event, sizeof(interproc_event_t), NULL));
    RETURNS(EINVAL, interproc_waiters(&things->once, sizeof(interproc_once_t), NULL));
    RETURNS(EINVAL, interproc_waiters(&things->rwlock, sizeof(interproc_rwlock_t), NULL));
    RETURNS(EINVAL, interproc_bounded_semaphore_info(&permits, NULL));
    RETURNS(EINVAL, interproc_barrier_info(&barrier, NULL));
    RETURNS(EINVAL, interproc_queue_waiters(&queue, NULL, NULL));
    RETURNS(EINVAL, interproc_queue_blocker(&queue, NULL));
    RETURNS(EINVAL, interproc_waiters(things, sizeof *things, NULL));
}

#define TEST(function) {#function, function}
static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    TEST(a_look_at_nothing_is_refused_and_writes_nothing),
    TEST(locks_with_one_holder_name_it_alive_stopped_and_dead),
    TEST(those_who_wait_for_a_signal_are_counted_and_the_dead_among_them_are_not),
    TEST(readers_and_writers_are_named_each_once),
    TEST(who_holds_permits_is_named_once_and_the_dead_until_they_are_taken_over),
    TEST(parties_have_seats_and_have_come_or_not),
    TEST(consumers_and_producers_that_wait_are_told_apart),
};

int main(int argc, char **argv)
{
    int run = 0;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        if (argc > 1 && strcmp(argv[1], tests[i].name) != 0)
            continue;
        int before = failures;
        OK(interproc_segment_anonymous(&segment, 1 << 16));
        OK(interproc_segment_object(&segment, "things", sizeof *things, 8, (void **)&things));
        OK(interproc_segment_object(&segment, "doors", sizeof *doors, 8, (void **)&doors));
        OK(interproc_segment_bounded_semaphore(&segment, "permits", 2, &permits));
        OK(interproc_segment_barrier(&segment, "barrier", 3, &barrier));
        OK(interproc_segment_queue(&segment, "queue", sizeof(int), 2, &queue));
        tests[i].run();
        OK(interproc_segment_close(&segment));
        printf("%s ... %s\n", tests[i].name, failures == before ? "ok" : "FAILED");
        fflush(stdout);
        run++;
    }
    printf("%d tests, %d failures\n", run, failures);
    return failures != 0 || run == 0;
}
