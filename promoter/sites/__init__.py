"""Where image references live: one small module per format, ``formats`` the registry of them."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from promoter.sites import embedded, kustomize, markers, sops
from promoter.sites.formats import FORMATS, Format
from promoter.sites.model import walk
from promoter.yamltext import Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from promoter.sites.model import ManifestFile, Place, Site

LINE_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")  # as libyaml counts lines
MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")


def is_manifest_name(path: str) -> bool:
    """Whether a file of this name is read for sites when nothing configures it."""
    return path.lower().endswith(MANIFEST_SUFFIXES) or kustomize.is_kustomization(path)


def find_sites(
    file: ManifestFile, level: int = 0, more: Iterable[Site] = (), formats: tuple[Format, ...] = FORMATS
) -> list[Site]:
    """Every site of the file in file order, whatever its image; those in embedded documents too.

    ``more`` are sites of the file that only other files explain; ``formats`` are those
    that are looked for.
    """
    found, _ = _claim(file, formats)
    found = markers.mark(file, with_shares([*found, *more]))
    for place, scalar, inner in embedded.documents(file) if level < embedded.MAX_LEVELS else ():
        found += [_embed(site, place, scalar) for site in find_sites(inner, level + 1, formats=formats)]
    return sorted(sops.guard(file, found), key=lambda site: (site.line, site.where))


def explained_lines(file: ManifestFile, formats: tuple[Format, ...] = FORMATS, level: int = 0) -> set[int]:
    """The lines of all values that a format explains, the names beside versions too."""
    _, claimed = _claim(file, formats)
    scalars = [place.node for place in walk(file) if isinstance(place.node, Scalar)]
    explained = [scalar for scalar in scalars if scalar.event in claimed]
    lines = {line for scalar in explained for line in lines_of(scalar, file.text)}
    for _, scalar, inner in embedded.documents(file) if level < embedded.MAX_LEVELS else ():
        within = explained_lines(inner, formats, level + 1)
        lines.update(embedded.line_within(scalar, line) for line in within)
    return lines


def lines_of(scalar: Scalar, text: str) -> range:
    """The lines that a scalar is written on."""
    more = len(LINE_BREAK.findall(text[scalar.start : scalar.end].rstrip()))
    return range(scalar.line, scalar.line + more + 1)


def _claim(file: ManifestFile, formats: tuple[Format, ...]) -> tuple[list[Site], set[int]]:
    """The sites of the formats in the file itself, and the scalars that these explain."""
    claimed: set[int] = set()
    found: list[Site] = []
    for form in formats:
        for site in form.find(file, claimed):
            claimed.update(part.scalar.event for part in site.parts)
            found.append(site)
    return found, claimed


def _embed(site: Site, place: Place, scalar: Scalar) -> Site:
    """A site of an embedded document as a site of the file around it."""
    return replace(
        site,
        line=embedded.line_within(scalar, site.line),
        where=f"{place.where}|{site.where}",
        within=(scalar, *site.within),
    )


def with_shares(sites: Iterable[Site]) -> list[Site]:
    """The sites of one file, each with the other images that use one of its scalars by an alias."""
    listed = list(sites)
    names: dict[int, set[str]] = defaultdict(set)
    for site in listed:
        for part in site.parts:
            names[part.scalar.event].add(site.reference.name)
    return [
        replace(
            site,
            shares=tuple(
                sorted(
                    {name for part in site.parts for name in names[part.scalar.event]} - {site.reference.name}
                )
            ),
        )
        for site in listed
    ]
