"""Where ``validate`` works: the root of what is given, what rules it, and which files count."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from promoter import __version__
from promoter.config import Config, environment, parse_config
from promoter.errors import ConfigError, UsageError
from promoter.paths import matcher
from promoter.rules import CONFIG_FILE
from promoter.sites import is_manifest_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from promoter.validate.tree import Tree


@dataclass(frozen=True)
class Place:
    """The root of a repository or of any directory, and what of it was given, ``.`` for all.

    ``named`` are the files among these: they are looked at whatever they are called.
    """

    root: Path
    scopes: tuple[str, ...]
    named: frozenset[str]


def place_of(given: Sequence[str]) -> Place:
    """What some paths, by default the working directory, are in.

    The root is the Git checkout around the first path, else the nearest directory with a
    configuration, else the working directory, else the path itself.

    Raises:
        UsageError: a path does not exist, or they are of several repositories.
    """
    paths = [Path(os.path.abspath(path)) for path in given or (".",)]  # noqa: PTH100 - resolve() would follow links
    for path, text in zip(paths, given or (".",), strict=True):
        if not path.exists():
            raise UsageError(f"{text}: no such file or directory", next_step="give a path that exists")
    root = _root(paths[0])
    for path, text in zip(paths, given or (".",), strict=True):
        if not path.is_relative_to(root):
            raise UsageError(
                f"{text} is not in {root}, where the first path is",
                next_step="validate one repository at a time",
            )
    scopes = tuple(dict.fromkeys(path.relative_to(root).as_posix() for path in paths))
    named = frozenset(path.relative_to(root).as_posix() for path in paths if path.is_file())
    return Place(root, scopes, named)


def _root(path: Path) -> Path:
    start = path if path.is_dir() else path.parent
    above = (start, *start.parents)
    for marker in (".git", CONFIG_FILE):
        found = next((one for one in above if (one / marker).exists()), None)
        if found is not None:
            return found
    here = Path.cwd()
    return here if start.is_relative_to(here) else start


def config_of(tree: Tree, local: tuple[str, str] | None) -> Config | None:
    """The caller's own configuration, else that of the tree, else None.

    Raises:
        ConfigError: it is not valid.
    """
    if local is not None:
        return parse_config(local[1], local[0], version=__version__)
    content = tree.read([CONFIG_FILE]).get(CONFIG_FILE)
    if content is None:
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(
            "the configuration is not UTF-8", file=CONFIG_FILE, next_step="save it as UTF-8"
        ) from None
    return parse_config(text, CONFIG_FILE, version=__version__)


def selector(
    place: Place, config: Config | None, name: str | None, exclude: tuple[str, ...]
) -> Callable[[Iterable[str]], list[str]]:
    """What picks the files to look at among paths: in scope, in the environment, not excluded.

    Raises:
        ConfigError: there is no configuration, or none of its environments has this name.
    """
    left = matcher((*exclude, *(config.exclude if config is not None else ())))
    inside = matcher(_environment_paths(config, name))

    def select(paths: Iterable[str]) -> list[str]:
        return sorted(
            path
            for path in paths
            if (path in place.named or (is_manifest_name(path) and _in_scope(path, place.scopes)))
            and inside(path)
            and not left(path)
        )

    return select


def _environment_paths(config: Config | None, name: str | None) -> tuple[str, ...]:
    if name is None:
        return (".",)
    if config is None:
        raise ConfigError(
            f"--env {name}: there is no {CONFIG_FILE} that tells of environments",
            next_step="add one, give a local file with --config, or name paths instead",
            reason="no-configuration",
        )
    return environment(config, name).paths


def _in_scope(path: str, scopes: Sequence[str]) -> bool:
    return any(scope == "." or path == scope or path.startswith(f"{scope}/") for scope in scopes)
