"""Variables that Flux fills in after the build: ``${tag}`` in a manifest, its value in a Kustomization.

Source: fluxcd.io/flux/components/kustomize/kustomizations, "Post build variable
substitution". A value that is only a tag says nothing of its image: that stands where a
manifest that the Kustomization builds (``spec.path``) uses the variable. Values stand in the
Kustomization itself, which win, and in ConfigMaps that it names, the last one first.
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
from promoter.sites.model import (
    ManifestFile,
    Site,
    document_label,
    stands_again,
    walk,
)
from promoter.sites.split import read_fields
from promoter.yamltext import Mapping, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from collections.abc import Mapping as ReadOnlyMapping

    from promoter.sites.model import Part
    from promoter.yamltext import Node

SUBSTITUTES = b"postBuild"  # stands in every file that gives values, or names a ConfigMap
SUBSTITUTES_FROM = b"substituteFrom"  # in those that name one
CONFIG_MAP = b"ConfigMap"  # and this in every file with one
USES = b"${"  # and this in every file that uses them

_NAMED = re.compile(rb"""\bname["']?\s*:\s*(?:["']?([A-Za-z0-9.-]+)|.)""")
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
    """The values that one Flux Kustomization has from one place; ``is_built`` tells where it fills them in.

    ``above`` are its values that win over these.
    """

    file: str
    where: str
    values: Mapping
    is_built: Callable[[str], bool]
    above: tuple[Setter, ...] = ()

    def place_of(self, variable: str) -> str | None:
        """The ``file:line`` of a variable's value; None where there is none."""
        value = yamltext.get(self.values, variable)
        return f"{self.file}:{value.line}" if value is not None else None

    def overriding(self, variable: str) -> str | None:
        """The ``file:line`` of the value that wins over its own."""
        return next((place for one in self.above if (place := one.place_of(variable))), None)


@dataclass(frozen=True, slots=True)
class _ConfigMap:
    file: str
    where: str
    namespace: str | None
    values: Mapping


NO_CONFIG_MAPS: ReadOnlyMapping[str, list[_ConfigMap]] = {}


def setters(
    file: ManifestFile,
    reach_of: Callable[[str], Callable[[str], bool]],
    config_maps: ReadOnlyMapping[str, list[_ConfigMap]] = NO_CONFIG_MAPS,
) -> Iterator[Setter]:
    """Those of a file's Kustomizations, the ones that win first; ``config_maps`` are known by name.

    ``reach_of`` tells for a directory which files are built from it.
    """
    if SUBSTITUTES.decode() not in file.text:
        return
    for number, root, spec in flux.kustomizations(file):
        is_built = reach_of(flux.directory(spec))
        above: tuple[Setter, ...] = ()
        values = flux.substitutes(spec)
        if values is not None:
            where = f"{document_label(root, number)}.spec.postBuild.substitute"
            above = (Setter(file.path, where, values, is_built),)
        for name in _config_maps(spec):
            found = _meant(file.path, root, config_maps.get(name, ()))
            above += (Setter(found.file, found.where, found.values, is_built, above),) if found else ()
        yield from above


def setters_by_file(
    files: Iterable[ManifestFile], reach_of: Callable[[str], Callable[[str], bool]]
) -> dict[str, list[Setter]]:
    """All setters of the files, by the files that their values stand in."""
    listed = list(files)
    naming = any(SUBSTITUTES_FROM.decode() in file.text for file in listed)
    config_maps = _config_maps_in(listed) if naming else NO_CONFIG_MAPS
    by_file: dict[str, list[Setter]] = {}
    for file in listed:
        for setter in setters(file, reach_of, config_maps):
            by_file.setdefault(setter.file, []).append(setter)
    return by_file


def naming_config_maps(contents: Iterable[bytes]) -> Callable[[bytes], bool]:
    """Whether the bytes of a ConfigMap may be one that these files take values from; told without parsing."""
    naming = (content for content in contents if SUBSTITUTES_FROM in content)
    names = {name for content in naming for name in _NAMED.findall(content)}
    if b"" in names:  # an alias, say: not told by the text
        return lambda _: True
    pattern = re.compile(b"|".join(map(re.escape, sorted(names))) or rb"(?!)")
    return lambda content: pattern.search(content) is not None


def _config_maps(spec: Mapping) -> list[str]:
    """The ConfigMaps that a Kustomization takes values from, the one that wins first. Secrets are left."""
    post_build = yamltext.get(spec, "postBuild")
    listed = yamltext.get(post_build, "substituteFrom") if isinstance(post_build, Mapping) else None
    items = [yamltext.resolve(item) for item in listed.items] if isinstance(listed, Sequence) else []
    names = [
        yamltext.scalar_value(yamltext.get(item, "name"))
        for item in items
        if isinstance(item, Mapping) and _text(item, "kind") == "ConfigMap"
    ]
    return [name for name in reversed(names) if name]


def _config_maps_in(files: Iterable[ManifestFile]) -> dict[str, list[_ConfigMap]]:
    """The ConfigMaps of the files by their names."""
    found: dict[str, list[_ConfigMap]] = {}
    for file in files:
        for number, root in enumerate(file.documents if CONFIG_MAP.decode() in file.text else ()):
            if isinstance(root, Mapping) and _text(root, "kind") == "ConfigMap":
                metadata, data = yamltext.get(root, "metadata"), yamltext.get(root, "data")
                name = _text(metadata, "name")
                if name and isinstance(data, Mapping):
                    where = f"{document_label(root, number)}.data"
                    one = _ConfigMap(file.path, where, _text(metadata, "namespace"), data)
                    found.setdefault(name, []).append(one)
    return found


def _meant(beside: str, root: Mapping, named: Iterable[_ConfigMap]) -> _ConfigMap | None:
    """Which of the ConfigMaps of one name a Kustomization takes; None where that is not certain.

    Of several only one in the Kustomization's own directory can be meant.
    """
    namespace = _text(yamltext.get(root, "metadata"), "namespace")
    found = [one for one in named if not namespace or one.namespace in (None, namespace)]
    here = [one for one in found if posixpath.dirname(one.file) == posixpath.dirname(beside)]
    certain = here if len(found) > 1 else found
    return certain[0] if len(certain) == 1 else None


def _text(node: Node | None, key: str) -> str | None:
    return yamltext.scalar_value(yamltext.get(node, key)) if isinstance(node, Mapping) else None


def sites_of(own: Iterable[Setter], known: Iterable[Use]) -> list[Site]:
    """The sites in the values of one file, which several Kustomizations may use: each once."""
    uses_known = list(known)
    found: dict[tuple[str, str], Site] = {}
    for site in (site for setter in own for site in find(setter, uses_known)):
        place = (site.where, site.reference.name)
        if place not in found or not site.shadowed_by:
            found[place] = site
    return list(found.values())


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
                    shadowed_by=setter.overriding(key),
                    problem=duplicate_problem(stands_again(setter.values, [key])),
                )


def settled(site: Site, known: Iterable[Setter]) -> Site:
    """A site whose tag is a variable is overridden by what sets it; where nothing does, it is refused.

    A default (``${tag:=1.2}``) counts where no Kustomization that builds the file sets the variable.
    """
    texts = [part.scalar.value for part in site.parts if "${" in part.scalar.value]
    variable = next((match["variable"] for text in texts if (match := _ANY.fullmatch(text))), None)
    for setter in known if variable else ():
        place = setter.place_of(variable or "")
        if place is not None and not setter.overriding(variable or "") and setter.is_built(site.file):
            return replace(site, shadowed_by=site.shadowed_by or place)
    if site.problem:
        return site
    unset = next((part for part in site.parts if _is_set_elsewhere(part)), None)
    if unset is None:
        return site
    problem = f"its {unset.role} is the variable {unset.scalar.value}, which is set elsewhere"
    return replace(site, problem=problem)


def _is_set_elsewhere(part: Part) -> bool:
    """Whether a tag or digest holds a variable of which no default tells what it is."""
    return part.role in ("tag", "digest") and "${" in part.scalar.value and not part.before and not part.after
