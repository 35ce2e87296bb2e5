"""Whether one site moves to the wanted reference: never backwards, and never on a guess that hides itself.

Versions decide where they can be compared, then the order of builds, then the run wins and says so; a
reference that already stood here does not come back by itself (DESIGN §8). Pure: the caller reads history,
and only when the answer depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from promoter.version import Order, compare

if TYPE_CHECKING:
    from datetime import datetime

TagDigest = tuple[str | None, str | None]


class Action(Enum):
    """What to do with a site."""

    MOVE = "move"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    REFUSE = "refuse"
    NEEDS_HISTORY = "needs-history"


@dataclass(frozen=True)
class Build:
    """What orders builds: of one run, or of the commit that introduced a reference.

    Never a job's start time: jobs of older builds start late. Where the namespace (platform, repository and
    workflow) is the same, the number decides; else the time of the source revision.
    """

    namespace: str | None = None
    number: int | None = None
    source_time: datetime | None = None  # aware

    @property
    def is_ordered(self) -> bool:
        """Whether anything here can be compared to another build."""
        return (self.namespace is not None and self.number is not None) or self.source_time is not None


@dataclass(frozen=True)
class SiteHistory:
    """What the bounded history of the manifest repository knows of one site.

    `introduced_by` is the build of the commit that introduced the current reference; None where that commit
    was not found or carries no build order (a person's `git revert`). `earlier` holds what stood at the site
    within these commits and is no longer current.
    """

    introduced_by: Build | None
    earlier: tuple[TagDigest, ...]


@dataclass(frozen=True)
class Policy:
    """The options that bear on order.

    With ``explicit`` a person asks for just this image: what a bump would pass over is refused.
    With ``rollback`` what ran here before comes back, whatever order says.
    """

    order: Order = "auto"
    allow_downgrade: bool = False
    again: bool = False
    strict_order: bool = False
    explicit: bool = False
    rollback: bool = False


@dataclass(frozen=True)
class Verdict:
    """The judgement of one site; `why` is empty only for a plain move forward."""

    action: Action
    why: str
    code: str


_EQUAL = Verdict(Action.UNCHANGED, "the site already holds this reference", "equal")
_RUN_WINS = Verdict(Action.MOVE, "this image has no order, so this run wins", "run-wins")
_FORCED = Verdict(
    Action.MOVE, "--allow-downgrade and --again let this run win, whatever landed before", "run-wins"
)
_RAN_BEFORE = Verdict(Action.MOVE, "", "rollback")
_NEWER_VERSION = Verdict(Action.MOVE, "", "newer-version")
_NEWER_BUILD = Verdict(Action.MOVE, "", "newer-build")
_OLDER_VERSION = Verdict(Action.SUPERSEDED, "the site already holds a newer version", "older-version")
_OLDER_BUILD = Verdict(Action.SUPERSEDED, "the site already holds a newer build", "older-build")
_HOTFIX = Verdict(
    Action.REFUSE,
    "an older version but a newer build, as from a hotfix line: --allow-downgrade lands it, "
    "--current GLOB picks the sites of its line",
    "hotfix",
)
_LANDED_BEFORE = Verdict(
    Action.SUPERSEDED,
    "it already landed here and is no longer current (an old job run again, or a revert): --again lands it",
    "landed-before",
)
_UNKNOWN_ORDER = Verdict(
    Action.MOVE, "the order of the two builds is not known, so this run wins", "unknown-order"
)
_NEEDS_HISTORY = Verdict(
    Action.NEEDS_HISTORY, "the versions alone do not decide: the site's history is needed", "needs-history"
)


def is_same(one: TagDigest, other: TagDigest) -> bool:
    """Whether both are one version, as far as they say: the digest decides where both have one."""
    if one[1] and other[1]:
        return one[1] == other[1]
    return one == other or (one[0] is not None and one[0] == other[0])


def judge(
    current: TagDigest,
    wanted: TagDigest,
    *,
    build: Build,
    history: SiteHistory | None,
    policy: Policy,
) -> Verdict:
    """The verdict for one site, whose pairs hold only what the site can express.

    `history` is None while it has not been read; `NEEDS_HISTORY` asks for it.
    """
    if current == wanted:
        return _EQUAL
    if policy.rollback:
        return _RAN_BEFORE
    if policy.order == "none":
        return _RUN_WINS
    versions = _compare_tags(current[0], wanted[0], policy.order)
    if versions == -1:
        return _NEWER_VERSION
    if versions == 1:
        verdict = _judge_older_version(build, history, policy)
    else:
        # Equal versions of different text or digest are two builds: versions do not tell these apart.
        verdict = _judge_builds(wanted, build, history, policy)
    return _strict(verdict, policy) if policy.strict_order or policy.explicit else verdict


def _compare_tags(current: str | None, wanted: str | None, order: Order) -> int | None:
    return None if current is None or wanted is None else compare(current, wanted, order)


def _judge_older_version(build: Build, history: SiteHistory | None, policy: Policy) -> Verdict:
    """Late jobs are common and stay silent; a newer build of an older version is a person's decision."""
    if policy.allow_downgrade:
        return _allowed(_OLDER_VERSION, "an older version")
    if not build.is_ordered:
        return _OLDER_VERSION
    if history is None:
        return _NEEDS_HISTORY
    return _HOTFIX if _is_newer(build, history.introduced_by) else _OLDER_VERSION


def _judge_builds(wanted: TagDigest, build: Build, history: SiteHistory | None, policy: Policy) -> Verdict:
    """Versions do not tell, so the order of builds does, and else what already landed here."""
    if history is None:
        return _without_history(build, policy)
    newer = _is_newer(build, history.introduced_by)
    if newer is not None:
        if newer:
            return _NEWER_BUILD
        return _allowed(_OLDER_BUILD, "an older build") if policy.allow_downgrade else _OLDER_BUILD
    if wanted not in history.earlier:
        return _UNKNOWN_ORDER
    if policy.again:
        return Verdict(Action.MOVE, "it already landed here before, and --again lands it", "landed-before")
    return _LANDED_BEFORE


def _without_history(build: Build, policy: Policy) -> Verdict:
    """History is read unless the options already let the run win whatever it says."""
    if policy.again and not build.is_ordered:
        return _UNKNOWN_ORDER
    return _FORCED if policy.again and policy.allow_downgrade else _NEEDS_HISTORY


def _is_newer(ours: Build, theirs: Build | None) -> bool | None:
    """Whether our build is the newer one; None where that is not known or they are the same."""
    if theirs is None:
        return None
    same_counter = ours.namespace is not None and ours.namespace == theirs.namespace
    if same_counter and ours.number is not None and theirs.number is not None:
        return None if ours.number == theirs.number else ours.number > theirs.number
    if ours.source_time is None or theirs.source_time is None or ours.source_time == theirs.source_time:
        return None
    return ours.source_time > theirs.source_time


def _allowed(verdict: Verdict, what: str) -> Verdict:
    return replace(verdict, action=Action.MOVE, why=f"{what}, allowed by --allow-downgrade")


def _strict(verdict: Verdict, policy: Policy) -> Verdict:
    """What would be dropped silently fails the run instead."""
    if verdict.action is not Action.SUPERSEDED:
        return verdict
    hint = "" if policy.explicit else " (--strict-order)"
    return replace(verdict, action=Action.REFUSE, why=f"{verdict.why}{hint}")
