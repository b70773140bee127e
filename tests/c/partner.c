/* A C process on the same objects as a Rust process (tests/c_abi.rs).
 *
 *     partner NAME count N     adds 1 to the counter N times, under the lock
 *     partner NAME echo        sends every message back, one more, until the queue is closed
 *     partner NAME die         dies holding the lock
 *     partner NAME inherit     is told that a Rust process died holding the lock, and repairs
 */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <signal.h>
#include <unistd.h>

/* As `Mutex<u64>` in Rust. */
typedef struct {
    interproc_mutex_t lock;
    uint64_t value;
} counter_t;

static interproc_segment_t segment;
static counter_t *counter;

static void count(long n)
{
    for (long i = 0; i < n; i++) {
        OK(interproc_mutex_lock(&counter->lock));
        counter->value++;
        OK(interproc_mutex_unlock(&counter->lock));
    }
}

static void echo(void)
{
    interproc_queue_t there, back;
    uint64_t message, word = interproc_type_id("u64", 8, 8, NULL, 0);
    OK(interproc_segment_queue_as(&segment, "there", word, sizeof message, 16, &there));
    /* What Rust calls a queue of u64, and not one of eight bytes each. */
    RETURNS(EEXIST, interproc_segment_queue(&segment, "there", sizeof message, 16, &back));
    OK(interproc_segment_queue(&segment, "back", sizeof message, 16, &back));
    int rc;
    while ((rc = interproc_queue_pop(&there, &message, NULL)) == 0) {
        message++;
        OK(interproc_queue_push(&back, &message));
    }
    CHECK(rc == EPIPE);
}

static void inherit(void)
{
    RETURNS(EOWNERDEAD, interproc_mutex_lock(&counter->lock));
    counter->value = 1000;
    OK(interproc_mutex_consistent(&counter->lock));
    OK(interproc_mutex_unlock(&counter->lock));
}

int main(int argc, char **argv)
{
    uint64_t word, type;
    if (argc < 3)
        return 2;
    OK(interproc_segment_open(&segment, argv[1]));
    if (failures)
        return 1;
    /* What Rust calls a Mutex<u64>, and not the bytes that it consists of. */
    word = interproc_type_id("u64", 8, 8, NULL, 0);
    type = interproc_type_id("Mutex", sizeof *counter, 8, &word, 1);
    RETURNS(EEXIST, interproc_segment_object(&segment, "counter", sizeof *counter, 8, (void **)&counter));
    RETURNS(EEXIST, interproc_segment_find_as(&segment, "counter", word, sizeof *counter, 8, (void **)&counter));
    OK(interproc_segment_find_as(&segment, "counter", type, sizeof *counter, 8, (void **)&counter));
    if (strcmp(argv[2], "count") == 0)
        count(atol(argv[3]));
    else if (strcmp(argv[2], "echo") == 0)
        echo();
    else if (strcmp(argv[2], "inherit") == 0)
        inherit();
    else {
        OK(interproc_mutex_lock(&counter->lock));
        counter->value = 999;
        kill(getpid(), SIGKILL);
    }
    OK(interproc_segment_close(&segment));
    return failures != 0;
}
