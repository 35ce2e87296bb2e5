"""Fields beside each other: the name of an image in one key, its tag or digest in others.

The forms of Helm values files (``image: {registry: …, repository: …, tag: …, digest: …}``), of
charts for several images (``apiImage`` + ``apiImageTag``) and of operators' custom resources
(``image`` + ``version``; ``baseImage`` + ``tag`` + ``sha`` of the Prometheus operator's API
reference). A tag may carry its digest inline (``tag: 1.2@sha256:…``). A registry for every
repository without one comes from ``global.imageRegistry`` (the README of Bitnami's common
chart) or ``global.image.registry``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.image import ImageReference, looks_like_reference
from promoter.sites import fields, interpolation
from promoter.sites.image_string import duplicate_problem
from promoter.sites.model import ManifestFile, Part, Place, Site, split_tag, stands_again, walk
from promoter.yamltext import Mapping, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promoter.sites.fields import Field, Fields
    from promoter.sites.model import Role

_BARE_SHA = re.compile(r"(?:[0-9a-f]{64})?\Z")


def find(file: ManifestFile, claimed: set[int]) -> Iterator[Site]:
    """Every mapping that names an image in one key and its tag or digest in others."""
    elsewhere = frozenset(claimed)
    registries = global_registries(file)
    for place in walk(file):
        if not isinstance(place.node, Mapping) or _is_kustomize_entry(place.node, claimed):
            continue
        registry = registry_at(place, registries)
        for words, held in _read(place, place.node).items():
            # A merge key may bring the repository of one site along to another one.
            if any(one.scalar.event in elsewhere for one in held.of("name")):
                continue
            site = site_of(file, place, words, held, registry)
            if site is not None:
                claimed.update(one.scalar.event for one in held.all())
                yield site


def _is_kustomize_entry(mapping: Mapping, claimed: set[int]) -> bool:
    """Whether this is an entry of kustomize's ``images`` in another format; its ``name`` gains no tag."""
    entries = list(yamltext.entries(mapping))
    if not any(key in ("newTag", "newName") for key, _ in entries):
        return False
    claimed.update(value.event for _, value in entries if isinstance(value, Scalar))
    return True


def _read(place: Place, mapping: Mapping) -> dict[str, Fields]:
    """The fields of each image that a mapping speaks of."""
    return fields.read(yamltext.entries(mapping), below_image=is_below_image(place))


def is_below_image(place: Place) -> bool:
    """Whether a mapping stands under a key that speaks of an image."""
    return any("image" in key.lower() for key in place.keys[-2:])


def site_of(file: ManifestFile, place: Place, words: str, held: Fields, registry: str | None) -> Site | None:
    """The site that fields make together; None where a name or a version is missing."""
    named = named_image(held, registry)
    if named is None:
        return None
    name, name_field = named
    may_be_version = name_field.ending in ("image", "base image")
    tag = next((one for one in held.of("tag") if _may_be_tag(one, may_be_version)), None)
    digest = next((one for one in held.of("digest") if _may_be_digest(one)), None)
    if tag is None and digest is None:
        return None
    parts, tag_text, digest_text = read_fields(tag.scalar if tag else None, digest.scalar if digest else None)
    if digest is not None and digest.ending.endswith("sha") and _BARE_SHA.match(digest_text or ""):
        parts = (*parts[:-1], replace(parts[-1], implied="sha256:"))
        digest_text = f"sha256:{digest_text}" if digest_text else None
    keys = [one.key for one in held.all()]
    again = stands_again(place.node, keys) if isinstance(place.node, Mapping) else None
    return Site(
        file=file.path,
        line=parts[0].scalar.line,
        format="split",
        where=f"{place.where}.{name_field.key}" if words else place.where,
        reference=ImageReference(name, tag_text, digest_text),
        parts=parts,
        problem=duplicate_problem(place.duplicate or again),
    )


def named_image(held: Fields, registry: str | None) -> tuple[str, Field] | None:
    """The image's name as readers join it, and the key that holds the most of it."""
    beside = next((one.scalar for one in held.of("registry")), None)
    for one in held.of("name"):
        written = (yamltext.scalar_value(beside), one.scalar.value)
        reference = looks_like_reference("/".join(part.strip("/") for part in written if part))
        if reference is None:
            continue
        if reference.tag or reference.digest:
            return None
        if registry and one.ending in fields.REPOSITORIES and not reference.names_registry:
            return f"{registry}/{reference.name}", one
        return reference.name, one
    return None


def _may_be_tag(one: Field, may_be_version: bool) -> bool:
    if "{{" in one.scalar.value:  # a template fills it in
        return False
    if one.ending != "version":
        return True
    return may_be_version and looks_like_reference(f"x:{one.scalar.value}") is not None


def _may_be_digest(one: Field) -> bool:
    """Whether a ``sha`` is the image's, with or without ``sha256:``, and not a revision."""
    value = one.scalar.value
    return not one.ending.endswith("sha") or ":" in value or _BARE_SHA.match(value) is not None


# --- A registry for all ------------------------------------------------------------------


def global_registries(file: ManifestFile) -> dict[str, str]:
    """Where values begin that have a registry for all images, and which."""
    found: dict[str, str] = {}
    for place in walk(file) if "global" in file.text else ():
        values = yamltext.get(place.node, "global") if isinstance(place.node, Mapping) else None
        if isinstance(values, Mapping):
            image = yamltext.get(values, "image")
            nested = yamltext.get(image, "registry") if isinstance(image, Mapping) else None
            written = yamltext.scalar_value(yamltext.get(values, "imageRegistry"))
            registry = (written or yamltext.scalar_value(nested) or "").rstrip("/")
            if looks_like_reference(f"{registry}/x") is not None:
                found[place.where] = registry
    return found


def registry_at(place: Place, registries: dict[str, str]) -> str | None:
    """The registry for all images that holds at a place: that of the innermost values."""
    around = [where for where in registries if place.where == where or place.where.startswith(f"{where}.")]
    return registries[max(around, key=len)] if around else None


# --- Tag and digest ------------------------------------------------------------------------


def read_fields(tag: Scalar | None, digest: Scalar | None) -> tuple[tuple[Part, ...], str | None, str | None]:
    """The parts of a tag and a digest field, and the tag and digest that they say together.

    Variables stand for their defaults: ``${TAG:-1.4.2}``.
    """
    parts: list[Part] = []
    tag_text = inline_digest = digest_text = None
    if tag is not None:
        part, text = _read_field("tag", tag)
        parts.append(part)
        if not yamltext.is_null(tag):
            tag_text, inline_digest = split_tag(yamltext.resolved_text(tag) if text is None else text)
    if digest is not None:
        part, text = _read_field("digest", digest)
        parts.append(part)
        digest_text = (yamltext.scalar_value(digest) if text is None else text) or None
    return tuple(parts), tag_text, digest_text or inline_digest


def _read_field(role: Role, scalar: Scalar) -> tuple[Part, str | None]:
    """The part that a field is, and its default where it is a variable that has one.

    An empty default says that there is no digest; of a tag it says that something else sets it.
    """
    default = interpolation.read_default(scalar.value) if "${" in scalar.value else None
    if default is None or (role == "tag" and not default[0]):
        return Part(role, scalar), None
    text, before, after = default
    return Part(role, scalar, before, after), text
