"""A manifest repository with several environments, runs between them, and what they leave."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import jsonschema

from promoter.schema_files import read_schema
from tests.support import manifests, repos

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.acceptance.conftest import Bench

REGISTRY = manifests.REGISTRY
DIGEST = "sha256:" + "ab" * 32
OTHER_DIGEST = "sha256:" + "cd" * 32


def file_of(environment: str) -> str:
    return f"envs/{environment}/kustomization.yaml"


def hold_of(environment: str, app: str) -> str:
    return f".promoter/holds/{environment}/{app}"


def config(**environments: str) -> str:
    """A configuration whose environments live below envs/; each value is more of its mapping."""
    lines = [
        f"  {name}: {{path: envs/{name}{f', {more}' if more else ''}}}" for name, more in environments.items()
    ]
    return "\n".join(["version: 1", "environments:", *lines]) + "\n"


def files(text: str, **environments: Mapping[str, str]) -> dict[str, repos.Content]:
    """The configuration, and a kustomization for each environment with the tags of its apps."""
    found = {file_of(name): manifests.kustomization(tags) for name, tags in environments.items()}
    return {".promoter.yaml": text, **found}


def tags(repo: Path, environment: str, rev: str = "main") -> dict[str, str]:
    text = repos.read_file(repo, file_of(environment), rev).decode()
    return dict(re.findall(r'name: ghcr\.io/acme/([^,\s]+), newTag: "([^"]*)"', text))


def paths(repo: Path, rev: str = "main") -> list[str]:
    return repos.git(repo, "ls-tree", "-r", "--name-only", rev).splitlines()


def change(
    repo: Path, environment: str, message: str = "By hand", date: str | None = None, **new: str
) -> str:
    """A person's commit that gives apps of an environment other tags."""
    wanted = tags(repo, environment) | new
    return repos.commit_files(
        repo, {file_of(environment): manifests.kustomization(wanted)}, message, date=date
    )


def configure(repo: Path, text: str) -> None:
    repos.commit_files(repo, {".promoter.yaml": text}, "Configure")


def told(bench: Bench, *args: str, code: int = 0, **settings: Any) -> Any:
    """The document of a run, valid, with the exit code that is expected."""
    result = bench.run(*args, "--manifest-repo", bench.address, "--output", "json", **settings)
    assert result.code == code, result
    jsonschema.validate(result.document, read_schema("outcome"))
    return result.document


def refused(bench: Bench, *args: str, code: int, reason: str, says: str = "", **settings: Any) -> Any:
    """The document of a run that must be refused, with a next step and nothing of the remote changed."""
    before = refs(bench.repo)
    document = told(bench, *args, code=code, **settings)
    assert (document["reason"], document["changed"], document["error"]["exit"]) == (reason, False, code), (
        document
    )
    assert says in document["error"]["message"], document["error"]
    assert document["error"]["next"]
    assert refs(bench.repo) == before
    return document


def refs(repo: Path) -> str:
    return repos.git(repo, "for-each-ref")


def image(app: str, tag: str) -> tuple[str, str]:
    return "--image", f"{REGISTRY}/{app}:{tag}"


def warned(document: Any, code: str) -> list[str]:
    return [one["message"] for one in document["warnings"] if one["code"] == code]


def statuses(document: Any) -> dict[str, str]:
    """App -> status of its changes, where they agree."""
    return {one["app"]: one["status"] for one in document["changes"]}


def new_commits(repo: Path, before: str) -> list[repos.Commit]:
    """What has landed since, oldest first."""
    return repos.log(repo, f"{before}..main")[::-1]
