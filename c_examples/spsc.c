/* A recorder and a player: one producer and one consumer, each a process, and the fastest way from here to there.
 *
 * Samples are written and read in chunks, where they lie. Halfway through the recorder is killed with a chunk half
 * written, and the player with a chunk half played; another process takes over the seat of each. Every sample is played
 * in order, and none twice: what the dead player had not committed comes again, flagged.
 *
 *     cc spsc.c $(pkg-config --cflags --libs interproc) -o spsc && ./spsc
 */
#define _POSIX_C_SOURCE 200809L
#include <interproc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* One that waits for CHUNK free slots and one that waits for CHUNK messages: with room for two chunks both get on. */
enum { CHUNK = 64, CAPACITY = 160, SAMPLES = 1000 * CHUNK };

typedef struct {
    uint64_t number;
    int32_t left, right;
} sample_t;

/* In the segment, so that a successor knows where to go on. Each has one writer at a time. */
typedef struct {
    uint64_t recorded, played; /* the next number of each */
    uint64_t flagged, again;   /* samples that may have been read by a dead player, and that had been */
} progress_t;

static interproc_segment_t segment;
static progress_t *progress;

static void must(int rc, const char *what)
{
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", what, interproc_last_error_message());
        exit(1);
    }
}

static void check(int right, const char *what)
{
    if (!right) {
        fprintf(stderr, "wrong: %s\n", what);
        exit(1);
    }
}

/* A chunk lies in two pieces if the ring ends in it. */
static sample_t *slot(const interproc_spsc_slots_t *slots, size_t i)
{
    if (i < slots->first_count)
        return (sample_t *)slots->first + i;
    return (sample_t *)slots->second + (i - slots->first_count);
}

static int record(void *is_the_victim)
{
    interproc_spsc_producer_t samples;
    interproc_spsc_slots_t slots;
    /* In the process that records: a seat belongs to the thread that takes it. */
    must(interproc_segment_spsc_producer(&segment, "samples", sizeof(sample_t), CAPACITY, &samples), "seat");
    while (progress->recorded < SAMPLES) {
        must(interproc_spsc_producer_reserve_until(&samples, CHUNK, NULL, &slots), "write_chunk");
        for (size_t i = 0; i < CHUNK; i++) {
            uint64_t number = progress->recorded + i;
            *slot(&slots, i) = (sample_t){number, (int32_t)number, -(int32_t)number};
            if (*(int *)is_the_victim && number == SAMPLES / 2 + CHUNK / 2)
                raise(SIGKILL); /* nothing of this chunk has been pushed */
        }
        must(interproc_spsc_producer_commit(&samples, CHUNK), "commit");
        /* A death just here makes the successor record this chunk again; the player would pass over it. */
        progress->recorded += CHUNK;
    }
    must(interproc_spsc_producer_close(&samples), "close");
    return interproc_spsc_producer_leave(&samples);
}

static int play(void *is_the_victim)
{
    interproc_spsc_consumer_t samples;
    interproc_spsc_slots_t slots;
    size_t redelivered;
    int rc;
    must(interproc_segment_spsc_consumer(&segment, "samples", sizeof(sample_t), CAPACITY, &samples), "seat");
    while ((rc = interproc_spsc_consumer_borrow_until(&samples, CHUNK, NULL, &slots, &redelivered)) == 0) {
        size_t count = slots.first_count + slots.second_count; /* fewer than CHUNK only at the end */
        progress->flagged += redelivered;
        for (size_t i = 0; i < count; i++) {
            const sample_t *sample = slot(&slots, i);
            check(sample->left == (int32_t)sample->number && sample->right == -sample->left, "a whole sample");
            if (sample->number < progress->played) {
                check(i < redelivered, "flagged");
                progress->again++;
                continue;
            }
            check(sample->number == progress->played, "in order");
            progress->played++;
            if (*(int *)is_the_victim && sample->number == SAMPLES / 2 - CHUNK / 2 - 1)
                raise(SIGKILL); /* none of this chunk has been taken */
        }
        must(interproc_spsc_consumer_release(&samples, count), "commit");
    }
    check(rc == EPIPE, "closed and drained"); /* not by a recorder's death: then we go on waiting for the next one */
    return interproc_spsc_consumer_leave(&samples);
}

/* A seat has one holder, and a forked child has none of its parent's. */
static int use(void *producer)
{
    uint64_t number = 0;
    return interproc_spsc_producer_trypush(producer, &number);
}

static void seats_and_batches(void)
{
    interproc_spsc_producer_t in, second;
    interproc_spsc_consumer_t out;
    interproc_process_t child;
    interproc_exit_t end;
    interproc_who_t who;
    struct timespec soon = {0, 0};                          /* in the past: does not wait */
    uint64_t numbers[6] = {1, 2, 3, 4, 5, 6}, taken[8];
    size_t count, redelivered;
    interproc_channel_info_t info;
    bool again;

    must(interproc_segment_spsc_producer(&segment, "numbers", sizeof(uint64_t), 4, &in), "seat");
    check(interproc_segment_spsc_producer(&segment, "numbers", sizeof(uint64_t), 4, &second) == EBUSY, "taken");
    must(interproc_process_fork(&child, "child", use, &in), "fork");
    must(interproc_process_join(&child, &end), "join");
    check(end.code == EPERM, "a child is not its parent");
    must(interproc_process_close(&child), "close");

    must(interproc_segment_spsc_consumer(&segment, "numbers", sizeof(uint64_t), 4, &out), "seat");
    must(interproc_spsc_consumer_peer(&out, &who), "peer");
    check(who.found && who.alive, "the producer is there");
    must(interproc_spsc_producer_push_batch_until(&in, numbers, 6, &soon, &count), "push a batch");
    must(interproc_spsc_producer_info(&in, &info), "info");
    check(count == 4 && count == info.capacity, "as many as there is room for");
    check(interproc_spsc_producer_trypush(&in, &numbers[4]) == EAGAIN, "full");
    must(interproc_spsc_consumer_pop(&out, taken, &again), "pop");
    check(taken[0] == 1 && !again, "the first one");
    must(interproc_spsc_consumer_pop_batch_until(&out, NULL, taken, 8, &count, &redelivered), "pop a batch");
    check(count == 3 && taken[0] == 2 && taken[2] == 4 && redelivered == 0, "those that are there");
    must(interproc_deadline_after(1000000, &soon), "deadline");
    check(interproc_spsc_consumer_timedpop(&out, &soon, taken, NULL) == ETIMEDOUT, "nothing within 1 ms");

    /* Publishing in fours costs less, and is seen later. */
    must(interproc_spsc_producer_publish_every(&in, 4), "publish_every");
    must(interproc_spsc_producer_push(&in, &numbers[4]), "push");
    check(interproc_spsc_consumer_trypop(&out, taken, NULL) == EAGAIN, "not published yet");
    must(interproc_spsc_producer_flush(&in), "flush");
    must(interproc_spsc_consumer_info(&out, &info), "info");
    check(info.used == 1 && info.peak == 4, "one there, and once four");
    must(interproc_spsc_consumer_trypop(&out, taken, NULL), "pop");

    must(interproc_spsc_producer_publish_every(&in, 1), "publish_every"); /* as at first */
    must(interproc_spsc_consumer_close(&out), "close");
    must(interproc_spsc_producer_info(&in, &info), "info");
    check(info.is_closed && interproc_spsc_producer_push(&in, numbers) == EPIPE, "closed");
    must(interproc_spsc_consumer_leave(&out), "leave");
    interproc_spsc_producer_leave(&in);
}

static interproc_process_t start(const char *name, interproc_process_entry_t entry, int is_the_victim)
{
    interproc_process_t child;
    must(interproc_process_fork(&child, name, entry, &is_the_victim), "fork"); /* the child has a copy */
    return child;
}

static interproc_exit_t ended(interproc_process_t child)
{
    interproc_exit_t end;
    must(interproc_process_join(&child, &end), "join");
    must(interproc_process_close(&child), "close");
    return end;
}

int main(void)
{
    must(interproc_segment_anonymous(&segment, 1 << 16), "segment");
    must(interproc_segment_object(&segment, "progress", sizeof *progress, 8, (void **)&progress), "object");
    seats_and_batches();

    interproc_process_t recorder = start("recorder", record, 1), player = start("player", play, 1);
    check(ended(player).signal == SIGKILL, "the player was killed");
    player = start("player", play, 0);
    check(ended(recorder).signal == SIGKILL, "the recorder was killed");
    recorder = start("recorder", record, 0);
    check(ended(recorder).code == 0, "the recorder ended well");
    check(ended(player).code == 0, "the player ended well");

    int right = progress->recorded == SAMPLES && progress->played == SAMPLES && progress->again == CHUNK / 2;
    printf("recorded: %llu, played: %llu; flagged after the player's death: %llu, of which played before: %llu: %s\n",
           (unsigned long long)progress->recorded, (unsigned long long)progress->played,
           (unsigned long long)progress->flagged, (unsigned long long)progress->again, right ? "right" : "WRONG");
    must(interproc_segment_close(&segment), "close");
    return !right;
}
