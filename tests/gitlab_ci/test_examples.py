"""What people paste: the tutorial's lines in a whole pipeline, and the scripts of other CI systems."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forges.stage_gitlab import TOKEN, gitlab_stage
from tests.support import repos
from tests.support.cli import REPOSITORY
from tests.support.gitlab_ci_local import TEMPLATE, GitLabProject

IMAGE = "registry.example.com/acme/api"
SCRIPTS = REPOSITORY / "examples" / "shell"
REVISION = "1f0c3a5b7d9e2f4a6c8b0d1e3f5a7c9b2d4e6f80"
RUN = "https://ci.example.com/runs/77"


def test_the_tutorial_ends_in_a_merge_request(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "tutorial" / "gitlab.md").read_text(encoding="utf-8")
    [pasted] = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    local = re.sub(r"remote: \S+", f"local: {TEMPLATE}", pasted)
    with gitlab_stage(tmp_path) as stage:
        repos.commit_files(stage.git, {"envs/production/api.yaml": f"image: {IMAGE}:1.0.0\n"}, "Production")
        pipeline = local.replace("https://gitlab.com/acme/deploy", stage.url)
        assert pipeline.count(stage.url) == 1
        project = GitLabProject.make(tmp_path / "api", {".gitlab-ci.yml": pipeline})
        tag = repos.git(project.folder, "rev-parse", "HEAD")[:8]
        api = {"PROMOTER_FORGE_API": stage.environ["PROMOTER_FORGE_API"]}  # the double is at no known address
        run = project.run(variables={"PROMOTER_TOKEN": TOKEN, "CI_REGISTRY_IMAGE": IMAGE, **api})
        assert run.exit_codes == {"promoter-bump": 0}, run.log
        [request] = stage.pull_requests()
        changed = repos.git(stage.git, "diff", "--unified=0", "main", request.branch).splitlines()
        assert changed[-2:] == [f"-image: {IMAGE}:1.0.0", f"+image: {IMAGE}:{tag}"]


# As the vendors' pages of predefined variables have them.
PLATFORMS = {
    "jenkins.sh": {
        "JENKINS_URL": "https://ci.example.com/",
        "JOB_NAME": "acme/api",
        "BUILD_NUMBER": "77",
        "BUILD_URL": RUN,
        "GIT_COMMIT": REVISION,
        "GIT_BRANCH": "origin/main",
    },
    "circleci.sh": {
        "CIRCLECI": "true",
        "CIRCLE_SHA1": REVISION,
        "CIRCLE_BRANCH": "main",
        "CIRCLE_PROJECT_USERNAME": "acme",
        "CIRCLE_PROJECT_REPONAME": "api",
        "CIRCLE_BUILD_NUM": "901",
        "CIRCLE_BUILD_URL": RUN,
        "PIPELINE_NUMBER": "77",
    },
    "azure-pipelines.sh": {
        "TF_BUILD": "True",
        "BUILD_SOURCEVERSION": REVISION,
        "BUILD_SOURCEBRANCH": "refs/heads/main",
        "BUILD_BUILDID": "77",
        "SYSTEM_COLLECTIONURI": "https://dev.azure.com/acme/",
        "SYSTEM_TEAMPROJECT": "shop",
        "SYSTEM_DEFINITIONID": "12",
    },
    "bamboo.sh": {
        "bamboo_promoter_token_secret": TOKEN,
        "bamboo_image": f"{IMAGE}:2.0.0",
        "bamboo_planKey": "ACME-API",
        "bamboo_buildNumber": "77",
        "bamboo_planRepository_revision": REVISION,
        "bamboo_planRepository_branchName": "main",
        "bamboo_resultsUrl": RUN,
    },
    "tekton.sh": {"REVISION": REVISION, "COMMIT_TIME": "1767225600", "RUN": "api-run-x7k2p"},
}


def test_every_script_is_run() -> None:
    assert {path.name for path in SCRIPTS.iterdir()} == set(PLATFORMS)


@pytest.mark.parametrize("script", PLATFORMS)
def test_a_script_promotes_and_says_what_was_built(script: str, tmp_path: Path) -> None:
    files = {
        ".promoter.yaml": "version: 1\nenvironments: {staging: {path: envs/staging}}\n",
        "envs/staging/api.yaml": f"image: {IMAGE}:1.0.0\n",
    }
    bare = repos.make_repo(tmp_path / "deploy.git", files)
    where = {"PROMOTER_MANIFEST_REPO": str(bare), "bamboo_manifest_repo": str(bare)}
    given = {"PROMOTER_TOKEN": TOKEN, "IMAGE": f"{IMAGE}:2.0.0"}
    done = subprocess.run(
        ["sh", str(SCRIPTS / script)],
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            **where,
            **({} if script == "bamboo.sh" else given),
            **PLATFORMS[script],
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert repos.git(bare, "show", "main:envs/staging/api.yaml") == f"image: {IMAGE}:2.0.0"
    message = repos.git(bare, "log", "-1", "--format=%B", "main")
    assert f"Promoter-Source: {REVISION}" in message
    if script == "tekton.sh":
        assert "Promoter-Source-Time: 2026-01-01T00:00:00" in message
    else:
        assert re.search(r"^Promoter-Order: \S+#77$", message, re.MULTILINE), message
        assert "Promoter-Run: https://" in message


@pytest.mark.parametrize("script", PLATFORMS)
def test_a_script_is_plain_shell(script: str) -> None:
    assert subprocess.run(["sh", "-n", str(SCRIPTS / script)], check=False).returncode == 0
