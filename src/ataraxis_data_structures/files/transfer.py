"""Copy a folder so that the target is absent, marked partial, or whole."""

import errno
import os
import stat
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .._core.bulk import same_attributes, syncfs, unlink_files
from ..errors import IntegrityError
from ..system.cpus import usable_cpus
from ..system.progress import Meter
from . import staging
from .checksum import CHECKSUM_FILE, combine, explain, leads_to_a_file, read_checksum, write_checksum
from .copying import Copied, copy_files
from .digest import digest_files, in_threads
from .losses import Losses
from .places import refuse_removal, refuse_url
from .remote import Remote, is_remote
from .walk import Tree, opened, walk

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def transfer_directory(
    source: Path,
    destination: Path | str,
    num_threads: int = 1,
    *,
    verify_integrity: bool = False,
    remove_source: bool = False,
    progress: bool = False,
    reset_dirty_destination: bool = False,
    symlinks: bool = False,
    durable: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """Copy the contents of a folder into another, with empty folders, modes, attributes, ACLs, times and holes.

    The copy grows in `.NAME.partial` beside the destination (in `.axds.partial` inside one that exists) and appears by
    rename, so an interrupted one is never taken for a whole one; the next call goes on with what is there. Files that
    the destination holds already are replaced one by one; others there stay, unless `reset_dirty_destination`.

    With `verify_integrity` the source's `ax_checksum.txt` is checked or made, and everything is read back before it is
    published: from the kernel's cache of the target, or, with `durable`, from the disk itself after a sync. Without
    `durable` a power cut soon after the call may cost the copy or files of it. `remove_source` always syncs, reads
    back from the disk, removes nothing that changed meanwhile, and first renames the source to `.NAME.removed`.
    `num_threads` below 1 means all CPUs. Links are kept with `symlinks`, else refused.

    A destination like `s3://bucket/folder` is reached through fsspec (the extra `remote`) with `storage_options`, and
    is read back the same way. Such a place has no renames: the object `.axds.partial` stands in it until all is
    there. It keeps no modes, times, links or empty folders.

    Raises:
        FileNotFoundError: The source is missing.
        ValueError: A path that begins like a URL (`Path("s3://bucket")`), or, with `remove_source`, a source that
            nobody means to remove: `.`, one that ends in `..`, the root, the home folder or what holds it, a mount
            point.
        RuntimeError: Before anything is written: a linked source, links, pipes, sockets or devices in it, source and
            destination inside each other, files where folders must be, with `verify_integrity` unknown files in the
            destination, or another transfer to it. Later: a file changed while it was copied.
        IntegrityError: What was read back differs, or the source is not what its checksum promises. It names the
            files; nothing was published or removed.
    """
    refuse_url(source)
    source = Path(source)
    options = _Options(
        threads=num_threads if num_threads >= 1 else usable_cpus(),
        checksummed=verify_integrity,
        checked=verify_integrity or remove_source,
        synced=durable or remove_source,
        resetting=reset_dirty_destination,
        progress=progress,
        lost=Losses(),
    )
    if is_remote(destination):
        remote = Remote(str(destination), storage_options)
        refuse_source(source)
        carry = partial(_transfer_remote, options, remote)
    else:
        refuse_url(destination)
        if not os.fspath(destination):
            raise ValueError("expected a folder as destination, got an empty name")
        place = Path(os.path.realpath(destination))
        if remove_source and not os.path.lexists(source) and place.is_dir():
            finish_removal(source, place)
            return
        refuse_source(source)
        refuse_places(source, place)
        carry = partial(_transfer, options, place)
    if remove_source:
        refuse_removal(source)
    with opened(source) as root:
        tree = walk(root)
        refuse_kinds(tree, symlinks=symlinks and not is_remote(destination))
        if verify_integrity and CHECKSUM_FILE not in tree.files and not _may_change(source):
            raise PermissionError(f"expected to write {CHECKSUM_FILE} into {source}, which does not allow it")
        if remove_source:
            _refuse_unremovable(source, root, tree)
        copied = carry(source, root, tree)
        options.lost.warn(destination)
        if remove_source:
            remove_verified(source, root, tree, copied)


@dataclass(frozen=True, slots=True)
class _Options:
    threads: int
    checksummed: bool  # against ax_checksum.txt
    checked: bool  # read back
    synced: bool
    resetting: bool
    progress: bool
    lost: Losses

    def meter(self, label: str, root: int, names: Sequence[str]) -> Meter:
        total = sum(os.stat(name, dir_fd=root).st_size for name in names) if self.progress else None
        return Meter(label, total, shown=self.progress)


def _transfer(options: _Options, destination: Path, source: Path, root: int, tree: Tree) -> dict[str, Copied]:
    is_new = not destination.exists()
    inside = staging.marker_name(tree)
    held = Tree() if is_new else _tree_of(destination, inside)
    unknown = _refuse_destination(options, tree, held, destination)
    folder = staging.staging_of(destination, inside)
    with staging.staged(folder) as target:
        staging.clear_strays(target, tree, walk(target))
        staging.make_folders(target, tree.folders)
        there = {} if is_new else _already_there(options, root, destination, tree, held)
        names = [name for name in tree.files if name not in there]
        with options.meter("copy", root, names) as meter:
            copied = copy_files(root, target, names, options.threads, meter, options.lost, hashed=options.checked)
        staging.make_links(root, target, tree.links, options.lost)
        if options.synced:
            _sync(target, names)
        if options.checked:
            _read_back(options, target, copied)
        copied |= there
        if options.checksummed:
            put = partial(copy_files, root, target, threads=1, meter=Meter("checksum"), lost=options.lost, hashed=True)
            copied |= _settle_checksum(source, root, tree, copied, put)
        if is_new:
            staging.stamp_folders(root, target, tree, ["", *tree.folders], options.lost)
            folder.rename(destination)
        else:
            staged_names = [name for name in tree.files if name not in there] + tree.links
            _publish_inside(options, root, target, destination, tree, staged_names, unknown)
            folder.rmdir()
    if options.synced:
        _sync_parent(destination)
    return copied


def _transfer_remote(options: _Options, remote: Remote, source: Path, root: int, tree: Tree) -> dict[str, Copied]:
    remote.marker = staging.marker_name(tree)
    held = remote.sizes()
    unknown = sorted(held.keys() - {*tree.files, CHECKSUM_FILE})
    if unknown and options.checksummed and not options.resetting:
        raise RuntimeError(f"expected no unknown files in {remote.url}, got {_few(unknown)}")
    remote.mark()
    alike = [name for name in tree.files if held.get(name) == os.stat(name, dir_fd=root).st_size]
    there = _same_on_remote(options, remote, root, alike)
    names = [name for name in tree.files if name not in there]
    copied = _upload(options, remote, root, names)
    if options.checked:
        with Meter("verify", shown=options.progress) as meter:
            read = partial(remote.digest, meter=meter)
            digests = dict(zip(names, in_threads(read, names, options.threads, meter), strict=True))
        _refuse_differences(digests, copied)
    copied |= there
    if options.checksummed:
        copied |= _settle_checksum(source, root, tree, copied, partial(_upload, options, remote, root))
    if options.resetting:
        remote.remove(unknown)
    remote.publish()
    return copied


def _upload(options: _Options, remote: Remote, root: int, names: Sequence[str]) -> dict[str, Copied]:
    with options.meter("copy", root, names) as meter:
        put = partial(remote.put, root, meter=meter)
        return dict(zip(names, in_threads(put, names, options.threads, meter), strict=True))


def _same_on_remote(options: _Options, remote: Remote, root: int, names: Sequence[str]) -> dict[str, Copied]:
    """Return the files that the other end holds already, as an interrupted transfer left them."""
    with Meter("compare", shown=options.progress) as meter:
        statuses = [os.stat(name, dir_fd=root, follow_symlinks=False) for name in names]
        ours = digest_files(root, names, options.threads, meter)
        theirs = list(in_threads(partial(remote.digest, meter=meter), names, options.threads, meter))
    return {
        name: Copied(a, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        for name, status, a, b in zip(names, statuses, ours, theirs, strict=True)
        if a == b
    }


def refuse_source(source: Path) -> None:
    """Raise unless the source is a folder of its own."""
    if source.is_symlink():
        raise RuntimeError(f"expected a folder as source, got a link to one: {source}")
    if not source.exists():
        raise FileNotFoundError(f"no source folder {source}")
    if staging.is_leftover(source):
        raise RuntimeError(
            f"expected a whole folder as source, got {source}, which has the name of an interrupted one's"
        )


def refuse_places(source: Path, destination: Path) -> None:
    """Raise unless source and destination are two folders apart."""
    real = Path(os.path.realpath(source))
    if real == destination or real in destination.parents or destination in real.parents:
        raise RuntimeError(f"expected source and destination apart, got {real} and {destination}")
    if destination.exists() and not destination.is_dir():
        raise FileExistsError(f"expected a folder as destination, got a file: {destination}")


def refuse_kinds(tree: Tree, *, symlinks: bool) -> None:
    """Raise if a source holds what is not transferred."""
    if tree.links and not symlinks:
        raise RuntimeError(f"expected no links in the source (symlinks=True keeps them), got {_few(tree.links)}")
    if tree.others:
        raise RuntimeError(f"expected files, folders and links in the source, got other kinds: {_few(tree.others)}")


def remove_verified(source: Path, root: int, tree: Tree, copied: Mapping[str, Copied]) -> None:
    """Remove a source whose every file is what was copied and read back; else raise, and remove nothing."""
    now = walk(root)
    if (set(now.files), set(now.folders), set(now.links), now.others) != (
        set(copied), set(tree.folders), set(tree.links), [],
    ):  # fmt: skip
        raise RuntimeError(
            f"{source} gained or lost files while it was copied; the copy is complete, nothing is removed"
        )
    statuses = {name: os.stat(name, dir_fd=root, follow_symlinks=False) for name in copied}
    changed = tuple(sorted(name for name, status in statuses.items() if not copied[name].is_still(status)))
    if changed:
        raise IntegrityError(f"changed after they were copied: {_few(changed)}; nothing is removed", changed)
    doomed = _doomed(source)
    source.rename(doomed)  # at once: a source is there in full or not at all, however this ends
    _remove_listed(doomed, root, Tree([*copied], tree.folders, tree.links))


def _refuse_unremovable(source: Path, root: int, tree: Tree) -> None:
    """Raise if the rights that can be seen do not let this user remove the source."""
    if not _may_change(source.absolute().parent):
        raise PermissionError(errno.EACCES, "cannot remove the source from a folder without write access", str(source))
    for folder in ("", *tree.folders):
        if _may_change(folder or ".", root):
            continue
        if os.stat(folder or ".", dir_fd=root).st_uid != os.geteuid():
            name = os.path.join(source, folder)  # noqa: PTH118 - a folder of any length
            raise PermissionError(errno.EACCES, "cannot remove what a folder without write access holds", name)


def _may_change(folder: Path | str, root: int | None = None) -> bool:
    is_effective = os.access in os.supports_effective_ids
    return os.access(folder, os.W_OK | os.X_OK, dir_fd=root, effective_ids=is_effective)


def finish_removal(source: Path, destination: Path) -> None:
    """Remove what an interrupted removal left, after comparing it with the destination once more."""
    refuse_removal(source)
    doomed = _doomed(source)
    if not doomed.is_dir():
        if not source.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(source))
        warnings.warn(
            f"{source} is gone and {destination} is there: taken for a transfer that ended earlier; nothing was done",
            RuntimeWarning,
            stacklevel=3,
        )
        return
    with opened(doomed) as root, opened(destination) as target:
        left = walk(root)
        _refuse_unlike(doomed, root, destination, target, left)
        _remove_listed(doomed, root, left)


def _refuse_unlike(doomed: Path, root: int, destination: Path, target: int, left: Tree) -> None:
    """Raise unless the destination holds every file and link of what is about to be removed."""
    try:
        theirs = digest_files(target, left.files, 1, Meter("compare"), staging.open_own)
    except FileNotFoundError as error:
        raise IntegrityError(f"{doomed} holds a file that {destination} does not: {error.filename}") from error
    ours = digest_files(root, left.files, 1, Meter("compare"))
    bad = tuple(name for name, a, b in zip(left.files, ours, theirs, strict=True) if a != b)
    bad += tuple(link for link in left.links if not _same_link(root, target, link))
    bad += tuple(left.others)
    if bad:
        raise IntegrityError(f"{doomed} differs from {destination}: {_few(bad)}; nothing is removed", bad)


def _same_link(first: int, second: int, link: str) -> bool:
    try:
        return os.readlink(link, dir_fd=first) == os.readlink(link, dir_fd=second)
    except OSError:
        return False


def _doomed(source: Path) -> Path:
    stem = os.fsdecode(os.fsencode(source.name)[: 255 - len("..removed")])
    return source.with_name(f".{stem}.removed")


def _remove_listed(place: Path, root: int, tree: Tree) -> None:
    staging.make_writable(root, ["", *tree.folders])
    unlink_files(root, [os.fsencode(name) for name in (*tree.files, *tree.links)])
    for folder in reversed(tree.folders):
        os.rmdir(folder, dir_fd=root)
    place.rmdir()


def _tree_of(folder: Path, inside: str) -> Tree:
    with opened(folder) as fd:
        return staging.without_staging(walk(fd), inside)


def _refuse_destination(options: _Options, tree: Tree, held: Tree, destination: Path) -> list[str]:
    """Return the files of the destination that the source does not know."""
    known = {*tree.files, *tree.links, CHECKSUM_FILE}
    unknown = [name for name in (*held.files, *held.links, *held.others) if name not in known]
    if unknown and options.checksummed and not options.resetting:
        raise RuntimeError(f"expected no unknown files in {destination}, got {_few(unknown)}")
    clashes = known.intersection(held.folders)
    if not options.resetting:
        clashes |= set(tree.folders).intersection(held.files + held.links + held.others)
    if clashes:
        raise RuntimeError(f"a file and a folder of one name meet in {destination}: {_few(sorted(clashes))}")
    return unknown


def _already_there(options: _Options, root: int, destination: Path, tree: Tree, held: Tree) -> dict[str, Copied]:
    """Return the files that the destination holds already: same size, mode, time, and contents."""
    with opened(destination) as target:
        alike: dict[str, os.stat_result] = {}
        for name in set(tree.files).intersection(held.files):
            ours, theirs = (os.stat(name, dir_fd=fd, follow_symlinks=False) for fd in (root, target))
            if _looks(ours) == _looks(theirs):
                alike[name] = ours
        names = [name for name in alike if _attributes_alike(root, target, name)]
        if options.synced:
            _sync(target, names)  # an earlier call may have left them in the cache only
        with options.meter("compare", root, names * 2) as meter:
            ours_digests, their_digests = (digest_files(fd, names, options.threads, meter) for fd in (root, target))
    return {
        name: Copied(ours, alike[name].st_ino, alike[name].st_mtime_ns, alike[name].st_ctime_ns)
        for name, ours, theirs in zip(names, ours_digests, their_digests, strict=True)
        if ours == theirs
    }


def _attributes_alike(first: int, second: int, name: str) -> bool:
    with ExitStack() as opened_files:
        pair = []
        for folder in (first, second):
            try:
                pair.append(os.open(name, _FILE, dir_fd=folder))
            except PermissionError:
                if folder == first:
                    raise
                return False  # what lies there cannot be compared, and is replaced
            opened_files.callback(os.close, pair[-1])
        return same_attributes(*pair)


def _looks(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, stat.S_IMODE(status.st_mode)


def _read_back(options: _Options, target: int, copied: Mapping[str, Copied]) -> None:
    names = list(copied)
    with options.meter("verify", target, names) as meter:
        digests = digest_files(target, names, options.threads, meter, staging.open_own)
    _refuse_differences(dict(zip(names, digests, strict=True)), copied)


def _refuse_differences(digests: Mapping[str, bytes], copied: Mapping[str, Copied]) -> None:
    bad = tuple(sorted(name for name, digest in digests.items() if digest != copied[name].digest))
    if bad:
        raise IntegrityError(f"the copy differs from the source: {_few(bad)}; nothing was published or removed", bad)


def _settle_checksum(
    source: Path,
    root: int,
    tree: Tree,
    copied: Mapping[str, Copied],
    put: Callable[[list[str]], dict[str, Copied]],
) -> dict[str, Copied]:
    """Check the source's saved checksum, or save and copy one; return what was copied for it."""
    links = [link for link in tree.links if leads_to_a_file(root, link)]
    digests = {name: one.digest for name, one in copied.items()}
    digests.update(zip(links, digest_files(root, links, 1, Meter("links")), strict=True))
    counted = {name: digest.hex() for name, digest in digests.items() if name.rpartition("/")[2] != CHECKSUM_FILE}
    found = combine(counted)
    if CHECKSUM_FILE in copied:
        promised = read_checksum(source)
        if promised != found:
            said, paths = explain(source, counted)
            raise IntegrityError(
                f"expected checksum {promised} for {source}, got {found}; nothing was published{said}", paths
            )
        return {}
    write_checksum(source, found)
    tree.files.append(CHECKSUM_FILE)
    return put([CHECKSUM_FILE])


def _publish_inside(
    options: _Options,
    root: int,
    target: int,
    destination: Path,
    tree: Tree,
    names: Sequence[str],
    unknown: Sequence[str],
) -> None:
    with opened(destination) as place:
        if options.resetting:
            unlink_files(place, [os.fsencode(name) for name in unknown])
        staging.publish_inside(target, place, tree, names)
        staging.stamp_folders(root, place, tree, tree.folders, options.lost)


def _sync(target: int, names: Sequence[str]) -> None:
    """Bring everything to the disk, and out of the cache: what is read next comes from the disk."""
    syncfs(target)
    for name in names if hasattr(os, "posix_fadvise") else ():
        fd = staging.open_own(name, os.O_RDONLY | os.O_CLOEXEC, target)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)


def _sync_parent(destination: Path) -> None:
    for folder in (destination, destination.parent):
        with opened(folder) as fd:
            syncfs(fd)


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:10]))
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
