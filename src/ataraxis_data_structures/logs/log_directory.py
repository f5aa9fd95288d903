"""A log directory and the one lock of it, which logger, assembly and recovery hold for all of their work."""

import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from ..errors import QueueBusyError
from ..system.locks import try_lock_file, unlock_file
from ..system.process import is_alive, own_identity, pid_of, who_locks
from .owner_record import NO_WORK, OwnerRecord, RecordedQueue

Deed = Literal["logger", "assembly", "recovery"]

_WITH_ARTICLE = {"assembly": "an assembly", "recovery": "a recovery"}
_STEP_S = 0.02
_BRIEF_S = 1.0  # an assembly may take an hour: a logger that starts does not wait for it


class WorkedOnError(QueueBusyError):
    """A log directory that no other logger uses, but an assembly or recovery that is at work."""


class LogDirectory:
    """A log directory that this process has locked; the kernel gives it back when the process dies.

    Attributes:
        path: Where it is, links resolved.
        descriptor: Its descriptor, which stays right when it is renamed.
        has_locks: Whether the file system has file locks; without them, the owner record alone says who works here.
    """

    def __init__(
        self, path: Path, deed: Deed, *, queue_id: int = 0, patience_s: float = 60.0, force: bool = False
    ) -> None:
        """Take the lock; QueueBusyError while somebody else works here who does not end in time.

        It is a WorkedOnError while no other logger is known to use the directory. With a negative `patience_s` nobody
        is waited for.

        A logger process whose owner is gone ends by itself when everything is written: it is waited for as long as
        `patience_s`, and so are other assemblies and recoveries, by a logger (of the queue `queue_id`) for a second.
        `force`: without file locks, processes of other containers, which can't be asked for, are dead.
        """
        self.path = path.resolve()
        self._deed = deed
        self._queue_id = queue_id
        self._force = force
        self.descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.has_locks = True
        self._is_held = False
        try:
            self._acquire(patience_s)
            self._is_held = True
            if not self.has_locks:
                self._write_work((self._deed, own_identity()))
        except BaseException:
            self.release()
            raise

    @property
    def status(self) -> os.stat_result:
        """Device and inode, by which it is known wherever it is moved to."""
        return os.fstat(self.descriptor)

    @property
    def record(self) -> OwnerRecord:
        """What its owner record says at present."""
        return OwnerRecord.read(self.descriptor)

    def release(self) -> None:
        """Let others have the directory."""
        if self.descriptor < 0:
            return
        if self._is_held and not self.has_locks:
            self._write_work(NO_WORK)
        if self.has_locks:
            unlock_file(self.descriptor)  # closing alone would leave the lock with a child that was forked meanwhile
        os.close(self.descriptor)
        self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _acquire(self, patience_s: float) -> None:
        start = time.monotonic()
        while True:
            locked = self._try_lock()
            record = self.record
            if locked and not self._is_in_use(record):
                return
            waited_s = time.monotonic() - start
            holder = record.queues[-1] if record.queues else None
            drains = holder is not None and holder.logger_lives
            # An owner that lives may start a logger at any time.
            if any(each.owner_lives for each in self._others(record)) or waited_s > patience_s:
                raise self._busy(record)
            if self._deed == "logger" and waited_s > _BRIEF_S and not drains:
                raise self._busy(record)
            time.sleep(_STEP_S)

    def _try_lock(self) -> bool:
        if not self.has_locks:
            return True
        try:
            return try_lock_file(self.descriptor)
        except OSError:  # NFS, Lustre, vboxsf and others, as they are mounted
            self.has_locks = False
            return True

    def _is_in_use(self, record: OwnerRecord) -> bool:
        others = self._others(record)
        # The lock alone does not say so of a copy, nor of a logger process that is just ending.
        if any(each.owner_lives or each.logger_lives for each in others):
            return True
        if self.has_locks:
            return False
        is_worked_on = record.work[1] != own_identity() and is_alive(record.work[1])
        return is_worked_on or any(each.is_far and not self._force for each in others)

    def _others(self, record: OwnerRecord) -> tuple[RecordedQueue, ...]:
        return record.without(self._queue_id).without_copied(self.status).queues

    def _write_work(self, work: tuple[str, int]) -> None:
        with suppress(OSError):  # who may only read the directory may still have nothing to do
            OwnerRecord(self.record.queues, work).write(self.descriptor)

    def _busy(self, record: OwnerRecord) -> QueueBusyError:
        deed, worker = record.work
        kind = QueueBusyError
        for queue in reversed(record.queues):
            if queue.owner_lives or queue.logger_lives:
                pid = pid_of(queue.logger if queue.logger_lives else queue.owner)
                return QueueBusyError(f"expected no other logger at work in {self.path}, got process {pid}")
        if self.has_locks and not any(each.is_far for each in record.queues):
            kind = WorkedOnError
        worker = pid_of(worker) if is_alive(worker) else who_locks(self.status)
        if worker:
            what = _WITH_ARTICLE.get(deed, "an assembly or recovery")
            return kind(f"expected nobody at work in {self.path}, got {what} by process {worker}")
        for queue in reversed(record.queues):
            if queue.is_far:
                return QueueBusyError(
                    f"expected no other logger at work in {self.path}, got that of process {pid_of(queue.owner)} of "
                    f"another container, which can't be asked for from here"
                )
        return kind(f"expected nobody at work in {self.path}, got a process of another container or host")
