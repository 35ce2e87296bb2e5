"""Where all that a run says goes out: the result to stdout, the rest to stderr, no secret to either."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from promoter.errors import PromoterError
from promoter.outcome import Failed, Outcome
from promoter.report.text import Paint, render_error, render_notice
from promoter.report.text import render as render_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.outcome import RunStatus

ISSUES = "https://github.com/promoter-ci/promoter/issues"


@dataclass
class Output:
    """Output of one run. ``secrets`` are masked in whatever goes out."""

    json: bool = False
    verbose: bool = False
    debugging: bool = False
    verb: str = "promoter"
    secrets: frozenset[str] = frozenset()
    exit_code: int = 0
    _plain: bool = field(default=False)

    @classmethod
    def from_arguments(cls, arguments: Sequence[str], environ: Mapping[str, str]) -> Output:
        """Read what must be known even where the command line itself is wrong."""
        format_ = environ.get("PROMOTER_OUTPUT", "text")
        for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
            if argument == "--output":
                format_ = following
            elif argument.startswith("--output="):
                format_ = argument.partition("=")[2]
        verb = next((argument for argument in arguments if not argument.startswith("-")), "promoter")
        return cls(
            json=format_ == "json",
            debugging="--debug" in arguments,
            verb=verb,
            _plain="NO_COLOR" in environ and environ["NO_COLOR"] != "",
        )

    def outcome(self, outcome: Outcome) -> None:
        """Print the result of a run and remember its exit code."""
        self.exit_code = outcome.exit_code
        if self.json:
            from promoter.report.document import render as render_document  # only where it is asked for

            self._write(sys.stdout, render_document(outcome))
            return
        for notice in outcome.warnings:
            self._write(sys.stderr, render_notice(notice, self._paint(sys.stderr)))
        self._write(sys.stdout, render_text(outcome, self._paint(sys.stdout)))
        if outcome.error is not None:
            self._print_error(outcome.error)

    def error(self, error: PromoterError) -> int:
        """Print an error that ended the run; returns its exit code."""
        failed = Failed.of(error)
        if self.json:
            status: RunStatus = "refused" if error.exit_code in (4, 5, 6) else "failed"
            self.outcome(Outcome(verb=self.verb, status=status, reason=error.reason, error=failed))
        else:
            self._print_error(failed)
        if self.debugging:
            self._write(sys.stderr, "".join(traceback.format_exception(error)))
        return error.exit_code

    def bug(self, error: Exception) -> int:
        """Print what nobody foresaw."""
        # The exception's own text may quote anything; its type and place are enough without --debug.
        frame = traceback.extract_tb(error.__traceback__)[-1:]
        place = f" at {frame[0].name}:{frame[0].lineno}" if frame else ""
        wrapped = PromoterError(
            f"promoter itself failed: {type(error).__name__}{place}",
            next_step=f"run again with --debug and report it: {ISSUES}",
        )
        wrapped.__cause__ = error
        return self.error(wrapped)

    def result(self, text: str) -> None:
        """A line of the result itself."""
        self._write(sys.stdout, text + "\n")

    def say(self, text: str) -> None:
        """A line of progress, under -v and --debug."""
        if self.verbose or self.debugging:
            self._write(sys.stderr, text + "\n")

    def debug(self, text: str) -> None:
        """What the programs that were run said, under --debug."""
        if self.debugging:
            self._write(sys.stderr, text + "\n")

    def _print_error(self, failed: Failed) -> None:
        paint = self._paint(sys.stderr)
        self._write(sys.stderr, render_error(failed.message, failed.file, failed.line, failed.next, paint))

    def _paint(self, stream: TextIO) -> Paint:
        return Paint(enabled=not self._plain and stream.isatty())

    def _write(self, stream: TextIO, text: str) -> None:
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        encoding = stream.encoding or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
