/* Stored zip archives of .npy messages, as numpy.savez lays them out: members and central directory.
 *
 *   member    PK\3\4 | 2d 00 | flags | method | 00 00 21 00 | crc | ffffffff | ffffffff | n | 20 | name |
 *             01 00 10 00 | size | size | the .npy file
 *   entry     PK\1\2 | 2d 03 2d 00 | flags | method | 00 00 21 00 | crc | size | size | n | x | 0 | 0 | kept |
 *             0600 as Unix has it | offset | name | extra x
 *   end       PK\5\6 | 0 0 | entries twice | bytes of the entries | their offset | comment
 *
 * A number beyond 2^31 - 1 stands in the extra field (1, length, then 8 bytes each, in the order size, size, offset)
 * and its place holds ffffffff; beyond 65,535 entries the zip64 end (PK\6\6) and its locator (PK\6\7) come first.
 * `kept` (in the internal attributes, which zip readers ignore) is 0x8000 if the source was not removed, else 0.
 */
#ifndef AXDS_ZIPDIR_H
#define AXDS_ZIPDIR_H

#include "crc.h"
#include "npy.h"

#define AXDS_ZIP_MEMBER_BYTES 30u
#define AXDS_ZIP_MEMBER_EXTRA_BYTES 20u
#define AXDS_ZIP_ENTRY_BYTES 46u
#define AXDS_ZIP_END_BYTES 22u
#define AXDS_ZIP_END64_BYTES 56u
#define AXDS_ZIP_LOCATOR_BYTES 20u
#define AXDS_ZIP_KEPT_BIT 0x8000u
#define AXDS_ZIP_LIMIT 0x7fffffffu  /* from where on numpy.savez moves a number into the extra field */

#define AXDS_ZIP_LARGEST_BYTES 0x80100000u /* of a message's file, more than enough */
enum { AXDS_ZIP_STORED = 0, AXDS_ZIP_DEFLATED = 8, AXDS_ZIP_BZIP2 = 12, AXDS_ZIP_LZMA = 14 };

enum {
    AXDS_ZIP_OURS = 1,  /* the name is spelled as axds_npy_name does: source, time and repeat are known */
    AXDS_ZIP_ZERO = 2,  /* the key ends in `_` and 20 zeros */
    AXDS_ZIP_UTF8 = 4,  /* the name is UTF-8, not code page 437 */
    AXDS_ZIP_KEPT = 8,  /* when the archive was written, the source of the entry stayed beside it */
};

/* What may be wrong; zipdir.pyx has the words. */
enum {
    AXDS_ZIP_FINE,
    AXDS_ZIP_NO_END, AXDS_ZIP_SPANNED, AXDS_ZIP_BAD_END64, AXDS_ZIP_MISPLACED, AXDS_ZIP_BAD_COUNT,
    AXDS_ZIP_BAD_ENTRY, AXDS_ZIP_BAD_EXTRA, AXDS_ZIP_ENCRYPTED, AXDS_ZIP_BAD_METHOD, AXDS_ZIP_BAD_SIZE,
    AXDS_ZIP_OVERLAP, AXDS_ZIP_BAD_MEMBER, AXDS_ZIP_OTHER_NAME, AXDS_ZIP_BAD_CRC, AXDS_ZIP_SHORT,
    AXDS_ZIP_OTHER_ARRAY,
};

typedef struct {
    uint64_t offset;       /* of the member */
    uint64_t size;         /* bytes stored */
    uint64_t time;         /* as the name says; 0 if it is not OURS */
    uint64_t entry;        /* where the entry stands */
    uint32_t crc;
    uint32_t repeat;
    uint16_t name_length;
    uint8_t method;
    uint8_t kind;
    uint8_t source;
    uint8_t unused[3];
} axds_zip_row;

typedef struct {
    uint64_t start;        /* of the entries */
    uint64_t stop;
    uint64_t count;
} axds_zip_end;

static inline uint16_t axds_zip_u16(const unsigned char *b) { return (uint16_t)(b[0] | b[1] << 8); }
static inline uint32_t axds_zip_u32(const unsigned char *b) { return axds_crc_load32(b); }
static inline uint64_t axds_zip_u64(const unsigned char *b) { return axds_zip_u32(b) | (uint64_t)axds_zip_u32(b + 4) << 32; }

/* Where the last record of an archive starts: followed by its comment and nothing else, or, failing that, by anything. */
static inline int axds_zip_find_end(const unsigned char *bytes, uint64_t size, uint64_t *found) {
    if (size < AXDS_ZIP_END_BYTES) return AXDS_ZIP_NO_END;
    uint64_t last = size - AXDS_ZIP_END_BYTES, first = last > 0xffff ? last - 0xffff : 0;
    for (uint64_t at = last + 1; at-- > first;)
        if (!memcmp(bytes + at, "PK\5\6", 4) && axds_zip_u16(bytes + at + 20) == last - at) {
            *found = at;
            return AXDS_ZIP_FINE;
        }
    for (uint64_t at = last + 1; at-- > first;)
        if (!memcmp(bytes + at, "PK\5\6", 4) && axds_zip_u16(bytes + at + 20) <= last - at) {
            *found = at;
            return AXDS_ZIP_FINE;
        }
    return AXDS_ZIP_NO_END;
}

/* Finds the entries through the records at the end of the archive. */
static inline int axds_zip_read_end(const unsigned char *bytes, uint64_t size, axds_zip_end *end) {
    uint64_t at = 0, length, start;
    int fault = axds_zip_find_end(bytes, size, &at);
    if (fault) return fault;
    const unsigned char *record = bytes + at;
    if (axds_zip_u16(record + 4) || axds_zip_u16(record + 6)) return AXDS_ZIP_SPANNED;
    end->count = axds_zip_u16(record + 10);
    length = axds_zip_u32(record + 12);
    start = axds_zip_u32(record + 16);
    end->stop = at;
    if (at >= AXDS_ZIP_LOCATOR_BYTES && !memcmp(record - AXDS_ZIP_LOCATOR_BYTES, "PK\6\7", 4)) {
        uint64_t at64 = axds_zip_u64(record - 12);
        if (at - AXDS_ZIP_LOCATOR_BYTES < AXDS_ZIP_END64_BYTES) return AXDS_ZIP_BAD_END64;
        if (at64 > at - AXDS_ZIP_LOCATOR_BYTES - AXDS_ZIP_END64_BYTES) return AXDS_ZIP_BAD_END64;
        record = bytes + at64;
        if (memcmp(record, "PK\6\6", 4)) return AXDS_ZIP_BAD_END64;
        if (axds_zip_u64(record + 4) != at - AXDS_ZIP_LOCATOR_BYTES - at64 - 12) return AXDS_ZIP_BAD_END64;
        if (axds_zip_u32(record + 16) || axds_zip_u32(record + 20)) return AXDS_ZIP_SPANNED;
        end->count = axds_zip_u64(record + 32);
        length = axds_zip_u64(record + 40);
        start = axds_zip_u64(record + 48);
        end->stop = at64;
    }
    if (length > end->stop || start != end->stop - length) return AXDS_ZIP_MISPLACED;
    end->start = start;
    return end->count > length / AXDS_ZIP_ENTRY_BYTES ? AXDS_ZIP_BAD_COUNT : AXDS_ZIP_FINE;
}

/* Replaces the numbers of an entry that read ffffffff by those of its zip64 extra field. */
static inline int axds_zip_read_extra(const unsigned char *extra, uint64_t length, uint64_t *numbers[3]) {
    for (uint64_t left = length; left >= 4;) {
        uint64_t field = axds_zip_u16(extra + 2);
        if (field > left - 4) return AXDS_ZIP_BAD_EXTRA;
        if (axds_zip_u16(extra) == 1) {
            const unsigned char *next = extra + 4;
            for (int i = 0; i < 3; i++) {
                if (*numbers[i] != 0xffffffffu) continue;
                if (field < 8) return AXDS_ZIP_BAD_EXTRA;
                *numbers[i] = axds_zip_u64(next);
                next += 8, field -= 8;
            }
            return AXDS_ZIP_FINE;
        }
        extra += 4 + field, left -= 4 + field;
    }
    return AXDS_ZIP_FINE;
}

static inline uint8_t axds_zip_kind(const char *name, uint64_t length, uint16_t flags, uint16_t internal,
                                    axds_zip_row *row) {
    uint8_t kind = (flags & 0x800 ? AXDS_ZIP_UTF8 : 0) | (internal & AXDS_ZIP_KEPT_BIT ? AXDS_ZIP_KEPT : 0);
    if (axds_npy_parse_name(name, length, &row->source, &row->time, &row->repeat)) kind |= AXDS_ZIP_OURS;
    else row->source = 0, row->time = 0, row->repeat = 0;
    if (length > 4 && !memcmp(name + length - 4, ".npy", 4)) length -= 4;
    if (length >= 21 && !memcmp(name + length - 21, "_00000000000000000000", 21)) kind |= AXDS_ZIP_ZERO;
    return kind;
}

/* Reads the entry at `at`; `at` then is where the next one starts. `unpacked` receives the size before compression. */
static inline int axds_zip_read_entry(const unsigned char *bytes, const axds_zip_end *end, uint64_t *at,
                                      axds_zip_row *row, uint64_t *unpacked) {
    const unsigned char *entry = bytes + *at;
    uint64_t left = end->stop - *at;
    if (left < AXDS_ZIP_ENTRY_BYTES || memcmp(entry, "PK\1\2", 4)) return AXDS_ZIP_BAD_ENTRY;
    uint64_t name = axds_zip_u16(entry + 28), extra = axds_zip_u16(entry + 30), comment = axds_zip_u16(entry + 32);
    uint16_t flags = axds_zip_u16(entry + 8), method = axds_zip_u16(entry + 10);
    left -= AXDS_ZIP_ENTRY_BYTES;
    if (name > left || extra > left - name || comment > left - name - extra) return AXDS_ZIP_BAD_ENTRY;
    memset(row, 0, sizeof *row);
    row->entry = *at;
    row->crc = axds_zip_u32(entry + 16);
    row->name_length = (uint16_t)name;
    row->size = axds_zip_u32(entry + 20);
    *unpacked = axds_zip_u32(entry + 24);
    row->offset = axds_zip_u32(entry + 42);
    uint64_t *numbers[3] = {unpacked, &row->size, &row->offset};
    int fault = axds_zip_read_extra(entry + AXDS_ZIP_ENTRY_BYTES + name, extra, numbers);
    row->kind = axds_zip_kind((const char *)entry + AXDS_ZIP_ENTRY_BYTES, name, flags,
                              axds_zip_u16(entry + 36), row);
    *at += AXDS_ZIP_ENTRY_BYTES + name + extra + comment;
    if (fault) return fault;
    if (flags & 0x2041) return AXDS_ZIP_ENCRYPTED;
    if (method != AXDS_ZIP_STORED && method != AXDS_ZIP_DEFLATED && method != AXDS_ZIP_BZIP2 && method != AXDS_ZIP_LZMA)
        return AXDS_ZIP_BAD_METHOD;
    row->method = (uint8_t)method;
    if (method == AXDS_ZIP_STORED && *unpacked != row->size) return AXDS_ZIP_BAD_SIZE;
    /* Deflate can't swell beyond 1032 times, the others to more than a message: what claims more is a trap for memory. */
    if (method == AXDS_ZIP_DEFLATED && *unpacked / 1032 > row->size) return AXDS_ZIP_BAD_SIZE;
    if (method > AXDS_ZIP_DEFLATED && *unpacked > AXDS_ZIP_LARGEST_BYTES) return AXDS_ZIP_BAD_SIZE;
    if (row->offset > end->start || row->size > end->start - row->offset) return AXDS_ZIP_BAD_SIZE;
    if (end->start - row->offset - row->size < AXDS_ZIP_MEMBER_BYTES + name) return AXDS_ZIP_BAD_SIZE;
    return AXDS_ZIP_FINE;
}

/* Reads all entries into `rows`; on a fault `bad` is the entry's number. `ordered` tells whether each member starts
 * behind the one before; if not, the caller has to look for overlaps. */
static inline int axds_zip_read_entries(const unsigned char *bytes, const axds_zip_end *end, axds_zip_row *rows,
                                        uint64_t *bad, int *ordered) {
    uint64_t at = end->start, free_from = 0, unpacked;
    *ordered = 1;
    for (uint64_t i = 0; i < end->count; i++) {
        int fault = axds_zip_read_entry(bytes, end, &at, &rows[i], &unpacked);
        *bad = i;
        if (fault) return fault;
        if (rows[i].offset < free_from) *ordered = 0;
        free_from = rows[i].offset + AXDS_ZIP_MEMBER_BYTES + rows[i].name_length + rows[i].size;
    }
    return at == end->stop ? AXDS_ZIP_FINE : AXDS_ZIP_BAD_COUNT;
}

/* Finds the stored bytes of a member, of an archive whose entries begin at `limit`. */
static inline int axds_zip_locate(const unsigned char *bytes, uint64_t limit, const axds_zip_row *row,
                                  uint64_t *start) {
    const unsigned char *member = bytes + row->offset; /* room for member and name was checked with the entry */
    if (memcmp(member, "PK\3\4", 4)) return AXDS_ZIP_BAD_MEMBER;
    uint64_t name = axds_zip_u16(member + 26), extra = axds_zip_u16(member + 28);
    if (axds_zip_u16(member + 6) & 0x2041) return AXDS_ZIP_ENCRYPTED;
    if (axds_zip_u16(member + 8) != row->method) return AXDS_ZIP_BAD_MEMBER;
    if (name != row->name_length) return AXDS_ZIP_OTHER_NAME;
    if (memcmp(member + AXDS_ZIP_MEMBER_BYTES, bytes + row->entry + AXDS_ZIP_ENTRY_BYTES, name))
        return AXDS_ZIP_OTHER_NAME;
    *start = row->offset + AXDS_ZIP_MEMBER_BYTES + name + extra;
    return *start > limit || row->size > limit - *start ? AXDS_ZIP_BAD_SIZE : AXDS_ZIP_FINE;
}

typedef struct {
    uint64_t start;        /* of the payload */
    uint64_t length;
    uint64_t time;         /* as it is stored */
} axds_zip_span;

/* Finds the payload of a message; SHORT and OTHER_ARRAY are left to numpy, which reads any header. */
static inline int axds_zip_message(const unsigned char *bytes, uint64_t limit, const axds_zip_row *row, int check,
                                   axds_zip_span *span) {
    uint64_t start = 0, first, items;
    int fault = axds_zip_locate(bytes, limit, row, &start);
    if (fault) return fault;
    if (row->method != AXDS_ZIP_STORED) return AXDS_ZIP_OTHER_ARRAY;
    if (check && axds_crc32(0, bytes + start, row->size) != row->crc) return AXDS_ZIP_BAD_CRC;
    if (!axds_npy_items(bytes + start, row->size, &first, &items)) return AXDS_ZIP_OTHER_ARRAY;
    if (items < AXDS_NPY_STAMP_BYTES) return AXDS_ZIP_SHORT;
    span->start = start + first + AXDS_NPY_STAMP_BYTES;
    span->length = items - AXDS_NPY_STAMP_BYTES;
    span->time = axds_npy_time(bytes + start + first);
    return AXDS_ZIP_FINE;
}

static inline unsigned char *axds_zip_put(unsigned char *room, uint64_t number, int count) {
    for (int i = 0; i < count; i++) *room++ = (unsigned char)(number >> (8 * i));
    return room;
}

static inline uint64_t axds_zip_member_span(uint64_t name_length, uint64_t size) {
    return AXDS_ZIP_MEMBER_BYTES + AXDS_ZIP_MEMBER_EXTRA_BYTES + name_length + size;
}

/* Writes what stands before a member's stored bytes; returns where those start. */
static inline unsigned char *axds_zip_put_member(unsigned char *room, const char *name, uint64_t name_length,
                                                 uint32_t crc, uint64_t size, int utf8) {
    memcpy(room, "PK\3\4\x2d\0\0\0\0\0\0\0\x21\0", 14);
    if (utf8) room[7] = 8;
    room = axds_zip_put(room + 14, crc, 4);
    room = axds_zip_put(room, 0xffffffffffffffffu, 8);
    room = axds_zip_put(room, name_length, 2);
    room = axds_zip_put(room, AXDS_ZIP_MEMBER_EXTRA_BYTES, 2);
    memcpy(room, name, name_length);
    room = axds_zip_put(room + name_length, 0x00100001, 4);
    room = axds_zip_put(room, size, 8);
    return axds_zip_put(room, size, 8);
}

/* Writes an entry of the central directory, at most 46 + name + 28 bytes; returns where it ends. */
static inline unsigned char *axds_zip_put_entry(unsigned char *room, const char *name, uint64_t name_length,
                                                uint32_t crc, uint64_t size, uint64_t offset, int utf8, int kept) {
    int large = size > AXDS_ZIP_LIMIT, far = offset > AXDS_ZIP_LIMIT;
    memcpy(room, "PK\1\2\x2d\3\x2d\0\0\0\0\0\0\0\x21\0", 16);
    if (utf8) room[9] = 8;
    room = axds_zip_put(room + 16, crc, 4);
    room = axds_zip_put(room, large ? 0xffffffffu : size, 4);
    room = axds_zip_put(room, large ? 0xffffffffu : size, 4);
    room = axds_zip_put(room, name_length, 2);
    room = axds_zip_put(room, large || far ? 4 + 16 * large + 8 * far : 0, 2);
    room = axds_zip_put(room, 0, 4);
    room = axds_zip_put(room, kept ? AXDS_ZIP_KEPT_BIT : 0, 2);
    room = axds_zip_put(room, 0600u << 16, 4);
    room = axds_zip_put(room, far ? 0xffffffffu : offset, 4);
    memcpy(room, name, name_length);
    room += name_length;
    if (!large && !far) return room;
    room = axds_zip_put(room, 1 | (uint64_t)(16 * large + 8 * far) << 16, 4);
    if (large) room = axds_zip_put(axds_zip_put(room, size, 8), size, 8);
    return far ? axds_zip_put(room, offset, 8) : room;
}

#endif
