"""PyGithub, tamed: one repository, no retries, waits, log or redirects of its own.

What its exceptions mean is told to ``calls``, which repeats, waits and refuses.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urljoin, urlsplit

from github import Auth, GithubException
from github.Repository import Repository
from github.Requester import Requester
from urllib3.util.retry import Retry

from promoter.errors import DeniedError, UnreachableError
from promoter.forges import web
from promoter.forges.calls import CallFailedError, Failure, repeat
from promoter.forges.port import ForgeRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from github.PaginatedList import PaginatedList
    from urllib3.connectionpool import ConnectionPool
    from urllib3.response import BaseHTTPResponse

    from promoter.forges.calls import Connection

T = TypeVar("T")
Element = TypeVar("Element", bound=Any)

PER_PAGE = 100
_API_VERSION = "2022-11-28"


class MovedError(Exception):
    """The same host has the repository at another address now: it was renamed or transferred."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


class Client:
    """One repository of one connection. ``project`` follows the repository where it was renamed."""

    def __init__(self, connection: Connection) -> None:
        # At DEBUG PyGithub writes whole answers, among them tokens of an App.
        logging.getLogger("github").setLevel(logging.CRITICAL)
        self.connection = connection
        self.project = connection.project
        self._requester = self._new()

    @property
    def owner(self) -> str:
        """The user or organization that the repository belongs to."""
        return self.project.partition("/")[0]

    @property
    def path(self) -> str:
        """The repository's path in the REST API."""
        return f"/repos/{self.project}"

    @property
    def requester(self) -> Requester:
        """PyGithub's requester; its time-out shrinks with what is left of the run's deadline."""
        if self._seconds() < self._timeout:
            self._requester.close()
            self._requester = self._new()
        return self._requester

    @property
    def repository(self) -> Repository:
        """The repository as an object that knows its address only: it costs no request."""
        return Repository(self.requester, {}, {"url": self.path, "full_name": self.project}, completed=True)

    def _seconds(self) -> int:
        return int(max(1.0, min(web.READ_SECONDS, self.connection.deadline.remaining())))

    def _new(self) -> Requester:
        self._timeout = self._seconds()
        connection = self.connection
        return _Requester(
            auth=Auth.Token(connection.token) if connection.token else None,
            base_url=connection.api,
            timeout=self._timeout,
            user_agent="promoter",
            per_page=PER_PAGE,
            verify=connection.ca_file or True,
            retry=_NoRetry(0, read=False),
            pool_size=None,
        )

    def call(
        self, doing: str, call: Callable[[], T], *, needs: str, recheck: Callable[[], T | None] | None = None
    ) -> T:
        """``calls.repeat``, with GitHub's own refusals told apart.

        Raises:
            ForgeRefusedError: the repository is archived.
            DeniedError: 401 and 403; 404, which GitHub says to those who may not know of a thing.
            CallFailedError: any other refusal.
            UnreachableError, DeadlineError: no answer, or none in time.
        """
        for _ in range(3):
            try:
                return repeat(self.connection, doing, call, explain, needs=needs, recheck=recheck)
            except MovedError as moved:
                self._follow(moved)
            except CallFailedError as error:
                if error.status == 404:
                    raise _unseen(doing, self.project, needs) from None
                raise
            except DeniedError as error:
                if "archived" in error.message:
                    raise _archived(doing, self.project) from None
                raise
        raise UnreachableError(f"{doing}: {self.connection.api} redirects in a circle")

    def ask(
        self,
        doing: str,
        query: str,
        variables: Mapping[str, Any],
        *,
        needs: str,
        must: Sequence[str],
        recheck: Callable[[], dict[str, Any] | None] | None = None,
    ) -> dict[str, Any]:
        """The data of a GraphQL query or mutation, in which what ``must`` leads to is there.

        Any other part that the token may not see is None. Raises as ``call`` does.
        """
        return self.call(doing, lambda: self._graphql(query, variables, must), needs=needs, recheck=recheck)

    def _graphql(self, query: str, variables: Mapping[str, Any], must: Sequence[str]) -> dict[str, Any]:
        requester = self.requester
        headers, answer = requester.requestJsonAndCheck(
            "POST", requester.graphql_url, input={"query": query, "variables": dict(variables)}
        )
        data = answer.get("data") or {}
        found: Any = data
        for key in must:
            found = found.get(key) if found else None
        if found is not None:
            return dict(data)
        errors = answer.get("errors") or [{"type": "NOT_FOUND", "message": "Not Found"}]
        raise GithubException(_status(errors), {"message": _joined(errors)}, headers)

    def _follow(self, moved: MovedError) -> None:
        """Learn the repository's present name from the address that GitHub redirects to.

        "Redirects" of GitHub's REST API: it names ``/repositories/ID``. PyGithub would
        follow by itself, but lose the query, and not at all for 307.
        """
        path = urlsplit(moved.location).path
        _, found, rest = path.partition("/repositories/")
        number = rest.partition("/")[0]
        if not found or not number.isdigit():
            raise UnreachableError(
                f"{self.connection.api} redirects to {path}",
                next_step="check --manifest-repo and --forge-api",
            )
        _, data = self.requester.requestJsonAndCheck("GET", f"/repositories/{number}")
        self.connection.verbose(f"{self.project} is called {data['full_name']} now")
        self.project = data["full_name"]


class _Requester(Requester):
    """PyGithub's requester: it asks for one version of the API, and takes nothing but JSON for an answer."""

    def requestJsonAndCheck(  # noqa: N802 - PyGithub names it
        self,
        verb: str,
        url: str,
        parameters: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        input: object = None,  # noqa: A002 - PyGithub names it
        follow_302_redirect: bool = False,
    ) -> tuple[dict[str, Any], Any]:
        headers = {"X-GitHub-Api-Version": _API_VERSION, **(headers or {})}
        received, data = super().requestJsonAndCheck(
            verb, url, parameters, headers, input, follow_302_redirect
        )
        if isinstance(data, dict) and isinstance(data.get("data"), str):  # a page of some proxy's
            raise GithubException(502, {"message": "an answer that is no JSON"}, received)
        return received, data


class _NoRetry(Retry):
    """No retries, and an exception for each redirect before PyGithub sees it."""

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:  # noqa: ARG002 - urllib3's signature
        return 300 <= status_code < 400 and status_code != 304

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        if response is None or _pool is None:
            return super().increment(method, url, response, error, _pool, _stacktrace)
        response.drain_conn()
        here = f"{_pool.scheme}://{_pool.host}:{_pool.port}"
        there = urlsplit(urljoin(here, response.headers.get("Location", "")))
        port = there.port or (443 if there.scheme == "https" else 80)
        if (there.scheme, there.hostname, port) != (_pool.scheme, _pool.host, _pool.port):
            raise web.RedirectedError(f"{here} redirects to {there.scheme}://{there.netloc}")
        raise MovedError(there.geturl())


def every(found: PaginatedList[Element]) -> list[Element]:
    """All elements, page by page by number: a link in an answer may lead to another host."""
    elements: list[Element] = []
    while True:
        page = found.get_page(len(elements) // PER_PAGE)
        elements += page
        if len(page) < PER_PAGE:
            return elements


def explain(error: Exception) -> Failure | None:
    """What an exception of PyGithub or requests means."""
    if isinstance(error, GithubException):
        headers = {name.lower(): str(value) for name, value in (error.headers or {}).items()}
        if error.status in (403, 429) and "secondary rate limit" in str(error.data):
            # "Rate limits for the REST API": then wait for at least one minute.
            headers.setdefault("retry-after", "60")
        return Failure(error.status, f"HTTP {error.status}: {_said(error.data)}", headers)
    if isinstance(error, ValueError) and not isinstance(error, OSError):  # what is no JSON at all
        return Failure(502, "an answer that is no JSON")
    return web.explain(error)


def _said(data: object) -> str:
    """The message of an error document and those of its ``errors``, which are texts or objects."""
    if not isinstance(data, dict):
        return "no message"
    errors = data.get("errors")
    details = [_detail(one) for one in errors] if isinstance(errors, list) else []
    return ": ".join(part for part in (data.get("message"), "; ".join(details)) if part) or "no message"


def _detail(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    return str(error.get("message") or f"{error.get('field', error.get('resource'))} is {error.get('code')}")


def _joined(errors: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(str(error.get("message", "")) for error in errors)


def _status(errors: Sequence[Mapping[str, Any]]) -> int:
    """The HTTP status that the REST API would have; GraphQL says 200 ("Rate limits for the GraphQL API")."""
    known = {"NOT_FOUND": 404, "FORBIDDEN": 403, "INSUFFICIENT_SCOPES": 403, "RATE_LIMITED": 429}
    kinds = [error.get("type") for error in errors]
    if not any(kinds) and "went wrong" in _joined(errors):
        return 502
    return next((known[kind] for kind in kinds if kind in known), 422)


def _archived(doing: str, project: str) -> ForgeRefusedError:
    return ForgeRefusedError(
        f"{doing}: {project} is archived, which makes it read-only",
        next_step="unarchive the repository in its settings, or promote to another one",
        reason="archived",
    )


def _unseen(doing: str, project: str, needs: str) -> DeniedError:
    return DeniedError(
        f"{doing}: GitHub knows no {project}, or the token may not see it or what is asked for (HTTP 404)",
        next_step=f"check the repository's name; give the token access to it, with {needs}",
        reason="permission",
    )
