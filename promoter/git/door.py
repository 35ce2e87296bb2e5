"""The one subprocess door.

Each child gets an environment built from an allow-list, no terminal, no ambient Git
configuration, and is killed with its whole process group when time is up or promoter is
stopped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from promoter.errors import UnreachableError

if TYPE_CHECKING:
    from collections import abc
    from pathlib import Path

    from promoter.deadline import Deadline

# What people behind a proxy, a private CA or an SSH agent need; everything else stays outside.
PASSED_ON = (
    "PATH",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_DIR",
    "SSH_AUTH_SOCK",
    "GIT_SSH_COMMAND",
)
CA_FILES = ("GIT_SSL_CAINFO", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CI_SERVER_TLS_CA_FILE")

_CONFIGURATION = {
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.http.allow": "always",
    "protocol.ssh.allow": "always",
    "protocol.file.allow": "always",
    "protocol.version": "2",
    "http.followRedirects": "false",  # a redirect must not carry a credential to another host
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "30",
    "credential.helper": "",
    "core.hooksPath": os.devnull,
    "core.symlinks": "false",
    "core.fsync": "none",  # a repository that lives for seconds
    "core.logAllRefUpdates": "false",
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",  # one pack instead of thousands of loose files
    "gc.auto": "0",
    "maintenance.auto": "false",
    "commit.gpgSign": "false",
    "push.gpgSign": "false",
    "advice.detachedHead": "false",
}


class GitTimeoutError(Exception):
    """The child was killed because time was up."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a child ended. ``errors`` is its stderr as text."""

    code: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        """The output as text, without the last line end."""
        return self.output.decode("utf-8", "surrogateescape").rstrip("\n")


def child_environment(environ: abc.Mapping[str, str], configuration: abc.Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a child: the allow-list, and Git configured by us alone."""
    child = {name: environ[name] for name in PASSED_ON if environ.get(name)}
    authority = next((environ[name] for name in CA_FILES if environ.get(name)), None)
    if authority:
        child["GIT_SSL_CAINFO"] = authority
    child |= {
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
    }
    settings = list((_CONFIGURATION | dict(configuration)).items())
    child["GIT_CONFIG_COUNT"] = str(len(settings))
    for number, (key, value) in enumerate(settings):
        child[f"GIT_CONFIG_KEY_{number}"] = key
        child[f"GIT_CONFIG_VALUE_{number}"] = value
    return child


@contextlib.contextmanager
def spawn(
    arguments: abc.Sequence[str],
    *,
    directory: Path,
    environment: abc.Mapping[str, str],
    stdin: bytes | IO[bytes] | None = None,
) -> abc.Iterator[subprocess.Popen[bytes]]:
    """A child with exactly this environment, in a process group of its own that ends with the block.

    Raises UnreachableError where the program is absent or cannot be run.
    """
    source: int | IO[bytes] = subprocess.DEVNULL
    if stdin is not None:
        source = subprocess.PIPE if isinstance(stdin, bytes) else stdin
    try:
        child = subprocess.Popen(
            list(arguments),
            cwd=directory,
            env=dict(environment),
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise UnreachableError(
            f"the program {arguments[0]} is not on PATH",
            next_step=_HOW_TO_GET.get(arguments[0], f"install {arguments[0]}"),
            reason=f"{arguments[0]}-absent",
        ) from None
    except OSError as error:
        raise UnreachableError(f"{arguments[0]} cannot be run: {error.strerror}", reason="machine") from None
    try:
        yield child
    finally:
        _stop(child)


_HOW_TO_GET = {
    "git": "install Git 2.32 or newer, or run promoter in an image that has it",
    "gpg": "install gnupg, or give the name of a key that an agent holds",
    "ssh-agent": "install openssh-client, or give the private key as a file",
    "ssh-add": "install openssh-client, or give the private key as a file",
}


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started; nothing happens to one that has ended."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    child.wait()


def run(
    arguments: abc.Sequence[str],
    *,
    directory: Path,
    environment: abc.Mapping[str, str],
    deadline: Deadline,
    stdin: bytes | IO[bytes] | None = None,
) -> Completed:
    """Run a program to its end, whatever its code. Raises GitTimeoutError at the deadline."""
    feed = stdin if isinstance(stdin, bytes) else None
    with spawn(arguments, directory=directory, environment=environment, stdin=stdin) as child:
        try:
            output, errors = child.communicate(feed, timeout=deadline.remaining())
        except subprocess.TimeoutExpired:
            raise GitTimeoutError(arguments[0]) from None
    return Completed(child.returncode, output, errors.decode("utf-8", "replace"))


class Git:
    """Runs git in one directory."""

    def __init__(
        self,
        directory: Path,
        environment: dict[str, str],
        deadline: Deadline,
        debug: abc.Callable[[str], None],
    ) -> None:
        self.directory = directory
        self.environment = environment
        self.deadline = deadline
        self.debug = debug

    def run(
        self,
        *arguments: str,
        stdin: bytes | IO[bytes] | None = None,
        environment: abc.Mapping[str, str] | None = None,
    ) -> Completed:
        """One git command, whatever its code. Raises GitTimeoutError at the deadline."""
        completed = run(
            ("git", *arguments),
            directory=self.directory,
            environment=self.environment | dict(environment or {}),
            deadline=self.deadline,
            stdin=stdin,
        )
        self.debug(f"git {' '.join(arguments)} -> {completed.code}\n{completed.errors}".rstrip())
        return completed

    def must(self, *arguments: str, stdin: bytes | IO[bytes] | None = None) -> Completed:
        """A local step that only a broken machine makes fail: that is UnreachableError."""
        completed = self.run(*arguments, stdin=stdin)
        if completed.code != 0:
            raise local_failure(arguments[0], completed.errors)
        return completed

    @contextlib.contextmanager
    def stream(self, *arguments: str, stdin: IO[bytes]) -> abc.Iterator[IO[bytes]]:
        """The output of a local step as it comes."""
        with spawn(
            ("git", *arguments), directory=self.directory, environment=self.environment, stdin=stdin
        ) as child:
            assert child.stdout is not None  # noqa: S101 - Popen gave it a pipe
            yield child.stdout


def local_failure(step: str, errors: str) -> UnreachableError:
    """What to say when a local git step fails: the disk is full, or this machine is broken."""
    if "No space left on device" in errors or "Disk quota exceeded" in errors:
        return UnreachableError(
            "the disk is full: git could not write its temporary files",
            next_step="free space below TMPDIR and run again",
            reason="disk-full",
        )
    last = errors.strip().splitlines()[-1:] or ["no message"]
    return UnreachableError(f"git {step} failed: {last[0]}", reason="machine")
