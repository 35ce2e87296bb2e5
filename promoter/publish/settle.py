"""What belongs to a pull request besides head and text: labels, people, the gate, auto-merge.

The promotion is there already: whatever cannot be done here is a warning, and the next
run tries again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.errors import DeniedError, InterruptedRunError, PromoterError
from promoter.forges.port import GATE
from promoter.outcome import Notice
from promoter.rules import is_gated

if TYPE_CHECKING:
    from collections.abc import Callable

    from promoter.forges.port import Condition, Forge, PullRequest
    from promoter.publish.converge import Table
    from promoter.publish.describe import Description

_LONGEST_DESCRIPTION = 140  # GitHub's limit for a status


def settle(
    table: Table,
    pull_request: PullRequest,
    description: Description,
    condition: Condition,
    *,
    pushed: bool,
) -> tuple[list[Notice], bool]:
    """Do what is left to do; returns the warnings and whether the pull request has been merged.

    ``condition`` is how the pull request stood before this run, ``pushed`` says that its
    head is new since.
    """
    forge, settings = table.forge, table.settings
    notices: list[Notice] = []
    if not forge.keeps_text and not pushed:
        return notices, False  # what a push can do was done by the one that opened it
    _label_and_ask(table, pull_request, notices)
    if pushed and condition.approvers:
        _tried(notices, "asking for review again", lambda: _ask_again(forge, pull_request, condition))
    if table.gates or (forge.keeps_text and is_gated(table.desk.rules.config)):
        _tried(notices, "the gate's status", lambda: _show_gate(table, pull_request.head))
    if settings.auto_merge is None or pull_request.draft:
        return notices, False
    landed: list[bool] = []
    now = forge.condition(pull_request) if pushed else condition
    if table.gates:
        if now.auto_merge:
            _tried(notices, "disarming auto-merge", lambda: forge.disarm(pull_request))
        return notices, False
    if (pushed and condition.approvers) or (now.approvers and not now.approved_head):
        text = "the approval was given to an earlier head: auto-merge waits for another one"
        notices.append(Notice("approval-of-older-head", text))
        return notices, False
    _tried(notices, "auto-merge", lambda: landed.append(_land(table, pull_request, description, now)))
    return notices, any(landed)


def _label_and_ask(table: Table, pull_request: PullRequest, notices: list[Notice]) -> None:
    """Only where nothing of it is there: what people took away since stays away."""
    settings, forge = table.settings, table.forge
    if settings.labels and not pull_request.labels.intersection(settings.labels):
        _tried(notices, "labels", lambda: forge.add_labels(pull_request, settings.labels))
    if settings.assignees and not pull_request.assignees:
        _tried(notices, "assignees", lambda: forge.add_assignees(pull_request, settings.assignees))
    asks = settings.reviewers or settings.team_reviewers
    if asks and not pull_request.reviewers and not pull_request.reviewed:
        users, teams = settings.reviewers, settings.team_reviewers
        _tried(notices, "reviewers", lambda: forge.request_reviews(pull_request, users, teams))


def _ask_again(forge: Forge, pull_request: PullRequest, condition: Condition) -> None:
    forge.request_reviews(pull_request, condition.approvers, ())
    people = ", ".join(f"@{name}" for name in condition.approvers)
    forge.comment(pull_request, f"The head has changed since the approval by {people}: please look again.")


def turn_gate(table: Table, head: str) -> list[Notice]:
    """Turn the status of a head whose text is about to change: the hold that closed it may have ended.

    Where gates close by themselves `settle` looks at each head; a hold is not worth that, as the text
    tells of it. So this comes before the text: what a kill leaves undone, the next run sees there.
    """
    notices: list[Notice] = []
    if table.forge.keeps_text and not table.gates and not is_gated(table.desk.rules.config):
        _tried(notices, "the gate's status", lambda: _show_gate(table, head))
    return notices


def _show_gate(table: Table, head: str) -> None:
    """Every head has the status where a gate can close, or the base's protection could not ask for it."""
    forge, gates = table.forge, table.gates
    state, text = ("pending", gates[0].message) if gates else ("success", "nothing stands against landing")
    try:
        shown = forge.statuses(head).get(GATE)
    except DeniedError:  # who may set it need not be allowed to read the others'
        shown = None
    if not gates and shown in (None, "none") and not is_gated(table.desk.rules.config):
        return
    if shown != {"pending": "pending", "success": "passed"}[state]:
        forge.set_status(head, GATE, state, text[:_LONGEST_DESCRIPTION])  # type: ignore[arg-type]  # one of the two


def _land(table: Table, pull_request: PullRequest, description: Description, now: Condition) -> bool:
    """Arm auto-merge, or merge where nothing is left to wait for."""
    method = table.settings.auto_merge
    if method is None or now.auto_merge or now.queued or now.conflicting:
        return False
    return table.forge.land(pull_request, method, *description.landing) == "merged"


def _tried(notices: list[Notice], what: str, do: Callable[[], object]) -> None:
    try:
        do()
    except InterruptedRunError:
        raise
    except PromoterError as error:
        hint = f" ({error.next_step})" if error.next_step else ""
        notices.append(Notice(error.reason, f"{what}: {error.message}{hint}"))
