"""Whether an edit changes other environments than the intended ones: decided from renders. Pure.

DESIGN §10: an environment whose input closure meets a changed file must render as before. What
cannot be rendered is unproven: said, and refused only where rendering is required.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from promoter.validate.model import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from promoter.validate.rendered_documents import Pair, Unstable
    from promoter.validate.scratch import Rendered

VALIDATOR = "blast-radius"
_MOST_NAMED = 3


@dataclass(frozen=True)
class Comparison:
    """A root of an environment before and after the edit; None where it is not there.

    ``chains`` are, for each changed file that takes part, the files that lead to it. ``pairs``
    are the documents that differ but for what is unstable; empty too where there is no text.
    ``plain`` says that its files are deployed as they stand: a change of one needs no render.
    """

    environment: str
    label: str
    chains: Mapping[str, tuple[str, ...]]
    before: Rendered | None
    after: Rendered | None
    pairs: Sequence[Pair] = ()
    mask: Unstable | None = None
    problem: str | None = None
    plain: bool = False

    @property
    def unproven(self) -> str | None:
        """Why it is not known what the edit does to the root."""
        if self.breaks:
            return None
        sides = [side for side in (self.before, self.after) if side is not None]
        return self.problem or next((side.problem for side in sides if side.problem), None)

    @property
    def breaks(self) -> bool:
        """Whether the root could be rendered before the edit, and by its own fault cannot any more."""
        before, after = self.before, self.after
        was_well = before is None or before.text is not None
        return was_well and after is not None and after.text is None and after.is_error


@dataclass(frozen=True)
class Plain:
    """A changed file that an environment deploys as it stands, with the files that lead to it."""

    environment: str
    file: str
    chain: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What is found, and what is said besides."""

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Effects:
    """What an edit does to one other environment, by changed file."""

    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    what: dict[str, list[str]] = field(default_factory=dict)

    def add(self, file: str, chain: tuple[str, ...], what: Sequence[str]) -> None:
        """Note once what a file changes; the shortest chain explains it best."""
        known = self.chains.get(file)
        self.chains[file] = chain if known is None or len(chain) < len(known) else known
        listed = self.what.setdefault(file, [])
        listed += [one for one in what if one not in listed]


def judge(
    comparisons: Sequence[Comparison],
    plain: Sequence[Plain],
    intended: frozenset[str],
    lines: Mapping[str, int | None],
    *,
    required: bool,
) -> Verdict:
    """One finding for each other environment and each changed file that changes it.

    ``lines`` are where the changed files differ first.
    """
    findings: list[Finding] = []
    notes: list[str] = []
    others = [one for one in comparisons if one.environment not in intended]
    for environment, effects in _effects(others, [one for one in plain if one.environment not in intended]):
        for file, chain in effects.chains.items():
            message = f"{environment} would change too{_what(effects.what[file])}: {_way(chain, environment)}"
            findings.append(Finding(VALIDATOR, "error", file, lines.get(file), "", message))
    for one in others:
        for message, file in _unproven(one):
            notes.append(message)
            if required:
                findings.append(Finding(VALIDATOR, "error", file, lines.get(file), "", message))
    return Verdict(tuple(findings), tuple(dict.fromkeys(notes)))


def _effects(comparisons: Sequence[Comparison], plain: Sequence[Plain]) -> Iterator[tuple[str, _Effects]]:
    found: dict[str, _Effects] = {}
    for one in comparisons:
        what = [_title(pair) for pair in one.pairs]
        if one.breaks:
            what = [f"{one.label} can no longer be rendered"]
        for file, chain in one.chains.items():
            if what or one.plain:
                found.setdefault(one.environment, _Effects()).add(file, chain, what)
    for deployed in plain:
        found.setdefault(deployed.environment, _Effects()).add(deployed.file, deployed.chain, [])
    yield from found.items()


def _title(pair: Pair) -> str:
    old, new = pair
    document = new or old
    return document.title if document is not None else ""


def _what(titles: Sequence[str]) -> str:
    if not titles:
        return ""
    more = len(titles) - _MOST_NAMED
    return f" ({', '.join(titles[:_MOST_NAMED])}{f' and {more} more' if more > 0 else ''})"


def _way(chain: tuple[str, ...], environment: str) -> str:
    """The files that link the environment to the changed one."""
    if len(chain) == 1:
        return f"it deploys {chain[0]} itself"
    return f"{environment} ← {' → '.join(chain)}"


def _unproven(one: Comparison) -> Iterator[tuple[str, str]]:
    why = one.unproven
    for file, chain in one.chains.items() if why else ():
        by = f" ({' → '.join(chain)})" if len(chain) > 1 else ""
        message = (
            f"{one.environment}: unproven: its closure contains {file}{by}, which changes, and {one.label} "
            f"cannot be rendered; not proven that {one.environment} stays the same: {why}"
        )
        yield message, file
