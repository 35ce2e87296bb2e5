"""The forge of a run, wired once: place and credential in, an adapter out.

Only the client library of the forge at hand is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.credentials import NO_CREDENTIAL, Credential, choose_credential
from promoter.errors import DeniedError, UsageError
from promoter.forges.locate import locate
from promoter.git.door import CA_FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from promoter.address import Address
    from promoter.deadline import Deadline
    from promoter.forges.calls import Connection
    from promoter.forges.locate import Kind, Place
    from promoter.forges.port import Forge

# What opening pull requests takes, as each forge calls it.
_NEEDED: dict[Kind, str] = {
    "github": "set PROMOTER_TOKEN to a token with write access to Contents and Pull requests of the manifest "
    "repository, or PROMOTER_APP_ID and PROMOTER_APP_PRIVATE_KEY; GITHUB_TOKEN is used only in the manifest "
    "repository's own workflows, with `permissions: {contents: write, pull-requests: write}`",
    "gitlab": "set PROMOTER_TOKEN to a project or group access token of the manifest project with the scopes "
    "api and write_repository and the role Developer or higher; CI_JOB_TOKEN is used only on the instance "
    "that runs the job",
    "gitea": "set PROMOTER_TOKEN to an access token with the scopes write:repository and write:issue",
}


def connect(
    place: Place,
    credential: Credential,
    deadline: Deadline,
    verbose: Callable[[str], None],
    environ: Mapping[str, str],
    permissions: Mapping[str, str] | None = None,
) -> Forge:
    """The adapter for this place. ``permissions`` are what a GitHub App's token shall have.

    Raises DeniedError where no credential may go there, and all that ``app_token`` raises.
    """
    if place.kind == "git":
        from promoter.forges.bare import PlainGit

        return PlainGit()
    credential = exchange(place, credential, deadline, verbose, environ, permissions)
    if credential.secret is None:
        raise DeniedError(
            f"no token for {place.api}: pull requests of {place.project} cannot be opened",
            next_step=_NEEDED[place.kind],
            reason="authentication",
        )
    return _adapter(place.kind, connection_to(place, credential, deadline, verbose, environ))


def git_credential(
    address: Address,
    environ: Mapping[str, str],
    forge_api: str | None,
    deadline: Deadline,
    verbose: Callable[[str], None],
    permissions: Mapping[str, str] | None = None,
) -> Credential:
    """What Git answers with, before any configuration is read: a GitHub App's key becomes a token.

    ``permissions`` is by default write access to the contents and nothing else. An unknown
    host is taken for a GitHub Enterprise Server, since it is GitHub that has such Apps.
    """
    credential = choose_credential(address, environ)
    if credential.kind != "app":
        return credential
    from promoter.forges.app_token import CONTENTS

    place = _place_of_app(address, environ, forge_api)
    return exchange(place, credential, deadline, verbose, environ, permissions or CONTENTS)


def app_author(
    address: Address,
    credential: Credential,
    environ: Mapping[str, str],
    forge_api: str | None,
    deadline: Deadline,
    verbose: Callable[[str], None],
) -> str | None:
    """The GitHub App's bot as a commit's author; None where the credential is no App's token."""
    if credential.kind != "installation":
        return None
    from promoter.forges.app_token import bot_identity

    place = _place_of_app(address, environ, forge_api)
    return bot_identity(connection_to(place, credential, deadline, verbose, environ), credential.app_slug)


def _place_of_app(address: Address, environ: Mapping[str, str], forge_api: str | None) -> Place:
    place = locate(address, environ, forge_api=forge_api)
    if place.kind != "git":
        return place
    return locate(address, environ, forge_api=forge_api, forge_type="github")


def exchange(
    place: Place,
    credential: Credential,
    deadline: Deadline,
    verbose: Callable[[str], None],
    environ: Mapping[str, str],
    permissions: Mapping[str, str] | None = None,
) -> Credential:
    """What may be shown at this place: an App's token for its key, no platform's token elsewhere.

    Raises UsageError for a GitHub App on another forge, and all that ``app_token`` raises.
    """
    if credential.only_for is not None and credential.only_for != place.web:
        return NO_CREDENTIAL
    if credential.kind != "app":
        return credential
    if place.kind != "github":
        raise UsageError(
            f"PROMOTER_APP_ID names a GitHub App, but {place.web} is a {place.kind} server",
            next_step="set PROMOTER_TOKEN instead",
        )
    from promoter.forges import app_token

    connection = connection_to(place, NO_CREDENTIAL, deadline, verbose, environ)
    return app_token.obtain(connection, credential, permissions or app_token.PULL_REQUESTS)


def connection_to(
    place: Place,
    credential: Credential,
    deadline: Deadline,
    verbose: Callable[[str], None],
    environ: Mapping[str, str],
) -> Connection:
    """What an adapter is made of."""
    from promoter.forges.calls import Connection

    return Connection(
        place.api,
        place.web,
        place.project,
        credential.secret,
        credential.kind,
        ca_file(environ),
        deadline,
        verbose,
    )


def ca_file(environ: Mapping[str, str]) -> str | None:
    """The certificate authorities that the caller names, by the same variables as for Git."""
    return next((environ[name] for name in CA_FILES if environ.get(name)), None)


def _adapter(kind: Kind, connection: Connection) -> Forge:
    if kind == "github":
        from promoter.forges.github import GitHub

        return GitHub(connection)
    if kind == "gitea":
        from promoter.forges.gitea import Gitea

        return Gitea(connection)
    if connection.token_kind == "job":  # noqa: S105 - a kind, no token
        from promoter.forges.gitlab_push import GitLabByPush

        return GitLabByPush(connection)
    from promoter.forges.gitlab import GitLab

    return GitLab(connection)
