"""What a subclass of Directory says of itself: defaults, how its `__init__` is called, its name."""

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .settings import Config, config_of

TYPE = "type"
_WHOLE = ("config", "conf")


def arguments_of(args: tuple[Any, ...], named: dict[str, Any]) -> tuple[str | Path | None, Mapping[str, Any] | None]:
    """Return path and configuration of a call: `()`, `(config)`, `(path)`, `(path, config)`, or with keywords.

    Raises:
        TypeError: It is none of these.
    """
    rest = list(args)
    path = rest.pop(0) if rest and isinstance(rest[0], str | Path) else None
    config = rest.pop(0) if rest and isinstance(rest[0], Mapping) else None
    if rest or (config is not None and named):
        raise TypeError(f"expected Directory(path, config), either or none of them, got {args!r} and {named!r}")
    if config is None and named:
        config = named["config"] if [*named] == ["config"] else named
        if config is not None and not isinstance(config, Mapping):
            raise TypeError(f"expected a mapping as config, got {config!r}")
    return path, config


def is_builder(cls: type) -> bool:
    """Tell whether a class has an `__init__` of its own, which builds."""
    return cls.__init__ is not base_of(cls).__init__  # type: ignore[misc]


def base_of(cls: type) -> type:
    """Return the class Directory itself."""
    return next(base for base in reversed(cls.__mro__) if base is not object)


def subclasses(cls: type) -> Iterator[type]:
    """Yield a class and those derived from it, as far as they are loaded."""
    yield cls
    parts: list[type] = cls.__subclasses__()
    for part in parts:
        yield from subclasses(part)


def class_for(cls: type, config: Mapping[str, Any] | None) -> type:
    """Return the class that a configuration names, if the program has it; a name imports nothing."""
    wanted = (config or {}).get(TYPE)
    if isinstance(wanted, type):
        return wanted if issubclass(wanted, cls) else cls
    known = [found for found in subclasses(base_of(cls)) if wanted in (found.__qualname__, found.__name__)]
    return known[-1] if known and issubclass(known[-1], cls) else cls


def defaults_of(cls: type) -> dict[str, Any]:
    """Return the defaults of a class: attributes of its `Config` and of the parameters of its `__init__`.

    Raises:
        ValueError: They contradict each other.
    """
    inner = vars(cls).get("Config")
    found = {name: value for name, value in vars(inner).items() if not name.startswith("_")} if inner else {}
    if is_builder(cls):
        for name, parameter in inspect.signature(cls.__init__).parameters.items():  # type: ignore[misc]
            if parameter.default is inspect.Parameter.empty:
                continue
            if found.setdefault(name, parameter.default) != parameter.default:
                raise ValueError(f"expected one default of {name}, got {found[name]!r} and {parameter.default!r}")
    return found


def whole_config(cls: type, given: Mapping[str, Any] | None) -> Config | None:
    """Return a configuration with the defaults of a class and its name; None where nothing is configured."""
    defaults = defaults_of(cls)
    if given is None and not defaults:
        return None
    found = config_of({**defaults, **(given or {})})
    found.pop(TYPE, None)
    named = (given or {}).get(TYPE)
    if cls is not base_of(cls):
        return Config({TYPE: cls.__qualname__, **found})
    if named is not None and named != base_of(cls).__name__ and not isinstance(named, type):
        return Config({TYPE: str(named), **found})
    return found


def run_builder(directory: Any, config: Config) -> None:
    """Call a class's own `__init__` as its parameters want it: with nothing, with all, or with each by its name."""
    names = [*inspect.signature(type(directory).__init__).parameters][1:]
    if not names:
        directory.__init__()
    elif len(names) == 1 and names[0] in _WHOLE:
        directory.__init__(config)
    else:
        directory.__init__(**{name: config[name] for name in names if name in config})
