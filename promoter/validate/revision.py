"""A commit of a local checkout as a tree; only its object store is read, by Git's plumbing."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from promoter.errors import ConfigError, UnreachableError
from promoter.git.door import child_environment, local_failure, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from promoter.deadline import Deadline
    from promoter.git.door import Completed

_REGULAR = ("100644", "100755")


class RevisionTree:
    """The regular files of one commit; links and submodules are not there."""

    def __init__(self, checkout: Path, revision: str, environ: Mapping[str, str], deadline: Deadline) -> None:
        """Find the commit that a revision names.

        Raises:
            ConfigError: the checkout does not have it, or is none.
        """
        self._checkout = checkout
        # Read only: a checkout by another user is as good. What a partial clone lacks is not
        # fetched: Git would ask for each blob by itself, with credentials of its own finding.
        environment = child_environment(environ, {"safe.directory": "*"})
        self._environment = environment | {"GIT_NO_LAZY_FETCH": "1"}
        self._deadline = deadline
        found = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if found.code != 0:
            raise ConfigError(
                f"--against {revision}: {checkout} has no such commit",
                next_step="name a commit that is there; a shallow checkout lacks the base: "
                "actions/checkout takes fetch-depth: 0, GitLab the variable GIT_DEPTH: 0",
                reason="no-such-revision",
            )
        self.commit = found.text

    @cached_property
    def _blobs(self) -> dict[str, str]:
        listed = self._git("ls-tree", "-r", "-z", "--full-tree", self.commit)
        if listed.code != 0:
            raise local_failure("ls-tree", listed)
        blobs = {}
        for line in listed.output.split(b"\0"):
            if line:
                about, _, path = line.partition(b"\t")
                mode, _, blob = about.decode().split(" ")
                if mode in _REGULAR:
                    blobs[path.decode("utf-8", "surrogateescape")] = blob
        return blobs

    def paths(self) -> Sequence[str]:
        """All of the commit's regular files."""
        return list(self._blobs)

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """The contents of those that are there. Raises UnreachableError where one is not in the store."""
        known = [path for path in paths if path in self._blobs]
        if not known:
            return {}
        asked = "".join(f"{self._blobs[path]}\n" for path in known).encode()
        said = self._git("cat-file", "--batch", stdin=asked)
        if said.code != 0:
            raise local_failure("cat-file", said)
        contents, position = {}, 0
        for path in known:
            end = said.output.index(b"\n", position)
            words = said.output[position:end].split(b" ")
            if words[1] == b"missing":
                raise UnreachableError(
                    f"{path} of commit {self.commit[:12]} is not in {self._checkout}",
                    next_step="fetch it: a partial clone lacks the contents of other commits",
                    reason="machine",
                )
            size = int(words[2])
            contents[path] = said.output[end + 1 : end + 1 + size]
            position = end + size + 2
        return contents

    def _git(self, *arguments: str, stdin: bytes | None = None) -> Completed:
        return run(
            ("git", *arguments),
            directory=self._checkout,
            environment=self._environment,
            deadline=self._deadline,
            stdin=stdin,
        )
