"""``rollback`` asks whether what ran before is still there, where it may: real Git, a real registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.conftest import Bench
from tests.acceptance.environments import refused, told
from tests.support import repos
from tests.support.registry import Answer, Registry, auths, docker_config, serving

if TYPE_CHECKING:
    from pathlib import Path

BACK = ("rollback", "production", "--app", "api")
FILE = "envs/production/kustomization.yaml"
CONFIG = """\
version: 1
environments: {production: {path: envs/production}}
apps: {api: {images: ["*/acme/*"]}}
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root, tmp = tmp_path / "srv", tmp_path / "tmp"
    root.mkdir()
    tmp.mkdir()
    return Bench(root, tmp, root, "")


def run_since(bench: Bench, image: str, *versions: str) -> None:
    """Production has run these versions (lines of a kustomize entry) one after the other."""
    files = [
        {FILE: f"kind: Kustomization\nimages:\n  - name: {image}\n    {one}\n", ".promoter.yaml": CONFIG}
        for one in versions
    ]
    bench.make(files[0])
    for one in files[1:]:
        repos.commit_files(bench.repo, one, "By hand")


def went_back(bench: Bench, **settings: Any) -> bool:
    """Whether it lands, and so that 1.0.0 runs."""
    before = bench.tip
    document = told(bench, *BACK, **settings)
    assert (document["status"], document["commit_sha"]) == ("promoted", bench.tip)
    return bench.tip != before and b"newTag: 1.0.0\n" in repos.read_file(bench.repo, FILE)


@pytest.mark.parametrize("how", ["tag", "digest"])
def test_what_is_still_there_lands_and_what_is_gone_does_not(
    bench: Bench, basic_registry: Registry, repository: str, tmp_path: Path, how: str
) -> None:
    digest = basic_registry.push_index(repository, "1.0.0")
    pins = ("", "") if how == "tag" else (f"\n    digest: {digest}", f"\n    digest: sha256:{'ab' * 32}")
    image = f"{basic_registry.host}/{repository}"
    run_since(bench, image, f"newTag: 1.0.0{pins[0]}", f"newTag: 1.1.0{pins[1]}")
    login = docker_config(tmp_path / "docker", auths(basic_registry.host))
    told(bench, *BACK, "--dry-run", env=login)
    basic_registry.delete(repository, digest)
    document = refused(bench, *BACK, code=4, reason="image-missing", says=f"{image}:1.0.0", env=login)
    assert "--to" in document["error"]["next"]
    refused(bench, *BACK, "--publish", "pull-request", code=4, reason="image-missing", env=login)
    assert basic_registry.push_index(repository, "1.0.0") == digest  # built again
    assert went_back(bench, env=login)


def test_what_was_never_pushed(
    bench: Bench, basic_registry: Registry, repository: str, tmp_path: Path
) -> None:
    """The one before that is there, and can be named."""
    basic_registry.push_index(repository, "1.0.0")
    image = f"{basic_registry.host}/{repository}"
    run_since(bench, image, "newTag: 1.0.0", "newTag: 1.0.1", "newTag: 1.1.0")
    login = docker_config(tmp_path / "docker", auths(basic_registry.host))
    refused(bench, *BACK, code=4, reason="image-missing", says=f"{image}:1.0.1", env=login)
    told(bench, *BACK, "--to", "1.0.0", env=login)
    assert b"newTag: 1.0.0\n" in repos.read_file(bench.repo, FILE)


def test_one_of_several_images_is_gone(
    bench: Bench, basic_registry: Registry, repository: str, tmp_path: Path
) -> None:
    """Then none goes back."""
    basic_registry.push_index(repository, "1.0.0")
    name = f"{basic_registry.host}/{repository}"
    both = "newTag: {0}\n  - name: " + f"{name}-worker" + "\n    newTag: {0}"
    run_since(bench, name, both.format("1.0.0"), both.format("1.1.0"))
    login = docker_config(tmp_path / "docker", auths(basic_registry.host))
    refused(bench, *BACK, code=4, reason="image-missing", says=f"{name}-worker:1.0.0", env=login)
    basic_registry.push_index(f"{repository}-worker", "1.0.0")
    assert went_back(bench, env=login)


def test_without_a_credential_nobody_is_asked(bench: Bench, tmp_path: Path) -> None:
    with serving(lambda _: Answer(404)) as registry:
        run_since(bench, f"{registry.host}/acme/api", "newTag: 1.0.0", "newTag: 1.1.0")
        elsewhere = docker_config(tmp_path / "elsewhere", auths("registry.example.com"))
        here = docker_config(tmp_path / "here", auths(registry.host))
        for env in ({}, elsewhere):
            told(bench, *BACK, "--dry-run", env=env)
        assert registry.asked == []
        refused(bench, *BACK, code=4, reason="image-missing", env=here)
        assert registry.asked != []
        registry.asked.clear()
        assert went_back(bench, env=elsewhere)
        assert registry.asked == []


def test_a_registry_that_cannot_say_is_not_in_the_way(bench: Bench, tmp_path: Path) -> None:
    with serving(lambda _: Answer(403)) as registry:
        run_since(bench, f"{registry.host}/acme/api", "newTag: 1.0.0", "newTag: 1.1.0")
        assert went_back(bench, env=docker_config(tmp_path / "docker", auths(registry.host)))
        assert registry.asked != []
