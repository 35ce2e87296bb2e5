"""The input closure of an environment: which files of the repository take part in what it deploys.

That is everything below the environment's paths, and what these files pull in. Pure but for
``close``, which reads what the next look needs, in one batch for all environments.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter import paths
from promoter.rules import CONFIG_FILE
from promoter.validate import agents, chart_links
from promoter.validate.kustomize_links import kustomization_links
from promoter.validate.leads import Lead, Links
from promoter.validate.listing import CHART, KUSTOMIZATIONS, REQUIREMENTS, Listing, is_manifest
from promoter.validate.reach import Look, Reach, explore, extend, links_of
from promoter.validate.relevance import leading_to
from promoter.validate.roots import CONFIGURATION, Root

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from promoter.config import Environment, HelmChart
    from promoter.validate.tree import Tree

_TELLING = frozenset({*KUSTOMIZATIONS, CHART, REQUIREMENTS})  # files that tell by their names what they are
_MOST_READ_AHEAD = 1_000  # of these, where perhaps not all are needed


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
    named = [path for path in listing.paths if path.rpartition("/")[2] in _TELLING]
    relevant: frozenset[str] = frozenset()
    some_shallow = not all(deep(environment.name) for environment in environments)
    if some_shallow or len(named) <= _MOST_READ_AHEAD:
        _read_more(tree, named, contents)
    if some_shallow:
        relevant = leading_to(changed, {path: contents[path] for path in named}, listing)
    closures: dict[str, Closure] = {}
    while True:
        wanted: set[str] = set()
        for environment in environments:
            if environment.name in closures:
                continue
            is_deep = deep(environment.name)
            look = Look(listing, contents, is_deep, repository, None if is_deep else relevant, known)
            closure = closure_of(environment, look)
            wanted |= closure.reach.wanted
            if not closure.reach.wanted:
                closures[environment.name] = closure
        if not wanted:
            order = {environment.name: closures[environment.name] for environment in environments}
            return order, Look(listing, contents, True, repository, None, known)
        _read_more(tree, wanted, contents)


def same_links(changes: Mapping[str, tuple[bytes | None, bytes | None]], look: Look) -> bool:
    """Whether files with other contents, told as before and after, bring the same along as before."""
    for path, (old, new) in changes.items():
        if old is None or new is None:
            return False
        if any(agents.may_name(content) for content in (old, new)):
            return False
        leads = [lead for lead in look.known if lead.path == path]
        if path.rpartition("/")[2] not in _TELLING and not leads:
            continue
        if any(lead.role != "kustomization" for lead in leads) or not leads:
            return False
        links = [kustomization_links(path, content, look.listing) for content in (old, new)]
        if links[0] != links[1]:
            return False
    return True


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


def closure_of(environment: Environment, look: Look) -> Closure:
    """The closure as far as the known contents tell; ``reach.wanted`` must be read to tell more."""
    own = _own(environment, look.listing)
    names = {path: path.rpartition("/")[2] for path in own}
    relevant = [path for path in own if look.relevant is None or path in look.relevant]
    built = [path for path in relevant if names[path] in KUSTOMIZATIONS]
    charts = [path for path in relevant if names[path] == CHART]
    configured = _configured(environment, look.listing)
    named_there = [lead for root in configured for lead in root.leads(look.listing)]
    reach = explore([(Lead(path, "kustomization"), None) for path in built], look)
    extend(reach, [(lead, None) for lead in named_there], look)
    plain = frozenset(_plain(own, reach.came, look.listing))
    extend(reach, [(Lead(path), None) for path in own if path in plain], look)
    # A chart that nobody names is one that is deployed with its own values.
    used = reach.named | {lead.path for lead in named_there}
    candidates = [path for path in charts if path not in used and not _is_inside_chart(path, charts)]
    extend(reach, [(Lead(path, "chart"), None) for path in candidates], look)
    alone = [path for path in candidates if path not in reach.named]
    for path in own:
        reach.came.setdefault(path, None)
    agreed = [root for root in reach.roots if root.named_by in plain]
    roots = [*configured, *_kustomizations(built, reach.named, look), *agreed, *_charts(alone, look)]
    by_label: dict[str, Root] = {}
    for root in roots:
        by_label.setdefault(root.label, root)
    return Closure(environment.name, by_label, reach, plain)


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
        and not (path in look.contents and links_of(Lead(path, "kustomization"), look).is_component)
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
