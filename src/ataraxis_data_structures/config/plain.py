"""Values as YAML can hold them, and the text of the contract's layout."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from enum import Enum
from pathlib import PurePath
from types import MappingProxyType

import numpy as np
import yaml

YAML_EXCLUDE_METADATA: Mapping[str, bool] = MappingProxyType({"yaml_exclude": True})

_SCALARS = (str, bool, int, float, bytes, datetime, date)
_ARRAY_KINDS = "biufU"


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        return True


def dump(value: object) -> str:
    """Return the text of one document: block style, explicit start and end, keys in their order."""
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        default_flow_style=False,
        explicit_start=True,
        explicit_end=True,
        indent=2,
        sort_keys=False,
        width=200,
    )
    return text


def plain(value: object, at: str = "") -> object:
    """Return `value` in mappings, lists and scalars that read back; TypeError names the field that has none."""
    if isinstance(value, Enum):
        return plain(value.value, at)
    if isinstance(value, np.generic | np.ndarray):
        return _array(value, at)
    if value is None or isinstance(value, _SCALARS):
        return value
    if isinstance(value, PurePath):
        return value.as_posix()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name), f"{at}.{field.name}" if at else field.name)
            for field in dataclasses.fields(value)
            if not field.metadata.get("yaml_exclude")
        }
    if isinstance(value, Mapping):
        return {_key(key, at): plain(item, f"{at}[{key!r}]") for key, item in value.items()}
    if isinstance(value, AbstractSet):
        return sorted((plain(item, at) for item in value), key=lambda item: (str(type(item)), repr(item)))
    if isinstance(value, list | tuple):
        return [plain(item, f"{at}[{index}]") for index, item in enumerate(value)]
    raise TypeError(f"{at or 'value'}: expected a value that YAML reads back, got {type(value).__name__}")


def _key(key: object, at: str) -> object:
    got = plain(key, at)
    if isinstance(got, list | dict):
        raise TypeError(f"{at or 'value'}: expected scalar keys, got {key!r}")
    return got


def _array(value: np.generic | np.ndarray, at: str) -> object:
    """Numbers as a list; with dtype and shape beside it where the list alone would read back as another array."""
    if value.dtype.kind not in _ARRAY_KINDS or (value.dtype.itemsize > 8 and value.dtype.kind == "f"):
        raise TypeError(f"{at or 'value'}: expected booleans, numbers or text, got dtype {value.dtype}")
    listed: object = value.tolist()
    if isinstance(value, np.generic):
        return listed
    again = np.asarray(listed)
    if again.dtype == value.dtype and again.shape == value.shape:
        return listed
    return {"dtype": value.dtype.str, "shape": list(value.shape), "data": value.ravel().tolist()}
