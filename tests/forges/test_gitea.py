"""What is Gitea's own, on the real server and, for its JSON, as data."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from promoter.deadline import Deadline
from promoter.errors import DeniedError
from promoter.forges import gitea_read
from promoter.forges.calls import Connection
from promoter.forges.gitea import Gitea
from promoter.forges.port import ForgeRefusedError, Proposal, PullRequest
from tests.forges.stage_gitea import GiteaStage, gitea_stage
from tests.support import repos

BRANCH = "promoter/production/api"
CHECK = "ci/test"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[GiteaStage]:
    with gitea_stage(tmp_path) as made:
        work = repos.make_repo(tmp_path / "work.git", {"api.yaml": "tag: 1.0.0\n"})
        repos.git(work, "branch", BRANCH, "main")
        repos.commit_files(work, {"api.yaml": "tag: 1.1.0\n"}, "Promote", branch=BRANCH)
        repos.git(work, "push", "--quiet", made.push_url, "main", BRANCH)
        made.patiently(lambda: made.api("GET", "/pulls"))
        yield made


def adapter(stage: GiteaStage, token: str | None = None, project: str | None = None) -> Gitea:
    web = stage.house.gitea.url
    connection = Connection(
        f"{web}/api/v1",
        web,
        project or stage.name,
        token or stage.token,
        "token",
        None,
        Deadline(30),
        lambda _: None,
    )
    return Gitea(connection)


def propose(forge: Gitea, **changed: Any) -> PullRequest:
    wanted = {"branch": BRANCH, "base": "main", "title": "Promote api", "body": "Text"}
    return forge.create(Proposal(**{**wanted, **changed}))


def eventually(look: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not look():
        assert time.monotonic() < end
        time.sleep(0.05)


def as_writer(stage: GiteaStage) -> Gitea:
    """With a token of somebody who may write, but is no administrator of the repository."""
    return adapter(stage, stage.house.people["alice"].token)


# --- the server


def test_labels_of_the_organization_are_used_and_not_made_again(stage: GiteaStage) -> None:
    forge = adapter(stage)
    made = propose(forge)
    forge.add_labels(made, ["production", "new"])
    assert {one["name"] for one in stage.api("GET", "/labels")} == {"promotion", "new"}
    assert forge.find(BRANCH)[0].labels == {"production", "new"}


def test_a_label_that_gitea_would_cut_off_is_refused(stage: GiteaStage) -> None:
    forge = adapter(stage)
    made = propose(forge)
    with pytest.raises(ForgeRefusedError, match="50 characters") as refused:
        forge.add_labels(made, ["x" * 51])
    assert refused.value.reason == "label"
    assert [one["name"] for one in stage.api("GET", "/labels")] == ["promotion"]


def test_a_token_without_the_scope_for_issues_is_told_so(stage: GiteaStage) -> None:
    token = stage.house.gitea.create_token("promoter", "write:repository")
    forge = adapter(stage, token)
    made = propose(forge)
    with pytest.raises(DeniedError, match="write:issue") as denied:
        forge.comment(made, "text")
    assert denied.value.reason == "permission"
    assert "write:issue" in (denied.value.next_step or "")
    assert token not in f"{denied.value!r} {denied.value.next_step}"


def test_a_writer_s_token_sees_the_chief_rules_of_the_base(stage: GiteaStage) -> None:
    stage.protect(approvals=1, up_to_date=True, checks=["ci/*"])
    forge = as_writer(stage)
    made = propose(forge)
    condition = forge.condition(made)
    assert (condition.checks, condition.approved, condition.must_be_current) == ("pending", False, False)
    stage.approve(made.number or 0, "carol")
    stage.report_check(made.head, CHECK, "success")
    condition = forge.condition(made)
    assert (condition.checks, condition.approved) == ("passed", True)
    assert adapter(stage).condition(made).must_be_current


def test_what_must_be_current_is_not_armed_in_vain(stage: GiteaStage, tmp_path: Path) -> None:
    stage.protect(up_to_date=True)
    forge = as_writer(stage)
    title = f"Promote in {stage.name}"
    made = propose(forge, title=title)
    repos.commit_files(tmp_path / "work.git", {"other": "1"}, "Other")
    repos.git(tmp_path / "work.git", "push", "--quiet", stage.push_url, "main")
    behind = "SELECT 1 FROM issue JOIN pull_request ON issue_id = issue.id WHERE commits_behind AND name = ?"
    eventually(lambda: stage.stored(behind, title))  # until then Gitea would merge it
    with pytest.raises(ForgeRefusedError, match="behind the base") as refused:
        forge.land(made, "squash", "Title", "Message")
    assert refused.value.reason == "merge"
    assert "promoter sync" in (refused.value.next_step or "")
    assert not stage.seen(made.number or 0).auto_merge


def test_an_account_that_may_not_merge_is_told_so(stage: GiteaStage) -> None:
    rules = {"enable_push": True, "enable_merge_whitelist": True, "merge_whitelist_usernames": ["bob"]}
    stage.house.gitea.protect(stage.name, "main", **rules)
    forge = as_writer(stage)
    made = propose(forge)
    with pytest.raises(DeniedError, match="may not merge into main") as denied:
        forge.land(made, "merge", "Title", "Message")
    assert denied.value.reason == "permission"


def test_a_draft_is_not_landed(stage: GiteaStage) -> None:
    forge = adapter(stage)
    made = propose(forge, draft=True)
    with pytest.raises(ForgeRefusedError, match="progress") as refused:
        forge.land(made, "merge", "Title", "Message")
    assert refused.value.reason == "draft"


def test_arming_again_takes_the_new_message(stage: GiteaStage) -> None:
    stage.protect(checks=[CHECK])
    forge = adapter(stage)
    made = propose(forge)
    stage.report_check(made.head, CHECK, "pending")
    assert forge.land(made, "squash", "First", "old") == "armed"
    assert forge.land(made, "squash", "Second", "new") == "armed"
    assert forge.condition(made).auto_merge
    stage.report_check(made.head, CHECK, "success")
    eventually(lambda: stage.seen(made.number or 0).state == "merged")
    landed = repos.log(stage.git)[0]
    assert (landed.subject, landed.body) == ("Second", "new")


def test_auto_merge_is_told_of_a_long_timeline(stage: GiteaStage) -> None:
    stage.protect(checks=[CHECK])
    forge = adapter(stage)
    made = propose(forge)
    forge.land(made, "squash", "Title", "Message")
    for number in range(60):  # more than one page
        stage.api("POST", f"/issues/{made.number}/comments", {"body": str(number)}, "alice")
    assert forge.condition(made).auto_merge
    forge.disarm(made)
    assert not forge.condition(made).auto_merge


def test_a_team_of_a_repository_that_no_organization_owns(stage: GiteaStage, tmp_path: Path) -> None:
    gitea, bob = stage.house.gitea, stage.house.people["bob"]
    name = gitea.create_repository(bob, f"own-{stage.name.partition('/')[2]}")
    gitea.push_first(tmp_path / "work.git", name, bob)
    repos.git(tmp_path / "work.git", "push", "--quiet", gitea.git_url(name, bob), BRANCH)
    forge = adapter(stage, bob.token, name)
    made = propose(forge)
    with pytest.raises(ForgeRefusedError, match="team/sre") as refused:
        forge.request_reviews(made, ["alice"], ["sre"])
    assert refused.value.reason == "unknown-team"
    assert forge.find(BRANCH)[0].reviewers == {"alice"}


def test_the_author_as_a_reviewer_is_refused(stage: GiteaStage) -> None:
    forge = adapter(stage)
    made = propose(forge)
    with pytest.raises(ForgeRefusedError, match="promoter: HTTP 422") as refused:
        forge.request_reviews(made, ["promoter", "alice"], [])
    assert refused.value.reason == "unknown-reviewer"
    assert forge.find(BRANCH)[0].reviewers == {"alice"}


def test_a_status_of_an_unknown_commit_is_refused_at_once(stage: GiteaStage) -> None:
    with pytest.raises(ForgeRefusedError) as refused:
        adapter(stage).set_status("0" * 40, "promoter/gate", "pending", "frozen")
    assert refused.value.reason == "status"


def test_a_repository_without_pull_requests(stage: GiteaStage) -> None:
    stage.api("PATCH", "", {"has_pull_requests": False})
    for call in (lambda: adapter(stage).find(BRANCH), lambda: propose(adapter(stage))):
        with pytest.raises(ForgeRefusedError, match="has no pull requests") as refused:
            call()
        assert refused.value.reason == "unsupported"


def test_a_repository_that_is_not_there(stage: GiteaStage) -> None:
    with pytest.raises(ForgeRefusedError, match="404") as refused:
        adapter(stage, project="acme/absent").find(BRANCH)
    assert "acme/absent" in (refused.value.next_step or "")


# --- its JSON


def review(user: str, state: str, **more: Any) -> dict[str, Any]:
    standing = {"official": True, "stale": False, "dismissed": False, "commit_id": "c0ffee"}
    return {"user": {"login": user}, "team": None, "state": state, **standing, **more}


APPROVALS: dict[str, tuple[list[dict[str, Any]], dict[str, Any], bool]] = {
    "nobody": ([], {}, False),
    "one where none is demanded": ([review("alice", "APPROVED")], {}, True),
    "one of one": ([review("alice", "APPROVED")], {"required_approvals": 1}, True),
    "one of two": ([review("alice", "APPROVED")], {"required_approvals": 2}, False),
    "two of two": ([review("alice", "APPROVED"), review("bob", "APPROVED")], {"required_approvals": 2}, True),
    "twice the same person": (
        [review("alice", "APPROVED"), review("alice", "APPROVED")],
        {"required_approvals": 2},
        False,
    ),
    "a reader's": ([review("dave", "APPROVED", official=False)], {"required_approvals": 1}, False),
    "dismissed": ([review("alice", "APPROVED", dismissed=True)], {}, False),
    "taken back": ([review("alice", "APPROVED"), review("alice", "REQUEST_CHANGES")], {}, False),
    "asked again": ([review("alice", "APPROVED"), review("alice", "REQUEST_REVIEW")], {}, False),
    "commented since": ([review("alice", "APPROVED"), review("alice", "COMMENT")], {}, True),
    "stale": ([review("alice", "APPROVED", stale=True)], {"required_approvals": 1}, True),
    "stale, and such do not count": (
        [review("alice", "APPROVED", stale=True)],
        {"required_approvals": 1, "ignore_stale_approvals": True},
        False,
    ),
    "rejected by another": (
        [review("alice", "APPROVED"), review("bob", "REQUEST_CHANGES")],
        {"required_approvals": 1, "block_on_rejected_reviews": True},
        False,
    ),
}


@pytest.mark.parametrize(("reviews", "rules", "expected"), APPROVALS.values(), ids=APPROVALS.keys())
def test_when_it_is_approved(reviews: list[dict[str, Any]], rules: dict[str, Any], expected: bool) -> None:
    assert gitea_read.is_approved(reviews, rules) is expected


STRICT = {"enable_status_check": True, "status_check_contexts": ["ci/*", "lint"]}
ANY = {"enable_status_check": True, "status_check_contexts": []}
CHECKS: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "nothing": ({}, {}, "none"),
    "the gate alone": ({"promoter/gate": "pending"}, {}, "none"),
    "all well": ({"ci/test": "success", "lint": "skipped"}, STRICT, "passed"),
    "one is not reported yet": ({"ci/test": "success"}, STRICT, "pending"),
    "one is not reported yet, one failed": ({"ci/test": "error"}, STRICT, "failed"),
    "a warning": ({"ci/test": "warning"}, {}, "failed"),
    "a state of a newer version": ({"ci/test": "queued"}, {}, "pending"),
    "any is demanded and none is there": ({}, ANY, "pending"),
    "any is demanded and one is there": ({"x": "success"}, ANY, "passed"),
}


@pytest.mark.parametrize(("statuses", "rules", "expected"), CHECKS.values(), ids=CHECKS.keys())
def test_what_the_checks_say(statuses: dict[str, str], rules: dict[str, Any], expected: str) -> None:
    reported = [{"context": name, "status": state} for name, state in statuses.items()]
    assert gitea_read.checks(gitea_read.states_by_name(reported), rules) == expected


@pytest.mark.parametrize(
    "title", ["WIP: Promote", "wip:Promote", "[WIP] Promote", "Draft: Promote", "[draft]Promote"]
)
def test_a_draft_s_mark_is_no_part_of_its_title(title: str) -> None:
    pull = {
        "number": 1,
        "html_url": "",
        "title": title,
        "body": None,
        "draft": True,
        "merged": False,
        "state": "open",
        "labels": None,
        "assignees": None,
        "head": {"label": "b", "sha": "c0ffee"},
        "base": {"ref": "main"},
    }
    assert gitea_read.pull_request(pull, ()).title == "Promote"
    assert gitea_read.pull_request({**pull, "draft": False}, ()).title == title
