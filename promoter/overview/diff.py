"""Two environments compared: read where they live, with the source of what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.config import environment
from promoter.errors import NotFoundError
from promoter.hands import views
from promoter.image import ImageReference
from promoter.intent import Origin
from promoter.inventory import running
from promoter.outcome import Outcome
from promoter.overview.compare import Comparison, difference, pairs, relation_of
from promoter.overview.status import order_of
from promoter.past.standing import since
from promoter.proposal.wanted import trailers_for
from promoter.rules import config_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from promoter.hands import Hands, View
    from promoter.options import BumpOptions
    from promoter.overview.board import ImageKey
    from promoter.overview.compare import Images, Sides
    from promoter.past.standing import Since


def diff(
    template: BumpOptions,
    hands: Hands,
    names: tuple[str, str],
    apps: Sequence[str] = (),
    images: Sequence[str] = (),
) -> Outcome:
    """What runs in the first environment and what in the second, of these apps and images or of all.

    Raises PromoterError where one cannot be read, NotFoundError where neither runs what was named.
    """
    snapshot = hands.repository.open(hands.base)
    config = config_of(template, hands.repository, snapshot)
    seen = views(hands, config, snapshot, [environment(config, name) for name in names])
    found = [_images(one) for one in seen]
    _check_named(names, apps, images, (*found[0], *found[1]))
    paired = pairs(*(_picked(one, apps, images) for one in found))
    origins = _origins(seen[0], paired, 0), _origins(seen[1], paired, 1)
    compared = tuple(
        difference(app, a, b, order_of((*a, *b)[0], config), origins) for (app, _), (a, b) in paired.items()
    )
    return Outcome(
        verb="diff",
        status="unchanged",
        reason="compared",
        base=snapshot.base,
        diff=Comparison(*names, compared),
    )


def _images(one: View) -> Images:
    found = running(one.repository, one.snapshot, one.config, one.environment)
    return tuple((each.app, each.image) for each in found)


def _picked(found: Images, apps: Sequence[str], images: Sequence[str]) -> Images:
    keys = {ImageReference(name).key for name in images}
    return tuple(
        (app, image) for app, image in found if (not apps or app in apps) and (not keys or image.key in keys)
    )


def _check_named(
    names: tuple[str, str],
    apps: Iterable[str],
    images: Iterable[str],
    found: Iterable[tuple[str, ImageReference]],
) -> None:
    listed = list(found)
    keys = {image.key for _, image in listed}
    absent = [f"app {app!r}" for app in apps if app not in {app for app, _ in listed}]
    absent += [f"image {name}" for name in images if ImageReference(name).key not in keys]
    if absent:
        raise NotFoundError(
            f"neither {names[0]} nor {names[1]} runs the {absent[0]}",
            next_step=f"promoter status {names[0]} {names[1]} lists what runs there",
        )


# --- where what differs was built ----------------------------------------------------------


def _origins(
    one: View, paired: Mapping[tuple[str, ImageKey], Sides], side: int
) -> Callable[[ImageReference], Origin]:
    """What gives a reference's origin: the trailers of the commit that brought it, empty where none tell."""
    images = {image for sides in paired.values() if relation_of(*sides) != "same" for image in sides[side]}
    came = since(one.repository, one.snapshot, one.config, one.environment, images) if images else {}
    return lambda image: _origin(image, came.get(image))


def _origin(image: ImageReference, came: Since | None) -> Origin:
    told = trailers_for(came.landing.trailers, image) if came is not None and came.landing is not None else {}
    return Origin(revision=told.get("Promoter-Source"), run_url=told.get("Promoter-Run"))
