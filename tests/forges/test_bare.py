"""Manifest repositories without a forge: what the port does there, and how a person merges."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from promoter.forges.bare import PlainGit, how_to_merge
from promoter.forges.port import Condition, Forge, ForgeRefusedError, Proposal, PullRequest
from tests.support import repos

PROPOSAL = Proposal("promoter/staging/api", "main", "Promote api", "body", labels=("promotion",))


def opened() -> PullRequest:
    return PlainGit().create(PROPOSAL)


def test_a_pushed_branch_is_an_open_pull_request_without_a_number() -> None:
    forge: Forge = PlainGit()
    assert forge.create(PROPOSAL, "remote: anything") == PullRequest(
        None, "", "promoter/staging/api", "main", "", "open", "Promote api", "body"
    )
    assert list(forge.find(PROPOSAL.branch)) == list(forge.open_below("promoter/")) == []
    assert list(forge.push_options(PROPOSAL)) == []


def test_nothing_is_known_of_it() -> None:
    assert PlainGit().condition(opened()) == Condition()
    assert PlainGit().statuses("0" * 40) == {}


def test_what_has_no_place_is_left_out() -> None:
    forge = PlainGit()
    forge.update(opened(), "title", "body")
    forge.comment(opened(), "closed: superseded")
    forge.close(opened())
    forge.disarm(opened())
    forge.add_labels(opened(), [])
    forge.add_assignees(opened(), [])
    forge.request_reviews(opened(), [], [])


REFUSED: dict[str, Callable[[PlainGit], object]] = {
    "labels": lambda forge: forge.add_labels(opened(), ["promotion"]),
    "assignees": lambda forge: forge.add_assignees(opened(), ["alice"]),
    "reviewers": lambda forge: forge.request_reviews(opened(), ["alice"], []),
    "reviewers of a team": lambda forge: forge.request_reviews(opened(), [], ["sre"]),
    "auto-merge": lambda forge: forge.land(opened(), "squash", "title", "message"),
    "commit statuses": lambda forge: forge.set_status("0" * 40, "promoter/gate", "pending", "frozen"),
    "settings": lambda forge: forge.default_branch(),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_plain_git_has_not_is_refused_by_name(what: str) -> None:
    with pytest.raises(ForgeRefusedError, match=f"plain Git has no {what.partition(' of ')[0]}") as caught:
        REFUSED[what](PlainGit())
    assert caught.value.reason == "unsupported"
    assert caught.value.next_step


@pytest.mark.parametrize(
    "branch", ["promoter/staging/api", "promoter/a&b;$(touch${IFS}x)'\"/api", "promoter/ä/#1"]
)
@pytest.mark.parametrize("overtaken", [False, True], ids=["ahead", "diverged"])
def test_how_to_merge_merges(tmp_path: Path, branch: str, overtaken: bool) -> None:
    origin = repos.make_repo(tmp_path / "origin.git", {"a.yaml": "a: 1\n", "b.yaml": "b: 1\n"})
    clone, other = tmp_path / "clone", tmp_path / "other"

    def git(*arguments: str, cwd: Path = other) -> None:
        who = ("-c", "user.name=alice", "-c", "user.email=alice@example.com")
        subprocess.run(["git", *who, *arguments], cwd=cwd, check=True, capture_output=True, timeout=60)

    for folder in (clone, other):
        git("clone", str(origin), str(folder), cwd=tmp_path)
    git("switch", "-c", branch)
    (other / "a.yaml").write_text("a: 2\n")
    git("commit", "-am", "Promote")
    git("push", "origin", f"refs/heads/{branch}")
    if overtaken:
        git("switch", "main")
        (other / "b.yaml").write_text("b: 2\n")
        git("commit", "-am", "Something else")
        git("push", "origin", "main")
    git("switch", "-c", "my-own-work", cwd=clone)

    line = how_to_merge(branch, "main")
    assert "\n" not in line
    identity = {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "alice"}
    identity |= {"GIT_CONFIG_KEY_1": "user.email", "GIT_CONFIG_VALUE_1": "alice@example.com"}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **identity}
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert repos.read_file(origin, "a.yaml") == b"a: 2\n"
    assert repos.read_file(origin, "b.yaml") == (b"b: 2\n" if overtaken else b"b: 1\n")
    assert not (clone / "x").exists()
