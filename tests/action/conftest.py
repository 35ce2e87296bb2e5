"""The double of GitHub with a manifest repository `acme/manifests`, and act beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.forges.github_double import GitHubDouble
from tests.forges.github_double_state import Repo
from tests.support import repos
from tests.support.act import USES, ActBench, ActRun

CANARY = "ghp_canary7d1f0a94c2"
IMAGE = "ghcr.io/acme/api"
FILE = "envs/staging/kustomization.yaml"
CONFIGURATION = """\
version: 1
environments:
  staging: {path: envs/staging}
  production: {path: envs/production, after: staging, publish: pull-request}
"""


def kustomization(tag: str) -> str:
    return f"""\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
images:
  - name: {IMAGE}
    newTag: {tag}
"""


@dataclass
class GitHub:
    """One manifest repository on one double, and runs of jobs of `acme/api`."""

    double: GitHubDouble
    repo: Repo
    bench: ActBench

    @property
    def url(self) -> str:
        return f"{self.double.url}/{self.repo.full_name}"

    @property
    def tip(self) -> str | None:
        return repos.resolve(self.repo.git, "refs/heads/main")

    def read(self, file: str = FILE, rev: str = "main") -> str:
        return repos.read_file(self.repo.git, file, rev).decode()

    def step(self, **inputs: str) -> dict[str, Any]:
        """The action with these inputs, `_` for `-`; the token and the repository are given."""
        given = {"manifest-repo": self.url, "token": "${{ secrets.DEPLOY_TOKEN }}"}
        given |= {name.rstrip("_").replace("_", "-"): value for name, value in inputs.items()}
        return {"id": "promote", "uses": USES, "with": {name: text for name, text in given.items() if text}}

    def run(self, *steps: dict[str, Any], **settings: Any) -> ActRun:
        env = {"GITHUB_SERVER_URL": self.double.url} | settings.pop("env", {})
        secrets = {"DEPLOY_TOKEN": CANARY} | settings.pop("secrets", {})
        run = self.bench.run(steps, env=env, secrets=secrets, **settings)
        assert CANARY not in run.log + run.summary + str(run.steps)
        return run


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> ActBench:
    return ActBench(tmp_path_factory.mktemp("act"))


@pytest.fixture
def github(tmp_path: Path, bench: ActBench) -> Iterator[GitHub]:
    with GitHubDouble(tmp_path / "github") as double:
        files = {
            ".promoter.yaml": CONFIGURATION,
            FILE: kustomization("1.0.0"),
            FILE.replace("staging", "production"): kustomization("1.0.0"),
        }
        repo = double.add_repository("manifests", files)
        double.issue_token(CANARY)
        yield GitHub(double, repo, bench)
