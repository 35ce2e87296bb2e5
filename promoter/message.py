"""The commit message: a subject, the changes, and the trailers that machines read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from promoter.intent import Intent
    from promoter.outcome import Change

DEFAULT_TEMPLATE = "promote {app} to {tag} in {environment}\n\n{changes}"
PLACEHOLDERS = ("app", "environment", "image", "images", "tag", "changes", "revision", "run", "actor")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_LISTED_CHANGES = 50


def commit_message(template: str | None, intent: Intent, changes: Sequence[Change], promoter_id: str) -> str:
    """The filled template, followed by the trailers as a paragraph of their own."""
    values = _values(intent, changes)
    text = _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template or DEFAULT_TEMPLATE)
    trailers = "".join(f"{key}: {_one_line(value)}\n" for key, value in _trailers(intent, promoter_id))
    return f"{text.strip()}\n\n{trailers}"


def _values(intent: Intent, changes: Sequence[Change]) -> dict[str, str]:
    first = intent.images[0]
    lines = [f"{change.file}:{change.line}: {change.before} -> {change.after}" for change in changes]
    if len(lines) > _LISTED_CHANGES:
        lines = [*lines[:_LISTED_CHANGES], f"and {len(lines) - _LISTED_CHANGES} more"]
    return {
        "app": intent.app,
        "environment": intent.environment,
        "image": str(first),
        "images": ", ".join(str(image) for image in intent.images),
        "tag": first.tag or first.digest or "",
        "changes": "\n".join(lines),
        "revision": intent.origin.revision or "",
        "run": intent.origin.run_url or "",
        "actor": intent.origin.actor or "",
    }


def _trailers(intent: Intent, promoter_id: str) -> Iterable[tuple[str, str]]:
    origin = intent.origin
    yield "Promoter-Id", promoter_id
    yield "Promoter-Environment", intent.environment
    yield "Promoter-App", intent.app
    for image in intent.images:
        yield "Promoter-Image", str(image)
    if origin.revision:
        yield "Promoter-Source", origin.revision
    if origin.source_time:
        yield "Promoter-Source-Time", origin.source_time.isoformat()
    if origin.order:
        yield "Promoter-Order", f"{origin.order[0]}#{origin.order[1]}"
    if origin.run_url:
        yield "Promoter-Run", origin.run_url


def _one_line(text: str) -> str:
    """A value cannot start another trailer."""
    return " ".join(text.split())
