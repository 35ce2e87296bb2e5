"""The schemas of Kubernetes's own kinds, from the bundle that promoter ships; nothing is fetched.

The bundle's form is described in ``tools/kubernetes-schemas.py``, its source in
``schemas/kubernetes.md``. Unknown fields are errors, as to ``kubectl apply --validate=strict``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from promoter.errors import ConfigError
from promoter.validate.shipped import shipped

if TYPE_CHECKING:
    from pathlib import Path

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# The whole group, unlike kubeconform's default layout: apps.kruise.io/v1beta1 is not apps/v1beta1.
LAYOUT = "{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json"

_VERSION = re.compile(r"v?(\d+\.\d+)(?:\.\d+)?\Z")
_REFERENCE = re.compile(r'"\$ref":"#/\$defs/([^"]+)"')
# What clusters served once and no bundled version does.
_FORMER_GROUPS = frozenset(("extensions",))


@dataclass(frozen=True)
class Schemas:
    """The schemas of one Kubernetes version, each read when it is asked for.

    ``kinds`` gives the definition's name for ``apps/v1/Deployment`` or ``v1/Pod``.
    """

    version: str
    kinds: dict[str, str] = field(repr=False)
    _by_folded: dict[str, str] = field(repr=False)
    groups: frozenset[str] = field(repr=False)
    _lines: dict[str, str] = field(repr=False)

    def schema(self, kind: str) -> dict[str, Any] | None:
        """The whole schema of a kind, with all that it refers to; None where the version has no such kind.

        The case of the kind does not matter, as to kubeconform: the schema itself says that it is wrong.
        """
        name = self._by_folded.get(folded(kind))
        if name is None:
            return None
        wanted, waiting = {name}, [name]
        while waiting:
            found = set(_REFERENCE.findall(self._lines[waiting.pop()])) - wanted
            wanted |= found
            waiting += found
        definitions = {one: self.definition(one) for one in sorted(wanted)}
        return {"$schema": DIALECT, "$ref": f"#/$defs/{name}", "$defs": definitions}

    def definition(self, name: str) -> dict[str, Any]:
        """One definition, strict about unknown fields."""
        schema: dict[str, Any] = json.loads(self._lines[name])
        return _strict(schema)

    def is_known_group(self, group: str) -> bool:
        """Whether the group (empty for the core) is Kubernetes's own: all its kinds are known."""
        return group in self.groups

    def versions_of(self, group: str, kind: str) -> list[str]:
        """The apiVersions under which this version serves a kind of the group: for a hint."""
        ends = f"/{kind}"
        served = [one.removesuffix(ends) for one in self.kinds if one.endswith(ends)]
        return sorted(one for one in served if _group_of(one) == group)


def _group_of(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def bundled_versions() -> tuple[str, ...]:
    """The versions that are bundled, oldest first."""
    return tuple(_bundle()[0].split())


@cache
def load(version: str | None = None) -> Schemas:
    """The schemas of a version such as ``1.33``, ``v1.33`` or ``1.33.4``; by default of the newest.

    Raises:
        ConfigError: the version is not bundled.
    """
    first, *lines = _bundle()
    versions = first.split()
    wanted = versions[-1]
    if version is not None:
        match = _VERSION.match(version)
        wanted = match[1] if match else version
    if wanted not in versions:
        raise ConfigError(
            f"validate.kubernetes: no schemas of Kubernetes {version} are bundled",
            next_step=f"set one of {versions[0]} to {versions[-1]}",
            reason="kubernetes-version",
        )
    bit = 1 << versions.index(wanted)
    kinds: dict[str, str] = {}
    definitions: dict[str, str] = {}
    groups = set(_FORMER_GROUPS)
    for line in lines:
        name, mask, defined, schema = line.split("\t")
        groups.update(_group_of(kind.rpartition("/")[0]) for kind in defined.split(",") if kind)
        if int(mask, 16) & bit:
            definitions[name] = schema
            kinds.update((kind, name) for kind in defined.split(",") if kind)
    by_folded = {folded(kind): name for kind, name in kinds.items()}
    return Schemas(wanted, kinds, by_folded, frozenset(groups), definitions)


def folded(kind: str) -> str:
    """``apps/v1/deployment``: a kind as it is looked up."""
    version, _, name = kind.rpartition("/")
    return f"{version}/{name.lower()}"


def _bundle() -> list[str]:
    import lzma  # only where Kubernetes's kinds are validated

    content = shipped("kubernetes.xz").read_bytes()
    return lzma.decompress(content).decode().splitlines()


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with ``additionalProperties: false`` wherever fields are listed."""
    properties = schema.get("properties")
    if properties is not None:
        for one in properties.values():
            _strict(one)
        schema.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            _strict(schema[key])
    return schema


def schema_path(kind: str) -> str:
    """The file of a kind's schema below a folder, as ``LAYOUT`` has it: ``apps/deployment_v1.json``."""
    api_version, _, name = kind.rpartition("/")
    group, _, version = api_version.rpartition("/")
    return f"{group or version}/{name.lower()}_{version}.json"


def write_out(version: str | None, directory: Path) -> str:
    """Write all schemas of a version into a folder for kubeconform; returns its ``-schema-location``.

    Raises:
        ConfigError: the version is not bundled.
    """
    schemas = load(version)
    for kind in schemas.kinds:
        write_schema(directory, kind, schemas.schema(kind))
    return f"{directory}/{LAYOUT}"


def write_schema(directory: Path, kind: str, schema: Any) -> None:  # noqa: ANN401 - JSON
    """Write the schema of one kind where ``LAYOUT`` has it."""
    file = directory / schema_path(kind)
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(schema), encoding="utf-8")
