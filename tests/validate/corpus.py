"""Manifests for the agreement with kubeconform: valid ones, and each of them spoiled in the ways people do.

Nothing here is random: the same files each time, by name.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from promoter.validate import kubernetes

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "1.33"
DATA = Path(__file__).parent / "agreement"
# Generated for each kind that people write; what they hold is written by clients alone.
NOT_WRITTEN = (
    "DeleteOptions",
    "Status",
    "WatchEvent",
    "Review",
    "Scale",
    "APIGroup",
    "APIVersions",
    "Eviction",
)


def corpus() -> dict[str, str]:
    """All files: name → text."""
    files = dict(_written())
    for name, text in list(files.items()):
        if name.startswith("seed-"):
            for what, spoiled in _spoiled(yaml.safe_load(text)):
                files[f"{name.removesuffix('.yaml')}--{what}.yaml"] = yaml.safe_dump(spoiled, sort_keys=False)
    for kind in _kinds():
        manifest = _filled(kind)
        name = "kind-" + kind.lower().replace("/", "-")
        files[f"{name}.json"] = json.dumps(manifest)
        for what, spoiled in _spoiled_by_schema(kind, manifest):
            files[f"{name}--{what}.json"] = json.dumps(spoiled)
    return files


def _written() -> Iterator[tuple[str, str]]:
    for file in sorted(DATA.glob("*.yaml")):
        for number, text in enumerate(file.read_text(encoding="utf-8").split("\n#### ")):
            title, _, body = text.removeprefix("#### ").partition("\n")
            assert title, (file, number)
            yield f"{file.stem}-{title.strip().replace(' ', '-')}.yaml", _unescaped(body)


def _unescaped(body: str) -> str:
    """Characters that an editor would change stand by their names: ⟦tab⟧."""
    for name, character in {"tab": "\t", "cr": "\r", "bom": "\ufeff", "bell": "\a", "nothing": ""}.items():
        body = body.replace(f"⟦{name}⟧", character)
    return body


# --- spoiling what is written -----------------------------------------------------------------------


def _spoiled(manifest: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Mistakes at places that every manifest has, and one at each of some places of its own."""
    yield "unknown-root", {**manifest, "sepc": {}}
    yield "api-version-unknown", {**manifest, "apiVersion": "acme.example/v1"}
    yield "api-version-wrong", {**manifest, "apiVersion": f"{manifest['apiVersion']}beta9"}
    yield "kind-lower", {**manifest, "kind": manifest["kind"].lower()}
    yield "metadata-text", {**manifest, "metadata": "api"}
    yield "metadata-null", {**manifest, "metadata": None}
    yield "label-number", _with(manifest, ("metadata", "labels"), {"a": 1})
    yield "label-null", _with(manifest, ("metadata", "labels"), {"a": None})
    yield "name-number", _with(manifest, ("metadata", "name"), 1)
    yield "metadata-unknown", _with(manifest, ("metadata", "nmae"), "x")
    places = [place for place in _places(manifest) if place[0] not in ("apiVersion", "kind", "metadata")]
    for number, place in enumerate(places):
        path = "-".join(map(str, place))
        value = _at(manifest, place)
        match number % 4:
            case 0:
                yield f"type-{path}", _with(manifest, place, [value] if not isinstance(value, list) else "x")
            case 1:
                yield f"null-{path}", _with(manifest, place, None)
            case 2:
                yield f"without-{path}", _with(manifest, place, _ABSENT)
            case 3:
                yield f"number-{path}", _with(manifest, place, 1.5)
        if isinstance(value, dict):
            yield f"unknown-{path}", _with(manifest, (*place, "unknwon"), "x")


_ABSENT = object()


def _places(value: Any, steps: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for step, child in children:
        yield (*steps, step)
        yield from _places(child, (*steps, step))


def _at(value: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        value = value[step]
    return value


def _with(manifest: Any, steps: tuple[str | int, ...], value: Any) -> Any:
    spoiled = copy.deepcopy(manifest)
    parent = _at(spoiled, steps[:-1])
    if value is _ABSENT:
        del parent[steps[-1]]
    else:
        parent[steps[-1]] = value
    return spoiled


# --- manifests made from schemas -----------------------------------------------------------------------


def _kinds() -> list[str]:
    kinds = kubernetes.load(VERSION).kinds
    return sorted(kind for kind in kinds if not kind.endswith(("List", *NOT_WRITTEN)))


def _filled(kind: str) -> dict[str, Any]:
    schema = kubernetes.load(VERSION).schema(kind)
    assert schema is not None
    manifest: dict[str, Any] = _example(schema, schema["$defs"], 0)
    version, _, name = kind.rpartition("/")
    return {**manifest, "apiVersion": version, "kind": name}


def _example(schema: dict[str, Any], definitions: dict[str, Any], depth: int) -> Any:
    """A value that follows a schema, with all its fields down to some depth, then with those it must have."""
    if "$ref" in schema:
        return _example(definitions[schema["$ref"].rpartition("/")[2]], definitions, depth)
    if "enum" in schema:
        return schema["enum"][0]
    if "oneOf" in schema:
        return _example(schema["oneOf"][0], definitions, depth)
    types = schema.get("type", "string")
    match types if isinstance(types, str) else types[depth % (len(types) - 1)]:
        case "object":
            fields = schema.get("properties", {})
            wanted = fields if depth < 4 else schema.get("required", ())
            made = {
                name: _example(fields[name], definitions, depth + 1) for name in wanted if name != "status"
            }
            others = schema.get("additionalProperties")
            return made | ({"key": _example(others, definitions, depth + 1)} if others and depth < 6 else {})
        case "array":
            return [_example(schema["items"], definitions, depth + 1)]
        case "integer":
            return 1
        case "number":
            return 0.5
        case "boolean":
            return True
        case _:
            return "text"


def _spoiled_by_schema(kind: str, manifest: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """One mistake deep in the manifest, another one for each kind in turn."""
    places = [place for place in _places(manifest) if place[0] not in ("apiVersion", "kind")]
    if not places:
        return
    for turn in range(3):
        number = (len(kind) * 7 + turn * 13) % len(places)
        place = places[number]
        value = _at(manifest, place)
        wrong: Any = {"a": []} if not isinstance(value, dict) else 1
        yield f"type-{turn}", _with(manifest, place, wrong)
        yield f"null-{turn}", _with(manifest, place, None)
        yield f"without-{turn}", _with(manifest, place, _ABSENT)
