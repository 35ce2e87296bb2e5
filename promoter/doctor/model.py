"""What a check is, and how one is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from promoter.errors import PromoterError

CheckState = Literal["ok", "warning", "problem", "unknown", "skipped"]

MACHINE = "this machine"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    ``name`` is a slug. ``about`` is what the check belongs to: this machine, a repository, an
    environment. ``problem``: a run fails, with the code ``exit``. ``warning``: a run goes through, but
    not all that is configured happens. ``unknown``: it cannot be told without writing, or with this
    token. ``skipped``: not looked at. ``seen`` is what was found, ``why`` it matters, ``next`` what to do.
    """

    name: str
    about: str
    state: CheckState
    seen: str
    why: str = ""
    next: str = ""
    exit: int | None = None


def failed(name: str, about: str, error: PromoterError, why: str = "") -> Check:
    """The problem that an error is: a run would end with it."""
    place = f"{error.where}: " if error.where else ""
    return Check(
        name, about, "problem", f"{place}{error.message}", why, error.next_step or "", error.exit_code
    )


def untold(name: str, about: str, error: PromoterError, why: str = "") -> Check:
    """What could not be looked at, and what would let it."""
    return Check(name, about, "unknown", error.message, why, error.next_step or "")
