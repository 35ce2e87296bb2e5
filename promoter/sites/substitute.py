"""Variables that Flux fills in after the build: ``${tag}`` in a manifest, its value in a Kustomization.

Source: fluxcd.io/flux/components/kustomize/kustomizations, "Post build variable
substitution". A value that is only a tag says nothing of its image: that stands where a
manifest that the Kustomization builds (``spec.path``) uses the variable.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.image import ImageReference, looks_like_reference
from promoter.sites import flux
from promoter.sites.image_string import duplicate_problem
from promoter.sites.model import ManifestFile, Site, document_label, stands_again, walk
from promoter.sites.split import read_fields
from promoter.yamltext import Mapping, Scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SUBSTITUTES = b"postBuild"  # stands in every file that gives values
USES = b"${"  # and this in every file that uses them

# `${var}`, with a default: `${var:=1.2}`, `${var:-1.2}`, `${var=1.2}`.
_VARIABLE = r"\$\{(?P<variable>[_A-Za-z][_A-Za-z0-9]*)(?::?[=-][^}]*)?\}"
_NAME_AND_VARIABLE = re.compile(rf"(?P<name>[^\s${{}}]+):{_VARIABLE}")
_ONLY_VARIABLE = re.compile(_VARIABLE)
_ANY = re.compile(rf"(?:[^\s${{}}]+:)?{_VARIABLE}")


@dataclass(frozen=True, slots=True)
class Use:
    """A place where the tag of an image is a variable."""

    file: str
    variable: str
    name: str


def uses(files: Iterable[ManifestFile], sites: Iterable[Site]) -> tuple[Use, ...]:
    """``image: name:${var}`` in the files, and split fields whose tag is ``${var}``."""
    found = [use for file in files if "${" in file.text for use in _written_uses(file)]
    for site in sites:
        tags = [part.scalar.value for part in site.parts if part.role == "tag"]
        found += [
            Use(site.file, match["variable"], site.reference.name)
            for tag in tags
            if (match := _ONLY_VARIABLE.fullmatch(tag))
        ]
    return tuple(dict.fromkeys(found))


def _written_uses(file: ManifestFile) -> Iterator[Use]:
    for place in walk(file):
        if isinstance(place.node, Scalar) and any("image" in key.lower() for key in place.keys[-2:]):
            match = _NAME_AND_VARIABLE.fullmatch(place.node.value)
            name = looks_like_reference(match["name"]) if match else None
            if match and name and not name.tag and not name.digest:
                yield Use(file.path, match["variable"], name.name)


@dataclass(frozen=True, slots=True)
class Setter:
    """The values of one Flux Kustomization; ``is_built`` tells which files they are filled into."""

    file: str
    where: str
    values: Mapping
    is_built: Callable[[str], bool]


def setters(file: ManifestFile, reach_of: Callable[[str], Callable[[str], bool]]) -> Iterator[Setter]:
    """Those of a file. ``reach_of`` tells for a directory which files are built from it."""
    for number, root in enumerate(file.documents):
        spec = yamltext.get(root, "spec") if isinstance(root, Mapping) else None
        values = flux.substitutes(spec) if isinstance(spec, Mapping) else None
        if not isinstance(root, Mapping) or not isinstance(spec, Mapping) or values is None:
            continue
        if flux.is_kind(root, "kustomize.toolkit.fluxcd.io/", "Kustomization"):
            path = posixpath.normpath(yamltext.scalar_value(yamltext.get(spec, "path")) or ".").lstrip("/")
            where = f"{document_label(root, number)}.spec.postBuild.substitute"
            yield Setter(file.path, where, values, reach_of("" if path == "." else path))


def find(setter: Setter, known: Iterable[Use]) -> Iterator[Site]:
    """One site for each image whose tag is a value of this Kustomization."""
    built = [use for use in known if setter.is_built(use.file)]
    for key, value in yamltext.entries(setter.values):
        if isinstance(value, Scalar) and "${" not in value.value:
            parts, tag, digest = read_fields(value, None)
            for name in dict.fromkeys(use.name for use in built if use.variable == key):
                yield Site(
                    file=setter.file,
                    line=value.line,
                    format="flux",
                    where=f"{setter.where}.{key}",
                    reference=ImageReference(name, tag, digest),
                    parts=parts,
                    problem=duplicate_problem(stands_again(setter.values, [key])),
                )


def settled(site: Site, known: Iterable[Setter]) -> Site:
    """A site whose tag is a variable is overridden by what sets it; where nothing does, it is refused.

    A default (``${tag:=1.2}``) counts where no Kustomization that builds the file sets the variable.
    """
    texts = [part.scalar.value for part in site.parts if "${" in part.scalar.value]
    variable = next((match["variable"] for text in texts if (match := _ANY.fullmatch(text))), None)
    for setter in known if variable else ():
        value = yamltext.get(setter.values, variable or "")
        if value is not None and setter.is_built(site.file):
            return replace(site, shadowed_by=site.shadowed_by or f"{setter.file}:{value.line}")
    if "${" not in (site.reference.tag or ""):
        return site
    problem = f"its tag is the variable {site.reference.tag}, which is set elsewhere"
    return replace(site, problem=site.problem or problem)
