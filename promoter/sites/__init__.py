"""Where image references live: one small module per format, and this registry of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from promoter.sites import (
    anywhere,
    argocd,
    embedded,
    flux,
    image_string,
    kustomize,
    markers,
    parameters,
    sops,
    split,
    tekton,
    watched,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from promoter.sites.model import ManifestFile, Place, Site
    from promoter.yamltext import Scalar


@dataclass(frozen=True, slots=True)
class Format:
    """One format: ``find`` yields its sites in a file and adds the scalars it explains to the set."""

    name: str
    summary: str
    find: Callable[[ManifestFile, set[int]], Iterator[Site]]


# In this order: what an earlier format explains, a later one leaves alone.
FORMATS = (
    Format("watched", "the images that updaters watch: no site, left as they are", watched.find),
    Format("kustomize", "`images[]` of a kustomization", kustomize.find),
    Format("flux", "`images[]`, post-build values and `ref` of Flux's own kinds", flux.find),
    Format("argocd", "`kustomize.images` of an Argo CD Application: `old=name:tag@digest`", argocd.find),
    Format("tekton", "a Tekton bundle", tekton.find),
    Format("parameters", "`{name, value}` pairs: `image.repository` with `image.tag`", parameters.find),
    Format("split", "`repository`, `registry`, `tag` and `digest` beside each other", split.find),
    Format("image", "a whole reference under a key that speaks of an image", image_string.find),
)
# With `--match anywhere`.
EVERYWHERE = (
    *FORMATS,
    Format("anywhere", "a reference in any other string, or in a piece of it", anywhere.find),
)

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
    claimed: set[int] = set()
    found: list[Site] = []
    for form in formats:
        for site in form.find(file, claimed):
            claimed.update(part.scalar.event for part in site.parts)
            found.append(site)
    found = markers.mark(file, with_shares([*found, *more]))
    for place, scalar, inner in embedded.documents(file) if level < embedded.MAX_LEVELS else ():
        found += [_embed(site, place, scalar) for site in find_sites(inner, level + 1, formats=formats)]
    return sorted(sops.guard(file, found), key=lambda site: (site.line, site.where))


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
