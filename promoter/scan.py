"""Every image reference in a tree of files: where it stands, and whether an edit would touch it. Pure.

Sites are found and shadowed as for a bump, but of all images and all files at once: what
one file says of another's sites counts wherever both stand in the tree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from promoter import mentions
from promoter.discover.every import every_site, may_hold
from promoter.edit import current, edit_file
from promoter.outcome import FoundSite, Inventory
from promoter.sites import is_manifest_name, lines_of
from promoter.sites.image_string import without_mere_words
from promoter.sites.model import ManifestFile, UnreadableFileError, read_manifest
from promoter.yamltext import EditError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from promoter.discover.configured import Targets
    from promoter.edit import Version
    from promoter.outcome import SiteState
    from promoter.sites.model import Site

_OTHER_TAG, _OTHER_DIGEST = "0.0.0-other", f"sha256:{'0' * 64}"


def scan(files: Iterable[tuple[str, bytes]], targets: Targets | None = None) -> Inventory:
    """What the files hold, given as (path, bytes). ``targets`` are those of the configuration.

    Among the files are the ones that only a target names.
    """
    given = dict(files)
    contents = {
        path: data
        for path, data in given.items()
        if targets is None or is_manifest_name(path) or not targets.name(path)
    }
    read: dict[str, ManifestFile] = {}
    unreadable: dict[str, UnreadableFileError] = {}
    for path, data in contents.items():
        if may_hold(path, data):
            try:
                read[path] = read_manifest(path, data)
            except UnreadableFileError as error:
                unreadable[path] = error
    named = targets.sites(given) if targets is not None else []
    configured = [site for file, own in named for site in _tried(file, own)]
    sites = _with_configured(without_mere_words(_sites(read, contents)), configured)
    sites.sort(key=lambda site: (site.file, site.line, site.where))
    names = mentions.Names(site.reference for site in sites)
    held = _lines_held(sites, read)
    found = [
        mention
        for path, data in contents.items()
        for mention in mentions.find(
            path, data, read.get(path) or unreadable.get(path), names, held.get(path, set())
        )
    ]
    return Inventory(
        tuple(_told(site) for site in sites),
        tuple(sorted(found, key=lambda mention: (mention.file, mention.line))),
        len(given),
        len({site.reference.key for site in sites if site.reference.name}),
    )


def _with_configured(sites: list[Site], configured: list[Site]) -> list[Site]:
    """The sites with those of targets, which speak for the values that they name."""
    named = {(site.file, part.scalar.start) for site in configured for part in site.parts}

    def is_named(site: Site) -> bool:
        return not site.within and any((site.file, part.scalar.start) in named for part in site.parts)

    return [*configured, *(site for site in sites if not is_named(site))]


def _lines_held(sites: Iterable[Site], read: dict[str, ManifestFile]) -> dict[str, set[int]]:
    """The lines of each file that its sites are written on."""
    held: dict[str, set[int]] = {}
    for site in sites:
        lines = held.setdefault(site.file, set())
        lines.add(site.line)
        for part in site.parts if not site.within and site.file in read else ():
            lines.update(lines_of(part.scalar, read[site.file].text))
    return held


# --- sites ------------------------------------------------------------------------------


def _sites(read: dict[str, ManifestFile], contents: dict[str, bytes]) -> list[Site]:
    """The sites of all files: shadowed ones marked, and those that an edit would stumble over."""
    by_file: dict[str, list[Site]] = {path: [] for path in read}
    for site in every_site(read, contents):
        by_file[site.file].append(site)
    return [site for path, file in read.items() for site in _tried(file, by_file[path])]


def _tried(file: ManifestFile, sites: list[Site]) -> list[Site]:
    """The sites, those with a problem that an edit would stumble over."""
    open_ones = [site for site in sites if not site.problem and not site.shadowed_by and site.parts]
    problems = {id(site): problem for site, problem in _trial_problems(file, open_ones)}
    return [replace(site, problem=problems[id(site)]) if id(site) in problems else site for site in sites]


def _trial_problems(file: ManifestFile, sites: list[Site]) -> list[tuple[Site, str]]:
    """The sites that an edit of the text cannot reach, told by editing them all to some other version."""
    try:
        edit_file(file, [(site, _other_version(site)) for site in sites])
    except EditError as error:
        if len(sites) == 1:
            return [(sites[0], str(error))]
        half = len(sites) // 2
        return _trial_problems(file, sites[:half]) + _trial_problems(file, sites[half:])
    return []


def _other_version(site: Site) -> Version:
    tag, digest = current(site)
    return None if digest and tag is None else _OTHER_TAG, _OTHER_DIGEST if digest else None


def _told(site: Site) -> FoundSite:
    state, note = _state(site)
    reference = site.reference
    return FoundSite(
        site.file,
        site.line,
        site.format,
        reference.name,
        reference.tag,
        reference.digest,
        str(reference),
        state,
        note,
    )


def _state(site: Site) -> tuple[SiteState, str]:
    if site.shadowed_by:
        return "shadowed", f"by {site.shadowed_by}"
    if site.problem:
        return "refused", site.problem
    notes = []
    if site.shares:
        notes.append(f"moves only together with {', '.join(site.shares)}: they share its value")
    if site.marker:
        notes.append(f"marker {site.marker}")
    return "effective", "; ".join(notes)
