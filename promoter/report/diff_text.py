"""Two environments compared, for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from promoter.report.board_words import version
from promoter.report.paint import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from promoter.overview.compare import Comparison, Difference, Version
    from promoter.report.paint import Paint

_COLOURS = {"same": "dim", "differs": "yellow", "only-a": "cyan", "only-b": "cyan"}


def lines(comparison: Comparison, paint: Paint) -> Iterator[str]:
    """A table with a line for each image, a link below where there is one, and the counts."""
    rows = [(one.app, _told(one.a), _told(one.b), _words(one, comparison)) for one in comparison.images]
    heads = ("APP", comparison.a.upper(), comparison.b.upper())
    widths = [
        max(map(len, (head, *column)))
        for head, *column in zip(heads, *(row[:3] for row in rows), strict=True)
    ]
    yield paint("  ".join(_padded(heads, widths)).rstrip(), "bold")
    for one, row in zip(comparison.images, rows, strict=True):
        yield clean("  ".join(_padded(row[:3], widths))) + "  " + paint(row[3], _COLOURS[one.relation])
        if one.compare_url is not None:
            yield "  " + paint(one.compare_url, "dim")
    if rows:
        yield ""
    yield paint(_summary(comparison), "bold")


def _padded(texts: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [text.ljust(width) for text, width in zip(texts, widths, strict=True)]


def _told(versions: Sequence[Version]) -> str:
    return ", ".join(version(one.tag, one.digest) for one in versions) or "-"


def _words(one: Difference, comparison: Comparison) -> str:
    if one.relation == "same":
        return "same"
    if one.relation in ("only-a", "only-b"):
        return f"only in {comparison.a if one.relation == 'only-a' else comparison.b}"
    if one.order in ("older", "newer"):
        return f"{comparison.b} is {one.order}"
    return "differs"


def _summary(comparison: Comparison) -> str:
    counts = Counter(one.relation for one in comparison.images)
    told = {
        "differs": "differ",
        "only-a": f"only in {comparison.a}",
        "only-b": f"only in {comparison.b}",
        "same": "the same",
    }
    listed = ", ".join(f"{counts[name]} {words}" for name, words in told.items() if counts[name])  # type: ignore[index]  # its keys are the relations
    images = len(comparison.images)
    return f"{images} image{'s' * (images != 1)}" + (f": {listed}" if listed else "")
