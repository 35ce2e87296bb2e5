"""Fields beside each other: ``repository`` (and ``registry``) with ``tag`` and ``digest``.

The form of Helm values files: ``image: {registry: …, repository: …, tag: …, digest: …}``.
A tag may carry its digest inline (``tag: 1.2@sha256:…``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.image import ImageReference, looks_like_reference
from promoter.sites.image_string import duplicate_problem
from promoter.sites.model import ManifestFile, Part, Place, Site, split_tag, walk
from promoter.yamltext import Mapping, Node, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPOSITORY_KEYS = ("repository", "imageRepository", "repo", "image")
_REGISTRY_KEYS = ("registry", "imageRegistry")
_TAG_KEYS = ("tag", "imageTag")
_DIGEST_KEYS = ("digest", "imageDigest")


def find(file: ManifestFile, claimed: set[int]) -> Iterator[Site]:
    """Every mapping that names an image in one key and its tag or digest in others."""
    for place in walk(file):
        if isinstance(place.node, Mapping):
            site = _site(file, place, place.node, claimed)
            if site is not None:
                yield site


def _site(file: ManifestFile, place: Place, mapping: Mapping, claimed: set[int]) -> Site | None:
    fields: dict[str, Node] = {}
    for key, value in yamltext.entries(mapping):
        fields.setdefault(key, value)
    tag, digest = _first(fields, _TAG_KEYS), _first(fields, _DIGEST_KEYS)
    # A bare `name` names anything; only below a key that speaks of an image it is one.
    below_image = bool(place.keys) and "image" in place.keys[-1].lower()
    repository = _first(fields, (*_REPOSITORY_KEYS, "name") if below_image else _REPOSITORY_KEYS)
    if (tag is None and digest is None) or repository is None or repository.event in claimed:
        return None
    registry = yamltext.scalar_value(_first(fields, _REGISTRY_KEYS))
    name = "/".join(part.strip("/") for part in (registry, repository.value) if part)
    reference = looks_like_reference(name)
    if reference is None or reference.tag or reference.digest:
        return None
    claimed.add(repository.event)
    parts, tag_text, digest_text = read_fields(tag, digest)
    return Site(
        file=file.path,
        line=parts[0].scalar.line,
        format="split",
        where=place.where,
        reference=ImageReference(reference.name, tag_text, digest_text),
        parts=parts,
        problem=duplicate_problem(place.duplicate or _duplicated(mapping)),
    )


def read_fields(tag: Scalar | None, digest: Scalar | None) -> tuple[tuple[Part, ...], str | None, str | None]:
    """The parts of a tag and a digest field, and the tag and digest that they say together."""
    parts: list[Part] = []
    tag_text = inline_digest = digest_text = None
    if tag is not None:
        parts.append(Part("tag", tag))
        if not yamltext.is_null(tag):
            tag_text, inline_digest = split_tag(yamltext.resolved_text(tag))
    if digest is not None:
        parts.append(Part("digest", digest))
        digest_text = yamltext.scalar_value(digest) or None
    return tuple(parts), tag_text, digest_text or inline_digest


def _first(fields: dict[str, Node], names: tuple[str, ...]) -> Scalar | None:
    return next((node for name in names if isinstance(node := fields.get(name), Scalar)), None)


def _duplicated(mapping: Mapping) -> int | None:
    """The line of a field of ours that stands twice in the mapping itself."""
    seen: set[str] = set()
    for key, _ in mapping.pairs:
        if (
            isinstance(key, Scalar)
            and key.value in _REPOSITORY_KEYS + _REGISTRY_KEYS + _TAG_KEYS + _DIGEST_KEYS
        ):
            if key.value in seen:
                return key.line
            seen.add(key.value)
    return None
