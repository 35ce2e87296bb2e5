"""What the CI system says about the build: revision, time, branch, order, run and actor.

One module for each platform, with the vendor's page that its variables are from. Two rules
hold for all of them:

* ``source_branch`` is a branch of the very repository that was built, never the head of a
  pull request, which may be a fork's: there anybody calls a branch main.
* ``order`` has a namespace that is the same for every run of one pipeline and of no other
  one, on whatever server. Where running an old build again gives it a *new* number, the
  number only counts if the commit's time is not known: it would make the old build the
  newest one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.ci.facts import parse_time
from promoter.intent import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["detect", "parse_time"]


def detect(environ: Mapping[str, str], commit_time: Callable[[str], str | None]) -> Origin:
    """The origin that the environment variables tell; empty outside a known CI system.

    ``commit_time`` gives the commit date (ISO 8601) of a revision in the working
    directory, None where it is not there.
    """
    # Gitea's and Forgejo's runners set GITHUB_ACTIONS too, and the variables that go with it.
    if environ.get("GITHUB_ACTIONS") == "true":
        from promoter.ci import github

        return github.origin(environ, commit_time)
    if environ.get("GITLAB_CI") == "true":
        from promoter.ci import gitlab

        return gitlab.origin(environ)
    if environ.get("CIRCLECI") == "true":
        from promoter.ci import circleci

        return circleci.origin(environ, commit_time)
    if environ.get("TF_BUILD", "").lower() == "true":
        from promoter.ci import azure

        return azure.origin(environ, commit_time)
    if environ.get("BITBUCKET_BUILD_NUMBER"):
        from promoter.ci import bitbucket

        return bitbucket.origin(environ, commit_time)
    if environ.get("JENKINS_URL"):
        from promoter.ci import jenkins

        return jenkins.origin(environ, commit_time)
    return Origin()
