"""Holds by pull request, on every forge: one that converges, and that no promotion is taken for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.forges.test_scenarios import Play
from tests.support import repos

if TYPE_CHECKING:
    from tests.forges.stage import Seen, Stage

BRANCH = "promoter/_hold/production/api"
FILE = ".promoter/holds/production/api"
API = ("production", "--app", "api")


def play_on(stage: Stage, settings: str = "labels: [promotion], reviewers: [alice]") -> Play:
    play = Play(stage, settings)
    play.start()
    return play


def run(play: Play, verb: str, *args: str, **expect: Any) -> None:
    play.run(verb, *args, expect=expect)


def seen(play: Play) -> list[Seen]:
    return [one for one in play.stage.pull_requests() if one.branch == BRANCH]


def test_a_hold_converges(stage: Stage) -> None:
    play = play_on(stage)
    reason = "fixes #1, ask @carol"
    run(play, "hold", *API, "--reason", reason, status="proposed", operation="created")
    [first] = seen(play)
    assert (first.state, first.base, first.title) == ("open", "main", "hold api in production")
    assert set(first.labels) == {"promotion"}
    assert set(first.reviewers) == {"alice"}
    assert f"reason: {reason}\n" in play.read(BRANCH, FILE)
    assert "Promoter-App: api" in first.body
    assert "fixes #1" not in first.body  # which would close an issue

    run(play, "hold", *API, "--reason", reason, status="proposed", operation="unchanged")
    assert seen(play) == [first]
    run(play, "sync", reason="nothing-open")
    assert seen(play) == [first]

    run(play, "hold", *API, "--reason", "another", status="proposed", operation="updated")
    [second] = seen(play)
    assert (second.number, second.state) == (first.number, "open")
    assert second.head == repos.resolve(stage.git, BRANCH) != first.head
    assert "another" in second.body
    assert reason not in second.body

    stage.merge(second.number)
    run(play, "hold", *API, "--reason", "another", status="unchanged", reason="equal")
    assert "reason: another\n" in play.read("main", FILE)


def test_letting_go_closes_or_proposes(stage: Stage) -> None:
    play = play_on(stage, "")
    run(play, "hold", *API, operation="created")
    run(play, "unhold", *API, status="unchanged", operation="closed")
    assert [one.state for one in seen(play)] == ["closed"]
    run(play, "hold", *API, operation="created")
    stage.merge(seen(play)[-1].number)
    run(play, "unhold", *API, status="proposed", operation="created")
    assert [one.state for one in seen(play)] == ["closed", "merged", "open"]
    stage.merge(seen(play)[-1].number)
    run(play, "unhold", *API, status="unchanged", reason="not-held")
    assert FILE not in repos.git(stage.git, "ls-tree", "-r", "--name-only", "main").splitlines()
