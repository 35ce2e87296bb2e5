"""Where all that a run says goes out: the result to stdout, the rest to stderr, no secret to either."""

from __future__ import annotations

import io
import os
import sys
import traceback
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, TextIO, TypeVar

from promoter.errors import PromoterError, UnreachableError, UsageError
from promoter.outcome import Failed, Outcome
from promoter.report.paint import Paint, clean
from promoter.report.text import render as render_text
from promoter.report.text import render_error, render_notice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.outcome import RunStatus

T = TypeVar("T")

ISSUES = "https://github.com/promoter-ci/promoter/issues"


@dataclass
class Output:
    """Output of one run. Secrets in its arguments and environment are masked in whatever goes out.

    A stream that is closed, or that nobody reads any more, changes nothing about the run.
    """

    form: str = "text"  # one of --output
    report_dir: str | None = None
    verbose: bool = False
    debugging: bool = False
    verb: str = "promoter"
    exit_code: int = 0
    _arguments: Sequence[str] = field(default=(), repr=False)
    _environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_arguments(cls, arguments: Sequence[str], environ: Mapping[str, str]) -> Output:
        """Read what must be known even where the command line itself is wrong."""
        format_ = _given("--output", arguments, environ.get("PROMOTER_OUTPUT", "text"))
        verb = arguments[0] if arguments and not arguments[0].startswith("-") else "promoter"
        return cls(
            form=format_ if format_ == "json" or verb == "validate" else "text",
            report_dir=_given("--report-dir", arguments, environ.get("PROMOTER_REPORT_DIR")) or None,
            debugging="--debug" in arguments,
            verb=verb,
            _arguments=arguments,
            _environ=environ,
        )

    def outcome(self, outcome: Outcome) -> None:
        """Print the result of a run and remember its exit code."""
        self.exit_code = outcome.exit_code
        outcome = self._reported(outcome)
        if self._is_machine_read:
            self._document(outcome)
        if self.form != "json":
            self._tell(outcome)
        self._annotate(outcome)

    def error(self, error: PromoterError) -> int:
        """Print an error that ended the run; returns the exit code."""
        self.exit_code = error.exit_code
        if isinstance(error, UsageError) and error.next_step is None:
            error.next_step = f"{self._command} --help lists the options"
        failed = Failed.of(error)
        status: RunStatus = "refused" if error.exit_code in (4, 5, 6) else "failed"
        outcome = self._reported(Outcome(self.verb, status, error.reason, error=failed))
        if self._is_machine_read:
            self._document(outcome)
        if self.form != "json":
            self._warn(outcome)
            self._print_error(failed)
        self._annotate(outcome)
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
        return self.form in ("json", "sarif", "code-quality", "html")

    def _tell(self, outcome: Outcome) -> None:
        """Say for people what happened."""
        self._warn(outcome)
        # A report for a forge goes into a file; people who look at the job shall see as much.
        stream = sys.stderr if self._is_machine_read else sys.stdout
        if self._environ.get("GITLAB_CI") == "true":
            from promoter.report import gitlab

            self._write(stream, render_text(outcome, self._paint(stream), gitlab.fold))
            self._write(stream, gitlab.links(outcome))
        else:
            self._write(stream, render_text(outcome, self._paint(stream)))
        if outcome.error is not None:
            self._print_error(outcome.error)

    def _warn(self, outcome: Outcome) -> None:
        for notice in outcome.warnings:
            self._write(sys.stderr, render_notice(notice, self._paint(sys.stderr)))

    def _reported(self, outcome: Outcome) -> Outcome:
        """Write the reports that CI systems pick up; what cannot be written is a warning more."""
        if not self._is_on_github and not self.report_dir:
            return outcome
        from promoter.report import ci

        if self._is_on_github:
            from promoter.report import github
            from promoter.secrets import obtained

            self._instruct(github.mask_commands(obtained()))
        notices = ci.write(outcome, self._environ, self.report_dir, self._masked)
        return replace(outcome, warnings=(*outcome.warnings, *notices))

    def _annotate(self, outcome: Outcome) -> None:
        if self._is_on_github:
            from promoter.report import github

            self._instruct(self._masked(github.annotation_commands(outcome)))

    @property
    def _is_on_github(self) -> bool:
        return self._environ.get("GITHUB_ACTIONS") == "true"

    def _document(self, outcome: Outcome) -> None:
        """Print the one document of a form that machines read."""
        # Imported only where they are asked for.
        if self.form == "sarif":
            from promoter.report.sarif import render
        elif self.form == "code-quality":
            from promoter.report.code_quality import render
        elif self.form == "html":
            from promoter.report.board_html import render_outcome as render
        else:
            from promoter.report.document import render
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # whatever the locale
        text = render(outcome)
        if self._is_searched and self.form != "html":
            from promoter.report.log_commands import json_without_commands

            text = json_without_commands(text)
        self._write(sys.stdout, text)

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

    def _masked(self, text: str) -> str:
        from promoter.secrets import mask

        return mask(text, self._secrets)

    @cached_property
    def _is_searched(self) -> bool:
        """Whether a CI system looks for commands in what is printed."""
        from promoter.report.log_commands import reads_commands

        return reads_commands(self._environ)

    def _write(self, stream: TextIO | None, text: str) -> None:
        """Print text in which nothing is a command to the CI system."""
        text = self._masked(text)
        if self._is_searched:
            from promoter.report.log_commands import without_commands

            text = without_commands(text)
        self._print(stream, text)

    def _instruct(self, text: str) -> None:
        """Print commands to the CI system, where they do not touch the result."""
        self._print(sys.stderr, text)

    def _print(self, stream: TextIO | None, text: str) -> None:
        if stream is None:  # closed by whoever started us
            return
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


def _given(option: str, arguments: Sequence[str], otherwise: T) -> str | T:
    """An option's value, also in a command line that is wrong."""
    found: str | T = otherwise
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if argument == option:
            found = following
        elif argument.startswith(f"{option}="):
            found = argument.partition("=")[2]
    return found


def silence(stream: TextIO) -> None:
    """Have what is still written to the stream, also at interpreter exit, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
