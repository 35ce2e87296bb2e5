"""The outcome as one JSON document (``schemas/outcome.schema.json``)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from promoter import __version__

if TYPE_CHECKING:
    from promoter.outcome import Outcome


def render(outcome: Outcome) -> str:
    """The document, pretty-printed, with a line end."""
    document: dict[str, Any] = {
        "promoter": __version__,
        "verb": outcome.verb,
        "status": outcome.status,
        "reason": outcome.reason,
        "changed": outcome.changed,
        "environment": outcome.environment,
        "app": outcome.app,
        "base": outcome.base,
        "commit_sha": outcome.commit_sha,
        "attempts": outcome.attempts,
        "pull_requests": [asdict(one) for one in outcome.pull_requests],
        "changes": [asdict(change) for change in outcome.changes],
        "findings": [asdict(finding) for finding in outcome.findings],
        "warnings": [asdict(notice) for notice in outcome.warnings],
        "error": asdict(outcome.error) if outcome.error else None,
    }
    if outcome.validation is not None:
        counts = asdict(outcome.validation)
        document["validation"] = {**counts, "skipped": dict(outcome.validation.skipped)}
    if outcome.inventory is not None:
        document["sites"] = [asdict(site) for site in outcome.inventory.sites]
        document["mentions"] = [asdict(mention) for mention in outcome.inventory.mentions]
        document["summary"] = outcome.inventory.summary
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
