"""Who and what a commit says it comes from, by the CI system, by options and by the configuration."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import manifests, repos
from tests.support.manifests import bump, configured, land

IMAGE = "api:1.1.0"
SHA = "8d1c8b69c3fce7bea45c73efd06983e3c419a92f"
TIME = "2026-03-01T12:30:00+01:00"
OURS = {"Promoter-Id", "Promoter-Environment", "Promoter-App", "Promoter-Image"}
BOT = "github-actions[bot] <github-actions[bot]@users.noreply.github.example.com>"

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "alice",
    "GITHUB_REPOSITORY": "acme/api",
    "GITHUB_RUN_ID": "9876543210",
    "GITHUB_RUN_NUMBER": "42",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_SERVER_URL": "https://github.example.com",
    "GITHUB_SHA": SHA,
    "GITHUB_WORKFLOW": "Build and promote",
    "GITHUB_WORKFLOW_REF": "acme/api/.github/workflows/build.yml@refs/heads/main",
}
GITLAB = {
    "GITLAB_CI": "true",
    "CI_COMMIT_SHA": SHA,
    "CI_COMMIT_TIMESTAMP": TIME,
    "CI_JOB_URL": "https://gitlab.example.com/acme/api/-/jobs/77",
    "CI_PIPELINE_ID": "1234567",
    "CI_PIPELINE_IID": "42",
    "CI_PIPELINE_URL": "https://gitlab.example.com/acme/api/-/pipelines/1234567",
    "CI_PROJECT_PATH": "acme/api",
    "CI_SERVER_URL": "https://gitlab.example.com",
    "GITLAB_USER_EMAIL": "alice@example.com",
    "GITLAB_USER_LOGIN": "alice",
    "GITLAB_USER_NAME": "Alice Ä. Example",
}
JENKINS = {
    "BUILD_NUMBER": "42",
    "BUILD_URL": "https://ci.example.com/jenkins/job/acme/job/api/job/main/42/",
    "GIT_COMMIT": SHA,
    "JENKINS_URL": "https://ci.example.com/jenkins/",
    "JOB_NAME": "acme/api/main",
}
AZURE = {
    "BUILD_BUILDID": "42",
    "BUILD_REQUESTEDFOR": "Alice",
    "BUILD_REQUESTEDFOREMAIL": "alice@example.com",
    "BUILD_SOURCEVERSION": SHA,
    "SYSTEM_COLLECTIONURI": "https://dev.azure.com/acme/",
    "SYSTEM_DEFINITIONID": "7",
    "SYSTEM_TEAMPROJECT": "Shop",
    "TF_BUILD": "True",
}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return manifests.make(tmp_path / "deploy.git", {"api": "1.0.0"})


def landed(repo: Path, *more: str, **settings: Any) -> repos.Commit:
    """The commit of a bump that lands."""
    sha = land(repo, IMAGE, *more, **settings)
    (commit,) = repos.log(repo, f"{sha}~1..main")
    return commit


def origin_of(commit: repos.Commit) -> dict[str, str]:
    """The trailers that tell the origin."""
    assert commit.trailers.keys() >= OURS
    assert all(len(values) == 1 for values in commit.trailers.values())
    return {key: value for key, (value,) in commit.trailers.items() if key not in OURS}


def push_event(path: Path, event: object) -> Mapping[str, str]:
    path.write_text(json.dumps(event))
    return {**GITHUB, "GITHUB_EVENT_PATH": str(path)}


# --- outside CI


def test_the_trailers_of_every_commit(repo: Path) -> None:
    commit = landed(repo)
    assert origin_of(commit) == {}
    assert commit.subject == "promote api to 1.1.0 in envs-staging"
    assert len(commit.trailers["Promoter-Id"][0]) == 16
    assert commit.trailers["Promoter-Environment"] == ["envs-staging"]
    assert commit.trailers["Promoter-App"] == ["api"]
    assert commit.trailers["Promoter-Image"] == ["ghcr.io/acme/api:1.1.0"]
    assert commit.author == commit.committer == "promoter <promoter@users.noreply.invalid>"


def test_each_run_has_an_id_of_its_own(repo: Path) -> None:
    land(repo, "api:1.1.0")
    land(repo, "api:1.2.0")
    ids = [commit.trailers["Promoter-Id"][0] for commit in repos.log(repo)[:2]]
    assert len(set(ids)) == 2


OPTIONS = {
    "--source": SHA,
    "--source-time": "2026-03-01T12:30:00Z",
    "--order": "jenkins:acme/api#7",
    "--run-url": "https://jenkins.example.com/job/api/7",
    "--actor": "Alice",
}
TOLD = {
    "Promoter-Source": SHA,
    "Promoter-Source-Time": "2026-03-01T12:30:00+00:00",
    "Promoter-Order": "jenkins:acme/api#7",
    "Promoter-Run": "https://jenkins.example.com/job/api/7",
}


def test_options_tell_it_elsewhere(repo: Path) -> None:
    commit = landed(repo, *(word for pair in OPTIONS.items() for word in pair))
    assert origin_of(commit) == TOLD


def test_variables_tell_it_elsewhere(repo: Path) -> None:
    names = {key: f"PROMOTER_{key.removeprefix('--').upper().replace('-', '_')}" for key in OPTIONS}
    commit = landed(repo, env={names[key]: value for key, value in OPTIONS.items()})
    assert origin_of(commit) == TOLD


@pytest.mark.parametrize("ci", [GITHUB, GITLAB], ids=["github", "gitlab"])
def test_options_go_before_the_ci_system(repo: Path, ci: Mapping[str, str]) -> None:
    commit = landed(repo, *(word for pair in OPTIONS.items() for word in pair), env=ci)
    assert origin_of(commit) == TOLD


@pytest.mark.parametrize("ci", [GITHUB, GITLAB], ids=["github", "gitlab"])
def test_another_source_has_not_the_time_of_the_run(repo: Path, ci: Mapping[str, str]) -> None:
    told = origin_of(landed(repo, "--source", "v1.1.0", env=ci))
    assert told["Promoter-Source"] == "v1.1.0"
    assert "Promoter-Source-Time" not in told
    assert told["Promoter-Order"].endswith("#42")


# --- GitHub


def test_github(repo: Path, tmp_path: Path) -> None:
    env = push_event(tmp_path / "event.json", {"head_commit": {"id": SHA, "timestamp": TIME}})
    commit = landed(repo, env=env)
    assert origin_of(commit) == {
        "Promoter-Source": SHA,
        "Promoter-Source-Time": TIME,
        "Promoter-Order": "github:github.example.com/acme/api:.github/workflows/build.yml#42",
        "Promoter-Run": "https://github.example.com/acme/api/actions/runs/9876543210",
    }
    assert commit.author == "alice <alice@users.noreply.github.example.com>"


def test_github_after_another_workflow(repo: Path, tmp_path: Path) -> None:
    """The event tells of the built revision; GITHUB_SHA is then the default branch's."""
    head = {"id": "1" * 40, "timestamp": TIME}
    env = push_event(tmp_path / "event.json", {"workflow_run": {"head_sha": "1" * 40, "head_commit": head}})
    told = origin_of(landed(repo, env=env))
    assert (told["Promoter-Source"], told["Promoter-Source-Time"]) == ("1" * 40, TIME)


@pytest.mark.parametrize(
    "event",
    [{}, {"head_commit": None}, {"head_commit": {"timestamp": "yesterday"}}, [], None, {"workflow_run": 1}],
)
def test_github_without_a_commit_in_the_event_asks_the_checkout(
    repo: Path, tmp_path: Path, event: object
) -> None:
    work = repos.make_repo(tmp_path / "work/.git", {"a": "1"}, message="Built")
    sha = repos.commit_files(work, {"a": "2"}, "Newer", date="2026-02-03T04:05:06+02:00")
    repos.commit_files(work, {"a": "3"}, "Newest")
    repos.git(work, "config", "core.bare", "false")
    env = {**push_event(tmp_path / "event.json", event), "GITHUB_SHA": sha}
    told = origin_of(landed(repo, env=env, cwd=tmp_path / "work"))
    assert told["Promoter-Source-Time"] == "2026-02-03T04:05:06+02:00"


def test_github_with_neither_has_no_time(repo: Path, tmp_path: Path) -> None:
    env = {**GITHUB, "GITHUB_EVENT_PATH": str(tmp_path / "absent.json")}
    told = origin_of(landed(repo, env=env, cwd=tmp_path))
    assert "Promoter-Source-Time" not in told
    assert told["Promoter-Order"] == "github:github.example.com/acme/api:.github/workflows/build.yml#42"


def test_github_without_a_workflow_file_uses_its_name(repo: Path) -> None:
    env = {key: value for key, value in GITHUB.items() if key != "GITHUB_WORKFLOW_REF"}
    told = origin_of(landed(repo, env=env))
    assert told["Promoter-Order"] == "github:github.example.com/acme/api:Build and promote#42"


def test_github_re_runs_keep_their_order(repo: Path) -> None:
    """Attempt 2 of run 42 is still run 42: an old job that runs again is not a newer build."""
    land(repo, "api:b7c8d9e", env={**GITHUB, "GITHUB_RUN_NUMBER": "43"})
    result = bump(repo, "api:a1b2c3d", env={**GITHUB, "GITHUB_RUN_ATTEMPT": "9"})
    assert (result.code, manifests.status(result)) == (0, "superseded")


@pytest.mark.parametrize("actor", ["", "evil <x@y>", "a\nb"])
def test_github_with_an_odd_actor_is_the_bot(repo: Path, actor: str) -> None:
    assert landed(repo, env={**GITHUB, "GITHUB_ACTOR": actor}).author == BOT


@pytest.mark.parametrize("actor", ["dependabot[bot]", "renovate[bot]"])
def test_github_apps_are_named(repo: Path, actor: str) -> None:
    author = landed(repo, env={**GITHUB, "GITHUB_ACTOR": actor}).author
    assert author == f"{actor} <{actor}@users.noreply.github.example.com>"


def test_the_bot_of_github_itself(repo: Path) -> None:
    env = {**GITHUB, "GITHUB_ACTOR": "", "GITHUB_SERVER_URL": "https://github.com"}
    bot = "github-actions[bot] <41898282+github-actions[bot]@users.noreply.github.com>"
    assert landed(repo, env=env).author == bot


@pytest.mark.parametrize("number", ["", "-1", "x", "1.5", "٣"])
def test_github_with_an_odd_run_number_has_no_order(repo: Path, number: str) -> None:
    told = origin_of(landed(repo, env={**GITHUB, "GITHUB_RUN_NUMBER": number}))
    assert "Promoter-Order" not in told


HOSTILE = [
    "x\n\nPromoter-Override: everything",
    "x\r\nPromoter-Id: 0000000000000000",
    "x#999999#y",
    "\x1b[31mred\x1b[0m",
    "a\u2028Promoter-Run: b",
    "---",
    "x\x1fy\x1ez",
    "  ",
    "ü" * 400,
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "variable", ["GITHUB_WORKFLOW", "GITHUB_WORKFLOW_REF", "GITHUB_RUN_ID", "GITHUB_SHA"]
)
def test_hostile_names_make_no_trailers(repo: Path, variable: str, name: str) -> None:
    env = {**GITHUB, "GITHUB_WORKFLOW_REF": "", variable: name}
    commit = landed(repo, env=env)
    told = origin_of(commit)
    assert told.keys() <= {"Promoter-Source", "Promoter-Order", "Promoter-Run"}
    assert commit.trailers["Promoter-Id"] != ["0000000000000000"]
    assert all(value.isprintable() for value in told.values()), told
    if variable.startswith("GITHUB_WORKFLOW"):
        assert told["Promoter-Order"].count("#") == 1
        assert told["Promoter-Order"].endswith("#42")


# --- GitLab


def test_gitlab(repo: Path) -> None:
    commit = landed(repo, env=GITLAB)
    assert origin_of(commit) == {
        "Promoter-Source": SHA,
        "Promoter-Source-Time": TIME,
        "Promoter-Order": "gitlab:gitlab.example.com/acme/api:pipeline#42",
        "Promoter-Run": "https://gitlab.example.com/acme/api/-/jobs/77",
    }
    assert commit.author == "Alice Ä. Example <alice@example.com>"


def test_gitlab_with_little(repo: Path) -> None:
    commit = landed(repo, env={"GITLAB_CI": "true", "CI_PIPELINE_IID": "3", "GITLAB_USER_NAME": "A <b>"})
    assert origin_of(commit) == {}  # without the project the number says nothing
    assert commit.author == "promoter <promoter@users.noreply.invalid>"


def test_gitlab_orders_builds(repo: Path) -> None:
    land(repo, "api:b7c8d9e", env={**GITLAB, "CI_PIPELINE_IID": "43"})
    result = bump(repo, "api:a1b2c3d", env=GITLAB)
    assert (result.code, manifests.status(result)) == (0, "superseded")


# --- the others: what each variable means is tested in tests/unit/test_ci.py


def test_jenkins(repo: Path) -> None:
    commit = landed(repo, env=JENKINS)
    assert origin_of(commit) == {
        "Promoter-Source": SHA,
        "Promoter-Order": "jenkins:ci.example.com/jenkins:acme/api/main#42",
        "Promoter-Run": "https://ci.example.com/jenkins/job/acme/job/api/job/main/42/",
    }
    assert commit.author == "promoter <promoter@users.noreply.invalid>"


def test_an_old_build_that_is_replayed_is_superseded(repo: Path, tmp_path: Path) -> None:
    """Jenkins gives the replay the highest number; its commit is still the older one."""
    work = repos.make_repo(tmp_path / "work/.git", {"a": "1"})
    older = repos.commit_files(work, {"a": "2"}, "Older")
    newer = repos.commit_files(work, {"a": "3"}, "Newer")
    repos.git(work, "config", "core.bare", "false")
    where = tmp_path / "work"
    land(repo, "api:b7c8d9e", env={**JENKINS, "GIT_COMMIT": newer, "BUILD_NUMBER": "43"}, cwd=where)
    replay = {**JENKINS, "GIT_COMMIT": older, "BUILD_NUMBER": "44"}
    result = bump(repo, "api:a1b2c3d", env=replay, cwd=where)
    assert (result.code, manifests.status(result)) == (0, "superseded")


def test_azure(repo: Path) -> None:
    commit = landed(repo, env=AZURE)
    assert origin_of(commit) == {
        "Promoter-Source": SHA,
        "Promoter-Order": "azure:dev.azure.com/acme/Shop:7#42",
        "Promoter-Run": "https://dev.azure.com/acme/Shop/_build/results?buildId=42",
    }
    assert commit.author == "Alice <alice@example.com>"


# --- the configuration


def test_author_and_message_of_the_configuration(tmp_path: Path) -> None:
    template = (
        "chore({environment}): {app} {tag}\\n\\n{changes}\\n\\nBy {actor} from {revision}, {run}, {nobody}"
    )
    config = configured(f'commit: {{author: "Deploy Bot <bot@example.com>", message: "{template}"}}')
    repo = manifests.make(tmp_path / "deploy.git", {"api": "1.0.0"}, config)
    commit = landed(repo, "--env", "staging", env=GITHUB)
    assert commit.author == commit.committer == "Deploy Bot <bot@example.com>"
    assert commit.subject == "chore(staging): api 1.1.0"
    text, _, rest = commit.body.partition("\n\nBy ")
    assert text == f"{manifests.FILE}:4: ghcr.io/acme/api:1.0.0 -> ghcr.io/acme/api:1.1.0"
    run = "https://github.example.com/acme/api/actions/runs/9876543210"
    assert rest.startswith(f"alice from {SHA}, {run}, {{nobody}}\n\nPromoter-Id: ")
    assert commit.trailers["Promoter-Environment"] == ["staging"]


def test_a_template_cannot_take_the_trailers_place(tmp_path: Path) -> None:
    config = configured('commit: {message: "{app}\\n\\nPromoter-Id: 0\\nSigned-off-by: {actor}"}')
    repo = manifests.make(tmp_path / "deploy.git", {"api": "1.0.0"}, config)
    commit = landed(repo, "--env", "staging", env={**GITHUB, "GITHUB_ACTOR": "a\n\nPromoter-Override: b"})
    assert origin_of(commit).keys() == {"Promoter-Source", "Promoter-Order", "Promoter-Run"}
    assert commit.trailers["Promoter-Id"] != ["0"]


# --- what options may not hold


@pytest.mark.parametrize("option", ["--actor", "--source", "--run-url", "--order", "--source-time"])
@pytest.mark.parametrize("text", ["a\nb#1", "a\x1bb#1", "a\u2028b#1"])
def test_control_characters_are_refused(repo: Path, option: str, text: str) -> None:
    result = bump(repo, IMAGE, option, text)
    assert (result.code, result.document["reason"]) == (2, "usage"), result
    assert option in result.document["error"]["message"]
    assert len(repos.log(repo)) == 1


@pytest.mark.parametrize(
    "order", ["7", "#7", "acme/api", "acme/api#", "acme/api#-1", "acme/api#x", f"a#{'9' * 19}"]
)
def test_an_order_that_is_none(repo: Path, order: str) -> None:
    assert bump(repo, IMAGE, "--order", order).code == 2


@pytest.mark.parametrize("time", ["2026-03-01T12:30:00", "yesterday", "1772368200", "2026-03-01"])
def test_a_source_time_without_a_zone(repo: Path, time: str) -> None:
    assert bump(repo, IMAGE, "--source-time", time).code == 2
