"""What landed in environments, as a report tells it: who, when, from what to what, by which run. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from promoter.ci import parse_time
from promoter.image import ImageReference, looks_like_reference
from promoter.past.timeline import is_taken_back
from promoter.proposal.wanted import trailers_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from promoter.edit import Version
    from promoter.past.timeline import Move

Kind = Literal["promotion", "rollback", "revert", "by-hand"]


@dataclass(frozen=True)
class ImageMove:
    """One image of an entry; ``before`` and ``after`` are its references, several for a canary."""

    image: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """What one landing did to one app in one environment.

    ``kind`` is ``rollback`` where it went back to what stood just before, however that was done;
    ``by-hand`` is a person, or another tool. ``run``, ``source`` (revision), ``came_from`` (what
    it was copied from, or gone back to) and ``override`` (the reason) are as the run wrote them.
    """

    environment: str
    app: str
    when: datetime
    commit: str
    author: str
    subject: str
    kind: Kind
    pull_request: str | None
    run: str | None
    source: str | None
    source_time: datetime | None
    came_from: str | None
    override: str | None
    images: tuple[ImageMove, ...]

    @property
    def deploys(self) -> bool:
        """Whether a version came to run that did not before."""
        return any(set(one.after) - set(one.before) for one in self.images)


def entries(moves: Iterable[Move]) -> list[Entry]:
    """The moves of one environment, newest first as they are walked, one entry for each landing and app."""
    listed = list(moves)
    earlier = _moves_before(listed)
    grouped: dict[tuple[str, str], list[Move]] = defaultdict(list)
    for move in listed:
        grouped[move.landing.commit, move.app].append(move)
    return [_entry(group, earlier) for group in grouped.values()]


def _moves_before(listed: Sequence[Move]) -> Mapping[int, Move]:
    """For each move the one before it of the same image in the same app, where that is known."""
    found: dict[int, Move] = {}
    newer: dict[tuple[str, tuple[str, str]], Move] = {}
    for move in listed:
        place = move.app, ImageReference(move.image).key
        if place in newer:
            found[id(newer[place])] = move
        newer[place] = move
    return found


def _entry(group: Sequence[Move], earlier: Mapping[int, Move]) -> Entry:
    first, landing = group[0], group[0].landing
    told = next((found for move in group if (found := _told(move))), {})
    return Entry(
        environment=first.environment,
        app=first.app,
        when=landing.when,
        commit=landing.commit,
        author=landing.author,
        subject=landing.subject,
        kind=_kind(group, told, earlier),
        pull_request=landing.pull_request,
        run=told.get("Promoter-Run"),
        source=told.get("Promoter-Source"),
        source_time=parse_time(told.get("Promoter-Source-Time")),
        came_from=told.get("Promoter-From"),
        override=told.get("Promoter-Override"),
        images=tuple(
            ImageMove(move.image, _references(move.image, move.before), _references(move.image, move.after))
            for move in group
        ),
    )


def _references(name: str, versions: Iterable[Version]) -> tuple[str, ...]:
    return tuple(str(ImageReference(name, *version)) for version in versions)


def _told(move: Move) -> dict[str, str]:
    """The trailers of the run that brought the image; those of another app's run say nothing of it."""
    image = ImageReference(move.image)
    told = trailers_for(move.landing.trailers, image)
    named = [looks_like_reference(value) for key, value in move.landing.trailers if key == "Promoter-Image"]
    is_named = any(one is not None and one.same_image(image) for one in named)
    return told if is_named or told.get("Promoter-App") == move.app else {}


def _kind(group: Sequence[Move], told: Mapping[str, str], earlier: Mapping[int, Move]) -> Kind:
    if group[0].landing.reverts:
        return "revert"
    if is_taken_back(group[0]):
        return "rollback"
    changed = [move for move in group if move.before and move.after]
    if changed and all(_goes_back(move, earlier.get(id(move))) for move in changed):
        return "rollback"
    return "promotion" if told else "by-hand"


def _goes_back(move: Move, earlier: Move | None) -> bool:
    return earlier is not None and earlier.before == move.after
