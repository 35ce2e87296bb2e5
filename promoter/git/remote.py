"""The manifest repository as Git's remote, and the credential for exactly that place.

A credential reaches Git only through a credential helper that Git itself asks for this
host, fed by the child's environment: never by URL, argument, file or log.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from promoter.address import is_ssh, parse_address
from promoter.credentials import choose_credential, what_to_give

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promoter.credentials import Credential

_HELPER = (
    '!f() { test "$1" = get && '
    'printf "username=%s\\npassword=%s\\n" "$PROMOTER_GIT_USERNAME" "$PROMOTER_GIT_PASSWORD"; }; f'
)


@dataclass(frozen=True)
class Remote:
    """A manifest repository's address without any secret, and what to answer when it asks.

    ``instead`` is what to give where that is refused, if the credential's kind tells.
    """

    url: str
    username: str | None = None
    secret: str | None = field(default=None, repr=False)
    instead: str = ""

    @property
    def host(self) -> str | None:
        """Host and port of an http(s) address, else None."""
        parts = urlsplit(self.url)
        return parts.netloc or None if parts.scheme in ("http", "https") else None

    @property
    def is_ssh(self) -> bool:
        """Whether Git reaches it by ssh."""
        return is_ssh(self.url)

    def answering(self, credential: Credential) -> Remote:
        """The same repository with this credential, where Git reaches it by http(s)."""
        if self.host is None or credential.secret is None or credential.kind == "app":
            return replace(self, username=None, secret=None)
        return replace(self, username=credential.username, secret=credential.secret)

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
    """Read ``--manifest-repo`` and choose the credential for it; a GitHub App's must be exchanged first.

    Raises UsageError for what is no address, and for credentials that cannot be any.
    """
    place = parse_address(address)
    credential = choose_credential(place, environ)
    return Remote(place.url, instead=what_to_give(credential, environ)).answering(credential)
