"""What the keys of a mapping say of an image: its name, registry, tag or digest, by how they end."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from promoter.yamltext import Node, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable

Role = Literal["name", "registry", "tag", "digest"]
ROLES: tuple[Role, ...] = ("name", "registry", "tag", "digest")

# How a key ends, in words, and what it holds then; of several keys for one thing the first wins. The
# words before the ending say which image is meant: `apiImage` goes with `apiImageTag` and `apiTag`.
_ENDINGS: dict[Role, tuple[str, ...]] = {
    "name": (
        *("repository", "image repository", "repo", "image repo"),
        *("image", "base image", "image name", "name"),
    ),
    "registry": ("registry", "image registry"),
    "tag": ("tag", "image tag", "version", "image version"),
    "digest": ("digest", "image digest", "sha", "image sha"),
}
_ROLE = {ending: role for role in ROLES for ending in _ENDINGS[role]}
# `apiVersion`, `resourceName` and `commitSha` speak of something else; these count only by themselves.
_ONLY_ALONE = frozenset({"version", "name", "sha"})
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")

REPOSITORIES = frozenset(_ENDINGS["name"][:4])


@dataclass(frozen=True, slots=True)
class Field:
    """One key and its scalar; ``ending`` is the part of the key that says what it holds."""

    key: str
    ending: str
    scalar: Scalar


@dataclass(frozen=True, slots=True)
class Fields:
    """The keys of a mapping that speak of one image, by what they hold, best first."""

    held: dict[Role, list[Field]] = field(default_factory=dict)

    def of(self, role: Role) -> list[Field]:
        """The keys that hold this."""
        return self.held.get(role, [])

    def all(self) -> list[Field]:
        """Every key."""
        return [one for role in ROLES for one in self.of(role)]

    @property
    def has_version(self) -> bool:
        """Whether a tag or a digest may be among them."""
        return bool(self.of("tag") or self.of("digest"))

    @property
    def speaks_of_an_image(self) -> bool:
        """Whether a key has the word in it: `chartRepository` and `chartTag` are no image."""
        return any("image" in one.ending for one in self.all() if _ROLE[one.ending] != "registry")


def read(entries: Iterable[tuple[str, Node]], *, below_image: bool) -> dict[str, Fields]:
    """The fields of each image that a mapping speaks of, by the words before their endings.

    ``below_image`` says that the mapping stands under a key that speaks of an image: only
    there a bare ``name`` is one.
    """
    groups: dict[str, Fields] = {}
    seen: set[str] = set()
    for key, node in entries:
        meaning = _meaning(key)
        if meaning is None or key in seen or not isinstance(node, Scalar):
            continue
        seen.add(key)
        words, ending = meaning
        if ending != "name" or below_image:
            group = groups.setdefault(words, Fields())
            group.held.setdefault(_ROLE[ending], []).append(Field(key, ending, node))
    for group in groups.values():
        for role, listed in group.held.items():
            listed.sort(key=lambda one, order=_ENDINGS[role]: order.index(one.ending))  # type: ignore[misc]  # mypy cannot infer a lambda's default
    meant = {words: group for words, group in groups.items() if not words or group.speaks_of_an_image}
    return _paired(meant)


def _paired(groups: dict[str, Fields]) -> dict[str, Fields]:
    """A lone `dockerImage` takes the `tag` beside it, where no other key could be meant."""
    plain = groups.get("")
    named = [words for words, group in groups.items() if group.of("name")]
    if plain is None or len(named) != 1 or named == [""] or groups[named[0]].has_version:
        return groups
    return {named[0]: Fields({**plain.held, **groups[named[0]].held})}


def is_part_only(key: str) -> bool:
    """Whether the key holds a part of a reference that no reader takes for a whole one."""
    meaning = _meaning(key)
    return meaning is not None and (_ROLE[meaning[1]] != "name" or meaning[1] in REPOSITORIES)


@lru_cache(maxsize=4096)
def _meaning(key: str) -> tuple[str, str] | None:
    """The words of a key that say which image, and those that say what of it; None for other keys."""
    words = [word.lower() for word in _WORDS.findall(key)]
    for length in (2, 1):
        ending = " ".join(words[-length:])
        if len(words) >= length and ending in _ROLE:
            before = " ".join(words[:-length])
            return None if before and ending in _ONLY_ALONE else (before, ending)
    return None
