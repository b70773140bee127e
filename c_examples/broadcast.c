/* News for many: a broadcast.
 *
 * An exchange publishes 1000 prices. The books must have every one of them: the exchange waits for them. A display shows what it can
 * keep up with, and is told how many prices it has missed. One of the readers is killed in the middle, and nobody waits for it any
 * longer. In the end a late reader still gets the last three prices.
 *
 *     cc broadcast.c $(pkg-config --cflags --libs interproc) -o broadcast && ./broadcast
 */
#define _POSIX_C_SOURCE 200809L
#include <interproc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PRICES = 1000 };

typedef struct {
    uint32_t number, price;
} price_t;

static const interproc_broadcast_options_t options = {64, sizeof(price_t), 0, 8, {0, 0, 0, 0}};
static interproc_segment_t segment;

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

/* Gets every price. The argument says whether it stops in the middle, to be killed. */
static int books(void *argument)
{
    int is_the_victim = *(int *)argument, rc;
    interproc_subscriber_t mine;
    uint32_t next = 0;
    price_t price;
    size_t len;
    must(interproc_segment_subscriber(&segment, "prices", &options, INTERPROC_SLOW_WAITS, 0, &mine), "subscribe");
    while ((rc = interproc_subscriber_recv(&mine, &price, sizeof price, &len, NULL)) == 0) {
        check(price.number == next++, "every price, in order");
        while (is_the_victim && next == 100)
            pause();
    }
    check(rc == EPIPE && next == PRICES, "all of them"); /* closed */
    printf("the books: %d prices, none missed\n", (int)next);
    fflush(stdout);
    return 0;
}

static int display(void *argument)
{
    interproc_subscriber_t mine;
    uint64_t missed, missed_in_all = 0;
    uint32_t shown = 0;
    price_t price;
    size_t len;
    (void)argument;
    must(interproc_segment_subscriber(&segment, "prices", &options, INTERPROC_SLOW_LAGS, 0, &mine), "subscribe");
    while (interproc_subscriber_recv(&mine, &price, sizeof price, &len, &missed) == 0) {
        shown++;
        missed_in_all += missed;
    }
    check(shown + missed_in_all == PRICES, "each is shown, or told as missed");
    printf("the display: %d prices shown, %d missed\n", (int)shown, (int)missed_in_all);
    fflush(stdout);
    return 0;
}

int main(void)
{
    interproc_process_t readers[3];
    interproc_broadcast_t prices;
    interproc_broadcast_info_t info;
    interproc_publisher_t exchange;
    interproc_subscriber_t late;
    interproc_exit_t end;
    int yes = 1, no = 0, i;
    price_t price;
    size_t len;

    must(interproc_segment_anonymous(&segment, 1 << 16), "segment");
    must(interproc_segment_broadcast(&segment, "prices", &options, &prices), "broadcast");
    must(interproc_process_fork(&readers[0], "books", books, &no), "fork");
    must(interproc_process_fork(&readers[1], "victim", books, &yes), "fork");
    must(interproc_process_fork(&readers[2], "display", display, NULL), "fork");
    do {
        sched_yield();
        must(interproc_broadcast_info(&prices, &info), "info");
    } while (info.waiting < 2 || info.lagging < 1);

    must(interproc_segment_publisher_until(&segment, "prices", &options, NULL, &exchange), "publisher");
    for (i = 0; i < PRICES; i++) {
        if (i == 130) {
            must(interproc_process_kill(&readers[1]), "kill"); /* it is waited for since price 100 */
            printf("one of the readers was killed\n");
            fflush(stdout);
        }
        price.number = (uint32_t)i;
        price.price = (uint32_t)(i * 7 % 100);
        must(interproc_publisher_publish(&exchange, &price, sizeof price), "publish");
    }
    must(interproc_publisher_close(&exchange), "close");
    must(interproc_publisher_leave(&exchange), "leave");
    for (i = 0; i < 3; i++) {
        must(interproc_process_join(&readers[i], &end), "join");
        check(i == 1 ? end.signal == SIGKILL : end.signal == 0 && end.code == 0, "a reader's end");
    }
    must(interproc_segment_subscriber(&segment, "prices", &options, INTERPROC_SLOW_LAGS, 3, &late), "subscribe");
    for (i = 3; i > 0; i--) {
        must(interproc_subscriber_recv(&late, &price, sizeof price, &len, NULL), "receive");
        check(price.number == (uint32_t)(PRICES - i), "the last three");
    }
    must(interproc_subscriber_leave(&late), "leave");
    must(interproc_segment_close(&segment), "close the segment");
    return 0;
}
