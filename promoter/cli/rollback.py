"""``promoter rollback``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from promoter.cli import options as read
from promoter.cli.options import between, option
from promoter.errors import UsageError

if TYPE_CHECKING:
    from promoter.cli.output import Output
    from promoter.options import RollbackOptions

EXAMPLES = """\b
Examples:
  promoter rollback production --app api --manifest-repo https://github.com/acme/deploy
  promoter rollback production --app api --to 1.4.1 --reason "checkout fails since 1.4.2"
  promoter rollback production --app api --steps 2 --until 2d
"""


@click.command("rollback", epilog=EXAMPLES)
@click.argument("environment", metavar="ENV")
@option("--app", metavar="NAME", required=True, help="What goes back.")
@option(
    "--to",
    metavar="REF",
    help="Back to this tag, or to what ran at this commit of the manifest repository.",
)
@option(
    "--steps",
    type=click.IntRange(min=1, max=1000),
    metavar="N",
    help="How many changes back; by default 1.",
)
@option("--reason", metavar="TEXT", help="Why, for the hold that keeps later bumps out.")
@option("--until", metavar="TIME", help="When the hold ends by itself: a time with zone, a date, or 2h, 3d.")
@option("--again", is_flag=True, help="Also to a newer version than the one that runs now.")
@option("--pin", is_flag=True, help="Write the digest that ran then also where none stands now.")
@option("--drop-digest", is_flag=True, help="Remove digests where they stand.")
@between
@click.pass_obj
def command(output: Output, /, **given: Any) -> None:  # noqa: ANN401 - click hands over what the options name
    """Take an app back to what ran before, and keep it there.

    What ran before is read from the environment's history, whoever changed it. The same commit
    holds the app: later bumps are refused until `promoter unhold` or --lift-hold.
    """
    from promoter.deadline import Deadline

    read.apply_output(output, given)
    deadline, environ = Deadline(given["deadline"]), dict(os.environ)
    asked = _options(given, environ)
    from promoter import session

    caller = read.caller(given, environ, output.say)
    with session.at_work(caller, deadline, output.debug) as hands:
        from promoter.rollback import rollback  # imported while Git fetches

        output.outcome(rollback(asked, hands))


def _options(given: dict[str, Any], environ: dict[str, str]) -> RollbackOptions:
    from promoter.decide import Policy
    from promoter.intent import Request
    from promoter.options import BumpOptions, RollbackOptions

    if given["to"] and given["steps"]:
        raise UsageError("--to and --steps exclude each other")
    run = BumpOptions(
        request=Request((), given["app"]),
        origin=read.runner(given, environ),
        style=read.style(given),
        policy=Policy(again=given["again"], explicit=True, rollback=True),
        environment=given["environment"],
        config=read.local_config(given["config"]),
        base=read.branch(given["base"]),
        dry_run=given["dry_run"],
        publish=given["publish"],
        override=read.override(given),
    )
    return RollbackOptions(
        run, given["app"], given["steps"] or 1, given["to"], read.reason(given), read.until(given)
    )
