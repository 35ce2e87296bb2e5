"""Push a commit to the base or to a proposal's branch, or say that somebody was faster.

What happened is read from the state of the remote, not from what was said: after any
push that did not plainly land, the base is fetched again and searched for our own
``Promoter-Id`` (a reply may have been lost after the push was processed); a proposal's
branch is ours alone to look for at its tip.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from promoter.deadline import LONGEST_WAIT
from promoter.errors import DeniedError, PromoterError
from promoter.git import failure as failures
from promoter.git.repository import Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promoter.git.repository import Pushed, Repository

# A server that could not take a lock, or had no room for an object, may manage the next time.
_PASSING = re.compile(
    r"lock|failed to update ref|incorrect old value|fetch first|non-fast-forward|stale|unpack|temporar",
    re.IGNORECASE,
)
_TRIES_UNREACHABLE = 3


@dataclass(frozen=True)
class Published:
    """``landed`` as ``commit``, or ``again``: re-apply on ``snapshot``."""

    status: Literal["landed", "again"]
    snapshot: Snapshot
    commit: str | None = None


@dataclass(frozen=True)
class PushedBranch:
    """``landed``, with what the server said; or ``again``: look at the branch anew."""

    status: Literal["landed", "again"]
    said: str = ""


class Publisher:
    """Pushes for one run: remembers what must not be tried for ever."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._unreachable = 0

    def push(self, snapshot: Snapshot, commit: str, promoter_id: str, attempt: int) -> Published:
        """One attempt. Raises DeniedError, UnreachableError or DeadlineError where there is no other."""
        repository = self._repository
        pushed = repository.push(snapshot.base, commit, snapshot.commit)
        if pushed.status == "landed":
            return Published("landed", Snapshot(snapshot.base, commit), commit)
        repository.verbose(f"attempt {attempt}: the push did not land: {pushed.message}")
        late = repository.git.deadline.passed()
        if late:
            repository.last_look()
        now = self._look_again(snapshot, commit, promoter_id, pushed)
        if now.status == "landed":
            return now
        if now.snapshot.commit == snapshot.commit:
            step = "allow this identity to push to the branch, or promote by pull request"
            self._raise_if_permanent(pushed, snapshot.base, step)
        if late or repository.git.deadline.passed():
            raise repository.too_late("pushing", pushed.message)
        # A lost race is no outage: whoever waits long meets the next writers, not fewer.
        moved = now.snapshot.commit != snapshot.commit
        waited = repository.git.deadline.back_off(attempt, longest=1.0 if moved else LONGEST_WAIT)
        repository.verbose(f"attempt {attempt}: trying again after {waited * 1000:.0f} ms")
        return now

    def push_branch(
        self, branch: str, commit: str, expected: str, attempt: int, options: Sequence[str] = ()
    ) -> PushedBranch:
        """One attempt at a branch that is at ``expected``, empty where it is not there yet.

        Raises DeniedError, UnreachableError or DeadlineError where there is no other.
        """
        repository = self._repository
        pushed = repository.push(branch, commit, expected, options)
        if pushed.status == "landed":
            return PushedBranch("landed", pushed.message)
        repository.verbose(f"attempt {attempt}: the push to {branch} did not land: {pushed.message}")
        tip = repository.tips(f"refs/heads/{branch}").get(branch, "")
        if tip == commit:
            return PushedBranch("landed", pushed.message)
        if tip == expected:
            step = f"allow this identity to create, force-push and delete branches like {branch}"
            self._raise_if_permanent(pushed, branch, f"{step}, or set pull-request.branch-prefix to others")
        if repository.git.deadline.passed():
            raise repository.too_late("pushing", pushed.message)
        repository.git.deadline.back_off(attempt, longest=1.0 if tip != expected else LONGEST_WAIT)
        return PushedBranch("again")

    def delete_branch(self, branch: str, expected: str) -> None:
        """Delete a branch that is at ``expected``; where it has moved, it stays."""
        self._repository.push(branch, "", expected)

    def back_off(self, attempt: int) -> None:
        """Wait before another attempt. Raises DeadlineError where there is no time for one."""
        if self._repository.git.deadline.passed():
            raise self._repository.too_late("opening the pull request")
        self._repository.git.deadline.back_off(attempt)

    def _look_again(self, snapshot: Snapshot, commit: str, promoter_id: str, pushed: Pushed) -> Published:
        repository = self._repository
        try:
            now = repository.refresh(snapshot)
        except PromoterError as error:
            if pushed.status == "failed" and not (pushed.failure and pushed.failure.kind == "denied"):
                error.next_step = (
                    f"the last push may or may not have been processed; look for Promoter-Id: {promoter_id} "
                    f"in the history, or run again: it converges"
                )
            raise
        ours = commit if now.commit == commit else repository.landed(snapshot, now, promoter_id)
        if ours is not None:
            repository.verbose(f"found our own commit {ours[:12]} on the base: it has landed")
            return Published("landed", now, ours)
        return Published("again", now)

    def _raise_if_permanent(self, pushed: Pushed, branch: str, next_step: str) -> None:
        """The tip has not moved, so this was no race: a rule is permanent, the rest may pass."""
        # Only the server's own word counts: a hook may say "blocked" of anything.
        if pushed.status == "rejected" and not _PASSING.search(pushed.reason):
            raise DeniedError(
                f"the server refused the push to {branch}: {pushed.message}",
                next_step=next_step,
                reason="push-refused",
            )
        failure = pushed.failure
        if failure is None:
            return
        if failure.kind == "denied":
            raise failures.denied(failure, f"the push to {branch}", self._repository.remote)
        self._unreachable += failure.kind == "unreachable"
        if failure.kind in ("disk", "killed", "redirect") or self._unreachable >= _TRIES_UNREACHABLE:
            raise failures.unreachable(failure, "pushing")
