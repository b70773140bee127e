/* Types, sizes and first values in C. */
#define _GNU_SOURCE
#include "check.h"
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    interproc_mutex_t lock;
    interproc_semaphore_t left;
    int64_t sold;
} shop_t;

/* Strangers that come at once: one makes the object with its first value, and nobody sees it without. */
static void an_object_is_initialised_once_whoever_comes(void)
{
    enum { BUYERS = 8, ROUNDS = 50 };
    char name[64];
    snprintf(name, sizeof name, "/interproc-c-first-%ld", (long)getpid());
    for (int round = 0; round < ROUNDS; round++) {
        interproc_segment_t segment;
        OK(interproc_segment_create(&segment, name, 1 << 16, 0600));
        int ready[2], made[2];
        char c = 0;
        CHECK(pipe(ready) == 0 && pipe(made) == 0);
        for (int i = 0; i < BUYERS; i++) {
            if (fork() == 0) {
                interproc_segment_t mine;
                shop_t first, *shop;
                bool created = false;
                memset(&first, 0, sizeof first);
                first.sold = -1000;
                OK(interproc_semaphore_init(&first.left, BUYERS));
                close(ready[1]);
                CHECK(read(ready[0], &c, 1) == 0); /* until all may go */
                OK(interproc_segment_open(&mine, name));
                OK(interproc_segment_object_as(&mine, "shop", 0, sizeof first, 8, &first, (void **)&shop, &created));
                OK(interproc_semaphore_tryacquire(&shop->left));
                CHECK(__atomic_add_fetch(&shop->sold, 1, __ATOMIC_SEQ_CST) < 0);
                if (created)
                    CHECK(write(made[1], &c, 1) == 1);
                _exit(failures);
            }
        }
        close(ready[0]);
        close(ready[1]);
        close(made[1]);
        int status, makers = 0;
        while (wait(&status) > 0)
            CHECK(status == 0);
        while (read(made[0], &c, 1) == 1)
            makers++;
        close(made[0]);
        CHECK(makers == 1);
        shop_t *shop;
        OK(interproc_segment_find(&segment, "shop", sizeof *shop, 8, (void **)&shop));
        CHECK(shop->sold == BUYERS - 1000);
        OK(interproc_segment_unlink(name));
        OK(interproc_segment_close(&segment));
    }
}

static void the_sizes_of_all_structures_are_told(void)
{
    size_t size = 0, alignment = 0;
#define IS(type)                                                                          \
    OK(interproc_size_of(#type, &size, &alignment));                                      \
    CHECK(size == sizeof(type) && alignment == INTERPROC_ALIGNOF(type));
    IS(interproc_mutex_t)
    IS(interproc_rwlock_t)
    IS(interproc_queue_t)
    IS(interproc_spsc_slots_t)
    IS(interproc_process_details_t)
    IS(interproc_segment_options_t)
    IS(interproc_ready_t)
    IS(interproc_job_t)
    IS(interproc_broadcast_options_t)
    IS(interproc_subscriber_t)
    IS(interproc_work_queue_options_t)
    IS(interproc_dead_letter_t)
    IS(interproc_waitset_t)
    IS(interproc_waitset_ready_t)
    size = 77;
    RETURNS(EINVAL, interproc_size_of("interproc_unheard_of_t", &size, &alignment));
    RETURNS(EINVAL, interproc_size_of(NULL, &size, &alignment));
    RETURNS(EINVAL, interproc_size_of("interproc_mutex_t", NULL, &alignment));
    RETURNS(EINVAL, interproc_size_of("interproc_mutex_t", &size, NULL));
    CHECK(size == 77);
}

static void objects_fit_into_the_room_that_was_asked_for(void)
{
    static const interproc_work_queue_options_t work = {100, 300, 0, 0, INTERPROC_WORK_PRIORITY, 3, {0, 0, 0}};
    static const interproc_broadcast_options_t news = {100, 300, 0, 20, {0, 0, 0, 0}};
    interproc_work_queue_t jobs;
    interproc_broadcast_t broadcast;
    size_t total = 0, len;
    OK(interproc_room_object(sizeof(shop_t), 8, &total));
    CHECK(total == 64);
    OK(interproc_room_queue(40, 100, &total));
    OK(interproc_room_byte_queue(1 << 14, 1000, &total));
    OK(interproc_room_work_queue(&work, &total));
    OK(interproc_room_broadcast(&news, &total));
    OK(interproc_room_spsc(8, 256, &total));
    OK(interproc_room_byte_lane(1 << 14, 1000, &total));
    OK(interproc_room_bounded_semaphore(5, &total));
    OK(interproc_room_barrier(9, &total));
    OK(interproc_room_latest(24, 4, &total));
    OK(interproc_room_pipe(1 << 12, 256, &total));
    OK(interproc_room_listener(3, 1 << 12, 256, &total));

    size_t before = total;
    RETURNS(EINVAL, interproc_room_queue(8, 0, &total));
    CHECK(strstr(interproc_last_error_message(), "8-byte elements x 0") != NULL);
    RETURNS(EINVAL, interproc_room_object(8, 3, &total));
    RETURNS(EINVAL, interproc_room_barrier(4, NULL));
    CHECK(total == before);
    len = SIZE_MAX - 10;
    RETURNS(EINVAL, interproc_room_barrier(4, &len));

    interproc_segment_t segment;
    interproc_barrier_t barrier;
    interproc_queue_t queue;
    interproc_byte_queue_t bytes;
    interproc_spsc_producer_t spsc;
    interproc_byte_producer_t lane;
    interproc_bounded_semaphore_t permits;
    interproc_latest_t latest;
    interproc_listener_t listener;
    interproc_pipe_t a, b;
    void *object;
    OK(interproc_segment_anonymous(&segment, total));
    OK(FIELD(interproc_segment_info(&segment, &segment_), segment_.size, &len));
    CHECK(len >= total && len - total < 4096);
    OK(interproc_listener_bind(&segment, "listener", 3, 1 << 12, 256, &listener));
    OK(interproc_segment_pipe_pair(&segment, "pipe", 1 << 12, 256, &a, &b));
    OK(interproc_segment_latest(&segment, "latest", 24, NULL, &latest));
    OK(interproc_segment_barrier(&segment, "barrier", 9, &barrier));
    OK(interproc_segment_bounded_semaphore(&segment, "permits", 5, &permits));
    OK(interproc_segment_byte_producer(&segment, "lane", 1 << 14, 1000, &lane));
    OK(interproc_segment_spsc_producer(&segment, "spsc", 8, 256, &spsc));
    OK(interproc_segment_byte_queue(&segment, "bytes", 1 << 14, 1000, &bytes));
    OK(interproc_segment_work_queue(&segment, "jobs", &work, &jobs));
    OK(interproc_segment_broadcast(&segment, "news", &news, &broadcast));
    OK(interproc_segment_queue(&segment, "queue", 40, 100, &queue));
    OK(interproc_segment_object(&segment, "object", sizeof(shop_t), 8, &object));
    OK(interproc_listener_close(&listener));
    OK(interproc_pipe_close(&a));
    OK(interproc_pipe_close(&b));
    OK(interproc_segment_close(&segment));
}

static void header_and_library_say_their_version(void)
{
    CHECK(strcmp(interproc_version(), INTERPROC_VERSION) == 0);
    CHECK(interproc_version_number() == INTERPROC_VERSION_NUMBER);
    int major = 0, minor = 0, patch = 0;
    CHECK(sscanf(INTERPROC_VERSION, "%d.%d.%d", &major, &minor, &patch) == 3);
    CHECK(1000000 * major + 1000 * minor + patch == INTERPROC_VERSION_NUMBER);
}

int main(void)
{
    an_object_is_initialised_once_whoever_comes();
    the_sizes_of_all_structures_are_told();
    objects_fit_into_the_room_that_was_asked_for();
    header_and_library_say_their_version();
    return failures != 0;
}
