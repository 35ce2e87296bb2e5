"""Bitbucket Pipelines: support.atlassian.com, "Variables and secrets", the default variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.ci.facts import one_line, order, parse_time
from promoter.intent import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def origin(environ: Mapping[str, str], commit_time: Callable[[str], str | None]) -> Origin:
    """What the variables tell. A pipeline that is run again has a new BITBUCKET_BUILD_NUMBER."""
    revision = one_line(environ.get("BITBUCKET_COMMIT"))
    time = parse_time(commit_time(revision)) if revision else None
    repository, number = environ.get("BITBUCKET_REPO_FULL_NAME"), environ.get("BITBUCKET_BUILD_NUMBER")
    is_pull_request = bool(environ.get("BITBUCKET_PR_ID"))  # BITBUCKET_BRANCH is its head then
    home = f"https://bitbucket.org/{repository}"
    return Origin(
        revision=revision,
        source_time=time,
        source_branch=None if is_pull_request else one_line(environ.get("BITBUCKET_BRANCH")),
        order=order(f"bitbucket:{repository}", number) if repository and time is None else None,
        run_url=one_line(f"{home}/pipelines/results/{number}") if repository else None,
    )
