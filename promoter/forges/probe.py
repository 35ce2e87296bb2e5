"""What kind of forge a server is, asked without any credential. The last resort."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import NewConnectionError

from promoter.errors import UnreachableError
from promoter.forges.calls import Connection
from promoter.forges.web import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from promoter.deadline import Deadline
    from promoter.forges.locate import Kind

_SECONDS = 5.0
_MOST_BYTES = 1 << 16


def probe(web: str, ca_file: str | None, deadline: Deadline, verbose: Callable[[str], None]) -> Kind | None:
    """The kind of the forge at this web address; None where it is none that we know.

    Raises UnreachableError where the server is there but cannot say (an error of its
    own, no answer in time): a guess would make one run's pull request another run's branch.
    """
    connection = Connection(web, web, "", None, "none", ca_file, deadline, verbose)
    asked: list[tuple[str, Callable[[requests.Response, Any], bool], Kind]] = [
        ("/api/v4/version", _is_gitlab, "gitlab"),
        ("/api/v1/version", _is_gitea, "gitea"),
        ("/api/v3/meta", _is_github, "github"),
    ]
    with Session(connection) as session:
        for path, is_it, kind in asked:
            answer = _get(session, web, path, deadline)
            if answer is None:
                return None
            document = _document(answer)
            if is_it(answer, document):
                verbose(f"{web} answers {path} like {kind}")
                return kind
    return None


def _get(session: Session, web: str, path: str, deadline: Deadline) -> requests.Response | None:
    """An answer; None where nothing listens there, as on a server that knows only ssh."""
    seconds = max(1.0, min(_SECONDS, deadline.remaining()))
    try:
        answer = session.get(web + path, timeout=seconds, stream=True)
    except requests.ConnectTimeout:
        return None
    except requests.Timeout:
        raise _untold(web, "no answer in time") from None
    except requests.exceptions.SSLError:
        raise _untold(web, "its certificate is not trusted") from None
    except requests.ConnectionError as error:
        refused = (
            isinstance(getattr(error.args[0], "reason", None), NewConnectionError) if error.args else False
        )
        if refused and not isinstance(error, requests.exceptions.ProxyError):
            return None
        raise _untold(web, "the connection broke") from None
    except requests.RequestException as error:  # redirected to another host, or no HTTP
        if error.response is not None:
            error.response.close()
        raise _untold(web, str(error)) from None
    if answer.status_code == 429 or answer.status_code >= 500:
        answer.close()
        raise _untold(web, f"HTTP {answer.status_code}")
    return answer


def _document(answer: requests.Response) -> Any:  # noqa: ANN401 - whatever JSON it is
    import json

    try:
        return json.loads(answer.raw.read(_MOST_BYTES, decode_content=True))
    except (ValueError, OSError, requests.RequestException):
        return None
    finally:
        answer.close()


def _is_gitlab(answer: requests.Response, document: Any) -> bool:  # noqa: ANN401 - JSON
    """GitLab tells its version only to users ("Version API"): 401 in JSON, and a header of its own."""
    refused = isinstance(document, dict) and str(document.get("message", "")).startswith("401")
    return "x-gitlab-meta" in answer.headers or (answer.status_code == 401 and refused)


def _is_gitea(answer: requests.Response, document: Any) -> bool:  # noqa: ANN401 - JSON
    """Gitea and Forgejo tell it to everybody, or say that they want a login (REQUIRE_SIGNIN_VIEW)."""
    if not isinstance(document, dict):
        return False
    if answer.status_code == 200:
        return isinstance(document.get("version"), str)
    return answer.status_code == 403 and "signed in user" in str(document.get("message", ""))


def _is_github(answer: requests.Response, document: Any) -> bool:  # noqa: ANN401 - JSON
    """GitHub Enterprise Server tells its version, or in private mode where it is documented how to ask."""
    if not isinstance(document, dict):
        return False
    return (
        "x-github-request-id" in answer.headers
        or "installed_version" in document
        or (answer.status_code in (401, 403) and "docs.github.com" in str(document.get("documentation_url")))
    )


def _untold(web: str, why: str) -> UnreachableError:
    return UnreachableError(
        f"which forge {urlsplit(web).netloc} is cannot be told: {why}",
        next_step="name it as forge: {type: github | gitlab | gitea | git}, or give --forge-api",
        reason="forge-unknown",
    )
