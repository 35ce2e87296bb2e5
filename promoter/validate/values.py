"""YAML text → the values that the readers of Kubernetes get, in one pass over libyaml's events.

Nothing is built that a hostile file can make large: size, depth, values, documents and what
aliases expand to are limited, so that every file is read or refused within a second or so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from promoter.validate.scalars import ScalarError, is_ambiguous, key_of, plain_value, tagged_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promoter.validate.model import Severity

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 200
MAX_VALUES = 400_000  # in a file
MAX_ALIASED = 100_000  # values that the aliases of one document stand for; a long text counts as several
MAX_DOCUMENTS = 10_000
MAX_PROBLEMS = 100  # in a file
_LONG_TEXT = 32

Steps = tuple[str | int, ...]


class Problem(NamedTuple):
    """What is wrong at a place: ``steps`` lead there from the document's root.

    ``stops`` says that the rest of the file was not read.
    """

    severity: Severity
    line: int | None
    steps: Steps
    message: str
    stops: bool = False


class Start(NamedTuple):
    """Where a document begins: the offset of its first character, and its line."""

    offset: int
    line: int


class _StopError(Exception):
    """The rest of the file is not read."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class _Open:
    """A collection whose end has not come yet."""

    __slots__ = ("anchor", "key", "key_line", "line", "merged", "texts", "value", "weight")

    def __init__(self, value: Any, anchor: str | None, line: int) -> None:  # noqa: ANN401 - a dict or a list
        self.value = value
        self.anchor = anchor
        self.line = line
        self.weight = 1
        self.key: str | None = None  # that waits for its value
        self.key_line = line
        self.texts: set[str] | None = None  # keys as they are written, where that is not what they become
        self.merged: list[Any] | None = None


_ESCAPES = re.compile(r"\\.", re.DOTALL)
_MERGE = "\0<<"  # no YAML text holds a NUL


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.is_json = text.lstrip()[:1] in ("{", "[")
        self.problems: list[Problem] = []
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.starts: list[Start] = []
        self.weights: list[int] = []
        self.values = 0
        self.aliased = 0

    def documents(self) -> Iterator[object]:
        """The value of each document, as long as it can be read."""
        try:
            for event in yaml.parse(self.text, Loader=yaml.CSafeLoader):
                done = self._take(event)
                if done is not None:
                    yield done[0]
        except yaml.YAMLError as error:
            self.stack.clear()  # where the parser was tells nothing of where the mistake is
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
            line = mark.line + 1 if mark is not None else None
            self._problem("error", line, f"not YAML: {problem}", stops=True)
        except _StopError as stop:
            self._problem("error", stop.line, stop.message, stops=True)

    def _take(self, event: Any) -> tuple[object] | None:  # noqa: ANN401 - PyYAML's events have no common type
        """Take one event; a document's value, as a tuple of one, at its end."""
        kind = type(event)
        if kind is ScalarEvent:
            return self._scalar(event)
        if kind is MappingEndEvent or kind is SequenceEndEvent:
            return self._close()
        if kind is MappingStartEvent:
            self._open(event, {})
        elif kind is SequenceStartEvent:
            self._open(event, [])
        elif kind is AliasEvent:
            return self._alias(event)
        elif kind is DocumentStartEvent:
            self.starts.append(Start(event.start_mark.index, event.start_mark.line + 1))
            self.anchors.clear()
            self.aliased = 0
            if len(self.starts) > MAX_DOCUMENTS:
                raise _StopError(f"more than {MAX_DOCUMENTS:,} documents", event.start_mark.line + 1)
        return None

    def _scalar(self, event: Any) -> tuple[object] | None:  # noqa: ANN401 - as above
        text: str = event.value
        plain: bool = event.implicit[0]
        value: Any = text
        try:
            if plain:
                value = plain_value(text)
            elif event.tag is not None:
                value = tagged_value(text, event.tag)
        except ScalarError as error:
            self._problem("error", event.start_mark.line + 1, str(error))
            value = None
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, 1 + len(text) // _LONG_TEXT)
        if value is True or value is False or (event.style == '"' and "/" in text):
            self._compare_readers(event, value, plain=plain)
        self.values += 1
        if self.values > MAX_VALUES:
            raise _StopError(f"more than {MAX_VALUES:,} values", event.start_mark.line + 1)
        opened = self.stack[-1] if self.stack else None
        if opened is None:
            self.weights.append(1)
            return (value,)
        if opened.key is None and type(opened.value) is dict:
            if plain and text == "<<":
                opened.key, opened.key_line = _MERGE, event.start_mark.line + 1
            else:
                self._key(opened, value, text, event)
            return None
        self._attach(value, 1)
        return None

    def _compare_readers(self, event: Any, value: object, *, plain: bool) -> None:  # noqa: ANN401 - as above
        """What YAML 1.1 readers (libyaml and its ports in Go) and YAML 1.2 readers do not take alike."""
        text: str = event.value
        line = event.start_mark.line + 1
        is_value = not self.stack or self.stack[-1].key is not None or type(self.stack[-1].value) is list
        if plain and is_value and is_ambiguous(text):
            meant = "true" if value else "false"
            self._problem(
                "warning",
                line,
                f"{text} is {meant} to YAML 1.1 readers and text to YAML 1.2 readers: "
                f"write {meant}, or put it in quotes",
            )
        raw = self.text[event.start_mark.index : event.end_mark.index]
        if event.style == '"' and not self.is_json and any(one == "\\/" for one in _ESCAPES.findall(raw)):
            self._problem("error", line, r"YAML 1.1 readers, kubectl among them, do not know the escape \/")

    def _key(self, opened: _Open, value: Any, text: str, event: Any) -> None:  # noqa: ANN401 - as above
        line = event.start_mark.line + 1
        try:
            key = key_of(value)
        except ScalarError as error:
            self._problem("error", line, str(error))
            key = text
        twice = key in opened.value
        if key is not text or opened.texts is not None:  # `yes` and `"yes"` are one key to YAML 1.2 readers
            if opened.texts is None:
                opened.texts = set(opened.value)
            twice = twice or text in opened.texts
            opened.texts.add(text)
        opened.key, opened.key_line = key, line
        if twice:
            self._problem("error", line, f"the key {text[:80]!r} stands twice")

    def _open(self, event: Any, value: dict[str, Any] | list[Any]) -> None:  # noqa: ANN401 - as above
        line = event.start_mark.line + 1
        if len(self.stack) >= MAX_DEPTH:
            raise _StopError(f"nested deeper than {MAX_DEPTH} levels", line)
        self.values += 1
        if self.stack and self.stack[-1].key is None and type(self.stack[-1].value) is dict:
            raise _StopError("a key is not a scalar", line)
        self.stack.append(_Open(value, event.anchor, line))

    def _close(self) -> tuple[object] | None:
        opened = self.stack.pop()
        if opened.merged is not None and isinstance(opened.value, dict):
            for source in opened.merged:
                for key, value in source.items():
                    opened.value.setdefault(key, value)
        if opened.anchor is not None:
            self.anchors[opened.anchor] = (opened.value, opened.weight)
        if not self.stack:
            self.weights.append(opened.weight)
            return (opened.value,)
        self._attach(opened.value, opened.weight)
        return None

    def _alias(self, event: Any) -> tuple[object] | None:  # noqa: ANN401 - as above
        line = event.start_mark.line + 1
        if event.anchor not in self.anchors:
            inside = any(opened.anchor == event.anchor for opened in self.stack)
            why = "stands inside of its own anchor" if inside else "has no anchor"
            raise _StopError(f"the alias *{event.anchor} {why}", line)
        value, weight = self.anchors[event.anchor]
        self.aliased += weight
        if self.aliased > MAX_ALIASED:
            raise _StopError(f"the aliases stand for more than {MAX_ALIASED:,} values", line)
        opened = self.stack[-1]  # an alias is never a document's root: no anchor stands before it
        if opened.key is None and type(opened.value) is dict:
            if isinstance(value, dict | list):
                raise _StopError("a key is not a scalar", line)
            self._key(opened, value, str(value), event)
            return None
        self._attach(value, weight)
        return None

    def _attach(self, value: object, weight: int) -> None:
        """Put a finished value into the innermost collection."""
        opened = self.stack[-1]
        opened.weight += weight
        if type(opened.value) is list:
            opened.value.append(value)
            return
        key, opened.key = opened.key, None
        if key is _MERGE:
            self._merge(opened, value)
        else:
            opened.value[key] = value

    def _merge(self, opened: _Open, value: object) -> None:
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, dict) for source in sources):
            self._problem("error", opened.key_line, "only mappings can be merged by <<")
            return
        opened.merged = [*(opened.merged or []), *sources]

    def _problem(self, severity: Severity, line: int | None, message: str, *, stops: bool = False) -> None:
        if len(self.problems) < MAX_PROBLEMS or stops:
            steps = (len(one.value) if type(one.value) is list else one.key for one in self.stack)
            way = tuple(step for step in steps if step is not None and step is not _MERGE)
            self.problems.append(Problem(severity, line, way, message, stops))


class Values(NamedTuple):
    """What a text holds: the value of each document, where these start in it, and all problems.

    ``weights`` count the values in each document, aliases expanded. ``values`` and ``weights`` end
    before the document that stopped the reader.
    """

    values: list[Any]
    weights: list[int]
    starts: list[Start]
    problems: list[Problem]


def read_values(text: str) -> Values:
    """The documents of a text without byte order mark; never raises for what stands in it."""
    if len(text) > MAX_BYTES or (not text.isascii() and len(text.encode()) > MAX_BYTES):
        message = f"larger than {MAX_BYTES // 1024 // 1024} MiB"
        return Values([], [], [], [Problem("error", None, (), message, stops=True)])
    reader = _Reader(text)
    values = list(reader.documents())
    return Values(values, reader.weights, reader.starts, reader.problems)
