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
from promoter.sites.model import ManifestFile, Site, document_label, item_label
from promoter.sites.split import read_fields
from promoter.yamltext import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILE_NAMES = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})


def is_kustomization(path: str) -> bool:
    """Whether kustomize reads this file of a directory by its name."""
    return posixpath.basename(path) in FILE_NAMES


def find(file: ManifestFile, claimed: set[int]) -> Iterator[Site]:
    """One site for each ``images[]`` entry that sets a tag or a digest."""
    if not is_kustomization(file.path):
        return
    for number, root in enumerate(file.documents):
        images = yamltext.get(root, "images") if isinstance(root, Mapping) else None
        for index, item in enumerate(images.items if isinstance(images, Sequence) else ()):
            entry = yamltext.resolve(item)
            if isinstance(entry, Mapping):
                claimed.update(node.event for _, node in yamltext.entries(entry) if isinstance(node, Scalar))
                where = f"{document_label(root, number)}.images{item_label(entry, index)}"
                site = _site(file.path, entry, where)
                if site is not None:
                    yield site


def _site(path: str, entry: Mapping, where: str) -> Site | None:
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
    problem = None
    if reference.tag or reference.digest:
        problem = "newName holds a tag or a digest: which of them wins is not said"
    elif _stands_twice(entry):
        problem = "a key of the entry stands twice"
    return Site(
        file=path,
        line=parts[0].scalar.line,
        format="kustomize",
        where=where,
        reference=ImageReference(reference.name, tag_text, digest_text),
        parts=parts,
        problem=problem,
    )


def _stands_twice(entry: Mapping) -> bool:
    keys = [key.value for key, _ in entry.pairs if isinstance(key, Scalar)]
    return len(keys) != len(set(keys))


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
    read = [_read(file) for file in kustomizations]
    directories = {posixpath.dirname(one.path): one.path for one in read}
    known = {one.path: _with_files(one, directories) for one in read}
    included = {path for one in known.values() for path in one.includes + one.components}
    roots = [path for path in known if path not in included]
    return [_shadowed(site, roots, known) for site in sites]


def _shadowed(site: Site, roots: list[str], known: dict[str, _Kustomization]) -> Site:
    transformed = site.format == "container" and ".ephemeralContainers[" not in site.where
    if not transformed and site.format != "kustomize":
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
    components = [inner for path in one.components if (inner := known.get(path)) is not None]
    for include in one.includes + one.components:
        if include not in known:
            entering = [_Passage(name, None)] if include == file else []
        else:
            entering = list(_passages(known[include], file, name, known, above | {one.path}))
        # A component transforms what the kustomization has gathered before it.
        gathered = include in one.includes
        entries = [entry for inner in components if gathered for entry in inner.entries] + list(one.entries)
        yield from (_apply(entries, passage) for passage in entering)


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
        return tuple(
            posixpath.normpath(posixpath.join(here, one)) for one in written if one and "://" not in one
        )

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
