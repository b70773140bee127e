/* A foreman and his crew: workers that cannot outlive him, a program among them, and who ended how.
 *
 * The workers are bound children: if this program is killed, the kernel kills them at that moment. One of them is
 * deaf to SIGTERM and is ended after a grace period; one has crashed.
 *
 *     cc processes.c $(pkg-config --cflags --libs interproc) -o processes && ./processes
 */
#define _POSIX_C_SOURCE 200809L
#include <interproc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CREW = 4 };

static int works(void *unused)
{
    (void)unused;
    return 3;
}

static int crashes(void *unused)
{
    (void)unused;
    raise(SIGKILL);
    return 0;
}

static int is_deaf(void *writing_end)
{
    signal(SIGTERM, SIG_IGN);
    close(*(int *)writing_end); /* tells that it is */
    for (;;)
        pause();
    return 0;
}

static void must(int rc, const char *what)
{
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", what, interproc_last_error_message());
        exit(1);
    }
}

int main(void)
{
    interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
    options.flags = INTERPROC_PROCESS_DIES_WITH_PARENT;
    const char *arguments[] = {"sh", "-c", "exit 7", NULL};
    interproc_process_t crew[CREW];
    const interproc_process_t *left[CREW];
    int ends[2];
    char nothing;
    if (pipe(ends) != 0)
        return 1;
    must(interproc_process_fork_with(&crew[0], &options, works, NULL), "worker");
    must(interproc_process_fork_with(&crew[1], &options, crashes, NULL), "crasher");
    must(interproc_process_spawn(&crew[2], &options, "sh", arguments, NULL), "program");
    options.name = "deaf";
    must(interproc_process_fork_with(&crew[3], &options, is_deaf, &ends[1]), "deaf");
    close(ends[1]);

    int count = 3;
    for (int i = 0; i < count; i++)
        left[i] = &crew[i];
    while (count > 0) { /* in the order in which they end */
        size_t index;
        interproc_exit_t end;
        must(interproc_process_wait_any(left, count, NULL, &index, &end), "wait");
        printf("worker %d: exit code %d, signal %d\n", (int)(left[index] - crew), end.code, end.signal);
        left[index] = left[--count];
    }
    if (read(ends[0], &nothing, 1) != 0) /* until nobody has the other end: it is deaf now */
        return 1;
    interproc_exit_t end;
    struct timespec grace;
    must(interproc_deadline_after(50000000, &grace), "deadline");
    must(interproc_process_terminate_until(&crew[3], &grace, &end), "terminate");
    printf("the deaf one: signal %d\n", end.signal);
    for (int i = 0; i < CREW; i++)
        must(interproc_process_close(&crew[i]), "close");
    return 0;
}
