"""Which credential a run has for the manifest repository: one choice for Git and for the forge's API.

Pure. DESIGN §5 fixes the order and the places that a credential may go to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from promoter.address import parse_server
from promoter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promoter.address import Address

CredentialKind = Literal["token", "job", "app", "installation", "none"]

# GitHub's "Generating a JSON Web Token": the App's number or its client id.
_APP_ID = re.compile(r"[A-Za-z0-9._-]+")
# GitLab's "Token overview": the prefix of CI/CD job tokens.
_JOB_TOKEN_PREFIX = "glcbt-"  # noqa: S105 - a prefix, no token
_JOB_USERNAME = "gitlab-ci-token"


@dataclass(frozen=True)
class Credential:
    """What the run may show to the manifest repository's host.

    ``kind`` is ``token``; ``job`` for GitLab's CI_JOB_TOKEN; ``app`` for a GitHub App
    whose key (``secret``, as it was given) must be exchanged first; ``installation`` for
    what it was exchanged for, with the App's name in URLs as ``app_slug``; ``none``.
    ``source`` is the variable it comes from, ``only_for`` the web address of the one
    forge that a platform's own token may go to.
    """

    kind: CredentialKind
    username: str = ""
    secret: str | None = field(default=None, repr=False)
    source: str = ""
    app_id: str = ""
    app_slug: str = ""
    only_for: str | None = None


NO_CREDENTIAL = Credential("none")


def choose_credential(address: Address, environ: Mapping[str, str]) -> Credential:
    """PROMOTER_TOKEN, what stands in the address, a GitHub App, the platform's own token, or none.

    Raises UsageError for half a GitHub App and for a token that cannot be one.
    """
    if address.transport == "path":
        return NO_CREDENTIAL
    return (
        _given(address, environ)
        or _in_address(address, environ)
        or _app(environ)
        or _github_own(address, environ)
        or _gitlab_own(address, environ)
        or NO_CREDENTIAL
    )


def _given(address: Address, environ: Mapping[str, str]) -> Credential | None:
    token = environ.get("PROMOTER_TOKEN", "").strip()
    if not token:
        return None
    if not token.isprintable():
        raise UsageError(
            "PROMOTER_TOKEN holds line breaks or control characters", next_step="give the token alone"
        )
    if _is_job_token(token, environ):
        return Credential("job", environ.get("PROMOTER_USERNAME") or _JOB_USERNAME, token, "PROMOTER_TOKEN")
    return Credential("token", _username(address, environ), token, "PROMOTER_TOKEN")


def _in_address(address: Address, environ: Mapping[str, str]) -> Credential | None:
    if not address.password:
        return None
    username = environ.get("PROMOTER_USERNAME") or address.username or ""
    job = username == _JOB_USERNAME or _is_job_token(address.password, environ)
    return Credential("job" if job else "token", username, address.password, "--manifest-repo")


def _app(environ: Mapping[str, str]) -> Credential | None:
    given = {
        name: environ[name].strip()
        for name in ("PROMOTER_APP_ID", "PROMOTER_APP_PRIVATE_KEY")
        if environ.get(name, "").strip()
    }
    if not given:
        return None
    for name, other in (
        ("PROMOTER_APP_ID", "PROMOTER_APP_PRIVATE_KEY"),
        ("PROMOTER_APP_PRIVATE_KEY", "PROMOTER_APP_ID"),
    ):
        if name not in given:
            raise UsageError(
                f"{other} is set, but {name} is not: a GitHub App takes both",
                next_step=f"set {name}, or neither of them",
            )
    app_id = given["PROMOTER_APP_ID"]
    if not _APP_ID.fullmatch(app_id):
        raise UsageError(
            "PROMOTER_APP_ID is neither the number nor the client id of a GitHub App",
            next_step="take it from the App's settings, under About",
        )
    key = given["PROMOTER_APP_PRIVATE_KEY"]
    return Credential("app", "x-access-token", key, "PROMOTER_APP_PRIVATE_KEY", app_id)


def _github_own(address: Address, environ: Mapping[str, str]) -> Credential | None:
    """The job's token of GitHub Actions or of Gitea's and Forgejo's, for the job's own repository.

    The runners of the latter set GITHUB_SERVER_URL, GITHUB_REPOSITORY and GITHUB_TOKEN too
    (act's ``withGithubEnv``); their documentation calls the token GITEA_TOKEN or FORGEJO_TOKEN.
    """
    server, repository = environ.get("GITHUB_SERVER_URL", ""), environ.get("GITHUB_REPOSITORY", "")
    own = address.below(server)
    if not repository or own is None or own.lower() != repository.lower():
        return None
    names = ["FORGEJO_TOKEN", "GITEA_TOKEN"] if runs_on_gitea(environ) else []
    for name in (*names, "GITHUB_TOKEN"):
        if token := environ.get(name, "").strip():
            username = environ.get("PROMOTER_USERNAME") or "x-access-token"
            return Credential("token", username, token, name, only_for=_web(server))
    return None


def _gitlab_own(address: Address, environ: Mapping[str, str]) -> Credential | None:
    """The job's token of GitLab CI/CD, for the instance that runs the job."""
    token = environ.get("CI_JOB_TOKEN", "").strip()
    if not token or not is_on_gitlab(address, environ):
        return None
    username = environ.get("PROMOTER_USERNAME") or _JOB_USERNAME
    return Credential("job", username, token, "CI_JOB_TOKEN", only_for=_web(environ.get("CI_SERVER_URL", "")))


def what_to_give(credential: Credential, environ: Mapping[str, str]) -> str:
    """The next step where the server refuses this credential; "" where only its answer tells.

    A platform's own token that belongs elsewhere is named: it was there, and was not sent.
    GitLab's rule for pushes by job tokens: "GitLab CI/CD job token".
    """
    if credential.kind == "job":
        return (
            "CI_JOB_TOKEN pushes only to the project whose pipeline runs, where Settings > CI/CD > Job token "
            "permissions > Allow Git push requests to the repository is on; for another project set "
            "PROMOTER_TOKEN to an access token of that project (scopes api, write_repository; role Developer)"
        )
    if credential.kind != "none":
        return ""
    step = "set PROMOTER_TOKEN (the action's input token) to a token that may write to this repository"
    if environ.get("GITHUB_TOKEN") and (repository := environ.get("GITHUB_REPOSITORY")):
        return f"{step}; GITHUB_TOKEN is for {repository} alone and was not sent"
    if environ.get("CI_JOB_TOKEN") and (server := environ.get("CI_SERVER_URL")):
        return f"{step}; CI_JOB_TOKEN is for {server} alone and was not sent"
    return step


def runs_on_gitea(environ: Mapping[str, str]) -> bool:
    """Whether the job runs in Gitea's or Forgejo's Actions, whose runners say so beside GITHUB_ACTIONS."""
    return "true" in (environ.get("GITEA_ACTIONS"), environ.get("FORGEJO_ACTIONS"))


def is_on_gitlab(address: Address, environ: Mapping[str, str]) -> bool:
    """Whether the repository is on the GitLab instance that runs the job.

    CI_SERVER_SHELL_SSH_HOST is its name for ssh ("Predefined CI/CD variables reference").
    """
    if not environ.get("CI_SERVER_URL"):
        return False
    by_ssh = (
        address.transport == "ssh" and address.host == environ.get("CI_SERVER_SHELL_SSH_HOST", "").lower()
    )
    return by_ssh or address.below(environ["CI_SERVER_URL"]) is not None


def _is_job_token(token: str, environ: Mapping[str, str]) -> bool:
    return token.startswith(_JOB_TOKEN_PREFIX) or token == environ.get("CI_JOB_TOKEN")


def _username(address: Address, environ: Mapping[str, str]) -> str:
    """The user name that the forge expects beside a token."""
    if name := environ.get("PROMOTER_USERNAME"):
        return name
    if "gitlab" in address.host or is_on_gitlab(address, environ):
        return "oauth2"
    return "x-token-auth" if "bitbucket" in address.host else "x-access-token"


def _web(server: str) -> str | None:
    there = parse_server(server)
    return there.web if there is not None else None
