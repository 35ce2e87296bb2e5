"""Azure Pipelines: learn.microsoft.com, "Use predefined variables"."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from promoter.ci.facts import branch, identity, one_line, order, parse_time, server
from promoter.intent import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def origin(environ: Mapping[str, str], commit_time: Callable[[str], str | None]) -> Origin:
    """What the variables tell. Jobs that are run again keep the run's BUILD_BUILDID.

    BUILD_BUILDNUMBER is the run's name, which the pipeline chooses.
    """
    revision = one_line(environ.get("BUILD_SOURCEVERSION"))
    collection, project = environ.get("SYSTEM_COLLECTIONURI", ""), environ.get("SYSTEM_TEAMPROJECT", "")
    run, pipeline = environ.get("BUILD_BUILDID"), environ.get("SYSTEM_DEFINITIONID")
    home = f"{collection.rstrip('/')}/{quote(project)}"
    namespace = f"azure:{server(collection)}/{project}:{pipeline}"
    return Origin(
        revision=revision,
        source_time=parse_time(commit_time(revision)) if revision else None,
        source_branch=branch(environ.get("BUILD_SOURCEBRANCH")),  # refs/pull/… for pull requests
        order=order(namespace, run) if collection and pipeline else None,
        run_url=one_line(f"{home}/_build/results?buildId={run}") if collection and run else None,
        actor=one_line(environ.get("BUILD_REQUESTEDFOR")),
        author=identity(environ.get("BUILD_REQUESTEDFOR"), environ.get("BUILD_REQUESTEDFOREMAIL")),
    )
