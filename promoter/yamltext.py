"""YAML text as scalars with exact spans, and how to replace one without touching another byte.

The text is parsed by libyaml's event stream (PyYAML's C loader), whose marks count
characters of the decoded text. Nothing is ever dumped: an edit is a splice, and every
edit is verified by parsing the result and comparing the two event streams.

Rules of what a plain scalar means come from YAML 1.1 (yaml.org/type), from the core
schema of YAML 1.2.2 §10.3, and from what Go's YAML readers add (``0b``, ``0o``, ``_``).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections import abc

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 200
MAX_EXPANDED_NODES = 1_000_000

BOM = "\ufeff"


class YamlTextError(Exception):
    """The text cannot be read as YAML, or not within the limits. ``line`` is 1-based."""

    def __init__(self, problem: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.column = column


class EditError(Exception):
    """The scalar cannot be replaced without touching anything else."""


@dataclass(slots=True)
class Scalar:
    """One scalar. ``start`` and ``end`` are offsets of its written form, without anchor and tag."""

    value: str
    start: int
    end: int
    style: str  # "" plain, "'" , '"', "|" or ">"
    line: int
    event: int
    tag: str | None = None
    anchor: str | None = None


@dataclass(slots=True)
class Mapping:
    """A mapping with its pairs in file order, merge keys and duplicates included."""

    line: int
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    size: int = 1


@dataclass(slots=True)
class Sequence:
    """A sequence with its items in file order."""

    line: int
    items: list[Node] = field(default_factory=list)
    size: int = 1


@dataclass(slots=True)
class Alias:
    """A ``*name``; ``target`` is the node it stands for, never expanded."""

    name: str
    line: int
    target: Node


Node = Scalar | Mapping | Sequence | Alias


def parse(text: str) -> list[Node]:
    """The root node of each document, in order; none for a text without any.

    ``text`` has no byte order mark. Raises YamlTextError where libyaml cannot read it
    and where size, depth or alias expansion pass the limits.
    """
    if len(text) > MAX_BYTES or (not text.isascii() and len(text.encode()) > MAX_BYTES):
        raise YamlTextError(f"larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        return list(_documents(text))
    except yaml.YAMLError as error:
        raise _as_yaml_text_error(error) from None


def _as_yaml_text_error(error: yaml.YAMLError) -> YamlTextError:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML")
    if mark is None:
        return YamlTextError(problem)
    return YamlTextError(problem, mark.line + 1, mark.column + 1)


def _documents(text: str) -> abc.Iterator[Node]:
    tree = _Tree()
    events: abc.Iterator[Any] = yaml.parse(text, Loader=yaml.CSafeLoader)
    for number, event in enumerate(events):
        done: Node | None = None
        match event:
            case yaml.ScalarEvent():
                done = tree.anchored(event, _scalar(event, number, text))
            case yaml.AliasEvent():
                done = tree.alias(event)
            case yaml.MappingStartEvent():
                tree.open(event, Mapping(_line(event)))
            case yaml.SequenceStartEvent():
                tree.open(event, Sequence(_line(event)))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = tree.close()
            case yaml.DocumentStartEvent():
                tree.anchors.clear()
        if done is not None and not tree.attach(done):
            yield done


def _line(event: Any) -> int:  # noqa: ANN401 - PyYAML's events have no common type
    line: int = event.start_mark.line + 1
    return line


class _Tree:
    """The collections that are open while the events of one document arrive."""

    def __init__(self) -> None:
        self.anchors: dict[str, Node] = {}
        self.stack: list[Mapping | Sequence] = []
        self.keys: list[Node | None] = []  # the key that waits for its value, per open collection

    def anchored(self, event: Any, node: Node) -> Node:  # noqa: ANN401 - as above
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Any) -> Alias:  # noqa: ANN401 - as above
        line = _line(event)
        target = self.anchors.get(event.anchor)
        if target is None:
            raise YamlTextError(f"alias *{event.anchor} has no anchor", line)
        return Alias(event.anchor, line, target)

    def open(self, event: Any, node: Mapping | Sequence) -> None:  # noqa: ANN401 - as above
        if len(self.stack) >= MAX_DEPTH:
            raise YamlTextError(f"nested deeper than {MAX_DEPTH} levels", node.line)
        self.anchored(event, node)
        self.stack.append(node)
        self.keys.append(None)

    def close(self) -> Node:
        self.keys.pop()
        return self.stack.pop()

    def attach(self, node: Node) -> bool:
        """Put a finished node into the innermost open collection; False where there is none."""
        if not self.stack:
            return False
        parent, key = self.stack[-1], self.keys[-1]
        parent.size += _expanded_size(node)
        if parent.size > MAX_EXPANDED_NODES:
            raise YamlTextError(f"aliases expand to more than {MAX_EXPANDED_NODES:,} nodes", parent.line)
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif key is None:
            self.keys[-1] = node
        else:
            parent.pairs.append((key, node))
            self.keys[-1] = None
        return True


def _expanded_size(node: Node) -> int:
    target = node.target if isinstance(node, Alias) else node
    return target.size if isinstance(target, Mapping | Sequence) else 1


# An anchor or a tag before the value belongs to the node, not to its text; a comment or
# a line break may stand between them.
_PROPERTIES = re.compile(r"(?:(?:!<[^\s>]*>|[&!][^\s,\[\]{}]*)(?:\s+|#[^\n]*\n|$)+)+")


def _scalar(event: Any, number: int, text: str) -> Scalar:  # noqa: ANN401 - as above
    start, end = event.start_mark.index, event.end_mark.index
    if event.anchor is not None or event.tag is not None:
        properties = _PROPERTIES.match(text, start, end)
        start = properties.end() if properties else end
    return Scalar(
        value=event.value,
        start=start,
        end=end,
        style=event.style or "",
        line=_line(event) + text.count("\n", event.start_mark.index, start),
        event=number,
        tag=event.tag,
        anchor=event.anchor,
    )


def resolve(node: Node) -> Node:
    """The node that an alias stands for; any other node itself."""
    return node.target if isinstance(node, Alias) else node


def entries(mapping: Mapping) -> abc.Iterator[tuple[str, Node]]:
    """The pairs with a scalar key, aliases resolved; what ``<<`` merges in comes last.

    A key of the mapping itself wins over a merged one (yaml.org/type/merge.html), so a
    look-up takes the first pair of a name.
    """
    waiting, seen = [mapping], {id(mapping)}
    while waiting:
        for key, value in waiting.pop(0).pairs:
            name, node = resolve(key), resolve(value)
            if not isinstance(name, Scalar):
                continue
            if name.value != "<<" or name.style != "":
                yield name.value, node
                continue
            for source in node.items if isinstance(node, Sequence) else [node]:
                merged = resolve(source)
                if isinstance(merged, Mapping) and id(merged) not in seen:  # an anchor may merge itself
                    seen.add(id(merged))
                    waiting.append(merged)


def get(mapping: Mapping, key: str) -> Node | None:
    """The value of ``key``, merge keys followed; None where it is absent."""
    return next((value for name, value in entries(mapping) if name == key), None)


def scalar_value(node: Node | None) -> str | None:
    """The text of a scalar that is no null; None for anything else."""
    if not isinstance(node, Scalar) or is_null(node):
        return None
    return node.value


# --- What readers make of a plain scalar ------------------------------------------------

_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:y|n|yes|no|on|off|true|false)\Z", re.IGNORECASE)
_INTEGER = re.compile(r"[-+]?(?:0b[01]+|0o[0-7]+|0x[0-9a-fA-F]+|[0-9]+(?::[0-5]?[0-9])*)\Z")
_FLOAT = re.compile(
    r"[-+]?(?:(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[0-9]+(?::[0-5]?[0-9])+\.[0-9]*|\.(?:inf|Inf|INF))\Z|\.(?:nan|NaN|NAN)\Z"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?\Z")


def reads_as_string(value: str) -> bool:
    """Whether every YAML 1.1 and 1.2 reader takes this plain scalar for a string."""
    bare = value.replace("_", "") if value[:1].isdigit() or value[:1] in "+-." else value
    if value in ("=", "<<", "---", "...") or bare.lstrip("+-") in ("", ".", "0b", "0o", "0x"):
        return False  # markers, and what some reader takes for a number and then fails on
    return not any(pattern.match(bare) for pattern in (_NULL, _BOOL, _INTEGER, _FLOAT, _DATE))


def is_null(scalar: Scalar) -> bool:
    """Whether the scalar is written as nothing, ``~`` or ``null``."""
    return scalar.style == "" and scalar.tag is None and _NULL.match(scalar.value) is not None


_LONGEST_NUMBER = 400  # far longer than a tag; Python refuses to print numbers of 4,300 digits


def resolved_text(scalar: Scalar) -> str:
    """The text that a reader prints for this scalar: plain ``1.10`` is the number 1.1.

    Only numbers change: Helm and kustomize print them in their shortest form.
    """
    value = scalar.value
    if scalar.style != "" or scalar.tag is not None or value.startswith("_") or len(value) > _LONGEST_NUMBER:
        return value
    bare = value.replace("_", "")
    if re.fullmatch(r"[-+]?[0-9]+", bare):
        # A leading zero means octal to YAML 1.1 readers; 8 and 9 keep it decimal.
        octal = re.fullmatch(r"[-+]?0[0-7]+", bare)
        return str(int(bare, 8 if octal else 10))
    if re.fullmatch(r"0b[01]+|0o[0-7]+|0x[0-9a-fA-F]+", bare):
        return str(int(bare, 0))
    if _FLOAT.match(bare) and not bare.lower().endswith(("inf", "nan")) and ":" not in bare:
        number = float(bare)
        if not math.isfinite(number):
            return value
        return str(int(number)) if number.is_integer() and abs(number) < 1e21 else repr(number)
    return value


# --- Splice and verify --------------------------------------------------------------------

_HARMLESS = re.compile(r"[A-Za-z0-9_./:@+-]*")
_SAFE_PLAIN = re.compile(r"[A-Za-z0-9_./$][A-Za-z0-9_./:@+${}=-]*(?<!:)\Z")


def written(value: str, style: str) -> str:
    """``value`` as a scalar of the given style; a plain one gains quotes where it needs them.

    Raises EditError for block scalars and for text with control characters.
    """
    if not value.isprintable():
        raise EditError("the new value holds a character that cannot be printed")
    if style == "" and _SAFE_PLAIN.match(value) and "{" not in value and reads_as_string(value):
        return value
    if style in ("", "'", '"'):
        return _quoted(value, style)
    kind = {"|": "literal", ">": "folded"}.get(style, style)
    raise EditError(f"the value stands in a {kind} block scalar")


def _quoted(value: str, style: str) -> str:
    if style == "'":
        return "'" + value.replace("'", "''") + "'"
    return (
        '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'
    )


@dataclass(frozen=True, slots=True)
class Replacement:
    """A scalar and the string that it shall hold."""

    scalar: Scalar
    value: str


def splice(text: str, replacements: abc.Sequence[Replacement], view: abc.Callable[[str], str] = str) -> str:
    """``text`` with each scalar replaced, verified: exactly these scalars differ.

    ``view`` gives what was parsed where that is not the text itself: a template with its
    actions masked. Raises EditError where that cannot be done; the text is never half edited.
    """
    ordered = sorted(replacements, key=lambda one: one.scalar.start)
    pieces: list[str] = []
    position = 0
    for replacement in ordered:
        scalar = replacement.scalar
        if scalar.start < position:
            raise EditError("two edits meet in one scalar")
        if scalar.tag is not None and scalar.tag != "tag:yaml.org,2002:str":
            raise EditError(f"the value carries the tag {scalar.tag}")
        pieces.append(text[position : scalar.start] + _lead(text, scalar))
        pieces.append(_rewritten(text[scalar.start : scalar.end], scalar, replacement.value))
        position = scalar.end
    pieces.append(text[position:])
    edited = "".join(pieces)
    verify(view(text), view(edited), {one.scalar.event: one.value for one in ordered})
    return edited


def _rewritten(raw: str, scalar: Scalar, value: str) -> str:
    """The scalar's text with its new value; text around what differs stays as it was written."""
    if scalar.style == "|":
        return _literal_rewritten(raw, scalar.value, value)
    if scalar.style in ("'", '"') and "\n" not in raw:
        return _quoted_rewritten(raw, scalar, value)
    if scalar.style == "" and raw and raw == scalar.value and _stays_plain(raw, value):
        return value
    return written(value, scalar.style)


def _stays_plain(old: str, new: str) -> bool:
    """Whether the new text is as plain as the old: only harmless characters came in, behind its first one."""
    head, tail = _in_common(old, new)
    middle = new[head : len(new) - tail]
    return head > 0 and _HARMLESS.fullmatch(middle) is not None and new[-1] != ":" and reads_as_string(new)


def _in_common(old: str, new: str) -> tuple[int, int]:
    """How many characters two texts share at the beginning, and behind these at the end."""
    shortest = min(len(old), len(new))
    head = next((n for n in range(shortest) if old[n] != new[n]), shortest)
    tail = next((n for n in range(shortest - head) if old[-1 - n] != new[-1 - n]), shortest - head)
    return head, tail


def _literal_rewritten(raw: str, old: str, new: str) -> str:
    """A literal block holds its text line by line: those that differ are replaced behind their indent."""
    header, *lines = raw.splitlines(keepends=True)
    before, after = old.split("\n"), new.split("\n")
    if len(before) != len(after) or len(lines) < len([line for line in before if line]):
        raise EditError("the value stands in a literal block scalar")
    for number, (was, becomes) in enumerate(zip(before, after, strict=True)):
        if was != becomes:
            body = lines[number].rstrip("\r\n")
            indent, present = body[: len(body) - len(was)], body[len(body) - len(was) :]
            head, tail = _in_common(was, becomes)
            # Outside of what differs the text may hold template actions, which `was` has masked.
            if indent.strip(" ") or present[head : len(was) - tail] != was[head : len(was) - tail]:
                raise EditError("the value stands in a literal block scalar")
            middle = becomes[head : len(becomes) - tail]
            line = indent + present[:head] + middle + present[len(was) - tail :]
            lines[number] = line + lines[number][len(body) :]
    return header + "".join(lines)


def _quoted_rewritten(raw: str, scalar: Scalar, value: str) -> str:
    """A quoted scalar with escapes of its own: only what lies between the differences is new."""
    offsets = _escape_offsets(raw, scalar.style)
    old = scalar.value
    if len(offsets) != len(old) + 1:
        raise EditError("the value is quoted in a way that cannot be mapped")
    head, tail = _in_common(old, value)
    middle = value[head : len(value) - tail]
    if not middle.isprintable():
        raise EditError("the new value holds a character that cannot be printed")
    middle = _quoted(middle, scalar.style)[1:-1]
    return raw[: offsets[head]] + middle + raw[offsets[len(old) - tail] :]


_ESCAPED = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)|.", re.DOTALL)


def _escape_offsets(raw: str, style: str) -> list[int]:
    """Where each character of the value begins in the quoted text, and where the last one ends."""
    pattern = _ESCAPED if style == '"' else _DOUBLED
    return [match.start() for match in pattern.finditer(raw, 1, len(raw) - 1)] + [len(raw) - 1]


_DOUBLED = re.compile(r"''|.", re.DOTALL)


def _lead(text: str, scalar: Scalar) -> str:
    """A space where an absent value gets its first text right behind the colon or dash."""
    empty = scalar.start == scalar.end
    return " " if empty and scalar.start and text[scalar.start - 1] not in " \t\n" else ""


def verify(before: str, after: str, wanted: dict[int, str]) -> None:
    """Compare two texts event by event. ``wanted`` maps event numbers to their new values.

    Raises EditError unless every other event is the same and each wanted scalar holds
    its value and is a string to every reader.
    """
    try:
        old_events: abc.Iterator[Any] = yaml.parse(before, Loader=yaml.CSafeLoader)
        new_events: abc.Iterator[Any] = yaml.parse(after, Loader=yaml.CSafeLoader)
        for number, (old, new) in enumerate(zip(old_events, new_events, strict=True)):
            if number in wanted:
                _verify_wanted(new, wanted[number])
            elif _content(old) != _content(new):
                raise EditError(f"line {old.start_mark.line + 1} would change as well")
    except yaml.YAMLError:
        raise EditError("the edited text would not be YAML any more") from None
    except ValueError:
        raise EditError("the edited text would have another structure") from None


def contents(text: str) -> list[tuple[object, ...]]:
    """What each event of a text says, its place left out. Raises yaml.YAMLError."""
    return [_content(event) for event in yaml.parse(text, Loader=yaml.CSafeLoader)]


def _content(event: Any) -> tuple[object, ...]:  # noqa: ANN401 - as above
    return (
        type(event),
        getattr(event, "anchor", None),
        getattr(event, "tag", None),
        getattr(event, "value", None),
        getattr(event, "style", None),
        getattr(event, "implicit", None),
        getattr(event, "flow_style", None),
    )


def _verify_wanted(event: Any, value: str) -> None:  # noqa: ANN401 - as above
    if not isinstance(event, yaml.ScalarEvent) or event.value != value:
        raise EditError("the new value does not read back as it was written")
    if not event.style and event.tag is None and not reads_as_string(value):
        raise EditError("the new value would not be read as a string")
