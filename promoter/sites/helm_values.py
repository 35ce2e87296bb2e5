"""Values files of an environment that hold only a tag: the name of the image stands in a base file.

Helm merges values files key by key, the chart's own ``values.yaml`` first (helm.sh, "Values
Files"); a list is replaced as a whole. A base of ``values-staging.yaml`` is the
``values.yaml`` beside it, of its chart, or of the directory above, in this order.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.sites import fields
from promoter.sites.model import ManifestFile, Place, Site, walk
from promoter.sites.split import global_registries, is_below_image, registry_at, site_of
from promoter.yamltext import Mapping

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from promoter.sites.fields import Field, Fields

_CHART = "Chart.yaml"
BASES = ("values.yaml", "values.yml")
_WORDS = (b"tag", b"Tag", b"TAG", b"digest", b"Digest")


def may_override(path: str, content: bytes) -> bool:
    """Whether a file may be a values file that holds a tag: told without parsing it."""
    name = path.rpartition("/")[2]
    if "values" not in name and b"apiVersion" in content:  # this alone tells of most files
        return False
    if not name.endswith((".yaml", ".yml")) or name == _CHART or "/templates/" in f"/{path}":
        return False
    return any(word in content for word in _WORDS)


def looked_for(path: str) -> list[str]:
    """The files that tell which bases a values file has."""
    names = [posixpath.join(one, _CHART) for one in _directories(path)]
    return names + [posixpath.join(one, base) for one in _directories(path) for base in BASES]


def bases(path: str, existing: Container[str]) -> list[str]:
    """The base files of a values file, those that win first."""
    here, *above = _directories(path)
    chart = next((one for one in (here, *above) if posixpath.join(one, _CHART) in existing), None)
    places = [here] if chart is None else [here, chart]
    if chart != here:
        places += above[:1]  # the values file of a chart itself has nothing above it
    named = [posixpath.join(one, base) for one in dict.fromkeys(places) for base in BASES]
    return [one for one in named if one != path and one in existing]


def _directories(path: str) -> list[str]:
    """The directory of a file and those above it."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts), -1, -1)]


def has_lone_version(file: ManifestFile) -> bool:
    """Whether a mapping holds a tag or a digest, and no name of an image."""
    return any(
        (held.of("tag") or held.of("digest")) and not held.of("name")
        for place in _values(file)
        for held in fields.read(_entries(place), below_image=is_below_image(place)).values()
    )


def find(file: ManifestFile, base_files: Sequence[ManifestFile]) -> Iterator[Site]:
    """The sites of a values file whose image is named at the same place of one of its bases."""
    registries = global_registries(file)
    below = [(base, global_registries(base)) for base in base_files]
    for place in _values(file):
        done: set[str] = set()
        for base, base_registries in below:
            registry = registry_at(place, registries) or registry_at(place, base_registries)
            for words, held in _merged(place, base).items():
                site = _site(file, place, words, held, registry) if words not in done else None
                if site is not None:
                    done.add(words)
                    yield site


def _values(file: ManifestFile) -> Iterator[Place]:
    """The mappings that Helm would merge with those of another file."""
    for place in walk(ManifestFile(file.path, file.text, file.has_bom, file.documents[:1])):
        if isinstance(place.node, Mapping) and "[" not in place.where:
            yield place


def _entries(place: Place) -> list[tuple[str, yamltext.Node]]:
    return list(yamltext.entries(place.node)) if isinstance(place.node, Mapping) else []


def _merged(place: Place, base: ManifestFile) -> dict[str, Fields]:
    """What both files say there of each image, the upper one first."""
    node = base.documents[0] if base.documents else None
    for key in place.keys:
        node = yamltext.get(node, key) if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping):
        return {}
    both = [*_entries(place), *yamltext.entries(node)]
    return fields.read(both, below_image=is_below_image(place))


def _site(file: ManifestFile, place: Place, words: str, held: Fields, registry: str | None) -> Site | None:
    own = {id(node) for _, node in _entries(place)}

    def ours(listed: list[Field]) -> list[Field]:
        return [one for one in listed if id(one.scalar) in own]

    if ours(held.of("name")):
        return None  # the whole image stands in the file itself
    inherited = [one.scalar for one in held.of("digest") if id(one.scalar) not in own and one.scalar.value]
    kept = fields.Fields({**held.held, "tag": ours(held.of("tag")), "digest": ours(held.of("digest"))})
    site = site_of(file, place, words, kept, registry)
    if site is None:
        return None
    problem = site.problem
    if inherited and not kept.of("digest"):
        problem = problem or "its base file pins a digest, which wins over the tag"
    return replace(site, format="values", problem=problem)
