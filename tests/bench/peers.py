"""Environments of their own for the programs we measure ourselves against, and calls into them."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "axds-bench"
PEER = "ataraxis-data-structures==7.2.0"


def environment(*requirements):
    """Return the Python of an environment that holds `requirements`; made at first use, kept between runs."""
    label = "-".join(r.replace("=", "").replace("/", "_") for r in sorted(requirements))
    home = CACHE / f"py{sys.version_info.major}{sys.version_info.minor}-{label}"
    python = home / "bin" / "python"
    ready = home / "ready"
    if not ready.exists():
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        ready.touch()
    return python


def run(code, *arguments, requirements=(PEER,)):
    """Run `code` in a peer's environment with JSON `arguments` as `args`; return what it prints last, from JSON."""
    program = f"import json, sys\nargs = json.loads(sys.argv[1])\n{code}"
    command = [environment(*requirements), "-I", "-c", program, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the peer ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
