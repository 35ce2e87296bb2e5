"""What should become true, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter.decide import Build
from promoter.errors import NotFoundError
from promoter.image import ImageReference, parse_name
from promoter.paths import matches_any, relative_to

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from promoter.config import App, Config, Environment


@dataclass(frozen=True)
class Origin:
    """Where an intent comes from: the source revision and the CI run that built it.

    ``source_branch`` is the branch that the revision was built on, ``order`` the namespace (platform,
    repository, workflow) and the run's number there.
    ``author`` is ``Name <mail>``.
    """

    revision: str | None = None
    source_time: datetime | None = None
    order: tuple[str, int] | None = None
    run_url: str | None = None
    actor: str | None = None
    author: str | None = None
    source_branch: str | None = None

    @property
    def build(self) -> Build:
        """What orders this run among other builds."""
        namespace, number = self.order or (None, None)
        return Build(namespace, number, self.source_time)


@dataclass(frozen=True)
class Intent:
    """Environment + app + image references + why. All images land together or none does."""

    environment: str
    app: str
    images: tuple[ImageReference, ...]
    origin: Origin


@dataclass(frozen=True)
class Request:
    """What the caller names: images, or an app and its tag, for layouts that hold only a tag."""

    images: tuple[ImageReference, ...]
    app: str | None = None
    tag: str | None = None
    digest: str | None = None


def intent_of(request: Request, origin: Origin, config: Config, environment: Environment) -> Intent:
    """The intent that a request means under a configuration.

    Raises NotFoundError where an image belongs to several apps, or an app to no image.
    """
    images = request.images or _images_of_app(request, config, environment)
    app = request.app or app_of(images[0], config)
    return Intent(environment.name, app, images, origin)


def app_of(image: ImageReference, config: Config) -> str:
    """The app that an image belongs to: the configured one, else the image's last component."""
    owners = [app.name for app in config.apps if owns(app, image)]
    if len(owners) > 1:
        raise NotFoundError(
            f"{image.name} belongs to several apps: {', '.join(owners)}",
            next_step="say which one with --app",
            reason="ambiguous-app",
        )
    return owners[0] if owners else image.last_component


def owners_of(image: ImageReference, files: Iterable[str], config: Config, where: Environment) -> set[str]:
    """The apps that an image in these files belongs to, as the configuration has it."""
    listed = [one for one in config.apps if owns(one, image)]
    covering = {
        one.name
        for one in listed
        if not one.paths or any(matches_any(relative_to(file, where.paths), one.paths) for file in files)
    }
    return covering or {one.name for one in listed} or {image.last_component}


def owns(app: App, image: ImageReference) -> bool:
    """Whether the configuration lists the image below the app, by name or by glob."""
    return any(image.is_meant_by(name) for name in app.images)


def _images_of_app(request: Request, config: Config, environment: Environment) -> tuple[ImageReference, ...]:
    """The images of ``--app NAME --tag TAG``: the app's own, or what targets hold for it."""
    app = request.app or ""
    names = [name for one in config.apps if one.name == app for name in one.images if "*" not in name]
    if not names:
        names = [
            target.image.replace("{environment}", environment.name).replace("{app}", app)
            for target in config.targets
            if "{app}" in target.image
        ]
    if not names:
        raise NotFoundError(
            f"--app {app} --tag: the configuration does not say which image that is",
            next_step="list it below apps or targets in the configuration, or give --image",
            reason="unknown-app",
        )
    references = (parse_name(name) for name in dict.fromkeys(names))
    return tuple(ImageReference(name, request.tag, request.digest) for name in references)
