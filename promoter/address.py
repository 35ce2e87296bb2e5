"""Where a manifest repository is, read once for Git and for the forge's API."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from promoter.errors import UsageError

Transport = Literal["http", "https", "ssh", "path"]

_SCP_LIKE = re.compile(
    r"(?:[A-Za-z0-9._-]+@)?(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?!//)(?P<path>[^\s]+)\Z"
)
# Nothing that one URL parser could take for the end of a host and another one not.
_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]")
_PORTS = {"http": 80, "https": 443, "ssh": 22}
# Names that lead to the same forge where port 22 is closed: GitHub's "Using SSH over the HTTPS port",
# GitLab's "GitLab.com settings", Bitbucket's "Use SSH over port 443".
_SSH_ALIASES = {
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
}


@dataclass(frozen=True)
class Address:
    """A place that Git reads from. ``url`` is what Git gets, over http(s) without user and password.

    ``host`` is in lower case, an IPv6 one in brackets; ``port`` is None where it is the
    transport's own; ``path`` has neither slashes at its ends nor ``.git``.
    """

    transport: Transport
    url: str
    host: str = ""
    port: int | None = None
    path: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def web_host(self) -> str:
        """The host that the forge's pages are on."""
        return _SSH_ALIASES.get(self.host, self.host) if self.transport == "ssh" else self.host

    @property
    def origin(self) -> str:
        """Scheme, host and port of the forge's pages: https where Git goes by ssh."""
        if self.transport == "ssh":
            return f"https://{self.web_host}"
        return f"{self.transport}://{self.host}{f':{self.port}' if self.port else ''}"

    @property
    def web(self) -> str:
        """A server's own address: its origin and the path that it is below, if any."""
        return f"{self.origin}/{self.path}".rstrip("/")

    def below(self, server: str) -> str | None:
        """The repository's path on the server at this http(s) URL; None where it is on another one.

        Scheme, host and port must agree; for ssh, which has a port of its own and knows
        no path before the repository's, the host.
        """
        there = parse_server(server)
        if there is None or self.transport == "path":
            return None
        if self.transport == "ssh":
            return self.path if self.web_host == there.host else None
        prefix = f"{there.path}/" if there.path else ""
        if self.origin != there.origin or not self.path.startswith(prefix):
            return None
        return self.path.removeprefix(prefix)


def parse_server(url: str) -> Address | None:
    """An http(s) URL of a server, below a path or not; None for anything else."""
    try:
        parts = urlsplit(url)
        return _http_address(parts) if parts.scheme in ("http", "https") else None
    except (ValueError, UsageError):
        return None


def parse_address(address: str) -> Address:
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
        return _http_address(parts)
    if parts.scheme == "ssh":
        return Address("ssh", address, _host(parts), _port(parts), _repository(unquote(parts.path)))
    if parts.scheme == "file":
        return Address("path", address)
    if parts.scheme and "://" in address:
        raise UsageError(
            f"--manifest-repo: the protocol {parts.scheme}:// is not supported",
            next_step="use https://, ssh://, user@host:path, file:// or a path",
        )
    if not Path(address).exists() and (match := _SCP_LIKE.match(address)):
        return Address("ssh", address, match["host"].lower(), None, _repository(match["path"]))
    return Address("path", str(Path(address).absolute()))


def is_ssh(url: str) -> bool:
    """Whether Git reaches this address by ssh."""
    return url.startswith("ssh://") or _SCP_LIKE.match(url) is not None


def _http_address(parts: SplitResult) -> Address:
    transport: Transport = "https" if parts.scheme == "https" else "http"
    host = _host(parts)
    netloc = parts.netloc.rpartition("@")[2]
    return Address(
        transport,
        f"{transport}://{netloc}{parts.path}",
        host,
        _port(parts),
        _repository(unquote(parts.path)),
        unquote(parts.username) if parts.username is not None else None,
        unquote(parts.password) if parts.password is not None else None,
    )


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    if not host:
        raise UsageError("--manifest-repo: the URL has no host")
    if not _HOST.fullmatch(host) or "\\" in parts.netloc:
        raise UsageError(
            "--manifest-repo: the host of the URL holds characters that no host name has",
            next_step="write an international name in its ASCII form (xn--…)",
        )
    return host


def _port(parts: SplitResult) -> int | None:
    return None if parts.port == _PORTS[parts.scheme] else parts.port


def _repository(path: str) -> str:
    return path.strip("/").removesuffix(".git").strip("/")
