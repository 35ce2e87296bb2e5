"""The outcome as one JSON document (``schemas/outcome.schema.json``)."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
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
        "gates": [asdict(gate) for gate in outcome.gates],
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
    if outcome.board is not None:
        document["board"] = asdict(outcome.board)
    if outcome.diff is not None:
        document["diff"] = asdict(outcome.diff)
    if outcome.proposed is not None:
        document["configuration"] = asdict(outcome.proposed)
    if outcome.history is not None:
        document["history"] = [asdict(one) for one in outcome.history.entries]
        document["unknown_before"] = [asdict(one) for one in outcome.history.unknown_before]
        document["metrics"] = asdict(outcome.history.metrics) if outcome.history.metrics else None
    if outcome.checks is not None:
        document["checks"] = [asdict(one) for one in outcome.checks]
    if outcome.holds is not None:
        document["holds"] = [asdict(one) for one in outcome.holds]
    return json.dumps(document, indent=2, ensure_ascii=False, default=_time) + "\n"


def _time(value: object) -> str:
    """A moment as RFC 3339 writes it, in UTC; nothing else in an outcome needs words of its own."""
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} has no place in a document")
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
