"""What the variables of each CI system say about a build, and what they do not say."""

from __future__ import annotations

import json
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from promoter.ci import detect, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from promoter.intent import Origin

SHA = "8d1c8b69c3fce7bea45c73efd06983e3c419a92f"
TIME = "2026-03-01T12:30:00+01:00"

# As the vendors' pages show them, for a build of main in acme/api.
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "alice",
    "GITHUB_REF_NAME": "main",
    "GITHUB_REF_TYPE": "branch",
    "GITHUB_REPOSITORY": "acme/api",
    "GITHUB_RUN_ID": "1658821493",
    "GITHUB_RUN_NUMBER": "42",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_SHA": SHA,
    "GITHUB_WORKFLOW": "Build",
    "GITHUB_WORKFLOW_REF": "acme/api/.github/workflows/build.yml@refs/heads/main",
}
GITLAB = {
    "GITLAB_CI": "true",
    "CI_COMMIT_BRANCH": "main",
    "CI_COMMIT_SHA": SHA,
    "CI_COMMIT_TIMESTAMP": TIME,
    "CI_JOB_URL": "https://gitlab.com/acme/api/-/jobs/77",
    "CI_PIPELINE_IID": "42",
    "CI_PROJECT_PATH": "acme/api",
    "CI_SERVER_URL": "https://gitlab.com",
    "GITLAB_USER_EMAIL": "alice@example.com",
    "GITLAB_USER_LOGIN": "alice",
    "GITLAB_USER_NAME": "Alice",
}
CIRCLECI = {
    "CI": "true",
    "CIRCLECI": "true",
    "CIRCLE_BRANCH": "main",
    "CIRCLE_BUILD_NUM": "42",
    "CIRCLE_BUILD_URL": "https://circleci.com/gh/acme/api/42",
    "CIRCLE_PROJECT_REPONAME": "api",
    "CIRCLE_PROJECT_USERNAME": "acme",
    "CIRCLE_SHA1": SHA,
    "CIRCLE_USERNAME": "alice",
}
AZURE = {
    "TF_BUILD": "True",
    "BUILD_BUILDID": "42",
    "BUILD_BUILDNUMBER": "20260301.1",
    "BUILD_REASON": "IndividualCI",
    "BUILD_REQUESTEDFOR": "Alice",
    "BUILD_REQUESTEDFOREMAIL": "alice@example.com",
    "BUILD_SOURCEBRANCH": "refs/heads/main",
    "BUILD_SOURCEVERSION": SHA,
    "SYSTEM_COLLECTIONURI": "https://dev.azure.com/acme/",
    "SYSTEM_DEFINITIONID": "7",
    "SYSTEM_TEAMPROJECT": "Web Shop",
}
BITBUCKET = {
    "CI": "true",
    "BITBUCKET_BRANCH": "main",
    "BITBUCKET_BUILD_NUMBER": "42",
    "BITBUCKET_COMMIT": SHA,
    "BITBUCKET_REPO_FULL_NAME": "acme/api",
}
JENKINS = {
    "BRANCH_NAME": "main",
    "BUILD_NUMBER": "42",
    "BUILD_URL": "https://ci.example.com/jenkins/job/acme/job/api/job/main/42/",
    "BUILD_USER_ID": "alice",
    "GIT_BRANCH": "main",
    "GIT_COMMIT": SHA,
    "JENKINS_URL": "https://ci.example.com/jenkins/",
    "JOB_NAME": "acme/api/main",
}
ALL = {
    "github": GITHUB,
    "gitlab": GITLAB,
    "circleci": CIRCLECI,
    "azure": AZURE,
    "bitbucket": BITBUCKET,
    "jenkins": JENKINS,
}


def told(environ: Mapping[str, str], time: str | None = None, **more: str) -> Origin:
    """The origin, where the checkout knows the built commit's time or does not."""
    return detect({**environ, **more}, lambda revision: time if revision == SHA else None)


@pytest.mark.parametrize("environ", ALL.values(), ids=ALL)
def test_revision_branch_and_time(environ: dict[str, str]) -> None:
    origin = told(environ, TIME)
    assert origin.revision == SHA
    assert origin.source_branch == "main"
    assert origin.source_time == parse_time(TIME)


RUNS = {
    "github": "https://github.com/acme/api/actions/runs/1658821493",
    "gitlab": "https://gitlab.com/acme/api/-/jobs/77",
    "circleci": "https://circleci.com/gh/acme/api/42",
    "azure": "https://dev.azure.com/acme/Web%20Shop/_build/results?buildId=42",
    "bitbucket": "https://bitbucket.org/acme/api/pipelines/results/42",
    "jenkins": "https://ci.example.com/jenkins/job/acme/job/api/job/main/42/",
}


@pytest.mark.parametrize("name", ALL)
def test_run_and_actor(name: str) -> None:
    origin = told(ALL[name])
    assert origin.run_url == RUNS[name]
    # Bitbucket has the starter's UUID alone, which says nothing to people.
    assert origin.actor == {"azure": "Alice", "bitbucket": None}.get(name, "alice")


def test_nothing_outside_ci() -> None:
    assert told({"HOME": "/root", "BUILD_NUMBER": "7", "CI": "true"}) == detect({}, lambda _: TIME)


@pytest.mark.parametrize("environ", ALL.values(), ids=ALL)
def test_with_nothing_but_the_name_of_the_system(environ: dict[str, str]) -> None:
    names = {"GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "TF_BUILD", "BITBUCKET_BUILD_NUMBER", "JENKINS_URL"}
    origin = told({name: value for name, value in environ.items() if name in names})
    assert (origin.revision, origin.source_branch, origin.order, origin.run_url) == (None, None, None, None)


# --- the branch: only one of this very repository

PULL_REQUESTS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "github": (
        GITHUB,
        {"GITHUB_REF_NAME": "7/merge", "GITHUB_REF_TYPE": "branch", "GITHUB_HEAD_REF": "main"},
    ),
    "github, the base's workflow": (GITHUB, {"GITHUB_HEAD_REF": "main", "GITHUB_BASE_REF": "main"}),
    "gitlab": (GITLAB, {"CI_COMMIT_BRANCH": "", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "main"}),
    "circleci, a fork's": (CIRCLECI, {"CIRCLE_BRANCH": "pull/7", "CIRCLE_PR_NUMBER": "7"}),
    "circleci, a fork's, by its name": (CIRCLECI, {"CIRCLE_PR_NUMBER": "7", "CIRCLE_PR_REPONAME": "api"}),
    "circleci, GitHub App": (CIRCLECI, {"CIRCLE_PROJECT_REPONAME": "", "CIRCLE_PROJECT_USERNAME": ""}),
    "azure": (AZURE, {"BUILD_SOURCEBRANCH": "refs/pull/7/merge", "SYSTEM_PULLREQUEST_SOURCEBRANCH": "main"}),
    "bitbucket": (BITBUCKET, {"BITBUCKET_PR_ID": "7"}),
    "jenkins, multibranch": (JENKINS, {"BRANCH_NAME": "PR-7", "CHANGE_ID": "7", "CHANGE_BRANCH": "main"}),
    "jenkins, head by its name": (JENKINS, {"CHANGE_ID": "7"}),
    "jenkins, GitHub pull request builder": (JENKINS, {"BRANCH_NAME": "", "ghprbPullId": "7"}),
    "jenkins, GitLab plugin": (JENKINS, {"BRANCH_NAME": "", "gitlabMergeRequestIid": "7"}),
    "jenkins, a fork's remote": (JENKINS, {"BRANCH_NAME": "", "GIT_BRANCH": "mallory/main"}),
    "jenkins, no branch": (JENKINS, {"BRANCH_NAME": "", "GIT_BRANCH": "detached"}),
}
TAGS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "github tag": (GITHUB, {"GITHUB_REF_NAME": "v1", "GITHUB_REF_TYPE": "tag"}),
    "gitlab tag": (GITLAB, {"CI_COMMIT_BRANCH": "", "CI_COMMIT_TAG": "v1"}),
    "circleci tag": (CIRCLECI, {"CIRCLE_BRANCH": "", "CIRCLE_TAG": "v1"}),
    "azure tag": (AZURE, {"BUILD_SOURCEBRANCH": "refs/tags/v1"}),
    "bitbucket tag": (BITBUCKET, {"BITBUCKET_BRANCH": "", "BITBUCKET_TAG": "v1"}),
    "jenkins tag": (JENKINS, {"BRANCH_NAME": "v1", "TAG_NAME": "v1"}),
}


@pytest.mark.parametrize(
    ("environ", "more"), [*PULL_REQUESTS.values(), *TAGS.values()], ids=[*PULL_REQUESTS, *TAGS]
)
def test_what_is_no_branch_of_this_repository(environ: dict[str, str], more: dict[str, str]) -> None:
    assert told(environ, **more).source_branch is None


def test_a_branch_with_slashes() -> None:
    assert told(AZURE, BUILD_SOURCEBRANCH="refs/heads/release/1.x").source_branch == "release/1.x"
    assert told(JENKINS, BRANCH_NAME="", GIT_BRANCH="origin/release/1.x").source_branch == "release/1.x"


@pytest.mark.parametrize(("owner", "branch"), [(1, "main"), (2, None)])
def test_github_after_another_workflow(tmp_path: Path, owner: int, branch: str | None) -> None:
    """A workflow_run event comes for forks' runs, too."""
    run = {"head_branch": "main", "event": "push", "head_repository": {"id": owner}}
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"workflow_run": run, "repository": {"id": 1}}))
    assert told(GITHUB, GITHUB_EVENT_PATH=str(event)).source_branch == branch


# --- the order


def test_namespaces_are_of_one_pipeline_of_one_repository_on_one_server() -> None:
    others = {
        "github": [
            {"GITHUB_REPOSITORY": "acme/web"},
            {"GITHUB_SERVER_URL": "https://gitea.example.com", "GITEA_ACTIONS": "true"},
            {"GITHUB_WORKFLOW_REF": "acme/api/.github/workflows/other.yml@refs/heads/main"},
        ],
        "gitlab": [{"CI_PROJECT_PATH": "acme/web"}, {"CI_SERVER_URL": "https://gitlab.example.com/git"}],
        "circleci": [{"CIRCLE_PROJECT_REPONAME": "web"}],
        "azure": [
            {"SYSTEM_DEFINITIONID": "8"},
            {"SYSTEM_TEAMPROJECT": "Other"},
            {"SYSTEM_COLLECTIONURI": "https://tfs.example.com/acme/"},
        ],
        "bitbucket": [{"BITBUCKET_REPO_FULL_NAME": "acme/web"}],
        "jenkins": [{"JOB_NAME": "acme/api/next"}, {"JENKINS_URL": "https://other.example.com/jenkins/"}],
    }
    orders = [
        told({**ALL[name], **changed}).order for name, changes in others.items() for changed in ({}, *changes)
    ]
    namespaces = [order[0] for order in orders if order is not None]
    assert len(namespaces) == len(orders)
    assert all(one != other for one, other in combinations(namespaces, 2)), namespaces
    assert {order[1] for order in orders if order is not None} == {42}


LATER: dict[str, dict[str, str]] = {
    "github": {
        "GITHUB_RUN_ID": "2",
        "GITHUB_ACTOR": "bob",
        "GITHUB_SHA": "1" * 40,
        "GITHUB_REF_NAME": "next",
    },
    "gitlab": {"CI_COMMIT_SHA": "1" * 40, "CI_JOB_URL": "x", "CI_COMMIT_BRANCH": "next"},
    "azure": {
        "BUILD_SOURCEVERSION": "1" * 40,
        "BUILD_BUILDNUMBER": "x",
        "BUILD_SOURCEBRANCH": "refs/heads/x",
    },
}


@pytest.mark.parametrize("name", LATER)
def test_a_namespace_is_the_same_for_every_run(name: str) -> None:
    assert told(ALL[name]).order == told({**ALL[name], **LATER[name]}).order


@pytest.mark.parametrize("name", ["github", "gitlab", "azure"])
def test_a_number_that_a_re_run_keeps_orders_beside_the_time(name: str) -> None:
    origin = told(ALL[name], TIME)
    assert origin.order is not None
    assert origin.source_time is not None


@pytest.mark.parametrize("name", ["circleci", "bitbucket", "jenkins"])
def test_a_number_that_a_re_run_changes_does_not_outweigh_the_time(name: str) -> None:
    """An old build that is run again gets the highest number, and is still the old one."""
    assert told(ALL[name], TIME).order is None
    assert told(ALL[name]).order is not None


@pytest.mark.parametrize("number", ["", "0x1", "-1", "1.5", "\u0663", "9" * 19, "9" * 5000])
def test_numbers_that_are_none(number: str) -> None:
    assert told(GITHUB, GITHUB_RUN_NUMBER=number).order is None


def test_a_namespace_cannot_hold_a_number() -> None:
    order = told(GITLAB, CI_PROJECT_PATH="acme/api#9\nPromoter-Id: x").order
    assert order is not None
    assert order[1] == 42
    assert "#" not in order[0]
    assert order[0].isprintable()


@pytest.mark.parametrize("url", ["http://[::1", "x", "https://user:secret@ci.example.com/jenkins/"])
def test_odd_addresses_of_servers(url: str) -> None:
    order = told(JENKINS, JENKINS_URL=url).order
    assert order is not None
    assert "secret" not in order[0]


# --- who


def test_authors() -> None:
    assert told(AZURE).author == told(GITLAB).author == "Alice <alice@example.com>"
    assert told(GITHUB).author == "alice <alice@users.noreply.github.com>"
    assert told(JENKINS).author is told(CIRCLECI).author is told(BITBUCKET).author is None


def test_an_actor_of_another_server_is_not_one_of_github() -> None:
    gitea = {"GITHUB_SERVER_URL": "https://gitea.example.com:3000", "GITEA_ACTIONS": "true"}
    assert told(GITHUB, **gitea).author == "alice <alice@users.noreply.gitea.example.com>"
    assert "41898282" not in (told(GITHUB, GITHUB_ACTOR="", **gitea).author or "")


@pytest.mark.parametrize("name", ["a <b@c>", "a\nb", "a\x1b", ""])
def test_names_that_cannot_stand_in_a_commit(name: str) -> None:
    assert told(AZURE, BUILD_REQUESTEDFOR=name).author is None
