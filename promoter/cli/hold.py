"""``promoter hold``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from promoter.cli import options as read
from promoter.cli.options import landing, option
from promoter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from promoter.cli.output import Output
    from promoter.hands import Hands
    from promoter.options import BumpOptions
    from promoter.outcome import Outcome

EXAMPLES = """\b
Examples:
  promoter hold production --app api --reason "payments fail" --manifest-repo https://github.com/acme/deploy
  promoter hold production --app api --until 2h --manifest-repo https://github.com/acme/deploy
  promoter hold --manifest-repo https://github.com/acme/deploy
"""


@click.command("hold", epilog=EXAMPLES)
@click.argument("environment", required=False, metavar="[ENV]")
@option("--app", metavar="NAME", help="What is held; without it the holds are listed.")
@option("--reason", metavar="TEXT", help="Why, on one line: whoever is refused reads it.")
@option(
    "--until",
    metavar="TIME",
    help="When it ends: as 2026-12-24T12:00:00Z, 2026-12-24 (UTC), or from now: 90m, 2h, 3d.",
)
@landing
@click.pass_obj
def command(output: Output, /, **given: Any) -> None:  # noqa: ANN401 - click hands over what the options name
    """Keep an app as it is in an environment, or list what is held.

    The hold is a file of the manifest repository. No run lands images of the app there until
    promoter unhold, --lift-hold or the given time. Running it again gives another reason and end.
    """
    read.apply_output(output, given)
    name_environment(given, required=bool(given["app"]))
    if not given["app"]:
        for name in ("reason", "until"):
            if given[name]:
                raise UsageError(f"--{name} goes with --app", next_step="say which app with --app NAME")
        run(output, given, _list)
        return
    reason, until = read.reason(given), read.until(given)

    def hold(options: BumpOptions, hands: Hands) -> Outcome:
        from promoter.holding import hold
        from promoter.holds import UNKNOWN, Hold

        wanted = Hold("", given["app"], reason, options.origin.actor or UNKNOWN, until=until)
        return hold(options, hands, wanted)

    run(output, given, hold)


def name_environment(given: dict[str, Any], *, required: bool) -> None:
    """Have ``--env`` say what the operand says, which wins over the variable that CI jobs set for bumps.

    Raises UsageError where the command line names two, or nothing names one that is required.
    """
    operand = given["environment"]
    source = click.get_current_context().get_parameter_source("env")
    if operand and given["env"] not in (None, operand) and source == click.core.ParameterSource.COMMANDLINE:
        raise UsageError(f"the environment is given twice: {operand} and --env {given['env']}")
    given["env"] = operand or given["env"]
    if required and not given["env"] and not given["path"]:
        raise UsageError("no environment is named", next_step="name one of the configuration before --app")


def run(output: Output, given: dict[str, Any], verb: Callable[[BumpOptions, Hands], Outcome]) -> None:
    """Open the manifest repository and report what the verb does there."""
    from dataclasses import replace

    from promoter.deadline import Deadline
    from promoter.options import template

    deadline, environ = Deadline(given["deadline"]), dict(os.environ)
    options = replace(
        template(**read.anywhere(given)),
        origin=read.runner(given, environ),
        dry_run=given["dry_run"],
        publish=given["publish"],
    )
    from promoter import session

    caller = read.caller(given, environ, output.say)
    with session.at_work(caller, deadline, output.debug) as hands:
        output.outcome(verb(options, hands))


def _list(options: BumpOptions, hands: Hands) -> Outcome:
    from promoter.holding import listed

    return listed(options, hands)
