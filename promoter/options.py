"""What the caller asks for, as data. Light to import: it is read before anything else is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from promoter.decide import Policy
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
    """What the caller asks of ``bump``. ``config`` is (file name, text) of a local file."""

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
