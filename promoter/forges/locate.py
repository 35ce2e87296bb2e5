"""Which forge a manifest repository is on, and where that forge's API is. Pure.

The address decides: the API is on the manifest repository's own host, or where
github.com and ghe.com have theirs. Only the caller's ``--forge-api`` leads elsewhere; the
configuration can name a kind, never a host.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from promoter.address import parse_server
from promoter.credentials import is_on_gitlab, runs_on_gitea
from promoter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from promoter.address import Address

Kind = Literal["github", "gitlab", "gitea", "git"]
ForgeType = Literal["github", "gitlab", "gitea", "forgejo", "git"]

_KINDS: dict[str, Kind] = {
    "github": "github",
    "gitlab": "gitlab",
    "gitea": "gitea",
    "forgejo": "gitea",
    "codeberg": "gitea",
    "git": "git",
}
_WELL_KNOWN: dict[str, Kind] = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "codeberg.org": "gitea",
    "gitea.com": "gitea",
}
# GitHub Enterprise Server's REST API, GitLab's, and Gitea's and Forgejo's.
_API_PATHS: dict[Kind, str] = {"github": "/api/v3", "gitlab": "/api/v4", "gitea": "/api/v1"}
_GITHUB, _GITHUB_API = "https://github.com", "https://api.github.com"
_RESIDENCY = ".ghe.com"
# What GitHub, GitLab and Gitea allow in the names of owners, groups and repositories.
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Place:
    """A forge's API and the repository there.

    ``api`` is the API's root and ``web`` the forge's own address, both without a slash at
    the end; ``project`` is the repository's path below ``web``. All are empty for "git".
    """

    kind: Kind
    api: str = ""
    web: str = ""
    project: str = ""


PLAIN_GIT = Place("git")


def locate(
    address: Address,
    environ: Mapping[str, str],
    *,
    forge_type: ForgeType | None = None,
    forge_api: str | None = None,
    probe: Callable[[str], Kind | None] | None = None,
) -> Place:
    """The forge of the manifest repository.

    ``forge_type`` is the configuration's, ``forge_api`` the caller's. ``probe`` asks the
    server at a web address what it is; it is called where nothing else tells.

    Raises UsageError for a ``--forge-api`` that is none, and for an address that names
    no repository of that forge.
    """
    if forge_api is not None:
        return _at(forge_api, address, environ, forge_type)
    if forge_type == "git" or address.transport == "path":
        return PLAIN_GIT
    web, project = _server(address, environ)
    kind = _KINDS[forge_type] if forge_type else _kind(address, environ)
    if kind is None and probe is not None:
        kind = probe(web)
    if kind is None or kind == "git":
        return PLAIN_GIT
    if kind == "gitea":
        web, project = _below(web, project, address)
    return Place(kind, _api(kind, web), web, _checked(kind, web, project))


def _server(address: Address, environ: Mapping[str, str]) -> tuple[str, str]:
    """The forge's web address and the repository's path below it.

    A forge that is not at the root of its host is told by the platform's own variables;
    those of another host than the manifest repository's tell nothing.
    """
    for name in ("GITHUB_SERVER_URL", "CI_SERVER_URL"):
        server = parse_server(environ.get(name, ""))
        if server is None:
            continue
        project = address.below(server.web)
        if project is None and name == "CI_SERVER_URL" and is_on_gitlab(address, environ):
            project = address.path
        if project is not None:
            return server.web, project
    return (
        _GITHUB if address.web_host == "github.com" and not address.port else address.origin
    ), address.path


def _kind(address: Address, environ: Mapping[str, str]) -> Kind | None:
    host = address.web_host
    if host in _WELL_KNOWN or host.endswith(_RESIDENCY):
        return _WELL_KNOWN.get(host, "github")
    if address.below(environ.get("GITHUB_SERVER_URL", "")) is not None:
        return "gitea" if runs_on_gitea(environ) else "github"
    if is_on_gitlab(address, environ):
        return "gitlab"
    return next((kind for name, kind in _KINDS.items() if name != "git" and name in host), None)


def _api(kind: Kind, web: str) -> str:
    """GitHub's "Getting started with the REST API" gives the three forms of its root."""
    if kind == "github" and web == _GITHUB:
        return _GITHUB_API
    if kind == "github" and web.endswith(_RESIDENCY):
        scheme, _, host = web.partition("://")
        return f"{scheme}://api.{host}"
    return web + _API_PATHS[kind]


def _below(web: str, project: str, address: Address) -> tuple[str, str]:
    """Gitea's repositories have exactly an owner and a name: what stands before is where it runs."""
    head, _, name = project.rpartition("/")
    prefix, _, owner = head.rpartition("/")
    if not prefix or address.transport == "ssh":
        return web, project
    return f"{web}/{prefix}", f"{owner}/{name}"


def _checked(kind: Kind, web: str, project: str) -> str:
    segments = project.split("/")
    plain = all(_SEGMENT.fullmatch(one) and one not in (".", "..") for one in segments)
    if plain and (len(segments) == 2 or (kind == "gitlab" and len(segments) > 2)):
        return project
    form = "GROUP/PROJECT" if kind == "gitlab" else "OWNER/NAME"
    raise UsageError(
        f"--manifest-repo names no repository {form} on {web}",
        next_step="give the address that the forge shows for cloning; a port with ssh:// only",
    )


def _at(forge_api: str, address: Address, environ: Mapping[str, str], forge_type: ForgeType | None) -> Place:
    """The forge behind the caller's ``--forge-api``."""
    there = parse_server(forge_api)
    if there is None or "@" in forge_api or "?" in forge_api or "#" in forge_api:
        raise UsageError(
            "--forge-api is no http(s) URL of an API, or holds credentials or a query",
            next_step="give the API's root alone, like https://git.example.com/api/v4",
        )
    if forge_type == "git":
        return PLAIN_GIT
    if address.transport == "path":
        raise UsageError(
            "--forge-api needs a --manifest-repo that is on that forge, not a path",
            next_step="give the repository's https:// or ssh address, or leave --forge-api out",
        )
    api = there.web
    kind = _KINDS[forge_type] if forge_type else _kind_of_api(api, there) or _kind(address, environ)
    if kind is None:
        raise UsageError(
            f"--forge-api {api} does not tell which forge it is",
            next_step="end it in /api/v1 (Gitea, Forgejo), /api/v3 (GitHub) or /api/v4 (GitLab), "
            "or name the forge as forge: {type: …} in .promoter.yaml",
        )
    web = _web_of_api(api, there)
    project = address.below(web)
    return Place(kind, api, web, _checked(kind, web, address.path if project is None else project))


def _kind_of_api(api: str, there: Address) -> Kind | None:
    if there.host == "api.github.com" or (there.host.startswith("api.") and there.host.endswith(_RESIDENCY)):
        return "github"
    return next((kind for kind, path in _API_PATHS.items() if api.endswith(path)), None)


def _web_of_api(api: str, there: Address) -> str:
    if api == _GITHUB_API:
        return _GITHUB
    if there.host.startswith("api.") and there.host.endswith(_RESIDENCY):
        return there.origin.replace("://api.", "://", 1)
    for path in _API_PATHS.values():
        if api.endswith(path):
            return api.removesuffix(path)
    return there.origin
