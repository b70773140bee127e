/* Starting, waiting for and ending processes, from C. Each test is a sentence; the argument names the only one to run. */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int for_ever(void *unused)
{
    (void)unused;
    for (;;)
        pause();
    return 0;
}

static int code(void *n) { return *(int *)n; }

static interproc_process_t started(interproc_process_entry_t entry, void *argument)
{
    interproc_process_t child = INTERPROC_PROCESS_INIT;
    OK(interproc_process_fork(&child, NULL, entry, argument));
    return child;
}

static void done(interproc_process_t *child, int signal, int exit_code)
{
    interproc_exit_t end = {0, 0, 0, 0};
    struct timespec until = in_ms(20000);
    OK(interproc_process_join_until(child, &until, &end));
    CHECK(end.signal == signal && end.code == exit_code);
    OK(interproc_process_close(child));
}

static int is_as_told(void *unused)
{
    struct rlimit files;
    char cwd[64];
    (void)unused;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur != 40 || getcwd(cwd, sizeof cwd) == NULL)
        return 1;
    if (getpriority(PRIO_PROCESS, 0) != 5 || umask(0) != 027 || getpgrp() != getpid() || strcmp(cwd, "/usr") != 0)
        return 2;
    return write(1, "out", 3) == 3 && read(0, cwd, 1) == 0 ? 7 : 3;
}

static void options_shape_a_child(void)
{
    int pipe_ends[2];
    char said[8] = "";
    CHECK(pipe(pipe_ends) == 0);
    interproc_process_limit_t limit = {RLIMIT_NOFILE, 0, 40, 50};
    interproc_process_descriptor_t streams[] = {{-1, 0}, {pipe_ends[1], 1}};
    interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
    options.flags = INTERPROC_PROCESS_NICE | INTERPROC_PROCESS_UMASK | INTERPROC_PROCESS_GROUP | INTERPROC_PROCESS_DIES_WITH_PARENT;
    options.nice = 5;
    options.umask = 027;
    options.name = "as told";
    options.directory = "/usr";
    options.limits = &limit;
    options.limit_count = 1;
    options.descriptors = streams;
    options.descriptor_count = 2;
    interproc_process_t child = INTERPROC_PROCESS_INIT;
    OK(interproc_process_fork_with(&child, &options, is_as_told, NULL));
    done(&child, 0, 7);
    CHECK(read(pipe_ends[0], said, sizeof said) == 3 && strcmp(said, "out") == 0);

    const char *script[] = {"sh", "-c", "pwd; exit 8", NULL};
    OK(interproc_process_spawn(&child, &options, "sh", script, NULL));
    done(&child, 0, 8);
    CHECK(read(pipe_ends[0], said, sizeof said) == 5 && memcmp(said, "/usr\n", 5) == 0);

    options.directory = "/no/such/directory";
    RETURNS(ENOENT, interproc_process_fork_with(&child, &options, is_as_told, NULL));
    CHECK(strstr(interproc_last_error_message(), "working directory") != NULL);
    options.directory = NULL;
    options.flags = 1u << 20;
    RETURNS(EINVAL, interproc_process_fork_with(&child, &options, is_as_told, NULL));
    options.flags = 0;
    streams[0].to = 9;
    RETURNS(EINVAL, interproc_process_fork_with(&child, &options, is_as_told, NULL));
    CHECK(wait(NULL) == -1);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void a_program_gets_its_arguments_environment_and_descriptors(void)
{
    interproc_process_t child = INTERPROC_PROCESS_INIT;
    const char *script[] = {"name", "-c", "test \"$0$1$A$B\" = zeroone2 && test -e /proc/self/fd/30 && exit 9", "zero", "one", NULL};
    const char *environment[] = {"A=2", "PATH=/usr/bin:/bin", NULL};
    interproc_process_descriptor_t extra = {1, 30};
    interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
    options.flags = INTERPROC_PROCESS_CLOSE_OTHERS;
    options.descriptors = &extra;
    options.descriptor_count = 1;
    CHECK(setenv("B", "b", 1) == 0);
    OK(interproc_process_spawn(&child, &options, "/bin/sh", script, environment));
    done(&child, 0, 9);
    RETURNS(ENOENT, interproc_process_spawn(&child, NULL, "/no/such/program", script, NULL));
    RETURNS(EACCES, interproc_process_spawn(&child, NULL, "/etc", script, NULL));
    RETURNS(EINVAL, interproc_process_spawn(&child, NULL, NULL, script, NULL));
    RETURNS(EINVAL, interproc_process_spawn(&child, NULL, "sh", NULL, NULL));
    RETURNS(EINVAL, interproc_process_spawn(NULL, NULL, "sh", script, NULL));
    CHECK(child.private_ == NULL);
}

static void several_children_are_waited_for_at_once(void)
{
    interproc_process_t child[3];
    const interproc_process_t *all[3] = {&child[0], &child[1], &child[2]};
    interproc_exit_t ends[3];
    size_t index = 99;
    struct timespec soon = in_ms(5), long_after = in_ms(20000);
    for (int n = 0; n < 3; n++)
        child[n] = started(for_ever, NULL);
    RETURNS(ETIMEDOUT, interproc_process_wait_any(all, 3, &soon, &index, NULL));
    RETURNS(ETIMEDOUT, interproc_process_wait_all(all, 3, &soon, NULL));
    CHECK(index == 99);
    OK(interproc_process_kill(&child[1]));
    OK(interproc_process_wait_any(all, 3, NULL, &index, &ends[0]));
    CHECK(index == 1 && ends[0].signal == SIGKILL);
    OK(interproc_process_signal(&child[0], SIGTERM));
    OK(interproc_process_signal(&child[2], SIGUSR1));
    OK(interproc_process_wait_all(all, 3, &long_after, ends));
    CHECK(ends[0].signal == SIGTERM && ends[1].signal == SIGKILL && ends[2].signal == SIGUSR1);
    RETURNS(EINVAL, interproc_process_wait_any(all, 0, NULL, &index, NULL));
    RETURNS(EINVAL, interproc_process_wait_any(NULL, 1, NULL, &index, NULL));
    OK(interproc_process_wait_all(NULL, 0, NULL, NULL));
    for (int n = 0; n < 3; n++)
        OK(interproc_process_close(&child[n]));
}

static void a_child_shows_its_state_its_usage_and_its_end(void)
{
    interproc_process_t child = started(for_ever, NULL);
    interproc_usage_t usage;
    interproc_exit_t end;
    char state = 0;
    RETURNS(EBUSY, interproc_process_usage(&child, &usage));
    OK(interproc_process_signal(&child, SIGSTOP));
    while (state != 'T')
        OK(interproc_process_state(&child, &state));
    RETURNS(ESRCH, interproc_process_signal_group(&child, SIGKILL));
    OK(interproc_process_signal(&child, SIGCONT));
    struct timespec grace = in_ms(5000);
    OK(interproc_process_terminate_until(&child, &grace, &end));
    CHECK(end.signal == SIGTERM);
    OK(interproc_process_usage(&child, &usage));
    CHECK(usage.peak_memory > 0);
    OK(interproc_process_state(&child, &state));
    CHECK(state == '-');
    RETURNS(ECHILD, interproc_process_signal_group(&child, SIGKILL));
    OK(interproc_process_close(&child));
}

/* Leaves a bound child behind that has the writing end of a pipe. */
static int leave_a_daemon(void *detached)
{
    interproc_process_t child = INTERPROC_PROCESS_INIT;
    interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
    options.flags = INTERPROC_PROCESS_GROUP_DIES_WITH_PARENT;
    if (interproc_process_fork_with(&child, &options, for_ever, NULL) != 0)
        return 1;
    if (*(int *)detached)
        return interproc_process_detach(&child);
    return 0;
}

static void a_bound_child_ends_with_its_parent_unless_it_was_detached(void)
{
    size_t reaped = 0;
    int detached = 0, status;
    OK(interproc_adopt_orphans(true));
    interproc_process_t parent = started(leave_a_daemon, &detached);
    done(&parent, 0, 0);
    CHECK(wait(&status) > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    detached = 1;
    parent = started(leave_a_daemon, &detached);
    done(&parent, 0, 0);
    usleep(20000);
    CHECK(waitpid(-1, &status, WNOHANG) == 0); /* it lives */
    OK(interproc_reap_orphans(NULL, 0, &reaped));
    CHECK(reaped == 0);
    RETURNS(EINVAL, interproc_reap_orphans(NULL, 1, &reaped));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
    FILE *list = fopen(path, "r");
    int orphan = 0;
    CHECK(list != NULL && fscanf(list, "%d", &orphan) == 1);
    fclose(list);
    CHECK(orphan > 1 && kill(orphan, SIGKILL) == 0);
    while (reaped == 0)
        OK(interproc_reap_orphans(NULL, 0, &reaped));
    OK(interproc_adopt_orphans(false));
}

static int be_ready(interproc_ready_t *ready, void *unused)
{
    (void)unused;
    if (interproc_ready_now(ready) != 0 || interproc_ready_now(ready) != EINVAL)
        return 1;
    for (;;)
        pause();
    return 0;
}

static int never_be_ready(interproc_ready_t *ready, void *unused)
{
    (void)unused;
    return interproc_ready_failed(ready, EADDRINUSE);
}

static void a_daemon_is_started_once_and_says_when_it_is_ready(void)
{
    char path[64];
    int32_t pid = 0, none = -7;
    snprintf(path, sizeof path, "/tmp/interproc-c-test-%ld.pid", (long)getpid());
    interproc_daemon_options_t options = INTERPROC_DAEMON_OPTIONS_INIT;
    options.pidfile = path;
    options.ready_timeout_ns = 20000000000u;
    OK(interproc_adopt_orphans(true));
    OK(interproc_daemon_start(&options, be_ready, NULL, &pid));
    RETURNS(EEXIST, interproc_daemon_start(&options, be_ready, NULL, &none));
    CHECK(pid > 1 && kill(pid, SIGKILL) == 0);
    RETURNS(EADDRINUSE, interproc_daemon_start(NULL, never_be_ready, NULL, &none));
    RETURNS(EINVAL, interproc_daemon_start(NULL, NULL, NULL, &none));
    CHECK(none == -7);
    while (wait(NULL) > 0) {
    }
    CHECK(unlink(path) == 0);
    OK(interproc_adopt_orphans(false));
}

static void closed_children_are_reaped_by_a_later_call(void)
{
    int zero = 0;
    size_t reaped = 0;
    interproc_process_t child = started(code, &zero);
    OK(interproc_process_close(&child));
    siginfo_t info; /* the close has reaped it if it had ended by then */
    while (reaped == 0 && waitid(P_ALL, 0, &info, WNOHANG | WNOWAIT | WEXITED) != -1)
        OK(interproc_process_reap(&reaped));
    OK(interproc_process_reap(NULL));
    CHECK(wait(NULL) == -1);
}

static const char *self;

static void a_program_gets_a_segment_without_a_name(void)
{
    interproc_segment_t segment = INTERPROC_SEGMENT_INIT, none = INTERPROC_SEGMENT_INIT;
    int *tickets = NULL;
    OK(interproc_segment_anonymous(&segment, 4096));
    OK(interproc_segment_object(&segment, "tickets", sizeof *tickets, 4, (void **)&tickets));
    *tickets = 41;
    interproc_process_segment_t given = {"shop", &segment};
    interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
    options.segments = &given;
    options.segment_count = 1;
    const char *arguments[] = {"program", "--inherit", NULL};
    interproc_process_t child = INTERPROC_PROCESS_INIT;
    OK(interproc_process_spawn(&child, &options, self, arguments, NULL));
    done(&child, 0, 42);
    CHECK(*tickets == 42);
    RETURNS(ENOENT, interproc_segment_inherited(&none, "shop"));
    RETURNS(EINVAL, interproc_segment_inherited(&none, NULL));
    RETURNS(EINVAL, interproc_process_fork_with(&child, &options, for_ever, NULL));
    given.segment = &none;
    RETURNS(EINVAL, interproc_process_spawn(&child, &options, self, arguments, NULL));
    OK(interproc_segment_close(&segment));
}

/* What the program above does. */
static int inherit(void)
{
    interproc_segment_t segment = INTERPROC_SEGMENT_INIT;
    int *tickets = NULL;
    OK(interproc_segment_inherited(&segment, "shop"));
    OK(interproc_segment_find(&segment, "tickets", sizeof *tickets, 4, (void **)&tickets));
    return failures ? 1 : ++*tickets;
}

static int knows_its_parent(void *parent)
{
    interproc_process_ref_t ref = INTERPROC_PROCESS_REF_INIT;
    interproc_process_details_t details;
    if (interproc_process_ref_parent(&ref) != 0 || interproc_process_ref_details(&ref, &details) != 0)
        return 1;
    return details.pid == *(int *)parent && details.pid == getppid() ? 4 : 2;
}

static void a_process_is_known_by_number_and_start_time(void)
{
    interproc_process_ref_t me = INTERPROC_PROCESS_REF_INIT, other = INTERPROC_PROCESS_REF_INIT;
    interproc_process_details_t mine, its;
    interproc_exit_t end;
    int32_t pid = 0, pids[1] = {0};
    int own = getpid(), fd = -1;
    size_t count = 0;
    bool is_alive = false;
    OK(interproc_process_ref_open(&me, 0));
    OK(interproc_process_ref_details(&me, &mine));
    CHECK(mine.pid == own && mine.parent == getppid() && mine.threads == 1 && mine.memory > 0 && mine.state == 'R');

    interproc_process_t child = started(knows_its_parent, &own);
    done(&child, 0, 4);
    child = started(for_ever, NULL);
    OK(interproc_process_pid(&child, &pid));
    OK(interproc_process_ref_open(&other, pid));
    OK(interproc_process_ref_details(&other, &its));
    CHECK(its.pid == pid && its.parent == own);
    OK(interproc_process_ref_children(&me, pids, 1, &count));
    CHECK(count == 1 && pids[0] == pid);
    OK(interproc_process_ref_close(&other));
    RETURNS(ESRCH, interproc_process_ref_find(&other, pid, its.start_time + 1));
    OK(interproc_process_ref_find(&other, pid, its.start_time));
    OK(interproc_process_ref_is_alive(&other, &is_alive));
    CHECK(is_alive);
    struct timespec soon = in_ms(5);
    RETURNS(ETIMEDOUT, interproc_process_ref_wait_until(&other, &soon));
    RETURNS(EINVAL, interproc_process_ref_signal(&other, 9999));
    OK(interproc_process_ref_signal(&other, SIGKILL));
    OK(interproc_process_ref_wait_until(&other, NULL));
    OK(interproc_process_ref_fd(&other, &fd));
    struct pollfd ended = {fd, POLLIN, 0};
    CHECK(poll(&ended, 1, 0) == 1);
    OK(interproc_process_ref_is_alive(&other, &is_alive));
    CHECK(!is_alive);
    OK(interproc_process_join(&child, &end));
    CHECK(end.signal == SIGKILL);
    OK(interproc_process_ref_signal(&other, SIGKILL));
    RETURNS(ESRCH, interproc_process_ref_details(&other, &its));
    OK(interproc_process_ref_close(&other));
    RETURNS(EINVAL, interproc_process_ref_close(&other));
    RETURNS(EINVAL, interproc_process_ref_wait_until(&other, NULL));
    RETURNS(ESRCH, interproc_process_ref_find(&other, pid, its.start_time));
    RETURNS(ESRCH, interproc_process_ref_open(&other, -5));
    OK(interproc_process_close(&child));
    OK(interproc_process_ref_close(&me));
}

static void *wait_for_the_end(void *end_of_pipe)
{
    char byte;
    CHECK(read(*(int *)end_of_pipe, &byte, 1) == 0);
    return NULL;
}

static void a_process_with_threads_forks(void)
{
    static int three = 3;
    int ends[2];
    pthread_t thread;
    CHECK(pipe2(ends, O_CLOEXEC) == 0 && pthread_create(&thread, NULL, wait_for_the_end, &ends[0]) == 0);
    interproc_process_t child = started(code, &three);
    done(&child, 0, 3);
    interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
    OK(interproc_process_fork_with(&child, &options, code, &three));
    done(&child, 0, 3);
    CHECK(close(ends[1]) == 0 && pthread_join(thread, NULL) == 0 && close(ends[0]) == 0);
}

#define TEST(function) {#function, function}
static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    TEST(options_shape_a_child),
    TEST(a_program_gets_its_arguments_environment_and_descriptors),
    TEST(several_children_are_waited_for_at_once),
    TEST(a_child_shows_its_state_its_usage_and_its_end),
    TEST(a_bound_child_ends_with_its_parent_unless_it_was_detached),
    TEST(a_daemon_is_started_once_and_says_when_it_is_ready),
    TEST(a_program_gets_a_segment_without_a_name),
    TEST(a_process_is_known_by_number_and_start_time),
    TEST(closed_children_are_reaped_by_a_later_call),
    TEST(a_process_with_threads_forks),
};

int main(int argc, char **argv)
{
    int run = 0;
    self = argv[0];
    if (argc > 1 && strcmp(argv[1], "--inherit") == 0)
        return inherit();
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        if (argc > 1 && strcmp(argv[1], tests[i].name) != 0)
            continue;
        int before = failures;
        tests[i].run();
        printf("%s ... %s\n", tests[i].name, failures == before ? "ok" : "FAILED");
        run++;
    }
    printf("%d tests, %d failures\n", run, failures);
    return failures != 0 || run == 0;
}
