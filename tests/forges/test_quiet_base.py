"""Pushes to the base that touch no promotion leave every head alone, however many there are of both.

With stale approvals dismissed and heads that must be up to date, tools that rebase on each push take
approvals away and start all checks again, for nothing.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.forges.pull_request_bench import Bench, behind_proxy, branch_of
from tests.forges.stage import Stage
from tests.support import repos

# Forge: pull requests, pushes to the base, runs of sync between them.
SIZES = {"github": (40, 100, 2), "gitlab": (8, 100, 2), "gitea": (4, 12, 1)}
# To the API, for each pull request that is left as it is, and once for all of them. GitHub is asked twice: it
# works out whether a pull request conflicts only when somebody asks.
MOST_REQUESTS = {"github": 2, "gitlab": 5, "gitea": 10}


def test_a_busy_base_costs_no_head(stage: Stage, tmp_path: Path) -> None:
    count, pushes, runs = SIZES[stage.forge]
    apps = [f"app-{number:02d}" for number in range(count)]
    with behind_proxy(stage, tmp_path / "scratch", apps) as bench:
        bump_all(bench, apps)
        stage.protect(approvals=1, dismiss_stale=True, up_to_date=True, checks=["ci"])
        before = stage.pull_requests()
        assert sorted(one.branch for one in before) == [branch_of(app) for app in apps]
        for run in range(runs):
            push(bench, [f"docs/{run}-{number}.md" for number in range(pushes // runs)])
            result = bench.run(["sync"])
            operations = [one["operation"] for one in result.document["pull_requests"]]
            assert operations == ["unchanged"] * count
            assert_quiet(bench, count)
        assert stage.pull_requests() == before
        assert len(repos.log(stage.git)) > pushes


def bump_all(bench: Bench, apps: Iterable[str]) -> None:
    def bump(app: str) -> None:
        result = bench.finish(bench.start(bench.bump(app, "1.1.0")))
        assert result.document["status"] == "proposed", result.document

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(bump, apps))


def push(bench: Bench, paths: list[str]) -> None:
    """Somebody's commits that touch no environment; Gitea must hear of each."""
    if bench.stage.forge != "gitea":
        repos.make_history(bench.stage.git, len(paths), f"{paths[0]}.{{n}}")
        return
    with bench.play.clone("main") as work:
        for path in paths:
            repos.commit_files(work, {path: "Unrelated\n"}, f"Write {path}")
            repos.git(work, "push", "--quiet", bench.stage.push_url, "main")


def assert_quiet(bench: Bench, count: int) -> None:
    asked = [one for one in bench.proxy.requests if " /api/" in one]
    assert len(asked) <= MOST_REQUESTS[bench.stage.forge] * (count + 1), asked
    assert [one for one in bench.proxy.requests if one.endswith("git-receive-pack")] == []
