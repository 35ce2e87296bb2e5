"""A real container registry on loopback (Debian's docker-registry), token and web servers, small images.

    with running(tmp_path_factory.mktemp("registry"), access="basic") as registry:
        digest = registry.push_index("acme/api", "1.0.0", platforms=["linux/amd64"], labels={...})

`access` is `open`, `basic` or `token`. Starting takes a tenth of a second.
"""

import atexit
import base64
import contextlib
import hashlib
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import tls
from tests.support.programs import need

USER = "robot"
PASSWORD = "canary-registry-4f7d1c"  # must be nowhere but where it is meant for
# bcrypt of the password, the one form that the registry takes.
HTPASSWD = f"{USER}:$2b$04$ZJWT/rVqKB6N01KM.hK1S.4MUD29U96SxF5CmrY8NgBpduHDcEsSW\n"
SERVICE = "registry.test"
START_SECONDS = 30.0
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

Access = Literal["open", "basic", "token"]


def basic(user: str = USER, password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def docker_config(directory: Path, document: Any) -> dict[str, str]:
    """Write a config.json and return the environment that names it."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(document))
    return {"DOCKER_CONFIG": str(directory)}


def auths(host: str, user: str = USER, password: str = PASSWORD) -> dict[str, Any]:
    """What `docker login` writes without a credential helper."""
    return {"auths": {host: {"auth": basic(user, password).removeprefix("Basic ")}}}


# --- a web server whose answers a test lays down


@dataclass(frozen=True)
class Asked:
    method: str
    target: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)


@dataclass(frozen=True)
class Answer:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Respond = Callable[[Asked], Answer]


@dataclass
class Web:
    """Remembers what it was asked; `respond` answers."""

    host: str  # with port
    respond: Respond
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}"


@contextlib.contextmanager
def serving(respond: Respond) -> Iterator[Web]:
    """A server on loopback for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, body)
            web.asked.append(asked)
            answer = web.respond(asked)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_HEAD = do_POST = _do  # noqa: N815 - the names that the base class looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that has had enough of a long body

    with Server(("127.0.0.1", 0), Handler) as httpd:
        web = Web(f"127.0.0.1:{httpd.server_port}", respond)
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield web
        finally:
            httpd.shutdown()
            thread.join()


# --- the token server that a registry names


@dataclass
class TokenServer:
    """Issues the tokens that the registry verifies (distribution, "Docker Registry v2 Bearer token").

    `identity_token` is what it takes for a refresh token, `public` whether it serves who shows nothing.
    """

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    identity_token: str = "canary-identity-90c2"
    public: bool = False

    def __call__(self, asked: Asked) -> Answer:
        form = parse_qs(asked.body.decode())
        if asked.method == "POST":
            known = form.get("refresh_token") == [self.identity_token]
            wanted, key = form, "access_token"
        else:
            known = (
                self.public
                if "authorization" not in asked.headers
                else asked.headers["authorization"] == basic()
            )
            wanted, key = asked.query, "token"
        if not known or wanted.get("service") != [SERVICE]:
            return Answer(401, body=b'{"errors": [{"code": "UNAUTHORIZED"}]}')
        kind, name, actions = wanted["scope"][0].split(":")
        token = self.token(kind, name, actions)
        return Answer(headers={"Content-Type": "application/json"}, body=json.dumps({key: token}).encode())

    def token(self, kind: str, name: str, actions: str) -> str:
        now = int(time.time())
        claims = {
            "iss": "tokens.test",
            "sub": USER,
            "aud": SERVICE,
            "iat": now - 10,
            "nbf": now - 10,
            "exp": now + 300,
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }
        return jwt.encode(claims, self.key, "ES256", {"kid": self._key_id()})

    def _key_id(self) -> str:
        """The fingerprint that libtrust gives a key: 240 bits in groups of four letters."""
        public = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        digest = base64.b32encode(hashlib.sha256(public).digest()[:30]).decode()
        return ":".join(re.findall("....", digest))

    def write_certificate(self, file: Path) -> None:
        name = tls.common_name("tokens.test")
        certificate = tls.builder(name, name, self.key.public_key(), self.key.public_key())
        signed = certificate.sign(self.key, hashes.SHA256())
        file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))


# --- the registry


@dataclass(frozen=True)
class Registry:
    """A running registry; `host` is what images are named after."""

    host: str
    authorization: Callable[[str], str | None] = field(repr=False)
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def push_image(
        self,
        repository: str,
        tag: str | None = None,
        *,
        platform: str = "linux/amd64",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        docker: bool = False,
        config_type: str | None = None,
    ) -> str:
        """Push an image for one platform; returns the digest of its manifest."""
        layer = f"a layer for {platform}".encode()
        described = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        config = json.dumps({**described, "config": {"Labels": labels or {}}, "rootfs": {}}).encode()
        for blob in (layer, config):
            self._push_blob(repository, blob)
        manifest = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST if docker else MANIFEST,
            "config": {
                "mediaType": config_type or (DOCKER_CONFIG if docker else CONFIG),
                "digest": sha256(config),
                "size": len(config),
            },
            "layers": [{"mediaType": LAYER, "digest": sha256(layer), "size": len(layer)}],
            **({"annotations": annotations} if annotations else {}),
        }
        return self._push_manifest(repository, tag, manifest)

    def push_index(
        self,
        repository: str,
        tag: str,
        *,
        platforms: Sequence[str] = ("linux/amd64", "linux/arm64/v8"),
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        docker: bool = False,
    ) -> str:
        """Push an index of images as buildx does, an attestation with it; returns its digest.

        The label `platform` of each image is its own.
        """
        manifests = []
        for platform in platforms:
            own = {**(labels or {}), "platform": platform}
            digest = self.push_image(repository, platform=platform, labels=own, docker=docker)
            manifests.append(self._entry(repository, digest, platform, docker=docker))
        if not docker:
            digest = self.push_image(repository, platform="unknown/unknown")
            manifests.append(self._entry(repository, digest, "unknown/unknown", docker=False))
        index = {
            "schemaVersion": 2,
            "mediaType": DOCKER_LIST if docker else INDEX,
            "manifests": manifests,
            **({"annotations": annotations} if annotations else {}),
        }
        return self._push_manifest(repository, tag, index)

    def delete(self, repository: str, digest: str) -> None:
        assert self.request("DELETE", repository, f"manifests/{digest}")[0] == 202

    def _entry(self, repository: str, digest: str, platform: str, *, docker: bool) -> dict[str, Any]:
        kind = DOCKER_MANIFEST if docker else MANIFEST
        _, _, content = self.request("GET", repository, f"manifests/{digest}", {"Accept": kind})
        described = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        return {"mediaType": kind, "digest": digest, "size": len(content), "platform": described}

    def _push_blob(self, repository: str, content: bytes) -> None:
        _, headers, _ = self.request("POST", repository, "blobs/uploads/")
        place = urlsplit(headers["location"])
        target = f"{place.path}?{place.query}&digest={sha256(content)}"
        status, _, answer = self._ask("PUT", repository, target, {}, content)
        assert status == 201, answer

    def _push_manifest(self, repository: str, tag: str | None, document: Mapping[str, Any]) -> str:
        content = json.dumps(document, indent=3).encode()
        headers = {"Content-Type": document["mediaType"]}
        path = f"manifests/{tag or sha256(content)}"
        status, _, answer = self.request("PUT", repository, path, headers, content)
        assert status == 201, answer
        return sha256(content)

    def request(
        self,
        method: str,
        repository: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body, with whatever access the registry wants."""
        return self._ask(method, repository, f"/v2/{repository}/{path}", headers or {}, body)

    def _ask(
        self, method: str, repository: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        shown = self.authorization(repository)
        given = {**headers, **({"Authorization": shown} if shown else {})}
        port = int(self.host.rpartition(":")[2])
        connection = (
            http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
            if self.tls is None
            else http.client.HTTPSConnection("127.0.0.1", port, timeout=START_SECONDS, context=self.tls)
        )
        with contextlib.closing(connection):
            connection.request(method, target, body, given)
            response = connection.getresponse()
            return (
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )


@contextlib.contextmanager
def running(
    directory: Path,
    *,
    access: Access = "open",
    tokens: TokenServer | None = None,
    realm: str = "",
    certificate: tuple[Path, Path, Path] | None = None,
) -> Iterator[Registry]:
    """A registry whose data is new and stands in this directory; left out where the program is absent.

    With `access="token"` it names `realm`, where `tokens` answers. `certificate` is CA, certificate and key.
    """
    need("docker-registry", "docker-registry")
    document: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}, "delete": {"enabled": True}},
        "http": {"addr": "127.0.0.1:0"},
    }
    if access == "basic":
        (directory / "htpasswd").write_text(HTPASSWD)
        document["auth"] = {"htpasswd": {"realm": "a registry", "path": str(directory / "htpasswd")}}
    if tokens is not None:
        tokens.write_certificate(directory / "tokens.pem")
        document["auth"] = {
            "token": {
                "realm": realm,
                "service": SERVICE,
                "issuer": "tokens.test",
                "rootcertbundle": str(directory / "tokens.pem"),
            }
        }
    context = None
    if certificate is not None:
        ca, public, key = certificate
        document["http"]["tls"] = {"certificate": str(public), "key": str(key)}
        context = ssl.create_default_context(cafile=str(ca))
    (directory / "config.yml").write_text(json.dumps(document))  # JSON is YAML too

    def authorization(repository: str) -> str | None:
        if tokens is not None:
            return f"Bearer {tokens.token('repository', repository, 'pull,push,delete')}"
        return basic() if access == "basic" else None

    log = directory / "registry.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(directory / "config.yml")],
            env={"PATH": os.environ["PATH"], "HOME": str(directory), "OTEL_TRACES_EXPORTER": "none"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    atexit.register(_stop, process)  # for a run that ends without its fixtures
    try:
        yield Registry(f"127.0.0.1:{_port(process, log)}", authorization, log, process, context)
    finally:
        atexit.unregister(_stop)
        _stop(process)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port that the registry was given, by its own word."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text(errors="replace")):
            return int(found[1])
        time.sleep(0.02)
    raise RuntimeError(f"docker-registry did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
