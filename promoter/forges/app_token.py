"""A GitHub App's key, exchanged for a token that is good for one repository and one hour.

GitHub's "Authenticating as a GitHub App" and "Generating an installation access token".
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from promoter.credentials import Credential
from promoter.errors import DeniedError, UsageError
from promoter.forges.calls import CallFailedError, repeat
from promoter.forges.web import Session, explain
from promoter.secrets import register, register_obtained

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from promoter.forges.calls import Connection

CONTENTS: Mapping[str, str] = {"contents": "write"}
PULL_REQUESTS: Mapping[str, str] = {**CONTENTS, "pull_requests": "write"}

# As the App's settings page calls them.
_NAMES = {
    "contents": "Contents",
    "pull_requests": "Pull requests",
    "statuses": "Commit statuses",
    "checks": "Checks",
    "members": "Members (of the organization)",
    "workflows": "Workflows",
}
_LEVELS = ("none", "read", "write", "admin")
# "Generating a JSON Web Token": 60 seconds in the past allow for clocks that differ; ten minutes is the most.
_SKEW_SECONDS = 60
_LIFE_SECONDS = 540
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----", re.DOTALL)
_API_VERSION = "2022-11-28"


def permissions_for(
    *, gate: bool = False, checks: bool = False, teams: bool = False, workflows: bool = False
) -> dict[str, str]:
    """What pull requests take, and what the features in use add.

    ``gate`` sets a commit status, ``checks`` reads those of others, ``teams`` asks teams
    for a review, ``workflows`` writes below .github/workflows.
    """
    wanted = dict(PULL_REQUESTS)
    if gate:
        wanted["statuses"] = "write"
    if checks:
        wanted |= {"checks": "read", "statuses": wanted.get("statuses", "read")}
    if teams:
        wanted["members"] = "read"
    if workflows:
        wanted["workflows"] = "write"
    return wanted


def obtain(connection: Connection, app: Credential, permissions: Mapping[str, str]) -> Credential:
    """A token for ``connection.project`` alone, with these permissions alone.

    Raises:
        UsageError: the private key is none.
        DeniedError: GitHub does not know the App, it is not installed on the repository
            or suspended, or has not been granted a permission; the message says which.
        UnreachableError, DeadlineError: no answer, or none in time.
    """
    key = read_private_key(app.secret or "")
    _sign(app.app_id, key)  # a key that is none is told before anything is sent
    with Session(connection) as session:
        call = _Caller(connection, session, app.app_id, key)
        found = call.get(
            "finding the GitHub App's installation", f"/repos/{quote(connection.project)}/installation"
        )
        slug = str(found.get("app_slug") or app.app_id)
        _check(connection, slug, found, permissions)
        answer = call.post(
            "getting a token for the GitHub App",
            f"/app/installations/{found['id']}/access_tokens",
            {"repositories": [connection.project.rpartition("/")[2]], "permissions": dict(permissions)},
        )
    token = str(answer["token"])
    register_obtained(token)
    return Credential("installation", "x-access-token", token, app.source, app.app_id, slug)


def bot_identity(connection: Connection, slug: str) -> str:
    """``slug[bot] <id+slug[bot]@users.noreply.github.com>``: the App as a commit's author.

    ``connection`` holds the installation's token: GitHub shows users to that, not to the
    App itself ("Endpoints available for GitHub App installation access tokens").
    """
    name = f"{slug}[bot]"

    def call() -> int:
        with Session(connection) as session:
            response = session.get(
                f"{connection.api}/users/{quote(name)}",
                headers=_headers(f"Bearer {connection.token}"),
                timeout=session.timeout,
            )
            response.raise_for_status()
            return int(response.json()["id"])

    try:
        number = repeat(
            connection, "reading the GitHub App's bot user", call, explain, needs="access to public data"
        )
    except CallFailedError as error:
        _refuse(connection, "reading the GitHub App's bot user", error)
    return f"{name} <{number}+{name}@users.noreply.{urlsplit(connection.web).hostname}>"


def read_private_key(value: str) -> str:
    r"""The key in PEM form, from its text with any line breaks, written-out ``\n`` too, or from its file.

    Raises UsageError.
    """
    text = value.strip()
    if "-----BEGIN" not in text:
        try:
            text = Path(text).expanduser().read_text(encoding="ascii")
        except (OSError, ValueError, RuntimeError):
            text = ""
        register(text)
    match = _PEM.search(text)
    if match is None:
        raise UsageError(
            "PROMOTER_APP_PRIVATE_KEY is neither a private key nor the name of a file that holds one",
            next_step="give the .pem file that GitHub made for the App, or the whole text of it",
        )
    label, body = match.groups()
    lines = re.sub(r"(?:\\[rn]|\s)+", "\n", body).strip("\n")
    key = f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"
    register(key)
    return key


def _sign(app_id: str, key: str) -> str:
    """A JSON Web Token of ten minutes that says who we are."""
    import jwt  # costs more than the rest of this module

    now = int(time.time())
    claims = {"iat": now - _SKEW_SECONDS, "exp": now + _LIFE_SECONDS, "iss": app_id}
    try:
        token = jwt.encode(claims, key, algorithm="RS256")
    except (ValueError, TypeError, AttributeError, jwt.PyJWTError):
        raise UsageError(
            "PROMOTER_APP_PRIVATE_KEY is no RSA private key in PEM form, or it has a passphrase",
            next_step="give the .pem file as GitHub made it, under Private keys in the App's settings",
        ) from None
    register(token)
    return token


def _headers(authorization: str) -> dict[str, str]:
    return {
        "Authorization": authorization,
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": _API_VERSION,
    }


@dataclass(frozen=True)
class _Caller:
    """Calls as the App itself."""

    connection: Connection
    session: Session
    app_id: str
    key: str

    def get(self, doing: str, path: str) -> dict[str, Any]:
        return self._answer(doing, lambda: self._request("GET", path, None))

    def post(self, doing: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        # A token that nobody received expires by itself: asking again does no harm.
        return self._answer(doing, lambda: self._request("POST", path, body))

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        response = self.session.request(
            method,
            self.connection.api + path,
            json=body,
            headers=_headers(f"Bearer {_sign(self.app_id, self.key)}"),
            timeout=self.session.timeout,
        )
        response.raise_for_status()
        document: dict[str, Any] = response.json()
        return document

    def _answer(self, doing: str, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return repeat(self.connection, doing, call, explain, needs="access to the App's installation")
        except CallFailedError as error:
            _refuse(self.connection, doing, error)
        except DeniedError as error:
            if error.reason != "authentication":
                raise
            raise DeniedError(
                f"{doing}: {self.connection.api} does not accept the GitHub App's key",
                next_step="check that PROMOTER_APP_ID and PROMOTER_APP_PRIVATE_KEY are of the same App, that "
                "the key has not been deleted there, and that this machine's clock is right",
                reason="authentication",
            ) from None


def _refuse(connection: Connection, doing: str, error: CallFailedError) -> NoReturn:
    if error.status == 404:
        raise DeniedError(
            f"{doing}: the GitHub App is not installed on {connection.project}, "
            f"or {connection.api} has no such repository or App",
            next_step="install it there: the App's settings, Install App; check PROMOTER_APP_ID too",
            reason="app-not-installed",
        ) from None
    raise DeniedError(
        f"{doing}: {connection.api} refuses: {error.message}",
        next_step="compare the App's permissions with those that promoter's documentation lists",
        reason="permission" if error.status == 422 else "refused",
    ) from None


def _check(
    connection: Connection, slug: str, installation: Mapping[str, Any], permissions: Mapping[str, str]
) -> None:
    """Name what is missing: GitHub itself would only say that something is."""
    where = f"on {connection.project}"
    if installation.get("suspended_at"):
        raise DeniedError(
            f"the installation of the GitHub App {slug} {where} is suspended",
            next_step="an owner can lift that in the settings, under GitHub Apps",
            reason="app-not-installed",
        )
    granted = installation.get("permissions")
    granted = granted if isinstance(granted, dict) else {}
    missing = [
        f"{_NAMES.get(name, name)}: {level}"
        for name, level in permissions.items()
        if _rank(granted.get(name, "none")) < _rank(level)
    ]
    if missing:
        raise DeniedError(
            f"the GitHub App {slug} has not been granted {', '.join(missing)} {where}",
            next_step="add it under Permissions & events in the App's settings, then have an owner "
            "accept the change for the installation",
            reason="permission",
        )


def _rank(level: object) -> int:
    return _LEVELS.index(level) if level in _LEVELS else 0
