/* The C interface of the work queue: every function, every documented error, what happens when a worker dies, and other threads and
 * children. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CAPACITY = 3, LONGEST = 16 };

static interproc_segment_t segment;

static interproc_work_queue_options_t usual(void)
{
    interproc_work_queue_options_t options = {0};
    options.capacity = CAPACITY;
    options.longest = LONGEST;
    return options;
}

static interproc_work_queue_t queue(const char *name, const interproc_work_queue_options_t *options)
{
    interproc_work_queue_t q = INTERPROC_WORK_QUEUE_INIT;
    OK(interproc_segment_work_queue(&segment, name, options, &q));
    return q;
}

static interproc_work_queue_info_t info(const interproc_work_queue_t *q)
{
    interproc_work_queue_info_t told;
    memset(&told, 0x5a, sizeof told);
    OK(interproc_work_queue_info(q, &told));
    return told;
}

static void put(const interproc_work_queue_t *q, const char *text)
{
    OK(interproc_work_queue_tryput(q, text, strlen(text)));
}

/* The next job is this text, delivered so often. */
static interproc_job_t takes(const interproc_work_queue_t *q, const char *text, uint32_t deliveries)
{
    char buffer[LONGEST];
    interproc_job_t job = {0};
    OK(interproc_work_queue_trytake(q, buffer, sizeof buffer, &job));
    CHECK(job.len == strlen(text) && memcmp(buffer, text, job.len) == 0);
    CHECK(job.deliveries == deliveries);
    return job;
}

static int killed_in_a_child(void (*does)(const interproc_work_queue_t *), const interproc_work_queue_t *q)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        does(q);
        kill(getpid(), SIGKILL);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static void bad_arguments(void)
{
    interproc_work_queue_options_t options = usual(), other = usual();
    interproc_work_queue_t q = INTERPROC_WORK_QUEUE_INIT, nothing = INTERPROC_WORK_QUEUE_INIT;
    struct timespec wrong = {0, 1000000000};
    interproc_work_queue_info_t told;
    interproc_dead_letter_t letter;
    interproc_job_t job;
    char buffer[LONGEST];
    size_t found, total = 0;

    RETURNS(EINVAL, interproc_segment_work_queue(NULL, "q", &options, &q));
    RETURNS(EINVAL, interproc_segment_work_queue(&segment, NULL, &options, &q));
    RETURNS(EINVAL, interproc_segment_work_queue(&segment, "q", NULL, &q));
    RETURNS(EINVAL, interproc_segment_work_queue(&segment, "q", &options, NULL));
    RETURNS(EINVAL, interproc_room_work_queue(NULL, &total));
    RETURNS(EINVAL, interproc_room_work_queue(&options, NULL));
#define IMPOSSIBLE(field, value)                                                          \
    other = usual();                                                                      \
    other.field = (value);                                                                \
    RETURNS(EINVAL, interproc_segment_work_queue(&segment, "q", &other, &q));             \
    RETURNS(EINVAL, interproc_room_work_queue(&other, &total));
    IMPOSSIBLE(capacity, 0)
    IMPOSSIBLE(capacity, (1 << 24) + 1)
    IMPOSSIBLE(capacity, (size_t)-1)
    IMPOSSIBLE(longest, 0)
    IMPOSSIBLE(longest, (size_t)-1)
    IMPOSSIBLE(order, 3)
    IMPOSSIBLE(max_deliveries, 4096)
    IMPOSSIBLE(max_deliveries, 1 << 20)
    IMPOSSIBLE(reserved[2], 1)
    CHECK(total == 0);

    OK(interproc_segment_work_queue(&segment, "q", &options, &q));
    other = usual();
    other.order = INTERPROC_WORK_LIFO;
    RETURNS(EEXIST, interproc_segment_work_queue(&segment, "q", &other, &nothing));

    RETURNS(EINVAL, interproc_work_queue_put(NULL, buffer, 1));
    RETURNS(EINVAL, interproc_work_queue_put(&nothing, buffer, 1));
    RETURNS(EINVAL, interproc_work_queue_put(&q, NULL, 1));
    RETURNS(EMSGSIZE, interproc_work_queue_put(&q, buffer, LONGEST + 1));
    RETURNS(EMSGSIZE, interproc_work_queue_tryput(&q, buffer, LONGEST + 1));
    RETURNS(EINVAL, interproc_work_queue_put_until(&q, buffer, 1, 0, &wrong, NULL, NULL));
    RETURNS(EINVAL, interproc_work_queue_put_until(&q, buffer, 1, 0, NULL, &wrong, NULL));
    RETURNS(EINVAL, interproc_work_queue_trytake(NULL, buffer, LONGEST, &job));
    RETURNS(EINVAL, interproc_work_queue_trytake(&q, NULL, LONGEST, &job));
    RETURNS(EINVAL, interproc_work_queue_trytake(&q, buffer, LONGEST, NULL));
    RETURNS(EMSGSIZE, interproc_work_queue_trytake(&q, buffer, LONGEST - 1, &job));
    RETURNS(EINVAL, interproc_work_queue_timedtake(&q, &wrong, buffer, LONGEST, &job));
    RETURNS(EINVAL, interproc_work_queue_join_until(&q, &wrong));
    RETURNS(EINVAL, interproc_work_queue_done(&q, NULL));
    RETURNS(EINVAL, interproc_work_queue_fail(&q, NULL, "why"));
    RETURNS(EINVAL, interproc_work_queue_info(&q, NULL));
    RETURNS(EINVAL, interproc_work_queue_info(&nothing, &told));
    RETURNS(EINVAL, interproc_work_queue_dead_letters(&q, NULL, 1, &found));
    RETURNS(EINVAL, interproc_work_queue_dead_letters(&q, &letter, 1, NULL));
    RETURNS(EINVAL, interproc_work_queue_retry(&q, NULL));
    RETURNS(EINVAL, interproc_work_queue_discard(&q, NULL));
    RETURNS(EINVAL, interproc_work_queue_read_dead_letter(&q, NULL, buffer, 1));
    CHECK(info(&q).ready == 0 && info(&q).unfinished == 0);
}

static void jobs_go_through(void)
{
    interproc_work_queue_options_t options = usual();
    interproc_work_queue_t q = queue("through", &options);
    interproc_work_queue_info_t told;
    interproc_job_t job, another;
    char buffer[LONGEST];
    uint64_t id = 99;

    told = info(&q);
    CHECK(told.capacity == CAPACITY && told.longest == LONGEST && !told.is_closed);
    RETURNS(EAGAIN, interproc_work_queue_trytake(&q, buffer, sizeof buffer, &job));
    RETURNS(ETIMEDOUT, interproc_work_queue_timedtake(&q, AT_ONCE, buffer, sizeof buffer, &job));
    OK(interproc_work_queue_join_until(&q, NULL));
    OK(interproc_work_queue_put(&q, NULL, 0));
    put(&q, "one");
    OK(interproc_work_queue_put_until(&q, "two", 3, 5, NULL, NULL, &id));
    RETURNS(EAGAIN, interproc_work_queue_tryput(&q, "four", 4));
    RETURNS(ETIMEDOUT, interproc_work_queue_put_until(&q, "four", 4, 0, NULL, AT_ONCE, NULL));
    RETURNS(ETIMEDOUT, interproc_work_queue_join_until(&q, AT_ONCE));
    job = takes(&q, "", 1);
    OK(interproc_work_queue_take(&q, buffer, sizeof buffer, &another));
    CHECK(another.len == 3 && memcmp(buffer, "one", 3) == 0 && another.id != job.id);
    told = info(&q);
    CHECK(told.ready == 1 && told.leased == 2 && told.unfinished == 3 && told.dead == 0 && told.delayed == 0);
    OK(interproc_work_queue_done(&q, &another));
    RETURNS(ESTALE, interproc_work_queue_done(&q, &another));
    RETURNS(ESTALE, interproc_work_queue_fail(&q, &another, NULL));
    OK(interproc_work_queue_fail(&q, &job, "not yet"));
    RETURNS(ESTALE, interproc_work_queue_done(&q, &job));
    another = takes(&q, "", 2); /* the oldest still */
    CHECK(another.id == job.id);
    OK(interproc_work_queue_done(&q, &another));
    job = takes(&q, "two", 1);
    CHECK(job.id == id);
    RETURNS(EINVAL, interproc_work_queue_fail(NULL, &job, NULL));
    OK(interproc_work_queue_done(&q, &job));
    OK(interproc_work_queue_join_until(&q, AT_ONCE));
}

static void orders(void)
{
    static const char *const text[] = {"a", "b", "c"};
    static const int64_t priority[] = {7, -3, 7};
    static const char *const expected[][3] = {{"a", "b", "c"}, {"c", "b", "a"}, {"b", "a", "c"}};
    static const char *const name[] = {"fifo", "lifo", "priority"};
    uint32_t order;
    int i;
    for (order = INTERPROC_WORK_FIFO; order <= INTERPROC_WORK_PRIORITY; order++) {
        interproc_work_queue_options_t options = usual();
        interproc_work_queue_t q;
        interproc_job_t job;
        options.order = order;
        q = queue(name[order], &options);
        for (i = 0; i < 3; i++)
            OK(interproc_work_queue_put_until(&q, text[i], 1, priority[i], NULL, NULL, NULL));
        for (i = 0; i < 3; i++) {
            job = takes(&q, expected[order][i], 1);
            OK(interproc_work_queue_done(&q, &job));
        }
    }
}

static void times(void)
{
    interproc_work_queue_options_t options = usual();
    interproc_work_queue_t q;
    interproc_job_t job, again;
    char buffer[LONGEST];
    struct timespec later;

    options.lease_ns = 30 * 1000000;
    q = queue("times", &options);
    later = in_ms(20);
    OK(interproc_work_queue_put_until(&q, "later", 5, 0, &later, NULL, NULL));
    RETURNS(EAGAIN, interproc_work_queue_trytake(&q, buffer, sizeof buffer, &job));
    CHECK(info(&q).delayed == 1 && info(&q).unfinished == 1);
    OK(interproc_work_queue_take(&q, buffer, sizeof buffer, &job)); /* its time comes */
    CHECK(job.deliveries == 1);
    OK(interproc_work_queue_take(&q, buffer, sizeof buffer, &again)); /* its lease ends */
    CHECK(again.id == job.id && again.deliveries == 2);
    RETURNS(ESTALE, interproc_work_queue_done(&q, &job));
    OK(interproc_work_queue_done(&q, &again));
}

static void dead_letters(void)
{
    interproc_work_queue_options_t options = usual();
    interproc_work_queue_t q;
    interproc_dead_letter_t letters[2], gone;
    interproc_job_t job;
    char buffer[LONGEST], why[100];
    size_t found = 99;

    options.max_deliveries = 2;
    q = queue("dead", &options);
    OK(interproc_work_queue_dead_letters(&q, NULL, 0, &found));
    CHECK(found == 0);
    put(&q, "bad");
    job = takes(&q, "bad", 1);
    OK(interproc_work_queue_fail(&q, &job, NULL));
    job = takes(&q, "bad", 2);
    memset(why, 'x', sizeof why - 1);
    why[sizeof why - 1] = 0;
    OK(interproc_work_queue_fail(&q, &job, why));
    RETURNS(EAGAIN, interproc_work_queue_trytake(&q, buffer, sizeof buffer, &job));
    OK(interproc_work_queue_join_until(&q, AT_ONCE)); /* nothing is unfinished */
    OK(interproc_work_queue_dead_letters(&q, NULL, 0, &found));
    CHECK(found == 1);
    OK(interproc_work_queue_dead_letters(&q, letters, 2, &found));
    CHECK(found == 1 && letters[0].len == 3 && letters[0].deliveries == 2 && letters[0].id == job.id);
    CHECK(strlen(letters[0].reason) == 64 && strncmp(letters[0].reason, why, 64) == 0);
    RETURNS(EMSGSIZE, interproc_work_queue_read_dead_letter(&q, letters, buffer, 2));
    RETURNS(EINVAL, interproc_work_queue_read_dead_letter(&q, letters, NULL, 3));
    OK(interproc_work_queue_read_dead_letter(&q, letters, buffer, 3));
    CHECK(memcmp(buffer, "bad", 3) == 0);
    gone = letters[0];
    gone.id++;
    RETURNS(ESTALE, interproc_work_queue_retry(&q, &gone));
    gone = letters[0];
    gone.private_index = 1u << 31;
    RETURNS(ESTALE, interproc_work_queue_discard(&q, &gone));
    OK(interproc_work_queue_retry(&q, letters));
    RETURNS(ESTALE, interproc_work_queue_retry(&q, letters));
    RETURNS(ESTALE, interproc_work_queue_read_dead_letter(&q, letters, buffer, 3));
    job = takes(&q, "bad", 1);
    OK(interproc_work_queue_fail(&q, &job, "\xff no text"));
    job = takes(&q, "bad", 2);
    OK(interproc_work_queue_fail(&q, &job, "up to here\xff and no more"));
    OK(interproc_work_queue_dead_letters(&q, letters, 1, &found));
    CHECK(found == 1 && strcmp(letters[0].reason, "up to here") == 0);
    CHECK(info(&q).dead == 1);
    OK(interproc_work_queue_discard(&q, letters));
    CHECK(info(&q).dead == 0);
    RETURNS(ESTALE, interproc_work_queue_discard(&q, letters));
}

static void take_one(const interproc_work_queue_t *q)
{
    char buffer[LONGEST];
    interproc_job_t job;
    OK(interproc_work_queue_take(q, buffer, sizeof buffer, &job));
}

static void deaths(void)
{
    interproc_work_queue_options_t options = usual();
    interproc_work_queue_t q = queue("deaths", &options);
    interproc_job_t job;
    put(&q, "once");
    CHECK(WTERMSIG(killed_in_a_child(take_one, &q)) == SIGKILL);
    job = takes(&q, "once", 2);
    OK(interproc_work_queue_done(&q, &job));
}

static interproc_job_t in_hand;

static void *not_its_own(void *q)
{
    RETURNS(EPERM, interproc_work_queue_done(q, &in_hand));
    RETURNS(EPERM, interproc_work_queue_fail(q, &in_hand, NULL));
    return NULL;
}

static void *takes_and_ends(void *q)
{
    take_one(q);
    return NULL;
}

static void *closes(void *q)
{
    struct timespec a_while = {0, 20000000};
    nanosleep(&a_while, NULL);
    OK(interproc_work_queue_close(q));
    return NULL;
}

static void threads_and_children(void)
{
    interproc_work_queue_options_t options = usual();
    interproc_work_queue_t q = queue("threads", &options);
    interproc_job_t job;
    char buffer[LONGEST];
    pthread_t thread;
    int status;
    pid_t pid;

    put(&q, "mine");
    in_hand = takes(&q, "mine", 1);
    OK(pthread_create(&thread, NULL, not_its_own, &q));
    OK(pthread_join(thread, NULL));
    pid = fork();
    if (pid == 0) {
        failures = 0;
        not_its_own(&q);
        _exit(failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    OK(interproc_work_queue_done(&q, &in_hand));

    put(&q, "left"); /* a thread that ends gives its job back */
    OK(pthread_create(&thread, NULL, takes_and_ends, &q));
    OK(pthread_join(thread, NULL));
    OK(interproc_work_queue_take(&q, buffer, sizeof buffer, &job));
    CHECK(job.len == 4 && job.deliveries == 2);

    OK(interproc_work_queue_close(&q)); /* what is there goes on */
    OK(interproc_work_queue_close(&q));
    CHECK(info(&q).is_closed);
    RETURNS(EPIPE, interproc_work_queue_tryput(&q, "no", 2));
    RETURNS(EAGAIN, interproc_work_queue_trytake(&q, buffer, sizeof buffer, &in_hand));
    OK(interproc_work_queue_fail(&q, &job, NULL));
    job = takes(&q, "left", 3);
    OK(interproc_work_queue_done(&q, &job));
    RETURNS(EPIPE, interproc_work_queue_trytake(&q, buffer, sizeof buffer, &job));

    options = usual();
    q = queue("closed", &options);
    OK(pthread_create(&thread, NULL, closes, &q));
    RETURNS(EPIPE, interproc_work_queue_take(&q, buffer, sizeof buffer, &job)); /* woken by the close */
    OK(pthread_join(thread, NULL));
}

int main(void)
{
    OK(interproc_segment_anonymous(&segment, 1 << 17));
    bad_arguments();
    jobs_go_through();
    orders();
    times();
    dead_letters();
    deaths();
    threads_and_children();
    OK(interproc_segment_close(&segment));
    return failures != 0;
}
