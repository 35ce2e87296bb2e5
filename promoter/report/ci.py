"""The reports that a CI system picks up from files, written once for every verb.

On GitHub Actions the files that ``GITHUB_OUTPUT`` and ``GITHUB_STEP_SUMMARY`` name; anywhere,
where the caller names a directory (``--report-dir``), ``promotion.env``, ``promotion.json`` and
``gl-code-quality-report.json``. What cannot be written is a warning: it changes nothing about
what has landed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from promoter.outcome import Notice
from promoter.report import code_quality, document, github, gitlab, step_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from promoter.outcome import Outcome

# "Outputs are Unicode strings, and can be a maximum of 1 MB" (GitHub's "Workflow syntax",
# jobs.<job_id>.outputs); the runner counts UTF-16.
_MOST_OUTPUT = 1_000_000
_MOST_SUMMARY = 1024 * 1024


def values(outcome: Outcome) -> dict[str, str]:
    """The outputs that are one line each; of several pull requests the first."""
    first = outcome.pull_requests[0] if outcome.pull_requests else None
    number = "" if first is None or first.number is None else str(first.number)
    return {
        "changed": str(outcome.changed).lower(),
        "status": outcome.status,
        "reason": outcome.reason,
        "commit-sha": outcome.commit_sha or "",
        "pull-request-number": number,
        "pull-request-url": first.url if first else "",
        "pull-request-operation": first.operation if first else "",
        "pull-request-branch": first.branch if first else "",
    }


def write(
    outcome: Outcome, environ: Mapping[str, str], directory: str | None, masked: Callable[[str], str]
) -> tuple[Notice, ...]:
    """Write every report that is wanted; ``masked`` takes secrets out. Returns what did not work."""
    notices: list[Notice] = []
    if environ.get("GITHUB_ACTIONS") == "true":
        if path := environ.get("GITHUB_OUTPUT"):
            notices += _tried(path, partial(_outputs, outcome, Path(path), masked))
        if path := environ.get("GITHUB_STEP_SUMMARY"):
            notices += _tried(path, partial(_summary, outcome, Path(path), masked))
    if directory:
        for name, text in _files(outcome):
            place = Path(directory) / name
            notices += _tried(str(place), partial(_replace, place, masked(text)))
    return tuple(notices)


def _tried(path: str, step: Callable[[], Notice | None]) -> tuple[Notice, ...]:
    try:
        notice = step()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        notice = Notice("ci-report", f"a report for CI cannot be written: {why}", file=path)
    return () if notice is None else (notice,)


def _outputs(outcome: Outcome, path: Path, masked: Callable[[str], str]) -> Notice | None:
    # The document is one line: it goes through shells and expressions.
    whole = json.dumps(json.loads(document.render(outcome)), ensure_ascii=False, separators=(",", ":"))
    listed = json.dumps([asdict(one) for one in outcome.pull_requests], ensure_ascii=False)
    told = {**values(outcome), "pull-requests": listed, "outcome": whole}
    told = {name: masked(value) for name, value in told.items()}
    dropped = []
    for name in ("outcome", "pull-requests"):
        if sum(len(value) * 2 for value in told.values()) > _MOST_OUTPUT:
            del told[name]
            dropped.append(name)
    _append(path, github.outputs(told))
    if not dropped:
        return None
    names = " and ".join(dropped)
    return Notice(
        "ci-report", f"{names} left out of the outputs, which may be 1 MB: --report-dir writes a file"
    )


def _summary(outcome: Outcome, path: Path, masked: Callable[[str], str]) -> Notice | None:
    there = path.stat().st_size if path.exists() else 0
    text = masked(step_summary.render(outcome, _MOST_SUMMARY - there - 2))
    if not text:
        return Notice("ci-report", "the step's summary has no room left: its limit is 1 MiB", file=str(path))
    _append(path, f"\n{text}")  # a blank line ends whatever table stands above
    return None


def _files(outcome: Outcome) -> Iterator[tuple[str, str]]:
    yield "promotion.env", gitlab.dotenv(values(outcome))
    yield "promotion.json", document.render(outcome)
    # Only `validate` owes a report of findings: elsewhere an error is not one of the code's.
    found = outcome if outcome.verb == "validate" else replace(outcome, error=None)
    yield "gl-code-quality-report.json", code_quality.render(found)


def _append(path: Path, text: str) -> None:
    """Add whole lines, also where another program of the step left its last one open."""
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                text = f"\n{text}"
        file.write(text.encode("utf-8", "backslashreplace"))


def _replace(path: Path, text: str) -> None:
    """Write a new file. A link of that name, which a checkout may hold, is not followed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        file.write(text.encode("utf-8", "backslashreplace"))
