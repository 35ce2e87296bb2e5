"""The findings as SARIF 2.1.0 (OASIS), within what GitHub's code scanning reads.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html and
https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support-for-code-scanning
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from promoter import __version__
from promoter.report.findings import NOWHERE, described, fingerprints, ordered

if TYPE_CHECKING:
    from promoter.outcome import Failed, Outcome
    from promoter.validate.model import Finding

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
INFORMATION = "https://github.com/promoter-ci/promoter"

# Rule ids must not change between runs (§3.27.5): they are the validators' names.
_RULES = {
    "yaml": "The file is YAML that every reader takes the same way",
    "schema": "A document follows the schema of its kind",
    "kubeconform": "A document follows the schema of its kind, by kubeconform",
    "render": "An environment can be rendered",
    "blast-radius": "Only the intended environment changes",
}


def render(outcome: Outcome) -> str:
    """The log of one run, pretty-printed, with a line end."""
    findings = ordered(outcome.findings)
    names = sorted({finding.validator for finding in findings})
    compared = outcome.validation is not None and outcome.validation.against is not None
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "promoter",
                "version": __version__,
                "informationUri": INFORMATION,
                "rules": [_rule(name) for name in names],
            }
        },
        "invocations": [_invocation(outcome)],
        "results": [
            _result(finding, names.index(finding.validator), fingerprint, compared=compared)
            for finding, fingerprint in zip(findings, fingerprints(findings), strict=True)
        ],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(name: str) -> dict[str, Any]:
    text = _RULES.get(name, f"The configured command {name} accepts the files")
    return {"id": name, "name": name, "shortDescription": {"text": text}}


def _invocation(outcome: Outcome) -> dict[str, Any]:
    """§3.20: a run that ended before it could look at everything did not succeed."""
    whole = outcome.error is None or outcome.validation is not None
    invocation: dict[str, Any] = {"executionSuccessful": whole, "exitCode": outcome.exit_code}
    if outcome.error is not None and not whole:
        invocation["toolExecutionNotifications"] = [_notification(outcome.error)]
    return invocation


def _notification(error: Failed) -> dict[str, Any]:
    text = f"{error.message}; next: {error.next}" if error.next else error.message
    notification: dict[str, Any] = {"level": "error", "message": {"text": text}}
    if error.file is not None:
        notification["locations"] = [_location(error.file, error.line)]
    return notification


def _result(finding: Finding, rule: int, fingerprint: str, *, compared: bool) -> dict[str, Any]:
    location = _location(finding.file or NOWHERE, finding.line)
    if finding.path:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.path}]
    result: dict[str, Any] = {
        "ruleId": finding.validator,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": described(finding)},
        "locations": [location],
        "partialFingerprints": {"promoterFinding/v1": fingerprint},
    }
    if compared:  # §3.27.24: absent where there is no baseline
        result["baselineState"] = "new" if finding.introduced else "unchanged"
    return result


def _location(file: str, line: int | None) -> dict[str, Any]:
    """A place by a URI relative to the root of the repository, which is what GitHub resolves."""
    uri = quote(file.encode("utf-8", "surrogateescape"), safe="/")
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": uri},
            "region": {"startLine": line or 1},
        }
    }
