"""``promoter validate``: a directory as it stands, alone or against a revision of its checkout."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from promoter.config import Environment, ValidateSettings
from promoter.options import ValidateOptions
from promoter.outcome import Failed, Outcome, Validation
from promoter.paths import matcher
from promoter.validate.commands import Machine
from promoter.validate.model import Report, SourceFile
from promoter.validate.place import config_of, place_of, selector
from promoter.validate.program import scratch_directory
from promoter.validate.render import RenderResult, RenderSettings, render_edit, render_environments
from promoter.validate.revision import RevisionTree
from promoter.validate.run import Files, compare, merged, settings_for
from promoter.validate.scratch import Programs
from promoter.validate.tree import DirectoryTree
from promoter.validate.verdict import blocking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.config import Config
    from promoter.deadline import Deadline
    from promoter.validate.model import Finding
    from promoter.validate.tree import Tree


@dataclass(frozen=True)
class Asked:
    """What the caller asks for; None and empty leave it to the configuration.

    ``config`` is (file name, text) of a local file.
    """

    paths: tuple[str, ...] = ()
    environment: str | None = None
    against: str | None = None
    config: tuple[str, str] | None = None
    exclude: tuple[str, ...] = ()
    how: ValidateOptions = field(default_factory=ValidateOptions)
    strict: bool = False


@dataclass(frozen=True)
class _Side:
    """One state of the directory: its tree and the files of it that count."""

    tree: Tree
    files: Mapping[str, bytes]

    def sources(self, paths: Sequence[str] | None = None) -> list[SourceFile]:
        wanted = self.files if paths is None else [path for path in paths if path in self.files]
        return [SourceFile(path, self.files[path]) for path in wanted]


def validate_checkout(asked: Asked, environ: Mapping[str, str], deadline: Deadline) -> Outcome:
    """Validate what the paths name, and say what blocks: errors that are new, or all under ``strict``.

    Raises:
        UsageError: a path does not exist.
        ConfigError: the configuration is not valid, or the revision is not there.
        UnreachableError: a program that is required is absent, or this machine fails.
    """
    place = place_of(asked.paths)
    machine = Machine(environ, deadline, place.root.resolve(), asked.how.kubeconform_path)
    tree = DirectoryTree(place.root)
    base = RevisionTree(place.root, asked.against, environ, deadline) if asked.against is not None else None
    config = config_of(base if base is not None else tree, asked.config)
    settings = _settings(asked, config)
    select = selector(place, config, asked.environment, asked.exclude)
    now = _Side(tree, tree.read(select(tree.paths())))
    before = _Side(base, base.read(select(base.paths()))) if base is not None else None
    report, findings = _validate(asked, settings, config, machine, now, before)
    notes = report.notes
    if config is None and base is not None:
        notes = (f"{asked.against} has no .promoter.yaml: nothing is configured", *notes)
    validation = Validation(len(now.files), report.checked, report.skipped, notes, asked.against)
    return _outcome(asked, findings, validation)


def _settings(asked: Asked, config: Config | None) -> ValidateSettings:
    settings = config.validate if config is not None else ValidateSettings()
    return settings_for(settings, asked.how)


def _validate(
    asked: Asked,
    settings: ValidateSettings,
    config: Config | None,
    machine: Machine,
    now: _Side,
    before: _Side | None,
) -> tuple[Report, tuple[Finding, ...]]:
    """What is found now, the old marked as such, and the report that counts."""
    changed = _changed(now, before)
    rendered = _rendered(asked, settings, config, machine, now, before, changed)
    old = (
        Files(before.sources(), before.tree, before.sources(list(changed)), rendered.rendered_before)
        if before is not None
        else None
    )
    new = Files(now.sources(), now.tree, now.sources(list(changed)), rendered.rendered_after)
    report, findings = compare(settings, old, new, rendered.findings, machine, allow_commands=True, cache={})
    return merged([report, Report(notes=rendered.notes)]), findings


def _changed(now: _Side, before: _Side | None) -> dict[str, tuple[bytes | None, bytes | None]]:
    """The files that differ, before and after; all of them where there is no before."""
    old = before.files if before is not None else {}
    paths = sorted({*old, *now.files})
    pairs = {path: (old.get(path), now.files.get(path)) for path in paths}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def _rendered(
    asked: Asked,
    settings: ValidateSettings,
    config: Config | None,
    machine: Machine,
    now: _Side,
    before: _Side | None,
    changed: Mapping[str, tuple[bytes | None, bytes | None]],
) -> RenderResult:
    """What the environments render to; against a revision, what the changed files touch of it."""
    environments = _environments(asked, config, now.files)
    if settings.render == "off" or not environments:
        return RenderResult()
    with scratch_directory(machine.environ) as scratch:
        how = RenderSettings(
            scratch,
            Programs.on(machine.environ),
            settings.render,
            settings.kubernetes,
        )
        if before is None:
            return render_environments(now.tree, environments, how, machine.deadline)
        # A person's pull request may change what it likes: no environment is a wrong one.
        names = [one.name for one in environments]
        return render_edit(before.tree, environments, names, changed, how, machine.deadline)


def _environments(asked: Asked, config: Config | None, files: Mapping[str, bytes]) -> list[Environment]:
    """The environment that is named, else all that hold one of the files; without any, the directory."""
    if config is None:
        return [Environment("all", (".",))] if files else []
    if asked.environment is not None:
        return [config.environments[asked.environment]]
    return [one for one in config.environments.values() if any(map(matcher(one.paths), files))]


def _outcome(asked: Asked, findings: tuple[Finding, ...], validation: Validation) -> Outcome:
    since = asked.against or ""
    error = blocking(findings, strict=asked.strict, since=since)
    return Outcome(
        verb="validate",
        status="refused" if error is not None else "unchanged",
        reason=error.reason if error is not None else "valid",
        environment=asked.environment,
        findings=findings,
        validation=validation,
        error=Failed.of(error) if error is not None else None,
    )
