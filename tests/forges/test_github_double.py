"""The double of GitHub is as strict as it says, and does by itself what GitHub does."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from github import GithubException

from promoter.errors import DeniedError
from promoter.forges.calls import CallFailedError
from promoter.forges.github import GitHub
from tests.forges.github_double_bench import (
    BRANCH,
    FILE,
    connect,
    open_one,
)
from tests.forges.stage_github import GitHubStage, github_stage
from tests.support import repos


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[GitHubStage]:
    with github_stage(tmp_path) as found:
        yield found


# --- the double itself


def violations(tmp_path: Path, call: Any) -> str:
    with pytest.raises(AssertionError) as raised, github_stage(tmp_path) as stage:
        call(connect(stage))
    return str(raised.value)


def test_the_double_finds_what_github_does_not_describe(tmp_path: Path) -> None:
    def graphql(query: str, **variables: Any) -> Any:
        def call(github: GitHub) -> None:
            with pytest.raises(CallFailedError, match="599"):
                github._client.ask("asking", query, variables, needs="nothing", must=("repository",))

        return call

    def rest(method: str, path: str, **given: Any) -> Any:
        def call(github: GitHub) -> None:
            with pytest.raises(GithubException, match="599"):
                github._client.requester.requestJsonAndCheck(method, f"/repos/acme/manifests{path}", **given)

        return call

    cases = {
        "parameter heads": rest("GET", "/pulls", parameters={"heads": "x"}),
        "'newest' is not one of": rest("GET", "/pulls", parameters={"sort": "newest"}),
        "key drafts": rest("POST", "/pulls", input={"head": "x", "base": "main", "drafts": True}),
        "1 is not of type": rest("POST", "/pulls", input={"head": "x", "base": 1}),
        "is not what the double knows": rest("GET", "/pull"),
        "Cannot query field 'nope'": graphql('{repository(owner: "a", name: "b") {nope}}'),
        "has invalid value": graphql("query q($n: String!) {repository(owner: $n, name: $n) {id}}", n=1),
        "Repository.diskUsage": graphql('{repository(owner: "acme", name: "manifests") {diskUsage}}'),
    }
    for number, (says, call) in enumerate(cases.items()):
        assert says in violations(tmp_path / str(number), call)


def test_an_app_gets_a_token_for_what_it_asks_for(stage: GitHubStage) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    app = stage.double.add_app("4711", public, "manifests", contents="write", pull_requests="write")
    now = int(time.time())

    def ask(method: str, path: str, claims: dict[str, Any], body: Any = None) -> requests.Response:
        signed = jwt.encode({"iat": now - 60, "exp": now + 500, "iss": "4711", **claims}, key, "RS256")
        headers = {"Authorization": f"Bearer {signed}"}
        return requests.request(method, stage.double.api + path, headers=headers, json=body, timeout=10)

    there = "/repos/acme/manifests/installation"
    wrong: list[dict[str, Any]] = [{"exp": now + 900}, {"iss": "1"}, {"exp": 1}]
    assert {ask("GET", there, one).status_code for one in wrong} == {401}
    number = ask("GET", there, {}).json()["id"]
    tokens = f"/app/installations/{number}/access_tokens"
    assert ask("POST", tokens, {}, {"permissions": {"checks": "read"}}).status_code == 422
    assert ask("POST", tokens, {}, {"repositories": ["another"]}).status_code == 422
    body = {"repositories": ["manifests"], "permissions": {"contents": "read"}}
    token = ask("POST", tokens, {}, body).json()["token"]
    (issued,) = app.issued
    assert (issued.text, issued.permissions) == (token, {"contents": "read"})
    assert issued.repositories == frozenset({"manifests"})
    with pytest.raises(DeniedError, match="not accessible by integration"):
        connect(stage, token=token).find(BRANCH)


def test_a_head_without_commits_of_its_own_closes_the_pull_request(stage: GitHubStage) -> None:
    open_one(stage)
    repos.git(stage.git, "update-ref", f"refs/heads/{BRANCH}", "main")
    assert stage.pull_requests()[0].state == "closed"


def test_a_push_to_the_base_that_holds_the_head_is_a_merge(stage: GitHubStage) -> None:
    pull = open_one(stage)
    repos.git(stage.git, "update-ref", "refs/heads/main", pull.head)
    assert stage.pull_requests()[0].state == "merged"


def test_a_branch_that_is_deleted_closes_the_pull_request_which_keeps_its_head(stage: GitHubStage) -> None:
    pull = open_one(stage)
    repos.git(stage.git, "update-ref", "-d", f"refs/heads/{BRANCH}")
    (found,) = connect(stage).find(BRANCH)
    assert (found.state, found.head) == ("closed", pull.head)
    assert repos.resolve(stage.git, "refs/pull/1/head") == pull.head


def test_git_asks_for_the_same_tokens(stage: GitHubStage, tmp_path: Path) -> None:
    stage.double.issue_token("ghp_reader", kind="personal access token", contents="read")
    work = repos.make_repo(tmp_path / "work.git", {})
    with_token = stage.url.replace("://", "://x-access-token:{}@")
    repos.git(work, "fetch", "--quiet", with_token.format("ghp_reader"), "main:main")
    repos.commit_files(work, {FILE: "newTag: 1.1.0\n"}, "Promote")
    for token, says in (
        ("ghp_wrong", "Authentication failed"),
        ("ghp_reader", "403"),
        (stage.token, "GH006"),
    ):
        stage.protect(approvals=1)
        with pytest.raises(repos.GitFailedError, match=says):
            repos.git(work, "push", "--quiet", with_token.format(token), "main")
    repos.git(work, "push", "--quiet", stage.push_url, "main")
    assert repos.resolve(stage.git, "main") == repos.resolve(work, "main")
