"""The base class of settings that live in a YAML file."""

import os
from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from ..errors import ConfigError
from ..system.atomic import atomic_write, keep_rights
from .decode import form_of
from .encode import dump, plain
from .forms import MismatchError, dotted
from .load import Document, duplicate_keys, load


@dataclass
class YamlConfig:
    """A base for dataclasses that are written to and read from `.yaml` files.

    Fields may hold nested and generic dataclasses, named tuples, TypedDicts, collections and mappings of `collections`,
    `collections.abc` and `typing`, unions, Literals, Enums and Flags, Paths, dates and times, Decimals, UUIDs, numpy
    scalars and small arrays. A field with `metadata=YAML_EXCLUDE_METADATA` is not written.
    """

    def to_yaml(self, file_path: Path) -> None:
        """Write the fields to a `.yaml` or `.yml` file, whole or not at all, making its folders.

        A file that is replaced keeps its mode, ACL and attributes, and a symbolic link to it stays. Several threads and
        processes may write one file: each writes it whole, and the last one stays.

        Raises:
            ValueError: The suffix is another, or a value is nested deeper than `from_yaml` reads.
            TypeError: A value could not be read back.
        """
        path = _checked(file_path)
        data = dump(plain(self)).encode()
        target = Path(os.path.realpath(path))
        with atomic_write(target, binary=True) as file:
            with suppress(FileNotFoundError):
                keep_rights(target, file.fileno())
            file.write(data)

    @classmethod
    def from_yaml(cls, file_path: Path, *, strict: bool = False) -> Self:
        """Return an instance from a file; unknown keys are ignored, absent ones take their defaults.

        A union takes the member that would have written the value, then, unless `strict`, one that it can be read as.

        Args:
            file_path: A `.yaml` or `.yml` file.
            strict: Refuse unknown and doubled keys and wrong types. What `to_yaml` wrote is read either way.

        Raises:
            ConfigError: The document is no mapping or (strict) does not fit; says file, line, field, expected and got.
            MissingValueError: The file lacks a field that has no default.
            ValueError: The suffix is another.
            yaml.YAMLError: The YAML is bad or hostile.
        """
        path = _checked(file_path)
        document = load(path.read_bytes())
        if not isinstance(document.value, dict):
            raise ConfigError(f"{path}: expected a mapping of fields, got {_shown(document.value)}")
        if strict and (doubled := duplicate_keys(document.root)):
            key, line = doubled[0]
            raise ConfigError(f"{path}, line {line}: expected each key once, got {key!r} again")
        data = cls.restore_excluded_fields(document.value, path)
        if not isinstance(data, Mapping):
            raise TypeError(f"expected a mapping from {cls.__name__}.restore_excluded_fields, got {_shown(data)}")
        try:
            built: Self = form_of(cast("Hashable", cls)).read(data, (), strict=strict)
        except MismatchError as error:
            raise _explained(error, document, path) from error
        return built

    @classmethod
    def restore_excluded_fields(cls, data: dict[Any, Any], file_path: Path) -> dict[Any, Any]:  # noqa: ARG003 - a hook
        """Return the mapping to build from; override it to supply fields that the file does not hold."""
        return data


def _explained(error: MismatchError, document: Document, file_path: Path) -> ConfigError:
    line, field = document.line(error.at), dotted(error.at)
    return ConfigError(f"{file_path}, line {line}, {field}: expected {error.expected}, got {_shown(error.got)}")


def _shown(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, Mapping | list):
        return f"a {'mapping' if isinstance(value, Mapping) else 'list'} of {len(value)}"
    return f"{value!r} ({type(value).__name__})"


def _checked(file_path: Path) -> Path:
    path = Path(file_path)
    if path.suffix not in (".yaml", ".yml"):
        raise ValueError(f"expected a .yaml or .yml file, got {str(file_path)!r}")
    return path
