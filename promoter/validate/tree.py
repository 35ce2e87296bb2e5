"""One state of the manifest repository as the renders see it: what files there are, and their contents."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from promoter.git.door import machine_failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from promoter.git.repository import Entry, Repository, Snapshot


class Tree(Protocol):
    """Regular files by their paths; links and submodules are not there."""

    def paths(self) -> Sequence[str]:
        """All of them."""
        ...

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """The contents of those that are there, in one step."""
        ...


class SnapshotTree:
    """A commit of the manifest repository; each read is one batch, fetched and read at once."""

    def __init__(self, repository: Repository, snapshot: Snapshot) -> None:
        self._repository = repository
        self._snapshot = snapshot

    @cached_property
    def _entries(self) -> dict[str, Entry]:
        return {entry.path: entry for entry in self._repository.files(self._snapshot, ["."])}

    def paths(self) -> Sequence[str]:
        """All of the commit's regular files."""
        return list(self._entries)

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """The contents of those that are there. Raises PromoterError where they cannot be fetched."""
        known = {path: self._entries[path].blob for path in paths if path in self._entries}
        contents = dict(self._repository.read(known.values()))
        return {path: contents[blob] for path, blob in known.items()}


class DirectoryTree:
    """A checkout, or any directory; what stands below ``.git`` is left out."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @cached_property
    def _paths(self) -> list[str]:
        found = []
        for directory, below, names in os.walk(self._root):
            here = Path(directory)
            below[:] = sorted(name for name in below if name != ".git" and not (here / name).is_symlink())
            regular = [name for name in names if name != ".git" and _is_regular(here / name)]
            found += [(here / name).relative_to(self._root).as_posix() for name in regular]
        return sorted(found)

    def paths(self) -> Sequence[str]:
        """All regular files below the directory."""
        return self._paths

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """The contents of those that are there. Raises UnreachableError where one cannot be read."""
        known = set(self._paths)
        try:
            return {path: (self._root / path).read_bytes() for path in paths if path in known}
        except OSError as error:
            raise machine_failure(error) from None


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


class EditedTree:
    """A tree with some files written anew; None takes one away."""

    def __init__(self, tree: Tree, contents: Mapping[str, bytes | None]) -> None:
        self._tree = tree
        self._contents = contents

    def paths(self) -> Sequence[str]:
        """What there is after the edit."""
        kept = [path for path in self._tree.paths() if path not in self._contents]
        return [*kept, *(path for path, content in self._contents.items() if content is not None)]

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """The contents after the edit."""
        wanted = list(paths)
        own = {path: self._contents[path] for path in wanted if path in self._contents}
        found = dict(self._tree.read(path for path in wanted if path not in own))
        return found | {path: content for path, content in own.items() if content is not None}
