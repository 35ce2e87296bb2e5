"""A manifest repository with three environments and a history, as people and promoter leave it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support import repos

CONFIG = """\
version: 1
environments:
  dev: {path: envs/dev}
  staging: {path: envs/staging, after: dev}
  production: {path: envs/production, after: staging, publish: pull-request}
"""
REGISTRY = "ghcr.io/acme"


def kustomization(versions: Mapping[str, str]) -> str:
    """Image -> `tag` or `tag@digest`."""
    lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", "images:"]
    for name, version in versions.items():
        tag, _, digest = version.partition("@")
        more = f"\n    digest: {digest}" if digest else ""
        lines.append(f'  - name: {REGISTRY}/{name}\n    newTag: "{tag}"{more}')
    return "\n".join(lines) + "\n"


def file_of(environment: str) -> str:
    return f"envs/{environment}/kustomization.yaml"


class Manifests:
    """The repository, changed by commits that say when they are made."""

    def __init__(self, path: Path, config: str = CONFIG) -> None:
        self.repo = repos.make_repo(path, {".promoter.yaml": config})
        self.runs: dict[str, dict[str, str]] = {}

    def set(self, environment: str, *, ago: timedelta, trailers: str = "", **versions: str) -> str:
        """Have the environment run these versions, as of some time ago; `_` in a name is `-`."""
        runs = self.runs.setdefault(environment, {})
        runs.update({name.replace("_", "-"): version for name, version in versions.items()})
        return self.commit({file_of(environment): kustomization(runs)}, ago, trailers)

    def commit(self, files: Mapping[str, repos.Content], ago: timedelta, trailers: str = "") -> str:
        when = datetime.now(UTC) - ago
        message = f"change {', '.join(files)}\n\n{trailers}"
        return repos.commit_files(self.repo, files, message, date=f"@{int(when.timestamp())} +0000")
