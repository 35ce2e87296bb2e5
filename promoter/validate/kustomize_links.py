"""What a kustomization brings along. Pure.

Fields: ``types/kustomization.go`` of sigs.k8s.io/kustomize/api 0.21. Field names are read as
they are spelt there; kustomize itself takes any capitals, so a field that is not known by its
exact name is a problem: nothing that is not understood here is ever given to kustomize.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.validate.leads import Lead, Links, at, documents, is_remote, items, text_at, texts
from promoter.yamltext import Mapping, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promoter.validate.listing import Listing

# Fields that say nothing of other files.
_OWN = frozenset(
    {"apiVersion", "kind", "metadata", "namePrefix", "nameSuffix", "namespace", "commonLabels", "labels"}
    | {"commonAnnotations", "images", "imageTags", "replicas", "vars", "sortOptions", "generatorOptions"}
    | {"inventory", "buildMetadata"}
)
_DIRECTORIES = ("resources", "bases", "components")
_FILES = ("crds", "configurations")
_PLUGINS = ("generators", "transformers", "validators")
_PATCHES = ("patches", "patchesJson6902", "replacements")
_GENERATORS = ("configMapGenerator", "secretGenerator")
_FOLLOWED = frozenset(
    {*_DIRECTORIES, *_FILES, *_PLUGINS, *_PATCHES, *_GENERATORS}
    | {"patchesStrategicMerge", "openapi", "helmCharts", "helmGlobals"}
)
# Of builtin plugins: builtins/*.go of the same module. All their fields that name files.
_FILE_KEYS = frozenset({"path", "paths", "files", "env", "envs"})
_CHART_INFLATOR = "HelmChartInflationGenerator"
_CHART_FIELDS = frozenset(
    {"name", "version", "repo", "releaseName", "namespace", "additionalValuesFiles", "valuesFile"}
    | {"valuesInline", "valuesMerge", "includeCRDs", "skipHooks", "apiVersions", "kubeVersion", "skipTests"}
    | {"nameTemplate", "debug", "devel", "chartHome"}
)


def kustomization_links(path: str, content: bytes, listing: Listing) -> Links:
    """What a kustomization file names."""
    found = Links(listing, posixpath.dirname(path))
    roots = [root for root in documents(path, content) if isinstance(root, Mapping)]
    if not roots:
        found.problems.append("it cannot be read as a kustomization")
    found.is_component = any(text_at(root, "kind") == "Component" for root in roots)
    for root in roots:
        unknown = sorted({key for key, _ in yamltext.entries(root)} - _OWN - _FOLLOWED)
        found.problems += [f"it has the field {key}, which is not followed" for key in unknown]
        for key in _DIRECTORIES:
            for written in texts(at(root, key)):
                _resource(found, written)
        _follow_files(found, root)
        for key in _PLUGINS:
            for written in texts(at(root, key)):
                _plugin(found, written)
        for chart in items(at(root, "helmCharts")):
            _chart(found, chart, at(root, "helmGlobals"))
    return found


def _follow_files(found: Links, root: Mapping) -> None:
    for key in _FILES:
        for written in texts(at(root, key)):
            found.file(written)
    for written in texts(at(root, "patchesStrategicMerge")):
        _patch(found, written)
    for key in _PATCHES:
        for item in items(at(root, key)):
            patch = text_at(item, "path")
            if patch:
                found.file(patch)
            _misspelt(found, item)
    for key in _GENERATORS:
        for item in items(at(root, key)):
            _sources(found, item)
            _misspelt(found, item)
    openapi = text_at(root, "openapi", "path")
    if openapi:
        found.file(openapi)


def _misspelt(found: Links, item: Node) -> None:
    """Fields in other capitals, which kustomize would follow all the same."""
    keys = [key for key, _ in yamltext.entries(item)] if isinstance(item, Mapping) else []
    wrong = [key for key in keys if key.lower() in _FILE_KEYS and key not in _FILE_KEYS]
    found.problems += [f"it has the field {key}, which is not followed" for key in wrong]


def _resource(found: Links, written: str) -> None:
    """A file, or a directory with a kustomization."""
    path = found.locate(written)
    if path is None:
        return
    if found.listing.is_file(path):
        found.file(written)
        return
    below = found.listing.kustomization(path)
    if below is None:
        found.problems.append(f"it needs {written}, where the repository has no file and no kustomization")
        return
    found.leads.append(Lead(below, "kustomization"))


def _patch(found: Links, written: str) -> None:
    """A file, or the patch itself."""
    if is_remote(written) or not _is_inline(written):
        found.file(written)


def _is_inline(written: str) -> bool:
    return "\n" in written or ": " in written or written.lstrip().startswith("{")


def _sources(found: Links, item: Node | None) -> None:
    """``files`` (``[key=]path``), ``envs`` and ``env`` of a generator of ConfigMaps or Secrets."""
    for written in texts(at(item, "files")):
        found.file(written.partition("=")[2] or written)
    single = text_at(item, "env")
    for written in (*texts(at(item, "envs")), *([single] if single else [])):
        found.file(written)


# --- plugins -----------------------------------------------------------------------------------


def _plugin(found: Links, written: str) -> None:
    """The configuration of a plugin: itself, a file, or a directory that builds some."""
    inline = [root for root in documents("", written.encode("utf-8")) if isinstance(root, Mapping)]
    if inline and not is_remote(written):
        for root in inline:
            _configuration(found, root)
        return
    path = found.locate(written)
    below = found.listing.kustomization(path) if path is not None else None
    if path is None:
        return
    if below is not None and not found.listing.is_file(path):
        found.leads.append(Lead(below, "plugins", found.base))
    else:
        found.file(written, "plugin", found.base)


def plugins_links(lead: Lead, content: bytes, listing: Listing) -> Links:
    """What a kustomization brings along whose resources configure plugins; it may only list them."""
    found = kustomization_links(lead.path, content, listing)
    for root in documents(lead.path, content):
        keys = {key for key, _ in yamltext.entries(root)} if isinstance(root, Mapping) else set()
        changing = sorted(keys - {"apiVersion", "kind", "metadata", "resources"})
        found.problems += [f"it builds the configuration of plugins with {key}" for key in changing]
    role = {"file": "plugin", "kustomization": "plugins"}
    found.leads = [Lead(one.path, role[one.role], lead.base) for one in found.leads if one.role in role]  # type: ignore[arg-type]  # both values are roles
    return found


def plugin_links(lead: Lead, content: bytes, listing: Listing) -> Links:
    """What the configuration of plugins in a file brings along."""
    found = Links(listing, lead.base)
    roots = documents(lead.path, content)
    if not roots:
        found.problems.append("it configures plugins and cannot be read")
    for root in roots:
        _configuration(found, root)
    return found


def _configuration(found: Links, root: Node) -> None:
    kind = text_at(root, "kind") or "a plugin"
    annotations = at(root, "metadata", "annotations")
    keys = [key for key, _ in yamltext.entries(annotations)] if isinstance(annotations, Mapping) else []
    if text_at(root, "apiVersion") != "builtin" or any("config.kubernetes.io/" in key for key in keys):
        found.problems.append(f"it runs {kind}, which is a program or a function: none is ever run")
        return
    if kind == _CHART_INFLATOR:
        _chart(found, root, None)
        return
    for holder in (root, *items(at(root, "replacements"))):
        for written in _named_files(holder):
            _patch(found, written.partition("=")[2] or written)


def _named_files(holder: Node) -> Iterator[str]:
    for key, value in yamltext.entries(holder) if isinstance(holder, Mapping) else ():
        if key.lower() in _FILE_KEYS:
            single = yamltext.scalar_value(value)
            yield from [single] if single else texts(value)


# --- charts -------------------------------------------------------------------------------------


def _chart(found: Links, chart: Node, settings: Node | None) -> None:
    """A chart that kustomize has Helm render: it must stand in the repository.

    kustomize 5.8 refuses names that begin with a dash; older ones hand them to helm as options.
    """
    keys = {key for key, _ in yamltext.entries(chart)} if isinstance(chart, Mapping) else set()
    keys -= {"apiVersion", "kind", "metadata"}
    shared = {key for key, _ in yamltext.entries(settings)} if isinstance(settings, Mapping) else set()
    unknown = sorted((keys - _CHART_FIELDS) | (shared - {"chartHome"}))
    found.problems += [f"its chart has the field {key}, which is not followed" for key in unknown]
    name = text_at(chart, "name") or ""
    named = ("releaseName", "namespace", "nameTemplate", "kubeVersion")
    options = [text_at(chart, key) or "" for key in named] + list(texts(at(chart, "apiVersions")))
    if not name or "/" in name or any(text.startswith("-") for text in (name, *options)):
        found.problems.append(f"its chart has a name that cannot be given to helm: {name!r}")
        return
    home = text_at(chart, "chartHome") or text_at(settings, "chartHome") or "charts"
    version, repo = text_at(chart, "version"), text_at(chart, "repo")
    if version and repo:
        home = f"{home}/{name}-{version}"
    directory = found.locate(f"{home}/{name}")
    if directory is None:
        return
    description = found.listing.chart(directory)
    if description is None:
        found.problems.append(f"its chart {name} is not vendored in {home}/{name}")
        return
    found.inflates = True
    found.leads.append(Lead(description, "chart"))
    if found.base and not directory.startswith(f"{found.base}/"):
        found.above = True
    values = text_at(chart, "valuesFile")
    for written in (*([values] if values else []), *texts(at(chart, "additionalValuesFiles"))):
        found.file(written)
