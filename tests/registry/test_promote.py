"""``promote --require-image``: a build that is named by its digest is looked up by that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.conftest import Bench
from tests.acceptance.environments import DIGEST, config, refused, told
from tests.support import repos
from tests.support.registry import Registry, auths, docker_config

if TYPE_CHECKING:
    from pathlib import Path

GO = ("promote", "staging", "production", "--require-image")
FILE = "envs/production/a.yaml"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root, tmp = tmp_path / "srv", tmp_path / "tmp"
    root.mkdir()
    tmp.mkdir()
    return Bench(root, tmp, root, "")


def test_a_build_whose_tag_has_moved_on(
    bench: Bench, basic_registry: Registry, repository: str, tmp_path: Path
) -> None:
    """What staging runs goes on, not what its tag names by now."""
    name = f"{basic_registry.host}/{repository}"
    env = docker_config(tmp_path / "docker", auths(basic_registry.host))
    runs, later = (
        basic_registry.push_index(repository, "main", labels={"build": build}) for build in ("1", "2")
    )
    bench.make(
        {
            ".promoter.yaml": config(staging="", production=""),
            "envs/staging/a.yaml": f"image: {name}:main@{runs}\n",
            FILE: f"image: {name}:main@{DIGEST}\n",
        }
    )
    assert runs != later
    assert told(bench, *GO, "--dry-run", env=env)["status"] == "planned"
    assert told(bench, *GO, env=env)["status"] == "promoted"
    assert repos.read_file(bench.repo, FILE).decode() == f"image: {name}:main@{runs}\n"


def test_a_build_that_is_gone_though_its_tag_is_there(
    bench: Bench, basic_registry: Registry, repository: str, tmp_path: Path
) -> None:
    name = f"{basic_registry.host}/{repository}"
    env = docker_config(tmp_path / "docker", auths(basic_registry.host))
    runs, _ = (basic_registry.push_index(repository, "main", labels={"build": build}) for build in ("1", "2"))
    bench.make(
        {
            ".promoter.yaml": config(staging="", production=""),
            "envs/staging/a.yaml": f"image: {name}:main@{runs}\n",
            FILE: f"image: {name}:main@{DIGEST}\n",
        }
    )
    basic_registry.delete(repository, runs)
    refused(bench, *GO, "--app", repository.rpartition("/")[2], code=4, reason="image-missing", env=env)
