"""The owner record of a log directory: which queues' messages belong to it, and who works there now.

It is one file while messages of the log may be elsewhere, in shared memory. A queue is known by its random number, the
directory by device, inode and path: one that was renamed or mounted elsewhere is the same, a copy is not.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from ..errors import CopiedLogError
from ..system import process
from ..system.disk import read_record_file
from ..system.process import is_alive

OWNER_RECORD = ".axds-logger.json"
NO_WORK = ("", 0)


@dataclass(frozen=True, slots=True)
class RecordedQueue:
    """A queue whose messages belong to a log directory, and where that directory was."""

    queue: str
    queue_id: int
    owner: int
    """Identity of the process that made the queue."""
    logger: int
    """Identity of the last logger process."""
    storage: str
    boot_id: str
    pid_namespace: int
    path: str
    device: int
    inode: int

    @property
    def owner_lives(self) -> bool:
        """Whether the owner is known to live; one of another boot or pid namespace is not."""
        return self._is_near and is_alive(self.owner)

    @property
    def logger_lives(self) -> bool:
        """Whether the logger process is known to live."""
        return self._is_near and is_alive(self.logger)

    @property
    def of_this_boot(self) -> bool:
        """Whether the shared memory of its queue may still be there."""
        return self.boot_id == process.boot_id().hex()

    @property
    def is_far(self) -> bool:
        """Whether its processes, in another pid namespace, can't be asked for."""
        return self.of_this_boot and self.pid_namespace != process.pid_namespace()

    @property
    def _is_near(self) -> bool:
        return self.of_this_boot and not self.is_far


@dataclass(frozen=True, slots=True)
class OwnerRecord:
    """What the file holds: queues, the latest one last, and the assembly or recovery that is at work, if one is."""

    queues: tuple[RecordedQueue, ...] = ()
    work: tuple[str, int] = NO_WORK
    """What is done, and the identity of the process that does it."""

    @classmethod
    def read(cls, directory: Path | int) -> Self:
        """Return the record of a directory; an empty one if there is none, or if it is damaged."""
        try:
            found = json.loads(_read(directory) or b"{}")
        except (OSError, ValueError, RecursionError):
            return cls()
        if not isinstance(found, dict):
            return cls()
        rows = found.get("queues")
        queues = [_queue(row) for row in rows] if isinstance(rows, list) else []
        return cls(tuple(filter(None, queues)), _work(found.get("work")))

    def write(self, directory: int) -> None:
        """Put the record in place of the one that is there; none if it says nothing. The caller holds the directory."""
        temporary = f"{OWNER_RECORD}.tmp"
        if not self.queues and self.work == NO_WORK:
            for name in (OWNER_RECORD, temporary):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=directory)
            return
        rows = [asdict(queue) for queue in self.queues]
        data = json.dumps({"queues": rows, "work": list(self.work)}).encode() + b"\n"
        # Not synced: after a power cut there is no shared memory that it could lead to.
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666, dir_fd=directory)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
        os.rename(temporary, OWNER_RECORD, src_dir_fd=directory, dst_dir_fd=directory)

    def with_queue(self, queue: RecordedQueue) -> Self:
        """Return the record with a queue, at work now, as its latest one, in place of the same queue's entry."""
        return replace(self, queues=(*self.without(queue.queue_id).queues, queue), work=NO_WORK)

    def without(self, *queue_ids: int) -> Self:
        """Return the record without some queues, of which nothing is left."""
        return replace(self, queues=tuple(each for each in self.queues if each.queue_id not in queue_ids))

    def refuse_copy(self, path: Path, status: os.stat_result) -> None:
        """Raise CopiedLogError if this record was copied from a directory that is still there."""
        for queue in self.queues:
            original = None if _is_same(queue, status) else _original(queue)
            if original is not None:
                raise CopiedLogError(
                    f"expected the directory that the logger wrote to, {original}, got a copy of it, {path}: its last "
                    f"messages are the original's; recover that one, or remove {OWNER_RECORD} from the copy"
                )

    def without_copied(self, status: os.stat_result) -> Self:
        """Return the record without the queues of another directory, of which this one is a copy."""
        kept = [each for each in self.queues if _is_same(each, status) or _original(each) is None]
        return replace(self, queues=tuple(kept))


def _read(directory: Path | int) -> bytes:
    if isinstance(directory, Path):
        return read_record_file(directory / OWNER_RECORD)
    fd = os.open(OWNER_RECORD, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
    with open(fd, "rb") as file:  # noqa: PTH123 relative to a folder
        return file.read()


def _queue(row: Any) -> RecordedQueue | None:
    """Return a queue as it was written; None for anything else."""
    if not isinstance(row, dict):
        return None
    values: dict[str, Any] = {field.name: row.get(field.name) for field in fields(RecordedQueue)}
    if any(type(values[field.name]) is not field.type for field in fields(RecordedQueue)):
        return None
    return RecordedQueue(**values)


def _work(found: Any) -> tuple[str, int]:
    if isinstance(found, list) and len(found) == len(NO_WORK) and [*map(type, found)] == [str, int]:
        return found[0], found[1]
    return NO_WORK


def _is_same(queue: RecordedQueue, status: os.stat_result) -> bool:
    return (queue.device, queue.inode) == (status.st_dev, status.st_ino)


def _original(queue: RecordedQueue) -> Path | None:
    """Return where the recorded directory is now, if it is at its path or beside it under another name."""
    recorded = Path(queue.path)
    try:
        with os.scandir(recorded.parent) as entries:
            beside = [Path(entry.path) for entry in entries if entry.inode() == queue.inode]
    except OSError:
        beside = []
    for place in (recorded, *beside):
        try:
            found = _is_same(queue, place.stat())
        except OSError:
            continue
        if found and queue.queue_id in {each.queue_id for each in OwnerRecord.read(place).queues}:
            return place
    return None
