"""Gitea's and Forgejo's API v1 by requests: one repository, repeated as ``calls`` says, refusals in words.

Each server describes it at ``/swagger.v1.json``. Scopes: https://docs.gitea.com/development/oauth2-provider.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from promoter.errors import DeniedError
from promoter.forges import calls, web
from promoter.forges.calls import CallFailedError
from promoter.forges.gitea_read import branch_of
from promoter.forges.port import ForgeRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from promoter.forges.calls import Connection

Json = dict[str, Any]

PAGE = 50  # MAX_RESPONSE_ITEMS in Gitea's configuration, unless somebody changed it
_ARCHIVED = 423


class Client:
    """One repository on one server. Paths are below ``/repos/OWNER/NAME``.

    Its methods raise DeniedError (401, 403), UnreachableError, DeadlineError, and
    ForgeRefusedError for any other refusal, or CallFailedError where the caller ``expects`` it.
    ``clock`` is the server's time at its last answer.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.clock = datetime.now(UTC)
        self._root = f"{connection.api}/repos/{quote(connection.project)}"
        self._session = web.Session(connection)
        self._session.headers["Accept"] = "application/json"
        self._session.headers["Authorization"] = f"token {connection.token}"

    def get(
        self,
        doing: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        expects: Collection[int] = (),
    ) -> Any:  # noqa: ANN401 - JSON
        """One thing."""
        return self._call(doing, "GET", path, query=query, expects=expects)[0]

    def every(
        self,
        doing: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        expects: Collection[int] = (),
    ) -> list[Json]:
        """All pages of a list."""
        found: list[Json] = []
        number = 1
        while True:
            more, total = self.page(doing, path, number, query, expects=expects)
            found += more
            if not more or len(found) >= total:
                return found
            number += 1

    def page(
        self,
        doing: str,
        path: str,
        number: int,
        query: Mapping[str, str] | None = None,
        *,
        expects: Collection[int] = (),
    ) -> tuple[list[Json], int]:
        """One page of a list, and how many there are on all of them; 0 where the server does not tell."""
        wanted = {**(query or {}), "page": str(number), "limit": str(PAGE)}
        found, total = self._call(doing, "GET", path, query=wanted, expects=expects)
        return found or [], total

    def post(
        self,
        doing: str,
        path: str,
        data: Json,
        *,
        expects: Collection[int] = (),
        recheck: Callable[[], Json | None] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Make something. ``recheck`` as for ``calls.repeat``."""
        return self._call(doing, "POST", path, data=data, expects=expects, recheck=recheck)[0]

    def patch(self, doing: str, path: str, data: Json, *, expects: Collection[int] = ()) -> Any:  # noqa: ANN401 - JSON
        """Change something."""
        return self._call(doing, "PATCH", path, data=data, expects=expects)[0]

    def delete(self, doing: str, path: str, *, expects: Collection[int] = ()) -> None:
        """Take something away."""
        self._call(doing, "DELETE", path, expects=expects)

    def heads(self, doing: str, prefix: str) -> dict[str, str]:
        """The tips of all branches that start so. Those in pull requests may lag behind a push."""
        path = f"/git/refs/heads/{quote(prefix.rstrip('/'))}"
        try:
            found = self.get(doing, path, expects=(404,))
        except CallFailedError:
            return {}
        refs = found if isinstance(found, list) else [found]
        return {ref["ref"].removeprefix("refs/heads/"): ref["object"]["sha"] for ref in refs}

    def head(self, doing: str, pull: Json) -> str:
        """The tip of a pull request's branch, or where it was when the branch went."""
        branch = branch_of(pull)
        return self.heads(doing, branch).get(branch) or str(pull["head"]["sha"])

    def refusal(
        self, doing: str, error: CallFailedError, reason: str = "refused", step: str | None = None
    ) -> ForgeRefusedError:
        """The error for people."""
        if error.status == _ARCHIVED:
            reason, step = "archived", "unarchive the repository in its settings, or promote elsewhere"
        if error.status == 404 and step is None:
            step = (
                f"check that {self.connection.project} is the repository's name; "
                "what an account may not see is answered the same"
            )
        return ForgeRefusedError(f"{doing}: {error.message}", next_step=step, reason=reason)

    def require_pulls(self, doing: str) -> None:
        """Tell apart why Gitea answers 404 to everything about pull requests.

        Raises DeniedError (``permission``) where the token's account has no part in them, and
        ForgeRefusedError where the repository is not there or has none.
        """
        repository = self.get(doing, "")
        if repository.get("empty"):
            raise ForgeRefusedError(
                f"{doing}: Gitea takes {self.connection.project} for empty",
                next_step="run again in a moment if something was pushed just now",
            )
        if not repository.get("has_pull_requests", True):
            raise ForgeRefusedError(
                f"{doing}: {self.connection.project} has no pull requests",
                next_step="enable them in the repository's settings, or use --publish push",
                reason="unsupported",
            )
        try:
            self.get(doing, "/pulls", {"limit": "1"}, expects=(404,))
        except CallFailedError:
            raise DeniedError(
                f"{doing}: the token's account has no access to the pull requests of "
                f"{self.connection.project}",
                next_step="give the account, or its team, write access to the repository's pull requests",
                reason="permission",
            ) from None

    def _call(
        self,
        doing: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        data: Json | None = None,
        expects: Collection[int] = (),
        recheck: Callable[[], Json | None] | None = None,
    ) -> tuple[Any, int]:
        """The answer's document, and its X-Total-Count."""

        def ask() -> tuple[Any, int]:
            session = self._session
            answer = session.request(
                method, self._root + path, params=query, json=data, timeout=session.timeout
            )
            if date := answer.headers.get("Date"):
                self.clock = parsedate_to_datetime(date)
            answer.raise_for_status()
            total = answer.headers.get("X-Total-Count", "")
            return answer.json() if answer.content.strip() else None, int(total) if total.isdigit() else 0

        def look() -> tuple[Any, int] | None:
            found = recheck() if recheck is not None else None
            return (found, 0) if found is not None else None

        try:
            return calls.repeat(
                self.connection, doing, ask, web.explain, needs=_needs(method, path), recheck=look
            )
        except CallFailedError as error:
            if error.status in expects:
                raise
            raise self.refusal(doing, error) from None


def _needs(method: str, path: str) -> str:
    """Comments and labels of pull requests belong to the scope for issues."""
    kind = "issue" if path.startswith(("/issues", "/labels")) else "repository"
    if method == "GET":
        return f"the scope read:{kind}, and its account read access to the repository"
    return f"the scope write:{kind}, and its account write access to the repository's code and pull requests"
