/* One log record, the same bytes in a producer's lane and in the journal.
 *
 *      0         4         8                   16                  24        28   29   30   32
 *      +---------+---------+-------------------+-------------------+---------+----+----+----+-----------+
 *      | check   | length  | time              | seq               | claim   |src |flag|mark| payload…  |
 *      +---------+---------+-------------------+-------------------+---------+----+----+----+-----------+
 *
 * Little-endian, at a multiple of 8; the payload is followed by zeros up to the next one. `check` is the CRC-32C of
 * everything behind it, seeded with the salt of the queue: a record of another session never passes.
 */
#ifndef AXDS_FRAME_H
#define AXDS_FRAME_H

#include "crc.h"

#define AXDS_MARK 0xA5D5u
#define AXDS_RECORD_BYTES 32u

enum {
    AXDS_PAD = 1,        /* fills the end of a lane; never in a journal */
    AXDS_MESSAGE = 6,    /* a message of a source, or what a GAP says of them */
    AXDS_GAP = 8,        /* with MESSAGE; payload: u64 count of messages of this source that were dropped */
    AXDS_CHECKPOINT = 16,
    AXDS_FOOTER = 32,
    AXDS_EXTERNAL = 64,  /* with MESSAGE, in a lane alone: its payload, an axds_external, says which file has the record */
};

typedef struct {
    uint32_t check;
    uint32_t length;     /* bytes of payload in this record */
    uint64_t time;       /* acquisition time, as it was put */
    uint64_t seq;        /* counts the records of a claim from 0 */
    uint32_t claim;      /* which producer's lane; 0 is the journal itself */
    uint8_t source;
    uint8_t flags;
    uint16_t mark;
} axds_record;

/* What a record occupies, with its padding; a u32 length can't overflow it. */
static inline uint64_t axds_record_span(uint32_t length) {
    return AXDS_RECORD_BYTES + (((uint64_t)length + 7u) & ~(uint64_t)7u);
}

static inline uint32_t axds_record_check(const axds_record *header, const void *payload, uint32_t salt) {
    uint32_t check = axds_crc32c(salt, (const unsigned char *)header + 4, AXDS_RECORD_BYTES - 4);
    return axds_crc32c(check, payload, header->length);
}

/* Completes a record whose header fields and payload are in place: mark, padding, check. */
static inline void axds_record_seal(axds_record *header, uint32_t salt) {
    unsigned char *payload = (unsigned char *)(header + 1);
    size_t padding = (size_t)(axds_record_span(header->length) - AXDS_RECORD_BYTES - header->length);
    header->mark = AXDS_MARK;
    memset(payload + header->length, 0, padding);
    header->check = axds_record_check(header, payload, salt);
}

/* What stands in a lane for a message that is too large for it: the file holds the record, but for its header. */
typedef struct {
    uint64_t number;         /* of the file among those of the lane's owner */
    uint64_t place;          /* 0: shared memory, 1: the log directory */
    uint64_t total;          /* bytes of all such records of the lane up to this one */
    axds_record header;      /* sealed, as it goes into the journal */
} axds_external;

#define AXDS_STRIDE 12288u /* of a copy that is checked while it is in the nearest cache; legs of crc.h fill it */

/* Copies the payload behind a header whose fields are in place, unless it lies there, and completes the record. */
static inline void axds_record_fill(axds_record *header, const unsigned char *payload, uint32_t salt) {
    unsigned char *to = (unsigned char *)(header + 1);
    uint32_t length = header->length, done = 0, check;
    header->mark = AXDS_MARK;
    check = axds_crc32c(salt, (const unsigned char *)header + 4, AXDS_RECORD_BYTES - 4);
    while (done < length) {
        uint32_t step = length - done < AXDS_STRIDE ? length - done : AXDS_STRIDE;
        if (to != payload) memcpy(to + done, payload + done, step);
        check = axds_crc32c(check, to + done, step);
        done += step;
    }
    memset(to + length, 0, (size_t)(axds_record_span(length) - AXDS_RECORD_BYTES - length));
    header->check = check;
}

/* Whether a whole, unharmed record starts at `bytes`, of which `size` may be read; `header` receives its copy. */
static inline int axds_record_valid(const unsigned char *bytes, uint64_t size, uint32_t salt, axds_record *header) {
    if (size < AXDS_RECORD_BYTES) return 0;
    memcpy(header, bytes, AXDS_RECORD_BYTES);
    if (header->mark != AXDS_MARK || axds_record_span(header->length) > size) return 0;
    return axds_record_check(header, bytes + AXDS_RECORD_BYTES, salt) == header->check;
}

/* One row of a scan's table; ROW in frame.pyx names the fields. */
typedef struct {
    uint64_t offset;
    uint64_t time;
    uint64_t seq;
    uint32_t length;
    uint32_t claim;
    uint8_t source;
    uint8_t flags;
    uint8_t unused[6];
} axds_row;

typedef struct {
    uint64_t position;      /* of the next record to look at */
    uint64_t damage_start;  /* a damaged span found on the way; empty when both are equal */
    uint64_t damage_stop;
} axds_scan;

/* Fills up to `max_rows` rows from `bytes`[scan->position : stop]; ends early at the end of a damaged span.
 *
 * Behind damage it looks for the next valid record on steps of 8. The mark is tested first, so that foreign bytes
 * cost a comparison, not a check sum, at each step.
 */
static inline uint64_t axds_scan_rows(const unsigned char *bytes, uint64_t stop, uint32_t salt, axds_row *rows,
                                      uint64_t max_rows, axds_scan *scan) {
    uint64_t count = 0;
    axds_record header;
    scan->damage_start = scan->damage_stop = scan->position;
    while (count < max_rows && scan->position < stop) {
        uint64_t left = stop - scan->position;
        if (!axds_record_valid(bytes + scan->position, left, salt, &header)) {
            scan->damage_start = scan->position;
            do scan->position += left < 8 ? left : 8, left = stop - scan->position;
            while (left && !axds_record_valid(bytes + scan->position, left, salt, &header));
            scan->damage_stop = scan->position;
            return count;
        }
        axds_row *row = &rows[count++];
        memset(row, 0, sizeof *row);
        row->offset = scan->position;
        row->time = header.time;
        row->seq = header.seq;
        row->length = header.length;
        row->claim = header.claim;
        row->source = header.source;
        row->flags = header.flags;
        scan->position += axds_record_span(header.length);
    }
    return count;
}

#endif
