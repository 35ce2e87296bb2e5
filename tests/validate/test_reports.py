"""Findings as SARIF, as GitLab's Code Quality, in the outcome document and for people."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest

from promoter.outcome import Change, Failed, Outcome, Validation
from promoter.report import code_quality, document, sarif, text
from promoter.report.paint import Paint
from promoter.schema_files import read_schema
from promoter.validate.model import Finding
from tests.support.cli import Result, run_promoter

ERROR = Finding("schema", "error", "envs/staging/api.yaml", 5, "spec.replicas", "got string, want integer")
OLD = replace(ERROR, line=9, introduced=False, path="spec.size")
WARNING = Finding("policy", "warning", "envs/staging/api.yaml", None, "", "no labels")
NOTE = Finding("policy", "note", None, None, "", "far")
ODD = Finding("yaml", "error", "envs/a b:c/\N{SNOWMAN}%.yaml", 1, "", "bad \x1b[31m\n::error::x")
ALL = (OLD, WARNING, ERROR, NOTE, ODD)
SEEN = Validation(3, 4, (("no schema for acme.io/v1/Widget", 2),), ("kustomize is absent",), "main")
FAILED = Failed(5, "validation found 2 errors", ERROR.file, 5, "correct what is listed")


def _outcome(*findings: Finding, against: str | None = "main", verb: str = "validate") -> Outcome:
    return Outcome(
        verb,
        "refused",
        "invalid",
        findings=findings,
        validation=replace(SEEN, against=against),
        error=FAILED,
    )


BROKEN = Outcome("validate", "failed", "configuration", error=Failed(3, "no such commit", "x.yaml", 7, "go"))

# The part of OASIS's schema that the log uses, closed, so that a misspelt name is found. Section
# numbers are those of SARIF 2.1.0.
TEXT = {"type": "object", "properties": {"text": {"type": "string", "minLength": 1}}, "required": ["text"]}
LOCATION = {  # §3.28
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "physicalLocation": {  # §3.29
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "artifactLocation": {  # §3.4
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["uri"],
                    "properties": {"uri": {"type": "string", "pattern": r"^[!-~]+$"}},
                },
                "region": {  # §3.30
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"startLine": {"type": "integer", "minimum": 1}},
                },
            },
        },
        "logicalLocations": {  # §3.33
            "type": "array",
            "uniqueItems": True,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"fullyQualifiedName": {"type": "string"}},
            },
        },
    },
}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
RULE = {  # §3.49
    "type": "object",
    "additionalProperties": False,
    "required": ["id"],
    "properties": {"id": {"type": "string"}, "name": {"type": "string"}, "shortDescription": TEXT},
}
RESULT = {  # §3.27
    "type": "object",
    "additionalProperties": False,
    # GitHub asks for more than the standard: a rule, and a location.
    "required": ["message", "ruleId", "locations", "partialFingerprints"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": LEVEL,
        "message": TEXT,
        "locations": {"type": "array", "minItems": 1, "items": LOCATION},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
        "baselineState": {"enum": ["new", "unchanged", "updated", "absent"]},
    },
}
INVOCATION = {  # §3.20
    "type": "object",
    "additionalProperties": False,
    "required": ["executionSuccessful"],
    "properties": {
        "executionSuccessful": {"type": "boolean"},
        "exitCode": {"type": "integer"},
        "toolExecutionNotifications": {  # §3.58
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["message"],
                "properties": {
                    "level": LEVEL,
                    "message": TEXT,
                    "locations": {"type": "array", "items": LOCATION},
                },
            },
        },
    },
}
SARIF = {  # §3.13, §3.14, §3.18, §3.19
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "pattern": r"sarif-schema-2\.1\.0\.json$"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "additionalProperties": False,
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "informationUri": {"type": "string", "pattern": "^https://"},
                                    "rules": {"type": "array", "uniqueItems": True, "items": RULE},
                                },
                            }
                        },
                    },
                    "invocations": {"type": "array", "items": INVOCATION},
                    "results": {"type": "array", "items": RESULT},
                },
            },
        },
    },
}


def _sarif(outcome: Outcome) -> Any:
    log = json.loads(sarif.render(outcome))
    jsonschema.validate(log, SARIF)
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
    return run


# --- SARIF ---------------------------------------------------------------------------------------


def test_sarif() -> None:
    run = _sarif(_outcome(*ALL))
    told = [
        (
            one["ruleId"],
            one["level"],
            one["message"]["text"],
            one["baselineState"],
            one["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for one in run["results"]
    ]
    assert ("schema", "error", "spec.replicas: got string, want integer", "new", 5) in told
    assert ("schema", "error", "spec.size: got string, want integer", "unchanged", 9) in told
    assert ("policy", "warning", "no labels", "new", 1) in told
    assert len(told) == 5
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 5}]


def test_sarif_has_a_baseline_only_where_there_is_one() -> None:
    (result,) = _sarif(_outcome(ERROR, against=None))["results"]
    assert "baselineState" not in result


def test_sarif_names_files_by_uris_relative_to_the_repository() -> None:
    uris = [
        one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for one in _sarif(_outcome(ODD, ERROR, NOTE))["results"]
    ]
    assert [unquote(uri) for uri in uris] == [".promoter.yaml", ODD.file, ERROR.file]
    for uri in uris:
        parts = urlsplit(uri)
        assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
        assert not uri.startswith("/")


def test_sarif_of_a_run_that_could_not_look() -> None:
    run = _sarif(BROKEN)
    (invocation,) = run["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"], run["results"]) == (False, 3, [])
    (told,) = invocation["toolExecutionNotifications"]
    assert told["message"]["text"] == "no such commit; next: go"


def _fingerprints(*findings: Finding) -> dict[str, Finding]:
    by_sarif = [
        one["partialFingerprints"]["promoterFinding/v1"] for one in _sarif(_outcome(*findings))["results"]
    ]
    by_gitlab = [one["fingerprint"] for one in json.loads(code_quality.render(_outcome(*findings)))]
    assert by_sarif == by_gitlab
    assert len(set(by_sarif)) == len(findings)
    return dict(zip(by_sarif, findings, strict=True))


def test_fingerprints_stay_when_lines_move_and_tell_everything_else_apart() -> None:
    moved = replace(ERROR, line=50)
    assert (
        list(_fingerprints(ERROR))
        == list(_fingerprints(moved))
        == list(_fingerprints(replace(ERROR, introduced=False)))
    )
    others = (
        replace(ERROR, file="b.yaml"),
        replace(ERROR, path="a"),
        replace(ERROR, message="b"),
        replace(ERROR, validator="kubeconform"),
        replace(ERROR, severity="warning"),
        moved,  # a second one alike
    )
    assert len(_fingerprints(ERROR, *others)) == 7


# --- GitLab --------------------------------------------------------------------------------------

# https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
CODE_QUALITY = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "additionalProperties": False,
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": r"^(?!\./|/)."},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}


def _code_quality(outcome: Outcome) -> Any:
    issues = json.loads(code_quality.render(outcome))
    jsonschema.validate(issues, CODE_QUALITY)
    return issues


def test_code_quality() -> None:
    issues = _code_quality(_outcome(*ALL))
    assert len(issues) == 5
    told = {(one["check_name"], one["severity"], one["location"]["path"]) for one in issues}
    assert told == {
        ("schema", "critical", ERROR.file),
        ("policy", "minor", ERROR.file),
        ("policy", "info", ".promoter.yaml"),
        ("yaml", "critical", ODD.file),
    }
    (one,) = _code_quality(_outcome(ERROR))
    assert one["description"] == "spec.replicas: got string, want integer"
    assert one["location"]["lines"] == {"begin": 5}
    assert _code_quality(_outcome()) == []


def test_code_quality_of_a_run_that_could_not_look_is_not_empty() -> None:
    (issue,) = _code_quality(BROKEN)
    assert (issue["severity"], issue["location"]) == ("blocker", {"path": "x.yaml", "lines": {"begin": 7}})


# --- the document and text -----------------------------------------------------------------------


def test_the_document_has_them_all() -> None:
    told = json.loads(document.render(_outcome(*ALL)))
    jsonschema.validate(told, read_schema("outcome"))
    assert told["findings"][0] == {
        "validator": "schema",
        "severity": "error",
        "file": "envs/staging/api.yaml",
        "line": 9,
        "path": "spec.size",
        "message": "got string, want integer",
        "introduced": False,
    }
    assert told["validation"] == {
        "files": 3,
        "checked": 4,
        "skipped": {"no schema for acme.io/v1/Widget": 2},
        "notes": ["kustomize is absent"],
        "against": "main",
    }
    for spoiled in ({"severity": "fatal"}, {"introduced": None}, {"line": 0}, {"more": 1}):
        told["findings"] = [{**told["findings"][0], **spoiled}]
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(told, read_schema("outcome"))


def test_the_findings_of_an_edit_follow_its_changes() -> None:
    change = Change("staging", "api", "a/api", "x.yaml", 3, "a/api:1", "a/api:2", "refused")
    many = tuple(replace(OLD, line=number + 1) for number in range(30))
    outcome = replace(
        _outcome(*many, WARNING, ERROR, verb="bump"),
        changes=(change,),
        edits=(("x.yaml", b"a\n", b"b\n"),),
    )
    lines = text.render(outcome, Paint(enabled=False)).splitlines()
    assert lines[1].startswith("  refused    x.yaml:3")
    start = lines.index("Findings:")
    assert "no labels" in lines[start + 1]
    assert "spec.replicas" in lines[start + 2]
    assert lines[start + 3] == "Findings of the base, which do not block:"
    assert sum("spec.size" in line for line in lines) == 20
    assert "  … and 10 more" in lines
    assert lines.index("note: kustomize is absent") < lines.index("--- a/x.yaml")


def test_text_cannot_steer_a_terminal_or_a_runner() -> None:
    lines = text.render(_outcome(ODD), Paint(enabled=False))
    assert "\x1b" not in lines
    assert not re.search("^::", lines, re.MULTILINE)


# --- the program ---------------------------------------------------------------------------------


FORMS: dict[str, dict[str, Any]] = {"sarif": SARIF, "code-quality": CODE_QUALITY}


def _validate(directory: Path, *args: str) -> Result:
    return run_promoter("validate", "--render", "off", *args, cwd=directory)


@pytest.mark.parametrize("form", ["sarif", "code-quality"])
def test_a_report_goes_to_stdout_and_words_for_people_to_stderr(tmp_path: Path, form: str) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\na: 2\n", encoding="utf-8")
    result = _validate(tmp_path, "--output", form)
    assert result.code == 5
    jsonschema.validate(result.document, FORMS[form])
    assert "a.yaml:2" in result.stderr
    assert "error: a.yaml:2: validation found an error" in result.stderr
    (tmp_path / "a.yaml").write_text("a: 1\n", encoding="utf-8")
    result = _validate(tmp_path, "--output", form)
    assert result.code == 0
    jsonschema.validate(result.document, FORMS[form])
    assert "no findings in 1 file" in result.stderr


@pytest.mark.parametrize("form", ["sarif", "code-quality"])
@pytest.mark.parametrize("args", [("--against", "nowhere"), ("--bad",), ("nowhere",)])
def test_a_run_that_fails_reports_that_too(tmp_path: Path, form: str, args: tuple[str, ...]) -> None:
    result = _validate(tmp_path, *args, "--output", form)
    assert result.code in (2, 3)
    jsonschema.validate(result.document, FORMS[form])
    assert result.stderr.startswith("error: ")


def test_other_verbs_have_no_such_forms(tmp_path: Path) -> None:
    result = run_promoter("scan", "--output", "sarif", cwd=tmp_path)
    assert (result.code, result.stdout) == (2, "")
    assert "'sarif' is not one of 'text', 'json'" in result.stderr
