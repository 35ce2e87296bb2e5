"""What landed on a branch: its first-parent line, with the files that each landing changed.

Only commits and trees are read. The order is the graph's: clocks are wrong, or step back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from promoter.git.history import read_trailers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from promoter.git.repository import Repository, Snapshot

STEPS = (50, 250, 1000, 5000)  # how many commits are known after each deepening: DESIGN §8's bound

_FORMAT = "%x00".join(("", "%H", "%P", "%ct", "%an", "%B", "%(trailers:only,unfold)", ""))
_FIELDS = 6
_REGULAR = ("100644", "100755")
# As the forges write them: GitHub and Gitea, GitLab, Azure DevOps, Bitbucket; a squash ends in the number.
_PULL_REQUEST = (
    re.compile(r"\AMerge pull request .*?(#\d+)"),
    re.compile(r"^See merge request (\S*!\d+)\s*\Z", re.MULTILINE),
    re.compile(r"\AMerged PR (\d+):"),
    re.compile(r"\AMerged in .*\(pull request (#\d+)\)"),
    re.compile(r"\A[^\n]*\((#\d+|!\d+)\)[ \t]*(?:\n|\Z)"),
)


@dataclass(frozen=True)
class Landing:
    """One commit of the base's first-parent line.

    ``when`` is its committer date in UTC: when it landed. ``author`` is the name of who wrote it.
    ``trailers`` of a merge are completed by those of the commits that it merged, as far as these
    are known. ``pull_request`` is as its message writes it (``#12``, ``group/project!12``).
    """

    commit: str
    when: datetime
    author: str
    subject: str
    trailers: tuple[tuple[str, str], ...] = ()
    pull_request: str | None = None
    reverts: bool = False  # `git revert` wrote the message


class FileChange(NamedTuple):
    """A file before and after a landing, by blob id; None where it is absent or no regular file."""

    path: str
    before: str | None
    after: str | None


class Landed(NamedTuple):
    """A landing with what it changed among the files that were asked for."""

    landing: Landing
    files: tuple[FileChange, ...]


class Stretch(NamedTuple):
    """A part of the line, newest first. ``edge`` is its last known commit, None where it ends at the root.

    The edge's own difference is not known, and it is not among the landings.
    """

    landings: tuple[Landed, ...]
    edge: str | None


def stretches(repository: Repository, snapshot: Snapshot, paths: Iterable[str]) -> Iterator[Stretch]:
    """The line that led to a snapshot, deepened step by step as far as the stretches are asked for."""
    listed = sorted(set(paths))
    start = snapshot.commit
    for depth in (0, *STEPS):
        shallow = repository.deepen(snapshot, depth)
        line = repository.git.must("rev-list", "--first-parent", start, "--").text.split("\n")
        edge = line[-1] if line[-1] in shallow else None
        if edge == start and depth != STEPS[-1]:
            continue
        yield Stretch(_landings(repository, start, edge, listed), edge)
        if edge is None:
            return
        start = edge


def landing_of(repository: Repository, commit: str) -> Landing:
    """One commit, as far as it is known by itself."""
    output = repository.git.must("show", "--no-patch", f"--format={_FORMAT}", commit, "--").text
    landing, _ = _header(output.split("\0")[1 : _FIELDS + 1])
    return landing


def _landings(
    repository: Repository, start: str, edge: str | None, paths: Sequence[str]
) -> tuple[Landed, ...]:
    until = [f"^{edge}"] if edge else []
    operands = [] if "." in paths else [f":(top,literal){path}" for path in paths]
    output = repository.git.must(
        "log", "-z", "--first-parent", f"--format={_FORMAT}", "--raw", "--no-abbrev", "--no-renames",
        "--root", "--diff-merges=first-parent", start, *until, "--", *operands,
    ).text  # fmt: skip
    found, merged = [], {}
    tokens = output.split("\0")
    at = 0
    while at < len(tokens):
        if not tokens[at]:
            at += 1
            continue
        landing, parents = _header(tokens[at : at + _FIELDS])
        if len(parents) > 1:
            merged[landing.commit] = parents[1:]
        at += _FIELDS
        files = []
        while at < len(tokens) and (raw := tokens[at].lstrip("\n"))[:1] in ("", ":"):
            if raw:
                files.append(_file_change(raw, tokens[at + 1]))
            at += 2 if raw else 1
        found.append(Landed(landing, tuple(files)))
    if not merged:
        return tuple(found)
    brought = _brought(repository, start, edge, merged)
    return tuple(
        one._replace(landing=_completed(one.landing, brought.get(one.landing.commit, ()))) for one in found
    )


def _header(fields: Sequence[str]) -> tuple[Landing, list[str]]:
    commit, parents, seconds, author, message, trailers = fields
    subject = message.strip("\n").partition("\n")[0]
    found = (match[1] for one in _PULL_REQUEST if (match := one.search(message.strip())) is not None)
    number = next(found, None)
    landing = Landing(
        commit,
        _moment(seconds),
        author,
        subject,
        read_trailers(trailers),
        f"#{number}" if number is not None and number.isdigit() else number,
        subject.startswith('Revert "') or "\nThis reverts commit " in message,
    )
    return landing, parents.split()


def _moment(seconds: str) -> datetime:
    """A date as Git has it; one that no clock shows counts as the beginning of time."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _file_change(raw: str, path: str) -> FileChange:
    """From ``:100644 100644 <blob> <blob> M``."""
    mode_before, mode_after, before, after, _ = raw[1:].split(" ")
    return FileChange(
        path,
        before if mode_before in _REGULAR else None,
        after if mode_after in _REGULAR else None,
    )


# --- what a merge brought --------------------------------------------------------------------


def _brought(
    repository: Repository, start: str, edge: str | None, merged: dict[str, list[str]]
) -> dict[str, list[tuple[str, str]]]:
    """The trailers of the commits that each of these merges brought, oldest commit first."""
    until = [f"^{edge}"] if edge else []
    output = repository.git.must(
        "log", "-z", "--topo-order", "--reverse", "--format=%H%x00%P%x00%(trailers:only,unfold)",
        start, *until, "--",
    ).text  # fmt: skip
    fields = output.split("\0")
    commits = list(zip(fields[::3], fields[1::3], fields[2::3], strict=False))
    parents = {commit: tuple(above.split()) for commit, above, _ in commits}
    trailers = {commit: read_trailers(text) for commit, _, text in commits}
    order = {commit: number for number, (commit, _, _) in enumerate(commits)}
    known = set(parents)
    line = []
    one: str | None = start
    while one in known:
        line.append(one)
        one = next(iter(parents[one]), None)
    claimed = set(line)
    found = {}
    for commit in reversed(line):  # from the oldest: what an older merge brought is not brought again
        side, waiting = [], list(parents[commit][1:])
        while waiting:
            one = waiting.pop()
            if one in known and one not in claimed:
                claimed.add(one)
                side.append(one)
                waiting += parents[one]
        if commit in merged:
            found[commit] = [pair for each in sorted(side, key=order.__getitem__) for pair in trailers[each]]
    return found


def _completed(landing: Landing, brought: Iterable[tuple[str, str]]) -> Landing:
    """A merge with the trailers of what it merged; its own stay last, as they are the later word."""
    more = [pair for pair in brought if pair not in landing.trailers]
    return replace(landing, trailers=(*more, *landing.trailers)) if more else landing
