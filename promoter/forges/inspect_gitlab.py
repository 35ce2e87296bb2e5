"""What GitLab tells of a token, a project and a branch."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from promoter.errors import DeniedError
from promoter.forges.calls import CallFailedError
from promoter.forges.gitlab_calls import Client
from promoter.forges.inspect import BranchFacts, RepositoryFacts, TokenFacts

if TYPE_CHECKING:
    from promoter.config import PullRequestSettings
    from promoter.forges.calls import Connection
    from promoter.forges.inspect import TokenKind
    from promoter.forges.port import MergeMethod

Json = dict[str, Any]

_DEVELOPER = 30  # https://docs.gitlab.com/api/access_requests/#valid-access-levels
# "Bot users for projects" and "Bot users for groups" in GitLab's documentation.
_BOT = re.compile(r"(project|group)_\d+_bot(?:_|\d*\Z)")


class GitLabInspector:
    """One project, read with an access token."""

    def __init__(self, connection: Connection) -> None:
        self._client = Client(connection)

    def token(self) -> TokenFacts:
        """https://docs.gitlab.com/api/personal_access_tokens/: it knows a project's and a group's, too."""
        kind = self._kind()
        try:
            doing = "asking what the token is"
            one = self._client.get(doing, "/personal_access_tokens/self", expects=(404,))
        except CallFailedError:
            return TokenFacts(kind)  # of OAuth, or GitLab before 15.5
        ends = one.get("expires_at")
        expires = datetime.fromisoformat(ends).replace(tzinfo=UTC) if ends else None
        return TokenFacts(kind, frozenset(one["scopes"]), expires)

    def _kind(self) -> TokenKind:
        try:
            user = self._client.get("asking whose the token is", "/user")
        except DeniedError as error:
            if error.reason != "permission":
                raise
            return "unknown"
        bot = _BOT.match(user["username"])
        if bot is None:
            return "gitlab-personal"
        return "gitlab-project" if bot[1] == "project" else "gitlab-group"

    def repository(self) -> RepositoryFacts:
        """https://docs.gitlab.com/api/projects/#get-a-single-project."""
        project = self._client.settings()
        return RepositoryFacts(
            archived=bool(project.get("archived")),
            may_push=_may_push(project),
            pull_requests=project.get("merge_requests_access_level") != "disabled",
            methods=_methods(project),
            auto_merge=True,
        )

    def branch(self, name: str) -> BranchFacts:
        """https://docs.gitlab.com/api/branches/#get-single-repository-branch: ``can_push`` is this user's."""
        path = f"{self._client.project}/repository/branches/{quote(name, safe='')}"
        branch = self._client.get("reading the branch", path)
        project = self._client.settings()
        may_push = branch.get("can_push")
        return BranchFacts(
            may_push=may_push,
            closed_by="" if may_push else f"the protection of {name} lets this account not push",
            must_be_current=project.get("merge_method") in ("ff", "rebase_merge"),
            holds_gate=bool(project.get("only_allow_merge_if_pipeline_succeeds")),
            queue=bool(project.get("merge_trains_enabled")),
        )

    def absent(self, settings: PullRequestSettings) -> tuple[str, ...]:
        """GitLab makes labels that are not there, and asks no teams."""
        people = {
            **{f"assignee {name}": name for name in settings.assignees},
            **{f"reviewer {name}": name for name in settings.reviewers},
        }
        unknown = [words for words, name in people.items() if not self._is_user(name)]
        teams = (
            f"team {name} (GitLab asks no teams: use approval rules)" for name in settings.team_reviewers
        )
        return (*unknown, *teams)

    def _is_user(self, name: str) -> bool:
        found = self._client.get_all("looking for people", "/users", {"username": name})
        return any(one["username"].lower() == name.lower() for one in found)


def _may_push(project: Json) -> bool | None:
    """By the role: https://docs.gitlab.com/user/permissions/#repository."""
    granted = project.get("permissions")
    if not isinstance(granted, dict):
        return None
    levels = [one["access_level"] for one in granted.values() if one]
    return max(levels) >= _DEVELOPER if levels else None


def _methods(project: Json) -> frozenset[MergeMethod]:
    """The project decides how commits are joined, the caller at most whether they are squashed."""
    plain: MergeMethod = "rebase" if project.get("merge_method") == "ff" else "merge"
    squash = project.get("squash_option")
    methods: set[MergeMethod] = set() if squash == "always" else {plain}
    return frozenset(methods if squash == "never" else methods | {"squash"})
