"""What a plan would bring, as gates, limits and holds are asked of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from promoter.intent import owners_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from promoter.image import ImageReference
    from promoter.moves import Decision
    from promoter.plan import Plan
    from promoter.proposal.wanted import Wanted
    from promoter.rules import Rules


@dataclass(frozen=True)
class Coming:
    """An image that moves, as gates are asked of it; ``apps`` are those whose holds bear on it."""

    wanted: Wanted
    apps: frozenset[str]


def coming(plan: Plan, rules: Rules, wanted: Iterable[Wanted]) -> tuple[Coming, ...]:
    """The images of a run that move to some site: what stays as it is passes no gate."""
    by_image = {one.image: one for one in wanted}
    return tuple(
        Coming(by_image[decision.wish.image], frozenset(apps_of(decision, plan.intent.app, rules)))
        for decision in plan.decisions
        if decision.fate == "move"
    )


def apps_of(decision: Decision, app: str, rules: Rules) -> set[str]:
    """The apps whose holds bear on an image: its run's, and all that it belongs to where it moves.

    A run is named after its first image's app, or as its caller likes; a marker may give a site
    of another image.
    """
    choices = [one for one in decision.choices if one.status == "move"] or decision.choices
    files = [one.site.file for one in choices]
    names = [decision.wish.image, *(one.site.reference for one in choices)]
    return {app}.union(*(owners_of(name, files, rules.config, rules.environment) for name in names))


def named(decision: Decision) -> Iterator[ImageReference]:
    """The image that moves, and by their names the images whose sites a marker gives to it."""
    image = decision.wish.image
    if decision.fate == "move":
        yield image
        sites = (one.site.reference for one in decision.choices if one.status == "move")
        yield from {replace(image, name=site.name) for site in sites if not site.same_image(image)}
