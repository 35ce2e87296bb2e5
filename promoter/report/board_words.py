"""The words that the board's reports share: versions, ages, and how a cell differs."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from promoter.holds import UNKNOWN

if TYPE_CHECKING:
    from datetime import datetime

    from promoter.holds import Hold
    from promoter.overview.board import Board, Cell, Proposed, Standing

_HEX_SHOWN = 7  # of a digest beside its tag, as Git shortens commits; more where it stands alone
_HEX_ALONE = 12
_MONTH, _YEAR = timedelta(days=30), timedelta(days=365)


def version(tag: str | None, digest: str | None) -> str:
    """The tag with as much of the digest as people tell digests apart by."""
    algorithm, _, value = (digest or "").partition(":")
    if not value:
        return tag or "no tag"
    return f"{tag}@{value[:_HEX_SHOWN]}" if tag else f"{algorithm}:{value[:_HEX_ALONE]}"


def age(since: datetime, now: datetime) -> str:
    """How long ago, in its largest unit. A commit's clock may be ahead: that is ``now``."""
    passed = now - since
    if passed < timedelta(minutes=1):
        return "now"
    if passed < timedelta(hours=1):
        return f"{passed // timedelta(minutes=1)} min"
    if passed < timedelta(days=1):
        return f"{passed // timedelta(hours=1)} h"
    if passed < 3 * _MONTH:
        return f"{passed.days} d"
    return f"{passed // _MONTH} mo" if passed < 2 * _YEAR else f"{passed // _YEAR} y"


def age_of(standing: Standing, now: datetime) -> str:
    """How long a version has run: exactly, or more than, or unknown."""
    if standing.since is not None:
        return age(standing.since, now)
    return f"> {age(standing.since_before, now)}" if standing.since_before is not None else "age unknown"


def difference(cell: Cell) -> str:
    """How the cell stands to the environment before it; empty where it is the same, or nothing to say."""
    if not cell.drift:
        return ""
    if cell.behind is not None:
        return f"{cell.behind} behind"
    return {"newer": "ahead", "older": "behind"}.get(cell.order or "", "differs")


def promotion(one: Proposed) -> str:
    """An open promotion: its number (a branch has none) and what it would bring."""
    name = f"#{one.number}" if one.number is not None else one.branch
    return f"{name} to {version(one.tag, one.digest)}"


def hold(held: Hold) -> str:
    """Why it is held, by whom and until when, as far as the hold says."""
    by = f"by {held.by}" if held.by != UNKNOWN else ""
    until = f"until {minute(held.until)}" if held.until is not None else ""
    return ", ".join(part for part in (held.reason, by, until) if part)


def minute(when: datetime) -> str:
    """A moment in UTC, for people."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def differs(cell: Cell) -> bool:
    """Whether the cell counts as drift."""
    return cell.drift is True


def is_held(cell: Cell) -> bool:
    """Whether it is held."""
    return cell.hold is not None


def is_proposed(cell: Cell) -> bool:
    """Whether an open promotion would change it."""
    return bool(cell.pull_requests)


def is_canary(cell: Cell) -> bool:
    """Whether it runs several versions of the image."""
    return len(cell.versions) > 1


def summary(board: Board) -> str:
    """The whole board in a sentence."""
    images, environments = len(board.rows), len(board.environments)
    counted = [
        f"{board.count(differs)} differ",
        f"{board.count(is_canary)} canary",
        f"{board.count(is_held)} held",
        f"{board.count(is_proposed) if board.pull_requests_known else 'unknown'} with an open promotion",
    ]
    told = [part for part in counted if not part.startswith("0 ")]
    what = f"{images} image{'s' * (images != 1)} in {environments} environment{'s' * (environments != 1)}"
    if told:
        return f"{what}: {', '.join(told)}"
    return f"{what}: all alike" if any(one.after for one in board.environments) else what
