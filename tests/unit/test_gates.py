"""Freezes: when they hold, across weeks, zones and changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promoter.config import Environment, Freeze
from promoter.config.times import parse_freeze_time, time_zone
from promoter.gates import frozen

WEEKEND = Freeze("Fri 16:00", "Mon 08:00", "Europe/London")


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=time_zone(zone))


def until(now: datetime, *freezes: Freeze) -> str | None:
    """The end of the freeze that holds, as it reads in its own zone; None where none does."""
    gates = frozen(Environment("production", (".",), freeze=freezes), now)
    assert [gate.reason for gate in gates] == ["frozen"] * len(gates)
    if not gates:
        return None
    assert gates[0].until is not None
    assert gates[0].until > now
    assert f"{gates[0].until:%Y-%m-%d %H:%M}" in gates[0].message
    return f"{gates[0].until:%a %Y-%m-%d %H:%M %z}"


def test_no_freeze_no_gate() -> None:
    assert frozen(Environment("production", (".",)), at("2026-01-02 18:00")) == ()


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-01-02 15:59", None),
        ("2026-01-02 16:00", "Mon 2026-01-05 08:00 +0000"),
        ("2026-01-04 23:59", "Mon 2026-01-05 08:00 +0000"),
        ("2026-01-05 00:00", "Mon 2026-01-05 08:00 +0000"),
        ("2026-01-05 07:59", "Mon 2026-01-05 08:00 +0000"),
        ("2026-01-05 08:00", None),
        ("2026-01-07 12:00", None),
        ("2026-07-03 14:59", None),  # summer time: an hour earlier in UTC
        ("2026-07-03 15:00", "Mon 2026-07-06 08:00 +0100"),
        ("2026-07-06 06:59", "Mon 2026-07-06 08:00 +0100"),
        ("2026-07-06 07:00", None),
        ("2026-03-28 00:00", "Mon 2026-03-30 08:00 +0100"),  # clocks go forward inside
        ("2026-10-24 00:00", "Mon 2026-10-26 08:00 +0000"),  # and back
    ],
)
def test_over_the_weeks_end(now: str, end: str | None) -> None:
    assert until(at(now), WEEKEND) == end


@pytest.mark.parametrize(
    ("start", "end", "inside", "outside"),
    [
        ("Mon 09:00", "Mon 17:00", "2026-01-05 12:00", "2026-01-06 12:00"),
        ("Tue 00:00", "Thu 00:00", "2026-01-07 23:59", "2026-01-08 00:00"),
        ("Sun 22:00", "Mon 02:00", "2026-01-05 01:00", "2026-01-05 03:00"),
        ("Mon 17:00", "Mon 09:00", "2026-01-09 12:00", "2026-01-05 12:00"),  # all week but one day
        ("sunday 00:00", "MON 00:00", "2026-01-04 00:00", "2026-01-05 00:00"),
    ],
)
def test_weekly(start: str, end: str, inside: str, outside: str) -> None:
    freeze = Freeze(start, end)
    assert until(at(inside), freeze) is not None
    assert until(at(outside), freeze) is None


def test_once() -> None:
    freeze = Freeze("2026-12-24 12:00", "2027-01-02 08:00", "America/New_York")
    assert until(at("2026-12-24 16:59"), freeze) is None
    assert until(at("2026-12-24 17:00"), freeze) == "Sat 2027-01-02 08:00 -0500"
    assert until(at("2027-01-02 13:00"), freeze) is None
    assert until(at("2025-12-25 12:00"), freeze) is None


def test_a_local_time_that_comes_twice_is_frozen_for_the_longer_reading() -> None:
    # On 2026-11-01 01:30 comes twice in New York: at 05:30 and 06:30 UTC.
    begins = Freeze("Sun 01:30", "Sun 12:00", "America/New_York")
    assert until(at("2026-11-01 05:29"), begins) is None
    assert until(at("2026-11-01 05:30"), begins) is not None
    ends = Freeze("Sat 12:00", "Sun 01:30", "America/New_York")
    assert until(at("2026-11-01 06:29"), ends) == "Sun 2026-11-01 01:30 -0500"
    assert until(at("2026-11-01 06:30"), ends) is None


def test_a_local_time_that_is_skipped_is_frozen_for_the_longer_reading() -> None:
    # On 2026-03-08 New York goes from 02:00 to 03:00, at 07:00 UTC; 02:30 may be read as 06:30 or 07:30.
    begins = Freeze("Sun 02:30", "Sun 12:00", "America/New_York")
    assert until(at("2026-03-08 06:29"), begins) is None
    assert until(at("2026-03-08 06:30"), begins) is not None
    ends = Freeze("Sat 12:00", "Sun 02:30", "America/New_York")
    assert until(at("2026-03-08 07:29"), ends) is not None
    assert until(at("2026-03-08 07:30"), ends) is None


def test_freezes_that_follow_each_other_end_together() -> None:
    holidays = Freeze("2026-12-24 12:00", "2027-01-01 17:00")
    assert until(at("2026-12-25 00:00"), holidays, WEEKEND) == "Mon 2027-01-04 08:00 +0000"
    assert until(at("2026-12-19 00:00"), holidays, WEEKEND) == "Mon 2026-12-21 08:00 +0000"


def test_freezes_without_an_end() -> None:
    environment = Environment(
        "production", (".",), freeze=(Freeze("Mon 00:00", "Thu 00:00"), Freeze("Wed 00:00", "Mon 00:00"))
    )
    (gate,) = frozen(environment, at("2026-01-01 00:00"))
    assert gate.until is None
    assert gate.message == "frozen, and no end is in sight"


MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))
ZONES = st.sampled_from(["UTC", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])


@given(MOMENTS, ZONES, st.integers(0, 6), st.integers(0, 6), st.integers(0, 23), st.integers(0, 23))
def test_what_is_frozen_opens_when_it_says(
    now: datetime, zone: str, day: int, last: int, hour: int, end: int
) -> None:
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    if (day, hour) == (last, end):
        return
    freeze = Freeze(f"{days[day]} {hour:02}:00", f"{days[last]} {end:02}:00", zone)
    environment = Environment("production", (".",), freeze=(freeze,))
    gates = frozen(environment, now)
    local = now.astimezone(time_zone(zone))
    minutes = (local.weekday() * 24 + local.hour) * 60 + local.minute
    first, length = (day * 24 + hour) * 60, ((last - day) * 24 + end - hour) % (7 * 24) * 60
    inside = (minutes - first) % (7 * 24 * 60)
    margin = 60  # around the ends a change of the clock may lengthen the freeze
    if inside < length:
        assert gates
    elif length + margin < inside < 7 * 24 * 60 - margin:
        assert not gates
    for gate in gates:
        assert gate.until is not None
        assert now < gate.until <= now + timedelta(days=7, hours=2)
        assert frozen(environment, gate.until) == ()


@pytest.mark.parametrize(
    "text",
    ["", "Fri", "16:00", "Fri 16", "Fri 24:00", "Fri 16:60", "Frid 16:00", "2026-13-01 12:00", "Fri 16:00 "],
)
def test_times_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_freeze_time(text)


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "/etc/localtime", "../UTC", "right/UTC", "Europe", "x" * 5000, "\0"]
)
def test_zones_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone is called"):
        time_zone(name)
