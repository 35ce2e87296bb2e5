"""What is GitLab's own: the adapters on the double, through python-gitlab and real pushes."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from promoter.deadline import Deadline
from promoter.errors import DeniedError, PromoterError, UnreachableError
from promoter.forges.calls import Connection
from promoter.forges.gitlab import GitLab
from promoter.forges.port import ForgeRefusedError, Proposal, PullRequest
from tests.forges import gitlab_rules
from tests.forges.gitlab_double import GitLabDouble
from tests.forges.gitlab_state import Version
from tests.forges.stage_gitlab import PATH, TOKEN, WEAK_TOKEN, GitLabStage, gitlab_stage
from tests.support import repos
from tests.support.gitserver import LoopbackServer, read_head

BRANCH = "promoter/production/api"
WANTED = Proposal(BRANCH, "main", "Promote api to 1.1.0", "Table\n\nPromoter-Id: 1")
FILE = "envs/production/kustomization.yaml"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[GitLabStage]:
    with gitlab_stage(tmp_path) as running:
        yield running


@pytest.fixture
def gitlab(stage: GitLabStage) -> GitLab:
    return adapter(stage)


def connection(stage: GitLabStage, token: str = TOKEN, seconds: float = 30) -> Connection:
    url = stage.double.url
    return Connection(
        f"{url}/api/v4", url, PATH, token, "personal", None, Deadline(seconds), verbose=lambda _: None
    )


def adapter(stage: GitLabStage, token: str = TOKEN, seconds: float = 30) -> GitLab:
    return GitLab(connection(stage, token, seconds))


def push(stage: GitLabStage, tag: str = "1.1.0", *, branch: str = BRANCH) -> str:
    """A commit on the branch, which is born from main."""
    if repos.resolve(stage.git, f"refs/heads/{branch}") is None:
        repos.git(stage.git, "branch", branch, "main")
    return repos.commit_files(stage.git, {FILE: f"newTag: {tag}\n"}, f"Tag {tag}", branch=branch)


def opened(stage: GitLabStage, gitlab: GitLab, proposal: Proposal = WANTED) -> PullRequest:
    push(stage, branch=proposal.branch)
    return gitlab.create(proposal)


def refusal(raised: pytest.ExceptionInfo[ForgeRefusedError]) -> tuple[str, str]:
    assert raised.value.next_step
    return raised.value.reason, raised.value.message


# --- tokens and hosts


class Elsewhere(LoopbackServer):
    """Another host: it notes whatever reaches it."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        super().__init__()

    def handle(self, connection: object) -> None:
        self.heads.append(read_head(connection)[0])  # type: ignore[arg-type]  # the base class's socket


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_host_gets_nothing(stage: GitLabStage, status: int) -> None:
    with Elsewhere() as elsewhere:
        stage.double.fault(
            "redirect", r"GET .*/merge_requests", 9, status=status, location=f"{elsewhere.url}{{target}}"
        )
        with pytest.raises(UnreachableError) as raised:
            adapter(stage).find(BRANCH)
    assert elsewhere.heads == []
    assert elsewhere.url in raised.value.message
    assert TOKEN not in str(raised.value)


def test_a_page_on_another_host_is_not_fetched(stage: GitLabStage, gitlab: GitLab) -> None:
    """python-gitlab follows `Link` headers with the token."""
    with Elsewhere() as elsewhere:
        link = {"Link": f'<{elsewhere.url}/elsewhere?page=2>; rel="next"', "Content-Type": "application/json"}
        stage.double.fault("status", r"GET .*/merge_requests", 9, status=200, headers=link)
        with pytest.raises(UnreachableError):
            gitlab.find(BRANCH)
    assert elsewhere.heads == []


def test_a_redirect_on_the_same_host_is_followed_for_reading(stage: GitLabStage, gitlab: GitLab) -> None:
    opened(stage, gitlab)
    fault = stage.double.fault("redirect", r"GET .*/merge_requests", status=301, location="{target}")
    assert [one.number for one in gitlab.find(BRANCH)] == [1]
    assert fault.fired == 1


def test_a_redirected_change_is_not_turned_into_a_question(stage: GitLabStage, gitlab: GitLab) -> None:
    seen = opened(stage, gitlab)
    stage.double.fault("redirect", r"POST .*/notes", status=301, location="{target}")
    with pytest.raises(ForgeRefusedError, match="moved"):
        gitlab.comment(seen, "Hello")
    assert stage.pull_requests()[0].comments == ()


def test_the_token_of_another_scope(stage: GitLabStage) -> None:
    push(stage)
    with pytest.raises(DeniedError) as raised:
        adapter(stage, WEAK_TOKEN).create(WANTED)
    assert raised.value.reason == "permission"
    assert "insufficient_scope" in raised.value.message
    assert "`api`" in (raised.value.next_step or "")
    assert len(stage.double.log) == 1  # never a second time


def test_a_token_that_may_only_read(stage: GitLabStage) -> None:
    stage.double.add_token("glpat-reads", {"read_api"})
    push(stage)
    with pytest.raises(DeniedError) as raised:
        adapter(stage, "glpat-reads").create(WANTED)
    assert raised.value.reason == "permission"
    assert "Developer role" in (raised.value.next_step or "")
    assert len(stage.double.called("^POST")) == 1


def test_an_unknown_token(stage: GitLabStage) -> None:
    with pytest.raises(DeniedError) as raised:
        adapter(stage, "glpat-unknown").default_branch()
    assert raised.value.reason == "authentication"
    assert len(stage.double.log) == 1


def test_a_project_that_the_token_does_not_see(stage: GitLabStage) -> None:
    other = GitLab(replace(connection(stage), project="acme/other"))
    with pytest.raises(ForgeRefusedError) as raised:
        other.default_branch()
    assert "acme/other" in (raised.value.next_step or "")


def test_an_archived_project(stage: GitLabStage, gitlab: GitLab) -> None:
    push(stage)
    stage.archive()
    with pytest.raises(ForgeRefusedError) as raised:
        gitlab.create(WANTED)
    assert refusal(raised)[0] == "archived"


# --- passing faults


@pytest.mark.parametrize("header", ["Retry-After", "RateLimit-Reset"])
def test_a_rate_limit_is_waited_out(stage: GitLabStage, gitlab: GitLab, header: str) -> None:
    """https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers."""
    until = "1" if header == "Retry-After" else str(int(time.time()) + 2)
    stage.double.fault("status", "GET", status=429, headers={header: until})
    began = time.monotonic()
    assert gitlab.default_branch() == "main"
    assert time.monotonic() - began > 0.9


def test_a_rate_limit_beyond_the_deadline(stage: GitLabStage) -> None:
    stage.double.fault("status", "GET", status=429, headers={"Retry-After": "3600"})
    with pytest.raises(PromoterError) as raised:
        adapter(stage, seconds=5).default_branch()
    assert (raised.value.exit_code, "3600" in raised.value.message) == (7, True)


@pytest.mark.parametrize("kind", ["status", "cut-before", "cut-after"])
def test_a_create_whose_answer_is_lost_creates_once(stage: GitLabStage, gitlab: GitLab, kind: str) -> None:
    push(stage)
    fault = stage.double.fault(kind, r"POST .*/merge_requests$")  # type: ignore[arg-type]  # a FaultKind
    assert gitlab.create(WANTED).number == 1
    assert fault.fired == 1
    assert len(stage.pull_requests()) == 1


def test_a_comment_whose_answer_is_lost_is_said_once(stage: GitLabStage, gitlab: GitLab) -> None:
    seen = opened(stage, gitlab)
    stage.double.fault("cut-after", r"POST .*/notes$")
    gitlab.comment(seen, "Superseded by 1.2.0")
    assert stage.pull_requests()[0].comments == ("Superseded by 1.2.0",)


def test_a_merge_whose_answer_is_lost_is_merged(stage: GitLabStage, gitlab: GitLab) -> None:
    seen = opened(stage, gitlab)
    stage.double.fault("cut-after", r"PUT .*/merge$")
    assert gitlab.land(seen, "merge", "Promote", "") == "merged"
    assert stage.pull_requests()[0].state == "merged"


def test_an_answer_that_never_comes(stage: GitLabStage) -> None:
    """However long the library would wait, the run's deadline is the end."""
    stage.double.fault("hang", "GET", 9)
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        adapter(stage, seconds=1.5).default_branch()
    assert time.monotonic() - began < 10


def test_an_answer_that_is_no_json(stage: GitLabStage, gitlab: GitLab) -> None:
    stage.double.fault("status", "GET", 9, status=200, headers={"Content-Type": "text/html"})
    with pytest.raises(UnreachableError):
        gitlab.find(BRANCH)


# --- merge requests


def test_what_is_opened_is_found(stage: GitLabStage, gitlab: GitLab) -> None:
    head = push(stage)
    made = gitlab.create(WANTED)
    assert made == PullRequest(
        number=1,
        url=f"{stage.double.url}/{PATH}/-/merge_requests/1",
        branch=BRANCH,
        base="main",
        head=head,
        state="open",
        title=WANTED.title,
        body=WANTED.body,
    )
    assert gitlab.find(BRANCH) == [made]
    assert gitlab.open_below("promoter/") == [made]
    assert gitlab.open_below("promoter/staging/") == []


def test_a_draft_is_one_by_its_title(stage: GitLabStage, gitlab: GitLab) -> None:
    made = opened(stage, gitlab, replace(WANTED, draft=True))
    assert (made.draft, made.title) == (True, WANTED.title)
    gitlab.update(made, "Promote api to 1.2.0", "New")
    assert stage.project.merge_requests[0].title == "Draft: Promote api to 1.2.0"
    assert gitlab.find(BRANCH)[0].draft


def test_the_longest_title_and_body_fit(stage: GitLabStage, gitlab: GitLab) -> None:
    long = replace(WANTED, title="t" * gitlab.longest_title, body="b" * gitlab.longest_body, draft=True)
    assert opened(stage, gitlab, long).title == long.title


def test_more_than_one_page(stage: GitLabStage, gitlab: GitLab) -> None:
    head = push(stage)
    author = stage.double.users["alice"]
    for number in range(103):
        branch = f"promoter/production/app-{number:03d}"
        repos.git(stage.git, "update-ref", f"refs/heads/{branch}", head)
        gitlab_rules.open_merge_request(stage.project, author, source=branch, target="main", title="Promote")
    found = gitlab.open_below("promoter/")
    assert [one.number for one in found] == list(range(1, 104))


def test_a_second_one_for_the_branch(stage: GitLabStage, gitlab: GitLab) -> None:
    opened(stage, gitlab)
    with pytest.raises(ForgeRefusedError, match="!1") as raised:
        gitlab.create(WANTED)
    assert refusal(raised)[0] == "exists"


def test_nothing_to_compare(stage: GitLabStage, gitlab: GitLab) -> None:
    """GitLab itself would open an empty merge request."""
    repos.git(stage.git, "branch", BRANCH, "main")
    with pytest.raises(ForgeRefusedError) as raised:
        gitlab.create(WANTED)
    assert refusal(raised)[0] == "nothing-to-compare"
    assert stage.pull_requests() == []


def test_labels_are_created_and_a_comma_is_refused(stage: GitLabStage, gitlab: GitLab) -> None:
    seen = opened(stage, gitlab)
    gitlab.add_labels(seen, ["promotion", "new"])
    assert gitlab.find(BRANCH)[0].labels == {"promotion", "new"}
    with pytest.raises(ForgeRefusedError) as raised:
        gitlab.add_labels(seen, ["a,b"])
    assert refusal(raised)[0] == "label"


def test_unknown_people_are_named_after_the_known_were_asked(stage: GitLabStage, gitlab: GitLab) -> None:
    seen = opened(stage, gitlab)
    with pytest.raises(ForgeRefusedError, match="nobody") as raised:
        gitlab.request_reviews(seen, ["alice", "nobody"], [])
    assert refusal(raised)[0] == "unknown-reviewer"
    with pytest.raises(ForgeRefusedError, match="nobody") as raised:
        gitlab.add_assignees(seen, ["nobody", "bob"])
    assert refusal(raised)[0] == "unknown-assignee"
    now = gitlab.find(BRANCH)[0]
    assert now.reviewers == {"alice"}
    assert now.assignees == {"bob"}


def test_teams_cannot_review(stage: GitLabStage, gitlab: GitLab) -> None:
    seen = opened(stage, gitlab)
    with pytest.raises(ForgeRefusedError, match="sre") as raised:
        gitlab.request_reviews(seen, ["alice"], ["sre"])
    assert refusal(raised)[0] == "unsupported"
    assert gitlab.find(BRANCH)[0].reviewers == {"alice"}


def test_free_takes_one_reviewer(stage: GitLabStage, gitlab: GitLab) -> None:
    stage.project.premium = False
    seen = opened(stage, gitlab)
    with pytest.raises(ForgeRefusedError, match="bob") as raised:
        gitlab.request_reviews(seen, ["alice", "bob"], [])
    assert "Free" in (raised.value.next_step or "")
    assert gitlab.find(BRANCH)[0].reviewers == {"alice"}


def test_a_reviewer_who_has_answered_is_asked_again(stage: GitLabStage, gitlab: GitLab) -> None:
    seen = opened(stage, gitlab)
    gitlab.request_reviews(seen, ["alice", "bob"], [])
    stage.approve(1, "alice")
    answered = gitlab.find(BRANCH)[0]
    assert answered.reviewers == {"bob"}
    assert answered.reviewed
    gitlab.request_reviews(seen, ["alice"], [])
    again = gitlab.find(BRANCH)[0]
    assert again.reviewers == {"alice", "bob"}
    assert not again.reviewed


# --- condition


def test_the_condition_of_a_fresh_one(stage: GitLabStage, gitlab: GitLab) -> None:
    found = gitlab.condition(opened(stage, gitlab))
    assert (found.conflicting, found.behind, found.approved, found.checks) == (False, False, False, "none")


def test_gitlab_has_no_opinion_while_it_checks(stage: GitLabStage, gitlab: GitLab) -> None:
    stage.project.unchecked_looks = 1
    seen = opened(stage, gitlab)
    assert gitlab.condition(seen).conflicting is None
    assert gitlab.condition(seen).conflicting is False


def test_a_conflict_and_a_base_that_moved(stage: GitLabStage, gitlab: GitLab) -> None:
    seen = opened(stage, gitlab)
    repos.commit_files(stage.git, {"docs/a.md": "a\n"}, "Elsewhere")
    moved = gitlab.condition(seen)
    assert (moved.conflicting, moved.behind, moved.must_be_current) == (False, True, False)
    repos.commit_files(stage.git, {FILE: "newTag: 9\n"}, "The same line")
    assert gitlab.condition(seen).conflicting is True


@pytest.mark.parametrize("method", ["ff", "rebase_merge"])
def test_methods_that_take_no_head_that_is_behind(stage: GitLabStage, gitlab: GitLab, method: str) -> None:
    stage.project.merge_method = method  # type: ignore[assignment]  # one of the literals
    assert gitlab.condition(opened(stage, gitlab)).must_be_current


def test_an_approval_of_an_older_head(stage: GitLabStage, gitlab: GitLab) -> None:
    seen = opened(stage, gitlab)
    stage.approve(1)
    first = gitlab.condition(seen)
    assert (first.approved, first.approved_head, first.approvers) == (True, True, ("alice",))
    push(stage, "1.2.0")
    then = gitlab.condition(seen)
    assert (then.approved, then.approved_head) == (True, False)


@pytest.mark.parametrize(("resets", "premium"), [(True, True), (False, True), (False, False)])
def test_a_server_that_does_not_tell_when(
    stage: GitLabStage, gitlab: GitLab, resets: bool, premium: bool
) -> None:
    """Then an approval that stands is the head's only where a push would have taken it away."""
    stage.project.tells_approval_time = False
    stage.project.reset_approvals_on_push = resets
    stage.project.premium = premium
    seen = opened(stage, gitlab)
    stage.approve(1)
    found = gitlab.condition(seen)
    assert (found.approved, found.approved_head) == (True, resets)


def test_an_approval_between_a_push_and_its_version_is_the_older_heads(
    stage: GitLabStage, gitlab: GitLab
) -> None:
    """A version is made after the push, in the background: when in doubt, the approval was not for it."""
    seen = opened(stage, gitlab)
    stage.approve(1)
    one = stage.project.merge_requests[0]
    last = one.versions[-1]
    given = one.approvals["alice"][1]
    one.versions[-1] = Version(
        last.id, last.head, last.base, last.start, last.empty, given.replace(year=9000)
    )
    assert not gitlab.condition(seen).approved_head


def test_a_rule_that_is_not_met_yet(stage: GitLabStage, gitlab: GitLab) -> None:
    stage.protect(approvals=2)
    seen = opened(stage, gitlab)
    stage.approve(1, "alice")
    assert not gitlab.condition(seen).approved
    stage.approve(1, "bob")
    assert gitlab.condition(seen).approved


def test_checks_leave_the_gate_out(stage: GitLabStage, gitlab: GitLab) -> None:
    stage.protect(checks=["ci/test"])
    seen = opened(stage, gitlab)
    gitlab.set_status(seen.head, "promoter/gate", "pending", "frozen")
    assert gitlab.condition(seen).checks == "pending"
    stage.report_check(seen.head, "ci/test", "success")
    assert gitlab.condition(seen).checks == "passed"
    stage.report_check(seen.head, "ci/test", "failure")
    assert gitlab.condition(seen).checks == "failed"
    assert gitlab.statuses(seen.head) == {"ci/test": "failed", "promoter/gate": "pending"}


def test_a_job_that_may_fail(stage: GitLabStage, gitlab: GitLab) -> None:
    seen = opened(stage, gitlab)
    stage.report_check(seen.head, "ci/lint", "failure")
    stage.project.statuses[-1].allow_failure = True
    assert gitlab.condition(seen).checks == "passed"


def test_a_merge_train(stage: GitLabStage, gitlab: GitLab) -> None:
    stage.project.merge_trains = True
    seen = opened(stage, gitlab)
    assert not gitlab.condition(seen).queued
    assert gitlab.land(seen, "squash", "Promote", "") == "armed"
    found = gitlab.condition(seen)
    assert (found.queued, found.auto_merge) == (True, True)
    assert stage.double.called("/merge$") == []  # it would pass the train


def test_a_merge_train_is_boarded_when_the_checks_pass(stage: GitLabStage, gitlab: GitLab) -> None:
    stage.project.merge_trains = True
    stage.protect(checks=["ci/test"])
    seen = opened(stage, gitlab)
    assert gitlab.land(seen, "merge", "Promote", "") == "armed"
    assert not gitlab.condition(seen).queued
    stage.report_check(seen.head, "ci/test", "success")
    assert gitlab.condition(seen).queued


# --- status


def test_the_same_status_again(stage: GitLabStage, gitlab: GitLab) -> None:
    """GitLab answers 400, "Cannot transition status": it is so already."""
    head = opened(stage, gitlab).head
    for state in ("pending", "pending", "success", "success", "pending"):
        gitlab.set_status(head, "promoter/gate", state, "x" * 300)
        shown = "passed" if state == "success" else "pending"
        assert gitlab.statuses(head)["promoter/gate"] == shown
    assert [one.status for one in stage.double.called("^POST .*/statuses/")] == [201, 400, 201, 201, 201]


def test_the_status_of_an_unknown_commit(gitlab: GitLab) -> None:
    with pytest.raises(ForgeRefusedError):
        gitlab.set_status("0" * 40, "promoter/gate", "pending", "frozen")


# --- landing


def test_a_pipeline_arms_and_its_success_merges(stage: GitLabStage, gitlab: GitLab) -> None:
    stage.protect(checks=["ci/test"])
    seen = opened(stage, gitlab)
    assert gitlab.land(seen, "squash", "Promote api", "Promoter-Id: 1") == "armed"
    assert gitlab.land(seen, "squash", "Promote api", "Promoter-Id: 1") == "armed"
    assert gitlab.condition(seen).auto_merge
    stage.report_check(seen.head, "ci/test", "success")
    assert stage.pull_requests()[0].state == "merged"
    squashed = stage.project.merge_requests[0].squash_commit or ""
    assert repos.log(stage.git, squashed)[0].trailers == {"Promoter-Id": ["1"]}


def test_a_pending_gate_holds_an_armed_merge(stage: GitLabStage, gitlab: GitLab) -> None:
    seen = opened(stage, gitlab)
    gitlab.set_status(seen.head, "promoter/gate", "pending", "frozen")
    assert gitlab.land(seen, "merge", "Promote", "") == "armed"
    assert stage.pull_requests()[0].state == "open"
    gitlab.set_status(seen.head, "promoter/gate", "success", "thawed")
    assert stage.pull_requests()[0].state == "merged"


def test_nothing_left_to_wait_for(stage: GitLabStage, gitlab: GitLab) -> None:
    stage.project.unchecked_looks = 3
    seen = opened(stage, gitlab)
    assert gitlab.land(seen, "merge", "Promote api", "Promoter-Id: 1") == "merged"
    tip = repos.log(stage.git)[0]
    assert (tip.subject, tip.trailers) == ("Promote api", {"Promoter-Id": ["1"]})
    assert gitlab.land(seen, "merge", "Promote api", "Promoter-Id: 1") == "merged"


def test_a_head_that_moved_is_not_merged(stage: GitLabStage, gitlab: GitLab) -> None:
    seen = opened(stage, gitlab)
    push(stage, "1.2.0")
    with pytest.raises(ForgeRefusedError) as raised:
        gitlab.land(seen, "merge", "Promote", "")
    assert refusal(raised)[0] == "merge"
    assert stage.double.called("/merge$") == []


def test_a_head_that_moves_while_merging(stage: GitLabStage, gitlab: GitLab) -> None:
    """Between our look and the merge: GitLab compares the head with ours."""
    seen = opened(stage, gitlab)

    def overtake() -> None:
        push(stage, "1.2.0")

    stage.double.fault("delay", r"PUT .*/merge$", action=overtake)
    with pytest.raises(ForgeRefusedError) as raised:
        gitlab.land(seen, "squash", "Promote", "")
    assert refusal(raised)[0] == "merge"
    assert stage.pull_requests()[0].state == "open"


def test_a_pipeline_that_ends_while_arming(stage: GitLabStage, gitlab: GitLab) -> None:
    """Auto-merge is not on offer any more: it is merged instead."""
    stage.protect(checks=["ci/test"])
    seen = opened(stage, gitlab)

    def without_ci() -> None:
        stage.project.statuses.clear()
        stage.project.pipeline_must_succeed = False

    stage.double.fault("delay", r"PUT .*/merge$", action=without_ci)
    assert gitlab.land(seen, "squash", "Promote", "") == "merged"


def test_a_conflict_is_refused(stage: GitLabStage, gitlab: GitLab) -> None:
    seen = opened(stage, gitlab)
    repos.commit_files(stage.git, {FILE: "newTag: 9\n"}, "The same line")
    with pytest.raises(ForgeRefusedError) as raised:
        gitlab.land(seen, "merge", "Promote", "")
    assert refusal(raised)[0] == "merge"


def test_auto_merge_that_is_not_on_offer(stage: GitLabStage, gitlab: GitLab) -> None:
    stage.protect(approvals=1)
    stage.allow(auto_merge=False)
    seen = opened(stage, gitlab)
    with pytest.raises(ForgeRefusedError) as raised:
        gitlab.land(seen, "merge", "Promote", "")
    assert refusal(raised)[0] == "auto-merge"


def test_a_missing_approval_after_the_pipeline_has_succeeded(stage: GitLabStage, gitlab: GitLab) -> None:
    """GitLab's REST API cannot arm that: it is named, and the next run merges."""
    stage.protect(approvals=1, checks=["ci/test"])
    seen = opened(stage, gitlab)
    stage.report_check(seen.head, "ci/test", "success")
    with pytest.raises(ForgeRefusedError) as raised:
        gitlab.land(seen, "merge", "Promote", "")
    assert refusal(raised)[0] == "auto-merge"
    stage.approve(1)
    assert gitlab.land(seen, "merge", "Promote", "") == "merged"


def test_a_token_that_may_not_merge_into_the_base(stage: GitLabStage, gitlab: GitLab) -> None:
    """GitLab answers 401 to a token that is good."""
    stage.project.merge_access = "maintainer"
    seen = opened(stage, gitlab)
    with pytest.raises(DeniedError) as raised:
        gitlab.land(seen, "merge", "Promote", "")
    assert raised.value.reason == "permission"
    assert "merge into main" in (raised.value.next_step or "")


@pytest.mark.parametrize(
    ("joined", "squash", "method"),
    [
        ("merge", "default_off", "rebase"),
        ("ff", "default_off", "merge"),
        ("merge", "never", "squash"),
        ("merge", "always", "merge"),
    ],
)
def test_a_method_that_the_project_does_not_allow(
    stage: GitLabStage, gitlab: GitLab, joined: str, squash: str, method: str
) -> None:
    stage.project.merge_method = joined  # type: ignore[assignment]  # one of the literals
    stage.project.squash_option = squash  # type: ignore[assignment]  # one of the literals
    seen = opened(stage, gitlab)
    with pytest.raises(ForgeRefusedError, match=method) as raised:
        gitlab.land(seen, method, "Promote", "")  # type: ignore[arg-type]  # one of the literals
    assert refusal(raised)[0] == "merge-method"
    assert stage.pull_requests()[0].state == "open"


def test_squash_by_the_projects_default_is_unset_for_a_merge(stage: GitLabStage, gitlab: GitLab) -> None:
    stage.project.squash_option = "default_on"
    head = push(stage)
    push(stage, "1.2.0")
    seen = gitlab.create(WANTED)
    assert gitlab.land(seen, "merge", "Promote", "") == "merged"
    assert head in [one.sha for one in repos.log(stage.git)]


def test_fast_forward(stage: GitLabStage, gitlab: GitLab) -> None:
    stage.allow(methods=["rebase"])
    seen = opened(stage, gitlab)
    assert gitlab.land(seen, "rebase", "Promote", "") == "merged"
    assert repos.resolve(stage.git, "main") == seen.head


def test_disarm(stage: GitLabStage, gitlab: GitLab) -> None:
    stage.protect(checks=["ci/test"])
    seen = opened(stage, gitlab)
    gitlab.disarm(seen)
    assert stage.double.called("cancel") == []
    gitlab.land(seen, "merge", "Promote", "")
    gitlab.disarm(seen)
    assert not stage.pull_requests()[0].auto_merge


def test_close_twice(stage: GitLabStage, gitlab: GitLab) -> None:
    seen = opened(stage, gitlab)
    gitlab.close(seen)
    gitlab.close(seen)
    assert gitlab.find(BRANCH)[0].state == "closed"
    assert gitlab.open_below("promoter/") == []


# --- the double itself


def test_the_double_notices_what_is_not_published(tmp_path: Path) -> None:
    with GitLabDouble(tmp_path) as double:
        stage = GitLabStage(double)
        gitlab = adapter(stage)
        seen = opened(stage, gitlab)
        wrong = {"titel": "x", "state_event": "merge", "squash": "yes"}
        with pytest.raises(ForgeRefusedError, match="599"):
            gitlab._client.put("testing", gitlab._path(seen), wrong)
        with pytest.raises(ForgeRefusedError, match="599"):
            gitlab._client.get("testing", f"{gitlab._client.project}/no_such_thing")
    said = "\n".join(double.violations)
    assert "body attribute titel is unknown" in said
    assert "'merge' is not one of ['close', 'reopen']" in said
    assert "'yes' is not of type 'boolean'" in said
    assert "no such operation is published" in said


def test_the_stage_fails_the_test_on_a_violation(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no such operation"), gitlab_stage(tmp_path) as stage:
        subprocess.run(
            ["python3", "-c", f"import urllib.request as u; u.urlopen('{stage.double.url}/api/v4/nothing')"],
            capture_output=True,
            check=False,
        )


def test_an_answer_that_is_not_published(stage: GitLabStage, gitlab: GitLab) -> None:
    """An attribute of the wrong type in an answer is the double's own fault, and noticed."""
    opened(stage, gitlab)
    stage.project.merge_requests[0].state = "dangling"
    with pytest.raises(ForgeRefusedError, match="599"):
        gitlab.find(BRANCH)
    assert any("dangling" in one for one in stage.double.violations)
    stage.double.violations.clear()
    stage.project.merge_requests[0].state = "opened"
