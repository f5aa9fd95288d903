"""Folders and files, ended at each step by a kill or an error: what was promised holds, and the next call goes on."""

import errno
import os
import shutil

import pytest

import oracle_files
from ataraxis_data_structures import atomic_write, calculate_directory_checksum, delete_directory, transfer_directory
from helpers.crash import chosen, count_steps, fail_at, kill_at

FILES = {
    **{f"small/{i:02d}": bytes([i]) * (i * 97) for i in range(30)},
    **{f"deep/{i}/x": os.urandom(500) for i in range(5)},
    "big": os.urandom(400_000),
    "bigger": os.urandom(1_300_000),
    "empty/folder": None,
}
OPTIONS = [{}, {"verify_integrity": True}, {"verify_integrity": True, "remove_source": True}, {"remove_source": True}]
CHECKSUM = "ax_checksum.txt"


class Place:
    """A source and a target, as they are before each run."""

    def __init__(self, root, plant, existing):
        self.root, self.existing = root, existing
        self.pristine = plant(root / "pristine", FILES)
        (self.pristine / "small").chmod(0o555)
        os.setxattr(self.pristine / "big", "user.rig", b"7")
        self.want = oracle_files.checksum(self.pristine)
        self.source, self.target = root / "s", root / "t"

    def prepare(self):
        for path in self.root.iterdir():
            if path != self.pristine:
                shutil.rmtree(path)
        shutil.copytree(self.pristine, self.source)
        if self.existing:
            self.target.mkdir()
            shutil.copy2(self.pristine / "bigger", self.target / "bigger")
            (self.target / "big").write_bytes(b"old")

    def is_whole(self, folder):
        return folder.is_dir() and oracle_files.checksum(folder) == self.want

    def nothing_else(self):
        """Return whether only source and target are left, without any file that is not one of theirs."""
        extra = {path.name for path in self.root.iterdir()} - {"pristine", "s", "t"}
        known = {str(path.relative_to(self.pristine)) for path in self.pristine.rglob("*")} | {CHECKSUM}
        for folder in (self.source, self.target):
            extra |= {str(path.relative_to(folder)) for path in folder.rglob("*")} - known
        return extra

    def check(self, options, step):
        """Assert what holds after a kill or an error at any step."""
        source_whole, target_whole = self.is_whole(self.source), self.is_whole(self.target)
        partial = (self.target / ".axds.partial").exists() or (self.root / ".t.partial").exists()
        assert source_whole or (target_whole and not partial), step  # only what is published may have left the source
        if self.source.exists():
            names = {str(path.relative_to(self.source)) for path in self.source.rglob("*")}
            known = {str(path.relative_to(self.pristine)) for path in self.pristine.rglob("*")}
            assert names - known <= {CHECKSUM}, step
            assert source_whole, step  # in full, or not at all
        if self.target.exists() and not target_whole:
            assert partial or self.existing, step
        if self.existing:
            assert oracle_files.checksum(self.target, (CHECKSUM,)) is not None
            assert (self.target / "big").read_bytes() in (b"old", FILES["big"]), step
            assert (self.target / "bigger").read_bytes() == FILES["bigger"], step

    def end(self, options, step):
        """Assert that the same call ends the work, and leaves nothing beside it."""
        if self.source.exists() or (self.root / ".s.removed").exists():
            transfer_directory(self.source, self.target, **options)
        assert self.is_whole(self.target), step
        assert self.nothing_else() == set(), step
        assert self.source.exists() != options.get("remove_source", False), step
        assert os.getxattr(self.target / "big", "user.rig") == b"7"
        assert (self.target / "small").stat().st_mode & 0o777 == 0o555
        if self.source.exists():
            assert self.is_whole(self.source), step


@pytest.fixture(params=[False, True], ids=["new target", "existing target"])
def place(request, tmp_path, plant):
    return Place(tmp_path, plant, request.param)


@pytest.mark.fault
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_transfer_killed_at_any_step_is_ended_by_the_next_one(place, options):
    def program():
        transfer_directory(place.source, place.target, **options)

    place.prepare()
    points = chosen(count_steps(program), short=40)  # eight kinds of transfer: 320 kills
    for n in points:
        place.prepare()
        run = kill_at(program, n)
        assert run.hit, n
        place.check(options, run.hit)
        place.end(options, run.hit)
    print(f"killed {len(points)} transfers with {options}")


@pytest.mark.fault
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EINTR], ids=errno.errorcode.get)
def test_a_transfer_any_of_whose_calls_fails_loses_nothing(place, code):
    options = {"verify_integrity": True, "remove_source": True}

    def program():
        transfer_directory(place.source, place.target, **options)

    place.prepare()
    points = chosen(count_steps(program), short=20)
    for n in points:
        place.prepare()
        run = fail_at(program, n, code)
        assert run.status in (0, 1), run.error
        place.check(options, f"{run.hit}: {run.error}")
        place.end(options, run.hit)
    print(f"failed {len(points)} calls")


@pytest.mark.fault
@pytest.mark.parametrize("saved", [None, "0" * 32], ids=["none saved", "an old one saved"])
@pytest.mark.parametrize("deed", ["kill", "fail"])
def test_a_checksum_ended_at_any_step_leaves_nothing_but_a_whole_one(tmp_path, plant, saved, deed):
    root = plant(tmp_path / "r", {"a": b"1", "d/b": b"2"})
    want = oracle_files.checksum(root)
    path = root / CHECKSUM

    def prepare():
        path.unlink(missing_ok=True)
        if saved:
            path.write_text(saved)

    def program():
        calculate_directory_checksum(root)

    prepare()
    total = count_steps(program)
    assert path.read_text() == want
    for n in range(total):
        prepare()
        run = kill_at(program, n) if deed == "kill" else fail_at(program, n, errno.EIO)
        assert run.hit, n
        assert set(os.listdir(root)) <= {"a", "d", CHECKSUM}, run.hit
        if path.exists():
            assert path.read_text() in (want, saved), run.hit
        assert calculate_directory_checksum(root) == want
        assert path.read_text() == want
    print(f"{deed}ed at each of {total} steps")


@pytest.mark.fault
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("code", [None, errno.EIO, errno.ENOSPC, errno.EINTR], ids=["killed", "EIO", "ENOSPC", "EINTR"])
def test_an_atomic_write_ended_at_any_step_leaves_the_old_file_or_the_new_one(tmp_path, exists, code):
    path = tmp_path / "d/f"
    old, new = "old" * 5000, "new" * 9000

    def prepare():
        shutil.rmtree(tmp_path / "d", ignore_errors=True)
        if exists:
            path.parent.mkdir()
            path.write_text(old)

    def program():
        with atomic_write(path) as file:
            for start in range(0, len(new), 3000):
                file.write(new[start : start + 3000])
                file.flush()

    prepare()
    total = count_steps(program)
    for n in range(total):
        prepare()
        run = kill_at(program, n) if code is None else fail_at(program, n, code)
        assert run.hit, n
        names = set(os.listdir(path.parent)) if path.parent.exists() else set()
        contents = path.read_text() if path.exists() else None
        assert contents in ((old, new) if exists else (None, new)), run.hit
        if code is not None:
            failed_unlink = run.hit.call == "unlink"
            assert failed_unlink or names <= {"f"}, run.hit  # an error leaves no temporary; a kill may leave one
            assert run.status or contents == new, run.hit
        program()
        assert path.read_text() == new
    print(f"ended at each of {total} steps")


@pytest.mark.fault
def test_a_deletion_killed_at_any_step_is_ended_by_the_next_one(tmp_path, plant):
    root = tmp_path / "r"
    kept = plant(tmp_path / "kept", {"x": b"1"})

    def prepare():
        delete_directory(root)
        plant(root, FILES)
        (root / "link").symlink_to(kept)

    def program():
        delete_directory(root)

    prepare()
    points = chosen(count_steps(program))
    for n in points:
        prepare()
        assert kill_at(program, n).hit, n
        delete_directory(root)
        assert os.listdir(tmp_path) == ["kept"]
        assert (kept / "x").exists()
