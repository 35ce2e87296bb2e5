"""The one subprocess door.

Each child gets an environment built from an allow-list, no terminal, no ambient Git
configuration, and is killed with its whole process group when time is up or promoter is
stopped.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from promoter.errors import DeadlineError, UnreachableError

if TYPE_CHECKING:
    from collections import abc

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


class GitTimeoutError(DeadlineError):
    """The child was killed because time was up. Where nobody knows better, that ends the run."""

    def __init__(self, program: str) -> None:
        super().__init__(
            f"the deadline passed while {program} was running",
            next_step="nothing has landed; run again, or raise --deadline",
        )


@dataclass(frozen=True)
class Completed:
    """How a child ended. ``errors`` is its stderr as text."""

    code: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        """The output as text, without the last line end."""
        return self.output.decode("utf-8", "surrogateescape").rstrip("\n")

    @property
    def killed_by(self) -> str | None:
        """The signal that ended the child, if one did: out of memory, over a limit."""
        return signal.Signals(-self.code).name if self.code < 0 else None


def child_environment(environ: abc.Mapping[str, str], configuration: abc.Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a child: the allow-list, and Git configured by us alone."""
    child = {name: environ[name] for name in PASSED_ON if environ.get(name)}
    if "HTTP_PROXY" in child:  # curl reads the small one alone, for the sake of CGI programs
        child.setdefault("http_proxy", child["HTTP_PROXY"])
    authority = next((environ[name] for name in CA_FILES if environ.get(name)), None)
    if authority:
        child["GIT_SSL_CAINFO"] = str(Path(authority).absolute())  # Git runs in a directory of its own
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
        raise UnreachableError(
            f"{arguments[0]} cannot be run: {error.strerror}",
            next_step="check the program and the limits of this machine",
            reason="machine",
        ) from None
    try:
        yield child
    finally:
        _stop(child)


_HOW_TO_GET = {
    "git": "install Git 2.32 or newer, or run promoter in an image that has it",
    "gpg": "install gnupg, or give the name of a key that an agent holds",
    "ssh-agent": "install openssh-client, or give the private key as a file",
    "ssh-add": "install openssh-client, or give the private key as a file",
    "kubeconform": "install it (go install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0, or a "
    "release of https://github.com/yannh/kubeconform), or do without: --kubeconform auto",
    "kustomize": "install kustomize 5 (or kubectl, which has one in it), or set validate.render to off",
    "helm": "install Helm 3, or set validate.render to off",
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
        return _finish(child, arguments[0], deadline, feed)


def _finish(
    child: subprocess.Popen[bytes], program: str, deadline: Deadline, feed: bytes | None = None
) -> Completed:
    try:
        output, errors = child.communicate(feed, timeout=deadline.remaining())
    except subprocess.TimeoutExpired:
        raise GitTimeoutError(program) from None
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
        return self._told(arguments, completed)

    @contextlib.contextmanager
    def begun(self, *arguments: str) -> abc.Iterator[abc.Callable[[], Completed]]:
        """A command that runs while the caller does something else; what it yields waits for the end."""
        git = ("git", *arguments)
        with spawn(git, directory=self.directory, environment=self.environment) as child:
            yield lambda: self._told(arguments, _finish(child, "git", self.deadline))

    def _told(self, arguments: abc.Sequence[str], completed: Completed) -> Completed:
        self.debug(f"git {' '.join(arguments)} -> {completed.code}\n{completed.errors}".rstrip())
        return completed

    def must(self, *arguments: str, stdin: bytes | IO[bytes] | None = None) -> Completed:
        """A local step that only a broken machine makes fail: that is UnreachableError."""
        completed = self.run(*arguments, stdin=stdin)
        if completed.code != 0:
            raise local_failure(arguments[0], completed)
        return completed

    @contextlib.contextmanager
    def stream(self, *arguments: str, stdin: IO[bytes]) -> abc.Iterator[IO[bytes]]:
        """The output of a local step as it comes."""
        with spawn(
            ("git", *arguments), directory=self.directory, environment=self.environment, stdin=stdin
        ) as child:
            assert child.stdout is not None  # noqa: S101 - Popen gave it a pipe
            yield child.stdout


_DISK_FULL = (
    "No space left on device",
    "Disk quota exceeded",
    "Out of diskspace",
    "File too large",
    "could not set 'core.",  # all that git says when there is no room for its first file
)


def is_disk_full(errors: str) -> bool:
    """Whether a program says that it could not write."""
    return any(words in errors for words in _DISK_FULL)


def disk_full(doing: str) -> UnreachableError:
    """The error for a disk, a quota or a limit that is full."""
    return UnreachableError(
        f"the disk is full: {doing} could not write its temporary files",
        next_step="free space below TMPDIR and run again",
        reason="disk-full",
    )


def local_failure(step: str, completed: Completed) -> UnreachableError:
    """What to say when a local git step fails: the disk is full, or this machine is broken."""
    if is_disk_full(completed.errors):
        return disk_full(f"git {step}")
    if completed.killed_by:
        return killed(f"git {step}", completed.killed_by)
    last = completed.errors.strip().splitlines()[-1:] or ["no message"]
    return UnreachableError(
        f"git {step} failed: {last[0]}", next_step="run again with --debug to see more", reason="machine"
    )


def killed(what: str, by: str) -> UnreachableError:
    """The error for a child that somebody else ended."""
    return UnreachableError(
        f"{what} was killed by {by}",
        next_step="check the limits on memory and file sizes, and run again",
        reason="machine",
    )


def machine_failure(error: OSError) -> UnreachableError:
    """What to say when the operating system refuses something to us ourselves."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return disk_full("promoter")
    place = f": {error.filename}" if isinstance(error.filename, str) else ""
    return UnreachableError(
        f"this machine refuses: {error.strerror or type(error).__name__}{place}",
        next_step="run again with --debug to see where",
        reason="machine",
    )
