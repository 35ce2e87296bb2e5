"""The real Gitea as a stage: one server for each worker of the tests, one repository for each test."""

import atexit
import itertools
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tests.forges.stage import Seen
from tests.support.gitea import Account, ApiError, Gitea, start

OWNER = "acme"
PATIENCE_SECONDS = 20.0
POLL_SECONDS = 0.02
_numbers = itertools.count(1)


@dataclass(frozen=True)
class House:
    """The server and those who live there. `promoter` administers its repositories.

    Only administrators may read all of a branch's protection; `weak` may push, but has no part in
    the repositories' pull requests.
    """

    gitea: Gitea
    people: Mapping[str, Account]
    promoter: Account
    weak: Account


@cache
def house() -> House:
    folder = Path(tempfile.mkdtemp(prefix="promoter-gitea-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # runs after the server's own end
    gitea = start(folder)
    people = {name: gitea.create_user(name) for name in ("alice", "bob", "carol")}
    promoter, weak = gitea.create_user("promoter"), gitea.create_user("weak")
    boss = gitea.create_user("boss")
    gitea.create_organisation(boss, OWNER)
    gitea.create_team(OWNER, "people", list(people.values()))
    gitea.create_team(OWNER, "sre", [people["carol"]])
    gitea.create_team(OWNER, "machines", [promoter], "admin")
    pushers = {
        "name": "pushers",
        "includes_all_repositories": True,
        "permission": "write",
        "units_map": {"repo.code": "write"},
    }
    team = gitea.api("POST", f"/orgs/{OWNER}/teams", pushers)["id"]
    gitea.api("PUT", f"/teams/{team}/members/{weak.name}")
    gitea.api("POST", f"/orgs/{OWNER}/labels", {"name": "production", "color": "#00aabb"})
    token = gitea.create_token("promoter", "write:repository", "write:issue")
    return House(gitea, people, Account("promoter", token), weak)


@dataclass(frozen=True)
class GiteaStage:
    """See `tests.forges.stage.Stage`."""

    house: House
    name: str  # owner/name
    url: str
    git: Path
    environ: Mapping[str, str]
    token: str = field(repr=False)
    push_url: str = field(repr=False)
    forge: Literal["gitea"] = "gitea"

    def pull_requests(self) -> list[Seen]:
        listed = self.all("/pulls?state=all")
        return [self.seen(number) for number in sorted(one["number"] for one in listed)]

    def seen(self, number: int) -> Seen:
        pull = self.api("GET", f"/pulls/{number}")
        teams = pull["requested_reviewers_teams"] or ()
        people = {one["login"] for one in pull["requested_reviewers"] or ()}
        return Seen(
            number=number,
            state="merged" if pull["merged"] else pull["state"],
            branch=pull["head"]["label"],
            base=pull["base"]["ref"],
            head=pull["head"]["sha"],
            title=pull["title"].removeprefix("WIP: "),
            body=pull["body"],
            draft=pull["draft"],
            labels=frozenset(one["name"] for one in pull["labels"] or ()),
            assignees=frozenset(one["login"] for one in pull["assignees"] or ()),
            reviewers=frozenset(people | {f"team/{one['name']}" for one in teams}),
            comments=tuple(one["body"] for one in self.api("GET", f"/issues/{number}/comments")),
            auto_merge=self.is_scheduled(pull["id"]),
        )

    def approve(self, number: int, by: str = "alice") -> None:
        review = {"event": "APPROVED", "body": "Looks good"}
        self.api("POST", f"/pulls/{number}/reviews", review, by)

    def close(self, number: int, by: str = "alice") -> None:
        self.api("PATCH", f"/pulls/{number}", {"state": "closed"}, by)

    def merge(self, number: int, method: Literal["merge", "squash", "rebase"] = "merge") -> None:
        title = self.api("GET", f"/pulls/{number}")["title"]
        order = {"Do": method, "MergeTitleField": title}
        self.patiently(lambda: self.api("POST", f"/pulls/{number}/merge", order, "alice"), "try again later")

    def protect(
        self,
        branch: str = "main",
        *,
        approvals: int = 0,
        dismiss_stale: bool = False,
        up_to_date: bool = False,
        checks: Sequence[str] = (),
    ) -> None:
        self.house.gitea.protect(
            self.name,
            branch,
            enable_push=True,
            required_approvals=approvals,
            dismiss_stale_approvals=dismiss_stale,
            block_on_outdated_branch=up_to_date,
            enable_status_check=bool(checks),
            status_check_contexts=list(checks),
        )

    def report_check(self, commit: str, name: str, state: Literal["pending", "success", "failure"]) -> None:
        self.api("POST", f"/statuses/{commit}", {"context": name, "state": state}, "carol")

    def statuses(self, commit: str) -> dict[str, tuple[str, str]]:
        found = self.api("GET", f"/commits/{commit}/status")["statuses"] or ()
        return {one["context"]: (one["status"], one["description"]) for one in found}

    def allow(
        self, *, auto_merge: bool = True, methods: Sequence[str] = ("merge", "squash", "rebase")
    ) -> None:
        if not auto_merge:
            raise NotImplementedError("Gitea has no setting that forbids auto-merge")
        wanted = {
            "has_pull_requests": True,  # without it the others are ignored
            "allow_merge_commits": "merge" in methods,
            "allow_squash_merge": "squash" in methods,
            "allow_rebase": "rebase" in methods,
            "default_merge_style": methods[0],
        }
        self.api("PATCH", "", wanted)

    def weak_token(self) -> Mapping[str, str]:
        return {"PROMOTER_TOKEN": self.house.weak.token}

    def archive(self) -> None:
        self.api("PATCH", "", {"archived": True})

    def propose_from_fork(self, branch: str) -> None:
        """A pull request of alice's from a branch of this name in a fork of hers."""
        fork = f"alice/{self.name.partition('/')[2]}"
        self.api("POST", "/forks", {"name": fork.partition("/")[2]}, "alice")
        change = {"content": "Zm9yawo=", "message": "Fork", "branch": "main", "new_branch": "change"}
        alice = self.house.people["alice"].token
        gitea = self.house.gitea
        self.patiently(lambda: gitea.api("POST", f"/repos/{fork}/contents/fork.txt", change, alice))
        there = f"/repos/{fork}/branches/{branch}"
        with suppress(ApiError):
            gitea.api("DELETE", there, token=alice)
        gitea.api("PATCH", f"/repos/{fork}/branches/change", {"name": branch}, alice)
        wanted = {"title": "From a fork", "head": f"alice:{branch}", "base": "main"}
        self.patiently(lambda: self.api("POST", "/pulls", wanted, "alice"))

    # --- helpers

    def api(self, method: str, path: str, json: Any = None, by: str | None = None) -> Any:
        """A call about this repository, by one of the people or the administrator."""
        token = self.house.people[by].token if by else None
        return self.house.gitea.api(method, f"/repos/{self.name}{path}", json, token)

    def all(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for page in itertools.count(1):
            more = self.api("GET", f"{path}&limit=50&page={page}")
            found += more
            if len(more) < 50:
                break
        return found

    def is_scheduled(self, pull: int) -> bool:
        """Whether Gitea will merge it; the API does not tell, the database does."""
        return bool(self.stored("SELECT 1 FROM pull_auto_merge WHERE pull_id = ?", pull))

    def stored(self, query: str, *values: object) -> list[Any]:
        """What stands in Gitea's database."""
        place = self.house.gitea.log.parent / "gitea.db"
        with closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(query, values).fetchall()

    def patiently(self, call: Callable[[], Any], words: str = "") -> Any:
        """Until Gitea has taken in what came before."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return call()
            except ApiError as error:
                if words not in str(error) or time.monotonic() > end:
                    raise
            time.sleep(POLL_SECONDS)


@contextmanager
def gitea_stage(_: Path) -> Iterator[GiteaStage]:
    """A fresh repository of the organisation's."""
    living = house()
    gitea = living.gitea
    boss = Account("root-admin", gitea.token)
    name = gitea.create_repository(boss, f"deploy-{next(_numbers)}", organisation=OWNER, private=True)
    gitea.api("POST", f"/repos/{name}/labels", {"name": "promotion", "color": "#aa00bb"})
    yield GiteaStage(
        house=living,
        name=name,
        url=f"{gitea.url}/{name}.git",
        git=gitea.log.parent / "data" / "gitea-repositories" / f"{name}.git",
        environ={"PROMOTER_TOKEN": living.promoter.token, "PROMOTER_FORGE_API": f"{gitea.url}/api/v1"},
        token=living.promoter.token,
        push_url=gitea.git_url(name, living.people["bob"]),
    )
