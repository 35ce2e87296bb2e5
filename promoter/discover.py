"""Find the sites of some images in one environment of a snapshot.

Only files that mention an image are parsed: the image's repository path is searched in
the bytes first, without its registry host, which is often a key of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from promoter import base_values, config_grammar, create, paths
from promoter.sites import (
    EVERYWHERE,
    FORMATS,
    argocd,
    find_sites,
    helm_values,
    is_manifest_name,
    kustomize,
    markers,
    substitute,
    targets,
    with_shares,
)
from promoter.sites.model import ManifestFile, Site, UnreadableFileError, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from promoter.config import Config, Environment, KeyPath, Target
    from promoter.git.repository import Entry, Repository, Snapshot
    from promoter.image import ImageReference

    Finder = Callable[[ManifestFile], list[Site]]


@dataclass(frozen=True)
class Scope:
    """Which part of the snapshot is looked at."""

    config: Config
    environment: Environment
    apps: Mapping[ImageReference, str]  # what each image belongs to, for the placeholders of targets
    exclude: tuple[str, ...] = ()
    marker: str | None = None  # the caller's policy: its sites count, whatever image they hold
    anywhere: bool = False  # under any key, too
    create: bool = False  # add what a kustomization lacks


@dataclass(slots=True)
class Found:
    """The sites by image, the files they stand in, and the files that could not be read."""

    sites: dict[ImageReference, list[Site]] = field(default_factory=dict)
    files: dict[str, tuple[Entry, ManifestFile]] = field(default_factory=dict)
    finders: dict[str, Finder] = field(default_factory=dict)  # how the sites of another version are found
    unreadable: dict[ImageReference, list[UnreadableFileError]] = field(default_factory=dict)
    looked_at: int = 0


class Cache:
    """Contents of blobs that may matter, kept across attempts; None for those that do not.

    Those in ``only_uses`` matter only where some file sets the variables that they use, those
    in ``only_tags`` only where a base file names the image.
    """

    def __init__(self) -> None:
        self.contents: dict[str, bytes | None] = {}
        self.only_uses: set[str] = set()
        self.only_tags: set[str] = set()

    def is_aside(self, blob: str, *, substituting: bool) -> bool:
        """Whether the file with this content says nothing by itself."""
        return not substituting if blob in self.only_uses else blob in self.only_tags


def discover(
    repository: Repository, snapshot: Snapshot, scope: Scope, images: Sequence[ImageReference], cache: Cache
) -> Found:
    """The sites of each image: those of configured targets, else what a search of the environment finds.

    A target speaks for an environment where its file names it by ``{environment}`` or
    stands below the environment's paths.
    """
    found = Found()
    configured = [bound for image in images for bound in _bind(scope, image)] if not scope.marker else []
    if configured:
        _read_targets(repository, snapshot, scope, configured, found)
    searched = [image for image in images if not found.sites.get(image) and image not in found.unreadable]
    if searched:
        _search(repository, snapshot, scope, searched, cache, found)
        if scope.create and not scope.marker:
            create.add_sites(repository, snapshot, scope, searched, found)
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
    mark = scope.marker.encode() if scope.marker else None
    _fill(cache, repository, entries, (*needles.values(), *([mark] if mark else ())))
    contents = [cache.contents[entry.blob] for entry in entries]
    substituting = any(substitute.SUBSTITUTES in content for content in contents if content)
    kustomizations: list[ManifestFile] = []
    sites: list[Site] = []
    find = partial(find_sites, formats=EVERYWHERE if scope.anywhere else FORMATS)
    for entry in entries:
        content = cache.contents[entry.blob]
        if content is None or cache.is_aside(entry.blob, substituting=substituting):
            continue
        try:
            file = read_manifest(entry.path, content)
        except UnreadableFileError as error:
            for image, needle in needles.items():
                if _mentions(content, needle) or (mark and mark in content):
                    found.unreadable.setdefault(image, []).append(error)
            continue
        found.files[entry.path] = (entry, file)
        found.finders[entry.path] = find
        sites += find(file)
        if kustomize.is_kustomization(entry.path):
            kustomizations.append(file)
    sites = _with_substitutes(sites, kustomizations, found, find)
    if not scope.marker:
        named = base_values.add_sites(repository, snapshot, entries, tuple(needles.values()), cache, found)
        sites = [site for site in sites if site.file not in named]
        sites += [site for part in named.values() for site in part]
    if not scope.marker:
        # What shadows a site does not depend on other images; they are many, and leave here.
        sites = [site for site in sites if any(site.reference.same_image(image) for image in images)]
    sites = argocd.shadow(sites, [file for _, file in found.files.values()])
    sites = kustomize.shadow(sites, kustomizations)
    for image in images:
        if scope.marker:
            _select_marked(found, scope.marker, image)
            own = markers.select(sites, scope.marker, image)
        else:
            own = [site for site in sites if site.reference.same_image(image)]
        if own:
            found.sites[image] = own


def _with_substitutes(
    sites: list[Site], kustomizations: Sequence[ManifestFile], found: Found, find: partial[list[Site]]
) -> list[Site]:
    """The sites with those in values that Flux fills into other files of the environment."""
    files = [file for _, file in found.files.values()]
    setting = [file for file in files if substitute.SUBSTITUTES.decode() in file.text]
    if not setting:
        return [substitute.settled(site, ()) for site in sites]
    known, reach_of = substitute.uses(files, sites), kustomize.reach(kustomizations)

    def find_more(file: ManifestFile) -> list[Site]:
        setters = substitute.setters(file, reach_of)
        return find(file, more=[site for setter in setters for site in substitute.find(setter, known)])

    again = {file.path: find_more(file) for file in setting}
    found.finders.update(dict.fromkeys(again, find_more))
    own = [site for site in sites if site.file not in again]
    order = {path: number for number, path in enumerate(found.files)}
    everything = sorted(
        own + [site for part in again.values() for site in part], key=lambda site: order[site.file]
    )
    setters = [setter for file in setting for setter in substitute.setters(file, reach_of)]
    return [substitute.settled(site, setters) for site in everything]


def _select_marked(found: Found, policy: str, image: ImageReference) -> None:
    """Other versions of the files are seen as this one is: a marked tag may have no name beside it."""

    def selecting(find: Finder) -> Finder:
        return lambda file: markers.select(find(file), policy, image)

    found.finders = {path: selecting(find) for path, find in found.finders.items()}


def _in_scope(path: str, scope: Scope) -> bool:
    return (
        is_manifest_name(path)
        and paths.matches_any(path, scope.environment.paths)
        and not paths.matches_any(path, scope.config.exclude + scope.exclude)
    )


def _fill(cache: Cache, repository: Repository, entries: Sequence[Entry], needles: tuple[bytes, ...]) -> None:
    """Read what is new. What leads to other files or overrides them is kept whatever it mentions."""
    kept = {
        entry.blob
        for entry in entries
        if kustomize.is_kustomization(entry.path) or argocd.is_source_file(entry.path)
    }
    path_of = {entry.blob: entry.path for entry in entries if entry.blob not in cache.contents}
    for blob, content in repository.read(path_of):
        wanted = blob in kept or any(needle in content for needle in (*needles, substitute.SUBSTITUTES))
        if not wanted and substitute.USES in content:
            cache.only_uses.add(blob)
        if not wanted and helm_values.may_override(path_of[blob], content):
            cache.only_tags.add(blob)
        wanted = wanted or blob in cache.only_uses or blob in cache.only_tags
        cache.contents[blob] = content if wanted else None


def _mentions(content: bytes, needle: bytes) -> bool:
    """Whether the image stands there, and not one whose name only begins or ends alike."""
    before, after = rb"(?<![A-Za-z0-9._-])", rb"(?![A-Za-z0-9_/-]|\.[A-Za-z0-9])"
    return re.search(before + re.escape(needle) + after, content) is not None


# --- configured targets -----------------------------------------------------------------


@dataclass(frozen=True)
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
        sites = _target_sites(file, bounds)
        for image in dict.fromkeys(bound.image for bound in bounds):
            ours = [site for site in sites if site.reference.same_image(image)]
            found.sites.setdefault(image, []).extend(ours)
            if not ours:
                why = "it holds none of the keys that its target names"
                found.unreadable.setdefault(image, []).append(UnreadableFileError(entry.path, why))


def _holds(bound: _Bound, path: str, scope: Scope) -> bool:
    ours = bound.names_environment or paths.matches_any(path, scope.environment.paths)
    return ours and paths.matches(path, bound.file)


def _target_sites(file: ManifestFile, bounds: Iterable[_Bound]) -> list[Site]:
    sites = (targets.site(file, bound.image, **bound.keys) for bound in bounds)
    return with_shares(site for site in sites if site is not None)
