/* Pipes keep their promises in C. */
#define _GNU_SOURCE
#include <interproc.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static void send_text(interproc_pipe_t *end, const char *text)
{
    CHECK(interproc_pipe_send(end, text, strlen(text)) == 0);
}

static void recv_text(interproc_pipe_t *end, const char *text)
{
    char buffer[256];
    size_t size = 0;
    CHECK(interproc_pipe_recv(end, buffer, sizeof buffer, &size, NULL) == 0);
    CHECK(size == strlen(text) && memcmp(buffer, text, size) == 0);
}

static void messages_go_both_ways(void)
{
    interproc_pipe_t a, b;
    char buffer[8];
    size_t size = 99;
    bool ready = true;
    struct timespec past = {0, 0}, soon;
    struct iovec pieces[2] = {{"head ", 5}, {"body", 4}};
    interproc_who_t who;

    CHECK(interproc_pipe_pair(1 << 12, 200, &a, &b) == 0);
    CHECK(interproc_pipe_longest(&a, &size) == 0 && size == 200);
    CHECK(interproc_pipe_peer(&a, &who) == 0 && who.pid == getpid());
    CHECK(interproc_pipe_tryrecv(&b, buffer, sizeof buffer, &size, NULL) == EAGAIN);
    soon = in_ms(2);
    CHECK(interproc_pipe_timedrecv(&b, &soon, buffer, sizeof buffer, &size, NULL) == ETIMEDOUT);
    CHECK(interproc_pipe_poll(&b, &past, &ready) == 0 && !ready);
    send_text(&a, "question");
    CHECK(interproc_pipe_poll(&b, &past, &ready) == 0 && ready);
    CHECK(interproc_pipe_recv(&b, buffer, 7, &size, NULL) == EMSGSIZE && size == 8);
    recv_text(&b, "question");
    CHECK(interproc_pipe_send_vectored_until(&b, pieces, 2, NULL) == 0);
    recv_text(&a, "head body");
    CHECK(interproc_pipe_send(&a, NULL, 0) == 0);
    CHECK(interproc_pipe_recv(&b, NULL, 0, &size, NULL) == 0 && size == 0);
    CHECK(interproc_pipe_trysend(&a, pieces, 201) == EMSGSIZE);
    CHECK(interproc_pipe_close(&a) == 0 && interproc_pipe_close(&a) == EINVAL);
    CHECK(interproc_pipe_recv(&b, buffer, sizeof buffer, &size, NULL) == EPIPE);
    CHECK(interproc_pipe_send(&b, "x", 1) == EPIPE);
    CHECK(interproc_pipe_poll(&b, &past, &ready) == 0 && ready);
    CHECK(interproc_pipe_close(&b) == 0);
}

static void *sends_once(void *end)
{
    send_text(end, "last");
    return NULL;
}

/* Whether the other end has seen it or not. */
static void an_end_ends_with_its_thread(void)
{
    for (int seen = 0; seen < 2; seen++) {
        interproc_pipe_t a, b;
        pthread_t thread;
        char buffer[8];
        size_t size;
        CHECK(interproc_pipe_pair(1 << 12, 200, &a, &b) == 0);
        CHECK(pthread_create(&thread, NULL, sends_once, &a) == 0 && pthread_join(thread, NULL) == 0);
        recv_text(&b, "last");
        if (seen)
            CHECK(interproc_pipe_tryrecv(&b, buffer, 8, &size, NULL) == EPIPE);
        CHECK(interproc_pipe_send(&a, "late", 4) == ESTALE);
        CHECK(interproc_pipe_tryrecv(&b, buffer, 8, &size, NULL) == EPIPE);
        CHECK(interproc_pipe_send(&a, "late", 4) == ESTALE);
        CHECK(interproc_pipe_close(&a) == 0 && interproc_pipe_close(&b) == 0);
    }
}

static void what_is_no_child_is_handed_nothing(void)
{
    interproc_pipe_t ours, theirs;
    CHECK(interproc_pipe_pair(1 << 12, 200, &ours, &theirs) == 0);
    CHECK(interproc_pipe_hand_over(&theirs, getppid()) == ECHILD);
    CHECK(strstr(interproc_last_error_message(), "no child of this process") != NULL);
    CHECK(interproc_pipe_hand_over(&theirs, getppid()) == EINVAL);
    CHECK(interproc_pipe_send(&ours, "x", 1) == EPIPE);
    CHECK(interproc_pipe_close(&ours) == 0);
}

static void what_is_wrong_is_refused(void)
{
    interproc_pipe_t to, from, none = INTERPROC_PIPE_INIT;
    interproc_listener_t nobody = INTERPROC_LISTENER_INIT;
    size_t size;
    char buffer[8];
    void *place;

    CHECK(interproc_pipe_one_way(0, 100, &to, &from) == 0);
    CHECK(interproc_pipe_recv(&to, buffer, 8, &size, NULL) == EINVAL);
    CHECK(interproc_pipe_send(&from, "x", 1) == EINVAL);
    CHECK(interproc_pipe_send(NULL, "x", 1) == EINVAL && interproc_pipe_send(&none, "x", 1) == EINVAL);
    CHECK(interproc_pipe_send(&to, NULL, 1) == EINVAL);
    CHECK(interproc_pipe_recv(&from, NULL, 1, &size, NULL) == EINVAL && interproc_pipe_recv(&from, buffer, 8, NULL, NULL) == EINVAL);
    CHECK(interproc_pipe_commit(&to, 0) == EINVAL && interproc_pipe_release(&from) == EINVAL);
    CHECK(interproc_pipe_reserve_until(&to, 101, NULL, &place) == EMSGSIZE);
    CHECK(interproc_pipe_pair(1, 1, &to, NULL) == EINVAL);
    CHECK(interproc_listener_accept(&nobody, &none) == EINVAL && interproc_listener_close(&nobody) == EINVAL);
    CHECK(interproc_pipe_close(&none) == EINVAL && interproc_pipe_close(NULL) == EINVAL);
    while (interproc_pipe_trysend(&to, buffer, 8) == 0)
        ;
    CHECK(interproc_pipe_trysend(&to, buffer, 8) == EAGAIN);
    {
        struct timespec soon = in_ms(2);
        CHECK(interproc_pipe_timedsend(&to, buffer, 8, &soon) == ETIMEDOUT);
    }
    CHECK(interproc_pipe_close(&from) == 0);
    CHECK(interproc_pipe_send(&to, "x", 1) == EPIPE);
    CHECK(interproc_pipe_close(&to) == 0);
}

static void messages_are_written_and_read_in_place(void)
{
    interproc_pipe_t a, b;
    void *place;
    const void *message;
    size_t size;
    char buffer[8];
    bool again = true;

    CHECK(interproc_pipe_pair(1 << 12, 200, &a, &b) == 0);
    CHECK(interproc_pipe_reserve_until(&a, 100, NULL, &place) == 0);
    memcpy(place, "in place", 8);
    CHECK(interproc_pipe_commit(&a, 101) == EMSGSIZE);
    /* The reservation was still there. */
    CHECK(interproc_pipe_commit(&a, 8) == 0 && interproc_pipe_commit(&a, 8) == EINVAL);
    CHECK(interproc_pipe_reserve_until(&a, 10, AT_ONCE, &place) == 0);
    CHECK(interproc_pipe_abort(&a) == 0 && interproc_pipe_abort(&a) == EINVAL);
    CHECK(interproc_pipe_commit(&a, 10) == EINVAL);
    CHECK(interproc_pipe_reserve_until(&a, 10, AT_ONCE, &place) == 0);
    send_text(&a, "forgets it");
    CHECK(interproc_pipe_commit(&a, 10) == EINVAL);
    CHECK(interproc_pipe_borrow_until(&b, NULL, &message, &size, &again) == 0);
    CHECK(size == 8 && !again && memcmp(message, "in place", 8) == 0);
    CHECK(interproc_pipe_recv(&b, buffer, 8, &size, NULL) == EINVAL);
    CHECK(interproc_pipe_borrow_until(&b, AT_ONCE, &message, &size, NULL) == EINVAL);
    CHECK(interproc_pipe_poll(&b, AT_ONCE, &again) == EINVAL);
    CHECK(interproc_pipe_release(&b) == 0 && interproc_pipe_release(&b) == EINVAL);
    CHECK(interproc_pipe_borrow_until(&b, AT_ONCE, &message, &size, NULL) == 0 && size == 10);
    CHECK(interproc_pipe_release(&b) == 0);
    CHECK(interproc_pipe_borrow_until(&b, AT_ONCE, &message, &size, NULL) == ETIMEDOUT);
    CHECK(interproc_pipe_shutdown(&a, INTERPROC_PIPE_SEND) == 0);
    CHECK(interproc_pipe_borrow_until(&b, NULL, &message, &size, NULL) == EPIPE);
    send_text(&b, "the other way");
    recv_text(&a, "the other way");
    CHECK(interproc_pipe_shutdown(&a, INTERPROC_PIPE_SEND) == EINVAL);
    CHECK(interproc_pipe_shutdown(&a, 0) == EINVAL && interproc_pipe_shutdown(&a, 4) == EINVAL);
    CHECK(interproc_pipe_close(&a) == 0 && interproc_pipe_close(&b) == 0);
}

static int echo(interproc_pipe_t *end, void *argument)
{
    char buffer[200];
    size_t size;
    int count = 0;
    while (interproc_pipe_recv(end, buffer, sizeof buffer, &size, NULL) == 0) {
        if (size == 4 && memcmp(buffer, "die!", 4) == 0)
            raise(SIGKILL);
        CHECK(interproc_pipe_send(end, buffer, size) == 0);
        count++;
    }
    return count + *(int *)argument;
}

static void a_child_gets_an_end(void)
{
    interproc_pipe_t ours, theirs;
    interproc_process_t child;
    interproc_exit_t end;
    int more = 10;
    char buffer[8];
    size_t size;

    CHECK(interproc_pipe_pair(1 << 12, 200, &ours, &theirs) == 0);
    CHECK(interproc_pipe_fork(&child, "echo", echo, &theirs, &more) == 0);
    CHECK(interproc_pipe_close(&theirs) == EINVAL);
    send_text(&ours, "one");
    recv_text(&ours, "one");
    CHECK(interproc_pipe_close(&ours) == 0);
    CHECK(interproc_process_join(&child, &end) == 0 && end.code == 11);
    CHECK(interproc_process_close(&child) == 0);

    CHECK(interproc_pipe_pair(1 << 12, 200, &ours, &theirs) == 0);
    CHECK(interproc_pipe_fork(&child, NULL, echo, &theirs, &more) == 0);
    send_text(&ours, "die!");
    CHECK(interproc_pipe_recv(&ours, buffer, sizeof buffer, &size, NULL) == EPIPE);
    CHECK(interproc_pipe_close(&ours) == 0);
    CHECK(interproc_process_join(&child, &end) == 0 && end.signal == SIGKILL);
    CHECK(interproc_process_close(&child) == 0);
}

static void an_end_goes_over_a_bare_fork(void)
{
    interproc_pipe_t ours, theirs;
    pid_t pid;
    char buffer[8];
    size_t size;
    int status;

    CHECK(interproc_pipe_pair(1 << 12, 200, &ours, &theirs) == 0);
    pid = fork();
    if (pid == 0) {
        CHECK(interproc_pipe_send(&theirs, "x", 1) == EPERM);
        CHECK(interproc_pipe_adopt(&theirs) == 0);
        send_text(&theirs, "adopted");
        CHECK(interproc_pipe_close(&ours) == EPERM);
        recv_text(&theirs, "good");
        _exit(7);
    }
    CHECK(interproc_pipe_hand_over(&theirs, pid) == 0 && interproc_pipe_close(&theirs) == EINVAL);
    recv_text(&ours, "adopted");
    send_text(&ours, "good");
    CHECK(interproc_pipe_recv(&ours, buffer, sizeof buffer, &size, NULL) == EPIPE);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
    CHECK(interproc_pipe_close(&ours) == 0);

    CHECK(interproc_pipe_pair(1 << 12, 200, &ours, &theirs) == 0);
    pid = fork();
    if (pid == 0)
        _exit(1);
    CHECK(interproc_pipe_hand_over(&theirs, pid) == ECHILD);
    CHECK(interproc_pipe_recv(&ours, buffer, sizeof buffer, &size, NULL) == EPIPE);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(interproc_pipe_close(&ours) == 0);
}

static interproc_segment_t segment;

static void *client(void *unused)
{
    interproc_pipe_t end;
    CHECK(interproc_pipe_connect(&segment, "door", &end) == 0);
    send_text(&end, "knock");
    recv_text(&end, "come in");
    CHECK(interproc_pipe_close(&end) == 0);
    return unused;
}

static void clients_find_a_listener(void)
{
    interproc_listener_t listener, other;
    interproc_pipe_t end, again;
    struct timespec soon = in_ms(2);
    pthread_t threads[4];
    size_t pending = 9;
    int i;

    CHECK(interproc_segment_anonymous(&segment, 1 << 16) == 0);
    CHECK(interproc_pipe_connect_until(&segment, "door", AT_ONCE, &end) == ECONNREFUSED);
    CHECK(interproc_listener_bind(&segment, "door", 2, 0, 200, &listener) == 0);
    CHECK(interproc_listener_bind(&segment, "door", 2, 0, 200, &other) == EBUSY);
    CHECK(interproc_listener_bind(&segment, "door", 3, 0, 200, &other) == EEXIST);
    CHECK(interproc_listener_accept_until(&listener, AT_ONCE, &end) == ETIMEDOUT);
    CHECK(interproc_listener_accept_until(&listener, &soon, &end) == ETIMEDOUT);
    for (i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, client, NULL) == 0);
    for (i = 0; i < 4; i++) {
        CHECK(interproc_listener_accept(&listener, &end) == 0);
        recv_text(&end, "knock");
        send_text(&end, "come in");
        CHECK(interproc_pipe_close(&end) == 0);
    }
    for (i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(interproc_pipe_connect_until(&segment, "door", AT_ONCE, &end) == 0);
    soon = in_ms(20);
    CHECK(interproc_pipe_connect_until(&segment, "door", &soon, &again) == 0);
    {
        interproc_pipe_t third;
        CHECK(interproc_pipe_connect_until(&segment, "door", AT_ONCE, &third) == ETIMEDOUT);
    }
    CHECK(interproc_listener_pending(&listener, &pending) == 0 && pending == 2);
    CHECK(interproc_listener_close(&listener) == 0 && interproc_listener_close(&listener) == EINVAL);
    CHECK(interproc_pipe_send(&end, "x", 1) == EPIPE);
    CHECK(interproc_pipe_close(&end) == 0 && interproc_pipe_close(&again) == 0);

    CHECK(interproc_segment_pipe_pair(&segment, "pair", 0, 100, &end, &again) == 0);
    {
        interproc_pipe_t c, d;
        CHECK(interproc_segment_pipe_pair(&segment, "pair", 0, 100, &c, &d) == EBUSY);
        CHECK(interproc_segment_pipe_one_way(&segment, "way", 0, 100, &c, &d) == 0);
        send_text(&c, "news");
        recv_text(&d, "news");
        CHECK(interproc_pipe_close(&c) == 0 && interproc_pipe_close(&d) == 0);
    }
    CHECK(interproc_pipe_close(&end) == 0 && interproc_pipe_close(&again) == 0);
    CHECK(interproc_segment_close(&segment) == 0);
}

static char long_text[100000];

static void *long_sender(void *end)
{
    struct iovec halves[2] = {{long_text, 1000}, {long_text + 1000, sizeof long_text - 1000}};
    CHECK(interproc_pipe_send(end, long_text, sizeof long_text) == 0);
    CHECK(interproc_pipe_send(end, long_text, sizeof long_text) == 0);
    CHECK(interproc_pipe_send_vectored_until(end, halves, 2, NULL) == 0);
    return NULL;
}

/* Longer than the ring: they come in pieces. */
static void long_messages_come_in_pieces(void)
{
    interproc_pipe_t a, b;
    static char buffer[sizeof long_text];
    struct timespec soon = in_ms(2);
    const void *message;
    size_t size = 0, i;
    bool skipped = false;
    pthread_t thread;

    for (i = 0; i < sizeof long_text; i++)
        long_text[i] = (char)(i * 7);
    CHECK(interproc_pipe_pair(1 << 12, 200, &a, &b) == 0);
    CHECK(pthread_create(&thread, NULL, long_sender, &a) == 0);
    CHECK(interproc_pipe_recv(&b, buffer, 200, &size, NULL) == EMSGSIZE && size == sizeof long_text);
    CHECK(interproc_pipe_borrow_until(&b, NULL, &message, &size, NULL) == EMSGSIZE);
    CHECK(interproc_pipe_release(&b) == EINVAL);
    CHECK(interproc_pipe_skip(&b, NULL) == EINVAL && interproc_pipe_skip(&b, &skipped) == 0 && skipped);
    for (i = 0; i < 2; i++) {
        CHECK(interproc_pipe_recv(&b, buffer, sizeof buffer, &size, NULL) == 0 && size == sizeof long_text);
        CHECK(memcmp(buffer, long_text, sizeof buffer) == 0);
        memset(buffer, 0, sizeof buffer);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(interproc_pipe_close(&a) == 0 && interproc_pipe_close(&b) == 0);
    /* One that is given up in the middle, and then the end. */
    CHECK(interproc_pipe_pair(1 << 12, 200, &a, &b) == 0);
    CHECK(interproc_pipe_timedsend(&a, long_text, sizeof long_text, &soon) == ETIMEDOUT);
    CHECK(interproc_pipe_close(&a) == 0);
    CHECK(interproc_pipe_recv(&b, buffer, sizeof buffer, &size, NULL) == ECONNRESET);
    CHECK(interproc_pipe_recv(&b, buffer, sizeof buffer, &size, NULL) == EPIPE);
    CHECK(interproc_pipe_close(&b) == 0);
}

/* The program that gets an end. */
static int worker(const char *how)
{
    interproc_pipe_t end, again;
    char buffer[64];
    size_t size = 0;

    if (strcmp(how, "ends") == 0)
        return 3;
    if (strcmp(how, "sends") == 0) {
        CHECK(interproc_pipe_inherited("work", &end) == 0);
        send_text(&end, "here");
        return failures;
    }
    CHECK(interproc_pipe_inherited("nothing", &end) == ENOENT);
    CHECK(interproc_pipe_inherited("work", &end) == 0);
    CHECK(interproc_pipe_inherited("work", &again) == ESTALE);
    CHECK(interproc_pipe_recv(&end, buffer, sizeof buffer, &size, NULL) == 0);
    CHECK(interproc_pipe_send(&end, buffer, size) == 0);
    CHECK(interproc_pipe_recv(&end, buffer, sizeof buffer, &size, NULL) == EPIPE);
    CHECK(interproc_pipe_close(&end) == 0);
    return failures;
}

static void a_program_gets_an_end(const char *itself)
{
    interproc_pipe_t ours, theirs, to, from;
    interproc_process_t child;
    const char *echoes[] = {itself, "echoes", NULL}, *sends[] = {itself, "sends", NULL}, *ends[] = {itself, "ends", NULL};
    const char *sleeps[] = {"sleep", "1000", NULL};
    struct timespec soon;
    char buffer[8];
    size_t size = 0;
    interproc_exit_t code;

    CHECK(interproc_pipe_pair(1 << 12, 200, &ours, &theirs) == 0);
    CHECK(interproc_pipe_spawn(&child, NULL, itself, echoes, NULL, NULL, &theirs, NULL) == EINVAL);
    CHECK(interproc_pipe_spawn(&child, NULL, itself, echoes, NULL, "work", &theirs, NULL) == 0);
    CHECK(interproc_pipe_close(&theirs) == EINVAL);
    send_text(&ours, "question");
    recv_text(&ours, "question");
    CHECK(interproc_pipe_close(&ours) == 0);
    CHECK(interproc_process_join(&child, &code) == 0 && code.code == 0);
    CHECK(interproc_process_close(&child) == 0);

    CHECK(interproc_pipe_one_way(1 << 12, 200, &to, &from) == 0);
    CHECK(interproc_pipe_spawn(&child, NULL, itself, sends, NULL, "work", &to, NULL) == 0);
    recv_text(&from, "here");
    CHECK(interproc_pipe_recv(&from, buffer, sizeof buffer, &size, NULL) == EPIPE);
    CHECK(interproc_process_join(&child, &code) == 0 && code.code == 0);
    CHECK(interproc_process_close(&child) == 0 && interproc_pipe_close(&from) == 0);

    /* One that takes nothing, and goes on. */
    CHECK(interproc_pipe_pair(1 << 12, 200, &ours, &theirs) == 0);
    soon = in_ms(20);
    CHECK(interproc_pipe_spawn(&child, NULL, "sleep", sleeps, NULL, "work", &theirs, &soon) == ETIMEDOUT);
    CHECK(interproc_pipe_recv(&ours, buffer, sizeof buffer, &size, NULL) == EPIPE);
    CHECK(interproc_pipe_close(&ours) == 0);
    /* One that ends. */
    CHECK(interproc_pipe_pair(1 << 12, 200, &ours, &theirs) == 0);
    CHECK(interproc_pipe_spawn(&child, NULL, itself, ends, NULL, "work", &theirs, NULL) == ECHILD);
    CHECK(strstr(interproc_last_error_message(), "3") != NULL);
    CHECK(interproc_pipe_recv(&ours, buffer, sizeof buffer, &size, NULL) == EPIPE);
    CHECK(interproc_pipe_close(&ours) == 0);
    CHECK(interproc_pipe_pair(1 << 12, 200, &ours, &theirs) == 0);
    CHECK(interproc_pipe_spawn(&child, NULL, "/no/such/program", ends, NULL, "work", &theirs, NULL) == ENOENT);
    CHECK(interproc_pipe_recv(&ours, buffer, sizeof buffer, &size, NULL) == EPIPE);
    CHECK(interproc_pipe_close(&ours) == 0);
}

static void descriptors_go_with_messages(void)
{
    interproc_pipe_t a, b, to, from;
    char buffer[64];
    size_t size = 0;
    int fds[2], fd = -7;

    CHECK(interproc_pipe_pair(1 << 12, 200, &a, &b) == 0);
    CHECK(interproc_pipe_send_fd_until(&a, "x", 1, 0, NULL) == ENOTSUP);
    CHECK(interproc_pipe_close(&a) == 0 && interproc_pipe_close(&b) == 0);
    CHECK(interproc_pipe_pair_with_fds(1 << 12, 200, &a, &b) == 0);
    CHECK(pipe(fds) == 0);
    CHECK(interproc_pipe_send_fd_until(&a, "write here", 10, fds[1], NULL) == 0);
    CHECK(close(fds[1]) == 0);
    CHECK(interproc_pipe_send_fd_until(&a, "x", 1, fds[1], NULL) == EINVAL);
    CHECK(interproc_pipe_send_fd_until(&a, buffer, 193, 0, NULL) == EMSGSIZE);
    CHECK(interproc_pipe_recv_fd_until(&b, NULL, buffer, 9, &size, &fd) == EMSGSIZE && size == 10 && fd == -7);
    CHECK(interproc_pipe_recv_fd_until(&b, NULL, buffer, sizeof buffer, &size, &fd) == 0 && size == 10 && fd > 2);
    CHECK(write(fd, "hello", 5) == 5 && read(fds[0], buffer, sizeof buffer) == 5);
    CHECK(close(fd) == 0 && close(fds[0]) == 0);
    send_text(&a, "alone");
    CHECK(interproc_pipe_recv_fd_until(&b, NULL, buffer, sizeof buffer, &size, &fd) == 0 && size == 5 && fd == -1);
    CHECK(interproc_pipe_close(&a) == 0 && interproc_pipe_close(&b) == 0);
    CHECK(interproc_pipe_one_way_with_fds(1 << 12, 200, &to, &from) == 0);
    CHECK(interproc_pipe_send_fd_until(&to, "x", 1, 0, NULL) == 0);
    recv_text(&from, "x");
    CHECK(interproc_pipe_close(&to) == 0 && interproc_pipe_close(&from) == 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return worker(argv[1]);
    long_messages_come_in_pieces();
    a_program_gets_an_end(argv[0]);
    descriptors_go_with_messages();
    messages_go_both_ways();
    what_is_wrong_is_refused();
    an_end_ends_with_its_thread();
    what_is_no_child_is_handed_nothing();
    messages_are_written_and_read_in_place();
    a_child_gets_an_end();
    an_end_goes_over_a_bare_fork();
    clients_find_a_listener();
    puts(failures == 0 ? "pipes: right" : "pipes: wrong");
    return failures;
}
