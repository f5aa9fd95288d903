"""Thirty payloads of another user that would write a file, in five libraries' formats: none of them ever runs."""

import builtins
import hashlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
from xxhash import xxh3_128_hexdigest

from ataraxis_data_structures import DataFolio, Store, UntrustedError
from ataraxis_data_structures.cli import main
from ataraxis_data_structures.store.kinds.marks import mark_of, own_key, seal_of
from ataraxis_data_structures.store.ledger.lines import line_of

joblib = pytest.importorskip("joblib")
dill = pytest.importorskip("dill")


class Call:
    """Calls a function when its pickle is read."""

    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


GADGETS = {
    "touch": lambda path: Call(Path.touch, Path(path)),
    "open": lambda path: Call(builtins.open, path, "w"),
    "eval": lambda path: Call(eval, f"open({path!r}, 'w')"),
    "exec": lambda path: Call(exec, f"open({path!r}, 'w').close()"),
    "system": lambda path: Call(os.system, f"touch '{path}'"),
}


def joblib_bytes(value, **options):
    file = io.BytesIO()
    joblib.dump(value, file, **options)
    return file.getvalue()


def torch_bytes(value):
    """Return what torch.save writes: a zip with a pickle in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(value, protocol=2))
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def torch_load(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return pickle.loads(archive.read("archive/data.pkl"))


WRITERS = {
    "pickle 0": (lambda value: pickle.dumps(value, protocol=0), pickle.loads),
    "pickle 5": (lambda value: pickle.dumps([value, bytes(5000)], protocol=5), pickle.loads),
    "joblib": (joblib_bytes, lambda data: joblib.load(io.BytesIO(data))),
    "joblib, compressed": (
        lambda value: joblib_bytes(value, compress=("zlib", 3)),
        lambda data: joblib.load(io.BytesIO(data)),
    ),
    "dill": (dill.dumps, dill.loads),
    "torch": (torch_bytes, torch_load),
}
CASES = [(gadget, writer) for gadget in GADGETS for writer in WRITERS]


def planted(folder, data):
    """Make a store with one model, whose writer marked these bytes with a key of its own."""
    store = Store(folder, sync="process")
    digest, key = xxh3_128_hexdigest(data), own_key()
    about = {
        "class": "sklearn.linear_model:Ridge", "framework": "sklearn", "pickle": True,
        "mark": mark_of(store.uuid, digest, key), "seal": seal_of(store.uuid, hashlib.sha256(data).hexdigest(), key),
    }  # fmt: skip
    op = {
        "op": "put", "name": "m", "kind": "model", "about": about, "bytes": len(data), "hash": digest,
        "file": "m@1.pkl", "view": "models/m.pkl",
    }  # fmt: skip
    line = line_of({"by": "1@there", "ops": [op], "seq": 1, "t": 1})
    for name in ("ledger", "mirror"):
        (folder / ".axds" / name).write_bytes(line)
    (folder / ".axds/payloads/m@1.pkl").write_bytes(data)
    store.repair()
    return data


def looks(folder, out):
    """Return every look that is not a reading of the value."""
    store, folio = Store(folder), DataFolio(folder)
    return [
        store.list, store.describe, store.verify, store.status, store.repair, store._repr_html_,
        lambda: store.search("m"),
        lambda: store.info("m"), lambda: store.snapshot("s"), lambda: store.diff("s"), lambda: store.restore("s"),
        lambda: store.export(out / "export"), lambda: store.gc(grace_s=0), lambda: store.checked_file("m"),
        folio.list_contents, folio.validate, lambda: folio.describe(return_string=True), lambda: folio.item_info("m"),
        lambda: folio.data.m.metadata, lambda: dir(folio.data), lambda: repr(folio.data.m),
        *(lambda words=words: main(["store", *words]) for words in (
            ["ls", str(folder)], ["show", str(folder), "m"], ["describe", str(folder)], ["verify", str(folder)],
            ["get", str(folder), "m", "-o", str(out / "copy.pkl")],
        )),
    ]  # fmt: skip


@pytest.mark.parametrize(("gadget", "writer"), CASES, ids=[" ".join(case) for case in CASES])
def test_a_payload_of_another_user_never_runs(tmp_path, monkeypatch, capsys, gadget, writer):
    ran = tmp_path / "ran"
    dump, load = WRITERS[writer]
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "theirs"))
    data = planted(tmp_path / "s", dump(GADGETS[gadget](str(ran))))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "mine"))
    for read in (
        Store(tmp_path / "s").get, Store(tmp_path / "s").open, DataFolio(tmp_path / "s").get_model,
        DataFolio(tmp_path / "s").get_data, lambda name: DataFolio(tmp_path / "s").data[name].content,
    ):  # fmt: skip
        with pytest.raises(UntrustedError, match="trust"):
            read("m")
    for look in looks(tmp_path / "s", tmp_path):
        look()
    assert (tmp_path / "export/models/m.pkl").read_bytes() == data
    assert json.dumps(capsys.readouterr().err) == '""'
    assert not ran.exists()
    load(data)
    assert ran.exists()  # as it would have
