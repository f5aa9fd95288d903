"""One digest of a whole folder, one of each file, and what differs between two folders."""

import errno
import os
import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xxhash import xxh3_128_hexdigest

from ..errors import IntegrityError
from ..system.cpus import resolve_workers
from ..system.progress import Meter
from .digest import digest_files
from .manifest import read_manifest, written_since
from .unnamed import write_unnamed
from .walk import opened, walk

CHECKSUM_FILE = "ax_checksum.txt"
_EXCLUDED = frozenset({CHECKSUM_FILE})
_MOST_NAMES = 20


@dataclass(frozen=True, slots=True)
class DirectoryDifference:
    """Files that two folders do not share, as sorted paths relative to them; true if there are any."""

    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    changed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.only_first or self.only_second or self.changed)


def calculate_directory_checksum(
    directory: Path,
    num_processes: int | None = None,
    *,
    progress: bool = False,
    save_checksum: bool = True,
    excluded_files: Collection[str] | None = None,
) -> str:
    """Return the xxh3-128 digest of all files of a folder, names and contents, as 32 hex digits.

    Files at any depth count, and links to files; linked folders, empty folders and files whose name is in
    `excluded_files` (default `ax_checksum.txt`) do not. The digest is saved as `ax_checksum.txt` in the folder.
    `num_processes` is how many threads work: at most the CPUs, and all but two of them by default.

    Raises:
        OSError: The folder is missing (FileNotFoundError), or a file or folder cannot be read.
        ValueError: `num_processes` is below 1.
    """
    manifest = calculate_directory_manifest(directory, num_processes, progress=progress, excluded_files=excluded_files)
    checksum = combine(manifest)
    if save_checksum:
        write_checksum(Path(directory), checksum)
    return checksum


def calculate_directory_manifest(
    directory: Path,
    num_processes: int | None = None,
    *,
    progress: bool = False,
    excluded_files: Collection[str] | None = None,
) -> dict[str, str]:
    """Return the digest of each file by its path relative to the folder, sorted: what the folder's checksum is made of.

    Names that are not UTF-8 carry surrogate escapes, as everywhere in Python; `json` keeps them.
    """
    if num_processes is not None and num_processes < 1:
        raise ValueError(f"expected num_processes of at least 1, got {num_processes}")
    threads = resolve_workers(num_processes)
    with opened(directory) as root:
        names = _countable(root, _EXCLUDED if excluded_files is None else frozenset(excluded_files))
        total = sum(os.stat(name, dir_fd=root).st_size for name in names) if progress else None
        with Meter("checksum", total, shown=progress) as meter:
            digests = digest_files(root, names, threads, meter)
    return {name: digest.hex() for name, digest in zip(names, digests, strict=True)}


def verify_directory_checksum(
    directory: Path,
    num_processes: int | None = None,
    *,
    manifest: Mapping[str, str] | None = None,
    progress: bool = False,
    excluded_files: Collection[str] | None = None,
) -> str:
    """Check a folder against its `ax_checksum.txt`, or against a manifest.

    Raises:
        FileNotFoundError: The folder holds no `ax_checksum.txt`, and no manifest was given.
        IntegrityError: The folder is not what it was. It names what differs, as the given manifest or the one that
            `axds checksum --save` keeps says; without one, the files that were written since the checksum was saved.
    """
    promised = combine(manifest) if manifest is not None else read_checksum(Path(directory))
    found = calculate_directory_manifest(directory, num_processes, progress=progress, excluded_files=excluded_files)
    checksum = combine(found)
    if checksum != promised:
        said, paths = _compare_with(found, manifest) if manifest is not None else explain(Path(directory), found)
        raise IntegrityError(f"expected checksum {promised} for {directory}, got {checksum}{said}", paths)
    return checksum


def compare_directories(
    first: Path,
    second: Path,
    num_processes: int | None = None,
    *,
    progress: bool = False,
    excluded_files: Collection[str] | None = None,
) -> DirectoryDifference:
    """Return which files two folders do not share, or hold with different contents."""
    one, other = (
        calculate_directory_manifest(folder, num_processes, progress=progress, excluded_files=excluded_files)
        for folder in (first, second)
    )
    return _compare(one, other)


def explain(directory: Path, found: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return in words, and as paths, why a folder has not the checksum that is saved in it."""
    kept = read_manifest(directory)
    if kept and combine(kept) == read_checksum(directory):
        return _compare_with(found, kept)
    written = tuple(written_since(directory, found, directory / CHECKSUM_FILE))
    if not written:
        return "; no file was written since the checksum was saved: some are missing, renamed, or damaged", ()
    return f"; written since the checksum was saved: {_few(written)}", written


def combine(manifest: Mapping[str, str]) -> str:
    """Return the checksum of a folder from the digests of its files."""
    parts = (os.fsencode(name) + bytes.fromhex(manifest[name]) for name in sorted(manifest))
    return xxh3_128_hexdigest(b"".join(parts))


def read_checksum(directory: Path) -> str:
    """Return the saved checksum of a folder."""
    return (directory / CHECKSUM_FILE).read_text(encoding="ascii").strip()


def write_checksum(directory: Path, checksum: str) -> None:
    """Save the checksum of a folder in it; a killed writer leaves nothing else there."""
    try:
        if read_checksum(directory) == checksum:
            return
    except (OSError, UnicodeDecodeError):  # none, or none that can be read: it is written anew
        pass
    write_unnamed(directory / CHECKSUM_FILE, checksum)


def _countable(root: int, excluded: frozenset[str]) -> list[str]:
    tree = walk(root)
    names = tree.files + [link for link in tree.links if leads_to_a_file(root, link)]
    return sorted(name for name in names if name.rpartition("/")[2] not in excluded)


def leads_to_a_file(root: int, link: str) -> bool:
    """Return whether a link ends at a file, and so counts in the checksum."""
    try:
        return stat.S_ISREG(os.stat(link, dir_fd=root).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise


def _compare(first: Mapping[str, str], second: Mapping[str, str]) -> DirectoryDifference:
    return DirectoryDifference(
        only_first=tuple(sorted(first.keys() - second.keys())),
        only_second=tuple(sorted(second.keys() - first.keys())),
        changed=tuple(sorted(name for name in first.keys() & second.keys() if first[name] != second[name])),
    )


def _compare_with(found: Mapping[str, str], promised: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    difference = _compare(promised, found)
    kinds = {"changed": difference.changed, "missing": difference.only_first, "unexpected": difference.only_second}
    said = "; " + ", ".join(f"{kind}: {_few(names)}" for kind, names in kinds.items() if names)
    return said, difference.changed + difference.only_first + difference.only_second


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(map(repr, names[:_MOST_NAMES])) + more
