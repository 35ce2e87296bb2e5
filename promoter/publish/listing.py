"""The open promotions to a branch: pull requests with a marker, or branches where no forge keeps text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter.git.branch import read_branch, trailers_of
from promoter.proposal import marker as markers
from promoter.proposal.branch_name import ALL
from promoter.proposal.wanted import wanted_from_trailers
from promoter.publish.existing import Known

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from promoter.config import Config
    from promoter.forges.port import Forge
    from promoter.git.repository import Repository, Snapshot
    from promoter.image import ImageReference


@dataclass(frozen=True)
class Promotion:
    """An open one: its branch, environment, key (the app, or ``_all``) and images.

    ``known`` is what the listing told of it, None where that has been overtaken.
    """

    name: str
    environment: str
    key: str
    images: tuple[ImageReference, ...]
    known: Known | None


def open_promotions(
    repository: Repository, snapshot: Snapshot, config: Config, forge: Forge
) -> Iterator[Promotion]:
    """The open promotions to the snapshot's branch, oldest first, of whatever environment.

    Raises PromoterError where forge or repository do not answer.
    """
    prefixes = sorted({one.pull_request.branch_prefix for one in config.environments.values()})
    tips = repository.tips(*(f"refs/heads/{prefix}/*" for prefix in prefixes))
    if not forge.keeps_text:
        yield from _on_branches(repository, snapshot, tips)
        return
    for prefix in prefixes:
        for one in forge.open_below(f"{prefix}/"):
            marker = markers.read(one.body)
            if marker is not None and one.base == snapshot.base and one.branch in tips:
                images = tuple(wanted.image for wanted in marker.wanted)
                known = Known(tips[one.branch], (one,))
                yield Promotion(one.branch, marker.environment, marker.key, images, known)


def _on_branches(repository: Repository, snapshot: Snapshot, tips: Mapping[str, str]) -> Iterator[Promotion]:
    for name, tip in sorted(tips.items()):
        commits = read_branch(repository, snapshot, name, tip).commits
        environments = trailers_of(commits, "Promoter-Environment")
        apps = trailers_of(commits, "Promoter-App")
        if environments and apps and trailers_of(commits, "Promoter-Image"):  # else a hold's
            key = ALL if name.endswith(f"/{ALL}") else apps[0]
            # Of an image that several commits name, the newest is what merging would bring.
            wanted = (one for commit in commits for one in wanted_from_trailers(commit.trailers))
            images = {one.slot: one.image for one in wanted}
            yield Promotion(name, environments[0], key, tuple(images.values()), Known(tip, ()))
