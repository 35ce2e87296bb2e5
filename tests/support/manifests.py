"""A small kustomize manifest repository for acceptance tests, the bump of one app in it, and what it left."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support import repos
from tests.support.cli import Result, run_promoter

REGISTRY = "ghcr.io/acme"
FOLDER = "envs/staging"
FILE = f"{FOLDER}/kustomization.yaml"
CONFIG = ".promoter.yaml"


def kustomization(tags: Mapping[str, str]) -> str:
    """Entries of the apps on adjacent lines."""
    lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", "images:"]
    lines += [f'  - {{name: {REGISTRY}/{app}, newTag: "{tag}"}}' for app, tag in tags.items()]
    return "\n".join(lines) + "\n"


def make(path: Path, tags: Mapping[str, str], config: str | None = None) -> Path:
    """A bare manifest repository whose only environment holds these tags."""
    files = {FILE: kustomization(tags), "README.md": "Manifests\n"}
    return repos.make_repo(path, files | ({CONFIG: config} if config else {}))


def configured(*more: str) -> str:
    """A configuration that calls the environment staging, with further lines."""
    return "\n".join(["version: 1", f"environments: {{staging: {{path: {FOLDER}}}}}", *more]) + "\n"


def bump_of(manifest_repo: str | Path, image: str, *more: str) -> list[str]:
    """The arguments of a bump of `app:tag`, told as one JSON document."""
    where = () if "--env" in more else ("--path", FOLDER)
    fixed = ("--manifest-repo", str(manifest_repo), *where, "--deadline", "120", "--output", "json")
    return ["bump", "--image", f"{REGISTRY}/{image}", *fixed, *more]


def bump(manifest_repo: str | Path, image: str, *more: str, **settings: Any) -> Result:
    """Run it. `settings` are those of `run_promoter`."""
    return run_promoter(*bump_of(manifest_repo, image, *more), **settings)


def land(manifest_repo: str | Path, image: str, *more: str, **settings: Any) -> str:
    """Run it where it must land; returns the commit."""
    result = bump(manifest_repo, image, *more, **settings)
    assert (result.code, status(result)) == (0, "promoted"), result
    commit: str = result.document["commit_sha"]
    return commit


def status(result: Result) -> str:
    """The status of a run."""
    assert result.document is not None, result
    found: str = result.document["status"]
    return found


def warnings(result: Result) -> list[str]:
    """The codes of its warnings."""
    return [one["code"] for one in result.document["warnings"]]


def tags(repo: Path, rev: str = "main") -> dict[str, str]:
    """App -> tag as the repository holds them now."""
    text = repos.read_file(repo, FILE, rev).decode()
    return dict(re.findall(r'name: ghcr\.io/acme/([^,\s]+), newTag: "([^"]*)"', text))


def landings(repo: Path, app: str) -> list[repos.Commit]:
    """The commits that promoted the app, newest first."""
    return [commit for commit in repos.log(repo) if commit.trailers.get("Promoter-App") == [app]]
