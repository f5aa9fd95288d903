"""The guard in real repositories: what git would commit is judged, by hook, in CI and over the history."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ataraxis_data_structures.datasets import guard
from conftest_cli import PROGRAM
from datasets_vectors import VECTORS

FORBIDDEN = [vector for vector in VECTORS["guard"] if vector["rule"]]
ALLOWED = [vector for vector in VECTORS["guard"] if not vector["rule"]]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"


class Repository:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *words, check=True, **options):
        env = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "HOME": str(self.folder)}
        identity = ["-c", "user.name=n", "-c", "user.email=e@localhost", "-c", "commit.gpgsign=false"]
        command = ["git", *identity, *map(str, words)]
        return subprocess.run(command, cwd=self.folder, env=env, check=check, capture_output=True, text=True, **options)

    def write(self, path, contents=b"text\n"):
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bytes(contents) if isinstance(contents, int) else contents)
        return place

    def stage(self, path, contents=b"text\n"):
        self.write(path, contents)
        self.git("add", "-f", "--", path)

    def commit(self, message="m"):
        return self.git("commit", "-q", "-m", message, check=False)

    def rules(self, find=guard.check_staged):
        return {finding.path: finding.rule for finding in find(self.folder)}


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repository")


@pytest.mark.parametrize("vector", VECTORS["guard"], ids=lambda vector: f"{vector['path']} {vector['bytes']}")
def test_a_path_has_the_known_rule(vector, tmp_path):
    assert guard.rule_of(vector["path"], vector["bytes"]) == vector["rule"]
    path = tmp_path / vector["path"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.truncate(path, vector["bytes"])
    (tmp_path / ".git").mkdir()
    found = [(finding.bytes, finding.rule) for finding in guard.check([path])]
    assert found == ([(vector["bytes"], vector["rule"])] if vector["rule"] else [])


@pytest.mark.parametrize(
    ("path", "size", "rule"),
    [
        ("été.npz", 1, "*.npz"),
        ("a/b/memoized_data/x.bin", 1, "in memoized_data/"),
        ("sub/outputs/x.txt", 1, "in outputs/"),
        ("package/datasets/fetch.py", 900, None),
        ("package/datasets/x.bin", 900, "in datasets/"),
        ("datasets/fetch.py", 900, "in datasets/"),
        ("datasets", 0, "in datasets/"),
        ("datasets/large.zip.dvc", 90, None),
        ("datasets/fly/README", 90, None),
        ("docs/manual.pdf", 3 << 20, None),
        ("sub/tests/data/x.h5", 9 << 20, None),
        ("tests/data", 3 << 20, "above 1 MiB"),
        ("exp/.axds", 0, "in .axds/"),
        ("exp/.axds/ledger", 5 << 20, None),
        ("exp/.axds/tmp/ledger", 5, "in .axds/"),
        ("npz", 5, None),
        ("my_outputs", 5, None),
    ],
)
def test_relatives_of_the_known_rules(path, size, rule):
    assert guard.rule_of(path, size) == rule


def test_the_hook_stops_each_forbidden_file_and_passes_each_allowed_one(repository):
    guard.install(repository.folder, gitignore=False)
    for vector in ALLOWED:
        repository.stage(vector["path"], vector["bytes"])
        assert repository.commit().returncode == 0, vector
    for vector in FORBIDDEN:
        repository.stage(vector["path"], vector["bytes"])
        done = repository.commit()
        assert done.returncode == 1, vector
        assert f"{vector['path']}: {vector['rule']}" in done.stdout + done.stderr, vector
        assert "Traceback" not in done.stderr
        repository.git("rm", "-q", "--cached", "--", vector["path"])
        (repository.folder / vector["path"]).unlink()


def test_the_first_commit_is_judged_too(repository):
    guard.install(repository.folder, gitignore=False)
    repository.stage("a.npz")
    assert repository.commit().returncode == 1
    assert repository.git("rev-parse", "--verify", "-q", "HEAD", check=False).returncode == 1


def test_what_is_staged_counts_and_not_the_work_tree(repository):
    repository.stage("big.c", 2 << 20)
    repository.write("big.c", b"small now\n")
    repository.write("work-tree-only.npz")
    assert repository.rules() == {"big.c": "above 1 MiB"}
    repository.stage("big.c", b"small\n")
    repository.write("big.c", 2 << 20)
    assert repository.rules() == {}


@pytest.mark.parametrize(
    "name", ["données ü.npz", "a\nb.npz", "\udcff.npz", "-rf.npz", ":(top)x.npz", '"q".npz', "a\tb.npz"]
)
def test_names_are_judged_whatever_characters_they_hold(repository, name):
    repository.stage(f"sub/{name}")
    assert repository.rules() == {f"sub/{name}": "*.npz"}
    assert repository.rules(guard.check_index) == {f"sub/{name}": "*.npz"}
    assert [f.path for f in guard.check_index(repository.folder / "sub", [name])] == [f"sub/{name}"]
    assert repository.commit().returncode == 0
    assert repository.rules(guard.check_history) == {f"sub/{name}": "*.npz"}


def test_renames_modifications_and_type_changes_are_judged_and_deletions_pass(repository):
    repository.stage("a.bin", 1000)
    repository.stage("old.npz", 1000)
    repository.stage("link", b"x")
    repository.commit()
    repository.git("mv", "a.bin", "b.npz")
    repository.stage("old.npz", 1001)
    repository.git("rm", "-q", "-f", "link")
    (repository.folder / "outputs").symlink_to("/elsewhere")
    repository.git("add", "-f", "outputs")
    assert repository.rules() == {"b.npz": "*.npz", "old.npz": "*.npz", "outputs": "in outputs/"}
    repository.commit()
    repository.git("rm", "-q", "old.npz")
    repository.git("mv", "b.npz", "b.bin")
    assert repository.rules() == {}


def test_a_pointer_of_lfs_passes_and_data_under_an_lfs_attribute_do_not(repository):
    repository.stage(".gitattributes", b"*.npz filter=lfs diff=lfs merge=lfs -text\n")
    repository.stage("pointer.npz", POINTER)
    repository.stage("not-filtered.npz", b"PK data")
    repository.stage("nearly.npz", POINTER + b"and data")
    want = {"not-filtered.npz": "*.npz", "nearly.npz": "*.npz"}
    assert repository.rules() == want
    assert repository.rules(guard.check_index) == want
    repository.commit()
    assert repository.rules(guard.check_history) == want
    assert guard.check([repository.folder / "pointer.npz"]) == []


def test_a_partial_commit_is_judged_by_its_own_index(repository):
    guard.install(repository.folder, gitignore=False)
    repository.stage("a.txt")
    repository.commit()
    repository.write("a.txt", b"changed\n")
    repository.stage("b.npz")
    assert repository.git("commit", "-q", "-m", "m", "a.txt", check=False).returncode == 0
    assert repository.git("commit", "-q", "-m", "m", "b.npz", check=False).returncode == 1


def test_a_commit_in_another_work_tree_is_judged_by_the_same_hook(repository, tmp_path):
    repository.stage("a.txt")
    repository.commit()
    guard.install(repository.folder, gitignore=False)
    repository.git("worktree", "add", "-q", tmp_path / "other")
    (tmp_path / "other/b.npz").write_bytes(b"x")
    repository.git("-C", tmp_path / "other", "add", "b.npz")
    assert repository.git("-C", tmp_path / "other", "commit", "-q", "-m", "m", check=False).returncode == 1


def test_a_submodule_is_no_data(repository, tmp_path):
    inner = Repository(tmp_path / "inner")
    inner.stage("a.txt")
    inner.commit()
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", inner.folder, "datasets")
    assert repository.rules() == {}
    assert repository.rules(guard.check_index) == {}
    repository.commit()
    assert repository.rules(guard.check_history) == {}


def test_history_finds_what_later_commits_removed_renamed_or_merged(repository):
    repository.stage("kept.txt")
    repository.stage("removed.npz")
    repository.commit()
    repository.git("rm", "-q", "removed.npz")
    repository.stage("once.bin", b"same bytes\n")
    repository.commit()
    repository.git("mv", "once.bin", "twice.npz")
    repository.commit()
    repository.git("rm", "-q", "twice.npz")
    repository.commit()
    repository.git("checkout", "-q", "-b", "side", "HEAD~1")
    repository.stage("side.h5")
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.stage("main.txt")
    repository.commit()
    repository.git("merge", "-q", "--no-commit", "side")
    repository.stage("evil.dill")  # in the merge and in none of its parents
    repository.commit()
    repository.git("branch", "-q", "-D", "side")
    repository.git("rm", "-q", "side.h5", "evil.dill")
    repository.commit()
    repository.write("kept.txt", b"work\n")
    repository.stage("stashed.hdf5")
    repository.git("stash", "-q")
    found = repository.rules(guard.check_history)
    assert found == {
        "removed.npz": "*.npz",
        "twice.npz": "*.npz",
        "side.h5": "*.h5",
        "evil.dill": "*.dill",
        "stashed.hdf5": "*.hdf5",
    }
    assert repository.rules(guard.check_index) == {}


def test_an_empty_repository_has_no_findings(repository):
    for find in (guard.check_staged, guard.check_index, guard.check_history):
        assert find(repository.folder) == []


def test_a_folder_outside_of_git_is_an_error(tmp_path):
    for find in (guard.check_staged, guard.check_index, guard.check_history, guard.install):
        with pytest.raises(ValueError, match="not a git repository"):
            find(tmp_path)


class TestInstall:
    def test_a_second_installation_writes_nothing(self, repository):
        assert {path.name for path in guard.install(repository.folder)} == {"pre-commit", ".gitignore"}
        before = (repository.folder / ".gitignore").read_bytes()
        assert guard.install(repository.folder) == []
        assert (repository.folder / ".gitignore").read_bytes() == before

    def test_a_hook_of_somebody_else_is_left_alone(self, repository):
        hook = repository.folder / ".git/hooks/pre-commit"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\nexit 0\n")
        with pytest.raises(FileExistsError, match="another hook"):
            guard.install(repository.folder)
        assert hook.read_text() == "#!/bin/sh\nexit 0\n"

    def test_hooks_that_other_repositories_share_are_left_alone(self, repository, tmp_path):
        repository.git("config", "core.hooksPath", tmp_path / "shared")
        with pytest.raises(ValueError, match=r"core\.hooksPath"):
            guard.install(repository.folder)
        assert not (tmp_path / "shared").exists()
        repository.git("config", "core.hooksPath", ".hooks")
        guard.install(repository.folder)
        repository.stage("a.npz")
        assert repository.commit().returncode == 1

    def test_ignore_patterns_are_added_behind_what_is_there(self, repository):
        (repository.folder / ".gitignore").write_bytes(b"# mine \xff\n*.npz\nlast line")
        guard.install(repository.folder)
        lines = (repository.folder / ".gitignore").read_bytes().splitlines()
        assert lines[:3] == [b"# mine \xff", b"*.npz", b"last line"]
        assert lines.count(b"*.npz") == 1
        assert b"*.dill" in lines

    @pytest.mark.parametrize("vector", ALLOWED, ids=lambda vector: f"{vector['path']} {vector['bytes']}")
    def test_git_ignores_no_file_that_is_allowed(self, repository, vector):
        guard.install(repository.folder)
        done = repository.git("check-ignore", "-q", "--", vector["path"], check=False)
        assert done.returncode == 1

    def test_a_module_of_the_repository_is_never_imported(self, repository):
        guard.install(repository.folder, gitignore=False)
        repository.stage("argparse.py", b"open('executed', 'w')\nraise SystemExit(0)\n")
        repository.stage("a.npz")
        assert repository.commit().returncode == 1
        assert not (repository.folder / "executed").exists()

    def test_without_its_interpreter_and_the_command_nothing_is_committed(self, repository):
        guard.install(repository.folder, gitignore=False)
        hook = repository.folder / ".git/hooks/pre-commit"
        hook.write_text(
            hook.read_text().replace(sys.executable, "/nowhere/python").replace("axds data", "no-axds data")
        )
        repository.stage("a.txt")
        assert repository.commit().returncode != 0


class TestCommand:
    def test_files_of_the_index_are_judged_by_name(self, axds, repository):
        repository.stage("a.npz")
        repository.stage("b.npz")
        repository.stage("c.txt")
        got = axds("data", "guard", "check", "a.npz", "c.txt", cwd=repository.folder)
        assert (got.status, got.out) == (1, "a.npz: *.npz (5 B)\n")

    def test_scopes_and_json(self, axds, repository):
        repository.stage("a.npz")
        repository.commit()
        assert axds("data", "guard", "check", cwd=repository.folder).status == 0
        assert axds("data", "guard", "check", "--all", cwd=repository.folder).status == 1
        found = axds("data", "guard", "check", "--history", "--json", cwd=repository.folder).json
        assert found["ok"] is False
        assert [(finding["path"], finding["rule"]) for finding in found["findings"]] == [("a.npz", "*.npz")]

    def test_install_says_what_it_wrote(self, axds, repository):
        got = axds("data", "guard", "install", repository.folder)
        assert (got.status, got.out.count("wrote ")) == (0, 2)

    def test_the_hook_imports_no_numpy(self, repository):
        code = (
            f"import sys; from {PROGRAM[-1]} import main;"
            "main(['data', 'guard', 'check']); print('numpy' in sys.modules)"
        )
        got = subprocess.run(
            [sys.executable, "-c", code], cwd=repository.folder, capture_output=True, text=True, check=True
        )
        assert got.stdout == "False\n"


def test_the_hooks_of_pre_commit_name_a_command():
    import yaml

    (hook,) = yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"] == "axds data guard check"
