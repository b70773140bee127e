/* What the C tests share. Each check prints where it failed and goes on; main returns the number of failures. */
#ifndef CHECK_H
#define CHECK_H

#include <interproc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int failures;

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);       \
            failures++;                                                                   \
        }                                                                                 \
    } while (0)

/* A value that no call sets, to see that errno is left alone. */
enum { UNTOUCHED = 4242 };

/* Calls, and checks the result and that errno is left alone. */
#define RETURNS(expected, call)                                                           \
    do {                                                                                  \
        errno = UNTOUCHED;                                                                \
        int returned_ = (call);                                                           \
        int errno_ = errno;                                                               \
        if (returned_ != (expected)) {                                                    \
            fprintf(stderr, "%s:%d: %s returned %d (%s), not %d\n", __FILE__, __LINE__, #call, returned_, \
                    returned_ ? interproc_last_error_message() : "success", (expected));  \
            failures++;                                                                   \
        }                                                                                 \
        if (errno_ != UNTOUCHED) {                                                        \
            fprintf(stderr, "%s:%d: %s set errno to %d\n", __FILE__, __LINE__, #call, errno_); \
            failures++;                                                                   \
        }                                                                                 \
    } while (0)

#define OK(call) RETURNS(0, call)

/* A time limit of a call that is not to wait. */
#define AT_ONCE (&(const struct timespec){0, 0})

/* One answer of an `_info` function, as a call of its own: FIELD(interproc_queue_info(&q, &channel_), channel_.used, &n) */
#define FIELD(call, field, out) ((field_rc_ = (call)) != 0 ? field_rc_ : (*(out) = (field), 0))
#define UNUSED __attribute__((unused))
static UNUSED int field_rc_;
static UNUSED interproc_channel_info_t channel_;
static UNUSED interproc_bounded_semaphore_info_t permits_;
static UNUSED interproc_barrier_info_t barrier_;
static UNUSED interproc_segment_info_t segment_;

/* A deadline so many milliseconds from now. */
static inline struct timespec in_ms(uint64_t ms)
{
    struct timespec until = {0, 0};
    interproc_deadline_after(ms * 1000000, &until);
    return until;
}

#endif
