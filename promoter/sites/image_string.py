"""A string that is one whole image reference, under a key that speaks of an image.

Covers container lists of any kind and custom resource, Compose services, OCI artifact
volumes and every ``image:`` string, ``${VAR:-default}`` too; ``docs/reference/formats.md`` has examples.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from promoter.image import ImageReference, looks_like_reference
from promoter.sites import fields, interpolation
from promoter.sites.model import ManifestFile, Part, Place, Site, walk
from promoter.yamltext import Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONTAINER_LISTS = frozenset({"containers", "initContainers", "ephemeralContainers"})

# Keys beside an image that hold a name which is no reference, or only one part of it.
_NEVER = frozenset({"imagepullsecrets", "imagepullpolicy", "pullsecrets"})
_PART_ONLY = frozenset({"host", "pullpolicy", "newtag"})
# Where formats put images besides container lists: Compose's services, Tekton's and Argo Workflows' steps.
_PLACES = re.compile(
    r"\.(?:services\..+|(?:steps|sidecars)\[[^\]]*\]|stepTemplate|container|script)\.image\Z", re.IGNORECASE
)


def find(file: ManifestFile, claimed: set[int]) -> Iterator[Site]:
    """Every whole reference in the file whose scalar no other format has claimed."""
    for place in walk(file):
        scalar = place.node
        if not isinstance(scalar, Scalar) or scalar.event in claimed or not _speaks_of_an_image(place):
            continue
        whole = looks_like_reference(scalar.value)
        found = (whole, Part("reference", scalar)) if whole else interpolation.read(scalar)
        if found is None or (_is_bare(found[0]) and not _may_be_bare(place)):
            continue
        if found[0].tag is None and place.keys[-1].lower().endswith("tag"):
            continue  # a tag with its digest: `1.4.2@sha256:…`
        reference, part = found
        yield Site(
            file=file.path,
            line=scalar.line,
            format="container" if is_container_image(place) else "image",
            where=place.where,
            reference=reference,
            parts=(part,),
            problem=duplicate_problem(place.duplicate),
        )


def is_container_image(place: Place) -> bool:
    """Whether this is ``image`` of an item of a container list."""
    return len(place.keys) > 1 and place.keys[-1] == "image" and place.keys[-2] in CONTAINER_LISTS


def without_mere_words(sites: Iterable[Site]) -> list[Site]:
    """The sites but those that any word would be: ``image: {type: string}`` in a schema.

    A name of one component without a version counts where a format puts an image, and where
    another site holds the same image.
    """
    listed = list(sites)
    images = {site.reference.key for site in listed if not _is_mere_word(site)}
    return [site for site in listed if not _is_mere_word(site) or site.reference.key in images]


def _is_mere_word(site: Site) -> bool:
    is_word = "/" not in site.reference.name and _is_bare(site.reference)
    return is_word and site.format == "image" and not _PLACES.search(site.where)


def duplicate_problem(line: int | None) -> str | None:
    """Why a site under a key that stands twice cannot be edited."""
    return None if line is None else f"a key on its path stands twice (again in line {line})"


def _speaks_of_an_image(place: Place) -> bool:
    if any(key.lower() in _NEVER for key in place.keys[-3:]):
        return False
    return any("image" in key.lower() for key in place.keys[-2:])


def _is_bare(reference: ImageReference) -> bool:
    return reference.tag is None and reference.digest is None


def _may_be_bare(place: Place) -> bool:
    """Whether an untagged name here is a whole reference that would gain a tag."""
    key = place.keys[-1]
    return key.lower() not in _PART_ONLY and not fields.is_part_only(key)
