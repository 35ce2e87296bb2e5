"""Objects that say which image an updater watches: their names stay as they are, none is a site.

Flux's ``ImageRepository`` ("Image Repositories", ``spec.image`` takes no tag), Kargo's ``Warehouse``
("Working with Warehouses", ``repoURL``), Argo CD Image Updater's ``ImageUpdater`` and annotations
("Configuring images": the tag there is a constraint).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.sites.model import ManifestFile, Place, Site, walk
from promoter.yamltext import Mapping, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterator

_UPDATER = "argocd-image-updater.argoproj.io"
_WATCHERS = {
    ("image.toolkit.fluxcd.io", "ImageRepository"),
    ("kargo.akuity.io", "Warehouse"),
    (_UPDATER, "ImageUpdater"),
}


def find(file: ManifestFile, claimed: set[int]) -> Iterator[Site]:
    """No site: what updaters watch is claimed, so that no later format takes it for deployed."""
    if any(group in file.text for group, _ in _WATCHERS):
        claimed.update(_watched(file))
    return iter(())


def _watched(file: ManifestFile) -> Iterator[int]:
    inside: tuple[str, ...] = ()
    for place in walk(file):
        if isinstance(place.node, Mapping) and _watches(place.node):
            inside = (*inside, f"{place.where}.spec.")
        if isinstance(place.node, Scalar) and (place.where.startswith(inside) or _is_annotation(place)):
            yield place.node.event


def _watches(mapping: Mapping) -> bool:
    version, kind = (yamltext.scalar_value(yamltext.get(mapping, key)) for key in ("apiVersion", "kind"))
    return ((version or "").partition("/")[0], kind) in _WATCHERS


def _is_annotation(place: Place) -> bool:
    return bool(place.keys) and place.keys[-1].startswith(f"{_UPDATER}/")
