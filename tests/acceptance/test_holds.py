"""Holds: a file of the manifest repository that is written, listed and taken away like any change."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from promoter.holds import is_over, parse
from promoter.schema_files import read_schema
from tests.acceptance.conftest import IMAGE, OLD
from tests.support import repos
from tests.support.cli import finish, start_promoter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Bench
    from tests.support.cli import Result

FILE = ".promoter/holds/staging/api"
CONFIG = """\
version: 1
environments:
  staging: {path: envs/staging}
  production: {path: envs/production, publish: pull-request}
"""
FILES = {
    ".promoter.yaml": CONFIG,
    "envs/staging/kustomization.yaml": OLD,
    "envs/production/kustomization.yaml": OLD,
}


@pytest.fixture
def held(bench: Bench) -> Bench:
    bench.make(FILES)
    return bench


def run(bench: Bench, *args: str, code: int = 0, **settings: Any) -> Result:
    """A run that prints one valid document."""
    result = bench.run(*args, "--manifest-repo", bench.address, "--output", "json", **settings)
    assert result.code == code, result
    jsonschema.validate(result.document, read_schema("outcome"))
    return result


def hold(bench: Bench, environment: str = "staging", *args: str, app: str = "api", **settings: Any) -> Any:
    return run(bench, "hold", environment, "--app", app, *args, **settings).document


def unhold(bench: Bench, environment: str = "staging", *args: str, **settings: Any) -> Any:
    return run(bench, "unhold", environment, "--app", "api", *args, **settings).document


def listed(bench: Bench, *args: str, **settings: Any) -> Any:
    return run(bench, "hold", *args, **settings).document["holds"]


def lines(bench: Bench, rev: str = "main", path: str = FILE) -> dict[str, str]:
    text = repos.read_file(bench.repo, path, rev).decode()
    return dict(line.split(": ", 1) for line in text.splitlines())


def paths(repo: Path, rev: str = "main") -> list[str]:
    return repos.git(repo, "ls-tree", "-r", "--name-only", rev).splitlines()


# --- landing by push -------------------------------------------------------------------------


def test_hold_and_let_go(held: Bench) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    run_url = "https://ci.example/runs/7"
    told = hold(held, "staging", "--reason", "pay: fails", "--actor", "alice", "--run-url", run_url)
    assert (told["status"], told["reason"], told["changed"]) == ("promoted", "changed", True)
    assert (told["environment"], told["app"], told["base"]) == ("staging", "api", "main")
    written = lines(held)
    since = datetime.fromisoformat(written.pop("since"))
    assert written == {"reason": "pay: fails", "by": "alice"}
    assert before <= since <= datetime.now(UTC)
    commit = repos.log(held.repo)[0]
    assert commit.sha == told["commit_sha"]
    assert set(commit.trailers) == {"Promoter-Id", "Promoter-Environment", "Promoter-App", "Promoter-Run"}
    assert (commit.trailers["Promoter-Environment"], commit.trailers["Promoter-App"]) == (
        ["staging"],
        ["api"],
    )
    assert commit.trailers["Promoter-Run"] == [run_url]
    assert paths(held.repo) == sorted([FILE, *FILES])

    told = unhold(held)
    assert (told["status"], told["commit_sha"]) == ("promoted", held.tip)
    assert paths(held.repo) == sorted(FILES)
    repos.fsck(held.repo)


def test_running_again_changes_nothing(held: Bench) -> None:
    hold(held, "staging", "--reason", "no", "--until", "2200-01-01", "--actor", "alice")
    tip = held.tip
    again = hold(held, "staging", "--reason", "no", "--until", "2200-01-01", "--actor", "bob")
    assert (again["status"], again["reason"], held.tip) == ("unchanged", "equal", tip)
    assert again["holds"][0]["by"] == "alice"
    unhold(held)
    tip = held.tip
    told = unhold(held)
    assert (told["status"], told["reason"], held.tip) == ("unchanged", "not-held", tip)


def test_another_reason_replaces_the_first(held: Bench) -> None:
    hold(held, "staging", "--reason", "one", "--until", "2200-01-01")
    since = lines(held)["since"]
    told = hold(held, "staging", "--reason", "two", "--actor", "bob")
    assert told["status"] == "promoted"
    assert lines(held) == {"reason": "two", "by": "bob", "since": since}
    [one] = listed(held, "staging")
    assert (one["reason"], one["by"], one["until"], one["over"]) == ("two", "bob", None, False)


def test_a_hold_that_is_over_is_begun_anew(held: Bench) -> None:
    past = {FILE: "reason: one\nby: alice\nsince: 2020-01-01T00:00:00Z\nuntil: 2020-01-02T00:00:00Z\n"}
    repos.commit_files(held.repo, past, "By hand")
    assert [one["over"] for one in listed(held)] == [True]
    text = held.run("hold", "--manifest-repo", held.address)
    assert "2020-01-02T00:00:00Z (over)" in text.stdout
    assert hold(held, "staging", "--reason", "one")["status"] == "promoted"
    assert datetime.fromisoformat(lines(held)["since"]).year > 2020


@pytest.mark.parametrize(
    ("text", "after"),
    [("90m", timedelta(minutes=90)), ("1d12h", timedelta(hours=36))],
)
def test_an_end_counted_from_now(held: Bench, text: str, after: timedelta) -> None:
    start = datetime.now(UTC).replace(microsecond=0)
    told = hold(held, "staging", "--until", text)
    until = datetime.fromisoformat(told["holds"][0]["until"])
    assert start + after <= until <= datetime.now(UTC) + after


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2200-01-31", "2200-01-31T00:00:00Z"),
        ("2200-01-31T12:00:00+02:00", "2200-01-31T10:00:00Z"),
        ("2200-01-31t12:00z", "2200-01-31T12:00:00Z"),
    ],
)
def test_an_end_by_the_calendar(held: Bench, text: str, utc: str) -> None:
    hold(held, "staging", "--until", text)
    assert lines(held)["until"] == utc


def test_a_dry_run_shows_the_file(held: Bench) -> None:
    tip = held.tip
    assert hold(held, "staging", "--dry-run")["status"] == "planned"
    text = held.run("hold", "staging", "--app", "api", "--dry-run", "--manifest-repo", held.address)
    assert f"+++ b/{FILE}" in text.stdout
    assert held.tip == tip


def test_what_a_person_wrote_is_a_hold_whatever_it_says(held: Bench) -> None:
    by_hand: dict[str, repos.Content | None] = {
        FILE: "",
        ".promoter/holds/staging/web": b"\xff\xfe until: 2020-01-01T00:00:00Z\nuntil: soon\n",
        ".promoter/holds/production/web": "Until: 2020-01-01T00:00:00+01:00\n\nreason:  two  words \n",
        ".promoter/holds/README.md": "What is held\n",
    }
    repos.commit_files(held.repo, by_hand, "By hand")
    told = {(one["environment"], one["app"]): one for one in listed(held)}
    assert {key: one["over"] for key, one in told.items()} == {
        ("staging", "api"): False,
        ("staging", "web"): False,
        ("production", "web"): True,
    }
    assert told["production", "web"]["reason"] == "two words"
    assert [one["app"] for one in listed(held, "production")] == ["web"]
    unhold(held)
    assert FILE not in paths(held.repo)


def test_a_link_is_a_hold_and_is_never_followed(held: Bench) -> None:
    repos.commit_files(held.repo, {FILE: "../../../README.md"}, "By hand", modes={FILE: "120000"})
    assert [one["over"] for one in listed(held)] == [False]
    hold(held, "staging", "--reason", "plain")
    assert repos.git(held.repo, "ls-tree", "main", FILE).startswith("100644 ")
    assert lines(held)["reason"] == "plain"


def test_holds_of_environments_that_are_no_more_are_listed(held: Bench) -> None:
    repos.commit_files(held.repo, {".promoter/holds/gone/api": "reason: x\n"}, "By hand")
    assert [one["environment"] for one in listed(held)] == ["gone"]


def test_an_app_that_is_not_there(held: Bench) -> None:
    told = hold(held, "staging", app="apii")
    [warning] = told["warnings"]
    assert warning["code"] == "app-not-used"
    assert "'api'" in warning["message"]
    assert hold(held)["warnings"] == []


def test_without_a_configuration(bench: Bench) -> None:
    where = ("--path", "envs/staging", "--manifest-repo", bench.address)
    assert bench.run("hold", "--app", "api", *where).code == 0
    assert paths(bench.repo)[0] == ".promoter/holds/envs-staging/api"
    assert "api" in bench.run("hold", *where).stdout


def test_a_hold_stands_where_its_environment_lives(held: Bench) -> None:
    config = CONFIG + "  live: {path: envs/production, base: live}\n"
    repos.commit_files(held.repo, {".promoter.yaml": config}, "Another branch")
    repos.git(held.repo, "branch", "live", "main")
    tip = held.tip
    told = hold(held, "live")
    assert (told["base"], held.tip) == ("live", tip)
    assert ".promoter/holds/live/api" in paths(held.repo, "live")
    assert [one["environment"] for one in listed(held)] == ["live"]
    assert unhold(held, "live")["status"] == "promoted"
    assert listed(held) == []


def test_a_repository_that_nobody_confirmed_does_not_hide_the_others(held: Bench) -> None:
    config = CONFIG + "  live: {path: envs, repository: https://git.example/acme/live}\n"
    repos.commit_files(held.repo, {".promoter.yaml": config, FILE: "reason: x\n"}, "Another repository")
    result = run(held, "hold").document
    assert [one["app"] for one in result["holds"]] == ["api"]
    assert ["PROMOTER_REPOSITORY_LIVE" in one["message"] for one in result["warnings"]] == [True]


def test_an_operand_wins_over_a_variable(held: Bench) -> None:
    env = {"PROMOTER_ENV": "production", "PROMOTER_MANIFEST_REPO": held.address}
    assert held.run("hold", "staging", "--app", "api", env=env).code == 0
    assert "staging" in held.run("hold", "staging", env=env).stdout
    assert "nothing is held in production" in held.run("hold", env=env).stdout


def test_racing_writers_all_land(held: Bench) -> None:
    """Holds, and bumps of another environment's app, at the same time on one branch."""
    apps = ["api", "web", "one", "two"]
    repo = ("--manifest-repo", held.address, "--output", "json")
    commands: list[tuple[str, ...]] = [("hold", "staging", "--app", app, *repo) for app in apps]
    commands += [("bump", "--env", "staging", "--image", f"{IMAGE}:1.{n}.0", *repo) for n in (1, 2)]
    running = [start_promoter(*command, env=held.environment()) for command in commands]
    results = [finish(process) for process in running]
    documents = [json.loads(one.stdout) for one in results]
    assert {one["status"] for one in documents[: len(apps)]} == {"promoted"}, documents
    assert sorted(one["app"] for one in listed(held)) == sorted(apps)
    repos.fsck(held.repo)


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["hold", "stagin", "--app", "api"], 3, "did you mean 'staging'"),
        (["unhold", "stagin", "--app", "api"], 3, "did you mean 'staging'"),
        (["hold", "stagin"], 3, "did you mean 'staging'"),
        (["hold", "--app", "api"], 2, "environment"),
        (["unhold", "staging"], 2, "--app"),
        (["hold", "staging", "--reason", "x"], 2, "--app"),
        (["hold", "staging", "--until", "2h"], 2, "--app"),
        (["hold", "staging", "--app", "api", "--env", "production"], 2, "twice"),
        (["hold", "staging", "--app", "../api"], 2, "path"),
        (["hold", "staging", "--app", "a/b"], 2, "path"),
        (["hold", "staging", "--app", ".git"], 2, "path"),
        (["hold", "staging", "--app", "a\nb"], 2, "name"),
        (["hold", "staging", "--app", "api.yaml"], 2, "manifest"),
        (["hold", "staging", "--app", "x" * 300], 2, "long"),
        (["hold", "staging", "--app", "api", "--reason", "a\nb"], 2, "--reason"),
        (["hold", "staging", "--app", "api", "--reason", "x" * 501], 2, "--reason"),
        (["hold", "staging", "--app", "api", "--until", "tomorrow"], 2, "tomorrow"),
        (["hold", "staging", "--app", "api", "--until", "2026-02-30"], 2, "2026-02-30"),
        (["hold", "staging", "--app", "api", "--until", "2200-01-01T10:00"], 2, "2200-01-01T10:00"),
        (["hold", "staging", "--app", "api", "--until", "2020-01-01"], 2, "past"),
        (["hold", "staging", "--app", "api", "--actor", "a\x07b"], 2, "--actor"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
def test_refused(held: Bench, args: list[str], code: int, says: str) -> None:
    tip = held.tip
    error = run(held, *args, code=code).document["error"]
    assert says in error["message"]
    assert error["next"]
    assert held.tip == tip


def test_a_file_in_the_place_of_the_directory(held: Bench) -> None:
    repos.commit_files(held.repo, {".promoter/holds/staging": "x\n"}, "By hand")
    for args in (
        ["hold", "staging", "--app", "api"],
        ["hold", "staging"],
        ["unhold", "staging", "--app", "api"],
    ):
        document = run(held, *args, code=3).document
        assert (document["reason"], document["error"]["file"]) == ("holds", ".promoter/holds/staging")


# --- by pull request: a branch where there is no forge -----------------------------------------


BRANCH = "promoter/_hold/production/api"
PRODUCTION = ".promoter/holds/production/api"


def test_a_hold_is_proposed_once(held: Bench) -> None:
    tip = held.tip
    told = hold(held, "production", "--reason", "no")
    assert (told["status"], [one["operation"] for one in told["pull_requests"]]) == ("proposed", ["created"])
    assert told["commit_sha"] == repos.resolve(held.repo, BRANCH)
    assert lines(held, BRANCH, PRODUCTION)["reason"] == "no"
    again = hold(held, "production", "--reason", "no")
    assert (again["status"], again["commit_sha"]) == ("proposed", told["commit_sha"])
    assert [one["operation"] for one in again["pull_requests"]] == ["unchanged"]
    other = hold(held, "production", "--reason", "yes")
    assert [one["operation"] for one in other["pull_requests"]] == ["updated"]
    assert len(repos.log(held.repo, f"main..{BRANCH}")) == 1
    assert held.tip == tip


def test_what_moves_on_the_base_leaves_the_proposal_alone(held: Bench) -> None:
    head = hold(held, "production")["commit_sha"]
    repos.commit_files(held.repo, {"README.md": "other\n"}, "Unrelated")
    assert hold(held, "production")["commit_sha"] == head
    repos.commit_files(held.repo, {PRODUCTION: "reason: by hand\n"}, "Held by hand")
    rebuilt = hold(held, "production")
    assert rebuilt["commit_sha"] != head
    assert repos.log(held.repo, BRANCH)[0].parents == (held.tip,)


def test_letting_go_closes_what_was_only_proposed(held: Bench) -> None:
    hold(held, "production")
    told = unhold(held, "production")
    assert (told["status"], told["reason"]) == ("unchanged", "not-held")
    assert [one["operation"] for one in told["pull_requests"]] == ["closed"]
    assert repos.resolve(held.repo, BRANCH) is None


def test_letting_go_is_proposed_where_it_is_held(held: Bench) -> None:
    repos.commit_files(held.repo, {PRODUCTION: "reason: x\n"}, "By hand")
    told = unhold(held, "production")
    assert told["status"] == "proposed"
    assert PRODUCTION not in paths(held.repo, BRANCH)
    assert PRODUCTION in paths(held.repo)
    repos.git(held.repo, "update-ref", "refs/heads/main", BRANCH)  # merged
    done = unhold(held, "production")
    assert (done["status"], done["reason"]) == ("unchanged", "not-held")


def test_sync_leaves_it_alone(held: Bench) -> None:
    head = hold(held, "production")["commit_sha"]
    told = run(held, "sync").document
    assert (told["reason"], told["pull_requests"], told["warnings"]) == ("nothing-open", [], [])
    assert repos.resolve(held.repo, BRANCH) == head


def test_a_persons_commit_on_it_stays(held: Bench) -> None:
    hold(held, "production", "--reason", "one")
    theirs = repos.commit_files(held.repo, {"README.md": "x\n"}, "A person's", branch=BRANCH)
    assert hold(held, "production", "--reason", "one")["commit_sha"] == theirs
    refused = run(held, "hold", "production", "--app", "api", "--reason", "two", code=6).document
    assert refused["reason"] == "person-commits"
    kept = unhold(held, "production")
    assert [one["code"] for one in kept["warnings"]] == ["person-commits"]
    assert repos.resolve(held.repo, BRANCH) == theirs


def test_the_caller_may_push_all_the_same(held: Bench) -> None:
    assert hold(held, "production", "--publish", "push")["status"] == "promoted"
    assert PRODUCTION in paths(held.repo)


# --- what a file means -----------------------------------------------------------------------


NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("content", "over"),
    [
        (b"until: 2026-05-31T23:59:59Z\n", True),
        (b"until: 2026-06-01T00:00:00Z\n", True),
        (b"until: 2026-06-01T00:00:01Z\n", False),
        (b"until: 2026-06-01T01:00:00+02:00\r\n", True),
        (b"until: 2026-05-31T23:00:00-02:00\n", False),
        (b"until: 2026-05-31\n", False),
        (b"until: 2026-05-31T23:00:00\n", False),
        (b"until: \n", False),
        (b"until: 0001-01-01T00:00:00+23:59\n", False),
        (b"until: 2026-01-01T00:00:00Z\nuntil: 2027-01-01T00:00:00Z\n", False),
        (b"<<<<<<< a\nuntil: 2026-01-01T00:00:00Z\n=======\nuntil: 2026-02-01T00:00:00Z\n", False),
        (b"# until: 2026-01-01T00:00:00Z\n", False),
        (b"\xef\xbb\xbfuntil: 2026-01-01T00:00:00Z", True),
        (b"x" * 70_000 + b"\nuntil: 2026-01-01T00:00:00Z\n", False),
        (b"until: 2026-01-01T00:00:00Z\n" + b"x" * 70_000, False),
        (b"\x00\xff", False),
        (b"", False),
    ],
)
def test_when_a_hold_is_over(content: bytes, over: bool) -> None:
    assert is_over(parse("staging", "api", content), NOW) is over


def test_nothing_that_steers_a_terminal_comes_out(held: Bench) -> None:
    repos.commit_files(held.repo, {FILE: b"reason: \x1b[31mred\nby: \xe2\x80\xaeevil\n"}, "By hand")
    text = held.run("hold", "--manifest-repo", held.address)
    assert text.code == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", text.stdout)
