"""GitHub's published API descriptions, against which the double checks every request and answer.

REST: npm's @octokit/openapi (OpenAPI 3.0, api.github.com); GraphQL: npm's @octokit/graphql-schema. Both are
read once a process (three seconds), on first use.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from graphql import GraphQLSchema, build_ast_schema, parse
from jsonschema import Draft4Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.support.programs import npm_package

ROOT = "urn:api.github.com"
ANYWHERE = {400, 401, 403, 404, 429}  # answered everywhere, described in a few places only


@cache
def schema() -> GraphQLSchema:
    path = npm_package("@octokit/graphql-schema") / "schema.graphql"
    return build_ast_schema(parse(path.read_text(encoding="utf-8"), no_location=True), assume_valid=True)


@cache
def document() -> dict[str, Any]:
    path = npm_package("@octokit/openapi") / "generated" / "api.github.com.json"
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


@cache
def registry() -> Registry[Any]:
    empty: Registry[Any] = Registry()
    found: Registry[Any] = empty.with_resource(ROOT, DRAFT4.create_resource(document()))
    return found


def _nullable(check: Any) -> Any:
    """OpenAPI 3.0's `nullable` beside a keyword lets null pass it."""

    def keyword(validator: Any, value: Any, instance: Any, where: Mapping[str, Any]) -> Any:
        if instance is None and where.get("nullable"):
            return ()
        return check(validator, value, instance, where) or ()

    return keyword


# OpenAPI 3.0's schemas are JSON Schema's draft 5, whose validation is draft 4's.
CHANGED = ("type", "enum", "allOf", "anyOf", "oneOf")
KEYWORDS = {name: _nullable(Draft4Validator.VALIDATORS[name]) for name in CHANGED}
Validator = extend(Draft4Validator, KEYWORDS)  # type: ignore[no-untyped-call] # the stubs leave it untyped


@dataclass(frozen=True)
class Operation:
    """One operation of the description; `pointer` leads to it."""

    method: str
    template: str
    pointer: str
    described: Mapping[str, Any] = field(repr=False)

    def request_problems(self, query: str, body: Any) -> list[str]:
        """What a request says that the description does not know: parameters and keys too."""
        return [*self._query_problems(query), *self._body_problems(body)]

    def _query_problems(self, query: str) -> list[str]:
        known = {one["name"]: one["schema"] for one in self._parameters() if one["in"] == "query"}
        problems = []
        for name, text in parse_qsl(query, keep_blank_values=True):
            if name not in known:
                problems.append(f"the query parameter {name} is not described")
            else:
                problems += messages(known[name], _coerced(text, known[name]))
        return problems

    def _parameters(self) -> list[dict[str, Any]]:
        return [resolved(one) for one in self.described.get("parameters", [])]

    def _body_problems(self, body: Any) -> list[str]:
        content = self.described.get("requestBody")
        if content is None:
            return [] if body is None else ["a body, where none is described"]
        if body is None:
            return ["no body"] if content.get("required") else []
        where = resolved(content["content"]["application/json"]["schema"])
        unknown = sorted(set(body) - set(_known_keys(where))) if isinstance(body, dict) else []
        problems = [f"the key {name} is not described" for name in unknown]
        return problems + self._against("/requestBody/content/application~1json/schema", body)

    def answer_problems(self, status: int, body: Any) -> list[str]:
        answer = self.described["responses"].get(str(status))
        if answer is None:
            if status not in ANYWHERE and status < 500:
                return [f"the status {status} is not described"]
            return messages({"$ref": f"{ROOT}#/components/schemas/basic-error"}, body)
        content = resolved(answer).get("content", {}).get("application/json")
        if content is None:
            return [] if body is None or status >= 400 else ["a body, where none is described"]
        return messages(_absolute(content["schema"]), body)

    def _against(self, pointer: str, instance: Any) -> list[str]:
        return messages({"$ref": f"{ROOT}{self.pointer}{pointer}"}, instance)


@cache
def operation(method: str, template: str) -> Operation:
    described = document()["paths"][template][method.lower()]
    escaped = template.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
    return Operation(method, template, f"#/paths/{escaped}/{method.lower()}", described)


@cache
def pattern(template: str) -> re.Pattern[str]:
    """What paths a template stands for; GitHub's `ref` may hold slashes."""
    parts = re.split(r"\{(\w+)\}", template)
    names = [f"(?P<{name}>{'.+' if name == 'ref' else '[^/]+'})" for name in parts[1::2]]
    fixed = [re.escape(part) for part in parts[0::2]]
    return re.compile("".join(a + b for a, b in zip(fixed, [*names, ""], strict=True)))


def messages(where: Mapping[str, Any], instance: Any) -> list[str]:
    found = Validator(_absolute(where), registry=registry()).iter_errors(instance)
    return [_message(error) for error in list(found)[:5]]


def _message(error: ValidationError) -> str:
    return f"{'.'.join(map(str, error.absolute_path)) or 'the whole'}: {error.message[:300]}"


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return part
    found: Any = document()
    for key in part["$ref"].removeprefix("#/").split("/"):
        found = found[key]
    return resolved(found)


def _absolute(part: Any) -> Any:
    """The same schema with references that resolve from outside of the document."""
    if isinstance(part, dict):
        return {
            key: f"{ROOT}{value}" if key == "$ref" and value.startswith("#") else _absolute(value)
            for key, value in part.items()
        }
    return [_absolute(one) for one in part] if isinstance(part, list) else part


def _known_keys(where: Mapping[str, Any]) -> list[str]:
    choices = [resolved(one) for key in ("oneOf", "anyOf", "allOf") for one in where.get(key, [])]
    return [*where.get("properties", {}), *(key for one in choices for key in _known_keys(one))]


def _coerced(text: str, where: Mapping[str, Any]) -> Any:
    kind = resolved(dict(where)).get("type")
    if kind == "integer" and text.isdigit():
        return int(text)
    return {"true": True, "false": False}.get(text, text) if kind == "boolean" else text
