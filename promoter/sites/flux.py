"""Flux: images in a Kustomization, a HelmRelease's post-renderers, and an OCIRepository.

Sources: fluxcd.io/flux/components/kustomize/kustomizations ("Images", "Post build variable
substitution"), …/helm/helmreleases ("Post renderers") and …/source/ocirepositories
("Reference": digest wins over semver, semver over tag). Helm values of a HelmRelease, and
of a ConfigMap that it reads, are found as any other values are.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.image import ImageReference, looks_like_reference
from promoter.sites.image_string import duplicate_problem
from promoter.sites.kustomize import image_entries
from promoter.sites.kustomize_build import Overlay, overlay
from promoter.sites.model import ManifestFile, Part, Site, document_label, stands_again
from promoter.sites.split import read_fields
from promoter.yamltext import Mapping, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLIES = b"kustomize.toolkit.fluxcd.io"  # stands in every file with a Kustomization
KUSTOMIZATION = ("kustomize.toolkit.fluxcd.io/", "Kustomization")
_OCI = "oci://"


def find(file: ManifestFile, claimed: set[int]) -> Iterator[Site]:
    """The sites that Flux's own kinds define."""
    if "fluxcd.io/" not in file.text:
        return
    for number, root in enumerate(file.documents):
        if not isinstance(root, Mapping):
            continue
        where = f"{document_label(root, number)}.spec"
        spec = yamltext.get(root, "spec")
        if not isinstance(spec, Mapping):
            continue
        if is_kind(root, *KUSTOMIZATION):
            yield from _flux_entries(file, spec, where, claimed, by_name=True)
            yield from _substituted_references(file, spec, where, claimed)
        elif is_kind(root, "helm.toolkit.fluxcd.io/", "HelmRelease"):
            for holder, place in _post_renderers(spec, where):
                yield from _flux_entries(file, holder, place, claimed)
        elif is_kind(root, "source.toolkit.fluxcd.io/", "OCIRepository"):
            yield from _oci_repository(file, spec, where, claimed)


def is_kind(root: Mapping, group: str, kind: str) -> bool:
    """Whether the document is an object of this kind, in any version of the group."""
    version = yamltext.scalar_value(yamltext.get(root, "apiVersion")) or ""
    return version.startswith(group) and yamltext.scalar_value(yamltext.get(root, "kind")) == kind


def _flux_entries(
    file: ManifestFile, holder: Mapping, where: str, claimed: set[int], *, by_name: bool = False
) -> Iterator[Site]:
    for site in image_entries(file.path, holder, where, claimed, by_name=by_name):
        yield replace(site, format="flux")


def _post_renderers(spec: Mapping, where: str) -> Iterator[tuple[Mapping, str]]:
    renderers = yamltext.get(spec, "postRenderers")
    for index, item in enumerate(renderers.items if isinstance(renderers, Sequence) else ()):
        renderer = yamltext.resolve(item)
        holder = yamltext.get(renderer, "kustomize") if isinstance(renderer, Mapping) else None
        if isinstance(holder, Mapping):
            yield holder, f"{where}.postRenderers[{index}].kustomize"


def overlays(file: ManifestFile) -> Iterator[Overlay]:
    """What the Kustomizations of a file put on top of the directories that they build."""
    for number, _, spec in kustomizations(file):
        yield overlay(file, f"{file.path}#{number}", directory(spec), spec)


def kustomizations(file: ManifestFile) -> Iterator[tuple[int, Mapping, Mapping]]:
    """The documents of a file that are Flux's Kustomizations: number, root and spec."""
    for number, root in enumerate(file.documents if KUSTOMIZATION[0] in file.text else ()):
        spec = yamltext.get(root, "spec") if isinstance(root, Mapping) else None
        if isinstance(root, Mapping) and isinstance(spec, Mapping) and is_kind(root, *KUSTOMIZATION):
            yield number, root, spec


def directory(spec: Mapping) -> str:
    """The directory that a Kustomization builds."""
    return as_directory(yamltext.scalar_value(yamltext.get(spec, "path")) or ".")


def as_directory(written: str) -> str:
    """A ``spec.path`` as a path in the repository; its root is empty."""
    path = posixpath.normpath(written or ".").lstrip("/")
    return "" if path == "." else path


def substitutes(spec: Mapping) -> Mapping | None:
    """``postBuild.substitute`` of a Kustomization's spec: variables and their values."""
    post_build = yamltext.get(spec, "postBuild")
    values = yamltext.get(post_build, "substitute") if isinstance(post_build, Mapping) else None
    return values if isinstance(values, Mapping) else None


def _substituted_references(
    file: ManifestFile, spec: Mapping, where: str, claimed: set[int]
) -> Iterator[Site]:
    """Values that are a whole reference. A bare name is none: the tag stands elsewhere."""
    values = substitutes(spec)
    for key, value in yamltext.entries(values) if values is not None else ():
        reference = looks_like_reference(value.value) if isinstance(value, Scalar) else None
        if reference is None or not isinstance(value, Scalar):
            continue
        claimed.add(value.event)
        # `db:5432` is a host and its port, unless the variable speaks of an image.
        named = "/" in reference.name or "image" in key.lower()
        if named and (reference.tag or reference.digest) and values is not None:
            yield Site(
                file=file.path,
                line=value.line,
                format="flux",
                where=f"{where}.postBuild.substitute.{key}",
                reference=reference,
                parts=(Part("reference", value),),
                problem=duplicate_problem(stands_again(values, [key])),
            )


def _oci_repository(file: ManifestFile, spec: Mapping, where: str, claimed: set[int]) -> Iterator[Site]:
    address = yamltext.get(spec, "url")
    url = yamltext.scalar_value(address) or ""
    name = looks_like_reference(url.removeprefix(_OCI)) if url.startswith(_OCI) else None
    ref = yamltext.get(spec, "ref")
    if name is None or name.tag or name.digest or not isinstance(ref, Mapping):
        return
    fields = {key: value for key, value in yamltext.entries(ref) if isinstance(value, Scalar)}
    claimed.update(value.event for value in fields.values())
    semver, tag, digest = fields.get("semver"), fields.get("tag"), fields.get("digest")
    parts, tag_text, digest_text = read_fields(tag or semver, digest)
    if not parts:
        return
    claimed.update(node.event for node in (address,) if isinstance(node, Scalar))
    ranged = semver is not None and not digest_text
    if semver is not None and tag is None:
        # Flux picks the version itself: there is no tag here, only a digest at most.
        parts, tag_text = parts[1:] if digest_text else parts, None
    yield Site(
        file=file.path,
        line=parts[0].scalar.line,
        format="flux",
        where=f"{where}.ref",
        reference=ImageReference(name.name, tag_text, digest_text),
        parts=parts,
        shadowed_by=f"{file.path}:{semver.line}" if ranged and semver is not None else None,
        problem=duplicate_problem(stands_again(spec, ["url", "ref"]) or stands_again(ref, list(fields))),
    )
