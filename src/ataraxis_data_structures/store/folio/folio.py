"""The public class `DataFolio`: words for what the store does, and no file or state of its own."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self
from warnings import warn

from ...errors import DamagedError, StoreError
from ..items import Item
from ..kinds import kind_for
from ..kinds.model import TORCH, TorchModel, framework_of, rebuilt
from ..kinds.table import table_at
from ..store import Store
from ..upkeep.verify import Fault
from .description import describe
from .types import (
    ARTIFACT,
    JSON,
    METADATA,
    MODEL,
    NUMPY,
    PYTORCH,
    REFERENCE,
    SECTIONS,
    TABLE,
    known_items,
    told,
    told_snapshot,
    type_of,
    view_of,
)
from .views import DataView, MetadataView

Drift = Literal["warn", "raise", "ignore"]


class DataFolio:
    """A folder of tables, arrays, JSON values, models and files that tells what was made from what.

    Every instance sees what others, of any process, have added. Adding a name again makes a new version; snapshots name
    states, and nothing of a state is lost.

    Args:
        path: The folder, which is made if there is none.
        metadata: Entries for `metadata`.
        read_only: Whether to refuse all changes.

    Raises:
        FileNotFoundError: There is no folio, and it is to be read only.
    """

    store: Store
    """Where everything is."""
    data: DataView
    """The items as attributes, `folio.data.results.content`, and by key."""

    def __init__(self, path: str | Path, metadata: Mapping[str, Any] | None = None, *, read_only: bool = False) -> None:
        self.store = Store(path, read_only=read_only, create=not read_only)
        # An attribute and no property: IPython runs no code of a property to complete what follows it.
        self.data = DataView(self.store, self.get_data)
        if metadata:
            self.metadata.update(metadata)

    @classmethod
    def _over(cls, store: Store) -> Self:
        folio = cls.__new__(cls)
        folio.store, folio.data = store, DataView(store, folio.get_data)
        return folio

    @classmethod
    def load_snapshot(cls, path: str | Path, name: str) -> Self:
        """Return the folio of a folder as it was at a snapshot, for reading."""
        return cls._over(Store(path, create=False, read_only=True).at(name))

    @property
    def path(self) -> Path:
        """Return the folder."""
        return self.store.path

    @property
    def read_only(self) -> bool:
        """Tell whether all changes are refused, as those of a snapshot are."""
        return self.store.read_only

    @property
    def metadata(self) -> MetadataView:
        """Return what is known of the folio as a whole: a dictionary, each change of which is kept at once."""
        return MetadataView(self.store)

    # Adding

    def add_data(self, name: str, data: Any = None, *, reference: str | None = None, **options: Any) -> Self:
        """Add a value of any kind: a DataFrame, array, JSON value, model or path of a file.

        Args:
            name: Letters, digits and `_ . -`.
            data: The value.
            reference: In place of a value, the path or URL where it lies; it is not copied.
            options: `description`, `inputs` (names of what it was made from), `models` (further inputs), `code`
                (text), `overwrite` (False: raise ConflictError if the name exists).

        Raises:
            TypeError: The value can't be kept as it is.
            ConflictError: The name exists and is not to be overwritten.
        """
        if reference is None:
            return self._put(name, data, **options)
        if data is not None:
            raise StoreError("expected a value or a reference, got both")
        return self.reference_table(name, reference, **options)

    def add_table(self, name: str, data: Any, **options: Any) -> Self:
        """Add a DataFrame or Series as Parquet; options as in `add_data`."""
        return self._put(name, data, form="parquet", **options)

    def add_numpy(self, name: str, data: Any, **options: Any) -> Self:
        """Add an array; options as in `add_data`."""
        return self._put(name, data, form="npy", **options)

    def add_json(self, name: str, data: Any, **options: Any) -> Self:
        """Add a value that JSON can hold; options as in `add_data`."""
        return self._put(name, data, form="json", **options)

    def add_artifact(self, name: str, path: str | Path, **options: Any) -> Self:
        """Add a copy of a file; options as in `add_data`."""
        return self._put(name, Path(path), **options)

    def reference_table(
        self,
        name: str,
        reference: str | Path | None = None,
        *,
        path: str | Path | None = None,
        sha256: str | bool | None = None,
        look: bool | None = None,
        **options: Any,
    ) -> Self:
        """Record where a table lies, which is not copied.

        Args:
            name: As in `add_data`.
            reference: A path or URL of a Parquet or CSV file.
            path: Another word for it.
            sha256: The hash of the data, or whether to read them for it.
            look: Whether to record size and ETag, by which a later change is told; by default of a path that exists.
            options: As in `add_data`.
        """
        where = path if reference is None else reference
        if where is None or (reference is not None and path is not None):
            raise StoreError("expected a reference or a path, got neither or both")
        _check_name(name)
        self.store.reference(name, str(where), sha256=sha256, look=look, **_options(**options))
        return self

    def add_model(
        self,
        name: str,
        model: Any,
        *,
        hyperparameters: Mapping[str, Any] | None = None,
        init_args: Mapping[str, Any] | None = None,
        format: str | None = None,  # noqa: A002 the store's word
        **options: Any,
    ) -> Self:
        """Add a model: a PyTorch module, or any other as a pickle that only this user reads unasked.

        Args:
            name: As in `add_data`.
            model: With `init_args`, or where its class needs none, a PyTorch module is kept as a state of tensors;
                else it is pickled, as every other model is.
            hyperparameters: What to remember of how it was made.
            init_args: The arguments by which a PyTorch module like it is made.
            format: "safetensors" for a state of tensors in that format, "pkl" for a pickle, "pth" for PyTorch's own.
            options: As in `add_data`.
        """
        details = {} if hyperparameters is None else {"hyperparameters": dict(hyperparameters)}
        if framework_of(model) != TORCH:
            if init_args is not None:
                raise TypeError(f"expected init_args for a PyTorch module only, got them for {type(model)!r}")
            return self._put(name, model, form=format or "pkl", details=details, **options)
        return self._put(name, TorchModel(model, dict(init_args or {})), form=format, details=details, **options)

    def add_sklearn(self, name: str, model: Any, **options: Any) -> Self:
        """Add a scikit-learn model; options as in `add_model`."""
        return self.add_model(name, model, **options)

    def add_pytorch(self, name: str, model: Any, *, save_class: bool = False, **options: Any) -> Self:
        """Add a PyTorch module.

        Args:
            name: As in `add_data`.
            model: The module.
            save_class: Whether to pickle the module whole, with the name of its class; the class must be importable
                where it is read. Where `init_args` are given the state of tensors is enough, and is kept in any case.
            options: As in `add_model`.

        Raises:
            TypeError: It is no PyTorch module.
        """
        if framework_of(model) != TORCH:
            raise TypeError(f"expected a PyTorch module, got {type(model)!r}")
        if save_class and not options.get("init_args"):
            return self._put(name, model, form="pkl", details={}, **options)
        return self.add_model(name, model, **options)

    # Reading

    def get_data(self, name: str, *, trust: bool = False, drift: Drift = "warn") -> Any:
        """Return a value in the form in which it was added; the path of a file, the table of a reference.

        Args:
            name: The item, or `name@version`.
            trust: Whether to read a pickle that somebody else wrote, which runs code of its writer.
            drift: What to do about a table that a reference leads to and that is no more what was recorded of it:
                "warn", "raise" (then a recorded hash is compared wherever the table lies), or "ignore".

        Raises:
            KeyError: There is no such item.
            DamagedError: Its bytes are not what was added.
            UntrustedError: It is a pickle that another user wrote.
        """
        if self.store.info(name).kind != "reference":
            return self.store.get(name, trust=trust)
        self._check_drift(name, drift)
        return table_at(self.store.get(name))

    def _check_drift(self, name: str, drift: Drift) -> None:
        if drift not in ("warn", "raise", "ignore"):
            raise ValueError(f"expected drift of 'warn', 'raise' or 'ignore', got {drift!r}")
        item = self.store.info(name)
        if drift == "ignore" or not (item.size_bytes or item.etag or item.sha256):
            return
        found = self.store.drift(name, deep=drift == "raise")
        if found and drift == "raise":
            raise DamagedError(f"{name} is not what was referred to: {'; '.join(found)}")
        if found:
            warn(f"{name} is not what was referred to: {'; '.join(found)}", stacklevel=4)

    def get_table(self, name: str, *, drift: Drift = "warn") -> Any:
        """Return a table, also that of a reference; `drift` as in `get_data`."""
        return self._get(name, TABLE, REFERENCE, drift=drift)

    def get_numpy(self, name: str) -> Any:
        """Return an array with its dtype and shape."""
        return self._get(name, NUMPY)

    def get_json(self, name: str) -> Any:
        """Return a JSON value."""
        return self._get(name, JSON)

    def get_model(self, name: str, *, trust: bool = False, **options: Any) -> Any:
        """Return a model; options for a PyTorch module as in `get_pytorch`."""
        if type_of(self.store.info(name)) == PYTORCH:
            return self.get_pytorch(name, trust=trust, **options)
        if options:
            raise TypeError(f"expected {sorted(options)} for a PyTorch module only, got them for {name}")
        return self._get(name, MODEL, trust=trust)

    def get_sklearn(self, name: str, *, trust: bool = False) -> Any:
        """Return a scikit-learn model."""
        return self._get(name, MODEL, trust=trust)

    def get_pytorch(self, name: str, model_class: Any = None, *, reconstruct: bool = True, trust: bool = False) -> Any:
        """Return a PyTorch module.

        Args:
            name: The item.
            model_class: Its class; by default the one of its name that this program has imported.
            reconstruct: Whether to make a module; else its state of tensors is returned.
            trust: As in `get_data`.

        Raises:
            StoreError: It is none, or the program has no such class.
        """
        item = self._checked(name, PYTORCH)
        found = self.store.open(name, trust=trust)
        if item.about.get("pickle") is True:
            return found if reconstruct else found.state_dict()
        return rebuilt(found, item.about, model_class) if reconstruct else found

    def get_artifact(self, name: str) -> Any:
        """Return the path of a file that was added."""
        return self._get(name, ARTIFACT)

    add, get, add_file, get_file = add_data, get_data, add_artifact, get_artifact

    # The whole

    def delete(self, names: str | Iterable[str], *, warn_dependents: bool = True) -> Self:
        """End items, all or none; what they were stays readable at snapshots and as `name@version`.

        Args:
            names: One name or several.
            warn_dependents: Whether to warn of items that were made from them.
        """
        self.store.delete(names, warn_dependents=warn_dependents)
        return self

    def describe(
        self,
        return_string: bool = False,  # noqa: FBT001, FBT002 the contract's
        show_empty: bool = False,  # noqa: FBT001, FBT002
        max_metadata_fields: int = 10,
    ) -> str | None:
        """Print an overview of all items.

        Args:
            return_string: Whether to return the text in place of printing it.
            show_empty: Whether to show sections without items.
            max_metadata_fields: How many entries of `metadata` are shown.
        """
        text = describe(self.store.at("HEAD"), show_empty=show_empty, max_metadata_fields=max_metadata_fields)
        if return_string:
            return text
        print(text)  # noqa: T201 what it is for
        return None

    def list_contents(self) -> dict[str, list[str]]:
        """Return the names of all items by what they are, each section in order."""
        items = known_items(self.store)
        return {section: [item.name for item in items if type_of(item) == what] for what, section in SECTIONS.items()}

    def item_info(self, name: str) -> dict[str, Any]:
        """Return all that is known of an item."""
        return told(self.store.info(name))

    def validate(self) -> list[Fault]:
        """Return what is not as it was added; a folio that is whole gives an empty list."""
        return self.store.verify()

    @contextmanager
    def batch(self) -> Iterator[Self]:
        """Make all changes of a block one transaction: all or none."""
        with self.store.batch():
            yield self

    # Snapshots

    def create_snapshot(self, name: str, description: str = "", tags: Iterable[str] = ()) -> Self:
        """Name the present state, which costs the same with any number of items.

        Raises:
            ConflictError: There is a snapshot of this name.
        """
        self.store.snapshot(name, note=description, tags=tags)
        return self

    def list_snapshots(self, tags: Iterable[str] = ()) -> list[dict[str, Any]]:
        """Return name, description, tags and time (`timestamp` in ISO 8601, UTC) of the snapshots, oldest first.

        Args:
            tags: Tags of which a snapshot has one, to be returned; none returns all snapshots.
        """
        wanted = set(tags)
        return [told_snapshot(one) for one in self.store.snapshots() if not wanted or wanted & set(one.tags)]

    def get_snapshot(self, name: str) -> Self:
        """Return the folio as it was at a snapshot, for reading."""
        return self._over(self.store.at(name))

    def restore_snapshot(self, name: str, *, confirm: bool = True) -> Self:
        """Make the items what they were at a snapshot; what they are now stays in the history.

        Args:
            name: The snapshot.
            confirm: Whether it is meant; as nothing is lost, it is by default.
        """
        if not confirm:
            raise StoreError("expected confirm=True, got False: nothing was restored")
        self.store.restore(name)
        return self

    def compare_snapshots(self, first: str, second: str = "HEAD") -> dict[str, list[str]]:
        """Return the items that were added, removed and modified from one snapshot to another, or to the present.

        `metadata_changes` are the keys of `metadata` that differ.
        """
        found = self.store.diff(first, second)
        old, new = (dict(MetadataView(self.store.at(one))) for one in (first, second))
        return {
            "added_items": [name for name in found.added if name != METADATA],
            "removed_items": [name for name in found.removed if name != METADATA],
            "modified_items": [name for name in found.changed if name != METADATA],
            "metadata_changes": sorted(
                key for key in old.keys() | new.keys() if key not in old or key not in new or old[key] != new[key]
            ),
        }

    def delete_snapshot(self, name: str) -> Self:
        """End the name of a state; the state stays."""
        self.store.delete_snapshot(name)
        return self

    def __repr__(self) -> str:
        return f"DataFolio({str(self.path)!r}, {len(known_items(self.store))} items)"

    def _repr_html_(self) -> str:
        from html import escape  # noqa: PLC0415 for notebooks alone

        return f"<pre>{escape(str(self.describe(return_string=True)))}</pre>"

    def __contains__(self, name: object) -> bool:
        return name in self.data

    # How

    def _put(
        self,
        name: str,
        value: Any,
        *,
        form: str | None = None,
        details: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        kind = kind_for(value, form)
        _check_name(name)
        self.store.add(
            name, value, format=form, view=view_of(name, kind, value), **_options(details=details, **options)
        )
        return self

    def _get(self, name: str, *types: str, trust: bool = False, drift: Drift = "warn") -> Any:
        self._checked(name, *types)
        return self.get_data(name, trust=trust, drift=drift)

    def _checked(self, name: str, *types: str) -> Item:
        _check_name(name)
        item = self.store.info(name)
        if type_of(item) not in types:
            raise StoreError(f"expected an item of type {' or '.join(types)}, got {name}, which is a {type_of(item)}")
        return item


def _check_name(name: str) -> None:
    if name.partition("@")[0] == METADATA:
        raise StoreError(f"expected the name of an item, got {name}, which is that of `metadata`")


def _options(
    *,
    description: str | None = None,
    inputs: str | Iterable[str] | None = None,
    models: str | Iterable[str] | None = None,
    code: str | None = None,
    overwrite: bool = True,
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the options of a folio's words as those of the store."""
    meta = {**(details or {}), **({} if code is None else {"code": code})}
    named = [part for group in (inputs, models) for part in ([group] if isinstance(group, str) else group or ())]
    return {"note": description or "", "inputs": named, "meta": meta or None, "overwrite": overwrite}
