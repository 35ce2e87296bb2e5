"""The input closure of an environment: which files of the repository take part in what it deploys.

That is everything below the environment's paths, and what these files pull in. Pure but for
``close``, which reads what the next look needs, in one batch for all environments.
"""

from __future__ import annotations

import posixpath
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from promoter import paths
from promoter.rules import CONFIG_FILE
from promoter.validate import agents, chart_links, kustomize_links
from promoter.validate.leads import Lead, Links
from promoter.validate.listing import CHART, KUSTOMIZATIONS, REQUIREMENTS, Listing, is_manifest
from promoter.validate.relevance import leading_to
from promoter.validate.roots import CONFIGURATION, Root

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from promoter.config import Environment, HelmChart
    from promoter.validate.tree import Tree

_TELLING = frozenset({*KUSTOMIZATIONS, CHART, REQUIREMENTS})  # files that tell by their names what they are
_BY_NAME = ("kustomization", "plugins", "chart")


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
    waiting = deque(starts)
    seen: set[Lead] = set()
    for lead, before in waiting:
        reach.came.setdefault(lead.path, before)
    while waiting:
        lead, before = waiting.popleft()
        if before is not None and before != lead.path:
            reach.named.add(lead.path)
        reach.came.setdefault(lead.path, before)
        if lead in seen:
            continue
        seen.add(lead)
        needed = _needed(lead, look)
        unread = [path for path in needed if path not in look.contents]
        if unread:
            reach.wanted.update(unread)
            continue
        if needed:
            waiting.extend((one, lead.path) for one in _follow(lead, look, reach))
    return reach


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
    links = _links(lead, look)
    reach.problems += [Problem(lead.path, message) for message in links.problems]
    reach.above = reach.above or links.above
    reach.inflates = reach.inflates or links.inflates
    return links.leads


def _links(lead: Lead, look: Look) -> Links:
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


# --- environments -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Closure:
    """What an environment deploys and from which files. ``roots`` are its own, by their label.

    ``reach`` is everything; ``plain`` are the manifests that are deployed as they stand.
    """

    environment: str
    roots: Mapping[str, Root]
    reach: Reach
    plain: frozenset[str]


def close(
    tree: Tree,
    environments: Sequence[Environment],
    deep: Callable[[str], bool],
    repository: str | None = None,
    changed: Collection[str] = (),
    before: Look | None = None,
) -> tuple[dict[str, Closure], Look]:
    """The closure of each environment, and the look that found them.

    ``deep`` says of an environment's name whether the objects of agents are followed. Of others only
    what may lead to the ``changed`` files is read. ``before`` is what is known of the state without
    these changes.
    """
    listing, contents, known = _beginning(tree, changed, before)
    named = [path for path in listing.paths if posixpath.basename(path) in _TELLING]
    _read_more(tree, named, contents)
    leads = {path: contents[path] for path in named}
    relevant = leading_to(changed, leads, listing) if changed else frozenset()
    while True:
        closures = {}
        wanted: set[str] = set()
        for environment in environments:
            is_deep = deep(environment.name)
            chosen = None if is_deep else relevant
            look = Look(listing, contents, is_deep, repository, chosen, known)
            closures[environment.name], missing = closure_of(environment, look)
            wanted |= missing
        if not wanted:
            return closures, Look(listing, contents, True, repository, None, known)
        _read_more(tree, wanted, contents)


def _beginning(
    tree: Tree, changed: Collection[str], before: Look | None
) -> tuple[Listing, dict[str, bytes], dict[Lead, tuple[list[bytes], Links]]]:
    """What is known at first: of a state with other files, only contents."""
    paths_now = tree.paths()
    if before is None:
        return Listing(paths_now), {}, {}
    contents = {path: content for path, content in before.contents.items() if path not in changed}
    same_files = (
        all(before.listing.is_file(path) for path in changed) and len(paths_now) == before.listing.size
    )
    if same_files:
        return before.listing, contents, before.known
    return Listing(paths_now), contents, {}


def _read_more(tree: Tree, wanted: Iterable[str], contents: dict[str, bytes]) -> None:
    missing = [path for path in wanted if path not in contents]
    if missing:
        read = tree.read(missing)
        contents |= {path: read.get(path, b"") for path in missing}


def closure_of(environment: Environment, look: Look) -> tuple[Closure, set[str]]:
    """The closure as far as the known contents tell, and the files that must be read to tell more."""
    own = _own(environment, look.listing)
    built = [path for path in own if posixpath.basename(path) in KUSTOMIZATIONS]
    charts = [path for path in own if posixpath.basename(path) == CHART]
    if look.relevant is not None:
        built = [path for path in built if path in look.relevant]
        charts = [path for path in charts if path in look.relevant]
    starts: list[tuple[Lead, str | None]] = [(Lead(path, "kustomization"), None) for path in built]
    configured = _configured(environment, look.listing)
    starts += [(lead, None) for root in configured for lead in root.leads(look.listing)]
    first = explore(starts, look)
    plain = _plain(own, first.came, look.listing)
    starts += [(Lead(path), None) for path in plain]
    reach = explore(starts, look)
    used = reach.named | {lead.path for root in configured for lead in root.leads(look.listing)}
    agreed = explore([(Lead(path), None) for path in plain], look).roots
    # A chart that nobody names is one that is deployed with its own values.
    candidates = [path for path in charts if path not in used and not _is_inside_chart(path, charts)]
    more = explore([(Lead(path, "chart"), None) for path in candidates], look)
    alone = [path for path in candidates if path not in more.named]
    _add(reach, more)
    for path in own:
        reach.came.setdefault(path, None)
    roots = [*configured, *_kustomizations(built, reach.named, look), *agreed, *_charts(alone, look)]
    by_label: dict[str, Root] = {}
    for root in roots:
        by_label.setdefault(root.label, root)
    return Closure(environment.name, by_label, reach, frozenset(plain)), reach.wanted


def _own(environment: Environment, listing: Listing) -> list[str]:
    """The files below the environment's paths; promoter's own are nobody's."""
    included = paths.matcher(environment.paths)
    prefixes = {paths.literal_prefix(path) for path in environment.paths}
    near = {path: None for prefix in sorted(prefixes) for path in listing.at_or_below(prefix)}
    return [
        path for path in near if included(path) and path != CONFIG_FILE and not path.startswith(".promoter/")
    ]


def _configured(environment: Environment, listing: Listing) -> list[Root]:
    return [_configured_root(one, listing) for one in environment.helm]


def _configured_root(one: HelmChart, listing: Listing) -> Root:
    directory = "" if one.chart == "." else one.chart
    missing = [path for path in one.values if not listing.is_file(path)]
    problem = f"its values {missing[0]} are not a file of the repository" if missing else None
    if listing.chart(directory) is None:
        problem = f"the configuration names {one.chart}, where the repository has no Chart.yaml"
    return Root("helm", directory, CONFIGURATION, one.release, one.namespace, one.values, problem=problem)


def _kustomizations(built: Sequence[str], named: set[str], look: Look) -> list[Root]:
    """Those that no other file names, components left out: these are parts of others."""
    return [
        Root("kustomize", posixpath.dirname(path), path)
        for path in built
        if path not in named
        and not (path in look.contents and _links(Lead(path, "kustomization"), look).is_component)
        and look.listing.kustomization(posixpath.dirname(path)) == path
    ]


def _charts(alone: Sequence[str], look: Look) -> list[Root]:
    read = [(path, look.contents[path]) for path in alone if path in look.contents]
    return [
        Root("helm", posixpath.dirname(path), path, chart_links.name_of(path, content))
        for path, content in read
        if not chart_links.is_library(path, content)
    ]


def _is_inside_chart(path: str, charts: Sequence[str]) -> bool:
    above = [f"{posixpath.dirname(one)}/charts/" for one in charts if one != path]
    return any(path.startswith(one.removeprefix("/")) for one in above)


def _plain(own: Sequence[str], reached: Mapping[str, str | None], listing: Listing) -> list[str]:
    """The manifests that no tool builds: what has a kustomization or chart beside or above is its matter."""
    built: dict[str, bool] = {}

    def is_built(directory: str) -> bool:
        if directory not in built:
            here = listing.kustomization(directory) is not None or listing.chart(directory) is not None
            built[directory] = here or (bool(directory) and is_built(posixpath.dirname(directory)))
        return built[directory]

    return [
        path
        for path in own
        if is_manifest(path) and path not in reached and not is_built(posixpath.dirname(path))
    ]


def _add(reach: Reach, more: Reach) -> None:
    for path, before in more.came.items():
        reach.came.setdefault(path, before)
    reach.named |= more.named
    reach.wanted |= more.wanted
    reach.problems += more.problems
    reach.charts += more.charts
