"""Manifest repositories without a forge: a pushed branch is the whole proposal."""

# ruff: noqa: ARG002 - the port's signatures

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Literal

from promoter.forges.port import Condition, ForgeRefusedError, PullRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.forges.port import CheckState, MergeMethod, Proposal


class PlainGit:
    """The forge port where there is no forge. What it cannot do it refuses, with reason ``unsupported``."""

    name = "git"
    longest_title = 1_000
    longest_body = 1_000_000
    keeps_text = False

    def find(self, branch: str) -> Sequence[PullRequest]:
        """None: Git itself tells which branches there are."""
        return ()

    def open_below(self, prefix: str) -> Sequence[PullRequest]:
        """None: Git itself tells which branches there are."""
        return ()

    def push_options(self, proposal: Proposal) -> Sequence[str]:
        """None: a plain server knows none."""
        return ()

    def create(self, proposal: Proposal, pushed: str = "") -> PullRequest:
        """The branch that was pushed, as a pull request without a number."""
        return PullRequest(
            number=None,
            url="",
            branch=proposal.branch,
            base=proposal.base,
            head="",
            state="open",
            title=proposal.title,
            body=proposal.body,
        )

    def update(self, pull_request: PullRequest, title: str, body: str) -> None:
        """Nothing: there is no place for them."""

    def comment(self, pull_request: PullRequest, text: str) -> None:
        """Nothing: there is no place for it."""

    def close(self, pull_request: PullRequest) -> None:
        """Nothing: what is not merged is open."""

    def add_labels(self, pull_request: PullRequest, labels: Sequence[str]) -> None:
        """Refused where there is one to add."""
        if labels:
            raise _unsupported("labels")

    def add_assignees(self, pull_request: PullRequest, users: Sequence[str]) -> None:
        """Refused where there is one to add."""
        if users:
            raise _unsupported("assignees")

    def request_reviews(
        self,
        pull_request: PullRequest,
        users: Sequence[str],
        teams: Sequence[str],
    ) -> None:
        """Refused where there is somebody to ask."""
        if users or teams:
            raise _unsupported("reviewers")

    def condition(self, pull_request: PullRequest) -> Condition:
        """Nothing is known of it."""
        return Condition()

    def land(
        self,
        pull_request: PullRequest,
        method: MergeMethod,
        title: str,
        message: str,
    ) -> Literal["armed", "merged"]:
        """Refused: somebody merges the branch with Git."""
        raise _unsupported("auto-merge")

    def disarm(self, pull_request: PullRequest) -> None:
        """Nothing: it is never armed."""

    def statuses(self, commit: str) -> Mapping[str, CheckState]:
        """None are known."""
        return {}

    def set_status(
        self,
        commit: str,
        context: str,
        state: Literal["pending", "success"],
        description: str,
    ) -> None:
        """Refused: nobody would see it before merging."""
        raise _unsupported("commit statuses")

    def default_branch(self) -> str:
        """Refused: Git itself tells it."""
        raise _unsupported("settings")


def how_to_merge(branch: str, base: str) -> str:
    """One line for a shell that merges the branch, in any clone whose remote is called origin."""
    quoted_base, quoted_branch = shlex.quote(base), shlex.quote(branch)
    return (
        f"git switch {quoted_base} && git pull --ff-only origin {quoted_base} && "
        f"git pull --no-rebase --no-edit origin {quoted_branch} && git push origin {quoted_base}"
    )


def _unsupported(what: str) -> ForgeRefusedError:
    return ForgeRefusedError(
        f"plain Git has no {what}",
        next_step="leave them out, or name the forge, if there is one, as forge: {type: …}",
        reason="unsupported",
    )
