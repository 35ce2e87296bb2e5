"""What promoter asks of a forge: a handful of methods on one repository.

Clone URLs and Git's credentials belong to ``promoter.git``. Every adapter retries what
may pass (5xx, 429, time-outs, rate limits) by itself until the deadline and never
retries a 401 or 403. ``create`` whose answer was lost looks for what it created.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from promoter.errors import DeniedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GATE = "promoter/gate"  # the commit status that is ours: what a pull request waits for

State = Literal["open", "closed", "merged"]
MergeMethod = Literal["merge", "squash", "rebase"]
CheckState = Literal["none", "pending", "passed", "failed"]


class ForgeRefusedError(DeniedError):
    """The forge understood and said no to one thing: a reviewer, a label, a merge method.

    ``reason`` is a slug: ``unknown-reviewer``, ``unknown-team``, ``unknown-assignee``,
    ``label``, ``auto-merge``, ``merge``, ``merge-method``, ``draft``, ``archived``,
    ``exists`` (an open pull request for this branch is there already), ``nothing-to-compare``
    (the head holds nothing that the base has not), ``limit``, ``status``, ``unsupported``, ``refused``.
    """

    reason = "refused-by-forge"


@dataclass(frozen=True)
class PullRequest:
    """A pull request whose head is a branch of this very repository, never of a fork.

    ``head`` is the commit id of its branch as the forge knows it. ``number`` is None on
    plain Git. ``reviewers`` were asked and have not answered yet; teams stand there as
    ``team/NAME``. ``reviewed`` tells that somebody has answered.
    """

    number: int | None
    url: str
    branch: str
    base: str
    head: str
    state: State
    title: str = ""
    body: str = ""
    draft: bool = False
    labels: frozenset[str] = frozenset()
    assignees: frozenset[str] = frozenset()
    reviewers: frozenset[str] = frozenset()
    reviewed: bool = False


@dataclass(frozen=True)
class Condition:
    """What stands between an open pull request and its base.

    ``conflicting`` is None where the forge has no opinion (yet). ``behind``: the base has
    commits that the head has not; ``must_be_current``: the protection of the base wants
    none. ``approved``: at least one approval stands and the forge's own rule is met;
    ``approved_head``: an approval that stands was given to the ``head`` that was asked about,
    which the forge may not have noticed yet.
    ``checks`` leaves ``promoter/gate`` out. ``queued``: in a merge queue or train.
    """

    conflicting: bool | None = None
    behind: bool = False
    must_be_current: bool = False
    approved: bool = False
    approved_head: bool = False
    approvers: tuple[str, ...] = ()
    checks: CheckState = "none"
    auto_merge: bool = False
    queued: bool = False


@dataclass(frozen=True)
class Proposal:
    """What a pull request shall be when it is opened."""

    branch: str
    base: str
    title: str
    body: str
    draft: bool = False
    labels: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    team_reviewers: tuple[str, ...] = ()
    auto_merge: MergeMethod | None = None


class Forge(Protocol):
    """One repository on a forge.

    All methods raise DeniedError (401, 403: the message names the permission that is
    missing), ForgeRefusedError (any other refusal), UnreachableError and DeadlineError.
    """

    name: str  # "github", "gitlab", "gitea", "git"
    longest_title: int  # characters
    longest_body: int  # characters
    keeps_text: bool  # whether pull requests can be found again, with what was written into them

    def find(self, branch: str) -> Sequence[PullRequest]:
        """The pull requests from this branch, whatever their state, newest first."""

    def open_below(self, prefix: str) -> Sequence[PullRequest]:
        """The open pull requests whose branch starts with the prefix, oldest first."""

    def push_options(self, proposal: Proposal) -> Sequence[str]:
        """What ``git push --push-option`` shall say to open or update one; mostly nothing."""

    def create(self, proposal: Proposal, pushed: str = "") -> PullRequest:
        """Open it (title, body, draft only). ``pushed`` is what the server said to the push."""

    def update(self, pull_request: PullRequest, title: str, body: str) -> None:
        """Set title and body."""

    def comment(self, pull_request: PullRequest, text: str) -> None:
        """Say something below it."""

    def close(self, pull_request: PullRequest) -> None:
        """Close it without merging; the branch stays."""

    def add_labels(self, pull_request: PullRequest, labels: Sequence[str]) -> None:
        """Add labels; a forge that can creates those that are unknown."""

    def add_assignees(self, pull_request: PullRequest, users: Sequence[str]) -> None:
        """Assign people by login, besides those who are."""

    def request_reviews(self, pull_request: PullRequest, users: Sequence[str], teams: Sequence[str]) -> None:
        """Ask people and teams for a review, again where they have answered already."""

    def condition(self, pull_request: PullRequest) -> Condition:
        """What stands between it and its base."""

    def land(
        self, pull_request: PullRequest, method: MergeMethod, title: str, message: str
    ) -> Literal["armed", "merged"]:
        """Arm auto-merge, or merge where nothing is left to wait for, at ``pull_request.head`` only.

        ``title`` and ``message`` are the squash commit's, where the forge lets one say.
        """

    def disarm(self, pull_request: PullRequest) -> None:
        """Take auto-merge back; nothing happens where it is not armed."""

    def statuses(self, commit: str) -> Mapping[str, CheckState]:
        """The statuses and checks of a commit by name."""

    def set_status(
        self, commit: str, context: str, state: Literal["pending", "success"], description: str
    ) -> None:
        """Set a commit status."""

    def default_branch(self) -> str:
        """The branch that pull requests go to unless told otherwise."""
