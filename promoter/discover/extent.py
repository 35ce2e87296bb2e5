"""Which files of a tree tell what an environment runs, and which of their sites count there. Pure.

The same rules as a bump's: ``exclude``, configured ``targets``, the ``paths``, ``current`` and
``markers`` of apps and images.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from promoter import paths
from promoter.discover import base_values
from promoter.discover.configured import Targets
from promoter.intent import owns
from promoter.rules import CONFIG_FILE
from promoter.sites import helm_values, is_manifest_name

if TYPE_CHECKING:
    from promoter.config import App, Config, Environment, ImageRule
    from promoter.image import ImageReference

NAMING = frozenset({*helm_values.BASES, "Chart.yaml"})


@dataclass(frozen=True)
class Extent:
    """The part of a manifest repository that an environment is; ``exclude`` is the caller's."""

    config: Config
    environment: Environment
    exclude: tuple[str, ...] = ()

    @cached_property
    def targets(self) -> Targets:
        """The configured targets, as they speak for this environment."""
        alone = MappingProxyType({self.environment.name: self.environment})
        return Targets(replace(self.config, environments=alone))

    @cached_property
    def prefixes(self) -> tuple[str, ...]:
        """Files and directories that hold all of it, base files above the environment too."""
        own = [paths.literal_prefix(path) for path in self.environment.paths]
        named = [
            target.file.replace("{environment}", self.environment.name).replace("{app}", "*")
            for target in self.config.targets
        ]
        listed = {*own, *base_values.above(own), *map(paths.literal_prefix, named)}
        return (".",) if "." in listed else tuple(sorted(listed))

    def is_searched(self, path: str) -> bool:
        """Whether sites are looked for in the file."""
        return (
            is_manifest_name(path)
            and path != CONFIG_FILE
            and paths.matches_any(path, self.environment.paths)
            and not paths.matches_any(path, self.config.exclude + self.exclude)
        )

    def is_read(self, path: str) -> bool:
        """Whether the file is searched, tells the images of other files, or is one that a target names."""
        return posixpath.basename(path) in NAMING or self.is_searched(path) or self.targets.name(path)

    def apps(self, file: str, reference: ImageReference, marker: str | None) -> list[str]:
        """The apps that a site belongs to; none where their rules, or the image's, leave it."""
        owners, rule = _rules(self.config, reference.name)
        named: list[tuple[str, App | None]] = [(app.name, app) for app in owners]
        named = named or [(reference.last_component, None)]
        return [name for name, app in named if self._counts(app, rule, file, reference.tag or "", marker)]

    def _counts(
        self, app: App | None, rule: ImageRule | None, file: str, tag: str, marker: str | None
    ) -> bool:
        ruling = [one for one in (app, rule) if one is not None]
        if marker is None and any(one.markers == "only" for one in ruling):
            return False
        current = next((one.current for one in ruling if one.current is not None), None)
        if current is not None and not paths.glob_text(tag, current):
            return False
        if app is None or not app.paths:
            return True
        return paths.matches_any(paths.relative_to(file, self.environment.paths), app.paths)


def _rules(config: Config, name: str) -> tuple[tuple[App, ...], ImageRule | None]:
    """The apps that own an image of this name, and the first rule that is for it."""
    return _rules_of(config.apps, config.images, name)


@lru_cache(maxsize=4096)  # the names of a repository repeat in thousands of its files
def _rules_of(
    apps: tuple[App, ...], images: tuple[ImageRule, ...], name: str
) -> tuple[tuple[App, ...], ImageRule | None]:
    from promoter.image import ImageReference

    image = ImageReference(name)
    rule = next((rule for rule in images if image.is_meant_by(rule.match)), None)
    return tuple(app for app in apps if owns(app, image)), rule
