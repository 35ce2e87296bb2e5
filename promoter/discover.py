"""Find the sites of some images in one environment of a snapshot.

Only files that mention an image are parsed: the image's repository path is searched in
the bytes first, without its registry host, which is often a key of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from promoter import config_grammar, paths
from promoter.sites import find_sites, is_manifest_name, kustomize, targets, with_shares
from promoter.sites.model import ManifestFile, Site, UnreadableFileError, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from promoter.config import Config, Environment, KeyPath, Target
    from promoter.git.repository import Entry, Repository, Snapshot
    from promoter.image import ImageReference

    Finder = Callable[[ManifestFile], list[Site]]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which part of the snapshot is looked at."""

    config: Config
    environment: Environment
    apps: Mapping[ImageReference, str]  # what each image belongs to, for the placeholders of targets
    exclude: tuple[str, ...] = ()


@dataclass(slots=True)
class Found:
    """The sites by image, the files they stand in, and the files that could not be read."""

    sites: dict[ImageReference, list[Site]] = field(default_factory=dict)
    files: dict[str, tuple[Entry, ManifestFile]] = field(default_factory=dict)
    finders: dict[str, Finder] = field(default_factory=dict)  # how the sites of another version are found
    unreadable: dict[ImageReference, list[UnreadableFileError]] = field(default_factory=dict)
    looked_at: int = 0


class Cache:
    """Contents of blobs that may matter, kept across attempts; None for those that do not."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes | None] = {}


def discover(
    repository: Repository, snapshot: Snapshot, scope: Scope, images: Sequence[ImageReference], cache: Cache
) -> Found:
    """The sites of each image: those of configured targets, else what a search of the environment finds.

    A target speaks for an environment where its file names it by ``{environment}`` or
    stands below the environment's paths.
    """
    found = Found()
    configured = [bound for image in images for bound in _bind(scope, image)]
    if configured:
        _read_targets(repository, snapshot, scope, configured, found)
    searched = [image for image in images if image not in found.sites and image not in found.unreadable]
    if searched:
        _search(repository, snapshot, scope, searched, cache, found)
    return found


# --- discovery ------------------------------------------------------------------------


def _search(
    repository: Repository,
    snapshot: Snapshot,
    scope: Scope,
    images: Sequence[ImageReference],
    cache: Cache,
    found: Found,
) -> None:
    prefixes = [paths.literal_prefix(path) for path in scope.environment.paths]
    entries = [entry for entry in repository.files(snapshot, prefixes) if _in_scope(entry.path, scope)]
    found.looked_at = len(entries)
    needles = {image: image.search_text.encode() for image in images}
    _fill(cache, repository, entries, tuple(needles.values()))
    kustomizations: list[ManifestFile] = []
    sites: list[Site] = []
    for entry in entries:
        content = cache.contents[entry.blob]
        if content is None:
            continue
        try:
            file = read_manifest(entry.path, content)
        except UnreadableFileError as error:
            for image, needle in needles.items():
                if _mentions(content, needle):
                    found.unreadable.setdefault(image, []).append(error)
            continue
        found.files[entry.path] = (entry, file)
        found.finders[entry.path] = find_sites
        sites += find_sites(file)
        if kustomize.is_kustomization(entry.path):
            kustomizations.append(file)
    for site in kustomize.shadow(sites, kustomizations):
        for image in images:
            if site.reference.same_image(image):
                found.sites.setdefault(image, []).append(site)


def _in_scope(path: str, scope: Scope) -> bool:
    return (
        is_manifest_name(path)
        and paths.matches_any(path, scope.environment.paths)
        and not paths.matches_any(path, scope.config.exclude + scope.exclude)
    )


def _fill(cache: Cache, repository: Repository, entries: Sequence[Entry], needles: tuple[bytes, ...]) -> None:
    """Read what is new. Kustomizations are kept whatever they mention: they lead to other files."""
    kept = {entry.blob for entry in entries if kustomize.is_kustomization(entry.path)}
    new = [entry.blob for entry in entries if entry.blob not in cache.contents]
    for blob, content in repository.read(new):
        wanted = blob in kept or any(needle in content for needle in needles)
        cache.contents[blob] = content if wanted else None


def _mentions(content: bytes, needle: bytes) -> bool:
    """Whether the image stands there, and not one whose name only begins or ends alike."""
    before, after = rb"(?<![A-Za-z0-9._-])", rb"(?![A-Za-z0-9_/-]|\.[A-Za-z0-9])"
    return re.search(before + re.escape(needle) + after, content) is not None


# --- configured targets -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bound:
    """A target with its placeholders filled in for one image."""

    image: ImageReference
    file: str
    names_environment: bool
    keys: Mapping[str, KeyPath]


def _bind(scope: Scope, image: ImageReference) -> list[_Bound]:
    """The configured targets that hold this image."""
    bound = []
    for target in scope.config.targets:
        app = _app_of(target, scope, image)
        if app is not None:
            values = {"environment": scope.environment.name, "app": app}
            written = {"tag": target.tag, "digest": target.digest, "reference": target.reference}
            keys = {
                role: tuple(_filled(step, values) for step in config_grammar.parse_key_path(path))
                for role, path in written.items()
                if path is not None
            }
            names_it = "{environment}" in target.file
            bound.append(_Bound(image, fill(target.file, values), names_it, keys))
    return bound


def _app_of(target: Target, scope: Scope, image: ImageReference) -> str | None:
    """The app that the target means for this image; None where the target holds another image."""
    name = fill(target.image, {"environment": scope.environment.name})
    if "{app}" not in name:
        return scope.apps[image] if name == image.name else None
    before, after = name.split("{app}", 1)
    pattern = f"{re.escape(before)}(?P<app>[^/]+){re.escape(after).replace(re.escape('{app}'), '(?P=app)')}"
    match = re.fullmatch(pattern, image.name)
    return match["app"] if match else None


def fill(template: str, values: Mapping[str, str]) -> str:
    """A template of the configuration with its placeholders filled in; others stay as they are."""
    for name, value in values.items():
        template = template.replace("{" + name + "}", value)
    return template


def _filled(step: str | int | tuple[str, str], values: Mapping[str, str]) -> str | int | tuple[str, str]:
    if isinstance(step, str):
        return fill(step, values)
    return (step[0], fill(step[1], values)) if isinstance(step, tuple) else step


def _read_targets(
    repository: Repository, snapshot: Snapshot, scope: Scope, configured: Sequence[_Bound], found: Found
) -> None:
    listed = repository.files(snapshot, [paths.literal_prefix(bound.file) for bound in configured])
    meant = {
        entry: bounds
        for entry in listed
        if (bounds := [bound for bound in configured if _holds(bound, entry.path, scope)])
    }
    contents = dict(repository.read(entry.blob for entry in meant))
    for entry, bounds in meant.items():
        try:
            file = read_manifest(entry.path, contents[entry.blob])
        except UnreadableFileError as error:
            for bound in bounds:
                found.unreadable.setdefault(bound.image, []).append(error)
            continue
        found.files[entry.path] = (entry, file)
        found.finders[entry.path] = partial(_target_sites, bounds=bounds)
        for site in _target_sites(file, bounds):
            image = next(bound.image for bound in bounds if bound.image.same_image(site.reference))
            found.sites.setdefault(image, []).append(site)


def _holds(bound: _Bound, path: str, scope: Scope) -> bool:
    ours = bound.names_environment or paths.matches_any(path, scope.environment.paths)
    return ours and paths.matches(path, bound.file)


def _target_sites(file: ManifestFile, bounds: Iterable[_Bound]) -> list[Site]:
    sites = (targets.site(file, bound.image, **bound.keys) for bound in bounds)
    return with_shares(site for site in sites if site is not None)
