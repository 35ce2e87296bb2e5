"""`promoter history`: what it tells of who moved what, and what it says of what it does not know."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support import repos
from tests.support.cli import REPOSITORY, Result, run_promoter
from tests.support.gitserver import GitServer

SCHEMA = json.loads((REPOSITORY / "schemas" / "outcome.schema.json").read_text())
CONFIG = """\
version: 1
environments:
  staging: {path: envs/staging}
  production: {path: envs/production}
"""
DAY = 86400
NOW = int(datetime.now(UTC).timestamp())


def values(tag: str, name: str = "api") -> str:
    return f"image:\n  repository: ghcr.io/acme/{name}\n  tag: {tag}\n"


def history(repo: Path | str, *args: str) -> Result:
    result = run_promoter("history", "--manifest-repo", str(repo), *args, "--output", "json")
    jsonschema.validate(result.document, SCHEMA)
    return result


def told(result: Result, *keys: str) -> list[tuple[Any, ...]]:
    """Of each landing these keys, and how the tags of its images changed."""
    return [
        (*(one[key] for key in keys), *(_tags(image["before"], image["after"]) for image in one["images"]))
        for one in result.document["history"]
    ]


def _tags(before: list[str], after: list[str]) -> str:
    sides = (",".join(text.rpartition(":")[2] for text in side) for side in (before, after))
    return "->".join(sides)


@dataclass
class Deploy:
    """A manifest repository whose commits land on given days before now."""

    repo: Path

    def commit(self, message: str, days: float, files: Mapping[str, repos.Content | None]) -> str:
        when = NOW - int(days * DAY)
        return repos.commit_files(self.repo, files, message, date=f"@{when} +0000")

    def set(self, tag: str, message: str, days: float, environment: str = "staging", app: str = "api") -> str:
        return self.commit(message, days, {f"envs/{environment}/{app}/values.yaml": values(tag, app)})


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    return Deploy(repos.make_repo(tmp_path / "root" / "deploy.git", {".promoter.yaml": CONFIG}))


def promoted(tag: str, *more: str, environment: str = "staging", app: str = "api") -> str:
    lines = [
        f"promote {app} to {tag} in {environment}\n",
        "Promoter-Id: 0123456789abcdef",
        f"Promoter-Environment: {environment}",
        f"Promoter-App: {app}",
        f"Promoter-Image: ghcr.io/acme/{app}:{tag}",
        *more,
    ]
    return "\n".join(lines)


def test_real_runs_are_told_with_what_they_say(deploy: Deploy) -> None:
    deploy.set("1.0.0", "Start", 3)
    run = (
        "--source",
        "a1b2c3d",
        "--source-time",
        "2026-01-02T03:04:05Z",
        "--run-url",
        "https://ci.example.com/7",
    )
    bumped = run_promoter(
        *("bump", "--manifest-repo", str(deploy.repo), "--env", "staging", "--output", "json", *run),
        *("--image", "ghcr.io/acme/api:1.1.0"),
    )
    assert bumped.document["status"] == "promoted", bumped
    [newest, oldest] = history(deploy.repo, "staging").document["history"]
    assert newest["commit"] == bumped.document["commit_sha"]
    assert (newest["kind"], newest["run"], newest["source"], newest["source_time"]) == (
        "promotion",
        "https://ci.example.com/7",
        "a1b2c3d",
        "2026-01-02T03:04:05Z",
    )
    assert newest["images"] == [
        {
            "image": "ghcr.io/acme/api",
            "before": ["ghcr.io/acme/api:1.0.0"],
            "after": ["ghcr.io/acme/api:1.1.0"],
        }
    ]
    assert (oldest["kind"], oldest["run"], oldest["images"][0]["before"]) == ("by-hand", None, [])


def test_kinds(deploy: Deploy) -> None:
    deploy.set("1.0.0", "Start", 9)
    deploy.set("1.1.0", promoted("1.1.0"), 8)
    gone_back_to = repos.resolve(deploy.repo, "main~1")
    deploy.set("1.0.0", promoted("1.0.0", f"Promoter-From: staging {gone_back_to}"), 7)
    deploy.set("1.2.0", promoted("1.2.0", f"Promoter-From: dev {gone_back_to}"), 6)
    deploy.set("1.3.0", "Try it", 5)
    deploy.set("1.2.0", "This was wrong", 4)
    deploy.set("1.4.0", "Set 1.4.0 (#14)", 3)
    deploy.set("1.0.0", f'Revert "Set 1.4.0 (#14)" (#15)\n\nThis reverts commit {gone_back_to}.', 2)
    assert told(history(deploy.repo, "staging"), "kind", "pull_request") == [
        ("revert", "#15", "1.4.0->1.0.0"),
        ("by-hand", "#14", "1.2.0->1.4.0"),
        ("rollback", None, "1.3.0->1.2.0"),
        ("by-hand", None, "1.2.0->1.3.0"),
        ("promotion", None, "1.0.0->1.2.0"),
        ("rollback", None, "1.1.0->1.0.0"),
        ("promotion", None, "1.0.0->1.1.0"),
        ("by-hand", None, "->1.0.0"),
    ]


@pytest.mark.parametrize(
    ("subject", "number"),
    [
        ("Merge pull request #12 from acme/topic", "#12"),
        ("Merge pull request 'Set it' (#7) from topic into main", "#7"),
        ("Merge branch 'topic' into 'main'\n\nSet it\n\nSee merge request acme/deploy!9", "acme/deploy!9"),
        ("Merged PR 31: Set it", "#31"),
        ("Merged in topic (pull request #8)", "#8"),
        ("Set it (#4)\n\nCloses (#5)", "#4"),
        ("Set it as (#4) says", None),
        ('Revert "Set it (#4)"', None),
    ],
)
def test_pull_requests_by_the_words_of_each_forge(deploy: Deploy, subject: str, number: str | None) -> None:
    deploy.set("1.0.0", "Start", 2)
    deploy.set("1.1.0", subject, 1)
    assert history(deploy.repo).document["history"][0]["pull_request"] == number


def test_a_merge_is_told_with_the_run_of_what_it_merged(deploy: Deploy) -> None:
    start = deploy.set("1.0.0", "Start", 4)
    repos.git(deploy.repo, "branch", "topic", start)
    message = promoted("1.1.0", "Promoter-Run: https://ci.example.com/3")
    top = repos.commit_files(
        deploy.repo, {"envs/staging/api/values.yaml": values("1.1.0")}, message, branch="topic"
    )
    deploy.commit("Meanwhile", 3, {"README.md": "x"})
    tree = repos.git(deploy.repo, "merge-tree", "--write-tree", "main", "topic")
    merge = repos.git(
        deploy.repo,
        "commit-tree",
        tree,
        "-p",
        "main",
        "-p",
        top,
        "-m",
        "Merge pull request #3 from acme/topic",
    )
    repos.git(deploy.repo, "update-ref", "refs/heads/main", merge)
    deploy.set("1.2.0", "By hand", 1)
    found = history(deploy.repo, "staging")
    assert told(found, "commit", "kind", "run") == [
        (repos.resolve(deploy.repo, "main"), "by-hand", None, "1.1.0->1.2.0"),
        (merge, "promotion", "https://ci.example.com/3", "1.0.0->1.1.0"),
        (start, "by-hand", None, "->1.0.0"),
    ]


def test_environments_stand_in_the_order_of_the_branch_not_of_clocks(deploy: Deploy) -> None:
    deploy.set("1.0.0", "Start", 9)
    deploy.set("1.0.0", "Later, by a clock that is behind", 300, environment="production")
    deploy.set("1.1.0", "Last, by a clock that is behind too", 200)
    assert told(history(deploy.repo), "environment") == [
        ("staging", "1.0.0->1.1.0"),
        ("production", "->1.0.0"),
        ("staging", "->1.0.0"),
    ]


def test_a_clock_that_stepped_back_does_not_end_the_search(deploy: Deploy) -> None:
    """A server that walks by date, and meets a branch of long ago first, does not see beyond such a one."""
    landed = [deploy.set("1.0.0", "Start", 99), deploy.set("1.1.0", "Change", 98)]
    repos.make_history(deploy.repo, 100, "first.txt")
    repos.git(deploy.repo, "branch", "stale")
    repos.make_history(deploy.repo, 60, "second.txt")
    deploy.commit("Of a clock that is wrong", 1000, {"README.md": "x\n"})
    repos.commit_files(deploy.repo, {"README.md": "y\n"}, "Of another clock", date=f"@{NOW} +0000")
    repos.make_history(deploy.repo, 10, "third.txt")
    document = history(deploy.repo, "staging").document
    assert [one["commit"] for one in document["history"]] == landed[::-1]
    assert document["unknown_before"] == []


def test_limit_app_and_since(deploy: Deploy) -> None:
    for number, days in enumerate((40, 30, 20, 10)):
        deploy.set(f"1.{number}.0", f"api {number}", days)
        deploy.set(f"2.{number}.0", f"web {number}", days - 1, app="web")
    assert told(history(deploy.repo, "--limit", "3"), "app") == [
        ("web", "2.2.0->2.3.0"),
        ("api", "1.2.0->1.3.0"),
        ("web", "2.1.0->2.2.0"),
    ]
    assert told(history(deploy.repo, "--app", "api", "--limit", "1"), "app") == [("api", "1.2.0->1.3.0")]
    assert told(history(deploy.repo, "--since", "19d12h"), "app") == [
        ("web", "2.2.0->2.3.0"),
        ("api", "1.2.0->1.3.0"),
        ("web", "2.1.0->2.2.0"),
    ]


def test_a_kind_does_not_depend_on_the_limit(deploy: Deploy) -> None:
    for days, tag in ((4, "1.0.0"), (3, "1.1.0"), (2, "1.0.0")):
        deploy.set(tag, f"Set {tag}", days)
    assert told(history(deploy.repo, "--limit", "1"), "kind") == [("rollback", "1.1.0->1.0.0")]


def test_files_that_move_and_values_that_stay_are_no_history(deploy: Deploy) -> None:
    deploy.set("1.0.0", "Start", 9)
    moved = {"envs/staging/api/values.yaml": None, "envs/staging/team/api/values.yaml": values("1.0.0")}
    deploy.commit("Move it", 8, moved)
    deploy.commit("Count", 7, {"envs/staging/team/api/values.yaml": "replicas: 3\n" + values("1.0.0")})
    pod = "kind: Pod\nspec:\n  containers:\n    - {name: a, image: ghcr.io/acme/api:1.0.0}\n"
    changed = {"envs/staging/team/api/values.yaml": None, "envs/staging/pod.yaml": pod}
    deploy.commit("Another format", 6, changed)
    assert told(history(deploy.repo)) == [("->1.0.0",)]
    deploy.commit("Gone", 5, {"envs/staging/pod.yaml": None})
    assert told(history(deploy.repo)) == [("1.0.0->",), ("->1.0.0",)]


# --- measures


def test_metrics_are_those_of_the_window(deploy: Deploy) -> None:
    deploy.set("1.0.0", "Long ago", 200)
    for days, hours, tag in ((40, 1, "1.1.0"), (30, 2, "1.2.0"), (20, 30, "1.3.0")):
        built = datetime.fromtimestamp(NOW - days * DAY - hours * 3600, UTC).isoformat()
        deploy.set(tag, promoted(tag, f"Promoter-Source-Time: {built}"), days)
    deploy.set("1.2.0", 'Revert "promote api to 1.3.0 in staging"', 19)
    found = history(deploy.repo, "staging", "--metrics").document["metrics"]
    [window] = found["windows"]
    assert window["complete"] is True
    [together, api] = found["measured"]
    assert together == api | {"app": None}
    assert api == {
        "environment": "staging",
        "app": "api",
        "deployments": 4,
        "deployments_per_day": round(4 / 90, 4),
        "lead_time": {"count": 3, "median_seconds": 2 * 3600, "p90_seconds": 30 * 3600},
        "rollbacks": 1,
        "rollback_rate": 0.25,
    }


def test_metrics_without_data_are_unknown(deploy: Deploy) -> None:
    deploy.set("1.0.0", "Long ago", 200)
    deploy.set("1.1.0", "By hand", 1)
    found = history(deploy.repo, "--metrics", "--since", "30d").document["metrics"]["measured"]
    lead, rate = (
        {(one["environment"], one["app"]): one[key] for one in found}
        for key in ("lead_time", "rollback_rate")
    )
    assert lead == dict.fromkeys((("staging", None), ("staging", "api"), ("production", None)))
    assert rate == {("staging", None): 0, ("staging", "api"): 0, ("production", None): None}
    text = run_promoter("history", "--manifest-repo", str(deploy.repo), "--metrics", "--since", "30d")
    [row] = [line for line in text.stdout.splitlines() if line.startswith("production   (all)")]
    assert row.split()[2:] == ["0", "0.00", "unknown", "unknown", "0", "unknown"]


# --- what is not known


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """6,000 commits, of which the first sets an image and the newest but one another."""
    repo = tmp_path_factory.mktemp("served") / "long.git"
    repos.init_bare(repo, "main", allow_filter=True)

    def stream() -> Iterator[bytes]:
        for number in range(6000):
            files = {"counter": f"{number}\n"}
            if number == 0:
                files |= {".promoter.yaml": CONFIG, "envs/staging/api/values.yaml": values("1.0.0")}
            if number == 5998:
                files["envs/staging/web/values.yaml"] = values("2.0.0", "web")
            yield b"commit refs/heads/main\ncommitter A <a@example.com> %d +0000\n" % (repos.EPOCH + number)
            yield b"data 1\nx\n"
            for path, text in files.items():
                yield f"M 100644 inline {path}\ndata {len(text)}\n{text}\n".encode()

    repos.fast_import(repo, stream())
    with GitServer(repo.parent) as server:
        yield f"{server.url}/long.git"


def test_what_is_older_than_the_bound_is_said_to_be_unknown(long: str) -> None:
    found = history(long, "staging")
    assert told(found, "app") == [("web", "->2.0.0")]
    [unknown] = found.document["unknown_before"]
    # The tip, and 5,000 commits more.
    assert datetime.fromisoformat(unknown["when"]).timestamp() == repos.EPOCH + 5999 - 5000
    assert [one["code"] for one in found.document["warnings"]] == ["older-history-unknown"]
    metrics = history(long, "staging", "--metrics", "--since", "2020-01-01").document["metrics"]
    assert [(one["complete"], one["since"]) for one in metrics["windows"]] == [(False, unknown["when"])]


def test_what_was_asked_for_needs_no_older_history(long: str) -> None:
    found = history(long, "staging", "--limit", "1")
    assert (told(found, "app"), found.document["unknown_before"]) == ([("web", "->2.0.0")], [])


# --- bad input


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("stagng",), 3, "did you mean 'staging'"),
        (("staging", "--app", "apo"), 4, "'apo'"),
        (("--since", "yesterday"), 2, "'yesterday' is no time"),
        (("--since", "2026-01-01T10:00:00"), 2, "has no time zone"),
        (("--since", "0001-01-01T00:00:00+14:00"), 2, "no time that UTC has a year for"),
        (("--since", "0001-01-01T00:00:00+14:00", "--metrics"), 2, "no time that UTC has a year for"),
        (("--limit", "0"), 2, "--limit"),
    ],
)
def test_bad_input_is_said(deploy: Deploy, args: tuple[str, ...], code: int, says: str) -> None:
    deploy.set("1.0.0", "Start", 1)
    found = history(deploy.repo, *args)
    assert found.code == code, found
    assert says in found.document["error"]["message"]
    assert found.document["error"]["next"]


def test_text_holds_no_control_character_of_a_commit(deploy: Deploy) -> None:
    deploy.set("1.0.0", "Start \x1b[31mred\n", 1)
    text = run_promoter("history", "--manifest-repo", str(deploy.repo))
    assert "\x1b" not in text.stdout
    assert "[31mred" in text.stdout
