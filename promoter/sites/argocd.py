"""Argo CD: ``kustomize.images`` of Applications, and what ``.argocd-source*.yaml`` shadows.

An entry is ``[old=]name[:tag][@digest]`` ("Kustomize" in Argo CD's documentation). The files
of overrides stand in the directory that a source's ``path`` names ("Parameter Overrides",
section "Store Overrides In Git") and are merged into it as a JSON merge patch (RFC 7396),
which replaces a list as a whole. ``helm.parameters`` are sites of ``parameters``.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.image import looks_like_reference
from promoter.sites.image_string import duplicate_problem
from promoter.sites.model import ManifestFile, Part, Place, Site, document_label, item_label, walk
from promoter.yamltext import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What one source may say and an override replaces as a whole.
_REPLACED = (("kustomize", "images"), ("helm", "parameters"), ("helm", "values"))


def find(file: ManifestFile, claimed: set[int]) -> Iterator[Site]:
    """One site for each entry of ``kustomize.images`` that holds a tag or a digest."""
    if "kustomize" not in file.text:
        return
    for place in walk(file):
        scalar = place.node
        if isinstance(scalar, Scalar) and place.in_list and place.keys[-2:] == ("kustomize", "images"):
            claimed.add(scalar.event)
            site = _site(file.path, place, scalar)
            if site is not None:
                yield site


def _site(path: str, place: Place, scalar: Scalar) -> Site | None:
    old, equals, new = scalar.value.rpartition("=")
    reference = looks_like_reference(new)
    if reference is None or not (reference.tag or reference.digest):
        return None  # only another name: the version is said elsewhere
    return Site(
        file=path,
        line=scalar.line,
        format="argocd",
        where=f"{place.where.rpartition('[')[0]}[{old or reference.name}]",
        reference=reference,
        parts=(Part("reference", scalar, before=old + equals),),
        problem=duplicate_problem(place.duplicate),
    )


# --- Shadowing -------------------------------------------------------------------------


def is_source_file(path: str) -> bool:
    """Whether Argo CD reads this file of an application's directory by its name."""
    name = posixpath.basename(path)
    return name == ".argocd-source.yaml" or (name.startswith(".argocd-source-") and name.endswith(".yaml"))


def shadow(sites: Iterable[Site], files: Iterable[ManifestFile]) -> list[Site]:
    """The sites, those of Applications marked with the override file that replaces their list."""
    listed, read = list(sites), list(files)
    replaced = {file.path: _replaced(file) for file in read if is_source_file(file.path)}
    if not replaced:
        return listed
    shadowed = {
        (file.path, where): override
        for file in read
        if not is_source_file(file.path)
        for where, override in _overridden(file, replaced)
    }
    lines = {(site.file, site.reference.key): site.line for site in listed}
    return [_marked(site, shadowed, lines) for site in listed]


def _marked(
    site: Site,
    shadowed: dict[tuple[str, str], tuple[str, int]],
    lines: dict[tuple[str, tuple[str, str]], int],
) -> Site:
    for (file, where), (path, line) in shadowed.items():
        if site.file == file and site.where.startswith((f"{where}[", f"{where}|")):
            return replace(site, shadowed_by=f"{path}:{lines.get((path, site.reference.key), line)}")
    return site


def _replaced(file: ManifestFile) -> dict[tuple[str, str], int]:
    """What the override file replaces, with its line."""
    found: dict[tuple[str, str], int] = {}
    for root in file.documents[:1]:
        for tool, key in _REPLACED:
            node = _at(root, tool, key)
            if node is not None:
                found[tool, key] = node.line
    return found


def _overridden(
    file: ManifestFile, replaced: dict[str, dict[tuple[str, str], int]]
) -> Iterator[tuple[str, tuple[str, int]]]:
    """The lists of the file's Applications that an override replaces, and its place."""
    for number, root in enumerate(file.documents):
        label = document_label(root, number)
        kind = yamltext.scalar_value(_at(root, "kind"))
        if kind == "Application":
            spec, where = _at(root, "spec"), f"{label}.spec"
            names = _override_names(root)
        elif kind == "ApplicationSet":
            spec, where = _at(root, "spec", "template", "spec"), f"{label}.spec.template.spec"
            names = [".argocd-source.yaml"]  # one of a single application shadows no other's
        else:
            continue
        for step, source in _sources(spec):
            path = yamltext.scalar_value(_at(source, "path"))
            for name in names if path else ():
                override = posixpath.normpath(posixpath.join(path or "", name))
                for (tool, key), line in replaced.get(override, {}).items():
                    yield f"{where}{step}.{tool}.{key}", (override, line)


def _override_names(application: Node) -> list[str]:
    """The files that override this Application; the last one wins. A namespace may lead its name."""
    name, namespace = (
        yamltext.scalar_value(_at(application, "metadata", key)) for key in ("name", "namespace")
    )
    return [".argocd-source.yaml", f".argocd-source-{name}.yaml", f".argocd-source-{namespace}_{name}.yaml"]


def _sources(spec: Node | None) -> Iterator[tuple[str, Node]]:
    source, sources = _at(spec, "source"), _at(spec, "sources")
    if source is not None:
        yield ".source", source
    for index, item in enumerate(sources.items if isinstance(sources, Sequence) else ()):
        yield f".sources{item_label(item, index)}", yamltext.resolve(item)


def _at(node: Node | None, *keys: str) -> Node | None:
    for key in keys:
        node = yamltext.get(node, key) if isinstance(node, Mapping) else None
    return node
