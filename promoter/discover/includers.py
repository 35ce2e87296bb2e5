"""Which kustomizations may include a file, told by their text: only these are parsed for shadowing.

An environment may hold thousands of kustomizations, and those that matter for an image
are the few on the way to the files that hold it. The same is true of Flux's Kustomizations,
which build the directory that their ``path`` names.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.sites import flux, kustomize, kustomize_build
from promoter.sites.model import ManifestFile, UnreadableFileError, read_manifest
from promoter.yamltext import Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Sequence as ReadOnlyList

    from promoter.sites.kustomize_build import Overlay
    from promoter.sites.model import Site

_NAME = rb"[A-Za-z0-9._-]+"
_BEHIND_SLASH = re.compile(rb"/(" + _NAME + rb")")
_PLAIN = re.compile(_NAME)
# Paths that are not written in their shortest form. What begins with a fixed text is found fast: hence
# lookbehinds, and the same text for a look that costs even less.
_ODD = (
    (b"/.", re.compile(rb"/\.(?![A-Za-z0-9_.-])").search),
    (b"/..", re.compile(rb"/(?<=[A-Za-z0-9_-]/)\.\.(?![A-Za-z0-9_.-])").search),
    (b"//", re.compile(rb"//(?<!://)").search),
)
_UPWARD = re.compile(rb"\.\./?(?![A-Za-z0-9_./-])")
# Where a Flux Kustomization's path is written; anything else than plain text is always parsed.
_PATH = re.compile(
    rb"""path(?<!\wpath)["']?\s*:\s*(?:"([^"\\]*)"|'([^']*)'|([A-Za-z0-9_./][^\s"'#,}]*)|(.))"""
)
_TRANSFORMED = ("container", "kustomize")  # what `kustomize_build.shadow` looks at


class Includers:
    """The kustomizations of an environment: path and content, in the order of its files.

    ``applied`` are the files with Flux's Kustomizations in the same way.
    """

    def __init__(
        self,
        contents: dict[str, bytes],
        parsed: Iterable[ManifestFile],
        applied: dict[str, bytes] | None = None,
    ) -> None:
        self._contents = contents
        self._applied = applied or {}
        self._building = _by_directory(self._applied)
        self._parsed: dict[str, ManifestFile | None] = {file.path: file for file in parsed}
        self._order = {path: number for number, path in enumerate(contents)}
        self._beside: dict[str, list[str]] = defaultdict(list)
        self._naming: dict[bytes, list[str]] = defaultdict(list)
        self._odd: list[str] = []
        self._upward: list[str] = []
        for path, content in contents.items():
            if _is_odd(content):
                self._odd.append(path)
                continue
            self._beside[posixpath.dirname(path)].append(path)
            for name in set(_BEHIND_SLASH.findall(content)):
                self._naming[name].append(path)
            if _UPWARD.search(content):
                self._upward.append(path)

    def shadow(self, sites: ReadOnlyList[Site]) -> list[Site]:
        """The sites as `kustomize_build.shadow` marks them with all kustomizations at hand."""
        if not self._contents and not self._applied:
            return list(sites)
        groups: dict[str, list[Site]] = defaultdict(list)
        for site in sites:
            if site.format in _TRANSFORMED:
                groups[site.file].append(site)
        marked = {path: iter(self._shadowed(path, group)) for path, group in groups.items()}
        return [next(marked[site.file]) if site.format in _TRANSFORMED else site for site in sites]

    def _shadowed(self, file: str, sites: list[Site]) -> list[Site]:
        around, overlays = self._around(file)
        return kustomize_build.shadow(sites, around, overlays)

    def _around(self, file: str) -> tuple[list[ManifestFile], list[Overlay]]:
        """What may lead to a file: kustomizations, their components too, and what Flux puts on top."""
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
        overlays = self._overlays([file, *known])
        if overlays:
            # Flux leaves to a kustomization what stands in or below its directory, listed there or not.
            around = (path for directory in _directories(file) for path in self._at(directory))
            known |= {path: one for path in around if (one := self._file(path)) is not None}
        below = [component for one in known.values() for component in _components(one)]
        below += [component for one in overlays for component in one.components]
        while below:
            for path in self._at(below.pop()):
                one = self._file(path) if path not in known else None
                if one is not None:
                    known[path] = one
                    below += _components(one)
        return [known[path] for path in sorted(known, key=self._order.__getitem__)], overlays

    def _overlays(self, files: list[str]) -> list[Overlay]:
        """Those of the directories that the files stand in or below."""
        if not self._applied:
            return []
        directories = {directory for file in files for directory in _directories(file)}
        building = {path for one in (*directories, None) for path in self._building.get(one, ())}
        read = [file for path in sorted(building) if (file := self._file(path)) is not None]
        return [one for file in read for one in flux.overlays(file) if one.directory in directories]

    def _file(self, path: str) -> ManifestFile | None:
        content = self._contents.get(path, self._applied.get(path))
        if content is None:
            return None
        if path not in self._parsed:
            try:
                self._parsed[path] = read_manifest(path, content)
            except UnreadableFileError:
                self._parsed[path] = None  # it does not mention the image
        return self._parsed[path]

    def at(self, directory: str) -> ManifestFile | None:
        """The kustomization of a directory."""
        paths = (posixpath.join(directory, name) for name in kustomize.FILE_NAMES)
        return next((file for path in paths if (file := self._file(path)) is not None), None)

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


def _is_odd(content: bytes) -> bool:
    """Whether its text does not tell what it includes: such a kustomization is always parsed."""
    if b"\\" in content:  # strings with escapes
        return True
    return any(text in content and search(content) for text, search in _ODD)


def _by_directory(applied: dict[str, bytes]) -> dict[str | None, list[str]]:
    """The files with Flux's Kustomizations by the directory that these build; None where it is unclear."""
    building: dict[str | None, list[str]] = defaultdict(list)
    for path, content in applied.items():
        written = [match.groups() for match in _PATH.finditer(content)]
        for *texts, _ in set(written):
            text = next((text for text in texts if text is not None), None)
            directory = None if text is None else flux.as_directory(text.decode("utf-8", "surrogateescape"))
            building[directory].append(path)
        if len(written) < content.count(flux.APPLIES):  # perhaps one without a path: the root
            building[""].append(path)
    return building


def _directories(file: str) -> list[str]:
    """The directories above a file, the root of the repository too."""
    parts = file.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts) + 1)]


def _components(file: ManifestFile) -> list[str]:
    here = posixpath.dirname(file.path)
    lists = [yamltext.get(root, "components") for root in file.documents if isinstance(root, Mapping)]
    items = [item for one in lists if isinstance(one, Sequence) for item in one.items]
    written = [yamltext.scalar_value(yamltext.resolve(item)) for item in items]
    return [posixpath.normpath(posixpath.join(here, one)) for one in written if one]
