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

    Those in ``only_uses`` matter only where some file sets the variables that they use, those
    in ``only_tags`` only where a base file names the image.
    """

    def __init__(self) -> None:
        self.contents: dict[str, bytes | None] = {}
        self.only_uses: set[str] = set()
        self.only_tags: set[str] = set()

    def is_aside(self, blob: str, *, substituting: bool) -> bool:
        """Whether the file with this content says nothing by itself."""
        return not substituting if blob in self.only_uses else blob in self.only_tags
