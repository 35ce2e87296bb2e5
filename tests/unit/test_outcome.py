"""The outcome of a run that proposes: as a document, and for people."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from jsonschema import Draft202012Validator

from promoter.outcome import Change, Failed, Outcome, PullRequestOperation, PullRequestReport, RunStatus
from promoter.report.document import render as render_document
from promoter.report.paint import Paint
from promoter.report.text import render as render_text
from promoter.schema_files import read_schema

SHA = "a" * 40
OPERATIONS: tuple[PullRequestOperation, ...] = get_args(PullRequestOperation)
CHANGE = Change("production", "api", "a/api", "x.yaml", 3, "a/api:1", "a/api:2", "proposed")


def report(operation: PullRequestOperation) -> PullRequestReport:
    return PullRequestReport(
        12, "https://forge.example/acme/deploy/pulls/12", operation, "promoter/production/api"
    )


def valid(outcome: Outcome) -> bool:
    return Draft202012Validator(read_schema("outcome")).is_valid(json.loads(render_document(outcome)))


def outcome(status: RunStatus, *reports: PullRequestReport, sha: str | None = SHA) -> Outcome:
    error = Failed(6, "no") if status in ("refused", "failed") else None
    return Outcome(
        "bump", status, "changed", "production", "api", "main", sha, 1, reports, (CHANGE,), error=error
    )


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("status", ["proposed", "unchanged", "superseded"])
def test_pull_requests_in_the_document(status: RunStatus, operation: PullRequestOperation) -> None:
    one = outcome(status, report(operation))
    assert valid(one)
    assert one.changed == (operation != "unchanged")
    assert json.loads(render_document(one))["pull_requests"] == [
        {
            "number": 12,
            "url": "https://forge.example/acme/deploy/pulls/12",
            "operation": operation,
            "branch": "promoter/production/api",
        }
    ]


def test_what_the_schema_refuses() -> None:
    assert not valid(outcome("proposed", report("created"), sha=None))
    assert not valid(outcome("planned"))  # which has no commit
    assert not valid(outcome("refused"))
    changed = json.loads(render_document(outcome("proposed", report("created"))))
    for spoiled in ({"changed": False}, {"pull_requests": [{"number": 1}]}, {"commit_sha": "abc"}):
        assert not Draft202012Validator(read_schema("outcome")).is_valid({**changed, **spoiled})


def test_what_people_read() -> None:
    lines = render_text(outcome("proposed", report("updated")), Paint(enabled=False)).splitlines()
    assert lines[0] == "proposed api in production as aaaaaaaaaaaa for main"
    assert lines[1] == (
        "  updated    pull request 12  promoter/production/api  https://forge.example/acme/deploy/pulls/12"
    )
    assert lines[2] == "  proposed   x.yaml:3  a/api:1 -> a/api:2"


def test_without_a_forge_the_branch_is_named() -> None:
    bare = PullRequestReport(None, "", "created", "promoter/production/\x1b[31m")
    text = render_text(outcome("proposed", bare), Paint(enabled=False))
    assert "  created    branch  promoter/production/\N{REPLACEMENT CHARACTER}[31m\n" in text
    assert valid(outcome("proposed", bare))
