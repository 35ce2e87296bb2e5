"""What objects of Argo CD and Flux deploy from the repository that they stand in. Pure.

Sources: argo-cd.readthedocs.io/en/stable/user-guide/helm ("Values Files": relative to the chart, to the
repository where they begin with a slash; order of precedence), …/multiple_sources ("Helm value
files from external Git repository": ``$ref/path``), …/tool_detection, …/directory;
fluxcd.io/flux/components/helm/helmreleases ("Chart template": paths relative to the root of the
source, ``valuesFiles`` instead of values.yaml; ``releaseName``) and …/kustomize/kustomizations.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from promoter import paths, yamltext
from promoter.validate.leads import at, documents, is_remote, items, text_at, texts
from promoter.validate.listing import inside
from promoter.validate.roots import Root, flow_text, topmost_kustomizations
from promoter.yamltext import Mapping, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promoter.validate.listing import Listing

_MARKS = (b"argoproj.io/", b"toolkit.fluxcd.io/")
_BARE_COMMA, _COMMA = re.compile(r"(?<!\\),"), r"\\,"
_ACTION = re.compile(r"\{\{.*?\}\}")
_FILLED_IN = "its ApplicationSet fills in what it deploys"


def may_name(content: bytes) -> bool:
    """Whether a file may hold an object of an agent, told by its text."""
    return any(mark in content for mark in _MARKS)


def roots_in(path: str, content: bytes, listing: Listing, repository: str | None) -> list[Root]:
    """What the objects in a file deploy; ``repository`` is the manifest repository's name, None for any."""
    if not may_name(content):
        return []
    return [root for node in documents(path, content) for root in _roots_of(path, node, listing, repository)]


def _roots_of(path: str, node: Node, listing: Listing, repository: str | None) -> Iterator[Root]:
    version, kind = text_at(node, "apiVersion") or "", text_at(node, "kind")
    group = version.partition("/")[0]
    if group == "helm.toolkit.fluxcd.io" and kind == "HelmRelease":
        yield from _helm_release(path, node, listing)
    elif group == "kustomize.toolkit.fluxcd.io" and kind == "Kustomization":
        yield from _flux_kustomization(path, node, listing)
    elif group == "argoproj.io" and kind == "Application":
        yield from _Application(path, node, at(node, "spec"), listing, repository).roots()
    elif group == "argoproj.io" and kind == "ApplicationSet":
        template = at(node, "spec", "template")
        if template is not None:
            yield from _Application(path, template, at(template, "spec"), listing, repository).roots()


# --- Flux -----------------------------------------------------------------------------------


def _helm_release(path: str, node: Node, listing: Listing) -> Iterator[Root]:
    spec = at(node, "spec")
    chart = at(spec, "chart", "spec")
    written = text_at(chart, "chart")
    if written is None or text_at(chart, "sourceRef", "kind") not in ("GitRepository", "Bucket"):
        return  # a chart of somewhere else: nothing of this repository is in it
    directory = inside("", written)
    if directory is None or listing.chart(directory) is None:
        return  # another repository's, or none
    single = text_at(chart, "valuesFile")
    files = [*([single] if single else []), *texts(at(chart, "valuesFiles"))]
    located = [inside("", file) for file in files]
    values = at(spec, "values")
    name, target = text_at(node, "metadata", "name") or "", text_at(spec, "targetNamespace")
    yield Root(
        tool="helm",
        directory=directory,
        named_by=path,
        release=text_at(spec, "releaseName") or (f"{target}-{name}" if target else name),
        namespace=target or text_at(node, "metadata", "namespace"),
        values=tuple(file for file in located if file is not None and listing.is_file(file)),
        inline=(flow_text(values),) if isinstance(values, Mapping) else (),
        own_values=not files,
    )


def _flux_kustomization(path: str, node: Node, listing: Listing) -> Iterator[Root]:
    directory = inside("", (text_at(node, "spec", "path") or ".").lstrip("/") or ".")
    source = text_at(node, "spec", "sourceRef", "kind")
    if directory is None or source == "OCIRepository" or not listing.is_directory(directory):
        return
    if listing.kustomization(directory) is not None:
        yield Root("kustomize", directory, path)
        return
    # Flux writes a kustomization that lists the manifests below and the kustomizations among them.
    yield Root("files", directory, path)
    for below in topmost_kustomizations(directory, listing):
        yield Root("kustomize", below, path)


# --- Argo CD -----------------------------------------------------------------------------------


class _Application:
    """One Application, or the template of an ApplicationSet: there actions stand for any text."""

    def __init__(
        self, path: str, node: Node, spec: Node | None, listing: Listing, repository: str | None
    ) -> None:
        self.path, self.spec, self.listing, self.repository = path, spec, listing, repository
        self.name = text_at(node, "metadata", "name") or "application"
        self.sources = list(items(at(spec, "sources"))) or [
            source for source in [at(spec, "source")] if source is not None
        ]
        self.refs = {
            ref for source in self.sources if (ref := text_at(source, "ref")) and self._is_ours(source)
        }

    def _is_ours(self, source: Node) -> bool:
        """Whether a source reads the manifest repository, as far as its name tells."""
        url = (text_at(source, "repoURL") or "").rstrip("/").removesuffix(".git")
        name = re.split(r"[/:]", url)[-1].lower()
        return self.repository is None or "{{" in url or name == self.repository.lower()

    def roots(self) -> Iterator[Root]:
        """What its sources deploy, charts of other places with the value files of this repository."""
        for source in self.sources:
            written = text_at(source, "path")
            if text_at(source, "chart"):
                yield from self._remote_chart(source)
            elif written is not None and self._is_ours(source):
                for directory in self._directories(written):
                    yield from self._of_directory(source, directory, _filled_in(written))

    def _directories(self, written: str) -> list[str]:
        path = inside("", written.lstrip("/") or ".")
        if path is None:
            return []
        if _filled_in(written) is None:
            return [path] if self.listing.is_directory(path) else []
        pattern = _ACTION.sub("*", path)
        depth = pattern.count("/") + 1
        candidates = {
            "/".join(file.split("/")[:depth]) for file in self.listing.paths if file.count("/") >= depth
        }
        return sorted(one for one in candidates if paths.matches(one, pattern))

    def _of_directory(self, source: Node, directory: str, problem: str | None) -> Iterator[Root]:
        chosen = at(source, "kustomize") is not None and self.listing.kustomization(directory) is not None
        if self.listing.chart(directory) is not None and not chosen:
            yield self._release(source, directory, problem)
        elif self.listing.kustomization(directory) is not None:
            yield Root("kustomize", directory, self.path, problem=problem)
        else:
            recursive = text_at(source, "directory", "recurse") == "true"
            yield Root("files", directory, self.path, recursive=recursive, problem=problem)

    def _remote_chart(self, source: Node) -> Iterator[Root]:
        chart = text_at(source, "chart") or ""
        if any(written.startswith("$") for written in texts(at(source, "helm", "valueFiles"))):
            problem = f"its chart {chart} comes from {text_at(source, 'repoURL') or 'elsewhere'}"
            yield self._release(source, f"{chart} (remote)", problem)

    def _release(self, source: Node, directory: str, problem: str | None) -> Root:
        helm = at(source, "helm")
        found, other_problem = self._value_files(source, directory)
        release = text_at(helm, "releaseName") or self.name
        return Root(
            tool="helm",
            directory=directory,
            named_by=self.path,
            release=release,
            namespace=text_at(helm, "namespace") or text_at(self.spec, "destination", "namespace"),
            values=tuple(found),
            inline=tuple(_inline_values(helm)),
            parameters=tuple(_parameters(helm)),
            with_crds=text_at(helm, "skipCrds") != "true",
            problem=problem or other_problem or _filled_in(release) or _files_in_parameters(helm),
        )

    def _value_files(self, source: Node, directory: str) -> tuple[list[str], str | None]:
        """The files in their order, and why they are not all."""
        found: list[str] = []
        problem = None
        skip = text_at(source, "helm", "ignoreMissingValueFiles") == "true"
        for written in texts(at(source, "helm", "valueFiles")):
            path = self._value_file(written, directory)
            pattern = _ACTION.sub("*", path) if path is not None else ""
            if path is None:
                problem = problem or f"its values {written} are not in the repository"
            elif self.listing.is_file(path):
                found.append(path)
            elif "*" in pattern:
                found += [file for file in self.listing.paths if paths.matches(file, pattern)]
                problem = problem or _filled_in(written)
            elif not skip:
                problem = problem or f"its values {written} are not a file of the repository"
        return found, problem

    def _value_file(self, written: str, directory: str) -> str | None:
        if is_remote(written):
            return None
        if written.startswith("$"):
            ref, _, rest = written[1:].partition("/")
            return inside("", rest) if ref in self.refs else None
        if written.startswith("/"):
            return inside("", written.lstrip("/"))
        return inside(directory, written)


def _filled_in(written: str) -> str | None:
    return _FILLED_IN if _ACTION.search(written) else None


def _inline_values(helm: Node | None) -> Iterator[str]:
    values = text_at(helm, "values")
    if values:
        yield values
    values_object = at(helm, "valuesObject")
    if isinstance(values_object, Mapping):
        yield flow_text(values_object)


def _parameters(helm: Node | None) -> Iterator[tuple[str, str]]:
    """``--set`` and its argument, commas kept as Argo CD keeps them."""
    for item in items(at(helm, "parameters")):
        name, value = text_at(item, "name"), yamltext.scalar_value(at(item, "value")) or ""
        if name:
            option = "--set-string" if text_at(item, "forceString") == "true" else "--set"
            yield option, f"{name}={_BARE_COMMA.sub(_COMMA, value)}"


def _files_in_parameters(helm: Node | None) -> str | None:
    return "its helm.fileParameters are not followed" if list(items(at(helm, "fileParameters"))) else None
