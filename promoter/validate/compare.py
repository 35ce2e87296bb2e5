"""Roots of environments before and after an edit: rendered, and told apart.

What agents would deploy by objects that a render holds (a HelmRelease that a kustomization
patches) is rendered and compared in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter.validate import agents
from promoter.validate.blast_radius import Comparison, Plain
from promoter.validate.reach import explore
from promoter.validate.rendered_documents import (
    STABLE,
    RenderedDocument,
    UnreadableRenderError,
    changed,
    split,
    unstable,
)
from promoter.validate.renderer import Order, Renderer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.validate.closure import Closure
    from promoter.validate.reach import Look, Reach
    from promoter.validate.rendered_documents import Pair, Unstable
    from promoter.validate.roots import Root
    from promoter.validate.scratch import Rendered
    from promoter.validate.tree import Tree


@dataclass(frozen=True)
class Work:
    """A root to compare, as it is before and after, for one environment."""

    environment: str
    before: Root | None
    after: Root | None
    chains: Mapping[str, tuple[str, ...]]

    @property
    def label(self) -> str:
        """How people know the root."""
        root = self.after or self.before
        return root.label if root is not None else ""

    @property
    def plain(self) -> bool:
        """Whether its files are deployed as they stand."""
        root = self.after or self.before
        return root is not None and root.tool == "files"

    @property
    def to_render(self) -> tuple[Root | None, Root | None]:
        """What there is to render before and after."""
        return (None, None) if self.plain else (self.before, self.after)


@dataclass(frozen=True)
class Side:
    """One state of the repository: its environments' closures, and the look that found them."""

    tree: Tree
    closures: Mapping[str, Closure]
    look: Look


class Run:
    """What is compared, and with which effects."""

    def __init__(
        self,
        before: Side,
        after: Side,
        changed_files: frozenset[str],
        renderer: Renderer,
    ) -> None:
        self.sides = (before, after)
        self.changed_files = changed_files
        self.renderer = renderer

    def touched(self, environment: str) -> tuple[list[Work], list[Plain]]:
        """The roots of an environment that the edit may change, and changed files that it deploys plain."""
        closures = [side.closures[environment] for side in self.sides]
        touched = {file for closure in closures for file in closure.reach.came} & self.changed_files
        if not touched:
            return [], []
        work = self._work(environment, closures[0].roots, closures[1].roots)
        plain = [
            Plain(environment, file, closure.reach.chain(file))
            for file in sorted(touched)
            for closure in closures[-1:]
            if any(file in one.plain for one in closures)
        ]
        return work, plain

    def _work(
        self,
        environment: str,
        before: Mapping[str, Root],
        after: Mapping[str, Root],
        defined_by: Mapping[str, tuple[str, ...]] | None = None,
    ) -> list[Work]:
        """Those roots whose files change, or that the changed files of ``defined_by`` define anew."""
        work = []
        for label in dict.fromkeys([*before, *after]):
            roots = before.get(label), after.get(label)
            reaches = [self._reach(root, side) for root, side in zip(roots, self.sides, strict=True)]
            chains = {
                file: reach.chain(file)
                for reach in reaches
                for file in sorted(self.changed_files & reach.came.keys())
            }
            if defined_by is not None and roots[0] != roots[1]:
                chains = {**defined_by, **chains}
            if chains:
                work.append(Work(environment, *roots, chains))
        return work

    def _reach(self, root: Root | None, side: Side) -> Reach:
        """The file that tells of a root, and everything that this one leads to."""
        if root is None:
            return explore([], side.look)
        reach = explore([(lead, root.named_by) for lead in root.leads(side.look.listing)], side.look)
        reach.came.setdefault(root.named_by, None)
        return reach

    # --- comparing ---------------------------------------------------------------------------

    def compare_all(self, work: Sequence[Work]) -> list[Comparison]:
        """Compare roots, then what agents would deploy by the objects in their renders, and so on."""
        comparisons: list[Comparison] = []
        known: set[tuple[str, str]] = set()
        while work:
            new = [one for one in work if (one.environment, one.label) not in known]
            known |= {(one.environment, one.label) for one in new}
            compared = self._compare(new)
            comparisons += compared
            work = [
                further
                for one, result in zip(new, compared, strict=True)
                for further in self._within(one, result)
            ]
        return comparisons

    def _compare(self, work: Sequence[Work]) -> list[Comparison]:
        rendered = self._rendered(work, again=0)
        differences = [_differences(*both) for both in rendered]
        unlike = [
            number
            for number, (pairs, _, _) in enumerate(differences)
            if pairs and self._may_vary(work[number])
        ]
        second = self._rendered([work[number] for number in unlike], again=1)
        for number, both in zip(unlike, second, strict=True):
            differences[number] = _masked_differences(rendered[number], both)
        return [
            Comparison(one.environment, one.label, one.chains, before, after, pairs, mask, problem, one.plain)
            for one, (before, after), (pairs, mask, problem) in zip(work, rendered, differences, strict=True)
        ]

    def _rendered(self, work: Sequence[Work], again: int) -> list[tuple[Rendered | None, Rendered | None]]:
        orders = [
            Order(root, side.tree, side.look, again)
            for one in work
            for root, side in zip(one.to_render, self.sides, strict=True)
            if root is not None
        ]
        results = iter(self.renderer.render(orders))
        return [(next(results) if old else None, next(results) if new else None)
                for old, new in (one.to_render for one in work)]  # fmt: skip

    def _may_vary(self, work: Work) -> bool:
        """Whether two renders of the same may differ: where Helm has a hand in it."""
        for root, side in zip((work.before, work.after), self.sides, strict=True):
            if root is not None and (root.tool == "helm" or self._reach(root, side).charts):
                return True
        return False

    def _within(self, work: Work, result: Comparison) -> list[Work]:
        """What agents deploy by the objects that a root consists of."""
        found = []
        for root, rendered, side in zip(
            (work.before, work.after), (result.before, result.after), self.sides, strict=True
        ):
            roots: list[Root] = []
            if rendered is not None and rendered.text is not None and root is not None:
                path = root.named_by
                text = rendered.text.encode("utf-8")
                roots = agents.roots_in(path, text, side.look.listing, side.look.repository)
            elif root is not None:
                roots = self._reach(root, side).roots  # what its files themselves tell
            found.append({one.label: one for one in roots})
        if not work.chains:
            return [Work(work.environment, None, root, {}) for root in found[1].values()]
        before, after = found
        return self._work(work.environment, before, after, work.chains)


def _differences(
    before: Rendered | None, after: Rendered | None
) -> tuple[Sequence[Pair], Unstable | None, str | None]:
    try:
        old, new = documents_of(before), documents_of(after)
    except UnreadableRenderError as error:
        return (), None, f"what is rendered cannot be read: {error}"
    if old is None or new is None:
        return (), None, None
    if before is not None and after is not None and before.text == after.text:
        return (), None, None
    return changed(old, new), STABLE, None


def _masked_differences(
    first: tuple[Rendered | None, Rendered | None], second: tuple[Rendered | None, Rendered | None]
) -> tuple[Sequence[Pair], Unstable | None, str | None]:
    """The same, with what differs between two renders of one side masked."""
    try:
        twice = [(documents_of(one), documents_of(other)) for one, other in zip(first, second, strict=True)]
    except UnreadableRenderError as error:
        return (), None, f"what is rendered cannot be read: {error}"
    known = [(one, other) for one, other in twice if one is not None and other is not None]
    if len(known) < len(twice):
        return (), None, "a second render of it fails"
    mask = unstable(known)
    return changed(known[0][0], known[1][0], mask), mask, None


def documents_of(rendered: Rendered | None) -> list[RenderedDocument] | None:
    """The documents: none of a root that is not there, None where it could not be rendered."""
    if rendered is None:
        return []
    return split(rendered.text) if rendered.text is not None else None
