"""Holds for people: a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.report.paint import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promoter.outcome import HoldReport, Outcome
    from promoter.report.paint import Paint

_HEAD = ("environment", "app", "since", "until", "by", "reason")


def lines(outcome: Outcome, paint: Paint) -> Iterator[str]:
    """What is held, one in a line; those that are over are said to be."""
    holds = outcome.holds or ()
    if not holds:
        yield f"nothing is held{f' in {clean(outcome.environment)}' if outcome.environment else ''}"
        return
    rows = [_HEAD, *(_row(one) for one in holds)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for number, row in enumerate(rows):
        told = "  ".join(f"{word:<{width}}" for word, width in zip(row, widths, strict=True)).rstrip()
        dim = number > 0 and holds[number - 1].over
        yield paint(told, "bold" if number == 0 else "dim") if dim or number == 0 else told


def _row(one: HoldReport) -> tuple[str, ...]:
    until = one.until or "unhold"
    told = (
        one.environment,
        one.app,
        one.since or "unknown",
        f"{until} (over)" if one.over else until,
        one.by,
        one.reason,
    )
    return tuple(clean(word) for word in told)
