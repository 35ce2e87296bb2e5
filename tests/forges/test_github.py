"""What is GitHub's own, on its double: how calls travel, and what is refused, and how that is told."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from promoter.deadline import Deadline
from promoter.errors import DeadlineError, DeniedError, PromoterError, UnreachableError
from promoter.forges.calls import Connection
from promoter.forges.github import GitHub
from promoter.forges.port import PullRequest
from tests.forges.github_double import GitHubDouble
from tests.forges.github_double_bench import (
    BRANCH,
    PROPOSAL,
    connect,
    fine_grained,
    fresh,
    open_one,
    push,
    refused,
)
from tests.forges.stage_github import GitHubStage, github_stage
from tests.support import repos
from tests.support.tls import make_ca


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[GitHubStage]:
    with github_stage(tmp_path) as found:
        yield found


# --- the calls themselves


def test_a_pull_request_from_beginning_to_end_and_no_request_too_many(stage: GitHubStage) -> None:
    github = connect(stage)
    head = push(stage)
    assert list(github.find(BRANCH)) == []
    pull = github.create(replace(PROPOSAL, draft=True))
    assert (pull.number, pull.state, pull.head, pull.draft) == (1, "open", head, True)
    assert pull.url == f"{stage.double.url}/acme/manifests/pull/1"
    github.update(pull, "Another title", "Another body")
    github.add_labels(pull, ["promotion", "new"])
    github.add_assignees(pull, ["Alice".lower()])
    github.request_reviews(pull, ["bob"], ["sre"])
    github.comment(pull, "Superseded.")
    github.close(pull)
    (seen,) = stage.pull_requests()
    assert (seen.state, seen.title, seen.body) == ("closed", "Another title", "Another body")
    assert seen.labels == {"promotion", "new"}
    assert seen.assignees == {"alice"}
    assert seen.reviewers == {"bob", "team/sre"}
    assert seen.comments == ("Superseded.",)
    here = "/repos/acme/manifests"
    assert stage.double.calls() == [
        f"GET {here}/pulls",
        f"POST {here}/pulls",
        f"PATCH {here}/pulls/1",
        f"POST {here}/issues/1/labels",
        f"POST {here}/issues/1/assignees",
        f"POST {here}/pulls/1/requested_reviewers",
        f"POST {here}/issues/1/comments",
        f"PATCH {here}/pulls/1",
    ]
    again = fresh(stage, pull)
    assert (again.state, again.labels, again.reviewers) == ("closed", seen.labels, seen.reviewers)


def test_asks_for_no_more_than_it_must(stage: GitHubStage) -> None:
    pull = open_one(stage)
    github = connect(stage)
    stage.double.reset()
    assert [one.number for one in github.find(BRANCH)] == [1]
    assert [one.number for one in github.open_below("promoter/")] == [1]
    github.condition(pull)
    github.set_status(pull.head, "promoter/gate", "pending", "frozen")
    github.statuses(pull.head)
    assert github.default_branch() == "main"
    assert [label.rpartition("/manifests")[2] for label in stage.double.calls()] == [
        "/pulls",
        "POST /graphql reviewed",
        "/pulls",
        "POST /graphql reviewed",
        "POST /graphql condition",
        f"/statuses/{pull.head}",
        f"/commits/{pull.head}/statuses",
        f"/commits/{pull.head}/check-runs",
        "",
    ]


def test_no_netrc_is_read(stage: GitHubStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login bob password of-another-place\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    assert list(connect(stage).find(BRANCH)) == []
    api = stage.environ["PROMOTER_FORGE_API"]
    anonymous = GitHub(
        Connection(api, stage.double.url, "acme/manifests", None, "none", None, Deadline(5), lambda _: None)
    )
    with pytest.raises(DeniedError):
        anonymous.find(BRANCH)
    assert [record.authorization for record in stage.double.requests] == [True, False]


def test_only_the_callers_authority_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca, *server = make_ca(tmp_path / "ca")
    other, *_ = make_ca(tmp_path / "other")
    with GitHubDouble(tmp_path / "github", tls=(server[0], server[1])) as double:
        double.add_repository("manifests", {"README.md": "# Deployments\n"})
        double.issue_token("ghp_canary7d1f0a94c2")

        def find(authority: Path) -> list[PullRequest]:
            arguments = (double.api, double.url, "acme/manifests", "ghp_canary7d1f0a94c2", "token")
            github = GitHub(Connection(*arguments, str(authority), Deadline(20), lambda _: None))
            return list(github.find(BRANCH))

        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
        assert find(ca) == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
        with pytest.raises(UnreachableError, match="certificate"):
            find(other)
        assert len(double.calls()) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("kind", ["reading", "writing", "asking"])
def test_a_redirect_to_another_host_is_not_followed(
    stage: GitHubStage, tmp_path: Path, status: int, kind: str
) -> None:
    pull = open_one(stage)
    with github_stage(tmp_path / "other") as other:
        stage.double.fault("redirect", status=status, location=f"{other.double.url}{{target}}", times=9)
        github = connect(stage)
        calls: dict[str, Callable[[], object]] = {
            "reading": lambda: github.find(BRANCH),
            "writing": lambda: github.comment(pull, "Hello"),
            "asking": lambda: github.condition(pull),
        }
        with pytest.raises(UnreachableError, match=f"redirects to {other.double.url}") as raised:
            calls[kind]()
        assert other.double.requests == []
        assert stage.token not in str(raised.value)


def test_a_renamed_repository_is_followed_with_the_query(stage: GitHubStage) -> None:
    push(stage, "promoter/staging/web")
    connect(stage).create(replace(PROPOSAL, branch="promoter/staging/web"))
    pull = open_one(stage)
    stage.repo.old_names.add("old")
    github = connect(stage, project="acme/old")
    assert [one.number for one in github.find(BRANCH)] == [pull.number]
    connect(stage, project="acme/old").comment(pull, "Still here")
    assert stage.pull_requests()[1].comments == ("Still here",)


# --- what passes


@pytest.mark.parametrize("kind", ["retry-after", "rate-limit"])
def test_a_rate_limit_is_waited_for(stage: GitHubStage, kind: Any) -> None:
    fault = stage.double.fault(kind, "/pulls", seconds=1)
    assert list(connect(stage).find(BRANCH)) == []
    assert (fault.fired, stage.double.calls()) == (1, ["GET /repos/acme/manifests/pulls"] * 2)


@pytest.mark.parametrize("kind", ["retry-after", "rate-limit"])
def test_a_rate_limit_beyond_the_deadline_is_told_at_once(stage: GitHubStage, kind: Any) -> None:
    stage.double.fault(kind, "/pulls", seconds=600)
    with pytest.raises(DeadlineError, match="asks to wait"):
        connect(stage).find(BRANCH)
    assert len(stage.double.requests) == 1


@pytest.mark.parametrize("kind", ["status", "cut-before", "cut-after"])
@pytest.mark.parametrize("match", ["GET */pulls", "POST */pulls", "condition"])
def test_what_passes_is_tried_again(stage: GitHubStage, kind: Any, match: str) -> None:
    github = connect(stage)
    fault = stage.double.fault(kind, match)
    push(stage)
    github.find(BRANCH)
    pull = github.create(PROPOSAL)
    assert github.condition(pull).conflicting is False
    assert (fault.fired, len(stage.pull_requests())) == (1, 1)


def test_a_secondary_rate_limit_that_names_no_time_is_a_minute(stage: GitHubStage) -> None:
    message = "You have exceeded a secondary rate limit."
    stage.double.fault("status", "/pulls", status=403, message=message)
    with pytest.raises(DeadlineError, match="asks to wait 60 s"):
        connect(stage, seconds=20).find(BRANCH)


def test_graphql_tells_of_its_rate_limit_with_200(stage: GitHubStage) -> None:
    pull = open_one(stage)
    fault = stage.double.fault("rate-limit", "condition", seconds=1)
    assert connect(stage).condition(pull).conflicting is False
    assert fault.fired == 1


def test_a_page_of_a_proxy_s_is_no_answer() -> None:
    page = b"<html>Please sign in</html>"

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api = f"http://127.0.0.1:{server.server_port}/api/v3"
        github = GitHub(
            Connection(api, api, "acme/manifests", "x", "token", None, Deadline(1), lambda _: None)
        )
        with pytest.raises(DeadlineError, match="no JSON"):
            github.find(BRANCH)
        server.shutdown()


def test_a_create_whose_answer_was_lost_creates_once(stage: GitHubStage) -> None:
    stage.double.fault("cut-after", "POST */pulls")
    pull = open_one(stage)
    assert [seen.number for seen in stage.pull_requests()] == [pull.number]
    assert sum("POST" in call for call in stage.double.calls()) == 1 + 1  # and the look at its reviews


def test_a_comment_whose_answer_was_lost_is_said_once(stage: GitHubStage) -> None:
    pull = open_one(stage)
    stage.double.fault("cut-after", "/comments")
    connect(stage).comment(pull, "Once")
    connect(stage).comment(pull, "Twice")
    assert stage.pull_requests()[0].comments == ("Once", "Twice")


def test_a_merge_whose_answer_was_lost_is_a_merge(stage: GitHubStage) -> None:
    pull = open_one(stage)
    stage.double.fault("cut-after", "/merge")
    assert connect(stage).land(pull, "squash", "Title", "Body") == "merged"
    assert sum(call.endswith("/merge") for call in stage.double.calls()) == 1


def test_arming_whose_answer_was_lost_is_armed(stage: GitHubStage) -> None:
    pull = open_one(stage)
    stage.protect(approvals=1)
    stage.double.fault("cut-after", "enablePullRequestAutoMerge")
    assert connect(stage).land(pull, "squash", "Title", "Body") == "armed"
    assert connect(stage).land(pull, "squash", "Title", "Body") == "armed"
    assert sum("enable" in call for call in stage.double.calls()) == 1
    connect(stage).disarm(pull)
    connect(stage).disarm(pull)
    assert not stage.pull_requests()[0].auto_merge
    assert sum("disable" in call for call in stage.double.calls()) == 1


def test_a_server_that_never_answers_ends_with_the_deadline(stage: GitHubStage) -> None:
    stage.double.fault("hang", times=99)
    with pytest.raises(PromoterError, match="deadline passed"):
        connect(stage, seconds=2).find(BRANCH)


# --- what is refused


def test_opening_is_refused_with_a_reason(stage: GitHubStage) -> None:
    github = connect(stage)
    open_one(stage, github)
    refused(lambda: github.create(PROPOSAL), "exists", f"acme:{BRANCH}")
    repos.git(stage.git, "branch", "empty", "main")
    refused(lambda: github.create(replace(PROPOSAL, branch="empty")), "nothing-to-compare", "main and empty")
    refused(lambda: github.create(replace(PROPOSAL, branch="absent")), "refused", "head is invalid")
    refused(lambda: github.create(replace(PROPOSAL, base="absent")), "refused", "base is invalid")
    push(stage, "promoter/draft")
    stage.repo.drafts = False
    drafted = replace(PROPOSAL, branch="promoter/draft", draft=True)
    refused(lambda: github.create(drafted), "draft", "not supported")


def test_who_is_not_assigned_is_told(stage: GitHubStage) -> None:
    pull = open_one(stage)
    error = refused(
        lambda: connect(stage).add_assignees(pull, ["alice", "nobody"]), "unknown-assignee", "assign nobody"
    )
    assert "alice" not in error.message
    assert stage.pull_requests()[0].assignees == {"alice"}


def test_an_unknown_reviewer_stops_nobody_else(stage: GitHubStage) -> None:
    pull = open_one(stage)
    github = connect(stage)
    ask = github.request_reviews
    error = refused(lambda: ask(pull, ["bob", "nobody"], ["sre"]), "unknown-reviewer", "nobody: ")
    assert "bob: " not in error.message
    assert stage.pull_requests()[0].reviewers == {"bob", "team/sre"}
    refused(lambda: ask(pull, [], ["strangers"]), "unknown-team", "team/strangers: ")
    refused(lambda: ask(pull, ["promoter-bot"], []), "unknown-reviewer", "pull request author")


def test_a_team_that_the_token_may_not_see_names_the_permission(stage: GitHubStage) -> None:
    pull = open_one(stage)
    github = fine_grained(stage, pull_requests="write")
    refused(lambda: github.request_reviews(pull, [], ["sre"]), "unknown-team", "`Members: read`")


def test_a_label_that_the_token_may_not_create(stage: GitHubStage) -> None:
    pull = open_one(stage)
    github = fine_grained(stage, pull_requests="write")
    github.add_labels(pull, ["promotion"])
    error = refused(lambda: github.add_labels(pull, ["new"]), "label", "new")
    assert "`Issues: write`" in (error.next_step or "")


@pytest.mark.parametrize(
    ("may", "call", "names"),
    [
        ({}, lambda github, _: github.find(BRANCH), "`Pull requests: read`"),
        ({}, lambda github, pull: github.condition(pull), "`Pull requests: read`"),
        ({"pull_requests": "read"}, lambda github, pull: github.close(pull), "`Pull requests: write`"),
        (
            {"pull_requests": "write"},
            lambda github, pull: github.land(pull, "merge", "", ""),
            "`Contents: write`",
        ),
        (
            {},
            lambda github, pull: github.set_status(pull.head, "a", "success", ""),
            "`Commit statuses: write`",
        ),
        ({"statuses": "read"}, lambda github, pull: github.statuses(pull.head), "`Checks: read`"),
        ({}, lambda github, pull: github.create_branch("x", pull.head), "`Contents: write`"),
    ],
)
def test_what_the_token_may_not_do_is_named_and_not_tried_again(
    stage: GitHubStage, may: dict[str, str], call: Any, names: str
) -> None:
    pull = open_one(stage)
    github = fine_grained(stage, **may)
    stage.double.reset()
    with pytest.raises(DeniedError) as raised:
        call(github, pull)
    assert (raised.value.reason, raised.value.exit_code) == ("permission", 8)
    assert names in (raised.value.next_step or "")
    assert len(stage.double.calls()) == len(set(stage.double.calls()))


def test_a_bad_token_and_a_hidden_repository(stage: GitHubStage) -> None:
    with pytest.raises(DeniedError, match="does not accept the token") as raised:
        connect(stage, token="ghp_wrong").find(BRANCH)
    assert raised.value.reason == "authentication"
    with pytest.raises(DeniedError, match="GitHub knows no acme/absent"):
        connect(stage, project="acme/absent").find(BRANCH)
    assert "ghp_wrong" not in str(raised.value)


def test_an_archived_repository(stage: GitHubStage) -> None:
    pull = open_one(stage)
    stage.protect(approvals=1)
    stage.archive()
    github = connect(stage)
    assert [one.number for one in github.find(BRANCH)] == [pull.number]
    refused(lambda: github.comment(pull, "Hello"), "archived", "acme/manifests")
    refused(lambda: github.land(pull, "squash", "", ""), "archived", "acme/manifests")


def test_actions_may_be_forbidden_to_open_pull_requests(stage: GitHubStage) -> None:
    push(stage)
    message = "GitHub Actions is not permitted to create or approve pull requests."
    stage.double.fault("status", "POST */pulls", status=403, message=message)
    with pytest.raises(DeniedError) as raised:
        connect(stage).create(PROPOSAL)
    assert "under Actions, General" in (raised.value.next_step or "")
