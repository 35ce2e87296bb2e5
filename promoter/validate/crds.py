"""CustomResourceDefinitions → JSON Schemas that are as strict as the API server, for us and for kubeconform.

What the keywords mean: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
(structural schemas, pruning, defaulting, nullable, int-or-string, embedded resources).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from promoter.errors import UsageError
from promoter.validate.documents import read_file
from promoter.validate.kubernetes import DIALECT, schema_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from promoter.validate.documents import Document
    from promoter.validate.model import SourceFile

# Names become paths.
_GROUP = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\Z")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*\Z")
_VERSION = re.compile(r"v[0-9][a-z0-9]*\Z")

# Keywords that say the same in a JSON Schema; they may stand beside a type, and in value validations.
_SAME = (
    "enum",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "required",
    "type",
    "uniqueItems",
)
_CHOICES = ("allOf", "anyOf", "oneOf")
_TEXTS = {"type": ["object", "null"], "additionalProperties": {"type": ["string", "null"]}}
_METADATA = {
    "type": "object",
    "properties": {
        "name": {"type": ["string", "null"]},
        "namespace": {"type": ["string", "null"]},
        "labels": _TEXTS,
        "annotations": _TEXTS,
    },
}


@dataclass(frozen=True)
class ImportedSchema:
    """A custom resource's schema: its kind as ``group/version/Kind``, its path below the folder, its text."""

    kind: str
    path: str
    text: str


def import_crds(files: Sequence[SourceFile]) -> list[ImportedSchema]:
    """The schemas of all versions of all CustomResourceDefinitions in some files; other documents are left.

    Raises:
        UsageError: a file cannot be read, a definition is not one, or there is none at all.
    """
    found = [schema for file in files for schema in _in_file(file)]
    if not found:
        raise UsageError(
            "there is no CustomResourceDefinition in what was given",
            next_step="give the files that hold them, or: helm template CHART --include-crds | "
            "promoter schema import-crds -",
        )
    return list({schema.path: schema for schema in found}.values())


def _in_file(file: SourceFile) -> Iterator[ImportedSchema]:
    read = read_file(file)
    if read.unread == "a template":
        raise UsageError(
            "this is a Helm template",
            file=file.path,
            next_step="render it first: helm template CHART --include-crds | promoter schema import-crds -",
        )
    for finding in read.findings:
        if finding.severity == "error":
            raise UsageError(finding.message, file=file.path, line=finding.line, next_step="correct the file")
    for document in read.documents:
        if document.kind == "CustomResourceDefinition":
            try:
                yield from _schemas(document)
            except _NotACrdError as error:
                line = read.line(document.number, document.steps)
                name = document.name or "the CustomResourceDefinition"
                raise UsageError(
                    f"{name}: {error}", file=file.path, line=line, next_step="correct the definition"
                ) from None


class _NotACrdError(Exception):
    pass


def _schemas(document: Document) -> Iterator[ImportedSchema]:
    spec = _mapping(document.value, "spec")
    group = _name(spec, "group", _GROUP)
    kind = _name(_mapping(spec, "names"), "kind", _KIND)
    shared = _validation(spec.get("validation"))
    # v1 always prunes; v1beta1 does where it says so.
    prunes = (
        document.api_version != "apiextensions.k8s.io/v1beta1" or spec.get("preserveUnknownFields") is False
    )
    versions = spec.get("versions") or [{"name": spec.get("version")}]
    if not isinstance(versions, list):
        raise _NotACrdError("spec.versions is no list")
    for version in versions:
        if not isinstance(version, dict):
            raise _NotACrdError("spec.versions holds something else than mappings")
        name = _name(version, "name", _VERSION)
        schema = _validation(version.get("schema"))
        own = schema if schema is not None else shared if shared is not None else {}
        yield _imported(group, name, kind, _root(own, f"{group}/{name}", kind, prunes=prunes))


def _mapping(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise _NotACrdError(f"it has no {key}")
    return value


def _name(parent: dict[str, Any], key: str, form: re.Pattern[str]) -> str:
    value = parent.get(key)
    if not isinstance(value, str) or not form.match(value):
        raise _NotACrdError(f"its {key} is missing or has a form that Kubernetes does not take")
    return value


def _validation(value: object) -> dict[str, Any] | None:
    schema = value.get("openAPIV3Schema") if isinstance(value, dict) else None
    return schema if isinstance(schema, dict) else None


def _imported(group: str, version: str, kind: str, schema: dict[str, Any]) -> ImportedSchema:
    name = f"{group}/{version}/{kind}"
    return ImportedSchema(name, schema_path(name), json.dumps(schema, indent=1) + "\n")


def _root(crd: dict[str, Any], api_version: str, kind: str, *, prunes: bool) -> dict[str, Any]:
    """The schema of a whole object."""
    schema = _converted({**crd, "type": "object"}, prunes=prunes)
    schema["properties"] = {
        **schema.get("properties", {}),
        "apiVersion": {"enum": [api_version]},
        "kind": {"enum": [kind]},
        "metadata": _METADATA,
    }
    schema["required"] = sorted({*schema.get("required", []), "apiVersion", "kind"})
    return {"$schema": DIALECT, **schema}


def _converted(crd: dict[str, Any], *, prunes: bool) -> dict[str, Any]:
    """One node of a structural schema, and all below it. It is pruned unless it says otherwise."""
    schema = _constraints(crd)
    if crd.get("x-kubernetes-int-or-string") is True or crd.get("format") == "int-or-string":
        schema["type"] = ["integer", "string"]
        if schema.get("anyOf") in _INT_OR_STRING:  # the same once more
            del schema["anyOf"]
    properties = crd.get("properties")
    if isinstance(properties, dict):
        nodes = {name: one for name, one in properties.items() if isinstance(one, dict)}
        # What has a default is never missing: defaults come before validation.
        required = [name for name in schema.pop("required", []) if "default" not in nodes.get(name, {})]
        schema |= {"required": required} if required else {}
        schema["properties"] = {
            name: _value(one, prunes=prunes, null=name not in required) for name, one in nodes.items()
        }
    if isinstance(crd.get("items"), dict):
        schema["items"] = _value(crd["items"], prunes=prunes, null=False)
    others = crd.get("additionalProperties")
    if isinstance(others, dict):
        schema["additionalProperties"] = _value(others, prunes=prunes, null=True)
    elif others is False or (others is None and prunes and _is_pruned(crd)):
        schema |= {"properties": schema.get("properties", {}), "additionalProperties": False}
    return _with_embedded(schema) if crd.get("x-kubernetes-embedded-resource") is True else schema


_INT_OR_STRING = (
    [{"type": "integer"}, {"type": "string"}],
    [{"type": "string"}, {"type": "integer"}],
)


def _is_pruned(crd: dict[str, Any]) -> bool:
    """Whether fields of this very object that are not listed are dropped."""
    is_object = crd.get("type") == "object" or "properties" in crd
    return is_object and crd.get("x-kubernetes-preserve-unknown-fields") is not True


def _value(crd: dict[str, Any], *, prunes: bool, null: bool) -> dict[str, Any]:
    """A node below another one. ``null``: a null here is dropped before validation, so it may stand there."""
    schema = _converted(crd, prunes=prunes)
    if not null and crd.get("nullable") is not True:
        return schema
    if any(key in schema for key in (*_CHOICES, "not")):
        return {"anyOf": [{"type": "null"}, schema]}
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = [*types, "null"]
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    return schema


def _constraints(crd: dict[str, Any]) -> dict[str, Any]:
    """What a node demands of its own value, choices between demands included."""
    schema: dict[str, Any] = {key: crd[key] for key in _SAME if key in crd}
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if (
            crd.get(exclusive) is True and limit in schema
        ):  # as in OpenAPI 3.0; JSON Schema has a number there
            schema[exclusive] = schema.pop(limit)
    for key in _CHOICES:
        if isinstance(crd.get(key), list):
            schema[key] = [_demand(one) for one in crd[key] if isinstance(one, dict)]
    if isinstance(crd.get("not"), dict):
        schema["not"] = _demand(crd["not"])
    return schema


def _demand(node: dict[str, Any]) -> dict[str, Any]:
    """A node inside of a choice: it lists no fields, so that none is unknown to it."""
    schema = _constraints(node)
    if isinstance(node.get("properties"), dict):
        nodes = node["properties"].items()
        schema["properties"] = {name: _demand(one) for name, one in nodes if isinstance(one, dict)}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            schema[key] = _demand(node[key])
    return schema


def _with_embedded(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object that is a whole Kubernetes object itself."""
    text = {"type": "string"}
    properties = {**schema.get("properties", {}), "apiVersion": text, "kind": text, "metadata": _METADATA}
    required = sorted({*schema.get("required", []), "apiVersion", "kind"})
    return {**schema, "properties": properties, "required": required}
