"""Which kustomizations may include a file, told by their text: only these are parsed for shadowing.

An environment may hold thousands of kustomizations, and those that matter for an image
are the few on the way to the files that hold it.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.sites import kustomize
from promoter.sites.model import ManifestFile, UnreadableFileError, read_manifest
from promoter.yamltext import Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Sequence as ReadOnlyList

    from promoter.sites.model import Site

_NAME = rb"[A-Za-z0-9._-]+"
_BEHIND_SLASH = re.compile(rb"/(" + _NAME + rb")")
_PLAIN = re.compile(_NAME)
# Paths that are not written in their shortest form, and strings with escapes: these are always parsed.
_ODD = re.compile(rb"\\|/\.(?![A-Za-z0-9_.-])|[A-Za-z0-9_-]/\.\.(?![A-Za-z0-9_.-])|(?<!:)//")
_UPWARD = re.compile(rb"\.\./?(?![A-Za-z0-9_./-])")
_TRANSFORMED = ("container", "kustomize")  # what `kustomize.shadow` looks at


class Includers:
    """The kustomizations of an environment: path and content, in the order of its files."""

    def __init__(self, contents: dict[str, bytes], parsed: Iterable[ManifestFile]) -> None:
        self._contents = contents
        self._parsed: dict[str, ManifestFile | None] = {file.path: file for file in parsed}
        self._order = {path: number for number, path in enumerate(contents)}
        self._beside: dict[str, list[str]] = defaultdict(list)
        self._naming: dict[bytes, list[str]] = defaultdict(list)
        self._odd: list[str] = []
        self._upward: list[str] = []
        for path, content in contents.items():
            if _ODD.search(content):
                self._odd.append(path)
                continue
            self._beside[posixpath.dirname(path)].append(path)
            for name in set(_BEHIND_SLASH.findall(content)):
                self._naming[name].append(path)
            if _UPWARD.search(content):
                self._upward.append(path)

    def shadow(self, sites: ReadOnlyList[Site]) -> list[Site]:
        """The sites as `kustomize.shadow` marks them with all kustomizations at hand."""
        if not self._contents:
            return list(sites)
        groups: dict[str, list[Site]] = defaultdict(list)
        for site in sites:
            if site.format in _TRANSFORMED:
                groups[site.file].append(site)
        marked = {path: iter(kustomize.shadow(group, self._around(path))) for path, group in groups.items()}
        return [next(marked[site.file]) if site.format in _TRANSFORMED else site for site in sites]

    def _around(self, file: str) -> list[ManifestFile]:
        """The kustomizations that may lead to a file, and the components that transform it on the way."""
        waiting, known = [file], dict[str, ManifestFile]()
        seen = {file}
        while waiting:
            path = waiting.pop()
            one = self._file(path)
            if one is not None:
                known[path] = one
            for above in self._including(path):
                if above not in seen:
                    seen.add(above)
                    waiting.append(above)
        below = [component for one in known.values() for component in _components(one)]
        while below:
            for path in self._at(below.pop()):
                one = self._file(path) if path not in known else None
                if one is not None:
                    known[path] = one
                    below += _components(one)
        return [known[path] for path in sorted(known, key=self._order.__getitem__)]

    def _file(self, path: str) -> ManifestFile | None:
        if path not in self._contents:
            return None
        if path not in self._parsed:
            try:
                self._parsed[path] = read_manifest(path, self._contents[path])
            except UnreadableFileError:
                self._parsed[path] = None  # it does not mention the image
        return self._parsed[path]

    def _at(self, path: str) -> Iterator[str]:
        """The kustomization that a written path names: itself, or that of a directory."""
        candidates = [path, *(posixpath.join(path, name).removeprefix("./") for name in kustomize.FILE_NAMES)]
        return (one for one in candidates if one in self._contents)

    def _including(self, path: str) -> Iterator[str]:
        """The kustomizations whose text may name a file, or the directory of a kustomization."""
        yield from self._odd
        yield from self._naming_target(path)
        if kustomize.is_kustomization(path):
            directory = posixpath.dirname(path)
            if directory:
                yield from self._naming_target(directory)
            below = f"{directory}/" if directory else ""
            yield from (one for one in self._upward if one.startswith(below))

    def _naming_target(self, target: str) -> Iterator[str]:
        directory, name = posixpath.split(target)
        raw = name.encode("utf-8", "surrogateescape")
        parent = posixpath.basename(directory).encode("utf-8", "surrogateescape")
        yield from (one for one in self._beside[directory] if raw in self._contents[one])
        far = self._naming[raw] if _PLAIN.fullmatch(raw) else list(self._contents)
        below = f"{directory}/" if directory else ""
        for one in far:
            before = b".." if one.startswith(below) else parent
            if before + b"/" + raw in self._contents[one]:
                yield one


def _components(file: ManifestFile) -> list[str]:
    here = posixpath.dirname(file.path)
    lists = [yamltext.get(root, "components") for root in file.documents if isinstance(root, Mapping)]
    items = [item for one in lists if isinstance(one, Sequence) for item in one.items]
    written = [yamltext.scalar_value(yamltext.resolve(item)) for item in items]
    return [posixpath.normpath(posixpath.join(here, one)) for one in written if one]
