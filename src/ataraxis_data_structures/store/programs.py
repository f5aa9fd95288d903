"""What a store does for the programs of a rig, beside keeping items."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import DTypeLike, NDArray

from ..errors import StoreError
from .ledger.commit import Change
from .ledger.fold import Entry
from .ledger.history import History
from .links import linked, moved
from .memo.memo import memoized
from .names import FOLDER, STAGING
from .payloads import payload_path, read_kind

if TYPE_CHECKING:
    from .builds import Built
    from .rig.log import StoredLogger
    from .rig.series import Series
    from .store import Store


class Programs:
    """Verbs of `Store` that run a program's functions and processes."""

    path: Path
    read_only: bool
    _history: History
    _at: int | None
    _sync: str

    def _commit(self, changes: list[Change]) -> int:
        raise NotImplementedError

    def memo(
        self,
        function: Callable[..., Any] | None = None,
        *,
        version: object = None,
        ignore: Sequence[str] = (),
        dataset: Sequence[str] = (),
    ) -> Callable[..., Any]:
        """Have a function computed once for each set of arguments: `@store.memo`, or `@store.memo(version=2)`.

        Results are arrays, dictionaries of arrays, tables and JSON values, all of whose bytes are checked when they
        are read; any other is returned with a warning and not kept. Of processes that ask for one result at a time,
        one computes it. `AXDS_DISABLE_MEMOIZE=1` turns all of it off.

        Args:
            function: The function; its results must follow from its arguments.
            version: What tells its present code from former code; by default a digest of its own code. Functions that
                it calls, and variables of its module, are no part of that.
            ignore: Names of arguments that make no difference to the result.
            dataset: Names of the arguments that alone make a key under `AXDS_MEMOIZE_KEY_MODE=dataset`.

        Raises:
            TypeError: By a call, for an argument that can't be part of a key.
        """
        if function is None:
            return lambda given: self.memo(given, version=version, ignore=ignore, dataset=dataset)
        return memoized(
            self.path, function, version=version, ignore=ignore, dataset=dataset, is_read_only=self.read_only
        )

    def build(self, function: Callable[..., Any]) -> "Callable[..., Built]":
        """Have a function build items once for each set of arguments: `@store.build def weights(out, n=2): ...`.

        The function adds items to its first parameter. A call gives what it built: `built["x"]`. Of processes that ask
        at a time one builds, as a job of `.axds/builds.yaml`, and the others wait; all of it becomes one transaction,
        and after an exception or a kill there is nothing.

        Args:
            function: What builds; its other arguments are values that YAML can hold.
        """
        from .builds import built_by  # noqa: PLC0415 most stores build nothing

        return built_by(self, function)  # type: ignore[arg-type]

    def log(self, name: str, **options: Any) -> "StoredLogger":
        """Return a DataLogger whose sources become items `name/SOURCE` when it ends, linked, not copied.

        What sessions that were killed left is completed and becomes items first.

        Args:
            name: Of the session; one that has messages already gets a number behind it.
            options: As `DataLogger` takes them, without directory and name.
        """
        from .rig.log import StoredLogger  # noqa: PLC0415 most stores record nothing

        self.adopt_logs()
        return StoredLogger(self, name, **options)  # type: ignore[arg-type]

    def adopt_logs(self) -> list[str]:
        """Complete what killed sessions left and make logs items that are none; returns the names of new versions."""
        from .rig.log import adopt_logs  # noqa: PLC0415

        if self.read_only:
            raise StoreError(f"expected a store that is open for writing, got {self!r}, which is read only")
        return adopt_logs(self)  # type: ignore[arg-type]

    def series(self, name: str, dtype: DTypeLike | None = None) -> "Series":
        """Return `times_us` (UTC, microseconds) and `values` of a log, or of an array or table with a `time_us`.

        Args:
            name: The item.
            dtype: Of a message's bytes; by default what the source declared (`DataLogger.source`).
        """
        from .rig.series import series_of  # noqa: PLC0415

        return series_of(self, name, dtype)  # type: ignore[arg-type]

    def align(
        self, names: str | Iterable[str] | Mapping[str, DTypeLike], onto: Any, *, is_discrete: bool = False
    ) -> dict[str, NDArray[Any]]:
        """Return series at the same times: `time_us`, and the values of each name, linear or the last known ones.

        Args:
            names: Items; with a dtype for each where its source declared none.
            onto: The item whose times they are brought to, or such times.
            is_discrete: Whether values hold until the next one, instead of changing linearly.
        """
        from .rig.series import aligned  # noqa: PLC0415

        return aligned(self, names, onto, is_discrete=is_discrete)  # type: ignore[arg-type]

    # What directories and logs are made with

    def names_below(self, start: str) -> list[str]:
        """Return the names of items that begin with a text, sorted."""
        return sorted(name for name, _ in self._history.fold().each(self._at) if name.startswith(start))

    def link(self, name: str, source: Path, *, kind: str, about: dict[str, Any], view: str, note: str = "") -> int:
        """Make a file that nobody changes any more an item: its payload is a further link to it, no copy."""
        op = {"name": name, "kind": kind, "about": about, "view": view, **({"note": note} if note else {})}
        staging = self.path / FOLDER / STAGING
        return self._commit([linked(staging, source, op, source.suffix, is_synced=self._sync == "power")])

    def take_items(self, other: "Store", names: dict[str, str]) -> None:
        """Link items of another store on the same disk into this one, under other names."""
        for name, new in names.items():
            entry = other.entry_of(name)
            op = entry.op or {}
            view = new + op["view"].removeprefix(name)
            if entry.before is not None:  # rows were appended
                self.add_copy(new, other.get(name), view)
                continue
            file = payload_path(other.path, op["file"])
            kept: dict[str, Any] = {key: op[key] for key in ("kind", "about", "note", "meta") if key in op}
            change = linked(
                self.path / FOLDER / STAGING, file, {**kept, "name": new, "view": view},
                "".join(Path(view).suffixes[-1:]), is_synced=self._sync == "power",
                is_carried=bool(read_kind(op).is_carried),
            )  # fmt: skip
            self._commit([change])

    def add_copy(self, name: str, value: Any, view: str) -> None:
        """Add a value with a plain file of a given name."""
        self.add(name, value, view=view)  # type: ignore[attr-defined]

    def entry_of(self, name: str) -> Entry:
        """Return the present version of an item as the ledger has it."""
        entry = self._history.fold().entry(name, self._at)
        if entry is None:
            raise KeyError(name)
        return entry

    def rename(self, names: dict[str, str]) -> int:
        """Give items other names, all or none, without copying; former versions stay under the former names."""
        changes = [Change({"op": "delete", "name": name}) for name in names]
        for name, new in names.items():
            entry = self.entry_of(name)
            op = entry.op or {}
            if entry.before is not None:
                raise TypeError(f"expected an array without appended rows, got {name}")
            if op.get("kind") == "reference":
                changes.append(Change({"op": "put", **{k: v for k, v in op.items() if k not in ("op", "name")},
                                       "name": new}))  # fmt: skip
                continue
            changes.append(moved(op, new, new + str(op["view"]).removeprefix(name)))
        return self._commit(changes)
