"""What stood in a file before, from a bounded piece of history.

Trees tell what stood where and when; trailers only enrich that: squash merges and
``git revert`` drop them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from promoter.git.repository import Repository, Snapshot

DEPTH = 50
_FIELD, _RECORD = "\x1f", "\x1e"
_ABSENT = "0" * 40


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit that changed the file, newest first in a list.

    ``content`` is the file after it, None where it was deleted. ``is_edge`` says that
    older history was not fetched: what it shows may be older than the commit.
    """

    commit: str
    trailers: Mapping[str, str]
    content: bytes | None
    is_edge: bool


def file_histories(
    repository: Repository, snapshot: Snapshot, paths: Iterable[str]
) -> dict[str, list[Revision]]:
    """For each path the commits among the last ``DEPTH`` that changed it, with its content then."""
    listed = sorted(set(paths))
    edges = repository.deepen(snapshot, DEPTH)
    changes = {path: _changes(repository, snapshot, path) for path in listed}
    wanted = {blob for found in changes.values() for _, _, blob in found if blob is not None}
    contents = dict(repository.read(sorted(wanted)))
    return {
        path: [
            Revision(commit, trailers, contents[blob] if blob else None, commit in edges)
            for commit, trailers, blob in found
        ]
        for path, found in changes.items()
    }


def _changes(
    repository: Repository, snapshot: Snapshot, path: str
) -> list[tuple[str, dict[str, str], str | None]]:
    """The commits that changed the path: (commit, trailers, blob after it or None)."""
    pretty = f"{_RECORD}%H{_FIELD}%(trailers:only,unfold){_FIELD}"
    output = repository.git.must(
        "log", f"--format={pretty}", f"--max-count={DEPTH}", "--raw", "--no-abbrev", "--no-renames",
        "--topo-order", "--diff-merges=first-parent", snapshot.commit, "--", path,
    ).text  # fmt: skip
    found = []
    for record in output.split(_RECORD)[1:]:
        commit, trailers, raw = record.split(_FIELD, 2)
        blob = next((line.split()[3] for line in raw.splitlines() if line.startswith(":")), None)
        found.append((commit, _trailers(trailers), None if blob in (None, _ABSENT) else blob))
    return found


def _trailers(text: str) -> dict[str, str]:
    pairs = (line.partition(": ") for line in text.splitlines())
    return {key: value.strip() for key, colon, value in pairs if colon}
