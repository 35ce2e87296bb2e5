"""YAML and JSON documents inside scalars: block scalars, and strings that hold JSON.

Helm values in an Argo CD ``values: |``, a patch in a kustomization, a ConfigMap's file, an
annotation. A site in there is edited through both levels (``Site.within``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter import templates, yamltext
from promoter.sites.model import ManifestFile, Place, walk
from promoter.yamltext import Mapping, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promoter.yamltext import Node

MAX_LEVELS = 3


def documents(file: ManifestFile) -> Iterator[tuple[Place, Scalar, ManifestFile]]:
    """Every scalar of the file that holds documents of its own, with these."""
    for place in walk(file):
        scalar = place.node
        if isinstance(scalar, Scalar) and _may_hold_documents(scalar):
            inner = _parsed(file.path, scalar.value)
            if inner is not None:
                yield place, scalar, inner


def _may_hold_documents(scalar: Scalar) -> bool:
    text = scalar.value
    return ":" in text and (scalar.style in ("|", ">") or "\n" in text or text[:1] in ("{", "["))


def _parsed(path: str, text: str) -> ManifestFile | None:
    """The documents in the text, template actions masked; None for prose and scripts."""
    view = templates.view_of(text)
    try:
        roots = yamltext.parse(view(text))
    except yamltext.YamlTextError:
        return None
    if not any(_is_document(root) for root in roots):
        return None
    return ManifestFile(path, text, False, tuple(roots), is_template=view is templates.mask)


def _is_document(root: Node) -> bool:
    """Whether this is meant as data: a script's ``echo image: …`` reads as a mapping, too."""
    if isinstance(root, Mapping):
        return all(isinstance(key, Scalar) and " " not in key.value for key, _ in root.pairs)
    return isinstance(root, Sequence)


def line_within(scalar: Scalar, line: int) -> int:
    """The line of the file for a line of the text that the scalar holds."""
    return scalar.line + line if scalar.style in ("|", ">") else scalar.line
