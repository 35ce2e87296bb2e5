"""Commits that the forge itself makes and signs, the only verified ones that a GitHub App can have.

The forge commits to a branch of its own making, and what it made is fetched: from there
on it is a commit like any other, and lands or is proposed by the same push with a lease.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from promoter.errors import ConfigError, DeniedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from promoter.forges.port import Forge
    from promoter.git.repository import Repository, Snapshot

_REF = "refs/promoter/signed"


@runtime_checkable
class Committer(Protocol):
    """A forge that commits by its API (GitHub's ``createCommitOnBranch``)."""

    def create_branch(self, branch: str, commit: str) -> None:
        """A new branch at a commit."""

    def delete_branch(self, branch: str) -> None:
        """Delete a branch, if there is one."""

    def commit_on_branch(
        self,
        branch: str,
        expected_head: str,
        message: str,
        additions: Mapping[str, bytes],
        deletions: Collection[str] = (),
    ) -> str:
        """One commit on top of ``expected_head``; its id."""
        ...


def sign_on_forge(
    repository: Repository, forge: Forge, snapshot: Snapshot, commit: str, files: Mapping[str, bytes | None]
) -> str:
    """The same commit again, made by the forge on top of the same parent; returns its id.

    ``files`` are its contents by path, None for one that it deletes.

    Raises ConfigError where the forge does not do that, DeniedError where it made another tree.
    """
    if not isinstance(forge, Committer):
        raise ConfigError(
            f"commit.sign: forge is GitHub's, and this forge is {forge.name}",
            next_step="set commit.sign to ssh or gpg, or leave it out",
        )
    committer = cast("Committer", forge)
    message = repository.git.must("log", "-1", "--format=%B", commit).text
    branch = f"promoter-signing/{commit[:16]}"
    committer.create_branch(branch, snapshot.commit)
    try:
        kept = {path: content for path, content in files.items() if content is not None}
        signed = committer.commit_on_branch(branch, snapshot.commit, message, kept, files.keys() - kept)
        repository.fetch(f"+refs/heads/{branch}:{_REF}", doing="fetching the commit that the forge signed")
    finally:
        committer.delete_branch(branch)
    trees = repository.git.must("rev-parse", f"{signed}^{{tree}}", f"{commit}^{{tree}}").text.split()
    if len(set(trees)) != 1:
        raise DeniedError(
            f"{forge.name} made another commit than it was asked for",
            next_step="set commit.sign to ssh or gpg; files that are executable cannot be committed this way",
            reason="signing",
        )
    return signed
