/* Jobs that are never lost: a work queue.
 *
 * A kitchen takes orders by priority. Three cooks work on them; one is killed with an order in its hands, and another one gets it,
 * counted as delivered twice. One dish cannot be cooked: after three tries it is a dead letter, which the chef reads, and sends to the
 * kitchen once more with another recipe. In the end every order was cooked once.
 *
 *     cc work_queue.c $(pkg-config --cflags --libs interproc) -o work_queue && ./work_queue
 */
#define _POSIX_C_SOURCE 200809L
#include <interproc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COOKS = 3, ORDERS = 200, BURNT = 77 };

typedef struct {
    uint32_t number, table;
} order_t;

/* In the segment. An order may be delivered again to another cook: cooked[] makes a second time harmless. */
typedef struct {
    uint8_t cooked[ORDERS];
    uint32_t again, new_recipe, victim_has_one;
} kitchen_t;

static interproc_segment_t segment;
static interproc_work_queue_t orders; /* a handle: a forked child may use its parent's */
static kitchen_t *kitchen;

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

static int cook(void *argument)
{
    int is_the_victim = *(int *)argument == 0, rc;
    order_t order;
    interproc_job_t job;
    while ((rc = interproc_work_queue_take(&orders, &order, sizeof order, &job)) == 0) {
        if (is_the_victim) {
            __atomic_store_n(&kitchen->victim_has_one, 1, __ATOMIC_SEQ_CST);
            for (;;)
                pause(); /* until it is killed */
        }
        if (order.number == BURNT && !__atomic_load_n(&kitchen->new_recipe, __ATOMIC_SEQ_CST)) {
            must(interproc_work_queue_fail(&orders, &job, "the oven is too hot"), "fail");
            continue;
        }
        if (job.deliveries > 1)
            __atomic_fetch_add(&kitchen->again, 1, __ATOMIC_SEQ_CST);
        __atomic_store_n(&kitchen->cooked[order.number], 1, __ATOMIC_SEQ_CST); /* twice does no harm */
        must(interproc_work_queue_done(&orders, &job), "done");
    }
    return rc == EPIPE ? 0 : 1; /* closed, and all is done */
}

int main(void)
{
    interproc_work_queue_options_t options = {0};
    interproc_process_t cooks[COOKS];
    interproc_work_queue_info_t info;
    interproc_dead_letter_t letter;
    interproc_exit_t end;
    order_t order;
    size_t found;
    int numbers[COOKS], i;

    options.capacity = 16;
    options.longest = sizeof(order_t);
    options.order = INTERPROC_WORK_PRIORITY; /* the lowest number first: the tables at the window */
    options.max_deliveries = 3;
    must(interproc_segment_anonymous(&segment, 1 << 16), "segment");
    must(interproc_segment_work_queue(&segment, "orders", &options, &orders), "work queue");
    must(interproc_segment_object(&segment, "kitchen", sizeof *kitchen, 8, (void **)&kitchen), "kitchen");
    for (i = 0; i < COOKS; i++) {
        numbers[i] = i;
        must(interproc_process_fork(&cooks[i], "cook", cook, &numbers[i]), "fork");
        if (i == 0) {
            order.number = order.table = 0;
            must(interproc_work_queue_put(&orders, &order, sizeof order), "put");
            while (!__atomic_load_n(&kitchen->victim_has_one, __ATOMIC_SEQ_CST))
                sched_yield();
        }
    }
    for (i = 1; i < ORDERS; i++) {
        order.number = (uint32_t)i;
        order.table = (uint32_t)(i % 9);
        must(interproc_work_queue_put_until(&orders, &order, sizeof order, order.table, NULL, NULL, NULL), "put");
    }
    must(interproc_process_kill(&cooks[0]), "kill");
    must(interproc_process_join(&cooks[0], &end), "join");

    must(interproc_work_queue_join_until(&orders, NULL), "until all is done"); /* or a dead letter */
    must(interproc_work_queue_dead_letters(&orders, &letter, 1, &found), "dead letters");
    check(found == 1 && letter.deliveries == 3, "one order could not be cooked");
    must(interproc_work_queue_read_dead_letter(&orders, &letter, &order, sizeof order), "read it");
    check(order.number == BURNT, "which one");
    printf("order %d failed %d times: %s\n", (int)order.number, (int)letter.deliveries, letter.reason);
    __atomic_store_n(&kitchen->new_recipe, 1, __ATOMIC_SEQ_CST);
    must(interproc_work_queue_retry(&orders, &letter), "retry");
    must(interproc_work_queue_join_until(&orders, NULL), "until all is done");

    must(interproc_work_queue_close(&orders), "close");
    for (i = 1; i < COOKS; i++) {
        must(interproc_process_join(&cooks[i], &end), "join");
        check(end.signal == 0 && end.code == 0, "a cook's end");
    }
    for (i = 0; i < ORDERS; i++)
        check(kitchen->cooked[i], "an order was not cooked");
    must(interproc_work_queue_info(&orders, &info), "info");
    check(info.unfinished == 0 && info.dead == 0 && info.is_closed, "nothing is left");
    check(kitchen->again >= 1, "the victim's order was told to come again");
    printf("%d orders cooked, %d delivered again\n", (int)ORDERS, (int)kitchen->again);
    must(interproc_segment_close(&segment), "close the segment");
    return 0;
}
