"""Write the package's __init__.pyi, which type checkers and editors read, from its table of public names.

    python stubs/package_stub.py
"""

from pathlib import Path

import ataraxis_data_structures as package


def stub() -> str:
    """Return the text of the stub."""
    lines = ["# Written by stubs/package_stub.py from the table in __init__.py.", ""]
    for module, names in sorted(package._PUBLIC.items()):  # noqa: SLF001 the table itself
        lines += [f"from .{module} import {name} as {name}" for name in sorted(names.split())]
    lines += ["", "__all__ = [", *(f'    "{name}",' for name in package.__all__), "]", "", "__version__: str", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    Path(package.__file__).with_suffix(".pyi").write_text(stub(), encoding="utf-8")
