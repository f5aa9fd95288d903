"""The rules held against what git holds: what is staged, the whole index, every blob of the history.

Names and sizes are those of git's objects: what the work tree holds meanwhile does not matter.
"""

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from .files import POINTER_BYTES, Finding, is_pointer
from .rules import rule_of

_SUBMODULE = "160000"


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
    return _findings(repository, _parse_raw(raw))


def check_index(repository: Path | str = ".", paths: Sequence[Path | str] = ()) -> list[Finding]:
    """Return what of the whole index, or of some paths in it, a repository must not hold; see `check_staged`."""
    listed = run_git(repository, "ls-files", "--stage", "-z", "--full-name", "--", *map(_literal, paths))
    blobs: set[_Blob] = set()
    for line in listed.split(b"\0")[:-1]:
        facts, _, path = line.partition(b"\t")
        mode, name, _ = facts.decode().split()
        if mode != _SUBMODULE:
            blobs.add((os.fsdecode(path), name))
    return _findings(repository, blobs)


def check_history(repository: Path | str = ".") -> list[Finding]:
    """Return what of any commit that a branch, tag or stash leads to a repository must not hold; see `check_staged`.

    A blob that had several names is judged under each of them.
    """
    # A merge is compared with its first parent: what else it holds came by its other parents or is new in it.
    raw = run_git(repository, "log", "--all", "--root", "--diff-merges=first-parent", "--format=", *_RAW)
    return _findings(repository, _parse_raw(raw))


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


def _parse_raw(raw: bytes) -> set[_Blob]:
    """Return the blobs of git's raw format: `:old mode, new mode, old id, new id, status`, then the path."""
    blobs: set[_Blob] = set()
    fields = iter(raw.split(b"\0"))
    for facts in fields:
        if not facts:
            continue
        path = next(fields)
        _, mode, _, name, _ = facts.decode().split()
        if mode != _SUBMODULE:
            blobs.add((os.fsdecode(path), name))
    return blobs


def _findings(repository: Path | str, blobs: set[_Blob]) -> list[Finding]:
    sizes = _sizes(repository, {name for _, name in blobs})
    found = [
        Finding(path, sizes[name], rule, name)
        for path, name in blobs
        if (rule := rule_of(path, sizes[name])) is not None
    ]
    pointers = _pointers(repository, {finding.blob for finding in found if finding.bytes <= POINTER_BYTES})
    return sorted(finding for finding in found if finding.blob not in pointers)


def _sizes(repository: Path | str, names: Iterable[str]) -> dict[str, int]:
    given = "\n".join(names).encode()
    if not given:
        return {}
    words = ("cat-file", "--batch-check=%(objectname) %(objectsize)", "--buffer")
    sizes = {}
    for line in run_git(repository, *words, given=given + b"\n").decode().splitlines():
        name, size = line.split()
        # A blob that a partial clone does not hold: its name is judged, its size can't be.
        sizes[name] = int(size) if size.isdecimal() else 0
    return sizes


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
