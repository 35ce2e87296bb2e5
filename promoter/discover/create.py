"""``--create``: an ``images`` entry for an image that a kustomization of the environment lacks.

The image runs there by a container, or by the entry of a base, that nothing in the
environment overrides. Bases outside of the environment are read for it and never edited.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from promoter import paths, yamltext
from promoter.errors import NotFoundError
from promoter.image import ImageReference
from promoter.sites import find_sites, kustomize, kustomize_build
from promoter.sites.model import ManifestFile, Site, UnreadableFileError, document_label, read_manifest
from promoter.yamltext import Mapping

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from promoter.discover.model import Found, Scope
    from promoter.git.repository import Repository, Snapshot

_MOST_LEVELS = 20


def add_sites(
    repository: Repository, snapshot: Snapshot, scope: Scope, images: Sequence[ImageReference], found: Found
) -> None:
    """Add the missing entries to ``found`` as sites, and shadow what they override.

    Raises NotFoundError where several kustomizations could take an entry.
    """
    own = [file for path, (_, file) in found.files.items() if kustomize.is_kustomization(path)]
    if not own:
        return
    outside = _outside(repository, snapshot, scope, images, own)
    everything = own + [file for file in outside if kustomize.is_kustomization(file.path)]
    for image in images:
        inherited = [
            site for file in outside for site in find_sites(file) if site.reference.same_image(image)
        ]
        sites = found.sites.get(image, [])
        taking = {
            file.path: places
            for file in own
            if (places := _places(file.path, image, sites, inherited, everything))
        }
        if len(taking) > 1:
            raise NotFoundError(
                f"several kustomizations could take the entry for {image.name}: {', '.join(sorted(taking))}",
                next_step="name the directory of one of them with --path, or add the entry by hand",
                reason="ambiguous",
            )
        for path, places in taking.items():
            overridden = {id(site) for site, _ in places}
            by = f"the entry that {path} gets"
            left = [replace(site, shadowed_by=by) if id(site) in overridden else site for site in sites]
            found.sites[image] = [*left, _entry(found.files[path][1], places)]


def _places(
    root: str,
    image: ImageReference,
    sites: Iterable[Site],
    inherited: Iterable[Site],
    kustomizations: Sequence[ManifestFile],
) -> list[tuple[Site, str]]:
    """The sites that decide what a kustomization runs of the image, each with its name at the end."""
    candidates = [site for site in sites if site.format != "kustomize" and not site.shadowed_by]
    return [
        (site, name)
        for site in (*candidates, *inherited)
        for name in kustomize_build.leaving(root, site, kustomizations)
        if ImageReference(name).same_image(image)
    ]


def _entry(file: ManifestFile, places: Sequence[tuple[Site, str]]) -> Site:
    """The entry as a site that runs what runs there now."""
    site, name = places[0]
    others = [one for one, other in places if other != name or one.reference != site.reference]
    problem = None
    if others:
        one = others[0]
        problem = (
            f"it runs there as {site.reference} ({site.file}:{site.line}) "
            f"and as {one.reference} ({one.file}:{one.line}): no one entry holds both"
        )
    root = file.documents[0]
    images = yamltext.get(root, "images") if isinstance(root, Mapping) else None
    return Site(
        file=file.path,
        line=images.line if images else file.text.count("\n") + 1,
        format="kustomize",
        where=f"{document_label(root, 0)}.images[name={name}]",
        reference=ImageReference(name, site.reference.tag, site.reference.digest),
        parts=(),
        problem=problem,
        is_new=True,
    )


def _outside(
    repository: Repository,
    snapshot: Snapshot,
    scope: Scope,
    images: Sequence[ImageReference],
    own: Sequence[ManifestFile],
) -> list[ManifestFile]:
    """What the environment includes from outside: kustomizations, and resources that mention an image."""
    files: dict[str, ManifestFile] = {}
    asked: set[str] = set()
    needles = [image.search_text.encode() for image in images]
    for _ in range(_MOST_LEVELS):
        trees = [*own, *(file for file in files.values() if kustomize.is_kustomization(file.path))]
        named = {path for path in kustomize_build.included(trees) if _is_outside(path, scope)}
        wanted = named - asked - {*files}
        if not wanted:
            break
        asked |= wanted
        listed = repository.files(snapshot, [path or "." for path in wanted])
        entries = [entry for entry in listed if _is_meant(entry.path, wanted)]
        contents = dict(repository.read(entry.blob for entry in entries))
        for entry in entries:
            content = contents[entry.blob]
            if kustomize.is_kustomization(entry.path) or any(needle in content for needle in needles):
                try:
                    files[entry.path] = read_manifest(entry.path, content)
                except UnreadableFileError:
                    continue  # what it holds is not known: nothing is created for it
    return list(files.values())


def _is_outside(path: str, scope: Scope) -> bool:
    """Whether a path of the repository is not the environment's own."""
    return not path.startswith("../") and not paths.matches_any(path or ".", scope.environment.paths)


def _is_meant(path: str, wanted: Container[str]) -> bool:
    """Whether a file is named itself, or is the kustomization of a directory that is."""
    is_there = kustomize.is_kustomization(path) and posixpath.dirname(path) in wanted
    return path in wanted or is_there
