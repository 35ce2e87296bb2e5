"""The sites that the configuration names: its ``targets``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from promoter import paths
from promoter.config import grammar as config_grammar
from promoter.discover.model import Scope
from promoter.image import looks_like_reference
from promoter.intent import app_of
from promoter.sites import targets, with_shares
from promoter.sites.model import ManifestFile, Site, UnreadableFileError, read_manifest, walk
from promoter.yamltext import Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from promoter.config import Config, Environment, KeyPath, Target
    from promoter.discover.model import Found
    from promoter.git.repository import Repository, Snapshot
    from promoter.image import ImageReference


@dataclass(frozen=True)
class _Bound:
    """A target with its placeholders filled in for one image."""

    image: ImageReference
    file: str
    names_environment: bool
    keys: Mapping[str, KeyPath]


def _bind(scope: Scope, image: ImageReference) -> list[_Bound]:
    """The configured targets that hold this image."""
    bound = []
    for target in scope.config.targets:
        app = _app_of(target, scope, image)
        if app is not None:
            values = {"environment": scope.environment.name, "app": app}
            written = {"tag": target.tag, "digest": target.digest, "reference": target.reference}
            keys = {
                role: tuple(_filled(step, values) for step in config_grammar.parse_key_path(path))
                for role, path in written.items()
                if path is not None
            }
            names_it = "{environment}" in target.file
            bound.append(_Bound(image, _fill(target.file, values), names_it, keys))
    return bound


def _app_of(target: Target, scope: Scope, image: ImageReference) -> str | None:
    """The app that the target means for this image; None where the target holds another image."""
    name = _fill(target.image, {"environment": scope.environment.name})
    if "{app}" not in name:
        return scope.apps[image] if name == image.name else None
    before, after = name.split("{app}", 1)
    pattern = f"{re.escape(before)}(?P<app>[^/]+){re.escape(after).replace(re.escape('{app}'), '(?P=app)')}"
    match = re.fullmatch(pattern, image.name)
    return match["app"] if match else None


def _fill(template: str, values: Mapping[str, str]) -> str:
    """A template of the configuration with its placeholders filled in; others stay as they are."""
    for name, value in values.items():
        template = template.replace("{" + name + "}", value)
    return template


def _filled(step: str | int | tuple[str, str], values: Mapping[str, str]) -> str | int | tuple[str, str]:
    if isinstance(step, str):
        return _fill(step, values)
    return (step[0], _fill(step[1], values)) if isinstance(step, tuple) else step


def read(
    repository: Repository, snapshot: Snapshot, scope: Scope, images: Sequence[ImageReference], found: Found
) -> None:
    """Add the sites of those images that a target holds in this environment."""
    configured = [bound for image in images for bound in _bind(scope, image)]
    if not configured:
        return
    listed = repository.files(snapshot, [paths.literal_prefix(bound.file) for bound in configured])
    meant = {
        entry: bounds
        for entry in listed
        if (bounds := [bound for bound in configured if _holds(bound, entry.path, scope)])
    }
    contents = dict(repository.read(entry.blob for entry in meant))
    for entry, bounds in meant.items():
        try:
            file = read_manifest(entry.path, contents[entry.blob])
        except UnreadableFileError as error:
            for bound in bounds:
                found.unreadable.setdefault(bound.image, []).append(error)
            continue
        found.files[entry.path] = (entry, file)
        found.finders[entry.path] = partial(_target_sites, bounds=bounds)
        sites = _target_sites(file, bounds)
        for image in dict.fromkeys(bound.image for bound in bounds):
            ours = [site for site in sites if site.reference.same_image(image)]
            found.sites.setdefault(image, []).extend(ours)
            if not ours:
                why = "it holds none of the keys that its target names"
                found.unreadable.setdefault(image, []).append(UnreadableFileError(entry.path, why))


def _holds(bound: _Bound, path: str, scope: Scope) -> bool:
    ours = bound.names_environment or paths.matches_any(path, scope.environment.paths)
    return ours and paths.matches(path, bound.file)


def _target_sites(file: ManifestFile, bounds: Iterable[_Bound]) -> list[Site]:
    sites = (targets.site(file, bound.image, **bound.keys) for bound in bounds)
    return with_shares(site for site in sites if site is not None)


# --- Without an image at hand ---------------------------------------------------------------


class Targets:
    """The targets of all environments, whatever images they hold."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._patterns = tuple(
            dict.fromkeys(
                _fill(target.file, {"environment": name, "app": "*"})
                for name in config.environments
                for target in config.targets
            )
        )

    def name(self, path: str) -> bool:
        """Whether a target names this file."""
        return paths.matches_any(path, self._patterns)

    def sites(self, contents: Mapping[str, bytes]) -> list[tuple[ManifestFile, list[Site]]]:
        """The files that targets name, among these (path, bytes), each with the sites there."""
        files = [file for path, data in contents.items() if self.name(path) and (file := _parsed(path, data))]
        found = []
        for file in files:
            sites = [site for one in self._config.environments.values() for site in self._sites(file, one)]
            own = {(site.where, site.reference.name): site for site in sites}
            found.append((file, list(own.values())))
        return found

    def _sites(self, file: ManifestFile, environment: Environment) -> list[Site]:
        config = self._config
        names = {name for one in config.targets for name in _names(one, environment, config, file)}
        images = [image for name in sorted(names) if (image := looks_like_reference(name)) is not None]
        scope = Scope(config, environment, {image: app_of(image, config) for image in images})
        bounds = [bound for image in images for bound in _bind(scope, image)]
        return _target_sites(file, [bound for bound in bounds if _holds(bound, file.path, scope)])


def _parsed(path: str, data: bytes) -> ManifestFile | None:
    try:
        return read_manifest(path, data)
    except UnreadableFileError:
        return None


def _names(target: Target, environment: Environment, config: Config, file: ManifestFile) -> Iterator[str]:
    """The images that a target may hold in a file: its app is told by the file's path or by a key."""
    name, path = (_fill(text, {"environment": environment.name}) for text in (target.image, target.file))
    if "{app}" not in name:
        yield name
        return
    apps = [app.name for app in config.apps]
    for component in path.split("/"):
        apps += _apps(component, file.path.split("/"))
    keys = [
        key for key in (target.tag, target.digest, target.reference) if key is not None and "{app}" in key
    ]
    if keys:
        places = list(walk(file))
        words = [place.keys[-1] for place in places if place.keys]
        words += [place.node.value for place in places if isinstance(place.node, Scalar)]
        for step in (step for key in keys for step in config_grammar.parse_key_path(key)):
            apps += _apps(step[1] if isinstance(step, tuple) else str(step), words)
    yield from (_fill(name, {"app": app}) for app in apps)


def _apps(template: str, words: Iterable[str]) -> Iterator[str]:
    """What ``{app}`` may stand for, where one of the words is the template filled in."""
    if "{app}" not in template:
        return
    pieces = [re.escape(piece).replace(r"\*", ".*") for piece in template.split("{app}")]
    pattern = re.compile("(?P<app>.+)".join(pieces[:2]) + "".join(f"(?P=app){piece}" for piece in pieces[2:]))
    for word in words:
        match = pattern.fullmatch(word)
        if match is not None:
            yield match["app"]
