"""What the names of environments tell: how far down the line each one is, and which one it follows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# From the first to the last; what a name may call each of them.
STAGES = (
    ("dev", "develop", "development", "sandbox"),
    ("integration", "int", "test", "testing", "qa"),
    ("staging", "stage", "stg", "uat", "preprod", "preproduction"),
    ("production", "prod", "prd", "live"),
)
PRODUCTION = len(STAGES) - 1
# Words that other directories are called too: alone they mean no environment.
_COMMON_WORDS = frozenset({"int", "test", "testing", "live", "stage"})
_RANKS = {word: rank for rank, words in enumerate(STAGES) for word in words}


@dataclass(frozen=True)
class Stage:
    """How far down the line (an index of ``STAGES``), and what else the name says: a region, a number."""

    rank: int
    rest: tuple[str, ...]


def stage_of(name: str) -> Stage | None:
    """The stage that a name tells of: ``eu-prod``, ``staging2``, ``pre-prod``; None where it tells none."""
    words = re.findall(r"[a-z]+|[0-9]+", name.lower().replace("pre-prod", "preprod"))
    ranked = [word for word in words if word in _RANKS]
    if not ranked:
        return None
    last = max(ranked, key=lambda word: _RANKS[word])
    return Stage(_RANKS[last], tuple(word for word in words if word not in _RANKS))


def is_certain(name: str) -> bool:
    """Whether the name tells a stage wherever it stands, not only beside others."""
    return stage_of(name) is not None and name.lower() not in _COMMON_WORDS


def in_order(names: Sequence[str]) -> list[str]:
    """The names from the first stage to the last, a region after its stage; unknown ones at the end."""

    def key(name: str) -> tuple[int, int, str]:
        stage = stage_of(name)
        return (stage.rank, len(stage.rest), name) if stage is not None else (len(STAGES), 0, name)

    return sorted(names, key=key)


def follows(name: str, names: Sequence[str]) -> str | None:
    """The environment that this one comes after; None for the first, and where several could be meant."""
    stage = stage_of(name)
    if stage is None:
        return None
    known = {one: found for one in names if one != name and (found := stage_of(one)) is not None}
    if stage.rest:  # a region comes after the stage itself
        plain = [one for one, found in known.items() if found == Stage(stage.rank, ())]
        if plain:
            return plain[0]
    earlier = max((found.rank for found in known.values() if found.rank < stage.rank), default=None)
    before = [one for one, found in known.items() if found.rank == earlier]
    for rest in (stage.rest, ()):
        same = [one for one in before if known[one].rest == rest]
        if len(same) == 1:
            return same[0]
    return before[0] if len(before) == 1 else None
