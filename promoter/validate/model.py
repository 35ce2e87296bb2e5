"""What validators say, as data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class SourceFile:
    """A file as a validator gets it: its path in the manifest repository and its bytes."""

    path: str
    content: bytes


@dataclass(frozen=True)
class Finding:
    """One result of validation.

    ``validator`` is ``yaml``, ``schema``, ``kubeconform``, ``render``, ``blast-radius`` or
    the name of a configured command. ``path`` is the place inside the document, keys and
    indexes joined by dots (``spec.containers.0.image``), empty for the whole. ``introduced``
    is False for what the base commit has already.
    """

    validator: str
    severity: Severity
    file: str | None
    line: int | None
    path: str
    message: str
    introduced: bool = True

    @property
    def sameness(self) -> tuple[str, str, str | None, str, str]:
        """What stays the same when lines move."""
        return (self.validator, self.severity, self.file, self.path, self.message)


@dataclass(frozen=True)
class Report:
    """What one validator found, and what it could not look at.

    ``skipped`` counts documents by the reason (an unknown kind); ``notes`` are sentences
    for people: a program that is absent, an environment that is unproven.
    """

    findings: tuple[Finding, ...] = ()
    checked: int = 0
    skipped: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()


class Validator(Protocol):
    """Looks at files, one by one or together; never raises for what stands in them."""

    name: str

    def validate(self, files: Sequence[SourceFile]) -> Report:
        """The findings of these files; ``introduced`` is left True."""
        ...


def introduced(before: Iterable[Finding], after: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings ``after`` an edit, each marked whether the edit brought it: old sins do not block.

    Several alike count one by one: a second one of the same is new.
    """
    left = Counter(finding.sameness for finding in before)
    marked = []
    for finding in after:
        old = left[finding.sameness] > 0
        left[finding.sameness] -= old
        marked.append(replace(finding, introduced=not old))
    return tuple(marked)
