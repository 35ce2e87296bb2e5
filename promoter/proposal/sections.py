"""The sections of a pull request's description, in Markdown; empty where there is nothing to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.proposal.inert import block, code, is_link
from promoter.proposal.links import commit_url, compare_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.gates import Gate
    from promoter.intent import Origin
    from promoter.outcome import Change, Notice
    from promoter.proposal.wanted import Wanted

_HEAD = ("| environment | app | image | file |", "| --- | --- | --- | --- |")
_SHORT = 12  # characters of a commit id


def changes(moved: Sequence[Change], most: int) -> str:
    """The table of sites that move."""
    rows = [
        f"| {code(one.environment, cell=True)} | {code(one.app, cell=True)} "
        f"| {code(one.before, cell=True)} → {code(one.after, cell=True)} "
        f"| {code(f'{one.file}:{one.line}', cell=True)} |"
        for one in moved[:most]
    ]
    table = "\n".join([*_HEAD, *rows]) if rows else ""
    return _with_rest(table, len(moved) - len(rows), "changes", "\n\n")


def gates(closed: Sequence[Gate]) -> str:
    """What it waits for."""
    return "\n\n".join(f"**Waits:** {code(gate.message)}" for gate in closed)


def notes(sentences: Sequence[str], most: int) -> str:
    """Remarks, one in a line of a list."""
    listed = "\n".join(f"- {code(text)}" for text in sentences[:most])
    return _with_rest(listed, len(sentences) - most, "notes", "\n")


def sources(wanted: Sequence[Wanted], previous: Mapping[str, str], most: int) -> str:
    """Where each image comes from: revision, what is new in it, run and who started it."""
    told = [(one, _source(one.origin, previous.get(one.image.name))) for one in wanted[:most]]
    lines = [f"- {code(str(one.image))}: {text}" for one, text in told if text]
    return _with_rest("\n".join(lines), len(wanted) - most, "images", "\n")


def _source(origin: Origin, before: str | None) -> str:
    revision = origin.revision or ""
    parts = [
        link(revision[:_SHORT], commit_url(origin)) or (f"source {code(revision)}" if revision else None),
        link("changes", compare_url(origin, before)),
        link("run", origin.run_url) or (f"run {code(origin.run_url)}" if origin.run_url else None),
        f"by {code(origin.actor)}" if origin.actor else None,
    ]
    return ", ".join(part for part in parts if part)


def notices(heading: str, listed: Sequence[Notice], most: int) -> str:
    """Warnings or findings, with their places."""
    if not listed:
        return ""
    lines = [f"- {code(one.message)}{_place(one)}" for one in listed[:most]]
    return f"**{heading}**\n\n" + _with_rest("\n".join(lines), len(listed) - len(lines), "", "\n")


def _place(notice: Notice) -> str:
    if notice.file is None:
        return ""
    return f" ({code(notice.file if notice.line is None else f'{notice.file}:{notice.line}')})"


def diff(lines: list[str], most: int) -> str:
    """The rendered diff, folded; gone where no line of it fits."""
    if not lines:
        return ""
    if not most:
        return f"The diff of {len(lines)} lines is left out here."
    rest = len(lines) - most
    shown = block([*lines[:most], *([f"… and {rest} more lines"] if rest > 0 else [])], "diff")
    return f"<details><summary>Diff</summary>\n\n{shown}\n\n</details>"


def help_text(environment: str, commands: Sequence[tuple[str, str]]) -> str:
    """How to hold it and how to go back."""
    hold = f"To leave {code(environment)} as it is, close this: the same images are not proposed again"
    listed = "".join(f"\n- {purpose}: {code(command)}" for purpose, command in commands)
    return f"{hold}, newer ones are. To go back after the merge, revert it.{listed}"


def link(text: str, url: str | None) -> str | None:
    """A link whose text is code; None for a URL that may not be one."""
    if url is None or not is_link(url):
        return None
    return f"[{code(text)}]({url})"


def _with_rest(listed: str, rest: int, what: str, joint: str) -> str:
    if rest <= 0:
        return listed
    more = f"and {rest} more {what}".rstrip()
    return f"{listed}{joint}{more}" if listed else more
