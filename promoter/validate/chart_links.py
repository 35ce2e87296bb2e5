"""What a Helm chart brings along: its own files, and charts that it depends on. Pure.

Sources: helm.sh/docs/topics/charts ("Chart Dependencies", "Chart.yaml", ``requirements.yaml`` of
apiVersion v1). ``helm template`` wants every dependency below ``charts/``, whatever its condition.
One with a ``file://`` address is put there as ``helm dependency build`` does; nothing is fetched.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from promoter.validate.leads import Lead, Links, at, documents, items, text_at
from promoter.validate.listing import REQUIREMENTS, inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from promoter.validate.listing import Listing

_LOCAL = "file://"
_DEEPEST = 10


class Dependency(NamedTuple):
    """A chart that another depends on: its name, and the address that it is had from."""

    name: str
    repository: str


def chart_links(path: str, contents: Mapping[str, bytes], listing: Listing) -> Links:
    """What the chart described in this file consists of and depends on."""
    directory = posixpath.dirname(path)
    found = Links(listing, directory)
    found.leads += [Lead(file, "template") for file in listing.below(directory) if file != path]
    for dependency in dependencies(path, contents, listing):
        if _is_vendored(directory, dependency.name, listing):
            continue
        if not dependency.repository.startswith(_LOCAL):
            where = dependency.repository or "nowhere"
            found.problems.append(
                f"its dependency {dependency.name} (from {where}) is not vendored in charts/"
            )
            continue
        below = _local(directory, dependency, listing)
        if below is None:
            found.problems.append(
                f"it depends on {dependency.repository}, which is no chart of the repository"
            )
        else:
            found.leads.append(Lead(below, "chart"))
    return found


def needed(path: str, listing: Listing) -> list[str]:
    """The files that tell what a chart depends on."""
    requirements = posixpath.join(posixpath.dirname(path), REQUIREMENTS)
    return [path, *([requirements] if listing.is_file(requirements) else [])]


def dependencies(path: str, contents: Mapping[str, bytes], listing: Listing) -> list[Dependency]:
    """What a chart depends on, by its Chart.yaml and, of old charts, its requirements.yaml."""
    roots = [root for file in needed(path, listing) for root in documents(file, contents[file])]
    found = [item for root in roots for item in items(at(root, "dependencies"))]
    return [
        Dependency(name, text_at(item, "repository") or "")
        for item in found
        if (name := text_at(item, "name")) and "/" not in name and name not in (".", "..")
    ]


def is_library(path: str, content: bytes) -> bool:
    """Whether a chart is only for others to use: Helm installs none such."""
    return any(text_at(root, "type") == "library" for root in documents(path, content))


def name_of(path: str, content: bytes) -> str:
    """The chart's own name; its directory's where it tells none."""
    names = [text_at(root, "name") for root in documents(path, content)]
    return next((name for name in names if name), posixpath.basename(posixpath.dirname(path)))


def put_in_place(
    path: str, contents: Mapping[str, bytes], listing: Listing, depth: int = 0
) -> Iterator[tuple[str, str]]:
    """The files of local dependencies that are not vendored: where each is put in the chart, and which."""
    directory = posixpath.dirname(path)
    for dependency in dependencies(path, contents, listing):
        below = _local(directory, dependency, listing)
        if below is None or _is_vendored(directory, dependency.name, listing) or depth >= _DEEPEST:
            continue
        source, target = posixpath.dirname(below), f"charts/{dependency.name}"
        for file in listing.below(source):
            yield f"{target}/{posixpath.relpath(file, source or '.')}", file
        for further, file in put_in_place(below, contents, listing, depth + 1):
            yield f"{target}/{further}", file


def _is_vendored(directory: str, name: str, listing: Listing) -> bool:
    """Whether ``charts/`` holds it, as a directory or packed."""
    charts = posixpath.join(directory, "charts")
    packed = (file for file in listing.below(charts) if file.endswith(".tgz"))
    return listing.chart(f"{charts}/{name}") is not None or any(
        file.startswith(f"{charts}/{name}-") for file in packed
    )


def _local(directory: str, dependency: Dependency, listing: Listing) -> str | None:
    if not dependency.repository.startswith(_LOCAL):
        return None
    path = inside(directory, dependency.repository.removeprefix(_LOCAL))
    return listing.chart(path) if path is not None else None
