"""Search an environment for images.

Only files that mention an image are parsed: the image's repository path is searched in
the bytes first, without its registry host, which is often a key of its own.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from promoter import paths
from promoter.discover import base_values
from promoter.discover.includers import Includers
from promoter.rules import CONFIG_FILE
from promoter.sites import (
    argocd,
    find_sites,
    flux,
    helm_values,
    is_manifest_name,
    kustomize,
    kustomize_build,
    markers,
    substitute,
)
from promoter.sites.formats import EVERYWHERE, FORMATS
from promoter.sites.model import ManifestFile, Site, UnreadableFileError, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from promoter.discover.model import Cache, Finder, Found, Scope
    from promoter.git.repository import Entry, Repository, Snapshot
    from promoter.image import ImageReference


def search_environment(
    repository: Repository,
    snapshot: Snapshot,
    scope: Scope,
    images: Sequence[ImageReference],
    cache: Cache,
    found: Found,
) -> None:
    """Add the sites of these images that stand in the environment, and the mentions that cannot be read."""
    prefixes = [paths.literal_prefix(path) for path in scope.environment.paths]
    listed = repository.files(snapshot, [*prefixes, *base_values.above(prefixes)])
    entries = _in_scope(listed, scope)
    found.looked_at = len(entries)
    needles = {image: image.search_text.encode() for image in images}
    mark = scope.marker.encode() if scope.marker else None
    may_name = _looking_for(images, mark)
    _fill(cache, repository, entries, may_name)
    is_filled_in = _filled_in(content for entry in entries if (content := cache.contents[entry.blob]))
    find = partial(find_sites, formats=EVERYWHERE if scope.anywhere else FORMATS)
    files: list[ManifestFile] = []
    # The kustomizations; those without the image are parsed where they matter.
    leading: dict[str, bytes] = {}
    applied: dict[str, bytes] = {}  # the same of Flux
    for entry in entries:
        content = cache.contents[entry.blob]
        if content is None:
            continue
        says_something = entry.blob not in cache.aside
        if kustomize.is_kustomization(entry.path):
            leading[entry.path] = content
            says_something = scope.create or may_name(content)
        elif flux.APPLIES in content:
            applied[entry.path] = content
            says_something = may_name(content)
        if not (says_something or is_filled_in(content)):
            continue
        try:
            file = read_manifest(entry.path, content)
        except UnreadableFileError as error:
            _refuse(found, error, content, needles, mark)
            continue
        files.append(file)
        found.files[entry.path] = (entry, file)
        found.finders[entry.path] = find
    kustomizations = [file for file in files if file.path in leading]
    sites = [site for file in files for site in find(file)]
    if not scope.marker:
        named = base_values.add_sites(repository, listed, entries, may_name, cache, found)
        sites = [site for site in sites if site.file not in named]
        sites += [site for part in named.values() for site in part]
    around = Includers(leading, kustomizations, applied)
    sites = _with_substitutes(sites, kustomize_build.reach(around.at), found, find)
    if not scope.marker:
        # What shadows a site does not depend on other images; they are many, and leave here.
        sites = [site for site in sites if any(site.reference.same_image(image) for image in images)]
    sites = argocd.shadow(sites, [file for _, file in found.files.values()])
    _share_out(around.shadow(sites), scope, images, found)


def _share_out(sites: list[Site], scope: Scope, images: Sequence[ImageReference], found: Found) -> None:
    """Give each image its own sites; under a marker those that carry it."""
    for image in images:
        if scope.marker:
            _select_marked(found, scope.marker, image)
            own = markers.select(sites, scope.marker, image)
        else:
            own = [site for site in sites if site.reference.same_image(image)]
        if own:
            found.sites[image] = own


def _filled_in(contents: Iterable[bytes]) -> Callable[[bytes], bool]:
    """Tells whether a file has to do with the variables that Flux fills in; none has where none is set."""
    setting = [content for content in contents if substitute.SUBSTITUTES in content]
    is_named = substitute.naming_config_maps(setting)

    def is_filled_in(content: bytes) -> bool:
        if substitute.USES in content or substitute.SUBSTITUTES in content:
            return True
        return substitute.CONFIG_MAP in content and is_named(content)

    return is_filled_in if setting else lambda _: False


def _with_substitutes(
    sites: list[Site],
    reach_of: Callable[[str], Callable[[str], bool]],
    found: Found,
    find: partial[list[Site]],
) -> list[Site]:
    """The sites with those in values that Flux fills into other files of the environment."""
    files = {path: file for path, (_, file) in found.files.items()}
    setters = substitute.setters_by_file(files.values(), reach_of)
    if not setters:
        return [substitute.settled(site, ()) for site in sites]
    known = substitute.uses(files.values(), sites)

    def find_more(file: ManifestFile) -> list[Site]:
        everything = (files | {file.path: file}).values()
        own = substitute.setters_by_file(everything, reach_of).get(file.path, ())
        return find(file, more=substitute.sites_of(own, known))

    again = {path: find(files[path], more=substitute.sites_of(own, known)) for path, own in setters.items()}
    found.finders.update(dict.fromkeys(again, find_more))
    own = [site for site in sites if site.file not in again]
    order = {path: number for number, path in enumerate(found.files)}
    everything = sorted(
        own + [site for part in again.values() for site in part], key=lambda site: order[site.file]
    )
    setting = [setter for own in setters.values() for setter in own]
    return [substitute.settled(site, setting) for site in everything]


def _select_marked(found: Found, policy: str, image: ImageReference) -> None:
    """Other versions of the files are seen as this one is: a marked tag may have no name beside it."""

    def selecting(find: Finder) -> Finder:
        return lambda file: markers.select(find(file), policy, image)

    found.finders = {path: selecting(find) for path, find in found.finders.items()}


def _in_scope(entries: Iterable[Entry], scope: Scope) -> list[Entry]:
    included = paths.matcher(scope.environment.paths)
    excluded = paths.matcher(scope.config.exclude + scope.exclude)
    return [
        entry
        for entry in entries
        if is_manifest_name(entry.path)
        and entry.path != CONFIG_FILE
        and included(entry.path)
        and not excluded(entry.path)
    ]


def _fill(
    cache: Cache, repository: Repository, entries: Sequence[Entry], may_name: Callable[[bytes], bool]
) -> None:
    """Read what is new. What leads to other files or overrides them is kept whatever it mentions."""
    kept = {entry.blob for entry in entries if _leads(entry.path.rpartition("/")[2])}
    new = [entry for entry in entries if entry.blob not in cache.contents]
    path_of = {entry.blob: entry.path for entry in new}
    others: dict[str, list[str]] = {}  # the further paths of the same content
    for entry in new:
        if path_of[entry.blob] != entry.path:
            others.setdefault(entry.blob, []).append(entry.path)
    for blob, content in repository.read(path_of):
        wanted = blob in kept or may_name(content) or flux.APPLIES in content
        if not wanted:
            wanted = substitute.USES in content or substitute.CONFIG_MAP in content
            wanted = wanted or helm_values.may_override(path_of[blob], content)
            if blob in others and not wanted:
                wanted = any(helm_values.may_override(path, content) for path in others[blob])
            if wanted:
                cache.aside.add(blob)
        cache.contents[blob] = content if wanted else None


@lru_cache
def _leads(name: str) -> bool:
    """Whether a file of this name tells of other files."""
    return kustomize.is_kustomization(name) or argocd.is_source_file(name)


# What may stand behind the value of a registry key.
_END = rb"""(?:["'\n\r ,}]|/[\n"])"""


def _looking_for(images: Iterable[ImageReference], mark: bytes | None) -> Callable[[bytes], bool]:
    """Tells whether a file may name one of the images, or bear the marker.

    A registry key may hold more than the host: ``registry: ghcr.io/acme``, ``repository: api``.
    """
    # Some write JSON with escaped slashes.
    texts = [re.escape(image.search_text.encode()).replace(b"/", rb"\\?/") for image in images]
    texts += [re.escape(registry.encode()) + _END for image in images for registry in _registries(image)]
    texts += [re.escape(mark)] if mark else []
    # Each by itself: what begins with a fixed text is found fast, an alternation is not.
    searches = [re.compile(text).search for text in dict.fromkeys(texts)]
    return lambda content: any(search(content) for search in searches)


def _registries(image: ImageReference) -> Iterator[str]:
    """The registry with the leading components of the image's path, as a registry key may hold them."""
    registry, repository = image.key
    parts = repository.split("/")
    return ("/".join((registry, *parts[:count])) for count in range(1, len(parts)))


def _refuse(
    found: Found,
    error: UnreadableFileError,
    content: bytes,
    needles: Mapping[ImageReference, bytes],
    mark: bytes | None,
) -> None:
    """Note the unreadable file for the images that it mentions."""
    content = content.replace(rb"\/", b"/")  # as some write JSON
    for image, needle in needles.items():
        if _mentions(content, needle) or (mark and mark in content):
            found.unreadable.setdefault(image, []).append(error)


def _mentions(content: bytes, needle: bytes) -> bool:
    """Whether the image stands there, and not one whose name only begins or ends alike."""
    before, after = rb"(?<![A-Za-z0-9._-])", rb"(?![A-Za-z0-9_/-]|\.[A-Za-z0-9])"
    return re.search(before + re.escape(needle) + after, content) is not None
