"""What ``init`` found, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.report.paint import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promoter.outcome import Outcome, Proposed


def whole(outcome: Outcome) -> str | None:
    """All there is to say where nothing landed: of a dry run the file, for a shell to write somewhere."""
    proposed = outcome.proposed
    if proposed is None or outcome.commit_sha is not None:
        return None
    if outcome.status == "planned":
        return proposed.text
    return "".join(f"{line}\n" for line in (f"{outcome.reason} {proposed.file}", *lines(proposed)))


def lines(proposed: Proposed) -> Iterator[str]:
    """The environments, one in a line, and where to look next."""
    for one in proposed.environments:
        images = f"{one.images} image{'s' if one.images != 1 else ''}"
        after = f", after {one.after}" if one.after is not None else ""
        yield clean(f"  {one.name}: {images} in {', '.join(one.paths)}{after}, by {one.publish}")
    yield clean(f"Look at {proposed.file} before it rules anything: order and publication are guesses.")
