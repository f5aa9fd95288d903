/* How many forks lie between this process and its first ancestor: what a child inherits is its parent's to give back. */
#ifndef AXDS_FORKS_H
#define AXDS_FORKS_H

#include <pthread.h>
#include <stdint.h>

static uint64_t axds_forks = 0;

static inline void axds_forked(void) { axds_forks++; }
static inline int axds_watch_forks(void) { return pthread_atfork(NULL, NULL, axds_forked); }

#endif
