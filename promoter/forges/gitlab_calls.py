"""python-gitlab under our own rules: one host, errors with their headers, retries by ``calls.repeat``.

python-gitlab drops an answer's headers (``Retry-After`` among them) when it raises, and sends
its ``PRIVATE-TOKEN`` wherever a redirect or a pagination link leads. The session here raises
by itself, before python-gitlab sees the answer, and leaves the API's host for nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import gitlab
import requests

from promoter.errors import DeniedError
from promoter.forges import calls, web
from promoter.forges.calls import CallFailedError, Failure
from promoter.forges.port import ForgeRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from promoter.forges.calls import Connection

Json = dict[str, Any]

# Roles and scopes: "Roles and permissions" and "Personal access token scopes" in GitLab's documentation.
READ = "the scope `api` and at least the Developer role (`read_api` and Reporter are enough to look)"
WRITE = (
    "the scope `api` and at least the Developer role "
    "(a project, group or personal access token; CI_JOB_TOKEN cannot do that)"
)
_PAGE = 100  # the most that GitLab gives at once
_LONGEST_WORD = 300


class Client:
    """One project on one GitLab.

    Its methods raise DeniedError (401, 403), UnreachableError, DeadlineError, and
    ForgeRefusedError for any other refusal, or CallFailedError where the caller ``expects`` it.
    ``recheck`` looks, before a change is asked for again, for what the first try may have done.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._session = _Session(connection)
        self._gitlab = gitlab.Gitlab(
            url=connection.api.removesuffix("/api/v4"),
            private_token=connection.token,
            session=self._session,
            keep_base_url=True,
            retry_transient_errors=False,
        )
        lazy = self._gitlab.projects.get(connection.project, lazy=True)
        self.project = f"/projects/{lazy.encoded_id}"

    def get(
        self,
        doing: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        expects: Collection[int] = (),
    ) -> Json:
        """One thing."""

        def ask() -> object:
            return self._gitlab.http_get(path, query_data=dict(query or {}))

        return cast("Json", self._call(doing, ask, READ, expects))

    def get_all(self, doing: str, path: str, query: Mapping[str, str] | None = None) -> list[Json]:
        """All pages of a list."""

        def ask() -> object:
            return self._gitlab.http_list(path, query_data=dict(query or {}), get_all=True, per_page=_PAGE)

        return cast("list[Json]", self._call(doing, ask, READ))

    def glance(self, path: str) -> Json:
        """One thing, asked for once: for a ``recheck``, which is part of a call that is repeated."""
        return cast("Json", self._gitlab.http_get(path))

    def glance_all(self, path: str, query: Mapping[str, str]) -> list[Json]:
        """The first page of a list, asked for once."""
        found = self._gitlab.http_list(path, query_data=dict(query), get_all=False, per_page=_PAGE)
        return cast("list[Json]", found)

    def post(
        self,
        doing: str,
        path: str,
        data: Json,
        *,
        expects: Collection[int] = (),
        recheck: Callable[[], Json | None] | None = None,
    ) -> Json:
        """Make something."""

        def ask() -> object:
            return self._gitlab.http_post(path, post_data=data)

        return cast("Json", self._write(doing, ask, WRITE, expects, recheck))

    def put(self, doing: str, path: str, data: Json) -> Json:
        """Change something."""

        def ask() -> object:
            return self._gitlab.http_put(path, post_data=data)

        return cast("Json", self._write(doing, ask, WRITE))

    def merge(
        self,
        doing: str,
        path: str,
        data: Json,
        base: str,
        recheck: Callable[[], Json | None],
        *,
        boards: bool = False,
    ) -> Json:
        """Change the base, or board the train that will. Expects every refusal."""
        send = self._gitlab.http_post if boards else self._gitlab.http_put

        def ask() -> object:
            return send(path, post_data=data)

        needs = (
            f"the scope `api` and the right to merge into {base} (Settings > Repository > Protected branches)"
        )
        expects = (400, 405, 406, 409, 422)
        return cast("Json", self._write(doing, ask, needs, expects, recheck, _explain_merge))

    def settings(self) -> Json:
        """The project itself: https://docs.gitlab.com/api/projects/."""
        return self.get("reading the project", self.project)

    def _write(
        self,
        doing: str,
        ask: Callable[[], object],
        needs: str,
        expects: Collection[int] = (),
        recheck: Callable[[], Json | None] | None = None,
        meaning: Callable[[Exception], Failure | None] | None = None,
    ) -> object:
        try:
            return self._call(doing, ask, needs, expects, recheck, meaning)
        except DeniedError as error:
            if error.reason == "permission" and self._is_archived():
                raise ForgeRefusedError(
                    f"{doing}: {self.connection.project} is archived and takes no changes",
                    next_step="unarchive the project (Settings > General > Advanced), or promote elsewhere",
                    reason="archived",
                ) from None
            raise

    def _call(
        self,
        doing: str,
        ask: Callable[[], object],
        needs: str,
        expects: Collection[int] = (),
        recheck: Callable[[], object | None] | None = None,
        meaning: Callable[[Exception], Failure | None] | None = None,
    ) -> object:
        again = False

        def look_and_ask() -> object:
            nonlocal again
            # requests takes a pair, and python-gitlab only hands it on
            self._gitlab.timeout = cast("float", self._session.timeout)
            if again and recheck is not None and (done := recheck()) is not None:
                return done
            again = True
            return ask()

        try:
            return calls.repeat(self.connection, doing, look_and_ask, meaning or explain, needs=needs)
        except CallFailedError as error:
            if error.status in expects:
                raise
            raise self.refusal(doing, error) from None

    def refusal(self, doing: str, error: CallFailedError, reason: str = "refused") -> ForgeRefusedError:
        """The error for people."""
        step = "see what GitLab says above; doing it in the browser mostly says more"
        if error.status == 404:
            step = (
                f"check that {self.connection.project} is the project's path; "
                f"a token that may not see it is answered the same: give it {READ}"
            )
        return ForgeRefusedError(f"{doing}: GitLab says no ({error.message})", next_step=step, reason=reason)

    def _is_archived(self) -> bool:
        try:
            return bool(self.settings().get("archived"))
        except DeniedError:
            return False


class _Session(web.Session):
    """Raises for every answer above 399, and sends nothing to another host than the API's."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._home = urlsplit(connection.api)[:2]
        self.hooks["response"] = [_raise_for_status]

    def send(self, request: requests.PreparedRequest, **kwargs: object) -> requests.Response:
        """As requests does. Raises RedirectedError where a pagination link leads to another host."""
        there = urlsplit(request.url or "")
        if there[:2] != self._home:
            raise web.RedirectedError(
                f"{self._home[1]} points to {there.scheme}://{there.netloc}", request=request
            )
        return super().send(request, **kwargs)  # type: ignore[arg-type]  # requests' own options


def _raise_for_status(response: requests.Response, *_: object, **__: object) -> requests.Response:
    response.raise_for_status()
    return response


def explain(error: Exception) -> Failure | None:
    """What an exception of python-gitlab or requests means."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return _failure_of(error.response)
    if isinstance(error, gitlab.exceptions.RedirectError):
        return Failure(301, "HTTP 301: the project or the API has moved to another address on this host")
    if isinstance(error, gitlab.exceptions.GitlabError):
        return Failure(None, "the answer is not GitLab's JSON")
    return web.explain(error)


def _explain_merge(error: Exception) -> Failure | None:
    """GitLab answers 401 to a token that is good but may not merge into the branch.

    https://docs.gitlab.com/api/merge_requests/#merge-a-merge-request
    """
    failure = explain(error)
    if failure is not None and failure.status == 401:
        return Failure(403, failure.message, failure.headers)
    return failure


def _failure_of(response: requests.Response) -> Failure:
    try:
        document = response.json()
    except ValueError:
        document = None
    said = _words(document) if isinstance(document, dict) else ""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Failure(response.status_code, f"HTTP {response.status_code}: {said or response.reason}", headers)


def _words(document: Json) -> str:
    """The message, which GitLab writes as a text, a list, or lists by attribute; or OAuth's error."""
    said = document.get("message") or document.get("error_description") or document.get("error") or ""
    text = _flat(said)
    if document.get("error") == "insufficient_scope":
        text = f"insufficient_scope: {text}"
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:_LONGEST_WORD]


def _flat(said: object) -> str:
    if isinstance(said, dict):
        return "; ".join(f"{key}: {_flat(value)}" for key, value in said.items())
    if isinstance(said, list):
        return ", ".join(_flat(value) for value in said)
    return str(said)
