"""``images[]`` of a kustomization, and what it shadows.

kustomize rewrites an image only where the text before tag and digest equals an entry's
``name``, and walks ``containers`` and ``initContainers`` of the resources that the
kustomization reaches (kustomize's ``images`` field reference). An outer kustomization
runs after an inner one and sees the names that the inner one wrote.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.image import ImageReference, looks_like_reference
from promoter.sites.image_string import duplicate_problem
from promoter.sites.model import ManifestFile, Site, document_label, item_label, stands_again
from promoter.sites.split import read_fields
from promoter.yamltext import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_KEYS = ("name", "newName", "newTag", "digest")
FILE_NAMES = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})


def is_kustomization(path: str) -> bool:
    """Whether kustomize reads this file of a directory by its name."""
    return posixpath.basename(path) in FILE_NAMES


def find(file: ManifestFile, claimed: set[int]) -> Iterator[Site]:
    """One site for each ``images[]`` entry that sets a tag or a digest."""
    if not is_kustomization(file.path):
        return
    for number, root in enumerate(file.documents):
        if isinstance(root, Mapping):
            yield from image_entries(file.path, root, document_label(root, number), claimed)


def image_entries(path: str, holder: Mapping, where: str, claimed: set[int]) -> Iterator[Site]:
    """One site for each entry of ``images`` in a mapping; Flux's objects have the same list."""
    again = stands_again(holder, ["images"])
    for index, item in _image_items(holder):
        entry = yamltext.resolve(item)
        if isinstance(entry, Mapping):
            claimed.update(node.event for _, node in yamltext.entries(entry) if isinstance(node, Scalar))
            site = _site(path, entry, f"{where}.images{item_label(entry, index)}", again)
            if site is not None:
                yield site


def _image_items(root: Mapping) -> Iterator[tuple[int, Node]]:
    """The entries with their positions; of each list where the key stands twice."""
    for key, images in yamltext.entries(root):
        if key == "images" and isinstance(images, Sequence):
            yield from enumerate(images.items)


def _site(path: str, entry: Mapping, where: str, again: int | None) -> Site | None:
    tag, digest = yamltext.get(entry, "newTag"), yamltext.get(entry, "digest")
    parts, tag_text, digest_text = read_fields(
        tag if isinstance(tag, Scalar) else None, digest if isinstance(digest, Scalar) else None
    )
    name = yamltext.scalar_value(yamltext.get(entry, "newName")) or yamltext.scalar_value(
        yamltext.get(entry, "name")
    )
    reference = looks_like_reference(name) if name else None
    if not parts or reference is None:
        return None
    problem = duplicate_problem(again or stands_again(entry, _KEYS))
    if reference.tag or reference.digest:
        problem = "newName holds a tag or a digest: which of them wins is not said"
    return Site(
        file=path,
        line=parts[0].scalar.line,
        format="kustomize",
        where=where,
        reference=ImageReference(reference.name, tag_text, digest_text),
        parts=parts,
        problem=problem,
    )


# --- Shadowing -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    new_name: str
    sets_version: bool
    where: str  # file:line


@dataclass(frozen=True, slots=True)
class _Kustomization:
    path: str
    entries: tuple[_Entry, ...]
    includes: tuple[str, ...]  # resources and bases, as paths in the repository
    components: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Passage:
    """How an image leaves a kustomization: its name there, and the entry that set its version."""

    name: str
    shadowed_by: str | None


def shadow(sites: Iterable[Site], kustomizations: Iterable[ManifestFile]) -> list[Site]:
    """The sites, marked with the ``images[]`` entry that overrides them, if every way has one."""
    known = _known(kustomizations)
    included = {path for one in known.values() for path in one.includes + one.components}
    roots = [path for path in known if path not in included]
    return [_shadowed(site, roots, known) for site in sites]


def included(kustomizations: Iterable[ManifestFile]) -> set[str]:
    """The files and directories that the kustomizations name, kustomizations among these by their file."""
    return {path for one in _known(kustomizations).values() for path in one.includes + one.components}


def leaving(root: str, site: Site, kustomizations: Iterable[ManifestFile]) -> set[str]:
    """The names under which a site's image leaves a kustomization with the version that the site holds."""
    known = _known(kustomizations)
    if not _is_transformed(site):
        return set()
    passages = _passages(known[root], site.file, site.reference.name, known, frozenset())
    return {passage.name for passage in passages if not passage.shadowed_by}


def _known(kustomizations: Iterable[ManifestFile]) -> dict[str, _Kustomization]:
    read = [_read(file) for file in kustomizations]
    directories = {posixpath.dirname(one.path): one.path for one in read}
    return {one.path: _with_files(one, directories) for one in read}


def _is_transformed(site: Site) -> bool:
    """Whether kustomize's ``images`` reach the site."""
    in_container = site.format == "container" and ".ephemeralContainers[" not in site.where
    return in_container or site.format == "kustomize"


def _shadowed(site: Site, roots: list[str], known: dict[str, _Kustomization]) -> Site:
    if not _is_transformed(site):
        return site
    passages = [
        passage
        for root in roots
        for passage in _passages(known[root], site.file, site.reference.name, known, frozenset())
    ]
    if passages and all(passage.shadowed_by for passage in passages):
        return replace(site, shadowed_by=passages[0].shadowed_by)
    return site


def _passages(
    one: _Kustomization, file: str, name: str, known: dict[str, _Kustomization], above: frozenset[str]
) -> Iterator[_Passage]:
    """The ways of an image of ``file`` out of this kustomization; none where it is not reached."""
    if one.path in above:
        return  # kustomize refuses such a cycle itself
    if one.path == file:
        yield _Passage(name, None)
        return
    for include in one.includes + one.components:
        if include not in known:
            entering = [_Passage(name, None)] if include == file else []
        else:
            entering = list(_passages(known[include], file, name, known, above | {one.path}))
        # A component transforms what the kustomization has gathered before it.
        after = one.components.index(include) + 1 if include not in one.includes else 0
        later = [entry for path in one.components[after:] for entry in _entries(path, known, above)]
        yield from (_apply([*later, *one.entries], passage) for passage in entering)


def _entries(component: str, known: dict[str, _Kustomization], above: frozenset[str]) -> Iterator[_Entry]:
    """What a component does to what was gathered before it, its own components first."""
    one = known.get(component)
    if one is not None and component not in above:
        for inner in one.components:
            yield from _entries(inner, known, above | {component})
        yield from one.entries


def _apply(entries: Iterable[_Entry], passage: _Passage) -> _Passage:
    for entry in entries:
        if entry.name == passage.name:
            where = entry.where if entry.sets_version else passage.shadowed_by
            passage = _Passage(entry.new_name, where)
    return passage


def _read(file: ManifestFile) -> _Kustomization:
    roots = [root for root in file.documents if isinstance(root, Mapping)]
    here = posixpath.dirname(file.path)

    def paths(key: str) -> tuple[str, ...]:
        written = [yamltext.scalar_value(item) for root in roots for item in _items(root, key)]
        joined = [posixpath.join(here, one) for one in written if one and "://" not in one]
        # The root of the repository is "", as dirname has it.
        return tuple("" if (path := posixpath.normpath(one)) == "." else path for one in joined)

    entries = [_entry(file.path, item) for root in roots for item in _items(root, "images")]
    return _Kustomization(
        path=file.path,
        entries=tuple(entry for entry in entries if entry is not None),
        includes=paths("resources") + paths("bases"),
        components=paths("components"),
    )


def _with_files(one: _Kustomization, directories: dict[str, str]) -> _Kustomization:
    """The same with each directory it names replaced by the kustomization file there."""
    return replace(
        one,
        includes=tuple(directories.get(path, path) for path in one.includes),
        components=tuple(directories.get(path, path) for path in one.components),
    )


def reach(kustomizations: Iterable[ManifestFile]) -> Callable[[str], Callable[[str], bool]]:
    """For a directory: whether a file takes part in what is built from it.

    Files beside a kustomization count (patches, generators); without a kustomization in the
    directory every file below it does, as Flux's kustomize-controller builds it.
    """
    by_directory = {posixpath.dirname(one.path): one for one in map(_read, kustomizations)}

    def reach_of(directory: str) -> Callable[[str], bool]:
        waiting, directories, files = [directory], {directory}, set[str]()
        while waiting:
            one = by_directory.get(waiting.pop())
            for include in one.includes + one.components if one else ():
                files.add(include)
                if include in by_directory and include not in directories:
                    directories.add(include)
                    waiting.append(include)
        below = directory + "/" if directory else ""
        is_whole = directory not in by_directory
        return lambda path: (
            (is_whole and path.startswith(below)) or path in files or posixpath.dirname(path) in directories
        )

    return reach_of


def _items(root: Mapping, key: str) -> list[Node]:
    node = yamltext.get(root, key)
    return [yamltext.resolve(item) for item in node.items] if isinstance(node, Sequence) else []


def _entry(path: str, node: Node) -> _Entry | None:
    name = yamltext.scalar_value(yamltext.get(node, "name")) if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping) or not name:
        return None
    versions = [yamltext.scalar_value(yamltext.get(node, key)) for key in ("newTag", "digest")]
    new_name = yamltext.scalar_value(yamltext.get(node, "newName")) or name
    return _Entry(name, new_name, any(versions), f"{path}:{node.line}")
