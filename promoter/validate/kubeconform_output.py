"""What ``kubeconform -output json`` prints → places and messages. Pure.

Its ``validationErrors`` hold the outermost errors alone, which for a schema that refers to another
one is "validation failed"; its ``msg`` has the whole tree on one line: ``- at '/spec': …``, each
level indented by two spaces more (v0.8.0, pkg/validator and pkg/output).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promoter.validate.values import Steps

# Whatever it quotes stands in single quotes, with those inside escaped (santhosh-tekuri/jsonschema v6, kind).
_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|[^']+|'", re.DOTALL)
_AT = re.compile(r" ( *)- at \Z")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_GROUPS = ("'anyOf' failed", "'oneOf' failed", "'allOf' failed", "'not' failed")
_UNKNOWN = re.compile(r"additional properties (.+) not allowed\Z", re.DOTALL)
_ABOUT_A_VALUE = (" does not match pattern ", " is not valid ")
_YAML_LINE = re.compile(r"(?:yaml: )?line (\d+): (.+)")
_GO_FIELD = re.compile(
    r"cannot unmarshal (\w+) into Go struct field \.(\w+(?:\.\w+)*) of type (struct|string)"
)
_NO_SCHEMA = "could not find schema for "


class Said(NamedTuple):
    """One complaint: a JSON pointer, keys below it that are meant, a message; or a line of the document."""

    pointer: str
    message: str
    below: Steps = ()
    line: int | None = None


@dataclass(frozen=True)
class Answer:
    """What it says of one object in file ``number``."""

    number: int
    version: str
    kind: str
    name: str
    said: tuple[Said, ...] = ()
    has_no_schema: bool = False


def answers_in(output: bytes) -> list[Answer] | None:
    """The answers that complain, by file; None where this is not its output."""
    try:
        resources = json.loads(output)["resources"]
        answers = [_answer(one) for one in resources]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return sorted(answers, key=lambda answer: answer.number)


def _answer(one: dict[str, str]) -> Answer:
    number = int(one["filename"].rpartition("/")[2].partition(".")[0])
    about = (number, one["version"], one["kind"], one["name"])
    message = one["msg"]
    if one["status"] != "statusInvalid":
        if message.startswith(_NO_SCHEMA):
            return Answer(*about, has_no_schema=True)
        return Answer(*about, said=tuple(_of_yaml(message)))
    said = tuple(dict.fromkeys(_complaints(message)))
    return Answer(*about, said=said or (Said("", message.partition(": ")[0]),))


def _of_yaml(message: str) -> Iterator[Said]:
    """What its YAML reader says, line by line."""
    found = [match for line in message.splitlines() if (match := _YAML_LINE.search(line))]
    for match in found:
        yield Said("", match[2], line=int(match[1]))
    field = _GO_FIELD.search(message)
    if field:  # its look at the name, before anything else
        names = field[2].replace("APIVersion", "apiVersion").split(".")
        pointer = "".join(f"/{name[0].lower()}{name[1:]}" for name in names)
        yield Said(pointer, f"got {field[1]}, want {'object' if field[3] == 'struct' else field[3]}")
    elif not found:
        yield Said("", message)


class _Entry(NamedTuple):
    """One line of the tree."""

    depth: int
    pointer: str
    text: str


def _entries(message: str) -> list[_Entry]:
    """The lines of the tree. A value that one quotes is left out: it may be a secret."""
    tokens: list[str] = _TOKEN.findall(message)
    entries: list[_Entry] = []
    depth, pointer, text = -1, "", ""
    position = 0
    while position < len(tokens):
        token, following = tokens[position], tokens[position + 1 : position + 3]
        begins = _AT.search(token) if len(following) == 2 and following[1].startswith(": ") else None
        if begins:
            entries.append(_Entry(depth, pointer, text + token[: begins.start()]))
            depth, pointer, text = len(begins[1]) // 2, _unquoted(following[0]), ""
            tokens[position + 2] = tokens[position + 2][2:]
            position += 2
            continue
        if not (token[:1] == "'" and following and following[0].startswith(_ABOUT_A_VALUE)):
            text += token
        position += 1
    entries.append(_Entry(depth, pointer, text))
    return [entry._replace(text=entry.text.strip()) for entry in entries if entry.depth >= 0]


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)


def _complaints(message: str) -> Iterator[Said]:
    """The leaves of the tree; a choice that failed is one, with what is below it as its reason."""
    entries = _entries(message)
    position = 0
    while position < len(entries):
        depth, pointer, text = entries[position]
        position += 1
        if text.startswith(_GROUPS):
            reasons: dict[str, None] = {}
            while position < len(entries) and entries[position].depth > depth:
                if not entries[position].text.startswith(_GROUPS):
                    reasons[entries[position].text] = None
                position += 1
            yield Said(pointer, "; ".join([text, *list(reasons)[:3]]))
        elif text != "validation failed":
            yield from _complaint(pointer, text)


def _complaint(pointer: str, text: str) -> Iterator[Said]:
    unknown = _UNKNOWN.match(text)
    if unknown:
        for name in map(_unquoted, (match[0] for match in _QUOTED.finditer(unknown[1]))):
            yield Said(pointer, f"additional properties {name!r} not allowed", (name,))
        return
    # In the embedded validator's words, so that one mistake is not told twice.
    yield Said(pointer, text.replace("<nil>", "null").replace(", want null or ", ", want "))


def steps_in(value: object, pointer: str) -> Steps:
    """A JSON pointer as steps in a value, as far as it leads there."""
    steps: list[str | int] = []
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and name.isdigit() and int(name) < len(value):
            steps.append(int(name))
            value = value[int(name)]
        elif isinstance(value, dict) and name in value:
            steps.append(name)
            value = value[name]
        else:
            break
    return tuple(steps)
