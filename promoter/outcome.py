"""The result of a run, as data. Reports render it; ``schemas/outcome.schema.json`` describes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from promoter.doctor.model import Check
    from promoter.errors import PromoterError
    from promoter.gates import Gate
    from promoter.overview.board import Board
    from promoter.overview.compare import Comparison
    from promoter.past.history import History
    from promoter.validate.model import Finding

RunStatus = Literal["promoted", "proposed", "planned", "unchanged", "superseded", "refused", "failed"]
ChangeStatus = Literal[
    "promoted", "proposed", "planned", "unchanged", "superseded", "shadowed", "left", "refused", "failed"
]
PullRequestOperation = Literal["created", "updated", "unchanged", "superseded", "closed", "merged"]

SiteState = Literal["effective", "shadowed", "refused"]


@dataclass(frozen=True)
class Change:
    """A site with the reference before and after, and what became of it.

    ``left``: another line of the image, or not picked by the caller; ``note`` says which.
    """

    environment: str
    app: str
    image: str
    file: str
    line: int
    before: str
    after: str
    status: ChangeStatus
    note: str = ""


@dataclass(frozen=True)
class PullRequestReport:
    """A pull request that holds a change, or held one, and what this run did to it.

    ``superseded`` and ``closed`` are both closed: the first because the base has a newer
    image, the second because it has the very one. ``number`` is None and ``url`` may be
    empty where there is no forge.
    """

    number: int | None
    url: str
    operation: PullRequestOperation
    branch: str


@dataclass(frozen=True)
class Notice:
    """Something the caller should know that did not stop the run."""

    code: str
    message: str
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class Failed:
    """The error that ended a run."""

    exit: int
    message: str
    file: str | None = None
    line: int | None = None
    next: str | None = None

    @classmethod
    def of(cls, error: PromoterError) -> Failed:
        """The error as data."""
        return cls(error.exit_code, error.message, error.file, error.line, error.next_step)


@dataclass(frozen=True)
class FoundSite:
    """A site as ``scan`` tells of it. ``note`` says what shadows it, or why it is refused."""

    file: str
    line: int
    format: str
    image: str
    tag: str | None
    digest: str | None
    reference: str
    state: SiteState
    note: str = ""


@dataclass(frozen=True)
class Mention:
    """An image named where an edit does not reach it; ``text`` is its line."""

    file: str
    line: int
    text: str
    why: str


@dataclass(frozen=True)
class Inventory:
    """What a tree of files holds: the sites, the mentions, and how many files and images there are."""

    sites: tuple[FoundSite, ...]
    mentions: tuple[Mention, ...]
    files: int
    images: int

    @property
    def summary(self) -> dict[str, int]:
        """Counts: files, images, sites by their state, mentions."""
        states = [site.state for site in self.sites]
        counts = {state: states.count(state) for state in ("effective", "shadowed", "refused")}
        return {"files": self.files, "images": self.images, **counts, "mentions": len(self.mentions)}


@dataclass(frozen=True)
class HoldReport:
    """An app that is held in an environment; the times as in RFC 3339. ``over``: its end has come."""

    environment: str
    app: str
    reason: str
    by: str
    since: str | None
    until: str | None
    over: bool


@dataclass(frozen=True)
class FoundEnvironment:
    """An environment as ``init`` proposes it; ``formats`` are those of the places that hold its images."""

    name: str
    paths: tuple[str, ...]
    after: str | None
    publish: str
    images: int
    formats: tuple[str, ...]


@dataclass(frozen=True)
class Proposed:
    """The configuration that ``init`` proposes: the file's path and text, and what it says."""

    file: str
    text: str
    environments: tuple[FoundEnvironment, ...]


@dataclass(frozen=True)
class Validation:
    """What validation looked at: files, documents ``checked``, and those ``skipped``, by the reason.

    ``notes`` are for people: a program that is absent, what could not be rendered.
    ``against`` is the revision whose findings are old ones, None where nothing is compared.
    """

    files: int
    checked: int
    skipped: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    against: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a run did. ``edits`` (path, bytes before, after) are for the diff that people see.

    ``commit_sha`` is the commit that landed, or the pull request's head. ``gates`` are those that
    a pull request waits at. ``validation`` is None
    where nothing was validated.
    """

    verb: str
    status: RunStatus
    reason: str
    environment: str | None = None
    app: str | None = None
    base: str | None = None
    commit_sha: str | None = None
    attempts: int = 0
    pull_requests: tuple[PullRequestReport, ...] = ()
    changes: tuple[Change, ...] = ()
    gates: tuple[Gate, ...] = ()
    findings: tuple[Finding, ...] = ()
    validation: Validation | None = None
    warnings: tuple[Notice, ...] = ()
    error: Failed | None = None
    inventory: Inventory | None = None
    holds: tuple[HoldReport, ...] | None = None
    proposed: Proposed | None = None
    board: Board | None = None
    diff: Comparison | None = None
    history: History | None = None
    checks: tuple[Check, ...] | None = None
    edits: tuple[tuple[str, bytes, bytes], ...] = field(default=(), repr=False)

    @property
    def changed(self) -> bool:
        """Whether the manifest repository, or a pull request of it, is different now."""
        landed = self.status == "promoted" or any(one.status == "promoted" for one in self.changes)
        return landed or any(one.operation != "unchanged" for one in self.pull_requests)

    @property
    def exit_code(self) -> int:
        """0, or the code of the error."""
        return self.error.exit if self.error else 0
