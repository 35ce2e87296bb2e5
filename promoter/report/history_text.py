"""What landed in environments, and its measures, for people."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from promoter.image import looks_like_reference
from promoter.report.board_words import version
from promoter.report.paint import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from promoter.past.history import History
    from promoter.past.metrics import Measured, Metrics
    from promoter.past.moves import Entry, ImageMove
    from promoter.report.paint import Paint

_COLOURS = {"promotion": "green", "rollback": "yellow", "revert": "yellow", "by-hand": "cyan"}


def lines(history: History, paint: Paint) -> Iterator[str]:
    """A line for each landing of an app, newest first, or the table of measures."""
    if history.metrics is not None:
        yield from _metrics(history.metrics, paint)
        return
    if not history.entries:
        yield paint("nothing landed", "bold")
    rows = [(f"{one.when:%Y-%m-%d %H:%M}Z", one.environment, one.app, one.kind) for one in history.entries]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for one, row in zip(history.entries, rows, strict=True):
        first, *others = [_image(each, alone=len(one.images) == 1) for each in one.images]
        *plain, kind = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield clean("  ".join(plain)) + "  " + paint(kind, _COLOURS[one.kind]) + "  " + clean(first)
        yield from (clean(" " * (sum(widths) + 2 * len(widths)) + text) for text in others)
        yield "    " + paint(_who(one), "dim")


def _image(move: ImageMove, *, alone: bool) -> str:
    name = "" if alone else f"{move.image.rpartition('/')[2]} "
    return f"{name}{_versions(move.before)} -> {_versions(move.after)}"


def _versions(references: Sequence[str]) -> str:
    found = [looks_like_reference(text) for text in references]
    return ", ".join(version(one.tag, one.digest) for one in found if one is not None) or "-"


def _who(one: Entry) -> str:
    told = [one.commit[:12], one.author, one.subject]
    told += [f"pull request {one.pull_request}"] if one.pull_request else []
    told += [f"from {one.came_from}"] if one.came_from else []
    told += [f"run {one.run}"] if one.run else []
    told += [f"override: {one.override}"] if one.override else []
    return "  ".join(told)


# --- measures ------------------------------------------------------------------------------


def _metrics(metrics: Metrics, paint: Paint) -> Iterator[str]:
    heads = ("ENVIRONMENT", "APP", "DEPLOYMENTS", "PER DAY", "LEAD TIME", "P90", "ROLLBACKS", "RATE")
    rows = [_row(one) for one in metrics.measured]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row, colour in ((heads, "bold"), *((row, "") for row in rows)):
        text = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        yield paint(text, colour) if colour else clean(text)
    yield ""
    for one in metrics.windows:
        short = "" if one.complete else ", which is as far back as history is known"
        span = f"{one.since.astimezone(UTC):%Y-%m-%d} to {one.until.astimezone(UTC):%Y-%m-%d}"
        yield paint(clean(f"{one.environment}: {span}{short}"), "dim")


def _row(one: Measured) -> tuple[str, ...]:
    lead = one.lead_time
    return (
        one.environment,
        one.app or "(all)",
        str(one.deployments),
        "unknown" if one.deployments_per_day is None else f"{one.deployments_per_day:.2f}",
        "unknown" if lead is None else _span(lead.median_seconds),
        "unknown" if lead is None else _span(lead.p90_seconds),
        str(one.rollbacks),
        "unknown" if one.rollback_rate is None else f"{one.rollback_rate:.0%}",
    )


def _span(seconds: int) -> str:
    """In its two largest units."""
    days, rest = divmod(seconds, 86400)
    hours, minutes = divmod(rest // 60, 60)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
