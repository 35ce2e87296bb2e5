"""Sign a commit with SSH or GPG. The key comes in ``PROMOTER_SIGNING_KEY``: its id, a file, or as text."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from promoter.deadline import Deadline
from promoter.errors import PromoterError, UsageError
from promoter.git import door, ssh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from promoter.git.repository import Repository, Snapshot

_VARIABLE = "PROMOTER_SIGNING_KEY"
_SECONDS_TO_STOP = 5.0


@dataclass(frozen=True)
class Signer:
    """Git settings and child environment that make ``commit-tree -S`` sign."""

    kind: str
    settings: Mapping[str, str]
    environment: Mapping[str, str]

    def sign(self, repository: Repository, snapshot: Snapshot, commit: str, author: str) -> str:
        """The same commit again, signed; returns its id. Raises UsageError where the key does not work."""
        name, _, mail = author.rpartition(" <")
        who = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail.rstrip(">")}
        who |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in who.items()}
        git = repository.git
        message = git.must("log", "-1", "--format=%B", commit).output
        flags = [word for key, value in self.settings.items() for word in ("-c", f"{key}={value}")]
        signed = git.run(
            *flags, "commit-tree", "-S", "-p", snapshot.commit, f"{commit}^{{tree}}",
            stdin=message, environment={**self.environment, **who},
        )  # fmt: skip
        if signed.code == 0:
            return signed.text
        said = signed.errors.strip().partition("\n")[0].removeprefix("error: ") or "no message"
        raise UsageError(
            f"the commit cannot be signed ({self.kind}): {said}",
            next_step=f"check {_VARIABLE}: a key without a passphrase, or one that an agent holds",
            reason="signing",
        )


@contextlib.contextmanager
def signer(kind: str, repository: Repository, environ: Mapping[str, str]) -> Iterator[Signer]:
    """A signer for the length of the block. Raises UsageError where the key is missing or unusable."""
    key = environ.get(_VARIABLE, "").strip()
    if not key:
        raise UsageError(
            f"commits are to be signed ({kind}) and {_VARIABLE} is not set",
            next_step="give a key id, a file, or the private key as text",
        )
    home = {name: environ[name] for name in ("HOME", "GNUPGHOME", "SSH_AUTH_SOCK") if environ.get(name)}
    if kind == "gpg":
        with _gpg_key(key, repository, home) as (name, keyring):
            yield Signer(kind, {"gpg.format": "openpgp", "user.signingKey": name}, keyring)
    elif ssh.is_key_text(key):
        git = repository.git
        with ssh.agent_with(
            key, repository.scratch / "signing", git.environment, git.deadline, variable=_VARIABLE
        ) as socket:
            public = ssh.public_key(socket, git.directory, git.environment, git.deadline)
            home["SSH_AUTH_SOCK"] = socket
            yield Signer(kind, _ssh_settings(_public_key_file(public, repository)), home)
    elif key.startswith("key::"):
        yield Signer(kind, _ssh_settings(_public_key_file(key.removeprefix("key::"), repository)), home)
    else:
        yield Signer(kind, _ssh_settings(ssh.signing_key_file(key)), home)


def _ssh_settings(file: str) -> dict[str, str]:
    return {"gpg.format": "ssh", "user.signingKey": file}


def _public_key_file(public: str, repository: Repository) -> str:
    """A file for the key that an agent holds: Git leaves one behind in TMPDIR when it writes it itself."""
    path = repository.scratch / "signing.pub"
    path.write_text(public + "\n", encoding="utf-8")
    return str(path)


@contextlib.contextmanager
def _gpg_key(
    key: str, repository: Repository, home: Mapping[str, str]
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The key's name and where its keyring is: the caller's for a key id, else one of this run."""
    if "PRIVATE KEY BLOCK" in key:
        content = key.encode()
    elif (file := ssh.key_file(key)) is not None:
        content = file.read_bytes()
    else:
        _check_gpg_key(key, partial(_gpg, repository, home))
        yield key, home
        return
    with ssh.socket_directory(repository.scratch / "signing") as place:
        run = partial(_gpg, repository, {"GNUPGHOME": str(place)})
        try:
            yield _import(content, run), {"GNUPGHOME": str(place)}
        finally:
            # The agent that gpg started would outlive the run, with the key.
            with contextlib.suppress(PromoterError):
                run("gpgconf", "--kill", "gpg-agent", deadline=Deadline(_SECONDS_TO_STOP))


def _check_gpg_key(key: str, run: Callable[..., door.Completed]) -> None:
    """Git would say no more than that gpg failed."""
    if run("gpg", "--batch", "--list-secret-keys", "--", key).code != 0:
        raise UsageError(
            f"{_VARIABLE} names no private key of this machine's keyring",
            next_step="give the private key as text or as a file, or the GNUPGHOME that has it",
            reason="signing",
        )


def _import(content: bytes, run: Callable[..., door.Completed]) -> str:
    """Put the key into the keyring; returns its fingerprint."""
    imported = run("gpg", "--batch", "--quiet", "--import", stdin=content)
    listed = run("gpg", "--batch", "--list-secret-keys", "--with-colons")
    fingerprints = [line.split(":")[9] for line in listed.text.splitlines() if line.startswith("fpr:")]
    if imported.code != 0 or not fingerprints:
        raise UsageError(
            f"{_VARIABLE} holds no private key that gpg can import",
            next_step="give what `gpg --armor --export-secret-keys KEY` prints, or a file that holds it",
            reason="signing",
        )
    return fingerprints[0]


def _gpg(
    repository: Repository,
    environment: Mapping[str, str],
    *arguments: str,
    stdin: bytes | None = None,
    deadline: Deadline | None = None,
) -> door.Completed:
    git = repository.git
    return door.run(
        arguments,
        directory=git.directory,
        environment=git.environment | dict(environment),
        deadline=deadline or git.deadline,
        stdin=stdin,
    )
