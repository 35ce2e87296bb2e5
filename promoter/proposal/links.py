"""Links into the source repository, as far as the CI run's URL tells where it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from promoter.proposal.inert import is_link

if TYPE_CHECKING:
    from promoter.intent import Origin

# GitHub: "Variables reference", GITHUB_RUN_ID; Gitea's and Forgejo's runs have the same address.
_ACTIONS = re.compile(r"(https?://[^/]+/[^/]+/[^/]+)/actions/runs/[0-9]+(?:/.*)?")
# GitLab: "Predefined CI/CD variables", CI_JOB_URL and CI_PIPELINE_URL.
_GITLAB = re.compile(r"(https?://[^/]+/.+?)/-/(?:jobs|pipelines)/[0-9]+")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def commit_url(origin: Origin) -> str | None:
    """Where the source revision can be looked at; None where that is not known."""
    root = _root(origin)
    return f"{root}/commit/{origin.revision}" if root and _is_commit(origin.revision) else None


def compare_url(origin: Origin, previous: str | None) -> str | None:
    """Where the source commits since a revision can be looked at; None where that is not known.

    The three forges compare alike: GitHub, "Comparing commits"; GitLab, "Compare
    revisions"; Gitea's ``/compare/BASE...HEAD``.
    """
    root = _root(origin)
    known = _is_commit(origin.revision) and _is_commit(previous) and previous != origin.revision
    return f"{root}/compare/{previous}...{origin.revision}" if root and known else None


def _root(origin: Origin) -> str | None:
    """The address that the pages of the source repository's commits stand below."""
    url = origin.run_url or ""
    if not is_link(url):
        return None
    if match := _ACTIONS.fullmatch(url):
        return match[1]
    match = _GITLAB.fullmatch(url)
    return f"{match[1]}/-" if match else None


def _is_commit(revision: str | None) -> bool:
    return revision is not None and _COMMIT.fullmatch(revision) is not None
