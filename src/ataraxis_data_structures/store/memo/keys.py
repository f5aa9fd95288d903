"""The key of a call: SHA-256 of the function's name, its version and its arguments in a canonical form.

    None n    True t    False f    int i<decimal>;    float d + 8 bytes, big-endian, one NaN    complex c + two floats
    str s + text    bytes b<count>: + bytes    Path p + text    Enum E + text
    list l(...)    tuple u(...)    set e(...), sorted    dict m(...), sorted pairs    dataclass D + text + dict
    array or NumPy scalar a + text of the dtype + (dimensions) + SHA-256 of the elements in C order

text is the number of its UTF-8 bytes, a colon, and those bytes. Two values have one form only if they are of one type
and equal, so 1, 1.0 and True are three. Values of other types, also subclasses of these, have no form: what their
equality means is not known here.
"""

import dataclasses
import enum
import math
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import PurePath
from typing import Any

import numpy as np

_NAN = bytes.fromhex("7ff8000000000000")


def key_of(function: str, version: str, arguments: Mapping[str, Any]) -> str:
    """Return the key of a call, in hexadecimal digits.

    Raises:
        TypeError: An argument has no canonical form; the message names it.
    """
    pairs = []
    for name, value in arguments.items():
        try:
            pairs.append(canon(name) + canon(value))
        except TypeError as error:
            raise TypeError(f"expected an argument {name!r} of {function} that can be part of a key, got {error}: "
                            f"leave it out with ignore=({name!r},)") from None  # fmt: skip
        except RecursionError:
            raise TypeError(
                f"expected an argument {name!r} of {function} of finite depth, got one that is nested too deeply or "
                f"holds itself: leave it out with ignore=({name!r},)"
            ) from None
    form = b"m(" + b"".join(sorted(pairs)) + b")"
    return sha256(b"axds-memo-1\n" + text(function) + text(version) + form).hexdigest()


def text(value: str) -> bytes:
    """Return a text with its length before it."""
    data = value.encode("utf-8", "surrogatepass")
    return b"%d:" % len(data) + data


def canon(value: Any) -> bytes:
    """Return the canonical form of a value.

    Raises:
        TypeError: It has none.
    """
    form = _FORMS.get(type(value))
    if form is not None:
        return form(value)
    if isinstance(value, enum.Enum):
        return b"E" + text(f"{_type_name(value)}.{value.name}")
    if isinstance(value, np.ndarray | np.generic):
        return _array(value)
    if isinstance(value, PurePath):
        return b"p" + text(value.as_posix())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return b"D" + text(_type_name(value)) + canon(fields)
    raise TypeError(f"a {_type_name(value)}")


def _type_name(value: object) -> str:
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _float(value: float) -> bytes:
    return b"d" + (_NAN if math.isnan(value) else np.array(value, ">f8").tobytes())


def _array(value: Any) -> bytes:
    if isinstance(value, np.ma.MaskedArray) or value.dtype.hasobject:
        raise TypeError(f"a {type(value).__name__} of {value.dtype}")
    array = np.asarray(value)
    # The short form of a record's dtype does not tell its fields.
    dtype = array.dtype.str if array.dtype.fields is None else repr(np.lib.format.dtype_to_descr(array.dtype))
    flat = np.ascontiguousarray(array).reshape(-1)
    data = flat.view(np.uint8).data if flat.size and flat.dtype.itemsize else b""
    shape = b"(" + b"".join(b"i%d;" % length for length in array.shape) + b")"
    return b"a" + text(dtype) + shape + sha256(data).digest()


def _sequence(mark: bytes) -> Callable[[Any], bytes]:
    return lambda value: mark + b"(" + b"".join(map(canon, value)) + b")"


def _unordered(value: Any) -> bytes:
    return b"e(" + b"".join(sorted(map(canon, value))) + b")"


def _mapping(value: Any) -> bytes:
    return b"m(" + b"".join(sorted(canon(key) + canon(part) for key, part in value.items())) + b")"


def _integer(value: int) -> bytes:
    try:
        return b"i%d;" % value
    except ValueError:  # more digits than Python writes
        return b"i%x;x" % value


_FORMS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"n",
    bool: lambda value: b"t" if value else b"f",
    int: _integer,
    float: _float,
    complex: lambda value: b"c" + _float(value.real) + _float(value.imag),
    str: lambda value: b"s" + text(value),
    bytes: lambda value: b"b%d:" % len(value) + value,
    list: _sequence(b"l"),
    tuple: _sequence(b"u"),
    set: _unordered,
    frozenset: _unordered,
    dict: _mapping,
}
