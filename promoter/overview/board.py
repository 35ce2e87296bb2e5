"""What runs where: the status board, made from facts that others have read. Pure (DESIGN §11).

A row is one image of one app, a column an environment. What history does not tell stays
None here and is said to be unknown by every report: a board never guesses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from promoter.decide import is_same
from promoter.version import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from promoter.decide import TagDigest
    from promoter.holds import Hold
    from promoter.image import ImageReference
    from promoter.version import Order as TagOrder

ImageKey = tuple[str, str]
"""``ImageReference.key``: registry and repository, equal for every spelling of one image."""

Order = Literal["same", "older", "newer", "unknown"]
"""How what runs here stands to what runs in the other environment, by version."""


# --- what goes in ------------------------------------------------------------------------


@dataclass(frozen=True)
class Past:
    """What history tells of one image in one environment.

    ``taken`` are the versions that came to run there, newest first, each with when (aware).
    ``edge`` is where older history is not known; what stood then may be older than that.
    """

    taken: tuple[tuple[TagDigest, datetime], ...] = ()
    edge: datetime | None = None


@dataclass(frozen=True)
class Pending:
    """An open promotion: a pull request, or on plain Git a branch (``number`` None, ``url`` empty)."""

    environment: str
    images: tuple[ImageReference, ...]
    number: int | None
    url: str
    branch: str


@dataclass(frozen=True)
class Look:
    """One environment as it is: its images by app, their past, its holds by app, and what closes it.

    ``after`` is the environment it takes images from. ``frozen`` says so to people, empty
    where nothing stands against landing now.
    """

    environment: str
    after: str | None
    images: tuple[tuple[str, ImageReference], ...]
    past: Mapping[ImageKey, Past] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)
    frozen: str = ""


# --- what comes out ----------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """A version that runs. ``since`` is when it came.

    Where history does not reach back that far, ``since_before`` is a time when it ran already;
    both are None where nothing is known.
    """

    tag: str | None
    digest: str | None
    since: datetime | None = None
    since_before: datetime | None = None


@dataclass(frozen=True)
class Proposed:
    """An open promotion of one image: what it would bring, and where it is."""

    tag: str | None
    digest: str | None
    number: int | None
    url: str
    branch: str


@dataclass(frozen=True)
class Cell:
    """One image in one environment.

    ``versions`` is empty where the environment does not use the image; several are a canary.
    ``drift`` says whether it differs from the environment before, ``order`` how, by version,
    and ``behind`` is the number of versions that ran there since; None where there is no
    such environment, or it does not use the image, or (``behind``) it is not known.
    """

    environment: str
    versions: tuple[Standing, ...] = ()
    drift: bool | None = None
    order: Order | None = None
    behind: int | None = None
    pull_requests: tuple[Proposed, ...] = ()
    hold: Hold | None = None

    @property
    def since(self) -> datetime | None:
        """When the newest of its versions came; None where that is not known."""
        return max((one.since for one in self.versions if one.since is not None), default=None)


@dataclass(frozen=True)
class Row:
    """One image of an app; ``cells`` stand in the order of the board's environments."""

    app: str
    image: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Column:
    """An environment, the one it takes images from, and what closes it now (empty: nothing)."""

    name: str
    after: str | None = None
    frozen: str = ""


@dataclass(frozen=True)
class Board:
    """Apps by environments, as of ``made`` (aware, UTC).

    ``repository`` names the manifest repository, without credentials. ``pull_requests_known``
    is False where the forge did not tell what is open.
    """

    repository: str
    base: str
    commit: str
    made: datetime
    environments: tuple[Column, ...]
    rows: tuple[Row, ...]
    pull_requests_known: bool = True

    def count(self, true_of: Callable[[Cell], object]) -> int:
        """The number of rows with a cell that something is true of."""
        return sum(any(true_of(cell) for cell in row.cells) for row in self.rows)


# --- from one to the other ---------------------------------------------------------------


def rows_of(
    looks: Sequence[Look],
    shown: Sequence[str],
    pending: Iterable[Pending],
    order_of: Callable[[ImageReference], TagOrder],
) -> tuple[Row, ...]:
    """The rows, sorted by app and image. ``shown`` names the environments, in the order of the cells.

    ``looks`` has these and those that they come after; ``order_of`` is how an image's tags are read.
    """
    by_name = {look.environment: look for look in looks}
    promotions = tuple(pending)
    found: dict[tuple[str, ImageKey], ImageReference] = {}
    for name in shown:
        for app, image in by_name[name].images:
            found.setdefault((app, image.key), image)
    return tuple(
        Row(
            app,
            image.name,
            tuple(_cell(app, image, by_name[name], by_name, promotions, order_of(image)) for name in shown),
        )
        for (app, _), image in sorted(found.items(), key=lambda one: (one[0][0], one[1].name))
    )


def _cell(
    app: str,
    image: ImageReference,
    look: Look,
    looks: Mapping[str, Look],
    pending: Iterable[Pending],
    order: TagOrder,
) -> Cell:
    here, past = versions(look, app, image), look.past.get(image.key, Past())
    before = looks.get(look.after or "")
    there = versions(before, app, image) if before is not None else ()
    compared = _compared(here, there, order) if here and there else None
    behind = None
    if compared is not None and before is not None and compared != "newer":
        behind = _behind(here, before.past.get(image.key, Past())) if compared != "same" else 0
    return Cell(
        look.environment,
        tuple(_standing(version, past) for version in here),
        drift=compared != "same" if compared is not None else None,
        order=compared,
        behind=behind,
        pull_requests=tuple(_proposed(image, look.environment, pending)),
        hold=look.holds.get(app) if here else None,
    )


def versions(look: Look, app: str, image: ImageReference) -> tuple[TagDigest, ...]:
    """The versions of an image that an app runs in an environment; none where it does not use it."""
    return tuple((one.tag, one.digest) for name, one in look.images if name == app and one.same_image(image))


def _standing(version: TagDigest, past: Past) -> Standing:
    came = next((when for taken, when in past.taken if is_same(taken, version)), None)
    return Standing(*version, since=came, since_before=past.edge if came is None else None)


def _compared(here: Sequence[TagDigest], there: Sequence[TagDigest], order: TagOrder) -> Order:
    if all(any(is_same(one, other) for other in there) for one in here) and len(here) == len(there):
        return "same"
    if len(here) > 1 or len(there) > 1:
        return "unknown"
    return order_by_version(here[0], there[0], order)


def order_by_version(one: TagDigest, other: TagDigest, order: TagOrder = "auto") -> Order:
    """How the first stands to the second; two digests of one tag have no order."""
    if is_same(one, other):
        return "same"
    sign = compare(one[0], other[0], order) if one[0] and other[0] else None
    return "older" if sign == -1 else "newer" if sign == 1 else "unknown"


def _behind(here: Iterable[TagDigest], there: Past) -> int | None:
    """How many versions ran there since the oldest of these did; None where it is not found."""
    counts = [_since(version, there) for version in here]
    known = [count for count in counts if count is not None]
    # None since, and yet not the same: there it was taken back, and that is no lag.
    return max(known) or None if len(known) == len(counts) else None


def _since(version: TagDigest, past: Past) -> int | None:
    later: list[TagDigest] = []
    for taken, _ in past.taken:
        if is_same(taken, version):
            return len(later)
        if not any(is_same(taken, one) for one in later):
            later.append(taken)
    return None


def _proposed(image: ImageReference, environment: str, pending: Iterable[Pending]) -> Iterable[Proposed]:
    for one in pending:
        for wanted in one.images:
            if one.environment == environment and wanted.same_image(image):
                yield Proposed(wanted.tag, wanted.digest, one.number, one.url, one.branch)
