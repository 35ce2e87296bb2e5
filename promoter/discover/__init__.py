"""Find the sites of some images in one environment of a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.discover import configured, create
from promoter.discover.model import Cache, Found, Scope
from promoter.discover.search import search_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promoter.git.repository import Repository, Snapshot
    from promoter.image import ImageReference

__all__ = ["Cache", "Found", "Scope", "discover"]


def discover(
    repository: Repository, snapshot: Snapshot, scope: Scope, images: Sequence[ImageReference], cache: Cache
) -> Found:
    """The sites of each image: those of configured targets, else what a search of the environment finds.

    A target speaks for an environment where its file names it by ``{environment}`` or
    stands below the environment's paths.
    """
    found = Found()
    if not scope.marker:
        configured.read(repository, snapshot, scope, images, found)
    searched = [image for image in images if not found.sites.get(image) and image not in found.unreadable]
    if searched:
        search_environment(repository, snapshot, scope, searched, cache, found)
        if scope.create and not scope.marker:
            create.add_sites(repository, snapshot, scope, searched, found)
    return found
