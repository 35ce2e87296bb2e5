"""Search an environment for images.

Only files that mention an image are parsed: the image's repository path is searched in
the bytes first, without its registry host, which is often a key of its own.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from promoter import paths
from promoter.discover import base_values
from promoter.discover.includers import Includers
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
)
from promoter.sites.model import ManifestFile, Site, UnreadableFileError, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    entries = [entry for entry in repository.files(snapshot, prefixes) if _in_scope(entry.path, scope)]
    found.looked_at = len(entries)
    needles = {image: image.search_text.encode() for image in images}
    mark = scope.marker.encode() if scope.marker else None
    texts = tuple(text for image in images for text in _search_texts(image))
    looked_for = (*texts, *([mark] if mark else ()))
    _fill(cache, repository, entries, looked_for)
    contents = [cache.contents[entry.blob] for entry in entries]
    substituting = any(substitute.SUBSTITUTES in content for content in contents if content)
    find = partial(find_sites, formats=EVERYWHERE if scope.anywhere else FORMATS)
    files: list[ManifestFile] = []
    # The kustomizations; those without the image are parsed where they matter.
    leading: dict[str, bytes] = {}
    for entry in entries:
        content = cache.contents[entry.blob]
        if content is None or cache.is_aside(entry.blob, substituting=substituting):
            continue
        if kustomize.is_kustomization(entry.path):
            leading[entry.path] = content
            if not (substituting or scope.create or _holds_any(content, looked_for)):
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
    sites = _with_substitutes([site for file in files for site in find(file)], kustomizations, found, find)
    if not scope.marker:
        named = base_values.add_sites(repository, snapshot, entries, texts, cache, found)
        sites = [site for site in sites if site.file not in named]
        sites += [site for part in named.values() for site in part]
        # What shadows a site does not depend on other images; they are many, and leave here.
        sites = [site for site in sites if any(site.reference.same_image(image) for image in images)]
    sites = argocd.shadow(sites, [file for _, file in found.files.values()])
    _share_out(Includers(leading, kustomizations).shadow(sites), scope, images, found)


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


_ENDS = ('"', "'", "\n", "\r", " ", "/\n", '/"', ",", "}")


def _search_texts(image: ImageReference) -> Iterator[bytes]:
    """Texts of which every file that names the image holds one.

    A registry key may hold more than the host: ``registry: ghcr.io/acme``, ``repository: api``.
    """
    yield image.search_text.encode()
    registry, repository = image.key
    parts = repository.split("/")
    for count in range(1, len(parts)):
        yield from (f"{registry}/{'/'.join(parts[:count])}{end}".encode() for end in _ENDS)


def _refuse(
    found: Found,
    error: UnreadableFileError,
    content: bytes,
    needles: Mapping[ImageReference, bytes],
    mark: bytes | None,
) -> None:
    """Note the unreadable file for the images that it mentions."""
    for image, needle in needles.items():
        if _mentions(content, needle) or (mark and mark in content):
            found.unreadable.setdefault(image, []).append(error)


def _holds_any(content: bytes, texts: Sequence[bytes]) -> bool:
    return any(text in content for text in texts)


def _mentions(content: bytes, needle: bytes) -> bool:
    """Whether the image stands there, and not one whose name only begins or ends alike."""
    before, after = rb"(?<![A-Za-z0-9._-])", rb"(?![A-Za-z0-9_/-]|\.[A-Za-z0-9])"
    return re.search(before + re.escape(needle) + after, content) is not None
