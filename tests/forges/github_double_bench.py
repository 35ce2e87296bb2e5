"""Handgrips for the tests of what is GitHub's own."""

from collections.abc import Callable

import pytest

from promoter.deadline import Deadline
from promoter.forges.calls import Connection
from promoter.forges.github import GitHub
from promoter.forges.port import ForgeRefusedError, Proposal, PullRequest
from tests.forges.stage_github import GitHubStage
from tests.support import repos

BRANCH = "promoter/production/api"
FILE = "envs/production/kustomization.yaml"
PROPOSAL = Proposal(BRANCH, "main", "Promote api to 1.1.0", "A table.\n\nPromoter-Id: 1")


def connect(
    stage: GitHubStage, *, token: str | None = None, seconds: float = 30.0, project: str = "acme/manifests"
) -> GitHub:
    api = stage.environ["PROMOTER_FORGE_API"]
    web = api.removesuffix("/api/v3")
    deadline = Deadline(seconds)
    return GitHub(
        Connection(api, web, project, token or stage.token, "token", None, deadline, lambda _: None)
    )


def push(stage: GitHubStage, branch: str = BRANCH, content: str = "newTag: 1.1.0\n") -> str:
    """A commit on the branch, which starts at the base."""
    if repos.resolve(stage.git, f"refs/heads/{branch}") is None:
        repos.git(stage.git, "branch", branch, "main")
    return repos.commit_files(stage.git, {FILE: content}, "Promote", branch=branch)


def open_one(stage: GitHubStage, github: GitHub | None = None) -> PullRequest:
    push(stage)
    return (github or connect(stage)).create(PROPOSAL)


def fresh(stage: GitHubStage, pull: PullRequest) -> PullRequest:
    return next(one for one in connect(stage).find(pull.branch) if one.number == pull.number)


def refused(call: Callable[[], object], reason: str, *says: str) -> ForgeRefusedError:
    with pytest.raises(ForgeRefusedError) as raised:
        call()
    assert raised.value.reason == reason, raised.value
    assert all(word in raised.value.message for word in says), raised.value
    return raised.value


def fine_grained(stage: GitHubStage, **may: str) -> GitHub:
    token = stage.double.issue_token("github_pat_fine", kind="personal access token", **may)
    return connect(stage, token=token.text)
