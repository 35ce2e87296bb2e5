"""What landed in environments, read where they live, newest first."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from promoter.config import environment
from promoter.errors import NotFoundError
from promoter.hands import views
from promoter.outcome import Notice, Outcome
from promoter.past.metrics import Metrics, Window, measure
from promoter.past.moves import entries
from promoter.past.timeline import Edge, walk
from promoter.rules import config_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from promoter.hands import Hands, View
    from promoter.options import BumpOptions
    from promoter.past.moves import Entry
    from promoter.past.timeline import Move

DEFAULT_WINDOW = timedelta(days=90)  # of --metrics

# How many more landings are looked at to tell whether the last ones listed went back to something.
_LOOK_BACK = 100
# A clock may have been wrong: so many landings in a row are older before nothing newer is expected.
_OLDER_IN_A_ROW = 20


@dataclass(frozen=True)
class Unknown:
    """Where an environment's known history ends: what landed before that is not known."""

    environment: str
    commit: str
    when: datetime


@dataclass(frozen=True)
class History:
    """What landed, newest first; in its place ``metrics`` where they were asked for.

    ``unknown_before`` are the environments whose older history was not to be had.
    """

    entries: tuple[Entry, ...]
    unknown_before: tuple[Unknown, ...]
    metrics: Metrics | None = None


@dataclass(frozen=True)
class Asked:
    """What of the history: ``app`` None for all, ``limit`` None for no limit, ``since`` aware."""

    environment: str | None
    app: str | None
    limit: int | None
    since: datetime | None
    metrics: bool
    now: datetime


def history(template: BumpOptions, hands: Hands, asked: Asked) -> Outcome:
    """What landed in an environment, or in all of them.

    Raises PromoterError where one cannot be read, NotFoundError where nothing is known of the app.
    """
    snapshot = hands.repository.open(hands.base)
    config = config_of(template, hands.repository, snapshot)
    names = [environment(config, asked.environment).name] if asked.environment else [*config.environments]
    seen = views(hands, config, snapshot, [config.environments[name] for name in names])
    read = [_read(one, asked) for one in seen]
    unknown = tuple(one for _, edge in read for one in edge)
    if asked.app is not None and not any(own for own, _ in read):
        _raise_unless_known(asked, unknown)
    if asked.metrics:
        measured = _metrics(asked, names, read)
        found = History((), unknown, measured)
    else:
        found = History(tuple(_merged(seen, [own for own, _ in read]))[: asked.limit], unknown)
    return Outcome(
        verb="history",
        status="unchanged",
        reason="shown",
        environment=asked.environment,
        app=asked.app,
        base=snapshot.base,
        warnings=tuple(_notice(one) for one in unknown),
        history=found,
    )


def _raise_unless_known(asked: Asked, unknown: Sequence[Unknown]) -> None:
    if asked.since is not None or asked.metrics or unknown:
        return  # it may have landed earlier than was looked
    where = asked.environment or "any environment"
    raise NotFoundError(
        f"no image of an app called {asked.app!r} ever landed in {where}",
        next_step="promoter history without --app lists what did; an app is by default called "
        "after the last component of its image",
        reason="unknown-app",
    )


def _notice(one: Unknown) -> Notice:
    text = f"what landed in {one.environment} before {one.commit[:12]} ({one.when:%Y-%m-%d}) is not known"
    return Notice("older-history-unknown", text)


# --- one environment -----------------------------------------------------------------------


def _read(one: View, asked: Asked) -> tuple[list[Entry], tuple[Unknown, ...]]:
    """The entries of one environment, and where its history ends before all that was asked for."""
    reading = _Reading(asked)
    moves: list[Move] = []
    edge: Edge | None = None
    walked = walk(one.repository, one.snapshot, one.config, one.environment, more=reading.asks_more)
    for step in walked:
        if isinstance(step, Edge):
            edge = step
        elif asked.app in (None, step.app):
            moves.append(step)
            reading.take(step)
        if not isinstance(step, Edge) and reading.is_over(step):
            break
    found = [entry for entry in entries(moves) if asked.since is None or entry.when >= asked.since]
    is_short = edge is not None and reading.asks_more(edge)
    unknown = (Unknown(one.environment.name, edge.commit, edge.when),) if edge and is_short else ()
    return found[: asked.limit], unknown


@dataclass
class _Reading:
    """How far back a history is read: as asked, and some landings more that tell what the last were."""

    asked: Asked
    _listed: set[tuple[str, str]] = field(default_factory=set)  # commit and app
    _beyond: set[str] = field(default_factory=set)
    _older: set[str] = field(default_factory=set)

    def take(self, move: Move) -> None:
        """Count a move."""
        self._listed.add((move.landing.commit, move.app))
        if self._is_full:
            self._beyond.add(move.landing.commit)

    @property
    def _is_full(self) -> bool:
        return self.asked.limit is not None and len(self._listed) > self.asked.limit

    def asks_more(self, edge: Edge) -> bool:
        """Whether what is older than the edge is worth fetching."""
        is_enough = self.asked.limit is not None and len(self._listed) >= self.asked.limit
        return not is_enough and (self.asked.since is None or edge.when >= self.asked.since)

    def is_over(self, move: Move) -> bool:
        """Whether nothing older matters any more."""
        is_older = self.asked.since is not None and move.landing.when < self.asked.since
        self._older = {*self._older, move.landing.commit} if is_older else set()
        return len(self._older) > _OLDER_IN_A_ROW or len(self._beyond) > _LOOK_BACK


# --- all of them ---------------------------------------------------------------------------


def _merged(views: Sequence[View], read: Sequence[list[Entry]]) -> Iterator[Entry]:
    """The entries of all environments: in the order of the branch on one branch, else by date."""
    lines: dict[tuple[int, str], list[Entry]] = {}
    for one, own in zip(views, read, strict=True):
        lines.setdefault((id(one.repository), one.snapshot.base), []).extend(own)
    ordered = []
    for one in views:
        place = id(one.repository), one.snapshot.base
        if place in lines:
            order = _order(one)
            ordered.append(sorted(lines.pop(place), key=lambda entry: order[entry.commit]))
    return (
        heapq.merge(*ordered, key=lambda entry: -entry.when.timestamp())
        if len(ordered) > 1
        else iter(ordered[0] if ordered else ())
    )


def _order(one: View) -> dict[str, int]:
    """The places of the commits on the first-parent line, as far as it is known."""
    listed = one.repository.git.must("rev-list", "--first-parent", one.snapshot.commit, "--").text.split("\n")
    return {commit: number for number, commit in enumerate(listed)}


def _metrics(
    asked: Asked, names: Sequence[str], read: Sequence[tuple[list[Entry], tuple[Unknown, ...]]]
) -> Metrics:
    since = asked.since or asked.now - DEFAULT_WINDOW
    windows, measured = [], []
    for name, (own, unknown) in zip(names, read, strict=True):
        begin = max([since, *(one.when for one in unknown)])
        window = Window(name, min(begin, asked.now), asked.now, complete=not unknown)
        windows.append(window)
        measured += measure(window, own)
    return Metrics(tuple(windows), tuple(measured))
