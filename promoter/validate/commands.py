"""``validate.commands``: programs of the user's that look at files, in a directory made for them.

A program gets the files it is to look at, the ones it needs besides, and nothing else: no other
file of the repository, no link, no token, an empty home. Whether one is run at all is the caller's
to say (DESIGN §5): what stands in a manifest repository runs nothing by itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter.config.validate_grammar import FILES
from promoter.errors import ConfigError, UnreachableError
from promoter.git.door import machine_failure
from promoter.paths import matcher
from promoter.validate.command_output import findings_in, plain
from promoter.validate.limited import Job, Limits, Ran, run_all
from promoter.validate.listing import is_ordinary
from promoter.validate.model import Finding, Report
from promoter.validate.program import bare_environment, find_program, scratch_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from promoter.config import Command
    from promoter.deadline import Deadline
    from promoter.validate.model import SourceFile
    from promoter.validate.tree import Tree

MAX_FINDINGS = 1000
MAX_OUTPUT = 16 << 20  # bytes
_LONGEST_ARGUMENTS = 100_000  # bytes of file names in one run: systems take 256 KiB and more
_LAST_LINES = 5


@dataclass(frozen=True)
class Inputs:
    """What commands may look at: files that change, what environments render to, and where ``needs`` are."""

    changed: Sequence[SourceFile]
    rendered: Sequence[SourceFile]
    tree: Tree


@dataclass(frozen=True)
class Machine:
    """The caller's side. No configured program is run from below ``checkout``, where there is one.

    ``kubeconform`` is the caller's path of it, None to look on PATH.
    """

    environ: Mapping[str, str]
    deadline: Deadline
    checkout: Path | None = None
    kubeconform: str | None = None


def run_commands(commands: Sequence[Command], inputs: Inputs, machine: Machine, *, allowed: bool) -> Report:
    """What the programs find. Without ``allowed`` none is looked for or run, and notes say so.

    Raises:
        UnreachableError: a program is not on the caller's PATH, or cannot be run.
        ConfigError: a program was found inside the repository.
        DeadlineError: the run's time is up.
    """
    if not allowed:
        return Report(notes=tuple(_not_run(command) for command in commands))
    findings: list[Finding] = []
    notes: list[str] = []
    for command in commands:
        files = inputs.rendered if command.on == "rendered" else inputs.changed
        kept = [file for file in files if is_ordinary(file.path)]
        if not kept:
            notes.append(f"{command.name}: not run, there is no {command.on} file to look at")
            continue
        found = _run(command, kept, inputs.tree, machine)
        if len(found) > MAX_FINDINGS:
            notes.append(f"{command.name}: {len(found) - MAX_FINDINGS} more findings are left out")
        findings += found[:MAX_FINDINGS]
    return Report(findings=tuple(findings), notes=tuple(notes))


def _not_run(command: Command) -> str:
    return f"{command.name}: {command.run[0]} was not run, which takes the caller's --allow-commands"


def _run(command: Command, files: Sequence[SourceFile], tree: Tree, machine: Machine) -> list[Finding]:
    program = _program(command, machine)
    with scratch_directory(machine.environ) as scratch:
        directory = scratch / "files"
        needed = matcher(command.needs)
        wanted = [path for path in tree.paths() if needed(path) and is_ordinary(path)]
        _write(directory, {**tree.read(wanted), **{file.path: file.content for file in files}})
        environment = bare_environment(machine.environ, scratch)
        findings: list[Finding] = []
        jobs = [
            Job(tuple(arguments), directory, environment)
            for arguments in _command_lines(command, program, [file.path for file in files])
        ]
        limits = Limits(seconds=command.timeout, output=MAX_OUTPUT)
        for ran in run_all(jobs, limits, machine.deadline):
            findings += _findings(command, ran, frozenset(file.path for file in files), f"{directory}/")
    return findings


def _program(command: Command, machine: Machine) -> Path:
    name = command.run[0]
    found = find_program(name, machine.environ)
    if found is None:
        raise UnreachableError(
            f"the command {command.name!r} of the configuration runs {name}, which is not on PATH",
            next_step=f"install {name}, or take the command out of validate.commands",
            reason=f"{name}-absent",
        )
    if machine.checkout is not None and _stands_in(found, machine.checkout):
        raise ConfigError(
            f"the command {command.name!r} of the configuration runs {name}, "
            f"which PATH has inside the repository: {found}",
            next_step="install it outside of the repository: what stands there is never run",
        )
    return found


def _stands_in(program: Path, checkout: Path) -> bool:
    root = checkout.resolve()
    return any(one.is_relative_to(root) for one in (program.parent.resolve(), program.resolve()))


def _write(directory: Path, contents: Mapping[str, bytes]) -> None:
    try:
        directory.mkdir()
        for path, content in contents.items():
            file = directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    except OSError as error:
        raise machine_failure(error) from None


def _command_lines(command: Command, program: Path, paths: Sequence[str]) -> Iterator[list[str]]:
    """The arguments of each run: one, or several where the names of the files are too long for one."""
    if FILES not in command.run:
        yield [str(program), *command.run[1:]]
        return
    for batch in _batches([f"./{path}" if path.startswith("-") else path for path in paths]):
        filled = (batch if argument == FILES else [argument] for argument in command.run[1:])
        yield [str(program), *(one for arguments in filled for one in arguments)]


def _batches(paths: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for path in paths:
        length = len(os.fsencode(path)) + 1
        if batch and size + length > _LONGEST_ARGUMENTS:
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += length
    yield batch


def _findings(command: Command, ran: Ran, files: frozenset[str], directory: str) -> list[Finding]:
    # Without the directory's name, which is another one in each run: findings are compared.
    output = plain(ran.output.decode("utf-8", "replace")).replace(directory, "")
    errors = plain(ran.errors).replace(directory, "")
    failed = ran.code != 0
    found = findings_in(command.name, command.output, output, files, failed=failed)
    if found is None and command.output in ("auto", "text"):
        found = findings_in(command.name, "text", errors, files, failed=failed)
    why = ""
    if ran.stopped:
        limit = f"took longer than {command.timeout:g} s" if ran.stopped == "time" else "said too much"
        why = f"{command.run[0]} {limit} and was stopped"
    elif ran.code < 0:
        why = f"{command.run[0]} was killed by signal {-ran.code}"
    elif found is None and command.output in ("sarif", "json") and output.strip():
        why = f"the output of {command.run[0]} is not {command.output.upper()} that promoter knows"
    elif failed and not any(finding.severity == "error" for finding in found or ()):
        why = f"{command.run[0]} ended with {ran.code}"
    if why:
        words = _last_lines(errors) or _last_lines(output)
        said = f"{why}: {words}" if words else why
        found = [*(found or ()), Finding(command.name, "error", None, None, "", said)]
    return found or []


def _last_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-_LAST_LINES:])[-1000:]
