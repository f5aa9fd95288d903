/* Members of an archive on their way in: from files of a folder, from another archive, from a journal. */
#ifndef AXDS_MEMBERS_H
#define AXDS_MEMBERS_H

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "zipdir.h"

enum {
    AXDS_FROM_FILE,      /* of the folder; place is the repeat in its name */
    AXDS_FROM_ARCHIVE,   /* place is where the .npy bytes start in its volume */
    AXDS_FROM_JOURNAL,   /* place is where the payload starts in its volume */
    AXDS_FROM_ELSEWHERE, /* left to the caller */
};

enum { AXDS_PACK_FINE, AXDS_PACK_FULL, AXDS_PACK_ELSEWHERE, AXDS_PACK_ERRNO, AXDS_PACK_NO_MESSAGE, AXDS_PACK_CHANGED };

typedef struct {
    uint64_t time;
    uint64_t place;
    uint64_t size;       /* of the .npy file; of a FILE it is found when it is read */
    uint32_t crc;        /* found when it is packed, but that of an ARCHIVE is known and checked */
    uint32_t repeat;     /* in the name it gets */
    uint8_t source;
    uint8_t origin;
    uint16_t volume;
    uint8_t kept;        /* whether the source stays beside the archive */
    uint8_t unused[3];
} axds_member;

typedef struct {
    const unsigned char *bytes;
    uint64_t size;
} axds_volume;

static inline int axds_read_whole(int fd, unsigned char *room, uint64_t size) {
    while (size) {
        ssize_t got = read(fd, room, size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return AXDS_PACK_ERRNO;
        if (!got) return AXDS_PACK_CHANGED;
        room += got, size -= (uint64_t)got;
    }
    return AXDS_PACK_FINE;
}

/* Reads the member's file to where its bytes will stand; its size is known afterwards. */
static inline int axds_read_file(int folder, axds_member *member, unsigned char *room, uint64_t left, uint64_t lead) {
    char name[AXDS_NPY_NAME_BYTES];
    struct stat status;
    axds_npy_name(name, member->source, member->time, (uint32_t)member->place);
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK), fault = AXDS_PACK_FINE; /* a pipe is no message */
    if (fd < 0) return AXDS_PACK_ERRNO;
    if (fstat(fd, &status)) fault = AXDS_PACK_ERRNO;
    else if (!S_ISREG(status.st_mode)) fault = AXDS_PACK_NO_MESSAGE;
    else {
        member->size = (uint64_t)status.st_size;
        if (lead > left || member->size > left - lead) fault = AXDS_PACK_FULL;
        else fault = axds_read_whole(fd, room + lead, member->size);
    }
    int error = errno;
    close(fd);
    errno = error;
    return fault;
}

static inline int axds_fill_member(int folder, const axds_volume *volume, axds_member *member, unsigned char *room,
                                   uint64_t left, uint64_t lead) {
    uint64_t first, items;
    unsigned char *file = room + lead;
    if (member->origin == AXDS_FROM_FILE) {
        int fault = axds_read_file(folder, member, room, left, lead);
        if (fault) return fault;
        if (!axds_npy_items(file, member->size, &first, &items) || items < AXDS_NPY_STAMP_BYTES)
            return AXDS_PACK_NO_MESSAGE;
        member->crc = axds_crc32(0, file, member->size);
        return AXDS_PACK_FINE;
    }
    if (lead > left || member->size > left - lead) return AXDS_PACK_FULL;
    const unsigned char *from = volume[member->volume].bytes + member->place;
    if (member->origin == AXDS_FROM_JOURNAL) {
        uint64_t length = member->size - AXDS_NPY_PREFIX_BYTES;
        axds_npy_prefix(file, member->source, member->time, length);
        memcpy(file + AXDS_NPY_PREFIX_BYTES, from, length);
        member->crc = axds_crc32(0, file, member->size);
        return AXDS_PACK_FINE;
    }
    memcpy(file, from, member->size);
    return axds_crc32(0, file, member->size) == member->crc ? AXDS_PACK_FINE : AXDS_PACK_CHANGED;
}

/* Packs members from `*next` on into `room` until it is full; `*used` bytes of it are filled. */
static inline int axds_pack(int folder, const axds_volume *volume, axds_member *members, uint64_t *next, uint64_t stop,
                            unsigned char *room, uint64_t size, uint64_t *used) {
    char name[AXDS_NPY_NAME_BYTES];
    for (; *next < stop; ++*next) {
        axds_member *member = members + *next;
        if (member->origin == AXDS_FROM_ELSEWHERE) return AXDS_PACK_ELSEWHERE;
        unsigned length = axds_npy_name(name, member->source, member->time, member->repeat);
        uint64_t lead = axds_zip_member_span(length, 0);
        int fault = axds_fill_member(folder, volume, member, room + *used, size - *used, lead);
        if (fault) return fault;
        axds_zip_put_member(room + *used, name, length, member->crc, member->size, 0);
        *used += lead + member->size;
    }
    return AXDS_PACK_FINE;
}

/* Holds the members from `*next` on against what was packed; `*used` bytes of it were looked at. */
static inline int axds_check(const axds_member *members, uint64_t *next, uint64_t stop, const unsigned char *packed,
                             uint64_t size, uint64_t *used) {
    unsigned char head[AXDS_ZIP_MEMBER_BYTES + AXDS_ZIP_MEMBER_EXTRA_BYTES + AXDS_NPY_NAME_BYTES];
    char name[AXDS_NPY_NAME_BYTES];
    for (; *next < stop; ++*next) {
        const axds_member *member = members + *next;
        unsigned length = axds_npy_name(name, member->source, member->time, member->repeat);
        uint64_t lead = axds_zip_member_span(length, 0);
        if (lead > size - *used || member->size > size - *used - lead) return 1;
        axds_zip_put_member(head, name, length, member->crc, member->size, 0);
        if (memcmp(head, packed + *used, lead)) return 0;
        if (axds_crc32(0, packed + *used + lead, member->size) != member->crc) return 0;
        *used += lead + member->size;
    }
    return 1;
}

/* Removes the members' files; one that is gone already is none to remove. */
static inline int axds_unlink(int folder, const axds_member *members, uint64_t *next, uint64_t stop) {
    char name[AXDS_NPY_NAME_BYTES];
    for (; *next < stop; ++*next) {
        axds_npy_name(name, members[*next].source, members[*next].time, (uint32_t)members[*next].place);
        if (unlinkat(folder, name, 0) && errno != ENOENT) return errno;
    }
    return 0;
}

#endif
