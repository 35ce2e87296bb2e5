"""The times of a freeze, as a configuration writes them; a check raises ValueError (``config.grammar``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo

from promoter.config.grammar import shorten

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKLY = re.compile(r"([A-Za-z]+)\s+([0-9]{1,2}):([0-9]{2})")
_ONCE = re.compile(r"(2[0-9]{3})-([0-9]{2})-([0-9]{2})[ Tt]+([0-9]{1,2}):([0-9]{2})")
# Of this machine alone, or with leap seconds, which no forge and no clock here counts.
_NO_ZONE = re.compile(r"(?:localtime|posixrules|Factory|(?:posix|right)/.*)\Z")


@dataclass(frozen=True)
class WeekTime:
    """A time of every week; ``day`` 0 is Monday."""

    day: int
    time: time


def parse_freeze_time(text: str) -> WeekTime | datetime:
    """``Fri 16:00``, or ``2026-12-24 12:00`` as a date-time without a zone.

    Raises:
        ValueError: the text has another form, or means no time that there is.
    """
    try:
        if weekly := _WEEKLY.fullmatch(text):
            return WeekTime(_day(weekly[1]), time(int(weekly[2]), int(weekly[3])))
        if once := _ONCE.fullmatch(text):
            return datetime(*map(int, once.groups()))  # type: ignore[arg-type]  # five numbers
    except ValueError:
        pass  # 25:00, or the 30th of February
    raise ValueError(f'{shorten(text)} is not a time; expected e.g. "Fri 16:00" or "2026-12-24 12:00"')


def _day(word: str) -> int:
    """The weekday that a word means, in full or by its first three letters."""
    return [name[:3] if len(word) == 3 else name for name in _DAYS].index(word.lower())


def time_zone(name: str) -> tzinfo:
    """The zone of that name in the IANA database: the machine's, else the one that PyPI's ``tzdata`` brings.

    Raises:
        ValueError: there is none.
    """
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, available_timezones  # only where a freeze names one

    try:
        if not _NO_ZONE.match(name):
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: the name of a directory, or far too long
        pass
    from difflib import get_close_matches

    known = [one for one in available_timezones() if not _NO_ZONE.match(one)]
    close = get_close_matches(name, known, n=1, cutoff=0.8)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"no time zone is called {shorten(name)}; expected e.g. Europe/London{hint}")


def check_freeze(start: str, end: str) -> None:
    """Accept two times of one kind, the second after the first.

    Raises:
        ValueError: they do not make a span of time.
    """
    first, last = parse_freeze_time(start), parse_freeze_time(end)
    if isinstance(first, datetime) != isinstance(last, datetime):
        raise ValueError("from and to must both be weekdays or both be dates")
    if first == last:
        raise ValueError("from and to are the same time, which freezes nothing")
    if isinstance(first, datetime) and isinstance(last, datetime) and last < first:
        raise ValueError("to lies before from")
