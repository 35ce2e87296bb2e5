"""Read the base files of an environment's values files, where these hold only a tag.

The base files may stand outside of the environment: they name images and are never edited.
Which files are bases is told by their names alone, and only those are read.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from promoter.sites import find_sites, helm_values
from promoter.sites.model import ManifestFile, UnreadableFileError, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from promoter.discover.model import Cache, Found
    from promoter.git.repository import Entry, Repository, Snapshot
    from promoter.sites.model import Site

_MOST_OPERANDS = 500  # for more paths the whole tree is listed


def add_sites(
    repository: Repository,
    snapshot: Snapshot,
    entries: Iterable[Entry],
    needles: Sequence[bytes],
    cache: Cache,
    found: Found,
) -> dict[str, list[Site]]:
    """The sites of each file of the environment whose images its base files name."""
    overriding = [entry for entry in entries if _may_override(entry, cache, found)]
    if not overriding:
        return {}
    few = overriding if len(overriding) <= _MOST_OPERANDS else ()
    names = sorted({name for entry in few for name in helm_values.looked_for(entry.path)})
    listed = repository.files(snapshot, names if 0 < len(names) <= _MOST_OPERANDS else ["."])
    existing = {entry.path: entry for entry in listed}
    bases = {entry.path: helm_values.bases(entry.path, existing) for entry in overriding}
    files = _read(repository, [existing[path] for paths in bases.values() for path in paths], needles, cache)
    sites = {}
    for entry in overriding:
        naming = [files[path] for path in bases[entry.path] if path in files]
        file = _parsed(entry.path, cache.contents[entry.blob]) if naming else None
        if file is not None and any(True for _ in helm_values.find(file, naming)):
            found.files[entry.path] = (entry, file)
            found.finders[entry.path] = partial(_find, naming)
            sites[entry.path] = _find(naming, file)
    return sites


def _find(bases: Sequence[ManifestFile], file: ManifestFile) -> list[Site]:
    return find_sites(file, more=helm_values.find(file, bases))


def _may_override(entry: Entry, cache: Cache, found: Found) -> bool:
    content = cache.contents[entry.blob]
    if content is None or not helm_values.may_override(entry.path, content):
        return False
    _, file = found.files.get(entry.path, (None, None))
    return file is None or helm_values.has_lone_version(file)


def _read(
    repository: Repository, entries: Sequence[Entry], needles: Sequence[bytes], cache: Cache
) -> Mapping[str, ManifestFile]:
    """The base files that mention an image."""
    new = [entry.blob for entry in entries if entry.blob not in cache.contents]
    for blob, content in repository.read(new):
        cache.contents[blob] = content if any(needle in content for needle in needles) else None
    files = {}
    for entry in entries:
        kept = cache.contents[entry.blob]
        mentioned = kept is not None and any(needle in kept for needle in needles)
        file = _parsed(entry.path, kept) if mentioned else None
        if file is not None:
            files[entry.path] = file
    return files


def _parsed(path: str, content: bytes | None) -> ManifestFile | None:
    try:
        return read_manifest(path, content) if content is not None else None
    except UnreadableFileError:
        return None  # an unreadable mention is told where the environment holds it
