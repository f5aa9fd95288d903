"""What a writer looks up besides names: names without their case, plain files, and payloads by their hash."""

from typing import Any

from .fold import Fold, checked


class Index:
    """Follows one fold; only who holds the lock of the store uses it."""

    def __init__(self) -> None:
        self._fold: Fold | None = None
        self._keys: dict[str, tuple[str, str | None]] = {}  # of a name: its casefolded form, and that of its plain file
        self.names: dict[str, str] = {}
        self.views: dict[str, str] = {}
        self._files: dict[tuple[Any, Any], str] = {}
        self._seen: set[str] = set()
        self._shared: set[Any] = set()  # payloads that another name has too

    def follow(self, fold: Fold) -> None:
        """Take in what happened since the last call."""
        if fold is not self._fold:
            self.__init__()  # type: ignore[misc]
            self._fold = fold
            touched = list(fold.names)
            fold.touched = []
        else:
            touched, fold.touched = fold.touched or [], []
        for name in touched:
            self._update(fold, name)

    def _update(self, fold: Fold, name: str) -> None:
        folded, view = self._keys.pop(name, ("", None))
        if self.names.get(folded) == name:
            del self.names[folded]
        if view is not None and self.views.get(view) == name:
            del self.views[view]
        history = fold.names.get(name)
        if not history:
            return
        first = name not in self._seen
        for entry in history if first else history[-1:]:
            op = checked(entry).op
            if op is not None and "file" in op and str(op["file"]).partition("@")[0] != name:
                self._shared.add(op["file"])
            if op is not None and "data" not in op and "hash" in op and op.get("file") not in fold.grown:
                self._files[op["hash"], op.get("bytes")] = op["file"]
        self._seen.add(name)
        op = history[-1].op
        if op is not None:
            view = str(op["view"]).casefold() if "view" in op else None
            folded = name.casefold()
            self._keys[name] = (folded, view)
            self.names[folded] = name
            if view is not None:
                self.views[view] = name

    def twin(self, fold: Fold, size_bytes: int, digest: str) -> str | None:
        """Return a payload that had these bytes when it was written."""
        file = self._files.get((digest, size_bytes))
        return None if file is None or file in fold.dropped or file in fold.grown else file

    def is_shared(self, file: str) -> bool:
        """Tell whether another name has had this payload too."""
        return file in self._shared
