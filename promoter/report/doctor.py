"""What ``doctor`` found, for people: grouped by what it is about, quiet where nothing is to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.report.paint import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from promoter.doctor.model import Check
    from promoter.report.paint import Paint

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red", "unknown": "cyan", "skipped": "dim"}


def lines(checks: Sequence[Check], paint: Paint) -> Iterator[str]:
    """A block for each thing that was looked at, and a line with the counts."""
    width = max((len(one.name) for one in checks), default=0)
    for about in dict.fromkeys(one.about for one in checks):
        yield paint(about, "bold")
        for one in checks:
            if one.about != about:
                continue
            yield f"  {paint(f'{one.state:<8}', _COLOURS[one.state])} " + clean(
                f"{one.name:<{width}}  {one.seen}"
            )
            if one.state in ("warning", "problem", "unknown"):
                indent = " " * (width + 13)
                if one.why:
                    yield clean(f"{indent}why: {one.why}")
                if one.next:
                    yield clean(f"{indent}next: {one.next}")
        yield ""
    states = [one.state for one in checks]
    counts = [f"{states.count(state)} {state}" for state in _COLOURS if state in states]
    yield paint(", ".join(counts), "bold")
