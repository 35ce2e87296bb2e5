"""What history tells of the versions that a comparison is about, and no further than that."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from promoter.decide import is_same
from promoter.image import ImageReference
from promoter.overview.board import Past
from promoter.past.timeline import Edge, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from promoter.decide import TagDigest
    from promoter.hands import View
    from promoter.overview.board import ImageKey


def pasts(view: View, wanted: Mapping[ImageKey, Iterable[TagDigest]]) -> dict[ImageKey, Past]:
    """For each image what came to run in the environment, back to the oldest of the wanted versions.

    Older history is fetched in steps only while a version is missing (DESIGN §8's bound).
    """
    missing = {key: list(versions) for key, versions in wanted.items() if versions}
    taken: dict[ImageKey, list[tuple[TagDigest, datetime]]] = defaultdict(list)
    edge: datetime | None = None
    for step in walk(view.repository, view.snapshot, view.config, view.environment) if missing else ():
        if isinstance(step, Edge):
            edge = step.when
            break
        key = ImageReference(step.image).key
        if key not in missing:
            continue
        for version in step.after:
            if not any(is_same(version, before) for before in step.before):
                taken[key].append((version, step.landing.when))
                missing[key] = [one for one in missing[key] if not is_same(one, version)]
        if not missing[key]:
            del missing[key]
        if not missing:
            break
    return {key: Past(tuple(taken[key]), edge) for key in wanted}
