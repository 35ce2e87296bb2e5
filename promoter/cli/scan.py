"""``promoter scan``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from promoter.cli import options as read
from promoter.cli.options import option, repeatable, reporting
from promoter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promoter.cli.output import Output
    from promoter.discover.configured import Targets
    from promoter.outcome import Inventory

CONFIG_FILE = ".promoter.yaml"  # at the root of what is scanned; other verbs read the base commit's
EXAMPLES = """\b
Examples:
  promoter scan
  promoter scan envs/staging --output json
  promoter scan --manifest-repo https://github.com/acme/deploy
"""


@click.command("scan", epilog=EXAMPLES)
@click.argument("path", required=False)
@option(
    "--manifest-repo", metavar="URL|PATH", help="Scan the base commit of this Git repository instead of PATH."
)
@option("--base", metavar="BRANCH", help="Its branch; by default the remote's HEAD.")
@repeatable(
    "--exclude", metavar="GLOB", help="Leave files out, by their path below PATH or in the repository."
)
@reporting
@click.pass_obj
def command(output: Output, /, **given: Any) -> None:  # noqa: ANN401 - click hands over what the options name
    """List every image reference below PATH (by default the current directory), and how it would be edited.

    A site is effective, shadowed by another one, or refused; what names an image and is no
    site is listed with the reason. The targets of a .promoter.yaml there are listed too. Nothing is changed.
    """
    from promoter.outcome import Outcome

    read.apply_reporting(output, given)
    exclude = read.repository_paths("--exclude", given["exclude"])
    # A path that is given wins over the variable that CI jobs set for other verbs.
    if given["path"] and _on_command_line("manifest_repo"):
        raise UsageError("PATH and --manifest-repo exclude each other")
    base = None
    if given["manifest_repo"] and not given["path"]:
        base, inventory = _scan_repository(output, given, exclude)
    else:
        if _on_command_line("base"):
            raise UsageError("--base goes with --manifest-repo")
        inventory = _scan_directory(given["path"] or ".", exclude)
    output.outcome(Outcome(verb="scan", status="unchanged", reason="scanned", base=base, inventory=inventory))


def _on_command_line(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source == click.core.ParameterSource.COMMANDLINE


def _scan_repository(
    output: Output, given: dict[str, Any], exclude: tuple[str, ...]
) -> tuple[str, Inventory]:
    """The base commit's files, fetched in one batch."""
    from promoter import session
    from promoter.deadline import Deadline
    from promoter.paths import matches_any
    from promoter.scan import scan

    deadline = Deadline(given["deadline"])
    base = read.branch(given["base"])
    caller = session.Caller(given["manifest_repo"], dict(os.environ), output.say)
    with session.open_repository(caller, deadline, output.debug) as repository:
        snapshot = repository.open(base)
        listed = list(repository.files(snapshot, ["."]))
        settings = [entry.blob for entry in listed if entry.path == CONFIG_FILE]
        targets = _targets(next((content for _, content in repository.read(settings)), b""))
        entries = [
            entry
            for entry in listed
            if _is_looked_at(entry.path, targets) and not matches_any(entry.path, exclude)
        ]
        contents = dict(repository.read(entry.blob for entry in entries))
        return snapshot.base, scan(((entry.path, contents[entry.blob]) for entry in entries), targets)


def _targets(content: bytes) -> Targets | None:
    """The targets of a configuration; None where it has none. Raises ConfigError."""
    if b"targets" not in content:
        return None
    from promoter import __version__
    from promoter.config import parse_config
    from promoter.discover.configured import Targets
    from promoter.errors import ConfigError

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(
            "the configuration is not UTF-8", file=CONFIG_FILE, next_step="save it as UTF-8"
        ) from None
    return Targets(parse_config(text, CONFIG_FILE, version=__version__))


def _is_looked_at(path: str, targets: Targets | None) -> bool:
    """Whether the file may hold sites: a manifest, or what a target names. The configuration itself never."""
    from promoter.sites import is_manifest_name

    return path != CONFIG_FILE and (is_manifest_name(path) or (targets is not None and targets.name(path)))


def _scan_directory(path: str, exclude: tuple[str, ...]) -> Inventory:
    """The files below a directory, or one file. Raises UsageError where there is neither."""
    from promoter.paths import matches_any
    from promoter.scan import scan

    root = Path(path)
    try:
        if root.is_file():
            return scan([(root.name, _read(root))])
        if root.is_dir():
            settings = root / CONFIG_FILE
            targets = _targets(_read(settings)) if settings.is_file() else None
            names = (name for name in _files(root, targets) if not matches_any(name, exclude))
            return scan(((name, _read(root / name)) for name in names), targets)
    except OSError as error:
        raise _unreadable(path, error) from None
    raise UsageError(f"{path}: no such file or directory", next_step="give a directory that exists")


def _files(root: Path, targets: Targets | None) -> Iterator[str]:
    """The files below a directory by their paths in it. Links are not followed, ``.git`` is left."""

    def fail(error: OSError) -> None:
        raise error

    for directory, below, names in os.walk(root, onerror=fail):
        below[:] = sorted(name for name in below if name != ".git")
        here = Path(directory)
        for name in sorted(names):
            file = here / name
            path = file.relative_to(root).as_posix()
            if _is_looked_at(path, targets) and file.is_file() and not file.is_symlink():
                yield path


def _read(file: Path) -> bytes:
    """The content, of a huge file only as much as it takes to refuse it."""
    from promoter.yamltext import MAX_BYTES

    try:
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(str(file), error) from None


def _unreadable(path: str, error: OSError) -> UsageError:
    return UsageError(
        f"{error.filename or path}: {error.strerror}",
        next_step="make it readable, or leave it out with --exclude",
    )
