"""Sites that the configuration names: ``targets``, for layouts without image names.

The file may have any name. ``{environment}`` and ``{app}`` in ``file`` and ``image`` are
filled in from the intent; the keys are paths as DESIGN's ``targets`` describes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.image import ImageReference, looks_like_reference
from promoter.sites.model import ManifestFile, Part, Site, document_label, item_label
from promoter.sites.split import read_fields
from promoter.yamltext import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from promoter.config import KeyPath


def find_field(file: ManifestFile, path: KeyPath) -> tuple[str, Scalar] | None:
    """Where the key path leads, in the first document that has a scalar there, as (where, scalar)."""
    for number, root in enumerate(file.documents):
        node: Node | None = root
        where = document_label(root, number)
        for step in path:
            where, node = _step(where, node, step)
            if node is None:
                break
        if isinstance(node, Scalar):
            return where, node
    return None


def _step(where: str, node: Node | None, step: str | int | tuple[str, str]) -> tuple[str, Node | None]:
    if isinstance(step, str):
        found = yamltext.get(node, step) if isinstance(node, Mapping) else None
        return f"{where}.{step}", found
    items = [yamltext.resolve(item) for item in node.items] if isinstance(node, Sequence) else []
    for index, item in enumerate(items):
        if step == index or (
            isinstance(step, tuple)
            and isinstance(item, Mapping)
            and yamltext.scalar_value(yamltext.get(item, step[0])) == step[1]
        ):
            return where + item_label(item, index), item
    return where, None


def site(
    file: ManifestFile,
    image: ImageReference,
    *,
    tag: KeyPath | None = None,
    digest: KeyPath | None = None,
    reference: KeyPath | None = None,
) -> Site | None:
    """The site that a target describes in this file; None where none of its keys is there."""
    if reference is not None:
        return _reference_site(file, find_field(file, reference), image)
    tag_place = find_field(file, tag) if tag is not None else None
    digest_place = find_field(file, digest) if digest is not None else None
    where, _ = tag_place or digest_place or (None, None)
    if where is None:
        return None
    parts, tag_text, digest_text = read_fields(
        tag_place[1] if tag_place else None, digest_place[1] if digest_place else None
    )
    return Site(
        file=file.path,
        line=parts[0].scalar.line,
        format="target",
        where=where,
        reference=ImageReference(image.name, tag_text, digest_text),
        parts=parts,
    )


def _reference_site(
    file: ManifestFile, place: tuple[str, Scalar] | None, image: ImageReference
) -> Site | None:
    if place is None:
        return None
    where, scalar = place
    written = looks_like_reference(scalar.value)
    problem = None
    if written is None or not written.same_image(image):
        problem = f"the target holds {scalar.value[:80]!r}, no reference of {image.name}"
    return Site(
        file=file.path,
        line=scalar.line,
        format="target",
        where=where,
        reference=written or ImageReference(image.name, None, None),
        parts=(Part("reference", scalar),),
        problem=problem,
    )
