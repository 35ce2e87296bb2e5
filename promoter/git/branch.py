"""A branch that holds a proposal: its commits beyond the base, and what merging it would yield."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter.git.failure import NothingNewError
from promoter.git.history import read_trailers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promoter.git.repository import Repository, Snapshot

_ABSENT = "0" * 40


@dataclass(frozen=True)
class BranchCommit:
    """A commit that the base has not; ``trailers`` in their order, keys may stand several times."""

    commit: str
    trailers: tuple[tuple[str, str], ...]

    @property
    def is_ours(self) -> bool:
        """Whether promoter wrote it."""
        return any(key == "Promoter-Id" for key, _ in self.trailers)


@dataclass(frozen=True)
class Branch:
    """``commits``, oldest first, are those that the base has not; ``fork`` is where they start from."""

    name: str
    tip: str
    commits: tuple[BranchCommit, ...]
    fork: str | None

    @property
    def is_ours(self) -> bool:
        """Whether nobody but promoter has committed to it."""
        return self.fork is not None and all(commit.is_ours for commit in self.commits)


def read_branch(repository: Repository, base: Snapshot, name: str, tip: str) -> Branch:
    """Fetch the commits of a branch that the base has not; those alone arrive."""
    ref = f"refs/promoter/heads/{name}"
    try:
        repository.fetch(
            f"+refs/heads/{name}:{ref}",
            without=f"refs/heads/{base.base}",
            doing=f"fetching the branch {name}",
        )
    except NothingNewError:
        return Branch(name, tip, (), None)
    commits = _own(_commits(repository, ref))
    oldest = repository.git.must("cat-file", "commit", commits[0].commit).text.partition("\n\n")[0]
    parents = [line.removeprefix("parent ") for line in oldest.splitlines() if line.startswith("parent ")]
    # At the merge of a base into the branch all sides end: it is somebody's, and says no more.
    return Branch(name, commits[-1].commit, commits, parents[0] if len(parents) == 1 else None)


def _own(commits: tuple[BranchCommit, ...]) -> tuple[BranchCommit, ...]:
    """The branch's own commits: it began with one of ours, and what stands before was the base once."""
    first = next((number for number, commit in enumerate(commits) if commit.is_ours), 0)
    return commits[first:]


def _commits(repository: Repository, ref: str) -> tuple[BranchCommit, ...]:
    # No byte but NUL is missing from every message: it alone can separate the fields.
    output = repository.git.must(
        "log", "--reverse", "--topo-order", "--format=%H%x00%(trailers:only,unfold)%x00", ref, "--"
    ).text  # fmt: skip
    fields = output.split("\0")[:-1]
    return tuple(
        BranchCommit(commit.strip(), read_trailers(trailers))
        for commit, trailers in zip(fields[::2], fields[1::2], strict=True)
    )


def merges_to(repository: Repository, branch: Branch, base: Snapshot, wanted: str) -> bool:
    """Whether merging the branch into the base would yield exactly the files of ``wanted``.

    ``wanted`` is a commit on top of the base. The text merge only answers the question; what
    is published is always the intent, applied anew.
    """
    if branch.fork is None:
        return False
    if branch.fork != base.commit:
        # The fork's own files are needed; one step further down is the fork.
        repository.fetch(f"refs/heads/{branch.name}", deepen=1, doing="fetching where the branch starts")
    proposed = _changed(repository, branch.fork, branch.tip)
    desired = _changed(repository, base.commit, wanted)
    since = _changed(repository, branch.fork, base.commit) if branch.fork != base.commit else {}
    return all(
        _merges(repository, path, proposed, since, desired)
        for path in sorted(proposed.keys() | desired.keys())
    )


# The blobs of a file before and after, with its mode.
_Sides = tuple[str, str, str]


def _changed(repository: Repository, before: str, after: str) -> dict[str, _Sides]:
    """Path -> (blob before, blob after, mode after) of what differs between two commits."""
    output = repository.git.must(
        "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", before, after
    ).output.decode("utf-8", "surrogateescape")  # fmt: skip
    fields = output.split("\0")[:-1]
    changed = {}
    for meta, path in zip(fields[::2], fields[1::2], strict=True):
        _, mode, old, new, _ = meta.split(" ")
        changed[path] = (old, new, mode)
    return changed


def _merges(
    repository: Repository,
    path: str,
    proposed: dict[str, _Sides],
    since: dict[str, _Sides],
    desired: dict[str, _Sides],
) -> bool:
    """Whether the three-way merge of one file is the file that is desired."""
    if path not in proposed:
        return False  # wanted now, and the branch does not say it
    fork, head, mode = proposed[path]
    base = since[path][1] if path in since else fork
    want, want_mode = desired[path][1:] if path in desired else (base, mode)
    if mode != want_mode:
        return False
    if base in (fork, head) or head == fork:
        return want == (head if base in (fork, head) else base)
    if _ABSENT in (fork, head, base, want):
        return False
    contents = dict(repository.read([fork, head, base, want]))
    return _three_way(repository, contents[head], contents[fork], contents[base]) == contents[want]


def _three_way(repository: Repository, ours: bytes, fork: bytes, theirs: bytes) -> bytes | None:
    """What Git's own merge makes of a file; None for a conflict."""
    names = []
    for name, content in (("ours", ours), ("fork", fork), ("theirs", theirs)):
        path = repository.scratch / f"merge-{name}"
        path.write_bytes(content)
        names.append(str(path))
    merged = repository.git.run("merge-file", "--stdout", "--quiet", *names)
    return merged.output if merged.code == 0 else None


def trailers_of(commits: Sequence[BranchCommit], key: str) -> list[str]:
    """All values of one trailer, oldest first."""
    return [value for commit in commits for found, value in commit.trailers if found == key]
