"""YAML text → a tree of nodes that know their line and column.

ruamel.yaml's events (YAML 1.2) are composed here rather than by the library, so that
depth, aliases, duplicate keys and keys that are no strings meet our limits and our
messages before anything is built. Import this module where a configuration is parsed,
not at the top: ruamel.yaml costs 30 ms.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode

from promoter.config.grammar import shorten
from promoter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 50
MAX_ALIASED_NODES = 10_000

_FIX_SYNTAX = "correct the YAML there"

# What ruamel.yaml lets escape on malformed text besides its own errors, e.g. "\UFFFFFFFF".
_ESCAPING = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with the file; sorts by its place in it (both from 1)."""

    line: int
    column: int
    message: str
    next_step: str

    def error(self, file: str, *, more: int = 0) -> ConfigError:
        """Return the exception, which also says how many more problems there are."""
        others = f" (and {more} more)" if more else ""
        message = f"line {self.line}, column {self.column}: {self.message}{others}"
        return ConfigError(message, file=file, line=self.line, next_step=self.next_step)


@dataclass(slots=True)
class Node:
    """One value of the document.

    ``keys`` holds the node of each key of a mapping; ``partial`` tells that some of its
    entries were noted as problems and left out, so that nothing is known to be missing.
    """

    line: int
    column: int
    value: dict[str, Node] | list[Node] | str | float | bool | None
    text: str = ""
    keys: dict[str, Node] = field(default_factory=dict)
    partial: bool = False
    size: int = 0  # nodes in it, aliases expanded; 0 while it is still open
    height: int = 0

    def children(self) -> list[Node]:
        """Return the values directly inside."""
        if isinstance(self.value, dict):
            return list(self.value.values())
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> Any:  # noqa: ANN401  # a JSON document
        """Return the value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value


def read_yaml(text: str, file: str) -> tuple[Node, list[Problem]]:
    """Return the top-level mapping, and what is wrong with it but leaves the rest readable.

    Raises:
        ConfigError: the text is not one YAML document that is a mapping, or exceeds a limit.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Problem(1, 1, "the file is larger than 1 MiB", "check that it is the configuration").error(file)
    composer = _Composer(file)
    yaml = YAML(typ="safe", pure=True)
    for event in _events(yaml, text, file):
        composer.take(event, yaml.resolver)
    root = composer.root
    if root is None:
        raise Problem(1, 1, "the file is empty", "write version: 1 and environments: into it").error(file)
    if not isinstance(root.value, dict):
        raise Problem(
            root.line,
            root.column,
            f"the file must be a mapping, not {describe(root)}",
            "start it with version: 1 and environments:",
        ).error(file)
    return root, composer.problems


def describe(node: Node) -> str:
    """Name a node's kind, and its text where it is short."""
    match node.value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return f"the text {shorten(node.value)}"
        case bool():
            return f"the truth value {node.text}"
        case _:
            return f"the number {shorten(node.text)}"


def _events(yaml: YAML, text: str, file: str) -> Iterator[Any]:
    """Yield ruamel.yaml's events, its exceptions turned into ours."""
    line = column = 1
    try:
        for event in yaml.parse(text):
            line, column = event.start_mark.line + 1, event.start_mark.column + 1
            yield event
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark:
            line, column = mark.line + 1, mark.column + 1
        reason = " ".join(str(error.problem or error.context or "malformed").split())
        step = "indent and separate with spaces, not tabs" if r"'\t'" in reason else _FIX_SYNTAX
        raise Problem(line, column, f"not valid YAML: {reason}", step).error(file) from error
    except YAMLError as error:
        # The only unmarked one is the reader's, about a character; it knows an offset alone.
        before = text[: getattr(error, "position", 0)]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        reason = "a character that YAML does not allow"
        raise Problem(line, column, f"not valid YAML: {reason}", _FIX_SYNTAX).error(file) from error
    except _ESCAPING as error:
        raise Problem(line, column, "not valid YAML after this place", _FIX_SYNTAX).error(file) from error


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet; ``key`` is a mapping's key that awaits its value."""

    node: Node
    key: Node | None = None


class _Composer:
    """Builds the tree from events; no recursion, so no text is deep enough to hurt."""

    def __init__(self, file: str) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._file = file
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._aliased = 0

    def take(self, event: Any, resolver: Any) -> None:  # noqa: ANN401  # ruamel.yaml's are untyped
        """Add one event.

        Raises:
            ConfigError: a limit is exceeded, an alias leads nowhere, or a second document starts.
        """
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        match event:
            case events.DocumentStartEvent() if self.root is not None:
                raise self._stop(line, column, "a second document starts", "keep one document in the file")
            case events.MappingStartEvent():
                self._enter(Node(line, column, {}), event)
            case events.SequenceStartEvent():
                self._enter(Node(line, column, []), event)
            case events.MappingEndEvent() | events.SequenceEndEvent():
                self._leave()
            case events.ScalarEvent():
                self._scalar(Node(line, column, event.value, event.value, size=1, height=1), event, resolver)
            case events.AliasEvent():
                self._alias(event.anchor, line, column)

    def _enter(self, node: Node, event: Any) -> None:  # noqa: ANN401
        if len(self._open) >= MAX_DEPTH:
            raise self._stop(node.line, node.column, f"nested deeper than {MAX_DEPTH} levels", "flatten it")
        self._remember(node, event)
        self._open.append(_Open(node))

    def _leave(self) -> None:
        node = self._open.pop().node
        node.size = 1 + sum(child.size for child in node.children())
        node.height = 1 + max((child.height for child in node.children()), default=0)
        self._add(node)

    def _scalar(self, node: Node, event: Any, resolver: Any) -> None:  # noqa: ANN401
        node.value = _value(event.value, str(resolver.resolve(ScalarNode, event.value, event.implicit)))
        if not _is_text(event.value):
            self._note(node, "the value holds a NUL or half a surrogate pair", "remove that character")
        self._remember(node, event)
        self._add(node)

    def _alias(self, anchor: str, line: int, column: int) -> None:
        node = self._anchors.get(anchor)
        if node is None:
            raise self._stop(line, column, f"no anchor &{anchor} stands before this alias", _FIX_SYNTAX)
        if not node.size:
            raise self._stop(line, column, f"the alias *{anchor} stands inside its own anchor", _FIX_SYNTAX)
        self._aliased += node.size
        if self._aliased > MAX_ALIASED_NODES or len(self._open) + node.height > MAX_DEPTH:
            limits = f"{MAX_ALIASED_NODES:,} values or {MAX_DEPTH} levels"
            raise self._stop(
                line, column, f"aliases expand to more than {limits}", "write it without aliases"
            )
        self._add(replace(node, line=line, column=column))

    def _add(self, node: Node) -> None:
        """Put a complete node where it belongs: into the innermost open collection."""
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if isinstance(parent.node.value, list):
            parent.node.value.append(node)
        elif parent.key is None:
            parent.key = node
        else:
            self._put(parent.node, parent.key, node)
            parent.key = None

    def _put(self, mapping: Node, key: Node, node: Node) -> None:
        """Add an entry to a mapping; one whose key cannot stand is noted and left out."""
        entries = mapping.value
        if not isinstance(entries, dict):
            return
        if wrong := _wrong_key(mapping, key):
            mapping.partial = True
            self._note(key, *wrong)
            return
        if isinstance(key.value, str):
            if not node.text and node.value is None:
                # YAML places a value that is not there at the next token, lines away.
                node.line, node.column = key.line, key.column
            entries[key.value] = node
            mapping.keys[key.value] = key

    def _remember(self, node: Node, event: Any) -> None:  # noqa: ANN401
        if event.anchor:
            self._anchors[event.anchor] = node
        if event.tag:
            self._note(node, f"the tag {shorten(str(event.tag))} is not read here", "remove it")

    def _note(self, node: Node, message: str, next_step: str) -> None:
        self.problems.append(Problem(node.line, node.column, message, next_step))

    def _stop(self, line: int, column: int, message: str, next_step: str) -> ConfigError:
        return Problem(line, column, message, next_step).error(self._file)


def _wrong_key(mapping: Node, key: Node) -> tuple[str, str] | None:
    """Return what is wrong with a key and what to do about it, or None."""
    if not isinstance(key.value, str):
        quote = f"write '{key.text}' in quotes" if key.text else "write text before the colon"
        return f"a key must be text, not {describe(key)}", quote
    if not key.value or not key.value.isprintable():
        return f"the key {shorten(key.value)} is not readable text", "correct the key"
    if key.value == "<<":
        return "merge keys (<<) are not part of YAML 1.2", "write the merged keys out"
    if key.value in mapping.keys:
        first = mapping.keys[key.value].line
        return f"the key {shorten(key.value)} stands on line {first} already", "keep one of them"
    return None


def _value(text: str, tag: str) -> str | float | bool | None:
    """Return what a scalar means in YAML's core schema, in which dates are text."""
    match tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return text.lower() in ("true", "yes", "on", "y")
        case "int" | "float":
            return _number(text)
        case _:
            return text


def _number(text: str) -> float:
    """Return a number well enough for ``version: 1``, the only one that the file has."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _is_text(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
