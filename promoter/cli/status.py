"""``promoter status``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from promoter.cli import options as read
from promoter.cli.options import looking

if TYPE_CHECKING:
    from promoter.cli.output import Output

EXAMPLES = """\b
Examples:
  promoter status --manifest-repo https://github.com/acme/deploy
  promoter status staging production --output html > board.html
"""


@click.command("status", epilog=EXAMPLES)
@click.argument("environments", nargs=-1, metavar="[ENV]...")
@looking("text", "json", "html", forge=True)
@click.pass_obj
def command(output: Output, /, **given: Any) -> None:  # noqa: ANN401 - click hands over what the options name
    """Show what runs where: every image by environment, or only the environments named.

    Each with its version, for how long it has run, and how many versions it is behind the environment
    before; with open promotions, holds and freezes. What history does not tell is said to be unknown.
    As html it is one page that needs nothing else. Nothing is changed.
    """
    from datetime import UTC, datetime

    from promoter import session
    from promoter.deadline import Deadline
    from promoter.options import template

    read.apply_output(output, given)
    asked = template(**read.looked_at(given))
    caller = session.Caller(
        given["manifest_repo"], dict(os.environ), output.say, given["forge_api"], base=asked.base
    )
    with session.at_work(caller, Deadline(given["deadline"]), output.debug) as hands:
        from promoter.overview.status import status  # imported while Git fetches

        output.outcome(status(asked, hands, given["environments"], datetime.now(UTC)))
