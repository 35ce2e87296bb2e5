"""YAML syntax and JSON Schema of every document: the layer that needs no program and no network."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from promoter.paths import matches_any
from promoter.validate import patches
from promoter.validate.documents import Document, FileDocuments, kind_of, read_file
from promoter.validate.library import OWN_FILE, Library
from promoter.validate.model import Finding, Report
from promoter.validate.words import type_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from promoter.validate.library import Check
    from promoter.validate.model import SourceFile

NAME = "schema"


class SchemaValidator:
    """Reads each file once and holds each document against the schema of its kind.

    Findings about the YAML itself have the validator ``yaml``, the others ``schema``. Documents
    without a schema are counted by their kind. ``skip`` are kinds, ``ignore`` globs on paths.
    """

    name = NAME

    def __init__(self, library: Library, skip: Sequence[str] = (), ignore: Sequence[str] = ()) -> None:
        self._library = library
        self._skip = frozenset(skip)
        self._ignore = tuple(ignore)

    def validate(self, files: Sequence[SourceFile]) -> Report:
        """The findings of these files."""
        run = _Run(self._library, self._skip, patches.named_in(files))
        for file in files:
            if matches_any(file.path, self._ignore):
                run.skipped["ignored"] += 1
            else:
                run.file(read_file(file))
        notes = tuple(
            f"{path} is a schema for no kind: it says none, and its path none"
            for path in self._library.helpers
        )
        return Report(tuple(run.findings), run.checked, tuple(sorted(run.skipped.items())), notes)


class _Run:
    def __init__(self, library: Library, skip: frozenset[str], patched: frozenset[str]) -> None:
        self.library = library
        self.skip = skip
        self.patched = patched
        self.findings: list[Finding] = []
        self.skipped: Counter[str] = Counter()
        self.checked = 0

    def file(self, file: FileDocuments) -> None:
        self.findings += file.findings
        if file.unread is not None:
            self.skipped[file.unread] += 1
            return
        by_name = self.library.for_file(file.path)
        if file.path == OWN_FILE:
            by_name.append(self.library.own_file())
        for document in file.documents:
            self.findings += sorted(self._document(file, document, by_name), key=_place)

    def _document(self, file: FileDocuments, document: Document, by_name: list[Check]) -> Iterator[Finding]:
        for one in by_name:
            yield from _findings(file, document, one)
        reason = why_skipped(file.path, document, self.skip)
        if reason is not None:
            if by_name:
                self.checked += 1
            elif document.lacks:
                self.checked += 1
                yield _lacking(file, document, document.lacks)
            else:
                self.skipped[reason] += 1
            return
        if document.is_list:  # whose items could not be had
            self.checked += 1
            yield file.finding(
                NAME, document, ("items",), f"got {type_name(document.value['items'])}, want array"
            )
            return
        kind = kind_of(file.path, document) or ""
        check = self.library.for_kind(kind)
        problem = unknown_kind(self.library, kind) if check is None else None
        if check is None and problem is None and not by_name:
            self.skipped[f"no schema for {kind}"] += 1
            return
        self.checked += 1
        if problem is not None:
            yield file.finding(NAME, document, ("apiVersion",), problem)
        elif check is not None:
            yield from _findings(file, document, check, patch=file.path in self.patched)


def _place(finding: Finding) -> tuple[int, str]:
    return (finding.line or 0, finding.path)


def _lacking(file: FileDocuments, document: Document, key: str) -> Finding:
    given = document.value.get(key) if isinstance(document.value, dict) else None
    if given in (None, ""):
        return file.finding(NAME, document, (), f"missing property {key!r}")
    return file.finding(NAME, document, (key,), f"got {type_name(given)}, want string")


def _findings(
    file: FileDocuments, document: Document, check: Check, *, patch: bool = False
) -> Iterator[Finding]:
    for mistake in check.mistakes(document.value, document.weight):
        if not (patch and patches.is_usual(mistake)):
            yield file.finding(NAME, document, mistake.steps, mistake.message)


def why_skipped(path: str, document: Document, skip: frozenset[str]) -> str | None:
    """Why no schema of a kind is asked for; None where it is. The same for kubeconform."""
    kind = kind_of(path, document)
    if kind is None:
        return "not a manifest"
    if document.is_encrypted:
        return "encrypted by SOPS"
    if kind == "v1/Config":
        return "a kubeconfig"
    if kind in skip or kind.rpartition("/")[2] in skip:
        return "of a kind that validate.skip names"
    return None


def unknown_kind(library: Library, kind: str) -> str | None:
    """What is wrong with a kind that no schema is for: a group of Kubernetes's own has no others."""
    api_version, _, name = kind.rpartition("/")
    group = api_version.rpartition("/")[0]
    schemas = library.kubernetes
    if not schemas.is_known_group(group):
        return None
    served = schemas.versions_of(group, name)
    hint = f"; it has {', '.join(served)}" if served else ""
    return f"Kubernetes {schemas.version} has no {name} in {api_version}{hint}"
