"""What can be rendered: a kustomization, or a Helm chart with the values of one release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from promoter import yamltext
from promoter.validate.leads import Lead
from promoter.validate.listing import KUSTOMIZATIONS, is_manifest
from promoter.yamltext import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from promoter.validate.listing import Listing

CONFIGURATION = "the configuration"  # in place of the file that names a root


@dataclass(frozen=True)
class Root:
    """Something that an agent deploys from a directory of the repository.

    ``files`` are plain manifests, which nobody renders. ``named_by`` is the file that tells of
    it, or CONFIGURATION. ``values`` are paths, ``inline`` are YAML texts laid over these,
    ``parameters`` are options of helm with their arguments. ``own_values`` is False where the chart's
    values.yaml is not read by itself. ``problem`` says why it cannot be rendered.
    """

    tool: Literal["kustomize", "helm", "files"]
    directory: str
    named_by: str
    release: str = ""
    namespace: str | None = None
    values: tuple[str, ...] = ()
    inline: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    own_values: bool = True
    with_crds: bool = True
    recursive: bool = True
    problem: str | None = None

    @property
    def file(self) -> str | None:
        """The file to look into where it cannot be rendered."""
        return self.named_by if self.named_by != CONFIGURATION else None

    @property
    def label(self) -> str:
        """How people know it: the directory, and the release of a chart."""
        place = self.directory or "."
        name = f"{self.namespace}/{self.release}" if self.namespace else self.release
        return f"{place} as {name}" if self.tool == "helm" else place

    def leads(self, listing: Listing) -> list[Lead]:
        """The files that it begins with."""
        if self.tool == "kustomize":
            path = listing.kustomization(self.directory)
            return [Lead(path, "kustomization")] if path is not None else []
        if self.tool == "files":
            return [Lead(path) for path in _manifests(self, listing)]
        chart = listing.chart(self.directory)
        described = [Lead(chart, "chart")] if chart is not None else []
        return described + [Lead(path) for path in self.values if listing.is_file(path)]


def _manifests(root: Root, listing: Listing) -> list[str]:
    """The plain manifests of a directory: not those that a kustomization below it sees to."""
    depth = root.directory.count("/") + bool(root.directory)
    below = [path for path in listing.below(root.directory) if is_manifest(path)]
    if not root.recursive:
        return [path for path in below if path.count("/") == depth]
    built = tuple(f"{one}/" for one in topmost_kustomizations(root.directory, listing))
    return [path for path in below if not path.startswith(built)]


def topmost_kustomizations(directory: str, listing: Listing) -> list[str]:
    """The directories below one that have a kustomization, with none between."""
    found: list[str] = []
    for path in listing.below(directory):
        here, _, name = path.rpartition("/")
        if name in KUSTOMIZATIONS and here != directory:
            found = [one for one in found if not one.startswith(f"{here}/")]
            if not any(here == one or here.startswith(f"{one}/") for one in found):
                found.append(here)
    return found


def flow_text(node: Node) -> str:
    """A node as YAML in one line that every reader takes for the same: its scalars keep their meaning."""
    node = yamltext.resolve(node)
    if isinstance(node, Sequence):
        return f"[{', '.join(map(flow_text, node.items))}]"
    if isinstance(node, Mapping):
        pairs: dict[str, str] = {}
        for key, value in yamltext.entries(node):
            pairs.setdefault(_quoted(key), flow_text(value))
        return f"{{{', '.join(f'{key}: {value}' for key, value in pairs.items())}}}"
    return _scalar_text(node)  # type: ignore[arg-type]  # an alias never stands for another one


def _scalar_text(scalar: Scalar) -> str:
    string = scalar.tag == "tag:yaml.org,2002:str" or (scalar.tag is None and scalar.style != "")
    if string or yamltext.reads_as_string(scalar.value):
        return _quoted(scalar.value)
    return scalar.value or "null"


def _quoted(text: str) -> str:
    import json

    return json.dumps(text)
