"""What Gitea's JSON means in the words of the port: pure.

Models as each server describes them at ``/swagger.v1.json``.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from promoter.forges.port import GATE, CheckState, PullRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Json = dict[str, Any]

DRAFT = "WIP: "  # https://docs.gitea.com/usage/pull-request#work-in-progress-pull-requests

# WORK_IN_PROGRESS_PREFIXES of Gitea's configuration; the last two are not among its defaults.
_DRAFT = re.compile(r"\A\s*(?:wip:|\[wip\]|draft:|\[draft\])\s*", re.IGNORECASE)
_CHECKS: dict[str, CheckState] = {
    "pending": "pending",
    "success": "passed",
    "skipped": "passed",
    "warning": "failed",  # Gitea itself lets nothing pass that has one
    "failure": "failed",
    "error": "failed",
}
_WORST: tuple[CheckState, ...] = ("failed", "pending", "passed")


def is_own(pull: Json) -> bool:
    """Whether the head is a branch of this repository, not of a fork (or of one that is gone)."""
    return bool(pull["head"]["repo_id"] == pull["base"]["repo_id"])


def is_from(pull: Json, branch: str) -> bool:
    """Whether the head is this branch of this repository."""
    return is_own(pull) and branch_of(pull) == branch


def branch_of(pull: Json) -> str:
    """The head's branch; ``ref`` names another thing once the branch is gone."""
    return str(pull["head"]["label"])


def pull_request(pull: Json, reviews: Sequence[Json], head: str = "") -> PullRequest:
    """A pull request. ``head`` is its branch's tip where the listed one may be older.

    ``requested_reviewers`` of a list holds those who have answered, too: the reviews tell.
    """
    draft = bool(pull["draft"])
    merged = bool(pull["merged"])
    latest = latest_reviews(reviews)
    asked = {name for name, review in latest.items() if review["state"] == "REQUEST_REVIEW"}
    return PullRequest(
        number=pull["number"],
        url=pull["html_url"],
        branch=branch_of(pull),
        base=pull["base"]["ref"],
        head=head or pull["head"]["sha"] or "",
        state="merged" if merged else "open" if pull["state"] == "open" else "closed",
        title=_DRAFT.sub("", pull["title"]) if draft else pull["title"],
        body=pull["body"] or "",
        draft=draft,
        labels=frozenset(label["name"] for label in pull["labels"] or ()),
        assignees=frozenset(logins(pull["assignees"])),
        reviewers=frozenset(asked),
        reviewed=any(review["state"] in ("APPROVED", "REQUEST_CHANGES", "COMMENT") for review in reviews),
    )


def logins(users: Iterable[Json] | None) -> list[str]:
    """Who they are."""
    return [user["login"] for user in users or ()]


def titled(title: str, *, draft: bool) -> str:
    """The title that makes it a draft or none: Gitea knows drafts by nothing else."""
    return f"{DRAFT}{title}" if draft else title


def latest_reviews(reviews: Iterable[Json]) -> dict[str, Json]:
    """The last answer, or request that is not answered, of each person and of each ``team/NAME``."""
    latest: dict[str, Json] = {}
    for review in reviews:  # oldest first
        if review["dismissed"] or review["state"] not in ("APPROVED", "REQUEST_CHANGES", "REQUEST_REVIEW"):
            continue
        team, user = review.get("team"), review.get("user")
        if team:
            latest[f"team/{team['name']}"] = review
        elif user:
            latest[user["login"]] = review
    return latest


def approvals(reviews: Iterable[Json]) -> dict[str, Json]:
    """The approvals that stand, by person."""
    latest = latest_reviews(reviews)
    return {name: review for name, review in latest.items() if review["state"] == "APPROVED"}


def is_approved(reviews: Sequence[Json], protection: Json) -> bool:
    """Somebody has approved, and the base's rule is met as far as it is known.

    Only reviews of those who may write, or whom the protection lists, are ``official``.
    """
    standing = list(approvals(reviews).values())
    official = [
        review
        for review in standing
        if review["official"] and not (protection.get("ignore_stale_approvals") and review["stale"])
    ]
    rejected = protection.get("block_on_rejected_reviews") and any(
        review["official"] and review["state"] == "REQUEST_CHANGES"
        for review in latest_reviews(reviews).values()
    )
    return bool(standing) and not rejected and len(official) >= (protection.get("required_approvals") or 0)


def states_by_name(statuses: Iterable[Json]) -> dict[str, CheckState]:
    """The statuses of a commit, oldest first: the last one of each name."""
    return {one["context"]: _CHECKS.get(one["status"], "pending") for one in statuses}


def checks(states: Mapping[str, CheckState], protection: Json) -> CheckState:
    """All together but the gate; what the base demands and nobody has reported is pending."""
    known = {name: state for name, state in states.items() if name != GATE}
    found = list(known.values())
    if protection.get("enable_status_check"):
        wanted = protection.get("status_check_contexts") or ["*"]
        missing = [one for one in wanted if not any(fnmatchcase(name, one) for name in states)]
        found += ["pending"] * len(missing)
    return next((one for one in _WORST if one in found), "none")


def is_scheduled(timeline: Iterable[Json]) -> bool:
    """Whether auto-merge is armed: the API tells it by what happened only. Oldest first."""
    scheduled = False
    for event in timeline:
        if event["type"] in ("pull_scheduled_merge", "pull_cancel_scheduled_merge"):
            scheduled = event["type"] == "pull_scheduled_merge"
    return scheduled
