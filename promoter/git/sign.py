"""Sign a commit with SSH or GPG. The key comes in ``PROMOTER_SIGNING_KEY``: its id, a file, or as text."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter.errors import UsageError
from promoter.git import door, ssh

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from promoter.git.repository import Repository, Snapshot


@dataclass(frozen=True, slots=True)
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
        said = signed.errors.strip().splitlines()[:1] or ["no message"]
        raise UsageError(
            f"the commit cannot be signed ({self.kind}): {said[0]}",
            next_step="check PROMOTER_SIGNING_KEY: a key without a passphrase, or one that an agent holds",
            reason="signing",
        )


@contextlib.contextmanager
def signer(kind: str, repository: Repository, environ: Mapping[str, str]) -> Iterator[Signer]:
    """A signer for the length of the block. Raises UsageError where the key is missing or unusable."""
    key = environ.get("PROMOTER_SIGNING_KEY", "").strip()
    if not key:
        raise UsageError(
            f"commits are to be signed ({kind}) and PROMOTER_SIGNING_KEY is not set",
            next_step="give a key id, a file, or the private key as text",
        )
    home = {name: environ[name] for name in ("HOME", "GNUPGHOME", "SSH_AUTH_SOCK") if environ.get(name)}
    if kind == "gpg":
        if "PRIVATE KEY BLOCK" in key:
            key, home = _import_gpg(key, repository)
        yield Signer(kind, {"gpg.format": "openpgp", "user.signingKey": key}, home)
    elif ssh.is_key_text(key):
        git = repository.git
        with ssh.agent_with(key, repository.scratch / "signing", git.environment, git.deadline) as socket:
            public = ssh.public_key(socket, git.directory, git.environment, git.deadline)
            home["SSH_AUTH_SOCK"] = socket
            yield Signer(kind, {"gpg.format": "ssh", "user.signingKey": f"key::{public}"}, home)
    else:
        file = key if key.startswith("key::") else ssh.signing_key_file(key)
        yield Signer(kind, {"gpg.format": "ssh", "user.signingKey": file}, home)


def _import_gpg(key: str, repository: Repository) -> tuple[str, dict[str, str]]:
    """Put the key into a keyring of this run; returns its fingerprint and where the keyring is."""
    home = repository.scratch / "gnupg"
    home.mkdir(mode=0o700, exist_ok=True)
    git = repository.git
    environment = {**git.environment, "GNUPGHOME": str(home)}
    for arguments in (("--import",), ("--list-secret-keys", "--with-colons")):
        completed = door.run(
            ("gpg", "--batch", "--quiet", *arguments),
            directory=git.directory,
            environment=environment,
            deadline=git.deadline,
            stdin=key.encode() if arguments == ("--import",) else None,
        )
        if completed.code != 0:
            raise UsageError(
                "PROMOTER_SIGNING_KEY holds no private key that gpg can import", reason="signing"
            )
    fingerprints = [line.split(":")[9] for line in completed.text.splitlines() if line.startswith("fpr:")]
    return fingerprints[0], {"GNUPGHOME": str(home)}
