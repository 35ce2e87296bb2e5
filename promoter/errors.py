"""One tree of errors, one exit code per class.

Every error says what failed, where (file and line, if there is one), the probable
cause, and in ``next`` what to do about it. Nothing here ever carries a secret: a
message is shown as it is.
"""

from __future__ import annotations


class PromoterError(Exception):
    """Something a person can act upon; anything else that escapes is a bug (exit 1)."""

    exit_code: int = 1
    reason: str = "bug"

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        next_step: str | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.next_step = next_step
        if reason is not None:
            self.reason = reason

    @property
    def where(self) -> str | None:
        """``file:line``, ``file``, or None."""
        if self.file is None:
            return None
        return self.file if self.line is None else f"{self.file}:{self.line}"


class UsageError(PromoterError):
    """The command line or an environment variable is wrong."""

    exit_code = 2
    reason = "usage"


class ConfigError(PromoterError):
    """The configuration, or what it describes (no such branch, empty repository), is wrong."""

    exit_code = 3
    reason = "configuration"


class NotFoundError(PromoterError):
    """The image has no site that can be edited, or more than one meaning."""

    exit_code = 4
    reason = "image-not-found"


class InvalidEditError(PromoterError):
    """The edit would propose something invalid."""

    exit_code = 5
    reason = "invalid"


class RefusedError(PromoterError):
    """A rule refuses the change: a downgrade, a hold, a freeze, a gate."""

    exit_code = 6
    reason = "refused"


class DeadlineError(PromoterError):
    """The change has not landed in time and will not land later by itself."""

    exit_code = 7
    reason = "deadline"


class DeniedError(PromoterError):
    """The server understood and said no: authentication, permission, protection, a hook."""

    exit_code = 8
    reason = "denied"


class UnreachableError(PromoterError):
    """The server cannot be reached, or this machine fails."""

    exit_code = 9
    reason = "unreachable"


class InterruptedRunError(PromoterError):
    """SIGINT (130) or SIGTERM (143) arrived; nothing is half-done."""

    reason = "interrupted"

    def __init__(self, signal_number: int) -> None:
        name = {2: "SIGINT", 15: "SIGTERM"}.get(signal_number, str(signal_number))
        super().__init__(
            f"stopped by {name}",
            next_step="run the same command again: it converges",
            reason="interrupted" if signal_number == 2 else "terminated",
        )
        self.exit_code = 128 + signal_number
