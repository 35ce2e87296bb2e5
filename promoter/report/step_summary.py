"""The outcome as Markdown, for the page of a run (``GITHUB_STEP_SUMMARY``).

docs.github.com, "Workflow commands for GitHub Actions", "Adding a job summary": GitHub flavored
Markdown, at most 1 MiB a step. All that others wrote stands in code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.proposal.inert import block, code, is_url
from promoter.proposal.sections import gates
from promoter.report.findings import described, ordered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from promoter.outcome import Change, Outcome, PullRequestReport
    from promoter.validate.model import Finding

_SHORTER = (200, 50, 10, 0)  # entries of each list, until it fits
_HEAD = "| | environment | app | image | file |\n| --- | --- | --- | --- | --- |"
_SHORT = 12  # characters of a commit id


def render(outcome: Outcome, room: int) -> str:
    """The summary in at most ``room`` bytes of UTF-8; empty where that is too little for any."""
    for most in _SHORTER:
        text = "\n\n".join(filter(None, _parts(outcome, most))) + "\n"
        if len(text.encode("utf-8", "backslashreplace")) <= room:
            return text
    return ""


def _parts(outcome: Outcome, most: int) -> Iterator[str]:
    yield f"### promoter {code(outcome.verb)}: {_headline(outcome)}"
    if outcome.error is not None:
        error = outcome.error
        where = f"{error.file}:{error.line}" if error.line is not None else error.file
        place = f" ({code(where)})" if where else ""
        yield f"**Error:** {code(error.message)}{place}"
        yield f"**Next:** {code(error.next)}" if error.next else ""
    yield _listed("", [_pull_request(one) for one in outcome.pull_requests], most, "pull requests")
    yield gates(outcome.gates)
    yield _changes(outcome.changes, most)
    found = ordered(outcome.findings)
    yield _listed("Findings", (_finding(one) for one in found if one.introduced), most, "findings")
    old = [one for one in found if not one.introduced]
    yield _listed("Findings of the base, which do not block", map(_finding, old), most // 10, "findings")
    warnings = (_at(one.message, one.file, one.line) for one in outcome.warnings)
    yield _listed("Warnings", warnings, most, "warnings")
    yield _looked_at(outcome, most)


def _headline(outcome: Outcome) -> str:
    what = (
        f" {code(outcome.app)} in {code(outcome.environment)}" if outcome.app and outcome.environment else ""
    )
    landed = ""
    if outcome.commit_sha and outcome.base:
        landed = f" as {code(outcome.commit_sha[:_SHORT])} on {code(outcome.base)}"
    reason = f" ({outcome.reason})" if outcome.reason not in ("changed", outcome.status) else ""
    return f"{outcome.status}{what}{landed}{reason}"


def _pull_request(one: PullRequestReport) -> str:
    name = f"pull request {one.number}" if one.number is not None else "branch"
    # Unlike a description, a summary is no place that forges take references from.
    linked = f"[{name}]({one.url})" if is_url(one.url) else name
    return f"{one.operation} {linked} {code(one.branch)}"


def _changes(changes: Iterable[Change], most: int) -> str:
    listed = list(changes)
    if not listed:
        return ""
    rows = "\n".join(f"| {' | '.join(_cells(one))} |" for one in listed[:most])
    table = f"{_HEAD}\n{rows}" if rows else ""
    return table + (f"\n\nand {len(listed) - most} more changes" if len(listed) > most else "")


def _cells(one: Change) -> Iterator[str]:
    yield one.status
    yield code(one.environment, cell=True)
    yield code(one.app, cell=True)
    before, after = code(one.before, cell=True), code(one.after, cell=True)
    note = f" ({code(one.note, cell=True)})" if one.note else ""
    yield (f"{before} → {after}" if one.before != one.after else before) + note
    yield code(f"{one.file}:{one.line}", cell=True)


def _finding(one: Finding) -> str:
    return f"{one.severity} of {code(one.validator)}: {_at(described(one), one.file, one.line)}"


def _at(message: str, file: str | None, line: int | None) -> str:
    if file is None:
        return code(message)
    return f"{code(message)} ({code(file if line is None else f'{file}:{line}')})"


def _listed(heading: str, entries: Iterable[str], most: int, what: str) -> str:
    listed = list(entries)
    if not listed:
        return ""
    lines = [f"- {one}" for one in listed[:most]]
    if len(listed) > most:
        lines.append(f"- and {len(listed) - most} more {what}")
    return (f"**{heading}**\n\n" if heading else "") + "\n".join(lines)


def _looked_at(outcome: Outcome, most: int) -> str:
    """What a verb that only reads has to tell, as people read it in the log."""
    read = (outcome.inventory, outcome.checks, outcome.board, outcome.diff, outcome.history)
    told = (*read, outcome.holds, outcome.proposed)
    if not most or all(one is None for one in told):
        return ""
    from promoter.report import text
    from promoter.report.paint import Paint

    lines = text.render(outcome, Paint(enabled=False)).splitlines()
    return block([*lines[:most], *(["…"] if len(lines) > most else [])])
