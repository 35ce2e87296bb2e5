"""Where the manifest repository is, and the credentials for exactly that place.

A credential reaches Git only through a credential helper that Git itself asks for this
host, fed by the child's environment: never by URL, argument, file or log.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from promoter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SCP_LIKE = re.compile(r"(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9._-]+:(?!//)[^\s]+\Z")
_HELPER = (
    '!f() { test "$1" = get && '
    'printf "username=%s\\npassword=%s\\n" "$PROMOTER_GIT_USERNAME" "$PROMOTER_GIT_PASSWORD"; }; f'
)


@dataclass(frozen=True)
class Remote:
    """A manifest repository's address without any secret, and what to answer when it asks."""

    url: str
    username: str | None = None
    secret: str | None = field(default=None, repr=False)

    @property
    def host(self) -> str | None:
        """Host and port of an http(s) address, else None."""
        parts = urlsplit(self.url)
        return parts.netloc or None if parts.scheme in ("http", "https") else None

    @property
    def is_ssh(self) -> bool:
        """Whether Git reaches it by ssh."""
        return self.url.startswith("ssh://") or _SCP_LIKE.match(self.url) is not None

    def at(self, url: str) -> Remote:
        """The same repository at another address of the same host."""
        return replace(self, url=url)

    def configuration(self) -> dict[str, str]:
        """Git settings that make it ask our helper, for this host only."""
        if self.secret is None or self.host is None:
            return {}
        parts = urlsplit(self.url)
        return {f"credential.{parts.scheme}://{parts.netloc}.helper": _HELPER}

    def authorization(self, url: str) -> str | None:
        """The header that a request of our own may carry: to this very scheme, host and port only."""
        mine, other = urlsplit(self.url), urlsplit(url)
        if self.secret is None or (mine.scheme, mine.netloc) != (other.scheme, other.netloc):
            return None
        return "Basic " + b64encode(f"{self.username or ''}:{self.secret}".encode()).decode("ascii")

    def environment(self) -> dict[str, str]:
        """What the helper reads."""
        if self.secret is None:
            return {}
        return {"PROMOTER_GIT_USERNAME": self.username or "", "PROMOTER_GIT_PASSWORD": self.secret}


def parse_remote(address: str, environ: Mapping[str, str]) -> Remote:
    """Read ``--manifest-repo``: http(s), ssh or file URL, ``user@host:path``, or a plain path.

    Raises UsageError for anything else.
    """
    if not address or address.startswith("-") or not address.isprintable():
        raise UsageError("--manifest-repo is neither a URL nor a path")
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"--manifest-repo is no valid URL: {error}") from None
    if parts.scheme in ("http", "https"):
        return _http_remote(address, environ)
    if parts.scheme in ("ssh", "file"):
        return Remote(address)
    if parts.scheme and "://" in address:
        raise UsageError(
            f"--manifest-repo: the protocol {parts.scheme}:// is not supported",
            next_step="use https://, ssh://, user@host:path, file:// or a path",
        )
    if not Path(address).exists() and _SCP_LIKE.match(address):
        return Remote(address)
    return Remote(str(Path(address).absolute()))


def _http_remote(address: str, environ: Mapping[str, str]) -> Remote:
    parts = urlsplit(address)
    if not parts.hostname:
        raise UsageError("--manifest-repo: the URL has no host")
    netloc = parts.netloc.rpartition("@")[2]
    url = urlunsplit((parts.scheme, netloc, parts.path, "", ""))
    token, username = _token(url, environ)
    if token is None and parts.password:
        token, username = unquote(parts.password), unquote(parts.username or "")
    return Remote(url, environ.get("PROMOTER_USERNAME") or username, token)


def _token(url: str, environ: Mapping[str, str]) -> tuple[str | None, str]:
    """The token for this repository and the user name its forge expects beside one.

    The platform's own token goes only to the platform: on GitHub to the very repository
    that it belongs to, on GitLab to the instance that runs the job.
    """
    host = urlsplit(url).netloc
    if token := environ.get("PROMOTER_TOKEN"):
        return token, _usual_username(host, environ)
    own = f"{environ.get('GITHUB_SERVER_URL', '')}/{environ.get('GITHUB_REPOSITORY', '')}"
    if environ.get("GITHUB_TOKEN") and _same_repository(url, own):
        return environ["GITHUB_TOKEN"], "x-access-token"
    if environ.get("CI_JOB_TOKEN") and url.startswith(environ.get("CI_SERVER_URL", "\n").rstrip("/") + "/"):
        return environ["CI_JOB_TOKEN"], "gitlab-ci-token"
    return None, ""


def _usual_username(host: str, environ: Mapping[str, str]) -> str:
    if "gitlab" in host or host == urlsplit(environ.get("CI_SERVER_URL", "")).netloc:
        return "oauth2"
    return "x-token-auth" if "bitbucket" in host else "x-access-token"


def _same_repository(one: str, other: str) -> bool:
    return one.removesuffix("/").removesuffix(".git").lower() == other.removesuffix("/").lower()


_PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")


def secrets_in(environ: Mapping[str, str], arguments: Iterable[str]) -> frozenset[str]:
    """Every secret this run knows, in each form it could show up in, to be masked in any output."""
    names = ("PROMOTER_TOKEN", "GITHUB_TOKEN", "CI_JOB_TOKEN", "PROMOTER_SSH_KEY", "PROMOTER_SIGNING_KEY")
    found = {environ[name].strip() for name in names if environ.get(name)}
    # A key is given as text or as a file; a file's name is no secret.
    found = {secret for secret in found if "\n" in secret or not secret.startswith(("/", ".", "~"))}
    for text in (*arguments, environ.get("PROMOTER_MANIFEST_REPO", "")):
        found |= {form for written in _PASSWORD_IN_URL.findall(text) for form in (written, unquote(written))}
    forms = {form for secret in found for form in (secret, quote(secret, safe=""), _in_json(secret))}
    return frozenset(form for form in forms if len(form) >= 4)


def _in_json(secret: str) -> str:
    return secret.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
