"""A stateful double of GitLab: REST API v4 and Git over HTTP on one loopback port.

    with GitLabDouble(root) as double:
        project = double.add_project("acme/manifests", {"README.md": "# …\\n"})
        token = double.add_token("glpat-…", {"api"}, access="developer")
        double.fault("status", r"POST .*/merge_requests$", status=503)
        double.log, double.violations

Branches that are pushed are the branches that the API sees; push options are read by a real post-receive
hook. Each request and each answer is checked against `gitlab_api.yaml`: what is not published is answered
with 599 and remembered in `violations`, which a fixture must find empty.
"""

import base64
import binascii
import json
import re
import socket
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.forges import gitlab_rest, gitlab_rules
from tests.forges.gitlab_push_hook import CLIENTS, HOOK, PROTECTION, post_receive
from tests.forges.gitlab_rest import Answer, Call, RefusedError
from tests.forges.gitlab_schema import Operation, find_operation
from tests.forges.gitlab_state import Access, Project, Token, User
from tests.support import repos
from tests.support.gitserver import Fault, FaultKind, GitHandler, GitServer, describe

API = "/api/v4"
INTERNAL = "/internal/post_receive"
PEOPLE = ("alice", "bob", "carol")
VIOLATED = 599


@dataclass
class Logged:
    """One request to the API. `status` is 0 where no answer was sent."""

    method: str
    path: str  # below /api/v4, as sent
    query: str
    body: Any
    token: str
    status: int = 0

    @property
    def line(self) -> str:
        return f"{self.method} {urllib.parse.unquote(self.path)}"


@dataclass
class ApiFault(Fault):
    """`match` is a regular expression that is looked for in "METHOD target"."""

    def matches(self, target: str) -> bool:
        return re.search(self.match, target) is not None


class GitLabDouble(GitServer):
    """Serves the projects below `root`."""

    def __init__(self, root: Path, *, tls: tuple[Path, Path] | None = None) -> None:
        super().__init__(root, tls=tls)
        self.projects: dict[str, Project] = {}
        self.users = {name: User(number, name) for number, name in enumerate(PEOPLE, 101)}
        self.tokens: dict[str, Token] = {}
        self.log: list[Logged] = []
        self.violations: list[str] = []
        self.state = threading.RLock()

    def add_project(self, path: str, files: Mapping[str, repos.Content]) -> Project:
        git = repos.make_repo(self.root / f"{path}.git", files)
        repos.git(git, "config", "receive.advertisePushOptions", "true")
        hook = git / "hooks" / "post-receive"
        hook.parent.mkdir(exist_ok=True)
        client = CLIENTS[self.scheme].format(port=self.port)
        text = HOOK.format(python=sys.executable, client=client, path=INTERNAL, project=path)
        hook.write_text(text)
        hook.chmod(0o755)
        project = Project(len(self.projects) + 1, path, git, last_id=1000 * (len(self.projects) + 1))
        self.projects[path] = project
        return project

    def add_token(
        self,
        secret: str,
        scopes: Iterable[str],
        *,
        access: Access = "developer",
        job: bool = False,
        user: str | None = None,
        expires: str | None = None,
    ) -> Token:
        """A person's, or one that acts as a bot of its own."""
        name = user or f"project_{1 + len(self.tokens)}_bot"
        owner = self.users.setdefault(name, User(201 + len(self.tokens), name))
        token = Token(secret, owner, frozenset(scopes), "job" if job else "project", access, expires)
        self.tokens[secret] = token
        return token

    def protect_branch(self, project: Project, branch: str) -> None:
        """No pushes to it ("Protected branches": allowed to push and merge, nobody)."""
        hook = project.git / "hooks" / "pre-receive"
        hook.write_text(PROTECTION.format(ref=f"refs/heads/{branch}"))
        project.protected.add(branch)
        hook.chmod(0o755)

    def fault(
        self,
        kind: FaultKind,
        match: str,
        times: int = 1,
        *,
        status: int = 503,
        headers: dict[str, str] | None = None,
        location: str = "",
        action: Callable[[], None] | None = None,
    ) -> Fault:
        """Something to go wrong with the next requests to the API or to Git that match."""
        fault = ApiFault(
            kind, match, times, status=status, headers=headers or {}, location=location, action=action
        )
        return self.add_fault(fault)

    def called(self, pattern: str) -> list[Logged]:
        """The requests whose "METHOD path" the pattern finds."""
        return [one for one in list(self.log) if re.search(pattern, one.line)]

    def handle(self, connection: socket.socket) -> None:
        GitLabHandler(connection, self)


class GitLabHandler(GitHandler):
    owner: GitLabDouble

    def do_PUT(self) -> None:  # noqa: N802 - http.server looks for this name
        self._serve()

    def do_DELETE(self) -> None:  # noqa: N802 - http.server looks for this name
        self._serve()

    def _serve(self) -> None:
        """Git as the base class does it, but with tokens of different rights."""
        if self.path == INTERNAL:
            self._hook()
        elif self.path.startswith(f"{API}/"):
            self._serve_api()
        elif "/info/refs" in self.path and ".git/" not in self.path:
            # GitLab's config/routes/git_http.rb, which asks for no token before.
            location = self.owner.url + self.path.replace("/info/refs", ".git/info/refs")
            self._drain_and_refuse(301, {"Location": location})
        elif refusal := self._git_refusal():
            self._drain_and_refuse(*refusal)
        else:
            super()._serve()

    # --- Git

    def _git_refusal(self) -> tuple[int, dict[str, str]] | None:
        token = self._basic_token()
        if token is None:
            return 401, {"WWW-Authenticate": 'Basic realm="GitLab"'}
        pushes = "git-receive-pack" in self.path
        project = self.owner.projects.get(self.path.lstrip("/").partition(".git")[0])
        if project is None:
            return 404, {}
        job_may = token.kind != "job" or project.job_token_pushes
        if pushes and (not token.pushes or not job_may or token.access == "reporter" or project.archived):
            return 403, {}
        return None

    def _basic_token(self) -> Token | None:
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        try:
            secret = base64.b64decode(text).decode().partition(":")[2] if kind == "Basic" else ""
        except (binascii.Error, UnicodeDecodeError):
            secret = ""
        return self.owner.tokens.get(secret)

    def _drain_and_refuse(self, status: int, headers: dict[str, str]) -> None:
        self._begin()
        self._drain()
        self._reply(status, headers)

    def _environment(self) -> dict[str, str]:
        token = self._basic_token()
        return super()._environment() | {"REMOTE_USER": token.user.username if token else ""}

    def _hook(self) -> None:
        """The post-receive hook asks what to tell the one who pushes."""
        self._begin()
        told = json.loads(b"".join(self._body()))
        with self.owner.state:
            project = self.owner.projects[told["project"]]
            user = self.owner.users[told["user"]]
            text = post_receive(project, user, self.owner.users, self.owner.url, told)
        self._send(200, text.encode(), {"Content-Type": "text/plain"})

    # --- the API

    def _serve_api(self) -> None:
        self._begin()
        fault = self.owner.take_fault(f"{self.command} {self.path}")
        self.record.fault = fault.kind if fault else ""
        target = urllib.parse.urlsplit(self.path)
        self.logged = Logged(self.command, target.path.removeprefix(API), target.query, None, self._secret())
        self.owner.log.append(self.logged)
        if fault is None:
            self._process(None)
        else:
            self._fail(fault)
        self.logged.status = self.record.status

    def _secret(self) -> str:
        """https://docs.gitlab.com/api/rest/authentication/."""
        bearer = self.headers.get("Authorization", "")
        shown = self.headers.get("PRIVATE-TOKEN") or self.headers.get("JOB-TOKEN")
        return shown or bearer.removeprefix("Bearer ")

    def _process(self, cut: Fault | None) -> None:
        if not self.path.startswith(f"{API}/"):
            super()._process(cut)
            return
        raw = b"".join(self._body())
        with self.owner.state:
            answer = self._checked_answer(raw)
        if cut is not None:
            cut.act()
            self._cut()
            return
        body = json.dumps(answer.document).encode()
        headers = {"Content-Type": "application/json", "X-Gitlab-Meta": "{}", **answer.headers}
        self._send(answer.status, body, headers)

    def _checked_answer(self, raw: bytes) -> Answer:
        logged = self.logged
        query = urllib.parse.parse_qs(logged.query, keep_blank_values=True)
        body = logged.body = json.loads(raw) if raw else {}
        found = find_operation(logged.method, logged.path)
        if found is None:
            return self._violation(["no such operation is published"])
        operation, names = found
        if problems := operation.request_problems(query, body):
            return self._violation(problems)
        try:
            token = self._authorize(operation)
            texts = {name: values[-1] for name, values in query.items()}
            answer = gitlab_rest.OPERATIONS[operation.name](Call(self.owner, token, names, texts, body))
        except RefusedError as refused:
            answer = refused.answer
        if problems := operation.answer_problems(answer.status, answer.document):
            return self._violation([f"answer {answer.status}: {problem}" for problem in problems])
        return answer

    def _authorize(self, operation: Operation) -> Token:
        """https://docs.gitlab.com/api/rest/troubleshooting/#status-codes."""
        token = self.owner.tokens.get(self.logged.token)
        allowed = token is not None and (token.kind != "job" or operation.name in gitlab_rest.FOR_JOBS)
        if token is None or not allowed:
            raise RefusedError(401, "401 Unauthorized")
        if token.kind == "job":
            return token
        needed = {"api"} if operation.method != "GET" else {"api", "read_api"}
        if not token.scopes & needed:
            document = {
                "error": "insufficient_scope",
                "error_description": "The request requires higher privileges than provided by the "
                "access token.",
                "scope": " ".join(sorted(needed)),
            }
            raise RefusedError(403, document)
        return token

    def _violation(self, problems: list[str]) -> Answer:
        self.owner.violations += [f"{self.logged.line}: {problem}" for problem in problems]
        return Answer(VIOLATED, {"message": problems})

    # --- replies

    def _begin(self) -> None:
        self.began = time.monotonic()
        self.record = describe(self.command, self.path, authorization="Authorization" in self.headers)
        self.owner.record(self.record)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self._count(len(body))
        self._head(status, [("Content-Length", str(len(body))), *headers.items()])
        self.wfile.write(body)


def settle(double: GitLabDouble) -> None:
    """Let GitLab's workers do what pushes have left to do."""
    with double.state:
        for project in double.projects.values():
            gitlab_rules.refresh(project)
