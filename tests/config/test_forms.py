"""What people write by hand, hooks supply and other versions of a program left behind, for each form of annotation."""

import collections
import datetime as dt
import decimal
import enum
import os
import stat
import struct
import subprocess
import sys
import textwrap
import threading
from dataclasses import InitVar, dataclass, field, make_dataclass
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, NotRequired, Self, TypedDict, TypeVar

import numpy as np
import pytest
import yaml

from ataraxis_data_structures import YAML_EXCLUDE_METADATA, ConfigError, MissingValueError, YamlConfig

T = TypeVar("T")
NOT_READ = object()


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Perm(enum.Flag):
    R = 1
    W = 2


class Quiet(enum.Enum):
    ON = "loud"
    OFF = "quiet"

    @classmethod
    def _missing_(cls, value):
        return cls(value.lower()) if isinstance(value, str) and value != value.lower() else None


@dataclass
class Camera:
    port: int
    name: str = "cam"


@dataclass
class Encoder:
    path: Path
    gain: float = 1.0


@dataclass
class A:
    x: int = 0


@dataclass
class B:
    y: int = 0


@dataclass
class Both:
    x: int = 0
    y: int = 0


@dataclass
class Refuses:
    step: int

    def __post_init__(self):
        if self.step < 0:
            raise KeyError("step")


@dataclass
class Takes:
    step: int


@dataclass
class Setting(Generic[T]):
    value: T


class Point(NamedTuple):
    x: int
    where: Path = Path("p")


class Keys(TypedDict):
    raw: Path
    color: NotRequired[Color]


def read(tmp_path, hint, text, **options):
    path = tmp_path / "c.yaml"
    path.write_text(f"a: {text}\n")
    cls = make_dataclass("C", [("a", hint)], bases=(YamlConfig,))
    return cls.from_yaml(path, **options).a


# The annotation, the text, what it is read as leniently, and strictly where that is not refused.
WRITTEN_BY_HAND = [
    ("a key of an older version", Camera | Encoder, "{port: 1, old: 2}", Camera(1), NOT_READ),
    ("a key of an older version, all defaults", A | B, "{y: 5, old: 1}", B(5), NOT_READ),
    ("one key of one member", A | B, "{y: 5}", B(5), B(5)),
    ("the member that wrote all of it", Both | A, "{x: 1}", A(1), A(1)),
    ("the member of a list", list[A | B], "[{y: 5, old: 1}, {x: 2}]", [B(5), A(2)], NOT_READ),
    ("the list of the member", list[Camera] | list[Encoder], "[{path: x, old: 1}]", [Encoder(Path("x"))], NOT_READ),
    ("the mapping of the member", dict[str, A] | dict[str, B], "{k: {y: 1, old: 2}}", {"k": B(1)}, NOT_READ),
    ("a list beside its item", Camera | list[Camera], "[{port: 1, old: 2}]", [Camera(1)], NOT_READ),
    (
        "a dict that no dataclass wrote",
        Camera | dict,
        "{port: 1, old: 2}",
        {"port": 1, "old": 2},
        {"port": 1, "old": 2},
    ),
    ("dataclass after dict", dict | Camera, "{port: 1}", Camera(1), Camera(1)),
    ("a member that refuses", Refuses | Takes, "{step: -1}", Takes(-1), Takes(-1)),
    ("a member that refuses, other keys", Refuses | Takes, "{step: -1, old: 1}", Takes(-1), NOT_READ),
    ("no member", Camera | Encoder, "{other: 1}", {"other": 1}, NOT_READ),
    ("no mapping", Camera | Encoder, "5", 5, NOT_READ),
    ("a TypedDict beside a dict", Keys | dict[str, int], "{raw: x}", {"raw": Path("x")}, {"raw": Path("x")}),
    ("a name of an enumeration", Color, "RED", Color.RED, NOT_READ),
    ("a name, beside text", Color | str, "RED", "RED", "RED"),
    ("an unknown name, beside None", Color | None, "green", "green", NOT_READ),
    ("what _missing_ finds", Quiet, "LOUD", Quiet.ON, Quiet.ON),
    ("what _missing_ finds, beside text", str | Quiet, "LOUD", Quiet.ON, Quiet.ON),
    ("combined flags", Perm, "3", Perm.R | Perm.W, Perm.R | Perm.W),
    ("combined flags in a list", list[Perm], "[0, 3]", [Perm(0), Perm.R | Perm.W], [Perm(0), Perm.R | Perm.W]),
    ("a boolean is no flag", Perm, "true", Perm.R, NOT_READ),
    ("another literal", Literal["a", 1], "b", "b", NOT_READ),
    ("a tuple that is too short", tuple[Path, int], "[a]", (Path("a"),), NOT_READ),
    ("a tuple that is too long", tuple[Path, int], "[a, 1, b]", (Path("a"), 1, "b"), NOT_READ),
    ("a named tuple by position", Point, "[1, q]", Point(1, Path("q")), Point(1, Path("q"))),
    ("a named tuple by name", Point, "{x: 1}", Point(1), Point(1)),
    ("a named tuple with its default", Point, "[1]", Point(1), Point(1)),
    ("too long for a named tuple", Point, "[1, q, 2]", [1, "q", 2], NOT_READ),
    ("unknown key of a TypedDict", Keys, "{raw: x, z: 1}", {"raw": Path("x"), "z": 1}, NOT_READ),
    ("missing key of a TypedDict", Keys, "{color: red}", {"color": Color.RED}, NOT_READ),
    ("a generic's argument", Setting[Path], "{value: x}", Setting(Path("x")), Setting(Path("x"))),
    ("a generic's argument, another type", Setting[int], "{value: x}", Setting("x"), NOT_READ),
    ("a Decimal without quotes", decimal.Decimal, "0.1", decimal.Decimal("0.1"), decimal.Decimal("0.1")),
    ("no Decimal", decimal.Decimal, "abc", "abc", NOT_READ),
    ("seconds", dt.timedelta, "90", dt.timedelta(seconds=90), dt.timedelta(seconds=90)),
    ("a time", dt.time, "'12:30'", dt.time(12, 30), dt.time(12, 30)),
    ("too large for the dtype", np.int8, "300", 300, NOT_READ),
    ("a fraction for an integer dtype", np.int64, "1.5", 1.5, NOT_READ),
    ("no path", Path | str, "http://host/x", "http://host/x", "http://host/x"),
    ("no list", collections.deque[int], "x", "x", NOT_READ),
    ("no mapping", collections.OrderedDict[str, int], "[1]", [1], NOT_READ),
    ("items without a hash", set[Any], "[[1]]", [[1]], NOT_READ),
    ("null where none is meant", Color, "null", None, NOT_READ),
    ("a set of YAML", set[int], "!!set {1: null}", {1}, {1}),
]


@pytest.mark.parametrize(
    ("hint", "text", "want", "strictly"),
    [case[1:] for case in WRITTEN_BY_HAND],
    ids=[case[0] for case in WRITTEN_BY_HAND],
)
def test_what_people_write_is_read_as_the_member_or_kind_that_is_meant(tmp_path, hint, text, want, strictly):
    got = read(tmp_path, hint, text)
    assert (got, type(got)) == (want, type(want))
    if strictly is NOT_READ:
        with pytest.raises(ConfigError, match=r"c\.yaml, line 1, a.*expected .*, got "):
            read(tmp_path, hint, text, strict=True)
    else:
        got = read(tmp_path, hint, text, strict=True)
        assert (got, type(got)) == (strictly, type(strictly))


def test_the_only_dataclass_of_an_optional_says_what_it_refuses(tmp_path):
    with pytest.raises(MissingValueError, match=r"a\.port"):
        read(tmp_path, Camera | None, "{name: x}")
    with pytest.raises(KeyError, match="step"):
        read(tmp_path, Refuses | None, "{step: -1}")


@dataclass
class Wheel(YamlConfig):
    ticks: int
    diameter_mm: InitVar[float]
    unit: "InitVar[Path]" = Path("mm")
    mm_per_tick: float = field(init=False)

    def __post_init__(self, diameter_mm, unit):
        self.mm_per_tick = diameter_mm / self.ticks
        self.seen = unit


@pytest.mark.parametrize("strict", [False, True])
def test_values_for_initvars_are_passed_and_one_without_a_default_is_missed(tmp_path, strict):
    path = tmp_path / "c.yaml"
    path.write_text("ticks: 4\ndiameter_mm: 8.0\nunit: cm\n")
    got = Wheel.from_yaml(path, strict=strict)
    assert (got.mm_per_tick, got.seen) == (2.0, Path("cm"))
    path.write_text("ticks: 4\n")
    with pytest.raises(MissingValueError, match="diameter_mm"):
        Wheel.from_yaml(path, strict=strict)


@dataclass(frozen=True, slots=True)
class Counted:
    done: int = field(init=False, default=0)
    never_set: int = field(init=False)


@dataclass
class Session(YamlConfig):
    counted: Counted
    total: Path = field(init=False)


@pytest.mark.parametrize("strict", [False, True])
def test_fields_that_init_does_not_take_are_restored_in_frozen_classes_too(tmp_path, strict):
    session = Session(Counted())
    object.__setattr__(session.counted, "done", 212)
    session.to_yaml(tmp_path / "c.yaml")
    got = Session.from_yaml(tmp_path / "c.yaml", strict=strict)
    assert got.counted.done == 212
    assert not hasattr(got.counted, "never_set")
    session.total = Path("t")
    session.to_yaml(tmp_path / "c.yaml")
    assert Session.from_yaml(tmp_path / "c.yaml", strict=strict).total == Path("t")


@dataclass
class Recent(YamlConfig):
    last: collections.deque[Path] = field(default_factory=lambda: collections.deque(maxlen=2))
    gains: collections.defaultdict[str, float] = field(default_factory=lambda: collections.defaultdict(lambda: 1.5))
    lists: collections.defaultdict[str, list[Path]] = field(init=False, default_factory=dict)


@pytest.mark.parametrize("strict", [False, True])
def test_a_deque_keeps_its_length_and_a_defaultdict_its_factory(tmp_path, strict):
    recent = Recent()
    recent.last.extend([Path("a"), Path("b")])
    recent.gains["left"] = 2.0
    recent.lists = collections.defaultdict(list, a=[Path("c")])
    recent.to_yaml(tmp_path / "c.yaml")
    got = Recent.from_yaml(tmp_path / "c.yaml", strict=strict)
    assert got == recent
    assert got.last.maxlen == 2
    assert (got.gains["right"], got.lists["b"]) == (1.5, [])


@dataclass
class Hooked(YamlConfig):
    name: str
    mode: Color = field(metadata=YAML_EXCLUDE_METADATA)
    camera: Camera = field(metadata=YAML_EXCLUDE_METADATA)
    setting: Setting[Path] = field(metadata=YAML_EXCLUDE_METADATA)
    cameras: list[Camera | None] = field(metadata=YAML_EXCLUDE_METADATA)
    points: dict[Color, Point] = field(metadata=YAML_EXCLUDE_METADATA)
    recent: collections.deque[Path] = field(metadata=YAML_EXCLUDE_METADATA)
    device: Camera | Encoder = field(metadata=YAML_EXCLUDE_METADATA)
    image: np.ndarray = field(metadata=YAML_EXCLUDE_METADATA, compare=False)
    lock: threading.Event = field(metadata=YAML_EXCLUDE_METADATA)

    supplied = {  # noqa: RUF012
        "mode": Color.RED,
        "camera": Camera(5),
        "setting": Setting(Path("x")),
        "cameras": [Camera(1), None],
        "points": {Color.RED: Point(1)},
        "recent": collections.deque([Path("a")]),
        "device": Encoder(Path("y")),
        "image": np.zeros(2),
        "lock": threading.Event(),
    }

    @classmethod
    def restore_excluded_fields(cls, data, file_path):
        return {**data, **cls.supplied}


@pytest.mark.parametrize("strict", [False, True])
def test_ready_objects_of_a_hook_are_taken_as_they_are(tmp_path, strict):
    want = Hooked("x", **Hooked.supplied)
    want.to_yaml(tmp_path / "c.yaml")
    assert Hooked.from_yaml(tmp_path / "c.yaml", strict=strict) == want


def test_a_hook_that_gives_no_mapping_is_named(tmp_path):
    @dataclass
    class Lost(YamlConfig):
        a: int = 1

        @classmethod
        def restore_excluded_fields(cls, data, file_path):
            return None

    Lost().to_yaml(tmp_path / "c.yaml")
    with pytest.raises(TypeError, match=r"Lost\.restore_excluded_fields, got null"):
        Lost.from_yaml(tmp_path / "c.yaml")


ANNOTATIONS_AS_TEXT = """
    from __future__ import annotations
    import sys
    from dataclasses import dataclass, field
    from pathlib import Path
    from typing import TYPE_CHECKING, Self
    from ataraxis_data_structures import YamlConfig
    if TYPE_CHECKING:
        from nowhere import Nothing

    def local():
        @dataclass
        class Node(YamlConfig):
            where: Path
            next: Node | None = None
            more: dict[str, Self] = field(default_factory=dict)
            unknown: Nothing | None = None
            before: Later | None = None
        return Node

    Node = local()
    file = Path(sys.argv[1])
    file.write_text("where: a\\nnext: {where: b, next: {where: c}}\\nmore: {k: {where: d}}\\n")
    for strict in (False, True):
        node = Node.from_yaml(file, strict=strict)
        assert node == Node(Path("a"), Node(Path("b"), Node(Path("c"))), {"k": Node(Path("d"))}), node
    for text in ("unknown: 1", "before: {value: 1}"):
        file.write_text(f"where: a\\n{text}\\n")
        try:
            print(Node.from_yaml(file))
        except NameError as error:
            print(error, error.__notes__)

    @dataclass
    class Later:
        value: int

    print(Node.from_yaml(file).before)
"""


def test_annotations_as_text_are_resolved_when_their_names_exist(tmp_path):
    """A name that only a type checker imports is an error only where the file holds its field."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(ANNOTATIONS_AS_TEXT))
    done = subprocess.run([sys.executable, program, tmp_path / "c.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    unknown, before, later = done.stdout.splitlines()
    assert "'Nothing' is not defined" in unknown
    assert "field of Node" in unknown
    assert "'Later' is not defined" in before
    assert later == "Later(value=1)"


@dataclass
class Chain(YamlConfig):
    link: Self | None = None
    many: list["Chain"] = field(default_factory=list)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type statements are of Python 3.12")
def test_type_statements_may_contain_themselves(tmp_path):
    names = {"Path": Path}
    exec("type Tree = dict[str, Tree] | list[Tree] | Path\ntype Many[Q] = list[Q]", names)
    want = {"a": [Path("x"), {"b": Path("y")}]}
    assert read(tmp_path, names["Tree"], "{a: [x, {b: y}]}", strict=True) == want
    assert read(tmp_path, names["Many"][Path], "[x]", strict=True) == [Path("x")]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters are of Python 3.12")
def test_type_parameters_are_found_behind_postponed_annotations(tmp_path):
    names = {"YamlConfig": YamlConfig, "Path": Path, "dataclass": dataclass, "__name__": __name__}
    code = "@dataclass\nclass Many[X](YamlConfig):\n a: X\n b: list[X]\n@dataclass\nclass Paths(Many[Path]): pass"
    exec(f"from __future__ import annotations\n{code}", names)
    want = names["Paths"](Path("x"), [Path("y")])
    want.to_yaml(tmp_path / "c.yaml")
    assert names["Paths"].from_yaml(tmp_path / "c.yaml", strict=True) == want


def test_a_literal_tells_a_truth_value_from_a_number(tmp_path):
    assert read(tmp_path, Literal[True, 1], "1", strict=True) is not True
    assert read(tmp_path, Literal[1, True], "true", strict=True) is True


def test_a_value_that_contains_itself_or_is_nested_too_deep_is_refused(tmp_path):
    chain = Chain()
    chain.many.append(chain)
    with pytest.raises(ValueError, match="expected at most 100 levels"):
        chain.to_yaml(tmp_path / "c.yaml")
    deep = Chain()
    for _ in range(98):
        deep = Chain(link=deep)
    deep.to_yaml(tmp_path / "c.yaml")
    assert Chain.from_yaml(tmp_path / "c.yaml", strict=True) == deep
    with pytest.raises(ValueError, match="expected at most 100 levels"):
        Chain(link=Chain(link=deep)).to_yaml(tmp_path / "c.yaml")


def test_an_integer_that_could_not_be_read_back_is_refused(tmp_path):
    cls = make_dataclass("C", [("a", int)], bases=(YamlConfig,))
    cls(-(10**999) + 1).to_yaml(tmp_path / "c.yaml")
    assert cls.from_yaml(tmp_path / "c.yaml").a == -(10**999) + 1
    with pytest.raises(ValueError, match="999 digits"):
        cls(10**999).to_yaml(tmp_path / "c.yaml")


@pytest.mark.parametrize("value", [decimal.Decimal(1), dt.timedelta(1), dt.time(1), [1j]])
def test_what_only_an_annotation_could_read_is_refused_without_one(tmp_path, value):
    cls = make_dataclass("C", [("a", Any)], bases=(YamlConfig,))
    with pytest.raises(TypeError, match=r"a.*expected a value that YAML reads back"):
        cls(value).to_yaml(tmp_path / "c.yaml")


@pytest.mark.parametrize("text", ["2024-13-45", "!!int x", "!!float x", "!!timestamp x", "!!bool maybe", "!!binary é"])
def test_a_value_that_does_not_fit_its_tag_is_bad_yaml(tmp_path, text):
    with pytest.raises(yaml.YAMLError):
        read(tmp_path, Any, text)


def config(value):
    return make_dataclass("C", [("a", str)], bases=(YamlConfig,))(value)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_a_saved_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "c.yaml"
    config("first").to_yaml(path)
    path.chmod(mode)
    config("second").to_yaml(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert "second" in path.read_text()


def test_a_new_file_has_the_mode_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        config("first").to_yaml(tmp_path / "c.yaml")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "c.yaml").stat().st_mode) == 0o640


def acl(*entries):
    """Return the value of an ACL attribute: tag, rights and id of each entry, as acl(5) has them."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


SHARED = acl((1, 6, 2**32 - 1), (2, 6, 12345), (4, 0, 2**32 - 1), (16, 6, 2**32 - 1), (32, 0, 2**32 - 1))
ACL = "system.posix_acl_"


def has_attributes(folder):
    try:
        os.setxattr(folder, "user.axds", b"1")
        os.setxattr(folder, f"{ACL}access", SHARED)
    except (OSError, AttributeError):
        return False
    return True


def test_a_saved_file_keeps_its_acl_and_attributes_and_inherits_none(tmp_path):
    (tmp_path / "trial").mkdir()
    if not has_attributes(tmp_path / "trial"):
        pytest.skip("a file system without ACLs")
    path = tmp_path / "c.yaml"
    config("first").to_yaml(path)
    os.setxattr(path, "user.note", b"calibrated")
    os.setxattr(path, f"{ACL}access", SHARED)
    config("second").to_yaml(path)
    assert os.getxattr(path, "user.note") == b"calibrated"
    assert os.getxattr(path, f"{ACL}access") == SHARED
    private = tmp_path / "private.yaml"
    config("first").to_yaml(private)
    private.chmod(0o600)
    os.setxattr(tmp_path, f"{ACL}default", SHARED)
    config("second").to_yaml(private)
    assert os.listxattr(private) == []
    assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_a_link_to_a_saved_file_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "shown").mkdir()
    for real, link in (
        (tmp_path / "real" / "c.yaml", "../real/c.yaml"),
        (tmp_path / "real" / "new.yaml", "../real/new.yaml"),
    ):
        shown = tmp_path / "shown" / "link.yaml"
        shown.symlink_to(link)
        config("first").to_yaml(shown)
        config("second").to_yaml(shown)
        assert shown.is_symlink()
        assert "second" in real.read_text()
        shown.unlink()
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["c.yaml", "new.yaml"]


def test_threads_that_save_one_file_each_save_it_whole(tmp_path):
    path = tmp_path / "c.yaml"
    config("0" * 1000).to_yaml(path)
    failures, stop = [], threading.Event()

    def save(tag):
        try:
            for _ in range(20):
                config(tag * (1000 + 50 * int(tag))).to_yaml(path)
        except Exception as error:
            failures.append(error)

    def watch():
        while not stop.is_set():
            text = config("").from_yaml(path).a
            if text != text[0] * (1000 + 50 * int(text[0])):
                failures.append(text)

    reader = threading.Thread(target=watch)
    writers = [threading.Thread(target=save, args=(tag,)) for tag in "123"]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert failures == []
    assert [one.name for one in tmp_path.iterdir()] == ["c.yaml"]


def test_keys_that_only_look_alike_are_not_doubled(tmp_path):
    cls = make_dataclass("C", [("a", dict[int | str | None, int])], bases=(YamlConfig,))
    want = {1: 1, "1": 2, None: 3, "null": 4, "<<": 5, "=": 6}
    cls(want).to_yaml(tmp_path / "c.yaml")
    assert cls.from_yaml(tmp_path / "c.yaml", strict=True).a == want
    with pytest.raises(ConfigError, match="'1' again"):
        read(tmp_path, Any, "{'1': 1, \"1\": 2}", strict=True)
