"""Git-state scenarios as data, played on every forge: what promoter leaves of its pull requests.

A scenario is a file of steps, each a mapping with one verb: what a run of promoter, a
person or the forge does, and what is seen then. The words are the functions of `Play`.
"""

import contextlib
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.forges.stage import Seen, Stage
from tests.support import cli, repos

SECONDS = 15.0
SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.yaml"))

CONFIGURATION = """\
version: 1
environments:
  staging:    {path: envs/staging}
  production:
    path: envs/production
    publish: pull-request
    pull-request: {%s}
    %s
"""
APP = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: %(app)s
spec:
  replicas: 1
  template:
    metadata:
      labels: {app: %(app)s}
    spec:
      containers:
        - name: %(app)s
          image: ghcr.io/acme/%(app)s:%(tag)s
          env:
            - {name: LOG, value: info}
"""


def manifests(settings: str, environment: str, apps: Mapping[str, str]) -> dict[str, str]:
    files = {".promoter.yaml": CONFIGURATION % (settings, environment)}
    for app, tag in apps.items():
        files[f"envs/production/{app}.yaml"] = APP % {"app": app, "tag": tag}
    return files


@dataclass
class Play:
    """One scenario on one stage. Methods are the words of the scenario files."""

    stage: Stage
    settings: str = ""
    environment: str = ""
    apps: Mapping[str, str] = field(default_factory=lambda: {"api": "1.0.0"})
    heads: dict[int, str] = field(default_factory=dict)

    def start(self) -> None:
        self.commit("main", manifests(self.settings, self.environment, self.apps), "Start")

    # --- promoter

    def bump(self, what: Mapping[str, Any]) -> None:
        """`image` (app:tag, or a list), `options`, `source_time`, and what the outcome shall be."""
        images = what["image"] if isinstance(what["image"], list) else [what["image"]]
        arguments = [word for image in images for word in ("--image", f"ghcr.io/acme/{image}")]
        self.run(
            "bump", "--env", what.get("env", "production"), *arguments, *what.get("options", []), expect=what
        )

    def sync(self, what: Mapping[str, Any] | None = None) -> None:
        self.run("sync", expect=what or {})

    def run(self, verb: str, *arguments: str, expect: Mapping[str, Any]) -> None:
        env = {**self.stage.environ, **(self.stage.weak_token() if expect.get("token") == "weak" else {})}
        result = cli.run_promoter(
            verb, "--manifest-repo", self.stage.url, *arguments, "--output", "json", env=env, timeout=120
        )
        assert self.stage.token not in result.stdout + result.stderr
        outcome = result.document
        assert outcome is not None, result.stdout + result.stderr
        assert result.code == expect.get("exit", 0), outcome
        for key in ("status", "reason"):
            assert outcome[key] == expect.get(key, outcome[key]), outcome
        operations = [one["operation"] for one in outcome["pull_requests"]]
        if "operation" in expect:
            assert operations == [expect["operation"]], outcome
        if "operations" in expect:
            assert sorted(operations) == sorted(expect["operations"]), outcome
        warned = [one["code"] for one in outcome["warnings"]]
        assert set(as_list(expect.get("warns", []))) <= set(warned), outcome["warnings"]
        if "says" in expect:
            said = outcome["error"]["message"] + outcome["error"]["next"]
            assert re.search(expect["says"], said), outcome

    # --- people and the forge

    def merge(self, what: Mapping[str, Any]) -> None:
        self.stage.merge(self.number(what), what.get("method", "merge"))

    def close(self, what: Mapping[str, Any]) -> None:
        self.stage.close(self.number(what))

    def approve(self, what: Mapping[str, Any]) -> None:
        self.stage.approve(self.number(what), what.get("by", "alice"))

    def protect(self, what: Mapping[str, Any]) -> None:
        self.stage.protect(**what)

    def check(self, what: Mapping[str, Any]) -> None:
        self.stage.report_check(self.seen(what).head, what["name"], what["state"])

    def edit(self, what: Mapping[str, Any]) -> None:
        """A person's commit: on `branch`, `file` with `find` replaced by `replace`."""
        branch = what.get("branch", "main")
        path = what["file"]
        text = self.read(branch, path).replace(what["find"], what["replace"])
        assert text != self.read(branch, path)
        self.commit(branch, {path: text}, what.get("message", "A person's change"))

    def add(self, what: Mapping[str, Any]) -> None:
        """`times` commits on main that touch nothing of the environment."""
        for number in range(what.get("times", 1)):
            self.commit("main", {what.get("file", "README.md"): f"{number}\n"}, f"Unrelated {number}")

    def delete_branch(self, name: str) -> None:
        repos.git(self.stage.git, "push", "--quiet", self.stage.push_url, f":refs/heads/{name}")

    def rewrite_base(self, _: object) -> None:
        """Force-push main: the same files under another first commit."""
        with self.clone("main") as work:
            tree = repos.git(work, "rev-parse", "HEAD^{tree}")
            new = repos.commit_tree(
                work, tree, None, "Rewritten", "bob <bob@example.com>", "2026-02-01T00:00:00Z"
            )
            repos.git(work, "push", "--quiet", "--force", self.stage.push_url, f"{new}:refs/heads/main")

    def keep_heads(self, _: object) -> None:
        self.heads = {one.number: one.head for one in self.stage.pull_requests()}

    # --- what is seen: each key of `expect` is a method below

    def expect(self, what: Mapping[str, Any]) -> None:
        """What a forge takes a moment to do (to merge, to notice a push) is looked at until it holds."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(AssertionError):
                return self.look(what)
            time.sleep(0.2)  # the next look
        return self.look(what)

    def look(self, what: Mapping[str, Any]) -> None:
        for key, value in what.items():
            if key not in ("pull_request", "branch"):
                getattr(self, f"see_{key}")(value, what)

    def see_open(self, count: int, _: Mapping[str, Any]) -> None:
        states = [one.state for one in self.stage.pull_requests()]
        assert states.count("open") == count, states

    def see_all(self, states: list[str], _: Mapping[str, Any]) -> None:
        assert [one.state for one in self.stage.pull_requests()] == states

    def see_heads(self, word: str, _: Mapping[str, Any]) -> None:
        now = {one.number: one.head for one in self.stage.pull_requests() if one.number in self.heads}
        assert word == "kept"
        assert now == self.heads

    def see_files(self, branches: Mapping[str, Mapping[str, Any]], _: Mapping[str, Any]) -> None:
        for branch, files in branches.items():
            for path, words in files.items():
                text = self.read(branch, path)
                assert all(word in text for word in as_list(words)), (branch, path, text)

    def see_title(self, title: str, what: Mapping[str, Any]) -> None:
        assert self.seen(what).title == title

    def see_body(self, words: Any, what: Mapping[str, Any]) -> None:
        assert all(word in self.seen(what).body for word in as_list(words)), self.seen(what).body

    def see_commits(self, count: int, what: Mapping[str, Any]) -> None:
        """How many commits the branch has that main has not."""
        branch = what.get("branch", "promoter/production/api")
        found = repos.git(self.stage.git, "log", "--format=%s", f"main..{branch}").splitlines()
        assert len(found) == count, found

    def see_labels(self, names: list[str], what: Mapping[str, Any]) -> None:
        assert self.seen(what).labels == frozenset(names)

    def see_reviewers(self, names: list[str], what: Mapping[str, Any]) -> None:
        assert self.seen(what).reviewers == frozenset(names)

    def see_assignees(self, names: list[str], what: Mapping[str, Any]) -> None:
        assert self.seen(what).assignees == frozenset(names)

    def see_auto_merge(self, armed: bool, what: Mapping[str, Any]) -> None:
        assert self.seen(what).auto_merge is armed

    def see_gate(self, state: str, what: Mapping[str, Any]) -> None:
        assert self.stage.statuses(self.seen(what).head)["promoter/gate"][0] == state

    def see_no_branch(self, name: str, _: Mapping[str, Any]) -> None:
        assert repos.resolve(self.stage.git, f"refs/heads/{name}") is None

    def see_subject(self, subject: str, _: Mapping[str, Any]) -> None:
        assert subject in repos.git(self.stage.git, "log", "--format=%s", "main")

    # --- helpers

    def number(self, what: Mapping[str, Any]) -> int:
        return self.seen(what).number

    def seen(self, what: Mapping[str, Any]) -> Seen:
        """The newest pull request of an app (`api`), open ones first."""
        branch = what.get("pull_request", "promoter/production/api")
        found = [one for one in self.stage.pull_requests() if one.branch == branch]
        return next((one for one in reversed(found) if one.state == "open"), found[-1])

    def read(self, branch: str, path: str) -> str:
        return repos.read_file(self.stage.git, path, branch).decode()

    def commit(self, branch: str, files: Mapping[str, str], message: str) -> None:
        with self.clone(branch) as work:
            for path, text in files.items():
                (work / path).parent.mkdir(parents=True, exist_ok=True)
                (work / path).write_text(text)
            repos.git(work, "add", "--all")
            repos.git(
                work, "-c", "user.name=bob", "-c", "user.email=bob@example.com", "commit", "-qm", message
            )
            repos.git(work, "push", "--quiet", self.stage.push_url, f"HEAD:refs/heads/{branch}")

    def clone(self, branch: str) -> Any:
        return _Clone(self.stage.push_url, branch)


class _Clone:
    """A work tree of a branch for the length of a block; of an empty one where the branch is not there."""

    def __init__(self, url: str, branch: str) -> None:
        self.url, self.branch = url, branch

    def __enter__(self) -> Path:
        self.folder = tempfile.TemporaryDirectory()
        work = Path(self.folder.name) / "work"
        repos.git(Path(self.folder.name), "init", "--quiet", "--initial-branch", self.branch, str(work))
        if repos.git(work, "ls-remote", self.url, f"refs/heads/{self.branch}"):
            repos.git(work, "fetch", "--quiet", self.url, self.branch)
            repos.git(work, "reset", "--quiet", "--hard", "FETCH_HEAD")
        return work

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario(path: Path, stage: Stage) -> None:
    scenario = yaml.safe_load(path.read_text())
    if stage.forge in scenario.get("not_on", {}):
        pytest.skip(scenario["not_on"][stage.forge])
    play = Play(
        stage,
        scenario.get("settings", ""),
        scenario.get("environment", ""),
        scenario.get("apps", {"api": "1.0.0"}),
    )
    play.start()
    for step in scenario["steps"]:
        for word, what in step.items():
            getattr(play, word)(what)
