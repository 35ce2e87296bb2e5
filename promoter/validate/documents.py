"""A file's bytes → its documents, with a line for every path in them, and what is wrong with it as YAML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal

from promoter import templates
from promoter.sites import is_manifest_name
from promoter.sites.kustomize import is_kustomization
from promoter.validate.lines import Lines
from promoter.validate.model import Finding, SourceFile
from promoter.validate.values import Steps, read_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from promoter.validate.model import Severity
    from promoter.validate.values import Start

MAX_SEARCHED = 50_000  # values; objects of 1.5 MiB, the most that etcd takes, rarely have as many

Unread = Literal["not YAML or JSON", "a template"]


@dataclass(frozen=True)
class Document:
    """A document of a file, or an item of a ``List`` in one.

    ``number`` counts the file's documents from 0; ``steps`` lead from the root of that document to
    an item. ``weight`` is how many values the whole document holds, aliases expanded.
    """

    number: int
    value: Any
    steps: Steps = ()
    weight: int = 1

    @property
    def api_version(self) -> str | None:
        """``apps/v1``, or None where none is given as text."""
        return self._text("apiVersion")

    @property
    def kind(self) -> str | None:
        """``Deployment``, or None where none is given as text."""
        return self._text("kind")

    @property
    def group_version_kind(self) -> str | None:
        """``apps/v1/Deployment``; None for what is no manifest."""
        return f"{self.api_version}/{self.kind}" if self.api_version and self.kind else None

    @property
    def name(self) -> str | None:
        """``metadata.name``."""
        metadata = self.value.get("metadata") if isinstance(self.value, dict) else None
        name = metadata.get("name") if isinstance(metadata, dict) else None
        return name if isinstance(name, str) else None

    @property
    def is_list(self) -> bool:
        """Whether it is a ``List`` of other manifests."""
        return bool(self.api_version) and (self.kind or "").lower() == "list"

    @property
    def lacks(self) -> Literal["kind", "apiVersion"] | None:
        """What keeps it from being a manifest: one with ``metadata`` and the other, or an item of a List."""
        if not self.steps:
            is_object = isinstance(self.value, dict) and isinstance(self.value.get("metadata"), dict)
            if not is_object or not (self.api_version or self.kind):
                return None
        if not self.kind:
            return "kind"
        return None if self.api_version else "apiVersion"

    @property
    def is_encrypted(self) -> bool:
        """Whether SOPS has encrypted values of it: they have other types than the schema says."""
        sops = self.value.get("sops") if isinstance(self.value, dict) else None
        return isinstance(sops, dict) and ("mac" in sops or "version" in sops)

    def _text(self, key: str) -> str | None:
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return value if isinstance(value, str) else None


@dataclass(frozen=True)
class FileDocuments:
    """What a file holds. ``unread`` says why it was not read at all; then it has no documents."""

    path: str
    text: str
    documents: tuple[Document, ...] = ()
    findings: tuple[Finding, ...] = ()
    unread: Unread | None = None
    starts: tuple[Start, ...] = ()

    def source(self, number: int) -> str:
        """The text of one document alone, with its directives and its ``---``."""
        end = self.starts[number + 1].offset if number + 1 < len(self.starts) else len(self.text)
        return self.text[self.starts[number].offset : end]

    def first_line(self, number: int) -> int:
        """The line where that text begins."""
        return self.starts[number].line

    def finding(
        self,
        validator: str,
        document: Document,
        steps: Steps,
        message: str,
        severity: Severity = "error",
    ) -> Finding:
        """A finding at a place in a document; in one of enormous size its line is the document's first."""
        way = (*document.steps, *steps)
        line = self.line(document.number, way if document.weight <= MAX_SEARCHED else ())
        return Finding(validator, severity, self.path, line, _dotted(way), message)

    def line(self, number: int, steps: Steps) -> int:
        """The line where the last of these steps is taken, or the one nearest to it that the file has."""
        first = self.first_line(number)
        if not steps:
            return first
        lines = self._lines.get(number)
        if lines is None:
            lines = self._lines[number] = Lines(self.source(number))
        return first + lines.line(steps) - 1

    @cached_property
    def _lines(self) -> dict[int, Lines]:
        return {}


def _dotted(steps: Sequence[str | int]) -> str:
    return ".".join(str(step) for step in steps)


@lru_cache(maxsize=64)  # several validators look at the files of one change
def read_file(file: SourceFile) -> FileDocuments:
    """The documents of a file; never raises for what stands in it.

    A Helm template is not YAML until it is rendered: a file with ``{{`` that cannot be read, or
    that stands in a ``templates`` directory, is left out.
    """
    if not is_manifest_name(file.path):
        return FileDocuments(file.path, "", unread="not YAML or JSON")
    try:
        text = file.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = file.content.count(b"\n", 0, error.start) + 1
        finding = Finding("yaml", "error", file.path, line, "", f"not UTF-8 (byte {error.start})")
        return FileDocuments(file.path, "", findings=(finding,))
    template = templates.has_actions(text)
    if template and "templates" in file.path.split("/")[:-1]:
        return FileDocuments(file.path, text, unread="a template")
    values, weights, starts, problems = read_values(text)
    if template and any(problem.stops for problem in problems):
        return FileDocuments(file.path, text, unread="a template")
    findings = tuple(
        Finding("yaml", one.severity, file.path, one.line, _dotted(one.steps), one.message)
        for one in problems
    )
    documents = tuple(
        document
        for number, (value, weight) in enumerate(zip(values, weights, strict=True))
        for document in _expanded(Document(number, value, weight=weight))
        if document.value is not None or document.steps
    )
    return FileDocuments(file.path, text, documents, findings, starts=tuple(starts))


def _expanded(document: Document) -> Iterator[Document]:
    """The items of a ``List``, those of lists in it too; any other document itself."""
    items = document.value.get("items") if document.is_list else None
    if not document.is_list or not isinstance(items, list | None):
        yield document
        return
    for index, item in enumerate(items or ()):
        yield from _expanded(replace(document, value=item, steps=(*document.steps, "items", index)))


def kind_of(path: str, document: Document) -> str | None:
    """``group/version/Kind``; a kustomization needs none but its name. None for what is no manifest.

    https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/ has the defaults.
    """
    if document.group_version_kind is None and is_kustomization(path) and isinstance(document.value, dict):
        kind = document.kind or "Kustomization"
        version = "v1alpha1" if kind == "Component" else "v1beta1"
        return f"{document.api_version or f'kustomize.config.k8s.io/{version}'}/{kind}"
    return document.group_version_kind
