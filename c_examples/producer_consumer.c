/* Producers and consumers: processes that share work through a queue.
 *
 * Two producers push numbers and three consumers add them up. When the producers are done, main closes the queue;
 * the consumers take what is left and then get EPIPE. Every number is counted exactly once.
 *
 *     cc producer_consumer.c $(pkg-config --cflags --libs interproc) -o producer_consumer && ./producer_consumer
 */
#include <interproc.h>
#include <stdio.h>

enum { PRODUCERS = 2, CONSUMERS = 3, EACH = 50000 };

typedef struct {
    uint64_t number;
    int32_t producer;
    int32_t reserved;
} job_t;

typedef struct {
    interproc_mutex_t lock;
    uint64_t count, sum;
} total_t;

typedef struct {
    interproc_queue_t jobs; /* a handle: a forked child may use its parent's */
    total_t *total;
    int number;
} worker_t;

static int produce(void *argument)
{
    worker_t *me = argument;
    for (uint64_t i = 1; i <= EACH; i++) {
        job_t job = {i, me->number, 0};
        if (interproc_queue_push(&me->jobs, &job) != 0) /* waits while the queue is full */
            return 1;
    }
    return 0;
}

static int consume(void *argument)
{
    worker_t *me = argument;
    uint64_t count = 0, sum = 0;
    job_t job;
    int rc;
    while ((rc = interproc_queue_pop(&me->jobs, &job, NULL)) == 0) { /* waits while it is empty */
        count++;
        sum += job.number;
    }
    if (rc != EPIPE) /* closed and drained: the end */
        return 1;
    if (interproc_mutex_lock(&me->total->lock) != 0)
        return 1;
    me->total->count += count;
    me->total->sum += sum;
    return interproc_mutex_unlock(&me->total->lock);
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, interproc_last_error_message());
    return 1;
}

static int join(interproc_process_t *child)
{
    interproc_exit_t end;
    int bad = interproc_process_join(child, &end) != 0 || end.code != 0;
    interproc_process_close(child);
    return bad;
}

int main(void)
{
    interproc_segment_t segment;
    interproc_process_t producers[PRODUCERS], consumers[CONSUMERS];
    worker_t worker;
    int wrong = 0;

    if (interproc_segment_anonymous(&segment, 1 << 16) != 0)
        return failed("segment");
    if (interproc_segment_queue(&segment, "jobs", sizeof(job_t), 256, &worker.jobs) != 0)
        return failed("queue");
    if (interproc_segment_object(&segment, "total", sizeof(total_t), 8, (void **)&worker.total) != 0)
        return failed("object");

    for (worker.number = 0; worker.number < CONSUMERS; worker.number++)
        if (interproc_process_fork(&consumers[worker.number], "consumer", consume, &worker) != 0)
            return failed("fork");
    for (worker.number = 0; worker.number < PRODUCERS; worker.number++)
        if (interproc_process_fork(&producers[worker.number], "producer", produce, &worker) != 0)
            return failed("fork");

    for (int i = 0; i < PRODUCERS; i++)
        wrong += join(&producers[i]);
    if (interproc_queue_close(&worker.jobs) != 0)
        return failed("close");
    for (int i = 0; i < CONSUMERS; i++)
        wrong += join(&consumers[i]);

    uint64_t count = (uint64_t)PRODUCERS * EACH, sum = PRODUCERS * ((uint64_t)EACH * (EACH + 1) / 2);
    wrong += worker.total->count != count || worker.total->sum != sum;
    printf("pushed: %llu, popped: %llu, sum: %llu of %llu: %s\n", (unsigned long long)count,
           (unsigned long long)worker.total->count, (unsigned long long)worker.total->sum, (unsigned long long)sum,
           wrong ? "WRONG" : "right");
    interproc_segment_close(&segment);
    return wrong != 0;
}
