"""All validators over one set of files: YAML and schemas, kubeconform, configured commands."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from promoter.validate.commands import Inputs, run_commands
from promoter.validate.kubeconform import KubeconformValidator, Program, find_kubeconform
from promoter.validate.library import Library, load_schemas
from promoter.validate.model import Report, introduced
from promoter.validate.schema import SchemaValidator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from promoter.config import ValidateSettings
    from promoter.options import ValidateOptions
    from promoter.validate.commands import Machine
    from promoter.validate.model import Finding, SourceFile
    from promoter.validate.tree import Tree

# What a layer said of the same files under the same rules; a caller keeps it from one attempt to the next.
Cache = dict[bytes, Report]


@dataclass(frozen=True)
class Files:
    """What is validated: ``files`` of one state of the repository, and what it renders to.

    ``changed`` are those of them that commands look at; ``tree`` is where schemas and what
    commands need are read.
    """

    files: Sequence[SourceFile]
    tree: Tree
    changed: Sequence[SourceFile] = ()
    rendered: Sequence[SourceFile] = ()


def settings_for(settings: ValidateSettings, asked: ValidateOptions) -> ValidateSettings:
    """The configuration's settings, but for what the caller says."""
    return replace(
        settings,
        kubernetes=asked.kubernetes or settings.kubernetes,
        kubeconform=asked.kubeconform or settings.kubeconform,
        render=asked.render or settings.render,
    )


def validate_files(
    settings: ValidateSettings,
    given: Files,
    machine: Machine,
    *,
    allow_commands: bool,
    cache: Cache | None = None,
) -> Report:
    """What all validators find; ``introduced`` is left True.

    ``allow_commands`` is the caller's leave to run ``validate.commands``: only ``promoter validate``
    gives it by itself. ``cache`` spares a caller who tries again what it did before: layers whose
    files, schemas and settings are the same.

    Raises:
        ConfigError: a schema that the configuration names is absent or cannot be used.
        UnreachableError: a program that is required is absent, or this machine fails.
        DeadlineError: the run's time is up.
    """
    known = cache if cache is not None else {}
    looked_at = [*given.files, *given.rendered]
    loaded = load_schemas(settings, given.tree)
    library = Library(settings.kubernetes, loaded)
    schemas = SchemaValidator(library, settings.skip, settings.ignore)
    rules = map(repr, (settings.kubernetes, settings.skip, settings.ignore, *loaded))
    same = _digest(*rules, *_identities(looked_at))
    reports = [_cached(known, _digest("schema", same), lambda: schemas.validate(looked_at))]
    found = find_kubeconform(
        settings.kubeconform, machine.kubeconform, machine.environ, machine.deadline, machine.checkout
    )
    if isinstance(found, Program):
        second = KubeconformValidator(
            found, library, machine.environ, machine.deadline, skip=settings.skip, ignore=settings.ignore
        )
        key = _digest("kubeconform", str(found.path), same)
        report = _cached(known, key, lambda: second.validate(looked_at))
        reports.append(_second_opinion(reports[0], report))
    elif found is not None:
        reports.append(Report(notes=(found,)))
    if settings.commands:
        inputs = Inputs(given.changed, given.rendered, given.tree)
        reports.append(run_commands(settings.commands, inputs, machine, allowed=allow_commands))
    return merged(reports)


def _second_opinion(first: Report, second: Report) -> Report:
    """What kubeconform adds: not what is said already in the same words, nor the same documents again."""
    told = {(finding.file, finding.path, finding.message) for finding in first.findings}
    added = (one for one in second.findings if (one.file, one.path, one.message) not in told)
    return Report(findings=tuple(added), notes=second.notes)


def compare(
    settings: ValidateSettings,
    before: Files | None,
    now: Files,
    of_renders: Sequence[Finding],
    machine: Machine,
    *,
    allow_commands: bool,
    cache: Cache | None = None,
) -> tuple[Report, tuple[Finding, ...]]:
    """What is found ``now``, with what was found ``before`` marked as old; and the report that counts.

    ``of_renders`` are the findings of rendering itself, marked already. Raises as `validate_files`.
    """
    report = validate_files(settings, now, machine, allow_commands=allow_commands, cache=cache)
    found = report.findings
    if before is not None:
        was = validate_files(settings, before, machine, allow_commands=allow_commands, cache=cache)
        found = introduced(was.findings, found)
    rendered = {file.path for file in now.rendered}
    sources = [finding for finding in found if finding.file not in rendered]
    others = [finding for finding in found if finding.file in rendered]
    return report, (*sources, *of_renders, *without_repeats(sources, others))


def merged(reports: Iterable[Report]) -> Report:
    """Several reports as one: findings and notes of all of them, each once."""
    listed = list(reports)
    skipped: Counter[str] = Counter()
    for report in listed:
        skipped.update(dict(report.skipped))
    return Report(
        tuple(finding for report in listed for finding in report.findings),
        sum(report.checked for report in listed),
        tuple(sorted(skipped.items())),
        tuple(dict.fromkeys(note for report in listed for note in report.notes)),
    )


def without_repeats(sources: Sequence[Finding], rendered: Sequence[Finding]) -> list[Finding]:
    """Those findings of renders that no source file has alike: one mistake is told once, where it is made.

    A finding that an edit introduces is only dropped for another one that it introduces.
    """
    told = {_mistake(finding) for finding in sources}
    return [finding for finding in rendered if _mistake(finding) not in told]


def _mistake(finding: Finding) -> tuple[object, ...]:
    return (finding.validator, finding.severity, finding.path, finding.message, finding.introduced)


def _cached(cache: Cache, key: bytes, validate: Callable[[], Report]) -> Report:
    if key not in cache:
        cache[key] = validate()
    return cache[key]


def _identities(files: Iterable[SourceFile]) -> Iterable[str | bytes]:
    """Paths and the ids that Git gives to these contents."""
    for file in files:
        yield file.path
        header = f"blob {len(file.content)}\0".encode()
        yield hashlib.sha1(header + file.content, usedforsecurity=False).digest()


def _digest(*parts: str | bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()
