"""What every adapter does alike: each method of the port and each refusal it documents, on every stage.

A test pushes by real Git, calls the adapter that promoter would take, and looks at what people
would see (`stage.pull_requests()`) and at the repository.
"""

import contextlib
import itertools
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from promoter.address import parse_address
from promoter.credentials import choose_credential
from promoter.deadline import Deadline
from promoter.errors import DeniedError, PromoterError, UnreachableError
from promoter.forges.connect import connect
from promoter.forges.locate import locate
from promoter.forges.port import Condition, Forge, ForgeRefusedError, MergeMethod, Proposal, PullRequest
from tests.forges.stage import Seen, Stage
from tests.forges.stages import Differences
from tests.support import repos
from tests.support.killproxy import KillProxy

BRANCH = "promoter/production/api"
FILE = "envs/production/api.yaml"
GATE = "promoter/gate"
CHECK = "ci/test"
TITLE = "Promote api to 1.1.0"
MESSAGE = "api: 1.0.0 to 1.1.0\n\nPromoter-Id: 0123456789abcdef\nPromoter-App: api"
BODY = "| app | before | after |\n|---|---|---|\n| api | 1.0.0 | 1.1.0 |"
PATIENCE = 20.0  # seconds; forges take pushes, reviews and statuses in from queues


@dataclass
class Bench:
    """One stage, a repository of the test's own to push from, and the adapter under test."""

    stage: Stage
    work: Path
    told: list[str] = field(default_factory=list)  # by the adapter, for --verbose

    def __post_init__(self) -> None:
        """Push main, and the branch that most tests propose, at once: a forge's hooks cost seconds."""
        repos.make_repo(self.work, {FILE: "image: api:1.0.0\n", "README.md": "Deployments\n"})
        repos.git(self.work, "branch", BRANCH, "main")
        repos.commit_files(self.work, {FILE: "image: api:1.1.0\n"}, "Promote", branch=BRANCH)
        self.forge = self.connect(self.stage.environ)
        self.push("main", BRANCH)
        # A forge may take in later that its repository is empty no longer.
        eventually(lambda: answers(lambda: self.forge.find("none")))

    def connect(self, environ: Mapping[str, str], url: str | None = None, seconds: float = 60) -> Forge:
        """As promoter does."""
        address = parse_address(url or self.stage.url)
        place = locate(address, environ, forge_api=environ.get("PROMOTER_FORGE_API"))
        return connect(
            place, choose_credential(address, environ), Deadline(seconds), self.told.append, environ
        )

    def tip(self, branch: str) -> str:
        found = repos.resolve(self.work, f"refs/heads/{branch}")
        assert found is not None
        return found

    def push(self, *branches: str) -> None:
        repos.git(self.work, "push", "--quiet", "--force", self.stage.push_url, *branches)

    def commit(self, branch: str, files: Mapping[str, str], message: str = "Change") -> str:
        """One more commit on a branch, which starts at main; pushed."""
        if repos.resolve(self.work, f"refs/heads/{branch}") is None:
            repos.git(self.work, "branch", branch, "main")
        made = repos.commit_files(self.work, dict(files), message, branch=branch)
        self.push(branch)
        return made

    def propose(self, branch: str = BRANCH, **changed: Any) -> PullRequest:
        """The pull request of a branch that has one change of its own."""
        if branch != BRANCH:
            self.commit(branch, {f"{branch}.yaml": "image: api:1.1.0\n"})
        return self.forge.create(proposal(branch=branch, **changed))

    def seen(self, number: int | None = None) -> Seen:
        """A pull request as people see it; the newest one."""
        found = self.stage.pull_requests()
        return next(one for one in reversed(found) if number in (None, one.number))

    def base(self) -> str:
        """Where the base is on the server."""
        found = repos.resolve(self.stage.git, "refs/heads/main")
        assert found is not None
        return found

    @contextlib.contextmanager
    def refuses(
        self, kind: type[PromoterError] = ForgeRefusedError, reason: str | None = None
    ) -> Iterator[Any]:
        """The block raises this error, which says what to do next where it can, and no secret."""
        with pytest.raises(kind) as raised:
            yield raised
        error: BaseException | None = raised.value
        if reason is not None:
            assert raised.value.reason == reason, raised.value
        while error is not None:
            assert self.stage.token not in f"{error!r} {error} {getattr(error, 'next_step', '')}"
            error = error.__cause__ or error.__context__


def proposal(**changed: Any) -> Proposal:
    return Proposal(**{"branch": BRANCH, "base": "main", "title": TITLE, "body": BODY, **changed})


def eventually(look: Callable[[], Any]) -> Any:
    """What `look` gives as soon as it is true; the last that it gave where it never is."""
    end = time.monotonic() + PATIENCE
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def answers(call: Callable[[], object]) -> bool:
    try:
        call()
    except ForgeRefusedError:
        return False
    return True


def unix(text: str) -> str:
    return text.replace("\r\n", "\n")


@pytest.fixture
def bench(stage: Stage, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(stage, tmp_path / "work.git")
    yield made
    assert stage.token not in "\n".join(made.told)


@pytest.fixture
def pull_request(bench: Bench) -> PullRequest:
    return bench.propose()


# --- find, open_below, create


def test_finds_none_where_there_is_none(bench: Bench) -> None:
    assert list(bench.forge.find(BRANCH)) == []
    assert list(bench.forge.open_below("promoter/")) == []


def test_creates_what_was_proposed(bench: Bench) -> None:
    made = bench.propose()
    seen = bench.seen()
    assert (made.number, made.state, made.draft) == (seen.number, "open", False)
    assert (made.branch, made.base, made.head) == (BRANCH, "main", bench.tip(BRANCH))
    assert (made.title, unix(made.body)) == (TITLE, BODY)
    assert made.url.startswith("http")
    assert str(made.number) in made.url
    assert (seen.state, seen.branch, seen.base, seen.head) == ("open", BRANCH, "main", bench.tip(BRANCH))
    assert (seen.title, unix(seen.body), seen.draft) == (TITLE, BODY, False)


def test_finds_what_it_created(bench: Bench) -> None:
    made = bench.propose()
    assert list(bench.forge.find(BRANCH)) == [made]
    assert list(bench.forge.open_below("promoter/production/")) == [made]


def test_a_draft_is_one_and_stays_one(bench: Bench) -> None:
    made = bench.propose(draft=True)
    assert (made.draft, made.title) == (True, TITLE)
    assert bench.seen().draft
    bench.forge.update(made, "Promote api to 1.2.0", BODY)
    found = bench.forge.find(BRANCH)[0]
    assert (found.draft, found.title) == (True, "Promote api to 1.2.0")
    assert bench.seen().draft


def test_finds_a_closed_and_a_merged_one_newest_first(bench: Bench) -> None:
    first = bench.propose()
    bench.stage.close(first.number or 0)
    second = bench.forge.create(proposal())
    bench.stage.merge(second.number or 0)
    bench.commit(BRANCH, {FILE: "image: api:1.2.0\n"})
    third = bench.forge.create(proposal(title="Promote api to 1.2.0"))
    found = bench.forge.find(BRANCH)
    assert [(one.number, one.state) for one in found] == [
        (third.number, "open"),
        (second.number, "merged"),
        (first.number, "closed"),
    ]
    assert [one.number for one in bench.forge.open_below("promoter/")] == [third.number]


def test_finds_one_whose_branch_is_gone(bench: Bench, pull_request: PullRequest) -> None:
    bench.stage.merge(pull_request.number or 0)
    bench.push(f":refs/heads/{BRANCH}")
    (found,) = bench.forge.find(BRANCH)
    assert (found.number, found.state, found.branch) == (pull_request.number, "merged", BRANCH)


def test_a_new_commit_is_the_new_head(bench: Bench, pull_request: PullRequest) -> None:
    new = bench.commit(BRANCH, {FILE: "image: api:1.2.0\n"})
    assert new != pull_request.head
    assert bench.forge.find(BRANCH)[0].head == new
    assert bench.forge.open_below("promoter/")[0].head == new


def test_finds_by_the_whole_name_of_the_branch(bench: Bench) -> None:
    longer = bench.propose(f"{BRANCH}-worker")
    assert list(bench.forge.find(BRANCH)) == []
    assert [one.number for one in bench.forge.find(f"{BRANCH}-worker")] == [longer.number]


def test_a_fork_s_branch_of_the_same_name_is_not_ours(bench: Bench) -> None:
    bench.stage.propose_from_fork(BRANCH)
    assert len(bench.stage.pull_requests()) == 1
    assert list(bench.forge.find(BRANCH)) == []
    assert list(bench.forge.open_below("promoter/")) == []
    ours = bench.propose()
    assert [one.number for one in bench.forge.find(BRANCH)] == [ours.number]


def test_lists_open_ones_below_a_prefix_oldest_first(bench: Bench) -> None:
    branches = ["promoter/production/web", "promoter/production/api", "promoter/staging/api", "feature/x"]
    made = {branch: bench.propose(branch) for branch in branches}
    bench.forge.close(made["promoter/staging/api"])
    assert [one.branch for one in bench.forge.open_below("promoter/")] == branches[:2]
    assert [one.branch for one in bench.forge.open_below("promoter/production/a")] == [BRANCH]
    assert list(bench.forge.open_below("promoter/staging/")) == []


def test_refuses_a_second_one_for_the_same_branch(bench: Bench, pull_request: PullRequest) -> None:
    with bench.refuses(reason="exists"):
        bench.forge.create(proposal())
    assert [one.number for one in bench.stage.pull_requests()] == [pull_request.number]


def test_refuses_a_head_that_holds_nothing_new(bench: Bench) -> None:
    repos.git(bench.work, "branch", "promoter/production/web", "main")
    bench.push("promoter/production/web")
    with bench.refuses(reason="nothing-to-compare"):
        bench.forge.create(proposal(branch="promoter/production/web"))
    assert bench.stage.pull_requests() == []


@pytest.mark.parametrize("absent", ["base", "branch"])
def test_refuses_an_absent_branch(bench: Bench, absent: str) -> None:
    with bench.refuses(reason="refused"):
        bench.forge.create(proposal(**{absent: "not/there"}))
    assert bench.stage.pull_requests() == []


def test_asks_for_no_push_options(bench: Bench) -> None:
    assert list(bench.forge.push_options(proposal())) == []


# --- update, comment, close


BODIES = {
    "lines": "one\n\ntwo\n  three\n",
    "unicode": "naïve — Ελλάδα — 東京 — 🚀",
    "marker": 'Table\n\n<!-- promoter: {"version": 1, "images": ["ghcr.io/acme/api:1.1.0"]} -->\n\nLast',
    "markup": "`code` <details>\n\n```diff\n- a\n+ b\n```\n</details> & &amp; \\n %20 \\| @alice #1",
    "trailers": "Text\n\nPromoter-Id: 0123\nPromoter-Order: github:acme/api:ci.yaml#12",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_comes_back_as_it_was_given(bench: Bench, pull_request: PullRequest, body: str) -> None:
    title = "Promote <api> to 1.2.0 — “now” & `here`"
    bench.forge.update(pull_request, title, body)
    found, seen = bench.forge.find(BRANCH)[0], bench.seen()
    assert found.title == seen.title == title
    assert unix(found.body).rstrip("\n") == unix(seen.body).rstrip("\n") == body.rstrip("\n")


def test_a_body_comes_back_from_its_creation(bench: Bench) -> None:
    made = bench.propose(body=BODIES["marker"])
    assert unix(made.body) == unix(bench.seen().body) == BODIES["marker"]


def test_the_longest_title_and_body_fit(bench: Bench) -> None:
    title, body = "t" * bench.forge.longest_title, "b" * bench.forge.longest_body
    made = bench.propose(title=title, body=body, draft=True)
    assert (made.title, made.body) == (title, body)


def test_comments(bench: Bench, pull_request: PullRequest) -> None:
    bench.forge.comment(pull_request, "Superseded by **1.2.0**.\n\nSee `main`.")
    bench.forge.comment(pull_request, "Second")
    assert [unix(one) for one in bench.seen().comments] == [
        "Superseded by **1.2.0**.\n\nSee `main`.",
        "Second",
    ]


def test_closes_and_leaves_the_branch(bench: Bench, pull_request: PullRequest) -> None:
    bench.forge.close(pull_request)
    assert bench.seen().state == "closed"
    assert bench.forge.find(BRANCH)[0].state == "closed"
    assert repos.resolve(bench.stage.git, f"refs/heads/{BRANCH}") == pull_request.head


# --- labels, assignees, reviewers


def test_adds_labels(bench: Bench, pull_request: PullRequest) -> None:
    bench.forge.add_labels(pull_request, ["promotion"])
    bench.forge.add_labels(pull_request, ["promotion", "production"])
    assert bench.seen().labels == {"promotion", "production"}
    assert bench.forge.find(BRANCH)[0].labels == {"promotion", "production"}


def test_creates_an_unknown_label(bench: Bench, pull_request: PullRequest) -> None:
    bench.forge.add_labels(pull_request, ["promotion", "quite new"])
    bench.forge.add_labels(pull_request, ["quite new"])
    assert bench.seen().labels == {"promotion", "quite new"}


def test_assigns_people(bench: Bench, pull_request: PullRequest) -> None:
    bench.forge.add_assignees(pull_request, ["alice"])
    bench.forge.add_assignees(pull_request, ["alice"])
    assert bench.seen().assignees == {"alice"}
    assert bench.forge.find(BRANCH)[0].assignees == {"alice"}


def test_names_an_unknown_assignee_and_assigns_the_others(bench: Bench, pull_request: PullRequest) -> None:
    with bench.refuses(reason="unknown-assignee") as raised:
        bench.forge.add_assignees(pull_request, ["nobody-here", "alice"])
    assert "nobody-here" in str(raised.value)
    assert bench.seen().assignees == {"alice"}


def test_asks_people_for_a_review(bench: Bench, pull_request: PullRequest) -> None:
    bench.forge.request_reviews(pull_request, ["alice"], [])
    assert bench.seen().reviewers == {"alice"}
    found = bench.forge.find(BRANCH)[0]
    assert (found.reviewers, found.reviewed) == (frozenset({"alice"}), False)
    bench.forge.request_reviews(pull_request, ["alice"], [])
    assert bench.seen().reviewers == {"alice"}


def test_asks_again_who_has_answered(bench: Bench, pull_request: PullRequest) -> None:
    bench.forge.request_reviews(pull_request, ["alice"], [])
    bench.stage.approve(pull_request.number or 0, "alice")
    found = bench.forge.find(BRANCH)[0]
    assert (found.reviewers, found.reviewed) == (frozenset(), True)
    assert bench.forge.open_below("promoter/")[0].reviewed
    bench.forge.request_reviews(pull_request, ["alice"], [])
    assert bench.seen().reviewers == {"alice"}
    assert bench.forge.find(BRANCH)[0].reviewers == {"alice"}


def test_names_an_unknown_reviewer_and_asks_the_others(bench: Bench, pull_request: PullRequest) -> None:
    with bench.refuses(reason="unknown-reviewer") as raised:
        bench.forge.request_reviews(pull_request, ["nobody-here", "alice"], [])
    assert "nobody-here" in str(raised.value)
    assert bench.seen().reviewers == {"alice"}


def test_asks_a_team_for_a_review(bench: Bench, pull_request: PullRequest, differences: Differences) -> None:
    told = contextlib.nullcontext() if differences.teams else bench.refuses(reason=differences.unknown_team)
    with told:
        bench.forge.request_reviews(pull_request, ["alice"], ["sre"])
    asked = {"alice"} | differences.teams
    assert bench.seen().reviewers == asked
    assert bench.forge.find(BRANCH)[0].reviewers == asked
    assert bench.forge.open_below("promoter/")[0].reviewers == asked


def test_names_an_unknown_team_and_asks_the_others(
    bench: Bench, pull_request: PullRequest, differences: Differences
) -> None:
    with bench.refuses(reason=differences.unknown_team) as raised:
        bench.forge.request_reviews(pull_request, ["alice"], ["no-such-team"])
    assert "no-such-team" in str(raised.value)
    assert bench.seen().reviewers == {"alice"}


# --- condition


def test_a_fresh_one_has_nothing_in_its_way(bench: Bench, pull_request: PullRequest) -> None:
    condition = eventually_condition(bench, pull_request, conflicting=False)
    assert (condition.behind, condition.must_be_current) == (False, False)
    assert (condition.approved, condition.approved_head, condition.approvers) == (False, False, ())
    assert (condition.checks, condition.auto_merge, condition.queued) == ("none", False, False)


def test_tells_a_conflict(bench: Bench, pull_request: PullRequest) -> None:
    bench.commit("main", {FILE: "image: api:1.0.1\n"})
    condition = eventually_condition(bench, pull_request, conflicting=True)
    assert condition.behind


def test_tells_that_a_conflict_is_over(bench: Bench, pull_request: PullRequest) -> None:
    bench.commit("main", {FILE: "image: api:1.0.1\n"})
    eventually_condition(bench, pull_request, conflicting=True)
    repos.git(bench.work, "branch", "--force", BRANCH, "main")
    bench.commit(BRANCH, {FILE: "image: api:1.1.0\n"})
    condition = eventually_condition(bench, pull_request, conflicting=False)
    assert not condition.behind


def test_tells_that_it_is_behind(bench: Bench, pull_request: PullRequest) -> None:
    bench.commit("main", {"other.yaml": "image: web:1.0.0\n"})
    assert bench.forge.condition(pull_request).behind
    eventually_condition(bench, pull_request, conflicting=False, behind=True, must_be_current=False)


def test_tells_that_it_must_be_current(bench: Bench) -> None:
    bench.stage.protect(up_to_date=True, checks=[CHECK])
    made = bench.propose()
    assert bench.forge.condition(made).must_be_current


@pytest.mark.parametrize("required", [0, 1])
def test_tells_an_approval(bench: Bench, required: int) -> None:
    if required:
        bench.stage.protect(approvals=required)
    made = bench.propose()
    assert not bench.forge.condition(made).approved
    bench.stage.approve(made.number or 0, "alice")
    condition = bench.forge.condition(made)
    assert (condition.approved, condition.approved_head, condition.approvers) == (True, True, ("alice",))


def test_one_approval_of_two_is_not_enough(bench: Bench) -> None:
    bench.stage.protect(approvals=2)
    made = bench.propose()
    bench.stage.approve(made.number or 0, "alice")
    assert not bench.forge.condition(made).approved
    bench.stage.approve(made.number or 0, "carol")
    condition = bench.forge.condition(made)
    assert (condition.approved, sorted(condition.approvers)) == (True, ["alice", "carol"])


def test_an_approval_outlives_a_push_but_is_not_the_head_s(bench: Bench) -> None:
    bench.stage.protect(approvals=1)
    made = bench.propose()
    bench.stage.approve(made.number or 0)
    bench.commit(BRANCH, {FILE: "image: api:1.2.0\n"})
    (now,) = bench.forge.find(BRANCH)
    condition = eventually_condition(bench, now, conflicting=False)
    assert (condition.approved, condition.approved_head) == (True, False)


def test_a_push_dismisses_an_approval_where_the_base_says_so(bench: Bench) -> None:
    bench.stage.protect(approvals=1, dismiss_stale=True)
    made = bench.propose()
    bench.stage.approve(made.number or 0)
    assert bench.forge.condition(made).approved
    bench.commit(BRANCH, {FILE: "image: api:1.2.0\n"})
    (now,) = bench.forge.find(BRANCH)
    condition = eventually_condition(bench, now, approved=False)
    assert (condition.approved_head, condition.approvers) == (False, ())


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["pending"], "pending"),
        (["success"], "passed"),
        (["failure"], "failed"),
        (["pending", "success"], "passed"),
        (["pending", "failure"], "failed"),
    ],
)
def test_tells_the_checks(bench: Bench, pull_request: PullRequest, states: list[Any], expected: str) -> None:
    for state in states:
        bench.stage.report_check(pull_request.head, CHECK, state)
    assert bench.forge.condition(pull_request).checks == expected
    assert bench.forge.statuses(pull_request.head) == {CHECK: expected}


def test_the_worst_check_counts(bench: Bench, pull_request: PullRequest) -> None:
    bench.stage.report_check(pull_request.head, CHECK, "success")
    bench.stage.report_check(pull_request.head, "ci/lint", "pending")
    assert bench.forge.condition(pull_request).checks == "pending"
    bench.stage.report_check(pull_request.head, "ci/lint", "failure")
    assert bench.forge.condition(pull_request).checks == "failed"


def test_the_gate_is_no_check(bench: Bench, pull_request: PullRequest) -> None:
    bench.forge.set_status(pull_request.head, GATE, "pending", "frozen")
    assert bench.forge.condition(pull_request).checks == "none"
    bench.stage.report_check(pull_request.head, CHECK, "success")
    assert bench.forge.condition(pull_request).checks == "passed"
    assert bench.forge.statuses(pull_request.head) == {GATE: "pending", CHECK: "passed"}


# --- land, disarm


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_merges_where_nothing_is_left_to_wait_for(
    bench: Bench, pull_request: PullRequest, differences: Differences, method: MergeMethod
) -> None:
    if method not in differences.methods:
        bench.stage.allow(methods=[method])
    before = bench.base()
    assert bench.forge.land(pull_request, method, TITLE, MESSAGE) == "merged"
    assert bench.seen().state == "merged"
    assert bench.forge.find(BRANCH)[0].state == "merged"
    assert repos.read_file(bench.stage.git, FILE) == b"image: api:1.1.0\n"
    landed = repos.log(bench.stage.git, f"{before}..main")
    assert len(landed[0].parents) == (2 if method in differences.merges else 1)


def test_merges_what_is_behind(bench: Bench, pull_request: PullRequest) -> None:
    bench.commit("main", {"other.yaml": "image: web:1.0.0\n"})
    assert bench.forge.land(pull_request, "merge", TITLE, MESSAGE) == "merged"
    assert repos.read_file(bench.stage.git, FILE) == b"image: api:1.1.0\n"
    assert repos.read_file(bench.stage.git, "other.yaml") == b"image: web:1.0.0\n"


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_takes_no_other_method_than_the_settings_allow(
    bench: Bench, pull_request: PullRequest, differences: Differences, method: MergeMethod
) -> None:
    bench.stage.allow(methods=[one for one in differences.methods if one != method])
    with bench.refuses(reason="merge-method"):
        bench.forge.land(pull_request, method, TITLE, MESSAGE)
    assert (bench.seen().state, bench.seen().auto_merge) == ("open", False)


def test_squashes_with_the_message_it_was_given(bench: Bench) -> None:
    bench.propose()
    bench.commit(BRANCH, {FILE: "image: api:1.2.0\n"}, "Second")
    (found,) = bench.forge.find(BRANCH)
    assert bench.forge.land(found, "squash", TITLE, MESSAGE) == "merged"
    landed = repos.log(bench.stage.git, "main")[0]
    assert_message(landed)


def test_arms_while_a_required_check_is_pending_and_the_forge_merges(bench: Bench) -> None:
    bench.stage.protect(checks=[CHECK])
    made = bench.propose()
    bench.stage.report_check(made.head, CHECK, "pending")
    assert bench.forge.land(made, "squash", TITLE, MESSAGE) == "armed"
    assert bench.seen().auto_merge
    assert bench.forge.condition(made).auto_merge
    assert bench.seen().state == "open"
    bench.stage.report_check(made.head, CHECK, "success")
    assert eventually(lambda: bench.seen().state == "merged")
    assert repos.read_file(bench.stage.git, FILE) == b"image: api:1.1.0\n"
    assert_message(repos.log(bench.stage.git, "main")[0])


def test_arms_while_an_approval_is_missing_and_the_forge_merges(bench: Bench) -> None:
    bench.stage.protect(approvals=1, checks=[CHECK])
    made = bench.propose()
    bench.stage.report_check(made.head, CHECK, "pending")
    assert bench.forge.land(made, "squash", TITLE, MESSAGE) == "armed"
    bench.stage.report_check(made.head, CHECK, "success")
    assert bench.forge.condition(made).checks == "passed"
    assert bench.seen().state == "open"
    bench.stage.approve(made.number or 0)
    assert eventually(lambda: bench.seen().state == "merged")


def test_arming_twice_is_arming(bench: Bench) -> None:
    bench.stage.protect(checks=[CHECK])
    made = bench.propose()
    bench.stage.report_check(made.head, CHECK, "pending")
    bench.forge.land(made, "squash", TITLE, MESSAGE)
    assert bench.forge.land(made, "squash", TITLE, MESSAGE) == "armed"
    assert bench.seen().auto_merge


def test_landing_what_is_merged_says_so(bench: Bench, pull_request: PullRequest) -> None:
    bench.forge.land(pull_request, "merge", TITLE, MESSAGE)
    assert bench.forge.land(pull_request, "merge", TITLE, MESSAGE) == "merged"


def test_disarms(bench: Bench) -> None:
    bench.stage.protect(checks=[CHECK])
    made = bench.propose()
    bench.stage.report_check(made.head, CHECK, "pending")
    bench.forge.disarm(made)
    bench.forge.land(made, "squash", TITLE, MESSAGE)
    bench.forge.disarm(made)
    assert not bench.seen().auto_merge
    assert not bench.forge.condition(made).auto_merge
    bench.forge.disarm(made)
    bench.stage.report_check(made.head, CHECK, "success")
    assert bench.forge.condition(made).checks == "passed"
    assert bench.seen().state == "open"


def test_arms_no_other_method_than_the_settings_allow(bench: Bench) -> None:
    bench.stage.allow(methods=["merge"])
    bench.stage.protect(checks=[CHECK])
    made = bench.propose()
    bench.stage.report_check(made.head, CHECK, "pending")
    with bench.refuses(reason="merge-method"):
        bench.forge.land(made, "squash", TITLE, MESSAGE)
    assert (bench.seen().state, bench.seen().auto_merge) == ("open", False)


def test_refuses_to_arm_where_the_repository_forbids_it(bench: Bench, differences: Differences) -> None:
    if not differences.auto_merge_setting:
        pytest.skip(f"{bench.stage.forge} has no such setting")
    bench.stage.allow(auto_merge=False)
    bench.stage.protect(checks=[CHECK])
    made = bench.propose()
    bench.stage.report_check(made.head, CHECK, "pending")
    with bench.refuses(reason="auto-merge"):
        bench.forge.land(made, "squash", TITLE, MESSAGE)
    assert (bench.seen().state, bench.seen().auto_merge) == ("open", False)


@pytest.mark.parametrize("waits", [False, True])
def test_refuses_to_land_another_head_than_was_meant(bench: Bench, waits: bool) -> None:
    if waits:
        bench.stage.protect(checks=[CHECK])
    made = bench.propose()
    new = bench.commit(BRANCH, {FILE: "image: api:6.6.6\n"}, "A person's")
    if waits:
        bench.stage.report_check(new, CHECK, "pending")
    with bench.refuses(reason="merge"):
        bench.forge.land(made, "squash", TITLE, MESSAGE)
    assert (bench.seen().state, bench.seen().auto_merge) == ("open", False)
    assert repos.read_file(bench.stage.git, FILE) == b"image: api:1.0.0\n"


def test_refuses_to_land_a_conflict(bench: Bench, pull_request: PullRequest) -> None:
    bench.commit("main", {FILE: "image: api:1.0.1\n"})
    eventually_condition(bench, pull_request, conflicting=True)
    with bench.refuses(reason="merge"):
        bench.forge.land(pull_request, "squash", TITLE, MESSAGE)
    assert bench.seen().state == "open"


def test_refuses_to_land_what_is_closed(bench: Bench, pull_request: PullRequest) -> None:
    bench.stage.close(pull_request.number or 0)
    with bench.refuses(reason="merge"):
        bench.forge.land(pull_request, "merge", TITLE, MESSAGE)
    assert bench.seen().state == "closed"


# --- statuses, settings


def test_sets_a_status_and_turns_it(bench: Bench, pull_request: PullRequest) -> None:
    head = pull_request.head
    assert bench.forge.statuses(head) == {}
    bench.forge.set_status(head, GATE, "pending", "frozen until Monday")
    assert bench.stage.statuses(head) == {GATE: ("pending", "frozen until Monday")}
    assert bench.forge.statuses(head) == {GATE: "pending"}
    bench.forge.set_status(head, GATE, "pending", "frozen until Monday")
    bench.forge.set_status(head, GATE, "success", "open")
    assert bench.stage.statuses(head) == {GATE: ("success", "open")}
    assert bench.forge.statuses(head) == {GATE: "passed"}


def test_sets_a_status_with_a_long_description(bench: Bench, pull_request: PullRequest) -> None:
    bench.forge.set_status(pull_request.head, GATE, "pending", "frozen " * 100)
    assert bench.stage.statuses(pull_request.head)[GATE][1].startswith("frozen frozen")


def test_tells_the_default_branch(bench: Bench) -> None:
    assert bench.forge.default_branch() == "main"


# --- refusals of every kind


def test_a_weak_token_is_told_what_is_missing(bench: Bench, differences: Differences) -> None:
    environ = {**bench.stage.environ, **bench.stage.weak_token()}
    with bench.refuses(DeniedError, "permission") as raised:
        bench.connect(environ).create(proposal())
    assert differences.weak in f"{raised.value.message} {raised.value.next_step}"
    assert environ["PROMOTER_TOKEN"] not in f"{raised.value!r} {raised.value.next_step}"
    assert bench.stage.pull_requests() == []


CALLS: dict[str, Callable[[Forge, PullRequest], object]] = {
    "find": lambda forge, _: forge.find(BRANCH),
    "open_below": lambda forge, _: forge.open_below("promoter/"),
    "create": lambda forge, _: forge.create(proposal()),
    "update": lambda forge, one: forge.update(one, TITLE, BODY),
    "comment": lambda forge, one: forge.comment(one, "text"),
    "close": lambda forge, one: forge.close(one),
    "add_labels": lambda forge, one: forge.add_labels(one, ["promotion"]),
    "add_assignees": lambda forge, one: forge.add_assignees(one, ["alice"]),
    "request_reviews": lambda forge, one: forge.request_reviews(one, ["alice"], []),
    "condition": lambda forge, one: forge.condition(one),
    "land": lambda forge, one: forge.land(one, "merge", TITLE, MESSAGE),
    "disarm": lambda forge, one: forge.disarm(one),
    "statuses": lambda forge, one: forge.statuses(one.head),
    "set_status": lambda forge, one: forge.set_status(one.head, GATE, "pending", "frozen"),
    "default_branch": lambda forge, _: forge.default_branch(),
}


def test_a_wrong_token_is_told_to_be_one(bench: Bench, pull_request: PullRequest) -> None:
    wrong = "a-wrong-token-4711"
    forge = bench.connect({**bench.stage.environ, "PROMOTER_TOKEN": wrong})
    for call in CALLS.values():
        with bench.refuses(DeniedError, "authentication") as raised:
            call(forge, pull_request)
        assert wrong not in f"{raised.value!r} {raised.value.next_step}"
    assert (bench.seen().state, bench.seen().comments) == ("open", ())


def test_a_forge_that_is_gone_is_asked_three_times(bench: Bench, pull_request: PullRequest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    here, there = urlsplit(bench.stage.url).netloc, f"127.0.0.1:{port}"
    environ = {name: value.replace(here, there) for name, value in bench.stage.environ.items()}
    forge = bench.connect(environ, bench.stage.url.replace(here, there))
    for call in CALLS.values():
        bench.told.clear()
        with bench.refuses(UnreachableError):
            call(forge, pull_request)
        assert len([line for line in bench.told if "trying again" in line]) == 2


@pytest.mark.parametrize("name", ["create", "comment", "land", "add_labels", "request_reviews"])
def test_a_lost_answer_does_nothing_twice(bench: Bench, name: str) -> None:
    """The forge has done it, and the connection breaks before it can say so."""
    made = bench.propose() if name != "create" else None
    with KillProxy(bench.stage.url) as proxy:
        environ = {key: proxy.url_of(value) for key, value in bench.stage.environ.items()}
        forge = bench.connect(environ, proxy.url_of(bench.stage.url))
        asked = itertools.count(1)  # every other one, as GraphQL's questions are no GET either
        proxy.lose(lambda _, request: not request.startswith("GET ") and next(asked) % 2 == 1)
        result = CALLS[name](forge, made or PullRequest(None, "", "", "", "", "open"))
        assert proxy.lost
    (seen,) = bench.stage.pull_requests()
    if isinstance(result, PullRequest):
        assert (result.number, result.branch) == (seen.number, BRANCH)
    assert seen.comments == (("text",) if name == "comment" else ())
    assert seen.labels == ({"promotion"} if name == "add_labels" else set())
    assert seen.reviewers == ({"alice"} if name == "request_reviews" else set())
    assert seen.state == ("merged" if name == "land" else "open")


@pytest.mark.parametrize("name", ["create", "comment"])
def test_an_archived_repository_is_called_so(bench: Bench, pull_request: PullRequest, name: str) -> None:
    bench.forge.close(pull_request)
    bench.stage.archive()
    with bench.refuses(reason="archived"):
        CALLS[name](bench.forge, pull_request)


def eventually_condition(bench: Bench, pull_request: PullRequest, **expected: object) -> Condition:
    """The condition once it is so: forges work it out after they were asked."""

    end = time.monotonic() + PATIENCE
    while True:
        condition = bench.forge.condition(pull_request)
        if all(getattr(condition, name) == value for name, value in expected.items()):
            return condition
        assert time.monotonic() < end, condition
        time.sleep(0.05)


def assert_message(landed: repos.Commit) -> None:
    """The commit says what it was told to; what a forge adds stands below."""
    assert landed.subject.startswith(TITLE)
    assert landed.body.startswith(MESSAGE)
    assert landed.trailers["Promoter-App"] == ["api"]
