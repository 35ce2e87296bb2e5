"""`promoter doctor` on plain Git: the machine, the configuration, who is out of reach, other repositories."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import repos
from tests.support.cli import Result, run_promoter
from tests.support.gitserver import GitServer

STAGING = {"path": "envs/staging"}
SECRET = "canary-93bd1e0f"


def repository(tmp_path: Path, text: str | None = None, **more: Any) -> Path:
    configuration = text or yaml.safe_dump({"version": 1, "environments": {"staging": STAGING}, **more})
    files = {".promoter.yaml": configuration, "envs/staging/a.yaml": "image: ghcr.io/acme/api:1.0.0\n"}
    return repos.make_repo(tmp_path / "deploy.git", files)


def doctor(address: object, *more: str, **settings: Any) -> Result:
    result = run_promoter("doctor", "--manifest-repo", str(address), "--output", "json", *more, **settings)
    assert result.document is not None, result
    return result


def found(result: Result) -> dict[tuple[str, str], Any]:
    checks = {(one["name"], one["about"]): one for one in result.document["checks"]}
    assert len(checks) == len(result.document["checks"]), "nothing is said twice"
    return checks


def name_of(repo: Path) -> str:
    return str(repo).removesuffix(".git")


def test_a_local_repository(tmp_path: Path) -> None:
    repo = repository(tmp_path)
    before = repos.git(repo, "for-each-ref")
    result = doctor(repo)
    assert result.code == 0
    checks, here = found(result), name_of(repo)
    assert checks["write", here]["state"] == "ok"
    assert checks["configuration", here]["seen"] == "1 environment: staging"
    assert checks["branch", "staging"]["state"] == "skipped"
    assert ("credential", here) not in checks, "there is none for a path"
    assert repos.git(repo, "for-each-ref") == before


def test_plain_git_over_http(tmp_path: Path) -> None:
    root = tmp_path / "served"
    root.mkdir()
    repository(root)
    with GitServer(root, credentials=("x-access-token", SECRET)) as server:
        address = f"{server.url}/deploy.git"
        result = doctor(address, env={"PROMOTER_TOKEN": SECRET})
        assert result.code == 0, result
        here = address.removesuffix(".git")
        assert found(result)["clock", "this machine"]["state"] == "ok"
        assert "PROMOTER_TOKEN" in found(result)["credential", here]["seen"]
        assert SECRET not in result.stdout + result.stderr
        refused = doctor(address, env={"PROMOTER_TOKEN": "another"})
    assert refused.code == 8
    assert found(refused)["read", here]["exit"] == 8
    assert found(refused)["configuration", here]["state"] == "skipped"


def test_a_server_that_knows_no_filters(tmp_path: Path) -> None:
    repo = repository(tmp_path)
    repos.git(repo, "config", "uploadpack.allowFilter", "false")
    result = doctor(f"file://{repo}")
    assert result.code == 0
    check = found(result)["protocol", f"file://{name_of(repo)}"]
    assert (check["state"], "partial clones" in check["seen"]) == ("warning", True)
    assert "uploadpack.allowFilter" in check["next"]


def test_nobody_is_there() -> None:
    result = doctor("http://127.0.0.1:1/acme/deploy.git", "--deadline", "20")
    assert result.code == 9
    assert result.document["reason"] == "problem"
    assert {one["state"] for one in result.document["checks"]} == {"problem", "skipped"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 1\nenvironments:\n  staging: {paht: envs}\n", ".promoter.yaml:3"),
        ('version: 1\nrequires: ">=99"\nenvironments: {a: {path: b}}\n', "99"),
    ],
)
def test_a_configuration_that_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    repo = repository(tmp_path, text)
    result = doctor(repo)
    assert result.code == 3
    checks = found(result)
    assert words in checks["configuration", name_of(repo)]["seen"]
    assert checks["write", name_of(repo)]["state"] == "ok", "the rest is looked at all the same"


def test_no_configuration_is_good_for_runs_with_path(tmp_path: Path) -> None:
    repo = repos.make_repo(tmp_path / "deploy.git", {"a.yaml": "image: api:1\n"})
    result = doctor(repo)
    assert result.code == 0
    assert found(result)["configuration", name_of(repo)]["state"] == "warning"
    assert doctor(repo, "staging").code == 3


def test_an_environment_that_is_not_there(tmp_path: Path) -> None:
    repo = repository(tmp_path)
    result = doctor(repo, "stagign")
    assert result.code == 3
    assert "did you mean 'staging'" in found(result)["configuration", name_of(repo)]["seen"]


def test_an_environment_in_another_repository(tmp_path: Path) -> None:
    there = repos.make_repo(tmp_path / "there.git", {"a.yaml": "image: api:1\n"})
    away = {"path": "envs", "repository": f"file://{there}"}
    repo = repository(tmp_path, environments={"staging": STAGING, "edge": away})
    unset = doctor(repo)
    assert unset.code == 3
    problem = found(unset)["repository", "edge"]
    assert "PROMOTER_REPOSITORY_EDGE is not set" in problem["seen"]
    assert "PROMOTER_TOKEN_EDGE" in problem["next"]
    assert doctor(repo, "staging").code == 0
    confirmed = doctor(repo, env={"PROMOTER_REPOSITORY_EDGE": f"file://{there}"})
    assert confirmed.code == 0
    assert found(confirmed)["branch", "edge"]["state"] == "skipped"
    shutil.rmtree(there)
    gone = doctor(repo, env={"PROMOTER_REPOSITORY_EDGE": f"file://{there}"})
    assert gone.code == 3
    assert found(gone)["read", f"file://{name_of(there)}"]["exit"] == 3
    assert "cannot be read" in found(gone)["branch", "edge"]["seen"]
    assert found(gone)["branch", "staging"]["state"] == "skipped"


def test_programs_that_the_configuration_needs(tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    (bare / "git").symlink_to(shutil.which("git") or "")
    files = {
        ".promoter.yaml": yaml.safe_dump(
            {
                "version": 1,
                "environments": {"staging": STAGING},
                "validate": {
                    "kubeconform": "required",
                    "commands": [{"name": "policy", "run": ["opa", "{files}"]}],
                },
            }
        ),
        "envs/staging/kustomization.yaml": "images: []\n",
    }
    repo = repos.make_repo(tmp_path / "deploy.git", files)
    result = doctor(repo, env={"PATH": str(bare)})
    assert result.code == 9
    states = {name: one["state"] for (name, about), one in found(result).items() if about == "this machine"}
    expected = {"kubeconform": "problem", "kustomize": "warning", "command": "warning", "git": "ok"}
    assert expected.items() <= states.items()
    assert "helm" not in states, "nothing here is a chart"


def test_a_machine_without_git(tmp_path: Path) -> None:
    result = doctor(repository(tmp_path), env={"PATH": str(tmp_path)})
    assert result.code == 9
    assert "not on PATH" in found(result)["git", "this machine"]["seen"]


def test_a_git_that_is_too_old(tmp_path: Path) -> None:
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho git version 2.20.1\n")
    old.chmod(0o755)
    result = doctor(repository(tmp_path), env={"PATH": f"{old.parent}{os.pathsep}{os.environ['PATH']}"})
    assert result.code == 9
    assert "2.20.1 is too old" in found(result)["git", "this machine"]["seen"]


def test_half_a_github_app_is_told() -> None:
    result = doctor("https://github.com/acme/deploy", env={"PROMOTER_APP_ID": "12"})
    assert result.code == 2
    assert (
        "PROMOTER_APP_PRIVATE_KEY is not"
        in found(result)["credential", "https://github.com/acme/deploy"]["seen"]
    )
