/* Sleeping until another process changes a 32-bit word; every wait is bounded, so a lost wake costs a slice.
 *
 * Where there is no futex, or once axds_futex_off is set, a wait polls the word with naps that grow to a millisecond.
 */
#ifndef AXDS_FUTEX_H
#define AXDS_FUTEX_H

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <time.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
static int axds_futex_off = 0;
#else
static int axds_futex_off = 1;
#endif

static inline uint64_t axds_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void axds_poll_word(uint32_t *word, uint32_t seen, uint64_t slice_ns) {
    uint64_t nap_ns = 20000, end = axds_now_ns() + slice_ns;
    while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == seen && axds_now_ns() < end) {
        struct timespec nap = {0, (long)nap_ns};
        if (nanosleep(&nap, NULL) && errno == EINTR) return;
        if (nap_ns < 1000000) nap_ns *= 2;
    }
}

/* Returns when the word differs from `seen`, at a wake, at a signal, or after the slice; the caller looks again. */
static inline void axds_futex_wait(uint32_t *word, uint32_t seen, uint64_t slice_ns) {
#ifdef __linux__
    if (!axds_futex_off) {
        struct timespec slice = {(time_t)(slice_ns / 1000000000u), (long)(slice_ns % 1000000000u)};
        syscall(SYS_futex, word, FUTEX_WAIT, seen, &slice, NULL, 0); /* not PRIVATE: other processes wake us */
        return;
    }
#endif
    axds_poll_word(word, seen, slice_ns);
}

static inline void axds_futex_wake(uint32_t *word) {
#ifdef __linux__
    /* Always: the process that waits may have a futex even where this one was told to do without. */
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
#else
    (void)word;
#endif
}

#endif
