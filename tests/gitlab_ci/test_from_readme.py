"""README and the pages that it links to, taken at their word: what they say to paste, in whole pipelines.

Only addresses and tokens are others than on the page. The manifest repository is on the instance that runs
the pipeline, unless CI_SERVER_URL says otherwise.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.forges.stage_gitlab import TOKEN, WEAK_TOKEN, GitLabStage, gitlab_stage
from tests.support import repos
from tests.support.cli import REPOSITORY
from tests.support.gitlab_ci_local import TEMPLATE, GitLabProject, PipelineRun
from tests.support.gitserver import GitServer, Proxy
from tests.support.tls import make_ca

JOB = "promoter-bump"
JOB_TOKEN = "glcbt-canary-2b7e90d4"
IMAGE = "registry.example.com/acme/api"
FILE = "envs/production/api.yaml"


def pasted(page: str, holding: str) -> str:
    """The one YAML block of a page that holds this text."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    [block] = [
        one for one in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE) if holding in one
    ]
    return str(block)


def address(stage: GitLabStage) -> str:
    """As a person copies it from the browser, and as README has it; Git is redirected from there."""
    return stage.url.removesuffix(".git")


def project_of(folder: Path, stage: GitLabStage, variables: Mapping[str, str] | None = None) -> GitLabProject:
    """A project with README's lines in its pipeline, and these variables at the job, as the how-to says."""
    repos.commit_files(stage.git, {FILE: f"image: {IMAGE}:1.0.0\n"}, "Production")
    lines = pasted("README.md", "- remote:")
    assert "https://gitlab.com/acme/deploy" in lines
    pipeline = re.sub(r"remote: \S+", f"local: {TEMPLATE}", lines)
    pipeline = pipeline.replace("https://gitlab.com/acme/deploy", address(stage))
    if variables is not None:
        [name] = yaml.safe_load(pasted("docs/how-to/private-ca-and-proxy.md", f"{JOB}:"))
        pipeline += yaml.safe_dump({name: {"variables": dict(variables)}})
    return GitLabProject.make(folder, {".gitlab-ci.yml": pipeline})


def run_of(project: GitLabProject, server: str, **variables: str) -> PipelineRun:
    """The pipeline on the instance at this address, whose jobs have a token of their own."""
    given = {"CI_REGISTRY_IMAGE": IMAGE, "CI_JOB_TOKEN": JOB_TOKEN, **variables}
    return project.run(variables=given, predefined={"CI_SERVER_URL": server})


def message(run: PipelineRun, code: int) -> str:
    """The one message of the job that ended with this code."""
    assert run.exit_codes == {JOB: code}, run.log
    job, _, _ = run.log.partition(f" FAIL  {JOB}")  # behind which it is all said again
    _, error, told = job.partition("> error: ")
    assert error
    assert "> error: " not in told
    return told


def assert_proposed(stage: GitLabStage, project: GitLabProject, run: PipelineRun) -> None:
    assert run.exit_codes == {JOB: 0}, run.log
    tag = repos.git(project.folder, "rev-parse", "HEAD")[:8]
    [request] = stage.pull_requests()
    changed = repos.git(stage.git, "diff", "--unified=0", "main", request.branch).splitlines()
    assert changed[-2:] == [f"-image: {IMAGE}:1.0.0", f"+image: {IMAGE}:{tag}"]


def holding(folder: Path, text: str) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if text.encode() in path.read_bytes()]


def test_the_pasted_lines_open_a_merge_request(tmp_path: Path) -> None:
    with gitlab_stage(tmp_path) as stage:
        project = project_of(tmp_path / "api", stage)
        run = run_of(project, stage.double.url, PROMOTER_TOKEN=TOKEN)
        assert_proposed(stage, project, run)
        [request] = stage.pull_requests()
        assert f"{address(stage)}/-/merge_requests/{request.number}" in run.log


def test_behind_a_private_ca_and_a_proxy_and_no_token_goes_astray(tmp_path: Path) -> None:
    ca, *tls = make_ca(tmp_path / "tls")
    with (
        gitlab_stage(tmp_path, tls=(tls[0], tls[1])) as stage,
        GitServer(tmp_path / "elsewhere") as elsewhere,
        Proxy() as proxy,
    ):
        said = yaml.safe_load(pasted("docs/how-to/private-ca-and-proxy.md", f"{JOB}:"))[JOB]["variables"]
        assert set(said) == {"GIT_SSL_CAINFO", "HTTPS_PROXY"}
        project = project_of(tmp_path / "api", stage, {"HTTPS_PROXY": proxy.url})
        also = {"PROMOTER_TOKEN": TOKEN, "HTTP_PROXY": proxy.url, "CI_API_V4_URL": f"{elsewhere.url}/api/v4"}
        untrusting = run_of(project, stage.double.url, **also)
        told = message(untrusting, 9)
        assert "certificate" in told
        assert "GIT_SSL_CAINFO" in told

        run = run_of(project, stage.double.url, **also, GIT_SSL_CAINFO=str(ca))
        assert_proposed(stage, project, run)
        assert set(proxy.targets) == {f"127.0.0.1:{stage.double.port}"}
        assert elsewhere.requests == []
    assert holding(project.folder, IMAGE)
    for token in (TOKEN, JOB_TOKEN):
        assert token not in run.log + untrusting.log
        assert holding(project.folder, token) == []


def test_a_job_token_proposes_where_the_project_lets_it_push(tmp_path: Path) -> None:
    with gitlab_stage(tmp_path) as stage:
        stage.double.add_token(JOB_TOKEN, (), job=True)
        project = project_of(tmp_path / "api", stage)
        stage.project.job_token_pushes = False
        refused = run_of(project, stage.double.url)
        assert "Job token permissions > Allow Git push requests to the repository" in message(refused, 8)
        assert stage.pull_requests() == []

        stage.project.job_token_pushes = True
        assert_proposed(stage, project, run_of(project, stage.double.url))


def test_a_job_token_of_another_instance_is_not_sent(tmp_path: Path) -> None:
    with gitlab_stage(tmp_path) as stage:
        stage.double.add_token(JOB_TOKEN, (), job=True)
        run = run_of(project_of(tmp_path / "api", stage), "https://gitlab.example.com")
        told = message(run, 8)
        assert "set PROMOTER_TOKEN" in told
        assert "CI_JOB_TOKEN is for https://gitlab.example.com alone" in told
        assert stage.double.requests
        assert not any(request.authorization for request in stage.double.requests)


def test_a_token_without_the_scope_ends_in_one_message(tmp_path: Path) -> None:
    with gitlab_stage(tmp_path) as stage:
        run = run_of(project_of(tmp_path / "api", stage), stage.double.url, PROMOTER_TOKEN=WEAK_TOKEN)
        told = message(run, 8)
        assert "the scope `api`" in told
        assert "Developer role" in told
        assert stage.pull_requests() == []
