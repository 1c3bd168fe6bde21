"""YAML text as a tree of plain values that knows the line and column of every key.

Law 1: a document is data, never a program: no tags, no anchors, no aliases, no second document.
Law 2: a key stands once; the second one would win in silence.
Law 3: whatever the bytes are, the answer is a tree or a list of problems, never a traceback.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ems.config.errors import SiteProblem

SIZE_LIMIT_BYTES = 1_000_000
DEPTH_LIMIT = 20
WORD_LIMIT = 500
"""No key and no value of a site file is longer [characters]."""
ANCHOR_WORDS = (
    "YAML anchors and aliases (&name, *name) are refused, for a few lines of them can unfold to gigabytes; "
    "write the values out"
)

Key = str | int
Keys = tuple[Key, ...]
Position = tuple[int, int]
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float"))


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a document.

    Args:
        value: plain Python: dict, list, str, int, float, bool or None.
        at: line and column, from 1, of its key (of the item itself in a list).
        children: the nodes of a mapping by key, or of a list by index.
    """

    value: Any
    at: Position
    children: Mapping[Key, Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file.

    Args:
        name: the file's name in messages.
        root: the tree; None if nothing of it can be used.
        problems: what is wrong with it as YAML.
        unread: paths of aliases, which stand in the tree as None; nothing more is to be said about them.
    """

    name: str
    root: Node | None
    problems: tuple[SiteProblem, ...] = ()
    unread: frozenset[Keys] = frozenset()

    def position(self, path: Keys) -> Position:
        """Find where a value stands; what is missing stands where its nearest parent does."""
        node, at = self.root, (1, 1)
        for key in path:
            node = node.children.get(key) if node else None
            if node is None:
                break
            at = node.at
        return at


class _Refused(Exception):
    """The document cannot be read any further."""

    def __init__(self, at: Position, message: str) -> None:
        super().__init__(message)
        self.at = at


class _Builder:
    """Builds the tree from the parser's events."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.complaints: list[tuple[Position, Keys, str]] = []
        self.unread: set[Keys] = set()
        self._events = events
        self._resolver: Any = yaml.resolver.Resolver()
        self._constructor = yaml.constructor.SafeConstructor()
        self._anchor_seen = False

    def document(self) -> Node | None:
        """Build the one document of the stream, None for an empty one; raises `_Refused` or `yaml.YAMLError`."""
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        root = self._node(next(self._events), (1, 1), ())
        next(self._events)
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _Refused(_at(after), "a second document starts here; one file holds one document: remove the `---`")
        return root

    def _node(self, event: Any, at: Position, path: Keys) -> Node:
        if len(path) > DEPTH_LIMIT:
            raise _Refused(_at(event), f"is nested more than {DEPTH_LIMIT} deep; no site file needs that")
        self._refuse_anchor(event)
        if isinstance(event, yaml.AliasEvent):
            self.unread.add(path)
            return Node(None, at)
        if event.tag is not None and event.tag != "!":
            self.complaints.append((_at(event), path, f"the tag `{event.tag}` is refused; write a plain value"))
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > WORD_LIMIT:
            raise _Refused(_at(event), f"is longer than {WORD_LIMIT} characters; no site file needs that")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(at, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(at, path)
        return Node(self._scalar(event), at)

    def _refuse_anchor(self, event: Any) -> None:
        if event.anchor is not None and not self._anchor_seen:
            self._anchor_seen = True
            self.complaints.append((_at(event), (), ANCHOR_WORDS))

    def _mapping(self, at: Position, path: Keys) -> Node:
        children: dict[Key, Node] = {}
        first_at: dict[Key, Position] = {}
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent) or len(key.value) > WORD_LIMIT:
                raise _Refused(
                    _at(key), "a list, a block or a long text stands where a key is expected; write `name: value`"
                )
            self._refuse_anchor(key)
            child = self._node(next(self._events), _at(key), (*path, key.value))
            if key.value in children:
                line = first_at[key.value][0]
                text = f"is already given in line {line}; a key stands once: remove one of the two"
                self.complaints.append((_at(key), (*path, key.value), text))
                continue
            children[key.value], first_at[key.value] = child, _at(key)
        return Node({key: child.value for key, child in children.items()}, at, children)

    def _sequence(self, at: Position, path: Keys) -> Node:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, _at(event), (*path, len(items))))
        return Node([item.value for item in items], at, dict(enumerate(items)))

    def _scalar(self, event: Any) -> Any:
        """Read a plain scalar as YAML 1.1 does, apart from dates, base-60 and endless numbers, which stay text."""
        tag = self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag not in _PLAIN_TAGS or ":" in event.value:
            return event.value
        try:
            value = self._constructor.construct_object(yaml.ScalarNode(tag, event.value))
        except ValueError:
            return event.value
        return event.value if isinstance(value, int) and abs(value) >= 10**15 else value


def read_document(path: Path, name: str | None = None) -> Document:
    """Read a YAML file; everything that is wrong with it is in the document's problems."""
    name = name or path.name
    try:
        size_bytes = path.stat().st_size
        if size_bytes > SIZE_LIMIT_BYTES:
            words = f"is {size_bytes} bytes long; a file of at most {SIZE_LIMIT_BYTES} bytes is read"
            return _unusable(name, (1, 1), words)
        content = path.read_bytes()
    except FileNotFoundError:
        return _unusable(name, (1, 1), f"there is no such file in {path.parent}; create it or name another site")
    except OSError as error:
        return _unusable(name, (1, 1), f"cannot be read ({error.strerror}); check its kind and its permissions")
    return parse_document(content, name)


def parse_document(content: bytes, name: str) -> Document:
    """Parse the bytes of a YAML file."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _line_and_column(content[: error.start].decode("utf-8", "replace"))
        return _unusable(name, (line, column), "is not UTF-8 text; save it as a plain UTF-8 text file")
    if "\0" in text:
        return _unusable(name, _line_and_column(text[: text.index("\0")]), "holds binary data; write plain text")
    return _parse_text(text, name)


def _parse_text(text: str, name: str) -> Document:
    builder = _Builder(yaml.parse(text, Loader=_LOADER))
    root: Node | None = None
    try:
        root = builder.document()
        if root is None or root.value is None:
            builder.complaints.append(((1, 1), (), "is empty; see sites/demo_feeder for a whole example"))
        elif not isinstance(root.value, dict):
            builder.complaints.append(((1, 1), (), "holds no keys; write `key: value` lines"))
    except _Refused as error:
        builder.complaints.append((error.at, (), str(error)))
    except yaml.YAMLError as error:
        builder.complaints.append(_syntax_complaint(text, error))
    problems = tuple(SiteProblem(name, *at, thing_of(path), message) for at, path, message in builder.complaints)
    usable = root is not None and isinstance(root.value, dict)
    return Document(name, root if usable else None, problems, frozenset(builder.unread))


def thing_of(path: Keys) -> str:
    """Name a place as an operator says it: `battery.capacity_kwh`, without the list it stands in."""
    named = path[1:] if len(path) > 1 and path[0] in {"assets", "devices"} else path
    return ".".join(map(str, named))


def _syntax_complaint(text: str, error: yaml.YAMLError) -> tuple[Position, Keys, str]:
    for number, line in enumerate(text.splitlines(), start=1):
        indent = line[: len(line) - len(line.lstrip(" \t"))]
        if "\t" in indent:
            return (number, indent.index("\t") + 1), (), "a tab indents this line; YAML wants spaces: write spaces"
    mark = getattr(error, "problem_mark", None)
    if "end of stream" in str(getattr(error, "problem", "")):
        # What was never closed is better sought where it was opened.
        mark = getattr(error, "context_mark", None) or mark
    at = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    words = getattr(error, "problem", None) or getattr(error, "reason", None) or "not readable"
    return at, (), f"is not valid YAML here ({words}); check the indentation, colons, quotes and brackets"


def _unusable(name: str, at: Position, message: str) -> Document:
    return Document(name, None, (SiteProblem(name, *at, "", message),))


def _at(event: Any) -> Position:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _line_and_column(before: str) -> Position:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
