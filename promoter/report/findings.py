"""Findings for people, and what reports of other forms share: an order, and fingerprints."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from promoter.report.paint import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from promoter.outcome import Outcome
    from promoter.report.paint import Paint
    from promoter.validate.model import Finding

# Where a report must name a file and a finding has none: a command, for one, is configured here.
NOWHERE = ".promoter.yaml"

_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}
_RANKS = {"error": 0, "warning": 1, "note": 2}
_MOST_OLD = 20


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """What is introduced first, then by file and line."""
    return sorted(
        findings,
        key=lambda one: (
            not one.introduced,
            one.file or "",
            one.line or 0,
            _RANKS[one.severity],
            one.message,
        ),
    )


def fingerprints(findings: Sequence[Finding]) -> list[str]:
    """One for each finding: stable when lines move, and another one for each of several alike."""
    seen: Counter[tuple[object, ...]] = Counter()
    prints = []
    for finding in findings:
        seen[finding.sameness] += 1
        told = (*(word or "" for word in finding.sameness), str(seen[finding.sameness]))
        prints.append(hashlib.sha256("\0".join(told).encode("utf-8", "surrogateescape")).hexdigest()[:40])
    return prints


def described(finding: Finding) -> str:
    """The message, with the place inside the document in front."""
    return f"{finding.path}: {finding.message}" if finding.path else finding.message


def section(outcome: Outcome, paint: Paint) -> Iterator[str]:
    """The findings of an edit: those it introduces, then the old ones, listed as such."""
    found = ordered(outcome.findings)
    introduced = [one for one in found if one.introduced]
    old = [one for one in found if not one.introduced]
    if introduced:
        yield paint("Findings:", "bold")
        yield from _table(introduced, paint)
    if old:
        yield paint("Findings of the base, which do not block:", "bold")
        yield from _table(old[:_MOST_OLD], paint)
        if len(old) > _MOST_OLD:
            yield paint(f"  … and {len(old) - _MOST_OLD} more", "dim")
    for note in outcome.validation.notes if outcome.validation else ():
        yield paint(f"note: {note}", "dim")


def validate_lines(outcome: Outcome, paint: Paint) -> Iterator[str]:
    """What ``validate`` found, and a line with the counts."""
    yield from _table(ordered(outcome.findings), paint)
    seen = outcome.validation
    if seen is None:
        return
    for note in seen.notes:
        yield paint(f"note: {note}", "dim")
    if outcome.findings or seen.notes:
        yield ""
    yield paint(_summary(outcome), "bold")
    if seen.skipped:
        yield "skipped: " + clean(", ".join(f"{count} {reason}" for reason, count in seen.skipped))


def _table(findings: Sequence[Finding], paint: Paint) -> Iterator[str]:
    places = [_place(one) for one in findings]
    width = max(map(len, places), default=0)
    names = max((len(one.validator) for one in findings), default=0)
    for place, one in zip(places, findings, strict=True):
        old = "" if one.introduced else paint("  (old)", "dim")
        severity = paint(f"{one.severity:<7}", _COLOURS[one.severity])
        yield (
            clean(f"  {place:<{width}}  ")
            + severity
            + clean(f"  {one.validator:<{names}}  {described(one)}")
            + old
        )


def _place(finding: Finding) -> str:
    if finding.file is None:
        return "-"
    return finding.file if finding.line is None else f"{finding.file}:{finding.line}"


def _summary(outcome: Outcome) -> str:
    counts = Counter(one.severity for one in outcome.findings)
    found = ", ".join(_plural(counts[name], name) for name in ("error", "warning", "note") if counts[name])
    seen = outcome.validation
    looked = ""
    if seen is not None:
        looked = f" in {_plural(seen.files, 'file')}, {_plural(seen.checked, 'document')} checked"
        if seen.against is not None:
            introduced = sum(one.introduced for one in outcome.findings)
            found = f"{found} ({introduced} introduced since {seen.against})" if found else found
        looked += f", {sum(count for _, count in seen.skipped)} skipped"
    return f"{found or 'no findings'}{looked}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
