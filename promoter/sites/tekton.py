"""Tekton bundles: ``bundle`` of a reference that the bundles resolver answers.

"Bundles Resolver" in Tekton's documentation; the older ``taskRef.bundle`` and
``pipelineRef.bundle`` are those of its v1beta1 API. Steps, sidecars and ``stepTemplate``
hold ``image:`` strings, and other parameters that hold an image are ``parameters``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.image import looks_like_reference
from promoter.sites.image_string import duplicate_problem
from promoter.sites.model import ManifestFile, Part, Site, item_label, walk
from promoter.yamltext import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

_REFERENCES = frozenset({"taskRef", "pipelineRef"})


def find(file: ManifestFile, claimed: set[int]) -> Iterator[Site]:
    """One site for each bundle."""
    if "bundle" not in file.text:
        return
    for place in walk(file):
        if not isinstance(place.node, Mapping):
            continue
        for where, node in _bundles(place.node, bool(place.keys) and place.keys[-1] in _REFERENCES):
            if not isinstance(node, Scalar) or node.event in claimed:
                continue
            reference = looks_like_reference(node.value)
            if reference is not None:
                yield Site(
                    file=file.path,
                    line=node.line,
                    format="tekton",
                    where=place.where + where,
                    reference=reference,
                    parts=(Part("reference", node),),
                    problem=duplicate_problem(place.duplicate),
                )


def _bundles(mapping: Mapping, is_reference: bool) -> Iterator[tuple[str, Node | None]]:
    if is_reference:
        yield ".bundle", yamltext.get(mapping, "bundle")
    params = yamltext.get(mapping, "params")
    if yamltext.scalar_value(yamltext.get(mapping, "resolver")) != "bundles":
        return
    for index, item in enumerate(params.items if isinstance(params, Sequence) else ()):
        node = yamltext.resolve(item)
        if isinstance(node, Mapping) and yamltext.scalar_value(yamltext.get(node, "name")) == "bundle":
            yield f".params{item_label(item, index)}", yamltext.get(node, "value")
