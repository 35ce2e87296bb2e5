"""kustomize's patches: parts of manifests, in files that a kustomization names.

https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/patches/
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from promoter.sites.kustomize import is_kustomization
from promoter.validate.documents import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from promoter.validate.model import SourceFile
    from promoter.validate.words import Mistake

_FIELDS = ("patches", "patchesStrategicMerge", "patchesJson6902")


def named_in(files: Sequence[SourceFile]) -> frozenset[str]:
    """The paths of the patches that the kustomizations among these files name."""
    return frozenset(
        posixpath.normpath(posixpath.join(posixpath.dirname(file.path), path))
        for file in files
        if is_kustomization(file.path)
        for document in read_file(file).documents
        for path in _paths(document.value)
    )


def _paths(kustomization: Any) -> Iterator[str]:  # noqa: ANN401 - what stands in a file
    if not isinstance(kustomization, dict):
        return
    for field in _FIELDS:
        entries = kustomization.get(field)
        for entry in entries if isinstance(entries, list) else []:
            path = entry.get("path") if isinstance(entry, dict) else entry
            if isinstance(path, str) and "\n" not in path:
                yield path


def is_usual(mistake: Mistake) -> bool:
    """Whether a patch may well have this: a part lacks what the whole has, and holds directives."""
    last = mistake.steps[-1] if mistake.steps else ""
    directive = isinstance(last, str) and last.startswith("$")
    return mistake.keyword == "required" or (mistake.keyword == "additionalProperties" and directive)
