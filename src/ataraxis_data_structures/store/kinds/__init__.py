"""How values become payloads and come back; a further kind is a module here and a line in KINDS."""

from pathlib import PurePosixPath
from typing import Any

from ...errors import DamagedError, StoreError
from .array import ARRAY, SHARED
from .arrays import ARRAYS, SCALARS
from .file import FILE
from .h5 import H5
from .json import JSON
from .kind import Kind as Kind
from .log import LOG
from .model import PICKLE, SAFE, STATE
from .table import TABLE, TABLE_FILE

# The first that accepts a value takes it.
KINDS: tuple[Kind, ...] = (
    FILE,
    ARRAY,
    SHARED,
    H5,
    ARRAYS,
    SCALARS,
    TABLE,
    TABLE_FILE,
    JSON,
    LOG,
    STATE,
    SAFE,
    PICKLE,  # of any other object
)
_READERS = {kind.name: [other for other in KINDS if other.name == kind.name] for kind in KINDS}


def kind_for(value: Any, format: str | None = None) -> Kind:  # noqa: A002 the word of `add`
    """Return the kind that a value is written as.

    Raises:
        TypeError: There is none.
        StoreError: No kind has this format.
    """
    if format is not None and format not in {kind.format for kind in KINDS}:
        raise StoreError(f"expected a format of {sorted({kind.format for kind in KINDS} - {''})}, got {format!r}")
    for kind in KINDS:
        if (kind.is_default if format is None else kind.format == format) and kind.accepts(value):
            return kind
    as_what = "" if format is None else f" for the format {format}"
    raise TypeError(f"expected a value of kind {_names()}{as_what}, got {type(value)!r}")


def kind_of(name: object, file: str) -> Kind:
    """Return the kind that reads a payload.

    Raises:
        DamagedError: There is none of this name.
    """
    named = _READERS.get(name) if isinstance(name, str) else None
    if named is None:
        raise DamagedError(f"expected a kind of {_names()}, got {name!r}")
    if len(named) == 1:
        return named[0]
    extension = PurePosixPath(file).suffix
    return next((kind for kind in named if f".{kind.format}" == extension), named[0])


def _names() -> str:
    return ", ".join(dict.fromkeys(kind.name for kind in KINDS))
