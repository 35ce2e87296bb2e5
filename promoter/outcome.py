"""The result of a run, as data. Reports render it; ``schemas/outcome.schema.json`` describes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from promoter.errors import PromoterError

RunStatus = Literal["promoted", "planned", "unchanged", "superseded", "refused", "failed"]
ChangeStatus = Literal[
    "promoted", "planned", "unchanged", "superseded", "shadowed", "left", "refused", "failed"
]


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
class Outcome:
    """What a run did. ``edits`` (path, bytes before, after) are for the diff that people see."""

    verb: str
    status: RunStatus
    reason: str
    environment: str | None = None
    app: str | None = None
    base: str | None = None
    commit_sha: str | None = None
    attempts: int = 0
    changes: tuple[Change, ...] = ()
    warnings: tuple[Notice, ...] = ()
    error: Failed | None = None
    edits: tuple[tuple[str, bytes, bytes], ...] = field(default=(), repr=False)

    @property
    def changed(self) -> bool:
        """Whether the manifest repository is different now."""
        return self.status == "promoted"

    @property
    def exit_code(self) -> int:
        """0, or the code of the error."""
        return self.error.exit if self.error else 0
