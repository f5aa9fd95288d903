"""Changes that become one line of the ledger: all of them, or none."""

from typing import TYPE_CHECKING, Any

from ..errors import StoreError
from .ledger.commit import Change

if TYPE_CHECKING:
    from .store import Store


class Batch:
    """Collects changes until the block ends; `version` is their line then."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self.changes: dict[str, Change] = {}
        self.version = 0

    def take(self, change: Change) -> int:
        """Collect a change; of two values for one name the later one counts.

        Raises:
            StoreError: The name is changed in another way already.
        """
        former = self.changes.get(change.name)
        if former is not None:
            if {former.op["op"], change.op["op"]} != {"put"}:
                raise StoreError(
                    f"expected one change of {change.name} in a batch, got {change.op['op']} after {former.op['op']}"
                )
            if former.staged is not None:
                former.staged.remove()
        self.changes[change.name] = change
        return 0

    def discard(self) -> None:
        """Remove what was written for the changes."""
        for change in self.changes.values():
            if change.staged is not None:
                change.staged.remove()

    def add(self, name: str, value: Any, **options: Any) -> int:
        """Collect an `add` of the store."""
        return self._store.add(name, value, **options)

    def extend(self, name: str, rows: Any) -> int:
        """Collect an `extend` of the store."""
        return self._store.extend(name, rows)

    def reference(self, name: str, uri: str, **options: Any) -> int:
        """Collect a `reference` of the store."""
        return self._store.reference(name, uri, **options)

    def delete(self, names: str | list[str], **options: Any) -> int:
        """Collect a `delete` of the store."""
        return self._store.delete(names, **options)

    def note(self, name: str, note: str | None = None, **options: Any) -> int:
        """Collect a `note` of the store."""
        return self._store.note(name, note, **options)
