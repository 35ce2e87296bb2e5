"""The files of a repository by their paths, and paths as files of it write them. Pure."""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
CHART = "Chart.yaml"
REQUIREMENTS = "requirements.yaml"  # of charts of apiVersion v1
_EXTRAORDINARY = re.compile(r"(?:^|/)(?:\.{0,2}|\.git)(?:/|$)", re.IGNORECASE)


class Listing:
    """What files there are, ``size`` of them. Directories have no slash at the end; the root is empty."""

    def __init__(self, paths: Iterable[str]) -> None:
        given = list(paths)
        self.size = len(given)
        self.paths = sorted(path for path in given if is_ordinary(path))
        self._known = frozenset(self.paths)

    def is_file(self, path: str) -> bool:
        """Whether there is a file of this path."""
        return path in self._known

    def is_directory(self, path: str) -> bool:
        """Whether any file stands below this path."""
        return bool(self._range(path))

    def below(self, directory: str) -> list[str]:
        """The files below a directory, sorted."""
        found = self._range(directory)
        return self.paths[found.start : found.stop]

    def at_or_below(self, path: str) -> list[str]:
        """The file of this path, or the files below it; ``.`` is everything."""
        return [path] if self.is_file(path) else self.below("" if path == "." else path)

    def _range(self, directory: str) -> range:
        if not directory:
            return range(len(self.paths))
        start = bisect_left(self.paths, f"{directory}/")
        return range(start, bisect_left(self.paths, f"{directory}0", lo=start))  # 0 follows the slash

    def kustomization(self, directory: str) -> str | None:
        """The kustomization of a directory."""
        candidates = (posixpath.join(directory, name) for name in KUSTOMIZATIONS)
        return next((path for path in candidates if path in self._known), None)

    def chart(self, directory: str) -> str | None:
        """The Chart.yaml of a directory."""
        path = posixpath.join(directory, CHART)
        return path if path in self._known else None


def is_ordinary(path: str) -> bool:
    """Whether a path can be written below a directory without leaving it: a crafted tree may hold others."""
    return _EXTRAORDINARY.search(path) is None


def inside(base: str, written: str) -> str | None:
    """A path written relative to a directory, as a path in the repository; None where it leaves it."""
    path = posixpath.normpath(posixpath.join(base, written))
    if path.startswith(("/", "../")) or path == "..":
        return None
    return "" if path == "." else path


def is_manifest(path: str) -> bool:
    """Whether the name is one that agents read manifests from."""
    return path.endswith((".yaml", ".yml", ".json"))
