"""A YAML file of which every value knows its line, so that an error names line and key."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml

from ..errors import ConfigError

T = TypeVar("T")
_REQUIRED: Any = object()


@dataclass
class Section:
    """A mapping of a YAML file; what was asked for is taken out, so that what is left is unknown."""

    file: Path
    path: str
    """The keys that lead here, with dots between them."""
    line: int
    values: dict[str, Any]
    lines: dict[str, int]
    _asked: set[str] = field(default_factory=set)

    def fail(self, key: str, problem: str) -> NoReturn:
        """Raise the error that names file, line and key."""
        where = ".".join(part for part in (self.path, key) if part)
        line = self.lines.get(key, self.line)
        raise ConfigError(f"{self.file}, line {line}{f', {where}' if where else ''}: {problem}")

    def take(self, key: str, convert: Callable[[Any], T], default: T = _REQUIRED) -> T:
        """Return the value of a key, converted; ConfigError if it is missing or the conversion refuses it."""
        self._asked.add(key)
        if key not in self.values:
            if default is _REQUIRED:
                self.fail("", f"expected the key {key!r}, found none")
            return default
        try:
            return convert(self.values[key])
        except (TypeError, ValueError, OverflowError) as error:
            self.fail(key, str(error))

    def section(self, key: str) -> "Section":
        """Return a mapping within this one; an empty one if it is missing."""
        self._asked.add(key)
        found = self.values.get(key)
        if isinstance(found, Section):
            return found
        if found is not None:
            self.fail(key, f"expected keys and values, got {found!r}")
        return Section(self.file, f"{self.path}.{key}".lstrip("."), self.lines.get(key, self.line), {}, {})

    def refuse_unknown(self) -> None:
        """Raise ConfigError for a key that nobody asked for."""
        from difflib import get_close_matches  # noqa: PLC0415 for a slip only

        for key in self.values:
            if key not in self._asked:
                near = get_close_matches(key, self._asked, n=1)
                known = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(self._asked))}"
                self.fail(key, f"no such key; {known}")

    def plain(self) -> dict[str, Any]:
        """Return the mapping as a dictionary of its own."""
        self._asked |= self.values.keys()
        return {key: value.plain() if isinstance(value, Section) else value for key, value in self.values.items()}


def read_document(file: Path) -> Section:
    """Return the mapping that a YAML file holds; ConfigError names the line of what is no YAML."""
    text = file.read_text(encoding="utf-8-sig")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{file}, line 1: expected keys and values, as in `log: my_rig`")
        return _section(file, "", node, loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{file}, line {line}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: {' '.join(str(error).split())}") from None
    finally:
        loader.dispose()


def _section(file: Path, path: str, node: yaml.MappingNode, loader: yaml.SafeLoader) -> Section:
    made = Section(file, path, node.start_mark.line + 1, {}, {})
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node, deep=True))
        line = key_node.start_mark.line + 1
        if key in made.values:
            made.lines[key] = line
            made.fail(key, "the key is there twice")
        made.lines[key] = line
        if isinstance(value_node, yaml.MappingNode):
            made.values[key] = _section(file, f"{path}.{key}".lstrip("."), value_node, loader)
        else:
            made.values[key] = loader.construct_object(value_node, deep=True)
    return made
