"""What an environment ran, and since which commit: read from trees first, from trailers second.

Hand edits, reverts, squashes that keep only a title, moved files and other tools' commits
are all history. The order is that of the base's first-parent line, never that of dates.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter.discover.extent import Extent
from promoter.git.landings import landing_of, stretches
from promoter.past.at_commit import AtCommit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from promoter.config import Config, Environment
    from promoter.edit import Version
    from promoter.git.landings import Landed, Landing
    from promoter.git.repository import Repository, Snapshot
    from promoter.image import ImageReference

_AT_ONCE = 200  # landings whose files are held in memory together


@dataclass(frozen=True)
class Move:
    """An image of an app that a landing changed in an environment.

    ``before`` and ``after`` are its versions (tag, digest) there, none where it was not there;
    several are a canary. ``image`` is its name.
    """

    landing: Landing
    environment: str
    app: str
    image: str
    before: tuple[Version, ...]
    after: tuple[Version, ...]


def is_taken_back(move: Move) -> bool:
    """Whether the landing says that it goes back: a revert, or a rollback, from the environment itself."""
    froms = (value.partition(" ")[0] for key, value in move.landing.trailers if key == "Promoter-From")
    return move.landing.reverts or move.environment in froms


@dataclass(frozen=True)
class Edge:
    """Where known history ends. What stands unchanged until here has stood at least since ``when``."""

    commit: str
    when: datetime


def walk(
    repository: Repository,
    snapshot: Snapshot,
    config: Config,
    environment: Environment,
    images: Collection[ImageReference] | None = None,
    exclude: tuple[str, ...] = (),
    more: Callable[[Edge], bool] = lambda _: True,
) -> Iterator[Move | Edge]:
    """The moves in an environment, newest first; those of some images alone where they are given.

    The history is fetched in steps, as far as it is asked for. An Edge ends it where the bound
    is reached, or where ``more``, asked before more is fetched, says that this is enough; without
    one the whole history was seen.
    """
    if images is not None and not images:
        return
    extent = Extent(config, environment, exclude)
    wanted = None if images is None else {image.key for image in images}
    state = _present(repository, snapshot, extent)
    edge: Edge | None = None
    for stretch in stretches(repository, snapshot, extent.prefixes):
        landings = [
            one._replace(files=tuple(file for file in one.files if extent.is_read(file.path)))
            for one in stretch.landings
        ]
        repository.bring(file.before for one in landings for file in one.files if file.before)
        for start in range(0, len(landings), _AT_ONCE):
            some = landings[start : start + _AT_ONCE]
            contents = dict(repository.read(file.before for one in some for file in one.files if file.before))
            for landed in some:
                for key, move in _moves(landed, contents, state):
                    if wanted is None or key in wanted:
                        yield move
        edge = None
        if stretch.edge is not None:
            edge = Edge(stretch.edge, landing_of(repository, stretch.edge).when)
            if not more(edge):
                break
    if edge is not None:
        yield edge


def _moves(landed: Landed, contents: dict[str, bytes], state: AtCommit) -> list[tuple[tuple[str, str], Move]]:
    """What a landing did, with the images' keys; the state steps back over it."""
    files = {file.path: contents[file.before] if file.before else None for file in landed.files}
    afterwards, before, names = state.step(files)
    environment, found = state.extent.environment.name, []
    for app, key in sorted(before.keys() | afterwards.keys()):
        sides = before.get((app, key), ()), afterwards.get((app, key), ())
        if sides[0] != sides[1]:
            found.append((key, Move(landed.landing, environment, app, names[key], *sides)))
    return found


def _present(repository: Repository, snapshot: Snapshot, extent: Extent) -> AtCommit:
    """The environment as it stands in the snapshot."""
    paths: dict[str, list[str]] = defaultdict(list)
    for entry in repository.files(snapshot, extent.prefixes):
        if extent.is_read(entry.path):
            paths[entry.blob].append(entry.path)
    state = AtCommit(extent)
    state.step({path: content for blob, content in repository.read(paths) for path in paths[blob]})
    return state
