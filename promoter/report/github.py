"""What a step of GitHub Actions is told: outputs, annotations and masks.

docs.github.com, "Workflow commands for GitHub Actions": "Setting an output parameter", "Multiline
strings", "Setting an error message", "Masking a value in a log". Commands go to stderr, so that
stdout stays one document: the runner looks for them in both streams (actions/runner,
``ScriptHandler.cs``).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from promoter.report.findings import described, ordered
from promoter.report.paint import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from promoter.outcome import Outcome
    from promoter.validate.model import Severity

# "GitHub Actions are limited to 10 warning annotations and 10 error annotations per step"
# (REST API, "Check runs").
_MOST_ANNOTATIONS = 10
_LONGEST_MESSAGE = 2000
_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "note": "notice"}


def outputs(values: Mapping[str, str]) -> str:
    """Lines for ``GITHUB_OUTPUT``. Each delimiter is random, and none of its value's lines."""
    return "".join(
        f"{name}<<{mark}\n{value}\n{mark}\n" for name, value in values.items() if (mark := _mark(value))
    )


def _mark(value: str) -> str:
    mark = f"promoter-{secrets.token_hex(16)}"
    while mark in value:
        mark = f"promoter-{secrets.token_hex(16)}"
    return mark


def mask_commands(tokens: Iterable[str]) -> str:
    """Commands that have the runner mask secrets which it does not know."""
    return "".join(f"::add-mask::{_data(token)}\n" for token in tokens)


def annotation_commands(outcome: Outcome) -> str:
    """Commands for the error, what the edit introduces, and the warnings: at most ten of each level."""
    lines: dict[str, list[str]] = {"error": [], "warning": [], "notice": []}
    for level, told in _told(outcome):
        if len(lines[level]) < _MOST_ANNOTATIONS:
            lines[level].append(told)
    return "".join(f"{line}\n" for level in lines.values() for line in level)


def _told(outcome: Outcome) -> Iterator[tuple[str, str]]:
    title = f"promoter {outcome.verb}"
    if outcome.error is not None:
        error = outcome.error
        text = f"{clean(error.message)}\nnext: {clean(error.next)}" if error.next else clean(error.message)
        yield "error", _annotation("error", title, error.file, error.line, text)
    for one in ordered(outcome.findings):
        if one.introduced:
            level = _LEVELS[one.severity]
            text = clean(described(one))
            yield level, _annotation(level, f"promoter: {one.validator}", one.file, one.line, text)
    for notice in outcome.warnings:
        yield "warning", _annotation("warning", title, notice.file, notice.line, clean(notice.message))


def _annotation(level: str, title: str, file: str | None, line: int | None, text: str) -> str:
    place = {"file": file, "line": None if line is None or file is None else str(line), "title": title}
    properties = ",".join(f"{name}={_property(value)}" for name, value in place.items() if value is not None)
    return f"::{level} {properties}::{_data(text[:_LONGEST_MESSAGE])}"


def _property(text: str) -> str:
    return _data(clean(text)).replace(":", "%3A").replace(",", "%2C")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
