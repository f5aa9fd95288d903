"""Named blocks of memory: who made them, who maps them, and when one is left over."""

# [payload][zeros to a page][description][zeros to a page][header, one page]
#
# The payload begins at byte 0, as foreign readers of the name expect. The header is found from the end of the file:
#     0  magic 8s | version u32 | kind u32 | id u64 | payload bytes u64 | description bytes u64
#    40  creator: pid u32, backend u32, start time u64, boot 16s, pid namespace u64
#    80  CRC-32 of the description u32 | CRC-32 of bytes 0..84 u32 | from 128 on: the kind's own lock and counters
#
# Whoever maps a segment holds a shared flock: a mmap object owns a duplicate of the descriptor, so the lock lives
# exactly as long as the mapping, a fork inherits both, the kernel drops both at death. Without the lock it is stale.

import enum
import errno
import json
import mmap
import os
import stat
import struct
import zlib
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, Self

from .._core.bulk import MappedFile
from ..errors import SegmentError
from ..system import locks, platform, process
from ..system.disk import allocate, give_name

PAGE = 4096
HEADER_ROOM = 128  # where the kind's own part of the header begins

_MAGIC = b"axdsmem\0"
_VERSION = 1
_HEAD = struct.Struct("<8sIIQQQIIQ16sQI")
_CHECK = struct.Struct("<I")


class Kind(enum.IntEnum):
    """What a segment holds."""

    ARRAY = 1
    QUEUE = 2
    LANE = 3


class Header(NamedTuple):
    """The fixed part of a segment's header, as read and checked."""

    kind: Kind
    id: int
    size_bytes: int
    description_bytes: int
    creator_pid: int
    creator_start: int
    boot: bytes
    pid_namespace: int
    portable: bool
    description_check: int


class Segment:
    """A named block of shared memory that this process maps.

    Attributes:
        payload: the writable bytes at the front; views of it keep the mapping alive after `close`.
        header: the writable page that ends the block; the room of its kind begins at HEADER_ROOM.
    """

    __slots__ = ("_head", "description", "header", "name", "payload")

    def __init__(self, name: str, head: Header, mapping: mmap.mmap | MappedFile) -> None:
        view = memoryview(mapping)
        begin = _pages(head.size_bytes)
        self.name = name
        self._head = head
        self.payload: memoryview = view[: head.size_bytes]
        self.description: bytes = bytes(view[begin : begin + head.description_bytes])
        self.header: memoryview = view[len(view) - PAGE :]

    @classmethod
    def create(
        cls,
        name: str,
        size_bytes: int,
        *,
        kind: Kind,
        description: bytes = b"",
        replace: bool = False,
        prepare: Callable[[Self], None] | None = None,
    ) -> Self:
        """Make a block of zeros, let `prepare` fill it, and only then give it its name.

        FileExistsError if the name is taken by a segment that somebody maps, or by anything else that is not ours,
        unless `replace` is given. OSError with ENOSPC if the memory is not there.
        """
        check_name(name)
        head = _new_header(kind, size_bytes, description)
        descriptor, hidden = _open_nameless(head.id)
        try:
            _allocate(descriptor, _pages(size_bytes) + _pages(len(description)) + PAGE)
            segment = cls(name, head, _map(descriptor, head, description))
            if prepare is not None:
                prepare(segment)
            _publish(descriptor, hidden, name, replace=replace)
        finally:
            if hidden is not None:
                _remove(hidden)
            os.close(descriptor)
        return segment

    @classmethod
    def attach(
        cls,
        name: str,
        *,
        id: int | None = None,  # noqa: A002 as in the header
        kind: Kind | None = None,
        in_use: bool = True,
    ) -> Self:
        """Map a block by name; FileNotFoundError if there is none, or if `id` says that it was created again.

        SegmentError if it is foreign, damaged, of another kind, or made through the other backend. Without `in_use`,
        the mapping costs no descriptor, and does not keep a sweep from the name.
        """
        check_name(name)
        descriptor = _open_named(name)
        try:
            head = read_header(descriptor, name)
            if id is not None and head.id != id:
                raise FileNotFoundError(
                    f"expected segment {name!r} with id {id:016x}, got {head.id:016x}: created anew"
                )
            if kind is not None and head.kind != kind:
                raise SegmentError(f"expected {name!r} to hold {kind.name}, got {head.kind.name}")
            if head.portable != platform.PORTABLE:
                raise SegmentError(
                    f"expected {name!r} of the same backend, got {'portable' if head.portable else 'native'}"
                )
            size = os.fstat(descriptor).st_size
            segment = cls(
                name, head, mmap.mmap(descriptor, size) if in_use else MappedFile(descriptor, size, writable=True)
            )
        finally:
            os.close(descriptor)
        if zlib.crc32(segment.description) != head.description_check:
            raise SegmentError(f"expected an intact description in {name!r}, got a wrong check sum")
        return segment

    @classmethod
    def attach_removed(cls, name: str, kind: Kind, is_it: Callable[[dict[str, Any]], bool]) -> Self:
        """Map a block whose name was removed while a process maps it, known by its description.

        FileNotFoundError if no process of this user has such a block open.
        """
        for descriptor in process.open_removed(platform.FOLDER):
            try:
                head = peek_descriptor(descriptor, name)
                if head is None or head.kind != kind or head.portable != platform.PORTABLE:
                    continue
                size = os.fstat(descriptor).st_size
                segment = cls(name, head, MappedFile(descriptor, size, writable=True))
            finally:
                os.close(descriptor)
            if zlib.crc32(segment.description) == head.description_check and is_it(described(segment.description)):
                return segment
        raise FileNotFoundError(f"expected a segment called {name!r}, got none, not even one that lost its name")

    @property
    def id(self) -> int:
        """The random number by which this block differs from all others of its name."""
        return self._head.id

    @property
    def kind(self) -> Kind:
        """What the block holds."""
        return self._head.kind

    @property
    def size_bytes(self) -> int:
        """The size of the payload."""
        return self._head.size_bytes

    @property
    def head(self) -> Header:
        """Who made it, when and where."""
        return self._head

    def close(self) -> None:
        """Drop this object's hold; the mapping ends with the last view of it."""
        self.payload = self.header = memoryview(b"")

    def unlink(self) -> None:
        """Take the name away if it still means this block; nothing happens otherwise."""
        unlink(self.name, self.id)


def unlink(name: str, id: int) -> None:  # noqa: A002 as in the header
    """Take a name away if it still means the block with this id."""
    with locks.names_lock():
        head = peek(name)
        if head is not None and head.id == id:
            _remove(name)


def described(description: bytes) -> dict[str, Any]:
    """Return the facts in a description; none in that of another program, or a damaged one."""
    try:
        found = json.loads(description)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def creator_alive(name: str, head: Header) -> bool:
    """Tell whether the process that made a block still runs.

    Where its pid belongs to another namespace only the lock of the block can tell: a lock that nobody holds proves the
    creator dead, one that is held proves nothing, and the creator counts as alive.
    """
    if head.boot != process.boot_id():
        return False
    if head.pid_namespace == process.pid_namespace():
        return process.is_alive(process.identity(head.creator_pid, head.creator_start))
    return not is_stale(name)


def list_segments(names: Collection[str] | None = None) -> list[str]:
    """Return the names of all intact segments of this library, among those that an earlier look found if given."""
    return sorted(name for name in (list_names() if names is None else names) if peek(name) is not None)


def list_names() -> list[str]:
    """Return the names in the folder, whatever they are of."""
    return os.listdir(platform.FOLDER)  # noqa: PTH208 names, not paths


def is_stale(name: str) -> bool:
    """Tell whether a segment of ours has this name and no live process maps it."""
    with locks.names_lock():
        return is_unmapped(name)


def is_unmapped(name: str) -> bool:
    """`is_stale` for a caller that holds the names lock: two probes at once would take each other for a user."""
    try:
        descriptor = os.open(platform.FOLDER / name, _FLAGS)
    except OSError:
        return False
    try:
        if peek_descriptor(descriptor, name) is None or not locks.try_lock_file(descriptor):
            return False
        locks.unlock_file(descriptor)
        return True
    finally:
        os.close(descriptor)


def peek(name: str) -> Header | None:
    """Return the header of a named block without mapping it; None if it is absent, foreign or damaged."""
    try:
        descriptor = os.open(platform.FOLDER / name, _FLAGS)
    except OSError:
        return None
    try:
        return peek_descriptor(descriptor, name)
    finally:
        os.close(descriptor)


def peek_descriptor(descriptor: int, name: str) -> Header | None:
    """Return the header behind a descriptor; None if it is foreign or damaged."""
    try:
        return read_header(descriptor, name)
    except SegmentError:
        return None


def read_header(descriptor: int, name: str) -> Header:
    """Read and check the fixed part of a header; every number is in range when it returns."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size < PAGE or status.st_size % PAGE:
        raise SegmentError(f"expected {name!r} to be a segment of whole pages, got {status.st_size} bytes")
    raw = os.pread(descriptor, HEADER_ROOM, status.st_size - PAGE)
    if len(raw) < HEADER_ROOM or raw[:8] != _MAGIC:
        raise SegmentError(f"expected {name!r} to be a segment of this library, got foreign bytes")
    _, version, kind, number, size, described, pid, portable, start, boot, namespace, check = _HEAD.unpack_from(raw)
    if version != _VERSION:
        raise SegmentError(f"expected segment version {_VERSION} in {name!r}, got {version}")
    if _CHECK.unpack_from(raw, _HEAD.size)[0] != zlib.crc32(raw[: _HEAD.size]):
        raise SegmentError(f"expected an intact header in {name!r}, got a wrong check sum")
    if kind not in Kind.__members__.values() or _pages(size) + _pages(described) + PAGE != status.st_size:
        raise SegmentError(
            f"expected the sizes in {name!r} to add up to {status.st_size} bytes, got {size} + {described}"
        )
    return Header(Kind(kind), number, size, described, pid, start, boot, namespace, bool(portable), check)


def check_name(name: str) -> None:
    """ValueError unless the name can be that of a segment."""
    if not isinstance(name, str):
        raise TypeError(f"expected a segment name of type str, got {type(name).__name__}")
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(os.fsencode(name)) > 255:
        raise ValueError(f"expected a segment name of 1 to 255 bytes without a slash, got {name!r}")


_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK  # neither a link nor a pipe of that name may fool or block us


def _pages(size_bytes: int) -> int:
    return (size_bytes + PAGE - 1) // PAGE * PAGE


def _new_header(kind: Kind, size_bytes: int, description: bytes) -> Header:
    if size_bytes < 0:
        raise ValueError(f"expected a size of at least 0 bytes, got {size_bytes}")
    return Header(
        kind=kind,
        id=int.from_bytes(os.urandom(8), "little") | 1,
        size_bytes=size_bytes,
        description_bytes=len(description),
        creator_pid=os.getpid(),
        creator_start=process.start_time(os.getpid()),
        boot=process.boot_id(),
        pid_namespace=process.pid_namespace(),
        portable=platform.PORTABLE,
        description_check=zlib.crc32(description),
    )


def _map(descriptor: int, head: Header, description: bytes) -> mmap.mmap:
    mapping = mmap.mmap(descriptor, 0)
    begin = _pages(head.size_bytes)
    mapping[begin : begin + len(description)] = description
    packed = _HEAD.pack(
        _MAGIC, _VERSION, head.kind, head.id, head.size_bytes, head.description_bytes, head.creator_pid, head.portable,
        head.creator_start, head.boot, head.pid_namespace, head.description_check,
    )  # fmt: skip
    packed += _CHECK.pack(zlib.crc32(packed))
    begin = len(mapping) - PAGE
    mapping[begin : begin + len(packed)] = packed
    return mapping


def _open_nameless(number: int) -> tuple[int, str | None]:
    """Open a block, in use at once, without a name or, where the system has no such thing, with a hidden one."""
    if not platform.PORTABLE:
        descriptor = os.open(platform.FOLDER, os.O_TMPFILE | os.O_RDWR, 0o600)
        locks.lock_file(descriptor, locks.SHARED)
        return descriptor, None
    hidden = f".axds-{number:016x}"  # without a header no sweep takes it, and it gets one once it is locked
    descriptor = os.open(platform.FOLDER / hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    locks.lock_file(descriptor, locks.SHARED)
    return descriptor, hidden


def _allocate(descriptor: int, size_bytes: int) -> None:
    """Take the memory now: later, a full file system would be a SIGBUS at the first touch of a page."""
    if not platform.PORTABLE:
        allocate(descriptor, size_bytes)
        return
    room = os.fstatvfs(descriptor)
    if size_bytes > room.f_bavail * room.f_frsize:
        raise OSError(errno.ENOSPC, f"expected {size_bytes} bytes of shared memory, got less")
    zeros = bytes(min(size_bytes, 1 << 20))
    written = 0
    while written < size_bytes:
        written += os.pwrite(descriptor, zeros[: size_bytes - written], written)


def _publish(descriptor: int, hidden: str | None, name: str, *, replace: bool) -> None:
    """Give a block its name. A link never replaces one, and the block is in use: a name that is free needs no lock."""
    if _link(descriptor, hidden, name):
        return
    with locks.names_lock():
        while not _link(descriptor, hidden, name):
            if not replace and not is_unmapped(name) and os.path.lexists(platform.FOLDER / name):
                raise FileExistsError(f"expected the name {name!r} to be free, got a segment or file that is in use")
            _remove(name)


def _link(descriptor: int, hidden: str | None, name: str) -> bool:
    try:
        if hidden is None:
            give_name(descriptor, platform.FOLDER / name)
        else:
            os.link(platform.FOLDER / hidden, platform.FOLDER / name, follow_symlinks=False)
    except FileExistsError:
        return False
    return True


def _open_named(name: str) -> int:
    """Open the block that has this name now, and hold it in use."""
    while True:
        try:
            descriptor = os.open(platform.FOLDER / name, _FLAGS)
        except FileNotFoundError:
            raise FileNotFoundError(f"expected a segment called {name!r}, got none") from None
        except PermissionError:
            raise
        except OSError as error:  # a folder, a link, a pipe
            raise SegmentError(f"expected a segment called {name!r}, got {error.strerror}") from error
        try:
            locks.lock_file(descriptor, locks.SHARED)
            # Between opening and locking it may have been swept: then it has no name any more.
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _remove(name: str) -> None:
    (platform.FOLDER / name).unlink(missing_ok=True)
