"""How long the whole run may take, and how long it waits between attempts."""

from __future__ import annotations

import random
import time

_FIRST_WAIT = 0.05
_LONGEST_WAIT = 5.0


class Deadline:
    """A point in time that every wait and every child process respects."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    def passed(self) -> bool:
        """Whether no time is left."""
        return self.remaining() <= 0

    def extended(self, seconds: float) -> Deadline:
        """A later one, for a last look that only reads."""
        return Deadline(self.remaining() + seconds)

    def back_off(self, attempt: int, at_least: float = 0.0) -> float:
        """Sleep before attempt number ``attempt + 1`` with full jitter; returns the seconds slept.

        Full jitter: uniform between nothing and a bound that doubles each time, so that
        writers that collided once spread out instead of colliding in step.
        """
        bound = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(attempt, 10))
        wait = max(at_least, random.uniform(0, bound))  # noqa: S311 - spreads load, guards nothing
        wait = min(wait, self.remaining())
        time.sleep(wait)
        return wait
