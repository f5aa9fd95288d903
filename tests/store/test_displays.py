"""What notebooks and terminals show: tables whose texts are escaped, and bars for what takes long."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios

import numpy as np
import pytest

from ataraxis_data_structures import DataFolio, Store

EVIL = "<script>alert('x')</script>"


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "s", sync="process")
    made.add("a", np.arange(3), note=EVIL, inputs=["b"], meta={EVIL: EVIL})
    made.reference("far", EVIL)
    made.snapshot("v1", note=EVIL, tags=[EVIL])
    return made


def shown(what):
    html = what._repr_html_()
    assert "<script" not in html
    return html


def test_store_item_and_snapshot_are_tables_with_every_text_escaped(store):
    for what in (store, store.info("a"), store.info("far"), store.snapshots()[0], store.at("v1")):
        assert "&lt;script&gt;alert(&#x27;x&#x27;)" in shown(what)
        assert shown(what).count("<table>") == shown(what).count("</table>") == 1
    assert shown(store).count("<tr>") == 1 + len(store)
    assert "<td>array</td>" in shown(store)
    folio = DataFolio(store.path)
    assert "&lt;script&gt;" in shown(folio)
    assert shown(folio.data.a) == shown(store.info("a"))


def test_a_large_store_is_shown_in_part(store):
    with store.batch():
        for number in range(300):
            store.add(f"n{number}", number)
    assert shown(store).count("<tr>") == 101
    assert "and 202 more" in shown(store)


def test_forged_times_are_shown_as_they_are(store):
    ledger = store.path / ".axds" / "ledger"
    from ataraxis_data_structures.store.ledger.lines import line_of

    lines = [json.loads(line[9:]) for line in ledger.read_bytes().splitlines()]
    lines[0]["t"] = 10**30
    text = b"".join(line_of(line) for line in lines)
    for name in ("ledger", "mirror"):
        (store.path / ".axds" / name).write_bytes(text)
    forged = Store(store.path, read_only=True)
    assert "1000000000000000000000000000000" in shown(forged.info("a"))
    assert shown(forged)


WRITE = """
import sys
import numpy as np
from ataraxis_data_structures import Store
from ataraxis_data_structures.system import progress
progress.LARGE_BYTES = 4 << 20
store = Store(sys.argv[1], sync="process")
store.add("small", np.zeros(1 << 16, np.uint8))
print("small done", file=sys.stderr, flush=True)
store.add("large", np.zeros(16 << 20, np.uint8))
store.export(sys.argv[1] + "-out")
"""


def test_a_large_write_and_an_export_show_a_bar_on_a_terminal(tmp_path):
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen([sys.executable, "-c", WRITE, tmp_path / "s"], stderr=child) as program:
        os.close(child)
        text = b""
        try:
            while piece := os.read(parent, 1 << 16):
                text += piece
        except OSError:  # EIO is the end of a terminal
            pass
        os.close(parent)
    assert program.returncode == 0
    before, after = text.decode().split("small done")
    assert before.strip() == ""
    assert "writing: " in after
    assert "exporting: " in after


def test_no_bar_is_written_into_a_file(tmp_path):
    done = subprocess.run([sys.executable, "-c", WRITE, tmp_path / "s"], capture_output=True, text=True, check=True)
    assert done.stderr == "small done\n"
