"""Merge requests by push options, where only a CI_JOB_TOKEN is at hand: with real pushes to the double."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from promoter.deadline import Deadline
from promoter.errors import DeniedError
from promoter.forges.calls import Connection
from promoter.forges.gitlab import GitLab
from promoter.forges.gitlab_push import GitLabByPush
from promoter.forges.port import ForgeRefusedError, Proposal, PullRequest
from tests.forges.stage_gitlab import PATH, GitLabStage, gitlab_stage
from tests.support import repos

JOB_TOKEN = "glcbt-canary-6a1e0d9b37"
BRANCH = "promoter/production/api"
WANTED = Proposal(
    BRANCH,
    "main",
    "Promote api to 1.1.0",
    "| image | tag |\n|---|---|\n\nA path: C:\\new\n\nPromoter-Id: 1",
    labels=("promotion", "of two words"),
    assignees=("bob",),
)
ANYWAY = PullRequest(1, "http://gitlab.example/1", BRANCH, "main", "", "open")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[GitLabStage]:
    with gitlab_stage(tmp_path) as running:
        running.double.add_token(JOB_TOKEN, (), job=True)
        yield running


@pytest.fixture
def by_push(stage: GitLabStage) -> GitLabByPush:
    return GitLabByPush(connection(stage))


def connection(stage: GitLabStage) -> Connection:
    url = stage.double.url
    return Connection(
        f"{url}/api/v4", url, PATH, JOB_TOKEN, "job", None, Deadline(30), verbose=lambda _: None
    )


def push(
    stage: GitLabStage, folder: Path, options: list[str], tag: str = "1.1.0"
) -> subprocess.CompletedProcess[str]:
    """A new commit for the branch, pushed with the job's token."""
    if not folder.exists():
        repos.git(stage.git, "clone", "--quiet", str(stage.git), str(folder))
        repos.git(folder, "checkout", "--quiet", "-b", BRANCH)
    (folder / "tag").write_text(tag)
    repos.git(folder, "add", "tag")
    repos.git(folder, "commit", "--quiet", "-m", f"Tag {tag}")
    url = stage.url.replace("://", f"://gitlab-ci-token:{JOB_TOKEN}@")
    options = [f"--push-option={one}" for one in options]
    return subprocess.run(
        ["git", "-C", str(folder), "push", *options, url, f"HEAD:refs/heads/{BRANCH}"],
        capture_output=True,
        text=True,
        env=repos.clean_env(),
        check=False,
    )


def test_a_push_opens_the_merge_request(stage: GitLabStage, by_push: GitLabByPush, tmp_path: Path) -> None:
    done = push(stage, tmp_path / "work", list(by_push.push_options(WANTED)))
    assert done.returncode == 0, done.stderr
    made = by_push.create(WANTED, done.stderr)
    assert (made.number, made.url) == (1, f"{stage.double.url}/{PATH}/-/merge_requests/1")
    seen = stage.pull_requests()[0]
    assert (seen.state, seen.base, seen.title) == ("open", "main", WANTED.title)
    assert seen.labels == set(WANTED.labels)
    assert "bob" in seen.assignees
    assert not seen.auto_merge
    assert stage.double.log == []  # the API was never asked


def test_line_breaks_arrive_as_they_were(stage: GitLabStage, by_push: GitLabByPush, tmp_path: Path) -> None:
    r"""GitLab makes line breaks of every `\n`; one that was two characters is an entity then."""
    push(stage, tmp_path / "work", list(by_push.push_options(WANTED)))
    assert stage.pull_requests()[0].body == WANTED.body.replace("\\n", "&#92;n")


def test_no_option_holds_a_line_break(by_push: GitLabByPush) -> None:
    ugly = replace(
        WANTED,
        title="two\nlines\r\nand\x00more",
        body="a\r\nb\rc\x00d\x1be",
        labels=("one\nlabel",),
        assignees=("al\nice",),
    )
    options = by_push.push_options(ugly)
    assert all(one.isprintable() for one in options), options
    assert "merge_request.title=two lines and more" in options
    assert "merge_request.description=a\\nb\\nc d e" in options


def test_the_longest_body_fits_a_packet(stage: GitLabStage, by_push: GitLabByPush, tmp_path: Path) -> None:
    """One packet of Git's protocol holds 65,516 bytes."""
    long = replace(WANTED, title="t" * by_push.longest_title, body="\U0001f680" * by_push.longest_body)
    options = by_push.push_options(long)
    assert max(len(one.encode()) for one in options) <= 65_516
    done = push(stage, tmp_path / "work", list(options))
    assert done.returncode == 0, done.stderr
    assert stage.pull_requests()[0].body == long.body


def test_a_second_push_brings_it_up_to_date(
    stage: GitLabStage, by_push: GitLabByPush, tmp_path: Path
) -> None:
    push(stage, tmp_path / "work", list(by_push.push_options(WANTED)))
    newer = replace(WANTED, title="Promote api to 1.2.0", body="New")
    done = push(stage, tmp_path / "work", list(by_push.push_options(newer)), "1.2.0")
    assert by_push.create(newer, done.stderr).number == 1
    seen = stage.pull_requests()
    assert [(one.title, one.body) for one in seen] == [("Promote api to 1.2.0", "New")]
    by_push.update(ANYWAY, newer.title, newer.body)  # that is what the push did
    with pytest.raises(ForgeRefusedError) as raised:
        by_push.update(ANYWAY, newer.title, "Something else")
    assert raised.value.reason == "unsupported"


def test_draft_squash_and_auto_merge(stage: GitLabStage, by_push: GitLabByPush, tmp_path: Path) -> None:
    stage.protect(approvals=1)
    wanted = replace(WANTED, draft=True, auto_merge="squash")
    push(stage, tmp_path / "work", list(by_push.push_options(wanted)))
    seen = stage.pull_requests()[0]
    assert (seen.draft, seen.auto_merge, seen.title) == (True, True, WANTED.title)
    assert stage.project.merge_requests[0].squash
    assert by_push.land(ANYWAY, "squash", "", "") == "armed"
    with pytest.raises(ForgeRefusedError):
        by_push.land(ANYWAY, "merge", "", "")


def test_the_server_complains(stage: GitLabStage, by_push: GitLabByPush, tmp_path: Path) -> None:
    wanted = replace(WANTED, base="no-such-branch")
    done = push(stage, tmp_path / "work", list(by_push.push_options(wanted)))
    with pytest.raises(ForgeRefusedError, match="no-such-branch does not exist") as raised:
        by_push.create(wanted, done.stderr)
    assert "project access token" in (raised.value.next_step or "")


def test_a_server_that_passes_the_options_over(
    stage: GitLabStage, by_push: GitLabByPush, tmp_path: Path
) -> None:
    done = push(stage, tmp_path / "work", [])
    with pytest.raises(ForgeRefusedError, match="opened none") as raised:
        by_push.create(WANTED, done.stderr)
    assert "/-/merge_requests/new?" in (raised.value.next_step or "")


def test_a_project_without_links(stage: GitLabStage, by_push: GitLabByPush, tmp_path: Path) -> None:
    stage.project.prints_links = False
    done = push(stage, tmp_path / "work", list(by_push.push_options(WANTED)))
    made = by_push.create(WANTED, done.stderr)
    assert made.number is None
    assert "source_branch=promoter%2Fproduction%2Fapi" in made.url


def test_another_branch_with_a_longer_name(by_push: GitLabByPush) -> None:
    said = f"remote: View merge request for {BRANCH}-v2:\nremote:   http://h/g/p/-/merge_requests/8\n"
    said += f"remote: View merge request for {BRANCH}:\nremote:   http://h/g/p/-/merge_requests/9\n"
    assert by_push.create(WANTED, said).number == 9


def test_a_project_that_takes_no_pushes_of_jobs(
    stage: GitLabStage, by_push: GitLabByPush, tmp_path: Path
) -> None:
    stage.project.job_token_pushes = False
    done = push(stage, tmp_path / "work", list(by_push.push_options(WANTED)))
    assert "403" in done.stderr
    assert stage.pull_requests() == []


def test_a_protected_branch(stage: GitLabStage, by_push: GitLabByPush, tmp_path: Path) -> None:
    stage.double.protect_branch(stage.project, BRANCH)
    done = push(stage, tmp_path / "work", list(by_push.push_options(WANTED)))
    assert done.returncode != 0
    assert "protected branches" in done.stderr
    assert stage.pull_requests() == []


def test_what_a_push_cannot_do(by_push: GitLabByPush) -> None:
    by_push.push_options(WANTED)
    by_push.add_labels(ANYWAY, ["promotion"])
    by_push.add_assignees(ANYWAY, ["bob"])
    by_push.request_reviews(ANYWAY, [], [])
    by_push.disarm(ANYWAY)
    assert (by_push.find(BRANCH), by_push.open_below("promoter/")) == ((), ())
    for call in (
        lambda: by_push.comment(ANYWAY, "Hello"),
        lambda: by_push.close(ANYWAY),
        lambda: by_push.add_labels(ANYWAY, ["other"]),
        lambda: by_push.add_assignees(ANYWAY, ["carol"]),
        lambda: by_push.request_reviews(ANYWAY, ["alice"], []),
        lambda: by_push.statuses("0" * 40),
        lambda: by_push.set_status("0" * 40, "promoter/gate", "pending", "frozen"),
        by_push.default_branch,
    ):
        with pytest.raises(ForgeRefusedError) as raised:
            call()
        assert raised.value.reason == "unsupported"
        assert "project access token" in (raised.value.next_step or "")
        assert JOB_TOKEN not in str(raised.value)


def test_a_complaint_beside_a_merge_request(stage: GitLabStage) -> None:
    """It is there all the same; the complaint is for those who want to know."""
    heard: list[str] = []
    said = (
        f"remote: {'=' * 72}\nremote:\nremote:   WARNINGS: Error encountered with\n"
        f"remote:   push options 'merge_request.create': An unknown\nremote:   error occurred\n"
        f"remote: {'=' * 72}\nremote:\n"
        f"remote: View merge request for {BRANCH}:\nremote:   http://h/g/p/-/merge_requests/9\n"
    )
    by_push = GitLabByPush(replace(connection(stage), verbose=heard.append))
    assert by_push.create(WANTED, said).number == 9
    assert len(heard) == 1
    assert heard[0].endswith("An unknown error occurred")


def test_why_the_api_is_not_used(stage: GitLabStage) -> None:
    """GitLab takes a job's token for no change ("GitLab CI/CD job token", job token access)."""
    with pytest.raises(DeniedError) as raised:
        GitLab(connection(stage)).close(ANYWAY)
    assert raised.value.reason == "authentication"
