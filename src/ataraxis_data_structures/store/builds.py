"""Builds by functions: the items that a function makes, found by its arguments."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .store import Store


@dataclass(frozen=True)
class Built(Mapping[str, Any]):
    """What was built: `built["x"]` is an item, `built.config` the arguments, `name` the folder in the store."""

    store: "Store"
    name: str
    config: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.store.get(f"{self.name}/{key}")

    def open(self, key: str) -> Any:
        """Return an item mapped, unchecked."""
        return self.store.open(f"{self.name}/{key}")

    def add(self, key: str, value: Any, **options: Any) -> int:
        """Add an item, while it is built."""
        return self.store.add(f"{self.name}/{key}", value, **options)

    def extend(self, key: str, rows: Any) -> int:
        """Append rows to an array, while it is built."""
        return self.store.extend(f"{self.name}/{key}", rows)

    @property
    def path(self) -> Path:
        """Return the folder; other files that are written there become items too."""
        return self.store.path / self.name

    def __iter__(self) -> Iterator[str]:
        start = f"{self.name}/"
        return (key for name in self.store.names_below(start) if not (key := name[len(start) :]).startswith("_"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class _Place:
    """A folder of one store, as builds want it."""

    root: Path
    prefix: str
    store: "Store"

    @property
    def path(self) -> Path:
        return self.root / self.prefix

    def item(self, key: str) -> str:
        return f"{self.prefix}/{key}"

    def reader(self) -> "Store":
        return self.store

    writer = reader


def built_by(store: "Store", function: Callable[..., Any]) -> Callable[..., Built]:
    """Return a function that builds once for each set of arguments; see `Store.build`."""
    from .directory import building, settings  # noqa: PLC0415 for stores with builds

    signature = inspect.signature(function)
    _, *rest = signature.parameters.values()
    wanted = signature.replace(parameters=rest)
    name = function.__qualname__

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Built:
        bound = wanted.bind(*arguments, **named)
        bound.apply_defaults()
        config = settings.config_of({"type": f"{function.__module__}.{name}", **bound.arguments})
        folder = f"{function.__name__}_{settings.hash_of(config)[:16]}"
        place = _Place(store.path, folder, store)

        def fill(scratch: Any, made: "Store") -> None:
            function(replace(done, store=made, name=scratch.prefix), *bound.args, **bound.kwargs)

        done = Built(store, folder, config)
        if not building.check(place, config):  # type: ignore[arg-type]
            building.build(place, config, fill)  # type: ignore[arg-type]
        return done

    return call
