"""A copy keeps attributes and ACLs, and gives nobody more rights than its source did."""

import os
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from ataraxis_data_structures import transfer_directory

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
STRANGER, LAB = 4242, 12345
SIZES = (10, 500_000)  # copied in a batch and alone
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="makes files of other users")


def acl(*entries):
    rows = [struct.pack("<HHI", tag, right, 0xFFFFFFFF if who is None else who) for tag, right, who in entries]
    return struct.pack("<I", 2) + b"".join(rows)


def named(*, right, mask, group=0, other=0):
    return acl(
        (USER_OBJ, 6, None), (USER, right, STRANGER), (GROUP_OBJ, group, None), (MASK, mask, None), (OTHER, other, None)
    )


def attributes(path):
    return {name: os.getxattr(path, name) for name in os.listxattr(path) if name != "security.selinux"}


def may(path, what, user=STRANGER, group=STRANGER):
    words = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "test", f"-{what}", path]
    return subprocess.run(words, check=False).returncode == 0


@pytest.fixture
def tmp_path(tmp_path):
    """Return a folder that others may enter."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder.stat().st_mode & 0o055 != 0o055:
            folder.chmod(folder.stat().st_mode | 0o055)
    return tmp_path


@pytest.fixture
def source(tmp_path, plant):
    return plant(tmp_path / "source", {f"deep/{size}": b"x" * size for size in SIZES})


@pytest.mark.parametrize("existing", [False, True])
def test_attributes_and_acls_of_files_and_folders_are_kept(tmp_path, source, existing):
    listed = [source, source / "deep", *(source / f"deep/{size}" for size in SIZES)]
    for number, path in enumerate(listed):
        os.setxattr(path, "user.rig", b"%d" % number)
        os.setxattr(path, "user.large", os.urandom(1000))
        os.setxattr(path, ACCESS, named(right=4, mask=4, group=4))
    os.setxattr(source / "deep", DEFAULT, named(right=4, mask=6))
    if existing:
        (tmp_path / "t").mkdir()
        listed.remove(source)
    transfer_directory(source, tmp_path / "t", verify_integrity=True)
    for path in listed:
        copy = tmp_path / "t" / path.relative_to(source)
        assert attributes(copy) == attributes(path)
        assert stat.S_IMODE(copy.stat().st_mode) == stat.S_IMODE(path.stat().st_mode)


def test_an_attribute_that_changed_is_brought_by_the_next_transfer(tmp_path, source):
    for size in SIZES:
        os.setxattr(source / f"deep/{size}", "user.gone", b"1")
    transfer_directory(source, tmp_path / "t")
    for size in SIZES:
        os.removexattr(source / f"deep/{size}", "user.gone")
        os.setxattr(source / f"deep/{size}", "user.rig", b"2")
    transfer_directory(source, tmp_path / "t")
    for size in SIZES:
        assert attributes(tmp_path / f"t/deep/{size}") == {"user.rig": b"2"}


@NEEDS_ROOT
@pytest.mark.parametrize("existing", [False, True])
def test_a_default_acl_of_the_destination_opens_nothing(tmp_path, source, existing):
    shared = tmp_path / "shared"
    shared.mkdir()
    os.setxattr(
        shared,
        DEFAULT,
        acl((USER_OBJ, 7, None), (USER, 7, STRANGER), (GROUP_OBJ, 7, None), (MASK, 7, None), (OTHER, 0, None)),
    )
    for size in SIZES:
        (source / f"deep/{size}").chmod(0o640)
    (source / "deep").chmod(0o755)
    target = shared / "t"
    if existing:
        target.mkdir()
    transfer_directory(source, target)
    for size in SIZES:
        assert attributes(target / f"deep/{size}") == {}
        assert not may(target / f"deep/{size}", "r")
    assert attributes(target / "deep") == {}


@NEEDS_ROOT
@pytest.mark.parametrize("size", SIZES)
def test_set_user_id_bits_of_others_are_dropped_and_ones_own_are_kept(tmp_path, source, size):
    own, other, theirs = source / "own", source / "other", source / "group"
    for path in (own, other, theirs):
        path.write_bytes(b"x" * size)
    os.chown(other, STRANGER, -1)
    os.chown(theirs, -1, LAB)
    own.chmod(0o4755)
    other.chmod(0o4755)
    theirs.chmod(0o2755)
    transfer_directory(source, tmp_path / "t")
    modes = {name: stat.S_IMODE((tmp_path / "t" / name).stat().st_mode) for name in ("own", "other", "group")}
    assert modes == {"own": 0o4755, "other": 0o755, "group": 0o755}


@NEEDS_ROOT
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kept", [True, False], ids=["ACLs", "a file system without ACLs"])
def test_who_may_not_read_the_source_may_not_read_the_copy(tmp_path, plant, small, kept, size):
    """The group bits of a file with an ACL are its mask; alone they would give the group more."""
    source = plant(tmp_path / "source", dict.fromkeys(("group", "denied"), b"x" * size))
    (source / "group").chmod(0o640)
    os.setxattr(source / "group", ACCESS, named(right=6, mask=6))
    (source / "denied").chmod(0o644)
    os.setxattr(source / "denied", ACCESS, named(right=0, mask=4, group=4, other=4))
    target = tmp_path / "t" if kept else small / "t"
    if kept:
        transfer_directory(source, target)
    else:
        with pytest.warns(RuntimeWarning, match="extended attributes or ACL"):
            transfer_directory(source, target)
    for name in ("group", "denied"):
        os.chown(source / name, 0, LAB)
        os.chown(target / name, 0, LAB)
    assert not may(source / "group", "r", user=4343, group=LAB)
    assert not may(target / "group", "r", user=4343, group=LAB)
    assert not may(source / "denied", "r")
    assert not may(target / "denied", "r")


@pytest.fixture
def small(tmp_path):
    """Return a mounted file system that holds no ACLs and no attributes."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "none", place], check=True)
    place.chmod(0o755)
    yield place
    subprocess.run(["umount", place], check=True)


def test_the_owner_of_a_folder_without_write_bits_copies_into_it_again_and_removes_the_source(
    tmp_path, plant, unprivileged
):
    source = plant(tmp_path / "source", {"raw/f": b"one", "g": b"g"})
    (source / "raw").chmod(0o555)
    with unprivileged(tmp_path):
        transfer_directory(source, tmp_path / "t")
        (source / "raw").chmod(0o755)
        (source / "raw/f").write_bytes(b"two")
        (source / "raw").chmod(0o555)
        transfer_directory(source, tmp_path / "t")
        assert (tmp_path / "t/raw/f").read_bytes() == b"two"
        assert stat.S_IMODE((tmp_path / "t/raw").stat().st_mode) == 0o555
        source.chmod(0o555)
        transfer_directory(source, tmp_path / "t", remove_source=True)
        assert not source.exists()
    Path(tmp_path / "t/raw").chmod(0o755)


@NEEDS_ROOT
@pytest.mark.parametrize("place", ["..", "raw"])
def test_a_source_that_its_user_may_not_remove_is_refused_before_the_copy(tmp_path, plant, unprivileged, place):
    source = plant(tmp_path / "a/source", {"raw/f": b"one"})
    closed = source / place
    (tmp_path / "b").mkdir()
    with unprivileged(tmp_path):
        os.seteuid(0)
        os.chown(closed, 0, 0)
        os.seteuid(65534)
        with pytest.raises(PermissionError, match="cannot remove"):
            transfer_directory(source, tmp_path / "b/t", remove_source=True)
        assert os.listdir(tmp_path / "b") == []
    assert (source / "raw/f").exists()
