"""From the files of a manifest repository to the configuration that is proposed for it. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from promoter import __version__
from promoter.config import parse_config
from promoter.discover.configured import Targets
from promoter.errors import ConfigError
from promoter.init import layout, tag_files, text
from promoter.init.names import PRODUCTION, follows, in_order, stage_of
from promoter.outcome import FoundEnvironment, Proposed
from promoter.paths import matches_any
from promoter.rules import CONFIG_FILE
from promoter.scan import scan
from promoter.sites import is_manifest_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from promoter.outcome import FoundSite, Inventory

_WHOLE = "all"
_NAMED = re.compile(
    r"(?:repository|image|name)[\"']?:\s*[\"']?([A-Za-z0-9][A-Za-z0-9.:_/-]*/[A-Za-z0-9._-]+)"
)


def is_looked_at(path: str) -> bool:
    """Whether the file may tell anything: a manifest, or one that may hold a tag."""
    named = is_manifest_name(path) or tag_files.may_be_one(path)
    return named and path != CONFIG_FILE and not layout.is_left_out(path)


def propose(files: Mapping[str, bytes]) -> Proposed:
    """The configuration for a tree; ``files`` are those that `is_looked_at` picks, by path.

    Raises ConfigError where nothing in it holds an image or a tag.
    """
    manifests = {path: content for path, content in files.items() if is_manifest_name(path)}
    inventory = scan(manifests.items())
    effective = [site for site in inventory.sites if site.state == "effective"]
    held = {site.file for site in effective}
    tagged = {path for path, content in files.items() if path not in held and tag_files.key_of(content)}
    found = layout.environments([*manifests, *sorted(tagged)])
    targets = tag_files.find(files, found, _names(inventory), held)
    known = {
        name: paths
        for name, paths in found.items()
        if _counts(name, paths, effective) or any(matches_any(path, tuple(paths)) for path in tagged)
    }
    if not effective and not targets:
        raise ConfigError(
            f"no image is found in {len(files)} files: nothing says what there is to move",
            next_step=f"see promoter scan; environments are looked for as {layout.LOOKED_FOR}",
            reason="nothing-found",
        )
    if not known:
        known = {_WHOLE: ["."]}
    environments = [_environment(name, known, effective) for name in in_order(list(known))]
    proposed = Proposed(CONFIG_FILE, "", tuple(environments))
    configured = _with_targets(proposed, targets, files)
    outside = [one for one in effective if not any(_is_in(one, e.paths) for e in configured.environments)]
    return replace(configured, text=text.render(configured, targets, [one.file for one in outside]))


def _counts(name: str, paths: Sequence[str], effective: Sequence[FoundSite]) -> bool:
    """Whether images stand there, or its directory says itself that it is one."""
    containers = layout.CONTAINERS
    said = any(part in containers for path in paths for part in path.split("/")[:-1])
    return (said and stage_of(name) is not None) or any(_is_in(site, paths) for site in effective)


def _environment(
    name: str, known: Mapping[str, Sequence[str]], effective: Sequence[FoundSite]
) -> FoundEnvironment:
    own = [site for site in effective if _is_in(site, known[name])]
    stage = stage_of(name)
    return FoundEnvironment(
        name,
        tuple(known[name]),
        follows(name, list(known)),
        "pull-request" if stage is not None and stage.rank == PRODUCTION else "push",
        len({site.image for site in own}),
        tuple(sorted({site.format for site in own})),
    )


def _is_in(site: FoundSite, paths: Sequence[str]) -> bool:
    return matches_any(site.file, tuple(paths))


def _with_targets(
    proposed: Proposed, targets: Sequence[tag_files.TagFiles], files: Mapping[str, bytes]
) -> Proposed:
    """The environments with the images that the targets hold; this also checks what is proposed."""
    config = parse_config(text.render(proposed, targets, []), CONFIG_FILE, version=__version__)
    if not config.targets:
        return proposed
    sites = [site for _, own in Targets(config).sites(files) for site in own]
    counted = []
    for one in proposed.environments:
        more = {site.reference.name for site in sites if matches_any(site.file, one.paths)}
        formats = tuple(sorted({*one.formats, "target"})) if more else one.formats
        counted.append(replace(one, images=one.images + len(more), formats=formats))
    return replace(proposed, environments=tuple(counted))


def _names(inventory: Inventory) -> Iterator[str]:
    """The names of images that the repository tells, with a version beside them or not."""
    yield from (site.image for site in inventory.sites)
    for mention in inventory.mentions:
        if (found := _NAMED.search(mention.text)) is not None:
            yield found[1]
