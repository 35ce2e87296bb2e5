"""A new entry in ``images`` of a kustomization, put in as text: no other byte changes.

It takes the indentation, line ends and flow or block style of what stands there. An entry is
``name`` with ``newTag`` and ``digest`` (kustomize's ``images`` field reference).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from promoter import yamltext
from promoter.yamltext import EditError, Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPENING = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSING = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


@dataclass(frozen=True, slots=True)
class _Value:
    """The events of one node: a value of the root, or an item of a list."""

    events: tuple[Any, ...]

    @property
    def first(self) -> Any:  # noqa: ANN401 - PyYAML's events have no common type
        """The event that begins it."""
        return self.events[0]

    @property
    def is_flow(self) -> bool:
        """Whether it is a collection in brackets."""
        return bool(getattr(self.first, "flow_style", False))

    @property
    def column(self) -> int:
        """Where its text begins in its line."""
        column: int = self.first.start_mark.column
        return column

    @property
    def end(self) -> int:
        """Where its text ends; a block collection ends with what it holds last."""
        return max(
            _end(event)
            for event in self.events
            if isinstance(event, yaml.ScalarEvent | yaml.AliasEvent)
            or (isinstance(event, _CLOSING) and _end(event) > _start(event))
            or event is self.first
        )

    def children(self) -> Iterator[_Value]:
        """The nodes right inside a collection: items, or keys and values by turns."""
        depth, begun = 0, 1
        for index, event in enumerate(self.events[1:-1], start=1):
            depth += isinstance(event, _OPENING) - isinstance(event, _CLOSING)
            if depth == 0:
                yield _Value(self.events[begun : index + 1])
                begun = index + 1


def add_image(text: str, name: str, tag: str | None, digest: str | None) -> str:
    """The text of a kustomization with one more entry. Raises EditError where there is no place for it."""
    fields = {"name": name} | ({"newTag": tag} if tag else {}) | ({"digest": digest} if digest else {})
    root, end = _root(text)
    children = list(root.children())
    keys, values = children[::2], children[1::2]
    images = [value for key, value in zip(keys, values, strict=True) if _text(key) == "images"]
    if len(images) > 1:
        raise EditError("the key images stands twice")
    is_json = bool(keys) and keys[0].first.style == '"'
    if root.is_flow and not images:
        head = '"images"' if is_json else "images"
        added = f"{', ' if keys else ''}{head}: [{_flow(fields, is_json)}]"
        edited = _put(text, values[-1].end if keys else _end(root.first), added)
    elif not images:
        dash = next((one.column for one in values if _is_block_list(one)), root.column)
        block = " " * root.column + "images:\n" + _block(fields, dash, 2)
        edited = _put_lines(text, len(text[:end].rstrip()), block)
    else:
        edited = _into_list(text, images[0], fields, root.column, is_json)
    _verify(text, edited, fields)
    return edited


def _into_list(text: str, images: _Value, fields: dict[str, str], column: int, is_json: bool) -> str:
    if isinstance(images.first, yaml.ScalarEvent) and images.first.value == "":
        return _put_lines(text, images.end, _block(fields, column, 2))
    if not isinstance(images.first, yaml.SequenceStartEvent):
        raise EditError("images holds no list")
    items = list(images.children())
    if not items:
        return _put(text, _start(images.first) + 1, _flow(fields, is_json))
    last = items[-1]
    if not images.is_flow:
        if last.is_flow:
            return _put_lines(text, last.end, f"{' ' * images.column}- {_flow(fields, is_json)}\n")
        offset = last.column - images.column if isinstance(last.first, yaml.MappingStartEvent) else 2
        return _put_lines(text, last.end, _block(fields, images.column, offset))
    start = text.rfind("\n", 0, _start(last.first)) + 1
    indent = text[start : _start(last.first)]
    on_its_own_line = start > _start(images.first) and not indent.strip()
    between = f",{_line_end(text)}{indent}" if on_its_own_line else ", "
    return _put(text, last.end, between + _flow(fields, is_json))


def _root(text: str) -> tuple[_Value, int]:
    """The mapping that the first document is, and where that document ends."""
    try:
        events: list[Any] = list(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError:
        raise EditError("the kustomization cannot be read") from None
    ends = [number for number, event in enumerate(events) if isinstance(event, yaml.DocumentEndEvent)]
    if not ends or not isinstance(events[2], yaml.MappingStartEvent):
        raise EditError("the kustomization holds no mapping")
    return _Value(tuple(events[2 : ends[0]])), _start(events[ends[0]])


def _start(event: Any) -> int:  # noqa: ANN401 - as above
    index: int = event.start_mark.index
    return index


def _end(event: Any) -> int:  # noqa: ANN401 - as above
    index: int = event.end_mark.index
    return index


def _text(key: _Value) -> str | None:
    return key.first.value if isinstance(key.first, yaml.ScalarEvent) else None


def _is_block_list(value: _Value) -> bool:
    return isinstance(value.first, yaml.SequenceStartEvent) and not value.is_flow


# --- Text -------------------------------------------------------------------------------


def _block(fields: dict[str, str], column: int, offset: int) -> str:
    lines = [f"{key}: {yamltext.written(value, '')}\n" for key, value in fields.items()]
    lead = " " * column + "-" + " " * (offset - 1)
    return lead + (" " * (column + offset)).join(lines)


def _flow(fields: dict[str, str], is_json: bool) -> str:
    if is_json:
        return json.dumps(fields)
    return "{" + ", ".join(f"{key}: {yamltext.written(value, '')}" for key, value in fields.items()) + "}"


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _put(text: str, place: int, added: str) -> str:
    return text[:place] + added + text[place:]


def _put_lines(text: str, place: int, lines: str) -> str:
    """Whole lines behind the line that a place stands in; a missing line end at the end stays missing."""
    lines = lines.replace("\n", _line_end(text))
    if place and text[place - 1] == "\n":
        return _put(text, place, lines)  # a block scalar ends behind its line
    end = text.find("\n", place)
    if end < 0:
        return text + _line_end(text) + lines.removesuffix(_line_end(text))
    return _put(text, end + 1, lines)


def _verify(before: str, after: str, fields: dict[str, str]) -> None:
    """Raise EditError unless one entry came in, last in its list, and every other event is the same."""
    try:
        old, new = yamltext.contents(before), yamltext.contents(after)
        root = yamltext.parse(after)[0]
    except (yaml.YAMLError, yamltext.YamlTextError):
        raise EditError("the edited text would not be YAML any more") from None
    head = next((n for n, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), len(old))
    rest = min(len(old), len(new)) - head
    pairs = zip(reversed(old), reversed(new), strict=False)
    tail = next((n for n, (one, other) in enumerate(pairs) if n == rest or one != other), rest)
    replaced = old[head : len(old) - tail]  # nothing, or the nothing that `images:` held
    images = yamltext.get(root, "images") if isinstance(root, Mapping) else None
    last = images.items[-1] if isinstance(images, Sequence) and images.items else None
    entry = dict(yamltext.entries(last)) if isinstance(last, Mapping) else {}
    values = {key: yamltext.scalar_value(value) for key, value in entry.items()}
    if values != fields or len(replaced) > 1 or any(one[3] != "" for one in replaced):
        raise EditError("a new entry would change more than that")
