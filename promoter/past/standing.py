"""Since when what runs has run, and what ran before: questions to the timeline.

Each walks only as far back as its answer takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from promoter.image import ImageReference
from promoter.inventory import running
from promoter.past.timeline import Edge, is_taken_back, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime, timedelta

    from promoter.config import Config, Environment
    from promoter.edit import Version
    from promoter.git.landings import Landing
    from promoter.git.repository import Repository, Snapshot
    from promoter.past.timeline import Move


@dataclass(frozen=True)
class Since:
    """When a version came to stand. Where ``exact`` is False it has stood at least since ``when``.

    ``commit`` and ``landing`` brought it; both are None where that is older than what was looked at.
    """

    when: datetime
    commit: str | None
    exact: bool
    landing: Landing | None = None


def since(
    repository: Repository,
    snapshot: Snapshot,
    config: Config,
    environment: Environment,
    images: Iterable[ImageReference],
    enough: datetime | None = None,
) -> dict[ImageReference, Since]:
    """Since when each of these images (name, tag, digest) has run there; of one that is gone, had run.

    What has stood since before ``enough`` (aware) need not be told exactly. Missing are images
    without tag and digest.
    """
    versions = (image for image in images if image.tag or image.digest)
    waiting = {(image.key, (image.tag, image.digest)): image for image in versions}
    found: dict[ImageReference, Since] = {}

    def more(edge: Edge) -> bool:
        return enough is None or edge.when >= enough

    for one in walk(repository, snapshot, config, environment, waiting.values(), more=more):
        if isinstance(one, Edge):
            found |= {image: Since(one.when, None, exact=False) for image in waiting.values()}
            break
        for version in set(one.after) - set(one.before):
            image = waiting.pop((ImageReference(one.image).key, version), None)
            if image is not None:
                found[image] = Since(one.landing.when, one.landing.commit, exact=True, landing=one.landing)
        if not waiting:
            break
    return found


@dataclass(frozen=True)
class State:
    """What an app ran in an environment from a landing on, until the next newer state.

    An Edge in its place says that the landing is older than known history. ``versions`` are by
    the name of the image; an image that ran in several versions is in ``several`` instead.
    """

    landing: Landing | Edge
    versions: Mapping[str, Version]
    several: Mapping[str, tuple[Version, ...]] = field(default_factory=dict)


def states(
    repository: Repository,
    snapshot: Snapshot,
    config: Config,
    environment: Environment,
    app: str,
    most: int | None = None,
) -> list[State]:
    """What the app ran, newest first, the present state included; at most so many, None for all known.

    A state that runs nothing is where the app was absent.
    """
    found: list[State] = []
    for state in iterate_states(repository, snapshot, config, environment, app):
        found.append(state)
        if most is not None and len(found) >= most:
            break
    return found


def iterate_states(
    repository: Repository, snapshot: Snapshot, config: Config, environment: Environment, app: str
) -> Iterator[State]:
    """The same one by one: history is fetched only as far as they are asked for."""
    now: dict[str, tuple[Version, ...]] = {}
    for each in running(repository, snapshot, config, environment):
        if each.app == app and (each.image.tag or each.image.digest):
            version = each.image.tag, each.image.digest
            now[each.image.name] = (*now.get(each.image.name, ()), version)
    landing: Landing | None = None
    before = dict(now)
    for one in walk(repository, snapshot, config, environment):
        if isinstance(one, Edge):
            yield _state(landing or one, before if landing is None else now)
            if landing is not None:
                yield _state(one, before)
            return
        if one.app != app:
            continue
        if landing is not None and landing.commit != one.landing.commit:
            yield _state(landing, now)
            now = dict(before)
        landing = one.landing
        before[_name(one, before)] = one.before
    if landing is not None:
        yield _state(landing, now)


def _name(move: Move, held: Mapping[str, object]) -> str:
    """The image's name as the state spells it: a file may write it otherwise than another one."""
    key = ImageReference(move.image).key
    return next((name for name in held if ImageReference(name).key == key), move.image)


def _state(landing: Landing | Edge, held: Mapping[str, tuple[Version, ...]]) -> State:
    return State(
        landing,
        {name: versions[0] for name, versions in held.items() if len(versions) == 1},
        {name: versions for name, versions in held.items() if len(versions) > 1},
    )


def soaked(
    repository: Repository,
    snapshot: Snapshot,
    config: Config,
    environment: Environment,
    images: Iterable[ImageReference],
    soak: timedelta,
    now: datetime,
) -> dict[tuple[str, str], ImageReference]:
    """For each of these images, by its key, the newest version that has stood for ``soak``.

    Present versions count until ``now`` (aware). Only the names of ``images`` matter. Missing is
    an image of which no version is known to have stood so long. What was rolled back or reverted
    does not count.
    """
    names = {image.key: image.name for image in images}
    left: dict[tuple[str, str], dict[Version, datetime]] = {key: {} for key in names}
    for image in (one.image for one in running(repository, snapshot, config, environment)):
        if image.key in left and (image.tag or image.digest):
            left[image.key][image.tag, image.digest] = now
    found: dict[tuple[str, str], ImageReference] = {}
    references = [ImageReference(name) for name in names.values()]
    for one in walk(repository, snapshot, config, environment, references):
        if isinstance(one, Edge):
            for key, standing in left.items():
                enough = [version for version, until in standing.items() if until - one.when >= soak]
                if key not in found and enough:
                    found[key] = ImageReference(names[key], *enough[0])
            break
        key, when = ImageReference(one.image).key, one.landing.when
        for version in one.after:
            if version not in one.before:
                until = left[key].pop(version, None)
                if key not in found and until is not None and until - when >= soak:
                    found[key] = ImageReference(names[key], *version)
        if not is_taken_back(one):  # what a rollback left behind is wanted by nobody
            left[key] |= dict.fromkeys(set(one.before) - set(one.after), when)
        if len(found) == len(names):
            break
    return found
