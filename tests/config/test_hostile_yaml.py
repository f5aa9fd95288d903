"""YAML from strangers is refused in bounded time and memory."""

import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from ataraxis_data_structures import YamlConfig


@dataclass
class Anything(YamlConfig):
    a: Any = None


BOMB = "x0: &x0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
    f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" for i in range(1, 30)
)
MERGE_BOMB = "x0: &x0 {k: 1}\n" + "".join(
    f"x{i}: &x{i} {{<<: [{', '.join([f'*x{i - 1}'] * 9)}]}}\n" for i in range(1, 30)
)
HOSTILE = {
    "a python tag": "a: !!python/object/apply:os.system ['true']\n",
    "a module tag": "a: !!python/name:os.system\n",
    "an unknown tag": "a: !danger 1\n",
    "exploding anchors": BOMB,
    "exploding merges": MERGE_BOMB,
    "a cycle": "a: &a [*a]\n",
    "a cycle through a key": "a: &a {b: *a}\n",
    "nested lists": "a: " + "[" * 200_000,
    "nested mappings": "a: " + "{a: " * 100_000,
    "nested blocks": "".join(" " * i + "a:\n" for i in range(2_000)),
    "nested dashes": "- " * 100_000,
    "a chain of aliases": "x0: &x0 [1]\n" + "".join(f"x{i}: &x{i} [*x{i - 1}]\n" for i in range(1, 5_000)),
    "a base-60 number": "a: 1" + ":1" * 500_000 + "\n",
    "a long number": "a: " + "9" * 1_000_000 + "\n",
    "bytes that are no text": b"a: \xff\xfe\xff\n",
    "control characters": b"a: \x00\x01\n",
    "an unhashable key": "? [1, 2]\n: 3\n",
    "two documents": "a: 1\n---\na: 2\n",
}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_yaml_is_refused_quickly(tmp_path, text, strict):
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    start = time.process_time()
    with pytest.raises(yaml.YAMLError):
        Anything.from_yaml(path, strict=strict)
    assert time.process_time() - start < 5


def test_the_bomb_stays_small_in_memory(tmp_path):
    for name, text in (("bomb", BOMB), ("merge", MERGE_BOMB)):
        (tmp_path / f"{name}.yaml").write_text(text)
    code = f"""
import resource, sys, yaml
from pathlib import Path
from dataclasses import dataclass
from ataraxis_data_structures import YamlConfig
@dataclass
class Anything(YamlConfig):
    a: int = 0
for name in ("bomb", "merge"):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        Anything.from_yaml(Path({str(tmp_path)!r}) / f"{{name}}.yaml")
        sys.exit("was taken")
    except yaml.YAMLError:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert len(got) == 2
    assert all(int(kib) < 50 * 1024 for kib in got)


def test_honest_anchors_and_merges_are_honoured(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("base: &base {gain: 2}\na: {<<: *base, offset: 1}\n")
    assert Anything.from_yaml(path).a == {"gain": 2, "offset": 1}


def test_a_long_plain_file_is_no_attack(tmp_path, monkeypatch):
    monkeypatch.setattr("ataraxis_data_structures.config.load.MAX_EXPANDED", 1_000)
    path = tmp_path / "c.yaml"
    path.write_text("a:\n" + "- 1\n" * 30_000)
    assert len(Anything.from_yaml(path).a) == 30_000
