/* A server and its clients: they meet by a name in a segment, and each client has a pipe of its own. One client is killed
 * in the middle of its work; the server sees the end of that pipe, and goes on. */
#define _POSIX_C_SOURCE 200809L
#include <interproc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLIENTS = 4, QUESTIONS = 1000, VICTIM = 2 };

static interproc_segment_t segment;

static void must(int rc)
{
    if (rc != 0) {
        fprintf(stderr, "%s\n", interproc_last_error_message());
        exit(1);
    }
}

/* Asks for the lengths of words. */
static int client(void *argument)
{
    int me = *(int *)argument, i;
    interproc_pipe_t server;
    must(interproc_pipe_connect(&segment, "lengths", &server));
    for (i = 0; i < QUESTIONS; i++) {
        char word[32];
        size_t answer, size;
        memset(word, 'a', sizeof word);
        must(interproc_pipe_send(&server, word, (size_t)(i % 30)));
        must(interproc_pipe_recv(&server, &answer, sizeof answer, &size, NULL));
        if (answer != (size_t)(i % 30))
            return 1;
        if (me == VICTIM && i == QUESTIONS / 2)
            raise(SIGKILL);
    }
    return interproc_pipe_close(&server);
}

/* One child for each client, which gets the accepted end: the listener goes on listening. */
static int serve(interproc_pipe_t *end, void *unused)
{
    char word[64];
    size_t size;
    int rc;
    (void)unused;
    while ((rc = interproc_pipe_recv(end, word, sizeof word, &size, NULL)) == 0)
        if ((rc = interproc_pipe_send(end, &size, sizeof size)) != 0)
            break;
    return rc == EPIPE ? 0 : 1; /* the client is gone, one way or the other */
}

int main(void)
{
    interproc_listener_t listener;
    interproc_process_t clients[CLIENTS], servers[CLIENTS];
    interproc_exit_t end;
    int i, numbers[CLIENTS], finished = 0, killed = 0, served = 0;

    must(interproc_segment_anonymous(&segment, 1 << 16));
    must(interproc_listener_bind(&segment, "lengths", CLIENTS, 1 << 10, 64, &listener));
    for (i = 0; i < CLIENTS; i++) {
        numbers[i] = i;
        must(interproc_process_fork(&clients[i], "client", client, &numbers[i]));
    }
    for (i = 0; i < CLIENTS; i++) {
        interproc_pipe_t accepted;
        must(interproc_listener_accept(&listener, &accepted));
        must(interproc_pipe_fork(&servers[i], "server", serve, &accepted, NULL));
    }
    for (i = 0; i < CLIENTS; i++) {
        must(interproc_process_join(&clients[i], &end));
        finished += end.code == 0;
        killed += end.signal == SIGKILL;
        must(interproc_process_close(&clients[i]));
        must(interproc_process_join(&servers[i], &end));
        served += end.code == 0;
        must(interproc_process_close(&servers[i]));
    }
    must(interproc_listener_close(&listener));
    must(interproc_segment_close(&segment));
    printf("clients: %d finished, %d killed; servers: %d saw the end\n", finished, killed, served);
    return !(finished == CLIENTS - 1 && killed == 1 && served == CLIENTS);
}
