"""What stood in a file before, from a bounded piece of history.

Trees tell what stood where and when; trailers only enrich that: squash merges and
``git revert`` drop them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from promoter.git.repository import Repository, Snapshot

DEPTH = 50
_ABSENT = "0" * 40


@dataclass(frozen=True)
class Revision:
    """A commit that changed the file, newest first in a list.

    ``parents`` are the next older commits that did, several at a merge; ``content`` is the
    file after it, None where it was deleted. ``is_edge`` says that older history is not
    known: what the commit shows may be older than the commit.
    """

    commit: str
    parents: tuple[str, ...]
    trailers: tuple[tuple[str, str], ...]
    content: bytes | None
    is_edge: bool


@dataclass(frozen=True)
class _Change:
    commit: str
    parents: tuple[str, ...]
    trailers: tuple[tuple[str, str], ...]
    blob: str | None


def file_histories(
    repository: Repository, snapshot: Snapshot, paths: Iterable[str]
) -> dict[str, list[Revision]]:
    """For each path the commits among the last ``DEPTH`` that changed it, with its content then."""
    edges = repository.deepen(snapshot, DEPTH)
    changes = {path: _changes(repository, snapshot, path) for path in sorted(set(paths))}
    wanted = {change.blob for found in changes.values() for change in found if change.blob is not None}
    contents = dict(repository.read(sorted(wanted)))
    return {path: _revisions(found, contents, edges) for path, found in changes.items()}


def _revisions(
    changes: Sequence[_Change], contents: Mapping[str, bytes], edges: Container[str]
) -> list[Revision]:
    listed = {change.commit for change in changes}
    return [
        Revision(
            change.commit,
            change.parents,
            change.trailers,
            contents[change.blob] if change.blob else None,
            change.commit in edges or not listed.issuperset(change.parents),
        )
        for change in changes
    ]


def _changes(repository: Repository, snapshot: Snapshot, path: str) -> list[_Change]:
    """The commits that changed the path; their parents are the nearest of these."""
    # No byte but NUL is missing from every message: it alone can separate the fields.
    output = repository.git.must(
        "log", "--format=%x00%H%x00%P%x00%(trailers:only,unfold)%x00", "--parents", f"--max-count={DEPTH}",
        "--raw", "--no-abbrev", "--no-renames", "--topo-order", "--diff-merges=first-parent",
        snapshot.commit, "--", f":(top,literal){path}",
    ).text  # fmt: skip
    fields = output.split("\0")[1:]
    records = zip(*(fields[number::4] for number in range(4)), strict=True)
    return [
        _Change(commit, tuple(parents.split()), read_trailers(trailers), _blob(raw))
        for commit, parents, trailers, raw in records
    ]


def _blob(raw: str) -> str | None:
    """The file's blob after the commit, from the one line of ``--raw``."""
    blob = next((line.split()[3] for line in raw.splitlines() if line.startswith(":")), _ABSENT)
    return None if blob == _ABSENT else blob


def read_trailers(text: str) -> tuple[tuple[str, str], ...]:
    """The trailers as Git lists them, unfolded, in their order."""
    pairs = (line.partition(": ") for line in text.split("\n"))
    return tuple((key, value.strip()) for key, colon, value in pairs if colon)
