"""What the CI system says about the build: revision, time, order, run and actor.

Variables as the vendors document them: GitHub's "Variables reference" and event
payloads, GitLab's "Predefined CI/CD variables".
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promoter.intent import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_GITHUB_BOT = "github-actions[bot] <41898282+github-actions[bot]@users.noreply.github.com>"


def detect(environ: Mapping[str, str], commit_time: Callable[[str], str | None]) -> Origin:
    """The origin that the environment variables tell; empty outside a known CI system.

    ``commit_time`` gives the commit date (ISO 8601) of a revision in the working
    directory, None where it is not there.
    """
    if environ.get("GITHUB_ACTIONS") == "true":
        return _github(environ, commit_time)
    if environ.get("GITLAB_CI") == "true":
        return _gitlab(environ)
    return Origin()


def _github(environ: Mapping[str, str], commit_time: Callable[[str], str | None]) -> Origin:
    repository = _one_line(environ.get("GITHUB_REPOSITORY")) or ""
    server = environ.get("GITHUB_SERVER_URL", "https://github.com")
    run = environ.get("GITHUB_RUN_ID")
    actor = environ.get("GITHUB_ACTOR")
    # GITHUB_WORKFLOW_REF names the file: two workflows may share a display name.
    workflow = environ.get("GITHUB_WORKFLOW_REF", "").partition("@")[0].removeprefix(f"{repository}/")
    workflow = workflow or environ.get("GITHUB_WORKFLOW", "")
    head = _head_commit(environ.get("GITHUB_EVENT_PATH"))
    revision = _one_line(head.get("id") or environ.get("GITHUB_SHA"))
    time = parse_time(head.get("timestamp"))
    if time is None and revision:
        time = parse_time(commit_time(revision))
    return Origin(
        revision=revision,
        source_time=time,
        order=_order(f"github:{repository}:{workflow}", environ.get("GITHUB_RUN_NUMBER")),
        run_url=_one_line(f"{server}/{repository}/actions/runs/{run}") if run else None,
        actor=_one_line(actor),
        author=f"{actor} <{actor}@users.noreply.github.com>" if _is_plain(actor) else _GITHUB_BOT,
    )


def _head_commit(event_path: str | None) -> dict[str, str]:
    """``head_commit`` of a push event, or of the run that a workflow_run event tells of: what was built.

    In the second case GITHUB_SHA is another commit, the default branch's last one.
    """
    if not event_path:
        return {}
    try:
        event: Any = json.loads(Path(event_path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    for holder in (event, event.get("workflow_run") if isinstance(event, dict) else None):
        head = holder.get("head_commit") if isinstance(holder, dict) else None
        if isinstance(head, dict):
            return {key: value for key, value in head.items() if isinstance(value, str)}
    return {}


def _gitlab(environ: Mapping[str, str]) -> Origin:
    name, mail = environ.get("GITLAB_USER_NAME"), environ.get("GITLAB_USER_EMAIL")
    return Origin(
        revision=_one_line(environ.get("CI_COMMIT_SHA")),
        source_time=parse_time(environ.get("CI_COMMIT_TIMESTAMP")),
        order=_order(f"gitlab:{environ.get('CI_PROJECT_PATH', '')}:pipeline", environ.get("CI_PIPELINE_IID")),
        run_url=_one_line(environ.get("CI_JOB_URL") or environ.get("CI_PIPELINE_URL")),
        actor=_one_line(environ.get("GITLAB_USER_LOGIN")),
        author=f"{name} <{mail}>" if _is_plain(name) and _is_plain(mail) else None,
    )


def _one_line(text: str | None) -> str | None:
    """The text without line breaks and other control characters; None where nothing is left."""
    return " ".join("".join(one if one.isprintable() else " " for one in text or "").split()) or None


def _is_plain(text: str | None) -> bool:
    """Whether the text may stand in a commit's identity line."""
    return bool(text) and text is not None and text.isprintable() and not re.search(r"[<>]", text)


def _order(namespace: str, number: str | None) -> tuple[str, int] | None:
    if not number or not (number.isascii() and number.isdigit()):
        return None
    return _one_line(namespace.replace("#", "-")) or "", int(number)


def parse_time(text: str | None) -> datetime | None:
    """An ISO 8601 time with its zone; None for anything else."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
