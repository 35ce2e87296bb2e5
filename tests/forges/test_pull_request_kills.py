"""Killed, or left without an answer, at any call to the forge or to Git: run again, it is one pull request.

A run is killed at its first request, its second, and so on until one ends undisturbed. Where a killed run has
changed nothing, the next one starts from the same state; where it has, the run that follows must heal it. On
Gitea, which is slow, only the calls after the first one to its API count, and of many of them every second.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forges.pull_request_bench import Bench, behind_proxy
from tests.forges.stage import Seen, Stage
from tests.support.killproxy import Chosen

SETTINGS = "labels: [promotion], reviewers: [alice]"
LIVES = {"github": 3, "gitlab": 2, "gitea": 1}
APPS = [f"app-{number:02d}" for number in range(16)]


@pytest.fixture
def bench(stage: Stage, tmp_path: Path) -> Iterator[Bench]:
    with behind_proxy(stage, tmp_path / "scratch", APPS, SETTINGS) as made:
        yield made


def assert_converged(bench: Bench, app: str, tag: str) -> None:
    one = bench.assert_converged(app, tag)
    assert (one.labels, one.reviewers) == (frozenset({"promotion"}), frozenset({"alice"}))


def assert_closed(bench: Bench, app: str) -> Seen:
    """All are, and the last one says why."""
    found = bench.pull_requests(app)
    assert {one.state for one in found} == {"closed"}
    assert re.search("Closed by promoter: main has what this would bring", found[-1].comments[-1])
    return found[-1]


def first_call(bench: Bench) -> int:
    """The number of the last run's first request to the API: before it all is reading."""
    return next(number for number, request in enumerate(bench.proxy.requests, 1) if " /api/" in request)


def step(bench: Bench) -> int:
    return 2 if bench.stage.forge == "gitea" else 1


def test_killed_while_it_opens_a_pull_request(bench: Bench) -> None:
    apps = iter(APPS)
    bench.run(bench.bump(next(apps), "1.1.0"))
    app, healed = next(apps), 0
    for number in itertools.count(first_call(bench) if bench.stage.forge == "gitea" else 1):
        before = bench.state()
        if not bench.killed(bench.bump(app, "1.1.0"), number):
            break
        if bench.state() != before:
            bench.run(bench.bump(app, "1.1.0"))
            assert_converged(bench, app, "1.1.0")
            app, healed = next(apps), healed + 1
    assert_converged(bench, app, "1.1.0")
    assert len(bench.stage.pull_requests()) == healed + 2
    assert healed >= 4  # pushed, opened, labelled, asked


def test_killed_while_it_updates_a_pull_request(bench: Bench) -> None:
    """From the first call to the API on: before it, it is the same run as one that opens."""
    app, minor = APPS[0], 1
    bench.run(bench.bump(app, "1.1.0"))
    for number in itertools.count(first_call(bench), step(bench)):
        before = bench.state()
        if not bench.killed(bench.bump(app, f"1.{minor + 1}.0"), number):
            break
        if bench.state() != before:
            minor += 1
            bench.run(bench.bump(app, f"1.{minor}.0"))
            assert_converged(bench, app, f"1.{minor}.0")
    assert_converged(bench, app, f"1.{minor + 1}.0")
    assert len(bench.stage.pull_requests()) == 1
    assert minor >= 2 + (bench.stage.forge != "gitea")  # killed after the push, and after the new text


def test_killed_while_it_closes_a_pull_request(bench: Bench) -> None:
    app, minor = APPS[0], 1
    bench.run(bench.bump(app, "1.1.0"))
    bench.run(["sync"])
    first = first_call(bench)
    bench.give_base(app, "1.1.0")
    for number in itertools.count(first, step(bench)):
        before = bench.state()
        if not bench.killed(["sync"], number):
            break
        if bench.state() != before:
            bench.run(["sync"])
            assert_closed(bench, app)
            minor += 1
            bench.run(bench.bump(app, f"1.{minor}.0"))
            bench.give_base(app, f"1.{minor}.0")
    assert_closed(bench, app)
    assert len(bench.stage.pull_requests()) == minor
    assert minor >= 2 + 2 * (bench.stage.forge != "gitea")  # commented, described, closed


def test_no_answer_that_is_lost_matters(bench: Bench) -> None:
    """A pull request's life, again and again: each run loses the n-th answer of every kind."""
    asked: set[str] = set()
    lost: set[str] = set()

    def run(command: list[str], number: int) -> None:
        bench.run(command, each(number))
        asked.update(map(kind, bench.proxy.requests))
        lost.update(map(kind, bench.proxy.lost))

    for number, app in enumerate(APPS[: LIVES[bench.stage.forge]], 1):
        for tag in ("1.1.0", "1.2.0"):
            run(bench.bump(app, tag), number)
            assert_converged(bench, app, tag)
        bench.give_base(app, "1.2.0")
        run(["sync"], number)
        assert len(assert_closed(bench, app).comments) == 1
        assert len(bench.pull_requests(app)) == 1
        assert number > 1 or lost == asked


def kind(request: str) -> str:
    """A request without what is its own: numbers, commits, branches, questions to the API."""
    address = request.partition("?")[0] if " /api/" in request else request
    return re.sub(r"app-\d+|(?<=/)(\d+|[0-9a-f]{40})(?=/|$)", "N", address)


def each(number: int) -> Chosen:
    """The n-th request of each kind."""
    seen: Counter[str] = Counter()

    def chosen(_: int, request: str) -> bool:
        seen[kind(request)] += 1
        return seen[kind(request)] == number

    return chosen
