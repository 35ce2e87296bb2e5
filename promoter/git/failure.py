"""What a failed network command means.

Git tells HTTP status and transport errors only in its messages, which are stable under
``LC_ALL=C``. Whether a push lost a race is never read from them: the moved tip says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from promoter.errors import ConfigError, DeniedError, PromoterError, UnreachableError
from promoter.git import door

if TYPE_CHECKING:
    from promoter.git.door import Completed
    from promoter.git.remote import Remote


class UnadvertisedError(Exception):
    """The server gives no objects but those its refs name."""


class NothingNewError(Exception):
    """All commits of the ref stand on the other one, too."""


Kind = Literal[
    "unadvertised",
    "nothing-new",
    "denied",
    "transient",
    "unreachable",
    "redirect",
    "no-branch",
    "no-repository",
    "disk",
    "killed",
]


@dataclass(frozen=True)
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
    r"Authentication failed|could not read (?:Username|Password)|Permission denied"
    r"|Host key verification failed|Access denied|access denied|not authorized|You are not allowed"
    r"|Repository not found|could not be found or you don't have permission|dubious ownership"
)
_UNREACHABLE = re.compile(
    r"Could not resolve|Connection refused|Failed to connect|Couldn't connect|No route to host"
    r"|Network is unreachable|SSL|certificate|GnuTLS|gnutls|Name or service not known"
    r"|not valid: is this a git"
)
_NO_REPOSITORY = re.compile(
    r"does not appear to be a git repository|repository '.*' does not exist|not a git repository"
    r"|invalid gitfile format"
)
_NOT_FOUND = re.compile(r"repository '.*' not found")  # how git tells the 404 of an http server
_TRANSIENT = re.compile(
    r"timed? ?out|too slow|early EOF|RPC failed|hung up|Empty reply|Connection reset|unexpected disconnect"
    r"|Recv failure|Send failure|transfer closed|expected flush|invalid server response"
)
_NO_BRANCH = re.compile(r"Remote branch (.*) not found|couldn't find remote ref (?:refs/heads/)?(.*)")
_UNADVERTISED = re.compile(r"not allow request for unadvertised object|not our ref")
_NOTHING_NEW = re.compile(r"no commits selected for shallow requests")
_KINDS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (_UNADVERTISED, "unadvertised"),
    (_NOTHING_NEW, "nothing-new"),
    (_NO_BRANCH, "no-branch"),
    (_NO_REPOSITORY, "no-repository"),
    (_DENIED, "denied"),
    (_UNREACHABLE, "unreachable"),
    (_TRANSIENT, "transient"),
)


def classify(completed: Completed) -> Failure:
    """Read the messages of a failed fetch, clone or push."""
    errors = completed.errors
    line = _best_line(errors)
    found = _STATUS.search(errors)
    status = int(found.group(1)) if found else None
    if door.is_disk_full(errors) and "remote:" not in errors:
        return Failure("disk", line)
    if completed.killed_by:
        return Failure("killed", completed.killed_by)
    if status is None and _NOT_FOUND.search(errors):
        status = 404
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


_SSH_FAILED = "fatal: Could not read from remote repository."  # and why, stands before


def _best_line(errors: str) -> str:
    """Git's first fatal line, else its first error; else the last one of ssh or of the server."""
    lines = [line.removeprefix("remote:").strip() for line in errors.partition(_SSH_FAILED)[0].splitlines()]
    lines = [line for line in lines if any(map(str.isalnum, line))]
    for prefix in ("fatal: ", "error: "):
        for line in lines:
            if line.startswith(prefix) and "hung up unexpectedly" not in line:
                return line.removeprefix(prefix)
    return lines[-1] if lines else "no message"


def denied(failure: Failure, doing: str, remote: Remote) -> DeniedError:
    """The error for a server that knows us and says no, or does not want to know us."""
    by_http = remote.host is not None
    anonymous = by_http and remote.secret is None
    if anonymous and (failure.status == 401 or "could not read" in failure.line):
        return DeniedError(
            f"the server refused {doing}: it asks for a token, and this run has none for {remote.url}",
            next_step=remote.instead,
        )
    hints = {
        401: "give a token that is valid for this repository in PROMOTER_TOKEN (the action's input token)",
        403: "let the token write to the repository (GitHub: Contents: write; GitLab: the scope "
        "write_repository and the role Developer), or ask who protects it",
        404: "check the address; a private repository answers 404 to a token that may not read it",
    }
    hint = hints.get(failure.status or 0)
    if by_http and not anonymous and remote.instead:  # the kind of credential tells more than the status
        hint = remote.instead
    if hint is None and ("could not read" in failure.line or "Authentication failed" in failure.line):
        hint = hints[401]
    if hint is None and "dubious ownership" in failure.line:
        hint = "run promoter as the user whom the repository belongs to, or give its URL"
    if hint is None and "Permission denied" in failure.line:
        hint = "give a key that may write to this repository in PROMOTER_SSH_KEY, or in an agent"
    if hint is None and "Host key" in failure.line:
        hint = "give the server's host key in PROMOTER_SSH_KNOWN_HOSTS"
    return DeniedError(
        f"the server refused {doing}: {failure.line}",
        next_step=hint or "check the credentials and what they may do",
    )


def missing(failure: Failure, url: str) -> ConfigError:
    """The error for an address without a repository, or a repository without the branch."""
    if failure.kind == "no-repository":
        return ConfigError(
            f"there is no Git repository at {url}",
            next_step="check --manifest-repo; a new one is made with git init --bare",
            reason="no-repository",
        )
    name = _NO_BRANCH.search(failure.line)
    return no_branch(next(filter(None, name.groups())).split(" ")[0] if name else "of that name")


def no_branch(name: str) -> ConfigError:
    """The error for a base that is no branch: absent, or a tag."""
    return ConfigError(
        f"the manifest repository has no branch {name!r}",
        next_step="name an existing branch with --base",
        reason="no-such-branch",
    )


def unreachable(failure: Failure, doing: str) -> PromoterError:
    """The error for a server that cannot be reached, or a machine that cannot go on."""
    if failure.kind == "disk":
        return door.disk_full(f"git, {doing},")
    if failure.kind == "killed":
        return door.killed(f"git, {doing},", failure.line)
    step = "check the address, the network and the proxy, and run again"
    if "SSL CA cert" in failure.line:  # curl's word for a file that it cannot load
        step = f"check that the file is there that {' or '.join(door.CA_FILES)} names, and holds certificates"
    elif "certificate" in failure.line or "SSL" in failure.line:
        step = "name the private CA in GIT_SSL_CAINFO"
    return UnreachableError(
        f"the manifest repository cannot be reached: {failure.line}",
        next_step=step,
    )
