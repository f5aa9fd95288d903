"""Generated trees, and a walk that compares a copy with its source without the library.

`grow` makes a tree of files, folders and links from a seed: modes, ACLs, attributes, holes, times from 1902 to 2446 and
names of any bytes. `copied_by_cp` says what `cp -r --preserve=mode,timestamps,xattr` makes of it, and `compare` lists
every right that the copy gives beyond the source's and everything that it keeps less of than `cp` does. Rights are
compared by class, as a mode is copied: owner with owner, group with group, a named user with the same one.
"""

import os
import random
import stat
import struct
import subprocess
from collections import Counter

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
OWNERS = (0, 65534, 4242)  # root, the ordinary user, a stranger
FIRST_S, LAST_S = -2145916800, 15032385535 - 86400 * 180  # 1902, and 2446 less what ext4 does not reach
PAGE = 4096
NOBODY = 0xFFFFFFFF  # the id of an entry that names nobody


def acl(entries):
    """Return the bytes of an ACL from {(tag, id or None): right}."""
    rows = [struct.pack("<HHI", tag, right, NOBODY if who is None else who) for (tag, who), right in entries]
    return struct.pack("<I", 2) + b"".join(rows)


def parsed(value):
    """Return {(tag, id): right} of an ACL's bytes."""
    return {(tag, who): right for tag, right, who in struct.iter_unpack("<HHI", value[4:])}


class Grower:
    """Makes one tree; `counts` says how often each kind was drawn."""

    def __init__(self, seed, user, counts):
        self.rng = random.Random(seed)
        self.user = user  # who transfers it, and so reads all of it
        self.counts = counts
        self.times = []  # set at the end: making a file changes its folder's

    def draw(self, kind, chance):
        if self.rng.random() >= chance:
            return False
        self.counts[kind] += 1
        return True

    def name(self):
        if self.draw("bytes name", 0.3):
            size = self.rng.choice([1, 2, 9, 255])
            drawn = bytes(self.rng.choice([c for c in range(1, 256) if c != 47]) for _ in range(size))
            if drawn not in {b".", b".."}:
                return drawn
        return f"f{self.rng.randrange(10**9)}".encode()

    def grow(self, root):
        os.mkdir(root, 0o700)
        folders = [root]
        for _ in range(self.rng.randrange(1, 5)):
            path = os.path.join(self.rng.choice(folders), self.name())
            if not os.path.lexists(path):
                os.mkdir(path, 0o700)
                folders.append(path)
                self.counts["empty folder"] += 1
        files = [
            path for path in (self.file(self.rng.choice(folders)) for _ in range(self.rng.randrange(1, 9))) if path
        ]
        if files and self.draw("hard link", 0.2):
            os.link(files[0], os.path.join(root, b"hard"))
        for _ in range(self.rng.randrange(3)):
            self.link(self.rng.choice(folders), files)
        for path in files:
            self.dress(path, is_folder=False)
        for path in reversed(folders):
            self.dress(path, is_folder=True)
        if os.geteuid() == 0:
            os.chown(root, self.user, self.user)
        os.chmod(root, stat.S_IMODE(os.stat(root).st_mode) | 0o700)  # a checksum is written into it
        for path, times in self.times:
            os.utime(path, ns=times, follow_symlinks=False)
        return root

    def file(self, folder):
        path = os.path.join(folder, self.name())
        if os.path.lexists(path):
            return None
        with open(path, "wb") as file:
            if self.draw("hole", 0.3):
                size = self.rng.choice([3 * PAGE, 40 * PAGE, 300_000, 3_000_000]) + self.rng.randrange(9)
                self.counts["small hole"] += size < 256 << 10
                file.truncate(size)
                file.seek(self.rng.randrange(size))
            if self.draw("large", 0.1):
                file.write(self.rng.randbytes(300_000))
            file.write(self.rng.randbytes(self.rng.choice([0, 1, 5000])))
        return path

    def link(self, folder, files):
        path = os.path.join(folder, self.name())
        if os.path.lexists(path):
            return
        self.counts["link"] += 1
        inside = [os.path.relpath(file, folder) for file in files]
        os.symlink(self.rng.choice([*inside, b"nowhere", b"..", self.rng.randbytes(20).replace(b"\0", b"-")]), path)
        self.time(path)

    def time(self, path):
        draws = []
        for _ in range(2):
            seconds = self.rng.randrange(FIRST_S, LAST_S)
            self.counts["old"] += seconds < 0
            self.counts["late"] += seconds >= 1 << 32
            draws.append(seconds * 10**9 + self.rng.randrange(10**9))
        self.times.append((path, tuple(draws)))

    def dress(self, path, *, is_folder):
        """Give a file or folder its owner, attributes, ACL, mode and times."""
        for number in range(self.rng.randrange(1, 4) if self.draw("attribute", 0.5) else 0):
            os.setxattr(path, f"user.rig{number}", self.rng.randbytes(self.rng.choice([0, 1, 200])))
        owner = self.rng.choice(OWNERS) if os.geteuid() == 0 else os.geteuid()
        group = self.rng.choice([owner, 12345]) if os.geteuid() == 0 else os.getegid()
        if os.geteuid() == 0:
            os.chown(path, owner, group)
        self.counts["of a stranger"] += owner != self.user
        self.mode(path, is_folder=is_folder)
        if self.draw("acl", 0.4):
            self.acl(path, ACCESS)
        if is_folder and self.draw("default acl", 0.2):
            self.acl(path, DEFAULT)
        self.open_to_user(path, is_folder=is_folder)
        self.time(path)

    def mode(self, path, *, is_folder):
        self.counts["mode"] += 1
        mode = self.rng.randrange(0o1000)
        if self.draw("set id", 0.2):
            mode |= self.rng.choice([0o4000, 0o2000, 0o6000, 0o1000])
        if not is_folder and self.draw("owner shut", 0.2):
            mode &= ~0o700
        os.chmod(path, mode)

    def acl(self, path, name):
        own = self.rng.randrange(8) | (6 if name == DEFAULT else 0)  # or a checksum would shut out who writes it
        entries = {(USER_OBJ, None): own}
        entries |= {(USER, who): self.rng.randrange(8) for who in sorted(self.rng.sample([7, 4242, 65534], 2))}
        entries |= {(GROUP_OBJ, None): self.rng.randrange(8), (GROUP, 12345): self.rng.randrange(8)}
        entries |= {(MASK, None): self.rng.randrange(8), (OTHER, None): self.rng.randrange(8)}
        os.setxattr(path, name, acl(entries.items()))

    def open_to_user(self, path, *, is_folder):
        """Add the one right that lets the user read it, by the class to which the user belongs."""
        if self.user == 0:
            return
        status, want = os.stat(path), 5 if is_folder else 4
        if status.st_uid == self.user:
            os.chmod(path, stat.S_IMODE(status.st_mode) | want << 6)
            return
        held = parsed(os.getxattr(path, ACCESS)) if ACCESS in os.listxattr(path) else {}
        own = GROUP_OBJ if status.st_gid == self.user else OTHER
        if not held:
            os.chmod(path, stat.S_IMODE(status.st_mode) | (want << 3 if own == GROUP_OBJ else want))
            return
        who = (USER, self.user) if (USER, self.user) in held else (own, NOBODY)
        held[who] |= want
        if who[0] != OTHER:
            held[MASK, NOBODY] |= want
        os.setxattr(path, ACCESS, acl(held.items()))


def picture(root):
    """Return what lies beneath a folder, and the folder itself: {path: facts}; nothing is read, so times stay."""
    found = {}
    root = os.fsencode(root)

    def look(path, name):
        status = os.lstat(path)
        facts = {"status": status, "attributes": {}, "link": None, "data": None}
        if not stat.S_ISLNK(status.st_mode):
            names = [each for each in os.listxattr(path) if each != "security.selinux"]
            facts["attributes"] = {each: os.getxattr(path, each) for each in names}
        found[name] = facts

    look(root, b"")
    pending = [b""]
    while pending:
        prefix = pending.pop()
        folder = os.open(os.path.join(root, prefix), os.O_RDONLY | os.O_NOATIME)
        for name in os.listdir(folder):
            path = os.path.join(prefix, os.fsencode(name))
            look(os.path.join(root, path), path)
            if stat.S_ISDIR(found[path]["status"].st_mode):
                pending.append(path)
        os.close(folder)
    return found


def with_data(root, found):
    """Add the contents of files and links to a picture; done last, since reading a link changes its time."""
    root = os.fsencode(root)
    for name, facts in found.items():
        if stat.S_ISLNK(facts["status"].st_mode):
            facts["link"] = os.readlink(os.path.join(root, name))
        if stat.S_ISREG(facts["status"].st_mode):
            fd = os.open(os.path.join(root, name), os.O_RDONLY | os.O_NOATIME)
            with open(fd, "rb") as file:
                facts["data"] = file.read()
    return found


def rights(facts):
    """Return {class: rights} of a file or folder, with its mask applied."""
    mode = facts["status"].st_mode
    entries = {(USER_OBJ, None): mode >> 6 & 7, (GROUP_OBJ, None): mode >> 3 & 7, (OTHER, None): mode & 7}
    if ACCESS in facts["attributes"]:
        held = parsed(facts["attributes"][ACCESS])
        mask = held.pop((MASK, NOBODY), 7)
        entries = {
            (tag, None if who == NOBODY else who): right & (7 if tag in {USER_OBJ, OTHER} else mask)
            for (tag, who), right in held.items()
        }
    return entries


def gained(name, source, copy):
    """Yield each right that a copy gives and its source does not."""
    before, after = rights(source), rights(copy)
    for who in before.keys() | after.keys():
        # who is named on one side only falls into group or other on the other side, whichever gives less there
        fallback = before[GROUP_OBJ, None] & before[OTHER, None] if who[0] in {USER, GROUP} else 0
        lesser = after[GROUP_OBJ, None] | after[OTHER, None] if who[0] in {USER, GROUP} else 0
        if after.get(who, lesser) & ~before.get(who, fallback):
            yield f"{name!r}: {who} has {after.get(who, lesser)}, had {before.get(who, fallback)}"
    ours, theirs = copy["status"], source["status"]
    if stat.S_ISREG(ours.st_mode):
        if ours.st_mode & stat.S_ISUID and not (theirs.st_mode & stat.S_ISUID and ours.st_uid == theirs.st_uid):
            yield f"{name!r}: runs as {ours.st_uid}"
        if ours.st_mode & stat.S_ISGID and not (theirs.st_mode & stat.S_ISGID and ours.st_gid == theirs.st_gid):
            yield f"{name!r}: runs as group {ours.st_gid}"
    if DEFAULT in copy["attributes"].keys() - source["attributes"].keys():
        yield f"{name!r}: a default ACL that the source has not"


def missing(name, by_cp, copy, source):
    """Yield what the copy keeps less of than cp did."""
    ours, theirs = copy["status"], by_cp["status"]
    if stat.S_IFMT(ours.st_mode) != stat.S_IFMT(theirs.st_mode):
        yield f"{name!r}: another kind"
        return
    dropped = 0
    if stat.S_ISREG(ours.st_mode):  # set-id bits of others are dropped on purpose
        dropped |= stat.S_ISUID if source["status"].st_uid != ours.st_uid else 0
        dropped |= stat.S_ISGID if source["status"].st_gid != ours.st_gid else 0
    if not stat.S_ISLNK(ours.st_mode) and (ours.st_mode ^ (theirs.st_mode & ~dropped)) & 0o7777:
        yield f"{name!r}: mode {ours.st_mode:o}, cp {theirs.st_mode:o}, source {source['status'].st_mode:o}"
    for key in ("attributes", "link", "data"):
        if copy[key] != by_cp[key]:
            yield f"{name!r}: {key} {str(copy[key])[:200]}, cp {str(by_cp[key])[:200]}"
    for time in ("st_mtime_ns", "st_atime_ns"):
        wanted = getattr(source["status"], time)
        if time == "st_atime_ns" and source["status"].st_nlink > 1:
            continue  # reading the first of two hard links changes what is read of the second
        if getattr(ours, time) != getattr(theirs, time):
            yield f"{name!r}: {time} {getattr(ours, time)}, cp {getattr(theirs, time)}, source {wanted}"
    if stat.S_ISREG(ours.st_mode) and ours.st_blocks > theirs.st_blocks + 8:
        yield f"{name!r}: {ours.st_blocks} blocks, cp {theirs.st_blocks}"


def copied_by_cp(source, target):
    """Copy a tree with cp, and return its complaints."""
    words = ["cp", "-r", "--no-target-directory", "--preserve=mode,timestamps,xattr", source, target]
    done = subprocess.run(words, check=False, capture_output=True)
    return done.stderr


def compare(source, by_cp, copy, *, without=()):
    """Return every difference, from three pictures with data."""
    if {*copy} - {*without} != {*source}:
        return [f"other names: {sorted({*copy} ^ {*source})}"]
    found = [text for name in source for text in gained(name, source[name], copy[name])]
    return found + [text for name in source for text in missing(name, by_cp[name], copy[name], source[name])]


def grow(root, seed, user=0, counts=None):
    """Make a tree from a seed that `user` may read, and return its path."""
    return Grower(seed, user, Counter() if counts is None else counts).grow(os.fsencode(root))
