"""GitHub's pull requests as the port has them, and its refusals told apart by its words: it has no codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from promoter.forges.port import ForgeRefusedError, PullRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from github.PullRequest import PullRequest as Pull
    from github.Repository import Repository


def source_of(pull: Pull) -> str | None:
    """The full name of the repository that the head is in; a fork may be gone."""
    repository = cast("Repository | None", pull.head.repo)
    return repository.full_name if repository is not None else None


def pull_request_of(pull: Pull, *, reviewed: bool) -> PullRequest:
    """What the port says of one; ``reviewed``: whether somebody has answered."""
    merged = pull.merged_at is not None
    people = {user.login for user in pull.requested_reviewers}
    return PullRequest(
        number=pull.number,
        url=pull.html_url,
        branch=pull.head.ref,
        base=pull.base.ref,
        head=pull.head.sha,
        state="merged" if merged else "open" if pull.state == "open" else "closed",
        title=pull.title,
        body=cast("str | None", pull.body) or "",
        draft=bool(pull.draft),
        labels=frozenset(label.name for label in pull.labels),
        assignees=frozenset(user.login for user in pull.assignees),
        reviewers=frozenset(people | {f"team/{team.slug}" for team in pull.requested_teams}),
        reviewed=reviewed,
    )


def not_opened(doing: str, message: str) -> ForgeRefusedError:
    """Why a pull request was not opened, by GitHub's words: it has no codes for these."""
    known = {
        "already exists": ("exists", "run again: it finds the open one"),
        "No commits between": ("nothing-to-compare", "nothing: the base holds it already"),
        "raft pull requests are not supported": ("draft", "set pull-request.draft to false"),
        "submitted too quickly": ("limit", "run again in a minute"),
        "base is invalid": ("refused", "check the environment's base: GitHub has no such branch"),
        "head is invalid": ("refused", "run again: GitHub does not know the branch yet"),
    }
    reason, step = next((found for words, found in known.items() if words in message), ("refused", None))
    return ForgeRefusedError(f"{doing}: {message}", next_step=step, reason=reason)


def not_asked(pull_request: PullRequest, refused: Mapping[str, str]) -> ForgeRefusedError:
    """Who was not asked for a review, and why."""
    told = "; ".join(f"{name}: {_why_not_asked(message)}" for name, message in refused.items())
    return ForgeRefusedError(
        f"asking for reviews of pull request {pull_request.number}: {told}",
        next_step="name people and teams that may write to the repository, and not the pull request's author",
        reason="unknown-team" if all(name.startswith("team/") for name in refused) else "unknown-reviewer",
    )


def _why_not_asked(message: str) -> str:
    if "global id" in message:  # GitHub's words for a team that the token cannot see
        return "the token may not see the team: it needs the organization permission `Members: read`"
    return message
