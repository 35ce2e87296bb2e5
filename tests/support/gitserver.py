"""A loopback HTTP(S) git server over the real `git http-backend`, with faults on demand, and a proxy.

    with GitServer(root) as server:            # serves every bare repository below `root`
        server.add_fault(Fault("cut-after", "git-receive-pack"))
        subprocess.run(["git", "clone", f"{server.url}/repo.git"])
        server.requests, server.bytes_out

A request is first authenticated, then the first fault in the queue that matches it fires, then the backend
runs. Byte counts are of bodies as sent (still compressed, without headers and chunk framing). A record stands
in `requests` from the moment its request arrived and is complete before the last byte of the reply leaves, so
a test may read it as soon as its client returned.

Two habits of git's HTTP client that a fault must know: curl silently sends a request again, also a POST, when
a connection it *reuses* is closed without a reply (see `Fault.fresh`); and before a body above
`http.postBuffer` git sends a probe, a POST of four bytes, which no fault hits.
"""

import base64
import contextlib
import email.parser
import os
import selectors
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Literal, Self, cast

if TYPE_CHECKING:
    import socketserver

BLOCK = 1 << 16
JOIN_SECONDS = 10.0

FaultKind = Literal["status", "cut-before", "cut-after", "hang", "redirect", "delay"]


@dataclass
class RequestRecord:
    method: str
    path: str
    query: str
    service: str  # "git-upload-pack", "git-receive-pack" or ""
    authorization: bool  # the request carried an Authorization header
    status: int = 0  # 0: no reply was sent
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    fault: str = ""  # the kind of the fault that fired
    stderr: str = ""  # what the backend complained about


@dataclass
class Fault:
    """One thing to go wrong.

    `match` is the tail of the request target after a slash ("git-receive-pack" is the POST only,
    "info/refs?service=git-receive-pack" its advertisement only, "repo.git/git-upload-pack" also works),
    "" matches every request. `{target}` in `location` stands for the request's own path and query.

    A cut is meant to be seen by the client: while one with `fresh` is in the queue, every reply ends its
    connection, so that the request to be cut stands first on its own and curl does not send it again behind
    the client's back. With `fresh=False` connections are kept and curl does just that.
    """

    kind: FaultKind
    match: str = ""
    times: int = 1
    status: int = 503  # for "redirect": 302 unless a 3xx is given
    headers: dict[str, str] = field(default_factory=dict)
    location: str = ""
    seconds: float = 0.0
    action: Callable[[], None] | None = None
    fresh: bool = True
    fired: int = 0

    def matches(self, target: str) -> bool:
        return not self.match or target.endswith("/" + self.match.lstrip("/"))

    def act(self) -> None:
        if self.action is not None:
            self.action()


class LoopbackServer:
    """Accepts on 127.0.0.1, one thread for each connection; `close` ends every one of them at once.

    An unexpected exception of a handler (also one raised by a fault's action) is raised again by `close`.
    """

    scheme = "http"

    def __init__(self) -> None:
        self.closing = threading.Event()
        self.errors: list[Exception] = []
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._acceptor = threading.Thread(target=self._accept, name="loopback-accept", daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"

    def start(self) -> Self:
        self._acceptor.start()
        return self

    def close(self) -> None:
        self._stop()
        if self.errors:
            raise self.errors[0]

    def _stop(self) -> None:
        if self.closing.is_set():
            return
        self.closing.set()
        if self._acceptor.is_alive():
            self._wake_acceptor()
            self._acceptor.join(JOIN_SECONDS)
        self._listener.close()
        self._interrupt()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(JOIN_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if error is None:
            self.close()

    def _wake_acceptor(self) -> None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()

    def _interrupt(self) -> None:
        with self._lock:
            for connection in self._connections:
                shut(connection)

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            with self._lock:
                self._threads.add(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        try:
            wrapped = self.wrap(connection)
            with wrapped, self.track(wrapped):
                self.handshake(wrapped)
                self.handle(wrapped)
        except OSError:
            pass  # the client went away, refused our certificate, or we are closing
        except Exception as error:  # noqa: BLE001 - handed to the test by close()
            self.errors.append(error)
        finally:
            connection.close()
            with self._lock:
                self._threads.discard(threading.current_thread())

    @contextlib.contextmanager
    def track(self, connection: socket.socket) -> Iterator[None]:
        """Have `close` shut this socket down as long as the block runs."""
        with self._lock:
            if self.closing.is_set():
                raise ConnectionAbortedError
            self._connections.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(connection)

    def wrap(self, connection: socket.socket) -> socket.socket:
        return connection

    def handshake(self, connection: socket.socket) -> None:
        """Nothing to shake without TLS."""

    def handle(self, connection: socket.socket) -> None:
        raise NotImplementedError


class GitServer(LoopbackServer):
    """Serves the bare repositories below `root`; `tls` is (certificate, key)."""

    def __init__(
        self,
        root: Path,
        *,
        credentials: tuple[str, str] | None = None,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.root = root
        self.credentials = credentials
        self.requests: list[RequestRecord] = []
        self.faults: list[Fault] = []  # a fault leaves the queue when it fired for the last time
        self._context = server_context(*tls) if tls else None
        self._backends: set[Backend] = set()
        self.scheme = "https" if tls else "http"
        super().__init__()

    def add_fault(self, fault: Fault) -> Fault:
        with self._lock:
            self.faults.append(fault)
        return fault

    def reset(self) -> None:
        """Forget the requests (and with them the byte totals) and the faults not yet fired."""
        with self._lock:
            self.requests.clear()
            self.faults.clear()

    @property
    def bytes_in(self) -> int:
        return sum(record.bytes_in for record in list(self.requests))

    @property
    def bytes_out(self) -> int:
        return sum(record.bytes_out for record in list(self.requests))

    def record(self, record: RequestRecord) -> None:
        with self._lock:
            self.requests.append(record)

    def take_fault(self, target: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.matches(target):
                    fault.fired += 1
                    if fault.fired == fault.times:
                        self.faults.remove(fault)
                    return fault
        return None

    def keeps_connections(self) -> bool:
        with self._lock:
            return not any(fault.kind.startswith("cut-") and fault.fresh for fault in self.faults)

    def authorized(self, header: str) -> bool:
        if self.credentials is None:
            return True
        token = base64.b64encode(":".join(self.credentials).encode()).decode()
        return header == f"Basic {token}"

    @contextlib.contextmanager
    def backend(self, environment: dict[str, str]) -> Iterator["Backend"]:
        backend = Backend(environment)
        with self._lock:
            self._backends.add(backend)
        try:
            if self.closing.is_set():
                backend.kill()
            yield backend
        finally:
            backend.close()
            with self._lock:
                self._backends.discard(backend)

    def _interrupt(self) -> None:
        super()._interrupt()
        with self._lock:
            for backend in self._backends:
                backend.kill()

    def wrap(self, connection: socket.socket) -> socket.socket:
        if self._context is None:
            return connection
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def handshake(self, connection: socket.socket) -> None:
        if isinstance(connection, ssl.SSLSocket):
            connection.do_handshake()

    def handle(self, connection: socket.socket) -> None:
        GitHandler(connection, self)


class GitHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, connection: socket.socket, owner: GitServer) -> None:
        self.owner = owner
        super().__init__(connection, connection.getpeername(), cast("socketserver.BaseServer", owner))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        self.began = time.monotonic()
        authorization = self.headers.get("Authorization", "")
        self.record = describe(self.command, self.path, authorization=bool(authorization))
        self.owner.record(self.record)
        if not self.owner.authorized(authorization):
            self._drain()
            self._reply(401, {"WWW-Authenticate": 'Basic realm="git"'})
            return
        fault = None if self._is_probe() else self.owner.take_fault(self.path)
        if fault is None:
            self._process(None)
        else:
            self.record.fault = fault.kind
            self._fail(fault)

    def _is_probe(self) -> bool:
        return self.command == "POST" and self.headers.get("Content-Length") == "4"

    def _fail(self, fault: Fault) -> None:
        match fault.kind:
            case "delay":
                self.owner.closing.wait(fault.seconds)
                fault.act()
                self._process(None)
            case "hang":
                fault.act()
                self.owner.closing.wait()
                self._cut()
            case "cut-before":
                self._drain()
                fault.act()
                self._cut()
            case "cut-after":
                self._process(fault)
            case "status":
                self._drain()
                fault.act()
                self._reply(fault.status, fault.headers)
            case "redirect":
                self._drain()
                fault.act()
                status = fault.status if 300 <= fault.status < 400 else 302
                location = fault.location.replace("{target}", self.path)
                self._reply(status, {"Location": location, **fault.headers})

    # --- the request's body

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            blocks = chunked_body(self.rfile)
        else:
            blocks = exact_body(self.rfile, int(self.headers.get("Content-Length") or 0))
        for block in blocks:
            self.record.bytes_in += len(block)
            yield block

    def _drain(self) -> None:
        for _ in self._body():
            pass

    # --- the backend

    def _process(self, cut: Fault | None) -> None:
        with self.owner.backend(self._environment()) as backend:
            backend.feed(self._body())
            if cut is None:
                self._relay(backend)
            else:
                for _ in backend.output():
                    pass
                self.record.stderr = backend.finish()
        if cut is not None:
            cut.act()
            self._cut()

    def _relay(self, backend: "Backend") -> None:
        status, headers, blocks = backend.reply()
        names = {name.lower() for name, _ in headers}
        chunked = "content-length" not in names and self.request_version != "HTTP/1.0"
        if "content-length" not in names and not chunked:
            self.close_connection = True
        self._head(status, [*headers, ("Transfer-Encoding", "chunked")] if chunked else headers)
        for block in blocks:
            if self.command != "HEAD":
                self._count(len(block))
                self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        self.record.stderr = backend.finish()
        self._count(0)
        if chunked and self.command != "HEAD":
            self.wfile.write(b"0\r\n\r\n")

    def _environment(self) -> dict[str, str]:
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "LC_ALL": "C",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "1",  # no housekeeping that outlives the request
            "GIT_CONFIG_KEY_0": "receive.autogc",
            "GIT_CONFIG_VALUE_0": "false",
            "GIT_PROJECT_ROOT": str(self.owner.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GATEWAY_INTERFACE": "CGI/1.1",
            "SERVER_PROTOCOL": self.request_version,
            "REQUEST_METHOD": self.command,
            "PATH_INFO": urllib.parse.unquote(path),
            "QUERY_STRING": query,
            "REMOTE_ADDR": self.client_address[0],
            "REMOTE_USER": self.owner.credentials[0] if self.owner.credentials else "tester",
        }
        names = {
            "CONTENT_TYPE": "Content-Type",
            "CONTENT_LENGTH": "Content-Length",
            "CONTENT_ENCODING": "Content-Encoding",
            "HTTP_CONTENT_ENCODING": "Content-Encoding",
            "HTTP_ACCEPT_ENCODING": "Accept-Encoding",
            "GIT_PROTOCOL": "Git-Protocol",
            "HTTP_GIT_PROTOCOL": "Git-Protocol",
        }
        given = {name: self.headers.get(header) for name, header in names.items()}
        return environment | {name: value for name, value in given.items() if value is not None}

    # --- the reply

    def _count(self, size: int) -> None:
        self.record.bytes_out += size
        self.record.seconds = time.monotonic() - self.began

    def _head(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.record.status = status
        self._count(0)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.close_connection or not self.owner.keeps_connections():
            self.send_header("Connection", "close")  # the base class notes it
        self.end_headers()

    def _reply(self, status: int, headers: dict[str, str]) -> None:
        body = f"{status} by the test server\n".encode()
        self._count(len(body))
        fixed = {"Content-Type": "text/plain", "Content-Length": str(len(body))}
        self._head(status, list((fixed | headers).items()))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _cut(self) -> None:
        self._count(0)
        self.close_connection = True
        shut(self.connection)


class Backend:
    """One run of `git http-backend`."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [backend_program()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
            bufsize=0,
            start_new_session=True,
        )
        self._stdin = cast("BinaryIO", self._process.stdin)
        self._stdout = cast("BinaryIO", self._process.stdout)
        self._early: list[bytes] = []  # what the backend says while it still reads

    def feed(self, body: Iterator[bytes]) -> None:
        """Give the backend the whole body; one that stops reading does not stop us from draining it."""
        os.set_blocking(self._stdin.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdin, selectors.EVENT_WRITE)
            selector.register(self._stdout, selectors.EVENT_READ)
            reads = True
            for block in body:
                if reads:
                    reads = self._push(memoryview(block), selector)
        self._stdin.close()

    def _push(self, rest: memoryview, selector: selectors.BaseSelector) -> bool:
        while rest:
            for key, events in selector.select():
                if events & selectors.EVENT_READ:
                    self._pull(selector)
                elif key.fd == self._stdin.fileno():
                    try:
                        rest = rest[os.write(key.fd, rest) :]
                    except BrokenPipeError:
                        return False
        return True

    def _pull(self, selector: selectors.BaseSelector) -> None:
        block = os.read(self._stdout.fileno(), BLOCK)
        if block:
            self._early.append(block)
        else:
            selector.unregister(self._stdout)

    def output(self) -> Iterator[bytes]:
        yield from self._early
        while block := os.read(self._stdout.fileno(), BLOCK):
            yield block

    def reply(self) -> tuple[int, list[tuple[str, str]], Iterator[bytes]]:
        """Status, headers and the body's blocks of the CGI reply."""
        blocks = self.output()
        head = b""
        for block in blocks:
            head += block
            if b"\r\n\r\n" in head:
                break
        else:
            return 500, [], iter(())
        raw, _, rest = head.partition(b"\r\n\r\n")
        message = email.parser.Parser().parsestr(raw.decode("latin-1"), headersonly=True)
        status = int(message.get("Status", "200").split()[0])
        headers = [(name, value) for name, value in message.items() if name.lower() != "status"]
        return status, headers, chain(rest, blocks)

    def finish(self) -> str:
        self._process.wait()
        self._stderr.seek(0)
        return self._stderr.read(BLOCK).decode(errors="replace")

    def kill(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        self._stdin.close()
        self._stdout.close()
        self._process.wait()
        self._stderr.close()


@dataclass
class ProxyRecord:
    method: str  # "CONNECT" for a tunnel
    target: str  # "host:port" for a tunnel, else the absolute URI
    authorization: bool  # a Proxy-Authorization header was sent


class Proxy(LoopbackServer):
    """A forwarding proxy: tunnels for CONNECT, absolute URIs for plain http, one request a connection."""

    def __init__(self) -> None:
        self.requests: list[ProxyRecord] = []
        super().__init__()

    @property
    def targets(self) -> list[str]:
        return [record.target for record in list(self.requests)]

    def handle(self, connection: socket.socket) -> None:
        head, rest = read_head(connection)
        first, *lines = head.split("\r\n")
        method, target, version = first.split(" ", 2)
        names = {line.partition(":")[0].lower() for line in lines}
        self.requests.append(ProxyRecord(method, target, "proxy-authorization" in names))
        if method == "CONNECT":
            self._tunnel(connection, target, rest)
        else:
            self._forward(connection, f"{method} {{}} {version}", target, lines, rest)

    def _tunnel(self, client: socket.socket, target: str, rest: bytes) -> None:
        host, _, port = target.rpartition(":")
        with self._upstream(client, host, int(port)) as upstream:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            upstream.sendall(rest)
            pipe(client, upstream)

    def _forward(self, client: socket.socket, first: str, target: str, lines: list[str], rest: bytes) -> None:
        uri = urllib.parse.urlsplit(target)
        local = urllib.parse.urlunsplit(("", "", uri.path or "/", uri.query, ""))
        hop = ("proxy-", "connection:")
        kept = [line for line in lines if not line.lower().startswith(hop)]
        head = "\r\n".join([first.format(local), *kept, "Connection: close", "", ""])
        with self._upstream(client, uri.hostname or "", uri.port or 80) as upstream:
            upstream.sendall(head.encode("latin-1") + rest)
            pipe(client, upstream)

    @contextlib.contextmanager
    def _upstream(self, client: socket.socket, host: str, port: int) -> Iterator[socket.socket]:
        try:
            upstream = socket.create_connection((host, port))
        except OSError:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            raise
        with upstream, self.track(upstream):
            yield upstream


# --- helpers


def describe(method: str, target: str, *, authorization: bool) -> RequestRecord:
    path, _, query = target.partition("?")
    last = path.rpartition("/")[2]
    service = urllib.parse.parse_qs(query).get("service", [last if last.startswith("git-") else ""])[0]
    return RequestRecord(method, path, query, service, authorization)


def exact_body(stream: BufferedIOBase, size: int) -> Iterator[bytes]:
    while size:
        block = stream.read(min(size, BLOCK))
        if not block:
            raise ConnectionResetError("the body ended early")
        size -= len(block)
        yield block


def chunked_body(stream: BufferedIOBase) -> Iterator[bytes]:
    while size := chunk_size(stream):
        yield from exact_body(stream, size)
        stream.readline()
    while stream.readline().strip():  # trailers
        pass


def chunk_size(stream: BufferedIOBase) -> int:
    line = stream.readline()
    if not line:
        raise ConnectionResetError("the body ended early")
    return int(line.partition(b";")[0], 16)


def chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def read_head(connection: socket.socket) -> tuple[str, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        block = connection.recv(BLOCK)
        if not block:
            raise ConnectionResetError("the head ended early")
        data += block
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode("latin-1"), rest


def pipe(client: socket.socket, upstream: socket.socket) -> None:
    """Carry bytes both ways until the upstream has said everything."""
    other = {client: upstream, upstream: client}
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ)
        selector.register(upstream, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                source = cast("socket.socket", key.fileobj)
                block = source.recv(BLOCK)
                if block:
                    other[source].sendall(block)
                elif source is upstream:
                    return
                else:
                    upstream.shutdown(socket.SHUT_WR)
                    selector.unregister(client)


def shut(connection: socket.socket) -> None:
    """End a connection under whoever reads or writes it (past the TLS layer: no closing handshake)."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@cache
def backend_program() -> str:
    folder = subprocess.run(["git", "--exec-path"], check=True, capture_output=True, text=True)
    return str(Path(folder.stdout.strip()) / "git-http-backend")
