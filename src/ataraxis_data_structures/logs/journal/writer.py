"""The writing end of a journal: whole records go to its end, checkpoints between them."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from ..._core import frame
from ..._core.frame import Tally
from ...system.disk import allocate, sync_data
from . import layout
from .layout import Header, Words
from .words import mark_end, open_words


class Appender:
    """One journal file under its only writer; nothing is lost or torn if an append fails and is tried again."""

    def __init__(
        self,
        directory: Path,
        header: Header,
        *,
        claims: Mapping[int, int] | None = None,
        checkpoint_bytes: int = layout.CHECKPOINT_BYTES,
    ) -> None:
        self.header = header
        self.path = directory / header.name
        self.position = layout.HEADER_BYTES
        self.tally = Tally()
        self._checkpoint_bytes = checkpoint_bytes
        self._checkpoint = 0
        self._next_checkpoint = self.position + checkpoint_bytes
        self.fd = _create(self.path, header.pack())
        self.words = open_words(self.fd)
        if claims is not None:  # a file that goes on from another opens with the numbers it goes on from
            self.tally.claims.update(claims)
            self._mark(frame.CHECKPOINT)

    def append(self, span: bytes | memoryview, shared: memoryview | None = None) -> None:
        """Write whole records behind those that are there; after an OSError the same call may be made again.

        `shared` are the words by which others see what is written, as Tally.add takes them.
        """
        if self.position >= self._next_checkpoint:
            self._mark(frame.CHECKPOINT)
        # It outlives a SIGKILL: a successor finds from here which of these records got into the file.
        self.words[Words.TAIL] = self.position
        self._write(span)
        self.tally.add(span, shared)
        self.words[Words.COUNTED] = self.position

    def sync(self) -> None:
        """Return when every appended byte is on the disk."""
        sync_data(self.fd)

    def close(self) -> None:
        """Write the footer and let go of the file; after an OSError it may be called again."""
        if self.fd < 0:
            return
        self._mark(frame.FOOTER)
        if os.fstat(self.fd).st_size > self.position:  # the rest of an append that failed half-way
            os.ftruncate(self.fd, self.position)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the file as it is, without a footer; what an append that failed left half-written is marked off."""
        if self.fd >= 0:
            self.mark_off()
            self.words.release()
            os.close(self.fd)
            self.fd = -1

    def mark_off(self) -> None:
        """Mark what an append that failed left half-written as no record; nothing may be appended from then on."""
        if os.fstat(self.fd).st_size > self.position:
            mark_end(self.words, self.position)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _mark(self, flag: int) -> None:
        payload = layout.pack_totals(self._checkpoint, self.tally.sources(), self.tally.claims, self.position)
        start = self.position
        self._write(frame.pack(self.header.salt, payload, flags=flag))
        self._checkpoint = start
        self._next_checkpoint = self.position + self._checkpoint_bytes

    def _write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        done = 0
        while done < len(view):
            written = os.pwrite(self.fd, view[done:] if done else view, self.position + done)
            if not written:
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(self.path))
            done += written
        self.position += done


def _create(path: Path, page: bytes) -> int:
    """Return a descriptor of a new file that had its header page before it had its name."""
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    unfinished = path.with_name(f".{path.name}.tmp")
    fd = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        allocate(fd, len(page))
        os.pwrite(fd, page, 0)
        unfinished.rename(path)
    except BaseException:
        os.close(fd)
        unfinished.unlink(missing_ok=True)
        raise
    return fd
