"""How the double of GitHub takes requests: the API's ones itself, Git's by `git http-backend`."""

import json
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tests.forges import github_double_graphql as graphql
from tests.forges.github_double_state import RefusalError
from tests.support.gitserver import Fault, GitHandler, RequestRecord, describe

if TYPE_CHECKING:
    from tests.forges.github_double import GitHubDouble

PREFIX = "/api/v3"
GRAPHQL = "/api/graphql"
VIOLATION = 599
GIT_SERVICES = ("/info/refs", "/git-upload-pack", "/git-receive-pack")


@dataclass
class ApiRecord(RequestRecord):
    """`label` is "POST /repos/acme/manifests/pulls", or "POST /graphql" and the mutation or query's name."""

    host: str = ""
    label: str = ""
    body: Any = None


@dataclass
class ApiFault(Fault):
    """`match` is the end of a request's label, in which `*` stands for anything; the first `skip` pass."""

    message: str = "Something went wrong"
    skip: int = 0

    def matches(self, target: str) -> bool:
        if " " not in target or not fnmatchcase(target, f"*{self.match}"):
            return False
        self.skip -= 1
        return self.skip < 0


@dataclass
class Answer:
    status: int
    document: Any
    headers: dict[str, str] = field(default_factory=dict)


class GitHubHandler(GitHandler):
    owner: "GitHubDouble"

    do_PATCH = do_PUT = do_DELETE = GitHandler.do_POST  # noqa: N815 - http.server names them

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        if not path.endswith(GIT_SERVICES):
            self._serve_api(path, query)
            return
        authorization = self.headers.get("Authorization", "")
        record = describe(self.command, self.path, authorization=bool(authorization))
        if refusal := self.owner.git_refusal(path, record.service, authorization):
            self.began, self.record = time.monotonic(), record
            self.owner.record(record)
            self._drain()
            self._say(Answer(403, {"message": refusal}))
            return
        super()._serve()
        self.owner.observe()

    def _environment(self) -> dict[str, str]:
        token = self.owner.token_of(self.headers.get("Authorization", ""))
        return super()._environment() | {"REMOTE_USER": token.login if token else ""}

    def _serve_api(self, path: str, query: str) -> None:
        self.began = time.monotonic()
        authorization = self.headers.get("Authorization", "")
        record = ApiRecord(
            self.command, path, query, "", bool(authorization), host=self.headers.get("Host", "")
        )
        self.record = record
        raw = b"".join(self._body())
        record.body = json.loads(raw) if raw else None
        question = graphql.read(record.body) if path == GRAPHQL else None
        record.label = f"{self.command} {path.removeprefix(PREFIX)}"
        if question is not None:
            record.label = f"POST /graphql {question.name}"
        self.owner.record(record)
        if question is None and not path.startswith(f"{PREFIX}/"):
            self._say(
                Answer(404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest"})
            )
            return
        fault = self.owner.take_fault(record.label)
        record.fault = fault.kind if fault is not None else ""
        if fault is None or fault.kind == "delay":
            if fault is not None:
                self.owner.closing.wait(fault.seconds)
                fault.act()
            self._say(self.owner.answer(record, question, authorization))
        elif fault.kind == "cut-after":
            self.owner.answer(record, question, authorization)
            fault.act()
            self._cut()
        elif fault.kind in ("status", "redirect"):
            fault.act()
            self._say(_of_fault(fault, self.path))
        else:
            fault.act()
            if fault.kind == "hang":
                self.owner.closing.wait()
            self._cut()

    def _say(self, answer: Answer) -> None:
        body = b"" if answer.document is None else json.dumps(answer.document).encode()
        limits = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": "0"}
        fixed = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body))}
        headers = {"X-GitHub-Request-Id": "C0DE:1", **limits, **fixed, **answer.headers}
        self._count(len(body))
        self._head(answer.status, list(headers.items()))
        if self.command != "HEAD":
            self.wfile.write(body)


def refused(refusal: RefusalError) -> Answer:
    document: dict[str, Any] = {
        "message": refusal.message,
        "documentation_url": "https://docs.github.com/rest",
        "status": str(refusal.status),
    }
    if refusal.errors is not None:
        document["errors"] = refusal.errors
    return Answer(refusal.status, document)


def _of_fault(fault: Fault, target: str) -> Answer:
    message = fault.message if isinstance(fault, ApiFault) else ""
    if target == GRAPHQL and "X-RateLimit-Remaining" in fault.headers:  # GraphQL says so with 200
        limited = {"type": "RATE_LIMITED", "message": message}
        return Answer(200, {"errors": [limited]}, dict(fault.headers))
    headers = dict(fault.headers)
    status = fault.status
    if fault.kind == "redirect":
        status = status if 300 <= status < 400 else 302
        headers["Location"] = fault.location.replace("{target}", target)
    return Answer(status, {"message": message, "documentation_url": "https://docs.github.com/rest"}, headers)
