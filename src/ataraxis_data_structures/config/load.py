"""YAML from strangers: plain tags only, in bounded time and memory."""

import re
from typing import Any, NamedTuple

import yaml

MAX_DEPTH = 100
MAX_EXPANDED = 1_000_000  # nodes, once every alias is written out
MAX_NUMBER = 1_000  # characters; YAML's base-60 integers take quadratic time

_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# File names that are not UTF-8 carry lone surrogates, which PyYAML writes as escapes and its C parser refuses.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Document(NamedTuple):
    """What a YAML text says, and the tree that knows on which line."""

    value: object
    root: yaml.Node | None

    def line(self, at: tuple[object, ...]) -> int:
        """Return the line, counted from 1, of the innermost part of the path `at` that the text holds."""
        node = self.root
        if node is None:
            return 1
        line = node.start_mark.line
        for step in at:
            node = _child(node, step)
            if node is None:
                break
            line = node.start_mark.line
        return int(line) + 1


def load(data: bytes) -> Document:
    """Read one document with PyYAML's safe constructors, its C parser where there is one.

    Raises yaml.YAMLError for bad YAML, foreign tags, values that do not fit their tags, nesting deeper than 100 and
    aliases that explode.
    """
    root = compose(data)
    return Document(None if root is None else _constructed(root), root)


def compose(data: bytes) -> yaml.Node | None:
    """Return the tree of one document, its scalars as they were written and tagged but not made into values.

    Raises yaml.YAMLError for bad YAML, nesting deeper than 100 and aliases that explode.
    """
    kind = yaml.SafeLoader if _SURROGATE.search(data) else _FAST
    _check_nesting(data, kind)
    loader = kind(data)
    try:
        root: yaml.Node | None = loader.get_single_node()
    finally:
        loader.dispose()
    if root is not None:
        _weigh(root, 1, {})
    return root


def _constructed(root: yaml.Node) -> object:
    """PyYAML's constructors raise what they happen to for a 13th month or a tag whose value does not fit."""
    try:
        return yaml.constructor.SafeConstructor().construct_document(root)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise _refusal(f"expected values that fit their tags: {error}", root.start_mark) from error


def duplicate_keys(root: yaml.Node | None) -> list[tuple[str, int]]:
    """Return each key that a mapping of the tree holds twice, with the line of the second."""
    found, todo, seen = [], [root] if root else [], set()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            names = set()
            for key, _ in node.value:
                name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key)  # 1 is not '1'
                if isinstance(key, yaml.ScalarNode) and name in names and not key.tag.endswith(":merge"):
                    found.append((key.value, key.start_mark.line + 1))
                names.add(name)
        todo.extend(_children(node))
    return found


def _check_nesting(data: bytes, kind: Any) -> None:
    """Refuse deep nesting before the composer, which recurses on the C stack, meets it."""
    depth = 0
    for event in yaml.parse(data, Loader=kind):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _refusal(f"nested deeper than {MAX_DEPTH} levels", event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _weigh(node: yaml.Node, level: int, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return size and height of the tree with every alias written out; a cycle is found as endless depth."""
    size, height = known.get(id(node), (0, 0))
    if level + height > MAX_DEPTH:
        raise _refusal(f"nested deeper than {MAX_DEPTH} levels through aliases", node.start_mark)
    if size:
        return size, height
    if isinstance(node, yaml.ScalarNode) and len(node.value) > MAX_NUMBER and node.tag.endswith((":int", ":float")):
        raise _refusal(f"expected a number of at most {MAX_NUMBER} characters", node.start_mark)
    size = 1
    for child in _children(node):
        child_size, child_height = _weigh(child, level + 1, known)
        size, height = size + child_size, max(height, child_height + 1)
        if size > MAX_EXPANDED and known:
            _refuse_if_aliased(size, known, node)
    known[id(node)] = (size, height)
    return size, height


def _refuse_if_aliased(size: int, known: dict[int, tuple[int, int]], node: yaml.Node) -> None:
    """A long document is no attack; one whose aliases stand for more than it holds is."""
    if size > max(MAX_EXPANDED, 2 * len(known)):
        raise _refusal(f"aliases stand for more than {MAX_EXPANDED} values", node.start_mark)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _child(node: yaml.Node, step: object) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        child: yaml.Node = node.value[step]
        return child
    return None


def _refusal(problem: str, mark: Any) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)
