"""What Gitea and Forgejo tell of a token, a repository and a branch."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

from promoter.errors import DeniedError
from promoter.forges import web
from promoter.forges.calls import CallFailedError
from promoter.forges.gitea_calls import Client
from promoter.forges.gitea_read import logins
from promoter.forges.inspect import BranchFacts, RepositoryFacts, TokenFacts
from promoter.forges.port import GATE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from promoter.config import PullRequestSettings
    from promoter.forges.calls import Connection
    from promoter.forges.inspect import TokenKind
    from promoter.forges.port import MergeMethod

Json = dict[str, Any]

_METHODS: dict[str, MergeMethod] = {
    "allow_merge_commits": "merge",
    "allow_squash_merge": "squash",
    "allow_rebase": "rebase",
}
# No endpoint tells a token's scopes, but newer servers do when they refuse it: what takes other scopes
# than promoter's is asked for.
_NARROW = ("/user", "/notifications/new")
_SCOPES = re.compile(r"token scope=([a-z:,-]+)")


class GiteaInspector:
    """One repository, read with an access token."""

    def __init__(self, connection: Connection, kind: TokenKind) -> None:
        self._client = Client(connection)
        self._kind = kind

    def token(self) -> TokenFacts:
        """The scopes, where a refusal names them; a token that may do all of this has none that is narrow."""
        for path in _NARROW:
            if found := _SCOPES.search(self._refusal(path)):
                return TokenFacts(self._kind, frozenset(found[1].split(",")))
        return TokenFacts(self._kind)

    def _refusal(self, path: str) -> str:
        """What the server says where it refuses; it may be asked in vain."""
        connection = self._client.connection
        headers = {"Authorization": f"token {connection.token}"}
        with web.Session(connection) as session:
            try:
                answer = session.get(connection.api + path, headers=headers, timeout=session.timeout)
            except requests.RequestException:
                return ""
            return answer.text if answer.status_code == 403 else ""

    def repository(self) -> RepositoryFacts:
        """``GET /repos/{owner}/{repo}``."""
        one: Json = self._client.get("reading the repository", "")
        told = [key for key in _METHODS if key in one]
        return RepositoryFacts(
            archived=bool(one.get("archived")),
            may_push=(one.get("permissions") or {}).get("push"),
            pull_requests=bool(one.get("has_pull_requests", True)),
            methods=frozenset(_METHODS[key] for key in told if one[key]) if told else None,
            auto_merge=True,
        )

    def branch(self, name: str) -> BranchFacts:
        """``block_on_outdated_branch`` stands in a rule that Gitea shows to administrators alone."""
        doing = "reading the branch"
        branch: Json = self._client.get(doing, f"/branches/{quote(name)}")
        rule = self._rule(doing, branch.get("effective_branch_protection_name") or name)
        must_be_current = False if not branch["protected"] else None
        if rule is not None:
            must_be_current = bool(rule.get("block_on_outdated_branch"))
        checks = branch["status_check_contexts"] or () if branch["enable_status_check"] else ()
        may_push = bool(branch["user_can_push"])
        return BranchFacts(
            may_push=may_push,
            closed_by="" if may_push else f"the protection of {name} lets this account not push",
            must_be_current=must_be_current,
            checks=tuple(checks),
            holds_gate=any(fnmatchcase(GATE, one) for one in checks),
        )

    def _rule(self, doing: str, name: str) -> Json | None:
        try:
            return dict(self._client.get(doing, f"/branch_protections/{quote(name)}", expects=(404,)))
        except CallFailedError:
            return None
        except DeniedError as error:
            if error.reason != "permission":
                raise
            return None

    def absent(self, settings: PullRequestSettings) -> tuple[str, ...]:
        """Labels that are not there are made. Of teams only an administrator can tell."""
        return (
            *self._unknown("assignee", settings.assignees, "/assignees"),
            *self._unknown("reviewer", settings.reviewers, "/reviewers"),
        )

    def _unknown(self, role: str, names: Iterable[str], path: str) -> list[str]:
        wanted = tuple(names)
        if not wanted:
            return []
        known = {login.lower() for login in logins(self._client.get("looking for people", path))}
        return [f"{role} {name}" for name in wanted if name.lower() not in known]
