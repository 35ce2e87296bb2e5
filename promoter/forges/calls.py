"""One call to a forge, repeated as DESIGN §9 allows: by what was answered, never by hope.

The client libraries' own retries are switched off; what their exceptions mean is told
by each adapter as a ``Failure``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from promoter.errors import DeadlineError, DeniedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from promoter.deadline import Deadline

T = TypeVar("T")

_TRIES_UNREACHABLE = 3
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Connection:
    """Where a forge's API is, whose repository is meant, and what may be spent on asking.

    ``api`` is its root without a slash at the end, ``web`` the address that people see,
    ``project`` the repository's path there. ``token_kind`` is ``job`` for GitLab's
    CI_JOB_TOKEN, which can do little but push.
    """

    api: str
    web: str
    project: str
    token: str | None = field(repr=False)
    token_kind: str
    ca_file: str | None
    deadline: Deadline
    verbose: Callable[[str], None]


@dataclass(frozen=True)
class Failure:
    """Why a call failed. ``status`` is None where no answer came; ``timed_out`` then says which kind.

    ``message`` is the forge's own word; ``headers`` have lower-case names. ``arrived`` is
    False where the request was never sent, since nobody listens there.
    """

    status: int | None
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    timed_out: bool = False
    arrived: bool = True


class CallFailedError(DeniedError):
    """The forge answered with a refusal that is not about the token: 404, 409, 422 and the like.

    Adapters say what it means; where one does not know, it ends the run as it is.
    """

    reason = "refused-by-forge"

    def __init__(self, failure: Failure, doing: str) -> None:
        super().__init__(failure.message, next_step=f"this was the answer while {doing}")
        self.status = failure.status or 0


def repeat(
    connection: Connection,
    doing: str,
    call: Callable[[], T],
    explain: Callable[[Exception], Failure | None],
    *,
    needs: str,
    recheck: Callable[[], T | None] | None = None,
) -> T:
    """The result of ``call``.

    ``doing`` names it for people ("opening the pull request"), ``needs`` the permission
    that it takes. ``explain`` tells what an exception means, None where it is not the
    forge's. ``recheck`` looks, before a call that changes something is repeated, for what
    it may have done already.

    Raises:
        DeniedError: 401 and 403, at once.
        CallFailedError: any other refusal.
        UnreachableError, DeadlineError: no answer, or none in time.
    """
    attempt = unreachable = 0
    while True:
        attempt += 1
        try:
            return call()
        except Exception as error:
            failure = explain(error)
            if failure is None:
                raise
        _raise_if_final(connection, doing, failure, needs)
        unreachable += failure.status is None and not failure.timed_out
        if unreachable >= _TRIES_UNREACHABLE:
            raise UnreachableError(
                f"{doing}: {connection.api} cannot be reached: {failure.message}",
                next_step="check the address, the network, the proxy and the certificates",
            ) from None
        connection.verbose(f"{doing}: {failure.message}; trying again")
        _wait(connection, doing, failure, attempt)
        if recheck is not None and failure.arrived and (done := recheck()) is not None:
            return done


def _raise_if_final(connection: Connection, doing: str, failure: Failure, needs: str) -> None:
    if failure.status is None or failure.status in _TRANSIENT or _is_rate_limit(failure):
        return
    if failure.status == 401:
        raise DeniedError(
            f"{doing}: {connection.api} does not accept the token ({failure.message})",
            next_step="check that the token is the manifest repository's and has not expired",
            reason="authentication",
        ) from None
    if failure.status == 403:
        raise DeniedError(
            f"{doing}: the token may not do that on {connection.project} ({failure.message})",
            next_step=f"give it {needs}",
            reason="permission",
        ) from None
    raise CallFailedError(failure, doing) from None


def _is_rate_limit(failure: Failure) -> bool:
    """GitHub answers 403 to those who ask too often ("Rate limits for the REST API")."""
    return failure.status == 403 and (
        "retry-after" in failure.headers
        or failure.headers.get("x-ratelimit-remaining") == "0"
        or "rate limit" in failure.message.lower()
    )


def _wait(connection: Connection, doing: str, failure: Failure, attempt: int) -> None:
    """As long as the forge asks for, else full jitter; not at all where that is too long."""
    asked = _asked_to_wait(failure)
    deadline = connection.deadline
    if deadline.passed() or (asked is not None and asked > deadline.remaining()):
        limit = f" and asks to wait {asked:.0f} s" if asked is not None else ""
        kind = UnreachableError if failure.status is None else DeadlineError
        raise kind(
            f"the deadline passed while {doing}: {failure.message}{limit}",
            next_step="run again: it converges; or raise --deadline",
        ) from None
    if asked is None:
        deadline.back_off(attempt)
    else:
        time.sleep(asked)


def _asked_to_wait(failure: Failure) -> float | None:
    """Seconds that ``Retry-After`` (RFC 9110 §10.2.3) or a rate limit's reset time ask for."""
    headers = failure.headers
    if text := headers.get("retry-after"):
        return _seconds_until(text)
    limited = failure.status == 429 or _is_rate_limit(failure)
    reset = headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset")
    if limited and reset and reset.isdigit() and headers.get("x-ratelimit-remaining", "0") == "0":
        return max(0.0, float(reset) - time.time())
    return None


def _seconds_until(text: str) -> float | None:
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
