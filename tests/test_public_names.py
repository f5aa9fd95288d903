import importlib
import subprocess
import sys

import ataraxis_data_structures as package


def test_every_public_name_is_found():
    assert sorted(package.__all__) == sorted(package._HOMES)
    for name in package.__all__:
        assert getattr(package, name) is getattr(
            importlib.import_module(f"{package.__name__}.{package._HOMES[name]}"), name
        )


def test_importing_the_package_imports_nothing_heavy():
    heavy = ("yaml", "tqdm", "filelock", "multiprocessing", "concurrent.futures")
    code = f"import sys, ataraxis_data_structures; print([m for m in {heavy} if m in sys.modules])"
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert got.strip() == "[]"
