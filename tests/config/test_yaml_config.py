"""The contract of YamlConfig: layout, conversions, leniency, exclusion, strictness."""

import dataclasses
import datetime as dt
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NewType

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from ataraxis_data_structures import YAML_EXCLUDE_METADATA, ConfigError, MissingValueError, YamlConfig

GOLDEN = Path(__file__).parents[1] / "golden" / "settings.yaml"


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 3


@dataclass(frozen=True, slots=True)
class Inner:
    where: Path
    shade: Color
    numbers: list[int]


@dataclass
class Settings(YamlConfig):
    integer: int = 123
    real: float = 0.1
    big: float = 1e20
    small: float = 1e-7
    flag: bool = True
    nothing: int | None = None
    text: str = "hello"
    empty: str = ""
    tricky: str = "yes"
    number_like: str = "123"
    colon: str = "a: b # c"
    unicode: str = "\xe9 \xb5s"
    multi: str = "line one\nline two"
    long: str = "word " * 60
    path: Path = Path("/home/user/data")
    maybe: Path | None = None
    color: Color = Color.BLUE
    level: Level = Level.HIGH
    either: Color | str = "auto"
    items: list[int] = field(default_factory=lambda: [1, 2, 3])
    nested_list: list[list[int]] = field(default_factory=lambda: [[1], [2, 3]])
    nothing_list: list[int] = field(default_factory=list)
    paths: tuple[Path, ...] = (Path("/a"), Path("/b"))
    mapping: dict[str, int] = field(default_factory=lambda: {"z": 1, "a": 2})
    nothing_map: dict[str, int] = field(default_factory=dict)
    inner: Inner = field(default_factory=lambda: Inner(Path("/a/b"), Color.RED, [1, 2]))


UserId = NewType("UserId", int)


@dataclass
class Rich(YamlConfig):
    tags: set[str] = field(default_factory=set)
    frozen: frozenset[int] = frozenset()
    gain: np.float32 = np.float32(0.1)  # noqa: RUF009
    count: np.uint64 = np.uint64(2**63)  # noqa: RUF009
    weights: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    image: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.uint8))
    mode: Literal["fast", "slow"] = "fast"
    begun: dt.datetime = dt.datetime(2026, 1, 2, 3, 4, 5, 678)  # noqa: DTZ001 - a person wrote it so
    zoned: dt.datetime | None = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    day: dt.date = dt.date(2026, 1, 2)
    either: int | str | Path = 1
    levels: dict[Level, Color] = field(default_factory=dict)
    routes: dict[Path, tuple[int, str]] = field(default_factory=dict)
    user: UserId = UserId(3)
    anything: Any = None
    inners: list[Inner] = field(default_factory=list)


def there_and_back(config, tmp_path, **options):
    config.to_yaml(tmp_path / "c.yaml")
    return type(config).from_yaml(tmp_path / "c.yaml", **options)


def loaded(tmp_path, cls, text, **options):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return cls.from_yaml(path, **options)


def test_the_layout_is_the_contract_s_byte_for_byte(tmp_path):
    Settings().to_yaml(tmp_path / "c.yaml")
    assert (tmp_path / "c.yaml").read_text() == GOLDEN.read_text()


@pytest.mark.parametrize("strict", [False, True])
def test_the_contract_s_file_reads_back_with_its_types(strict):
    got = Settings.from_yaml(GOLDEN, strict=strict)
    assert got == Settings()
    for item in dataclasses.fields(Settings):
        assert type(getattr(got, item.name)) is type(getattr(Settings(), item.name))


@pytest.mark.parametrize("strict", [False, True])
def test_sets_numpy_values_times_and_unions_read_back(tmp_path, strict):
    want = Rich(
        tags={"b", "a"},
        frozen=frozenset({3, 1}),
        weights=np.array([0.1, 2.0]),
        image=np.arange(6, dtype=np.uint8).reshape(2, 3),
        mode="slow",
        either="text",
        levels={Level.HIGH: Color.RED},
        routes={Path("/q"): (1, "a")},
        inners=[Inner(Path("x"), Color.BLUE, [])],
    )
    got = there_and_back(want, tmp_path, strict=strict)
    for item in dataclasses.fields(Rich):
        left, right = getattr(got, item.name), getattr(want, item.name)
        assert type(left) is type(right), item.name
        if isinstance(right, np.ndarray):
            assert left.dtype == right.dtype
            assert left.shape == right.shape
        assert np.array_equal(left, right), item.name


def test_a_value_that_could_not_be_read_back_is_refused_by_its_name(tmp_path):
    with pytest.raises(TypeError, match=r"anything\['k'\]\[0\].*complex"):
        Rich(anything={"k": [1j]}).to_yaml(tmp_path / "c.yaml")
    assert not (tmp_path / "c.yaml").exists()


@pytest.mark.parametrize("name", ["c.txt", "c", "c.json"])
def test_only_yaml_suffixes_are_taken(tmp_path, name):
    with pytest.raises(ValueError, match="yaml"):
        Settings().to_yaml(tmp_path / name)
    with pytest.raises(ValueError, match="yaml"):
        Settings.from_yaml(tmp_path / name)


def test_writing_makes_folders_and_leaves_nothing_else(tmp_path):
    Settings().to_yaml(tmp_path / "a" / "b" / "c.yml")
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["c.yml"]


def test_a_write_that_fails_leaves_the_former_file(tmp_path, monkeypatch):
    path = tmp_path / "c.yaml"
    Settings(integer=1).to_yaml(path)

    def fail(_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="space"):
        Settings(integer=2).to_yaml(path)
    assert Settings.from_yaml(path).integer == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c.yaml"]


@dataclass
class Small(YamlConfig):
    a: int
    b: int = 3
    p: Path | str = "x"
    inner: Inner | None = None


def test_reading_is_lenient_by_default(tmp_path):
    assert loaded(tmp_path, Small, "a: hello\nunknown: 1\n") == Small("hello")
    assert loaded(tmp_path, Small, "a: null\nb: [1]\n") == Small(None, [1])


def test_what_is_missing_broken_or_no_mapping_says_so(tmp_path):
    with pytest.raises(MissingValueError, match="field a of Small"):
        loaded(tmp_path, Small, "b: 1\n")
    with pytest.raises(MissingValueError, match=r"inner\.shade"):
        loaded(tmp_path, Small, "a: 1\ninner: {where: /x, numbers: []}\n")
    for text in ("", "- 1\n", "---\n...\n", "just text\n"):
        with pytest.raises(ValueError, match="expected a mapping"):
            loaded(tmp_path, Small, text)
    with pytest.raises(yaml.YAMLError):
        loaded(tmp_path, Small, "a: [1\n")
    with pytest.raises(FileNotFoundError):
        Small.from_yaml(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "line", "field_path", "expected", "got"),
    [
        ("a: hello\n", 1, "a", "int", "'hello'"),
        ("a: 1\nb: true\n", 2, "b", "int", "True"),
        ("a: 1\n\nc: 1\n", 3, "c", "one of the fields", "'c'"),
        ("a: 1\ninner:\n  where: /x\n  shade: green\n  numbers: []\n", 4, "inner.shade", "'red', 'blue'", "'green'"),
        ("a: 1\ninner:\n  where: /x\n  shade: red\n  numbers:\n  - 1\n  - x\n", 7, r"inner.numbers[1]", "int", "'x'"),
    ],
)
def test_strict_reading_names_file_line_field_expected_and_got(tmp_path, text, line, field_path, expected, got):
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, Small, text, strict=True)
    for part in (str(tmp_path / "c.yaml"), f"line {line}", field_path, expected, got):
        assert part in str(caught.value)


def test_strict_reading_refuses_a_key_that_is_there_twice(tmp_path):
    with pytest.raises(ConfigError, match=r"line 3.*'a'"):
        loaded(tmp_path, Small, "a: 1\nb: 2\na: 3\n", strict=True)


@dataclass
class Placed(YamlConfig):
    value: int
    where: Path = field(metadata=YAML_EXCLUDE_METADATA)

    @classmethod
    def restore_excluded_fields(cls, data, file_path):
        return {**data, "where": file_path}


@pytest.mark.parametrize("strict", [False, True])
def test_an_excluded_field_is_not_written_and_comes_back_by_the_hook(tmp_path, strict):
    got = there_and_back(Placed(1, Path("/elsewhere")), tmp_path, strict=strict)
    assert (tmp_path / "c.yaml").read_text() == "---\nvalue: 1\n...\n"
    assert got == Placed(1, tmp_path / "c.yaml")


def test_the_exclusion_mark_is_read_only():
    assert dict(YAML_EXCLUDE_METADATA) == {"yaml_exclude": True}
    with pytest.raises(TypeError):
        YAML_EXCLUDE_METADATA["yaml_exclude"] = False


def test_an_enum_in_a_union_wins_in_either_order(tmp_path):
    @dataclass
    class Both(YamlConfig):
        a: Color | str
        b: str | Color
        c: list[str | Level]

    got = loaded(tmp_path, Both, "a: red\nb: blue\nc: [1, 2, x]\n")
    assert (got.a, got.b, got.c) == (Color.RED, Color.BLUE, [Level.LOW, 2, "x"])


def test_an_optional_enum_keeps_what_it_does_not_know(tmp_path):
    @dataclass
    class One(YamlConfig):
        a: Color | None
        b: Color = Color.RED

    assert loaded(tmp_path, One, "a: green\n").a == "green"
    with pytest.raises(ValueError, match="green"):
        loaded(tmp_path, One, "a: red\nb: green\n")


def test_a_path_of_another_class_is_made(tmp_path):
    @dataclass
    class Pure(YamlConfig):
        p: PurePosixPath

    assert type(there_and_back(Pure(PurePosixPath("/a")), tmp_path).p) is PurePosixPath
