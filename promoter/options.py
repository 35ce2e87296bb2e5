"""What the caller asks for, as data. Light to import: it is read before anything else is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from promoter.decide import Policy
    from promoter.holds import Hold
    from promoter.image import ImageReference
    from promoter.intent import Origin, Request


@dataclass(frozen=True)
class Style:
    """What the caller wants of digests: neither keeps the style of each site."""

    pin: bool = False
    drop_digest: bool = False


@dataclass(frozen=True)
class ValidateOptions:
    """What the caller says of validation; None leaves it to the configuration.

    ``allow_commands`` is the leave to run what the manifest repository's configuration names.
    """

    kubernetes: str | None = None
    kubeconform: Literal["auto", "required", "off"] | None = None
    kubeconform_path: str | None = None
    render: Literal["auto", "required", "off"] | None = None
    allow_commands: bool = False


@dataclass(frozen=True)
class BumpOptions:
    """What the caller asks of ``bump``. ``config`` is (file name, text) of a local file.

    ``hold`` is written with the images, and ``lift_hold`` deletes the one that there is.
    ``came_from`` is the environment and commit that they were taken from; ``soaked`` ones need not
    be the last that ran there. ``override`` is the reason for which gates are passed.
    """

    request: Request
    origin: Origin
    style: Style
    policy: Policy
    environment: str | None = None
    paths: tuple[str, ...] = ()
    config: tuple[str, str] | None = None
    base: str | None = None
    current: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    skip_missing: bool = False
    strict: bool = False
    dry_run: bool = False
    marker: str | None = None
    anywhere: bool = False
    create: bool = False
    only_marked: bool = False
    publish: str | None = None
    require_image: bool = False
    hold: Hold | None = None
    lift_hold: bool = False
    came_from: str | None = None
    soaked: bool = False
    override: str | None = None


@dataclass(frozen=True)
class PromoteOptions:
    """What the caller asks of ``promote``: ``run`` says where to and how, without any image.

    ``apps`` and ``images`` (with a tag where one of several is meant) narrow what is taken;
    ``soaked`` takes the newest that has soaked in ``source`` instead of what runs there now.
    """

    run: BumpOptions
    source: str
    apps: tuple[str, ...] = ()
    images: tuple[ImageReference, ...] = ()
    soaked: bool = False


@dataclass(frozen=True)
class RollbackOptions:
    """What the caller asks of ``rollback``: ``steps`` back, or to what ``to`` names, a tag or a commit."""

    run: BumpOptions
    app: str
    steps: int = 1
    to: str | None = None
    reason: str | None = None
    until: datetime | None = None


def template(
    environment: str | None = None,
    paths: tuple[str, ...] = (),
    config: tuple[str, str] | None = None,
    base: str | None = None,
) -> BumpOptions:
    """Where to look and what rules it, without anything wanted there."""
    from promoter.decide import Policy
    from promoter.intent import Origin, Request

    return BumpOptions(Request(()), Origin(), Style(), Policy(), environment, paths, config, base)


def template_of(options: BumpOptions) -> BumpOptions:
    """Where a run looks and what rules it."""
    return template(options.environment, options.paths, options.config, options.base)
