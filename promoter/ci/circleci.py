"""CircleCI: circleci.com/docs/variables, "Built-in environment variables"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.ci.facts import one_line, order, parse_time
from promoter.intent import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def origin(environ: Mapping[str, str], commit_time: Callable[[str], str | None]) -> Origin:
    """What the variables tell.

    CIRCLE_BUILD_NUM is the job's: a workflow that is run again has a new one. The pipeline's
    number, which it keeps, is in no variable; ``--order`` takes it.
    """
    revision = one_line(environ.get("CIRCLE_SHA1"))
    time = parse_time(commit_time(revision)) if revision else None
    project = "/".join(environ.get(f"CIRCLE_PROJECT_{name}", "") for name in ("USERNAME", "REPONAME"))
    numbered = time is None and project != "/"
    return Origin(
        revision=revision,
        source_time=time,
        source_branch=_branch(environ),
        order=order(f"circleci:{project}:job", environ.get("CIRCLE_BUILD_NUM")) if numbered else None,
        run_url=one_line(environ.get("CIRCLE_BUILD_URL")),
        actor=one_line(environ.get("CIRCLE_USERNAME")),
    )


def _branch(environ: Mapping[str, str]) -> str | None:
    """The branch that was built.

    A fork's pull request is known by CIRCLE_PR_NUMBER. Projects of the GitHub App and of
    GitLab have neither that nor CIRCLE_PROJECT_REPONAME, and so no branch that is certain.
    """
    is_fork = environ.get("CIRCLE_PR_NUMBER") or environ.get("CIRCLE_PR_REPONAME")
    name = environ.get("CIRCLE_BRANCH", "")
    if is_fork or not environ.get("CIRCLE_PROJECT_REPONAME") or name.startswith("pull/"):
        return None
    return one_line(name)
