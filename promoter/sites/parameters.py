"""Lists of ``{name, value}`` pairs that set Helm values or parameters, where they speak of an image.

Argo CD's ``helm.parameters`` ("Helm", section "Helm Parameters", and "Application Specification"
in its documentation), helmfile's ``releases[].set`` ("Configuration"), Tekton's ``params``
("Tasks" and "PipelineRuns", a parameter's ``default`` too) and Argo Workflows' ``parameters``.
The names are paths with dots: those with the same beginning belong together.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.image import ImageReference, looks_like_reference
from promoter.sites.image_string import duplicate_problem
from promoter.sites.model import ManifestFile, Part, Place, Site, item_label, walk
from promoter.sites.split import read_fields
from promoter.yamltext import Mapping, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

_LISTS = frozenset({"parameters", "params", "set", "setString"})
_VALUE_KEYS = ("value", "default")

# In Argo CD Image Updater's files `name` is a repository and `spec` a whole reference.
_REPOSITORY = ("repository", "imageRepository", "repo", "image", "imageName")
_REGISTRY = ("registry", "imageRegistry")
_TAG = ("tag", "imageTag")
_DIGEST = ("digest", "imageDigest")
_FIELDS = frozenset({"name", *_REPOSITORY, *_REGISTRY, *_TAG, *_DIGEST})


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
    if not any(key in file.text for key in _LISTS):
        return
    for place in walk(file):
        if isinstance(place.node, Sequence) and place.keys and place.keys[-1] in _LISTS:
            pairs = [pair for pair in _pairs(place, place.node) if pair.value.event not in claimed]
            for group in _groups(pairs):
                site = _split_site(file.path, group, place.duplicate)
                if site is not None:
                    claimed.update(pair.value.event for pair in group.values() if pair.field in _FIELDS)
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


def _groups(pairs: list[_Pair]) -> list[dict[str, _Pair]]:
    """The pairs by the beginning of their names, then by its last word."""
    groups: dict[str, dict[str, _Pair]] = defaultdict(dict)
    for pair in pairs:
        groups[pair.prefix][pair.field] = pair
    return list(groups.values())


def _split_site(path: str, group: dict[str, _Pair], duplicate: int | None) -> Site | None:
    tag, digest, registry = _first(group, _TAG), _first(group, _DIGEST), _first(group, _REGISTRY)
    repository = _first(group, _REPOSITORY)
    if repository is None and "name" in group and "image" in group["name"].prefix.lower().split(".")[-1]:
        repository = group["name"]
    lead = tag or digest
    if repository is None or lead is None:
        return None
    written = (yamltext.scalar_value(registry.value) if registry else None, repository.value.value)
    name = "/".join(part.strip("/") for part in written if part)
    reference = looks_like_reference(name)
    if reference is None or reference.tag or reference.digest:
        return None
    parts, tag_text, digest_text = read_fields(tag.value if tag else None, digest.value if digest else None)
    version = ImageReference(reference.name, tag_text, digest_text)
    if looks_like_reference(str(version)) is None:
        return None  # $(params.tag), ${TAG}, {{ … }}: something else fills it in
    used = (repository, registry, tag, digest)
    twice = next((pair for pair in used if pair is not None and pair.again), None)
    return Site(
        file=path,
        line=parts[0].scalar.line,
        format="parameters",
        where=lead.where,
        reference=version,
        parts=parts,
        problem=_problem(duplicate, twice),
    )


def _whole_site(path: str, pair: _Pair, duplicate: int | None) -> Site | None:
    """A whole reference; a bare name is left: what it is joined with is not said here."""
    beside = pair.name.lower().split(".")[-2:]
    if pair.field in _TAG + _DIGEST or not any("image" in word for word in beside):
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


def _first(group: dict[str, _Pair], names: tuple[str, ...]) -> _Pair | None:
    return next((group[name] for name in names if name in group), None)
