"""Where all that a run says goes out: the result to stdout, the rest to stderr, no secret to either."""

from __future__ import annotations

import io
import os
import sys
import traceback
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from promoter.errors import PromoterError, UnreachableError, UsageError
from promoter.outcome import Failed, Outcome
from promoter.report.paint import Paint, clean
from promoter.report.text import render as render_text
from promoter.report.text import render_error, render_notice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.outcome import RunStatus

ISSUES = "https://github.com/promoter-ci/promoter/issues"


@dataclass
class Output:
    """Output of one run. Secrets in its arguments and environment are masked in whatever goes out.

    A stream that is closed, or that nobody reads any more, changes nothing about the run.
    """

    form: str = "text"  # one of --output
    verbose: bool = False
    debugging: bool = False
    verb: str = "promoter"
    exit_code: int = 0
    _arguments: Sequence[str] = field(default=(), repr=False)
    _environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_arguments(cls, arguments: Sequence[str], environ: Mapping[str, str]) -> Output:
        """Read what must be known even where the command line itself is wrong."""
        format_ = environ.get("PROMOTER_OUTPUT", "text")
        for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
            if argument == "--output":
                format_ = following
            elif argument.startswith("--output="):
                format_ = argument.partition("=")[2]
        verb = arguments[0] if arguments and not arguments[0].startswith("-") else "promoter"
        return cls(
            form=format_ if format_ == "json" or verb == "validate" else "text",
            debugging="--debug" in arguments,
            verb=verb,
            _arguments=arguments,
            _environ=environ,
        )

    def outcome(self, outcome: Outcome) -> None:
        """Print the result of a run and remember its exit code."""
        self.exit_code = outcome.exit_code
        if self._is_machine_read:
            self._document(outcome)
        if self.form == "json":
            return
        for notice in outcome.warnings:
            self._write(sys.stderr, render_notice(notice, self._paint(sys.stderr)))
        # A report for a forge goes into a file; people who look at the job shall see as much.
        stream = sys.stderr if self._is_machine_read else sys.stdout
        self._write(stream, render_text(outcome, self._paint(stream)))
        if outcome.error is not None:
            self._print_error(outcome.error)

    def error(self, error: PromoterError) -> int:
        """Print an error that ended the run; returns the exit code."""
        self.exit_code = error.exit_code
        if isinstance(error, UsageError) and error.next_step is None:
            error.next_step = f"{self._command} --help lists the options"
        failed = Failed.of(error)
        if self._is_machine_read:
            status: RunStatus = "refused" if error.exit_code in (4, 5, 6) else "failed"
            self._document(Outcome(verb=self.verb, status=status, reason=error.reason, error=failed))
        if self.form != "json":
            self._print_error(failed)
        if self.debugging:
            self._write(sys.stderr, "".join(traceback.format_exception(error)))
        return self.exit_code

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
            self._write(sys.stderr, clean(text) + "\n")

    def debug(self, text: str) -> None:
        """What the programs that were run said, under --debug."""
        if self.debugging:
            self._write(sys.stderr, "".join(f"{clean(line)}\n" for line in text.splitlines()))

    @property
    def _is_machine_read(self) -> bool:
        return self.form in ("json", "sarif", "code-quality")

    def _document(self, outcome: Outcome) -> None:
        """Print the one document of a form that machines read."""
        # Imported only where they are asked for.
        if self.form == "sarif":
            from promoter.report.sarif import render
        elif self.form == "code-quality":
            from promoter.report.code_quality import render
        else:
            from promoter.report.document import render
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # JSON is UTF-8, whatever the locale
        self._write(sys.stdout, render(outcome))

    def _print_error(self, failed: Failed) -> None:
        paint = self._paint(sys.stderr)
        self._write(sys.stderr, render_error(failed.message, failed.file, failed.line, failed.next, paint))

    def _paint(self, stream: TextIO | None) -> Paint:
        return Paint(enabled=not self._environ.get("NO_COLOR") and stream is not None and stream.isatty())

    @property
    def _command(self) -> str:
        return "promoter" if self.verb == "promoter" else f"promoter {self.verb}"

    @cached_property
    def _secrets(self) -> frozenset[str]:
        from promoter.secrets import secrets_in  # once there is something to print

        return secrets_in(self._environ, self._arguments)

    def _write(self, stream: TextIO | None, text: str) -> None:
        if stream is None:  # closed by whoever started us
            return
        from promoter.secrets import mask

        text = mask(text, self._secrets)
        encoding = stream.encoding or "utf-8"
        try:
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except OSError as error:
            silence(stream)
            if stream is sys.stdout and not isinstance(error, BrokenPipeError):
                self._undelivered(error)

    def _undelivered(self, error: OSError) -> None:
        self.exit_code = self.exit_code or UnreachableError.exit_code
        message = f"the result could not be written to the standard output: {error.strerror}"
        self._print_error(Failed(self.exit_code, message, next="run again: it converges"))


def silence(stream: TextIO) -> None:
    """Have what is still written to the stream, also at interpreter exit, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
