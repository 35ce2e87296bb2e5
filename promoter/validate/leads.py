"""What a file of the repository brings along when a tool reads it: the edges of a closure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from promoter import yamltext
from promoter.sites.model import UnreadableFileError, read_manifest
from promoter.validate.listing import inside
from promoter.yamltext import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promoter.validate.listing import Listing

Role = Literal["file", "template", "kustomization", "plugins", "plugin", "chart"]

# What kustomize would fetch: a scheme, a host that it knows by name, or the host of an ssh address.
_REMOTE = re.compile(
    r"[a-z][a-z0-9+.-]*://|git::|gh:|https?:|(?:www\.)?github\.com[/:]|[^/:]+@[^/:]+:", re.IGNORECASE
)


class Lead(NamedTuple):
    """A file and what reads it: as a ``file`` it may hold objects of agents.

    As a ``template``, one of the files of a chart, it leads nowhere.
    ``plugins`` is a kustomization whose resources configure plugins, ``plugin`` such a
    configuration; the paths in it are relative to ``base``.
    """

    path: str
    role: Role = "file"
    base: str = ""


@dataclass
class Links:
    """What was found in one file that stands in ``base``.

    ``problems`` say what it needs that is not in the repository or is never run. ``above`` says
    that it reads files above its own directory, ``inflates`` that it renders a Helm chart,
    ``is_component`` that it is a kustomization which is built only as a part of others.
    """

    listing: Listing
    base: str
    leads: list[Lead] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    above: bool = False
    inflates: bool = False
    is_component: bool = False

    def locate(self, written: str) -> str | None:
        """The path in the repository that is meant; None, with the problem noted, where it is outside."""
        if is_remote(written):
            self.problems.append(f"it needs {written}, which is remote")
            return None
        path = inside(self.base, written)
        if path is None:
            self.problems.append(f"it needs {written}, which is outside of the repository")
        return path

    def file(self, written: str, role: Role = "file", base: str = "") -> None:
        """A file that is read, by its written path."""
        path = self.locate(written)
        if path is None:
            return
        if not self.listing.is_file(path):
            self.problems.append(f"it needs {written}, which is not a file of the repository")
            return
        self.leads.append(Lead(path, role, base))
        if self.base and not path.startswith(f"{self.base}/"):
            self.above = True


def is_remote(written: str) -> bool:
    """Whether kustomize or Helm would go to the network for this path."""
    return _REMOTE.match(written) is not None


@lru_cache(maxsize=4096)
def documents(path: str, content: bytes) -> tuple[Node, ...]:
    """The documents of a YAML file; none where it cannot be read, or only as a template."""
    try:
        file = read_manifest(path, content)
    except UnreadableFileError:
        return ()
    return () if file.is_template else file.documents


def at(node: Node | None, *keys: str) -> Node | None:
    """What stands at the keys, one below the other."""
    for key in keys:
        node = yamltext.get(node, key) if isinstance(node, Mapping) else None
    return node


def text_at(node: Node | None, *keys: str) -> str | None:
    """The scalar there that is no null."""
    return yamltext.scalar_value(at(node, *keys))


def items(node: Node | None) -> Iterator[Node]:
    """The items of a list; of anything else none."""
    for item in node.items if isinstance(node, Sequence) else ():
        yield yamltext.resolve(item)


def texts(node: Node | None) -> Iterator[str]:
    """The scalars of a list."""
    for item in items(node):
        if isinstance(item, Scalar) and item.value:
            yield item.value
