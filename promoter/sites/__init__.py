"""Where image references live: one small module per format, and this registry of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from promoter.sites import image_string, kustomize, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from promoter.sites.model import ManifestFile, Site


@dataclass(frozen=True, slots=True)
class Format:
    """One format: ``find`` yields its sites in a file and adds the scalars it explains to the set."""

    name: str
    summary: str
    find: Callable[[ManifestFile, set[int]], Iterator[Site]]


# In this order: what an earlier format explains, a later one leaves alone.
FORMATS = (
    Format("kustomize", "`images[]` of a kustomization", kustomize.find),
    Format("split", "`repository`, `registry`, `tag` and `digest` beside each other", split.find),
    Format("image", "a whole reference under a key that speaks of an image", image_string.find),
)

MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")


def is_manifest_name(path: str) -> bool:
    """Whether a file of this name is read for sites when nothing configures it."""
    return path.lower().endswith(MANIFEST_SUFFIXES) or kustomize.is_kustomization(path)


def find_sites(file: ManifestFile) -> list[Site]:
    """Every site of the file in file order, whatever its image."""
    claimed: set[int] = set()
    found: list[Site] = []
    for form in FORMATS:
        for site in form.find(file, claimed):
            claimed.update(part.scalar.event for part in site.parts)
            found.append(site)
    return sorted(with_shares(found), key=lambda site: (site.line, site.where))


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
