"""What stands against landing: each gate with its reason, by push and by proposal, and who may pass it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.environments import (
    DIGEST,
    OTHER_DIGEST,
    change,
    config,
    configure,
    file_of,
    files,
    hold_of,
    image,
    paths,
    refs,
    refused,
    tags,
    told,
    warned,
)
from tests.support import manifests, repos

if TYPE_CHECKING:
    from tests.acceptance.conftest import Bench

GO = ("promote", "staging", "production", "--app", "api")
FROZEN = 'freeze: [{from: "2020-01-01 00:00", to: "2099-01-01 00:00", timezone: Europe/London}]'
BRANCH = "promoter/production/api"
HOUR = 3600


def make(bench: Bench, production: str, staging: str = "1.1.0", more: str = "") -> Bench:
    bench.make(
        files(
            config(staging="", production=production) + more,
            staging={"api": "1.0.0"},
            production={"api": "1.0.0"},
        )
    )
    if staging != "1.0.0":
        change(bench.repo, "staging", api=staging)
    return bench


def bump(tag: str, environment: str = "production") -> tuple[str, ...]:
    return ("bump", "--env", environment, *image("api", tag))


def ago(seconds: float, zone: str = "+0000") -> str:
    """A date of Git's: so long ago, on a clock in that zone."""
    return f"@{int(time.time() - seconds)} {zone}"


def api(bench: Bench, rev: str = "main") -> str:
    return tags(bench.repo, "production", rev)["api"]


# --- after -----------------------------------------------------------------------------------


def test_after(bench: Bench) -> None:
    """The image has to run in the environment before, for bump and promote alike."""
    make(bench, "after: staging")
    error = refused(
        bench,
        *bump("1.2.0"),
        code=6,
        reason="after",
        says="staging does not run ghcr.io/acme/api:1.2.0: it runs 1.1.0",
    )["error"]
    assert "promote it to staging first" in error["next"]
    assert told(bench, *bump("1.1.0"))["status"] == "promoted"
    assert told(bench, *bump("1.2.0", "staging"))["status"] == "promoted"
    assert told(bench, *GO)["status"] == "promoted"
    assert api(bench) == "1.2.0"
    # What ran here before need not pass through staging again.
    told(bench, "rollback", "production", "--app", "api")
    assert api(bench) == "1.1.0"


def test_after_goes_by_digest_where_both_have_one(bench: Bench) -> None:
    bench.make(
        {
            ".promoter.yaml": config(staging="", production="after: staging"),
            "envs/staging/a.yaml": f"image: ghcr.io/acme/api:1.1.0@{DIGEST}\n",
            "envs/production/a.yaml": "image: ghcr.io/acme/api:1.0.0\n",
        }
    )
    refused(bench, *bump(f"1.1.0@{OTHER_DIGEST}"), code=6, reason="after")
    assert told(bench, *bump(f"1.1.0@{DIGEST}"))["status"] == "promoted"


@pytest.mark.parametrize("web", ["2.0.0", "1.9.0"], ids=["already there", "superseded"])
def test_after_is_not_asked_of_what_stays(bench: Bench, web: str) -> None:
    """Of two images one moves, and that one is in staging; the other one never was."""
    text = config(staging="", production="after: staging")
    now = {"api": "1.0.0", "web": "2.0.0"}
    bench.make(files(text, staging={"api": "1.1.0", "web": "1.0.0"}, production=now))
    both = (*bump("1.1.0"), *image("web", web))
    document = told(bench, *both, "--publish", "pull-request")
    assert (document["status"], document["gates"]) == ("proposed", [])
    assert told(bench, *both)["status"] == "promoted"
    assert tags(bench.repo, "production") == {"api": "1.1.0", "web": "2.0.0"}


def test_promote_past_the_environment_before(bench: Bench) -> None:
    text = config(test="", staging="after: test", production="after: staging")
    bench.make(files(text, test={"api": "1.1.0"}, staging={"api": "1.0.0"}, production={"api": "1.0.0"}))
    refused(bench, "promote", "test", "production", code=6, reason="after", says="staging does not run")
    told(bench, "promote", "test", "staging")
    assert told(bench, "promote", "test", "production")["status"] == "promoted"


# --- soak ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "zone"), [("promote", "+0000"), ("bump", "+1345"), ("promote", "-1200")])
def test_soak(bench: Bench, zone: str, verb: str) -> None:
    """A minute short of the border, and a second past it, wherever the clock of the commit stood."""
    command = GO if verb == "promote" else bump("1.1.0")
    make(bench, "after: staging, soak: 1h", "1.0.0")
    change(bench.repo, "staging", date=ago(HOUR - 60, zone), api="1.1.0")
    document = refused(
        bench, *command, code=6, reason="soak", says="staging has run ghcr.io/acme/api:1.1.0 since"
    )
    until = datetime.fromisoformat(document["gates"][0]["until"])
    left = until - datetime.now(UTC)
    assert timedelta() < left <= timedelta(seconds=60)
    assert f"{until:%Y-%m-%d %H:%M:%S} UTC" in document["error"]["message"]
    change(bench.repo, "staging", date=ago(2 * HOUR, zone), api="1.1.1")
    change(bench.repo, "staging", date=ago(HOUR + 1, zone), api="1.1.0")
    assert told(bench, *command)["status"] == "promoted"


def test_soak_counts_from_when_it_came_last_and_not_from_other_commits(bench: Bench) -> None:
    make(bench, "after: staging, soak: 1h", "1.0.0")
    change(bench.repo, "staging", date=ago(9 * HOUR), api="1.1.0")
    change(bench.repo, "staging", date=ago(8 * HOUR), api="1.0.0")
    change(bench.repo, "staging", date=ago(60), api="1.1.0")
    refused(bench, *GO, code=6, reason="soak")
    change(bench.repo, "staging", date=ago(3 * HOUR), api="1.2.0")
    change(bench.repo, "staging", date=ago(30), other="5.0.0")
    moved = {
        file_of("staging"): None,
        "envs/staging/base/kustomization.yaml": repos.read_file(bench.repo, file_of("staging")),
    }
    repos.commit_files(bench.repo, moved, "Move the file", date=ago(10))
    assert told(bench, *GO)["status"] == "promoted"


def test_soaked_takes_the_newest_that_has(bench: Bench) -> None:
    make(bench, "after: staging, soak: 1h", "1.0.0")
    change(bench.repo, "staging", date=ago(5 * HOUR), api="1.1.0")
    change(bench.repo, "staging", date=ago(3 * HOUR), api="1.2.0")
    change(bench.repo, "staging", date=ago(1800), api="1.3.0")
    refused(bench, *GO, code=6, reason="soak", says="1.3.0")
    document = told(bench, *GO, "--soaked")
    assert (document["status"], api(bench)) == ("promoted", "1.2.0")
    assert told(bench, *GO, "--soaked")["status"] == "unchanged"


def test_nothing_has_soaked(bench: Bench) -> None:
    bench.make(files(config(staging="", production="after: staging, soak: 1h"), production={"api": "1.0.0"}))
    new = manifests.kustomization({"api": "1.1.0"})
    repos.commit_files(bench.repo, {file_of("staging"): new}, "New", date=ago(60))
    refused(bench, *GO, "--soaked", code=6, reason="soak", says="no version of ghcr.io/acme/api")


# --- required checks ---------------------------------------------------------------------------


def test_checks_that_nobody_can_see_have_not_passed(bench: Bench) -> None:
    """Plain Git has none; on forges see tests/forges/test_promotion_pull_requests.py."""
    make(bench, "after: staging, require-checks: [ci/test]")
    commit = bench.tip or ""
    error = refused(bench, *GO, code=6, reason="checks", says="the check ci/test is not there")["error"]
    assert commit[:12] in error["message"]


# --- freeze ----------------------------------------------------------------------------------


def test_freeze(bench: Bench) -> None:
    make(bench, FROZEN)
    told(bench, "rollback", "staging", "--app", "api")  # another environment's
    told(bench, "unhold", "staging", "--app", "api")
    change(bench.repo, "staging", api="1.1.0")
    for command in (GO, bump("1.1.0")):
        document = refused(
            bench, *command, code=6, reason="frozen", says="frozen until Thu 2099-01-01 00:00 Europe/London"
        )
        assert document["gates"][0]["until"] == "2099-01-01T00:00:00Z"
        assert "--publish pull-request" in document["error"]["next"]
    configure(bench.repo, config(staging="", production=FROZEN.replace("2099", "2021")))
    assert told(bench, *GO)["status"] == "promoted"


# --- holds -----------------------------------------------------------------------------------


def test_hold(bench: Bench) -> None:
    make(bench, "allow-override: true")
    told(bench, "hold", "production", "--app", "api", "--reason", "pay fails", "--actor", "alice")
    for command in (GO, (*GO, "--override", "now")):
        error = refused(bench, *command, code=6, reason="held", says="pay fails")["error"]
        assert "held by alice since 20" in error["message"]
        assert "promoter unhold production --app api" in error["next"]
    before = bench.tip
    assert told(bench, *GO, "--lift-hold")["status"] == "promoted"
    assert hold_of("production", "api") not in paths(bench.repo)
    assert len(repos.log(bench.repo, f"{before}..main")) == 1


@pytest.mark.parametrize(
    ("until", "lands"),
    [
        ("2026-01-01T00:00:00Z", True),
        ("2199-01-01T00:00:00+12:00", False),
        ("some day", False),
    ],
)
def test_a_hold_that_is_over(bench: Bench, until: str, lands: bool) -> None:
    make(bench, "")
    text = f"reason: x\nby: alice\nuntil: {until}\n"
    repos.commit_files(bench.repo, {hold_of("production", "api"): text}, "Hold by hand")
    assert (told(bench, *GO, code=0 if lands else 6)["status"] == "promoted") is lands


# --- what refuses however it is published ------------------------------------------------------

RULES = {
    "allow": ("", "images: [{match: 'ghcr.io/acme/*', allow: '^1\\.'}]\n", ("2.0.0",), "not-allowed"),
    "source-branch": (
        "",
        "images: [{match: 'ghcr.io/acme/*', source-branch: 'release/*'}]\n",
        ("1.2.0", "--source-branch", "main"),
        "source-branch",
    ),
    "no source-branch": (
        "",
        "images: [{match: 'ghcr.io/acme/*', source-branch: main}]\n",
        ("1.2.0",),
        "source-branch",
    ),
    "max-changes": ("max-changes: 1", "", ("1.2.0", *image("web", "1.2.0")), "too-many-changes"),
}


@pytest.mark.parametrize(("production", "more", "args", "reason"), RULES.values(), ids=RULES.keys())
def test_ruled_out(bench: Bench, production: str, more: str, args: tuple[str, ...], reason: str) -> None:
    make(bench, production, more=more)
    change(bench.repo, "production", web="1.0.0")
    wanted = (*bump(args[0]), *args[1:])
    for way in ("push", "pull-request"):
        error = refused(bench, *wanted, "--publish", way, code=6, reason=reason)["error"]
        assert "--override" not in error["next"]
    overridable = ", ".join(filter(None, [production, "allow-override: true"]))
    configure(bench.repo, config(staging="", production=overridable) + more)
    assert "--override REASON" in refused(bench, *wanted, code=6, reason=reason)["error"]["next"]
    assert told(bench, *wanted, "--override", "agreed with sre")["status"] == "promoted"
    assert repos.log(bench.repo)[0].trailers["Promoter-Override"] == ["agreed with sre"]


def test_what_is_allowed_lands(bench: Bench) -> None:
    make(bench, "", more="images: [{match: 'ghcr.io/acme/*', allow: '^1\\.', source-branch: 'release/*'}]\n")
    told(bench, *bump("1.2.0", "staging"), "--source-branch", "release/1")
    # The branch is known from the commit that brought the image to staging.
    assert told(bench, *GO)["status"] == "promoted"
    assert told(bench, "rollback", "production", "--app", "api")["status"] == "promoted"


# --- whatever an image is called ---------------------------------------------------------------

# What the configuration has, and what a run and the manifest call that image.
SPELLINGS = {
    "capitals": ("ghcr.io/acme/*", "GHCR.io/acme/api"),
    "capitals in the configuration": ("GHCR.io/acme/api", "ghcr.io/acme/api"),
    "Docker Hub by its name": ("acme/*", "docker.io/acme/api"),
    "Docker Hub by its other name": ("acme/api", "index.docker.io/acme/api"),
    "Docker Hub left out": ("index.docker.io/acme/*", "acme/api"),
    "an official image": ("nginx", "docker.io/library/nginx"),
    "an IPv6 host": ("[::1]:5000/acme/api", "[::1]:5000/acme/api"),
}
FILE = "envs/production/a.yaml"


@pytest.mark.parametrize(("listed", "called"), SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_rule_counts_however_the_image_is_spelled(bench: Bench, listed: str, called: str) -> None:
    rule = f"images: [{{match: '{listed}', order: none%s}}]\n"
    wanted = ("bump", "--env", "production", "--image", f"{called}:0.9.0")
    bench.make({FILE: f'image: "{called}:1.0.0"\n'})
    for more, reason in ((", allow: '^1'", "not-allowed"), (", source-branch: main", "source-branch")):
        configure(bench.repo, config(production="") + rule % more)
        refused(bench, *wanted, code=6, reason=reason)
    configure(bench.repo, config(production="") + rule % "")
    assert told(bench, *wanted)["status"] == "promoted"  # by its order: the run wins


@pytest.mark.parametrize(("listed", "called"), SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_hold_counts_however_the_image_is_spelled(bench: Bench, listed: str, called: str) -> None:
    shop = f"apps: {{shop: {{images: ['{listed}']}}}}\n"
    held = {hold_of("production", "shop"): "reason: not yet\n"}
    bench.make({".promoter.yaml": config(production="") + shop, FILE: f'image: "{called}:1.0.0"\n', **held})
    wanted = ("bump", "--env", "production", "--image", f"{called}:1.1.0")
    refused(bench, *wanted, code=6, reason="held", says="not yet")
    refused(bench, *wanted, "--app", "else", code=6, reason="held")
    told(bench, "unhold", "production", "--app", "shop")
    assert told(bench, *wanted)["app"] == "shop"


def test_a_marker_does_not_give_the_site_of_a_held_or_ruled_image_away(bench: Bench) -> None:
    site = 'image: ghcr.io/acme/web:1.0.0 # {"$imagepolicy": "flux-system:web"}\n'
    rules = config(production="allow-override: true")
    bench.make({".promoter.yaml": rules, FILE: site, hold_of("production", "web"): "reason: not yet\n"})
    marked = ("--marker", "flux-system:web")
    other = ("bump", "--env", "production", "--image", "ghcr.io/else/other:2.0.0", *marked)
    for more in ((), ("--app", "web"), ("--override", "now")):
        refused(bench, *other, *more, code=6, reason="held", says="web is held")
    told(bench, "unhold", "production", "--app", "web")
    for rule, reason in (("allow: '^1'", "not-allowed"), ("source-branch: main", "source-branch")):
        configure(bench.repo, rules + f"images: [{{match: 'ghcr.io/acme/*', {rule}}}]\n")
        refused(bench, *other, code=6, reason=reason, says="ghcr.io/acme/web:2.0.0")
    configure(bench.repo, rules)
    assert told(bench, *other)["status"] == "promoted"
    assert repos.read_file(bench.repo, FILE).startswith(b"image: ghcr.io/else/other:2.0.0 ")


# Two apps list one image: in the same files, or each in files of its own.
@pytest.mark.parametrize("apart", [False, True])
def test_a_hold_of_one_of_two_apps_of_an_image(bench: Bench, *, apart: bool) -> None:
    listed = ", ".join(
        f"{name}: {{images: [ghcr.io/acme/api]{f', paths: [{name}]' if apart else ''}}}"
        for name in ("one", "two")
    )
    sites: dict[str, repos.Content] = {
        f"envs/production/{name}/a.yaml": "image: ghcr.io/acme/api:1.0.0\n" for name in ("one", "two")
    }
    held = {hold_of("production", "two"): "reason: not yet\n"}
    bench.make({".promoter.yaml": config(production="") + f"apps: {{{listed}}}\n", **sites, **held})
    for app in ("two", "else"):
        refused(bench, *bump("1.1.0"), "--app", app, code=6, reason="held", says="two is held")
    if not apart:
        refused(bench, *bump("1.1.0"), "--app", "one", code=6, reason="held", says="two is held")
        return
    assert told(bench, *bump("1.1.0"), "--app", "one")["status"] == "promoted"
    moved = [path for path in sites if b"1.1.0" in repos.read_file(bench.repo, path)]
    assert moved == ["envs/production/one/a.yaml"]


def test_max_changes_counts_all_apps_of_a_run(bench: Bench) -> None:
    old, new = ({f"app-{n}": version for n in range(3)} for version in ("1.0.0", "1.1.0"))
    bench.make(files(config(staging="", production="max-changes: 2"), staging=new, production=old))
    everything = ("promote", "staging", "production")
    for more in ((), ("--publish", "pull-request"), ("--dry-run",)):
        refused(
            bench, *everything, *more, code=6, reason="too-many-changes", says="3 changes are more than the 2"
        )
    assert told(bench, *everything, "--app", "app-0", "--app", "app-1")["status"] == "promoted"
    assert told(bench, *everything)["status"] == "promoted"


# --- override --------------------------------------------------------------------------------


def test_override(bench: Bench) -> None:
    make(bench, f"after: staging, soak: 1d, {FROZEN}")
    refused(bench, *GO, "--override", "pay is down", code=6, reason="override", says="allows no override")
    configure(
        bench.repo, config(staging="", production=f"after: staging, soak: 1d, {FROZEN}, allow-override: true")
    )
    assert "--override REASON" in refused(bench, *GO, code=6, reason="frozen")["error"]["next"]
    document = told(bench, *GO, "--override", "pay is down")
    assert (document["status"], document["gates"]) == ("promoted", [])
    assert repos.log(bench.repo)[0].trailers["Promoter-Override"] == ["pay is down"]
    # Where nothing is in the way there is nothing to pass, and it is recorded all the same.
    assert told(bench, *GO, "--override", "again")["status"] == "unchanged"


# --- a proposal waits ------------------------------------------------------------------------

WAITING = [
    ("publish: pull-request", "after: staging", "after"),
    ("on-refused: pull-request", "after: staging, soak: 1d", "soak"),
    ("publish: pull-request", FROZEN, "frozen"),
    ("on-refused: pull-request", "", "held"),
]


@pytest.mark.parametrize(("mode", "gate", "reason"), WAITING, ids=[reason for _, _, reason in WAITING])
def test_a_proposal_waits(bench: Bench, mode: str, gate: str, reason: str) -> None:
    """It is there at once, with what it waits for; sync says when that is over."""
    production = ", ".join(filter(None, [gate, mode]))
    make(bench, production, "1.0.0" if reason == "after" else "1.1.0")
    if reason == "soak":
        change(bench.repo, "staging", date=ago(60), api="1.1.1")
        change(bench.repo, "staging", date=ago(30), api="1.1.0")
    if reason == "held":
        repos.commit_files(bench.repo, {hold_of("production", "api"): "reason: not yet\n"}, "Hold")
    tip = bench.tip
    document = told(bench, *bump("1.1.0"))
    assert (document["status"], [one["reason"] for one in document["gates"]]) == ("proposed", [reason])
    assert (bench.tip, api(bench, BRANCH)) == (tip, "1.1.0")
    before = refs(bench.repo)
    assert [one["reason"] for one in told(bench, "sync")["gates"]] == [reason]
    assert [one["operation"] for one in told(bench, *bump("1.1.0"))["pull_requests"]] == ["unchanged"]
    assert refs(bench.repo) == before
    if reason == "after":
        change(bench.repo, "staging", api="1.1.0")
    elif reason == "held":
        told(bench, "unhold", "production", "--app", "api", "--publish", "push")
    else:
        opened = {"soak: 1d": "soak: 1s", "2099": "2021"}
        for old, new in opened.items():
            production = production.replace(old, new)
        configure(bench.repo, config(staging="", production=production))
    if reason == "soak":
        change(bench.repo, "staging", date=ago(9), other="1.0.0")
    assert told(bench, "sync")["gates"] == []


def test_an_override_is_kept_in_the_proposal(bench: Bench) -> None:
    make(bench, f"publish: pull-request, allow-override: true, {FROZEN}")
    assert told(bench, *GO)["gates"] != []
    document = told(bench, *GO, "--override", "pay is down")
    assert document["gates"] == []
    assert repos.log(bench.repo, BRANCH)[0].trailers["Promoter-Override"] == ["pay is down"]
    assert told(bench, "sync")["gates"] == []
    # Who may not pass gates any more does not pass them by a proposal of before.
    configure(bench.repo, config(staging="", production=f"publish: pull-request, {FROZEN}"))
    assert [one["reason"] for one in told(bench, "sync")["gates"]] == ["frozen"]


def test_a_rule_that_was_passed_holds_again_without_the_leave(bench: Bench) -> None:
    """What a rule refuses, the override alone brought: a proposal of before does not keep it."""
    rule = "images: [{match: 'ghcr.io/acme/*', allow: '^1\\.'}]\n"
    make(bench, "publish: pull-request, allow-override: true", more=rule)
    document = told(bench, *bump("2.0.0"), "--override", "agreed with sre")
    assert (document["status"], api(bench, BRANCH)) == ("proposed", "2.0.0")
    assert [one["operation"] for one in told(bench, "sync")["pull_requests"]] == ["unchanged"]
    text = config(staging="", production="publish: pull-request") + rule
    configure(bench.repo, text)
    document = told(bench, "sync")
    assert [one["operation"] for one in document["pull_requests"]] == ["closed"]
    [left] = warned(document, "left-out")
    assert "ghcr.io/acme/api:2.0.0 is left out" in left
    assert BRANCH not in refs(bench.repo)
    assert api(bench) == "1.0.0"


# --- several environments of one commit --------------------------------------------------------


def test_all_gates_are_told(bench: Bench) -> None:
    make(bench, f"after: staging, {FROZEN}")
    repos.commit_files(bench.repo, {hold_of("production", "api"): "reason: x\n"}, "Hold")
    document: Any = refused(bench, *bump("1.5.0"), code=6, reason="held")
    assert [one["reason"] for one in document["gates"]] == ["held", "after", "frozen"]
    text = bench.run(*bump("1.5.0"), "--publish", "pull-request", "--manifest-repo", bench.address)
    assert text.stdout.count("  gate: ") == 3
