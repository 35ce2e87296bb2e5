"""What a failed network command means.

Git tells HTTP status and transport errors only in its messages, which are stable under
``LC_ALL=C``. Whether a push lost a race is never read from them: the moved tip says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from promoter.errors import DeniedError, PromoterError, UnreachableError

Kind = Literal["denied", "transient", "unreachable", "redirect", "no-branch", "disk"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the server, or the way to it, failed. ``line`` is Git's own best sentence."""

    kind: Kind
    line: str
    status: int | None = None

    @property
    def answered(self) -> bool:
        """Whether a server was there to answer."""
        return self.status is not None or self.kind == "denied"


_STATUS = re.compile(r"(?:returned error: |HTTP )(\d{3})")
_DENIED = re.compile(
    r"Authentication failed|could not read (?:Username|Password)|Permission denied|Host key verification failed"
    r"|Access denied|access denied|not authorized|You are not allowed|Repository not found"
)
_UNREACHABLE = re.compile(
    r"Could not resolve|Connection refused|Failed to connect|Couldn't connect|No route to host"
    r"|Network is unreachable|SSL|certificate|GnuTLS|gnutls|Name or service not known"
    r"|does not appear to be a git repository|No such file or directory|not a git repository"
)
_TRANSIENT = re.compile(
    r"timed? ?out|too slow|early EOF|RPC failed|hung up|Empty reply|Connection reset|unexpected disconnect"
    r"|Recv failure|Send failure|transfer closed|expected flush|invalid server response|not valid: is this a git"
)
_NO_BRANCH = re.compile(r"Remote branch .* not found|couldn't find remote ref")
_KINDS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (_NO_BRANCH, "no-branch"),
    (_DENIED, "denied"),
    (_UNREACHABLE, "unreachable"),
    (_TRANSIENT, "transient"),
)


def classify(errors: str) -> Failure:
    """Read the messages of a failed fetch, clone or push."""
    line = _best_line(errors)
    found = _STATUS.search(errors)
    status = int(found.group(1)) if found else None
    if "No space left on device" in errors and "remote:" not in errors:
        return Failure("disk", line)
    if status is not None:
        return Failure(_kind_of_status(status), line, status)
    for pattern, kind in _KINDS:
        if pattern.search(errors):
            return Failure(kind, line)
    return Failure("unreachable", line)


def _kind_of_status(status: int) -> Kind:
    if status in (401, 403, 404, 407, 410):
        return "denied"
    if 300 <= status < 400:
        return "redirect"
    return "transient" if status >= 500 or status in (408, 425, 429) else "denied"


def _best_line(errors: str) -> str:
    """Git's first fatal line, else its first error, else its last line."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    for prefix in ("fatal: ", "error: "):
        for line in lines:
            if line.startswith(prefix) and "hung up unexpectedly" not in line:
                return line.removeprefix(prefix)
    return lines[-1] if lines else "no message"


def denied(failure: Failure, doing: str) -> DeniedError:
    """The error for a server that knows us and says no, or does not want to know us."""
    hints = {
        401: "give a token that is valid for this repository in PROMOTER_TOKEN",
        403: "give the token permission to write contents, or ask who protects the repository",
        404: "check the address; a private repository answers 404 to a token that may not read it",
    }
    hint = hints.get(failure.status or 0)
    if hint is None and ("could not read" in failure.line or "Authentication failed" in failure.line):
        hint = hints[401]
    if hint is None and "Host key" in failure.line:
        hint = "give the server's host key in PROMOTER_SSH_KNOWN_HOSTS"
    return DeniedError(
        f"the server refused {doing}: {failure.line}",
        next_step=hint or "check the credentials and what they may do",
    )


def unreachable(failure: Failure, doing: str) -> PromoterError:
    """The error for a server that cannot be reached."""
    if failure.kind == "disk":
        return UnreachableError(
            f"the disk is full while {doing}",
            next_step="free space below TMPDIR and run again",
            reason="disk-full",
        )
    certificate = "certificate" in failure.line or "SSL" in failure.line
    return UnreachableError(
        f"the manifest repository cannot be reached: {failure.line}",
        next_step="name the private CA in GIT_SSL_CAINFO"
        if certificate
        else "check the address, the network and the proxy, and run again",
    )
