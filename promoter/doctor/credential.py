"""Which credential is used, and whether what it may do is enough for what is configured. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from promoter.doctor.model import Check
from promoter.forges import github_permissions as github
from promoter.forges.inspect import TOKEN_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from promoter.config import Environment
    from promoter.credentials import Credential
    from promoter.forges.inspect import RepositoryFacts, TokenFacts, TokenKind
    from promoter.git.remote import Remote

_DENIED = 8
_SOON = timedelta(days=14)

# What each kind of token starts with what it pushes and opens, where that is not everything.
_STARTS_LITTLE: Mapping[TokenKind, tuple[str, str]] = {
    "github-job": (
        "workflow runs for what GITHUB_TOKEN opens and pushes start only once a person approves them",
        "use a GitHub App (PROMOTER_APP_ID, PROMOTER_APP_PRIVATE_KEY) or a personal access token",
    ),
    "gitlab-job": (
        "pushes with CI_JOB_TOKEN start no pipelines, and it can do nothing but push",
        "use a project access token with the scopes api and write_repository as PROMOTER_TOKEN",
    ),
    "gitea-job": (
        "what the token of an Actions job pushes and opens starts no workflows",
        "use an access token of an account of promoter's own as PROMOTER_TOKEN",
    ),
}


@dataclass(frozen=True)
class Features:
    """What some environments use of a forge. ``gate``: heads get the status ``promoter/gate``."""

    pull_requests: bool
    gate: bool
    teams: bool


def features_of(environments: Iterable[Environment], *, gated: bool) -> Features:
    """What the environments of one place use; ``gated`` as ``rules.is_gated`` has it."""
    proposing = [one for one in environments if "pull-request" in (one.publish, one.on_refused)]
    teams = any(one.pull_request.team_reviewers for one in proposing)
    return Features(bool(proposing), bool(proposing) and gated, teams)


def described(credential: Credential, kind: TokenKind, remote: Remote, about: str) -> Check:
    """Which credential it is and where it comes from; never what it is."""
    if credential.kind == "none":
        if remote.is_ssh:
            return Check("credential", about, "ok", "an SSH key for Git; no token for the forge's API")
        return Check("credential", about, "ok", "none: the address is read as anybody may")
    return Check("credential", about, "ok", f"{TOKEN_NAMES[kind]}, from {credential.source}")


def starts_checks(kind: TokenKind, about: str) -> Check:
    """Whether pull requests of this token start their checks."""
    little = _STARTS_LITTLE.get(kind)
    if little is None:
        if kind in ("unknown", "github-installation"):
            return Check("starts-checks", about, "unknown", "what kind of token it is, is not told")
        return Check("starts-checks", about, "ok", "pull requests of such a token start their checks")
    why = "required checks that never start keep a pull request from landing"
    return Check("starts-checks", about, "warning", little[0], why, little[1])


def judged(
    facts: TokenFacts, features: Features, about: str, now: datetime, *, granted: bool = False
) -> Iterator[Check]:
    """The token's end and scopes against what the environments use.

    ``granted``: it was obtained for exactly that, from a GitHub App's key.
    """
    if facts.expires is not None:
        yield _end(facts.expires, about, now)
    if granted:
        yield Check("scopes", about, "ok", "the App has been granted all that the configuration uses")
    elif facts.scopes is None:
        yield _untold(facts.kind, features, about)
    else:
        yield _scopes(facts.kind, facts.scopes, features, about)


def _end(expires: datetime, about: str, now: datetime) -> Check:
    day = f"the token ends on {expires:%Y-%m-%d}"
    if expires - now > _SOON:
        return Check("expiry", about, "ok", day)
    return Check("expiry", about, "warning", day, "no run works after that", "make a new one in time")


def _untold(kind: TokenKind, features: Features, about: str) -> Check:
    wanted = [github.CONTENTS]
    if features.pull_requests:
        wanted.append(github.REVIEWERS if features.teams else github.WRITE)
    if features.gate:
        wanted += [github.STATUS, github.CHECKS]
    if not kind.startswith("github"):
        return Check("scopes", about, "unknown", "the forge does not tell what the token may do")
    return Check(
        "scopes",
        about,
        "unknown",
        "GitHub does not tell what tokens of this kind may do",
        next=f"see that it has {'; '.join(wanted)}",
    )


def _scopes(kind: TokenKind, scopes: frozenset[str], features: Features, about: str) -> Check:
    seen = ", ".join(sorted(scopes)) or "none"
    missing = _missing(kind, scopes, features)
    if missing:
        step = f"make a token that has {' and '.join(missing)}, too"
        return Check("scopes", about, "problem", f"scopes: {seen}", _why(features), step, _DENIED)
    lesser = _lesser(kind, scopes, features)
    if lesser:
        why = "team reviewers are not asked without it"
        return Check("scopes", about, "warning", f"scopes: {seen}", why, f"add the scope {lesser}")
    return Check("scopes", about, "ok", f"scopes: {seen}")


def _why(features: Features) -> str:
    return "environments publish by pull request" if features.pull_requests else "nothing can be pushed"


def _missing(kind: TokenKind, scopes: frozenset[str], features: Features) -> list[str]:
    """What a run cannot do without: "Scopes for OAuth apps", GitLab's and Gitea's lists of scopes."""
    if kind.startswith("github"):
        return [] if scopes & {"repo", "public_repo"} else ["repo"]
    if kind.startswith("gitlab"):
        missing = [] if scopes & {"api", "write_repository"} else ["write_repository"]
        return [*missing, "api"] if features.pull_requests and "api" not in scopes else missing
    if "all" in scopes:
        return []
    wanted = ["write:repository", "write:issue"] if features.pull_requests else ["write:repository"]
    return [one for one in wanted if one not in scopes]


def _lesser(kind: TokenKind, scopes: frozenset[str], features: Features) -> str | None:
    """What one part of a pull request takes."""
    if not features.teams:
        return None
    if kind.startswith("github"):
        return None if scopes & {"read:org", "write:org", "admin:org"} else "read:org"
    if kind == "gitea":
        return None if scopes & {"all", "read:organization", "write:organization"} else "read:organization"
    return None


def role(facts: RepositoryFacts, features: Features, about: str) -> Iterator[Check]:
    """What the account may do in the repository, and whether that takes changes at all."""
    if facts.archived:
        step = "unarchive it in its settings, or promote to another one"
        yield Check("archived", about, "problem", "it is archived, so read-only", "", step, _DENIED)
    if facts.may_push is False:
        step = "give the account write access (GitHub: Write, GitLab: Developer, Gitea: write)"
        why = "nothing can be pushed"
        yield Check("role", about, "problem", "the token's account may only read", why, step, _DENIED)
    elif facts.may_push:
        yield Check("role", about, "ok", "the token's account may write")
    if features.pull_requests and not facts.pull_requests:
        step = "enable them in the repository's settings, or use publish: push"
        yield Check("pull-requests", about, "problem", "it has no pull requests", "", step, _DENIED)
