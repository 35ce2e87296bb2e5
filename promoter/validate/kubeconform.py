"""kubeconform as a second opinion: the caller's program, promoter's schemas, and never the network.

Each document is a file of its own for it, so that its answer leads back to a line. What it gets is
what the embedded validator holds against a kind, too.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from promoter.errors import UnreachableError
from promoter.git.door import _HOW_TO_GET as HOW_TO_GET
from promoter.git.door import machine_failure
from promoter.paths import matches_any
from promoter.validate import patches
from promoter.validate.documents import Document, FileDocuments, read_file
from promoter.validate.kubeconform_output import Answer, answers_in, steps_in
from promoter.validate.kubernetes import DIALECT, LAYOUT, write_schema
from promoter.validate.limited import Job, Limits, run_all
from promoter.validate.model import Finding, Report
from promoter.validate.program import bare_environment, find_program, scratch_directory
from promoter.validate.schema import unknown_kind, why_skipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from promoter.config.validate import Presence
    from promoter.deadline import Deadline
    from promoter.validate.library import Library
    from promoter.validate.model import SourceFile

NAME = "kubeconform"
OLDEST = (0, 6, 0)
_NOBODY = "http://127.0.0.1:9"  # the port that discards: a schema that asks for the network ends there
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_LIMITS = Limits(seconds=120.0)


@dataclass(frozen=True)
class Program:
    """The program that was found, and what is to be said of it."""

    path: Path
    notes: tuple[str, ...] = ()


def find_kubeconform(
    presence: Presence,
    given: str | None,
    environ: Mapping[str, str],
    deadline: Deadline,
    checkout: Path | None = None,
) -> Program | str | None:
    """The program at the caller's path, else on the caller's PATH; None where it is off.

    ``auto`` gives the reason as text where it cannot be used. What stands below ``checkout`` is
    taken only where the caller names it: a repository brings no programs.

    Raises:
        UnreachableError: it is absent or too old, and required or named by the caller.
    """
    if presence == "off":
        return None
    path = Path(given).absolute() if given else find_program(NAME, environ)
    if path is not None and not given and checkout is not None and path.resolve().is_relative_to(checkout):
        path = None
    problem, reason = "", f"{NAME}-absent"
    notes: tuple[str, ...] = ()
    if path is None or not path.is_file():
        problem = f"the program {given or NAME} is not {'there' if given else 'on PATH'}"
    else:
        version = _version(path, environ, deadline)
        found = _VERSION.match(version)
        if found is None:  # `go install` builds say "development"
            notes = (f"{NAME} tells no version ({version[:40] or 'nothing'}): accepted",)
        elif tuple(map(int, found.groups())) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            problem, reason = f"{NAME} is {found[0]}, which is older than {oldest}", f"{NAME}-old"
    if problem and presence == "auto" and not given:
        return f"{problem}: the embedded validator alone has looked at the schemas"
    if problem or path is None:
        raise UnreachableError(problem, next_step=HOW_TO_GET[NAME], reason=reason)
    return Program(path, notes)


def _version(path: Path, environ: Mapping[str, str], deadline: Deadline) -> str:
    with scratch_directory(environ) as scratch:
        job = Job((str(path), "-v"), scratch, bare_environment(environ, scratch))
        (ran,) = run_all([job], Limits(seconds=10.0), deadline)
    if ran.code != 0 or ran.stopped:
        raise UnreachableError(
            f"{path} -v failed: is it kubeconform?", next_step=HOW_TO_GET[NAME], reason=f"{NAME}-failed"
        )
    return ran.output.decode("utf-8", "replace").strip()


class KubeconformValidator:
    """Runs kubeconform over all files at once.

    ``locations`` are further ``-schema-location`` of the caller's; ``skip`` are kinds and
    ``ignore`` globs on paths, as for the embedded validator.
    """

    name = NAME

    def __init__(
        self,
        program: Program,
        library: Library,
        environ: Mapping[str, str],
        deadline: Deadline,
        *,
        skip: Sequence[str] = (),
        ignore: Sequence[str] = (),
        locations: Sequence[str] = (),
    ) -> None:
        self._program = program
        self._library = library
        self._environ = environ
        self._deadline = deadline
        self._skip = frozenset(skip)
        self._ignore = tuple(ignore)
        self._locations = tuple(locations)

    def validate(self, files: Sequence[SourceFile]) -> Report:
        """What it says of these files.

        Raises:
            UnreachableError: the program fails, or the disk is full.
            DeadlineError: the run's time is up.
        """
        skipped: Counter[str] = Counter()
        patched = patches.named_in(files)
        pieces = [piece for file in files for piece in self._pieces(file, patched, skipped)]
        notes = list(self._program.notes)
        findings: list[Finding] = []
        answers: list[Answer] = []
        if pieces:
            with scratch_directory(self._environ) as scratch:
                try:
                    notes += self._write(pieces, scratch)
                except OSError as error:
                    raise machine_failure(error) from None
                answers = self._run(scratch)
        checked = sum(len(piece.documents) for piece in pieces)
        for answer in answers:
            piece = pieces[answer.number]
            document = piece.document(answer)
            if document is None:  # an item of a List that is not validated
                continue
            found = list(self._findings(piece, document, answer))
            findings += found
            if not found:
                checked -= 1
                skipped[f"no schema for {document.group_version_kind}"] += 1
        return Report(tuple(findings), checked, tuple(sorted(skipped.items())), tuple(notes))

    def _pieces(self, file: SourceFile, patched: frozenset[str], skipped: Counter[str]) -> Iterator[_Piece]:
        """The documents that kubeconform can say something of."""
        read = read_file(file)
        reason = "ignored" if matches_any(file.path, self._ignore) else read.unread
        if reason is not None:
            skipped[reason] += 1
            return
        together: dict[int, list[Document]] = {}
        for document in read.documents:
            why = why_skipped(read.path, document, self._skip)
            if why is None and file.path in patched:
                why = "a kustomize patch"
            if why is None and document.group_version_kind is None:
                why = "a kustomization without a kind"
            if why is None:
                together.setdefault(document.number, []).append(document)
            else:
                skipped[why] += 1
        for number, documents in together.items():
            yield _Piece(read, number, tuple(documents))

    def _write(self, pieces: Sequence[_Piece], scratch: Path) -> list[str]:
        """Write the documents and the schemas of their kinds; notes say which schema stays out."""
        for folder in ("files", "schemas", "repository"):
            (scratch / folder).mkdir()
        for number, piece in enumerate(pieces):
            text = piece.file.source(piece.number)
            (scratch / "files" / f"{number}.yaml").write_text(text, encoding="utf-8", newline="")
        kinds = {document.group_version_kind or "" for piece in pieces for document in piece.documents}
        own = {kind: user for kind in sorted(kinds) if (user := self._library.user_schema(kind)) is not None}
        notes = self._write_repository(scratch / "repository") if own else []
        for kind in kinds:
            if kind in own:
                path = scratch / "repository" / own[kind].path
                if path.is_file():
                    reference = f"../../repository/{quote(own[kind].path)}"
                    write_schema(scratch / "schemas", kind, {"$schema": DIALECT, "$ref": reference})
            elif (schema := self._library.schema(kind)) is not None:
                write_schema(scratch / "schemas", kind, schema)
        return notes

    def _write_repository(self, folder: Path) -> list[str]:
        """The repository's schemas at their paths, so that they find each other."""
        notes = []
        for one in self._library.loaded:
            schema = self._library.document(one)
            if _refers_to_url(schema):
                notes.append(f"{NAME} is not given {one.path}, which refers to another schema by a URL")
                continue
            file = folder / one.path
            file.parent.mkdir(parents=True, exist_ok=True)
            # An id would make references to files into URLs; without a dialect kubeconform takes draft 4.
            kept = {key: value for key, value in schema.items() if key != "$id"}
            file.write_text(json.dumps({"$schema": DIALECT, **kept}), encoding="utf-8")
        return notes

    def _run(self, scratch: Path) -> list[Answer]:
        locations = [f"{scratch}/schemas/{LAYOUT}", *self._locations]
        arguments = [str(self._program.path), "-strict", "-output", "json", "-kubernetes-version"]
        arguments.append(f"{self._library.kubernetes.version}.0")
        for location in locations:
            arguments += ["-schema-location", location]
        if self._skip:
            arguments += ["-skip", ",".join(sorted(self._skip))]
        environment = bare_environment(self._environ, scratch)
        if not self._locations:
            proxies = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
            environment |= dict.fromkeys(proxies, _NOBODY)
        job = Job((*arguments, "files"), scratch, environment)
        (ran,) = run_all([job], _LIMITS, self._deadline)
        answers = answers_in(ran.output) if not ran.stopped else None
        if answers is None:
            why = {"time": "took too long", "output": "said too much"}.get(ran.stopped)
            last = ran.errors.strip().splitlines()[-1:] or ["it printed no JSON"]
            raise UnreachableError(
                f"{NAME} {why or f'failed: {last[0]}'}",
                next_step="run it by hand on these files, or do without: --kubeconform off",
                reason=f"{NAME}-failed",
            )
        return answers

    def _findings(self, piece: _Piece, document: Document, answer: Answer) -> Iterator[Finding]:
        if answer.has_no_schema:
            problem = unknown_kind(self._library, document.group_version_kind or "")
            if problem is not None:
                yield piece.file.finding(NAME, document, ("apiVersion",), problem)
            return
        for said in answer.said:
            steps = steps_in(document.value, said.pointer)
            finding = piece.file.finding(NAME, document, (*steps, *said.below), said.message)
            if said.line is not None:  # of the YAML itself: it knows no place in the document
                line = piece.file.first_line(piece.number) + said.line - 1
                finding = Finding(NAME, "error", piece.file.path, line, "", said.message)
            yield finding


@dataclass(frozen=True)
class _Piece:
    """One document as kubeconform gets it; ``documents`` are the items of a List, or itself."""

    file: FileDocuments
    number: int
    documents: tuple[Document, ...]

    def document(self, answer: Answer) -> Document | None:
        """The document that an answer is about."""
        if len(self.documents) == 1 and not self.documents[0].steps:
            return self.documents[0]
        about = (answer.version, answer.kind, answer.name)
        alike = [one for one in self.documents if (one.api_version, one.kind, one.name or "") == about]
        if not answer.said or len(alike) < 2:
            return alike[0] if alike else None
        first = answer.said[0]
        known = (one for one in alike if len(steps_in(one.value, first.pointer)) == first.pointer.count("/"))
        return next(known, alike[0])


def _refers_to_url(schema: object) -> bool:
    if isinstance(schema, list):
        return any(map(_refers_to_url, schema))
    if not isinstance(schema, dict):
        return False
    target = schema.get("$ref")
    return (isinstance(target, str) and "://" in target) or any(map(_refers_to_url, schema.values()))
