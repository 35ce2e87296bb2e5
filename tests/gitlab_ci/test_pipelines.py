"""The template in whole pipelines: through `include` with inputs, to a manifest repository behind HTTP."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.forges.stage_gitlab import TOKEN, GitLabStage, gitlab_stage
from tests.support import repos
from tests.support.cli import REPOSITORY
from tests.support.gitlab_ci_local import TEMPLATE, GitLabProject, PipelineRun
from tests.support.programs import leave_out

IMAGE = "registry.example.com/acme/api"
FILES = {
    ".promoter.yaml": "version: 1\n"
    "environments:\n"
    "  staging: {path: envs/staging}\n"
    "  production: {path: envs/production, after: staging, publish: pull-request}\n",
    "envs/staging/api.yaml": f"image: {IMAGE}:1.0.0 # the front door\n",
    "envs/production/api.yaml": f"image: {IMAGE}:0.9.0\n",
}
REGISTRY = {"CI_REGISTRY_IMAGE": IMAGE}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[GitLabStage]:
    with gitlab_stage(tmp_path) as stage:
        repos.commit_files(stage.git, FILES, "Environments")
        yield stage


def _project(
    folder: Path, inputs: dict[str, object], files: dict[str, str] | None = None, **more: object
) -> GitLabProject:
    pipeline = {"include": [{"local": TEMPLATE, "inputs": inputs}], **more}
    return GitLabProject.make(folder, {**(files or {}), ".gitlab-ci.yml": yaml.safe_dump(pipeline)})


def _dotenv(run: PipelineRun, job: str) -> dict[str, str]:
    lines = run.artifacts(job)["promotion.env"].splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_build_is_pushed_to_staging_and_a_later_job_knows_of_it(tmp_path: Path, stage: GitLabStage) -> None:
    after = {
        "stage": "deploy",
        "needs": ["promoter-bump"],
        "script": ['echo "landed: $PROMOTION_STATUS $PROMOTION_COMMIT_SHA"'],
    }
    inputs = {
        "bump": True,
        "manifest-repo": stage.url,
        "environment": "staging",
        "image": "$CI_REGISTRY_IMAGE:${CI_COMMIT_TAG}",
    }
    project = _project(tmp_path / "api", inputs, tell=after)
    run = project.run(variables={"PROMOTER_TOKEN": TOKEN, **REGISTRY}, predefined={"CI_COMMIT_TAG": "1.1.0"})
    assert run.exit_codes == {"promoter-bump": 0, "tell": 0}, run.log
    landed = repos.resolve(stage.git, "refs/heads/main")
    assert (
        repos.git(stage.git, "show", "main:envs/staging/api.yaml") == f"image: {IMAGE}:1.1.0 # the front door"
    )
    left = run.artifacts("promoter-bump")
    assert set(left) >= {"promotion.env", "promotion.json"}
    assert _dotenv(run, "promoter-bump")["PROMOTION_STATUS"] == "promoted"
    assert json.loads(left["promotion.json"])["commit_sha"] == landed
    assert f"landed: promoted {landed}" in run.log
    assert TOKEN not in run.log
    assert not [text for text in left.values() if TOKEN in text]


def test_several_images_by_merge_request(tmp_path: Path, stage: GitLabStage) -> None:
    worker = IMAGE.replace("api", "worker")
    repos.commit_files(stage.git, {"envs/staging/worker.yaml": f"image: {worker}:1.0.0\n"}, "Worker")
    inputs = {
        "bump": True,
        "manifest-repo": stage.url,
        "environment": "staging",
        "images": f"$CI_REGISTRY_IMAGE:2.0.0\n{worker}:2.0.0\n",
        "publish": "pull-request",
        "forge-api": stage.environ["PROMOTER_FORGE_API"],
    }
    project = _project(tmp_path / "api", inputs)
    run = project.run(variables={"PROMOTER_TOKEN": TOKEN, **REGISTRY})
    assert run.exit_codes == {"promoter-bump": 0}, run.log
    [request] = stage.pull_requests()
    proposed = repos.git(stage.git, "grep", "-h", "image:", f"{request.branch}:envs/staging")
    assert proposed.splitlines() == [f"image: {IMAGE}:2.0.0 # the front door", f"image: {worker}:2.0.0"]
    told = _dotenv(run, "promoter-bump")
    assert told["PROMOTION_STATUS"] == "proposed"
    assert told["PROMOTION_PULL_REQUEST_NUMBER"] == str(request.number)


def test_promote_waits_for_a_person_and_opens_a_merge_request(tmp_path: Path, stage: GitLabStage) -> None:
    inputs = {
        "promote": True,
        "manifest-repo": stage.url,
        "from": "staging",
        "to": "production",
        "app": "$CI_PROJECT_NAME",
        "forge-api": stage.environ["PROMOTER_FORGE_API"],
    }
    project = _project(tmp_path / "api", inputs)
    assert project.jobs()["promoter-promote"] == "manual"
    run = project.run("promoter-promote", variables={"PROMOTER_TOKEN": TOKEN})
    assert run.exit_codes == {"promoter-promote": 0}, run.log
    [request] = stage.pull_requests()
    assert (
        repos.git(stage.git, "show", f"{request.branch}:envs/production/api.yaml") == f"image: {IMAGE}:1.0.0"
    )


def test_sync_in_the_manifest_repository_closes_what_the_base_has(tmp_path: Path, stage: GitLabStage) -> None:
    promoting = {
        "bump": True,
        "manifest-repo": stage.url,
        "environment": "staging",
        "publish": "pull-request",
    }
    api = {"forge-api": stage.environ["PROMOTER_FORGE_API"]}
    bump = _project(tmp_path / "api", {**promoting, **api, "image": f"{IMAGE}:2.0.0"})
    assert bump.run(variables={"PROMOTER_TOKEN": TOKEN}).code == 0
    repos.commit_files(stage.git, {"envs/staging/api.yaml": f"image: {IMAGE}:2.0.0\n"}, "By hand")

    manifests = _project(tmp_path / "manifests", {"sync": True, **api}, FILES)
    run = manifests.run(
        variables={"PROMOTER_TOKEN": TOKEN},
        predefined={"CI_PROJECT_URL": stage.url, "CI_PIPELINE_SOURCE": "schedule"},
    )
    assert run.exit_codes == {"promoter-sync": 0}, run.log
    assert [one.state for one in stage.pull_requests()] == ["closed"]


def test_validate_blocks_what_a_merge_request_introduces(tmp_path: Path) -> None:
    old = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: old}\ndata: {a: 1}\n"
    project = _project(tmp_path / "manifests", {"validate": True}, {"envs/staging/old.yaml": old})
    (project.folder / ".promoter-ci").mkdir()
    (project.folder / ".promoter-ci" / "cached.yaml").write_text(old)
    base = repos.git(project.folder, "rev-parse", "HEAD")
    request = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_DIFF_BASE_SHA": base}

    # In the checkout itself, where gitlab-ci-local keeps files of its own.
    variables = {"PROMOTER_EXCLUDE": ".gitlab-ci-local/**"}
    first = project.run(variables=variables, predefined=request, isolated=False)
    assert first.exit_codes == {"promoter-validate": 0}, first.log

    (project.folder / "envs/staging/new.yaml").write_text(old.replace("old", "new"))
    repos.git(project.folder, "add", "envs")
    repos.git(project.folder, "commit", "--quiet", "--message=New")
    second = project.run(variables=variables, predefined=request, isolated=False)
    assert second.exit_codes == {"promoter-validate": 5}, second.log
    report = json.loads((project.folder / "gl-code-quality-report.json").read_text())
    assert {one["location"]["path"] for one in report} >= {"envs/staging/new.yaml"}


@pytest.mark.parametrize(
    ("about", "there"),
    [
        ({}, {"promoter-bump", "promoter-promote", "promoter-sync"}),
        ({"CI_PIPELINE_SOURCE": "schedule"}, {"promoter-sync"}),
        ({"CI_PIPELINE_SOURCE": "merge_request_event", "CI_COMMIT_BRANCH": ""}, {"promoter-validate"}),
        ({"CI_COMMIT_BRANCH": "feature"}, set()),
    ],
    ids=["push", "schedule", "merge-request", "other-branch"],
)
def test_which_pipelines_have_which_jobs(tmp_path: Path, about: dict[str, str], there: set[str]) -> None:
    project = _project(tmp_path / "api", {"bump": True, "promote": True, "sync": True, "validate": True})
    assert {name for name, when in project.jobs(about).items() if when != "never"} == there


def test_without_inputs_there_are_only_hidden_jobs_to_extend(tmp_path: Path, stage: GitLabStage) -> None:
    mine = {
        "extends": ".promoter-bump",
        "rules": [{"if": "$CI_COMMIT_TAG"}],
        "variables": {
            "PROMOTER_MANIFEST_REPO": stage.url,
            "PROMOTER_ENV": "staging",
            "PROMOTER_IMAGE": "$CI_REGISTRY_IMAGE:$MY_VERSION",
        },
    }
    project = _project(tmp_path / "api", {}, release=mine)
    tag = {"CI_COMMIT_TAG": "v3", "CI_COMMIT_BRANCH": ""}
    assert {name for name, when in project.jobs(tag).items() if when != "never"} == {"release"}
    variables = {"PROMOTER_TOKEN": TOKEN, "MY_VERSION": "3.0.0", **REGISTRY}
    run = project.run(variables=variables, predefined=tag)
    assert run.exit_codes == {"release": 0}, run.log
    assert f"{IMAGE}:3.0.0" in repos.git(stage.git, "show", "main:envs/staging/api.yaml")


# --- installing


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, without its dependencies: those of this environment serve."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "built")]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    [wheel] = (folder / "built").glob("*.whl")
    with zipfile.ZipFile(wheel) as built, zipfile.ZipFile(folder / wheel.name, "w") as alone:
        for name in built.namelist():
            content = built.read(name)
            if name.endswith(".dist-info/METADATA"):
                content = b"".join(
                    line
                    for line in content.splitlines(keepends=True)
                    if not line.startswith(b"Requires-Dist:")
                )
            alone.writestr(name, content)
    return folder


@pytest.mark.parametrize(("installer", "named"), [("uv", "version"), ("pip", "file")])
def test_it_is_installed_where_the_image_has_no_such_version(
    tmp_path: Path, stage: GitLabStage, wheelhouse: Path, installer: str, named: str
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("node", "rsync", "git", *(["uv"] if installer == "uv" else [])):
        found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if found is None:
            leave_out(f"{name} absent: this way of installing is not shown")
        (programs / name).symlink_to(found)
    (programs / "python3").symlink_to(sys.executable)
    [wheel] = wheelhouse.glob("*.whl")
    package = {"package": str(wheel)} if named == "file" else {}
    inputs = {
        "bump": True,
        "manifest-repo": stage.url,
        "environment": "staging",
        "image": f"{IMAGE}:4.0.0",
        **package,
    }
    project = _project(tmp_path / "api", inputs)
    run = project.run(
        variables={"PROMOTER_TOKEN": TOKEN},
        path=(programs,),
        environ={
            "PATH": f"{programs}:/usr/bin:/bin",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheelhouse),
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": str(wheelhouse),
            "PYTHONPATH": sysconfig.get_path("purelib"),
        },
    )
    assert run.exit_codes == {"promoter-bump": 0}, run.log
    assert f"{IMAGE}:4.0.0" in repos.git(stage.git, "show", "main:envs/staging/api.yaml")


def test_a_package_that_cannot_be_had_is_one_message(tmp_path: Path) -> None:
    inputs = {
        "bump": True,
        "manifest-repo": "https://git.example.com/deploy",
        "package": "./absent-1.0-py3-none-any.whl",
    }
    project = _project(tmp_path / "api", inputs)
    run = project.run(environ={"PIP_NO_INDEX": "1", "UV_OFFLINE": "1"})
    assert run.exit_codes == {"promoter-bump": 9}
    assert "promoter could not be installed" in run.log
