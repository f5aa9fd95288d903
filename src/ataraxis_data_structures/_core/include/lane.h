/* The queue in shared memory: a hub, and for each producer process a lane, a ring that it alone fills.
 *
 *   hub    state, wake-up words, which lanes exist, what each source has on disk
 *   lane   [words, a line for each writer][tables by source][ring of whole records, capacity a power of two]
 *
 * Positions are bytes since the lane began and never wrap: 0 <= head <= tail <= head + capacity. Only the owner stores
 * `tail`, only the one consumer stores `head`. A record exists from the store of `tail` on, so a producer that dies
 * leaves whole records or none. A record never wraps round the end of the ring: fewer than 32 bytes there are
 * skipped by both sides, more are a PAD record. A message of more than half a ring lies in a file of its own, and a
 * record with EXTERNAL names it.
 *
 * Who sleeps says so first and then looks again, who moves a position looks for sleepers afterwards (Dekker): these
 * four accesses are sequentially consistent.
 *
 * The end of a queue: CLOSED is stored in `state` and is final. A put stores its tail, then reads the state. Who sees
 * CLOSED seals the lane: `bound`, which the consumer moves forward over what it is going to take, then takes no further
 * move. What lies before a sealed bound is accepted, whoever drains it; what lies behind it never is taken, and its put
 * raises. So a producer that is told of the end knows of each of its messages which it is, without waiting for anybody.
 */
#ifndef AXDS_LANE_H
#define AXDS_LANE_H

#include "forks.h"
#include "frame.h"
#include "futex.h"

#ifndef AXDS_STEP
#define AXDS_STEP(name) ((void)0) /* where a crash test may end the process */
#endif

#define AXDS_LINE __attribute__((aligned(128)))
#define AXDS_SLOTS 4096u   /* lanes that may exist at the same time */
#define AXDS_LANE_FORMAT 2u

#define axds_load(word) __atomic_load_n(&(word), __ATOMIC_SEQ_CST)
#define axds_store(word, value) __atomic_store_n(&(word), (value), __ATOMIC_SEQ_CST)
#define axds_peek(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)
#define axds_note(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELAXED)
#define axds_count(word, by) axds_note(word, axds_peek(word) + (by)) /* words with a single writer */

#define AXDS_SEALED ((uint64_t)1 << 63) /* in `bound` */

enum { AXDS_NEW, AXDS_RUNNING, AXDS_RESTARTING, AXDS_CLOSING, AXDS_CLOSED, AXDS_FAILED };

/* What producers did, by source. */
typedef struct {
    uint64_t accepted[256];
    uint64_t bytes[256];
    uint64_t dropped[256];
    uint64_t gapped[256];     /* of the dropped, those that a GAP record tells of */
} axds_tally;

typedef struct {
    uint64_t capacity;        /* for people who look: any program that maps a lane may write over it, so nobody reads it */
    AXDS_LINE uint64_t tail;                   /* the owner stores */
    AXDS_LINE uint64_t head;                   /* the consumer stores these */
    uint64_t taken;                            /* messages released */
    uint64_t high_water;                       /* most bytes it found waiting */
    uint64_t external_taken;                   /* `total` of the last external record released */
    uint64_t seq_taken;                        /* no record released has this seq or one above */
    uint64_t bound;                            /* how far the consumer goes; who sees CLOSED seals it */
    AXDS_LINE uint32_t waiting;                /* the owner sleeps for space */
    uint32_t space_seq;                        /* and is woken here */
    uint64_t wanted;                           /* bytes it needs */
    AXDS_LINE uint64_t put, put_bytes, drops, blocked_ns;
    uint64_t external;                         /* `total` of the last external record put */
    AXDS_LINE uint64_t reader;                 /* identity of the consumer */
    AXDS_LINE axds_tally tally;
} axds_lane;

#define AXDS_LANE_HEAD 12288u                  /* the ring starts here */

typedef struct {
    uint64_t written, synced, bytes, dropped;
} axds_source;

typedef struct {
    uint64_t put, put_bytes, drops, blocked_ns, taken;
    axds_tally tally;
} axds_total;

typedef struct {
    uint64_t queue_id;
    uint32_t salt, format, drop_newest, slots;
    AXDS_LINE uint32_t state;
    AXDS_LINE uint32_t event_seq;              /* the consumer sleeps here */
    uint32_t event_waiting;
    AXDS_LINE uint32_t next_claim;
    uint32_t lanes_changed;
    AXDS_LINE uint64_t consumer;               /* identity of the consumer, 0 for none */
    uint64_t caught_up_ns;                     /* when it last found every lane empty */
    uint32_t restarts;
    AXDS_LINE uint64_t notes[64];              /* what the owner of the logger and its process tell each other */
    AXDS_LINE uint64_t retired;                /* last retired claim << 1 | which total holds */
    axds_total totals[2];
    AXDS_LINE axds_source sources[256];
    AXDS_LINE uint32_t lanes[AXDS_SLOTS];      /* claims of the lanes that exist */
} axds_hub;

_Static_assert(sizeof(axds_lane) <= AXDS_LANE_HEAD, "the words of a lane reach into its ring");

/* ---- producer ---- */

typedef struct {
    axds_hub *hub;
    axds_lane *lane;
    unsigned char *ring;
    uint64_t capacity, tail, head_seen, seq, external;
    uint64_t largest;         /* payload of a record that fits an empty lane wherever its tail is */
    uint32_t salt, claim;
} axds_writer;

static inline unsigned char *axds_lane_ring(axds_lane *lane) { return (unsigned char *)lane + AXDS_LANE_HEAD; }

static void axds_lane_init(axds_lane *lane, uint64_t capacity) {
    memset(lane, 0, sizeof *lane);
    lane->capacity = capacity;
}

/* At the beginning of a lane, which has one writer in its life: seq and tail live in that one's private memory. */
static void axds_writer_init(axds_writer *writer, axds_hub *hub, axds_lane *lane, uint64_t capacity, uint32_t claim,
                             uint32_t salt) {
    memset(writer, 0, sizeof *writer);
    writer->hub = hub;
    writer->lane = lane;
    writer->ring = axds_lane_ring(lane);
    writer->capacity = capacity;
    writer->largest = capacity / 2 - AXDS_RECORD_BYTES;
    writer->salt = salt;
    writer->claim = claim;
}

static inline int axds_writer_fits(axds_writer *writer, uint64_t need) {
    if (need <= writer->capacity - (writer->tail - writer->head_seen)) return 1;
    uint64_t head = axds_load(writer->lane->head);
    if (writer->tail - head > writer->capacity) return 0; /* not a position; never write over what may be unread */
    writer->head_seen = head;
    return need <= writer->capacity - (writer->tail - head);
}

/* Bytes from `tail` to the end of a record placed there, with what is skipped at the end of the ring. */
static inline uint64_t axds_placed(uint64_t capacity, uint64_t tail, uint32_t length) {
    uint64_t span = axds_record_span(length), left = capacity - (tail & (capacity - 1));
    return span <= left ? span : left + span;
}

static inline uint64_t axds_message_needs(const axds_writer *writer, uint64_t length) {
    return axds_placed(writer->capacity, writer->tail, (uint32_t)length);
}

/* Where the payload of the next record of this length will lie, once it fits. */
static inline unsigned char *axds_payload_place(const axds_writer *writer, uint32_t length) {
    uint64_t index = writer->tail & (writer->capacity - 1);
    if (axds_record_span(length) > writer->capacity - index) index = 0;
    return writer->ring + index + AXDS_RECORD_BYTES;
}

/* Writes one record that fits; nobody sees it before axds_publish. */
static inline void axds_append(axds_writer *writer, uint8_t source, uint64_t time, uint8_t flags, const void *payload,
                               uint32_t length) {
    uint64_t left = writer->capacity - (writer->tail & (writer->capacity - 1));
    axds_record *record = (axds_record *)(writer->ring + (writer->tail & (writer->capacity - 1)));
    if (axds_record_span(length) > left) {
        if (left >= AXDS_RECORD_BYTES) {
            memset(record, 0, sizeof *record);
            record->length = (uint32_t)(left - AXDS_RECORD_BYTES);
            record->claim = writer->claim;
            record->flags = AXDS_PAD;
            record->mark = AXDS_MARK;
        }
        AXDS_STEP("pad");
        writer->tail += left;
        record = (axds_record *)writer->ring;
    }
    record->length = length;
    record->time = time;
    record->seq = writer->seq++;
    record->claim = writer->claim;
    record->source = source;
    record->flags = flags;
    AXDS_STEP("header");
    axds_record_fill(record, (const unsigned char *)payload, writer->salt);
    AXDS_STEP("seal");
    writer->tail += axds_record_span(length);
}

static inline void axds_hub_wake(axds_hub *hub) {
    if (!axds_load(hub->event_waiting) || !__atomic_exchange_n(&hub->event_waiting, 0, __ATOMIC_SEQ_CST)) return;
    __atomic_fetch_add(&hub->event_seq, 1, __ATOMIC_SEQ_CST);
    AXDS_STEP("event");
    axds_futex_wake(&hub->event_seq);
}

static inline void axds_publish(axds_writer *writer) {
    axds_store(writer->lane->tail, writer->tail);
    AXDS_STEP("tail");
    axds_hub_wake(writer->hub);
}

static inline void axds_tell(axds_writer *writer, uint8_t source, uint64_t messages, uint64_t bytes) {
    axds_lane *lane = writer->lane;
    axds_count(lane->put, messages);
    axds_count(lane->put_bytes, bytes);
    axds_count(lane->tally.accepted[source], messages);
    axds_count(lane->tally.bytes[source], bytes);
}

/* Tells of dropped messages before the next record goes in; what doesn't fit now is told later. */
static void axds_write_gaps(axds_writer *writer) {
    axds_tally *tally = &writer->lane->tally;
    for (int source = 0; source < 256; source++) {
        uint64_t missing = axds_peek(tally->dropped[source]) - axds_peek(tally->gapped[source]);
        if (!missing) continue;
        if (!axds_writer_fits(writer, axds_placed(writer->capacity, writer->tail, sizeof missing))) return;
        axds_append(writer, (uint8_t)source, 0, AXDS_MESSAGE | AXDS_GAP, &missing, sizeof missing);
        axds_publish(writer);
        axds_count(tally->gapped[source], missing);
    }
}

/* Writes a message of at most `largest` bytes; returns 0, and does nothing, if there is no room now. */
static inline int axds_write_message(axds_writer *writer, uint8_t source, uint64_t time, const unsigned char *payload,
                                     uint64_t length) {
    if (!axds_writer_fits(writer, axds_message_needs(writer, length))) return 0;
    axds_append(writer, source, time, AXDS_MESSAGE, payload, (uint32_t)length);
    return 1;
}

static inline int axds_put(axds_writer *writer, uint8_t source, uint64_t time, const unsigned char *payload,
                           uint64_t length) {
    if (!axds_write_message(writer, source, time, payload, length)) return 0;
    axds_publish(writer);
    axds_tell(writer, source, 1, length);
    return 1;
}

/* Puts a message whose payload lies in a file, behind the room for a header; returns 0, and does nothing, without room. */
static int axds_put_external(axds_writer *writer, uint8_t source, uint64_t time, uint32_t length, uint32_t payload_check,
                             uint64_t number, uint64_t place) {
    axds_external external = {number, place, writer->external + axds_record_span(length), {0, length, time, writer->seq,
                              writer->claim, source, AXDS_MESSAGE, AXDS_MARK}};
    if (!axds_writer_fits(writer, axds_message_needs(writer, sizeof external))) return 0;
    uint32_t check = axds_crc32c(writer->salt, (unsigned char *)&external.header + 4, AXDS_RECORD_BYTES - 4);
    external.header.check = axds_crc32c_joined(check, payload_check, length);
    axds_append(writer, source, time, AXDS_MESSAGE | AXDS_EXTERNAL, &external, sizeof external);
    writer->external = external.total;
    axds_note(writer->lane->external, external.total); /* before the tail: what is taken was counted */
    axds_publish(writer);
    axds_tell(writer, source, 1, length);
    return 1;
}

/* Bytes of external records that nobody took yet. */
static inline uint64_t axds_external_waiting(const axds_writer *writer) {
    uint64_t waiting = writer->external - axds_load(writer->lane->external_taken);
    return waiting <= writer->external ? waiting : writer->external; /* else a wild write */
}

#define AXDS_BATCH_BYTES 65536u /* of put_many before the consumer may have them */

/* Puts rows of one length until the lane is full; returns how many. */
static uint64_t axds_put_rows(axds_writer *writer, uint8_t source, const uint64_t *times, const unsigned char *rows,
                              uint64_t length, uint64_t stride, uint64_t count) {
    uint64_t row = 0, published = writer->tail;
    for (; row < count; row++) {
        if (!axds_write_message(writer, source, times[row], rows + row * stride, length)) break;
        if (writer->tail - published < AXDS_BATCH_BYTES) continue;
        axds_publish(writer);
        published = writer->tail;
    }
    if (writer->tail != published) axds_publish(writer);
    if (row) axds_tell(writer, source, row, row * length);
    return row;
}

/* Sleeps until the consumer made room behind `tail`, at most a slice. Several threads may: all are woken, and the flag
 * stays for the others; the price is a wake in vain. */
static inline void axds_wait_for_space(axds_lane *lane, uint64_t capacity, uint64_t tail, uint64_t need,
                                       uint64_t slice_ns) {
    uint32_t seen = axds_load(lane->space_seq);
    if (!axds_peek(lane->waiting) || need < axds_peek(lane->wanted)) axds_note(lane->wanted, need);
    axds_store(lane->waiting, 1u);
    uint64_t queued = tail - axds_load(lane->head);
    if (queued > capacity || need > capacity - queued) axds_futex_wait(&lane->space_seq, seen, slice_ns);
}

/* Sleeps until the consumer took an external record, at most a slice. */
static inline void axds_wait_for_taking(axds_lane *lane, uint64_t taken_seen, uint64_t slice_ns) {
    uint32_t seen = axds_load(lane->space_seq);
    axds_note(lane->wanted, 0);
    axds_store(lane->waiting, 1u);
    if (axds_load(lane->external_taken) == taken_seen) axds_futex_wait(&lane->space_seq, seen, slice_ns);
}

/* Seals a lane at `position`, or behind what the consumer goes for already; returns where it is sealed. */
static uint64_t axds_seal(axds_lane *lane, uint64_t position) {
    uint64_t bound = axds_load(lane->bound);
    while (!(bound & AXDS_SEALED)) {
        uint64_t last = bound > position ? bound : position;
        if (!__atomic_compare_exchange_n(&lane->bound, &bound, last | AXDS_SEALED, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            continue;
        AXDS_STEP("sealed");
        return last;
    }
    return bound & ~AXDS_SEALED;
}

/* Stores a state in place of the expected one; 0, and nothing done, if another process stored another meanwhile. */
static inline int axds_change_state(axds_hub *hub, uint32_t before, uint32_t after) {
    if (!__atomic_compare_exchange_n(&hub->state, &before, after, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return 0;
    AXDS_STEP("state");
    axds_hub_wake(hub);
    return 1;
}

/* ---- consumer ---- */

typedef struct {
    axds_lane *lane;
    unsigned char *ring;
    uint64_t capacity;
    uint64_t head;            /* where the last span starts; what is before it is done with */
    uint64_t bound;           /* what this consumer made of the lane's bound */
    const uint32_t *state;    /* of the queue; NULL where it is gone */
    uint64_t sure;            /* the same as head without what was skipped up to a tail behind which no record was found */
    uint64_t span_bytes, span_messages;
    uint64_t next_seq;        /* UINT64_MAX until a record told it */
    uint64_t least_seq;       /* below it, a record is one of the last lap */
    uint64_t damaged_bytes;
    uint32_t claim, salt;
    int at_tail;              /* the span holds all that was put by then */
    int external;             /* the span is one record with EXTERNAL */
} axds_reader;

/* What never changes is not read from the lane: any program that maps it may have written over it. */
static void axds_reader_init(axds_reader *reader, axds_lane *lane, uint64_t capacity, uint32_t claim, uint32_t salt,
                             const uint32_t *state) {
    memset(reader, 0, sizeof *reader);
    reader->lane = lane;
    reader->ring = axds_lane_ring(lane);
    reader->capacity = capacity;
    reader->head = reader->sure = axds_load(lane->head);
    reader->next_seq = UINT64_MAX;
    reader->least_seq = axds_load(lane->seq_taken);
    reader->bound = axds_load(lane->bound) & ~AXDS_SEALED;
    if (reader->bound - reader->head > capacity) reader->bound = reader->head;
    reader->claim = claim;
    reader->salt = salt;
    reader->state = state;
}

static void axds_release_to(axds_reader *reader, uint64_t head) {
    axds_lane *lane = reader->lane;
    reader->head = reader->sure = head;
    reader->span_bytes = reader->span_messages = 0;
    axds_store(lane->head, head);
    AXDS_STEP("head");
    if (!axds_load(lane->waiting)) return;
    uint64_t queued = axds_load(lane->tail) - head, wanted = axds_peek(lane->wanted);
    uint64_t enough = wanted > reader->capacity / 4 && wanted <= reader->capacity ? wanted : reader->capacity / 4;
    if (queued && reader->capacity - queued < enough) return; /* woken for each record it would crawl */
    if (!__atomic_exchange_n(&lane->waiting, 0, __ATOMIC_SEQ_CST)) return;
    __atomic_fetch_add(&lane->space_seq, 1, __ATOMIC_SEQ_CST);
    axds_futex_wake(&lane->space_seq);
}

/* What a producer must have written at `position`, told by its header alone; its check is the journal's to see. */
static inline int axds_plausible(const axds_reader *reader, const axds_record *header, uint64_t limit) {
    return header->mark == AXDS_MARK && header->claim == reader->claim && axds_record_span(header->length) <= limit;
}

static inline int axds_is_message(const axds_record *header) {
    return (header->flags & (AXDS_MESSAGE | AXDS_GAP)) == AXDS_MESSAGE;
}

static inline int axds_is_pad(const axds_reader *reader, const axds_record *header, uint64_t left) {
    return header->flags == AXDS_PAD && axds_plausible(reader, header, left)
        && axds_record_span(header->length) == left;
}

/* Bytes to skip at a position that holds no record because the ring ends; 0 for none. */
static inline uint64_t axds_ring_end(const axds_reader *reader, uint64_t position) {
    uint64_t left = reader->capacity - (position & (reader->capacity - 1));
    if (left < AXDS_RECORD_BYTES) return left;
    const axds_record *header = (const axds_record *)(reader->ring + (position & (reader->capacity - 1)));
    return axds_is_pad(reader, header, left) ? left : 0;
}

/* Walks over damage, which only a wild write can leave, to the next record whose check holds. */
static uint64_t axds_resync(axds_reader *reader, uint64_t position, uint64_t tail) {
    axds_record header;
    uint64_t start = position;
    for (position += 8; position < tail && !axds_ring_end(reader, position); position += 8) {
        uint64_t index = position & (reader->capacity - 1), left = reader->capacity - index;
        uint64_t limit = left < tail - position ? left : tail - position;
        if (index == 0 && position != start) break; /* a record starts at the beginning of the ring, or it is judged anew */
        if (axds_record_valid(reader->ring + index, limit, reader->salt, &header) && header.claim == reader->claim) break;
    }
    if (position > tail) position = tail;
    reader->damaged_bytes += position - start;
    reader->next_seq = UINT64_MAX;
    return position;
}

/* Where the records end that their checks prove, each with the number that it must have. */
static uint64_t axds_proven_tail(const axds_reader *reader) {
    uint64_t position = reader->head, end = reader->head + reader->capacity, seq = reader->next_seq;
    axds_record header;
    while (position < end) {
        uint64_t skip = axds_ring_end(reader, position), index = position & (reader->capacity - 1);
        uint64_t left = reader->capacity - index, limit = left < end - position ? left : end - position;
        if (skip && skip <= end - position) {
            position += skip;
            continue;
        }
        if (!axds_record_valid(reader->ring + index, limit, reader->salt, &header) || header.claim != reader->claim) break;
        if (seq != UINT64_MAX ? header.seq != seq : header.seq < reader->least_seq) break;
        seq = header.seq + 1;
        position += axds_record_span(header.length);
    }
    return position;
}

/* Up to where the consumer may read. A tail that no producer stored is a wild write, which the producer's next put
 * mends; until then the records are told by their checks. */
static uint64_t axds_readable_tail(axds_reader *reader) {
    uint64_t tail = axds_load(reader->lane->tail);
    if (reader->sure != reader->head && tail != reader->head && tail - reader->sure <= reader->capacity) {
        reader->damaged_bytes -= reader->head - reader->sure; /* the head may have followed a wild tail: once more */
        reader->head = reader->sure;
    }
    return tail - reader->head <= reader->capacity ? tail : axds_proven_tail(reader);
}

/* Whether a bound that is sealed is one that a process which saw CLOSED stored. */
static inline int axds_is_seal(const axds_reader *reader, uint64_t bound) {
    return (bound & AXDS_SEALED) && (bound & ~AXDS_SEALED) - reader->bound <= reader->capacity
        && (!reader->state || axds_load(*reader->state) == AXDS_CLOSED);
}

/* Announces that the consumer takes all up to `tail`; returns up to where it may, which a seal decides. */
static uint64_t axds_advance_bound(axds_reader *reader, uint64_t tail) {
    uint64_t bound = axds_load(reader->lane->bound);
    while (!axds_is_seal(reader, bound)) {
        if (bound == tail) return reader->bound = tail;
        if (!__atomic_compare_exchange_n(&reader->lane->bound, &bound, tail, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            continue;
        AXDS_STEP("bound");
        return reader->bound = tail;
    }
    reader->bound = bound & ~AXDS_SEALED;
    return reader->bound < tail ? reader->bound : tail;
}

/* Up to where there is something to take, without announcing it. */
static inline uint64_t axds_takeable(axds_reader *reader) {
    uint64_t tail = axds_readable_tail(reader), bound = axds_load(reader->lane->bound);
    return axds_is_seal(reader, bound) && (bound & ~AXDS_SEALED) < tail ? bound & ~AXDS_SEALED : tail;
}

/* Whether nothing is left that the consumer could take. */
static inline int axds_reader_done(axds_reader *reader) { return axds_takeable(reader) == reader->head; }

/* Once the producer is dead nobody mends its tail: takes what the checks prove instead; 1 if there was something. */
static int axds_mend_tail(axds_reader *reader) {
    uint64_t tail = axds_proven_tail(reader);
    axds_store(reader->lane->tail, tail);
    return axds_takeable(reader) != reader->head;
}

/* Finds the next whole records that lie side by side: at most `max_bytes` of them, but at least one if there is one.
 *
 * They start at reader->head and are reader->span_bytes long; nothing is released.
 */
static void axds_reader_span(axds_reader *reader, uint64_t max_bytes) {
    uint64_t tail = axds_advance_bound(reader, axds_readable_tail(reader)), position = reader->head, seq = reader->next_seq;
    if (axds_peek(reader->lane->head) != position) axds_store(reader->lane->head, position); /* a wild write */
    if (tail - position > axds_peek(reader->lane->high_water)) axds_note(reader->lane->high_water, tail - position);
    reader->span_bytes = reader->span_messages = 0;
    reader->at_tail = reader->external = 0;
    while (position != tail) {
        uint64_t skip = axds_ring_end(reader, position);
        if (skip) {
            if (reader->span_bytes) return;
            position += skip;
            if (tail - position > reader->capacity) position = tail;
            axds_release_to(reader, position);
            continue;
        }
        uint64_t index = position & (reader->capacity - 1), left = reader->capacity - index;
        if (!index && reader->span_bytes) return; /* the ring begins anew, the bytes are not side by side */
        const axds_record *header = (const axds_record *)(reader->ring + index);
        if (!axds_plausible(reader, header, left < tail - position ? left : tail - position)
            || (seq != UINT64_MAX && header->seq != seq)) {
            if (reader->span_bytes) return;
            uint64_t sure = reader->sure, proven = axds_advance_bound(reader, axds_proven_tail(reader));
            if (proven > tail) { /* the tail cuts a whole record: it is a wild one */
                tail = proven;
                continue;
            }
            position = axds_resync(reader, position, tail);
            seq = UINT64_MAX;
            axds_release_to(reader, position);
            if (position == tail) reader->sure = sure;
            continue;
        }
        uint64_t span = axds_record_span(header->length);
        if (reader->span_bytes && (header->flags & AXDS_EXTERNAL || reader->span_bytes + span > max_bytes)) return;
        reader->span_bytes += span;
        reader->span_messages += axds_is_message(header);
        position += span;
        seq = header->seq + 1;
        if ((reader->external = (header->flags & AXDS_EXTERNAL) != 0)) break;
    }
    if (position != tail) return;
    reader->at_tail = 1;
}

/* Reads what a span that is one EXTERNAL record says; 0 if it is damaged. */
static int axds_read_external(const axds_reader *reader, axds_external *external) {
    const unsigned char *bytes = reader->ring + (reader->head & (reader->capacity - 1));
    axds_record header;
    if (!axds_record_valid(bytes, reader->span_bytes, reader->salt, &header) || header.length != sizeof *external) return 0;
    memcpy(external, bytes + AXDS_RECORD_BYTES, sizeof *external);
    return 1;
}

/* Frees the first `size` bytes of the span, which must end where a record ends; returns 0 if they don't. */
static int axds_release(axds_reader *reader, uint64_t size) {
    uint64_t done = 0, messages = 0;
    if (size > reader->span_bytes) return 0;
    const axds_record *header = NULL;
    while (done < size) {
        header = (const axds_record *)(reader->ring + ((reader->head + done) & (reader->capacity - 1)));
        messages += axds_is_message(header);
        done += axds_record_span(header->length);
    }
    if (done != size) return 0;
    if (header) reader->next_seq = reader->least_seq = header->seq + 1;
    axds_external external;
    if (reader->external && axds_read_external(reader, &external))
        axds_note(reader->lane->external_taken, external.total);
    axds_count(reader->lane->taken, messages);
    axds_release_to(reader, reader->head + size);
    axds_note(reader->lane->seq_taken, reader->least_seq);
    return 1;
}

/* Bytes that the consumer has yet to take, for those who only look; 0 where a position was written over. */
static inline uint64_t axds_lane_queued(const axds_lane *lane, uint64_t capacity) {
    uint64_t tail = axds_load(lane->tail), head = axds_load(lane->head), bound = axds_load(lane->bound);
    if (bound & AXDS_SEALED && (bound & ~AXDS_SEALED) - head <= capacity) tail = bound & ~AXDS_SEALED;
    return tail - head <= capacity ? tail - head : 0;
}

static inline int axds_lane_damaged(const axds_lane *lane, uint64_t capacity) {
    return axds_load(lane->tail) - axds_load(lane->head) > capacity;
}

/* Whether nothing is left: the positions say so or, where one of them was written over, the counts. */
static inline int axds_lane_empty(const axds_lane *lane, uint64_t capacity) {
    if (!axds_lane_damaged(lane, capacity)) return !axds_lane_queued(lane, capacity);
    return axds_load(lane->put) == axds_load(lane->taken);
}

/* Sleeps until a producer published, a lane came, or the state changed; at most a slice. */
static void axds_wait_for_records(axds_hub *hub, axds_reader **readers, uint64_t count, uint32_t lanes_seen,
                                  uint32_t state_seen, uint64_t slice_ns) {
    uint32_t seen = axds_load(hub->event_seq);
    axds_store(hub->event_waiting, 1u);
    int stay = axds_load(hub->lanes_changed) == lanes_seen && axds_load(hub->state) == state_seen;
    for (uint64_t i = 0; stay && i < count; i++) stay = axds_reader_done(readers[i]);
    if (stay) {
        axds_store(hub->caught_up_ns, axds_now_ns());
        axds_futex_wait(&hub->event_seq, seen, slice_ns);
    }
    axds_store(hub->event_waiting, 0u);
}

/* ---- registry ---- */

/* Makes a finished lane known; returns 0 if every slot is taken. */
static int axds_register(axds_hub *hub, uint32_t claim) {
    for (uint32_t slot = 0; slot < hub->slots; slot++) {
        uint32_t none = 0;
        if (axds_peek(hub->lanes[slot])) continue;
        if (!__atomic_compare_exchange_n(&hub->lanes[slot], &none, claim, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            continue;
        __atomic_fetch_add(&hub->lanes_changed, 1, __ATOMIC_SEQ_CST);
        axds_hub_wake(hub);
        return 1;
    }
    return 0;
}

static inline uint32_t axds_next_claim(axds_hub *hub) {
    return __atomic_fetch_add(&hub->next_claim, 1, __ATOMIC_SEQ_CST);
}

static void axds_forget(axds_hub *hub, uint32_t claim) {
    for (uint32_t slot = 0; slot < hub->slots; slot++) {
        if (axds_load(hub->lanes[slot]) != claim) continue;
        axds_store(hub->lanes[slot], 0u);
        __atomic_fetch_add(&hub->lanes_changed, 1, __ATOMIC_SEQ_CST);
        return;
    }
}

/* Adds a lane to the totals, once even if the consumer dies on the way: the other total is filled, then one word
 * switches to it and names the claim. */
static void axds_add_to_totals(axds_hub *hub, const axds_lane *lane, uint32_t claim) {
    uint64_t word = axds_load(hub->retired);
    if (word >> 1 == claim) return;
    axds_total *total = &hub->totals[~word & 1];
    const axds_total *before = &hub->totals[word & 1];
    total->put = before->put + lane->put;
    total->put_bytes = before->put_bytes + lane->put_bytes;
    total->drops = before->drops + lane->drops;
    total->blocked_ns = before->blocked_ns + lane->blocked_ns;
    total->taken = before->taken + lane->taken;
    for (int i = 0; i < 256; i++) {
        total->tally.accepted[i] = before->tally.accepted[i] + lane->tally.accepted[i];
        total->tally.bytes[i] = before->tally.bytes[i] + lane->tally.bytes[i];
        total->tally.dropped[i] = before->tally.dropped[i] + lane->tally.dropped[i];
        total->tally.gapped[i] = before->tally.gapped[i] + lane->tally.gapped[i];
    }
    AXDS_STEP("totals");
    axds_store(hub->retired, (uint64_t)claim << 1 | (~word & 1));
}

/* Takes a seat that is free, or that `dead` left; returns who sits there afterwards. */
static inline uint64_t axds_take_seat(uint64_t *seat, uint64_t dead, uint64_t mine) {
    uint64_t found = dead;
    if (__atomic_compare_exchange_n(seat, &found, mine, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return mine;
    return found;
}

#endif
