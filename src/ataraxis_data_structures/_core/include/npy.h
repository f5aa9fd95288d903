/* One log message as a .npy file, the bytes that numpy.save writes for a uint8 vector.
 *
 *      0        6    8     10                                                                128  129       137
 *      +--------+----+-----+------------------------------------------------------------------+---+---------+----------+
 *      |\x93NUMPY|1 0| 118 |{'descr': '|u1', 'fortran_order': False, 'shape': (N,), }    ...\n|src| time    | payload… |
 *      +--------+----+-----+------------------------------------------------------------------+---+---------+----------+
 *
 * Numbers are little-endian, the text is filled up with spaces; N = 9 + bytes of payload.
 * Its name is `SSS_TTTTTTTTTTTTTTTTTTTT.npy`; further messages of that source and time end in `_1.npy`, `_2.npy`, ...
 */
#ifndef AXDS_NPY_H
#define AXDS_NPY_H

#include <stdint.h>
#include <string.h>

#define AXDS_NPY_HEADER_BYTES 128u
#define AXDS_NPY_STAMP_BYTES 9u                                              /* source and time */
#define AXDS_NPY_PREFIX_BYTES (AXDS_NPY_HEADER_BYTES + AXDS_NPY_STAMP_BYTES) /* all that stands before the payload */
#define AXDS_NPY_NAME_BYTES 48u                                              /* the longest name, with its end */

static const char axds_npy_lead[] = "\x93NUMPY\x01\x00";
static const char axds_npy_text[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (";
static const char axds_npy_tail[] = ",), }";

static inline unsigned axds_npy_digits(char *room, uint64_t number, unsigned at_least) {
    char reversed[20];
    unsigned count = 0;
    do reversed[count++] = (char)('0' + number % 10), number /= 10;
    while (number || count < at_least);
    for (unsigned i = 0; i < count; i++) room[i] = reversed[count - 1 - i];
    return count;
}

static inline void axds_npy_header(unsigned char *room, uint64_t items) {
    char *text = (char *)room;
    memset(text, ' ', AXDS_NPY_HEADER_BYTES - 1);
    memcpy(text, axds_npy_lead, 8);
    room[8] = AXDS_NPY_HEADER_BYTES - 10;
    room[9] = 0;
    memcpy(text + 10, axds_npy_text, sizeof axds_npy_text - 1);
    unsigned next = 10 + sizeof axds_npy_text - 1;
    next += axds_npy_digits(text + next, items, 1);
    memcpy(text + next, axds_npy_tail, sizeof axds_npy_tail - 1);
    text[AXDS_NPY_HEADER_BYTES - 1] = '\n';
}

static inline void axds_npy_stamp(unsigned char *room, uint8_t source, uint64_t time) {
    room[0] = source;
    for (int i = 0; i < 8; i++) room[1 + i] = (unsigned char)(time >> (8 * i));
}

static inline uint64_t axds_npy_time(const unsigned char *stamp) {
    uint64_t time = 0;
    for (int i = 0; i < 8; i++) time |= (uint64_t)stamp[1 + i] << (8 * i);
    return time;
}

/* Writes the AXDS_NPY_PREFIX_BYTES that stand before a payload of `length` bytes. */
static inline void axds_npy_prefix(unsigned char *room, uint8_t source, uint64_t time, uint64_t length) {
    axds_npy_header(room, AXDS_NPY_STAMP_BYTES + length);
    axds_npy_stamp(room + AXDS_NPY_HEADER_BYTES, source, time);
}

/* Writes a file name with its closing zero; `repeat` 0 is the first message of its source and time. */
static inline unsigned axds_npy_name(char *room, uint8_t source, uint64_t time, uint32_t repeat) {
    unsigned next = axds_npy_digits(room, source, 3);
    room[next++] = '_';
    next += axds_npy_digits(room + next, time, 20);
    if (repeat) {
        room[next++] = '_';
        next += axds_npy_digits(room + next, repeat, 1);
    }
    memcpy(room + next, ".npy", 5);
    return next + 4;
}

static inline int axds_npy_number(const char *text, unsigned count, uint64_t limit, uint64_t *number) {
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned digit = (unsigned)(unsigned char)text[i] - '0';
        if (digit > 9 || value > (limit - digit) / 10) return 0;
        value = value * 10 + digit;
    }
    *number = value;
    return 1;
}

/* Takes a name as axds_npy_name writes it, with or without `.npy`, apart; returns 0 for any other spelling. */
static inline int axds_npy_parse_name(const char *name, uint64_t size, uint8_t *source, uint64_t *time,
                                      uint32_t *repeat) {
    uint64_t number;
    if (size > 4 && !memcmp(name + size - 4, ".npy", 4)) size -= 4;
    if (size < 24 || size > 35 || name[3] != '_') return 0;
    if (!axds_npy_number(name, 3, 255, &number)) return 0;
    *source = (uint8_t)number;
    if (!axds_npy_number(name + 4, 20, UINT64_MAX, time)) return 0;
    *repeat = 0;
    if (size == 24) return 1;
    if (size < 26 || name[24] != '_' || name[25] == '0') return 0;
    if (!axds_npy_number(name + 25, (unsigned)size - 25, UINT32_MAX, &number)) return 0;
    *repeat = (uint32_t)number;
    return 1;
}

/* Finds the items of a whole .npy file of a uint8 vector; returns 0 for any other header that numpy may write. */
static inline int axds_npy_items(const unsigned char *bytes, uint64_t size, uint64_t *start, uint64_t *items) {
    const char *text = (const char *)bytes;
    if (size < 10 || memcmp(bytes, axds_npy_lead, 8)) return 0;
    uint64_t next = 10 + sizeof axds_npy_text - 1, stop = 10 + (bytes[8] | (uint64_t)bytes[9] << 8), digits = 0;
    if (stop > size || stop < next + sizeof axds_npy_tail + 1) return 0;
    if (memcmp(text + 10, axds_npy_text, sizeof axds_npy_text - 1)) return 0;
    while (next + digits < stop && digits < 20 && text[next + digits] >= '0' && text[next + digits] <= '9') digits++;
    if (!digits || !axds_npy_number(text + next, (unsigned)digits, UINT64_MAX, items)) return 0;
    next += digits;
    if (stop - next < sizeof axds_npy_tail || memcmp(text + next, axds_npy_tail, sizeof axds_npy_tail - 1)) return 0;
    for (next += sizeof axds_npy_tail - 1; next < stop - 1; next++)
        if (text[next] != ' ') return 0;
    if (text[stop - 1] != '\n' || *items != size - stop) return 0;
    *start = stop;
    return 1;
}

#endif
