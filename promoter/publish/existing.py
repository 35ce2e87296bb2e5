"""What is there of a proposal: its branch as Git has it, its pull request as the forge tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter.forges.port import PullRequest
from promoter.git.branch import read_branch
from promoter.proposal import marker as markers
from promoter.proposal.wanted import wanted_from_trailers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promoter.forges.port import Forge
    from promoter.git.branch import Branch
    from promoter.git.repository import Repository, Snapshot
    from promoter.proposal.marker import Marker
    from promoter.proposal.wanted import Wanted


@dataclass(frozen=True)
class Existing:
    """What is there. ``tip`` is the branch's, empty without one.

    ``branch`` is None where its commits have had their turn: merged, or closed with their
    pull request. ``last`` is the newest pull request that is not open. ``wanted`` are the
    images that the proposal holds.
    """

    name: str
    tip: str
    branch: Branch | None
    open: PullRequest | None
    last: PullRequest | None
    marker: Marker | None
    wanted: tuple[Wanted, ...]


@dataclass(frozen=True)
class Known:
    """What somebody who looked at all of them has seen of one."""

    tip: str
    pull_requests: Sequence[PullRequest]


def look(
    repository: Repository, forge: Forge, base: Snapshot, name: str, known: Known | None = None
) -> Existing:
    """Read a proposal's branch and pull requests, but for what is known already."""
    if known is None:
        known = Known(repository.tips(f"refs/heads/{name}").get(name, ""), forge.find(name))
    tip, found = known.tip, [one for one in known.pull_requests if one.base == base.base]
    is_open = next((one for one in found if one.state == "open"), None)
    last = next((one for one in found if one.state != "open"), None)
    had_its_turn = is_open is None and any(one.head == tip for one in found)
    # A branch that is at the base itself has nothing of its own to read.
    reads = tip not in ("", base.commit) and not had_its_turn
    branch = read_branch(repository, base, name, tip) if reads else None
    if branch is not None and not branch.commits:
        branch = None
    if not forge.keeps_text and branch is not None:  # the branch is all that can be seen of it
        is_open = PullRequest(None, "", name, base.base, tip, "open")
    marker = markers.read(is_open.body) if is_open is not None else None
    return Existing(name, tip, branch, is_open, last, marker, _wanted(branch, marker))


def _wanted(branch: Branch | None, marker: Marker | None) -> tuple[Wanted, ...]:
    """What the commits say, and of images that none of them names what the text says.

    Of the same run the text says more: trailers hold neither actor nor author.
    """
    told = {one.slot: one for one in marker.wanted} if marker is not None else {}
    listed = dict(told)
    for commit in branch.commits if branch is not None else ():
        for one in wanted_from_trailers(commit.trailers):
            there = told.get(one.slot)
            same = there is not None and (there.image, there.promoter_id) == (one.image, one.promoter_id)
            listed[one.slot] = there if same and there is not None else one
    return tuple(listed.values())


def was_closed_by_a_person(last: PullRequest | None, ours: Sequence[Wanted]) -> bool:
    """Whether somebody closed a pull request that held just these images."""
    if last is None or last.state != "closed" or not ours:
        return False
    marker = markers.read(last.body)
    if marker is None or marker.closed is not None:
        return False
    held = {str(one.image) for one in marker.wanted}
    return all(str(one.image) in held for one in ours)
