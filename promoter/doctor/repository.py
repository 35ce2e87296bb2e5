"""Whether the manifest repository can be reached, read and written, and how well its server speaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter.doctor.model import MACHINE, Check, failed
from promoter.errors import InterruptedRunError, PromoterError
from promoter.git import failure as failures

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterator

    from promoter.deadline import Deadline
    from promoter.git.repository import Repository, Snapshot
    from promoter.session import Caller

_GIT = frozenset({"git-absent", "git-too-old", "machine", "disk-full"})
_CREDENTIAL = frozenset({"usage", "authentication", "permission", "app-not-installed"})


@dataclass(frozen=True)
class Reached:
    """A manifest repository that answers, and the tip of its base."""

    caller: Caller
    repository: Repository
    snapshot: Snapshot
    about: str


def reach(
    caller: Caller, about: str, deadline: Deadline, debug: Callable[[str], None], stack: contextlib.ExitStack
) -> tuple[Reached | None, list[Check]]:
    """The repository, open until the stack unwinds, with what reaching it showed."""
    from promoter.session import open_repository

    try:
        repository = stack.enter_context(open_repository(caller, deadline, debug))
        with repository.opening(caller.base):
            snapshot = repository.open(caller.base)
    except InterruptedRunError:
        raise
    except PromoterError as error:
        return None, [_unreached(about, error)]
    reached = Reached(caller, repository, snapshot, about)
    return reached, list(_checks(reached))


def _unreached(about: str, error: PromoterError) -> Check:
    if error.reason in _GIT:
        return failed("git", MACHINE, error)
    name = "credential" if error.reason in _CREDENTIAL else "read"
    return failed(name, about, error, "nothing else can be looked at")


def _checks(reached: Reached) -> Iterator[Check]:
    repository, snapshot = reached.repository, reached.snapshot
    yield Check("git", MACHINE, "ok", repository.git.must("version").text.partition("\n")[0])
    tip = f"{snapshot.base} is at {snapshot.commit[:12]}"
    yield Check("read", reached.about, "ok", tip)
    yield _protocol(reached)
    yield _write(reached)


def _protocol(reached: Reached) -> Check:
    """Whether the server speaks protocol 2, told by Git's own packet trace, and knows filters."""
    repository = reached.repository
    listed = repository.git.run(
        "ls-remote",
        "--heads",
        "--",
        "origin",
        reached.snapshot.base,
        environment={"GIT_TRACE_PACKET": "1"},
    )
    lacks = []
    if "< version 2" not in listed.errors:
        lacks.append("protocol 2")
    if repository.complete:
        lacks.append("partial clones")
    if not lacks:
        return Check("protocol", reached.about, "ok", "protocol 2 and partial clones")
    return Check(
        "protocol",
        reached.about,
        "warning",
        f"the server does not offer {' or '.join(lacks)}",
        "every run fetches all files of the base instead of those that it reads",
        "have the server allow them: uploadpack.allowFilter, protocol.version",
    )


def _write(reached: Reached) -> Check:
    """A dry run of pushing what is there already: the server is asked to take a push, and gets none.

    It tells whom the server turns away at the door. Protection and hooks speak up only when something
    arrives, and Gitea lets readers begin, too: the forge's API tells more.
    """
    repository, snapshot = reached.repository, reached.snapshot
    refspec = f"{snapshot.commit}:refs/heads/{snapshot.base}"
    tried = repository.git.run("push", "--dry-run", "--porcelain", "--no-verify", "origin", refspec)
    # Rejected: the base has moved in between, which Git says after the server let it in.
    if tried.code == 0 or "[rejected]" in tried.text:
        return Check("write", reached.about, "ok", "the server lets this credential begin a push")
    failure = failures.classify(tried)
    if failure.kind == "denied":
        return failed(
            "write", reached.about, failures.denied(failure, "a push", repository.remote), "nothing can land"
        )
    return Check("write", reached.about, "unknown", failure.line)
