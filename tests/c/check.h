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

/* A deadline so many milliseconds from now. */
static inline struct timespec in_ms(uint64_t ms)
{
    struct timespec until = {0, 0};
    interproc_deadline_after(ms * 1000000, &until);
    return until;
}

#endif
