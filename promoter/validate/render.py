"""Render environments before and after an edit, with kustomize and Helm, in a scratch directory.

``render_edit`` closes over the environments' files, renders what the edit touches, compares,
and leaves the decisions to ``blast_radius``. What agents would deploy by objects that a render
holds (a HelmRelease that a kustomization patches) is rendered in turn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from promoter import paths
from promoter.validate import agents
from promoter.validate.blast_radius import Comparison, Plain, judge
from promoter.validate.closure import close, explore
from promoter.validate.limited import Limits
from promoter.validate.model import Finding
from promoter.validate.rendered_diff import capped, source_files, unified
from promoter.validate.rendered_documents import (
    STABLE,
    RenderedDocument,
    UnreadableRenderError,
    changed,
    split,
    unstable,
)
from promoter.validate.renderer import Order, Renderer
from promoter.validate.tree import EditedTree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from promoter.config import Environment
    from promoter.deadline import Deadline
    from promoter.validate.closure import Closure, Look, Reach
    from promoter.validate.model import SourceFile
    from promoter.validate.rendered_documents import Pair, Unstable
    from promoter.validate.roots import Root
    from promoter.validate.scratch import Programs, Rendered
    from promoter.validate.tree import Tree


@dataclass(frozen=True)
class RenderSettings:
    """How renders are made.

    ``render`` is the configuration's; ``kubernetes`` the version that charts are told, as ``1.33``;
    ``repository`` the manifest repository's own name, by which Applications mean it, None where it is
    not known. ``scratch`` is a directory for temporary files; ``limits`` hold for each render,
    ``most_diff`` characters for the diff.
    """

    scratch: Path
    programs: Programs
    render: Literal["auto", "required", "off"] = "auto"
    kubernetes: str | None = None
    repository: str | None = None
    limits: Limits = field(default_factory=Limits)
    at_once: int = 2
    most_diff: int = 30_000


@dataclass(frozen=True)
class RenderResult:
    """What renders tell of an edit.

    ``findings`` have ``introduced`` set: a render that failed before the edit too is an old one.
    ``rendered_before`` and ``rendered_after`` are the documents of the intended environments that
    the edit may touch, each as a file; ``diff`` is what differs between them.
    """

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    rendered_before: tuple[SourceFile, ...] = ()
    rendered_after: tuple[SourceFile, ...] = ()
    diff: str = ""


@dataclass(frozen=True)
class _Work:
    """A root to compare, as it is before and after, for one environment."""

    environment: str
    before: Root | None
    after: Root | None
    chains: Mapping[str, tuple[str, ...]]

    @property
    def label(self) -> str:
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
class _Side:
    """One state of the repository: its environments' closures, and the look that found them."""

    tree: Tree
    closures: Mapping[str, Closure]
    look: Look


def render_edit(
    tree: Tree,
    environments: Sequence[Environment],
    intended: Iterable[str],
    changes: Mapping[str, tuple[bytes | None, bytes | None]],
    settings: RenderSettings,
    deadline: Deadline,
    cache: dict[bytes, Rendered] | None = None,
) -> RenderResult:
    """What an edit of ``tree`` does to what its environments deploy.

    ``changes`` are the files with their bytes before and after, None where there is no such file;
    ``intended`` are the names of the environments that it may change. ``cache`` keeps renders by
    what they are made of, from one call to the next.

    Raises:
        UnreachableError: rendering is required and a program for it is absent; this machine fails.
        GitTimeoutError: the deadline passed.
    """
    if settings.render == "off" or not changes:
        return RenderResult()
    before, after = _sides(tree, environments, frozenset(intended), changes, settings)
    run = _Run(before, after, frozenset(changes), Renderer(settings, deadline, cache), settings)
    plain: list[Plain] = []
    work: list[_Work] = []
    for environment in environments:
        found, deployed = run.touched(environment.name)
        work += found
        plain += deployed
    comparisons = run.compare_all(work)
    return _concluded(comparisons, plain, frozenset(intended), changes, settings)


def render_environments(
    tree: Tree,
    environments: Sequence[Environment],
    settings: RenderSettings,
    deadline: Deadline,
    cache: dict[bytes, Rendered] | None = None,
) -> RenderResult:
    """Everything that the environments deploy by a kustomization or a chart, as ``rendered_after``.

    Raises as ``render_edit`` does.
    """
    if settings.render == "off":
        return RenderResult()
    closures, look = close(tree, environments, lambda _: True, settings.repository)
    side = _Side(tree, closures, look)
    run = _Run(side, side, frozenset(), Renderer(settings, deadline, cache), settings)
    work = [
        _Work(environment.name, None, root, {})
        for environment in environments
        for root in closures[environment.name].roots.values()
    ]
    intended = frozenset(environment.name for environment in environments)
    result = _concluded(run.compare_all(work), [], intended, {}, settings)
    return RenderResult(result.findings, result.notes, (), result.rendered_after)


# --- both sides of an edit -------------------------------------------------------------------------


def _sides(
    tree: Tree,
    environments: Sequence[Environment],
    intended: frozenset[str],
    changes: Mapping[str, tuple[bytes | None, bytes | None]],
    settings: RenderSettings,
) -> tuple[_Side, _Side]:
    own = tuple(path for one in environments if one.name in intended for path in one.paths)
    # To find the objects of agents every manifest of an environment is read. That is worth it for
    # others where the edit leaves the intended environments' own paths.
    far = not all(paths.matches_any(path, own) for path in changes)

    def deep(name: str) -> bool:
        return far or name in intended

    closures, look = close(tree, environments, deep, settings.repository, changes)
    before = _Side(tree, closures, look)
    edited = EditedTree(tree, {path: new for path, (_, new) in changes.items()})
    closures, look = close(edited, environments, deep, settings.repository, changes, look)
    return before, _Side(edited, closures, look)


class _Run:
    """What is compared, and with which effects."""

    def __init__(
        self,
        before: _Side,
        after: _Side,
        changed_files: frozenset[str],
        renderer: Renderer,
        settings: RenderSettings,
    ) -> None:
        self.sides = (before, after)
        self.changed_files = changed_files
        self.renderer = renderer
        self.settings = settings

    def touched(self, environment: str) -> tuple[list[_Work], list[Plain]]:
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
    ) -> list[_Work]:
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
                work.append(_Work(environment, *roots, chains))
        return work

    def _reach(self, root: Root | None, side: _Side) -> Reach:
        """The file that tells of a root, and everything that this one leads to."""
        if root is None:
            return explore([], side.look)
        reach = explore([(lead, root.named_by) for lead in root.leads(side.look.listing)], side.look)
        reach.came.setdefault(root.named_by, None)
        return reach

    # --- comparing ---------------------------------------------------------------------------

    def compare_all(self, work: Sequence[_Work]) -> list[Comparison]:
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

    def _compare(self, work: Sequence[_Work]) -> list[Comparison]:
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

    def _rendered(self, work: Sequence[_Work], again: int) -> list[tuple[Rendered | None, Rendered | None]]:
        orders = [
            Order(root, side.tree, side.look, again)
            for one in work
            for root, side in zip(one.to_render, self.sides, strict=True)
            if root is not None
        ]
        results = iter(self.renderer.render(orders))
        return [(next(results) if old else None, next(results) if new else None)
                for old, new in (one.to_render for one in work)]  # fmt: skip

    def _may_vary(self, work: _Work) -> bool:
        """Whether two renders of the same may differ: where Helm has a hand in it."""
        for root, side in zip((work.before, work.after), self.sides, strict=True):
            if root is not None and (root.tool == "helm" or self._reach(root, side).charts):
                return True
        return False

    def _within(self, work: _Work, result: Comparison) -> list[_Work]:
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
            return [_Work(work.environment, None, root, {}) for root in found[1].values()]
        before, after = found
        return self._work(work.environment, before, after, work.chains)


def _differences(
    before: Rendered | None, after: Rendered | None
) -> tuple[Sequence[Pair], Unstable | None, str | None]:
    try:
        old, new = _documents(before), _documents(after)
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
        twice = [(_documents(one), _documents(other)) for one, other in zip(first, second, strict=True)]
    except UnreadableRenderError as error:
        return (), None, f"what is rendered cannot be read: {error}"
    known = [(one, other) for one, other in twice if one is not None and other is not None]
    if len(known) < len(twice):
        return (), None, "a second render of it fails"
    mask = unstable(known)
    return changed(known[0][0], known[1][0], mask), mask, None


def _documents(rendered: Rendered | None) -> list[RenderedDocument] | None:
    """The documents: none of a root that is not there, None where it could not be rendered."""
    if rendered is None:
        return []
    return split(rendered.text) if rendered.text is not None else None


# --- conclusions ----------------------------------------------------------------------------------


def _concluded(
    comparisons: Sequence[Comparison],
    plain: Sequence[Plain],
    intended: frozenset[str],
    changes: Mapping[str, tuple[bytes | None, bytes | None]],
    settings: RenderSettings,
) -> RenderResult:
    required = settings.render == "required"
    lines = {path: _first_difference(*both) for path, both in changes.items()}
    verdict = judge(comparisons, plain, intended, lines, required=required)
    findings, notes = list(verdict.findings), list(verdict.notes)
    before: list[SourceFile] = []
    after: list[SourceFile] = []
    diff: list[str] = []
    for one in comparisons:
        if one.environment not in intended:
            continue
        found, said = _of_intended(one, required=required)
        findings += found
        notes += said
        before += _files(one.label, one.before)
        after += _files(one.label, one.after)
        diff += unified(one.label, one.pairs, one.mask)
    return RenderResult(
        tuple(dict.fromkeys(findings)),
        tuple(dict.fromkeys(notes)),
        tuple(dict.fromkeys(before)),
        tuple(dict.fromkeys(after)),
        capped(diff, settings.most_diff),
    )


def _of_intended(one: Comparison, *, required: bool) -> tuple[list[Finding], list[str]]:
    """What is said of an environment that the edit is meant for."""
    sides = [side for side in (one.after, one.before) if side is not None and side.problem]
    if not sides or (one.after is not None and one.after.text is not None and one.problem is None):
        return [], []
    side = sides[0]
    file = side.root.file
    message = f"{one.label} cannot be rendered: {side.problem}"
    if side.is_error:
        return [Finding("render", "error", file, None, "", message, one.breaks or required)], []
    note = f"{one.environment}: unproven: {message}"
    return ([Finding("render", "error", file, None, "", note)] if required else []), [note]


def _files(label: str, rendered: Rendered | None) -> list[SourceFile]:
    try:
        return list(source_files(label, _documents(rendered) or []))
    except UnreadableRenderError:
        return []


def _first_difference(before: bytes | None, after: bytes | None) -> int | None:
    """The line where a file differs first."""
    if before is None or after is None:
        return None
    old, new = before.splitlines(), after.splitlines()
    shortest = min(len(old), len(new))
    return next((number for number in range(shortest) if old[number] != new[number]), shortest) + 1
