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
    from promoter.outcome import Inventory

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
    site is listed with the reason. Nothing is changed.
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
    from promoter.sites import is_manifest_name

    deadline = Deadline(given["deadline"])
    base = read.branch(given["base"])
    with session.open_repository(
        given["manifest_repo"], dict(os.environ), deadline, output.say, output.debug
    ) as repository:
        snapshot = repository.open(base)
        entries = [
            entry
            for entry in repository.files(snapshot, ["."])
            if is_manifest_name(entry.path) and not matches_any(entry.path, exclude)
        ]
        contents = dict(repository.read(entry.blob for entry in entries))
        return snapshot.base, scan((entry.path, contents[entry.blob]) for entry in entries)


def _scan_directory(path: str, exclude: tuple[str, ...]) -> Inventory:
    """The files below a directory, or one file. Raises UsageError where there is neither."""
    from promoter.paths import matches_any
    from promoter.scan import scan

    root = Path(path)
    try:
        if root.is_file():
            return scan([(root.name, _read(root))])
        if root.is_dir():
            found = ((name, _read(root / name)) for name in _files(root) if not matches_any(name, exclude))
            return scan(found)
    except OSError as error:
        raise _unreadable(path, error) from None
    raise UsageError(f"{path}: no such file or directory", next_step="give a directory that exists")


def _files(root: Path) -> Iterator[str]:
    """The manifests below a directory by their paths in it. Links are not followed, ``.git`` is left."""
    from promoter.sites import is_manifest_name

    def fail(error: OSError) -> None:
        raise error

    for directory, below, names in os.walk(root, onerror=fail):
        below[:] = sorted(name for name in below if name != ".git")
        here = Path(directory)
        for name in sorted(names):
            file = here / name
            if is_manifest_name(name) and file.is_file() and not file.is_symlink():
                yield file.relative_to(root).as_posix()


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
