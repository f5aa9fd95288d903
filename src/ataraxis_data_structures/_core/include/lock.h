/* The lock of a block of memory that processes share, and the counters beside it.
 *
 * Linux: a robust mutex, so the kernel itself says that the holder died and the next one learns it. Re-entry is an error
 * (ERRORCHECK), not a deadlock; no PRIO_INHERIT, which costs ten times the throughput. The portable backend has a word with the
 * owner's identity instead; there, whoever waits asks the system whether the owner still lives (axds_lock_seize).
 *
 * `generation` is odd while a writer is inside: a holder that dies then may have left torn data. Half of it is the
 * version that readers wait on.
 */
#ifndef AXDS_LOCK_H
#define AXDS_LOCK_H

#include <errno.h>
#include <float.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "forks.h"
#include "futex.h"

#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 30)
#define AXDS_CLOCKLOCK /* a wait that no change of the clock can stretch; elsewhere naps take its place */
#endif
#endif

#define AXDS_CROWDED_NS 10000u        /* two collisions of one process within it: others take the lock again and again */
#define AXDS_ASIDE_NS 50000u
#define AXDS_ASIDE_TIMES 4
#define AXDS_SPINS 20                 /* about a microsecond */
#define AXDS_HUNGRY_AFTER_NS 2000000u /* a waiter that was passed over for so long is let through */
#define AXDS_HUNGRY_FOR_NS 20000000u  /* but it may have died or been stopped since it asked */

typedef struct {
    pthread_mutex_t mutex;
    uint64_t generation;
    uint64_t tear;         /* tears << 32 | low half of the generation of the last: one store, so a death counts once */
    uint32_t mended;       /* how many tears somebody has repaired */
    uint32_t waiting;      /* somebody sleeps until the generation moves */
    /* Second line: rarely written. */
    uint64_t hungry_until; /* ns; until then, nobody overtakes the one that wrote it */
    uint64_t owner;        /* portable backend: identity of the holding process */
    uint64_t owner_thread; /* meaningful to the owner only */
    uint32_t deaths;
    uint32_t mutex_bytes;  /* another C library may disagree about the size of a mutex */
} axds_lock;

static uint64_t axds_self = 0; /* portable backend: identity of this process */

static inline size_t axds_mutex_bytes(void) { return sizeof(pthread_mutex_t); }
static inline void axds_know_self(uint64_t identity) { axds_self = identity; }

static inline uint64_t axds_peek64(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline uint32_t axds_tears(const axds_lock *lock) { return (uint32_t)(axds_peek64(&lock->tear) >> 32); }
static inline uint32_t axds_mended(const axds_lock *lock) { return __atomic_load_n(&lock->mended, __ATOMIC_RELAXED); }
static inline uint32_t axds_deaths(const axds_lock *lock) { return __atomic_load_n(&lock->deaths, __ATOMIC_RELAXED); }
static inline uint64_t axds_thread(void) { return (uint64_t)(uintptr_t)pthread_self(); }

/* Any process of one segment uses the same backend, so the native mutex exists only where all of them know it. */
static inline int axds_lock_init(axds_lock *lock, int portable) {
    memset(lock, 0, sizeof *lock);
    lock->mutex_bytes = (uint32_t)sizeof lock->mutex;
    if (portable) return 0;
#ifdef __linux__
    pthread_mutexattr_t kind;
    int failed = pthread_mutexattr_init(&kind);
    if (failed) return failed;
    failed = pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    if (!failed) failed = pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    if (!failed) failed = pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    if (!failed) failed = pthread_mutex_init(&lock->mutex, &kind);
    pthread_mutexattr_destroy(&kind);
    return failed;
#else
    return ENOTSUP;
#endif
}

static inline uint32_t *axds_generation_word(axds_lock *lock) {
    uint32_t *halves = (uint32_t *)&lock->generation;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return halves + 1;
#else
    return halves;
#endif
}

/* Only the holder moves the generation, so a plain addition is enough. */
static inline void axds_write_begin(axds_lock *lock) {
    __atomic_store_n(&lock->generation, axds_peek64(&lock->generation) + 1, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* for the compiler; a death lets every store before it be seen */
}

static inline void axds_write_end(axds_lock *lock) {
    __atomic_store_n(&lock->generation, axds_peek64(&lock->generation) + 1, __ATOMIC_RELEASE);
}

/* Wakes who waits for a write that has ended. Between the store of the generation and this look at `waiting` there must be
 * a full barrier, as the waiter does both the other way round: the unlock in between is one on x86, not everywhere. */
static inline void axds_wake(axds_lock *lock) {
#if !defined(__x86_64__) && !defined(__i386__)
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
    if (!__atomic_load_n(&lock->waiting, __ATOMIC_RELAXED)) return;
    __atomic_store_n(&lock->waiting, 0, __ATOMIC_SEQ_CST);
    axds_futex_wake(axds_generation_word(lock));
}

/* The holder before us died. Each store leaves a state that the next one can go on from, should we die here too. */
static inline void axds_lock_recover(axds_lock *lock) {
    uint64_t generation = axds_peek64(&lock->generation), tear = axds_peek64(&lock->tear);
    if (generation & 1 && (uint32_t)tear != (uint32_t)generation)
        __atomic_store_n(&lock->tear, ((tear >> 32) + 1) << 32 | (uint32_t)generation, __ATOMIC_SEQ_CST);
    if (generation & 1) axds_write_end(lock);
    __atomic_exchange_n(&lock->deaths, axds_deaths(lock) + 1, __ATOMIC_SEQ_CST); /* also the barrier before the wake */
    axds_wake(lock);
}

/* A native lock call's result, with recovery: 0, or EBUSY, ETIMEDOUT, EDEADLK, or what can't be mended. */
static inline int axds_lock_settle(axds_lock *lock, int got) {
#ifdef __linux__
    if (got == EOWNERDEAD) {
        axds_lock_recover(lock);
        return pthread_mutex_consistent(&lock->mutex);
    }
#endif
    return got;
}

static inline int axds_portable_try(axds_lock *lock) {
    uint64_t nobody = 0;
    if (__atomic_compare_exchange_n(&lock->owner, &nobody, axds_self, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        __atomic_store_n(&lock->owner_thread, axds_thread(), __ATOMIC_RELAXED);
        return 0;
    }
    if (nobody == axds_self && axds_peek64(&lock->owner_thread) == axds_thread()) return EDEADLK;
    return EBUSY;
}

/* Portable backend: takes the lock from an owner that the caller knows to be dead. */
static inline int axds_lock_seize(axds_lock *lock, uint64_t dead) {
    if (!__atomic_compare_exchange_n(&lock->owner, &dead, axds_self, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return EBUSY;
    __atomic_store_n(&lock->owner_thread, axds_thread(), __ATOMIC_RELAXED);
    axds_lock_recover(lock);
    return 0;
}

static inline int axds_lock_grab(axds_lock *lock, int portable) {
    if (portable) return axds_portable_try(lock);
    int got = pthread_mutex_trylock(&lock->mutex);
    return got ? axds_lock_settle(lock, got) : 0;
}

static inline int axds_lock_hungry(const axds_lock *lock) {
    return axds_peek64(&lock->hungry_until) != 0;
}

/* Without waiting, and without overtaking a waiter that was passed over for long: 0, EBUSY, EDEADLK, or worse. */
static inline int axds_lock_try(axds_lock *lock, int portable) {
    return axds_lock_hungry(lock) ? EBUSY : axds_lock_grab(lock, portable);
}

static inline void axds_nap(uint64_t ns) {
    struct timespec nap = {0, (long)ns};
    nanosleep(&nap, NULL);
}

/* Whether somebody else still has the right to go first; an overdue claim is of one that died, and is taken away. */
static inline int axds_lock_yields(axds_lock *lock, uint64_t mine, uint64_t now) {
    uint64_t until = axds_peek64(&lock->hungry_until);
    if (!until || until == mine) return 0;
    if (now < until && until - now <= AXDS_HUNGRY_FOR_NS) return 1;
    __atomic_compare_exchange_n(&lock->hungry_until, &until, 0, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return 0;
}

static inline int axds_lock_sleep(axds_lock *lock, int portable, uint64_t slice_ns) {
#ifdef AXDS_CLOCKLOCK
    if (!portable) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += (long)slice_ns;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
        return axds_lock_settle(lock, pthread_mutex_clocklock(&lock->mutex, CLOCK_MONOTONIC, &until));
    }
#endif
    axds_nap(slice_ns < 100000 ? slice_ns : 100000);
    return axds_lock_grab(lock, portable);
}

static inline void axds_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Before the sleep in the mutex, whose price is a system call at each release: 0, or as `axds_lock_try`.
 *
 * A lock is mostly free again in a moment. But in a crowd, cores that hand its cache line to and fro get less done
 * than one alone, so whoever collides there leaves the others to it for a while. */
static inline int axds_lock_wait_briefly(axds_lock *lock, int portable, int crowded) {
    int got = EBUSY;
    for (int turn = 0; got == EBUSY && crowded && turn < AXDS_ASIDE_TIMES; turn++) {
        axds_nap(AXDS_ASIDE_NS);
        got = axds_lock_try(lock, portable);
    }
    for (int turn = 0; got == EBUSY && turn < AXDS_SPINS; turn++) {
        axds_pause();
        if (!(axds_peek64(&lock->generation) & 1)) got = axds_lock_try(lock, portable);
    }
    return got;
}

/* Waits for at most about `slice_ns` (below a second): 0, ETIMEDOUT, EDEADLK, or what can't be mended. */
static inline int axds_lock_wait(axds_lock *lock, int portable, uint64_t slice_ns, uint64_t waiting_since) {
    uint64_t mine = 0, now = axds_now_ns(), end = now + slice_ns;
    int got = ETIMEDOUT;
    for (; now < end && (got == ETIMEDOUT || got == EBUSY); now = axds_now_ns()) {
        if (axds_lock_yields(lock, mine, now)) {
            axds_nap(50000);
            continue;
        }
        if (now - waiting_since > AXDS_HUNGRY_AFTER_NS) {
            mine = now + AXDS_HUNGRY_FOR_NS;
            __atomic_store_n(&lock->hungry_until, mine, __ATOMIC_RELAXED);
        }
        got = axds_lock_sleep(lock, portable, end - now < 1000000 ? end - now : 1000000);
    }
    if (mine) __atomic_compare_exchange_n(&lock->hungry_until, &mine, 0, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return got == EBUSY ? ETIMEDOUT : got;
}

static inline int axds_lock_release(axds_lock *lock, int portable) {
    if (!portable) return pthread_mutex_unlock(&lock->mutex);
    __atomic_store_n(&lock->owner_thread, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&lock->owner, 0, __ATOMIC_SEQ_CST); /* a barrier, as the unlock above is one */
    return 0;
}

/* Sleeps while the version is `seen`, for at most `slice_ns`; returns the version now. */
static inline uint64_t axds_version_wait(axds_lock *lock, int portable, uint64_t seen, uint64_t slice_ns) {
    __atomic_store_n(&lock->waiting, 1, __ATOMIC_SEQ_CST);
    uint64_t now = __atomic_load_n(&lock->generation, __ATOMIC_SEQ_CST);
    if (now >> 1 == seen && portable) axds_poll_word(axds_generation_word(lock), (uint32_t)now, slice_ns);
    else if (now >> 1 == seen) axds_futex_wait(axds_generation_word(lock), (uint32_t)now, slice_ns);
    return __atomic_load_n(&lock->generation, __ATOMIC_ACQUIRE) >> 1;
}

/* Adds as numpy does, in the type of the element; returns 0 for a value that the type can't hold, which is numpy's. */
static inline int axds_add_real(void *items, ptrdiff_t at, ptrdiff_t item_bytes, double value) {
    if (item_bytes == 8) {
        ((double *)items)[at] += value;
        return 1;
    }
    if (item_bytes != 4 || !(value >= -FLT_MAX && value <= FLT_MAX)) return 0;
    ((float *)items)[at] += (float)value;
    return 1;
}

#define AXDS_ADD(type, low, high)                                                        \
    if (value < (low) || (value > 0 && (uint64_t)value > (uint64_t)(high))) return 0;    \
    ((type *)items)[at] = (type)((uint64_t)((type *)items)[at] + (uint64_t)value);       \
    return 1

/* The same for whole numbers, wrapping; a real type takes those that it holds exactly. */
static inline int axds_add_whole(void *items, ptrdiff_t at, char kind, ptrdiff_t item_bytes, int64_t value) {
    if (kind == 'f') {
        int64_t exact = (int64_t)1 << (item_bytes == 8 ? 53 : 24);
        return value >= -exact && value <= exact && axds_add_real(items, at, item_bytes, (double)value);
    }
    switch (kind == 'i' ? -item_bytes : item_bytes) {
    case -1: AXDS_ADD(int8_t, INT8_MIN, INT8_MAX);
    case -2: AXDS_ADD(int16_t, INT16_MIN, INT16_MAX);
    case -4: AXDS_ADD(int32_t, INT32_MIN, INT32_MAX);
    case -8: AXDS_ADD(int64_t, INT64_MIN, INT64_MAX);
    case 1: AXDS_ADD(uint8_t, 0, UINT8_MAX);
    case 2: AXDS_ADD(uint16_t, 0, UINT16_MAX);
    case 4: AXDS_ADD(uint32_t, 0, UINT32_MAX);
    case 8: AXDS_ADD(uint64_t, 0, UINT64_MAX);
    default: return 0;
    }
}

static inline double axds_get_real(const void *items, ptrdiff_t at, ptrdiff_t item_bytes) {
    return item_bytes == 8 ? ((const double *)items)[at] : ((const float *)items)[at];
}

static inline int64_t axds_get_signed(const void *items, ptrdiff_t at, ptrdiff_t item_bytes) {
    switch (item_bytes) {
    case 1: return ((const int8_t *)items)[at];
    case 2: return ((const int16_t *)items)[at];
    case 4: return ((const int32_t *)items)[at];
    default: return ((const int64_t *)items)[at];
    }
}

static inline uint64_t axds_get_unsigned(const void *items, ptrdiff_t at, ptrdiff_t item_bytes) {
    switch (item_bytes) {
    case 1: return ((const uint8_t *)items)[at];
    case 2: return ((const uint16_t *)items)[at];
    case 4: return ((const uint32_t *)items)[at];
    default: return ((const uint64_t *)items)[at];
    }
}

#endif
