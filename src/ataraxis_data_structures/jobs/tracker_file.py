"""The tracker's file under its lock: read whole or by one job, changed in one page or replaced.

Beside `tracker.yaml` stands the folder `tracker.yaml.axds`, made at the first change of a state. It holds the index, a
copy of the last good state, and what the published library has no key for (attempts, leases). Without it nothing of the
YAML is lost.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Self

from ..errors import TrackerError
from ..system.atomic import replace_file
from . import entry
from .adopt import Adopted, adopt
from .index import Index, Signature, put_aside, signature, write_index
from .layout import PAGE, Page, contract, count, lay_out, scan, scan_page
from .state import JobState, ProcessingStatus

_SCHEDULED = b"\n    status: 0\n"
_CHUNK_PAGES = 16
_MOST_READS = 100

Entries = dict[str, bytes]
Change = Callable[[JobState], None]
Note = Callable[[JobState], AbstractContextManager[None]]


class TrackerFile:
    """One tracker's file; every method expects the caller to hold the lock, or to look only.

    Who looks writes nothing; without the lock (`is_locked`) every answer is from bytes that were read alike twice.
    """

    def __init__(self, path: Path, *, is_look: bool = False, is_locked: bool = True) -> None:
        if path.is_symlink():  # the file is replaced, the link that leads to it stays
            path = Path(os.path.realpath(path))
        self.path, self.is_look, self._is_locked = path, is_look, is_locked
        self.side = path.with_name(path.name + ".axds")
        self.index_path = self.side / "index"
        self._last = self.side / "last"
        self._edited = path.with_name(path.name + ".edited")
        # Under the lock one name will do, and what a kill leaves of it is replaced by the next call.
        self._temporary = path.with_name(f".{path.name}.tmp")

    def read(self) -> Entries:
        """Return every entry in its order, none for a missing file; TrackerError for one that cannot be understood."""
        return self._read()[0]

    def count(self) -> Counter[int]:
        """Return how many jobs have each status."""
        data = self._bytes()
        counts = Counter[int]() if data is None else count(data)
        return Counter(map(entry.status, self.read().values())) if counts is None else counts

    def find(self, job_id: str) -> JobState:
        """Return the state of one job; ValueError if there is no such job."""
        page = None
        if self._is_there() and self._is_locked:
            with _OpenPages(self, os.O_RDONLY) as pages:
                page = pages.page_of(job_id)
        raw = page.entries[job_id].raw if page else self.read().get(job_id)
        if raw is None:
            raise _unknown(job_id)
        return self.parsed(job_id, raw)

    def edit(self, job_id: str, change: Change, note: Note) -> JobState:
        """Change the state of one job; ValueError if there is no such job.

        The file is written within `note(state)`, which is entered once the change is known to be one that the file can
        hold, and which learns by an exception that nothing was changed.
        """
        if not self._is_there():
            raise _unknown(job_id)
        with _OpenPages(self, os.O_RDWR) as pages:
            if page := pages.page_of(job_id):
                state = self.parsed(job_id, page.entries[job_id].raw)
                change(state)
                raw = entry.render(job_id, state)
                with note(state):
                    if not pages.write(page, job_id, raw):
                        self._edit_whole(job_id, raw)
                return state
        return self._edit_unpaged(job_id, change, note)

    def first_scheduled(self) -> str | None:
        """Return the id of the first scheduled job; None if there is none."""
        if not self._is_there():
            return None
        with _OpenPages(self, os.O_RDWR) as pages:
            page = pages.first_scheduled()
        if page is None:
            return None
        if isinstance(page, Page):
            return _first_scheduled(page)
        return next((i for i, raw in self.read().items() if entry.status(raw) is ProcessingStatus.SCHEDULED), None)

    def replace(self, entries: Entries, *, keep: Path | None = None) -> None:
        """Write the whole file anew and remember it as the last good state."""
        text = lay_out(list(entries.values()))
        replace_file(self.path, text, temporary=self._temporary, keep=keep)
        if keep:
            logging.getLogger(__name__).warning("%s held remarks or keys of no job; it is kept as %s", self.path, keep)
        with suppress(OSError):  # the change is made; the next one finds no index of it, and remembers anew
            if len(text) > PAGE or self.side.is_dir():
                self.remember(text, signature(self.path.stat()))

    def update(self, change: Callable[[Entries], bool]) -> None:
        """Read every entry, let `change` alter them, and write the file if it says that it did."""
        entries, keep = self._read()
        if change(entries):
            self.replace(entries, keep=keep)

    def begin(self, change: Callable[[Entries], bool]) -> None:
        """Do as `update`; where a file is gone that had jobs, put its last state aside and begin with none."""
        if not self.path.exists() and (data := self._last_good()) is not None:
            lost = self.side / "lost"
            self._last.replace(lost)
            message = "%s is gone and begins anew; its last good state, of %d jobs, is kept in %s"
            logging.getLogger(__name__).warning(message, self.path, len(scan(data) or ()), lost)
        self.update(change)

    def reset(self) -> None:
        """Write a file without jobs; one that cannot be read, or holds more than jobs, is kept beside it."""
        try:
            _, keep = self._read()
        except TrackerError:
            keep = self._edited if self.path.exists() else None
        self.replace({}, keep=keep)

    def foreign_keys(self) -> list[tuple[int, str]]:
        """Return line and name of each key that no tracker has."""
        data = self._bytes()
        if data is None or scan(data) is not None:
            return []
        return list(self._adopted(data).foreign)

    def restore(self) -> Path | None:
        """Put the last good state in the place of a file that cannot be read; return where the damaged one went."""
        data = self._last_good()
        if data is None:
            raise TrackerError(f"{self.path}: expected a copy of the last good state in {self._last}, got none")
        damaged = self.path.with_name(self.path.name + ".damaged") if self.path.exists() else None
        replace_file(self.path, data, temporary=self._temporary, keep=damaged)
        with suppress(OSError):
            self.remember(data, signature(self.path.stat()))
        return damaged

    def remember(self, text: bytes, signed: Signature) -> None:
        """Copy the file, whose text this is, and index it if it has more than one page."""
        self.side.mkdir(exist_ok=True)
        put_aside(self._last, text)
        places = scan(text) if len(text) > PAGE else None
        if places is None:
            self.index_path.unlink(missing_ok=True)
        else:
            write_index(self.index_path, places, signed)

    def copy_page(self, number: int, data: bytes) -> None:
        """Do to the copy what was done to one page of the file."""
        try:
            descriptor = os.open(self._last, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            self.side.mkdir(exist_ok=True)
            descriptor = os.open(self._last, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            size = os.fstat(descriptor).st_size if data.endswith(b"...\n") else 0
            _write_at(descriptor, data.ljust(size - number * PAGE, b"\n"), number * PAGE)
        finally:
            os.close(descriptor)

    def _read(self) -> tuple[Entries, Path | None]:
        """Also return where to keep the file before it is written anew, if it holds more than entries can."""
        data = self._bytes()
        if data is None:
            return {}, None
        places = scan(data)
        if places is not None:
            return {job_id: place.raw for job_id, place in places.items()}, None
        adopted = self._adopted(data)
        return adopted.entries, self._edited if adopted.loses else None

    def _adopted(self, data: bytes) -> Adopted:
        try:
            return adopt(data)
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def _bytes(self) -> bytes | None:
        """Return what the file holds, None for none; TrackerError for one that is gone and had a state."""
        if not self._is_there():
            return None
        data = self.path.read_bytes()
        for _ in range(0 if self._is_locked else _MOST_READS):
            again = self.path.read_bytes()
            if again == data:
                break
            data = again
        return data

    def _is_there(self) -> bool:
        if self.path.exists():
            return True
        if self._last_good() is not None:
            raise self._damaged("expected the tracker's file, got none: it was removed or renamed")
        return False

    def _edit_unpaged(self, job_id: str, change: Change, note: Note) -> JobState:
        entries = self.read()
        if job_id not in entries:
            raise _unknown(job_id)
        state = self.parsed(job_id, entries[job_id])
        change(state)
        raw = entry.render(job_id, state)
        with note(state):
            self._edit_whole(job_id, raw)
        return state

    def _edit_whole(self, job_id: str, raw: bytes) -> None:
        entries, keep = self._read()
        entries[job_id] = raw
        self.side.mkdir(exist_ok=True)
        self.replace(entries, keep=keep)

    def parsed(self, job_id: str, raw: bytes) -> JobState:
        """Return the state in an entry; TrackerError if a value has the wrong type."""
        try:
            return entry.parse(raw)
        except ValueError as error:
            raise TrackerError(f"{self.path}: job {job_id}: {error}") from error

    def _damaged(self, reason: str) -> TrackerError:
        data = self._last_good()
        if data is None:
            return TrackerError(f"{self.path}: {reason}; no earlier state of it is known")
        offer = f"the last good state, of {len(scan(data) or ())} jobs, is in {self._last}"
        return TrackerError(f"{self.path}: {reason}; {offer}: ProcessingTracker.restore() puts it back")

    def _last_good(self) -> bytes | None:
        try:
            data = self._last.read_bytes().rstrip(b"\n") + b"\n"
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        return data if scan(data) is not None else None


class _OpenPages:
    """The file as it is at one moment under the lock, with the index if that is of this moment."""

    def __init__(self, file: TrackerFile, mode: int) -> None:
        self._file = file
        self._descriptor, self._is_written = os.open(file.path, mode | os.O_CLOEXEC), False
        stat = os.fstat(self._descriptor)
        self._size = stat.st_size
        self._index = self._signed_index(stat) if self._size > PAGE else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._index:
            self._index.close()
        try:
            os.close(self._descriptor)
        except OSError:
            if self._is_written:  # network file systems tell here that they could not write
                raise

    def page_of(self, job_id: str) -> Page | None:
        """Return the page that holds a job; None if the file must be read as a whole to say."""
        for number in self._index.pages(job_id) if self._index else [0]:
            page = self._page(number)
            if page and job_id in page.entries:
                return page
        return None

    def first_scheduled(self) -> Page | bool | None:
        """Return the page of the first scheduled job, None if no job is scheduled, False to read the whole file."""
        if self._index is None:
            page = self._page(0) if self._size <= PAGE else None
            return False if page is None else page if _first_scheduled(page) else None
        first, past = self._index.cursor, -(-self._size // PAGE)
        for chunk in range(first, past, _CHUNK_PAGES):
            data = os.pread(self._descriptor, _CHUNK_PAGES * PAGE, chunk * PAGE)
            at = data.find(_SCHEDULED)
            if at >= 0:
                number = chunk + at // PAGE
                self._index.move_cursor(number)
                page = self._page(number)
                return page if page and _first_scheduled(page) else False
        self._index.move_cursor(past)
        return None

    def write(self, page: Page, job_id: str, raw: bytes) -> bool:
        """Put another entry into a page with one write; False if the file must be laid out anew for it."""
        if self._size <= PAGE:
            data = contract(raw if name == job_id else place.raw for name, place in page.entries.items())
            fits = len(data) <= PAGE
        else:
            held = page.holding(job_id, raw)
            data, fits = held or b"", held is not None
        if not fits:
            return False
        # A shorter text covers the old one with blank lines first: whoever is killed in between leaves YAML.
        self._put(data.ljust(min(self._size, PAGE), b"\n"), page.number * PAGE)
        self._is_written = True
        with suppress(OSError):  # the change is made; what fails here is found and made anew by the next one
            if self._size <= PAGE and len(data) < self._size:
                os.ftruncate(self._descriptor, len(data))
            self._file.copy_page(page.number, data)
            if self._index:
                self._index.sign(signature(os.fstat(self._descriptor)))
        return True

    def _put(self, data: bytes, position: int) -> None:
        """Write all of the bytes, or put back what stood there."""
        old = os.pread(self._descriptor, len(data), position)
        try:
            _write_at(self._descriptor, data, position)
        except OSError:
            with suppress(OSError):
                _write_at(self._descriptor, old, position)
                os.ftruncate(self._descriptor, self._size)
            raise

    def _page(self, number: int) -> Page | None:
        data = os.pread(self._descriptor, PAGE, number * PAGE)
        return scan_page(number, data, is_last=(number + 1) * PAGE >= self._size)

    def _signed_index(self, stat: os.stat_result) -> Index | None:
        """Return the index; made anew, as the copy is, when anybody else has changed the file and this is a change."""
        signed = signature(stat)
        index = Index.open(self._file.index_path, signed, writing=not self._file.is_look)
        if index or self._file.is_look:  # a look without an index reads the whole file
            return index
        data = os.pread(self._descriptor, self._size, 0)
        if scan(data) is None:
            return None
        with suppress(OSError):  # without an index the file is read and written as a whole
            self._file.remember(data, signed)
        return Index.open(self._file.index_path, signed)


def _write_at(descriptor: int, data: bytes, position: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, position)
        data, position = data[written:], position + written


def _first_scheduled(page: Page) -> str | None:
    return next((name for name, place in page.entries.items() if _SCHEDULED in place.raw), None)


def _unknown(job_id: str) -> ValueError:
    return ValueError(f"expected the id of a tracked job, got {job_id!r}")
