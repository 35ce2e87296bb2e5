"""``.promoter.yaml`` → a frozen Config.

Pure: text in, data out. Parsing imports ruamel.yaml and jsonschema (120 ms) only when
there is something to parse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from promoter.config.gates import misplaced, parse_span
from promoter.config.grammar import KeyPath, parse_key_path, repository_path
from promoter.config.validate import (
    Command,
    HelmChart,
    UserSchema,
    ValidateSettings,
    chart_of,
    name_twice,
    settings_of,
)
from promoter.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from promoter.version import Order

__all__ = [
    "App",
    "Command",
    "Commit",
    "Config",
    "Environment",
    "Freeze",
    "HelmChart",
    "ImageRule",
    "KeyPath",
    "PullRequestSettings",
    "Target",
    "UserSchema",
    "ValidateSettings",
    "config_for_paths",
    "environment",
    "parse_config",
    "parse_key_path",
]


@dataclass(frozen=True)
class PullRequestSettings:
    """What an environment's pull requests look like; ``title`` and ``body`` are templates, None is ours."""

    group: Literal["app", "environment"] = "app"
    labels: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    team_reviewers: tuple[str, ...] = ()
    auto_merge: Literal["merge", "squash", "rebase"] | None = None
    draft: bool = False
    on_approved: Literal["replace", "wait"] = "replace"
    branch_prefix: str = "promoter"
    title: str | None = None
    body: str | None = None


@dataclass(frozen=True)
class Freeze:
    """A time when nothing lands; both ends as ``config.times.parse_freeze_time`` reads them, in the zone."""

    start: str
    end: str
    timezone: str = "UTC"


@dataclass(frozen=True)
class Environment:
    """A named part of the manifest repository; ``paths`` are directories or globs, ``.`` is all.

    ``on_refused`` is what ``publish: push`` does while a gate is closed. ``helm`` are charts that
    no Application or HelmRelease in the repository tells of. Where it lives elsewhere, ``base`` is its
    branch and ``repository`` its address. ``after`` is the environment that an image passes through
    first: for ``soak``, with the checks ``require_checks`` on the commit that brought it there.
    ``max_changes`` bounds the changes of one run.
    """

    name: str
    paths: tuple[str, ...]
    publish: Literal["push", "pull-request"] = "push"
    on_refused: Literal["fail", "pull-request"] = "fail"
    freeze: tuple[Freeze, ...] = ()
    pull_request: PullRequestSettings = PullRequestSettings()
    helm: tuple[HelmChart, ...] = ()
    base: str | None = None
    repository: str | None = None
    after: str | None = None
    soak: timedelta | None = None
    max_changes: int | None = None
    require_checks: tuple[str, ...] = ()
    allow_override: bool = False


@dataclass(frozen=True)
class App:
    """Images promoted as one thing; ``paths`` are relative to the environment, none means anywhere."""

    name: str
    images: tuple[str, ...]
    paths: tuple[str, ...] = ()
    current: str | None = None
    markers: str | None = None


@dataclass(frozen=True)
class ImageRule:
    """How the tags of the images whose name matches the glob are read, and which may land.

    ``allow`` is searched in the tag (``config.gates.is_found``), ``source_branch`` is a glob on
    the branch that was built, ``platforms`` are those that the image must have, as ``os/arch[/variant]``.
    """

    match: str
    order: Order = "auto"
    current: str | None = None
    markers: str | None = None
    allow: str | None = None
    source_branch: str | None = None
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """An explicit site: key paths (see ``parse_key_path``) into a file.

    ``file``, ``image`` and the key paths may hold ``{environment}`` and ``{app}``. Either
    ``reference`` is set, or ``tag`` or ``digest`` or both of these.
    """

    file: str
    image: str
    tag: str | None = None
    digest: str | None = None
    reference: str | None = None


@dataclass(frozen=True)
class Commit:
    """What commits look like; None is promoter's default. ``sign`` is ``ssh``, ``gpg`` or ``forge``."""

    message: str | None = None
    author: str | None = None
    sign: str | None = None


@dataclass(frozen=True)
class Config:
    """The whole configuration; there is at least one environment, and the order is the file's.

    ``forge_type`` is ``github``, ``gitlab``, ``gitea``, ``forgejo``, ``git``, or None: by the address.
    """

    environments: Mapping[str, Environment]
    apps: tuple[App, ...] = ()
    images: tuple[ImageRule, ...] = ()
    targets: tuple[Target, ...] = ()
    exclude: tuple[str, ...] = ()
    validate: ValidateSettings = field(default_factory=ValidateSettings)
    commit: Commit = Commit()
    forge_type: Literal["github", "gitlab", "gitea", "forgejo", "git"] | None = None


def parse_config(text: str, file: str, *, version: str) -> Config:
    """Read a configuration; ``version`` is the running promoter's, for ``requires``.

    Raises:
        ConfigError: the first thing that is wrong, with its line in ``file``; its reason is
            ``requires`` when the file asks for another version of promoter.
    """
    from promoter.config.check import checked, problem_at, problem_at_key
    from promoter.proposal.branch_name import shared_branches  # which speaks of this module's types

    data, root = checked(text, file, version=version)
    config = Config(
        environments=MappingProxyType(
            {name: _environment(name, entry) for name, entry in data["environments"].items()}
        ),
        apps=tuple(_app(name, entry) for name, entry in data.get("apps", {}).items()),
        images=tuple(_image_rule(entry) for entry in data.get("images", [])),
        targets=tuple(_target(entry) for entry in data.get("targets", [])),
        exclude=_paths(data.get("exclude", [])),
        validate=settings_of(data.get("validate", {})),
        commit=Commit(**data.get("commit", {})),
        forge_type=data.get("forge", {}).get("type"),
    )
    for wrong in misplaced(config.environments):
        raise problem_at(root, wrong.place, wrong.message, wrong.next_step).error(file)
    for shared in shared_branches(config):
        raise problem_at_key(root, shared.place, shared.message, "rename one of them").error(file)
    if (again := name_twice(config.validate)) is not None:
        name = config.validate.commands[again].name
        steps = ("validate", "commands", again, "name")
        message = f"validate.commands[{again}].name: another command is called {name!r} already"
        raise problem_at(root, steps, message, "rename one of them").error(file)
    return config


def config_for_paths(paths: Sequence[str]) -> Config:
    """Return what ``--path DIR`` means without a configuration: one environment.

    It is called after the first directory, ``/`` as ``-`` and the whole repository as
    ``all``; characters that no environment's name can hold become ``-`` too.

    Raises:
        UsageError: there is no path, or one of them is not inside the repository.
    """
    if not paths:
        raise UsageError("no path was given", next_step="give --path DIR, or --path . for everything")
    try:
        inside = _paths(paths)
    except ValueError as error:
        raise UsageError(
            f"--path: {error}", next_step="give a directory of the manifest repository, e.g. envs/staging"
        ) from error
    first = "all" if inside[0] == "." else inside[0]
    name = re.sub(r"[^A-Za-z0-9._-]", "-", first).lstrip("._-")
    if not name:
        raise UsageError(
            f"--path: no environment can be called after {first!r}",
            next_step="write a .promoter.yaml that names it",
        )
    return Config(environments=MappingProxyType({name: Environment(name, inside)}))


def environment(config: Config, name: str) -> Environment:
    """Return the environment of that name.

    Raises:
        ConfigError: there is none; the message lists those that there are.
    """
    found = config.environments.get(name)
    if found is None:
        close = get_close_matches(name, config.environments, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigError(
            f"no environment is called {name!r}; there are {', '.join(config.environments)}{hint}",
            next_step="name one of these, or add it to the configuration",
        )
    return found


def _environment(name: str, entry: dict[str, Any]) -> Environment:
    path = entry["path"]
    return Environment(
        name,
        _paths([path] if isinstance(path, str) else path),
        entry.get("publish", "push"),
        entry.get("on-refused", "fail"),
        tuple(_freeze(one) for one in entry.get("freeze", [])),
        _pull_request(entry.get("pull-request", {})),
        tuple(chart_of(one) for one in entry.get("helm", [])),
        base=entry.get("base"),
        repository=entry.get("repository"),
        after=entry.get("after"),
        soak=parse_span(entry["soak"]) if "soak" in entry else None,
        max_changes=int(entry["max-changes"]) if "max-changes" in entry else None,
        require_checks=tuple(dict.fromkeys(entry.get("require-checks", []))),
        allow_override=entry.get("allow-override", False),
    )


def _freeze(entry: dict[str, str]) -> Freeze:
    return Freeze(entry["from"], entry["to"], entry.get("timezone", "UTC"))


def _pull_request(entry: dict[str, Any]) -> PullRequestSettings:
    values = {key.replace("-", "_"): value for key, value in entry.items()}
    lists = {key: tuple(dict.fromkeys(value)) for key, value in values.items() if isinstance(value, list)}
    return PullRequestSettings(**{**values, **lists})


def _app(name: str, entry: dict[str, Any]) -> App:
    paths = _paths(entry.get("paths", []))
    return App(name, tuple(entry["images"]), paths, entry.get("current"), entry.get("markers"))


def _image_rule(entry: dict[str, Any]) -> ImageRule:
    values = {key.replace("-", "_"): value for key, value in entry.items()}
    return ImageRule(**{**values, "platforms": tuple(dict.fromkeys(values.get("platforms", [])))})


def _target(entry: dict[str, Any]) -> Target:
    return Target(**{**entry, "file": repository_path(entry["file"])})


def _paths(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the paths in their one spelling, each once."""
    return tuple(dict.fromkeys(repository_path(path) for path in paths))
