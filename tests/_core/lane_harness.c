/* Drives a lane without Python: `race N` with a producer and a consumer thread, `die` with a death at every step.
 *
 * Prints what it counted and returns 0, or says what was wrong and returns 1.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static long steps_left = -1;
static void step(void) { if (steps_left > 0 && --steps_left == 0) _exit(99); }
#define AXDS_STEP(name) step()
#include "lane.h"

#define CAPACITY 4096u
#define LONGEST (CAPACITY / 2 - 32)
#define CHECK(truth) do { if (!(truth)) { printf("line %d: %s\n", __LINE__, #truth); exit(1); } } while (0)

static axds_crc_tables tables;
static axds_hub *hub;
static axds_lane *lane;
static uint64_t *acknowledged;

static void *shared(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) exit(2);
    return memory;
}

static void begin(void) {
    memset(hub, 0, sizeof *hub);
    hub->slots = 4;
    hub->salt = 7;
    axds_lane_init(lane, CAPACITY);
    axds_register(hub, 1);
    *acknowledged = 0;
}

/* Message i: a length and bytes that follow from i. */
static uint32_t message(uint64_t i, unsigned char *payload) {
    uint32_t length = (uint32_t)((i * 2654435761u >> 7) % (i % 7 ? 150 : LONGEST));
    for (uint32_t at = 0; at < length; at++) payload[at] = (unsigned char)(i + at);
    return length;
}

typedef struct {
    axds_reader reader;
    uint64_t messages, seq;
} consumer;

/* Checks and releases one span; returns its bytes. */
static uint64_t consume(consumer *self, uint64_t max_bytes) {
    axds_record header;
    unsigned char want[LONGEST];
    axds_reader_span(&self->reader, max_bytes);
    uint64_t size = self->reader.span_bytes, at = 0;
    const unsigned char *span = self->reader.ring + (self->reader.head & (CAPACITY - 1));
    while (at < size) {
        CHECK(axds_record_valid(span + at, size - at, 7, &header));
        CHECK(header.seq == self->seq++);
        CHECK(header.flags == AXDS_MESSAGE);
        CHECK(header.time == self->messages);
        CHECK(header.length == message(self->messages, want));
        CHECK(!memcmp(span + at + sizeof header, want, header.length));
        at += axds_record_span(header.length);
        self->messages++;
    }
    CHECK(axds_release(&self->reader, size));
    return size;
}

static uint64_t total;

static void *produce(void *unused) {
    axds_writer writer;
    unsigned char payload[LONGEST];
    axds_writer_init(&writer, hub, lane, CAPACITY, 1, 7);
    for (uint64_t i = 0; i < total; i++) {
        uint32_t length = message(i, payload);
        while (!axds_put(&writer, (uint8_t)i, i, payload, length))
            axds_wait_for_space(lane, CAPACITY, writer.tail, axds_message_needs(&writer, length), 50000000);
        axds_store(*acknowledged, i + 1);
    }
    return unused;
}

static int race(uint64_t count) {
    static consumer self;
    axds_reader *readers[1] = {&self.reader};
    pthread_t producer;
    begin();
    total = count;
    axds_reader_init(&self.reader, lane, CAPACITY, 1, 7, &hub->state);
    pthread_create(&producer, NULL, produce, NULL);
    while (self.messages < total)
        if (!consume(&self, 1000)) axds_wait_for_records(hub, readers, 1, axds_load(hub->lanes_changed), 0, 50000000);
    pthread_join(producer, NULL);
    CHECK(axds_lane_empty(lane, CAPACITY));
    printf("%llu messages\n", (unsigned long long)self.messages);
    return 0;
}

/* A producer that dies at its step k leaves what it acknowledged, perhaps one message more, and nothing torn. */
static int die_producing(void) {
    long died = 0, k = 1;
    for (int code = 99; code == 99; k++) {
        static consumer self;
        int status;
        begin();
        memset(&self, 0, sizeof self);
        pid_t child = fork();
        if (!child) {
            axds_writer writer;
            consumer drain = {0};
            unsigned char payload[LONGEST];
            axds_writer_init(&writer, hub, lane, CAPACITY, 1, 7);
            axds_reader_init(&drain.reader, lane, CAPACITY, 1, 7, &hub->state);
            for (uint64_t i = 0; i < 200; i++) {
                uint32_t length = message(i, payload);
                steps_left = 0;
                if (!axds_writer_fits(&writer, axds_message_needs(&writer, length)))
                    while (consume(&drain, 500)) {}
                hub->event_waiting = 1;
                steps_left = k;
                if (!axds_put(&writer, (uint8_t)i, i, payload, length)) _exit(1);
                k = steps_left;
                axds_store(*acknowledged, i + 1);
            }
            _exit(0);
        }
        waitpid(child, &status, 0);
        CHECK(WIFEXITED(status));
        code = WEXITSTATUS(status);
        CHECK(code == 99 || code == 0);
        died += code == 99;
        axds_reader_init(&self.reader, lane, CAPACITY, 1, 7, &hub->state);
        self.messages = lane->taken;
        axds_reader_span(&self.reader, CAPACITY);
        if (self.reader.span_bytes) {
            const axds_record *first = (const axds_record *)(self.reader.ring + (self.reader.head & (CAPACITY - 1)));
            self.seq = first->seq;
            while (consume(&self, 700)) {}
        }
        CHECK(axds_lane_empty(lane, CAPACITY));
        CHECK(self.messages == *acknowledged || self.messages == *acknowledged + 1);
        CHECK(self.reader.damaged_bytes == 0);
    }
    printf("%ld deaths of a producer\n", died);
    return 0;
}

/* The totals of a retired lane count once, wherever the consumer dies and another one repeats the retirement. */
static int die_retiring(void) {
    long died = 0, k = 1;
    for (int code = 99; code == 99; k++) {
        int status;
        begin();
        lane->put = 5;
        pid_t child = fork();
        if (!child) {
            steps_left = k;
            axds_add_to_totals(hub, lane, 1);
            step();
            axds_forget(hub, 1);
            _exit(0);
        }
        waitpid(child, &status, 0);
        code = WEXITSTATUS(status);
        died += code == 99;
        axds_add_to_totals(hub, lane, 1);
        axds_forget(hub, 1);
        CHECK(hub->totals[hub->retired & 1].put == 5);
        CHECK(hub->lanes[0] == 0);
    }
    printf("%ld deaths of a retiring consumer\n", died);
    return 0;
}

int main(int count, char **words) {
    axds_crc_init(&tables);
    hub = shared(sizeof *hub);
    lane = shared(AXDS_LANE_HEAD + CAPACITY);
    acknowledged = shared(sizeof *acknowledged);
    if (count == 3 && !strcmp(words[1], "race")) return race(strtoull(words[2], NULL, 10));
    if (count == 3 && !strcmp(words[1], "poll")) return axds_futex_off = 1, race(strtoull(words[2], NULL, 10));
    if (count == 2 && !strcmp(words[1], "die")) return die_producing() || die_retiring();
    return 2;
}
