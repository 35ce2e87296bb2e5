"""SSH for Git and for signatures: host keys always checked, private keys never in a file of ours.

A key that is given as text goes into an agent of this run alone, through its standard
input; a key that is given as a file is named to ssh.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from promoter.errors import UnreachableError, UsageError
from promoter.git import door

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from promoter.deadline import Deadline

# A socket's address holds 103 bytes on some systems; the names that agents give theirs need room.
_LONGEST_PATH = 64


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
        options.append(f"UserKnownHostsFile={_path(_known_hosts_file(hosts, directory))}")
    key = environ.get("PROMOTER_SSH_KEY")
    if agent is not None and key and is_key_text(key):
        options.append(f"IdentityAgent={_path(agent)}")
    elif key:
        options += ["IdentitiesOnly=yes", f"IdentityFile={_path(_key_file('PROMOTER_SSH_KEY', key))}"]
    return shlex.join(["ssh", *(word for option in options for word in ("-o", option))])


def _path(path: str) -> str:
    """A path as the value of an ssh option: spaces do not end it, percent signs stand for themselves."""
    return '"' + path.replace("%", "%%") + '"'


def _known_hosts_file(value: str, directory: Path) -> str:
    if (file := key_file(value)) is not None:
        return str(file)
    if len(value.split()) < 3:
        raise UsageError(
            "PROMOTER_SSH_KNOWN_HOSTS holds neither host keys nor the name of a file that does",
            next_step="give what ssh-keyscan prints for the server, once you have checked it",
        )
    path = directory / "known_hosts"
    path.write_text(value.strip() + "\n", encoding="utf-8")
    return str(path)


def key_file(value: str) -> Path | None:
    """The file that the variable names; None for text, which may be longer than any name can be."""
    try:
        path = Path(value).expanduser()
        return path.absolute() if path.is_file() else None
    except (OSError, RuntimeError):  # no such name, or ~ of nobody
        return None


def _key_file(variable: str, value: str) -> str:
    file = key_file(value)
    if file is None:
        raise UsageError(
            f"{variable} is neither a private key nor the name of a file that holds one",
            next_step="give an OpenSSH private key with its line breaks, or the name of its file",
        )
    return str(file)


def signing_key_file(value: str) -> str:
    """The absolute path of a signing key that is given as a file. Raises UsageError."""
    return _key_file("PROMOTER_SIGNING_KEY", value)


@contextlib.contextmanager
def socket_directory(directory: Path) -> Iterator[Path]:
    """A fresh private directory for an agent's sockets: in ``directory``, in /tmp where that is too long."""
    directory.mkdir(mode=0o700, exist_ok=True)
    parent = str(directory) if len(os.fsencode(directory)) <= _LONGEST_PATH else "/tmp"  # noqa: S108 - a new name
    with tempfile.TemporaryDirectory(prefix="promoter-", dir=parent, ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextlib.contextmanager
def agent_with(
    key: str,
    directory: Path,
    environment: Mapping[str, str],
    deadline: Deadline,
    *,
    variable: str = "PROMOTER_SSH_KEY",
) -> Iterator[str]:
    """An ssh-agent that holds one key for the length of the block; yields its socket."""
    with (
        socket_directory(directory) as place,
        door.spawn(
            ("ssh-agent", "-D", "-a", str(place / "agent.sock")), directory=place, environment=environment
        ) as agent,
    ):
        socket = str(place / "agent.sock")
        assert agent.stdout is not None  # noqa: S101 - Popen gave it a pipe
        if not agent.stdout.readline():  # printed once the socket is there
            raise UnreachableError("ssh-agent does not start", reason="machine")
        added = door.run(
            ("ssh-add", "-q", "-"),
            directory=directory,
            environment={**environment, "SSH_AUTH_SOCK": socket},
            deadline=deadline,
            stdin=(key.replace("\r\n", "\n").strip() + "\n").encode(),
        )
        if added.code != 0:
            raise UsageError(
                f"{variable} holds a private key that ssh-add cannot read",
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
