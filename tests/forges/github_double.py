"""A double of GitHub Enterprise Server on loopback: REST, GraphQL and real Git on one port.

    with GitHubDouble(root) as github:
        repo = github.add_repository("manifests", {"README.md": "# Deployments\n"})
        github.fault("cut-after", "POST */pulls")      # processed, the answer lost
        github.url, github.api, github.requests, github.issue_token(…)

What stands in the bare repository is what the API sees. Every request and every answer is checked against
GitHub's published description (`github_double_spec`): what does not fit is answered with 599, remembered in
`violations`, and fails the test when the double is closed.
"""

import base64
import threading
import time
import traceback
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from tests.forges import github_double_app as apps
from tests.forges import github_double_git as plumbing
from tests.forges import github_double_graphql as graphql
from tests.forges.github_double_answers import Answers
from tests.forges.github_double_http import (
    GIT_SERVICES,
    PREFIX,
    VIOLATION,
    Answer,
    ApiFault,
    ApiRecord,
    GitHubHandler,
    refused,
)
from tests.forges.github_double_inspect import LOOKS, team
from tests.forges.github_double_rest import ROUTES, Call, flat
from tests.forges.github_double_spec import document, operation, pattern, schema
from tests.forges.github_double_state import RefusalError, Repo, Token
from tests.support import repos
from tests.support.gitserver import FaultKind, GitServer

if TYPE_CHECKING:
    import socket

TOO_MANY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."


class GitHubDouble(GitServer):
    def __init__(self, root: Path, *, tls: tuple[Path, Path] | None = None) -> None:
        document(), schema()  # leaves the test out where they are absent
        super().__init__(root, tls=tls)
        self.api = self.url + PREFIX
        self.answers = Answers(self.api, self.url)
        self.repositories: list[Repo] = []
        self.tokens: list[Token] = []
        self.apps: list[apps.App] = []
        self.violations: list[str] = []
        self.state = threading.RLock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if error is None and self.violations:
            raise AssertionError("not as GitHub describes it:\n" + "\n".join(self.violations))

    # --- what a test sets up

    def add_repository(
        self,
        name: str,
        files: Mapping[str, repos.Content],
        *,
        owner: str = "acme",
        writers: str = "alice bob carol",
    ) -> Repo:
        git = repos.make_repo(self.root / owner / f"{name}.git", files)
        plumbing.prepare(git)
        repo = Repo(owner, name, git, set(writers.split()))
        self.repositories.append(repo)
        return repo

    def issue_token(
        self,
        text: str,
        login: str = "promoter-bot",
        *,
        kind: Literal["personal access token", "integration"] | None = None,
        **permissions: str,
    ) -> Token:
        """A classic token of an administrator, or a fine-grained one with these permissions alone."""
        token = Token(text, login, kind or "classic", permissions)
        self.tokens.append(token)
        return token

    def add_app(self, app_id: str, public_key: str, *names: str, **permissions: str) -> apps.App:
        app = apps.App(app_id, public_key, permissions, frozenset(names))
        self.apps.append(app)
        return app

    def fault(
        self,
        kind: FaultKind | Literal["retry-after", "rate-limit"],
        match: str = "",
        times: int = 1,
        *,
        status: int = 502,
        seconds: float = 1.0,
        location: str = "",
        skip: int = 0,
        message: str = "Something went wrong",
        action: Callable[[], None] | None = None,
    ) -> ApiFault:
        """Let requests to the API go wrong.

        "retry-after" is GitHub's secondary rate limit, "rate-limit" its primary one, which ends in `seconds`;
        "delay" and "hang" wait before the request is processed, "cut-after" loses the answer. `action` runs
        before the fault shows, after a cut-after's processing.
        """
        headers = {}
        real: FaultKind
        if kind == "retry-after":
            real, status = "status", 403
            message, headers = TOO_MANY, {"Retry-After": str(int(seconds))}
        elif kind == "rate-limit":
            real, status = "status", 403
            message = "API rate limit exceeded for user ID 1."
            reset = str(int(time.time() + seconds))
            headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
        else:
            real = kind
        found = ApiFault(
            real, match, times, status, headers, location, seconds, action, message=message, skip=skip
        )
        self.add_fault(found)
        return found

    # --- what a test looks at

    def calls(self) -> list[str]:
        """The labels of the requests to the API so far."""
        return [record.label for record in list(self.requests) if isinstance(record, ApiRecord)]

    def find(self, name: str) -> Repo | None:
        lower = name.lower().removesuffix(".git")
        return next((repo for repo in self.repositories if repo.full_name.lower() == lower), None)

    def token_of(self, authorization: str) -> Token | None:
        """The token of a header, of the API's or of Git's form."""
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() == "basic":
            text = base64.b64decode(text).decode().partition(":")[2]
        issued = [token for app in self.apps for token in app.issued]
        return next((token for token in [*self.tokens, *issued] if token.text == text), None)

    # --- serving

    def authorized(self, header: str) -> bool:
        return self.token_of(header) is not None

    def git_refusal(self, path: str, service: str, authorization: str) -> str:
        """Why Git may not do that with a token that is one."""
        name = next(path.removesuffix(each) for each in GIT_SERVICES if path.endswith(each))
        repo, token = self.find(name.strip("/")), self.token_of(authorization)
        if repo is None or token is None:
            return ""
        level = "write" if service == "git-receive-pack" else "read"
        if level == "write" and repo.archived:
            return "This repository was archived so it is read-only."
        hidden = token.repositories is not None and repo.name not in token.repositories
        return "Write access to repository not granted." if hidden or not token.may("contents", level) else ""

    def observe(self) -> None:
        with self.state:
            for repo in self.repositories:
                repo.observe()

    def answer(self, record: ApiRecord, question: graphql.Question | None, authorization: str) -> Answer:
        """Answer a request; 599 where it, or the answer to it, is not as GitHub describes."""
        with self.state:
            self.observe()
            try:
                if question is not None:
                    answer, problems = self._graphql(question, authorization)
                else:
                    answer, problems = self._rest(record, authorization)
            except Exception:  # noqa: BLE001 - the double is wrong: the test shall say so, not wait for an answer
                problems = [traceback.format_exc()]
            self.observe()
            if problems:
                self.violations.append(f"{record.label}: {'; '.join(problems)}")
                return Answer(VIOLATION, {"message": self.violations[-1]})
            return answer

    def _graphql(self, question: graphql.Question, authorization: str) -> tuple[Answer, list[str]]:
        token = self.token_of(authorization)
        if question.problems or token is None:
            return refused(RefusalError(401, "Bad credentials")), question.problems
        document, problems = graphql.answer(question, token, lambda name: self.visible(name, token))
        return Answer(200, document), problems

    def visible(self, name: str, token: Token) -> Repo | None:
        repo = self.find(name)
        if repo is None or (token.repositories is not None and repo.name not in token.repositories):
            return None
        return repo

    def _rest(self, record: ApiRecord, authorization: str) -> tuple[Answer, list[str]]:
        path = record.path.removeprefix(PREFIX)
        numbered = path.split("/") if path.startswith("/repositories/") else []
        for repo in self.repositories:
            if any(path.startswith(f"/repos/{repo.owner}/{old}/") for old in repo.old_names):
                return self._moved(record, repo), []
            if numbered and numbered[2] == str(repo.id):
                path = "/".join(["", "repos", repo.full_name, *numbered[3:]])
        own = self._as_app(record, path, authorization)
        if own is not None:
            template, call = own
        else:
            found = self._route(record, path, authorization)
            if found is None:
                return Answer(404, None), [f"{record.method} {path} is not what the double knows"]
            template, call = found
        described = operation(record.method, template)
        if problems := described.request_problems(record.query, record.body):
            return Answer(VIOLATION, None), problems
        try:
            answer = call()
        except RefusalError as refusal:
            answer = refused(refusal)
        return answer, described.answer_problems(answer.status, answer.document)

    def _route(
        self, record: ApiRecord, path: str, authorization: str
    ) -> tuple[str, Callable[[], Answer]] | None:
        for route in (*ROUTES, *LOOKS):
            match = pattern(route.template).fullmatch(path)
            if match is None or route.method != record.method:
                continue
            names = {name: urllib.parse.unquote(text) for name, text in match.groupdict().items()}

            def call(route: Any = route, names: Mapping[str, str] = names) -> Answer:
                token = self.token_of(authorization)
                if authorization and token is None:
                    raise RefusalError(401, "Bad credentials")
                repo = self.visible(f"{names['owner']}/{names['repo']}", token) if token else None
                if repo is None or token is None:
                    raise RefusalError(404, "Not Found")
                token.require(**route.needs)
                if record.method != "GET" and repo.archived:
                    raise RefusalError(403, "Repository was archived so is read-only.")
                query = flat(record.query)
                asked = Call(self.answers, token, repo, names, query, record.body, self.url + record.path)
                status, document = route.handle(asked)
                return Answer(status, document, asked.headers)

            return route.template, call
        return None

    def _as_app(
        self, record: ApiRecord, path: str, authorization: str
    ) -> tuple[str, Callable[[], Answer]] | None:
        """What belongs to no repository: the requests that an App makes, people and teams."""
        parts = path.strip("/").split("/")
        match record.method, parts:
            case "GET", ["meta"]:
                about = {"verifiable_password_authentication": True, "installed_version": "3.19.0"}
                return "/meta", lambda: Answer(200, about)
            case "GET", ["users", login]:
                name = urllib.parse.unquote(login)
                created = "2026-01-01T00:00:00Z"
                return "/users/{username}", lambda: Answer(*apps.public_user(self.answers, name, created))
            case "GET", ["orgs", owner, "teams", slug]:

                def there() -> Answer:
                    asking = self.token_of(authorization)
                    known = any(slug in repo.teams for repo in self.repositories if repo.owner == owner)
                    if asking is None or not asking.may("members", "read") or not known:
                        raise RefusalError(404, "Not Found")
                    return Answer(*team(self.answers, owner, slug, self.repositories[0].created))

                return "/orgs/{org}/teams/{team_slug}", there
            case "GET", ["repos", owner, name, "installation"]:

                def where() -> Answer:
                    app, repo = apps.signed_in(self.apps, authorization), self.find(f"{owner}/{name}")
                    if repo is None:
                        raise RefusalError(404, "Not Found")
                    return Answer(*apps.installation(self.answers, app, repo))

                return "/repos/{owner}/{repo}/installation", where
            case "POST", ["app", "installations", number, "access_tokens"]:

                def token() -> Answer:
                    app = apps.signed_in(self.apps, authorization)
                    return Answer(*apps.access_token(app, number, record.body))

                return "/app/installations/{installation_id}/access_tokens", token
        return None

    def _moved(self, record: ApiRecord, repo: Repo) -> Answer:
        rest = record.path.removeprefix(PREFIX).split("/", 4)[4:]
        query = f"?{record.query}" if record.query else ""
        location = "/".join([self.api, "repositories", str(repo.id), *rest]) + query
        status = 301 if record.method == "GET" else 307
        return Answer(status, {"message": "Moved Permanently", "url": location}, {"Location": location})

    def handle(self, connection: "socket.socket") -> None:
        GitHubHandler(connection, self)
