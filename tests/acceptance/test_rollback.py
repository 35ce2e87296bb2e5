"""Back to what ran before, whoever changed it; and it sticks, against bumps that race with it."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.environments import (
    DIGEST,
    change,
    config,
    files,
    hold_of,
    image,
    paths,
    refs,
    refused,
    tags,
    told,
)
from tests.support import repos
from tests.support.cli import finish, start_promoter
from tests.support.gitserver import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.acceptance.conftest import Bench
    from tests.support.gitserver import GitServer

CONFIG = config(production="")
BACK = ("rollback", "production", "--app", "api")
HOLD = hold_of("production", "api")
BRANCH = "promoter/production/api"


@pytest.fixture
def ran(bench: Bench) -> Bench:
    """api has run 1.0.0, 1.1.0 and 1.2.0, beside web 2.0.0."""
    bench.make(files(CONFIG, production={"api": "1.0.0", "web": "2.0.0"}))
    change(bench.repo, "production", "By another tool", api="1.1.0")
    change(bench.repo, "production", "Update (#7)", api="1.2.0")
    return bench


def api(bench: Bench, rev: str = "main") -> str:
    return tags(bench.repo, "production", rev)["api"]


def bump(bench: Bench, tag: str, *args: str, code: int = 0, app: str = "api") -> Any:
    return told(bench, "bump", "--env", "production", *image(app, tag), *args, code=code)


def lines(bench: Bench, rev: str = "main") -> dict[str, str]:
    text = repos.read_file(bench.repo, HOLD, rev).decode()
    return dict(line.split(": ", 1) for line in text.splitlines())


# --- what ran before -------------------------------------------------------------------------


def test_one_step_and_it_sticks(ran: Bench) -> None:
    before, web = ran.tip, tags(ran.repo, "production")["web"]
    document = told(ran, *BACK, "--reason", "pay fails", "--actor", "alice")
    assert (document["status"], document["app"], api(ran)) == ("promoted", "api", "1.1.0")
    assert tags(ran.repo, "production")["web"] == web
    [commit] = repos.log(ran.repo, f"{before}..main")
    assert commit.subject == "roll api back to 1.1.0 in production"
    assert commit.trailers["Promoter-From"] == [f"production {repos.log(ran.repo)[2].sha}"]
    changed = repos.git(ran.repo, "diff", "--name-only", f"{before}..main").splitlines()
    assert changed == [HOLD, "envs/production/kustomization.yaml"]
    assert (lines(ran)["reason"], lines(ran)["by"]) == ("pay fails", "alice")
    # Nothing else comes in, and whoever tries is told why.
    bumped = ("bump", "--env", "production", *image("api", "1.2.0"))
    error = refused(ran, *bumped, code=6, reason="held", says="pay fails")["error"]
    assert "by alice" in error["message"]
    assert "promoter unhold production --app api" in error["next"]
    assert "--lift-hold" in error["next"]
    assert bump(ran, "1.0.0")["status"] == "superseded"  # an old job: nothing to say
    assert bump(ran, "2.1.0", app="web")["status"] == "promoted"
    told(ran, "unhold", "production", "--app", "api")
    assert bump(ran, "1.3.0")["status"] == "promoted"
    repos.fsck(ran.repo)


def test_further_back(ran: Bench) -> None:
    """A second rollback goes on from where the first one led, and not forward again."""
    assert told(ran, *BACK)["status"] == "promoted"
    assert lines(ran)["reason"] == "rolled back from 1.2.0 to 1.1.0"
    assert told(ran, *BACK)["status"] == "promoted"
    assert (api(ran), lines(ran)["reason"]) == ("1.0.0", "rolled back from 1.1.0 to 1.0.0")
    refused(ran, *BACK, code=4, reason="nothing-before", says="api")


@pytest.mark.parametrize(("steps", "tag"), [("1", "1.1.0"), ("2", "1.0.0")])
def test_steps(ran: Bench, steps: str, tag: str) -> None:
    told(ran, *BACK, "--steps", steps)
    assert api(ran) == tag


def test_to_a_tag_a_reference_or_a_commit(ran: Bench) -> None:
    landed = [one.sha for one in repos.log(ran.repo)]  # 1.2.0, 1.1.0, 1.0.0
    other = repos.commit_files(ran.repo, {"README.md": "x\n"}, "Nothing of api")
    change(ran.repo, "production", api="1.3.0")
    for to, tag in (
        ("1.0.0", "1.0.0"),
        ("ghcr.io/acme/api:1.1.0", "1.1.0"),
        (landed[2], "1.0.0"),
        (landed[1][:10], "1.1.0"),
        (other, "1.2.0"),
    ):
        document = told(ran, *BACK, "--to", to, "--dry-run")
        moved = {one["after"] for one in document["changes"] if one["status"] == "planned"}
        assert moved == {f"ghcr.io/acme/api:{tag}"}, to
    told(ran, *BACK, "--to", landed[2])
    assert api(ran) == "1.0.0"
    error = refused(ran, *BACK, "--to", "1.2.0", code=6, reason="not-older", says="1.2.0")["error"]
    assert "--again" in error["next"]
    told(ran, *BACK, "--to", "1.2.0", "--again")
    assert api(ran) == "1.2.0"


@pytest.mark.parametrize(
    ("args", "code", "reason", "says"),
    [
        ((*BACK, "--to", "9.9.9"), 4, "nothing-before", "9.9.9"),
        ((*BACK, "--to", "0" * 40), 4, "nothing-before", "0" * 40),
        ((*BACK, "--steps", "3"), 4, "nothing-before", "3 changes back"),
        (("rollback", "production", "--app", "web"), 4, "nothing-before", "web"),
        (("rollback", "production", "--app", "apo"), 4, "image-not-found", "does not run apo"),
        (("rollback", "prod", "--app", "api"), 3, "configuration", "prod"),
        (("rollback", "production"), 2, "usage", "--app"),
        ((*BACK, "--steps", "0"), 2, "usage", "--steps"),
        ((*BACK, "--to", "1.0.0", "--steps", "2"), 2, "usage", "exclude each other"),
        ((*BACK, "--until", "tomorrow"), 2, "usage", "--until"),
        ((*BACK, "--reason", "a\nb"), 2, "usage", "--reason"),
        ((*BACK, "--override", "now"), 6, "override", "production"),
    ],
    ids=lambda value: " ".join(value[3:]) if isinstance(value, tuple) else None,
)
def test_bad_input(ran: Bench, args: tuple[str, ...], code: int, reason: str, says: str) -> None:
    refused(ran, *args, code=code, reason=reason, says=says)


def test_whoever_changed_it(bench: Bench) -> None:
    """A merge, a title-only squash, a revert, a moved file and digests are history like bumps."""
    bench.make({".promoter.yaml": CONFIG, "envs/production/a.yaml": "image: ghcr.io/acme/api:1.0.0\n"})
    told(bench, "bump", "--env", "production", *image("api", "1.1.0"))
    squashed = {"envs/production/a.yaml": f"image: ghcr.io/acme/api:1.2.0@{DIGEST}\n"}
    repos.commit_files(bench.repo, squashed, "promote api (#3)")
    repos.revert(bench.repo, bench.tip or "")  # 1.1.0 again
    moved = {
        "envs/production/a.yaml": None,
        "envs/production/b/a.yaml": f"image: ghcr.io/acme/api:1.3.0@{DIGEST}\n",
    }
    repos.commit_files(bench.repo, moved, "Move it")
    repos.make_history(bench.repo, 60, "other/{n}.txt")  # deeper than one look
    told(bench, *BACK, "--drop-digest")
    assert repos.read_file(bench.repo, "envs/production/b/a.yaml") == b"image: ghcr.io/acme/api:1.1.0\n"
    # What was reverted is newer, and nobody goes there without saying so.
    refused(bench, *BACK, "--pin", code=6, reason="not-older", says="1.2.0")
    told(bench, *BACK, "--pin", "--again")
    assert (
        repos.read_file(bench.repo, "envs/production/b/a.yaml").decode() == squashed["envs/production/a.yaml"]
    )


def test_a_history_that_is_longer_than_the_bound(bench: Bench) -> None:
    """DESIGN §8: 5,000 commits, then it is said that nobody knows."""
    bench.make(files(CONFIG, production={"api": "1.0.0"}))
    change(bench.repo, "production", api="1.1.0")
    repos.make_history(bench.repo, 5100, "other.txt")
    error = refused(bench, *BACK, code=4, reason="history-unknown", says="was not looked at")["error"]
    assert "--allow-downgrade" in error["next"]


def test_an_app_of_several_images(bench: Bench) -> None:
    """All that differed go back; what is gone since, or is new since, is left out."""
    apps = "apps: {shop: {images: [ghcr.io/acme/shop, ghcr.io/acme/shop-*]}}\n"
    bench.make(
        files(CONFIG + apps, production={"shop": "1.0.0", "shop-worker": "1.0.0", "shop-old": "1.0.0"})
    )
    change(bench.repo, "production", **{"shop": "1.1.0", "shop-worker": "1.1.0"})
    without = tags(bench.repo, "production") | {"shop-new": "5.0.0"}
    del without["shop-old"]
    repos.commit_files(
        bench.repo,
        {
            "envs/production/kustomization.yaml": files(CONFIG, production=without)[
                "envs/production/kustomization.yaml"
            ]
        },
        "One for another",
    )
    # The last landing changed no version of anything that still runs: it is no step.
    document = told(bench, "rollback", "production", "--app", "shop")
    assert document["status"] == "promoted"
    assert tags(bench.repo, "production") == {"shop": "1.0.0", "shop-worker": "1.0.0", "shop-new": "5.0.0"}
    # The hold is the app's: none of its images comes in, whatever the run is called.
    for name in ("shop", "shop-new"):
        bump(bench, "6.0.0", code=6, app=name)
        bump(bench, "6.0.0", "--app", "else", code=6, app=name)


SHOP = "apps: {shop: {images: [ghcr.io/acme/shop, ghcr.io/acme/shop-*]}}\n"
TO_SHOP = ("rollback", "production", "--app", "shop")


def test_an_image_that_came_or_went_is_no_step(bench: Bench) -> None:
    """Neither when it is the first landing that is met, nor between two steps."""
    before: list[dict[str, str]] = [
        {"shop": "1.0.0", "shop-side": "7"},
        {"shop": "1.1.0", "shop-side": "7"},
        {"shop": "1.1.0"},
        {"shop": "1.2.0"},
        {"shop": "1.2.0", "shop-side": "7"},
    ]
    bench.make(files(CONFIG + SHOP, production=before[0]))
    for tags_then in before[1:]:
        repos.commit_files(bench.repo, files(CONFIG + SHOP, production=tags_then), "By hand")
    for steps, tag in (("1", "1.1.0"), ("2", "1.0.0")):
        document = told(bench, *TO_SHOP, "--steps", steps, "--dry-run")
        assert [one["after"] for one in document["changes"]] == [f"ghcr.io/acme/shop:{tag}"]
    refused(bench, *TO_SHOP, "--steps", "3", code=4, reason="nothing-before")


def test_what_is_gone_may_have_run_in_several_versions(bench: Bench) -> None:
    """Only what still runs goes back, so only there it matters."""
    canary = "image: ghcr.io/acme/shop-old:2\n"
    bench.make(
        files(CONFIG + SHOP, production={"shop": "1.0.0", "shop-old": "1"})
        | {"envs/production/canary.yaml": canary}
    )
    later = files(CONFIG + SHOP, production={"shop": "1.1.0"})
    repos.commit_files(bench.repo, {**later, "envs/production/canary.yaml": None}, "Without the old one")
    told(bench, *TO_SHOP)
    assert tags(bench.repo, "production") == {"shop": "1.0.0"}


def test_the_build_that_comes_back_is_told_where_all_images_agree(bench: Bench) -> None:
    """One commit tells of one build: never of another image's, nor of one of two."""
    start = {"shop": "1.0.0", "shop-side": "1.0.0"}
    bench.make(files(CONFIG + SHOP, production=start))
    one, both = "1a2b3c4d" * 5, "5e6f7a8b" * 5

    def came_back() -> str | None:
        told(bench, *TO_SHOP)
        told(bench, "unhold", "production", "--app", "shop")
        trailers = repos.log(bench.repo)[1].trailers
        assert len(trailers["Promoter-From"]) == 1
        return trailers.get("Promoter-Source", [None])[0]

    bump(bench, "1.1.0", "--source", one, app="shop")
    change(bench.repo, "production", **{"shop-side": "1.1.0"})
    assert came_back() is None  # shop-side alone, which that build was not of
    assert tags(bench.repo, "production") == {"shop": "1.1.0", "shop-side": "1.0.0"}
    bump(bench, "1.3.0", *image("shop-side", "1.3.0"), "--source", both, app="shop")
    change(bench.repo, "production", **{"shop": "1.4.0", "shop-side": "1.4.0"})
    assert came_back() == both
    assert tags(bench.repo, "production") == {"shop": "1.3.0", "shop-side": "1.3.0"}
    bump(bench, "1.5.0", "--source", one, app="shop")
    change(bench.repo, "production", **{"shop": "1.6.0", "shop-side": "1.6.0"})
    assert came_back() is None  # of the two only shop was of that build
    assert tags(bench.repo, "production") == {"shop": "1.5.0", "shop-side": "1.3.0"}


def test_from_a_canary_forward_is_no_way_back(bench: Bench) -> None:
    """Newer than both is newer; between the two it goes back from one of them."""
    canary = "envs/production/canary.yaml"
    bench.make(files(CONFIG, production={"api": "1.3.0"}))
    change(bench.repo, "production", api="1.1.0")
    repos.commit_files(bench.repo, {canary: "image: ghcr.io/acme/api:1.2.0\n"}, "Canary")
    error = refused(bench, *BACK, "--steps", "2", code=6, reason="not-older", says="1.1.0, 1.2.0")["error"]
    assert "--again" in error["next"]
    assert told(bench, *BACK, "--steps", "2", "--again", "--dry-run")["status"] == "planned"
    told(bench, *BACK)
    assert (api(bench), repos.read_file(bench.repo, canary)) == ("1.1.0", b"image: ghcr.io/acme/api:1.1.0\n")


def test_an_end_and_a_dry_run(ran: Bench) -> None:
    before = refs(ran.repo)
    assert told(ran, *BACK, "--dry-run")["status"] == "planned"
    assert refs(ran.repo) == before
    told(ran, *BACK, "--until", "2h")
    assert bump(ran, "1.3.0", code=6)["gates"][0]["until"] == lines(ran)["until"]
    over = repos.read_file(ran.repo, HOLD).decode().replace(lines(ran)["until"], "2026-01-01T00:00:00Z")
    repos.commit_files(ran.repo, {HOLD: over}, "Its time has come")
    assert bump(ran, "1.3.0")["status"] == "promoted"


def test_lift_hold_deletes_the_file_in_the_same_commit(ran: Bench) -> None:
    told(ran, *BACK)
    before = ran.tip
    # A job that is too late to land anything is too late to end a hold, too.
    assert bump(ran, "1.0.5", "--lift-hold")["status"] == "superseded"
    assert ran.tip == before
    document = bump(ran, "1.3.0", "--lift-hold")
    assert (document["status"], api(ran)) == ("promoted", "1.3.0")
    assert len(repos.log(ran.repo, f"{before}..main")) == 1
    assert HOLD not in paths(ran.repo)


# --- holds are seen by every writer ------------------------------------------------------------


def test_a_hold_keeps_out_a_run_of_several_images(ran: Bench) -> None:
    """A run is named after its first image's app; the others' holds count all the same."""
    told(ran, "hold", "production", "--app", "web", "--reason", "slow")
    both = (*image("api", "1.3.0"), *image("web", "2.1.0"))
    error = refused(ran, "bump", "--env", "production", *both, code=6, reason="held", says="web is held")[
        "error"
    ]
    assert "promoter unhold production --app web" in error["next"]
    refused(ran, "bump", "--env", "production", *image("web", "2.1.0"), "--app", "x", code=6, reason="held")
    told(ran, "bump", "--env", "production", *both, "--lift-hold")
    assert tags(ran.repo, "production") == {"api": "1.3.0", "web": "2.1.0"}
    assert hold_of("production", "web") not in paths(ran.repo)


# --- against racing bumps ----------------------------------------------------------------------


def race(bench: Bench, server: GitServer, commands: Sequence[Sequence[str]]) -> list[Any]:
    """All at once, each a process of its own; nobody reads the base before everybody has asked for it."""
    together = threading.Barrier(len(commands), timeout=60)

    def wait() -> None:
        together.wait()

    server.add_fault(Fault("delay", "info/refs?service=git-upload-pack", times=len(commands), action=wait))
    where = ("--manifest-repo", f"{server.url}/{bench.repo.name}", "--output", "json")
    running = [start_promoter(*one, *where, env=bench.environment()) for one in commands]
    return [json.loads(finish(process).stdout) for process in running]


def test_racing_bumps_never_undo_it(bench: Bench, server: GitServer) -> None:
    """1.1.0 is bad. In whatever order they land: the way back leads to 1.0.0, and no bump comes after it."""
    for attempt in range(4):
        bench.make(files(CONFIG, production={"api": "1.0.0"}))
        bad = change(bench.repo, "production", api="1.1.0")
        bumps = [("bump", "--env", "production", *image("api", tag)) for tag in ("1.1.0", "1.2.0", "1.3.0")]
        back, *others = race(bench, server, [BACK, *(bumps if attempt % 2 else bumps[::-1])])
        assert (back["status"], back["commit_sha"]) == ("promoted", bench.tip), (back, others)
        assert (api(bench), lines(bench)["reason"]) == ("1.0.0", "rolled back from 1.1.0 to 1.0.0")
        landed = {one["commit_sha"] for one in others if one["status"] == "promoted"}
        assert landed == {one.sha for one in repos.log(bench.repo, f"{bad}..main~1")}
        reasons = {one["reason"] for one in others if one["status"] == "refused"}
        assert reasons <= {"held"}
        repos.fsck(bench.repo)


def test_those_who_roll_back_at_once_go_back_once(bench: Bench, server: GitServer) -> None:
    bench.make(files(CONFIG, production={"api": "1.0.0"}))
    for tag in ("1.1.0", "1.2.0"):
        tip = change(bench.repo, "production", api=tag)
    told_of = race(bench, server, [BACK, BACK, BACK])
    assert sorted(one["status"] for one in told_of) == ["promoted", "unchanged", "unchanged"]
    assert api(bench) == "1.1.0"
    assert len(repos.log(bench.repo, f"{tip}..main")) == 1


# --- by pull request: a branch where there is no forge -----------------------------------------


def test_by_pull_request(ran: Bench) -> None:
    tip = ran.tip
    document = told(ran, *BACK, "--publish", "pull-request", "--reason", "slow")
    assert (document["status"], api(ran, BRANCH), ran.tip) == ("proposed", "1.1.0", tip)
    assert lines(ran, BRANCH)["reason"] == "slow"
    again = told(ran, *BACK, "--publish", "pull-request", "--reason", "slow")
    assert [one["operation"] for one in again["pull_requests"]] == ["unchanged"]
    by = ("--publish", "pull-request")
    # While it is open nothing else of the app comes onto it; the one that lifts the hold wins.
    refused(ran, "bump", "--env", "production", *image("api", "1.3.0"), *by, code=6, reason="held")
    assert bump(ran, "1.3.0", "--lift-hold", *by)["status"] == "proposed"
    assert (api(ran, BRANCH), HOLD in paths(ran.repo, BRANCH)) == ("1.3.0", False)
    # And going back wins over what was proposed.
    told(ran, *BACK, *by)
    assert (api(ran, BRANCH), HOLD in paths(ran.repo, BRANCH)) == ("1.1.0", True)
    repos.git(ran.repo, "update-ref", "refs/heads/main", BRANCH)  # merged
    assert told(ran, "sync")["status"] == "unchanged"
    refused(ran, "bump", "--env", "production", *image("api", "1.3.0"), code=6, reason="held")


def test_a_hold_on_the_base_gates_what_is_proposed(ran: Bench) -> None:
    by = ("--publish", "pull-request")
    told(ran, *BACK)
    document = bump(ran, "1.3.0", *by)
    assert (document["status"], [one["reason"] for one in document["gates"]]) == ("proposed", ["held"])
    assert [one["reason"] for one in told(ran, "sync")["gates"]] == ["held"]
    told(ran, "unhold", "production", "--app", "api")
    assert told(ran, "sync")["gates"] == []
    # Where production pushes, it can have a held one wait all the same.
    repos.commit_files(ran.repo, {".promoter.yaml": config(production="on-refused: pull-request")}, "Wait")
    told(ran, "hold", "production", "--app", "web")
    document = bump(ran, "2.1.0", app="web")
    assert (document["status"], document["gates"][0]["app"]) == ("proposed", "web")
