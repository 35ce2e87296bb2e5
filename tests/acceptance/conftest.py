"""A bench for acceptance tests: bare repositories, a server over them, and the real program."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import repos
from tests.support.cli import Result, run_promoter, start_promoter
from tests.support.gitserver import GitServer

CANARY = "canary-b1f0c7d2e9"  # a token that must be nowhere
IMAGE = "ghcr.io/acme/api"
FILE = "envs/staging/kustomization.yaml"
OLD = f"""\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
images:
  - name: {IMAGE}
    newTag: 1.0.0
  - name: ghcr.io/acme/web
    newTag: 1.0.0
"""
FILES: dict[str, repos.Content] = {FILE: OLD, "README.md": "# Deployments\n"}
STAGING = ("--path", "envs/staging")
WANTED = ("--image", f"{IMAGE}:1.1.0")


@dataclass
class Bench:
    """One test's repositories below `root`, its temporary directory, and runs that are always checked.

    `address` is what --manifest-repo gets: the path of `repo`, or its URL where a server is in play.
    """

    root: Path
    tmp: Path
    repo: Path
    address: str

    def make(self, files: Mapping[str, repos.Content], **settings: Any) -> Path:
        """Put another repository in the place of the first one."""
        self.repo = repos.make_repo(
            self.root / f"other-{len(list(self.root.iterdir()))}.git", files, **settings
        )
        self.address = str(self.repo)
        return self.repo

    @property
    def tip(self) -> str | None:
        return repos.resolve(self.repo, "refs/heads/main")

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"TMPDIR": str(self.tmp), "PROMOTER_TOKEN": CANARY, **(env or {})}

    def arguments(self, *args: str) -> list[str]:
        return ["bump", "--manifest-repo", self.address, *args]

    def start(self, *args: str, **settings: Any) -> Any:
        """A bump that the test waits for itself."""
        return start_promoter(*self.arguments(*args), env=self.environment(), **settings)

    def run(self, *args: str, env: Mapping[str, str] | None = None, **settings: Any) -> Result:
        """Any command line; nothing secret may come out, nothing may stay behind."""
        result = run_promoter(*args, env=self.environment(env), **settings)
        self.check(result)
        return result

    def bump(self, *args: str, **settings: Any) -> Result:
        """A bump of the bench's repository that prints JSON."""
        result = self.run(*self.arguments(*args, "--output", "json"), **settings)
        assert result.document is not None, result
        return result

    def lands(self, *args: str, **settings: Any) -> Result:
        """A bump of one image in staging that must land: exit 0 and exactly one commit of this run."""
        before = self.tip
        result = self.bump(*STAGING, *WANTED, *args, **settings)
        assert (result.code, result.document["status"]) == (0, "promoted"), result
        ours = [one for one in repos.log(self.repo, f"{before}..main") if "Promoter-Id" in one.trailers]
        assert [one.sha for one in ours] == [result.document["commit_sha"]]
        assert b"newTag: 1.1.0\n  - name: ghcr.io/acme/web" in repos.read_file(self.repo, FILE)
        repos.fsck(self.repo)
        return result

    def refused(
        self,
        *args: str,
        code: int,
        says: str,
        file: str | None = None,
        line: int | None = None,
        reason: str | None = None,
        **settings: Any,
    ) -> Result:
        """A bump that must fail, run as JSON and as text; returns the JSON run.

        One clear message, the place of the error, and a remote that is as it was.
        """
        before = self.tip
        result = self.bump(*args, **settings)
        assert_error(result, code, says, file, line)
        assert reason is None or result.document["reason"] == reason
        text = self.run(*self.arguments(*args), **settings)
        assert_text(text, result)
        assert self.tip == before
        return result

    def check(self, result: Result) -> None:
        said = result.stdout + result.stderr
        assert CANARY not in said
        assert "Traceback" not in said or "--debug" in result.arguments
        assert list(self.tmp.iterdir()) == []


def assert_error(
    result: Result, code: int, says: str, file: str | None = None, line: int | None = None
) -> None:
    """The JSON document of a failed run is whole and agrees with the exit code."""
    document = result.document
    assert result.code == code, result
    assert result.stderr == ""
    assert document["status"] == ("refused" if code in (4, 5, 6) else "failed")
    assert (document["changed"], document["commit_sha"]) == (False, None)
    error = document["error"]
    assert error["exit"] == code
    assert says in error["message"], error
    assert "\n" not in error["message"].strip()
    assert (error["file"], error["line"]) == (file, line)
    assert error["next"] or code == 1


def assert_text(text: Result, same: Result) -> None:
    """For people the same run ends in exactly one error line, with the place in front, and a next step."""
    assert text.code == same.code, text
    errors = [line for line in text.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, text.stderr
    error = same.document["error"]
    if error["line"] is not None:
        assert errors[0].startswith(f"error: {error['file']}:{error['line']}: ")
    assert "  next: " in text.stderr


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench whose repository has no configuration: one image in `envs/staging`."""
    root, tmp = tmp_path / "srv", tmp_path / "tmp"
    tmp.mkdir()
    repo = repos.make_repo(root / "repo.git", FILES)
    return Bench(root, tmp, repo, str(repo))


@pytest.fixture
def server(bench: Bench) -> Iterator[GitServer]:
    """The bench's repositories over http; the bench uses it."""
    with GitServer(bench.root) as running:
        bench.address = f"{running.url}/repo.git"
        yield running
