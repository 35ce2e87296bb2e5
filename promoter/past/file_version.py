"""What one version of a file holds by itself, and whether another one differs by tags alone. Pure."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from promoter.discover.every import leads
from promoter.discover.extent import NAMING
from promoter.sites import find_sites, kustomize, kustomize_build
from promoter.sites.reread import Template, reread, template

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from promoter.edit import Version
    from promoter.sites.model import ManifestFile, Site


class Spot(NamedTuple):
    """A site, as far as it tells what runs."""

    file: str
    name: str
    version: Version
    marker: str | None


@dataclass(frozen=True, slots=True)
class FileVersion:
    """What one version of a file holds by itself.

    Where ``shape`` stays equal, only versions have changed: the same sites count as before.
    ``versions`` are what its sites hold, by their numbers; those of the sites themselves may be
    of another version of the file, which ``known`` is.
    """

    sites: tuple[Site, ...]
    versions: tuple[Version, ...]
    shape: object
    leads: bool
    known: Template | None = None

    def spot(self, number: int) -> Spot:
        """One of its sites."""
        return spot_of(self.sites[number])._replace(version=self.versions[number])

    def different(self, other: FileVersion) -> list[int]:
        """The numbers of the sites that hold something else in a version of the same shape."""
        pairs = zip(self.versions, other.versions, strict=True)
        return [number for number, (own, there) in enumerate(pairs) if own != there]


def spot_of(site: Site) -> Spot:
    """A site with the version that it holds itself."""
    return Spot(site.file, site.reference.name, (site.reference.tag, site.reference.digest), site.marker)


def names_images(path: str) -> bool:
    """Whether a file of this name may tell the images of other files: of values files below it."""
    return posixpath.basename(path) in NAMING


def file_version(
    path: str,
    content: bytes,
    file: ManifestFile | None,
    configured: Sequence[Site] = (),
    named: Sequence[Site] = (),
) -> FileVersion:
    """What a file holds; ``file`` is None where it cannot be parsed, or need not be.

    ``configured`` are its sites that targets name, ``named`` those whose image its base files name.
    """
    is_leading = leads(path, content)
    if file is None:
        return FileVersion(
            tuple(configured), _versions(configured), (_identities(configured), content), is_leading
        )
    sites = (*configured, *find_sites(file, more=named))
    shape: tuple[object, ...] = (_identities(sites),)
    if kustomize.is_kustomization(path):
        shape = (*shape, kustomize_build.shape(file))
    if names_images(path) or leads("", content):
        shape = (*shape, _without_versions(file.text, sites))
    known = None if file.is_template or file.has_bom else template(file.text, sites)
    return FileVersion(sites, _versions(sites), shape, is_leading, known)


def with_other_versions(known: FileVersion, before: bytes, after: bytes) -> FileVersion | None:
    """The file after a change of nothing but versions; None where it has to be parsed.

    ``before`` is what it holds, for which it may not have been parsed either.
    """
    if known.known is None:
        return None
    try:
        versions = reread(known.known, known.versions, before.decode("utf-8"), after.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    return replace(known, versions=versions) if versions is not None else None


def _versions(sites: Iterable[Site]) -> tuple[Version, ...]:
    return tuple((site.reference.tag, site.reference.digest) for site in sites)


def _identities(sites: Iterable[Site]) -> tuple[object, ...]:
    """What has to stay for a site to count, or not to count, as before."""
    return tuple(
        (
            site.where,
            site.format,
            site.reference.name,
            site.reference.tag is None,
            site.reference.digest is None,
            "${" in (site.reference.tag or ""),
            site.problem is None,
            site.shadowed_by is None,
            site.marker,
        )
        for site in sites
    )


def _without_versions(text: str, sites: Iterable[Site]) -> str:
    """A file's text without the values that its sites hold."""
    spans = {(part.scalar.start, part.scalar.end) for site in sites if not site.within for part in site.parts}
    kept, at = [], 0
    for start, end in sorted(spans):
        kept.append(text[at : max(at, start)])
        at = max(at, end)
    return "\0".join([*kept, text[at:]])
