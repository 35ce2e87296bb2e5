"""The effects of a run, as the line sees them; the composition root (``session``) wires them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from promoter.errors import ConfigError
from promoter.rules import rules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from promoter.config import Config, Environment
    from promoter.forges.port import Forge
    from promoter.git.repository import Entry, Repository, Snapshot
    from promoter.image import ImageReference
    from promoter.intent import Origin
    from promoter.options import BumpOptions
    from promoter.plan import Validate, WriteCommit


class WriteFiles(Protocol):
    """Writes files, None for one to be deleted, as a commit on top of a snapshot; returns its id."""

    def __call__(
        self,
        snapshot: Snapshot,
        config: Config,
        files: Mapping[Entry, bytes | None],
        text: str,
        origin: Origin,
        *,
        signed: bool = True,
    ) -> str:
        """Write them. Raises PromoterError where the commit cannot be signed."""
        ...


@dataclass(frozen=True)
class Hands:
    """What a run can do to one branch of one repository.

    ``base`` is the branch that is meant, None for the remote's HEAD. ``forge`` connects to what
    a configuration means. ``home`` gives the hands for an environment that lives in another
    repository or on another branch than a snapshot of this one, None where it lives here.
    ``look_up`` asks the registry what the options want to know, ``exists`` whether an image is
    there (None: nobody can tell).
    """

    repository: Repository
    base: str | None
    write_commit: WriteCommit
    forge: Callable[[Config], Forge]
    validate: Validate
    home: Callable[[Environment, Snapshot], Hands | None]
    look_up: Callable[[BumpOptions, Config], BumpOptions]
    exists: Callable[[ImageReference], bool | None]
    write_files: WriteFiles


@dataclass(frozen=True)
class View:
    """An environment as it stands now, wherever it lives; ``hands`` reach the place."""

    hands: Hands
    snapshot: Snapshot
    config: Config
    environment: Environment

    @property
    def repository(self) -> Repository:
        """Where its files can be read."""
        return self.hands.repository


def settle(options: BumpOptions, hands: Hands) -> tuple[Hands, Snapshot]:
    """The place that the options' environment is written in, and its present tip.

    Raises ConfigError where that place's own configuration sends it elsewhere again: a write
    is ruled by the file of the branch that is written (DESIGN §5).
    """
    snapshot = hands.repository.open(hands.base)
    environment = rules_of(options, hands.repository, snapshot).environment
    there = hands.home(environment, snapshot)
    if there is None:
        return hands, snapshot
    snapshot = there.repository.latest(there.base)
    own = rules_of(options, there.repository, snapshot).environment
    # A file that names no branch for its environment means its own.
    if there.home(replace(own, base=own.base or snapshot.base), snapshot) is not None:
        raise ConfigError(
            f"{environment.name} lives at {there.repository.remote.url} on {snapshot.base}, "
            "and the configuration there says it lives elsewhere",
            next_step="leave repository and base out of the environment there, or have both files agree",
        )
    return there, snapshot


def views(
    hands: Hands, config: Config, snapshot: Snapshot, environments: Iterable[Environment]
) -> list[View]:
    """Several environments as they stand now, by one tip of each place for all that live there."""
    found: dict[int, View] = {}
    listed = []
    for one in environments:
        there = hands.home(one, snapshot) or hands
        if id(there) not in found:
            found[id(there)] = view(hands, config, snapshot, one)
        listed.append(replace(found[id(there)], environment=one))
    return listed


def view(hands: Hands, config: Config, snapshot: Snapshot, environment: Environment) -> View:
    """An environment, read where it lives: the paths are those that ``config`` gives it."""
    there = hands.home(environment, snapshot)
    if there is None:
        return View(hands, snapshot, config, environment)
    return View(there, there.repository.latest(there.base), config, environment)
