"""An environment at one commit of its history, stepped back from commit to commit.

Most landings change a tag and nothing else. So it is remembered which sites count, and anew
decided only where a landing changes more than versions: then every file is judged by what it
holds itself and, as for a bump, by what other files make of it.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from promoter.discover.every import base_files, from_bases, leads, settled
from promoter.image import ImageReference
from promoter.inventory import counting, may_matter, parsed, versions
from promoter.past.file_version import (
    FileVersion,
    Spot,
    file_version,
    names_images,
    spot_of,
    with_other_versions,
)
from promoter.sites import helm_values, substitute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from promoter.discover.extent import Extent
    from promoter.edit import Version
    from promoter.sites.model import ManifestFile, Site

Key = tuple[str, str]
Held = dict[tuple[str, Key], tuple["Version", ...]]
"""By app and image: the versions that an environment holds of it, sorted."""


class _Place(NamedTuple):
    """Which of the sites of a file; ``extra`` are those that only other files explain."""

    file: str
    number: int
    extra: bool


@dataclass
class AtCommit:
    """The files of an environment that may matter, and the sites that count, by image."""

    extent: Extent
    _contents: dict[str, bytes] = field(default_factory=dict)
    _files: dict[str, FileVersion] = field(default_factory=dict)
    _parsed: dict[str, ManifestFile | None] = field(default_factory=dict)  # leading and base files
    _counting: dict[Key, dict[_Place, Spot]] = field(default_factory=dict)
    _explained: set[str] = field(default_factory=set)  # files with sites that only other files explain

    @property
    def images(self) -> set[Key]:
        """All images that are held."""
        return {key for key, spots in self._counting.items() if spots}

    def step(self, files: Mapping[str, bytes | None]) -> tuple[Held, Held, dict[Key, str]]:
        """Give these files other contents, None for absent ones.

        Returns what was held before and after of the images for which that may have changed,
        and how they are called.
        """
        old = {path: self._files.get(path) for path in files}
        same = {path: self._reread(path, content) for path, content in files.items()}
        for path, content in files.items():
            self._put(path, content)
        new = {path: same[path] or self._version(path) for path in files}
        if (
            all(_shape(old[path]) == _shape(new[path]) for path in files)
            and not self._explained & files.keys()
        ):
            return self._with_versions(new)
        return self._anew(old, new)

    def held(self, keys: Iterable[Key]) -> Held:
        """What is held of these images."""
        found: dict[tuple[str, Key], set[Version]] = defaultdict(set)
        for key in keys:
            for spot in self._counting.get(key, {}).values():
                if any(spot.version):
                    reference = ImageReference(spot.name, *spot.version)
                    for app in self.extent.apps(spot.file, reference, spot.marker):
                        found[app, key].add(spot.version)
        return {
            place: tuple(sorted(set(versions(those).values()), key=_sortable))
            for place, those in found.items()
        }

    def _names(self, keys: Iterable[Key]) -> dict[Key, str]:
        spots = {key: next(iter(self._counting.get(key, {}).values()), None) for key in keys}
        return {key: spot.name for key, spot in spots.items() if spot is not None}

    # --- files -------------------------------------------------------------------------

    def _put(self, path: str, content: bytes | None) -> None:
        self._parsed.pop(path, None)
        if content is None or not may_matter(path, content, self.extent):
            self._contents.pop(path, None)
        else:
            self._contents[path] = content

    def _file(self, path: str) -> ManifestFile | None:
        """A leading or base file, which is kept."""
        if path not in self._parsed:
            self._parsed[path] = parsed(path, self._contents[path])
        return self._parsed[path]

    def _reread(self, path: str, content: bytes | None) -> FileVersion | None:
        held, before = self._files.get(path), self._contents.get(path)
        if content is None or held is None or before is None:
            return None
        return with_other_versions(held, before, content)

    def _version(self, path: str) -> FileVersion | None:
        content = self._contents.get(path)
        if content is None:
            return None
        is_kept = leads(path, content) or names_images(path)
        file = self._file(path) if is_kept else parsed(path, content)
        configured: list[Site] = []
        if self.extent.targets.name(path):
            configured += (site for _, own in self.extent.targets.sites({path: content}) for site in own)
        bases = [self._file(one) for one in base_files(path, content, self._contents)] if file else []
        named = from_bases(file, [one for one in bases if one is not None]) if file else []
        return file_version(path, content, file, configured, named)

    # --- what counts ---------------------------------------------------------------------

    def _with_versions(self, new: Mapping[str, FileVersion | None]) -> tuple[Held, Held, dict[Key, str]]:
        """The same sites, with the versions that they hold now."""
        changed: list[tuple[Key, _Place, Spot]] = []
        for path, one in new.items():
            if one is None:
                continue
            for number in one.different(self._files[path]):
                key = one.sites[number].reference.key
                place = _Place(path, number, extra=False)
                if place in self._counting.get(key, {}):
                    changed.append((key, place, one.spot(number)))
            self._files[path] = one
        keys = {key for key, _, _ in changed}
        before = self.held(keys)
        for key, place, spot in changed:
            self._counting[key][place] = spot
        return before, self.held(keys), self._names(keys)

    def _anew(
        self, old: Mapping[str, FileVersion | None], new: Mapping[str, FileVersion | None]
    ) -> tuple[Held, Held, dict[Key, str]]:
        """Decide again which sites count: of the changed files, of all where one of these leads."""
        for path, one in new.items():
            if one is None:
                self._files.pop(path, None)
            else:
                self._files[path] = one
        files = self._affected(old, new)
        held_by = {path: one for path, one in self._files.items() if files is None or path in files}
        keys = {site.reference.key for one in held_by.values() for site in one.sites}
        keys |= {
            key
            for key, spots in self._counting.items()
            if any(files is None or place.file in files for place in spots)
        }
        before, named = self.held(keys), self._names(keys)
        for key in keys:
            spots = self._counting.get(key, {}).items()
            kept = {place: spot for place, spot in spots if files is not None and place.file not in files}
            self._counting[key] = kept
        keys |= self._count(held_by)  # sites that only other files explain are not among those
        return before, self.held(keys), {**named, **self._names(keys)}

    def _affected(
        self, old: Mapping[str, FileVersion | None], new: Mapping[str, FileVersion | None]
    ) -> set[str] | None:
        """The files whose sites may count otherwise now; None for all."""
        files = set(new) | self._named_by(path for path in new if names_images(path))
        leading = [path for path, one in self._files.items() if one.leads]
        is_far = (
            bool(self.extent.config.targets)
            or any(one.leads for one in (*old.values(), *new.values()) if one is not None)
            or any(substitute.SUBSTITUTES in self._contents[path] for path in leading)
        )
        return None if is_far else files

    def _named_by(self, bases: Iterable[str]) -> set[str]:
        """The files whose images base files name, read again."""
        directories = [posixpath.dirname(path) for path in bases]
        found = set()
        for path, content in self._contents.items() if directories else ():
            below = any(not one or path.startswith(f"{one}/") for one in directories)
            if below and helm_values.may_override(path, content):
                one = self._version(path)
                if one is not None:
                    self._files[path] = one
                    found.add(path)
        return found

    def _count(self, held_by: Mapping[str, FileVersion]) -> set[Key]:
        """Take note of the sites of these files that count; returns their images."""
        leading = {
            path: file
            for path, one in self._files.items()
            if one.leads and (file := self._file(path)) is not None
        }
        numbers: dict[tuple[str, str, str, int], list[int]] = defaultdict(list)
        for one in held_by.values():
            for number, site in enumerate(one.sites):
                numbers[_identity(site)].append(number)
        found = {path: list(one.sites) for path, one in held_by.items()}
        keys = set()
        for site in counting(settled(found, leading), self.extent):
            mine = numbers[_identity(site)]
            is_extra = not mine
            place = _Place(site.file, site.line if is_extra else mine.pop(0), is_extra)
            if is_extra:
                self._explained.add(site.file)
            spot = spot_of(site) if is_extra else held_by[site.file].spot(place.number)
            self._counting.setdefault(site.reference.key, {})[place] = spot
            keys.add(site.reference.key)
        return keys


def _shape(version: FileVersion | None) -> object:
    return version.shape if version is not None else None


def _identity(site: Site) -> tuple[str, str, str, int]:
    return site.file, site.where, site.reference.name, site.line


def _sortable(version: Version) -> tuple[str, str]:
    return version[0] or "", version[1] or ""
