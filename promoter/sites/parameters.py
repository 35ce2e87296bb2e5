"""Items whose ``value`` is named beside it: parameters, and the operations of JSON patches.

Argo CD's ``helm.parameters`` ("Helm", section "Helm Parameters", and "Application Specification"
in its documentation), helmfile's ``releases[].set`` ("Configuration"), Tekton's ``params``
("Tasks" and "PipelineRuns", a parameter's ``default`` too) and Argo Workflows' ``parameters``.
The names are paths with dots: those with the same beginning belong together. The ``path`` of a
JSON patch's operation (RFC 6902; kustomize's and Flux's ``patches``) names what its ``value`` replaces.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.image import looks_like_reference
from promoter.sites import fields
from promoter.sites.image_string import duplicate_problem
from promoter.sites.model import ManifestFile, Part, Place, Site, item_label, stands_again, walk
from promoter.sites.split import site_of
from promoter.yamltext import Mapping, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from promoter.sites.fields import Fields

_LISTS = frozenset({"parameters", "params", "set", "setString"})
_VALUE_KEYS = ("value", "default")
_VERSIONS = ("tag", "digest")

_OPERATION = re.compile(r"\bop\b")
_CONTAINER = re.compile(r"/(?:c|initC)ontainers/[^/]+/image\Z")  # what kustomize's `images` rewrite


@dataclass(frozen=True, slots=True)
class _Pair:
    """One item; ``again`` is the line of a later item of the same name, which would win."""

    name: str
    where: str
    value: Scalar
    again: int | None

    @property
    def prefix(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def field(self) -> str:
        return self.name.rpartition(".")[2]


def find(file: ManifestFile, claimed: set[int]) -> Iterator[Site]:
    """One site for each group of parameters, or single one, that holds an image's version."""
    if _OPERATION.search(file.text):
        yield from _operations(file, claimed)
    if not any(key in file.text for key in _LISTS):
        return
    for place in walk(file):
        if isinstance(place.node, Sequence) and place.keys and place.keys[-1] in _LISTS:
            pairs = [pair for pair in _pairs(place, place.node) if pair.value.event not in claimed]
            for prefix, group in _groups(pairs).items():
                for held in _fields(prefix, group):
                    site = _split_site(file, place, group, held)
                    if site is not None:
                        claimed.update(one.scalar.event for one in held.all())
                        yield site
            for pair in pairs:
                site = _whole_site(file.path, pair, place.duplicate)
                if site is not None:
                    yield site


def _pairs(place: Place, items: Sequence) -> list[_Pair]:
    found: dict[str, _Pair] = {}
    for index, item in enumerate(items.items):
        node = yamltext.resolve(item)
        name = yamltext.scalar_value(yamltext.get(node, "name")) if isinstance(node, Mapping) else None
        if not isinstance(node, Mapping) or name is None:
            continue
        value = next((one for key in _VALUE_KEYS if (one := yamltext.get(node, key)) is not None), None)
        if isinstance(value, Scalar):
            again = node.line if name in found else None
            found[name] = _Pair(name, f"{place.where}{item_label(item, index)}", value, again)
    return list(found.values())


def _groups(pairs: list[_Pair]) -> dict[str, dict[str, _Pair]]:
    """The pairs by the beginning of their names, then by its last word."""
    groups: dict[str, dict[str, _Pair]] = defaultdict(dict)
    for pair in pairs:
        groups[pair.prefix][pair.field] = pair
    return groups


def _fields(prefix: str, group: dict[str, _Pair]) -> Iterable[Fields]:
    """What the pairs say of each image. A bare ``version`` is none: a task may have one of its own."""
    below_image = "image" in prefix.lower().split(".")[-1]
    entries = ((name, pair.value) for name, pair in group.items() if name != "version")
    return fields.read(entries, below_image=below_image).values()


def _split_site(file: ManifestFile, place: Place, group: dict[str, _Pair], held: Fields) -> Site | None:
    site = site_of(file, place, "", held, None)
    if site is None or looks_like_reference(str(site.reference)) is None:
        return None  # $(params.tag), ${TAG}, {{ … }}: something else fills it in
    lead = next(group[one.key] for one in held.all() if one.scalar is site.parts[0].scalar)
    twice = next((group[one.key] for one in held.all() if group[one.key].again), None)
    return replace(site, format="parameters", where=lead.where, problem=_problem(place.duplicate, twice))


def _whole_site(path: str, pair: _Pair, duplicate: int | None) -> Site | None:
    """A whole reference; a bare name is left: what it is joined with is not said here."""
    beside = pair.name.lower().split(".")[-2:]
    if beside[-1].endswith(_VERSIONS) or not any("image" in word for word in beside):
        return None
    reference = looks_like_reference(pair.value.value)
    if reference is None or not (reference.tag or reference.digest):
        return None
    return Site(
        file=path,
        line=pair.value.line,
        format="parameters",
        where=pair.where,
        reference=reference,
        parts=(Part("reference", pair.value),),
        problem=_problem(duplicate, pair),
    )


def _problem(duplicate: int | None, pair: _Pair | None) -> str | None:
    if pair is not None and pair.again:
        return f"the parameter {pair.name} stands twice (again in line {pair.again})"
    return duplicate_problem(duplicate)


# --- JSON patches ------------------------------------------------------------------------


def _operations(file: ManifestFile, claimed: set[int]) -> Iterator[Site]:
    """One site for each operation that sets an image to a whole reference."""
    for place in walk(file):
        if not isinstance(place.node, Mapping):
            continue
        operation, path = (yamltext.scalar_value(yamltext.get(place.node, key)) for key in ("op", "path"))
        value = yamltext.get(place.node, "value")
        if operation not in ("add", "replace") or not isinstance(value, Scalar) or value.event in claimed:
            continue
        reference = looks_like_reference(value.value) if _speaks_of_an_image(path or "") else None
        # A bare name gains a tag where it is all of the reference.
        if reference is None or not (reference.tag or reference.digest or _is_whole(path or "")):
            continue
        yield Site(
            file=file.path,
            line=value.line,
            format="container" if _CONTAINER.search(path or "") else "image",
            where=f"{place.where}.value",
            reference=reference,
            parts=(Part("reference", value),),
            problem=duplicate_problem(stands_again(place.node, ("op", "path", "value")) or place.duplicate),
        )


def _speaks_of_an_image(path: str) -> bool:
    """Whether what a patch's path names, or what is around it, is an image: no part of one, no secret."""
    steps = path.lower().split("/")[-2:]
    speaks = any("image" in step and "pull" not in step for step in steps)
    return speaks and not steps[-1].endswith(_VERSIONS)


def _is_whole(path: str) -> bool:
    return not fields.is_part_only(path.rpartition("/")[2])
