"""How a manifest repository is reached, and that credentials go there and nowhere else."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import manifests, repos
from tests.support.cli import Result, finish, run_promoter, start_promoter
from tests.support.gitserver import Fault, GitServer, Proxy
from tests.support.manifests import bump, land, status, tags
from tests.support.programs import need
from tests.support.sshserver import SshServer
from tests.support.tls import make_ca

SECRET = "canary-7f3e1d-token"
CREDENTIALS = ("x-access-token", SECRET)
IMAGE = "api:1.1.0"
PUSH = "git-receive-pack"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def repo(root: Path) -> Path:
    return manifests.make(root / "acme/deploy.git", {"api": "1.0.0", "web": "1.0.0"})


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """The run's TMPDIR, with a name that is hard on command lines; empty again afterwards."""
    folder = tmp_path / "a tmp 100%h"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


def failure(result: Result, code: int) -> dict[str, Any]:
    """The error of a run that must end with this code."""
    assert result.code == code, result
    error: dict[str, Any] = result.document["error"]
    assert error["exit"] == code
    assert error["next"]
    return error


def assert_landed(repo: Path) -> None:
    assert tags(repo) == {"api": "1.1.0", "web": "1.0.0"}
    assert len(repos.log(repo)) == 2
    repos.fsck(repo)


# --- paths and file://


@pytest.mark.parametrize("form", ["url", "absolute", "relative", "dot"])
def test_local_repositories(repo: Path, root: Path, form: str) -> None:
    address = {"url": repo.as_uri(), "absolute": str(repo), "relative": "acme/deploy.git", "dot": "."}[form]
    land(address, IMAGE, cwd=repo if form == "dot" else root)
    assert_landed(repo)


def test_a_path_that_looks_like_ssh(tmp_path: Path) -> None:
    repo = manifests.make(tmp_path / "host:deploy.git", {"api": "1.0.0", "web": "1.0.0"})
    land("host:deploy.git", IMAGE, cwd=tmp_path)
    assert_landed(repo)


@pytest.mark.parametrize(
    "address", ["ftp://127.0.0.1/x", "ext::sh -c true", "-oProxyCommand=true", "http:///x", "a\nb"]
)
def test_other_protocols_are_refused(address: str, tmp_path: Path) -> None:
    result = bump("unused", IMAGE, f"--manifest-repo={address}", cwd=tmp_path)
    assert result.code in (2, 3), result
    assert result.document["error"]["next"]


# --- http, certificates, proxies


def test_http(repo: Path, root: Path) -> None:
    with GitServer(root) as server:
        land(f"{server.url}/acme/deploy.git", IMAGE)
    assert_landed(repo)


@pytest.fixture
def ca(tmp_path: Path) -> tuple[Path, Path, Path]:
    return make_ca(tmp_path / "tls")


@pytest.fixture
def tls(repo: Path, ca: tuple[Path, Path, Path]) -> Iterator[GitServer]:
    with GitServer(repo.parent.parent, tls=ca[1:]) as server:
        yield server


CA_VARIABLES = ("GIT_SSL_CAINFO", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CI_SERVER_TLS_CA_FILE")


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_https_with_a_private_authority(
    repo: Path, tls: GitServer, ca: tuple[Path, Path, Path], variable: str
) -> None:
    land(f"{tls.url}/acme/deploy.git", IMAGE, env={variable: str(ca[0])})
    assert_landed(repo)


def test_the_authority_may_be_named_from_where_one_stands(
    repo: Path, tls: GitServer, ca: tuple[Path, Path, Path]
) -> None:
    env = {"GIT_SSL_CAINFO": f"{ca[0].parent.name}/{ca[0].name}"}
    land(f"{tls.url}/acme/deploy.git", IMAGE, env=env, cwd=ca[0].parent.parent)
    assert_landed(repo)


def test_an_authority_whose_file_is_absent_is_said(tls: GitServer, tmp_path: Path) -> None:
    env = {"GIT_SSL_CAINFO": str(tmp_path / "absent.pem")}
    error = failure(bump(f"{tls.url}/acme/deploy.git", IMAGE, env=env), 9)
    assert "check that the file is there" in error["next"]
    assert "GIT_SSL_CAINFO" in error["next"]


def test_https_with_an_unknown_authority(tls: GitServer) -> None:
    error = failure(bump(f"{tls.url}/acme/deploy.git", IMAGE), 9)
    assert "certificate" in error["message"]
    assert "GIT_SSL_CAINFO" in error["next"]
    assert tls.requests == []


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy"])
def test_http_through_a_proxy(repo: Path, root: Path, variable: str) -> None:
    with GitServer(root) as server, Proxy() as proxy:
        land(f"{server.url}/acme/deploy.git", IMAGE, env={variable: proxy.url})
        assert len(proxy.requests) >= len(server.requests) > 0
    assert_landed(repo)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_https_through_a_proxy(
    repo: Path, tls: GitServer, ca: tuple[Path, Path, Path], variable: str
) -> None:
    with Proxy() as proxy:
        env = {variable: proxy.url, "GIT_SSL_CAINFO": str(ca[0])}
        land(f"{tls.url}/acme/deploy.git", IMAGE, env=env)
        assert {(one.method, one.target) for one in proxy.requests} == {("CONNECT", f"127.0.0.1:{tls.port}")}
    assert_landed(repo)


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_no_proxy(repo: Path, root: Path, variable: str) -> None:
    with GitServer(root) as server, Proxy() as proxy:
        env = {"HTTP_PROXY": proxy.url, "http_proxy": proxy.url, variable: "127.0.0.1,localhost"}
        land(f"{server.url}/acme/deploy.git", IMAGE, env=env)
        assert proxy.requests == []
    assert_landed(repo)


# --- credentials for http


@pytest.fixture
def guarded(repo: Path) -> Iterator[GitServer]:
    with GitServer(repo.parent.parent, credentials=CREDENTIALS) as server:
        yield server


def address_of(server: GitServer, userinfo: str = "") -> str:
    return f"{server.url.replace('://', f'://{userinfo}@') if userinfo else server.url}/acme/deploy.git"


def test_promoter_token(repo: Path, guarded: GitServer) -> None:
    land(address_of(guarded), IMAGE, env={"PROMOTER_TOKEN": SECRET})
    assert_landed(repo)


def test_promoter_username(repo: Path, guarded: GitServer) -> None:
    guarded.credentials = ("bot", SECRET)
    land(address_of(guarded), IMAGE, env={"PROMOTER_TOKEN": SECRET, "PROMOTER_USERNAME": "bot"})
    assert_landed(repo)


def test_credentials_in_the_address(repo: Path, guarded: GitServer) -> None:
    guarded.credentials = ("b@t", "s:c/r%t-canary")
    land(address_of(guarded, "b%40t:s%3Ac%2Fr%25t-canary"), IMAGE)
    assert_landed(repo)


def test_the_token_goes_before_what_stands_in_the_address(repo: Path, guarded: GitServer) -> None:
    land(address_of(guarded, "old:wrong-canary"), IMAGE, env={"PROMOTER_TOKEN": SECRET})
    assert_landed(repo)


@pytest.mark.parametrize("name", ["acme/deploy", "Acme/Deploy"])
def test_github_token_for_its_own_repository(repo: Path, guarded: GitServer, name: str) -> None:
    env = {"GITHUB_TOKEN": SECRET, "GITHUB_SERVER_URL": guarded.url, "GITHUB_REPOSITORY": name}
    land(address_of(guarded), IMAGE, env=env)
    assert_landed(repo)


FOREIGN_TOKENS = {
    "another repository": {"GITHUB_SERVER_URL": "{url}", "GITHUB_REPOSITORY": "acme/api"},
    "its prefix": {"GITHUB_SERVER_URL": "{url}", "GITHUB_REPOSITORY": "acme/depl"},
    "another server": {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/deploy"},
    "no repository": {"GITHUB_SERVER_URL": "{url}"},
    "no server": {"GITHUB_REPOSITORY": "acme/deploy"},
    "another GitLab": {"CI_SERVER_URL": "https://gitlab.com"},
    "a longer host": {"CI_SERVER_URL": "{url}1"},
    "a shorter host": {"CI_SERVER_URL": "{short}"},
    "no GitLab": {},
}


@pytest.mark.parametrize("variables", FOREIGN_TOKENS.values(), ids=FOREIGN_TOKENS)
def test_the_platforms_token_goes_nowhere_else(guarded: GitServer, variables: dict[str, str]) -> None:
    places = {name: text.format(url=guarded.url, short=guarded.url[:-1]) for name, text in variables.items()}
    env = {"GITHUB_TOKEN": SECRET, "CI_JOB_TOKEN": SECRET} | places
    error = failure(bump(address_of(guarded), IMAGE, env=env), 8)
    assert "PROMOTER_TOKEN" in error["next"]
    assert {(one.status, one.authorization) for one in guarded.requests} == {(401, False)}


@pytest.mark.parametrize("end", ["", "/"])
def test_gitlab_job_token_for_its_own_host(repo: Path, guarded: GitServer, end: str) -> None:
    guarded.credentials = ("gitlab-ci-token", SECRET)
    land(address_of(guarded), IMAGE, env={"CI_JOB_TOKEN": SECRET, "CI_SERVER_URL": guarded.url + end})
    assert_landed(repo)


def test_a_wrong_token_is_said(guarded: GitServer) -> None:
    result = bump(address_of(guarded), IMAGE, env={"PROMOTER_TOKEN": "wrong-canary"})
    assert "PROMOTER_TOKEN" in failure(result, 8)["next"]
    assert "canary" not in result.stdout + result.stderr


# --- secrets stay secret


@pytest.fixture
def recorder(tmp_path: Path) -> Path:
    """A folder for PATH with a `git` that records the arguments of each call in `calls`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    executable(folder / "git", f'printf "%s\\n" "$*" >> "{folder}/calls"\nexec "{shutil.which("git")}" "$@"')
    return folder


def executable(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def seen_on_this_machine(folder: Path, into: list[bytes]) -> Callable[[], None]:
    """Note all command lines of the machine and all files below the folder."""

    def look() -> None:
        into.extend(map(read, Path("/proc").glob("[0-9]*/cmdline")))
        into.extend(read(path) for path in folder.rglob("*") if path.is_file())

    return look


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # gone by now
        return b""


@pytest.mark.parametrize("given", ["variable", "address"])
@pytest.mark.parametrize("landing", [True, False], ids=["lands", "refused"])
def test_the_token_is_seen_nowhere(
    guarded: GitServer, scratch: Path, recorder: Path, given: str, landing: bool
) -> None:
    seen: list[bytes] = []
    if not landing:
        guarded.add_fault(Fault("status", PUSH, status=403))
    guarded.add_fault(Fault("delay", PUSH, action=seen_on_this_machine(scratch, seen)))
    guarded.add_fault(Fault("delay", "git-upload-pack", action=seen_on_this_machine(scratch, seen)))
    env = {"TMPDIR": str(scratch), "PATH": f"{recorder}:{os.environ['PATH']}"}
    # What the caller wrote on promoter's own command line is the caller's: the variable has no such trace.
    env["PROMOTER_MANIFEST_REPO"] = address_of(guarded)
    if given == "variable":
        env["PROMOTER_TOKEN"] = SECRET
    else:
        env["PROMOTER_MANIFEST_REPO"] = address_of(guarded, ":".join(CREDENTIALS))
    command = ["bump", "--path", manifests.FOLDER, "--image", f"{manifests.REGISTRY}/{IMAGE}", "--debug"]
    result = run_promoter(*command, "--output", "json", env=env)
    assert result.code == (0 if landing else 8), result
    assert "git-receive-pack" in result.stderr or "push" in result.stderr
    calls = (recorder / "calls").read_text()
    assert "clone" in calls
    assert "push" in calls
    assert guarded.faults == [] or not landing
    assert len(seen) > 3
    everything = "".join([result.stdout, result.stderr, calls, *map(bytes.decode, map(printable, seen))])
    assert SECRET not in everything


def printable(data: bytes) -> bytes:
    return data.decode(errors="replace").encode()


# --- nothing ambient

HOSTILE_GITCONFIG = """\
[url "http://127.0.0.1:1/nowhere/"]
	insteadOf = {url}/
[commit]
	template = /nonexistent/template
	gpgSign = true
[core]
	hooksPath = {hooks}
	sshCommand = {hooks}/pre-push
[credential]
	helper = "!touch {trace}; true"
[http]
	proxy = http://127.0.0.1:1
	extraHeader = X-Broken: yes
[user]
	name = Somebody
	email = somebody@example.com
[protocol]
	allow = never
[transfer]
	fsckObjects = broken
"""


def test_ambient_git_configuration_is_ignored(repo: Path, guarded: GitServer, tmp_path: Path) -> None:
    home, hooks, trace = tmp_path / "home", tmp_path / "hooks", tmp_path / "trace"
    hooks.mkdir()
    for name in ("pre-push", "post-checkout", "reference-transaction", "pre-auto-gc"):
        executable(hooks / name, f"touch '{trace}'; exit 1")
    text = HOSTILE_GITCONFIG.format(url=guarded.url, hooks=hooks, trace=trace)
    for place in (home / ".gitconfig", home / "xdg/git/config", tmp_path / "work/.git/config"):
        place.parent.mkdir(parents=True)
        place.write_text(text)
    env = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "xdg"),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_SYSTEM": str(home / ".gitconfig"),
        "GIT_CONFIG_PARAMETERS": "'protocol.allow=never'",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "protocol.allow",
        "GIT_CONFIG_VALUE_0": "never",
        "GIT_DIR": str(tmp_path / "work/.git"),
        "GIT_INDEX_FILE": "/nonexistent/index",
        "GIT_OBJECT_DIRECTORY": "/nonexistent/objects",
        "GIT_AUTHOR_NAME": "Somebody",
        "GIT_COMMITTER_EMAIL": "somebody@example.com",
        "GIT_TRACE": str(trace),
        "GIT_ASKPASS": str(hooks / "pre-push"),
        "GIT_PROXY_COMMAND": str(hooks / "pre-push"),
        "GIT_TEMPLATE_DIR": str(hooks),
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_EXTERNAL_DIFF": str(hooks / "pre-push"),
        "LANG": "de_DE.UTF-8",
    }
    land(address_of(guarded), IMAGE, env={**env, "PROMOTER_TOKEN": SECRET}, cwd=tmp_path / "work")
    assert not trace.exists()
    assert_landed(repo)
    assert "Somebody" not in repos.log(repo)[0].author + repos.log(repo)[0].committer


# --- ssh


@pytest.fixture
def ssh(repo: Path) -> Iterator[SshServer]:
    need("openssh-client", "ssh", "ssh-agent", "ssh-add")
    with SshServer(repo.parent) as server:
        yield server


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return path


@pytest.mark.parametrize("key_as", ["text", "text-crlf", "file"])
@pytest.mark.parametrize("hosts_as", ["text", "file"])
def test_ssh_with_a_deploy_key(
    repo: Path, ssh: SshServer, tmp_path: Path, scratch: Path, key_as: str, hosts_as: str
) -> None:
    key = ssh.private_key
    if key_as == "file":
        key = str(write(tmp_path / "deploy key %h", key))
    elif key_as == "text-crlf":
        key = key.replace("\n", "\r\n").rstrip()
    other = "example.com ssh-rsa AAAAB3NzaC1yc2E" + "A" * 600 + "\n"
    hosts = other + ssh.known_hosts
    if hosts_as == "file":
        hosts = str(write(tmp_path / "known hosts", hosts))
    env = {"TMPDIR": str(scratch), "PROMOTER_SSH_KEY": key, "PROMOTER_SSH_KNOWN_HOSTS": hosts}
    land(ssh.url("deploy.git"), IMAGE, env=env)
    assert_landed(repo)
    assert {command.split()[0] for command in ssh.commands} == {"git-upload-pack", "git-receive-pack"}


def test_a_key_given_as_text_is_never_in_a_file(
    repo: Path, ssh: SshServer, tmp_path: Path, scratch: Path
) -> None:
    """Looked at while the push is on: a hook of the server waits for us."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (repo / "hooks").mkdir(exist_ok=True)
    executable(repo / "hooks/pre-receive", f"echo here > '{fifo}'; cat '{fifo}' > /dev/null")
    env = {
        "TMPDIR": str(scratch),
        "PROMOTER_SSH_KEY": ssh.private_key,
        "PROMOTER_SSH_KNOWN_HOSTS": ssh.known_hosts,
    }
    process = start_promoter(*manifests.bump_of(ssh.url("deploy.git"), IMAGE), "--debug", env=env)
    seen: list[bytes] = []
    try:
        assert fifo.read_text() == "here\n"
        seen_on_this_machine(scratch, seen)()
        fifo.write_text("go on\n")
    finally:
        result = finish(process)
    assert (result.code, status(result)) == (0, "promoted"), result
    assert any(b"receive-pack" in one for one in seen)
    secrets = ssh.private_key.splitlines()[1:-1]
    text = b"".join(seen).decode(errors="replace") + result.stdout + result.stderr
    assert [line for line in secrets if line in text] == []


def test_the_agents_of_a_run_end_with_it(ssh: SshServer, scratch: Path) -> None:
    env = {
        "TMPDIR": str(scratch),
        "PROMOTER_SSH_KEY": ssh.private_key,
        "PROMOTER_SSH_KNOWN_HOSTS": ssh.known_hosts,
    }
    land(ssh.url("deploy.git"), IMAGE, env=env)
    left = [read(place) for place in Path("/proc").glob("[0-9]*/cmdline")]
    assert [one for one in left if str(scratch).encode() in one] == []


def test_ssh_with_a_caller_s_agent(repo: Path, ssh: SshServer, tmp_path: Path) -> None:
    socket = Path(os.path.relpath(tmp_path)) / "s"  # an address of a socket must be short
    agent = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert agent.stdout is not None
        assert agent.stdout.readline()
        env = {"PATH": os.environ["PATH"], "SSH_AUTH_SOCK": str(socket.absolute())}
        key = write(tmp_path / "key", ssh.private_key)
        subprocess.run(["ssh-add", "-q", str(key)], env=env, check=True, timeout=30)
        land(ssh.url("deploy.git"), IMAGE, env={**env, "PROMOTER_SSH_KNOWN_HOSTS": ssh.known_hosts})
    finally:
        agent.kill()
        agent.communicate()
    assert_landed(repo)


@pytest.mark.parametrize("known", ["nobody", "another key"])
def test_an_unknown_host_key_is_refused(ssh: SshServer, scratch: Path, known: str) -> None:
    hosts = "example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMAih09RbAMLhtbdGEExNWgP4t6dEtd7J4oIrOXjxkTA\n"
    if known == "another key":
        hosts = hosts.replace("example.com", f"[127.0.0.1]:{ssh.port}")
    env = {"PROMOTER_SSH_KEY": ssh.private_key, "PROMOTER_SSH_KNOWN_HOSTS": hosts, "TMPDIR": str(scratch)}
    error = failure(bump(ssh.url("deploy.git"), IMAGE, env=env), 8)
    assert "Host key verification failed" in error["message"]
    assert "PROMOTER_SSH_KNOWN_HOSTS" in error["next"]
    assert ssh.commands == []


def test_a_key_that_the_server_does_not_know(root: Path, ssh: SshServer) -> None:
    env = {
        "PROMOTER_SSH_KEY": SshServer(root).private_key,
        "PROMOTER_SSH_KNOWN_HOSTS": ssh.known_hosts,
    }
    error = failure(bump(ssh.url("deploy.git"), IMAGE, env=env), 8)
    assert "Permission denied" in error["message"]
    assert "PROMOTER_SSH_KEY" in error["next"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PROMOTER_SSH_KEY", "/nonexistent/key"),
        (
            "PROMOTER_SSH_KEY",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nY2FuYXJ5\n-----END OPENSSH PRIVATE KEY-----",
        ),
        ("PROMOTER_SSH_KEY", "c2hvcnQ=" * 400),
        ("PROMOTER_SSH_KNOWN_HOSTS", "/nonexistent/known_hosts"),
    ],
)
def test_a_key_or_host_list_that_is_none(ssh: SshServer, scratch: Path, variable: str, value: str) -> None:
    env = {"PROMOTER_SSH_KEY": ssh.private_key, "PROMOTER_SSH_KNOWN_HOSTS": ssh.known_hosts}
    result = bump(ssh.url("deploy.git"), IMAGE, env={**env, "TMPDIR": str(scratch), variable: value})
    error = failure(result, 2)
    assert variable in error["message"]
    assert "Y2FuYXJ5" not in result.stdout + result.stderr
    assert ssh.commands == []


def test_the_callers_ssh_command_is_respected(repo: Path, ssh: SshServer, tmp_path: Path) -> None:
    key, hosts = write(tmp_path / "key", ssh.private_key), write(tmp_path / "hosts", ssh.known_hosts)
    trace = tmp_path / "trace"
    options = f"-p {ssh.port} -i '{key}' -o UserKnownHostsFile='{hosts}' -o BatchMode=yes"
    wrapper = executable(tmp_path / "my-ssh", f'echo "$*" >> \'{trace}\'; exec ssh {options} "$@"')
    land("git@127.0.0.1:deploy.git", IMAGE, env={"GIT_SSH_COMMAND": str(wrapper)})
    assert "git-receive-pack" in trace.read_text()
    assert_landed(repo)


def test_ssh_servers_that_only_speak_the_old_protocol(repo: Path, ssh: SshServer) -> None:
    ssh.speaks_version_2 = False
    env = {"PROMOTER_SSH_KEY": ssh.private_key, "PROMOTER_SSH_KNOWN_HOSTS": ssh.known_hosts}
    land(ssh.url("deploy.git"), IMAGE, env=env)
    assert_landed(repo)
