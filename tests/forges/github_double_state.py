"""What the double of GitHub knows: repositories, people, pull requests, and how they change by themselves."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from tests.forges import github_double_git as plumbing
from tests.forges.github_double_git import MergeMethod

CheckState = Literal["pending", "success", "failure"]
ids = itertools.count(1001)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class RefusalError(Exception):
    """GitHub's no. `kind` is GraphQL's type of it, `errors` REST's list; REST's status says the same."""

    def __init__(
        self, status: int, message: str, *, kind: str = "UNPROCESSABLE", errors: list[object] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.errors = errors


@dataclass
class Token:
    """`permissions` are those of fine-grained tokens; a classic one of an administrator has all."""

    text: str
    login: str
    kind: Literal["classic", "personal access token", "integration"] = "classic"
    permissions: Mapping[str, str] = field(default_factory=dict)
    repositories: frozenset[str] | None = None  # names; None: all
    scopes: str = "read:org, repo"  # a classic one's, as X-OAuth-Scopes has them

    def may(self, permission: str, level: str) -> bool:
        has = self.permissions.get(permission, "")
        return self.kind == "classic" or permission == "metadata" or has in ("write", level)

    def require(self, **needed: str) -> None:
        if not all(self.may(permission, level) for permission, level in needed.items()):
            raise RefusalError(403, f"Resource not accessible by {self.kind}", kind="FORBIDDEN")


@dataclass
class Review:
    author: str
    state: Literal["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED"]
    commit: str


@dataclass
class Comment:
    author: str
    body: str
    id: int = field(default_factory=lambda: next(ids))
    created: str = field(default_factory=now)


@dataclass
class Status:
    """A commit status, or with `run` a check run."""

    context: str
    state: str
    description: str | None = None
    run: bool = False
    id: int = field(default_factory=lambda: next(ids))
    created: str = field(default_factory=now)


@dataclass
class Protection:
    approvals: int = 0
    dismiss_stale: bool = False
    strict: bool = False
    contexts: tuple[str, ...] = ()
    ruleset: bool = False  # by a ruleset, not by a protection of the branch
    administrators: bool = False  # enforced on them, too


@dataclass
class AutoMerge:
    method: MergeMethod
    title: str | None
    body: str | None
    by: str


@dataclass
class Pull:
    """`computed` is what GitHub has last worked out whether it conflicts for: head and base."""

    number: int
    author: str
    title: str
    body: str | None
    branch: str
    base: str
    source: "Repo"
    head: str
    base_commit: str
    draft: bool = False
    state: Literal["open", "closed", "merged"] = "open"
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    reviewers: list[str] = field(default_factory=list)
    teams: list[str] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    auto_merge: AutoMerge | None = None
    queued: bool = False
    merge_commit: str | None = None
    computed: tuple[str, str] | None = None
    id: int = field(default_factory=lambda: next(ids))
    created: str = field(default_factory=now)
    ended: str | None = None

    def end(self, state: Literal["closed", "merged"], commit: str | None = None) -> None:
        self.state, self.ended, self.merge_commit = state, now(), commit
        self.auto_merge, self.queued = None, False


@dataclass
class Repo:
    owner: str
    name: str
    git: Path
    writers: set[str]
    readers: set[str] = field(default_factory=set)
    teams: set[str] = field(default_factory=set)
    labels: set[str] = field(default_factory=set)
    default_branch: str = "main"
    archived: bool = False
    drafts: bool = True
    auto_merge: bool = True
    methods: set[str] = field(default_factory=lambda: {"merge", "squash", "rebase"})
    queue: bool = False
    bypasses: set[str] = field(default_factory=set)  # logins whom rulesets let pass
    old_names: set[str] = field(default_factory=set)
    protections: dict[str, Protection] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    statuses: dict[str, list[Status]] = field(default_factory=dict)  # oldest first
    id: int = field(default_factory=lambda: next(ids))
    created: str = field(default_factory=now)

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    def reported(self, commit: str) -> dict[tuple[bool, str], Status]:
        """The newest of each status and check run."""
        return {(one.run, one.context): one for one in self.statuses.get(commit, [])}

    # --- what happens without being asked

    def observe(self) -> None:
        """See what was pushed, then merge what was waiting for it."""
        self._look()
        while any(self._merge_if_ready(pull) for pull in self.open()):
            self._look()

    def _look(self) -> None:
        sources = {self.git, *(pull.source.git for pull in self.open())}
        tips = {git: plumbing.tips(git) for git in sources}
        for pull in self.open():
            self._observe(pull, tips[pull.source.git].get(pull.branch), tips[self.git].get(pull.base))

    def open(self) -> list[Pull]:
        return [pull for pull in self.pulls.values() if pull.state == "open"]

    def _observe(self, pull: Pull, head: str | None, base: str | None) -> None:
        if head is None or base is None:
            pull.end("closed")
            return
        if head != pull.head:
            plumbing.keep_head(self.git, pull.number, pull.source.git, head)
            pull.head = head
            if self.protections.get(pull.base, Protection()).dismiss_stale:
                for review in pull.reviews:
                    review.state = "DISMISSED" if review.state == "APPROVED" else review.state
            if plumbing.holds(self.git, base, head):
                pull.end("closed")  # emptied: GitHub closes such a one
        elif base != pull.base_commit and plumbing.holds(self.git, base, head):
            pull.end("merged", base)  # by a push to the base
        pull.base_commit = base

    def _merge_if_ready(self, pull: Pull) -> bool:
        wanted = pull.auto_merge
        if wanted is None or self.merge_state(pull) not in ("CLEAN", "UNSTABLE"):
            return False
        if self.queue:
            pull.queued, pull.auto_merge = True, None
            return False
        return self.merge(pull, wanted.method, wanted.title, wanted.body) is not None

    # --- what stands between a pull request and its base

    def knows(self, pull: Pull) -> bool:
        """Whether GitHub has worked out if it conflicts. Being asked makes it do so, for the next time."""
        present = (pull.head, pull.base_commit)
        known, pull.computed = pull.computed == present, present
        return known

    def conflicts(self, pull: Pull) -> bool:
        return plumbing.merged_tree(self.git, pull.base_commit, pull.head) is None

    def behind(self, pull: Pull) -> int:
        return plumbing.count(self.git, pull.head, pull.base_commit)

    def opinions(self, pull: Pull) -> list[Review]:
        """The latest opinion of each who may write, oldest first."""
        latest = {one.author: one for one in pull.reviews if one.state != "COMMENTED"}
        return [review for author, review in latest.items() if author in self.writers]

    def decision(self, pull: Pull) -> str | None:
        needed = self.protections.get(pull.base, Protection()).approvals
        states = [review.state for review in self.opinions(pull)]
        if not needed:
            return None
        if "CHANGES_REQUESTED" in states:
            return "CHANGES_REQUESTED"
        return "APPROVED" if states.count("APPROVED") >= needed else "REVIEW_REQUIRED"

    def unmet(self, pull: Pull) -> list[str]:
        """Why the protection refuses a merge, as REST says it."""
        rule = self.protections.get(pull.base, Protection())
        states = {one.context: one.state for one in self.reported(pull.head).values()}
        found = []
        if self.decision(pull) not in (None, "APPROVED"):
            number = rule.approvals
            reviews = "review is" if number == 1 else "reviews are"
            found.append(f"At least {number} approving {reviews} required by reviewers with write access.")
        found += [
            f'Required status check "{context}" is {_progress(states.get(context))}.'
            for context in rule.contexts
            if states.get(context) != "success"
        ]
        return found

    def merge_state(self, pull: Pull) -> str:
        rule = self.protections.get(pull.base, Protection())
        states = {one.state for one in self.reported(pull.head).values()}
        choices: list[tuple[str, Callable[[], object]]] = [
            ("DIRTY", lambda: self.conflicts(pull)),
            ("DRAFT", lambda: pull.draft),
            ("BLOCKED", lambda: self.unmet(pull)),
            ("BEHIND", lambda: rule.strict and rule.contexts and self.behind(pull)),
            ("UNSTABLE", lambda: states - {"success"}),
        ]
        return next((name for name, holds in choices if holds()), "CLEAN")

    def merge(self, pull: Pull, method: MergeMethod, title: str | None, body: str | None) -> str | None:
        """Merge it, whatever the rules; None where it conflicts."""
        if method == "merge":
            title = title or f"Merge pull request #{pull.number} from {pull.source.owner}/{pull.branch}"
            body = pull.title if body is None else body
        message = f"{title or f'{pull.title} (#{pull.number})'}\n\n{body or ''}".strip() + "\n"
        commit = plumbing.merge(self.git, pull.base, pull.head, method, message)
        if commit is not None:
            pull.end("merged", commit)
        return commit


def _progress(state: str | None) -> str:
    return {None: "expected", "pending": "in progress"}.get(state, "failing")
