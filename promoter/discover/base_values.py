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
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from promoter.discover.model import Cache, Found
    from promoter.git.repository import Entry, Repository
    from promoter.sites.model import Site


def above(prefixes: Iterable[str]) -> list[str]:
    """The files above these directories that may be bases of files below, or tell which files are."""
    return sorted({name for prefix in prefixes for name in helm_values.looked_for(prefix)})


def add_sites(
    repository: Repository,
    listed: Iterable[Entry],
    entries: Iterable[Entry],
    may_name: Callable[[bytes], bool],
    cache: Cache,
    found: Found,
) -> dict[str, list[Site]]:
    """The sites of each file of the environment whose images its base files name.

    ``listed`` are all files in its directories, with those that ``above`` names.
    """
    near = _directories_with_bases(listed, may_name, cache)
    kept = [entry for entry in entries if cache.contents[entry.blob] is not None] if near else []
    below = [entry for entry in kept if _is_below(entry.path, near)]
    overriding = [entry for entry in below if _may_override(entry, cache, found)]
    existing = {entry.path: entry for entry in listed} if overriding else {}
    bases = {entry.path: helm_values.bases(entry.path, existing) for entry in overriding}
    files = _read(repository, [existing[path] for paths in bases.values() for path in paths], may_name, cache)
    sites = {}
    for entry in overriding:
        naming = [files[path] for path in bases[entry.path] if path in files]
        file = _parsed(entry.path, cache.contents[entry.blob]) if naming else None
        if file is not None and any(True for _ in helm_values.find(file, naming)):
            found.files[entry.path] = (entry, file)
            found.finders[entry.path] = partial(_find, naming)
            sites[entry.path] = _find(naming, file)
    return sites


def _directories_with_bases(
    listed: Iterable[Entry], may_name: Callable[[bytes], bool], cache: Cache
) -> frozenset[str]:
    """Where base files stand that mention an image, or are not read yet."""
    directories = set()
    for entry in listed:
        directory, _, name = entry.path.rpartition("/")
        if name not in helm_values.BASES:
            continue
        if entry.blob not in cache.contents or may_name(cache.contents[entry.blob] or b""):
            directories.add(directory)
    return frozenset(directories)


def _is_below(path: str, directories: frozenset[str]) -> bool:
    while path:
        path = path.rpartition("/")[0]
        if path in directories:
            return True
    return False


def _find(bases: Sequence[ManifestFile], file: ManifestFile) -> list[Site]:
    return find_sites(file, more=helm_values.find(file, bases))


def _may_override(entry: Entry, cache: Cache, found: Found) -> bool:
    content = cache.contents[entry.blob]
    if content is None or not helm_values.may_override(entry.path, content):
        return False
    _, file = found.files.get(entry.path, (None, None))
    return file is None or helm_values.has_lone_version(file)


def _read(
    repository: Repository, entries: Sequence[Entry], may_name: Callable[[bytes], bool], cache: Cache
) -> Mapping[str, ManifestFile]:
    """The base files that mention an image."""
    new = [entry.blob for entry in entries if entry.blob not in cache.contents]
    for blob, content in repository.read(new):
        cache.contents[blob] = content if may_name(content) else None
    files = {}
    for entry in entries:
        kept = cache.contents[entry.blob]
        mentioned = kept is not None and may_name(kept)
        file = _parsed(entry.path, kept) if mentioned else None
        if file is not None:
            files[entry.path] = file
    return files


def _parsed(path: str, content: bytes | None) -> ManifestFile | None:
    try:
        return read_manifest(path, content) if content is not None else None
    except UnreadableFileError:
        return None  # an unreadable mention is told where the environment holds it
