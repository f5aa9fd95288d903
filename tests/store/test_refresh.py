"""An open store sees what others add, and looks at its ledger's length alone when nothing was added."""

import shutil
import subprocess
import sys

import pytest

from ataraxis_data_structures import DataFolio

LOOKS = 50
CODE = """
import os, sys
from ataraxis_data_structures import DataFolio
folio = DataFolio(sys.argv[1])
looks = {
    "version": lambda: folio.store.version,
    "contains": lambda: "item1" in folio,
    "names": lambda: folio.store.list(),
    "contents": lambda: folio.list_contents(),
    "completion": lambda: dir(folio.data),
    "overview": lambda: folio.store.describe(),
}
for look in looks.values():
    look()
for name, look in looks.items():
    os.write(2, f"begin {name}".encode())
    for _ in range(LOOKS):
        look()
    os.write(2, f"end {name}".encode())
""".replace("LOOKS", str(LOOKS))
CHEAP = ("stat", "newfstatat", "fstat", "statx")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace counts the calls")
def test_a_look_when_nothing_changed_is_one_stat_and_reads_nothing(tmp_path):
    folio = DataFolio(tmp_path / "exp")
    with folio.batch():
        for number in range(100):
            folio.add_json(f"item{number}", number)
    command = ["strace", "-f", "-o", tmp_path / "calls", sys.executable, "-c", CODE, folio.path]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    counts, now = {}, None
    for line in (tmp_path / "calls").read_text().splitlines():
        call = line.split(None, 1)[1]
        if call.startswith('write(2, "begin '):
            now = call.split('"')[1].removeprefix("begin ")
            counts[now] = {}
        elif call.startswith('write(2, "end '):
            now = None
        elif now is not None:
            name = call.partition("(")[0]
            counts[now][name] = counts[now].get(name, 0) + 1
    assert len(counts) == 6
    for look, found in counts.items():
        memory = {name: count for name, count in found.items() if name in ("brk", "mmap", "munmap", "madvise")}
        calls = {name: count for name, count in found.items() if name not in memory}
        assert set(calls) <= set(CHEAP), (look, found)
        assert sum(calls.values()) <= LOOKS * (2 if look == "overview" else 1), (look, found)


def test_what_another_instance_adds_is_read_without_the_rest(tmp_path):
    folio, other = DataFolio(tmp_path / "exp"), DataFolio(tmp_path / "exp")
    for number in range(30):
        other.add_json(f"item{number}", number)
        assert list(folio.data) == list(other.data)
        assert f"item{number}" in folio.describe(return_string=True)
    other.delete("item3")
    assert "item3" not in folio
    assert "• item3\n" not in folio.describe(return_string=True)
