"""A forge with one manifest repository, and what people do there outside promoter.

The contract suite plays on a stage: the real Gitea, or a double of GitHub or GitLab.
Each has a real Git back end, so that a branch that was pushed is the branch that the
API sees.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol


@dataclass(frozen=True)
class Seen:
    """A pull request as a person sees it."""

    number: int
    state: Literal["open", "closed", "merged"]
    branch: str
    base: str
    head: str
    title: str
    body: str
    draft: bool
    labels: frozenset[str]
    assignees: frozenset[str]
    reviewers: frozenset[str]  # asked, not answered; teams as team/NAME
    comments: tuple[str, ...]
    auto_merge: bool


class Stage(Protocol):
    """One forge server (shared by a test session) and one fresh repository on it (for one test).

    People are called alice, bob and carol; they may write. There are a team ``sre`` and
    labels ``promotion`` and ``production``. Merging, squashing and rebasing are allowed,
    auto-merge too, unless a test says otherwise.
    """

    forge: Literal["github", "gitlab", "gitea"]
    url: str  # clone URL without credentials, of http
    git: Path  # the bare repository on disk, for tests/support/repos.py
    environ: Mapping[str, str]  # what a caller sets to reach it: PROMOTER_TOKEN, PROMOTER_FORGE_API, …
    token: str  # the canary: it must show up nowhere
    push_url: str  # as `url`, with bob's credentials in it, for the tests' own Git

    def pull_requests(self) -> list[Seen]:
        """All of them, oldest first."""
        ...

    def approve(self, number: int, by: str = "alice") -> None: ...

    def close(self, number: int, by: str = "alice") -> None: ...

    def merge(self, number: int, method: Literal["merge", "squash", "rebase"] = "merge") -> None:
        """By a person in the browser: the squash's message is the title only."""
        ...

    def protect(
        self,
        branch: str = "main",
        *,
        approvals: int = 0,
        dismiss_stale: bool = False,
        up_to_date: bool = False,
        checks: Sequence[str] = (),
    ) -> None: ...

    def report_check(self, commit: str, name: str, state: Literal["pending", "success", "failure"]) -> None:
        """As a CI system would."""
        ...

    def statuses(self, commit: str) -> dict[str, tuple[str, str]]:
        """Commit statuses: name -> (state, description)."""
        ...

    def allow(
        self, *, auto_merge: bool = True, methods: Sequence[str] = ("merge", "squash", "rebase")
    ) -> None:
        """The repository's settings."""
        ...

    def weak_token(self) -> Mapping[str, str]:
        """The environment of a caller whose token may push, but not open pull requests."""
        ...

    def archive(self) -> None: ...

    def propose_from_fork(self, branch: str) -> None:
        """A pull request of alice's from a branch of this name in a fork of hers."""
        ...


StageFactory = Callable[[Path], AbstractContextManager[Stage]]
