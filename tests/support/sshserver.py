"""A loopback SSH server that lets one key run git-upload-pack and git-receive-pack below a folder.

with SshServer(root) as server:
    server.url("deploy.git"), server.private_key, server.known_hosts
"""

import asyncio
import contextlib
import shlex
import threading
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import asyncssh

from tests.support import repos

if TYPE_CHECKING:
    from collections.abc import Callable

KEY_TYPE = "ssh-ed25519"
SERVICES = {"git-upload-pack": "upload-pack", "git-receive-pack": "receive-pack"}
JOIN_SECONDS = 30.0
BLOCK = 1 << 16


class SshServer:
    """Runs in a thread of its own; `commands` are those that clients asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.speaks_version_2 = True  # as a plain sshd does only with `AcceptEnv GIT_PROTOCOL`
        self.commands: list[str] = []
        self.client_key = asyncssh.generate_private_key(KEY_TYPE)
        self.port = 0
        self._host_key = asyncssh.generate_private_key(KEY_TYPE)
        self._ready = threading.Event()
        self._stop: Callable[[], object] = bool
        self._thread = threading.Thread(target=self._run, name="ssh-server", daemon=True)

    @property
    def private_key(self) -> str:
        """The deploy key as text."""
        return self.client_key.export_private_key("openssh").decode()

    @property
    def known_hosts(self) -> str:
        """The server's line of a known_hosts file."""
        return f"[127.0.0.1]:{self.port} {self._host_key.export_public_key('openssh').decode().strip()}\n"

    def url(self, repo: str) -> str:
        return f"ssh://git@127.0.0.1:{self.port}/{repo}"

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(JOIN_SECONDS) or not self.port:
            raise RuntimeError("the ssh server did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        server = await asyncssh.create_server(
            asyncssh.SSHServer,
            "127.0.0.1",
            0,
            server_host_keys=[self._host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(
                self.client_key.export_public_key("openssh").decode()
            ),
            process_factory=self._serve_command,
            encoding=None,
        )
        stopped = asyncio.Event()
        self._stop = partial(asyncio.get_running_loop().call_soon_threadsafe, stopped.set)
        self.port = server.get_port()
        self._ready.set()
        await stopped.wait()
        server.close()
        await server.wait_closed()

    async def _serve_command(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        command = process.command or ""
        self.commands.append(command)
        program, *operands = shlex.split(command)
        if program not in SERVICES or len(operands) != 1:
            process.exit(127)
            return
        git = await asyncio.create_subprocess_exec(
            "git",
            SERVICES[program],
            str(self.root / operands[0].lstrip("/")),
            env=repos.clean_env(**self._protocol(process)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        feeding = asyncio.create_task(pump(process.stdin, git.stdin))
        await asyncio.gather(pump(git.stdout, process.stdout), pump(git.stderr, process.stderr))
        code = await git.wait()
        feeding.cancel()
        process.exit(code)

    def _protocol(self, process: "asyncssh.SSHServerProcess[bytes]") -> dict[str, str]:
        version = process.env.get("GIT_PROTOCOL")
        return {"GIT_PROTOCOL": version} if version and self.speaks_version_2 else {}


async def pump(source: Any, target: Any) -> None:
    """Carry bytes until the source ends or the target is gone."""
    with contextlib.suppress(OSError, asyncssh.Error):
        while block := await source.read(BLOCK):
            target.write(block)
            await target.drain()
    if isinstance(target, asyncio.StreamWriter):
        target.close()
