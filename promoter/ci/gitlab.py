"""GitLab CI/CD: docs.gitlab.com, "Predefined CI/CD variables reference"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.ci.facts import identity, one_line, order, parse_time, server
from promoter.intent import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping


def origin(environ: Mapping[str, str]) -> Origin:
    """What the variables tell. A job that is run again keeps its pipeline's CI_PIPELINE_IID."""
    project = environ.get("CI_PROJECT_PATH")
    namespace = f"gitlab:{server(environ.get('CI_SERVER_URL'))}/{project}:pipeline"
    return Origin(
        revision=one_line(environ.get("CI_COMMIT_SHA")),
        source_time=parse_time(environ.get("CI_COMMIT_TIMESTAMP")),
        source_branch=one_line(environ.get("CI_COMMIT_BRANCH")),  # not set for tags and merge requests
        order=order(namespace, environ.get("CI_PIPELINE_IID")) if project else None,
        run_url=one_line(environ.get("CI_JOB_URL") or environ.get("CI_PIPELINE_URL")),
        actor=one_line(environ.get("GITLAB_USER_LOGIN")),
        author=identity(environ.get("GITLAB_USER_NAME"), environ.get("GITLAB_USER_EMAIL")),
    )
