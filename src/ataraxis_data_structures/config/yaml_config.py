"""The base class of settings that live in a YAML file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..errors import ConfigError
from ..system.atomic import replace_file
from .build import MismatchError, build_dataclass, dotted
from .load import Document, duplicate_keys, load
from .plain import dump, plain


@dataclass
class YamlConfig:
    """A base for dataclasses that are written to and read from `.yaml` files.

    Fields may hold nested dataclasses, lists, tuples, sets, dicts, unions, Literals, Enums, Paths, datetimes, numpy
    scalars and small arrays. A field with `metadata=YAML_EXCLUDE_METADATA` is not written.
    """

    def to_yaml(self, file_path: Path) -> None:
        """Write the fields to a `.yaml` or `.yml` file, whole or not at all, making its folders.

        Raises ValueError for another suffix, TypeError for a value that could not be read back.
        """
        _check_suffix(file_path)
        replace_file(file_path, dump(plain(self)).encode())

    @classmethod
    def from_yaml(cls, file_path: Path, *, strict: bool = False) -> Self:
        """Return an instance from a file; unknown keys are ignored, absent ones take their defaults.

        `strict` refuses unknown and doubled keys and wrong types with a ConfigError. Raises yaml.YAMLError for bad or
        hostile YAML, MissingValueError for a field without default, ValueError for another suffix or a document that is
        no mapping.
        """
        _check_suffix(file_path)
        document = load(file_path.read_bytes())
        if not isinstance(document.value, dict):
            raise ConfigError(f"{file_path}: expected a mapping of fields, got {_shown(document.value)}")
        if strict and (doubled := duplicate_keys(document.root)):
            key, line = doubled[0]
            raise ConfigError(f"{file_path}, line {line}: expected each key once, got {key!r} again")
        data = cls.restore_excluded_fields(document.value, file_path)
        try:
            built: Self = build_dataclass(cls, data, (), strict=strict)
        except MismatchError as error:
            raise _explained(error, document, file_path) from error
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


def _check_suffix(file_path: Path) -> None:
    if file_path.suffix not in (".yaml", ".yml"):
        raise ValueError(f"expected a .yaml or .yml file, got {str(file_path)!r}")
