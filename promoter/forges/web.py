"""HTTP for the forge adapters: the caller's authority, no ambient credentials, no token to another host."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import NewConnectionError

from promoter.forges.calls import Failure

if TYPE_CHECKING:
    from promoter.forges.calls import Connection

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0


class RedirectedError(requests.RequestException):
    """The answer points to another host, where nothing of ours shall go."""


class Session(requests.Session):
    """A session that follows redirects only within one scheme, host and port, and reads no netrc."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        if connection.ca_file:
            self.verify = connection.ca_file
        self.auth = _keep_headers

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where requests would go next. Raises RedirectedError for another host."""
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        here, there = urlsplit(resp.url), urlsplit(urljoin(resp.url, target))
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise RedirectedError(
                f"{here.netloc} redirects to {there.scheme}://{there.netloc}", response=resp
            )
        return target

    def merge_environment_settings(self, url, proxies, stream, verify, cert):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - requests' own loose signature
        """The caller's authority is the session's; REQUESTS_CA_BUNDLE would otherwise win over it."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        if self._connection.ca_file:
            settings["verify"] = self._connection.ca_file
        return settings

    @property
    def timeout(self) -> tuple[float, float]:
        """How long a call may take to connect and to answer, by the run's deadline."""
        left = max(1.0, self._connection.deadline.remaining())
        return min(CONNECT_SECONDS, left), min(READ_SECONDS, left)


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """In the place of an auth: requests would otherwise look for a netrc and overwrite our header."""
    return request


def explain(error: Exception) -> Failure | None:
    """What an exception of requests means."""
    if isinstance(error, RedirectedError):
        return Failure(None, str(error))
    if isinstance(error, requests.Timeout):
        return Failure(None, "no answer in time", timed_out=True)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return failure_of(error.response)
    if isinstance(error, requests.ConnectionError):
        broken = "reset" in str(error) or "aborted" in str(error)
        return Failure(None, _cause(error), timed_out=broken, arrived=not _is_refused(error))
    if isinstance(error, requests.RequestException):
        return Failure(None, type(error).__name__)
    return None


def failure_of(response: requests.Response) -> Failure:
    """An answer above 399 in its own words."""
    try:
        document = response.json()
    except ValueError:
        document = None
    said = document.get("message") if isinstance(document, dict) else None
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Failure(response.status_code, f"HTTP {response.status_code}: {said or response.reason}", headers)


def _is_refused(error: requests.ConnectionError) -> bool:
    """Whether no connection came about: nobody listens there, or the name is unknown."""
    return bool(error.args) and isinstance(getattr(error.args[0], "reason", None), NewConnectionError)


def _cause(error: requests.ConnectionError) -> str:
    """The innermost reason, without addresses that hold a query."""
    reason: BaseException = error
    while (inner := reason.__cause__ or reason.__context__) is not None:
        reason = inner
    return str(reason)[:200] or type(error).__name__
