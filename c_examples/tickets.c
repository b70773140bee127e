/* A ticket shop: buyers are processes, and the shop is a structure in shared memory with a robust lock in it.
 *
 * One buyer is killed while it holds the lock, with the books half changed. The next one is told so (EOWNERDEAD),
 * repairs the books and goes on: at the end every ticket was sold once.
 *
 *     cc tickets.c $(pkg-config --cflags --libs interproc) -o tickets && ./tickets
 */
#include <interproc.h>
#include <stdio.h>

enum { TICKETS = 1000, BUYERS = 4 };

typedef struct {
    interproc_mutex_t lock; /* zero bytes are an unlocked one */
    unsigned left, sold;    /* always TICKETS together, except in the middle of a sale */
    unsigned repairs;
    unsigned bought[BUYERS];
} shop_t;

typedef struct {
    shop_t *shop;
    interproc_queue_t in_the_middle, never; /* for the victim to tell main when to strike, and to wait for it */
    int number;
} buyer_t;

/* A sale that nobody finished did not happen. */
static void repair(shop_t *shop)
{
    shop->sold = 0;
    for (int i = 0; i < BUYERS; i++)
        shop->sold += shop->bought[i];
    shop->left = TICKETS - shop->sold;
    shop->repairs++;
}

static int lock(shop_t *shop)
{
    int rc = interproc_mutex_lock(&shop->lock);
    if (rc == EOWNERDEAD) { /* we hold it, and its last owner died holding it */
        repair(shop);
        rc = interproc_mutex_consistent(&shop->lock);
    }
    return rc;
}

static int buy_all(void *argument)
{
    buyer_t *me = argument;
    shop_t *shop = me->shop;
    for (;;) {
        if (lock(shop) != 0)
            return 1;
        if (shop->left == 0)
            return interproc_mutex_unlock(&shop->lock);
        shop->left--;
        if (me->number == 0 && shop->sold == TICKETS / 4) {
            interproc_queue_push(&me->in_the_middle, &me->number);
            interproc_queue_pop(&me->never, &me->number, NULL); /* main kills us here, in the middle of a sale */
        }
        shop->sold++;
        shop->bought[me->number]++;
        if (interproc_mutex_unlock(&shop->lock) != 0)
            return 1;
    }
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, interproc_last_error_message());
    return 1;
}

int main(void)
{
    interproc_segment_t segment;
    interproc_process_t buyers[BUYERS];
    shop_t *shop;

    /* Forked children inherit it, so it needs no name. Others could open one by name. */
    if (interproc_segment_anonymous(&segment, 1 << 16) != 0)
        return failed("segment");
    if (interproc_segment_object(&segment, "shop", sizeof *shop, 8, (void **)&shop) != 0)
        return failed("object");
    shop->left = TICKETS;

    buyer_t buyer = {.shop = shop};
    if (interproc_segment_queue(&segment, "in the middle", sizeof(int), 1, &buyer.in_the_middle) != 0 ||
        interproc_segment_queue(&segment, "never", sizeof(int), 1, &buyer.never) != 0)
        return failed("queue");
    for (buyer.number = 0; buyer.number < BUYERS; buyer.number++) { /* each child has its own copy of buyer */
        if (interproc_process_fork(&buyers[buyer.number], "buyer", buy_all, &buyer) != 0)
            return failed("fork");
        if (buyer.number == 0 && interproc_queue_pop(&buyer.in_the_middle, &buyer.number, NULL) != 0)
            return failed("pop"); /* the victim holds the lock; the others will wait for it */
    }
    interproc_process_kill(&buyers[0]);

    int wrong = 0;
    for (int i = 0; i < BUYERS; i++) {
        interproc_exit_t end;
        if (interproc_process_join(&buyers[i], &end) != 0)
            return failed("join");
        if (i == 0)
            wrong += end.signal == 0;
        else
            wrong += end.code != 0;
        interproc_process_close(&buyers[i]);
    }

    unsigned bought = 0;
    for (int i = 0; i < BUYERS; i++)
        bought += shop->bought[i];
    wrong += bought != TICKETS || shop->sold != TICKETS || shop->left != 0 || shop->repairs != 1;
    printf("tickets: %d, sold: %u, left: %u; one buyer killed while holding the lock, repaired: %u times: %s\n",
           TICKETS, bought, shop->left, shop->repairs, wrong ? "WRONG" : "right");
    interproc_segment_close(&segment);
    return wrong != 0;
}
