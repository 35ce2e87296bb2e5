"""What files of the repository lead to, one file to the next. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from promoter.validate import agents, chart_links, kustomize_links
from promoter.validate.listing import Listing, is_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from promoter.validate.leads import Lead, Links
    from promoter.validate.roots import Root

_BY_NAME = ("kustomization", "plugins", "chart")  # roles of files that `relevance` knows


@dataclass(frozen=True)
class Problem:
    """What a file needs and the repository does not have: what is built from it is not known."""

    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


@dataclass
class Reach:
    """What some files lead to. ``came`` says of each file by which other one it came.

    ``named`` are files that another one names, ``wanted`` those that must be read to go on;
    ``roots`` are what objects of agents deploy. ``above`` and ``inflates`` are as in ``Links``.
    """

    came: dict[str, str | None] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    wanted: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    roots: list[Root] = field(default_factory=list)
    charts: list[str] = field(default_factory=list)
    above: bool = False
    inflates: bool = False
    seen: set[Lead] = field(default_factory=set)

    def chain(self, file: str) -> tuple[str, ...]:
        """The files that lead to this one, itself last."""
        steps = [file]
        while (before := self.came.get(steps[-1])) is not None and before not in steps:
            steps.append(before)
        return tuple(reversed(steps))


@dataclass(frozen=True)
class Look:
    """What a look at the repository needs: its files, those contents that are known, and how deep it goes.

    ``deep`` follows what objects of Argo CD and Flux deploy, for which every manifest is read.
    ``repository`` is the manifest repository's name, by which these objects mean it. Kustomizations
    and charts that are not ``relevant`` are not followed, None: all are. ``known`` are links by what
    was read, which hold for this listing.
    """

    listing: Listing
    contents: Mapping[str, bytes]
    deep: bool = True
    repository: str | None = None
    relevant: frozenset[str] | None = None
    known: dict[Lead, tuple[list[bytes], Links]] = field(default_factory=dict)

    def shallow(self) -> Look:
        """The same, as far as one tool goes."""
        return replace(self, deep=False, relevant=None)


def explore(starts: Iterable[tuple[Lead, str | None]], look: Look) -> Reach:
    """What these leads, each with the file that named it, bring along."""
    reach = Reach()
    extend(reach, starts, look)
    return reach


def extend(reach: Reach, starts: Iterable[tuple[Lead, str | None]], look: Look) -> None:
    """Add what further leads bring along."""
    waiting = deque(starts)
    for lead, before in waiting:
        reach.came.setdefault(lead.path, before)
    while waiting:
        lead, before = waiting.popleft()
        if before is not None and before != lead.path:
            reach.named.add(lead.path)
        reach.came.setdefault(lead.path, before)
        if lead in reach.seen:
            continue
        reach.seen.add(lead)
        needed = _needed(lead, look)
        unread = [path for path in needed if path not in look.contents]
        reach.wanted.update(unread)
        if needed and not unread:
            waiting.extend((one, lead.path) for one in _follow(lead, look, reach))


def _needed(lead: Lead, look: Look) -> list[str]:
    """The files that tell where a lead goes on."""
    if lead.role == "template" or (lead.role in _BY_NAME and not _is_relevant(lead.path, look)):
        return []
    if lead.role == "file":
        return [lead.path] if look.deep and is_manifest(lead.path) else []
    return _read_for(lead, look.listing)


def _read_for(lead: Lead, listing: Listing) -> list[str]:
    return chart_links.needed(lead.path, listing) if lead.role == "chart" else [lead.path]


def _is_relevant(path: str, look: Look) -> bool:
    return look.relevant is None or path in look.relevant


def _follow(lead: Lead, look: Look, reach: Reach) -> list[Lead]:
    content = look.contents[lead.path]
    if lead.role == "file":
        roots = agents.roots_in(lead.path, content, look.listing, look.repository)
        reach.roots += roots
        return [one for root in roots for one in root.leads(look.listing)]
    if lead.role == "chart":
        reach.charts.append(lead.path)
    links = links_of(lead, look)
    reach.problems += [Problem(lead.path, message) for message in links.problems]
    reach.above = reach.above or links.above
    reach.inflates = reach.inflates or links.inflates
    return links.leads


def links_of(lead: Lead, look: Look) -> Links:
    """What a lead brings along, read once for each content that it has."""
    contents = [look.contents[path] for path in _read_for(lead, look.listing)]
    before = look.known.get(lead)
    if before is not None and before[0] == contents:
        return before[1]
    links = _read(lead, contents[0], look)
    look.known[lead] = contents, links
    return links


def _read(lead: Lead, content: bytes, look: Look) -> Links:
    if lead.role == "chart":
        return chart_links.chart_links(lead.path, look.contents, look.listing)
    if lead.role == "plugins":
        return kustomize_links.plugins_links(lead, content, look.listing)
    if lead.role == "plugin":
        return kustomize_links.plugin_links(lead, content, look.listing)
    return kustomize_links.kustomization_links(lead.path, content, look.listing)
