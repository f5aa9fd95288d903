"""When appended bytes go to the disk: begun with soon, forced at intervals, after each batch, or when asked for."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from ..._core import bulk
from ...system.disk import sync_data, sync_folder

_STEP_BYTES = 4 * 2**20
_PAGE_BYTES = 4096


class Syncer:
    """Syncs journals in a thread of its own; a failure is told once and never tried again.

    After a failed fsync the kernel has dropped what it could not write: a second one would succeed and lie.
    """

    def __init__(
        self, directory: Path, mode: str, interval_s: float, words: memoryview, failed: Callable[[OSError], None]
    ) -> None:
        self._directory = directory
        self._mode = mode
        self._interval_s = interval_s
        self._words = words  # 256 rows of written, synced, bytes, dropped
        self._failed = failed
        self._paths: list[Path] = []
        self._names_synced = True
        self._turn = threading.Lock()
        self._work = threading.Semaphore(0)
        self._asleep = True
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="axds-sync", daemon=True)
        if mode != "none":
            self._thread.start()

    def watch(self, path: Path) -> None:
        """Take a further journal into care; those before it are complete."""
        self._paths = [*self._paths, path]
        self._names_synced = False

    def wake(self) -> None:
        """Tell that something was appended."""
        if self._mode == "batch" and self._asleep:
            self._asleep = False
            self._work.release()

    def sync(self) -> None:
        """Return when everything that was appended before this call is on the disk; OSError if it can't be told."""
        with self._turn:
            written = self._words.tobytes()
            paths = self._paths
            for path in paths:
                _sync_file(path)
            if not self._names_synced:
                self._names_synced = True
                sync_folder(self._directory)
            self._paths = self._paths[len(paths) - 1 :] if paths else self._paths
            self._words[1::4] = memoryview(written).cast("Q")[0::4]

    def close(self) -> None:
        """End the thread; what was appended is synced unless the mode is none."""
        self._ending = True
        self._work.release()
        if self._mode != "none":
            self._thread.join()
            self.sync()

    def _run(self) -> None:
        try:
            while not self._ending:
                self._asleep = True
                self._work.acquire(timeout=self._interval_s if self._mode == "interval" else None)
                if self._words[0::4] != self._words[1::4]:
                    self.sync()
        except OSError as error:
            self._failed(error)


class WriteBack:
    """Has the disk begin with what is appended, so that a later sync finds little left to wait for.

    In a thread of its own, for a disk that is busy makes it wait. It leaves the last page alone: that is still filled.
    """

    def __init__(self) -> None:
        self._fd = -1
        self._position = self._begun = 0
        self._taken: list[Path] = []
        self._work = threading.Semaphore(0)
        threading.Thread(target=self._run, name="axds-write-back", daemon=True).start()

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


def _sync_file(path: Path) -> None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # its messages were expanded, synced, and it was removed
        return
    try:
        sync_data(fd)
    finally:
        os.close(fd)
