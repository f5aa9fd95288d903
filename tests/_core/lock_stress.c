/* Runs the words of lock.h under threads (for a race detector) or forked processes (for deaths and lost wakes).
 *
 *     lock_stress threads|processes native|portable ROUNDS
 *
 * Exits with 0 if every update arrived, every read was whole, and no wake was lost; waits are 60 s long, so that a lost
 * one ends in the alarm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
/* The detector knows pthread_mutex_timedlock but, up to GCC 12, not its twin with a choice of clock. */
#include <pthread.h>
#include <time.h>
static int known_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until) {
    struct timespec now, end;
    clock_gettime(clock, &now);
    clock_gettime(CLOCK_REALTIME, &end);
    long ns = end.tv_nsec + (until->tv_nsec - now.tv_nsec) + (until->tv_sec - now.tv_sec) * 1000000000;
    end.tv_sec += ns / 1000000000;
    end.tv_nsec = ns % 1000000000;
    return pthread_mutex_timedlock(mutex, &end);
}
#define pthread_mutex_clocklock known_clocklock
#endif

#include "lock.h"

#define ACTORS 4
#define SLICE_NS 60000000000u

typedef struct {
    axds_lock lock;
    uint64_t left, right; /* under the lock; always equal */
    axds_lock ping, pong;
} shared;

typedef struct {
    shared *memory;
    long rounds;
    int number;
} actor;

static int portable, forks;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    _exit(1);
}

static void take(axds_lock *lock) {
    static _Thread_local unsigned turn;
    int got = axds_lock_try(lock, portable);
    if (got == EBUSY) got = axds_lock_wait_briefly(lock, portable, turn++ % 16 == 0);
    while (got == EBUSY || got == ETIMEDOUT) got = axds_lock_wait(lock, portable, 20000000, axds_now_ns());
    if (got) fail("the lock could not be taken");
}

static void give(axds_lock *lock) {
    if (axds_lock_release(lock, portable)) fail("the lock could not be given back");
}

static void write_once(axds_lock *lock) {
    take(lock);
    axds_write_begin(lock);
    axds_write_end(lock);
    give(lock);
    axds_wake(lock);
}

static void *adder(void *argument) {
    actor *me = argument;
    shared *memory = me->memory;
    for (long round = 0; round < me->rounds; round++) {
        take(&memory->lock);
        if (memory->left != memory->right) fail("half a write was seen");
        if (round % 4 == 0) { /* a read */
            give(&memory->lock);
            continue;
        }
        axds_write_begin(&memory->lock);
        memory->left++;
        memory->right++;
        axds_write_end(&memory->lock);
        give(&memory->lock);
        axds_wake(&memory->lock);
    }
    return NULL;
}

static void await(axds_lock *lock, uint64_t seen) {
    while (axds_version_wait(lock, portable, seen, SLICE_NS) == seen) {}
}

/* Two of them: each sleeps until the other has written. */
static void *player(void *argument) {
    actor *me = argument;
    axds_lock *mine = me->number ? &me->memory->pong : &me->memory->ping;
    axds_lock *theirs = me->number ? &me->memory->ping : &me->memory->pong;
    for (long round = 0; round < me->rounds; round++) {
        if (me->number) await(theirs, (uint64_t)round);
        write_once(mine);
        if (!me->number) await(theirs, (uint64_t)round);
    }
    return NULL;
}

static void run(void *(*act)(void *), int count, shared *memory, long rounds) {
    actor actors[ACTORS];
    pthread_t threads[ACTORS];
    pid_t children[ACTORS];
    for (int i = 0; i < count; i++) {
        actors[i] = (actor){memory, rounds, i};
        if (!forks) {
            if (pthread_create(&threads[i], NULL, act, &actors[i])) fail("no thread");
        } else if (!(children[i] = fork())) {
            axds_know_self((uint64_t)getpid());
            act(&actors[i]);
            _exit(0);
        }
    }
    for (int i = 0; i < count; i++) {
        int status = 0;
        if (forks) waitpid(children[i], &status, 0);
        else pthread_join(threads[i], NULL);
        if (status) fail("an actor failed");
    }
}

int main(int count, char **words) {
    if (count != 4) return 2;
    forks = !strcmp(words[1], "processes");
    portable = !strcmp(words[2], "portable");
    long rounds = atol(words[3]);
    alarm(300);
    axds_watch_forks();
    axds_know_self((uint64_t)getpid());
    shared *memory = mmap(NULL, sizeof *memory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 2;
    if (axds_lock_init(&memory->lock, portable) || axds_lock_init(&memory->ping, portable)) return 2;
    if (axds_lock_init(&memory->pong, portable)) return 2;
    run(adder, ACTORS, memory, rounds);
    uint64_t written = (uint64_t)(rounds - (rounds + 3) / 4) * ACTORS;
    if (memory->left != written || memory->lock.generation != 2 * written) fail("an update was lost");
    run(player, 2, memory, rounds / 4);
    if (axds_deaths(&memory->lock)) fail("a death was seen where nobody died");
    printf("%llu updates, %ld wakes each way\n", (unsigned long long)written, rounds / 4);
    return 0;
}
