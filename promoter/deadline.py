"""How long the whole run may take, and how long it waits between attempts."""

from __future__ import annotations

import random
import time

_FIRST_WAIT = 0.05
LONGEST_WAIT = 5.0


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

    def back_off(self, attempt: int, longest: float = LONGEST_WAIT) -> float:
        """Sleep before attempt number ``attempt + 1`` with full jitter; returns the seconds slept.

        Full jitter: uniform between nothing and a bound that doubles each time, so that
        writers that collided once spread out instead of colliding in step.
        """
        bound = min(longest, _FIRST_WAIT * 2 ** min(attempt, 10))
        wait = min(random.uniform(0, bound), self.remaining())  # noqa: S311 - spreads load, guards nothing
        time.sleep(wait)
        return wait
