"""Which paths name a folder that nobody means to remove, or no local folder at all."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

# `Path` makes one slash of the two of a URL. One letter before the colon is a drive.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")

_OCTAL = re.compile(rb"\\([0-7]{3})")


def refuse_url(path: Path | str) -> None:
    """Raise if a path was meant as a URL, and would name a local folder called `s3:`.

    Raises:
        ValueError: The path begins like a URL.
    """
    if _URL.match(os.fspath(path)):
        raise ValueError(f"expected a local path, got {str(path)!r}, which begins like a URL; a URL is given as str")


def refuse_removal(folder: Path) -> None:
    """Raise if a folder is one that nobody means to remove.

    Raises:
        ValueError: It is `.` or ends in `..`, is or holds the root or the home folder, or a file system is mounted on
            it or beneath it.
    """
    if folder.name in ("", ".."):
        raise ValueError(f"expected the name of a folder to remove, got {str(folder)!r}")
    if folder.is_symlink():
        return  # only the link goes
    real = Path(os.path.realpath(folder))
    for kind, kept in _kept():
        if real == kept or real in kept.parents:
            verb = "is" if real == kept else "holds"
            raise ValueError(f"expected a folder to remove, got {folder}, which {verb} {kind}")
    if mounted := _mounted_beneath(real):
        raise ValueError(f"expected a folder of one file system, got {folder}: one is mounted at {mounted}")


def _kept() -> Iterator[tuple[str, Path]]:
    yield "the root of all folders", Path("/")
    homes = {os.environ.get("HOME", ""), os.path.expanduser(f"~{_user()}")}  # noqa: PTH111 - raises for no name
    for home in sorted(homes):
        if Path(home).is_absolute():
            yield "the home folder", Path(os.path.realpath(home))


def _user() -> str:
    """Return the name of the user, whatever HOME says; none where there are no accounts."""
    try:
        import pwd  # noqa: PLC0415 - POSIX only

        return pwd.getpwuid(os.geteuid()).pw_name
    except (ImportError, KeyError):
        return ""


def _mounted_beneath(real: Path) -> str:
    """Return where another file system is mounted on a folder or beneath it, also where it is the same one (a bind)."""
    text = os.fspath(real)
    if os.path.ismount(text):
        return text
    for point in _mount_points():
        if point.startswith(f"{text}/"):
            return point
    return ""


def _mount_points() -> list[str]:
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:  # no Linux, or no /proc: `ismount` has to do
        return []
    return [os.fsdecode(_OCTAL.sub(lambda found: bytes([int(found[1], 8)]), line.split(b" ")[4])) for line in lines]
