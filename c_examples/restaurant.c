/* A restaurant: guests, a waiter and a cook are processes, and the house is a structure in shared memory.
 *
 * - A bounded semaphore has as many permits as there are tables. One guest is killed at table: the table goes to the
 *   next guest at once, who is told (EOWNERDEAD) and clears it.
 * - A condition variable wakes the cook when an order comes, and the guests when a dish is ready.
 * - A reader-writer lock guards the menu, which guests read together and the waiter changes alone.
 *
 *     cc restaurant.c $(pkg-config --cflags --libs interproc) -o restaurant && ./restaurant
 */
#include <interproc.h>
#include <stdio.h>

enum { TABLES = 2, GUESTS = 6, VISITS = 50, CHANGES = 200 };

typedef struct {
    interproc_rwlock_t menu_lock; /* zero bytes are an unlocked one; so with all locks here */
    unsigned soup, salad;         /* the salad always costs one more, except in the middle of a change */
    interproc_mutex_t lock;       /* of all that follows */
    interproc_cond_t ordered, ready;
    unsigned orders, dishes; /* not cooked yet; not served yet */
    unsigned served, cleared;
    bool closed;
    interproc_semaphore_t seated; /* posted by the guest that will be killed */
    interproc_event_t never;
} house_t;

typedef struct {
    house_t *house;
    interproc_bounded_semaphore_t tables;
    int number;
} guest_t;

/* Nobody is killed in here while it holds this lock; if somebody were, there would be nothing to repair. */
static int lock(house_t *house)
{
    int rc = interproc_mutex_lock(&house->lock);
    return rc == EOWNERDEAD ? interproc_mutex_consistent(&house->lock) : rc;
}

static int cook(void *argument)
{
    house_t *house = ((guest_t *)argument)->house;
    int rc = lock(house);
    while (rc == 0) {
        if (house->orders > 0) {
            house->orders--;
            house->dishes++;
            rc = interproc_cond_signal(&house->ready);
        } else if (house->closed) {
            return interproc_mutex_unlock(&house->lock);
        } else {
            rc = interproc_cond_wait(&house->ordered, &house->lock);
        }
    }
    return 1;
}

static int change_the_menu(void *argument)
{
    house_t *house = ((guest_t *)argument)->house;
    for (int i = 0; i < CHANGES; i++) {
        if (interproc_rwlock_wrlock(&house->menu_lock) != 0)
            return 1;
        house->soup++;
        house->salad++;
        if (interproc_rwlock_unlock(&house->menu_lock) != 0)
            return 1;
    }
    return 0;
}

/* Reads the menu, orders, waits for the dish. */
static int eat(house_t *house)
{
    if (interproc_rwlock_rdlock(&house->menu_lock) != 0)
        return 1;
    bool sound = house->salad == house->soup + 1;
    if (interproc_rwlock_unlock(&house->menu_lock) != 0 || !sound)
        return 1;

    int rc = lock(house);
    house->orders++;
    if (rc == 0)
        rc = interproc_cond_signal(&house->ordered);
    while (rc == 0 && house->dishes == 0)
        rc = interproc_cond_wait(&house->ready, &house->lock);
    if (rc != 0)
        return 1;
    house->dishes--;
    house->served++;
    return interproc_mutex_unlock(&house->lock);
}

static int visit(void *argument)
{
    guest_t *me = argument;
    house_t *house = me->house;
    for (int i = 0; i < VISITS; i++) {
        interproc_permit_t table;
        int rc = interproc_bounded_semaphore_acquire(&me->tables, &table);
        if (rc == EOWNERDEAD) { /* the table is ours, and whoever sat here was killed */
            if (lock(house) != 0)
                return 1;
            house->cleared++;
            rc = interproc_mutex_unlock(&house->lock);
        }
        if (rc != 0)
            return 1;
        if (me->number == 0) { /* main kills us here, at table */
            interproc_semaphore_post(&house->seated);
            interproc_event_wait(&house->never);
        }
        if (eat(house) != 0 || interproc_bounded_semaphore_release(&me->tables, &table) != 0)
            return 1;
    }
    return 0;
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, interproc_last_error_message());
    return 1;
}

/* Waits for an end; whether it was a good one. */
static bool ended_well(interproc_process_t *process)
{
    interproc_exit_t end;
    bool good = interproc_process_join(process, &end) == 0 && end.code == 0;
    interproc_process_close(process);
    return good;
}

int main(void)
{
    interproc_segment_t segment;
    interproc_process_t guests[GUESTS], kitchen, waiter;
    house_t *house;
    guest_t guest = {0};

    if (interproc_segment_anonymous(&segment, 1 << 16) != 0)
        return failed("segment");
    if (interproc_segment_object(&segment, "house", sizeof *house, 8, (void **)&house) != 0)
        return failed("object");
    if (interproc_segment_bounded_semaphore(&segment, "tables", TABLES, &guest.tables) != 0)
        return failed("tables");
    guest.house = house;
    house->soup = 4;
    house->salad = 5;

    if (interproc_process_fork(&kitchen, "cook", cook, &guest) != 0 ||
        interproc_process_fork(&waiter, "waiter", change_the_menu, &guest) != 0)
        return failed("fork");
    for (guest.number = 0; guest.number < GUESTS; guest.number++) { /* each child has its own copy of guest */
        if (interproc_process_fork(&guests[guest.number], "guest", visit, &guest) != 0)
            return failed("fork");
        if (guest.number == 0 && interproc_semaphore_acquire(&house->seated) != 0)
            return failed("acquire"); /* one of the tables is the victim's */
    }
    interproc_process_kill(&guests[0]);

    int wrong = ended_well(&guests[0]);
    for (int i = 1; i < GUESTS; i++)
        wrong += !ended_well(&guests[i]);
    if (lock(house) != 0)
        return failed("lock");
    house->closed = true;
    interproc_cond_broadcast(&house->ordered);
    interproc_mutex_unlock(&house->lock);
    wrong += !ended_well(&kitchen) + !ended_well(&waiter);

    interproc_bounded_semaphore_info_t tables;
    if (interproc_bounded_semaphore_info(&guest.tables, &tables) != 0)
        return failed("info");
    wrong += house->served != (GUESTS - 1) * VISITS || tables.available != TABLES || house->cleared != 1;
    wrong += house->soup != 4 + CHANGES || house->orders + house->dishes != 0;
    printf("served: %u, tables free: %u; one guest killed at table, cleared: %u times: %s\n", house->served,
           (unsigned)tables.available, house->cleared, wrong ? "WRONG" : "right");
    interproc_segment_close(&segment);
    return wrong != 0;
}
