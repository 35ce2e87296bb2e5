"""The findings as a GitLab Code Quality report: https://docs.gitlab.com/ci/testing/code_quality/."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from promoter.report.findings import NOWHERE, described, fingerprints, ordered

if TYPE_CHECKING:
    from promoter.outcome import Failed, Outcome
    from promoter.validate.model import Finding, Severity

# GitLab's are info, minor, major, critical and blocker; the last is left for a run that broke.
_SEVERITIES: dict[Severity, str] = {"error": "critical", "warning": "minor", "note": "info"}


def render(outcome: Outcome) -> str:
    """The report, pretty-printed, with a line end."""
    findings = ordered(outcome.findings)
    issues = [_issue(*pair) for pair in zip(findings, fingerprints(findings), strict=True)]
    if outcome.error is not None and outcome.validation is None:
        issues.append(_broken(outcome.error))
    return json.dumps(issues, indent=2) + "\n"


def _issue(finding: Finding, fingerprint: str) -> dict[str, Any]:
    return {
        "description": described(finding),
        "check_name": finding.validator,
        "fingerprint": fingerprint,
        "severity": _SEVERITIES[finding.severity],
        "location": _location(finding.file, finding.line),
    }


def _broken(error: Failed) -> dict[str, Any]:
    """A run that could not look at everything: an empty report would say that all is well."""
    return {
        "description": error.message,
        "check_name": "promoter",
        "fingerprint": "promoter-did-not-finish",
        "severity": "blocker",
        "location": _location(error.file, error.line),
    }


def _location(file: str | None, line: int | None) -> dict[str, Any]:
    return {"path": file or NOWHERE, "lines": {"begin": line or 1}}
