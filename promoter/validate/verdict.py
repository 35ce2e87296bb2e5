"""Which findings block, and how that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.errors import InvalidEditError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from promoter.validate.model import Finding


def blocking(findings: Iterable[Finding], *, strict: bool, since: str = "") -> InvalidEditError | None:
    """The error for findings that block: errors that are new, under ``strict`` all; None where none does.

    ``since`` names what they are new against.
    """
    errors = [one for one in findings if one.severity == "error" and (one.introduced or strict)]
    if not errors:
        return None
    first = min(errors, key=lambda one: (one.file is None, one.file or "", one.line or 0))
    count = f"{len(errors)} errors" if len(errors) > 1 else "an error"
    new = f" introduced since {since}" if since and not strict else ""
    shared = first.validator == "blast-radius"
    return InvalidEditError(
        f"validation found {count}{new}, the first: {first.validator}: {first.message}",
        file=first.file,
        line=first.line,
        next_step="set the image in the environment's own files; --create adds a kustomize entry"
        if shared
        else "correct what is listed, and run again",
        reason="blast-radius" if shared else "invalid",
    )
