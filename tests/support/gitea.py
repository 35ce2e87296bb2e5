"""A real Gitea on loopback: a forge with pull requests, protection, teams, tokens and smart HTTP.

    with running(tmp_path_factory.mktemp("gitea")) as gitea:
        owner = gitea.create_user("owner")
        gitea.create_repository(owner, "deploy")
        gitea.push_first(repo, "owner/deploy", owner)
        repos.git(repo, "push", gitea.git_url("owner/deploy", owner), "bump")
        gitea.api("POST", "/repos/owner/deploy/pulls", {...}, owner.token)

It takes two to three seconds to start, so share one through a fixture of scope session: under xdist that is
one server for each worker. Tests keep apart by names: each takes owners and repositories of its own.
"""

import atexit
import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.support import repos
from tests.support.programs import program

ADMIN = "root-admin"
PASSWORD = "a-password-of-tests-1"  # every account's
START_SECONDS = 45.0
STOP_SECONDS = 5.0
REQUEST_SECONDS = 30.0
POLL_SECONDS = 0.02
PORTS = 5  # tries; another process may take a port between our choice and Gitea's start

SETTINGS = """\
WORK_PATH = {directory}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
STATIC_ROOT_PATH = {static}
DISABLE_SSH = true
OFFLINE_MODE = true
LFS_START_SERVER = false
[database]
DB_TYPE = sqlite3
PATH = {directory}/gitea.db
SQLITE_JOURNAL_MODE = WAL
SQLITE_TIMEOUT = 30000
[security]
INSTALL_LOCK = true
SECRET_KEY = a secret of tests
[oauth2]
ENABLED = false
[actions]
ENABLED = false
[queue]
; the default one is polled, up to two seconds late
TYPE = channel
[cron.update_checker]
ENABLED = false
[log]
LEVEL = warn
"""


class ApiError(Exception):
    """Gitea refused a request."""

    def __init__(self, status: int, request: str, answer: str) -> None:
        self.status = status
        super().__init__(f"{request}: {status} {answer}")


class StartError(Exception):
    """Gitea did not start; the text ends with its log."""


@dataclass(frozen=True)
class Account:
    name: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Gitea:
    """A running server; `token` is an administrator's and may do everything."""

    url: str
    token: str = field(repr=False)
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    def stop(self) -> None:
        """End the server and all that it started; a second call does nothing."""
        atexit.unregister(self.stop)
        if self.process.poll() is None:
            kill(self.process)

    def api(self, method: str, path: str, json: Any = None, token: str | None = None) -> Any:
        """What Gitea answers below /api/v1, as data; raises ApiError where it refuses."""
        status, answer = self.request(method, path, json, f"token {token or self.token}")
        if status >= 400:
            raise ApiError(status, f"{method} {path}", answer if status < 500 else f"{answer}\n{self.said()}")
        return parse(answer)

    def request(self, method: str, path: str, body: Any, authorization: str) -> tuple[int, str]:
        """Status and body of one request, on a connection of its own and past every proxy."""
        address = urlsplit(self.url).netloc
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        with contextlib.closing(http.client.HTTPConnection(address, timeout=REQUEST_SECONDS)) as connection:
            connection.request(method, f"/api/v1{path}", content, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def said(self) -> str:
        """The end of the server's log."""
        return self.log.read_text(errors="replace")[-4000:]

    def create_user(self, name: str) -> Account:
        """A user, with a token of every scope."""
        user = {
            "username": name,
            "email": f"{name}@example.com",
            "password": PASSWORD,
            "must_change_password": False,
        }
        self.api("POST", "/admin/users", user)
        return Account(name, self.create_token(name))

    def create_token(self, name: str, *scopes: str) -> str:
        """A further token of a user, of all scopes or of the given ones, such as `write:repository`."""
        basic = base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()
        wanted = {"name": f"token-{time.monotonic_ns()}", "scopes": scopes or ["all"]}
        status, answer = self.request("POST", f"/users/{name}/tokens", wanted, f"Basic {basic}")
        if status != 201:
            raise ApiError(status, f"a token for {name}", answer)
        token: str = parse(answer)["sha1"]
        return token

    def create_repository(
        self, owner: Account, name: str, *, organisation: str | None = None, private: bool = False
    ) -> str:
        """An empty repository whose default branch is `main`; returns `owner/name`."""
        path = f"/orgs/{organisation}/repos" if organisation else "/user/repos"
        wanted = {"name": name, "private": private, "auto_init": False, "default_branch": "main"}
        full_name: str = self.api("POST", path, wanted, owner.token)["full_name"]
        return full_name

    def git_url(self, repository: str, account: Account | None = None) -> str:
        """Where git reads and writes `owner/name`; with an account its credentials stand in the URL."""
        if account is None:
            return f"{self.url}/{repository}.git"
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{quote(account.name)}:{quote(account.token)}@{rest}/{repository}.git"

    def push_first(self, source: Path, repository: str, account: Account, branch: str = "main") -> None:
        """Push a branch to the empty `owner/name`, and wait until the API sees that it is empty no longer.

        Gitea takes that in from a queue, after the push has ended; until then it refuses pull requests.
        """
        repos.git(source, "push", self.git_url(repository, account), branch)
        deadline = time.monotonic() + REQUEST_SECONDS
        while self.api("GET", f"/repos/{repository}")["empty"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{repository} stays empty:\n{self.said()}")
            time.sleep(POLL_SECONDS)

    def create_organisation(self, owner: Account, name: str) -> None:
        self.api("POST", "/orgs", {"username": name}, owner.token)

    def create_team(
        self, organisation: str, name: str, members: Sequence[Account], permission: str = "write"
    ) -> int:
        """A team with this permission on all repositories of the organisation; returns its id."""
        wanted = {
            "name": name,
            "includes_all_repositories": True,
            "permission": permission,
            "units_map": {"repo.code": permission, "repo.issues": permission, "repo.pulls": permission},
        }
        team: int = self.api("POST", f"/orgs/{organisation}/teams", wanted)["id"]
        for member in members:
            self.api("PUT", f"/teams/{team}/members/{member.name}")
        return team

    def protect(self, repository: str, branch: str, **rules: Any) -> None:
        """Protect a branch of `owner/name`; nobody may push unless a rule (`enable_push=True`) says so."""
        self.api("POST", f"/repos/{repository}/branch_protections", {"rule_name": branch, **rules})


def parse(answer: str) -> Any:
    return json.loads(answer) if answer else None


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Gitea]:
    """A server that ends with the block."""
    gitea = start(directory)
    try:
        yield gitea
    finally:
        gitea.stop()


def start(directory: Path) -> Gitea:
    """Start a server whose data is new and stands in this empty directory; skips where Gitea is absent."""
    configure(directory, port=0)
    run(directory, "migrate")
    token = create_admin(directory)
    for _ in range(PORTS):
        gitea = launch(directory, token)
        atexit.register(gitea.stop)  # for a run that ends without its fixtures
        if becomes_ready(gitea):
            return gitea
        broken = gitea.process.poll() is not None and not port_was_taken(gitea)
        gitea.stop()
        if broken:  # one that neither answers nor ends is a start that hangs now and then: once more
            break
    raise StartError(f"Gitea did not start:\n{gitea.said()}")


def create_admin(directory: Path) -> str:
    """The first account; returns its token."""
    account = ("--username", ADMIN, "--password", PASSWORD, "--email", "admin@example.com")
    run(directory, "admin", "user", "create", "--admin", "--must-change-password=false", *account)
    scopes = ("--username", ADMIN, "--scopes", "all", "--raw")
    return run(directory, "admin", "user", "generate-access-token", *scopes).split()[-1]


def configure(directory: Path, port: int) -> None:
    settings = SETTINGS.format(directory=directory, port=port, static=program("gitea").parent)
    (directory / "app.ini").write_text(settings)


def command(directory: Path, *arguments: str) -> list[str]:
    return [str(program("gitea")), "--config", str(directory / "app.ini"), *arguments]


def environment(directory: Path) -> Mapping[str, str]:
    """Nothing of this machine's: neither git's configuration nor a proxy."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "GIT_CONFIG_NOSYSTEM": "1",
    }


def run(directory: Path, *arguments: str) -> str:
    """One of Gitea's own commands; returns what it prints."""
    done = subprocess.run(
        command(directory, *arguments),
        env=environment(directory),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    if done.returncode:
        raise StartError(f"gitea {arguments[0]}: {done.stdout}{done.stderr}")
    return done.stdout


def launch(directory: Path, token: str) -> Gitea:
    """Start the server on a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        port = chosen.getsockname()[1]
    configure(directory, port)
    log = directory / "gitea.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(directory, "web"),
            env=environment(directory),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Gitea(f"http://127.0.0.1:{port}", token, log, process)


def becomes_ready(gitea: Gitea) -> bool:
    """Wait until the server knows its administrator: another one on that port would not."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and gitea.process.poll() is None and not port_was_taken(gitea):
        with contextlib.suppress(OSError, http.client.HTTPException):
            if gitea.request("GET", "/user", None, f"token {gitea.token}")[0] == 200:
                return True
        time.sleep(POLL_SECONDS)
    return False


def port_was_taken(gitea: Gitea) -> bool:
    """Gitea says so and stays."""
    return "address already in use" in gitea.said()


def kill(process: subprocess.Popen[bytes]) -> None:
    """Let the server end its own children, then leave nothing of its group."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
