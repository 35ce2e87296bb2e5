"""What is open: the promotions that wait in pull requests, or in branches where there is no forge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.git.branch import read_branch, trailers_of
from promoter.overview.board import Pending
from promoter.proposal import marker as markers
from promoter.proposal.wanted import wanted_from_trailers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promoter.config import Config
    from promoter.forges.port import Forge
    from promoter.git.repository import Repository, Snapshot


def open_promotions(
    repository: Repository, snapshot: Snapshot, config: Config, forge: Forge
) -> Iterator[Pending]:
    """The open promotions to the snapshot's branch, as their descriptions or commits tell of them.

    Raises PromoterError where forge or repository do not answer.
    """
    prefixes = sorted({one.pull_request.branch_prefix for one in config.environments.values()})
    listed = _on_branches(repository, snapshot, prefixes)
    return _on_forge(forge, snapshot.base, prefixes) if forge.keeps_text else listed


def _on_forge(forge: Forge, base: str, prefixes: list[str]) -> Iterator[Pending]:
    for prefix in prefixes:
        for one in forge.open_below(f"{prefix}/"):
            marker = markers.read(one.body)
            if marker is not None and one.base == base:
                images = tuple(wanted.image for wanted in marker.wanted)
                yield Pending(marker.environment, images, one.number, one.url, one.branch)


def _on_branches(repository: Repository, snapshot: Snapshot, prefixes: list[str]) -> Iterator[Pending]:
    tips = repository.tips(*(f"refs/heads/{prefix}/*" for prefix in prefixes))
    for name, tip in sorted(tips.items()):
        commits = read_branch(repository, snapshot, name, tip).commits
        environments = trailers_of(commits, "Promoter-Environment")
        # Of an image that several commits name, the newest is what merging would bring.
        wanted = {one.slot: one.image for commit in commits for one in wanted_from_trailers(commit.trailers)}
        if environments and wanted:
            yield Pending(environments[0], tuple(wanted.values()), None, "", name)
