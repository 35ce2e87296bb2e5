"""Sites that the configuration names: ``targets``, for layouts without image names.

The file may have any name. ``{environment}`` and ``{app}`` in ``file`` and ``image`` are
filled in from the intent; the keys are paths as DESIGN's ``targets`` describes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.image import ImageReference, looks_like_reference
from promoter.sites.image_string import duplicate_problem
from promoter.sites.model import ManifestFile, Part, Site, document_label, item_label, stands_again
from promoter.sites.split import read_fields
from promoter.yamltext import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from promoter.config import KeyPath


@dataclass(frozen=True, slots=True)
class _Field:
    """Where a key path leads; ``again`` is the line of a key on it that stands twice."""

    where: str
    scalar: Scalar
    again: int | None


def _find_field(file: ManifestFile, path: KeyPath | None) -> _Field | None:
    """The field in the first document that has a scalar there."""
    for number, root in enumerate(file.documents):
        node: Node | None = root
        where = document_label(root, number)
        again = None
        for step in path or ():
            if isinstance(node, Mapping) and isinstance(step, str):
                again = again or stands_again(node, [step])
            where, node = _step(where, node, step)
        if path and isinstance(node, Scalar):
            return _Field(where, node, again)
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
        return _reference_site(file, _find_field(file, reference), image)
    tag_field, digest_field = _find_field(file, tag), _find_field(file, digest)
    fields = [field for field in (tag_field, digest_field) if field is not None]
    if not fields:
        return None
    parts, tag_text, digest_text = read_fields(
        tag_field.scalar if tag_field else None, digest_field.scalar if digest_field else None
    )
    return Site(
        file=file.path,
        line=parts[0].scalar.line,
        format="target",
        where=fields[0].where,
        reference=ImageReference(image.name, tag_text, digest_text),
        parts=parts,
        problem=duplicate_problem(next((field.again for field in fields if field.again), None)),
    )


def _reference_site(file: ManifestFile, field: _Field | None, image: ImageReference) -> Site | None:
    if field is None:
        return None
    scalar = field.scalar
    written = looks_like_reference(scalar.value)
    problem = duplicate_problem(field.again)
    if written is None or not written.same_image(image):
        problem = f"the target holds {scalar.value[:80]!r}, no reference of {image.name}"
    return Site(
        file=file.path,
        line=scalar.line,
        format="target",
        where=field.where,
        reference=written or ImageReference(image.name, None, None),
        parts=(Part("reference", scalar),),
        problem=problem,
    )
