"""``promoter init``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from promoter.cli import options as read
from promoter.cli.options import starting
from promoter.errors import UsageError

if TYPE_CHECKING:
    from promoter.cli.output import Output

EXAMPLES = """\b
Examples:
  promoter init --dry-run
  promoter init ../deploy
  promoter init --manifest-repo https://github.com/acme/deploy --publish pull-request
"""


@click.command("init", epilog=EXAMPLES)
@click.argument("path", required=False)
@starting
@click.pass_obj
def command(output: Output, /, **given: Any) -> None:  # noqa: ANN401 - click hands over what the options name
    """Write a .promoter.yaml from what stands in PATH (by default the current directory).

    Environments are told by directories and files: overlays/*, envs/*, clusters/*, values-staging.yaml and
    the like. Their names propose the order and how each one is published. A file that is there
    already is never overwritten.
    """
    read.apply_reporting(output, given)
    # A path that is given wins over the variable that CI jobs set for other verbs.
    if given["path"] and _on_command_line("manifest_repo"):
        raise UsageError("PATH and --manifest-repo exclude each other")
    if given["manifest_repo"] and not given["path"]:
        _in_repository(output, given)
        return
    for name in ("base", "publish"):
        if _on_command_line(name):
            raise UsageError(f"--{name} goes with --manifest-repo")
    from promoter.init.land import in_directory

    output.outcome(in_directory(Path(given["path"] or "."), dry_run=given["dry_run"]))


def _in_repository(output: Output, given: dict[str, Any]) -> None:
    from dataclasses import replace

    from promoter import session
    from promoter.deadline import Deadline
    from promoter.options import template

    deadline, environ = Deadline(given["deadline"]), dict(os.environ)
    origin = read.runner(given, environ)
    caller = read.caller(given, environ, output.say)
    options = replace(
        template(base=caller.base), origin=origin, dry_run=given["dry_run"], publish=given["publish"]
    )
    with session.at_work(caller, deadline, output.debug) as hands:
        from promoter.init.land import in_repository

        output.outcome(in_repository(options, hands))


def _on_command_line(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source == click.core.ParameterSource.COMMANDLINE
