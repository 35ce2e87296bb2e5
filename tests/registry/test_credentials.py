"""Which credential a registry gets, in all the places where Docker keeps one, and who never gets it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promoter.deadline import Deadline
from promoter.errors import PromoterError
from promoter.image import parse_reference
from promoter.registry.address import address_of
from promoter.registry.credentials import credential_for
from tests.registry.conftest import Asker, WithTokens
from tests.registry.test_look_up import failure
from tests.support import tls
from tests.support.gitserver import Proxy
from tests.support.registry import (
    PASSWORD,
    USER,
    Answer,
    Asked,
    Registry,
    auths,
    basic,
    docker_config,
    running,
    serving,
)

AUTH = basic().removeprefix("Basic ")
SECRETS = (PASSWORD, AUTH, PASSWORD[::-1])


@pytest.fixture(autouse=True)
def nothing_comes_out(capfd: pytest.CaptureFixture[str], ask: Asker) -> Iterator[None]:
    yield
    said = "".join(capfd.readouterr()) + "".join(ask.said)
    assert [secret for secret in SECRETS if secret in said] == []


def refusal(ask: Asker, *args: Any) -> PromoterError:
    """The error of a look-up, which holds no secret, nor does anything it came from."""
    error: BaseException | None = failure(ask, *args)
    assert isinstance(error, PromoterError)
    told = f"{error.message} {error.next_step} {error!r}"
    assert [secret for secret in SECRETS if secret in told] == []
    return error


def helper(directory: Path, name: str, script: str) -> dict[str, str]:
    """Write a `docker-credential-<name>` that notes how it was called; returns a PATH with it."""
    directory.mkdir(exist_ok=True)
    program = directory / f"docker-credential-{name}"
    note = f'(echo "$#:$1"; cat; echo; env) > {directory / "called"}\n'
    program.write_text(f"#!/bin/sh\n{note}{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{directory}:/usr/bin:/bin"}


def answering(username: str, secret: str) -> str:
    return f"echo '{json.dumps({'ServerURL': 'x', 'Username': username, 'Secret': secret})}'"


# --- where Docker keeps credentials

FORMS: dict[str, dict[str, Any]] = {
    "auth": {"{host}": {"auth": AUTH}},
    "username and password": {"{host}": {"username": USER, "password": PASSWORD}},
    "an old URL": {"https://{host}/v1/": {"auth": AUTH}},
    "a namespace": {"{host}/acme": {"auth": AUTH}},
    "beside an empty one": {"{host}": {}, "https://{host}": {"auth": AUTH}},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_auths(
    basic_registry: Registry, repository: str, ask: Asker, tmp_path: Path, form: dict[str, Any]
) -> None:
    digest = basic_registry.push_index(repository, "1.0.0")
    entries = {name.format(host=basic_registry.host): entry for name, entry in form.items()}
    ask.environ = docker_config(tmp_path, {"auths": entries})
    assert ask(f"{basic_registry.host}/{repository}:1.0.0", ["linux/amd64"]).digest == digest


@pytest.mark.parametrize("place", ["HOME", "DOCKER_AUTH_CONFIG"])
def test_other_places(
    basic_registry: Registry, repository: str, ask: Asker, tmp_path: Path, place: str
) -> None:
    digest = basic_registry.push_image(repository, "1.0.0")
    login = auths(basic_registry.host)
    docker_config(
        tmp_path / ".docker", login if place == "HOME" else auths(basic_registry.host, "x", "wrong")
    )
    ask.environ = {"HOME": str(tmp_path)}
    if place == "DOCKER_AUTH_CONFIG":
        ask.environ[place] = json.dumps(login)
    assert ask(f"{basic_registry.host}/{repository}:1.0.0").digest == digest


@pytest.mark.parametrize("key", ["credHelpers", "credsStore"])
def test_a_credential_helper(
    basic_registry: Registry, repository: str, ask: Asker, tmp_path: Path, key: str
) -> None:
    digest = basic_registry.push_image(repository, "1.0.0")
    host = basic_registry.host
    named = {"credHelpers": {host: "test"}, "credsStore": "other"} if key == "credHelpers" else {key: "test"}
    ask.environ = {
        **docker_config(tmp_path, {**named, "auths": auths(host, "x", "wrong")["auths"]}),
        **helper(tmp_path / "bin", "test", answering(USER, PASSWORD)),
        "PROMOTER_TOKEN": "canary-token",
        "AWS_PROFILE": "ci",
    }
    assert ask(f"{host}/{repository}:1.0.0").digest == digest
    called = (tmp_path / "bin" / "called").read_text().splitlines()
    assert called[:2] == ["1:get", host]
    assert "AWS_PROFILE=ci" in called
    assert "canary-token" not in "".join(called)


def test_a_helper_that_knows_nothing(
    basic_registry: Registry, repository: str, ask: Asker, tmp_path: Path
) -> None:
    digest = basic_registry.push_image(repository, "1.0.0")
    ask.environ = {
        **docker_config(tmp_path, {"credsStore": "test", **auths(basic_registry.host)}),
        **helper(tmp_path / "bin", "test", "echo 'credentials not found in native keychain'; exit 1"),
    }
    assert ask(f"{basic_registry.host}/{repository}:1.0.0").digest == digest


@pytest.mark.parametrize(
    ("script", "code", "says"),
    [
        (f"echo {PASSWORD}; echo {PASSWORD} >&2; exit 3", 8, "ends with code 3"),
        (f"echo {PASSWORD}", 8, "something else than a credential"),
        (None, 9, "not on PATH"),
    ],
)
def test_a_helper_that_fails(
    basic_registry: Registry, ask: Asker, tmp_path: Path, script: str | None, code: int, says: str
) -> None:
    ask.environ = {**docker_config(tmp_path, {"credsStore": "test"}), "PATH": "/usr/bin:/bin"}
    if script is not None:
        ask.environ |= helper(tmp_path / "bin", "test", script)
    error = refusal(ask, f"{basic_registry.host}/acme/api:1")
    assert (error.exit_code, says in error.message, "docker-credential-test" in error.message) == (
        code,
        True,
        True,
    )


def test_a_helper_that_hangs(basic_registry: Registry, ask: Asker, tmp_path: Path) -> None:
    ask.environ = {
        **docker_config(tmp_path, {"credsStore": "test"}),
        **helper(tmp_path / "bin", "test", "exec sleep 60"),
    }
    ask.seconds = 1
    assert refusal(ask, f"{basic_registry.host}/acme/api:1").exit_code == 7


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (f'{{"auths": "{PASSWORD}"', "no JSON"),
        ("[]", "no JSON"),
        ('{"credsStore": "../../tmp/x"}', "no name that a program has"),
        ('{"credsStore": ["x"]}', "no name that a program has"),
    ],
)
def test_a_configuration_that_is_wrong(
    basic_registry: Registry, ask: Asker, tmp_path: Path, content: str, says: str
) -> None:
    file = tmp_path / "config.json"
    file.write_text(content)
    ask.environ = {"DOCKER_CONFIG": str(tmp_path)}
    error = refusal(ask, f"{basic_registry.host}/acme/api:1")
    assert (error.exit_code, error.file, says in error.message) == (3, str(file), True)


@pytest.mark.parametrize("image", ["nginx:1", "docker.io/acme/api:1", "index.docker.io/acme/api:1"])
def test_docker_hub_has_names_of_its_own(image: str, tmp_path: Path) -> None:
    address = address_of(parse_reference(image))
    assert address.origin == "https://registry-1.docker.io"
    for entry in ("https://index.docker.io/v1/", "docker.io"):
        environ = docker_config(tmp_path / "a", auths(entry))
        found = credential_for(address, environ, Deadline(10))
        assert found is not None
        assert (found.username, found.password) == (USER, PASSWORD)
    environ = docker_config(tmp_path / "b", {"credsStore": "test"}) | helper(
        tmp_path / "bin", "test", answering(USER, PASSWORD)
    )
    assert credential_for(address, environ, Deadline(10))
    called = (tmp_path / "bin" / "called").read_text().splitlines()
    assert called[1] == "https://index.docker.io/v1/"


@pytest.mark.parametrize(
    ("registry", "origin"),
    [
        ("ghcr.io", "https://ghcr.io"),
        ("GHCR.io:8443", "https://ghcr.io:8443"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.8.0.1", "http://127.8.0.1"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("10.0.0.1:5000", "https://10.0.0.1:5000"),
        ("localhost.example.com", "https://localhost.example.com"),
        ("127.0.0.1.example.com", "https://127.0.0.1.example.com"),
    ],
)
def test_only_this_machine_is_spoken_to_in_the_clear(registry: str, origin: str) -> None:
    assert address_of(parse_reference(f"{registry}/acme/api:1")).origin == origin


# --- token servers


@pytest.mark.parametrize("form", ["password", "identity token", "identity token by helper", "registry token"])
def test_a_registry_with_a_token_server(
    token_registry: WithTokens, repository: str, ask: Asker, tmp_path: Path, form: str
) -> None:
    registry, tokens = token_registry.registry, token_registry.tokens
    digest = registry.push_index(repository, "1.0.0")
    asked_before = len(token_registry.web.asked)
    token = tokens.token("repository", repository, "pull")
    entries = {
        "password": {"auth": AUTH},
        "identity token": {"auth": AUTH, "identitytoken": tokens.identity_token},
        "registry token": {"registrytoken": token},
    }
    if form in entries:
        ask.environ = docker_config(tmp_path, {"auths": {registry.host: entries[form]}})
    else:
        ask.environ = docker_config(tmp_path, {"credsStore": "test"})
        ask.environ |= helper(tmp_path / "bin", "test", answering("<token>", tokens.identity_token))
    assert ask(f"{registry.host}/{repository}:1.0.0").digest == digest
    asked = token_registry.web.asked[asked_before:]
    assert len(asked) == (0 if form == "registry token" else 1)  # one token for all that is read
    for one in asked:
        assert one.method == ("GET" if form == "password" else "POST")
        wanted = one.query if form == "password" else one.body.decode()
        assert "pull" in str(wanted)
        assert "push" not in str(wanted)
        assert tokens.identity_token not in one.target


def test_a_public_image_needs_no_credential(
    token_registry: WithTokens, repository: str, ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = token_registry.registry.push_image(repository, "1.0.0")
    monkeypatch.setattr(token_registry.tokens, "public", True)
    assert ask(f"{token_registry.registry.host}/{repository}:1.0.0").digest == digest


def test_a_token_that_expires_on_the_way(
    token_registry: WithTokens, repository: str, ask: Asker, tmp_path: Path
) -> None:
    """A registry that no longer takes a token is given a new one."""
    registry = token_registry.registry
    digest = registry.push_index(repository, "1.0.0")
    spent: set[str] = set()

    def respond(asked: Asked) -> Answer:
        authorization = asked.headers.get("authorization", "")
        if authorization in spent:
            authorization = ""
        elif "/manifests/" in asked.path:
            spent.add(authorization)
        realm = f'Bearer realm="{token_registry.web.url}/token",service="registry.test"'
        if not authorization.startswith("Bearer "):
            return Answer(401, {"WWW-Authenticate": realm})
        status, headers, body = registry.request(
            asked.method,
            repository,
            asked.path.removeprefix(f"/v2/{repository}/"),
            {"Accept": asked.headers["accept"]},
        )
        return Answer(status, {"Docker-Content-Digest": headers.get("docker-content-digest", "")}, body)

    with serving(respond) as web:
        ask.environ = docker_config(tmp_path, auths(web.host))
        assert ask(f"{web.host}/{repository}:1.0.0").digest == digest
    assert len(spent - {""}) == 2


# --- refusals


def test_no_credential(basic_registry: Registry, token_registry: WithTokens, ask: Asker) -> None:
    for host in (basic_registry.host, token_registry.registry.host):
        error = refusal(ask, f"{host}/acme/api:1")
        assert (error.exit_code, error.reason) == (8, "authentication")
        assert f"{host}/acme/api:1 without a credential" in error.message
        assert "docker login" in str(error.next_step)


def test_a_credential_that_is_wrong(
    basic_registry: Registry, token_registry: WithTokens, ask: Asker, tmp_path: Path
) -> None:
    for host in (basic_registry.host, token_registry.registry.host):
        ask.environ = docker_config(tmp_path, auths(host, USER, PASSWORD[::-1]))
        error = refusal(ask, f"{host}/acme/api:1")
        assert (error.exit_code, error.reason) == (8, "authentication")
        assert f"does not accept the credential from {tmp_path / 'config.json'}" in error.message


def test_a_credential_that_may_not(ask: Asker, tmp_path: Path) -> None:
    def respond(asked: Asked) -> Answer:
        known = "authorization" in asked.headers
        return Answer(403) if known else Answer(401, {"WWW-Authenticate": 'Basic realm="x"'})

    with serving(respond) as web:
        ask.environ = docker_config(tmp_path, auths(web.host))
        error = refusal(ask, f"{web.host}/acme/api:1")
    assert (error.exit_code, error.reason) == (8, "permission")
    assert f"may not read {web.host}/acme/api:1" in error.message


@pytest.mark.parametrize(
    "challenge",
    [
        None,
        "",
        "Negotiate",
        'Digest realm="x"',
        "Bearer",
        'Bearer realm=""',
        '"',
        'realm="x"',
        "Bearer realm",
        "Bearer realm=http://127.0.0.1/token",  # a URL must be quoted: RFC 9110 has no slash in a token
    ],
)
def test_a_challenge_that_nobody_can_meet(ask: Asker, tmp_path: Path, challenge: str | None) -> None:
    headers = {} if challenge is None else {"WWW-Authenticate": challenge}
    with serving(lambda _: Answer(401, headers)) as web:
        ask.environ = docker_config(tmp_path, auths(web.host))
        assert refusal(ask, f"{web.host}/acme/api:1").exit_code in (8, 9)
    assert all("authorization" not in asked.headers for asked in web.asked)


@pytest.mark.parametrize(
    "challenge",
    [
        'Bearer realm="{}/token",service="",error="invalid_token"',
        'Basic realm="a, \\"b\\"", Bearer service=x , realm="{}/token"',
        'bEARER  realm = "{}/token"',
    ],
)
def test_challenges_in_every_form(ask: Asker, tmp_path: Path, challenge: str) -> None:
    def respond(asked: Asked) -> Answer:
        if asked.path == "/token":
            return Answer(body=b'{"access_token": "a-token"}')
        if asked.headers.get("authorization") == "Bearer a-token":
            return Answer(body=b"{}")
        return Answer(401, {"WWW-Authenticate": challenge.format(web.url)})

    with serving(respond) as web:
        ask.environ = docker_config(tmp_path, auths(web.host))
        assert ask(f"{web.host}/acme/api:1").digest


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"token": 7}', b'{"token": "a\\nb: c"}', b'{"token": "\xc3\xa9"}']
)
def test_a_token_that_is_none(ask: Asker, tmp_path: Path, body: bytes) -> None:
    def respond(asked: Asked) -> Answer:
        challenge = {"WWW-Authenticate": f'Bearer realm="{web.url}/token"'}
        return Answer(body=body) if asked.path == "/token" else Answer(401, challenge)

    with serving(respond) as web:
        ask.environ = docker_config(tmp_path, auths(web.host))
        error = refusal(ask, f"{web.host}/acme/api:1")
    assert (error.exit_code, error.reason) == (9, "bad-answer")


# --- where a credential never goes


def test_another_registry_gets_nothing(
    basic_registry: Registry, repository: str, ask: Asker, tmp_path: Path
) -> None:
    ask.environ = docker_config(tmp_path, auths(basic_registry.host))
    with serving(lambda _: Answer(401, {"WWW-Authenticate": 'Basic realm="give"'})) as other:
        error = refusal(ask, f"{other.host}/{repository}:1")
    assert error.reason == "authentication"
    assert all("authorization" not in asked.headers for asked in other.asked)


@pytest.mark.parametrize("what", ["manifests", "blobs"])
def test_a_redirect_to_another_host_carries_no_credential(
    basic_registry: Registry, repository: str, ask: Asker, tmp_path: Path, what: str
) -> None:
    """Blobs stand in a storage elsewhere, and some registries are only a signpost."""
    digest = basic_registry.push_image(repository, "1.0.0", labels={"org.opencontainers.image.version": "1"})

    def stored(asked: Asked) -> Answer:
        path = asked.path.removeprefix(f"/v2/{repository}/")
        status, _, body = basic_registry.request("GET", repository, path, {"Accept": asked.headers["accept"]})
        return Answer(status, {}, body)

    def respond(asked: Asked) -> Answer:
        if asked.headers.get("authorization") != basic():
            return Answer(401, {"WWW-Authenticate": 'Basic realm="x"', "Set-Cookie": "a=canary-cookie"})
        if what in asked.path:
            return Answer(307, {"Location": storage.url + asked.path + "?signature=s"})
        return stored(asked)

    with serving(stored) as storage, serving(respond) as web:
        ask.environ = docker_config(tmp_path, auths(web.host))
        found = ask(f"{web.host}/{repository}:1.0.0")
    assert (found.digest, found.version) == (digest, "1")
    assert len(storage.asked) == 1
    assert {"authorization", "cookie"} & set(storage.asked[0].headers) == set()


def test_a_storage_that_asks_for_a_credential(ask: Asker, tmp_path: Path) -> None:
    challenge = {"WWW-Authenticate": 'Basic realm="give"'}

    def respond(asked: Asked) -> Answer:
        if "authorization" not in asked.headers:
            return Answer(401, challenge)
        return Answer(307, {"Location": f"{storage.url}/x"})

    with serving(lambda _: Answer(401, challenge)) as storage, serving(respond) as web:
        ask.environ = docker_config(tmp_path, auths(web.host))
        error = refusal(ask, f"{web.host}/acme/api:1")
    assert (error.exit_code, storage.url in error.message) == (8, True)
    assert all("authorization" not in asked.headers for asked in storage.asked)


@pytest.mark.parametrize(
    "realm",
    [
        "http://tokens.example.com/token",
        "http://192.0.2.1/token",
        "http://127.0.0.1@tokens.example.com/",
        "http://localhost.example.com/",
        "http:///token",
        "ftp://127.0.0.1/token",
        "file:///etc/passwd",
    ],
)
def test_a_token_server_in_the_clear(
    ask: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, realm: str
) -> None:
    """The proxy would see every request that leaves this machine."""
    with (
        Proxy() as proxy,
        serving(lambda _: Answer(401, {"WWW-Authenticate": f'Bearer realm="{realm}"'})) as web,
    ):
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        ask.environ = docker_config(tmp_path, auths(web.host))
        error = refusal(ask, f"{web.host}/acme/api:1")
    assert (error.exit_code, error.reason) == (8, "authentication")
    assert "it takes https" in error.message
    assert proxy.requests == []
    assert all("authorization" not in asked.headers for asked in web.asked)


def test_a_token_server_that_redirects(ask: Asker, tmp_path: Path) -> None:
    def respond(asked: Asked) -> Answer:
        if asked.path == "/token":
            return Answer(307, {"Location": f"{other.url}/token"})
        return Answer(401, {"WWW-Authenticate": f'Bearer realm="{web.url}/token"'})

    with serving(lambda _: Answer(body=b'{"token": "x"}')) as other, serving(respond) as web:
        ask.environ = docker_config(tmp_path, auths(web.host))
        assert refusal(ask, f"{web.host}/acme/api:1").exit_code == 9
    assert other.asked == []


# --- https


class Resolving(Proxy):
    """A proxy that knows one host, whatever its name: a loopback server behind a real registry's name."""

    def __init__(self, port: int) -> None:
        self.known = port
        super().__init__()

    def _upstream(self, client: Any, host: str, port: int) -> Any:  # noqa: ARG002 - it knows one place
        return super()._upstream(client, "127.0.0.1", self.known)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    return tls.make_ca(tmp_path_factory.mktemp("ca"), "registry.example.com")


def test_a_private_authority_behind_a_proxy(
    authority: tuple[Path, Path, Path], ask: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        running(tmp_path, access="basic", certificate=authority) as registry,
        Resolving(int(registry.host.rpartition(":")[2])) as proxy,
    ):
        digest = registry.push_index("acme/api", "1.0.0")
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        ask.environ = docker_config(tmp_path / "docker", auths("registry.example.com"))
        ask.seconds = 5
        error = refusal(ask, "registry.example.com/acme/api:1.0.0")
        assert (error.exit_code, "certificate" in error.message) == (9, True)
        ask.environ["GIT_SSL_CAINFO"] = str(authority[0])
        ask.seconds = 20
        assert ask("registry.example.com/acme/api:1.0.0").digest == digest
    assert {(one.method, one.target) for one in proxy.requests} == {("CONNECT", "registry.example.com:443")}
