/* Two check sums: CRC-32C guards log records, CRC-32 is what zip archives demand; the processor computes
 * both where it can.
 *
 * Both work on the reflected polynomial with the usual inversion before and after, so that `seed` chains:
 * crc(crc(0, a), b) == crc(0, a + b).
 */
#ifndef AXDS_CRC_H
#define AXDS_CRC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define AXDS_POLY_CRC32  0xEDB88320u
#define AXDS_POLY_CRC32C 0x82F63B78u
#define AXDS_CRC_SLICES  16

typedef struct {
    uint32_t slice[AXDS_CRC_SLICES][256];
} axds_crc_table;

typedef struct {
    axds_crc_table crc32, crc32c;
    int has_crc32_unit, has_crc32c_unit;
} axds_crc_tables;

/* frame.pyx owns the tables and fills them at its import; the other modules borrow them. */
static const axds_crc_tables *axds_crc;

static inline void axds_crc_fill(axds_crc_table *table, uint32_t polynomial) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (polynomial & (0u - (crc & 1u)));
        table->slice[0][byte] = crc;
    }
    for (int slice = 1; slice < AXDS_CRC_SLICES; slice++)
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t before = table->slice[slice - 1][byte];
            table->slice[slice][byte] = (before >> 8) ^ table->slice[0][before & 0xFF];
        }
}

static inline uint32_t axds_crc_load32(const unsigned char *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint32_t axds_crc_by_table(const axds_crc_table *table, uint32_t seed, const void *data, size_t size) {
    const unsigned char *next = (const unsigned char *)data;
    uint32_t crc = ~seed;
    for (; size >= 16; next += 16, size -= 16) {
        uint32_t word[4];
        for (int i = 0; i < 4; i++) word[i] = axds_crc_load32(next + 4 * i);
        word[0] ^= crc;
        crc = 0;
        for (int i = 0; i < 4; i++)
            for (int byte = 0; byte < 4; byte++)
                crc ^= table->slice[15 - 4 * i - byte][(word[i] >> (8 * byte)) & 0xFF];
    }
    for (; size; size--) crc = (crc >> 8) ^ table->slice[0][(crc ^ *next++) & 0xFF];
    return ~crc;
}

#if defined(__x86_64__) && defined(__GNUC__)
#define AXDS_HAVE_CRC32C_UNIT 1
#include <nmmintrin.h>
#include <wmmintrin.h>

/* Clang wants the instruction's own name since 14; GCC before 11 does not know that name. */
#if defined(__clang__) && __clang_major__ >= 14
#define AXDS_CRC32C_TARGET __attribute__((target("sse4.2,crc32,pclmul")))
#else
#define AXDS_CRC32C_TARGET __attribute__((target("sse4.2,pclmul")))
#endif

static int axds_crc32c_unit(void) { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"); }

/* Three pieces at a time, joined by carry-less multiplication as in V. Gopal et al., "Fast CRC Computation for iSCSI
 * Polynomial Using CRC32 Instruction" (Intel, 2011). A carry over zeros multiplies by x^(8 * zeros - 33) modulo the
 * polynomial, bits reflected; tests/_core/test_crc.py derives the factors. */
#define AXDS_CRC_LEG 1024
#define AXDS_CRC32C_OVER_ONE_LEG  0x170076fa
#define AXDS_CRC32C_OVER_TWO_LEGS 0xa51b6135

AXDS_CRC32C_TARGET
static inline uint64_t axds_crc32c_carry(uint64_t crc, uint64_t factor) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)crc), _mm_cvtsi64_si128((int64_t)factor), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

AXDS_CRC32C_TARGET
static uint32_t axds_crc32c_by_unit(uint32_t seed, const void *data, size_t size) {
    const unsigned char *next = (const unsigned char *)data;
    uint64_t crc = (uint32_t)~seed, word;
    /* The unit takes a word each cycle and three for an answer: three legs at a time keep it busy. */
    for (; size >= 3 * AXDS_CRC_LEG; next += 3 * AXDS_CRC_LEG, size -= 3 * AXDS_CRC_LEG) {
        uint64_t second = 0, third = 0;
        for (size_t at = 0; at < AXDS_CRC_LEG; at += 8) {
            memcpy(&word, next + at, 8);
            crc = _mm_crc32_u64(crc, word);
            memcpy(&word, next + AXDS_CRC_LEG + at, 8);
            second = _mm_crc32_u64(second, word);
            memcpy(&word, next + 2 * AXDS_CRC_LEG + at, 8);
            third = _mm_crc32_u64(third, word);
        }
        crc = axds_crc32c_carry(crc, AXDS_CRC32C_OVER_TWO_LEGS) ^
              axds_crc32c_carry(second, AXDS_CRC32C_OVER_ONE_LEG) ^ third;
    }
    for (; size >= 8; next += 8, size -= 8) {
        memcpy(&word, next, 8);
        crc = _mm_crc32_u64(crc, word);
    }
    for (; size; size--) crc = _mm_crc32_u8((uint32_t)crc, *next++);
    return ~(uint32_t)crc;
}

/* CRC-32 by carry-less multiplication: 64 bytes at a time are folded onto the next 64, the last 16 go by table, as in
 * V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel, 2009).
 * A fold over n bits multiplies the halves by x^(n + 32) and x^(n - 32) modulo the polynomial, bits reflected in 33 bits;
 * tests/_core/test_crc.py derives the factors. */
#define AXDS_HAVE_CRC32_UNIT 1
#define AXDS_CRC32_FOLD_512_LOW  0x154442bd4
#define AXDS_CRC32_FOLD_512_HIGH 0x1c6e41596
#define AXDS_CRC32_FOLD_128_LOW  0x1751997d0
#define AXDS_CRC32_FOLD_128_HIGH 0x0ccaa009e

static int axds_crc32_unit(void) { return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"); }

__attribute__((target("pclmul,sse4.1")))
static inline __m128i axds_crc32_fold(__m128i sum, __m128i factors, __m128i onto) {
    __m128i low = _mm_clmulepi64_si128(sum, factors, 0x00), high = _mm_clmulepi64_si128(sum, factors, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), onto);
}

__attribute__((target("pclmul,sse4.1")))
static uint32_t axds_crc32_by_unit(uint32_t seed, const void *data, size_t size) {
    if (size < 64) return axds_crc_by_table(&axds_crc->crc32, seed, data, size);
    const __m128i by_512 = _mm_set_epi64x(AXDS_CRC32_FOLD_512_HIGH, AXDS_CRC32_FOLD_512_LOW);
    const __m128i by_128 = _mm_set_epi64x(AXDS_CRC32_FOLD_128_HIGH, AXDS_CRC32_FOLD_128_LOW);
    const unsigned char *next = (const unsigned char *)data;
    __m128i sum[4], rest;
    for (int i = 0; i < 4; i++) sum[i] = _mm_loadu_si128((const __m128i *)next + i);
    sum[0] = _mm_xor_si128(sum[0], _mm_cvtsi32_si128((int)~seed));
    for (next += 64, size -= 64; size >= 64; next += 64, size -= 64)
        for (int i = 0; i < 4; i++)
            sum[i] = axds_crc32_fold(sum[i], by_512, _mm_loadu_si128((const __m128i *)next + i));
    rest = sum[0];
    for (int i = 1; i < 4; i++) rest = axds_crc32_fold(rest, by_128, sum[i]);
    for (; size >= 16; next += 16, size -= 16)
        rest = axds_crc32_fold(rest, by_128, _mm_loadu_si128((const __m128i *)next));
    unsigned char folded[16];
    _mm_storeu_si128((__m128i *)folded, rest);
    uint32_t crc = axds_crc_by_table(&axds_crc->crc32, ~0u, folded, 16);
    return axds_crc_by_table(&axds_crc->crc32, crc, next, size);
}

#elif defined(__aarch64__) && defined(__GNUC__) && defined(__linux__)
#define AXDS_HAVE_CRC32C_UNIT 1
#include <arm_acle.h>
#include <sys/auxv.h>

static int axds_crc32c_unit(void) { return (getauxval(AT_HWCAP) & (1UL << 7)) != 0; /* HWCAP_CRC32 */ }

__attribute__((target("+crc")))
static uint32_t axds_crc32c_by_unit(uint32_t seed, const void *data, size_t size) {
    const unsigned char *next = (const unsigned char *)data;
    uint32_t crc = ~seed;
    uint64_t word;
    for (; size >= 8; next += 8, size -= 8) {
        memcpy(&word, next, 8);
        crc = __crc32cd(crc, word);
    }
    for (; size; size--) crc = __crc32cb(crc, *next++);
    return ~crc;
}

#define AXDS_HAVE_CRC32_UNIT 1
static int axds_crc32_unit(void) { return axds_crc32c_unit(); }

__attribute__((target("+crc")))
static uint32_t axds_crc32_by_unit(uint32_t seed, const void *data, size_t size) {
    const unsigned char *next = (const unsigned char *)data;
    uint32_t crc = ~seed;
    uint64_t word;
    for (; size >= 8; next += 8, size -= 8) {
        memcpy(&word, next, 8);
        crc = __crc32d(crc, word);
    }
    for (; size; size--) crc = __crc32b(crc, *next++);
    return ~crc;
}
#endif

/* The product of two polynomials modulo that of CRC-32C, bits reflected: the highest bit is x^0. */
static inline uint32_t axds_crc32c_times(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (uint32_t bit = 0x80000000u; bit; bit >>= 1) {
        if (a & bit) product ^= b;
        b = (b >> 1) ^ (AXDS_POLY_CRC32C & (0u - (b & 1u)));
    }
    return product;
}

/* The check of two buffers, one behind the other, of which the second has `size` bytes: one step for each bit of it. */
static inline uint32_t axds_crc32c_joined(uint32_t first, uint32_t second, uint64_t size) {
    uint32_t power = 0x00800000u; /* x^8 */
    for (; size; size >>= 1, power = axds_crc32c_times(power, power))
        if (size & 1) first = axds_crc32c_times(first, power);
    return first ^ second;
}

/* Computes with these tables, which are filled, from now on; each module calls it at its import. */
static inline void axds_crc_use(const axds_crc_tables *tables) { axds_crc = tables; }

/* Fills the tables and uses them. */
static inline void axds_crc_init(axds_crc_tables *tables) {
    axds_crc_fill(&tables->crc32, AXDS_POLY_CRC32);
    axds_crc_fill(&tables->crc32c, AXDS_POLY_CRC32C);
#ifdef AXDS_HAVE_CRC32C_UNIT
    tables->has_crc32c_unit = axds_crc32c_unit();
#endif
#ifdef AXDS_HAVE_CRC32_UNIT
    tables->has_crc32_unit = axds_crc32_unit();
#endif
    axds_crc_use(tables);
}

static inline uint32_t axds_crc32(uint32_t seed, const void *data, size_t size) {
#ifdef AXDS_HAVE_CRC32_UNIT
    if (axds_crc->has_crc32_unit) return axds_crc32_by_unit(seed, data, size);
#endif
    return axds_crc_by_table(&axds_crc->crc32, seed, data, size);
}

static inline uint32_t axds_crc32c(uint32_t seed, const void *data, size_t size) {
#ifdef AXDS_HAVE_CRC32C_UNIT
    if (axds_crc->has_crc32c_unit) return axds_crc32c_by_unit(seed, data, size);
#endif
    return axds_crc_by_table(&axds_crc->crc32c, seed, data, size);
}

#endif
