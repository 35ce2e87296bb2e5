"""Holds: an app that an environment keeps as it is, until somebody lets it go (DESIGN §8).

A hold is a file of the manifest repository, ``.promoter/holds/<environment>/<app>``: outside
every environment's path and without a manifest's extension, so that no agent applies it, and
changed by commits like everything else. Its lines are ``reason: …``, ``by: …``, ``since: …``
and ``until: …``, the times as in RFC 3339.

Reading is tolerant of what people write there, but never in favour of landing: a file that
cannot be understood holds without end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from promoter.config.gates import parse_span
from promoter.config.grammar import shorten
from promoter.errors import ConfigError, UsageError
from promoter.outcome import HoldReport
from promoter.proposal.inert import one_line

if TYPE_CHECKING:
    from promoter.git.repository import Entry, Repository, Snapshot

ROOT = ".promoter/holds"
UNKNOWN = "unknown"  # who, where nothing tells

_LONGEST_NAME = 200  # bytes; Git and file systems take 255
_MOST_BYTES = 64 * 1024
_MANIFESTS = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Hold:
    """An app that is held in an environment; ``reason`` may be empty, ``by`` is who asked for it.

    The times are aware; ``since`` is None where the file does not say, ``until`` where it has no end.
    """

    environment: str
    app: str
    reason: str = ""
    by: str = UNKNOWN
    since: datetime | None = None
    until: datetime | None = None


def is_over(hold: Hold, now: datetime) -> bool:
    """Whether its end has come; ``now`` is aware."""
    return hold.until is not None and hold.until <= now


def path_of(environment: str, app: str) -> str:
    """Where a hold stands. Raises UsageError for a name that cannot be a file's there."""
    for what, name in (("environment", environment), ("app", app)):
        if (why := _why_not(name)) is not None:
            raise UsageError(
                f"{what} {one_line(name)!r} cannot be held: {why}",
                next_step=f"name the {what} as the configuration or its images do",
            )
    return f"{ROOT}/{environment}/{app}"


def _why_not(name: str) -> str | None:
    """What is wrong with a name as one component of a path; nothing for None."""
    if not name or not name.isprintable() or name != name.strip():
        return "the name is empty, or has blanks around it or unreadable characters"
    if "/" in name or "\\" in name or name.startswith(".") or name.lower().startswith("git~"):
        return "the name would be a path"
    if name.lower().endswith(_MANIFESTS):
        return "its file would look like a manifest"
    if len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        return "the name is too long"
    return None


def read_holds(
    repository: Repository, snapshot: Snapshot, environment: str | None = None
) -> tuple[Hold, ...]:
    """The holds of one environment or of all, those that are over too, by environment and app.

    Raises ConfigError where an environment's holds are no directory.
    """
    entries = files_of(repository, snapshot, environment)
    contents = dict(repository.read(one.blob for one in entries if one.is_regular))
    holds = []
    for entry in entries:
        where, slash, app = entry.path.removeprefix(f"{ROOT}/").partition("/")
        if slash:  # else a note of somebody's, beside the environments
            # A link or a submodule says nothing that can be read: it holds.
            holds.append(parse(where, app, contents.get(entry.blob, b"")))
    return tuple(sorted(holds, key=lambda hold: (hold.environment, hold.app)))


def files_of(repository: Repository, snapshot: Snapshot, environment: str | None) -> list[Entry]:
    """What stands in the directory of one environment's holds, or of all. Raises as `read_holds`."""
    directory = ROOT if environment is None else f"{ROOT}/{environment}"
    entries = repository.entries(snapshot, [directory])
    if any(one.path == directory for one in entries):
        raise ConfigError(
            "holds stand in a directory, and this is none",
            file=directory,
            next_step="replace it by a directory, or delete it",
            reason="holds",
        )
    return entries


def parse(environment: str, app: str, content: bytes) -> Hold:
    """The hold that a file's content means; never an error."""
    told: dict[str, list[str]] = {}
    for line in content[:_MOST_BYTES].decode("utf-8-sig", "replace").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            told.setdefault(key.strip().lower(), []).append(one_line(value))
    since, until = (_time(told.get(key, [])) for key in ("since", "until"))
    return Hold(
        environment,
        app,
        told.get("reason", [""])[0],
        told.get("by", [""])[0] or UNKNOWN,
        since,
        until if len(content) <= _MOST_BYTES else None,
    )


def _time(values: list[str]) -> datetime | None:
    """The one time that is told; None for several, and for what is no time with a zone."""
    try:
        [text] = values
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def parse_until(text: str, now: datetime) -> datetime:
    """The end that a person means: a time with its zone, a date (its beginning, UTC), or a span from ``now``.

    Raises:
        ValueError: the text has another form, or the time has come already.
    """
    try:
        when = now + parse_span(text)
    except ValueError:
        when = _moment(text)
    if when <= now:
        raise ValueError(f"{shorten(text)} is in the past")
    return when.astimezone(UTC).replace(microsecond=0)


# RFC 3339 (5.6): date-time, also without seconds, or full-date.
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9:.]{5,}(?:[Zz]|[+-][0-9]{2}:[0-9]{2}))?")


def _moment(text: str) -> datetime:
    try:
        if _MOMENT.fullmatch(text):
            moment = datetime.fromisoformat(text.upper())
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # the 30th of February
        pass
    raise ValueError(
        f"{shorten(text)} is no time; expected e.g. 2026-12-24T12:00:00Z, 2026-12-24, or 3d from now"
    )


def render(hold: Hold) -> bytes:
    """The file's content."""
    lines = [f"reason: {reason}"] if (reason := one_line(hold.reason)) else []
    lines.append(f"by: {one_line(hold.by) or UNKNOWN}")
    lines += [f"{key}: {shown(when)}" for key, when in (("since", hold.since), ("until", hold.until)) if when]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def shown(when: datetime) -> str:
    """A time as RFC 3339 writes it, in UTC, to the second."""
    return when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def told(one: Hold, now: datetime) -> HoldReport:
    """A hold as the outcome tells of it."""
    return HoldReport(
        one.environment,
        one.app,
        one.reason,
        one.by,
        shown(one.since) if one.since is not None else None,
        shown(one.until) if one.until is not None else None,
        is_over(one, now),
    )
