"""The forge of an address: a table of addresses and environments, and what must never happen."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promoter.address import parse_address
from promoter.errors import UsageError
from promoter.forges.locate import PLAIN_GIT, Kind, Place, locate

GITHUB = Place("github", "https://api.github.com", "https://github.com", "acme/deploy")
GITLAB = Place("gitlab", "https://gitlab.com/api/v4", "https://gitlab.com", "acme/deploy")
CODEBERG = Place("gitea", "https://codeberg.org/api/v1", "https://codeberg.org", "acme/deploy")


def ghes(web: str, project: str = "acme/deploy") -> Place:
    return Place("github", f"{web}/api/v3", web, project)


def gitlab(web: str, project: str = "acme/deploy") -> Place:
    return Place("gitlab", f"{web}/api/v4", web, project)


def gitea(web: str, project: str = "acme/deploy") -> Place:
    return Place("gitea", f"{web}/api/v1", web, project)


def find(address: str, environ: dict[str, str] | None = None, **more: Any) -> Place:
    return locate(parse_address(address), environ or {}, **more)


WELL_KNOWN = {
    "https://github.com/acme/deploy": GITHUB,
    "https://github.com/acme/deploy.git": GITHUB,
    "https://github.com/acme/deploy.git/": GITHUB,
    "https://github.com/acme/deploy/": GITHUB,
    "https://GitHub.COM/acme/deploy": GITHUB,
    "https://github.com:443/acme/deploy": GITHUB,
    "http://github.com/acme/deploy": GITHUB,
    "https://somebody:pa55@github.com/acme/deploy": GITHUB,
    "git@github.com:acme/deploy.git": GITHUB,
    "github.com:/acme/deploy": GITHUB,
    "ssh://git@github.com/acme/deploy.git": GITHUB,
    "ssh://git@github.com:22/acme/deploy": GITHUB,
    "ssh://git@ssh.github.com:443/acme/deploy.git": GITHUB,
    "https://tenant.ghe.com/acme/deploy": Place(
        "github", "https://api.tenant.ghe.com", "https://tenant.ghe.com", "acme/deploy"
    ),
    "git@tenant.ghe.com:acme/deploy.git": Place(
        "github", "https://api.tenant.ghe.com", "https://tenant.ghe.com", "acme/deploy"
    ),
    "https://gitlab.com/acme/deploy.git": GITLAB,
    "ssh://git@altssh.gitlab.com:443/acme/deploy.git": GITLAB,
    "https://gitlab.com/acme/sub/group/deploy.git": gitlab("https://gitlab.com", "acme/sub/group/deploy"),
    "git@codeberg.org:acme/deploy.git": CODEBERG,
    "https://gitea.com/acme/deploy": gitea("https://gitea.com"),
}


@pytest.mark.parametrize("address", WELL_KNOWN)
def test_well_known_hosts(address: str) -> None:
    assert find(address) == WELL_KNOWN[address]


BY_NAME = {
    "https://github.example.com/acme/deploy": ghes("https://github.example.com"),
    "https://github.com:8443/acme/deploy": ghes("https://github.com:8443"),
    "http://gitlab.example.com:8080/acme/a/deploy.git": gitlab(
        "http://gitlab.example.com:8080", "acme/a/deploy"
    ),
    "ssh://git@gitlab.example.com:2222/acme/deploy.git": gitlab("https://gitlab.example.com"),
    "https://forgejo.example.com/acme/deploy": gitea("https://forgejo.example.com"),
    "https://gitea.example.com/code/acme/deploy.git": gitea("https://gitea.example.com/code"),
    "https://git.example.com/acme/deploy": PLAIN_GIT,
    "git@[2001:db8::1]:acme/deploy.git": PLAIN_GIT,
    "/srv/github.com/acme/deploy.git": PLAIN_GIT,
    "file:///srv/github.com/acme/deploy.git": PLAIN_GIT,
}


@pytest.mark.parametrize("address", BY_NAME)
def test_hosts_that_say_it_in_their_name(address: str) -> None:
    assert find(address) == BY_NAME[address]


BY_TYPE = [
    ("https://git.example.com/acme/deploy", "github", ghes("https://git.example.com")),
    ("https://git.example.com:8443/a/b/c", "gitlab", gitlab("https://git.example.com:8443", "a/b/c")),
    ("http://127.0.0.1:3000/acme/deploy.git", "gitea", gitea("http://127.0.0.1:3000")),
    ("http://[::1]:3000/acme/deploy.git", "gitea", gitea("http://[::1]:3000")),
    ("git@[2001:db8::1]:acme/deploy.git", "forgejo", gitea("https://[2001:db8::1]")),
    ("git@example.com:acme/deploy", "forgejo", gitea("https://example.com")),
    ("https://gitlab.example.com/acme/deploy", "gitea", gitea("https://gitlab.example.com")),
    ("https://github.com/acme/deploy", "github", GITHUB),
    ("https://github.com/acme/deploy", "git", PLAIN_GIT),
    ("/srv/deploy.git", "github", PLAIN_GIT),
]  # fmt: skip


@pytest.mark.parametrize(("address", "forge_type", "place"), BY_TYPE)
def test_forge_type(address: str, forge_type: Any, place: Place) -> None:
    assert find(address, forge_type=forge_type) == place


def actions(server: str, **more: str) -> dict[str, str]:
    return {"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": server, **more}


GIT = "https://git.example.com"
ON_PLATFORM = [
    (f"{GIT}/acme/deploy", actions(GIT), ghes(GIT)),
    ("git@git.example.com:acme/deploy.git", actions(GIT), ghes(GIT)),
    (f"{GIT}/acme/deploy", actions(GIT, GITEA_ACTIONS="true"), gitea(GIT)),
    (f"{GIT}/acme/deploy", actions(f"{GIT}/", FORGEJO_ACTIONS="true"), gitea(GIT)),
    (f"{GIT}/code/acme/deploy", actions(f"{GIT}/code/", GITEA_ACTIONS="true"), gitea(f"{GIT}/code")),
    (f"{GIT}/acme/a/deploy", {"CI_SERVER_URL": GIT}, gitlab(GIT, "acme/a/deploy")),
    (f"{GIT}/lab/acme/deploy.git", {"CI_SERVER_URL": f"{GIT}/lab"}, gitlab(f"{GIT}/lab")),
    ("https://GIT.example.com:443/acme/deploy", {"CI_SERVER_URL": GIT}, gitlab(GIT)),
    (
        "ssh://git@ssh.example.com:2222/acme/deploy.git",
        {"CI_SERVER_URL": f"{GIT}/lab", "CI_SERVER_SHELL_SSH_HOST": "ssh.example.com"},
        gitlab(f"{GIT}/lab"),
    ),
    # Another place than the platform's: it tells nothing.
    (f"{GIT}/acme/deploy", actions("https://github.com"), PLAIN_GIT),
    (f"{GIT}:8443/acme/deploy", actions(GIT), PLAIN_GIT),
    ("http://git.example.com/acme/deploy", actions(GIT), PLAIN_GIT),
    (f"{GIT}/other/deploy", {"CI_SERVER_URL": f"{GIT}/lab"}, PLAIN_GIT),
    (f"{GIT}.evil.example/acme/deploy", {"CI_SERVER_URL": GIT}, PLAIN_GIT),
    ("https://github.com/acme/deploy", {"CI_SERVER_URL": GIT}, GITHUB),
    # What a platform's variables say of their API is not asked: the host decides.
    (f"{GIT}/acme/deploy", actions(GIT, GITHUB_API_URL="https://evil.example/api/v3"), ghes(GIT)),
    (f"{GIT}/a/b", {"CI_SERVER_URL": GIT, "CI_API_V4_URL": "https://evil.example/"}, gitlab(GIT, "a/b")),
]  # fmt: skip


@pytest.mark.parametrize(("address", "environ", "place"), ON_PLATFORM)
def test_the_platform_tells(address: str, environ: dict[str, str], place: Place) -> None:
    assert find(address, environ) == place


HOSTILE = {
    "https://github.com@evil.example/acme/deploy": "evil.example",
    "https://github.com:x@evil.example/acme/deploy": "evil.example",
    "https://evil.example/github.com/deploy": "evil.example",
    "https://github.com.evil.example/acme/deploy": "github.com.evil.example",
    "https://evilghe.com/acme/deploy": "evilghe.com",
    "https://ghe.com.evil.example/acme/deploy": "ghe.com.evil.example",
    "git@github.com.evil.example:acme/deploy": "github.com.evil.example",
    "ssh://github.com@evil.example/acme/deploy": "evil.example",
}


@pytest.mark.parametrize("address", HOSTILE)
@pytest.mark.parametrize("forge_type", ["github", "gitlab", "gitea"])
def test_the_api_is_on_the_host_that_git_would_go_to(address: str, forge_type: Any) -> None:
    assert urlsplit(find(address, forge_type=forge_type).api).hostname == HOSTILE[address]


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example\\@github.com/acme/deploy",
        "https://github.com%2eevil.example/acme/deploy",
        "https://github.com;evil.example/acme/deploy",
        "https://\uff47ithub.com/acme/deploy",
        "https://:443/acme/deploy",
        "ssh:///acme/deploy",
        "https://github.com:99999/acme/deploy",
    ],
)
def test_hosts_that_could_be_read_in_two_ways_are_refused(address: str) -> None:
    with pytest.raises(UsageError, match="--manifest-repo"):
        parse_address(address)


@given(
    user=st.text("ab@:/\\?#%.", max_size=8),
    path=st.text("ab@:/\\?#%.", max_size=12),
    forge_type=st.sampled_from(["github", "gitlab", "gitea", None]),
)
def test_no_address_leads_to_another_host(user: str, path: str, forge_type: Any) -> None:
    """Whatever stands around a host: the API is on the one that Git is given."""
    try:
        address = parse_address(f"https://{user}@git.example.com/{path}")
        place = locate(address, {}, forge_type=forge_type)
    except UsageError:
        return
    git = urlsplit(address.url)
    assert git.username is None
    assert place == PLAIN_GIT or urlsplit(place.api).netloc == git.netloc


NO_REPOSITORY = [
    ("https://github.com/acme", "OWNER/NAME"),
    ("https://github.com/", "OWNER/NAME"),
    ("https://github.com/acme/deploy/tree/main", "OWNER/NAME"),
    ("https://github.com/acme/..", "OWNER/NAME"),
    ("https://github.com/acme/a%2Fb", "OWNER/NAME"),
    ("https://github.com/acme/a%3Fb=c", "OWNER/NAME"),
    ("git@github.com:22/acme/deploy", "OWNER/NAME"),  # no port: such an address has none
    ("https://gitlab.com/deploy", "GROUP/PROJECT"),
    ("https://gitlab.com/acme//deploy", "GROUP/PROJECT"),
    ("git@codeberg.org:2222/acme/deploy", "OWNER/NAME"),
]


@pytest.mark.parametrize(("address", "form"), NO_REPOSITORY)
def test_addresses_that_name_no_repository(address: str, form: str) -> None:
    with pytest.raises(UsageError, match=form) as caught:
        find(address)
    assert caught.value.next_step


API = [
    ("https://git.example.com/acme/deploy", "https://api.example.com/api/v4", None,
     gitlab("https://api.example.com")),
    ("https://git.example.com/acme/deploy", "https://api.example.com:8443/x/api/v1/", None,
     gitea("https://api.example.com:8443/x")),
    ("git@mirror.example.com:acme/deploy.git", "https://api.github.com", None, GITHUB),
    ("https://mirror.example.com/acme/deploy", "https://api.tenant.ghe.com/", None,
     Place("github", "https://api.tenant.ghe.com", "https://tenant.ghe.com", "acme/deploy")),
    ("https://git.example.com/acme/deploy", "https://ghes.example.com/api/v3", None,
     ghes("https://ghes.example.com")),
    ("https://git.example.com/lab/acme/deploy", "https://git.example.com/lab/api/v4", None,
     gitlab("https://git.example.com/lab")),
    ("https://git.example.com/acme/deploy", "http://127.0.0.1:1234/rest", "gitea",
     Place("gitea", "http://127.0.0.1:1234/rest", "http://127.0.0.1:1234", "acme/deploy")),
    ("https://gitlab.example.com/acme/deploy", "http://127.0.0.1:1234/rest", None,
     Place("gitlab", "http://127.0.0.1:1234/rest", "http://127.0.0.1:1234", "acme/deploy")),
    ("https://git.example.com/acme/deploy", "https://api.example.com/api/v4", "git", PLAIN_GIT),
]  # fmt: skip


@pytest.mark.parametrize(("address", "forge_api", "forge_type", "place"), API)
def test_forge_api(address: str, forge_api: str, forge_type: Any, place: Place) -> None:
    assert find(address, forge_api=forge_api, forge_type=forge_type) == place


@pytest.mark.parametrize(
    "forge_api",
    [
        "",
        "api.github.com",
        "ftp://git.example.com/api/v4",
        "https://user:pa55@git.example.com/api/v4",
        "https://user@git.example.com/api/v4",
        "https://git.example.com/api/v4?token=pa55",
        "https://git.example.com/api/v4#x",
        "https:///api/v4",
        "https://git.example.com:x/api/v4",
        "file:///srv/api/v4",
    ],
)
def test_forge_api_that_is_none(forge_api: str) -> None:
    with pytest.raises(UsageError, match="--forge-api") as caught:
        find("https://git.example.com/acme/deploy", forge_api=forge_api)
    assert caught.value.next_step
    assert "pa55" not in f"{caught.value.message}{caught.value.next_step}"


def test_forge_api_that_does_not_tell_the_kind() -> None:
    with pytest.raises(UsageError, match="which forge"):
        find("https://git.example.com/acme/deploy", forge_api="https://api.example.com/")


def test_forge_api_for_a_path() -> None:
    with pytest.raises(UsageError, match="--manifest-repo"):
        find("/srv/deploy.git", forge_api="https://git.example.com/api/v4")


@pytest.mark.parametrize(
    ("answer", "place"), [("gitea", gitea(GIT)), ("github", ghes(GIT)), (None, PLAIN_GIT)]
)
@pytest.mark.parametrize("address", [f"{GIT}/acme/deploy", "ssh://git@git.example.com:2222/acme/deploy"])
def test_the_server_is_asked_last(address: str, answer: Kind | None, place: Place) -> None:
    asked: list[str] = []

    def probe(web: str) -> Kind | None:
        asked.append(web)
        return answer

    assert find(address, probe=probe) == place
    assert asked == [GIT]


@pytest.mark.parametrize(
    ("address", "environ", "more"),
    [
        ("https://github.com/acme/deploy", {}, {}),
        ("https://gitlab.example.com/acme/deploy", {}, {}),
        (f"{GIT}/acme/deploy", {"CI_SERVER_URL": GIT}, {}),
        (f"{GIT}/acme/deploy", {}, {"forge_type": "gitea"}),
        (f"{GIT}/acme/deploy", {}, {"forge_type": "git"}),
        (f"{GIT}/acme/deploy", {}, {"forge_api": f"{GIT}/api/v4"}),
        ("/srv/deploy.git", {}, {}),
    ],
)
def test_the_server_is_not_asked_what_is_known(
    address: str, environ: dict[str, str], more: dict[str, Any]
) -> None:
    def probe(web: str) -> Kind | None:
        raise AssertionError(web)

    find(address, environ, probe=probe, **more)
