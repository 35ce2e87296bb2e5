"""Which directories and files of a tree are environments, told by how they are called. Pure."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from promoter.init.names import is_certain, stage_of
from promoter.sites import is_manifest_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What the directory above the environments is called; each directory in it is one.
CONTAINERS = frozenset({"overlays", "envs", "environments", "clusters", "env", "stages"})
# Files in these may be environments, too.
_OF_FILES = CONTAINERS | {"values"}
_SHARED = frozenset(
    {"base", "bases", "common", "shared", "components", "default", "defaults", "templates", "all"}
)
_LEFT_OUT = frozenset({"node_modules", "vendor"})
_VALUES = re.compile(
    r"values[-._](?P<name>[A-Za-z0-9._-]+)\.ya?ml|(?P<first>[A-Za-z0-9_-]+)[-._]values\.ya?ml"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

LOOKED_FOR = (
    "overlays/*, envs/*, environments/*, clusters/*, apps/*/overlays/* and the like, "
    "directories called staging, production, …, and values files such as values-staging.yaml"
)


def environments(files: Iterable[str]) -> dict[str, list[str]]:
    """The environments that files with these paths make up: by name, their directories and files.

    Names that differ in capitals only are one.
    """
    paths = [path for path in files if not is_left_out(path)]
    siblings: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        for directory in _directories(path):
            parent, _, name = directory.rpartition("/")
            siblings[parent].add(name)
    found: dict[str, set[str]] = defaultdict(set)
    spelling: dict[str, str] = {}
    for path in sorted(paths):
        named = _environment_of(path, siblings)
        if named is not None and _NAME.fullmatch(named[0]):
            found[spelling.setdefault(named[0].casefold(), named[0])].add(named[1])
    return {name: together(places) for name, places in found.items()}


def is_left_out(path: str) -> bool:
    """Whether a file is hidden, somebody else's, or has a path that a configuration would take for a glob."""
    odd = any(part.startswith(".") or part in _LEFT_OUT for part in path.split("/")[:-1])
    return odd or not path.isprintable() or re.search(r"[*?\[{}\\]", path) is not None


def _directories(path: str) -> Iterator[str]:
    """The directories on a path, from the top."""
    parts = path.split("/")[:-1]
    return ("/".join(parts[: count + 1]) for count in range(len(parts)))


def _environment_of(path: str, siblings: dict[str, set[str]]) -> tuple[str, str] | None:
    """The environment that a file is in, and the directory, or the file itself, that makes it up."""
    for directory in _directories(path):
        parent, name = posixpath.split(directory)
        if name in _SHARED:
            continue
        if posixpath.basename(parent) in CONTAINERS:
            inside = path.removeprefix(f"{directory}/").split("/")
            if stage_of(name) is None and len(inside) > 1 and is_certain(inside[0]):
                return f"{name}-{inside[0]}", f"{directory}/{inside[0]}"  # as in clusters/eu/staging
            return name, directory
        if is_certain(name) or (stage_of(name) is not None and any(map(is_certain, siblings[parent]))):
            return name, directory
    return _of_file(path)


def _of_file(path: str) -> tuple[str, str] | None:
    """An environment that is one file: ``values-staging.yaml``, ``envs/staging.yaml``."""
    parent, base = posixpath.split(path)
    if not is_manifest_name(base):
        return None
    values = _VALUES.fullmatch(base)
    stem = base.rpartition(".")[0]
    if values:
        name = values["name"] or values["first"]
    elif posixpath.basename(parent) in _OF_FILES:
        name = stem
    else:
        return None
    return (name, path) if stage_of(name) is not None else None


def together(places: Iterable[str]) -> list[str]:
    """The places, those that differ in one component above the last as one glob: ``apps/*/envs/staging``."""
    left = sorted(set(places))
    for depth in range(8):
        groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for place in left:
            parts = place.split("/")
            # Two directories at the root, as apps/staging and clusters/staging, are told one by one.
            if depth < len(parts) - 1 and (depth or len(parts) > 2 or is_manifest_name(parts[-1])):
                groups[(*parts[:depth], "*", *parts[depth + 1 :])].append(place)
        for glob, own in groups.items():
            if len(own) > 1:
                left = [place for place in left if place not in own] + ["/".join(glob)]
    return sorted(left)
