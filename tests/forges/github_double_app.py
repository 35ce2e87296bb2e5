"""GitHub Apps in the double: an App signs in with its key, and gets a token narrowed to what it asks for."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from tests.forges.github_double_answers import Answers, node_id
from tests.forges.github_double_state import RefusalError, Repo, Token, ids

LONGEST_SECONDS = 600
RANKS = ("read", "write", "admin")


@dataclass
class App:
    """`issued` are the narrowed tokens that it got, newest last."""

    app_id: str
    public_key: str
    permissions: Mapping[str, str]
    repositories: frozenset[str]  # names in the account
    account: str = "acme"
    slug: str = "promoter-app"
    suspended: bool = False
    installation: int = field(default_factory=lambda: next(ids))
    issued: list[Token] = field(default_factory=list)


def signed_in(apps: list[App], authorization: str) -> App:
    """The App that a JSON Web Token belongs to; RefusalError where it is none that GitHub takes."""
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise RefusalError(401, "A JSON web token could not be decoded")
    try:
        issuer = str(jwt.decode(text, options={"verify_signature": False}).get("iss"))
        app = next((one for one in apps if one.app_id == issuer), None)
        if app is None:
            raise RefusalError(401, "Integration not found")
        required = {"require": ["iat", "exp", "iss"], "verify_iss": False}
        claims = jwt.decode(text, app.public_key, algorithms=["RS256"], options=required)  # type: ignore[arg-type] # PyJWT's own options are a closed TypedDict
    except jwt.PyJWTError as error:
        raise RefusalError(401, "A JSON web token could not be decoded") from error
    if claims["exp"] - time.time() > LONGEST_SECONDS:
        raise RefusalError(401, "'Expiration time' claim ('exp') is too far in the future")
    return app


def installation(answers: Answers, app: App, repo: Repo) -> tuple[int, Any]:
    if repo.owner != app.account or repo.name not in app.repositories:
        raise RefusalError(404, "Not Found")
    here = f"{answers.api}/app/installations/{app.installation}"
    return 200, {
        "id": app.installation,
        "app_id": int(app.app_id),
        "app_slug": app.slug,
        "client_id": f"Iv1.{app.app_id}",
        "account": answers.user(app.account),
        "target_id": answers.user(app.account)["id"],
        "target_type": "Organization",
        "repository_selection": "selected",
        "access_tokens_url": f"{here}/access_tokens",
        "repositories_url": f"{answers.api}/installation/repositories",
        "html_url": f"{answers.web}/organizations/{app.account}/settings/installations/{app.installation}",
        "permissions": dict(app.permissions),
        "events": [],
        "single_file_name": None,
        "created_at": repo.created,
        "updated_at": repo.created,
        "suspended_by": answers.user("alice") if app.suspended else None,
        "suspended_at": repo.created if app.suspended else None,
    }


def access_token(app: App, number: str, body: Mapping[str, Any] | None) -> tuple[int, Any]:
    if number != str(app.installation):
        raise RefusalError(404, "Not Found")
    if app.suspended:
        raise RefusalError(403, "This installation has been suspended")
    wanted = body or {}
    names = frozenset(wanted.get("repositories", app.repositories))
    permissions = dict(wanted.get("permissions", app.permissions))
    if not names <= app.repositories:
        message = (
            "There is at least one repository that does not exist or is not accessible "
            "to the parent installation."
        )
        raise RefusalError(422, message)
    if any(rank(level) > rank(app.permissions.get(name)) for name, level in permissions.items()):
        raise RefusalError(422, "The permissions requested are not granted to this installation.")
    token = Token(f"ghs_{secrets.token_hex(18)}", f"{app.slug}[bot]", "integration", permissions, names)
    app.issued.append(token)
    expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return 201, {
        "token": token.text,
        "expires_at": expires,
        "permissions": permissions,
        "repository_selection": "selected",
    }


def rank(level: str | None) -> int:
    return RANKS.index(level) if level in RANKS else -1


def public_user(answers: Answers, login: str, created: str) -> tuple[int, Any]:
    nothing = ("name", "company", "blog", "location", "email", "hireable", "bio")
    counts = ("public_repos", "public_gists", "followers", "following")
    more = {"node_id": node_id("User", login), "created_at": created, "updated_at": created}
    return 200, answers.user(login) | dict.fromkeys(nothing) | dict.fromkeys(counts, 0) | more
