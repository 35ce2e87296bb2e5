"""Questions to one registry: the pull half of the OCI distribution spec 1.1, with its authentication.

A credential is shown to the registry's own scheme, host and port, and to the token server that this
registry names; to no host that an answer redirects to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from promoter import __version__
from promoter.errors import DeniedError, UnreachableError
from promoter.forges import web
from promoter.forges.calls import Connection, Failure, repeat
from promoter.forges.connect import ca_file
from promoter.registry.address import is_loopback, may_follow, same_origin, target_of
from promoter.registry.challenge import parse_challenges
from promoter.registry.credentials import credential_for
from promoter.registry.manifest import MAX_BYTES, InvalidDocumentError, parse_document
from promoter.secrets import register

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from promoter.deadline import Deadline
    from promoter.image import ImageReference
    from promoter.registry.address import RegistryAddress
    from promoter.registry.credentials import RegistryCredential

_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK = 1 << 14


@dataclass(frozen=True)
class Answer:
    """What a server said: ``headers`` have lower-case names, ``body`` is empty unless it is 200."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Session(web.Session):
    """Follows no redirect by itself, and keeps no cookie."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # The bytes as they are, since their digest counts.
        self.headers.update({"User-Agent": f"promoter/{__version__}", "Accept-Encoding": "identity"})

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the signature of requests
        """Nowhere: the client decides what goes along."""
        return None


class RegistryClient:
    """One registry for the length of one look-up."""

    def __init__(
        self,
        address: RegistryAddress,
        environ: Mapping[str, str],
        deadline: Deadline,
        verbose: Callable[[str], None],
    ) -> None:
        self.address = address
        self._environ = environ
        self._connection = Connection(
            address.origin, address.origin, "", None, "none", ca_file(environ), deadline, verbose
        )
        self._session = _Session(self._connection)
        self._asked_for_credential = False
        self._credential: RegistryCredential | None = None
        self._authorizations: dict[str, str] = {}  # by repository

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def credential(self) -> RegistryCredential | None:
        """The caller's credential for this registry, looked for once. Raises as ``credential_for``."""
        if not self._asked_for_credential:
            self._credential = credential_for(self.address, self._environ, self._connection.deadline)
            self._asked_for_credential = True
        return self._credential

    def fetch(self, method: str, image: ImageReference, path: str, accept: str = "*/*") -> Answer:
        """The answer for ``path`` in the image's repository, 200 or 404.

        Raises:
            DeniedError: the registry wants a credential, or another one.
            UnreachableError: it cannot be reached, or what answers is no registry.
            DeadlineError: it asked to wait longer than the run may take.
        """
        repository = image.key[1]
        url = f"{self.address.origin}/v2/{repository}/{path}"
        answer = self._follow(method, url, accept, self._authorizations.get(repository))
        if answer.status == 401 and same_origin(answer.url, self.address.origin):
            # Also where a token has expired on the way.
            self._authorizations[repository] = self._authorize(image, repository, answer)
            answer = self._follow(method, url, accept, self._authorizations[repository])
        if answer.status in (401, 403):
            raise self._denied(image, answer)
        if answer.status not in (200, 404):
            raise self._no_registry(answer)
        return answer

    def bad_answer(self, image: ImageReference, why: str) -> UnreachableError:
        """The error for an answer that cannot be used."""
        return UnreachableError(
            f"{self.address.name}: the answer for {image} cannot be used: {why}",
            next_step="check the registry, and what the build pushed there",
            reason="bad-answer",
        )

    def _follow(self, method: str, url: str, accept: str, authorization: str | None) -> Answer:
        """The answer at the end of redirects; other hosts, as those of blobs, get no credential."""
        for _ in range(_MOST_REDIRECTS + 1):
            shown = authorization if same_origin(url, self.address.origin) else None
            answer = self._send(method, url, shown, headers={"Accept": accept})
            if answer.status not in _REDIRECTS:
                return answer
            target = target_of(url, answer.headers.get("location", ""))
            if target is None:
                break
            url = target
        raise self._no_registry(answer)

    # --- authentication ----------------------------------------------------------------------

    def _authorize(self, image: ImageReference, repository: str, answer: Answer) -> str:
        """The value of the ``Authorization`` header that the registry asks for."""
        challenges = parse_challenges(answer.headers.get("www-authenticate", ""))
        schemes = {one.scheme: one.parameters for one in reversed(challenges)}
        credential = self.credential()
        if "bearer" in schemes:
            if credential is not None and credential.registry_token:
                return f"Bearer {credential.registry_token}"
            return f"Bearer {self._token(image, repository, schemes['bearer'], credential)}"
        if "basic" in schemes and credential is not None and credential.username:
            return credential.basic
        raise self._denied(image, answer)

    def _token(
        self,
        image: ImageReference,
        repository: str,
        parameters: Mapping[str, str],
        credential: RegistryCredential | None,
    ) -> str:
        """A token for reading one repository ("Token Authentication", "OAuth2 Token Authentication")."""
        realm = parameters.get("realm", "")
        if not may_follow(self.address.origin, realm):
            raise DeniedError(
                f"{self.address.name} names no token server that a credential may go to: it takes https",
                next_step="have the registry's operators correct the realm that it names",
                reason="authentication",
            )
        # What is needed, whatever scope the registry names.
        wanted = {"scope": f"repository:{repository}:pull", "service": parameters.get("service", "")}
        if credential is not None and credential.identity_token:
            grant = {"grant_type": "refresh_token", "refresh_token": credential.identity_token}
            answer = self._send("POST", realm, None, data={**wanted, **grant, "client_id": "promoter"})
        else:
            basic = credential.basic if credential is not None and credential.username else None
            answer = self._send("GET", realm, basic, params=wanted)
        if answer.status in (400, 401, 403):
            raise self._denied(image, answer)
        token = None
        if answer.status == 200:
            try:
                document = parse_document(answer.body)
            except InvalidDocumentError:
                document = {}
            token = document.get("token") or document.get("access_token")
        if not isinstance(token, str) or not (token.isascii() and token.isprintable()):
            raise UnreachableError(
                f"{_origin(answer.url)}, the token server of {self.address.name}, gives no token "
                f"(HTTP {answer.status})",
                next_step="check the registry and the address of its token server",
                reason="bad-answer",
            )
        register(token)
        return token

    # --- one request -------------------------------------------------------------------------

    def _send(self, method: str, url: str, authorization: str | None, **more: Any) -> Answer:  # noqa: ANN401 - handed to requests
        """One request, repeated where that can help; any answer but the transient ones."""
        headers = {**more.pop("headers", {}), **({"Authorization": authorization} if authorization else {})}

        # No proxy to this very machine, as in Go's programs: what goes there in the clear stays there.
        self._session.trust_env = not is_loopback(url)

        def call() -> Answer:
            with self._session.request(
                method,
                url,
                headers=headers,
                timeout=self._session.timeout,
                stream=True,
                allow_redirects=False,
                **more,
            ) as response:
                said = {name.lower(): value for name, value in response.headers.items()}
                status = response.status_code
                if status in _TRANSIENT or (status == 403 and "retry-after" in said):
                    response.raise_for_status()
                return Answer(url, status, said, self._body(response) if status == 200 else b"")

        connection = replace(self._connection, api=_origin(url))
        return repeat(connection, f"asking {_origin(url)}", call, _explain, needs="leave to pull")

    def _body(self, response: requests.Response) -> bytes:
        """The body, as long as it may be."""
        body = bytearray()
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if len(body) > MAX_BYTES:
                raise UnreachableError(
                    f"{_origin(response.url)} answers with more than {MAX_BYTES >> 20} MiB",
                    next_step="check what the build pushed there: no manifest or configuration is that long",
                    reason="bad-answer",
                )
            if self._connection.deadline.passed():
                raise requests.ReadTimeout
        return bytes(body)

    # --- errors ------------------------------------------------------------------------------

    def _denied(self, image: ImageReference, answer: Answer) -> DeniedError:
        name, credential = self.address.name, self._credential
        who = name if same_origin(answer.url, self.address.origin) else f"{_origin(answer.url)} (for {name})"
        if credential is None:
            message = f"{who} does not show {image} without a credential"
            step = f"log in with docker login {name}, or name the directory of a config.json in DOCKER_CONFIG"
        elif answer.status == 403:
            message = f"{who}: the credential from {credential.source} may not read {image}"
            step = "give it leave to pull there"
        else:
            message = f"{who} does not accept the credential from {credential.source} for {image}"
            step = f"log in again with docker login {name}, and check that the credential has not expired"
        return DeniedError(
            message,
            next_step=f"{step}; check the name too: some registries say the same of what does not exist",
            reason="permission" if credential is not None and answer.status == 403 else "authentication",
        )

    def _no_registry(self, answer: Answer) -> UnreachableError:
        return UnreachableError(
            f"{_origin(answer.url)} does not answer like a registry (HTTP {answer.status})",
            next_step="check the host in the image's name, and the proxy if there is one",
            reason="bad-answer",
        )


def _explain(error: Exception) -> Failure | None:
    """As ``web.explain``, but that the body of an error is not read: nothing says how long it is."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        headers = {name.lower(): value for name, value in error.response.headers.items()}
        return Failure(error.response.status_code, f"HTTP {error.response.status_code}", headers)
    return web.explain(error)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
