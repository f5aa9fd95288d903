"""Which of the platform's services are taken, Linux's own or the portable ones, and where segments live."""

import os
import sys
from pathlib import Path
from typing import Any

PORTABLE: bool = sys.platform != "linux" or os.environ.get("AXDS_PORTABLE", "0") not in ("", "0")
"""True where there is no robust mutex and no futex, or where AXDS_PORTABLE=1 forces it."""


def _fcntl() -> Any:
    try:
        import fcntl  # noqa: PLC0415 the one place that knows where it is missing
    except ImportError:
        return None
    return fcntl


FCNTL: Any = _fcntl()
"""The standard module, or None where there is none (Windows)."""


def _folder() -> Path:
    if chosen := os.environ.get("AXDS_SHM_FOLDER"):
        if not os.path.isdir(chosen):  # noqa: PTH112 before a Path is made of it
            raise NotADirectoryError(f"expected AXDS_SHM_FOLDER to name a folder, got {chosen!r}")
        return Path(chosen).absolute()
    memory = Path("/dev/shm")  # noqa: S108 the memory itself
    if memory.is_dir():
        return memory
    from tempfile import gettempdir  # noqa: PLC0415 a tenth of the time that a logger process takes to start

    return Path(gettempdir())


FOLDER: Path = _folder()
"""Where named blocks live: AXDS_SHM_FOLDER, else /dev/shm.

Without either they are files of the temporary folder, which the page cache holds.
"""
