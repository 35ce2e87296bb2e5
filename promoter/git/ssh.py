"""SSH for Git and for signatures: host keys always checked, private keys never in a file of ours.

A key that is given as text goes into an agent of this run alone, through its standard
input; a key that is given as a file is named to ssh.
"""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from promoter.errors import UsageError
from promoter.git import door

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from promoter.deadline import Deadline


def is_key_text(value: str) -> bool:
    """Whether the variable holds the key itself and not the name of a file."""
    return "PRIVATE KEY" in value


def ssh_command(environ: Mapping[str, str], agent: str | None, directory: Path) -> str:
    """The value of GIT_SSH_COMMAND: the caller's own, else strict about host keys and never asking."""
    own = environ.get("GIT_SSH_COMMAND")
    if own:
        return own
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=30"]
    if hosts := environ.get("PROMOTER_SSH_KNOWN_HOSTS"):
        options.append(f"UserKnownHostsFile={_known_hosts_file(hosts, directory)}")
    key = environ.get("PROMOTER_SSH_KEY")
    if agent is not None and key and is_key_text(key):
        options.append(f"IdentityAgent={agent}")
    elif key:
        options += ["IdentitiesOnly=yes", f"IdentityFile={_key_file('PROMOTER_SSH_KEY', key)}"]
    return shlex.join(["ssh", *(word for option in options for word in ("-o", option))])


def _known_hosts_file(value: str, directory: Path) -> str:
    if Path(value).is_file():
        return str(Path(value).absolute())
    path = directory / "known_hosts"
    path.write_text(value.strip() + "\n", encoding="utf-8")
    return str(path)


def _key_file(variable: str, value: str) -> str:
    path = Path(value).expanduser()
    if not path.is_file():
        raise UsageError(f"{variable} is neither a private key nor the name of a file that holds one")
    return str(path.absolute())


def signing_key_file(value: str) -> str:
    """The absolute path of a signing key that is given as a file. Raises UsageError."""
    return _key_file("PROMOTER_SIGNING_KEY", value)


@contextlib.contextmanager
def agent_with(
    key: str, directory: Path, environment: Mapping[str, str], deadline: Deadline
) -> Iterator[str]:
    """An ssh-agent that holds one key for the length of the block; yields its socket."""
    directory.mkdir(mode=0o700, exist_ok=True)
    socket = str(directory / "agent.sock")
    with door.spawn(("ssh-agent", "-D", "-a", socket), directory=directory, environment=environment) as agent:
        assert agent.stdout is not None  # noqa: S101 - Popen gave it a pipe
        agent.stdout.readline()  # printed once the socket is there
        added = door.run(
            ("ssh-add", "-q", "-"),
            directory=directory,
            environment={**environment, "SSH_AUTH_SOCK": socket},
            deadline=deadline,
            stdin=(key.replace("\r\n", "\n").strip() + "\n").encode(),
        )
        if added.code != 0:
            raise UsageError(
                "the private key cannot be read by ssh-add",
                next_step="give an OpenSSH private key without a passphrase, with its line breaks",
            )
        yield socket


def public_key(socket: str, directory: Path, environment: Mapping[str, str], deadline: Deadline) -> str:
    """The public key that the agent holds, as one line."""
    listed = door.run(
        ("ssh-add", "-L"),
        directory=directory,
        environment={**environment, "SSH_AUTH_SOCK": socket},
        deadline=deadline,
    )
    return listed.text.partition("\n")[0]
