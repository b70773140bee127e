/* Messages of any length: a byte queue, from many to many, and a byte lane, from one to one.
 *
 * Two clerks write reports into a byte queue: they reserve room, fill it where it lies, and commit what they needed.
 * Two printers read them there. One is killed with a report in its hands; the other one gets it, flagged. Then a clerk
 * sends letters through a byte lane, where each side has a seat, and the reader sees the end.
 *
 *     cc bytes.c $(pkg-config --cflags --libs interproc) -o bytes && ./bytes
 */
#define _POSIX_C_SOURCE 200809L
#include <interproc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum { CLERKS = 2, REPORTS = 500, LETTERS = 300, CAPACITY = 1 << 14, LONGEST = 1000 };

typedef struct {
    uint32_t clerk, number; /* and then the text */
} head_t;

/* In the segment. A report that comes again must not be printed twice: so it is remembered which were. */
typedef struct {
    uint8_t printed[CLERKS][REPORTS];
    uint32_t redelivered, letters;
} office_t;

typedef struct {
    int number;
} worker_t;

static interproc_segment_t segment;
static interproc_byte_queue_t reports; /* a handle: a forked child may use its parent's */
static office_t *office;

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

/* Report `number` has so many letters, all the same. */
static size_t length_of(uint32_t number)
{
    return number * 7 % (LONGEST - sizeof(head_t));
}

static int write_reports(void *argument)
{
    uint32_t me = (uint32_t)((worker_t *)argument)->number, i;
    for (i = 0; i < REPORTS; i++) {
        void *room;
        head_t head = {me, i};
        must(interproc_byte_queue_reserve_until(&reports, LONGEST, NULL, &room), "reserve"); /* as much as it may become */
        memcpy(room, &head, sizeof head);
        memset((char *)room + sizeof head, 'a' + (int)(i % 26), length_of(i));
        must(interproc_byte_queue_commit(&reports, room, sizeof head + length_of(i)), "commit"); /* as much as it is */
    }
    return 0;
}

static int print_reports(void *argument)
{
    int is_the_victim = ((worker_t *)argument)->number == 0, rc;
    const void *message;
    size_t length, i;
    bool redelivered;
    while ((rc = interproc_byte_queue_borrow_until(&reports, NULL, &message, &length, &redelivered)) == 0) {
        head_t head;
        const char *text = (const char *)message + sizeof head;
        if (is_the_victim)
            raise(SIGKILL); /* before anything of it is printed */
        memcpy(&head, message, sizeof head);
        check(head.clerk < CLERKS && head.number < REPORTS, "a report");
        check(length == sizeof head + length_of(head.number), "its length");
        for (i = 0; i < length - sizeof head; i++)
            check(text[i] == 'a' + (int)(head.number % 26), "its text");
        office->redelivered += redelivered;
        office->printed[head.clerk][head.number]++;
        must(interproc_byte_queue_release(&reports, message), "release"); /* the room is free again */
    }
    return rc == EPIPE ? 0 : 1; /* closed and drained */
}

/* What is too large says so: EMSGSIZE. */
static void sizes(void)
{
    char buffer[LONGEST + 1] = "", small[4];
    struct iovec parts[2] = {{(void *)"hello, ", 7}, {(void *)"world", 5}};
    const void *message;
    void *room;
    size_t length, count;
    bool redelivered;
    interproc_channel_info_t info;

    must(interproc_byte_queue_info(&reports, &info), "info");
    check(info.capacity >= CAPACITY && info.longest == LONGEST, "as was asked for");
    check(interproc_byte_queue_push(&reports, buffer, LONGEST + 1) == EMSGSIZE, "longer than the longest");
    must(interproc_byte_queue_push_vectored_until(&reports, parts, 2, NULL), "push parts");
    check(interproc_byte_queue_pop(&reports, small, sizeof small, &length, NULL) == EMSGSIZE, "a small buffer");
    check(length == 12, "how long it is");
    must(interproc_byte_queue_pop(&reports, buffer, sizeof buffer, &length, NULL), "pop"); /* it was still there */
    check(length == 12 && memcmp(buffer, "hello, world", 12) == 0, "in one piece");

    must(interproc_byte_queue_reserve_until(&reports, 8, NULL, &room), "reserve");
    check(interproc_byte_queue_commit(&reports, room, 9) == EMSGSIZE, "more than was reserved");
    must(interproc_byte_queue_abort(&reports, room), "abort"); /* it was still reserved */
    check(interproc_byte_queue_trypop(&reports, buffer, sizeof buffer, &length, NULL) == EAGAIN, "nothing came of it");

    must(interproc_byte_queue_trypush(&reports, "later", 5), "push");
    must(interproc_byte_queue_borrow_until(&reports, NULL, &message, &length, NULL), "borrow");
    must(interproc_byte_queue_put_back(&reports, message), "put_back");
    must(interproc_byte_queue_len(&reports, &count), "len");
    must(interproc_byte_queue_info(&reports, &info), "info");
    check(count == 1 && info.used >= 5, "one message");
    must(interproc_byte_queue_borrow_until(&reports, NULL, &message, &length, &redelivered), "borrow");
    check(redelivered && length == 5, "again, and flagged");
    must(interproc_byte_queue_release(&reports, message), "release");
    must(interproc_byte_queue_info(&reports, &info), "info");
    check(info.is_empty, "empty");
}

static int write_letters(void *unused)
{
    interproc_byte_producer_t letters;
    char text[LONGEST + 1];
    uint32_t i;
    void *place;
    (void)unused;
    /* In the process that sends: a seat belongs to the thread that takes it. */
    must(interproc_segment_byte_producer(&segment, "letters", CAPACITY, LONGEST, &letters), "seat");
    memset(text, 'x', sizeof text);
    check(interproc_byte_producer_push(&letters, text, LONGEST + 1) == EMSGSIZE, "longer than the longest");
    /* Published when so many bytes have gathered, or there is no room: faster, and as much is lost by a death. */
    must(interproc_byte_producer_publish_every(&letters, 4 * LONGEST), "publish_every");
    for (i = 0; i < LETTERS; i++) {
        struct iovec parts[2] = {{&i, sizeof i}, {text, i}};
        if (i % 2 == 0) {
            must(interproc_byte_producer_push_vectored_until(&letters, parts, 2, NULL), "send parts");
            continue;
        }
        must(interproc_byte_producer_reserve_until(&letters, LONGEST, NULL, &place), "reserve");
        memcpy(place, &i, sizeof i);
        memset((char *)place + sizeof i, 'x', i);
        must(interproc_byte_producer_commit(&letters, sizeof i + i), "commit");
    }
    must(interproc_byte_producer_push(&letters, "yours", 5), "send");
    must(interproc_byte_producer_flush(&letters), "flush"); /* those that had gathered */
    must(interproc_byte_producer_reserve_until(&letters, 100, NULL, &place), "reserve");
    must(interproc_byte_producer_abort(&letters), "abort"); /* thought better of it */
    must(interproc_byte_producer_close(&letters), "close");
    return interproc_byte_producer_leave(&letters);
}

static void read_letters(void)
{
    interproc_byte_consumer_t letters, second;
    const void *letter;
    char buffer[LONGEST], small[4];
    size_t length;
    uint32_t i, number;
    interproc_channel_info_t info;
    must(interproc_segment_byte_consumer(&segment, "letters", CAPACITY, LONGEST, &letters), "seat");
    check(interproc_segment_byte_consumer(&segment, "letters", CAPACITY, LONGEST, &second) == EBUSY, "taken");
    must(interproc_byte_consumer_info(&letters, &info), "info");
    check(info.longest == sizeof buffer, "room for any letter");
    must(interproc_byte_consumer_free_every(&letters, 2 * LONGEST), "free_every");
    for (i = 0; i < LETTERS; i++) {
        must(interproc_byte_consumer_borrow_until(&letters, NULL, &letter, &length, NULL), "borrow");
        memcpy(&number, letter, sizeof number);
        check(number == i && length == sizeof i + i, "the next letter");
        must(interproc_byte_consumer_release(&letters), "release"); /* without this it would be the next one again */
        office->letters++;
    }
    check(interproc_byte_consumer_pop(&letters, small, sizeof small, &length, NULL) == EMSGSIZE, "too small");
    check(length == 5, "how long it is");
    must(interproc_byte_consumer_pop(&letters, buffer, sizeof buffer, &length, NULL), "copy out");
    check(length == 5 && memcmp(buffer, "yours", 5) == 0, "the last one");
    check(interproc_byte_consumer_borrow_until(&letters, NULL, &letter, &length, NULL) == EPIPE, "closed and drained");
    must(interproc_byte_consumer_info(&letters, &info), "info");
    check(info.is_closed, "closed");
    must(interproc_byte_consumer_leave(&letters), "leave");
}

static interproc_process_t start(const char *name, interproc_process_entry_t entry, int number)
{
    interproc_process_t child;
    worker_t worker = {number};
    must(interproc_process_fork(&child, name, entry, &worker), "fork"); /* the child has a copy */
    return child;
}

static interproc_exit_t ended(interproc_process_t child)
{
    interproc_exit_t end;
    must(interproc_process_join(&child, &end), "join");
    must(interproc_process_close(&child), "close");
    return end;
}

int main(void)
{
    interproc_process_t clerks[CLERKS], victim, printer;
    int i, k, right;

    must(interproc_segment_anonymous(&segment, 1 << 17), "segment");
    must(interproc_segment_byte_queue(&segment, "reports", CAPACITY, LONGEST, &reports), "byte queue");
    must(interproc_segment_object(&segment, "office", sizeof *office, 8, (void **)&office), "object");
    sizes();

    victim = start("printer", print_reports, 0);
    for (i = 0; i < CLERKS; i++)
        clerks[i] = start("clerk", write_reports, i);
    check(ended(victim).signal == SIGKILL, "killed with a report in its hands");
    printer = start("printer", print_reports, 1);
    for (i = 0; i < CLERKS; i++)
        check(ended(clerks[i]).code == 0, "a clerk ended well");
    must(interproc_byte_queue_close(&reports), "close");
    check(ended(printer).code == 0, "the printer ended well");
    right = office->redelivered == 1;
    for (i = 0; i < CLERKS; i++)
        for (k = 0; k < REPORTS; k++)
            right &= office->printed[i][k] == 1;
    printf("reports: %d written, each printed once, %u of them after a printer's death: %s\n", CLERKS * REPORTS,
           office->redelivered, right ? "right" : "WRONG");

    clerks[0] = start("clerk", write_letters, 0);
    read_letters();
    check(ended(clerks[0]).code == 0, "the clerk ended well");
    printf("letters: %d sent, %u read\n", LETTERS, office->letters);
    right &= office->letters == LETTERS;
    must(interproc_segment_close(&segment), "close"); /* office is gone with it */
    return !right;
}
