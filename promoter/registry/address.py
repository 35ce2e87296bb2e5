"""Where an image's registry is, and under which names Docker's configuration knows it. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from promoter.errors import NotFoundError

if TYPE_CHECKING:
    from promoter.image import ImageReference

# distribution/reference calls Docker Hub docker.io; its API is elsewhere, and `docker login` files its
# credential under a third name (docker/cli, "login": the default server).
_HUB = "docker.io"
_HUB_API = "registry-1.docker.io"
_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io")
_PORTS = {"http": 80, "https": 443}


_LAST_PORT = 65535


@dataclass(frozen=True)
class RegistryAddress:
    """``name`` is the registry as images name it, ``origin`` its scheme, host and port.

    ``keys`` are its names in Docker's configuration; the first is what credential helpers are asked for.
    """

    name: str
    origin: str
    keys: tuple[str, ...]


def address_of(image: ImageReference) -> RegistryAddress:
    """The registry of an image: over https, on this very machine over http. Raises NotFoundError.

    Docker takes registries on ``127.0.0.0/8``, ``::1`` and ``localhost`` for insecure ones
    (Engine API, ``InsecureRegistryCIDRs``); no other registry is ever spoken to in the clear.
    """
    name = image.key[0]
    _check_port(name)
    if name == _HUB:
        return RegistryAddress(name, f"https://{_HUB_API}", _HUB_KEYS)
    scheme = "http" if is_loopback(f"http://{name}") else "https"
    return RegistryAddress(name, f"{scheme}://{name}", (name,))


def _check_port(registry: str) -> None:
    port = registry.rpartition("]")[2].partition(":")[2]
    if port and int(port) > _LAST_PORT:
        raise NotFoundError(
            f"{registry} is no registry: there is no port {port}",
            next_step="check the image's name",
            reason="image-missing",
        )


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs agree in scheme, host and port (RFC 6454)."""
    return _origin(one) == _origin(other)


def may_follow(url: str, target: str) -> bool:
    """Whether to go where a registry, asked at ``url``, sends us: to https, or from this machine to itself.

    A registry names other hosts for its tokens and its blobs; none of them makes us speak in the clear.
    """
    try:
        parts = urlsplit(target)
        scheme, host, _ = _origin(target)
    except ValueError:
        return False
    if not host or parts.username is not None or not target.isprintable():
        return False
    return scheme == "https" or (urlsplit(url).scheme == "http" and is_loopback(url) and is_loopback(target))


def target_of(url: str, location: str) -> str | None:
    """Where a redirect leads to; None where it must not be followed."""
    try:
        target = urljoin(url, location)
    except ValueError:
        return None
    return target if may_follow(url, target) else None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        raise ValueError(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]
