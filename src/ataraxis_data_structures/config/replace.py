"""A file replaced whole: a reader meets the old one or the new one, never a part."""

import os
from pathlib import Path


def replace_file(path: Path, data: bytes, *, temporary: Path | None = None, keep: Path | None = None) -> None:
    """Write `data` aside, sync it, and rename it to `path`; the file that stood there lives on as `keep`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = temporary or path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None:
            keep_file(path, keep)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def keep_file(path: Path, keep: Path) -> None:
    """Give what stands at `path` the second name `keep`, in the place of whatever had it."""
    keep.unlink(missing_ok=True)
    try:
        keep.hardlink_to(path)
    except OSError:  # a file system without links
        keep.write_bytes(path.read_bytes())
