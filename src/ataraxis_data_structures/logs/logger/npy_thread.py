"""The thread that turns journals of storage `npy` into files behind the writer's back."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..journal.npy_files import Expansion
from .sync import start_thread

_AGAIN_S = 0.1


class Expander:
    """Works through journals in their order; the last one may still grow."""

    def __init__(
        self,
        boot_id: bytes,
        give_up_s: float,
        *,
        made: Callable[[], None],
        removes: Callable[[Path], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Start the thread.

        `made` hears of each file, `removes` of a journal that is about to go, `failed` of an end by an exception.
        """
        self._boot_id = boot_id
        self._give_up_s = give_up_s
        self._made = made
        self._removes = removes
        self._taken: list[Expansion] = []  # by others, for the thread
        self._expansions: list[Expansion] = []
        self._frontiers: dict[Path, int | None] = {}  # where a journal ends by now; None: where its file does
        self._work = threading.Semaphore(0)
        self._asleep = False
        self._ending = False
        self._complete = False
        self._stuck_since = 0.0
        self.error: OSError | None = None
        self.unsynced: OSError | None = None
        """Why files may be in memory alone; their journals stay, and whoever goes on makes them anew."""
        self._thread = start_thread("axds-expand", self._run, failed)

    def take(self, path: Path, position: int | None = None) -> None:
        """Take on a journal; one with a position still grows.

        Raises:
            OSError: It can't be opened.
            ArchiveError: It is none.
        """
        expansion = Expansion(path, self._boot_id)
        self._frontiers[path] = position
        self._taken.append(expansion)
        self._wake()

    def grown(self, path: Path, position: int | None) -> None:
        """Tell how far a journal has whole records; None when nobody writes it any more."""
        self._frontiers[path] = position
        if self._asleep:
            self._wake()

    def has_reached(self, path: Path, position: int) -> bool:
        """Tell whether the messages of a journal up to a position have their files."""
        return any(each.path == path and each.position >= position for each in list(self._expansions))

    def close(self) -> bool:
        """Return when every message has its file, or False when nothing has moved for a while."""
        self._ending = True
        self._wake()
        self._thread.join()
        for expansion in self._expansions:
            expansion.close()
        return self._complete and self.unsynced is None

    def _made_one(self) -> bool:
        self._made()
        return False

    def _wake(self) -> None:
        self._asleep = False
        self._work.release()

    def _run(self) -> None:
        while True:
            # Looked at before the work: what comes in during it is not slept over.
            self._asleep = True
            ending = self._ending
            try:
                moved = self._round()
                self._stuck_since = 0.0
            except OSError as error:
                if not self._endure(error):
                    return
                continue
            if ending:
                self._complete = True
                return
            if not moved:
                self._work.acquire()

    def _endure(self, error: OSError) -> bool:
        """Wait after a failure; False once it is hopeless. The journals keep what has no file yet."""
        self.error = error
        now = time.monotonic()
        self._stuck_since = self._stuck_since or now
        if self._ending and now - self._stuck_since > self._give_up_s:
            return False
        time.sleep(_AGAIN_S)
        return True

    def _round(self) -> bool:
        """Make the files of all that is there, and return whether there was anything."""
        moved = False
        while self._taken:
            self._expansions.append(self._taken.pop(0))
        finished = []
        for expansion in self._expansions:
            frontier = self._frontiers[expansion.path]
            limit = expansion.end() if frontier is None else frontier
            if limit > expansion.position:
                expansion.advance(limit, self._made_one)
                moved = True
            if frontier is None:
                finished.append(expansion)
        for expansion in finished:
            self._finish(expansion)
        return moved

    def _finish(self, expansion: Expansion) -> None:
        """Sync the files of a journal and remove it; one whose files may be in memory alone stays."""
        if not expansion.is_distrusted:
            try:
                expansion.sync()
            except OSError as error:
                self.unsynced = self.unsynced or error
                for each in self._expansions:
                    each.distrust()
        if not expansion.is_distrusted:
            self._removes(expansion.path)
            expansion.remove()
        expansion.close()
        self._expansions.remove(expansion)
        del self._frontiers[expansion.path]
