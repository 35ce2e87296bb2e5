"""Two environments side by side, image by image. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from promoter.decide import is_same
from promoter.overview.board import order_by_version
from promoter.proposal.links import compare_url

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from promoter.image import ImageReference
    from promoter.intent import Origin
    from promoter.overview.board import ImageKey, Order
    from promoter.version import Order as TagOrder

Relation = Literal["same", "differs", "only-a", "only-b"]
Images = tuple[tuple[str, "ImageReference"], ...]
"""What an environment runs, as pairs of app and image."""

Sides = tuple[list["ImageReference"], list["ImageReference"]]
"""The references of one image of an app, in A and in B."""


@dataclass(frozen=True)
class Version:
    """A version that runs, and the source revision that it was built from, None where that is not known."""

    tag: str | None
    digest: str | None
    source: str | None = None


@dataclass(frozen=True)
class Difference:
    """One image of an app in both environments; several versions on a side are a canary.

    ``order`` says how what runs in B stands to what runs in A by version, None where one has
    none. ``compare_url`` shows the source commits between the two, from the older to the newer.
    """

    app: str
    image: str
    relation: Relation
    order: Order | None
    a: tuple[Version, ...]
    b: tuple[Version, ...]
    compare_url: str | None = None


@dataclass(frozen=True)
class Comparison:
    """What runs in ``a`` and what in ``b``, by app and image."""

    a: str
    b: str
    images: tuple[Difference, ...]


def pairs(a: Images, b: Images) -> dict[tuple[str, ImageKey], Sides]:
    """The references of each app's image on both sides, by app and name."""
    found: dict[tuple[str, ImageKey], Sides] = {}
    for side, images in enumerate((a, b)):
        for app, image in images:
            found.setdefault((app, image.key), ([], []))[side].append(image)
    return dict(sorted(found.items(), key=lambda one: (one[0][0], _name(*one[1]))))


def _name(a: Sequence[ImageReference], b: Sequence[ImageReference]) -> str:
    return (*a, *b)[0].name


def relation_of(a: Sequence[ImageReference], b: Sequence[ImageReference]) -> Relation:
    """How the two sides of one image stand to each other."""
    if not a or not b:
        return "only-a" if a else "only-b"
    alike = len(a) == len(b) and all(any(is_same(x.version, y.version) for y in b) for x in a)
    return "same" if alike else "differs"


def difference(
    app: str,
    a: Sequence[ImageReference],
    b: Sequence[ImageReference],
    order: TagOrder,
    origins: tuple[Callable[[ImageReference], Origin], Callable[[ImageReference], Origin]],
) -> Difference:
    """One image compared. ``origins`` give where a reference of each side was built, as far as known."""
    relation = relation_of(a, b)
    standing: Order | None = None
    link = None
    if relation == "same":
        standing = "same"
    elif relation == "differs":
        standing = "unknown"
        if len(a) == len(b) == 1:
            standing = order_by_version(b[0].version, a[0].version, order)
            before, after = origins[0](a[0]), origins[1](b[0])
            # Where nobody knows, what A has beyond B: that is what a promotion would bring.
            older, newer = (before, after) if standing == "newer" else (after, before)
            link = compare_url(newer, older.revision)
    told = [
        tuple(Version(one.tag, one.digest, origin(one).revision) for one in side)
        for side, origin in zip((a, b), origins, strict=True)
    ]
    return Difference(app, _name(a, b), relation, standing, told[0], told[1], link)
