"""Credentials of data sets: from the environment or from `.env` in the working folder, never from anywhere else."""

import os
from pathlib import Path

from .http import basic

_KEY = "_API_KEY"
_USER = "_USERNAME"


def authorization(variable: str) -> dict[str, str]:
    """Return the header that a variable such as `DATASET_API_KEY` stands for.

    With `DATASET_USERNAME` beside it that is basic authentication, else a bearer token.

    Raises:
        LookupError: The variable is set nowhere.
    """
    secrets = {**_read_env(Path(".env")), **os.environ}
    key = secrets.get(variable, "").strip()
    if not key:
        raise LookupError(f"expected {variable} in the environment or in .env, got nothing")
    user = secrets.get(variable.removesuffix(_KEY) + _USER, "").strip() if variable.endswith(_KEY) else ""
    return {"Authorization": basic(user, key) if user else f"Bearer {key}"}


def _read_env(path: Path) -> dict[str, str]:
    """Return the variables of a file of `NAME=value` lines; values may be quoted, nothing in them is expanded."""
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        name, is_set, value = line.strip().removeprefix("export ").partition("=")
        if is_set and not name.startswith("#"):
            found[name.strip()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] in "'\"" and value[0] in value[1:]:
        return value[1 : value.index(value[0], 1)]
    return value.partition(" #")[0].strip()
