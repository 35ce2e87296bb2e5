"""Where an http(s) address redirects to: asked once, and never followed with a credential."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from promoter.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPMessage
    from typing import IO

_PROBE = "/info/refs?service=git-upload-pack"
_SECONDS = 30


def resolve_redirect(
    url: str,
    ca_file: str | None,
    environ: Mapping[str, str],
    *,
    authorization: str | None = None,
    seconds: float = _SECONDS,
) -> str:
    """The address on the same host that ``url`` redirects to.

    GitLab sends ``/group/project`` to ``/group/project.git``. ``authorization`` goes to
    ``url`` alone, and only where it tells nothing without. Raises UnreachableError that names
    the target where it is on another host, or where there is none.
    """
    probe, patience = url.rstrip("/") + _PROBE, max(1.0, min(seconds, _SECONDS))
    location = _location(probe, {}, ca_file, environ, patience)
    if not location and authorization:
        location = _location(probe, {"Authorization": authorization}, ca_file, environ, patience)
    target = urljoin(url, location or "")
    # Hosts append the service query, or not; the path tells where the repository is.
    address = target.split("?", 1)[0].removesuffix("/info/refs")
    if not location:
        raise UnreachableError(
            f"the manifest repository redirects without saying where: {url}",
            next_step="give the address that it has now as --manifest-repo",
            reason="redirect",
        )
    if address == url:
        raise circle(url)
    old, new = urlsplit(url), urlsplit(address)
    upgraded = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname
    if (old.scheme, old.netloc) != (new.scheme, new.netloc) and not upgraded:
        raise UnreachableError(
            f"the manifest repository redirects to another host: {new.scheme}://{new.netloc}{new.path}",
            next_step="if it has moved there, give that address as --manifest-repo",
            reason="redirect",
        )
    return address


def circle(url: str) -> UnreachableError:
    """The error for a server that sends us from one address to the next without end."""
    return UnreachableError(
        f"the manifest repository redirects in a circle: {url}",
        next_step="check the address, and the configuration of the server or of the proxy before it",
        reason="redirect",
    )


def _location(
    url: str, headers: dict[str, str], ca_file: str | None, environ: Mapping[str, str], seconds: float
) -> str | None:
    # Imported here: only a redirected run pays for an HTTP client of its own.
    import http.client
    import ssl
    import urllib.error
    import urllib.request

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(
            self,
            req: urllib.request.Request,
            fp: IO[bytes],
            code: int,
            msg: str,
            headers: HTTPMessage,
            newurl: str,
        ) -> None:
            """Do not follow."""

    names = {"http": ("http_proxy", "HTTP_PROXY"), "https": ("https_proxy", "HTTPS_PROXY")}
    proxies = {
        scheme: value
        for scheme, keys in names.items()
        if (value := next(filter(None, map(environ.get, keys)), None))
    }
    opener = urllib.request.build_opener(
        Stay(),
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca_file)),
    )
    try:
        opener.open(urllib.request.Request(url, headers=headers), timeout=seconds).close()  # noqa: S310 - http(s) by parse_remote
    except urllib.error.HTTPError as answer:
        location: str | None = answer.headers.get("Location")
        answer.close()
        return location
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise UnreachableError(
            f"the redirect of the manifest repository cannot be read: {error}",
            next_step="check the address, the network and the proxy, and run again",
            reason="redirect",
        ) from None
    return None
