"""Two runs that want the same image in a pull request. Pure (DESIGN §9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter.decide import Action, Policy, SiteHistory, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from promoter.proposal.wanted import Wanted


@dataclass(frozen=True)
class Merged:
    """``wanted`` in a stable order: what was there keeps its place, what is new comes last.

    ``superseded`` are ours that are older than what is wanted already; ``refused`` are ours
    that a rule refuses, each with the reason and its slug: an older version but a newer build
    (``downgrade``), or what is rolled back and ``held`` there. ``says_more``: ours says more of an
    image that was there, which the head has to tell.
    """

    wanted: tuple[Wanted, ...]
    superseded: tuple[Wanted, ...] = ()
    refused: tuple[tuple[Wanted, str, str], ...] = ()
    says_more: bool = False


def policy_of(wanted: Wanted) -> Policy:
    """The policy that the options of its run make, where the image has no configured order."""
    given = wanted.options
    return Policy(
        allow_downgrade="allow-downgrade" in given,
        again="again" in given,
        rollback="rollback" in given,
    )


def merge(
    present: Sequence[Wanted], ours: Sequence[Wanted], policy: Callable[[Wanted], Policy] = policy_of
) -> Merged:
    """Both together; of one image the newer, by the rules of `promoter.decide.judge`.

    The same reference stays as it is there, unless ours `adds_to` it; where nothing tells which is
    newer, ours wins. Images that only ``present`` has are kept. An app that is rolled back and held
    there takes only another rollback, which ends its other promotions, or a run that lifts holds.
    """
    back = {one.app for one in ours if one.holds}
    lifted = {one.app for one in ours if one.lifts}
    # Going back takes the app's other promotions along: they would land beside the hold.
    staying = [one for one in present if one.holds or one.app not in back]
    slots = {one.slot: one.without_hold() if one.app in lifted else one for one in staying}
    held = {one.app for one in slots.values() if one.holds}
    superseded, refused, says_more = [], [], False
    for one in ours:
        there = slots.get(one.slot)
        if one.app in held and not one.holds and (there is None or there.image != one.image):
            refused.append((one, "the app is rolled back there, and held", "held"))
            continue
        if there is None:
            slots[one.slot] = one
            continue
        verdict = judge(
            (there.image.tag, there.image.digest),
            (one.image.tag, one.image.digest),
            build=one.origin.build,
            history=SiteHistory(there.origin.build, ()),
            policy=policy(one),
        )
        if verdict.action is Action.MOVE:
            slots[one.slot] = one
        elif verdict.action is Action.UNCHANGED and one.adds_to(there):
            slots[one.slot], says_more = one, True
        elif verdict.action is Action.SUPERSEDED:
            superseded.append(one)
        elif verdict.action is Action.REFUSE:
            refused.append((one, verdict.why, "downgrade"))
    return Merged(tuple(slots.values()), tuple(superseded), tuple(refused), says_more)
