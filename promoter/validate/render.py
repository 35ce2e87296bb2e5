"""Render environments before and after an edit, with kustomize and Helm, in a scratch directory.

``render_edit`` closes over the environments' files, has ``compare`` render what the edit touches,
and leaves the decisions on other environments to ``blast_radius``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from promoter import paths
from promoter.validate.blast_radius import Comparison, Plain, judge
from promoter.validate.closure import close, same_links
from promoter.validate.compare import Run, Side, Work, documents_of
from promoter.validate.limited import Limits
from promoter.validate.model import Finding
from promoter.validate.rendered_diff import capped, source_files, unified
from promoter.validate.rendered_documents import UnreadableRenderError
from promoter.validate.renderer import Renderer
from promoter.validate.tree import EditedTree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from promoter.config import Environment
    from promoter.deadline import Deadline
    from promoter.validate.model import SourceFile
    from promoter.validate.scratch import Programs, Rendered
    from promoter.validate.tree import Tree

_MOST_NOTES = 3  # of one environment


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
    run = Run(before, after, frozenset(changes), Renderer(settings, deadline, cache))
    plain: list[Plain] = []
    work: list[Work] = []
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
    side = Side(tree, closures, look)
    run = Run(side, side, frozenset(), Renderer(settings, deadline, cache))
    work = [
        Work(environment.name, None, root, {})
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
) -> tuple[Side, Side]:
    own = tuple(path for one in environments if one.name in intended for path in one.paths)
    # To find the objects of agents every manifest of an environment is read. That is worth it for
    # others where the edit leaves the intended environments' own paths.
    far = not all(paths.matches_any(path, own) for path in changes)

    def deep(name: str) -> bool:
        return far or name in intended

    closures, look = close(tree, environments, deep, settings.repository, changes)
    before = Side(tree, closures, look)
    edited = EditedTree(tree, {path: new for path, (_, new) in changes.items()})
    if same_links(changes, look):
        written = {path: new for path, (_, new) in changes.items() if new is not None}
        return before, Side(edited, closures, replace(look, contents={**look.contents, **written}))
    closures, look = close(edited, environments, deep, settings.repository, changes, look)
    return before, Side(edited, closures, look)


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
        tuple(_few(dict.fromkeys(notes))),
        tuple(dict.fromkeys(before)),
        tuple(dict.fromkeys(after)),
        capped(diff, settings.most_diff),
    )


def _few(notes: Iterable[str]) -> Iterator[str]:
    """The notes, of each environment the first ones and how many more there are."""
    by_environment: dict[str, list[str]] = {}
    for note in notes:
        by_environment.setdefault(note.partition(":")[0], []).append(note)
    for environment, own in by_environment.items():
        yield from own[:_MOST_NOTES]
        if len(own) > _MOST_NOTES:
            yield f"{environment}: unproven: and {len(own) - _MOST_NOTES} more like these"


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
        return list(source_files(label, documents_of(rendered) or []))
    except UnreadableRenderError:
        return []


def _first_difference(before: bytes | None, after: bytes | None) -> int | None:
    """The line where a file differs first."""
    if before is None or after is None:
        return None
    old, new = before.splitlines(), after.splitlines()
    shortest = min(len(old), len(new))
    return next((number for number in range(shortest) if old[number] != new[number]), shortest) + 1
