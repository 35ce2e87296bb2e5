"""What a configuration says of how environments follow each other, and of what may land. Pure.

As in ``config.grammar``, a check raises ValueError with a message that quotes the text and
says what was expected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from promoter.config.grammar import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from promoter.config import Environment

_SPAN = re.compile(r"(?=[0-9])(?:([0-9]{1,4})d)?(?:([0-9]{1,4})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")
_LONGEST_SPAN = timedelta(days=366)


def parse_span(text: str) -> timedelta:
    """``90s``, ``30m``, ``2h``, ``1d``, or several of these, the longest first: ``1h30m``.

    Raises:
        ValueError: the text has another form, or means no time at all, or more than a year.
    """
    found = _SPAN.fullmatch(text)
    days, hours, minutes, seconds = (int(one or 0) for one in found.groups()) if found else (0, 0, 0, 0)
    span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not timedelta() < span <= _LONGEST_SPAN:
        raise ValueError(
            f'{shorten(text)} is not a time of up to a year; expected e.g. "30m", "2h", "1d" or "1h30m"'
        )
    return span


_SCP_LIKE = re.compile(r"(?!-)(?:[A-Za-z0-9._-]+@)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?!:|//)\S+")


def check_repository(text: str) -> None:
    """Accept where another manifest repository is: a URL, ``user@host:path``, or a path that looks like one.

    What may hold a secret is never quoted.

    Raises:
        ValueError: the text has another form, or holds a user's name or password where a token might stand.
    """
    expected = (
        "expected https://host/path, ssh://…, git@host:path, file://… or a path that starts with / or ./"
    )
    if not text.isprintable() or not text.strip():
        raise ValueError(f"{shorten(text)} is no address of a repository; {expected}")
    if "://" not in text:
        if not (text.startswith(("/", "./", "../")) or _SCP_LIKE.fullmatch(text)):
            raise ValueError(f"{shorten(text)} is no address of a repository; {expected}")
        return
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(f"this is no valid URL; {expected}") from None
    if parts.password is not None or parts.query or parts.fragment:
        raise ValueError("the URL carries a password or a query; credentials come from the caller only")
    if parts.username is not None and parts.scheme != "ssh":
        raise ValueError("the URL carries a user's name; credentials come from the caller only")
    if parts.scheme not in ("https", "http", "ssh", "file"):
        raise ValueError(f"the protocol {shorten(parts.scheme)} is not supported; {expected}")
    if not parts.hostname and parts.scheme != "file":
        raise ValueError(f"the URL has no host; {expected}")


# OCI image index: platform.os, .architecture and .variant, in the values that Go knows them by.
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+(?:/[a-z0-9.]+)?")


def check_platform(text: str) -> None:
    """Accept ``os/arch`` or ``os/arch/variant``, as in an OCI image index.

    Raises:
        ValueError: the text has another form.
    """
    if not _PLATFORM.fullmatch(text):
        raise ValueError(
            f"{shorten(text)} is no platform; expected os/arch or os/arch/variant, e.g. linux/amd64"
        )


# --- the pattern that a tag must match -------------------------------------------------------


def check_pattern(text: str) -> None:
    """Accept a regular expression that can be searched in linear time.

    Raises:
        ValueError: it is none, or one that looks around or back, which could run for ever.
    """
    try:
        _engine(text)
    except ValueError:
        raise ValueError(f"{shorten(text)} is no pattern: {_why_not(text)}") from None


def _why_not(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)
    return "it looks around or back, or is too large; expected one that is searched in linear time"


def is_found(pattern: str, tag: str) -> bool:
    """Whether a pattern that `check_pattern` accepts occurs in the tag."""
    return bool(_engine(pattern).is_valid(tag))


@lru_cache(maxsize=256)
def _engine(pattern: str) -> Any:  # noqa: ANN401 - jsonschema_rs brings Rust's linear engine, and validators only
    """Raises ValueError for what the engine does not take."""
    import jsonschema_rs  # which costs too much for runs that need it not

    options = jsonschema_rs.RegexOptions()
    try:
        return jsonschema_rs.validator_for({"type": "string", "pattern": pattern}, pattern_options=options)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        raise ValueError("not a pattern of the linear engine") from error


# --- the order of environments ---------------------------------------------------------------


@dataclass(frozen=True)
class Misplaced:
    """What is wrong with the order of environments; ``place`` are the keys down to it."""

    place: tuple[str, ...]
    message: str
    next_step: str


def misplaced(environments: Mapping[str, Environment]) -> Iterator[Misplaced]:
    """What is wrong with ``after``, and with the gates that need it, in the file's order."""
    for one in environments.values():
        for key, given in (("soak", one.soak), ("require-checks", one.require_checks)):
            if given and one.after is None:
                yield Misplaced(
                    ("environments", one.name, key),
                    f"environments.{one.name}.{key} is about the environment before, which no 'after' names",
                    "add after: with that environment's name",
                )
        if one.after is not None and one.after not in environments:
            close = get_close_matches(one.after, environments, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            yield Misplaced(
                ("environments", one.name, "after"),
                f"environments.{one.name}.after: no environment is called {shorten(one.after)}; "
                f"there are {', '.join(environments)}{hint}",
                "name another environment of this file",
            )
    yield from _circles(environments)


def _circles(environments: Mapping[str, Environment]) -> Iterator[Misplaced]:
    """Each circle of ``after`` once, told at the environment of it that the file names first."""
    told: set[str] = set()
    for name in environments:
        line = [name]
        while (after := environments[line[-1]].after) is not None and after in environments:
            if after in line:
                break
            line.append(after)
        if after != name or name in told:
            continue
        told.update(line)
        if len(line) == 1:
            message = f"environments.{name}.after: an environment cannot come after itself"
        else:
            circle = ", ".join(f"{one} after {environments[one].after}" for one in line)
            message = f"environments.{name}.after: the order is a circle: {circle}"
        yield Misplaced(("environments", name, "after"), message, "name the environment that comes first")
