"""A pull request that converges: one per environment and app, whoever runs, however often (DESIGN §9).

Each run leaves a head that says what is wanted on the present base, and a text that
describes just this head. Whoever finds that somebody was faster in between begins anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from promoter.coming import coming
from promoter.errors import DeniedError, RefusedError
from promoter.forges.bare import how_to_merge
from promoter.forges.port import Condition, ForgeRefusedError, Proposal
from promoter.git.branch import merges_to
from promoter.outcome import Notice, PullRequestReport
from promoter.proposal import marker as markers
from promoter.proposal.merging import merge
from promoter.publish.describe import describe
from promoter.publish.draft import Draft, append, rebuild
from promoter.publish.existing import look, was_closed_by_a_person
from promoter.publish.settle import settle, turn_gate
from promoter.validate.verdict import blocking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from promoter.coming import Coming
    from promoter.config import PullRequestSettings
    from promoter.forges.port import Forge, PullRequest
    from promoter.gates import Gate
    from promoter.outcome import PullRequestOperation
    from promoter.proposal.merging import Merged
    from promoter.proposal.wanted import Wanted
    from promoter.publish.describe import Description
    from promoter.publish.draft import Desk
    from promoter.publish.existing import Existing, Known
    from promoter.publish.push import Publisher


@dataclass(frozen=True)
class Table:
    """Where a proposal is dealt with: the desk, the forge, and what stands against landing it now.

    ``keeper`` says which gates are closed to the images of a head, ``gates`` what it said.
    ``bring_current``: a head that must be up to date with its base, and is ready but for
    that, may be rewritten for it; one at a time, or each merge would spoil the others.
    """

    desk: Desk
    forge: Forge
    publisher: Publisher
    keeper: Callable[[Sequence[Coming]], tuple[Gate, ...]]
    attempt: int
    gates: tuple[Gate, ...] = ()
    reopen: bool = False
    bring_current: bool = False

    @property
    def settings(self) -> PullRequestSettings:
        """The environment's."""
        return self.desk.rules.environment.pull_request


@dataclass(frozen=True)
class Converged:
    """What became of a proposal; ``superseded`` are this run's images that are older than what it holds."""

    report: PullRequestReport | None = None
    head: str | None = None
    superseded: tuple[Wanted, ...] = ()
    closed_by_person: bool = False
    condition: Condition = field(default_factory=Condition)
    notices: tuple[Notice, ...] = ()
    gates: tuple[Gate, ...] = ()


def converge(
    table: Table, name: str, key: str, ours: Sequence[Wanted], known: Known | None = None
) -> Converged | None:
    """Bring the proposal on the branch ``name`` up to date with ``ours`` and the base.

    ``key`` is the app, or ``_all``; ``known`` what a listing told. None where somebody was
    faster: look at the base anew. Raises RefusedError where an approved head is to be left
    (``on-approved: wait``), and what Git and the forge raise.
    """
    desk = table.desk
    found = look(desk.repository, table.forge, desk.base, name, known)
    if found.open is None and not table.reopen and was_closed_by_a_person(found.last, ours):
        return _left_closed(found)
    merged = merge(found.wanted, ours, desk.policy)
    _raise_if_refused(found, merged)
    draft = rebuild(desk, merged.wanted)
    if draft.says_something:
        moving = [one for step in draft.steps for one in coming(step.plan, desk.rules, step.wanted)]
        table = replace(table, gates=table.keeper(moving))
    if found.branch is not None and not found.branch.is_ours:
        return _beside_persons(table, key, found, draft, merged)
    if draft.says_something:
        return _propose(table, key, found, draft, merged)
    return _retire(table, found, draft, merged)


def _raise_if_refused(found: Existing, merged: Merged) -> None:
    for wanted, why, reason in merged.refused:
        option = "--lift-hold" if reason == "held" else "--allow-downgrade"
        raise RefusedError(
            f"{wanted.image} is refused: {why} ({called(found.open)} has another one)",
            next_step=f"{option} proposes it instead",
            reason=reason,
        )


# --- a head that is all ours ----------------------------------------------------------------


def _propose(table: Table, key: str, found: Existing, draft: Draft, merged: Merged) -> Converged | None:
    """Have the branch say what the draft says, by as few pushes as can be, then its text."""
    desk = table.desk
    condition = table.forge.condition(found.open) if found.open is not None else Condition()
    says_it = (
        found.branch is not None
        and not merged.says_more
        and merges_to(desk.repository, found.branch, desk.base, draft.tip.commit)
    )
    stuck = condition.conflicting or (table.bring_current and is_ready_but_behind(condition))
    if says_it and not stuck:
        return _publish_text(table, key, found, draft, merged, Head(found.tip), condition)
    if (waits := _waits(table, found, condition, merged, says_it=says_it)) is not None:
        return waits
    if condition.auto_merge and condition.approvers and found.open is not None and not says_it:
        table.forge.disarm(found.open)  # or it would land other images under an approval of these
    signed = rebuild(desk, merged.wanted, signed=True) if desk.signs else draft
    head = _push(table, key, found, signed)
    return _publish_text(table, key, found, draft, merged, head, condition) if head is not None else None


def is_ready_but_behind(condition: Condition) -> bool:
    """Whether only an update stands between the head and its base."""
    ready = condition.approved and condition.checks in ("none", "passed")
    return condition.must_be_current and condition.behind and ready


@dataclass(frozen=True)
class Head:
    """The branch's tip after this run. ``pushed`` says that it is new, ``said`` what the server said then."""

    commit: str
    pushed: bool = False
    said: str = ""


def _push(table: Table, key: str, found: Existing, draft: Draft) -> Head | None:
    """Push the draft's head over the tip that was seen; None where that has moved."""
    invalid = blocking(table.desk.check(draft).findings, strict=False)
    if invalid is not None:
        raise invalid
    commit = draft.tip.commit
    options: Sequence[str] = ()
    if not table.forge.keeps_text:  # where only a job token is at hand, the push itself opens it
        description = describe(table, key, draft, commit, table.desk.base.commit, None)
        options = table.forge.push_options(_proposal(table, found, description))
    pushed = table.publisher.push_branch(found.name, commit, found.tip, table.attempt, options)
    return Head(commit, pushed=True, said=pushed.said) if pushed.status == "landed" else None


def _waits(
    table: Table, found: Existing, condition: Condition, merged: Merged, *, says_it: bool
) -> Converged | None:
    """What becomes of a head that must not be touched now; None where it may be.

    Raises RefusedError where this run's images would have to come onto it: nothing else would
    bring them later.
    """
    approved = bool(condition.approvers) and table.settings.on_approved == "wait" and not says_it
    if found.open is None or not (condition.queued or approved):
        return None
    where = "in a merge queue" if condition.queued else "approved, and on-approved is wait"
    text = f"{called(found.open)} is {where}: it is left as it is until it is merged"
    code = "queued" if condition.queued else "approved"
    if merged.wanted != found.wanted:
        raise RefusedError(text, next_step="merge or close it, then run again", reason=code)
    notice = Notice(code, text)
    return Converged(
        report(found.open, "unchanged"), found.tip, merged.superseded, condition=condition, notices=(notice,)
    )


# --- a head that people have committed to ---------------------------------------------------


def _beside_persons(
    table: Table, key: str, found: Existing, draft: Draft, merged: Merged
) -> Converged | None:
    """Append what is missing; never rewrite."""
    desk, branch = table.desk, found.branch
    assert branch is not None  # noqa: S101 - the caller looked
    condition = table.forge.condition(found.open) if found.open is not None else Condition()
    added = append(desk, branch, merged.wanted)
    head = Head(found.tip)
    if added.says_something:
        if (waits := _waits(table, found, condition, merged, says_it=False)) is not None:
            return waits
        if condition.auto_merge and condition.approvers and found.open is not None:
            table.forge.disarm(found.open)
        pushed = _push(table, key, found, added)
        if pushed is None:
            return None
        head = pushed
    notices = list(added.notices)
    if condition.conflicting:
        text = f"{called(found.open)} conflicts with {desk.base.base} and holds commits of a person"
        notices.append(Notice("conflict", f"{text}: resolve it by hand, or close it"))
    if not draft.says_something:
        text = f"{called(found.open)} has nothing of promoter's left to say, but holds commits of a person"
        notices.append(Notice("person-commits", f"{text}: it stays open"))
    return _publish_text(table, key, found, replace(draft, notices=tuple(notices)), merged, head, condition)


# --- nothing left to say --------------------------------------------------------------------


def _retire(table: Table, found: Existing, draft: Draft, merged: Merged) -> Converged:
    """Close what says nothing any more, with the reason."""
    base = table.desk.base
    result = Converged(superseded=merged.superseded, notices=draft.notices)
    operation: PullRequestOperation = "superseded" if draft.superseded else "closed"
    if found.open is None:
        return result
    if not table.forge.keeps_text:
        table.publisher.delete_branch(found.name, found.tip)
        return replace(result, report=report(found.open, operation))
    has = "a newer image" if draft.superseded else "what this would bring"
    reason = f"{base.base} has {has} since {base.commit[:12]}"
    if found.marker is not None and found.marker.closed is None:  # else a run that was killed has said so
        table.forge.comment(found.open, f"Closed by promoter: {reason}.")
        body = markers.replaced(found.open.body, replace(found.marker, closed=reason))
        table.forge.update(found.open, found.open.title, body)
    table.forge.close(found.open)
    return replace(result, report=report(found.open, operation))


def _left_closed(found: Existing) -> Converged:
    text = f"{called(found.last)} was closed with this image and stays closed; a newer one opens another"
    notice = Notice("closed-by-person", text)
    return Converged(report(found.last, "unchanged"), closed_by_person=True, notices=(notice,))


# --- the text, and what belongs to it ---------------------------------------------------------


def _publish_text(
    table: Table,
    key: str,
    found: Existing,
    draft: Draft,
    merged: Merged,
    head: Head,
    condition: Condition,
) -> Converged | None:
    """Open the pull request, or have its text describe this head; then labels, gate and auto-merge."""
    description = describe(table, key, draft, head.commit, _fork(table, found, head), found.marker)
    operation: PullRequestOperation = "updated" if head.pushed else "unchanged"
    pull_request = found.open
    if pull_request is None or (head.pushed and not table.forge.keeps_text):
        operation = "created" if pull_request is None else "updated"
        pull_request = _create(table, found, description, head)
        if pull_request is None:
            return None
    elif found.marker is not None and not description.tells_the_same_as(found.marker):
        if not head.pushed:
            draft = replace(draft, notices=(*draft.notices, *turn_gate(table, head.commit)))
        table.forge.update(pull_request, description.title, description.body)
        operation = "updated"
    if operation != "unchanged" and not _is_still(table, found.name, head.commit):
        return None
    pull_request = replace(pull_request, head=head.commit)
    if table.forge.name == "git":
        hint = Notice("merge-by-hand", f"merge it with: {how_to_merge(found.name, table.desk.base.base)}")
        draft = replace(draft, notices=(*draft.notices, hint))
    notices, landed = settle(table, pull_request, description, condition, pushed=head.pushed)
    return Converged(
        report(pull_request, "merged" if landed else operation),
        head.commit,
        merged.superseded,
        condition=condition,
        notices=(*draft.notices, *notices),
        gates=table.gates,
    )


def _fork(table: Table, found: Existing, head: Head) -> str:
    """Where the head was made from: the base now, or then."""
    if found.branch is not None and found.branch.fork is not None and not head.pushed:
        return found.branch.fork
    return table.desk.base.commit


def _create(table: Table, found: Existing, description: Description, head: Head) -> PullRequest | None:
    try:
        return table.forge.create(_proposal(table, found, description), head.said)
    except ForgeRefusedError as error:
        if error.reason in ("exists", "nothing-to-compare"):
            table.publisher.back_off(table.attempt)  # somebody opened it, or the base has it by now
            return None
        raise _by_hand(error, found) from None
    except DeniedError as error:
        raise _by_hand(error, found) from None


def _by_hand(error: DeniedError, found: Existing) -> DeniedError:
    """The same error, which says that the promotion itself is there."""
    error.message += f"; the branch {found.name} is pushed"
    error.next_step = (
        f"{error.next_step or 'see what the forge says'}; or open a pull request from {found.name}"
    )
    return error


def _is_still(table: Table, name: str, commit: str) -> bool:
    """Whether nobody pushed another head while its text was written: then that head's run describes it."""
    return table.desk.repository.tips(f"refs/heads/{name}").get(name) == commit


def _proposal(table: Table, found: Existing, description: Description) -> Proposal:
    settings = table.settings
    return Proposal(
        found.name,
        table.desk.base.base,
        description.title,
        description.body,
        draft=settings.draft,
        labels=settings.labels,
        assignees=settings.assignees,
        reviewers=settings.reviewers,
        team_reviewers=settings.team_reviewers,
        auto_merge=None if table.gates else settings.auto_merge,
    )


def called(pull_request: PullRequest | None) -> str:
    """How people call it."""
    if pull_request is None or pull_request.number is None:
        return "the pull request"
    return f"pull request {pull_request.number}"


def report(pull_request: PullRequest | None, operation: PullRequestOperation) -> PullRequestReport | None:
    """What the outcome says of it."""
    if pull_request is None:
        return None
    return PullRequestReport(pull_request.number, pull_request.url, operation, pull_request.branch)
