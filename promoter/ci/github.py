"""GitHub Actions, and Gitea's and Forgejo's, which set the same variables.

docs.github.com, "Variables reference" and "Webhook events and payloads".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promoter.ci.facts import identity, is_plain, one_line, order, parse_time, server
from promoter.intent import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_GITHUB = "github.com"
_BOT = "github-actions[bot]"
_BOT_ID = 41898282  # on github.com


def origin(environ: Mapping[str, str], commit_time: Callable[[str], str | None]) -> Origin:
    """What the variables and the event tell. A re-run keeps GITHUB_RUN_NUMBER."""
    repository = one_line(environ.get("GITHUB_REPOSITORY")) or ""
    url = environ.get("GITHUB_SERVER_URL", f"https://{_GITHUB}")
    run = environ.get("GITHUB_RUN_ID")
    actor = environ.get("GITHUB_ACTOR")
    # GITHUB_WORKFLOW_REF names the file: two workflows may share a display name.
    workflow = environ.get("GITHUB_WORKFLOW_REF", "").partition("@")[0].removeprefix(f"{repository}/")
    workflow = workflow or environ.get("GITHUB_WORKFLOW", "")
    event = _event(environ.get("GITHUB_EVENT_PATH"))
    head = _head_commit(event)
    revision = one_line(head.get("id") or environ.get("GITHUB_SHA"))
    time = parse_time(head.get("timestamp"))
    if time is None and revision:
        time = parse_time(commit_time(revision))
    namespace = f"github:{server(url)}/{repository}:{workflow}"
    return Origin(
        revision=revision,
        source_time=time,
        source_branch=_branch(environ, event),
        order=order(namespace, environ.get("GITHUB_RUN_NUMBER")) if repository else None,
        run_url=one_line(f"{url}/{repository}/actions/runs/{run}") if run else None,
        actor=one_line(actor),
        author=_author(actor, server(url)),
    )


def _author(actor: str | None, host: str) -> str:
    """Who started it, by the address that the server hides people's mail behind."""
    host = host.partition("/")[0].partition(":")[0] or _GITHUB
    if is_plain(actor):
        return identity(actor, f"{actor}@users.noreply.{host}") or ""
    number = f"{_BOT_ID}+" if host == _GITHUB else ""
    return f"{_BOT} <{number}{_BOT}@users.noreply.{host}>"


def _branch(environ: Mapping[str, str], event: dict[str, Any]) -> str | None:
    """The branch that was built; None for a tag and for a pull request."""
    run = event.get("workflow_run")
    if isinstance(run, dict):  # what that run built; GITHUB_REF is the default branch's
        head, own = run.get("head_repository"), event.get("repository")
        from_here = isinstance(head, dict) and isinstance(own, dict) and head.get("id") == own.get("id")
        branch = run.get("head_branch") if from_here and run.get("event") != "pull_request" else None
        return one_line(branch) if isinstance(branch, str) else None
    if environ.get("GITHUB_REF_TYPE") != "branch" or environ.get("GITHUB_HEAD_REF"):
        return None
    return one_line(environ.get("GITHUB_REF_NAME"))


def _event(path: str | None) -> dict[str, Any]:
    """The webhook's payload, as far as it can be read."""
    if not path:
        return {}
    try:
        event: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}


def _head_commit(event: dict[str, Any]) -> dict[str, str]:
    """``head_commit`` of a push event, or of the run that a workflow_run event tells of: what was built.

    In the second case GITHUB_SHA is another commit, the default branch's last one.
    """
    for holder in (event, event.get("workflow_run")):
        head = holder.get("head_commit") if isinstance(holder, dict) else None
        if isinstance(head, dict):
            return {key: value for key, value in head.items() if isinstance(value, str)}
    return {}
