"""What an edit would propose, validated before anyone sees it (DESIGN §10)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from promoter.outcome import Validation
from promoter.rules import neighbours
from promoter.validate.commands import Machine
from promoter.validate.model import Report, SourceFile
from promoter.validate.program import scratch_directory
from promoter.validate.render import RenderResult, RenderSettings, render_edit
from promoter.validate.run import Cache, Files, compare, merged, settings_for
from promoter.validate.scratch import Programs, Rendered
from promoter.validate.tree import EditedTree, SnapshotTree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promoter.config import ValidateSettings
    from promoter.git.repository import Repository, Snapshot
    from promoter.options import ValidateOptions
    from promoter.rules import Rules
    from promoter.validate.model import Finding


@dataclass(frozen=True)
class Checked:
    """What validation says of an edit; ``diff`` is what it changes of the rendered manifests."""

    findings: tuple[Finding, ...] = ()
    validation: Validation | None = None
    diff: str = ""


@dataclass(frozen=True)
class EditValidator:
    """Validates the edits of one run; what it found is kept from one attempt to the next."""

    repository: Repository
    asked: ValidateOptions
    environ: Mapping[str, str]
    _reports: Cache = field(default_factory=dict)
    _renders: dict[bytes, Rendered] = field(default_factory=dict)

    def __call__(self, snapshot: Snapshot, rules: Rules, edits: Mapping[str, tuple[bytes, bytes]]) -> Checked:
        """What the edits, by path with the bytes before and after, introduce.

        Raises:
            ConfigError: a schema that the configuration names is absent or cannot be used.
            UnreachableError: a program that is required is absent, or this machine fails.
            DeadlineError: the run's time is up.
        """
        settings = settings_for(rules.config.validate, self.asked)
        machine = Machine(self.environ, self.repository.git.deadline, None, self.asked.kubeconform_path)
        tree = SnapshotTree(self.repository, snapshot)
        rendered = self._render(tree, rules, snapshot.base, edits, settings, machine)
        after_tree = EditedTree(tree, {path: after for path, (_, after) in edits.items()})
        before = [SourceFile(path, old) for path, (old, _) in edits.items()]
        after = [SourceFile(path, new) for path, (_, new) in edits.items()]
        report, findings = compare(
            settings,
            Files(before, tree, before, rendered.rendered_before),
            Files(after, after_tree, after, rendered.rendered_after),
            rendered.findings,
            machine,
            allow_commands=self.asked.allow_commands,
            cache=self._reports,
        )
        report = merged([report, Report(notes=rendered.notes)])
        looked = Validation(len(edits), report.checked, report.skipped, report.notes, snapshot.base)
        return Checked(findings, looked, rendered.diff)

    def _render(
        self,
        tree: SnapshotTree,
        rules: Rules,
        base: str,
        edits: Mapping[str, tuple[bytes, bytes]],
        settings: ValidateSettings,
        machine: Machine,
    ) -> RenderResult:
        with scratch_directory(machine.environ) as scratch:
            how = RenderSettings(
                scratch,
                Programs.on(machine.environ),
                settings.render,
                settings.kubernetes,
                self._name(),
            )
            return render_edit(
                tree,
                neighbours(rules, base),
                [rules.environment.name],
                edits,
                how,
                machine.deadline,
                self._renders,
            )

    def _name(self) -> str | None:
        """What Applications call this repository by, the end of its address; a path says nothing."""
        remote = self.repository.remote
        if remote.host is None and not remote.is_ssh:
            return None
        return remote.url.rstrip("/").replace(":", "/").rpartition("/")[2].removesuffix(".git") or None
