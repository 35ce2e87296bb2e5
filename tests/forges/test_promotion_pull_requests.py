"""Promotions and rollbacks by pull request, on every forge: what they say, and what they wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.forges.test_scenarios import APP, Play
from tests.support import repos

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.forges.stage import Seen, Stage

FROZEN = 'freeze: [{from: "2020-01-01 00:00", to: "2099-01-01 00:00"}]'
GO = ("staging", "production")
BRANCH = "promoter/production/api"
WHOLE = "promoter/production/_all"
SHOP = "\napps: {shop: {images: [ghcr.io/acme/shop, ghcr.io/acme/shop-worker]}}"


def play_on(stage: Stage, settings: str, environment: str, apps: Mapping[str, str] | None = None) -> Play:
    """Production runs 1.0.0 of each app, staging what ``apps`` say."""
    ahead = apps or {"api": "1.1.0"}
    play = Play(stage, settings, environment, dict.fromkeys(ahead, "1.0.0"))
    play.start()
    stand(play, "staging", ahead)
    return play


def stand(play: Play, environment: str, apps: Mapping[str, str]) -> str:
    """A person's commit that has the apps run there; returns it."""
    files = {f"envs/{environment}/{app}.yaml": APP % {"app": app, "tag": tag} for app, tag in apps.items()}
    play.commit("main", files, f"By hand: {environment}")
    return repos.resolve(play.stage.git, "main") or ""


def run(play: Play, verb: str, *args: str, **expect: Any) -> None:
    play.run(verb, *args, expect=expect)


def only(play: Play, branch: str = BRANCH) -> Seen:
    [one] = [one for one in play.stage.pull_requests() if one.branch == branch]
    return one


def gate(play: Play, branch: str = BRANCH) -> tuple[str, str]:
    return play.stage.statuses(only(play, branch).head)["promoter/gate"]


def test_after(stage: Stage) -> None:
    """Nothing is armed or merged before the image runs in staging; then sync lands it."""
    play = play_on(stage, "auto-merge: merge", "after: staging", {"api": "1.0.5"})
    bump = ("--env", "production", "--image", "ghcr.io/acme/api:1.1.0")
    run(play, "bump", *bump, "--publish", "push", exit=6, reason="after")
    run(play, "bump", *bump, status="proposed", operation="created")
    assert (gate(play)[0], only(play).auto_merge) == ("pending", False)
    assert "staging does not run ghcr.io/acme/api:1.1.0" in gate(play)[1]
    assert "staging does not run" in only(play).body
    run(play, "sync", status="proposed", operation="unchanged")
    stand(play, "staging", {"api": "1.1.0"})
    run(play, "sync", status="promoted", operation="merged")
    assert gate(play)[0] == "success"
    assert "api:1.1.0" in play.read("main", "envs/production/api.yaml")


def test_required_checks(stage: Stage) -> None:
    """They are asked of the commit that brought the image to staging."""
    play = play_on(stage, "auto-merge: merge", "after: staging\n    require-checks: [ci/test]")
    commit = repos.resolve(stage.git, "main") or ""
    play.commit("main", {"README.md": "later\n"}, "Of no concern")
    by_push = (*GO, "--publish", "push")
    run(play, "promote", *by_push, exit=6, reason="checks", says="ci/test is not there")
    stage.report_check(commit, "ci/test", "failure")
    run(play, "promote", *GO, "--app", "api", *by_push[2:], exit=6, reason="checks", says="ci/test is failed")
    run(play, "promote", *GO, status="proposed", operation="created")
    assert (gate(play)[0], only(play).auto_merge) == ("pending", False)
    assert commit[:12] in gate(play)[1]
    stage.report_check(commit, "ci/test", "success")
    run(play, "sync", status="promoted", operation="merged")
    assert "api:1.1.0" in play.read("main", "envs/production/api.yaml")


@pytest.mark.parametrize("opens", ["its end", "--lift-hold"])
def test_hold(stage: Stage, opens: str) -> None:
    """A hold closes the gate of what is open, and disarms it; its end opens it again."""
    play = play_on(stage, "auto-merge: merge", "")
    stage.protect(checks=["ci"])
    run(play, "promote", *GO, status="proposed", operation="created")
    assert only(play).auto_merge
    hold = {".promoter/holds/production/api": "reason: pay fails\nby: alice\n"}
    play.commit("main", hold, "Hold")
    run(play, "sync", status="proposed")
    assert (gate(play)[0], only(play).auto_merge) == ("pending", False)
    assert "api is held by alice: pay fails" in gate(play)[1]
    if opens == "its end":
        play.commit(
            "main", {path: f"{text}until: 2026-01-01T00:00:00Z\n" for path, text in hold.items()}, "Over"
        )
        run(play, "sync", status="proposed")
        assert gate(play)[0] == "success"
    else:
        run(play, "promote", *GO, "--lift-hold", status="proposed", operation="updated")
        assert "the hold on api ends" in only(play).body
    assert only(play).auto_merge


def test_all_apps_in_one(stage: Stage) -> None:
    """Group: environment. The text says where the images come from, and what they wait for."""
    apps = {"api": "1.1.0", "web": "2.0.0", "same": "1.0.0"}
    play = play_on(stage, "group: environment", f"allow-override: true\n    {FROZEN}", apps)
    source = repos.resolve(stage.git, "main") or ""
    run(play, "promote", *GO, status="proposed", operation="created")
    first = only(play, WHOLE)
    assert first.title == "promote api and 1 more in production"
    for words in ("api:1.1.0", "web:2.0.0", f"comes from staging at {source[:12]}", "frozen until"):
        assert words in first.body
    assert len(repos.log(stage.git, f"main..{WHOLE}")) == 2
    run(play, "promote", *GO, status="proposed", operation="unchanged")
    assert only(play, WHOLE) == first
    run(play, "promote", *GO, "--app", "web", "--override", "pay is down", operation="updated")
    second = only(play, WHOLE)
    assert "gates but holds are passed: pay is down" in second.body
    assert "Promoter-Override: pay is down" in second.body
    assert gate(play, WHOLE)[0] == "pending"  # api was not overridden
    run(play, "promote", *GO, "--override", "pay is down", operation="updated")
    assert gate(play, WHOLE)[0] == "success"


def test_rollback(stage: Stage) -> None:
    """It says what it goes back to and that it holds; onto it no bump comes, and it sticks when merged."""
    play = play_on(stage, "", "")
    ran = repos.resolve(stage.git, "main~1") or ""
    stand(play, "production", {"api": "1.1.0"})
    back = ("production", "--app", "api", "--reason", "pay fails", "--actor", "carol")
    run(play, "rollback", *back, status="proposed", operation="created")
    one = only(play)
    assert one.title == "roll api back to 1.0.0 in production"
    assert f"goes back to what production ran from {ran[:12]} on" in one.body
    assert "api is held by carol: pay fails" in one.body
    run(play, "rollback", *back, status="proposed", operation="unchanged")
    bump = ("--env", "production", "--image", "ghcr.io/acme/api:1.2.0")
    run(play, "bump", *bump, exit=6, reason="held", says="--lift-hold")
    assert only(play) == one
    stage.merge(one.number)
    run(play, "sync", reason="nothing-open")
    assert "api:1.0.0" in play.read("main", "envs/production/api.yaml")
    assert "reason: pay fails\n" in play.read("main", ".promoter/holds/production/api")
    run(play, "bump", *bump, "--publish", "push", exit=6, reason="held", says="pay fails")


@pytest.mark.parametrize("group", ["app", "environment"])
def test_rollback_takes_the_place_of_all_that_is_proposed_for_its_app(stage: Stage, group: str) -> None:
    """Also of images that it leaves as they are; what is proposed for other apps stays."""
    apps = {"shop": "1.0.0", "shop-worker": "1.0.0", "web": "1.0.0"}
    play = Play(stage, f"group: {group}", SHOP, apps)
    play.start()
    stand(play, "production", {"shop": "1.1.0"})  # the worker stays: back is the shop alone
    newer = {"shop": "1.2.0", "shop-worker": "1.2.0", "web": "2.0.0"}
    stand(play, "staging", newer)
    run(play, "promote", *GO, status="proposed")
    branch = WHOLE if group == "environment" else "promoter/production/shop"
    assert [tag_at(play, branch, app) for app in ("shop", "shop-worker")] == ["1.2.0", "1.2.0"]
    run(play, "rollback", "production", "--app", "shop", status="proposed", operation="updated")
    one = only(play, branch)
    assert [tag_at(play, branch, app) for app in ("shop", "shop-worker")] == ["1.0.0", "1.0.0"]
    assert "shop-worker" not in one.body
    assert tag_at(play, WHOLE if group == "environment" else "promoter/production/web", "web") == "2.0.0"
    run(play, "sync", status="proposed")
    stage.merge(one.number)
    assert [tag_at(play, "main", app) for app in ("shop", "shop-worker")] == ["1.0.0", "1.0.0"]
    assert tag_at(play, "main", "web") == ("2.0.0" if group == "environment" else "1.0.0")


def tag_at(play: Play, branch: str, app: str) -> str:
    """What production runs of the app on a branch."""
    text = play.read(branch, f"envs/production/{app}.yaml")
    return text.partition(f"image: ghcr.io/acme/{app}:")[2].partition("\n")[0]


def test_what_a_person_closed_a_promote_reopens(stage: Stage) -> None:
    play = play_on(stage, "", "")
    run(play, "promote", *GO, operation="created")
    stage.close(only(play).number)
    bump = ("--env", "production", "--image", "ghcr.io/acme/api:1.1.0")
    run(play, "bump", *bump, status="unchanged", reason="closed-by-person")
    run(play, "promote", *GO, status="proposed", operation="created")
    assert [one.state for one in stage.pull_requests()] == ["closed", "open"]
