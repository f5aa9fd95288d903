/* Give one open file or folder the mode, times, ACLs and extended attributes of another.
 *
 * A copy gives nobody more rights than its source did:
 * - set-user-id and set-group-id bits of a file are dropped where the copy has another owner or group;
 * - an ACL that the source lacks (a default of the target's folder) is removed;
 * - where the target cannot hold the source's ACL, the mode is narrowed: with an ACL the group bits of a mode are its mask.
 *
 * Attributes of users come before ACLs, and those before the mode: each may close the file to its owner.
 *
 * Labels of SELinux belong to the place and not to the file, and are left alone.
 */
#ifndef AXDS_METADATA_H
#define AXDS_METADATA_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/xattr.h>
#endif
#ifdef __APPLE__
#define st_atim st_atimespec
#define st_mtim st_mtimespec
#define st_ctim st_ctimespec
#endif
#ifndef O_NOATIME
#define O_NOATIME 0
#endif

/* What the target could not store. */
enum { AXDS_LOST_TIME = 1, AXDS_LOST_ATTRIBUTES = 2 };

#if defined(__linux__)

#define AXDS_ACL "system.posix_acl_access"
#define AXDS_DEFAULT_ACL "system.posix_acl_default"
enum { AXDS_XATTR_BYTES = 65536 }; /* the kernel's limit for a list of names and for a value */

/* Errors of an attribute that one file system has and another does not take. */
static int axds_not_kept(int code) {
    return code == EOPNOTSUPP || code == EPERM || code == EACCES || code == EINVAL || code == E2BIG || code == ERANGE ||
           code == ENOSPC || code == ENODATA || code == ENOSYS;
}

static int axds_is_acl(const char *name) {
    return !strcmp(name, AXDS_ACL) || !strcmp(name, AXDS_DEFAULT_ACL);
}

static int axds_is_ours(const char *name) { /* attributes that users set; the rest belongs to the system */
    return !strncmp(name, "user.", 5) || axds_is_acl(name);
}

static uint32_t axds_little(const unsigned char *at, int bytes) {
    uint32_t value = 0;
    while (bytes--) value = value << 8 | at[bytes];
    return value;
}

/* Return the widest mode without an ACL that gives nobody more than the mode with this ACL. */
static mode_t axds_narrowed(mode_t mode, const unsigned char *acl, ssize_t size) {
    enum { USER = 0x02, GROUP_OBJ = 0x04, GROUP = 0x08, MASK = 0x10 };
    mode_t mask = 7, group = 7, other = mode & 7;
    ssize_t at;
    for (at = 4; at + 8 <= size; at += 8)
        if (axds_little(acl + at, 2) == MASK) mask = axds_little(acl + at + 2, 2);
    for (at = 4; at + 8 <= size; at += 8) {
        mode_t right = axds_little(acl + at + 2, 2) & mask;
        uint32_t tag = axds_little(acl + at, 2);
        if (tag == GROUP_OBJ || tag == USER) group &= right;
        if (tag == GROUP || tag == USER) other &= right; /* who is named here would be one of the others */
    }
    return (mode & ~(mode_t)077) | group << 3 | other;
}

static int axds_has(const char *names, ssize_t size, const char *name) {
    ssize_t at;
    for (at = 0; at < size; at += strlen(names + at) + 1)
        if (!strcmp(names + at, name)) return 1;
    return 0;
}

static ssize_t axds_names(int fd, char *room) {
    ssize_t size = flistxattr(fd, room, AXDS_XATTR_BYTES);
    return size < 0 && axds_not_kept(errno) ? 0 : size;
}

/* Copy one attribute, and narrow the mode if it is an ACL that is not kept; return 0 or the errno. */
static int axds_put_attribute(int source, int target, const char *name, unsigned char *value, mode_t *mode, int *lost) {
    ssize_t length = fgetxattr(source, name, value, AXDS_XATTR_BYTES);
    if (length < 0) return axds_not_kept(errno) ? 0 : errno;
    if (!fsetxattr(target, name, value, length, 0)) return 0;
    if (!axds_not_kept(errno)) return errno;
    if (!strcmp(name, AXDS_ACL)) *mode = axds_narrowed(*mode, value, length);
    if (axds_is_ours(name) || !strcmp(name, "security.capability")) *lost |= AXDS_LOST_ATTRIBUTES;
    return 0;
}

/* Copy the attributes named in `names`, ACLs last; return 0 or the errno. */
static int axds_put_attributes(int source, int target, const char *names, ssize_t size, unsigned char *value,
                               mode_t *mode, int *lost) {
    ssize_t at;
    int acls, failed = 0;
    for (acls = 0; acls < 2; acls++)
        for (at = 0; !failed && at < size; at += strlen(names + at) + 1)
            if (axds_is_acl(names + at) == acls && strcmp(names + at, "security.selinux"))
                failed = axds_put_attribute(source, target, names + at, value, mode, lost);
    return failed;
}

/* Make the target's attributes those of the source; a fresh target has none yet. */
static int axds_copy_attributes(int source, int target, const struct stat *like, int fresh, mode_t *mode, int *lost) {
    char few[512];
    char *names = NULL;
    ssize_t size = flistxattr(source, few, sizeof few), held, at;
    int failed = 0;
    if (size == 0 || (size > 0 && !strcmp(few, "security.selinux") && size == (ssize_t)sizeof "security.selinux")) {
        if (fresh) return 0;
    }
    names = malloc(3 * AXDS_XATTR_BYTES);
    if (!names) return ENOMEM;
    size = axds_names(source, names);
    held = fresh ? 0 : axds_names(target, names + AXDS_XATTR_BYTES);
    if (size < 0 || held < 0) failed = errno;
    /* Attributes want write access, which the mode to come may not give. */
    if (!failed && (size || held) && fchmod(target, S_ISDIR(like->st_mode) ? 0700 : 0600)) failed = errno;
    for (at = 0; !failed && at < held; at += strlen(names + AXDS_XATTR_BYTES + at) + 1) {
        const char *name = names + AXDS_XATTR_BYTES + at;
        if (axds_is_ours(name) && !axds_has(names, size, name) && fremovexattr(target, name) && errno != ENODATA)
            failed = errno;
    }
    if (!failed)
        failed = axds_put_attributes(source, target, names, size, (unsigned char *)names + 2 * AXDS_XATTR_BYTES, mode,
                                     lost);
    free(names);
    return failed;
}

/* Return 1 if two open files have the same attributes that users set, 0 if not, -1 on failure. */
static int axds_same_attributes(int first, int second) {
    char *room = malloc(4 * AXDS_XATTR_BYTES);
    char *names[2], *values[2];
    ssize_t sizes[2], lengths[2], at;
    int side, same = 1;
    if (!room) return errno = ENOMEM, -1;
    for (side = 0; side < 2; side++) {
        names[side] = room + side * AXDS_XATTR_BYTES;
        values[side] = room + (side + 2) * AXDS_XATTR_BYTES;
        sizes[side] = axds_names(side ? second : first, names[side]);
        if (sizes[side] < 0) same = -1;
    }
    for (side = 0; same == 1 && side < 2; side++)
        for (at = 0; same == 1 && at < sizes[side]; at += strlen(names[side] + at) + 1) {
            const char *name = names[side] + at;
            if (!axds_is_ours(name)) continue;
            lengths[0] = fgetxattr(first, name, values[0], AXDS_XATTR_BYTES);
            lengths[1] = fgetxattr(second, name, values[1], AXDS_XATTR_BYTES);
            same = lengths[0] >= 0 && lengths[0] == lengths[1] && !memcmp(values[0], values[1], lengths[0]);
        }
    free(room);
    return same;
}

#else

static int axds_copy_attributes(int source, int target, const struct stat *like, int fresh, mode_t *mode, int *lost) {
    (void)source, (void)target, (void)like, (void)fresh, (void)mode, (void)lost;
    return 0;
}

static int axds_same_attributes(int first, int second) {
    (void)first, (void)second;
    return 1;
}

#endif

/* Return whether a time of access is another one; some file systems keep its day only. */
static int axds_another_day(int64_t one, int64_t other) {
    int64_t apart = one > other ? one - other : other - one;
    return apart > 2 * 86400;
}

/* Give `target` the attributes of `source` and the mode and times of `like`; return 0 or the errno. */
static int axds_copy_metadata(int source, int target, const struct stat *like, int fresh, int *lost) {
    struct stat now;
    struct timespec times[2];
    mode_t mode = like->st_mode & 07777;
    int failed = axds_copy_attributes(source, target, like, fresh, &mode, lost);
    if (failed) return failed;
    if (fstat(target, &now)) return errno;
    if (!S_ISDIR(like->st_mode)) {
        if (now.st_uid != like->st_uid) mode &= ~(mode_t)S_ISUID;
        if (now.st_gid != like->st_gid) mode &= ~(mode_t)S_ISGID;
    }
    if ((now.st_mode & 07777) != mode && fchmod(target, mode)) return errno;
    times[0] = like->st_atim;
    times[1] = like->st_mtim;
    if (futimens(target, times) || fstat(target, &now)) return errno;
    if (now.st_mtim.tv_sec != like->st_mtim.tv_sec || now.st_mtim.tv_nsec != like->st_mtim.tv_nsec ||
        axds_another_day(now.st_atim.tv_sec, like->st_atim.tv_sec))
        *lost |= AXDS_LOST_TIME;
    return 0;
}

#endif
