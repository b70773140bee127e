/* Only the newest counts: a value that one process sets and others read, and a queue in which the oldest makes way.
 *
 * A pilot sets the position ten thousand times, and is killed on the way; another one goes on. An observer sees
 * positions that are whole and ever newer. Then a queue of four keeps the newest of a hundred readings; and a camera
 * draws large pictures in the segment itself, which are looked at where they lie.
 *
 *     cc latest.c $(pkg-config --cflags --libs interproc) -o latest && ./latest
 */
#define _POSIX_C_SOURCE 200809L
#include <interproc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETS = 10000, KEPT = 4, READINGS = 100, PICTURES = 50, PIXELS = 32 * 1024 };

typedef struct {
    double x, y, z; /* all the same, else it was torn */
} pose_t;

typedef struct {
    uint32_t number, sum;
    uint8_t pixels[PIXELS];
} picture_t;

static interproc_segment_t segment;
static interproc_latest_t position; /* handles: a forked child may use its parent's */
static interproc_queue_t pictures;

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

static int fly(void *is_the_victim)
{
    uint64_t version;
    must(interproc_latest_version(&position, &version), "version"); /* where the last pilot was */
    while (version < SETS) {
        double at = (double)(version + 1);
        pose_t pose = {at, at, at};
        must(interproc_latest_set(&position, &pose, &version), "set"); /* never waits for a reader */
        if (*(int *)is_the_victim && version == SETS / 2)
            raise(SIGKILL);
    }
    return 0;
}

static int observe(void *unused)
{
    uint64_t seen = 0, version;
    pose_t pose;
    (void)unused;
    while (seen < SETS) {
        /* Passes over those that it missed. */
        must(interproc_latest_wait_newer(&position, seen, &pose, &version), "wait_newer");
        check(version > seen, "newer");
        check(pose.x == (double)version && pose.y == pose.x && pose.z == pose.x, "whole");
        seen = version;
    }
    return 0;
}

static int take_pictures(void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < PICTURES; i++) {
        picture_t *picture;
        must(interproc_queue_reserve_until(&pictures, NULL, (void **)&picture), "reserve");
        picture->number = i;
        picture->sum = 0;
        for (size_t k = 0; k < PIXELS; k++)
            picture->sum += picture->pixels[k] = (uint8_t)(i + k);
        must(interproc_queue_commit(&pictures, picture), "commit");
    }
    return 0;
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

static void flight(void)
{
    pose_t pose = {0, 0, 0};
    uint64_t version;
    uint32_t waiters;
    struct timespec soon;
    interproc_who_t writer;
    must(interproc_segment_latest(&segment, "position", sizeof pose, &pose, &position), "latest");
    must(interproc_latest_get(&position, &pose, &version), "get"); /* there is always a value */
    check(version == 0 && pose.x == 0, "the initial one");

    interproc_process_t observer = start("observer", observe, 0), pilot = start("pilot", fly, 1);
    check(ended(pilot).signal == SIGKILL, "the pilot was killed");
    check(ended(start("pilot", fly, 0)).code == 0, "the next pilot ended well");
    check(ended(observer).code == 0, "the observer ended well");

    must(interproc_latest_get(&position, &pose, &version), "get");
    check(version == SETS && pose.z == SETS, "the newest");
    must(interproc_deadline_after(1000000, &soon), "deadline");
    check(interproc_latest_wait_newer_until(&position, version, &soon, &pose, NULL) == ETIMEDOUT, "nothing newer");
    must(interproc_latest_writer(&position, &writer), "writer");
    must(interproc_latest_waiters(&position, &waiters), "waiters");
    check(!writer.found && waiters == 0, "nobody sets it or waits");
    must(interproc_latest_set(&position, &pose, &version), "set");
    printf("position: set %d times, by two pilots, one of them killed: the newest is %.0f\n", SETS, pose.x);
}

static void newest_readings(void)
{
    interproc_queue_t readings;
    const void *oldest;
    uint32_t reading, displaced, gone = 0;
    bool was_displaced;
    interproc_channel_info_t info;
    must(interproc_segment_queue(&segment, "readings", sizeof reading, KEPT, &readings), "queue");
    for (reading = 0; reading < READINGS; reading++) {
        must(interproc_queue_force_push(&readings, &reading, &displaced, &was_displaced), "force_push");
        if (was_displaced)
            check(displaced == gone++, "the oldest makes way");
    }
    must(interproc_queue_info(&readings, &info), "info");
    check(info.used == KEPT && info.peak == KEPT && gone == READINGS - KEPT, "the others are there");

    /* What somebody has borrowed is never taken away. */
    must(interproc_queue_borrow_until(&readings, NULL, &oldest, NULL), "borrow");
    check(*(const uint32_t *)oldest == READINGS - KEPT, "the oldest of them");
    check(interproc_queue_force_push(&readings, &reading, NULL, NULL) == EAGAIN, "no room, and none to be made");
    must(interproc_queue_release(&readings, oldest), "release");
    must(interproc_queue_force_push(&readings, &reading, NULL, &was_displaced), "force_push");
    check(!was_displaced, "there was room");
    printf("readings: %d taken, %u made way, the newest %d kept\n", READINGS, gone, (int)info.used);
}

static void look_at_pictures(void)
{
    const struct timespec at_once = {0, 0}; /* a time in the past: does not wait */
    const picture_t *picture;
    picture_t *unfinished;
    bool redelivered;
    must(interproc_segment_queue(&segment, "pictures", sizeof(picture_t), 3, &pictures), "queue");

    interproc_process_t camera = start("camera", take_pictures, 0);
    must(interproc_queue_borrow_until(&pictures, NULL, (const void **)&picture, &redelivered), "borrow");
    check(!redelivered && picture->number == 0, "the first one");
    must(interproc_queue_put_back(&pictures, picture), "put_back"); /* for another consumer, or for later */
    for (uint32_t i = 0; i < PICTURES; i++) {
        uint32_t sum = 0;
        must(interproc_queue_borrow_until(&pictures, NULL, (const void **)&picture, &redelivered), "borrow");
        check(redelivered == (i == 0), "flagged is what was put back");
        for (size_t k = 0; k < PIXELS; k++)
            sum += picture->pixels[k];
        check(picture->number == i && picture->sum == sum, "whole, and in order");
        must(interproc_queue_release(&pictures, picture), "release");
    }
    check(ended(camera).code == 0, "the camera ended well");

    must(interproc_queue_reserve_until(&pictures, &at_once, (void **)&unfinished), "reserve");
    must(interproc_queue_abort(&pictures, unfinished), "abort"); /* no picture comes of it */
    check(interproc_queue_borrow_until(&pictures, &at_once, (const void **)&picture, NULL) == ETIMEDOUT, "none left");
    printf("pictures: %d of %d bytes, none of them copied\n", PICTURES, (int)sizeof *picture);
}

int main(void)
{
    must(interproc_segment_anonymous(&segment, 1 << 18), "segment");
    flight();
    newest_readings();
    look_at_pictures();
    must(interproc_segment_close(&segment), "close");
    return 0;
}
