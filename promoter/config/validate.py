"""What a configuration says of validation, and of the charts that an environment renders. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from promoter.config.grammar import repository_path
from promoter.config.validate_grammar import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

Presence = Literal["auto", "required", "off"]


@dataclass(frozen=True)
class HelmChart:
    """A local chart that an environment renders; ``chart`` is its directory, of ``values`` the last wins."""

    chart: str
    release: str
    values: tuple[str, ...] = ()
    namespace: str | None = None


@dataclass(frozen=True)
class UserSchema:
    """JSON Schemas of the user's, by path or glob in the repository, and the documents they are for.

    ``files`` is a glob, ``kind`` is ``group/version/Kind`` (``version/Kind`` in the core group).
    With neither, a schema says itself which kind it is for.
    """

    schema: str
    files: str | None = None
    kind: str | None = None


@dataclass(frozen=True)
class Command:
    """A program that looks at files; ``{files}`` in ``run`` stands for their names.

    ``needs`` are globs of files that it reads besides, such as its policies. ``timeout`` is in seconds.
    """

    name: str
    run: tuple[str, ...]
    on: Literal["changed", "rendered"] = "changed"
    output: Literal["auto", "sarif", "json", "text"] = "auto"
    needs: tuple[str, ...] = ()
    timeout: float = 60.0


@dataclass(frozen=True)
class ValidateSettings:
    """How files are validated; ``kubernetes`` None is the newest version that is bundled.

    ``skip`` are kinds, plain or as ``group/version/Kind``; ``ignore`` are globs on paths.
    """

    kubernetes: str | None = None
    schemas: tuple[UserSchema, ...] = ()
    crds: str | None = None
    skip: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    kubeconform: Presence = "auto"
    render: Presence = "auto"
    commands: tuple[Command, ...] = ()


def settings_of(entry: dict[str, Any]) -> ValidateSettings:
    """The settings that an entry, checked already, holds."""
    return ValidateSettings(
        kubernetes=entry.get("kubernetes"),
        schemas=tuple(_schema(one) for one in entry.get("schemas", [])),
        crds=repository_path(entry["crds"]) if "crds" in entry else None,
        skip=tuple(dict.fromkeys(entry.get("skip", []))),
        ignore=_paths(entry.get("ignore", [])),
        kubeconform=entry.get("kubeconform", "auto"),
        render=entry.get("render", "auto"),
        commands=tuple(_command(one) for one in entry.get("commands", [])),
    )


def chart_of(entry: dict[str, Any]) -> HelmChart:
    """The chart that an entry, checked already, names."""
    values = tuple(repository_path(path) for path in entry.get("values", []))
    return HelmChart(repository_path(entry["chart"]), entry["release"], values, entry.get("namespace"))


def name_twice(settings: ValidateSettings) -> int | None:
    """The index of the first command whose name another one has already: findings go by it."""
    names = [command.name for command in settings.commands]
    return next((index for index, name in enumerate(names) if name in names[:index]), None)


def _schema(entry: str | dict[str, str]) -> UserSchema:
    if isinstance(entry, str):
        return UserSchema(repository_path(entry))
    files = repository_path(entry["files"]) if "files" in entry else None
    return UserSchema(repository_path(entry["schema"]), files, entry.get("kind"))


def _command(entry: dict[str, Any]) -> Command:
    timeout = parse_duration(entry["timeout"]) if "timeout" in entry else Command.timeout
    values = {key: entry[key] for key in ("on", "output") if key in entry}
    needs = _paths(entry.get("needs", []))
    return Command(entry["name"], tuple(entry["run"]), needs=needs, timeout=timeout, **values)


def _paths(paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(repository_path(path) for path in paths))
