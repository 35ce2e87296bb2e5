"""Which credential goes where: a table of addresses and environments; and that no secret comes out."""

import json

import pytest

from promoter import secrets
from promoter.address import parse_address
from promoter.cli.output import Output
from promoter.credentials import Credential, choose_credential
from promoter.errors import UsageError
from promoter.git.remote import parse_remote

GITHUB = "https://github.com/acme/deploy.git"
GIT = "https://git.example.com"
TOKEN = "canary-given"
OWN = "canary-own"
JOB = "canary-job"
LINES = ("MIIEowIBAAKCAQEAcanaryline0123456789", "abcdefghijklmnopqrstuvwxyz+/0=")
KEY = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *LINES, "-----END RSA PRIVATE KEY-----"])
APP = {"PROMOTER_APP_ID": "1234", "PROMOTER_APP_PRIVATE_KEY": KEY}
ACTIONS = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/deploy",
    "GITHUB_TOKEN": OWN,
}
GITEA_ACTIONS = ACTIONS | {"GITHUB_SERVER_URL": GIT, "GITEA_ACTIONS": "true"}
GITLAB_CI = {"CI_SERVER_URL": GIT, "CI_JOB_TOKEN": JOB}


def choose(address: str, environ: dict[str, str]) -> tuple[str, str, str | None]:
    chosen = choose_credential(parse_address(address), environ)
    return chosen.kind, chosen.username, chosen.secret


NONE = ("none", "", None)
CHOSEN = {
    # PROMOTER_TOKEN before all others
    "given": (GITHUB, {"PROMOTER_TOKEN": TOKEN}, ("token", "x-access-token", TOKEN)),
    "given with a line end": (GITHUB, {"PROMOTER_TOKEN": f"{TOKEN}\n"}, ("token", "x-access-token", TOKEN)),
    "given, and a name": (
        GITHUB,
        {"PROMOTER_TOKEN": TOKEN, "PROMOTER_USERNAME": "bot"},
        ("token", "bot", TOKEN),
    ),
    "given to GitLab": ("https://gitlab.com/a/b", {"PROMOTER_TOKEN": TOKEN}, ("token", "oauth2", TOKEN)),
    "given to the GitLab of the job": (
        f"{GIT}/a/b",
        {**GITLAB_CI, "PROMOTER_TOKEN": TOKEN},
        ("token", "oauth2", TOKEN),
    ),
    "given to Bitbucket": (
        "https://bitbucket.org/a/b",
        {"PROMOTER_TOKEN": TOKEN},
        ("token", "x-token-auth", TOKEN),
    ),
    "given before an App": (GITHUB, {"PROMOTER_TOKEN": TOKEN, **APP}, ("token", "x-access-token", TOKEN)),
    "given before half an App": (
        GITHUB,
        {"PROMOTER_TOKEN": TOKEN, "PROMOTER_APP_ID": "1"},
        ("token", "x-access-token", TOKEN),
    ),
    "given before the platform's": (
        GITHUB,
        {**ACTIONS, "PROMOTER_TOKEN": TOKEN},
        ("token", "x-access-token", TOKEN),
    ),
    "given is empty": (GITHUB, {**ACTIONS, "PROMOTER_TOKEN": ""}, ("token", "x-access-token", OWN)),
    "given over ssh": (
        "git@github.com:acme/deploy",
        {"PROMOTER_TOKEN": TOKEN},
        ("token", "x-access-token", TOKEN),
    ),
    "given, but a path": ("/srv/deploy.git", {"PROMOTER_TOKEN": TOKEN, **APP}, NONE),
    "given, but half an App and a path": ("file:///srv/x", {"PROMOTER_APP_ID": "1"}, NONE),
    # a job token by another name
    "given job token": (
        f"{GIT}/a/b",
        {**GITLAB_CI, "PROMOTER_TOKEN": JOB},
        ("job", "gitlab-ci-token", JOB),
    ),
    "given job token by its prefix": (
        f"{GIT}/a/b",
        {"PROMOTER_TOKEN": "glcbt-64_canary"},
        ("job", "gitlab-ci-token", "glcbt-64_canary"),
    ),
    # in the address
    "address": ("https://bot:p%40ss-canary@git.example.com/a/b", {}, ("token", "bot", "p@ss-canary")),
    "address before the platform's": (
        "https://bot:canary@git.example.com/a/b",
        GITLAB_CI,
        ("token", "bot", "canary"),
    ),
    "address before an App": ("https://bot:canary@github.com/a/b", APP, ("token", "bot", "canary")),
    "address with a job token": (
        f"https://gitlab-ci-token:{JOB}@git.example.com/a/b",
        {},
        ("job", "gitlab-ci-token", JOB),
    ),
    "address with a user only": ("https://bot@git.example.com/a/b", {}, NONE),
    # an App
    "App": (GITHUB, APP, ("app", "x-access-token", KEY)),
    "App before the platform's": (GITHUB, {**ACTIONS, **APP}, ("app", "x-access-token", KEY)),
    "App over ssh": ("git@github.com:acme/deploy.git", APP, ("app", "x-access-token", KEY)),
    # the platform's own
    "GitHub": (GITHUB, ACTIONS, ("token", "x-access-token", OWN)),
    "GitHub over ssh": ("git@github.com:acme/deploy.git", ACTIONS, ("token", "x-access-token", OWN)),
    "GitHub in other letters": ("https://GitHub.com/Acme/Deploy", ACTIONS, ("token", "x-access-token", OWN)),
    "GitHub by port": ("https://github.com:443/acme/deploy/", ACTIONS, ("token", "x-access-token", OWN)),
    "GitHub, another repository": ("https://github.com/acme/api", ACTIONS, NONE),
    "GitHub, a prefix": ("https://github.com/acme/depl", ACTIONS, NONE),
    "GitHub, another host": ("https://git.example.com/acme/deploy", ACTIONS, NONE),
    "GitHub, another port": ("https://github.com:8443/acme/deploy", ACTIONS, NONE),
    "GitHub, in clear": ("http://github.com/acme/deploy", ACTIONS, NONE),
    "GitHub as a user": ("https://github.com@evil.example/acme/deploy", ACTIONS, NONE),
    "GitHub as a path": ("https://evil.example/github.com/acme/deploy", ACTIONS, NONE),
    "GitHub as a longer host": ("https://github.com.evil.example/acme/deploy", ACTIONS, NONE),
    "GitHub over ssh elsewhere": ("github.com@evil.example:acme/deploy", ACTIONS, NONE),
    "GitHub without a repository": (GITHUB, ACTIONS | {"GITHUB_REPOSITORY": ""}, NONE),
    "GitHub without a server": (GITHUB, ACTIONS | {"GITHUB_SERVER_URL": ""}, NONE),
    "Gitea": (f"{GIT}/acme/deploy", GITEA_ACTIONS, ("token", "x-access-token", OWN)),
    "Gitea by its own name": (
        f"{GIT}/acme/deploy",
        {**GITEA_ACTIONS, "GITEA_TOKEN": "canary-gitea"},
        ("token", "x-access-token", "canary-gitea"),
    ),
    "Forgejo by its own name": (
        f"{GIT}/acme/deploy",
        {**GITEA_ACTIONS, "FORGEJO_ACTIONS": "true", "FORGEJO_TOKEN": "canary-forgejo"},
        ("token", "x-access-token", "canary-forgejo"),
    ),
    "Gitea's on GitHub": (GITHUB, {**ACTIONS, "GITHUB_TOKEN": "", "GITEA_TOKEN": "canary-gitea"}, NONE),
    "Gitea, another repository": (f"{GIT}/acme/api", {**GITEA_ACTIONS, "GITEA_TOKEN": OWN}, NONE),
    "GitLab": (f"{GIT}/a/b/c.git", GITLAB_CI, ("job", "gitlab-ci-token", JOB)),
    "GitLab in other letters": (
        "https://GIT.example.com:443/a/b",
        GITLAB_CI,
        ("job", "gitlab-ci-token", JOB),
    ),
    "GitLab over ssh": ("git@git.example.com:a/b.git", GITLAB_CI, ("job", "gitlab-ci-token", JOB)),
    "GitLab over ssh by its name for it": (
        "ssh://git@ssh.example.com:2222/a/b.git",
        {**GITLAB_CI, "CI_SERVER_SHELL_SSH_HOST": "ssh.example.com"},
        ("job", "gitlab-ci-token", JOB),
    ),
    "GitLab below a path": (
        f"{GIT}/lab/a/b",
        GITLAB_CI | {"CI_SERVER_URL": f"{GIT}/lab/"},
        ("job", "gitlab-ci-token", JOB),
    ),
    "GitLab, beside that path": (f"{GIT}/labs/a/b", GITLAB_CI | {"CI_SERVER_URL": f"{GIT}/lab"}, NONE),
    "GitLab, another port": (f"{GIT}:8443/a/b", GITLAB_CI, NONE),
    "GitLab, a longer host": (f"{GIT}.evil.example/a/b", GITLAB_CI, NONE),
    "GitLab, no server": (f"{GIT}/a/b", {"CI_JOB_TOKEN": JOB}, NONE),
    "GitLab's name for ssh is none for https": (
        "https://ssh.example.com/a/b",
        {**GITLAB_CI, "CI_SERVER_SHELL_SSH_HOST": "ssh.example.com"},
        NONE,
    ),
    "nothing": (GITHUB, {}, NONE),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_choice(case: str) -> None:
    address, environ, expected = CHOSEN[case]
    assert choose(address, environ) == expected


@pytest.mark.parametrize("case", CHOSEN)
def test_git_answers_with_the_same_one(case: str) -> None:
    """Over http(s) with what was chosen, unless it must be exchanged first; by ssh with none."""
    address, environ, (kind, username, secret) = CHOSEN[case]
    remote = parse_remote(address, environ)
    if remote.host is None or kind in ("none", "app"):
        assert remote.environment() == remote.configuration() == {}
    else:
        assert remote.environment() == {"PROMOTER_GIT_USERNAME": username, "PROMOTER_GIT_PASSWORD": secret}
    assert not any(one in remote.url for one in ("canary", "@") if remote.host)


def test_git_answers_with_what_an_app_was_exchanged_for() -> None:
    remote = parse_remote(GITHUB, APP).answering(Credential("installation", "x-access-token", "canary-ghs"))
    assert remote.environment()["PROMOTER_GIT_PASSWORD"] == "canary-ghs"
    assert list(remote.configuration()) == ["credential.https://github.com.helper"]


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({"PROMOTER_APP_ID": "1234"}, "PROMOTER_APP_PRIVATE_KEY"),
        ({"PROMOTER_APP_ID": "1234", "PROMOTER_APP_PRIVATE_KEY": " \n"}, "PROMOTER_APP_PRIVATE_KEY"),
        ({"PROMOTER_APP_PRIVATE_KEY": KEY}, "PROMOTER_APP_ID"),
        ({"PROMOTER_APP_PRIVATE_KEY": KEY, "PROMOTER_APP_ID": "", **ACTIONS}, "PROMOTER_APP_ID"),
    ],
)
@pytest.mark.parametrize("address", [GITHUB, "git@github.com:acme/deploy.git"])
def test_half_an_app(address: str, environ: dict[str, str], missing: str) -> None:
    with pytest.raises(UsageError, match=f"{missing} is not") as caught:
        choose(address, environ)
    assert missing in (caught.value.next_step or "")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("app_id", ["a b", "1\n2", "<1>", "1/2"])
def test_an_app_id_that_is_none(app_id: str) -> None:
    with pytest.raises(UsageError, match="PROMOTER_APP_ID"):
        choose(GITHUB, {**APP, "PROMOTER_APP_ID": app_id})


def test_a_token_of_two_lines() -> None:
    with pytest.raises(UsageError, match="PROMOTER_TOKEN") as caught:
        choose(GITHUB, {"PROMOTER_TOKEN": "canary-1\nX-Header: canary-2"})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "environ", "only_for"),
    [
        (GITHUB, ACTIONS, "https://github.com"),
        (f"{GIT}/lab/a/b", GITLAB_CI | {"CI_SERVER_URL": f"{GIT}:443/lab/"}, f"{GIT}/lab"),
        (GITHUB, {"PROMOTER_TOKEN": TOKEN}, None),
        (GITHUB, APP, None),
    ],
)
def test_a_platforms_own_token_is_for_that_platform(
    address: str, environ: dict[str, str], only_for: str | None
) -> None:
    assert choose_credential(parse_address(address), environ).only_for == only_for


def test_a_credential_does_not_show_its_secret() -> None:
    for address, environ in [(GITHUB, {"PROMOTER_TOKEN": TOKEN}), (GITHUB, APP)]:
        assert "canary" not in repr(choose_credential(parse_address(address), environ))
    address = "https://bot:canary@git.example.com/a"
    assert "canary" not in repr(parse_address(address)) + repr(parse_remote(address, {}))


# --- masking


@pytest.mark.parametrize(
    "variable",
    [
        "PROMOTER_TOKEN",
        "PROMOTER_TOKEN_PRODUCTION",
        "GITHUB_TOKEN",
        "GITEA_TOKEN",
        "FORGEJO_TOKEN",
        "CI_JOB_TOKEN",
    ],
)
def test_tokens_are_masked(variable: str) -> None:
    known = secrets.secrets_in({variable: 'ca"na/ry\n'}, [])
    for text in ('ca"na/ry', "ca%22na%2Fry", json.dumps('ca"na/ry')):
        masked = secrets.mask(f"<{text}>", known)
        assert "na" not in masked
        assert masked.startswith("<")


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy", "PROMOTER_MANIFEST_REPO"])
def test_a_password_in_an_address_is_masked(variable: str) -> None:
    known = secrets.secrets_in({variable: "http://bob:ca%2Fnary@proxy.example.com:3128"}, [])
    for text in ("ca%2Fnary", "ca/nary"):
        assert "nary" not in secrets.mask(f"no proxy bob:{text}", known)


@pytest.mark.parametrize("given", ["lines", "written out", "crlf", "spaces"])
@pytest.mark.parametrize("shown", ["lines", "written out", "crlf", "spaces", "json", "one line"])
def test_a_private_key_is_masked_however_its_lines_are_joined(given: str, shown: str) -> None:
    def join(how: str) -> str:
        ends = {"lines": "\n", "written out": "\\n", "crlf": "\r\n", "spaces": " "}
        if how == "json":
            return json.dumps(KEY)
        return LINES[0] if how == "one line" else KEY.replace("\n", ends[how])

    known = secrets.secrets_in({"PROMOTER_APP_PRIVATE_KEY": join(given)}, [])
    masked = secrets.mask(join(shown), known)
    assert "***" in masked
    assert not any(line in masked for line in LINES)


def test_the_name_of_a_key_file_is_no_secret() -> None:
    assert secrets.secrets_in({"PROMOTER_APP_PRIVATE_KEY": "/keys/app.pem"}, []) == frozenset()


def test_what_a_run_obtains_is_masked_too() -> None:
    assert secrets.mask("ghs_canary-of-the-run", frozenset()) == "ghs_canary-of-the-run"
    secrets.register("ghs_canary-of-the-run")
    assert secrets.mask("token ghs_canary-of-the-run!", frozenset()) == "token ***!"


def test_the_output_masks_what_a_run_obtains_while_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output.from_arguments(["bump"], {"PROMOTER_APP_PRIVATE_KEY": KEY})
    output.result(f"before {LINES[0]}")
    secrets.register("ghs_canary-obtained-later")
    output.result("after ghs_canary-obtained-later")
    assert capsys.readouterr().out == "before ***\nafter ***\n"
