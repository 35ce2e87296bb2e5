"""What the platforms' modules share: text, numbers and times as environment variables hold them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

_LONGEST_NUMBER = 18  # digits, as for --order


def one_line(text: str | None) -> str | None:
    """The text without line breaks and other control characters; None where nothing is left."""
    return " ".join("".join(one if one.isprintable() else " " for one in text or "").split()) or None


def identity(name: str | None, mail: str | None) -> str | None:
    """``Name <mail>``; None where one is missing or cannot stand in a commit's identity line."""
    return f"{name} <{mail}>" if is_plain(name) and is_plain(mail) else None


def is_plain(text: str | None) -> bool:
    """Whether the text may stand in a commit's identity line."""
    return bool(text) and text is not None and text.isprintable() and not re.search(r"[<>]", text)


def server(url: str | None) -> str:
    """Host, port and path of a server's address: what tells two servers apart. Empty for anything else."""
    try:
        parts = urlsplit((url or "").strip())
    except ValueError:
        return ""
    return f"{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def order(namespace: str, number: str | None) -> tuple[str, int] | None:
    """A run's place among its pipeline's; None for a number that is none."""
    if not number or not (number.isascii() and number.isdigit()) or len(number) > _LONGEST_NUMBER:
        return None
    return one_line(namespace.replace("#", "%23")) or "", int(number)


def branch(ref: str | None) -> str | None:
    """The short name of ``refs/heads/…``; None for any other ref."""
    return one_line(ref.removeprefix("refs/heads/")) if ref and ref.startswith("refs/heads/") else None


def parse_time(text: str | None) -> datetime | None:
    """An ISO 8601 time with its zone; None for anything else, and for what UTC has no year for."""
    try:
        moment = datetime.fromisoformat(text) if text else None
        if moment is None or moment.tzinfo is None:
            return None
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment
