"""What a forge refuses or does wrong: the promotion that can be made is made, the rest is named."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from promoter.proposal import marker
from tests.forges.pull_request_bench import Bench, behind_proxy, branch_of, file_of
from tests.forges.stage import Stage
from tests.forges.stage_github import GitHubStage, github_stage
from tests.forges.stage_gitlab import PATH, GitLabStage, gitlab_stage
from tests.forges.stages import DIFFERENCES
from tests.support import cli, repos
from tests.support.killproxy import Chosen, nothing
from tests.support.manifests import status, warnings
from tests.support.webserver import serving

if TYPE_CHECKING:
    from tests.forges.stage_gitea import GiteaStage

BRANCH = branch_of("api")


@pytest.fixture
def bench(stage: Stage, tmp_path: Path) -> Iterator[Bench]:
    with behind_proxy(stage, tmp_path / "scratch", ["api"]) as made:
        yield made


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHubStage]:
    with github_stage(tmp_path) as stage:
        yield stage


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[GitLabStage]:
    with gitlab_stage(tmp_path) as stage:
        yield stage


def bump(bench: Bench, tag: str, *more: str) -> cli.Result:
    """A run that may end in any way."""
    bench.proxy.lose(nothing)
    return bench.finish(bench.start(bench.bump("api", tag, *more)))


def set_pull_requests(bench: Bench, settings: str) -> None:
    bench.play.edit({"file": ".promoter.yaml", "find": "pull-request: {}", "replace": settings})


def assert_denied(result: cli.Result, *says: str) -> None:
    error = result.document["error"]
    assert (result.code, status(result)) == (8, "failed"), result.document
    assert all(word in error["message"] for word in says), error
    assert error["next"]


# --- what the forge refuses


def test_a_protection_that_forbids_the_branch(bench: Bench) -> None:
    stage = bench.stage
    if isinstance(stage, GitLabStage):
        stage.double.protect_branch(stage.project, BRANCH)
    elif stage.forge == "gitea":
        gitea = cast("GiteaStage", stage)
        gitea.house.gitea.protect(gitea.name, "promoter/**")
    else:
        stage.protect(BRANCH)
    result = bump(bench, "1.1.0")
    assert_denied(result, f"the push to {BRANCH}", "rotected branch")
    assert "branch-prefix" in result.document["error"]["next"]
    assert result.document["reason"] == "push-refused"
    assert stage.pull_requests() == []


def test_a_repository_that_is_archived(bench: Bench) -> None:
    """What is there stays as it is: neither a newer image nor a base that has it changes anything."""
    bench.run(bench.bump("api", "1.1.0"))
    bench.give_base("api", "1.1.0")
    bench.stage.archive()
    assert_denied(bump(bench, "1.2.0"), f"the push to {BRANCH}")
    result = bench.finish(bench.start(["sync"]))
    assert_denied(result, BRANCH, "archived")
    assert [one.state for one in bench.stage.pull_requests()] == ["open"]


def test_auto_merge_is_not_allowed(bench: Bench) -> None:
    if not DIFFERENCES[bench.stage.forge].auto_merge_setting:
        pytest.skip("no setting there forbids it")
    set_pull_requests(bench, "pull-request: {auto-merge: squash}")
    bench.stage.allow(auto_merge=False)
    bench.stage.protect(checks=["ci"])
    result = bench.run(bench.bump("api", "1.1.0"))
    assert (status(result), warnings(result)) == ("proposed", ["auto-merge"])
    assert not bench.assert_converged("api", "1.1.0").auto_merge
    bench.stage.allow()
    result = bench.run(["sync"])
    assert warnings(result) == []
    assert bench.assert_converged("api", "1.1.0").auto_merge


def test_a_merge_method_is_not_allowed(bench: Bench) -> None:
    set_pull_requests(bench, "pull-request: {auto-merge: squash}")
    bench.stage.allow(methods=["merge"])
    result = bench.run(bench.bump("api", "1.1.0"))
    assert (status(result), warnings(result)) == ("proposed", ["merge-method"])
    bench.assert_converged("api", "1.1.0")
    bench.stage.allow()
    assert status(bench.run(["sync"])) == "promoted"
    assert [one.state for one in bench.stage.pull_requests()] == ["merged"]


def test_more_images_than_a_description_shows(github: GitHubStage, tmp_path: Path) -> None:
    """GitHub takes 65,536 characters: the table is shortened, marker and trailers stay."""
    with behind_proxy(github, tmp_path / "scratch", ["api"]) as bench:
        names = [f"ghcr.io/acme/{'a-long-name-' * 12}{number:02d}" for number in range(60)]
        containers = "".join(f"  - {{name: c{at}, image: {name}:1.0.0}}\n" for at, name in enumerate(names))
        pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: many}\nspec:\n  containers:\n" + containers
        bench.play.commit("main", {"envs/production/many.yaml": pod}, "Many")
        images = [word for name in names for word in ("--image", f"{name}:1.1.0")]
        bench.run(["bump", "--env", "production", "--app", "many", *images])
        one = github.pull_requests()[0]
        assert len(one.body) <= 65536
        state = marker.read(one.body)
        assert state is not None
        assert [str(wanted.image) for wanted in state.wanted] == [f"{name}:1.1.0" for name in names]
        assert one.body.count("Promoter-Image: ") == 60
        assert repos.read_file(github.git, "envs/production/many.yaml", one.head).decode() == pod.replace(
            ":1.0.0", ":1.1.0"
        )
        assert [each["operation"] for each in bench.run(["sync"]).document["pull_requests"]] == ["unchanged"]


def test_a_branch_that_is_at_the_base(bench: Bench) -> None:
    with bench.play.clone("main") as work:
        repos.git(work, "push", "--quiet", bench.stage.push_url, f"HEAD:refs/heads/{BRANCH}")
    result = bench.run(bench.bump("api", "1.1.0"))
    assert result.document["pull_requests"][0]["operation"] == "created"
    bench.assert_converged("api", "1.1.0")


def test_a_base_that_takes_the_head_before_it_is_proposed(bench: Bench) -> None:
    def fast_forward() -> None:
        with bench.play.clone(BRANCH) as work:
            repos.git(work, "push", "--quiet", bench.stage.push_url, "HEAD:refs/heads/main")

    bench.proxy.after("POST .*/git-receive-pack$", fast_forward)
    result = bench.run(bench.bump("api", "1.1.0"))
    assert status(result) == "unchanged"
    assert bench.stage.pull_requests() == []
    assert "api:1.1.0" in bench.play.read("main", file_of("api"))


# --- a forge that is down, or slow on purpose


def api_from(first: int) -> Chosen:
    """The requests to the API from the n-th on."""
    seen: list[str] = []

    def chosen(_: int, request: str) -> bool:
        seen.extend([request] if " /api/" in request else [])
        return " /api/" in request and len(seen) >= first

    return chosen


def test_an_api_that_goes_down_in_the_middle(stage: Stage, tmp_path: Path) -> None:
    """The API answers nothing from the n-th call on, while Git does."""
    numbers = (1, 2, 3, 4) if stage.forge == "github" else (1, 4)
    apps = [f"app-{number}" for number in numbers]
    settings = "labels: [promotion], reviewers: [alice]"
    with behind_proxy(stage, tmp_path / "scratch", apps, settings) as bench:
        for number, app in zip(numbers, apps, strict=True):
            bench.proxy.answer(api_from(number), 503)
            bench.proxy.lose(nothing)
            result = bench.finish(bench.start(bench.bump(app, "1.1.0", "--deadline", "5")))
            if result.code == 0:  # the rest was not to be had
                assert warnings(result)
                bench.assert_converged(app, "1.1.0")
            else:
                assert result.code in (7, 9), result.document
            bench.proxy.answer(nothing)
            bench.run(bench.bump(app, "1.1.0"))
            one = bench.assert_converged(app, "1.1.0")
            assert (one.labels, one.reviewers) == (frozenset({"promotion"}), frozenset({"alice"}))
        assert len(stage.pull_requests()) == len(apps)


def once(pattern: str) -> Chosen:
    fired: list[str] = []

    def chosen(_: int, request: str) -> bool:
        if fired or not re.search(pattern, request):
            return False
        fired.append(request)
        return True

    return chosen


def every(pattern: str) -> Chosen:
    return lambda _, request: re.search(pattern, request) is not None


CREATE = r"^POST \S+/(pulls|merge_requests)$"


@pytest.mark.parametrize("code", [403, 429])
def test_a_rate_limit_is_waited_for(bench: Bench, code: int) -> None:
    if code == 403 and bench.stage.forge != "github":
        pytest.skip("a rate limit is 429 there")
    bench.proxy.answer(once(CREATE), code, {"Retry-After": "1"})
    bench.run(bench.bump("api", "1.1.0"))
    asked = [at for at, one in enumerate(bench.proxy.requests) if re.search(CREATE, one)]
    assert len(asked) == 2
    assert bench.proxy.times[asked[1]] - bench.proxy.times[asked[0]] >= 1
    bench.assert_converged("api", "1.1.0")


def test_a_rate_limit_longer_than_the_deadline(bench: Bench) -> None:
    bench.proxy.answer(once(CREATE), 429, {"Retry-After": "3600"})
    began = time.monotonic()
    result = bump(bench, "1.1.0", "--deadline", "120")
    assert time.monotonic() - began < 60
    assert (result.code, status(result)) == (7, "failed")
    assert "asks to wait 3600 s" in result.document["error"]["message"]
    assert bench.stage.pull_requests() == []


# --- the token stays where it belongs

ELSEWHERE = ('{type: github, api: "%s"}', '{type: github, url: "%s"}', '{type: "%s"}')


def test_a_configuration_that_names_another_host(github: GitHubStage, tmp_path: Path) -> None:
    with behind_proxy(github, tmp_path / "scratch", ["api"]) as bench, serving() as other:
        config = bench.play.read("main", ".promoter.yaml")
        for forge in ELSEWHERE:
            text = f"{config}forge: {forge % f'{other.url}/api/v3'}\n"
            bench.play.commit("main", {".promoter.yaml": text}, "Elsewhere")
            result = bump(bench, "1.1.0")
            assert (result.code, status(result)) == (3, "failed")
            assert result.document["error"]["file"] == ".promoter.yaml"
        assert other.asked == []
        assert github.pull_requests() == []


def test_an_api_that_redirects_to_another_host(bench: Bench) -> None:
    """At the first call, and where the pull request is opened."""
    with serving() as other:
        for pattern, code in ((" /api/", 302), (CREATE, 307)):
            bench.proxy.answer(every(pattern), code, {"Location": f"{other.url}/api/elsewhere"})
            result = bump(bench, "1.1.0")
            assert (result.code, status(result)) == (9, "failed"), result.document
            assert other.url in result.document["error"]["message"]
        assert other.asked == []
    bench.proxy.answer(nothing)
    bench.run(bench.bump("api", "1.1.0"))
    bench.assert_converged("api", "1.1.0")


# --- what is GitHub's own


def test_a_github_app_from_key_to_pull_request(github: GitHubStage, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    form, none = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, form, none).decode()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    github.double.add_repository("other", {"README.md": "# Another\n"})
    granted = {"contents": "write", "pull_requests": "write", "metadata": "read", "statuses": "write"}
    app = github.double.add_app("4711", public.decode(), "manifests", "other", **granted)
    with behind_proxy(github, tmp_path / "scratch", ["api"]) as bench:
        env = {**bench.env, "PROMOTER_APP_ID": "4711", "PROMOTER_APP_PRIVATE_KEY": pem}
        del env["PROMOTER_TOKEN"]
        bench.env = env
        said = ""
        for tag in ("1.1.0", "1.2.0"):
            result = bench.run(bench.bump("api", tag, "--debug", "-v"))
            said += result.stdout + result.stderr
            one = bench.assert_converged("api", tag)
            commit = repos.log(github.git, one.head)[0]
            assert re.fullmatch(
                r"promoter-app\[bot\] <\d+\+promoter-app\[bot\]@users\.noreply\.127\.0\.0\.1>", commit.author
            )
    assert github.repo.pulls[1].author == "promoter-app[bot]"
    assert app.issued
    assert {token.repositories for token in app.issued} == {frozenset({"manifests"})}
    assert {name for token in app.issued for name in token.permissions} == {"contents", "pull_requests"}
    secrets = [token.text for token in app.issued] + [
        line for line in pem.splitlines() if "-----" not in line
    ]
    assert [secret for secret in secrets if secret in said] == []


SIGNED = "commit: {sign: forge}\n"


def test_commits_that_github_makes(github: GitHubStage, tmp_path: Path) -> None:
    with behind_proxy(github, tmp_path / "scratch", ["api"]) as bench:
        config = bench.play.read("main", ".promoter.yaml")
        bench.play.commit("main", {".promoter.yaml": config + SIGNED}, "Sign")
        base = repos.resolve(github.git, "main")
        bench.run(bench.bump("api", "1.1.0"))
        one = bench.assert_converged("api", "1.1.0")
        assert repos.log(github.git, one.head)[0].committer == "GitHub <noreply@github.com>"
        asked = [record for record in github.double.requests if "createCommitOnBranch" in str(record)]
        assert [record.body["variables"]["input"]["expectedHeadOid"] for record in asked] == [base]  # type: ignore[attr-defined]  # an ApiRecord
        assert bench.run(["sync"]).document["pull_requests"][0]["operation"] == "unchanged"
        bench.run(bench.bump("api", "1.2.0"))
        bench.assert_converged("api", "1.2.0")
    assert "promoter-signing" not in repos.git(github.git, "for-each-ref", "refs/heads")


def test_a_commit_that_github_makes_is_made_again_on_a_moved_base(
    github: GitHubStage, tmp_path: Path
) -> None:
    with behind_proxy(github, tmp_path / "scratch", ["api"]) as bench:
        config = bench.play.read("main", ".promoter.yaml")
        text = bench.play.read("main", file_of("api"))
        files = {".promoter.yaml": config + SIGNED, "envs/staging/api.yaml": text}
        bench.play.commit("main", files, "Sign")
        bench.proxy.after("POST /api/graphql$", lambda: bench.play.add({}))
        command = ["bump", "--env", "staging", "--image", "ghcr.io/acme/api:1.1.0"]
        result = bench.run(command)
        assert (status(result), result.document["attempts"]) == ("promoted", 2)
        commits = repos.log(github.git)
        assert commits[0].sha == result.document["commit_sha"]
        assert commits[0].committer == "GitHub <noreply@github.com>"
        assert commits[1].subject == "Unrelated 0"
        assert len([one for one in commits if "Promoter-Id" in one.trailers]) == 1
    assert "promoter-signing" not in repos.git(github.git, "for-each-ref", "refs/heads")


def test_a_merge_queue_is_left_alone(github: GitHubStage, tmp_path: Path) -> None:
    with behind_proxy(github, tmp_path / "scratch", ["api"]) as bench:
        github.repo.queue = True
        bench.run(bench.bump("api", "1.1.0"))
        head = bench.assert_converged("api", "1.1.0").head
        github.repo.pulls[1].queued = True
        result = bump(bench, "1.2.0")
        assert (result.code, status(result), result.document["reason"]) == (6, "refused", "queued")
        bench.play.commit("main", {file_of("api"): conflicting(bench)}, "A person's")
        result = bench.run(["sync"])
        assert (status(result), warnings(result)) == ("proposed", ["queued"])
        assert repos.resolve(github.git, BRANCH) == head
        assert github.repo.pulls[1].queued


def conflicting(bench: Bench) -> str:
    """The file with another image of ours on the same line: a merge of both would conflict."""
    return bench.play.read("main", file_of("api")).replace(":1.0.0", ":1.0.5")


# --- what is GitLab's own


def test_a_job_token_opens_merge_requests_by_its_pushes(gitlab: GitLabStage, tmp_path: Path) -> None:
    token = "glcbt-canary-2c9f7e0d15"
    gitlab.double.add_token(token, (), job=True)
    with behind_proxy(gitlab, tmp_path / "scratch", ["api"], "labels: [promotion]") as bench:
        bench.env = {
            "TMPDIR": bench.env["TMPDIR"],
            "GITLAB_CI": "true",
            "CI_SERVER_URL": bench.proxy.url_of(gitlab.double.url),
            "CI_PROJECT_PATH": PATH,
            "CI_JOB_TOKEN": token,
        }
        for tag, operation in (("1.1.0", "created"), ("1.2.0", "updated")):
            result = bench.run(bench.bump("api", tag))
            assert token not in result.stdout + result.stderr
            assert status(result) == "proposed"
            report = result.document["pull_requests"][0]
            assert (report["number"], report["operation"]) == (1, operation)
            one = bench.assert_converged("api", tag)
            assert one.labels == {"promotion"}
        bench.run(bench.bump("api", "1.2.0"))
        assert bench.assert_converged("api", "1.2.0").head == one.head
        assert len(gitlab.pull_requests()) == 1
    assert [each.line for each in gitlab.double.log if each.token == token] == []
