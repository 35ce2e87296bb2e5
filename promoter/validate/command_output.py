"""What a configured program says, as findings: SARIF, the JSON of known programs, or lines of text.

Nothing here raises for what a program says: it may say anything.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from promoter.validate.model import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Set

    from promoter.validate.model import Severity

Form = Literal["auto", "sarif", "json", "text"]

MAX_MESSAGE = 2000  # characters
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


@dataclass(frozen=True)
class Said:
    """One thing that a program says; ``severity`` None leaves it to how the program ends."""

    severity: Severity | None
    file: str
    line: int | None
    message: str
    path: str = ""


def plain(text: str) -> str:
    """The text without the escape sequences that colour it."""
    return _ESCAPES.sub("", text)


def findings_in(name: str, form: Form, output: str, files: Set[str], *, failed: bool) -> list[Finding] | None:
    """The findings of the program ``name`` in a stable order; None where its output cannot be read so.

    ``files`` are the paths that it was given. ``failed`` is whether it ended with an error,
    which makes errors of what has no severity of its own.
    """
    said = _read(form, output, files)
    if said is None:
        return None
    otherwise: Severity = "error" if failed else "warning"
    found = [_finding(name, one, files, otherwise) for one in said]
    return sorted(found, key=lambda one: (one.file or "", one.line or 0, one.message))


def _read(form: Form, output: str, files: Set[str]) -> list[Said] | None:
    reader = None if form == "text" else _reader(output)
    if reader is not None and (form != "sarif" or reader[0] is _sarif):
        read, document = reader
        return list(read(document))
    if form in ("sarif", "json"):
        return None
    return list(_lines(output, files)) or None


def _reader(output: str) -> tuple[Callable[[Any], Iterable[Said]], Any] | None:
    """What reads this JSON document, and the document; None where it is none, or of no known shape."""
    try:
        document = json.loads(output)
    except (ValueError, RecursionError):
        return None
    return next(((read, document) for is_it, read in _SHAPES if is_it(document)), None)


def _finding(name: str, said: Said, files: Set[str], otherwise: Severity) -> Finding:
    file = place(said.file)
    message = said.message.strip()[:MAX_MESSAGE] or "no message"
    if file not in files:
        prefix = f"{file}: " if file else ""
        return Finding(name, said.severity or otherwise, None, None, said.path, prefix + message)
    return Finding(name, said.severity or otherwise, file, said.line, said.path, message)


def place(written: str) -> str:
    """A path as a program writes it, as one below the directory that it ran in."""
    if written.startswith("file:"):
        written = unquote(urlsplit(written).path)
    return written.removeprefix("./")


# --- text -----------------------------------------------------------------------------------

# file:line: message, file:line:column: message; and what conftest prints when it is not told otherwise.
_LINE = re.compile(r"(?P<file>[^\s:][^:\n]*):(?P<line>[0-9]{1,9})(?::[0-9]+)?:?\s+(?P<message>\S.*)")
_CONFTEST = re.compile(r"(?P<word>FAIL|WARN) - (?P<file>.+?) - [\w.-]+ - (?P<message>\S.*)")
_WORD = re.compile(r"\[?(?P<word>error|fatal|critical|warning|warn|note|info)\]?\s*[:\-]?\s+", re.IGNORECASE)
_WORDS: dict[str, Severity] = {
    "error": "error",
    "fatal": "error",
    "critical": "error",
    "danger": "error",
    "fail": "error",
    "failure": "error",
    "high": "error",
    "warning": "warning",
    "warn": "warning",
    "medium": "warning",
    "note": "note",
    "info": "note",
    "low": "note",
    "none": "note",
}


def _lines(output: str, files: Set[str]) -> Iterator[Said]:
    for line in output.splitlines():
        if conftest := _CONFTEST.fullmatch(line.strip()):
            yield Said(_severity(conftest["word"]), conftest["file"], None, conftest["message"])
        elif (found := _LINE.match(line.strip())) and place(found["file"]) in files:
            word = _WORD.match(found["message"])
            message = found["message"][word.end() :] if word else found["message"]
            yield Said(_severity(word["word"]) if word else None, found["file"], int(found["line"]), message)


# --- JSON -----------------------------------------------------------------------------------


def _sarif(document: Any) -> Iterator[Said]:  # noqa: ANN401 - JSON documents, here and below
    """SARIF 2.1.0, §3.27: a result without a level has its rule's, else it is a warning."""
    for run in _items(document, "runs"):
        driver = _mapping(_mapping(run.get("tool")).get("driver"))
        rules = _items(driver, "rules")
        levels = {
            _text(rule.get("id")): _text(_mapping(rule.get("defaultConfiguration")).get("level"))
            for rule in rules
        }
        for result in _items(run, "results"):
            if result.get("kind", "fail") != "fail" or result.get("suppressions"):
                continue
            index, rule = result.get("ruleIndex"), _text(result.get("ruleId"))
            if not rule and isinstance(index, int) and 0 <= index < len(rules):
                rule = _text(rules[index].get("id"))
            level = _text(result.get("level")) or levels.get(rule) or "warning"
            if level == "none":
                continue  # what conftest and others say of files that pass
            place = _mapping(next(iter(_items(result, "locations")), {}).get("physicalLocation"))
            file = _text(_mapping(place.get("artifactLocation")).get("uri"))
            message = _text(_mapping(result.get("message")).get("text"))
            line = _line(_mapping(place.get("region")).get("startLine"))
            yield Said(_severity(level), unquote(file), line, f"{message} [{rule}]" if rule else message)


def _conftest(document: Any) -> Iterator[Said]:  # noqa: ANN401
    """From conftest's ``--output json`` (its output/result.go)."""
    for one in _mappings(document):
        severities: tuple[tuple[str, Severity], ...] = (("failures", "error"), ("warnings", "warning"))
        for key, severity in severities:
            for result in _items(one, key):
                told = _mapping(result.get("loc"))
                file = _text(told.get("file")) or _text(one.get("filename"))
                yield Said(severity, file, _line(told.get("line")), _text(result.get("msg")))


# kube-score's scorecard.Grade; what is better than a warning is none.
_GRADES: dict[int, Severity] = {1: "error", 5: "warning"}


def _kube_score(document: Any) -> Iterator[Said]:  # noqa: ANN401
    """From kube-score's ``--output-format json`` (its renderer/json_v2)."""
    for scored in _mappings(document):
        for test in _items(scored, "checks"):
            grade = test.get("grade")
            severity = _GRADES.get(grade) if isinstance(grade, int) else None
            if severity is None or test.get("skipped"):
                continue
            check = _text(_mapping(test.get("check")).get("id"))
            file, line = _text(scored.get("file_name")), _line(scored.get("file_row"))
            for comment in _items(test, "comments") or [{}]:
                words = (_text(comment.get("path")), _text(comment.get("summary")))
                message = ": ".join(word for word in words if word)
                yield Said(severity, file, line, f"{message} [{check}]".strip())


def _kube_linter(document: Any) -> Iterator[Said]:  # noqa: ANN401
    """From kube-linter's ``--format json`` (its pkg/diagnostic); it tells no lines."""
    for report in _items(document, "Reports"):
        said = _mapping(report.get("Diagnostic"))
        thing = _mapping(report.get("Object"))
        file = _text(_mapping(thing.get("Metadata")).get("FilePath"))
        message = f"{_text(said.get('Message'))} [{_text(report.get('Check'))}]"
        yield Said(_severity(_text(said.get("Severity"))), file, None, message)


def _polaris(document: Any) -> Iterator[Said]:  # noqa: ANN401
    """From polaris's ``--format json`` (its pkg/validator/output.go); it names objects, no files."""
    for thing in _items(document, "Results"):
        name = f"{_text(thing.get('Kind'))} {_text(thing.get('Name'))}".strip()
        pod = _mapping(thing.get("PodResult"))
        for where, results in (
            (name, thing.get("Results")),
            (name, pod.get("Results")),
            *(
                (f"{name}, container {_text(one.get('Name'))}", one.get("Results"))
                for one in _items(pod, "ContainerResults")
            ),
        ):
            for result in _mappings(list(_mapping(results).values())):
                severity = _severity(_text(result.get("Severity")))
                if not result.get("Success") and _text(result.get("Severity")) != "ignore":
                    message = f"{where}: {_text(result.get('Message'))} [{_text(result.get('ID'))}]"
                    yield Said(severity, "", None, message)


def _plain(document: Any) -> Iterator[Said]:  # noqa: ANN401
    """A list of ``{file, line, severity, message}``, as a small script may print it."""
    for one in _mappings(document):
        yield Said(
            _severity(_text(one.get("severity")) or _text(one.get("level"))),
            _text(one.get("file")),
            _line(one.get("line")),
            _text(one.get("message")),
            _text(one.get("path")),
        )


def _holds(*keys: str) -> Callable[[Any], bool]:
    """Whether a document is a list of mappings that all have the keys, one at least."""
    return lambda document: (
        isinstance(document, list)
        and bool(document)
        and all(isinstance(one, dict) and all(key in one for key in keys) for one in document)
    )


_SHAPES: tuple[tuple[Callable[[Any], bool], Callable[[Any], Iterable[Said]]], ...] = (
    (lambda document: isinstance(document, dict) and isinstance(document.get("runs"), list), _sarif),
    (_holds("filename", "namespace"), _conftest),
    (_holds("object_name", "checks"), _kube_score),
    (lambda document: isinstance(document, dict) and "Reports" in document, _kube_linter),
    (lambda document: isinstance(document, dict) and "PolarisOutputVersion" in document, _polaris),
    (_holds("message"), _plain),
    (lambda document: document is None or document == [], lambda _: ()),  # nothing to say
)


def _severity(word: str) -> Severity | None:
    return _WORDS.get(word.lower())


def _mapping(value: Any) -> dict[str, Any]:  # noqa: ANN401
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _items(value: Any, key: str) -> list[dict[str, Any]]:  # noqa: ANN401
    return _mappings(_mapping(value).get(key))


def _text(value: Any) -> str:  # noqa: ANN401
    return value if isinstance(value, str) else ""


def _line(value: Any) -> int | None:  # noqa: ANN401
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
