"""What people read in a pull request beside the table: the rendered difference, and what is found."""

import os
from pathlib import Path

from tests.forges.stage_github import github_stage
from tests.forges.test_scenarios import Play
from tests.support.cli import run_promoter
from tests.support.programs import program

BASE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      containers: [{name: api, image: "ghcr.io/acme/api:1.0.0"}]
"""
LIST = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../../base]\n"
FILES = {
    "base/kustomization.yaml": LIST.replace("../../base", "deployment.yaml"),
    "base/deployment.yaml": BASE,
    "envs/production/kustomization.yaml": f"{LIST}images: [{{name: ghcr.io/acme/api, newTag: 1.0.0}}]\n",
}


def test_the_rendered_difference_and_what_is_introduced(tmp_path: Path) -> None:
    kustomize = program("kustomize").parent
    with github_stage(tmp_path) as stage:
        play = Play(stage, apps={})
        play.start()
        play.commit("main", FILES, "Manifests")
        path = f"{kustomize}{os.pathsep}{os.environ['PATH']}"
        result = run_promoter(
            *("bump", "--manifest-repo", stage.url, "--env", "production", "--output", "json"),
            *("--image", "ghcr.io/acme/api:1.1.0"),
            env={**stage.environ, "PATH": path},
        )
        assert (result.code, result.document["status"]) == (0, "proposed"), result.stdout
        assert result.document["findings"] == []
        (seen,) = stage.pull_requests()
        assert "-      - image: ghcr.io/acme/api:1.0.0" in seen.body
        assert "+      - image: ghcr.io/acme/api:1.1.0" in seen.body


def test_an_edit_that_is_invalid_is_not_proposed(tmp_path: Path) -> None:
    rule = '{"properties": {"spec": {"properties": {"tag": {"pattern": "^1[.]0[.]"}}}}}'
    widget = "apiVersion: acme.example/v1\nkind: Widget\nspec:\n  image: ghcr.io/acme/api\n  tag: 1.0.0\n"
    with github_stage(tmp_path) as stage:
        play = Play(stage, apps={})
        play.start()
        settings = play.read("main", ".promoter.yaml")
        schemas = "validate: {schemas: [{schema: rule.json, kind: acme.example/v1/Widget}]}\n"
        files = {".promoter.yaml": settings + schemas, "rule.json": rule, "envs/production/w.yaml": widget}
        play.commit("main", files, "A rule")
        result = run_promoter(
            *("bump", "--manifest-repo", stage.url, "--env", "production", "--output", "json"),
            *("--image", "ghcr.io/acme/api:1.1.0"),
            env=stage.environ,
        )
        assert (result.code, result.document["reason"]) == (5, "invalid"), result.stdout
        (finding,) = result.document["findings"]
        assert (finding["file"], finding["line"], finding["introduced"]) == (
            "envs/production/w.yaml",
            5,
            True,
        )
        assert stage.pull_requests() == []
        assert not play.stage.git.joinpath("refs/heads/promoter").exists()
