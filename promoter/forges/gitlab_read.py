"""What GitLab's JSON means in the words of the port: pure.

Attributes as https://docs.gitlab.com/api/merge_requests/, …/merge_request_approvals/ and
…/commits/#commit-status describe them.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from promoter.forges.port import GATE, CheckState, PullRequest, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Json = dict[str, Any]

DRAFT = "Draft: "

_DRAFT = re.compile(r"\A(?:\s*(?:draft:|\[draft\]|\(draft\)))+\s*", re.IGNORECASE)
_STATES: dict[str, State] = {"opened": "open", "locked": "open", "merged": "merged", "closed": "closed"}
# GitLab works these out in the background, after a push and after each question.
UNSETTLED = frozenset({"checking", "unchecked", "preparing", "approvals_syncing"})
_UNCHECKED = frozenset({"unchecked", "checking", "preparing", "cannot_be_merged_recheck"})
_CHECKS: dict[str, CheckState] = {
    "success": "passed",
    "skipped": "passed",
    "failed": "failed",
    "canceled": "failed",
}
_WORST: tuple[CheckState, ...] = ("failed", "pending", "passed")
_RUNNING = frozenset({"created", "waiting_for_resource", "preparing", "pending", "running"})
_WAITING_REVIEW = frozenset({"unreviewed", "review_started"})


def is_own(one: Json) -> bool:
    """Whether the merge request comes from this project, not from a fork."""
    return bool(one["source_project_id"] == one["target_project_id"])


def pull_request(one: Json, reviews: Mapping[str, str]) -> PullRequest:
    """A merge request. ``reviews``: the state of each reviewer by username.

    A draft is one by its title alone; the prefix belongs to ``draft``, not to ``title``.
    ``locked`` is a merge that is under way.
    """
    return PullRequest(
        number=one["iid"],
        url=one["web_url"],
        branch=one["source_branch"],
        base=one["target_branch"],
        head=one["sha"] or "",
        state=_STATES[one["state"]],
        title=plain_title(one["title"]),
        body=one["description"] or "",
        draft=bool(one.get("draft")),
        labels=frozenset(one["labels"]),
        assignees=frozenset(usernames(one.get("assignees"))),
        reviewers=frozenset(
            name
            for name in usernames(one.get("reviewers"))
            if reviews.get(name, "unreviewed") in _WAITING_REVIEW
        ),
        reviewed=any(state not in _WAITING_REVIEW for state in reviews.values()),
    )


def answered(reviews: Mapping[str, str]) -> frozenset[str]:
    """The reviewers that would have to be asked again."""
    return frozenset(name for name, state in reviews.items() if state not in _WAITING_REVIEW)


def usernames(people: Iterable[Json] | None) -> list[str]:
    """Who they are."""
    return [one["username"] for one in people or ()]


def plain_title(title: str) -> str:
    """The title without what makes a draft of it."""
    return _DRAFT.sub("", title)


def titled(title: str, *, draft: bool) -> str:
    """The title that makes it a draft or none: GitLab's API has no other way to say it."""
    return f"{DRAFT}{title}" if draft else title


def conflicting(detail: Json) -> bool | None:
    """None while GitLab looks. ``has_conflicts`` is false until ``merge_status`` says otherwise."""
    status = detail.get("detailed_merge_status")
    if status == "conflict":
        return True
    if detail.get("merge_status") in _UNCHECKED or status in UNSETTLED:
        return None
    # A branch that is gone or holds nothing cannot be merged either; that is no conflict.
    return bool(detail.get("has_conflicts")) and status not in ("commits_status", "broken_status")


def pipeline_runs(detail: Json) -> bool:
    """Whether the head's pipeline has not ended yet."""
    pipeline = detail.get("head_pipeline") or {}
    return pipeline.get("status") in _RUNNING


def states_by_name(statuses: Iterable[Json]) -> dict[str, CheckState]:
    """The statuses of a commit; where two pipelines have one of the same name, the worse one.

    A job that may fail, and one that waits for a person and may be left out, does not count
    against the commit.
    """
    found: dict[str, CheckState] = {}
    for one in statuses:
        state = _CHECKS.get(one["status"], "pending")
        if one.get("allow_failure") and one["status"] in ("failed", "canceled", "manual"):
            state = "passed"
        found[one["name"]] = worst([state, found.get(one["name"], "none")])
    return found


def checks(statuses: Iterable[Json], detail: Json) -> CheckState:
    """All of a head together, but the gate that promoter sets itself.

    A merged results pipeline runs for another commit than the head, so its jobs are not
    among the head's statuses: it counts as a whole.
    """
    by_name = states_by_name(statuses)
    states = [state for name, state in by_name.items() if name != GATE]
    pipeline = detail.get("head_pipeline") or {}
    if pipeline and pipeline.get("sha") != detail["sha"]:
        states.append(_CHECKS.get(pipeline.get("status", ""), "pending"))
    return worst(states)


def worst(states: Sequence[CheckState]) -> CheckState:
    """The one that decides."""
    return next((one for one in _WORST if one in states), "none")


def approved_since(approvals: Json, versions: Sequence[Json], head: str) -> bool | None:
    """Whether an approval was given after the head had become the merge request's newest version.

    An approval names no commit, but on newer servers its time (``approved_at``); None where
    the server does not tell it. A version is made after the push has been received, so that an
    approval between the two counts as given to the older head: the safe side.
    """
    given = approvals.get("approved_by") or []
    times = [one["approved_at"] for one in given if one.get("approved_at")]
    if len(times) < len(given):
        return None
    newest = max(versions, key=lambda one: int(one["id"]), default=None)
    if newest is None or newest["head_commit_sha"] != head:
        return False
    since = _time(newest["created_at"])
    return any(_time(one) >= since for one in times)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
