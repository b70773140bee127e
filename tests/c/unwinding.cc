// What a job of the program's may do in the library as it is installed: throw, and be cancelled.
#include "check.h"

#include <pthread.h>
#include <unistd.h>

static interproc_once_t *once;
static int calls, destroyed;

struct Guard {
    ~Guard() { destroyed++; }
};

static int throws_once(void *, bool is_retry)
{
    Guard guard;
    CHECK(is_retry == (calls > 0));
    if (calls++ == 0)
        throw 42;
    return 0;
}

static int waits(void *, bool is_retry)
{
    Guard guard;
    calls++;
    if (!is_retry)
        for (;;)
            pause();
    return 0;
}

static void *calls_it(void *)
{
    Guard guard;
    interproc_once_call(once, waits, NULL);
    return NULL;
}

int main()
{
    interproc_segment_t segment;
    void *place, *end;
    if (interproc_segment_anonymous(&segment, 1 << 16) != 0
        || interproc_segment_object(&segment, "once", 2 * sizeof *once, 8, &place) != 0)
        return 2;
    once = static_cast<interproc_once_t *>(place);
    int caught = 0;
    try {
        interproc_once_call(once, throws_once, NULL);
    } catch (int value) {
        caught = value;
    }
    CHECK(caught == 42 && destroyed == 1);
    CHECK(interproc_once_call(once, throws_once, NULL) == 0 && calls == 2);

    once++, calls = destroyed = 0;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, calls_it, NULL) == 0);
    while (__atomic_load_n(&calls, __ATOMIC_SEQ_CST) == 0)
        usleep(1000);
    CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &end) == 0);
    CHECK(end == PTHREAD_CANCELED && destroyed == 2);
    CHECK(interproc_once_call(once, waits, NULL) == 0 && calls == 2); // it was left to the next
    return failures;
}
