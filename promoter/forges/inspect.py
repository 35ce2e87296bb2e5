"""What a forge tells of a token, a repository and a branch without being changed: for ``promoter doctor``.

Beside the port: an inspector only reads. What a token is not told, is None: nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from promoter.config import PullRequestSettings
    from promoter.credentials import Credential
    from promoter.deadline import Deadline
    from promoter.forges.calls import Connection
    from promoter.forges.locate import Kind, Place
    from promoter.forges.port import MergeMethod

TokenKind = Literal[
    "github-app",
    "github-fine-grained",
    "github-classic",
    "github-oauth",
    "github-job",
    "github-installation",
    "gitlab-job",
    "gitlab-project",
    "gitlab-group",
    "gitlab-personal",
    "gitea-job",
    "gitea",
    "unknown",
]

# How people call them, with the article.
TOKEN_NAMES: dict[TokenKind, str] = {
    "github-app": "a GitHub App's token",
    "github-fine-grained": "a fine-grained personal access token of GitHub",
    "github-classic": "a classic personal access token of GitHub",
    "github-oauth": "a token of an OAuth or GitHub App's user",
    "github-job": "the GITHUB_TOKEN of a GitHub Actions job",
    "github-installation": "an installation token of GitHub: a GitHub App's, or a job's GITHUB_TOKEN",
    "gitlab-job": "the CI_JOB_TOKEN of a GitLab job",
    "gitlab-project": "a project access token of GitLab",
    "gitlab-group": "a group access token of GitLab",
    "gitlab-personal": "a personal access token of GitLab",
    "gitea-job": "the token of a Gitea or Forgejo Actions job",
    "gitea": "an access token of Gitea or Forgejo",
    "unknown": "a token whose kind cannot be told",
}

# GitHub's "Token formats" in "About authentication to GitHub".
_GITHUB_PREFIXES: dict[str, TokenKind] = {
    "github_pat_": "github-fine-grained",
    "ghp_": "github-classic",
    "gho_": "github-oauth",
    "ghu_": "github-oauth",
    "ghs_": "github-installation",
}


@dataclass(frozen=True)
class TokenFacts:
    """What the forge says of the token: its scopes by the forge's names, its end; None where untold."""

    kind: TokenKind
    scopes: frozenset[str] | None = None
    expires: datetime | None = None


@dataclass(frozen=True)
class RepositoryFacts:
    """``may_push`` is the role that the forge knows, not what the token was narrowed to.

    ``methods`` are the ways to merge that the settings allow, ``auto_merge`` whether they allow that.
    """

    archived: bool = False
    may_push: bool | None = None
    pull_requests: bool = True
    methods: frozenset[MergeMethod] | None = None
    auto_merge: bool | None = None


@dataclass(frozen=True)
class BranchFacts:
    """A branch's protection.

    ``may_push``: whether this token may push to it directly; ``closed_by`` says what stands against it,
    or why it is not known. ``must_be_current``: a head that is behind cannot be merged. ``checks`` are the
    required ones, ``holds_gate`` whether nobody can merge while the status ``promoter/gate`` is pending.
    ``queue``: what is merged goes through a merge queue or train.
    """

    may_push: bool | None = None
    closed_by: str = ""
    must_be_current: bool | None = None
    checks: tuple[str, ...] = ()
    holds_gate: bool = False
    queue: bool = False


class Inspector(Protocol):
    """One repository on one forge, read with one token.

    All methods raise DeniedError (401, 403, 404), UnreachableError and DeadlineError.
    """

    def token(self) -> TokenFacts:
        """What the token is."""

    def repository(self) -> RepositoryFacts:
        """The repository's settings, as far as the token may see them."""

    def branch(self, name: str) -> BranchFacts:
        """A branch that is there."""

    def absent(self, settings: PullRequestSettings) -> tuple[str, ...]:
        """Of the labels, people and teams of pull requests those that are not there, in words."""


def kind_of(place: Kind, credential: Credential) -> TokenKind:
    """What a credential is, by where it comes from and by the prefixes that the vendors publish."""
    if credential.kind == "job":
        return "gitlab-job"
    if credential.kind in ("app", "installation"):
        return "github-app"
    if place == "gitea":
        return "gitea-job" if credential.only_for is not None else "gitea"
    if place == "github":
        if credential.source == "GITHUB_TOKEN":
            return "github-job"
        secret = credential.secret or ""
        found = (kind for prefix, kind in _GITHUB_PREFIXES.items() if secret.startswith(prefix))
        return next(found, "unknown")
    return "unknown"  # GitLab's tokens of people, projects and groups look the same


def inspector(
    place: Place,
    credential: Credential,
    deadline: Deadline,
    verbose: Callable[[str], None],
    environ: Mapping[str, str],
    permissions: Mapping[str, str],
) -> Inspector | None:
    """The inspector for this place; None where nothing can be asked: plain Git, no token, a job's of GitLab.

    Raises what ``connect.exchange`` does.
    """
    from promoter.forges import connect

    if place.kind == "git" or credential.kind == "job":
        return None
    credential = connect.exchange(place, credential, deadline, verbose, environ, permissions)
    if credential.secret is None:
        return None
    connection = connect.connection_to(place, credential, deadline, verbose, environ)
    return _of(place.kind, connection, kind_of(place.kind, credential))


def _of(kind: Kind, connection: Connection, token: TokenKind) -> Inspector:
    if kind == "github":
        from promoter.forges.inspect_github import GitHubInspector

        return GitHubInspector(connection, token)
    if kind == "gitlab":
        from promoter.forges.inspect_gitlab import GitLabInspector

        return GitLabInspector(connection)
    from promoter.forges.inspect_gitea import GiteaInspector

    return GiteaInspector(connection, token)
