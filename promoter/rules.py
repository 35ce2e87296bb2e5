"""What rules a write: the base commit's configuration, or the caller's own, and the environment meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter import __version__
from promoter.config import config_for_paths, environment, parse_config
from promoter.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from promoter.config import Config, Environment, ImageRule
    from promoter.git.repository import Entry, Repository, Snapshot
    from promoter.image import ImageReference
    from promoter.options import BumpOptions

CONFIG_FILE = ".promoter.yaml"


@dataclass(frozen=True)
class Rules:
    """The configuration that rules a write, and the environment that is written."""

    config: Config
    environment: Environment


def rules_of(options: BumpOptions, repository: Repository, snapshot: Snapshot) -> Rules:
    """The configuration, and the environment of it that the options name."""
    config = config_of(options, repository, snapshot)
    if options.paths:
        return Rules(config, next(iter(config.environments.values())))
    return Rules(config, environment(config, options.environment or ""))


def config_of(options: BumpOptions, repository: Repository, snapshot: Snapshot) -> Config:
    """Read the configuration, always anew: an unread gate must not be an open one."""
    if options.config is not None:
        file, text = options.config
    else:
        entry = next(iter(repository.entries(snapshot, [CONFIG_FILE])), None)
        if entry is None:
            return _without_configuration(options)
        if entry.path != CONFIG_FILE or not entry.is_regular:
            raise ConfigError(
                "the configuration is no regular file", file=CONFIG_FILE, next_step="replace it by a file"
            )
        file, text = CONFIG_FILE, _text(entry, repository)
    if options.paths:
        raise UsageError(
            f"--path is for manifest repositories without a configuration, and this one has {file}",
            next_step="name one of its environments with --env",
        )
    return parse_config(text, file, version=__version__)


def rule_of(image: ImageReference, config: Config) -> ImageRule | None:
    """The first rule of the configuration that is for this image."""
    return next((rule for rule in config.images if image.is_meant_by(rule.match)), None)


def is_gated(config: Config) -> bool:
    """Whether the configuration has gates that close by themselves: any of its heads may have to wait."""
    return any(one.freeze or one.after for one in config.environments.values())


def neighbours(rules: Rules, base: str) -> list[Environment]:
    """The environments that live where this one does, itself included; ``base`` is its branch."""
    here = rules.environment
    return [
        one
        for one in rules.config.environments.values()
        if one.repository == here.repository and one.base in (here.base, base)
    ]


def _without_configuration(options: BumpOptions) -> Config:
    if not options.paths:
        raise ConfigError(
            f"the manifest repository has no {CONFIG_FILE}",
            next_step="add one, give a local file with --config, or name directories with --path",
            reason="no-configuration",
        )
    return config_for_paths(options.paths)


def _text(entry: Entry, repository: Repository) -> str:
    _, content = next(iter(repository.read([entry.blob])))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(
            "the configuration is not UTF-8", file=entry.path, next_step="save it as UTF-8"
        ) from None
