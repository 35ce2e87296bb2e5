"""Title, description and merge message of a pull request, from what it does.

Everything that others wrote stands in code there, or as text that does nothing
(`promoter.proposal.inert`). The description ends in the hidden marker and then the
trailers, since some forges make it the message of a squash; Gitea cuts that at a line of
three hyphens, so none is written above. Limits are counted in characters, as GitHub
(65,536) and GitLab (1,048,576) do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from promoter.errors import RefusedError
from promoter.message import change_lines, fill, link_or_plain, trailer_block
from promoter.proposal import sections
from promoter.proposal.inert import JOINER, code, plain
from promoter.proposal.marker import render
from promoter.proposal.wanted import trailers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from promoter.gates import Gate
    from promoter.outcome import Change, Notice
    from promoter.proposal.marker import Marker
    from promoter.proposal.wanted import Wanted

_SHORT = 12  # characters of a commit id
_TITLE = "promote {app} to {tag} in {environment}"
_TITLE_OF_ROLLBACK = "roll {app} back to {tag} in {environment}"
_TITLE_OF_SEVERAL = "promote {app} in {environment}"
# What is shortened first, and to how many entries or lines.
_SHORTENED = (
    *(("changes", 20), ("diff", 0), ("changes", 0)),
    *(("warnings", 0), ("findings", 0), ("sources", 0), ("notes", 0)),
)


@dataclass(frozen=True)
class Described:
    """The facts of one pull request.

    ``changes`` are the sites that it moves; ``previous`` gives the source revision of what
    runs now, by the image's name; ``notes`` are sentences for people ("a person set …");
    ``commands`` are pairs of what for and the command line.
    """

    environment: str
    wanted: tuple[Wanted, ...]
    changes: tuple[Change, ...]
    marker: Marker
    previous: Mapping[str, str] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[Notice, ...] = ()
    findings: tuple[Notice, ...] = ()
    diff: str | None = None
    commands: tuple[tuple[str, str], ...] = ()

    @property
    def apps(self) -> tuple[str, ...]:
        """The apps, each once; what the marker is of, where nothing is wanted any more."""
        return tuple(dict.fromkeys(one.app for one in self.wanted)) or (self.marker.key,)


def title(template: str | None, described: Described, limit: int = 255) -> str:
    """The title in at most ``limit`` characters; ``template`` has `TITLE_PLACEHOLDERS`."""
    text = fill(template or _usual_title(described), _values(described, plain))
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def body(template: str | None, described: Described, limit: int) -> str:
    """The description in at most ``limit`` characters; ``template`` has `BODY_PLACEHOLDERS`.

    Where it is too long, the table of changes is shortened, then the diff, then the table
    again, then the other lists. Marker and trailers stay; only where both alone are too
    long the trailers go, which the marker has as well.

    Raises RefusedError where not even the marker fits.
    """
    tail = render(described.marker)
    if len(tail) > limit:
        raise RefusedError(
            f"{len(described.wanted)} images are more than one pull request's description can hold",
            next_step="merge what is open, or give each app its own pull request (group: app)",
            reason="too-many-images",
        )
    with_trailers = f"{tail}\n\n{trailer_block(trailers_of(described.environment, described.wanted))}"
    tail = with_trailers if len(with_trailers) <= limit else tail
    room = limit - len(tail) - 2
    text = _shortened(template, described, room)
    if len(text) > room:
        text = f"{text[: room - 1]}…" if room > 0 else ""
    return f"{text}\n\n{tail}" if text else tail


def landing_message(template: str | None, described: Described) -> tuple[str, str]:
    """Subject and text of the commit that a merge makes: as a push would write it (``commit.message``)."""
    default = f"{_usual_title(described)}\n\n{{changes}}"
    values = {
        **_values(described, plain),
        "changes": change_lines(_moved(described)),
        "run": ", ".join(_unique(link_or_plain(one.origin.run_url) for one in described.wanted)),
    }
    subject, _, rest = fill(template or default, values).strip().partition("\n")
    block = trailer_block(trailers_of(described.environment, described.wanted))
    return subject.strip(), f"{rest.strip()}\n\n{block}".lstrip("\n")


def notes_of(wanted: Sequence[Wanted]) -> tuple[str, ...]:
    """What people should know of the runs: where images come from, holds, and gates that are passed."""
    return tuple(dict.fromkeys(note for one in wanted for note in _notes(one)))


def _notes(one: Wanted) -> Iterator[str]:
    told = {}
    for option in one.options:
        name, equals, value = option.partition("=")
        if equals:
            told[name] = value
    environment, _, commit = told.get("from", "").partition(" ")
    if commit and one.is_rollback:
        yield f"{one.app} goes back to what {environment} ran from {commit[:_SHORT]} on"
    elif commit:
        soaked = ", the newest that has soaked there" if one.has_soaked else ""
        yield f"{one.app} comes from {environment} at {commit[:_SHORT]}{soaked}"
    if one.holds:
        until = f" until {told['held-until']}" if "held-until" in told else ""
        reason = f": {told['hold']}" if told["hold"] else ""
        yield f"from then on {one.app} is held by {told.get('held-by', 'unknown')}{until}{reason}"
    if one.lifts:
        yield f"the hold on {one.app} ends"
    if one.override:
        yield f"gates but holds are passed: {one.override}"


def _usual_title(described: Described) -> str:
    if len(described.apps) == 1 and described.wanted and all(one.is_rollback for one in described.wanted):
        return _TITLE_OF_ROLLBACK
    return _TITLE if len(described.apps) == 1 and described.wanted else _TITLE_OF_SEVERAL


# --- the parts -------------------------------------------------------------------------------


def _values(described: Described, written: Callable[[str], str]) -> dict[str, str]:
    wanted = described.wanted
    images = [one.image for one in wanted]
    short = [one.tag or (one.digest or "")[:19] for one in images]
    return {
        "app": _and_more(described.apps, written),
        "apps": ", ".join(written(app) for app in described.apps),
        "environment": written(described.environment),
        "image": _and_more([str(image) for image in images], written),
        "images": ", ".join(written(str(image)) for image in images),
        "tag": _and_more(short, written),
        "revision": _and_more([one.origin.revision or "" for one in wanted], written),
        "actor": _and_more([one.origin.actor or "" for one in wanted], written),
    }


def _and_more(values: Sequence[str], written: Callable[[str], str]) -> str:
    """The first and how many others there are."""
    known = _unique(values)
    if not known:
        return ""
    return written(known[0]) + (f" and {len(known) - 1} more" if len(known) > 1 else "")


def _unique(values: object) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))  # type: ignore[attr-defined]


def _moved(described: Described) -> list[Change]:
    return [change for change in described.changes if change.before != change.after]


def _shortened(template: str | None, described: Described, room: int) -> str:
    """The text above the marker, as complete as the room allows."""
    parts = _parts(described)
    filled = {name: write(count) for name, (count, write) in parts.items()}
    shown = {name: count for name, (count, _) in parts.items()}
    for name, least in _SHORTENED:
        text = _upper(template, described, filled)
        if len(text) <= room:
            return text
        write = parts[name][1]
        others = len(text) - len(filled[name])
        low, high = min(least, shown[name]), shown[name]
        while low < high:  # the greatest count that fits, else the least
            middle = (low + high + 1) // 2
            low, high = (middle, high) if others + len(write(middle)) <= room else (low, middle - 1)
        shown[name], filled[name] = low, write(low)
    return _upper(template, described, filled)


def _parts(described: Described) -> dict[str, tuple[int, Callable[[int], str]]]:
    """The sections: how many entries or lines each has, and how it is written with fewer of them."""
    moved, notes, diff = _moved(described), described.notes, (described.diff or "").splitlines()
    wanted, previous = described.wanted, described.previous
    warnings, findings = described.warnings, described.findings
    return {
        "changes": (len(moved), lambda most: sections.changes(moved, most)),
        "gates": (0, lambda _: sections.gates(described.gates)),
        "notes": (len(notes), lambda most: sections.notes(notes, most)),
        "sources": (len(wanted), lambda most: sections.sources(wanted, previous, most)),
        "warnings": (len(warnings), lambda most: sections.notices("Warnings", warnings, most)),
        "findings": (len(findings), lambda most: sections.notices("Findings", findings, most)),
        "diff": (len(diff), lambda most: sections.diff(diff, most)),
        "help": (0, lambda _: sections.help_text(described.environment, described.commands)),
    }


# A template must not hold what only promoter writes.
_FALSE_MARKER = re.compile(r"<(?=!--\s*promoter\s*:)", re.IGNORECASE)


def _upper(template: str | None, described: Described, filled: Mapping[str, str]) -> str:
    if template is None:
        return "\n\n".join(text for text in filled.values() if text)
    runs = _unique(one.origin.run_url for one in described.wanted)
    values = {
        **_values(described, code),
        **filled,
        "run": ", ".join(sections.link("run", url) or code(url) for url in runs),
    }
    return fill(_FALSE_MARKER.sub(f"<{JOINER}", template), values).strip()
