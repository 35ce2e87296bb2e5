"""The outcome for people."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from promoter.report.findings import section, validate_lines
from promoter.report.paint import Paint, clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from promoter.outcome import Change, HoldReport, Inventory, Notice, Outcome, PullRequestReport

    Fold = Callable[[str, str, Iterable[str]], Iterable[str]]

_MARKS = {
    "promoted": "green",
    "proposed": "green",
    "planned": "cyan",
    "unchanged": "dim",
    "superseded": "yellow",
    "refused": "red",
    "failed": "red",
}
_OPERATIONS = {
    "created": "green",
    "updated": "green",
    "merged": "green",
    "unchanged": "dim",
    "superseded": "yellow",
    "closed": "yellow",
}
_STATES = {"effective": "green", "shadowed": "dim", "refused": "yellow"}
# What people call `promoted` there.
_DONE = {"hold": "held", "unhold": "let go", "init": "written", "rollback": "rolled back"}
_LONGEST_DIFF = 200


def _open(name: str, title: str, lines: Iterable[str]) -> Iterable[str]:  # noqa: ARG001 - as those that fold
    return lines


def render(outcome: Outcome, paint: Paint, fold: Fold = _open) -> str:
    """What happened, the sites it happened to, findings, and the diff; for ``scan`` its table.

    ``fold`` gets the name, title and lines of what can be long.
    """
    if outcome.proposed is not None:
        from promoter.report import init

        if (text := init.whole(outcome)) is not None:
            return text
    own = _own_lines(outcome, paint)
    lines = list(own) if own is not None else _landing_lines(outcome, paint, fold)
    return "\n".join(lines) + "\n"


def _own_lines(outcome: Outcome, paint: Paint) -> Iterable[str] | None:
    """What a verb that lands nothing has to tell; None for the others."""
    if outcome.inventory is not None:
        return _inventory_lines(outcome.inventory, paint)
    if outcome.checks is not None:
        from promoter.report import doctor

        return doctor.lines(outcome.checks, paint)
    if outcome.board is not None:
        from promoter.report import board_text

        return board_text.lines(outcome.board, paint)
    if outcome.diff is not None:
        from promoter.report import diff_text

        return diff_text.lines(outcome.diff, paint)
    if outcome.history is not None:
        from promoter.report import history_text

        return history_text.lines(outcome.history, paint)
    if outcome.reason == "listed":
        from promoter.report import holds

        return holds.lines(outcome, paint)
    return validate_lines(outcome, paint) if outcome.verb == "validate" else None


def _landing_lines(outcome: Outcome, paint: Paint, fold: Fold) -> list[str]:
    lines = [paint(_headline(outcome), _MARKS[outcome.status])]
    lines += [_pull_request_line(one, paint) for one in outcome.pull_requests]
    lines += [_change_line(change, paint) for change in outcome.changes]
    if outcome.error is None:  # else it says so
        lines += [paint(clean(f"  gate: {gate.message}"), "yellow") for gate in outcome.gates]
    if outcome.verb == "rollback":
        lines += [clean(f"  {_held(hold)}") for hold in outcome.holds or ()]
    lines += fold("findings", "Findings", section(outcome, paint))
    if outcome.proposed is not None:
        from promoter.report import init

        lines += init.lines(outcome.proposed)
    else:
        lines += fold("diff", "Diff", _diff_lines(outcome, paint))
    return lines


def _headline(outcome: Outcome) -> str:
    what = f" {outcome.app} in {outcome.environment}" if outcome.app and outcome.environment else ""
    landed = ""
    if outcome.commit_sha and outcome.status in ("promoted", "proposed"):
        joint = "on" if outcome.status == "promoted" else "for"
        landed = f" as {outcome.commit_sha[:12]} {joint} {outcome.base}"
    done = _DONE.get(outcome.verb, outcome.status) if outcome.status == "promoted" else outcome.status
    reason = f" ({outcome.reason})" if outcome.reason not in ("changed", outcome.status, done) else ""
    return f"{done}{what}{landed}{reason}"


def _held(hold: HoldReport) -> str:
    """What keeps later images out, and until when."""
    until = hold.until or f"promoter unhold {hold.environment} --app {hold.app}"
    return f"held until {until}" + (f": {hold.reason}" if hold.reason else "")


def _pull_request_line(one: PullRequestReport, paint: Paint) -> str:
    """What became of a pull request, and where it is; a branch alone where there is no forge."""
    number = f"pull request {one.number}" if one.number is not None else "branch"
    where = f"  {one.url}" if one.url else ""
    operation = paint(f"{one.operation:<10}", _OPERATIONS[one.operation])
    return f"  {operation} " + clean(f"{number}  {one.branch}{where}")


def _change_line(change: Change, paint: Paint) -> str:
    what = f"{change.before} -> {change.after}" if change.before != change.after else change.before
    status = paint(f"{change.status:<10}", _MARKS.get(change.status, "dim"))
    note = f"  ({change.note})" if change.note else ""
    return f"  {status} " + clean(f"{change.file}:{change.line}  {what}{note}")


def _inventory_lines(inventory: Inventory, paint: Paint) -> Iterator[str]:
    """A table of the sites, one of the mentions, and a line with the counts."""
    rows = [
        (f"{one.file}:{one.line}", one.state, one.format, one.reference, one.note) for one in inventory.sites
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for place, state, kind, reference, note in rows:
        padded = f"{place:<{widths[0]}}  ", f"{state:<{widths[1]}}", f"  {kind:<{widths[2]}}  {reference}"
        told = f"  ({note})" if note else ""
        yield clean(padded[0]) + paint(padded[1], _STATES[state]) + clean(padded[2] + told)
    if inventory.mentions:
        yield from ("", "Not edited:") if rows else ("Not edited:",)
    places = [f"{one.file}:{one.line}" for one in inventory.mentions]
    width = max(map(len, places), default=0)
    for place, one in zip(places, inventory.mentions, strict=True):
        yield clean(f"{place:<{width}}  {one.text}") + paint(f"  ({one.why})", "dim")
    if rows or inventory.mentions:
        yield ""
    yield paint(", ".join(f"{count} {name}" for name, count in inventory.summary.items()), "bold")


def _diff_lines(outcome: Outcome, paint: Paint) -> Iterator[str]:
    count = 0
    for path, before, after in outcome.edits:
        old, new = (data.decode("utf-8").splitlines() for data in (before, after))
        for line in difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm="", n=1):
            count += 1
            if count > _LONGEST_DIFF:
                yield "… the diff goes on"
                return
            colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[0])
            yield paint(line, colour) if colour else clean(line)


def render_notice(notice: Notice, paint: Paint) -> str:
    """A warning in one line."""
    return paint("warning:", "yellow") + clean(f" {_at(notice.file, notice.line)}{notice.message}") + "\n"


def render_error(
    message: str, file: str | None, line: int | None, next_step: str | None, paint: Paint
) -> str:
    """What failed and where, and what to do next."""
    text = paint("error:", "red") + clean(f" {_at(file, line)}{message}") + "\n"
    return text + (f"  next: {clean(next_step)}\n" if next_step else "")


def _at(file: str | None, line: int | None) -> str:
    if file is None:
        return ""
    return f"{file}:{line}: " if line is not None else f"{file}: "
