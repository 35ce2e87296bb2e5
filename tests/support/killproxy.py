"""A loopback HTTP proxy in front of one forge, which ends or misleads its client at chosen requests.

    with KillProxy(stage.url) as proxy:
        proxy.url_of(stage.url)                          # the same address through the proxy
        proxy.lose(lambda number, request: number == 7)  # of those from now on
        proxy.after("POST .*/pulls$", action)            # once the next such request is processed
        proxy.meet("git-receive-pack", 2)                # these two wait for each other
        proxy.answer(lambda number, request: True, 503)  # without asking the forge
        proxy.requests, proxy.lost

API and Git come by the same host and port. The upstream has processed the request and given its whole answer
before an action runs; only then that answer is passed on, or thrown away. Each request has a connection of
its own, so that neither curl nor requests asks again on a connection that broke under them.
"""

import contextlib
import http.client
import json
import re
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, cast

from tests.support.gitserver import LoopbackServer, chunked_body, exact_body, shut

if TYPE_CHECKING:
    import socketserver

UPSTREAM_SECONDS = 120.0
MEETING_SECONDS = 60.0
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})

# By the request's number, from 1, and what it is: "METHOD target".
Chosen = Callable[[int, str], bool]


def nothing(_number: int, _request: str) -> bool:
    return False


def do_nothing() -> None:
    pass


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class KillProxy(LoopbackServer):
    """Forwards to the host and port of `upstream`, an http URL."""

    def __init__(self, upstream: str) -> None:
        self.upstream: str = urllib.parse.urlsplit(upstream).netloc
        self.requests: list[str] = []  # "METHOD target", since `lose` was last called
        self.times: list[float] = []  # when they came, of a monotonic clock
        self.lost: list[str] = []  # those of them whose answer was thrown away
        self._lost: tuple[Chosen, Callable[[], None]] = (nothing, do_nothing)
        self._answered: tuple[Chosen, Answer] = (nothing, Answer(500))
        self._after: tuple[re.Pattern[str], Callable[[], None]] | None = None
        self._meeting: tuple[re.Pattern[str], threading.Barrier] | None = None
        super().__init__()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url_of(self, address: str) -> str:
        """The upstream's address as it is behind the proxy."""
        return address.replace(self.upstream, self.host)

    # --- what shall happen

    def lose(self, chosen: Chosen, action: Callable[[], None] = do_nothing) -> None:
        """Count anew, and lose the answers to the chosen requests, each after `action`."""
        with self._lock:
            self.requests, self.times, self.lost = [], [], []
            self._lost = (chosen, action)

    def answer(self, chosen: Chosen, status: int = 503, headers: Mapping[str, str] | None = None) -> None:
        """Answer the chosen requests without the upstream."""
        document = json.dumps({"message": "Answered by the proxy"}).encode()
        given = Answer(status, {"Content-Type": "application/json", **(headers or {})}, document)
        with self._lock:
            self._answered = (chosen, given)

    def after(self, pattern: str, action: Callable[[], None]) -> None:
        """Run the action once, when the next request in which the pattern finds something is processed."""
        with self._lock:
            self._after = (re.compile(pattern), action)

    def meet(self, pattern: str, count: int) -> None:
        """Hold the next requests in which the pattern finds something until so many are there.

        Who waits for somebody who does not come goes on alone.
        """
        with self._lock:
            self._meeting = (re.compile(pattern), threading.Barrier(count, timeout=MEETING_SECONDS))

    @property
    def met(self) -> bool:
        """Whether everybody came."""
        return self._meeting is None

    # --- serving

    def note(self, request: str) -> tuple[int, Answer | None]:
        """The request's number, and the answer where the upstream is not asked."""
        with self._lock:
            self.requests.append(request)
            self.times.append(time.monotonic())
            number = len(self.requests)
            chosen, answer = self._answered
            return number, answer if chosen(number, request) else None

    def wait_for_others(self, request: str) -> None:
        with self._lock:
            meeting = self._meeting
        if meeting is None or meeting[0].search(request) is None:
            return
        with contextlib.suppress(threading.BrokenBarrierError):
            meeting[1].wait()
            with self._lock:
                self._meeting = None

    def processed(self, number: int, request: str) -> bool:
        """Do what is to be done now; whether the answer is lost."""
        with self._lock:
            then, self._after, action = self._after, None, do_nothing
            if then is not None:
                if then[0].search(request) is not None:
                    action = then[1]
                else:
                    self._after = then
            chosen, last = self._lost
            if lost := chosen(number, request):
                self.lost.append(request)
        action()
        if lost:
            last()
        return lost

    def handle(self, connection: socket.socket) -> None:
        _Handler(connection, self)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, connection: socket.socket, owner: KillProxy) -> None:
        self.owner = owner
        super().__init__(connection, connection.getpeername(), cast("socketserver.BaseServer", owner))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass

    def do_GET(self) -> None:
        request = f"{self.command} {self.path}"
        body = self._body()
        self.owner.wait_for_others(request)
        number, answer = self.owner.note(request)
        if answer is None:
            answer = self._forward(body)
            if self.owner.processed(number, request):
                self.close_connection = True
                shut(self.connection)
                return
        self._send(answer)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server looks for these names

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(chunked_body(self.rfile))
        return b"".join(exact_body(self.rfile, int(self.headers.get("Content-Length") or 0)))

    def _forward(self, body: bytes) -> Answer:
        upstream = http.client.HTTPConnection(self.owner.upstream, timeout=UPSTREAM_SECONDS)
        with contextlib.closing(upstream):
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP | {"host", "expect"}:
                    upstream.putheader(name, value)
            upstream.putheader("Host", self.owner.upstream)
            upstream.putheader("Connection", "close")
            if self.command != "GET":
                upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body or None)
            with self.owner.track(upstream.sock):
                answer = upstream.getresponse()
                content = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
        return Answer(answer.status, kept, content)

    def _send(self, answer: Answer) -> None:
        body = answer.body
        if "json" in answer.headers.get("Content-Type", ""):
            body = self._behind(body.decode()).encode()
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, self._behind(value))
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")  # the base class notes it
        self.end_headers()
        self.wfile.write(body)

    def _behind(self, text: str) -> str:
        """What points to the upstream points to the proxy."""
        return text.replace(self.owner.upstream, self.owner.host)
