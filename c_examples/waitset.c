/* One loop for all that comes: a wait set.
 *
 * A house has a door, at which guests ring; each guest who was let in has a pipe and asks questions. A clock ticks, and the
 * gardener, a child process, goes home at some time. One thread serves them all, by a single wait: it is never asleep for one of them
 * while another one wants something. One guest is killed in the middle of a question; the house sees the end of its pipe.
 *
 *     cc waitset.c $(pkg-config --cflags --libs interproc) -o waitset && ./waitset
 */
#define _POSIX_C_SOURCE 200809L
#include <interproc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { GUESTS = 4, QUESTIONS = 100, VICTIM = 2, MOST = 3 };

/* What the house has of a guest. */
typedef struct {
    interproc_pipe_t pipe;
    uint64_t key;
    bool said_goodbye;
} guest_t;

static interproc_segment_t segment;

static void must(int rc, const char *what)
{
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", what, interproc_last_error_message());
        exit(1);
    }
}

/* Asks for squares, and says goodbye. */
static int guest(void *argument)
{
    int me = *(int *)argument, i, answer;
    size_t size;
    interproc_pipe_t house;
    must(interproc_pipe_connect(&segment, "door", &house), "ring");
    for (i = 0; i < QUESTIONS; i++) {
        if (me == VICTIM && i == QUESTIONS / 2)
            raise(SIGKILL);
        must(interproc_pipe_send(&house, &i, sizeof i), "ask");
        must(interproc_pipe_recv(&house, &answer, sizeof answer, &size, NULL), "listen");
        if (answer != i * i)
            return 1;
    }
    must(interproc_pipe_send(&house, "bye", 3), "say goodbye");
    return interproc_pipe_close(&house);
}

static int gardener(void *unused)
{
    struct timespec a_while = {0, 20000000};
    (void)unused;
    nanosleep(&a_while, NULL);
    return 0;
}

int main(void)
{
    interproc_waitset_t set;
    interproc_waitset_ready_t ready[MOST];
    interproc_listener_t door;
    interproc_process_t guests[GUESTS], worker;
    interproc_exit_t end;
    guest_t inside[GUESTS];
    uint64_t worker_key;
    size_t count, size, i;
    int numbers[GUESTS], rang = 0, left = 0, goodbyes = 0, killed = 0, answered = 0, ticks = 0;
    bool at_home = true;

    must(interproc_segment_anonymous(&segment, 1 << 16), "segment");
    must(interproc_listener_bind(&segment, "door", GUESTS, 1 << 10, 64, &door), "listen");
    for (i = 0; i < GUESTS; i++) {
        numbers[i] = (int)i;
        must(interproc_process_fork(&guests[i], "guest", guest, &numbers[i]), "fork");
    }
    must(interproc_process_fork(&worker, "gardener", gardener, NULL), "fork");

    must(interproc_waitset_create(&set), "wait set");
    must(interproc_waitset_add_listener(&set, &door, &door, NULL), "add the door");
    must(interproc_waitset_add_process(&set, &worker, &worker, &worker_key), "add the gardener");
    must(interproc_waitset_add_timer(&set, NULL, 1000000, &ticks, NULL), "add the clock");

    while (left < GUESTS || at_home || ticks < 5) {
        /* There may be more: they come next time. */
        must(interproc_waitset_wait(&set, ready, MOST, &count), "wait");
        for (i = 0; i < count; i++) {
            if (ready[i].data == &door) {
                guest_t *new = &inside[rang++];
                new->said_goodbye = false;
                must(interproc_listener_accept(&door, &new->pipe), "let in");
                must(interproc_waitset_add_pipe(&set, &new->pipe, INTERPROC_READABLE, new, &new->key), "add a guest");
            } else if (ready[i].data == &worker) {
                must(interproc_process_join(&worker, &end), "join");
                must(interproc_waitset_remove(&set, worker_key), "take out"); /* it would be told again and again */
                must(interproc_process_close(&worker), "close");
                at_home = false;
            } else if (ready[i].data == &ticks) {
                ticks++;
            } else {
                guest_t *who = ready[i].data;
                int question, rc = interproc_pipe_tryrecv(&who->pipe, &question, sizeof question, &size, NULL);
                if (rc == EPIPE) { /* gone, one way or the other */
                    who->said_goodbye ? goodbyes++ : killed++;
                    must(interproc_waitset_remove(&set, who->key), "take out");
                    must(interproc_pipe_close(&who->pipe), "close");
                    left++;
                } else if (rc == 0 && size == 3) {
                    who->said_goodbye = true;
                } else if (rc == 0) {
                    question *= question;
                    rc = interproc_pipe_send(&who->pipe, &question, sizeof question);
                    if (rc != EPIPE) /* it may have died with its question */
                        must(rc, "answer");
                    answered += rc == 0;
                } else if (rc != EAGAIN) { /* there was a pipe to read, and nothing in it: that is no error */
                    must(rc, "hear");
                }
            }
        }
    }

    must(interproc_waitset_destroy(&set), "destroy");
    must(interproc_listener_close(&door), "close the door");
    for (i = 0; i < GUESTS; i++) {
        must(interproc_process_join(&guests[i], &end), "join");
        if (end.code != 0 && end.signal != SIGKILL)
            killed = -1;
        must(interproc_process_close(&guests[i]), "close");
    }
    must(interproc_segment_close(&segment), "close");
    printf("guests: %d said goodbye, %d was killed\n", goodbyes, killed);
    printf("questions: %d of %d answered\n", answered, (GUESTS - 1) * QUESTIONS + QUESTIONS / 2);
    bool right = goodbyes == GUESTS - 1 && killed == 1 && answered == (GUESTS - 1) * QUESTIONS + QUESTIONS / 2;
    printf("the clock ticked, the gardener went home: %s\n", right ? "right" : "wrong");
    return !right;
}
