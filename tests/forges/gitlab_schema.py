"""What GitLab publishes of its API, read from `gitlab_api.yaml`, and whether a request or an answer fits."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

PUBLISHED = Path(__file__).with_name("gitlab_api.yaml")
# dry-types' Params::Bool, which Grape reads booleans with
BOOLEANS = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    pattern: re.Pattern[str]
    page: str
    query: dict[str, Any]
    body: dict[str, Any]
    required: tuple[str, ...]
    answers: dict[int, str]
    refuses: tuple[int, ...]

    def request_problems(self, query: dict[str, list[str]], body: dict[str, Any]) -> list[str]:
        """Attributes that are unknown, missing, or of another type than published."""
        problems = [f"query attribute {name} is unknown" for name in query if name not in self.query]
        problems += [f"body attribute {name} is unknown" for name in body if name not in self.body]
        problems += [f"{name} is missing" for name in self.required if name not in query and name not in body]
        for name, values in query.items():
            problems += differences(self.query.get(name, {}), from_text(self.query.get(name, {}), values[-1]))
        for name, value in body.items():
            problems += differences(self.body.get(name, {}), value)
        return problems

    def answer_problems(self, status: int, document: Any) -> list[str]:
        if status in self.answers:
            return differences({"$ref": f"#/schemas/{self.answers[status]}"}, document)
        if status in self.refuses:
            return differences({"$ref": "#/schemas/Refusal"}, document)
        return [f"status {status} is not published"]


@cache
def published() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    return document


@cache
def operations() -> tuple[Operation, ...]:
    return tuple(operation(one) for one in published()["operations"])


def operation(one: dict[str, Any]) -> Operation:
    method, _, template = one["call"].partition(" ")
    pattern = re.sub(r":(\w+)", r"(?P<\1>[^/]+)", template)
    return Operation(
        one["call"],
        method,
        re.compile(pattern + r"\Z"),
        one["page"],
        one.get("query", {}),
        one.get("body", {}),
        tuple(one.get("required", ())),
        one["answers"],
        tuple(one["refuses"]),
    )


def find_operation(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """By method and path below `/api/v4`."""
    for one in operations():
        if one.method == method and (found := one.pattern.match(path)):
            return one, found.groupdict()
    return None


def from_text(schema: dict[str, Any], text: str) -> Any:
    """A query attribute in its own type, or as it came where it has not that form."""
    if schema.get("type") == "integer" and text.isdigit():
        return int(text)
    if schema.get("type") == "boolean":
        return BOOLEANS.get(text, text)
    return text


def differences(schema: dict[str, Any], value: Any) -> list[str]:
    validator = jsonschema.Draft202012Validator({"schemas": published()["schemas"], **schema})
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]
