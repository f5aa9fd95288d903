"""Downloads that end whole or have no name: counted, hashed, resumed, tried again."""

import hashlib
import json
import os
import re
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Self

from ..errors import DigestError, DownloadError
from ..system.atomic import atomic_write
from ..system.locks import try_lock_file
from ..system.process import boot_id
from ..system.progress import Meter
from .http import FAILURES, open_url, shown

_PIECE_BYTES = 1 << 18
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # a later request may be answered
_LONGEST_PAUSE_S = 30.0
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_LOCK_PAUSE_S = 0.05


@dataclass(frozen=True)
class Downloaded:
    """A file that arrived whole: where it is, what it is, and the URL as it may be recorded."""

    path: Path
    url: str
    bytes: int
    sha256: str
    etag: str = ""


@dataclass(frozen=True)
class _State:
    """What a partial file belongs to: it goes on only where a strong ETag and the length are still the same."""

    etag: str
    length: int
    boot: str

    @classmethod
    def read(cls, path: Path) -> Self | None:
        try:
            found = json.loads(path.read_bytes())
            state = cls(str(found["etag"]), int(found["length"]), str(found["boot"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        # After a power cut a file may hold zeros where the page cache had its bytes.
        return state if state.boot == boot_id().hex() else None

    def write(self, path: Path) -> None:
        with atomic_write(path) as file:
            json.dump(asdict(self), file)


class _Retry(Exception):  # noqa: N818 it never leaves this module
    """An attempt that failed in a way that another may not."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


@contextmanager
def download(
    url: str,
    partial: Path,
    *,
    sha256: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 60.0,
    retries: int = 3,
    is_shown: bool | None = None,
) -> Iterator[Downloaded]:
    """Give a file that arrived whole, under the name of the partial one; it is removed when the block ends.

    Args:
        url: http or https. Its query and credentials are sent, and neither recorded nor printed.
        partial: Where the bytes gather. A download that was interrupted goes on from there, also after SIGKILL, if the
            server's strong ETag and length are the same; two processes that download to it wait for each other.
        sha256: What the bytes must have, hexadecimal; else they are trusted.
        headers: Sent to the URL's own host alone.
        timeout_s: The longest wait for the connection and for each piece of the answer.
        retries: How many attempts may bring nothing before the download fails.
        is_shown: Whether a progress bar is shown; None: on a terminal.

    Raises:
        DownloadError: The server refuses, redirects to another scheme, or sends less or more than it says.
        DigestError: The bytes have another SHA-256; they are kept beside as `.rejected`.
        ValueError: The URL is neither http nor https, or the SHA-256 none.
    """
    wanted = checked_sha256(sha256)
    with exclusive(partial) as fd:
        work = _Download(url, partial, fd, wanted, dict(headers or {}), timeout_s, is_shown=is_shown)
        yield work.run(retries)
        for path in (partial, work.state_path):
            path.unlink(missing_ok=True)


def checked_sha256(sha256: str | None) -> str | None:
    """Return a digest in lower case.

    Raises:
        ValueError: It is none.
    """
    if sha256 is None:
        return None
    digest = sha256.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError(f"expected a SHA-256 of 64 hexadecimal digits, got {sha256!r}")
    return digest


@contextmanager
def exclusive(path: Path) -> Iterator[int]:
    """Hold the lock of a file, which is made; gives its descriptor. Who comes second waits, and death frees it."""
    fd = _open_locked(path)
    try:
        yield fd
    finally:
        os.close(fd)


def _open_locked(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            while not try_lock_file(fd):
                time.sleep(_LOCK_PAUSE_S)  # in slices, so that Ctrl-C is heard
            if path.exists() and path.stat().st_ino == os.fstat(fd).st_ino:
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # whoever had the lock has finished, and removed the file


class _Download:
    """One download: how much has come, and its hash so far."""

    def __init__(
        self,
        url: str,
        partial: Path,
        fd: int,
        sha256: str | None,
        private: Mapping[str, str],
        timeout_s: float,
        *,
        is_shown: bool | None,
    ) -> None:
        self.state_path = partial.with_name(partial.name + ".json")
        self._url = url
        self._partial = partial
        self._fd = fd
        self._sha256 = sha256
        self._private = private
        self._timeout_s = timeout_s
        self._is_shown = sys.stderr is not None and sys.stderr.isatty() if is_shown is None else is_shown
        self._state = _State.read(self.state_path)
        self._size = 0
        self._hash = hashlib.sha256()
        self._is_resumed = False

    def run(self, retries: int) -> Downloaded:
        self._take_up()
        failed = farthest = 0
        while True:
            try:
                etag = self._attempt()
                if self._is_right():
                    return Downloaded(self._partial, shown(self._url), self._size, self._hash.hexdigest(), etag)
            except _Retry as error:
                failed = 0 if self._size > farthest else failed + 1
                farthest = max(farthest, self._size)
                if failed > retries:
                    raise DownloadError(f"{shown(self._url)}: {error}, after {failed} attempts") from None
                time.sleep(min(max(error.pause_s, 0.1 * 2**failed), _LONGEST_PAUSE_S))

    def _take_up(self) -> None:
        """Take what an earlier call left, if it can be gone on with."""
        if self._state is None or not self._state.etag:
            self._restart()
            return
        while piece := os.pread(self._fd, _PIECE_BYTES, self._size):
            self._hash.update(piece)
            self._size += len(piece)
        self._is_resumed = self._size > 0
        if self._size > self._state.length:
            self._restart()

    def _restart(self) -> None:
        os.ftruncate(self._fd, 0)
        self._size, self._hash, self._is_resumed = 0, hashlib.sha256(), False

    def _is_right(self) -> bool:
        """Tell whether the hash is the given one; what came in several parts is loaded again in one."""
        got = self._hash.hexdigest()
        if self._sha256 in (None, got):
            return True
        if not self._is_resumed:
            rejected = self._partial.with_name(self._partial.name + ".rejected")
            self._partial.replace(rejected)
            self.state_path.unlink(missing_ok=True)
            raise DigestError(f"{shown(self._url)}: expected SHA-256 {self._sha256}, got {got}", (str(rejected),))
        self._restart()
        return False

    def _attempt(self) -> str:
        """Load the file, or its rest; returns its ETag."""
        headers = {"Accept-Encoding": "identity"}
        if self._size and self._state is not None and self._state.etag:
            if self._size == self._state.length:
                return self._state.etag
            headers |= {"Range": f"bytes={self._size}-", "If-Range": self._state.etag}
        try:
            response = open_url(self._url, headers, self._private, self._timeout_s)
        except DownloadError:
            raise
        except FAILURES as error:
            raise _Retry(_reason(error)) from None
        with response:
            self._begin(response, is_part="Range" in headers)
            self._receive(response)
            return _strong_etag(response)

    def _begin(self, response: HTTPResponse, *, is_part: bool) -> None:
        """Judge the status; afterwards what is there and what comes belong together."""
        status = response.status
        if is_part and status == 206 and self._continues(response):
            self._is_resumed = True
            return
        if is_part and status in (206, 416):
            self._restart()
            raise _Retry("the file changed on the server")
        if status in _PASSING:
            raise _Retry(f"the server answered {status}", _retry_after(response))
        if status != 200:
            raise DownloadError(f"{shown(self._url)}: the server answered {status} {response.reason}")
        self._restart()
        length = _length(response)
        if length is None and "chunked" not in _header(response, "Transfer-Encoding") and self._sha256 is None:
            raise DownloadError(f"{shown(self._url)}: expected a Content-Length or a given SHA-256, got neither")
        etag = "" if _header(response, "Content-Encoding") else _strong_etag(response)
        self._state = _State(etag, -1 if length is None else length, boot_id().hex())
        self._state.write(self.state_path)

    def _continues(self, response: HTTPResponse) -> bool:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if self._state is None or not found or _header(response, "Content-Encoding"):
            return False
        start, stop, length = map(int, found.groups())
        return (start, stop + 1, length) == (self._size, self._state.length, self._state.length) and (
            _strong_etag(response) == self._state.etag
        )

    def _receive(self, response: HTTPResponse) -> None:
        encoding = _header(response, "Content-Encoding")
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise DownloadError(f"{shown(self._url)}: expected no or gzip encoding, got {encoding}")
        decoder: Any = zlib.decompressobj(31) if "gzip" in encoding else None
        total = _length(response)
        with Meter(Path(shown(self._url)).name, total, shown=self._is_shown) as meter:
            try:
                for piece in _pieces(response, total):
                    data = self._decoded(decoder, piece) if decoder else piece
                    _write_all(self._fd, data, self._size)
                    self._hash.update(data)
                    self._size += len(data)
                    meter.add(len(piece))
            except _TooMuch:
                self._restart()
                raise
        if decoder and not decoder.eof:
            self._restart()
            raise _Retry("the compressed answer is cut")

    def _decoded(self, decoder: Any, piece: bytes) -> bytes:
        try:
            data: bytes = decoder.decompress(piece)
        except zlib.error as error:
            raise DownloadError(f"{shown(self._url)}: the answer is said to be gzip and is not: {error}") from None
        if decoder.unused_data:
            raise DownloadError(f"{shown(self._url)}: bytes behind the end of the compressed answer")
        return data


def _pieces(response: HTTPResponse, total: int | None) -> Iterator[bytes]:
    """Yield the body as it comes; one of another length than the server said is a _Retry."""
    # Where the connection ends with the answer, also what comes behind the stated length is seen.
    is_last = total is not None and response.will_close
    if is_last:
        response.length = None
    got = 0
    while total is None or got < total:
        try:
            piece = response.read1(_PIECE_BYTES if total is None else min(_PIECE_BYTES, total - got))
        except FAILURES as error:
            raise _Retry(_reason(error)) from None
        if not piece:
            break
        got += len(piece)
        yield piece
    if total is not None and got < total:
        raise _Retry(f"the connection ended after {got} of {total} bytes")
    if is_last:
        with suppress(*FAILURES):
            if response.read1(1):
                raise _TooMuch(f"more bytes came than the {total} that the server said")


class _TooMuch(_Retry):
    """What came is not what the server meant, also where it has the length that the server said."""


def _length(response: HTTPResponse) -> int | None:
    text = _header(response, "Content-Length")
    return int(text) if text.isdecimal() and "chunked" not in _header(response, "Transfer-Encoding") else None


def _header(response: HTTPResponse, name: str) -> str:
    return str(response.headers.get(name, "")).strip().lower()


def _strong_etag(response: HTTPResponse) -> str:
    """Return the ETag if equal ones mean equal bytes; a weak one does not."""
    etag = str(response.headers.get("ETag", "")).strip()
    return etag if etag.startswith('"') and etag.isascii() and etag.isprintable() else ""


def _retry_after(response: HTTPResponse) -> float:
    text = _header(response, "Retry-After")
    return float(text) if text.isdecimal() else 0.0


def _reason(error: BaseException) -> str:
    return "the server did not answer in time" if isinstance(error, TimeoutError) else f"the connection failed: {error}"


def _write_all(fd: int, data: bytes, position: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, position)
        view, position = view[done:], position + done
