"""What is GitHub's own, on its double: conditions, landing, and commits that GitHub makes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promoter.forges.port import Condition
from tests.forges.github_double_bench import (
    BRANCH,
    FILE,
    connect,
    fine_grained,
    fresh,
    open_one,
    push,
    refused,
)
from tests.forges.github_double_git import parents_of
from tests.forges.github_double_rest import add_pull
from tests.forges.github_double_state import Review
from tests.forges.stage_github import GitHubStage, github_stage
from tests.support import repos


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[GitHubStage]:
    with github_stage(tmp_path) as found:
        yield found


# --- the condition


def test_heads_of_forks_are_not_ours(stage: GitHubStage) -> None:
    stage.propose_from_fork(BRANCH)
    assert [seen.number for seen in stage.pull_requests()] == [1]
    assert list(connect(stage).find(BRANCH)) == []
    assert list(connect(stage).open_below("promoter/")) == []
    assert open_one(stage).number == 2
    assert [one.number for one in connect(stage).find(BRANCH)] == [2]


def test_more_than_a_page(stage: GitHubStage) -> None:
    github, head = connect(stage), push(stage)
    for number in range(101):
        branch = f"promoter/production/app-{number:03d}"
        repos.git(stage.git, "branch", branch, head)
        with stage.double.state:
            add_pull(stage.repo, stage.repo, branch, "main", "promoter-bot", branch)
    assert [one.number for one in github.open_below("promoter/")] == list(range(1, 102))
    with stage.double.state:
        stage.repo.pulls[101].reviews.append(Review("alice", "COMMENTED", "0" * 40))
    assert [one.number for one in github.open_below("promoter/") if one.reviewed] == [101]


def test_the_condition_of_a_pull_request(stage: GitHubStage) -> None:
    pull = open_one(stage)
    github = connect(stage)
    assert github.condition(pull) == Condition(conflicting=False)
    stage.protect(approvals=1, dismiss_stale=True, up_to_date=True, checks=["ci/test"])
    condition = github.condition(pull)
    assert condition == Condition(conflicting=False, must_be_current=True, checks="pending")
    stage.report_check(pull.head, "ci/test", "failure")
    stage.report_check(pull.head, "promoter/gate", "pending")
    assert github.condition(pull).checks == "failed"
    stage.report_check(pull.head, "ci/test", "success")
    stage.report_check_run(pull.head, "optional", "skipped")
    stage.approve(1)
    condition = github.condition(pull)
    assert (condition.checks, condition.approved, condition.approved_head) == ("passed", True, True)
    assert condition.approvers == ("alice",)
    assert fresh(stage, pull).reviewed
    repos.commit_files(stage.git, {"docs/note.md": "A note\n"}, "Note")
    assert (github.condition(pull).behind, github.condition(pull).conflicting) == (True, False)
    repos.commit_files(stage.git, {FILE: "newTag: 2.0.0\n"}, "Another image")
    assert github.condition(pull).conflicting is True
    push(stage, content="newTag: 1.2.0\n")
    condition = github.condition(pull)
    assert (condition.approved, condition.approvers, condition.checks) == (False, (), "pending")
    assert fresh(stage, pull).reviewed


def test_what_the_token_may_not_see_is_unknown(stage: GitHubStage) -> None:
    pull = open_one(stage)
    stage.protect(up_to_date=True, checks=["ci/test"])
    stage.report_check(pull.head, "ci/test", "success")
    github = fine_grained(stage, pull_requests="read", contents="read")
    condition = github.condition(pull)
    assert (condition.conflicting, condition.must_be_current, condition.checks) == (False, False, "pending")
    repos.commit_files(stage.git, {"docs/note.md": "A note\n"}, "Note")
    assert github.condition(pull).must_be_current  # GitHub says BEHIND only where it matters
    stage.protect(up_to_date=True, checks=["ci/test"], ruleset=True)
    stage.double.reset()
    assert github.condition(pull).must_be_current


def test_more_checks_than_a_page(stage: GitHubStage) -> None:
    pull = open_one(stage)
    for number in range(130):
        stage.report_check(pull.head, f"ci/{number}", "failure" if number == 120 else "success")
        stage.report_check_run(pull.head, f"run/{number}", "success")
    github = connect(stage)
    assert github.condition(pull).checks == "failed"
    statuses = github.statuses(pull.head)
    assert (len(statuses), statuses["ci/120"], statuses["run/129"]) == (260, "failed", "passed")


def test_a_merge_queue_is_respected(stage: GitHubStage) -> None:
    pull = open_one(stage)
    stage.repo.queue = True
    github = connect(stage)
    assert github.land(pull, "squash", "Title", "Body") == "armed"
    assert github.condition(pull).queued
    assert github.land(pull, "squash", "Title", "Body") == "armed"
    assert sum("enqueue" in call for call in stage.double.calls()) == 1


# --- landing


def test_auto_merge_waits_and_then_merges_with_our_message(stage: GitHubStage) -> None:
    pull = open_one(stage)
    stage.protect(approvals=1, checks=["ci/test"])
    github = connect(stage)
    assert github.land(pull, "squash", "Promote (#1)", "Table\n\nPromoter-Id: 1") == "armed"
    assert github.condition(pull).auto_merge
    assert github.land(pull, "merge", "Promote (#1)", "Another\n\nPromoter-Id: 2") == "armed"
    stage.approve(1)
    assert stage.pull_requests()[0].state == "open"
    stage.report_check(pull.head, "ci/test", "success")
    assert stage.pull_requests()[0].state == "merged"
    (commit,) = repos.log(stage.git, "main~1..main^{/Promote..#1}")[:1]
    assert (commit.subject, commit.trailers) == ("Promote (#1)", {"Promoter-Id": ["2"]})
    assert fresh(stage, pull).state == "merged"
    assert github.land(pull, "squash", "", "") == "merged"


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_with_nothing_to_wait_for_it_merges_at_once(stage: GitHubStage, method: Any) -> None:
    pull = open_one(stage)
    repos.commit_files(stage.git, {"docs/note.md": "A note\n"}, "Note")
    github = connect(stage)
    assert github.land(pull, method, "Promote (#1)", "Promoter-Id: 1") == "merged"
    tip = repos.log(stage.git)[0]
    assert tip.subject == ("Promote" if method == "rebase" else "Promote (#1)")
    assert len(tip.parents) == (2 if method == "merge" else 1)
    assert repos.read_file(stage.git, FILE) == b"newTag: 1.1.0\n"
    assert fresh(stage, pull).state == "merged"


def test_landing_is_refused_with_a_reason(stage: GitHubStage) -> None:
    pull = open_one(stage)
    github = connect(stage)
    land = github.land
    stage.allow(methods=["merge"])
    error = refused(lambda: land(pull, "squash", "", ""), "merge-method", "Squash merges are not allowed")
    assert "auto-merge" in (error.next_step or "")
    stage.report_check(pull.head, "ci/test", "pending")
    refused(lambda: land(pull, "merge", "", ""), "auto-merge", "unstable status")
    stage.protect(approvals=1)
    stage.allow(auto_merge=False)
    error = refused(lambda: land(pull, "merge", "", ""), "auto-merge", "not allowed")
    assert "General" in (error.next_step or "")
    stage.allow()
    push(stage, content="newTag: 1.2.0\n")
    refused(lambda: land(pull, "merge", "", ""), "merge", "not open at")
    repos.commit_files(stage.git, {FILE: "newTag: 2.0.0\n"}, "Another image")
    refused(lambda: land(fresh(stage, pull), "merge", "", ""), "merge", "dirty status")


def test_a_head_that_moves_while_it_is_merged_is_not_merged(stage: GitHubStage) -> None:
    pull = open_one(stage)

    def move() -> None:
        push(stage, content="newTag: 1.2.0\n")

    stage.double.fault("delay", "/merge", seconds=0, action=move)
    refused(lambda: connect(stage).land(pull, "squash", "", ""), "merge", "Head branch was modified")
    assert stage.pull_requests()[0].state == "open"


# --- commits that GitHub makes


def test_a_verified_commit(stage: GitHubStage) -> None:
    github = connect(stage)
    base = repos.resolve(stage.git, "main") or ""
    github.create_branch(BRANCH, base)
    github.create_branch(BRANCH, base)
    files = {FILE: b"newTag: 1.1.0\r\n", "envs/blob": bytes(range(256))}
    stage.double.fault("cut-after", "createCommitOnBranch")
    new = github.commit_on_branch(BRANCH, base, "Promote api\n\nPromoter-Id: 1\n", files, ["README.md"])
    assert new == repos.resolve(stage.git, BRANCH)
    assert parents_of(stage.git, new) == [base]
    assert {path: repos.read_file(stage.git, path, new) for path in files} == files
    assert repos.git(stage.git, "ls-tree", "-r", "--name-only", new).split() == sorted(files)
    (commit,) = repos.log(stage.git, f"{base}..{new}")
    assert (commit.subject, commit.trailers) == ("Promote api", {"Promoter-Id": ["1"]})
    assert commit.committer == "GitHub <noreply@github.com>"
    assert sum("createCommit" in call for call in stage.double.calls()) == 1


def test_a_stale_head_is_told(stage: GitHubStage) -> None:
    github = connect(stage)
    base = repos.resolve(stage.git, "main") or ""
    new = push(stage)
    commit = github.commit_on_branch
    refused(lambda: commit(BRANCH, base, "Promote", {FILE: b"x"}, []), "stale-head", BRANCH)
    refused(lambda: github.create_branch(BRANCH, base), "stale-head", "already exists")
    refused(lambda: github.update_branch(BRANCH, base), "stale-head", "fast forward")
    assert repos.resolve(stage.git, BRANCH) == new
    github.update_branch(BRANCH, base, force=True)
    assert repos.resolve(stage.git, BRANCH) == base
    github.delete_branch(BRANCH)
    github.delete_branch(BRANCH)
    assert repos.resolve(stage.git, BRANCH) is None
