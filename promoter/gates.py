"""What stands against landing in an environment now. Pure: time and facts come from the caller (DESIGN §8).

A closed gate does not stop a proposal: a pull request is opened all the same and waits. What a
rule of the configuration rules out is refused in either case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from promoter.config.gates import is_found
from promoter.config.times import WeekTime, parse_freeze_time, time_zone
from promoter.errors import RefusedError
from promoter.holds import is_over
from promoter.paths import glob_text
from promoter.rules import rule_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import tzinfo

    from promoter.config import Environment, Freeze
    from promoter.forges.port import CheckState
    from promoter.holds import Hold
    from promoter.image import ImageReference
    from promoter.intent import Origin
    from promoter.rules import Rules

_WEEK = timedelta(days=7)
_MOST_SPANS = 100  # freezes that follow each other without a gap, before nobody waits for the end


@dataclass(frozen=True)
class Gate:
    """A closed gate: ``reason`` is a slug, ``message`` says it to people.

    ``until`` (aware) is when it opens by itself, None where it does not. ``app`` is the one that
    is held.
    """

    reason: str
    message: str
    until: datetime | None = None
    app: str | None = None


@dataclass(frozen=True)
class Arrival:
    """What the environment that an image passes through first tells of it.

    ``runs`` are the versions that run there. ``there`` says that the image is one of them,
    ``since`` (aware) since when, None where that is not known. ``commit`` is the one that brought
    it, with its ``checks`` by name; these are None where nobody asked.
    """

    image: ImageReference
    runs: tuple[ImageReference, ...] = ()
    there: bool = False
    since: datetime | None = None
    commit: str = ""
    checks: Mapping[str, CheckState] | None = None


def frozen(environment: Environment, now: datetime) -> tuple[Gate, ...]:
    """One gate where a freeze is on at ``now`` (aware)."""
    found = _frozen(environment.freeze, now)
    return (found,) if found is not None else ()


def held(holds: Sequence[Hold], now: datetime) -> Iterator[Gate]:
    """A gate for each hold that is not over."""
    for hold in holds:
        if is_over(hold, now):
            continue
        since = f" since {_utc(hold.since)}" if hold.since is not None else ""
        until = f" until {_utc(hold.until)}" if hold.until is not None else ""
        reason = f": {hold.reason}" if hold.reason else ""
        yield Gate("held", f"{hold.app} is held by {hold.by}{since}{until}{reason}", hold.until, hold.app)


def not_arrived(environment: Environment, arrivals: Sequence[Arrival], now: datetime) -> Iterator[Gate]:
    """What is missing of the way through the environment before, image by image."""
    source, soak = environment.after, environment.soak
    for one in arrivals:
        if not one.there:
            runs = ", ".join(each.tag or each.digest or "no version" for each in one.runs)
            has = f"it runs {runs}" if one.runs else "it does not use that image"
            yield Gate("after", f"{source} does not run {one.image}: {has}")
            continue
        if soak is not None and one.since is None:
            yield Gate("soak", f"since when {source} has run {one.image} is not known")
        elif soak is not None and one.since is not None and now < one.since + soak:
            until = one.since + soak
            text = f"{source} has run {one.image} since {_utc(one.since)}: soaked at {_utc(until)}"
            yield Gate("soak", text, until)
        for name in environment.require_checks:
            state = (one.checks or {}).get(name, "none")
            if state != "passed":
                says = "is not there" if state == "none" else f"is {state}"
                yield Gate("checks", f"the check {name} {says} on {source}'s commit {one.commit[:12]}")


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def raise_if_ruled_out(
    rules: Rules, images: Sequence[ImageReference], origin: Origin, count: int, *, rollback: bool
) -> None:
    """Raise RefusedError where the configuration does not let these images in, or not so many changes.

    What ran there before may come back whatever tags are allowed now.
    """
    environment = rules.environment
    override = "; --override REASON passes it" if environment.allow_override else ""
    for image in () if rollback else images:
        rule = rule_of(image, rules.config)
        if rule is not None and rule.allow is not None and not is_found(rule.allow, image.tag or ""):
            raise RefusedError(
                f"{image} is not allowed: its tag does not match {rule.allow!r} (images: {rule.match})",
                next_step=f"build it under such a tag, or change allow in the configuration{override}",
                reason="not-allowed",
            )
        branch = rule.source_branch if rule is not None else None
        if branch is not None and not glob_text(origin.source_branch or "", branch):
            built = f"was built on {origin.source_branch}" if origin.source_branch else "does not say its own"
            raise RefusedError(
                f"{image} has to come from the branch {branch}, and {built}",
                next_step=f"promote a build of that branch, or say it with --source-branch{override}",
                reason="source-branch",
            )
    raise_if_too_many(environment, count)


def raise_if_too_many(environment: Environment, count: int) -> None:
    """Raise RefusedError where a run would change more places than the environment takes at once."""
    if environment.max_changes is not None and count > environment.max_changes:
        override = "; --override REASON passes it" if environment.allow_override else ""
        raise RefusedError(
            f"{count} changes are more than the {environment.max_changes} "
            f"that {environment.name} takes in one run",
            next_step=f"promote fewer images, or raise max-changes{override}",
            reason="too-many-changes",
        )


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
