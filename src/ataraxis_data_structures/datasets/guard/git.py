"""The rules held against what git holds: what is staged, the whole index, every blob of the history.

Names and sizes are those of git's objects: what the work tree holds meanwhile does not matter.
"""

import os
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from .files import POINTER_BYTES, Finding, is_pointer
from .rules import rule_of

_SUBMODULE = "160000"
_PIECE_BYTES = 1 << 16


_Blob = tuple[str, str]  # path, and git's name of the contents


def check_staged(repository: Path | str = ".") -> list[Finding]:
    """Return what the next commit would bring that a repository must not hold.

    Args:
        repository: A folder within it.

    Raises:
        ValueError: This is no git repository.
        FileNotFoundError: git is not installed.
    """
    head = run_git(repository, "rev-parse", "--verify", "--quiet", "HEAD", statuses=(0, 1)).strip().decode()
    before = head or run_git(repository, "hash-object", "-t", "tree", os.devnull).strip().decode()
    raw = run_git(repository, "diff-index", "--cached", *_RAW, before)
    blobs, _ = _parse_raw(raw)
    return _findings(repository, blobs, _sizes(repository, blobs))


def check_index(repository: Path | str = ".", paths: Sequence[Path | str] = ()) -> list[Finding]:
    """Return what of the whole index, or of some paths in it, a repository must not hold; see `check_staged`."""
    listed = run_git(repository, "ls-files", "--stage", "-z", "--full-name", "--", *map(_literal, paths))
    blobs: set[_Blob] = set()
    for line in listed.split(b"\0")[:-1]:
        facts, _, path = line.partition(b"\t")
        mode, name, _ = facts.decode().split()
        if mode != _SUBMODULE:
            blobs.add((os.fsdecode(path), name))
    return _findings(repository, blobs, _sizes(repository, blobs))


def check_history(repository: Path | str = ".") -> list[Finding]:
    """Return what of any commit that a branch, tag or stash leads to a repository must not hold; see `check_staged`.

    A blob that had several names is judged under each of them.
    """
    # A merge is compared with its first parent: what else it holds came by its other parents or is new in it.
    words = ("log", "--all", "--root", "--diff-merges=first-parent", "--format=", *_RAW)
    blobs: set[_Blob] = set()
    with _Sizes(repository) as sizes:  # git looks them up while it goes through the commits
        for some in _stream_raw(repository, *words):
            sizes.ask(name for _, name in some)
            blobs |= some
    return _findings(repository, blobs, sizes.found)


# Without renames, which would hide the new name; a deletion is welcome.
_RAW = ("--raw", "-z", "--no-abbrev", "--no-renames", "--diff-filter=AMT")


def _literal(path: Path | str) -> str:
    return f":(literal){path}"


def run_git(repository: Path | str, *words: str, given: bytes = b"", statuses: Sequence[int] = (0,)) -> bytes:
    """Return what a command of git prints; one that fails is a ValueError with its own words."""
    # As its working folder and not by -C: what is wrong with the folder is then told by the system itself.
    command = ["git", *words]
    done = subprocess.run(command, cwd=repository, input=given, capture_output=True, check=False)  # noqa: S603 no shell
    if done.returncode in statuses:
        return done.stdout
    said = done.stderr.decode(errors="replace").strip()
    raise ValueError(f"git {words[0]} failed: {said or f'status {done.returncode}'}")


def _stream_raw(repository: Path | str, *words: str) -> Iterator[set[_Blob]]:
    """Yield the blobs of a command with output in git's raw format, as they come."""
    command = ["git", *words]
    git: Any = subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603
    with git:
        rest = b""
        while piece := git.stdout.read(_PIECE_BYTES):
            blobs, rest = _parse_raw(rest + piece)
            yield blobs
        said = git.stderr.read().decode(errors="replace").strip()
    if git.returncode:
        raise ValueError(f"git {words[0]} failed: {said or f'status {git.returncode}'}")


def _parse_raw(raw: bytes) -> tuple[set[_Blob], bytes]:
    """Return the blobs of git's raw format, and the rest.

    A blob is two fields: `:old mode, new mode, old id, new id, status`, and the path. Each field ends with a zero byte;
    a field or a pair that is cut is the rest.
    """
    blobs: set[_Blob] = set()
    fields = raw.split(b"\0")
    rest = fields.pop()
    ahead = iter(fields)
    for facts in ahead:
        if not facts:
            continue
        path = next(ahead, None)
        if path is None:
            return blobs, facts + b"\0" + rest
        _, mode, _, name, _ = facts.decode().split()
        if mode != _SUBMODULE:
            blobs.add((os.fsdecode(path), name))
    return blobs, rest


def _findings(repository: Path | str, blobs: set[_Blob], sizes: Mapping[str, int]) -> list[Finding]:
    found = [
        Finding(path, sizes[name], rule, name)
        for path, name in blobs
        if (rule := rule_of(path, sizes[name])) is not None
    ]
    pointers = _pointers(repository, {finding.blob for finding in found if finding.bytes <= POINTER_BYTES})
    return sorted(finding for finding in found if finding.blob not in pointers)


def _sizes(repository: Path | str, blobs: set[_Blob]) -> dict[str, int]:
    with _Sizes(repository) as sizes:
        sizes.ask(name for _, name in blobs)
    return sizes.found


class _Sizes:
    """Asks git for the sizes of blobs; `found` has them all once the block has ended."""

    def __init__(self, repository: Path | str) -> None:
        self.found: dict[str, int] = {}
        self._asked: set[str] = set()
        self._repository = repository

    def __enter__(self) -> Self:
        command = ["git", "cat-file", "--batch-check=%(objectname) %(objectsize)", "--buffer"]
        self._git: Any = subprocess.Popen(  # noqa: S603
            command, cwd=self._repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        # Beside the asking, or two full pipes would wait for each other.
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def ask(self, names: Iterable[str]) -> None:
        new = set(names) - self._asked
        self._asked |= new
        self._git.stdin.write("".join(f"{name}\n" for name in new).encode())

    def _read(self) -> None:
        for line in self._git.stdout:
            name, size = line.decode().split()
            # A blob that a partial clone does not hold: its name is judged, its size can't be.
            self.found[name] = int(size) if size.isdecimal() else 0

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):
            self._git.stdin.close()
        self._reader.join()
        self._git.stdout.close()
        self._git.wait()


def _pointers(repository: Path | str, names: Iterable[str]) -> set[str]:
    """Return which of some small blobs are pointers of Git LFS, whatever the attributes of their paths say."""
    given = "\n".join(names).encode()
    if not given:
        return set()
    answer = run_git(repository, "cat-file", "--batch", "--buffer", given=given + b"\n")
    pointers, position = set(), 0
    while position < len(answer):
        end = answer.index(b"\n", position)
        name, _, size = answer[position:end].decode().split()
        data = answer[end + 1 : end + 1 + int(size)]
        if is_pointer(data):
            pointers.add(name)
        position = end + 2 + int(size)
    return pointers
