"""What an environment runs: every image with the sites that hold it, as a bump would find them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter.discover.every import every_site, may_hold
from promoter.discover.extent import Extent
from promoter.image import ImageReference
from promoter.sites.image_string import without_mere_words
from promoter.sites.model import ManifestFile, UnreadableFileError, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from promoter.config import Config, Environment
    from promoter.edit import Version
    from promoter.git.repository import Repository, Snapshot
    from promoter.sites.model import Site

TARGET = "target"  # the format of the sites that the configuration names


@dataclass(frozen=True)
class Running:
    """One image as an environment runs it: several versions of an image are several of these.

    ``image`` has neither tag nor digest where its sites hold none. An image that belongs to
    several apps is listed for each, with the sites below that app's paths.
    """

    app: str
    image: ImageReference
    sites: tuple[Site, ...]


def running(
    repository: Repository,
    snapshot: Snapshot,
    config: Config,
    environment: Environment,
    exclude: tuple[str, ...] = (),
) -> tuple[Running, ...]:
    """Everything that the environment runs in a snapshot, by app and image.

    A site counts where a bump would move it: neither shadowed nor refused, and left out by no
    rule of the configuration. ``exclude`` are further globs of files to leave out. A file that
    cannot be read holds nothing here.
    """
    extent = Extent(config, environment, exclude)
    entries = [one for one in repository.files(snapshot, extent.prefixes) if extent.is_read(one.path)]
    paths: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        paths[entry.blob].append(entry.path)
    contents = {}
    for blob, content in repository.read(paths):
        for path in paths[blob]:
            if may_matter(path, content, extent):
                contents[path] = content
    return grouped(without_mere_words(effective(contents, extent)), extent)


def may_matter(path: str, content: bytes, extent: Extent) -> bool:
    """Whether a file may hold a site, or tell what another one holds; told without parsing it."""
    return may_hold(path, content) or path.endswith("Chart.yaml") or extent.targets.name(path)


def effective(contents: Mapping[str, bytes], extent: Extent) -> list[Site]:
    """The sites of an environment that are neither shadowed nor refused; ``contents`` are its files."""
    read = {path: file for path, data in contents.items() if (file := parsed(path, data)) is not None}
    named = {path: data for path, data in contents.items() if extent.targets.name(path)}
    configured = [site for _, own in extent.targets.sites(named) for site in own]
    return counting([*configured, *every_site(read, contents)], extent)


def counting(sites: Iterable[Site], extent: Extent) -> list[Site]:
    """Those that are searched for and effective. A target speaks alone for the images that it holds."""
    listed = list(sites)
    held = {site.reference.key for site in listed if site.format == TARGET}
    return [
        site
        for site in listed
        if not site.shadowed_by
        and not site.problem
        and (site.format == TARGET or (site.reference.key not in held and extent.is_searched(site.file)))
    ]


def parsed(path: str, content: bytes) -> ManifestFile | None:
    """The file; None where it cannot be read, or holds nothing that a site could be."""
    try:
        return read_manifest(path, content) if may_hold(path, content) else None
    except UnreadableFileError:
        return None


def grouped(sites: Iterable[Site], extent: Extent) -> tuple[Running, ...]:
    """The sites by app, image and version, sorted so."""
    by_image: dict[tuple[str, tuple[str, str]], list[Site]] = defaultdict(list)
    for site in sites:
        for app in extent.apps(site.file, site.reference, site.marker):
            by_image[app, site.reference.key].append(site)
    listed = [
        Running(app, ImageReference(own[0].reference.name, *version), tuple(holding))
        for (app, _), own in by_image.items()
        for version, holding in _by_version(own).items()
    ]
    return tuple(sorted(listed, key=lambda one: (one.app, one.image.name, str(one.image))))


def _by_version(sites: Iterable[Site]) -> dict[Version, list[Site]]:
    listed = [(site, (site.reference.tag, site.reference.digest)) for site in sites]
    whole = versions(version for _, version in listed)
    found: dict[Version, list[Site]] = defaultdict(list)
    for site, version in listed:
        found[whole[version]].append(site)
    return found


def versions(held: Iterable[Version]) -> dict[Version, Version]:
    """For each version that a site of an image holds the one that it is a site of.

    Where only one has a digest beside the same tag, or a tag beside the same digest, it is that one.
    """
    listed = set(held)
    both = [one for one in listed if one[0] and one[1]]

    def whole(version: Version) -> Version:
        tag, digest = version
        same = [one for one in both if (one[1] == digest if digest else one[0] == tag)]
        return same[0] if len(same) == 1 and not (tag and digest) else version

    return {version: whole(version) for version in listed}
