"""What stands against landing in an environment now. Pure: time and facts come from the caller (DESIGN §8).

A closed gate does not stop a proposal: a pull request is opened all the same and waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from promoter.config_time import WeekTime, parse_freeze_time, time_zone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from promoter.config import Environment, Freeze

_WEEK = timedelta(days=7)
_MOST_SPANS = 100  # freezes that follow each other without a gap, before nobody waits for the end


@dataclass(frozen=True)
class Gate:
    """A closed gate: ``reason`` is a slug, ``message`` says it to people.

    ``until`` (aware) is when it opens by itself, None where it does not.
    """

    reason: str
    message: str
    until: datetime | None = None


def gates_of(environment: Environment, now: datetime) -> tuple[Gate, ...]:
    """The gates that are closed at ``now`` (aware); none where the environment takes changes."""
    frozen = _frozen(environment.freeze, now)
    return (frozen,) if frozen is not None else ()


def _frozen(freezes: tuple[Freeze, ...], now: datetime) -> Gate | None:
    """One gate for all freezes, up to the moment when none of them holds any more."""
    last, until = None, now
    for _ in range(_MOST_SPANS):
        spans = [(*span, freeze) for freeze in freezes for span in _spans(freeze, until)]
        ends = [(end, freeze) for start, end, freeze in spans if start <= until < end]
        if not ends:
            break
        until, last = max(ends, key=lambda one: one[0])
    else:
        return Gate("frozen", "frozen, and no end is in sight")
    if last is None:
        return None
    local = until.astimezone(time_zone(last.timezone))
    return Gate("frozen", f"frozen until {local:%a %Y-%m-%d %H:%M} {last.timezone}", local)


def _spans(freeze: Freeze, around: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The spans of a freeze that could hold a moment, in UTC."""
    zone = time_zone(freeze.timezone)
    start, end = parse_freeze_time(freeze.start), parse_freeze_time(freeze.end)
    if isinstance(start, datetime) and isinstance(end, datetime):
        yield _instants(start, zone)[0], _instants(end, zone)[-1]
    if isinstance(start, WeekTime) and isinstance(end, WeekTime):
        length = (_in_week(end) - _in_week(start)) % _WEEK
        today = datetime.combine(around.astimezone(zone).date(), time())
        monday = today - timedelta(days=today.weekday())
        for week in (-1, 0, 1):  # the last one's may not have ended; clocks go back into Sunday
            begins = monday + week * _WEEK + _in_week(start)
            yield _instants(begins, zone)[0], _instants(begins + length, zone)[-1]


def _in_week(when: WeekTime) -> timedelta:
    return timedelta(days=when.day, hours=when.time.hour, minutes=when.time.minute)


def _instants(local: datetime, zone: tzinfo) -> list[datetime]:
    """The moments that a clock's time can mean, the earlier one first: two where clocks go back.

    Where they go forward over it, these are the readings by the offset before and after
    (PEP 495, "Invalid times"). A freeze holds from the earlier to the later one: a gate in
    doubt is closed.
    """
    return sorted(local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
