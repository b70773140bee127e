/* Every function that takes a handle, with handles that are none. The list of calls is made from the header and put below
   this (tests/c_abi/handles.rs), so that no function is forgotten. Each call runs in a process of its own. */
#define _GNU_SOURCE
#include "check.h"
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum kind { SEGMENT, QUEUE, BYTE_QUEUE, WORK_QUEUE, BROADCAST, SUBSCRIBER, PUBLISHER, LATEST, BARRIER, BOUNDED_SEMAPHORE, SPSC_PRODUCER, SPSC_CONSUMER, BYTE_PRODUCER,
            BYTE_CONSUMER, PIPE, LISTENER, PROCESS, PROCESS_REF, WAITSET, READY, PLACED,
            UNASKED, KINDS };

enum state {
    LIVE,
    ZERO,      /* nothing was ever in it */
    CLOSED,    /* it, or the segment that it was found by, was closed */
    REPLACED,  /* the same, and another one lies at its address by now */
    COPIED,    /* a copy of one that was closed or left, while another one is open */
    STATES
};
static const char *const state_names[] = {"live", "zero", "closed", "closed and replaced", "a copy of a closed one"};

struct test_case {
    const char *name;
    enum kind kind;
    int (*call)(void *handle);
};
extern const struct test_case cases[];
extern const int case_count;

union handle {
    interproc_segment_t segment;
    interproc_queue_t queue;
    interproc_byte_queue_t byte_queue;
    interproc_work_queue_t work_queue;
    interproc_broadcast_t broadcast;
    interproc_subscriber_t subscriber;
    interproc_publisher_t publisher;
    interproc_latest_t latest;
    interproc_barrier_t barrier;
    interproc_bounded_semaphore_t permits;
    interproc_spsc_producer_t producer;
    interproc_spsc_consumer_t consumer;
    interproc_byte_producer_t byte_producer;
    interproc_byte_consumer_t byte_consumer;
    interproc_pipe_t pipe;
    interproc_listener_t listener;
    interproc_process_t process;
    interproc_process_ref_t process_ref;
    interproc_waitset_t waitset;
    interproc_ready_t ready;
    uint64_t words[64];
};

enum { SIZE = 1 << 17, BYTES = 1 << 16, PATTERN = 0x11 };

/* What the other arguments point to. */
static uint64_t junk[8192];
static const struct timespec past = {0, 1};
static const interproc_broadcast_options_t news = {16, 64, 0, 4, {0, 0, 0, 0}};
static const interproc_work_queue_options_t work = {16, 64, 0, 0, INTERPROC_WORK_FIFO, 0, {0, 0, 0}};
static interproc_pipe_t other_end;

/* Where a live handle's segment is open: one for each kind, so that two handles of one call do not meet. */
static interproc_segment_t segments[KINDS];

static inline int process_entry(void *argument) { (void)argument; return 0; }
static inline int pipe_entry(interproc_pipe_t *end, void *argument) { (void)end; (void)argument; return 0; }
static inline int daemon_entry(interproc_ready_t *ready, void *argument) { (void)ready; (void)argument; return 0; }
static inline int once_entry(void *argument, bool is_retry) { (void)argument; (void)is_retry; return 0; }

#define DO(call)                                                                                    \
    do {                                                                                            \
        int rc_ = (call);                                                                           \
        if (rc_) {                                                                                  \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, interproc_last_error_message()); \
            _exit(2);                                                                               \
        }                                                                                           \
    } while (0)

/* Fills a handle, which lies in the segment if it lies in one. Gives its address: a placed object's own. */
static void *make(enum kind kind, interproc_segment_t *segment, union handle *h)
{
    void *placed;
    switch (kind) {
    case SEGMENT: DO(interproc_segment_anonymous(&h->segment, SIZE)); break;
    case QUEUE: DO(interproc_segment_queue(segment, "object", 8, 16, &h->queue)); break;
    case BYTE_QUEUE: DO(interproc_segment_byte_queue(segment, "object", 4096, 64, &h->byte_queue)); break;
    case WORK_QUEUE: DO(interproc_segment_work_queue(segment, "object", &work, &h->work_queue)); break;
    case BROADCAST: DO(interproc_segment_broadcast(segment, "object", &news, &h->broadcast)); break;
    case SUBSCRIBER: DO(interproc_segment_subscriber(segment, "object", &news, INTERPROC_SLOW_WAITS, 0, &h->subscriber)); break;
    case PUBLISHER: DO(interproc_segment_publisher_until(segment, "object", &news, NULL, &h->publisher)); break;
    case LATEST: DO(interproc_segment_latest(segment, "object", 8, NULL, &h->latest)); break;
    case BARRIER: DO(interproc_segment_barrier(segment, "object", 2, &h->barrier)); break;
    case BOUNDED_SEMAPHORE: DO(interproc_segment_bounded_semaphore(segment, "object", 2, &h->permits)); break;
    case SPSC_PRODUCER: DO(interproc_segment_spsc_producer(segment, "object", 8, 16, &h->producer)); break;
    case SPSC_CONSUMER: DO(interproc_segment_spsc_consumer(segment, "object", 8, 16, &h->consumer)); break;
    case BYTE_PRODUCER: DO(interproc_segment_byte_producer(segment, "object", 4096, 64, &h->byte_producer)); break;
    case BYTE_CONSUMER: DO(interproc_segment_byte_consumer(segment, "object", 4096, 64, &h->byte_consumer)); break;
    case PIPE: DO(interproc_pipe_pair(4096, 64, &h->pipe, &other_end)); break;
    case LISTENER: DO(interproc_listener_bind(segment, "object", 2, 4096, 64, &h->listener)); break;
    case PROCESS: DO(interproc_process_fork(&h->process, NULL, process_entry, NULL)); break;
    case PROCESS_REF: DO(interproc_process_ref_open(&h->process_ref, 0)); break;
    case WAITSET: DO(interproc_waitset_create(&h->waitset)); break;
    case READY: /* only a daemon has one */ break;
    case PLACED: DO(interproc_segment_object(segment, "object", 64, 8, &placed)); return placed;
    case UNASKED: case KINDS: break;
    }
    return h;
}

static bool has_a_close(enum kind kind)
{
    switch (kind) {
    case QUEUE: case BYTE_QUEUE: case WORK_QUEUE: case BROADCAST: case LATEST: case BARRIER: case BOUNDED_SEMAPHORE: case READY: case PLACED: case UNASKED: return false;
    default: return true;
    }
}

static void unmake(enum kind kind, union handle *h)
{
    switch (kind) {
    case SEGMENT: DO(interproc_segment_close(&h->segment)); break;
    case SPSC_PRODUCER: DO(interproc_spsc_producer_leave(&h->producer)); break;
    case SPSC_CONSUMER: DO(interproc_spsc_consumer_leave(&h->consumer)); break;
    case SUBSCRIBER: DO(interproc_subscriber_leave(&h->subscriber)); break;
    case PUBLISHER: DO(interproc_publisher_leave(&h->publisher)); break;
    case BYTE_PRODUCER: DO(interproc_byte_producer_leave(&h->byte_producer)); break;
    case BYTE_CONSUMER: DO(interproc_byte_consumer_leave(&h->byte_consumer)); break;
    case PIPE: DO(interproc_pipe_close(&h->pipe)); DO(interproc_pipe_close(&other_end)); break;
    case LISTENER: DO(interproc_listener_close(&h->listener)); break;
    case PROCESS: DO(interproc_process_join(&h->process, NULL)); DO(interproc_process_close(&h->process)); break;
    case PROCESS_REF: DO(interproc_process_ref_close(&h->process_ref)); break;
    case WAITSET: DO(interproc_waitset_destroy(&h->waitset)); break;
    default: break;
    }
}

/* A segment full of a pattern, at an address that was a segment's before. */
struct witness {
    interproc_segment_t segment;
    unsigned char *bytes;
};

static void watch(struct witness *w)
{
    DO(interproc_segment_anonymous(&w->segment, SIZE));
    DO(interproc_segment_object(&w->segment, "witness", BYTES, 64, (void **)&w->bytes));
    memset(w->bytes, PATTERN, BYTES);
}

static bool is_untouched(const struct witness *w)
{
    for (size_t i = 0; i < BYTES; i++)
        if (w->bytes[i] != PATTERN)
            return false;
    return true;
}

/* A placed object that is none of those a call is tried with. */
static void *another_placed;
static interproc_waitset_t another_set;

static void place_another(void)
{
    static interproc_segment_t segment;
    union handle h;
    DO(interproc_segment_anonymous(&segment, SIZE));
    another_placed = make(PLACED, &segment, &h);
    DO(interproc_waitset_create(&another_set));
}

/* A handle in one of the states. Handles of several kinds at once are of different segments. */
static void *handle_in(enum kind kind, enum state state, struct witness *w)
{
    static union handle handles[KINDS][2], spare;
    union handle *h = &handles[kind][0], *copy = &handles[kind][1];
    interproc_segment_t *segment = &segments[kind];
    void *given, *first;

    if (state == ZERO)
        return kind >= PLACED ? NULL : memset(h, 0, sizeof *h);
    if (kind == SEGMENT) {
        DO(interproc_segment_anonymous(&h->segment, SIZE));
        segment = &h->segment;
        given = h;
    } else {
        DO(interproc_segment_anonymous(segment, SIZE));
        given = make(kind, segment, h);
    }
    *copy = *h;
    switch (state) {
    case LIVE: return given;
    case COPIED:
        unmake(kind, h);
        make(kind, segment, &spare);
        return copy;
    default: break;
    }
    if (kind == PIPE || kind == LISTENER || kind == PROCESS || kind == PROCESS_REF || kind == WAITSET)
        unmake(kind, h);
    DO(interproc_segment_object(segment, "first", BYTES / 2, 64, &first));
    DO(interproc_segment_close(segment));
    if (state == REPLACED) {
        watch(w);
        if ((unsigned char *)first < w->bytes - 8192 || (unsigned char *)first >= w->bytes + BYTES) {
            fprintf(stderr, "the new segment lies elsewhere: %p, not %p\n", (void *)w->bytes, first);
            _exit(2);
        }
    }
    return given;
}

static int refused(const struct test_case *c, enum state state)
{
    struct witness w = {INTERPROC_SEGMENT_INIT, NULL};
    alarm(20);
    place_another();
    void *handle = handle_in(c->kind, state, &w);
    const char *said;
    union handle before;
    int rc;

    memset(&before, 0, sizeof before);
    if (handle && c->kind != PLACED)
        memcpy(&before, handle, sizeof before);
    rc = c->call(handle);
    said = interproc_last_error_message();
    if (rc != EINVAL) {
        fprintf(stderr, "%s, %s: %d, not EINVAL\n", c->name, state_names[state], rc);
        return 1;
    }
    if (c->kind != PLACED && state != ZERO && !strstr(said, "closed") && !strstr(said, "told already")) {
        fprintf(stderr, "%s, %s: %s\n", c->name, state_names[state], said);
        return 1;
    }
    if (handle && c->kind != PLACED && memcmp(&before, handle, sizeof before)) {
        fprintf(stderr, "%s, %s: wrote to the handle\n", c->name, state_names[state]);
        return 1;
    }
    if (w.bytes && !is_untouched(&w)) {
        fprintf(stderr, "%s, %s: wrote into another segment\n", c->name, state_names[state]);
        return 1;
    }
    return 0;
}

/* A forked child with its parent's handle: it is refused with EPERM, or what was asked needs no seat. No handle of the parent's
   is changed by it. */
static int is_the_parents(const struct test_case *c)
{
    union handle *handle = handle_in(c->kind, LIVE, NULL);
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        DO(interproc_waitset_create(&another_set));
        int rc = c->call(handle);
        if (rc == EPERM || rc == 0 || rc == EINVAL || rc == EBUSY)
            _exit(0);
        fprintf(stderr, "%s, in a child: %d\n", c->name, rc);
        _exit(1);
    }
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        fprintf(stderr, "%s, in a child: signal %d\n", c->name, WTERMSIG(status));
    if (status)
        return 1;
    unmake(c->kind, handle);
    return 0;
}

static int in_a_process(const struct test_case *c, enum state state, int (*test)(const struct test_case *, enum state))
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(test(c, state));
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        fprintf(stderr, "%s, %s: signal %d\n", c->name, state_names[state], WTERMSIG(status));
    return status != 0;
}

static int parents(const struct test_case *c, enum state state)
{
    (void)state;
    return is_the_parents(c);
}

int main(void)
{
    int calls = 0;
    for (int i = 0; i < case_count; i++) {
        const struct test_case *c = &cases[i];
        for (enum state state = ZERO; state < STATES; state++) {
            if ((c->kind == READY || c->kind == UNASKED) && state != ZERO)
                continue;
            /* An object at an address is whatever lies there. */
            if ((state == COPIED && !has_a_close(c->kind)) || (state == REPLACED && c->kind == PLACED))
                continue;
            failures += in_a_process(c, state, refused);
            calls++;
        }
        if ((c->kind >= SPSC_PRODUCER && c->kind <= PROCESS) || c->kind == WAITSET) {
            failures += in_a_process(c, LIVE, parents);
            calls++;
        }
    }
    printf("%d calls of %d functions, %d failures\n", calls, case_count, failures);
    return failures != 0;
}
