"""Errors of the JSON Schema engine → places and messages, one for each mistake, in kubeconform's words.

A message never quotes a value: it may be a secret.
"""

from __future__ import annotations

import json
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from promoter.validate.values import Steps

# jsonschema_rs's ValidationError; what its ``kind`` has besides ``name`` depends on the keyword.
_Error = Any

MOST = 100
_MOST_NAMES = 12
_LONGEST_NAME = 80


class Mistake(NamedTuple):
    """One thing that is wrong: the steps from the document's root, the keyword, and a message."""

    steps: Steps
    keyword: str
    message: str


def mistakes(errors: Iterable[_Error], schema: Any) -> list[Mistake]:  # noqa: ANN401 - JSON
    """The mistakes behind errors, each once, in the order of the engine; of very many the first."""
    found = (mistake for error in errors for mistake in _mistakes(error, schema))
    return list(dict.fromkeys(islice(found, MOST)))


def _mistakes(error: _Error, schema: Any) -> Iterator[Mistake]:  # noqa: ANN401 - as above
    keyword: str = error.kind.name
    steps = tuple(error.instance_path)
    if keyword in ("additionalProperties", "unevaluatedProperties"):
        known = _known_properties(error, schema)
        for name in error.kind.unexpected:
            hint = _did_you_mean(name, known)
            shown = repr(name[:_LONGEST_NAME])
            yield Mistake((*steps, name), keyword, f"additional properties {shown} not allowed{hint}")
    elif keyword in ("oneOf", "anyOf"):
        yield from _collapsed(error, steps, schema)
    else:
        yield Mistake(steps, keyword, _message(error, keyword))


def _message(error: _Error, keyword: str) -> str:  # noqa: C901 - a table of keywords, one line each
    kind, got = error.kind, error.instance
    match keyword:
        case "required":
            return f"missing property {kind.property!r}"
        case "type":
            return _wrong_type(got, _types(error))
        case "enum":
            return f"value must be one of {_names(kind.options)}"
        case "const":
            return f"value must be {_written(kind.expected_value)}"
        case "pattern":
            return f"does not match pattern {kind.pattern!r}"
        case "format":
            return f"is not valid {kind.format}"
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return f"{keyword}: got {got}, want {kind.limit}"
        case "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties":
            return f"{keyword}: got {len(got)}, want {kind.limit}"
        case "multipleOf":
            return f"multipleOf: got {got}, want {kind.multiple_of}"
        case "falseSchema" if error.schema_path[-1:] == ["additionalProperties"]:
            return "additional properties not allowed"
        case "uniqueItems":
            return "items must be unique"
        case "propertyNames":
            return f"a key is not allowed: {_message(kind.error, kind.error.kind.name)}"
        case _:
            return f"{keyword!r} failed"


def type_name(value: object) -> str:
    """The JSON type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _types(error: _Error) -> list[str]:
    return list(error.kind.types)


def _wrong_type(got: object, types: Iterable[str]) -> str:
    wanted = sorted(set(types))  # that null would do, too, helps nobody
    return f"got {type_name(got)}, want {' or '.join([one for one in wanted if one != 'null'] or wanted)}"


def _names(options: Sequence[object]) -> str:
    shown = ", ".join(_written(one) for one in options[:_MOST_NAMES])
    return f"{shown}, …" if len(options) > _MOST_NAMES else shown


def _written(value: object) -> str:
    return repr(value) if isinstance(value, str) else json.dumps(value)


def _collapsed(error: _Error, steps: Steps, schema: Any) -> Iterator[Mistake]:  # noqa: ANN401 - as above
    """A choice that failed, as the one mistake that it most likely is."""
    keyword: str = error.kind.name
    branches: list[list[_Error]] = [list(branch) for branch in error.kind.context]
    if any(not branch for branch in branches):
        yield Mistake(steps, keyword, "more than one of the alternatives fits")
        return
    wrong_type = [_mistyped(branch, steps) for branch in branches]
    if all(wrong_type):
        types = [name for names in wrong_type if names for name in names]
        yield Mistake(steps, "type", _wrong_type(error.instance, types))
        return
    left = [branch for branch, names in zip(branches, wrong_type, strict=True) if not names]
    if len(left) == 1:
        yield from mistakes(left[0], schema)
        return
    said = dict.fromkeys(mistake.message for branch in left for mistake in mistakes(branch, schema))
    yield Mistake(steps, keyword, f"none of the alternatives fits: {'; or '.join(list(said)[:3])}")


def _mistyped(branch: Sequence[_Error], steps: Steps) -> list[str] | None:
    """The types that a branch wants where it fails for the type of the whole value alone."""
    first = next(
        (one for one in branch if one.kind.name == "type" and tuple(one.instance_path) == steps), None
    )
    return _types(first) if first is not None else None


def _known_properties(error: _Error, schema: Any) -> list[str]:  # noqa: ANN401 - as above
    node = schema
    for step in error.schema_path[:-1]:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):  # it stands in another file
            return []
    properties = node.get("properties") if isinstance(node, dict) else None
    return list(properties) if isinstance(properties, dict) else []


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    if len(name) > _LONGEST_NAME:
        return ""
    close = get_close_matches(name, known, n=1, cutoff=0.75)
    return f"; did you mean {close[0]!r}?" if close else ""
