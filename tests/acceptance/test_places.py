"""Environments that live on branches of their own, or in other repositories, and what is shown there."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from promoter.config import Environment
from promoter.git.repository import Snapshot
from promoter.places import elsewhere
from promoter.session import Caller
from tests.acceptance.environments import (
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
)
from tests.support import manifests, repos
from tests.support.gitserver import Fault, GitServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Bench

GO = ("promote", "staging", "production")
BUMP = ("bump", "--env", "production", *image("api", "1.3.0"))
TOKEN, OTHER_TOKEN = "canary-of-the-first", "canary-of-the-other"


class Listening(GitServer):
    """A server that remembers what each request carried."""

    def __init__(self, root: Path, token: str) -> None:
        self.heard: list[str] = []
        super().__init__(root, credentials=("x-access-token", token))

    def authorized(self, header: str) -> bool:
        self.heard.append(header)
        return super().authorized(header)

    @property
    def tokens(self) -> set[str]:
        basic = [one.removeprefix("Basic ") for one in self.heard if one]
        return {base64.b64decode(one).decode().partition(":")[2] for one in basic}


# --- on a branch of its own --------------------------------------------------------------------


@pytest.fixture
def branches(bench: Bench) -> Bench:
    """Production is deployed from the branch release; main has an old copy of its files."""
    text = config(staging="", production="base: release, after: staging")
    bench.make(files(text, staging={"api": "1.0.0"}, production={"api": "0.9.0"}))
    change(bench.repo, "staging", api="1.0.5")
    repos.git(bench.repo, "branch", "release", "main")
    kept = manifests.kustomization({"api": "1.0.0"})
    repos.commit_files(bench.repo, {file_of("production"): kept}, "Release", branch="release")
    change(bench.repo, "staging", api="1.1.0")
    return bench


def production(bench: Bench) -> str:
    return tags(bench.repo, "production", "release")["api"]


def test_a_branch_of_its_own(branches: Bench) -> None:
    """What is promoted is read from main, not from the copy on release, and lands on release alone."""
    main = branches.tip
    document = told(branches, *GO)
    assert (document["status"], document["base"], production(branches)) == ("promoted", "release", "1.1.0")
    commit = repos.log(branches.repo, "release")[0]
    assert commit.trailers["Promoter-From"] == [f"staging {main}"]
    refused(branches, *BUMP, code=6, reason="after", says="it runs 1.1.0")
    told(branches, "rollback", "production", "--app", "api")
    assert (production(branches), branches.tip) == ("1.0.0", main)
    refused(branches, *GO, code=6, reason="held")
    [held] = told(branches, "hold")["holds"]
    assert (held["environment"], held["app"]) == ("production", "api")
    told(branches, "unhold", "production", "--app", "api")
    assert hold_of("production", "api") not in paths(branches.repo, "release")
    board = told(branches, "status")["board"]
    cells = {cell["environment"]: cell["versions"][0]["tag"] for cell in board["rows"][0]["cells"]}
    assert cells == {"staging": "1.1.0", "production": "1.0.0"}
    assert branches.tip == main


def test_sync_goes_over_all_branches(branches: Bench) -> None:
    proposed = told(branches, *GO, "--publish", "pull-request")
    assert (proposed["status"], proposed["base"]) == ("proposed", "release")
    told(branches, "bump", "--env", "staging", *image("api", "1.2.0"), "--publish", "pull-request")
    assert sorted(one["branch"] for one in told(branches, "sync")["pull_requests"]) == [
        "promoter/production/api",
        "promoter/staging/api",
    ]


def test_the_written_branch_rules_the_write(branches: Bench) -> None:
    """A gate that only release's own file has; and where that file sends it elsewhere, nothing moves."""
    frozen = 'base: release, freeze: [{from: "2020-01-01 00:00", to: "2099-01-01 00:00"}]'
    stricter = config(staging="", production=frozen)
    repos.commit_files(branches.repo, {".promoter.yaml": stricter}, "Freeze", branch="release")
    refused(branches, *GO, code=6, reason="frozen")
    nameless = config(staging="", production="")  # means its own branch
    repos.commit_files(branches.repo, {".promoter.yaml": nameless}, "Open", branch="release")
    assert told(branches, *GO)["base"] == "release"
    back = config(staging="", production="base: main")
    repos.commit_files(branches.repo, {".promoter.yaml": back}, "Back", branch="release")
    for command in (GO, BUMP, ("rollback", "production", "--app", "api")):
        refused(branches, *command, code=3, reason="configuration", says="lives elsewhere")


def test_the_callers_base_counts(branches: Bench) -> None:
    told(branches, *GO, "--base", "main")
    assert tags(branches.repo, "production")["api"] == "1.1.0"
    assert production(branches) == "1.0.0"


def test_a_branch_that_is_not_there(branches: Bench) -> None:
    configure(branches.repo, config(staging="", production="base: nowhere"))
    refused(branches, *GO, code=3, reason="no-such-branch", says="nowhere")


# --- in a repository of its own ------------------------------------------------------------------


class Two:
    """Staging in one repository, production in another, on servers with a token each."""

    def __init__(self, bench: Bench, first: Listening, other: Listening) -> None:
        self.bench, self.first, self.other = bench, first, other
        self.live = repos.make_repo(
            other.root / "live.git",
            files(
                config(staging=f"repository: {first.url}/main.git", production="after: staging"),
                production={"api": "1.0.0"},
            ),
        )
        self.url = f"{other.url}/live.git"
        self.main = repos.make_repo(
            first.root / "main.git",
            files(
                config(staging="", production=f"after: staging, repository: {self.url}"),
                staging={"api": "1.1.0"},
            ),
        )
        bench.repo, bench.address = self.main, f"{first.url}/main.git"
        self.env = {
            "PROMOTER_TOKEN": TOKEN,
            "PROMOTER_REPOSITORY_PRODUCTION": self.url,
            "PROMOTER_TOKEN_PRODUCTION": OTHER_TOKEN,
        }

    def told(self, *args: str, **settings: Any) -> Any:
        settings.setdefault("env", self.env)
        document = told(self.bench, *args, **settings)
        assert TOKEN not in str(document)
        assert OTHER_TOKEN not in str(document)
        return document

    @property
    def production(self) -> str:
        return tags(self.live, "production")["api"]


@pytest.fixture
def apart(bench: Bench, tmp_path: Path) -> Iterator[Two]:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with Listening(tmp_path / "one", TOKEN) as first, Listening(tmp_path / "two", OTHER_TOKEN) as other:
        yield Two(bench, first, other)


def test_across_repositories(apart: Two) -> None:
    main = apart.bench.tip
    document = apart.told(*GO)
    assert (document["status"], apart.production) == ("promoted", "1.1.0")
    assert repos.log(apart.live)[0].trailers["Promoter-From"] == [f"staging {main}"]
    assert apart.told("rollback", "production", "--app", "api", "--reason", "slow")["status"] == "promoted"
    assert apart.production == "1.0.0"
    assert "slow" in apart.told(*GO, code=6)["error"]["message"]
    [held] = apart.told("hold")["holds"]
    assert (held["environment"], held["reason"]) == ("production", "slow")
    apart.told("unhold", "production", "--app", "api")
    assert apart.told("bump", "--env", "production", *image("api", "1.1.0"))["status"] == "promoted"
    assert apart.told("bump", "--env", "staging", *image("api", "1.2.0"))["status"] == "promoted"
    assert apart.told(*GO, "--publish", "pull-request")["status"] == "proposed"
    assert [one["branch"] for one in apart.told("sync")["pull_requests"]] == ["promoter/production/api"]
    board = apart.told("status")["board"]
    cells = {cell["environment"]: cell["versions"][0]["tag"] for cell in board["rows"][0]["cells"]}
    assert cells == {"staging": "1.2.0", "production": "1.1.0"}
    assert paths(apart.main) == [".promoter.yaml", file_of("staging")]
    # Each server was shown its own token, and never the other's.
    assert (apart.first.tokens, apart.other.tokens) == ({TOKEN}, {OTHER_TOKEN})


def test_from_the_other_side(apart: Two) -> None:
    """With the written repository as --manifest-repo it is staging that the caller confirms."""
    apart.bench.repo, apart.bench.address = apart.live, apart.url
    env = {
        "PROMOTER_TOKEN": OTHER_TOKEN,
        "PROMOTER_REPOSITORY_STAGING": f"{apart.first.url}/main.git",
        "PROMOTER_TOKEN_STAGING": TOKEN,
    }
    assert apart.told(*GO, env=env)["status"] == "promoted"
    assert (apart.first.tokens, apart.other.tokens) == ({TOKEN}, {OTHER_TOKEN})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "PROMOTER_REPOSITORY_PRODUCTION is not set"),
        ({"PROMOTER_REPOSITORY_PRODUCTION": "https://git.example.com/live.git"}, "git.example.com"),
        ({"PROMOTER_REPOSITORY_PRODUCTION": "-x"}, "PROMOTER_REPOSITORY_PRODUCTION"),
    ],
)
def test_nothing_goes_where_the_caller_did_not_say(apart: Two, given: dict[str, str], says: str) -> None:
    env = {"PROMOTER_TOKEN": TOKEN, "PROMOTER_TOKEN_PRODUCTION": OTHER_TOKEN, **given}
    before = refs(apart.live)
    for command in (BUMP, ("hold", "production", "--app", "api")):
        refused(apart.bench, *command, code=3, reason="other-repository", says=says, env=env)
    assert (apart.other.requests, refs(apart.live)) == ([], before)
    # What lives here goes on; sync says what it did not look at.
    assert (
        told(apart.bench, "bump", "--env", "staging", *image("api", "1.2.0"), env=env)["status"] == "promoted"
    )
    assert [one["code"] for one in told(apart.bench, "sync", env=env)["warnings"]] == ["not-synced"]
    assert apart.other.requests == []


def test_the_first_token_is_not_shown_to_the_other_server(apart: Two) -> None:
    """Another port is another server: without a token of its own there is none."""
    env = {"PROMOTER_TOKEN": TOKEN, "PROMOTER_REPOSITORY_PRODUCTION": apart.url}
    document = apart.told(*BUMP, env=env, code=8)
    assert document["changed"] is False
    assert apart.other.heard
    assert apart.other.tokens == set()
    wrong = {**env, "PROMOTER_TOKEN_PRODUCTION": "canary-of-nobody"}
    assert "canary-of-nobody" not in str(apart.told(*BUMP, env=wrong, code=8))
    assert apart.other.tokens == {"canary-of-nobody"}


def test_the_written_repository_rules_the_write(apart: Two) -> None:
    configure(
        apart.live,
        config(
            staging=f"repository: {apart.first.url}/main.git",
            production="after: staging, soak: 300d, max-changes: 9",
        ),
    )
    change(apart.main, "staging", api="1.2.0", date="@4000000000 +0000")  # a clock that is wrong
    assert apart.told(*GO, code=6)["reason"] == "soak"
    assert apart.production == "1.0.0"


def test_two_files_that_point_at_each_other(apart: Two) -> None:
    configure(apart.live, config(staging="", production=f"repository: {apart.first.url}/main.git"))
    before = refs(apart.live)
    document = refused(
        apart.bench, *GO, code=3, reason="configuration", says="lives elsewhere", env=apart.env
    )
    assert "repository" in document["error"]["next"]
    assert refs(apart.live) == before


OVER_SSH = "git@live.example.com:acme/live.git"


@pytest.mark.parametrize(
    ("given", "main", "shown"),
    [
        ({"PROMOTER_SSH_KEY": "first"}, "git@git.example.com:acme/deploy.git", None),
        ({"PROMOTER_SSH_KEY": "first"}, "https://git.example.com/acme/deploy.git", None),
        ({"PROMOTER_SSH_KEY": "first"}, "git@live.example.com:acme/deploy.git", "first"),
        (
            {"PROMOTER_SSH_KEY": "first", "PROMOTER_SSH_KEY_PRODUCTION": "its own"},
            "git@git.example.com:acme/deploy.git",
            "its own",
        ),
    ],
    ids=["another host", "another host by https", "the same host", "its own key"],
)
def test_the_key_is_for_the_host_of_the_first_repository(
    given: dict[str, str], main: str, shown: str | None
) -> None:
    caller = Caller(main, {**given, "PROMOTER_REPOSITORY_PRODUCTION": OVER_SSH}, print)
    environment = Environment("production", ("envs/production",), repository=OVER_SSH)
    there = elsewhere(caller, caller, environment, Snapshot("main", "0" * 40))
    assert there is not None
    assert (there.address, there.environ.get("PROMOTER_SSH_KEY")) == (OVER_SSH, shown)


# --- two environments of one other repository ----------------------------------------------------


@pytest.mark.parametrize("verb", ["status", "diff", "history"])
def test_what_lives_in_one_place_is_read_at_one_tip(apart: Two, verb: str) -> None:
    """A push that changes both, between two reads of that place, is seen in both or in neither."""
    apart.bench.make(
        {
            ".promoter.yaml": config(
                staging=f"repository: {apart.url}", production=f"repository: {apart.url}, after: staging"
            )
        }
    )
    both = {file_of(name): manifests.kustomization({"api": "1.0.0"}) for name in ("staging", "production")}
    start = repos.commit_files(apart.live, both, "Both")
    after = {path: manifests.kustomization({"api": "2.0.0"}) for path in both}

    def push() -> None:
        repos.commit_files(apart.live, after, "Between")

    read = "info/refs?service=git-upload-pack"
    apart.other.add_fault(Fault("delay", read))
    between = apart.other.add_fault(Fault("delay", read, action=push))
    command = ("diff", "staging", "production") if verb == "diff" else (verb,)
    env = {**apart.env, "PROMOTER_REPOSITORY_STAGING": apart.url, "PROMOTER_TOKEN_STAGING": OTHER_TOKEN}
    document = apart.told(*command, env=env)
    assert (between.fired, repos.resolve(apart.live, "main") != start) == (1, True)
    assert seen(verb, document) in ({"1.0.0"}, {"2.0.0"})


def seen(verb: str, document: Any) -> set[str]:
    """The tags that both environments are told to run."""
    if verb == "status":
        cells = document["board"]["rows"][0]["cells"]
        return {cell["versions"][0]["tag"] for cell in cells}
    if verb == "diff":
        [one] = document["diff"]["images"]
        return {version["tag"] for side in ("a", "b") for version in one[side]}
    newest = {one["environment"]: one["images"][0]["after"] for one in document["history"][::-1]}
    return {reference.rpartition(":")[2] for [reference] in newest.values()}


# --- what is not to be had does not hide the rest --------------------------------------------------


@pytest.mark.parametrize("how", ["denied", "unreachable", "not confirmed"])
def test_holds_are_listed_beside_a_repository_that_cannot_be_read(apart: Two, how: str) -> None:
    apart.told("hold", "staging", "--app", "api", "--reason", "slow")
    apart.told("hold", "production", "--app", "api", "--reason", "not seen")
    env = dict(apart.env)
    if how == "denied":
        env["PROMOTER_TOKEN_PRODUCTION"] = "canary-of-nobody"
    elif how == "unreachable":
        apart.other.close()
    else:
        del env["PROMOTER_REPOSITORY_PRODUCTION"]
    document = apart.told("hold", env=env)
    assert [(one["environment"], one["reason"]) for one in document["holds"]] == [("staging", "slow")]
    [warning] = document["warnings"]
    assert warning["message"].startswith("holds of production are not known: ")
    assert "canary-of-nobody" not in str(document)


def test_by_path(bench: Bench, tmp_path: Path) -> None:
    """Repositories of this machine need no token, but the caller's word all the same."""
    live = repos.make_repo(tmp_path / "live.git", files(config(production=""), production={"api": "1.0.0"}))
    bench.make(files(config(staging="", production=f"repository: {live}"), staging={"api": "1.1.0"}))
    bump = ("bump", "--env", "production", *image("api", "1.1.0"))
    refused(bench, *bump, code=3, reason="other-repository")
    elsewhere = {"PROMOTER_REPOSITORY_PRODUCTION": str(tmp_path / "other.git")}
    refused(bench, *bump, code=3, reason="other-repository", env=elsewhere)
    env = {"PROMOTER_REPOSITORY_PRODUCTION": str(live)}
    assert told(bench, *bump, env=env)["status"] == "promoted"
    # The file there knows no staging: it is what rules, and says so.
    refused(bench, *GO, code=3, reason="configuration", says="staging", env=env)
