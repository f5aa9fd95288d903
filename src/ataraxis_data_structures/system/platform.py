"""Which of the platform's services are taken, Linux's own or the portable ones, and where segments live."""

import os
import sys
from pathlib import Path

PORTABLE: bool = sys.platform != "linux" or os.environ.get("AXDS_PORTABLE", "0") not in ("", "0")
"""True where there is no robust mutex and no futex, or where AXDS_PORTABLE=1 forces it."""


def _folder() -> Path:
    memory = Path("/dev/shm")  # noqa: S108 the memory itself
    if memory.is_dir():
        return memory
    from tempfile import gettempdir  # noqa: PLC0415 a tenth of the time that a logger process takes to start

    return Path(gettempdir())


FOLDER: Path = _folder()
"""Where named blocks live. Without /dev/shm they are files of the temporary folder, which the page cache holds."""
