"""`promoter doctor` on Gitea and the doubles of GitHub and GitLab: what it sees, and that it only looks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
import yaml

from promoter.schema_files import read_schema
from tests.forges import stages
from tests.forges.stage_gitea import GiteaStage
from tests.forges.stage_github import GitHubStage
from tests.forges.stage_gitlab import GitLabStage
from tests.forges.test_app_token import pem, rsa_key
from tests.support import repos
from tests.support.cli import Result, run_promoter
from tests.support.gitea import Account
from tests.support.gitserver import GitHandler

Stage = GiteaStage | GitHubStage | GitLabStage
PULLS = {"labels": ["promotion"], "assignees": ["bob"], "reviewers": ["alice"], "auto-merge": "squash"}
ENVIRONMENTS: dict[str, Any] = {
    "staging": {"path": "envs/staging"},
    "production": {"path": "envs/production", "publish": "pull-request", "pull-request": PULLS},
}


@pytest.fixture(params=stages.PLACES)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    yield from staged(request.param, tmp_path)


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHubStage]:
    for one in staged("github", tmp_path):
        assert isinstance(one, GitHubStage)
        yield one


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[GitLabStage]:
    for one in staged("gitlab", tmp_path):
        assert isinstance(one, GitLabStage)
        yield one


@pytest.fixture
def gitea(tmp_path: Path) -> Iterator[GiteaStage]:
    for one in staged("gitea", tmp_path):
        assert isinstance(one, GiteaStage)
        yield one


def staged(name: str, tmp_path: Path) -> Iterator[Stage]:
    folder = tmp_path / "stage"
    folder.mkdir()
    with stages.factory(name)(folder) as made:
        stage = cast("Stage", made)
        configure(stage, tmp_path, ENVIRONMENTS)
        yield stage


def configure(stage: Stage, tmp_path: Path, environments: Any, **more: Any) -> None:
    """A first commit, or another one, with this configuration."""
    text = yaml.safe_dump({"version": 1, "environments": environments, **more}, sort_keys=False)
    repo = tmp_path / "first.git"
    if not repo.exists():
        repos.make_repo(repo, {"envs/staging/a.yaml": "image: ghcr.io/acme/api:1.0.0\n"})
    repos.commit_files(repo, {".promoter.yaml": text}, "Configure")
    if isinstance(stage, GiteaStage):
        stage.house.gitea.push_first(repo, stage.name, stage.house.people["bob"])
    else:
        repos.git(repo, "push", "--force", stage.push_url, "main")


def doctor(stage: Stage, *more: str, env: Any = None, code: int = 0) -> dict[tuple[str, str], Any]:
    """The checks by name and what they are about; the repository's are about "repository"."""
    environ = {**stage.environ, **(env or {})}
    result = run_promoter("doctor", "--manifest-repo", stage.url, "--output", "json", *more, env=environ)
    assert result.code == code, result
    assert_clean(result, stage.token)
    document = result.document
    jsonschema.validate(document, read_schema("outcome"))
    assert not document["changed"]
    assert (document["error"] is None) == (code == 0)
    here = stage.url.removesuffix(".git")
    return {
        (one["name"], "repository" if one["about"] == here else one["about"]): one
        for one in document["checks"]
    }


def assert_clean(result: Result, secret: str) -> None:
    assert secret not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def states(checks: dict[tuple[str, str], Any], *wanted: str) -> dict[tuple[str, str], str]:
    return {key: one["seen"] for key, one in checks.items() if one["state"] in (wanted or ("problem",))}


# --- everywhere


def test_nothing_is_wrong_where_nothing_is(stage: Stage) -> None:
    checks = doctor(stage)
    assert states(checks, "problem", "warning", "unknown", "skipped") == {}
    assert "from PROMOTER_TOKEN" in checks["credential", "repository"]["seen"]
    here = {key for key, one in checks.items() if one["state"] == "ok"}
    assert here >= {
        ("git", "this machine"),
        ("clock", "this machine"),
        ("read", "repository"),
        ("write", "repository"),
        ("protocol", "repository"),
        ("configuration", "repository"),
        ("role", "repository"),
        ("starts-checks", "repository"),
        ("push", "staging"),
        ("merge-method", "production"),
    }


def state_of(stage: Stage) -> Any:
    """All that a write would leave: refs, objects and hooks of the repository, and what the forge keeps."""
    refs = repos.git(stage.git, "for-each-ref", "--format=%(refname) %(objectname)")
    objects = repos.git(stage.git, "count-objects", "-v")
    kept: Any = stage.pull_requests()
    if isinstance(stage, GiteaStage):
        tables = ("issue", "label", "comment", "commit_status", "protected_branch", "pull_request", "review")
        kept = {table: stage.stored(f"SELECT * FROM {table}") for table in tables}  # noqa: S608 - names of ours
    elif isinstance(stage, GitHubStage):
        kept = repr((stage.repo.pulls, stage.repo.labels, stage.repo.statuses, stage.repo.protections))
    else:
        project = stage.project
        kept = repr((project.merge_requests, project.labels, project.statuses, project.protected))
    return refs, objects, kept


def test_nothing_is_written(stage: Stage, tmp_path: Path) -> None:
    gates = {**ENVIRONMENTS["production"], "after": "staging"}
    people = {**PULLS, "labels": ["unheard-of"], "reviewers": ["nobody"], "team-reviewers": ["sre"]}
    configure(stage, tmp_path, {**ENVIRONMENTS, "production": {**gates, "pull-request": people}})
    stage.protect(approvals=1, checks=["ci/test"])
    before = state_of(stage)
    log: list[Any] = []
    if isinstance(stage, GitHubStage | GitLabStage):
        stage.double.reset()
    checks = doctor(stage)
    assert state_of(stage) == before
    assert "nobody" in checks["people", "production"]["seen"]
    if isinstance(stage, GitHubStage | GitLabStage):
        log = list(stage.double.requests)
        assert log
        wrote = [(one.method, one.path) for one in log if one.method not in ("GET", "HEAD")]
        assert {path.rpartition("/")[2] for _, path in wrote} <= {"git-upload-pack", "graphql"}
        assert any("service=git-receive-pack" in one.query for one in log), "whether it may push was asked"
    if isinstance(stage, GitHubStage):
        names = {name for name in stage.double.calls() if name.startswith("POST")}
        assert names == {"POST /graphql settings", "POST /graphql protection"}


def test_a_token_that_may_not_push(stage: Stage) -> None:
    if isinstance(stage, GitHubStage):
        may = {"contents": "read", "pull_requests": "write"}
        token = stage.double.issue_token("github_pat_reader", kind="personal access token", **may).text
    elif isinstance(stage, GitLabStage):
        token = stage.double.add_token("glpat-reader", {"api"}, access="reporter").secret
    else:
        token = gitea_account(stage, "read").token
    checks = doctor(stage, env={"PROMOTER_TOKEN": token}, code=8)
    # Gitea lets readers begin a push, for the sake of its AGit flow: there the role tells.
    problem = checks["role" if stage.forge == "gitea" else "write", "repository"]
    assert (problem["state"], problem["exit"]) == ("problem", 8)
    assert problem["next"]


def gitea_account(stage: GiteaStage, permission: str) -> Account:
    """Somebody with this permission on the repository alone."""
    gitea = stage.house.gitea
    account = gitea.create_user(f"{permission}-{stage.name.rpartition('-')[2]}")
    gitea.api("PUT", f"/repos/{stage.name}/collaborators/{account.name}", {"permission": permission})
    return account


def test_no_token_where_pull_requests_take_one(github: GitHubStage) -> None:
    # GitHub has no anonymous reader of a private repository: the run ends before there is a configuration.
    checks = doctor(github, env={"PROMOTER_TOKEN": ""}, code=8)
    assert set(states(checks)) == {("read", "repository")}
    assert checks["configuration", "repository"]["state"] == "skipped"


def test_what_is_said_to_people(github: GitHubStage) -> None:
    github.allow(auto_merge=False, methods=["merge"])
    result = run_promoter("doctor", "--manifest-repo", github.url, env=github.environ)
    assert result.code == 0
    assert_clean(result, github.token)
    lines = result.stdout.splitlines()
    headings = [line for line in lines if line and not line.startswith(" ")]
    here = github.url.removesuffix(".git")
    assert headings[:-1] == ["this machine", here, "staging", "production"]
    [about] = [number for number, line in enumerate(lines) if "merge-method" in line]
    assert lines[about].split()[:2] == ["warning", "merge-method"]
    assert lines[about + 1].strip().startswith("why: ")
    assert lines[about + 2].strip().startswith("next: allow squash")
    assert "\x1b" not in result.stdout


# --- GitHub


def test_a_ruleset_against_pushes(github: GitHubStage) -> None:
    github.protect(approvals=1, checks=["ci/test"], up_to_date=True, ruleset=True)
    checks = doctor(github, code=8)
    assert "a pull request is required" in checks["push", "staging"]["seen"]
    assert "publish: pull-request" in checks["push", "staging"]["next"]
    assert "up to date" in checks["up-to-date", "production"]["seen"]
    github.repo.bypasses.add("promoter-bot")
    assert states(doctor(github)) == {}
    assert states(doctor(github, "production")) == {}


def test_a_branch_protection_against_pushes(github: GitHubStage) -> None:
    may = {"contents": "write", "pull_requests": "write", "issues": "write"}
    token = github.double.issue_token("github_pat_writer", kind="personal access token", **may).text
    github.protect(checks=["ci/test"])
    checks = doctor(github, env={"PROMOTER_TOKEN": token}, code=8)
    assert "requires status checks" in checks["push", "staging"]["seen"]
    assert states(doctor(github)) == {}, "an administrator's token passes"
    github.repo.protections["main"].administrators = True
    assert set(states(doctor(github, code=8))) == {("push", "staging")}


def test_settings_that_keep_from_merging(github: GitHubStage) -> None:
    github.allow(auto_merge=False, methods=["merge"])
    found = states(doctor(github), "warning")
    assert set(found) == {("merge-method", "production"), ("auto-merge", "production")}
    assert "allow merge" in found["merge-method", "production"]


def test_a_merge_queue_decides_how_to_merge(github: GitHubStage) -> None:
    github.allow(methods=["merge"])
    github.repo.queue = True
    checks = doctor(github, "production")
    assert ("merge-queue", "production") in states(checks, "ok")
    assert states(checks, "warning") == {}


@pytest.mark.parametrize("required", [True, False])
def test_whether_the_gate_is_required(github: GitHubStage, tmp_path: Path, required: bool) -> None:
    gated = {**ENVIRONMENTS["production"], "freeze": [{"from": "Fri 16:00", "to": "Mon 08:00"}]}
    github.protect(checks=["promoter/gate"] if required else ["ci/test"])
    assert (("gate", "production") in states(doctor(github), "warning")) == required, "nothing closes it"
    github.repo.protections.clear()
    stage_git_unprotected(github)
    configure(github, tmp_path, {**ENVIRONMENTS, "production": gated})
    github.protect(checks=["promoter/gate"] if required else ["ci/test"])
    assert (("gate", "production") in states(doctor(github), "warning")) != required


def stage_git_unprotected(stage: GitHubStage) -> None:
    (stage.git / "protected-refs").write_text("")


def test_people_teams_and_labels_that_are_not_there(github: GitHubStage, tmp_path: Path) -> None:
    pulls = {
        "labels": ["promotion", "news"],
        "assignees": ["bob", "zoe"],
        "reviewers": ["alice", "yan"],
        "team-reviewers": ["sre", "ops"],
    }
    production = {**ENVIRONMENTS["production"], "pull-request": pulls}
    configure(github, tmp_path, {**ENVIRONMENTS, "production": production})
    seen = doctor(github)["people", "production"]["seen"]
    assert seen.endswith(": label news, assignee zoe, reviewer yan, team ops")


@pytest.mark.parametrize(
    ("scopes", "state"), [("repo", "ok"), ("read:org, read:user", "problem"), ("public_repo", "ok")]
)
def test_scopes_of_a_classic_token(github: GitHubStage, scopes: str, state: str) -> None:
    token = github.double.issue_token("ghp_scoped")
    token.scopes = scopes
    checks = doctor(github, env={"PROMOTER_TOKEN": token.text}, code=8 if state == "problem" else 0)
    assert checks["scopes", "repository"]["state"] == state


def test_github_tells_nothing_of_fine_grained_tokens(github: GitHubStage) -> None:
    may = {"contents": "write", "pull_requests": "write", "issues": "read"}
    token = github.double.issue_token("github_pat_fine", kind="personal access token", **may).text
    checks = doctor(github, env={"PROMOTER_TOKEN": token})
    assert "fine-grained" in checks["credential", "repository"]["seen"]
    assert checks["scopes", "repository"]["state"] == "unknown"
    assert "Pull requests: write" in checks["scopes", "repository"]["next"]


def test_the_jobs_own_token_starts_no_checks(github: GitHubStage) -> None:
    may = {"contents": "write", "pull_requests": "write", "issues": "read"}
    token = github.double.issue_token("ghs_job", kind="integration", **may).text
    job = {
        "PROMOTER_TOKEN": "",
        "GITHUB_TOKEN": token,
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": github.double.url,
        "GITHUB_REPOSITORY": github.repo.full_name,
    }
    checks = doctor(github, env=job)
    assert checks["credential", "repository"]["seen"].endswith("from GITHUB_TOKEN")
    assert checks["starts-checks", "repository"]["state"] == "warning"
    assert "GitHub App" in checks["starts-checks", "repository"]["next"]
    assert ("starts-checks", "repository") not in doctor(github, "staging", env=job)


@pytest.mark.parametrize(("login", "state"), [("github-actions[bot]", "warning"), ("our-app[bot]", "ok")])
def test_whose_installation_a_token_is(github: GitHubStage, login: str, state: str) -> None:
    """As PROMOTER_TOKEN a job's own token looks like the one that another step got for an App."""
    may = {"contents": "write", "pull_requests": "write", "issues": "read"}
    token = github.double.issue_token("ghs_given", login, kind="integration", **may).text
    checks = doctor(github, env={"PROMOTER_TOKEN": token})
    assert checks["starts-checks", "repository"]["state"] == state
    assert checks["scopes", "repository"]["state"] == "unknown"


@pytest.mark.parametrize("granted", [{"pull_requests": "write"}, {}])
def test_what_a_github_app_has_not_been_granted(
    github: GitHubStage, tmp_path: Path, granted: dict[str, str]
) -> None:
    from cryptography.hazmat.primitives import serialization

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = rsa_key().public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    github.double.add_app(
        "1234", public, "manifests", contents="write", statuses="write", checks="read", **granted
    )
    app = {"PROMOTER_TOKEN": "", "PROMOTER_APP_ID": "1234", "PROMOTER_APP_PRIVATE_KEY": pem()}
    production = {**ENVIRONMENTS["production"], "pull-request": {"auto-merge": "squash"}}
    configure(github, tmp_path, {**ENVIRONMENTS, "production": production})
    checks = doctor(github, env=app, code=0 if granted else 8)
    if granted:
        assert checks["credential", "repository"]["seen"].startswith("a GitHub App's token")
        assert checks["scopes", "repository"]["state"] == "ok"
    else:
        assert "Pull requests: write" in states(checks)["credential", "repository"]


def test_a_repository_that_the_token_does_not_know(github: GitHubStage) -> None:
    token = github.double.issue_token("ghp_elsewhere")
    token.repositories = frozenset({"another"})
    checks = doctor(github, env={"PROMOTER_TOKEN": token.text}, code=8)
    assert states(checks)
    assert all(one["next"] for one in checks.values() if one["state"] == "problem")


def test_an_archived_repository(github: GitHubStage) -> None:
    github.archive()
    assert ("archived", "repository") in states(doctor(github, code=8))


# --- GitLab


def test_a_gitlab_token_without_the_api(gitlab: GitLabStage) -> None:
    found = states(doctor(gitlab, env=gitlab.weak_token(), code=8))
    assert "insufficient_scope" in found["token", "repository"]
    assert states(doctor(gitlab, "staging", env=gitlab.weak_token())) == {}, "it is good for pushes"


def test_a_gitlab_token_of_a_person_that_ends_soon(gitlab: GitLabStage) -> None:
    token = gitlab.double.add_token("glpat-short", {"api"}, user="bob", expires="2020-01-01").secret
    checks = doctor(gitlab, env={"PROMOTER_TOKEN": token})
    assert "personal access token of GitLab" in checks["credential", "repository"]["seen"]
    assert checks["expiry", "repository"]["state"] == "warning"


def test_a_gitlab_job_token(gitlab: GitLabStage) -> None:
    gitlab.double.add_token("glcbt-job", set(), job=True)
    job = {"PROMOTER_TOKEN": "", "CI_JOB_TOKEN": "glcbt-job", "CI_SERVER_URL": gitlab.double.url}
    checks = doctor(gitlab, env=job)
    assert checks["credential", "repository"]["seen"].endswith("from CI_JOB_TOKEN")
    assert checks["starts-checks", "repository"]["state"] == "warning"
    assert checks["branch", "production"]["state"] == "skipped"
    gitlab.project.job_token_pushes = False
    assert ("write", "repository") in states(doctor(gitlab, env=job, code=8))


def test_a_protected_branch_of_gitlab(gitlab: GitLabStage) -> None:
    gitlab.double.protect_branch(gitlab.project, "main")
    assert set(states(doctor(gitlab, code=8))) == {("push", "staging")}
    assert states(doctor(gitlab, "production")) == {}


def test_a_gitlab_project_decides_how_to_merge(gitlab: GitLabStage) -> None:
    gitlab.allow(methods=["merge"])
    assert "allow merge" in states(doctor(gitlab), "warning")["merge-method", "production"]


# --- Gitea


def test_gitea_tells_scopes_when_it_refuses(gitea: GiteaStage) -> None:
    assert doctor(gitea)["scopes", "repository"]["seen"] == "scopes: write:issue, write:repository"
    narrow = gitea.house.gitea.create_token("promoter", "write:repository")
    checks = doctor(gitea, env={"PROMOTER_TOKEN": narrow}, code=8)
    assert "write:issue" in checks["scopes", "repository"]["next"]
    assert states(doctor(gitea, "staging", env={"PROMOTER_TOKEN": narrow})) == {}


def test_gitea_shows_a_rule_to_administrators_alone(gitea: GiteaStage) -> None:
    gitea.protect(approvals=1, up_to_date=True)
    assert doctor(gitea)["up-to-date", "production"]["state"] == "ok"
    token = gitea_account(gitea, "write").token
    checks = doctor(gitea, env={"PROMOTER_TOKEN": token})
    assert checks["up-to-date", "production"]["state"] == "unknown"
    assert "administrators" in checks["up-to-date", "production"]["seen"]


def test_a_branch_of_gitea_that_takes_no_pushes(gitea: GiteaStage) -> None:
    gitea.house.gitea.protect(gitea.name, "main", enable_push=False)
    assert set(states(doctor(gitea, code=8))) == {("push", "staging")}


# --- the clock


def test_a_clock_that_is_off(github: GitHubStage, monkeypatch: pytest.MonkeyPatch) -> None:
    late = "Wed, 01 Jan 2020 00:00:00 GMT"
    monkeypatch.setattr(GitHandler, "date_time_string", lambda *_: late)
    checks = doctor(github)
    assert checks["clock", "this machine"]["state"] == "warning"
    assert "ahead of the server's" in checks["clock", "this machine"]["seen"]
