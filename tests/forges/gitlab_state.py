"""What the double of GitLab knows: projects, merge requests, people, tokens, statuses."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from tests.forges import gitlab_git

Access = Literal["reporter", "developer", "maintainer"]


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class User:
    id: int
    username: str

    @property
    def name(self) -> str:
        return self.username.capitalize()


@dataclass(frozen=True)
class Token:
    """`kind`: a project access token, which acts as its own bot, or a job's."""

    secret: str
    user: User
    scopes: frozenset[str]
    kind: Literal["project", "job"] = "project"
    access: Access = "developer"
    expires: str | None = None  # a date

    @property
    def reads(self) -> bool:
        return bool(self.scopes & {"api", "read_api"})

    @property
    def pushes(self) -> bool:
        return self.kind == "job" or bool(self.scopes & {"api", "write_repository"})


@dataclass
class Status:
    """A job of a pipeline, or a status from outside."""

    id: int
    sha: str
    ref: str
    name: str
    status: str
    description: str | None
    author: User
    allow_failure: bool = False
    created: datetime = field(default_factory=now)


@dataclass(frozen=True)
class Version:
    id: int
    head: str
    base: str  # the merge base
    start: str  # the target's tip
    empty: bool
    created: datetime


@dataclass
class Review:
    user: User
    state: str = "unreviewed"
    created: datetime = field(default_factory=now)


@dataclass
class Note:
    id: int
    body: str
    author: User
    created: datetime = field(default_factory=now)


@dataclass
class MergeRequest:
    id: int
    iid: int
    source: str
    target: str
    title: str
    description: str
    author: User
    fork: int | None = None  # the project that its branch belongs to, where it is another one
    squash: bool = False
    state: str = "opened"
    labels: list[str] = field(default_factory=list)
    assignees: list[User] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    approvals: dict[str, tuple[User, datetime]] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    armed: dict[str, str | bool | None] | None = None  # what auto-merge was told
    merge_commit: str | None = None
    squash_commit: str | None = None
    merged_by: User | None = None
    train: str | None = None  # its status on a merge train
    unchecked_looks: int = 0  # how many readers are still told `checking`
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)
    closed: datetime | None = None
    merged: datetime | None = None

    @property
    def draft(self) -> bool:
        return self.title.lower().startswith(("draft:", "[draft]", "(draft)"))

    @property
    def head(self) -> str:
        return self.versions[-1].head

    @property
    def reviewers(self) -> list[User]:
        return [one.user for one in self.reviews]


@dataclass
class Project:
    """`tells_approval_time` is off for older servers, `premium` for GitLab Free."""

    id: int
    path: str
    git: Path
    default_branch: str = "main"
    archived: bool = False
    premium: bool = True
    tells_approval_time: bool = True
    merge_method: Literal["merge", "rebase_merge", "ff"] = "merge"
    squash_option: Literal["never", "always", "default_on", "default_off"] = "default_off"
    auto_merge: bool = True
    merge_trains: bool = False
    pipeline_must_succeed: bool = False
    approvals_required: int = 0
    reset_approvals_on_push: bool = False
    prints_links: bool = True
    job_token_pushes: bool = True
    merge_access: Access = "developer"
    ci_jobs: tuple[str, ...] = ()
    unchecked_looks: int = 0  # for each merge request whose head is new
    protected: set[str] = field(default_factory=set)  # branches that nobody may push to
    labels: set[str] = field(default_factory=set)
    merge_requests: list[MergeRequest] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    last_id: int = 0

    def next_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def find(self, iid: int) -> MergeRequest | None:
        return next((one for one in self.merge_requests if one.iid == iid), None)

    def opened(self) -> list[MergeRequest]:
        return [one for one in self.merge_requests if one.state == "opened"]

    def head_of(self, one: MergeRequest) -> str | None:
        """Where its branch is now; a fork's stays."""
        return one.head if one.fork is not None else self.tip(one.source)

    def tip(self, branch: str) -> str | None:
        return gitlab_git.tip(self.git, branch)

    def latest_statuses(self, sha: str) -> list[Status]:
        """The last one of each name."""
        found = {one.name: one for one in self.statuses if one.sha == sha}
        return sorted(found.values(), key=lambda one: one.id)

    def pipeline_status(self, sha: str) -> str | None:
        """Of the pipeline that the statuses of a commit make; None without any."""
        states = [one.status for one in self.latest_statuses(sha) if not one.allow_failure]
        if not states:
            return None
        for worse in ("running", "pending", "created", "failed", "canceled"):
            if worse in states:
                return worse
        return "success"
