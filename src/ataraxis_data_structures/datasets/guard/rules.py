"""Which paths and sizes are not for a repository."""

import re

MIB = 1 << 20

_ENDINGS = (".npz", ".h5", ".hdf5", ".dill", ".h5.zip")
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp", ".webp", ".svg")
_DOCUMENTS = (".md", ".rst", ".adoc", ".pdf", ".html", ".tex")  # they may be long
_DOCUMENT_NAMES = ("readme", "license", "licence", "citation", "changelog")
_POINTERS = (".dvc", ".gitignore", ".gitattributes", ".gitkeep")  # of git and DVC, in place of the data
_SOURCES = (".py", ".pyi", ".pyx", ".pxd", ".c", ".h", ".cpp", ".hpp", ".rs", ".js", ".ts", ".m", ".r", ".jl")
_CACHES = ("outputs", "memoized_data", "memoized_simulated_data")
_KEPT_OF_STORE = ("ledger", "store.json", ".gitignore")
_TEST_DATA_BYTES = 10 * MIB

# A history has tens of thousands of paths, and nearly all lie in no folder that a rule is about.
_SPECIAL = re.compile(r"(?:^|/)(?:\.axds|datasets|tests/data|memoized_|[^/]*outputs?(?:/|$))")


def rule_of(path: str, size_bytes: int) -> str | None:
    """Return the rule that forbids a file in a repository; None where it may be committed.

    Args:
        path: Relative to the top of the repository, with `/`.
        size_bytes: Its size.
    """
    name = path.rpartition("/")[2].lower()
    parts = path.split("/") if _SPECIAL.search(path) else [name]
    if _is_test_data(parts):
        return "test data of 10 MiB or more" if size_bytes >= _TEST_DATA_BYTES else None
    if ".axds" in parts:
        below = parts[parts.index(".axds") + 1 :]
        return None if len(below) == 1 and below[0] in _KEPT_OF_STORE else "in .axds/"
    if name.endswith(_ENDINGS):
        return "*" + next(ending for ending in _ENDINGS if name.endswith(ending))
    return _rule_of_folder(parts) or _rule_of_size(name, size_bytes)


def _is_test_data(parts: list[str]) -> bool:
    """Tell whether a file lies in a `tests/data/`, where small data may be committed."""
    return any(parts[i : i + 2] == ["tests", "data"] for i in range(len(parts) - 2))


def _rule_of_folder(parts: list[str]) -> str | None:
    """Return the rule of the folders above a file; a link or a file that is called like the folder counts as in it."""
    for depth, part in enumerate(parts):
        if part == "datasets" and not _belongs_in_datasets(parts, depth):
            return "in datasets/"
        if part in _CACHES:
            return f"in {part}/"
        if part.endswith(("_outputs", "_output")) and depth < len(parts) - 1:
            return "in an output folder"
    return None


def _belongs_in_datasets(parts: list[str], depth: int) -> bool:
    name = parts[-1].lower()
    if name.endswith(_DOCUMENTS) or name.endswith(_POINTERS) or name.partition(".")[0] in _DOCUMENT_NAMES:
        return True
    # A package of a program may be called so; the folder at the top is for data.
    return depth > 0 and name.endswith(_SOURCES)


def _rule_of_size(name: str, size_bytes: int) -> str | None:
    if size_bytes <= MIB:
        return None
    if name.endswith(_IMAGES):
        return "image above 1 MiB"
    return None if name.endswith(_DOCUMENTS) else "above 1 MiB"
