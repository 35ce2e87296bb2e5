"""Jenkins: the list at ``/env-vars.html`` of any server, and the Git plugin's documentation.

In a Pipeline that checks out by itself, ``GIT_COMMIT`` and ``GIT_BRANCH`` are what ``checkout``
returns and no variables: ``--source`` and ``--source-branch`` say them there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.ci.facts import one_line, order, parse_time, server
from promoter.intent import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Builds of change requests: multibranch projects, the GitHub pull request builder, the GitLab plugin.
_CHANGES = ("CHANGE_ID", "ghprbPullId", "gitlabMergeRequestIid")


def origin(environ: Mapping[str, str], commit_time: Callable[[str], str | None]) -> Origin:
    """What the variables tell. A build that is replayed has a new BUILD_NUMBER.

    JOB_NAME holds the folders, and in a multibranch project the branch, which counts by itself.
    """
    revision = one_line(environ.get("GIT_COMMIT"))
    time = parse_time(commit_time(revision)) if revision else None
    job = environ.get("JOB_NAME")
    namespace = f"jenkins:{server(environ.get('JENKINS_URL'))}:{job}"
    return Origin(
        revision=revision,
        source_time=time,
        source_branch=_branch(environ),
        order=order(namespace, environ.get("BUILD_NUMBER")) if job and time is None else None,
        run_url=one_line(environ.get("BUILD_URL")),
        actor=one_line(environ.get("BUILD_USER_ID")),  # the build user vars plugin
    )


def _branch(environ: Mapping[str, str]) -> str | None:
    """BRANCH_NAME of a multibranch project, else what the Git plugin fetched from ``origin``."""
    if environ.get("TAG_NAME") or any(environ.get(name) for name in _CHANGES):
        return None
    fetched = environ.get("GIT_BRANCH", "")
    own = fetched.removeprefix("origin/") if fetched.startswith("origin/") else None
    return one_line(environ.get("BRANCH_NAME") or own)
