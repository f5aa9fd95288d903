"""When appended bytes go to the disk: begun with soon, forced at intervals, after each batch, or when asked for."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..._core import bulk
from ...system.disk import sync_data
from ..journal.layout import Unsynced
from ..journal.renew import distrust

_STEP_BYTES = 4 * 2**20
_PAGE_BYTES = 4096


@dataclass
class _Watched:
    path: Path
    descriptor: int
    """Of the one that grows, through which it is written; -1 of those that are complete."""


class Syncer:
    """Syncs journals in a thread of its own; a failure is told once, and the journal is marked.

    After a failed fsync the kernel has dropped what it could not write: a second one would succeed and lie.
    """

    def __init__(
        self, folder: int, mode: str, interval_s: float, words: memoryview, failed: Callable[[BaseException], None]
    ) -> None:
        self._folder = folder
        self._mode = mode
        self._interval_s = interval_s
        self._words = words  # 256 rows of written, synced, bytes, dropped
        self._watched: list[_Watched] = []
        self._names_synced = True
        self._turn = threading.Lock()
        self._list = threading.Lock()
        self._work = threading.Semaphore(0)
        self._asleep = True
        self._ending = False
        self._thread = start_thread("axds-sync", self._run, failed) if mode != "none" else None

    def watch(self, path: Path, descriptor: int = -1) -> None:
        """Take a further journal into care, with the descriptor by which it grows; those before it are complete."""
        with self._list:
            for each in self._watched if descriptor >= 0 else ():
                _let_go(each)
            self._watched.append(_Watched(path, os.dup(descriptor) if descriptor >= 0 else -1))
            self._names_synced = False

    def forget(self, path: Path) -> None:
        """Leave a journal alone from now on: it is removed."""
        with self._list:
            for each in self._watched:
                if each.path == path:
                    _let_go(each)
            self._watched = [each for each in self._watched if each.path != path]

    def move(self, folder: int, directory: Path, move: Callable[[], None]) -> None:
        """Have the journals moved into another folder, while none of them is being synced."""
        with self._turn, self._list:
            move()
            self._folder = folder
            self._names_synced = False
            for each in self._watched:
                each.path = directory / each.path.name

    def wake(self) -> None:
        """Tell that something was appended."""
        if self._mode == "batch" and self._asleep:
            self._asleep = False
            self._work.release()

    def sync(self) -> None:
        """Return when everything that was appended before this call is on the disk; OSError if it can't be told."""
        with self._turn:
            written = self._words.tobytes()
            with self._list:
                opened = [(each, fd, each.descriptor < 0) for each in self._watched if (fd := _open(each)) >= 0]
                with_names, self._names_synced = not self._names_synced, True
            try:
                self._sync([fd for _, fd, _ in opened], with_names=with_names)
            finally:
                for _, fd, _ in opened:
                    os.close(fd)
            done = [each for each, _, is_complete in opened if is_complete]  # as it was before the sync
            with self._list:
                self._watched = [each for each in self._watched if each not in done]
            self._words[1::4] = memoryview(written).cast("Q")[0::4]

    def _sync(self, descriptors: list[int], *, with_names: bool) -> None:
        try:
            for fd in descriptors:
                sync_data(fd)
            if with_names:
                os.fsync(self._folder)
        except OSError:
            for fd in descriptors:  # which of them it was matters less than that none is trusted
                distrust(fd, Unsynced.JOURNAL)
            raise

    def close(self) -> None:
        """End the thread; what was appended is synced unless the mode is none."""
        self._ending = True
        if self._thread is not None:
            self._work.release()
            self._thread.join()
            self.sync()

    def _run(self) -> None:
        while not self._ending:
            self._asleep = True
            self._work.acquire(timeout=self._interval_s if self._mode == "interval" else None)
            if self._words[0::4] != self._words[1::4]:
                self.sync()


def _open(watched: _Watched) -> int:
    """Return a descriptor of a journal, to be closed; -1 if it is gone, which others notice and report."""
    if watched.descriptor >= 0:
        return os.dup(watched.descriptor)
    try:
        return os.open(watched.path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1


def _let_go(watched: _Watched) -> None:
    if watched.descriptor >= 0:
        os.close(watched.descriptor)
        watched.descriptor = -1


def start_thread(name: str, run: Callable[[], None], failed: Callable[[BaseException], None]) -> threading.Thread:
    """Start a thread whose end by any exception is told at once: what it does would silently not be done any more."""

    def guarded() -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 whatever it is, the logger ends by it
            failed(error)

    thread = threading.Thread(target=guarded, name=name, daemon=True)
    thread.start()
    return thread


class WriteBack:
    """Has the disk begin with what is appended, so that a later sync finds little left to wait for.

    In a thread of its own, for a disk that is busy makes it wait. It leaves the last page alone: that is still filled.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._fd = -1
        self._position = self._begun = 0
        self._taken: list[Path] = []
        self._work = threading.Semaphore(0)
        start_thread("axds-write-back", self._run, failed)

    def take(self, path: Path) -> None:
        """Turn to a new journal; the kernel or a sync finishes the one before."""
        self._position = 0  # before the path: the thread must not count an old position for a new journal
        self._taken.append(path)
        self._work.release()

    def grown(self, position: int) -> None:
        """Tell how far the journal goes by now."""
        if position - self._position >= _STEP_BYTES:
            self._position = position
            self._work.release()

    def _run(self) -> None:
        while True:
            self._work.acquire()
            if self._taken:
                self._turn_to(self._taken.pop(0))
            stop = self._position - self._position % _PAGE_BYTES
            if stop > self._begun:
                bulk.write_back(self._fd, self._begun, stop - self._begun)
                self._begun = stop

    def _turn_to(self, path: Path) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # nothing depends on it
            self._fd = -1
        self._begun = 0
