"""A GitHub App's key becomes a token for one repository; what is missing is named."""

import re
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from promoter import secrets
from promoter.credentials import Credential
from promoter.deadline import Deadline
from promoter.errors import DeadlineError, DeniedError, PromoterError, UnreachableError, UsageError
from promoter.forges.app_token import CONTENTS, PULL_REQUESTS, bot_identity, obtain, permissions_for
from promoter.forges.calls import Connection
from tests.support.webserver import Answer, Asked, WebServer, serving

PROJECT = "acme/deploy"
TOKEN = "ghs_canary-of-the-installation"
APP_ID = "1234"
INSTALLATION = "GET /repos/acme/deploy/installation"
ACCESS = "POST /app/installations/77/access_tokens"
GRANTED = {"contents": "write", "pull_requests": "write", "metadata": "read", "statuses": "write"}


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: Any = None, password: bytes | None = None) -> str:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    text: bytes = (key or rsa_key()).private_bytes(serialization.Encoding.PEM, form, encryption)
    return text.decode()


def installation(**more: Any) -> dict[str, Any]:
    return {"id": 77, "app_slug": "promoter-app", "permissions": GRANTED, "suspended_at": None, **more}


@pytest.fixture
def server() -> Iterator[WebServer]:
    def as_the_app(answer: Answer) -> Any:
        def check(asked: Asked) -> Answer:
            scheme, _, token = asked.headers["authorization"].partition(" ")
            try:
                claims = jwt.decode(token, rsa_key().public_key(), algorithms=["RS256"], issuer=APP_ID)
            except jwt.PyJWTError:
                return Answer(401, {"message": "A JSON web token could not be decoded"})
            assert scheme == "Bearer"
            assert 55 <= time.time() - claims["iat"] <= 75, "a minute for clocks that differ"
            assert claims["exp"] - time.time() < 600, "GitHub takes no more than ten minutes"
            return answer

        return check

    routes = {
        INSTALLATION: as_the_app(Answer(200, installation())),
        ACCESS: as_the_app(Answer(201, {"token": TOKEN, "expires_at": "2030-01-01T00:00:00Z"})),
        "GET /users/promoter-app%5Bbot%5D": Answer(200, {"id": 4321, "login": "promoter-app[bot]"}),
    }
    with serving(routes) as running:
        yield running


def connection(server: WebServer, token: str | None = None, seconds: float = 20) -> Connection:
    return Connection(
        server.url, "https://github.com", PROJECT, token, "none", None, Deadline(seconds), lambda _: None
    )


def get(
    server: WebServer, key: str = "", permissions: Any = PULL_REQUESTS, app_id: str = APP_ID, **more: Any
) -> Any:
    app = Credential("app", "x-access-token", key or pem(), "PROMOTER_APP_PRIVATE_KEY", app_id)
    return obtain(connection(server, **more), app, permissions)


def refused(error: type[PromoterError], *words: str) -> Any:
    pattern = "".join(f"(?=.*{re.escape(word)})" for word in words)
    return pytest.raises(error, match=f"(?s){pattern}")


def test_the_token_is_for_this_repository_and_these_permissions_only(server: WebServer) -> None:
    got = get(server)
    assert (got.kind, got.username, got.secret) == ("installation", "x-access-token", TOKEN)
    assert got.app_slug == "promoter-app"
    assert TOKEN not in repr(got)
    assert [f"{one.method} {one.path}" for one in server.asked] == [INSTALLATION, ACCESS]
    assert server.asked[1].body == {
        "repositories": ["deploy"],
        "permissions": {"contents": "write", "pull_requests": "write"},
    }


def test_git_alone_needs_the_contents_alone(server: WebServer) -> None:
    get(server, permissions=CONTENTS)
    assert server.asked[1].body["permissions"] == {"contents": "write"}


@pytest.mark.parametrize(
    ("features", "more"),
    [
        ({}, {}),
        ({"gate": True}, {"statuses": "write"}),
        ({"checks": True}, {"checks": "read", "statuses": "read"}),
        ({"gate": True, "checks": True}, {"checks": "read", "statuses": "write"}),
        ({"teams": True}, {"members": "read"}),
        ({"workflows": True}, {"workflows": "write"}),
    ],
)
def test_permissions_of_the_features(features: dict[str, bool], more: dict[str, str]) -> None:
    assert permissions_for(**features) == {"contents": "write", "pull_requests": "write", **more}


def written(form: str, folder: Path) -> str:
    text = pem()
    if form == "file":
        (folder / "app key.pem").write_text(text)
        return str(folder / "app key.pem")
    forms = {"text": text, "stripped": text.strip(), "crlf": text.replace("\n", "\r\n")}
    return {**forms, "written out": text.replace("\n", "\\n"), "spaces": text.replace("\n", " ")}[form]


@pytest.mark.parametrize("form", ["text", "stripped", "crlf", "written out", "spaces", "file"])
def test_forms_of_the_key(server: WebServer, tmp_path: Path, form: str) -> None:
    assert get(server, written(form, tmp_path)).secret == TOKEN
    line = pem().splitlines()[5]
    assert secrets.mask(f"key {line}", frozenset()) == "key ***"


def test_what_was_obtained_is_masked(server: WebServer) -> None:
    get(server)
    sent = server.asked[0].headers["authorization"].removeprefix("Bearer ")
    assert secrets.mask(f"{TOKEN} {sent}", frozenset()) == "*** ***"


def public_pem() -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return rsa_key().public_key().public_bytes(serialization.Encoding.PEM, form).decode()


NO_KEYS: dict[str, Callable[[], str]] = {
    "a word": lambda: "canary",
    "no such file": lambda: "/nonexistent/key.pem",
    "empty block": lambda: "-----BEGIN RSA PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----",
    "cut off": lambda: pem()[:300],
    "no key inside": lambda: "-----BEGIN RSA PRIVATE KEY-----\nY2FuYXJ5\n-----END RSA PRIVATE KEY-----",
    "of another kind": lambda: pem(ec.generate_private_key(ec.SECP256R1())),
    "with a passphrase": lambda: pem(password=b"canary"),
    "the public one": public_pem,
}


@pytest.mark.parametrize("key", NO_KEYS)
def test_a_key_that_is_none_is_sent_nowhere(server: WebServer, key: str) -> None:
    text = NO_KEYS[key]()
    with refused(UsageError, "PROMOTER_APP_PRIVATE_KEY") as caught:
        get(server, text)
    assert ".pem" in (caught.value.next_step or "")
    assert not any(line in str(caught.value) for line in [*filter(None, text.splitlines()), "canary"])
    assert server.asked == []


def test_a_key_file_that_is_none(server: WebServer, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\x00 canary")
    with refused(UsageError, "PROMOTER_APP_PRIVATE_KEY"):
        get(server, str(tmp_path / "key"))


def test_another_apps_key(server: WebServer) -> None:
    with refused(DeniedError, "does not accept") as caught:
        get(server, pem(rsa.generate_private_key(65537, 2048)))
    for word in ("PROMOTER_APP_ID", "PROMOTER_APP_PRIVATE_KEY", "clock"):
        assert word in (caught.value.next_step or "")
    assert len(server.asked) == 1, "a 401 is not repeated"


def test_another_apps_id(server: WebServer) -> None:
    with refused(DeniedError, "does not accept"):
        get(server, app_id="999")


def test_not_installed_on_the_repository(server: WebServer) -> None:
    del server.routes[INSTALLATION]
    with refused(DeniedError, "not installed on acme/deploy") as caught:
        get(server)
    assert "Install App" in (caught.value.next_step or "")
    assert caught.value.reason == "app-not-installed"


def test_suspended(server: WebServer) -> None:
    server.routes[INSTALLATION] = Answer(200, installation(suspended_at="2026-01-01T00:00:00Z"))
    with refused(DeniedError, "promoter-app", "suspended"):
        get(server)


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        ({"contents": "write"}, "Pull requests: write"),
        ({"contents": "read", "pull_requests": "write"}, "Contents: write"),
        ({}, "Contents: write, Pull requests: write"),
        (None, "Contents: write, Pull requests: write"),
    ],
)
def test_a_permission_that_was_not_granted_is_named(server: WebServer, granted: Any, missing: str) -> None:
    server.routes[INSTALLATION] = Answer(200, installation(permissions=granted))
    with refused(DeniedError, "promoter-app", f"not been granted {missing} on acme/deploy") as caught:
        get(server)
    assert "accept" in (caught.value.next_step or "")
    assert [one.method for one in server.asked] == ["GET"]


def test_more_than_asked_is_enough(server: WebServer) -> None:
    granted = {"contents": "admin", "pull_requests": "write", "members": "write"}
    server.routes[INSTALLATION] = Answer(200, installation(permissions=granted))
    assert get(server, permissions=permissions_for(teams=True)).secret == TOKEN


def test_github_refuses_the_permissions_itself(server: WebServer) -> None:
    said = "The permissions requested are not granted to this installation."
    server.routes[ACCESS] = Answer(422, {"message": said})
    with refused(DeniedError, said) as caught:
        get(server)
    assert caught.value.reason == "permission"


def test_what_passes_is_repeated(server: WebServer) -> None:
    server.routes[ACCESS] = [Answer(503), Answer(502), Answer(201, {"token": TOKEN})]
    assert get(server).secret == TOKEN


def test_the_deadline_ends_it(server: WebServer) -> None:
    server.routes[INSTALLATION] = Answer(503)
    with refused(DeadlineError, "deadline"):
        get(server, seconds=0.5)


def test_nothing_goes_to_another_host(server: WebServer) -> None:
    with serving({INSTALLATION: Answer(200, installation())}) as other:
        server.routes[INSTALLATION] = Answer(
            302, None, {"Location": f"{other.url}/repos/acme/deploy/installation"}
        )
        with refused(UnreachableError, "redirects"):
            get(server)
        assert other.asked == []


def test_the_apps_bot_as_an_author(server: WebServer) -> None:
    author = bot_identity(connection(server, TOKEN), "promoter-app")
    assert author == "promoter-app[bot] <4321+promoter-app[bot]@users.noreply.github.com>"
    assert server.asked[-1].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_bot_that_nobody_knows(server: WebServer) -> None:
    with refused(DeniedError, "bot user"):
        bot_identity(connection(server, TOKEN), "unknown")
