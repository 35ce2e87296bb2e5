"""What GitHub tells of a token, a repository and a branch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from promoter.errors import DeniedError
from promoter.forges import github_permissions as permissions
from promoter.forges.calls import CallFailedError
from promoter.forges.github_client import Client
from promoter.forges.inspect import BranchFacts, RepositoryFacts, TokenFacts
from promoter.forges.port import GATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promoter.config import PullRequestSettings
    from promoter.forges.calls import Connection
    from promoter.forges.inspect import TokenKind
    from promoter.forges.port import MergeMethod

_METHODS: dict[str, MergeMethod] = {
    "mergeCommitAllowed": "merge",
    "squashMergeAllowed": "squash",
    "rebaseMergeAllowed": "rebase",
}
# Rules of rulesets that refuse a push: docs.github.com, "Available rules for rulesets".
_RULES = {
    "pull_request": "a pull request is required",
    "required_status_checks": "status checks are required",
    "update": "updates are restricted",
    "merge_queue": "a merge queue is required",
    "required_signatures": "signed commits are required",
}

SETTINGS = """
query settings($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    isArchived
    autoMergeAllowed
    mergeCommitAllowed
    squashMergeAllowed
    rebaseMergeAllowed
  }
}"""

VIEWER = """
query viewer { viewer { login } }"""

PROTECTION = """
query protection($owner: String!, $name: String!, $ref: String!) {
  repository(owner: $owner, name: $name) {
    ref(qualifiedName: $ref) {
      branchProtectionRule {
        isAdminEnforced
        requiresApprovingReviews
        requiresStrictStatusChecks
        requiredStatusCheckContexts
      }
      refUpdateRule { viewerCanPush requiredApprovingReviewCount requiredStatusCheckContexts }
    }
  }
}"""


class GitHubInspector:
    """One repository, read with one token."""

    def __init__(self, connection: Connection, kind: TokenKind) -> None:
        self._client = Client(connection)
        self._kind = kind

    def token(self) -> TokenFacts:
        """Classic tokens' scopes come as ``X-OAuth-Scopes``: "Scopes for OAuth apps". Others are not told."""
        headers, _ = self._get("asking what the token is")
        told = headers.get("x-oauth-scopes")
        scopes = (
            frozenset(one.strip() for one in told.split(",") if one.strip()) if told is not None else None
        )
        return TokenFacts(
            self._whose(), scopes, _time(headers.get("github-authentication-token-expiration", ""))
        )

    def _whose(self) -> TokenKind:
        """A job's GITHUB_TOKEN looks like any App's: it is that of the App github-actions."""
        if self._kind != "github-installation":
            return self._kind
        doing = "asking whose the token is"
        try:
            said = self._client.ask(doing, VIEWER, {}, needs=permissions.METADATA, must=("viewer",))
        except DeniedError:
            return self._kind
        login = said["viewer"]["login"]
        return "github-job" if login.removesuffix("[bot]") == "github-actions" else "github-app"

    def repository(self) -> RepositoryFacts:
        """REST tells the account's role, GraphQL the settings, which REST keeps from some tokens."""
        _, found = self._get("reading the repository")
        said = self._client.ask(
            "reading the settings",
            SETTINGS,
            self._named(),
            needs=permissions.METADATA,
            must=("repository",),
        )["repository"]
        return RepositoryFacts(
            archived=bool(said["isArchived"]),
            may_push=(found.get("permissions") or {}).get("push"),
            methods=frozenset(method for key, method in _METHODS.items() if said[key]),
            auto_merge=bool(said["autoMergeAllowed"]),
        )

    def branch(self, name: str) -> BranchFacts:
        """Classic protection and rulesets together; of the former only administrators see all."""
        said = self._client.ask(
            "reading the protection",
            PROTECTION,
            {**self._named(), "ref": f"refs/heads/{name}"},
            needs=permissions.CONTENTS,
            must=("repository", "ref"),
        )["repository"]["ref"]
        _, rules = self._get("reading the rules", f"/rules/branches/{quote(name, safe='')}")
        rule, shown = said["branchProtectionRule"], said["refUpdateRule"]
        closed = [*_classic(rule, shown), *self._rulesets(rules)]
        strict = bool(rule and rule["requiresStrictStatusChecks"])
        contexts = [*((rule or shown or {}).get("requiredStatusCheckContexts") or ())]
        for one in rules:
            if one["type"] == "required_status_checks":
                parameters = one["parameters"]
                strict = strict or parameters["strict_required_status_checks_policy"]
                contexts += [check["context"] for check in parameters["required_status_checks"]]
        untold = shown is not None and rule is None and not strict
        return BranchFacts(
            may_push=not closed,
            closed_by="; ".join(closed),
            must_be_current=None if untold and contexts else strict,
            checks=tuple(dict.fromkeys(contexts)),
            holds_gate=GATE in contexts,
            queue=any(one["type"] == "merge_queue" for one in rules),
        )

    def _rulesets(self, rules: list[dict[str, Any]]) -> list[str]:
        """What of the rulesets stands against a push; ``current_user_can_bypass`` tells for whom not."""
        against = [one for one in rules if one["type"] in _RULES]
        passes = {number: self._passes(number) for number in {one["ruleset_id"] for one in against}}
        return [
            f"{_RULES[one['type']]} (by a ruleset of {one['ruleset_source']})"
            for one in against
            if not passes[one["ruleset_id"]]
        ]

    def _passes(self, ruleset: int) -> bool:
        try:
            _, found = self._get("reading a ruleset", f"/rulesets/{ruleset}")
        except DeniedError:
            return False  # one of the organization that the token may not see
        return bool(found.get("current_user_can_bypass") in ("always", "exempt"))

    def absent(self, settings: PullRequestSettings) -> tuple[str, ...]:
        """Labels that are not there are made, where the token may; people and teams must be there."""
        client = self._client
        paths = {
            **{f"label {name}": f"{client.path}/labels/{quote(name, safe='')}" for name in settings.labels},
            **{f"assignee {name}": f"{client.path}/assignees/{quote(name)}" for name in settings.assignees},
            **{
                f"reviewer {name}": f"{client.path}/collaborators/{quote(name)}"
                for name in settings.reviewers
            },
            **{
                f"team {name}": f"/orgs/{quote(client.owner)}/teams/{quote(name)}"
                for name in settings.team_reviewers
            },
        }
        return tuple(words for words, path in paths.items() if not self._is_there(path))

    def _is_there(self, path: str) -> bool:
        try:
            self._client.call(
                "looking for labels and people",
                lambda: self._client.requester.requestJsonAndCheck("GET", path),
                needs="the repository permissions `Issues: read` and `Metadata: read`, and for teams the "
                "organization permission `Members: read` (classic token: `repo` and `read:org`)",
            )
        except (CallFailedError, DeniedError) as error:
            if "404" in error.message:
                return False
            raise
        return True

    def _get(self, doing: str, below: str = "") -> tuple[Mapping[str, str], Any]:
        client = self._client
        headers, found = client.call(
            doing,
            lambda: client.requester.requestJsonAndCheck("GET", client.path + below),
            needs=permissions.METADATA,
        )
        return {name.lower(): str(value) for name, value in headers.items()}, found

    def _named(self) -> dict[str, str]:
        owner, _, name = self._client.project.partition("/")
        return {"owner": owner, "name": name}


def _classic(rule: Mapping[str, Any] | None, shown: Mapping[str, Any] | None) -> list[str]:
    """What of a branch protection stands against a push.

    ``refUpdateRule`` is its part that those who are no administrators see; for administrators the
    rule is as good as absent unless it is enforced on them.
    """
    closed = []
    if shown is not None:
        if not shown["viewerCanPush"]:
            closed.append("the protection does not let this account push")
        if shown["requiredApprovingReviewCount"]:
            closed.append("the protection requires a pull request")
        if shown["requiredStatusCheckContexts"]:
            closed.append("the protection requires status checks")
    elif rule is not None and rule["isAdminEnforced"]:
        if rule["requiresApprovingReviews"]:
            closed.append("the protection requires a pull request, of administrators too")
        if rule["requiredStatusCheckContexts"]:
            closed.append("the protection requires status checks, of administrators too")
    return closed


def _time(text: str) -> datetime | None:
    """``2026-12-31 23:59:59 UTC``, or with an offset for a zone: GitHub's header for tokens that end."""
    for form in ("%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S %z"):
        try:
            moment = datetime.strptime(text, form)
        except ValueError:
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
