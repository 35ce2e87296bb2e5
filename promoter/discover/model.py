"""What is looked at, what was found there, and what is kept between attempts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from promoter.config import Config, Environment
    from promoter.git.repository import Entry
    from promoter.image import ImageReference
    from promoter.sites.model import ManifestFile, Site, UnreadableFileError

    Finder = Callable[[ManifestFile], list[Site]]


@dataclass(frozen=True)
class Scope:
    """Which part of the snapshot is looked at."""

    config: Config
    environment: Environment
    apps: Mapping[ImageReference, str]  # what each image belongs to, for the placeholders of targets
    exclude: tuple[str, ...] = ()
    marker: str | None = None  # the caller's policy: its sites count, whatever image they hold
    anywhere: bool = False  # under any key, too
    create: bool = False  # add what a kustomization lacks


@dataclass(slots=True)
class Found:
    """The sites by image, the files they stand in, and the files that could not be read."""

    sites: dict[ImageReference, list[Site]] = field(default_factory=dict)
    files: dict[str, tuple[Entry, ManifestFile]] = field(default_factory=dict)
    finders: dict[str, Finder] = field(default_factory=dict)  # how the sites of another version are found
    unreadable: dict[ImageReference, list[UnreadableFileError]] = field(default_factory=dict)
    looked_at: int = 0


class Cache:
    """Contents of blobs that may matter, kept across attempts; None for those that do not.

    Those in ``aside`` matter only where another file says so: one that sets the variables which
    they use, takes its values from them, or names the image of their tag.
    """

    def __init__(self) -> None:
        self.contents: dict[str, bytes | None] = {}
        self.aside: set[str] = set()
