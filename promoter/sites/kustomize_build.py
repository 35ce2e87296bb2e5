"""What kustomize builds from the kustomizations of a repository: which files, and what ``images[]`` shadow.

kustomize walks ``containers`` and ``initContainers`` of the resources that a kustomization
reaches. An outer kustomization runs after an inner one and sees the names that the inner one
wrote. Flux's Kustomizations add entries and components to what a directory builds.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.sites.kustomize import Entry, Passage, apply, read_entry
from promoter.yamltext import Mapping, Node, Sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from promoter.sites.model import ManifestFile, Site


@dataclass(frozen=True, slots=True)
class Overlay:
    """What a Flux Kustomization puts on top of what is built in a directory; ``place`` is its own."""

    place: str
    directory: str
    entries: tuple[Entry, ...]
    components: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Kustomization:
    path: str
    entries: tuple[Entry, ...]
    includes: tuple[str, ...]  # resources and bases, as paths in the repository
    components: tuple[str, ...]
    extends: str | None = None  # the kustomization that an overlay changes
    below: str | None = None  # the directory whose plain manifests it takes, all of them


def shadow(
    sites: Iterable[Site], kustomizations: Iterable[ManifestFile], overlays: Iterable[Overlay] = ()
) -> list[Site]:
    """The sites, marked with the ``images[]`` entry that overrides them, if every way has one."""
    known = _known(kustomizations, overlays)
    included = {path for one in known.values() for path in one.includes + one.components}
    extended = {one.extends for one in known.values()}
    roots = [path for path in known if path not in included | extended]
    leading_to = _leading_to(known)
    return [_shadowed(site, roots, known, leading_to) for site in sites]


def included(kustomizations: Iterable[ManifestFile]) -> set[str]:
    """The files and directories that the kustomizations name, kustomizations among these by their file."""
    return {path for one in _known(kustomizations).values() for path in one.includes + one.components}


def shape(file: ManifestFile) -> object:
    """What decides what a kustomization shadows, to be compared: all of it but tags, digests and lines."""
    one = _read(file)
    entries = tuple((entry.name, entry.new_name, entry.sets_version) for entry in one.entries)
    return entries, one.includes, one.components


def leaving(root: str, site: Site, kustomizations: Iterable[ManifestFile]) -> set[str]:
    """The names under which a site's image leaves a kustomization with the version that the site holds."""
    known = _known(kustomizations)
    if not _is_transformed(site):
        return set()
    passages = _passages(known[root], site, known, frozenset(), _leading_to(known)(site.file))
    return {passage.name for passage in passages if not passage.shadowed_by}


def _known(
    kustomizations: Iterable[ManifestFile], overlays: Iterable[Overlay] = ()
) -> dict[str, _Kustomization]:
    read = [_read(file) for file in kustomizations]
    directories = {posixpath.dirname(one.path): one.path for one in read}
    known = {one.path: _with_files(one, directories) for one in read}
    built = [_built(overlay, known, directories) for overlay in overlays]
    return known | {one.path: _with_files(one, directories) for one in built}


def overlay(file: ManifestFile, place: str, directory: str, spec: Mapping) -> Overlay:
    """The overlay that the spec of a Flux Kustomization in the file makes."""
    entries = [read_entry(file.path, item) for item in _items(spec, "images")]
    components = _paths(directory, [yamltext.scalar_value(item) for item in _items(spec, "components")])
    return Overlay(place, directory, tuple(one for one in entries if one is not None), components)


def _built(overlay: Overlay, known: dict[str, _Kustomization], directories: dict[str, str]) -> _Kustomization:
    """What Flux builds for an overlay: the kustomization of its directory, or else a generated one.

    An entry takes the place of one with the same name as a whole (``kustomize_generator.go`` of
    fluxcd/pkg). A generated kustomization lists the kustomizations and the other manifests below.
    """
    base = known.get(directories.get(overlay.directory, ""))
    if base is None:
        includes = _topmost(overlay.directory, directories)
        base = _Kustomization(overlay.place, (), includes, (), below=overlay.directory)
    entries = list(base.entries)
    for entry in overlay.entries:
        place = next((n for n, one in enumerate(entries) if one.name == entry.name), len(entries))
        entries[place : place + 1] = [entry]
    return replace(
        base,
        path=overlay.place,
        entries=tuple(entries),
        components=base.components + overlay.components,
        extends=None if base.below is not None else base.path,
    )


def _topmost(directory: str, directories: dict[str, str]) -> tuple[str, ...]:
    """The kustomizations below a directory that stand below no other one there."""
    inside = [one for one in directories if _is_below(one, directory)]
    return tuple(
        directories[one]
        for one in inside
        if not any(_is_below(one, other) for other in inside if other != one)
    )


def _is_below(path: str, directory: str) -> bool:
    return not directory or path.startswith(f"{directory}/")


def _is_transformed(site: Site) -> bool:
    """Whether kustomize's ``images`` reach the site."""
    in_container = site.format == "container" and ".ephemeralContainers[" not in site.where
    return in_container or site.format == "kustomize"


def _leading_to(known: dict[str, _Kustomization]) -> Callable[[str], set[str]]:
    """For a file: itself, and the kustomizations that reach it. In a big repository those are few of many."""
    above: dict[str, list[str]] = defaultdict(list)
    for one in known.values():
        for path in (*one.includes, *one.components, *((one.extends,) if one.extends else ())):
            above[path].append(one.path)
    taking_all = [one for one in known.values() if one.below is not None]

    @cache
    def leading_to(file: str) -> set[str]:
        found = {file, *(one.path for one in taking_all if _is_below(file, one.below or ""))}
        waiting = list(found)
        while waiting:
            new = [path for path in above.get(waiting.pop(), ()) if path not in found]
            found.update(new)
            waiting += new
        return found

    return leading_to


def _shadowed(
    site: Site,
    roots: list[str],
    known: dict[str, _Kustomization],
    leading_to: Callable[[str], set[str]],
) -> Site:
    if not _is_transformed(site):
        return site
    ways = leading_to(site.file)
    passages = [
        passage
        for root in roots
        if root in ways
        for passage in _passages(known[root], site, known, frozenset(), ways)
    ]
    if passages and all(passage.shadowed_by for passage in passages):
        return replace(site, shadowed_by=passages[0].shadowed_by)
    return site


def _passages(
    one: _Kustomization,
    site: Site,
    known: dict[str, _Kustomization],
    above: frozenset[str],
    ways: set[str],
) -> Iterator[Passage]:
    """The ways of a site's image out of this kustomization; all of them lead over ``ways``."""
    if one.path in above:
        return  # kustomize refuses such a cycle itself
    if site.file in (one.path, one.extends):
        yield _own_passage(one, site, known[site.file])
        return
    if one.below is not None and _is_taken_whole(one, site.file):
        yield apply(one.entries, Passage(site.reference.name, None))
    for include in (path for path in one.includes + one.components if path in ways):
        if include not in known:
            entering = [Passage(site.reference.name, None)] if include == site.file else []
        else:
            entering = list(_passages(known[include], site, known, above | {one.path}, ways))
        # A component transforms what the kustomization has gathered before it.
        after = one.components.index(include) + 1 if include not in one.includes else 0
        later = [entry for path in one.components[after:] for entry in _entries(path, known, above)]
        yield from (apply([*later, *one.entries], passage) for passage in entering)


def _own_passage(one: _Kustomization, site: Site, written: _Kustomization) -> Passage:
    """The way of a site in the file of the kustomization itself: of an entry, or of an inline patch."""
    passage = Passage(site.reference.name, None)
    if site.format == "container":
        return apply(one.entries, passage)  # patches come before images
    places = [number for number, entry in enumerate(written.entries) if entry.is_of(site)]
    if not places:
        return passage
    place = places[-1]  # an alias may have brought the entry along twice
    if one.entries[place] is not written.entries[place]:
        return Passage(one.entries[place].new_name, one.entries[place].where)
    return apply(one.entries[place + 1 :], passage)


def _is_taken_whole(one: _Kustomization, file: str) -> bool:
    """Whether a generated kustomization lists the file itself, not a kustomization around it."""
    around = [posixpath.dirname(include) for include in one.includes]
    return _is_below(file, one.below or "") and not any(_is_below(file, directory) for directory in around)


def _entries(component: str, known: dict[str, _Kustomization], above: frozenset[str]) -> Iterator[Entry]:
    """What a component does to what was gathered before it, its own components first."""
    one = known.get(component)
    if one is not None and component not in above:
        for inner in one.components:
            yield from _entries(inner, known, above | {component})
        yield from one.entries


def _read(file: ManifestFile) -> _Kustomization:
    roots = [root for root in file.documents if isinstance(root, Mapping)]
    here = posixpath.dirname(file.path)

    def paths(key: str) -> tuple[str, ...]:
        return _paths(here, [yamltext.scalar_value(item) for root in roots for item in _items(root, key)])

    entries = [read_entry(file.path, item) for root in roots for item in _items(root, "images")]
    return _Kustomization(
        path=file.path,
        entries=tuple(entry for entry in entries if entry is not None),
        includes=paths("resources") + paths("bases"),
        components=paths("components"),
    )


def _paths(here: str, written: Iterable[str | None]) -> tuple[str, ...]:
    """Paths in the repository; its root is "", as dirname has it."""
    joined = [posixpath.join(here, one) for one in written if one and "://" not in one]
    return tuple("" if (path := posixpath.normpath(one)) == "." else path for one in joined)


def _with_files(one: _Kustomization, directories: dict[str, str]) -> _Kustomization:
    """The same with each directory it names replaced by the kustomization file there."""
    return replace(
        one,
        includes=tuple(directories.get(path, path) for path in one.includes),
        components=tuple(directories.get(path, path) for path in one.components),
    )


def reach(at: Callable[[str], ManifestFile | None]) -> Callable[[str], Callable[[str], bool]]:
    """For a directory: whether a file takes part in what is built from it.

    ``at`` gives the kustomization of a directory. Files beside one count (patches, generators);
    without one in the directory every file below it does, as Flux's kustomize-controller builds it.
    """

    @cache
    def read(directory: str) -> _Kustomization | None:
        file = at(directory)
        return _read(file) if file is not None else None

    def reach_of(directory: str) -> Callable[[str], bool]:
        waiting, directories, files = [directory], {directory}, set[str]()
        while waiting:
            one = read(waiting.pop())
            for include in one.includes + one.components if one else ():
                files.add(include)
                if include not in directories and read(include) is not None:
                    directories.add(include)
                    waiting.append(include)
        below = directory + "/" if directory else ""
        is_whole = read(directory) is None
        return lambda path: (
            (is_whole and path.startswith(below)) or path in files or posixpath.dirname(path) in directories
        )

    return reach_of


def _items(root: Mapping, key: str) -> list[Node]:
    node = yamltext.get(root, key)
    return [yamltext.resolve(item) for item in node.items] if isinstance(node, Sequence) else []
