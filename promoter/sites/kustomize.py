"""``images[]`` of a kustomization: its entries as sites, and what they do to an image one after the other.

kustomize rewrites an image only where the text before tag and digest equals an entry's
``name`` (kustomize's ``images`` field reference), and runs the entries in their order: each
sees the names that those before it wrote. What a whole build does is ``kustomize_build``'s.
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
    from collections.abc import Iterable, Iterator

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


def image_entries(
    path: str, holder: Mapping, where: str, claimed: set[int], *, by_name: bool = False
) -> Iterator[Site]:
    """One site for each entry of ``images`` in a mapping; Flux's objects have the same list.

    ``by_name`` says that an entry takes the place of one with the same name.
    """
    again = stands_again(holder, ["images"])
    items = [(index, yamltext.resolve(item)) for index, item in _image_items(holder)]
    read = [read_entry(path, node) for _, node in items]
    for number, (index, entry) in enumerate(items):
        if not isinstance(entry, Mapping):
            continue
        claimed.update(node.event for _, node in yamltext.entries(entry) if isinstance(node, Scalar))
        own, later = read[number], [one for one in read[number + 1 :] if one is not None]
        if own is None:
            continue
        is_named_again = any(one.name == own.name for one in later)
        label = f"[{index}]" if is_named_again else item_label(entry, index)
        site = _site(path, entry, f"{where}.images{label}", again)
        if site is not None:
            before = [one for one in read[:number] if one is not None]
            yield replace(site, shadowed_by=_overriding(own, before, later, by_name=by_name))


def _overriding(own: Entry, before: list[Entry], later: list[Entry], *, by_name: bool) -> str | None:
    """The entry that sets another version behind it: each sees the names that those before it wrote."""
    if by_name:
        in_force = {one.name: one for one in (*before, own, *later)}  # in the order of the first of a name
        if in_force[own.name] is not own:
            return in_force[own.name].where
        later = list(in_force.values())[list(in_force).index(own.name) + 1 :]
    return apply(later, Passage(own.new_name, None)).shadowed_by


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


# --- What an entry does ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of ``images``; ``scalars`` are the events of its values."""

    name: str
    new_name: str
    sets_version: bool
    where: str  # file:line
    scalars: frozenset[int]

    def is_of(self, site: Site) -> bool:
        """Whether a site of the entry's own file is this one."""
        return not site.within and any(part.scalar.event in self.scalars for part in site.parts)


@dataclass(frozen=True, slots=True)
class Passage:
    """How an image leaves a kustomization: its name there, and the entry that set its version."""

    name: str
    shadowed_by: str | None


def read_entry(path: str, node: Node) -> Entry | None:
    """The entry that an item of a list is; None where it names no image."""
    name = yamltext.scalar_value(yamltext.get(node, "name")) if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping) or not name:
        return None
    versions = [yamltext.scalar_value(yamltext.get(node, key)) for key in ("newTag", "digest")]
    new_name = yamltext.scalar_value(yamltext.get(node, "newName")) or name
    scalars = frozenset(value.event for _, value in yamltext.entries(node) if isinstance(value, Scalar))
    return Entry(name, new_name, any(versions), f"{path}:{node.line}", scalars)


def apply(entries: Iterable[Entry], passage: Passage) -> Passage:
    """How an image comes out of these entries, one after the other."""
    for entry in entries:
        if entry.name == passage.name:
            where = entry.where if entry.sets_version else passage.shadowed_by
            passage = Passage(entry.new_name, where)
    return passage
