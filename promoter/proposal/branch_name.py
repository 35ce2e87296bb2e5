"""The branch of each pull request: the same one for the same environment and app, every time."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from promoter.config import Config, Environment, PullRequestSettings

ALL = "_all"  # the key of a pull request that holds every app of its environment

# What every server and file system takes as it is; git-check-ref-format(1) allows more.
_FIT = re.compile(r"(?!.*(?:\.\.|\.lock\Z))[A-Za-z0-9][A-Za-z0-9._-]*(?<!\.)\Z")
_LONGEST = 100  # characters of one part: a lock file's name must fit into 255 bytes


def branch_name(settings: PullRequestSettings, environment: str, app: str) -> str:
    """``promoter/<environment>/<app>``; ``…/_all`` where the environment's apps share one.

    ``app`` may be ``ALL`` itself. A name that does not fit gets its other characters
    replaced and ends in a hash of the whole of it, so that two of them stay two.
    """
    key = ALL if app == ALL or settings.group == "environment" else _part(app)
    return f"{settings.branch_prefix}/{_part(environment)}/{key}"


def _part(name: str) -> str:
    if _FIT.match(name) and len(name) <= _LONGEST:
        return name
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name)[:_LONGEST].strip("-")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain}-{digest}" if plain else f"x-{digest}"


@dataclass(frozen=True)
class Shared:
    """Two places of the configuration that would share a branch; ``place`` is the later one's keys."""

    place: tuple[str, ...]
    message: str


def shared_branches(config: Config) -> Iterator[Shared]:
    """The environments and apps whose pull requests would get one branch, or one in the other's way.

    Names that differ in case only are one: some servers keep refs as files on a file
    system that folds case. Looks at the environments that open pull requests.
    """
    environments = [
        one for one in config.environments.values() if "pull-request" in (one.publish, one.on_refused)
    ]
    yield from _environments_in_each_others_way(environments)
    apps = [app.name for app in config.apps]
    by_app = next((one for one in environments if one.pull_request.group == "app"), None)
    if by_app is None:
        return
    for first, second in combinations(apps, 2):
        names = [branch_name(by_app.pull_request, by_app.name, app) for app in (first, second)]
        if names[0].casefold() == names[1].casefold():
            yield Shared(
                ("apps", second),
                f"the apps {first!r} and {second!r} would share the branch {names[1]}"
                " (some servers do not tell capitals apart)",
            )


def _environments_in_each_others_way(environments: Iterable[Environment]) -> Iterator[Shared]:
    """One's branches all start with its directory: no other's directory may be that, or lie in it."""
    for first, second in combinations(environments, 2):
        paths = [branch_name(one.pull_request, one.name, ALL).removesuffix(ALL) for one in (first, second)]
        shorter, longer = sorted((path.casefold() for path in paths), key=len)
        if longer.startswith(shorter):
            yield Shared(
                ("environments", second.name),
                f"the pull requests of {first.name!r} and {second.name!r} would share branches, "
                f"below {paths[0]} and {paths[1]}",
            )
