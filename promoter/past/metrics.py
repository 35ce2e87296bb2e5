"""How often, how fast and how safely images reach environments, measured from their histories. Pure.

Deployment frequency and lead time are two of the measures that dora.dev's "DORA's software delivery
metrics" describes; the rollback rate is as much of its change fail rate as a manifest repository knows.
What the histories do not tell is None, never guessed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from promoter.past.moves import Entry

_SECONDS_OF_DAY = 86400


@dataclass(frozen=True)
class LeadTime:
    """From the source commit to the landing, in seconds, over ``count`` deployments that tell it."""

    count: int
    median_seconds: int
    p90_seconds: int


@dataclass(frozen=True)
class Measured:
    """One app in one environment; all its apps together where ``app`` is None.

    A deployment is a landing after which a version runs that did not before. ``rollbacks`` are
    those that went back to what stood before, reverts among them; ``rollback_rate`` is their part.
    """

    environment: str
    app: str | None
    deployments: int
    deployments_per_day: float | None
    lead_time: LeadTime | None
    rollbacks: int
    rollback_rate: float | None


@dataclass(frozen=True)
class Window:
    """What an environment was measured over. ``complete`` is False where history begins later than asked."""

    environment: str
    since: datetime
    until: datetime
    complete: bool


@dataclass(frozen=True)
class Metrics:
    """The measures, by environment and app, over the windows."""

    windows: tuple[Window, ...]
    measured: tuple[Measured, ...]


def measure(window: Window, entries: Iterable[Entry]) -> list[Measured]:
    """The measures of one environment: its own first, then those of its apps."""
    inside = [one for one in entries if one.deploys and window.since <= one.when <= window.until]
    by_app: dict[str, list[Entry]] = defaultdict(list)
    for one in inside:
        by_app[one.app].append(one)
    days = (window.until - window.since).total_seconds() / _SECONDS_OF_DAY
    listed = [(None, inside), *sorted(by_app.items())]
    return [_measured(window.environment, app, own, days) for app, own in listed]


def _measured(environment: str, app: str | None, own: Sequence[Entry], days: float) -> Measured:
    rollbacks = sum(one.kind in ("rollback", "revert") for one in own)
    return Measured(
        environment,
        app,
        len(own),
        round(len(own) / days, 4) if days > 0 else None,
        _lead_time(own),
        rollbacks,
        round(rollbacks / len(own), 4) if own else None,
    )


def _lead_time(own: Iterable[Entry]) -> LeadTime | None:
    """Only of what went forward: an old commit that is gone back to was not slow.

    Nor does it tell anything where, by clocks that disagree, a commit landed before it was written.
    """
    forward = [one for one in own if one.kind not in ("rollback", "revert")]
    spans = [one.when - one.source_time for one in forward if one.source_time is not None]
    seconds = sorted(int(span.total_seconds()) for span in spans)
    known = [one for one in seconds if one >= 0]
    if not known:
        return None
    return LeadTime(len(known), _percentile(known, 50), _percentile(known, 90))


def _percentile(ordered: Sequence[int], percent: int) -> int:
    """By nearest rank: a value that was measured."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
