"""From an address and an environment to an adapter, and where no credential may go."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from promoter.address import parse_address
from promoter.credentials import choose_credential
from promoter.deadline import Deadline
from promoter.errors import DeniedError, UnreachableError, UsageError
from promoter.forges import connect as wiring
from promoter.forges.locate import Kind, locate
from promoter.forges.port import Forge, Proposal
from promoter.forges.probe import probe
from promoter.git.remote import parse_remote
from tests.forges.github_double import GitHubDouble
from tests.support import repos
from tests.support.cli import environment_of
from tests.support.webserver import Answer, WebServer, serving

TOKEN = "canary-5d1e-token"
GITLAB_CI = {"CI_SERVER_URL": "https://git.example.com", "CI_JOB_TOKEN": TOKEN}
ACTIONS = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/deploy",
    "GITHUB_TOKEN": TOKEN,
}


def connect(address: str, environ: dict[str, str], **more: Any) -> Forge:
    place = parse_address(address)
    return wiring.connect(
        locate(place, environ, **more),
        choose_credential(place, environ),
        Deadline(20),
        lambda _: None,
        environ,
    )


GIVEN = {"PROMOTER_TOKEN": TOKEN}
ADAPTERS = [
    ("https://github.com/acme/deploy", GIVEN, "GitHub"),
    ("https://github.com/acme/deploy", ACTIONS, "GitHub"),
    ("git@github.com:acme/deploy", GIVEN, "GitHub"),
    ("https://gitlab.com/acme/deploy", GIVEN, "GitLab"),
    ("https://git.example.com/acme/deploy", GITLAB_CI, "GitLabByPush"),
    (
        "https://git.example.com/acme/deploy",
        GITLAB_CI | {"PROMOTER_TOKEN": "canary-of-the-project"},
        "GitLab",
    ),
    ("https://git.example.com/acme/deploy", GITLAB_CI | {"PROMOTER_TOKEN": TOKEN}, "GitLabByPush"),
    ("https://codeberg.org/acme/deploy", GIVEN, "Gitea"),
    ("/srv/deploy.git", {}, "PlainGit"),
    ("https://git.example.com/acme/deploy", {}, "PlainGit"),
]


@pytest.mark.parametrize(("address", "environ", "adapter"), ADAPTERS)
def test_adapters(address: str, environ: dict[str, str], adapter: str) -> None:
    assert type(connect(address, environ)).__name__ == adapter


NO_TOKEN = [
    ("https://github.com/acme/deploy", {}, ("PROMOTER_TOKEN", "Pull requests", "PROMOTER_APP_ID")),
    ("https://github.com/acme/api", ACTIONS, ("PROMOTER_TOKEN", "GITHUB_TOKEN")),
    ("https://gitlab.com/acme/deploy", GITLAB_CI, ("PROMOTER_TOKEN", "api", "Developer", "CI_JOB_TOKEN")),
    ("https://codeberg.org/acme/deploy", {}, ("PROMOTER_TOKEN", "write:repository", "write:issue")),
]  # fmt: skip


@pytest.mark.parametrize(("address", "environ", "words"), NO_TOKEN)
def test_a_missing_token_is_named(address: str, environ: dict[str, str], words: tuple[str, ...]) -> None:
    with pytest.raises(DeniedError, match="no token for https://") as caught:
        connect(address, environ)
    assert caught.value.exit_code == 8
    for word in words:
        assert word in (caught.value.next_step or "")


@pytest.mark.parametrize(
    ("address", "environ", "forge_api"),
    [
        ("https://github.com/acme/deploy", ACTIONS, "https://evil.example/api/v3"),
        ("git@github.com:acme/deploy", ACTIONS, "https://evil.example/api/v3"),
        ("https://github.com/acme/deploy", ACTIONS, "https://evil.example/github"),
        ("https://git.example.com/acme/deploy", GITLAB_CI, "https://api.example.com/api/v4"),
        ("https://git.example.com/acme/deploy", GITLAB_CI, "https://git.example.com:8443/api/v4"),
        ("https://git.example.com/acme/deploy", GITLAB_CI, "http://git.example.com/api/v4"),
    ],
)
def test_a_platforms_own_token_goes_to_no_other_api(
    address: str, environ: dict[str, str], forge_api: str
) -> None:
    with pytest.raises(DeniedError, match="no token"):
        connect(address, environ, forge_api=forge_api)


@pytest.mark.parametrize(
    ("address", "environ", "forge_api", "adapter"),
    [
        ("https://github.com/acme/deploy", ACTIONS, "https://api.github.com", "GitHub"),
        ("https://git.example.com/acme/deploy", GITLAB_CI, "https://git.example.com/api/v4", "GitLabByPush"),
        ("https://git.example.com/acme/deploy", GIVEN, "https://api.example.com/api/v4", "GitLab"),
    ],
)
def test_the_api_that_the_caller_names(
    address: str, environ: dict[str, str], forge_api: str, adapter: str
) -> None:
    assert type(connect(address, environ, forge_api=forge_api)).__name__ == adapter


LIBRARIES = ("github", "gitlab", "requests")
LOADED = """
import sys
from promoter.address import parse_address
from promoter.credentials import Credential
from promoter.deadline import Deadline
from promoter.forges.connect import connect
from promoter.forges.locate import locate
place = locate(parse_address(sys.argv[1]), {})
connect(place, Credential("token", "", "x"), Deadline(5), print, {})
print(*[name for name in sys.argv[2:] if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/srv/deploy.git", []),
        ("https://github.com/acme/deploy", ["github", "requests"]),
        ("https://gitlab.com/acme/deploy", ["gitlab", "requests"]),
        ("https://codeberg.org/acme/deploy", ["requests"]),
    ],
)
def test_only_the_client_library_at_hand_is_loaded(address: str, expected: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, address, *LIBRARIES],
        env=environment_of(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == expected


# --- a GitHub App, all the way


@pytest.fixture
def double(tmp_path: Path) -> Iterator[GitHubDouble]:
    with GitHubDouble(tmp_path / "srv") as running:
        running.add_repository("deploy", {"README.md": "# Deployments\n"})
        running.add_repository("api", {"README.md": "# Sources\n"})
        yield running


def app_environment(double: GitHubDouble, *names: str, **permissions: str) -> dict[str, str]:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    double.add_app("1234", public.decode(), *names, **permissions)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return {"PROMOTER_APP_ID": "1234", "PROMOTER_APP_PRIVATE_KEY": private.decode()}


def test_an_app_pushes_opens_and_signs_with_its_name(double: GitHubDouble) -> None:
    environ = app_environment(double, "deploy", "api", contents="write", pull_requests="write")
    url = f"{double.url}/acme/deploy.git"
    address, deadline = parse_address(url), Deadline(30)

    credential = wiring.git_credential(address, environ, double.api, deadline, lambda _: None)
    (issued,) = double.apps[0].issued
    assert dict(issued.permissions) == {"contents": "write"}
    assert issued.repositories == frozenset({"deploy"})
    assert parse_remote(url, environ).answering(credential).secret == issued.text

    author = wiring.app_author(address, credential, environ, double.api, deadline, lambda _: None)
    assert author is not None
    assert author.startswith("promoter-app[bot] <")
    assert author.endswith("+promoter-app[bot]@users.noreply.127.0.0.1>")

    repo = double.root / "acme/deploy.git"
    repos.git(repo, "branch", "promoter/staging/api", "main")
    repos.commit_files(repo, {"a.yaml": "a: 1\n"}, "Promote", branch="promoter/staging/api")
    forge = connect(url, environ, forge_api=double.api)
    opened = forge.create(Proposal("promoter/staging/api", "main", "Promote api", "body"))
    assert (opened.state, opened.number is not None) == ("open", True)
    assert double.apps[0].issued[-1].permissions == {"contents": "write", "pull_requests": "write"}


def test_an_unknown_host_is_taken_for_an_enterprise_server(double: GitHubDouble) -> None:
    environ = app_environment(double, "deploy", contents="write")
    address = parse_address(f"{double.url}/acme/deploy.git")
    credential = wiring.git_credential(address, environ, None, Deadline(20), lambda _: None)
    assert credential.kind == "installation"


def test_an_app_that_is_not_installed_there(double: GitHubDouble) -> None:
    environ = app_environment(double, "api", contents="write", pull_requests="write")
    with pytest.raises(DeniedError, match="not installed on acme/deploy"):
        connect(f"{double.url}/acme/deploy.git", environ, forge_api=double.api)


def test_an_app_without_a_permission(double: GitHubDouble) -> None:
    environ = app_environment(double, "deploy", contents="write")
    with pytest.raises(DeniedError, match="Pull requests: write"):
        connect(f"{double.url}/acme/deploy.git", environ, forge_api=double.api)


@pytest.mark.parametrize("address", ["https://gitlab.com/acme/deploy", "git@codeberg.org:acme/deploy.git"])
def test_a_github_app_on_another_forge(address: str) -> None:
    environ = {"PROMOTER_APP_ID": "1", "PROMOTER_APP_PRIVATE_KEY": "canary"}
    with pytest.raises(UsageError, match="PROMOTER_APP_ID") as caught:
        wiring.git_credential(parse_address(address), environ, None, Deadline(5), lambda _: None)
    assert "canary" not in f"{caught.value}{caught.value.next_step}"


def test_other_credentials_are_as_they_are() -> None:
    address = parse_address("https://github.com/acme/deploy")
    credential = wiring.git_credential(address, GIVEN, None, Deadline(5), lambda _: None)
    assert credential.secret == TOKEN
    assert wiring.app_author(address, credential, GIVEN, None, Deadline(5), lambda _: None) is None


# --- asking a server what it is


@pytest.fixture
def web() -> Iterator[WebServer]:
    with serving() as running:
        yield running


def ask(url: str, seconds: float = 10) -> Kind | None:
    return probe(url, None, Deadline(seconds), lambda _: None)


ANSWERS: list[tuple[dict[str, Any], Kind | None]] = [
    ({"GET /api/v1/version": Answer(200, {"version": "1.26.0"})}, "gitea"),
    ({"GET /api/v1/version": Answer(403, {"message": "Only signed in user is allowed…"})}, "gitea"),
    ({"GET /api/v1/version": Answer(200, ["1.26.0"])}, None),
    ({"GET /api/v1/version": Answer(401, {"message": "who are you?"})}, None),
    ({"GET /api/v4/version": Answer(401, {"message": "401 Unauthorized"})}, "gitlab"),
    ({"GET /api/v4/version": Answer(404, None, {"X-Gitlab-Meta": "{}"})}, "gitlab"),
    ({"GET /api/v4/version": Answer(401, {"error": "unauthorized"})}, None),
    ({"GET /api/v3/meta": Answer(200, {"installed_version": "3.19.0"})}, "github"),
    (
        {"GET /api/v3/meta": Answer(401, {"message": "Must authenticate to access this API.",
                                          "documentation_url": "https://docs.github.com/enterprise-server"})},
        "github",
    ),
    ({"GET /api/v3/meta": Answer(200, {"message": "hello"})}, None),
    ({}, None),
]  # fmt: skip


@pytest.mark.parametrize(("routes", "kind"), ANSWERS)
def test_a_server_is_known_by_its_answers(web: WebServer, routes: dict[str, Any], kind: Kind | None) -> None:
    web.routes.update(routes)
    assert ask(web.url) == kind
    assert not [one for one in web.asked if {"authorization", "private-token", "cookie"} & set(one.headers)]


def test_no_netrc_is_read(web: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login bot password {TOKEN}\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert ask(web.url) is None
    assert [one for one in web.asked if "authorization" in one.headers] == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_cannot_say_is_not_guessed(web: WebServer, status: int) -> None:
    web.routes["GET /api/v1/version"] = Answer(status, {"message": "later"})
    with pytest.raises(UnreachableError, match=f"HTTP {status}") as caught:
        ask(web.url)
    assert "forge: {type:" in (caught.value.next_step or "")


def test_another_host_is_not_asked(web: WebServer) -> None:
    with serving({"GET /api/v4/version": Answer(401, {"message": "401 Unauthorized"})}) as other:
        web.routes["GET /api/v4/version"] = Answer(302, None, {"Location": f"{other.url}/api/v4/version"})
        with pytest.raises(UnreachableError, match="redirects"):
            ask(web.url)
        assert other.asked == []


def test_nothing_listens_there() -> None:
    with serving() as gone:
        url = gone.url
    assert ask(url) is None
